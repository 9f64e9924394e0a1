"""The memory guard: before a step runs, what it will need is compared with what there is.

A set that is small for the machine is worked on in memory. For a big one, results leave memory one by one as soon as
they are on disk (mapped again when they are read), fewer inputs are worked on side by side, and a step that cannot fit
at all is refused in one sentence before it begins.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.errors import NotEnoughMemoryError
from sofia_engine.memory import LIMIT_VARIABLE, available_memory, format_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sofia_engine.pipeline.step import Step
    from sofia_engine.product import Product

__all__ = ["MemoryNeed", "MemoryPlan", "find_map", "forget_pages", "plan_inputs", "plan_step", "size_of"]

_BASE = 64e6
"""Bytes a step may take whatever its input: tables, pictures, modules that are loaded when first used."""
_RESIDENT_SHARE = 0.5
"""Share of the free memory that results of all inputs may fill before they are kept on disk."""
_INPUT_SHARE = 0.125
"""Share of the free memory that raw files may fill before they are kept on disk."""
_SURELY_SMALL = 128e6
"""A need of less than these bytes is not compared with anything."""


@dataclass(frozen=True)
class MemoryNeed:
    """How much memory a step takes at most, its results included, as measured.

    Parameters
    ----------
    factor : float
        Bytes for each byte of its input.
    one_by_one : bool
        For steps that get all inputs: it hands each result to `Run.release` before it makes the next, so that the
        largest input counts, not all of them.
    """

    factor: float = 4.0
    one_by_one: bool = False


@dataclass(frozen=True)
class MemoryPlan:
    """How a step is to be done.

    Parameters
    ----------
    jobs : int
        Inputs worked on side by side.
    on_disk : bool
        Results leave memory as soon as they are made.
    """

    jobs: int
    on_disk: bool = False


def size_of(product: Product) -> float:
    """Return the bytes of the planes and tables of a product."""
    return float(sum(extension.data.nbytes for extension in product.extensions.values()))


def find_map(array: NDArray[Any]) -> mmap.mmap | None:
    """Return the map of a file that an array is a view of, or None if it lies in memory."""
    base: Any = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = base.base if isinstance(base, np.ndarray) else base.obj if isinstance(base, memoryview) else None
    return base


def forget_pages(product: Product) -> None:
    """Tell the system that pages of mapped planes and tables are not needed for now; they are read again if they are.

    They would go by themselves when memory is short, but count as memory of the process until then.
    """
    for extension in product.extensions.values():
        pages = find_map(extension.data)
        if pages is not None and hasattr(pages, "madvise"):  # not on Windows
            pages.madvise(mmap.MADV_DONTNEED)


def plan_inputs(limit: float | None) -> float:
    """Return how many bytes of raw files may be in memory; what is more is kept on disk.

    Parameters
    ----------
    limit : float or None
        Most memory this process may have, bytes; infinite for no guard, None for what the machine has.
    """
    return limit if limit == math.inf else _INPUT_SHARE * available_memory(limit)


def plan_step(
    step: Step,
    need: MemoryNeed,
    products: Sequence[Product],
    jobs: int,
    limit: float | None,
    tell: Callable[[str], None] = lambda _text: None,
) -> MemoryPlan:
    """Decide how a step is done with the memory there is.

    Parameters
    ----------
    step : Step
        What is to be done.
    need : MemoryNeed
        What it takes.
    products : sequence of Product
        Its inputs.
    jobs : int
        Inputs worked on side by side if memory allows.
    limit : float or None
        As in `plan_inputs`.
    tell : callable, optional
        Gets a line when the plan is not the usual one.

    Raises
    ------
    NotEnoughMemoryError
        If the step cannot be done even with one input at a time.
    """
    sizes = [size_of(product) for product in products]
    everything = need.factor * sum(sizes)
    if (everything < _SURELY_SMALL and limit is None) or limit == math.inf:
        return MemoryPlan(jobs)
    free = available_memory(limit)
    if _BASE + everything <= _RESIDENT_SHARE * free:
        return MemoryPlan(jobs)
    apart = step.maps or need.one_by_one
    each = need.factor * (max(sizes) if apart else sum(sizes))
    fitting = min(int((free - _BASE) // each) if each else jobs, jobs, len(sizes)) if step.maps else 1
    if fitting < 1 or _BASE + each > free:
        raise NotEnoughMemoryError(_explain(step, _BASE + each, free, sizes, limit, apart=apart))
    at_a_time = f"{fitting} of {len(sizes)} inputs {'is' if fitting == 1 else 'are'} worked on at a time"
    needed, left = format_size(_BASE + fitting * each), format_size(free)
    tell(f"{step.label}: memory is short ({needed} needed, {left} free), so results are kept on disk and {at_a_time}.")
    return MemoryPlan(fitting, on_disk=True)


def _explain(
    step: Step, needed: float, free: float, sizes: Sequence[float], limit: float | None, *, apart: bool
) -> str:
    what = (
        f"an input of {format_size(max(sizes))}" if apart else f"its {len(sizes)} inputs of {format_size(sum(sizes))}"
    )
    left = "is free" if limit is None else f"is left of the limit of {format_size(limit)}"
    advice = "close other programs" if limit is None else "raise the limit"
    fewer = "" if apart else ", reduce fewer files at once"
    return (
        f"{step.label} needs about {format_size(needed)} of memory for {what}, and {format_size(free)} {left}: "
        f"{advice}{fewer}, or run it all the same with --memory unlimited (in the program: Preferences, Memory for a "
        f"step; elsewhere: {LIMIT_VARIABLE}=unlimited)."
    )
