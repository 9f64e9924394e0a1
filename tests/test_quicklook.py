"""Quick-look maps: the picture's size, colours, crop, contours, beam, ticks; bad parameters; another process."""

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sofia_engine.drawing.png import encode_png
from sofia_engine.errors import InputError, ParameterError
from sofia_engine.map_figure import Beam, ImageMap
from sofia_engine.numerics.sky_ticks import choose_step, label_angle, place_ticks
from sofia_engine.numerics.tangent_plane import TangentPlane
from sofia_engine.pipeline.parameters import Setting
from sofia_engine.quicklook import MapParameters, render_map

SCALE = 0.768 / 3600
PLANE = TangentPlane((60.0, 40.0), (213.9, 19.18), ((-SCALE, 0.0), (0.0, SCALE)))


def make_map(**changes):
    image = np.full((90, 120), np.nan)
    image[10:80, 15:105] = np.random.default_rng(1).normal(0, 1, (70, 90))
    values = {"image": image, "plane": PLANE, "title": "Object: X", "subtitle": "Filename: x.fits", "unit": "Jy/pixel"}
    return ImageMap(**(values | {"equinox": 2000.0, "beam": Beam(5 * SCALE, 3 * SCALE, 20.0)} | changes))


def draw(content=None, **look):
    png = render_map(content or make_map(), MapParameters(**look))
    picture = Image.open(io.BytesIO(png))
    return picture, np.asarray(picture).astype(int)


def count_changed(first, second):
    return int(np.count_nonzero(np.abs(first - second).sum(axis=2) > 30))


def test_that_the_map_is_an_8_inch_png_of_300_dots_per_inch():
    picture, _ = draw()
    assert picture.format == "PNG"
    assert picture.size == (2400, 2400)
    assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_that_the_encoder_keeps_every_pixel():
    pixels = np.random.default_rng(3).integers(0, 256, (7, 11, 3), dtype=np.uint8)
    with Image.open(io.BytesIO(encode_png(pixels, 300))) as picture:
        assert picture.info["dpi"] == pytest.approx((300, 300), rel=1e-4)
        np.testing.assert_array_equal(np.asarray(picture), pixels)


def test_that_drawing_needs_no_library_of_the_reduction():
    code = "import sys, sofia_engine.map_figure; assert not {'astropy', 'pydantic', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_that_nothing_reaches_the_edge_of_the_figure():
    _, pixels = draw(
        make_map(unit="MJy/sr per something long", image=np.random.default_rng(2).normal(0, 1e9, (90, 120)))
    )
    for edge in (pixels[:10], pixels[-10:], pixels[:, :10], pixels[:, -10:]):
        assert (edge == 255).all()


