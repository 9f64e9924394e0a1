"""Slit spectra: what a product says of apertures and background, and dragging them in the profile."""

import math
import os
import time
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("PySide6")

from sofia_engine.product import Product
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from sofia_viewers.spectrum.slit import ApertureMark, SlitMarks, place_columns, read_slits, shift_traces, sum_apertures
from sofia_viewers.spectrum.slit_view import EDITS, POSITIONS, PSF_RADII, RADII, REGIONS, SlitView

SLIT, WAVE = np.arange(40) * 0.5, np.linspace(8.0, 10.0, 60)
LINE = 100.0 * (1.0 + (np.abs(WAVE - 9.0) < 0.1))
"""Spectrum of the source, sum over the slit."""
CARDS = {"APPOSO01": "10.000", "APSGNO01": "1", "APFWHM01": "2.000", "APRADO01": "1.400", "PSFRAD01": "4.300",
         "BGR": "1.000-4.000,16.000-19.000"}  # fmt: skip


def make_product(cards=CARDS, suffixes=("",), background=5.0, extracted=True):
    """A Gaussian source at 10 arcsec on an even background, without noise."""
    shape = np.exp(-0.5 * ((SLIT - 10.0) / 0.8) ** 2)
    shape /= shape.sum()
    header = fits.Header()
    header.update({"FILENAME": "slit.fits", **cards})
    planes, units = {}, {}
    for suffix in suffixes:
        planes |= {
            f"FLUX{suffix}": shape[:, None] * LINE + background, f"WAVEPOS{suffix}": WAVE, f"SLITPOS{suffix}": SLIT,
            f"SPATIAL_PROFILE{suffix}": shape, f"APERTURE_TRACE{suffix}": 10.0 + 0.1 * (WAVE[None] - 9.0),
        }  # fmt: skip
        units |= {f"FLUX{suffix}": "Me/s", f"WAVEPOS{suffix}": "um", f"SLITPOS{suffix}": "arcsec"}
        if extracted:
            planes[f"SPECTRAL_FLUX{suffix}"] = LINE[None]
    return Product.of(header, planes, units=units)


def test_that_planes_and_keywords_make_a_slit_spectrum():
    (slit,) = read_slits(make_product())
    assert slit.image.shape == (40, 60)
    assert slit.marks == SlitMarks((ApertureMark(10.0, 1.4, 4.3, 1),), ((1.0, 4.0), (16.0, 19.0)))
    assert slit.units == {"image": "Me/s", "wave": "um", "slit": "arcsec", "flux": ""}
    assert slit.flux.shape == slit.traces.shape == (1, 60)


def test_that_each_order_is_a_slit_spectrum_with_its_own_keywords():
    cards = {**CARDS, "APPOSO02": "12.000", "APSGNO02": "-1", "APFWHM02": "2.0", "BGR_O02": "2.000-3.000"}
    del cards["BGR"]
    first, second = read_slits(make_product(cards, ("_ORDER_02", "_ORDER_01")))
    assert (first.order, second.order) == (1, 2)
    assert second.marks.apertures[0].sign == -1
    assert math.isnan(second.marks.apertures[0].radius)
    assert second.marks.background == ((2.0, 3.0),)


def test_that_products_without_slit_are_passed_over():
    assert read_slits(Product.of(fits.Header(), {"FLUX": np.zeros((4, 4))})) == ()
    product = make_product()
    planes = {name: product[name] for name in product.planes}
    assert read_slits(Product.of(product.header, planes | {"FLUX": np.zeros((3, 3))})) == ()


def test_that_a_product_whose_apertures_are_not_located_yet_has_no_marks():
    (slit,) = read_slits(make_product({}, extracted=False))
    assert slit.marks == SlitMarks()
    assert slit.flux.shape == (0, 60)


def test_that_the_plain_sum_gives_the_spectrum_without_background():
    (slit,) = read_slits(make_product())
    (sums,) = sum_apertures(slit, slit.marks)
    np.testing.assert_allclose(sums, LINE, rtol=2e-3)


def test_that_the_plain_sum_leaves_bad_pixels_out_and_is_nan_where_none_is_good():
    (slit,) = read_slits(make_product())
    image = slit.image.copy()
    image[:, 7] = np.nan
    image[20, 8] = np.nan
    before = image.copy()
    (sums,) = sum_apertures(replace(slit, image=image), slit.marks)
    np.testing.assert_array_equal(image, before)
    assert math.isnan(sums[7])
    assert 0 < sums[8] < sums[9]


def test_that_a_negative_source_gives_a_positive_spectrum():
    (slit,) = read_slits(make_product())
    marks = slit.marks.with_aperture(0, sign=-1)
    np.testing.assert_allclose(sum_apertures(slit, marks), -sum_apertures(slit, slit.marks))


def test_that_traces_move_with_their_apertures():
    (slit,) = read_slits(make_product())
    moved = shift_traces(slit, slit.marks.with_aperture(0, position=12.5))
    np.testing.assert_allclose(moved, slit.traces + 2.5)
    two = SlitMarks((ApertureMark(5.0), ApertureMark(15.0)))
    np.testing.assert_array_equal(shift_traces(slit, two), np.repeat([[5.0], [15.0]], 60, axis=1))


@pytest.mark.parametrize("wave", [WAVE, WAVE[::-1], WAVE**2])
def test_that_columns_are_drawn_where_their_wavelengths_are(wave):
    columns, left, right = place_columns(wave)
    step = (right - left) / wave.size
    drawn = left + (np.arange(wave.size) + 0.5) * step
    assert np.abs(wave[columns] - drawn).max() <= np.abs(np.diff(wave)).max() / 2 + 1e-9


