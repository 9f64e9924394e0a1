"""sofia-desk reduce."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sofia_engine.cli.reduce import _list_skipped
from sofia_engine.pipeline.runner import RunResult
from sofia_engine.product import Product

Desk = Callable[..., Any]
MakeRaw = Callable[..., Path]


@pytest.fixture
def raw(tmp_path: Path, make_raw: MakeRaw) -> Path:
    for number in range(2):
        make_raw(tmp_path / "raw" / f"raw_{number}.fits", number)
    return tmp_path / "raw"


def test_that_files_are_reduced_into_the_current_folder(desk: Desk, raw: Path, tmp_path: Path) -> None:
    answer = desk("reduce", *sorted(raw.iterdir()))
    assert answer.code == 0
    assert answer.out == ""
    assert f"Wrote output file {tmp_path / 'STAR_SUM_0-1.fits'}" in answer.err.splitlines()
    assert "Done in" in answer.err
    assert Product.read(tmp_path / "STAR_SUM_0-1.fits")["FLUX"][0, 0] == 1.5


@pytest.mark.parametrize("form", ["folder", "list", "gz"])
def test_that_folders_lists_and_gzipped_files_are_reduced(desk: Desk, raw: Path, tmp_path: Path, form: str) -> None:
    given = [raw]
    if form == "list":
        (raw / "list.txt").write_text("# two\nraw_0.fits\nraw_1.fits\n")
        given = [raw / "list.txt"]
    if form == "gz":
        given = [Product.read(path).write(tmp_path / f"{path.name}.gz") for path in sorted(raw.iterdir())]
    assert desk("reduce", *given, "-o", "out").code == 0
    assert (tmp_path / "out" / "STAR_SUM_0-1.fits").exists()


def test_that_parameters_come_from_file_text_and_command_line(desk: Desk, raw: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('[output]\noutput_directory = "there"\n[add]\naddamount = 3\n')
    assert desk("reduce", raw, "-c", "run.toml").code == 0
    assert Product.read(tmp_path / "there" / "STAR_SUM_0-1.fits")["FLUX"][0, 0] == 3.5
    words = ["-c", "[2: add]\\naddamount = 4", "--set", "add.times=2", "-o", "here"]
    assert desk("reduce", raw, *words).code == 0
    assert Product.read(tmp_path / "here" / "STAR_SUM_0-1.fits")["FLUX"][0, 0] == 8.5


def test_that_names_with_blanks_and_accents_are_reduced(desk: Desk, raw: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Büro 1"
    folder.mkdir()
    (folder / "été 0001.fits").write_bytes(next(iter(sorted(raw.glob("*.fits")))).read_bytes())
    answer = desk("reduce", folder, "-o", folder / "schön")
    assert answer.code == 0, answer.err
    product = next((folder / "schön").glob("*_SUM_*.fits"))
    assert desk("rerun", product, "-o", tmp_path / "nochmal").code == 0


def test_that_none_is_no_parameter_file(desk: Desk, raw: Path) -> None:
    assert desk("reduce", raw, "-c", "None", "-o", "out").code == 0


def test_that_the_level_decides_what_is_shown_and_the_log_file_has_all(desk: Desk, raw: Path, tmp_path: Path) -> None:
    quiet = desk("reduce", raw, "-l", "critical", "-o", "a")
    assert (quiet.out, quiet.err) == ("", "")
    assert "DEBUG: add: done in" in desk("reduce", raw, "-l", "DEBUG", "-o", "b").err
    for folder in ("a", "b"):
        (log,) = (tmp_path / folder).glob("*.log")
        assert " - DEBUG - " in log.read_text()


def test_that_skipped_inputs_are_named_at_the_end_with_exit_code_4(
    desk: Desk, raw: Path, make_raw: MakeRaw, tmp_path: Path
) -> None:
    make_raw(raw / "raw_2.fits", BAD=True)
    (raw / "raw_3.fits").write_bytes(b"broken")
    (tmp_path / "list.txt").write_text("raw/raw_0.fits\nraw/raw_2.fits\nraw/raw_3.fits\nraw/raw_4.fits\n")
    answer = desk("reduce", "list.txt")
    assert answer.code == 4
    told = answer.err[answer.err.index("These inputs were skipped") :]
    for name, reason in {
        "raw_2.fits": "the header is bad",
        "raw_3.fits": "not a FITS file",
        "raw_4.fits": "there is no such file (line 4",
    }.items():
        assert any(name in line and reason in line for line in told.splitlines())


def test_that_a_reason_of_many_skipped_files_is_told_once_and_not_again_before_the_error() -> None:
    skipped = (("a.fits", "The header\n is bad."), ("b.fits", "The header is bad."), ("c.fits", "No model."))
    result = RunResult("failed", skipped=skipped, error="No model.")
    assert list(_list_skipped(result)) == ["  a.fits, b.fits: The header is bad.", "  c.fits"]


def test_that_a_step_that_fails_gives_exit_code_1_and_the_way_on(
    desk: Desk, tmp_path: Path, make_raw: MakeRaw, sessions: Path
) -> None:
    make_raw(tmp_path / "raw.fits", FAIL="step")
    answer = desk("reduce", "raw.fits", "-o", "out")
    assert answer.code == 1
    assert "ERROR: raw.fits: nothing can be added." in answer.err
    assert f"sofia-desk reduce --resume {next(sessions.iterdir()).name}" in answer.err


def test_that_a_session_is_gone_on_with_in_its_own_folder(
    desk: Desk, raw: Path, tmp_path: Path, sessions: Path
) -> None:
    assert desk("reduce", raw, "--until", "add", "-o", "out").code == 0
    assert not (tmp_path / "out" / "STAR_SUM_0-1.fits").exists()
    name = next(sessions.iterdir()).name
    assert desk("reduce", "--resume", name).code == 0
    assert (tmp_path / "out" / "STAR_SUM_0-1.fits").exists()
    assert len((tmp_path / "out" / "outfiles.txt").read_text().splitlines()) == 3
    assert not list(sessions.iterdir())


def test_that_files_of_several_groups_are_refused_with_the_way_to_split_them(
    desk: Desk, raw: Path, make_raw: MakeRaw
) -> None:
    make_raw(raw / "other.fits", OBJECT="MOON")
    answer = desk("reduce", raw)
    assert answer.code == 2
    assert "1. TOY, Imaging" in answer.err
    assert "--all-groups" in answer.err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_that_every_group_can_be_reduced_into_a_folder_of_its_own(
    desk: Desk, raw: Path, make_raw: MakeRaw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: str
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from sofia_engine.cli import all_groups

    # other processes do not know the toy instrument
    monkeypatch.setattr(all_groups, "local_executor", ThreadPoolExecutor)
    make_raw(raw / "other.fits", OBJECT="MOON")
    make_raw(raw / "third.fits", OBJECT="MARS", FAIL="step")
    answer = desk("reduce", raw, "--all-groups", "--jobs", jobs, "-o", "out", "--json")
    assert answer.code == 1
    states = {group["group"]: group["status"] for group in json.loads(answer.out)["groups"]}
    assert sorted(states.values()) == ["failed", "finished", "finished"]
    assert len(list((tmp_path / "out").glob("toy-imaging-*/*_SUM_*.fits"))) == 2
    assert len(list((tmp_path / "out").glob("toy-imaging-*/outfiles.json"))) == 3


def test_that_a_dry_run_tells_all_and_writes_nothing(
    desk: Desk, raw: Path, tmp_path: Path, sessions: Path, make_raw: MakeRaw
) -> None:
    before = sorted(tmp_path.rglob("*"))
    answer = desk("reduce", raw, "--dry-run", "--set", "add.times=3")
    assert answer.code == 0
    assert "2. Add Amount [add]" in answer.out
    assert "times = 3" in answer.out
    assert sorted(tmp_path.rglob("*")) == before
    make_raw(raw / "other.fits", OBJECT="MOON")
    plan = json.loads(desk("reduce", raw, "--dry-run", "--json").out)
    assert [len(group["files"]) for group in plan["groups"]] == [1, 2]
    assert plan["groups"][1]["steps"][1]["parameters"]["times"] == 1


def test_that_a_dry_run_refuses_bad_parameters(desk: Desk, raw: Path) -> None:
    assert desk("reduce", raw, "--dry-run", "--set", "add.times=-3").code == 3


def test_that_the_summary_is_json_on_standard_output(desk: Desk, raw: Path) -> None:
    answer = desk("reduce", raw, "--json", "-l", "error")
    summary = json.loads(answer.out)
    assert summary["status"] == "finished"
    assert len(summary["products"]) == 3
    assert answer.err == ""


def test_that_progress_is_a_bar_on_a_terminal_and_nothing_elsewhere() -> None:
    import io

    from sofia_engine.cli.terminal import Terminal
    from sofia_engine.pipeline.events import Log, Progress

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, shown in ((Screen(), True), (io.StringIO(), False)):
        with Terminal("info", stream) as terminal:
            terminal(Progress("add", 1, 2, "raw.fits"))
            terminal(Log("warning", "look out"))
        text = stream.getvalue()
        assert ("[############............]  50% add raw.fits" in text) is shown
        assert text.endswith("WARNING: look out\n")
        assert ("\r" in text) is shown
