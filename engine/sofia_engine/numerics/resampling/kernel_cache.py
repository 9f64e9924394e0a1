"""Compiled code from numba's cache without numba's compiler.

Before numba looks into its cache it imports and registers all that its compiler knows, BLAS of scipy included: more
time and memory than most cubes take. Code that is in the cache needs none of it. Nor does it need the functions that
count references, which numba compiles in every process but which are part of the code as well, or the intermediate form
of the code, which numba keeps for other functions that would be compiled with it. This rests on inner parts of numba;
where they are not as expected, numba's own way is taken.
"""

from __future__ import annotations

import contextlib
from typing import Any

from llvmlite import binding
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.environment import Environment, _rebuild_env
from numba.core.runtime import _nrt_python, rtsys

__all__ = ["KernelCache"]

_COMPLETE = "complete"
"""Marks stored code that calls nothing but what `_list_helpers` gives."""


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
        library, *others = map(_borrow, super().reduce(cres))
        with contextlib.suppress(Exception):  # as for what numba may raise: see above
            return (_COMPLETE, _leave_out_source(*library), *others)
        return (library, *others)

    def rebuild(self, target_context: Any, payload: tuple[Any, ...]) -> Any:
        """Return compiled code from what was stored."""
        if payload[0] != _COMPLETE:
            rtsys.initialize(target_context)
            return super().rebuild(target_context, payload)
        for name, address in _list_helpers().items():
            binding.add_symbol(name, address)
        return super().rebuild(target_context, payload[1:])


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
            found = self._load_overload(sig, target_context)
            if found is not None:
                return found
        with contextlib.suppress(Exception):
            return super().load_overload(sig, target_context)
        return None


def _list_helpers() -> dict[str, int]:
    """Addresses of the functions in C that compiled code calls for memory, by name."""
    helpers = _nrt_python.c_helpers
    return {name if name.startswith("_") else f"NRT_{name}": address for name, address in helpers.items()}


def _leave_out_source(name: str, kind: str, code: tuple[bytes, bytes]) -> tuple[str, str, tuple[bytes, bytes]]:
    """Return a stored library whose intermediate form has the names of the functions only.

    Raises
    ------
    ValueError
        If its machine code needs other functions of numba's memory management than those in C.
    """
    machine, intermediate = code
    functions = {function.name: function.is_declaration for function in binding.parse_bitcode(intermediate).functions}
    missing = {n for n, declared in functions.items() if declared and n.startswith("NRT_")} - _list_helpers().keys()
    if kind != "object" or missing:
        raise ValueError(f"{name} is not complete: {missing}")
    lines = [f'define void @"{n}"() {{ ret void }}' for n, declared in functions.items() if not declared]
    return name, kind, (machine, binding.parse_assembly("\n".join(lines)).as_bitcode())


def _borrow(part: Any) -> Any:
    """Replace environments of numba's functions in a list of them."""
    if not isinstance(part, list | tuple):
        return part
    return [_BorrowedEnvironment(e) if _is_foreign(e) else e for e in part]


def _is_foreign(part: Any) -> bool:
    return isinstance(part, Environment) and str(part.globals.get("__name__", "")).startswith("numba.")
