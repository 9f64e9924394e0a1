"""Formats of other observatories: read by ourselves where they are plain, else by specutils."""

import os
import subprocess
import sys

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty, VarianceUncertainty
from astropy.table import Table
from astropy.wcs import WCS

from sofia_engine.errors import InputError
from sofia_viewers.spectrum.loading import read_spectrum_file

WAVE = np.linspace(15100.0, 15200.0, 30)
FLUX = np.arange(30.0)


@pytest.fixture
def apogee(tmp_path):
    """A visit spectrum of APOGEE: three detectors, wavelengths in an image of their own."""
    primary = fits.PrimaryHDU()
    primary.header["SURVEY"], primary.header["OBJECT"] = "apogee", "2M0000"
    primary.header["HISTORY"] = "APOGEE Reduction Pipeline"
    rows = (FLUX, np.full(30, 0.5), np.zeros(30), WAVE)
    hdus = [primary, *(fits.ImageHDU(np.stack((row, row + 100, row + 200)).astype("f4")) for row in rows)]
    for hdu, unit in zip(hdus[1:], ("Flux", "Flux error", "mask", "Wavelength"), strict=True):
        hdu.header["BUNIT"] = unit
    path = tmp_path / "apVisit-r13-1-2-3.fits"
    fits.HDUList(hdus).writeto(path)
    return path


@pytest.fixture
def desi(tmp_path):
    """Two targets of DESI in two bands: planes whose names are ours, with a letter before."""
    primary = fits.PrimaryHDU(header=fits.Header({"INFIL000": "frame.fits"}))
    names = Table({"TARGETID": [1, 2]})
    hdus = [primary, *(fits.BinTableHDU(names, name=name) for name in ("FIBERMAP", "SCORES"))]
    for number, band in enumerate("BR"):
        flux = np.stack([FLUX, FLUX + 10]) + 100 * number
        planes = {
            "WAVELENGTH": (WAVE + 1000 * number, "Angstrom"),
            "FLUX": (flux, "10**-17 erg/(s cm2 Angstrom)"),
            "IVAR": (np.full((2, 30), 4.0), "10**+34 (s2 cm4 Angstrom2) / erg2"),
        }
        hdus += [
            fits.ImageHDU(plane, fits.Header({"BUNIT": unit}), name=f"{band}_{name}")
            for name, (plane, unit) in planes.items()
        ]
    path = tmp_path / "coadd-main-dark-1.fits"
    fits.HDUList(hdus).writeto(path)
    return path


