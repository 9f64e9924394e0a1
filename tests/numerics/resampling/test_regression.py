from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_engine.numerics.resampling import LocalRegression, Resampler, resample_onto_grid, resample_points

X = np.arange(11.0)
Y = X**2 + np.array([0, 1, -1, 0, 2, -2, 0, 1, -1, 0, 0])
SIGMA = 0.5 + 0.1 * X
S = {"smoothing": 1.0}
CHECKS = [  # point, keywords, errors; value, error, count, weight, distance weight, reduced chi-squared
    (4.3, {}, SIGMA, (18.706426814, 0.825482580, 6, 7.358774953, 6, 1.866155578)),
    (4.3, S, SIGMA, (19.048982187, 1.024760178, 6, 2.992011937, 2.501132218, 2.885435476)),
    (4.3, S | {"error_weighting": False}, SIGMA, (18.840214779, 1.024760178, 6, 2.501132218, None, 2.790974799)),
    (4.3, S | {"estimate_covariance": True}, SIGMA, (19.048982187, 1.039973456, 6, None, None, 2.801633612)),
    (4.3, S, None, (18.840214779, 1.711985958, 6, 2.501132218, None, 1)),
    (4.3, S | {"order": 0}, SIGMA, (17.928703916, 0.482711681, 6, 2.992011937, 2.501132218, 94.328272798)),
    (1.5, S, SIGMA, (2.308226533, 0.847866341, 5, 6.112516849, 2.458235674, 1.629556570)),
    (0.5, S, SIGMA, (np.nan, np.nan, 4, 0, 0, np.nan)),
    (
        0.5,
        S | {"order_algorithm": "extrapolate"},
        SIGMA,
        (0.867541601, 0.966995254, 4, 6.712575410, 2.133583206, 0.816053902),
    ),
    (1.5, S | {"order": 3, "fix_order": False}, SIGMA, (2.308226533, 0.847866341, 5, None, None, 1.629556570)),
]


@pytest.mark.parametrize(("point", "keywords", "errors", "expected"), CHECKS)
def test_that_the_tabulated_check_values_are_met(point, keywords, errors, expected):
    result = resample_points(X, Y, [point], LocalRegression(window=3, **{"order": 2, **keywords}), errors)
    found = (result.values, result.errors, result.counts, result.weights, result.distance_weights, result.reduced_chi2)
    for got, wanted in zip(found, expected, strict=True):
        if wanted is not None:
            assert got[0] == pytest.approx(wanted, rel=1e-8, nan_ok=True)


def test_that_the_two_dimensional_check_value_is_met():
    y, x = np.mgrid[:7, :7].astype(float)
    rule = LocalRegression(window=(2.5, 2.0), order=2, smoothing=(1.0, 0.8))
    result = resample_onto_grid([x.ravel(), y.ravel()], (np.sin(x) + 0.2 * y**2).ravel(), ([3.3], [2.6]), rule, 0.1)
    assert result.values == pytest.approx(np.array([[1.228060648]]), rel=1e-8)
    assert result.errors == pytest.approx(np.array([[0.086345420]]), rel=1e-7)
    assert result.counts == [[17]]
    assert result.distance_weights == pytest.approx(np.array([[4.865770184]]))
    assert result.reduced_chi2 == pytest.approx(np.array([[3.050554403]]))


EDGES = {
    ("distribution", 0.2): (-1, 15.5),
    ("distribution", 0.5): (-0.5, 14.5),
    ("distribution", 0.8): (0, 14),
    ("ellipsoid", 0.5): (-1, 15),
    ("box", 0.8): (1, 13),
    ("range", 0.2): (1, 13),
    ("range", 0.5): (1.5, 12.5),
}


