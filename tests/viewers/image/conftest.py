"""Images with known contents, and viewers that are closed at the end of a test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.product import Product
from sofia_viewers.image.frame import Frame, ImageFile

SHAPE = (90, 110)
STAR = (62.3, 41.7)
FWHM = 5.0


def make_header(rotation: float = 0.0, pixel: float = 1.0, **cards: object) -> fits.Header:
    """Return a header with a tangent projection: degrees of rotation, arcsec per pixel."""
    header = fits.Header()
    c, s = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    step = pixel / 3600.0
    header["FILENAME"] = "star.fits"
    for key, value in {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg", "CRVAL1": 150.0,
        "CRVAL2": 35.0, "CRPIX1": 55.5, "CRPIX2": 45.5, "CD1_1": -step * c, "CD1_2": step * s, "CD2_1": step * s,
        "CD2_2": step * c, "RADESYS": "ICRS", "BUNIT": "Jy",
    }.items():  # fmt: skip
        header[key] = value
    header.update(cards)
    return header


def make_star(shape: tuple[int, int] = SHAPE, noise: float = 0.1, seed: int = 1) -> np.ndarray:
    """Return a Gaussian of height 100 on a background of 3, with noise."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    sigma = FWHM / (2 * np.sqrt(2 * np.log(2)))
    star = 100.0 * np.exp(-0.5 * ((x - STAR[0]) ** 2 + (y - STAR[1]) ** 2) / sigma**2)
    return star + 3.0 + np.random.default_rng(seed).normal(0, noise, shape)


def make_product(header: fits.Header | None = None, **changed: np.ndarray) -> Product:
    """Return a product with flux, error, exposure and a mask with bits 0 and 2."""
    mask = np.zeros(SHAPE, np.int32)
    mask[:5] |= 1
    mask[3:8, :4] |= 4
    planes = {"FLUX": make_star(), "ERROR": np.full(SHAPE, 0.1), "EXPOSURE": np.full(SHAPE, 7.0), "BADMASK": mask}
    return Product.of(header or make_header(), planes | changed, {"FLUX": "Jy", "ERROR": "Jy", "EXPOSURE": "s"})


@pytest.fixture
def star_product() -> Product:
    return make_product()


@pytest.fixture
def star_frame(star_product: Product) -> Frame:
    return Frame.of(ImageFile.of(star_product))


@pytest.fixture
def write_image(tmp_path: Path) -> Callable[..., Path]:
    """Give the function that writes an image: name, array, header."""

    def write(name: str = "star.fits", data: np.ndarray | None = None, header: fits.Header | None = None) -> Path:
        path = tmp_path / name
        image = make_star() if data is None else data
        fits.PrimaryHDU(image.astype(np.float32), header if header is not None else make_header()).writeto(path)
        return path

    return write


@pytest.fixture
def make_viewer(qtbot, tmp_path: Path) -> Iterator[Callable]:
    """Give the function that makes a viewer, shown, with settings in the folder of the test."""
    from sofia_viewers.image.settings import SettingsStore
    from sofia_viewers.image.viewer import ImageViewer
    from sofia_viewers.qt import QtWidgets
    from sofia_viewers.theme import apply_theme

    apply_theme(QtWidgets.QApplication.instance(), "light")
    made = []

    def make(size: tuple[int, int] = (900, 640)) -> ImageViewer:
        viewer = ImageViewer(store=SettingsStore(tmp_path / "settings", tmp_path / "old"))
        qtbot.addWidget(viewer)
        viewer.resize(*size)
        viewer.show()
        made.append(viewer)
        qtbot.waitUntil(viewer.is_ready, timeout=60_000)
        return viewer

    yield make
    for viewer in made:
        viewer.close()


@pytest.fixture
def show(qtbot, make_viewer) -> Callable:
    """Give the function that shows products in a new viewer and waits until they are drawn."""

    def show_products(*products: Product, size: tuple[int, int] = (900, 640)):
        viewer = make_viewer(size)
        viewer.show_products(products)
        qtbot.waitUntil(lambda: bool(viewer.frames.entries) and viewer.is_ready(), timeout=60_000)
        qtbot.wait(20)
        return viewer

    return show_products
