"""The compiled part of the package: search, checks and fit, one output point after the other.

It imports numba, so it is imported only when needed; `kernel_cache` stores what has been compiled. All compiled
functions are in this one module on purpose: a change in a module renews only the compiled code of that module, not that
of functions elsewhere that call it.

Coordinates are in units of the window. Local quantities of the samples around a point are rows of scratch arrays, so
that every loop over samples runs through contiguous memory and is vectorised.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from sofia_engine.numerics.resampling.kernel_cache import KernelCache

__all__ = ["Checks", "Distances", "Fits", "Samples", "regress"]

NONE, DISTRIBUTION, ELLIPSOID, BOX, RANGE = range(5)
BOUNDED, EXTRAPOLATE, COUNTS = 1, 2, 3
UNIFORM, GAUSSIAN, SHAPED, SPLINE = range(4)
SMALLEST_PIVOT = 1e-10
SMALLEST_SINGULAR = 2.3e-16
SMALLEST_SPREAD = 1e-12
"""Standard deviation of coordinates, in windows, below which rounding of their mean is all that it is."""
SMALLEST_SPLINE = 1e-12
REJECTION_ROUNDS, ROTATION_ROUNDS = 5, 30
MAD_FACTOR = 1.482
FOUND, PLACES = range(2)
VALUE, VARIANCE, COUNT, WEIGHT, DISTANCE_WEIGHT, CHI2, OFFSET, GRADIENT = range(8)
"""Places in the results of a point; gradient (K) and products of its components (K K) only if they are asked for."""
DISTANCES, VALUES, PRECISIONS, CLOSENESS, WEIGHTS, PRODUCTS, MODEL = range(7)
SLACK = 1e-9
LARGEST_EXPONENT = 700.0
"""Of a weight above zero."""

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}
compiled = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)
"""For functions that only compiled functions call: they are cached with `regress`."""


class Samples(NamedTuple):
    """Samples sorted by cell.

    ``coordinates`` (K, N); ``values`` and ``precisions`` (S, N), precision 0 for samples that are not usable;
    ``starts``: first sample of each cell; ``cells`` and ``cell_size`` (K,): their number and size in each dimension.
    """

    coordinates: Any
    values: Any
    precisions: Any
    starts: Any
    cells: Any
    cell_size: Any


class Distances(NamedTuple):
    """Distance weights.

    ``mode``; ``norm``: exponent p of the distance; ``scale`` (K,): of squared distances in the exponent (Gaussian), or
    the size of the window (spline); ``shapes`` (S, N, K(K+1)/2): lower triangles of the inverse kernels of samples;
    ``degrees`` (K,), ``knots`` (K, n), ``knot_counts`` (K,) and ``coefficients`` of a spline.
    """

    mode: int
    norm: float
    scale: Any
    shapes: Any
    degrees: Any
    knots: Any
    knot_counts: Any
    coefficients: Any


class Checks(NamedTuple):
    """Edge and order rules; ``single``: one order for all dimensions; ``fix_order``: it may not be lowered."""

    edge_algorithm: int
    edge_thresholds: Any
    order_algorithm: int
    orders: Any
    fix_order: bool
    single: bool


class Fits(NamedTuple):
    """How values follow from samples.

    ``sizes`` (O,): number of terms for each order; ``parents`` (O, T, 2): earlier term and dimension whose product a
    term is; ``lower`` and ``powers`` (O, T, K): term and factor of the derivative of each term.
    """

    sizes: Any
    parents: Any
    lower: Any
    powers: Any
    has_errors: bool
    weighted: bool
    estimate: bool
    sandwich: bool
    is_variance: bool
    absolute: bool
    chi2: bool
    rejection: float
    fit_threshold: float
    largest_gain: float


class Scratch(NamedTuple):
    """Memory for the samples around one point; the columns of all arrays are samples.

    ``numbers``: rows FOUND and PLACES; ``lines``: rows DISTANCES to MODEL; ``offsets`` (K, n) from the point; ``table``
    (T, n): terms of the polynomial. A few arrays instead of many, because each costs time in every call.
    """

    numbers: Any
    lines: Any
    offsets: Any
    table: Any


class Algebra(NamedTuple):
    """Memory for the normal equations of T terms."""

    matrix: Any
    factor: Any
    right: Any
    near: Any


@compiled
def _make_scratch(capacity, dimensions, terms):  # type: ignore[no-untyped-def]
    return Scratch(
        np.empty((2, capacity), np.int64),
        np.empty((7, capacity)),
        np.empty((dimensions, capacity)),
        np.empty((terms, capacity)),
    )


# --- search ---


@compiled
def _list_runs(point, norm, samples, low, high, index, runs):  # type: ignore[no-untyped-def]
    """Runs of adjoining samples (first, past last) in the cells that the window of a point touches.

    Cells adjoin along the last dimension; in the others every row of cells is one run, as long as the chord of the
    window at that row. Returns the number of runs and of the samples in them.
    """
    dimensions = point.size
    last = dimensions - 1
    cells, size = samples.cells, samples.cell_size
    for k in range(dimensions):
        low[k] = int(min(max(np.floor((point[k] - 1.0) / size[k] - SLACK), 0.0), cells[k] + 0.0))
        high[k] = int(max(min(np.floor((point[k] + 1.0) / size[k] + SLACK), cells[k] - 1.0), -1.0))
        if low[k] > high[k]:
            return 0, 0
        index[k] = low[k]
    number, candidates = 0, 0
    while True:
        row, room = 0, 1.0 + SLACK
        for k in range(last):
            row = row * cells[k] + index[k]
            gap = max(index[k] * size[k] - point[k], 0.0)
            if index[k] < cells[k] - 1:
                gap = max(gap, point[k] - (index[k] + 1) * size[k])
            room -= gap * gap if norm == 2.0 else gap**norm
        if room > 0.0:
            reach = (np.sqrt(room) if norm == 2.0 else room ** (1.0 / norm)) + SLACK
            first = max(int(np.floor((point[last] - reach) / size[last])), low[last])
            final = min(int(np.floor((point[last] + reach) / size[last])), high[last])
            if first <= final:
                begin, end = samples.starts[row * cells[last] + first], samples.starts[row * cells[last] + final + 1]
                runs[number, 0], runs[number, 1] = begin, end
                candidates += end - begin
                number += end > begin
        k = last - 1
        while k >= 0:
            index[k] += 1
            if index[k] <= high[k]:
                break
            index[k] = low[k]
            k -= 1
        if k < 0:
            return number, candidates


@compiled
def _find_near(point, norm, samples, runs, scratch):  # type: ignore[no-untyped-def]
    """Collect the samples of runs within unit distance; returns their number."""
    count = 0
    for run in range(runs.shape[0]):
        begin, length = runs[run, 0], runs[run, 1] - runs[run, 0]
        distances = scratch.lines[DISTANCES, :length]
        distances[:] = 0.0
        for k in range(point.size):
            line, here = samples.coordinates[k, begin : begin + length], point[k]
            if norm == 2.0:
                for n in range(length):
                    distances[n] += (line[n] - here) ** 2
            elif np.isinf(norm):
                for n in range(length):
                    distances[n] = max(distances[n], abs(line[n] - here))
            else:
                for n in range(length):
                    distances[n] += abs(line[n] - here) ** norm
        for n in range(length):
            scratch.numbers[FOUND, count] = begin + n
            count += distances[n] <= 1.0
    return count


@compiled
def _weigh_gaussian(scale, scratch, count):  # type: ignore[no-untyped-def]
    """Gaussian distance weights with axes along the dimensions."""
    exponent = scratch.lines[PRODUCTS, :count]
    exponent[:] = 0.0
    for k in range(scale.size):
        line, factor = scratch.offsets[k], scale[k]
        for n in range(count):
            exponent[n] += factor * line[n] ** 2
    for n in range(count):
        scratch.lines[CLOSENESS, n] = np.exp(-exponent[n])


@compiled
def _weigh_shaped(shapes, scratch, count):  # type: ignore[no-untyped-def]
    """Distance weights from each sample's own inverse kernel; NaN in it leaves the sample out."""
    for n in range(count):
        exponent, pair = 0.0, 0
        for a in range(scratch.offsets.shape[0]):
            for b in range(a + 1):
                term = shapes[scratch.numbers[PLACES, n], pair] * scratch.offsets[a, n] * scratch.offsets[b, n]
                exponent += term if a == b else 2.0 * term
                pair += 1
        scratch.lines[CLOSENESS, n] = np.exp(-exponent)


