"""The spectrum viewer on real widgets: every control has an effect, and can be reversed."""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from sofia_viewers.standalone import wait_until_ready


def choose(combo, text):
    """Choose an entry as a user does."""
    index = combo.findText(text)
    assert index >= 0, [combo.itemText(i) for i in range(combo.count())]
    combo.setCurrentIndex(index)
    combo.activated.emit(index)


def type_text(edit, text):
    """Replace the text of a box and press Return."""
    edit.setText(text)
    edit.setModified(True)
    edit.returnPressed.emit()
    edit.editingFinished.emit()


def pane_of(viewer):
    return viewer.area.current


def curves_of(viewer):
    return pane_of(viewer).content.curves


def count_colors(widget):
    """How many colours a widget shows: more than a few if something is drawn."""
    image = widget.grab().toImage()
    return len({image.pixel(x, y) for x in range(0, image.width(), 3) for y in range(0, image.height(), 3)})


# -- files and panes -------------------------------------------------------------------------------------------------


def test_that_files_are_opened_listed_and_closed(viewer, tmp_path):
    (tmp_path / "b.txt").write_text("10 1 .1\n10.5 3 .1\n11 2 .1\n")
    viewer.open_files([tmp_path / "b.txt", tmp_path / "gone.txt"])
    assert wait_until_ready(viewer)
    assert viewer.load_panel.list.topLevelItemCount() == 2
    assert "gone.txt" in viewer.status.text()
    assert len(curves_of(viewer)) == 2
    viewer.load_panel.list.topLevelItem(1).setSelected(True)
    viewer.load_panel.remove_button.click()
    assert viewer.load_panel.list.topLevelItemCount() == 1
    assert len(curves_of(viewer)) == 1


def test_that_keys_in_the_file_list_plot_and_close(viewer, qtbot):
    viewer.session.add_pane()
    assert curves_of(viewer) == ()
    viewer.load_panel.list.topLevelItem(0).setSelected(True)
    qtbot.keyClick(viewer.load_panel.list, Qt.Key.Key_Return)
    assert len(curves_of(viewer)) == 1
    qtbot.keyClick(viewer.load_panel.list, Qt.Key.Key_Delete)
    assert viewer.session.files == {}


