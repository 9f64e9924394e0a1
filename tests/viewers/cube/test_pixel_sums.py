"""Sums of apertures that move: those of the pixels that changed, added to those before."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sofia_viewers.cube import pixel_sums
from sofia_viewers.cube.apertures import find_aperture
from sofia_viewers.cube.extraction import extract_spectrum
from sofia_viewers.cube.pixel_sums import KeptSums, begin_combining
from sofia_viewers.cube.samples import Samples
from sofia_viewers.image.regions import Region

SHAPE = (60, 40, 50)


def make_values(seed: int = 5) -> np.ndarray:
    values = np.random.default_rng(seed).normal(1.0, 2.0, SHAPE)
    values[:, 12:15, 20:26] = np.nan
    values[7] = np.nan
    values[9, 20, 22] = np.inf
    return values


def walk(steps: int = 25, seed: int = 6):
    """Give apertures that are dragged, sized and turned, now and then far away or half outside."""
    rng = np.random.default_rng(seed)
    x, y = 22.0, 18.0
    for number in range(steps):
        x, y = (x + rng.normal(0.0, 1.0), y + rng.normal(0.0, 1.0)) if number % 9 else (rng.uniform(0, 49), y)
        shape, sizes = ("circle", (9.0 + 0.2 * number,)) if number % 2 else ("ellipse", (11.0, 7.0))
        yield find_aperture(
            Region(shape, ((float(np.clip(x, 0, 49)), float(np.clip(y, 0, 39))),), sizes, 10.0 * number), SHAPE[1:]
        )


@pytest.mark.parametrize("stored", [">f4", "<f4", ">f8", "<f8", ">i2"])
def test_that_sums_of_moving_apertures_are_those_of_all_their_pixels(stored):
    values = make_values() if "f" in stored else np.nan_to_num(make_values() * 100, posinf=0)
    samples, errors = Samples(values.astype(stored)), Samples(np.abs(values).astype(stored))
    kept = KeptSums()
    for aperture in walk():
        for statistic in ("sum", "mean"):
            expected = extract_spectrum(samples, aperture, statistic, errors)
            found = extract_spectrum(samples, aperture, statistic, errors, kept)
            np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_that_only_pixels_that_changed_are_read(monkeypatch):
    read = []
    real = pixel_sums._combine_slices
    monkeypatch.setattr(
        pixel_sums,
        "_combine_slices",
        lambda samples, runs, *rest: read.append(runs.n_pixels) or real(samples, runs, *rest),
    )
    samples, kept = Samples(make_values()), KeptSums()
    for x in (20.0, 21.0, 21.0, 45.0):
        extract_spectrum(samples, find_aperture(Region("circle", ((x, 18.0),), (10.0,)), SHAPE[1:]), kept=kept)
    assert read[0] == 317
    assert read[1] == 42
    assert read[2] == 0
    assert read[3] == 245  # all of it: half of it lies outside


def test_that_a_huge_pixel_that_went_out_leaves_nothing_behind():
    values = np.random.default_rng(1).normal(0.0, 1.0, SHAPE)
    values[30, 18, 20] = 1e25
    samples, kept = Samples(values), KeptSums()
    for x in (22.0, 24.0, 28.0, 31.0):
        aperture = find_aperture(Region("circle", ((x, 18.0),), (8.0,)), SHAPE[1:])
        found, _ = extract_spectrum(samples, aperture, kept=kept)
        np.testing.assert_allclose(found, extract_spectrum(samples, aperture)[0], rtol=1e-9)
    assert abs(found[30]) < 100


def test_that_rounding_stays_small_in_long_drags():
    samples, kept = Samples(np.random.default_rng(2).normal(0.0, 1.0, SHAPE).astype(np.float32)), KeptSums()
    for number in range(400):
        x = 25.0 + 6.0 * np.sin(number / 7.0)
        aperture = find_aperture(Region("circle", ((x, 18.0),), (9.0,)), SHAPE[1:])
        found, _ = extract_spectrum(samples, aperture, kept=kept)
    np.testing.assert_allclose(found, extract_spectrum(samples, aperture)[0], rtol=1e-9)


def test_that_sums_of_another_cube_are_not_mixed_in():
    first, second = Samples(make_values(1)), Samples(make_values(2))
    aperture = find_aperture(Region("circle", ((25.0, 30.0),), (5.0,)), SHAPE[1:])
    kept = KeptSums()
    with ThreadPoolExecutor(1) as pool:
        for samples in (first, second, first):
            total, count = begin_combining(pool, samples, aperture, "sum", kept)()
            expected = samples.raw[:, aperture.rows, aperture.columns][:, aperture.mask]
            np.testing.assert_allclose(total, np.nansum(expected, axis=1), rtol=1e-12, atol=1e-12)
            assert np.array_equal(count, np.isfinite(expected).sum(axis=1))
