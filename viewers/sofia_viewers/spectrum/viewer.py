"""The spectrum viewer: panes of spectra with a column of controls; runs alone or inside the program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sofia_engine.errors import SofiaDeskError
from sofia_engine.product import Product
from sofia_viewers.export import export_widget
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.spectrum.axis_panel import AxisPanel, PlotPanel
from sofia_viewers.spectrum.file_panel import LoadPanel, PanesPanel
from sofia_viewers.spectrum.loading import SPECTRUM_FILTER, make_spectrum_file, read_spectrum_file
from sofia_viewers.spectrum.plot_box import MouseMode
from sofia_viewers.spectrum.session import SpectrumSession
from sofia_viewers.spectrum.spectrum import SpectrumFile
from sofia_viewers.spectrum.widget import SpectrumArea
from sofia_viewers.tasks import Tasks
from sofia_viewers.theme import apply_theme, current_theme, theme_events

__all__ = ["SpectrumViewer"]

_COLUMN_WIDTH = 330
PRODUCT = "product:"


class SpectrumViewer(QtWidgets.QWidget):
    """Shows spectra of products and files.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    pinned : bool
        While True, `show_products` is ignored: the viewer keeps what it shows.
    """

    cursor_moved = Signal(str, float, float)
    files_changed = Signal()
    failed = Signal(str)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.pinned = False
        self.session = SpectrumSession()
        self.session.dark = current_theme().is_dark
        self.tasks = Tasks(self)
        self._problems: list[str] = []
        self._jobs = 0
        self._make_parts()
        self._lay_out()
        self._connect()
        self.setAcceptDrops(True)

    # -- what others use ------------------------------------------------------------------------------------------------

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

        self.tasks.submit("products", work, lambda files: self.session.replace_group(PRODUCT, files))

    def open_files(self, paths: Iterable[str | Path]) -> None:
        """Open files; those that are open already are read again."""
        wanted = [Path(path) for path in paths]
        self._jobs += 1

        def work() -> list[SpectrumFile | str]:
            return [_read_or_explain(path) for path in wanted]

        self.tasks.submit(f"open {self._jobs}", work, self._take_files)

    def is_ready(self) -> bool:
        """Whether all that was asked for is drawn."""
        return self.tasks.is_idle

    def problems(self) -> list[str]:
        """What could not be shown, one sentence each."""
        shown = [
            problem for number in range(len(self.session.panes)) for problem in self.session.content(number).problems
        ]
        return [*self._problems, *shown]

    def export(self, path: Path, size: tuple[int, int] | None = None) -> Path:
        """Write the panes to a file: PNG, PDF or SVG.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        if size is not None:
            self.area.resize(*size)
            QtCore.QCoreApplication.processEvents()
        return export_widget(self.area, path, size)

    # -- parts ------------------------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.area = SpectrumArea(self.session, self)
        self.load_panel = LoadPanel(self.session)
        self.panes_panel = PanesPanel(self.session)
        self.axis_panel = AxisPanel(self.session, lambda: self.panes_panel.targets)
        self.plot_panel = PlotPanel(self.session)
        self.status = QtWidgets.QLabel()
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.status.setWordWrap(True)

    def _lay_out(self) -> None:
        column = QtWidgets.QWidget()
        stack = QtWidgets.QVBoxLayout(column)
        stack.setContentsMargins(4, 4, 4, 4)
        for panel in (self.load_panel, self.panes_panel, self.axis_panel, self.plot_panel):
            stack.addWidget(panel)
        stack.addStretch(1)
        self.column = QtWidgets.QScrollArea()
        self.column.setWidget(column)
        self.column.setWidgetResizable(True)
        self.column.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.column.setFixedWidth(_COLUMN_WIDTH)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.column)
        row.addWidget(self.area, 1)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row, 1)
        layout.addWidget(self.status)

    def _connect(self) -> None:
        self.load_panel.open_requested.connect(self.ask_for_files)
        for panel in (self.panes_panel, self.axis_panel):
            panel.failed.connect(self.report)
        self.tasks.failed.connect(self.report)
        self.axis_panel.zoom_requested.connect(self.set_mode)
        self.axis_panel.reset_requested.connect(self.reset_zoom)
        self.plot_panel.dark_requested.connect(self._choose_dark)
        self.area.mode_changed.connect(self.axis_panel.show_mode)
        self.area.drawn.connect(self._on_drawn)
        self.area.cursor_moved.connect(self.cursor_moved)
        theme_events().changed.connect(self._on_theme)
        self.session.subscribe(lambda what: self.files_changed.emit() if what == "files" else None)

    # -- files ------------------------------------------------------------------------------------------------------------

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
        if self._problems:
            self.report(" ".join(self._problems))
        else:
            notes = [note for file in files for note in file.notes]
            self.say(" ".join(notes))

    def dragEnterEvent(self, event: QtGui.QDragEnterEvent) -> None:  # noqa: N802 - Qt's name
        """Accept files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QtGui.QDropEvent) -> None:  # noqa: N802 - Qt's name
        """Open files dropped here, in the pane under the cursor."""
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        spot = self.area.grid.mapFrom(self, event.position().toPoint())
        for name, view in self.area.views.items():
            if view.geometry().contains(spot):
                self.session.select_pane(self.session.find_pane(name))
        event.acceptProposedAction()
        self.open_files(paths)

    # -- what the user does -----------------------------------------------------------------------------------------------

    def set_mode(self, mode: MouseMode) -> None:
        """Let the mouse choose a range in the current pane."""
        self.area.set_mode(mode)
        self.area.setFocus()

    def reset_zoom(self) -> None:
        """Show all of the data in the panes that changes act on."""
        for number in self.panes_panel.targets:
            self.area.views[self.session.panes[number].id].reset_zoom()

    def say(self, text: str) -> None:
        """Show a message."""
        self.status.setProperty("role", "muted")
        self.status.style().polish(self.status)
        self.status.setText(text)

    def report(self, text: str) -> None:
        """Show what went wrong."""
        self.status.setProperty("role", "error")
        self.status.style().polish(self.status)
        self.status.setText(text)
        self.failed.emit(text)

    def _on_drawn(self, name: str) -> None:
        if name == self.session.pane.id:
            self.axis_panel.show_limits(*self.area.current.limits)

    def _choose_dark(self, on: bool) -> None:
        application = QtWidgets.QApplication.instance()
        if isinstance(application, QtWidgets.QApplication):
            apply_theme(application, "dark" if on else "light")

    def _on_theme(self, theme: Any) -> None:
        self.session.set_dark(theme.is_dark)
        self.area.draw_all()

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """End the threads."""
        self.tasks.close()
        super().closeEvent(event)


def _read_or_explain(path: Path) -> SpectrumFile | str:
    try:
        return read_spectrum_file(path)
    except SofiaDeskError as problem:
        return str(problem)
    except OSError as problem:
        return f"{path} cannot be read: {problem.strerror or problem}."
