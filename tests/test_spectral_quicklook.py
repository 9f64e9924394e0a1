"""Quick-look figures of spectra, and plots of curves."""

import io

import numpy as np
import pytest
from PIL import Image

from sofia_engine.errors import InputError
from sofia_engine.map_figure import ImageMap, LinearAxes
from sofia_engine.plots import Curve, CurvePlot, render_plot
from sofia_engine.spectral_quicklook import (
    SpectralMap,
    SpectralMapParameters,
    SpectrumCurve,
    parse_point,
    render_spectral_map,
)

WAVES = np.linspace(5, 8, 100)
FLUX = 1 + np.exp(-0.5 * ((WAVES - 6.5) / 0.1) ** 2)
CURVE = SpectrumCurve(WAVES, FLUX, 0.05 * FLUX, np.linspace(1, 0.5, 100))


def size_and_ink(content):
    picture = Image.open(io.BytesIO(content))
    pixels = np.asarray(picture.convert("RGB"))
    return picture.size, float((pixels < 250).any(axis=2).mean())


def test_that_a_lone_spectrum_is_drawn_on_a_low_figure():
    (width, height), ink = size_and_ink(render_spectral_map(SpectralMap((CURVE,), "title")))
    assert (width, height) == (2400, 1500)
    assert ink > 0.01


def test_that_an_image_stands_above_its_spectrum():
    image = ImageMap(np.outer(np.hanning(50), FLUX), axes=LinearAxes((5.0, 0.0), (0.03, 0.768), ("x", "y")))
    with_image = render_spectral_map(SpectralMap((CURVE,), "title", image=image, mark=6.5))
    (width, height), ink = size_and_ink(with_image)
    assert (width, height) == (2400, 2400)
    assert ink > size_and_ink(render_spectral_map(SpectralMap((CURVE,), "title")))[1]


def test_that_error_band_and_transmission_can_be_left_out():
    content = SpectralMap((CURVE,), "title")
    full = size_and_ink(render_spectral_map(content))[1]
    bare = size_and_ink(render_spectral_map(content, SpectralMapParameters(atran_plot=False, error_plot=False)))[1]
    assert bare < full


def test_that_several_spectra_and_cut_ends_are_drawn():
    content = SpectralMap((CURVE, SpectrumCurve(WAVES, 2 * FLUX, name="second")), "title")
    look = SpectralMapParameters(ignore_outer=0.2, spec_scale=(1.0, 99.0))
    assert render_spectral_map(content, look).startswith(b"\x89PNG")


def test_that_a_spectrum_without_values_is_refused():
    with pytest.raises(InputError, match="no finite flux"):
        render_spectral_map(SpectralMap((SpectrumCurve(WAVES, np.full(100, np.nan)),), "title"))


@pytest.mark.parametrize(("text", "point"), [("", None), ("3,4", (3, 4)), (" 10 , 0 ", (10, 0))])
def test_that_points_are_read(text, point):
    assert parse_point(text) == point


@pytest.mark.parametrize("text", ["3", "a,b", "1,2,3", "-1,2", "1.5,2"])
def test_that_other_texts_are_no_points(text):
    with pytest.raises(ValueError, match="two whole numbers"):
        parse_point(text)


def test_that_panels_of_curves_stand_above_each_other():
    curve = Curve(WAVES, FLUX, "a", strong=True)
    one = size_and_ink(render_plot(CurvePlot((curve,), "t", "x", "y")))[0]
    two = size_and_ink(render_plot(CurvePlot((curve,)), CurvePlot((Curve(WAVES, FLUX, style="scatter"),))))[0]
    assert (one[0], two[0]) == (2400, 2400)
    assert two[1] > 1.7 * one[1]
