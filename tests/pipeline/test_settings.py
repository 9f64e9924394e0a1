"""Settings: who gave a parameter its value."""

import json

import pytest

from sofia_engine.errors import ParameterError
from sofia_engine.pipeline.parameters import Setting
from sofia_engine.pipeline.settings import Settings


@pytest.fixture
def settings(bench):
    return Settings(bench)


def test_that_precedence_is_built_in_data_file_user_whatever_the_order_of_setting(settings):
    assert (settings.parameters("finish").offset, settings.origin("finish", "offset")) == (0.0, "built-in")
    settings.set("finish", {"offset": Setting(3.0, "user")})
    settings.set("finish", {"offset": Setting(2.0, "file")})
    settings.set_defaults({"finish": {"offset": 1.0}})
    assert (settings.parameters("finish").offset, settings.origin("finish", "offset")) == (3.0, "user")
    settings.unset("finish", "offset")
    assert (settings.parameters("finish").offset, settings.origin("finish", "offset")) == (2.0, "file")
    settings.unset("finish", origin="file")
    assert (settings.parameters("finish").offset, settings.origin("finish", "offset")) == (1.0, "data")
    assert settings.defaults("finish").offset == 1.0


def test_that_the_recipe_decides_what_is_saved_unless_somebody_else_does(settings):
    assert settings.parameters("add").save
    assert not settings.parameters("scale").save
    assert settings.origin("add", "save") == "built-in"
    settings.set("add", {"save": Setting("no")})
    assert not settings.parameters("add").save


def test_that_a_bad_value_changes_nothing(settings):
    with pytest.raises(ParameterError, match=r"add\.addamount = 101"):
        settings.set("add", {"seconds": Setting(1.0), "addamount": Setting(101)})
    assert settings.parameters("add").seconds == 0.0
    assert settings.as_dict()["user"][1] == {}


def test_that_key_and_name_are_the_same_parameter(settings):
    settings.set("add", {"amount": Setting(2.0)})
    settings.set("add", {"addamount": Setting(3.0)})
    assert settings.parameters("add").amount == 3.0
    assert settings.as_dict()["user"][1] == {"amount": [3.0, ""]}


def test_that_settings_survive_as_json(settings, bench):
    settings.set("add", {"amount": Setting("2.5", "file", "a.ini:3"), "save": Setting(False)})
    again = Settings(bench)
    assert again.restore(json.loads(json.dumps(settings.as_dict()))) == []
    assert again.as_dict() == settings.as_dict()
    assert again.parameters("add") == settings.parameters("add")


def test_that_restoring_leaves_out_what_is_no_longer_allowed_and_says_so(settings):
    problems = settings.restore({"user": [{}, {"amount": [1e9, ""], "gone": [1, ""], "seconds": [0.5, ""]}]})
    assert len(problems) == 2
    assert settings.parameters("add").seconds == 0.5


def test_that_a_check_lists_the_problems_of_all_steps(settings):
    settings.set_defaults({"add": {"addamount": 1000}, "combine": {"weight": 9}})
    with pytest.raises(ParameterError) as caught:
        settings.check()
    assert [line.split(" ")[0] for line in str(caught.value).splitlines()] == ["add.addamount", "combine.weight"]
