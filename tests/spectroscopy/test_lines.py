from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import ParameterError, ReferenceDataError, StepError
from sofia_engine.spectroscopy.lines import (
    LineSearch,
    expect_from_pairs,
    find_lines,
    fit_dispersion,
    guess_from_map,
    guess_from_pairs,
    measure_lines,
    read_line_list,
    remeasure_lines,
    remove_trend,
    step_rows,
    sum_rows,
)

X = np.arange(256.0)
PLACES = np.array([20.3, 77.8, 140.0, 201.6])
WAVES = 5.06 + 0.01173 * PLACES - 1.3e-7 * PLACES**2


def lines(x=X, sign=1.0, sigma=2.0, level=50.0):
    return level + sign * sum(
        h * np.exp(-0.5 * ((x - p) / sigma) ** 2) for h, p in zip((30, 15, 40, 20), PLACES, strict=True)
    )


def test_that_comments_of_a_line_list_are_for_display():
    found = read_line_list("5.918\n# 6.1 water\n5.139\n\n# no number\n")
    np.testing.assert_allclose(found.fitted, [5.139, 5.918])
    np.testing.assert_allclose(found.shown, [6.1])


def test_that_an_unreadable_line_is_named():
    with pytest.raises(ReferenceDataError, match="line 2"):
        read_line_list("5.1\nabc\n")


@given(st.floats(1.2, 3.0), st.sampled_from([1.0, -1.0]))
def test_that_lines_are_found_from_rough_guesses(sigma, sign):
    kind = "emission" if sign > 0 else "absorption"
    found = measure_lines(lines(sign=sign, sigma=sigma), PLACES + 1.4, LineSearch(kind, window=14))
    np.testing.assert_allclose(found.position, PLACES, atol=1e-3)
    np.testing.assert_allclose(found.height, sign * np.array([30, 15, 40, 20]), rtol=0.01)
    np.testing.assert_allclose(found.width, sigma, rtol=0.01)


def test_that_either_kind_finds_both_signs():
    spectrum = 50 + 10 * np.exp(-0.5 * ((X - 60.2) / 2) ** 2) - 10 * np.exp(-0.5 * ((X - 160.7) / 2) ** 2)
    found = measure_lines(spectrum, [60, 161], LineSearch("either"))
    np.testing.assert_allclose(found.position, [60.2, 160.7], atol=1e-3)
    assert np.sign(found.height).tolist() == [1, -1]


def test_that_a_line_of_the_wrong_sign_or_beyond_the_spectrum_is_not_found():
    found = measure_lines(lines(sign=-1), [20.0, np.nan, 400.0, -3.0], LineSearch("emission"))
    assert not found.found.any()


def test_that_quoted_errors_of_positions_are_their_scatter():
    rng = np.random.default_rng(0)
    pulls = []
    for _ in range(200):
        found = measure_lines(lines() + rng.normal(0, 1.0, X.size), PLACES, LineSearch(window=20, sigma=2))
        pulls.append((found.position - PLACES) / found.position_error)
    # errors come from the scatter of some 17 residuals: Student's t with 17 degrees of freedom has width 1.06
    assert np.std(pulls) == pytest.approx(1.06, abs=0.1)


def test_that_guesses_from_a_map_work_for_falling_wavelengths():
    rising = 5 + 0.01 * X
    np.testing.assert_allclose(guess_from_map([5.5, 9.0], rising), [50, np.nan])
    np.testing.assert_allclose(guess_from_map([5.5], rising[::-1]), [205])


def test_that_guesses_from_pairs_extend_to_the_other_lines():
    np.testing.assert_allclose(guess_from_pairs([7.0], [5.0, 6.0], [10, 60]), [110])
    np.testing.assert_allclose(guess_from_pairs(WAVES, WAVES[:3], PLACES[:3]), PLACES, atol=0.01)
    with pytest.raises(ParameterError, match="guess_lines has 1"):
        guess_from_pairs([7.0], [5.0], [10])


