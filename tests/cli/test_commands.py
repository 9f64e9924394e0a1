"""The other commands: info, parameters, sessions, rerun, simulate, data."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

Desk = Callable[..., Any]
MakeRaw = Callable[..., Path]


@pytest.fixture
def reduced(desk: Desk, tmp_path: Path, make_raw: MakeRaw) -> Path:
    """Folder of the products of two raw files."""
    for number in range(2):
        make_raw(tmp_path / "raw" / f"raw_{number}.fits", number)
    assert desk("reduce", tmp_path / "raw", "-o", "out", "--set", "add.addamount=7").code == 0
    return tmp_path / "out"


def test_that_info_tells_group_recipe_next_step_and_header(desk: Desk, tmp_path: Path, make_raw: MakeRaw) -> None:
    make_raw(tmp_path / "raw.fits")
    answer = desk("info", "raw.fits")
    assert answer.code == 0
    assert "recipe toy-imaging, next step: Check Headers" in answer.out
    assert "STAR" in answer.out


def test_that_info_tells_where_products_come_from(desk: Desk, reduced: Path) -> None:
    answer = desk("info", reduced / "STAR_ADD_0.fits", reduced / "STAR_SUM_0-1.fits")
    assert answer.code == 0
    assert "next step: Combine" in answer.out
    assert "finished product of toy-imaging" in answer.out
    assert "addamount=7.0" in answer.out
    content = json.loads(desk("info", reduced, "--json").out)
    assert [len(content[key]) for key in ("groups", "finished", "rejected")] == [1, 1, 0]


def test_that_info_names_what_cannot_be_used(desk: Desk, tmp_path: Path, make_raw: MakeRaw) -> None:
    make_raw(tmp_path / "raw.fits")
    make_raw(tmp_path / "other.fits", INSTRUME="HST")
    answer = desk("info", "raw.fits", "other.fits")
    assert answer.code == 4
    assert "HST is not supported" in answer.out


@pytest.mark.parametrize("name", ["run.toml", "run.cfg"])
def test_that_a_parameter_file_for_data_can_be_written_changed_and_used(
    desk: Desk, tmp_path: Path, make_raw: MakeRaw, name: str
) -> None:
    make_raw(tmp_path / "raw.fits", OBJECT="BRIGHT")
    assert desk("parameters", "raw.fits", "-o", name).code == 0
    text = (tmp_path / name).read_text()
    assert "addamount = 2.0" in text
    (tmp_path / name).write_text(text.replace("addamount = 2.0", "addamount = 200"))
    answer = desk("reduce", "raw.fits", "-c", name)
    line = text.splitlines().index("    addamount = 2.0" if name.endswith("cfg") else "addamount = 2.0") + 1
    assert answer.code == 3
    assert f"[{name}:{line}]" in answer.err


def test_that_steps_are_explained_from_their_declarations(desk: Desk) -> None:
    answer = desk("parameters", "--help-step", "add")
    assert "add.addamount = 1.0 ct   (a number ≥ 0 and ≤ 100)" in answer.out
    assert "secret" not in answer.out
    content = json.loads(desk("parameters", "--recipe", "toy-imaging", "--help-step", "all", "--json").out)
    assert [entry["step"] for entry in content] == ["checkhead", "add", "sum"]
    assert desk("parameters", "--help-step", "ad").code == 3


def test_that_a_product_is_made_again_bit_for_bit(desk: Desk, reduced: Path, tmp_path: Path, sessions: Path) -> None:
    for name in ("STAR_SUM_0-1.fits", "STAR_ADD_1.fits"):
        answer = desk("rerun", reduced / name, "-o", f"again-{name}")
        assert answer.code == 0
        assert "identical, bit for bit" in answer.out
        assert (tmp_path / f"again-{name}" / name).exists()
    assert not list(sessions.iterdir())


def test_that_a_product_that_was_changed_is_found_out(desk: Desk, reduced: Path) -> None:
    path = reduced / "STAR_SUM_0-1.fits"
    with fits.open(path, mode="update") as hdus:
        hdus[0].data[0, 0] = np.nextafter(hdus[0].data[0, 0], np.inf)
    answer = desk("rerun", path)
    assert answer.code == 1
    assert "DIFFERENT data in FLUX: 1 pixels" in answer.out


def test_that_moved_inputs_are_found_in_the_folder_given_and_others_are_refused(
    desk: Desk, reduced: Path, tmp_path: Path, make_raw: MakeRaw
) -> None:
    path = reduced / "STAR_SUM_0-1.fits"
    shutil.move(tmp_path / "raw", tmp_path / "moved")
    answer = desk("rerun", path)
    assert answer.code == 2
    assert "raw_0.fits is not there" in answer.err
    assert desk("rerun", path, "--inputs", "moved").code == 0
    (tmp_path / "moved" / "raw_1.fits").unlink()
    make_raw(tmp_path / "moved" / "raw_1.fits", 99)
    answer = desk("rerun", path, "--inputs", "moved", "-o", "again")
    assert answer.code == 2
    assert "raw_1.fits has another content" in answer.err


def test_that_a_rerun_never_overwrites_the_product(desk: Desk, reduced: Path) -> None:
    answer = desk("rerun", reduced / "STAR_SUM_0-1.fits", "-o", reduced)
    assert answer.code == 2
    assert "--out" in answer.err


def test_that_sessions_are_listed_gone_on_with_and_removed(
    desk: Desk, tmp_path: Path, make_raw: MakeRaw, sessions: Path
) -> None:
    make_raw(tmp_path / "raw.fits")
    assert desk("sessions").out == "There are no sessions.\n"
    for _ in range(2):
        desk("reduce", "raw.fits", "--until", "add")
    entries = json.loads(desk("sessions", "list", "--json").out)
    assert [entry["state"] for entry in entries] == ["unfinished", "unfinished"]
    assert desk("sessions", "remove", entries[0]["name"]).code == 0
    assert desk("sessions", "resume", entries[1]["name"]).code == 0
    assert desk("sessions").out == "There are no sessions.\n"


def test_that_finished_sessions_are_removed_together(desk: Desk, tmp_path: Path, make_raw: MakeRaw) -> None:
    make_raw(tmp_path / "raw.fits")
    desk("reduce", "raw.fits", "--keep-session")
    desk("reduce", "raw.fits", "--until", "add")
    assert desk("sessions", "remove", "--all").code == 0
    assert [entry["state"] for entry in json.loads(desk("sessions", "--json").out)] == ["unfinished"]


def test_that_a_session_name_that_may_mean_several_is_refused(
    desk: Desk, tmp_path: Path, make_raw: MakeRaw, sessions: Path
) -> None:
    make_raw(tmp_path / "raw.fits")
    for _ in range(2):
        desk("reduce", "raw.fits", "--until", "add")
    answer = desk("reduce", "--resume", "2")
    assert answer.code == 2
    assert all(path.name in answer.err for path in sessions.iterdir())


def test_that_the_kinds_of_simulations_and_their_options_are_listed(desk: Desk) -> None:
    assert "forcast-imaging-nmc" in desk("simulate").out
    options = desk("simulate", "forcast-imaging-npc").out
    assert "  flux = 60.0\n" in options
    assert "Write ``.fits.gz`` files." in options


def test_that_options_of_simulations_are_read_as_words() -> None:
    from sofia_engine.cli.simulate import parse_option_words

    words = ["flux=80", "noise=no", "object=Ceres 1", "source-offset-arcsec=3,5", "filter=none", "camera=LW"]
    assert parse_option_words("forcast-imaging-npc", words) == {
        "flux": 80,
        "noise": False,
        "object": "Ceres 1",
        "source_offset_arcsec": (3, 5),
        "filter": None,
        "camera": "LW",
    }


def test_that_the_state_of_the_calibration_files_is_told(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFIA_DESK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SOFIA_DESK_MIRROR", "")
    monkeypatch.setenv("SOFIA_DESK_OFFLINE", "1")
    assert desk("data", "path").out == f"{tmp_path / 'data'}\n"
    answer = desk("data", "status", "--instrument", "forcast")
    assert answer.code == 0
    assert "bad pixel mask" in answer.out
    assert "HAWC" not in answer.out
    assert "are not here; to bring them: sofia-desk data fetch" in answer.out
    rows = json.loads(desk("data", "status", "--instrument", "FORCAST", "--json").out)
    assert {row["state"] for row in rows} == {"missing"}
    assert desk("data", "fetch", "--instrument", "FORCAST").code == 3
