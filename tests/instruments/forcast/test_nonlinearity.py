"""Correct Nonlinearity."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import ParameterError
from sofia_engine.instruments.forcast.configuration import Nonlinearity
from sofia_engine.instruments.forcast.nonlinearity import (
    NonlinearityParameters,
    compute_divisors,
    find_capacitance,
    nonlin,
)
from sofia_engine.pipeline.parameters import Setting

QUADRATIC = Nonlinearity(1000.0, 500.0, (0.0, 5000.0), (1.0, 0.2, 0.05))


def test_that_the_divisor_is_the_polynomial_of_the_scaled_level():
    assert compute_divisors([1000.0, 1500.0, 0.0], QUADRATIC) == pytest.approx([1.0, 1.25, 0.8])


def test_that_each_plane_and_its_error_are_divided_by_the_response_at_its_level(make_loaded, drive):
    levels = np.array([5000.0, 5500.0, 6000.0, 6500.0])
    loaded = make_loaded(np.ones((4, 256, 256)) * levels[:, np.newaxis, np.newaxis], 3.0)
    corrected, run = drive(nonlin, loaded)
    published = (0.99762921, 0.34382635, -0.019972477, -0.040238521, -0.16961677, 0.080713727)
    for plane, level in enumerate(levels):
        response = sum(c * ((level - 6000) / 6000) ** n for n, c in enumerate(published))
        np.testing.assert_allclose(corrected["FLUX"][plane], level / response, rtol=1e-13)
        np.testing.assert_allclose(corrected["ERROR"][plane], 3.0 / response, rtol=1e-13)
    header = corrected.header
    assert header["NLINSLEV"] == "[5000.0,5500.0,6000.0,6500.0]"
    assert [header[f"NLINC{n}"] for n in range(6)] == list(published)
    assert (header["NLRSWCLO"], header["NLSSWCLO"], header["LIMSWCLO"]) == (6000.0, 6000.0, "[1926.0,11905.0]")
    assert "NLINFLAG" not in header
    assert run.warnings == []
    assert (loaded["FLUX"][0] == 5000.0).all()


def test_that_only_the_section_counts(make_loaded, drive):
    flux = np.full((1, 256, 256), 20_000.0)
    flux[:, 34:223, 34:223] = 6000.0
    corrected, _ = drive(nonlin, make_loaded(flux))
    assert corrected.header["NLINSLEV"] == "[6000.0]"
    corrected, run = drive(nonlin, make_loaded(flux), {"secctr": "20,20", "secsize": "20,20"})
    assert corrected.header["NLINFLAG"] is True
    assert "20000.0 in plane 1 is outside 1926 to 11905 ct" in run.warnings[0]


@pytest.mark.parametrize("level", [1925.0, 11906.0, np.nan])
def test_that_one_plane_out_of_range_leaves_the_file_uncorrected(make_loaded, drive, level):
    flux = np.full((4, 256, 256), 6000.0)
    flux[2] = level
    loaded = make_loaded(flux)
    result, run = drive(nonlin, loaded)
    np.testing.assert_array_equal(result["FLUX"], flux)
    assert result.header["NLINFLAG"] is True
    assert "plane 3" in run.warnings[0]


@pytest.mark.parametrize(("gain", "capacitance"), [(136, "LO"), (136.4, "LO"), (1294, "HI"), (500, None), ("x", None)])
def test_that_the_gain_tells_the_capacitance(gain, capacitance):
    assert find_capacitance(fits.Header({"EPERADU": gain})) == capacitance


def test_that_an_unknown_gain_passes_the_image_on_with_a_warning(make_loaded, drive):
    loaded = make_loaded(np.full((4, 256, 256), 6000.0), EPERADU=500)
    result, run = drive(nonlin, loaded)
    assert result is loaded
    assert "EPERADU = 500" in run.warnings[0]


def test_that_float32_stays_float32(make_loaded, drive):
    corrected, _ = drive(nonlin, make_loaded(np.full((4, 256, 256), 6000, dtype=np.float32)))
    assert corrected["FLUX"].dtype == corrected["ERROR"].dtype == np.float32


@pytest.mark.parametrize("text", ["128", "128,128,1", "a,b", "", "-1,5", "nan,1", "inf,1"])
def test_that_an_unreadable_section_is_refused(text):
    with pytest.raises(ParameterError, match=r"secctr.*such as 128,128"):
        NonlinearityParameters.make({"secctr": Setting(text)})


def test_that_many_planes_fit_into_the_header(make_loaded, drive):
    corrected, _ = drive(nonlin, make_loaded(np.random.default_rng(0).normal(6000, 5, (12, 256, 256))))
    assert corrected.header["NLINSLEV"].count(",") == 11
    assert fits.Header.fromstring(corrected.header.tostring())["NLINSLEV"] == corrected.header["NLINSLEV"]
