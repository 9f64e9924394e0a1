"""The program as a process: how fast it starts, what it imports, how it ends."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Start = Callable[..., "subprocess.Popen[str]"]

HEAVY = ("astropy", "matplotlib", "numpy", "pydantic", "scipy", "sofia_app")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["reduec"]], ids=["help", "version", "typo"])
def test_that_nothing_heavy_is_imported_before_a_command_is_known(words: list[str]) -> None:
    code = f"""
import sys
from sofia_engine.cli import main
code = main({words!r})
heavy = sorted(set({HEAVY!r}) & set(sys.modules))
sys.exit(f"imported: {{heavy}}" if heavy else code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert "imported" not in done.stderr
    assert done.returncode == (3 if words == ["reduec"] else 0)


def test_that_help_comes_within_less_than_half_a_second() -> None:
    def measure() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sofia_engine", "--help"], capture_output=True, check=True, timeout=120)
        return time.perf_counter() - start

    assert min(measure() for _ in range(3)) < 0.4


def test_that_the_help_of_every_command_is_written(desk: Callable[..., object]) -> None:
    from sofia_engine.cli import _COMMANDS

    for command in _COMMANDS:
        answer = desk(command, "--help")
        assert answer.code == 0  # type: ignore[attr-defined]
        assert f"sofia-desk {command}" in answer.out  # type: ignore[attr-defined]


def bad_inputs(folder: Path) -> None:
    (folder / "empty.fits").touch()
    (folder / "text.fits").write_text("not FITS at all")
    (folder / "binary.fits.gz").write_bytes(b"\x1f\x8b\x08 broken")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "list.txt").write_text("lost.fits\n")
    (folder / "folder").mkdir()
    (folder / "bad.cfg").write_text("[add\n")
    (folder / "bad.toml").write_text("[add]\namount = \n")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["reduce"], 2, "no files were given"),
        (["reduce", "lost.fits"], 2, "lost.fits"),
        (["reduce", "empty.fits", "text.fits", "binary.fits.gz", "picture.png"], 2, "picture.png"),
        (["reduce", "list.txt"], 2, "lost.fits"),
        (["reduce", "folder"], 2, "folder"),
        (["reduce", "raw.fits", "-c", "bad.cfg"], 3, "bad.cfg:1"),
        (["reduce", "raw.fits", "-c", "bad.toml"], 3, "line 2"),
        (["reduce", "raw.fits", "-c", "lost.cfg"], 3, "lost.cfg does not exist"),
        (["reduce", "raw.fits", "-c", "folder"], 3, "folder"),
        (["reduce", "raw.fits", "--set", "add.amount"], 3, "STEP.KEY=VALUE"),
        (["reduce", "raw.fits", "--set", "add.addamount=x"], 3, "must be a number"),
        (["reduce", "raw.fits", "--until", "nowhere"], 3, "nowhere"),
        (["reduce", "raw.fits", "--jobs", "0"], 3, "--jobs"),
        (["reduce", "raw.fits", "--loglevel", "loud"], 3, "loud"),
        (["reduce", "raw.fits", "--nonsense"], 3, "--nonsense"),
        (["reduce", "raw.fits", "-o", "bad.cfg/out"], 2, "bad.cfg"),
        (["reduce", "--resume", "lost"], 2, "lost"),
        (["redcue"], 3, "redcue"),
        (["info", "text.fits"], 2, "text.fits"),
        (["rerun", "raw.fits"], 2, "provenance"),
        (["parameters"], 3, "--recipe"),
        (["parameters", "--recipe", "nothing"], 3, "nothing"),
        (["simulate", "nothing", "out"], 3, "nothing"),
        (["sessions", "resume"], 3, "session"),
        (["data", "status", "--instrument", "nothing"], 2, "nothing"),
    ],
    ids=lambda value: "-".join(value)[:50] if isinstance(value, list) else None,
)
def test_that_bad_input_gives_its_exit_code_and_no_traceback(
    desk: Callable[..., object], tmp_path: Path, make_raw: Callable[..., Path], words: list[str], code: int, told: str
) -> None:
    bad_inputs(tmp_path)
    make_raw(tmp_path / "raw.fits")
    answer = desk(*words)
    assert answer.code == code  # type: ignore[attr-defined]
    assert told in answer.err + answer.out  # type: ignore[attr-defined]
    assert "Traceback" not in answer.err  # type: ignore[attr-defined]
    assert "ERROR: " in answer.err or words[0] == "info"  # type: ignore[attr-defined]


