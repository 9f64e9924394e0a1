"""The memory guard as the window shows it: what is said, how it is overridden, what is preferred, how it is shared."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("PySide6")

from sofia_app import group_queue
from sofia_app.group_queue import choose_processes
from sofia_app.models.preferences import Preferences
from sofia_app.views.dialogs import ErrorDialog, PreferencesDialog
from sofia_app.worker.protocol import SetMemory
from sofia_viewers.qt import Qt
from window_driver import Driver, open_window


@pytest.fixture
def short(qtbot, lab: Path, tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    """A program whose steps may have 1 MB."""
    monkeypatch.setenv("SOFIA_DESK_MEMORY", "1M")
    for driver in open_window(qtbot, lab, tmp_path):
        driver.open(files)
        yield driver


def test_that_a_step_without_room_is_refused_in_words_and_done_when_the_user_insists(short: Driver, qtbot) -> None:
    short.do("do_step")
    dialog = short.dialog(ErrorDialog)
    short.settle()
    assert "is left of the limit of 1 MB: raise the limit" in dialog.cause.text()
    assert "Preferences, Memory for a step" in dialog.cause.text()
    assert short.states[0] == "failed"
    insist = next(b for b in dialog.buttons.buttons() if b.text() == "Run all the same")
    qtbot.mouseClick(insist, Qt.MouseButton.LeftButton)
    short.settle()
    assert short.states[0] == "done"
    short.do("do_step")  # the next one is guarded again
    dialog = short.dialog(ErrorDialog)
    short.settle()
    assert short.states[:2] == ["done", "failed"]
    dialog.reject()


def test_that_the_limit_of_the_preferences_reaches_the_engine(short: Driver, qtbot, monkeypatch) -> None:
    def choose(dialog: PreferencesDialog) -> bool:
        dialog.memory.setCurrentIndex(dialog.memory.findData("unlimited"))
        dialog.accept()
        return True

    monkeypatch.setattr(PreferencesDialog, "exec", choose)
    short.do("show_preferences")
    short.settle()
    assert Preferences.load().memory == "unlimited"
    short.run("reduce_all")
    assert short.states == ["done"] * 4


@pytest.mark.parametrize("memory", ["", "8G", "unlimited", "12G"])
def test_that_the_dialog_shows_the_limit_that_is_set(qtbot, memory: str) -> None:
    dialog = PreferencesDialog(None, Preferences(memory=memory))
    qtbot.addWidget(dialog)
    assert dialog.memory.currentData() == memory
    assert dialog.memory.currentText()


def test_that_groups_side_by_side_share_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_queue, "available_memory", lambda: 3.2e9)
    assert choose_processes(9, 8) == 2
    monkeypatch.setattr(group_queue, "available_memory", lambda: 1e8)
    assert choose_processes(9, 8) == 1
    monkeypatch.setattr(group_queue, "available_memory", lambda: float("inf"))
    assert choose_processes(9, 8) == 8


def test_that_each_process_of_the_queue_is_told_its_share(short: Driver, make_file, monkeypatch) -> None:
    told = []
    send = group_queue.EngineClient.send

    def note(client, command):
        told.extend([command.limit] if isinstance(command, SetMemory) else [])
        return send(client, command)

    monkeypatch.setattr(group_queue.EngineClient, "send", note)
    monkeypatch.setattr(group_queue, "choose_processes", lambda *_: 2)
    short.desk.preferences.memory = "4G"
    paths = [make_file(f"{name}_0001.fits", 1.0, OBJECT=name) for name in ("ONE", "TWO")]
    short.desk.open_paths(paths)
    short.wait(lambda: not short.desk.is_listing)
    short.window.reduce_groups()
    short.wait(lambda: not short.window.queue.is_running)
    assert told[:2] == ["2000000000", "2000000000"]
