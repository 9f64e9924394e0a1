"""The compiled resampler against a slow solution of the same rules, written down point by point."""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sofia_engine.numerics.resampling import LocalRegression, Resampler, resample_points

CLEAR_GAP = (2e-16, 1e-4)
"""Singular values, over the largest, between which rounding decides on the rank."""


@dataclass(frozen=True)
class Local:
    """Usable samples around a point: offsets (n, K) in window units, values, precisions, distance weights."""

    offsets: np.ndarray
    values: np.ndarray
    precisions: np.ndarray
    closeness: np.ndarray

    @property
    def count(self):
        return len(self.values)


def list_powers(order, dimensions):
    """Exponents of all terms."""
    limits = np.broadcast_to(order, dimensions)
    return [p for p in itertools.product(*(range(o + 1) for o in limits)) if sum(p) <= limits.max()]


def gather(coordinates, values, sigma, point, rule):
    """Find the samples in the window of a point and weigh their distances."""
    window = np.broadcast_to(np.asarray(rule.window, float), len(coordinates))
    usable = np.isfinite(values) & np.isfinite(coordinates).all(axis=0)
    if sigma is not None:
        usable &= np.isfinite(sigma) & (sigma != 0)
    offsets = ((coordinates - np.asarray(point)[:, None]) / window[:, None]).T[usable]
    distance = (np.abs(offsets) ** rule.metric).sum(axis=1) ** (1 / rule.metric)
    assume(not (np.abs(distance - 1) < 1e-9).any())  # rounding decides
    near = distance < 1
    smoothing = np.broadcast_to(np.asarray(rule.smoothing, float), len(window))
    alpha = smoothing if rule.relative_smooth else 2 * smoothing**2 / window**2
    exponent = sum(np.square(offsets[near, k]) / alpha[k] for k in range(len(window)) if alpha[k] > 0)
    closeness = np.exp(-exponent * np.ones(near.sum()))
    precisions = np.ones(near.sum()) if sigma is None else sigma[usable][near] ** -2.0
    kept = closeness > 0
    return Local(offsets[near][kept], values[usable][near][kept], precisions[kept], closeness[kept])


def square_offset(local, thresholds):
    """Squared distance of the point from the mean sample, in standard deviations over thresholds."""
    if local.count < 2:
        return 0.0
    delta = thresholds * local.offsets.mean(axis=0)
    centred = local.offsets - local.offsets.mean(axis=0)
    centred[:, np.abs(centred).max(axis=0) < 1e-12] = 0.0  # rounding of the mean
    covariance = centred.T @ centred / (local.count - 1)
    assert_clear(np.linalg.svd(covariance, compute_uv=False))
    return float(delta @ np.linalg.pinv(covariance, rcond=1e-9, hermitian=True) @ delta)


def assert_clear(singular):
    """Leave examples out in which rounding decides on a rank."""
    if singular.size and singular[0] > 0:
        share = singular / singular[0]
        assume(not ((share > CLEAR_GAP[0]) & (share < CLEAR_GAP[1])).any())


def passes_edge(local, rule):
    """Tell whether the samples surround the point."""
    dimensions = local.offsets.shape[1]
    t, mean = rule.edge_thresholds(dimensions), local.offsets.mean(axis=0)
    if not t.any() or rule.edge_algorithm == "none":
        return True
    if rule.edge_algorithm == "distribution":
        length = square_offset(local, t)
    elif rule.edge_algorithm == "ellipsoid":
        length = sum((mean[k] / (1 - t[k])) ** 2 for k in range(dimensions) if t[k] > 0)
    elif rule.edge_algorithm == "box":
        length = (np.abs(mean) / (1 - t)).max()
    else:
        low, high = np.minimum(local.offsets.min(axis=0), 0), np.maximum(local.offsets.max(axis=0), 0)
        return bool((low <= -t).all() and (high >= t).all())
    assume(abs(length - 1) > 1e-9)
    return length <= 1


