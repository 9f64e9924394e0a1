"""Sources on the sky as surface brightness, and their rendering on a distorted detector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sofia_engine.simulate.options import check_number, check_pair

if TYPE_CHECKING:
    from sofia_engine.simulate.distortion import Distortion

__all__ = ["Brightness", "ExtendedSource", "PointSource", "render_source"]

FloatArray = NDArray[np.float64]
_OVERSAMPLING = 4
_SIGMA_PER_FWHM = 1 / np.sqrt(8 * np.log(2))
_MOFFAT_EXPONENT = 3.0
_GAUSSIAN_REACH = 3.5
"""In units of the FWHM: outside lie 2e-15 of the flux."""


@dataclass(frozen=True)
class ExtendedSource:
    """
    Elliptical Gaussian on the sky.

    Parameters
    ----------
    flux
        Total flux, unit of the point source's flux.
    fwhm_major_arcsec, fwhm_minor_arcsec
        Full widths at half maximum before the telescope blurs the source.
    position_angle
        Of the major axis, degrees from north to east.
    offset_arcsec
        Of its centre from the position of the observation, (east, north).
    """

    flux: float
    fwhm_major_arcsec: float = 20.0
    fwhm_minor_arcsec: float = 10.0
    position_angle: float = 0.0
    offset_arcsec: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        check_number("extended.flux", self.flux, 0, 1e9)
        check_number("extended.fwhm_major_arcsec", self.fwhm_major_arcsec, 0.1, 1000)
        check_number("extended.fwhm_minor_arcsec", self.fwhm_minor_arcsec, 0.1, self.fwhm_major_arcsec)
        check_number("extended.position_angle", self.position_angle, -360, 360)
        check_pair("extended.offset_arcsec", self.offset_arcsec)

    def seen(self, fwhm_arcsec: float, to_detector: FloatArray) -> Brightness:
        """
        Give its surface brightness as the telescope sees it, for unit flux.

        Parameters
        ----------
        fwhm_arcsec
            Width of the point-spread function, which is taken as Gaussian here.
        to_detector
            Matrix that turns sky offsets (xi, eta) into detector offsets (x, y).
        """
        angle = np.radians(self.position_angle)
        major = np.array([np.sin(angle), np.cos(angle)])
        minor = np.array([np.cos(angle), -np.sin(angle)])
        variances = (np.array([self.fwhm_major_arcsec, self.fwhm_minor_arcsec]) * _SIGMA_PER_FWHM) ** 2
        on_sky = variances[0] * np.outer(major, major) + variances[1] * np.outer(minor, minor)
        blur = (fwhm_arcsec * _SIGMA_PER_FWHM) ** 2
        covariance = to_detector @ on_sky @ to_detector.T + blur * np.eye(2)
        reach = _GAUSSIAN_REACH * float(np.hypot(self.fwhm_major_arcsec, fwhm_arcsec))
        return Brightness(_gaussian(covariance), reach)


@dataclass(frozen=True)
class PointSource:
    """
    Point-spread function.

    Parameters
    ----------
    fwhm_arcsec
        Full width at half maximum.
    profile
        ``gaussian``, or ``moffat`` with exponent 3.
    """

    fwhm_arcsec: float
    profile: str = "gaussian"

    def seen(self) -> Brightness:
        """Give its surface brightness for unit flux."""
        if self.profile == "moffat":
            return Brightness(_moffat(self.fwhm_arcsec), np.inf)
        covariance = (self.fwhm_arcsec * _SIGMA_PER_FWHM) ** 2 * np.eye(2)
        return Brightness(_gaussian(covariance), _GAUSSIAN_REACH * self.fwhm_arcsec)


@dataclass(frozen=True)
class Brightness:
    """
    Surface brightness of a source of unit flux around its centre.

    Parameters
    ----------
    profile
        Function of detector offsets x, y (arcsec); gives 1/arcsec**2.
    reach_arcsec
        Radius beyond which nothing needs to be drawn.
    """

    profile: Callable[[FloatArray, FloatArray], FloatArray]
    reach_arcsec: float


def render_source(
    brightness: Brightness, position: FloatArray, distortion: Distortion, shape: tuple[int, int]
) -> FloatArray:
    """
    Draw a source of unit flux on the detector: integrate its brightness over each pixel.

    Light is conserved: brightness on the sky is multiplied with the area of sky that each part of a pixel sees.

    Parameters
    ----------
    brightness
        The source.
    position
        Offset (x, y) of its centre from the boresight on the undistorted detector, arcsec.
    distortion
        From undistorted offsets to pixels.
    shape
        Rows and columns of the detector.

    Returns
    -------
    ndarray
        Share of the flux in each pixel, of the given shape; the sum is 1 for a source well inside the detector.
    """
    image = np.zeros(shape)
    columns, rows = _find_box(brightness, distortion.to_pixel(position), distortion, shape)
    if columns.size and rows.size:
        image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = _integrate(
            brightness, position, distortion, (columns, rows)
        )
    return image


def _find_box(
    brightness: Brightness, pixel: FloatArray, distortion: Distortion, shape: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the columns and the rows the source reaches."""
    reach = brightness.reach_arcsec / min(distortion.scale) * 1.1 + 2
    indices = [np.arange(length) for length in (shape[1], shape[0])]
    columns, rows = (index[np.abs(index - center) <= reach] for index, center in zip(indices, pixel, strict=True))
    return columns, rows


def _integrate(
    brightness: Brightness,
    position: FloatArray,
    distortion: Distortion,
    box: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> FloatArray:
    """Integrate over the pixels of a box with the midpoint rule on a fine grid inside each pixel."""
    inside = (np.arange(_OVERSAMPLING) + 0.5) / _OVERSAMPLING - 0.5
    columns, rows = ((index[:, None] + inside).ravel() for index in box)
    x, y = np.meshgrid(columns, rows)
    offset, area = distortion.to_offset(np.stack([x, y]))
    light = brightness.profile(offset[0] - position[0], offset[1] - position[1]) * area
    cells = light.reshape(box[1].size, _OVERSAMPLING, box[0].size, _OVERSAMPLING)
    return np.asarray(cells.mean(axis=(1, 3)))


def _gaussian(covariance: FloatArray) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """Make a normalised Gaussian of a given covariance (arcsec**2)."""
    inverse = np.linalg.inv(covariance)
    peak = 1 / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))

    def profile(x: FloatArray, y: FloatArray) -> FloatArray:
        exponent = inverse[0, 0] * x**2 + 2 * inverse[0, 1] * x * y + inverse[1, 1] * y**2
        return np.asarray(peak * np.exp(-0.5 * exponent))

    return profile


def _moffat(fwhm: float) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """Make a normalised Moffat profile (Moffat 1969, A&A 3, 455)."""
    width = fwhm / (2 * np.sqrt(2 ** (1 / _MOFFAT_EXPONENT) - 1))
    peak = (_MOFFAT_EXPONENT - 1) / (np.pi * width**2)

    def profile(x: FloatArray, y: FloatArray) -> FloatArray:
        return np.asarray(peak * (1 + (x**2 + y**2) / width**2) ** -_MOFFAT_EXPONENT)

    return profile
