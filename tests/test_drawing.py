"""What quick-look pictures are drawn with: ticks, lines, texts and colours."""

import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sofia_engine.drawing.axes import Frame
from sofia_engine.drawing.canvas import Box, Canvas, Lettering, Stroke
from sofia_engine.drawing.colors import BLACK, find_color, find_color_table
from sofia_engine.drawing.ticks import find_ticks, round_step
from sofia_engine.errors import ParameterError


def ink(canvas):
    """Darkness of each pixel, from 0 to 1."""
    return 1 - np.asarray(canvas.picture).astype(float).mean(axis=2) / 255


@pytest.fixture
def canvas():
    return Canvas.of_size(1, 1, 200)


class TestTicks:
    @pytest.mark.parametrize(
        ("low", "high", "most", "labels", "factor"),
        [
            (0.0, 5.2, 9, ["0", "1", "2", "3", "4", "5"], ""),
            (0.711, 0.88, 9, ["0.72", "0.74", "0.76", "0.78", "0.80", "0.82", "0.84", "0.86", "0.88"], ""),
            (-1.0, 1.0, 4, ["−1.0", "−0.5", "0.0", "0.5", "1.0"], ""),
            (0.0, 3e-7, 3, ["0", "1", "2", "3"], "1e−7"),
            (0.0, 4e7, 2, ["0", "2", "4"], "1e7"),
        ],
    )
    def test_that_ticks_are_round_and_say_what_is_needed(self, low, high, most, labels, factor):
        ticks = find_ticks(low, high, most)
        assert (list(ticks.labels), ticks.factor) == (labels, factor)

    @given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6), most=st.integers(1, 9), up=st.integers(0, 6))
    def test_that_ticks_lie_inside_and_their_labels_are_their_values(self, low, span, most, up):
        ticks = find_ticks(low, low + span, most, (-5, up))
        step = round_step(span / most)
        factor = float(ticks.factor.replace("−", "-") or 1)
        assert 2 <= len(ticks.values) <= max(most + 1, 5)
        for value, label in zip(ticks.values, ticks.labels, strict=True):
            assert low - 1e-6 * step <= value <= low + span + 1e-6 * step
            assert float(label.replace("−", "-")) * factor == pytest.approx(value, abs=1e-2 * step)

    @given(st.floats(1e-12, 1e12))
    def test_that_a_round_step_is_the_next_larger_one(self, least):
        step = round_step(least)
        assert least * (1 - 1e-6) <= step <= 2.5 * least


class TestCanvas:
    def test_that_a_slanted_line_covers_its_length_times_its_width(self, canvas):
        canvas.draw_lines([np.array([[40.0, 30.0], [160.0, 150.0]])], Stroke(BLACK, 1.8))
        assert ink(canvas).sum() == pytest.approx(np.hypot(120, 120) * 5, rel=0.05)

    def test_that_lines_along_rows_have_sharp_edges(self, canvas):
        canvas.draw_lines([np.array([[40.0, 50.3], [160.0, 50.3], [160.0, 120.7]])], Stroke(BLACK, 1.08))
        assert set(np.unique(ink(canvas))) == {0.0, 1.0}

    def test_that_opacity_and_dashes_take_ink_away_in_proportion(self, canvas):
        line = [np.array([[10.0, 15.0], [190.0, 175.0]])]
        amounts = []
        for stroke in (Stroke(BLACK, 1.8), Stroke(BLACK, 1.8, 0.25), Stroke(BLACK, 1.8, dash=(2.0, 2.0))):
            fresh = Canvas.of_size(1, 1, 200)
            fresh.draw_lines(line, stroke)
            amounts.append(ink(fresh).sum())
        assert amounts[1] / amounts[0] == pytest.approx(0.25, rel=0.02)
        assert amounts[2] / amounts[0] == pytest.approx(0.5, rel=0.2)

    def test_that_nothing_is_drawn_outside_of_the_clip(self, canvas):
        clip = Box(50, 60, 100, 120)
        canvas.draw_lines([np.array([[0.0, 0.0], [200.0, 190.0]])], Stroke(), clip)
        canvas.draw_areas([np.array([[-50.0, -50.0], [300.0, 100.0], [90.0, 300.0]])], BLACK, 0.5, clip)
        drawn = ink(canvas)
        assert drawn[60:120, 50:100].sum() > 500
        assert drawn.sum() == drawn[60:120, 50:100].sum()

    def test_that_an_area_covers_what_its_corners_enclose(self, canvas):
        canvas.draw_areas([np.array([[20.0, 20.0], [120.0, 20.0], [20.0, 170.0]])], BLACK)
        assert ink(canvas).sum() == pytest.approx(7500, rel=0.02)

    def test_that_texts_stand_where_they_are_told(self, canvas):
        canvas.write(100, 100, "MMM", Lettering(10, across="center", up="middle"))
        rows, columns = np.nonzero(ink(canvas) > 0.5)
        assert rows.mean() == pytest.approx(100, abs=2)
        assert columns.mean() == pytest.approx(100, abs=2)
        upright = Canvas.of_size(1, 1, 200)
        upright.write(100, 100, "MMM", Lettering(10, across="center", up="middle", upright=True))
        turned_rows, turned_columns = np.nonzero(ink(upright) > 0.5)
        assert np.ptp(turned_rows) == np.ptp(columns)
        assert turned_rows.mean() == pytest.approx(100, abs=2)
        assert turned_columns.mean() == pytest.approx(100, abs=2)

    def test_that_lines_of_a_text_stand_above_each_other(self, canvas):
        canvas.write(100, 150, "a\nb\nc", Lettering(10))
        rows = np.flatnonzero((ink(canvas) > 0.5).any(axis=1))
        assert np.count_nonzero(np.diff(rows) > 3) == 2

    def test_that_an_image_stands_with_its_first_row_at_the_bottom(self, canvas):
        pixels = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]], dtype=np.uint8)
        canvas.show(Box(0, 0, 200, 200), pixels)
        corners = [canvas.picture.getpixel(place) for place in ((0, 199), (199, 199), (0, 0), (199, 0))]
        assert corners == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9)]

    def test_that_the_picture_is_encoded_as_it_is(self, canvas):
        canvas.write(100, 100, "text", Lettering(10))
        with Image.open(io.BytesIO(canvas.encode())) as read:
            np.testing.assert_array_equal(np.asarray(read), np.asarray(canvas.picture))


