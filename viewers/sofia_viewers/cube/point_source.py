"""Width of a point source in an image, against that of the telescope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import StepError
from sofia_viewers.cube.apertures import Aperture

__all__ = ["SourceWidth", "expected_fwhm", "measure_width"]

_MIRROR = 2.5
_ARCSEC = 206264.806
_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))


@dataclass(frozen=True)
class SourceWidth:
    """A fitted two-dimensional Gaussian: centre (pixels from 0), FWHM of both axes in pixels, their errors."""

    x: float
    y: float
    major: float
    minor: float
    error: float

    @property
    def mean(self) -> float:
        """Geometric mean of both widths, pixels."""
        return float(np.sqrt(self.major * self.minor))


def expected_fwhm(wave: float) -> float:
    """Return the diffraction limit, arcsec: FWHM = 1.029 λ/D of a circular mirror of 2.5 m (λ in μm)."""
    return 1.029 * wave * 1e-6 / _MIRROR * _ARCSEC


def measure_width(image: NDArray[np.floating], aperture: Aperture) -> SourceWidth:
    """Fit an elliptical Gaussian on a constant to the pixels of an aperture.

    Parameters
    ----------
    image : (n_y, n_x) ndarray
        NaN is left out.
    aperture : Aperture
        Which pixels.

    Raises
    ------
    StepError
        If there are too few pixels, or no source.
    """
    from scipy.optimize import least_squares

    y, x = np.mgrid[aperture.rows, aperture.columns]
    values = np.asarray(image[aperture.rows, aperture.columns], dtype=float)
    use = aperture.mask & np.isfinite(values)
    if use.sum() < 12:
        raise StepError("The region holds fewer than 12 good pixels: draw a larger one around the source.")
    x, y, values = x[use].astype(float), y[use].astype(float), values[use]
    scale = float(np.ptp(values)) or 1.0
    base = float(np.percentile(values, 20))
    peak = int(np.argmax(values))
    area = float(np.count_nonzero(values - base > 0.5 * (values[peak] - base)))
    sigma = max(np.sqrt(area / np.pi), 0.7) / 1.18

    def residuals(p: NDArray[np.float64]) -> NDArray[np.float64]:
        dx, dy = x - p[1], y - p[2]
        c, s = np.cos(p[5]), np.sin(p[5])
        u, v = (dx * c + dy * s) / p[3], (dy * c - dx * s) / p[4]
        return np.asarray(p[0] * np.exp(-0.5 * (u * u + v * v)) + p[6] - values / scale)

    start = [(values[peak] - base) / scale, x[peak], y[peak], sigma, sigma, 0.3, base / scale]
    found = least_squares(residuals, start)
    widths = np.abs(found.x[3:5]) * _FWHM
    if not found.success or found.x[0] <= 0 or widths.max() > 4 * max(np.ptp(x), np.ptp(y)):
        raise StepError("No source was found in the region: draw it around one.")
    variance = 2.0 * found.cost / max(len(values) - 7, 1)
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * variance
    error = float(np.sqrt(max(covariance[3, 3] + covariance[4, 4], 0.0)) / 2.0 * _FWHM)
    return SourceWidth(float(found.x[1]), float(found.x[2]), float(widths.max()), float(widths.min()), error)
