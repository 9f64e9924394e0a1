"""Fits of lines: analytic truth, errors by Monte Carlo, ties, start values, speed."""

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import ParameterError, StepError
from sofia_viewers.spectrum.fit_table import COLUMNS, FitRecord, convert_point, format_csv, line_flux, make_rows
from sofia_viewers.spectrum.fitting import FitModel, Line, Tie, estimate_lines, evaluate, fit_lines
from sofia_viewers.spectrum.profiles import PROFILES
from sofia_viewers.spectrum.ties import format_tie, parse_tie
from sofia_viewers.spectrum.units import WaveAxis

X = np.linspace(10.0, 11.0, 80)
TRUTH = {
    "gaussian": (5.0, 10.62, 0.05),
    "moffat": (5.0, 10.62, 0.07, 2.5),
    "lorentzian": (5.0, 10.62, 0.05),
    "voigt": (5.0, 10.62, 0.04, 0.03),
}


def line_of(shape, x=X, values=None):
    return PROFILES[shape].evaluate(x, np.array(values or TRUTH[shape], dtype=float))[0]


def record_of(result, **changes):
    given = {
        "pane": "pane1", "file": "a", "name": "a.fits", "order": 1, "aperture": 1, "x_field": "wavepos",
        "y_field": "spectral_flux", "x_unit": "um", "y_unit": "Jy", "result": result, "columns": (40.0,),
    }  # fmt: skip
    return FitRecord(**{**given, **changes})


@pytest.mark.parametrize("shape", TRUTH)
def test_that_derivatives_are_those_of_the_function(shape):
    values = np.array(TRUTH[shape])
    _, slopes = PROFILES[shape].evaluate(X, values)
    for place in range(len(values)):
        step = 1e-6 * np.eye(len(values))[place]
        up, down = (PROFILES[shape].evaluate(X, values + sign * step)[0] for sign in (1, -1))
        np.testing.assert_allclose(slopes[place], (up - down) / 2e-6, atol=1e-6)


@pytest.mark.parametrize("shape", TRUTH)
def test_that_widths_and_areas_are_those_of_the_curve(shape):
    values = np.array(TRUTH[shape])
    half = PROFILES[shape].fwhm(values) / 2.0
    edge = PROFILES[shape].evaluate(np.array([10.62 - half, 10.62 + half]), values)[0]
    np.testing.assert_allclose(edge, 2.5, rtol=3e-4)  # the width of the Voigt profile is an approximation
    wide = 10.62 + np.sinh(np.linspace(-14, 14, 200001)) * 0.05
    total = np.trapezoid(PROFILES[shape].evaluate(wide, values)[0], wide)
    assert PROFILES[shape].area(values) == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("degree", [None, 0, 1, 3])
@pytest.mark.parametrize("shape", TRUTH)
@pytest.mark.parametrize("sign", [1, -1], ids=["emission", "absorption"])
def test_that_noiseless_lines_off_the_centre_are_recovered(shape, degree, sign):
    base = 0.0 if degree is None else 20.0 + (0.0 if degree == 0 else 3.0 * (X - 10.5))
    values = (sign * TRUTH[shape][0], *TRUTH[shape][1:])
    y = line_of(shape, values=values) + base
    result = fit_lines(X, y, None, FitModel(estimate_lines(X, y, shape=shape, degree=degree), degree))
    assert result.converged
    found = [result.lines[0].parameters[name].value for name in PROFILES[shape].names]
    np.testing.assert_allclose(found, values, rtol=2e-3)
    np.testing.assert_allclose(evaluate(result, X), y, atol=2e-3)


@pytest.mark.parametrize("shape", TRUTH)
def test_that_quoted_errors_are_the_scatter_of_many_fits(shape):
    rng = np.random.default_rng(7)
    truth = np.array(TRUTH[shape])
    model = line_of(shape) + 2.0 + 0.5 * (X - 10.0)
    level = 2.0 + 0.5 * 0.62
    expected = {
        "center": 10.62, "amplitude": 5.0, "flux": PROFILES[shape].area(truth), "fwhm": PROFILES[shape].fwhm(truth),
        "baseline": level, "equivalent_width": -PROFILES[shape].area(truth) / level,
    }  # fmt: skip
    pulls = []
    for _ in range(150):
        error = rng.uniform(0.05, 0.2, len(X))
        y = model + rng.normal(0.0, error)
        fitted = fit_lines(X, y, error, FitModel(estimate_lines(X, y, shape=shape), 1)).lines[0]
        pulls.append([(getattr(fitted, n).value - v) / getattr(fitted, n).error for n, v in expected.items()])
    pulls = np.array(pulls)
    np.testing.assert_allclose(np.median(pulls, axis=0), 0.0, atol=0.35)
    np.testing.assert_allclose(pulls.std(axis=0), 1.0, atol=0.22)


