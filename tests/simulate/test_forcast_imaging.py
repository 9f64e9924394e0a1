from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from sofia_engine.errors import ParameterError, ReferenceDataError
from sofia_engine.simulate import KINDS, ExtendedSource, simulate

IMAGING = sorted(kind for kind in KINDS if kind.startswith("forcast-imaging"))
NUMBER = (int, float)
REQUIRED = {
    "ALTI_STA": (float, 0, 60000),
    "ALTI_END": (float, 0, 60000),
    "AOR_ID": str,
    "MISSN-ID": str,
    "OBJECT": str,
    "OBS_ID": str,
    "DATE-OBS": str,
    "CHOPPING": bool,
    "NODDING": bool,
    "DITHER": bool,
    "ILOWCAP": bool,
    "CHPAMP1": (NUMBER, 0, 10000),
    "CHPANGLE": (NUMBER, -360, 360),
    "CHPANGLR": (NUMBER, -360, 360),
    "CHPCRSYS": {"ERF", "SIRF"},
    "CHPNPOS": (NUMBER, 1, 10000),
    "DATASRC": {"ASTRO"},
    "DETECTOR": {"As-010", "Sb-083"},
    "DETITIME": (float, 0, 10000),
    "DITHERX": (float, -10000, 10000),
    "DITHERY": (float, -10000, 10000),
    "DTHINDEX": (int, 0, 10000),
    "EPERADU": (NUMBER, 1, 10000),
    "FRMRATE": (float, 0.1, 10000),
    "INSTCFG": {"IMAGING_SWC", "IMAGING_LWC", "IMAGING_DUAL"},
    "INSTMODE": {"C2N", "C2NC2"},
    "INSTRUME": {"FORCAST"},
    "INTTIME": (float, 0, 10000),
    "NAXIS1": (int, 256, 256),
    "NAXIS2": (int, 256, 256),
    "NODAMP": (NUMBER, 0, 10000),
    "NODANGLE": (NUMBER, -360, 360),
    "NODANGLR": (NUMBER, -360, 360),
    "NODBEAM": {"A", "B"},
    "NODCRSYS": {"ERF", "SIRF"},
    "OBSTYPE": {"OBJECT", "STANDARD_FLUX"},
    "OTMODE": {"AD"},
    "OTSTACKS": (int, 1, 100),
    "SKY_ANGL": (float, -360, 360),
    "SKYMODE": {"C2NC2", "NMC", "NPC"},
    "SLIT": {"NONE"},
    "SPECTEL1": {"FOR_F197", "NONE"},
    "SPECTEL2": {"FOR_F315", "NONE"},
    "SRCTYPE": {"POINT_SOURCE", "EXTENDED_SOURCE"},
    "TELESCOP": {"SOFIA"},
    "WAVELNTH": (float, 0, 40),
    "ZA_START": (float, 0, 90),
    "ZA_END": (float, 0, 90),
}
READ_LATER = [
    "CRPIX1",
    "CRPIX2",
    "CRVAL1",
    "CRVAL2",
    "CDELT1",
    "CDELT2",
    "CROTA2",
    "CTYPE1",
    "CTYPE2",
    "DETCHAN",
    "DICHROIC",
    "BORESITE",
    "DETBIAS",
    "WVZ_OBS",
    "TGTRA",
    "TGTDEC",
    "TELRA",
    "TELDEC",
    "LAT_STA",
    "LON_STA",
    "NODTIME",
    "DTHCRSYS",
    "ANGLCONV",
    "CHOPTSAC",
    "PLANID",
    "EXPTIME",
    "TOTINT",
    "UTCSTART",
    "FILENAME",
]


def read(truth):
    return [fits.getdata(path).astype(float) for path in truth.paths]


def is_allowed(value, rule):
    if isinstance(rule, set):
        return value in rule
    if isinstance(rule, tuple):
        return isinstance(value, rule[0]) and not isinstance(value, bool) and rule[1] <= value <= rule[2]
    return isinstance(value, rule)


def aperture_sum(image, x, y, radius=14):
    rows, columns = np.indices(image.shape)
    return image[np.hypot(columns - x, rows - y) < radius].sum()


@pytest.mark.parametrize("kind", IMAGING)
@pytest.mark.parametrize("camera", ["SW", "LW"])
def test_that_header_has_every_required_keyword_with_an_allowed_value(run, kind, camera):
    truth = run(kind, camera=camera, n_dither=1)
    for path in truth.paths:
        header = fits.getheader(path)
        assert {key: header.get(key) for key, rule in REQUIRED.items() if not is_allowed(header.get(key), rule)} == {}
        assert [key for key in READ_LATER if key not in header] == []


