"""Cubes of all kinds that are met in the wild: axes, units, number types, shapes, gaps."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from .conftest import GOLDEN, REST, make_header, make_truth, simulate, write_cube

LIGHT = 299792458.0
WXY = "fifi_sym_red/expected/F0855_FI_IFS_90000101_RED_WXY_00001-00008.fits.gz"


def make_varied(folder: Path) -> list[Path]:
    """Write cubes of all kinds, and give the golden one, if it is here, with them."""
    folder.mkdir(parents=True, exist_ok=True)
    makers = (
        _write_fifi, _write_frequencies, _write_velocities, make_velocities, _write_air, _write_falling,
        _write_integers, _write_borders, _write_single_channel, _write_single_pixel, _write_wavenumbers, _write_stokes,
        _write_slices, _write_doubles,
    )  # fmt: skip
    made = [maker(folder) for maker in makers]
    golden = GOLDEN / WXY
    return [*made, golden] if golden.exists() else made


def axis(kind: str, unit: str, start: float, step: float, **cards: object) -> fits.Header:
    """Return the header of a cube whose third axis is linear from its first slice on."""
    return make_header(rotation=25.0, CTYPE3=kind, CUNIT3=unit, CRVAL3=start, CRPIX3=1.0, CD3_3=step, **cards)


def _write_fifi(folder: Path) -> Path:
    truth = make_truth()
    data = simulate(truth)
    header = make_header(RESTWAV=REST * 1e-6)
    path = write_cube(
        folder / "fifi.fits", data, header, WAVELENGTH=truth.wave, TRANSMISSION=np.linspace(0.7, 0.9, 80),
        UNCORRECTED_FLUX=data * 0.8, EXPOSURE_MAP=np.full(data.shape, 30.0, "f4"),
    )  # fmt: skip
    fits.setval(path, "BUNIT", value="Jy/pixel", extname="UNCORRECTED_FLUX")
    return path


def _write_frequencies(folder: Path) -> Path:
    frequency = LIGHT / (make_truth().wave[0] * 1e-6)
    header = axis("FREQ", "Hz", frequency, -frequency / REST * 0.01, RESTFRQ=LIGHT / (REST * 1e-6))
    return write_cube(folder / "frequencies.fits", simulate(make_truth()), header, None)


def _write_velocities(folder: Path) -> Path:
    header = axis("VRAD", "km/s", -750.0, 19.0, RESTFRQ=LIGHT / (REST * 1e-6), BUNIT="K")
    return write_cube(folder / "radio.fits", simulate(make_truth()), header, None)


def make_velocities(folder: Path) -> Path:
    return write_cube(folder / "optical.fits", simulate(make_truth()), axis("VOPT", "m/s", -7.5e5, 1.9e4), 0.02)


def _write_air(folder: Path) -> Path:
    header = axis("AWAV", "Angstrom", 6500.0, 1.5, BUNIT="10**(-20)*erg/s/cm**2/Angstrom")
    return write_cube(folder / "air.fits", simulate(make_truth()), header)


def _write_falling(folder: Path) -> Path:
    truth = make_truth()
    header = make_header(rotation=200.0, CD3_3=-0.01)
    return write_cube(folder / "falling.fits", simulate(truth)[::-1], header, WAVELENGTH=truth.wave[::-1])


def _write_integers(folder: Path) -> Path:
    stored = np.round(simulate(make_truth()) / 0.001 - 500).astype("i2")
    stored[:, :3] = -32768
    header = make_header(rotation=70.0)
    hdu = fits.ImageHDU(stored, header)
    hdu.header["BSCALE"], hdu.header["BZERO"], hdu.header["BLANK"] = 0.001, 0.5, -32768
    hdu._bscale, hdu._bzero, hdu._blank = 0.001, 0.5, -32768
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(folder / "integers.fits", overwrite=True)
    return folder / "integers.fits"


def _write_borders(folder: Path) -> Path:
    data = simulate(make_truth())
    data[:, :4], data[:, :, -5:], data[:6], data[40, 10:12] = np.nan, np.nan, np.nan, np.inf
    return write_cube(folder / "borders.fits", data, make_header(pixel=3.0))


def _write_single_channel(folder: Path) -> Path:
    return write_cube(folder / "channel.fits", simulate(make_truth(n_wave=1)), make_header(n_wave=1))


def _write_single_pixel(folder: Path) -> Path:
    return write_cube(folder / "pixel.fits", simulate(make_truth((1, 1))), make_header((1, 1)))


def _write_wavenumbers(folder: Path) -> Path:
    truth = make_truth((1, 40), 300)
    header = make_header((1, 40), 300, CTYPE3="WAVN", CUNIT3="cm-1", CRVAL3=1333.0, CRPIX3=1.0, CD3_3=0.004,
                         BUNIT="erg s-1 cm-2 sr-1 (cm-1)-1", INSTRUME="EXES")  # fmt: skip
    return write_cube(folder / "exes.fits", simulate(truth), header)


def _write_stokes(folder: Path) -> Path:
    header = make_header(CTYPE4="STOKES", CRVAL4=1.0, CRPIX4=1.0, CDELT4=1.0)
    header["CD4_4"] = 1.0
    fits.PrimaryHDU(simulate(make_truth()).astype("f4")[None], header).writeto(folder / "stokes.fits", overwrite=True)
    return folder / "stokes.fits"


def _write_slices(folder: Path) -> Path:
    header = make_header(BUNIT="potatoes")
    for key in ("CTYPE3", "CRVAL3", "CRPIX3", "CUNIT3", "CD3_3"):
        del header[key]
    return write_cube(folder / "slices.fits", simulate(make_truth()), header, None)


def _write_doubles(folder: Path) -> Path:
    data = simulate(make_truth((40, 50))) * 1e-17
    fits.PrimaryHDU(data, make_header((40, 50), BUNIT="W/m2/um")).writeto(folder / "doubles.fits", overwrite=True)
    return folder / "doubles.fits"
