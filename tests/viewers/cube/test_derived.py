"""Cubes made of cubes, and how they and maps are written."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import InputError, ParameterError, StepError
from sofia_viewers.cube.apertures import find_aperture
from sofia_viewers.cube.atmosphere import correct_again
from sofia_viewers.cube.collapse import collapse_range, split_channels
from sofia_viewers.cube.cube import open_cube
from sofia_viewers.cube.derived import combine_cubes, crop_cube, mask_cube, scale_slices, subtract_continuum
from sofia_viewers.cube.extraction import extract_spectrum
from sofia_viewers.cube.moments import LineRange, compute_moment_maps
from sofia_viewers.cube.point_source import expected_fwhm, measure_width
from sofia_viewers.cube.position_velocity import cut_along
from sofia_viewers.cube.saving import make_cut_table, make_map_table, save_cube, save_cut, save_maps, save_table
from sofia_viewers.image.regions import Region

from .conftest import REST, make_header, make_truth, write_cube


def test_that_a_cropped_cube_is_a_view_with_shifted_coordinates(galaxy):
    part = crop_cube(galaxy, slice(10, 50), slice(4, 20), slice(5, 25), "d", "part")
    assert np.shares_memory(part.samples().raw, galaxy.samples().raw)
    assert np.array_equal(part.samples()[:], galaxy.samples()[10:50, 4:20, 5:25])
    assert part.wcs.wcs_pix2world([[0, 0]], 0) == pytest.approx(galaxy.wcs.wcs_pix2world([[5, 4]], 0))
    assert np.array_equal(part.wave, galaxy.wave[10:50])
    assert len(part.curves["TRANSMISSION"].values) == 40
    with pytest.raises(StepError, match="Nothing of the cube is left"):
        crop_cube(galaxy, slice(50, 50), slice(0, 4), slice(0, 4), "d", "none")


def test_that_masks_apply_to_all_planes_and_to_parts_of_masked_cubes(galaxy):
    keep = np.zeros(galaxy.shape[1:], dtype=bool)
    keep[8:14, 3:9] = True
    masked = mask_cube(galaxy, keep, "d", "masked")
    assert np.array_equal(np.isfinite(masked.samples()[12]), keep)
    assert np.array_equal(np.isfinite(masked.samples("ERROR")[12]), keep)
    part = crop_cube(masked, slice(3, 9), slice(6, 12), slice(2, 8), "e", "part")
    np.testing.assert_array_equal(part.samples()[2], masked.samples()[5, 6:12, 2:8])
    np.testing.assert_array_equal(part.samples()[:, ::2, ::2], masked.samples()[3:9, 6:12:2, 2:8:2])
    waves = mask_cube(galaxy, np.arange(80) != 7, "d", "slice")
    assert np.isnan(waves.samples()[7]).all()
    assert np.array_equal(waves.samples()[8], galaxy.samples()[8])


@pytest.mark.parametrize(("operator", "expected"), [("+", 2.0), ("-", 0.0), ("*", 1.0), ("/", 1.0)])
def test_that_cubes_of_one_grid_are_combined_with_errors(tmp_path, operator, expected):
    cube = open_cube(write_cube(tmp_path / "a.fits", np.ones((4, 5, 6)), make_header((5, 6), 4), 0.1))
    made = combine_cubes(cube, cube, operator, "d", "both")
    assert made.samples()[:] == pytest.approx(np.full((4, 5, 6), expected))
    assert made.samples("ERROR")[1] == pytest.approx(np.full((5, 6), 0.1 * 2**0.5))


def test_that_a_cube_of_another_grid_is_brought_to_the_first(galaxy, tmp_path):
    truth = make_truth((40, 44), 160, 0.005)
    scaled = truth.flux * 0  # the same sky on finer, turned pixels: a plane of continuum and the slope in wavelength
    header = make_header((40, 44), 160, 0.005, pixel=5.0, rotation=25.0)
    values = np.broadcast_to((1.0 + truth.wave - REST)[:, None, None], (160, *scaled.shape))
    other = open_cube(write_cube(tmp_path / "b.fits", values, header, None, WAVELENGTH=truth.wave))
    made = combine_cubes(galaxy, other, "-", "d", "difference")
    image = made.samples()[30]
    expected = galaxy.samples()[30] - (1.0 + galaxy.wave[30] - REST)
    inside = np.isfinite(image)
    assert inside.mean() > 0.9
    np.testing.assert_allclose(image[inside], expected[inside], atol=2e-5)


def test_that_cubes_without_anything_in_common_are_refused(galaxy, tmp_path):
    header = make_header((5, 6), 4, CRVAL3=60.0)
    other = open_cube(write_cube(tmp_path / "b.fits", np.ones((4, 5, 6)), header, None))
    with pytest.raises(StepError, match="no wavelength in common"):
        combine_cubes(galaxy, other, "+", "d", "x")
    with pytest.raises(ParameterError, match="operator"):
        combine_cubes(galaxy, galaxy, "%", "d", "x")


def test_that_spectra_and_moments_of_made_cubes_are_those_of_their_own_numbers(galaxy):
    keep = np.ones(galaxy.shape[1:], dtype=bool)
    keep[9:12, 10:13] = False
    made = mask_cube(scale_slices(galaxy, np.linspace(1.0, 3.0, 80), "d", "scaled"), keep, "e", "masked")
    aperture = find_aperture(Region("circle", ((12.0, 11.0),), (4.0,)), galaxy.shape[1:])
    pixels = made.samples()[:][:, aperture.rows, aperture.columns][:, aperture.mask]
    for statistic, combine in (("sum", np.nansum), ("mean", np.nanmean), ("median", np.nanmedian)):
        values, spread = extract_spectrum(made.samples(), aperture, statistic, made.samples("ERROR"))
        np.testing.assert_allclose(values, combine(pixels.astype(float), axis=1), rtol=1e-6)
        assert spread[-1] == pytest.approx(3.0 * spread[0], rel=1e-6)
    line = LineRange(REST - 0.25, REST + 0.25)
    for cube in (made, subtract_continuum(galaxy, line, "f", "line"), combine_cubes(galaxy, made, "+", "g", "sum")):
        waves = cube.find_slices(line.low, line.high)
        total = np.sum(cube.samples()[waves] / cube.wave[waves, None, None] ** 2, axis=0) * 1e-26 * 2.99792458e14 * 0.01
        found = compute_moment_maps(cube, replace(line, degree=None))["Moment 0"].values
        np.testing.assert_allclose(found, total, rtol=1e-4, atol=1e-22)


def test_that_subtracting_the_continuum_leaves_the_line(galaxy, truth):
    made = subtract_continuum(galaxy, LineRange(REST - 0.25, REST + 0.25), "d", "line")
    edge = made.samples()[:10]
    assert abs(edge.mean()) < 0.003
    total = np.nansum(made.samples()[:], axis=0) * 0.01
    assert total[12, 13] == pytest.approx(truth.flux[12, 13], abs=0.012)


@pytest.mark.parametrize("how", ["reference", "median", "none"])
def test_that_another_telluric_correction_divides_by_one_value(galaxy, how):
    old = galaxy.curves["TRANSMISSION"].values
    new = {"reference": np.interp(REST, galaxy.wave, old), "median": np.median(old), "none": 1.0}[how]
    made = correct_again(galaxy, how, "d", wave=REST)
    np.testing.assert_allclose(made.samples()[20], galaxy.samples()[20] * old[20] / new, rtol=1e-5)
    np.testing.assert_allclose(made.samples("ERROR")[20], galaxy.samples("ERROR")[20] * old[20] / new, rtol=1e-5)


def test_that_a_cube_without_transmission_is_not_corrected(tmp_path):
    cube = open_cube(write_cube(tmp_path / "a.fits", np.ones((4, 5, 6)), make_header((5, 6), 4)))
    with pytest.raises(StepError, match="no extension TRANSMISSION"):
        correct_again(cube, "median", "d")


def test_that_a_range_is_averaged_with_its_error_and_divided_into_channels(galaxy):
    waves = galaxy.find_slices(REST - 0.05, REST + 0.05)
    found = collapse_range(galaxy.samples(), waves, "mean", galaxy.samples("ERROR"))
    np.testing.assert_allclose(found.values, galaxy.samples()[waves].mean(axis=0), rtol=1e-5)
    assert found.error == pytest.approx(np.full((24, 28), 0.02 / 10**0.5), rel=1e-4)
    channels = split_channels(galaxy, REST - 0.2, REST + 0.2, 7)
    assert [c.start for c in channels[1:]] == [c.stop for c in channels[:-1]]
    assert sum(c.stop - c.start for c in channels) == 40
    with pytest.raises(StepError, match="no slice"):
        split_channels(galaxy, 1.0, 2.0, 3)


def test_that_a_saved_cube_is_read_back_the_same(galaxy, tmp_path):
    made = crop_cube(subtract_continuum(galaxy, LineRange(REST - 0.2, REST + 0.2), "d", "line"),
                     slice(5, 60), slice(2, 20), slice(3, 22), "e", "part")  # fmt: skip
    path = save_cube(tmp_path / "saved.fits", made)
    again = open_cube(path)
    assert np.array_equal(again.samples()[:], made.samples()[:], equal_nan=True)
    assert np.array_equal(again.wave, made.wave)
    assert again.wcs.wcs_pix2world([[3, 4]], 0) == pytest.approx(made.wcs.wcs_pix2world([[3, 4]], 0))
    assert again.curves.keys() == made.curves.keys()
    assert again.flux.unit == "Jy/pixel"
    with fits.open(path) as hdus:
        hdus.verify("exception")


def test_that_maps_and_their_table_hold_values_errors_and_coordinates(galaxy, tmp_path):
    from astropy.table import Table

    maps = compute_moment_maps(galaxy, LineRange(REST - 0.25, REST + 0.25, rest=REST))
    with fits.open(save_maps(tmp_path / "maps.fits", galaxy, maps)) as hdus:
        header = hdus["MOMENT 1"].header
        assert header["BUNIT"] == "km/s"
        assert header["RESTWAV"] == pytest.approx(REST * 1e-6)
        assert header["WCSAXES" if "WCSAXES" in header else "NAXIS"] == 2
        assert "CTYPE3" not in header
        np.testing.assert_allclose(hdus["MOMENT 1"].data, maps["Moment 1"].values.astype("f4"))
        assert hdus["MOMENT 1 ERROR"].data.shape == (24, 28)
    path = save_table(tmp_path / "maps.ecsv", make_map_table(galaxy, maps))
    table = Table.read(path)
    row = table[(table["x"] == 14) & (table["y"] == 12)][0]
    assert row["moment_0"] == pytest.approx(maps["Moment 0"].values[11, 13])
    assert [row["lon"], row["lat"]] == pytest.approx(galaxy.wcs.wcs_pix2world([[13, 11]], 0)[0])
    with pytest.raises(InputError, match="no map to save"):
        save_maps(tmp_path / "none.fits", galaxy, {})
    with pytest.raises(InputError, match="cannot be written"):
        save_maps(tmp_path / "absent" / "maps.fits", galaxy, maps)


def test_that_a_saved_cut_has_axes_and_positions(galaxy, tmp_path):
    cut = cut_along(galaxy, [(2.0, 2.0), (20.0, 20.0)])
    with fits.open(save_cut(tmp_path / "cut.fits", cut, galaxy.header)) as hdus:
        header = hdus["CUT"].header
        assert header["CDELT1"] == pytest.approx(6.0)
        assert header["CRVAL2"] == pytest.approx(galaxy.wave[0])
        assert np.array_equal(hdus["CUT"].data, cut.values.astype("f4"))
        assert hdus["PATH"].data["LON"] == pytest.approx(cut.sky[:, 0])
    table = make_cut_table(cut)
    assert len(table) == cut.values.size


def test_that_the_width_of_a_source_is_measured_and_the_diffraction_limit_is_that_of_the_telescope():
    from sofia_viewers.cube.apertures import find_aperture
    from sofia_viewers.image.regions import Region

    y, x = np.mgrid[:40, :44]
    image = 3.0 * np.exp(-0.5 * (((x - 20.3) / 3.0) ** 2 + ((y - 18.6) / 2.0) ** 2)) + 1.0
    image += np.random.default_rng(1).normal(0, 0.01, image.shape)
    aperture = find_aperture(Region("circle", ((20.0, 19.0),), (12.0,)), image.shape)
    found = measure_width(image, aperture)
    assert (found.x, found.y) == pytest.approx((20.3, 18.6), abs=0.02)
    assert (found.major, found.minor) == pytest.approx((3.0 * 2.3548, 2.0 * 2.3548), rel=0.01)
    assert expected_fwhm(100.0) == pytest.approx(8.49, abs=0.02)
    with pytest.raises(StepError, match="fewer than 12"):
        measure_width(np.full_like(image, np.nan), aperture)
