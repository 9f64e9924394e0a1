"""Blocks of output points, shared by threads."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Cancelled", "Progress", "run_blocks"]

if TYPE_CHECKING:
    Progress = Callable[[int, int], None]
    Cancelled = Callable[[], bool]


def run_blocks(
    work: Callable[[int, int], None],
    count: int,
    size: int,
    threads: int = 1,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> None:
    """Work through ``range(count)`` in blocks.

    Parameters
    ----------
    work : callable
        Called with start and stop of a block, in any thread; it should release the interpreter lock.
    count, size : int
        Number of all, and of those in one block.
    threads : int
        Threads that work at once.
    progress : callable, optional
        Called in the calling thread with the numbers of finished ones and of all; an exception it raises ends the
        work and is passed on.
    cancelled : callable, optional
        Asked before every block; the work ends when it returns True.

    Raises
    ------
    concurrent.futures.CancelledError
        If the work was cancelled.
    """
    blocks = [(start, min(start + size, count)) for start in range(0, count, size)]
    done = 0

    def finish(start: int, stop: int) -> None:
        nonlocal done
        done += stop - start
        if progress is not None:
            progress(done, count)
        _check(cancelled)

    _check(cancelled)
    if threads <= 1 or len(blocks) <= 1:
        for block in blocks:
            work(*block)
            finish(*block)
        return
    with ThreadPoolExecutor(min(threads, len(blocks))) as pool:
        try:
            _share(pool, work, blocks, 2 * threads, finish)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _share(
    pool: ThreadPoolExecutor,
    work: Callable[[int, int], None],
    blocks: list[tuple[int, int]],
    ahead: int,
    finish: Callable[[int, int], None],
) -> None:
    """Keep a few blocks waiting in the pool until all are done."""
    waiting: dict[Future[None], tuple[int, int]] = {}
    rest = iter(blocks)
    while True:
        while len(waiting) < ahead and (block := next(rest, None)) is not None:
            waiting[pool.submit(work, *block)] = block
        if not waiting:
            return
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            block = waiting.pop(future)
            future.result()
            finish(*block)


def _check(cancelled: Cancelled | None) -> None:
    if cancelled is not None and cancelled():
        raise CancelledError("the resampling was cancelled")
