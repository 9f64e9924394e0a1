"""Parameter files: both forms, strict reading, comments, and that what is written is read back equal."""

import contextlib
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sofia_engine.errors import ParameterError
from sofia_engine.instruments import all_recipes, find_recipe
from sofia_engine.pipeline.ini import format_ini_value, parse_ini
from sofia_engine.pipeline.parameter_files import (
    format_parameters,
    match_recipe,
    parse_parameters,
    read_parameters,
    write_parameters,
)
from sofia_engine.pipeline.parameters import ParameterInfo, Setting
from sofia_engine.pipeline.recipe import Recipe
from sofia_engine.pipeline.run_options import read_run_options
from sofia_engine.pipeline.settings import Settings
from sofia_engine.pipeline.state import ReferenceRecord

GOLDEN = Path(__file__).resolve().parents[2] / "../shared/golden"
RECIPE_NAMES = [recipe.name for recipe in all_recipes()]


@pytest.fixture
def toy(toy_instrument: None) -> Recipe:
    return find_recipe("toy-imaging")


def read_values(text: str, recipe: Recipe, suffix: str = "") -> dict[tuple[str, str], object]:
    found = match_recipe(parse_parameters(text, "run.toml", suffix), recipe)
    return {
        (recipe.steps[index].key, key): setting.value
        for index, values in found.settings.items()
        for key, setting in values.items()
    }


# --- the old form ---


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x = True", "True"),
        ("x = 0.25, 99.9", ["0.25", "99.9"]),
        ("x = SPECTEL1,", ["SPECTEL1"]),
        ("x = ,", []),
        ('x = ""', ""),
        ("x =", ""),
        ("x = # nothing", ""),
        ('x = "1,2;3,4"', "1,2;3,4"),
        ("x = '1,2;3,4' # why", "1,2;3,4"),
        ('x = "a # b"', "a # b"),
        ("x = plain words  # why", "plain words"),
        ("x = \"a, b\", c d , 'e'", ["a, b", "c d", "e"]),
        ("x = None", None),
        ('x = "None"', "None"),
        ("'x' = 1", "1"),
        ('x = """one\n  two # not a comment\nthree"""  # why', "one\n  two # not a comment\nthree"),
        ("x = '''a \"quoted\" word'''", 'a "quoted" word'),
        ("x = a=b", "a=b"),
        ("x = $DPS_SHARE/calibrations/*.fits", "$DPS_SHARE/calibrations/*.fits"),
    ],
)
def test_that_values_of_the_old_form_are_read(text: str, value: object) -> None:
    document = parse_ini(text, "run.cfg")
    assert [(entry.key, entry.value) for entry in document.top] == [("x", value)]


@pytest.mark.parametrize("heading", ["[2: add]", "[2:add]", "[add]", "  [ 2: add ]  # why", "['2: add']"])
def test_that_all_ways_to_write_a_section_are_read(heading: str) -> None:
    section = parse_ini(f"top = 1\n{heading}\n  x = 1\n", "run.cfg").sections[0]
    assert section.name == "add"
    assert section.line == 2
    assert section.entries[0].line == 3


def test_that_lines_are_counted_after_a_text_of_several_lines() -> None:
    document = parse_ini('a = """1\n2\n3"""\nb = 1\n', "run.cfg")
    assert [entry.line for entry in document.top] == [1, 4]


def test_that_every_bad_line_is_named_at_once() -> None:
    text = "nonsense\n[add]\nx = \"open\n[add]\n[[deep]]\ny = 1\ny = 2\nz = '''never closed\n"
    with pytest.raises(ParameterError) as caught:
        parse_ini(text, "run.cfg")
    lines = str(caught.value).splitlines()
    assert [line[line.rindex("[run.cfg:") :] for line in lines] == [f"[run.cfg:{n}]." for n in (1, 3, 4, 5, 7, 8)]


@given(st.one_of(st.text(), st.lists(st.text(st.characters(exclude_characters="\r\n")))))
def test_that_any_value_the_old_form_can_hold_is_read_back(value: str | list[str]) -> None:
    try:
        text = format_ini_value(value)
    except ParameterError:
        characters = value if isinstance(value, str) else "".join(value)
        assert (
            "\r" in characters or ('"' in characters and "'" in characters) or '"' in characters[:1] + characters[-1:]
        )
        return
    assert parse_ini(f"[s]\n    x = {text}\n    y = 1\n", "run.cfg").sections[0].entries[0].value == value


