from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import ParameterError, ReferenceDataError
from sofia_engine.spectroscopy.telluric import (
    Sounding,
    choose_atmosphere,
    list_water_vapour_series,
    parse_atmosphere_name,
    read_sounding,
    smooth_to_resolution,
)

NAMES = ["atran_40K_45deg_4-50mum.fits", "atran_41K_45deg_4-50mum.fits", "atran_43K_40deg_8pwv_4-50mum.fits",
         "atran_43K_40deg_12pwv_4-50mum.fits", "atran_43K_45deg_9pwv_4-50mum.fits", "atran_40K_45deg_1-6mum.fits",
         "readme.txt"]  # fmt: skip


def test_that_names_say_what_is_in_the_files():
    model = parse_atmosphere_name("folder/atran_43K_40deg_8pwv_4-50mum.fits")
    assert (model.altitude, model.zenith_angle, model.pwv, model.coverage) == (43, 40, 8, (4, 50))
    assert parse_atmosphere_name(NAMES[0]).pwv is None
    assert parse_atmosphere_name("readme.txt") is None


def test_that_the_nearest_model_of_the_range_is_chosen():
    sounding = Sounding(40.9, 44.0, 7.0)
    assert choose_atmosphere(NAMES, sounding, coverage=(4, 50)).name == NAMES[1]
    assert choose_atmosphere(NAMES, sounding, coverage=(1, 6)).name == NAMES[5]
    assert choose_atmosphere(NAMES, Sounding(43, 41, 11.0), use_pwv=True).name == NAMES[3]


def test_that_no_model_is_an_error_that_says_what_to_do():
    with pytest.raises(ReferenceDataError, match="No matching ATRAN files"):
        choose_atmosphere(["readme.txt"], Sounding(40, 45, 6))


def test_that_the_series_of_water_vapour_is_sorted_by_it():
    chosen = parse_atmosphere_name(NAMES[3])
    assert [model.pwv for model in list_water_vapour_series(NAMES, chosen)] == [8, 12]


def test_that_the_sounding_is_the_mean_of_start_and_end():
    header = {"ALTI_STA": 40000, "ALTI_END": 42000, "ZA_START": 40, "ZA_END": -9999, "WVZ_OBS": 7.5}
    assert read_sounding(header) == Sounding(41.0, 40.0, 7.5)


def test_that_implausible_values_are_replaced_with_warnings():
    sounding = read_sounding({"ALTI_STA": -9999, "WVZ_OBS": 80, "ZA_START": "x"})
    assert (sounding.altitude, sounding.zenith_angle, sounding.pwv) == (0, 0, 6)
    assert len(sounding.warnings) == 3


MODEL = np.linspace(4, 9, 100_001)


@given(st.floats(100, 2000), st.floats(4.5, 8.5))
def test_that_a_narrow_line_becomes_a_gaussian_of_the_resolution(resolution, place):
    line = np.zeros_like(MODEL)
    line[np.argmin(np.abs(MODEL - place))] = 1.0
    place = MODEL[line.argmax()]
    sigma = 1 / (resolution * 2 * np.sqrt(2 * np.log(2)))
    at = place * np.exp(sigma * np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
    got = smooth_to_resolution(MODEL, line, resolution, at)
    np.testing.assert_allclose(got / got[2], np.exp([-2, -0.5, 0, -0.5, -2]), rtol=2e-3)


def test_that_smoothing_keeps_the_area_of_a_line():
    line = np.exp(-0.5 * ((MODEL - 6.3) / 0.002) ** 2)
    got = smooth_to_resolution(MODEL, line, 200.0, MODEL[20_000:70_000])
    assert np.trapezoid(got, np.log(MODEL[20_000:70_000])) == pytest.approx(np.trapezoid(line, np.log(MODEL)), rel=1e-4)


def test_that_a_constant_stays_constant_up_to_the_ends():
    got = smooth_to_resolution(MODEL, np.full_like(MODEL, 0.7), 150.0, np.linspace(4, 9, 50))
    np.testing.assert_allclose(got, 0.7, rtol=1e-9)


def test_that_outside_the_model_there_is_nothing():
    got = smooth_to_resolution(MODEL, np.ones_like(MODEL), 150.0, [3.9, 5.0, 9.1])
    np.testing.assert_array_equal(np.isnan(got), [True, False, True])


def test_that_resolution_zero_interpolates_the_model():
    np.testing.assert_allclose(smooth_to_resolution([1.0, 2.0], [0.0, 1.0], 0, [1.25, 3.0]), [0.25, np.nan])


def test_that_a_kernel_finer_than_the_samples_gives_nothing():
    assert np.isnan(smooth_to_resolution([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], 1e6, [1.5])).all()


def test_that_negative_resolutions_are_refused():
    with pytest.raises(ParameterError, match="resolution is -5"):
        smooth_to_resolution(MODEL, MODEL, -5, [5.0])
