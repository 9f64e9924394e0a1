"""Headers of the shown files: text with find and filter, a table of keywords, and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sofia_engine.errors import SofiaDeskError
from sofia_engine.product import Product
from sofia_viewers.export import make_table, write_table
from sofia_viewers.qt import QtCore, QtGui, QtWidgets
from sofia_viewers.quality.header_difference import CardDifference, compare_files, describe_differences
from sofia_viewers.quality.headers import (
    ExtensionHeader,
    choose_extensions,
    describe_product,
    filter_lines,
    find_text,
    format_headers,
    parse_keywords,
    read_headers,
    tabulate_headers,
)
from sofia_viewers.quality.item_table import ItemColumn, ItemTable, make_table_view
from sofia_viewers.tasks import Tasks
from sofia_viewers.theme import current_theme

__all__ = ["DifferenceView", "HeaderView", "read_many"]

Files = dict[str, tuple[ExtensionHeader, ...]]


def read_many(paths: Sequence[Path]) -> tuple[Files, list[str]]:
    """Read the headers of files; return them by name, and a sentence for each that cannot be read."""
    files: Files = {}
    problems = []
    for path in sorted(paths):
        try:
            name = path.name if path.name not in files else str(path)
            files[name] = read_headers(path)
        except SofiaDeskError as error:
            problems.append(str(error))
    return files, problems


class HeaderView(QtWidgets.QWidget):
    """Text or table of the headers of many files."""

    def __init__(self, tasks: Tasks, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.tasks = tasks
        self.files: Files = {}
        self.extension = "first"
        self._text = ""
        self.title = QtWidgets.QLabel("No files.")
        self.input = QtWidgets.QLineEdit(placeholderText="Text to find, words to filter by, or keywords for the table")
        self.all_extensions = QtWidgets.QCheckBox("All extensions")
        self.text = QtWidgets.QPlainTextEdit(readOnly=True)
        self.model = ItemTable(self)
        self.table = make_table_view(self.model, "Keywords of files")
        self.note = QtWidgets.QLabel()
        self.stack = QtWidgets.QStackedWidget()
        self._lay_out()

    def open_files(self, paths: Sequence[Path]) -> None:
        """Show the headers of files."""
        self.tasks.submit("read headers", lambda: read_many(paths), self._accept)

    def show_products(self, products: Sequence[Product], names: Sequence[str]) -> None:
        """Show the headers of products in memory."""
        files = {name: describe_product(p, name) for p, name in zip(products, names, strict=True)}
        self._accept((files, []))

    def set_extension(self, extension: str) -> None:
        """Choose which extensions are shown, as the display setting says."""
        self.extension = extension
        self.show_text()

    def find_next(self) -> None:
        """Go to the next place of the text in the input line."""
        self.stack.setCurrentWidget(self.text)
        wanted = self.input.text()
        cursor = self.text.textCursor()
        place = find_text(self.text.toPlainText(), wanted, cursor.selectionStart() if cursor.hasSelection() else -1)
        self._say("" if place >= 0 else f"'{wanted}' is not there.")
        if place >= 0:
            cursor.setPosition(place)
            cursor.setPosition(place + len(wanted), QtGui.QTextCursor.MoveMode.KeepAnchor)
            self.text.setTextCursor(cursor)

    def filter(self) -> None:
        """Show only the lines with any of the words in the input line."""
        self.stack.setCurrentWidget(self.text)
        self.text.setPlainText(filter_lines(self._text, self.input.text()))
        self._say("")

    def tabulate(self) -> None:
        """Show a table of the keywords in the input line; with none, the text again."""
        if not self.input.text().strip():
            self.show_text()
            return
        keywords = parse_keywords(self.input.text())
        rows = tabulate_headers(self._chosen(), keywords)
        self.model.set_rows(rows, [_column(key) for key in ("File name", *keywords)])
        self.table.resizeColumnsToContents()
        self.stack.setCurrentWidget(self.table)
        self._say("")

    def show_text(self) -> None:
        """Show the whole text."""
        self._text = format_headers(self._chosen())
        self.text.setPlainText(self._text)
        self.stack.setCurrentWidget(self.text)
        self._say("")

    def export(self, path: Path) -> Path:
        """Write the table of keywords to a CSV, ECSV or VOTable file.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        return write_table(make_table(self.model.rows), path)

    def _lay_out(self) -> None:
        self.input.setAccessibleName("Search")
        self.input.returnPressed.connect(self.find_next)
        line = QtWidgets.QHBoxLayout()
        line.addWidget(self.input, 1)
        self.buttons = {}
        for name, tip, call in (
            ("Find", "Next place, from the start again at the end", self.find_next),
            ("Filter", "Lines with any of these words, separated by commas", self.filter),
            ("Table", "Values of these keywords in all files; empty shows the text again", self.tabulate),
        ):
            button = QtWidgets.QPushButton(name)
            button.setToolTip(tip)
            button.clicked.connect(call)
            line.addWidget(button)
            self.buttons[name] = button
        self.all_extensions.toggled.connect(self.show_text)
        line.addWidget(self.all_extensions)
        self.text.setLineWrapMode(QtWidgets.QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setFont(QtGui.QFontDatabase.systemFont(QtGui.QFontDatabase.SystemFont.FixedFont))
        self.text.setAccessibleName("Headers")
        self.stack.addWidget(self.text)
        self.stack.addWidget(self.table)
        self.title.setProperty("role", "heading")
        self.note.setProperty("role", "error")
        self.note.setWordWrap(True)
        self.note.hide()
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.title)
        layout.addWidget(self.stack, 1)
        layout.addWidget(self.note)
        layout.addLayout(line)

    def _accept(self, found: tuple[Files, list[str]]) -> None:
        self.files, problems = found
        names = list(self.files)
        self.title.setText(f"Header for: {names[0]}{' …' if len(names) > 1 else ''}" if names else "No files.")
        self.title.setToolTip("\n".join(names))
        self.show_text()
        self._say("\n".join(problems))

    def _chosen(self) -> list[ExtensionHeader]:
        wanted = "all" if self.all_extensions.isChecked() else self.extension
        return [header for headers in self.files.values() for header in choose_extensions(headers, wanted)]

    def _say(self, text: str) -> None:
        self.note.setText(text)
        self.note.setVisible(bool(text))