@compiled
def _find_span(knots, count, degree, x):  # type: ignore[no-untyped-def]
    """Index of the knot interval that holds x."""
    low, high = degree, count - degree - 1
    while high - low > 1:
        middle = (low + high) // 2
        if knots[middle] <= x:
            low = middle
        else:
            high = middle
    return low


@compiled
def _evaluate_basis(knots, span, degree, x, basis):  # type: ignore[no-untyped-def]
    """The degree + 1 B-splines that are not zero at x (de Boor's recurrence)."""
    basis[0] = 1.0
    for d in range(1, degree + 1):
        carry = 0.0
        for j in range(d):
            left, right = knots[span + 1 - d + j], knots[span + 1 + j]
            part = basis[j] / (right - left)
            basis[j] = carry + (right - x) * part
            carry = (x - left) * part
        basis[d] = carry


@compiled
def _weigh_spline(distances, scratch, count):  # type: ignore[no-untyped-def]
    """Weights from a tensor-product spline of the offset; 0 outside of its box."""
    dimensions = distances.degrees.size
    basis, spans = np.empty((dimensions, distances.degrees.max() + 1)), np.empty(dimensions, np.int64)
    strides, digits = np.ones(dimensions, np.int64), np.empty(dimensions, np.int64)
    for k in range(dimensions - 2, -1, -1):
        strides[k] = strides[k + 1] * (distances.knot_counts[k + 1] - distances.degrees[k + 1] - 1)
    for n in range(count):
        inside = True
        for k in range(dimensions):
            knots, number, degree = distances.knots[k], distances.knot_counts[k], distances.degrees[k]
            x = scratch.offsets[k, n] * distances.scale[k]
            low, high = knots[degree], knots[number - degree - 1]
            inside = inside and low - 1e-8 <= x <= high + 1e-8
            x = min(max(x, low), high)
            spans[k] = _find_span(knots, number, degree, x)
            _evaluate_basis(knots, spans[k], degree, x, basis[k])
        total = 0.0
        digits[:] = 0
        k = 0 if inside else -1
        while k >= 0:
            place, product = 0, 1.0
            for m in range(dimensions):
                place += (spans[m] - distances.degrees[m] + digits[m]) * strides[m]
                product *= basis[m, digits[m]]
            total += product * distances.coefficients[place]
            k = dimensions - 1
            while k >= 0:
                digits[k] += 1
                if digits[k] <= distances.degrees[k]:
                    break
                digits[k] = 0
                k -= 1
        scratch.lines[CLOSENESS, n] = total if abs(total) > SMALLEST_SPLINE else 0.0


