"""Quick-look maps drawn by a process of its own, which gets ready while the reduction runs.

Importing the drawing library takes longer than many a reduction. `start` begins a second process that imports it
meanwhile; `draw` hands work to it. Without such a process, or should it fail, maps are drawn in this one.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sofia_engine.helper_process import HelperLostError, HelperProcess

__all__ = ["COMMAND", "draw", "serve", "started"]

COMMAND = "draw-maps"
"""Word of the command line that begins the process; not for users."""

_process: HelperProcess | None = None
_mutex = threading.Lock()

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
    answer = _ask(task)
    return task() if answer is None else answer


def serve() -> int:
    """Draw maps asked for on standard input until it ends; answers go to standard output."""
    from sofia_engine.helper_process import serve as serve_tasks

    return serve_tasks(_get_ready)


def _ask(task: Callable[[], bytes]) -> bytes | None:
    """Return what the drawing process answers, or None if there is none or it has ended."""
    global _process  # noqa: PLW0603
    with _mutex:
        if _process is None:
            return None
        try:
            return _process.ask(task)
        except HelperLostError:
            _process = None
            return None


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
