"""Starting processes with other threads going on."""

import subprocess
import sys
import threading
import time

import pytest

from sofia_engine import spawning
from sofia_engine.spawning import start_process

ECHO = "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data[::-1]); sys.exit(len(data))"


@pytest.fixture(params=["spawned", "subprocess"])
def way(request, monkeypatch):
    """Both ways to start a process."""
    if request.param == "subprocess":
        monkeypatch.setattr(spawning, "_load_library", lambda: None)
    return request.param


@pytest.mark.usefixtures("way")
def test_that_a_process_reads_writes_and_ends_with_its_code():
    child = start_process([sys.executable, "-c", ECHO])
    with child.stdin, child.stdout:
        child.stdin.write(b"abc")
        child.stdin.close()
        assert child.stdout.read() == b"cba"
    assert child.wait(20) == 3
    assert child.poll() == 3


@pytest.mark.usefixtures("way")
def test_that_a_process_that_is_killed_says_so():
    child = start_process([sys.executable, "-c", "import time; time.sleep(60)"])
    with child.stdin, child.stdout:
        assert child.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.01)
        child.kill()
        assert child.wait(20) < 0 or sys.platform == "win32"
        child.kill()  # of no effect any more


@pytest.mark.usefixtures("way")
def test_that_the_environment_is_handed_on(monkeypatch):
    monkeypatch.setenv("SOFIA_DESK_TEST", "größer = besser")
    child = start_process(
        [sys.executable, "-X", "utf8", "-c", "import os; print(ascii(os.environ['SOFIA_DESK_TEST']))"]
    )
    with child.stdin, child.stdout:
        assert child.stdout.read().strip().decode() == ascii("größer = besser")
    assert child.wait(20) == 0


@pytest.mark.usefixtures("way")
def test_that_a_program_that_is_not_there_is_an_error():
    with pytest.raises(OSError, match="no such program"):
        start_process(["/no such program"])


@pytest.mark.skipif(sys.platform != "linux", reason="open files are listed as Linux does")
def test_that_a_process_gets_no_files_but_its_streams(tmp_path):
    with (tmp_path / "open").open("w"):
        child = start_process(
            [sys.executable, "-c", "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:4])"]
        )
        with child.stdin, child.stdout:
            assert child.stdout.read().strip() == b"[0, 1, 2, 3]"  # 3 is the folder that is listed
        assert child.wait(20) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the lock is released on Linux only")
def test_that_other_threads_go_on_while_a_process_starts(monkeypatch):
    """A library that takes long to start a process holds up nobody."""
    started, counts = threading.Event(), []
    real = spawning._load_library()

    class Slow:
        def __getattr__(self, name):
            return getattr(real, name)

        @staticmethod
        def posix_spawnp(*arguments):
            started.set()
            real.usleep(300_000)  # in the C library, as the start itself
            return real.posix_spawnp(*arguments)

    monkeypatch.setattr(spawning, "_load_library", Slow)
    thread = threading.Thread(target=lambda: counts.append(start_process([sys.executable, "-c", ""])))
    thread.start()
    started.wait(10)
    begun = time.monotonic()
    time.sleep(0.01)
    assert time.monotonic() - begun < 0.25
    thread.join(20)
    child = counts[0]
    with child.stdin, child.stdout:
        assert child.wait(20) == 0