# --- TOML ---


def test_that_toml_settings_know_their_lines(toy: Recipe) -> None:
    text = (
        '# head\n[sum]\n\nscale = [\n  0.5,\n  99,\n]\nwatermark = """a\nmethod = 1\n"""\nmethod = "Median"\n'
        "\n[add]\ntimes = 3\n"
    )
    found = match_recipe(parse_parameters(text, "run.toml", ".toml"), toy)
    assert found.settings == {
        2: {
            "scale": Setting([0.5, 99], "file", "run.toml:4"),
            "watermark": Setting("a\nmethod = 1\n", "file", "run.toml:8"),
            "method": Setting("Median", "file", "run.toml:11"),
        },
        1: {"times": Setting(3, "file", "run.toml:14")},
    }


def test_that_bad_toml_is_reported_with_its_line() -> None:
    with pytest.raises(ParameterError, match=r"run\.toml cannot be read as TOML: .*line 2"):
        parse_parameters("[add]\namount = = 3\n", "run.toml", ".toml")


def test_that_keys_outside_tables_and_tables_in_tables_are_refused() -> None:
    with pytest.raises(ParameterError) as caught:
        parse_parameters("amount = 3\n[add]\ntimes = {a = 1}\n[sum.deep]\nx = 1\n", "run.toml", ".toml")
    assert len(str(caught.value).splitlines()) == 3


# --- strictness ---


def test_that_all_problems_of_a_file_are_told_at_once_with_what_is_allowed_and_where(toy: Recipe) -> None:
    text = (
        "[2: add]\naddamonut = 3\naddamount = -1\ntimes = 1.5\n"
        "[3: sum]\nmethod = mode\nsave = nein\n"
        "[extract]\nsave = True\n[summ]\n[Combine]"
    )
    with pytest.raises(ParameterError) as caught:
        match_recipe(parse_parameters(text, "run.cfg", ".cfg"), toy)
    assert str(caught.value).splitlines() == [
        "add.addamonut: there is no such parameter (did you mean 'addamount'?) [run.cfg:2].",
        "add.addamount = '-1' ct is not allowed: it must be a number ≥ 0 and ≤ 100 (ct) [run.cfg:3].",
        "add.times = '1.5' is not allowed: it must be a whole number ≥ 0 [run.cfg:4].",
        "sum.save = 'nein' is not allowed: it must be True or False [run.cfg:7].",
        "sum.method = 'mode' is not allowed: it must be one of 'mean', 'median', 'none' [run.cfg:6].",
        "extract: toy-imaging has no such step; it belongs to toy-spectroscopy [run.cfg:8].",
        "summ: toy-imaging has no such step (did you mean 'sum'?) [run.cfg:10].",
        "Combine: name the step by its key in parameter files, not by its label [run.cfg:11].",
    ]


@pytest.mark.parametrize("heading", ["[7: add]", "[1: add]", "[0: add]", "[add]"])
def test_that_a_section_with_a_wrong_number_means_the_first_step_of_its_name(toy: Recipe, heading: str) -> None:
    assert read_values(f"{heading}\ntimes = 4\n", toy, ".cfg") == {("add", "times"): "4"}


def test_that_two_sections_for_one_step_are_refused(toy: Recipe) -> None:
    with pytest.raises(ParameterError, match=r"add: this step has a section already \[run\.cfg:3\]"):
        match_recipe(parse_parameters("[2: add]\ntimes = 4\n[add]\ntimes = 5\n", "run.cfg"), toy)


def test_that_keys_without_a_meaning_any_more_are_passed_over_and_told(toy: Recipe) -> None:
    found = match_recipe(parse_parameters("[1: checkhead]\nautoshift = True\nabort = False\n", "run.cfg"), toy)
    assert list(found.settings[0]) == ["abort"]
    assert found.notes == ("checkhead.autoshift has no meaning any more and is passed over [run.cfg:2].",)


def test_that_folders_of_the_old_installation_are_passed_over(toy: Recipe) -> None:
    found = match_recipe(parse_parameters("[add]\natrandir = $DPS_SHARE/ATRAN\ntimes = 2\n", "run.cfg"), toy)
    assert list(found.settings[1]) == ["times"]
    assert "DPS_SHARE" in found.notes[0]


