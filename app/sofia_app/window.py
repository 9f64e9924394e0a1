"""The main window: panels around the viewers, menus, and the progress of what runs."""

from __future__ import annotations

import base64
import contextlib
from pathlib import Path
from typing import Any

from sofia_app.actions import ACTIONS, MENUS
from sofia_app.commands import Commands
from sofia_app.desk import Desk, ErrorReport, return_memory
from sofia_app.group_queue import GroupJob, GroupQueue
from sofia_app.models.log import LogEntry
from sofia_app.models.parameters import format_value
from sofia_app.models.preferences import choose_output
from sofia_app.models.products import OpenedState, open_product, open_state
from sofia_app.models.viewer_kinds import VIEWERS, ViewerKind, choose_viewer
from sofia_app.views.data_panel import DataPanel, dropped_paths
from sofia_app.views.dialogs import ErrorDialog, SessionsDialog
from sofia_app.views.export_keeper import ExportKeeper
from sofia_app.views.help_view import HelpView
from sofia_app.views.log_panel import LogPanel, ProblemsPanel
from sofia_app.views.parameter_panel import ParameterPanel
from sofia_app.views.picture_view import PictureView
from sofia_app.views.pipeline_panel import PipelinePanel
from sofia_app.views.postponed import Postponed
from sofia_app.views.previewer import Previewer
from sofia_app.views.progress_bar import RunProgress
from sofia_app.views.quality_page import QualityPage
from sofia_app.views.queue_panel import QueuePanel
from sofia_app.views.selection_links import SelectionLinks
from sofia_app.views.slit_page import SlitPage
from sofia_app.views.tables_panel import QualityPanel, ReferencesPanel
from sofia_app.views.view_area import HeaderView, ProvenanceView, TableView
from sofia_app.views.view_keeper import ViewKeeper
from sofia_app.views.view_tabs import ViewTabs
from sofia_app.views.viewer_page import ImageArea, ViewerPage
from sofia_app.worker.protocol import Sweep
from sofia_engine.memory import limited_memory
from sofia_viewers.export import tell_written
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from sofia_viewers.theme import apply_theme, icon, theme_events

__all__ = ["RESTORE_QUESTION", "MainWindow"]

RESTORE_QUESTION = "The program ended unexpectedly. Do you want to go on where it was?"
"""What is asked at the start when sessions were open at an unexpected end."""

_LAYOUT_VERSION = 1
_SIZE = (1440, 900)
_STATUS_TIME = 8000
_TRIM_DELAY = 2000
"""Milliseconds after a view was closed until its memory is given back."""


