"""One edit of a parameter in several steps: the model, and the dialog with real widgets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("PySide6")

from sofia_app.models.batch_edit import BatchEdits, describe_edit, list_shared_keys, plan_edit
from sofia_app.models.parameters import ParameterForm
from sofia_app.views.batch_dialog import BatchDialog
from sofia_app.worker.protocol import StepRecord
from sofia_engine.instruments import find_recipe
from sofia_viewers.qt import Qt, QtCore
from window_driver import Driver, open_window

CHECK, ADD, WORK, SUM = range(4)


def make_forms(recipe: str = "forcast-grism") -> list[ParameterForm]:
    """Return the forms of a recipe with its defaults."""
    forms = []
    for step in find_recipe(recipe).steps:
        values = {info.name: getattr(step.parameters(), info.name) for info in step.parameters.infos()}
        origins = dict.fromkeys(values, "built-in")
        forms.append(ParameterForm(step, StepRecord(step.key, values, origins, values)))
    return forms


def list_values(forms: list[ParameterForm], key: str) -> list[object]:
    return [form.field(info.name).value for form in forms for info in form.infos if info.key == key]


class TestModel:
    def test_that_only_keys_of_several_steps_are_offered(self) -> None:
        forms = make_forms()
        shared = {shared.key: shared for shared in list_shared_keys(forms)}
        assert {"save", "method", "weighted", "threshold", "fit_order"} <= set(shared)
        assert "fracdroop" not in shared
        assert [forms[index].step.key for index in shared["save_1d"].steps] == [
            "extract_spectra",
            "merge_apertures",
            "flux_calibrate",
        ]

    def test_that_one_edit_reaches_all_steps_and_is_undone_as_one(self) -> None:
        forms, edits = make_forms(), BatchEdits()
        forms[1].edit("save", True)  # Clean Images has its own edit already
        before = list_values(forms, "save")
        changed = edits.do(forms, "save", True, range(len(forms)))
        assert all(list_values(forms, "save"))
        assert len(changed) == before.count(False)
        assert forms[1].step.label not in describe_edit("save", True, changed)
        assert describe_edit("save", True, changed).startswith(f"save = True in {len(changed)} steps: Correct Droop")
        edits.undo(forms)
        assert list_values(forms, "save") == before
        assert not edits.can_undo

    def test_that_steps_left_out_keep_their_values(self) -> None:
        forms, edits = make_forms(), BatchEdits()
        steps = [index for index, form in enumerate(forms) if form.step.key in ("stack_dithers", "combine_spectra")]
        edits.do(forms, "threshold", "5", steps)
        found = {
            form.step.key: form.field("threshold").value
            for form in forms
            if "threshold" in form.step.parameters.model_fields
        }
        assert found == {"stack_dithers": "5", "extract_spectra": 10.0, "combine_spectra": "5"}

    def test_that_a_value_that_a_step_cannot_have_is_not_put_there(self) -> None:
        forms, edits = make_forms(), BatchEdits()
        problems = {t.label: t.problem for t in plan_edit(forms, "method", "median")}
        assert not problems["Stack Dithers"]
        assert "must be one of 'optimal', 'standard'" in problems["Extract Spectra"]
        changed = edits.do(forms, "method", "median", range(len(forms)))
        assert {target.label for target in changed} == {"Stack Dithers", "Merge Apertures", "Combine Spectra"}
        assert all(form.is_valid for form in forms)

    def test_that_an_edit_that_changes_nothing_leaves_nothing_to_undo(self) -> None:
        forms, edits = make_forms(), BatchEdits()
        assert edits.do(forms, "save", False, range(len(forms))) == ()
        assert not edits.can_undo
        assert edits.undo(forms) == ()

    def test_that_edits_are_undone_in_turn(self) -> None:
        forms, edits = make_forms(), BatchEdits()
        edits.do(forms, "save", True, range(len(forms)))
        edits.do(forms, "threshold", 3.0, range(len(forms)))
        edits.undo(forms)
        assert list_values(forms, "threshold") == [8.0, 10.0, 8.0]
        assert all(list_values(forms, "save"))
        edits.undo(forms)
        assert not any(list_values(forms, "save"))


@pytest.fixture
def driver(qtbot, lab: Path, tmp_path: Path, files: list[Path]) -> Iterator[Driver]:
    window = open_window(qtbot, lab, tmp_path)
    driver = next(window)
    driver.open(files)
    yield driver
    next(window, None)


class TestDialog:
    def test_that_the_dialog_shows_the_steps_and_does_one_edit(self, driver: Driver, qtbot) -> None:
        driver.do("edit_everywhere")
        dialog = driver.dialog(BatchDialog)
        assert dialog.shared.key == "save"
        texts = [dialog.steps.item(row).text() for row in range(dialog.steps.count())]
        assert texts == ["Add Amount: True", "Work Hard: False", "Combine: True"]
        qtbot.mouseClick(dialog.editor.box, Qt.MouseButton.LeftButton, pos=QtCore.QPoint(8, 8))
        dialog.steps.item(2).setCheckState(Qt.CheckState.Unchecked)
        assert dialog.note.text() == "2 steps get save = False; it can be undone as one edit."
        dialog.buttons.button(dialog.buttons.StandardButton.Ok).click()
        assert list_values(driver.desk.forms, "save") == [False, False, True]
        assert "save = False in 1 step: Add Amount." in driver.desk.log.shown[-1].message
        driver.run("apply_parameters")
        assert driver.desk.reduction.snapshot.steps[ADD].values["save"] is False
        driver.do("undo_edit")
        driver.run("apply_parameters")
        assert driver.desk.reduction.snapshot.steps[ADD].values["save"] is True
        driver.refresh()
        assert not driver.window.qactions["undo_edit"].isEnabled()

    def test_that_the_menu_of_a_field_leads_there(self, driver: Driver) -> None:
        driver.select(ADD)
        menu = driver.form.make_menu(driver.form.rows["save"])
        texts = [action.text() for action in menu.actions()]
        assert texts == ["Put the default back", "Set in all 3 steps that have it…"]
        menu.actions()[1].trigger()
        assert driver.dialog(BatchDialog).shared.key == "save"
        lonely = driver.form.make_menu(driver.form.rows["amount"]).actions()[1]
        assert not lonely.isEnabled()
        menu.close()

    def test_that_steps_that_cannot_have_the_value_say_why(self, qtbot) -> None:
        dialog = BatchDialog(None, make_forms(), "method")
        qtbot.addWidget(dialog)
        dialog.editor.edited.emit("median")
        items = [dialog.steps.item(row) for row in range(dialog.steps.count())]
        refused = [item for item in items if not item.flags() & Qt.ItemFlag.ItemIsEnabled]
        assert any("Extract Spectra" in item.text() and "must be one of" in item.text() for item in refused)
        assert len(dialog.chosen) == 3


class TestHiding:
    def test_that_what_has_no_effect_is_hidden_and_counted(self, qtbot, empty_panel) -> None:
        panel, actions = empty_panel
        forms = {form.step.key: form for form in make_forms("forcast-imaging")}
        panel.show_form(forms["coadd"])
        shown = {name for name, row in panel.rows.items() if not row.isHidden()}
        assert {"smoothing", "weighted"} <= shown, "grey, not hidden"
        actions["toggle_hide_idle"].setChecked(True)
        hidden = {name for name in shown if panel.rows[name].isHidden()}
        assert hidden == {"smoothing", "weighted"}
        assert panel.hidden.text().startswith("2 parameters without effect are hidden.")
        forms["coadd"].edit("method", "resample")
        assert {name for name in shown if panel.rows[name].isHidden()} == {"robust", "threshold", "maxiters"}
        assert panel.hidden.text().startswith("3 parameters without effect are hidden.")
        forms["coadd"].edit("skip", True)
        assert not panel.rows["skip"].isHidden()
        assert not panel.rows["method"].isHidden(), "what is being edited stays"
        panel.search.setText("smoothing")
        assert not panel.rows["smoothing"].isHidden(), "what is looked for is found"
        panel.search.clear()
        panel.hidden.linkActivated.emit("show")
        assert not actions["toggle_hide_idle"].isChecked()
        assert {name for name, row in panel.rows.items() if not row.isHidden()} == shown
        assert panel.hidden.isHidden()

    def test_that_nothing_is_said_where_nothing_is_hidden(self, empty_panel) -> None:
        panel, actions = empty_panel
        actions["toggle_hide_idle"].setChecked(True)
        panel.show_form(next(form for form in make_forms("forcast-imaging") if form.step.key == "droop"))
        assert panel.hidden.isHidden()
        panel.show_form(None)
        assert panel.hidden.isHidden()


@pytest.fixture
def empty_panel(qtbot):
    """A form without a window around it, and its actions."""
    from sofia_app.actions import ACTIONS
    from sofia_app.desk import Desk
    from sofia_app.views.parameter_panel import ParameterPanel
    from sofia_viewers.qt import QtGui

    desk = Desk()
    actions = {}
    for declared in ACTIONS:
        actions[declared.id] = QtGui.QAction(declared.title)
        actions[declared.id].setCheckable(declared.checkable)
    panel = ParameterPanel(desk, actions)
    qtbot.addWidget(panel)
    yield panel, actions
    desk.close()
