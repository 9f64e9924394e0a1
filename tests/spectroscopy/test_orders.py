from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import ReferenceDataError
from sofia_engine.spectroscopy.orders import Order, OrderSet, make_order_mask, read_orders, rotate_image, unrotate_image

HEADER = {
    "NORDERS": 1, "ORDERS": "1", "EDGEDEG": 2, "ODR01_XR": "0,255", "ODR01_B1": 0.375335, "ODR01_B2": -0.0135417,
    "ODR01_B3": 8.33468e-05, "ODR01_T1": 251.684, "ODR01_T2": -0.00927207, "ODR01_T3": 9.26218e-05, "SLTH_PIX": 253,
    "SLTH_ARC": 194.304, "SLTW_PIX": 3.125, "SLTW_ARC": 2.4, "ROTATION": 0, "PLTSCALE": 0.768, "RP": 180,
}  # fmt: skip


def test_that_edges_and_slit_of_a_published_mask_are_read():
    orders = read_orders(HEADER)
    assert orders.orders == (
        Order(1, (0.375335, -0.0135417, 8.33468e-05), (251.684, -0.00927207, 9.26218e-05), (0, 255)),
    )
    assert orders.slit.scale == pytest.approx(0.768)
    assert orders.warnings == ()


def test_that_the_keywords_of_three_digits_are_read_too():
    header = {"ORDERS": "111,112", "EDGEDEG": 0, "SLTH_PIX": 10, "SLTH_ARC": 5, "SLTW_PIX": 1, "SLTW_ARC": 1,
              "ROTATION": 1, "PLTSCALE": 0.1, "RP": 1}  # fmt: skip
    for number, low in ((111, 3.0), (112, 30.0)):
        header |= {f"OR{number}_XR": "5,20", f"OR{number}_B1": low, f"OR{number}_T1": low + 20}
    orders = read_orders(header)
    assert [order.number for order in orders.orders] == [111, 112]
    assert orders.order(112).bottom == (30.0,)


def test_that_missing_keywords_are_named_in_warnings():
    header = {key: value for key, value in HEADER.items() if key not in ("SLTH_PIX", "RP")}
    orders = read_orders(header, name="mask.fits")
    assert orders.slit.scale == 1.0
    assert any("mask.fits" in line and "SLTH_PIX" in line for line in orders.warnings)
    assert any("RP" in line for line in orders.warnings)


@pytest.mark.parametrize(
    ("change", "words"), [({"ODR01_XR": ""}, "column range"), ({"ORDERS": "one"}, "whole numbers")]
)
def test_that_unusable_headers_are_refused(change, words):
    with pytest.raises(ReferenceDataError, match=words):
        read_orders(HEADER | change)


def test_that_an_unknown_order_is_refused():
    with pytest.raises(ReferenceDataError, match="no order 7"):
        read_orders(HEADER).order(7)


def test_that_the_mask_holds_the_rows_between_the_edges():
    mask = make_order_mask(OrderSet((Order(3, (2.7,), (6.2,), (1, 3)),)), (10, 6))
    expected = np.zeros((10, 6), dtype=int)
    expected[2:7, 1:4] = 3
    np.testing.assert_array_equal(mask, expected)


def test_that_columns_with_an_edge_beyond_the_image_are_left_out():
    mask = make_order_mask(OrderSet((Order(1, (-1.0, 0.25), (8.0, 0.25), (0, 9)),)), (10, 10))
    # bottom >= -0.5 from column 2 on, top <= 9.5 up to column 6
    np.testing.assert_array_equal(np.flatnonzero(mask.any(axis=0)), np.arange(2, 7))


def test_that_code_one_is_the_rotation_of_idl():
    image = np.arange(12.0).reshape(3, 4)
    turned = rotate_image(image, 1)
    for y in range(3):
        for x in range(4):
            assert turned[x, 2 - y] == image[y, x]


def test_that_code_three_brings_pixels_where_cross_dispersed_frames_have_them():
    image = np.arange(12.0).reshape(3, 4)
    turned = rotate_image(image, 3)
    for y in range(4):
        for x in range(3):
            assert turned[y, x] == image[x, 3 - y]


@given(st.integers(0, 7))
def test_that_every_rotation_can_be_undone(code):
    image = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(unrotate_image(rotate_image(image, code), code), image)