@pytest.mark.parametrize(("algorithm", "threshold"), EDGES, ids=str)
def test_that_edges_are_clipped_where_the_table_says(algorithm, threshold):
    y, x = np.mgrid[:15, :15].astype(float)
    rule = LocalRegression(3, 1, edge_algorithm=algorithm, edge_threshold=threshold, order_algorithm="counts")
    grid = np.arange(-1, 15.6, 0.5)
    finite = np.isfinite(resample_onto_grid([x.ravel(), y.ravel()], x.ravel(), (grid, [7.25]), rule, 0.1).values[0])
    assert (grid[finite].min(), grid[finite].max()) == EDGES[algorithm, threshold]


def scattered(count=400, dimensions=2, seed=3):
    return np.random.default_rng(seed).uniform(0, 20, (dimensions, count))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=6, max_size=6), st.floats(-1e4, 1e4))
def test_that_a_quadratic_surface_is_restored_wherever_the_origin_is(c, origin):
    p = scattered()
    values = c[0] + c[1] * p[0] + c[2] * p[1] + c[3] * p[0] ** 2 + c[4] * p[0] * p[1] + c[5] * p[1] ** 2
    points = np.random.default_rng(1).uniform(4, 16, (2, 20))
    u, v = points
    truth = c[0] + c[1] * u + c[2] * v + c[3] * u**2 + c[4] * u * v + c[5] * v**2
    result = resample_points(p + origin, values, points + origin, LocalRegression(4, 2, smoothing=1.0), 0.5)
    np.testing.assert_allclose(result.values, truth, atol=1e-6)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_that_samples_are_those_within_the_ellipsoid(dimensions):
    p, window = scattered(500, dimensions), np.array([3.0, 4.0, 5.0])[:dimensions]
    points = np.random.default_rng(2).uniform(-3, 23, (dimensions, 200))
    inside = (((points[:, :, None] - p[:, None, :]) / window[:, None, None]) ** 2).sum(axis=0) <= 1
    rule = LocalRegression(window=tuple(window), order=0, order_algorithm="none")
    result = resample_points(p, np.ones(500), points, rule)
    np.testing.assert_array_equal(result.counts, inside.sum(axis=1))


def test_that_a_mean_is_the_weighted_mean_with_its_error():
    rng = np.random.default_rng(5)
    values, sigma = rng.normal(size=50), rng.uniform(0.5, 2, 50)
    result = resample_points(np.zeros(50), values, [0.0], LocalRegression(1, 0, order_algorithm="none"), sigma)
    assert result.values[0] == pytest.approx(np.average(values, weights=sigma**-2))
    assert result.errors[0] == pytest.approx(np.sum(sigma**-2) ** -0.5)


def test_that_without_distance_weights_errors_are_the_scatter_up_to_the_stated_inflation():
    p, rng = scattered(300), np.random.default_rng(6)
    sigma = rng.uniform(0.5, 1.5, 300)
    rule = LocalRegression(5, 2)
    fits = [resample_points(p, rng.normal(0, sigma), [[10.0], [9.0]], rule, sigma) for _ in range(1500)]
    inflation = fits[0].counts[0] / (fits[0].counts[0] - 6)
    assert np.var([fit.values[0] for fit in fits]) * inflation == pytest.approx(fits[0].errors[0] ** 2, rel=0.1)


def test_that_one_thread_and_several_give_the_same():
    p = scattered(2000)
    axes = (np.linspace(0, 20, 90), np.linspace(0, 20, 91))
    one, four = (
        resample_onto_grid(p, p[0], axes, LocalRegression(2, 1, smoothing=0.5, jobs=jobs), 0.1) for jobs in (1, 4)
    )
    assert one.values.shape == (91, 90)
    np.testing.assert_array_equal(one.values, four.values)


def test_that_missing_samples_and_errors_are_left_out_and_inputs_kept():
    p, rng = scattered(), np.random.default_rng(8)
    values, sigma = rng.normal(size=400), np.ones(400)
    values[:40], sigma[40:60], sigma[60:80] = np.nan, 0.0, np.inf
    copies = p.copy(), values.copy(), sigma.copy()
    full = resample_points(p, values, [[10.0], [10.0]], LocalRegression(6, 1), sigma)
    part = resample_points(p[:, 80:], values[80:], [[10.0], [10.0]], LocalRegression(6, 1), sigma[80:])
    assert full.values == pytest.approx(part.values)
    assert full.counts == part.counts
    for before, after in zip(copies, (p, values, sigma), strict=True):
        np.testing.assert_array_equal(before, after)


