"""Small buttons with a text or an icon."""

from __future__ import annotations

from collections.abc import Callable

from sofia_viewers.qt import QtWidgets
from sofia_viewers.theme import icon

__all__ = ["make_button"]


def make_button(text: str, slot: Callable[[], object] | None = None, symbol: str = "") -> QtWidgets.QToolButton:
    """Return a button.

    Parameters
    ----------
    text : str
        What it says; with an icon, its tip.
    slot : callable, optional
        What it does.
    symbol : str
        Name of the icon to show instead of the text.
    """
    button = QtWidgets.QToolButton()
    if symbol:
        button.setIcon(icon(symbol))
        button.setToolTip(text)
    else:
        button.setText(text)
    button.setAccessibleName(text)
    if slot is not None:
        button.clicked.connect(lambda _checked=False: slot())
    return button
