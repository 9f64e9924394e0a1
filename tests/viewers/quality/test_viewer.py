"""The quality viewer on real widgets: every control does something, nothing blocks, nothing stays behind."""

import gc
import shutil
import threading
import weakref

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from sofia_engine.errors import InputError
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from sofia_viewers.quality.run_record import StepRow
from sofia_viewers.theme import apply_theme
from window_heartbeat import assert_lively

from .conftest import make_product


def open_numbers(viewer, folder, ready):
    viewer.show_tab("Numbers")
    viewer.open_folder(folder)
    ready(viewer)


def column(viewer, title):
    titles = [c.title for c in viewer.table.model.columns]
    number = next(n for n, t in enumerate(titles) if t.startswith(title))
    return [viewer.table.model.index(line, number).data() for line in range(viewer.table.model.rowCount())]


def names(viewer):
    tree = viewer.browser.tree
    return [tree.topLevelItem(n).text(0) for n in range(tree.topLevelItemCount())]


def select(viewer, *wanted):
    tree = viewer.browser.tree
    tree.clearSelection()
    for n in range(tree.topLevelItemCount()):
        tree.topLevelItem(n).setSelected(tree.topLevelItem(n).text(0) in wanted)


# -- browser ---------------------------------------------------------------------------------------------------------


def test_that_the_browser_lists_filters_and_goes_back(make_viewer, ready, output, qtbot):
    viewer = make_viewer()
    viewer.open_folder(output)
    ready(viewer)
    assert names(viewer) == ["A_CAL_0001.fits", "A_UND_0001.fits"]
    box = viewer.browser.filter
    box.clear()
    qtbot.keyClicks(box, "*.png, *.log")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    ready(viewer)
    assert names(viewer) == ["A_CAL_0001.png", "run.log"]
    box.clear()
    qtbot.keyClicks(box, " ")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    ready(viewer)
    assert len(names(viewer)) == 5
    viewer.browser.buttons["up"].trigger()
    ready(viewer)
    assert output.name in names(viewer)
    viewer.browser.buttons["back"].trigger()
    ready(viewer)
    assert len(names(viewer)) == 5
    viewer.browser.buttons["forward"].trigger()
    ready(viewer)
    assert viewer.browser.history.current == output.parent


def test_that_a_double_click_enters_a_folder_and_expanding_lists_it(make_viewer, ready, output):
    viewer = make_viewer()
    viewer.open_folder(output.parent)
    ready(viewer)
    item = viewer.browser.tree.findItems("output", Qt.MatchFlag.MatchExactly)[0]
    item.setExpanded(True)
    ready(viewer)
    item = viewer.browser.tree.findItems("output", Qt.MatchFlag.MatchExactly)[0]
    assert [item.child(n).text(0) for n in range(item.childCount())] == ["A_CAL_0001.fits", "A_UND_0001.fits"]
    item.setSelected(True)
    viewer.browser.tree.itemActivated.emit(item, 0)
    ready(viewer)
    assert viewer.browser.history.current == output


def test_that_header_columns_and_thumbnails_come_and_go(make_viewer, ready, output):
    viewer = make_viewer()
    viewer.open_folder(output)
    viewer.browser.set_columns("OBJECT, EXPTIME")
    ready(viewer)
    item = viewer.browser.tree.topLevelItem(0)
    assert [item.text(n) for n in (3, 4)] == ["Alpha Boo", "80.0"]
    picture = item.icon(0).pixmap(40, 40).toImage()
    assert len({picture.pixel(x, y) for x in range(0, 40, 3) for y in range(0, 27, 3)}) > 5
    viewer.browser.thumbnails.setChecked(False)
    assert viewer.browser.tree.iconSize().width() == 16


def test_that_a_folder_that_is_not_there_is_said_and_the_viewer_goes_on(make_viewer, ready, output):
    viewer = make_viewer()
    viewer.open_folder(output / "none")
    ready(viewer)
    assert "there is no such folder" in viewer.browser.note.text()
    viewer.open_folder(output)
    ready(viewer)
    assert len(names(viewer)) == 2
    assert not viewer.browser.note.isVisible()


