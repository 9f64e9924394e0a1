"""Quick-look maps of a folder, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sofia_engine.errors import SofiaDeskError
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.quality.folders import find_kind
from sofia_viewers.quality.thumbnails import make_thumbnail
from sofia_viewers.tasks import Tasks

__all__ = ["Gallery"]

_CHUNK = 4
_SIZES = (120, 600)
_PATH = int(Qt.ItemDataRole.UserRole)


class Gallery(QtWidgets.QWidget):
    """Pictures of a folder; where there are none, pictures of its products."""

    file_opened = Signal(object)

    def __init__(self, tasks: Tasks, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.tasks = tasks
        self.paths: list[Path] = []
        self._waiting: list[Path] = []
        self._pictures: list[Path] = []
        self._products: list[Path] = []
        self.size_slider = QtWidgets.QSlider(Qt.Orientation.Horizontal)
        self.fits_too = QtWidgets.QCheckBox("Products without a map, too")
        self.note = QtWidgets.QLabel("No pictures.")
        self.view = QtWidgets.QListWidget()
        self._lay_out()

    def show_files(self, pictures: Sequence[Path], products: Sequence[Path]) -> None:
        """Show quick-look maps, and products: those that have no map of their own if so chosen, or if there is none."""
        self._pictures, self._products = list(pictures), list(products)
        self._refresh()

    def picture(self, place: int) -> QtGui.QIcon:
        """Return what is shown at a place."""
        return self.view.item(place).icon()

    def _lay_out(self) -> None:
        self.size_slider.setRange(*_SIZES)
        self.size_slider.setValue(260)
        self.size_slider.setMaximumWidth(200)
        self.size_slider.setAccessibleName("Size of the pictures")
        self.size_slider.valueChanged.connect(self._resize)
        self.fits_too.toggled.connect(self._refresh)
        self.note.setProperty("role", "muted")
        self.view.setAccessibleName("Pictures")
        self.view.setViewMode(QtWidgets.QListView.ViewMode.IconMode)
        self.view.setResizeMode(QtWidgets.QListView.ResizeMode.Adjust)
        self.view.setMovement(QtWidgets.QListView.Movement.Static)
        self.view.setWordWrap(True)
        self.view.setSpacing(8)
        self.view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.view.itemActivated.connect(lambda item: self.file_opened.emit(item.data(_PATH)))
        line = QtWidgets.QHBoxLayout()
        line.addWidget(QtWidgets.QLabel("Size"))
        line.addWidget(self.size_slider)
        line.addWidget(self.fits_too)
        line.addStretch(1)
        line.addWidget(self.note)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(line)
        layout.addWidget(self.view, 1)
        self._resize(self.size_slider.value())

    def _resize(self, size: int) -> None:
        self.view.setIconSize(QtCore.QSize(size, size))
        self._cell = QtCore.QSize(size + 20, size + 3 * self.view.fontMetrics().height())
        self.view.setGridSize(self._cell)
        for place in range(self.view.count()):
            self.view.item(place).setSizeHint(self._cell)

    @QtCore.Slot()
    def _refresh(self) -> None:
        named = {path.stem for path in self._pictures}
        more = [path for path in self._products if path.name.split(".fits")[0] not in named]
        self.paths = self._pictures + (more if self.fits_too.isChecked() or not self._pictures else [])
        self.view.clear()
        for path in self.paths:
            item = QtWidgets.QListWidgetItem(path.name)
            item.setData(_PATH, path)
            item.setToolTip(str(path))
            item.setSizeHint(self._cell)
            item.setTextAlignment(Qt.AlignmentFlag.AlignHCenter)
            self.view.addItem(item)
        self.note.setText(f"{len(self.paths)} pictures" if self.paths else "No pictures and no products here.")
        self._waiting = list(self.paths)
        self._read_next()

    def _read_next(self) -> None:
        chunk, self._waiting = self._waiting[:_CHUNK], self._waiting[_CHUNK:]
        if chunk:
            self.tasks.submit("gallery", lambda: [(path, _read_picture(path)) for path in chunk], self._show)

    def _show(self, pictures: list[tuple[Path, QtGui.QImage | None]]) -> None:
        places = {path: number for number, path in enumerate(self.paths)}
        for path, image in pictures:
            item = self.view.item(places[path]) if path in places else None
            if item is None:
                continue
            if image is None:
                item.setText(f"{path.name}\n(no picture)")
            else:
                item.setIcon(QtGui.QIcon(QtGui.QPixmap.fromImage(image)))
        self._read_next()


def _read_picture(path: Path) -> QtGui.QImage | None:
    """Read a picture, or draw a product; runs in a thread (QImage may be used there)."""
    if find_kind(path) != "fits":
        image = QtGui.QImage(str(path))
        wide = max(image.width(), image.height()) > _SIZES[1]
        mode = (Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
        return None if image.isNull() else image.scaled(_SIZES[1], _SIZES[1], *mode) if wide else image
    try:
        array = make_thumbnail(path, 2 * _SIZES[0])
    except (SofiaDeskError, ValueError, TypeError, IndexError):
        return None
    height, width = array.shape[:2]
    drawn = QtGui.QImage(array.tobytes(), width, height, 3 * width, QtGui.QImage.Format.Format_RGB888)
    factor = max(1, _SIZES[1] // max(width, height))
    return drawn.scaled(width * factor, height * factor)
