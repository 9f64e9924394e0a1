"""A process of this program that carries out tasks for another one, and can be done without when it hangs or dies.

Unlike the pools of the standard library it does not run the user's main module anew, keeps no lock that a process that
died could hold, waits for no answer without an end, and leaves nothing that the interpreter waits for at its exit.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, TypeVar

from sofia_engine.spawning import start_process

__all__ = ["COMMAND", "HelperLostError", "HelperProcess", "program_command", "serve", "serve_in_background"]

COMMAND = "run-tasks"
"""Word of the command line that begins a process for any task; not for users."""

_FAREWELL = 10.0
_NICENESS = 5
_T = TypeVar("_T")


class HelperLostError(Exception):
    """The process ended before it answered, or was ended because it took too long."""


class HelperProcess:
    """A process that carries out one task after the other.

    Parameters
    ----------
    command : str
        Word of the command line that begins it.
    patience : float
        Seconds a task may take before the process is ended.

    Raises
    ------
    OSError
        If no process can be begun.
    """

    def __init__(self, command: str = COMMAND, patience: float = 300.0) -> None:
        self.patience = patience
        self._unread = 0
        self.process = start_process([*program_command(), command])

    def tell(self, task: Callable[[], object]) -> None:
        """Have a task carried out when the process gets to it, without waiting; nobody learns how it went.

        Raises
        ------
        HelperLostError
            If the process ended.
        """
        assert self.process.stdin is not None
        with self._ended_if_lost():
            _send(self.process.stdin, task)
        self._unread += 1

    def ask(self, task: Callable[[], _T]) -> _T:
        """Have a task carried out, after those told before; one at a time.

        Parameters
        ----------
        task : callable
            A function of a module, or `functools.partial` of one; it and what it returns can be pickled.

        Raises
        ------
        HelperLostError
            If the process ended or did not answer in time; it has been ended then.
        SofiaDeskError
            As the task.
        RuntimeError
            If the task raised anything else.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        limit = threading.Timer(self.patience, self.process.kill)  # its pipes then end, and so does the waiting
        limit.daemon = True
        limit.start()
        try:
            with self._ended_if_lost():
                _send(self.process.stdin, task)
                while self._unread:
                    pickle.load(self.process.stdout)  # noqa: S301 - from the process begun here
                    self._unread -= 1
                answer = pickle.load(self.process.stdout)  # noqa: S301
        finally:
            limit.cancel()
        if isinstance(answer, Exception):
            raise answer
        result: _T = answer
        return result

    @contextlib.contextmanager
    def _ended_if_lost(self) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError, ValueError, pickle.PickleError) as error:
            self.end()
            raise HelperLostError(f"The process ended while it worked ({type(error).__name__}).") from error

    def kill(self) -> None:
        """End the process; whoever waits for its answer, in another thread, gets `HelperLostError`."""
        self.process.kill()

    def end(self) -> None:
        """End the process and let go of it."""
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # where the system cannot end it, it is left behind
            self.process.wait(_FAREWELL)


def serve(prepare: Callable[[], None] | None = None) -> int:
    """Carry out tasks that come on standard input until it ends; answers go to standard output.

    Parameters
    ----------
    prepare : callable, optional
        Done first, while the other process still has other things to do.

    Returns
    -------
    int
        Exit code.
    """
    import os
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks decides when to end
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing else may come between answers
    if prepare is not None:
        prepare()
    with answers:
        while True:
            try:
                task = pickle.load(sys.stdin.buffer)  # noqa: S301 - it comes from the parent process
            except EOFError:
                return 0
            _send(answers, _carry_out(task))


def serve_in_background() -> int:
    """Carry out any task, and leave the processor to programs that somebody waits for."""
    return serve(_step_back)


def _step_back() -> None:
    import os

    if hasattr(os, "nice"):  # POSIX
        os.nice(_NICENESS)


def program_command() -> Sequence[str]:
    """Return how this program is called, as installed or as one frozen file."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    return [sys.executable, "-P", "-m", "sofia_engine"]


def _send(stream: IO[bytes], message: Any) -> None:
    pickle.dump(message, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def _carry_out(task: Callable[[], Any]) -> Any:
    from sofia_engine.errors import SofiaDeskError

    try:
        return task()
    except SofiaDeskError as error:
        return error
    except Exception as error:  # noqa: BLE001 - told to the process that asked
        return RuntimeError(f"{type(error).__name__}: {error}")
