from __future__ import annotations

import subprocess
import sys

import pytest

from sofia_engine.errors import InputError, ParameterError
from sofia_engine.simulate import KINDS, simulate
from sofia_engine.simulate.registry import _REGISTRY, register_kind


def test_that_importing_the_simulator_loads_no_heavy_library():
    code = (
        "import sys, sofia_engine.simulate; print([m for m in ('scipy', 'astropy', 'matplotlib') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.strip() == "[]"


def test_that_every_kind_has_a_one_line_description():
    assert {"forcast-imaging-nmc", "forcast-imaging-npc", "forcast-imaging-c2nc2"} < set(KINDS)
    assert all(text and "\n" not in text for text in KINDS.values())


def test_that_registering_adds_a_kind_and_keeps_the_model(monkeypatch):
    from sofia_engine.simulate.options import Observation

    monkeypatch.delitem(_REGISTRY, "test-kind", raising=False)

    def model(simulation):
        raise NotImplementedError

    try:
        assert register_kind("test-kind", "A test.", Observation)(model) is model
        assert KINDS["test-kind"] == "A test."
    finally:
        del _REGISTRY["test-kind"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fluxx": 1}, "'fluxx'.*'flux'"),
        ({"flux": -1}, "'flux' .*-1"),
        ({"flux": "bright"}, "'flux' .*number"),
        ({"flux": float("nan")}, "'flux' "),
        ({"camera": "MW"}, "'camera'.*SW, LW"),
        ({"filter": "F371"}, "F371.*SW"),
        ({"filter": "F112", "date": "2014-01-05"}, "F112.*date"),
        ({"date": 20180901}, "'date'.*YYYY-MM-DD"),
        ({"date": "1 Sept"}, "'date'"),
        ({"noise": "no"}, "'noise'.*True or False"),
        ({"n_dither": 2.5}, "n_dither.*whole"),
        ({"n_dither": 0}, "n_dither"),
        ({"dithers_arcsec": [(1, 2, 3)]}, "dithers_arcsec"),
        ({"nod_angle": 30.0}, "NMC"),
        ({"sky_level": 300}, "sky_level"),
        ({"flux": 1e6}, "65535"),
        ({"flux_unit": "Jy"}, "calibration_factor"),
        ({"extended": {"brightness": 3}}, "extended"),
        ({"extended": 3.0}, "ExtendedSource"),
        ({"capacitance": "medium"}, "lo, hi"),
    ],
    ids=str,
)
def test_that_bad_option_gives_one_clear_sentence(run, options, words):
    with pytest.raises(ParameterError, match=words) as caught:
        run(n_dither=1, **options) if "n_dither" not in options else run(**options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_that_too_many_positions_of_two_plane_files_are_refused(run):
    with pytest.raises(ParameterError, match="at most 5"):
        run("forcast-imaging-c2nc2-pairs", n_dither=6)


def test_that_unknown_kind_is_refused_with_the_closest_name(tmp_path):
    with pytest.raises(ParameterError, match="perhaps 'forcast-imaging-npc' is meant"):
        simulate("forcast-imaging-npcc", tmp_path)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "one"])
def test_that_odd_seed_is_refused(tmp_path, seed):
    with pytest.raises(ParameterError, match="seed"):
        simulate("forcast-imaging-nmc", tmp_path, seed=seed)


def test_that_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        simulate("forcast-imaging-nmc", tmp_path / "file" / "raw")
