#!/usr/bin/env python3
"""Measure resampling: speed and memory beside the published toolkit, and how cost grows.

    python tests/benchmarks/resampling.py [--reference PYTHON] [--runs 3] [--jobs 1 2] [--samples 100000 1000000]
    python tests/benchmarks/resampling.py --growth [--figure docs/_static/resampling-cost.png]

PYTHON is the interpreter of an environment with sofia_redux, whose public class ``Resample`` is called there. The
programs run in turn, each in a process of its own, on the same samples and output points; compilation is not counted
(one small call before). Time is that from arrays to results: making the resampler and calling it. Results are compared
with a direct solution of the least squares at 200 points. Memory is the largest resident size beyond that before the
call (Linux only). Only the ratio of two programs measured in one go means something on a shared machine. Exit status 1
if ours is less than 10 times faster.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

TARGET = 10.0
POINTS = {2: 150, 3: 28}
"""Output points along each axis."""
NEAR = {2: 60.0, 3: 120.0}
"""Samples in a window."""
PATIENCE = 3600.0

MEASURE = """
import json, resource, sys, time
import numpy as np

def resident(name):
    with open("/proc/self/status") as status:
        return next((int(line.split()[1]) / 1024 for line in status if line.startswith(name)), float("nan"))

def measure(call, samples):
    call(samples[0][:, ::1000], *(array[::1000] for array in samples[1:3]), samples[3][:1], 1e9)
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass
    before, used, start = resident("VmRSS"), time.process_time(), time.perf_counter()
    values, errors = call(*samples)
    seconds = time.perf_counter() - start
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = time.process_time() - used + children.ru_utime + children.ru_stime
    np.save(sys.argv[2], np.stack([values, errors]))
    print(json.dumps({"seconds": seconds, "processor": processor, "megabytes": resident("VmHWM") - before}))

case = np.load(sys.argv[1])
jobs = int(sys.argv[3])
places, axis = case["coordinates"], case["axis"]
samples = places, case["data"], case["error"], [axis] * len(places), float(case["window"])
"""
REFERENCE = (
    MEASURE
    + """
from sofia_redux.toolkit.resampling import Resample

def call(coordinates, data, error, axes, window):
    if window > 1e8:
        window, axes = np.ptp(coordinates), [axis[:3] for axis in [case["axis"]] * len(coordinates)]
    resampler = Resample(coordinates, data, error=error, window=window, order=2)
    return resampler(*axes, smoothing=window / 3, get_error=True, jobs=jobs)

if __name__ == "__main__":
    measure(call, samples)
"""
)
OURS = (
    MEASURE
    + """
from sofia_engine.numerics.resampling import LocalRegression, Resampler

def call(coordinates, data, error, axes, window):
    if window > 1e8:
        window, axes = np.ptp(coordinates), [axis[:3] for axis in [case["axis"]] * len(coordinates)]
    rule = LocalRegression(window=window, order=2, smoothing=window / 3, jobs=jobs)
    fit = Resampler(coordinates, data, error, rule)(*axes)
    return fit.values, fit.errors