def test_that_pixels_have_the_colors_of_the_map_and_bad_ones_are_white():
    image = np.tile(np.linspace(0, 1, 100), (100, 1))
    image[40:60, 40:60] = np.nan
    _, pixels = draw(make_map(image=image, plane=None, beam=None), colormap="gray", scale=(0, 100))
    frame = pixels[300:2050, 480:1920]
    middle = frame[frame.shape[0] // 2, frame.shape[1] // 2]
    assert (middle == 255).all()
    levels = frame[200, ::200, 0]
    assert (np.diff(levels) > 0).all()


def test_that_empty_borders_are_cut_off_only_when_wanted():
    colored = []
    for crop in (True, False):
        _, pixels = draw(make_map(beam=None), crop_border=crop)
        field = pixels[:, :1930]
        colored.append(np.count_nonzero(np.ptp(field, axis=2) > 40))
    assert colored[0] > 1.4 * colored[1]


@pytest.mark.parametrize(
    "look",
    [
        {"n_contour": 5, "contour_color": "white"},
        {"n_contour": 1, "contour_color": "white"},
        {"n_contour": 5, "fill_contours": True},
        {"grid": True},
        {"beam": False},
        {"watermark": "DRAFT $x_"},
        {"colormap": "viridis"},
        {"scale": (20.0, 80.0)},
    ],
    ids=lambda look: "-".join(look),
)
def test_that_each_choice_changes_the_picture(look):
    _, plain = draw()
    _, changed = draw(**look)
    assert count_changed(plain, changed) > 200


def test_that_a_turned_map_has_a_grid_always():
    turn = np.radians(30)
    matrix = ((-SCALE * np.cos(turn), -SCALE * np.sin(turn)), (-SCALE * np.sin(turn), SCALE * np.cos(turn)))
    content = make_map(plane=TangentPlane(PLANE.pixel, PLANE.sky, matrix))
    assert count_changed(draw(content)[1], draw(content, grid=True)[1]) == 0


def test_that_the_beam_is_drawn_along_its_position_angle():
    """The ellipse, as the difference of maps with and without, is longest in the direction of BPA, east of north."""
    blank = np.zeros((200, 200))
    blank[0, 0], blank[-1, -1] = 1e-3, 1e-3
    for angle, expected in ((0.0, 90.0), (30.0, 120.0), (90.0, 0.0)):
        content = make_map(image=blank, beam=Beam(30 * SCALE, 6 * SCALE, angle))
        without = draw(content, beam=False, crop_border=False)[1]
        rows, columns = np.nonzero(np.abs(draw(content, crop_border=False)[1] - without).sum(axis=2) > 30)
        ellipse = rows < rows.max() - 75  # the words below it
        x, y = columns[ellipse], -rows[ellipse]
        values, vectors = np.linalg.eigh(np.cov(x, y))
        direction = np.degrees(np.arctan2(*vectors[::-1, np.argmax(values)])) % 180
        assert min(abs(direction - expected), 180 - abs(direction - expected)) < 4


def test_that_a_map_without_coordinates_shows_pixels():
    assert draw(make_map(plane=None))[0].size == (2400, 2400)


def test_that_a_constant_image_can_be_shown():
    assert draw(make_map(image=np.ones((20, 20))))[0].size == (2400, 2400)


def test_that_an_image_without_a_value_is_refused():
    with pytest.raises(InputError, match="no finite pixel"):
        render_map(make_map(image=np.full((5, 5), np.nan)))


def test_that_an_unknown_color_map_names_the_closest():
    with pytest.raises(ParameterError, match="did you mean 'plasma'"):
        render_map(make_map(), MapParameters(colormap="plasmaa"))


def test_that_an_unknown_contour_color_is_refused():
    with pytest.raises(ParameterError, match="no-color"):
        render_map(make_map(), MapParameters(n_contour=3, contour_color="no-color"))


@pytest.mark.parametrize("scale", ["5", "50, 20", "-1, 50", "0, 101"])
def test_that_percentiles_must_be_in_order(scale):
    with pytest.raises(ParameterError, match="scale"):
        MapParameters.make({"scale": Setting(scale)}, step="imgmap")


def test_that_the_defaults_are_those_of_the_manual():
    assert MapParameters().by_key() == {
        "colormap": "plasma", "scale": [0.25, 99.9], "n_contour": 0, "contour_color": "gray", "fill_contours": False,
        "grid": False, "beam": True, "watermark": "", "crop_border": True,
    }  # fmt: skip


def test_that_the_image_is_not_changed():
    content = make_map()
    before = content.image.copy()
    render_map(content)
    np.testing.assert_array_equal(content.image, before)


def test_that_content_and_parameters_can_be_sent_to_another_process():
    content, look = pickle.loads(pickle.dumps((make_map(), MapParameters(grid=True))))
    assert render_map(content, look) == render_map(make_map(), MapParameters(grid=True))


def test_that_importing_the_module_does_not_import_matplotlib():
    code = "import sys, sofia_engine.quicklook; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    ("angle", "kind", "step", "expected"),
    [
        (213.9375, "hours", 5 / 240, "14ʰ15ᵐ45ˢ"),
        (213.9375, "hours", 60 / 240, "14ʰ15ᵐ"),
        (-5.5, "degrees", 1 / 60, "−05°30′"),
        (19.2, "degrees", 0.5 / 3600, "+19°12′00.0″"),
        (359.99999999, "hours", 1 / 240, "00ʰ00ᵐ00ˢ"),
        (-1e-9, "degrees", 1 / 3600, "+00°00′00″"),
    ],
)
def test_that_angles_are_written_as_precisely_as_the_step_needs(angle, kind, step, expected):
    assert label_angle(angle, kind, step) == expected


@given(st.floats(1e-5, 60.0), st.sampled_from(["hours", "degrees"]), st.integers(2, 10))
@settings(deadline=None)
def test_that_a_step_gives_at_most_the_number_of_ticks_wanted(span, kind, count):
    step = choose_step(span, kind, count)
    assert span / step <= count * (1 + 1e-6)
    assert span / step > count / 11


def test_that_ticks_lie_where_the_coordinate_has_their_value():
    x = np.linspace(0, 100, 50)
    longitude, _ = PLANE.to_sky(x, 0.0)
    ticks = place_ticks(x, longitude, "hours", 1 / 240)
    assert len(ticks) >= 4
    for tick in ticks:
        assert float(PLANE.to_sky(tick.position, 0.0)[0]) == pytest.approx(tick.angle, abs=1e-7)
    assert ticks[0].label.startswith("14ʰ")
    assert all(len(tick.label) < 6 for tick in ticks[1:])


def test_that_ticks_cross_the_meridian_of_zero():
    ticks = place_ticks([0.0, 1.0, 2.0, 3.0], [0.02, 0.01, 359.999999, 359.99], "hours", 1 / 240)
    assert any(tick.label.endswith("00ˢ") for tick in ticks)
    assert [tick.position for tick in ticks] == sorted(tick.position for tick in ticks)