def test_that_degenerate_samples_give_the_least_norm_fit():
    line = np.array([np.arange(9.0), np.full(9, 3.0)])
    rule = LocalRegression(6, 1, order_algorithm="none")
    result = resample_points(line, 2 + line[0], [[4.0], [3.0]], rule, 0.1)
    assert result.values == pytest.approx(np.array([6.0]))


@pytest.mark.parametrize("mode", ["reference", "sandwich"])
def test_that_fits_that_samples_hardly_determine_can_be_left_out(mode):
    """Samples nearly on two lines leave the curvature across them open."""
    rng = np.random.default_rng(2)
    p = np.array([rng.uniform(0, 10, 60), np.repeat([4.0, 6.0], 30) + rng.normal(0, 1e-5, 60)])
    values, points = rng.normal(size=60), np.array([[5.0], [4.5]])
    plain, limited = (
        resample_points(p, values, points, LocalRegression(6, 2, error_mode=mode, largest_gain=limit), 1.0)
        for limit in (0.0, 10.0)
    )
    assert plain.errors[0] > 1e3
    assert np.isnan(limited.values[0])
    assert limited.counts == plain.counts
    assert limited.weights[0] == 0
    spread = scattered(), np.random.default_rng(1).normal(size=400), [[10.0], [10.0]]
    kept, same = (
        resample_points(*spread, LocalRegression(6, 2, error_mode=mode, largest_gain=limit), 1.0)
        for limit in (10.0, 0.0)
    )
    assert kept.values == same.values
    gain = np.sqrt(kept.errors[0] ** 2 * (1 if mode == "sandwich" else 1 - 6 / kept.counts[0]))
    for limit, left in ((0.99 * gain, False), (1.01 * gain, True)):
        rule = LocalRegression(6, 2, error_mode=mode, largest_gain=limit)
        assert np.isfinite(resample_points(*spread, rule, 1.0).values[0]) == left


@pytest.mark.parametrize("place", [1.25, 0.1, 1 / 3, 4.7])
def test_that_samples_in_a_plane_pass_the_edge_check_whatever_rounding_makes_of_their_mean(place):
    random = np.random.default_rng(4)
    for count in range(3, 30):
        p = np.stack([random.uniform(0, 2, count), np.full(count, place)])
        rule = LocalRegression(2.7, 0, edge_threshold=0.5, order_algorithm="none")
        result = Resampler(p, np.ones(count), 1.0, rule)([[1.0], [place + 0.4]], details=True)
        assert result.values[0] == pytest.approx(1.0)
        along = p[0] - 1.0
        assert result.offset_variance[0] == pytest.approx(along.mean() ** 2 / along.var(ddof=1), rel=1e-6)


@pytest.mark.parametrize("errors", [0.3, None])
def test_that_a_single_sample_has_no_scatter(errors):
    values = np.random.default_rng(5).normal(size=50)
    rule = LocalRegression(0.4, 0, order_algorithm="none", smoothing=0.3)
    result = resample_points(np.arange(50.0), values, np.arange(50.0) + 0.1, rule, errors)
    assert (result.counts == 1).all()
    assert np.isnan(result.errors).all() if errors is None else result.errors == pytest.approx(0.3)
    assert (result.reduced_chi2 == 1).all() if errors is None else np.isnan(result.reduced_chi2).all()


