"""The FORCAST recipe under bad conditions: killed after and inside every step, and given raw files that are no good."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import InputError, ReferenceDataError, SofiaDeskError, StepError
from sofia_engine.pipeline.events import InputSkipped
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.simulate import simulate

ONE_STEP = """
import os, signal, sys
from sofia_engine.pipeline import session
from sofia_engine.pipeline.reduction import Reduction

def die(*_args, **_kwargs):
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)

reduction = Reduction.resume(sys.argv[1])
print(reduction.current.step or "-", reduction.next_step.key)
if sys.argv[2] == "inside":
    session.rename_patiently = die
reduction.step()
die()
"""


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Two simulated raw files, and the calibration files that belong to them."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(
        "forcast-imaging-nmc",
        folder,
        seed=3,
        bad_pixel_mask="synthetic",
        pinhole_locations="synthetic",
        calibration="none",
    )
    return folder


@pytest.fixture
def files(raw):
    return sorted(raw.glob("*RAW*.fits"))[:2]


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("SOFIA_DESK_OFFLINE", "1")


@pytest.fixture
def open_forcast(raw, tmp_path):
    opened = []

    def open_one(files, **options):
        reduction = Reduction.open(files, session=tmp_path / f"session{len(opened)}", **options)
        reduction.set("clean", badfile=str(raw / "bad_pixel_mask.fits"))
        reduction.set("undistort", pinfile=str(raw / "pinhole_locations.txt"))
        opened.append(reduction)
        return reduction

    yield open_one
    for reduction in opened:
        reduction.close()


def run_one_step(folder, how):
    done = subprocess.run(
        [sys.executable, "-c", ONE_STEP, str(folder), how], capture_output=True, text=True, timeout=120, env=os.environ
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.split()


def count_steps(reduction):
    """How many steps can be done with the calibration files at hand: all, or those that need none."""
    return len(reduction.recipe.steps) if not reduction.preflight() else reduction.recipe.index("register") + 1


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("kinds", [("after",), pytest.param(("inside", "after"), marks=pytest.mark.slow)], ids="-".join)
def test_that_kills_at_every_step_change_nothing_in_the_result(open_forcast, files, tmp_path, kinds):
    whole = open_forcast(files)
    steps = [step.key for step in whole.recipe.steps[: count_steps(whole)]]
    expected = whole.run_to(steps[-1])
    killed = open_forcast(files, output=tmp_path / "output")
    killed.close()
    for before, step in zip(["-", *steps], steps, strict=False):
        for how in kinds:
            assert run_one_step(killed.session.folder, how) == [before, step]
    with Reduction.resume(killed.session.folder) as again:
        assert again.current.key == expected.key
        assert [s.step for s in again.path_to(again.current)[1:]] == steps
        for mine, other in zip(again.products, whole.products, strict=True):
            assert mine.same(other, ignore=["DATE"])
    left = [path.name for path in (tmp_path / "output").iterdir() if path.name.startswith(".")]
    assert left == []


def spoil(path, target, change):
    """Write a copy of a raw file with header and data changed."""
    with fits.open(path) as hdus:
        header, data = hdus[0].header.copy(), hdus[0].data.copy()
    data = change(header, data)
    fits.PrimaryHDU(data, header).writeto(target)
    return target


def without(keyword):
    def change(header, data):
        del header[keyword]
        return data

    return change


BAD = {
    "no INSTRUME": (without("INSTRUME"), "INSTRUME"),
    "another instrument": (lambda h, d: h.set("INSTRUME", "HIPO") or d, "HIPO is not supported"),
    "no SPECTEL1": (without("SPECTEL1"), "SPECTEL1"),
    "no DATE-OBS": (without("DATE-OBS"), "DATE-OBS"),
    "no DETITIME": (without("DETITIME"), "DETITIME"),
    "no EPERADU": (without("EPERADU"), "EPERADU"),
    "no NODAMP": (without("NODAMP"), "NODAMP"),
    "NaN only": (lambda _h, d: np.full(d.shape, np.nan, "f4"), "NaN"),
    "one plane": (lambda _h, d: d[0], "1 planes are too few"),
    "small planes": (lambda _h, d: d[:, :100, :100], r"NAXIS1 +is 100, must be 256"),
}


@pytest.mark.parametrize("kind", BAD)
def test_that_a_bad_raw_file_is_refused_in_a_sentence_that_names_it(open_forcast, files, tmp_path, kind):
    change, words = BAD[kind]
    bad = spoil(files[0], tmp_path / "bad_0009.fits", change)
    with pytest.raises(SofiaDeskError, match=words) as caught:
        open_forcast([bad], output=tmp_path / "output").reduce()
    check_sentence(caught.value, bad)
    assert not list((tmp_path / "output").glob("*"))


@pytest.mark.parametrize("kind", BAD)
def test_that_a_bad_raw_file_among_good_ones_is_left_out_and_named(open_forcast, files, tmp_path, kind):
    bad = spoil(files[0], tmp_path / "bad_0009.fits", BAD[kind][0])
    skipped = []
    listen = lambda e: skipped.append((Path(e.file).name, e.reason)) if isinstance(e, InputSkipped) else None  # noqa: E731
    try:
        reduction = open_forcast([bad, *files], sink=listen)
    except InputError as error:  # it is of another kind than the others
        assert "cannot be reduced together" in str(error)  # noqa: PT017
        assert "bad_0009.fits" in str(error)  # noqa: PT017
        return
    try:
        reduction.run_to("stack")
    except (StepError, InputError) as error:  # the check of headers may stop the reduction as a whole
        assert "bad_0009.fits" in str(error)  # noqa: PT017
    else:
        (name,) = {name for name, _ in skipped}
        assert name.endswith("0009.fits")  # products keep the number of their file
        assert len(reduction.products) == 2


def check_sentence(error, path):
    message = str(error)
    assert path.name in message or path.stem.rpartition("_")[2] in message  # products keep the number of their file
    assert "Traceback" not in message
    assert "nobody foresaw" not in message


@pytest.mark.parametrize(("step", "key"), [("clean", "badfile"), ("undistort", "pinfile")])
@pytest.mark.parametrize("how", ["missing", "empty", "garbage"])
def test_that_an_unusable_calibration_file_is_named_and_can_be_replaced(
    open_forcast, files, raw, tmp_path, step, key, how
):
    reduction = open_forcast(files[:1])
    good = reduction.parameters(step).by_key()[key]
    bad = tmp_path / f"bad{Path(good).suffix}"
    if how != "missing":
        bad.write_bytes(b"" if how == "empty" else b"garbage " * 100)
    reduction.set(step, **{key: str(bad)})
    with pytest.raises((ReferenceDataError, StepError, InputError)) as caught:
        reduction.run_to(step)
    check_sentence(caught.value, bad)
    assert reduction.next_step.key == step
    reduction.set(step, **{key: good})
    assert reduction.run_to(step).step == step