def test_that_files_dropped_on_a_pane_open_there(viewer, tmp_path):
    (tmp_path / "b.txt").write_text("10 1\n10.5 3\n11 2\n")
    viewer.session.add_pane()
    viewer.session.select_pane(0)
    mime = QtCore.QMimeData()
    mime.setUrls([QtCore.QUrl.fromLocalFile(str(tmp_path / "b.txt"))])
    second = list(viewer.area.views.values())[1]
    spot = second.mapTo(viewer, second.rect().center())
    event = QtGui.QDropEvent(
        QtCore.QPointF(spot), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    viewer.dropEvent(event)
    assert wait_until_ready(viewer)
    assert [len(view.content.curves) for view in viewer.area.views.values()] == [1, 1]


def test_that_panes_are_added_chosen_laid_out_and_removed(viewer):
    panel = viewer.panes_panel
    panel.add_button.click()
    panel.add_button.click()
    assert (len(viewer.area.views), viewer.session.current) == (3, 2)
    choose(panel.pane, "Pane 1")
    assert viewer.session.current == 0
    choose(panel.layout_choice, "rows")
    QtWidgets.QApplication.processEvents()
    tops = [view.geometry().top() for view in viewer.area.views.values()]
    assert len(set(tops)) == 3
    choose(panel.layout_choice, "columns")
    QtWidgets.QApplication.processEvents()
    assert len({view.geometry().left() for view in viewer.area.views.values()}) == 3
    panel.remove_button.click()
    panel.remove_button.click()
    assert len(viewer.area.views) == 1
    panel.remove_button.click()
    assert len(viewer.area.views) == 1


def test_that_lists_of_orders_hide_and_show_and_complement_each_other(viewer, make_file):
    viewer.session.add_files([make_file("many", orders=5)])
    viewer.session.remove_file("a")
    panel = viewer.panes_panel
    type_text(panel.enabled, "1,3-5")
    assert [c.order for c in curves_of(viewer)] == [1, 3, 4, 5]
    assert panel.hidden.text() == "2"
    type_text(panel.hidden, "1-3")
    assert panel.enabled.text() == "4-5"
    type_text(panel.enabled, "what")
    assert "no number" in viewer.status.text()
    assert len(curves_of(viewer)) == 2
    panel.hide_all.click()
    assert curves_of(viewer) == ()
    panel.enable_all.click()
    assert len(curves_of(viewer)) == 5


def test_that_the_lists_speak_of_apertures_where_there_are_several(viewer, make_file):
    viewer.session.add_files([make_file("two", apertures=2)])
    viewer.session.remove_file("a")
    assert viewer.panes_panel.enabled_label.text() == "Enabled Apertures"
    assert len({curve.color for curve in curves_of(viewer)}) == 2


def test_that_files_are_ticked_off_and_removed_from_a_pane_alone(viewer):
    panel = viewer.panes_panel
    panel.list.topLevelItem(0).setCheckState(0, Qt.CheckState.Unchecked)
    QtWidgets.QApplication.processEvents()
    assert curves_of(viewer) == ()
    panel.list.topLevelItem(0).setCheckState(0, Qt.CheckState.Checked)
    QtWidgets.QApplication.processEvents()
    assert len(curves_of(viewer)) == 1
    panel.list.topLevelItem(0).setSelected(True)
    panel.remove_file.click()
    assert viewer.session.pane.files == ()
    assert "a" in viewer.session.files


# -- axes ------------------------------------------------------------------------------------------------------------


def test_that_units_and_fields_change_the_curves_and_return(viewer):
    panel = viewer.axis_panel
    before = curves_of(viewer)[0]
    choose(panel.x_unit, "cm⁻¹")
    choose(panel.y_unit, "mJy")
    after = curves_of(viewer)[0]
    np.testing.assert_allclose(after.x, 1e4 / before.x)
    np.testing.assert_allclose(after.y, 1e3 * before.y)
    assert "Wavenumber" in pane_of(viewer).content.x_label
    choose(panel.x_unit, "μm")
    choose(panel.y_unit, "Jy")
    np.testing.assert_array_equal(curves_of(viewer)[0].y, before.y)
    choose(panel.y_field, "Transmission")
    assert curves_of(viewer)[0].y.max() == 0.8
    choose(panel.y_field, "S/N")
    assert curves_of(viewer)[0].y.max() == pytest.approx(70.0)
    choose(panel.y_field, "Spectral flux")
    choose(panel.x_field, "Column")
    assert curves_of(viewer)[0].x[-1] == 200


def test_that_velocities_ask_for_a_line_first(viewer):
    panel = viewer.axis_panel
    choose(panel.x_unit, "km/s")
    assert "rest wavelength" in viewer.status.text()
    assert viewer.session.pane.x_unit == ""
    type_text(panel.rest, "10.5")
    choose(panel.x_unit, "km/s")
    curve = curves_of(viewer)[0]
    assert curve.x[np.argmax(curve.y)] == pytest.approx(0.0, abs=1.0)
    optical = curve.x[-1]
    choose(panel.convention, "radio")
    assert curves_of(viewer)[0].x[-1] < optical


def test_that_limits_are_typed_shown_and_made_automatic_again(viewer):
    panel, view = viewer.axis_panel, pane_of(viewer)
    panel.x_low.setText("10.2")
    type_text(panel.x_high, "10.6")
    type_text(panel.y_high, "9.5")
    np.testing.assert_allclose(view.limits[0], (10.2, 10.6))
    assert view.limits[1][1] == pytest.approx(9.5)
    view.set_limits(x=(10.3, 10.4))
    assert float(panel.x_low.text()) == pytest.approx(10.3)
    type_text(panel.x_low, "")
    assert viewer.session.pane.x_limits is None
    panel.reset.click()
    assert view.limits[0][0] < 10.0 < 11.0 < view.limits[0][1]


def test_that_logarithmic_axes_show_the_same_range(viewer):
    panel, view = viewer.axis_panel, pane_of(viewer)
    choose(panel.y_scale, "Log")
    assert view.box.viewRange()[1][1] == pytest.approx(np.log10(7.0), abs=0.1)
    assert view.limits[1][1] == pytest.approx(7.0, rel=0.15)
    choose(panel.x_scale, "Log")
    assert view.limits[0][0] == pytest.approx(10.0, rel=0.01)
    choose(panel.y_scale, "Linear")
    choose(panel.x_scale, "Linear")
    assert view.box.viewRange()[0][1] == pytest.approx(11.0, rel=0.01)


def test_that_the_overplot_can_be_switched_on_changed_and_off_again(viewer):
    panel, view = viewer.axis_panel, pane_of(viewer)
    panel.overplot.setChecked(True)
    assert view.content.overplot[0].y.max() == 0.8
    assert view.item.getAxis("right").isVisible()
    choose(panel.apply_to, "Overplot")
    choose(panel.y_field, "Spectral error")
    assert view.content.overplot[0].y.max() == 0.1
    assert view.content.curves[0].y.max() == pytest.approx(7.0)
    panel.overplot.setChecked(False)
    assert not view.item.getAxis("right").isVisible()
    assert view.content.overplot == ()


def test_that_formulas_make_fields_and_bad_ones_are_explained(viewer):
    panel = viewer.axis_panel
    panel.formula_name.setText("net")
    type_text(panel.formula, "spectral_flux - median(spectral_flux)")
    assert curves_of(viewer)[0].y.max() == pytest.approx(5.0, abs=0.01)
    type_text(panel.formula, "spectral_flux +")
    assert "no formula" in viewer.status.text()
    type_text(panel.formula, "")
    assert viewer.session.pane.primary.field == "spectral_flux"


def test_that_changes_act_on_all_panes_if_wanted(viewer):
    viewer.panes_panel.add_button.click()
    viewer.session.show_in_pane(["a"])
    viewer.panes_panel.all_panes.setChecked(True)
    choose(viewer.axis_panel.x_unit, "nm")
    assert [state.x_unit for state in viewer.session.panes] == ["nm", "nm"]
    viewer.panes_panel.all_panes.setChecked(False)
    choose(viewer.axis_panel.x_unit, "μm")
    assert [state.x_unit for state in viewer.session.panes] == ["nm", "um"]


def test_that_panes_with_the_same_axis_move_together_unless_unlinked(viewer):
    viewer.panes_panel.add_button.click()
    viewer.session.show_in_pane(["a"])
    first, second = viewer.area.views.values()
    second.set_limits(x=(10.2, 10.4))
    np.testing.assert_allclose(first.limits[0], (10.2, 10.4))
    viewer.panes_panel.linked.setChecked(False)
    second.set_limits(x=(10.5, 10.6))
    np.testing.assert_allclose(first.limits[0], (10.2, 10.4))


# -- zoom and keys ---------------------------------------------------------------------------------------------------


def test_that_two_clicks_zoom_along_x_y_and_a_box_and_w_resets(viewer, qtbot):
    view = pane_of(viewer)
    full = view.limits
    qtbot.keyClick(viewer.area, "x")
    assert viewer.axis_panel.zoom_x.isChecked()
    view.box.click(QtCore.QPointF(10.6, 3))
    view.box.click(QtCore.QPointF(10.4, 4))
    np.testing.assert_allclose(view.limits, ((10.4, 10.6), full[1]))
    assert not viewer.axis_panel.zoom_x.isChecked()
    qtbot.keyClick(viewer.area, "y")
    view.box.click(QtCore.QPointF(10.5, 3))
    view.box.click(QtCore.QPointF(10.5, 6))
    np.testing.assert_allclose(view.limits, ((10.4, 10.6), (3, 6)))
    qtbot.keyClick(viewer.area, "w")
    np.testing.assert_allclose(view.limits, full)
    qtbot.keyClick(viewer.area, "z")
    view.box.click(QtCore.QPointF(10.2, 2.5))
    view.box.click(QtCore.QPointF(10.8, 5.5))
    np.testing.assert_allclose(view.limits, ((10.2, 10.8), (2.5, 5.5)))
    qtbot.keyClick(viewer.area, "z")
    qtbot.keyClick(viewer.area, "c")
    assert viewer.area.mode == "pan"


def test_that_zooms_can_be_taken_back_and_repeated(viewer, qtbot):
    view = pane_of(viewer)
    full = view.limits
    for low in (10.1, 10.3):
        view.set_limits(x=(low, 10.8))
        qtbot.waitUntil(
            lambda low=low: view.history.past[-1][0] is not None and view.history.past[-1][0][0] == pytest.approx(low)
        )
    viewer.actions_by_name["back"].trigger()
    assert view.limits[0][0] == pytest.approx(10.1)
    viewer.actions_by_name["back"].trigger()
    np.testing.assert_allclose(view.limits[0], full[0])
    viewer.actions_by_name["forward"].trigger()
    assert view.limits[0][0] == pytest.approx(10.1)


def test_that_the_wheel_zooms_at_the_cursor(viewer):
    view = pane_of(viewer)
    before = view.limits
    centre = QtCore.QPointF(view.plot.viewport().rect().center())
    glob = view.plot.viewport().mapToGlobal(centre)
    event = QtGui.QWheelEvent(centre, glob, QtCore.QPoint(), QtCore.QPoint(0, 120), Qt.MouseButton.NoButton,
                              Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False)  # fmt: skip
    QtWidgets.QApplication.sendEvent(view.plot.viewport(), event)
    assert view.limits[0][1] - view.limits[0][0] < before[0][1] - before[0][0]


def test_that_delete_removes_the_pane(viewer, qtbot):
    viewer.session.add_pane()
    qtbot.keyClick(viewer.area, Qt.Key.Key_Delete)
    assert len(viewer.area.views) == 1


# -- look ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "on", "off"),
    [
        ("plot_type", "Scatter", "Step"),
        ("cycle", "Tableau", "Accessible"),
        ("errors", "off", "band"),
        ("errors", "bars", "band"),
    ],
)
def test_that_choices_of_the_plot_panel_change_the_picture_and_return(viewer, name, on, off):
    viewer.session.set_style(legend=False)
    first = pane_of(viewer).plot.grab().toImage()
    choose(getattr(viewer.plot_panel, name), on)
    assert pane_of(viewer).plot.grab().toImage() != first
    choose(getattr(viewer.plot_panel, name), off)
    assert pane_of(viewer).plot.grab().toImage() == first


