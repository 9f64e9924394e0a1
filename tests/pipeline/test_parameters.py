"""Parameters: one declaration, and values from text that are either understood or refused."""

from typing import Literal, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError, model_validator

from sofia_engine.errors import ParameterError
from sofia_engine.pipeline.parameters import Parameters, SavedOutput, Setting, parameter, suggest


class Everything(SavedOutput):
    switch: bool = parameter(True, label="Switch", help="On or off.")
    number: int = parameter(3, label="Number", help="How many.", ge=0, le=10)
    fraction: float = parameter(0.0035, key="fracdroop", label="Fraction", unit="Jy", help="Part.", gt=0, lt=1)
    limit: float | None = parameter(None, label="Limit", help="Largest value.")
    order: int | None = parameter(2, label="Order", help="Of the fit.")
    text: str = parameter("a b", label="Text", help="Any text.", max_length=20)
    method: Literal["mean", "Median", "none"] = parameter("mean", label="Method", help="Which.")
    power: Literal[1, 2] = parameter(1, label="Power", help="Which power.")
    scale: tuple[float, ...] = parameter((0.25, 99.9), label="Scale", help="Percentiles.")
    pair: tuple[int, int] = parameter((1, 2), label="Pair", help="Two.")
    names: list[str] = parameter([], label="Names", help="Words.", max_length=3)
    badfile: str = parameter("", label="Mask", help="A file.", pick="file")
    secret: int = parameter(7, label="Secret", help="Hidden.", level="hidden")


def read(**texts):
    return Everything.make({key: Setting(value) for key, value in texts.items()})


class TestText:
    @pytest.mark.parametrize("word", ["True", "true", "YES", "on", "1", "1.0", " True "])
    def test_that_words_switch_on(self, word):
        assert read(switch=word).switch is True

    @pytest.mark.parametrize("word", ["False", "no", "OFF", "0", "0.0", "None", "none", ""])
    def test_that_words_switch_off(self, word):
        assert read(switch=word).switch is False

    @pytest.mark.parametrize("word", ["nein", "2", "-1", "truee", "T r u e"])
    def test_that_other_words_are_no_switch(self, word):
        with pytest.raises(ParameterError, match=r"switch = .* must be True or False"):
            read(switch=word)

    @pytest.mark.parametrize(
        ("key", "text", "value"),
        [
            ("number", "4", 4),
            ("number", " 4 ", 4),
            ("number", "4.0", 4),
            ("fracdroop", "1e-3", 0.001),
            ("fracdroop", " 0.5", 0.5),
            ("limit", "none", None),
            ("limit", "", None),
            ("limit", "2.5", 2.5),
            ("order", "None", None),
            ("text", "none", "none"),
            ("text", "", ""),
            ("method", "MEDIAN", "Median"),
            ("method", "none", "none"),
            ("power", "2", 2),
            ("scale", "1, 2.5", (1.0, 2.5)),
            ("scale", "[1, 2.5]", (1.0, 2.5)),
            ("scale", "(1,2.5,)", (1.0, 2.5)),
            ("scale", "5", (5.0,)),
            ("scale", "", ()),
            ("pair", "3, 4", (3, 4)),
            ("names", "'a', \"b\"", ["a", "b"]),
            ("badfile", "{caldata}/x.fits", "{caldata}/x.fits"),
        ],
    )
    def test_that_text_becomes_the_value(self, key, text, value):
        assert read(**{key: text}).by_key()[key] == (list(value) if isinstance(value, tuple) else value)

    @given(st.floats(1e-300, 0.999))
    def test_that_numbers_survive_their_own_text(self, number):
        assert read(fracdroop=repr(number)).fraction == number

    @given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=5))
    def test_that_lists_survive_their_own_text(self, numbers):
        assert read(scale=repr(numbers)).scale == tuple(numbers)

    @given(st.text(max_size=20))
    def test_that_text_is_taken_as_it_is(self, text):
        assert read(text=text).text == text


