"""The calibration files a grism simulation is made with: published, a user's own, or synthetic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ReferenceDataError
from sofia_engine.simulate.curves import Curve
from sofia_engine.simulate.forcast_detector import DETECTOR_SHAPE
from sofia_engine.simulate.forcast_grism_options import GRISMS, SLIT_WIDTHS
from sofia_engine.simulate.forcast_reference import fetch_reference

if TYPE_CHECKING:
    from sofia_engine.simulate.forcast_grism_options import ForcastGrism

__all__ = ["GrismReference", "SlitGeometry", "load_grism_reference"]

FloatArray = NDArray[np.float64]
_SLIT_HEIGHT_ARCSEC = 194.304
_SLIT_HEIGHT_PIXELS = 253
_SYNTHETIC_RESPONSE = {"G063": 0.0050, "G111": 0.0045, "G227": 0.0020, "G329": 0.0012}
"""Me/s/Jy at the peak, about those of the published files."""
_SYNTHETIC_BANDS = ((0.12, 0.010, 0.5), (0.30, 0.004, 0.3), (0.55, 0.020, 0.6), (0.83, 0.006, 0.4))
"""Place in the coverage, width relative to it and depth of the bands of a synthetic atmosphere."""
_MARGIN = 0.15
_ATMOSPHERE_STEP_UM = 2e-4


@dataclass(frozen=True)
class SlitGeometry:
    """
    Where wavelengths and slit positions fall on the detector.

    Parameters
    ----------
    wavelength
        (256, 256) of the pixel centres, micrometres; NaN outside the order.
    position
        (256, 256) position along the slit of the pixel centres, arcsec; NaN outside the order.
    lit
        (256, 256) bool, where light from the slit falls.
    width_arcsec
        Width of the slit.
    row_arcsec
        Height of a row of rectified spectra.
    """

    wavelength: FloatArray
    position: FloatArray
    lit: NDArray[np.bool_]
    width_arcsec: float
    row_arcsec: float

    @property
    def column_um(self) -> float:
        """
        Width of a column of rectified spectra, to which the published responses refer.

        It is the range of wavelengths over the range of columns in the order.
        """
        inside = self.lit & np.isfinite(self.wavelength) & np.isfinite(self.position)
        columns = np.flatnonzero(inside.any(axis=0))
        low, high = self.coverage_um
        return (high - low) / float(columns[-1] - columns[0])

    @property
    def coverage_um(self) -> tuple[float, float]:
        """First and last wavelength in the order."""
        inside = self.lit & np.isfinite(self.wavelength) & np.isfinite(self.position)
        return float(self.wavelength[inside].min()), float(self.wavelength[inside].max())


@dataclass(frozen=True)
class GrismReference:
    """
    What calibration files say about grism, slit and atmosphere.

    Parameters
    ----------
    geometry
        Place of wavelengths and slit positions.
    response
        Me/s/Jy per rectified column of a point source centred on the slit.
    transmission
        Transmission of the atmosphere, not broadened; None for no atmosphere.
    files
        Name of the published file, path of the user's own, name of the synthetic one, or ``none``, by kind.
    """

    geometry: SlitGeometry
    response: Curve
    transmission: Curve | None
    files: dict[str, str]


def load_grism_reference(options: ForcastGrism, directory: Path) -> GrismReference:
    """
    Load, or make and write, the calibration files of a simulation.

    Parameters
    ----------
    options
        Options of the simulation.
    directory
        Folder of the raw files, where synthetic files are put.

    Raises
    ------
    ReferenceDataError
        If a file is missing or unusable.
    """
    makers = {
        "order_mask": _make_order_mask,
        "wave_cal": _make_maps,
        "response": _make_response,
        "atran": _make_atmosphere,
    }
    content, files = {}, {}
    for kind, make in makers.items():
        choice = str(getattr(options, kind))
        if choice == "none" and kind == "atran":
            files[kind] = choice
            continue
        path = _locate(kind, choice, options, directory)
        if choice == "synthetic":
            _write(path, *make(options))
        content[kind] = _read(path, kind)
        files[kind] = path.name if choice in {"reference", "synthetic"} else choice
    geometry = _read_geometry(content["order_mask"][1], content["wave_cal"][0], files["order_mask"])
    return GrismReference(
        geometry,
        _as_curve(content["response"][0], files["response"]),
        _as_curve(content["atran"][0], files["atran"]) if "atran" in content else None,
        files,
    )


def _locate(kind: str, choice: str, options: ForcastGrism, directory: Path) -> Path:
    if choice == "synthetic":
        name = "atran_40K_45deg_4-50mum" if kind == "atran" else kind
        return directory / f"{name}.fits"
    if choice == "reference":
        return fetch_reference(kind, options, spectel=options.setup.spectel, slit=options.setup.slit)
    return Path(choice)


def _read(path: Path, kind: str) -> tuple[FloatArray, Any]:
    """Read the primary HDU of a file."""
    import warnings

    from astropy.io import fits
    from astropy.utils.exceptions import AstropyUserWarning

    try:
        with warnings.catch_warnings():
            # Published files contain keywords of more than eight letters.
            warnings.simplefilter("ignore", AstropyUserWarning)
            with fits.open(path, memmap=False) as hdus:
                data, header = hdus[0].data, hdus[0].header
    except OSError as error:
        raise ReferenceDataError(f"The {kind} file {path} cannot be read ({error}); give a FITS image.") from error
    if data is None:
        raise ReferenceDataError(f"The {kind} file {path} holds no numbers in its primary HDU; give another one.")
    return np.asarray(data, dtype=float), header


def _read_geometry(header: Any, maps: FloatArray, name: str) -> SlitGeometry:
    """Find the lit pixels between the edges of the order."""
    if maps.shape != (2, *DETECTOR_SHAPE):
        raise ReferenceDataError(
            f"The wave_cal file has the shape {maps.shape}; 2 planes of 256 by 256 pixels are needed."
        )
    try:
        terms = range(1, int(header["EDGEDEG"]) + 1)
        bottom, top = (
            np.polynomial.polynomial.polyval(
                np.arange(DETECTOR_SHAPE[1]), [float(header[f"ODR01_{edge}{term}"]) for term in terms]
            )
            for edge in "BT"
        )
        first, last = (int(word) for word in str(header["ODR01_XR"]).split(","))
        width, rows = float(header["SLTW_ARC"]), float(header["SLTH_ARC"]) / float(header["SLTH_PIX"])
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise ReferenceDataError(f"The order mask {name} does not describe an order ({error}).") from error
    y, x = np.indices(DETECTOR_SHAPE)
    lit = (y >= np.floor(bottom)) & (y <= np.floor(top)) & (x >= first) & (x <= last)
    return SlitGeometry(maps[0], maps[1], lit, width, rows)


def _as_curve(rows: FloatArray, name: str) -> Curve:
    """Take wavelengths and values from the first two rows of a table."""
    if rows.ndim != 2 or len(rows) < 2 or not np.isfinite(rows[:2]).all(axis=0).any():
        raise ReferenceDataError(f"The file {name} holds no table of wavelengths and values.")
    known = np.isfinite(rows[:2]).all(axis=0)
    return Curve(rows[0, known], rows[1, known])


def _write(path: Path, data: FloatArray, cards: dict[str, Any]) -> None:
    from astropy.io import fits

    hdu = fits.PrimaryHDU(data)
    hdu.header.update(cards)
    hdu.writeto(path, overwrite=True)


def _make_order_mask(options: ForcastGrism) -> tuple[FloatArray, dict[str, Any]]:
    """Describe an order whose edges are lines, as the published ones."""
    width = SLIT_WIDTHS[options.slit]
    cards = {
        "ROTATION": 0,
        "NORDERS": 1,
        "ORDERS": "1",
        "EDGEDEG": 2,
        "ODR01_B1": 1.3,
        "ODR01_B2": -0.008,
        "ODR01_T1": 252.5,
        "ODR01_T2": -0.008,
        "ODR01_XR": "0,255",
        "SLTH_PIX": _SLIT_HEIGHT_PIXELS,
        "SLTH_ARC": _SLIT_HEIGHT_ARCSEC,
        "SLTW_PIX": width * _SLIT_HEIGHT_PIXELS / _SLIT_HEIGHT_ARCSEC,
        "SLTW_ARC": width,
        "PLTSCALE": _SLIT_HEIGHT_ARCSEC / _SLIT_HEIGHT_PIXELS,
        "RP": options.seen_resolution,
        "MODENAME": options.grism,
    }
    return np.ones((2, *DETECTOR_SHAPE)), cards


def _make_maps(options: ForcastGrism) -> tuple[FloatArray, dict[str, Any]]:
    """Map wavelengths and slit positions with the tilts and curvatures the published maps have."""
    y, x = np.indices(DETECTOR_SHAPE, dtype=float)
    u, v = x / 255, (y - 127.5) / 127.5
    first, last = GRISMS[options.grism].coverage_um
    length = last - first
    wavelength = first + length * (u + 0.01 * u * (u - 1) + 0.004 * v + 0.003 * v**2)
    position = _SLIT_HEIGHT_ARCSEC * (y - 1.3 + 0.008 * x) / 251.2 - 0.5 * u * (u - 1) * v
    return np.stack([wavelength, position]), {"WCTYPE": "2D", "NORDERS": 1, "ORDERS": "1", "ROTATION": 0}


def _make_response(options: ForcastGrism) -> tuple[FloatArray, dict[str, Any]]:
    """Make a smooth response over a little more than the coverage."""
    first, last = GRISMS[options.grism].coverage_um
    u = np.linspace(-0.05, 1.05, 300)
    values = _SYNTHETIC_RESPONSE[options.grism] * (1 - 0.8 * (u - 0.45) ** 2)
    values *= {"LS24": 0.65, "LS47": 1.0}[options.slit]
    rows = np.stack([first + u * (last - first), values, 0.002 * values, np.ones_like(u)])
    return rows, {"DETBIAS": {"SW": 1.75, "LW": 1.20}[options.setup.camera], "RP": options.seen_resolution}


def _make_atmosphere(options: ForcastGrism) -> tuple[FloatArray, dict[str, Any]]:
    """Make an atmosphere with a few bands."""
    first, last = GRISMS[options.grism].coverage_um
    length = last - first
    wavelength = np.arange(first - _MARGIN * length, last + _MARGIN * length, _ATMOSPHERE_STEP_UM)
    u = (wavelength - first) / length
    values = np.full_like(u, 0.97)
    for place, width, depth in _SYNTHETIC_BANDS:
        values *= 1 - depth * np.exp(-0.5 * ((u - place) / width) ** 2)
    return np.stack([wavelength, values]), {}