def test_that_chi_square_is_one_per_degree_of_freedom_and_unweighted_errors_follow_the_scatter():
    rng = np.random.default_rng(3)
    chi, ratios = [], []
    for _ in range(60):
        y = line_of("gaussian") + 2.0 + rng.normal(0.0, 0.1, len(X))
        model = FitModel(estimate_lines(X, y, degree=0), 0)
        weighted, plain = fit_lines(X, y, np.full(len(X), 0.1), model), fit_lines(X, y, None, model)
        chi.append(weighted.reduced_chi_square)
        ratios.append(plain.lines[0].flux.error / weighted.lines[0].flux.error)
        assert weighted.freedom == len(X) - 4
        assert weighted.lines[0].flux.value == pytest.approx(plain.lines[0].flux.value)
    assert np.mean(chi) == pytest.approx(1.0, abs=0.05)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.05)


def test_that_the_equivalent_width_of_a_known_gaussian_is_its_area_over_the_continuum():
    absorbed = 10.0 - line_of("gaussian")
    result = fit_lines(X, absorbed, None, FitModel(estimate_lines(X, absorbed, degree=0), 0))
    area = 5.0 * 0.05 * math.sqrt(2 * math.pi)
    assert result.lines[0].equivalent_width.value == pytest.approx(area / 10.0, rel=1e-6)
    assert result.lines[0].flux.value == pytest.approx(-area, rel=1e-6)


def test_that_two_blended_lines_are_found_and_separated():
    y = line_of("gaussian", values=(5.0, 10.4, 0.04)) + line_of("gaussian", values=(3.0, 10.55, 0.04)) + 1.0
    result = fit_lines(X, y, None, FitModel(estimate_lines(X, y, count=2), 1))
    assert [line.center.value for line in result.lines] == pytest.approx([10.4, 10.55], abs=1e-4)
    assert [line.amplitude.value for line in result.lines] == pytest.approx([5.0, 3.0], rel=1e-3)


def test_that_lines_little_more_than_a_width_apart_are_told_apart():
    rng, noise, failed = np.random.default_rng(5), 0.08, 0
    x = np.linspace(10.0, 11.0, 160)
    for _ in range(20):
        pair = [
            PROFILES["gaussian"].evaluate(x, np.array(values))[0] for values in ((3, 10.45, 0.03), (2, 10.53, 0.03))
        ]
        y = sum(pair) + 5.0 + rng.normal(0.0, noise, len(x))
        result = fit_lines(x, y, np.full(len(x), noise), FitModel(estimate_lines(x, y, count=2), 1))
        centers = [line.center.value for line in result.lines]
        failed += not result.converged or not np.allclose(centers, [10.45, 10.53], atol=0.01)
    assert failed == 0


def test_that_a_weak_line_is_found_beside_a_strong_one_that_is_no_gaussian():
    rng = np.random.default_rng(2)
    x = np.linspace(18.0, 27.0, 210)
    strong = PROFILES["lorentzian"].evaluate(x, np.array((80.0, 25.9, 0.12)))[0]
    weak = PROFILES["gaussian"].evaluate(x, np.array((9.0, 18.7, 0.1)))[0]
    y = 10.0 + strong + weak + rng.normal(0.0, 0.5, len(x))
    result = fit_lines(x, y, None, FitModel(estimate_lines(x, y, count=2), 1))
    assert [line.center.value for line in result.lines] == pytest.approx([18.7, 25.9], abs=0.05)


