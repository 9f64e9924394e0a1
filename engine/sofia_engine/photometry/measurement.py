"""Photometry of one source: profile fits and aperture photometry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError, ParameterError, StepError
from sofia_engine.photometry.aperture import AperturePhotometry, measure_aperture
from sofia_engine.photometry.profile import (
    PROFILES,
    Measured,
    ProfileFit,
    ProfileName,
    fit_profile,
    make_failed_fit,
    make_start,
)
from sofia_engine.photometry.source import StartPosition, find_peak_near, find_start_position

if TYPE_CHECKING:
    from sofia_engine.photometry.tables import FilterDefinition

__all__ = ["Photometry", "PhotometryParameters", "measure_source"]

FloatArray = NDArray[np.float64]

_SMALLEST_STAMP = 20.0
_STAMP_FWHMS = 5.0
_LEAST_STAMP_PIXELS = 3
_CLIPPED_STAMP = 20


@dataclass(frozen=True)
class PhotometryParameters:
    """
    How a source is measured.

    Parameters
    ----------
    position
        Where to look, column and row from 0; None to search.
    fit_size
        Side of the square the profile is fitted in, pixels.
    stamp_size
        Half the side of the square for the first, unweighted fit, pixels; None for 5 FWHM, at least 20, at most
        `fit_size`.
    fwhm
        Expected full width at half maximum, pixels.
    profile
        ``moffat``, ``gaussian`` or ``lorentzian``.
    aperture_radius
        Pixels.
    sky_radii
        Inner and outer radius of the sky ring, pixels.
    stamp_center
        Whether the second fit is centred on the result of the first.
    allow_bad_fit
        Whether a profile fit may fail; the aperture is then placed at the start position.
    compatible
        True for the conventions of the observatory's pipeline where ours are better: sky scaled by geometric areas,
        and those that `photometry_keywords` describes.

    Raises
    ------
    ParameterError
        If a value cannot be used.
    """

    position: tuple[float, float] | None = None
    fit_size: int = 138
    stamp_size: int | None = None
    fwhm: float = 5.0
    profile: ProfileName = "moffat"
    aperture_radius: float = 12.0
    sky_radii: tuple[float, float] = (15.0, 25.0)
    stamp_center: bool = True
    allow_bad_fit: bool = False
    compatible: bool = False

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ParameterError(f"The profile {self.profile!r} is not known; choose one of {', '.join(PROFILES)}.")
        if len(self.sky_radii) != 2:
            raise ParameterError(f"The sky radii skyrad = {self.sky_radii} must be two numbers: inner, outer.")
        for name in ("fit_size", "fwhm", "aperture_radius", "stamp_size"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ParameterError(f"The photometry parameter {name} = {value} must be a positive number of pixels.")

    @classmethod
    def from_filter(cls, definition: FilterDefinition, **settings: Any) -> PhotometryParameters:
        """Take sizes from the definition of a filter, other settings, which win, as given."""
        sizes: dict[str, Any] = {
            "fit_size": definition.fit_size,
            "fwhm": definition.fwhm,
            "aperture_radius": definition.aperture_radius,
            "sky_radii": definition.sky_radii,
        }
        return cls(**(sizes | settings))

    @property
    def stamp(self) -> int:
        """Half the side of the square for the first fit, pixels."""
        if self.stamp_size is not None:
            return int(self.stamp_size)
        return int(min(max(_STAMP_FWHMS * self.fwhm, _SMALLEST_STAMP), self.fit_size))


@dataclass(frozen=True)
class Photometry:
    """
    Measured properties of a source.

    Parameters
    ----------
    parameters
        How it was measured.
    start
        Where it was looked for.
    image_size
        Smaller side of the square the profile was fitted in, pixels.
    fit
        The profile.
    aperture
        The aperture photometry.
    warnings
        What the user should know.
    """

    parameters: PhotometryParameters
    start: StartPosition
    image_size: int
    fit: ProfileFit
    aperture: AperturePhotometry
    warnings: tuple[str, ...] = ()

    @property
    def flux(self) -> Measured:
        """Flux in the aperture, image unit."""
        return self.aperture.flux


def measure_source(
    image: FloatArray,
    error: FloatArray | None = None,
    parameters: PhotometryParameters | None = None,
    header: Mapping[str, Any] | None = None,
) -> Photometry:
    """
    Fit a profile to a source and measure its flux in an aperture.

    Parameters
    ----------
    image
        (n_y, n_x) brightness; NaN where bad.
    error
        (n_y, n_x) standard deviation; NaN where not known. None for no errors.
    parameters
        How to measure; None for the defaults.
    header
        Gives SRCPOSX, SRCPOSY, CRPIX1 and CRPIX2 for the start position.

    Returns
    -------
    Photometry
        Positions count from 0 at the centre of the first pixel.

    Raises
    ------
    InputError
        If the image is not two-dimensional, the shapes differ, or there are no good pixels near the start position.
    ParameterError
        If the start position is outside the image.
    StepError
        If the profile cannot be fitted and ``allow_bad_fit`` is False.
    """
    parameters = parameters or PhotometryParameters()
    image = np.asarray(image)
    if image.ndim != 2:
        raise InputError(f"Photometry needs a two-dimensional image, not one of shape {image.shape}.")
    if error is not None and np.shape(error) != image.shape:
        raise InputError(f"The error plane has shape {np.shape(error)}, the image {image.shape}; they must be equal.")
    error = None if error is None else np.asarray(error)
    start = find_start_position(image, parameters.position, header)
    fit, size = _fit_source(image, error, parameters, start)
    warnings = start.warnings
    if not fit.converged:
        if not parameters.allow_bad_fit:
            raise StepError(
                f"No {parameters.profile} profile can be fitted to the source near x, y = {start.x:.1f}, "
                f"{start.y:.1f}; give the position srcpos and the width fwhm, or another profile."
            )
        warnings += ("The profile fit failed; the aperture is placed at the start position.",)
    aperture = measure_aperture(
        image,
        error,
        (fit.x.value, fit.y.value),
        parameters.aperture_radius,
        parameters.sky_radii,
        geometric_areas=parameters.compatible,
    )
    return Photometry(parameters, start, size, fit, aperture, warnings)


def _fit_source(
    image: FloatArray, error: FloatArray | None, parameters: PhotometryParameters, start: StartPosition
) -> tuple[ProfileFit, int]:
    """Fit a small square without weights, then a large one about the position found, with weights."""
    profile, half = parameters.profile, parameters.stamp
    largest = 2.0 * half / PROFILES[profile].fwhm_per_width
    if error is not None:
        image = np.where(np.isfinite(error) & (error > 0), image, np.nan)
    stamp, origin = _cut(image, (start.x, start.y), half)
    if np.count_nonzero(np.isfinite(stamp)) < _LEAST_STAMP_PIXELS:
        raise InputError(
            f"Stamp image is empty near x, y = {start.x:.1f}, {start.y:.1f}; give another position srcpos."
        )
    # The position in a header may be some pixels off, from where a fit can end in a wrong minimum.
    peak = find_peak_near(image, (start.x, start.y), parameters.fwhm) or (start.x, start.y)
    guess = make_start(profile, stamp, *peak, parameters.fwhm)
    first = fit_profile(stamp, None, profile, guess, origin=origin, largest_width=largest)
    moved = first.converged and parameters.stamp_center
    centre = (float(np.rint(first.x.value)), float(np.rint(first.y.value))) if moved else (start.x, start.y)
    box, origin = _cut(image, centre, max(int(parameters.fit_size) // 2, 1))
    weights = None if error is None else _cut(error, centre, max(int(parameters.fit_size) // 2, 1))[0]
    guess = first.parameters if first.converged else guess
    fit = fit_profile(box, weights, profile, guess, origin=origin, largest_width=largest)
    if not fit.converged:
        fit = make_failed_fit(profile, start.x, start.y, _read_pixel(image, start))
    return fit, min(box.shape[0], box.shape[1])


def _cut(image: FloatArray, position: tuple[float, float], half: int) -> tuple[FloatArray, tuple[int, int]]:
    columns, rows = (_find_range(int(p), half, n) for p, n in zip(position, image.shape[::-1], strict=True))
    return image[rows, columns], (columns.start, rows.start)


def _find_range(centre: int, half: int, size: int) -> slice:
    first = max(0, min(centre - half, size - 2 * half))
    return slice(first, min(size - 1, max(centre + half - 1, first + _CLIPPED_STAMP)) + 1)


def _read_pixel(image: FloatArray, start: StartPosition) -> float:
    row = min(max(round(start.y), 0), image.shape[0] - 1)
    column = min(max(round(start.x), 0), image.shape[1] - 1)
    return float(image[row, column])
