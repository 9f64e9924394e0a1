"""The report of a reduction: shown, saved as HTML, printed to PDF."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sofia_engine.errors import InputError
from sofia_viewers.export import tell_written
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.quality.report import Report, format_report, write_report
from sofia_viewers.tasks import Tasks

__all__ = ["ReportView", "print_report"]

_EMPTY = "Open the output folder of a reduction, or a session, and press Make report."


def print_report(report: Report, path: Path) -> Path:
    """Write a report as PDF.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    document = QtGui.QTextDocument()
    writer = QtGui.QPdfWriter(str(path))
    writer.setPageSize(QtGui.QPageSize(QtGui.QPageSize.PageSizeId.A4))
    writer.setPageOrientation(QtGui.QPageLayout.Orientation.Landscape)
    writer.setPageMargins(QtCore.QMarginsF(12, 12, 12, 12), QtGui.QPageLayout.Unit.Millimeter)
    writer.setResolution(110)
    writer.setTitle(f"Reduction in {report.record.folder.name}")
    writer.setCreator("SOFIA Desk")
    font = document.defaultFont()
    font.setPointSizeF(8.0)
    document.setDefaultFont(font)
    option = document.defaultTextOption()
    option.setWrapMode(QtGui.QTextOption.WrapMode.WordWrap)  # not inside the words of narrow columns
    document.setDefaultTextOption(option)
    document.setHtml(format_report(report, for_print=True))
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: the folder {path.parent} does not exist.")
    _draw_pages(document, writer)
    del writer  # closes the file
    if not path.is_file() or path.stat().st_size == 0:
        raise InputError(f"{path} cannot be written: permission denied or no space left.")
    return path


def _draw_pages(document: QtGui.QTextDocument, writer: QtGui.QPdfWriter) -> None:
    """Draw a document on pages of its own size, with their numbers; Qt's own way would add margins once more."""
    document.documentLayout().setPaintDevice(writer)
    footer = 2 * QtGui.QFontMetrics(document.defaultFont(), writer).height()
    page = QtCore.QSizeF(writer.width(), writer.height() - footer)
    document.setPageSize(page)
    painter = QtGui.QPainter(writer)
    painter.setFont(document.defaultFont())
    for number in range(document.pageCount()):
        if number:
            writer.newPage()
        painter.save()
        painter.translate(0.0, -number * page.height())
        document.drawContents(painter, QtCore.QRectF(QtCore.QPointF(0.0, number * page.height()), page))
        painter.restore()
        line = QtCore.QRectF(0.0, page.height(), page.width(), footer)
        text = f"{number + 1} of {document.pageCount()}"
        painter.drawText(line, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom), text)
    painter.end()


class ReportView(QtWidgets.QWidget):
    """Shows a report.

    Parameters
    ----------
    tasks : Tasks
        Makes the report.
    make : callable
        Returns the function that makes the report, to be called in a thread with the comments of the observer; or
        None if nothing is open.
    """

    made = Signal(object)

    def __init__(
        self, tasks: Tasks, make: Callable[[], Callable[[str], Report] | None], parent: QtWidgets.QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.tasks = tasks
        self.report: Report | None = None
        self._make = make
        self.comments = QtWidgets.QLineEdit(placeholderText="Comments, shown at the top of the report")
        self.make_button = QtWidgets.QPushButton("Make report")
        self.save_button = QtWidgets.QPushButton("Save as …")
        self.text = QtWidgets.QTextBrowser()
        self._lay_out()

    def make(self) -> None:
        """Make the report anew."""
        work = self._make()
        if work is None:
            self._say(_EMPTY)
            return
        comments = self.comments.text()
        self._say("Making the report …")
        self.make_button.setEnabled(False)

        def produce() -> tuple[Report, str]:
            report = work(comments)
            return report, format_report(report)

        self.tasks.submit("report", produce, lambda found: self._accept(*found), self._fail)

    def save(self, path: Path) -> Path:
        """Write the report as HTML or PDF, by the suffix.

        Raises
        ------
        InputError
            If there is none yet, the suffix is another, or the file cannot be written.
        """
        if self.report is None:
            raise InputError("There is no report yet: press Make report first.")
        suffix = path.suffix.lower()
        if suffix not in (".html", ".pdf"):
            raise InputError(f"{path} cannot be written: reports end with .html or .pdf.")
        written = (write_report if suffix == ".html" else print_report)(self.report, path)
        tell_written(written)
        return written

    def _lay_out(self) -> None:
        self.text.setAccessibleName("Report")
        self.text.setOpenExternalLinks(True)
        self.comments.setAccessibleName("Comments")
        self.make_button.clicked.connect(self.make)
        self.save_button.clicked.connect(self._ask_and_save)
        self.save_button.setEnabled(False)
        line = QtWidgets.QHBoxLayout()
        line.addWidget(self.comments, 1)
        line.addWidget(self.make_button)
        line.addWidget(self.save_button)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(line)
        layout.addWidget(self.text, 1)
        self._say(_EMPTY)

    def _accept(self, report: Report, text: str) -> None:
        self.report = report
        self.make_button.setEnabled(True)
        self.save_button.setEnabled(True)
        self.text.setStyleSheet("QTextBrowser { background: #ffffff; color: #1c2128; }")
        self.text.setHtml(text)
        self.made.emit(report)

    def _fail(self, message: str) -> None:
        self.make_button.setEnabled(True)
        self._say(message)

    def _say(self, text: str) -> None:
        self.text.setStyleSheet("")
        self.text.setPlainText(text)

    def _ask_and_save(self) -> None:
        name, _ = QtWidgets.QFileDialog.getSaveFileName(
            self, "Save report", "report.html", "Web page (*.html);;PDF (*.pdf)"
        )
        if name:
            try:
                self.save(Path(name))
            except InputError as error:
                QtWidgets.QMessageBox.warning(self, "Save report", str(error))