@pytest.mark.parametrize("name", ["markers", "grid", "legend", "flags"])
def test_that_ticks_of_the_plot_panel_change_the_picture_and_return(viewer, make_file, name):
    viewer.session.add_files([make_file("a", badmask=np.arange(201) % 20 == 0)])
    first = pane_of(viewer).plot.grab().toImage()
    getattr(viewer.plot_panel, name).click()
    assert pane_of(viewer).plot.grab().toImage() != first
    getattr(viewer.plot_panel, name).click()
    assert pane_of(viewer).plot.grab().toImage() == first


def test_that_dark_mode_darkens_everything_and_returns(viewer):
    from sofia_viewers.theme import current_theme

    def ground():
        return pane_of(viewer).plot.grab().toImage().pixelColor(3, 3).lightness()

    viewer.plot_panel.dark.click()
    assert current_theme().is_dark
    assert ground() < 60
    viewer.plot_panel.dark.click()
    assert not current_theme().is_dark
    assert ground() > 200


def test_that_the_column_of_controls_folds(viewer):
    viewer.actions_by_name["column"].trigger()
    assert not viewer.column.isVisible()
    viewer.actions_by_name["column"].trigger()
    assert viewer.column.isVisible()
    panel = viewer.axis_panel
    panel.button.click()
    assert not panel.body.isVisible()


def test_that_the_cursor_is_read_out_and_popped_out(viewer):
    panel = viewer.overlays.cursor
    panel.enabled.setChecked(True)
    panel.popout.click()
    pane_of(viewer).cursor_moved.emit(pane_of(viewer).name, 10.5012, 4.0)
    viewer.overlays._read_cursor()
    assert panel.values["X Cursor"].text() == "10.5012"
    assert panel.values["Y Value"].text() == "7.00000"
    assert panel.values["Column"].text() == "100.000"
    table = viewer.overlays.cursor_table
    assert (table.rowCount(), table.item(0, 0).text(), table.item(0, 10).text()) == (1, "a.fits", "100")
    panel.enabled.setChecked(False)
    assert panel.values["Y Value"].text() == "–"


# -- fits ------------------------------------------------------------------------------------------------------------


def fit(viewer, low=10.3, high=10.75):
    viewer.set_mode("fit")
    pane_of(viewer).box.click(QtCore.QPointF(high, 3))
    pane_of(viewer).box.click(QtCore.QPointF(low, 3))


