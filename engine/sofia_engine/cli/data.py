"""``sofia-desk data``: the calibration files on this machine."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections import Counter
from collections.abc import Iterable

from sofia_engine.cli.exit_codes import OK
from sofia_engine.cli.terminal import Terminal
from sofia_engine.errors import InputError, ReferenceDataError
from sofia_engine.pipeline.events import Log, Progress
from sofia_engine.reference import FileStatus, ReferenceFile, ReferenceStore

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=("status", "fetch", "path"), help="count, fetch, or say where they lie")
    parser.add_argument("files", nargs="*", metavar="FILE", help="observations; only what they need (default: all)")
    parser.add_argument("--instrument", metavar="NAME", help="only those of one instrument")
    parser.add_argument("--all", action="store_true", help="with status: list every file")
    parser.add_argument("--json", action="store_true", help="with status: as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    store = ReferenceStore()
    if arguments.action == "path":
        sys.stdout.write(f"{store.path}\n")
        return OK
    files, optional = _choose(arguments, store)
    if arguments.action == "fetch":
        return _fetch(store, files, optional)
    rows = store.status([*files, *optional])
    if arguments.json:
        content = [{"name": r.file.name, "kind": r.file.kind, "state": r.state, "path": str(r.path)} for r in rows]
        sys.stdout.write(json.dumps(content, indent=1) + "\n")
    else:
        command = shlex.join(["sofia-desk", "data", "fetch", *arguments.files])
        sys.stdout.write("".join(f"{line}\n" for line in _format(rows, store, command, each=arguments.all)))
    return OK


def _choose(arguments: argparse.Namespace, store: ReferenceStore) -> tuple[list[ReferenceFile], list[ReferenceFile]]:
    """Files that are needed, and such as are used if they can be had: models for the conditions of a flight."""
    if arguments.files:
        return _needed_by(arguments.files, store)
    rows = store.status()
    wanted = (arguments.instrument or "").upper().replace("_", "-")
    files = [row.file for row in rows if not wanted or row.file.instrument.upper().replace("_", "-") == wanted]
    if not files:
        known = ", ".join(sorted({row.file.instrument for row in rows}))
        raise InputError(f"There are no calibration files of {arguments.instrument} (known: {known}).")
    return files, []


def _needed_by(names: Iterable[str], store: ReferenceStore) -> tuple[list[ReferenceFile], list[ReferenceFile]]:
    from sofia_engine.pipeline.detection import inspect_files
    from sofia_engine.pipeline.manifests import collect_inputs
    from sofia_engine.pipeline.references import requested_files, wanted_by
    from sofia_engine.pipeline.run import Wanted
    from sofia_engine.pipeline.settings import Settings

    inspection = inspect_files(collect_inputs(names).files)
    if not inspection.groups:
        inspection.single_group()
    wanted: list[Wanted] = []
    for group in inspection.groups:
        settings = Settings(group.recipe)
        settings.set_defaults(group.recipe.defaults(group.files[0].header))
        for index, step in enumerate(group.recipe.steps):
            for file in group.files:
                wanted += wanted_by(step, file.header, settings.parameters(index)).values()
    needed = requested_files(wanted, store)
    keys = {file.key for file in needed}
    return needed, [file for file in requested_files(wanted, store, optional=True) if file.key not in keys]


def _fetch(store: ReferenceStore, files: list[ReferenceFile], optional: list[ReferenceFile]) -> int:
    failed = 0
    with Terminal() as terminal:
        fetched = [*store.fetch(files, lambda done, total, what: terminal(Progress("fetch", done, total, what)))]
        for file in optional:
            try:
                fetched += store.fetch([file])
            except ReferenceDataError as error:
                failed += 1
                terminal(Log("warning", str(error)))
    here = len(files) + len(optional) - len(fetched) - failed
    sys.stdout.write(f"{len(fetched)} files fetched, {here} were here already, in {store.path}\n")
    return OK


def _format(rows: list[FileStatus], store: ReferenceStore, command: str, *, each: bool) -> Iterable[str]:
    yield f"Folder: {store.path}"
    counts = Counter((row.file.instrument, row.file.kind, row.state) for row in rows)
    for (instrument, kind, state), number in sorted(counts.items()):
        yield f"{instrument:10} {kind.replace('_', ' '):32} {state:9} {number:5}"
    if each:
        yield from (f"{row.state:9} {row.file.name}  {row.path}" for row in rows)
    missing = sum(row.state in ("missing", "damaged") for row in rows)
    if missing:
        size = sum(row.file.size for row in rows if row.state in ("missing", "damaged")) / 1e6
        yield f"{missing} files ({size:.0f} MB) are not here; to bring them: {command}"
