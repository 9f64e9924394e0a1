"""Parts of products, and whether steps can be done on them."""

from collections.abc import Sequence

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.header.celestial import read_tangent_plane
from sofia_engine.pipeline.cutout import Box, Cutout, cut_product, explain_refusal, find_image_shape
from sofia_engine.pipeline.parameters import Parameters, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import Step, step
from sofia_engine.product import Product


class PlainParameters(Parameters):
    smooth: bool = parameter(False, label="Smooth", help="Smooth it.")


def make_image(shape: tuple[int, ...] = (30, 40), **cards: object) -> Product:
    header = fits.Header({"FILENAME": "a.fits", "CRPIX1": 20.5, "CRPIX2": 12.0, "CRVAL1": 83.8, "CRVAL2": -5.4,
                          "CDELT1": -2e-4, "CDELT2": 2e-4, "CROTA2": 30.0, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN",
                          "SRCPOSX": 11.25, "SRCPOSY": 7.5} | cards)  # fmt: skip
    flux = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return Product.of(header, {"FLUX": flux, "ERROR": flux + 1, "WAVEPOS": np.arange(7.0)})


def declare(cutout: Cutout | str | None) -> Step:
    @step("plain", label="Plain", cutout=cutout)
    def plain(image: Product, p: PlainParameters, run: Run) -> Product:
        return image

    return plain


@given(st.integers(0, 39), st.integers(0, 29), st.integers(1, 40), st.integers(1, 30))
def test_that_a_part_keeps_pixels_errors_and_places_on_the_sky(x: int, y: int, nx: int, ny: int) -> None:
    whole = make_image()
    box = Box(x, y, min(nx, 40 - x), min(ny, 30 - y))
    part = cut_product(whole, box)
    for name in ("FLUX", "ERROR"):
        assert np.array_equal(part[name], whole[name][y : y + box.ny, x : x + box.nx])
    assert part["WAVEPOS"].shape == (7,), "what is no image is left alone"
    there = read_tangent_plane(whole.header).to_sky(x + 3.0, y + 2.0)
    assert np.allclose(read_tangent_plane(part.header).to_sky(3.0, 2.0), there, rtol=0, atol=1e-10)
    assert (part.header["SRCPOSX"], part.header["SRCPOSY"]) == pytest.approx((11.25 - x, 7.5 - y))
    assert (part.header["LTV1"], part.header["LTV2"]) == (-x, -y)
    assert whole["FLUX"].shape == (30, 40), "the input is unchanged"


def test_that_a_part_of_a_part_knows_its_place_in_the_whole() -> None:
    part = cut_product(cut_product(make_image(), Box(5, 6, 20, 20)), Box(2, 3, 4, 4))
    assert (part.header["LTV1"], part.header["LTV2"]) == (-7, -9)
    assert np.array_equal(part["FLUX"], make_image()["FLUX"][9:13, 7:11])


def test_that_all_planes_of_a_stack_are_cut() -> None:
    assert cut_product(make_image((4, 30, 40)), Box(1, 2, 3, 5))["FLUX"].shape == (4, 5, 3)


def test_that_headers_without_coordinates_stay_without() -> None:
    bare = Product.of(fits.Header({"FILENAME": "a.fits"}), {"FLUX": np.zeros((8, 8))})
    assert "CRPIX1" not in cut_product(bare, Box(1, 1, 3, 3)).header


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ((2.0, 5.0), (3.0, 4.0), Box(2, 3, 4, 2)),
        ((2.2, 5.8), (3.0 + 1e-9, 4.0 - 1e-9), Box(3, 3, 3, 2)),
        ((-9.0, 99.0), (-9.0, 99.0), Box(0, 0, 40, 30)),
        ((50.0, 60.0), (3.0, 4.0), None),
        ((2.2, 2.8), (3.0, 4.0), None),
        ((float("nan"), 5.0), (3.0, 4.0), None),
        ((), (), None),
    ],
)
def test_that_the_pixels_of_a_box_are_those_whose_centres_lie_in_it(
    x: Sequence[float], y: Sequence[float], expected: Box | None
) -> None:
    assert Box.around(x, y, (30, 40)) == expected


def test_that_a_step_that_needs_rows_gets_them_whole() -> None:
    box = Box(5, 6, 7, 8)
    assert Cutout().enlarge(box, (30, 40)) == box
    larger = Cutout(whole_rows=True).enlarge(box, (30, 40))
    assert larger == Box(0, 6, 40, 8)
    assert box.within(larger) == Box(5, 0, 7, 8)


def refuse(header: fits.Header, p: PlainParameters) -> str:
    return "it smooths with all pixels" if p.smooth else ""


@pytest.mark.parametrize(
    ("cutout", "smooth", "words"),
    [
        (None, False, "whole files"),
        ("its flat is that of the whole detector", False, "flat"),
        (Cutout(refuse=refuse), True, "all pixels"),
        (Cutout(refuse=refuse), False, ""),
    ],
)
def test_that_the_reason_is_told_why_a_step_cannot_be_done_on_a_part(
    cutout: Cutout | str | None, smooth: bool, words: str
) -> None:
    reason = explain_refusal(declare(cutout), [make_image()], PlainParameters(smooth=smooth))
    assert words in reason
    assert bool(words) == bool(reason)


def test_that_data_without_images_and_images_that_differ_are_refused() -> None:
    spectrum = Product.of(fits.Header(), {"FLUX": np.zeros(50)})
    cube = Product.of(fits.Header(), {"FLUX": np.zeros((2, 3, 4, 5))})
    for product in (spectrum, cube, Product.of(fits.Header(), {"DATA": np.zeros((5, 5))})):
        assert find_image_shape(product) is None
        assert "no images" in explain_refusal(declare(Cutout()), [product], PlainParameters())
    assert "differ" in explain_refusal(declare(Cutout()), [make_image(), make_image((9, 9))], PlainParameters())
