"""Quick-look maps drawn by a process of its own, which gets ready while the reduction runs.

Importing the drawing library takes longer than many a reduction. `start` begins a second process that imports it
meanwhile; `draw` hands work to it. Without such a process, or should it fail, maps are drawn in this one.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import IO, Any

__all__ = ["COMMAND", "draw", "serve", "started"]

COMMAND = "draw-maps"
"""Word of the command line that begins the process; not for users."""

_process: subprocess.Popen[bytes] | None = None
_mutex = threading.Lock()

_FAREWELL = 10.0
_PATIENCE = 60.0
"""Seconds for one map, which takes about one; a process that takes longer is ended, and done without."""


@contextmanager
def started() -> Iterator[None]:
    """Keep a drawing process while the block runs; where none can be begun, do without."""
    global _process  # noqa: PLW0603 - one process serves all reductions of this one
    if _process is not None:
        yield
        return
    with contextlib.suppress(OSError):
        _process = _begin()
    try:
        yield
    finally:
        process, _process = _process, None
        if process is not None:
            _end(process)


def draw(render: Callable[..., bytes], *arguments: Any, **options: Any) -> bytes:
    """Draw something, in the drawing process if there is one.

    Parameters
    ----------
    render : callable
        Function of a module, such as `sofia_engine.map_figure.render_figure`.
    *arguments, **options
        Its arguments; values that can be pickled.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError, ParameterError
        As the function.
    """
    task = partial(render, *arguments, **options)
    answer = _ask(task)
    if isinstance(answer, Exception):
        raise answer
    return task() if answer is None else answer


def serve() -> int:
    """Draw maps asked for on standard input until it ends; answers go to standard output."""
    import os
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks decides when to end
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing else may come between answers
    _get_ready()
    with answers:
        while True:
            try:
                task = pickle.load(sys.stdin.buffer)  # noqa: S301 - it comes from the parent process
            except EOFError:
                return 0
            _send(answers, _carry_out(task))


def _begin() -> subprocess.Popen[bytes]:
    hidden: dict[str, Any] = {"creationflags": 0x08000000} if sys.platform == "win32" else {}  # CREATE_NO_WINDOW
    return subprocess.Popen(  # noqa: S603 - the same program
        [*_program(), COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        **hidden,
    )


def _program() -> Sequence[str]:
    """Return how this program is called, as installed or as one frozen file."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    return [sys.executable, "-P", "-m", "sofia_engine"]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    with contextlib.suppress(subprocess.TimeoutExpired):  # where the system cannot end it, it is left behind
        process.wait(_FAREWELL)


def _ask(task: Callable[[], bytes]) -> bytes | Exception | None:
    """Return what the drawing process answers, or None if there is none or it has ended."""
    global _process  # noqa: PLW0603
    with _mutex:
        if _process is None:
            return None
        assert _process.stdin is not None
        assert _process.stdout is not None
        limit = threading.Timer(_PATIENCE, _process.kill)  # its pipes then end, and so does the waiting
        limit.daemon = True
        limit.start()
        try:
            _send(_process.stdin, task)
            answer: bytes | Exception = pickle.load(_process.stdout)  # noqa: S301 - from the process begun here
        except (OSError, EOFError, pickle.PickleError):
            _end(_process)
            _process = None
            return None
        finally:
            limit.cancel()
        return answer


def _send(stream: IO[bytes], message: Any) -> None:
    pickle.dump(message, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def _get_ready() -> None:
    """Import all that drawing needs, and draw a little, which loads fonts."""
    import gc

    gc.disable()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1), dpi=50)
    canvas = FigureCanvasAgg(figure)
    figure.add_axes((0.2, 0.2, 0.6, 0.6)).imshow([[0.0, 1.0]])
    canvas.draw()
    from sofia_engine import map_figure  # noqa: F401

    gc.enable()


def _carry_out(task: Callable[[], bytes]) -> bytes | Exception:
    from sofia_engine.errors import SofiaDeskError

    try:
        return task()
    except SofiaDeskError as error:
        return error
    except Exception as error:  # noqa: BLE001 - told to the process that asked
        return RuntimeError(f"{type(error).__name__}: {error}")
