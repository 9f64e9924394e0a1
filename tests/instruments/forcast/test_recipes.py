"""Recipes for FORCAST images."""

import subprocess
import sys

import pytest
from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_engine.instruments import recipe_for, recipes_of
from sofia_engine.instruments.forcast.imaging import (
    COLUMNS,
    IMAGING,
    RECIPES,
    SLIT_IMAGE,
    find_imaging_defaults,
)
from sofia_engine.instruments.forcast.obstacles import find_imaging_obstacles

PARAMETERS = [
    pytest.param(step, info, id=f"{recipe.name}-{step.key}-{info.key}")
    for recipe in RECIPES
    for step in recipe.steps
    for info in step.parameters.infos()
]


@pytest.mark.parametrize(("step", "info"), PARAMETERS)
def test_that_every_parameter_explains_itself(step, info):
    assert info.label[:1].isupper() or info.label[:1] in "'xXyY"
    assert len(info.help.split()) >= 4
    assert info.help.endswith(".")
    if info.kind in ("int", "float"):
        assert info.limits
        assert info.default is None or all(
            {"ge": info.default >= bound, "gt": info.default > bound, "le": info.default <= bound}.get(
                name, info.default < bound
            )
            for name, bound in info.limits.items()
        )
    if info.kind == "choice":
        assert info.default in info.choices


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_that_keys_are_unique_and_every_step_has_help(recipe):
    keys = [step.key for step in recipe.steps]
    assert len(set(keys)) == len(keys)
    assert all(step.help for step in recipe.steps)
    for step in recipe.steps:
        own = [info.key for info in step.parameters.infos()]
        assert len(set(own)) == len(own)


def test_that_the_first_steps_are_those_observers_know():
    known = [
        ("checkhead", "Check Headers", ""), ("clean", "Clean Images", "CLN"), ("droop", "Correct Droop", "DRP"),
        ("nonlin", "Correct Nonlinearity", "LNZ"), ("stack", "Stack Chops/Nods", "STK"),
    ]  # fmt: skip
    assert [(step.key, step.label, step.code) for step in IMAGING.steps[:5]] == known
    keys = {step.key: [info.key for info in step.parameters.infos()] for step in IMAGING.steps}
    assert keys["checkhead"] == ["abort"]
    assert keys["clean"] == ["save", "badfile", "autoshift", "shiftfile", "interpolate"]
    assert keys["droop"] == ["save", "fracdroop"]
    assert keys["nonlin"] == ["save", "secctr", "secsize"]
    known_of_stack = ["save", "add_frames", "jbclean", "bgscale", "bgsub", "secctr", "secsize", "bgstat"]
    assert keys["stack"] == [*known_of_stack, "jailbar_baseline"]


@pytest.mark.parametrize(
    ("cards", "name"),
    [
        ({}, "forcast-imaging"),
        ({"PRODTYPE": "coadded"}, "forcast-imaging"),
        ({"DETCHAN": "LW", "SPECTEL2": "FOR_F315"}, "forcast-imaging"),
        ({"SLIT": "FOR_LS24"}, "forcast-slit-image"),
        ({"PRODTYPE": "calibrated"}, "forcast-mosaic"),
        ({"PRODTYPE": "telluric_corrected"}, "forcast-mosaic"),
    ],
)
def test_that_the_header_decides_the_recipe(make_header, cards, name):
    assert recipe_for(make_header(**cards)).name == name


@pytest.mark.parametrize(
    ("cards", "keys"),
    [
        ({"INSTMODE": "C2N", "SKYMODE": "NMC"}, set()),
        ({"INSTMODE": "C2N", "SKYMODE": "NPC"}, {"exact_norm"}),
        ({"INSTMODE": "C2", "SKYMODE": "C2NC4", "C2NC2": 1}, {"cormerge", "exact_norm"}),
        ({"INSTMODE": "C2N", "SKYMODE": "NMC", "SLIT": "FOR_LS24"}, {"cormerge", "exact_norm"}),
    ],
    ids=["NMC", "NPC", "C2NC4", "slit"],
)
def test_that_the_observation_takes_the_effect_from_parameters(make_header, cards, keys):
    obstacles = find_imaging_obstacles(make_header(**cards))
    assert set(obstacles.get("merge", {})) == keys
    assert all(reason.endswith(".") for reasons in obstacles.values() for reason in reasons.values())
    for recipe in (IMAGING, SLIT_IMAGE):
        assert recipe.obstacles(make_header(**cards)) == obstacles
        step = recipe.steps[recipe.index("merge")]
        assert {step.parameters.info(key).key for key in keys} == keys


@pytest.mark.parametrize("slit", ["NONE", "FOR_SS24"])
def test_that_cross_dispersed_grisms_are_refused_at_once(make_header, slit):
    with pytest.raises(InputError, match="not supported"):
        recipe_for(make_header(SPECTEL1="FOR_XG063", SLIT=slit))