def test_that_old_headers_have_the_old_keywords(run):
    header = fits.getheader(run(n_dither=1, date="2014-05-01").paths[0])
    assert (header["CHPCOORD"], header["NODCOORD"], header["DITHERCS"]) == (0, 0, 0)


@pytest.mark.parametrize("kind", IMAGING)
def test_that_raw_files_are_float32_cubes_without_nan(run, kind):
    truth = run(kind, n_dither=2)
    for path in truth.paths:
        data = fits.getdata(path)
        assert data.dtype == np.dtype(">f4")
        assert data.shape == (2 if "pairs" in kind else 4, 256, 256)
        assert np.isfinite(data).all()


def test_that_names_are_those_of_the_archive(run):
    assert run(n_dither=2).files == tuple(f"F0501_FO_IMA_90000101_FORF197_RAW_000{i}.fits" for i in (1, 2))
    assert run(camera="LW", n_dither=1, gzip=True).files == ("F0501_FO_IMA_90000101_FORF315_RAW_0001.fits.gz",)


@pytest.mark.parametrize("gzip", [False, True])
def test_that_equal_seeds_give_equal_files_and_others_do_not(run, gzip):
    first, again, other = (
        run(seed=seed, n_dither=2, gzip=gzip, folder=folder) for seed, folder in ((5, "a"), (5, "b"), (6, "c"))
    )
    for one, two, three in zip(first.paths, again.paths, other.paths, strict=True):
        assert one.read_bytes() == two.read_bytes()
        assert one.read_bytes() != three.read_bytes()
    assert (first.directory / "truth.json").read_bytes() == (again.directory / "truth.json").read_bytes()


def test_that_files_differ_in_noise(run):
    truth = run(n_dither=2, dithers_arcsec=((0, 0), (0, 0)))
    one, two = read(truth)
    assert np.abs(one - two).max() > 0.5


@pytest.mark.parametrize("kind", IMAGING)
def test_that_signed_planes_hold_the_flux_where_the_truth_says(run_ideal, kind):
    truth = run_ideal(kind, n_dither=2)
    for planes, file in zip(read(truth), truth.observed, strict=True):
        for plane, level, beam in zip(planes, file.sky_levels, file.beams, strict=True):
            if beam.on_detector:
                flux = aperture_sum(plane - level, beam.x, beam.y) * 1e-6 * 24.2203 * 136
                assert flux == pytest.approx(truth.flux_me_s, rel=1e-3)
            else:
                np.testing.assert_allclose(plane, level)


def test_that_nmc_stacks_to_one_double_positive_and_two_negative_images(run_ideal):
    truth = run_ideal(n_dither=1, sky_drift=3.0)
    (planes,) = read(truth)
    beams = truth.observed[0].beams
    stacked = sum(beam.sign * plane for beam, plane in zip(beams, planes, strict=True))
    assert [beam.sign for beam in beams] == [1, -1, -1, 1]
    fluxes = [aperture_sum(stacked, beam.x, beam.y) * 1e-6 * 24.2203 * 136 / truth.flux_me_s for beam in beams]
    assert fluxes == pytest.approx([2, -1, -1, 2], abs=2e-3)


def test_that_npc_has_two_positive_and_two_negative_places_on_the_detector(run):
    beams = run("forcast-imaging-npc", n_dither=1).observed[0].beams
    assert [beam.sign for beam in beams] == [1, -1, -1, 1]
    assert all(beam.on_detector for beam in beams)
    assert len({(round(beam.x), round(beam.y)) for beam in beams}) == 4


def test_that_source_is_in_the_other_chop_position_before_august_2013(run):
    old = run(n_dither=1, date="2013-07-01").observed[0].beams
    new = run(n_dither=1, date="2013-09-01").observed[0].beams
    assert [beam.sign for beam in old] == [-1, 1, 1, -1]
    assert (old[1].x, old[1].y) == pytest.approx((new[0].x, new[0].y))
    assert (old[0].x, old[0].y) == pytest.approx((new[1].x, new[1].y))


def test_that_two_plane_files_come_in_the_order_abaabaab(run):
    truth = run("forcast-imaging-c2nc2-pairs")
    assert "".join(file.nod_beam for file in truth.observed) == "ABAABAAB"
    indices = {fits.getval(path, "DTHINDEX"): fits.getval(path, "NODBEAM") for path in truth.paths}
    assert [index for index, beam in indices.items() if beam == "B"] == [2, 5, 8]
    assert all(not beam.on_detector for file in truth.observed if file.nod_beam == "B" for beam in file.beams)