@compiled
def _gather(point, s, samples, near, scratch):  # type: ignore[no-untyped-def]
    """Copy what belongs to the usable samples of a set; returns their number."""
    dimensions, count = point.size, 0
    for n in range(near):
        place = scratch.numbers[FOUND, n]
        scratch.numbers[PLACES, count] = place
        count += samples.precisions[s, place] != 0.0
    for k in range(dimensions):
        for n in range(count):
            scratch.offsets[k, n] = samples.coordinates[k, scratch.numbers[PLACES, n]] - point[k]
    for n in range(count):
        scratch.lines[VALUES, n] = samples.values[s, scratch.numbers[PLACES, n]]
        scratch.lines[PRECISIONS, n] = samples.precisions[s, scratch.numbers[PLACES, n]]
    return count


@compiled
def _weigh_distances(s, distances, scratch, count):  # type: ignore[no-untyped-def]
    """Give samples their distance weights, and leave out those without any; returns how many are left."""
    if distances.mode == UNIFORM:
        scratch.lines[CLOSENESS, :count] = 1.0
        return count
    if distances.mode == GAUSSIAN:
        _weigh_gaussian(distances.scale, scratch, count)
    elif distances.mode == SHAPED:
        _weigh_shaped(distances.shapes[s], scratch, count)
    else:
        _weigh_spline(distances, scratch, count)
    return _compact(scratch, count)


@compiled
def _keeps_all(distances):  # type: ignore[no-untyped-def]
    """Whether no sample in the window can have the distance weight zero."""
    if distances.mode == GAUSSIAN:
        return distances.scale.sum() < LARGEST_EXPONENT
    return distances.mode == UNIFORM


@compiled
def _compact(scratch, count):  # type: ignore[no-untyped-def]
    """Leave out samples whose distance weight is zero or not finite; returns how many are left."""
    used = 0
    for n in range(count):
        if scratch.lines[CLOSENESS, n] == 0.0 or not np.isfinite(scratch.lines[CLOSENESS, n]):
            continue
        if used < n:
            for k in range(scratch.offsets.shape[0]):
                scratch.offsets[k, used] = scratch.offsets[k, n]
            for line in (VALUES, PRECISIONS, CLOSENESS):
                scratch.lines[line, used] = scratch.lines[line, n]
        used += 1
    return used


# --- checks ---


@compiled
def _passes_edge(checks, scratch, count):  # type: ignore[no-untyped-def]
    """Whether the samples surround the point well enough."""
    algorithm, thresholds = checks.edge_algorithm, checks.edge_thresholds
    if algorithm == NONE or thresholds.max() == 0.0:
        return True
    if algorithm == DISTRIBUTION:
        return count == 1 or _square_offset(scratch, count, thresholds) <= 1.0
    total = 0.0
    for k in range(thresholds.size):
        mean, lowest, highest = 0.0, 0.0, 0.0
        for n in range(count):
            offset = scratch.offsets[k, n]
            mean += offset / count
            lowest, highest = min(lowest, offset), max(highest, offset)
        if algorithm == BOX and abs(mean) > 1.0 - thresholds[k]:
            return False
        if algorithm == RANGE and (lowest > -thresholds[k] or highest < thresholds[k]):
            return False
        if algorithm == ELLIPSOID and thresholds[k] > 0.0:
            total += (mean / (1.0 - thresholds[k])) ** 2
    return total <= 1.0


@compiled
def _square_offset(scratch, count, thresholds):  # type: ignore[no-untyped-def]
    """Squared distance of the point from the mean sample in units of the sample covariance and 1/threshold."""
    dimensions = thresholds.size
    mean, covariance = np.zeros(dimensions), np.empty((dimensions, dimensions))
    if count < 2:
        return 0.0
    for a in range(dimensions):
        total = 0.0
        for n in range(count):
            total += scratch.offsets[a, n]
        mean[a] = total / count
        for b in range(a + 1):
            total = 0.0
            for n in range(count):
                total += (scratch.offsets[a, n] - mean[a]) * (scratch.offsets[b, n] - mean[b])
            covariance[a, b] = covariance[b, a] = total / (count - 1)
        if covariance[a, a] <= SMALLEST_SPREAD**2:
            covariance[a, : a + 1] = 0.0
            covariance[: a + 1, a] = 0.0
    if dimensions == 1:
        return (thresholds[0] * mean[0]) ** 2 / covariance[0, 0] if covariance[0, 0] > 0.0 else 0.0
    delta = (thresholds * mean).reshape((dimensions, 1))
    right = delta.copy()
    if _factorise(covariance, covariance, dimensions):
        _substitute(covariance, right, dimensions)
        return np.sum(delta * right)
    return _square_degenerate_offset(scratch, count, mean, delta)