def run_alone(code, *words):
    """Run code in an interpreter of its own; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, words)], capture_output=True, text=True, timeout=120,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_that_without_specutils_our_own_error_stands(apogee, monkeypatch):
    monkeypatch.setitem(sys.modules, "specutils", None)
    with pytest.raises(InputError, match="holds no spectrum"):
        read_spectrum_file(apogee)


def test_that_specutils_reads_what_we_cannot(apogee):
    file = read_spectrum_file(apogee)
    (spectrum,) = file.spectra
    np.testing.assert_allclose(spectrum.wave[:30], WAVE, rtol=1e-6)
    np.testing.assert_allclose(spectrum.flux, np.concatenate([FLUX + n for n in (0, 100, 200)]))
    assert spectrum.error[0] == 0.5
    assert spectrum.unit("wavepos") == "Angstrom"
    assert file.header["OBJECT"] == "2M0000"
    assert file.path == apogee
    assert file.notes[0].startswith("Read by specutils 2")


def test_that_fluxes_of_specutils_can_be_converted(apogee):
    from sofia_viewers.spectrum.units import can_convert_flux

    (spectrum,) = read_spectrum_file(apogee).spectra
    assert can_convert_flux(spectrum.unit("spectral_flux"), "Jy")


def test_that_bands_are_orders_and_targets_are_apertures(desi):
    file = read_spectrum_file(desi)
    assert [(s.order, s.aperture) for s in file.spectra] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    last = file.spectra[-1]
    np.testing.assert_allclose(last.wave, WAVE + 1000)
    np.testing.assert_allclose(last.flux, FLUX + 110)
    np.testing.assert_allclose(last.error, 0.5)
    assert last.unit("wavepos") == "Angstrom"
    assert u.Unit(last.unit("spectral_flux")) == u.Unit("1e-17 erg / (s cm2 Angstrom)")


def test_that_what_we_would_have_to_guess_is_not_guessed_where_specutils_knows(desi, monkeypatch):
    known = read_spectrum_file(desi).spectra[0]
    monkeypatch.setitem(sys.modules, "specutils", None)
    guessed = read_spectrum_file(desi).spectra[0]
    assert known.unit("wavepos") != guessed.unit("wavepos") == "pixel"


@pytest.mark.parametrize("kind", [StdDevUncertainty, VarianceUncertainty])
def test_that_what_specutils_writes_is_read_with_errors_and_bad_values(tmp_path, kind):
    import specutils

    values = np.full(30, 4.0 if kind is VarianceUncertainty else 2.0)
    axis = WCS({"CTYPE1": "WAVE", "CUNIT1": "um", "CRPIX1": 1, "CRVAL1": 5.0, "CDELT1": 0.1})
    linear = specutils.Spectrum(flux=FLUX * u.Jy, wcs=axis, uncertainty=kind(values), mask=FLUX > 27)
    linear.write(tmp_path / "linear.fits", format="wcs1d-fits")
    table = specutils.Spectrum(flux=FLUX * u.Jy, spectral_axis=(5 + 0.1 * FLUX) * u.um, uncertainty=kind(values))
    table.write(tmp_path / "table.fits", format="tabular-fits")
    for name in ("linear.fits", "table.fits"):
        (spectrum,) = read_spectrum_file(tmp_path / name).spectra
        np.testing.assert_allclose(spectrum.wave, 5 + 0.1 * FLUX)
        np.testing.assert_allclose(spectrum.flux, FLUX)
        np.testing.assert_allclose(spectrum.error, 2.0)
        assert (spectrum.unit("wavepos"), spectrum.unit("spectral_flux")) == ("um", "Jy")
        if name == "linear.fits":
            np.testing.assert_array_equal(spectrum["badmask"], FLUX > 27)


def test_that_spectra_anywhere_in_an_asdf_file_are_read_each_once(tmp_path):
    import asdf
    import specutils

    made = specutils.Spectrum(flux=np.stack([FLUX, 2 * FLUX]) * u.mJy, spectral_axis=WAVE * u.AA)
    asdf.AsdfFile({"object": {"spectrum": made}, "again": made}).write_to(tmp_path / "s.asdf")
    file = read_spectrum_file(tmp_path / "s.asdf")
    assert [(s.order, s.aperture) for s in file.spectra] == [(1, 1), (1, 2)]
    np.testing.assert_allclose(file.spectra[1].flux, 2 * FLUX)
    assert file.unit("spectral_flux") == "mJy"


def test_that_a_foreign_cube_gives_its_sum_and_its_brightest_pixel(tmp_path):
    import asdf
    import specutils

    values = np.ones((3, 4, 30))
    values[1, 2] = 5.0
    mask = np.zeros(values.shape, dtype=bool)
    mask[0, 0, 0] = True
    made = specutils.Spectrum(
        flux=values * u.Jy, spectral_axis=WAVE * u.AA, mask=mask, uncertainty=StdDevUncertainty(np.ones(values.shape))
    )
    asdf.AsdfFile({"cube": made}).write_to(tmp_path / "c.asdf")
    file = read_spectrum_file(tmp_path / "c.asdf")
    total, peak = file.spectra
    np.testing.assert_allclose(total.flux, np.where(np.arange(30) == 0, 15.0, 16.0))
    np.testing.assert_allclose(total.error, np.sqrt(np.where(np.arange(30) == 0, 11, 12)))
    np.testing.assert_allclose(peak.flux, 5.0)
    assert any("aperture 2 the brightest pixel" in note for note in file.notes)


def test_that_an_axis_on_the_sky_is_not_taken_for_wavelengths(tmp_path):
    header = fits.Header({"CTYPE1": "WAVE", "CUNIT1": "um", "CTYPE3": "DEC--TAN", "CUNIT3": "deg", "CRVAL3": 27.0,
                          "CDELT3": 3e-5, "CRPIX3": 1.0})  # fmt: skip
    fits.PrimaryHDU(np.ones((10, 4, 3)), header).writeto(tmp_path / "c.fits")
    with pytest.raises(InputError, match="holds no spectrum"):
        read_spectrum_file(tmp_path / "c.fits")


def test_that_tables_with_a_spectrum_in_each_row_are_not_read_along_the_wrong_way(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "specutils", None)
    table = Table({"lambda": [1.0, 2.0], "e_flux": [3.0, 4.0], "flux": np.stack([FLUX, FLUX])})
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table)]).writeto(tmp_path / "rows.fits")
    with pytest.raises(InputError, match="holds no spectrum"):
        read_spectrum_file(tmp_path / "rows.fits")


@pytest.mark.parametrize("telescope", ["SOFIA", "another"])
def test_that_images_are_told_to_hold_no_spectrum(tmp_path, telescope):
    sky = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 3.0, "CDELT1": -1e-4, "CDELT2": 1e-4}
    fits.PrimaryHDU(np.ones((20, 30)), fits.Header(sky | {"TELESCOP": telescope})).writeto(tmp_path / "i.fits")
    with pytest.raises(InputError, match="holds no spectrum"):
        read_spectrum_file(tmp_path / "i.fits")


def test_that_nonsense_is_refused_with_our_words_whether_specutils_is_there_or_not(tmp_path):
    path = tmp_path / "noise.bin"
    path.write_bytes(bytes(range(256)) * 20)
    with pytest.raises(InputError, match="neither FITS nor text"):
        read_spectrum_file(path)


def test_that_logarithms_of_wavelengths_are_wavelengths(tmp_path):
    table = Table({"flux": FLUX, "loglam": np.log10(WAVE), "ivar": np.full(30, 4.0)})
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table, name="COADD")]).writeto(tmp_path / "spec-1-2-3.fits")
    (spectrum,) = read_spectrum_file(tmp_path / "spec-1-2-3.fits").spectra
    np.testing.assert_allclose(spectrum.wave, WAVE)
    assert spectrum.unit("wavepos") == "Angstrom"
    np.testing.assert_allclose(spectrum.error, 0.5)


PLAIN = """
import sys
import sofia_viewers.spectrum.viewer
from sofia_viewers.spectrum.loading import read_spectrum_file
for path in sys.argv[1:]:
    try:
        print(len(read_spectrum_file(path).spectra), end=" ")
    except Exception as problem:
        print(type(problem).__name__, end=" ")
