from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.errors import StepError
from sofia_engine.spectroscopy.order_finding import (
    OrderGuess,
    OrderSearch,
    find_order,
    find_orders,
    measure_mask_shift,
    move_order,
)
from sofia_engine.spectroscopy.orders import Order

LOW = Order(1, (20.3, 0.05, 1e-4), (50.3, 0.06, 1e-4), (0, 199))
HIGH = Order(2, (80.0, 0.03, -5e-5), (112.0, 0.03, -5e-5), (0, 199))


def make_flat(*orders, shape=(160, 200), noise=0.0):
    y, x = np.indices(shape, dtype=float)
    flat = np.zeros(shape)
    for order in orders:
        bottom, top = order.edges(x)
        flat += 1 / (1 + np.exp(-(y - bottom) * 4)) - 1 / (1 + np.exp(-(y - top) * 4))
    return 1000 * flat * (1 + 0.3 * np.cos(x / 60)) + np.random.default_rng(0).normal(0, noise, shape)


@pytest.mark.parametrize("noise", [0.0, 10.0])
def test_that_curved_edges_are_found(noise):
    search = OrderSearch((20, 45), degree=2)
    found = find_orders(make_flat(LOW, HIGH, noise=noise), [OrderGuess(1, 100, 40), OrderGuess(2, 100, 98)], search)
    x = np.arange(200)
    for order, truth in zip(found, (LOW, HIGH), strict=True):
        np.testing.assert_allclose(order.edges(x), truth.edges(x), atol=0.35)
        assert order.columns == (0, 199)


def test_that_an_order_that_leaves_the_image_gets_fewer_columns():
    steep = Order(1, (-10.0, 0.2), (25.0, 0.2), (0, 199))
    found = find_order(make_flat(steep), OrderGuess(1, 120, 31), OrderSearch((20, 45), degree=1))
    assert 45 <= found.columns[0] <= 60
    assert found.columns[1] == 199


def test_that_a_dark_flat_is_refused():
    with pytest.raises(StepError, match="better guess"):
        find_order(np.zeros((160, 200)), OrderGuess(1, 100, 40), OrderSearch((20, 45)))


@pytest.mark.parametrize("shift", [-7, 0, 5])
def test_that_a_shifted_flat_is_recognised(shift):
    flat = np.roll(make_flat(LOW, noise=5.0), shift, axis=0)
    assert measure_mask_shift(flat, LOW, 15) == shift


def test_that_a_moved_order_keeps_clear_of_the_border():
    moved = move_order(LOW, -18.0, 160)
    assert moved.bottom == (pytest.approx(2.3), 0.05, 1e-4)
    assert moved.columns[0] == int(np.flatnonzero(moved.edges(np.arange(200))[0] >= 3)[0])
    assert move_order(LOW, -60.0, 160).columns == (-1, -1)
