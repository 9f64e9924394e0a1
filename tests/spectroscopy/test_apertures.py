from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import ParameterError, StepError
from sofia_engine.spectroscopy.aperture_mask import make_aperture_mask
from sofia_engine.spectroscopy.apertures import (
    Aperture,
    ApertureWishes,
    find_apertures,
    list_aperture_cards,
    list_size_cards,
    make_full_slit_aperture,
    parse_lists,
    parse_regions,
    place_apertures,
    set_radii,
    slit_index,
    space_apertures,
)

SLIT = 4.0 + 0.768 * np.arange(248)
NOISE = np.random.default_rng(0).normal(0, 1e-4, SLIT.size)


def bell(center, fwhm, height=1.0):
    return height * np.exp(-4 * np.log(2) * ((SLIT - center) / fwhm) ** 2)


def test_that_a_source_is_located_with_its_width():
    (found,) = find_apertures(SLIT, bell(97.3, 3.6, 0.1) + NOISE, 1, 3.0)
    assert found.position == pytest.approx(97.3, abs=0.01)
    assert found.fwhm == pytest.approx(3.6, abs=0.03)
    assert found.sign == 1


@given(st.floats(30, 90), st.floats(110, 170), st.floats(2.5, 6.0))
def test_that_a_pair_of_nod_beams_is_located_in_rising_order(low, high, fwhm):
    found = find_apertures(SLIT, bell(high, fwhm, 0.2) - bell(low, fwhm, 0.1), 2, 3.0)
    assert [a.sign for a in found] == [-1, 1]
    np.testing.assert_allclose([a.position for a in found], [low, high], atol=0.02)
    np.testing.assert_allclose([a.fwhm for a in found], fwhm, atol=0.05)


def test_that_too_few_rows_are_refused():
    with pytest.raises(StepError, match="give the aperture position"):
        find_apertures(SLIT, np.full(SLIT.size, np.nan), 1, 3.0)


def test_that_given_positions_get_the_sign_of_the_profile():
    placed = place_apertures(SLIT, bell(50, 4) - bell(90, 4), [90.0, 50.0], 3.0)
    assert placed == (Aperture(50.0, 1, 3.0), Aperture(90.0, -1, 3.0))


def test_that_a_single_spaced_aperture_lies_in_the_middle():
    (middle,) = space_apertures(SLIT, bell(50, 4), 1, 3.0)
    assert middle.position == SLIT[124]
    assert [a.position for a in space_apertures(SLIT, bell(50, 4), 3, 3.0)] == [SLIT[62], SLIT[124], SLIT[186]]


def test_that_the_row_of_a_position_is_limited_to_the_slit():
    np.testing.assert_allclose(slit_index([0.0, 2.0, 4.0], [-1.0, 3.0, 9.0]), [0.0, 1.5, 2.0])


def test_that_radii_are_seven_tenths_and_two_point_one_five_times_the_width():
    sizes = set_radii(SLIT, bell(100, 4.0) + NOISE, [Aperture(100.0, 1, 3.0)])
    (only,) = sizes.apertures
    assert only.radius == pytest.approx(0.7 * 4.0, rel=1e-3)
    assert only.psf_radius == pytest.approx(2.15 * 4.0, rel=1e-3)
    assert sizes.warnings == ()


def test_that_background_lies_beside_the_source():
    sizes = set_radii(SLIT, bell(100, 4.0) + NOISE, [Aperture(100.0, 1, 3.0)])
    (below, above) = sizes.background
    assert 100 - 3 * 8.6 <= below[0] < below[1] <= 100 - 8.6
    assert 100 + 8.6 <= above[0] < above[1] <= 100 + 3 * 8.6


def test_that_no_refit_takes_the_located_width():
    (only,) = set_radii(SLIT, bell(100, 4.0), [Aperture(100.0, 1, 3.0)], ApertureWishes(refit=False)).apertures
    assert only.radius == pytest.approx(2.1)


def test_that_given_radii_and_signs_are_used_and_the_last_repeats():
    given_ = [Aperture(60.0), Aperture(140.0)]
    wishes = ApertureWishes(signs=[-1], radii=[2.0, 4.0], psf_radii=[5.0])
    sized = set_radii(SLIT, bell(60, 4) + bell(140, 4), given_, wishes).apertures
    assert [(a.sign, a.radius, a.psf_radius) for a in sized] == [(-1, 2.0, 5.0), (-1, 4.0, 5.0)]


def test_that_radii_end_at_the_slit_and_say_so():
    sizes = set_radii(SLIT, bell(100, 4.0), [Aperture(100.0)], ApertureWishes(radii=[400.0], psf_radii=[300.0]))
    room = SLIT[-1] - 100.0
    assert sizes.apertures[0].psf_radius == pytest.approx(room)
    assert sizes.apertures[0].radius == pytest.approx(room)
    assert len(sizes.warnings) == 2