def test_that_two_clicks_fit_a_line_and_show_it(viewer, qtbot):
    qtbot.keyClick(viewer.area, "f")
    assert viewer.analysis_panel.fit_button.isChecked()
    fit(viewer)
    record = viewer.annotations.fits[0]
    assert record.result.lines[0].center.value == pytest.approx(10.5, abs=1e-4)
    assert record.columns[0] == pytest.approx(100.0, abs=0.1)
    assert len(viewer.overlays.layers("pane1").fits.curves) == 1
    assert viewer.fit_window.table.rowCount() == 1
    assert "pass" in viewer.fit_window.status.text()
    qtbot.keyClick(viewer.area, "c")
    assert viewer.overlays.layers("pane1").fits.curves == []
    viewer.fit_window.table.item(0, 0).setCheckState(Qt.CheckState.Checked)
    QtWidgets.QApplication.processEvents()
    assert len(viewer.overlays.layers("pane1").fits.curves) == 1


def test_that_shape_baseline_number_and_widths_are_obeyed(viewer, make_file):
    panel = viewer.analysis_panel
    choose(panel.feature, "Voigt")
    choose(panel.background, "Constant")
    choose(panel.sign, "Emission")
    panel.weighted.click()
    fit(viewer)
    result = viewer.annotations.fits[-1].result
    assert (result.lines[0].shape, result.degree, result.weighted) == ("voigt", 0, False)
    choose(panel.feature, "Gaussian")
    type_text(panel.fixed_width, "0.2")
    fit(viewer)
    assert viewer.annotations.fits[-1].result.lines[0].fwhm.value == pytest.approx(0.2)
    type_text(panel.fixed_width, "")
    wave = np.linspace(10.0, 11.0, 201)
    double = 2.0 + sum(a * np.exp(-0.5 * ((wave - c) / 0.03) ** 2) for a, c in ((5.0, 10.45), (3.0, 10.6)))
    viewer.session.add_files([make_file("a", spectral_flux=double)])
    panel.count.setValue(2)
    panel.same_width.click()
    fit(viewer)
    lines = viewer.annotations.fits[-1].result.lines
    assert len(lines) == 2
    assert lines[0].fwhm.value == pytest.approx(lines[1].fwhm.value)
    choose(panel.feature, "-")
    fit(viewer)
    assert viewer.annotations.fits[-1].result.lines == ()


def test_that_a_fit_without_data_is_reported_and_not_kept(viewer):
    fit(viewer, 12.0, 13.0)
    assert "no data in the range" in viewer.status.text()
    assert viewer.annotations.fits == []


def test_that_a_dragged_handle_starts_the_fit_elsewhere(viewer):
    fit(viewer)
    handles = viewer.overlays.layers("pane1").fits.handles
    assert len(handles) == 2
    handles[0].setPos(10.45, 5.0)
    handles[0].sigPositionChangeFinished.emit(handles[0])
    assert len(viewer.annotations.fits) == 1
    assert viewer.annotations.fits[0].result.lines[0].center.value == pytest.approx(10.5, abs=1e-4)
    handles = viewer.overlays.layers("pane1").fits.handles
    assert handles[0].pos().x() == pytest.approx(10.5, abs=1e-3)


def drag_handle(viewer, number, x, y):
    handle = viewer.overlays.layers("pane1").fits.handles[number]
    handle.setPos(x, y)
    handle.sigPositionChangeFinished.emit(handle)


def test_that_first_values_are_shown_dragged_and_then_fitted(viewer, qtbot):
    viewer.analysis_panel.guess_first.click()
    fit(viewer)
    (record,) = viewer.annotations.fits
    assert record.is_guess
    assert viewer.fit_window.table.rowCount() == 0
    assert "Return" in viewer.status.text()
    drag_handle(viewer, 0, 10.46, 4.0)
    (record,) = viewer.annotations.fits
    assert record.is_guess
    assert record.result.lines[0].center.value == pytest.approx(10.46)
    viewer.area.setFocus()
    qtbot.keyClick(viewer, Qt.Key.Key_Return)
    (record,) = viewer.annotations.fits
    assert record.status == "pass"
    assert record.result.lines[0].center.value == pytest.approx(10.5, abs=1e-4)
    assert viewer.fit_window.table.rowCount() == 1


def test_that_a_fit_that_fails_leaves_first_values_to_drag(viewer, monkeypatch):
    from sofia_engine.errors import StepError
    from sofia_viewers.spectrum import annotations

    found = annotations.fit_lines

    def fail_on_free_lines(x, y, error, model):
        if not all(line.fixed for line in model.lines):
            raise StepError("no way")
        return found(x, y, error, model)

    monkeypatch.setattr(annotations, "fit_lines", fail_on_free_lines)
    fit(viewer)
    assert "no way" in viewer.status.text()
    assert [record.is_guess for record in viewer.annotations.fits] == [True]
    viewer.fit_guesses()
    assert "does not converge" in viewer.status.text()
    monkeypatch.setattr(annotations, "fit_lines", found)
    viewer.fit_window.refit_button.click()
    assert [record.status for record in viewer.annotations.fits] == ["pass"]


def test_that_values_can_be_fixed_and_tied_in_the_window(viewer):
    fit(viewer)
    table = viewer.fit_window.parameters
    assert [table.item(row, 0).text() for row in range(3)] == ["amplitude", "mean", "stddev"]
    table.item(1, 1).setText("10.51")
    table.item(1, 3).setCheckState(Qt.CheckState.Checked)
    viewer.fit_window.refit_button.click()
    line = viewer.annotations.fits[0].result.lines[0]
    assert (line.center.value, line.center.error) == (10.51, 0.0)
    viewer.fit_window.parameters.item(0, 1).setText("much")
    viewer.fit_window.refit_button.click()
    assert "no number" in viewer.fit_window.status.text()
    assert viewer.annotations.fits[0].result.lines[0].center.value == 10.51


