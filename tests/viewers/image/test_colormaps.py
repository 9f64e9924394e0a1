"""Colour maps: names, break points, inversion, contrast."""

import numpy as np
import pytest

from sofia_engine.errors import ParameterError
from sofia_viewers.colormaps import (
    DS9_MAPS,
    bend_table,
    list_color_maps,
    make_color_cycle,
    make_color_table,
)


@pytest.mark.parametrize("name", list_color_maps())
def test_that_every_listed_map_has_a_table_and_its_inverse_is_turned_round(name):
    table = make_color_table(name)
    assert table.shape == (255, 3)
    assert np.array_equal(make_color_table(name, invert=True), table[::-1]) or name in ("i8", "aips0")
    assert np.array_equal(make_color_table(f"{name}_r"), make_color_table(name, invert=True))


@pytest.mark.parametrize(
    ("name", "first", "middle", "last"),
    [
        ("grey", (0, 0, 0), (128, 128, 128), (255, 255, 255)),
        ("heat", (0, 0, 0), (255, 128, 0), (255, 255, 255)),
        ("b", (0, 0, 0), (255, 0, 0), (255, 255, 255)),
        ("bb", (0, 0, 0), (255, 128, 0), (255, 255, 255)),
        ("rainbow", (255, 0, 255), (0, 255, 128), (255, 0, 0)),
        ("i8", (0, 0, 0), (255, 0, 0), (255, 255, 255)),
    ],
)
def test_that_the_maps_of_ds9_have_their_colors(name, first, middle, last):
    table = make_color_table(name).astype(int)
    assert np.abs(table[[0, 127, 254]] - np.array([first, middle, last])).max() <= 1


def test_that_sls_runs_from_black_over_blue_green_and_red_to_white():
    table = make_color_table("sls").astype(int)
    assert table[0].tolist() == [0, 0, 0]
    assert table[-1].tolist() == [255, 255, 255]
    order = [int(np.argmax(score)) for score in (table @ [-1, -1, 2], table @ [-1, 2, -1], table @ [2, -1, -1])]
    assert order == sorted(order)


def test_that_ds9_names_win_over_those_of_matplotlib_which_stay_available():
    assert set(DS9_MAPS) <= set(list_color_maps())
    assert "mpl cool" in list_color_maps()
    assert not np.array_equal(make_color_table("cool"), make_color_table("mpl cool"))


def test_that_an_unknown_map_is_refused_and_the_closest_named():
    with pytest.raises(ParameterError, match="viridis"):
        make_color_table("viridiss")


def test_that_contrast_one_and_bias_half_change_nothing():
    table = make_color_table("viridis")
    assert np.array_equal(bend_table(table, 1.0, 0.5), table)


def test_that_bias_moves_the_middle_color_and_contrast_narrows_the_range():
    table = make_color_table("grey")
    assert bend_table(table, 1.0, 0.25)[63, 0] == pytest.approx(128, abs=2)
    steep = bend_table(table, 4.0, 0.5)[:, 0]
    assert np.count_nonzero((steep > 0) & (steep < 255)) == pytest.approx(255 / 4, abs=3)


def test_that_cycles_take_short_maps_as_they_are_and_sample_long_ones():
    assert make_color_cycle("tab10")[:2] == ["#1f77b4", "#ff7f0e"]
    assert len(make_color_cycle("tab10")) == 10
    assert len(make_color_cycle("viridis")) == 20