def test_that_tied_and_fixed_parameters_hold_and_their_errors_agree():
    rng = np.random.default_rng(0)
    y = (
        line_of("gaussian", values=(5.0, 10.4, 0.04))
        + line_of("gaussian", values=(2.5, 10.7, 0.04))
        + rng.normal(0, 0.02, len(X))
    )
    lines = (
        Line("gaussian", (4.0, 10.38, 0.05)),
        Line(
            "gaussian",
            (1.0, 10.6, 0.02),
            ties={"stddev": Tie(0, "stddev"), "mean": Tie(0, "mean", 1.0, 0.3), "amplitude": Tie(0, "amplitude", 0.5)},
        ),
    )
    first, second = fit_lines(X, y, np.full(len(X), 0.02), FitModel(lines, 0)).lines
    assert second.parameters["stddev"].value == pytest.approx(first.parameters["stddev"].value, rel=1e-12)
    assert second.center.value - first.center.value == pytest.approx(0.3, abs=1e-12)
    assert second.amplitude.value == pytest.approx(first.amplitude.value / 2, rel=1e-12)
    assert second.center.error == pytest.approx(first.center.error, rel=1e-9)
    fixed = Line("gaussian", (4.0, 10.41, 0.05), frozenset({"mean"}))
    held = fit_lines(X, y, None, FitModel((fixed, lines[1]), 0)).lines[0]
    assert (held.center.value, held.center.error) == (10.41, 0.0)


def test_that_all_fixed_parameters_give_a_chi_square_alone():
    fixed = Line("gaussian", TRUTH["gaussian"], frozenset(PROFILES["gaussian"].names))
    result = fit_lines(X, line_of("gaussian") + 1.0, np.ones(len(X)), FitModel((fixed,), None))
    assert result.chi_square == pytest.approx(len(X))


def test_that_ties_in_a_circle_and_to_nothing_are_refused():
    y = line_of("gaussian")
    first = Line("gaussian", TRUTH["gaussian"], ties={"stddev": Tie(1, "stddev")})
    second = Line("gaussian", TRUTH["gaussian"], ties={"stddev": Tie(0, "stddev")})
    with pytest.raises(ParameterError, match="circle"):
        fit_lines(X, y, None, FitModel((first, second), 0))
    with pytest.raises(ParameterError, match="no parameter"):
        fit_lines(X, y, None, FitModel((Line("gaussian", TRUTH["gaussian"], ties={"mean": Tie(4, "mean")}),), 0))


@pytest.mark.parametrize(
    ("text", "tie"),
    [("1", Tie(0, "mean")), ("2*1", Tie(0, "mean", 2.0)), ("3-0.5", Tie(2, "mean", 1.0, -0.5)), ("", None)],
)
def test_that_ties_are_read_and_written(text, tie):
    assert parse_tie(text, "mean") == tie
    assert format_tie(tie) == text


@pytest.mark.parametrize("text", ["0", "x", "1*", "1..2"])
def test_that_what_is_no_tie_is_refused(text):
    with pytest.raises(ParameterError, match="no tie"):
        parse_tie(text, "mean")


@given(scale=st.floats(1e-18, 1e18), offset=st.floats(-5, 5), stretch=st.floats(1e-3, 1e3))
def test_that_fits_do_not_depend_on_units(scale, offset, stretch):
    y = scale * (line_of("gaussian") + offset)
    x = X * stretch
    fitted = fit_lines(x, y, None, FitModel(estimate_lines(x, y), 1)).lines[0]
    assert fitted.center.value == pytest.approx(10.62 * stretch, rel=1e-5)
    assert fitted.flux.value == pytest.approx(
        scale * stretch * PROFILES["gaussian"].area(np.array(TRUTH["gaussian"])), rel=1e-3
    )


def test_that_nan_and_points_without_error_are_left_out_and_input_is_unchanged():
    x, y, error = X.copy(), line_of("gaussian") + 1.0, np.full(len(X), 0.1)
    y[5], error[7], error[9] = np.nan, 0.0, np.nan
    before = [x.copy(), y.copy(), error.copy()]
    result = fit_lines(x, y, error, FitModel(estimate_lines(x, y), 1))
    assert result.freedom == len(X) - 3 - 5
    for array, old in zip((x, y, error), before, strict=True):
        np.testing.assert_array_equal(array, old)


def test_that_too_few_points_are_refused_with_their_number():
    with pytest.raises(StepError, match="3 good points"):
        fit_lines(X[:3], X[:3], None, FitModel((Line("gaussian", (1.0, 10.0, 0.01)),), 1))