def test_that_fits_follow_the_units_of_the_pane(viewer):
    fit(viewer)
    choose(viewer.axis_panel.x_unit, "cm⁻¹")
    choose(viewer.axis_panel.y_unit, "mJy")
    x, y = viewer.overlays.layers("pane1").fits.curves[0].getData()
    peak = x[np.nanargmax(y)]
    assert peak == pytest.approx(1e4 / 10.5, rel=1e-3)
    assert np.nanmax(y) == pytest.approx(7000.0, rel=1e-2)


@pytest.mark.parametrize("suffix", [".csv", ".ecsv"])
def test_that_the_table_of_fits_is_saved_and_cleared(viewer, tmp_path, suffix):
    from astropy.table import Table

    from sofia_viewers.spectrum.fit_table import COLUMNS

    fit(viewer)
    path = viewer.fit_window.save(tmp_path / f"fits{suffix}")
    table = Table.read(path, format="ascii.csv" if suffix == ".csv" else "ascii.ecsv")
    assert tuple(table.colnames[:12]) == COLUMNS
    assert float(table["mid_point"][0]) == pytest.approx(10.5, abs=1e-4)
    assert {"mid_point_err", "flux", "flux_err", "ew", "ew_err", "chi2r"} <= set(table.colnames)
    if suffix == ".ecsv":
        units = [str(table[name].unit) for name in ("mid_point", "fwhm_err", "amplitude", "slope", "flux", "flux_w_m2")]
        assert units == ["um", "um", "Jy", "Jy / um", "Jy um", "W / m2"]
    viewer.fit_window.clear_button.click()
    assert viewer.fit_window.table.rowCount() == 0


def test_that_a_fit_is_drawn_within_a_tenth_of_a_second(viewer):
    fit(viewer)
    start = time.process_time()
    fit(viewer)
    QtWidgets.QApplication.processEvents()
    assert time.process_time() - start < 0.25  # with all widgets; the fit itself is measured in test_fitting


# -- statistics, operations, lines, atmosphere -----------------------------------------------------------------------


def test_that_a_range_is_measured_moved_and_dismissed(viewer):
    viewer.analysis_panel.statistics.click()
    assert viewer.area.mode == "region"
    for x in (10.0, 10.2):
        pane_of(viewer).box.click(QtCore.QPointF(x, 3))
    assert "n = 41" in viewer.status.text()
    region = viewer.overlays.layers("pane1").region.items[0]
    ranges = []
    viewer.range_selected.connect(lambda *limits: ranges.append(limits))
    region.setRegion((10.0, 11.0))
    assert ranges[-1] == pytest.approx((10.0, 11.0))
    assert "n = 201" in viewer.status.text()
    viewer.press("", Qt.Key.Key_Escape)
    assert viewer.overlays.layers("pane1").region.items == []


def test_that_operations_make_new_files(viewer):
    panel = viewer.operations_panel
    panel.smooth.click()
    panel.factor.setValue(3)
    viewer.load_panel.list.topLevelItem(0).setSelected(True)
    panel.rebin.click()
    assert [len(viewer.session.files[k].spectra[0]) for k in ("a", "derived:1", "derived:2")] == [201, 201, 67]
    choose(panel.second, "a.fits")
    panel.compute.click()
    np.testing.assert_array_equal(viewer.session.files["derived:3"].spectra[0].flux, 0.0)


def test_that_the_continuum_of_windows_is_subtracted(viewer):
    panel = viewer.operations_panel
    for low, high in ((10.0, 10.2), (10.8, 11.0)):
        panel.add_window.click()
        for x in (low, high):
            pane_of(viewer).box.click(QtCore.QPointF(x, 3))
    assert len(viewer.overlays.layers("pane1").windows.items) == 2
    viewer.load_panel.list.topLevelItem(0).setSelected(True)
    panel.subtract.click()
    panel.normalize.click()
    assert viewer.session.files["derived:1"].spectra[0].flux[0] == pytest.approx(0.0, abs=1e-6)
    assert viewer.session.files["derived:2"].spectra[0].flux.max() == pytest.approx(3.5, abs=1e-6)
    panel.clear.click()
    assert viewer.overlays.layers("pane1").windows.items == []


def test_that_reference_lines_are_shown_labelled_moved_and_cleared(viewer, tmp_path):
    window, layer = viewer.line_window, viewer.overlays.layers("pane1").lines
    item = next(window.list.topLevelItem(i) for i in range(7) if "Atoms" in window.list.topLevelItem(i).text(0))
    item.setCheckState(0, Qt.CheckState.Checked)
    QtWidgets.QApplication.processEvents()
    assert layer.places == pytest.approx([10.5105])
    assert layer.labels == ["[S IV]"]
    window.velocity.setValue(3000.0)
    assert layer.places == pytest.approx([10.5105 * (1 + 3000 / 299792.458)])
    layer.dragged.emit(10.5105, 10.6)
    assert layer.places == pytest.approx([10.6])
    assert window.redshift.value() == pytest.approx(10.6 / 10.5105 - 1, abs=1e-7)
    choose(viewer.axis_panel.x_unit, "THz")
    assert layer.places == pytest.approx([299.792458 / 10.6])
    window.show_labels.click()
    assert layer.labels == []
    window.show_lines.click()
    assert layer.places == []
    window.show_lines.click()
    (tmp_path / "own.txt").write_text("10.3 mine\n")
    window.open_list(str(tmp_path / "own.txt"))
    assert len(layer.places) == 2
    window.open_list(str(tmp_path / "none.txt"))
    assert "cannot be read" in window.status.text()
    window.clear.click()
    assert layer.places == []


def test_that_a_search_result_becomes_the_rest_wavelength(viewer):
    viewer.line_window.search.setText("[S IV]")
    item = viewer.line_window.results.topLevelItem(0)
    viewer.line_window.results.itemDoubleClicked.emit(item, 0)
    assert viewer.session.pane.rest == pytest.approx(10.5105)


