"""``sofia-desk demo``: an observation with a known truth, from raw files to calibrated products."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sofia_engine.cli.interruption import stop_on_signal
from sofia_engine.cli.reduce import exit_code_for, report
from sofia_engine.cli.run_arguments import add_level
from sofia_engine.cli.terminal import Terminal
from sofia_engine.pipeline.detection import read_header
from sofia_engine.pipeline.parameters import Setting
from sofia_engine.pipeline.run_options import RunOptions
from sofia_engine.pipeline.runner import RunRequest, RunResult, run_reduction
from sofia_engine.simulate import simulate
from sofia_engine.simulate.truth import TRUTH_FILE, Truth

__all__ = ["add_arguments", "run"]

_KIND = "forcast-imaging-nmc"
_SHOWN = (
    ("flux_me_s", "flux", "Me/s"),
    ("flux_jy", "flux above the atmosphere", "Jy"),
    ("line_flux_w_m2", "line flux", "W/m2"),
    ("velocity_km_s", "velocity", "km/s"),
    ("ra", "right ascension", "deg"),
    ("dec", "declination", "deg"),
)
_MEASURED = (("STAPFLX", "STAPFLXE", "flux", "Me/s"), ("CALFCTR", "ERRCALF", "calibration factor", "Me/s/Jy"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "folder", nargs="?", default="sofia-desk-demo", metavar="DIR", help="folder for all files (%(default)s)"
    )
    parser.add_argument("--kind", default=_KIND, help="kind of observation (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of all random numbers (default 1)")
    add_level(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    folder = Path(arguments.folder).expanduser().resolve()
    truth = simulate(arguments.kind, folder / "raw", seed=arguments.seed)
    request = RunRequest(
        files=truth.paths, options=RunOptions(output_directory=folder / "reduced"), settings=_list_settings(truth)
    )
    with stop_on_signal() as cancel, Terminal(arguments.loglevel) as terminal:
        result = run_reduction(request, sink=terminal, cancel=cancel)
    report(result, terminal)
    if result.status == "finished":
        sys.stdout.write("".join(f"{line}\n" for line in _compare(truth, result)))
    return exit_code_for(result)


def _list_settings(truth: Truth) -> tuple[tuple[str, str, Setting], ...]:
    return tuple(
        (step, key, Setting(value, "user", "the simulation"))
        for step, values in truth.parameters.items()
        for key, value in values.items()
    )


def _compare(truth: Truth, result: RunResult) -> Iterator[str]:
    yield f"Raw files:  {truth.directory} ({len(truth.files)} files; the truth is in {TRUTH_FILE})"
    yield f"Results:    {result.output}"
    yield from (f"            {Path(path).name}" for path in (*result.products[-1:], *result.auxiliary))
    told = [f"{label} {value:.6g} {unit}" for name, label, unit in _SHOWN if (value := getattr(truth, name, None))]
    yield f"Truth:      {', '.join(told)}"
    measured = list(_measurements(result.products[-1])) if result.products else []
    if measured:
        yield f"Measured:   {', '.join(measured)}"


def _measurements(path: str) -> Iterator[str]:
    header: Any = read_header(Path(path))
    for key, error_key, label, unit in _MEASURED:
        if isinstance(header.get(key), float):
            error = header.get(error_key)
            margin = f" ± {error:.2g}" if isinstance(error, float) else ""
            yield f"{label} {header[key]:.6g}{margin} {unit}"
