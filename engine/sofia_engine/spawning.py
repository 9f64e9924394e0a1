"""Starting a process without stopping the other threads of this one.

While `subprocess` starts a process it holds Python's lock until the new one runs; on a busy machine a window is deaf
for 20 to 50 ms meanwhile. On Linux the C library is asked directly here, with the lock released; elsewhere
`subprocess` does it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Any, Protocol

__all__ = ["Child", "start_process"]

_OPAQUE = 512
"""Bytes for structures of the C library whose size it alone knows (80 and 336 in glibc)."""
_SETSIGDEF, _SETSIGMASK = 0x04, 0x08
_POLL = 0.005


class Child(Protocol):
    """A process that was started, with pipes to its standard input and from its standard output."""

    pid: int
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""

    def kill(self) -> None:
        """End it at once."""

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; `subprocess.TimeoutExpired` if that takes too long."""


def start_process(command: Sequence[str]) -> Child:
    """Start a process; what it writes to standard error is dropped.

    Raises
    ------
    OSError
        If it cannot be started.
    """
    library = _load_library()
    if library is not None:
        return _Spawned(library, command)
    hidden: dict[str, Any] = {"creationflags": 0x08000000} if sys.platform == "win32" else {}  # CREATE_NO_WINDOW
    return subprocess.Popen(  # noqa: S603 - the same program
        list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **hidden
    )


def _load_library() -> Any:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "posix_spawn") and hasattr(library, "posix_spawnp") else None


class _Spawned:
    """A process started by posix_spawn."""

    def __init__(self, library: Any, command: Sequence[str]) -> None:
        self.returncode: int | None = None
        with ExitStack() as ours:  # of this process: closed here, and kept by the new one
            to_child, stdin = os.pipe()
            ours.callback(os.close, to_child)
            stdout, from_child = os.pipe()
            ours.callback(os.close, from_child)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            ours.callback(os.close, nowhere)
            self.stdin: IO[bytes] | None = os.fdopen(stdin, "wb")
            self.stdout: IO[bytes] | None = os.fdopen(stdout, "rb")
            try:
                self.pid = _spawn(library, command, (to_child, from_child, nowhere))
            except OSError:
                self.stdin.close()
                self.stdout.close()
                raise

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for it
                self.returncode = 0
            else:
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        end = time.monotonic() + timeout if timeout is not None else float("inf")
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(_POLL)
        return code


def _spawn(library: Any, command: Sequence[str], streams: Sequence[int]) -> int:
    """Start a process with files of this one as its streams 0, 1, 2; return its number."""
    pid = ctypes.c_int()
    with _prepared(library, "file_actions") as actions, _prepared(library, "attr") as attributes:
        for target, source in enumerate(streams):
            _check(library.posix_spawn_file_actions_adddup2(actions, source, target))
        _restore_signals(library, attributes)
        error = library.posix_spawnp(
            ctypes.byref(pid), os.fsencode(command[0]), actions, attributes, _texts(command), _texts(_environment())
        )  # ctypes lets other threads run meanwhile
        _check(error, command[0])
    return pid.value


@contextmanager
def _prepared(library: Any, kind: str) -> Iterator[Any]:
    structure = ctypes.create_string_buffer(_OPAQUE)
    names = {"file_actions": "posix_spawn_file_actions", "attr": "posix_spawnattr"}
    _check(getattr(library, f"{names[kind]}_init")(structure))
    try:
        yield structure
    finally:
        getattr(library, f"{names[kind]}_destroy")(structure)


def _restore_signals(library: Any, attributes: Any) -> None:
    """Give the new process the signals Python ignores or holds back in this one."""
    signals, none = ctypes.create_string_buffer(_OPAQUE), ctypes.create_string_buffer(_OPAQUE)
    library.sigemptyset(signals)
    library.sigemptyset(none)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        library.sigaddset(signals, int(number))
    _check(library.posix_spawnattr_setsigdefault(attributes, signals))
    _check(library.posix_spawnattr_setsigmask(attributes, none))
    flags = ctypes.c_short(_SETSIGDEF | _SETSIGMASK)
    _check(library.posix_spawnattr_setflags(attributes, flags))


def _environment() -> list[str]:
    return [f"{name}={value}" for name, value in os.environ.items()]


def _texts(words: Sequence[str]) -> Any:
    return (ctypes.c_char_p * (len(words) + 1))(*map(os.fsencode, words), None)


def _check(error: int, name: str = "") -> None:
    if error:
        raise OSError(error, os.strerror(error), name or None)