@pytest.mark.parametrize("sky_angle", [150.0, -40.0, 275.0])
def test_that_header_puts_the_source_on_its_raw_pixel(run_ideal, sky_angle):
    truth = run_ideal(distortion=False, sky_angle=sky_angle, n_dither=3, source_offset_arcsec=(7.0, -12.0))
    for path, file in zip(truth.paths, truth.observed, strict=True):
        pixel = WCS(fits.getheader(path), naxis=2).wcs_world2pix([[truth.ra, truth.dec]], 0)[0]
        assert pixel == pytest.approx([file.beams[0].x, file.beams[0].y], abs=1e-6)


def test_that_raw_header_is_right_to_a_pixel_near_the_boresight_with_distortion(run_ideal):
    truth = run_ideal(n_dither=2)
    for path, file in zip(truth.paths, truth.observed, strict=True):
        pixel = WCS(fits.getheader(path), naxis=2).wcs_world2pix([[truth.ra, truth.dec]], 0)[0]
        assert pixel == pytest.approx([file.beams[0].x, file.beams[0].y], abs=1.0)


@pytest.mark.parametrize(("date", "shift"), [("2015-07-07", (4.99, 2.36)), ("2015-07-08", (0.0, 0.0))])
def test_that_old_reference_pixels_lack_the_filter_shift(run, date, shift):
    header = fits.getheader(run(n_dither=1, date=date).paths[0])
    assert (128 - header["CRPIX1"], 128 - header["CRPIX2"]) == pytest.approx(shift)


@pytest.mark.parametrize("frame", ["SIRF", "ERF"])
def test_that_header_vectors_move_the_negative_copies_onto_the_source(run_ideal, frame):
    truth = run_ideal("forcast-imaging-npc", n_dither=1, distortion=False, chop_frame=frame, chop_angle=25.0)
    header = fits.getheader(truth.paths[0])
    source, chopped, nodded, _ = truth.observed[0].beams
    turn = np.radians(header["SKY_ANGL"]) if frame == "ERF" else 0.0
    for throw, angle, copy in (
        (2 * header["CHPAMP1"], header["CHPANGLE"], chopped),
        (header["NODAMP"], header["NODANGLE"], nodded),
    ):
        direction = turn - np.radians(angle)  # ANGLCONV is negative
        shift = throw / 0.768 * np.array([np.sin(direction), np.cos(direction)])
        moved = np.array([copy.x, copy.y]) + shift
        assert moved == pytest.approx([source.x, source.y], abs=1e-9)


def test_that_dither_keywords_bring_the_source_back(run_ideal):
    truth = run_ideal(n_dither=3, distortion=False)
    headers = [fits.getheader(path) for path in truth.paths]
    dithers = np.array([(header["DITHERX"], header["DITHERY"]) for header in headers])
    places = np.array([(file.beams[0].x, file.beams[0].y) for file in truth.observed])
    assert np.ptp(dithers, axis=0).min() > 1
    assert places + dithers == pytest.approx(np.full((3, 2), 127.0))


def test_that_noise_of_the_raw_file_has_the_published_variance(run_ideal):
    truth = run_ideal(noise=True, flux=0.0, n_dither=1)
    (planes,) = read(truth)
    for plane, level in zip(planes, truth.observed[0].sky_levels, strict=True):
        expected = level / (24.2203 * 20 * 136) + (244.8 / 136) ** 2 / (24.2203 * 20)
        assert plane.var() == pytest.approx(expected, rel=5 * np.sqrt(2 / plane.size))
        assert truth.noise.variance(np.array(level)) == pytest.approx(expected)


def test_that_all_effects_can_be_undone_to_the_noise(run):
    truth = run(n_dither=1, noise=False, jailbars=False)
    mask = fits.getdata(truth.directory / "bad_pixel_mask.fits") > 0
    raw = read(truth)[0][0]
    sums = np.where(mask, 0, raw).reshape(256, 16, 16).sum(axis=2)
    undrooped = raw + 0.0035 * np.repeat(sums, 16, axis=1)
    inside = np.zeros((256, 256), dtype=bool)
    inside[34:223, 34:223] = True
    level = np.median(undrooped[inside & ~mask])
    curve = (0.99762921, 0.34382635, -0.019972477, -0.040238521, -0.16961677, 0.080713727)
    linear = undrooped / np.polynomial.Polynomial(curve)((level - 6000) / 6000)
    beam = truth.observed[0].beams[0]
    rows, columns = np.indices(raw.shape)
    sky = (np.hypot(columns - beam.x, rows - beam.y) > 25) & ~mask
    np.testing.assert_allclose(linear[sky], truth.observed[0].sky_levels[0], rtol=1e-6)


