"""Cubes with known contents, and explorers that are closed at the end of a test."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from sofia_viewers.cube.cube import Cube, open_cube

LIGHT_SPEED = 299792.458
REST = 157.7409
GOLDEN = Path(__file__).resolve().parents[3] / "../shared/golden"


@dataclass(frozen=True)
class Truth:
    """What a simulated cube holds: a rotating Gaussian source with a line on a sloping continuum.

    Line flux per pixel in Jy um, velocities and dispersion in km/s, images (n_y, n_x).
    """

    wave: np.ndarray
    flux: np.ndarray
    velocity: np.ndarray
    dispersion: float
    continuum: np.ndarray
    noise: float


def make_header(shape=(24, 28), n_wave=80, step=0.01, pixel=6.0, rotation=0.0, center=(83.8, -5.4), **cards):
    """Return the header of a cube: tangent projection turned by degrees, linear wavelengths in um."""
    header = fits.Header()
    c, s = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    scale = pixel / 3600.0
    for key, value in {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CTYPE3": "WAVE", "CUNIT1": "deg", "CUNIT2": "deg", "CUNIT3": "um",
        "CRVAL1": center[0], "CRVAL2": center[1], "CRVAL3": REST, "CRPIX1": (shape[1] + 1) / 2,
        "CRPIX2": (shape[0] + 1) / 2, "CRPIX3": (n_wave + 1) / 2, "CD1_1": -scale * c, "CD1_2": scale * s,
        "CD2_1": scale * s, "CD2_2": scale * c, "CD3_3": step, "BUNIT": "Jy/pixel", "OBJECT": "Galaxy",
        "BMAJ": 15.0 / 3600, "BMIN": 15.0 / 3600,
    }.items():  # fmt: skip
        header[key] = value
    header.update(cards)
    return header


def make_truth(shape=(24, 28), n_wave=80, step=0.01, noise=0.02) -> Truth:
    """Return a source 200 km/s per 10 pixels in x about the rest wavelength of [C II], dispersion 120 km/s."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    dx, dy = x - (shape[1] - 1) / 2, y - (shape[0] - 1) / 2
    flux = 0.2 * np.exp(-0.5 * (dx**2 + dy**2) / 6.0**2)
    wave = REST + (np.arange(n_wave) - (n_wave - 1) / 2) * step
    return Truth(wave, flux, 20.0 * dx, 120.0, 0.3 + 0.01 * dy, noise)


def simulate(truth: Truth, seed: int | None = 1) -> np.ndarray:
    """Return the cube of a truth, (n_wave, n_y, n_x) Jy/pixel; without noise if there is no seed."""
    center = REST * (1.0 + truth.velocity / LIGHT_SPEED)
    sigma = REST * truth.dispersion / LIGHT_SPEED
    z = (truth.wave[:, None, None] - center) / sigma
    cube = truth.flux * np.exp(-0.5 * z * z) / (sigma * np.sqrt(2 * np.pi)) + truth.continuum
    cube = cube + 0.1 * (truth.wave[:, None, None] - REST)
    return cube if seed is None else cube + np.random.default_rng(seed).normal(0.0, truth.noise, cube.shape)


def write_cube(path: Path, data: np.ndarray, header: fits.Header, error: float | None = 0.02, **planes) -> Path:
    """Write a cube as FIFI-LS cubes are laid out."""
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(data.astype(np.float32), header, "FLUX")]
    if error is not None:
        hdus.append(fits.ImageHDU(np.full(data.shape, error, np.float32), header, "ERROR"))
    hdus += [fits.ImageHDU(values, name=name) for name, values in planes.items()]
    hdus[0].header["FILENAME"] = path.name
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


@pytest.fixture
def truth() -> Truth:
    return make_truth()


@pytest.fixture
def galaxy_path(tmp_path: Path, truth: Truth) -> Path:
    transmission = 0.9 + 0.05 * np.sin(np.arange(len(truth.wave)) / 5.0)
    return write_cube(
        tmp_path / "galaxy.fits", simulate(truth), make_header(), WAVELENGTH=truth.wave, TRANSMISSION=transmission
    )


@pytest.fixture
def galaxy(galaxy_path: Path) -> Cube:
    return open_cube(galaxy_path)


@pytest.fixture
def make_explorer(qtbot, tmp_path: Path) -> Iterator[Callable]:
    """Give the function that makes an explorer with files, shown, and waits until all is drawn."""
    from sofia_viewers.cube.viewer import CubeViewer
    from sofia_viewers.image.settings import SettingsStore
    from sofia_viewers.qt import QtCore, QtWidgets
    from sofia_viewers.theme import apply_theme, current_theme

    application = QtWidgets.QApplication.instance()
    if current_theme().name != "light" or not application.styleSheet():
        apply_theme(application, "light")
    made = []

    def make(*paths: Path, size: tuple[int, int] = (1100, 800)) -> CubeViewer:
        viewer = CubeViewer(store=SettingsStore(tmp_path / "settings", tmp_path / "old"))
        viewer.resize(*size)
        viewer.show()
        made.append(viewer)
        if paths:
            viewer.open_files(paths)
        settle(qtbot, viewer)
        return viewer

    yield make
    for viewer in made:
        viewer.close()
        viewer.deleteLater()
    application.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


def settle(qtbot, viewer) -> None:
    """Wait until the explorer has nothing to do."""
    for _ in range(2):
        qtbot.waitUntil(viewer.is_ready, timeout=60000)
        qtbot.wait(20)
    qtbot.waitUntil(viewer.is_ready, timeout=60000)


@pytest.fixture
def display():
    """Start a display and give its name."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1500x950x24", "-nolisten", "tcp", "-noreset"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as stream:
        number = stream.readline().strip()
    assert number, "the display did not start"
    yield f":{number}"
    server.kill()
    server.wait(10)