class TestFrame:
    def test_that_missing_values_break_a_curve(self, canvas):
        frame = Frame.at(canvas, (0.0, 0.0, 1.0, 1.0), (0.0, 10.0), (0.0, 1.0))
        frame.draw_curve(np.arange(11.0), np.where(np.arange(11) == 5, np.nan, 0.5), Stroke())
        columns = np.flatnonzero((ink(canvas) > 0).any(axis=0))
        assert list(columns[[0, -1]]) == [0, 199]
        assert not np.isin(np.arange(85, 116), columns).any()

    def test_that_the_legend_stands_where_the_fewest_points_are(self, canvas):
        frame = Frame.at(canvas, (0.0, 0.0, 1.0, 1.0), (0.0, 1.0), (0.0, 1.0))
        points = frame.to_pixels([0.1, 0.9, 0.9], [0.9, 0.9, 0.1])
        frame.draw_legend(["a"], [BLACK], points)
        rows, columns = np.nonzero(ink(canvas) > 0.5)
        assert rows.min() > 100
        assert columns.max() < 100


class TestColors:
    @pytest.mark.parametrize("name", ["plasma", "gray", "viridis"])
    def test_that_tables_are_those_of_matplotlib(self, name):
        from matplotlib import colormaps

        expected = (colormaps[name](np.arange(256) / 255)[:, :3] * 255).round()
        np.testing.assert_array_equal(find_color_table(name), expected)

    @pytest.mark.parametrize("name", ["gray", "white", "navy", "#1f77b4", "r", "C1", "0.5", "tab:olive"])
    def test_that_colors_are_those_of_matplotlib(self, name):
        from matplotlib.colors import to_rgb

        assert find_color(name) == pytest.approx([255 * part for part in to_rgb(name)], abs=0.51)

    def test_that_unknown_names_are_refused(self):
        with pytest.raises(ParameterError, match="did you mean 'viridis'"):
            find_color_table("viridiss")
        with pytest.raises(ValueError, match="no-color"):
            find_color("no-color")


def test_that_a_picture_with_default_colors_needs_no_plotting_library():
    code = """
import sys
import numpy as np
from sofia_engine.map_figure import ImageMap, Look
from sofia_engine.spectral_figure import SpectralLook, SpectralMap, SpectrumCurve, render_spectral_figure
line = np.arange(9.0)
look = SpectralLook(Look("plasma", (0.0, 100.0), 0, "gray", False, True, "words"))
image = ImageMap(np.outer(line, line))
render_spectral_figure(SpectralMap((SpectrumCurve(line, line, line, line),), image=image), look)
assert 'matplotlib' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
