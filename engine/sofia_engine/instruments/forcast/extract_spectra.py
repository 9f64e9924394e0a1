"""Extract Spectra: the light of each source summed along the slit."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from astropy.io import fits

from sofia_engine.errors import StepError
from sofia_engine.instruments.forcast.grism_files import (
    find_resolution,
    read_atmosphere,
    require_resolution,
    want_atmosphere,
)
from sofia_engine.instruments.forcast.grism_frame import (
    accompany_spectrum,
    has_pixel_wavelengths,
    make_spectral_plane,
    require_planes,
    square_error,
)
from sofia_engine.instruments.forcast.grism_grid import find_grid, want_grid
from sofia_engine.numerics.arrays import BoolArray, FloatArray
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import ReferenceUse, Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product
from sofia_engine.spectroscopy.aperture_keywords import read_apertures
from sofia_engine.spectroscopy.aperture_mask import read_aperture, read_background
from sofia_engine.spectroscopy.apertures import slit_index
from sofia_engine.spectroscopy.background import estimate_background_errors
from sofia_engine.spectroscopy.extraction import (
    BackgroundErrors,
    ExtractionRule,
    ExtractionTask,
    extract_spectra,
    find_missing_shares,
)
from sofia_engine.spectroscopy.profiles import add_blur, follow_trace

__all__ = ["ExtractionParameters", "extract"]

LARGEST_LOSS = 0.01
"""Share of the light of an aperture that may be missing without a warning."""
LARGEST_SHARE = 0.1
"""Share of the pixels of the apertures that may be outliers without a warning."""
_FITTED = ({"method": "optimal"}, {"fix_bad": True})
"""With which columns are compared with the profile."""


class ExtractionParameters(SavedOutput):
    """Parameters of Extract Spectra."""

    save_1d: bool = parameter(
        False,
        label="Save extracted 1D spectra",
        help="Also write the spectra as rows of one array (wavelength, flux, error, transmission), code SPC.",
    )
    method: Literal["optimal", "standard"] = parameter(
        "optimal",
        label="Extraction method",
        help="Weight pixels with the spatial profile over their variance, or just sum them.",
    )
    use_profile: bool = parameter(
        False,
        label="Use median profile instead of spatial map",
        help="Take the same spatial profile at all wavelengths, moved along the slit with the trace, and widened where "
        "rectification blurs.",
        applies_when=_FITTED,
    )
    fix_bad: bool = parameter(
        True,
        label="Use spatial profile to fix bad pixels",
        help="Replace bad pixels and outliers by the profile scaled to the good pixels of the column.",
    )
    threshold: float = parameter(
        10.0,
        label="Bad pixel threshold (sigma)",
        unit="sigma",
        gt=0,
        le=1000,
        help="Pixels further from the scaled profile than this are outliers.",
        applies_when=_FITTED,
    )
    profile_error: float = parameter(
        0.003,
        label="Relative error of the profile",
        level="expert",
        ge=0,
        le=0.2,
        help="Light beside the aperture radius, and in bad pixels, is inferred with the profile and not known better "
        "than that; 0 as in earlier reductions.",
        applies_when=_FITTED,
    )


def _want_files(header: fits.Header, p: ExtractionParameters) -> Mapping[str, Wanted]:
    return {**want_atmosphere(header), **(want_grid(header) if p.use_profile else {})}


@step(
    "extract_spectra",
    label="Extract Spectra",
    code="SPM",
    product_type="spectra",
    level="LEVEL_2",
    references=_want_files,
)
def extract(image: Product, p: ExtractionParameters, run: Run) -> Product:
    """Extract the spectrum of each aperture, and add the transmission of the atmosphere."""
    require_planes(image, "WAVEPOS", "SLITPOS", "SPATIAL_MAP", "SPATIAL_PROFILE", "BADMASK", "APERTURE_MASK")
    task = _prepare(image, p, run)
    spectra = extract_spectra(task, ExtractionRule(p.method, p.fix_bad, p.threshold, p.profile_error))
    _require_light(image, spectra.flux, p.method)
    _tell_of_lost_light(image, task, p, run)
    _tell_of_outliers(image, spectra.outliers, run)
    missing = int(np.count_nonzero(spectra.failed))
    if missing:
        run.log(f"No usable pixel in {missing} columns; the spectrum is missing there.")
    unit = image.plane("FLUX").unit
    with np.errstate(divide="ignore", invalid="ignore"):
        run.quality["signal_to_noise"] = float(np.nanmedian(spectra.flux / spectra.error))
    used = run.reference("atran")
    transmission = _find_transmission(image, used)
    product = image.with_cards(("ATRNFILE", used.name, "Model of the atmosphere")).replace(
        FLUX=spectra.image,
        ERROR=spectra.image_error,
        BADMASK=spectra.bad.astype(np.int64),
        SPECTRAL_FLUX=make_spectral_plane(spectra.flux, unit, image.header),
        SPECTRAL_ERROR=make_spectral_plane(spectra.error, unit, image.header),
        TRANSMISSION=make_spectral_plane(np.tile(transmission, (len(spectra.flux), 1)), "", image.header),
    )
    run.history(f"Extract: {p.method} extraction of {len(spectra.flux)} apertures")
    if p.save_1d:
        run.accompany(accompany_spectrum(product, "SPC", "spectra_1d"))
    return product


def _find_transmission(image: Product, used: ReferenceUse) -> FloatArray:
    if has_pixel_wavelengths(image):
        return np.full(image["WAVEPOS"].shape, np.nan)
    resolution = require_resolution(find_resolution(image.header), image.header)
    return read_atmosphere(used, resolution, image["WAVEPOS"])


def _require_light(image: Product, flux: FloatArray, method: str) -> None:
    """Make sure that there is a spectrum of each aperture."""
    for number, (aperture, row) in enumerate(zip(read_apertures(image.header), flux, strict=True), start=1):
        if np.isfinite(row).any():
            continue
        where = "" if method == "standard" else f" where the profile has the sign {aperture.sign}"
        raise StepError(
            f"{image.name}: aperture {number} at {aperture.position:.3f} arcsec with a radius of {aperture.radius:g} "
            f"holds no usable pixel{where}; check the position, set_apertures.aprad and set_apertures.apsign."
        )


def _tell_of_lost_light(image: Product, task: ExtractionTask, p: ExtractionParameters, run: Run) -> None:
    """Warn of plain sums over apertures with bad pixels: what these would have shown is missing."""
    if p.method == "optimal" or p.fix_bad:
        return
    shares = find_missing_shares(task)
    columns = int(np.count_nonzero(shares > LARGEST_LOSS))
    if columns:
        run.warn(
            f"{image.name}: bad pixels hold more than {LARGEST_LOSS:.0%} of the light of an aperture in {columns} "
            f"columns, up to {shares.max():.0%}; plain sums are too faint there. Set extract_spectra.fix_bad."
        )


def _tell_of_outliers(image: Product, outliers: BoolArray, run: Run) -> None:
    """Warn of a profile that is not that of the source: then outliers are no faults of single pixels."""
    inner = np.nan_to_num(image["APERTURE_MASK"]) < 0
    share = float(outliers[inner].mean()) if inner.any() else 0.0
    run.quality["outliers"] = share
    if share > LARGEST_SHARE:
        run.warn(
            f"{image.name}: {share:.0%} of the pixels of the apertures deviate from the spatial profile and are left "
            "out; flux may be wrong. Set extract_spectra.use_profile, or raise make_profiles.fit_order."
        )


def _prepare(image: Product, p: ExtractionParameters, run: Run) -> ExtractionTask:
    profile = _spread_profile(image, run) if p.use_profile else image["SPATIAL_MAP"]
    variance = square_error(image)
    return ExtractionTask(
        image["FLUX"],
        variance,
        image["BADMASK"] > 0,
        profile,
        image["APERTURE_MASK"],
        [aperture.sign for aperture in read_apertures(image.header)],
        _estimate_background_errors(image, variance),
    )


def _spread_profile(image: Product, run: Run) -> FloatArray:
    """The median profile in all columns, wider where rectification blurs more than on average of the row.

    In apertures whose trace was fitted it follows that.
    """
    require_planes(image, "APERTURE_TRACE")
    profile = np.repeat(image["SPATIAL_PROFILE"][:, np.newaxis], image["FLUX"].shape[1], axis=1)
    for number, trace in enumerate(image["APERTURE_TRACE"], start=1):
        if np.ptp(trace) > 0:
            inside = read_aperture(image["APERTURE_MASK"], number).psf > 0
            profile[inside] = follow_trace(image["FLUX"], slit_index(image["SLITPOS"], trace))[inside]
    grid = find_grid(image, run)
    if grid is None:
        return profile
    blur = grid.blur / grid.rule.slit_step**2
    return add_blur(profile, blur - blur.mean(axis=1, keepdims=True))


def _estimate_background_errors(image: Product, variance: FloatArray) -> BackgroundErrors | None:
    degree = image.header.get("BGORDER")
    regions = read_background(image["APERTURE_MASK"])
    if not isinstance(degree, int) or not regions.any():
        return None
    return BackgroundErrors(
        estimate_background_errors(variance, image["SLITPOS"], regions, degree), np.asarray(image["SLITPOS"])
    )
