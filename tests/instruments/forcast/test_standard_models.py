"""Fluxes of standards from published photometry, against published spectra of models and through the recipe."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import ReferenceDataError
from sofia_engine.instruments.forcast.standard_models import interpolate_photometry, load_model, want_model
from sofia_engine.photometry.tables import parse_model_photometry
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.product import Product
from sofia_engine.reference import ReferenceRequest
from sofia_engine.simulate import simulate


def test_that_power_laws_are_interpolated_exactly():
    wave = np.linspace(5, 30, 200)
    points = [(w, 3000.0 * w**-1.7) for w in (4.0, 9.0, 31.0)]
    np.testing.assert_allclose(interpolate_photometry(points, wave), 3000.0 * wave**-1.7, rtol=1e-12)
    assert interpolate_photometry(points, np.array([62.0]))[0] == pytest.approx(points[-1][1] / 4)


@pytest.mark.parametrize(("grism", "scatter"), [("FOR_G063", 0.04), ("FOR_G111", 0.01)])
def test_that_interpolated_photometry_is_the_published_model(reference_store, grism, scatter):
    """The responses of 2017 hold the model of Alpha Ceti that they were made with."""
    request = ReferenceRequest("FORCAST", "response", 20170807, {"spectel": grism, "slit": "FOR_LS24"})
    rows = fits.getdata(reference_store.get(request))
    table = reference_store.get(
        ReferenceRequest("FORCAST", "standard_flux", 20170807, {"altcfg1": "0", "object": "ALPHACET"})
    )
    model = interpolate_photometry(parse_model_photometry(table.read_text(), table.name), rows[0].astype(float))
    ratio = rows[4] / model
    assert np.nanmedian(ratio) == pytest.approx(1, abs=0.01)
    assert np.nanstd(ratio) < scatter


def test_that_a_standard_without_model_file_gets_its_published_flux(reference_store, tmp_path):
    truth = simulate(
        "forcast-grism-standard", tmp_path / "raw", seed=1, n_dither=1, grism="G111", flux=700.0, slope=-2.0
    )
    with Reduction.open(truth.paths, output=tmp_path / "out", session=tmp_path / "s",
                        references=reference_store) as reduction:  # fmt: skip
        reduction.reduce()
    made = Product.read(next((tmp_path / "out").glob("*_IRS_*")))
    assert made.header["MODLFILE"].startswith("AlphaBoo")
    spectrum = truth.read_spectrum()
    wave = made["WAVEPOS"]
    table = reference_store.get(
        ReferenceRequest("FORCAST", "standard_flux", 20210705, {"altcfg1": "0", "object": "ALPHABOO"})
    )
    published = interpolate_photometry(parse_model_photometry(table.read_text()), wave)
    simulated = np.interp(wave, spectrum["wavelength"], spectrum["flux"])
    true = np.interp(wave, spectrum["wavelength"], spectrum["response"]) * simulated / published
    clear = np.isfinite(made["RESPONSE"]) & (made["TRANSMISSION"] > 0.6)
    assert np.median((made["RESPONSE"] / true)[clear]) == pytest.approx(1, abs=0.01)


def test_that_an_unknown_standard_is_named(make_header):
    header = make_header(OBJECT="Vega")

    class NoFiles:
        def find_reference(self, _role):
            return None

    assert want_model(header, "")["standard_flux"].request.match["object"] == "VEGA"
    with pytest.raises(ReferenceDataError, match=r"no model of the standard Vega.*make_response.model_file"):
        load_model(NoFiles(), header, 256.0, np.array([9.0]))
