"""Selection against the date tables of the instruments, at the boundary days."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import ReferenceDataError
from sofia_engine.reference import Catalogue, ReferenceFile, ReferenceRequest, Rule
from sofia_engine.reference.catalogue import UNKNOWN_DATE, Selection

GOLDEN = Path(__file__).resolve().parents[2] / "../shared/golden"

SWC = [
    (20131231, "OC1"), (20150708, "OC2"), (20151231, "OC3"), (20160301, "OC4A"), (20161001, "OC4G"),
    (20170802, "OC5J_FT425"), (20170803, "OC5J_FT426"), (20170806, "OC5J_FT427"), (20170807, "OC5J_FT428"),
    (20170930, "OC5K"), (20180930, "OC6J"), (20201231, "OC7D"), (20210415, "OC8I"), (20210830, "OC8O"),
    (20220301, "OC9J"), (20220601, "OC9P"), (None, "OC9V"),
]  # fmt: skip
LWC = [
    (20131231, "OC1"), (20150708, "OC2"), (20151231, "OC3"), (20161001, "OC4A"), (20170930, "OC5"),
    (20180930, "OC6J"), (20201231, "OC7D"), (None, "OC8I"),
]  # fmt: skip
SAME = [
    20140329, 20140508, 20140613, 20150206, 20150613, 20150707, 20150922, 20151120, 20160218, 20160720, 20160927,
]  # fmt: skip
FORCAST_CALIBRATION = [
    (20130702, "20130702"), (20131025, None), *((day, str(day)) for day in SAME), (20170807, "20230421"),
    (20170928, "20230601"), (20180911, "20180910"), (20190712, "20190710"), (20191025, "20191025"),
    (20210409, "20210409"), (20210709, "20210709"), (20220219, "20220219"), (20220527, "20220527"),
    (20220917, "20230422"), (None, "20220917"),
]  # fmt: skip
REPROCESSED = {"20230421", "20230601", "20230422"}
HAWC_CALIBRATION = [
    (20161101, "fs12"), (20161231, "fs13"), (20181015, "20181128"), (20190220, "20190220"), (20190630, "20190220"),
    (20190724, "20190724"), (20191010, "20191010"), (20200201, "20200131"), (20201001, "20200924"),
    (20210521, "20210521"), (20210915, "20210915"), (20211105, "master"), (20211209, "20211209"),
    (20220706, "20220706"), (20220929, "20220929"), (None, "master"),
]  # fmt: skip
FLITECAM_CALIBRATION = {
    "0": [(20151002, "20151002"), (20161020, "20161020"), (None, "20161020")],
    "1": [(20150701, "20140227"), (20171007, "20171007"), (None, "20171007")],
}


def next_day(day: int) -> int:
    following = datetime.strptime(str(day), "%Y%m%d") + timedelta(days=1)  # noqa: DTZ007 - a day has no zone
    return int(following.strftime("%Y%m%d"))


def boundary_days(table: list[tuple[int | None, Any]]) -> list[tuple[int, Any]]:
    """List the first and last day of each line of a table with what the line names."""
    lasts = [until or UNKNOWN_DATE for until, _ in table]
    firsts = [20100101, *(next_day(last) for last in lasts[:-1])]
    lines = zip(firsts, lasts, table, strict=True)
    return [(day, value) for first, last, (_, value) in lines for day in (first, last)]


def name_of(instrument: str, kind: str, date: int, **match: str) -> str | None:
    file = Catalogue.load(instrument).select(ReferenceRequest(instrument, kind, date, match))
    return None if file is None else file.name


@pytest.mark.parametrize("mode", ["IMG_SWC", "G063", "G111"])
@pytest.mark.parametrize(("date", "series"), boundary_days(SWC))
def test_that_short_wavelength_bad_pixel_mask_follows_the_date_table(mode: str, date: int, series: str) -> None:
    assert name_of("FORCAST", "bad_pixel_mask", date, mode=mode) == f"badpix/swc_badpix_{series}.fits"


@pytest.mark.parametrize("mode", ["IMG_LWC", "G227", "G329"])
@pytest.mark.parametrize(("date", "series"), boundary_days(LWC))
def test_that_long_wavelength_bad_pixel_mask_follows_the_date_table(mode: str, date: int, series: str) -> None:
    assert name_of("FORCAST", "bad_pixel_mask", date, mode=mode) == f"badpix/lwc_badpix_{series}.fits"


@pytest.mark.parametrize("camera", ["SWC", "LWC"])
@pytest.mark.parametrize(("date", "ending"), boundary_days([(20180930, ""), (None, "_20190629")]))
def test_that_pinhole_locations_change_after_september_2018(camera: str, date: int, ending: str) -> None:
    expected = f"pinhole/pinhole_locs{'_' + camera if ending else ''}{ending}.txt"
    assert name_of("FORCAST", "pinhole_locations", date, mode=f"IMG_{camera}") == expected


@pytest.mark.parametrize("mode", ["G063", "G111", "G227", "G329"])
def test_that_grism_modes_have_no_pinhole_locations(mode: str) -> None:
    assert name_of("FORCAST", "pinhole_locations", 20150101, mode=mode) is None


@pytest.mark.parametrize("altcfg1", ["0", "1"])
@pytest.mark.parametrize(("date", "series"), boundary_days(FORCAST_CALIBRATION))
def test_that_forcast_flux_calibration_follows_the_date_table(altcfg1: str, date: int, series: str | None) -> None:
    expected = series and f"forcast/ref_calfctr/refcalfac_{series}.txt"
    assert name_of("FORCAST", "flux_calibration", date, altcfg1=altcfg1) == expected
    average = "reproc_master" if series in REPROCESSED else "master"
    expected = f"forcast/ref_calfctr/refcalfac_{average}.txt"
    assert name_of("FORCAST", "average_flux_calibration", date, altcfg1=altcfg1) == expected


@pytest.mark.parametrize(("altcfg1", "optics"), [("0", "single"), ("1", "dual")])
@pytest.mark.parametrize(
    ("date", "filters", "response"),
    [(20120101, 20130702, 20130702), (20131025, 20130702, 20130702), (20131026, 20160125, 20160127),
     (UNKNOWN_DATE, 20160125, 20160127)],
)  # fmt: skip
def test_that_forcast_filters_and_response_change_after_october_2013(
    altcfg1: str, optics: str, date: int, filters: int, response: int
) -> None:
    found = {
        kind: name_of("FORCAST", kind, date, altcfg1=altcfg1)
        for kind in ("filter_definition", "response_airmass", "response_altitude", "response_pwv")
    }
    assert found == {
        "filter_definition": f"forcast/filter_def/filter_def_{filters}.txt",
        "response_airmass": f"forcast/response/rfit_am_{optics}_{response}.txt",
        "response_altitude": f"forcast/response/rfit_alt_{optics}_{response}.txt",
        "response_pwv": f"forcast/response/rfit_pwv_{optics}_{response}.txt",
    }


@pytest.mark.parametrize(
    ("date", "expected"),
    [(20130702, "forcast/ref_calfctr/refcalfac_20130702.txt"), (20130703, None), (20131026, None)],
)
def test_that_third_barrier_has_calibration_only_in_the_first_series(date: int, expected: str | None) -> None:
    assert name_of("FORCAST", "flux_calibration", date, altcfg1="2") == expected


def test_that_third_barrier_has_response_until_october_2013_and_none_after() -> None:
    expected = "forcast/response/rfit_am_barr3_20130702.txt"
    assert name_of("FORCAST", "response_airmass", 20131025, altcfg1="2") == expected
    assert name_of("FORCAST", "response_airmass", 20131026, altcfg1="2") is None


@pytest.mark.parametrize("altcfg1", ["0", "1", "2", "3"])
@pytest.mark.parametrize(("date", "series"), boundary_days(HAWC_CALIBRATION))
def test_that_hawc_flux_calibration_follows_the_date_table(altcfg1: str, date: int, series: str) -> None:
    expected = f"hawc_plus/ref_calfctr/refcalfac_{series}.txt"
    assert name_of("HAWC_PLUS", "flux_calibration", date, altcfg1=altcfg1) == expected


@pytest.mark.parametrize(
    ("altcfg1", "date", "series"),
    [(altcfg1, *line) for altcfg1, table in FLITECAM_CALIBRATION.items() for line in boundary_days(table)],
)
def test_that_flitecam_flux_calibration_follows_the_date_table(altcfg1: str, date: int, series: str) -> None:
    expected = f"flitecam/ref_calfctr/refcalfac_{series}.txt"
    assert name_of("FLITECAM", "flux_calibration", date, altcfg1=altcfg1) == expected


@pytest.mark.parametrize(
    ("altcfg1", "model"),
    [("0", "e18_bG1.0_single_full"), ("1", "e18_bG1.0_dual_barr2_full"), ("2", "e35_dual_allbarr3_full_v3")],
)
@pytest.mark.parametrize("name", ["ALPHABOO", "STARALPHABOO", "ALPHABOO2"])
def test_that_standard_is_found_when_its_name_is_contained_in_the_object(name: str, altcfg1: str, model: str) -> None:
    expected = f"forcast/standard_flux/AlphaBoo_41K_45deg_{model}.out"
    assert name_of("FORCAST", "standard_flux", 20180901, altcfg1=altcfg1, object=name) == expected


@pytest.mark.parametrize("name", ["CERES", "NGC7027", "BOO", ""])
def test_that_object_without_model_has_no_standard_flux(name: str) -> None:
    assert name_of("FORCAST", "standard_flux", 20180901, altcfg1="0", object=name) is None


@pytest.mark.parametrize(
    ("date", "expected"),
    [(20161202, "OC4L/HAWC_Neptune_ESA5_2016Dec15_41K_45deg"), (20161201, "OC4L/HAWC_Neptune_ESA5_2016Dec01_41K_45deg"),
     (20220927, "OC9W/HAWC_Neptune_ESA5_2022Sep27_41K_45deg"), (20220928, None), (UNKNOWN_DATE, None)],
)  # fmt: skip
def test_that_planet_model_is_the_next_one_in_time(date: int, expected: str | None) -> None:
    expected = expected and f"hawc_plus/standard_flux/{expected}.out"
    assert name_of("HAWC_PLUS", "standard_flux", date, altcfg1="2", object="NEPTUNE") == expected


def test_that_standard_the_distribution_lacks_counts_as_none() -> None:
    assert name_of("FLITECAM", "standard_flux", 20160101, altcfg1="0", object="HD140159") is None


GRISM_WAVES = [  # until, G063, G111, G227, G329
    (20130801, *["v1.0.0 OC1B"] * 4), (20131231, *["v1.1.0 OC1DF"] * 4), (20160927, *["v2.0.0 OC2"] * 4),
    (20180910, *["v2.0.0 OC2"] * 2, *["v5.1.0 OC5"] * 2), (20191025, *["v7.1.0 OC7"] * 2, *["v7.0.0 OC7"] * 2),
    (20210409, "v8.0.0 OC8", "v7.1.0 OC7", "v8.0.0 OC8", "v8.0.0 OC8"), (None, *["v9.0.0 OC9"] * 4),
]  # fmt: skip
GRISM_RESPONSES = [  # until, version, then bias (DB) for G063, G111, G227, G329 with slits 24 and 47; 0 is none
    (20130801, "v4.2.0", 0, 151, 0, 150, 0, 0, 0, 0), (20131231, "v4.2.0", 150, 151, 150, 150, 121, 121, 121, 121),
    (20140603, "v4.2.0", 175, 175, 175, 175, 121, 121, 121, 121),
    (20140701, "v4.2.0", 175, 175, 175, 175, 137, 140, 136, 141),
    (20160927, "v4.2.0", 175, 175, 175, 175, 121, 121, 121, 121),
    (20170807, "v5.1.0", 175, 175, 175, 175, 120, 120, 0, 120),
    (20171001, "v5.2.0", 175, 175, 175, 175, 120, 120, 0, 120),
    (20180910, "v6.0.0", 175, 175, 175, 175, 120, 120, 0, 120),
    (20191025, "v7.1.0", 175, 175, 0, 0, 120, 120, 0, 120), (20210409, "v8.0.0", 175, 175, 0, 0, 120, 120, 0, 120),
    (20210709, "v9.0.0", 175, 175, 175, 175, 120, 120, 120, 120),
    (20220219, "v9.1.0", 175, 175, 175, 175, 120, 120, 0, 120),
    (20220527, "v9.2.0", 175, 175, 175, 175, 120, 120, 0, 120), (None, "v9.3.0", 175, 175, 175, 175, 120, 120, 0, 120),
]  # fmt: skip
GRISMS = ["G063", "G111", "G227", "G329"]


@pytest.mark.parametrize("slit", ["LS24", "LS47"])
@pytest.mark.parametrize(
    ("grism", "date", "calibration"),
    [(g, *line) for n, g in enumerate(GRISMS) for line in boundary_days([(r[0], r[n + 1]) for r in GRISM_WAVES])],
)
def test_that_grism_wavelength_calibration_follows_the_date_table(
    grism: str, slit: str, date: int, calibration: str
) -> None:
    version, series = calibration.split()
    expected = f"grism/wave_cal/{version}/{grism}_wavecal_{series}.fits"
    assert name_of("FORCAST", "wave_cal", date, spectel=f"FOR_{grism}", slit=f"FOR_{slit}") == expected


@pytest.mark.parametrize(("column", "grism", "slit"), [(n, GRISMS[n // 2], ("LS24", "LS47")[n % 2]) for n in range(8)])
@pytest.mark.parametrize("line", range(len(GRISM_RESPONSES)))
def test_that_grism_response_follows_the_date_table(column: int, grism: str, slit: str, line: int) -> None:
    table = [(row[0], row) for row in GRISM_RESPONSES]
    for date, row in boundary_days(table)[2 * line : 2 * line + 2]:
        version, bias = row[1], row[2 + column]
        ending = "response" if version == "v4.2.0" else "RSP"
        expected = f"grism/response/{version}/{grism}_{slit}_DB{bias}_{ending}.fits" if bias else None
        assert name_of("FORCAST", "response", date, spectel=f"FOR_{grism}", slit=f"FOR_{slit}") == expected


@pytest.mark.parametrize("grism", GRISMS)
def test_that_order_mask_line_list_and_atran_do_not_depend_on_the_date(grism: str) -> None:
    match = {"spectel": f"FOR_{grism}", "slit": "FOR_LS24"}
    for date in (20110601, 20150101, UNKNOWN_DATE):
        assert name_of("FORCAST", "order_mask", date, **match) == f"grism/order_mask/{grism}_LS24_flat.fits"
        assert name_of("FORCAST", "line_list", date, **match) == f"grism/line_lists/{grism}_lines.txt"
        assert name_of("FORCAST", "atran", date, **match) == "atran_40K_45deg_4-50mum.fits"


@pytest.mark.parametrize(
    ("grism", "until"), [("G063", 20180910), ("G111", 20180910), ("G227", 20160927), ("G329", 20160927)]
)
def test_that_slit_function_applies_from_2014_until_its_last_day(grism: str, until: int) -> None:
    match = {"spectel": f"FOR_{grism}", "slit": "FOR_LS47"}
    expected = f"grism/slit_function/{grism}_LS47_slitfn_OC2.fits"
    days = (20131231, 20140101, until, next_day(until))
    found = [name_of("FORCAST", "slit_function", day, **match) for day in days]
    assert found == [None, expected, expected, None]


def test_that_slit_without_calibration_has_no_order_mask() -> None:
    assert name_of("FORCAST", "order_mask", 20150101, spectel="FOR_G063", slit="FOR_SS24") is None


def test_that_line_without_a_file_does_not_fall_through_to_the_next() -> None:
    file = ReferenceFile("a", "a", "X", "k", 1, "0")
    rules = ((Rule(20100101, {"m": "1"}), None), (Rule(20200101, {"m": "1"}), "a"))
    chooser = Catalogue([file], {("X", "k"): Selection(rules)})
    assert chooser.select(ReferenceRequest("X", "k", 20100101, {"m": "1"})) is None
    assert chooser.select(ReferenceRequest("X", "k", 20100102, {"m": "1"})) == file


def test_that_file_serving_two_kinds_is_returned_as_the_kind_asked_for() -> None:
    request = ReferenceRequest("HAWC_PLUS", "average_flux_calibration", 20180101, {"altcfg1": "0"})
    file = Catalogue.load("HAWC_PLUS").select(request)
    assert file is not None
    assert (file.kind, file.name) == ("average_flux_calibration", "hawc_plus/ref_calfctr/refcalfac_master.txt")
    assert file.rules


@given(date=st.integers(20100101, 20231231), later=st.integers(0, 500_000))
def test_that_masks_never_go_back_in_time(date: int, later: int) -> None:
    order = [series for _, series in SWC]
    names = [name_of("FORCAST", "bad_pixel_mask", day, mode="IMG_SWC") for day in (date, date + later)]
    first, second = (order.index(name.removeprefix("badpix/swc_badpix_").removesuffix(".fits")) for name in names)
    assert first <= second


def test_that_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ReferenceDataError, match="no files of kind 'bad_pixels'; its kinds are: bad_pixel_mask"):
        name_of("FORCAST", "bad_pixels", 20150101)


def test_that_unknown_instrument_names_the_known_ones() -> None:
    with pytest.raises(
        ReferenceDataError, match="instrument 'NIRCAM'; there is one for: FIFI_LS, FLITECAM, FORCAST, HAWC_PLUS"
    ):
        Catalogue.load("NIRCAM")
    with pytest.raises(ReferenceDataError, match="instrument 'NIRCAM'"):
        Catalogue.load().select(ReferenceRequest("NIRCAM", "dark"))


@pytest.mark.parametrize("content", ["", "[]", '{"format": 2}'])
def test_that_file_that_is_no_catalogue_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(ReferenceDataError, match=r"broken\.json"):
        Catalogue.read(path)


def test_that_shipped_catalogue_is_consistent() -> None:
    catalogue = Catalogue.load()
    keys = {file.key for file in catalogue.files}
    for path in (Path(__file__).resolve().parents[2] / "resources/reference").glob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        assert {entry["key"] for entry in content["files"]} <= keys
        for selection in content["selections"].values():
            assert {rule["file"] for rule in selection["rules"]} - {None} <= keys
    for file in catalogue.files:
        assert len(file.sha256) == 64
        assert file.size > 0
        older = file.key.startswith("fifi_ls/atran_files/")  # the last release that had them
        assert {source["version"] for source in file.sources} == {"1.4.3" if older else "1.5.2"}
        assert catalogue.find(file.key) == file


def test_that_files_carry_their_rules() -> None:
    file = Catalogue.load("FORCAST").find("badpix/swc_badpix_OC5J_FT425.fits")
    assert file is not None
    assert Rule(20170802, {"mode": "IMG_SWC"}) in file.rules
    unused = Catalogue.load("FORCAST").find("pinhole/pinhole_locs_SWC_20190509.txt")
    assert unused is not None
    assert unused.rules == ()


def test_that_import_loads_no_heavy_module() -> None:
    heavy = ("numpy", "pydantic", "platformdirs", "subprocess", "zipfile", "urllib.request", "tempfile", "astropy")
    code = f"import sys, sofia_engine.reference; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


HEADER_KINDS = {
    "BDPXFILE": "bad_pixel_mask", "PINFILE": "pinhole_locations", "ORDRFILE": "order_mask",
    "WAVEFILE": "wave_cal", "RSPNFILE": "response", "ATRNFILE": "atran", "AVCLFILE": "average_flux_calibration",
    "REFCALF1": "response_airmass", "REFCALF2": "response_altitude", "REFCALF3": "flux_calibration",
    "REFSTD1": "filter_definition", "REFSTD2": "standard_flux", "REFSTD3": "standard_flux_error",
}  # fmt: skip


@pytest.mark.golden
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="needs the golden products")
def test_that_selection_agrees_with_the_file_names_in_golden_headers() -> None:
    fits = pytest.importorskip("astropy.io.fits")
    compared = 0
    for path in sorted(GOLDEN.glob("forcast_*/expected/*.fits.gz")):
        header = fits.getheader(path)
        imaging = "GRI" not in path.name
        match = {
            "mode": "IMG_SWC" if imaging else header["SPECTEL1"].removeprefix("FOR_"),
            "spectel": header["SPECTEL1"], "slit": header["SLIT"], "altcfg1": "0",
            "object": header["OBJECT"].upper().replace(" ", ""),
        }  # fmt: skip
        date = int(header["DATE-OBS"][:10].replace("-", ""))
        for keyword, kind in HEADER_KINDS.items():
            if keyword in header:
                assert name_of("FORCAST", kind, date, **match) == header[keyword], (path.name, keyword)
                compared += 1
    assert compared > 20


def test_that_every_setup_and_date_of_fifi_ls_has_its_files() -> None:
    for dichroic in ("105", "130"):
        for channel, order, spectral in (
            ("r", "R", "R1"),
            ("b1", "B1", "B1"),
            ("b2", "B2", "B2"),
            ("b21", "B2", "B21"),
        ):
            for date in (20180301, 20220310, UNKNOWN_DATE):
                assert name_of("FIFI-LS", "bad_pixel_list", date, channel=channel[0])
                assert name_of("FIFI-LS", "spaxel_positions", date, channel=channel[0])
                assert name_of("FIFI-LS", "response", date, channel=channel, dichroic=dichroic)
            flat = f"flat_files/spatialFlat{order}D{dichroic}.txt"
            assert name_of("FIFI-LS", "spatial_flat", 0, order=order, dichroic=dichroic) == flat
            flat = f"flat_files/spectralFlats{spectral}D{dichroic}.fits"
            assert name_of("FIFI-LS", "spectral_flat", 0, order=spectral, dichroic=dichroic) == flat
    assert name_of("FIFI-LS", "bad_pixel_list", 20220201, channel="r") == "badpix_files/badpixels_202112_r.txt"
    assert name_of("FIFI-LS", "bad_pixel_list", 20220202, channel="r") == "badpix_files/badpixels_202202_r.txt"


def test_that_a_file_of_a_series_follows_from_the_settings() -> None:
    request = ReferenceRequest("FIFI-LS", "atran", 20220310, {"altitude": "41", "zenith": "45", "pwv": "5"})
    file = Catalogue.load("FIFI-LS").select(request)
    assert file is not None
    name = "atran_sdc_41K_45deg_5pwv_39deg_2nlayer_40-300mum_bt.fits"
    assert (file.name, file.key) == (f"atran_files/{name}", f"fifi_ls/atran_files/{name}")
    assert file.sources == ({"type": "darus", "file": name, "doi": "10.18419/DARUS-5712"},)
    assert (file.size, file.sha256) == (0, "")


@pytest.mark.parametrize("match", [{"altitude": "41", "zenith": "45"}, {"altitude": "50", "zenith": "45", "pwv": "5"}])
def test_that_settings_beyond_a_series_give_no_file(match: dict[str, str]) -> None:
    assert name_of("FIFI-LS", "atran", 20220310, **match) is None


def test_that_a_series_without_limits_takes_any_value() -> None:
    request = ReferenceRequest("FIFI-LS", "water_vapour", 20220115, {"flight": "855", "date": "20220115"})
    file = Catalogue.load("FIFI-LS").select(request)
    assert file is not None
    assert file.name == "pwv_files/855_FI_20220115_pwv.fits"
