"""Combine Spectra and Combine Response on small products: apertures, errors of the response, adaptive cubes."""

import numpy as np
import pytest

from sofia_engine.errors import SofiaDeskError
from sofia_engine.instruments.forcast.combine_spectra import CombinationParameters, combine_spectra
from sofia_engine.instruments.forcast.slit_spectra import find_response_share
from sofia_engine.instruments.forcast.spectral_cube import _choose_rule
from sofia_engine.product import Product

WAVES, ROWS = 40, 30


def make_calibrated(make_header, flux, number=1, noise=0.1, share=0.05):
    """A calibrated product whose apertures have these fluxes, with noise and an error of the response."""
    header = make_header()
    header.update({"FILENAME": f"F0501_FO_GRI_1_G_CRM_{number:04d}.fits", "PRODTYPE": "calibrated_spectrum"})
    level = np.atleast_1d(np.asarray(flux, dtype=float))
    spectra = level[:, np.newaxis] * np.ones(WAVES)
    spectra = spectra[0] if len(spectra) == 1 else spectra
    curve = np.ones_like(spectra)
    return Product.of(header, {
        "FLUX": np.full((ROWS, WAVES), level[0]), "ERROR": np.full((ROWS, WAVES), 1.0),
        "WAVEPOS": np.linspace(5, 8, WAVES), "SLITPOS": np.arange(ROWS) * 0.768,
        "SPECTRAL_FLUX": spectra, "SPECTRAL_ERROR": np.hypot(noise, share * spectra),
        "TRANSMISSION": 0.9 * curve, "RESPONSE": 0.004 * curve, "RESPONSE_ERROR": 0.004 * share * curve,
    }, units={"SPECTRAL_FLUX": "Jy", "SPECTRAL_ERROR": "Jy"})  # fmt: skip


def test_that_the_error_of_a_common_response_is_not_averaged_down(make_header, drive):
    images = [make_calibrated(make_header, 10.0, n) for n in (1, 2, 3, 4)]
    combined, _ = drive(combine_spectra, images)
    np.testing.assert_allclose(combined["SPECTRAL_ERROR"], np.hypot(0.1 / 2, 0.05 * 10), rtol=1e-6)
    apart, _ = drive(combine_spectra, images, {"response_error": "independent"})
    np.testing.assert_allclose(apart["SPECTRAL_ERROR"], np.hypot(0.1, 0.5) / 2, rtol=1e-6)
    np.testing.assert_allclose(find_response_share(images), 0.05)


def test_that_spectra_of_all_apertures_are_combined_where_it_is_asked_for(make_header, drive):
    images = [make_calibrated(make_header, (10.0, 12.0), n, share=0.0) for n in (1, 2)]
    combined, _ = drive(combine_spectra, images, {"combine_aps": True})
    assert combined["SPECTRAL_FLUX"].shape == combined["TRANSMISSION"].shape == (WAVES,)
    np.testing.assert_allclose(combined["SPECTRAL_FLUX"], 11.0)
    np.testing.assert_allclose(combined["SPECTRAL_ERROR"], 0.1 / 2)
    apart, _ = drive(combine_spectra, images)
    assert apart["SPECTRAL_FLUX"].shape == (2, WAVES)
    single, _ = drive(combine_spectra, images[:1], {"combine_aps": True})
    np.testing.assert_allclose(single["SPECTRAL_FLUX"], 11.0)


def test_that_adaptive_smoothing_without_polynomials_is_refused(make_header, drive):
    images = [make_calibrated(make_header, 10.0)]
    with pytest.raises(SofiaDeskError, match=r"combine_spectra\.fit_order to 1 or more"):
        drive(combine_spectra, images, {"method": "spectral cube", "adaptive_algorithm": "shaped"})
    rule = _choose_rule(CombinationParameters(adaptive_algorithm="scaled", fit_order=1))
    assert rule.describe().adaptive.algorithm == "scaled"