def test_that_an_empty_folder_says_so(make_viewer, ready, tmp_path):
    viewer = make_viewer()
    (tmp_path / "empty").mkdir()
    viewer.open_folder(tmp_path / "empty")
    ready(viewer)
    assert "No file here fits" in viewer.browser.note.text()
    viewer.show_tab("Report")
    viewer.report.make()
    ready(viewer)


def test_that_files_dropped_on_the_viewer_are_opened(make_viewer, ready, output):
    viewer = make_viewer()
    viewer.show_tab("Numbers")
    data = QtCore.QMimeData()
    data.setUrls([QtCore.QUrl.fromLocalFile(str(output))])
    event = QtGui.QDropEvent(
        QtCore.QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    viewer.dropEvent(event)
    ready(viewer)
    assert len(viewer.rows) == 2


@pytest.mark.real
def test_that_spectra_and_images_go_to_their_viewers(make_viewer, ready, real_products):
    viewer = make_viewer()
    spectrum = real_products / "F0428_FO_GRI_0500637_FORG111_CAL_0177-0196.fits"
    image = real_products / "F0435_FO_IMA_05000851_FORF197_MRG_0074.fits"
    viewer._open([spectrum])
    ready(viewer)
    assert viewer.tabs.tabText(viewer.tabs.currentIndex()) == "Spectrum"
    assert [file.name for file in viewer.spectrum.session.files.values()] == [spectrum.name]
    viewer._open([image])
    ready(viewer)
    assert viewer.tabs.tabText(viewer.tabs.currentIndex()) == "Image"
    assert viewer.image.frames.entries[0].frame.file.name == image.name


# -- header and difference -------------------------------------------------------------------------------------------


def test_that_headers_are_shown_found_filtered_and_tabulated(make_viewer, ready, output):
    viewer = make_viewer()
    viewer.open_folder(output)
    ready(viewer)
    viewer.show_tab("Header")
    select(viewer, "A_CAL_0001.fits", "A_UND_0001.fits")
    ready(viewer)
    view = viewer.header
    assert view.title.text() == "Header for: A_CAL_0001.fits …"
    view.input.setText("exptime")
    view.buttons["Find"].click()
    first = view.text.textCursor().position()
    assert view.text.textCursor().selectedText() == "EXPTIME"
    view.buttons["Find"].click()
    assert view.text.textCursor().position() > first
    view.buttons["Filter"].click()
    assert "OBJECT" not in view.text.toPlainText()
    assert view.text.toPlainText().count("EXPTIME") == 2
    view.input.setText("OBJECT EXPTIME")
    view.buttons["Table"].click()
    assert view.stack.currentWidget() is view.table
    assert view.model.index(0, 1).data() == "Alpha Boo"
    assert view.model.rowCount() == 2
    view.all_extensions.setChecked(True)
    view.buttons["Table"].click()
    assert view.model.rowCount() == 4
    assert len(Table.read(view.export(output / "header.ecsv"))) == 4
    view.input.clear()
    view.buttons["Table"].click()
    assert view.stack.currentWidget() is view.text
    view.input.setText("no such text")
    view.buttons["Find"].click()
    assert view.note.isVisible()


def test_that_two_selected_files_are_compared(make_viewer, ready, output):
    viewer = make_viewer()
    viewer.open_folder(output)
    ready(viewer)
    viewer.show_tab("Difference")
    select(viewer, "A_CAL_0001.fits", "A_UND_0001.fits")
    ready(viewer)
    view = viewer.difference
    keywords = [row.keyword for row in view.model.rows]
    assert set(keywords) == {"FILENAME", "PRODTYPE"}
    view.search.setText("prodtype")
    assert view.model.rowCount() == 1
    view.search.clear()
    view.with_equal.setChecked(True)
    assert view.model.rowCount() > 20
    view.second.setCurrentIndex(0)
    view.second.activated.emit(0)
    view.with_equal.setChecked(False)
    assert view.summary.text() == "The headers are equal."


def test_that_history_and_tolerance_change_the_differences(make_viewer, ready):
    viewer = make_viewer()
    first, second = make_product(FILENAME="a", EXPTIME=100.0), make_product(FILENAME="a", EXPTIME=100.001)
    view = viewer.difference
    view.show_products([first, second.with_cards(history=["done"])], ["one", "two"])
    assert {row.keyword for row in view.model.rows} == {"EXPTIME", "HISTORY"}
    view.with_history.setChecked(False)
    assert {row.keyword for row in view.model.rows} == {"EXPTIME"}
    view.tolerance.setText("0.001")
    view.tolerance.editingFinished.emit()
    assert view.model.rowCount() == 0


def test_that_the_display_setting_chooses_the_extension_of_headers(make_viewer, ready, output, tmp_path):
    (tmp_path / "no settings").mkdir()
    (tmp_path / "no settings" / "display.cfg").write_text("extension = 'ERROR'\n")
    viewer = make_viewer()
    viewer.header.open_files([output / "A_CAL_0001.fits"])
    ready(viewer)
    assert "Extension: ERROR" in viewer.header.text.toPlainText()
    assert "Extension: FLUX" not in viewer.header.text.toPlainText()
    panel = viewer.image.settings_panel
    panel.applied.emit("display", viewer.store.load("display").model_copy(update={"extension": "first"}))
    assert "Extension: FLUX" in viewer.header.text.toPlainText()


# -- numbers ---------------------------------------------------------------------------------------------------------


def test_that_a_night_is_measured_and_its_outlier_marked(make_viewer, ready, night):
    viewer = make_viewer()
    open_numbers(viewer, night, ready)
    assert len(viewer.rows) == 10
    assert "noise" in viewer.table.outliers[7]
    viewer.table.only_outliers.setChecked(True)
    assert column(viewer, "File") == ["F0501_CAL_0007.fits"]
    assert viewer.table.count.text() == "1 of 10"
    viewer.table.only_outliers.setChecked(False)
    found = len(viewer.table.outliers[7])
    viewer.limit.setValue(100.0)
    ready(viewer)
    assert len(viewer.table.outliers.get(7, {})) < found


def test_that_the_table_sorts_by_value_filters_and_hides_columns(make_viewer, ready, night):
    viewer = make_viewer()
    open_numbers(viewer, night, ready)
    titles = [c.title for c in viewer.table.model.columns]
    viewer.table.view.sortByColumn(titles.index("Zenith angle (deg)"), Qt.SortOrder.DescendingOrder)
    assert column(viewer, "Zenith")[0] == "49"
    viewer.table.filter.setText("0003")
    assert column(viewer, "File") == ["F0501_CAL_0003.fits"]
    viewer.table.filter.clear()
    action = next(a for a in viewer.table.columns_menu.actions() if a.data() == "altitude")
    action.setChecked(False)
    assert not any(c.title.startswith("Altitude") for c in viewer.table.model.columns)
    assert "altitude" in viewer.settings.hidden_columns
    action = next(a for a in viewer.table.columns_menu.actions() if a.data() == "run")
    action.setChecked(True)
    assert column(viewer, "Run")[0] == "night one"


def test_that_table_and_plot_select_each_other(make_viewer, ready, night, qtbot):
    viewer = make_viewer()
    open_numbers(viewer, night, ready)
    viewer.table.view.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    viewer.table.view.selectRow(0)
    assert viewer.table.selected == [9]
    assert viewer.plot.selected == (9,)
    series = viewer.plot.series[0]
    assert series.x.tolist() == sorted(series.x.tolist())
    item = next(i for i in viewer.plot.plot.getPlotItem().items if hasattr(i, "scatter") and i.opts["data"] is not None)
    viewer.plot._take_click(item, [item.scatter.points()[2]])
    assert viewer.table.selected == [2]
    ready(viewer)
    assert viewer.image.frames.entries[0].frame.file.name == "F0501_CAL_0002.fits"
    assert viewer.tabs.tabText(viewer.tabs.currentIndex()) == "Numbers"


def test_that_a_click_at_a_point_opens_its_image(make_viewer, ready, night, qtbot):
    viewer = make_viewer((1400, 900))
    open_numbers(viewer, night, ready)
    viewer.plot.choose("zenith_angle", "noise", "")
    qtbot.wait(50)
    plot = viewer.plot.plot
    series = viewer.plot.series[0]
    scene = plot.getPlotItem().vb.mapViewToScene(QtCore.QPointF(series.x[4], series.y[4]))
    qtbot.mouseMove(plot.viewport(), plot.mapFromScene(scene))
    qtbot.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=plot.mapFromScene(scene))
    qtbot.waitUntil(lambda: viewer.plot.selected == (4,), timeout=60_000)
    ready(viewer)
    assert viewer.image.frames.entries[0].frame.file.name == "F0501_CAL_0004.fits"


