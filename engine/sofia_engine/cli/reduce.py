"""``sofia-desk reduce``: files in, calibrated products out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sofia_engine.cli.exit_codes import FAILED, INTERRUPTED, OK, SKIPPED
from sofia_engine.cli.interruption import stop_on_signal
from sofia_engine.cli.run_arguments import add_run_arguments, find_session, make_request
from sofia_engine.cli.terminal import Terminal
from sofia_engine.errors import InputError
from sofia_engine.pipeline.detection import Inspection, inspect_files
from sofia_engine.pipeline.manifests import Inputs, collect_inputs
from sofia_engine.pipeline.runner import RunRequest, RunResult, run_reduction

__all__ = ["add_arguments", "exit_code_for", "reduce_request", "report", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="FITS files, folders, or one list of files (.txt)")
    add_run_arguments(parser)
    parser.add_argument("--all-groups", action="store_true", help="reduce each group of files into a folder of its own")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--json", action="store_true", help="write the summary as JSON to standard output")
    parser.add_argument("--resume", metavar="SESSION", help="go on with a reduction that was not finished")


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    if arguments.resume:
        return _resume(arguments)
    inputs = collect_inputs(arguments.files)
    request = make_request(arguments, inputs.files)
    inspection = _inspect(inputs)
    if arguments.dry_run:
        from sofia_engine.cli.dry_run import show_plan

        return show_plan(request, inspection, as_json=arguments.json)
    if arguments.all_groups:
        from sofia_engine.cli.all_groups import reduce_all

        return reduce_all(request, inspection, level=arguments.loglevel, as_json=arguments.json)
    _require_one_group(inspection)
    return reduce_request(request, level=arguments.loglevel, as_json=arguments.json, inspection=inspection)


def reduce_request(
    request: RunRequest, *, level: str = "info", as_json: bool = False, inspection: Inspection | None = None
) -> int:
    """Reduce one group and tell how it went; return the exit code."""
    with stop_on_signal() as cancel, Terminal(level) as terminal:
        result = run_reduction(request, sink=terminal, cancel=cancel, inspection=inspection)
    if as_json:
        sys.stdout.write(json.dumps(result.as_dict(), indent=1, default=str) + "\n")
    report(result, terminal)
    return exit_code_for(result)


def exit_code_for(result: RunResult) -> int:
    """Return the exit code of a run."""
    if result.status == "finished":
        return SKIPPED if result.skipped else OK
    return INTERRUPTED if result.status == "interrupted" else FAILED


def report(result: RunResult, terminal: Terminal) -> None:
    """Tell how a run ended, and what can be done next."""
    if result.skipped:
        terminal.say("These inputs were skipped:", "warning")
        terminal.say("\n".join(_list_skipped(result)), "warning")
    if result.status == "finished":
        count = len(result.products)
        where = f" in {result.output}" if result.output else ""
        terminal.say(f"Done in {result.seconds:.1f} s: {count} product{'s' * (count != 1)}{where}")
        return
    terminal.say(result.error, "error")
    if result.log_file:
        terminal.say(f"The log is {result.log_file}")
    name = Path(result.session).name
    terminal.say(f"What was done is kept; to go on: sofia-desk reduce --resume {name}")


def _list_skipped(result: RunResult) -> Iterator[str]:
    """Lines of skipped files, a reason once; not that which is the error of the run, and told as such."""
    files: dict[str, list[str]] = {}
    for file, reason in result.skipped:
        files.setdefault(_one_line(reason), []).append(file)
    for reason, names in files.items():
        listed = ", ".join(names)
        yield f"  {listed}" if reason == _one_line(result.error) else f"  {listed}: {reason}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _resume(arguments: argparse.Namespace) -> int:
    if arguments.files:
        raise InputError("Give either files, or a session with --resume; the session has its own files.")
    session = find_session(arguments.resume)
    request = make_request(arguments, (), session)
    if not arguments.out:
        stored = json.loads((session / "session.json").read_text(encoding="utf-8"))
        folder = Path(stored.get("output") or ".")
        request = replace(request, options=replace(request.options, output_directory=folder))
    return reduce_request(request, level=arguments.loglevel, as_json=arguments.json)


def _inspect(inputs: Inputs) -> Inspection:
    inspection = inspect_files(inputs.files)
    dropped = tuple((Path(name), reason) for name, reason in inputs.dropped)
    return replace(inspection, rejected=(*dropped, *inspection.rejected))


def _require_one_group(inspection: Inspection) -> None:
    if len(inspection.groups) > 1:
        try:
            inspection.single_group()
        except InputError as error:
            raise InputError(f"{error}\nOr add --all-groups: each group is reduced into a folder of its own.") from None
    inspection.single_group()
