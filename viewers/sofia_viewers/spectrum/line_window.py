"""Window **Reference Data**: lists of lines, search, redshift and frame."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sofia_engine.errors import SofiaDeskError
from sofia_viewers.qt import Qt, QtCore, QtWidgets, Signal
from sofia_viewers.spectrum.annotations import Annotations
from sofia_viewers.spectrum.lines import Shift, read_line_list, read_motion, search_lines
from sofia_viewers.spectrum.sections import make_button, make_combo, set_combo

__all__ = ["LineWindow"]

_MOST_RESULTS = 200


class LineWindow(QtWidgets.QWidget):
    """Chooses which reference lines are drawn, and where.

    ``rest_chosen`` carries the wavelength of a line that velocities shall refer to, μm.
    """

    rest_chosen = Signal(float)

    def __init__(self, annotations: Annotations, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle("Reference Data")
        self.resize(520, 600)
        self.annotations = annotations
        self.list = QtWidgets.QTreeWidget()
        self.list.setHeaderLabels(["List", "Labels", "Lines"])
        self.list.setRootIsDecorated(False)
        self.list.setToolTip("Tick to show; double-click to read the file")
        self.list.setAccessibleName("Lists of lines")
        self.show_lines, self.show_labels = QtWidgets.QCheckBox("Show lines"), QtWidgets.QCheckBox("Show labels")
        self.load, self.clear = (
            make_button("Load List", "Open a list of lines"),
            make_button("Clear Lists", "Hide and forget all"),
        )
        self.search = QtWidgets.QLineEdit()
        self.search.setPlaceholderText("Search: [C II], 157.7, 50-60, CO")
        self.search.setClearButtonEnabled(True)
        self.results = QtWidgets.QTreeWidget()
        self.results.setHeaderLabels(["μm", "Label", "Transition"])
        self.results.setRootIsDecorated(False)
        self.results.setToolTip("Double-click: velocities refer to this line")
        self.redshift, self.velocity = QtWidgets.QDoubleSpinBox(), QtWidgets.QDoubleSpinBox()
        self.redshift.setRange(-0.5, 20.0)
        self.redshift.setDecimals(7)
        self.redshift.setSingleStep(1e-4)
        self.velocity.setRange(-150000.0, 6e6)
        self.velocity.setDecimals(2)
        self.velocity.setSingleStep(5.0)
        self.frame = make_combo(["observer", "barycentric", "lsr"], "Frame the velocity refers to")
        self.status = QtWidgets.QLabel()
        self.status.setWordWrap(True)
        self._lay_out()
        self._connect()
        self.refresh()

    def _lay_out(self) -> None:
        switches = QtWidgets.QHBoxLayout()
        for widget in (self.show_lines, self.show_labels, self.load, self.clear):
            switches.addWidget(widget)
        form = QtWidgets.QFormLayout()
        form.addRow("Redshift z", self.redshift)
        form.addRow("Velocity [km/s]", self.velocity)
        form.addRow("Frame", self.frame)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.list, 2)
        layout.addLayout(switches)
        layout.addLayout(form)
        layout.addWidget(self.search)
        layout.addWidget(self.results, 2)
        layout.addWidget(self.status)

    def _connect(self) -> None:
        notes = self.annotations
        self.list.itemChanged.connect(self._tick)
        self.list.itemDoubleClicked.connect(self._read)
        self.show_lines.clicked.connect(lambda on: notes.set_lines(shown=on))
        self.show_labels.clicked.connect(lambda on: notes.set_lines(labelled=on))
        self.load.clicked.connect(self.ask_for_lists)
        self.clear.clicked.connect(notes.clear_lists)
        self.redshift.valueChanged.connect(lambda value: notes.set_shift(replace(notes.shift, redshift=value)))
        self.velocity.valueChanged.connect(lambda value: notes.set_shift(notes.shift.with_velocity(value)))
        self.frame.activated.connect(lambda _: self._choose_frame())
        self.search.textChanged.connect(self.list_results)
        self.results.itemDoubleClicked.connect(lambda item, _: self.rest_chosen.emit(float(item.text(0))))
        notes.subscribe(lambda what: self.refresh() if what == "lines" else None)

    def refresh(self) -> None:
        """Show what is chosen."""
        notes = self.annotations
        with QtCore.QSignalBlocker(self.list):
            self.list.clear()
            for each in notes.lists:
                item = QtWidgets.QTreeWidgetItem([each.name, "", str(len(each.lines))])
                item.setCheckState(0, Qt.CheckState.Checked if each.shown else Qt.CheckState.Unchecked)
                item.setCheckState(1, Qt.CheckState.Checked if each.labelled else Qt.CheckState.Unchecked)
                self.list.addTopLevelItem(item)
            self.list.resizeColumnToContents(0)
        self.show_lines.setChecked(notes.show_lines)
        self.show_labels.setChecked(notes.show_labels)
        for box, value in ((self.redshift, notes.shift.redshift), (self.velocity, notes.shift.velocity)):
            if not box.hasFocus():
                with QtCore.QSignalBlocker(box):
                    box.setValue(value)
        set_combo(self.frame, None, notes.shift.frame)
        shown = sum(len(each.lines) for each in notes.lists if each.shown)
        self.say(f"{shown} lines shown" if shown else "Tick a list to show its lines.")

    def say(self, text: str) -> None:
        """Show a message."""
        self.status.setText(text)

    def _tick(self, item: QtWidgets.QTreeWidgetItem, column: int) -> None:
        on = item.checkState(column) == Qt.CheckState.Checked
        name = item.text(0)
        change: dict[str, Any] = {"shown": on} if column == 0 else {"labelled": on}
        QtCore.QTimer.singleShot(0, self, lambda: self.annotations.switch_list(name, **change))

    def _read(self, item: QtWidgets.QTreeWidgetItem) -> None:
        found = next((each for each in self.annotations.lists if each.name == item.text(0)), None)
        if found is None:
            return
        self.reader = QtWidgets.QPlainTextEdit(found.text)
        self.reader.setReadOnly(True)
        self.reader.setWindowTitle(found.name)
        self.reader.resize(560, 480)
        self.reader.show()

    def ask_for_lists(self) -> None:
        """Let the user choose lists to open."""
        names, _ = QtWidgets.QFileDialog.getOpenFileNames(
            self, "Lists of lines", "", "Text (*.txt *.dat *.csv *.list);;All (*)"
        )
        for name in names:
            self.open_list(name)

    def open_list(self, name: str) -> None:
        """Open a list of lines."""
        try:
            self.annotations.add_list(read_line_list(name))
        except SofiaDeskError as problem:
            self.say(str(problem))

    def _choose_frame(self) -> None:
        notes = self.annotations
        session = notes.session
        file = next((session.files[part.key] for part in session.pane.files if part.key in session.files), None)
        barycentric, local, source = read_motion(file.header if file else {})
        frame = self.frame.currentText()
        notes.set_shift(Shift(notes.shift.redshift, frame, barycentric, local))  # type: ignore[arg-type]
        if frame != "observer":
            total = barycentric + (local if frame == "lsr" else 0.0)
            self.say(f"Motion of the observer: {299792.458 * total:+.2f} km/s towards the source ({source}).")

    def list_results(self, text: str) -> None:
        """List the lines a text names."""
        self.results.clear()
        for line in search_lines(self.annotations.lists, text)[:_MOST_RESULTS]:
            self.results.addTopLevelItem(QtWidgets.QTreeWidgetItem([f"{line.wavelength:g}", line.label, line.note]))