def test_that_readout_shift_moves_all_planes_by_16_pixels(run):
    plain, shifted = (
        read(run(n_dither=1, readout_shift=on, folder=folder))[0] for on, folder in ((False, "a"), (True, "b"))
    )
    assert np.array_equal(np.roll(shifted, -16, axis=2), plain)


def test_that_truth_file_holds_the_truth(run):
    truth = run(n_dither=2, calibration_factor=0.8, telluric_factor=1.1, flux=40.0)
    content = json.loads((truth.directory / "truth.json").read_text())
    assert content["flux_me_s"] == truth.flux_me_s == 40.0
    assert content["flux_jy"] == truth.flux_jy == pytest.approx(55.0)
    assert (content["ra"], content["dec"]) == (truth.ra, truth.dec)
    assert content["calibration_origin"] == {"factor": "option", "telluric_factor": "option"}
    assert content["noise"] == {
        "frame_rate": 24.2203,
        "integration_time": 20.0,
        "electrons_per_adu": 136,
        "read_noise": 244.8,
        "beta_g": 1.0,
    }
    assert [file["name"] for file in content["observed"]] == list(truth.files) == content["files"]
    assert [len(file["beams"]) for file in content["observed"]] == [4, 4]
    assert content["observed"][0]["beams"][0]["x"] == truth.observed[0].beams[0].x
    assert content["options"]["flux"] == 40.0
    assert content["reference_files"] == {
        "bad_pixel_mask": "bad_pixel_mask.fits",
        "pinhole_locations": "pinhole_locations.txt",
    }


def test_that_flux_in_jansky_becomes_detected_counts(run):
    truth = run(n_dither=1, flux=50.0, flux_unit="Jy", calibration_factor=0.8, telluric_factor=1.25)
    assert truth.flux_me_s == pytest.approx(32.0)
    assert truth.flux_jy == pytest.approx(50.0)


def test_that_dates_without_a_published_calibration_can_be_simulated(tmp_path, reference_store):
    truth = simulate("forcast-imaging-nmc", tmp_path, n_dither=1, date="2013-09-01")
    assert truth.flux_jy is None
    assert truth.flux_me_s == 160.0
    with pytest.raises(ParameterError, match="No flux calibration of FOR_F197 is known for 2013-09-01"):
        simulate("forcast-imaging-nmc", tmp_path / "jy", n_dither=1, date="2013-09-01", flux_unit="Jy")


def test_that_blob_is_added_beside_the_star(run_ideal):
    blob = ExtendedSource(flux=80.0, fwhm_major_arcsec=6.0, fwhm_minor_arcsec=4.0, offset_arcsec=(20.0, 0.0))
    truth = run_ideal("forcast-imaging-c2nc2", n_dither=1, distortion=False, extended=blob, flux=0.0, sky_angle=180.0)
    plane = read(truth)[0][0] - truth.observed[0].sky_levels[0]
    beam = truth.observed[0].beams[0]
    flux = aperture_sum(plane, beam.x - 20 / 0.768, beam.y, radius=20) * 1e-6 * 24.2203 * 136
    assert flux == pytest.approx(80.0, rel=1e-3)
    assert truth.extended_flux_me_s == 80.0
    assert fits.getval(truth.paths[0], "SRCTYPE") == "EXTENDED_SOURCE"


def test_that_synthetic_files_can_be_given_as_own_files(run):
    first = run(n_dither=1, folder="a")
    own = {name: first.directory / file for name, file in first.reference_files.items()}
    second = run(n_dither=1, folder="b", **own)
    assert [beam.x for beam in second.observed[0].beams] == pytest.approx([b.x for b in first.observed[0].beams])
    assert second.reference_files["bad_pixel_mask"] == str(own["bad_pixel_mask"])


def test_that_unusable_mask_is_named(run, tmp_path):
    path = tmp_path / "mask.fits"
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(path)
    with pytest.raises(ReferenceDataError, match=r"mask\.fits.*256"):
        run(n_dither=1, bad_pixel_mask=path)
    path.write_text("no image")
    with pytest.raises(ReferenceDataError, match=r"mask\.fits"):
        run(n_dither=1, bad_pixel_mask=path)
