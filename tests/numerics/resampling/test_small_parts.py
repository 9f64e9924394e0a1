"""Windows, rows and images."""

import numpy as np
import pytest

from sofia_engine.numerics.resampling import (
    LocalRegression,
    Resampler,
    WindowEstimate,
    estimate_window,
    fill_image,
    resample_rows,
)
from sofia_engine.numerics.resampling.samples import CellIndex


def test_that_the_tabulated_windows_are_estimated():
    y, x = np.mgrid[:7, :7].astype(float)
    np.testing.assert_allclose(estimate_window([x.ravel(), y.ravel()], 9), 1.736192210, rtol=1e-9)
    np.testing.assert_allclose(estimate_window(np.arange(11.0), 3), 3.5, rtol=1e-12)
    assert Resampler(np.arange(11.0), np.arange(11.0), rule=LocalRegression(order=2)).window == pytest.approx([3.5])


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("oversample", [1.0, 2.0, 4.0])
def test_that_an_estimated_window_holds_about_the_samples_wanted(dimensions, oversample):
    p = np.random.default_rng(1).uniform(0, 1, (dimensions, 20000)) * np.arange(1, dimensions + 1)[:, None]
    rule = LocalRegression(WindowEstimate(oversample=oversample), 2)
    points = np.linspace(0.4, 0.6, 30) * np.arange(1, dimensions + 1)[:, None]
    counts = Resampler(p, np.ones(20000), rule=rule)(points).counts
    wanted = 3**dimensions * oversample
    assert 0.8 * wanted < np.median(counts) < 6 * wanted


def test_that_windows_of_samples_in_a_plane_cannot_be_estimated():
    with pytest.raises(ValueError, match="same coordinate in some dimension"):
        estimate_window([np.arange(9.0), np.zeros(9)], 4)


@pytest.mark.parametrize("keywords", [{"bins": 0}, {"percentile": 101}, {"oversample": 0}], ids=str)
def test_that_estimates_out_of_range_are_refused(keywords):
    with pytest.raises(ValueError, match="cannot be estimated"):
        WindowEstimate(**keywords)


def test_that_rows_with_their_own_positions_are_the_series_alone():
    rng = np.random.default_rng(2)
    x, values, sigma = np.sort(rng.uniform(0, 10, (6, 80))), rng.normal(size=(6, 80)), rng.uniform(1, 2, (6, 80))
    values[2, ::4], values[4] = np.nan, np.nan
    points, rule = np.linspace(-1, 11, 25), LocalRegression(1.0, 0, smoothing=0.5)
    rows = resample_rows(x, values, points, rule, sigma)
    assert rows.values.shape == (6, 25)
    for n in (0, 2, 5):
        alone = Resampler(x[n], values[n], sigma[n], rule)(points)
        np.testing.assert_array_equal(rows.values[n], alone.values)
        np.testing.assert_array_equal(rows.errors[n], alone.errors)
    assert np.isnan(rows.values[4]).all()
    assert not rows.weights[4].any()
    one = resample_rows(x[0], values[0], points, rule, sigma[0])
    np.testing.assert_array_equal(one.values, rows.values[0])


@pytest.mark.parametrize(
    ("x", "values", "points"),
    [(np.ones(3), np.ones((2, 4)), [1.0]), (np.ones(4), np.ones(4), [[1.0]])],
    ids=["x", "points"],
)
def test_that_rows_that_do_not_fit_are_refused(x, values, points):
    with pytest.raises(ValueError):
        resample_rows(x, values, points, LocalRegression(1))


def make_scene(size=60):
    y, x = np.mgrid[:size, :size] / size
    return np.sin(5 * x) * np.cos(4 * y) + x * y


@pytest.mark.parametrize("order", [1, 2])
def test_that_an_image_with_most_pixels_missing_is_rebuilt(order):
    scene, rng = make_scene(), np.random.default_rng(5)
    lost = rng.uniform(size=scene.shape) < 0.7
    holed = np.where(lost, np.nan, scene)
    copy = holed.copy()
    rule = LocalRegression(order=order, smoothing=1.5, order_algorithm="extrapolate")
    filled, errors = fill_image(holed, rule=rule)
    np.testing.assert_array_equal(holed, copy)
    np.testing.assert_array_equal(filled[~lost], scene[~lost])
    assert errors is None
    assert np.isfinite(filled).mean() > 0.998
    assert np.nanstd((filled - scene)[lost]) < 0.02 * np.ptp(scene)


def test_that_masked_pixels_are_replaced_and_errors_propagated():
    scene = make_scene()
    mask = np.ones(scene.shape, bool)
    mask[20:23, 30:33] = False
    spoilt = np.where(mask, scene, 1e6)
    filled, errors = fill_image(spoilt, mask, LocalRegression(5, 2), 0.1)
    np.testing.assert_allclose(filled, scene, atol=2e-3)
    assert (errors[mask] == 0.1).all()
    assert ((errors[~mask] > 0.01) & (errors[~mask] < 0.1)).all()


def test_that_a_whole_image_stays_as_it_is_and_bad_shapes_are_refused():
    scene = make_scene()
    np.testing.assert_array_equal(fill_image(scene)[0], scene)
    with pytest.raises(ValueError, match="two dimensions"):
        fill_image(np.ones(5))
    with pytest.raises(ValueError, match="mask of shape"):
        fill_image(scene, np.ones((2, 2)))
    with pytest.raises(ValueError, match="no sample is usable"):
        fill_image(np.full((5, 5), np.nan))


@pytest.mark.parametrize("half_width", [0.9, 0.01, 0.0004])
def test_that_samples_of_a_cell_adjoin_in_their_first_order_however_many_cells_there_are(half_width):
    coordinates = np.random.default_rng(4).random((2, 5000))
    index = CellIndex.sort(coordinates, np.full(2, half_width))
    places = np.minimum((index.coordinates / index.size[:, np.newaxis]).astype(int), index.cells[:, np.newaxis] - 1)
    cell = places[0] * index.cells[1] + places[1]
    assert (np.diff(cell) >= 0).all()
    assert (np.diff(index.order)[np.diff(cell) == 0] > 0).all()
    assert (index.starts[cell] <= np.arange(5000)).all()
    assert (np.arange(5000) < index.starts[cell + 1]).all()
    np.testing.assert_array_equal(np.sort(index.order), np.arange(5000))
