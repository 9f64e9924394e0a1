"""Between Python and the compiled kernel: plain numbers in, filled arrays out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.numerics.polynomials import list_exponents
from sofia_engine.numerics.resampling.execution import run_blocks
from sofia_engine.numerics.resampling.results import Resampled
from sofia_engine.numerics.resampling.rules import EDGE_ALGORITHMS, ORDER_ALGORITHMS, count_workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from sofia_engine.numerics.arrays import FloatArray, IndexArray
    from sofia_engine.numerics.resampling.execution import Cancelled, Progress
    from sofia_engine.numerics.resampling.rules import LocalRegression
    from sofia_engine.numerics.resampling.samples import CellIndex, SampleSet

__all__ = ["Engine", "Terms", "Watch", "describe_checks", "describe_fits"]

_BLOCK_COST, _LARGEST_BLOCK, _SMALLEST_BLOCK = 3e7, 16384, 32
"""Nanoseconds, roughly, that a block of points takes; points in a block."""


@dataclass(frozen=True)
class Watch:
    """What follows the work: see `sofia_engine.numerics.resampling.execution.run_blocks`."""

    progress: Progress | None = None
    cancelled: Cancelled | None = None


@dataclass(frozen=True, eq=False)
class Terms:
    """Tables of the terms of the polynomials of every order that may occur, see the compiled kernel."""

    sizes: IndexArray
    parents: IndexArray
    lower: IndexArray
    powers: IndexArray

    @classmethod
    def tabulate(cls, rule: LocalRegression, dimensions: int) -> Terms:
        """All orders up to the wanted one, or the one set of orders."""
        orders = rule.orders(dimensions)
        wanted: list[int | tuple[int, ...]] = [tuple(int(order) for order in orders)]
        if rule.single_order:
            wanted = list(range(int(orders[0]) + 1))
        tables = [list_exponents(order, dimensions) for order in wanted]
        sizes = np.array([len(table) for table in tables], dtype=np.int64)
        longest = (len(tables), int(sizes.max()))
        parents = np.zeros((*longest, 2), dtype=np.int64)
        lower, powers = (np.zeros((*longest, dimensions), dtype=np.int64) for _ in range(2))
        for n, table in enumerate(tables):
            place = {exponents: t for t, exponents in enumerate(table)}
            powers[n, : len(table)] = table
            for t, exponents in enumerate(table):
                for k, power in enumerate(exponents):
                    if power:
                        lower[n, t, k] = place[_decrease(exponents, k)]
                        parents[n, t] = lower[n, t, k], k
        return cls(sizes, parents, lower, powers)


def _decrease(exponents: tuple[int, ...], dimension: int) -> tuple[int, ...]:
    return tuple(power - (k == dimension) for k, power in enumerate(exponents))


def describe_checks(rule: LocalRegression, dimensions: int, *, edges: bool = True) -> Any:
    """Edge and order rules for the kernel."""
    from sofia_engine.numerics.resampling import _kernel

    return _kernel.Checks(
        EDGE_ALGORITHMS.index(rule.edge_algorithm) if edges else _kernel.NONE,
        rule.edge_thresholds(dimensions).copy(),
        ORDER_ALGORITHMS.index(rule.order_algorithm),
        rule.orders(dimensions).astype(np.int64),
        bool(rule.fix_order),
        rule.single_order,
    )


def describe_fits(rule: LocalRegression, dimensions: int, *, has_errors: bool, absolute: bool = False) -> Any:
    """Polynomials, weights and errors for the kernel."""
    from sofia_engine.numerics.resampling import _kernel

    terms = Terms.tabulate(rule, dimensions)
    return _kernel.Fits(
        terms.sizes,
        terms.parents,
        terms.lower,
        terms.powers,
        has_errors,
        bool(has_errors and rule.error_weighting),
        bool(rule.estimate_covariance),
        rule.error_mode == "sandwich",
        bool(rule.is_covar),
        absolute,
        bool(rule.chi2),
        float(rule.local_robust),
        float(rule.fit_threshold),
        float(rule.largest_gain),
    )


@dataclass(frozen=True, eq=False)
class Engine:
    """Sorted samples, ready for any number of output points.

    Attributes
    ----------
    samples, index
        The samples and their order.
    sorted : namedtuple
        What the kernel reads of them.
    threads : int
        That work at once.
    """

    samples: SampleSet
    index: CellIndex
    sorted: Any
    threads: int

    @classmethod
    def prepare(cls, samples: SampleSet, index: CellIndex, jobs: float | None) -> Engine:
        """Bring values into the order of the cells."""
        from sofia_engine.numerics.resampling import _kernel

        values, precisions = (np.take(plane, index.order, axis=1) for plane in (samples.values, samples.precisions))
        lines = _kernel.Samples(index.coordinates, values, precisions, index.starts, index.cells, index.size)
        return cls(samples, index, lines, count_workers(jobs))

    def run(
        self,
        block: Callable[[int, int], FloatArray],
        count: int,
        description: tuple[Any, Any, Any],
        watch: Watch,
        *,
        details: bool = False,
    ) -> Resampled:
        """Fit at points.

        Parameters
        ----------
        block : callable
            Gives the points (n, K), in units of the window, of a range.
        count : int
            Number of points M.
        description : (Distances, Checks, Fits)
            What the kernel does.
        watch : Watch
            Follows the work.
        details : bool
            Also gradients and offsets.

        Returns
        -------
        Resampled
            Arrays (S, M); gradients per unit of the window.
        """
        from sofia_engine.numerics.resampling import _kernel

        sets, dimensions = len(self.samples.values), len(self.index.window)
        found = np.empty((7 + dimensions + dimensions**2 if details else 6, sets, count))

        def work(start: int, stop: int) -> None:
            _kernel.regress(block(start, stop), start, self.sorted, *description, found)

        size = self._choose_block(count, int(description[2].sizes.max()))
        run_blocks(work, count, size, self.threads, watch.progress, watch.cancelled)
        values, variances, counts, weights, distance_weights, chi2 = found[:6]
        np.sqrt(variances, out=variances)
        planes = values, variances, counts.astype(np.int64), weights, distance_weights, chi2
        if not details:
            return Resampled(*planes)
        gradients = np.moveaxis(found[7 : 7 + dimensions], 0, -1)
        products = np.moveaxis(found[7 + dimensions :], 0, -1).reshape(sets, count, dimensions, dimensions)
        return Resampled(*planes, gradients, products, found[6])

    def _choose_block(self, count: int, terms: int) -> int:
        """Points in a block: some hundredths of a second of work, and enough blocks for all threads."""
        each = 500 + self.index.expected_count() * len(self.samples.values) * (10 + terms**2 / 2)
        size = min(_BLOCK_COST / each, _LARGEST_BLOCK, count / (8 * self.threads))
        return max(int(size), _SMALLEST_BLOCK)
