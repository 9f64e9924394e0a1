"""Pages of mapped cubes: kept while they are few, given back in the end."""

import sys
from pathlib import Path

import numpy as np
import pytest

from sofia_viewers.cube.apertures import find_aperture
from sofia_viewers.cube.extraction import spectra_of
from sofia_viewers.cube.kept_pages import KeptPages
from sofia_viewers.image.regions import Region

from .conftest import make_header, settle, write_cube

PLANES = ("FLUX", "ERROR")
ROW_BYTES = 2 * 80 * 28 * 4


def resident_mapped() -> float:
    """Return how much of mapped files is in memory, MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssFile"))


def test_that_only_as_many_rows_are_kept_as_allowed(galaxy):
    pages = KeptPages(most_bytes=6 * ROW_BYTES)
    assert pages.keep(galaxy, slice(2, 6), PLANES)
    assert pages.keep(galaxy, slice(3, 8), PLANES)
    assert pages.keep(galaxy, slice(8, 12), PLANES)
    assert not pages.keep(galaxy, slice(2, 12), PLANES)
    assert pages.keep(galaxy, slice(10, 12), PLANES)


def test_that_spectra_are_the_same_with_and_without_kept_pages(galaxy):
    aperture = find_aperture(Region("circle", ((13.0, 11.0),), (5.0,)), (24, 28))
    plain = spectra_of(galaxy, aperture, "sum")
    for _ in range(2):
        kept = spectra_of(galaxy, aperture, "sum", keep_pages=True)
        for name in ("spectral_flux", "spectral_error"):
            assert np.array_equal(plain[name], kept[name])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts pages as Linux does")
def test_that_pages_of_a_dragged_aperture_are_given_back_after_it(qtbot, make_explorer, tmp_path):
    data = np.ones((200, 300, 300), np.float32)
    viewer = make_explorer(write_cube(tmp_path / "wide.fits", data, make_header((300, 300), 200, 1e-3, 1.0), None))
    viewer.live.pause.setInterval(500)
    viewer.live.pause.start()
    qtbot.wait(1000)
    before = resident_mapped()
    viewer.live.pause.setInterval(600_000)
    name = viewer.images.regions.add(Region("circle", ((150.0, 150.0),), (70.0,)), "cube 0")
    settle(qtbot, viewer)
    region = viewer.images.regions.named()[name]
    viewer.images.regions.edit(name, region.moved(1.0, 0.0), "cube 0")
    settle(qtbot, viewer)
    assert resident_mapped() > before + 15
    viewer.live.pause.setInterval(500)
    viewer.live.pause.start()
    qtbot.waitUntil(lambda: resident_mapped() < before + 8, timeout=60_000)