def test_that_unquoted_commas_of_a_text_stay_a_text(toy: Recipe) -> None:
    assert read_values("[sum]\nwatermark = 100, 200\n", toy, ".cfg") == {("sum", "watermark"): "100,200"}


def test_that_none_is_no_switch_no_limit_and_no_file(toy: Recipe) -> None:
    found = match_recipe(parse_parameters("[add]\nsave = None\nlimit = None\nbadfile = None\n", "run.cfg"), toy)
    values = toy.steps[1].parameters.make(found.settings[1])
    assert (values.save, values.limit, values.badfile) == (False, None, "")  # type: ignore[attr-defined]


# --- options of the run ---


def test_that_options_of_the_run_are_taken_from_the_top_of_old_files() -> None:
    text = (
        "output_directory = out\ninput_manifest = \nlog_file = False\nlog_level = WARNING\nabsolute_paths = yes\n"
        "step_to = undistort\nrecipe = a, b\nupdate_display = True\nlog_format = %(message)s\nwavecal = False\n"
    )
    options = read_run_options(parse_parameters(text, "run.cfg"))
    assert options.output_directory == Path("out")
    assert (options.input_manifest, options.log_file, options.log_level) == ("", "", "warning")
    assert (options.absolute_paths, options.step_to, options.steps) == (True, "undistort", ("a", "b"))
    assert options.recipe_switches == ()


def test_that_options_of_the_run_are_taken_from_the_output_table() -> None:
    text = '[output]\noutput_directory = "out"\noutput_manifest = ""\nabsolute_paths = true\nrecipe = ["a"]\n'
    options = read_run_options(parse_parameters(text, "run.toml", ".toml"))
    assert (options.output_directory, options.output_manifest) == (Path("out"), "")
    assert (options.absolute_paths, options.steps) == (True, ("a",))


def test_that_unknown_options_and_bad_values_of_the_run_are_refused_with_lines() -> None:
    text = "output_dir = x\nabsolute_paths = maybe\nlog_level = loud\n"
    with pytest.raises(ParameterError) as caught:
        read_run_options(parse_parameters(text, "run.cfg"))
    lines = str(caught.value).splitlines()
    assert "did you mean 'output_directory'?" in lines[0]
    assert [line[line.rindex("[") :] for line in lines] == ["[run.cfg:1].", "[run.cfg:2].", "[run.cfg:3]."]


# --- files ---


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "does not exist"), (b"\xff\xfe\x00", "UTF-8"), (b"x" * 10_000_001, "too large")],
    ids=["missing", "binary", "huge"],
)
def test_that_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "run.cfg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ParameterError, match=words):
        read_parameters(path)


def test_that_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path: Path, toy: Recipe) -> None:
    for name, text in {"a.cfg": "[add]\r\ntimes = 3\r\n", "b.toml": "[add]\r\ntimes = 3\r\n"}.items():
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        found = match_recipe(read_parameters(tmp_path / name), toy)
        assert str(found.settings[1]["times"].value) == "3"
        assert found.settings[1]["times"].source == f"{name}:2"


def test_that_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ParameterError, match="cannot be written"):
        write_parameters(tmp_path / "file" / "run.toml", "")


# --- writing ---


def test_that_the_comments_tell_label_help_limits_default_and_origin(toy: Recipe) -> None:
    chosen = Settings(toy)
    chosen.set_defaults({"add": {"addamount": 2.0}})
    chosen.set("add", {"times": Setting(5, "user")})
    text = format_parameters(chosen, notes=["status: finished."])
    assert "# Amount: Added to all pixels.\n# a number ≥ 0 and ≤ 100 (ct); default: 2.0; for these data\n" in text
    assert "addamount = 2.0\n" in text
    assert "default: 1; set by the user\ntimes = 5\n" in text
    assert "# status: finished.\n" in text
    assert "secret" not in text


def test_that_used_reference_files_and_values_are_written(toy: Recipe) -> None:
    used = {1: (ReferenceRecord("bad_pixel_mask", "forcast/mask.fits", "ab12"),)}
    for old_form in (False, True):
        text = format_parameters(Settings(toy), old_form=old_form, used=used, values={1: {"times": 9}})
        assert "# used: bad pixel mask forcast/mask.fits (SHA-256 ab12)\n" in text
        assert "times = 9\n" in text