def test_that_the_atmosphere_is_shown_over_the_spectrum_and_hidden(viewer, tmp_path):
    from astropy.io import fits

    wave = np.linspace(9.0, 12.0, 3001)
    fits.PrimaryHDU(np.stack([wave, 1 - 0.5 * np.exp(-0.5 * ((wave - 10.5) / 0.1) ** 2)])).writeto(
        tmp_path / "atran_41K_45deg_9-12mum.fits"
    )
    from dataclasses import replace

    viewer.annotations.set_sky(replace(viewer.annotations.sky, source=tmp_path, resolution=0.0))
    viewer.atmosphere_panel.shown.click()
    assert wait_until_ready(viewer)
    item = viewer.overlays.layers("pane1").atmosphere.item
    assert item.curve.y.min() == pytest.approx(0.5, abs=1e-3)
    assert "atran_41K_45deg" in viewer.status.text()
    type_text(viewer.atmosphere_panel.resolution, "50")
    assert wait_until_ready(viewer)
    assert viewer.overlays.layers("pane1").atmosphere.item.curve.y.min() > 0.51
    viewer.atmosphere_panel.shown.click()
    assert viewer.overlays.layers("pane1").atmosphere.item is None


def test_that_a_missing_model_of_the_atmosphere_is_explained(viewer, tmp_path):
    from dataclasses import replace

    viewer.annotations.set_sky(replace(viewer.annotations.sky, source=tmp_path))
    viewer.atmosphere_panel.shown.click()
    assert wait_until_ready(viewer)
    assert "holds no model" in viewer.status.text()


# -- saving and the program ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_that_the_figure_is_saved(viewer, tmp_path, suffix):
    path = viewer.export(tmp_path / f"f{suffix}")
    assert path.stat().st_size > 2000
    if suffix == ".svg":
        assert "Wavelength" in path.read_text()


def test_that_numbers_and_code_of_the_plot_can_be_had(viewer, tmp_path):
    from astropy.table import Table

    viewer.axis_panel.x_unit.setCurrentText("nm")
    table = Table.read(viewer.save_numbers(tmp_path / "n.ecsv"))
    np.testing.assert_allclose(table["spectral_flux"], curves_of(viewer)[0].y)
    viewer.show_code()
    code = viewer.code_window.toPlainText()
    compile(code, "code", "exec")
    assert "read_spectrum_file" in code


def test_that_a_session_is_saved_and_opened(viewer, qtbot, tmp_path):
    from sofia_viewers.spectrum.viewer import SpectrumViewer

    (tmp_path / "b.txt").write_text(
        "\n".join(f"{w:.3f} {f:.5f} 0.1" for w, f in zip(curves_of(viewer)[0].x, curves_of(viewer)[0].y, strict=True))
    )
    viewer.open_files([tmp_path / "b.txt"])
    assert wait_until_ready(viewer)
    viewer.session.remove_file("a")
    viewer.session.change_pane(x_unit="nm", x_limits=(10200.0, 10700.0))
    fit(viewer, 10300.0, 10700.0)
    path = viewer.save_session(tmp_path / "s.json")
    other = SpectrumViewer()
    qtbot.addWidget(other)
    other.open_session(path)
    assert wait_until_ready(other)
    assert other.session.pane == viewer.session.pane
    assert len(other.annotations.fits) == 1
    np.testing.assert_allclose(pane_of(other).limits[0], (10200.0, 10700.0))
    (tmp_path / "bad.json").write_text("{}")
    other.open_session(tmp_path / "bad.json")
    assert wait_until_ready(other)
    assert "no saved session" in other.status.text()
    other.close()


def test_that_products_of_the_pipeline_replace_each_other_and_the_zoom_stays(viewer):
    from astropy.io import fits

    from sofia_engine.product import Product

    def product(level):
        wave = np.linspace(10, 11, 50)
        planes = {"SPECTRAL_FLUX": np.full(50, level), "SPECTRAL_ERROR": np.ones(50), "WAVEPOS": wave}
        return Product.of(fits.Header({"INSTRUME": "FORCAST"}), planes, {"SPECTRAL_FLUX": "Jy", "WAVEPOS": "um"})

    viewer.session.remove_file("a")
    viewer.show_products([product(1.0)], ["first"])
    assert wait_until_ready(viewer)
    pane_of(viewer).set_limits(x=(10.2, 10.4))
    fit(viewer, 10.2, 10.4)
    viewer.show_products([product(2.0)], ["second"])
    assert wait_until_ready(viewer)
    assert curves_of(viewer)[0].y[0] == 2.0
    np.testing.assert_allclose(pane_of(viewer).limits[0], (10.2, 10.4))
    viewer.pinned = True
    viewer.show_products([product(3.0)], ["third"])
    assert wait_until_ready(viewer)
    assert curves_of(viewer)[0].y[0] == 2.0


def test_that_an_empty_pane_says_what_to_do_and_a_full_one_is_drawn(viewer):
    assert count_colors(pane_of(viewer).plot) > 10
    assert not pane_of(viewer).message.isVisible()
    viewer.session.remove_file("a")
    assert "Open files" in pane_of(viewer).message.text()
    assert pane_of(viewer).message.isVisible()


def test_that_all_controls_have_names_for_screen_readers(viewer):
    for kind in (QtWidgets.QComboBox, QtWidgets.QLineEdit, QtWidgets.QAbstractSpinBox):
        for widget in viewer.column.findChildren(kind):
            if isinstance(widget.parent(), QtWidgets.QAbstractSpinBox) or widget is viewer.axis_panel.formula_name:
                continue
            assert widget.accessibleName() or widget.toolTip(), widget


