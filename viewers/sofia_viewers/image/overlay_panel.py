"""Side panel: switches of the overlays and their options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sofia_engine.errors import SofiaDeskError
from sofia_viewers.image.contours import ContourSettings, Spacing
from sofia_viewers.image.frames import FrameSet
from sofia_viewers.image.overlays import VectorCuts, VectorStyle, read_catalog
from sofia_viewers.qt import QtWidgets, Signal

if TYPE_CHECKING:
    from sofia_viewers.image.viewer import ImageViewer

__all__ = ["OverlayPanel"]

_SWITCHES = (
    ("header", "Header marks"), ("grid", "Sky grid"), ("compass", "Compass"), ("scale_bar", "Scale bar"),
    ("beam", "Beam"), ("color_bar", "Color bar"), ("flags", "Flagged pixels"), ("contours", "Contours"),
    ("vectors", "Polarization vectors"),
)  # fmt: skip
_CUTS = (
    ("min_p_over_error", "p / σ(p) ≥", 0.0, 1000.0, 1), ("min_p", "p ≥ (%)", 0.0, 100.0, 1),
    ("max_p", "p ≤ (%)", 0.0, 1000.0, 1), ("min_i_over_error", "I / σ(I) ≥", 0.0, 1e6, 1),
    ("min_i", "I / max(I) ≥", 0.0, 1.0, 3), ("sampling", "Every n-th pixel", 1.0, 50.0, 0),
)  # fmt: skip


class OverlayPanel(QtWidgets.QWidget):
    """Switches and options of what is drawn over the images."""

    changed = Signal()

    def __init__(self, viewer: ImageViewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._quiet = False
        self.switches = {name: QtWidgets.QCheckBox(text) for name, text in _SWITCHES}
        self.grid_system = QtWidgets.QComboBox()
        self.grid_system.addItems(["icrs", "fk5", "galactic"])
        self.contour_source = QtWidgets.QComboBox()
        self.contour_source.setSizeAdjustPolicy(
            QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.contour_source.setMinimumContentsLength(10)
        self.n_levels = QtWidgets.QSpinBox(minimum=1, maximum=50, value=6)
        self.spacing = QtWidgets.QComboBox()
        self.spacing.addItems(["linear", "sqrt", "log"])
        self.smoothing = QtWidgets.QDoubleSpinBox(minimum=0.0, maximum=50.0, value=1.0, singleStep=0.5)
        self.cuts = {name: _make_spin(low, high, digits) for name, _, low, high, digits in _CUTS}
        self.debiased = QtWidgets.QCheckBox("Debiased p")
        self.field = QtWidgets.QCheckBox("B vectors (else E)")
        self.proportional = QtWidgets.QCheckBox("Length shows p")
        self.scale = QtWidgets.QDoubleSpinBox(minimum=0.01, maximum=1000.0, decimals=2, suffix=" ″ per %")
        self.open_catalog = QtWidgets.QPushButton("Add catalog …")
        self.clear_catalogs = QtWidgets.QPushButton("Remove catalogs")
        self._lay_out()
        self.show_options()
        self._connect()

    def show_options(self) -> None:
        """Show the options as they are."""
        self._quiet = True
        options = self._viewer.overlays.options
        for name, box in self.switches.items():
            box.setChecked(getattr(options, name))
        self.grid_system.setCurrentText(options.grid_system)
        cuts = options.cuts or VectorCuts()
        for name, spin in self.cuts.items():
            spin.setValue(getattr(cuts, name))
        self.debiased.setChecked(cuts.debiased)
        style = options.vector_style
        self.field.setChecked(style.field)
        self.proportional.setChecked(style.proportional)
        self.scale.setValue(style.scale * 3600.0)
        self._quiet = False

    def show_frames(self, frames: FrameSet) -> None:
        """Offer what the frames have."""
        self._quiet = True
        chosen = self._viewer.overlays.options.contour_source
        self.contour_source.clear()
        self.contour_source.addItem("each its own", "")
        for entry in frames.entries:
            self.contour_source.addItem(entry.frame.title, entry.key)
        self.contour_source.setCurrentIndex(max(self.contour_source.findData(chosen), 0))
        shown = frames.entry
        polarized = shown is not None and "POL DATA" in shown.frame.file.tables
        self.vector_box.setVisible(polarized)
        self.switches["vectors"].setEnabled(polarized)
        if polarized and shown is not None and self._viewer.overlays.options.cuts is None:
            self._viewer.overlays.change(cuts=VectorCuts.from_header(shown.frame.file.header))
            self.show_options()
        self._quiet = False

    def _lay_out(self) -> None:
        layout = QtWidgets.QVBoxLayout(self)
        for box in self.switches.values():
            layout.addWidget(box)
        layout.addWidget(self._make_group("Sky grid", (("Coordinates", self.grid_system),)))
        contours = (
            ("Of frame", self.contour_source), ("Levels", self.n_levels), ("Spacing", self.spacing),
            ("Smoothing (px)", self.smoothing),
        )  # fmt: skip
        layout.addWidget(self._make_group("Contours", contours))
        rows = [(label, self.cuts[name]) for name, label, *_ in _CUTS]
        rows += [("Scale", self.scale), ("", self.proportional), ("", self.field), ("", self.debiased)]  # type: ignore[list-item]
        self.vector_box = self._make_group("Polarization vectors", rows)
        layout.addWidget(self.vector_box)
        catalogs = QtWidgets.QHBoxLayout()
        catalogs.addWidget(self.open_catalog)
        catalogs.addWidget(self.clear_catalogs)
        layout.addLayout(catalogs)
        layout.addStretch(1)

    def _make_group(self, title: str, rows: object) -> QtWidgets.QGroupBox:
        box = QtWidgets.QGroupBox(title)
        form = QtWidgets.QFormLayout(box)
        for label, widget in rows:  # type: ignore[attr-defined]
            form.addRow(label, widget)
        return box

    def _connect(self) -> None:
        for box in (*self.switches.values(), self.debiased, self.field, self.proportional):
            box.toggled.connect(self._take)
        for combo in (self.grid_system, self.spacing, self.contour_source):
            combo.activated.connect(self._take)
        for spin in (*self.cuts.values(), self.scale, self.smoothing):
            spin.valueChanged.connect(self._take)
        self.n_levels.valueChanged.connect(self._take)
        self.open_catalog.clicked.connect(self._choose_catalog)
        self.clear_catalogs.clicked.connect(self._clear_catalogs)

    def _take(self) -> None:
        if self._quiet:
            return
        values: dict[str, Any] = {name: spin.value() for name, spin in self.cuts.items()}
        values["sampling"] = int(values["sampling"])
        overlays = self._viewer.overlays
        style = VectorStyle(
            self.scale.value() / 3600.0,
            self.proportional.isChecked(),
            self.field.isChecked(),
            overlays.options.vector_style.color,
        )
        contours = ContourSettings(
            n_levels=self.n_levels.value(),
            spacing=cast("Spacing", self.spacing.currentText()),
            smoothing=self.smoothing.value(),
        )
        overlays.change(
            **{name: box.isChecked() for name, box in self.switches.items()},
            grid_system=self.grid_system.currentText(),
            contour_source=self.contour_source.currentData() or "",
            contour_settings=contours,
            cuts=VectorCuts(**values, debiased=self.debiased.isChecked()),
            vector_style=style,
        )
        self.changed.emit()

    def add_catalog(self, path: Path) -> None:
        """Read a table of positions and show it on all frames."""

        def done(catalog: object) -> None:
            overlays = self._viewer.overlays
            overlays.change(catalogs=(*overlays.options.catalogs, catalog))
            self.changed.emit()

        self._viewer.tasks.submit(f"catalog file {path}", lambda: read_catalog(path), done)

    def _choose_catalog(self) -> None:
        path, _ = QtWidgets.QFileDialog.getOpenFileName(
            self, "Add a catalog", "", "Tables (*.fits *.xml *.vot *.ecsv *.csv *.txt *.dat);;All files (*)"
        )
        if path:
            try:
                self.add_catalog(Path(path))
            except SofiaDeskError as error:
                self._viewer.say(str(error))

    def _clear_catalogs(self) -> None:
        self._viewer.overlays.change(catalogs=())
        self.changed.emit()


def _make_spin(low: float, high: float, digits: int) -> QtWidgets.QDoubleSpinBox:
    spin = QtWidgets.QDoubleSpinBox(minimum=low, maximum=high, decimals=digits)
    spin.setSingleStep(10.0**-digits if digits else 1.0)
    spin.setStepType(QtWidgets.QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
    return spin
