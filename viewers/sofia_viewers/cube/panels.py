"""The tool panels: what they show and ask for; the explorer does it."""

from __future__ import annotations

from collections.abc import Sequence

from sofia_viewers.cube.derived import OPERATORS
from sofia_viewers.cube.extraction import STATISTICS
from sofia_viewers.cube.forms import Panel, make_double, make_integer
from sofia_viewers.qt import Qt, QtCore, QtWidgets, Signal
from sofia_viewers.spectrum.profiles import PROFILES
from sofia_viewers.spectrum.sections import LimitEdit, make_button, make_combo

__all__ = ["MASKS", "CutPanel", "EditPanel", "FitPanel", "LinksPanel", "MapsPanel", "SpectraPanel"]

MASKS = ("All pixels", "Inside the region", "Outside the region", "Above the level", "Below the level")
_KERNELS = (("Off", 0), ("1 pixel", 1), ("5 pixels", 5), ("9 pixels", 9))
_DEGREES = (("None", None), ("Constant", 0), ("Linear", 1), ("Quadratic", 2), ("Cubic", 3))
_KEY = Qt.ItemDataRole.UserRole


class SpectraPanel(Panel):
    """How spectra are extracted."""

    statistic_chosen = Signal(str)
    kernel_chosen = Signal(int)
    planes_chosen = Signal(object)
    shape_chosen = Signal(str)
    velocity_chosen = Signal(bool)
    transmission_chosen = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.statistic = make_combo(list(STATISTICS), "How the pixels of a region are combined")
        self.kernel = make_combo([name for name, _ in _KERNELS], "Spectrum under the cursor: mean of so many pixels")
        self.planes = QtWidgets.QWidget()
        self._plane_rows = QtWidgets.QVBoxLayout(self.planes)
        self._plane_rows.setContentsMargins(0, 0, 0, 0)
        self._plane_rows.setSpacing(2)
        self.plane_boxes: dict[str, QtWidgets.QCheckBox] = {}
        self.rest, self.redshift = (
            LimitEdit("Rest wavelength of velocities, μm"), LimitEdit("Redshift that velocities are relative to"),
        )  # fmt: skip
        self.rest.setPlaceholderText("none")
        self.redshift.setPlaceholderText("z")
        self.velocity = QtWidgets.QCheckBox("Velocity axis")
        self.velocity.setToolTip("Show spectra over velocity; needs a rest wavelength")
        self.transmission = QtWidgets.QCheckBox("Transmission of the atmosphere")
        self.transmission.setToolTip("Draw the transmission that comes with the cube on the right axis")
        shapes = QtWidgets.QWidget()
        row = QtWidgets.QHBoxLayout(shapes)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        self.shapes: dict[str, QtWidgets.QToolButton] = {}
        for shape in ("point", "circle", "ellipse", "box", "polygon", "lasso", "annulus"):
            button = QtWidgets.QToolButton()
            button.setToolTip("Single pixel" if shape == "point" else f"Draw an aperture: {shape}")
            button.setAccessibleName(shape)
            button.clicked.connect(lambda _=False, shape=shape: self.shape_chosen.emit(shape))
            self.shapes[shape] = button
            row.addWidget(button)
        row.addStretch(1)
        self.add("Aperture", shapes)
        self.add("Pixels", self.statistic)
        self.add("Cursor", self.kernel)
        self.add("Rest [μm]", self.rest, self.redshift)
        self.add("", self.velocity)
        self.add("", self.transmission)
        self._plane_row = self.form.rowCount()
        self.add("Planes", self.planes)
        self.form.setRowVisible(self._plane_row, False)
        self.statistic.textActivated.connect(self.statistic_chosen)
        self.kernel.activated.connect(lambda i: self.kernel_chosen.emit(_KERNELS[i][1]))
        self.velocity.toggled.connect(self.velocity_chosen)
        self.transmission.toggled.connect(self.transmission_chosen)

    def show_planes(self, names: Sequence[str]) -> None:
        """List the planes that can be extracted."""
        if list(names) == list(self.plane_boxes):
            return
        chosen = set(self._chosen())
        for box in self.plane_boxes.values():
            self._plane_rows.removeWidget(box)
            box.deleteLater()
        self.plane_boxes = {name: QtWidgets.QCheckBox(name) for name in names}
        for name, box in self.plane_boxes.items():
            box.setChecked(name in chosen)
            box.setToolTip("Draw this plane, too: beside the flux, or on the right axis if its unit is another")
            box.toggled.connect(lambda _: self.planes_chosen.emit(self._chosen()))
            self._plane_rows.addWidget(box)
        self.form.setRowVisible(self._plane_row, bool(names))

    def show_kernel(self, kernel: int) -> None:
        """Show how many pixels under the cursor are averaged."""
        self.kernel.setCurrentIndex([value for _, value in _KERNELS].index(kernel))

    def _chosen(self) -> tuple[str, ...]:
        return tuple(name for name, box in self.plane_boxes.items() if box.isChecked())


