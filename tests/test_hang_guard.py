"""The guard against test runs that hang, proved on runs that do."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX")

PLUGINS = Path(__file__).parent / "plugins"
LIMITS = {"timeout": "4", "hang_margin": "2", "hang_farewell": "20", "hang_silence": "90"}
LOCKED = (
    "import ctypes; c = ctypes.PyDLL(None); lock = bytes(64); c.pthread_mutex_lock(lock), c.pthread_mutex_lock(lock)"
)
"""Waits in C for a lock it holds itself, and keeps Python's lock, too."""


def run_tests(folder: Path, code: str, *words: str, **limits: str) -> tuple[int, str, float]:
    """Run tests in a process group of their own; return exit code, what was said, and seconds."""
    (folder / "test_it.py").write_text(code)
    (folder / "conftest.py").write_text('pytest_plugins = ["hang_guard"]\n')
    settings = LIMITS | limits
    lines = ["[pytest]", f"pythonpath = {PLUGINS}", *(f"{name} = {value}" for name, value in settings.items())]
    (folder / "pytest.ini").write_text("\n".join(lines))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:pytest-qt", *words, str(folder)]
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        said, _ = process.communicate(timeout=100)
    finally:
        process.kill()
    return process.returncode, said, time.monotonic() - started


def test_that_a_test_hanging_in_c_fails_by_name_although_it_is_run_again(tmp_path: Path) -> None:
    code = f"def test_before(): pass\ndef test_hangs():\n    {LOCKED}\ndef test_after(): pass\n"
    exit_code, said, _ = run_tests(tmp_path, code, "-n", "2", "--reruns", "1")
    assert exit_code == 1, said
    assert "Timeout (0:00:06)!" in said
    assert 'test_it.py", line 3 in test_hangs' in said
    assert "crashed while running 'test_it.py::test_hangs'" in said
    assert "1 failed, 2 passed, 1 rerun" in said


def test_that_a_fixture_that_never_ends_fails_by_name(tmp_path: Path) -> None:
    code = (
        "import pytest\n@pytest.fixture\ndef lock():\n    yield\n"
        f"    {LOCKED}\ndef test_hangs(lock): pass\ndef test_after(): pass\n"
    )
    exit_code, said, _ = run_tests(tmp_path, code, "-n", "1")
    assert exit_code == 1, said
    assert "crashed while running 'test_it.py::test_hangs'" in said


def test_that_a_process_waiting_for_a_thread_at_its_end_is_ended(tmp_path: Path) -> None:
    code = "import threading\ndef test_leaves_a_thread(): threading.Thread(target=threading.Event().wait).start()\n"
    exit_code, said, _ = run_tests(tmp_path, code, "-n0", hang_farewell="6")
    assert exit_code == 1, said
    assert "1 passed" in said
    assert "Timeout (0:00:06)!" in said
    assert "_shutdown" in said


def test_that_silence_of_all_workers_ends_the_run_and_names_what_ran(tmp_path: Path) -> None:
    code = f"def test_hangs():\n    {LOCKED}\n"
    exit_code, said, _ = run_tests(tmp_path, code, "-n", "1", timeout="500", hang_silence="20")
    assert exit_code == 70, said
    assert "HANG: no word from any worker for 20 s" in said
    assert "test_it.py::test_hangs (for " in said


def test_that_a_run_that_does_not_hang_is_left_alone_and_a_worker_waits_for_the_other(tmp_path: Path) -> None:
    code = "import time\ndef test_slow(): time.sleep(9)\ndef test_quick(): pass\n"
    exit_code, said, seconds = run_tests(tmp_path, code, "-n", "2", timeout="60", hang_farewell="5")
    assert (exit_code, "Timeout" in said) == (0, False), said
    assert "2 passed" in said
    assert seconds > 9


def test_that_a_worker_waiting_for_a_thread_at_its_end_is_ended(tmp_path: Path) -> None:
    code = "import threading\ndef test_leaves_a_thread(): threading.Thread(target=threading.Event().wait).start()\n"
    exit_code, said, seconds = run_tests(tmp_path, code, "-n", "1", hang_farewell="4")
    assert exit_code == 0, said
    assert "1 passed" in said
    assert seconds < 60