class TestRefusals:
    @pytest.mark.parametrize(
        ("key", "value", "allowed"),
        [
            ("number", "11", "a whole number ≥ 0 and ≤ 10"),
            ("number", "3.5", "a whole number ≥ 0 and ≤ 10"),
            ("number", "x", "a whole number"),
            ("number", True, "a whole number"),
            ("number", None, "a whole number"),
            ("fracdroop", "1", "a number > 0 and < 1 (Jy)"),
            ("fracdroop", "nan", "a number"),
            ("fracdroop", float("inf"), "a number"),
            ("fracdroop", "none", "a number"),
            ("fracdroop", False, "a number"),
            ("limit", "x", "a number, or None"),
            ("text", 5, "a text"),
            ("text", "x" * 21, "of at most 20 characters"),
            ("method", "mode", "one of 'mean', 'Median', 'none'"),
            ("power", "3", "one of '1', '2'"),
            ("scale", "1, x", "a list of numbers"),
            ("pair", "1", "a list of whole numbers"),
            ("pair", "1,2,3", "a list of whole numbers"),
            ("names", "a,b,c,d", "of at most 3 values"),
        ],
    )
    def test_that_it_names_parameter_value_allowed_range_and_source(self, key, value, allowed):
        with pytest.raises(ParameterError) as caught:
            Everything.make({key: Setting(value, "file", "run.toml:14")}, step="droop")
        message = str(caught.value)
        assert f"droop.{key} = {value!r}" in message
        assert allowed in message
        assert message.endswith("[run.toml:14].")
        assert "\n" not in message
        assert "pydantic" not in message.lower()

    def test_that_all_problems_are_told_at_once(self):
        with pytest.raises(ParameterError) as caught:
            read(number="x", method="y", nothing="1", fracdrop="2")
        assert len(str(caught.value).splitlines()) == 4

    def test_that_an_unknown_key_gets_the_closest_known_one(self):
        with pytest.raises(
            ParameterError, match=r"fracdrop: there is no such parameter \(did you mean 'fracdroop'\?\)"
        ):
            read(fracdrop="0.1")

    def test_that_hidden_parameters_are_never_suggested(self):
        with pytest.raises(ParameterError) as caught:
            read(secre="1")
        assert "secret" not in str(caught.value)

    def test_that_a_rule_about_several_parameters_is_told_in_its_own_words(self):
        class Ordered(Parameters):
            low: float = parameter(0.0, label="Low", help="")
            high: float = parameter(1.0, label="High", help="")

            @model_validator(mode="after")
            def _ordered(self) -> Self:
                if self.low >= self.high:
                    raise ValueError("low must be smaller than high")
                return self

        with pytest.raises(ParameterError, match=r"^cut: low must be smaller than high \[a.ini\]\.$"):
            Ordered.make({"low": Setting(2.0, "file", "a.ini")}, step="cut")

    @given(
        st.sampled_from([info.key for info in Everything.infos()]), st.none() | st.text() | st.floats() | st.binary()
    )
    def test_that_no_value_whatever_raises_anything_else(self, key, value):
        try:
            made = Everything.make({key: Setting(value)})
        except ParameterError as error:
            assert not isinstance(error.__cause__, ValidationError)  # noqa: PT017
        else:
            assert isinstance(made, Everything)


