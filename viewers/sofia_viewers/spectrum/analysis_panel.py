"""Panel **Analysis**: fits, reference data, statistics, the atmosphere, operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sofia_engine.errors import ParameterError
from sofia_viewers.qt import QtCore, QtWidgets, Signal
from sofia_viewers.spectrum.annotations import Annotations
from sofia_viewers.spectrum.derivation import Derivation
from sofia_viewers.spectrum.sections import LimitEdit, Section, make_button, make_combo, set_combo
from sofia_viewers.spectrum.session import SpectrumSession
from sofia_viewers.spectrum.transmission import read_sky
from sofia_viewers.spectrum.units import WaveAxis

__all__ = ["AnalysisPanel", "AtmospherePanel", "OperationsPanel"]

_SHAPES = {"Gaussian": "gaussian", "Moffat": "moffat", "Lorentzian": "lorentzian", "Voigt": "voigt", "-": None}
_BASELINES = {"Linear": 1, "Constant": 0, "Polynomial 2": 2, "Polynomial 3": 3, "-": None}
_SIGNS = {"Either": 0, "Emission": 1, "Absorption": -1}


class AnalysisPanel(Section):
    """How to fit, and where the results are."""

    fit_requested = Signal(bool)
    results_requested = Signal()
    lines_requested = Signal()
    statistics_requested = Signal(bool)

    def __init__(self, annotations: Annotations) -> None:
        super().__init__("Analysis")
        self.annotations = annotations
        self.feature = make_combo(list(_SHAPES), "Feature to fit")
        self.background = make_combo(list(_BASELINES), "Baseline under it")
        self.sign = make_combo(list(_SIGNS), "Emission or absorption")
        self.count = QtWidgets.QSpinBox()
        self.count.setRange(1, 8)
        self.count.setToolTip("Number of lines that are fitted together")
        self.count.setAccessibleName("Number of lines")
        self.weighted, self.same_width = QtWidgets.QCheckBox("Weight by error"), QtWidgets.QCheckBox("Same width")
        self.guess_first = QtWidgets.QCheckBox("Drag first values")
        self.guess_first.setToolTip("Show first values with handles; Return fits from where they were dragged")
        self.fixed_width, self.distance = (
            LimitEdit("Fixed FWHM, unit of x; empty: fitted"),
            LimitEdit("Distance, Mpc, for luminosities"),
        )
        self.fixed_width.setPlaceholderText("free")
        self.distance.setPlaceholderText("none")
        self.fit_button = make_button(
            "Fit", "Then two clicks or a drag in the plot (key f); key c hides fits", checkable=True
        )
        self.results = make_button("Open Fit Results", "Table of fits with parameters and residuals")
        self.lines = make_button("Reference Data", "Lists of lines")
        self.statistics = make_button(
            "Statistics", "Mean, noise, integral of a range: two clicks or a drag", checkable=True
        )
        self.add(self.feature, self.count, label="Feature")
        self.add(self.background, label="Background")
        self.add(self.sign, label="Sign")
        self.add(self.weighted, self.same_width)
        self.add(self.guess_first)
        self.add(self.fixed_width, label="FWHM")
        self.add(self.distance, label="Distance")
        self.add(self.fit_button, self.results)
        self.add(self.statistics, self.lines)
        self.feature.activated.connect(lambda _: self._choose(shape=_SHAPES[self.feature.currentText()]))
        self.background.activated.connect(lambda _: self._choose(degree=_BASELINES[self.background.currentText()]))
        self.sign.activated.connect(lambda _: self._choose(sign=_SIGNS[self.sign.currentText()]))
        self.count.valueChanged.connect(lambda value: self._choose(count=value))
        self.weighted.clicked.connect(lambda on: self._choose(weighted=on))
        self.guess_first.clicked.connect(lambda on: self._choose(guess_first=on))
        self.same_width.clicked.connect(lambda on: self._choose(same_width=on))
        self.fixed_width.committed.connect(lambda value: self._choose(fixed_width=value if value > 0 else None))
        self.distance.committed.connect(self._set_distance)
        self.fit_button.clicked.connect(self.fit_requested)
        self.statistics.clicked.connect(self.statistics_requested)
        self.results.clicked.connect(self.results_requested)
        self.lines.clicked.connect(self.lines_requested)
        self.refresh()

    def refresh(self) -> None:
        """Show what is chosen."""
        choice = self.annotations.choice
        for combo, table, value in (
            (self.feature, _SHAPES, choice.shape), (self.background, _BASELINES, choice.degree),
            (self.sign, _SIGNS, choice.sign),
        ):  # fmt: skip
            set_combo(combo, None, next(name for name, meant in table.items() if meant == value))
        with QtCore.QSignalBlocker(self.count):
            self.count.setValue(choice.count)
        self.weighted.setChecked(choice.weighted)
        self.same_width.setChecked(choice.same_width)
        self.guess_first.setChecked(choice.guess_first)
        self.fixed_width.show_value(choice.fixed_width)
        self.distance.show_value(self.annotations.distance)

    def show_mode(self, mode: str) -> None:
        """Show whether a range is being chosen."""
        self.fit_button.setChecked(mode == "fit")
        self.statistics.setChecked(mode == "region")

    def _choose(self, **changes: Any) -> None:
        self.annotations.choice = replace(self.annotations.choice, **changes)

    def _set_distance(self, value: float) -> None:
        self.annotations.distance = value if value > 0 else None
        self.annotations.tell("fits")


class AtmospherePanel(Section):
    """Transmission of the atmosphere over the current pane."""

    failed = Signal(str)

    def __init__(self, session: SpectrumSession, annotations: Annotations) -> None:
        super().__init__("Atmosphere", is_open=False)
        self.session, self.annotations = session, annotations
        self.shown = QtWidgets.QCheckBox("Show transmission")
        self.altitude, self.zenith = LimitEdit("Altitude, kilofeet"), LimitEdit("Zenith angle, degrees")
        self.pwv, self.resolution = (
            LimitEdit("Water vapour, μm; empty: standard"),
            LimitEdit("Resolving power; 0: as it is"),
        )
        self.from_header = make_button(
            "From header", "Take altitude, zenith angle and resolving power of the first file"
        )
        self.choose_file = make_button("File…", "Use an ATRAN file of your own")
        self.choose_folder = make_button("Folder…", "Choose the nearest of the ATRAN files in a folder")
        self.description = QtWidgets.QLabel()
        self.description.setWordWrap(True)
        self.description.setProperty("role", "muted")
        self.add(self.shown, self.from_header)
        self.add(self.altitude, self.zenith, label="Alt, ZA")
        self.add(self.pwv, self.resolution, label="PWV, R")
        self.add(self.choose_file, self.choose_folder)
        self.form.addWidget(self.description)
        self.shown.clicked.connect(lambda on: session.change_pane(transmission=on))
        for edit, name in (
            (self.altitude, "altitude"), (self.zenith, "zenith_angle"), (self.pwv, "pwv"),
            (self.resolution, "resolution"),
        ):  # fmt: skip
            edit.committed.connect(lambda value, name=name: self._set(**{name: value if math.isfinite(value) else 0.0}))
        self.from_header.clicked.connect(self.take_header)
        self.choose_file.clicked.connect(self._ask_file)
        self.choose_folder.clicked.connect(self._ask_folder)
        session.subscribe(lambda what: self.refresh() if what == "panes" or what.startswith("pane:") else None)
        annotations.subscribe(lambda what: self.refresh() if what == "sky" else None)
        self.refresh()

    def refresh(self) -> None:
        """Show what is chosen."""
        sky = self.annotations.sky
        self.shown.setChecked(self.session.pane.transmission)
        self.altitude.show_value(sky.altitude)
        self.zenith.show_value(sky.zenith_angle)
        self.pwv.show_value(sky.pwv or None)
        self.resolution.show_value(sky.resolution)
        self.from_header.setEnabled(bool(self.session.pane.files))

    def take_header(self) -> None:
        """Take the atmosphere of the first file of the pane."""
        file = next(
            (self.session.files[part.key] for part in self.session.pane.files if part.key in self.session.files), None
        )
        if file is not None:
            self.annotations.set_sky(replace(read_sky(file.header), source=self.annotations.sky.source))

    def _set(self, **changes: float) -> None:
        if any(value < 0 for value in changes.values()):
            self.failed.emit("Altitude, zenith angle, water vapour and resolving power cannot be negative.")
            self.refresh()
            return
        self.annotations.set_sky(replace(self.annotations.sky, **changes))  # type: ignore[arg-type]

    def _ask_file(self) -> None:
        name, _ = QtWidgets.QFileDialog.getOpenFileName(
            self, "Model of the atmosphere", "", "FITS (*.fits);;All files (*)"
        )
        if name:
            self.annotations.set_sky(replace(self.annotations.sky, source=Path(name)))

    def _ask_folder(self) -> None:
        name = QtWidgets.QFileDialog.getExistingDirectory(self, "Models of the atmosphere")
        if name:
            self.annotations.set_sky(replace(self.annotations.sky, source=Path(name)))


class OperationsPanel(Section):
    """Smoothing, rebinning, arithmetic, continuum: each makes a new file in the list."""

    failed = Signal(str)
    window_requested = Signal(bool)

    def __init__(self, session: SpectrumSession, annotations: Annotations, chosen: Callable[[], list[str]]) -> None:
        super().__init__("Operations", is_open=False)
        self.session, self.annotations, self.chosen = session, annotations, chosen
        self.kind = make_combo(["gaussian", "box", "savgol"], "Kind of smoothing")
        self.smoothing_width = QtWidgets.QDoubleSpinBox()
        self.smoothing_width.setRange(1.0, 999.0)
        self.smoothing_width.setValue(3.0)
        self.smoothing_width.setToolTip("Width in pixels")
        self.smoothing_width.setAccessibleName("Smoothing width")
        self.smooth = make_button("Smooth", "Smooth the selected files, or all of the pane that were opened")
        self.factor = QtWidgets.QSpinBox()
        self.factor.setRange(2, 999)
        self.factor.setAccessibleName("Pixels per bin")
        self.rebin = make_button("Rebin", "Average groups of pixels")
        self.operator = make_combo(["-", "+", "*", "/"], "Operator")
        self.second = make_combo([], "Second spectrum")
        self.compute = make_button("=", "First selected file (operator) the one chosen here")
        self.degree = QtWidgets.QSpinBox()
        self.degree.setRange(0, 9)
        self.degree.setValue(1)
        self.degree.setAccessibleName("Degree of the continuum")
        self.degree.setToolTip("Degree of the continuum")
        self.add_window = make_button("Window", "Add a continuum window: two clicks or a drag", checkable=True)
        self.clear = make_button("Clear", "Remove the continuum windows")
        self.subtract, self.normalize = (
            make_button("Subtract", "Subtract the continuum"),
            make_button("Normalize", "Divide by it"),
        )
        for box in (self.smoothing_width, self.factor, self.degree):
            box.setMaximumWidth(64)
        self.add(self.kind, self.smoothing_width, self.smooth, label="Smooth")
        self.add(self.factor, self.rebin, label="Rebin")
        self.add(self.operator, self.second, self.compute, label="Compute")
        self.add(self.degree, self.add_window, self.clear, label="Continuum")
        self.add(self.subtract, self.normalize)
        self.smooth.clicked.connect(
            lambda: self._apply("smooth", kind=self.kind.currentText(), width=self.smoothing_width.value(), degree=2)
        )
        self.rebin.clicked.connect(lambda: self._apply("rebin", factor=self.factor.value()))
        self.compute.clicked.connect(self._compute)
        self.add_window.clicked.connect(self.window_requested)
        self.clear.clicked.connect(self._clear)
        self.subtract.clicked.connect(lambda: self._continuum("subtract"))
        self.normalize.clicked.connect(lambda: self._continuum("normalize"))
        session.subscribe(lambda what: self.refresh() if what == "files" else None)
        self.refresh()

    def refresh(self) -> None:
        """Show the files there are."""
        items = [(name, key) for key, name in self.session.names().items()]
        first = items[0][1] if items else ""
        set_combo(self.second, items, self.second.currentData() or first)
        for button in (self.smooth, self.rebin, self.compute, self.subtract, self.normalize):
            button.setEnabled(bool(items))

    def _sources(self) -> list[str]:
        """Return the files that are selected; without, those of the pane that are not made of others."""
        shown = [part.key for part in self.session.pane.files if part.shown]
        return self.chosen() or [key for key in shown if not self.session.is_derived(key)] or shown

    def _apply(self, operation: str, **settings: Any) -> None:
        for key in self._sources():
            self._make(Derivation(operation, (key,), tuple(settings.items())))

    def _make(self, derivation: Derivation) -> None:
        try:
            self.session.add_derived(derivation)
        except ParameterError as problem:
            self.failed.emit(str(problem))

    def _compute(self) -> None:
        sources = self._sources()
        if sources and self.second.currentData():
            self._make(
                Derivation(
                    "combine", (sources[0], self.second.currentData()), (("operator", self.operator.currentText()),)
                )
            )

    def _continuum(self, operation: str) -> None:
        for key in self._sources():
            windows = tuple(self.annotations.windows_on(WaveAxis(self.session.files[key].unit("wavepos"))))
            if self.annotations.windows and not windows:
                self.failed.emit(f"The windows do not lie on the wavelengths of {self.session.files[key].name}.")
                return
            settings = (("windows", windows), ("degree", self.degree.value()))
            self._make(Derivation(operation, (key,), settings))

    def _clear(self) -> None:
        self.annotations.clear_windows()
