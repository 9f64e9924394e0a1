"""Readouts shared among chops and gratings; positions of scans; chops subtracted."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import HeaderError, InputError, StepError
from sofia_engine.instruments.fifi_ls.chopping import (
    Sequencing,
    find_complete,
    read_gratings,
    read_sequencing,
    split_readouts,
)
from sofia_engine.instruments.fifi_ls.fit_ramps import fit_all_ramps
from sofia_engine.instruments.fifi_ls.raw import Readouts, read_channel_bit, read_grating, read_raw
from sofia_engine.instruments.fifi_ls.scanning import average_ramps, make_table, read_table, trace_scan
from sofia_engine.instruments.fifi_ls.split_grating_and_chop import split_grating_and_chop
from sofia_engine.instruments.fifi_ls.subtract_chops import subtract_chops
from sofia_engine.product import Product, Table

SCAN = {
    "INSTMODE": "OTF_TP", "C_AMP": 0.0, "UNIXSTRT": 1000.0, "OTFSTART": 1000.5, "ALPHA": 0.004, "TRK_DRTN": 2.0,
    "OBSLAMV": 5.0, "OBSBETV": 1e-12, "DLAM_MAP": -20.0, "DBET_MAP": 7.0, "G_PSUP_R": 1,
}  # fmt: skip


def make_readouts(n, ramp_length=32, first=0):
    number = np.arange(first, first + n)
    return Readouts(np.zeros((n, 18, 26), dtype=np.int16), number % ramp_length, number // ramp_length)


def make_raw(header, n=1280, ramp_length=32, first=0, value=None, grating=0, channel=0):
    """A raw file; all pixels of a readout count its number, or as `value` says."""
    words = np.zeros((n, 8), dtype=np.uint16)
    number = np.arange(first, first + n)
    words[:, 0], words[:, 7] = 0x8000, 0x7FFF
    words[:, 3], words[:, 4], words[:, 5] = 2 * channel, number % ramp_length, (number // ramp_length) % 65536
    data = np.zeros((n, 18, 26), dtype=np.int16)
    data[:] = (number if value is None else value)[:, None, None]
    column = np.zeros((n, 18), dtype=np.uint16)
    column[:, (2, 6, 10, 14)] = grating % 65536
    column[:, (3, 7, 11, 15)] = grating // 65536 + 0xFFE0  # the upper bits do not count
    data[:, :, 25] = column.view(np.int16)
    columns = [
        fits.Column("HEADER", "8I", dim="(8)", array=words.view(np.int16)),
        fits.Column("DATA", "468I", dim="(26,18)", array=data.reshape(n, -1)),
    ]
    table = Table.of(fits.BinTableHDU.from_columns(columns, name="FIFILS_rawdata"))
    return Product.of(header, {"FIFILS_RAWDATA": table}, empty_primary=True)


def test_that_raw_files_are_read_with_their_counters(make_header):
    raw = make_raw(make_header(), n=256, first=64, grating=821639, channel=1)
    readouts = read_raw(raw)
    assert readouts.sample[:3].tolist() == [0, 1, 2]
    assert readouts.ramp[[0, -1]].tolist() == [2, 9]
    assert read_channel_bit(raw) == 1
    assert read_grating(readouts.data) == pytest.approx(821639)


def test_that_the_ramp_counter_goes_on_when_it_begins_anew(make_header):
    readouts = read_raw(make_raw(make_header(), n=128, first=32 * 65534))
    assert np.diff(readouts.ramp).min() == 0
    assert readouts.ramp[-1] - readouts.ramp[0] == 3


def test_that_files_without_readouts_are_refused(make_header):
    with pytest.raises(InputError, match="no table"):
        read_raw(Product.of(make_header(), {"FLUX": np.zeros((2, 2))}))


def test_that_a_file_is_split_into_chops_and_gratings(make_header, run_step):
    made, _ = run_step(split_grating_and_chop, make_raw(make_header()))
    assert [product.header["CHOPNUM"] for product in made] == [0, 1]
    assert [list(product.planes) for product in made] == [["FLUX_G0", "FLUX_G1"]] * 2
    first, second = (product["FLUX_G0"][:, 5, 5] for product in made)
    assert first.tolist() == [n for n in range(640) if n // 64 % 2 == 0]
    assert second.tolist() == [n for n in range(640) if n // 64 % 2 == 1]
    assert made[1]["FLUX_G1"][0, 5, 5] == 640 + 64
    cards = [made[0].plane(f"FLUX_G{g}").cards for g in (0, 1)]
    assert [c["INDPOS"] for c in cards] == [821639, 822812]
    assert [c["INDPOS_P"] for c in cards] == [430182, 430182]  # the primary array has one position: it is repeated
    assert made[0].header["NGRATING"] == 2


def test_that_positions_on_the_way_down_are_left_out(make_header, run_step):
    made, run = run_step(split_grating_and_chop, make_raw(make_header(G_PSDN_R=2)))
    assert list(made[0].planes) == ["FLUX_G0", "FLUX_G1"]
    assert made[0]["FLUX_G0"].shape[0] == 160
    assert "way down" in run.warnings[0]


def test_that_without_chopping_there_is_one_product(make_header, run_step):
    made, _ = run_step(split_grating_and_chop, make_raw(make_header(C_AMP=0.0)))
    assert len(made) == 1
    assert made[0]["FLUX_G0"][:, 5, 5].tolist() == list(range(640))


@pytest.mark.parametrize(
    ("keywords", "word"),
    [
        ({"C_SCHEME": "4POINT"}, "C_SCHEME"),
        ({"C_CHOPLN": 48}, "C_CHOPLN"),
        ({"C_CHOPLN": 32}, "C_CHOPLN"),
        ({"C_AMP": None}, "C_AMP"),
        ({"RAMPLN_R": -9999}, "RAMPLN_R"),
        ({"G_PSUP_R": 0}, "G_PSUP_R"),
        ({"G_STRT_B": None}, "G_STRT_B"),
    ],
)
def test_that_an_unknown_sequence_is_refused(make_header, keywords, word):
    header = make_header(**keywords)
    read = read_gratings if word.startswith("G_") else read_sequencing
    with pytest.raises(HeaderError, match=word):
        read(header)


@given(first=st.integers(0, 400), count=st.integers(200, 1500))
def test_that_only_whole_chops_of_whole_ramps_are_kept(first, count):
    readouts = make_readouts(count, first=first)
    kept = readouts.cut(find_complete(readouts, Sequencing(32, 2, chopped=True)))
    assert kept.sample[0] == 0
    assert kept.sample[-1] == 31
    assert kept.ramp[0] % 4 in (0, 1)
    assert (kept.ramp[-1] // 2) % 2 == 1
    assert count - len(kept) < 3 * 64 + 32


def test_that_readouts_without_a_chop_are_refused():
    sequencing = Sequencing(32, 2, chopped=True)
    with pytest.raises(StepError, match=r"complete chop|beginning of a ramp"):
        find_complete(make_readouts(40, first=70), sequencing)
    with pytest.raises(StepError, match="grating positions"):
        split_readouts(np.zeros(3, dtype=np.intp), Sequencing(32, 1, chopped=False), 5)


def test_that_a_scan_is_traced_from_its_start_to_its_end(make_header):
    path, warnings = trace_scan(make_header(**SCAN), 1280, 32)
    begin, end = 125, 125 + 500  # readouts: half a second after the file, for two seconds
    assert warnings == ()
    assert path.longitude[begin] == pytest.approx(-20.0)
    assert path.longitude[end - 1] - path.longitude[begin] == pytest.approx(5.0 * 0.004 * 499)
    assert (path.latitude == 7.0).all()
    assert np.flatnonzero(path.good)[[0, -1]].tolist() == [96, 639]  # whole ramps
    assert path.longitude[0] == path.longitude[96]
    assert path.time[10] == pytest.approx(1000 + 10.5 * 0.004)


def test_that_a_scan_beyond_the_file_is_told(make_header):
    assert trace_scan(make_header(**SCAN), 600, 32)[1] == ("The scan went on after the file.",)
    assert trace_scan(make_header(**SCAN | {"OTFSTART": 999.0}), 1280, 32)[1] == ("The scan began before the file.",)


def test_that_positions_are_averaged_over_ramps_and_kept_in_tables(make_header):
    path, _ = trace_scan(make_header(**SCAN), 1280, 32)
    ramps = average_ramps(path, 32)
    assert ramps.good.sum() == 17
    assert ramps.longitude[10] == pytest.approx(path.longitude[320:352].mean())
    back = read_table(make_table(path))
    assert np.array_equal(back.longitude, path.longitude)
    assert np.array_equal(back.good, path.good)
    assert read_table(make_table(ramps, readouts=False)).good.all()


def test_that_the_ramps_of_a_scan_keep_values_and_positions_of_their_own(make_header, run_step):
    header = make_header(**SCAN)
    number = np.arange(1280)
    value = number % 32 * (20 + number // 32)  # steeper from ramp to ramp
    raw = make_raw(header, value=value)
    (split,), _ = run_step(split_grating_and_chop, raw)
    fitted, _ = run_step(fit_all_ramps, split, subtract_bias=False)
    flux = fitted["FLUX_G0"]
    assert flux.shape == (17, 16, 25)
    assert flux[:, 5, 5] == pytest.approx(20.0 + np.arange(3, 20))
    table = fitted.tables["SCANPOS_G0"]
    assert table["DLAM_MAP"].shape == (17,)
    cards = fitted.plane("FLUX_G0").cards
    assert cards["RAMPSTRT"] == pytest.approx(1000 + (96 + 16) * 0.004)
    assert split.header["EXPTIME"] == pytest.approx(2.56 - 0.004 * (1280 - 2 - 544), abs=0.01)


def test_that_a_scan_without_a_whole_ramp_is_refused(make_header, run_step):
    (split,), _ = run_step(split_grating_and_chop, make_raw(make_header(**SCAN)))
    path = read_table(split.tables["SCANPOS_G0"])
    path = replace(path, good=np.arange(path.good.size) % 32 != 7)
    with pytest.raises(StepError, match="no whole ramp"):
        run_step(fit_all_ramps, split.replace(SCANPOS_G0=make_table(path)))


def test_that_bad_pixels_have_no_value(make_header, run_step):
    number = np.arange(1280)
    (chop, _), _ = run_step(split_grating_and_chop, make_raw(make_header(), value=number % 32 * 20))
    fitted, run = run_step(fit_all_ramps, chop, subtract_bias=False)
    flux, error = fitted["FLUX_G0"], fitted["STDDEV_G0"]
    assert np.isnan(flux[15, 0])
    assert np.isnan(error[15, 0])
    assert run.reference("bad_pixels").name.endswith("badpixels_202202_r.txt")
    assert fitted.header["BDPXFILE"] == "badpixels_202202_r.txt"


@pytest.mark.parametrize("values", [{"s2n": 1e9}, {"indpos_sigma": 1e-9}], ids=str)
def test_that_files_without_any_ramp_left_are_told(make_header, run_step, values):
    (chop, _), _ = run_step(split_grating_and_chop, make_raw(make_header()))
    fitted, run = run_step(fit_all_ramps, chop, **values)
    lost = [f"FLUX_G{g}" for g in range(2) if np.isnan(fitted[f"FLUX_G{g}"]).all()]
    assert [name for name in lost for warning in run.warnings if f"no ramp of {name} is left" in warning] == lost
    if "s2n" in values:
        assert len(lost) == 2


@pytest.mark.parametrize(("beam", "style", "sign"), [("A", "NMC", 1), ("B", "NMC", -1), ("B", "C2NC2", 1)])
def test_that_the_source_is_positive_in_all_nods(make_gratings, run_step, beam, style, sign):
    chops = [make_gratings([v], 3.0 + k, CHOPNUM=k, NODBEAM=beam, NODSTYLE=style) for k, v in enumerate((5.0, 2.0))]
    (made,), _ = run_step(subtract_chops, chops)
    assert made["FLUX_G0"] == pytest.approx(sign * 3.0)
    assert made["STDDEV_G0"] == pytest.approx(5.0)
    (added,), _ = run_step(subtract_chops, chops, add_only=True)
    assert added["FLUX_G0"] == pytest.approx(7.0)


def test_that_chops_without_their_other_position_are_set_aside(make_gratings, run_step):
    pair = [make_gratings([1.0], CHOPNUM=k) for k in (0, 1)]
    alone = make_gratings([1.0], CHOPNUM=0, OBS_ID="P_X_R00009", FILENAME="alone.fits")
    made, run = run_step(subtract_chops, [*pair, alone])
    assert len(made) == 1
    assert run.skipped[0][0] == "alone.fits"
    with pytest.raises(StepError):
        run_step(subtract_chops, [alone])


def test_that_chops_of_other_gratings_are_set_aside(make_gratings, run_step):
    chops = [make_gratings([1.0], positions=[1000 + k], CHOPNUM=k) for k in (0, 1)]
    with pytest.raises(StepError, match="fit together"):
        run_step(subtract_chops, chops)


def test_that_files_without_chopping_are_passed_on(make_gratings, run_step):
    product = make_gratings([1.0], C_AMP=0.0)
    made, _ = run_step(subtract_chops, [product])
    assert made[0] is product
