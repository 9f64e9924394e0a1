"""What is dragged in a spatial profile as parameters, without windows."""

from pathlib import Path

import pytest

from sofia_app.models.parameters import ParameterForm
from sofia_app.models.slit_edit import POSITIONS, PSF_RADII, REGIONS, SlitEditor, find_pickable, format_region_lists
from sofia_app.worker.protocol import StepRecord
from sofia_engine.pipeline.parameters import Setting
from sofia_viewers.spectrum.slit import ApertureMark, SlitMarks

PLACE, SIZE = 1, 2
ONE = SlitMarks((ApertureMark(10.0, 2.0, 3.0),), ((1.0, 4.0),))
TWO = SlitMarks((ApertureMark(5.0, 2.0, 3.0), ApertureMark(15.0, 2.0, 4.0)), ((1.0, 2.0), (8.0, 9.0)))


def make_forms(recipe):
    forms = []
    for step in recipe.steps:
        values = {info.name: info.default for info in step.parameters.infos()}
        forms.append(ParameterForm(step, StepRecord(step.key, values, dict.fromkeys(values, "built-in"), values)))
    return forms


@pytest.fixture
def forms(lab: Path):
    from sofia_engine.instruments.slitlab.steps import SLITLAB

    return make_forms(SLITLAB)


def make_done(forms):
    return {i: {info.key: info.default for info in form.infos} for i, form in enumerate(forms)}


def make_editor(forms, *measured, done=None, counts=None):
    editor = SlitEditor()
    editor.use(forms, measured, make_done(forms) if done is None else done, counts)
    return editor


def test_that_steps_tell_which_parameters_can_be_dragged(forms):
    assert {what: pickable.info.key for what, pickable in find_pickable(forms).items()} == {
        POSITIONS: "where", PSF_RADII: "sizes", REGIONS: "sky",
    }  # fmt: skip
    assert make_editor(forms, ONE).step_of(REGIONS) == SIZE


def test_that_grism_steps_tell_it():
    from sofia_engine.instruments.forcast.grism import SPECTROSCOPY

    forms = make_forms(SPECTROSCOPY)
    keys = {what: (p.form.step.key, p.info.key) for what, p in find_pickable(forms).items()}
    assert keys == {
        "aperture positions": ("locate_apertures", "input_position"),
        "aperture signs": ("set_apertures", "apsign"),
        "aperture radii": ("set_apertures", "aprad"),
        "psf radii": ("set_apertures", "psfrad"),
        "background regions": ("set_apertures", "bgr"),
    }


def test_that_a_dragged_aperture_sets_position_and_what_makes_it_hold(forms):
    editor = make_editor(forms, ONE)
    editor.edit(0, ONE.with_aperture(0, position=12.3456), POSITIONS)
    assert forms[PLACE].changes() == {"places": "12.346", "how": "given"}
    assert editor.marks(0).apertures[0].position == 12.346
    assert editor.marks(0).apertures[0].psf_radius == 3.0
    assert (editor.first_step, editor.last_step) == (PLACE, PLACE)


def test_that_files_keep_their_own_values(forms):
    other = ONE.with_aperture(0, position=11.0)
    editor = make_editor(forms, ONE, other)
    editor.edit(1, other.with_aperture(0, position=12.0), POSITIONS)
    assert forms[PLACE].changes()["places"] == "10;12"
    assert [editor.marks(n).apertures[0].position for n in (0, 1)] == [10.0, 12.0]
    editor.edit(0, ONE.with_aperture(0, position=12.0), POSITIONS)
    assert forms[PLACE].changes()["places"] == "12"


def test_that_a_radius_is_written_for_each_aperture(forms):
    editor = make_editor(forms, TWO)
    editor.edit(0, TWO.with_aperture(1, psf_radius=2.5), PSF_RADII)
    assert forms[SIZE].changes() == {"sizes": "3,2.5"}
    assert forms[PLACE].is_edited is False


def test_that_background_regions_are_written_as_pairs_and_none_of_them_too(forms):
    editor = make_editor(forms, TWO)
    editor.edit(0, SlitMarks(TWO.apertures, ((1.0, 2.0), (6.0, 9.5))), REGIONS)
    assert forms[SIZE].changes() == {"sky": "1.000-2.000,6.000-9.500"}
    editor.edit(0, SlitMarks(TWO.apertures), REGIONS)
    assert forms[SIZE].changes() == {"sky": ","}
    assert editor.marks(0).background == ()


