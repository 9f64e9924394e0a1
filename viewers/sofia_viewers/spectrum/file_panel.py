"""Panels **Load Data** and **Panes**: which files are loaded, and which of them, and of their orders, a pane shows."""

from __future__ import annotations

from sofia_engine.errors import ParameterError
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.spectrum.pane import PaneFile
from sofia_viewers.spectrum.sections import Section, make_button, make_combo, set_combo
from sofia_viewers.spectrum.selection import format_numbers
from sofia_viewers.spectrum.session import SpectrumSession

__all__ = ["LoadPanel", "PanesPanel"]

_SYMBOLS = {"x": "×", "o": "○", "t1": "△", "+": "+", "t": "▽", "star": "☆"}
_MOST_SWATCHES = 5
_KEY = Qt.ItemDataRole.UserRole


class FileList(QtWidgets.QTreeWidget):
    """A list in which Return and Delete do what the panel says."""

    accepted = Signal()
    deleted = Signal()

    def __init__(self, headings: list[str], name: str) -> None:
        super().__init__()
        self.setHeaderLabels(headings)
        self.setHeaderHidden(len(headings) == 1)
        self.setRootIsDecorated(False)
        self.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setAccessibleName(name)
        self.setFixedHeight(118)
        self.itemDoubleClicked.connect(lambda *_: self.accepted.emit())

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Return accepts, Delete and Backspace delete."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.accepted.emit()
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.deleted.emit()
        else:
            super().keyPressEvent(event)

    def chosen(self) -> list[str]:
        """Return the keys of the selected files."""
        return [item.data(0, _KEY) for item in self.selectedItems()]


class LoadPanel(Section):
    """List of the loaded files."""

    open_requested = Signal()

    def __init__(self, session: SpectrumSession) -> None:
        super().__init__("Load Data")
        self.session = session
        self.list = FileList(["File"], "Loaded files")
        self.list.setToolTip("Double-click or Return: plot in the current pane. Delete: close the file.")
        self.add_button = make_button("Add File", "Open spectra (Ctrl+O)")
        self.remove_button = make_button("Remove File", "Close the selected files")
        self.add(self.list)
        self.add(self.add_button, self.remove_button)
        self.add_button.clicked.connect(self.open_requested)
        self.remove_button.clicked.connect(self.remove)
        self.list.accepted.connect(self.plot)
        self.list.deleted.connect(self.remove)
        session.subscribe(lambda what: self.refresh() if what == "files" else None)
        self.refresh()

    def refresh(self) -> None:
        """Show the files of the session."""
        chosen = set(self.list.chosen())
        self.list.clear()
        for key, name in self.session.names().items():
            item = QtWidgets.QTreeWidgetItem([name])
            item.setData(0, _KEY, key)
            file = self.session.files[key]
            item.setToolTip(0, "\n".join([str(file.path or name), *file.notes]))
            self.list.addTopLevelItem(item)
            item.setSelected(key in chosen)
        self.remove_button.setEnabled(bool(self.session.files))

    def plot(self) -> None:
        """Show the selected files in the current pane."""
        self.session.show_in_pane(self.list.chosen())

    def remove(self) -> None:
        """Close the selected files."""
        for key in self.list.chosen():
            self.session.remove_file(key)


