"""Small buttons with a text or an icon."""

from __future__ import annotations

from collections.abc import Callable

from sofia_viewers.qt import QtCore, QtWidgets
from sofia_viewers.theme import icon

__all__ = ["IconButton", "make_button"]


class IconButton(QtWidgets.QToolButton):
    """A button with an icon of the program, which follows the look.

    Parameters
    ----------
    symbol : str
        Name of the icon.
    """

    def __init__(self, symbol: str) -> None:
        super().__init__()
        self._symbol = symbol
        self.setIcon(icon(symbol))

    def changeEvent(self, event: QtCore.QEvent) -> None:  # noqa: N802
        """Draw the icon in the colours of another look."""
        super().changeEvent(event)
        if event.type() == QtCore.QEvent.Type.PaletteChange:
            self.setIcon(icon(self._symbol))


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
    button = IconButton(symbol) if symbol else QtWidgets.QToolButton()
    if symbol:
        button.setToolTip(text)
    else:
        button.setText(text)
    button.setAccessibleName(text)
    if slot is not None:
        button.clicked.connect(lambda _checked=False: slot())
    return button
