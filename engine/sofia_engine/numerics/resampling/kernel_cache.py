"""Compiled code from numba's cache without numba's compiler.

Before numba looks into its cache it imports and registers all that its compiler knows, BLAS of scipy included: more
time and memory than most cubes take. Code that is in the cache needs none of it. This rests on inner parts of numba;
where they are not as expected, numba's own way is taken.
"""

from __future__ import annotations

import contextlib
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.environment import Environment, _rebuild_env
from numba.core.runtime import rtsys

__all__ = ["KernelCache"]


class _BorrowedEnvironment:
    """Stands for the globals of a function of numba that was compiled into a kernel.

    Compiled code does not look at them, but to load them numba imports the module, and with it its compiler; the
    globals of this module do as well.
    """

    def __init__(self, environment: Any) -> None:
        self.environment = environment

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_env, (__name__, list(self.environment.consts), self.environment.env_name)


class _KernelCacheImpl(CompileResultCacheImpl):  # type: ignore[misc]
    """Form in which compiled code is stored."""

    def reduce(self, cres: Any) -> tuple[Any, ...]:
        """Return what is stored of compiled code."""
        return tuple(map(_borrow, super().reduce(cres)))


class KernelCache(FunctionCache):  # type: ignore[misc]
    """Cache of a compiled function that wakes the compiler only where the code is not there."""

    _impl_class = _KernelCacheImpl

    @classmethod
    def attach(cls, function: Any) -> None:
        """Use such a cache for a function that was compiled with ``cache=True``, unless caching is off."""
        if type(getattr(function, "_cache", None)) is FunctionCache:
            with contextlib.suppress(Exception):  # as for what numba may raise: see above
                function._cache = cls(function.py_func)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the code for some types; None if it is not there or damaged, with the compiler ready to make it."""
        with contextlib.suppress(Exception):
            rtsys.initialize(target_context)
            found = self._load_overload(sig, target_context)
            if found is not None:
                return found
        with contextlib.suppress(Exception):
            return super().load_overload(sig, target_context)
        return None


def _borrow(part: Any) -> Any:
    """Replace environments of numba's functions in a list of them."""
    if not isinstance(part, list | tuple):
        return part
    return [_BorrowedEnvironment(e) if _is_foreign(e) else e for e in part]


def _is_foreign(part: Any) -> bool:
    return isinstance(part, Environment) and str(part.globals.get("__name__", "")).startswith("numba.")
