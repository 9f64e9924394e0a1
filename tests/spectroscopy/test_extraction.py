from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.errors import InputError
from sofia_engine.spectroscopy.aperture_mask import make_aperture_mask, read_background
from sofia_engine.spectroscopy.apertures import Aperture
from sofia_engine.spectroscopy.background import fit_background
from sofia_engine.spectroscopy.extraction import (
    BackgroundErrors,
    ExtractionRule,
    ExtractionTask,
    extract_medians,
    extract_spectra,
    find_missing_shares,
)

SLIT = 0.768 * np.arange(100)
COLUMNS = 60
FLUX = 20 + 10 * np.sin(np.arange(COLUMNS) / 9)
FWHM = 3.6
SOURCE = Aperture(40.0, 1, FWHM, 0.7 * FWHM, 2.15 * FWHM)


def profile(center=40.0):
    shape = np.exp(-4 * np.log(2) * ((SLIT - center) / FWHM) ** 2)
    return np.repeat((shape / shape.sum())[:, np.newaxis], COLUMNS, axis=1)


def make_task(flux, variance=1.0, apertures=(SOURCE,), shape=None, bad=None, background=None):
    traces = [[a.position] * COLUMNS for a in apertures]
    spread = np.broadcast_to(np.asarray(variance, dtype=float), flux.shape).copy()
    mask = make_aperture_mask(SLIT, traces, apertures)
    bad = np.zeros(flux.shape, dtype=bool) if bad is None else bad
    return ExtractionTask(
        flux, spread, bad, profile() if shape is None else shape, mask, [a.sign for a in apertures], background
    )


@pytest.mark.parametrize("method", ["optimal", "standard"])
def test_that_the_flux_of_a_source_is_extracted(method):
    spectra = extract_spectra(make_task(profile() * FLUX), ExtractionRule(method))
    np.testing.assert_allclose(spectra.flux[0], FLUX, rtol=1e-3)


@pytest.mark.parametrize("method", ["optimal", "standard"])
def test_that_the_flux_survives_rectification_of_a_tilted_order(spectrograph, method):
    def light(wave):
        return 50 + 30 * (wave - 5.5)

    def shape(slit):
        return np.exp(-4 * np.log(2) * ((slit - 30.0) / FWHM) ** 2) * np.sqrt(4 * np.log(2) / np.pi) / FWHM

    from sofia_engine.spectroscopy.profiles import ProfileRule, make_profiles

    image = spectrograph.expose(light, shape)
    rectify = spectrograph.rectifier()
    out = rectify(image, np.ones_like(image))
    found = make_profiles(
        out.flux, out.wavelength, ProfileRule(subtract_background=False), blur=out.blur / spectrograph.scale**2
    )
    aperture = Aperture(30.0, 1, FWHM, 0.7 * FWHM, 2.15 * FWHM)
    mask = make_aperture_mask(out.slit, np.full((1, out.wavelength.size), 30.0), [aperture])
    task = ExtractionTask(out.flux, out.variance, out.bad, found.map, mask, [1])
    spectra = extract_spectra(task, ExtractionRule(method))
    # the image is flux per pixel for a profile per arcsec; a rectified pixel has the area of `total` pixels and 0.768"
    columns_per_pixel = rectify.overlap.total.mean(axis=0) / 0.768**2
    ratio = spectra.flux[0] / (light(out.wavelength) * columns_per_pixel * 0.768)
    if method == "standard":
        np.testing.assert_allclose(ratio, 1.0, rtol=1e-3)
    else:
        np.testing.assert_allclose(ratio, 1.0, atol=2e-3)
        # a smooth map alone does not follow the blur of rectification, which changes with the phase of the rows
        smooth = make_profiles(out.flux, out.wavelength, ProfileRule(subtract_background=False))
        task = ExtractionTask(out.flux, out.variance, out.bad, smooth.map, mask, [1])
        before = extract_spectra(task, ExtractionRule(method)).flux[0] / spectra.flux[0] * ratio
        assert before.std() > 4 * ratio.std()