# -- the view --------------------------------------------------------------------------------------------------------


@pytest.fixture
def view(qtbot):
    widget = SlitView()
    widget.resize(900, 640)
    qtbot.addWidget(widget)
    widget.show()
    widget.set_editable(frozenset(EDITS))
    widget.show_slit(read_slits(make_product())[0])
    QtWidgets.QApplication.processEvents()
    return widget


def drag(plot, start, stop, steps=5):
    """Drag with the left button from one slit position to another, as a hand does."""
    viewport, box = plot.viewport(), plot.getPlotItem().getViewBox()
    x = sum(box.viewRange()[0]) / 2

    def send(kind, value, button, buttons):
        point = QtCore.QPointF(plot.mapFromScene(box.mapViewToScene(QtCore.QPointF(x, value))))
        no_keys = Qt.KeyboardModifier.NoModifier
        event = QtGui.QMouseEvent(kind, point, viewport.mapToGlobal(point), button, buttons, no_keys)
        QtWidgets.QApplication.sendEvent(viewport, event)
        QtWidgets.QApplication.processEvents()
        time.sleep(0.012)  # moves that follow each other faster are left out

    left, none, kinds = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton, QtCore.QEvent.Type
    send(kinds.MouseMove, start, none, none)
    send(kinds.MouseButtonPress, start, left, left)
    for step in range(1, steps + 1):
        send(kinds.MouseMove, start + (stop - start) * step / steps, none, left)
    send(kinds.MouseButtonRelease, stop, left, none)


def test_that_an_aperture_follows_the_mouse_with_all_its_lines(view, qtbot):
    with qtbot.waitSignal(view.edited, timeout=60_000) as told:
        drag(view.profile_plot, 10.0, 12.0)
    marks, what = told.args
    assert what == POSITIONS
    assert marks.apertures[0].position == pytest.approx(12.0, abs=0.15)
    assert marks.apertures[0].radius == 1.4
    position = marks.apertures[0].position
    assert view.lines[0, RADII, 1].value() == pytest.approx(position + 1.4)
    assert view.lines[0, PSF_RADII, -1].value() == pytest.approx(position - 4.3)


def test_that_dragging_a_radius_line_moves_its_twin(view, qtbot):
    with qtbot.waitSignal(view.edited, timeout=60_000) as told:
        drag(view.profile_plot, 14.3, 13.0)
    marks, what = told.args
    assert what == PSF_RADII
    radius = marks.apertures[0].psf_radius
    assert radius == pytest.approx(3.0, abs=0.15)
    assert view.lines[0, PSF_RADII, -1].value() == pytest.approx(10.0 - radius)
    assert marks.apertures[0].position == 10.0


def test_that_an_edge_of_a_background_region_is_dragged(view, qtbot):
    with qtbot.waitSignal(view.edited, timeout=60_000) as told:
        drag(view.profile_plot, 4.0, 5.0)
    marks, what = told.args
    assert what == REGIONS
    assert marks.background[0] == pytest.approx((1.0, 5.0), abs=0.15)
    assert marks.background[1] == (16.0, 19.0)


def test_that_nothing_can_be_dragged_where_no_parameter_takes_it(view, qtbot):
    view.set_editable(frozenset())
    with qtbot.assertNotEmitted(view.edited):
        drag(view.profile_plot, 10.0, 12.0)
    assert view.marks.apertures[0].position == 10.0


def test_that_apertures_stay_in_the_slit_and_pass_no_neighbour(view):
    view.show_marks(SlitMarks((ApertureMark(5.0), ApertureMark(10.0))))
    view._drag_line(0, POSITIONS, 30.0)
    assert view.marks.apertures[0].position == 9.5
    view._drag_line(0, POSITIONS, -5.0)
    assert view.marks.apertures[0].position == 0.0


def test_that_the_spectrum_shows_the_plain_sum_while_an_aperture_is_elsewhere(view):
    names = [item.name() for item in view.spectrum_plot.getPlotItem().listDataItems()]
    assert names == ["extracted"]
    view.show_marks(view.marks.with_aperture(0, position=16.0))
    items = view.spectrum_plot.getPlotItem().listDataItems()
    assert [item.name() for item in items] == ["extracted", "plain sum"]
    old, new = (item.opts["pen"].color().alphaF() for item in items)
    assert old < 0.5 < new  # the one that is out of date steps back
    assert np.nanmax(items[1].yData) < LINE.min() / 2
    view.show_marks(view.slit.marks)
    assert len(view.spectrum_plot.getPlotItem().listDataItems()) == 1


def test_that_zoom_stays_when_the_same_range_is_shown_again_and_axes_are_linked(view):
    view.image_plot.setYRange(5, 15, padding=0)
    view.image_plot.setXRange(8.5, 9.5, padding=0)
    view.show_slit(read_slits(make_product(background=6.0))[0])
    QtWidgets.QApplication.processEvents()
    assert view.image_plot.viewRange()[1] == pytest.approx([5, 15])
    assert view.profile_plot.viewRange()[1] == pytest.approx([5, 15], abs=0.2)
    assert view.spectrum_plot.viewRange()[0] == pytest.approx([8.5, 9.5], abs=0.05)
    view.zoom_to_apertures()
    assert view.image_plot.viewRange()[1] == pytest.approx([0, 19.5], abs=1.0)