def test_that_neighbours_are_separated():
    profile = bell(95, 4.0) + bell(107, 4.0)
    first, second = set_radii(
        SLIT, profile, [Aperture(95.0), Aperture(107.0)], ApertureWishes(radii=[2.0], psf_radii=[8.0])
    ).apertures
    assert 95 + first.psf_radius < 107 - second.psf_radius + 0.768
    assert first.psf_radius == second.psf_radius < 8.0


def test_that_sources_too_close_to_separate_are_refused():
    with pytest.raises(StepError, match="overlap"):
        set_radii(
            SLIT, bell(100, 4.0), [Aperture(100.0), Aperture(100.5)], ApertureWishes(radii=[2.0], psf_radii=[8.0])
        )


def test_that_a_radius_without_a_pixel_is_refused():
    with pytest.raises(StepError, match="holds no pixel"):
        set_radii(SLIT, bell(100, 4.0), [Aperture(100.2)], ApertureWishes(radii=[0.01], psf_radii=[0.01]))


def test_that_a_full_slit_aperture_reaches_both_ends():
    full = make_full_slit_aperture(SLIT, Aperture(100.0, -1))
    assert full.sign == 1
    assert full.position - full.radius <= SLIT[0]
    assert full.position + full.radius >= SLIT[-1]


def test_that_lists_for_files_and_apertures_are_read():
    assert parse_lists("3,8;2,7", "input_position", 2) == ((3.0, 8.0), (2.0, 7.0))
    assert parse_lists("3,8", "input_position", 2) == ((3.0, 8.0),) * 2
    assert parse_lists("", "input_position", 2) == ((), ())


def test_that_regions_are_read():
    assert parse_regions("0-1,8-10;2-3", "bgr", 2) == (((0.0, 1.0), (8.0, 10.0)), ((2.0, 3.0),))
    assert parse_regions("", "bgr") == ((),)


@pytest.mark.parametrize(("call", "text", "count"), [
    (parse_lists, "3,x", 1), (parse_lists, "1;2;3", 2), (parse_regions, "4", 1), (parse_regions, "5-2", 1),
    (parse_regions, "1-2-3", 1),
])  # fmt: skip
def test_that_unreadable_lists_are_named(call, text, count):
    with pytest.raises(ParameterError, match="bgr is"):
        call(text, "bgr", count)


def test_that_cards_are_comma_lists():
    apertures = (Aperture(40.3036, -1, 3.0, 2.0, 5.0), Aperture(97.0154, 1, 3.575, 2.502, 7.685))
    cards = {key: value for key, value, _ in list_aperture_cards(apertures)}
    assert cards == {"APPOSO01": "40.304,97.015", "APSGNO01": "-1,1", "APFWHM01": "3.000,3.575"}
    from sofia_engine.spectroscopy.apertures import ApertureSizes

    cards = {key: value for key, value, _ in list_size_cards(ApertureSizes(apertures, ((1.0, 2.5), (8.0, 9.0))))}
    assert cards["APRADO01"] == "2.000,2.502"
    assert cards["PSFRAD01"] == "5.000,7.685"
    assert cards["BGR"] == "1.000-2.500,8.000-9.000"


@pytest.mark.parametrize("height", [1.0, -1.0])
def test_that_a_bright_neighbour_does_not_change_the_width_of_a_source(height):
    """Fitted alone, the faint source would be 2.2 arcsec wide instead of 3.6."""
    profile = bell(100, 3.6) + bell(114, 3.6, 0.17 * height) + NOISE
    sizes = set_radii(SLIT, profile, [Aperture(100.0, 1, 3.5), Aperture(114.0, int(height), 3.5)])
    np.testing.assert_allclose([aperture.fwhm for aperture in sizes.apertures], 3.6, rtol=5e-3)


def test_that_apertures_that_touch_are_separated_like_those_that_overlap():
    """Radii of 20 at a distance of 40 share a row in part; radii of 30 were put right, but these refused."""
    given_, profile = [Aperture(80.2), Aperture(120.2)], bell(80.2, 4) + bell(120.2, 4)
    for radius in (19.7, 20.0, 20.3, 30.0):
        sizes = set_radii(SLIT, profile, given_, ApertureWishes(radii=[2.0], psf_radii=[radius]))
        make_aperture_mask(SLIT, [[80.2], [120.2]], sizes.apertures)
        assert "are reduced to" in " ".join(sizes.warnings)
        assert "light beyond is lost" in " ".join(sizes.warnings)


def test_that_a_sign_against_the_profile_is_warned_of():
    sizes = set_radii(SLIT, bell(100, 4.0), [Aperture(100.0, 1, 4.0)], ApertureWishes(signs=[-1]))
    assert sizes.apertures[0].sign == -1
    assert any("The sign -1 given for the aperture at 100.000" in warning for warning in sizes.warnings)


@pytest.mark.parametrize("word", ["nan", "inf", "-inf", "1e999"])
def test_that_numbers_must_be_finite(word):
    with pytest.raises(ParameterError, match="expected numbers"):
        parse_lists(f"3,{word}", "step.key")
    with pytest.raises(ParameterError, match="expected start-stop"):
        parse_regions(f"3-{word}", "step.key")
