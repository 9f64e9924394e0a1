"""The frames on the screen: tiles with their titles, or one at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sofia_viewers.image.frames import Arrangement, FrameEntry
from sofia_viewers.image.widget import FrameView
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.tasks import Tasks

__all__ = ["ElidedLabel", "FrameArea", "FrameTile"]


class ElidedLabel(QtWidgets.QLabel):
    """A line of text that is shortened in the middle where there is no room; the tool tip has all of it.

    Parameters
    ----------
    end : float
        Share of the room that the end of a shortened text gets.
    """

    def __init__(self, text: str = "", parent: QtWidgets.QWidget | None = None, end: float = 0.5) -> None:
        super().__init__(text, parent)
        self._end = end
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)
        self.setTextFormat(Qt.TextFormat.PlainText)

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        """Set the text."""
        super().setText(text)
        self.setToolTip(text)

    def minimumSizeHint(self) -> QtCore.QSize:  # noqa: N802
        """Ask for little width: the text is shortened."""
        return QtCore.QSize(20, super().minimumSizeHint().height())

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802, ARG002
        """Paint what fits."""
        painter = QtGui.QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        area = self.contentsRect().adjusted(4, 0, -4, 0)
        painter.drawText(area, self.alignment() | Qt.AlignmentFlag.AlignVCenter, self.shorten(area.width()))
        painter.end()

    def shorten(self, width: int) -> str:
        """Return as much of the text as so many pixels hold."""
        metrics, text = self.fontMetrics(), self.text()
        if metrics.horizontalAdvance(text) <= width:
            return text
        end = metrics.elidedText(text, Qt.TextElideMode.ElideLeft, int(self._end * width))
        room = width - metrics.horizontalAdvance(end[1:])
        return metrics.elidedText(text, Qt.TextElideMode.ElideRight, room) + end[1:]


class FrameTile(QtWidgets.QWidget):
    """A frame with its title.

    Parameters
    ----------
    tasks : Tasks
        See `FrameView`.
    """

    def __init__(self, tasks: Tasks, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = ElidedLabel(end=0.85)  # names of products differ in their end
        self.view = FrameView(tasks)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addWidget(self.title)
        layout.addWidget(self.view, 1)

    def set_current(self, current: bool) -> None:
        """Mark the frame that keys and the side panel act on."""
        font = self.title.font()
        font.setBold(current)
        self.title.setFont(font)


class FrameArea(QtWidgets.QWidget):
    """All frames, in tiles or one at a time.

    Parameters
    ----------
    tasks : Tasks
        See `FrameView`.
    """

    view_added = Signal(str, object)

    def __init__(self, tasks: Tasks, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._tiles: dict[str, FrameTile] = {}
        self._shape: tuple[int, int] = (0, 0)
        self._empty = FrameView(tasks)
        self._grid = QtWidgets.QGridLayout(self)
        self._grid.setContentsMargins(2, 2, 2, 2)
        self._grid.setSpacing(3)
        self._grid.addWidget(self._empty, 0, 0)

    @property
    def views(self) -> dict[str, FrameView]:
        """All views, by frame key."""
        return {key: tile.view for key, tile in self._tiles.items()}

    @property
    def visible_views(self) -> dict[str, FrameView]:
        """The views that are shown."""
        return {key: tile.view for key, tile in self._tiles.items() if not tile.isHidden()}

    def show_message(self, text: str) -> None:
        """Show a text where there are no frames."""
        self._empty.set_frame(None, text)

    def set_entries(self, entries: Sequence[FrameEntry], arrangement: Arrangement, current: str) -> None:
        """Show frames; views of frames that stay are kept."""
        wanted = {entry.key: entry for entry in entries}
        for key in [key for key in self._tiles if key not in wanted]:
            self._remove(key)
        for key, entry in wanted.items():
            if key not in self._tiles:
                self._tiles[key] = FrameTile(self._tasks, self)
                self.view_added.emit(key, self._tiles[key].view)
            tile = self._tiles[key]
            tile.title.setText(entry.frame.title)
            tile.set_current(key == current and len(wanted) > 1)
        shown = list(wanted) if arrangement == "tile" else [current] if current in wanted else []
        self._arrange(shown)

    def paint(self, painter: QtGui.QPainter, rect: QtCore.QRect) -> None:
        """Paint all visible frames into a rectangle, side by side as on the screen, for export."""
        views = self.visible_views or {"": self._empty}
        columns = math.ceil(math.sqrt(len(views)))
        rows = math.ceil(len(views) / columns)
        gap = 4 if len(views) > 1 else 0
        for index, view in enumerate(views.values()):
            left, right = (rect.width() * (index % columns + i) // columns for i in (0, 1))
            top, bottom = (rect.height() * (index // columns + i) // rows for i in (0, 1))
            view.paint(painter, QtCore.QRect(left, top, right - left - gap, bottom - top - gap), wait=True)

    def _remove(self, key: str) -> None:
        tile = self._tiles.pop(key)
        tile.view.drop_requests()
        tile.view.set_frame(None)  # so that answers that come late find that it is not theirs
        self._grid.removeWidget(tile)
        tile.setParent(None)
        tile.deleteLater()

    def _arrange(self, shown: Sequence[str]) -> None:
        self._empty.setVisible(not shown)
        columns = max(1, math.ceil(math.sqrt(len(shown))))
        for key, tile in self._tiles.items():
            self._grid.removeWidget(tile)
            tile.setVisible(key in shown)
        for index, key in enumerate(shown):
            self._grid.addWidget(self._tiles[key], index // columns, index % columns)
        rows = -(-len(shown) // columns) if shown else 1
        for index in range(max(self._shape[0], rows)):
            self._grid.setRowStretch(index, 1 if index < rows else 0)
        for index in range(max(self._shape[1], columns)):
            self._grid.setColumnStretch(index, 1 if index < columns else 0)
        self._shape = (rows, columns)
