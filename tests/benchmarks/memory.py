"""What the steps of the recipes need of memory: the factors of the memory guard, and what it makes of a big set.

Run it as ``python tests/benchmarks/memory.py [SET ...]``, where SET is a folder of raw files that belong together. For
each step the most memory that one call took beyond what was there before (heap, not files mapped from disk) is told in
MB and as a multiple of its input: of one file for steps that are applied to each, of all for the others.

``--growth SIZE`` tells instead how the heap of a whole reduction grows with the number of files when the memory is
limited to SIZE (such as 300M, or ``unlimited``): a quarter of the set, then all of it.
"""

import argparse
import ctypes
import gc
import gzip
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sofia_engine.errors import NotEnoughMemoryError
from sofia_engine.pipeline.execution import Surroundings, execute
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.product import Product

GOLDEN = Path(__file__).resolve().parents[2] / "../shared/golden"
MB = 1e6


def read_heap() -> float:
    """Return the memory of this process that is its own, bytes (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return float(line.split()[1]) * 1024
    return 0.0


class PeakMeter:
    """Samples the heap each millisecond, within a ``with``."""

    def __enter__(self) -> "PeakMeter":
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        self.before = self.peak = read_heap()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(0.001):
            self.peak = max(self.peak, read_heap())

    @property
    def growth(self) -> float:
        return self.peak - self.before


def size_of(product: Product) -> float:
    parts: Iterator[Any] = (e.data for e in product.extensions.values())
    return float(sum(part.nbytes for part in parts))


def measure_steps(files: list[Path], folder: Path, tell: Callable[..., None]) -> None:
    with open_reduction(files, folder, "first") as warm:
        warm.reduce()  # imports and compiled kernels
    with open_reduction(files, folder, "second") as reduction:
        around = Surroundings(reduction.references, jobs=1)
        while (step := reduction.next_step) is not None:
            products = reduction.products[:1] if step.maps else reduction.products
            parameters = reduction.parameters(reduction.next_index)
            with PeakMeter() as meter:
                outcome = execute(step, reduction.recipe, products, parameters, around)
            made = sum(map(size_of, outcome.products))
            del outcome
            given = sum(map(size_of, products))
            tell(reduction.recipe.name, step, len(products), given, made, meter.growth)
            reduction.step()


def open_reduction(files: list[Path], folder: Path, session: str) -> Reduction:
    """Open the raw files; those among them that are models of the atmosphere or of a star are set as parameters."""
    models = {path.name.partition(".")[0]: folder / path.name.removesuffix(".gz") for path in files}
    for path in files:
        if path.suffix == ".gz":
            (folder / path.name.removesuffix(".gz")).write_bytes(gzip.decompress(path.read_bytes()))
    raw = [path for path in files if not path.name.startswith(("atran", "alphaboo"))]
    reduction = Reduction.open(raw, session=folder / session)
    if "atran" in models and reduction.recipe.instrument == "FIFI-LS":
        reduction.set("telluric_correct", use_ecmwf=False, atran_file=str(models["atran"]))
    if "alphaboo_model" in models and any(step.key == "make_response" for step in reduction.recipe.steps):
        reduction.set("make_response", model_file=str(models["alphaboo_model"]))
    return reduction


def measure_growth(files: list[Path], folder: Path, tell: Callable[[int, dict[str, float], float], None]) -> None:
    with open_reduction(files[:2], folder, "warm") as warm:
        warm.reduce()
    for count in (len(files) // 4, len(files)):
        peaks: dict[str, float] = {}
        started = time.monotonic()
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        before = read_heap()
        with open_reduction(files[:count], folder, f"of{count}") as reduction:
            while (step := reduction.next_step) is not None:
                try:
                    with PeakMeter() as meter:
                        reduction.step()
                except NotEnoughMemoryError as error:
                    print(error)
                    break
                peaks[step.key] = meter.peak - before
        tell(count, peaks, time.monotonic() - started)


def tell_growth(count: int, peaks: dict[str, float], seconds: float) -> None:
    steps = ", ".join(f"{key} {peak / MB:.0f}" for key, peak in peaks.items())
    print(f"{count} files, {seconds:.1f} s; most heap in MB: {steps}", flush=True)


def tell_line(recipe: str, step: Any, count: int, given: float, made: float, growth: float) -> None:
    kind = "each" if step.maps else f"all {count}"
    print(
        f"{recipe:18s} {step.key:24s} {kind:7s} in {given / MB:8.2f} MB, out {made / MB:8.2f} MB, "
        f"peak {growth / MB:8.1f} MB = {growth / max(given, 1):6.1f} x", flush=True
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", type=Path)
    parser.add_argument("--growth", metavar="SIZE")
    os.environ.setdefault("SOFIA_DESK_OFFLINE", "1")
    arguments = parser.parse_args()
    for folder in arguments.sets or sorted(GOLDEN.glob("f*")):
        raw = folder / "raw" if (folder / "raw").is_dir() else folder
        files = sorted(path for path in raw.iterdir() if ".fits" in path.name)
        with tempfile.TemporaryDirectory() as scratch:
            if arguments.growth:
                os.environ["SOFIA_DESK_MEMORY"] = arguments.growth
                measure_growth(files, Path(scratch), tell_growth)
            else:
                measure_steps(files, Path(scratch), tell_line)


if __name__ == "__main__":
    main()