class PanesPanel(Section):
    """The current pane: its files, and what of them is shown."""

    failed = Signal(str)

    def __init__(self, session: SpectrumSession) -> None:
        super().__init__("Panes")
        self.session = session
        self.pane = make_combo([], "Current pane")
        self.all_panes = QtWidgets.QCheckBox("All")
        self.all_panes.setToolTip("Changes act on all panes")
        self.list = FileList(["", "Color", "Orders", "File"], "Files of the pane")
        self.list.setToolTip("Tick: show or hide. Selected files alone are meant by the lists of orders.")
        self.select_all = QtWidgets.QCheckBox("All files")
        self.select_all.setChecked(True)
        self.remove_file = make_button("Remove File", "Take the selected files out of this pane")
        self.enabled, self.hidden = QtWidgets.QLineEdit(), QtWidgets.QLineEdit()
        self.enabled_label, self.hidden_label = QtWidgets.QLabel("Enabled Orders"), QtWidgets.QLabel("Hidden Orders")
        self.enable_all, self.hide_all = make_button("All", "Show all"), make_button("All", "Hide all")
        self.add_button, self.remove_button = (
            make_button("Add Pane", "Add a pane"),
            make_button("Remove Pane", "Remove this pane"),
        )
        self.layout_choice = make_combo(["grid", "rows", "columns", "free"], "Layout of the panes")
        self.moves = {
            way: make_button(sign, f"Move the current pane {way}; the layout becomes a free one")
            for way, sign in (("left", "←"), ("right", "→"), ("up", "↑"), ("down", "↓"))
        }
        self.linked = QtWidgets.QCheckBox("Link x")
        self.linked.setToolTip("Panes with the same x axis zoom and pan together")
        self._lay_out()
        self._connect()
        self.refresh()

    def _lay_out(self) -> None:
        self.add(self.pane, self.all_panes, label="Pane:")
        self.add(self.list)
        self.add(self.select_all, self.remove_file)
        for label, edit, button in (
            (self.enabled_label, self.enabled, self.enable_all), (self.hidden_label, self.hidden, self.hide_all),
        ):  # fmt: skip
            label.setMinimumWidth(98)
            edit.setToolTip("Numbers and ranges such as 1,3-5; * for all; - for none")
            edit.setAccessibleName(label.text())
            button.setMaximumWidth(44)
            self.add(label, edit, button)
        self.add(self.add_button, self.remove_button)
        self.add(self.layout_choice, self.linked, label="Layout")
        for button in self.moves.values():
            button.setMaximumWidth(44)
        self.add(*self.moves.values(), label="Move pane")

    def _connect(self) -> None:
        session = self.session
        self.pane.currentIndexChanged.connect(session.select_pane)
        self.remove_file.clicked.connect(self.remove)
        self.list.deleted.connect(self.remove)
        self.list.itemChanged.connect(self._tick)
        self.list.itemSelectionChanged.connect(self._selected)
        self.select_all.clicked.connect(lambda on: self.list.clearSelection() if on else self.list.selectAll())
        self.enabled.returnPressed.connect(lambda: self.apply(self.enabled.text(), enabled=True))
        self.hidden.returnPressed.connect(lambda: self.apply(self.hidden.text(), enabled=False))
        self.enable_all.clicked.connect(lambda: self.apply("*", enabled=True))
        self.hide_all.clicked.connect(lambda: self.apply("*", enabled=False))
        self.add_button.clicked.connect(lambda _=False: session.add_pane())
        self.remove_button.clicked.connect(lambda _=False: session.remove_pane())
        self.layout_choice.currentTextChanged.connect(self._choose_layout)
        for way, button in self.moves.items():
            button.clicked.connect(lambda _=False, way=way: session.move_pane(way))
        self.linked.toggled.connect(lambda on: session.set_style(linked=on))
        session.subscribe(self._on_change)

    def _on_change(self, what: str) -> None:
        if what in ("panes", "files", "style") or what == f"pane:{self.session.pane.id}":
            self.refresh()

    def _choose_layout(self, layout: str) -> None:
        rows = self.session.rows if layout == "free" else ()  # free begins with what is there
        self.session.set_style(layout=layout, rows=rows)

    @property
    def targets(self) -> list[int]:
        """Numbers of the panes that changes act on."""
        return list(range(len(self.session.panes))) if self.all_panes.isChecked() else [self.session.current]

    def refresh(self) -> None:
        """Show the current pane."""
        count = len(self.session.panes)
        set_combo(self.pane, [(f"Pane {i + 1}", str(i)) for i in range(count)], str(self.session.current))
        self._fill_list()
        self._show_numbers()
        set_combo(self.layout_choice, None, self.session.style.layout)
        with QtCore.QSignalBlocker(self.linked):
            self.linked.setChecked(self.session.style.linked)

    def _fill_list(self) -> None:
        chosen = set(self.list.chosen())
        names = self.session.names()
        with QtCore.QSignalBlocker(self.list):
            self.list.clear()
            for part in self.session.pane.files:
                if part.key in names:
                    self._add_row(part, names[part.key], selected=part.key in chosen)
        for column in range(3):
            self.list.resizeColumnToContents(column)

    def _add_row(self, part: PaneFile, name: str, *, selected: bool) -> None:
        file = self.session.files[part.key]
        item = QtWidgets.QTreeWidgetItem([_SYMBOLS[self.session.marker_of(part.key)], "", str(len(file.orders)), name])
        item.setCheckState(0, Qt.CheckState.Checked if part.shown else Qt.CheckState.Unchecked)
        item.setData(0, _KEY, part.key)
        item.setToolTip(3, str(file.path or name))
        self.list.addTopLevelItem(item)
        item.setSelected(selected)
        colors = [self.session.color_of(part.key, aperture) for aperture in file.apertures[:_MOST_SWATCHES]]
        self.list.setItemWidget(item, 1, _Swatches(colors))

    def _show_numbers(self) -> None:
        files = [(p, self.session.files[p.key]) for p in self._meant() if p.key in self.session.files]
        word = files[0][1].groups if files else "Orders"
        self.enabled_label.setText(f"Enabled {word}")
        self.hidden_label.setText(f"Hidden {word}")
        for edit in (self.enabled, self.hidden, self.enable_all, self.hide_all):
            edit.setEnabled(bool(files))
        shown, hidden = ("", "")
        if files:
            part, file = files[0]
            known = file.apertures if file.groups == "Apertures" else file.orders
            off = part.hidden_apertures if file.groups == "Apertures" else part.hidden_orders
            shown, hidden = format_numbers(set(known) - off, known), format_numbers(off, known)
        self.enabled.setText(shown)
        self.hidden.setText(hidden)

    def _meant(self) -> list[PaneFile]:
        chosen = self.list.chosen()
        return [part for part in self.session.pane.files if not chosen or part.key in chosen]

    def apply(self, text: str, *, enabled: bool) -> None:
        """Show or hide orders of the selected files, or of all."""
        chosen = self.list.chosen() or None
        try:
            for number in self.targets:
                self.session.set_numbers(text, enabled=enabled, keys=chosen, pane=number)
        except ParameterError as problem:
            self.failed.emit(str(problem))
        self._show_numbers()

    def remove(self) -> None:
        """Take the selected files out of the pane."""
        for number in self.targets:
            self.session.remove_from_pane(self.list.chosen(), number)

    def _tick(self, item: QtWidgets.QTreeWidgetItem, column: int) -> None:
        part = self.session.pane.file(item.data(0, _KEY))
        if column == 0 and part is not None:
            shown = item.checkState(0) == Qt.CheckState.Checked
            changed = PaneFile(part.key, part.hidden_orders, part.hidden_apertures, shown)
            QtCore.QTimer.singleShot(0, self, lambda: self.session.set_pane(self.session.pane.with_file(changed)))

    def _selected(self) -> None:
        self.select_all.setChecked(not self.list.selectedItems())
        self._show_numbers()


class _Swatches(QtWidgets.QWidget):
    """Squares in the colours of the apertures."""

    def __init__(self, colors: list[str]) -> None:
        super().__init__()
        self._colors = colors
        self.setMinimumWidth(14 * len(colors) + 4)

    def paintEvent(self, _: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint the squares."""
        painter = QtGui.QPainter(self)
        for number, color in enumerate(self._colors):
            painter.fillRect(3 + 14 * number, self.height() // 2 - 5, 11, 11, QtGui.QColor(color))
        painter.end()
