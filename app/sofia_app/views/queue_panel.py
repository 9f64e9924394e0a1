"""The queue of groups: how far each is, what became of it, and the way to its result."""

from __future__ import annotations

from typing import Any

from sofia_app.group_queue import GroupJob, GroupQueue
from sofia_app.views.copying import TableCopier
from sofia_app.views.item_models import Column, RowTable
from sofia_app.views.postponed import Postponed
from sofia_app.views.progress_bar import format_seconds
from sofia_viewers.qt import Qt, QtGui, QtWidgets, Signal
from sofia_viewers.tasks import Tasks
from sofia_viewers.theme import current_theme

__all__ = ["QueuePanel"]

_ICONS = {"waiting": "empty", "running": "run", "done": "done", "failed": "error", "stopped": "stop"}
_PROGRESS = 2
_NUMBERS = ("noise", "background", "fwhm", "flux")
"""Numbers of the results that have columns of their own, as far as any group has them."""


class QueuePanel(QtWidgets.QWidget):
    """Shows the queue; a double click opens the session of a group that is done.

    Parameters
    ----------
    queue : GroupQueue
        What is shown.
    tasks : Tasks
        Saves the table in a thread.
    """

    session_asked = Signal(str)

    def __init__(self, queue: GroupQueue, tasks: Tasks) -> None:
        super().__init__()
        self._queue = queue
        self._numbers: tuple[str, ...] = ()
        self.model = RowTable(_columns(()), self)
        self.table = QtWidgets.QTableView()
        self.summary = QtWidgets.QLabel("No groups are being reduced: use File > Reduce all groups.")
        self.stop = QtWidgets.QPushButton("Stop all")
        self.copier = TableCopier(self.table, tasks)
        self._lay_out()
        self.stop.clicked.connect(queue.stop)
        self.table.doubleClicked.connect(self._open)
        queue.changed.connect(Postponed(self, self.refresh, delay=100))
        queue.finished.connect(lambda _jobs: self.refresh())
        self.refresh()

    def _lay_out(self) -> None:
        table = self.table
        table.setModel(self.model)
        table.setAccessibleName("Queue of groups")
        table.setWordWrap(False)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + 6)
        table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        table.setItemDelegateForColumn(_PROGRESS, _ProgressDelegate(table))
        table.horizontalHeader().setStretchLastSection(True)
        for section, width in enumerate((220, 120, 90, 60, 50)):
            table.setColumnWidth(section, width)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.summary, 1)
        row.addWidget(self.stop)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row)
        layout.addWidget(table)

    def refresh(self) -> None:
        """Take over what the queue holds now."""
        jobs = self._queue.jobs
        numbers = tuple(name for name in _NUMBERS if any(name in job.quality for job in jobs))
        if numbers != self._numbers or len(jobs) != len(self.model.rows):
            self._numbers = numbers
            self.model.set_rows(tuple(jobs), _columns(numbers))
        else:
            self.model.set_rows(tuple(jobs))
            last = self.model.index(len(jobs) - 1, self.model.columnCount() - 1)
            self.model.dataChanged.emit(self.model.index(0, 0), last)
        self.stop.setEnabled(self._queue.is_running)
        if jobs:
            self.summary.setText(_summarise(self._queue))

    def _open(self, index: Any) -> None:
        job: GroupJob = self.model.rows[index.row()]
        if job.session and job.state not in ("waiting", "running"):
            self.session_asked.emit(job.session)


class _ProgressDelegate(QtWidgets.QStyledItemDelegate):
    """Draws how far a group is."""

    def paint(self, painter: QtGui.QPainter, option: Any, index: Any) -> None:
        """Draw the bar under the text of the cell."""
        job: GroupJob = index.model().rows[index.row()]
        theme = current_theme()
        failed = job.state in ("failed", "stopped")
        color = QtGui.QColor(theme.error if failed else theme.good if job.state == "done" else theme.accent)
        color.setAlpha(90)
        box = option.rect.adjusted(2, 3, -2, -3)
        painter.fillRect(box.adjusted(0, 0, -round(box.width() * (1 - job.fraction)), 0), color)
        painter.setPen(QtGui.QColor(theme.text))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, index.data() or "")


def _columns(numbers: tuple[str, ...]) -> list[Column]:
    def color(job: GroupJob) -> str:
        return current_theme().error if job.state == "failed" else ""

    def number(name: str) -> Any:
        return lambda job: f"{job.quality[name]:.4g}" if name in job.quality else ""

    return [
        Column("Group", lambda job: job.label, lambda job: _ICONS[job.state], lambda job: job.text),
        Column("Step", lambda job: job.step if job.state == "running" else job.state, tip=lambda job: job.file),
        Column("Progress", lambda job: f"{100 * job.fraction:.0f} %" if job.state != "waiting" else ""),
        Column("Time", lambda job: f"{job.seconds:.1f} s" if job.seconds else "", is_number=True),
        Column("Warn.", lambda job: str(job.warnings or ""), is_number=True),
        *(Column(name, number(name), is_number=True) for name in numbers),
        Column("Products, or what went wrong", lambda job: job.error or str(job.folder), color=color),
    ]


def _summarise(queue: GroupQueue) -> str:
    done = sum(job.state == "done" for job in queue.jobs)
    bad = sum(job.state in ("failed", "stopped") for job in queue.jobs)
    parts = [f"{done} of {len(queue.jobs)} groups are reduced"]
    if bad:
        parts.append(f"{bad} could not be")
    if queue.is_running:
        parts.append(f"{queue.processes} at a time")
        left = queue.seconds_left()
        if left is not None:
            parts.append(f"{format_seconds(left)} left")
    return ", ".join(parts) + "."
