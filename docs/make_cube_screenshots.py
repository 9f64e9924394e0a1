"""Make the pictures of the cube explorer for the manual: ``python docs/make_cube_screenshots.py [FOLDER]``.

A simulated galaxy, seen as by FIFI-LS in [C II], is shown without a display in both looks.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from astropy.io import fits

SIZE = (1400, 880)
REST = 157.7409
SHAPE = (90, 64, 72)


def write_galaxy(path: Path) -> Path:
    """Write a cube of an inclined, rotating disk with errors and transmission."""
    header = fits.Header()
    for key, value in {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CTYPE3": "WAVE", "CUNIT1": "deg", "CUNIT2": "deg", "CUNIT3": "um",
        "CRVAL1": 148.97, "CRVAL2": 69.68, "CRVAL3": REST, "CRPIX1": 36.5, "CRPIX2": 32.5, "CRPIX3": 45.5,
        "CDELT1": -3 / 3600, "CDELT2": 3 / 3600, "CDELT3": 0.008, "BUNIT": "Jy/pixel", "OBJECT": "Disk",
        "BMAJ": 15 / 3600, "BMIN": 15 / 3600,
    }.items():  # fmt: skip
        header[key] = value
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    dx, dy = x - 35.5, y - 31.5
    u, v = dx * np.cos(0.5) + dy * np.sin(0.5), (dy * np.cos(0.5) - dx * np.sin(0.5)) / 0.5
    radius = np.hypot(u, v)
    velocity = 160.0 * u / (radius + 1e-6) * np.tanh(radius / 6.0)
    flux = 3.0 * np.exp(-radius / 9.0) * (1.0 + 0.4 * np.cos(2.0 * np.arctan2(v, u) - radius / 4.0))
    wave = REST + (np.arange(SHAPE[0]) - 44.5) * 0.008
    offset = (wave[:, None, None] - REST * (1.0 + velocity / 299792.458)) / 0.045
    rng = np.random.default_rng(1)
    transmission = (
        0.93 - 0.35 * np.exp(-0.5 * ((wave - 157.55) / 0.03) ** 2) - 0.1 * np.exp(-((wave - 157.95) ** 2) / 0.01)
    )
    noise = 0.06 / transmission
    cube = flux * np.exp(-0.5 * offset**2) + 0.25 * np.exp(-radius / 8.0)
    cube = cube + rng.normal(0.0, 1.0, SHAPE) * noise[:, None, None]
    edge = np.hypot(dx / 36.0, dy / 32.0) > 1.0
    cube[:, edge] = np.nan
    primary = fits.PrimaryHDU()
    error = np.broadcast_to(noise[:, None, None], SHAPE)
    fits.HDUList([
        primary, fits.ImageHDU(cube.astype(np.float32), header, "FLUX"),
        fits.ImageHDU(np.where(np.isfinite(cube), error, np.nan).astype(np.float32), header, "ERROR"),
        fits.ImageHDU(wave, name="WAVELENGTH"), fits.ImageHDU(transmission, name="TRANSMISSION"),
    ]).writeto(path)  # fmt: skip
    return path


def write_companions(cube, folder: Path) -> tuple[Path, Path]:
    """Write an image of another grid, and a catalogue, of the same field."""
    header = fits.Header()
    for key, value in {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg", "CRVAL1": 148.97, "CRVAL2": 69.68,
        "CRPIX1": 80.5, "CRPIX2": 80.5, "CD1_1": -1.2e-4, "CD1_2": 3.1e-4, "CD2_1": 3.1e-4, "CD2_2": 1.2e-4,
        "BUNIT": "mJy/pixel", "OBJECT": "Disk",
    }.items():  # fmt: skip
        header[key] = value
    y, x = np.mgrid[:160, :160]
    image = np.random.default_rng(2).normal(0, 0.02, (160, 160))
    places = cube.wcs.wcs_pix2world([[35.5, 31.5], [44.0, 37.0], [26.0, 26.0], [50.0, 20.0], [20.0, 44.0]], 0)
    from astropy.wcs import WCS

    for number, (column, row) in enumerate(WCS(header).wcs_world2pix(places, 0)):
        image += (1.0 - 0.15 * number) * np.exp(-0.5 * ((x - column) ** 2 + (y - row) ** 2) / 16.0)
    fits.PrimaryHDU(image.astype(np.float32), header).writeto(folder / "70um.fits")
    rows = "".join(f"Knot {n + 1},{lon},{lat}\n" for n, (lon, lat) in enumerate(places))
    (folder / "knots.csv").write_text("name,ra,dec\n" + rows)
    return folder / "70um.fits", folder / "knots.csv"


class Photographer:
    """Shows the explorer and takes its picture."""

    def __init__(self, viewer, folder: Path, look: str) -> None:
        self.viewer, self.folder, self.look = viewer, folder, look

    def settle(self) -> None:
        """Wait until all is drawn."""
        from sofia_viewers.qt import QtWidgets
        from sofia_viewers.standalone import wait_until_ready

        for _ in range(3):
            wait_until_ready(self.viewer)
            end = time.monotonic() + 0.25
            while time.monotonic() < end:
                QtWidgets.QApplication.processEvents()

    def shoot(self, name: str) -> None:
        """Take a picture."""
        from sofia_viewers.qt import QtGui

        self.settle()
        image = self.viewer.grab().toImage().convertToFormat(QtGui.QImage.Format.Format_RGB888)
        path = self.folder / f"cube-{name}-{self.look}.png"
        if not image.save(str(path), "PNG", 0):  # 0: as small as can be
            raise OSError(f"{path} cannot be written.")
        sys.stdout.write(f"{path}\n")


def take_pictures(folder: Path, look: str, cube_path: Path) -> None:
    """Take all pictures in one look."""
    from sofia_viewers.cube.viewer import CubeViewer
    from sofia_viewers.image.regions import Region
    from sofia_viewers.image.settings import SettingsStore
    from sofia_viewers.qt import start_application
    from sofia_viewers.theme import apply_theme

    apply_theme(start_application(), look)
    with tempfile.TemporaryDirectory() as place:
        viewer = CubeViewer(store=SettingsStore(Path(place) / "settings", Path(place) / "old"))
        viewer.resize(*SIZE)
        viewer.show()
        photographer = Photographer(viewer, folder, look)
        photographer.settle()
        viewer.open_files([cube_path])
        photographer.settle()
        viewer.images.regions.add(Region("circle", ((35.5, 31.5),), (4.0,), name="nucleus"), "cube 0")
        viewer.images.regions.add(Region("ellipse", ((46.0, 38.0),), (6.0, 3.5), 30.0, name="east arm"), "cube 0")
        viewer.spectra_tools.set_rest(REST)
        viewer.spectra_tools.show_transmission(True)
        photographer.shoot("overview")
        viewer.spectra_tools.show_transmission(False)
        viewer.map_tools.select_range(REST - 0.16, REST + 0.16)
        viewer.tools.setCurrentWidget(viewer.map_tools.panel)
        photographer.settle()
        viewer.map_tools.compute_moments()
        photographer.settle()
        for name in ("Moment 3", "Moment 4", "Continuum"):
            viewer.remove_frames([f"map {name} cube 0"])
        photographer.settle()
        viewer.images.show_side_panel(False)
        viewer.images.fit()
        photographer.shoot("maps")
        viewer.images.regions.add(Region("line", ((12.0, 19.0), (59.0, 44.0))), "cube 0")
        viewer.images.select("map Moment 1 cube 0")
        viewer.images.arrange("single")
        viewer.tools.setCurrentWidget(viewer.cut_tools.panel)
        viewer.spectra_tools.show_velocity(True)
        viewer.cut_tools.cut(show=True)
        photographer.shoot("cut")
        viewer.map_tools.clear()
        viewer.lower_views.setCurrentIndex(0)
        image, table = write_companions(viewer.cube, Path(place))
        viewer.link_tools.add_image(image)
        viewer.link_tools.add_catalog(table)
        viewer.images.arrange("tile")
        viewer.tools.setCurrentWidget(viewer.link_tools.panel)
        photographer.settle()
        viewer.images.overlays.change(contours=True, contour_source="cube 0")
        viewer.images.apply_overlays()
        viewer.images.fit()
        photographer.shoot("links")
        viewer.close()


def main() -> None:
    """Make all pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "_static"
    with tempfile.TemporaryDirectory() as place:
        path = write_galaxy(Path(place) / "galaxy.fits")
        for look in ("light", "dark"):
            take_pictures(folder, look, path)


if __name__ == "__main__":
    main()
