"""Dark and light look of all windows: palette, style sheet, plot colours and icons."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from sofia_engine.resources import resource_path
from sofia_viewers.qt import Qt, QtCore, QtGui, QtSvg, QtWidgets, Signal

__all__ = [
    "DARK",
    "LIGHT",
    "PLOT_COLORS",
    "Mode",
    "Theme",
    "apply_theme",
    "current_theme",
    "icon",
    "style_plot",
    "theme_events",
]

Mode = Literal["system", "dark", "light"]

PLOT_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
"""Colours of lines and marks that people with colour-blindness can tell apart (Okabe and Ito 2008)."""


@dataclass(frozen=True)
class Theme:
    """Colours of one look, as ``#rrggbb``."""

    name: str
    window: str
    base: str
    raised: str
    border: str
    text: str
    muted: str
    accent: str
    on_accent: str
    canvas: str
    grid: str
    good: str
    warning: str
    error: str

    @property
    def is_dark(self) -> bool:
        """Whether text is brighter than its ground."""
        return self.name == "dark"


LIGHT = Theme(
    "light", window="#f4f5f7", base="#ffffff", raised="#e9ebef", border="#c3c8d0", text="#1c2128", muted="#5d6673",
    accent="#0b63b0", on_accent="#ffffff", canvas="#ffffff", grid="#d5d9df", good="#18794e", warning="#8a5a00",
    error="#b42318",
)  # fmt: skip
DARK = Theme(
    "dark", window="#1f2329", base="#16191e", raised="#2b3038", border="#434a55", text="#e6e9ee", muted="#9aa4b2",
    accent="#4ea1f0", on_accent="#0c1116", canvas="#101317", grid="#343a44", good="#4cc38a", warning="#e5b567",
    error="#ff8a7a",
)  # fmt: skip

_SHEET = """
QToolTip {{ color: {text}; background: {raised}; border: 1px solid {border}; padding: 3px; }}
QToolBar {{ border: 0; spacing: 2px; padding: 2px; }}
QToolButton {{ border: 1px solid transparent; border-radius: 4px; padding: 3px; }}
QToolButton:hover {{ background: {raised}; border-color: {border}; }}
QToolButton:checked {{ background: {raised}; border-color: {accent}; }}
QToolButton:focus {{ border-color: {accent}; }}
QToolButton#qt_toolbar_ext_button {{ background: {muted}; padding: 0; }}
QGroupBox {{ border: 1px solid {border}; border-radius: 4px; margin-top: 0.9em; padding-top: 0.3em; }}
QGroupBox::title {{ subcontrol-origin: margin; left: 8px; padding: 0 3px; color: {muted}; }}
QDockWidget::title {{ background: {raised}; padding: 4px 6px; }}
QHeaderView::section {{ background: {raised}; color: {text}; border: 0; border-right: 1px solid {border};
    padding: 3px 6px; }}
QTableView {{ gridline-color: {grid}; }}
QLabel[role="muted"] {{ color: {muted}; }}
QLabel[role="error"] {{ color: {error}; }}
QLabel[role="heading"] {{ font-weight: 600; }}
QSplitter::handle {{ background: {border}; }}
QCheckBox::indicator, QAbstractItemView::indicator {{
  width: 13px; height: 13px; border: 1px solid {muted}; border-radius: 3px; background: {base};
}}
QCheckBox::indicator:disabled, QAbstractItemView::indicator:disabled {{
  border-color: {border}; background: {window};
}}
QCheckBox::indicator:checked, QAbstractItemView::indicator:checked {{
  border-color: {accent}; image: url("{tick}");
}}
QAbstractItemView::indicator {{ width: 10px; height: 10px; }}
QCheckBox::indicator:focus {{ border-color: {accent}; }}
"""


class _ThemeEvents(QtCore.QObject):
    """Tells when the look changes."""

    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.theme = LIGHT
        self.mode: Mode = "system"
        self.followed: weakref.ref[QtWidgets.QApplication] | None = None

    def follow_system(self) -> None:
        """Take over the look of the desktop when it changes."""
        application = QtWidgets.QApplication.instance()
        if self.mode == "system" and isinstance(application, QtWidgets.QApplication):
            apply_theme(application, "system")


@lru_cache(maxsize=1)
def theme_events() -> Any:
    """Return the object whose signal ``changed`` carries the new `Theme`."""
    return _ThemeEvents()


def current_theme() -> Theme:
    """Return the look in use."""
    theme: Theme = theme_events().theme
    return theme


