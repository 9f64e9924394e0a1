"""Measuring many files: some in threads, many in processes; what was measured before is remembered.

Threads that compute keep Python's lock from the thread of the windows; processes do not, and use all processors.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from sofia_engine.errors import SofiaDeskError
from sofia_engine.helper_process import HelperLostError, HelperProcess
from sofia_engine.product import write_atomically
from sofia_viewers.quality.metrics import Metrics, measure_file

__all__ = ["MetricsCache", "measure_files"]

_LOG = logging.getLogger(__name__)

_MANY = 12
"""From so many files on, processes pay for their start, which takes a second."""
_PATIENCE = 120.0
"""Seconds for one file."""
_FAREWELL = 5.0
"""Seconds that threads have to end."""
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
        Set it to stop; files that are being measured are not reported.
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
    return _explain(path, problem)


def _explain(path: Path, problem: str) -> Metrics:
    return Metrics({"file": path.name, "run": path.parent.name}, path, problem=problem)


def _measure_unknown(
    files: dict[int, Path], cancelled: threading.Event, jobs: int | None
) -> Iterator[tuple[int, Metrics]]:
    """Measure files in processes if there are many, else (or where processes cannot be begun) in threads."""
    if not files:
        return
    crew = _Crew(files, len(files) >= _MANY)
    crew.start(max(1, min(jobs or os.cpu_count() or 1, len(files))))
    try:
        count = 0
        while count < len(files) and not cancelled.is_set():
            try:
                yield crew.measured.get(timeout=0.1)
            except queue.Empty:
                continue
            count += 1
    finally:
        crew.stop()


class _Crew:
    """Threads that measure, each by means of a process of its own if that is asked for.

    Parameters
    ----------
    files : dict of int to Path
        What to measure.
    in_processes : bool
        Whether threads let processes do it.
    """

    def __init__(self, files: dict[int, Path], in_processes: bool) -> None:
        self.measured: queue.SimpleQueue[tuple[int, Metrics]] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[tuple[int, Path]] = queue.SimpleQueue()
        for item in files.items():
            self._waiting.put(item)
        self._in_processes = in_processes
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._helpers: list[HelperProcess] = []
        self._threads: list[threading.Thread] = []

    def start(self, workers: int) -> None:
        """Begin to measure."""
        self._threads = [threading.Thread(target=self._work, name="measure", daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the processes, and wait for the threads, though not for ever: one may hang in a file system."""
        self._stopped.set()
        with self._lock:
            for helper in self._helpers:
                helper.kill()
        for thread in self._threads:
            thread.join(_FAREWELL)

    def _work(self) -> None:
        helper: HelperProcess | None = self._begin()
        try:
            while not self._stopped.is_set():
                position, path = self._waiting.get_nowait()
                try:
                    row = measure_or_explain(path) if helper is None else helper.ask(partial(measure_or_explain, path))
                except HelperLostError:
                    if self._stopped.is_set():
                        return
                    row = _explain(path, f"{path} cannot be measured: the process that did it ended or took too long.")
                    helper = self._begin()
                except RuntimeError as error:
                    row = _explain(path, f"{path} cannot be measured ({error}).")
                self.measured.put((position, row))
        except queue.Empty:
            pass
        finally:
            if helper is not None:
                helper.end()

    def _begin(self) -> HelperProcess | None:
        """Begin a process and see that it works; None where that is impossible or not wanted."""
        if not self._in_processes:
            return None
        try:
            with self._lock:
                helper = HelperProcess(patience=_PATIENCE)
                self._helpers.append(helper)
            if self._stopped.is_set():
                helper.kill()
            helper.ask(os.getpid)
        except (OSError, HelperLostError) as error:
            _LOG.info("Files are measured in threads: processes cannot be used here (%s).", error)
            return None
        return helper


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{path.resolve()}|{status.st_mtime_ns}|{status.st_size}"


def _pack(row: Metrics) -> dict[str, Any]:
    packed = asdict(replace(row, path=None))
    return {"values": packed["values"], "path": str(row.path)}
