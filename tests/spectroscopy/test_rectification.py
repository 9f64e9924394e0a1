from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.errors import InputError, StepError
from sofia_engine.spectroscopy.calibration_maps import CalibrationMaps
from sofia_engine.spectroscopy.rectification import (
    RectificationRule,
    cut_order,
    keep_detector_grid,
    plan_rectification,
)


def spectrum(wave):
    return 50 + 30 * (wave - 5.5) + 5 * np.sin(6 * wave)


def profile(slit, center=30.0, sigma=2.0):
    return np.exp(-0.5 * ((slit - center) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi)) * 0.768


def test_that_a_tilted_curved_order_is_straight_afterwards(spectrograph):
    image = spectrograph.expose(spectrum, profile)
    rectify = spectrograph.rectifier()
    out = rectify(image, np.ones_like(image))
    # flux is per detector pixel, so a rectified pixel has as much as it has area; smoothing by the pixel lowers the
    # peak of the profile by some per cent, so compare its place and its sum
    expected = spectrum(out.wavelength) * profile(out.slit)[:, np.newaxis] * rectify.overlap.total
    position = (out.flux * out.slit[:, np.newaxis]).sum(axis=0) / out.flux.sum(axis=0)
    np.testing.assert_allclose(position, 30.0, atol=0.01)
    np.testing.assert_allclose(out.flux.sum(axis=0), expected.sum(axis=0), rtol=1e-3)


def test_that_a_line_of_light_across_the_slit_gets_one_wavelength(spectrograph):
    image = spectrograph.expose(lambda wave: np.exp(-0.5 * ((wave - 5.6) / 0.025) ** 2), np.ones_like)
    out = spectrograph.rectifier()(image, np.ones_like(image))
    center = (out.flux * out.wavelength).sum(axis=1) / out.flux.sum(axis=1)
    np.testing.assert_allclose(center, 5.6, atol=0.02 * spectrograph.dispersion)


def test_that_the_total_flux_of_a_source_is_conserved(spectrograph):
    def blob(wave):
        return np.exp(-0.5 * ((wave - 5.6) / 0.05) ** 2)

    image = spectrograph.expose(blob, profile)
    out = spectrograph.rectifier()(image, np.ones_like(image))
    assert out.flux.sum() == pytest.approx(image.sum(), rel=1e-5)


def test_that_the_grid_is_that_of_the_map(spectrograph):
    out = spectrograph.rectifier()
    maps, mask = spectrograph.maps, spectrograph.mask == 1
    step = np.ptp(maps.wavelength[mask]) / 109
    np.testing.assert_allclose(np.diff(out.wavelength), step)
    np.testing.assert_allclose(np.diff(out.slit), 0.768)
    assert (out.wavelength[0] - step / 2 - maps.wavelength[mask].min()) / step == pytest.approx(
        round((out.wavelength[0] - step / 2 - maps.wavelength[mask].min()) / step), abs=1e-6
    )


def test_that_a_missing_pixel_leaves_few_bad_pixels_and_no_wrong_ones(spectrograph):
    image = spectrograph.expose(lambda wave: 100 + 0 * wave, np.ones_like)
    holed = image.copy()
    holed[40, 50] = np.nan
    rectify = spectrograph.rectifier()
    out, whole = rectify(holed, np.ones_like(image)), rectify(image, np.ones_like(image))
    touched = rectify(np.where(np.isnan(holed), 1.0, 0.0), np.ones_like(image)).flux > 0
    np.testing.assert_array_equal(np.isnan(out.flux), out.bad)
    assert 1 <= np.count_nonzero(out.bad) <= np.count_nonzero(touched)
    assert not out.bad[~touched].any()
    np.testing.assert_allclose(out.flux[~out.bad], whole.flux[~out.bad], rtol=0.01)


def test_that_half_missing_pixels_on_the_flank_of_a_source_are_not_made_up(spectrograph):
    """A narrow source with holes: what is left good is right; scaled to the whole area it would not be."""
    image = spectrograph.expose(lambda wave: 1 + 0 * wave, lambda slit: np.exp(-0.5 * ((slit - 30) / 1.2) ** 2))
    holed = image.copy()
    holed[np.random.default_rng(2).random(image.shape) < 0.05] = np.nan
    worst = {}
    for fraction in (0.02, 0.2):
        rectify = spectrograph.rectifier(missing_fraction=fraction)
        whole, out = (rectify(part, np.ones_like(image)) for part in (image, holed))
        worst[fraction] = np.nanmax(np.abs(out.flux - whole.flux)) / np.nanmax(whole.flux)
    assert worst[0.02] < 0.01 < 0.03 < worst[0.2]


def test_that_an_image_of_nan_is_all_bad(spectrograph):
    image = np.full(spectrograph.shape, np.nan)
    out = spectrograph.rectifier()(image, image)
    assert out.bad.all()
    assert np.isnan(out.flux).all()


def test_that_errors_of_sums_along_the_slit_are_their_scatter(spectrograph):
    rng = np.random.default_rng(0)
    rectify = spectrograph.rectifier()
    error = np.linspace(1, 2, spectrograph.shape[1]) * np.ones(spectrograph.shape)
    outs = [rectify(rng.normal(0, error), error**2) for _ in range(400)]
    sums = np.stack([out.flux[10:40].sum(axis=0) for out in outs])
    quoted = np.sqrt(outs[0].variance[10:40].sum(axis=0))
    assert np.median(sums.std(axis=0) / quoted) == pytest.approx(1.0, abs=0.03)
    assert (sums / quoted).std() == pytest.approx(1.0, abs=0.03)


