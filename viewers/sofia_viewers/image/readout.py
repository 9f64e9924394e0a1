"""What lies under the cursor: pixel, value, error, flag, sky coordinates, wavelength."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sofia_viewers.image.frame import Frame

__all__ = [
    "SKY_SYSTEMS",
    "Readout",
    "find_rotation",
    "find_sky",
    "find_sky_frame",
    "format_degrees",
    "format_sexagesimal",
    "read_out",
]

SKY_SYSTEMS = ("icrs", "fk5", "galactic")


@dataclass(frozen=True)
class Readout:
    """Properties of one pixel.

    Parameters
    ----------
    x, y : float
        FITS pixel coordinates, from 1.
    value, error : float or None
        Of the pixel; None outside the image, the error also where there is no error plane. NaN where bad.
    unit : str
        Unit of both.
    flag : float or None
        Value of the mask plane.
    sky : mapping of str to (float, float)
        Longitude and latitude, degrees, by the systems of `SKY_SYSTEMS`; empty without world coordinates.
    wavelength : (float, str) or None
        Third coordinate of the slice, and its unit.
    """

    x: float
    y: float
    value: float | None = None
    error: float | None = None
    unit: str = ""
    flag: float | None = None
    sky: dict[str, tuple[float, float]] = field(default_factory=dict)
    wavelength: tuple[float, str] | None = None

    @property
    def value_text(self) -> str:
        """Value ± error unit."""
        if self.value is None:
            return "outside"
        if math.isnan(self.value):
            return "blank"
        text = f"{self.value:.6g}"
        if self.error is not None and math.isfinite(self.error):
            text += f" ± {self.error:.3g}"
        return f"{text} {self.unit}".strip()

    @property
    def pixel_text(self) -> str:
        """Pixel coordinates, one decimal."""
        return f"x {self.x:.1f}  y {self.y:.1f}"

    def sky_text(self, system: str = "icrs", *, degrees: bool = False) -> str:
        """Return longitude and latitude in a system; empty without world coordinates."""
        if system not in self.sky:
            return ""
        lon, lat = self.sky[system]
        if degrees or system == "galactic":
            return format_degrees(lon, lat)
        return format_sexagesimal(lon, lat)


def read_out(frame: Frame, x: float, y: float) -> Readout:
    """Read the pixel of a frame at a position, pixels from 0.

    Parameters
    ----------
    frame : Frame
        What is shown.
    x, y : float
        Column and row from 0; the pixel is the nearest one, the sky position that of the point itself.
    """
    column, row = math.floor(x + 0.5), math.floor(y + 0.5)
    rows, columns = frame.shape
    inside = 0 <= column < columns and 0 <= row < rows

    def value_of(image: NDArray[Any] | None) -> float | None:
        return float(image[row, column]) if inside and image is not None else None

    return Readout(
        x=x + 1,
        y=y + 1,
        value=value_of(frame.image),
        error=value_of(frame.companion_image("error")) if frame.plane.name.upper() != "ERROR" else None,
        unit=frame.plane.unit,
        flag=value_of(frame.companion_image("mask")),
        sky=find_sky(frame.wcs, x, y),
        wavelength=_wavelength_of(frame),
    )


def _wavelength_of(frame: Frame) -> tuple[float, str] | None:
    axis = frame.wavelengths
    return None if axis is None else (float(axis[0][frame.slice_number]), axis[1])


def find_sky(wcs: Any, x: float, y: float) -> dict[str, tuple[float, float]]:
    """Return the sky position of a pixel (from 0) in all of `SKY_SYSTEMS`, degrees; empty if it has none."""
    if wcs is None:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lon, lat = (float(v) for v in wcs.all_pix2world(x, y, 0))
    if not math.isfinite(lon + lat):
        return {}
    return {system: _rotate(find_rotation(wcs, system), lon, lat) for system in SKY_SYSTEMS}


def _rotate(matrix: NDArray[np.float64], lon: float, lat: float) -> tuple[float, float]:
    a, d = math.radians(lon), math.radians(lat)
    x, y, z = matrix @ (math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d))
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))


def find_rotation(wcs: Any, system: str) -> NDArray[np.float64]:
    """Return the matrix that turns directions from the sky coordinates of an image to a system of `SKY_SYSTEMS`."""
    header = wcs.wcs
    return _find_rotation(header.lngtyp.strip(), header.radesys.strip().lower(), float(header.equinox), system)


@lru_cache(maxsize=64)
def _find_rotation(longitude: str, radesys: str, equinox: float, system: str) -> NDArray[np.float64]:
    """Return the matrix between two systems; B1950 positions are exact to 0.1 arcsec (terms of aberration)."""
    from astropy.coordinates import FK4, FK5, ICRS, CartesianRepresentation, Galactic
    from astropy.time import Time

    besselian = radesys.startswith("fk4")
    year = equinox if math.isfinite(equinox) else (1950.0 if besselian else 2000.0)
    epoch = Time(year, format="byear" if besselian else "jyear")
    source: Any = ICRS()
    if longitude == "GLON":
        source = Galactic()
    elif radesys == "fk5" or (not radesys and math.isfinite(equinox)):
        source = FK5(equinox=epoch)
    elif besselian:
        source = FK4(equinox=epoch)
    axes = source.realize_frame(CartesianRepresentation(np.eye(3))).transform_to(find_sky_frame(system))
    matrix: NDArray[np.float64] = axes.cartesian.xyz.value
    return matrix


def find_sky_frame(system: str) -> Any:
    """Return the frame of astropy of one of `SKY_SYSTEMS`; equinox 2000 whatever that of the image is."""
    from astropy.coordinates import FK5, ICRS, Galactic

    return {"icrs": ICRS(), "fk5": FK5(equinox="J2000"), "galactic": Galactic()}[system]


def format_sexagesimal(lon: float, lat: float) -> str:
    """Return right ascension in hours (0.01 s) and declination in degrees (0.1 arcsec)."""
    hours = round(lon / 15.0 * 360000) % (24 * 360000)
    arcsec = round(abs(lat) * 36000)
    sign = "-" if lat < 0 else "+"
    return (
        f"{hours // 360000:02d}:{hours // 6000 % 60:02d}:{hours % 6000 / 100:05.2f} "
        f"{sign}{arcsec // 36000:02d}:{arcsec // 600 % 60:02d}:{arcsec % 600 / 10:04.1f}"
    )


def format_degrees(lon: float, lat: float) -> str:
    """Return both coordinates in degrees, six decimals."""
    return f"{lon:.6f} {lat:+.6f}"