def apply_theme(application: QtWidgets.QApplication, mode: Mode = "system", text_size: float | None = None) -> Theme:
    """Give the application a look.

    Parameters
    ----------
    application : QApplication
        The application.
    mode : {"system", "dark", "light"}
        ``"system"`` follows the desktop, also when it changes later.
    text_size : float, optional
        Size of the text, points; that of the desktop if left out.
    """
    if text_size is not None:
        font = application.font()
        if font.pointSizeF() != text_size:
            font.setPointSizeF(text_size)
            application.setFont(font)
    events = theme_events()
    events.mode = mode
    hints = application.styleHints()
    if events.followed is None or events.followed() is not application:
        hints.colorSchemeChanged.connect(events.follow_system)
        events.followed = weakref.ref(application)
    dark = mode == "dark" or (mode == "system" and hints.colorScheme() == Qt.ColorScheme.Dark)
    theme = DARK if dark else LIGHT
    sheet = _SHEET.format(**vars(theme), tick=resource_path("icons", f"tick-{theme.name}.svg").as_posix())
    _color_plots(theme)
    if events.theme == theme and application.styleSheet() == sheet:
        return theme  # to set it again would polish every widget again
    events.theme = theme
    application.setStyle("Fusion")
    application.setPalette(make_palette(theme))
    application.setStyleSheet(sheet)
    events.changed.emit(theme)
    return theme


def make_palette(theme: Theme) -> QtGui.QPalette:
    """Return the palette of a look."""
    role = QtGui.QPalette.ColorRole
    palette = QtGui.QPalette()
    colors = {
        role.Window: theme.window, role.WindowText: theme.text, role.Base: theme.base, role.AlternateBase: theme.raised,
        role.Text: theme.text, role.Button: theme.raised, role.ButtonText: theme.text, role.BrightText: theme.error,
        role.Highlight: theme.accent, role.HighlightedText: theme.on_accent, role.Link: theme.accent,
        role.ToolTipBase: theme.raised, role.ToolTipText: theme.text, role.PlaceholderText: theme.muted,
        role.Mid: theme.border, role.Accent: theme.accent,
    }  # fmt: skip
    for which, color in colors.items():
        palette.setColor(which, QtGui.QColor(color))
    for which in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QtGui.QPalette.ColorGroup.Disabled, which, QtGui.QColor(theme.muted))
    return palette


def _color_plots(theme: Theme) -> None:
    import sys

    if "pyqtgraph" in sys.modules:
        sys.modules["pyqtgraph"].setConfigOptions(background=theme.canvas, foreground=theme.text)


def style_plot(plot: Any, theme: Theme | None = None) -> None:
    """Colour a pyqtgraph plot widget: ground, axes and labels.

    Parameters
    ----------
    plot : PlotWidget
        The plot.
    theme : Theme, optional
        The look in use if left out.
    """
    theme = theme or current_theme()
    plot.setBackground(theme.canvas)
    for side in ("left", "bottom", "right", "top"):
        axis = plot.getPlotItem().getAxis(side)
        axis.setPen(theme.muted)
        axis.setTextPen(theme.text)
    plot.getPlotItem().titleLabel.setAttr("color", theme.text)


def icon(name: str, color: str | None = None) -> QtGui.QIcon:
    """Return an icon of the program in the text colour of the look.

    Parameters
    ----------
    name : str
        File name in ``resources/icons`` without suffix.
    color : str, optional
        Another colour.

    Raises
    ------
    FileNotFoundError
        If there is no such icon.
    """
    theme = current_theme()
    drawn = QtGui.QIcon()
    drawn.addPixmap(QtGui.QPixmap.fromImage(_draw_icon(name, color or theme.text)))
    drawn.addPixmap(QtGui.QPixmap.fromImage(_draw_icon(name, theme.border)), QtGui.QIcon.Mode.Disabled)
    return drawn


@lru_cache(maxsize=512)
def _draw_icon(name: str, color: str, size: int = 48) -> QtGui.QImage:
    """Return the drawing of an icon; an image, as pixmaps must not outlive the application."""
    drawing = resource_path("icons", f"{name}.svg").read_text(encoding="utf-8").replace("currentColor", color)
    image = QtGui.QImage(size, size, QtGui.QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QtGui.QPainter(image)
    QtSvg.QSvgRenderer(QtCore.QByteArray(drawing.encode())).render(painter)
    painter.end()
    return image
