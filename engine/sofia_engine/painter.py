"""Quick-look maps drawn by a process of its own, which gets ready while the reduction runs.

Importing the drawing library takes longer than many a reduction. `started` begins a second process that imports it
meanwhile; `draw` hands work to it. Without such a process, or should it fail, maps are drawn in this one.

The same holds for other code that takes long to load and little time to run: `prepare` has it loaded by that process,
which has nothing else to do until the map, and `work_out` has it run there.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from sofia_engine.errors import SofiaDeskError
from sofia_engine.helper_process import HelperLostError, HelperProcess
from sofia_engine.memory import release_freed

__all__ = ["COMMAND", "draw", "prepare", "serve", "started", "work_out"]

COMMAND = "draw-maps"
"""Word of the command line that begins the process; not for users."""

_T = TypeVar("_T")
_process: HelperProcess | None = None
_mutex = threading.Lock()

_PATIENCE = 60.0
"""Seconds for one map, which takes about one; a process that takes longer is ended, and done without."""
_GLANCE = 0.1
"""Seconds between two looks at whether the user wants to stop."""


@contextmanager
def started() -> Iterator[None]:
    """Keep a drawing process while the block runs; where none can be begun, do without."""
    global _process  # noqa: PLW0603 - one process serves all reductions of this one
    if _process is not None:
        yield
        return
    with contextlib.suppress(OSError):
        _process = HelperProcess(COMMAND, _PATIENCE)
    try:
        yield
    finally:
        process, _process = _process, None
        if process is not None:
            process.end()


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
    if _process is not None:
        release_freed()  # drawing takes much
    answer = _ask(task)
    return task() if answer is None else answer


def prepare(load: Callable[[], object]) -> None:
    """Have the drawing process, if there is one, load code for `work_out`; nobody waits for it.

    Parameters
    ----------
    load : callable
        Function of a module.
    """
    global _process  # noqa: PLW0603
    with _mutex:
        if _process is not None:
            try:
                _process.tell(load)
            except HelperLostError:
                _process = None


def work_out(task: Callable[[], _T], watch: Callable[[], None]) -> _T | None:
    """Have something worked out by the drawing process.

    Parameters
    ----------
    task : callable
        A function of a module, or `functools.partial` of one; it and what it returns can be pickled.
    watch : callable
        Called again and again while this process waits; if it raises, the other one is ended.

    Returns
    -------
    object or None
        None if it was not worked out: there is no process, it has ended, or the task failed; do it here then.
    """
    process = _process
    if process is None:
        return None
    found: list[_T | None] = []
    waiting = threading.Thread(target=lambda: found.append(_ask(task, or_none=True)), daemon=True)
    waiting.start()
    try:
        while waiting.is_alive():
            watch()
            waiting.join(_GLANCE)
    except BaseException:
        process.kill()
        waiting.join(_PATIENCE)
        raise
    return found[0] if found else None


def serve() -> int:
    """Draw maps asked for on standard input until it ends; answers go to standard output."""
    from sofia_engine.helper_process import serve as serve_tasks

    return serve_tasks(_get_ready)


def _ask(task: Callable[[], _T], *, or_none: bool = False) -> _T | None:
    """Return what the drawing process answers, or None if there is none or it has ended (or the task failed)."""
    global _process  # noqa: PLW0603
    with _mutex:
        if _process is None:
            return None
        try:
            return _process.ask(task)
        except HelperLostError:
            _process = None
            return None
        except (SofiaDeskError, RuntimeError):
            if not or_none:
                raise
            return None


def _get_ready() -> None:
    """Import all that drawing needs, and draw a little."""
    import gc

    gc.disable()
    from sofia_engine.spectral_figure import get_ready

    get_ready()
    gc.freeze()  # what has been loaded stays
    gc.enable()