class MapsPanel(Panel):
    """The range of the line, its continuum, masks; moments and channel maps."""

    range_requested = Signal()
    window_requested = Signal()
    windows_cleared = Signal()
    moments_requested = Signal()
    channels_requested = Signal(int)
    contours_requested = Signal()
    save_requested = Signal()
    clear_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.range = QtWidgets.QLabel()
        self.range.setWordWrap(True)
        self.range.setProperty("role", "muted")
        self.select = make_button("Line range", "Then two clicks or a drag in the spectrum")
        self.window_button = make_button("Continuum +", "Add a range of the continuum: two clicks or a drag")
        self.clear_windows = make_button("Clear", "Remove the ranges of the continuum: all beside the line is used")
        self.live = QtWidgets.QCheckBox("Image of the range")
        self.live.setChecked(True)
        self.live.setToolTip("Show the mean of the selected range as an image")
        self.how = make_combo(["mean", "sum"], "How the slices of the range are combined")
        self.degree = make_combo([name for name, _ in _DEGREES], "Polynomial of the continuum of each pixel")
        self.degree.setCurrentIndex(2)
        self.least = make_double(0.0, 1000.0, 3.0, 1, "Least signal-to-noise of the flux for velocity and width")
        self.clip = make_double(0.0, 100.0, 0.0, 1, "Leave out slices fainter than this many errors; 0: none")
        self.mask_choice = make_combo(list(MASKS), "Which pixels are measured")
        self.level = LimitEdit("Level of the current image")
        self.level.setPlaceholderText("level")
        self.moments = make_button("Moments 0–4", "Flux, velocity, dispersion, skewness, kurtosis, with errors")
        self.channels = make_button("Channel maps", "Divide the range into channels and show each")
        self.count = make_integer(2, 64, 9, "Number of channels")
        self.save = make_button("Save maps …", "Write all maps as FITS, or a table of them as ECSV")
        self.clear = make_button("Remove maps", "Remove all maps from the view")
        self.add("Range", self.range)
        self.add("", self.select, self.window_button, self.clear_windows)
        self.add("", self.live, self.how)
        self.add("Continuum", self.degree)
        self.add("Least S/N", self.least)
        self.add("Clip below", self.clip)
        self.add("Mask", self.mask_choice, self.level)
        self.add("", self.moments)
        self.add("", self.channels, self.count)
        self.add("", self.save, self.clear)
        self.contours = make_button("Save contours …", "Write the contours of the current image as JSON, or for DS9")
        self.add("", self.contours)
        for button, signal in (
            (self.contours, self.contours_requested), (self.select, self.range_requested),
            (self.window_button, self.window_requested),
            (self.clear_windows, self.windows_cleared), (self.moments, self.moments_requested),
            (self.save, self.save_requested), (self.clear, self.clear_requested),
        ):  # fmt: skip
            button.clicked.connect(signal)
        self.channels.clicked.connect(lambda: self.channels_requested.emit(self.count.value()))

    @property
    def chosen_degree(self) -> int | None:
        """Degree of the continuum; None for none."""
        return _DEGREES[self.degree.currentIndex()][1]

    def choose_degree(self, degree: int | None) -> None:
        """Choose the degree of the continuum; one that is not listed changes nothing."""
        known = [value for _, value in _DEGREES]
        if degree in known:
            self.degree.setCurrentIndex(known.index(degree))