@pytest.mark.parametrize("sign", [1, -1])
def test_that_negative_apertures_give_positive_spectra_and_images(sign):
    aperture = Aperture(40.0, sign, FWHM, 0.7 * FWHM, 2.15 * FWHM)
    spectra = extract_spectra(make_task(sign * profile() * FLUX, apertures=(aperture,), shape=sign * profile()))
    np.testing.assert_allclose(spectra.flux[0], FLUX, rtol=1e-3)
    assert spectra.image[52].min() > 0


def test_that_each_aperture_gets_its_own_spectrum():
    apertures = (Aperture(25.0, 1, FWHM, 2.5, 7.7), Aperture(50.0, -1, FWHM, 2.5, 7.7))
    shape = profile(25.0) - 0.5 * profile(50.0)
    spectra = extract_spectra(make_task(shape * FLUX, apertures=apertures, shape=shape))
    np.testing.assert_allclose(spectra.flux, [FLUX, 0.5 * FLUX], rtol=1e-3)


def test_that_optimal_weights_are_those_of_horne():
    rng = np.random.default_rng(0)
    variance = rng.uniform(1, 3, (100, COLUMNS))
    task = make_task(profile() * FLUX, variance)
    spectra = extract_spectra(task, ExtractionRule("optimal", fix_bad=False))
    inner = task.mask < 0
    p = np.where(inner, profile(), 0)
    np.testing.assert_allclose(spectra.error[0], 1 / np.sqrt((p**2 / variance).sum(axis=0)), rtol=1e-4)


def test_that_optimal_beats_standard_extraction_on_noise():
    rng = np.random.default_rng(1)
    optimal, standard = [], []
    for _ in range(60):
        noisy = make_task(profile() * FLUX + rng.normal(size=(100, COLUMNS)))
        optimal.append(extract_spectra(noisy).flux[0] - FLUX)
        standard.append(extract_spectra(noisy, ExtractionRule("standard")).flux[0] - FLUX)
    # for a Gaussian on uniform noise: sqrt(sum of p**2) against sqrt(number of pixels of the PSF)
    pixels, weight = 2 * 2.15 * FWHM / 0.768, np.sqrt(2 * np.log(2) / np.pi) / FWHM * 0.768
    assert np.std(optimal) / np.std(standard) == pytest.approx(np.sqrt(1 / weight / pixels), rel=0.12)


@pytest.mark.parametrize("method", ["optimal", "standard"])
@pytest.mark.parametrize("degree", [0, 1])
def test_that_quoted_errors_are_the_scatter_with_a_subtracted_background(method, degree):
    rng = np.random.default_rng(2)
    error = np.sqrt(profile() * FLUX + 1.0)
    regions = [(20.0, 30.0), (50.0, 60.0)]
    mask = make_aperture_mask(SLIT, [[40.0] * COLUMNS], [SOURCE], regions)
    pulls = []
    for _ in range(60):
        image = profile() * FLUX + 4.0 + rng.normal(0, error)
        found = fit_background(image, error**2, SLIT, read_background(mask), degree)
        task = ExtractionTask(image - found.flux, error**2 + found.variance, np.zeros(image.shape, dtype=bool),
                              profile(), mask, [1], BackgroundErrors(found.fits, SLIT))  # fmt: skip
        spectra = extract_spectra(task, ExtractionRule(method))
        pulls.append((spectra.flux[0] - FLUX) / spectra.error[0])
    assert np.std(pulls) == pytest.approx(1.0, abs=0.05)
    assert np.mean(pulls) == pytest.approx(0.0, abs=0.08)


def test_that_errors_without_background_covariance_are_too_small():
    rng = np.random.default_rng(3)
    mask = make_aperture_mask(SLIT, [[40.0] * COLUMNS], [SOURCE], [(20.0, 30.0), (50.0, 60.0)])
    pulls = []
    for _ in range(40):
        image = profile() * FLUX + rng.normal(size=(100, COLUMNS))
        found = fit_background(image, np.ones_like(image), SLIT, read_background(mask))
        task = ExtractionTask(
            image - found.flux, 1 + found.variance, np.zeros(image.shape, dtype=bool), profile(), mask, [1]
        )
        spectra = extract_spectra(task, ExtractionRule("standard"))
        pulls.append((spectra.flux[0] - FLUX) / spectra.error[0])
    assert np.std(pulls) > 1.15


