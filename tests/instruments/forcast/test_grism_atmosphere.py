"""The atmosphere over grism spectra: the model chosen, the water vapour and the shift found."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.instruments.forcast.flux_calibrate import flux_calibrate
from sofia_engine.instruments.forcast.grism_files import read_atmosphere, want_atmosphere, want_water_vapour_series
from sofia_engine.pipeline.run import Run
from sofia_engine.product import Plane, Product
from sofia_engine.spectroscopy.wavelength_shift import shift_rows

CARDS = {"SPECTEL1": "FOR_G063", "SLIT": "FOR_LS24", "DETBIAS": 1.745, "DATE": "2021-07-05T05:10:00.000",
         "TELRA": 14.26, "TELDEC": 19.18, "LAT_STA": 40.0, "LON_STA": -120.0, "WVZ_OBS": 7.0,
         "PRODTYPE": "merged_spectrum", "PROCSTAT": "LEVEL_2"}  # fmt: skip
VAPOURS = (2.0, 4.0, 7.0, 12.0, 20.0)
WAVES = np.linspace(5.1, 8.0, 251)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of models: lines whose strength grows with the water vapour."""
    folder = tmp_path_factory.mktemp("atran")
    wavelength = np.linspace(4.9, 8.3, 20000)
    rng = np.random.default_rng(5)
    depth = sum(
        strength * np.exp(-0.5 * ((wavelength - center) / 0.02) ** 2)
        for center, strength in zip(rng.uniform(5, 8.2, 40), rng.uniform(0.005, 0.04, 40), strict=True)
    )
    for vapour in VAPOURS:
        name = f"atran_40K_45deg_{vapour:g}pwv_4-50mum.fits"
        fits.PrimaryHDU(np.stack([wavelength, np.exp(-depth * vapour)])).writeto(folder / name)
    fits.PrimaryHDU(np.stack([wavelength, np.exp(-depth * 7)])).writeto(folder / "atran_40K_45deg_4-50mum.fits")
    fits.PrimaryHDU(np.stack([wavelength, np.exp(-depth * 9)])).writeto(folder / "atran_36K_60deg_4-50mum.fits")
    return folder


@pytest.fixture
def observe(make_header, models, drive, reference_store):
    """Calibrate a spectrum seen through one of the models, moved by some columns."""

    def call(vapour, shift=0.0, noise=0.002, **parameters):
        model = str(models / f"atran_40K_45deg_{vapour:g}pwv_4-50mum.fits")
        use = Run(wanted=want_atmosphere(make_header(**CARDS), model), store=reference_store).reference("atran")
        through = read_atmosphere(use, 180.0, WAVES)
        flux = shift_rows((1 + 0.1 * (WAVES - 6.5)) * through, shift)
        flux = flux + np.random.default_rng(2).normal(0, noise, flux.size)
        response = models / "response.fits"
        if not response.exists():
            fits.PrimaryHDU(np.stack([WAVES, np.ones(251), np.full(251, 1e-4)])).writeto(response)
        error = np.full(251, noise)
        product = Product.of(
            make_header(**CARDS),
            {"FLUX": Plane.of(np.tile(flux, (5, 1)), "Me/s"), "ERROR": Plane.of(np.tile(error, (5, 1)), "Me/s"),
             "WAVEPOS": Plane.of(WAVES, "um"), "SPECTRAL_FLUX": Plane.of(flux, "Me/s"),
             "SPECTRAL_ERROR": Plane.of(error, "Me/s")},
        )  # fmt: skip
        values = {"respfile": str(response), "atrandir": str(models)} | parameters
        return drive(flux_calibrate, product, values, store=reference_store)

    return call


@pytest.mark.parametrize("vapour", [4.0, 12.0])
def test_that_the_water_vapour_of_the_observation_is_found(observe, vapour):
    product, run = observe(vapour)
    header = product.header
    assert header["FITPWV"] == vapour
    assert 0 < header["FITPWVER"] < 3
    assert header["ATRNFILE"].endswith(f"atran_40K_45deg_{vapour:g}pwv_4-50mum.fits")
    ratio = product["SPECTRAL_FLUX"] / (1 + 0.1 * (WAVES - 6.5))
    assert np.nanmedian(ratio) == pytest.approx(1, abs=2e-3)
    assert np.nanstd(ratio) < 0.01
    codes = {attachment.name.split("_")[5] for attachment in run.attachments}
    assert codes == {"PWV", "OPT"}
    assert all(attachment.content.startswith(b"\x89PNG") for attachment in run.attachments)


def test_that_a_shift_against_the_atmosphere_is_found_and_taken_back(observe):
    product, _ = observe(7.0, shift=0.8, optimize_atran=False)
    assert product.header["WAVSHIFT"] == pytest.approx(-0.8, abs=0.05)
    ratio = product["SPECTRAL_FLUX"] / (1 + 0.1 * (WAVES - 6.5))
    assert np.nanstd(ratio[5:-5]) < 0.01


def test_that_weak_spectra_are_neither_shifted_nor_fitted(observe):
    product, run = observe(12.0, shift=0.8, noise=0.3)
    assert product.header["WAVSHIFT"] == 0
    assert "FITPWV" not in product.header
    assert not run.attachments


def test_that_the_nearest_model_of_a_folder_is_taken(make_header, models):
    near = want_atmosphere(make_header(**CARDS), folder=str(models))["atran"].choice
    assert near == str(models / "atran_40K_45deg_4-50mum.fits")
    high = make_header(**CARDS, ALTI_STA=36000.0, ALTI_END=36000.0, ZA_START=60.0, ZA_END=60.0)
    assert want_atmosphere(high, folder=str(models))["atran"].choice.endswith("atran_36K_60deg_4-50mum.fits")
    wet = want_atmosphere(make_header(**CARDS), folder=str(models), use_pwv=True)["atran"].choice
    assert wet.endswith("_7pwv_4-50mum.fits")
    assert len(want_water_vapour_series(make_header(**CARDS), str(models))) == len(VAPOURS)


def test_that_environment_variables_name_the_folder_and_a_missing_one_does_not_matter(make_header, models, monkeypatch):
    monkeypatch.setenv("OWN_ATRAN", str(models))
    assert want_atmosphere(make_header(**CARDS), folder="$OWN_ATRAN")["atran"].choice.startswith(str(models))
    monkeypatch.delenv("OWN_ATRAN")
    assert want_atmosphere(make_header(**CARDS), folder="$OWN_ATRAN")["atran"].choice == ""
    assert want_water_vapour_series(make_header(**CARDS), "$OWN_ATRAN") == {}
