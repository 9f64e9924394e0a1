"""Numbers of the explorer against formulas and packages that it does not use itself."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS
from photutils.aperture import CircularAnnulus, CircularAperture, EllipticalAperture, RectangularAperture
from scipy.ndimage import map_coordinates

from sofia_viewers.cube.apertures import find_aperture
from sofia_viewers.cube.cube import open_cube
from sofia_viewers.cube.entries import MapImage, make_map_entry
from sofia_viewers.cube.extraction import extract_spectrum
from sofia_viewers.cube.moments import LineRange, compute_moment_maps
from sofia_viewers.cube.position_velocity import cut_along
from sofia_viewers.cube.saving import make_map_table, save_maps, save_table
from sofia_viewers.image.contours import ContourSettings, draw_contours
from sofia_viewers.image.display import DisplayState
from sofia_viewers.image.frame import Frame, open_image
from sofia_viewers.image.regions import Region

from .conftest import REST, make_header, write_cube

PLACE = (12.3, 14.7)
APERTURES = [
    (Region("circle", (PLACE,), (5.2,)), CircularAperture(PLACE, 5.2)),
    (Region("ellipse", (PLACE,), (7.2, 3.1), 33.0), EllipticalAperture(PLACE, 7.2, 3.1, theta=np.radians(33))),
    (Region("box", (PLACE,), (9.1, 4.2), -20.0), RectangularAperture(PLACE, 9.1, 4.2, theta=np.radians(-20))),
    (Region("annulus", (PLACE,), (3.0, 6.0)), CircularAnnulus(PLACE, 3.0, 6.0)),
]


@pytest.fixture
def noise(tmp_path):
    data = np.random.default_rng(3).normal(1.0, 0.3, (6, 30, 35))
    return open_cube(write_cube(tmp_path / "noise.fits", data, make_header((30, 35), 6), 0.3))


@pytest.mark.parametrize(("region", "aperture"), APERTURES, ids=lambda each: getattr(each, "shape", ""))
def test_that_sums_and_errors_are_those_of_photutils_for_pixels_whose_centres_lie_inside(noise, region, aperture):
    found, spread = extract_spectrum(noise.samples(), find_aperture(region, (30, 35)), "sum", noise.samples("ERROR"))
    for values, sum_, error in zip(noise.samples()[:], found, spread, strict=True):
        expected, its_error = aperture.do_photometry(
            values.astype(float), error=np.full((30, 35), 0.3), method="center"
        )
        assert sum_ == pytest.approx(expected[0], rel=1e-6)
        assert error == pytest.approx(its_error[0], rel=1e-6)


@pytest.mark.parametrize("angle", [0.0, 17.0, 45.0, 133.0, 251.0])
@pytest.mark.parametrize("width", [1, 4])
def test_that_cuts_at_any_angle_are_those_of_scipy(noise, angle, width):
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    cut = cut_along(noise, ((17 - 9 * c, 15 - 9 * s), (17 + 9 * c, 15 + 9 * s)), width=width)
    along = np.arange(cut.values.shape[1])
    x, y = 17 - 9 * c + along * c, 15 - 9 * s + along * s
    shifts = np.arange(width) - (width - 1) / 2
    for image, values in zip(noise.samples()[:], cut.values, strict=True):
        lines = [map_coordinates(image.astype(float), [y + k * c, x - k * s], order=1) for k in shifts]
        np.testing.assert_allclose(values, np.mean(lines, axis=0), rtol=1e-6)


def test_that_errors_of_wide_cuts_are_the_scatter_of_their_values(tmp_path):
    data = np.random.default_rng(3).normal(0.0, 0.02, (2000, 12, 13))
    cube = open_cube(write_cube(tmp_path / "noise.fits", data, make_header((12, 13), 2000), 0.02))
    for width in (1, 3):
        cut = cut_along(cube, ((2.3, 2.1), (9.2, 8.7)), width=width)
        assert np.std(cut.values, axis=0) / cut.error.mean(axis=0) == pytest.approx(1.0, abs=0.07)


def test_that_contours_lie_at_their_place_of_the_sky_on_an_image_turned_otherwise(tmp_path):
    header, turned = make_header((40, 44), rotation=20.0), make_header((50, 60), pixel=2.5, rotation=155.0)
    for key in [key for key in turned if key.endswith("3")]:
        del turned[key]
    fits.PrimaryHDU(np.zeros((50, 60), "f4"), turned).writeto(tmp_path / "image.fits")
    y, x = np.mgrid[:40, :44]
    cube = open_cube(write_cube(tmp_path / "cube.fits", np.ones((4, 40, 44)), header, None))
    made = MapImage("distance", np.hypot(x - 25.0, y - 18.0), "pixel")
    source = make_map_entry(cube, made, "map", DisplayState()).frame
    target = Frame.of(open_image(tmp_path / "image.fits"))
    settings = ContourSettings(n_levels=1, smoothing=0.0)
    (drawing,) = draw_contours(source, target, (0.0, 10.0), settings)
    points = np.concatenate(drawing.lines)
    sky = WCS(turned).wcs_pix2world(points, 0)
    there = WCS(header).celestial.wcs_world2pix(sky, 0)
    assert np.hypot(*(there - [25.0, 18.0]).T) == pytest.approx(5.0, abs=0.03)


def test_that_saved_maps_are_read_by_astropy_alone(galaxy, tmp_path):
    maps = compute_moment_maps(galaxy, LineRange(REST - 0.25, REST + 0.25, rest=REST))
    ratio = maps["Moment 0"].values / maps["Continuum"].values
    table = QTable.read(save_table(tmp_path / "maps.ecsv", make_map_table(galaxy, maps)))
    rows, columns = np.asarray(table["y"]) - 1, np.asarray(table["x"]) - 1
    found = (table["moment_0"] / table["continuum"]).to_value(u.W / u.m**2 / u.Jy)
    np.testing.assert_allclose(found, ratio[rows, columns], rtol=1e-9)
    assert table["moment_1"].unit == "km/s"
    with fits.open(save_maps(tmp_path / "maps.fits", galaxy, maps)) as hdus:
        np.testing.assert_allclose(hdus["MOMENT 0"].data / hdus["CONTINUUM"].data, ratio, rtol=1e-5)
        sky = WCS(hdus["MOMENT 0"].header).wcs_pix2world(np.column_stack([columns, rows]), 0)
    np.testing.assert_allclose(sky[:, 0], table["lon"].to_value("deg"), rtol=1e-12)
    np.testing.assert_allclose(sky[:, 1], table["lat"].to_value("deg"), rtol=1e-12)