def test_that_points_without_a_fit_get_the_fill_value():
    result = resample_points(X, Y, [50.0, np.nan], LocalRegression(3, 1, cval=-9.0), SIGMA)
    np.testing.assert_array_equal(result.values, [-9.0, -9.0])
    assert np.isnan(result.errors).all()
    np.testing.assert_array_equal(result.counts, [0, 0])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"window": 0}, "window must be positive"),
        ({"smoothing": -1.0}, "smoothing must not be negative"),
        ({"edge_threshold": 1.0, "edge_algorithm": "box"}, "below 1"),
        ({"order": 40}, "needs at least 41"),
    ],
    ids=["window", "smoothing", "edge", "order"],
)
def test_that_impossible_parameters_are_refused(keywords, message):
    with pytest.raises(ValueError, match=message):
        resample_points(X, Y, [4.0], LocalRegression(**{"window": 3, **keywords}), SIGMA)


def test_that_data_without_a_usable_sample_are_refused():
    with pytest.raises(ValueError, match="no sample is usable"):
        resample_points(X, np.full(11, np.nan), [4.0], LocalRegression(3))


DETAILS = [  # point, keywords, errors; derivative product, offset variance
    (4.3, {}, SIGMA, (508.253806, 0.011428571)),
    (4.3, S, SIGMA, (548.209627, 0.011428571)),
    (4.3, S | {"error_weighting": False}, SIGMA, (589.579280, 0.011428571)),
    (1.5, S, SIGMA, (55.478262, 0.1)),
    (0.5, S | {"order_algorithm": "extrapolate"}, SIGMA, (25.425054, 0.6)),
]


@pytest.mark.parametrize(("point", "keywords", "errors", "expected"), DETAILS)
def test_that_the_tabulated_derivatives_and_offsets_are_met(point, keywords, errors, expected):
    result = Resampler(X, Y, errors, LocalRegression(window=3, **{"order": 2, **keywords}))(point, details=True)
    assert result.derivative_products == pytest.approx(np.array([[expected[0]]]), rel=1e-8)
    assert result.offset_variance == pytest.approx(expected[1], rel=1e-7)


def test_that_the_tabulated_two_dimensional_derivatives_are_met():
    y, x = np.mgrid[:7, :7].astype(float)
    rule = LocalRegression(window=(2.5, 2.0), order=2, smoothing=(1.0, 0.8))
    result = Resampler([x.ravel(), y.ravel()], (np.sin(x) + 0.2 * y**2).ravel(), 0.1, rule)(3.3, 2.6, details=True)
    expected = np.array([[2.822150828, -3.516240409], [-3.516240409, 4.615326596]])
    np.testing.assert_allclose(result.derivative_products, expected, rtol=1e-8)
    assert result.offset_variance == pytest.approx(0.019203758, rel=1e-7)


def test_that_orders_of_each_dimension_limit_exponents_and_degree():
    """Values of the reference pipeline, run on the same numbers."""
    y, x = np.mgrid[:15, :15].astype(float)
    place, values = [x.ravel(), y.ravel()], (np.sin(x) + 0.02 * y**2).ravel()
    one_two = Resampler(place, values, 0.1, LocalRegression(3, (1, 2), smoothing=0.6))(7.3, 6.6, details=True)
    assert one_two.values == pytest.approx(1.5783706399, rel=1e-9)
    assert one_two.errors == pytest.approx(0.0918247566, rel=1e-8)
    zeros = Resampler(place, values, 0.1, LocalRegression(3, (0, 0), smoothing=0.6))(7.3, 6.6)
    mean = Resampler(place, values, 0.1, LocalRegression(3, 0, smoothing=0.6))(7.3, 6.6)
    assert zeros.values == pytest.approx(mean.values)
    assert (zeros.errors, mean.errors) == (pytest.approx(0.0677294897), pytest.approx(0.0455891882))


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_that_gradients_of_a_plane_are_its_slopes(dimensions):
    p = scattered(900, dimensions)
    slopes = np.arange(1.0, dimensions + 1)
    result = Resampler(p, slopes @ p + 3, 0.1, LocalRegression(8, 1, smoothing=3))(
        np.full((dimensions, 1), 10.0), details=True
    )
    np.testing.assert_allclose(result.gradients[0], slopes, rtol=1e-9)
    np.testing.assert_allclose(result.derivative_products[0], 64 * np.outer(slopes, slopes), rtol=1e-9)


