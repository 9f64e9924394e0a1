"""Array types shared by the numerical modules, and the one conversion to floating point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["BoolArray", "ComplexArray", "FloatArray", "IndexArray", "as_float"]

FloatArray = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.intp]
ComplexArray = NDArray[np.complexfloating[Any, Any]]


def as_float(values: ArrayLike) -> FloatArray:
    """Return `values` as a native floating-point array: float32 and float64 are kept, all else becomes float64.

    The result may share memory with the input; callers must not write to it.
    """
    array = np.asarray(values)
    kept = array.dtype.newbyteorder("=") if array.dtype.kind == "f" and array.dtype.itemsize in {4, 8} else np.float64
    return np.asarray(array, dtype=kept)
