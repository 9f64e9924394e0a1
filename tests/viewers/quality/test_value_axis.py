"""Labels of the trend plot have room at every width, and its legend hides no point."""

import itertools
from pathlib import Path

import pytest

from sofia_viewers.qt import QtGui, QtWidgets
from sofia_viewers.quality.metrics import Metrics
from sofia_viewers.quality.trend_plot import TrendPlot
from sofia_viewers.quality.value_axis import strip_common

STEPS = ["Check Headers", "Clean Images", "Correct Nonlinearity", "Stack Chops/Nods", "Merge Chops/Nods", "Coadd"]


@pytest.fixture
def plot(qtbot):
    """A plot of 24 products with long names."""
    rows = [
        Metrics(
            {
                "file": f"F0501_FO_IMA_90000101_FORF197_CAL_{n:04d}-{n + 3:04d}.fits",
                "step": f"{STEPS[n % 6]} {n // 6}",
                "product_type": f"type_{n % 12}",
                "time": 1.5e9 + 431.0 * n,
                "noise": 1.0 + n,
            },
            Path(f"{n}.fits"),
        )
        for n in range(24)
    ]
    made = TrendPlot()
    qtbot.addWidget(made)
    made.show()
    made.set_rows(rows)
    qtbot.waitUntil(lambda: not made.is_due)
    return made


@pytest.mark.parametrize("points", [9, 15])
@pytest.mark.parametrize("column", ["file", "step", "product_type", "time"])
@pytest.mark.parametrize("width", [300, 500, 900])
def test_that_labels_do_not_overlap(plot, qtbot, width, column, points):
    application = QtWidgets.QApplication.instance()
    before = application.font()
    larger = QtGui.QFont(before)
    larger.setPointSize(points)
    application.setFont(larger)
    try:
        plot.resize(width, 320)
        plot.choose(column, "noise")
        qtbot.wait(30)
        axis = plot.axes["bottom"]
        (low, high), size = axis.range, axis.size().width()
        ((spacing, values), *_) = axis.tickValues(low, high, size)
        labels = axis.tickStrings(values, 1.0, spacing)
        assert len(labels) > 1
        assert all(labels)
        font = QtGui.QFontMetricsF(larger)
        widths = [max(font.horizontalAdvance(line) for line in label.split("\n")) for label in labels]
        places = [(value - low) / (high - low) * size for value in values]
        ends = [(place - wide / 2, place + wide / 2) for place, wide in zip(places, widths, strict=True)]
        assert all(left[1] < right[0] for left, right in itertools.pairwise(ends))
    finally:
        application.setFont(before)


@pytest.mark.parametrize("height", [220, 600])
def test_that_the_legend_lies_beside_the_points_and_is_whole(plot, qtbot, height):
    plot.resize(700, height)
    plot.choose("time", "noise", "product_type")
    qtbot.waitUntil(lambda: plot.legend.isVisible() and plot.legend.geometry().width() > 20)
    qtbot.wait(50)
    place = plot.legend.sceneBoundingRect()
    assert place.left() > plot.plot.getPlotItem().vb.sceneBoundingRect().right() - 1
    assert plot.plot.sceneRect().contains(place)
    plot.choose("time", "noise", "")
    qtbot.waitUntil(lambda: not plot.legend.items)


@pytest.mark.parametrize(
    ("words", "stripped"),
    [
        (("F0501_CAL_0001.fits", "F0501_CAL_0002.fits"), ("…0001", "…0002")),
        (("cleaned", "cleaned_2"), ("cleaned", "cleaned_2")),
        (("one.fits",), ("one.fits",)),
        (("a_long_name_.fits", "a_long_name_2.fits"), ("a_long_name_.fits", "a_long_name_2.fits")),
    ],
)
def test_that_what_names_share_is_left_out_unless_nothing_is_left(words, stripped):
    assert strip_common(words) == stripped