@pytest.mark.parametrize("method", ["optimal", "standard"])
def test_that_quoted_errors_are_the_scatter_through_rectification(spectrograph, method):
    rng = np.random.default_rng(4)
    rectify = spectrograph.rectifier()
    slit, wave = rectify.slit, rectify.wavelength
    aperture = Aperture(30.0, 1, FWHM, 0.7 * FWHM, 2.15 * FWHM)
    mask = make_aperture_mask(slit, np.full((1, wave.size), 30.0), [aperture], [(8.0, 18.0), (42.0, 52.0)])
    shape = np.exp(-4 * np.log(2) * ((slit - 30.0) / FWHM) ** 2)
    shape = np.repeat((shape / shape.sum())[:, np.newaxis], wave.size, axis=1)
    y, x = np.indices(spectrograph.shape)
    error = 1 + 0.5 * np.sin(x / 20.0) + 0.2 * np.cos(y / 15.0)
    pulls = []
    for _ in range(80):
        out = rectify(rng.normal(0, error), error**2)
        found = fit_background(out.flux, out.variance, slit, read_background(mask))
        task = ExtractionTask(out.flux - found.flux, out.variance + found.variance, out.bad, shape, mask, [1],
                              BackgroundErrors(found.fits, slit))  # fmt: skip
        spectra = extract_spectra(task, ExtractionRule(method))
        pulls.append(spectra.flux[0] / spectra.error[0])
    assert np.std(pulls) == pytest.approx(1.0, abs=0.1)


def test_that_outliers_and_bad_pixels_are_replaced_by_the_profile():
    rng = np.random.default_rng(5)
    clean = profile() * FLUX + rng.normal(0, 0.02, (100, COLUMNS))
    hit = clean.copy()
    hit[52, 10], hit[53, 20] = 500.0, np.nan
    bad = np.zeros(hit.shape, dtype=bool)
    bad[51, 30] = True
    hit[51, 30] = -70.0
    spectra = extract_spectra(make_task(hit, 4e-4, bad=bad))
    assert spectra.fixed[52, 10]
    assert spectra.fixed[53, 20]
    assert spectra.fixed[51, 30]
    np.testing.assert_allclose(spectra.flux[0], FLUX, rtol=0.01)
    assert spectra.image[52, 10] == pytest.approx(profile()[52, 10] * FLUX[10], rel=0.05)
    standard = extract_spectra(make_task(hit, 4e-4, bad=bad), ExtractionRule("standard"))
    np.testing.assert_allclose(standard.flux[0], FLUX, rtol=0.02)


def test_that_bad_pixels_are_left_out_of_weights_if_they_are_not_fixed():
    image = profile() * FLUX
    image[52, 10] = np.nan
    spectra = extract_spectra(make_task(image), ExtractionRule("optimal", fix_bad=False))
    assert spectra.flux[0, 10] == pytest.approx(FLUX[10], rel=1e-3)
    assert spectra.error[0, 10] > spectra.error[0, 11]
    assert not spectra.fixed.any()


@pytest.mark.parametrize("method", ["optimal", "standard"])
def test_that_a_column_without_data_is_missing_and_not_zero(method):
    image = profile() * FLUX
    image[:, 7] = np.nan
    spectra = extract_spectra(make_task(image), ExtractionRule(method))
    assert np.isnan(spectra.flux[0, 7])
    assert np.isnan(spectra.error[0, 7])
    assert spectra.failed[0, 7] == (method == "optimal")
    assert np.isfinite(spectra.flux[0, 8])


def test_that_the_input_is_unchanged():
    image = profile() * FLUX
    image[52, 10] = 400.0
    task = make_task(image.copy(), 0.01)
    extract_spectra(task)
    np.testing.assert_array_equal(task.flux, image)
    np.testing.assert_array_equal(task.variance, 0.01)


