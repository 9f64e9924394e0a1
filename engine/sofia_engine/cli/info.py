"""``sofia-desk info``: what files are."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from astropy.io import fits

from sofia_engine.cli.exit_codes import NO_INPUT, OK, SKIPPED
from sofia_engine.errors import InputError
from sofia_engine.instruments import recipe_for
from sofia_engine.pipeline.detection import Group, InputFile, inspect_files, read_header
from sofia_engine.pipeline.manifests import collect_inputs
from sofia_engine.pipeline.provenance import read_provenance

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="FITS files, folders, or one list of files (.txt)")
    parser.add_argument("--json", action="store_true", help="write it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    inputs = collect_inputs(arguments.files)
    inspection = inspect_files(inputs.files)
    rejected = [*inputs.dropped, *((str(path), reason) for path, reason in inspection.rejected)]
    finished = [described for path, _ in rejected if (described := _describe_finished(Path(path)))]
    rejected = [(path, reason) for path, reason in rejected if path not in [entry["path"] for entry in finished]]
    groups = [_describe(group) for group in inspection.groups]
    if arguments.json:
        content = {"groups": groups, "finished": finished, "rejected": rejected}
        sys.stdout.write(json.dumps(content, indent=1, default=str) + "\n")
    else:
        lines = [line for group in groups for line in _format(group)]
        lines += [line for entry in finished for line in _format_finished(entry)]
        lines += [f"Cannot be used: {path}: {reason}" for path, reason in rejected]
        sys.stdout.write("\n".join(lines or ["There are no files."]) + "\n")
    if not groups and not finished:
        return NO_INPUT
    return SKIPPED if rejected else OK


def _describe_finished(path: Path) -> dict[str, Any] | None:
    """Describe a file of ours with which nothing is left to do; None for any other."""
    try:
        header = read_header(path)
        provenance = read_provenance(header, str(path))
        recipe = recipe_for(header)
    except InputError:
        return None
    keywords = {keyword: _value(header, keyword) for keyword in ("PRODTYPE", *recipe.columns)}
    return {"path": str(path), "recipe": recipe.name, "header": keywords, "provenance": provenance}


def _format_finished(entry: Mapping[str, Any]) -> Iterator[str]:
    yield f"{entry['path']}: finished product of {entry['recipe']}"
    yield from (f"  {keyword} = {value}" for keyword, value in entry["header"].items() if str(value).strip())
    yield from _format_provenance([entry["path"]], entry["provenance"])


def _describe(group: Group) -> dict[str, Any]:
    return {
        "group": group.label,
        "recipe": group.recipe.name,
        "next_step": _find_next_step(group),
        "files": [_describe_file(file, group) for file in group.files],
    }


def _find_next_step(group: Group) -> str:
    try:
        return group.recipe.steps[group.recipe.first_step(group.files[0].header)].label
    except InputError:
        return ""


def _describe_file(file: InputFile, group: Group) -> dict[str, Any]:
    header = file.header
    keywords = {keyword: _value(header, keyword) for keyword in ("PRODTYPE", *group.recipe.columns)}
    return {"path": str(file.path), "header": keywords, "provenance": _provenance_of(file)}


def _value(header: fits.Header, keyword: str) -> Any:
    value = header.get(keyword, "")
    return str(value) if isinstance(value, fits.card.Undefined) else value


def _provenance_of(file: InputFile) -> dict[str, Any] | None:
    try:
        return read_provenance(file.header, str(file.path))
    except InputError:
        return None


def _format(group: Mapping[str, Any]) -> Iterator[str]:
    yield f"{group['group']}"
    yield f"  recipe {group['recipe']}, " + (
        f"next step: {group['next_step']}" if group["next_step"] else "all steps are done"
    )
    rows = [{"file": file["path"], **file["header"]} for file in group["files"]]
    shown = [key for key in rows[0] if any(str(row[key]).strip() for row in rows)]
    yield from (f"  {line}" for line in _table(shown, [[str(row[key]) for key in shown] for row in rows]))
    made = [file for file in group["files"] if file["provenance"]]
    for provenance in {json.dumps(file["provenance"]): file["provenance"] for file in made}.values():
        yield from _format_provenance([f["path"] for f in made if f["provenance"] == provenance], provenance)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(word) for word in column) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        yield "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()


def _format_provenance(paths: Sequence[str], provenance: Mapping[str, Any]) -> Iterator[str]:
    were = "was" if len(paths) == 1 else "were"
    yield f"  {', '.join(paths)} {were} made by {provenance['program']} {provenance['version']} from:"
    yield from (f"    {record['path']} (SHA-256 {record['sha256'][:12]}...)" for record in provenance["inputs"])
    for step in provenance["steps"]:
        values = ", ".join(f"{key}={value}" for key, value in step["parameters"].items())
        yield f"    {step['step']}: {values}"
        yield from (f"      {record['role'].replace('_', ' ')}: {record['name']}" for record in step["references"])
