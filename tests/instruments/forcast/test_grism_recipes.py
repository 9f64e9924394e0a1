"""Recipes for grism spectra: which data they take, where they start, what their parameters say."""

import pytest

from sofia_engine.errors import InputError, ParameterError
from sofia_engine.instruments import find_recipe, recipe_for
from sofia_engine.instruments.forcast.grism import RECIPES, RESPONSE, SPECTROSCOPY, find_grism_defaults
from sofia_engine.instruments.forcast.grism_calibration import RECIPES as CALIBRATION
from sofia_engine.instruments.forcast.grism_files import find_resolution
from sofia_engine.pipeline.parameters import Setting

GRISM = {"SPECTEL1": "FOR_G063", "SLIT": "FOR_LS24", "INSTCFG": "GRISM_SWC"}
ALL = (*RECIPES, *CALIBRATION)
PARAMETERS = [
    pytest.param(step, info, id=f"{recipe.name}-{step.key}-{info.key}")
    for recipe in ALL
    for step in recipe.steps
    for info in step.parameters.infos()
]


@pytest.mark.parametrize(("step", "info"), PARAMETERS)
def test_that_every_parameter_explains_itself(step, info):
    assert info.label[:1].isupper() or info.label[:2] in ("'j", "S/")
    assert len(info.help.split()) >= 2
    assert info.help.endswith(".")
    if info.kind in ("int", "float") and info.level != "hidden":
        assert info.limits
    if info.kind == "choice":
        assert info.default in info.choices


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.name)
def test_that_steps_and_recipes_have_names_and_help(recipe):
    assert all(step.help for step in recipe.steps)
    assert find_recipe(recipe.name) is recipe


def test_that_the_steps_are_those_observers_know():
    known = [
        ("stack_dithers", "Stack Dithers", "SKD", True), ("make_profiles", "Make Profiles", "RIM", True),
        ("locate_apertures", "Locate Apertures", "LOC", False), ("trace_continuum", "Trace Continuum", "TRC", False),
        ("set_apertures", "Set Apertures", "APS", False),
        ("subtract_background", "Subtract Background", "BGS", False),
        ("extract_spectra", "Extract Spectra", "SPM", False), ("merge_apertures", "Merge Apertures", "MGM", True),
        ("flux_calibrate", "Calibrate Flux", "CRM", True), ("combine_spectra", "Combine Spectra", "COA", True),
        ("specmap", "Make Spectral Map", "SMP", False),
    ]  # fmt: skip
    assert [(s.key, s.label, s.code, s.saved) for s in SPECTROSCOPY.steps[5:]] == known
    assert [s.key for s in RESPONSE.steps[-2:]] == ["make_response", "combine_response"]
    assert SPECTROSCOPY.steps[4].saved
    keys = {step.key: [info.key for info in step.parameters.infos()] for step in SPECTROSCOPY.steps}
    assert keys["flux_calibrate"] == [
        "save", "save_1d", "skip_cal", "making_response", "respfile", "resolution", "optimize_atran", "atrandir",
        "atranfile", "use_wv", "sn_threshold", "auto_shift", "auto_shift_limit", "waveshift", "model_order",
    ]  # fmt: skip
    assert keys["combine_spectra"] == [
        "save", "registration", "method", "weighted", "combine_aps", "robust", "threshold", "maxiters", "fit_order",
        "fit_window", "smoothing", "edge_threshold", "adaptive_algorithm", "response_error",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cards", "name"),
    [
        ({}, "forcast-grism"),
        ({"OBSTYPE": "standard_telluric"}, "forcast-response"),
        ({"PRODTYPE": "rectimage"}, "forcast-grism"),
        ({"PRODTYPE": "spectral_cube"}, "forcast-specmap"),
        ({"PRODTYPE": "combspec"}, "forcast-specmap"),
        ({"SPECTEL1": "FOR_F197", "SLIT": "NONE"}, "forcast-imaging"),
    ],
)
def test_that_the_header_decides_on_the_recipe(make_header, cards, name):
    assert recipe_for(make_header(**(GRISM | cards))).name == name


