"""The product of a cube: header, planes, spectra of transmission and response."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.header.cards import freeze
from sofia_engine.instruments.fifi_ls.atmosphere import Transmission, find_resolved
from sofia_engine.instruments.fifi_ls.flux_calibrate import RESPONSE_UNIT, UNIT
from sofia_engine.instruments.fifi_ls.gratings import make_plane, make_product
from sofia_engine.instruments.fifi_ls.headers import join_range, merge_observations
from sofia_engine.instruments.fifi_ls.mode import read_number
from sofia_engine.instruments.fifi_ls.positions import ARCSEC_PER_DEGREE, DEGREES_PER_HOUR

if TYPE_CHECKING:
    from astropy.io import fits

    from sofia_engine.header.cards import Card, FrozenHeader
    from sofia_engine.instruments.fifi_ls.cube_fit import CubeFit, Cubes, Kind
    from sofia_engine.instruments.fifi_ls.cube_grid import CubeGrid
    from sofia_engine.instruments.fifi_ls.tables import Resolution
    from sofia_engine.numerics.arrays import FloatArray, IndexArray
    from sofia_engine.pipeline.run import Run
    from sofia_engine.product import Plane, Product

__all__ = ["CubeParts", "assemble_cube"]

UNCALIBRATED = "ADU/(s Hz)"
_PREFIXES: Mapping[Kind, str] = {"corrected": "", "uncorrected": "UNCORRECTED_"}


@dataclass(frozen=True, eq=False)
class CubeParts:
    """All that a cube is assembled of."""

    products: Sequence[Product]
    grid: CubeGrid
    resolution: Resolution
    fit: CubeFit
    cubes: Mapping[Kind, Cubes]
    exposure: IndexArray
    interpolated: bool = False
    weights: bool = False

    @property
    def calibrated(self) -> bool:
        """Whether the flux is in janskys."""
        return all("RESPONSE" in product.planes for product in self.products)

    @property
    def unit(self) -> str:
        """Unit of the flux."""
        return UNIT if self.calibrated else UNCALIBRATED


def assemble_cube(parts: CubeParts, run: Run) -> Product:
    """Return the product of a cube."""
    merged = merge_observations([product.header for product in parts.products])
    for warning in merged.warnings:
        run.warn(warning)
    header = merged.header
    for keyword, value, comment in [*_describe(parts, header, run), *_frame_cards(parts)]:
        header[keyword] = (value, comment)
    cards = _cube_cards(parts, header)
    flat = freeze(_only_date(header))
    planes: dict[str, Plane] = {}
    response, relative = _find_response(parts) if parts.calibrated else (None, None)
    for kind, cube in parts.cubes.items():
        prefix = _PREFIXES[kind]
        planes[f"{prefix}FLUX"] = make_plane(cube.flux, parts.unit, cards)
        planes[f"{prefix}ERROR"] = make_plane(cube.error, parts.unit, cards)
        if relative is not None:
            spread = np.abs(cube.flux) * relative[:, np.newaxis, np.newaxis]
            planes[f"{prefix}CAL_ERROR"] = make_plane(spread, parts.unit, cards)
    planes |= _make_axes(parts.grid, flat)
    model, transmission = _find_transmission(parts, run)
    planes["TRANSMISSION"] = make_plane(transmission, "", flat)
    if response is not None and relative is not None:
        planes["RESPONSE"] = make_plane(response, RESPONSE_UNIT, flat)
        planes["RELATIVE_RESPONSE_ERROR"] = make_plane(relative, "", flat)
    planes["EXPOSURE_MAP"] = make_plane(parts.exposure, "", cards)
    if model is not None:
        planes["UNSMOOTHED_TRANSMISSION"] = make_plane(_cut_model(model, parts.grid), "", flat)
    for kind, cube in parts.cubes.items() if parts.weights else ():
        if cube.weight is not None:
            planes[f"{_PREFIXES[kind]}IMAGE_WEIGHTS"] = make_plane(cube.weight, "", cards)
    return make_product(header, planes)


def _only_date(header: fits.Header) -> fits.Header:
    made = type(header)()
    made["DATE-OBS"] = (header.get("DATE-OBS", "UNKNOWN"), "Observation date")
    return made


def _frame_cards(parts: CubeParts) -> list[Card]:
    # beam in the unit of the axes
    beam = parts.resolution.spatial / (ARCSEC_PER_DEGREE if parts.grid.on_sky else 1.0)
    unit = "deg" if parts.grid.on_sky else "arcsec"
    return [
        *parts.grid.cards(),
        ("SPECSYS", "BARYCENT" if "BARYSHFT" in parts.products[0].header else "TOPOCENT", "Spectral reference frame"),
        ("BMAJ", beam, f"Beam major axis ({unit})"),
        ("BMIN", beam, f"Beam minor axis ({unit})"),
        ("BPA", 0.0, "Beam position angle (deg)"),
    ]


def _cube_cards(parts: CubeParts, header: fits.Header) -> FrozenHeader:
    made = _only_date(header)
    for keyword, value, comment in _frame_cards(parts):
        made[keyword] = (value, comment)
    return freeze(made)


def _describe(parts: CubeParts, header: fits.Header, run: Run) -> list[Card]:
    """Cards of the cube as a whole: pointing, resolution, and how it was made."""
    fit, sizes = parts.fit, parts.grid.sizes
    oversample = tuple(
        float(v)
        for v in (
            parts.grid.center[2] / parts.resolution.spectral / sizes.spectral,
            *(2 * (parts.resolution.spatial / sizes.spatial,)),
        )
    )
    cards: list[Card] = [
        (
            "FILENUM",
            join_range(str(product.header.get("FILENUM", "")) for product in parts.products),
            "Raw file number",
        ),
        ("BUNIT", parts.unit, "Data units"),
        ("RESFILE", Path(run.reference("resolution").name).name, "Spectral resolution file name"),
        ("PIXSCAL", sizes.spatial, "Pixel scale (arcsec)"),
        ("RESOLUN", parts.resolution.spectral, "Spectral resolution of observation"),
        ("SPEXLWID", sizes.spectral, "Size of spectral pixels (um)"),
        ("XYOVRSMP", str(oversample), "WXY Oversampling (pix per mean FWHM)"),
        *_describe_pointing(header),
    ]
    if parts.interpolated:
        return [
            *cards,
            ("WVFITWDW", fit.window[2] * sizes.spectral, "Wave resample fit window (um)"),
            ("WVFITORD", 0, "Wave resample fit order"),
            ("WVFITSMR", fit.smoothing[2] * sizes.spectral, "Wave resample smooth radius (um)"),
            ("XYRSMPAL", "radial basis function interpolation", "WXY resampling algorithm"),
        ]
    weights = "error and distance" if fit.error_weighting else "distance"
    return [
        *cards,
        ("XYFITWD", str(fit.window), "WXY Resample fit window (pix)"),
        ("XYFITORD", str(fit.order), "WXY Resample fit order"),
        ("XYFITWTS", weights, "WXY Resample weights"),
        ("XYFITSMR", str(fit.smoothing), "WXY Resample smooth radius (pix)"),
        ("XYRSMPAL", "local polynomial surface fits", "WXY resampling algorithm"),
    ]


def _describe_pointing(header: fits.Header) -> list[Card]:
    """Position of the telescope that the map offsets lead to."""
    values = {k: read_number(header, k) for k in ("OBSRA", "OBSDEC", "DLAM_MAP", "DBET_MAP")}
    if any(value is None for value in values.values()):
        return []
    ra, dec, lam, bet = (float(value or 0.0) for value in values.values())
    declination = dec - bet / ARCSEC_PER_DEGREE
    scale = ARCSEC_PER_DEGREE * DEGREES_PER_HOUR * math.cos(math.radians(declination))
    return [("TELRA", ra - lam / scale, "Telescope RA (h)"), ("TELDEC", declination, "Telescope Dec (deg)")]


def _make_axes(grid: CubeGrid, cards: FrozenHeader) -> dict[str, Plane]:
    x, y = grid.coordinates()
    names, unit = (("RA---TAN", "DEC--TAN"), "degree") if grid.on_sky else (("XS", "YS"), "arcsec")
    return {
        "WAVELENGTH": make_plane(grid.wavelength, "um", cards),
        names[0]: make_plane(x, unit, cards),
        names[1]: make_plane(y, unit, cards),
    }


def _find_response(parts: CubeParts) -> tuple[FloatArray, FloatArray]:
    """Response and its relative error at the wavelengths of the cube, from those of the samples."""
    columns = [np.concatenate([_spread(p, name).ravel() for p in parts.products]) for name in
               ("LAMBDA", "RESPONSE", "RELATIVE_RESPONSE_ERROR")]  # fmt: skip
    good = np.isfinite(columns).all(axis=0)
    wave, first = np.unique(columns[0][good], return_index=True)
    made = [np.interp(parts.grid.wavelength, wave, column[good][first]) for column in columns[1:]]
    return made[0], made[1]


def _spread(product: Product, name: str) -> FloatArray:
    """A plane per pixel of the detector; in scans it is the same for all ramps."""
    plane = product[name]
    shape = product["LAMBDA"].shape
    return plane if plane.shape == shape else plane.reshape(-1, *shape)[0]


def _find_transmission(parts: CubeParts, run: Run) -> tuple[Transmission | None, FloatArray]:
    """Mean model of the products that have one, and the transmission as the spectrometer sees it."""
    planes = [p["UNSMOOTHED_ATRAN"] for p in parts.products if "UNSMOOTHED_ATRAN" in p.planes]
    if not planes:
        run.warn("None of the files has a model of the atmosphere; full transmission is noted.")
        return None, np.ones(parts.grid.shape[0])
    alike = [plane for plane in planes if np.array_equal(plane[0], planes[0][0])]
    first = np.asarray(planes[0], dtype=np.float64)
    different = [plane for plane in alike if not np.array_equal(plane[1], planes[0][1])]
    value = first[1] if not different else np.mean([np.asarray(p[1], dtype=np.float64) for p in alike], axis=0)
    model = Transmission(first[0], value)
    smooth = find_resolved(model, parts.resolution.spectral, parts.grid.wavelength)
    return model, smooth


def _cut_model(model: Transmission, grid: CubeGrid) -> FloatArray:
    half = grid.sizes.spectral / 2
    wave = grid.wavelength
    part = model.cut(float(wave[0]) - half, float(wave[-1]) + half)
    return np.stack([part.wavelength, part.value]).astype(np.float32)