def find_order(local, rule):
    """The order that the samples support, or None."""
    dimensions = local.offsets.shape[1]
    orders = rule.orders(dimensions)
    supported = [int(orders.max())]
    for k, line in enumerate(local.offsets.T):
        if rule.order_algorithm == "bounded":
            here = min(np.unique(line[line < 0]).size, np.unique(line[line > 0]).size)
        elif rule.order_algorithm == "extrapolate":
            here = np.unique(line).size - 1
        else:
            continue
        if here < orders[k]:
            supported.append(here)
    if rule.order_algorithm == "counts" and local.count < np.prod(orders + 1):
        supported.append(math.floor(local.count ** (1 / dimensions) - 1 + 1e-9))
    if len(supported) > 1 and (rule.fix_order or not rule.single_order):
        return None
    return min(supported) if min(supported) >= 0 else None


def fit_mean(local, weights, rule, has_errors):
    """Value, variance, reduced chi-squared of the weighted mean."""
    total = weights.sum()
    mean = (weights * local.values).sum() / total
    square, n = (local.values - mean) ** 2, local.count
    with np.errstate(divide="ignore", invalid="ignore"):
        if has_errors:
            chi2 = (weights * square * local.precisions).sum() / total * np.float64(n) / (n - 1)
            return mean, (weights**2 / local.precisions).sum() / total**2, chi2 if n > 1 else np.nan
        if n == 1:
            return mean, np.nan, 1.0
        if rule.error_mode == "sandwich":
            squares = (weights**2).sum()
            scatter = (weights * square).sum() / (total - squares / total)
            return mean, scatter * squares / total**2, 1.0
        return mean, (weights * square).sum() / total / np.float64(n - 1), 1.0


def invert(design, weights):
    """Pseudo-inverse of the normal matrix."""
    assert_clear(np.linalg.svd(np.sqrt(weights)[:, None] * design, compute_uv=False))
    inverse = np.linalg.pinv(np.sqrt(weights)[:, None] * design, rcond=1e-10)
    return inverse @ inverse.T


def fit_polynomial(local, weights, powers, rule, has_errors):
    """Coefficients, variance, reduced chi-squared and shares of a polynomial fit."""
    design = np.stack([np.prod(local.offsets ** np.array(p), axis=1) for p in powers], axis=1)
    root = np.sqrt(weights)
    singular = np.linalg.svd(root[:, None] * design, compute_uv=False)
    rank = int((singular > 1e-9 * singular[0]).sum())
    inverse = invert(design, weights)
    found = inverse @ design.T @ (weights * local.values)
    shares = inverse[0] @ design.T * weights
    residual, n = local.values - design @ found, local.count
    inflation = n / (n - rank) if rank < n else 1.0
    near = invert(design, local.closeness)[0, 0]
    observed = inflation * near * (local.closeness * residual**2).sum() / local.closeness.sum()
    if not has_errors:
        predicted = observed
    elif rule.estimate_covariance:
        predicted = inflation * near * (local.closeness / local.precisions).sum() / local.closeness.sum()
    else:
        predicted = inflation * invert(design, local.closeness * local.precisions)[0, 0]
    chi2 = observed / predicted if has_errors else 1.0
    if rule.error_mode == "sandwich":
        predicted = (shares**2 / local.precisions).sum() if has_errors else np.nan
        if not has_errors and n > rank:
            hat = root[:, None] * design @ inverse @ (root[:, None] * design).T
            freedom = weights.sum() - (weights * np.diag(hat)).sum()
            assume(freedom > 1e-6 * weights.sum())
            predicted = (weights * residual**2).sum() / freedom * (shares**2).sum() if freedom > 0 else np.nan
    return found, predicted, chi2, design


def multiply_gradients(local, weights, powers, found):
    """Mean products of the gradient at the samples, per unit of the window."""
    gradients = np.zeros_like(local.offsets)
    for k in range(local.offsets.shape[1]):
        for coefficient, power in zip(found, powers, strict=True):
            if power[k]:
                lower = np.array(power) - (np.arange(len(power)) == k)
                gradients[:, k] += coefficient * power[k] * np.prod(local.offsets**lower, axis=1)
    return np.einsum("n,na,nb->ab", weights**2, gradients, gradients) / (weights**2).sum()


