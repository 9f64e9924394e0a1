"""Merge Chops/Nods: fluxes, positions and exposures of merged images for every mode and algorithm."""

import numpy as np
import pytest

from sofia_engine.errors import HeaderError, StepError
from sofia_engine.header.celestial import read_tangent_plane
from sofia_engine.instruments.forcast.configuration import configure
from sofia_engine.instruments.forcast.merge import (
    MergeRule,
    align_peaks,
    find_pattern,
    measure_throws,
    merge,
    merge_copies,
)
from sofia_engine.instruments.forcast.obstacles import find_imaging_obstacles
from sofia_engine.instruments.forcast.throws import Throws, match_pattern, read_throws
from sofia_engine.numerics.peaks import Peak, PeakSearch
from sofia_engine.product import Product

SHAPE = (264, 264)
CENTER = (132.0, 131.0)
FLUX = 50.0
# throws of the header below: shifts that bring a negative image onto the positive one, pixels
CHOP_NMC, NOD_NMC = (-39.0625, 67.6582), (39.0625, -67.6582)
CHOP_NPC, NOD_NPC = (0.0, 65.104), (65.104, 0.0)
NPC_CARDS = {
    "SKYMODE": "NPC", "CHPAMP1": 25.0, "CHPANGLE": 0.0, "NODAMP": 50.0, "NODANGLE": -90.0, "CHPANGLR": 0.0,
    "NODANGLR": 90.0,
}  # fmt: skip


@pytest.fixture
def observe(make_stacked, draw_stars):
    """Images of a star as Correct Distortion leaves them, with small errors of the throws."""

    def call(mode, center=CENTER, error=(0.0, 0.0), noise=0.0, **cards):
        chop, nod = (CHOP_NMC, NOD_NMC) if mode == "NMC" else (CHOP_NPC, NOD_NPC)
        x, y = center
        stars = [(x, y, 2 * FLUX if mode == "NMC" else FLUX)]
        if mode in ("NMC", "NPC"):
            stars += [(x - chop[0] + error[0], y - chop[1], -FLUX), (x - nod[0], y - nod[1] + error[1], -FLUX)]
        if mode == "NPC":
            stars.append((x - chop[0] - nod[0] + error[0], y - chop[1] - nod[1] + error[1], FLUX))
        flux = draw_stars(SHAPE, *stars) + np.random.default_rng(3).normal(0, noise, SHAPE)
        header = {"CRPIX1": CENTER[0] + 1, "CRPIX2": CENTER[1] + 1, "SKYMODE": mode, "BORDER": 4}
        extra = NPC_CARDS if mode == "NPC" else {}
        return make_stacked(flux, 0.01, **(header | extra | cards))

    return call


def sum_around(image, x, y, radius=12):
    rows, columns = np.indices(image.shape)
    return np.nansum(image[np.hypot(columns - x, rows - y) <= radius])


def assert_star(product, flux, atol=0.065):
    """The star is at its coordinates (within 0.05 arcsec) with its flux."""
    x, y = read_tangent_plane(product.header).to_pixel(213.9, 19.18)
    around = product["FLUX"][round(float(y)) - 9 : round(float(y)) + 10, round(float(x)) - 9 : round(float(x)) + 10]
    offsets = np.arange(-9, 10)
    found = (
        round(float(x)) + (around.sum(0) @ offsets) / around.sum(),
        round(float(y)) + (around.sum(1) @ offsets) / around.sum(),
    )
    np.testing.assert_allclose(found, (float(x), float(y)), atol=atol)
    assert sum_around(product["FLUX"], x, y) == pytest.approx(flux, rel=2e-3)


