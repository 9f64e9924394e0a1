"""``sofia-desk rerun``: make a product again from what its header says."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sofia_engine._version import __version__
from sofia_engine.cli.exit_codes import FAILED, OK
from sofia_engine.cli.interruption import stop_on_signal
from sofia_engine.cli.reduce import exit_code_for, report
from sofia_engine.cli.run_arguments import add_level
from sofia_engine.cli.terminal import Terminal
from sofia_engine.errors import InputError
from sofia_engine.pipeline.detection import read_header
from sofia_engine.pipeline.parameters import Setting
from sofia_engine.pipeline.provenance import read_provenance
from sofia_engine.pipeline.run_options import RunOptions
from sofia_engine.pipeline.runner import RunRequest, RunResult, run_reduction
from sofia_engine.pipeline.state import InputRecord
from sofia_engine.product import Plane, Product

__all__ = ["add_arguments", "compare_products", "request_again", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("product", metavar="PRODUCT", help="FITS file made by SOFIA Desk")
    parser.add_argument("-o", "--out", default="rerun", metavar="DIR", help="folder for the new files (default: rerun)")
    parser.add_argument("--inputs", metavar="DIR", help="folder of the inputs, where they are not where they were")
    parser.add_argument("--offline", action="store_true", help="never use the network")
    add_level(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    path = Path(arguments.product)
    header = read_header(path)
    provenance = read_provenance(header, str(path))
    out = Path(arguments.out).expanduser().resolve()
    if out == path.resolve().parent:
        raise InputError(f"{out} holds the product itself; choose another folder with --out.")
    request = request_again(provenance, out, Path(arguments.inputs) if arguments.inputs else None, arguments.offline)
    with stop_on_signal() as cancel, Terminal(arguments.loglevel) as terminal:
        result = run_reduction(request, sink=terminal, cancel=cancel)
    report(result, terminal)
    if result.status != "finished":
        return exit_code_for(result)
    differences = [*_compare_runs(provenance, result), *_compare_with(path, header, out)]
    if differences:
        sys.stdout.write("".join(f"{line}\n" for line in differences))
    else:
        sys.stdout.write(f"The data are identical, bit for bit, to those of {path}.\n")
    return FAILED if any(line.startswith("DIFFERENT") for line in differences) else OK


def request_again(provenance: Mapping[str, Any], out: Path, folder: Path | None, offline: bool) -> RunRequest:
    """Return the request that makes a product again.

    Parameters
    ----------
    provenance : mapping
        As in the header of the product.
    out : Path
        Folder for the new files.
    folder : Path, optional
        Folder of the inputs, if they are not where they were.
    offline : bool
        Never use the network.

    Raises
    ------
    InputError
        If inputs are missing, or are not those the product was made of.
    """
    recipe, _, custom = str(provenance["recipe"]).partition("+")
    steps = tuple(step["step"] for step in provenance["steps"])
    return RunRequest(
        files=tuple(_find_inputs(provenance["inputs"], folder)),
        recipe=recipe,
        options=RunOptions(output_directory=out, step_to=steps[-1], steps=steps if custom else ()),
        settings=tuple(
            (step["step"], key, Setting(value, "user", "provenance"))
            for step in provenance["steps"]
            for key, value in step["parameters"].items()
        ),
        offline=offline,
        keep_session=False,
    )


def _find_inputs(records: Sequence[Mapping[str, Any]], folder: Path | None) -> list[Path]:
    found: list[Path] = []
    problems: list[str] = []
    for record in records:
        was = Path(record["path"])
        path = folder / was.name if folder else was
        if not path.is_file():
            problems.append(f"  {path} is not there")
        elif InputRecord.of(path).sha256 != record["sha256"]:
            problems.append(f"  {path} has another content than the input had (SHA-256 {record['sha256']})")
        found.append(path)
    if problems:
        raise InputError(
            "The product cannot be made again; name the folder of its inputs with --inputs.\n" + "\n".join(problems)
        )
    return found


def _compare_runs(provenance: Mapping[str, Any], result: RunResult) -> Iterator[str]:
    if provenance["version"] != __version__:
        yield f"Note: the product was made by version {provenance['version']}, this is {__version__}."
    for old, new in zip(provenance["steps"], result.steps, strict=False):
        now = {record["role"]: record for record in new.references}
        for record in old["references"]:
            other = now.get(record["role"])
            if other is None or other["sha256"] != record["sha256"]:
                name = other["name"] if other else "none"
                role = record["role"].replace("_", " ")
                yield f"DIFFERENT {role} in {old['step']}: {record['name']} then, {name} now."


def _compare_with(path: Path, header: Any, out: Path) -> Iterator[str]:
    name = str(header.get("FILENAME", path.name))
    again = out / name
    if not again.exists():
        yield f"DIFFERENT: the reduction did not make {name}."
        return
    yield from compare_products(Product.read(path), Product.read(again))


def compare_products(first: Product, second: Product) -> Iterator[str]:
    """Yield a sentence for every difference in the data of two products."""
    if list(first.extensions) != list(second.extensions):
        yield f"DIFFERENT extensions: {', '.join(first.extensions)} then, {', '.join(second.extensions)} now."
    for name, extension in first.extensions.items():
        other = second.extensions.get(name)
        if other is None or type(other) is not type(extension):
            continue
        if extension.data.tobytes() != other.data.tobytes() or extension.data.shape != other.data.shape:
            yield f"DIFFERENT data in {name}{_size_of_difference(extension, other)}."


def _size_of_difference(first: Any, second: Any) -> str:
    import numpy as np

    if not isinstance(first, Plane) or first.shape != second.shape:
        return ""
    apart = np.abs(first.data.astype(float) - second.data.astype(float))
    return f": {int((apart > 0).sum())} pixels, by {np.nanmax(apart):.3g} at most" if np.isfinite(apart).any() else ""