def solve(coordinates, values, sigma, point, rule):
    """All results at a point: count; value, error, weights, chi2, and for polynomials gradient products; or count."""
    local = gather(coordinates, values, sigma, point, rule)
    if not local.count or not passes_edge(local, rule):
        return {"counts": local.count}
    order = find_order(local, rule)
    if order is None:
        return {"counts": local.count}
    has_errors = sigma is not None
    weights = local.closeness * (local.precisions if has_errors and rule.error_weighting else 1.0)
    made = {
        "counts": local.count, "weights": weights.sum(), "distance_weights": local.closeness.sum(),
        "offset_variance": square_offset(local, np.ones(local.offsets.shape[1])),
    }  # fmt: skip
    if rule.single_order and order == 0:
        value, variance, chi2 = fit_mean(local, weights, rule, has_errors)
        return made | {"values": value, "errors": np.sqrt(variance), "reduced_chi2": chi2}
    powers = list_powers(order if rule.single_order else rule.order, local.offsets.shape[1])
    found, variance, chi2, _ = fit_polynomial(local, weights, powers, rule, has_errors)
    if rule.fit_threshold and math.sqrt(chi2) > abs(rule.fit_threshold):
        assume(abs(math.sqrt(chi2) / abs(rule.fit_threshold) - 1) > 1e-6)
        if rule.fit_threshold < 0:
            return {"counts": local.count}
        value, variance, chi2 = fit_mean(local, weights, rule, has_errors)
        return made | {"values": value, "errors": np.sqrt(variance), "reduced_chi2": chi2}
    products = multiply_gradients(local, weights, powers, found)
    return made | {
        "values": found[0], "errors": np.sqrt(variance), "reduced_chi2": chi2, "derivative_products": products,
    }  # fmt: skip


@st.composite
def samples(draw, dimensions):
    """Scattered samples, some of them doubled, missing, on a grid, or in a plane; and points among and beside them."""
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    count = draw(st.integers(1, (12, 40, 90, 150)[dimensions - 1]))
    coordinates = random.uniform(0, 4, (dimensions, count))
    kind = draw(st.sampled_from(["scattered", "grid", "flat", "doubled"]))
    if kind == "grid":
        coordinates = np.round(2 * coordinates) / 2
    elif kind == "flat":
        coordinates[-1] = 1.25
    elif kind == "doubled":
        coordinates = np.concatenate([coordinates, coordinates[:, ::2]], axis=1)
    offset = draw(st.sampled_from([0.0, 0.0, -4096.0, 2.0**20]))
    count = coordinates.shape[1]
    values, sigma = random.normal(0, 3, count), random.uniform(0.5, 2, count)
    if draw(st.booleans()):
        values[random.uniform(size=count) < 0.1] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
        sigma[random.uniform(size=count) < 0.1] = draw(st.sampled_from([np.nan, np.inf, 0.0]))
    points = random.uniform(-0.5, 4.5, (dimensions, 3))
    points[:, 0] = np.round(points[:, 0] * 8) / 8
    shift = np.round(offset + coordinates * 2**16) / 2**16 if offset else coordinates
    coordinates = shift if not offset else np.round(coordinates * 2**16) / 2**16 + offset
    return coordinates, values, draw(st.sampled_from([sigma, None])), points + offset