class MainWindow(QtWidgets.QMainWindow):
    """The window.

    Parameters
    ----------
    desk : Desk
        What is behind it.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.shown = OpenedState("", "", ())
        self.qactions: dict[str, QtGui.QAction] = {}
        self.comparisons: list[Any] = []
        self._panels = QtCore.QByteArray()
        """Layout to come back to while the view stands alone."""
        self._best_viewer = ""
        self._is_asked_for = False
        self.commands = Commands(self)
        self.setWindowTitle("SOFIA Desk")
        self.setAcceptDrops(True)
        self.setDockNestingEnabled(True)
        self.queue = GroupQueue(self, desk.instrument_folders)
        self.queue.finished.connect(self._report_groups)
        self._make_actions()
        self._make_menus()
        self._make_panels()
        self._make_status_bar()
        self.previewer = Previewer(self)
        self._trim_timer = QtCore.QTimer(self, singleShot=True, interval=_TRIM_DELAY)
        self._trim_timer.timeout.connect(lambda: desk.tasks.submit("memory", return_memory, lambda _nothing: None))
        self.keeper = ViewKeeper(self)
        self.exports = ExportKeeper(self)
        self.exports.changed.connect(self.provenance.show_exports)
        self._connect()
        self.resize(*_SIZE)
        self._first_layout = QtCore.QByteArray()
        self.refresh_actions()

    # --- building ---

    def _make_actions(self) -> None:
        for declared in ACTIONS:
            action = QtGui.QAction(declared.title, self)
            action.setObjectName(declared.id)
            action.setCheckable(declared.checkable)
            if declared.shortcut:
                action.setShortcut(QtGui.QKeySequence(declared.shortcut))
            keys = action.shortcut().toString(QtGui.QKeySequence.SequenceFormat.NativeText)
            action.setToolTip(f"{declared.tip}{f' ({keys})' if keys else ''}")
            action.triggered.connect(lambda _checked=False, name=declared.id: self._do(name))
            self.qactions[declared.id] = action
        self.qactions["toggle_expert"].setChecked(self.desk.preferences.show_expert)
        self.qactions["toggle_hide_idle"].setChecked(self.desk.preferences.hide_idle)
        self.qactions["toggle_live_preview"].setChecked(self.desk.preferences.live_preview)
        self._draw_icons()

    def _draw_icons(self, _theme: Any = None) -> None:
        for declared in ACTIONS:
            if declared.icon:
                self.qactions[declared.id].setIcon(icon(declared.icon))

    def _do(self, name: str) -> None:
        getattr(self.commands, name)()

    def _make_menus(self) -> None:
        menus = {name: self.menuBar().addMenu(f"&{name}") for name in MENUS}
        for declared in ACTIONS:
            if declared.separated:
                menus[declared.menu].addSeparator()
            menus[declared.menu].addAction(self.qactions[declared.id])
            if declared.id == "open_folder":
                self.recent_menu = menus["File"].addMenu("Recent files")
        self.recent_menu.aboutToShow.connect(self._fill_recent)
        self.panels_menu = menus["View"].addMenu("Panels")

    def _make_panels(self) -> None:
        self.data = DataPanel(self.desk, self.qactions)
        self.pipeline = PipelinePanel(self.desk, self.qactions)
        self.parameters = ParameterPanel(self.desk, self.qactions)
        self.log = LogPanel(self.desk)
        self.problems = ProblemsPanel(self.desk)
        self.quality = QualityPanel(self.desk)
        self.references = ReferencesPanel(self.desk)
        self.queue_panel = QueuePanel(self.queue, self.desk.tasks)
        self.header, self.table = HeaderView(self.desk.tasks), TableView(self.desk.tasks)
        self.provenance, self.help = ProvenanceView(self.desk), HelpView()
        self.pictures = PictureView(self.desk.tasks)
        menu = [self.qactions[name] for name in ("pin_view", "clone_view", "move_view", "float_view")]
        self.tabs = ViewTabs(menu)
        self.selection_links = SelectionLinks(self)
        self.pages: list[ViewerPage] = []
        for kind in VIEWERS:
            self._add_page(self._make_page(kind))
        self.image = next(page for page in self.pages if isinstance(page, ImageArea))
        self.quality_viewer = QualityPage(self.desk)
        self.quality_viewer.state_asked.connect(self._open_state)
        self._add_page(self.quality_viewer)
        for name, widget in (
            ("Pictures", self.pictures), ("Header", self.header), ("Tables", self.table),
            ("Provenance", self.provenance), ("Help", self.help),
        ):  # fmt: skip
            self.tabs.add(widget, name)
        self.setCentralWidget(self.tabs)
        self._choose_tabs(self.shown)
        self._make_docks()

    def _make_page(self, kind: ViewerKind) -> ViewerPage:
        if kind.name == "slit":
            page = SlitPage(self.desk)
            page.step_edited.connect(self.pipeline.select_step)
            return page
        return ImageArea(self.desk.tasks) if kind.name == "image" else ViewerPage(kind, self.desk.tasks)

    def _add_page(self, page: ViewerPage, *, title: str = "", closable: bool = False) -> None:
        same = sum(other.kind.name == page.kind.name for other in self.pages)
        title = title or (f"{page.kind.title} {same + 1}" if same else page.kind.title)
        self.tabs.add(page, title, closable=closable)
        self.pages.append(page)
        page.viewer_made.connect(lambda viewer: self.selection_links.add(page.kind.name, viewer))
        page.failed.connect(lambda text: self.desk.log_line("warning", text))
        page.pin_changed.connect(lambda: self._mark_pin(page))

    def _mark_pin(self, page: ViewerPage) -> None:
        self.tabs.mark(page, "pin" if page.pinned else "")
        self.refresh_actions()

    @property
    def page_in_front(self) -> ViewerPage | None:
        """The viewer in front; None if a header, table or text is there."""
        view = self.tabs.currentWidget()
        return view if isinstance(view, ViewerPage) else None

    def clone_page(self, page: ViewerPage) -> ViewerPage:
        """Make another view of the same kind, with the same products shown in the same way, at the other side."""
        clone = self.add_clone(page.kind)
        clone.restore_view(page.view_state())
        self.tabs.move(clone, "left" if self.tabs.place_of(page) == "right" else "right")
        clone.show_state(page.shown)
        return clone

    def add_clone(self, kind: ViewerKind) -> ViewerPage:
        """Add a further view of a kind, which can be closed."""
        clone: ViewerPage = self._make_page(kind)
        if kind == self.quality_viewer.kind:
            clone = QualityPage(self.desk)
            clone.state_asked.connect(self._open_state)
        self._add_page(clone, closable=True)
        return clone

    def _close_view(self, view: Any) -> None:
        if view in self.comparisons:
            self.comparisons.remove(view)
        if view in self.pages:
            self.pages.remove(view)
        self.tabs.remove(view)
        self.selection_links.remove(getattr(view, "viewer", None))
        view.close_viewer()
        view.deleteLater()
        self._trim_timer.start()
        self.refresh_actions()

    def _make_docks(self) -> None:
        area = Qt.DockWidgetArea
        self.docks: dict[str, QtWidgets.QDockWidget] = {}
        for name, title, widget, place in (
            ("data", "Data", self.data, area.LeftDockWidgetArea),
            ("pipeline", "Pipeline", self.pipeline, area.LeftDockWidgetArea),
            ("parameters", "Parameters", self.parameters, area.RightDockWidgetArea),
            ("log", "Log", self.log, area.BottomDockWidgetArea),
            ("problems", "Problems", self.problems, area.BottomDockWidgetArea),
            ("quality", "Quality", self.quality, area.BottomDockWidgetArea),
            ("references", "Reference files", self.references, area.BottomDockWidgetArea),
            ("queue", "Queue", self.queue_panel, area.BottomDockWidgetArea),
        ):
            dock = QtWidgets.QDockWidget(title, self)
            dock.setObjectName(name)
            dock.setWidget(widget)
            self.addDockWidget(place, dock)
            self.panels_menu.addAction(dock.toggleViewAction())
            self.docks[name] = dock
        for name in ("problems", "quality", "references", "queue"):
            self.tabifyDockWidget(self.docks["log"], self.docks[name])
        self.docks["log"].raise_()
        self.setCorner(Qt.Corner.BottomLeftCorner, area.LeftDockWidgetArea)
        self.setCorner(Qt.Corner.BottomRightCorner, area.RightDockWidgetArea)
        self.setTabPosition(area.BottomDockWidgetArea, QtWidgets.QTabWidget.TabPosition.North)

    def _size_docks(self) -> None:
        orientation = Qt.Orientation
        self.resizeDocks([self.docks["data"], self.docks["parameters"]], [370, 330], orientation.Horizontal)
        self.resizeDocks([self.docks["data"], self.docks["pipeline"]], [260, 560], orientation.Vertical)
        self.resizeDocks([self.docks["log"]], [200], orientation.Vertical)

    def _make_status_bar(self) -> None:
        self.progress = RunProgress(self.desk, self.qactions["stop_running"])
        self.statusBar().addPermanentWidget(self.progress)

    def _connect(self) -> None:
        desk = self.desk
        refresh = Postponed(self, self.refresh_actions, delay=0)
        desk.conditions_changed.connect(refresh)
        self.tabs.changed.connect(refresh)
        self.tabs.close_asked.connect(self._close_view)
        desk.status.connect(lambda text: self.statusBar().showMessage(text, _STATUS_TIME))
        desk.failed.connect(self.show_error)
        desk.state_opened.connect(self.show_state)
        desk.forms_changed.connect(lambda: self.show_step(desk.selection["step"]))
        desk.reduction_opened.connect(self._welcome_reduction)
        desk.reduction_closing.connect(lambda: self.keeper.keep(at_once=True))
        desk.references_listed.connect(self._warn_of_missing)
        desk.command_finished.connect(self._show_sweep)
        self.data.dropped.connect(desk.open_paths)
        self.data.activated.connect(self._look_at_files)
        self.pipeline.step_selected.connect(self.show_step)
        self.pipeline.state_activated.connect(desk.go)
        self.pipeline.problems_asked.connect(self._show_problems_of)
        self.parameters.batch_asked.connect(self.commands.edit_everywhere)
        self.log.line_asked.connect(self._go_to_line)
        self.problems.step_asked.connect(self._go_to_step)
        self.problems.count_changed.connect(self._count_problems)
        self.references.fetch_asked.connect(desk.fetch_references)
        self.queue_panel.session_asked.connect(desk.resume)
        theme_events().changed.connect(self._draw_icons)

    # --- what is shown ---

    def refresh_actions(self) -> None:
        """Enable the actions whose conditions hold."""
        held = self.desk.conditions()
        page = self.page_in_front
        if page is not None:
            held.add("viewer in front")
        for declared in ACTIONS:
            self.qactions[declared.id].setEnabled(set(declared.needs) <= held)
        self.qactions["pin_view"].setChecked(page is not None and page.pinned)

    def bring_up(self, name: str) -> None:
        """Bring a panel or tab to the front."""
        tabs: dict[str, QtWidgets.QWidget] = {page.kind.name: page for page in reversed(self.pages)}
        tabs |= {"pictures": self.pictures, "header": self.header, "provenance": self.provenance, "help": self.help}
        if name in tabs:
            self.tabs.bring_up(tabs[name])
            tabs[name].setFocus()
            return
        dock = self.docks[name]
        dock.show()
        dock.raise_()
        dock.widget().setFocus()

    def show_state(self, opened: OpenedState) -> None:
        """Show the products of a state."""
        self.shown = opened
        for page in self.pages:
            page.show_state(opened)
        self._choose_tabs(opened)
        self._bring_up_suitable(opened)
        self.header.show_products(opened.products)
        self.table.show_products(opened.products)
        self.pictures.show_pictures(opened.pictures)

    def _choose_tabs(self, opened: OpenedState) -> None:
        """Hide the tabs of special viewers that have nothing to show, and never had."""
        for page in self.pages:
            if page.kind in VIEWERS and not isinstance(page, ImageArea):
                suits = any(map(page.kind.suits, opened.shown_in(page.kind.suits).products))
                self.tabs.set_wanted(page, suits or page.viewer is not None)

    def _bring_up_suitable(self, opened: OpenedState) -> None:
        """Bring the viewer that suits products best to the front, if a viewer is there that does not, or did before."""
        best = choose_viewer(opened.products)
        front = self.page_in_front
        changed = best is not None and best.name != self._best_viewer
        asked, self._is_asked_for = self._is_asked_for, False
        if asked and best is not None:
            self.tabs.bring_up(next(page for page in self.pages if page.kind == best))
        self._best_viewer = best.name if best is not None else self._best_viewer
        if best is None or front is None or front.pinned or isinstance(front, QualityPage) or front.kind == best:
            return
        if changed or not any(front.kind.suits(product) for product in opened.products):
            self.tabs.bring_up(next(page for page in self.pages if page.kind == best))

    def show_step(self, index: int) -> None:
        """Show parameters and help of a step."""
        forms = self.desk.forms
        self.parameters.show_form(forms[index] if 0 <= index < len(forms) else None)
        recipe = self.desk.reduction.recipe
        step = forms[index].step if 0 <= index < len(forms) else None
        self.help.show_step(step, recipe.name if recipe is not None else "")

    def show_error(self, report: ErrorReport) -> None:
        """Say what went wrong."""
        can_retry = report.step >= 0 and self.desk.reduction.can_step
        retry = self.desk.step if can_retry else None
        edit = (lambda: self._edit_step(report.step)) if report.step >= 0 else None
        insist = self.desk.step_without_guard if can_retry and report.kind == "NotEnoughMemoryError" else None
        ErrorDialog(self, report, retry, edit, insist).open()

    def report_problem(self, title: str, cause: str) -> None:
        """Say what went wrong, in log and dialog."""
        self.desk.log_line("error", cause)
        self.show_error(ErrorReport(title, cause))

    def _edit_step(self, index: int) -> None:
        self.pipeline.select_step(index)
        self.bring_up("parameters")
        form = self.parameters.form
        if form is not None:
            wrong = [name for name in form.errors if name]
            self.parameters.focus_field(next(iter(wrong or [info.name for info in form.infos]), ""))

    def _welcome_reduction(self) -> None:
        snapshot = self.desk.reduction.snapshot
        self.keeper.begin(snapshot.session if snapshot is not None else "")
        self.exports.begin(snapshot.session if snapshot is not None else "")
        self.setWindowTitle(f"{self.desk.reduction.title} – SOFIA Desk")
        self.pipeline.select_step(self.desk.reduction.next_index)
        self.bring_up("pipeline")

    def _warn_of_missing(self, _rows: Any) -> None:
        count = len(self.references.missing)
        self.docks["references"].setWindowTitle(f"Reference files ({count} missing)" if count else "Reference files")
        if count:
            self.docks["references"].raise_()

    def _count_problems(self, count: int) -> None:
        self.docks["problems"].setWindowTitle(f"Problems ({count})" if count else "Problems")

    def _show_problems_of(self, key: str) -> None:
        self.bring_up("problems")
        self.problems.show_step(key)

    def _go_to_step(self, key: str) -> None:
        keys = [step.key for step in self.desk.reduction.steps]
        if key in keys:
            self.pipeline.select_step(keys.index(key))
            self.bring_up("pipeline")

    def _go_to_line(self, entry: LogEntry) -> None:
        """Go to the file that a line of the log names, in the list or as a product; else to the line's step."""
        record = self.desk.files.find_named(entry.path, entry.file, entry.message)
        state = self.desk.reduction.find_state_of(entry.file)
        if record is not None:
            self.bring_up("data")
            self.data.show_file(record.path)
        elif state is not None:
            self._look_at_product(state.key, entry.file)
        elif entry.path.endswith(".fits"):
            self._look_at_files([Path(entry.path)])
        else:
            self._go_to_step(entry.step)

    def _look_at_product(self, key: str, name: str) -> None:
        snapshot = self.desk.reduction.snapshot
        if snapshot is None:  # closed meanwhile
            return
        self.desk.tasks.submit(
            "look",
            lambda: open_product(snapshot.session, snapshot.recipe, key, name),
            self._show_asked,
            lambda reason: self.report_problem("The product cannot be shown", reason),
        )

    def _fill_recent(self) -> None:
        self.recent_menu.clear()
        for files in self.desk.preferences.recent:
            path = Path(files[0])
            more = f" and {len(files) - 1} more" if len(files) > 1 else ""
            entry = self.recent_menu.addAction(f"{path.name}{more}  ({path.parent.name})")
            entry.triggered.connect(lambda _checked=False, files=files: self.desk.open_paths(files))
        if not self.desk.preferences.recent:
            self.recent_menu.addAction("none yet").setEnabled(False)

    # --- products, comparison, preview ---

    def save_shown(self, folder: Path) -> None:
        """Write the products shown to a folder, in a thread; previews are not products."""
        if self.previewer.is_shown:
            self.desk.status.emit("A preview is not saved; apply the values and do the step.")
            return
        products = self.shown.products

        def write() -> list[Path]:
            return [product.write(folder / product.name) for product in products]

        def tell(paths: list[Path]) -> None:
            self.desk.status.emit(f"{len(paths)} products written to {folder}.")
            for path in paths:
                tell_written(path)

        self.desk.tasks.submit(
            "save",
            write,
            tell,
            lambda reason: self.report_problem("The products cannot be saved", reason),
        )

    def compare(self, left: str, right: str) -> None:
        """Compare two states."""
        from sofia_app.views.compare_view import Compared

        self._add_comparison(Compared.of_state(self.desk, left), Compared.of_state(self.desk, right))

    def compare_files(self, left: Path, right: Path) -> None:
        """Compare two files."""
        from sofia_app.views.compare_view import Compared

        self._add_comparison(Compared.of_file(left), Compared.of_file(right))

    def _add_comparison(self, left: Any, right: Any) -> None:
        from sofia_app.views.compare_view import CompareView

        view = CompareView(self.desk, left, right)
        self.tabs.add(view, "Compare", closable=True)
        self.tabs.bring_up(view)
        self.comparisons.append(view)

    def _show_sweep(self, command: Any, message: Any) -> None:
        """Show the results of a sweep side by side, each named by its value, in a view of their own."""
        if not isinstance(command, Sweep) or message.error:
            return
        snapshot, reduction = self.desk.reduction.snapshot, self.desk.reduction
        info = reduction.steps[command.step].parameters.info(command.name)
        results = [reduction.find_result(command.step, info.key, value, command.last) for value in command.values]
        found = [(v, state) for v, state in zip(command.values, results, strict=True) if state is not None]
        if snapshot is None or not found:
            return

        def load() -> OpenedState:
            opened = [open_state(snapshot.session, snapshot.recipe, state.key, snapshot.inputs) for _, state in found]
            firsts = [
                (f"{info.label} = {format_value(value)}", states.products[0])
                for (value, _), states in zip(found, opened, strict=True)
                if states.products
            ]
            return OpenedState(
                "sweep", f"Sweep of {info.label}", tuple(p for _, p in firsts), names=tuple(n for n, _ in firsts)
            )

        self.desk.tasks.submit("sweep", load, self._add_sweep)

    def _add_sweep(self, opened: OpenedState) -> None:
        best = choose_viewer(opened.products)
        if best is None:
            return
        page = self._make_page(best)
        page.is_kept = False
        self._add_page(page, title=opened.label, closable=True)
        page.show_state(opened)
        page.set_pinned(True)
        self.tabs.bring_up(page)

    def reduce_groups(self) -> None:
        """Reduce every group of the list, some at a time; each gets a folder of its own."""
        if self.queue.is_running:
            self.desk.status.emit("Groups are being reduced; stop them first, or wait.")
            return
        groups = [group for group in self.desk.files.groups if group.can_be_reduced]
        if not groups:
            self.desk.status.emit("None of the files in the list can be reduced.")
            return
        first = groups[0].records[0].path
        folder = Path(choose_output(self.desk.preferences, [first]) or first.parent / "reduced")
        with limited_memory(self.desk.memory_limit):
            self.queue.start(groups, folder, self.desk.preferences.jobs)
        self.bring_up("queue")

    def _report_groups(self, jobs: list[GroupJob]) -> None:
        done = sum(job.state == "done" for job in jobs)
        self.desk.status.emit(f"{done} of {len(jobs)} groups are reduced.")
        for job in jobs:
            self.desk.log_line("info" if job.state == "done" else "error", f"Queue: {job.text}")

    def _look_at_files(self, paths: list[Path]) -> None:
        from sofia_engine.product import Product

        self.desk.tasks.submit(
            "look",
            lambda: OpenedState("file", paths[0].name, tuple(Product.read(path) for path in paths), ""),
            self._show_asked,
            lambda reason: self.report_problem("The file cannot be shown", reason),
        )

    def _show_asked(self, opened: OpenedState) -> None:
        """Show products that the user asked for: their viewer comes to the front, whatever is there."""
        self._is_asked_for = True
        self.show_state(opened)

    def _open_state(self, key: str) -> None:
        """Open a state that the user asked for."""
        self._is_asked_for = True
        self.desk.show_state(key)

    # --- preferences and layout ---

    def apply_preferences(self) -> None:
        """Take over theme and text size."""
        application = QtWidgets.QApplication.instance()
        assert isinstance(application, QtWidgets.QApplication)
        apply_theme(application, self.desk.preferences.theme)
        font = application.font()
        size = self.desk.preferences.text_size or _system_size(application)
        if font.pointSize() != size:
            font.setPointSize(size)
            application.setFont(font)

    def show_view_alone(self, alone: bool) -> None:
        """Hide all panels that are docked, or show those again that were hidden so."""
        if alone and self._panels.isEmpty():
            self._panels = self.saveState(_LAYOUT_VERSION)
            for dock in self.docks.values():
                dock.setVisible(dock.isFloating() and dock.isVisible())
        elif not alone and not self._panels.isEmpty():
            self.restoreState(self._panels, _LAYOUT_VERSION)
            self._panels = QtCore.QByteArray()

    def reset_layout(self) -> None:
        """Put all panels back where they were at first."""
        self.qactions["toggle_panels"].setChecked(False)
        self._panels = QtCore.QByteArray()
        self.restoreState(self._first_layout, _LAYOUT_VERSION)
        for dock in self.docks.values():
            dock.show()

    def _restore_layout(self) -> None:
        preferences = self.desk.preferences
        with contextlib.suppress(ValueError):
            if preferences.geometry:
                self.restoreGeometry(QtCore.QByteArray(base64.b64decode(preferences.geometry)))
            if preferences.layout:
                self.restoreState(QtCore.QByteArray(base64.b64decode(preferences.layout)), _LAYOUT_VERSION)

    def _remember_layout(self) -> None:
        self.show_view_alone(False)
        preferences = self.desk.preferences
        preferences.geometry = base64.b64encode(self.saveGeometry().data()).decode()
        preferences.layout = base64.b64encode(self.saveState(_LAYOUT_VERSION).data()).decode()

    # --- start and end ---

    def prepare_viewers(self) -> None:
        """Import the viewer of images in turns of the event loop and make it; call it when the window is shown."""
        self.image.prepare()

    def offer_interrupted(self) -> None:
        """Offer the sessions that were open when the program ended unexpectedly."""
        sessions = self.desk.open_sessions.interrupted()
        if not sessions:
            return
        self.restore_dialog = SessionsDialog(self, sessions, RESTORE_QUESTION)
        self.restore_dialog.accepted.connect(lambda: self.desk.resume(self.restore_dialog.chosen))
        self.restore_dialog.open()

    def look_for_update(self) -> None:
        """Say in the log that there is a newer version, if the user wants that to be looked for at the start."""
        if not self.desk.preferences.check_updates:
            return
        from sofia_app.models.updates import describe_update, find_latest, is_newer

        def tell(latest: str) -> None:
            if is_newer(latest):
                self.desk.log_line("info", describe_update(latest))

        self.desk.tasks.submit("updates", find_latest, tell, lambda reason: self.desk.log_line("debug", reason))

    def showEvent(self, event: QtGui.QShowEvent) -> None:  # noqa: N802
        """Give the panels their sizes, which they can only have when the window has its own."""
        super().showEvent(event)
        if self._first_layout.isEmpty():
            self._size_docks()
            self._first_layout = self.saveState(_LAYOUT_VERSION)
            self._restore_layout()

    def dragEnterEvent(self, event: QtGui.QDragEnterEvent) -> None:  # noqa: N802
        """Accept files and folders anywhere in the window."""
        if dropped_paths(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QtGui.QDropEvent) -> None:  # noqa: N802
        """Take over files and folders."""
        event.acceptProposedAction()
        self.desk.open_paths(dropped_paths(event.mimeData()))

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:  # noqa: N802
        """Remember the layout, and end all threads and the process."""
        self._remember_layout()
        self.keeper.keep(at_once=True)
        self.desk.save_preferences()
        for view in (*self.pages, *self.comparisons):
            view.close_viewer()
        self.queue.close()
        self.desk.close()
        event.accept()


def _system_size(application: QtWidgets.QApplication) -> int:
    stored = application.property("system text size")
    if stored is None:
        stored = max(application.font().pointSize(), 8)
        application.setProperty("system text size", stored)
    return int(stored)