def test_that_axes_trend_log_and_lines_change_the_plot(make_viewer, ready, night):
    viewer = make_viewer()
    open_numbers(viewer, night, ready)
    plot = viewer.plot

    def count():
        return len(plot.plot.getPlotItem().listDataItems())

    before = count()
    plot.trend.setChecked(True)
    assert count() == before + 1
    plot.link.setChecked(True)
    assert any(item.opts["pen"] is not None for item in plot.plot.getPlotItem().listDataItems() if item.opts["symbol"])
    plot.log.setChecked(True)
    assert not plot.trend.isEnabled()
    assert plot.axes["left"].logMode
    place = plot.x_choice.findData("zenith_angle")
    plot.x_choice.setCurrentIndex(place)
    plot.x_choice.activated.emit(place)
    assert plot.chosen[0] == "zenith_angle"
    assert viewer.settings.x_column == "zenith_angle"
    assert sorted(plot.series[0].x) == [40.0 + n for n in range(10)]
    place = plot.x_choice.findData("file")
    plot.x_choice.setCurrentIndex(place)
    plot.x_choice.activated.emit(place)
    assert plot.axes["bottom"].words[0] == "F0501_CAL_0000.fits"


def test_that_measuring_can_be_stopped_and_what_is_done_stays(make_viewer, ready, night, monkeypatch, qtbot):
    from sofia_viewers.quality import measuring

    original = measuring.measure_file
    gate = threading.Event()

    def slow(path):
        if path.name > "F0501_CAL_0003":
            gate.wait(10)
        return original(path)

    monkeypatch.setattr(measuring, "measure_file", slow)
    viewer = make_viewer()
    viewer.show_tab("Numbers")
    viewer.open_folder(night)
    qtbot.waitUntil(lambda: viewer.measurement.is_running, timeout=60_000)
    assert viewer.stop_button.isVisible()
    viewer.stop_button.click()
    gate.set()
    assert not viewer.measurement.is_running
    assert viewer.status.text().startswith("Stopped.")
    assert not viewer.stop_button.isVisible()
    assert len(viewer.rows) < 10


