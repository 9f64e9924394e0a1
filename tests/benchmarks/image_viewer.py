"""How fast the image viewer is: time to the first picture, frames per second, memory of large files.

Run it under a screen, real or virtual::

    xvfb-run -a python tests/benchmarks/image_viewer.py

It prints one line per figure with what is asked of it, and ends with 1 if one is missed.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits

from sofia_engine.product import Product
from sofia_viewers.image.settings import SettingsStore
from sofia_viewers.image.viewer import ImageViewer
from sofia_viewers.qt import QtCore, start_application
from sofia_viewers.theme import apply_theme

_MB = 2**20


def _make_image(n: int, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    image = random.normal(size=(n, n)).astype(np.float32)
    image[random.random((n, n)) < 0.05] = np.nan
    return image


def _process(application: QtCore.QCoreApplication) -> None:
    application.processEvents()


def _open(viewer: ImageViewer, start: Callable[[], None]) -> float:
    """Return the seconds from a request until its picture has been painted."""
    shown = {key: view.frame for key, view in viewer.area.views.items()}
    began = time.perf_counter()
    start()
    application = QtCore.QCoreApplication.instance()
    while True:
        application.processEvents()
        views = viewer.area.views
        if views and viewer.is_ready() and any(view.frame is not shown.get(key) for key, view in views.items()):
            break
        time.sleep(0.0005)
    for view in views.values():
        view.repaint()
    application.processEvents()
    return time.perf_counter() - began


def _measure_rate(viewer: ImageViewer, change: Callable[[int], None], n: int = 60) -> float:
    """Return repaints per second while something changes; each step is painted before the next."""
    view = next(iter(viewer.area.views.values()))
    application = QtCore.QCoreApplication.instance()
    began = time.perf_counter()
    for step in range(n):
        change(step)
        view.repaint()
        application.processEvents()
    return n / (time.perf_counter() - began)


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / _MB


def _anonymous() -> float:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _report(name: str, value: float, unit: str, wanted: float, *, at_least: bool) -> bool:
    good = value >= wanted if at_least else value <= wanted
    sign = "≥" if at_least else "≤"
    sys.stdout.write(f"{name:<44} {value:9.1f} {unit:<9} ({sign} {wanted:g}) {'' if good else 'MISSED'}\n")
    sys.stdout.flush()
    return good


def _measure_speed(viewer: ImageViewer) -> list[bool]:
    products = [
        Product.of(fits.Header({"FILENAME": f"n{i}.fits"}), {"FLUX": _make_image(2048, i)}, {"FLUX": "Jy"})
        for i in range(5)
    ]
    first = _open(viewer, lambda: viewer.show_products(products[:1]))
    later = [_open(viewer, lambda p=product: viewer.show_products([p])) for product in products[1:]]
    good = [
        _report("2048² shown, first of the session", 1000 * first, "ms", 2000, at_least=False),
        _report("2048² shown, median of the next", 1000 * statistics.median(later), "ms", 100, at_least=False),
    ]
    key, view = next(iter(viewer.area.views.items()))
    viewer.fit()
    start = view.view

    def pan(step: int) -> None:
        view._change_view(start.panned(3.0 * (step % 40), 2.0 * (step % 30)))

    def zoom(step: int) -> None:
        view._change_view(start.zoomed_at((900.0, 1100.0), 1.04 ** (step % 80)))

    def drag(step: int) -> None:
        viewer.set_display(limits=(-1.0 - 0.01 * step, 2.0 + 0.02 * step))

    for name, change in (("pan", pan), ("zoom", zoom), ("drag of limits", drag)):
        good.append(_report(f"2048² {name}", _measure_rate(viewer, change), "frames/s", 30, at_least=True))
    view._change_view(replace(start, zoom=1.0))
    for name, change in (
        ("pan", lambda s: view._change_view(replace(start, zoom=1.0).panned(4.0 * s, 3.0 * s))),
        ("drag of limits", drag),
    ):
        good.append(_report(f"2048² at 1:1, {name}", _measure_rate(viewer, change), "frames/s", 30, at_least=True))
    viewer.frames = viewer.frames.selected(key)
    return good


def _measure_large(viewer: ImageViewer, folder: Path) -> list[bool]:
    good = []
    image = folder / "large.fits"
    fits.PrimaryHDU(_make_image(4096)).writeto(image)
    cube = folder / "cube.fits"
    header = fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": 3, "NAXIS1": 1024, "NAXIS2": 1024, "NAXIS3": 256})
    with cube.open("wb") as stream:
        stream.write(header.tostring().encode())
        part = _make_image(1024).astype(">f4").tobytes()
        for _ in range(256):
            stream.write(part)
        stream.write(b"\0" * (-stream.tell() % 2880))
    for name, path in (("4096² image of 64 MB", image), ("cube of 1 GB", cube)):
        before = _anonymous()
        seconds = _open(viewer, lambda p=path: viewer.open_files([p]))
        good.append(_report(f"{name}: shown", 1000 * seconds, "ms", 1000, at_least=False))
        good.append(_report(f"{name}: memory of its own", _anonymous() - before, "MB", 60, at_least=False))
    rate = _measure_slices(viewer)
    good.append(_report("cube of 1 GB: slices", rate, "per s", 10, at_least=True))
    start = next(iter(viewer.area.views.values())).view
    view = next(iter(viewer.area.views.values()))
    rate = _measure_rate(viewer, lambda s: view._change_view(start.panned(2.0 * s, s)))
    good.append(_report("cube of 1 GB: pan", rate, "frames/s", 30, at_least=True))
    return good


def _measure_slices(viewer: ImageViewer, n: int = 30) -> float:
    application = QtCore.QCoreApplication.instance()
    began = time.perf_counter()
    for number in range(n):
        viewer.choose_slice(number)
        while not viewer.is_ready():
            application.processEvents()
    return n / (time.perf_counter() - began)


def main() -> int:
    """Measure, print, and return 1 if a figure is missed."""
    application = start_application()
    apply_theme(application, "dark")
    with tempfile.TemporaryDirectory() as folder:
        viewer = ImageViewer(store=SettingsStore(Path(folder) / "settings", Path(folder) / "old"))
        viewer.resize(1200, 900)
        viewer.show()
        _process(application)
        good = _measure_speed(viewer) + _measure_large(viewer, Path(folder))
        viewer.close()
    sys.stdout.write(f"resident {_resident():.0f} MB\n")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
