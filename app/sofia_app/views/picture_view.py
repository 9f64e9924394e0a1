"""Pictures that a step has made beside its products: quick-look maps, residuals of fits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sofia_app.views.buttons import make_button
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from sofia_viewers.tasks import Tasks

__all__ = ["PictureView"]

_EMPTY = "The step shown has made no pictures."
_LEAST = 120


class _Canvas(QtWidgets.QLabel):
    """Draws a picture as large as there is room, never larger than it is."""

    def __init__(self) -> None:
        super().__init__(_EMPTY)
        self.image = QtGui.QImage()
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setProperty("role", "muted")
        self.setMinimumSize(_LEAST, _LEAST)
        self.setAccessibleName("Picture")

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802
        """Draw the picture, or the text where there is none."""
        if self.image.isNull():
            super().paintEvent(event)
            return
        ratio = self.devicePixelRatioF()
        room = self.contentsRect().size() * ratio
        size = self.image.size()
        if size.width() > room.width() or size.height() > room.height():
            size = size.scaled(room, Qt.AspectRatioMode.KeepAspectRatio)
        drawn = self.image.scaled(size, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
        drawn.setDevicePixelRatio(ratio)
        painter = QtGui.QPainter(self)
        corner = self.contentsRect().center() - QtCore.QPoint(round(size.width() / 2), round(size.height() / 2)) / ratio
        painter.drawImage(corner, drawn)
        painter.end()


class PictureView(QtWidgets.QWidget):
    """Shows the pictures of a state, one at a time.

    Parameters
    ----------
    tasks : Tasks
        Reads them in a thread.
    """

    def __init__(self, tasks: Tasks) -> None:
        super().__init__()
        self._tasks = tasks
        self._paths: tuple[Path, ...] = ()
        self.choice = QtWidgets.QComboBox()
        self.choice.setAccessibleName("Pictures")
        self.choice.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.canvas = _Canvas()
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.choice, 1)
        row.addWidget(make_button("Copy the picture", self.copy, "copy"))
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row)
        layout.addWidget(self.canvas, 1)
        self.choice.currentIndexChanged.connect(self._read)
        self.show_pictures(())

    @property
    def paths(self) -> tuple[Path, ...]:
        """The pictures that can be chosen."""
        return self._paths

    def show_pictures(self, paths: Sequence[Path]) -> None:
        """Show other pictures; the same place in the list stays chosen."""
        place = max(self.choice.currentIndex(), 0)
        self._paths = tuple(paths)
        self.choice.blockSignals(True)
        self.choice.clear()
        self.choice.addItems([path.name for path in self._paths])
        self.choice.setCurrentIndex(min(place, len(self._paths) - 1))
        self.choice.blockSignals(False)
        self.choice.setEnabled(len(self._paths) > 1)
        self._read(self.choice.currentIndex())

    def copy(self) -> None:
        """Copy the picture."""
        if not self.canvas.image.isNull():
            QtGui.QGuiApplication.clipboard().setImage(self.canvas.image)

    def _read(self, place: int) -> None:
        if 0 <= place < len(self._paths):
            path = str(self._paths[place])
            self._tasks.submit(f"picture {id(self)}", lambda: QtGui.QImage(path), self._accept)
        else:
            self._accept(QtGui.QImage())

    def _accept(self, image: QtGui.QImage) -> None:
        self.canvas.image = image
        self.canvas.update()