def test_that_the_window_answers_while_files_are_measured(make_viewer, ready, night, monkeypatch):
    from sofia_viewers.quality import measuring

    monkeypatch.setattr(measuring, "measure_file", None)  # of no use to the processes that do it
    for source in sorted(night.iterdir()):
        for number in range(3):
            shutil.copy(source, night / f"{source.stem}_{number}.fits")
    viewer = make_viewer()
    viewer.show_tab("Numbers")
    viewer.open_folder(night)
    ready(viewer)

    def measure(_attempt: int) -> None:
        viewer.measurement.cache = measuring.MetricsCache()
        viewer.measure(viewer.browser.fits_files)
        ready(viewer)

    assert_lively(measure)
    assert len(viewer.rows) == 40
    assert not viewer.problems()


def test_that_no_file_is_read_in_the_thread_of_the_window(make_viewer, ready, output, monkeypatch):
    from sofia_engine.product import Product

    window = threading.current_thread()
    readers = []
    read, opened = Product.read.__func__, fits.open

    def noting_read(cls, *args, **kwargs):
        readers.append(threading.current_thread())
        return read(cls, *args, **kwargs)

    def noting_open(*args, **kwargs):
        readers.append(threading.current_thread())
        return opened(*args, **kwargs)

    monkeypatch.setattr(Product, "read", classmethod(noting_read))
    monkeypatch.setattr(fits, "open", noting_open)
    viewer = make_viewer()
    viewer.open_folder(output)
    ready(viewer)
    for tab in ("Numbers", "Header", "Difference", "Gallery", "Frames", "Report"):
        viewer.show_tab(tab)
        select(viewer, "A_CAL_0001.fits", "A_UND_0001.fits")
        ready(viewer)
    viewer.report.make()
    viewer._open([output / "A_CAL_0001.fits"])
    ready(viewer)
    assert len(readers) > 5
    assert window not in readers


