"""Rectification with the published wavelength maps: columns have the wavelengths of the map."""

from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.errors import ReferenceDataError
from sofia_engine.instruments.forcast.grism_files import read_fits
from sofia_engine.reference import ReferenceRequest, ReferenceStore
from sofia_engine.spectroscopy.calibration_maps import read_maps
from sofia_engine.spectroscopy.orders import make_order_mask, read_orders
from sofia_engine.spectroscopy.rectification import RectificationRule, plan_rectification


def find(kind, grism, date):
    request = ReferenceRequest("FORCAST", kind, date, {"spectel": f"FOR_{grism}", "slit": "FOR_LS24"})
    try:
        return read_fits(ReferenceStore(offline=True).get(request), kind)
    except ReferenceDataError:
        pytest.skip("the reference files are not on this computer")


def measure_offsets(orders, maps, *, exact):
    """Mean wavelength of the light in each rectified pixel, from that of its column; columns, edges left out."""
    mask = make_order_mask(orders, maps.wavelength.shape)
    rectify = plan_rectification(mask, maps, RectificationRule(orders.slit.scale, exact_wavelengths=exact))
    areas, wave = rectify.overlap.areas, np.nan_to_num(maps.wavelength).ravel()
    found = (areas * wave[rectify.overlap.pixels]).sum(axis=0) / np.maximum(areas.sum(axis=0), 1e-9)
    return ((found - rectify.wavelength) / np.diff(rectify.wavelength)[0])[30:-30]


@pytest.mark.parametrize(
    ("grism", "date", "before"),
    [
        ("G063", 20151001, 0.0),
        ("G111", 20151001, 0.0),
        ("G227", 20170901, 0.09),
        ("G329", 20170901, 0.1),
        ("G063", 20190201, 0.29),
        ("G063", 20200501, 0.5),
        ("G227", 20190201, 1.5),
        ("G111", 20190201, 0.3),
        ("G063", 20210705, 0.0),
        ("G111", 20210705, 0.0),
        ("G227", 20210705, 0.05),
        ("G329", 20210705, 0.05),
    ],
)
def test_that_columns_have_the_wavelengths_of_published_maps(grism, date, before):
    """Without the correction of the columns, the polynomials miss some maps by half a column and more."""
    orders = read_orders(find("order_mask", grism, date)[1], name="the order mask")
    maps = read_maps(find("wave_cal", grism, date)[0], orders.rotation)
    plain, exact = (np.abs(measure_offsets(orders, maps, exact=choice)) for choice in (False, True))
    assert plain.max() >= before
    # what is left in G111 of 2018 is the phase of pixels that are up to a quarter wider than a column
    assert exact.max() < 0.12
    assert np.sqrt(np.mean(exact**2)) < 0.035