@pytest.mark.parametrize("mode", ["NMC", "NPC"])
@pytest.mark.parametrize("method", ["Header shifts", "Centroid", "Cross-correlation"])
def test_that_all_beams_are_averaged_at_the_place_of_the_star(drive, observe, mode, method):
    merged, run = drive(merge, observe(mode), {"cormerge": method})
    assert_star(merged, FLUX)
    assert not run.warnings
    header = merged.header
    assert (header["NEXP"], header["EXPTIME"]) == (4, 80.0)
    assert merged["EXPOSURE"].max() == 80.0
    assert merged.plane("EXPOSURE").unit == "s"
    assert header["CROTA2"] == 0.0
    assert (
        header["CORMERGE"] == {"Header shifts": "HEADER", "Centroid": "CENTROID", "Cross-correlation": "XCOR"}[method]
    )
    x, y = (round(float(v)) for v in read_tangent_plane(header).to_pixel(213.9, 19.18))
    # four beams of noise 0.01, of which NMC has two in one image: sqrt(3)/4, sqrt(4)/4
    assert merged["ERROR"][y, x] == pytest.approx(0.01 * np.sqrt(3 if mode == "NMC" else 4) / 4)


@pytest.mark.parametrize(("mode", "beams"), [("NMC", 2), ("NPC", 1), ("C2NC2", 1), ("C2", 1)])
def test_that_without_shifts_the_flux_is_divided_by_the_beams_in_one_image(drive, observe, mode, beams):
    merged, _ = drive(merge, observe(mode, INSTMODE="C2N" if mode in ("NMC", "NPC") else mode))
    assert_star(merged, FLUX)
    assert merged.header["NEXP"] == beams
    assert merged.header["EXPTIME"] == 20.0 * beams
    assert np.nanmedian(merged["ERROR"]) == pytest.approx(0.01 / beams)


@pytest.mark.parametrize("mode", ["NMC", "NPC"])
@pytest.mark.parametrize("method", ["Centroid", "Cross-correlation"])
def test_that_wrong_throws_in_the_header_do_not_matter_where_shifts_are_measured(drive, observe, mode, method):
    merged, _ = drive(merge, observe(mode, error=(2.3, -1.7)), {"cormerge": method})
    x, y = read_tangent_plane(merged.header).to_pixel(213.9, 19.18)
    peak = merged["FLUX"][round(float(y)), round(float(x))]
    alone, _ = drive(merge, observe(mode), {"cormerge": "No shift"})
    assert peak == pytest.approx(np.nanmax(alone["FLUX"]), rel=0.15)  # interpolation widens the star a little
    by_header, _ = drive(merge, observe(mode, error=(2.3, -1.7)), {"cormerge": "Header shifts"})
    assert peak > 1.05 * np.nanmax(by_header["FLUX"])


@pytest.mark.parametrize(
    "parameters",
    [{"skip_rotation": True}, {"cormerge": "Header shifts", "skip_rotation": True}],
    ids=["no shift", "header"],
)
def test_that_skipping_the_rotation_keeps_the_orientation(drive, observe, parameters):
    merged, _ = drive(merge, observe("NMC"), parameters)
    assert merged.header["CROTA2"] == 30.0
    assert_star(merged, FLUX)
    if "cormerge" not in parameters:
        assert merged["FLUX"].shape == SHAPE


@pytest.mark.parametrize("angle", [0.0, 90.0, 150.0, 180.0, -35.0, 300.0])
def test_that_north_is_up_for_any_sky_angle(drive, observe, draw_stars, angle):
    image = observe("C2NC2", INSTMODE="C2NC2", SKY_ANGL=angle, CROTA2=180.0 - angle)
    plane = read_tangent_plane(image.header)
    x, y = plane.to_pixel(213.9, 19.18 + 30 / 3600)
    image = image.replace(FLUX=draw_stars(SHAPE, (float(x), float(y), 10.0)))
    merged, _ = drive(merge, image)
    row, column = np.unravel_index(np.nanargmax(merged["FLUX"]), merged["FLUX"].shape)
    assert column == pytest.approx(merged.header["CRPIX1"] - 1, abs=1.0)
    assert row - (merged.header["CRPIX2"] - 1) == pytest.approx(30 / 0.768, abs=1.0)