def test_that_a_file_that_cannot_be_read_is_in_the_table_with_the_reason(make_viewer, ready, night):
    (night / "broken.fits").write_text("no")
    viewer = make_viewer()
    open_numbers(viewer, night, ready)
    assert len(viewer.rows) == 11
    assert "broken.fits" in viewer.status.text()
    assert any("broken.fits" in problem for problem in viewer.problems())


def test_that_steps_without_files_are_listed_on_demand(make_viewer, ready, output):
    viewer = make_viewer()
    open_numbers(viewer, output, ready)
    assert [row.text("step") for row in viewer.rows] == ["Flux Calibrate", "Correct Distortion"]
    viewer.all_steps.setChecked(True)
    assert [row.text("step") for row in viewer.rows] == ["Stack Chops/Nods", "Correct Distortion", "Flux Calibrate"]
    viewer._open_row(0)
    assert "was not saved" in viewer.status.text()


def test_that_rows_of_a_reduction_are_plotted_along_the_recipe(make_viewer, ready, qtbot):
    viewer = make_viewer()
    rows = [StepRow(n, f"Step {n}", "p.fits", {"noise": 5.0 - n}, f"key{n}") for n in range(4)]
    viewer.show_reduction(rows)
    assert viewer.plot.chosen[:2] == ("step", "noise")
    assert viewer.plot.series[0].y.tolist() == [5.0, 4.0, 3.0, 2.0]
    with qtbot.waitSignal(viewer.state_opened) as opened:
        viewer._open_row(2)
    assert opened.args == ["key2"]


def test_that_products_in_memory_are_shown_everywhere(make_viewer, ready):
    viewer = make_viewer()
    viewer.show_products([make_product(), make_product(EXPTIME=5.0)], ["one.fits", "two.fits"])
    ready(viewer)
    assert [row.text("file") for row in viewer.rows] == ["one.fits", "two.fits"]
    assert len(viewer.image.frames.entries) == 2
    assert "one.fits" in viewer.header.title.text()
    assert {row.keyword for row in viewer.difference.model.rows} == {"EXPTIME"}
    viewer._open_row(1)
    ready(viewer)
    assert len(viewer.image.frames.entries) == 1


