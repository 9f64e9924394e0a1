"""Many reductions at once: every group of files among those given, each into a folder of its own."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from sofia_engine.errors import CancelledError, SofiaDeskError
from sofia_engine.pipeline.detection import Group, InputFile, Inspection
from sofia_engine.pipeline.events import Sink, ignore
from sofia_engine.pipeline.run import Cancel
from sofia_engine.pipeline.runner import RunRequest, RunResult, run_reduction

__all__ = ["GroupResult", "local_executor", "name_folders", "reduce_groups", "split_by_observation"]

_OBSERVATION = ("MISSN-ID", "AOR_ID", "OBJECT")


class _HasExecutor(Protocol):
    def get_executor(self) -> Executor: ...


@dataclass(frozen=True)
class GroupResult:
    """How the reduction of one group went.

    Parameters
    ----------
    label : str
        What the group is.
    folder : Path
        Where its files are.
    result : RunResult
        What the run did.
    """

    label: str
    folder: Path
    result: RunResult


def reduce_groups(
    inspection: Inspection,
    request: RunRequest,
    *,
    executor: Executor | _HasExecutor | None = None,
    cancel: Cancel | None = None,
    tell: Callable[[GroupResult, int, int], None] | None = None,
    sink: Sink = ignore,
) -> list[GroupResult]:
    """Reduce every group; one that fails does not hold up the others.

    Parameters
    ----------
    inspection : Inspection
        The groups.
    request : RunRequest
        What holds for all of them. Each group's files go to a folder of its own in the output directory.
    executor : Executor or dask Client, optional
        Where reductions are sent; None does one after the other in this process.
    cancel : Cancel, optional
        Raised by another thread to stop: what runs in this process ends soon, what waits is not begun.
    tell : callable, optional
        Called with each result, the number done and the number of groups.
    sink : callable, optional
        Gets the events of reductions in this process.

    Returns
    -------
    list of GroupResult
        In the order of the groups.
    """
    cancel = cancel or Cancel()
    requests = list(_split(inspection, request))
    finished: dict[int, GroupResult] = {}

    def keep(position: int, result: RunResult) -> None:
        label, own = requests[position]
        finished[position] = GroupResult(label, own.options.folder, result)
        if tell is not None:
            tell(finished[position], len(finished), len(requests))

    if executor is None:
        for position, (_, own) in enumerate(requests):
            keep(position, _reduce(own, sink, cancel))
    else:
        pool = executor if isinstance(executor, Executor) else executor.get_executor()
        for position, result in _send(pool, [own for _, own in requests], cancel):
            keep(position, result)
    return [finished[position] for position in sorted(finished)]


@contextmanager
def local_executor(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of fresh processes on this machine."""
    import multiprocessing

    with ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare_worker
    ) as pool:
        yield pool


def split_by_observation(inspection: Inspection) -> Inspection:
    """Return the groups with files of different flights, plans (AOR) and targets apart.

    Files of a folder of the archive may fit each other and yet be of different observations.
    """
    groups = [part for group in inspection.groups for part in _split_group(group)]
    return replace(inspection, groups=tuple(groups))


def _split_group(group: Group) -> Iterator[Group]:
    parts: dict[tuple[str, ...], list[InputFile]] = {}
    for file in group.files:
        parts.setdefault(tuple(str(file.header.get(key, "")).strip() for key in _OBSERVATION), []).append(file)
    for (mission, plan, _), files in parts.items():
        yield replace(group, files=tuple(files), key=(*group.key, *filter(None, (mission, plan))))


def name_folders(groups: Sequence[Group]) -> list[str]:
    """Return a folder name for each group, all different: recipe, target, and what else sets groups apart."""
    names: list[str] = []
    for group in groups:
        words = [group.recipe.name, str(group.files[0].header.get("OBJECT", "")), *group.key]
        name = "-".join(filter(None, (re.sub(r"[^A-Za-z0-9.+-]+", "_", word).strip("_.") for word in words)))[:100]
        repeats = sum(other == name or other.startswith(f"{name}~") for other in names)
        names.append(f"{name}~{repeats + 1}" if repeats else name)
    return names


def _split(inspection: Inspection, request: RunRequest) -> Iterator[tuple[str, RunRequest]]:
    for group, name in zip(inspection.groups, name_folders(inspection.groups), strict=True):
        options = replace(request.options, output_directory=request.options.folder / name)
        files = tuple(file.path.resolve() for file in group.files)
        yield group.label, replace(request, files=files, options=options)


def _send(pool: Executor, requests: Sequence[RunRequest], cancel: Cancel) -> Iterable[tuple[int, RunResult]]:
    futures: Mapping[Future[RunResult], int] = {
        pool.submit(_reduce_elsewhere, request): position for position, request in enumerate(requests)
    }
    stopper = threading.Thread(target=_cancel_waiting, args=(cancel, list(futures)), daemon=True)
    stopper.start()
    for future in as_completed(futures):
        yield futures[future], _result_of(future)


def _cancel_waiting(cancel: Cancel, futures: Sequence[Future[Any]]) -> None:
    from concurrent.futures import wait

    while wait(futures, timeout=0.2).not_done:
        if cancel.is_set():
            for future in futures:
                future.cancel()
            return


def _result_of(future: Future[RunResult]) -> RunResult:
    from concurrent.futures import CancelledError as NotBegun

    try:
        return future.result()
    except NotBegun:
        return RunResult("interrupted", error="Not begun: stopped by the user.")
    except Exception as error:  # noqa: BLE001 - a worker that died must not take the others' results with it
        return RunResult("failed", error=f"The process that did the work ended ({type(error).__name__}: {error}).")


def _reduce(request: RunRequest, sink: Sink, cancel: Cancel) -> RunResult:
    if cancel.is_set():
        return RunResult("interrupted", error="Not begun: stopped by the user.")
    try:
        return run_reduction(request, sink=sink, cancel=cancel)
    except CancelledError as error:
        return RunResult("interrupted", error=str(error))
    except SofiaDeskError as error:
        return RunResult("failed", error=str(error), inputs=tuple(map(str, request.files)))


_worker_cancel = Cancel()


def _prepare_worker() -> None:
    """Let Ctrl-C, which reaches all processes of a terminal, stop the reduction in this one in good order."""
    import signal
    import warnings

    warnings.simplefilter("ignore")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _worker_cancel.set())


def _reduce_elsewhere(request: RunRequest) -> RunResult:
    return _reduce(request, ignore, _worker_cancel)