def test_that_old_matrices_do_not_contradict_the_new_orientation(drive, observe):
    merged, _ = drive(merge, observe("NMC", PC1_1=0.9, PC1_2=-0.4, PC2_1=0.4, PC2_2=0.9))
    assert not [key for key in merged.header if key.startswith("PC")]


@pytest.mark.parametrize(
    "cards",
    [
        {"C2NC2": 1, "INSTMODE": "C2", "SKYMODE": "C2NC4"},
        {"SLIT": "FOR_LS24"},
        {"INSTMODE": "STARE", "SKYMODE": "STARE"},
    ],
    ids=["C2NC4", "slit", "stare"],
)
def test_that_some_observations_are_never_shifted(drive, observe, cards):
    merged, _ = drive(merge, observe("NPC", **cards), {"cormerge": "Centroid"})
    assert merged.header["CORMERGE"] == "NOSHIFT"
    assert "SHIFTORD" not in merged.header
    assert merged.header["NEXP"] == 1


@pytest.mark.parametrize(
    ("mode", "cards"),
    [
        ("NMC", {}),
        ("NPC", {}),
        ("NPC", {"C2NC2": 1, "INSTMODE": "C2", "SKYMODE": "C2NC4"}),
        ("NMC", {"SLIT": "FOR_LS24"}),
        ("NPC", {"INSTMODE": "STARE", "SKYMODE": "STARE"}),
    ],
    ids=["NMC", "NPC", "C2NC4", "slit", "stare"],
)
def test_that_parameters_called_without_effect_on_the_data_have_none(drive, observe, mode, cards):
    image = observe(mode, **cards)
    obstacles = find_imaging_obstacles(image.header).get("merge", {})
    base = {"cormerge": "Header shifts"}
    first = drive(merge, image, base)[0]
    for key, value in (("cormerge", "No shift"), ("exact_norm", True)):
        other = drive(merge, image, base | {key: value})[0]
        same = all(
            first[name].shape == other[name].shape and np.array_equal(first[name], other[name], equal_nan=True)
            for name in ("FLUX", "ERROR", "EXPOSURE")
        )
        assert same == (key in obstacles), key


def test_that_a_failed_centroid_falls_back_to_the_header_with_a_warning(drive, observe, make_stacked):
    empty = observe("NMC").replace(FLUX=np.random.default_rng(5).normal(0, 1, SHAPE))
    merged, run = drive(merge, empty, {"cormerge": "Centroid"})
    assert merged.header["CORMERGE"] == "HEADER"
    assert len(run.warnings) == 1
    assert "header" in run.warnings[0]


def test_that_centroid_is_not_possible_for_modes_without_a_pattern(drive, observe):
    merged, run = drive(merge, observe("C2", INSTMODE="C2", NODDING=False), {"cormerge": "Centroid"})
    assert merged.header["CORMERGE"] == "HEADER"
    assert "C2" in run.warnings[0]


def test_that_a_brighter_neighbour_is_told_from_the_pattern_by_the_throws(drive, observe, draw_stars):
    image = observe("NMC", noise=0.002)
    neighbour = draw_stars(SHAPE, (60.0, 60.0, 3 * FLUX), (200.0, 60.0, 3 * FLUX))
    merged, run = drive(merge, image.replace(FLUX=image["FLUX"] + neighbour), {"cormerge": "Centroid"})
    assert merged.header["CORMERGE"] == "CENTROID"
    assert not run.warnings
    found = sorted((merged.header[f"MRGX{i}"], merged.header[f"MRGY{i}"]) for i in range(3))
    expected = sorted([CENTER, *((CENTER[0] - s[0], CENTER[1] - s[1]) for s in (CHOP_NMC, NOD_NMC))])
    np.testing.assert_allclose(found, expected, atol=0.05)


@pytest.mark.parametrize("missing", ["CHPAMP1", "CHPANGLE", "NODAMP", "NODANGLE"])
def test_that_missing_throws_give_a_clear_error(drive, observe, missing):
    with pytest.raises(HeaderError, match=missing):
        drive(merge, observe("NPC", **{missing: None}), {"cormerge": "Header shifts"})


