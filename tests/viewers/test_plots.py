"""Widgets and menus of closed viewers are gone at once, without a search for garbage."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("PySide6")

from sofia_viewers.plots import make_plot
from sofia_viewers.qt import QtCore, QtWidgets, pg
from sofia_viewers.theme import apply_theme, theme_events


def make_image_viewer(store: Any) -> QtWidgets.QWidget:
    from sofia_viewers.image.viewer import ImageViewer

    return ImageViewer(store=store)


def make_cube_viewer(store: Any) -> QtWidgets.QWidget:
    from sofia_viewers.cube.viewer import CubeViewer

    return CubeViewer(store=store)


def make_spectrum_viewer(store: Any) -> QtWidgets.QWidget:
    from sofia_viewers.spectrum.viewer import SpectrumViewer

    return SpectrumViewer()


def make_quality_viewer(store: Any) -> QtWidgets.QWidget:
    from sofia_viewers.quality.viewer import QualityViewer

    return QualityViewer(store=store)


@pytest.fixture
def no_search(qapp: Any) -> Iterator[None]:
    """Keep Python from finding garbage meanwhile."""
    timer = qapp.findChild(QtCore.QTimer, "garbage")
    timer.stop()
    yield
    timer.start()


def delete(widget: QtWidgets.QWidget) -> None:
    widget.close()
    widget.deleteLater()
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


@pytest.mark.parametrize("make", [make_image_viewer, make_cube_viewer, make_spectrum_viewer, make_quality_viewer])
def test_that_no_widget_of_a_closed_viewer_is_left(qtbot, no_search, tmp_path: Path, make: Callable[[Any], Any]):
    from sofia_viewers.image.settings import SettingsStore

    before = set(QtWidgets.QApplication.allWidgets())
    viewer = make(SettingsStore(tmp_path / "settings", tmp_path / "old"))
    viewer.show()
    qtbot.waitExposed(viewer)
    assert len(QtWidgets.QApplication.allWidgets()) > len(before) + 100
    delete(viewer)
    assert not gc.isenabled()
    assert [widget for widget in QtWidgets.QApplication.allWidgets() if widget not in before] == []


@pytest.mark.parametrize("has_menu", [False, True])
def test_that_the_menus_of_a_plot_end_with_it(qtbot, no_search, has_menu):
    before = len(QtWidgets.QApplication.allWidgets())
    parent = QtWidgets.QWidget()
    plot = make_plot(has_menu=has_menu)
    QtWidgets.QVBoxLayout(parent).addWidget(plot)
    parent.show()
    assert plot.getPlotItem().vb.menuEnabled() == has_menu
    assert (plot.getPlotItem().vb.menu is not None) == has_menu
    if has_menu:
        plot.getPlotItem().vb.menu.popup(QtCore.QPoint(5, 5))
        assert plot.getPlotItem().vb.menu.isVisible()
        plot.getPlotItem().vb.menu.hide()
    delete(parent)
    assert len(QtWidgets.QApplication.allWidgets()) == before
    assert isinstance(plot, pg.PlotWidget)  # Python's part is still there


def test_that_a_look_that_is_there_already_is_not_applied_again(qapp, qtbot):
    class Counted(QtWidgets.QWidget):
        changes = 0

        def changeEvent(self, event):
            self.changes += event.type() in {QtCore.QEvent.Type.StyleChange, QtCore.QEvent.Type.PaletteChange}

    apply_theme(qapp, "light")
    widget = Counted()
    qtbot.addWidget(widget)
    widget.show()
    widget.changes = 0
    heard: list[Any] = []
    theme_events().changed.connect(heard.append)
    try:
        apply_theme(qapp, "light", text_size=qapp.font().pointSizeF())
        assert (widget.changes, heard) == (0, [])
        qapp.setStyleSheet("")  # what somebody else did is mended
        apply_theme(qapp, "light")
        assert len(heard) == 1
        assert "QToolTip" in qapp.styleSheet()
    finally:
        theme_events().changed.disconnect(heard.append)