def test_that_a_mean_of_zero_is_no_trouble():
    y = line_of("gaussian") - np.mean(line_of("gaussian"))
    fitted = fit_lines(X, y, None, FitModel(estimate_lines(X, y), 1)).lines[0]
    assert fitted.center.value == pytest.approx(10.62, abs=1e-6)


def test_that_a_gaussian_fit_answers_within_a_tenth_of_a_second():
    x = np.linspace(10.0, 11.0, 5000)
    y = line_of("gaussian", x) + np.random.default_rng(0).normal(2.0, 0.1, 5000)
    start = time.process_time()
    fit_lines(x, y, np.full(5000, 0.1), FitModel(estimate_lines(x, y), 1))
    assert time.process_time() - start < 0.1


def test_that_the_flux_of_a_line_in_jansky_over_microns_is_that_over_frequency():
    result = fit_lines(X, line_of("gaussian") + 1.0, None, FitModel(estimate_lines(X, line_of("gaussian") + 1.0), 0))
    flux = line_flux(record_of(result), result.lines[0])
    area_jy_um = 5.0 * 0.05 * math.sqrt(2 * math.pi)
    expected = area_jy_um * 1e-26 * 2.99792458e14 / 10.62**2
    assert flux.value == pytest.approx(expected, rel=1e-5)
    frequency = 2.99792458e5 / X
    y = line_of("gaussian") + 1.0
    again = fit_lines(frequency, y, None, FitModel(estimate_lines(frequency, y), 0))
    other = line_flux(record_of(again, x_unit="GHz"), again.lines[0])
    assert other.value == pytest.approx(expected, rel=0.01)


def test_that_rows_hold_velocity_redshift_and_luminosity():
    y = line_of("gaussian") + 1.0
    result = fit_lines(X, y, np.full(len(X), 0.1), FitModel(estimate_lines(X, y), 0))
    row = make_rows(record_of(result, rest=10.5105), distance_mpc=3.0)[0]
    assert row["redshift"] == pytest.approx(10.62 / 10.5105 - 1.0, rel=1e-5)
    assert row["velocity"] == pytest.approx(299792.458 * row["redshift"], rel=1e-9)
    assert row["velocity_err"] == pytest.approx(299792.458 * row["mid_point_err"] / 10.5105, rel=1e-3)
    assert row["luminosity_lsun"] == pytest.approx(
        row["flux_w_m2"] * 4 * math.pi * (3.0856775814913673e22 * 3) ** 2 / 3.828e26
    )


def test_that_the_table_begins_with_the_usual_columns_and_marks_what_is_unknown():
    y = line_of("moffat") + 1.0
    record = record_of(fit_lines(X, y, None, FitModel(estimate_lines(X, y, shape="moffat"), 1)))
    base = record_of(fit_lines(X, y, None, FitModel((), 1)))
    text = format_csv([*make_rows(record), *make_rows(base)])
    head, first, second = (line.split(",") for line in text.splitlines())
    assert tuple(head[:12]) == COLUMNS
    assert head[12:18] == ["x_0", "gamma", "alpha", "amplitude", "intercept", "slope"]
    assert {"x_0_err", "flux", "flux_err", "ew", "chi2r"} <= set(head)
    assert float(first[head.index("x_0")]) == pytest.approx(10.62, rel=1e-9)
    assert second[head.index("x_0")] == "NA"
    assert second[head.index("mid_point")] == "10.5"


def test_that_results_convert_with_the_units_of_the_pane():
    y = line_of("gaussian") + 1.0
    record = record_of(fit_lines(X, y, None, FitModel(estimate_lines(X, y), 0)))
    x, shown = convert_point(record, 10.0, 2.0, WaveAxis("cm-1"), "mJy")
    assert (x, shown) == pytest.approx((1000.0, 2000.0))
    assert math.isnan(convert_point(record, 10.0, 2.0, WaveAxis("um"), "K")[1])


def test_that_a_record_survives_json():
    y = line_of("voigt") + 1.0
    record = record_of(fit_lines(X, y, None, FitModel(estimate_lines(X, y, shape="voigt"), 1)), rest=10.5)
    again = FitRecord.from_json(json.loads(json.dumps(record.to_json())))
    assert make_rows(again) == make_rows(record)
    np.testing.assert_array_equal(evaluate(again.result, X), evaluate(record.result, X))
