"""Nods combined: which belong together, signs, errors, backgrounds in time, headers."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import StepError
from sofia_engine.instruments.fifi_ls.combine_nods import combine_nods
from sofia_engine.instruments.fifi_ls.headers import (
    complete_header,
    find_file_number,
    join_file_numbers,
    join_range,
    merge_observations,
)
from sofia_engine.instruments.fifi_ls.nods import Signal, estimate_background, subtract_background
from sofia_engine.instruments.fifi_ls.telluric_scaling import scale_emission


def at(second):
    return f"2022-03-10T06:{second // 60:02d}:{second % 60:02d}"


@pytest.fixture
def make_nod(make_gratings):
    """Give a function that makes a nod beam: beam, second, flux, further keywords."""

    def make(beam, second, flux, error=1.0, **keywords):
        number = keywords.pop("number", f"{second:05d}")
        return make_gratings(
            [flux], error, NODBEAM=beam, DATE__OBS=at(second), FILENUM=number, FILENAME=f"{number}.fits", **keywords
        )

    return make


ASYMMETRIC = {"NODSTYLE": "C2NC2", "INSTMODE": "ASYMMETRIC_CHOP"}


def test_that_nods_that_match_the_chop_are_averaged(make_nod, run_step):
    (made,), _ = run_step(combine_nods, [make_nod("A", 0, 5.0, 3.0), make_nod("B", 10, 7.0, 4.0)])
    assert made["FLUX_G0"] == pytest.approx(6.0)
    assert made["STDDEV_G0"] == pytest.approx(2.5)
    header = made.header
    assert (header["FILENUM"], header["NODBEAM"], header["EXPTIME"], header["NEXP"]) == (
        "00000-00010", "UNKNOWN", 5.12, 2,
    )  # fmt: skip
    assert made.plane("FLUX_G0").cards["BGLEVL_B"] == 60.0


def test_that_nods_on_empty_sky_are_subtracted_and_count_no_time(make_nod, run_step):
    (made,), _ = run_step(
        combine_nods, [make_nod("A", 0, 5.0, 3.0, **ASYMMETRIC), make_nod("B", 10, 2.0, 4.0, **ASYMMETRIC)]
    )
    assert made["FLUX_G0"] == pytest.approx(3.0)
    assert made["STDDEV_G0"] == pytest.approx(5.0)
    assert (made.header["EXPTIME"], made.header["NEXP"]) == (2.56, 1)


def test_that_symmetric_nods_are_used_once_and_at_their_map_position(make_nod, run_step):
    files = [
        make_nod("A", 0, 1.0),
        make_nod("B", 10, 3.0),
        make_nod("A", 20, 10.0),
        make_nod("B", 300, 20.0),
        make_nod("A", 40, 100.0, DLAM_MAP=9.0),
    ]
    made, run = run_step(combine_nods, files)
    assert [float(product["FLUX_G0"][0, 0]) for product in made] == [2.0, 15.0]
    assert run.skipped == [("00040.fits", "no file of the other nod matches it.")]


def test_that_a_background_serves_several_asymmetric_nods(make_nod, run_step):
    files = [make_nod(b, s, f, **ASYMMETRIC) for b, s, f in (("A", 0, 5.0), ("A", 20, 6.0), ("B", 40, 1.0))]
    made, _ = run_step(combine_nods, files)
    assert [float(product["FLUX_G0"][0, 0]) for product in made] == [4.0, 5.0]
    assert [product.header["FILENUM"] for product in made] == ["00000-00040", "00020-00040"]


@pytest.mark.parametrize(
    ("method", "expected"), [("nearest", 10.0 - 1.0), ("average", 10.0 - 3.0), ("interpolate", 8.0)]
)
def test_that_backgrounds_are_combined_as_asked(make_nod, run_step, method, expected):
    files = [make_nod(b, s, f, **ASYMMETRIC) for b, s, f in (("B", 0, 1.0), ("A", 20, 10.0), ("B", 80, 5.0))]
    (made,), _ = run_step(combine_nods, files, b_nod_method=method)
    assert made["FLUX_G0"] == pytest.approx(expected)
    assert made.header["FILENUM"] == ("00000-00020" if method == "nearest" else "00000-00020-00080")


def test_that_of_two_equally_near_backgrounds_the_later_is_taken(make_nod, run_step):
    files = [make_nod(b, s, f, **ASYMMETRIC) for b, s, f in (("B", 0, 1.0), ("A", 20, 10.0), ("B", 40, 5.0))]
    (made,), _ = run_step(combine_nods, files)
    assert made["FLUX_G0"] == pytest.approx(5.0)


def test_that_backgrounds_of_another_time_are_not_interpolated():
    times = np.array([10.0, 100.0, 190.0, 390.0]).reshape(-1, 1, 1)
    signals = [Signal(np.full((16, 25), v), np.full((16, 25), 1.0), v) for v in (0.0, 4.0)]
    moments = [np.full((1, 1, 1), t) for t in (0.0, 400.0)]
    made = estimate_background(times, signals, moments, "interpolate")
    # far from the second: the first alone; in between neither is near, and the later one is taken
    assert made.flux[:, 0, 0] == pytest.approx([0.0, 0.0, 4.0, 4.0])
    near = estimate_background(times, signals, [moments[0], np.full((1, 1, 1), 200.0)], "interpolate")
    assert near.flux[:, 0, 0] == pytest.approx([0.0, 2.0, 4.0, 4.0])
    assert signals[1].flux[0, 0] == 4.0


def test_that_the_off_beam_takes_the_place_of_the_source(make_nod, run_step):
    files = [make_nod("A", 0, 5.0, **ASYMMETRIC), make_nod("B", 10, 7.0, **ASYMMETRIC)]
    (made,), _ = run_step(combine_nods, files, offbeam=True)
    assert made["FLUX_G0"] == pytest.approx(2.0)
    assert (made.header["DLAM_MAP"], made.header["DLAM_OFF"]) == (300.0, 0.0)


def test_that_scans_have_no_off_beam_and_nothing_else_takes_its_place(make_nod, run_step):
    scan = ASYMMETRIC | {"INSTMODE": "OTF_TP", "C_AMP": 0.0}
    files = [make_nod("A", 0, np.ones((3, 16, 25)), **scan), make_nod("B", 10, 7.0, **scan)]
    with pytest.raises(StepError, match=r"no off-beam image.*offbeam = False"):
        run_step(combine_nods, files, offbeam=True)


def test_that_backgrounds_are_scaled_to_the_level_of_the_source(make_nod, run_step):
    total = ASYMMETRIC | {"C_AMP": 0.0}
    source = make_nod("A", 0, 66.0, **total)
    other = make_nod("B", 10, 30.0, cards=(("BGLEVL_A", 30.0, ""),), **total)
    (made,), _ = run_step(combine_nods, [source, other], bg_scaling=True)
    assert made["FLUX_G0"] == pytest.approx(66.0 - 30.0 * 60.0 / 30.0)
    (plain,), _ = run_step(combine_nods, [source, other])
    assert plain["FLUX_G0"] == pytest.approx(36.0)


def test_that_nod_a_alone_is_passed_on_and_nod_b_alone_refused(make_nod, run_step):
    alone = make_nod("A", 0, 1.0)
    assert run_step(combine_nods, [alone])[0][0] is alone
    with pytest.raises(StepError, match="nothing on the source"):
        run_step(combine_nods, [make_nod("B", 0, 1.0)])


@pytest.mark.parametrize(
    ("keywords", "word"),
    [({"DATE__OBS": "?"}, "DATE-OBS"), ({"DLAM_OFF": None}, "DLAM_OFF"), ({"NODBEAM": "C"}, "NODBEAM")],
)
def test_that_files_that_cannot_be_matched_are_set_aside(make_nod, make_gratings, run_step, keywords, word):
    bad = make_gratings([1.0], FILENAME="bad.fits", **keywords)
    made, run = run_step(combine_nods, [make_nod("A", 0, 1.0), make_nod("B", 10, 1.0), bad])
    assert len(made) == 1
    assert run.skipped[0][0] == "bad.fits"
    assert word in run.skipped[0][1]


def test_that_medians_are_matched_where_asked():
    source = Signal(np.full((3, 16, 25), 10.0), np.full((3, 16, 25), 3.0), 50.0)
    source.flux[1, 2, 2] = 12.0
    background = Signal(np.full((16, 25), 7.0), np.full((16, 25), 4.0), 25.0)
    made = subtract_background(source, background, symmetric=False, match_medians=True)
    assert np.median(made.flux) == 0
    assert made.flux[1, 2, 2] == 2.0
    assert made.error == pytest.approx(5.0)


def test_that_emission_of_the_atmosphere_is_scaled_to_another_transmission():
    wavelength = np.broadcast_to(np.linspace(157, 158, 16)[:, np.newaxis], (16, 25))
    then = 1 - 0.3 * np.exp(-0.5 * ((wavelength - 157.4) / 0.1) ** 2)
    now = 1 - 0.5 * np.exp(-0.5 * ((wavelength - 157.4) / 0.1) ** 2)
    base = 40 + 3 * (wavelength - 157)
    flux = base + 8 * (1 - then)
    factor = scale_emission(flux, np.ones((16, 25)), wavelength, then, now)
    assert flux * factor == pytest.approx(base + 8 * (1 - now), rel=1e-9)
    absorbed = base - 8 * (1 - then)
    assert scale_emission(absorbed, np.ones((16, 25)), wavelength, then, now) == pytest.approx(1.0)
    flux[:, 3] = np.nan
    assert scale_emission(flux, np.ones((16, 25)), wavelength, then, now)[:, 3] == pytest.approx(1.0)


def test_that_headers_are_merged_by_the_published_rules(make_header):
    first = make_header(ZA_END=40.0, ASSC_OBS="b,a", BGLEVL_A=1.0, TRACERR=False, FILENUM="00001")
    second = make_header(
        ZA_END=50.0, ASSC_OBS="c", BGLEVL_A=3.0, TRACERR=True, FILENUM="00002", DATE__OBS=at(13), NODBEAM="B",
        UTCEND="06:00:18",
    )  # fmt: skip
    merged = merge_observations([second, first]).header
    assert merged["DATE-OBS"] == at(0)
    assert (merged["ZA_END"], merged["ASSC_OBS"], merged["BGLEVL_A"], merged["TRACERR"]) == (50.0, "a,b,c", 2.0, True)
    assert (merged["EXPTIME"], merged["XPOSURE"], merged["TELAPSE"]) == (5.12, 5.12, 18.0)
    assert merged["FILENUM"] == "00001-00002"


def test_that_rules_are_those_of_the_files_at_hand_not_of_earlier_ones(make_header):
    """Symmetric and asymmetric observations in one session: each is merged by its own rules."""
    for style, expected in (("NMC", 5.12), ("C2NC2", 2.56), ("NMC", 5.12)):
        headers = [make_header(NODSTYLE=style), make_header(NODSTYLE=style, NODBEAM="B", DATE__OBS=at(9))]
        assert merge_observations(headers).header["EXPTIME"] == expected


def test_that_asymmetric_headers_begin_with_nod_a(make_header):
    headers = [
        make_header(NODBEAM="B", DLAM_MAP=5.0, **ASYMMETRIC),
        make_header(NODBEAM="A", DATE__OBS=at(9), **ASYMMETRIC),
    ]
    assert merge_observations(headers).header["DLAM_MAP"] == 0.0


@pytest.mark.parametrize(
    ("numbers", "joined", "span"),
    [
        (["00001"], "00001", "00001"),
        (["00002", "00001"], "00001-00002", "00001-00002"),
        (["00003", "00001", "00002"], "00001-00002-00003", "00001-00003"),
        (["00001-00002", "00004-00005"], "00001-00004-00005", "00001-00005"),
        (["UNKNOWN", ""], "UNKNOWN", "UNKNOWN"),
    ],
)
def test_that_file_numbers_are_joined(numbers, joined, span):
    assert join_file_numbers(numbers) == joined
    assert join_range(numbers) == span


def test_that_file_numbers_are_found(make_header):
    assert find_file_number(make_header(OBS_ID="2022-03-10_FI_F855R00017")) == "00017"
    assert find_file_number(make_header(OBS_ID="X", FILENAME="00042_x.fits")) == "00042"
    assert find_file_number(make_header(OBS_ID="X", FILENAME="x.fits")) == "UNKNOWN"


def test_that_missing_keywords_are_added_and_texts_converted():
    header = fits.Header()
    header["DLAM_MAP"], header["OBS_ID"], header["DATE-OBS"], header["EXPTIME"] = 3, "2022_R00001", at(0), "2.5"
    made = {keyword: value for keyword, value, _ in complete_header(header)}
    assert (made["DLAM_MAP"], type(made["DLAM_MAP"])) == (3.0, float)
    assert made["EXPTIME"] == 2.5
    assert (made["NEXP"], made["RAWUNITS"], made["CHPAMP1"], made["SLIT"]) == (1, "ADU/s", -9999.0, "UNKNOWN")
    assert (made["OBS_ID"], made["ASSC_OBS"], made["PROCSTAT"]) == ("P_2022_R00001", "2022_R00001", "LEVEL_2")
    assert (made["FILENUM"], made["DATE-BEG"], made["TELAPSE"]) == ("00001", "2022-03-10T00:00:00", 0.0)