class TestDeclaration:
    def test_that_values_are_found_by_key_and_by_name(self):
        assert read(fraction="0.2") == read(fracdroop="0.2")

    def test_that_the_later_of_key_and_name_wins(self):
        assert read(fraction="0.2", fracdroop="0.3").fraction == 0.3
        assert read(fracdroop="0.3", fraction="0.2").fraction == 0.2

    def test_that_values_by_key_leave_out_hidden_ones_unless_asked(self):
        assert "secret" not in Everything().by_key()
        assert Everything().by_key(hidden=True)["secret"] == 7

    def test_that_a_hidden_parameter_can_be_set(self):
        assert read(secret="8").secret == 8

    def test_that_parameters_cannot_be_changed_in_place(self):
        with pytest.raises(ValidationError, match="frozen"):
            Everything().number = 5

    def test_that_with_values_validates(self):
        assert Everything().with_values(number=4).number == 4
        with pytest.raises(ParameterError, match="number = 40"):
            Everything().with_values(number=40)

    def test_that_values_by_key_make_the_same_parameters_again(self):
        made = read(scale="1,2", limit="3", names="a,b", switch="no")
        assert Everything.make({k: Setting(v) for k, v in made.by_key(hidden=True).items()}) == made

    @pytest.mark.parametrize(
        ("key", "kind", "optional"),
        [
            ("switch", "bool", False),
            ("number", "int", False),
            ("fracdroop", "float", False),
            ("limit", "float", True),
            ("text", "text", False),
            ("method", "choice", False),
            ("scale", "list", False),
            ("badfile", "file", False),
        ],
    )
    def test_that_the_description_says_what_a_form_needs(self, key, kind, optional):
        info = Everything.info(key)
        assert (info.kind, info.optional) == (kind, optional)
        assert info.label
        assert info.help

    def test_that_the_description_keeps_limits_unit_and_choices(self):
        assert Everything.info("number").limits == {"ge": 0, "le": 10}
        assert Everything.info("fracdroop").unit == "Jy"
        assert Everything.info("method").choices == ("mean", "Median", "none")

    def test_that_an_unknown_name_is_refused_with_the_closest(self):
        with pytest.raises(ParameterError, match="did you mean 'number'"):
            Everything.info("numbr")


class TestSuggestion:
    def test_that_all_are_listed_when_none_is_close(self):
        assert suggest("zzz", ["b", "a"]) == " (known: a, b)"

    def test_that_nothing_is_said_when_nothing_is_known(self):
        assert suggest("zzz", []) == ""

    def test_that_the_closest_is_found_in_any_case(self):
        assert suggest("DROOP", ["droop", "drop"]) == " (did you mean 'droop'?)"


def test_that_what_gives_a_parameter_its_effect_exists_in_the_same_step():
    from sofia_engine.instruments import all_recipes

    declared = 0
    for step in (step for recipe in all_recipes() for step in recipe.steps):
        for info in step.parameters.infos():
            for name, wanted in (item for condition in info.applies_when for item in condition.items()):
                other = step.parameters.info(name)
                if other.choices and not isinstance(wanted, bool):
                    assert set(wanted if isinstance(wanted, tuple) else (wanted,)) <= set(other.choices), info.name
                declared += 1
    assert declared > 10


def test_that_an_obstacle_is_the_first_value_that_does_not_hold():
    from sofia_engine.pipeline.parameters import ParameterInfo

    info = ParameterInfo(
        "x", "x", "float", 1.0, "X", "", applies_when=({"skip": False, "method": ("a", "b"), "count": True},)
    )
    assert info.find_obstacle({"skip": False, "method": "b", "count": 3}) == ""
    assert info.find_obstacle({"skip": True, "method": "c", "count": 3}) == "skip"
    assert info.find_obstacle({"skip": False, "method": "c", "count": 0}) == "method"
    assert info.find_obstacle({"skip": False, "method": "a", "count": 0}) == "count"
    assert info.find_obstacle({}) == ""


def test_that_one_of_several_conditions_is_enough():
    class Own(Parameters):
        a: bool = parameter(False, label="A", help="A.")
        b: str = parameter("", label="B", help="B.")
        c: int = parameter(1, label="C", help="C.", applies_when=({"a": True}, {"b": True}))

    info = Own.info("c")
    assert info.find_obstacle({"a": False, "b": ""}) == "a"
    assert info.find_obstacle({"a": False, "b": "  "}) == "a", "blanks are no text"
    assert info.find_obstacle({"a": False, "b": "x"}) == ""
    assert info.find_obstacle({"a": True, "b": ""}) == ""
