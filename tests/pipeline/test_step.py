"""Steps: all that the framework needs is read from one declaration."""

from collections.abc import Sequence

from sofia_engine.pipeline.parameters import Parameters, SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product


class Settings(SavedOutput):
    amount: float = parameter(1.0, label="Amount", help="")


@step("one", label="One", code="ONE", product_type="one", level="LEVEL_2", saved=True, version=3)
def one_by_one(image: Product, p: Settings, run: Run) -> Product:
    """Do something.

    At length.
    """
    return image


@step("all", label="All")
def all_together(images: Sequence[Product], p: Parameters, run: Run) -> Product:
    return images[0]


def test_that_the_first_annotation_tells_whether_inputs_come_one_by_one():
    assert one_by_one.maps
    assert not all_together.maps


def test_that_the_second_annotation_names_the_parameters():
    assert one_by_one.parameters is Settings


def test_that_a_step_with_a_code_makes_products():
    assert one_by_one.makes_products
    assert not all_together.makes_products


def test_that_help_is_the_first_paragraph_of_the_documentation():
    assert one_by_one.help == "Do something."
    assert all_together.help == ""


def test_that_the_declaration_is_kept():
    assert (one_by_one.key, one_by_one.label, one_by_one.code) == ("one", "One", "ONE")
    assert (one_by_one.product_type, one_by_one.level, one_by_one.saved) == ("one", "LEVEL_2", True)
    assert one_by_one.version == 3
