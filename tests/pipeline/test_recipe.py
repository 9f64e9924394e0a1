"""Recipes: steps in order, found by key, label or position."""

from dataclasses import replace

import pytest
from astropy.io import fits

from sofia_engine.errors import InputError, ParameterError


@pytest.mark.parametrize("name", ["scale", "Scale", 2])
def test_that_a_step_is_found_by_key_label_and_position(bench, name):
    assert bench.index(name) == 2


def test_that_the_closest_step_is_suggested(bench):
    with pytest.raises(ParameterError, match=r"no step 'scal' \(did you mean 'scale'\?\)"):
        bench.index("scal")


@pytest.mark.parametrize("position", [-1, 6])
def test_that_a_position_outside_is_refused(bench, position):
    with pytest.raises(ParameterError, match="has 6 steps"):
        bench.index(position)


@pytest.mark.parametrize(
    ("product_type", "first"), [("raw", 0), ("UNKNOWN", 0), ("added", 2), ("SCALED", 3), ("combined", 5), ("odd", 0)]
)
def test_that_inputs_start_after_the_step_that_made_them(bench, product_type, first):
    assert bench.first_step(fits.Header([("PRODTYPE", product_type)])) == first


def test_that_inputs_without_a_product_type_are_raw(bench):
    assert bench.first_step(fits.Header()) == 0


def test_that_a_final_product_has_nothing_left_to_do(bench):
    with pytest.raises(InputError, match="last of bench: there is nothing to do"):
        bench.first_step(fits.Header([("PRODTYPE", "finished")]))


def test_that_a_recipe_can_be_cut(bench):
    assert [step.key for step in bench.cut_after("scale").steps] == ["check", "add", "scale"]


def test_that_two_steps_of_the_same_key_are_refused(bench):
    with pytest.raises(ValueError, match="several steps with the key add"):
        replace(bench, steps=(*bench.steps, bench.steps[1]))
