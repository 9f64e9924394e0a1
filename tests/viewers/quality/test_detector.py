"""Frames of raw files."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_viewers.quality.detector import FrameSequence, measure_levels, name_frames, read_sequences


@pytest.fixture
def raw(tmp_path):
    frames = np.stack([np.full((6, 8), 100.0 * n) for n in range(4)]).astype(np.float32)
    frames[1, 2, 3] += 7.0
    frames[2, 0, 0] = np.nan
    header = fits.Header([("INSTRUME", "FORCAST"), ("SKYMODE", "NMC"), ("NODBEAM", "B"), ("BUNIT", "ct")])
    path = tmp_path / "raw.fits"
    fits.PrimaryHDU(frames, header).writeto(path)
    return path


def test_that_frames_are_named_by_nod_and_chop(raw):
    sequence = read_sequences(raw)[0]
    assert len(sequence) == 4
    assert sequence.labels == ("nod B, chop 1", "nod B, chop 2", "nod A, chop 1", "nod A, chop 2")
    assert sequence.unit == "ct"


def test_that_frames_of_other_files_are_numbered():
    assert name_frames(fits.Header([("INSTRUME", "EXES")]), 2) == ("frame 1", "frame 2")


@pytest.mark.parametrize(
    ("subtract", "expected"), [("none", 107), ("previous", 107), ("first", 107), ("pair", 107), ("median", -43)]
)
def test_that_differences_are_those_of_the_frames(raw, subtract, expected):
    sequence = read_sequences(raw)[0]
    assert sequence.frame(1, subtract)[2, 3] == pytest.approx(expected, abs=3.5 if subtract == "median" else 0)
    assert sequence.frame(3, "pair")[0, 1] == 100.0
    assert sequence.frame(0, "previous")[0, 1] == 0.0


def test_that_levels_ignore_missing_pixels(raw):
    levels = measure_levels(read_sequences(raw)[0])
    assert [level.median for level in levels] == [0.0, 100.0, 200.0, 300.0]
    assert levels[1].high == 107.0
    assert levels[1].mean == pytest.approx(100 + 7 / 48)
    assert levels[2].low == 200.0
    assert levels[0].noise == 0.0


def test_that_a_pixel_has_a_time_stream(raw):
    sequence = read_sequences(raw)[0]
    assert sequence.time_stream(3, 2).tolist() == [0.0, 107.0, 200.0, 300.0]
    with pytest.raises(InputError, match=r"no pixel \(9, 1\)"):
        sequence.time_stream(8, 0)


def test_that_columns_of_tables_are_sequences(tmp_path):
    data = np.arange(5 * 468).reshape(5, 468).astype(np.int16)
    hdu = fits.BinTableHDU.from_columns([fits.Column("DATA", "468I", array=data)], name="RAWDATA")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "ramps.fits")
    sequence = read_sequences(tmp_path / "ramps.fits")[0]
    assert sequence.frames.shape == (5, 18, 26)
    assert sequence.time_stream(1, 0).tolist() == data[:, 1].tolist()
    assert "DATA" in sequence.name


def test_that_a_file_without_frames_is_refused(tmp_path):
    fits.PrimaryHDU().writeto(tmp_path / "none.fits")
    with pytest.raises(InputError, match="no frames"):
        read_sequences(tmp_path / "none.fits")


def test_that_a_frame_without_values_has_no_levels():
    levels = measure_levels(FrameSequence("x", np.full((1, 2, 2), np.nan)))
    assert np.isnan(levels[0].median)


@pytest.mark.golden
def test_that_raw_images_and_ramps_of_golden_sets_are_read(golden):
    image = next((golden / "forcast_img_nmc/raw").glob("*.fits.gz"))
    levels = measure_levels(read_sequences(image)[0])
    assert [level.label for level in levels] == ["nod A, chop 1", "nod A, chop 2", "nod B, chop 1", "nod B, chop 2"]
    assert all(4900 < level.median < 5100 and 12 < level.noise < 14 for level in levels)
    ramps = read_sequences(next((golden / "fifi_sym_red/raw").glob("00001*.fits.gz")))
    assert ramps[-1].frames.shape == (1280, 18, 26)