@compiled
def _square_degenerate_offset(scratch, count, mean, delta):  # type: ignore[no-untyped-def]
    """Squared distance in the dimensions in which the samples spread at all."""
    design = np.empty((delta.size, count))
    for k in range(delta.size):
        for n in range(count):
            design[k, n] = scratch.offsets[k, n] - mean[k]
    inverse, axes, _ = _decompose(design)
    total = 0.0
    for i in range(delta.size):
        if inverse[i] * SMALLEST_SPREAD * np.sqrt(count - 1.0) > 1.0:
            continue
        part = 0.0
        for k in range(delta.size):
            part += axes[i, k] * delta[k, 0]
        total += (part * inverse[i]) ** 2
    return total * (count - 1)


@compiled
def _count_different(line, side, limit):  # type: ignore[no-untyped-def]
    """Number of different offsets below zero (side -1), above (1) or anywhere (0), counted up to a limit."""
    seen = np.empty(limit)
    count = 0
    for offset in line:
        if count == limit:
            break
        if offset * side < 0.0 or (side != 0 and offset == 0.0):
            continue
        known = False
        for j in range(count):
            known = known or seen[j] == offset
        if not known:
            seen[count] = offset
            count += 1
    return count


@compiled
def _find_order(checks, scratch, count):  # type: ignore[no-untyped-def]
    """Order the samples support: the wanted one, a lower one if that is allowed, or -1."""
    dimensions, wanted = checks.orders.size, checks.orders.max()
    supported = wanted
    if checks.order_algorithm in (BOUNDED, EXTRAPOLATE):
        for k in range(dimensions):
            line, order = scratch.offsets[k, :count], checks.orders[k]
            if checks.order_algorithm == BOUNDED:
                here = min(_count_different(line, -1, order), _count_different(line, 1, order))
            else:
                here = _count_different(line, 0, order + 1) - 1
            if here < order:
                supported = min(supported, here)
    elif checks.order_algorithm == COUNTS:
        needed = 1
        for k in range(dimensions):
            needed *= checks.orders[k] + 1
        if count < needed:
            supported = int(np.floor(count ** (1.0 / dimensions) - 1.0 + SLACK))
    if supported < wanted and (checks.fix_order or not checks.single):
        return -1
    return supported


# --- linear algebra ---


@compiled
def _factorise(matrix, factor, size):  # type: ignore[no-untyped-def]
    """Cholesky factor of the lower triangle; False if the matrix is too close to singular for it."""
    for i in range(size):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            if i > j:
                factor[i, j] = total / factor[j, j]
            elif total > SMALLEST_PIVOT * matrix[i, i] and total > 0.0:
                factor[i, i] = np.sqrt(total)
            else:
                return False
    return True


@compiled
def _substitute(factor, right, size):  # type: ignore[no-untyped-def]
    """Solve for all columns of the right side in place."""
    for column in range(right.shape[1]):
        for i in range(size):
            total = right[i, column]
            for k in range(i):
                total -= factor[i, k] * right[k, column]
            right[i, column] = total / factor[i, i]
        for i in range(size - 1, -1, -1):
            total = right[i, column]
            for k in range(i + 1, size):
                total -= factor[k, i] * right[k, column]
            right[i, column] = total / factor[i, i]


@compiled
def _invert_first(factor, size):  # type: ignore[no-untyped-def]
    """First diagonal element of the inverse of a factorised matrix."""
    column = np.zeros((size, 1))
    column[0, 0] = 1.0
    _substitute(factor, column, size)
    return column[0, 0]


@compiled
def _decompose(lines):  # type: ignore[no-untyped-def]
    """Singular value decomposition by Hestenes' rotations, for the few cases in which normal equations fail.

    The rows of `lines`, columns of the design matrix, are turned in place into left singular vectors times singular
    values. Returns inverse singular values, 0 for those that are negligible, right singular vectors as rows, and rank.
    """
    size, count = lines.shape
    right = np.zeros((size, size))
    for i in range(size):
        right[i, i] = 1.0
    for _ in range(ROTATION_ROUNDS):
        turned = False
        for p in range(size):
            for q in range(p + 1, size):
                turned = _rotate(lines, right, p, q) or turned
        if not turned:
            break
    inverse = np.zeros(size)
    largest, rank = 0.0, 0
    for i in range(size):
        for n in range(count):
            inverse[i] += lines[i, n] ** 2
        inverse[i] = np.sqrt(inverse[i])
        largest = max(largest, inverse[i])
    for i in range(size):
        if inverse[i] > SMALLEST_SINGULAR * max(count, size) * largest:
            inverse[i] = 1.0 / inverse[i]
            rank += 1
        else:
            inverse[i] = 0.0
    return inverse, right, rank