class FitPanel(Panel):
    """Fits of lines to every pixel."""

    fit_requested = Signal()
    cells_requested = Signal(float)
    adopt_requested = Signal()
    open_requested = Signal()
    save_requested = Signal()
    clear_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        note = QtWidgets.QLabel("Range, continuum, mask and least S/N are those of the maps.")
        note.setWordWrap(True)
        note.setProperty("role", "muted")
        self.shape = make_combo([name.capitalize() for name in PROFILES], "Shape of the lines")
        self.sign = make_combo(["Emission", "Absorption"], "Kind of line")
        self.fit = make_button("Fit all pixels", "Maps of flux, velocity, width and others, with errors")
        self.cell = make_double(1.0, 500.0, 5.0, 1, "Distance of the middles of the cells, pixels")
        self.cells = make_button("Fit cells", "Fit mean spectra of cells: first values for their pixels")
        self.adopt = make_button("From last fit", "Take the lines of the last fit in the spectrum as first values")
        self.open = make_button("Open …", "Read first values")
        self.save = make_button("Save …", "Write first values")
        self.clear = make_button("Clear", "Find first values in each spectrum")
        self.state = QtWidgets.QLabel()
        self.state.setWordWrap(True)
        self.state.setProperty("role", "muted")
        self.add("", note)
        self.add("Line", self.shape, self.sign)
        self.add("", self.fit)
        self.add_heading("First values")
        self.add("", self.state)
        self.add("Cells", self.cell, self.cells)
        self.add("", self.adopt, self.clear)
        self.add("", self.open, self.save)
        self.fit.clicked.connect(self.fit_requested)
        self.cells.clicked.connect(lambda: self.cells_requested.emit(self.cell.value()))
        for button, signal in (
            (self.adopt, self.adopt_requested), (self.open, self.open_requested), (self.save, self.save_requested),
            (self.clear, self.clear_requested),
        ):  # fmt: skip
            button.clicked.connect(signal)
        self.show_guesses(0)

    def show_guesses(self, count: int, lines: int = 1) -> None:
        """Say which first values there are."""
        text = "Found in each spectrum." if not count else f"{lines} line{'s' * (lines > 1)} at {count} places."
        self.state.setText(text)
        self.save.setEnabled(count > 0)
        self.clear.setEnabled(count > 0)


class CutPanel(Panel):
    """Cuts of position against wavelength."""

    draw_requested = Signal()
    cut_requested = Signal()
    save_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        note = QtWidgets.QLabel("The cut follows the selected line (or polygon) on the image while it is dragged.")
        note.setWordWrap(True)
        note.setProperty("role", "muted")
        self.draw = make_button("Draw line", "Then drag on the image")
        self.cut = make_button("Cut", "Cut the cube along the selected line")
        self.width_box = make_double(1.0, 200.0, 1.0, 0, "Pixels across the line that are averaged")
        self.live = QtWidgets.QCheckBox("Follow the line")
        self.live.setChecked(True)
        self.save = make_button("Save cut …", "Write the cut as FITS or ECSV, or its picture")
        self.add("", note)
        self.add("Width [pixel]", self.width_box)
        self.add("", self.live)
        self.add("", self.draw, self.cut)
        self.add("", self.save)
        self.draw.clicked.connect(self.draw_requested)
        self.cut.clicked.connect(self.cut_requested)
        self.save.clicked.connect(self.save_requested)
        self.width_box.valueChanged.connect(self.cut_requested)


class EditPanel(Panel):
    """Crop, mask, arithmetic, continuum, atmosphere; all give a new cube."""

    crop_requested = Signal()
    mask_requested = Signal()
    subtract_requested = Signal()
    combine_requested = Signal(str, str)
    telluric_requested = Signal(str)
    psf_requested = Signal()
    footprints_requested = Signal()
    save_requested = Signal()
    close_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.crop = make_button("Crop", "To the selected range of wavelengths and the box around the selected region")
        self.mask_button = make_button("Mask", "Blank what the mask of the maps leaves out")
        self.subtract = make_button("Subtract continuum", "The polynomial of each pixel beside the line")
        self.operator = make_combo(list(OPERATORS), "Operation")
        self.other = make_combo([], "Other cube")
        self.combine = make_button("Apply", "Combine the current cube with the other, on the grid of the current one")
        self.telluric = make_combo(
            ["Reference", "Median", "None"],
            "Divide by the transmission at the reference wavelength, or its median, instead of that of each slice",
        )
        self.correct = make_button("Correct", "Take back the correction of each slice, and divide by one value")
        self.water = make_double(0.0, 50.0, 5.0, 1, "Precipitable water vapour, μm")
        self.wet = make_button("New vapour", "Correct with the model of another amount of water vapour")
        self.psf = make_button("PSF", "Width of the selected region's source in the image, against what is expected")
        self.footprints = make_button("Footprints …", "Draw the pixels of FIFI-LS files before resampling on the image")
        self.save = make_button("Save cube …", "Write the current cube as FITS")
        self.close_button = make_button("Close cube", "Remove the current cube")
        self.add("Cut out", self.crop, self.mask_button)
        self.add("", self.subtract)
        self.add("Combine", self.operator, self.other, self.combine)
        self.add("Telluric", self.telluric, self.correct)
        self.add("Water [μm]", self.water, self.wet)
        self.add("", self.psf, self.footprints)
        self.add("", self.save, self.close_button)
        for button, signal in (
            (self.crop, self.crop_requested), (self.mask_button, self.mask_requested), (self.psf, self.psf_requested),
            (self.subtract, self.subtract_requested), (self.save, self.save_requested),
            (self.close_button, self.close_requested), (self.footprints, self.footprints_requested),
        ):  # fmt: skip
            button.clicked.connect(signal)
        self.combine.clicked.connect(
            lambda: self.combine_requested.emit(self.operator.currentText(), self.other.currentData() or "")
        )
        self.correct.clicked.connect(
            lambda: self.telluric_requested.emit(("reference", "median", "none")[self.telluric.currentIndex()])
        )
        self.wet.clicked.connect(lambda: self.telluric_requested.emit("water"))

    def show_others(self, others: Sequence[tuple[str, str]]) -> None:
        """List the cubes that can be combined with the current one: name and key."""
        with QtCore.QSignalBlocker(self.other):
            self.other.clear()
            for name, key in others:
                self.other.addItem(name, key)
        self.combine.setEnabled(bool(others))