@st.composite
def rules(draw, dimensions):
    """Rules of all kinds."""
    scalar = draw(st.booleans())
    highest = (4, 3, 2, 2)[dimensions - 1]
    order = draw(st.integers(0, highest)) if scalar else tuple(draw(st.integers(0, 2)) for _ in range(dimensions))
    edge = draw(st.sampled_from(["none", "distribution", "ellipsoid", "box", "range"]))
    relative = draw(st.booleans())
    threshold = draw(st.sampled_from([0.0, 0.3, 0.7]))
    each = draw(st.booleans())
    return LocalRegression(
        window=tuple(draw(st.floats(0.8, 3.0)) for _ in range(dimensions)) if each else draw(st.floats(0.8, 3.0)),
        order=order,
        fix_order=draw(st.booleans()),
        smoothing=draw(st.sampled_from([0.0, 0.3, 1.5])),
        relative_smooth=relative,
        edge_threshold=tuple([threshold, 0.0, 0.4, threshold][:dimensions]) if each else threshold,
        edge_algorithm=edge,
        order_algorithm=draw(st.sampled_from(["none", "bounded", "extrapolate", "counts"])),
        error_weighting=draw(st.booleans()),
        error_mode=draw(st.sampled_from(["reference", "sandwich"])),
        estimate_covariance=draw(st.booleans()),
        fit_threshold=draw(st.sampled_from([0.0, 0.0, 0.8, -0.8])),
        metric=draw(st.sampled_from([2.0, 2.0, 1.0, 4.0])),
        jobs=draw(st.sampled_from([1, 2])),
    )


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_that_results_are_those_of_the_direct_solution(dimensions):
    compared = []

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(samples(dimensions), rules(dimensions))
    def check(given_samples, rule):
        coordinates, values, sigma, points = given_samples
        try:
            result = Resampler(coordinates, values, sigma, rule)(points, details=True)
        except ValueError as error:
            assert "no sample is usable" in str(error) or "too few data samples" in str(error)  # noqa: PT017
            return
        for m, point in enumerate(points.T):
            expected = solve(coordinates, values, sigma, point, rule)
            assert result.counts[m] == expected["counts"]
            if "values" not in expected:
                assert np.isnan([result.values[m], result.errors[m], result.reduced_chi2[m]]).all()
                assert result.weights[m] == result.distance_weights[m] == 0
                continue
            compared.append(rule)
            for name, value in expected.items():
                found = getattr(result, name)[m]
                np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-6, equal_nan=True, err_msg=name)

    check()
    assert len(compared) > (40, 30, 10, 5)[dimensions - 1]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(samples(2), rules(2), st.permutations(range(3)))
def test_that_kind_order_and_number_of_threads_make_no_difference(given_samples, rule, order):
    coordinates, values, sigma, points = given_samples
    random = np.random.default_rng(0).permutation(len(values))
    try:
        first = Resampler(coordinates, values, sigma, rule)(points)
    except ValueError:
        return
    mixed = Resampler(
        coordinates[:, random],
        values[random],
        None if sigma is None else sigma[random],
        replace(rule, jobs=3 - rule.jobs),
    )(points[:, order])
    small = values.astype(np.float32)
    narrow = Resampler(coordinates, small, sigma, rule)(points)
    wide = Resampler(coordinates, small.astype(float), sigma, rule)(points)
    for name in ("values", "errors", "counts", "weights"):
        plane = getattr(first, name)[list(order)]
        np.testing.assert_allclose(getattr(mixed, name), plane, rtol=1e-6, atol=1e-8, equal_nan=True, err_msg=name)
        np.testing.assert_array_equal(getattr(narrow, name), getattr(wide, name))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_that_one_sample_and_no_points_are_taken(dimensions):
    place = np.full((dimensions, 1), 2.0)
    rule = LocalRegression(1.0, 0, order_algorithm="none")
    single = resample_points(place, [3.0], place, rule, [0.5])
    assert (single.values[0], single.errors[0], single.counts[0]) == (3.0, 0.5, 1)
    nothing = resample_points(place, [3.0], np.empty((dimensions, 0)), rule, [0.5])
    assert nothing.values.shape == (0,)


@pytest.mark.parametrize(
    ("coordinates", "window", "order"),
    [([0.0, 1e308], 1e-10, 0), ([0.0, 1.0], 1e-320, 0), ([0.0, 1e300, 2e300], 1.0, 1), ([0.0, 1.0], 1.0, np.inf)],
)
def test_that_numbers_beyond_reason_are_refused_with_a_sentence(coordinates, window, order):
    with pytest.raises(ValueError, match=r"window|order"):
        resample_points(coordinates, np.ones(len(coordinates)), [0.5], LocalRegression(window, order), 1.0)
