"""Resample: one cube on a regular grid from all products."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from astropy.io import fits
from pydantic import AfterValidator

from sofia_engine.errors import ParameterError, StepError
from sofia_engine.instruments.fifi_ls.atmosphere_files import find_resolution, want_resolution
from sofia_engine.instruments.fifi_ls.cube_fit import (
    CubeFit,
    Cubes,
    Kind,
    count_exposures,
    find_footprints,
    fit_cube,
    gather_spectra,
    interpolate_cube,
)
from sofia_engine.instruments.fifi_ls.cube_grid import CubeGrid, PixelSizes, lay_grid
from sofia_engine.instruments.fifi_ls.cube_product import CubeParts, assemble_cube
from sofia_engine.instruments.fifi_ls.cube_samples import Exposure, gather_exposures, is_off_sky
from sofia_engine.instruments.fifi_ls.memory import require_memory
from sofia_engine.instruments.fifi_ls.mode import find_channel, is_symmetric, read_number, require_number
from sofia_engine.instruments.fifi_ls.tables import Resolution
from sofia_engine.numerics.arrays import IndexArray
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = ["ResampleParameters", "make_cube", "resample"]

SPAXEL_SIZES = {"RED": 3.0, "BLUE": 1.5}
"""Sides of a spaxel, mm in the focal plane."""
ADAPTIVE_SMOOTHING = 0.42466
"""Standard deviation of a Gaussian over its full width at half maximum: the resolution itself."""
GENERAL, SCAN, SPATIAL, SPECTRAL = (
    "General Parameters",
    "Scan Resampling Parameters",
    "Spatial Resampling Parameters",
    "Spectral Resampling Parameters",
)

_FITTED = {"interpolate": False}


def _check_scan_options(text: str) -> str:
    """Refuse options that do not exist, or values that cannot be, as soon as they are typed."""
    if text.strip():
        from sofia_engine.scan.options import read_scan_options

        try:
            read_scan_options(text)
        except ParameterError as error:
            raise ValueError(f"a list of options: {str(error).removeprefix('scan_options: ')}") from None
    return text


class ResampleParameters(SavedOutput):
    """Parameters of Resample."""

    save: bool = parameter(True, label="Save output", help="Write the products of this step to the output directory.")
    parallel: bool = parameter(
        True, label="Use parallel processing", help="Work with several processors.", group=GENERAL
    )
    max_cores: int | None = parameter(
        None,
        label="Maximum cores to use",
        ge=1,
        group=GENERAL,
        help="Processors to use at most; empty takes all.",
        applies_when={"parallel": True},
    )
    check_memory: bool = parameter(
        True,
        label="Check memory use during resampling",
        group=GENERAL,
        help="Refuse cubes that need more memory than is free, rather than make the computer slow.",
    )
    skip_coadd: bool = parameter(
        False, label="Skip coadd", group=GENERAL, help="Make a cube of each input file instead of one of all."
    )
    interpolate: bool = parameter(
        False,
        label="Interpolate instead of fit",
        group=GENERAL,
        help="Interpolate each file with radial functions, and average; done in any case if all files look at the same "
        "position, or there is one only.",
    )
    error_weighting: bool = parameter(
        True, label="Weight by errors", group=GENERAL, help="Weight samples with their inverse variances in the fits."
    )
    fit_errors: Literal["scatter", "reference"] = parameter(
        "scatter",
        label="Errors of pixels",
        level="expert",
        group=GENERAL,
        help="Errors of pixels that are their scatter (scatter), or as earlier reductions gave them (reference): about "
        "a third larger in fits; in interpolations too small at the edge of the field.",
    )
    fitthresh: float = parameter(
        -1.0,
        label="Fit rejection threshold (sigma)",
        group=GENERAL,
        help="Where the scatter about a fit is larger than so many times that expected, the weighted mean is taken "
        "instead; 0 or less keeps all fits.",
        applies_when=_FITTED,
    )
    posthresh: float = parameter(
        -1.0,
        label="Positive outlier threshold (sigma)",
        group=GENERAL,
        help="Samples further from the median of all of the cube than so many standard deviations are left out, which "
        "takes bright lines away, too: for faint sources only. 0 or less keeps all.",
        applies_when=_FITTED,
    )
    negthresh: float = parameter(
        -1.0,
        label="Negative outlier threshold (sigma)",
        group=GENERAL,
        help="Samples below minus so many standard deviations are left out; 0 or less keeps all.",
        applies_when=_FITTED,
    )
    append_weights: bool = parameter(
        False,
        label="Append distance weights to output file",
        group=GENERAL,
        help="Keep the sums of the distance weights with the cube.",
        applies_when=_FITTED,
    )
    skip_uncorrected: bool = parameter(
        False,
        label="Skip computing the uncorrected flux cube",
        group=GENERAL,
        help="Make no cube of the flux as it came through the atmosphere.",
    )
    scan_reduction: bool = parameter(
        False,
        label="Use scan reduction before resample",
        group=SCAN,
        help="Take drifts and correlated noise out of scans on the fly first, with an iterative model of noise and "
        "source.",
    )
    save_scan: bool = parameter(
        False,
        label="Save intermediate scan product",
        group=SCAN,
        help="Write the source model of the scan reduction.",
        applies_when={"scan_reduction": True},
    )
    scan_options: Annotated[str, AfterValidator(_check_scan_options)] = parameter(
        "",
        label="Scan options",
        group=SCAN,
        help="Options of the scan reduction, as key=value separated by blanks; the manual lists them.",
        applies_when={"scan_reduction": True},
    )
    detector_coordinates: bool = parameter(
        False,
        label="Create map in detector coordinates",
        group=SPATIAL,
        help="Lay the map in the field of the instrument instead of the sky; done in any case for targets that move.",
    )
    xy_oversample: float = parameter(
        5.0,
        label="Spatial oversample",
        unit="pixels per FWHM",
        ge=0.01,
        le=1000,
        group=SPATIAL,
        help="Pixels per width of the point spread function, where no pixel size is given.",
        applies_when={"xy_pixel_size": False},
    )
    xy_pixel_size: float | None = parameter(
        None,
        label="Output spatial pixel size",
        unit="arcsec",
        ge=0.001,
        le=1000,
        group=SPATIAL,
        help="Size of the pixels of the map; 1.5 in the blue, 3 in the red channel.",
    )
    xy_order: int = parameter(
        2,
        label="Spatial surface fit order",
        ge=0,
        le=6,
        group=SPATIAL,
        help="Order of the polynomials in x and y.",
        applies_when=_FITTED,
    )
    xy_window: float = parameter(
        3.0,
        label="Spatial fit window",
        unit="FWHM",
        ge=0.01,
        le=1000,
        group=SPATIAL,
        help="Samples within so many widths of the point spread function are fitted.",
        applies_when=_FITTED,
    )
    xy_smoothing: float = parameter(
        1.0,
        label="Spatial smoothing radius",
        unit="FWHM",
        ge=0,
        le=1000,
        group=SPATIAL,
        help="Standard deviation of the distance weights, in widths of the point spread function; 0 weights all "
        "samples in the window alike. With an adaptive algorithm it is that of the point spread function.",
        applies_when={"interpolate": False, "adaptive_algorithm": "none"},
    )
    xy_edge_threshold: float = parameter(
        0.7,
        label="Spatial edge threshold",
        ge=0,
        le=100,
        group=SPATIAL,
        help="The higher, the more of the edge of the map is cut off.",
        applies_when=_FITTED,
    )
    adaptive_algorithm: Literal["scaled", "shaped", "none"] = parameter(
        "none",
        label="Adaptive smoothing algorithm",
        group=SPATIAL,
        help="Let the smoothing follow the data: in size, or in size and shape.",
        applies_when=_FITTED,
    )
    w_oversample: float = parameter(
        8.0,
        label="Spectral oversample",
        unit="pixels per FWHM",
        ge=0.01,
        le=1e5,
        group=SPECTRAL,
        help="Pixels per spectral resolution element, where no pixel size is given.",
        applies_when={"w_pixel_size": False},
    )
    w_pixel_size: float | None = parameter(
        None,
        label="Output spectral pixel size",
        unit="um",
        ge=1e-4,
        le=100,
        group=SPECTRAL,
        help="Size of the spectral pixels.",
    )
    w_order: int = parameter(
        2,
        label="Spectral surface fit order",
        ge=0,
        le=6,
        group=SPECTRAL,
        help="Order of the polynomials in wavelength.",
        applies_when=_FITTED,
    )
    w_window: float = parameter(
        0.5,
        label="Spectral fit window",
        unit="FWHM",
        ge=0.01,
        le=1000,
        group=SPECTRAL,
        help="Samples within so many resolution elements are fitted.",
    )
    w_smoothing: float = parameter(
        0.25,
        label="Spectral smoothing radius",
        unit="FWHM",
        ge=0,
        le=1000,
        group=SPECTRAL,
        help="Standard deviation of the distance weights, in resolution elements; 0 weights all samples alike.",
    )
    w_edge_threshold: float = parameter(
        0.5,
        label="Spectral edge threshold",
        ge=0,
        le=100,
        group=SPECTRAL,
        help="The higher, the more of the ends of the spectrum is cut off.",
        applies_when=_FITTED,
    )


@dataclass(frozen=True, eq=False)
class _Job:
    """What the cube of some products is made with."""

    products: Sequence[Product]
    exposures: Sequence[Exposure]
    grid: CubeGrid
    resolution: Resolution
    fit: CubeFit
    interpolated: bool


def _list_references(header: fits.Header, p: ResampleParameters) -> Mapping[str, Wanted]:  # noqa: ARG001
    return {"resolution": want_resolution(header)}


@step(
    "resample",
    label="Resample",
    code="WXY",
    product_type="resampled",
    level="LEVEL_4",
    saved=True,
    references=_list_references,
)
def resample(products: Sequence[Product], p: ResampleParameters, run: Run) -> tuple[Product, ...]:
    """Make one cube of all products, on a regular grid of positions and wavelengths.

    Around each pixel a polynomial surface is fitted to the samples nearby, weighted with their errors and distances.
    Files that all look at the same position are interpolated instead.
    """
    if p.adaptive_algorithm != "none" and not p.error_weighting:
        raise ParameterError(
            f"resample.adaptive_algorithm = '{p.adaptive_algorithm}' needs errors; set resample.error_weighting = True."
        )
    products = _reduce_scans(products, p, run) if p.scan_reduction else products
    groups = [[product] for product in products] if p.skip_coadd else [list(products)]
    run.history("Resampled to regular grid")
    if not any(product.header.get("PROCSTAT") in ("LEVEL_3", "LEVEL_4") for product in products):
        run.produce(level="")
    return tuple(make_cube(group, p, run) for group in groups)


def _reduce_scans(products: Sequence[Product], p: ResampleParameters, run: Run) -> Sequence[Product]:
    from sofia_engine.instruments.fifi_ls.scan_resample import reduce_before_resampling

    return reduce_before_resampling(
        products,
        p.scan_options,
        run,
        save=p.save_scan,
        with_uncorrected=not p.skip_uncorrected,
        in_detector=p.detector_coordinates,
    )


def make_cube(products: Sequence[Product], p: ResampleParameters, run: Run) -> Product:
    """Make the cube of some products."""
    job = _prepare(products, p, run)
    if p.check_memory:
        require_memory(job.grid.shape, sum(exposure.flux.size for exposure in job.exposures))
    with_uncorrected = not p.skip_uncorrected and all(e.uncorrected_flux is not None for e in job.exposures)
    kinds: tuple[Kind, ...] = ("corrected", "uncorrected") if with_uncorrected else ("corrected",)
    made = [_make_one(job, kind, number / len(kinds), len(kinds), run) for number, kind in enumerate(kinds)]
    cubes = dict(zip(kinds, (cube for cube, _ in made), strict=True))
    if not np.isfinite(cubes["corrected"].flux).any():
        raise StepError(
            f"{products[0].name}: none of the pixels of the cube has a value; choose larger windows and smoothing "
            "(xy_window, w_window, xy_smoothing, w_smoothing), lower edge thresholds or lower orders in resample."
        )
    exposure = made[0][1]
    if any(is_symmetric(product.header) for product in products):
        exposure = exposure * 2
    parts = CubeParts(
        products, job.grid, job.resolution, job.fit, cubes, exposure,
        interpolated=job.interpolated, weights=p.append_weights,
    )  # fmt: skip
    return assemble_cube(parts, run)


def _prepare(products: Sequence[Product], p: ResampleParameters, run: Run) -> _Job:
    headers = [product.header for product in products]
    on_sky = not (p.detector_coordinates or is_off_sky(headers))
    exposures = [exposure for group in gather_exposures(products, on_sky=on_sky) for exposure in group]
    if p.skip_uncorrected:
        exposures = [replace(exposure, uncorrected_wavelength=exposure.wavelength) for exposure in exposures]
    wavelengths = [w for e in exposures for w in (e.wavelength, e.uncorrected_wavelength)]
    if not any(np.isfinite(e.flux).any() for e in exposures):
        raise StepError(f"{products[0].name}: none of the samples has a value; there is nothing to make a cube of.")
    middle = (min(float(np.nanmin(w)) for w in wavelengths) + max(float(np.nanmax(w)) for w in wavelengths)) / 2
    resolution = find_resolution(headers[0], run.reference("resolution").path, middle)
    width = middle / resolution.spectral
    spatial = p.xy_pixel_size or resolution.spatial / p.xy_oversample
    sizes = PixelSizes(spatial, p.w_pixel_size or width / p.w_oversample)
    angle = read_number(headers[0], "SKY_ANGL") or 0.0
    grid = lay_grid(exposures, sizes, angle=angle, on_sky=on_sky)
    fit = _describe_fit(p, resolution.spatial / sizes.spatial, width / sizes.spectral)
    return _Job(products, exposures, grid, resolution, fit, _must_interpolate(products, exposures, p, run))


def _describe_fit(p: ResampleParameters, spatial: float, spectral: float) -> CubeFit:
    """The fit in pixels, from the widths (FWHM) of the point spread function and the resolution in pixels."""
    xy_smoothing = p.xy_smoothing if p.adaptive_algorithm == "none" else ADAPTIVE_SMOOTHING
    return CubeFit(
        window=(p.xy_window * spatial, p.xy_window * spatial, p.w_window * spectral),
        order=(p.xy_order, p.xy_order, p.w_order),
        smoothing=(xy_smoothing * spatial, xy_smoothing * spatial, p.w_smoothing * spectral),
        edge_threshold=(p.xy_edge_threshold, p.xy_edge_threshold, p.w_edge_threshold),
        error_weighting=p.error_weighting,
        adaptive=p.adaptive_algorithm,
        fit_threshold=p.fitthresh if p.fitthresh > 0 else None,
        robust=p.posthresh if p.posthresh > 0 else None,
        negative_threshold=p.negthresh if p.negthresh > 0 else None,
        jobs=p.max_cores if p.parallel else 1,
        error_mode="sandwich" if p.fit_errors == "scatter" else "reference",
    )


def _must_interpolate(
    products: Sequence[Product], exposures: Sequence[Exposure], p: ResampleParameters, run: Run
) -> bool:
    if p.interpolate:
        return True
    scanned = len(exposures) > len(products)
    offsets = [
        read_number(h, k) or 0.0 for h in (product.header for product in products) for k in ("DLAM_MAP", "DBET_MAP")
    ]
    if not scanned and (len(products) == 1 or not any(offsets)):
        run.log("All files look at the same position: they are interpolated, not fitted.")
        return True
    return False


def _make_one(job: _Job, kind: Kind, done: float, kinds: int, run: Run) -> tuple[Cubes, IndexArray]:
    """Make one of the cubes, per pixel of the cube, and the map of exposures."""

    def tell(finished: int, total: int) -> None:
        run.progress(done + finished / total / kinds, 1.0, f"{kind} cube")

    header, grid = job.products[0].header, job.grid
    samples = gather_spectra(job.exposures, grid, kind)
    side = SPAXEL_SIZES[find_channel(header)] * require_number(header, "PLATSCAL") / grid.sizes.spatial
    footprints = find_footprints(samples, grid, side)
    if job.interpolated:
        cubes, exposure = interpolate_cube(samples, grid, job.fit, footprints, tell)
    else:
        exposure = count_exposures(samples, grid, footprints)
        cubes = fit_cube(samples, grid, job.fit, exposure > 0, tell)
    covered = exposure > 0
    scale = np.where(covered, 1.0 / side**2, np.nan)
    return Cubes(cubes.flux * scale, cubes.error * scale, cubes.weight), exposure