print({"specutils", "asdf", "gwcs", "ndcube"} & set(sys.modules))
"""


def test_that_specutils_is_imported_neither_at_the_start_nor_for_files_of_our_own_or_plain_ones(tmp_path):
    fits.PrimaryHDU(np.ones((9, 9)), fits.Header({"TELESCOP": "SOFIA"})).writeto(tmp_path / "image.fits")
    axis = {"CTYPE1": "WAVE", "CUNIT1": "um", "CRPIX1": 1, "CRVAL1": 5.0, "CDELT1": 0.1, "BUNIT": "Jy"}
    fits.PrimaryHDU(FLUX, fits.Header(axis)).writeto(tmp_path / "linear.fits")
    Table({"WAVE": WAVE, "FLUX": FLUX}, units=["nm", "mJy"]).write(tmp_path / "table.fits")
    np.savetxt(tmp_path / "text.txt", np.column_stack([WAVE, FLUX]))
    names = ("image.fits", "linear.fits", "table.fits", "text.txt")
    assert run_alone(PLAIN, *(tmp_path / name for name in names)) == "InputError 1 1 1 set()"


OPENED = """
import sys
from sofia_viewers.qt import QtCore, start_application
from sofia_viewers.spectrum.viewer import SpectrumViewer

application = start_application(offscreen=True)
viewer = SpectrumViewer()
viewer.show()
application.processEvents()
before, turns = set(sys.modules), []
loop = QtCore.QEventLoop()
ticking = QtCore.QTimer()
ticking.timeout.connect(lambda: (turns.append(1), viewer.session.files and loop.quit()))
ticking.start(5)
QtCore.QTimer.singleShot(100000, loop.quit)
viewer.open_files(sys.argv[1:])
loop.exec()
new = set(sys.modules) - before
qt = [name for name in new if name.startswith(("PySide6", "shiboken", "pyqtgraph"))]
print(len(viewer.session.files), "specutils" in new, qt)
print(len(turns))
viewer.close()
"""


def test_that_the_window_lives_while_specutils_is_imported_and_no_qt_is_imported_with_it(apogee):
    said, turns = run_alone(OPENED, apogee).splitlines()
    assert said == "1 True []"
    assert int(turns) > 20  # of the event loop, while the import takes a second or more