def test_that_a_second_run_is_added_and_compared(make_viewer, ready, output, night, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("A_UND_0001.fits", "A_CAL_0001.fits"):
        product = make_product(FILENAME=name)
        product.replace(FLUX=product["FLUX"] * np.float32(2)).write(other / name)
    viewer = make_viewer()
    open_numbers(viewer, output, ready)
    viewer.compare_with(other)
    ready(viewer)
    noise = [pair for pair in viewer.compare.pairs if pair.key == "noise"]
    assert [pair.percent for pair in noise] == pytest.approx([100.0, 100.0], rel=1e-3)
    everything = viewer.compare.model.rowCount()
    viewer.compare.only_changed.setChecked(True)
    assert viewer.compare.model.rowCount() < everything
    viewer.compare.number.setCurrentIndex(viewer.compare.number.findData("noise"))
    viewer.compare.number.activated.emit(1)
    assert viewer.compare.model.rowCount() == 2
    assert len(Table.read(viewer.compare.export(tmp_path / "pairs.ecsv"))) == everything
    viewer.compare.table.activated.emit(viewer.compare.model.index(0, 0))
    ready(viewer)
    assert len(viewer.image.frames.entries) == 2
    viewer.add_folder(night)
    ready(viewer)
    assert {row.text("run") for row in viewer.rows} == {"output", "night one"}
    assert viewer.plot.chosen[2] == "run"


# -- gallery, frames, report -----------------------------------------------------------------------------------------


def test_that_the_gallery_shows_maps_and_products(make_viewer, ready, output, qtbot):
    viewer = make_viewer()
    viewer.open_folder(output)
    ready(viewer)
    viewer.show_tab("Gallery")
    ready(viewer)
    gallery = viewer.gallery
    assert [path.name for path in gallery.paths] == ["A_CAL_0001.png"]
    assert not gallery.picture(0).isNull()
    gallery.fits_too.setChecked(True)
    ready(viewer)
    assert [path.name for path in gallery.paths] == ["A_CAL_0001.png", "A_UND_0001.fits"]
    assert not gallery.picture(1).isNull()
    gallery.size_slider.setValue(150)
    assert gallery.view.iconSize().width() == 150
    gallery.view.itemActivated.emit(gallery.view.item(1))
    ready(viewer)
    assert viewer.image.frames.entries[0].frame.file.name == "A_UND_0001.fits"


@pytest.fixture
def raw(tmp_path):
    frames = np.stack([np.full((20, 30), 100.0 * n) for n in range(4)]).astype(np.float32)
    frames[1, 4, 7] += 50.0
    header = fits.Header([("INSTRUME", "FORCAST"), ("SKYMODE", "NMC"), ("NODBEAM", "A")])
    folder = tmp_path / "raw"
    folder.mkdir()
    fits.PrimaryHDU(frames, header).writeto(folder / "raw.fits")
    return folder


def test_that_frames_play_and_show_levels_and_pixels(make_viewer, ready, raw, qtbot):
    viewer = make_viewer()
    viewer.open_folder(raw)
    ready(viewer)
    viewer.show_tab("Frames")
    select(viewer, "raw.fits")
    ready(viewer)
    view = viewer.frames
    assert len(view.levels) == 4
    assert "nod A, chop 1" in view.label.text()
    view.slider.setValue(1)
    assert view.image.image[4, 7] == 150.0
    view.subtraction.setCurrentIndex(1)
    view.subtraction.activated.emit(1)
    assert view.image.image[0, 0] == 100.0
    view.subtraction.setCurrentIndex(4)
    view.subtraction.activated.emit(4)
    ready(viewer)
    assert view.image.image[0, 0] == -50.0
    view.subtraction.setCurrentIndex(0)
    view.subtraction.activated.emit(0)
    view.choose_pixel(7, 4)
    view.statistic.setCurrentText("pixel")
    view.statistic.activated.emit(0)
    assert view.curve.getPlotItem().listDataItems()[0].getData()[1].tolist() == [0.0, 150.0, 200.0, 300.0]
    view.table.selectRow(3)
    assert view.slider.value() == 3
    view.same_limits.setChecked(True)
    limits = tuple(view.image.levels)
    view.slider.setValue(0)
    assert tuple(view.image.levels) == limits
    view.speed.setValue(30)
    view.play_button.click()
    qtbot.waitUntil(lambda: view.slider.value() == 2, timeout=60_000)
    view.play_button.click()
    assert not view.timer.isActive()
    assert len(Table.read(view.export(raw / "levels.ecsv"))) == 4


def test_that_a_click_on_a_frame_plots_the_pixel(make_viewer, ready, raw, qtbot):
    viewer = make_viewer()
    viewer.show_tab("Frames")
    viewer.frames.open_file(raw / "raw.fits")
    ready(viewer)
    qtbot.wait(50)
    canvas = viewer.frames.canvas
    place = canvas.mapFromScene(canvas.getPlotItem().vb.mapViewToScene(QtCore.QPointF(8.0, 5.0)))
    qtbot.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: viewer.frames.pixel == (7, 4), timeout=60_000)


def test_that_a_file_without_frames_is_said(make_viewer, ready, raw):
    viewer = make_viewer()
    fits.PrimaryHDU().writeto(raw / "empty.fits")
    viewer.frames.open_file(raw / "empty.fits")
    ready(viewer)
    assert "no frames" in viewer.frames.label.text()


