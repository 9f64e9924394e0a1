"""Notification of listeners, without Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Notifier"]


class Notifier:
    """A list of functions to call when something has changed."""

    def __init__(self) -> None:
        self._listeners: list[Callable[..., None]] = []

    def connect(self, listener: Callable[..., None]) -> None:
        """Add a listener."""
        self._listeners.append(listener)

    def disconnect(self, listener: Callable[..., None]) -> None:
        """Remove a listener; unknown ones are passed over."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def emit(self, *values: Any) -> None:
        """Call all listeners."""
        for listener in tuple(self._listeners):
            listener(*values)