def test_that_points_without_a_fit_have_no_gradient():
    result = Resampler(X, Y, SIGMA, LocalRegression(3, 2))([0.0, 50.0], details=True)
    for plane in (result.gradients, result.derivative_products, result.offset_variance):
        assert np.isnan(plane).all()


def test_that_grid_points_and_single_points_agree_in_all_shapes():
    p = scattered(2000, 3)
    resampler = Resampler(p, p[0] - p[1] + p[2] ** 2, 0.1, LocalRegression(4, 1, smoothing=1.5))
    axes = np.linspace(5, 15, 3), np.linspace(6, 14, 4), np.linspace(7, 13, 5)
    cube = resampler(*axes)
    mesh = np.meshgrid(*axes, indexing="ij")
    points = resampler(np.stack(mesh))
    assert cube.values.shape == (5, 4, 3)
    np.testing.assert_array_equal(points.values, cube.values.T)
    np.testing.assert_array_equal(resampler(np.stack([m.ravel() for m in mesh])).errors, points.errors.ravel())
    single = resampler(axes[0][1], axes[1][2], axes[2][3])
    assert single.values.shape == ()
    assert single.values == cube.values[3, 2, 1]
    assert resampler(axes[0], 6.0, 7.0).values.shape == (1, 1, 3)


@pytest.mark.parametrize("places", [((1.0, 2.0, 3.0),), (1.0,), (np.zeros((3, 4)),), (0.0, np.zeros((2, 2)))], ids=str)
def test_that_another_number_of_dimensions_is_refused(places):
    with pytest.raises(ValueError, match="2 dimensions"):
        Resampler(scattered(), np.ones(400), 0.1, LocalRegression(3))(*places)


def test_that_data_sets_are_fitted_independently():
    p, rng = scattered(600), np.random.default_rng(4)
    data, sigma = rng.normal(size=(3, 600)), rng.uniform(0.5, 2, (3, 600))
    data[1, ::3], sigma[2, ::4] = np.nan, 0
    mask = rng.uniform(size=(3, 600)) > 0.2
    axes, rule = (np.linspace(2, 18, 9), np.linspace(3, 17, 8)), LocalRegression(4, 2, smoothing=2)
    together = Resampler(p, data, sigma, rule, mask=mask)(*axes, details=True)
    assert together.values.shape == (3, 8, 9)
    assert together.gradients.shape == (3, 8, 9, 2)
    for s in range(3):
        alone = Resampler(p, data[s], sigma[s], rule, mask=mask[s])(*axes, details=True)
        for name, plane in vars(alone).items():
            np.testing.assert_allclose(getattr(together, name)[s], plane, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("form", ["number", "per sample", "per set", "all"])
def test_that_errors_may_be_given_in_any_form(form):
    p, data = scattered(300), np.random.default_rng(4).normal(size=(2, 300))
    given = {"number": 0.3, "per sample": np.full(300, 0.3), "per set": [0.3, 0.3], "all": np.full((2, 300), 0.3)}
    result = Resampler(p, data, given[form], LocalRegression(4, 1))(10.0, 10.0)
    expected = Resampler(p, data, np.full((2, 300), 0.3), LocalRegression(4, 1))(10.0, 10.0)
    np.testing.assert_array_equal(result.errors, expected.errors)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"error": np.ones(7)}, "errors of shape"),
        ({"mask": np.ones(7, bool)}, "mask of shape"),
        ({"data": np.ones(7)}, "do not fit"),
        ({"data": np.full(400, np.nan)}, "no sample is usable"),
        ({"mask": np.zeros(400, bool)}, "no sample is usable"),
        ({"error": 0.0}, "no sample is usable"),
    ],
    ids=["error", "mask", "data", "missing", "masked", "no errors"],
)
def test_that_data_that_do_not_fit_are_refused(changes, message):
    given = {"data": np.ones(400), "error": 0.1, "mask": None} | changes
    with pytest.raises(ValueError, match=message):
        Resampler(scattered(), given["data"], given["error"], LocalRegression(3), mask=given["mask"])


