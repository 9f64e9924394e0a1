from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_engine.numerics.resampling import LocalRegression, resample_onto_grid, resample_points

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
