"""The window with real widgets and the real engine's process."""

import os
import signal
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from astropy.io import fits

pytest.importorskip("PySide6")

from sofia_app.actions import ACTIONS
from sofia_app.desk import ErrorReport
from sofia_app.group_queue import choose_processes
from sofia_app.models.log import LogEntry
from sofia_app.models.parameters import ParameterForm
from sofia_app.models.preferences import OpenSessions, Preferences
from sofia_app.models.products import OpenedState
from sofia_app.views.dialogs import CommandPalette, ErrorDialog, PreferencesDialog, SweepDialog, TextDialog
from sofia_app.views.help_view import format_help
from sofia_app.views.parameter_fields import make_editor
from sofia_app.views.parameter_panel import FieldRow
from sofia_app.views.progress_bar import format_seconds
from sofia_app.worker.protocol import StepRecord
from sofia_engine.instruments import all_recipes, find_recipe
from sofia_engine.product import Product
from sofia_engine.reference import ReferenceStore
from sofia_engine.reference.mirror import find_member
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from window_driver import Driver, make_window, open_window
from window_heartbeat import assert_lively

CHECK, ADD, WORK, SUM = range(4)


@pytest.fixture
def empty(qtbot, lab: Path, tmp_path: Path) -> Iterator[Driver]:
    yield from open_window(qtbot, lab, tmp_path)


@pytest.fixture
def driver(empty: Driver, files: list[Path]) -> Driver:
    empty.open(files)
    return empty


