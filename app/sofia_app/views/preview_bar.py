"""What previews are made of, to be chosen; and what the last one shows."""

from __future__ import annotations

from sofia_app.models.preferences import Preferences
from sofia_viewers.qt import Qt, QtWidgets, Signal

__all__ = ["PreviewBar"]

_CHOICES = {
    "off": ("off", "No preview while values are edited; Preview (F7) makes one"),
    "file": ("one file", "Each edit is tried on the file in view, or the first one"),
    "view": ("visible part", "Each edit is tried on the part of the image that is in view"),
    "rectangle": ("rectangle", "Each edit is tried on the box that is selected, or else drawn last, in the image"),
}


class PreviewBar(QtWidgets.QWidget):
    """A list to choose from, and a line that says what is shown.

    Parameters
    ----------
    preferences : Preferences
        Hold the choice.
    """

    chosen = Signal()

    def __init__(self, preferences: Preferences) -> None:
        super().__init__()
        self._preferences = preferences
        self.box = QtWidgets.QComboBox()
        self.label = QtWidgets.QLabel("Previe&w while editing")
        self.note = QtWidgets.QLabel()
        for key, (text, tip) in _CHOICES.items():
            self.box.addItem(text, key)
            self.box.setItemData(self.box.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self._lay_out()
        self.box.activated.connect(self._choose)
        self.refresh()

    def _lay_out(self) -> None:
        self.label.setBuddy(self.box)
        self.box.setAccessibleName("Preview while editing")
        self.note.setWordWrap(True)
        self.note.setProperty("role", "muted")
        self.note.hide()
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self.label, 0, 0)
        grid.addWidget(self.box, 0, 1)
        grid.addWidget(self.note, 1, 0, 1, 2)
        grid.setColumnStretch(1, 1)

    def refresh(self) -> None:
        """Show what is chosen."""
        key = self._preferences.preview_of if self._preferences.live_preview else "off"
        self.box.setCurrentIndex(self.box.findData(key))
        self.box.setToolTip(_CHOICES[key][1])

    def say(self, text: str) -> None:
        """Show a sentence about the last preview; none hides the line."""
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _choose(self, _index: int) -> None:
        key = self.box.currentData()
        self._preferences.live_preview = key != "off"
        if key != "off":
            self._preferences.preview_of = key
        self.refresh()
        self.chosen.emit()
