from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.errors import InputError, ParameterError
from sofia_engine.numerics.coadd import CombinationRule
from sofia_engine.spectroscopy.combination import (
    combine_curves,
    combine_spectra,
    correct_shapes,
    find_scales,
    merge_apertures,
    require_same_wavelengths,
    smooth_spectrum,
)


def test_that_apertures_are_scaled_to_the_brightest_and_averaged():
    truth = np.linspace(5, 10, 40)
    merged = merge_apertures([truth, 0.5 * truth], [np.full(40, 0.1), np.full(40, 0.1)])
    np.testing.assert_allclose(merged.flux, truth)
    np.testing.assert_allclose(merged.scales, [1, 2])
    np.testing.assert_allclose(merged.error, 1 / np.sqrt(1 / 0.1**2 + 1 / 0.2**2))


def test_that_a_single_aperture_is_passed_on():
    merged = merge_apertures([[1.0, np.nan]], [[0.1, np.nan]])
    np.testing.assert_array_equal(merged.flux, [1.0, np.nan])


@pytest.mark.parametrize(("method", "weighted"), [("mean", True), ("mean", False), ("median", False)])
def test_that_errors_of_combined_spectra_are_their_scatter(method, weighted):
    rng = np.random.default_rng(0)
    errors = np.tile(np.array([[1.0], [1.2], [0.8], [1.1], [0.9]]), 3000)
    flux = 50 + rng.normal(0, errors)
    combined = combine_spectra(list(flux), list(errors), CombinationRule(method, weighted=weighted, robust=False))
    assert ((combined.flux - 50) / combined.error).std() == pytest.approx(1.0, abs=0.1)


def test_that_an_outlier_of_one_file_is_rejected():
    flux = np.full((30, 5), 2.0) + np.random.default_rng(1).normal(0, 0.01, (30, 5))
    flux[3, 2] = 1e3
    combined = combine_spectra(list(flux), list(np.full((30, 5), 0.01)), CombinationRule(threshold=5.0))
    np.testing.assert_allclose(combined.flux, 2.0, atol=0.02)


def test_that_transmission_curves_are_averaged_without_weights():
    np.testing.assert_allclose(combine_curves([[0.2, np.nan], [0.4, 0.6]], "mean"), [0.3, 0.6])


def test_that_different_wavelengths_are_refused():
    require_same_wavelengths([[1.0, 2.0], [1.0, 2.0 + 1e-9]])
    with pytest.raises(InputError, match="Mismatched wavelengths"):
        require_same_wavelengths([[1.0, 2.0], [1.0, 2.1]])
    with pytest.raises(InputError, match="Mismatched wavelengths"):
        require_same_wavelengths([[1.0, 2.0], [1.0, 2.0, 3.0]])


@pytest.mark.parametrize(("method", "expected"), [
    ("median", [2, 1, 0.5]), ("highest", [4, 2, 1]), ("lowest", [1, 0.5, 0.25]), ("none", [1, 1, 1]),
])  # fmt: skip
def test_that_spectra_are_scaled_to_the_reference(method, expected):
    shape = np.linspace(1, 2, 20)
    np.testing.assert_allclose(find_scales([shape, 2 * shape, 4 * shape], method), expected)


def test_that_an_index_is_checked():
    spectra = [[1.0, 1.0], [2.0, 2.0]]
    np.testing.assert_allclose(find_scales(spectra, "index", 1), [2, 1])
    with pytest.raises(ParameterError, match="scale_index is 2"):
        find_scales(spectra, "index", 2)


def test_that_a_spectrum_without_values_is_not_scaled():
    np.testing.assert_allclose(find_scales([[1.0, 1.0], [np.nan, np.nan]], "highest"), [1, 1])


def test_that_smoothing_keeps_constants_gaps_and_the_noise_law():
    rng = np.random.default_rng(2)
    flux = np.full((4000, 60), 7.0)
    noisy = flux + rng.normal(0, 0.5, flux.shape)
    noisy[:, 20] = np.nan
    smooth = [smooth_spectrum(row, np.full(60, 0.5), 2.0) for row in noisy]
    values, errors = np.stack([v for v, _ in smooth]), smooth[0][1]
    assert np.isnan(values[:, 20]).all()
    np.testing.assert_allclose(np.nanmean(values[:, :20]), 7.0, atol=0.01)
    kept = np.arange(60) != 20
    np.testing.assert_allclose(values[:, kept].std(axis=0), errors[kept], rtol=0.06)


def test_that_no_width_is_no_smoothing():
    flux, error = smooth_spectrum([1.0, 5.0, 2.0], [0.1, 0.2, 0.3], 0.0)
    np.testing.assert_array_equal(flux, [1, 5, 2])
    np.testing.assert_array_equal(error, [0.1, 0.2, 0.3])


def test_that_slow_differences_in_shape_are_taken_out():
    x = np.linspace(0, 1, 200)
    lines = 1 + 0.3 * np.exp(-0.5 * ((x - 0.5) / 0.01) ** 2)
    slopes = [1.0, 1 + 0.4 * np.cos(np.pi * x), 1 - 0.3 * np.cos(2 * np.pi * x)]
    corrected = correct_shapes(np.stack([lines * slope for slope in slopes]))
    spread = corrected.std(axis=0) / corrected.mean(axis=0)
    assert spread.max() < 0.05
    assert np.std([s * np.ones(200) for s in slopes], axis=0).max() > 0.2


@pytest.mark.parametrize("part", [0.0, 0.3, 0.5])
def test_that_smoothed_errors_are_the_scatter_of_columns_that_share_pixels(part):
    """Each column is a mean of two independent pixels, as in rectified images."""
    rng = np.random.default_rng(8)
    pixels = rng.normal(0, 1, (2000, 41))
    columns = (1 - part) * pixels[:, :-1] + part * pixels[:, 1:]
    single = np.hypot(1 - part, part)
    smooth, errors = zip(
        *(smooth_spectrum(row, np.full(40, single), 2.0, correlation=1 / single) for row in columns), strict=True
    )
    scatter = np.std(smooth, axis=0)[8:-8].mean()
    assert scatter == pytest.approx(errors[0][20], rel=0.03)