@compiled
def _turn(one, other, cosine, sine):  # type: ignore[no-untyped-def]
    for n in range(one.size):
        here, there = one[n], other[n]
        one[n] = cosine * here - sine * there
        other[n] = sine * here + cosine * there


@compiled
def _rotate(lines, right, p, q):  # type: ignore[no-untyped-def]
    """Make two rows orthogonal; False if they are already."""
    first, second, mixed = 0.0, 0.0, 0.0
    for n in range(lines.shape[1]):
        first += lines[p, n] ** 2
        second += lines[q, n] ** 2
        mixed += lines[p, n] * lines[q, n]
    if abs(mixed) <= SMALLEST_SINGULAR * np.sqrt(first * second):
        return False
    slope = (second - first) / (2.0 * mixed)
    tangent = (1.0 if slope >= 0.0 else -1.0) / (abs(slope) + np.sqrt(1.0 + slope**2))
    cosine = 1.0 / np.sqrt(1.0 + tangent**2)
    sine = cosine * tangent
    _turn(lines[p], lines[q], cosine, sine)
    _turn(right[p], right[q], cosine, sine)
    return True


@compiled
def _weigh_table(table, weights, terms, count):  # type: ignore[no-untyped-def]
    """Columns of the design matrix, as rows."""
    lines = np.empty((terms, count))
    for a in range(terms):
        for n in range(count):
            lines[a, n] = np.sqrt(weights[n]) * table[a, n]
    return lines


@compiled
def _invert_first_singular(table, weights, count, terms):  # type: ignore[no-untyped-def]
    """First diagonal element of the pseudo-inverse of a normal matrix."""
    inverse, right, _ = _decompose(_weigh_table(table, weights, terms, count))
    total = 0.0
    for i in range(terms):
        total += (right[i, 0] * inverse[i]) ** 2
    return total


@compiled
def _find_median(values):  # type: ignore[no-untyped-def]
    """Median; changes the order of the values."""
    middle = values.size // 2
    upper = _select(values, middle)
    if values.size % 2:
        return upper
    return 0.5 * (upper + values[:middle].max())