class TestFiles:
    def test_that_files_of_one_group_start_a_reduction(self, driver: Driver) -> None:
        assert driver.desk.reduction.title == "LAB Imaging, 2 files"
        assert "LAB Imaging" in driver.window.windowTitle()
        assert driver.window.data.model.rowCount() == 1
        assert driver.window.data.stack.currentWidget() is driver.window.data.tree

    def test_that_files_of_two_groups_are_listed_and_one_is_chosen(self, empty: Driver, make_file) -> None:
        empty.desk.open_paths([make_file("a.fits", FILTER="F1"), make_file("b.fits", FILTER="F2")])
        empty.wait(lambda: len(empty.desk.files) == 2 and empty.desk.tasks.is_idle)
        empty.refresh()
        assert "2 groups" in empty.window.statusBar().currentMessage()
        assert not empty.window.qactions["start_reduction"].isEnabled()
        data = empty.window.data
        data.tree.setCurrentIndex(data.model.index(1, 0))
        assert [path.name for path in data.selected_paths()] == ["b.fits"]
        empty.do("start_reduction")
        empty.wait(lambda: empty.desk.reduction.is_open)
        assert empty.desk.reduction.snapshot.inputs[0].endswith("b.fits")

    def test_that_dropped_files_are_opened(self, empty: Driver, files: list[Path]) -> None:
        data = QtCore.QMimeData()
        data.setUrls([QtCore.QUrl.fromLocalFile(str(path)) for path in files])
        copy, nothing, left = Qt.DropAction.CopyAction, Qt.KeyboardModifier.NoModifier, Qt.MouseButton.LeftButton
        target = empty.window.data
        enter = QtGui.QDragEnterEvent(QtCore.QPoint(5, 5), copy, data, left, nothing)
        QtWidgets.QApplication.sendEvent(target, enter)
        assert enter.isAccepted()
        QtWidgets.QApplication.sendEvent(target, QtGui.QDropEvent(QtCore.QPointF(5, 5), copy, data, left, nothing))
        empty.wait(lambda: empty.desk.reduction.is_open)

    def test_that_text_cannot_be_dropped(self, empty: Driver) -> None:
        data = QtCore.QMimeData()
        data.setText("no file")
        enter = QtGui.QDragEnterEvent(
            QtCore.QPoint(5, 5),
            Qt.DropAction.CopyAction,
            data,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
        enter.setAccepted(False)
        QtWidgets.QApplication.sendEvent(empty.window.data, enter)
        assert not enter.isAccepted()

    def test_that_the_filter_hides_files_and_says_what_is_wrong_with_it(self, driver: Driver) -> None:
        data = driver.window.data
        data.filter.setText("0002")
        driver.refresh()
        assert [record.path.name for record in data.model.groups[0].records] == ["raw_0002.fits"]
        data.filter.setText("EXPTIME>x")
        assert data.message.isVisible()
        assert "must be a number" in data.message.text()
        data.filter.clear()
        driver.refresh()
        assert not data.message.isVisible()
        assert len(data.model.groups[0].records) == 2

    def test_that_a_click_on_a_heading_sorts(self, driver: Driver) -> None:
        header = driver.window.data.tree.header()
        header.setSortIndicator(0, Qt.SortOrder.DescendingOrder)
        driver.refresh()
        names = [record.path.name for record in driver.window.data.model.groups[0].records]
        assert names == ["raw_0002.fits", "raw_0001.fits"]

    def test_that_selected_files_are_removed_from_the_list(self, driver: Driver) -> None:
        data = driver.window.data
        data.tree.setCurrentIndex(data.model.index(0, 0, data.model.index(0, 0)))
        driver.do("remove_files")
        assert len(driver.desk.files) == 1
        driver.do("clear_files")
        driver.refresh()
        assert data.stack.currentWidget() is data.empty

    def test_that_a_file_that_is_no_fits_file_is_reported(self, empty: Driver, tmp_path: Path) -> None:
        path = tmp_path / "bad.fits"
        path.write_text("nonsense")
        empty.desk.open_paths([path])
        assert "bad.fits" in empty.dialog(ErrorDialog).cause.text()
        empty.refresh()
        assert empty.window.data.model.groups[0].heading == "Cannot be reduced"

    def test_that_recent_files_are_offered(self, driver: Driver) -> None:
        driver.window._fill_recent()
        assert "raw_0001.fits and 1 more" in driver.window.recent_menu.actions()[0].text()

    def test_that_a_double_click_shows_a_file(self, driver: Driver, files: list[Path]) -> None:
        data = driver.window.data
        data.tree.doubleClicked.emit(data.model.index(1, 0, data.model.index(0, 0)))
        driver.wait(lambda: driver.window.shown.label == "raw_0002.fits")

    def test_that_the_tree_model_is_sound(self, driver: Driver, qtmodeltester) -> None:
        qtmodeltester.check(driver.window.data.model, force_py=True)

    def test_that_all_groups_are_reduced_each_into_a_folder_of_its_own(
        self, empty: Driver, make_file, tmp_path
    ) -> None:
        names = [("a_1.fits", "F1"), ("b_2.fits", "F2"), ("c_3.fits", "F3")]
        empty.desk.list_files([make_file(name, FILTER=band) for name, band in names])
        empty.wait(lambda: len(empty.desk.files) == 3 and empty.desk.tasks.is_idle)
        empty.do("reduce_groups")
        queue, panel = empty.window.queue, empty.window.queue_panel
        assert queue.processes == choose_processes(3)
        empty.wait(lambda: not queue.is_running, timeout=60_000)
        empty.refresh()
        assert [job.state for job in queue.jobs] == ["done"] * 3
        assert len(list((tmp_path / "out").glob("*/LAB_SUM_*.fits"))) == 3
        assert panel.summary.text() == "3 of 3 groups are reduced."
        assert "noise" in [column.title for column in panel.model.columns]
        panel.table.doubleClicked.emit(panel.model.index(1, 0))
        empty.wait(lambda: empty.desk.reduction.is_open)
        assert empty.desk.reduction.snapshot.session == queue.jobs[1].session
        assert empty.desk.reduction.rows[-1].is_done

    def test_that_a_group_that_fails_does_not_hold_up_the_queue_and_stop_stops_it(
        self, empty: Driver, make_file, tmp_path
    ) -> None:
        empty.desk.list_files([make_file(f"{band}.fits", FILTER=band) for band in ("F1", "F2", "F3")])
        empty.wait(lambda: len(empty.desk.files) == 3 and empty.desk.tasks.is_idle)
        queue = empty.window.queue
        empty.desk.files.records[0].path.write_text("broken meanwhile")
        queue.start(empty.desk.files.groups, tmp_path / "out", 1)
        assert queue.processes == 1
        empty.wait(lambda: queue.jobs[0].state == "failed", timeout=60_000)
        queue.stop()
        empty.wait(lambda: not queue.is_running, timeout=60_000)
        assert queue.jobs[0].error
        assert queue.jobs[-1].state == "stopped"
        assert all(0 <= job.fraction <= 1 for job in queue.jobs)


class TestSteps:
    def test_that_step_undo_and_redo_move_along_the_recipe(self, driver: Driver) -> None:
        driver.run("do_step")
        driver.run("do_step")
        assert driver.states == ["done", "done", "ready", "waiting"]
        driver.run("undo_step")
        assert driver.states == ["done", "ready", "waiting", "waiting"]
        driver.run("redo_step")
        assert driver.states == ["done", "done", "ready", "waiting"]

    def test_that_reduce_does_all_and_reset_goes_back(self, driver: Driver, tmp_path: Path) -> None:
        driver.run("reduce_all")
        assert driver.states == ["done"] * 4
        assert not driver.window.qactions["do_step"].isEnabled()
        assert (tmp_path / "out" / "LAB_SUM_0001-0002.fits").exists()
        driver.run("reset_reduction")
        assert driver.states == ["ready", "waiting", "waiting", "waiting"]

    def test_that_run_to_here_does_the_selected_step_too(self, driver: Driver) -> None:
        driver.select(WORK)
        driver.run("run_to_selected")
        assert driver.states == ["done", "done", "done", "ready"]

    def test_that_the_table_shows_time_saved_products_and_warnings(self, driver: Driver) -> None:
        driver.select(SUM)
        driver.form.rows["fail"].editor.box.setCurrentText("warn")
        driver.form.rows["fail"].editor.box.activated.emit(driver.form.rows["fail"].editor.box.currentIndex())
        driver.run("reduce_all")
        model = driver.window.pipeline.step_model
        texts = [[model.data(model.index(row, column)) for column in range(4)] for row in range(4)]
        assert texts[ADD][0] == "2. Add Amount"
        assert texts[ADD][1].endswith(" s")
        assert texts[ADD][2] == "2"
        assert texts[SUM][3] == "1"
        assert driver.window.docks["problems"].windowTitle() == "Problems (1)"
        driver.window.pipeline.steps.doubleClicked.emit(model.index(SUM, 3))
        assert driver.window.problems.table.currentIndex().row() == 0

    def test_that_the_selection_follows_the_next_step(self, driver: Driver) -> None:
        assert driver.desk.selection["step"] == CHECK
        driver.run("do_step")
        assert driver.desk.selection["step"] == ADD
        driver.select(SUM)
        driver.run("do_step")
        assert driver.desk.selection["step"] == SUM

    @pytest.mark.parametrize("seconds", [0.01, 0.6])  # a slow step is seen as the next one, a fast one is not
    def test_that_the_selection_stays_on_an_edited_step_that_is_run_again(self, driver: Driver, seconds: float) -> None:
        driver.run("reduce_all")
        assert driver.desk.selection["step"] == SUM
        driver.select(WORK)
        driver.desk.forms[WORK].edit("seconds", seconds)
        driver.desk.run_to(SUM)
        driver.settle()
        assert driver.states == ["done"] * 4
        assert driver.desk.selection["step"] == WORK
        driver.run("undo_step")
        driver.run("undo_step")
        driver.run("do_step")
        assert driver.desk.selection["step"] == SUM

    def test_that_products_of_the_current_state_are_shown(self, driver: Driver) -> None:
        driver.run("do_step")
        driver.run("do_step")
        assert driver.window.shown.label == "Add Amount"
        assert driver.window.header.product.itemText(0) == "LAB_ADD_0001.fits"
        driver.window.header.search.setText("PRODTYPE")
        assert driver.window.header.model.rows[0].value == "added"
        assert driver.window.header.count.text().startswith("1 of ")

    def test_that_the_state_of_a_step_done_is_shown_by_a_double_click(self, driver: Driver) -> None:
        driver.run("reduce_all")
        model = driver.window.pipeline.step_model
        driver.window.pipeline.steps.doubleClicked.emit(model.index(ADD, 0))
        driver.wait(lambda: driver.window.shown.label == "Add Amount")

    def test_that_actions_that_make_no_sense_are_disabled(self, empty: Driver) -> None:
        enabled = {action.id for action in ACTIONS if empty.window.qactions[action.id].isEnabled()}
        assert "open_files" in enabled
        assert not enabled & {"do_step", "undo_step", "stop_running", "apply_parameters", "close_reduction"}

    def test_that_closing_the_reduction_empties_the_window(self, driver: Driver) -> None:
        driver.run("close_reduction")
        assert not driver.desk.reduction.is_open
        assert driver.window.pipeline.step_model.rowCount() == 0
        assert driver.form.form is None


class TestHistory:
    def make_branches(self, driver: Driver) -> None:
        driver.run("reduce_all")
        driver.select(ADD)
        driver.enter("amount", "5")
        driver.run("run_to_selected")
        driver.run("reduce_all")

    def test_that_changed_parameters_make_a_branch_and_one_can_go_back(self, driver: Driver) -> None:
        self.make_branches(driver)
        nodes = driver.window.pipeline.history_model._nodes
        labels = [node.label for node in nodes]
        assert "Add Amount: addamount = 1.0" in labels
        assert "Add Amount: addamount = 5.0" in labels
        old = next(node.state.key for node in nodes if node.label == "Add Amount: addamount = 1.0")
        driver.window.pipeline.state_activated.emit(old)
        driver.settle()
        assert driver.desk.reduction.current.key == old

    def test_that_two_states_are_compared(self, driver: Driver) -> None:
        self.make_branches(driver)
        finals = [state.key for state in driver.desk.reduction.states.values() if state.step == "sum"]
        driver.window.pipeline._select_states(tuple(finals))
        driver.do("compare_states")
        view = driver.window.tabs.currentWidget()
        driver.wait(lambda: view.difference is not None)
        assert abs(view.difference["FLUX"].mean()) == pytest.approx(8.0)
        assert [row[1] for row in view.parameters.rows] == ["addamount"]

    def test_that_the_tree_model_is_sound(self, driver: Driver, qtmodeltester) -> None:
        self.make_branches(driver)
        qtmodeltester.check(driver.window.pipeline.history_model, force_py=True)

    def test_that_a_sweep_makes_branches(self, driver: Driver) -> None:
        driver.desk.sweep(ADD, "amount", (1.0, 2.0, 3.0), SUM)
        driver.settle()
        assert sum(state.step == "sum" for state in driver.desk.reduction.states.values()) == 3
        driver.wait(lambda: driver.window.pages[-1].pinned and driver.window.pages[-1].is_ready)
        page = driver.window.pages[-1]
        driver.wait(lambda: len(page.viewer.frames.entries) == 3)
        assert driver.window.tabs.title_of(page).startswith("Sweep of")
        assert [entry.frame.file.name.rpartition(" ")[2] for entry in page.viewer.frames.entries] == [
            "1.0",
            "2.0",
            "3.0",
        ]
        means = [float(product["FLUX"].mean()) for product in page.shown.products]
        assert np.diff(means) == pytest.approx([2.0, 2.0])

    def test_that_two_files_are_compared_and_spectra_overlaid(
        self, driver: Driver, files: list[Path], tmp_path
    ) -> None:
        driver.window.compare_files(*files)
        view = driver.window.comparisons[-1]
        driver.wait(lambda: view.difference is not None and view.is_ready)
        assert abs(view.difference["PRIMARY"].mean()) == pytest.approx(1.0, abs=0.2)
        paths = []
        for number in (1, 2):
            paths.append(tmp_path / f"s{number}.fits")
            header = fits.Header({"XUNITS": "um", "YUNITS": "Jy", "INSTRUME": "FORCAST", "FILENAME": paths[-1].name})
            rows = np.stack([np.linspace(5, 8, 99), np.full(99, float(number)), np.full(99, 0.1)])
            fits.PrimaryHDU(rows, header).writeto(paths[-1])
        driver.window.compare_files(*paths)
        view = driver.window.comparisons[-1]
        driver.wait(lambda: view.mode.currentData() == "overlay" and view.spectra.viewer is not None)
        driver.wait(lambda: len(view.spectra.viewer.session.files) == 2)
        names = [file.name for file in view.spectra.viewer.session.files.values()]
        assert names == ["A: s1.fits", "B: s2.fits"]


class TestParameters:
    def test_that_the_next_run_applies_what_was_typed(self, driver: Driver) -> None:
        driver.select(ADD)
        driver.enter("amount", "42")
        assert "1 edit not applied" in driver.form.summary.text()
        driver.run("run_to_selected")
        assert driver.desk.reduction.current.parameters["addamount"] == 42.0
        assert driver.window.shown.products[0]["FLUX"].mean() == pytest.approx(43.0, abs=0.2)

    def test_that_an_invalid_value_shows_its_error_and_cannot_be_applied(self, driver: Driver) -> None:
        driver.select(ADD)
        driver.enter("amount", "500")
        row = driver.form.rows["amount"]
        assert row.error.isVisible()
        assert "≤ 100" in row.error.text()
        driver.refresh()
        assert not driver.window.qactions["apply_parameters"].isEnabled()
        assert "nothing is applied" in driver.form.summary.text()
        driver.do("revert_parameters")
        assert row.editor.line.text() == "1.0"
        assert not row.error.isVisible()

    def test_that_an_invalid_value_stops_the_run(self, driver: Driver) -> None:
        driver.select(ADD)
        driver.enter("amount", "x")
        driver.do("reduce_all")
        assert "addamount" in driver.dialog(ErrorDialog).cause.text()
        assert not driver.desk.is_busy
        assert driver.states[0] == "ready"

    def test_that_each_control_of_the_form_does_what_it_says(self, driver: Driver, qtbot) -> None:
        driver.select(ADD)
        rows = driver.form.rows
        driver.do("toggle_expert")
        driver.enter("times", "3")
        driver.enter("limit", "7.5")
        driver.enter("names", "one, two")
        rows["method"].editor.box.setCurrentIndex(1)
        rows["method"].editor.box.activated.emit(1)
        qtbot.mouseClick(rows["save"].editor.box, Qt.MouseButton.LeftButton, pos=QtCore.QPoint(8, 8))
        driver.run("apply_parameters")
        values = driver.desk.reduction.snapshot.steps[ADD].values
        assert (values["times"], values["limit"], values["names"]) == (3, 7.5, ("one", "two"))
        assert (values["method"], values["save"]) == ("median", False)
        qtbot.mouseClick(rows["times"].reset, Qt.MouseButton.LeftButton)
        driver.run("apply_parameters")
        assert driver.desk.reduction.snapshot.steps[ADD].values["times"] == 1

    def test_that_defaults_are_restored(self, driver: Driver) -> None:
        driver.select(ADD)
        driver.enter("amount", "9")
        driver.run("apply_parameters")
        assert driver.form.form.field("amount").origin == "user"
        driver.do("restore_defaults")
        assert driver.form.rows["amount"].editor.line.text() == "1.0"
        driver.run("restore_all_defaults")
        assert driver.form.form.field("amount").origin == "built-in"

    def test_that_defaults_of_the_data_are_marked(self, empty: Driver, make_file) -> None:
        empty.open([make_file(OBJECT="BRIGHT")])
        empty.select(ADD)
        field = empty.form.form.field("amount")
        assert (field.value, field.origin) == (2.0, "data")
        assert "default for these data" in empty.form.rows["amount"].editor.toolTip()

    def test_that_expert_parameters_are_hidden_until_wanted_or_searched(self, driver: Driver) -> None:
        driver.select(ADD)
        names = driver.form.rows["names"]
        assert not names.isVisible()
        driver.form.search.setText("words")
        assert names.isVisible()
        assert not driver.form.rows["amount"].isVisible()
        driver.form.search.clear()
        driver.do("toggle_expert")
        assert names.isVisible()
        assert "secret" not in driver.form.rows

    def test_that_parameters_without_effect_are_grey_and_say_why(self, qtbot, tmp_path: Path) -> None:
        step = next(step for step in find_recipe("forcast-imaging").steps if step.key == "coadd")
        values = {info.name: info.default for info in step.parameters.infos()}
        record = StepRecord("coadd", values, dict.fromkeys(values, "built-in"), values)
        form = ParameterForm(step, record)
        row = FieldRow(step.parameters.info("smoothing"), form)
        qtbot.addWidget(row)
        row.show_field(form.field("smoothing"))
        assert not row.editor.isEnabled()
        assert "no effect while 'Combination method' is median" in row.editor.toolTip()
        form.edit("method", "resample")
        row.show_field(form.field("smoothing"))
        assert row.editor.isEnabled()
        assert form.field("threshold").obstacle
        form.edit("method", "nonsense")
        assert form.field("smoothing").obstacle, "a value that is not allowed decides nothing"

    def test_that_parameters_without_effect_on_the_data_are_grey_and_say_why(
        self, empty: Driver, make_file: Callable[..., Path]
    ) -> None:
        empty.open([make_file(OBJECT="PLAIN")])
        empty.select(ADD)
        row = empty.form.rows["text"]
        assert not row.editor.isEnabled()
        assert "no effect on these data. There is no text." in row.editor.toolTip()
        assert empty.form.rows["amount"].editor.isEnabled()

    def test_that_groups_without_a_match_are_hidden(self, driver: Driver) -> None:
        driver.select(ADD)
        assert driver.form.groups["Details"].isVisible()
        driver.form.search.setText("addamount")
        assert not driver.form.groups["Details"].isVisible()

    def test_that_a_changed_step_is_stale_and_can_be_run_again(self, driver: Driver, qtbot) -> None:
        driver.run("reduce_all")
        driver.select(ADD)
        driver.enter("amount", "3")
        driver.run("apply_parameters")
        assert driver.states == ["done", "stale", "stale", "stale"]
        assert driver.form.banner.isVisible()
        qtbot.mouseClick(driver.form.rerun, Qt.MouseButton.LeftButton)
        driver.settle()
        assert driver.states == ["done", "done", "ready", "waiting"]

    @pytest.mark.parametrize("suffix", ["toml", "cfg"])
    def test_that_parameter_files_are_saved_and_loaded(self, driver: Driver, tmp_path: Path, suffix: str) -> None:
        driver.select(ADD)
        driver.enter("amount", "33")
        driver.run("apply_parameters")
        path = tmp_path / f"p.{suffix}"
        driver.window.commands.write_parameters(path)
        driver.run("restore_all_defaults")
        driver.desk.load_parameters(str(path))
        driver.settle()
        field = driver.form.form.field("amount")
        assert (field.value, field.origin) == (33.0, "file")

    def test_that_a_bad_parameter_file_is_reported_with_its_line(self, driver: Driver, tmp_path: Path) -> None:
        path = tmp_path / "p.toml"
        path.write_text("[add]\naddamountt = 3\n")
        driver.desk.load_parameters(str(path))
        text = driver.dialog(ErrorDialog).cause.text()
        assert "addamount" in text
        assert "2" in text

    def test_that_the_preview_shows_the_edited_values_and_keeps_nothing(self, driver: Driver) -> None:
        driver.run("do_step")
        driver.select(ADD)
        driver.enter("amount", "70")
        driver.do("preview_step")
        driver.wait(lambda: driver.window.shown.kind == "preview")
        assert driver.window.shown.products[0]["FLUX"].mean() == pytest.approx(71.0, abs=0.2)
        assert driver.states == ["done", "ready", "waiting", "waiting"]
        assert driver.form.form.is_edited

    def test_that_the_live_preview_follows_the_edits(self, driver: Driver) -> None:
        driver.run("do_step")
        driver.select(ADD)
        driver.do("toggle_live_preview")
        driver.enter("amount", "60")
        driver.wait(lambda: driver.window.shown.kind == "preview")
        driver.wait(lambda: abs(float(driver.window.shown.products[0]["FLUX"].mean()) - 61) < 0.5)


def all_steps() -> list:
    return [pytest.param(step, id=f"{r.name}-{step.key}") for r in all_recipes() for step in r.steps]


@pytest.mark.parametrize("step", all_steps())
def test_that_the_widgets_of_every_step_show_the_values_they_are_given(qtbot, step) -> None:
    for info in step.parameters.infos():
        if info.level == "hidden":
            continue
        editor = make_editor(info)
        qtbot.addWidget(editor)
        heard: list[object] = []
        editor.edited.connect(heard.append)
        value = getattr(step.parameters(), info.name)
        editor.show_value(value)
        assert not heard, "showing a value is no edit"
        assert step.parameters.make({info.name: _setting(_read(editor))}) == step.parameters()


def _read(editor) -> object:
    if hasattr(editor, "line"):
        return editor.line.text()
    return editor.box.isChecked() if isinstance(editor.box, QtWidgets.QCheckBox) else editor.box.currentData()


def _setting(value: object):
    from sofia_engine.pipeline.parameters import Setting

    return Setting(value)


class TestErrors:
    def set_fail(self, driver: Driver, kind: str) -> None:
        driver.select(SUM)
        box = driver.form.rows["fail"].editor.box
        box.setCurrentText(kind)
        box.activated.emit(box.currentIndex())

    def test_that_a_failed_step_is_marked_explained_and_retried_after_a_change(self, driver: Driver, qtbot) -> None:
        self.set_fail(driver, "error")
        driver.do("reduce_all")
        dialog = driver.dialog(ErrorDialog)
        driver.settle()
        assert "nothing can be combined" in dialog.cause.text()
        assert dialog.report.title == "Combine could not be done"
        assert driver.states == ["done", "done", "done", "failed"]
        change = next(b for b in dialog.buttons.buttons() if b.text() == "Change parameters")
        qtbot.mouseClick(change, Qt.MouseButton.LeftButton)
        assert driver.form.form.step.key == "sum"
        self.set_fail(driver, "no")
        driver.run("do_step")
        assert driver.states == ["done"] * 4

    def test_that_retry_does_the_step_again(self, driver: Driver, qtbot) -> None:
        self.set_fail(driver, "error")
        driver.do("reduce_all")
        dialog = driver.dialog(ErrorDialog)
        driver.settle()
        self.set_fail(driver, "no")
        retry = next(b for b in dialog.buttons.buttons() if b.text() == "Retry")
        qtbot.mouseClick(retry, Qt.MouseButton.LeftButton)
        driver.settle()
        assert driver.states == ["done"] * 4

    def test_that_an_unforeseen_error_is_a_sentence_that_can_be_copied(self, driver: Driver, qtbot) -> None:
        self.set_fail(driver, "bug")
        driver.do("reduce_all")
        dialog = driver.dialog(ErrorDialog)
        assert "nobody foresaw" in dialog.cause.text()
        copy = next(b for b in dialog.buttons.buttons() if b.text() == "Copy")
        qtbot.mouseClick(copy, Qt.MouseButton.LeftButton)
        assert "nobody foresaw" in QtGui.QGuiApplication.clipboard().text()

    def test_that_errors_stand_among_the_problems_and_lead_to_the_step(self, driver: Driver) -> None:
        self.set_fail(driver, "error")
        driver.do("reduce_all")
        driver.dialog(ErrorDialog)
        driver.settle()
        driver.select(CHECK)
        problems = driver.window.problems
        assert problems.model.rows[-1].step == "sum"
        problems.table.doubleClicked.emit(problems.model.index(len(problems.model.rows) - 1, 0))
        assert driver.desk.selection["step"] == SUM


class TestLog:
    def test_that_levels_words_and_search_work(self, driver: Driver) -> None:
        driver.run("reduce_all")
        log = driver.window.log
        assert log.model.rowCount() == len(driver.desk.log.shown) > 5
        log.words.setText("Wrote")
        assert all("Wrote" in entry.message for entry in driver.desk.log.shown)
        log.words.clear()
        log.search.setText("started")
        log.find_next()
        first = log.table.currentIndex().row()
        log.find_next()
        assert log.table.currentIndex().row() > first
        log.find_previous()
        assert log.table.currentIndex().row() == first
        log.search.setText("no such words")
        log.find_next()
        assert log.found.text() == "not found"
        log.level.setCurrentIndex(3)
        assert log.model.rowCount() == 0

    def test_that_lines_of_a_step_are_folded_by_click_key_and_button(self, driver: Driver) -> None:
        driver.run("reduce_all")
        log = driver.window.log
        count, rows = log.model.rowCount(), range(log.model.rowCount())
        row = next(row for row in rows if log.model.entry(row).step == "add")
        mark = log.model.index(row, 0)
        assert mark.data() == "▾"
        log.table.scrollTo(mark)
        place = log.table.visualRect(mark).center()
        driver.qtbot.mouseClick(log.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert log.model.index(row, 0).data() == "▸"
        assert "more line" in log.model.index(row, 4).data()
        assert log.model.rowCount() < count
        assert log.table.currentIndex().row() == row
        driver.window.bring_up("log")
        log.table.setFocus()
        driver.qtbot.keyClick(log.table, Qt.Key.Key_Right)
        assert log.model.rowCount() == count
        log.fold.click()
        steps = [log.model.entry(row).step for row in range(log.model.rowCount())]
        assert len([step for step in steps if step]) == len({step for step in steps if step})
        log.search.setText("Wrote")
        log.find_next()
        assert "Wrote" in log.model.entry(log.table.currentIndex().row()).message

    def test_that_a_double_click_goes_to_the_file_of_a_line_or_to_its_step(
        self, driver: Driver, files: list[Path]
    ) -> None:
        driver.run("reduce_all")
        log, desk = driver.window.log, driver.desk
        desk.log.append(
            [LogEntry("warning", "odd", "add", "raw_0002.fits"), LogEntry("info", "See raw_0001.fits.", "work")]
        )
        driver.window.data.filter.setText("nothing_like_it")
        driver.refresh()

        def double_click(message: str) -> None:
            entries = desk.log.shown
            row = next(row for row, entry in enumerate(entries) if message in entry.message)
            log.table.doubleClicked.emit(log.model.index(row, 4))

        double_click("odd")
        driver.refresh()
        assert driver.window.data.selected_paths() == (files[1],)
        double_click("See raw_0001")
        assert driver.window.data.selected_paths() == (files[0],)
        double_click("Work Hard started")
        assert driver.form.form.step.key == "work"
        double_click("_ADD_")
        driver.wait(lambda: "_ADD_" in driver.window.shown.label)
        assert [product.name for product in driver.window.shown.products] == [driver.window.shown.label]

    def test_that_lines_are_copied_and_saved(self, driver: Driver, tmp_path: Path) -> None:
        driver.run("reduce_all")
        log = driver.window.log
        log.table.selectRow(0)
        log.copy()
        assert QtGui.QGuiApplication.clipboard().text().count("\n") == 1
        log.save(tmp_path / "log.txt")
        assert (tmp_path / "log.txt").read_text().count("\n") == len(driver.desk.log.shown)
        log.save(tmp_path / "nowhere" / "log.txt")
        assert "cannot be written" in driver.desk.log.problems[-1].message

    def test_that_a_talkative_step_does_not_block_the_window(self, driver: Driver) -> None:
        driver.select(WORK)
        driver.enter("lines", "20000")

        def run(attempt: int) -> None:
            change_parameter(driver, attempt)
            driver.run("run_to_selected")

        assert_lively(run)
        assert len(driver.desk.log) > 20_000


def change_parameter(driver: Driver, attempt: int) -> None:
    """Change a step before the heavy one, so that nothing is taken from the history."""
    if attempt:
        driver.desk.forms[ADD].edit("amount", 10.0 + attempt)
        driver.select(WORK)


class TestEngine:
    @pytest.mark.parametrize("style", ["crunch", "chatter"])
    def test_that_the_window_lives_while_a_heavy_step_runs(self, driver: Driver, style: str) -> None:
        driver.select(WORK)
        driver.run("run_to_selected")
        driver.select(WORK)
        driver.enter("seconds", "2")
        driver.form.form.edit("style", style)

        def run(attempt: int) -> None:
            change_parameter(driver, attempt)
            driver.do("run_to_selected")
            driver.wait(lambda: driver.states[WORK] == "running")
            driver.settle()

        assert_lively(run)

    def test_that_a_step_that_ignores_the_wish_is_stopped_within_a_second(self, driver: Driver) -> None:
        driver.select(WORK)
        driver.enter("seconds", "600")
        driver.form.form.edit("style", "deaf")
        driver.do("run_to_selected")
        driver.wait(lambda: driver.states[WORK] == "running")
        driver.qtbot.wait(300)
        started = time.perf_counter()
        driver.do("stop_running")
        driver.wait(lambda: not driver.desk.is_busy)
        elapsed = time.perf_counter() - started
        assert elapsed < 1.0
        driver.wait(lambda: "runs again" in driver.desk.log.shown[-1].message)
        assert driver.states[:3] == ["done", "done", "ready"]
        driver.enter("seconds", "0")
        driver.run("reduce_all")
        assert driver.states == ["done"] * 4

    def test_that_a_killed_engine_costs_the_running_step_only_and_the_window_says_so(self, driver: Driver) -> None:
        driver.select(WORK)
        driver.enter("seconds", "600")
        driver.do("run_to_selected")
        driver.wait(lambda: driver.states[WORK] == "running")
        os.kill(driver.desk.bridge.client.pid, signal.SIGKILL)
        driver.wait(lambda: any("running step is lost" in entry.message for entry in driver.desk.log.problems))
        driver.wait(lambda: "runs again, at the last finished step" in driver.desk.log.shown[-1].message)
        assert driver.states == ["done", "done", "ready", "waiting"]
        driver.enter("seconds", "0")
        driver.run("reduce_all")
        assert driver.states == ["done"] * 4

    def test_that_progress_and_time_left_are_shown_while_a_step_runs(self, driver: Driver) -> None:
        driver.select(WORK)
        driver.enter("seconds", "30")
        driver.do("run_to_selected")
        progress = driver.window.progress
        driver.wait(lambda: progress.isVisible() and progress.left.text().endswith("left"))
        driver.wait(lambda: progress.label.text().startswith("3/4 Work Hard"))
        driver.do("stop_running")
        driver.settle()
        assert not progress.isVisible()


class TestWindow:
    def test_that_every_action_is_in_a_menu_with_its_keys(self, empty: Driver) -> None:
        shown = {a.objectName() for menu in empty.window.menuBar().actions() for a in menu.menu().actions()}
        assert {action.id for action in ACTIONS} <= shown
        assert empty.window.qactions["do_step"].shortcut().toString() == "F8"

    def test_that_the_palette_finds_and_does_an_action(self, driver: Driver, qtbot) -> None:
        driver.do("show_palette")
        palette = driver.dialog(CommandPalette)
        qtbot.keyClicks(palette.line, "remaining steps")
        assert palette.list.count() == 1
        qtbot.keyClick(palette.line, Qt.Key.Key_Return)
        driver.wait(lambda: driver.states == ["done"] * 4)

    def test_that_keys_do_what_the_menu_says(self, driver: Driver, qtbot) -> None:
        driver.window.activateWindow()
        driver.wait(driver.window.isActiveWindow)
        qtbot.keyClick(driver.window, Qt.Key.Key_F8)
        driver.wait(lambda: driver.states[0] == "done")

    def test_that_the_layout_comes_back(self, empty: Driver, lab: Path, tmp_path: Path, qtbot) -> None:
        empty.window.docks["quality"].hide()
        empty.window.docks["data"].setFloating(True)
        empty.window.close()
        again = make_window(lab, tmp_path)
        qtbot.addWidget(again)
        assert again.docks["quality"].isHidden()
        assert again.docks["data"].isFloating()
        Driver(again, qtbot).do("reset_layout")
        assert not again.docks["quality"].isHidden()
        assert not again.docks["data"].isFloating()
        again.close()

    def test_that_panels_and_tabs_are_brought_up(self, driver: Driver) -> None:
        for name, tab in (("show_header", "header"), ("show_provenance", "provenance"), ("show_help", "help")):
            driver.do(name)
            assert driver.window.tabs.currentWidget() is getattr(driver.window, tab)
        driver.window.docks["log"].hide()
        driver.do("show_log")
        assert driver.window.docks["log"].isVisible()

    def test_that_provenance_names_inputs_steps_and_values(self, driver: Driver) -> None:
        driver.run("reduce_all")
        driver.do("show_provenance")
        tree = driver.window.provenance.tree
        found = tree.findItems("addamount", Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive, 0)
        assert [item.text(1) for item in found] == ["1.0"]

    def test_that_help_tells_the_step_and_its_parameters(self, driver: Driver) -> None:
        driver.select(ADD)
        text = driver.window.help.toPlainText()
        assert "Add an amount to all pixels." in text
        assert "addamount" in text
        assert "≤ 100" in text

    def test_that_quality_numbers_are_listed(self, driver: Driver) -> None:
        driver.run("reduce_all")
        quality = driver.window.quality
        titles = [column.title for column in quality.model.columns]
        assert set(titles) >= {"Step", "Product", "background", "noise"}
        assert quality.model.rowCount() >= 4
        quality.copy()
        assert QtGui.QGuiApplication.clipboard().text().startswith("step,product,")

    def test_that_products_shown_are_saved(self, driver: Driver, tmp_path: Path) -> None:
        driver.run("reduce_all")
        (tmp_path / "mine").mkdir()
        driver.window.save_shown(tmp_path / "mine")
        driver.settle()
        assert Product.read(tmp_path / "mine" / "LAB_SUM_0001-0002.fits").header["PRODTYPE"] == "summed"

    def test_that_commands_are_exported(self, driver: Driver) -> None:
        driver.run("reduce_all")
        driver.do("export_commands")
        dialog = driver.dialog(TextDialog)
        assert dialog.text.startswith("sofia-desk reduce ")
        dialog.tabs.setCurrentIndex(1)
        assert "reduction.run_to('sum')" in dialog.text

    def test_that_preferences_are_edited(self, qtbot) -> None:
        preferences = Preferences()
        dialog = PreferencesDialog(None, preferences)
        qtbot.addWidget(dialog)
        dialog.theme.setCurrentIndex(2)
        dialog.text_size.setValue(14)
        dialog.jobs.setValue(2)
        dialog.rule.setCurrentIndex(1)
        dialog.folder.setText("/data")
        dialog.accept()
        assert (preferences.theme, preferences.text_size, preferences.jobs) == ("dark", 14, 2)
        assert (preferences.output_rule, preferences.output_folder) == ("fixed", "/data")

    def test_that_a_sweep_is_refused_until_its_values_are_allowed(self, qtbot, driver: Driver) -> None:
        dialog = SweepDialog(driver.window, driver.desk.reduction.steps, ADD)
        qtbot.addWidget(dialog)
        ok = dialog.buttons.button(QtWidgets.QDialogButtonBox.StandardButton.Ok)
        assert not ok.isEnabled()
        dialog.parameter.setCurrentIndex(dialog.parameter.findData("amount"))
        dialog.values.setText("1; 200")
        assert not ok.isEnabled()
        assert "≤ 100" in dialog.error.text()
        dialog.values.setText("1; 2;3")
        assert ok.isEnabled()
        assert dialog.read_values() == [1.0, 2.0, 3.0]

    def test_that_the_theme_changes_colours_at_once(self, empty: Driver) -> None:
        for theme, dark in (("dark", True), ("light", False)):
            empty.desk.preferences.theme = theme
            empty.window.apply_preferences()
            color = empty.window.grab().toImage().pixelColor(5, empty.window.height() - 5)
            assert (color.lightness() < 128) is dark

    def test_that_files_cannot_be_fetched_without_network_and_the_window_says_so(self, driver: Driver) -> None:
        assert "no reference files" in driver.window.references.summary.text()
        assert not driver.window.references.fetch.isEnabled()

    def test_that_time_left_is_told_in_words(self) -> None:
        assert [format_seconds(s) for s in (5, 300, 7200)] == ["5 s", "5 min", "2.0 h"]

    def test_that_an_error_without_step_offers_no_retry(self, qtbot) -> None:
        dialog = ErrorDialog(None, ErrorReport("Title", "cause"))
        qtbot.addWidget(dialog)
        assert {button.text().replace("&", "") for button in dialog.buttons.buttons()} == {"Copy", "Close"}

    def test_that_help_of_every_step_can_be_shown(self) -> None:
        for recipe in all_recipes():
            for step in recipe.steps:
                assert step.label in format_help(step)


class TestViews:
    def open_spectrum(self, driver: Driver, tmp_path: Path) -> Product:
        header = fits.Header()
        header["INSTRUME"], header["XUNITS"], header["YUNITS"] = "FORCAST", "um", "Jy"
        header["FILENAME"] = "spectrum.fits"
        wave = np.linspace(5.0, 8.0, 200)
        rows = np.stack([wave, 1 + wave, np.full(200, 0.1), np.ones(200), np.ones(200)])
        path = tmp_path / "spectrum.fits"
        fits.PrimaryHDU(rows, header).writeto(path)
        driver.window._look_at_files([path])
        page = next(page for page in driver.window.pages if page.kind.name == "spectrum")
        driver.wait(lambda: driver.window.shown.label == "spectrum.fits" and page.viewer is not None)
        driver.wait(lambda: page.is_ready)
        return page

    def test_that_spectra_are_shown_by_the_spectrum_viewer_and_images_by_the_image_viewer(
        self, driver: Driver, tmp_path: Path
    ) -> None:
        window = driver.window
        driver.run("do_step")
        assert window.tabs.currentWidget() is window.image
        page = self.open_spectrum(driver, tmp_path)
        assert window.tabs.currentWidget() is page
        assert [file.name for file in page.viewer.session.files.values()] == ["spectrum.fits"]
        assert window.image.currentWidget() is not window.image.viewer
        driver.run("do_step")
        assert window.tabs.currentWidget() is window.image
        assert window.image.currentWidget() is window.image.viewer
        assert "no spectra" in page.message.text()

    def test_that_a_header_in_front_stays_there_until_the_user_asks_for_products(
        self, driver: Driver, tmp_path: Path
    ) -> None:
        driver.do("show_header")
        driver.run("do_step")
        assert driver.window.tabs.currentWidget() is driver.window.header
        page = self.open_spectrum(driver, tmp_path)
        assert driver.window.tabs.currentWidget() is page

    def test_that_keys_of_the_window_are_not_those_of_a_viewer(self, driver: Driver, tmp_path: Path) -> None:
        page = self.open_spectrum(driver, tmp_path)
        taken = {QtGui.QKeySequence(action.shortcut) for action in ACTIONS if action.shortcut}
        for viewer in (page.viewer, driver.window.image.viewer):
            assert not taken & {action.shortcut() for action in viewer.actions()}

    def test_that_a_pinned_clone_keeps_its_state_while_the_other_view_follows(self, driver: Driver) -> None:
        window = driver.window
        driver.run("do_step")
        driver.do("show_image")
        driver.do("clone_view")
        clone = window.pages[-1]
        assert clone.kind is window.image.kind
        assert window.tabs.place_of(clone) == "right"
        clone.set_pinned(True)
        kept = clone.shown.key
        driver.run("do_step")
        driver.wait(lambda: clone.is_ready and window.image.is_ready)
        assert clone.shown.key == kept != window.image.shown.key
        assert clone.viewer.frames.entries[0].frame is not window.image.viewer.frames.entries[0].frame
        clone.viewer.pin_action.trigger()
        assert not clone.pinned
        window.tabs.close_asked.emit(clone)
        assert clone not in window.pages

    def test_that_views_come_back_with_the_session(self, qtbot, lab: Path, files: list[Path], tmp_path: Path) -> None:
        first = Driver(make_window(lab, tmp_path), qtbot)
        first.open(files)
        first.run("do_step")
        first.do("clone_view")
        window = first.window
        clone = window.pages[-1]
        first.wait(lambda: clone.is_ready and len(window.image.viewer.frames.entries) == 2)
        clone.set_pinned(True)
        pinned = clone.shown.key
        first.run("do_step")
        window.image.viewer.set_display(color_map="gray", invert=True)
        window.image.viewer.zoom_to(3.0)
        first.do("show_provenance")
        first.select(WORK)
        session = first.desk.reduction.snapshot.session
        window.close()
        second = Driver(make_window(lab, tmp_path), qtbot)
        try:
            second.desk.resume(session)
            second.wait(lambda: second.desk.reduction.is_open)
            second.settle()
            again = second.window
            second.wait(lambda: len(again.pages) == len(window.pages) and again.pages[-1].pinned)
            image = again.image
            second.wait(lambda: image.is_ready and len(image.viewer.frames.entries) == 2)
            second.wait(lambda: image.viewer.frames.entries[0].display.color_map == "gray")
            assert image.viewer.frames.entries[0].display.invert
            view = image.viewer.area.views["0"]
            assert view.view.zoom * view.placement.scale == pytest.approx(3.0)
            assert again.pages[-1].shown.key == pinned
            assert again.tabs.place_of(again.pages[-1]) == "right"
            assert again.tabs.currentWidget() is again.provenance
            assert second.desk.selection["step"] == WORK
        finally:
            second.window.close()

    def test_that_the_quality_viewer_follows_the_reduction_and_leads_back_to_its_states(self, driver: Driver) -> None:
        window = driver.window
        driver.run("reduce_all")
        driver.do("show_quality_viewer")
        driver.wait(lambda: window.quality_viewer.viewer is not None)
        viewer = window.quality_viewer.viewer
        driver.wait(lambda: window.quality_viewer.is_ready and bool(viewer.rows), timeout=60_000)
        steps = {row.text("step") for row in viewer.rows}
        assert {"Add Amount", "Combine"} <= steps
        first = next(row for row in viewer.rows if row.text("step") == "Check Headers" or row.state_key)
        viewer.state_opened.emit(first.state_key)
        driver.wait(lambda: window.shown.key == first.state_key)

    def test_that_a_closed_quality_viewer_follows_no_more(self, driver: Driver) -> None:
        driver.do("show_quality_viewer")
        driver.wait(lambda: driver.window.quality_viewer.viewer is not None)
        driver.do("clone_view")
        clone = driver.window.pages[-1]
        driver.window.tabs.close_asked.emit(clone)
        QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
        driver.run("do_step")
        assert driver.states[0] == "done"

    def test_that_the_list_of_steps_draws_times_and_numbers(self, driver: Driver) -> None:
        driver.run("reduce_all")
        panel = driver.window.pipeline
        assert [panel.number.itemData(place) for place in range(2)] == ["duration", "background"] or (
            panel.number.findData("noise") > 0
        )
        assert max(panel.sparkline_of(row).bar for row in range(4)) == 1.0
        panel.number.setCurrentIndex(panel.number.findData("noise"))
        panel.number.activated.emit(panel.number.currentIndex())
        assert len(panel.sparkline_of(ADD).points) == 2
        assert "noise of 2 products" in panel.step_model.data(
            panel.step_model.index(ADD, 4), Qt.ItemDataRole.ToolTipRole
        )

    def test_that_rows_of_tables_and_the_read_out_are_copied(self, driver: Driver, qtbot) -> None:
        driver.run("do_step")
        driver.run("do_step")
        clipboard = QtGui.QGuiApplication.clipboard()
        header = driver.window.header
        header.search.setText("PRODTYPE")
        header.table.selectRow(0)
        header.copier.copy()
        assert clipboard.text().splitlines()[1].split("\t")[:2] == ["PRODTYPE", "added"]
        driver.window.quality.copier.copy_all()
        assert clipboard.text().startswith("Step\tProduct")
        viewer = driver.window.image.viewer
        driver.wait(viewer.is_ready)
        viewer.press_key("C", "0", 10.0, 12.0)
        assert clipboard.text().startswith("LAB_ADD_0001.fits")
        assert len(clipboard.text().split("\t")) >= 3

    def test_that_pictures_and_regions_of_a_step_are_shown_and_go_with_it(self, driver: Driver, tmp_path: Path) -> None:
        window = driver.window
        driver.run("do_step")
        picture, regions = tmp_path / "map.png", tmp_path / "trace.reg"
        drawn = QtGui.QImage(2000, 1000, QtGui.QImage.Format.Format_RGB32)
        drawn.fill(QtGui.QColor("red"))
        assert drawn.save(str(picture))
        regions.write_text("image\npoint(5,6) # point=x color=green tag={trace_pt}\ncircle(9,9,3)\n")
        products = window.shown.products
        window.show_state(OpenedState("", "Trace", products, pictures=(picture,), regions=(regions,)))
        viewer = window.image.viewer
        driver.wait(lambda: len(viewer.regions.items()) == 2 and not window.pictures.canvas.image.isNull())
        driver.do("show_pictures")
        driver.qtbot.wait(50)
        grabbed = window.pictures.canvas.grab().toImage()
        middle = grabbed.pixelColor(grabbed.width() // 2, grabbed.height() // 2)
        assert middle == QtGui.QColor("red")
        window.pictures.copy()
        assert QtGui.QGuiApplication.clipboard().image().width() == 2000
        assert not viewer.view_state()["regions"], "regions of products are not kept as those of the user"
        driver.run("do_step")
        driver.wait(lambda: viewer.is_ready() and not viewer.regions.items())
        assert not window.pictures.paths

    def test_that_a_cube_beside_images_is_shown_in_its_own_tab(self, driver: Driver) -> None:
        window = driver.window
        driver.run("do_step")
        (cubes,) = (page for page in window.pages if page.kind.name == "cube")
        group = window.tabs.groups[0]
        assert not group.isTabVisible(group.indexOf(cubes))
        image = window.shown.products[0]
        cube = Product.of(image.header, {"FLUX": np.stack([image["FLUX"]] * 9)})
        cube = cube.with_cards(("CTYPE3", "WAVE", ""), ("CUNIT3", "um", ""), ("CRVAL3", 157.7, ""), ("CDELT3", 0.1, ""))
        window.show_state(OpenedState("", "Map", (image,), companions=(cube,)))
        assert group.isTabVisible(group.indexOf(cubes))
        assert window.page_in_front is window.image
        driver.wait(lambda: cubes.viewer is not None and cubes.is_ready and cubes.viewer.cube is not None)
        assert cubes.viewer.cube.shape == cube["FLUX"].shape

    def test_that_the_side_panel_of_images_is_hidden_at_first_and_comes_with_its_key(self, driver: Driver) -> None:
        driver.run("do_step")
        viewer = driver.window.image.viewer
        assert all(dock.isHidden() for dock in viewer.side_docks)
        viewer.press_key("D", "0", 1.0, 1.0)
        assert not viewer.side_docks[0].isHidden()
        assert viewer.commands.by_name["panel"].isChecked()

    def test_that_help_leads_through_the_manual_and_back(self, driver: Driver) -> None:
        view = driver.window.help
        driver.select(ADD)
        view.show_contents()
        assert "FORCAST imaging" in view.toPlainText()
        view.text.anchorClicked.emit(QtCore.QUrl("manual:forcast/imaging.md"))
        assert "Correct Droop" in view.toPlainText()
        view.go_back()
        view.go_back()
        assert "Add an amount" in view.toPlainText()
        assert not view.back.isEnabled()


class TestFetching:
    """The button of the report on reference files, with calibration files of FORCAST that are really missing."""

    @pytest.fixture
    def observation(self, tmp_path: Path) -> list[Path]:
        from sofia_engine.simulate import simulate

        simulate("forcast-imaging-nmc", tmp_path / "raw", n_dither=1)
        return sorted((tmp_path / "raw").glob("*.fits"))

    def open(self, empty: Driver, observation: list[Path]) -> None:
        empty.desk.open_paths(observation)
        empty.wait(lambda: bool(empty.window.references.missing))
        empty.refresh()
        assert "(0 missing)" not in empty.window.docks["references"].windowTitle()
        assert empty.window.references.fetch.isEnabled()

    def publish(self, files: list, folder: Path) -> None:
        """Write a wheel with the published files in it, as pip finds it in a folder."""
        source = next(source for source in files[0].sources if source["type"] == "distribution")
        package, version = source["package"], source["version"]
        folder.mkdir()
        about = f"{package}-{version}.dist-info"
        cache = ReferenceStore(offline=True)
        with zipfile.ZipFile(folder / f"{package}-{version}-py3-none-any.whl", "w") as wheel:
            for file in files:
                wheel.write(cache.get(file), find_member(file))
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")

    @pytest.fixture
    def published(self, observation: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Let the calibration files be missing, and pip look for them in a folder instead of the package index."""
        store = ReferenceStore(offline=True)
        files = [store.find(request) for request in _requests(observation[0])]
        files = list({file.key: file for file in files if file is not None}.values())
        if any(status.state not in ("cached", "mirror") for status in store.status(files)):
            pytest.skip("the calibration files of FORCAST are not at hand to be published again")
        assert len(files) > 3
        self.publish(files, tmp_path / "index")
        monkeypatch.setenv("SOFIA_DESK_DATA", str(tmp_path / "cache"))
        monkeypatch.delenv("SOFIA_DESK_MIRROR", raising=False)
        monkeypatch.delenv("SOFIA_DESK_OFFLINE")
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
        return tmp_path / "index"

    def test_that_missing_files_are_fetched_and_the_steps_then_run(
        self, published: Path, observation: list[Path], qtbot, tmp_path: Path
    ) -> None:
        driver = Driver(make_window(Path(), tmp_path), qtbot)
        try:
            self.open(driver, observation)
            references = driver.window.references
            assert "Fetching needs the network" in references.summary.text()
            driver.select(1)
            driver.do("run_to_selected")
            dialog = driver.dialog(ErrorDialog)
            assert "press 'Fetch missing files'" in dialog.cause.text(), "a step may not use the network by itself"
            dialog.close()
            driver.wait(lambda: not driver.desk.is_busy)
            qtbot.mouseClick(references.fetch, Qt.MouseButton.LeftButton)
            driver.wait(lambda: not references.missing, timeout=120_000)
            driver.wait(lambda: not driver.desk.is_busy)
            assert references.summary.text() == "All reference files are at hand."
            assert not references.fetch.isEnabled()
            assert "cached" in {row.state for row in references.model.rows}
            assert any(path.is_file() for path in (tmp_path / "cache").rglob("*.fits"))
            driver.select(1)
            driver.run("run_to_selected")
            assert driver.states[1] in ("done", "warning")
        finally:
            driver.window.close()

    @pytest.mark.parametrize("obstacle", ["offline", "nothing published"])
    def test_that_a_fetch_that_fails_says_why_and_what_to_do(
        self, published: Path, observation: list[Path], qtbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obstacle
    ) -> None:
        if obstacle == "offline":
            monkeypatch.setenv("SOFIA_DESK_OFFLINE", "1")
        else:
            for wheel in published.glob("*.whl"):
                wheel.unlink()
        driver = Driver(make_window(Path(), tmp_path), qtbot)
        try:
            self.open(driver, observation)
            references = driver.window.references
            qtbot.mouseClick(references.fetch, Qt.MouseButton.LeftButton)
            dialog = driver.dialog(ErrorDialog)
            assert dialog.windowTitle() == "The reference files cannot be fetched"
            expected = "set to work offline" if obstacle == "offline" else "pip cannot download"
            assert expected in dialog.cause.text()
            assert "SOFIA_DESK_MIRROR" in dialog.cause.text()
            dialog.close()
            driver.wait(lambda: not driver.desk.is_busy)
            assert references.missing
            assert references.fetch.isEnabled()
        finally:
            driver.window.close()


def _requests(path: Path) -> list:
    from sofia_engine.pipeline.detection import read_header
    from sofia_engine.pipeline.references import wanted_by

    header = read_header(path)
    steps = find_recipe("forcast-imaging").steps
    wanted = [want for step in steps for want in wanted_by(step, header, step.parameters()).values()]
    return [want.request for want in wanted if not isinstance(want.choice, str) or not want.choice]


class TestEnd:
    def test_that_nothing_is_left_after_closing(self, qtbot, lab: Path, files: list[Path], tmp_path: Path) -> None:
        threads = threading.active_count()
        driver = Driver(make_window(lab, tmp_path), qtbot)
        driver.open(files)
        driver.select(WORK)
        driver.enter("seconds", "600")
        driver.do("run_to_selected")
        driver.wait(lambda: driver.states[WORK] == "running")
        pid = driver.desk.bridge.client.pid
        gone: list[bool] = []
        driver.window.destroyed.connect(lambda: gone.append(True))
        driver.window.close()
        assert not psutil.pid_exists(pid)
        assert threading.active_count() == threads
        driver.window.deleteLater()
        QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
        assert gone
        assert not list((tmp_path / "config" / "open").glob("*.json"))

    def test_that_the_session_of_a_killed_program_is_offered_at_the_next_start(
        self, qtbot, lab: Path, files: list[Path], tmp_path: Path
    ) -> None:
        first = Driver(make_window(lab, tmp_path), qtbot)
        first.open(files)
        first.run("do_step")
        first.run("do_step")
        session = first.desk.reduction.snapshot.session
        first.window.close()
        OpenSessions(pid=99_999_999).note(session)  # as a program leaves it that was killed
        second = Driver(make_window(lab, tmp_path), qtbot)
        second.window.offer_interrupted()
        dialog = second.window.restore_dialog
        assert dialog.chosen == session
        qtbot.mouseClick(dialog.open_button, Qt.MouseButton.LeftButton)
        second.wait(lambda: second.desk.reduction.is_open)
        second.settle()
        assert second.states == ["done", "done", "ready", "waiting"]
        second.window.close()

    def test_that_none_keeps_its_references(self, empty: Driver) -> None:
        import sys

        label = QtWidgets.QLabel()
        before = sys.getrefcount(None)
        for _ in range(500):
            label.setText("x")
            label.resize(10, 10)
        assert abs(sys.getrefcount(None) - before) < 200
