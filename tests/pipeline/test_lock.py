"""Locks: one user of a folder at a time, released however its holder ends."""

import errno
import signal
import subprocess
import sys

import pytest

from sofia_engine.errors import SessionError
from sofia_engine.pipeline import lock as locks
from sofia_engine.pipeline.lock import FolderLock

HOLDER = """
import sys, time
from pathlib import Path
from sofia_engine.pipeline.lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_that_a_second_user_in_the_same_process_is_refused(tmp_path):
    first = FolderLock(tmp_path / ".lock")
    first.acquire()
    with pytest.raises(SessionError, match="open in another window or command"):
        FolderLock(tmp_path / ".lock").acquire()
    first.release()
    second = FolderLock(tmp_path / ".lock")
    second.acquire()
    second.release()


def test_that_a_release_may_be_repeated(tmp_path):
    lock = FolderLock(tmp_path / ".lock")
    lock.release()
    lock.acquire()
    lock.release()
    lock.release()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_that_a_killed_holder_holds_nothing(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / ".lock"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(SessionError):
            FolderLock(tmp_path / ".lock").acquire()
        holder.send_signal(signal.SIGKILL)
        holder.wait(20)
    lock = FolderLock(tmp_path / ".lock")
    lock.acquire()
    lock.release()


def test_that_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SessionError, match="nowhere cannot be used: No such file"):
        FolderLock(tmp_path / "nowhere" / ".lock").acquire()


def test_that_a_file_system_without_locks_is_not_taken_for_another_user(tmp_path, monkeypatch):
    def fail(_file):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "_lock", fail)
    with pytest.raises(SessionError, match="cannot be locked: No locks available"):
        FolderLock(tmp_path / ".lock").acquire()
