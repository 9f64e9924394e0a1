"""Plots of pyqtgraph that end with their window, with axes whose numbers are what they say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sofia_viewers.qt import QtWidgets, pg

__all__ = ["NumberAxis", "adopt_menus", "make_plot"]

_SMALLEST, _LARGEST = 1e-3, 1e6
"""Numbers between these are written out."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class NumberAxis(pg.AxisItem):  # type: ignore[misc]
    """An axis of numbers; very large and very small ones share a power of ten, which the label names.

    pyqtgraph writes prefixes instead, and drops them from the label, not from the numbers, where they are switched off.
    """

    def __init__(self, orientation: str, **options: Any) -> None:
        self.power = 0
        super().__init__(orientation, **options)

    def updateAutoSIPrefix(self) -> None:  # noqa: N802 - pyqtgraph's name
        """Choose the power of ten for the range that is shown."""
        largest = 0.0 if self.logMode or not self.label.isVisible() else max(map(abs, self.range))
        power = 0 if largest == 0.0 or _SMALLEST <= largest < _LARGEST else math.floor(math.log10(largest))
        self.autoSIPrefixScale = 10.0**-power
        if power != self.power:
            self.power = power
            self._updateLabel()
        else:
            self.picture = None  # the numbers are drawn anew
            self.update()

    def setLabel(self, *arguments: Any, **options: Any) -> None:  # noqa: N802 - pyqtgraph's name
        """Set the text beside the axis."""
        super().setLabel(*arguments, **options)
        self.updateAutoSIPrefix()

    def setLogMode(self, *arguments: Any, **options: Any) -> None:  # noqa: N802 - pyqtgraph's name
        """Choose between linear and logarithmic."""
        super().setLogMode(*arguments, **options)
        self.updateAutoSIPrefix()

    def logTickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        """Return the numbers of a logarithmic axis: written out where they are short, else as powers of ten."""
        strings: list[str] = super().logTickStrings(values, scale, spacing)
        numbers = [float(f"{10.0**value * scale:.3g}") for value in values]
        return [
            f"{number:g}" if _SMALLEST <= number < _LARGEST / 10 else text
            for number, text in zip(numbers, strings, strict=True)
        ]

    def labelString(self) -> str:  # noqa: N802 - pyqtgraph's name
        """Return the label, with the power of ten before the unit."""
        style = ";".join(f"{name}: {value}" for name, value in self.labelStyle.items())
        return f"<span style='{style}'>{self._write_power()}</span>"

    def _write_power(self) -> str:
        text = str(self.labelText)
        if not self.power:
            return text
        factor = "10" + str(self.power).translate(_RAISED)
        return text.replace("[", f"[{factor} ", 1) if "[" in text else f"{text} [{factor}]"


def make_plot(*, has_menu: bool = False, **options: Any) -> Any:
    """Return a plot whose menus are deleted with it.

    Parameters
    ----------
    has_menu : bool
        Whether the right mouse button opens pyqtgraph's menu. Making it takes half as long as the plot itself.
    **options
        Further arguments of ``pyqtgraph.PlotWidget``.
    """
    own_axes = "axisItems" not in options
    if own_axes:
        options["axisItems"] = {side: NumberAxis(side) for side in ("left", "bottom", "right")}
    plot = pg.PlotWidget(enableMenu=has_menu, **options)
    if own_axes:
        plot.getPlotItem().hideAxis("right")
    adopt_menus(plot, plot.getPlotItem())
    return plot


def adopt_menus(owner: QtWidgets.QWidget, item: Any) -> None:
    """Make a widget the owner of the menus of a plot.

    pyqtgraph gives them no owner: some fifty widgets for each plot stay when its window is deleted, until Python finds
    the cycle of objects that holds them, and every change of look goes through all of them meanwhile.

    Parameters
    ----------
    owner : QWidget
        The menus are deleted with it.
    item : PlotItem
        The plot; colour bars are such, too.
    """
    for menu in (item.ctrlMenu, item.vb.menu):
        if isinstance(menu, QtWidgets.QMenu):
            menu.setParent(owner, menu.windowFlags())