@pytest.mark.parametrize("value", [None, 0.0, -9999.0])
def test_that_a_missing_integration_time_gives_a_clear_error(drive, observe, value):
    with pytest.raises(HeaderError, match="DETITIME"):
        drive(merge, observe("NMC", DETITIME=value))


def test_that_a_throw_off_the_detector_is_not_added(drive, observe):
    merged, _ = drive(merge, observe("NMC", CHPAMP1=60.0, NODAMP=120.0), {"cormerge": "Header shifts"})
    assert merged.header["NEXP"] == 2
    merged, _ = drive(merge, observe("NPC", NODAMP=120.0), {"cormerge": "Header shifts"})
    assert merged.header["NEXP"] == 2


def test_that_the_source_position_follows(drive, observe):
    merged, _ = drive(merge, observe("NMC", SRCPOSX=CENTER[0], SRCPOSY=CENTER[1]), {"cormerge": "Centroid"})
    assert (merged.header["SRCPOSX"], merged.header["SRCPOSY"]) == pytest.approx(
        (merged.header["CRPIX1"] - 1, merged.header["CRPIX2"] - 1), abs=1e-6
    )


def test_that_the_change_of_the_reference_pixel_is_noted(drive, observe):
    image = observe("NMC", DCRPIX1=1.0, DCRPIX2=2.0)
    merged, _ = drive(merge, image)
    assert merged.header["DCRPIX1"] == pytest.approx(1 + merged.header["CRPIX1"] - image.header["CRPIX1"])


def test_that_bad_pixels_do_not_take_part_and_the_input_stays(drive, observe):
    image = observe("NMC")
    flux = image["FLUX"].copy()
    flux[131, 132] = np.nan
    image = image.replace(FLUX=flux)
    merged, _ = drive(merge, image, {"cormerge": "Header shifts", "skip_rotation": True})
    y, x = round(merged.header["CRPIX2"] - 1), round(merged.header["CRPIX1"] - 1)
    assert merged["FLUX"][y, x] == pytest.approx(observe("NMC")["FLUX"].max() / 2, rel=0.05)
    assert merged["ERROR"][y, x] == pytest.approx(0.01 * np.sqrt(2) / 2)
    np.testing.assert_array_equal(image["FLUX"], flux)


@pytest.mark.parametrize(
    ("cards", "chop", "nod"),
    [
        ({}, CHOP_NMC, NOD_NMC),
        ({"DATE": "2013-01-01T00:00:00"}, (39.0625, 67.6582), (-39.0625, -67.6582)),
        ({"CHPCRSYS": "ERF", "NODCRSYS": "ERF"}, (67.6582, -39.0625), (-67.6582, 39.0625)),
        ({"CHOPPING": False}, None, NOD_NMC),
        ({"NODDING": False}, CHOP_NMC, None),
        ({"PLTSCALE": 0.768 / 7200}, tuple(2 * v for v in CHOP_NMC), tuple(2 * v for v in NOD_NMC)),
        ({"CHPCRSYS": None, "CHPCOORD": 2}, (67.6582, -39.0625), NOD_NMC),
    ],
    ids=["detector", "positive angles", "sky", "no chop", "no nod", "plate scale", "old code"],
)
def test_that_throws_are_read_as_the_header_means_them(make_header, cards, chop, nod):
    header = make_header(**cards)
    if "PLTSCALE" in cards:
        header["PLTSCALE"] = cards["PLTSCALE"]
    throws = read_throws(header, configure(header))
    for found, expected in ((throws.chop, chop), (throws.nod, nod)):
        assert (found is None) is (expected is None)
        if found is not None:
            np.testing.assert_allclose(found, expected, atol=1e-3)


