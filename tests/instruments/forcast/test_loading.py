"""Raw files as products."""

import numpy as np
import pytest

from sofia_engine.errors import InputError
from sofia_engine.instruments.forcast.configuration import configure
from sofia_engine.instruments.forcast.loading import (
    RawNoise,
    find_raw_noise,
    load_raw,
    needs_pairing,
    pair_nod_beams,
    raw_variance,
)
from sofia_engine.instruments.forcast.mode import find_sky_mode

NOISE = RawNoise(gain=136.0, frame_rate=24.0, integration_time=20.0, read_noise=244.8)


def test_that_the_variance_is_photon_noise_plus_read_noise():
    variance = raw_variance(np.array([5000.0, 0.0, np.nan]), NOISE)
    frames = 24.0 * 20.0
    assert variance[0] == pytest.approx(5000.0 / (frames * 136) + (244.8 / 136) ** 2 / frames, rel=1e-14)
    assert variance[1] == pytest.approx((244.8 / 136) ** 2 / frames, rel=1e-14)
    assert np.isnan(variance[2])


def test_that_the_variance_agrees_with_simulated_frames():
    rng = np.random.default_rng(3)
    frames, counts, pixels = 50, 800.0, 40_000
    noise = RawNoise(gain=136.0, frame_rate=10.0, integration_time=frames / 10.0, read_noise=244.8)
    electrons = rng.poisson(counts * 136.0 * frames, pixels) + rng.normal(0, 244.8 * np.sqrt(frames), pixels)
    measured = (electrons / 136.0 / frames).var()
    expected = raw_variance(np.array([counts]), noise)[0]
    assert measured == pytest.approx(expected, rel=4 * np.sqrt(2 / pixels))


def test_that_negative_counts_have_no_photon_noise():
    counts = np.array([-50.0, 0.0], dtype=np.float32)
    variance = raw_variance(counts, NOISE)
    assert variance[0] == variance[1] > 0
    assert variance.dtype == np.float32


@pytest.mark.parametrize("missing", ["DETITIME", "FRMRATE"])
def test_that_the_error_is_unknown_without_time_or_rate(make_raw, missing):
    loaded = load_raw(make_raw(**{missing: None}))
    assert np.isnan(loaded["ERROR"]).all()
    assert np.isfinite(loaded["FLUX"]).all()
    assert any("not known" in line for line in loaded.header["HISTORY"])


@pytest.mark.parametrize(
    ("cards", "read_noise", "gain"),
    [
        ({}, 244.8, 136.0),
        ({"ILOWCAP": False, "EPERADU": 1294}, 2400.0, 1294.0),
        ({"ILOWCAP": 0}, 2400.0, 136.0),
        ({"ILOWCAP": None, "EPERADU": None}, 244.8, 136.0),
    ],
)
def test_that_capacitance_decides_the_read_noise(make_header, cards, read_noise, gain):
    header = make_header(**cards)
    noise = find_raw_noise(header, configure(header))
    assert (noise.read_noise, noise.gain, noise.integration_time) == (read_noise, gain, 20.0)


@pytest.mark.parametrize(
    ("raw_type", "loaded_type"),
    [("<f4", "f4"), (">f4", "f4"), ("f8", "f8"), ("i2", "f4"), ("u2", "f4"), ("i4", "f8"), ("u1", "f4")],
)
def test_that_counts_become_floating_point_without_loss(make_raw, raw_type, loaded_type):
    counts = np.arange(256 * 256 * 2).reshape(2, 256, 256) % 251
    loaded = load_raw(make_raw(counts.astype(raw_type)))
    assert loaded["FLUX"].dtype == np.dtype(loaded_type)
    assert loaded["ERROR"].dtype == np.dtype(loaded_type)
    np.testing.assert_array_equal(loaded["FLUX"], counts)


def test_that_an_image_becomes_one_plane(make_raw):
    assert load_raw(make_raw(np.ones((256, 256)))).plane("FLUX").shape == (1, 256, 256)


@pytest.mark.parametrize("shape", [(256,), (2, 2, 4, 4), (0, 256, 256)])
def test_that_other_shapes_are_refused(make_raw, shape):
    with pytest.raises(InputError, match=r"rw_0001.fits: a raw file holds an image"):
        load_raw(make_raw(np.ones(shape)))


