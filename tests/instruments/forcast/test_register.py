"""Register Images: coordinates of displaced images after each algorithm; wrong and missing information."""

import numpy as np
import pytest

from sofia_engine.errors import HeaderError, ParameterError, StepError
from sofia_engine.header.celestial import read_tangent_plane
from sofia_engine.instruments.forcast.register import (
    measure_centroid_shift,
    measure_correlation_shift,
    parse_offsets,
    read_dither,
    register,
)

SHAPE = (200, 220)
STAR = (110.0, 95.0)
DITHERS = [(0.0, 0.0), (6.0, -4.0), (-7.5, 3.25)]
POINTING_ERRORS = [(0.0, 0.0), (1.3, 0.7), (-0.8, 1.1)]


@pytest.fixture
def observe(make_stacked, draw_stars):
    """Merged images (north up) of a star; in each the pointing is wrong by some pixels."""

    def call(dithers=DITHERS, errors=POINTING_ERRORS, shapes=None, **cards):
        images = []
        for number, (dither, error) in enumerate(zip(dithers, errors, strict=True), start=1):
            x, y = STAR[0] - dither[0], STAR[1] - dither[1]
            flux = draw_stars(shapes[number - 1] if shapes else SHAPE, (x, y, 50.0))
            header = {
                "FILENAME": f"m_{number}.fits", "CROTA2": 0.0, "CRPIX1": x + 1 + error[0], "CRPIX2": y + 1 + error[1],
                "DITHERX": dither[0], "DITHERY": dither[1], "DTHCRSYS": "SIRF", "SKY_ANGL": 180.0,
            }  # fmt: skip
            images.append(make_stacked(flux, 0.01, **(header | cards)))
        return tuple(images)

    return call


def positions(images, dithers=DITHERS):
    """Sky positions of the star, from the coordinates of each image, arcsec from the first."""
    sky = [
        read_tangent_plane(image.header).to_sky(STAR[0] - d[0], STAR[1] - d[1])
        for image, d in zip(images, dithers, strict=True)
    ]
    return (np.array(sky) - sky[0]) * 3600 * (np.cos(np.radians(19.18)), 1.0)


@pytest.mark.parametrize("method", ["Centroid", "Cross-correlation"])
def test_that_measured_shifts_make_the_coordinates_of_the_star_agree(drive, observe, method):
    images = observe()
    assert np.abs(positions(images)).max() > 0.5
    registered, run = drive(register, images, {"corcoadd": method})
    assert np.abs(positions(registered)).max() < 0.02
    assert not run.warnings
    assert registered[0].header["CRPIX1"] == images[0].header["CRPIX1"]


def test_that_exact_dithers_in_the_header_make_the_coordinates_agree(drive, observe):
    registered, _ = drive(register, observe(), {"corcoadd": "Header shifts"})
    assert np.abs(positions(registered)).max() < 1e-6


def test_that_header_shifts_move_the_first_image_too_if_it_is_dithered(drive, observe):
    images = observe(dithers=DITHERS[1:], errors=POINTING_ERRORS[1:])
    registered, _ = drive(register, images, {"corcoadd": "Header shifts"})
    moved = registered[0].header["CRPIX1"] - images[0].header["CRPIX1"]
    assert moved == pytest.approx(-6.0)
    assert np.abs(positions(registered, DITHERS[1:])).max() < 1e-6


def test_that_coordinates_as_they_are_stay(drive, observe):
    images = observe()
    registered, _ = drive(register, images)
    assert [image.header["CRPIX1"] for image in registered] == [image.header["CRPIX1"] for image in images]
    assert all(new is not old for new, old in zip(registered, images, strict=True))


def test_that_the_first_coordinates_serve_for_all_without_a_shift(drive, observe):
    registered, _ = drive(register, observe(CRVAL1=213.9), {"corcoadd": "Use first WCS (no image shift)"})
    planes = [read_tangent_plane(image.header) for image in registered]
    np.testing.assert_allclose([plane.to_sky(50, 60) for plane in planes], [planes[0].to_sky(50, 60)] * 3, atol=1e-9)


def test_that_only_the_reference_pixel_changes(drive, observe):
    images = observe()
    registered, _ = drive(register, images, {"corcoadd": "Centroid"})
    for new, old in zip(registered, images, strict=True):
        assert new["FLUX"] is old["FLUX"]
        changed = {key for key in old.header if old.header[key] != new.header[key]}
        assert changed <= {"CRPIX1", "CRPIX2"}


def test_that_given_offsets_replace_the_algorithm(drive, observe):
    images = observe()
    registered, run = drive(register, images, {"corcoadd": "Centroid", "offsets": "0,0; 1.5,-2 ;3000,0.00001"})
    moves = [new.header["CRPIX1"] - old.header["CRPIX1"] for new, old in zip(registered, images, strict=True)]
    assert moves == pytest.approx([0.0, 1.5, 0.0])
    assert registered[2].header["CRPIX2"] == images[2].header["CRPIX2"]
    assert any("given offsets" in line for line in run.history_lines)


