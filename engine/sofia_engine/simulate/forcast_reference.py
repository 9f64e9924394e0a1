"""The calibration files a FORCAST simulation is made with: published, a user's own, synthetic, or none."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError, ReferenceDataError
from sofia_engine.simulate.distortion import (
    PIXEL_SCALE,
    Distortion,
    PinholeTable,
    fit_distortion,
    make_pinholes,
    read_pinholes,
)
from sofia_engine.simulate.forcast_calibration import (
    FluxCalibration,
    compute_telluric_factor,
    read_calibration_factor,
)
from sofia_engine.simulate.forcast_detector import DETECTOR_SHAPE, make_bad_pixel_mask
from sofia_engine.simulate.options import compact_date

if TYPE_CHECKING:
    from sofia_engine.reference import ReferenceRequest
    from sofia_engine.simulate.forcast_options import ForcastImaging, ForcastObservation

__all__ = ["ForcastReference", "fetch_reference", "is_published", "load_bad_pixel_mask", "load_reference"]

_CENTER = (127.0, 127.0)
_SYNTHETIC_NAMES = {"bad_pixel_mask": "bad_pixel_mask.fits", "pinhole_locations": "pinhole_locations.txt"}


@dataclass(frozen=True)
class ForcastReference:
    """
    What calibration files say about the instrument.

    Parameters
    ----------
    mask
        (256, 256) bool, True where a pixel is bad.
    distortion
        Optical distortion, with the boresight at the centre.
    calibration
        Flux calibration.
    files
        For ``bad_pixel_mask`` and ``pinhole_locations``: name of the published file, path of the user's own,
        name of the synthetic one beside the raw files, or ``none``.
    """

    mask: NDArray[np.bool_]
    distortion: Distortion
    calibration: FluxCalibration
    files: dict[str, str] = field(default_factory=dict)


def load_reference(options: ForcastImaging, directory: Path, random: np.random.Generator) -> ForcastReference:
    """
    Load, or make and write, the calibration files of a simulation.

    Parameters
    ----------
    options
        Options of the simulation.
    directory
        Folder of the raw files, where synthetic files are put.
    random
        Source of random numbers for synthetic files.

    Returns
    -------
    ForcastReference
        Their content.

    Raises
    ------
    ReferenceDataError
        If a file is missing or unusable.
    """
    mask, mask_name = load_bad_pixel_mask(options, directory, random)
    choice = str(options.pinhole_locations) if options.distortion else "none"
    path = _locate("pinhole_locations", choice, options, directory)
    files = {"bad_pixel_mask": mask_name, "pinhole_locations": _describe(path, choice)}
    return ForcastReference(mask, _load_distortion(path, choice), _find_calibration(options), files)


def load_bad_pixel_mask(
    options: ForcastObservation, directory: Path, random: np.random.Generator
) -> tuple[NDArray[np.bool_], str]:
    """
    Load, or make and write, the bad-pixel mask of a simulation.

    Parameters
    ----------
    options, directory, random
        As in `load_reference`.

    Returns
    -------
    mask : ndarray
        (256, 256), True where a pixel is bad.
    name : str
        What to call its file, see `ForcastReference`.
    """
    choice = str(options.bad_pixel_mask) if options.bad_pixels else "none"
    path = _locate("bad_pixel_mask", choice, options, directory)
    return _load_mask(path, choice, options.setup.camera, random), _describe(path, choice)


def _locate(kind: str, choice: str, options: ForcastObservation, directory: Path) -> Path | None:
    """Give the path of a file, whether or not it exists yet."""
    if choice == "none":
        return None
    if choice == "synthetic":
        return directory / _SYNTHETIC_NAMES[kind]
    return (
        fetch_reference(kind, options, mode=f"IMG_{options.setup.camera}C") if choice == "reference" else Path(choice)
    )


def fetch_reference(kind: str, options: ForcastObservation, **match: str) -> Path:
    """
    Get the published file of a kind for the date of a simulation.

    Parameters
    ----------
    kind
        Kind of file, e.g. ``wave_cal``.
    options
        Options of the simulation.
    match
        What the catalogue asks for besides the date.

    Raises
    ------
    ReferenceDataError
        If there is none, or it cannot be had.
    """
    from sofia_engine.reference import ReferenceStore

    return ReferenceStore().get(_request(kind, options, match))


def is_published(kind: str, options: ForcastObservation, **match: str) -> bool:
    """Tell whether there is a published file of a kind for the date of a simulation; as `fetch_reference`."""
    from sofia_engine.reference import ReferenceStore

    return ReferenceStore().find(_request(kind, options, match)) is not None


def _request(kind: str, options: ForcastObservation, match: dict[str, str]) -> ReferenceRequest:
    from sofia_engine.reference import ReferenceRequest

    return ReferenceRequest(
        instrument="FORCAST", kind=kind, date=compact_date(options.date), match=match, label="the simulation"
    )


def _describe(path: Path | None, choice: Path | str) -> str:
    if path is None:
        return "none"
    return path.name if choice in {"reference", "synthetic"} else str(path)


def _load_mask(path: Path | None, choice: Path | str, camera: str, random: np.random.Generator) -> NDArray[np.bool_]:
    """Read the bad-pixel mask, or make and write one."""
    from astropy.io import fits

    if path is None:
        return np.zeros(DETECTOR_SHAPE, dtype=bool)
    if choice == "synthetic":
        mask = make_bad_pixel_mask(camera, random)
        fits.PrimaryHDU(mask.astype(np.uint8)).writeto(path, overwrite=True)
        return mask
    try:
        data = fits.getdata(path)
    except (OSError, IndexError) as error:
        raise ReferenceDataError(f"The bad-pixel mask {path} cannot be read ({error}); give a FITS image.") from error
    if np.shape(data) != DETECTOR_SHAPE:
        raise ReferenceDataError(f"The bad-pixel mask {path} has the shape {np.shape(data)}; 256 by 256 is needed.")
    return np.asarray(data) > 0


def _load_distortion(path: Path | None, choice: Path | str) -> Distortion:
    """Read the pinhole table, or make and write one, and fit it; the boresight is the centre."""
    if path is None:
        return Distortion(None, (PIXEL_SCALE, PIXEL_SCALE), _CENTER)
    if choice != "synthetic":
        return fit_distortion(read_pinholes(path), _CENTER)
    table = make_pinholes()
    _write_pinholes(table, path)
    return fit_distortion(table, _CENTER)


def _write_pinholes(table: PinholeTable, path: Path) -> None:
    rows = zip(table.grid, table.measured, strict=True)
    lines = [f"{column}\t{row}\t{x:.3f}\t{y:.3f}" for (column, row), (x, y) in rows]
    path.write_text("\n".join(["xid\tyid\txpos\typos", *lines]) + "\n", encoding="utf-8")


def _find_calibration(options: ForcastImaging) -> FluxCalibration:
    """Take the calibration from the options, else from the published tables."""
    factor, factor_origin = _find_factor(options)
    telluric, telluric_origin = _find_telluric(options)
    if factor is None and options.flux_unit == "Jy":
        raise ParameterError(
            f"No flux calibration of {options.spectel} is known for {options.date}; "
            "give the option 'calibration_factor', or the flux in Me/s."
        )
    return FluxCalibration(factor, telluric, {"factor": factor_origin, "telluric_factor": telluric_origin})


def _find_factor(options: ForcastImaging) -> tuple[float | None, str]:
    if options.calibration_factor is not None:
        return options.calibration_factor, "option"
    if options.calibration == "none":
        return None, "none"
    dichroic = int(options.dual)
    if not is_published("flux_calibration", options, altcfg1=str(dichroic)):
        return None, "none"
    path = fetch_reference("flux_calibration", options, altcfg1=str(dichroic))
    return read_calibration_factor(path, options.spectel, dichroic), path.name


def _find_telluric(options: ForcastImaging) -> tuple[float, str]:
    if options.telluric_factor is not None:
        return options.telluric_factor, "option"
    if options.calibration == "none":
        return 1.0, "none"
    fits = [
        fetch_reference(f"response_{kind}", options, altcfg1=str(int(options.dual))) for kind in ("airmass", "altitude")
    ]
    factor = compute_telluric_factor(
        fits[0], fits[1], options.spectel, options.zenith_angle, options.altitude_ft / 1000
    )
    return factor, ", ".join(path.name for path in fits)
