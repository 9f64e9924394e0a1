"""The command line in this process, and as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TOY_FOLDER = Path(__file__).resolve().parents[1] / "toy_instruments"
START = (
    "import sys, sofia_engine.instruments as i; i.__path__.append({folder!r}); "
    "from sofia_engine.cli import main; sys.exit(main())"
)


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def desk(
    toy_instrument: None,
    sessions: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Answer]:
    """Give a function that runs a command in this process, in a folder of its own."""
    from sofia_engine.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Answer:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture
def start_desk(sessions: Path, tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Give a function that starts a command as a process of its own, which is ended at the end of the test.

    The toy instrument is known to it.
    """
    started: list[subprocess.Popen[str]] = []

    def start(*words: object, **options: Any) -> "subprocess.Popen[str]":
        program = [sys.executable, "-c", START.format(folder=str(TOY_FOLDER)), *map(str, words)]
        process = subprocess.Popen(
            program,
            cwd=tmp_path,
            env=os.environ | {"SOFIA_DESK_SESSIONS": str(sessions), "PYTHONUNBUFFERED": "1"},
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=20)