def test_that_arrays_of_different_shapes_are_refused():
    task = make_task(profile() * FLUX)
    with pytest.raises(InputError, match="differ in shape"):
        extract_spectra(ExtractionTask(task.flux, task.variance, task.bad, task.profile[:, :4], task.mask, [1]))


def test_that_medians_over_apertures_have_the_error_of_their_mean():
    image = np.tile(np.arange(100.0)[:, np.newaxis], COLUMNS)
    mask = make_aperture_mask(
        np.arange(100.0),
        [[30.0] * COLUMNS, [60.0] * COLUMNS],
        [Aperture(30, 1, 3, 2.5, 2.5), Aperture(60, 1, 3, 2.5, 2.5)],
    )
    medians, errors = extract_medians(image, np.full(image.shape, 4.0), mask, 2)
    np.testing.assert_allclose(medians[:, 0], [30, 60])
    np.testing.assert_allclose(errors, 2.0 / np.sqrt(5))


@pytest.mark.parametrize("method", ["optimal", "standard"])
def test_that_light_that_is_inferred_is_known_no_better_than_the_profile(method):
    """With half of the light of a column on bad pixels, the error has half the error of the profile added."""
    bad = np.zeros((SLIT.size, COLUMNS), dtype=bool)
    bad[SLIT > 40.0, 30] = True
    task = make_task(profile() * FLUX, 1e-8, bad=bad)
    sure, unsure = (extract_spectra(task, ExtractionRule(method, profile_error=share)) for share in (0.0, 0.02))
    added = np.sqrt(unsure.error[0] ** 2 - sure.error[0] ** 2) / FLUX
    expected = profile()[SLIT > 40.0, 30].sum() * 0.02
    outside = 0.0 if method == "standard" else 1 - profile()[np.abs(SLIT - 40.0) < SOURCE.radius, 30].sum()
    assert added[30] == pytest.approx(expected + 0.02 * outside / 2, rel=0.1)
    assert added[10] == pytest.approx(0.02 * outside, abs=2e-5, rel=0.02)
    np.testing.assert_array_equal(sure.flux, unsure.flux)


@pytest.mark.parametrize("degree", [0, 2, 4])
def test_that_bad_pixels_are_replaced_whatever_the_degree_of_the_background(degree):
    """Far from its regions a background polynomial has any value and error: no part of what the profile tells."""
    rng = np.random.default_rng(2)
    flux = profile() * 10 * FLUX + rng.normal(0, 1, profile().shape)
    variance = np.ones(flux.shape) + profile() * 0.1 * FLUX
    row = round(40.0 / 0.768)
    flux[row, ::6] = np.nan
    regions = (np.abs(SLIT - 40) > 8.5) & (np.abs(SLIT - 40) < 16)
    fit = fit_background(flux, variance, SLIT, np.repeat(regions[:, None], COLUMNS, axis=1), degree)
    task = make_task(
        flux - fit.flux, variance + fit.variance, background=BackgroundErrors(fit.fits, SLIT), bad=np.isnan(flux)
    )
    spectra = extract_spectra(task, ExtractionRule("standard"))
    assert spectra.fixed[row, ::6].all()
    pull = (spectra.flux[0] - 10 * FLUX) / spectra.error[0]
    assert np.abs(pull).max() < 5


def test_that_pixels_that_deviate_from_the_profile_are_outliers():
    flux = profile() * 100
    flux[50, 7] += 500
    bad = np.zeros(flux.shape, dtype=bool)
    bad[52, 8] = True
    spectra = extract_spectra(make_task(flux, bad=bad), ExtractionRule(fix_bad=False))
    assert np.argwhere(spectra.outliers).tolist() == [[50, 7]]


def test_that_the_share_of_light_on_missing_pixels_is_that_of_the_profile():
    flux = profile() * 100
    flux[52, 8] = np.nan
    (shares,) = find_missing_shares(make_task(flux))
    assert shares[8] == pytest.approx(profile()[52, 8], rel=1e-3)
    assert np.count_nonzero(shares) == 1
