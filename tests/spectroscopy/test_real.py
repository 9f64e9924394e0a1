"""A published rectified image of NGC 7009 reduced again, against its published calibrated spectrum."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.product import Product
from sofia_engine.spectroscopy.aperture_mask import make_aperture_mask, read_background
from sofia_engine.spectroscopy.apertures import Aperture
from sofia_engine.spectroscopy.background import fit_background
from sofia_engine.spectroscopy.calibration import calibrate, find_calibration_error, interpolate_response
from sofia_engine.spectroscopy.calibration_maps import read_maps
from sofia_engine.spectroscopy.extraction import ExtractionTask, extract_spectra
from sofia_engine.spectroscopy.orders import make_order_mask, read_orders
from sofia_engine.spectroscopy.profiles import ProfileRule, make_profiles
from sofia_engine.spectroscopy.rectification import RectificationRule, plan_rectification

pytestmark = pytest.mark.real
STEM = "F0428_FO_GRI_0500637_FORG111_{}_0177-0196.fits"
OBSERVED = (20170807, "FOR_G111", "FOR_LS47")
REGIONS = [(40.303637, 99.439637), (140.91164, 193.90364)]


def test_that_the_old_rectified_image_has_the_grid_of_today(real, get_reference):
    image = Product.read(real / STEM.format("RIM"))
    orders = read_orders(fits.getheader(get_reference("order_mask", *OBSERVED)))
    maps = read_maps(fits.getdata(get_reference("wave_cal", *OBSERVED)))
    plan = plan_rectification(make_order_mask(orders, (256, 256)), maps, RectificationRule(orders.slit.scale))
    assert image["FLUX"].shape == (plan.slit.size, plan.wavelength.size) == (248, 243)
    np.testing.assert_allclose(image["WAVEPOS"], plan.wavelength, atol=1e-5)
    np.testing.assert_allclose(image["SLITPOS"], plan.slit, atol=1e-4)


@pytest.mark.parametrize(("edges", "rows", "ratio", "correlation"), [
    ("lower", "all", 1.0126, 0.9998), ("coverage", "all", 0.9951, 0.9998), ("coverage", "bright", 1.0, 0.999),
])  # fmt: skip
def test_that_the_published_spectrum_comes_out(real, get_reference, edges, rows, ratio, correlation):
    image, published = (Product.read(real / STEM.format(code)) for code in ("RIM", "CAL"))
    flux, variance = image["FLUX"] / 2.0, (image["ERROR"] / 2.0) ** 2  # nod-match-chop, not yet halved
    wave, slit = image["WAVEPOS"], image["SLITPOS"]
    traces = np.full((1, wave.size), 120.0)
    mask = make_aperture_mask(slit, traces, [Aperture(120.0, 1, 3.0, 20.0, 20.0)], REGIONS, edges=edges)
    background = fit_background(flux, variance, slit, read_background(mask))
    found = make_profiles(flux, wave, ProfileRule(rows=rows))
    task = ExtractionTask(
        flux - background.flux, variance + background.variance, image["BADMASK"] > 0, found.map, mask, [1]
    )
    spectra = extract_spectra(task)
    path = get_reference("response", *OBSERVED)
    curve = fits.getdata(path)
    columns = slice(0, published["WAVEPOS"].size)
    response = interpolate_response(curve[0], curve[1], curve[2], wave[columns])
    values, errors = calibrate(spectra.flux[0, columns], spectra.error[0, columns], published["TRANSMISSION"], response)
    expected, spread = published["SPECTRAL_FLUX"], published["SPECTRAL_ERROR"]
    both = np.isfinite(values) & np.isfinite(expected)
    assert np.count_nonzero(both) >= 231
    assert np.corrcoef(values[both], expected[both])[0, 1] > correlation
    assert values[both].sum() / expected[both].sum() == pytest.approx(ratio, abs=0.015 if rows == "bright" else 0.002)
    assert np.median(np.abs(values - expected)[both] / spread[both]) < 0.15
    assert np.median(errors[both] / spread[both]) == pytest.approx(1.0, abs=0.03)
    line = (wave[columns] > 10.4) & (wave[columns] < 10.6)
    assert values[line].sum() == pytest.approx(278.4, rel=0.04)  # [S IV]
    assert find_calibration_error(response, fits.getheader(path)["SYSERR"]) == pytest.approx(0.02725, rel=0.005)
