"""All panes of a session: what changes there is drawn here, what the mouse does here is told there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sofia_viewers.qt import QtCore, QtWidgets, Signal
from sofia_viewers.spectrum.pane_grid import PaneGrid
from sofia_viewers.spectrum.pane_view import PaneView
from sofia_viewers.spectrum.plot_box import MouseMode
from sofia_viewers.spectrum.session import SpectrumSession

__all__ = ["SpectrumArea"]


class SpectrumArea(QtWidgets.QWidget):
    """Draws the panes of a session.

    Parameters
    ----------
    session : SpectrumSession
        What is shown.
    parent : QWidget, optional
        Owner.
    """

    drawn = Signal(str)
    range_chosen = Signal(str, str, float, float, float, float)
    cursor_moved = Signal(str, float, float)
    cursor_left = Signal(str)
    clicked = Signal(str, float, float)
    mode_changed = Signal(str)

    def __init__(self, session: SpectrumSession, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.views: dict[str, PaneView] = {}
        self.grid = PaneGrid(self)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.grid)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self._linking = False
        session.subscribe(self._on_change)
        self._arrange()

    @property
    def current(self) -> PaneView:
        """The view of the current pane."""
        return self.views[self.session.pane.id]

    def _on_change(self, what: str) -> None:
        if what == "panes":
            self._arrange()
        elif what.startswith("pane:"):
            self.draw(what.partition(":")[2])
        elif what in ("style", "formulas"):
            self._arrange()
            for name in list(self.views):
                self.draw(name)

    def _arrange(self) -> None:
        """Make views for new panes, remove those of panes that are gone, frame the current one."""
        wanted = [state.id for state in self.session.panes]
        for name in [name for name in self.views if name not in wanted]:
            view = self.views.pop(name)
            view.hide()
            view.setParent(None)
            view.deleteLater()
        for name in wanted:
            if name not in self.views:
                self.views[name] = self._make_view(name)
                self.draw(name)
        self.grid.arrange(self.views, self.session.rows)
        for name, view in self.views.items():
            view.set_current(name == self.session.pane.id and len(wanted) > 1)

    def _make_view(self, name: str) -> PaneView:
        view = PaneView(name, self.grid)
        view.activated.connect(self._activate)
        view.limits_changed.connect(self._take_limits)
        view.range_chosen.connect(self._choose_range)
        view.cursor_moved.connect(self.cursor_moved)
        view.cursor_left.connect(self.cursor_left)
        view.clicked.connect(self.clicked)
        view.mode_changed.connect(lambda _, mode: self.mode_changed.emit(mode))
        return view

    def draw(self, name: str) -> None:
        """Draw a pane as the session has it."""
        number = self.session.find_pane(name)
        if number >= 0 and name in self.views:
            state = self.session.panes[number]
            self.views[name].show_content(state, self.session.content(number), self.session.style)
            self.drawn.emit(name)

    @contextmanager
    def without_frame(self) -> Iterator[None]:
        """Leave out the frame around the current pane, for pictures."""
        for view in self.views.values():
            view.set_current(False)
        try:
            yield
        finally:
            self._arrange()

    def draw_all(self) -> None:
        """Draw all panes, in the colours of the theme."""
        for name, view in self.views.items():
            view.restyle()
            self.draw(name)
        self._arrange()

    # -- mouse -------------------------------------------------------------------------------------------------------

    def set_mode(self, mode: MouseMode) -> None:
        """Let the mouse choose a range in the current pane; other panes pan."""
        for name, view in self.views.items():
            view.set_mode(mode if name == self.session.pane.id else "pan")

    @property
    def mode(self) -> str:
        """What the mouse does in the current pane."""
        return self.current.box.mode

    def _activate(self, name: str) -> None:
        mode = self.mode
        number = self.session.find_pane(name)
        if number >= 0 and number != self.session.current:
            self.session.select_pane(number)
            if mode != "pan":
                self.set_mode(mode)  # type: ignore[arg-type]
        self.setFocus(QtCore.Qt.FocusReason.MouseFocusReason)

    def _choose_range(self, name: str, mode: str, x1: float, y1: float, x2: float, y2: float) -> None:
        view = self.views[name]
        (left, bottom), (right, top) = (
            view.from_plot(min(x1, x2), min(y1, y2)),
            view.from_plot(max(x1, x2), max(y1, y2)),
        )
        if mode.startswith("zoom"):
            self._zoom(view, mode, (left, right), (bottom, top))
        else:
            self.range_chosen.emit(name, mode, left, bottom, right, top)

    @staticmethod
    def _zoom(view: PaneView, mode: str, x: tuple[float, float], y: tuple[float, float]) -> None:
        use_x, use_y = mode != "zoom y" and x[0] != x[1], mode != "zoom x" and y[0] != y[1]
        view.set_limits(x if use_x else None, y if use_y else None)

    def _take_limits(self, name: str, x: Any, y: Any) -> None:
        """Keep limits the user chose, without drawing again; linked panes follow along x."""
        number = self.session.find_pane(name)
        if number < 0 or self._linking:
            return
        state = self.session.panes[number]
        changed = replace(state, x_limits=x, primary=replace(state.primary, limits=y))
        self.session.note_limits(changed)
        self.views[name].state = changed
        if self.session.style.linked and x is not None:
            self._link(name, x)
        self.drawn.emit(name)

    def _link(self, name: str, x: tuple[float, float]) -> None:
        source = self.views[name]
        self._linking = True
        for other, view in self.views.items():
            same = (view.state.x_field, view.content.x_unit, view.state.x_scale) == (
                source.state.x_field, source.content.x_unit, source.state.x_scale,
            )  # fmt: skip
            if other != name and same and view.content.curves:
                view.set_limits(x)
                state = replace(self.session.panes[self.session.find_pane(other)], x_limits=x)
                self.session.note_limits(state)
                view.state = state
        self._linking = False