RULES = [
    ({"order": -1}, "order must not be negative"),
    ({"order": 1.5}, "order must be whole"),
    ({"order": (1, 2, 3)}, "order must be one number or 2"),
    ({"window": (1, 2, 3)}, "window must be one number or 2"),
    ({"edge_threshold": -0.1}, "edge_threshold must not be negative"),
    ({"edge_algorithm": "round"}, "edge_algorithm must be one of"),
    ({"order_algorithm": "all"}, "order_algorithm must be one of"),
    ({"error_mode": "best"}, "error_mode must be one of"),
    ({"metric": 0.5}, "metric must be at least 1"),
    ({"largest_gain": -1}, "largest_gain must not be negative"),
    ({"local_robust": -1}, "local_robust must not be negative"),
    ({"jobs": np.nan}, "jobs must be a number"),
]


@pytest.mark.parametrize(("keywords", "message"), RULES, ids=lambda value: str(value)[:30])
def test_that_rules_out_of_range_are_refused(keywords, message):
    with pytest.raises(ValueError, match=message):
        Resampler(scattered(), np.ones(400), 0.1, LocalRegression(**{"window": 3, **keywords}))


def test_that_outliers_and_negative_values_are_left_out_of_the_whole_set():
    p, values = scattered(), np.random.default_rng(8).normal(10, 1, 400)
    values[:5], values[5:8] = 1000, -200
    rule = LocalRegression(30, 0, order_algorithm="none")
    everything = Resampler(p, values, 1.0, rule)(10.0, 10.0)
    clipped = Resampler(p, values, 1.0, rule, robust=8)(10.0, 10.0)
    positive = Resampler(p, values, 1.0, rule, negthresh=1)(10.0, 10.0)
    assert (everything.counts, clipped.counts, positive.counts) == (400, 392, 397)
    assert clipped.values == pytest.approx(values[8:].mean())


def test_that_data_without_spread_are_rejected_with_a_warning():
    with (
        pytest.warns(UserWarning, match="More than half of the data are equal"),
        pytest.raises(ValueError, match="no sample is usable"),
    ):
        Resampler(scattered(), np.ones(400), 1.0, LocalRegression(3), robust=5)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_that_outliers_in_a_window_are_rejected_where_they_spoil_the_fit(order):
    p, rng = scattered(3000), np.random.default_rng(2)
    slope = 30.0 if order else 0.0
    values = slope * p[0] + rng.normal(0, 0.1, 3000)
    struck = rng.choice(3000, 150, replace=False)
    values[struck] += rng.choice([-1, 1], 150) * 20  # within the range of all data
    points = rng.uniform(4, 16, (2, 200))
    plain, robust = (
        Resampler(p, values, 0.1, LocalRegression(2.5, order, local_robust=clip))(points) for clip in (0, 5)
    )
    assert np.std(robust.values - slope * points[0]) < 0.1
    assert np.std(plain.values - slope * points[0]) > 3 * np.std(robust.values - slope * points[0])
    lost = np.array([(np.hypot(*(p[:, struck] - point[:, None])) <= 2.5).sum() for point in points.T])
    assert np.mean(plain.counts - robust.counts - lost) == pytest.approx(0, abs=0.2)


