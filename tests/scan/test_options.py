"""Options: names, values, schedules and the sentences that refuse what cannot be."""

import math
from pathlib import Path

import pytest

from sofia_engine.errors import ParameterError
from sofia_engine.scan.options import OPTION_KEYS, ScanOptions, option_help, read_scan_options

MANUAL = Path(__file__).resolve().parents[2] / "docs/fifi_ls/scan-reduction.md"


def test_that_nothing_said_means_the_usual_schedule():
    plan = read_scan_options("")
    assert [plan.at(n).clip for n in (1, 2, 3, 4, 19, 20)] == [30.0, 10.0, 4.0, 3.0, 3.0, None]
    assert [plan.at(n).blank for n in (1, 2, 19, 20)] == [30.0, 10.0, 10.0, None]
    assert [plan.at(n).gains for n in (1, 5, 6, 20)] == [False, False, True, True]
    assert [plan.at(n).whiten for n in (18, 19, 20)] == [False, True, True]
    assert [plan.at(n).smooth for n in (1, 19, 20)] == ["2/3beam", "2/3beam", 0.0]
    assert plan.last.exposure_clip == 0.04


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("drifts=30", "drifts", 30.0),
        ("drifts=max", "drifts", math.inf),
        ("drifts=auto", "drifts", None),
        ("grid=4,0.05", "grid", (4.0, 0.05)),
        ("map.size=120x90", "map_size", (120.0, 90.0)),
        ("vclip=0.5:*", "speed_range", (0.5, math.inf)),
        ("vclip=off", "speed_range", (0.0, math.inf)),
        ("vclip=auto", "speed_range", None),
        ("weighting.noiserange=*:5", "noise_range", (0.0, 5.0)),
        ("forget=despike", "despike", False),
        ("blacklist=clip", "clip", None),
        ("whiten", "whiten", True),
        ("whiten.level=2", "whiten_level", 2.0),
        ("smooth=none", "smooth", 0.0),
        ("smooth=7.5", "smooth", 7.5),
        ("source.sign=+", "sign", "+"),
        ("WEIGHTING.METHOD=robust", "weighting_method", "robust"),
    ],
)
def test_that_values_are_read(text, name, value):
    assert getattr(read_scan_options(text).base, name) == value


def test_that_a_value_for_all_rounds_replaces_the_schedule():
    plan = read_scan_options("clip=3 whiten=f")
    assert {plan.at(n).clip for n in range(1, 21)} == {3.0}
    assert not any(plan.at(n).whiten for n in range(1, 21))


@pytest.mark.parametrize("text", ["clip@3=7", "iteration.3.clip=7"])
def test_that_values_of_rounds_hold_until_the_next_change(text):
    plan = read_scan_options(text)
    assert [plan.at(n).clip for n in (2, 3, 4)] == [10.0, 7.0, 3.0]
    assert read_scan_options("last.smooth=beam rounds=5").at(5).smooth == "beam"
    assert read_scan_options("smooth@-2=beam smooth@-1=none rounds=5").at(4).smooth == "beam"


def test_that_correlated_signals_have_options_of_their_own():
    plan = read_scan_options("sky=off rows rows.gainrange=0.1:10 correlated.rows.nogains=t array.resolution=2")
    made = plan.base.correlated
    assert not made["sky"].on
    assert made["rows"].on
    assert not made["rows"].gains
    assert made["rows"].gain_range == (0.1, 10.0)
    assert made["obs-channels"].resolution == 2.0


def test_that_extended_sources_are_kept_by_other_defaults():
    plan = read_scan_options("extended drifts=60")
    assert (plan.base.rounds, plan.base.drifts, plan.base.sign) == (60, 60.0, "+")
    assert read_scan_options("extended source.sign=0 rounds=30").at(30).sign == "0"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clipp=3", "no option 'clipp'; did you mean clip"),
        ("pixelmap=t", "no option 'pixelmap'"),
        ("clip=many", "clip=many cannot be used; give a number, or off"),
        ("rounds=2.5", "give a whole number"),
        ("rounds=0", "out of range; give 1 to 100"),
        ("vclip=3", "give two numbers such as 0.3:3"),
        ("vclip=5:3", "give two numbers"),
        ("weighting.noiserange=auto", "give two numbers"),
        ("grid=1,2,3", "3 numbers; give one or two"),
        ("grid=nan", "grid=nan cannot be used"),
        ("smooth=thirdbeam", "minimal, halfbeam"),
        ("source.sign=2", "one of"),
        ("clip@40=3", "no round 40"),
        ("clip@x=3", "'x' is no round"),
        ("forget=rounds", "rounds cannot be turned off"),
        ("despike=maybe", "give true or false"),
        ("correlated.sky.gainrange=1:2", "no option"),
    ],
)
def test_that_wrong_options_are_refused_with_a_sentence(text, words):
    with pytest.raises(ParameterError, match="scan_options") as caught:
        read_scan_options(text)
    assert words in str(caught.value)


@pytest.mark.parametrize("key", OPTION_KEYS)
def test_that_all_options_are_explained_here_and_in_the_manual(key):
    kind, _, text = option_help(key)
    assert kind
    assert text.endswith(".")
    assert f"`{key}`" in MANUAL.read_text(encoding="utf-8")


def test_that_options_are_values():
    assert ScanOptions() == ScanOptions()
