"""Formats of other observatories: read by ourselves, or by specutils where it is installed."""

import importlib.util

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from sofia_engine.errors import InputError
from sofia_viewers.spectrum.loading import read_spectrum_file

WAVE = np.linspace(15100.0, 15200.0, 30)


@pytest.fixture
def apogee(tmp_path):
    """A visit spectrum of APOGEE: three detectors, wavelengths in an image of their own."""
    primary = fits.PrimaryHDU()
    primary.header["SURVEY"], primary.header["OBJECT"] = "apogee", "2M0000"
    primary.header["HISTORY"] = "APOGEE Reduction Pipeline"
    rows = (np.arange(30.0), np.full(30, 0.5), np.zeros(30), WAVE)
    hdus = [primary, *(fits.ImageHDU(np.stack((row, row + 100, row + 200)).astype("f4")) for row in rows)]
    for hdu, unit in zip(hdus[1:], ("Flux", "Flux error", "mask", "Wavelength"), strict=True):
        hdu.header["BUNIT"] = unit
    path = tmp_path / "apVisit-r13-1-2-3.fits"
    fits.HDUList(hdus).writeto(path)
    return path


def test_that_without_specutils_our_own_error_stands(apogee, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "specutils" else found(name))
    with pytest.raises(InputError, match="holds no spectrum"):
        read_spectrum_file(apogee)


def test_that_specutils_reads_what_we_cannot(apogee):
    pytest.importorskip("specutils")
    file = read_spectrum_file(apogee)
    (spectrum,) = file.spectra
    np.testing.assert_allclose(spectrum.wave[:30], WAVE, rtol=1e-6)
    np.testing.assert_allclose(spectrum.flux, np.concatenate([np.arange(30.0) + n for n in (0, 100, 200)]))
    assert spectrum.error[0] == 0.5
    assert spectrum.unit("wavepos") == "Angstrom"
    assert file.header["OBJECT"] == "2M0000"
    assert file.path == apogee


def test_that_fluxes_of_specutils_can_be_converted(apogee):
    pytest.importorskip("specutils")
    from sofia_viewers.spectrum.units import can_convert_flux

    (spectrum,) = read_spectrum_file(apogee).spectra
    assert can_convert_flux(spectrum.unit("spectral_flux"), "Jy")


def test_that_what_specutils_writes_is_read(tmp_path):
    specutils = pytest.importorskip("specutils")
    from astropy import units as u
    from astropy.nddata import StdDevUncertainty

    flux = np.arange(30.0) * u.Jy
    made = specutils.Spectrum(flux=flux, spectral_axis=WAVE * u.AA, uncertainty=StdDevUncertainty(np.full(30, 2.0)))
    made.write(tmp_path / "table.fits", format="tabular-fits")
    (spectrum,) = read_spectrum_file(tmp_path / "table.fits").spectra
    np.testing.assert_allclose(spectrum.wave, WAVE)
    np.testing.assert_allclose(spectrum.flux, flux.value)
    np.testing.assert_allclose(spectrum.error, 2.0)


def test_that_nonsense_is_refused_with_our_words_whether_specutils_is_there_or_not(tmp_path):
    path = tmp_path / "noise.bin"
    path.write_bytes(bytes(range(256)) * 20)
    with pytest.raises(InputError, match="neither FITS nor text"):
        read_spectrum_file(path)


def test_that_logarithms_of_wavelengths_are_wavelengths(tmp_path):
    table = Table({"flux": np.arange(30.0), "loglam": np.log10(WAVE), "ivar": np.full(30, 4.0)})
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table, name="COADD")]).writeto(tmp_path / "spec-1-2-3.fits")
    (spectrum,) = read_spectrum_file(tmp_path / "spec-1-2-3.fits").spectra
    np.testing.assert_allclose(spectrum.wave, WAVE)
    assert spectrum.unit("wavepos") == "Angstrom"
    np.testing.assert_allclose(spectrum.error, 0.5)
