"""
Sky and detector: gnomonic projection and the rotation of the detector on the sky.

Offsets on the sky are (xi, eta), east and north, offsets on the detector (x, y), right and up; both in arcsec unless
told otherwise. The detector is rotated by rho = 180 deg - SKY_ANGL (CROTA2), and x grows to the west at rho = 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ARCSEC_PER_DEGREE", "find_pointing", "project", "rotation_angle", "sky_matrix"]

ARCSEC_PER_DEGREE = 3600.0
_POINTING_STEPS = 20


def rotation_angle(sky_angle: float) -> float:
    """
    Give the rotation rho of the detector on the sky (the keyword CROTA2).

    Parameters
    ----------
    sky_angle
        The keyword SKY_ANGL, degrees.

    Returns
    -------
    float
        Degrees, in (-180, 180].
    """
    return 180.0 - sky_angle % 360.0


def sky_matrix(rotation: float) -> NDArray[np.float64]:
    """
    Give the matrix that turns detector offsets into sky offsets; it is its own inverse.

    Parameters
    ----------
    rotation
        rho (CROTA2), degrees.

    Returns
    -------
    ndarray
        Shape (2, 2): (xi, eta) = matrix @ (x, y). A rotation by rho with the x axis reversed, as in the FITS
        convention with CDELT1 < 0 and CROTA2 (Calabretta & Greisen 2002, A&A 395, 1077, section 6.1).
    """
    cosine, sine = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    return np.array([[-cosine, -sine], [-sine, cosine]])


def project(position: tuple[float, float], center: tuple[float, float]) -> NDArray[np.float64]:
    """
    Project a position on the plane tangent to the sky at another one.

    Parameters
    ----------
    position, center
        Right ascension and declination, degrees.

    Returns
    -------
    ndarray
        (xi, eta), east and north, degrees.

    References
    ----------
    Calabretta & Greisen 2002, A&A 395, 1077, section 5.1.3 (TAN).
    """
    ra, dec = np.radians(position)
    ra0, dec0 = np.radians(center)
    away = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
    xi = np.cos(dec) * np.sin(ra - ra0)
    eta = np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0)
    return np.asarray(np.degrees([xi / away, eta / away]))


def find_pointing(source: tuple[float, float], offset: NDArray[np.float64]) -> tuple[float, float]:
    """
    Find the tangent point from which a source appears at a given offset.

    Parameters
    ----------
    source
        Right ascension and declination of the source, degrees; not within half a degree of a pole.
    offset
        Where it is to appear: (xi, eta), degrees, at most some tenths.

    Returns
    -------
    tuple of float
        Right ascension and declination of the tangent point, degrees.
    """
    ra, dec = source
    for _ in range(_POINTING_STEPS):
        xi, eta = project(source, (ra, dec)) - offset
        ra += xi / np.cos(np.radians(dec))
        dec += eta
    return float(ra % 360), float(dec)