class LinksPanel(Panel):
    """Linked data sets, what is selected in each, the rows of a catalogue."""

    image_requested = Signal()
    catalog_requested = Signal()
    glue_requested = Signal()
    remove_requested = Signal(str)
    rows_selected = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self.tree = QtWidgets.QTreeWidget()
        self.tree.setAccessibleName("Linked data")
        self.tree.setHeaderLabels(["Data", "Selected"])
        self.tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.tree.header().setStretchLastSection(False)
        self.tree.header().setSectionResizeMode(0, QtWidgets.QHeaderView.ResizeMode.Stretch)
        self.tree.header().setSectionResizeMode(1, QtWidgets.QHeaderView.ResizeMode.ResizeToContents)
        self.tree.setMinimumHeight(90)
        self.rows = QtWidgets.QTableWidget(0, 3)
        self.rows.setAccessibleName("Rows of the catalogue")
        self.rows.setHorizontalHeaderLabels(["Name", "RA", "Dec"])
        self.rows.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.rows.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self.rows.horizontalHeader().setSectionResizeMode(QtWidgets.QHeaderView.ResizeMode.Stretch)
        self.rows.verticalHeader().hide()
        self.rows.setMinimumHeight(90)
        self.rows.hide()
        self.catalog_key = ""
        self.image = make_button("Add image …", "An image of any instrument, linked on the sky")
        self.catalog = make_button("Add catalog …", "A table of positions, linked on the sky")
        self.remove = make_button("Remove", "Remove the chosen data set")
        self.glue = make_button("Open in glue", "The same data, links and selections in a whole glue session")
        self.add("", self.tree)
        self.add("", self.image, self.catalog)
        self.add("", self.remove, self.glue)
        self.add("", self.rows)
        self.image.clicked.connect(self.image_requested)
        self.catalog.clicked.connect(self.catalog_requested)
        self.glue.clicked.connect(self.glue_requested)
        self.remove.clicked.connect(self._remove)
        self.rows.itemSelectionChanged.connect(self._tell_rows)

    def show_data(self, names: Sequence[tuple[str, str]], counts: Sequence[tuple[str, dict[str, int]]]) -> None:
        """Show data sets (key and name), and for each selection how many of their elements it holds."""
        self.tree.clear()
        for key, name in names:
            item = QtWidgets.QTreeWidgetItem([name, ""])
            item.setData(0, _KEY, key)
            item.setToolTip(0, name)
            for selection, members in counts:
                if key in members:
                    item.addChild(QtWidgets.QTreeWidgetItem([selection, f"{members[key]}"]))
            self.tree.addTopLevelItem(item)
        self.tree.expandAll()

    def show_catalog(self, key: str, rows: Sequence[tuple[str, float, float]]) -> None:
        """Show the rows of a catalogue; none hides the table."""
        self.catalog_key = key
        with QtCore.QSignalBlocker(self.rows):
            self.rows.setRowCount(len(rows))
            for number, (name, lon, lat) in enumerate(rows):
                for column, text in enumerate((name, f"{lon:.5f}", f"{lat:+.5f}")):
                    self.rows.setItem(number, column, QtWidgets.QTableWidgetItem(text))
        self.rows.setVisible(bool(rows))

    def mark_rows(self, numbers: Sequence[int]) -> None:
        """Mark the rows that a selection elsewhere holds."""
        with QtCore.QSignalBlocker(self.rows):
            self.rows.clearSelection()
            mode = QtCore.QItemSelectionModel.SelectionFlag
            for number in numbers:
                self.rows.selectionModel().select(self.rows.model().index(number, 0), mode.Select | mode.Rows)

    def _tell_rows(self) -> None:
        self.rows_selected.emit(self.catalog_key, sorted({index.row() for index in self.rows.selectedIndexes()}))

    def _remove(self) -> None:
        item = self.tree.currentItem()
        while item is not None and item.parent() is not None:
            item = item.parent()
        if item is not None:
            self.remove_requested.emit(item.data(0, _KEY))
