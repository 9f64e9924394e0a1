"""Numbers and units beside the axes: what is read there is what is drawn."""

import numpy as np
import pytest

from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from sofia_viewers.theme import apply_theme, current_theme
from sofia_viewers.unit_names import show_unit


@pytest.mark.parametrize("unit", ["Jy", "mJy", "W / (m2 um)", "W / (m2 Hz)", "erg / (s cm2 Angstrom)"])
def test_that_the_numbers_of_the_axis_times_its_power_of_ten_are_those_of_the_curve(viewer, unit):
    viewer.session.change_axis("primary", 0, unit=unit)
    viewer.session.change_axis("primary", 0, field="spectral_error", unit=unit)  # drawn twice, over other ranges
    view = viewer.area.current
    axis = view.item.getAxis("left")
    low, high = view.limits[1]
    (middle,) = axis.tickStrings([0.5 * (low + high)], axis.autoSIPrefixScale * axis.scale, 0.001 * (high - low))
    assert float(middle) * 10.0**axis.power == pytest.approx(0.5 * (low + high), rel=0.01)
    assert len(middle) < 12
    raised = {0: "", -12: "10⁻¹² ", -13: "10⁻¹³ ", -14: "10⁻¹⁴ ", -27: "10⁻²⁷ ", -28: "10⁻²⁸ "}.get(axis.power)
    if raised is not None:
        assert f"[{raised}{show_unit(unit)}]" in axis.labelString().replace("<br>", " ")


def test_that_the_power_of_ten_goes_where_axes_are_logarithmic_or_numbers_are_plain(viewer):
    axis = viewer.area.current.item.getAxis("left")
    viewer.session.change_axis("primary", 0, unit="W / (m2 um)")
    assert axis.power < -10
    viewer.session.change_axis("primary", 0, scale="log")
    assert (axis.power, axis.autoSIPrefixScale) == (0, 1.0)
    viewer.session.change_axis("primary", 0, scale="linear", unit="Jy")
    assert (axis.power, axis.autoSIPrefixScale) == (0, 1.0)
    assert "10" not in axis.labelString()


def test_that_numbers_of_logarithmic_axes_are_written_out_where_they_are_short(viewer):
    axis = viewer.area.current.item.getAxis("left")
    viewer.session.change_axis("primary", 0, scale="log")
    places = np.log10([0.002, 0.3, 1.0, 40.0, 90000.0, 1e-12, 3e7])
    assert axis.tickStrings(list(places), 1.0, 1.0) == ["0.002", "0.3", "1", "40", "90000", "10⁻¹²", "3·10⁷"]


def test_that_the_numbers_follow_the_range_that_is_shown(viewer):
    view = viewer.area.current
    axis = view.item.getAxis("bottom")

    def draw():
        viewer.grab()
        return axis.picture

    first = draw()
    view.set_limits((10.2, 10.4))
    assert axis.picture is None or axis.picture is not first
    assert draw() is not first


def test_that_an_empty_pane_has_no_numbers(viewer):
    axis = viewer.area.current.item.getAxis("left")
    assert axis.style["showValues"]
    viewer.session.remove_file("a")
    assert not axis.style["showValues"]


@pytest.mark.parametrize(
    ("unit", "shown"),
    [
        ("erg s-1 cm-2 sr-1 (cm-1)-1", "erg s⁻¹ cm⁻² sr⁻¹ (cm⁻¹)⁻¹"), ("W / (m2 um)", "W / (m² μm)"), ("cm-1", "cm⁻¹"),
        ("Jy / arcsec2", "Jy / arcsec²"), ("erg / (s cm2 Angstrom)", "erg / (s cm² Å)"), ("micron", "μm"), ("Jy", "Jy"),
    ],
)  # fmt: skip
def test_that_units_are_written_with_raised_powers(unit, shown):
    assert show_unit(unit) == shown


def test_that_a_pane_in_which_all_values_are_missing_says_so(viewer, make_file):
    viewer.session.add_files([make_file("a", spectral_flux=np.full(201, np.nan))])
    view = viewer.area.current
    assert view.message.isVisible()
    assert "missing" in view.message.text()
    viewer.session.add_files([make_file("a")])
    assert not view.message.isVisible()


def test_that_the_error_of_a_single_point_is_drawn(viewer, make_file):
    def count_drawn(errors):
        viewer.session.set_style(errors=errors)
        QtWidgets.QApplication.processEvents()
        image = viewer.area.current.plot.grab().toImage()
        ground = image.pixel(image.width() // 2, image.height() // 4)
        height, middle = image.height(), image.width()
        return sum(
            any(image.pixel(x, y) != ground for x in range(middle // 2 - 60, middle // 2 + 100))
            for y in range(height // 6, height // 2)
        )

    viewer.session.remove_file("a")
    point = {"wavepos": np.array([154.0]), "spectral_flux": np.array([12.0]), "spectral_error": np.array([1.0])}
    viewer.session.add_files([make_file("point", transmission=np.array([1.0]), **point)])
    viewer.session.set_style(legend=False)
    viewer.session.change_axis("primary", 0, limits=(10.0, 14.0))
    assert count_drawn("band") > count_drawn("off") + 20


def test_that_a_second_axis_is_shown_only_where_it_is_wanted(viewer):
    for plot in (viewer.area.current.item, viewer.fit_window.plot.getPlotItem()):
        assert not plot.getAxis("right").isVisible()
    viewer.session.change_axis("overplot", 0, field="transmission")
    viewer.session.change_pane(0, overplot_enabled=True)
    assert viewer.area.current.item.getAxis("right").isVisible()


@pytest.mark.parametrize("look", ["dark", "light"])
def test_that_boxes_that_are_not_ticked_can_be_seen_in_lists(qtbot, viewer, look):
    application = QtWidgets.QApplication.instance()
    apply_theme(application, look)
    boxes = viewer.line_window.list
    viewer.line_window.show()
    row = boxes.visualItemRect(boxes.topLevelItem(1))
    assert boxes.topLevelItem(1).checkState(0) == Qt.CheckState.Unchecked
    image = boxes.viewport().grab(QtCore.QRect(0, row.top(), 18, row.height())).toImage()
    ground = QtGui.QColor(current_theme().base).lightness()
    pixels = [image.pixelColor(x, y).lightness() for x in range(image.width()) for y in range(image.height())]
    assert max(abs(value - ground) for value in pixels) > 60
    apply_theme(application, "light")