def test_that_a_bad_fit_is_replaced_by_the_mean_or_by_nothing():
    rule = {"window": 3, "order": 2, "smoothing": 1.0}
    chi2 = 2.885435476  # of the fit at 4.3, from the table
    kept = resample_points(X, Y, [4.3], LocalRegression(**rule, fit_threshold=1.01 * chi2**0.5), SIGMA)
    mean = resample_points(X, Y, [4.3], LocalRegression(**rule, fit_threshold=0.99 * chi2**0.5), SIGMA)
    none = resample_points(X, Y, [4.3], LocalRegression(**rule, fit_threshold=-0.99 * chi2**0.5), SIGMA)
    assert kept.values[0] == pytest.approx(19.048982187)
    assert (mean.values[0], mean.errors[0]) == (pytest.approx(17.928703916), pytest.approx(0.482711681))
    assert np.isnan([none.values[0], none.errors[0], none.reduced_chi2[0]]).all()
    assert (none.weights[0], none.counts[0]) == (0, 6)


def test_that_variances_are_propagated_through_the_weighted_mean():
    p, rng = scattered(), np.random.default_rng(3)
    variances, sigma = rng.uniform(1, 2, 400), rng.uniform(1, 2, 400)
    result = Resampler(p, variances, sigma, LocalRegression(30, 1, is_covar=True))(10.0, 10.0)
    assert result.values == pytest.approx(np.sum(sigma**-4 * variances) / np.sum(sigma**-2) ** 2)
    assert np.isnan(result.errors)


@pytest.mark.parametrize("metric", [1, 2, 3, np.inf])
def test_that_the_metric_decides_which_samples_are_near(metric):
    p, points = scattered(800), np.random.default_rng(3).uniform(-2, 22, (2, 150))
    distance = np.linalg.norm(p[:, None] - points[:, :, None], ord=metric, axis=0) / 3
    result = Resampler(p, np.ones(800), 1.0, LocalRegression(3, 0, order_algorithm="none", metric=metric))(points)
    np.testing.assert_array_equal(result.counts, (distance <= 1).sum(axis=1))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(2, 120),
    st.floats(0.01, 50),
    st.floats(1, 1e6),
    st.integers(0, 2**31),
)
def test_that_the_search_finds_all_samples_however_they_lie(dimensions, count, window, spread, seed):
    rng = np.random.default_rng(seed)
    p = rng.normal(size=(dimensions, count)) * rng.choice([1.0, spread], (dimensions, count))
    points = np.concatenate([p[:, :20], rng.normal(0, 2 * window, (dimensions, 20))], axis=1)
    scaled = (p - p.min(axis=1, keepdims=True)) / window
    targets = (points - p.min(axis=1, keepdims=True)) / window
    near = ((scaled[:, None] - targets[:, :, None]) ** 2).sum(axis=0)
    result = Resampler(p, np.ones(count), 1.0, LocalRegression(window, 0, order_algorithm="none"))(points)
    assert (result.counts >= (near < 1 - 1e-9).sum(axis=1)).all()
    assert (result.counts <= (near <= 1 + 1e-9).sum(axis=1)).all()


@pytest.mark.parametrize("order", [0, 1, 2])
def test_that_sandwich_errors_are_the_scatter_of_the_fits(order):
    p, rng = scattered(500), np.random.default_rng(6)
    sigma = rng.uniform(0.5, 1.5, 500)
    noise = rng.normal(0, sigma, (3000, 500))
    points = rng.uniform(3, 17, (2, 12))
    rule = LocalRegression(4, order, smoothing=1.2, error_mode="sandwich")
    fits = Resampler(p, noise, sigma, rule)(points)
    ratios = fits.values.std(axis=0) / fits.errors[0]
    assert np.abs(ratios - 1).max() < 0.06  # 3000 draws: 1.3 % each


@pytest.mark.parametrize("order", [0, 1, 2])
def test_that_without_errors_the_scatter_in_the_window_gives_unbiased_sandwich_errors(order):
    p, rng = scattered(500), np.random.default_rng(7)
    points = rng.uniform(3, 17, (2, 12))
    rule = LocalRegression(4, order, smoothing=1.2, error_mode="sandwich")
    fits = Resampler(p, rng.normal(0, 2.0, (3000, 500)), None, rule)(points)
    np.testing.assert_allclose(np.mean(fits.errors**2, axis=0), np.var(fits.values, axis=0), rtol=0.12)