def test_that_line_ends_in_notes_do_not_break_the_comment(toy: Recipe) -> None:
    text = format_parameters(Settings(toy), notes=["failed:\n[add]\ntimes = 77"])
    assert tomllib.loads(text)["add"]["times"] == 1


def values_of(info: ParameterInfo) -> st.SearchStrategy[object]:
    """Any value a parameter may have, its limits apart."""
    low = info.limits.get("ge", info.limits.get("gt"))
    high = info.limits.get("le", info.limits.get("lt"))
    text = st.text(max_size=12) | st.sampled_from(["128,128", "1,2;3,4", "None", "none", "a # b", "'", "[x]", "a, b"])
    items = {
        "float": st.floats(allow_nan=False, allow_infinity=False),
        "int": st.integers(-(10**6), 10**6),
        "str": st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=6),
    }
    numbers = {
        "int": st.integers(None if low is None else int(low), None if high is None else int(high)),
        "float": st.floats(low, high, allow_nan=False, allow_infinity=False),
    }
    if info.kind == "choice":
        return st.sampled_from(info.choices)
    if info.kind == "list":
        return st.lists(items[info.item], max_size=4)
    if info.kind in numbers:
        return st.none() | numbers[info.kind] if info.default is None else numbers[info.kind]
    return st.booleans() if info.kind == "bool" else text


@pytest.mark.parametrize("old_form", [False, True], ids=["toml", "ini"])
@pytest.mark.parametrize("name", [*RECIPE_NAMES, "toy-imaging"])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_that_all_parameters_written_are_read_back_equal(
    toy_instrument: None, name: str, old_form: bool, data: st.DataObject
) -> None:
    recipe = find_recipe(name)
    chosen = Settings(recipe)
    for index, step in enumerate(recipe.steps):
        shown = [info for info in step.parameters.infos() if info.level != "hidden"]
        for info in shown:
            # a text with a form of its own (positions, sections) keeps its default
            with contextlib.suppress(ParameterError):
                chosen.set(index, {info.key: Setting(data.draw(values_of(info), label=info.key))})
    try:
        text = format_parameters(chosen, old_form=old_form)
    except ParameterError:
        assert old_form  # a text with all kinds of quotes
        return
    again = Settings(recipe)
    found = match_recipe(parse_parameters(text, "run", ".cfg" if old_form else ".toml"), recipe)
    for index, settings_of_step in found.settings.items():
        again.set(index, settings_of_step)
    for index in range(len(recipe.steps)):
        assert again.parameters(index).by_key() == chosen.parameters(index).by_key()


@pytest.mark.golden
@pytest.mark.parametrize("name", ["forcast_img_nmc", "forcast_img_npc", "forcast_img_c2nc2"])
def test_that_files_the_reference_pipeline_wrote_are_read(name: str) -> None:
    path = GOLDEN / name / "expected" / "parameters.cfg"
    if not path.exists():
        pytest.skip("the golden sets are not here")
    document = read_parameters(path)
    assert [section.number for section in document.sections] == list(range(1, 13))
    assert read_run_options(document).output_directory == Path()
    recipe = find_recipe("forcast-imaging")
    chosen = Settings(recipe)
    for index, values in match_recipe(document, recipe).settings.items():
        chosen.set(index, values)
    coadd = chosen.parameters("coadd").by_key()
    assert (coadd["method"], coadd["threshold"], coadd["maxiters"]) == ("median", 8.0, 5)
    assert chosen.parameters("imgmap").by_key()["scale"] == [0.25, 99.9]
    assert chosen.parameters("clean").by_key()["badfile"] == "swc_badpix_OC6J.fits"


@pytest.mark.golden
def test_that_any_file_the_reference_pipeline_wrote_is_understood_as_text() -> None:
    paths = sorted(GOLDEN.glob("*/expected/parameters.cfg"))
    if not paths:
        pytest.skip("the golden sets are not here")
    for path in paths:
        document = read_parameters(path)
        numbers = [section.number for section in document.sections]
        assert numbers == list(range(1, len(numbers) + 1))
        assert all(section.entries for section in document.sections)
