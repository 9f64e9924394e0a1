"""What was saved in a session, checked before any of it is taken over."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import Any, TypeVar

__all__ = ["check_saved"]

T = TypeVar("T")


def check_saved(value: T) -> T:
    """Return a dataclass made of saved values if each is of its type.

    Raises
    ------
    ValueError
        With the name of the first that is not.
    """
    from pydantic import ValidationError

    try:
        _adapter_of(type(value)).validate_python(asdict(value))  # type: ignore[call-overload, arg-type]
    except ValidationError as problem:
        raise ValueError(".".join(str(part) for part in problem.errors()[0]["loc"])) from None
    return value


@lru_cache(maxsize=16)
def _adapter_of(kind: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
