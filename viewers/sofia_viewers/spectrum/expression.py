"""Arithmetic with fields: formulas that users type, evaluated without giving them the interpreter."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sofia_engine.errors import ParameterError

__all__ = ["evaluate", "list_names"]

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}  # fmt: skip
_SIGNS: dict[type, Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_OF_ONE: dict[str, Callable[[Any], Any]] = {
    "abs": np.abs, "sqrt": np.sqrt, "log": np.log, "log10": np.log10, "exp": np.exp,
    "median": lambda values: _summarize(np.nanmedian, values), "mean": lambda values: _summarize(np.nanmean, values),
    "max": lambda values: _summarize(np.nanmax, values), "min": lambda values: _summarize(np.nanmin, values),
}  # fmt: skip
_OF_TWO: dict[str, Callable[[Any, Any], Any]] = {"minimum": np.minimum, "maximum": np.maximum}
_FUNCTIONS: dict[str, Callable[..., Any]] = _OF_ONE | _OF_TWO
_CONSTANTS = {"pi": math.pi, "nan": math.nan}
_LONGEST = 400
_LONGEST_TOLD = 60


def evaluate(text: str, values: Mapping[str, Any]) -> Any:
    """Evaluate a formula.

    Parameters
    ----------
    text : str
        Numbers, names, ``+ - * / **``, parentheses, and abs, sqrt, log, log10, exp, minimum, maximum, median, mean,
        min, max.
    values : mapping of str to array or Quantity
        What the names stand for.

    Raises
    ------
    ParameterError
        If the formula holds anything else, or a name that is not known.
    """
    tree = _parse(text)
    with np.errstate(all="ignore"):
        try:
            result = _evaluate(tree.body, values)
        except (ArithmeticError, ValueError) as problem:
            raise ParameterError(f"The formula '{_shorten(text)}' cannot be computed: {problem}.") from None
        except RecursionError:
            raise ParameterError(f"The formula '{_shorten(text)}' is nested too deeply.") from None
    if isinstance(result, complex):
        raise ParameterError(f"The formula '{_shorten(text)}' has no real value.")
    return result


def list_names(text: str) -> frozenset[str]:
    """Return the names of fields a formula uses.

    Raises
    ------
    ParameterError
        If it is no formula.
    """
    tree = _parse(text)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return frozenset(names - set(_FUNCTIONS) - set(_CONSTANTS))


def _summarize(function: Callable[[Any], Any], values: Any) -> Any:
    """Return one number for all that are known; NaN if none is."""
    return function(values) if np.isfinite(values).any() else values.flat[0] if np.ndim(values) else values


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_TOLD else f"{text[:_LONGEST_TOLD]}…"


def _parse(text: str) -> ast.Expression:
    try:
        if len(text) > _LONGEST:
            raise ParameterError(f"The formula is longer than {_LONGEST} characters.")
        return ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ParameterError(
            f"'{_shorten(text)}' is no formula: write for example spectral_flux / transmission."
        ) from None


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.Name):
        return _look_up(node.id, values)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_evaluate(node.left, values), _evaluate(node.right, values))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _SIGNS:
        return _SIGNS[type(node.op)](_evaluate(node.operand, values))
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _FUNCTIONS
        and not node.keywords
    ):
        return _call(node.func.id, [_evaluate(argument, values) for argument in node.args])
    raise ParameterError(
        f"'{_shorten(ast.unparse(node))}' is not allowed in formulas: use fields, numbers, + - * / ** and functions."
    )


def _look_up(name: str, values: Mapping[str, Any]) -> Any:
    if name in values:
        return values[name]
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    raise ParameterError(f"There is no field '{name}'; there are {', '.join(sorted(values)) or 'none'}.")


def _call(name: str, arguments: list[Any]) -> Any:
    if len(arguments) != (1 if name in _OF_ONE else 2):  # numpy would take further ones for something else
        raise ParameterError(f"{name}() in the formula has the wrong number of arguments.")
    return _FUNCTIONS[name](*arguments)