@compiled
def _select(values, place):  # type: ignore[no-untyped-def]
    """Value of a rank (Hoare's selection); smaller ones come before it, larger ones after it."""
    low, high = 0, values.size - 1
    while low < high:
        pivot, i, j = values[(low + high) // 2], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if place <= j:
            high = j
        elif place >= i:
            low = i
        else:
            break
    return values[place]


# --- fits ---


@compiled
def _tabulate_terms(parents, terms, scratch, count):  # type: ignore[no-untyped-def]
    """Terms of the polynomial at each sample, as powers of the distance from the point."""
    scratch.table[0, :count] = 1.0
    for t in range(1, terms):
        line, lower, offset = scratch.table[t], scratch.table[parents[t, 0]], scratch.offsets[parents[t, 1]]
        for n in range(count):
            line[n] = lower[n] * offset[n]


@compiled
def _form_normal_matrix(weights, terms, scratch, count, matrix):  # type: ignore[no-untyped-def]
    """Lower triangle of the sum of weighted products of all pairs of terms."""
    product = scratch.lines[PRODUCTS]
    for a in range(terms):
        line = scratch.table[a]
        for n in range(count):
            product[n] = weights[n] * line[n]
        for b in range(a + 1):
            other = scratch.table[b]
            total = 0.0
            for n in range(count):
                total += product[n] * other[n]
            matrix[a, b] = total


@compiled
def _solve_fit(terms, scratch, count, algebra):  # type: ignore[no-untyped-def]
    """Coefficients (first column of the right side) and first column of the inverse normal matrix; returns the rank."""
    right = algebra.right
    for a in range(terms):
        line, total = scratch.table[a], 0.0
        for n in range(count):
            total += scratch.lines[WEIGHTS, n] * line[n] * scratch.lines[VALUES, n]
        right[a, 0], right[a, 1] = total, 0.0
    right[0, 1] = 1.0
    _form_normal_matrix(scratch.lines[WEIGHTS], terms, scratch, count, algebra.matrix)
    if count >= terms and _factorise(algebra.matrix, algebra.factor, terms):
        _substitute(algebra.factor, right[:terms], terms)
        return terms
    lines = _weigh_table(scratch.table, scratch.lines[WEIGHTS], terms, count)
    inverse, vectors, rank = _decompose(lines)
    right[:terms] = 0.0
    for i in range(terms):
        part = 0.0
        for n in range(count):
            part += lines[i, n] * np.sqrt(scratch.lines[WEIGHTS, n]) * scratch.lines[VALUES, n]
        for a in range(terms):
            right[a, 0] += vectors[i, a] * inverse[i] ** 2 * part
            right[a, 1] += vectors[i, a] * inverse[i] ** 2 * vectors[i, 0]
    return -rank


@compiled
def _weigh(fits, scratch, count):  # type: ignore[no-untyped-def]
    """Full weights."""
    lines = scratch.lines
    for n in range(count):
        lines[WEIGHTS, n] = lines[CLOSENESS, n] * (lines[PRECISIONS, n] if fits.weighted else 1.0)


@compiled
def _evaluate_model(right, terms, scratch, count):  # type: ignore[no-untyped-def]
    """Fitted polynomial at each sample."""
    model = scratch.lines[MODEL]
    model[:count] = right[0, 0]
    for a in range(1, terms):
        line, coefficient = scratch.table[a], right[a, 0]
        for n in range(count):
            model[n] += coefficient * line[n]


@compiled
def _reject(fits, terms, scratch, count):  # type: ignore[no-untyped-def]
    """Mark outliers of the residuals by distance weight 0; returns how many samples are left."""
    residuals = np.empty(count)
    for n in range(count):
        residuals[n] = scratch.lines[VALUES, n] - scratch.lines[MODEL, n]
        if fits.has_errors:
            residuals[n] *= np.sqrt(scratch.lines[PRECISIONS, n])
    middle = _find_median(residuals.copy())
    limit = fits.rejection * MAD_FACTOR * _find_median(np.abs(residuals - middle))
    if limit <= 0.0:
        return count
    left = np.sum(np.abs(residuals - middle) <= limit)
    if left <= terms or left == count:
        return count
    for n in range(count):
        if abs(residuals[n] - middle) > limit:
            scratch.lines[CLOSENESS, n] = 0.0
    return _compact(scratch, count)


@compiled
def _fit_polynomial(order, fits, scratch, algebra, count):  # type: ignore[no-untyped-def]
    """Coefficients of the local polynomial, after rejection of outliers; returns rank and number of samples.

    The value is the first coefficient, because the terms are powers of the distance from the point. The rank is
    negative if normal equations were not enough.
    """
    terms = fits.sizes[order]
    rank = 0
    for _ in range(REJECTION_ROUNDS + 1):
        _weigh(fits, scratch, count)
        _tabulate_terms(fits.parents[order], terms, scratch, count)
        rank = _solve_fit(terms, scratch, count, algebra)
        _evaluate_model(algebra.right, terms, scratch, count)
        if fits.rejection <= 0.0:
            break
        left = _reject(fits, terms, scratch, count)
        if left == count:
            break
        count = left
    return rank, count


@compiled
def _invert_for(weights, terms, scratch, count, algebra):  # type: ignore[no-untyped-def]
    """First diagonal element of the inverse of the normal matrix with other weights than those of the fit."""
    _form_normal_matrix(weights, terms, scratch, count, algebra.near)
    if count >= terms and _factorise(algebra.near, algebra.near, terms):
        return _invert_first(algebra.near, terms)
    return _invert_first_singular(scratch.table, weights, count, terms)


@compiled
def _find_shares(terms, scratch, algebra, count):  # type: ignore[no-untyped-def]
    """Shares of the samples in the value, the linear combination of them that it is; returns the sum of squares."""
    sum_of_squares = 0.0
    product = scratch.lines[PRODUCTS]
    product[:count] = 0.0
    for a in range(terms):
        line, factor = scratch.table[a], algebra.right[a, 1]
        for n in range(count):
            product[n] += factor * line[n]
    for n in range(count):
        product[n] *= scratch.lines[WEIGHTS, n]
        sum_of_squares += product[n] ** 2
    return sum_of_squares


@compiled
def _propagate_sandwich(fits, rank, terms, scratch, algebra, count, sum_of_squares):  # type: ignore[no-untyped-def]
    """Variance of the value from the shares of the samples."""
    if fits.has_errors:
        variance = 0.0
        for n in range(count):
            variance += scratch.lines[PRODUCTS, n] ** 2 / scratch.lines[PRECISIONS, n]
        return variance
    scatter, freedom = 0.0, 0.0
    for n in range(count):
        scatter += scratch.lines[WEIGHTS, n] * (scratch.lines[VALUES, n] - scratch.lines[MODEL, n]) ** 2
        freedom += scratch.lines[WEIGHTS, n]
    freedom -= _sum_leverages(rank, terms, scratch, algebra, count)
    return scatter / freedom * sum_of_squares if freedom > 0.0 and count > abs(rank) else np.nan


@compiled
def _sum_leverages(rank, terms, scratch, algebra, count):  # type: ignore[no-untyped-def]
    """Sum over the samples of weight times leverage: what the fit takes away from the weighted scatter."""
    total = 0.0
    if rank < 0:
        lines = _weigh_table(scratch.table, scratch.lines[WEIGHTS], terms, count)
        inverse, _, _ = _decompose(lines)
        for i in range(terms):
            for n in range(count):
                total += scratch.lines[WEIGHTS, n] * (lines[i, n] * inverse[i]) ** 2
        return total
    part = np.empty(terms)
    for n in range(count):
        square = 0.0
        for a in range(terms):
            value = scratch.table[a, n]
            for b in range(a):
                value -= algebra.factor[a, b] * part[b]
            part[a] = value / algebra.factor[a, a]
            square += part[a] ** 2
        total += scratch.lines[WEIGHTS, n] ** 2 * square
    return total


@compiled
def _sum_samples(scratch, count):  # type: ignore[no-untyped-def]
    """Sums of weights, distance weights, weighted squared residuals, and of distance weights over precisions."""
    weight, closeness, scatter, inverse = 0.0, 0.0, 0.0, 0.0
    for n in range(count):
        weight += scratch.lines[WEIGHTS, n]
        closeness += scratch.lines[CLOSENESS, n]
        scatter += scratch.lines[CLOSENESS, n] * (scratch.lines[VALUES, n] - scratch.lines[MODEL, n]) ** 2
        inverse += scratch.lines[CLOSENESS, n] / scratch.lines[PRECISIONS, n]
    return weight, closeness, scatter, inverse


@compiled
def _estimate_errors(fits, rank, terms, scratch, algebra, count):  # type: ignore[no-untyped-def]
    """Weight sums, variance, reduced chi-squared and square of the noise gain (if asked for) of a polynomial fit."""
    weight, closeness, scatter, inverse_sum = _sum_samples(scratch, count)
    inflation = count / (count - abs(rank)) if abs(rank) < count else 1.0
    inverse = algebra.right[0, 1]
    lowest, highest = scratch.lines[PRECISIONS, :count].min(), scratch.lines[PRECISIONS, :count].max()
    # with equal errors the normal matrices with and without them differ by a factor only
    near = inverse * lowest if fits.weighted else inverse
    if fits.weighted and lowest != highest and (fits.chi2 or fits.estimate):
        near = _invert_for(scratch.lines[CLOSENESS], terms, scratch, count, algebra)
    observed = inflation * near * scatter / closeness
    predicted = observed
    if fits.has_errors:
        if fits.estimate:
            predicted = inflation * near * inverse_sum / closeness
        elif fits.weighted:
            predicted = inflation * inverse
        elif lowest == highest:
            predicted = inflation * inverse / lowest
        else:
            for n in range(count):
                scratch.lines[MODEL, n] = scratch.lines[CLOSENESS, n] * scratch.lines[PRECISIONS, n]
            predicted = inflation * _invert_for(scratch.lines[MODEL], terms, scratch, count, algebra)
            _evaluate_model(algebra.right, terms, scratch, count)
    chi2 = observed / predicted if fits.has_errors else 1.0
    if not fits.chi2:
        chi2 = np.nan
    gain = 0.0
    if fits.sandwich or fits.largest_gain > 0.0:
        gain = _find_shares(terms, scratch, algebra, count)
    if fits.sandwich:
        predicted = _propagate_sandwich(fits, rank, terms, scratch, algebra, count, gain)
    return weight, closeness, predicted, chi2, gain


@compiled
def _fit_mean(fits, scratch, count):  # type: ignore[no-untyped-def]
    """Weighted mean, weight sums, its variance and reduced chi-squared; weights of a kernel may be negative."""
    _weigh(fits, scratch, count)
    weight, closeness, total, spread, squares, size = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for n in range(count):
        w = scratch.lines[WEIGHTS, n]
        size += abs(w)
        weight += w
        closeness += abs(scratch.lines[CLOSENESS, n]) if fits.absolute else scratch.lines[CLOSENESS, n]
        total += w * (w if fits.is_variance else 1.0) * scratch.lines[VALUES, n]
        squares += w * w
        spread += w * w / scratch.lines[PRECISIONS, n]
    if fits.absolute:
        weight = size
    if fits.is_variance:
        return total / weight**2, weight, closeness, np.nan, np.nan
    mean = total / weight
    scatter, chi2 = 0.0, 0.0
    for n in range(count):
        square = abs(scratch.lines[WEIGHTS, n]) * (scratch.lines[VALUES, n] - mean) ** 2
        scatter += square
        chi2 += square * scratch.lines[PRECISIONS, n]
    if fits.has_errors:
        # the difference of a single sample from itself is what rounding leaves
        return mean, weight, closeness, spread / weight**2, chi2 / size * count / (count - 1) if count > 1 else np.nan
    if count < 2:
        return mean, weight, closeness, np.nan, 1.0
    if fits.sandwich:
        variance = scatter / (size - squares / size) * squares / weight**2
    else:
        variance = scatter / size / (count - 1)
    return mean, weight, closeness, variance, 1.0


@compiled
def _find_gradient(order, fits, terms, right, gradient):  # type: ignore[no-untyped-def]
    """Gradient of the polynomial at the point: the coefficients of its linear terms."""
    for t in range(1, terms):
        if fits.parents[order, t, 0] == 0:
            gradient[fits.parents[order, t, 1]] = right[t, 0]


@compiled
def _multiply_gradients(order, fits, terms, scratch, right, count, products):  # type: ignore[no-untyped-def]
    """Mean product of the components of the gradient at the samples, with squared weights."""
    dimensions = fits.powers.shape[2]
    gradients = np.zeros((dimensions, count))
    for k in range(dimensions):
        line = gradients[k]
        for t in range(1, terms):
            factor = right[t, 0] * fits.powers[order, t, k]
            if factor != 0.0:
                lower = scratch.table[fits.lower[order, t, k]]
                for n in range(count):
                    line[n] += factor * lower[n]
    total, weights = 0.0, scratch.lines[WEIGHTS]
    for n in range(count):
        total += weights[n] ** 2
    for a in range(dimensions):
        for b in range(a + 1):
            product = 0.0
            for n in range(count):
                product += weights[n] ** 2 * gradients[a, n] * gradients[b, n]
            products[a * dimensions + b] = products[b * dimensions + a] = product / total


@compiled
def _reject_from_mean(fits, scratch, count):  # type: ignore[no-untyped-def]
    """Leave out samples that lie too far from the mean; returns how many are left."""
    for _ in range(REJECTION_ROUNDS):
        scratch.lines[MODEL, :count] = _fit_mean(fits, scratch, count)[0]
        left = _reject(fits, 1, scratch, count)
        if left == count:
            break
        count = left
    return count


@compiled
def _store_mean(fits, scratch, count, result):  # type: ignore[no-untyped-def]
    """Put the mean and what belongs to it into the results of the point."""
    if fits.rejection > 0.0:
        count = _reject_from_mean(fits, scratch, count)
    value, weight, closeness, variance, chi2 = _fit_mean(fits, scratch, count)
    result[COUNT], result[VALUE], result[VARIANCE], result[CHI2] = count, value, variance, chi2
    result[WEIGHT], result[DISTANCE_WEIGHT] = weight, closeness
    result[GRADIENT:] = 0.0


@compiled
def _store_polynomial(order, fits, scratch, algebra, count, result):  # type: ignore[no-untyped-def]
    """Fit a polynomial and put it into the results of the point, or the mean if the fit is rejected."""
    terms, dimensions = fits.sizes[order], fits.powers.shape[2]
    rank, count = _fit_polynomial(order, fits, scratch, algebra, count)
    weight, closeness, variance, chi2, gain = _estimate_errors(fits, rank, terms, scratch, algebra, count)
    result[COUNT] = count
    if fits.largest_gain > 0.0 and not gain <= fits.largest_gain**2:
        return
    if fits.fit_threshold != 0.0 and np.sqrt(chi2) > abs(fits.fit_threshold):
        if fits.fit_threshold > 0.0:
            _store_mean(fits, scratch, count, result)
        return
    result[VALUE], result[VARIANCE], result[CHI2] = algebra.right[0, 0], variance, chi2
    result[WEIGHT], result[DISTANCE_WEIGHT] = weight, closeness
    if result.size > GRADIENT:
        result[GRADIENT:] = 0.0
        _find_gradient(order, fits, terms, algebra.right, result[GRADIENT:])
        _multiply_gradients(order, fits, terms, scratch, algebra.right, count, result[GRADIENT + dimensions :])


@compiled
def _fit_set(s, distances, checks, fits, scratch, algebra, count, result):  # type: ignore[no-untyped-def]
    """Weigh, check and fit the samples of one set around one point.

    Where no sample is left out for its distance, the edge is checked before weights, which take longer, are found.
    """
    early = _keeps_all(distances)
    surrounded = count > 0
    if early:
        surrounded = surrounded and _passes_edge(checks, scratch, count)
    if surrounded:
        count = _weigh_distances(s, distances, scratch, count)
    result[:] = np.nan
    result[COUNT], result[WEIGHT], result[DISTANCE_WEIGHT] = count, 0.0, 0.0
    if not surrounded or count == 0 or not (early or _passes_edge(checks, scratch, count)):
        return
    order = _find_order(checks, scratch, count)
    if order < 0:
        return
    if result.size > OFFSET:
        result[OFFSET] = _square_offset(scratch, count, np.ones(checks.orders.size))
    if (order == 0 and checks.single) or fits.is_variance:
        _store_mean(fits, scratch, count, result)
    else:
        _store_polynomial(order if checks.single else 0, fits, scratch, algebra, count, result)


@numba.njit(cache=True, **OPTIONS)
def regress(points, first, samples, distances, checks, fits, outputs):  # type: ignore[no-untyped-def]
    """Fit at each of the points (m, K); results go into columns `first` to `first` + m of the outputs (C, S, M).

    C is 6, or with gradients and offsets 7 + K + K K.
    """
    dimensions, terms = points.shape[1], fits.parents.shape[1]
    spread = 1
    for k in range(dimensions - 1):
        spread *= int(np.ceil(2.0 / samples.cell_size[k])) + 2
    runs = np.empty((spread, 2), np.int64)
    low, high, index = np.empty(dimensions, np.int64), np.empty(dimensions, np.int64), np.empty(dimensions, np.int64)
    scratch = _make_scratch(256, dimensions, terms)
    algebra = Algebra(
        np.empty((terms, terms)), np.empty((terms, terms)), np.empty((terms, 2)), np.empty((terms, terms))
    )
    result = np.empty(outputs.shape[0])
    for m in range(points.shape[0]):
        point, near = points[m], 0
        if np.isfinite(point).all():
            number, candidates = _list_runs(point, distances.norm, samples, low, high, index, runs)
            if candidates >= scratch.numbers.shape[1]:
                scratch = _make_scratch(2 * candidates, dimensions, terms)
            near = _find_near(point, distances.norm, samples, runs[:number], scratch)
        for s in range(samples.values.shape[0]):
            count = _gather(point, s, samples, near, scratch)
            _fit_set(s, distances, checks, fits, scratch, algebra, count, result)
            for c in range(result.size):
                outputs[c, s, first + m] = result[c]


KernelCache.attach(regress)