def test_that_the_process_ends_with_the_exit_code_and_without_traceback(start_desk: Start, tmp_path: Path) -> None:
    process = start_desk("reduce", "lost.fits")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert "Traceback" not in err


def test_that_an_unforeseen_error_is_one_line_and_its_details_are_in_a_file(
    desk: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sofia_engine.cli import info

    monkeypatch.setattr(info, "collect_inputs", lambda names: 1 / 0)
    answer = desk("info", "a.fits")
    assert answer.code == 1  # type: ignore[attr-defined]
    assert "Traceback" not in answer.err  # type: ignore[attr-defined]
    report = Path(answer.err.strip().rpartition("file ")[2].rstrip("."))  # type: ignore[attr-defined]
    assert "ZeroDivisionError" in report.read_text()
    report.unlink()


def test_that_a_reader_that_has_seen_enough_gives_no_error(start_desk: Start) -> None:
    with start_desk("data", "status", "--all") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_that_without_a_command_the_desktop_starts_where_it_is_installed_and_help_is_shown_elsewhere(
    desk: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util
    import types

    installed = types.ModuleType("sofia_app.main")
    installed.main = lambda files: 7 + len(files)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sofia_app.main", installed)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    answer = desk()
    assert answer.out.startswith("usage: sofia-desk")  # type: ignore[attr-defined]
    assert "pip install '.[gui]'" in answer.out  # type: ignore[attr-defined]
    refused = desk("image", "x.fits")
    assert refused.code == 3  # type: ignore[attr-defined]
    assert "pip install '.[gui]'" in refused.err  # type: ignore[attr-defined]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert desk().code == 7  # type: ignore[attr-defined]
    assert desk(__file__).code == 8  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_that_an_interruption_ends_in_good_order_and_can_be_gone_on_with(
    start_desk: Start, tmp_path: Path, make_raw: Callable[..., Path], number: signal.Signals
) -> None:
    make_raw(tmp_path / "raw.fits")
    process = start_desk("reduce", "raw.fits", "--set", "add.seconds=60")
    assert process.stderr is not None
    while "addamount" not in process.stderr.readline():
        assert process.poll() is None
    asked = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - asked < 2
    assert process.returncode == 130
    assert "Traceback" not in err
    name = err.strip().rpartition("--resume ")[2]
    assert (tmp_path / "sofia_desk_parameters.toml").read_text().count("status: interrupted") == 1
    again = start_desk("reduce", "--resume", name, "--set", "add.seconds=0")
    _, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert json.loads((tmp_path / "outfiles.json").read_text())["status"] == "finished"
    assert (tmp_path / "STAR_SUM_raw.fits").exists() or list(tmp_path.glob("STAR_SUM_*.fits"))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_that_a_second_interruption_ends_at_once(
    start_desk: Start, tmp_path: Path, make_raw: Callable[..., Path]
) -> None:
    make_raw(tmp_path / "raw.fits", HANG=True)
    process = start_desk("reduce", "raw.fits")
    assert process.stderr is not None
    while "addamount" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    while "again" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["--version"], ["--help"], ["info", "raw.fits"], ["reduce", "raw.fits", "--json"]])
def test_that_output_that_cannot_be_written_is_one_sentence_and_an_exit_code(
    start_desk: Start, tmp_path: Path, make_raw: Callable[..., Path], words: list[str]
) -> None:
    make_raw(tmp_path / "raw.fits")
    with Path("/dev/full").open("w") as full:
        process = start_desk(*words, stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.splitlines()[-1] == "ERROR: The output cannot be used: No space left on device."
    assert "Traceback" not in err
    assert "Exception ignored" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_that_a_limit_on_the_size_of_files_is_said_and_leaves_no_part(
    start_desk: Start, tmp_path: Path, make_raw: Callable[..., Path]
) -> None:
    import resource

    make_raw(tmp_path / "raw.fits")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))

    process = start_desk("reduce", "raw.fits", "-o", "out", preexec_fn=limit)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "File too large" in err
    assert "Traceback" not in err
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith((".part", "_SUM_raw.fits"))]