def run_command(*words):
    import argparse

    from sofia_viewers.spectrum import main

    parser = argparse.ArgumentParser()
    main.add_arguments(parser)
    return main.run(parser.parse_args([str(word) for word in words]))


def test_that_the_command_exports_and_explains_what_it_cannot(qapp, tmp_path, capsys):
    (tmp_path / "b.txt").write_text("10 1 .1\n10.5 3 .1\n11 2 .1\n")
    assert run_command(tmp_path / "b.txt", "--export", tmp_path / "b.png", "--width", 500, "--height", 400) == 0
    image = QtGui.QImage(str(tmp_path / "b.png"))
    assert (image.width(), image.height()) == (500, 400)
    assert run_command("--export", tmp_path / "c.png") == 2
    assert run_command(tmp_path / "none.fits", "--export", tmp_path / "c.png") == 1
    assert "none.fits does not exist" in capsys.readouterr().err
    assert not (tmp_path / "c.png").exists()
    assert run_command(tmp_path / "none.fits", tmp_path / "b.txt", "--export", tmp_path / "c.png") == 1
    assert "none.fits does not exist" in capsys.readouterr().err
    assert QtGui.QImage(str(tmp_path / "c.png")).width() > 0, "what could be opened is drawn"
    assert run_command(tmp_path / "b.txt", "--export", tmp_path / "b.gif") == 1


def test_that_pictures_of_files_with_something_to_say_fill_their_size(qapp, tmp_path, monkeypatch):
    from sofia_viewers.spectrum import viewer as module

    def read_with_note(path, read=module.read_spectrum_file):
        return replace(read(path), notes=("This is said below the panes.",))

    (tmp_path / "b.txt").write_text("10 1 .1\n10.5 3 .1\n11 2 .1\n")
    pictures = []
    for name in ("silent.png", "telling.png"):
        assert run_command(tmp_path / "b.txt", "--export", tmp_path / name) == 0
        pictures.append(QtGui.QImage(str(tmp_path / name)))
        monkeypatch.setattr(module, "read_spectrum_file", read_with_note)
    assert pictures[0] == pictures[1]


@pytest.mark.real
def test_that_published_spectra_are_drawn(viewer, real_products):
    names = ["F0428_FO_GRI_0500637_FORG111_CAL_0177-0196.fits", "EXES_iktau_feb2020_hilo1333_CMB.fits"]
    viewer.session.remove_file("a")
    for name in names:
        viewer.open_files([real_products / name])
        assert wait_until_ready(viewer)
        QtWidgets.QApplication.processEvents()
        assert count_colors(pane_of(viewer).plot) > 20
        viewer.panes_panel.add_button.click()
    assert viewer.problems() == []
    json.dumps(viewer.session.to_json())
    assert Path(viewer.session.to_json()["files"][0]["path"]).name == names[0]


def test_that_files_that_do_not_fit_a_pane_are_named(viewer, make_file):
    from sofia_viewers.spectrum.spectrum import Spectrum, SpectrumFile

    spectra = tuple(Spectrum(s.fields, {**s.units, "spectral_flux": "Me/s"}) for s in make_file().spectra)
    viewer.session.add_files([SpectrumFile("raw", "raw.fits", spectra)])
    assert "raw.fits is not shown" in viewer.status.text()
    assert "or show it in a pane of its own" in viewer.status.text()
    assert len(curves_of(viewer)) == 1


def test_that_a_problem_that_is_mended_is_no_longer_told(viewer, make_file):
    primary = viewer.session.pane.primary
    viewer.session.change_pane(0, primary=replace(primary, unit="Me / s"))
    assert wait_until_ready(viewer)
    assert "cannot be converted" in viewer.status.text()
    viewer.session.change_pane(0, primary=primary)
    assert wait_until_ready(viewer)
    assert viewer.status.text() == ""
    assert len(curves_of(viewer)) == 1


def test_that_each_problem_is_told_once(viewer, make_file, tmp_path):
    from sofia_viewers.spectrum.spectrum import Spectrum, SpectrumFile

    spectra = tuple(Spectrum(s.fields, {**s.units, "spectral_flux": "Me/s"}) for s in make_file().spectra)
    viewer.session.add_files([SpectrumFile("raw", "raw.fits", spectra)])
    told = []
    viewer.failed.connect(told.append)
    (tmp_path / "words.txt").write_text("this is no table\n")
    viewer.open_files([tmp_path / "words.txt"])
    assert wait_until_ready(viewer)
    assert len(told) == 1
    assert "words.txt" in told[0]
    assert "raw.fits" not in told[0]
    assert any("raw.fits" in problem for problem in viewer.problems())


def test_that_a_file_without_any_flux_is_named(viewer, tmp_path):
    header = fits.Header({"INSTRUME": "FORCAST", "XUNITS": "um", "YUNITS": "Jy"})
    wave = np.linspace(5, 8, 40)
    fits.PrimaryHDU(np.array([wave, wave * np.nan, wave]), header).writeto(tmp_path / "nan.fits")
    viewer.open_files([tmp_path / "nan.fits"])
    assert wait_until_ready(viewer)
    assert viewer.status.text() == "nan.fits has no fluxes: all of them are missing (NaN)."


def test_that_no_control_is_cut_off_by_its_column(viewer):
    for section in (viewer.atmosphere_panel, viewer.operations_panel):
        section.button.click()
    QtWidgets.QApplication.processEvents()
    room = viewer.column.viewport().width()
    content = viewer.column.widget()
    for button in content.findChildren(QtWidgets.QPushButton):
        assert button.mapTo(content, QtCore.QPoint(button.width(), 0)).x() <= room, button.text()


def test_that_no_thread_is_left_when_the_viewer_closes(viewer):
    viewer.close()
    assert viewer.tasks._pool.activeThreadCount() == 0