measure(call, samples)
"""
)


@dataclass(frozen=True)
class Case:
    """Samples spread evenly in a cube of side 100, with a window that holds a fixed number of them."""

    dimensions: int
    samples: int

    @property
    def window(self) -> float:
        """Half width of the window."""
        ball = {2: np.pi, 3: 4 / 3 * np.pi}[self.dimensions]
        return float((NEAR[self.dimensions] / self.samples / ball) ** (1 / self.dimensions) * 100)

    def write(self, path: Path) -> None:
        """Write samples and output axis."""
        rng = np.random.default_rng(1)
        places = rng.uniform(0, 100, (self.dimensions, self.samples))
        error = rng.uniform(0.05, 0.15, self.samples)
        data = np.sin(places[0] / 8) + rng.normal(0, error)
        axis = np.linspace(2, 98, POINTS[self.dimensions])
        np.savez(path, coordinates=places, data=data, error=error, axis=axis, window=self.window)

    def __str__(self) -> str:
        return f"{self.dimensions}-D, {self.samples:.0e} samples"


def run(python: str, program: str, folder: Path, jobs: int) -> tuple[dict[str, float], np.ndarray]:
    """Measure a program on the case in a folder."""
    script, results = folder / "program.py", folder / "results.npy"
    script.write_text(program)
    words = [python, str(script), str(folder / "case.npz"), str(results), str(jobs)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment, cwd=folder
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures, np.load(results)


def compare(case: Case, options: argparse.Namespace) -> Iterator[tuple[str, dict[str, list[float]]]]:
    """Measure all programs in turn; yield the figures of each."""
    programs = {f"ours, {jobs} threads": (sys.executable, OURS, jobs) for jobs in options.jobs}
    if options.reference:
        jobs = options.reference_jobs
        programs[f"reference, {jobs} jobs"] = (options.reference, REFERENCE, jobs)
    figures: dict[str, dict[str, list[float]]] = {name: {} for name in programs}
    values = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case.write(folder / "case.npz")
        for _ in range(options.runs):
            for title, (python, program, jobs) in programs.items():
                found, values[title] = run(python, program, folder, jobs)
                for key, value in found.items():
                    figures[title].setdefault(key, []).append(value)
        check(case, folder, values)
    yield from figures.items()


def check(case: Case, folder: Path, values: dict[str, np.ndarray]) -> None:
    """Compare results with a direct solution at 200 points; ours must agree."""
    given = np.load(folder / "case.npz")
    shape = next(iter(values.values()))[0].shape
    chosen = np.random.default_rng(2).integers(0, np.prod(shape), 200)
    places = np.stack(np.unravel_index(chosen, shape)[::-1])
    exact = np.array([solve_directly(given, given["axis"][place], case.window) for place in places.T]).T
    for title, (value, error) in values.items():
        found = np.stack([value.ravel()[chosen], error.ravel()[chosen]])
        off = np.abs(found - exact) / exact[1]
        print(
            f"<!-- {case}, {title}: off by up to {off.max():.1e} errors, by over 0.01 in {(off > 0.01).mean():.0%} -->"
        )
        assert off.max() < 1e-6 or title.startswith("reference"), f"{title} is off by {off.max()} errors"


def solve_directly(given: Any, point: np.ndarray, window: float) -> tuple[float, float]:
    """Value and error at a point by the textbook formula."""
    offsets = (given["coordinates"] - point[:, np.newaxis]) / window
    near = (offsets**2).sum(axis=0) <= 1
    offsets, sigma = offsets[:, near], given["error"][near]
    exponents = [e for e in np.ndindex(*[3] * len(point)) if sum(e) <= 2]
    terms = np.stack([np.prod([line**n for line, n in zip(offsets, e, strict=True)], axis=0) for e in exponents])
    weights = np.exp(-(offsets**2).sum(axis=0) / (2 / 9)) / sigma**2
    inverse = np.linalg.inv((terms * weights) @ terms.T)
    count = np.count_nonzero(near)
    value = (inverse @ (terms * weights) @ given["data"][near])[0]
    return value, float(np.sqrt(inverse[0, 0] * count / (count - len(terms))))


def report(options: argparse.Namespace) -> bool:
    """Print a table of all cases; whether the target was met."""
    print("| case | program | seconds | processor | memory beyond the samples | times faster |")
    print("|---|---|---|---|---|---|")
    good = True
    for dimensions in POINTS:
        for samples in options.samples:
            case = Case(dimensions, samples)
            rows = dict(compare(case, options))
            reference = next((row for title, row in rows.items() if title.startswith("reference")), None)
            for title, row in rows.items():
                median, low, high = statistics.median(row["seconds"]), min(row["seconds"]), max(row["seconds"])
                faster = statistics.median(reference["seconds"]) / median if reference else float("nan")
                good &= reference is None or row is reference or faster >= TARGET
                print(
                    f"| {case} | {title} | {median:.2f} ({low:.2f} to {high:.2f}) "
                    f"| {statistics.median(row['processor']):.2f} | {statistics.median(row['megabytes']):.0f} MB "
                    f"| {faster:.1f} |",
                    flush=True,
                )
    return good


# --- growth ---


def time_point(dimensions: int, samples: int, near: float, order: int, jobs: int = 1, adaptive: Any = None) -> float:
    """Processor seconds per output point, the least of three runs (wall seconds with several threads)."""
    from sofia_engine.numerics.resampling import LocalRegression, Resampler

    rng = np.random.default_rng(1)
    places = rng.uniform(0, 100, (dimensions, samples))
    ball = {1: 2.0, 2: np.pi, 3: 4 / 3 * np.pi}[dimensions]
    window = float((near / samples / ball) ** (1 / dimensions) * 100)
    rule = LocalRegression(window, order, smoothing=window / 3, order_algorithm="none", jobs=jobs, adaptive=adaptive)
    error = rng.uniform(0.05, 0.15, samples)
    resampler = Resampler(places, rng.normal(0, error), error, rule)
    side = min(window, 30.0)  # points cover a part so that all neighbours lie inside
    axes = [np.linspace(50 - side, 50 + side, {1: 6000, 2: 80, 3: 18}[dimensions])] * dimensions
    clock = time.process_time if jobs == 1 else time.perf_counter
    best = float("inf")
    resampler(*(axis[:2] for axis in axes))
    for _ in range(3):
        start = clock()
        resampler(*axes)
        best = min(best, clock() - start)
    return best / float(np.prod([len(axis) for axis in axes]))


Curves = dict[str, tuple[Sequence[float], list[float]]]


def grow() -> dict[str, Curves]:
    """Microseconds per point against samples, samples in the window, and order."""
    samples = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000]
    near = [20, 50, 100, 200, 500, 1000, 2000]
    orders = [0, 1, 2, 3, 4, 5]
    panels: dict[str, Curves] = {"samples": {}, "samples in the window": {}, "order": {}}
    for k in (2, 3):
        panels["samples"][f"{k}-D, 100 in the window"] = (samples, [1e6 * time_point(k, n, 100, 2) for n in samples])
        for order in (0, 2):
            times = [1e6 * time_point(k, 100_000, m, order) for m in near]
            panels["samples in the window"][f"{k}-D, order {order}"] = (near, times)
        panels["order"][f"{k}-D, 200 in the window"] = (orders, [1e6 * time_point(k, 100_000, 200, p) for p in orders])
    return panels


def draw(panels: dict[str, Curves], path: Path) -> None:
    """Plot the growth."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    for ax, (title, curves) in zip(figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True):
        for label, (x, y) in curves.items():
            ax.plot(x, y, "o-", label=label)
        ax.set(xlabel=title, yscale="log", xscale="linear" if title == "order" else "log")
        ax.legend(fontsize=8, frameon=False)
        ax.grid(alpha=0.3)
    figure.axes[0].set_ylabel("µs of one processor per output point")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def show_growth(options: argparse.Namespace) -> None:
    """Print tables of the growth and of the gain by threads, and draw the plot."""
    panels = grow()
    for title, curves in panels.items():
        for label, (x, y) in curves.items():
            print(f"{title}; {label}: " + ", ".join(f"{n:g}: {value:.2f} µs" for n, value in zip(x, y, strict=True)))
    for k in (2, 3):
        one, two = (min(_time_threads(k, jobs) for _ in range(3)) for jobs in (1, 2))
        print(f"{k}-D: {one:.2f} s with 1 thread, {two:.2f} s with 2: {one / two:.2f} times faster")
    for count in (100_000, 1_000_000, 3_000_000):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:  # with fresh memory
            kept, called = pool.submit(measure_memory, count).result()
        each = 1e6 * kept / count
        print(f"{count:g} samples: sorting them {kept:.0f} MB ({each:.0f} bytes each), a call {called:.1f} MB")
    draw(panels, options.figure)


