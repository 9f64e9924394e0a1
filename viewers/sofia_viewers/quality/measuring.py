"""Measuring many files: in threads, many in processes; what was measured before is remembered."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sofia_engine.errors import SofiaDeskError
from sofia_engine.product import write_atomically
from sofia_viewers.quality.metrics import Metrics, measure_file

__all__ = ["MetricsCache", "measure_files"]

_LOG = logging.getLogger(__name__)

_MANY = 60
"""From so many files on, processes pay for their start."""
_VERSION = 1
_MOST_KEPT = 20_000


class MetricsCache:
    """Remembers what files were measured to be, as long as they do not change.

    Parameters
    ----------
    path : Path, optional
        File it is kept in between sessions; none if left out.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._rows: dict[str, Metrics] = {}
        self._lock = threading.Lock()
        self._is_read = path is None
        self._changed = False

    def find(self, path: Path) -> Metrics | None:
        """Return what a file was measured to be, or None if it is new or has changed."""
        stamp = _stamp(path)
        with self._lock:
            self._read()
            return self._rows.get(stamp) if stamp else None

    def keep(self, path: Path, row: Metrics) -> None:
        """Remember a file."""
        stamp = _stamp(path)
        if stamp and not row.problem:
            with self._lock:
                self._read()
                self._rows[stamp] = row
                self._changed = True

    def save(self) -> None:
        """Write what is new to the file of the cache; if it cannot be written, it is measured again next time."""
        with self._lock:
            if self.path is None or not self._changed:
                return
            rows = list(self._rows.items())[-_MOST_KEPT:]
            content = {"version": _VERSION, "rows": {stamp: _pack(row) for stamp, row in rows}}
            self._changed = False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, lambda stream: stream.write(json.dumps(content).encode()))
        except OSError as error:
            _LOG.warning("%s cannot be written: %s.", self.path, error)

    def _read(self) -> None:
        if self._is_read or self.path is None:
            return
        self._is_read = True
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["version"] == _VERSION:
                self._rows = {
                    stamp: Metrics(row["values"], Path(row["path"])) for stamp, row in content["rows"].items()
                }
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            _LOG.warning("%s is damaged and not used: %s.", self.path, error)


def measure_files(
    paths: Sequence[Path],
    report: Callable[[int, Metrics], None],
    *,
    cache: MetricsCache | None = None,
    cancelled: threading.Event | None = None,
    jobs: int | None = None,
) -> int:
    """Measure files and report each as soon as it is done.

    Parameters
    ----------
    paths : sequence of Path
        FITS files.
    report : callable
        Gets the position of a file in the sequence and what it was measured to be; a file that cannot be measured has
        a `problem`. Called in the thread this function runs in.
    cache : MetricsCache, optional
        What is known already.
    cancelled : Event, optional
        Set it to stop; files that are being measured are finished, but not reported.
    jobs : int, optional
        Files measured side by side; as many as processors if left out.

    Returns
    -------
    int
        Number of files that were reported.
    """
    cache, cancelled = cache or MetricsCache(), cancelled or threading.Event()
    unknown: list[int] = []
    count = 0
    for position, path in enumerate(paths):
        row = cache.find(path)
        if row is None:
            unknown.append(position)
        else:
            report(position, row)
            count += 1
    for position, row in _measure_unknown({place: paths[place] for place in unknown}, cancelled, jobs):
        cache.keep(paths[position], row)
        report(position, row)
        count += 1
    cache.save()
    return count


def measure_or_explain(path: Path) -> Metrics:
    """Measure a file; if that fails, return why."""
    try:
        return measure_file(path)
    except SofiaDeskError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - one strange file must not lose the others
        _LOG.debug("%s could not be measured.", path, exc_info=True)
        problem = f"{path} cannot be measured ({type(error).__name__}: {error})."
    return Metrics({"file": path.name, "run": path.parent.name}, path, problem=problem)


def _measure_unknown(
    files: dict[int, Path], cancelled: threading.Event, jobs: int | None
) -> Iterator[tuple[int, Metrics]]:
    """Measure files in processes if there are many, else (or where processes cannot be started) in threads."""
    workers = max(1, min(jobs or os.cpu_count() or 1, len(files)))
    left = dict(files)
    if len(files) >= _MANY and workers > 1:
        try:
            for position, row in _measure_in(_start_processes(workers), left, cancelled, workers):
                del left[position]
                yield position, row
        except (BrokenProcessPool, RuntimeError, OSError) as error:
            _LOG.info("Files are measured in threads: processes cannot be used here (%s).", type(error).__name__)
    if left and not cancelled.is_set():
        yield from _measure_in(ThreadPoolExecutor(workers, thread_name_prefix="measure"), left, cancelled, workers)


def _measure_in(
    pool: Executor, files: dict[int, Path], cancelled: threading.Event, workers: int
) -> Iterator[tuple[int, Metrics]]:
    with pool:
        waiting = dict(reversed(files.items()))
        running: dict[Future[Metrics], int] = {}
        try:
            while (waiting or running) and not cancelled.is_set():
                while waiting and len(running) < 2 * workers:
                    position, path = waiting.popitem()
                    running[pool.submit(measure_or_explain, path)] = position
                done, _ = wait(running, timeout=0.1, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start_processes(workers: int) -> Executor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{path.resolve()}|{status.st_mtime_ns}|{status.st_size}"


def _pack(row: Metrics) -> dict[str, Any]:
    packed = asdict(replace(row, path=None))
    return {"values": packed["values"], "path": str(row.path)}
