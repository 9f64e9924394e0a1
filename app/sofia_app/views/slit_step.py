"""The slit tab: rectified image, traces, spatial profile and spectrum of a step together, with apertures to drag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sofia_app.desk import Desk
from sofia_app.models.products import OpenedState
from sofia_app.models.slit_edit import POSITIONS, REGIONS, SlitEditor
from sofia_app.views.buttons import make_button
from sofia_app.views.postponed import Postponed
from sofia_engine.product import Product
from sofia_viewers.export import PICTURE_SUFFIXES, export_widget
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.spectrum.slit import ApertureMark, SlitMarks, SlitSpectrum, read_slits
from sofia_viewers.spectrum.slit_view import SlitView

__all__ = ["SlitStep"]

_HEADINGS = ("", "Position", "Radius", "PSF", "Sign")
_CELL_MARGIN = 14
_NEW_REGION = 0.1
"""Length of a new background region, as a share of the slit."""


class SlitStep(QtWidgets.QWidget):
    """Shows the slit spectra of a state; what is dragged becomes the values of the parameters that are meant for it.

    Parameters
    ----------
    desk : Desk
        Holds the forms, and runs steps.

    Notes
    -----
    Signals: ``step_edited`` (position of the step whose parameters were set), ``slit_shown`` (another slit is shown).
    """

    step_edited = Signal(int)
    slit_shown = Signal()

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._opened = OpenedState("", "", ())
        self._slits: tuple[tuple[SlitSpectrum, ...], ...] = ()
        self._is_reading = False
        self.editor = SlitEditor()
        self.view = SlitView(self)
        self.file, self.order = QtWidgets.QComboBox(), QtWidgets.QComboBox()
        self.note = QtWidgets.QLabel()
        self.table = QtWidgets.QTableWidget(0, len(_HEADINGS))
        self.buttons: dict[str, QtWidgets.QToolButton] = {}
        self._make_buttons()
        self._lay_out()
        self._refresh = Postponed(self, self.refresh)
        self._connect()

    # -- parts -------------------------------------------------------------------------------------------------------

    def _make_buttons(self) -> None:
        for name, text, symbol, slot in (
            ("add aperture", "Add an aperture (or double-click in the profile)", "add", self.add_aperture),
            ("add region", "Add a background region", "marks", self.add_region),
            ("remove", "Remove the chosen aperture or background region (Delete)", "remove", self.remove_chosen),
            ("automatic", "Find apertures and background regions in the profile again", "reset", self.set_automatic),
            ("undo", "Undo the last change of apertures (Ctrl+Z)", "undo", self.editor.undo),
            ("redo", "Redo it (Ctrl+Shift+Z)", "redo", self.editor.redo),
            ("zoom", "Zoom to the apertures", "zoom-in", self.zoom_to_apertures),
            ("all", "Show all", "zoom-one", self.show_all),
            ("export", "Save figure", "export", self.ask_and_export),
        ):
            self.buttons[name] = make_button(text, slot, symbol)
        self.run = QtWidgets.QPushButton("Run again")
        self.run.clicked.connect(self.run_again)

    def _lay_out(self) -> None:
        for box, name in ((self.file, "File"), (self.order, "Order")):
            box.setAccessibleName(name)
            box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.note.setProperty("role", "muted")
        self.note.setWordWrap(True)
        self.table.setHorizontalHeaderLabels(list(_HEADINGS))
        self.table.setAccessibleName("Apertures and background regions")
        self.table.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(self.table.fontMetrics().height() + 6)
        self.table.horizontalHeader().setMinimumSectionSize(24)
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.cellClicked.connect(lambda row, _: self._choose_row(row))
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.file)
        row.addWidget(self.order)
        for button in self.buttons.values():
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(self.run)
        self.view.corner.addWidget(self.table, 1)
        self.view.corner.addWidget(self.note)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row)
        layout.addWidget(self.view, 1)

    def _connect(self) -> None:
        self.view.moved.connect(self._show_numbers)
        self.view.edited.connect(self._take_edit)
        self.view.profile_plot.scene().sigMouseClicked.connect(self._click_profile)
        self.editor.changed.connect(self._refresh)
        self._desk.conditions_changed.connect(self._refresh)
        self.file.activated.connect(lambda _: self._show_file())
        self.order.activated.connect(lambda _: self._show_order())

    # -- what is shown -----------------------------------------------------------------------------------------------

    @property
    def current(self) -> SlitSpectrum | None:
        """The slit spectrum on show."""
        file, order = self.file.currentIndex(), self.order.currentIndex()
        return (
            self._slits[file][order] if 0 <= file < len(self._slits) and 0 <= order < len(self._slits[file]) else None
        )

    def is_ready(self) -> bool:
        """Whether all that was asked for is drawn."""
        return not self._is_reading and not self._refresh.is_due

    def show_state(self, opened: OpenedState) -> None:
        """Show the slit spectra of the products of a state; they are taken from the products in a thread."""
        self._opened = opened
        self._is_reading = True
        products = opened.products
        self._desk.tasks.submit("slits", lambda: _read_all(products), self._take_slits, self._fail)

    def _fail(self, reason: str) -> None:
        self._take_slits(())
        self._desk.log_line("error", f"The slit spectra cannot be shown: {reason}")

    def _take_slits(self, slits: tuple[tuple[SlitSpectrum, ...], ...]) -> None:
        self._is_reading = False
        self._slits = slits
        place = min(max(self.file.currentIndex(), 0), max(len(slits) - 1, 0))
        self.file.clear()
        self.file.addItems([each[0].name for each in slits])
        self.file.setCurrentIndex(place if slits else -1)
        self.file.setVisible(len(slits) > 1)
        self._measure()
        self._show_file()

    def _measure(self) -> None:
        reduction, key = self._desk.reduction, self._opened.key
        path = reduction.path_to(key) if key in reduction.states else reduction.path  # that of a preview
        problem = "" if key in (*reduction.states, "preview") else "These files are not those of the reduction."
        done = {state.index: state.parameters for state in path}
        counts = {state.index + 1: len(state.products) for state in path if state.products}
        self.editor.use(self._desk.forms, [each[0].marks for each in self._slits], done, counts, problem)

    def _show_file(self) -> None:
        place = self.order.currentIndex()
        file = self.file.currentIndex()
        orders = self._slits[file] if 0 <= file < len(self._slits) else ()
        self.order.clear()
        self.order.addItems([f"Order {slit.order}" for slit in orders])
        self.order.setCurrentIndex(min(max(place, 0), len(orders) - 1))
        self.order.setVisible(len(orders) > 1)
        self._show_order()

    def _show_order(self) -> None:
        slit = self.current
        self.view.show_slit(slit, self._marks(slit))
        self.refresh()
        self.slit_shown.emit()

    def _marks(self, slit: SlitSpectrum | None) -> SlitMarks:
        """Return the marks of the file, or where nothing was changed those of the order."""
        if slit is None:
            return SlitMarks()
        file = self.file.currentIndex()
        given = self.editor.marks(file)
        return slit.marks if given == self._slits[file][0].marks else given

    def refresh(self) -> None:
        """Take over what the parameters say now."""
        slit, editor = self.current, self.editor
        if slit is not None:
            self.view.set_editable(editor.editable)
            marks = self._marks(slit)
            if marks != self.view.marks:  # drawing takes 15 ms
                self.view.show_marks(marks)
            self._show_numbers(marks)
        self._enable()

    def _enable(self) -> None:
        editor, slit = self.editor, self.current
        can_edit = slit is not None and bool(editor.editable)
        conditions = {
            "add aperture": POSITIONS in editor.editable,
            "add region": REGIONS in editor.editable,
            "remove": can_edit and self.view.chosen is not None,
            "automatic": can_edit,
            "undo": editor.can_undo,
            "redo": editor.can_redo,
        }
        for name, button in self.buttons.items():
            button.setEnabled(slit is not None and conditions.get(name, True))
        self.run.setEnabled(editor.first_step >= 0 and not self._desk.is_busy)
        target = self._target()
        steps = self._desk.reduction.steps
        self.run.setText(f"Run to {steps[target].label}" if 0 <= target < len(steps) else "Run again")
        self.run.setToolTip("Do the steps anew with these apertures and background regions; the old results are kept")
        self.note.setText(editor.problem or self._describe())

    def _describe(self) -> str:
        if not self.editor.editable:
            return ""
        if self.editor.first_step >= 0:
            return "Changed: dotted is the plain sum of the rows. Run the step to extract the spectrum."
        return "Drag lines in the profile. Dashed: centre; dotted: aperture; dash-dotted: PSF; red: background."

    def _show_numbers(self, marks: SlitMarks) -> None:
        rows = [
            (f"Ap. {n}", *(_show(v) for v in (a.position, a.radius, a.psf_radius)), "+" if a.sign > 0 else "−")
            for n, a in enumerate(marks.apertures, 1)
        ]
        count = len(rows)
        for number, (start, stop) in enumerate(marks.background, 1):
            rows.append((f"Bg. {number}", f"{_show(start)} – {_show(stop)}", "", "", ""))
        self.table.clearSpans()
        self.table.setRowCount(len(rows))
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                item = self.table.item(row, column)
                if item is None:
                    item = QtWidgets.QTableWidgetItem()
                    self.table.setItem(row, column, item)
                if item.text() != text:
                    item.setText(text)
            if row >= count:
                self.table.setSpan(row, 1, 1, len(_HEADINGS) - 1)
        measure = self.table.fontMetrics().horizontalAdvance
        for column, heading in enumerate(_HEADINGS):
            shown = [texts[column] for texts in (rows if column == 0 else rows[:count])]
            self.table.setColumnWidth(column, max(measure(text) for text in (heading, *shown)) + _CELL_MARGIN)

    # -- what the user does ------------------------------------------------------------------------------------------

    def _take_edit(self, marks: SlitMarks, what: str) -> None:
        self.editor.edit(self.file.currentIndex(), marks, what)
        self.step_edited.emit(self.editor.step_of(what))

    def _choose_row(self, row: int) -> None:
        count = len(self.view.marks.apertures)
        self.view.choose(*((POSITIONS, row) if row < count else (REGIONS, row - count)))
        self._enable()

    def _click_profile(self, event: Any) -> None:
        if event.double() and event.button() == Qt.MouseButton.LeftButton:
            point = self.view.profile_plot.getPlotItem().getViewBox().mapSceneToView(event.scenePos())
            self.add_aperture(float(point.y()))
        self._enable()

    def add_aperture(self, position: float | None = None) -> None:
        """Add an aperture: at a position, or where the profile deviates most outside those there are."""
        view, slit = self.view, self.current
        if slit is None or POSITIONS not in self.editor.editable:
            return
        place = _find_free_peak(slit, view.marks) if position is None else position
        place = min(max(place, float(slit.slit[0])), float(slit.slit[-1]))
        like = view.marks.apertures[0] if view.marks.apertures else ApertureMark(place)
        sign = 1 if float(np.interp(place, slit.slit, np.nan_to_num(slit.profile))) > 0 else -1
        made = (*view.marks.apertures, replace(like, position=place, sign=sign))
        marks = replace(view.marks, apertures=tuple(sorted(made, key=lambda mark: mark.position)))
        self._take_edit(marks, POSITIONS)

    def add_region(self) -> None:
        """Add a background region where there is most room."""
        view, slit = self.view, self.current
        if slit is None:
            return
        start, stop = _find_room(slit, view.marks)
        length = min(stop - start, _NEW_REGION * float(np.ptp(slit.slit)))
        middle = (start + stop) / 2
        made = (*view.marks.background, (middle - length / 2, middle + length / 2))
        self._take_edit(replace(view.marks, background=tuple(sorted(made))), REGIONS)

    def remove_chosen(self) -> None:
        """Remove the chosen aperture, unless it is the only one, or background region."""
        view = self.view
        if view.chosen is None:
            return
        kind, number = view.chosen
        marks = view.marks
        if kind == POSITIONS and len(marks.apertures) > 1 and number < len(marks.apertures):
            marks = replace(marks, apertures=marks.apertures[:number] + marks.apertures[number + 1 :])
        elif kind == REGIONS and number < len(marks.background):
            marks = replace(marks, background=marks.background[:number] + marks.background[number + 1 :])
        else:
            self._desk.status.emit("The only aperture cannot be removed: drag it to where it shall be.")
            return
        view.chosen = None
        self._take_edit(marks, kind)

    def set_automatic(self) -> None:
        """Have apertures and background regions found in the profile again."""
        self.editor.set_automatic()

    def zoom_to_apertures(self) -> None:
        """Show the part of the slit around the apertures."""
        self.view.zoom_to_apertures()

    def show_all(self) -> None:
        """Show the whole range again."""
        self.view.show_all()

    def _target(self) -> int:
        """Return up to where is to be run: where the shown state is, and at least what was changed."""
        state = self._desk.reduction.states.get(self._opened.key)
        return max(state.index if state is not None else -1, self.editor.last_step)

    def run_again(self) -> None:
        """Do the steps with the new values, up to the one that is shown."""
        if self._target() >= 0:
            self._desk.run_to(self._target())

    def ask_and_export(self) -> None:
        """Let the user choose a file for the figure."""
        name, _ = QtWidgets.QFileDialog.getSaveFileName(self, "Save figure", "slit.png", _PICTURES)
        if name:
            from pathlib import Path

            export_widget(self.view, Path(name))

    def event(self, event: QtCore.QEvent) -> bool:
        """Take undo and redo for changes of apertures, before the window takes them for steps."""
        if event.type() == QtCore.QEvent.Type.ShortcutOverride and self._meant(event) is not None:  # type: ignore[arg-type]
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: N802
        """Undo, redo and remove by keyboard."""
        meant = self._meant(event)
        if meant is not None:
            meant()
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.remove_chosen()
        else:
            super().keyPressEvent(event)

    def _meant(self, event: QtGui.QKeyEvent) -> Any:
        if event.matches(QtGui.QKeySequence.StandardKey.Undo) and self.editor.can_undo:
            return self.editor.undo
        if event.matches(QtGui.QKeySequence.StandardKey.Redo) and self.editor.can_redo:
            return self.editor.redo
        return None


_PICTURES = f"Pictures ({' '.join(f'*{suffix}' for suffix in PICTURE_SUFFIXES)})"


def _show(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "–"


def _read_all(products: Sequence[Product]) -> tuple[tuple[SlitSpectrum, ...], ...]:
    return tuple(slits for product in products if (slits := read_slits(product)))


def _find_free_peak(slit: SlitSpectrum, marks: SlitMarks) -> float:
    """Return where the profile deviates most from its median outside all apertures."""
    score = np.abs(slit.profile - np.nanmedian(slit.profile))
    for mark in marks.apertures:
        reach = mark.psf_radius if np.isfinite(mark.psf_radius) else 3 * slit.row_step
        score[np.abs(slit.slit - mark.position) <= reach] = np.nan
    if not np.isfinite(score).any():
        return float(np.mean(slit.slit))
    return float(slit.slit[int(np.nanargmax(score))])


def _find_room(slit: SlitSpectrum, marks: SlitMarks) -> tuple[float, float]:
    """Return the longest part of the slit without aperture or background region."""
    free = np.ones(slit.slit.size, dtype=bool)
    for mark in marks.apertures:
        reach = mark.psf_radius if np.isfinite(mark.psf_radius) else 3 * slit.row_step
        free &= np.abs(slit.slit - mark.position) > reach
    for start, stop in marks.background:
        free &= (slit.slit < start) | (slit.slit > stop)
    change = np.flatnonzero(np.diff(np.concatenate([[False], free, [False]]).astype(int)))
    runs = list(zip(change[::2], change[1::2] - 1, strict=True))
    if not runs:
        return float(slit.slit[0]), float(slit.slit[-1])
    first, last = max(runs, key=lambda run: run[1] - run[0])
    return float(slit.slit[first]), float(slit.slit[last])