def test_that_the_pattern_with_the_greatest_heights_is_found():
    throws = Throws((0.0, 60.0), (60.0, 0.0))
    stars = [(100, 100, 1), (100, 40, -1), (40, 100, -1), (40, 40, 1)]
    peaks = [Peak(x, y, sign, 5.0) for x, y, sign in stars] + [Peak(200, 200, 1, 50.0), Peak(20, 180, -1, 40.0)]
    found = match_pattern(peaks, throws, matched=False, tolerance=3.0)
    assert {(p.x, p.y, p.sign) for p in found} == set(stars)
    assert match_pattern(peaks[:3], throws, matched=False, tolerance=3.0) is None
    assert match_pattern(peaks, Throws((0.0, 60.0), None), matched=False, tolerance=3.0) is None


def test_that_peaks_are_aligned_with_the_one_nearest_the_source():
    peaks = [Peak(10.0, 20.0, -1, 1.0), Peak(50.0, 60.0, 1, 2.0)]
    assert align_peaks(peaks, (52.0, 58.0)) == [(40.0, 40.0, -1), (0.0, 0.0, 1)]


def test_that_an_empty_image_has_no_pattern_and_no_shift():
    nothing = np.full(SHAPE, np.nan)
    with pytest.raises(StepError, match="none"):
        find_pattern(nothing, "NMC", Throws(CHOP_NMC, NOD_NMC), PeakSearch())
    with pytest.raises(StepError, match="without finite pixels"):
        measure_throws(nothing, Throws(CHOP_NMC, NOD_NMC), 0)


def test_that_the_error_agrees_with_the_scatter_of_the_noise():
    rng = np.random.default_rng(8)
    flux = rng.normal(0, 1, (200, 200))
    merged = merge_copies(flux, np.ones((200, 200)), [(0, 0, 1), (-30, 50, -1), (30, -50, -1)], MergeRule(doubled=True))
    full = merged.norm == 4
    assert np.std(merged.flux[full]) == pytest.approx(np.sqrt(3) / 4, rel=0.03)
    assert np.median(merged.error[full]) == pytest.approx(np.sqrt(3) / 4)
    assert np.isnan(merged.flux[merged.norm == 0]).all()


@pytest.mark.parametrize(("exact", "factor"), [(True, 1.0), (False, 0.5)])
def test_that_a_source_seen_in_one_beam_only_has_its_flux_if_beams_are_counted_exactly(
    drive, observe, draw_stars, exact, factor
):
    # a star off the image in the middle beam: on the detector only where the chop brings it
    image = observe("NMC").replace(FLUX=draw_stars(SHAPE, (200.0, 30.0, -FLUX)))
    parameters = {"cormerge": "Header shifts", "skip_rotation": True, "exact_norm": exact}
    merged, _ = drive(merge, image, parameters)
    x, y = 200.0 + NOD_NMC[0], 30.0 + NOD_NMC[1]
    origin = merged.header["CRPIX1"] - 1 - CENTER[0], merged.header["CRPIX2"] - 1 - CENTER[1]
    assert y < 0
    assert sum_around(merged["FLUX"], x + origin[0], y + origin[1]) == pytest.approx(FLUX * factor, rel=2e-3)


@pytest.mark.golden
@pytest.mark.parametrize("name", ["forcast_img_nmc", "forcast_img_npc"])
def test_that_merged_images_agree_with_the_golden_ones(golden, drive, compare_planes, name):
    folder = golden / name / "expected"
    image = Product.read(next(folder.glob("*_UND_*")))
    merged, _ = drive(merge, image, {"cormerge": "Centroid"})
    expected = Product.read(next(folder.glob("*_MRG_*")))
    compare_planes(merged, expected, 5e-3)
    for key in ("CRPIX1", "CRPIX2", "CROTA2", "NEXP", "EXPTIME", "DCRPIX1", "MRGX0", "MRGDY1", "CORMERGE", "SHIFTORD"):
        if isinstance(expected.header[key], str):
            assert merged.header[key] == expected.header[key]
        else:
            assert merged.header[key] == pytest.approx(expected.header[key], abs=1e-4), key