def test_that_keywords_of_processed_data_are_written(make_raw):
    raw = make_raw(DETCHAN="1", PROCSTAT="LEVEL_1")
    header = load_raw(raw).header
    expected = {
        "DETCHAN": "LW", "PROCSTAT": "LEVEL_2", "ASSC_AOR": "90_0001_01", "OBS_ID": "P_2018-09-01_FO_F501B0001",
        "ASSC_OBS": "2018-09-01_FO_F501B0001", "RN_LOW": 244.8, "RN_HIGH": 2400.0, "BETA_G": 1.0,
        "CONFFILE": "config_files/OC3_dripconf.txt",
    }  # fmt: skip
    assert {keyword: header[keyword] for keyword in expected} == expected
    assert raw.header["DETCHAN"] == "1"


def test_that_units_are_counts(make_raw):
    loaded = load_raw(make_raw())
    assert [plane.unit for plane in loaded.planes.values()] == ["ct", "ct"]
    assert list(loaded.planes) == ["FLUX", "ERROR"]


@pytest.mark.parametrize("nod_time", [None, -9999, -9999.0])
def test_that_a_missing_nod_time_is_noted(make_raw, nod_time):
    assert any("overestimated" in line for line in load_raw(make_raw(NODTIME=nod_time)).header["HISTORY"])
    assert not any("overestimated" in line for line in load_raw(make_raw()).header["HISTORY"])


def test_that_old_images_get_the_shift_by_the_filter(make_raw):
    header = load_raw(make_raw(DATE="2014-02-01T00:00:00")).header
    assert (header["CRPIX1"], header["CRPIX2"]) == pytest.approx((132.99, 130.36))
    grism = load_raw(make_raw(DATE="2014-02-01T00:00:00", SPECTEL1="FOR_G063")).header
    assert (grism["CRPIX1"], grism["CRPIX2"]) == (128.0, 128.0)


def test_that_an_old_image_without_reference_pixel_stays_without(make_raw):
    header = load_raw(make_raw(DATE="2014-02-01T00:00:00", CRPIX1=None, CRPIX2=None)).header
    assert "CRPIX1" not in header


def test_that_c2nc2_of_four_planes_is_named_so(make_raw):
    header = load_raw(make_raw(INSTMODE="C2NC2", SKYMODE="C2NC2")).header
    assert header["SKYMODE"] == "C2NC4"


def _beam_files(make_raw, indices):
    return [
        load_raw(
            make_raw(
                np.full((2, 256, 256), float(index), dtype=np.float32),
                INSTMODE="C2",
                SKYMODE="NONE",
                C2NC2=1,
                DTHINDEX=index,
                FILENAME=f"rw_{index:04d}.fits",
                EXPTIME=1.0,
                DATE=f"2013-06-01T00:{index:02d}:00",
            )
        )
        for index in indices
    ]


def test_that_single_nod_beams_are_joined_to_the_five_pairs_of_the_pattern(make_raw):
    files = _beam_files(make_raw, range(1, 9))
    assert all(needs_pairing(file) for file in files)
    pairs = pair_nod_beams(files)
    assert [pair.header["NODBEAM"] for pair in pairs] == ["A", "B", "A", "B", "A"]
    assert [pair.name for pair in pairs] == [f"rw_{first:04d}-{first + 1:04d}.fits" for first in (1, 2, 4, 5, 7)]
    for pair, first in zip(pairs, (1, 2, 4, 5, 7), strict=True):
        assert pair["FLUX"][:, 0, 0].tolist() == [first, first, first + 1, first + 1]
        assert pair["ERROR"].shape == (4, 256, 256)
        assert find_sky_mode(pair.header, planes=4) == "C2NC4"
        assert pair.header["EXPTIME"] == 2.0
        assert not needs_pairing(pair)


def test_that_the_header_of_a_pair_is_that_of_beam_a(make_raw):
    files = _beam_files(make_raw, (2, 3))
    files[0] = files[0].with_cards(("OBJECT", "in B", ""))
    (pair,) = pair_nod_beams(files)
    assert (pair.header["OBJECT"], pair.header["NODBEAM"]) == ("Star", "B")


@pytest.mark.parametrize("indices", [(1,), (3, 4), (1, 5)])
def test_that_files_without_partner_are_an_error(make_raw, indices):
    with pytest.raises(InputError, match="makes a pair"):
        pair_nod_beams(_beam_files(make_raw, indices))


def test_that_a_missing_dither_index_is_said(make_raw):
    files = [file.with_cards(("DTHINDEX", "x", "")) for file in _beam_files(make_raw, (1, 2))]
    with pytest.raises(InputError, match=r"rw_0001.fits: DTHINDEX"):
        pair_nod_beams(files)


def test_that_beams_of_different_shape_are_not_joined(make_raw):
    first, second = _beam_files(make_raw, (1, 2))
    second = second.replace(FLUX=second["FLUX"][:, :128], ERROR=second["ERROR"][:, :128])
    with pytest.raises(InputError, match="another shape"):
        pair_nod_beams([first, second])
