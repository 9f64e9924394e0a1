from __future__ import annotations

import numpy as np

from sofia_engine.spectroscopy.region_files import format_fit_lines, format_points, join_regions


def test_that_points_are_counted_from_one():
    assert format_points([3.0, np.nan], [120.356119, 4.0]) == [
        "image;point(4.000000 121.356119) # point=x color=green tag={trace_pt}"
    ]


def test_that_segments_are_numbered_and_gaps_left_out():
    lines = format_fit_lines([5.0, 5.1, np.nan, 5.3], [90.0, 91.0, 92.0, 93.0])
    assert lines == [
        "wcs;linear;line(5.000000 90.000000 5.100000 91.000000) # color=red width=1 tag={trace_fit_1}",
        "wcs;linear;line(5.100000 91.000000 5.300000 93.000000) # color=red width=1 tag={trace_fit_2}",
    ]


def test_that_each_region_is_a_line_of_the_file():
    assert join_regions(["a", "b"]) == b"a\nb\n"
