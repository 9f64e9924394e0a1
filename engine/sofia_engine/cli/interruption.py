"""Ctrl-C and SIGTERM: the first asks the reduction to stop, the second ends the program."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sofia_engine.pipeline.run import Cancel

__all__ = ["stop_on_signal"]


@contextmanager
def stop_on_signal() -> Iterator[Cancel]:
    """Give a flag that SIGINT and SIGTERM raise while the block runs; in threads other than the main one, nothing
    raises it.
    """
    from sofia_engine.pipeline.run import Cancel

    cancel = Cancel()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()
        sys.stderr.write("\nStopping; press Ctrl-C again to stop at once.\n")

    if threading.current_thread() is not threading.main_thread():
        yield cancel
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancel
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
