from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.numerics.registration import Registration, measure_shift


def field(shape=(64, 72)):
    """Random image whose Fourier transform vanishes above half the highest frequency."""
    spectrum = np.fft.fft2(np.random.default_rng(6).normal(size=shape))
    low = np.abs(np.fft.fftfreq(shape[0]))[:, np.newaxis] + np.abs(np.fft.fftfreq(shape[1])) < 0.25
    return np.fft.ifft2(spectrum * low).real


def move(image, dx, dy):
    phase = np.fft.fftfreq(image.shape[0])[:, np.newaxis] * dy + np.fft.fftfreq(image.shape[1]) * dx
    return np.fft.ifft2(np.fft.fft2(image) * np.exp(-2j * np.pi * phase)).real


@given(st.floats(-25, 25), st.floats(-25, 25))
def test_that_a_shift_is_found_to_a_hundredth_of_a_pixel(dx, dy):
    image = field()
    assert measure_shift(image, move(image, dx, dy)) == pytest.approx((dx, dy), abs=0.0051)


def test_that_a_source_moves_from_its_place_to_that_in_the_reference():
    image, reference = np.zeros((40, 40)), np.zeros((40, 40))
    image[10, 12], reference[15, 20] = 1.0, 1.0
    assert measure_shift(image, reference, Registration(upsampling=1)) == (8.0, 5.0)


def test_that_a_start_beyond_half_the_image_is_kept():
    image = field()
    start = Registration(start=(80.0, -3.0), window=5)
    assert measure_shift(image, move(image, 80 - 72 + 0.25, -3.5), start) == pytest.approx((80.25, -3.5), abs=0.006)


def test_that_the_window_shuts_out_a_stronger_maximum():
    rows, columns = np.mgrid[:100, :100]

    def star(x, y):
        return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 18)

    reference = star(50, 50) + 3 * star(80, 50)
    assert measure_shift(star(45, 50), reference, Registration(window=16)) == pytest.approx((5, 0), abs=0.02)
    assert measure_shift(star(45, 50), reference) == pytest.approx((35, 0), abs=0.02)


def test_that_missing_pixels_levels_and_borders_do_not_matter():
    image = field() * 10
    reference = move(image, 3.3, -2.2) + 500
    reference[20, 30:33] = np.nan
    reference[0], reference[:, -1] = 1e6, np.nan
    before = reference.copy()
    assert measure_shift(image, reference, Registration(border=2)) == pytest.approx((3.3, -2.2), abs=0.1)
    np.testing.assert_array_equal(reference, before)


@given(st.floats(1e-3, 1e3))
def test_that_the_scale_of_the_images_does_not_matter(scale):
    image = field()
    assert measure_shift(scale * image, move(image, 1.25, 2.5)) == pytest.approx((1.25, 2.5), abs=0.0051)


def test_that_unlike_or_empty_images_are_refused():
    with pytest.raises(ValueError, match="cannot be registered"):
        measure_shift(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(ValueError, match="without finite pixels"):
        measure_shift(np.full((4, 4), np.nan), np.zeros((4, 4)))