def test_that_every_header_fits_at_most_one_recipe(make_header):
    for cards in ({}, {"SLIT": "FOR_LS24"}, {"SPECTEL1": "FOR_G063"}, {"PRODTYPE": "calibrated", "SLIT": "FOR_LS24"}):
        assert sum(recipe.accepts(make_header(**cards)) for recipe in recipes_of("forcast")) <= 1


def test_that_an_image_through_the_slit_ends_after_merge(make_header):
    recipe = recipe_for(make_header(SLIT="FOR_LS24"))
    assert [step.key for step in recipe.steps] == [
        "checkhead", "clean", "droop", "nonlin", "stack", "undistort", "merge",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({}, {"bgsub": True, "cormerge": "No shift", "skip_coadd": False}),
        ({"OBSTYPE": "STANDARD_FLUX"}, {"cormerge": "Centroid"}),
        ({"SKYMODE": "NPC"}, {"cormerge": "Centroid", "bgsub": True}),
        ({"SKYMODE": "NPCNAS"}, {"cormerge": "Centroid"}),
        ({"INSTMODE": "C2NC2", "SKYMODE": "C2NC2", "NAXIS3": 4}, {"bgsub": False, "cormerge": "No shift"}),
        ({"INSTMODE": "C2NC2", "SKYMODE": "C2NC2", "NAXIS3": 2}, {"bgsub": False}),
        ({"INSTMODE": "C2NC2", "SKYMODE": "C2NC2", "NAXIS3": 4, "OBSTYPE": "STANDARD_FLUX"}, {"cormerge": "No shift"}),
        ({"BORESITE": "LONGSLIT_F"}, {"skip_coadd": True}),
    ],
)
def test_that_defaults_depend_on_the_observation(make_header, cards, expected):
    found = {
        key: value for values in find_imaging_defaults(make_header(**cards)).values() for key, value in values.items()
    }
    assert {key: found[key] for key in expected} == expected


def test_that_all_defaults_name_existing_parameters(make_header):
    steps = {step.key: step for step in IMAGING.steps}
    for key, values in find_imaging_defaults(make_header()).items():
        for name, value in values.items():
            assert steps[key].parameters.info(name).key == name
            steps[key].parameters(**{name: value})


def test_that_only_like_observations_are_grouped(make_header):
    def group(**cards):
        return IMAGING.group(make_header(**cards))

    assert group() == group(OBJECT="other", PRODTYPE="UNKNOWN") == group(PRODTYPE="raw")
    assert group() != group(SPECTEL1="FOR_F111")
    assert group() != group(INSTMODE="C2NC2")
    assert group() != group(PRODTYPE="merged")


def test_that_products_are_named_like_those_of_the_archive(make_header):
    name = IMAGING.output_name(make_header(), ["rw_0001.fits", "rw_0004.fits"], "CAL")
    assert name == "F0501_FO_IMA_90000101_FORF197_CAL_0001-0004.fits"
    long = IMAGING.output_name(make_header(DETCHAN="LW", SPECTEL2="FOR_F315"), ["rw_0001.fits"], "UND")
    assert long == "F0501_FO_IMA_90000101_FORF315_UND_0001.fits"


def test_that_intermediate_products_start_after_the_step_that_made_them():
    for number, step in enumerate(IMAGING.steps[:-1]):
        if step.makes_products:
            assert IMAGING.first_step(fits.Header({"PRODTYPE": step.product_type})) == number + 1
    assert IMAGING.first_step(fits.Header({"PRODTYPE": "UNKNOWN"})) == 0


def test_that_mosaics_are_products_of_their_own(make_header):
    mosaic = recipe_for(make_header(PRODTYPE="calibrated"))
    assert [step.key for step in mosaic.steps] == ["fluxcal", "register", "coadd", "imgmap"]
    made = mosaic.steps[2]
    assert (made.code, made.product_type, made.level) == ("MOS", "mosaic", "LEVEL_4")
    assert mosaic.first_step(make_header(PRODTYPE="calibrated")) == 1
    assert mosaic.first_step(make_header(PRODTYPE="telluric_corrected")) == 0


def test_that_lists_of_files_show_what_tells_them_apart():
    assert len(COLUMNS) == 18
    assert {"OBJECT", "SKYMODE", "DICHROIC", "SLIT", "DTHINDEX", "NODBEAM"} <= set(COLUMNS)


def test_that_images_are_recognised_without_the_steps_of_spectroscopy():
    """Importing them would make each reduction of images a tenth slower."""
    code = (
        "import sys; from astropy.io import fits; from sofia_engine.instruments import recipe_for;"
        "cards = dict(INSTRUME='FORCAST', INSTCFG='IMAGING_SWC', SPECTEL1='FOR_F197', DETCHAN='SW', SLIT='NONE');"
        "print(recipe_for(fits.Header(cards)).name, 'sofia_engine.instruments.forcast.grism' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    ).stdout.split()
    assert told == ["forcast-imaging", "False"]