class DifferenceView(QtWidgets.QWidget):
    """What differs between the headers of two files."""

    def __init__(self, tasks: Tasks, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.tasks = tasks
        self.files: Files = {}
        self.differences: tuple[CardDifference, ...] = ()
        self.first, self.second = QtWidgets.QComboBox(), QtWidgets.QComboBox()
        self.with_equal = QtWidgets.QCheckBox("Also what is equal")
        self.with_history = QtWidgets.QCheckBox("History")
        self.tolerance = QtWidgets.QLineEdit("0")
        self.search = QtWidgets.QLineEdit(placeholderText="Show rows with this text")
        self.summary = QtWidgets.QLabel("Select two files.")
        self.model = ItemTable(self, _difference_columns())
        self.table = make_table_view(self.model, "Differences of headers")
        self._lay_out()

    def open_files(self, paths: Sequence[Path]) -> None:
        """Compare files: the first two, others can be chosen."""
        self.tasks.submit("read differences", lambda: read_many(paths), lambda found: self.show_files(*found))

    def show_products(self, products: Sequence[Product], names: Sequence[str]) -> None:
        """Compare products in memory."""
        self.show_files({name: describe_product(p, name) for p, name in zip(products, names, strict=True)})

    def show_files(self, files: Files, problems: Sequence[str] = ()) -> None:
        """Compare the headers of files that have been read."""
        self.files = files
        names = list(files)
        for box, place in ((self.first, 0), (self.second, 1)):
            box.blockSignals(True)
            box.clear()
            box.addItems(names)
            box.setCurrentIndex(min(place, len(names) - 1))
            box.blockSignals(False)
        self.compare()
        if problems:
            self._say("\n".join(problems), "error")

    def compare(self) -> None:
        """Compare the chosen files."""
        pair = [self.files.get(box.currentText()) for box in (self.first, self.second)]
        if len(self.files) < 2 or pair[0] is None or pair[1] is None:
            self.differences = ()
            self._say("Select two files.")
        else:
            options = {"with_equal": self.with_equal.isChecked(), "tolerance": _number(self.tolerance.text())}
            self.differences = compare_files(pair[0], pair[1], **options)
            self._say(describe_differences(self.differences))
        self._show_rows()

    def _lay_out(self) -> None:
        for box, name in ((self.first, "First file"), (self.second, "Second file")):
            box.setAccessibleName(name)
            box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(16)
            box.activated.connect(self.compare)
        self.tolerance.setMaximumWidth(70)
        self.tolerance.setToolTip("Numbers that differ by less than this fraction count as equal.")
        self.tolerance.setValidator(QtGui.QDoubleValidator(0.0, 1.0, 12, self))
        self.tolerance.editingFinished.connect(self.compare)
        self.with_equal.toggled.connect(self.compare)
        self.with_history.setChecked(True)
        self.with_history.toggled.connect(self._show_rows)
        self.search.textChanged.connect(self._show_rows)
        top = QtWidgets.QHBoxLayout()
        top.addWidget(self.first, 1)
        top.addWidget(QtWidgets.QLabel("→"))
        top.addWidget(self.second, 1)
        below = QtWidgets.QHBoxLayout()
        below.addWidget(self.search, 1)
        below.addWidget(self.with_equal)
        below.addWidget(self.with_history)
        below.addWidget(QtWidgets.QLabel("Tolerance"))
        below.addWidget(self.tolerance)
        self.summary.setWordWrap(True)
        for section, width in enumerate((90, 100, 260, 260, 110, 90)):
            self.table.setColumnWidth(section, width)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(top)
        layout.addLayout(below)
        layout.addWidget(self.summary)
        layout.addWidget(self.table, 1)

    @QtCore.Slot()
    def _show_rows(self) -> None:
        words = self.search.text().lower().split()
        commentary = () if self.with_history.isChecked() else ("HISTORY", "COMMENT")
        rows = [
            difference
            for difference in self.differences
            if difference.keyword not in commentary
            and all(word in f"{difference.keyword} {difference.first} {difference.second}".lower() for word in words)
        ]
        self.model.set_rows(rows)

    def _say(self, text: str, role: str = "") -> None:
        self.summary.setText(text)
        self.summary.setProperty("role", role)
        self.summary.style().polish(self.summary)


def _column(key: str) -> ItemColumn:
    def text(row: dict[str, object]) -> str:
        value = row.get(key)
        return "" if value is None else str(value)

    return ItemColumn(key, text)


def _difference_columns() -> list[ItemColumn]:
    colors = {"changed": "warning", "only first": "error", "only second": "good", "comment": "muted", "equal": "muted"}

    def color(row: CardDifference) -> str:
        return str(getattr(current_theme(), colors[row.change]))

    return [
        ItemColumn("Extension", lambda row: row.extension),
        ItemColumn("Keyword", lambda row: row.keyword),
        ItemColumn("First", lambda row: row.first),
        ItemColumn("Second", lambda row: row.second),
        ItemColumn("Change", lambda row: row.change, color=color),
        ItemColumn(
            "Difference", lambda row: "" if row.delta is None else f"{row.delta:.6g}", value=lambda row: row.delta
        ),
    ]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