def test_that_lines_correct_the_expected_dispersion_as_far_as_they_can_bear():
    true = 5.06 + 0.01173 * X - 1e-5 * (X - 100) ** 2
    wrong = true + 0.03 + 2e-4 * X - 1e-6 * X**2
    places = np.array([20.0, 60, 90, 130, 180, 200, 240])
    np.testing.assert_allclose(fit_dispersion(places, true[places.astype(int)], wrong), true, atol=1e-4)
    shifted = true + 0.03
    for few in (places[:2], places[:3]):
        np.testing.assert_allclose(fit_dispersion(few, true[few.astype(int)], shifted), true, atol=1e-9)
    holes = np.where((X < 30) | (X > 220), np.nan, shifted)
    np.testing.assert_allclose(fit_dispersion(places[:3], true[[20, 60, 90]], holes), true, atol=1e-4)
    with pytest.raises(StepError, match="No lines found"):
        fit_dispersion([np.nan], [5.0], true)
    with pytest.raises(StepError, match="Only one line"):
        fit_dispersion([3.0, np.nan], [5.0, 6.0], true)


def test_that_pairs_give_the_expected_dispersion():
    np.testing.assert_allclose(expect_from_pairs([5.0, 6.0], [10, 60], 256), 4.8 + 0.02 * X)
    np.testing.assert_allclose(expect_from_pairs(WAVES, PLACES, 256), 5.06 + 0.01173 * X - 1.3e-7 * X**2, rtol=1e-9)
    with pytest.raises(ParameterError, match="guess_positions"):
        expect_from_pairs([5.0], [10], 256)


def test_that_inclined_lines_are_followed_beyond_the_window():
    flux = np.stack([lines(X - 1.5 * (k - 5), level=0.0) for k in range(11)])
    places, _ = remeasure_lines(flux, np.full(flux.shape, 0.01), PLACES, LineSearch(window=8), start=5)
    np.testing.assert_allclose(places - PLACES, np.repeat(1.5 * (np.arange(11.0) - 5)[:, None], 4, axis=1), atol=0.05)


def test_that_noisy_lines_take_the_place_of_the_gaussian():
    rng = np.random.default_rng(2)
    search = LineSearch(window=16, sigma=2)
    off = [find_lines(lines() + rng.normal(0, 1.5, X.size), np.full(X.size, 1.5), PLACES, search).position - PLACES
           for _ in range(60)]  # fmt: skip
    of_maxima = 1.5 * 2.0**2 / np.array([30, 15, 40, 20])  # mean over places in a column
    assert (np.nanstd(off, axis=0) < 0.8 * of_maxima).all()


def test_that_weak_lines_are_not_measured_again():
    flux = np.stack([lines(level=0.0), 0.01 * lines(level=0.0)])
    places, heights = remeasure_lines(flux, np.ones_like(flux), PLACES, LineSearch(least_signal_to_noise=2))
    np.testing.assert_allclose(places[0], PLACES, atol=1e-3)
    assert np.isnan(places[1]).all()
    assert np.isnan(heights[1]).all()


def test_that_bad_pixels_leave_no_dips_on_the_light_of_the_sky():
    y, x = np.indices((40, 12))
    image = 1000.0 + 3.0 * y + 2.0 * x
    bad = np.random.default_rng(1).random(image.shape) < 0.2
    flux, _, _ = sum_rows(np.where(bad, np.nan, image), np.ones(image.shape), [20.0], 8)
    np.testing.assert_allclose(flux[0], image[12:29].sum(axis=0), rtol=1e-3)
    assert np.isnan(sum_rows(np.full((9, 3), np.nan), np.ones((9, 3)), [4.0], 2)[0]).all()


def test_that_a_trend_is_removed_but_not_the_lines():
    flux = lines() + 0.3 * X + 1e-3 * (X - 100) ** 2
    flat = remove_trend(flux, 2)
    found = measure_lines(flat, PLACES)
    np.testing.assert_allclose(found.position, PLACES, atol=0.02)
    assert flat[[40, 110, 170, 240]].std() < 0.5


def test_that_rows_are_summed_around_centres():
    image = np.ones((40, 5))
    image[10, 2] = np.nan
    image[20:, 4] = np.nan
    image[30:] = np.nan
    flux, error, usable = sum_rows(image, 4 * image, step_rows(40, 16), 8)
    np.testing.assert_array_equal(step_rows(40, 16), [8, 24, 40 - 0][:2])
    np.testing.assert_allclose(flux[0], 17)
    np.testing.assert_allclose(error[0, 0], np.sqrt(17 * 4))
    np.testing.assert_allclose(error[0, 2], np.sqrt(16 * 4) * 17 / 16)
    assert usable[0]
    assert sum_rows(np.full((40, 5), np.nan), image, [8.0], 8)[2].tolist() == [False]