def measure_memory(count: int) -> tuple[float, float]:
    """Largest memory in MB that making a resampler and calling it take, beyond samples and results (Linux only)."""
    from sofia_engine.numerics.resampling import LocalRegression, Resampler

    places = np.random.default_rng(1).uniform(0, 100, (3, count))
    error = np.ones(count)
    rule = LocalRegression(5.0 * (1e5 / count) ** (1 / 3), 2, smoothing=1.0)
    Resampler(places[:, :1000], error[:1000], error[:1000], LocalRegression(50.0, 1))(50.0, 50.0, 50.0)
    start = _watch_memory()
    resampler = Resampler(places, places[0], error, rule)
    made = _read_memory("VmHWM")
    axis = np.linspace(0, 100, 40)
    before = _watch_memory()
    resampler(axis, axis, axis)
    results = 7 * 8 * len(axis) ** 3 / 1e6  # one of the six planes twice
    return made - start, _read_memory("VmHWM") - before - results


def _watch_memory() -> float:
    """Forget the largest memory so far; return that of now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _read_memory("VmRSS")


def _read_memory(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(name))


def _time_threads(dimensions: int, jobs: int) -> float:
    from sofia_engine.numerics.resampling import LocalRegression, Resampler

    rng = np.random.default_rng(1)
    places, window = rng.uniform(0, 100, (dimensions, 200_000)), {2: 1.5, 3: 5.0}[dimensions]
    rule = LocalRegression(window, 2, smoothing=window / 3, jobs=jobs)
    resampler = Resampler(places, places[0], 0.1, rule)
    axis = np.linspace(0, 100, {2: 500, 3: 60}[dimensions])
    start = time.perf_counter()
    resampler(*[axis] * dimensions)
    return time.perf_counter() - start


def main() -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", help="interpreter of an environment with sofia_redux")
    parser.add_argument("--reference-jobs", type=int, default=1, help="its parameter jobs")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2], help="threads of ours")
    parser.add_argument("--samples", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--growth", action="store_true", help="measure how cost grows instead")
    parser.add_argument("--figure", type=Path, default=Path("docs/_static/resampling-cost.png"))
    options = parser.parse_args()
    if options.growth:
        show_growth(options)
        return 0
    return 0 if report(options) else 1


if __name__ == "__main__":
    sys.exit(main())
