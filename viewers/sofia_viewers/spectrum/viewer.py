"""The spectrum viewer: panes of spectra with a column of controls; runs alone or inside the program."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sofia_engine.errors import InputError, ParameterError, SofiaDeskError
from sofia_engine.product import Product
from sofia_viewers.export import PICTURE_SUFFIXES, export_widget, tell_written, write_table
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.shell import ViewerShell
from sofia_viewers.spectrum.analysis_panel import AnalysisPanel, AtmospherePanel, OperationsPanel
from sofia_viewers.spectrum.annotations import Annotations, read_annotations
from sofia_viewers.spectrum.axis_panel import AxisPanel, PlotPanel
from sofia_viewers.spectrum.code import make_code
from sofia_viewers.spectrum.file_panel import LoadPanel, PanesPanel
from sofia_viewers.spectrum.fit_window import FitWindow
from sofia_viewers.spectrum.line_window import LineWindow
from sofia_viewers.spectrum.loading import SPECTRUM_FILTER, make_spectrum_file, read_spectrum_file
from sofia_viewers.spectrum.overlays import Overlays
from sofia_viewers.spectrum.pane_view import PaneView
from sofia_viewers.spectrum.plot_box import MouseMode
from sofia_viewers.spectrum.saving import SAVE_FILTER, make_curve_table, save_spectrum
from sofia_viewers.spectrum.session import SpectrumSession
from sofia_viewers.spectrum.spectrum import SpectrumFile
from sofia_viewers.spectrum.units import WaveAxis, convert_range
from sofia_viewers.spectrum.widget import SpectrumArea
from sofia_viewers.theme import apply_theme, current_theme, icon, theme_events

__all__ = ["SpectrumViewer"]

_LOG = logging.getLogger(__name__)
_COLUMN_WIDTH = 330
_COLUMN_MARGIN = 8
PRODUCT = "product:"


class SpectrumViewer(ViewerShell):
    """Shows spectra of products and files.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    pinned : bool
        While True, `show_products` is ignored: the viewer keeps what it shows.

    Notes
    -----
    Signals: ``cursor_moved`` (pane, x, y in the units of the pane), ``range_selected`` (wavelengths in μm of the range
    that is measured, for linked views), ``files_changed``, ``failed`` (message).
    """

    cursor_moved = Signal(str, float, float)
    files_changed = Signal()
    range_selected = Signal(float, float)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.pinned = False
        self.session = SpectrumSession()
        self.session.dark = current_theme().is_dark
        self._shown: dict[str, tuple[str, ...]] = {}
        self._told: set[str] = set()
        self._jobs = 0
        self._saved_view: dict[str, Any] = {}
        self._make_parts()
        self._lay_out()
        self._connect()

    # -- what others use ---------------------------------------------------------------------------------------------

    def show_products(self, products: Sequence[Product], names: Sequence[str] | None = None) -> None:
        """Show spectra of products in place of those shown before; zoom, units, orders and fits stay if they fit.

        Parameters
        ----------
        products : sequence of Product
            Those without spectra are left out.
        names : sequence of str, optional
            Their names; FILENAME of their headers if left out.
        """
        if self.pinned:
            return
        given = list(zip(products, names or [product.name for product in products], strict=True))

        def work() -> list[SpectrumFile]:
            found = []
            for number, (product, name) in enumerate(given):
                try:
                    found.append(make_spectrum_file(product, f"{PRODUCT}{number}", name))
                except SofiaDeskError:
                    continue
            return found

        self.tasks.submit("products", work, self._accept_products)

    def _accept_products(self, files: list[SpectrumFile]) -> None:
        self.session.replace_group(PRODUCT, files)
        saved, self._saved_view = self._saved_view, {}
        if saved:
            try:
                self.session.restore(saved)
                self.annotations.restore(saved.get("annotations", self.annotations.to_json()))
            except SofiaDeskError as problem:
                self.say(f"The view is not restored: {problem}")
            self.session.set_dark(current_theme().is_dark)
            self.overlays.redraw_all()

    def view_state(self) -> dict[str, Any]:
        """Return panes, axes, limits, lines and fits, as plain values; the data are not among them."""
        return {**self.session.to_json(), "annotations": self.annotations.to_json()}

    def restore_view(self, state: Mapping[str, Any]) -> None:
        """Show the next products as `view_state` says."""
        self._saved_view = dict(state)

    def show_side_panel(self, on: bool) -> None:
        """Show or hide the column of controls."""
        self.column.setVisible(on)

    def open_files(self, paths: Iterable[str | Path], panes: int = 1) -> None:
        """Open files; those that are open already are read again.

        Parameters
        ----------
        paths : iterable of path
            Files.
        panes : int
            If more than one, spread them in equal parts over so many panes.
        """
        wanted = [Path(path) for path in paths]
        self._jobs += 1

        def work() -> list[SpectrumFile | str]:
            return [_read_or_explain(path) for path in wanted]

        def done(results: list[SpectrumFile | str]) -> None:
            self._take_files(results)
            if panes > 1:
                self._spread([result.key for result in results if not isinstance(result, str)], panes)

        self.tasks.submit(f"open {self._jobs}", work, done)

    def _spread(self, keys: Sequence[str], panes: int) -> None:
        while len(self.session.panes) < panes:
            self.session.add_pane()
        self.session.assign_files(keys, "split")
        self.session.select_pane(0)

    def is_ready(self) -> bool:
        """Whether all that was asked for is drawn."""
        return self.tasks.is_idle

    def problems(self) -> list[str]:
        """What could not be shown, one sentence each."""
        shown = [
            problem for number in range(len(self.session.panes)) for problem in self.session.content(number).problems
        ]
        return [*self._problems, *shown]

    def can_export(self) -> bool:
        """Tell whether there is something to write."""
        return any(pane.files for pane in self.session.panes)

    def export(self, path: Path, size: tuple[int, int] | None = None) -> Path:
        """Write the panes to a file: PNG, PDF or SVG.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        with self.area.without_frame(), self._area_of_size(size):
            return export_widget(self.area, path, size)

    @contextmanager
    def _area_of_size(self, size: tuple[int, int] | None) -> Iterator[None]:
        """Hold the panes at a size: the layout of the window, if it has work left, would resize them again."""
        if size is None:
            yield
            return
        least, most = self.area.minimumSize(), self.area.maximumSize()
        self.area.setFixedSize(*size)
        self.area.resize(*size)
        QtCore.QCoreApplication.processEvents()
        try:
            yield
        finally:
            self.area.setMinimumSize(least)
            self.area.setMaximumSize(most)

    # -- parts -------------------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        session = self.session
        self.area = SpectrumArea(session, self)
        self.annotations = Annotations(session)
        self.overlays = Overlays(self.area, self.annotations, self.tasks)
        self.load_panel, self.panes_panel = LoadPanel(session), PanesPanel(session)
        self.axis_panel = AxisPanel(session, lambda: self.panes_panel.targets)
        self.plot_panel = PlotPanel(session)
        self.analysis_panel = AnalysisPanel(self.annotations)
        self.atmosphere_panel = AtmospherePanel(session, self.annotations)
        self.operations_panel = OperationsPanel(session, self.annotations, self.load_panel.list.chosen)
        self.fit_window, self.line_window = FitWindow(self.annotations, self), LineWindow(self.annotations, self)
        self.status = QtWidgets.QLabel()
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.status.setWordWrap(True)
        self.actions_by_name: dict[str, QtGui.QAction] = {}
        self.tool_bar = QtWidgets.QToolBar()
        self.tool_bar.setIconSize(QtCore.QSize(18, 18))
        self._make_actions()

    def _make_actions(self) -> None:
        declared: list[tuple[str, str, str, str, Callable[[], Any]]] = [
            ("open", "Open spectra", "open", "Ctrl+O", self.ask_for_files),
            ("save", "Save spectrum", "save", "Ctrl+S", self.ask_and_save_spectrum),
            ("export", "Save figure", "export", "Ctrl+E", self.ask_and_export),
            ("copy", "Copy figure", "copy", "Ctrl+Shift+C", self.copy_figure),
            ("numbers", "Save the numbers of the plot", "table", "", self.ask_and_save_numbers),
            ("code", "Show code", "file", "", self.show_code),
            ("save_session", "Save session", "lock", "", self.ask_and_save_session),
            ("open_session", "Open session", "folder", "", self.ask_and_open_session),
            ("back", "Zoom back", "undo", "Alt+Left", lambda: self.area.current.step_zoom(back=True)),
            ("forward", "Zoom forward", "redo", "Alt+Right", lambda: self.area.current.step_zoom(back=False)),
            ("reset", "Show all (w)", "reset", "", self.reset_zoom),
            ("zoom_box", "Zoom to a box (z)", "zoom-in", "", lambda: self.set_mode("zoom box")),
            ("fit", "Fit a feature (f)", "fit", "", lambda: self.set_mode("fit")),
            ("results", "Fit results", "profile", "", self.show_fits),
            ("lines", "Reference lines", "catalog", "", self.show_line_window),
            ("column", "Show or hide the controls", "settings", "Ctrl+B", self.toggle_column),
        ]
        self._icons: dict[str, str] = {}
        for name, text, picture, key, run in declared:
            action = QtGui.QAction(icon(picture), text, self)
            action.setToolTip(f"{text} ({key})" if key else text)
            if key:
                action.setShortcut(QtGui.QKeySequence(key))
                action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            action.triggered.connect(lambda _=False, run=run: run())
            self.actions_by_name[name], self._icons[name] = action, picture
            self.addAction(action)
            self.tool_bar.addAction(action)
            if name in ("code", "open_session", "zoom_box"):
                self.tool_bar.addSeparator()

    def _lay_out(self) -> None:
        column = QtWidgets.QWidget()
        stack = QtWidgets.QVBoxLayout(column)
        stack.setContentsMargins(2, 2, 8, 2)
        panels = (
            self.load_panel, self.panes_panel, self.axis_panel, self.plot_panel, self.analysis_panel,
            self.atmosphere_panel, self.operations_panel,
        )  # fmt: skip
        for panel in panels:
            stack.addWidget(panel)
        stack.addStretch(1)
        self.column = QtWidgets.QScrollArea()
        self.column.setWidget(column)
        self.column.setWidgetResizable(True)
        self.column.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        bar = self.column.verticalScrollBar().sizeHint().width()
        needed = max(panel.body.minimumSizeHint().width() for panel in panels) + bar + 2 * _COLUMN_MARGIN
        self.column.setFixedWidth(max(_COLUMN_WIDTH, needed))
        right = QtWidgets.QVBoxLayout()
        right.addWidget(self.area, 1)
        right.addWidget(self.overlays.cursor)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.column)
        row.addLayout(right, 1)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 4)
        layout.addWidget(self.tool_bar)
        layout.addLayout(row, 1)
        layout.addWidget(self.status)

    def _connect(self) -> None:
        self.load_panel.open_requested.connect(self.ask_for_files)
        for part in (
            self.panes_panel, self.axis_panel, self.operations_panel, self.atmosphere_panel, self.overlays,
            self.fit_window,
            self.tasks,
        ):  # fmt: skip
            part.failed.connect(self.report)
        self.overlays.said.connect(self.say)
        self.overlays.measured.connect(self.say)
        self.overlays.region_changed.connect(self.range_selected)
        self.axis_panel.zoom_requested.connect(self.set_mode)
        self.axis_panel.reset_requested.connect(self.reset_zoom)
        self.plot_panel.dark_requested.connect(self._choose_dark)
        self.analysis_panel.fit_requested.connect(lambda on: self.set_mode("fit" if on else "pan"))
        self.analysis_panel.statistics_requested.connect(self._ask_for_region)
        self.analysis_panel.results_requested.connect(self.show_fits)
        self.analysis_panel.lines_requested.connect(self.show_line_window)
        self.operations_panel.window_requested.connect(lambda on: self.set_mode("continuum" if on else "pan"))
        self.fit_window.selected.connect(self.overlays.select_fit)
        self.line_window.rest_chosen.connect(self._choose_rest)
        self.area.mode_changed.connect(self._show_mode)
        self.area.range_chosen.connect(self._take_range)
        self.area.drawn.connect(self._on_drawn)
        self.area.cursor_moved.connect(self.cursor_moved)
        theme_events().changed.connect(self._on_theme)
        self.session.subscribe(self._on_session)

    def _on_session(self, what: str) -> None:
        if what == "files":
            self.files_changed.emit()
        if what == "panes":
            self.overlays.redraw_all()
            self._on_drawn(self.session.pane.id)

    # -- files -------------------------------------------------------------------------------------------------------

    def ask_for_files(self) -> None:
        """Let the user choose files to open."""
        paths, _ = QtWidgets.QFileDialog.getOpenFileNames(self, "Open spectra", "", SPECTRUM_FILTER)
        if paths:
            self.open_files(paths)

    def _take_files(self, results: list[SpectrumFile | str]) -> None:
        self._problems = [result for result in results if isinstance(result, str)]
        files = [result for result in results if not isinstance(result, str)]
        if files:
            self.session.add_files(files)
        shown = self.problems()[len(self._problems) :]
        problems = [*self._problems, *self._find_news(shown, shown)]
        notes = [note for file in files for note in file.notes]
        if problems:
            self.report(" ".join([*problems, *notes]))
        else:
            self.say(" ".join(notes))

    def _find_news(self, problems: Sequence[str], current: Iterable[str]) -> list[str]:
        """Problems that were not told before; of those told, the current ones are remembered."""
        news = [problem for problem in problems if problem not in self._told]
        self._told = (self._told | set(news)) & set(current)
        return news

    def dropEvent(self, event: QtGui.QDropEvent) -> None:  # noqa: N802 - Qt's name
        """Open files dropped here, in the pane under the cursor."""
        spot = event.position().toPoint()
        for name, view in self.area.views.items():
            if view.rect().contains(view.mapFrom(self, spot)):
                self.session.select_pane(self.session.find_pane(name))
        super().dropEvent(event)

    # -- what the user does ------------------------------------------------------------------------------------------

    def set_mode(self, mode: MouseMode) -> None:
        """Let the mouse choose a range in the current pane."""
        self.area.set_mode(mode)
        self.area.setFocus()

    def reset_zoom(self) -> None:
        """Show all of the data in the panes that changes act on."""
        for number in self.panes_panel.targets:
            self.area.views[self.session.panes[number].id].reset_zoom()

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Keys over the plot: x, y, z, w, f, c, Return, Delete, Escape."""
        if not self.press(event.text().lower() if event.text().isprintable() else "", event.key()):
            super().keyPressEvent(event)

    def press(self, text: str, key: int = 0) -> bool:
        """Do what a key over the plot stands for; False if it is none."""
        modes: dict[str, MouseMode] = {"x": "zoom x", "y": "zoom y", "z": "zoom box", "f": "fit"}
        if text in modes:
            self.set_mode(modes[text])
        elif text == "w":
            self.reset_zoom()
        elif text == "c":
            self.cancel()
            self.annotations.hide_fits(self.session.pane.id)
        elif key == Qt.Key.Key_Escape:
            self.cancel()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.fit_guesses()
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.session.remove_pane()
        else:
            return False
        return True

    def cancel(self) -> None:
        """End choosing a range; remove the range of statistics."""
        self.set_mode("pan")
        if self.overlays.region is not None:
            self.overlays.measure(self.overlays.region[0], None)

    def _show_mode(self, mode: str) -> None:
        self.axis_panel.show_mode(mode)
        self.analysis_panel.show_mode(mode)
        self.operations_panel.add_window.setChecked(mode == "continuum")

    def _ask_for_region(self, on: bool) -> None:
        self.cancel()
        if on:
            self.set_mode("region")

    def _take_range(self, name: str, mode: str, left: float, _bottom: float, right: float, _top: float) -> None:
        if mode == "fit":
            self.fit(name, (left, right))
        elif mode == "continuum":
            self.overlays.add_window((left, right))
        elif mode == "region":
            self.overlays.measure(name, (left, right))

    def fit(self, name: str, limits: tuple[float, float]) -> None:
        """Fit all curves of a pane between two values of x."""
        records = self.annotations.fit_range(self.session.find_pane(name), limits)
        known = [record for record in records if record.status != "empty"]  # others have no data in the range
        failed = [f"{record.name}: {record.status}" for record in known if record.result is None]
        if failed or not known:
            nothing = "There are no data in the range: choose another one." if records else ""
            text = "; ".join(failed[:3]) or nothing or "There is nothing to fit in this pane."
            if any(record.is_guess for record in self.annotations.fits):
                text += ". Drag the handles of the first values, then press Return"
            self.fit_window.show_failure(text)
            self.report(text)
        else:
            self.say(f"{len(known)} spectra fitted." if len(known) > 1 else self.fit_window.status.text())
        if known and all(record.is_guess for record in known):
            self.say("Drag the handles of the first values, then press Return to fit.")

    def fit_guesses(self) -> None:
        """Fit the first values that are shown in the current pane."""
        waiting = [record for record in self.annotations.fits if record.is_guess]
        problems = self.annotations.fit_guesses(self.session.pane.id)
        if problems:
            self.report("; ".join(problems[:3]))
        elif waiting:
            self.say(self.fit_window.status.text())

    def shows_wavelengths(self, low: float, high: float) -> bool:
        """Tell whether the current pane shows a spectrum that has some of a range of wavelengths, μm."""
        view = self.area.current
        ends = self._place_range(view, (low, high))
        if ends is None:
            return False
        known = [curve.x[np.isfinite(curve.x)] for curve in view.content.curves]
        return any(x.size and x.min() <= ends[1] and x.max() >= ends[0] for x in known)

    @staticmethod
    def _place_range(view: PaneView, waves: tuple[float, float]) -> tuple[float, float] | None:
        """Return where a range of wavelengths, μm, is in a pane; None if the pane cannot show it."""
        if view.state.x_field != "wavepos":
            return None
        return convert_range(waves, WaveAxis("um"), replace(view.state.axis, unit=view.content.x_unit))

    def mark_range(self, low: float, high: float) -> None:
        """Mark and measure a range of wavelengths in the current pane, as other views chose it.

        Parameters
        ----------
        low, high : float
            Wavelengths, μm.
        """
        view = self.area.current
        ends = self._place_range(view, (low, high))
        if ends is None:
            self.say("The range cannot be marked: the pane does not show wavelengths.")
            return
        self.overlays.measure(view.name, None)
        self.overlays.measure(view.name, (ends[0], ends[1]))

    def _choose_rest(self, wavelength: float) -> None:
        for number in self.panes_panel.targets:
            self.session.change_pane(number, rest=wavelength, x_limits=None)
        self.say(f"Velocities refer to {wavelength:g} μm.")

    def show_fits(self) -> None:
        """Show the table of fits."""
        self.fit_window.show()
        self.fit_window.raise_()

    def show_line_window(self) -> None:
        """Show the lists of lines."""
        self.line_window.show()
        self.line_window.raise_()

    def toggle_column(self) -> None:
        """Fold or unfold the controls."""
        self.column.setVisible(not self.column.isVisible())

    # -- saving ------------------------------------------------------------------------------------------------------

    def _ask_path(self, title: str, name: str, kinds: str) -> str:
        chosen, _ = QtWidgets.QFileDialog.getSaveFileName(self, title, name, kinds)
        return chosen

    def _try(self, work: Callable[[], Any]) -> None:
        try:
            self.say(f"Saved {work()}")
        except SofiaDeskError as problem:
            self.report(str(problem))

    def ask_and_save_spectrum(self) -> None:
        """Save the selected file, or the first of the pane, with all its fields."""
        keys = self.load_panel.list.chosen() or [part.key for part in self.session.pane.files]
        if not keys:
            self.report("There is no spectrum to save: open one first.")
            return
        path = self._ask_path("Save spectrum", "spectrum.fits", SAVE_FILTER)
        if path:
            self._try(lambda: self.save_file(keys[0], path))

    def save_file(self, key: str, path: str | Path) -> Path:
        """Write all spectra of a file.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        written = save_spectrum(self.session.files[key], path)
        tell_written(written)
        return written

    def ask_and_export(self) -> None:
        """Save the panes as a picture."""
        kinds = ";;".join(f"{suffix[1:].upper()} (*{suffix})" for suffix in PICTURE_SUFFIXES)
        path = self._ask_path("Save figure", "spectrum.png", kinds)
        if path:
            self._try(lambda: self.export(Path(path)))

    def copy_figure(self) -> None:
        """Copy the panes as a picture."""
        QtGui.QGuiApplication.clipboard().setPixmap(self.area.grab())
        self.say("Figure copied.")

    def ask_and_save_numbers(self) -> None:
        """Save the numbers of the current pane as they are plotted."""
        path = self._ask_path("Save numbers", "plot.ecsv", "ECSV (*.ecsv);;CSV (*.csv)")
        if path:
            self._try(lambda: self.save_numbers(path))

    def save_numbers(self, path: str | Path) -> Path:
        """Write the numbers of the current pane as ECSV or CSV."""
        state, content = self.session.pane, self.session.content(self.session.current)
        table = make_curve_table(content.curves, state.x_field, state.primary.field, (content.x_unit, content.y_unit))
        return write_table(table, path)

    def show_code(self) -> None:
        """Show a script that makes the plot of the current pane."""
        self.code_window = QtWidgets.QPlainTextEdit(make_code(self.session))
        self.code_window.setReadOnly(True)
        self.code_window.setWindowTitle("Code of this plot")
        self.code_window.resize(720, 420)
        self.code_window.show()

    def ask_and_save_session(self) -> None:
        """Save files, panes, lines and fits."""
        path = self._ask_path("Save session", "spectra.json", "Session (*.json)")
        if path:
            self._try(lambda: self.save_session(path))

    def save_session(self, path: str | Path) -> Path:
        """Write the session as JSON.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        target = Path(path)
        plain = {**self.session.to_json(), "annotations": self.annotations.to_json()}
        try:
            target.write_text(json.dumps(plain, indent=1), encoding="utf-8")
        except OSError as problem:
            raise InputError(f"{target} cannot be written: {problem.strerror or problem}.") from None
        return target

    def ask_and_open_session(self) -> None:
        """Open a saved session."""
        path, _ = QtWidgets.QFileDialog.getOpenFileName(self, "Open session", "", "Session (*.json)")
        if path:
            self.open_session(path)

    def open_session(self, path: str | Path) -> None:
        """Open a saved session: its files are read again; those that are gone are named."""
        self._jobs += 1
        self.tasks.submit(f"session {self._jobs}", lambda: _read_session(Path(path)), self._take_session)

    def _take_session(self, found: tuple[dict[str, Any], list[SpectrumFile | str], list[SpectrumFile | str]]) -> None:
        plain, results, sources = found
        notes = plain.get("annotations", self.annotations.to_json())
        try:
            read_annotations(notes)  # what is damaged is refused before anything changes
            self.session.check(plain)
            self._take_files(results)
            self.session.restore(plain, [source for source in sources if not isinstance(source, str)])
            self.annotations.restore(notes)
        except SofiaDeskError as problem:
            self.report(str(problem))
            return
        self.analysis_panel.refresh()
        self.overlays.redraw_all()

    # -- messages ----------------------------------------------------------------------------------------------------

    def say(self, text: str, role: str = "muted") -> None:
        """Show a message."""
        super().say(text, role)

    def report(self, text: str) -> None:
        """Show what went wrong."""
        self.say(text, "error")
        self.failed.emit(text)

    def _on_drawn(self, name: str) -> None:
        if name == self.session.pane.id:
            self.axis_panel.show_limits(*self.area.current.limits)
        problems = self.area.views[name].content.problems
        before = self._shown.get(name, ())
        if problems != before:
            self._shown[name] = problems
            if not problems and any(problem in self.status.text() for problem in before):
                self.say("")  # it is mended
            current = [problem for view in self.area.views.values() for problem in view.content.problems]
            news = self._find_news(problems, current)
            if news:
                self.report(" ".join([*self._problems, *news]))

    def _choose_dark(self, on: bool) -> None:
        application = QtWidgets.QApplication.instance()
        if isinstance(application, QtWidgets.QApplication):
            apply_theme(application, "dark" if on else "light")

    def _on_theme(self, theme: Any) -> None:
        self.session.set_dark(theme.is_dark)
        for name, action in self.actions_by_name.items():
            action.setIcon(icon(self._icons[name]))
        self.area.draw_all()
        self.overlays.redraw_all()
        self.fit_window.refresh()

    def shut_down(self) -> None:
        """End the threads, and close the windows that belong to this one."""
        super().shut_down()
        for window in (self.fit_window, self.line_window, self.overlays.cursor_table, self.overlays.statistics):
            window.close()


def _read_or_explain(path: Path) -> SpectrumFile | str:
    try:
        return read_spectrum_file(path)
    except SofiaDeskError as problem:
        return str(problem)
    except OSError as problem:
        return f"{path} cannot be read: {problem.strerror or problem}."
    except Exception as problem:  # noqa: BLE001 - what damaged files make readers raise has no end; others are shown
        _LOG.exception("%s cannot be read", path)
        return f"{path} cannot be read: it is damaged ({type(problem).__name__}); open another copy of it."


def _read_session(path: Path) -> tuple[dict[str, Any], list[SpectrumFile | str], list[SpectrumFile | str]]:
    """Return a saved session, its files, and those that were closed but are needed to make others again."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        files = [str(each["path"]) for each in plain["files"] if each["path"]]
        made = {str(key): each["sources"] for key, each in plain.get("derivations", {}).items()}
        needed = {str(source) for sources in made.values() for source in sources} - {*files, *made}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise ParameterError(f"{path} is no saved session of the spectrum viewer ({problem}).") from None
    closed = sorted(source for source in needed if not source.startswith(PRODUCT))
    return plain, [_read_or_explain(Path(name)) for name in files], [_read_or_explain(Path(name)) for name in closed]
