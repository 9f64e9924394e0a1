"""Looking for a new version: only when asked, and told in one sentence."""

import json
from pathlib import Path

import pytest

from sofia_app.models.preferences import Preferences
from sofia_app.models.updates import describe_update, find_latest, is_newer
from sofia_engine import __version__
from sofia_engine.errors import InputError


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Give a function that publishes a version where the program looks."""
    monkeypatch.setenv("SOFIA_DESK_OFFLINE", "")
    path = tmp_path / "versions.json"
    monkeypatch.setenv("SOFIA_DESK_UPDATES", path.as_uri())

    def write(version: object) -> None:
        path.write_text(json.dumps({"info": {"version": version}}))

    return write


@pytest.mark.parametrize(
    ("later", "earlier"), [("1.2", "1.1.9"), ("1.10", "1.9"), ("1.0", "1.0rc1"), ("0.1.1", "0.1"), ("2", "1.9.9")]
)
def test_that_versions_are_ordered_by_their_numbers(later, earlier):
    assert is_newer(later, earlier)
    assert not is_newer(earlier, later)
    assert not is_newer(later, later)


def test_that_trailing_zeros_make_no_new_version():
    assert not is_newer("1.0.0", "1.0")


def test_that_a_new_version_is_found_and_told(publish):
    publish("99.1")
    assert find_latest() == "99.1"
    assert describe_update("99.1").startswith("SOFIA Desk 99.1 is published")
    assert describe_update(__version__) == f"This is the latest version, {__version__}."


def test_that_what_cannot_be_found_out_is_one_sentence(publish, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="cannot be found out"):
        find_latest()
    (tmp_path / "versions.json").write_text("no JSON")
    with pytest.raises(InputError, match="cannot be found out"):
        find_latest()
    with pytest.raises(InputError, match="no address"):
        find_latest("ftp://nowhere")
    monkeypatch.setenv("SOFIA_DESK_OFFLINE", "1")
    with pytest.raises(InputError, match="offline"):
        find_latest()


def test_that_nothing_is_asked_unless_the_user_wants_it(publish, qtbot):
    from sofia_app.desk import Desk
    from sofia_app.window import MainWindow

    assert not Preferences().check_updates
    publish("99.1")
    window = MainWindow(Desk())
    qtbot.addWidget(window)
    window.look_for_update()
    assert window.desk.tasks.is_idle
    window.desk.preferences.check_updates = True
    window.look_for_update()
    qtbot.waitUntil(lambda: any("99.1" in entry.message for entry in window.desk.log.shown), timeout=60_000)
    window.close()
