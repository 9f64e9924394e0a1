"""Compiled kernel of `sofia_engine.numerics.resampling`; imports numba, so it is imported only when needed."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["regress"]

NONE, DISTRIBUTION, ELLIPSOID, BOX, RANGE = range(5)
BOUNDED, EXTRAPOLATE, COUNTS = 1, 2, 3
SMALLEST_PIVOT = 1e-12

compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})


@compiled
def _list_runs(point, starts, cells, cell_size, runs):  # type: ignore[no-untyped-def]
    """Runs of adjoining samples (first, past last) in the cells around a point; returns their number and samples."""
    dimensions = point.size
    low = np.floor(point / cell_size).astype(np.int64) - 1
    last = dimensions - 1
    first_cell, last_cell = max(low[last], 0), min(low[last] + 2, cells[last] - 1)
    number, candidates = 0, 0
    if first_cell > last_cell:
        return number, candidates
    for combination in range(runs.shape[0]):
        # the number, read with base 3, chooses the cell in all dimensions but the last, along which cells adjoin
        rest, row, inside = combination, 0, True
        for k in range(dimensions - 1):
            cell = low[k] + rest % 3
            rest //= 3
            inside = inside and 0 <= cell < cells[k]
            row = row * cells[k] + cell
        if inside:
            row *= cells[last]
            runs[number, 0], runs[number, 1] = starts[row + first_cell], starts[row + last_cell + 1]
            candidates += runs[number, 1] - runs[number, 0]
            number += 1
    return number, candidates


@compiled
def _find_samples(point, samples, runs, inverse_alpha, found, closeness):  # type: ignore[no-untyped-def]
    """Collect the samples of runs that lie within unit distance and have a distance weight; returns their number."""
    count = 0
    for run in range(runs.shape[0]):
        for i in range(runs[run, 0], runs[run, 1]):
            distance, exponent = 0.0, 0.0
            for k in range(point.size):
                square = (samples[i, k] - point[k]) ** 2
                distance += square
                exponent += square * inverse_alpha[k]
            if distance > 1.0:
                continue
            weight = np.exp(-exponent)
            if weight > 0.0:
                found[count] = i
                closeness[count] = weight
                count += 1
    return count


@compiled
def _solve(matrix, right):  # type: ignore[no-untyped-def]
    """Solve a symmetric positive system for several right sides; least-norm if singular. Returns solution and rank."""
    size = matrix.shape[0]
    factor = np.zeros((size, size))
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
                return _solve_singular(matrix, right)
    solution = right.copy()
    for column in range(right.shape[1]):
        for i in range(size):
            for k in range(i):
                solution[i, column] -= factor[i, k] * solution[k, column]
            solution[i, column] /= factor[i, i]
        for i in range(size - 1, -1, -1):
            for k in range(i + 1, size):
                solution[i, column] -= factor[k, i] * solution[k, column]
            solution[i, column] /= factor[i, i]
    return solution, size


@compiled
def _solve_singular(matrix, right):  # type: ignore[no-untyped-def]
    """Least-norm solution from the eigenvalues that are not negligible, and their number."""
    values, vectors = np.linalg.eigh(matrix)
    limit = values[-1] * matrix.shape[0] * 2.3e-16 * 16.0
    solution = np.zeros_like(right)
    rank = 0
    for i in range(values.size):
        if values[i] <= limit:
            continue
        rank += 1
        for column in range(right.shape[1]):
            part = 0.0
            for j in range(values.size):
                part += vectors[j, i] * right[j, column]
            for j in range(values.size):
                solution[j, column] += vectors[j, i] * part / values[i]
    return solution, rank


@compiled
def _passes_edge(point, samples, found, algorithm, thresholds):  # type: ignore[no-untyped-def]
    """Whether the samples surround the point well enough."""
    dimensions, count = point.size, found.size
    if algorithm == NONE or thresholds.max() == 0.0:
        return True
    offset, lowest, highest = np.zeros(dimensions), np.zeros(dimensions), np.zeros(dimensions)
    for i in found:
        for k in range(dimensions):
            distance = samples[i, k] - point[k]
            offset[k] += distance / count
            lowest[k] = min(lowest[k], distance)
            highest[k] = max(highest[k], distance)
    if algorithm == DISTRIBUTION:
        return count == 1 or _squared_offset(point, samples, found, offset, thresholds) <= 1.0
    total = 0.0
    for k in range(dimensions):
        if algorithm == BOX and abs(offset[k]) > 1.0 - thresholds[k]:
            return False
        if algorithm == RANGE and (lowest[k] > -thresholds[k] or highest[k] < thresholds[k]):
            return False
        if algorithm == ELLIPSOID and thresholds[k] > 0.0:
            total += (offset[k] / (1.0 - thresholds[k])) ** 2
    return total <= 1.0


@compiled
def _squared_offset(point, samples, found, offset, thresholds):  # type: ignore[no-untyped-def]
    """Squared distance of the point from the mean sample in units of the sample covariance and 1/threshold."""
    dimensions = point.size
    covariance, delta = np.zeros((dimensions, dimensions)), np.empty((dimensions, 1))
    for i in found:
        for a in range(dimensions):
            for b in range(dimensions):
                product = (samples[i, a] - point[a] - offset[a]) * (samples[i, b] - point[b] - offset[b])
                covariance[a, b] += product / (found.size - 1)
    for k in range(dimensions):
        delta[k, 0] = thresholds[k] * offset[k]
    solution, _ = _solve(covariance, delta)
    return np.sum(delta * solution)


@compiled
def _count_different(point, samples, found, k, side, limit):  # type: ignore[no-untyped-def]
    """Number of different coordinates below (side -1), above (1) or anywhere (0), counted up to a limit."""
    seen = np.empty(limit)
    count = 0
    for i in found:
        if count == limit:
            break
        coordinate = samples[i, k]
        if (side < 0 and coordinate >= point[k]) or (side > 0 and coordinate <= point[k]):
            continue
        known = False
        for j in range(count):
            known = known or seen[j] == coordinate
        if not known:
            seen[count] = coordinate
            count += 1
    return count


@compiled
def _supported_order(point, samples, found, algorithm, orders, fix_order, single):  # type: ignore[no-untyped-def]
    """Order the samples support: the wanted one, a lower one if that is allowed, or -1."""
    dimensions, wanted = point.size, orders.max()
    supported = wanted
    if algorithm in (BOUNDED, EXTRAPOLATE):
        for k in range(dimensions):
            if algorithm == BOUNDED:
                below = _count_different(point, samples, found, k, -1, orders[k])
                above = _count_different(point, samples, found, k, 1, orders[k])
                here = min(below, above)
            else:
                here = _count_different(point, samples, found, k, 0, orders[k] + 1) - 1
            if here < orders[k]:
                supported = min(supported, here)
    elif algorithm == COUNTS:
        needed = 1
        for k in range(dimensions):
            needed *= orders[k] + 1
        if found.size < needed:
            supported = int(np.floor(found.size ** (1.0 / dimensions) - 1.0 + 1e-9))
    if supported < wanted and (fix_order or not single):
        return -1
    return supported


@compiled
def _fit_mean(values, precisions, found, closeness, has_errors, weighted, result):  # type: ignore[no-untyped-def]
    """Weighted mean, its error and reduced chi-squared into `result`."""
    weight_sum, total, closeness_sum, spread = 0.0, 0.0, 0.0, 0.0
    for n, i in enumerate(found):
        weight = closeness[n] * precisions[i] if weighted else closeness[n]
        weight_sum += weight
        closeness_sum += closeness[n]
        total += weight * values[i]
        spread += weight * weight / precisions[i]
    mean = total / weight_sum
    scatter, chi2 = 0.0, 0.0
    for n, i in enumerate(found):
        weight = closeness[n] * precisions[i] if weighted else closeness[n]
        scatter += weight * (values[i] - mean) ** 2
        chi2 += weight * (values[i] - mean) ** 2 * precisions[i]
    count = found.size
    result[0], result[3], result[4] = mean, weight_sum, closeness_sum
    result[1] = np.sqrt(spread) / weight_sum if has_errors else np.sqrt(scatter / weight_sum / (count - 1))
    result[5] = chi2 / weight_sum * count / (count - 1) if has_errors else 1.0


@compiled
def _tabulate_terms(point, samples, found, parents):  # type: ignore[no-untyped-def]
    """Terms of the polynomial at each sample, as powers of the distance from the point.

    Each term is an earlier one (parents[t, 0]) times one coordinate (parents[t, 1]).
    """
    terms = parents.shape[0]
    table = np.empty((found.size, terms))
    for n, i in enumerate(found):
        table[n, 0] = 1.0
        for t in range(1, terms):
            k = parents[t, 1]
            table[n, t] = table[n, parents[t, 0]] * (samples[i, k] - point[k])
    return table


@compiled
def _normal_matrix(table, weights):  # type: ignore[no-untyped-def]
    """Sum of weighted products of all pairs of terms."""
    terms = table.shape[1]
    matrix = np.zeros((terms, terms))
    for n in range(table.shape[0]):
        for a in range(terms):
            product = weights[n] * table[n, a]
            for b in range(a + 1):
                matrix[a, b] += product * table[n, b]
    for a in range(terms):
        for b in range(a):
            matrix[b, a] = matrix[a, b]
    return matrix


@compiled
def _fit_polynomial(table, values, precisions, closeness, has_errors, weighted, estimate, result):  # type: ignore[no-untyped-def]
    """Value of the local polynomial at the point, its error and reduced chi-squared into `result`.

    The value is the constant term, because the terms are powers of the distance from the point.
    """
    count, terms = table.shape
    weights = closeness * precisions if weighted else closeness
    right = np.zeros((terms, 2))
    right[0, 1] = 1.0
    for n in range(count):
        for a in range(terms):
            right[a, 0] += weights[n] * values[n] * table[n, a]
    solution, rank = _solve(_normal_matrix(table, weights), right)
    scatter = 0.0
    for n in range(count):
        model = 0.0
        for a in range(terms):
            model += table[n, a] * solution[a, 0]
        scatter += closeness[n] * (values[n] - model) ** 2
    inflation = count / (count - rank) if rank < count else 1.0
    closeness_sum = closeness.sum()
    inverse = _solve(_normal_matrix(table, closeness), right)[0][0, 1] if weighted else solution[0, 1]
    observed = inflation * inverse * scatter / closeness_sum
    if not has_errors:
        predicted = observed
    elif estimate:
        predicted = inflation * inverse * (closeness / precisions).sum() / closeness_sum
    elif weighted:
        predicted = inflation * solution[0, 1]
    else:
        predicted = inflation * _solve(_normal_matrix(table, closeness * precisions), right)[0][0, 1]
    result[0], result[1], result[3], result[4] = solution[0, 0], np.sqrt(predicted), weights.sum(), closeness_sum
    result[5] = observed / predicted if has_errors else 1.0


@compiled
def regress(  # type: ignore[no-untyped-def]
    points,
    results,
    samples,
    values,
    precisions,
    starts,
    cells,
    cell_size,
    inverse_alpha,
    edge_algorithm,
    edge_thresholds,
    order_algorithm,
    orders,
    single,
    parents,
    sizes,
    switches,
):
    """Fit at each point; each row of `results`: value, error, count, weight, distance weight, reduced chi-squared."""
    has_errors, error_weighting, estimate, fix_order = switches[0], switches[1], switches[2], switches[3]
    weighted = has_errors and error_weighting
    runs = np.empty((3 ** (points.shape[1] - 1), 2), dtype=np.int64)
    all_found, all_closeness = np.empty(0, dtype=np.int64), np.empty(0)
    for p in range(points.shape[0]):
        point, result = points[p], results[p]
        result[:] = np.nan
        result[2:5] = 0.0
        if not np.isfinite(point).all():
            continue
        number, candidates = _list_runs(point, starts, cells, cell_size, runs)
        if candidates > all_found.size:
            all_found, all_closeness = np.empty(2 * candidates, dtype=np.int64), np.empty(2 * candidates)
        count = _find_samples(point, samples, runs[:number], inverse_alpha, all_found, all_closeness)
        result[2] = count
        found, closeness = all_found[:count], all_closeness[:count]
        if count == 0 or not _passes_edge(point, samples, found, edge_algorithm, edge_thresholds):
            continue
        order = _supported_order(point, samples, found, order_algorithm, orders, fix_order, single)
        if order == 0:
            _fit_mean(values, precisions, found, closeness, has_errors, weighted, result)
        elif order > 0:
            chosen = order if single else 0
            table = _tabulate_terms(point, samples, found, parents[chosen, : sizes[chosen]])
            near = precisions[found]
            _fit_polynomial(table, values[found], near, closeness, has_errors, weighted, estimate, result)