@pytest.mark.parametrize(
    ("lists", "text"),
    [
        ([((0.0, 1.0),), ((0.0, 1.0),)], "0.000-1.000"),
        ([((0.0, 1.0),), ()], "0.000-1.000;"),
        ([(), ()], ","),
        ([((-0.001, 1.0),)], "0.000-1.000"),
    ],
)
def test_that_region_lists_are_read_back_as_they_were_written(lists, text):
    from sofia_engine.spectroscopy.apertures import parse_regions

    assert format_region_lists(lists) == text
    read = parse_regions(text, "bgr", len(lists))
    assert [[(max(a, 0.0), b) for a, b in each] for each in lists] == [list(each) for each in read]


def test_that_an_added_aperture_lengthens_the_lists_that_are_given(forms):
    editor = make_editor(forms, ONE)
    editor.edit(0, ONE.with_aperture(0, psf_radius=2.0), PSF_RADII)
    marks = editor.marks(0)
    editor.edit(0, SlitMarks((*marks.apertures, ApertureMark(15.0, 1.0, 1.5)), marks.background), POSITIONS)
    assert forms[PLACE].changes()["places"] == "10,15"
    assert forms[SIZE].changes()["sizes"] == "2,1.5"


def test_that_undo_gives_the_parameters_back_what_they_had(forms):
    forms[PLACE].edit("places", "7")
    editor = make_editor(forms, ONE)
    editor.edit(0, ONE.with_aperture(0, position=12.0), POSITIONS)
    editor.edit(0, ONE.with_aperture(0, position=13.0), POSITIONS)
    editor.undo()
    assert editor.marks(0).apertures[0].position == 12.0
    editor.undo()
    assert forms[PLACE].changes() == {"places": "7"}
    assert not editor.can_undo
    editor.redo()
    assert forms[PLACE].changes() == {"places": "12", "how": "given"}


def test_that_what_is_typed_into_the_form_is_shown(forms):
    editor = make_editor(forms, ONE)
    forms[PLACE].edit("how", "given")
    forms[PLACE].edit("places", "4, 8")
    assert [a.position for a in editor.marks(0).apertures] == [4.0, 8.0]
    forms[PLACE].edit("places", "4, x")
    assert editor.marks(0) == ONE
    forms[PLACE].edit("how", "search")
    forms[PLACE].edit("places", "4")
    assert editor.marks(0) == ONE


def test_that_values_a_step_was_done_with_are_not_drawn_over_what_it_made_of_them(forms):
    done = make_done(forms)
    done[SIZE]["sizes"] = "9"
    forms[SIZE].edit("sizes", "9")
    assert make_editor(forms, ONE, done=done).marks(0) == ONE
    assert make_editor(forms, ONE, done=done).first_step == -1


def test_that_automatic_puts_the_defaults_back_and_can_be_undone(forms):
    editor = make_editor(forms, ONE)
    editor.edit(0, ONE.with_aperture(0, position=12.0), POSITIONS)
    editor.set_automatic()
    assert not forms[PLACE].is_edited
    assert editor.marks(0) == ONE
    editor.undo()
    assert editor.marks(0).apertures[0].position == 12.0


def test_that_nothing_is_edited_where_files_cannot_be_told_apart(forms):
    editor = make_editor(forms, ONE, counts={PLACE: 2})
    editor.edit(0, ONE.with_aperture(0, position=12.0), POSITIONS)
    assert not forms[PLACE].is_edited
    assert editor.problem.startswith("The step works on 2 files")
    editor.use(forms, [ONE], {}, {}, "These are others.")
    assert (editor.problem, editor.editable) == ("These are others.", frozenset())


def test_that_other_forms_forget_what_could_be_undone(forms, lab):
    from sofia_engine.instruments.slitlab.steps import SLITLAB

    editor = make_editor(forms, ONE)
    editor.edit(0, ONE.with_aperture(0, position=12.0), POSITIONS)
    editor.use(make_forms(SLITLAB), [ONE], {})
    assert not editor.can_undo


def test_that_what_a_picked_value_needs_is_a_value_the_step_allows():
    from sofia_engine.instruments import all_recipes

    picks = 0
    for step in {step.function: step for recipe in all_recipes() for step in recipe.steps}.values():
        for info in step.parameters.infos():
            if info.pick in ("", "file", "directory"):
                continue
            picks += 1
            assert info.kind == "text"
            needed = {name: Setting(value) for name, value in info.picked_with.items()}
            made = step.parameters.make(needed)
            assert {name: getattr(made, name) for name in needed} == info.picked_with
    assert picks >= 5
