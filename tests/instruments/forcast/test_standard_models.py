"""Fluxes of standards from published photometry, against published spectra of models and through the recipe."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import ReferenceDataError
from sofia_engine.instruments.forcast.standard_models import (
    choose_model,
    interpolate_photometry,
    load_model,
    read_response_model,
    want_model,
)
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


@pytest.mark.parametrize("grism", ["FOR_G063", "FOR_G111"])
@pytest.mark.parametrize("slit", ["FOR_LS24", "FOR_LS47"])
def test_that_alpha_ceti_gets_the_model_that_a_published_response_holds(reference_store, make_header, grism, slit):
    header = make_header(OBJECT="Alpha Cet", SPECTEL1=grism, SLIT=slit, **{"DATE-OBS": "2022-06-01T00:00:00"})
    wanted = want_model(header, "")
    assert wanted["standard_response"].optional
    path = reference_store.get(wanted["standard_response"].request)
    rows = fits.getdata(path).astype(float)
    assert fits.getheader(path)["OBJECT"] == "Alpha Cet"
    table = reference_store.get(wanted["standard_flux"].request)
    points = parse_model_photometry(table.read_text(), table.name)
    np.testing.assert_allclose(read_response_model(path, points, rows[0]), rows[4], rtol=1e-6)
    beyond = read_response_model(path, points, rows[0][-1] + np.array([0.0, 0.1, 0.3]))
    assert np.all(np.diff(beyond) < 0)  # the star goes on falling
    assert "standard_response" not in want_model(make_header(OBJECT="Alpha Boo", SPECTEL1=grism), "")


@pytest.mark.parametrize(
    ("name", "date", "model"),
    [
        ("1 Ceres", "2022-02-03T10:00:00", "Ceres_20220202_model.fits"),
        ("Juno", "2015-01-29T05:00:00", "juno_2015012904_OC2H_model.fits"),
        ("10 Hygiea", "2022-05-20T00:00:00", "Hygiea_20220520_model.fits"),
        ("Beta Umi", "2022-05-01T00:00:00", "betaumi_model_scaled.fits"),
        ("Alpha_Tau", "2013-09-10T00:00:00", "alphatau_model.fits"),
        ("Vega", "2013-09-10T00:00:00", None),
    ],
)
def test_that_models_of_published_names_are_chosen(make_header, name, date, model):
    published = (
        "Ceres_20220125_model.fits", "Ceres_20220202_model.fits", "ceres_2015060511_model.fits", "alphatau_model.fits",
        "juno_2015012904_OC2H_model.fits", "juno_2015020405_bb_model.fits", "Hygiea_20220520_model.fits",
        "betaumi_model_scaled.fits", "README.rst",
    )  # fmt: skip
    assert choose_model(published, make_header(OBJECT=name, **{"DATE-OBS": date})) == model


def test_that_an_unknown_standard_is_named(make_header):
    header = make_header(OBJECT="Vega")

    class NoFiles:
        def find_reference(self, _role):
            return None

    assert want_model(header, "")["standard_flux"].request.match["object"] == "VEGA"
    with pytest.raises(ReferenceDataError, match=r"no model of the standard Vega.*make_response.model_file"):
        load_model(NoFiles(), header, 256.0, np.array([9.0]))