def test_that_the_correlation_factor_gives_the_error_of_wide_sums(spectrograph):
    rng = np.random.default_rng(1)
    rectify = spectrograph.rectifier()
    ones = np.ones(spectrograph.shape)
    outs = [rectify(rng.normal(size=ones.shape), ones) for _ in range(400)]
    totals = np.array([out.flux[10:50, 20:80].sum() for out in outs])
    quoted = np.sqrt(outs[0].variance[10:50, 20:80].sum()) * outs[0].correlation
    assert totals.std() / quoted == pytest.approx(1.0, abs=0.1)


def test_that_the_area_rule_gives_wide_sums_the_right_error(spectrograph):
    rng = np.random.default_rng(2)
    rectify = spectrograph.rectifier(error="area")
    ones = np.ones(spectrograph.shape)
    outs = [rectify(rng.normal(size=ones.shape), ones) for _ in range(400)]
    totals = np.array([out.flux[10:50, 20:80].sum() for out in outs])
    assert totals.std() / np.sqrt(outs[0].variance[10:50, 20:80].sum()) == pytest.approx(1.0, abs=0.1)
    assert outs[0].correlation == 1.0


def test_that_the_input_is_unchanged(spectrograph):
    image = np.random.default_rng(3).normal(size=spectrograph.shape)
    image[3, 4] = np.nan
    variance = np.ones_like(image)
    before = image.copy(), variance.copy()
    spectrograph.rectifier()(image, variance)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(variance, before[1])


def test_that_an_image_of_another_shape_is_refused(spectrograph):
    with pytest.raises(InputError, match="shape"):
        spectrograph.rectifier()(np.ones((4, 4)), np.ones((4, 4)))


def test_that_an_empty_order_is_refused(spectrograph):
    with pytest.raises(StepError, match="Problem in rectification"):
        plan_rectification(np.zeros(spectrograph.shape), spectrograph.maps, RectificationRule(0.768))


def test_that_a_grid_beyond_the_detector_is_refused():
    maps = CalibrationMaps(*np.indices((6, 6), dtype=float)[::-1])
    with pytest.raises(StepError, match="Problem in rectification"):
        plan_rectification(np.ones((6, 6)), maps, RectificationRule(1.0))


def test_that_without_calibration_the_pixels_are_kept():
    image = np.arange(12.0).reshape(3, 4)
    mask = np.ones((3, 4), dtype=int)
    mask[0] = 0
    out = keep_detector_grid(image, image, mask)
    np.testing.assert_array_equal(out.flux[1:], image[1:])
    assert out.bad[0].all()
    np.testing.assert_array_equal(out.wavelength, np.arange(4))


def test_that_the_box_of_an_order_is_cut_out():
    mask = np.zeros((8, 9), dtype=int)
    mask[2:5, 3:7] = 2
    y, x = np.indices(mask.shape, dtype=float)
    out = cut_order(x, y, mask, CalibrationMaps(10 * x, y / 2), 2)
    np.testing.assert_array_equal(out.flux, x[2:5, 3:7])
    np.testing.assert_array_equal(out.wavelength, [30, 40, 50, 60])
    np.testing.assert_array_equal(out.slit, [1, 1.5, 2])
    with pytest.raises(StepError, match="order 5"):
        cut_order(x, y, mask, CalibrationMaps(x, y), 5)


def test_that_the_blur_is_that_of_the_raw_pixels_under_a_rectified_one():
    """Rows on rows have the variance of one pixel; a share f of the next row adds f (1 - f)."""
    y, x = np.indices((40, 208), dtype=float)
    maps = CalibrationMaps(5 + 0.1 * x, 2.0 * (y + x / 100))
    rectify = plan_rectification(np.ones(y.shape), maps, RectificationRule(2.0, degree=1))
    blur = rectify.blur[15, :100] / 4.0  # the rows move by one over 100 columns
    assert blur.min() == pytest.approx(1 / 12, abs=1e-2)
    assert blur.max() == pytest.approx(1 / 12 + 1 / 4, abs=1e-3)
    assert blur.mean() == pytest.approx(1 / 12 + 1 / 6, abs=1e-3)


def test_that_columns_are_where_the_map_has_their_wavelengths():
    """A dispersion that cubic polynomials cannot follow; light of one wavelength lands in its column."""
    y, x = np.indices((40, 200), dtype=float)
    wave = 5.0 + 0.01 * (x + 2.5 * np.sin(x / 30.0) + 0.03 * y)
    maps = CalibrationMaps(wave, 0.8 * y)
    places = []
    for exact in (False, True):
        rectify = plan_rectification(np.ones(y.shape), maps, RectificationRule(0.8, exact_wavelengths=exact))
        weights = rectify.overlap.areas
        found = (weights * wave.ravel()[rectify.overlap.pixels]).sum(axis=0) / weights.sum(axis=0)
        places.append(np.abs(found - rectify.wavelength).max() / 0.01)
    assert places[0] > 0.5
    assert places[1] < 0.1


def test_that_columns_beyond_the_map_move_with_their_neighbours():
    y, x = np.indices((40, 60), dtype=float)
    wave = 5.0 + 0.01 * (x + np.sin(x / 8.0))
    wave[30:] = np.nan
    mask = np.where(np.isfinite(wave), 1, 0)
    rectify = plan_rectification(mask, CalibrationMaps(wave, 0.8 * y), RectificationRule(0.8, row_margin=0))
    out = rectify(np.ones(y.shape), np.ones(y.shape))
    assert np.isfinite(out.blur).all()
    assert np.isfinite(out.flux).mean() > 0.9
