"""Products with known noise and sources, an output folder of a reduction, and viewers closed at the end of a test."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.product import Product

SHAPE = (96, 128)
BACKGROUND, NOISE, ERROR = 5.0, 0.5, 0.25
STAR = (70.3, 40.6)
FWHM = 6.0
PIXEL = 0.75


def make_header(**cards: object) -> fits.Header:
    header = fits.Header()
    for key, value in {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 35.0, "CRPIX1": 60.0, "CRPIX2": 50.0,
        "CDELT1": -PIXEL / 3600, "CDELT2": PIXEL / 3600, "INSTRUME": "FORCAST", "OBJECT": "Alpha Boo",
        "PRODTYPE": "calibrated", "DATE-OBS": "2018-09-01T05:10:00.500", "DETCHAN": "SW", "SPECTEL1": "FOR_F197",
        "SPECTEL2": "FOR_F371", "ALTI_STA": 40000.0, "ALTI_END": 41000.0, "ZA_START": 44.0, "ZA_END": 46.0,
        "WVZ_STA": 10.0, "WVZ_END": -9999.0, "EXPTIME": 80.0, "BUNIT": "Jy/pixel",
    }.items():  # fmt: skip
        header[key] = value
    header.update(cards)
    return header


def make_image(noise: float = NOISE, fwhm: float = FWHM, seed: int = 1) -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    sigma = fwhm / (2 * np.sqrt(2 * np.log(2)))
    star = 400.0 * np.exp(-0.5 * ((x - STAR[0]) ** 2 + (y - STAR[1]) ** 2) / sigma**2)
    return (star + BACKGROUND + np.random.default_rng(seed).normal(0, noise, SHAPE)).astype(np.float32)


def make_product(image: np.ndarray | None = None, **cards: object) -> Product:
    flux = make_image() if image is None else image
    planes = {"FLUX": flux, "ERROR": np.full(flux.shape, ERROR, np.float32)}
    units = dict.fromkeys(planes, str(cards.get("BUNIT", "Jy/pixel")))
    return Product.of(make_header(**cards), planes, units)


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A folder with ten calibrated images of a night; the noise of number 7 is ten times that of the others."""
    folder = tmp_path / "night one"
    folder.mkdir()
    for number in range(10):
        image = make_image(noise=NOISE * (10 if number == 7 else 1 + 0.01 * number), seed=number)
        cards = {"DATE-OBS": f"2018-09-01T05:{10 + number:02d}:00", "ZA_START": 40.0 + number, "ZA_END": 40.0 + number}
        name = f"F0501_CAL_{number:04d}.fits"
        make_product(image, FILENAME=name, CALFCTR=0.8, **cards).write(folder / name)
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output folder with two products, a map, a log and the summary of a run of three steps."""
    folder = tmp_path / "output"
    folder.mkdir()
    names = ["A_UND_0001.fits", "A_CAL_0001.fits"]
    for name, kind in zip(names, ("undistorted", "calibrated"), strict=True):
        make_product(FILENAME=name, PRODTYPE=kind).write(folder / name)
    _write_png(folder / "A_CAL_0001.png")
    log = folder / "run.log"
    log.write_text("2026-01-01 - x - INFO - fine\n2026-01-01 00:00:00 - x - WARNING - the <sky> is bright\n")
    steps = [
        _step("stack", "Stack Chops/Nods", "A_STK_0001.fits", {"noise": 3.0, "background": 1.0}),
        _step("undistort", "Correct Distortion", names[0], {"noise": 2.0, "background": 0.5}),
        _step("fluxcal", "Flux Calibrate", names[1], {"noise": 1.0, "background": 0.1, "rejected": 0.25}, ["no PWV"]),
    ]
    summary = {
        "program": "SOFIA_DESK", "version": "0.1.0", "status": "finished", "recipe": "forcast-imaging", "error": "",
        "inputs": ["/data/raw_0001.fits"], "products": [str(folder / name) for name in names], "steps": steps,
        "skipped": [["raw_0002.fits", "it is truncated"]], "log_file": str(log), "seconds": 2.5,
    }  # fmt: skip
    (folder / "outfiles.json").write_text(json.dumps(summary))
    return folder


def _step(key: str, label: str, product: str, numbers: dict, warnings: list[str] | None = None) -> dict:
    return {
        "step": key, "label": label, "seconds": 0.5, "warnings": warnings or [], "quality": [numbers],
        "references": [{"role": "filter", "name": "filter.txt", "sha256": "ab" * 32}], "products": [product],
    }  # fmt: skip


def _write_png(path: Path) -> None:
    from matplotlib.image import imsave

    imsave(path, np.full((30, 40, 3), 200, np.uint8))


@pytest.fixture
def make_viewer(qtbot, tmp_path: Path) -> Iterator[Callable]:
    """Give the function that makes a quality viewer, shown, with settings in the folder of the test."""
    from sofia_viewers.image.settings import SettingsStore
    from sofia_viewers.quality.viewer import QualityViewer

    made = []

    def make(size: tuple[int, int] = (1100, 700)) -> QualityViewer:
        viewer = QualityViewer(store=SettingsStore(tmp_path / "settings", tmp_path / "no settings"))
        viewer.resize(*size)
        qtbot.addWidget(viewer)
        viewer.show()
        made.append(viewer)
        return viewer

    yield make
    for viewer in made:
        viewer.close()


@pytest.fixture
def ready(qtbot) -> Callable:
    """Give the function that waits until a viewer has done all it was asked for."""

    def wait(viewer) -> None:
        qtbot.waitUntil(viewer.is_ready, timeout=60_000)

    return wait
