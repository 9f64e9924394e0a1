"""Footprints of FIFI-LS spatial pixels."""

import numpy as np
import pytest

from sofia_engine.errors import InputError
from sofia_viewers.cube.cube import open_cube
from sofia_viewers.cube.footprints import draw_footprints, read_footprints

from .conftest import GOLDEN, make_header, write_cube


@pytest.mark.golden
def test_that_spatial_pixels_of_published_products_lie_on_the_cube():
    folder = GOLDEN / "fifi_sym_red/expected"
    products, cubes = sorted(folder.glob("*_CAL_*.fits.gz")), sorted(folder.glob("*_WXY_*.fits.gz"))
    if not products or not cubes:
        pytest.skip("the golden sets are not here")
    (found,), cube = read_footprints(products[0]), open_cube(cubes[0])
    assert found.sky.shape == (25, 2)
    assert found.wave == pytest.approx((157.32, 158.13), abs=0.2)
    (drawing,) = draw_footprints([found], cube.wcs)
    assert len(drawing.lines) == 25
    sides = np.hypot(*np.diff(drawing.lines[0], axis=0).T)
    assert sides == pytest.approx(12.2 / 3.0, rel=1e-6)
    middles = np.array([line[:4].mean(axis=0) for line in drawing.lines])
    inside = (middles > -1).all(axis=1) & (middles < [27, 29]).all(axis=1)
    assert inside.mean() > 0.9
    distance = np.hypot(*(middles[1] - middles[0]))
    assert distance == pytest.approx(12.2 / 3.0, rel=0.15)


@pytest.mark.golden
@pytest.mark.parametrize("code", ["XYC", "FLF"])
def test_that_products_before_scans_are_combined_have_footprints_of_each_grating_position(code):
    folder = GOLDEN / "fifi_sym_red/expected"
    products, cubes = sorted(folder.glob(f"*_{code}_*.fits.gz")), sorted(folder.glob("*_WXY_*.fits.gz"))
    if not products or not cubes:
        pytest.skip("the golden sets are not here")
    found = read_footprints(products[0])
    assert len(found) == 2
    middles = [sum(each.wave) / 2 for each in found]
    assert abs(middles[0] - middles[1]) > 0.01
    drawings = draw_footprints(found, open_cube(cubes[0]).wcs)
    assert len({drawing.color for drawing in drawings}) == 2
    assert [drawing.labels[0].text for drawing in drawings] == [
        f"{a:.2f}–{b:.2f} μm" for a, b in (f.wave for f in found)
    ]


def test_that_other_files_are_refused(tmp_path):
    path = write_cube(tmp_path / "c.fits", np.ones((4, 5, 6)), make_header((5, 6), 4))
    with pytest.raises(InputError, match="no extension RA"):
        read_footprints(path)