def test_that_a_report_is_made_shown_and_saved(make_viewer, ready, output, tmp_path):
    viewer = make_viewer()
    viewer.show_tab("Report")
    viewer.open_folder(output)
    ready(viewer)
    with pytest.raises(InputError, match="no report yet"):
        viewer.report.save(tmp_path / "r.html")
    viewer.report.comments.setText("All is well")
    viewer.report.make_button.click()
    ready(viewer)
    shown = viewer.report.text.toPlainText()
    assert "All is well" in shown
    assert "A_CAL_0001.fits" in shown
    assert viewer.report.save(tmp_path / "r.html").read_text().count("<h2>") >= 6
    assert viewer.report.save(tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(InputError, match="end with"):
        viewer.report.save(tmp_path / "r.docx")


# -- export, settings, life ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg", "csv", "ecsv", "vot", "html"])
def test_that_everything_is_exported_by_suffix(make_viewer, ready, output, tmp_path, suffix):
    viewer = make_viewer()
    open_numbers(viewer, output, ready)
    content = viewer.export(tmp_path / f"out.{suffix}").read_bytes()
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml", "vot": b"<?xml", "html": b"<!DOCTYPE"}
    assert content.startswith(start.get(suffix, b"file" if suffix == "csv" else b"# %ECSV"))
    with pytest.raises(InputError, match="name a file that ends with"):
        viewer.export(tmp_path / "out.xyz")


def test_that_settings_are_kept_for_the_next_time(make_viewer, ready, night):
    viewer = make_viewer()
    viewer.browser.filter.setText("F*.fits")
    open_numbers(viewer, night, ready)
    viewer.limit.setValue(7.0)
    viewer.browser.thumbnails.setChecked(False)
    viewer.plot.y_choice.setCurrentIndex(viewer.plot.y_choice.findData("fwhm"))
    viewer.plot.y_choice.activated.emit(0)
    viewer.close()
    again = make_viewer()
    assert again.settings.folder == str(night)
    assert (again.limit.value(), again.browser.filter.text()) == (7.0, "F*.fits")
    assert not again.browser.thumbnails.isChecked()
    open_numbers(again, night, ready)
    assert again.plot.chosen[1] == "fwhm"


def test_that_code_is_shown_that_runs(make_viewer, ready, output, tmp_path, monkeypatch):
    viewer = make_viewer()
    open_numbers(viewer, output, ready)
    viewer.number_buttons["Show code"].click()
    code = viewer.code_dialog.findChild(QtWidgets.QPlainTextEdit).toPlainText()
    viewer.code_dialog.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    import matplotlib as mpl

    mpl.use("agg")
    exec(compile(code, "code", "exec"), {"__name__": "__main__"})
    assert len(Table.read(tmp_path / "quality.ecsv")) == 2
    assert (tmp_path / "quality.png").stat().st_size > 1000


def test_that_the_table_is_copied(make_viewer, ready, output):
    viewer = make_viewer()
    open_numbers(viewer, output, ready)
    viewer.number_buttons["Copy"].click()
    lines = QtGui.QGuiApplication.clipboard().text().splitlines()
    assert lines[0].startswith("File\t")
    assert len(lines) == 3


def test_that_the_look_changes_in_place(make_viewer, ready, night, qapp):
    viewer = make_viewer()
    open_numbers(viewer, night, ready)
    for mode in ("dark", "light"):
        theme = apply_theme(qapp, mode)
        image = viewer.plot.plot.grab().toImage()
        assert image.pixelColor(image.width() - 3, image.height() - 3).name() == theme.canvas


def test_that_closing_leaves_no_thread_and_no_viewer(make_viewer, ready, night, qtbot, tmp_path):
    from sofia_viewers.image.settings import SettingsStore
    from sofia_viewers.quality.viewer import QualityViewer

    def run():
        viewer = QualityViewer(store=SettingsStore(tmp_path / "s", tmp_path / "n"))
        viewer.show()
        open_numbers(viewer, night, ready)
        viewer.close()
        viewer.deleteLater()
        return weakref.ref(viewer)

    before = threading.active_count()
    gone = run()
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    gc.collect()
    assert gone() is None
    assert threading.active_count() <= before
