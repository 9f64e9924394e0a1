"""Parameters that steps which combine files have in common: rejection of outliers, and the header of the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
from astropy.io import fits

from sofia_engine.errors import StepError
from sofia_engine.header.merging import merge_headers
from sofia_engine.instruments.forcast.configuration import merging_rules
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.numerics.coadd import CombinationRule
from sofia_engine.pipeline.parameters import Condition, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.product import Product

__all__ = ["Combination", "find_combination", "merge_product_headers", "rejection_rounds", "rejection_threshold",
           "require_values", "robust_switch"]  # fmt: skip


def robust_switch(group: str = "", applies_when: Condition | Sequence[Condition] = ()) -> Any:
    """Return the parameter that switches rejection."""
    return parameter(
        True,
        label="Robust combination",
        group=group,
        help="Leave out values that lie far from the others.",
        applies_when=applies_when,
    )


def rejection_threshold(group: str = "", applies_when: Condition | Sequence[Condition] = ()) -> Any:
    """Return the parameter with the threshold of rejection."""
    return parameter(
        8.0,
        label="Outlier rejection threshold (sigma)",
        group=group,
        unit="sigma",
        gt=0,
        le=1000,
        help="Values further from the median than this many standard deviations of the stack are left out.",
        applies_when=applies_when,
    )


def rejection_rounds(group: str = "", applies_when: Condition | Sequence[Condition] = ()) -> Any:
    """Return the parameter with the largest number of rounds."""
    return parameter(
        5,
        label="Maximum sigma-clipping iterations",
        group=group,
        ge=1,
        le=100,
        help="Largest number of rounds of rejection.",
        applies_when=applies_when,
    )


class Combination(Protocol):
    """Parameters of a combination."""

    @property
    def method(self) -> str:
        """Statistic; everything but ``median`` and ``sum`` is a mean."""

    @property
    def weighted(self) -> bool:
        """Weight a mean by inverse variances."""

    @property
    def robust(self) -> bool:
        """Reject outliers."""

    @property
    def threshold(self) -> float:
        """Of rejection."""

    @property
    def maxiters(self) -> int:
        """Rounds of rejection."""


def find_combination(p: Combination) -> CombinationRule:
    """Return the rule that parameters describe."""
    method: Literal["mean", "median", "sum"] = (
        "median" if p.method == "median" else "sum" if p.method == "sum" else "mean"
    )
    return CombinationRule(method, p.weighted, p.robust, p.threshold, p.maxiters)


def require_values(flux: FloatArray, name: str, step: str) -> None:
    """Make sure that rejection has left something.

    Parameters
    ----------
    flux : ndarray
        What was combined.
    name, step : str
        First file and key of the step, for the message.

    Raises
    ------
    StepError
        If there is no value.
    """
    if not np.isfinite(flux).any():
        raise StepError(
            f"{name}: all values were rejected as outliers; raise {step}.threshold, or switch {step}.robust off."
        )


def merge_product_headers(images: Sequence[Product], run: Run) -> fits.Header:
    """Return the header of what is made of several products; the first is the reference."""
    merged = merge_headers([image.header for image in images], merging_rules(), images[0].header)
    for warning in merged.warnings:
        run.warn(warning)
    return merged.header