@pytest.mark.parametrize("text", ["1,2", "1,2;3;4,5", "a,b;1,2;3,4", "1,2;3,4;5,6;7,8", "nan,0;0,0;0,0"])
def test_that_offsets_must_be_one_pair_for_each_image(text):
    with pytest.raises(ParameterError, match="3 pairs"):
        parse_offsets(text, 3, 2000.0)


@pytest.mark.parametrize("method", ["Centroid", "Cross-correlation"])
def test_that_an_image_without_a_source_keeps_its_coordinates_with_a_warning(drive, observe, method):
    first, second, third = observe()
    empty = second.replace(FLUX=np.full(SHAPE, np.nan))
    registered, run = drive(register, (first, empty, third), {"corcoadd": method})
    assert registered[1].header["CRPIX1"] == second.header["CRPIX1"]
    assert len(run.warnings) == 1
    assert "m_2.fits" in run.warnings[0]
    assert np.abs(positions(registered)[2]).max() < 0.02


def test_that_a_shift_larger_than_allowed_is_not_believed(drive, observe, draw_stars):
    with pytest.raises(StepError, match="larger than 5 px"):
        measure_correlation_shift(
            draw_stars(SHAPE, (110.0, 95.0, 50.0)), draw_stars(SHAPE, (114.5, 99.5, 50.0)), (0.0, 0.0), 5.0
        )
    images = observe()
    registered, run = drive(register, images, {"corcoadd": "Cross-correlation", "xyshift": 2.0})
    assert registered[1].header["CRPIX1"] == images[1].header["CRPIX1"]
    assert len(run.warnings) == 2


def test_that_images_of_different_size_are_correlated(drive, observe):
    images = observe(shapes=[(200, 220), (210, 230), (190, 215)])
    registered, run = drive(register, images, {"corcoadd": "Cross-correlation"})
    assert not run.warnings
    assert np.abs(positions(registered)).max() < 0.02


def test_that_a_single_image_is_its_own_reference(drive, observe):
    (image,), _ = drive(register, observe()[:1], {"corcoadd": "Centroid"})
    assert image.header["CRPIX1"] == observe()[0].header["CRPIX1"]


def test_that_a_negative_neighbour_is_not_taken_for_the_source(draw_stars):
    first = draw_stars(SHAPE, (*STAR, 50.0), (60.0, 60.0, -90.0))
    second = draw_stars(SHAPE, (STAR[0] - 3, STAR[1] + 2, 50.0), (80.0, 40.0, -90.0))
    np.testing.assert_allclose(measure_centroid_shift(second, first, 4.5), (3.0, -2.0), atol=0.01)


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"DITHERX": 3.0, "DITHERY": 4.0, "SKY_ANGL": 180.0}, (3.0, 4.0)),
        ({"DITHERX": 3.0, "DITHERY": 4.0, "SKY_ANGL": 90.0}, (4.0, -3.0)),
        ({"DITHERX": 7.68, "DITHERY": 3.84, "DTHCRSYS": "ERF"}, (-10.0, 5.0)),
        ({"DITHERX": 7.68, "DITHERY": 3.84, "DTHCRSYS": None, "DITHERCS": 2}, (-10.0, 5.0)),
        ({"DITHER": False}, (0.0, 0.0)),
    ],
    ids=["detector", "turned", "sky", "old code", "none"],
)
def test_that_dithers_are_read_as_the_header_means_them(make_stacked, cards, expected):
    image = make_stacked(np.zeros((4, 4)))
    header = image.header.copy()
    for key, value in ({"DTHCRSYS": "SIRF"} | cards).items():
        if value is not None:
            header[key] = value
    np.testing.assert_allclose(read_dither(image.replace(header=header)), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"DITHERX": 3.0, "DITHERY": 4.0, "SKY_ANGL": 150.0}, (3.0, 4.0)),
        ({"DITHERX": 7.68, "DITHERY": 0.0, "DTHCRSYS": "ERF", "SKY_ANGL": 90.0}, (0.0, -10.0)),
    ],
    ids=["detector", "sky"],
)
def test_that_dithers_of_slit_images_are_not_turned_north_up(make_stacked, cards, expected):
    image = make_stacked(np.zeros((4, 4)))
    header = image.header.copy()
    header.update({"DTHCRSYS": "SIRF"} | cards)
    np.testing.assert_allclose(read_dither(image.replace(header=header), north_up=False), expected, atol=1e-9)


def test_that_a_missing_dither_gives_a_clear_error(drive, observe):
    with pytest.raises(HeaderError, match=r"m_1\.fits.*DITHERX"):
        drive(register, observe(DITHERX=None), {"corcoadd": "Header shifts"})


def test_that_missing_coordinates_give_a_clear_error(drive, observe):
    with pytest.raises(HeaderError, match="CRVAL1"):
        drive(register, observe(CRVAL1=None), {"corcoadd": "Centroid"})
