"""The slider of slices, with its wavelength and a button that plays them."""

from __future__ import annotations

from sofia_viewers.qt import Qt, QtCore, QtWidgets, Signal
from sofia_viewers.theme import icon

__all__ = ["SliceBar"]

_PLAY_MS = 80


class SliceBar(QtWidgets.QWidget):
    """Chooses a slice of a cube; `show_slice` sets what is shown without any signal."""

    slice_chosen = Signal(int)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.play = QtWidgets.QToolButton()
        self.play.setCheckable(True)
        self.play.setToolTip("Play the slices (space)")
        self.play.setAccessibleName("Play")
        self.back, self.forward = QtWidgets.QToolButton(), QtWidgets.QToolButton()
        self.back.setToolTip("Slice before (,)")
        self.back.setAccessibleName("Slice before")
        self.forward.setToolTip("Slice after (.)")
        self.forward.setAccessibleName("Slice after")
        self.slider = QtWidgets.QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("Slice")
        self.label = QtWidgets.QLabel("No cube")
        self.label.setProperty("role", "muted")
        self.label.setMinimumWidth(self.fontMetrics().horizontalAdvance("9999 of 9999   1234.5678 μm   +1234.5 km/s"))
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        for widget in (self.back, self.play, self.forward):
            layout.addWidget(widget)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.label)
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(_PLAY_MS)
        self._timer.timeout.connect(lambda: self.step(1, around=True))
        self.play.toggled.connect(self.set_playing)
        self.back.clicked.connect(lambda: self.step(-1))
        self.forward.clicked.connect(lambda: self.step(1))
        self.slider.valueChanged.connect(self.slice_chosen)
        self.refresh_icons()
        self.show_slice(0, 0, "No cube")

    @property
    def is_playing(self) -> bool:
        """Whether slices run by themselves."""
        return self._timer.isActive()

    def show_slice(self, number: int, count: int, text: str) -> None:
        """Show which slice of how many is shown, and a text on it."""
        with QtCore.QSignalBlocker(self.slider):
            self.slider.setRange(0, max(count - 1, 0))
            self.slider.setValue(number)
        self.label.setText(text)
        for widget in (self.slider, self.play, self.back, self.forward):
            widget.setEnabled(count > 1)
        if count <= 1:
            self.play.setChecked(False)

    def step(self, by: int, *, around: bool = False) -> None:
        """Go on by some slices; `around` begins again after the last."""
        count = self.slider.maximum() + 1
        wanted = self.slider.value() + by
        self.slider.setValue(wanted % count if around else wanted)

    def set_playing(self, on: bool) -> None:
        """Let the slices run, or stop them."""
        (self._timer.start if on else self._timer.stop)()
        self.play.setIcon(icon("stop" if on else "run"))

    def refresh_icons(self) -> None:
        """Draw the icons in the colour of the look."""
        self.back.setIcon(icon("previous"))
        self.forward.setIcon(icon("next"))
        self.play.setIcon(icon("stop" if self.is_playing else "run"))
