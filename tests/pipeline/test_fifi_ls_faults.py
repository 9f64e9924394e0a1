"""The FIFI-LS recipe under bad conditions: killed after and inside steps, and given raw files that are no good."""

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
while reduction.next_step.key != sys.argv[3]:
    reduction.step()
print(reduction.current.step or "-", reduction.next_step.key)
if sys.argv[2] == "inside":
    session.rename_patiently = die
reduction.step()
die()
"""
SOME = ("fit_ramps", "resample")


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("SOFIA_DESK_OFFLINE", "1")


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """Two pairs of nods of a simulated observation."""
    folder = tmp_path_factory.mktemp("simulated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFIA_DESK_OFFLINE", "1")
        try:
            return simulate("fifi-ls-symmetric", folder, seed=3, n_dither=2, n_grating=1, chop_cycles=3)
        except ReferenceDataError:
            pytest.skip("the calibration files of FIFI-LS are not here")


@pytest.fixture
def files(truth):
    return list(truth.paths)


@pytest.fixture
def open_fifi_ls(truth, tmp_path):
    opened = []

    def open_one(files, **options):
        reduction = Reduction.open(files, session=tmp_path / f"session{len(opened)}", **options)
        opened.append(reduction)
        for step, values in truth.parameters.items():
            reduction.set(step, **values)
        return reduction

    yield open_one
    for reduction in opened:
        reduction.close()


def run_one_step(folder, how, step):
    done = subprocess.run(
        [sys.executable, "-c", ONE_STEP, str(folder), how, step],
        capture_output=True, text=True, timeout=240, env=os.environ,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.split()


def check_kills(open_fifi_ls, files, output, steps, kinds):
    """Kill a reduction in some of its steps; the result must be that of one that ran undisturbed."""
    whole = open_fifi_ls(files)
    all_steps = [step.key for step in whole.recipe.steps]
    expected = whole.run_to(all_steps[-1])
    killed = open_fifi_ls(files, output=output)
    killed.close()
    for step in steps:
        before = (["-", *all_steps])[all_steps.index(step)]
        for how in kinds:
            assert run_one_step(killed.session.folder, how, step) == [before, step]
    with Reduction.resume(killed.session.folder) as again:
        while again.next_step is not None:
            again.step()
        assert again.current.key == expected.key
        assert [state.step for state in again.path_to(again.current)[1:]] == all_steps
        for mine, other in zip(again.products, whole.products, strict=True):
            assert mine.same(other, ignore=["DATE"])
    assert [path.name for path in output.iterdir() if path.name.startswith(".")] == []


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_that_a_kill_inside_a_step_changes_nothing_in_the_result(open_fifi_ls, files, tmp_path):
    check_kills(open_fifi_ls, files, tmp_path / "output", SOME, ("inside",))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_that_kills_inside_and_after_every_step_change_nothing_in_the_result(open_fifi_ls, files, tmp_path):
    steps = [step.key for step in open_fifi_ls(files).recipe.steps]
    check_kills(open_fifi_ls, files, tmp_path / "output", steps, ("inside", "after"))


def spoil(path, target, change):
    """Write a copy of a raw file with header and readouts changed."""
    with fits.open(path) as hdus:
        header = hdus[0].header.copy()
        words, data = (np.array(hdus[1].data[name]) for name in ("HEADER", "DATA"))
    words, data = change(header, words, data)
    columns = [
        fits.Column("HEADER", f"{words.shape[1]}I", array=words),
        fits.Column("DATA", f"{np.prod(data.shape[1:])}I", dim=str(data.shape[:0:-1]).replace(" ", ""), array=data),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="FIFILS_rawdata")
    fits.HDUList([fits.PrimaryHDU(header=header), table]).writeto(target)
    return target


def without(keyword):
    def change(header, words, data):
        del header[keyword]
        return words, data

    return change


def setting(keyword, value):
    def change(header, words, data):
        header[keyword] = value
        return words, data

    return change


def cut_bytes(path, target):
    content = path.read_bytes()
    target.write_bytes(content[: len(content) // 2])
    return target


def drop_table(path, target):
    fits.PrimaryHDU(header=fits.getheader(path)).writeto(target)
    return target


def write_garbage(_path, target):
    target.write_bytes(b"This is not FITS. " * 300)
    return target


CHANGES = {
    "no INSTRUME": (without("INSTRUME"), "INSTRUME"),
    "another instrument": (setting("INSTRUME", "HIPO"), "HIPO is not supported"),
    "no DATE-OBS": (without("DATE-OBS"), "DATE-OBS"),
    "clock of 1970": (setting("DATE-OBS", "1970-01-01T00:00:10"), "DATE-OBS"),
    "no grating position": (without("G_STRT_R"), "G_STRT_R"),
    "no plate scale": (without("PLATSCAL"), "PLATSCAL"),
    "four chop positions": (setting("C_SCHEME", "4POINT"), "C_SCHEME"),
    "unknown dichroic": (setting("DICHROIC", 110), "DICHROIC"),
    "ramps longer than chops": (setting("RAMPLN_R", 48), "RAMPLN_R|48"),
    "no chop amplitude": (without("C_AMP"), "C_AMP"),
    "no readouts": (lambda _h, w, d: (w[:0], d[:0]), "readouts|ramps|empty"),
    "less than a chop": (lambda _h, w, d: (w[:20], d[:20]), "readouts|ramps|chop"),
    "small frames": (lambda _h, w, d: (w, d[:, :10, :12]), r"DATA|10|shape"),
    "few words": (lambda _h, w, d: (w[:, :3], d), "empty or damaged"),
}
FILES = {
    "truncated": (cut_bytes, "bad_00009"),
    "no table": (drop_table, "header only"),
    "garbage": (write_garbage, "bad_00009"),
}


def make_bad(kind, path, folder):
    target = folder / "bad_00009.fits"
    if kind in FILES:
        return FILES[kind][0](path, target), FILES[kind][1]
    return spoil(path, target, CHANGES[kind][0]), CHANGES[kind][1]


def check_sentence(error, path):
    message = str(error)
    assert path.name in message or path.stem.rpartition("_")[2] in message  # products keep the number of their file
    assert "Traceback" not in message
    assert "nobody foresaw" not in message


@pytest.mark.parametrize("kind", [*CHANGES, *FILES])
def test_that_a_bad_raw_file_is_refused_in_a_sentence_that_names_it(open_fifi_ls, files, tmp_path, kind):
    bad, words = make_bad(kind, files[0], tmp_path)
    with pytest.raises(SofiaDeskError, match=words) as caught:
        open_fifi_ls([bad], output=tmp_path / "output").run_to("flux_calibrate")
    check_sentence(caught.value, bad)
    assert not list((tmp_path / "output").glob("*.fits"))


@pytest.mark.parametrize("kind", [*CHANGES, *FILES])
def test_that_a_bad_raw_file_among_good_ones_is_left_out_and_named(open_fifi_ls, files, tmp_path, kind):
    bad, _ = make_bad(kind, files[0], tmp_path)
    skipped = []
    listen = lambda e: skipped.append((Path(e.file).name, e.reason)) if isinstance(e, InputSkipped) else None  # noqa: E731
    try:
        reduction = open_fifi_ls([*files, bad], sink=listen)
    except InputError as error:  # it is of another kind than the others, or cannot be read
        assert "bad_00009.fits" in str(error)  # noqa: PT017
        return
    reduction.run_to("combine_nods")
    assert any("00009" in name or "bad" in name for name, _ in skipped) or any("00009" in r for _, r in skipped)
    assert len(reduction.products) == 2


def test_that_a_nod_without_partner_is_left_out_and_named(open_fifi_ls, files):
    skipped = []
    listen = lambda e: skipped.append((Path(e.file).name, e.reason)) if isinstance(e, InputSkipped) else None  # noqa: E731
    reduction = open_fifi_ls(files[:3], sink=listen)  # A B B: the last B has no A
    reduction.run_to("combine_nods")
    assert len(reduction.products) == 1
    lonely = open_fifi_ls([files[0], files[2], files[3]], sink=listen)  # A B A: the first A has no B
    lonely.run_to("combine_nods")
    assert len(lonely.products) == 1
    assert any("00001" in name for name, _ in skipped)


def test_that_a_skipped_correction_needs_no_atmosphere(open_fifi_ls, files):
    reduction = open_fifi_ls(files[:2])
    reduction.set("telluric_correct", skip_tell=True, atran_file="")
    reduction.run_to("telluric_correct")
    (product,) = reduction.products
    transmission = np.asarray(product["ATRAN"])  # 1 without any model
    assert (transmission > 0.5).all()
    assert (transmission < 1 + 1e-9).all()
    assert np.isfinite(product["FLUX"]).any()


@pytest.mark.parametrize(
    ("step", "key"),
    [("fit_ramps", "badpix_file"), ("telluric_correct", "atran_file"), ("flux_calibrate", "response_file")],
)
@pytest.mark.parametrize("how", ["empty", "garbage"])
def test_that_an_unusable_calibration_file_is_named_and_can_be_replaced(
    open_fifi_ls, files, truth, tmp_path, step, key, how
):
    reduction = open_fifi_ls(files[:2])
    good = reduction.parameters(step).by_key()[key]
    bad = tmp_path / ("bad.txt" if key == "badpix_file" else "bad.fits")
    bad.write_bytes(b"" if how == "empty" else b"garbage " * 100)
    reduction.set(step, **{key: str(bad)})
    if (key, how) == ("badpix_file", "empty"):
        assert reduction.run_to(step).step == step  # a list without bad pixels
        return
    with pytest.raises((ReferenceDataError, StepError, InputError)) as caught:
        reduction.run_to(step)
    check_sentence(caught.value, bad)
    assert reduction.next_step.key == step
    reduction.set(step, **{key: good})
    assert reduction.run_to(step).step == step
