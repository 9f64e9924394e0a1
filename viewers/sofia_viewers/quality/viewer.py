"""The quality viewer: browser at the left; images, headers, numbers, galleries, raw frames and reports at the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sofia_engine.errors import InputError, SofiaDeskError
from sofia_engine.product import Product
from sofia_viewers.export import PICTURE_SUFFIXES
from sofia_viewers.image.settings import SettingsStore
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.quality.browser import FileBrowser
from sofia_viewers.quality.compare_view import CompareRunsView
from sofia_viewers.quality.detector_view import DetectorView
from sofia_viewers.quality.folders import find_files, find_kind, is_fits
from sofia_viewers.quality.gallery import Gallery
from sofia_viewers.quality.header_view import DifferenceView, HeaderView
from sofia_viewers.quality.headers import choose_viewers, read_headers
from sofia_viewers.quality.measurement import Measurement
from sofia_viewers.quality.measuring import MetricsCache, measure_files
from sofia_viewers.quality.metrics import Metrics, ReductionRow, measure_product, merge_reduction_rows
from sofia_viewers.quality.metrics_table import MetricsTable
from sofia_viewers.quality.report import Report, make_report
from sofia_viewers.quality.report_view import ReportView
from sofia_viewers.quality.run_record import RunRecord, is_session, list_step_rows, merge_steps, read_run
from sofia_viewers.quality.settings import load_settings, save_settings
from sofia_viewers.quality.trend_plot import TrendPlot
from sofia_viewers.quality.trends import find_outliers
from sofia_viewers.shell import ViewerShell
from sofia_viewers.theme import icon

if TYPE_CHECKING:
    from sofia_viewers.image.viewer import ImageViewer
    from sofia_viewers.spectrum.viewer import SpectrumViewer

__all__ = ["EXPORT_SUFFIXES", "QualityViewer"]

EXPORT_SUFFIXES = (*PICTURE_SUFFIXES, ".csv", ".ecsv", ".vot", ".html")
"""What `QualityViewer.export` can write: picture of table and plot, the table, or the report."""

_EMPTY = "Open a folder with Ctrl+Shift+O, or drop folders and FITS files here."
_TABS = ("Image", "Spectrum", "Header", "Difference", "Numbers", "Compare runs", "Gallery", "Frames", "Report")


class QualityViewer(ViewerShell):
    """Looks at the quality of files, of products in memory, or of a reduction.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    store : SettingsStore, optional
        Where settings are kept.
    cache : MetricsCache, optional
        What is known of files; by default kept in the folder of the settings.
    """

    state_opened = Signal(str)

    def __init__(
        self,
        parent: QtWidgets.QWidget | None = None,
        store: SettingsStore | None = None,
        cache: MetricsCache | None = None,
    ) -> None:
        super().__init__(parent, n_threads=3)
        self.store = store or SettingsStore()
        self.settings = load_settings(self.store)
        self.record: RunRecord | None = None
        self.rows: list[Metrics] = []
        self.products: dict[str, Product] = {}
        self._image: ImageViewer | None = None
        self._spectrum: SpectrumViewer | None = None
        self._extra: list[Metrics] = []
        self._pending: list[Path] = []
        self._second: tuple[str, list[Metrics]] | None = None
        self._all_steps = False
        self.measurement = Measurement(self, cache or MetricsCache(self.store.folder / "quality-cache.json"))
        self._make_parts()
        self._lay_out()
        self._connect()
        self._apply_settings()

    # -- what others use --------------------------------------------------------------------------------------------

    def open_folder(self, folder: str | Path) -> None:
        """Open an output folder, any folder with FITS files, or the folder of a session."""
        folder = Path(folder).expanduser().absolute()
        if is_session(folder):
            self.open_session(folder)
        else:
            self.browser.open(folder)

    def open_session(self, folder: Path) -> None:
        """Show the numbers of all steps of a session, and its products."""
        self.tasks.submit("run", lambda: read_run(folder), self._accept_session, self._report)

    def open_files(self, paths: Sequence[str | Path]) -> None:
        """Open files in the viewer that suits them, and measure them; folders are opened in the browser."""
        places = [Path(path) for path in paths]
        folders = [path for path in places if path.is_dir()]
        if folders:
            self.open_folder(folders[0])
            for folder in folders[1:]:
                self.add_folder(folder)
        files = [path for path in places if not path.is_dir()]
        if files:
            self._open(files)
            self.measure([path for path in files if is_fits(path)])

    def add_folder(self, folder: str | Path) -> None:
        """Measure the products of another folder, too: a further run or night."""
        place = Path(folder)

        def work() -> list[Metrics]:
            return _measure_run(place, self.measurement.cache)

        self.tasks.submit(f"add {place}", work, self._add_rows, self._report)

    def show_products(self, products: Sequence[Product], names: Sequence[str] | None = None) -> None:
        """Show products in memory: images, headers and numbers."""
        names = list(names or [product.name for product in products])
        self.products = dict(zip(names, products, strict=True))
        self.image.show_products(products, names)
        self.header.show_products(products, names)
        self.difference.show_products(products, names)
        pairs = list(zip(products, names, strict=True))
        self.tasks.submit(
            "products", lambda: [measure_product(p, n) for p, n in pairs], self._accept_rows, self._report
        )

    def show_reduction(self, rows: Sequence[ReductionRow]) -> None:
        """Show the numbers of the steps of a reduction along the recipe."""
        known = {row.text("file"): row for row in self.rows if row.path is not None}
        self.measurement.cancel()
        self._accept_rows(merge_reduction_rows(rows, known))
        self.plot.choose("step", self.plot.chosen[1] or "noise", "filter" if known else "")

    def measure(self, paths: Sequence[Path]) -> None:
        """Measure files; the table fills while that goes on."""
        self._extra, self._pending = [], []
        self.products = {}
        self.measurement.start(paths)
        self._show_progress(0, len(paths))

    def compare_with(self, folder: str | Path) -> None:
        """Compare the products that are shown with those of another folder."""
        place = Path(folder)
        name = place.name

        def work() -> list[Metrics]:
            return _measure_run(place, self.measurement.cache)

        self.tasks.submit("compare runs", work, lambda rows: self._accept_second(name, rows), self._report)

    @property
    def image(self) -> ImageViewer:
        """The image viewer, made when first asked for."""
        if self._image is None:
            from sofia_viewers.image.viewer import ImageViewer

            self._image = ImageViewer(store=self.store)
            self._image.failed.connect(self._report)
            self._image.settings_panel.applied.connect(self._take_image_settings)
            self.hint.hide()
            self._image_place.addWidget(self._image)
        return self._image

    @property
    def spectrum(self) -> SpectrumViewer:
        """The spectrum viewer, made when first asked for."""
        if self._spectrum is None:
            from sofia_viewers.spectrum.viewer import SpectrumViewer

            self._spectrum = SpectrumViewer()
            self._spectrum.failed.connect(self._report)
            self._spectrum_place.addWidget(self._spectrum)
        return self._spectrum

    def show_side_panel(self, on: bool) -> None:
        """Show or hide the browser of files."""
        self.browser.setVisible(on)
        self.browser_button.setChecked(on)

    def show_tab(self, name: str) -> None:
        """Show a tab: Image, Spectrum, Header, Difference, Numbers, Compare runs, Gallery, Frames or Report."""
        self.tabs.setCurrentIndex(_TABS.index(name))

    def is_ready(self) -> bool:
        """Tell whether all that was asked for is shown."""
        viewers = (self._image, self._spectrum)
        viewers_ready = all(viewer is None or viewer.is_ready() for viewer in viewers)
        working = self.measurement.is_running or self.plot.is_due
        return self.tasks.is_idle and not working and viewers_ready

    def can_export(self) -> bool:
        """Tell whether there is something to write."""
        return bool(self.rows)

    def export(self, path: str | Path, size: tuple[int, int] | None = None) -> Path:
        """Write table and plot as PNG, PDF or SVG, the table as CSV, ECSV or VOTable, or the report as HTML.

        Raises
        ------
        InputError
            If the suffix is none of these, or the file cannot be written.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        if suffix in PICTURE_SUFFIXES:
            from sofia_viewers.export import export_widget

            self.plot.draw_now()
            return export_widget(self.numbers, target, size)
        if suffix == ".html":
            from sofia_viewers.quality.report import write_report

            work = self._prepare_report()
            if work is None:
                raise InputError(f"{target} was not written: there are no products to report on.")
            return write_report(work(self.report.comments.text()), target)
        if suffix in EXPORT_SUFFIXES:
            return self.table.export(target)
        raise InputError(f"{target} cannot be written: name a file that ends with {', '.join(EXPORT_SUFFIXES)}.")

    # -- parts ------------------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.browser = FileBrowser(self.tasks)
        self.header = HeaderView(self.tasks)
        self.difference = DifferenceView(self.tasks)
        self.table = MetricsTable()
        self.plot = TrendPlot()
        self.compare = CompareRunsView()
        self.gallery = Gallery(self.tasks)
        self.frames = DetectorView(self.tasks)
        self.report = ReportView(self.tasks, self._prepare_report)
        self.tabs = QtWidgets.QTabWidget()
        self.browser_button = QtWidgets.QToolButton()
        self.status = QtWidgets.QLabel()
        self.progress = QtWidgets.QProgressBar()
        self.stop_button = QtWidgets.QPushButton("Stop")
        self.hint = QtWidgets.QLabel(_EMPTY)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.hint.setProperty("role", "muted")
        self.all_steps = QtWidgets.QCheckBox("Steps without files")
        self.limit = QtWidgets.QDoubleSpinBox()

    def _lay_out(self) -> None:
        self._image_page = QtWidgets.QWidget()
        self._image_place = QtWidgets.QVBoxLayout(self._image_page)
        self._image_place.setContentsMargins(0, 0, 0, 0)
        self._image_place.addWidget(self.hint)
        self._spectrum_page = QtWidgets.QWidget()
        self._spectrum_place = QtWidgets.QVBoxLayout(self._spectrum_page)
        self._spectrum_place.setContentsMargins(0, 0, 0, 0)
        pages = (
            self._image_page, self._spectrum_page, self.header, self.difference, self._lay_out_numbers(),
            self.compare, self.gallery, self.frames, self.report,
        )  # fmt: skip
        for name, page in zip(_TABS, pages, strict=True):
            self.tabs.addTab(page, name)
        self.tabs.setUsesScrollButtons(True)
        self.browser_button.setIcon(icon("folder"))
        self.browser_button.setToolTip("Show or hide the browser of files")
        self.browser_button.setAccessibleName("Browser of files")
        self.browser_button.setCheckable(True)
        self.browser_button.setChecked(True)
        self.browser_button.toggled.connect(self.browser.setVisible)
        self.tabs.setCornerWidget(self.browser_button, Qt.Corner.TopLeftCorner)
        splitter = QtWidgets.QSplitter()
        splitter.addWidget(self.browser)
        splitter.addWidget(self.tabs)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([360, 900])
        self.splitter = splitter
        self.status.setWordWrap(True)
        self.progress.setMaximumWidth(220)
        self.progress.hide()
        self.stop_button.hide()
        line = QtWidgets.QHBoxLayout()
        line.addWidget(self.status, 1)
        line.addWidget(self.progress)
        line.addWidget(self.stop_button)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.addWidget(splitter, 1)
        layout.addLayout(line)

    def _lay_out_numbers(self) -> QtWidgets.QWidget:
        self.numbers = QtWidgets.QSplitter(Qt.Orientation.Vertical)
        self.numbers.addWidget(self.table)
        self.numbers.addWidget(self.plot)
        self.numbers.setSizes([300, 320])
        self.all_steps.setToolTip("Also list the numbers of steps whose products were not saved.")
        self.limit.setRange(1.0, 100.0)
        self.limit.setSuffix(" σ")
        self.limit.setToolTip("Numbers farther from the median of like products are marked as outliers.")
        self.limit.setAccessibleName("Outlier limit")
        line = QtWidgets.QHBoxLayout()
        line.setContentsMargins(4, 4, 4, 0)
        rows: tuple[tuple[str, str, Callable[[], Any]], ...] = (
            ("Add folder …", "Add the products of another run or night", self._ask_add),
            ("Copy", "Copy the table that is shown", self.table.copy),
            ("Export …", "Table as CSV, ECSV, VOTable; table and plot as PNG, PDF, SVG", self._ask_export),
            ("Show code", "The Python that makes this plot", self._show_code),
        )
        self.number_buttons = {}
        for name, tip, call in rows:
            button = QtWidgets.QPushButton(name)
            button.setToolTip(tip)
            button.clicked.connect(lambda _checked=False, call=call: call())
            line.addWidget(button)
            self.number_buttons[name] = button
        line.addWidget(self.all_steps)
        line.addStretch(1)
        line.addWidget(QtWidgets.QLabel("Outliers beyond"))
        line.addWidget(self.limit)
        page = QtWidgets.QWidget()
        layout = QtWidgets.QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(line)
        layout.addWidget(self.numbers, 1)
        return page

    def _connect(self) -> None:
        self.tasks.failed.connect(self._report)
        self.browser.files_opened.connect(self._open)
        self.browser.selection_changed.connect(self._follow_selection)
        self.browser.folder_changed.connect(self._take_folder)
        self.browser.settings_changed.connect(self._keep_settings)
        self.tabs.currentChanged.connect(lambda _place: self._fill_tab())
        self.measurement.rows_changed.connect(self._take_measured)
        self.measurement.progressed.connect(self._show_progress)
        self.measurement.finished.connect(self._end_progress)
        self.stop_button.clicked.connect(self.measurement.cancel)
        self.table.rows_selected.connect(self.plot.select)
        self.table.row_opened.connect(self._open_row)
        self.table.hidden_changed.connect(lambda _keys: self._keep_settings())
        self.plot.rows_selected.connect(self.table.select)
        self.plot.row_clicked.connect(self._preview_row)
        self.plot.axes_changed.connect(lambda *_columns: self._keep_settings())
        self.all_steps.toggled.connect(lambda _on: self._merge_and_show())
        self.limit.valueChanged.connect(self._take_limit)
        self.compare.second_asked.connect(self._ask_second)
        self.compare.pair_opened.connect(self._open_pair)
        self.gallery.file_opened.connect(lambda path: self._open([path]))

    # -- settings ---------------------------------------------------------------------------------------------------

    def _apply_settings(self) -> None:
        settings = self.settings
        parts = (self.browser, self.table, self.plot, self.limit, self.browser.thumbnails)
        for part in parts:
            part.blockSignals(True)
        self.header.extension = self.store.load("display").extension
        self.browser.filter.setText(settings.file_filter)
        self.browser.set_columns(settings.header_columns)
        self.browser.thumbnails.setChecked(settings.thumbnails)
        self.table.set_hidden([key.strip() for key in settings.hidden_columns.split(",") if key.strip()])
        self.plot.choose(settings.x_column, settings.y_column, settings.group_column)
        self.limit.setValue(settings.outlier_limit)
        for part in parts:
            part.blockSignals(False)

    def _take_image_settings(self, section: str, settings: Any) -> None:
        """Show the headers of the extensions that the image viewer shows."""
        if section == "display":
            self.header.set_extension(settings.extension)

    def _keep_settings(self) -> None:
        x, y, group = self.plot.chosen if self.rows else (
            self.settings.x_column, self.settings.y_column, self.settings.group_column
        )  # fmt: skip
        self.settings = self.settings.model_copy(
            update={
                "folder": str(self.browser.history.current or ""),
                "file_filter": self.browser.filter.text(),
                "header_columns": self.browser.keywords.text(),
                "thumbnails": self.browser.thumbnails.isChecked(),
                "hidden_columns": ", ".join(self.table.hidden),
                "outlier_limit": self.limit.value(),
                "x_column": x,
                "y_column": y,
                "group_column": group,
            }
        )
        try:
            save_settings(self.store, self.settings)
        except OSError as error:
            self.say(f"The settings cannot be saved in {self.store.folder}: {error.strerror or error}.")

    # -- folders and files ------------------------------------------------------------------------------------------

    def _take_folder(self, folder: Path | None) -> None:
        self._problems = []
        if folder is None:
            return
        if is_session(folder):
            self.open_session(folder)
            return
        self.record = None
        self._pending = list(self.browser.fits_files)
        self.measurement.cancel()
        self._extra = []
        self._set_rows([])
        self.say(f"{len(self._pending)} FITS files in {folder}." if self._pending else f"No FITS files in {folder}.")
        self.tasks.submit("run", lambda: _read_run_if_any(folder), self._accept_record, self._report)
        self._keep_settings()
        self._fill_tab()

    def _fill_tab(self) -> None:
        """Do what the tab in front needs: numbers are measured when they are looked at."""
        name = _TABS[self.tabs.currentIndex()]
        if name in ("Numbers", "Compare runs", "Report") and self._pending:
            self.measure(self._pending)
        if name == "Gallery":
            self._fill_gallery()
        if name in ("Header", "Difference", "Frames") and self.browser.selected:
            self._follow_selection(self.browser.selected)
        if name == "Image":
            _ = self.image
        if name == "Spectrum":
            _ = self.spectrum

    def _fill_gallery(self) -> None:
        folder = self.browser.history.current
        products = self.browser.fits_files
        if folder is not None and not is_session(folder):
            work = partial(find_files, [folder], ("*.png", "*.jpg", "*.jpeg"))
            self.tasks.submit("pictures of folder", work, lambda paths: self.gallery.show_files(paths, products))
        elif self.record is not None:
            self.gallery.show_files(self.record.pictures, self.record.files)

    def _open(self, paths: Sequence[Path]) -> None:
        """Open files as a double click does: images and regions in the image viewer, others by the system."""
        kinds = {path: find_kind(path) for path in paths}
        shown = [path for path, kind in kinds.items() if kind in ("fits", "regions")]
        for path, kind in kinds.items():
            if kind not in ("fits", "regions"):
                QtGui.QDesktopServices.openUrl(QtCore.QUrl.fromLocalFile(str(path)))
        if shown:
            self.header.open_files([path for path in shown if kinds[path] == "fits"])
            self._view(shown)

    def _view(self, paths: Sequence[Path], *, switch: bool = True) -> None:
        """Show files in the image or the spectrum viewer, or both, by what their headers say."""

        def show(routes: dict[str, list[Path]]) -> None:
            if routes["spectrum"]:
                self.spectrum.open_files(routes["spectrum"])
            if routes["image"]:
                self.image.open_files(routes["image"])
            if switch:
                self.show_tab("Image" if routes["image"] else "Spectrum")

        self.tasks.submit("route", partial(_route, tuple(paths)), show, self._report)

    def _follow_selection(self, paths: Sequence[Path]) -> None:
        """Show headers, differences or frames of what is selected in the browser, in the tab in front."""
        files = [path for path in paths if is_fits(path)]
        name = _TABS[self.tabs.currentIndex()]
        if not files:
            return
        if name == "Header":
            self.header.open_files(files)
        elif name == "Difference":
            self.difference.open_files(files)
        elif name == "Frames":
            self.frames.open_file(files[0])
        elif name == "Numbers":
            wanted = set(files)
            rows = [number for number, row in enumerate(self.rows) if row.path in wanted]
            self.table.select(rows)
            self.plot.select(rows)

    # -- numbers ----------------------------------------------------------------------------------------------------

    def _accept_record(self, record: RunRecord | None) -> None:
        self.record = record
        self._merge_and_show()

    def _accept_session(self, record: RunRecord) -> None:
        self.record = record
        self._pending = []
        self.say(f"Session in {record.folder}: {len(record.steps)} steps, {len(record.files)} files saved.")
        self.all_steps.setChecked(True)
        self.measure(record.files)
        self.plot.choose("step", self.plot.chosen[1] or "noise", "filter")

    def _take_measured(self, rows: list[Metrics]) -> None:
        self._merge_and_show(rows)

    def _merge_and_show(self, rows: Sequence[Metrics] | None = None) -> None:
        if self.products:
            return
        found = list(self.measurement.rows if rows is None else rows)
        if self.record is not None:
            found = merge_steps(found, self.record)
            if self.all_steps.isChecked():
                saved = {row.text("file") for row in found}
                unsaved = [row for row in list_step_rows(self.record) if row.product not in saved]
                found = sorted([*found, *merge_reduction_rows(unsaved)], key=_step_order)
        self._set_rows([*found, *self._extra])

    def _accept_rows(self, rows: list[Metrics]) -> None:
        self._pending = []
        self._set_rows(rows)

    def _add_rows(self, rows: list[Metrics]) -> None:
        if self._pending:
            pending, self._pending = self._pending, []
            self.measurement.start(pending)
        self._extra += rows
        self._merge_and_show()
        self.plot.choose(*self.plot.chosen[:2], "run")

    def _set_rows(self, rows: list[Metrics]) -> None:
        self.rows = rows
        self.table.set_rows(rows)
        self.plot.set_rows(rows)
        self._problems = [*dict.fromkeys(row.problem for row in rows if row.problem)]
        if not self.measurement.is_running:
            self._judge_rows()

    def _judge_rows(self) -> None:
        """Mark outliers and compare with the second run, once all rows are there."""
        rows, limit = self.rows, self.limit.value()
        self.tasks.submit("outliers", lambda: find_outliers(rows, limit), self._show_outliers)
        if self._second is not None:
            self.compare.set_runs(rows, self._second[1], (self._folder_name(), self._second[0]))

    def _show_outliers(self, outliers: dict[int, dict[str, float]]) -> None:
        self.table.set_outliers(outliers)
        self.plot.set_outliers(outliers)

    def _take_limit(self) -> None:
        self._keep_settings()
        self._judge_rows()

    def _show_progress(self, done: int, total: int) -> None:
        self.progress.setRange(0, max(total, 1))
        self.progress.setValue(done)
        self.progress.setFormat(f"measuring {done} of {total}")
        self.progress.setVisible(done < total)
        self.stop_button.setVisible(done < total)

    def _end_progress(self, complete: bool) -> None:
        self.progress.hide()
        self.stop_button.hide()
        failed = len(self._problems)
        total = len(self.measurement.paths)
        text = f"{total - failed} of {total} files measured." if complete else "Stopped."
        self.say(text + (f" {self._problems[0]}" if failed else ""))

    def _preview_row(self, row: int) -> None:
        """Show the image behind a point; the plot stays in front."""
        self._open_row(row, switch=False)

    def _open_row(self, row: int, *, switch: bool = True) -> None:
        metrics = self.rows[row]
        product = self.products.get(metrics.text("file"))
        if metrics.path is not None:
            self._view([metrics.path], switch=switch)
            return
        if product is not None:
            self.image.show_products([product], [metrics.text("file")])
        elif metrics.state_key:
            self.state_opened.emit(metrics.state_key)
            return
        else:
            self.say(f"{metrics.text('file')} was not saved; there is no image to show.")
            return
        if switch:
            self.show_tab("Image")

    # -- two runs ---------------------------------------------------------------------------------------------------

    def _accept_second(self, name: str, rows: list[Metrics]) -> None:
        self._second = (name, rows)
        self.compare.set_runs(self.rows, rows, (self._folder_name(), name))

    def _folder_name(self) -> str:
        folder = self.record.folder if self.record is not None else self.browser.history.current
        return folder.name if folder is not None else "shown"

    def _open_pair(self, pair: tuple[Metrics, Metrics]) -> None:
        paths = [row.path for row in pair if row.path is not None]
        if paths:
            self.image.open_files(paths)
            self.difference.open_files(paths)
            self.show_tab("Image")

    # -- report -----------------------------------------------------------------------------------------------------

    def _prepare_report(self) -> Callable[[str], Report] | None:
        folder = self.browser.history.current
        record, rows = self.record, list(self.rows)
        if record is None and folder is None and not rows:
            return None
        if record is None:
            files = tuple(row.path for row in rows if row.path is not None)
            place = folder or (files[0].parent if files else Path.cwd())
            record = RunRecord(place, files=files)
        known = record
        return lambda comments: make_report(known, rows, comments)

    # -- asking -----------------------------------------------------------------------------------------------------

    def _ask_folder(self, title: str) -> str:
        return QtWidgets.QFileDialog.getExistingDirectory(self, title, str(self.browser.history.current or Path.home()))

    def _ask_add(self) -> None:
        folder = self._ask_folder("Add the products of a folder")
        if folder:
            self.add_folder(folder)

    def _ask_second(self) -> None:
        folder = self._ask_folder("Compare with the products of a folder")
        if folder:
            self.compare_with(folder)

    def _ask_export(self) -> None:
        kinds = "Tables (*.ecsv *.csv *.vot);;Pictures (*.png *.pdf *.svg);;Report (*.html)"
        name, _ = QtWidgets.QFileDialog.getSaveFileName(self, "Export", "quality.ecsv", kinds)
        if name:
            try:
                self.export(Path(name))
            except SofiaDeskError as error:
                self._report(str(error))

    def _show_code(self) -> None:
        from sofia_viewers.quality.code_sample import write_code

        paths = [row.path for row in self.rows if row.path is not None]
        dialog = QtWidgets.QDialog(self)
        dialog.setWindowTitle("Code")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        text = QtWidgets.QPlainTextEdit(write_code(paths, *self.plot.chosen), readOnly=True)
        text.setFont(QtGui.QFontDatabase.systemFont(QtGui.QFontDatabase.SystemFont.FixedFont))
        text.setLineWrapMode(QtWidgets.QPlainTextEdit.LineWrapMode.NoWrap)
        layout = QtWidgets.QVBoxLayout(dialog)
        layout.addWidget(text)
        dialog.resize(760, 520)
        self.code_dialog = dialog
        dialog.open()

    # -- Qt ---------------------------------------------------------------------------------------------------------

    def shut_down(self) -> None:
        """Stop timers and threads; call it before the viewer is deleted without having been closed."""
        self.frames.play(False)
        self.measurement.close()
        if self._image is not None:
            self._image.shut_down()
        if self._spectrum is not None:
            self._spectrum.close()
        super().shut_down()


def _route(paths: tuple[Path, ...]) -> dict[str, list[Path]]:
    """Sort files by the viewers that can show them; one that cannot be read goes to the image viewer, which says so."""
    routes: dict[str, list[Path]] = {"image": [], "spectrum": []}
    for path in paths:
        try:
            viewers = choose_viewers(read_headers(path)) if is_fits(path) else ("image",)
        except SofiaDeskError:
            viewers = ("image",)
        for viewer in viewers:
            routes[viewer].append(path)
    return routes


def _read_run_if_any(folder: Path) -> RunRecord | None:
    try:
        return read_run(folder)
    except SofiaDeskError:  # a folder without products is no reduction
        return None


def _measure_run(folder: Path, cache: MetricsCache) -> list[Metrics]:
    """Measure the products of a folder or session, with what its steps said of them."""
    record = read_run(folder)
    rows: dict[int, Metrics] = {}
    measure_files(record.files, rows.__setitem__, cache=cache, jobs=1)
    return merge_steps([rows[place] for place in sorted(rows)], record)


def _step_order(row: Metrics) -> tuple[float, str]:
    order = row.values.get("order")
    return (float(order) if isinstance(order, int | float) else float("inf"), row.text("file"))
