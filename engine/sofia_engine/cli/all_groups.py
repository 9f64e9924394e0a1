"""``sofia-desk reduce --all-groups``: each group of files into a folder of its own."""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from dataclasses import replace

from sofia_engine.batch import GroupResult, local_executor, reduce_groups, split_by_observation
from sofia_engine.cli.exit_codes import FAILED, INTERRUPTED, OK, SKIPPED
from sofia_engine.cli.interruption import stop_on_signal
from sofia_engine.cli.terminal import Terminal
from sofia_engine.errors import InputError
from sofia_engine.memory import limited_memory, share_memory
from sofia_engine.pipeline.detection import Inspection
from sofia_engine.pipeline.runner import RunRequest

__all__ = ["reduce_all"]


def reduce_all(request: RunRequest, inspection: Inspection, *, level: str, as_json: bool) -> int:
    """Reduce all groups, tell how each went, and return the exit code."""
    if not inspection.groups:
        inspection.single_group()
    if request.strict and inspection.rejected:
        reasons = "\n".join(f"  {path}: {reason}" for path, reason in inspection.rejected)
        raise InputError(f"Not all inputs can be used, and --strict was asked for.\n{reasons}")
    inspection = split_by_observation(inspection)
    cores = request.jobs or os.cpu_count() or 1
    processes = min(cores, len(inspection.groups))
    with limited_memory(request.memory):
        request = replace(request, jobs=max(1, cores // processes), memory=share_memory(processes))
    with stop_on_signal() as cancel, Terminal(level) as terminal:

        def tell(group: GroupResult, done: int, total: int) -> None:
            _report(group, done, total, terminal)

        with local_executor(processes) if processes > 1 else nullcontext() as executor:
            results = reduce_groups(inspection, request, executor=executor, cancel=cancel, tell=tell, sink=terminal)
    for path, reason in inspection.rejected:
        terminal.say(f"{path} was skipped: {reason}", "warning")
    if as_json:
        content = {
            "groups": [group.result.as_dict() | {"group": group.label} for group in results],
            "skipped": [(str(path), reason) for path, reason in inspection.rejected],
        }
        sys.stdout.write(json.dumps(content, indent=1, default=str) + "\n")
    return _exit_code(results, skipped=bool(inspection.rejected))


def _report(group: GroupResult, done: int, total: int, terminal: Terminal) -> None:
    result = group.result
    head = f"{done}/{total} {group.label}: {result.status}"
    if result.status == "finished":
        terminal.say(f"{head}, {len(result.products)} products in {group.folder}")
    else:
        terminal.say(f"{head}: {result.error}", "error")
    for file, reason in result.skipped:
        terminal.say(f"{file} was skipped: {reason}", "warning")


def _exit_code(results: list[GroupResult], *, skipped: bool) -> int:
    states = {group.result.status for group in results}
    if "interrupted" in states:
        return INTERRUPTED
    if "failed" in states:
        return FAILED
    return SKIPPED if skipped or any(group.result.skipped for group in results) else OK