def test_that_an_unknown_product_is_refused_by_name(make_header):
    with pytest.raises(InputError, match="Unrecognized prodtype: PRODTYPE is 'mystery'"):
        recipe_for(make_header(**GRISM, PRODTYPE="mystery"))


@pytest.mark.parametrize(
    ("product_type", "step"),
    [("stacked", "stack_dithers"), ("rectimage", "locate_apertures"), ("calibrated_spectrum", "combine_spectra"),
     ("coadded_spectrum", "specmap"), ("raw", "checkhead")],
)  # fmt: skip
def test_that_products_start_after_the_step_that_made_them(make_header, product_type, step):
    header = make_header(**GRISM, PRODTYPE=product_type)
    assert SPECTROSCOPY.steps[SPECTROSCOPY.first_step(header)].key == step


def test_that_defaults_follow_source_standard_and_grism(make_header):
    point = find_grism_defaults(make_header(**GRISM))
    assert point["locate_apertures"]["method"] == "auto"
    assert point["flux_calibrate"]["optimize_atran"] is True
    assert point["combine_spectra"]["method"] == "mean"
    extended = find_grism_defaults(make_header(**GRISM, SRCTYPE="EXTENDED_SOURCE"))
    assert extended["set_apertures"]["full_slit"] is True
    assert extended["extract_spectra"]["method"] == "standard"
    assert extended["make_profiles"]["bg_sub"] is False
    scan = find_grism_defaults(make_header(**GRISM, INSTMODE="SLITSCAN", SKYMODE="SLITSCAN_NXCAC"))
    assert scan["combine_spectra"]["method"] == "spectral cube"
    assert scan["trace_continuum"]["method"] == "fix to aperture position"
    standard = find_grism_defaults(make_header(**(GRISM | {"SPECTEL1": "FOR_G111"}), OBSTYPE="STANDARD_FLUX"))
    assert standard["flux_calibrate"] == {
        "making_response": True, "save": False, "resolution": 256.0, "optimize_atran": False, "auto_shift": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("grism", "slit", "date", "resolution"),
    [
        ("FOR_G063", "FOR_LS24", "2021-07-05", 180.0), ("FOR_G063", "FOR_LS24", "2013-09-01", 174.0),
        ("FOR_G063", "FOR_LS47", "2013-07-01", 125.0), ("FOR_G111", "FOR_LS47", "2013-07-01", 126.0),
        ("FOR_G227", "FOR_LS24", "2014-06-15", 94.0), ("FOR_G227", "FOR_LS24", "2014-06-01", 130.0),
        ("FOR_G329", "FOR_LS47", "2014-07-01", 161.0), ("FOR_G329", "FOR_LS47", "2019-01-01", 152.0),
        ("FOR_G063", "FOR_SS24", "2019-01-01", None),
    ],
)  # fmt: skip
def test_that_the_resolution_follows_grism_slit_and_date(make_header, grism, slit, date, resolution):
    long_wave = grism in ("FOR_G227", "FOR_G329")
    cards = {"SPECTEL2" if long_wave else "SPECTEL1": grism, "DETCHAN": "LW" if long_wave else "SW", "SLIT": slit}
    assert find_resolution(make_header(**cards, DATE=f"{date}T00:00:00")) == resolution


@pytest.mark.parametrize(
    ("step", "key", "value", "words"),
    [
        ("flux_calibrate", "waveshift", "far", "must be a number"),
        ("extract_spectra", "method", "best", "one of 'optimal', 'standard'"),
        ("specmap", "override_point", "3;4", "two whole numbers x,y"),
        ("combine_spectra", "fit_window", "-1", "> 0"),
    ],
)
def test_that_values_that_are_not_allowed_are_refused_with_what_is(step, key, value, words):
    model = SPECTROSCOPY.steps[SPECTROSCOPY.index(step)].parameters
    with pytest.raises(ParameterError, match=words):
        model.make({key: Setting(value)}, step=step)