def test_that_a_least_norm_fit_has_finite_sandwich_errors():
    line = np.array([np.arange(9.0), np.full(9, 3.0)])
    rule = LocalRegression(6, 1, order_algorithm="none", error_mode="sandwich")
    known, unknown = (Resampler(line, 2 + line[0] + 0.1 * (-1.0) ** line[0], e, rule)(4.0, 3.0) for e in (0.1, None))
    np.testing.assert_allclose(known.errors, 0.1 / 3, rtol=1e-9)  # the middle of a line of nine
    assert 0.05 < unknown.errors / known.errors < 2


@pytest.mark.parametrize(("order", "degree"), [(4, 4), (6, 6)])
def test_that_high_orders_are_recovered_far_from_the_origin(order, degree):
    x = np.linspace(1e5, 1e5 + 40, 400)
    truth = np.polynomial.Polynomial([1, -2, 3, -1, 0.5, 0.3, -0.2][: degree + 1], domain=[1e5, 1e5 + 40])
    result = Resampler(x, truth(x), 0.1, LocalRegression(8, order, smoothing=3))(np.linspace(1e5 + 5, 1e5 + 35, 50))
    np.testing.assert_allclose(result.values, truth(np.linspace(1e5 + 5, 1e5 + 35, 50)), rtol=1e-7)


@pytest.mark.parametrize(
    ("algorithm", "point", "order"),
    [("bounded", 1.5, 2), ("bounded", 0.5, 1), ("bounded", 0.0, 0), ("extrapolate", 0.0, 3), ("counts", 10.0, 3)],
)
def test_that_the_order_is_lowered_to_what_the_samples_support(algorithm, point, order):
    rule = {"window": 3, "smoothing": 1.0, "order_algorithm": algorithm}
    lowered = resample_points(X, Y, [point], LocalRegression(order=5, fix_order=False, **rule), SIGMA)
    wanted = resample_points(X, Y, [point], LocalRegression(order=order, **rule | {"order_algorithm": "none"}), SIGMA)
    assert lowered.values[0] == pytest.approx(wanted.values[0])
    assert lowered.errors[0] == pytest.approx(wanted.errors[0])


def test_that_orders_of_each_dimension_are_never_lowered():
    p = scattered()
    result = Resampler(p, p[0], 0.1, LocalRegression(3, (2, 1), fix_order=False))(0.0, 10.0)
    assert np.isnan(result.values)


def test_that_no_order_check_lets_every_fit_through():
    result = resample_points(X, Y, [-1.0, 0.0], LocalRegression(3, 2, order_algorithm="none"), SIGMA)
    assert np.isfinite(result.values).all()


@settings(max_examples=25, deadline=None)
@given(st.floats(-100, 100), st.floats(0.1, 100), st.permutations(range(8)))
def test_that_scale_and_order_of_the_samples_do_not_matter(offset, scale, order):
    p, rng = scattered(200), np.random.default_rng(11)
    values, sigma = rng.normal(size=200), rng.uniform(0.5, 2, 200)
    rule = LocalRegression(6, 1, smoothing=3)
    plain = Resampler(p, values, sigma, rule)(10.0, 9.0)
    places = np.concatenate([np.arange(200)[start::8] for start in order])
    other = Resampler(p[:, places], offset + scale * values[places], scale * sigma[places], rule)(10.0, 9.0)
    np.testing.assert_allclose(other.values, offset + scale * plain.values, rtol=1e-9, atol=1e-9 * scale)
    np.testing.assert_allclose(
        [other.errors / scale, other.reduced_chi2], [plain.errors, plain.reduced_chi2], rtol=1e-9
    )


def test_that_read_only_and_integer_input_is_taken():
    p, values = scattered(), np.arange(400)
    p.setflags(write=False)
    values.setflags(write=False)
    assert np.isfinite(Resampler(p, values, 1, LocalRegression(5, 1))(10, 10).values)