def test_that_edges_of_panes_can_be_dragged_and_stay_when_something_is_drawn(viewer):
    viewer.session.add_pane()
    viewer.session.add_pane()
    QtWidgets.QApplication.processEvents()
    grid = viewer.area.grid
    assert grid.splitter.count() == 2
    grid.splitter.setSizes([300, 100])
    QtWidgets.QApplication.processEvents()
    sizes = grid.splitter.sizes()
    assert sizes[0] > 1.5 * sizes[1]
    viewer.session.select_pane(0)
    viewer.session.set_style(grid=True)
    QtWidgets.QApplication.processEvents()
    assert grid.splitter.sizes() == sizes


def test_that_files_are_opened_in_several_panes(viewer, tmp_path):
    paths = [tmp_path / f"{number}.txt" for number in range(4)]
    for path in paths:
        path.write_text("1 2\n2 3\n3 4\n")
    viewer.session.remove_file("a")
    viewer.open_files(paths, panes=2)
    assert wait_until_ready(viewer)
    assert [len(state.files) for state in viewer.session.panes] == [2, 2]
    assert viewer.session.current == 0


def test_that_a_range_chosen_elsewhere_is_marked_in_the_units_shown(viewer, qtbot):
    viewer.session.change_pane(x_unit="cm-1")
    with qtbot.waitSignal(viewer.range_selected, timeout=60_000) as told:
        viewer.mark_range(10.4, 10.6)
    assert told.args == pytest.approx([10.4, 10.6])
    assert viewer.overlays.region[1:] == pytest.approx((1e4 / 10.6, 1e4 / 10.4))
    viewer.session.change_pane(x_unit="pixel")
    viewer.mark_range(10.4, 10.6)
    assert "cannot be marked" in viewer.status.text()


def test_that_panes_are_moved_to_where_the_user_wants_them(viewer):
    for _ in range(2):
        viewer.session.add_pane()
    viewer.session.select_pane(0)
    viewer.panes_panel.moves["down"].click()
    QtWidgets.QApplication.processEvents()
    assert viewer.panes_panel.layout_choice.currentText() == "free"
    first, second, third = (view.mapTo(viewer, view.rect().topLeft()) for view in viewer.area.views.values())
    assert second.y() < first.y() == third.y()
    assert first.x() < third.x()
    choose(viewer.panes_panel.layout_choice, "rows")
    QtWidgets.QApplication.processEvents()
    assert len({view.mapTo(viewer, view.rect().topLeft()).y() for view in viewer.area.views.values()}) == 3


def test_that_windows_and_ranges_stay_where_they_are_in_other_units(viewer, tmp_path):
    viewer.overlays.add_window((10.0, 10.2))
    viewer.overlays.measure("pane1", (10.7, 10.9))
    choose(viewer.axis_panel.x_unit, "cm⁻¹")
    layers = viewer.overlays.layers("pane1")
    assert layers.windows.items[0].getRegion() == pytest.approx((1e4 / 10.2, 1e4 / 10.0))
    assert layers.region.items[0].getRegion() == pytest.approx((1e4 / 10.9, 1e4 / 10.7))
    viewer.overlays.add_window((1e4 / 10.95, 1e4 / 10.8))
    layers.windows.items[0].setRegion((1e4 / 10.25, 1e4 / 10.0))
    choose(viewer.axis_panel.x_unit, "μm")
    assert viewer.annotations.windows_on(pane_of(viewer).state.axis) == [
        pytest.approx((10.0, 10.25)),
        pytest.approx((10.8, 10.95)),
    ]
    viewer.load_panel.list.topLevelItem(0).setSelected(True)
    viewer.operations_panel.subtract.click()
    flux = viewer.session.files["derived:1"].spectra[0].flux
    assert np.abs(flux[:20]).max() < 1e-3  # the continuum of 2 Jy is gone
    choose(viewer.axis_panel.x_unit, "pixel")
    assert layers.windows.items == layers.region.items == []
    saved = viewer.save_session(tmp_path / "s.json")
    viewer.annotations.clear_windows()
    viewer.annotations.restore(json.loads(saved.read_text())["annotations"])
    assert len(viewer.annotations.windows) == 2


def test_that_statistics_of_many_spectra_are_a_table_that_can_be_saved(viewer, make_file, tmp_path):
    from astropy.table import Table

    viewer.session.add_files([make_file("many", orders=6)])
    viewer.overlays.measure("pane1", (10.0, 10.2))
    assert viewer.overlays.statistics.isVisible()
    assert viewer.overlays.statistics.table.rowCount() == 7
    assert "7 spectra" in viewer.status.text()
    assert "\n" not in viewer.status.text()
    table = Table.read(viewer.overlays.statistics.save(tmp_path / "statistics.ecsv"))
    assert table["count"][0] == 41
    assert table["mean"][0] == pytest.approx(curves_of(viewer)[0].y[:41].mean())
    assert table.meta["range"] == [10.0, 10.2]


def test_that_operations_take_what_was_opened_where_nothing_is_selected(viewer):
    for kind in ("gaussian", "box", "savgol"):
        choose(viewer.operations_panel.kind, kind)
        viewer.operations_panel.smooth.click()
    assert [d.sources for d in viewer.session.derivations.values()] == [("a",)] * 3


def test_that_spectra_elsewhere_are_no_failure_of_a_fit(viewer, make_file):
    viewer.session.add_files([make_file("far", wavepos=np.linspace(20.0, 21.0, 201))])
    viewer.fit("pane1", (10.3, 10.7))
    assert viewer.status.text().startswith("pass")
    assert len(viewer.annotations.fits) == 1
    viewer.fit("pane1", (12.0, 13.0))
    assert "no data in the range" in viewer.status.text()
    assert len(viewer.annotations.fits) == 1
