"""Spectra of apertures: sums, means, medians, their errors, missing pixels."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_engine.errors import InputError
from sofia_viewers.cube.apertures import Aperture, find_aperture
from sofia_viewers.cube.extraction import extract_spectrum, spectra_of
from sofia_viewers.cube.live_spectra import find_kernel
from sofia_viewers.cube.samples import Samples
from sofia_viewers.image.regions import Region

ALL = Aperture(slice(0, 6), slice(0, 7), np.ones((6, 7), dtype=bool))


def make_values(seed: int = 1) -> np.ndarray:
    values = np.random.default_rng(seed).normal(5.0, 2.0, (300, 6, 7)).astype(np.float32)
    values[:, 2, 3] = np.nan
    values[17] = np.nan
    values[4, 0, 0] = np.inf
    return values


@pytest.mark.parametrize("order", ["native", "swapped", "integers"])
@pytest.mark.parametrize("statistic", ["sum", "mean", "median"])
def test_that_pixels_are_combined_as_numpy_does(order, statistic):
    values = make_values()
    stored = {
        "native": values,
        "swapped": values.astype(">f4"),
        "integers": np.nan_to_num(values * 10, posinf=0).astype(">i2"),
    }
    samples = Samples(stored[order])
    mask = np.random.default_rng(2).random((4, 5)) > 0.4
    found, none = extract_spectrum(samples, Aperture(slice(1, 5), slice(2, 7), mask), statistic)
    plain = np.asarray(stored[order], dtype=float)[:, 1:5, 2:7][:, mask]
    plain[~np.isfinite(plain)] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {"sum": np.nansum, "mean": np.nanmean, "median": np.nanmedian}[statistic](plain, axis=1)
    expected = np.where(np.isfinite(plain).any(axis=1), expected, np.nan)
    assert none is None
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["noise", "ties", "a few outliers", "hardly any", "sorted"])
@pytest.mark.parametrize("stored", ["native", "swapped", "a part"])
def test_that_large_apertures_are_combined_as_numpy_does(kind, stored):
    rng = np.random.default_rng(4)
    values = rng.normal(3.0, 1.0, (400, 80, 90)).astype(np.float32)
    if kind == "ties":
        values = np.round(values)
    elif kind == "a few outliers":
        values[rng.random(values.shape) < 0.01] = 1e6
    elif kind == "hardly any":
        values[rng.random(values.shape) < 0.97] = np.nan
    elif kind == "sorted":
        values = np.sort(values, axis=2)
    samples = {
        "native": Samples(values),
        "swapped": Samples(values.astype(">f4")),
        "a part": Samples(np.pad(values, ((0, 0), (0, 0), (4, 7))).astype(">f4")[:, :, 4:-7]),
    }[stored]
    aperture = find_aperture(Region("circle", ((44.0, 40.0),), (38.0,)), (80, 90))
    plain = np.asarray(values, dtype=float)[:, aperture.rows, aperture.columns][:, aperture.mask]
    errors = Samples(values)
    for statistic, expected in (("sum", np.nansum(plain, axis=1)), ("median", np.nanmedian(plain, axis=1))):
        found, spread = extract_spectrum(samples, aperture, statistic, errors)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-9)
    count = np.isfinite(plain).sum(axis=1)
    expected = np.sqrt(np.nansum(plain**2, axis=1)) / count * (np.pi / 2) ** 0.5
    np.testing.assert_allclose(spread, expected, rtol=1e-11)


@pytest.mark.parametrize(("statistic", "factor"), [("sum", 42**0.5), ("mean", 42**-0.5), ("median", 42**-0.5 * 1.2533)])
def test_that_errors_follow_from_those_of_the_pixels(statistic, factor):
    noise = np.random.default_rng(3).normal(0.0, 2.0, (4000, 6, 7)).astype(np.float32)
    values, errors = extract_spectrum(Samples(noise), ALL, statistic, Samples(np.full_like(noise, 2.0)))
    assert errors == pytest.approx(np.full(4000, 2.0 * factor), rel=1e-4)
    assert values.std() == pytest.approx(2.0 * factor, rel=0.05)


@settings(deadline=None, max_examples=40)
@given(x=st.floats(2, 25), y=st.floats(2, 20), radius=st.floats(0.1, 12.0))
def test_that_apertures_hold_the_pixels_whose_centres_are_inside(x, y, radius):
    aperture = find_aperture(Region("circle", ((x, y),), (radius,)), (24, 28))
    full = np.zeros((24, 28), dtype=bool)
    full[aperture.rows, aperture.columns] = aperture.mask
    rows, columns = np.mgrid[:24, :28]
    inside = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    if inside.any():
        assert np.array_equal(full, inside)
    else:
        assert np.argwhere(full).tolist() == [[round(y), round(x)]]


def test_that_an_aperture_outside_is_refused():
    with pytest.raises(InputError, match="outside the cube"):
        find_aperture(Region("circle", ((-50.0, 3.0),), (2.0,)), (24, 28))


def test_that_a_spectrum_carries_error_transmission_and_units(galaxy):
    spectrum = spectra_of(galaxy, find_aperture(Region("box", ((13.0, 12.0),), (4.9, 2.9)), (24, 28)), "sum")
    assert spectrum.unit("spectral_flux") == "Jy"
    assert spectrum["spectral_error"] == pytest.approx(np.full(80, 0.02 * 15**0.5), rel=1e-5)
    assert np.array_equal(spectrum["transmission"], galaxy.curves["TRANSMISSION"].values)
    mean = spectra_of(galaxy, find_aperture(Region("point", ((13.2, 12.4),)), (24, 28)), "mean")
    assert mean.unit("spectral_flux") == "Jy/pixel"
    np.testing.assert_allclose(mean["spectral_flux"], galaxy.samples()[:, 12, 13], rtol=1e-6)


@pytest.mark.parametrize(("kernel", "inside", "corner"), [(1, 1, 1), (5, 5, 3), (9, 9, 4)])
def test_that_kernels_of_the_cursor_have_their_pixels(kernel, inside, corner):
    assert find_kernel(kernel, 3.2, 2.9, (6, 7)).n_pixels == inside
    edge = find_kernel(kernel, 6.0, 5.0, (6, 7))
    assert edge.n_pixels == corner
    assert edge.mask.shape == (edge.rows.stop - edge.rows.start, edge.columns.stop - edge.columns.start)
    assert find_kernel(kernel, 7.0, 2.0, (6, 7)) is None
