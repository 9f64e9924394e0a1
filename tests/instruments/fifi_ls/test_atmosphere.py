"""Models of the atmosphere: which are taken, from where, how they are smoothed; water vapour."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import HeaderError, ReferenceDataError
from sofia_engine.instruments.fifi_ls.atmosphere import (
    Transmission,
    choose_models,
    find_resolved,
    interpolate_models,
    read_model,
)
from sofia_engine.instruments.fifi_ls.atmosphere_files import AtmosphereChoice, want_atmosphere
from sofia_engine.instruments.fifi_ls.gratings import make_plane, make_product
from sofia_engine.instruments.fifi_ls.telluric_correct import correct_absorption, telluric_correct
from sofia_engine.instruments.fifi_ls.water_vapour import choose_water_vapour, find_flight, look_up_water_vapour

FWHM = 2 * np.sqrt(2 * np.log(2))


def as_weights(points):
    return {(p.altitude, p.zenith, p.pwv): p.weight for p in points}


@pytest.mark.parametrize(
    ("zenith", "pwv", "expected"),
    [
        (45.0, 5.0, {(41, 45, 5): 1.0}),
        (47.5, 5.0, {(41, 45, 5): 0.5, (41, 50, 5): 0.5}),
        (45.0, 19.0, {(41, 45, 18): 0.5, (41, 45, 20): 0.5}),
        (46.0, 5.25, {(41, 45, 5): 0.6, (41, 50, 5): 0.15, (41, 45, 6): 0.2, (41, 50, 6): 0.05}),
        (70.0, 50.0, {(41, 70, 50): 1.0}),
        (30.0, 1.0, {(41, 30, 1): 1.0}),
    ],
)
def test_that_models_around_the_conditions_are_weighted(zenith, pwv, expected):
    points, warnings = choose_models(41.2, zenith, pwv)
    assert warnings == ()
    assert as_weights(points) == pytest.approx(expected, abs=1e-9)


def test_that_conditions_beyond_the_models_are_moved_to_the_edge_and_told():
    points, warnings = choose_models(60.0, 80.0, 0.2)
    assert as_weights(points) == {(45, 70, 1): 1.0}
    assert len(warnings) == 3


def test_that_the_nearest_model_is_taken_where_asked():
    points, _ = choose_models(40.6, 47.0, 19.4, interpolated=False)
    assert as_weights(points) == {(41, 45, 20): 1.0}


def test_that_smoothing_gives_the_resolution_and_keeps_the_absorption():
    wave = 100 * np.exp(np.arange(-4000, 4001) * 1e-6)
    line = np.ones(wave.size)
    line[4000] = 0.0
    smooth = 1 - find_resolved(Transmission(wave, line), 1000.0, wave[1000:7001])
    assert smooth.sum() == pytest.approx(1.0, rel=1e-3)
    half = wave[1000:7001][smooth > smooth.max() / 2]
    assert (half[-1] - half[0]) / 100 == pytest.approx(1e-3, rel=0.01)
    sigma = np.sqrt((smooth * np.log(wave[1000:7001] / 100) ** 2).sum())
    assert sigma == pytest.approx(1e-3 / FWHM, rel=0.01)


def test_that_a_resolution_of_zero_leaves_the_model_as_it_is():
    wave = np.linspace(99, 101, 401)
    value = np.random.default_rng(1).uniform(0, 1, 401)
    at = np.array([[99.5, 100.001], [np.nan, 120.0]])
    made = find_resolved(Transmission(wave, value), 0.0, at)
    assert made[0] == pytest.approx(np.interp(at[0], wave, value))
    assert np.isnan(made[1]).all()


def test_that_models_are_read_in_all_published_forms(tmp_path):
    wave, value = np.linspace(40, 300, 50), np.linspace(0, 1, 50)
    image, table = tmp_path / "image.fits", tmp_path / "table.fits"
    fits.PrimaryHDU(np.stack([wave, value]).astype(np.float32)).writeto(image)
    columns = [fits.Column("wavelength", "D", array=wave), fits.Column("transmission", "D", array=value)]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(table)
    for path in (image, table):
        assert read_model(path).value == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("content", [b"", b"SIMPLE", None])
def test_that_damaged_models_are_refused_by_name(tmp_path, content):
    path = tmp_path / "model.fits"
    if content is None:
        fits.PrimaryHDU(np.zeros((2, 50))).writeto(path)
    else:
        path.write_bytes(content)
    with pytest.raises(ReferenceDataError, match=r"model\.fits"):
        read_model(path)


def test_that_models_of_different_wavelengths_are_not_mixed():
    models = [Transmission(np.arange(n) + 1.0, np.ones(n)) for n in (5, 6)]
    with pytest.raises(ReferenceDataError, match="interpolated"):
        interpolate_models(models, [0.5, 0.5])


def test_that_flight_and_day_come_from_the_mission(make_header):
    assert find_flight(make_header(MISSN__ID="2022-01-15_FI_F855")) == {"flight": "855", "date": "20220115"}
    assert find_flight(make_header(MISSN__ID="lab")) == {}


@pytest.fixture
def weather(tmp_path):
    """A file of water vapour: 10 um at first, then 20 um with a jump of the position."""
    start = 1646892000.0  # 2022-03-10T06:00:00
    columns = [
        fits.Column("unixtime", "D", array=start + np.array([-60.0, 0.0, 60.0, 120.0])),
        fits.Column("pwv", "D", array=[5.0, 10.0, 20.0, 30.0]),
        fits.Column("posconst", "J", array=[0, 0, 0, 0]),
        fits.Column("posjump", "J", array=[0, 0, 1, 0]),
    ]
    path = tmp_path / "855_FI_20220310_pwv.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="DATA")]).writeto(path)
    return path


@pytest.mark.parametrize(
    ("time", "expected"), [("06:00:00", 10.0), ("06:00:01", None), ("06:01:30", 30.0), ("07:00:00", None), ("?", None)]
)
def test_that_the_water_vapour_of_the_time_is_looked_up(weather, make_header, time, expected):
    assert look_up_water_vapour(weather, make_header(DATE__OBS=f"2022-03-10T{time}")) == expected


def test_that_the_source_of_water_vapour_follows_the_wish(make_header):
    both, neither = make_header(WVZ_OBS=4.0), make_header()
    assert choose_water_vapour(both, 10.0, "f", model_first=True).value == pytest.approx(0.34 + 0.55 * 10)
    assert choose_water_vapour(both, 10.0, "f", model_first=False).source == "HEADER"
    assert choose_water_vapour(neither, 10.0, "f", model_first=False).source == "ECMWF"
    assert (choose_water_vapour(neither, None, "", model_first=True).source) == "FALLBACK"
    assert choose_water_vapour(make_header(WVZ_OBS=-9999.0), None, "", model_first=True).value == 1.0


@pytest.fixture
def spectra(make_header):
    """A product of constant flux around 157.7 um."""
    wave = np.broadcast_to(np.linspace(157.3, 158.1, 16)[:, np.newaxis], (16, 25))
    planes = {"FLUX": make_plane(np.full((16, 25), 2.0), "u"), "STDDEV": make_plane(np.full((16, 25), 0.5), "u")}
    planes |= {"LAMBDA": make_plane(wave, "um")}
    planes |= {name: make_plane(np.zeros((16, 25)), "arcsec") for name in ("XS", "YS", "RA", "DEC")}
    return make_product(make_header(WVZ_OBS=5.25, RESTWAV=157.5, REDSHIFT=0.001), planes)


def write_model(path, level, line=None):
    wave = np.linspace(40, 300, 260001)
    value = np.full(wave.size, level)
    if line:
        value[np.abs(wave - line) < 0.003] = 0.7
    fits.PrimaryHDU(np.stack([wave, value]).astype(np.float32)).writeto(path)
    return path


def test_that_flux_is_divided_by_the_transmission(spectra, run_step, tmp_path):
    model = write_model(tmp_path / "atran.fits", 0.8)
    made, _ = run_step(telluric_correct, spectra, atran_file=str(model))
    assert made["FLUX"] == pytest.approx(2.5)
    assert made["STDDEV"] == pytest.approx(0.625)
    assert np.array_equal(made["UNCORRECTED_FLUX"], spectra["FLUX"])
    assert made["ATRAN"] == pytest.approx(0.8)
    kept = made["UNSMOOTHED_ATRAN"]
    assert kept.dtype == np.float32
    assert kept[0].min() > 90
    assert (made.header["ATRNFILE"], made.header["RESFILE"]) == ("atran.fits", "spectral_resolution.txt")
    assert "WVZ_SRC" not in made.header
    opaque, run = run_step(telluric_correct, spectra, atran_file=str(model), cutoff=0.9)
    assert np.isnan(opaque["FLUX"]).all()
    assert any("at most 0.800 of the light" in warning for warning in run.warnings)


def test_that_one_narrow_line_is_corrected_with_the_unsmoothed_model(spectra, run_step, tmp_path):
    model = write_model(tmp_path / "atran.fits", 1.0, line=157.5 * 1.001)
    made, _ = run_step(telluric_correct, spectra, atran_file=str(model), narrow=True)
    assert made["FLUX"] == pytest.approx(2.0 / 0.7, rel=1e-6)
    other, _ = run_step(
        telluric_correct, spectra, atran_file=str(model), narrow=True, hdr_ovr=True, restwav=158.0, redshift=0.0
    )
    assert other["FLUX"] == pytest.approx(2.0)
    nameless = spectra.replace(header=fits.Header([c for c in spectra.header.cards if c.keyword != "RESTWAV"]))
    with pytest.raises(HeaderError, match=r"RESTWAV.*hdr_ovr"):
        run_step(telluric_correct, nameless, atran_file=str(model), narrow=True)


def test_that_models_of_a_folder_are_interpolated(spectra, run_step, tmp_path):
    folder = tmp_path / "41K"
    folder.mkdir()
    for pwv, level in ((5, 0.9), (6, 0.8)):
        write_model(folder / f"atran_sdc_41K_45deg_{pwv}pwv_39deg_2nlayer_40-300mum_bt.fits", level)
    made, _ = run_step(telluric_correct, spectra, atran_dir=str(tmp_path), use_ecmwf=False)
    assert made["ATRAN"] == pytest.approx(0.875)
    assert made.header["ATRNFILE"].count("atran_sdc_41K_45deg") == 2
    assert (made.header["WVZ_SRC"], made.header["WVZ_USED"]) == ("HEADER", 5.25)
    nearest, _ = run_step(telluric_correct, spectra, atran_dir=str(tmp_path), use_ecmwf=False, interpolated=False)
    assert nearest["ATRAN"] == pytest.approx(0.9)


def test_that_weather_models_give_the_water_vapour(spectra, run_step, tmp_path, weather):
    write_model(tmp_path / "atran_sdc_41K_45deg_6pwv_39deg_2nlayer_40-300mum_bt.fits", 0.8)
    made, _ = run_step(
        telluric_correct, spectra, atran_dir=str(tmp_path), ecmwf_dir=str(weather.parent), interpolated=False
    )
    assert made["ATRAN"] == pytest.approx(0.8)
    assert (made.header["WVZ_SRC"], made.header["WVZ_FILE"]) == ("ECMWF", weather.name)
    assert made.header["WVZECMWF"] == 10.0
    assert made.header["WVZ_USED"] == pytest.approx(5.84)


def test_that_a_missing_model_stops_the_correction_but_not_the_reduction_without_it(spectra, run_step):
    with pytest.raises(ReferenceDataError, match=r"atran_sdc_41K_45deg_5pwv.* is missing.*parameter atran_file"):
        run_step(telluric_correct, spectra, use_ecmwf=False)
    made, run = run_step(telluric_correct, spectra, use_ecmwf=False, skip_tell=True)
    assert made["ATRAN"] == pytest.approx(1.0)
    assert "UNCORRECTED_FLUX" not in made.planes
    assert "Telluric corrected" not in run.history_lines
    assert "full transmission" in run.warnings[-1]


def test_that_a_file_that_does_not_exist_is_told_and_passed_over(spectra, run_step, tmp_path):
    write_model(tmp_path / "atran_sdc_41K_45deg_5pwv_39deg_2nlayer_40-300mum_bt.fits", 0.9)
    made, run = run_step(
        telluric_correct, spectra, atran_file="/nowhere/a.fits", atran_dir=str(tmp_path), use_ecmwf=False,
        interpolated=False,
    )  # fmt: skip
    assert made["ATRAN"] == pytest.approx(0.9)
    assert "/nowhere/a.fits does not exist" in run.warnings[0]


def test_that_a_folder_of_models_that_does_not_exist_is_told(spectra, run_step, tmp_path):
    model = tmp_path / "mine.fits"
    write_model(model, 0.9)
    _, quiet = run_step(telluric_correct, spectra, atran_file=str(model), atran_dir="/nowhere", use_ecmwf=False)
    assert not any("/nowhere" in warning for warning in quiet.warnings)  # the file is taken, the folder not needed
    write_model(tmp_path / "atran_sdc_41K_45deg_5pwv_39deg_2nlayer_40-300mum_bt.fits", 0.9)
    _, told = run_step(
        telluric_correct, spectra, atran_dir=str(tmp_path), ecmwf_dir="/nowhere", use_ecmwf=False, interpolated=False
    )
    assert "The folder /nowhere (ecmwf_dir) does not exist" in told.warnings[0]


def test_that_older_published_models_can_be_named(spectra, run_step):
    choice = AtmosphereChoice(file="{caldata}/atran_files/atran_41K_45deg_40-300mum.fits")
    assert list(want_atmosphere(spectra.header, choice)) == ["atran"]
    try:
        made, _ = run_step(telluric_correct, spectra, atran_file=choice.file)
    except ReferenceDataError:
        pytest.skip("the older models are not on this computer")
    assert 0.6 < made["ATRAN"].min() < made["ATRAN"].max() < 1
    assert made.header["ATRNFILE"] == "atran_41K_45deg_40-300mum.fits"


def test_that_what_can_be_done_without_is_not_asked_for_before_the_reduction(make_header):
    certain = want_atmosphere(make_header(WVZ_OBS=5.0), AtmosphereChoice(use_ecmwf=False))
    assert [wanted.optional for wanted in certain.values()] == [False]
    unsure = want_atmosphere(make_header(WVZ_OBS=5.0), AtmosphereChoice())
    assert all(wanted.optional for wanted in unsure.values())
    assert "water_vapour" in unsure


def test_that_nothing_is_divided_by_nothing():
    flux, error = correct_absorption(np.ones(3), np.ones(3), np.array([0.0, np.nan, 0.5]), 0.0)
    assert np.isnan(flux[:2]).all()
    assert (flux[2], error[2]) == (2.0, 2.0)
