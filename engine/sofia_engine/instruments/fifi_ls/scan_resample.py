"""Scan reduction before Resample: scans on the fly, freed of drifts and correlated noise; and the options of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.header.cards import freeze
from sofia_engine.instruments.fifi_ls.atmosphere_files import find_resolution
from sofia_engine.instruments.fifi_ls.cube_samples import is_off_sky
from sofia_engine.instruments.fifi_ls.gratings import make_plane, make_product
from sofia_engine.instruments.fifi_ls.headers import join_range, merge_observations
from sofia_engine.instruments.fifi_ls.positions import ARCSEC_PER_DEGREE
from sofia_engine.instruments.fifi_ls.scan_reader import Kind, SkyCenter, find_center, is_scan, read_scans
from sofia_engine.pipeline.run import Companion
from sofia_engine.scan.map_grid import Beam
from sofia_engine.scan.options import ScanPlan, read_scan_options
from sofia_engine.scan.reduction import CleanedScan, Reduced, clean_samples, reduce_scans

if TYPE_CHECKING:
    from sofia_engine.header.cards import Card
    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.pipeline.run import Run
    from sofia_engine.product import Plane, Product
    from sofia_engine.scan.map_grid import MapGrid
    from sofia_engine.scan.timestream import Scan

__all__ = ["reduce_before_resampling"]

CODE, PRODUCT_TYPE = "SCN", "scan_cube"
"""Of the source model that is saved."""
SHARE = 0.5
"""Share of the step's progress that the reduction takes."""


@dataclass(frozen=True)
class _Choice:
    """What is asked for."""

    plan: ScanPlan
    save: bool
    with_uncorrected: bool
    detector_coordinates: bool


def reduce_before_resampling(
    products: Sequence[Product], options: str, run: Run, *, save: bool, with_uncorrected: bool, in_detector: bool
) -> list[Product]:
    """Return products whose scans are freed of drifts and correlated noise.

    Parameters
    ----------
    products : sequence of Product
        Inputs of Resample. Those that are no scans are passed on as they are.
    options : str
        ``key=value``, separated by blanks.
    run : Run
        Surroundings.
    save : bool
        Hand over the source model as a further product.
    with_uncorrected : bool
        Reduce the flux as it came through the atmosphere too.
    in_detector : bool
        Map in the field of the instrument.

    Raises
    ------
    ParameterError
        If an option is not known or cannot be used.
    StepError
        If none of the scans can be reduced.
    """
    plan = read_scan_options(options)
    scans = [product for product in products if is_scan(product)]
    if not scans:
        run.warn("None of the files is a scan on the fly: there is no scan reduction, they are resampled as they are.")
        return list(products)
    choice = _Choice(plan, save, with_uncorrected, in_detector)
    cleaned = _reduce(scans, choice, run)
    run.history("Scan reduction: drifts and correlated noise removed from the samples of scans")
    return [cleaned.get(id(product), product) for product in products if id(product) in cleaned or not is_scan(product)]


def _reduce(scans: Sequence[Product], choice: _Choice, run: Run) -> dict[int, Product]:
    """Reduced products by the identity of their inputs; those that cannot be reduced are left out."""
    has_uncorrected = choice.with_uncorrected and all("UNCORRECTED_FLUX" in product.planes for product in scans)
    kinds: tuple[Kind, ...] = ("corrected", "uncorrected") if has_uncorrected else ("corrected",)
    on_sky = not (choice.detector_coordinates or is_off_sky([product.header for product in scans]))
    center = find_center(scans, on_sky=on_sky)
    made: dict[int, Product] = {}
    for number, kind in enumerate(kinds):
        streams = read_scans(scans, center, kind)
        source_of = {id(stream): product for stream, product in zip(streams, scans, strict=True)}
        reduced = _reduce_kind(streams, scans, choice, (kind, number / len(kinds), 1.0 / len(kinds)), run)
        if kind == "corrected" and choice.save:
            run.accompany(Companion(_make_cube(scans, reduced, center), CODE, PRODUCT_TYPE))
        for stream in reduced.scans:
            product = source_of[id(stream)]
            cleaned = clean_samples(stream, reduced.source, choice.plan.last)
            made[id(product)] = _put(made.get(id(product), product), kind, cleaned)
    return made


def _reduce_kind(
    streams: Sequence[Scan], scans: Sequence[Product], choice: _Choice, part: tuple[Kind, float, float], run: Run
) -> Reduced:
    kind, start, share = part

    def tell(done: float, total: float, what: str) -> None:
        run.progress(SHARE * (start + share * done / total), 1.0, f"{kind}: {what}")

    wavelength = float(np.nanmean(np.concatenate([stream.channels.z for stream in streams])))
    resolution = find_resolution(scans[0].header, run.reference("resolution").path, wavelength)
    reduced = reduce_scans(streams, choice.plan, Beam(resolution.spatial, wavelength / resolution.spectral), tell)
    for report in reduced.reports:
        run.log(f"Scan reduction, {kind} flux, {report}")
    for name, reason in reduced.rejected if kind == "corrected" else ():
        run.warn(f"{name} is left out of the cube: {reason}.")
    if not any(stream.mapping.any() for stream in reduced.scans):
        raise StepError("The scan reduction has flagged all channels; use wider ranges in resample.scan_options.")
    return reduced


def _put(product: Product, kind: Kind, cleaned: CleanedScan) -> Product:
    """Return a product with cleaned samples in place of its own."""
    prefix = "" if kind == "corrected" else "UNCORRECTED_"
    shape = product[f"{prefix}FLUX"].shape
    planes: dict[str, Any] = {
        f"{prefix}FLUX": cleaned.flux.reshape(shape),
        f"{prefix}STDDEV": cleaned.error.reshape(shape),
    }
    return product.replace(**planes)


def _make_cube(scans: Sequence[Product], reduced: Reduced, center: SkyCenter) -> Product:
    """The source model as a product: flux, exposure, noise, signal over noise."""
    source = reduced.source
    header = merge_observations([product.header for product in scans]).header
    cards = _list_cards(source.grid, center)
    for keyword, value, comment in [*cards, *_describe(reduced, scans)]:
        header[keyword] = (value, comment)
    frame = header.__class__()
    for keyword, value, comment in cards:
        frame[keyword] = (value, comment)
    unit = scans[0].plane("FLUX").unit
    known = source.map.valid
    values: dict[str, tuple[FloatArray, str]] = {
        "FLUX": (np.where(known, source.map.flux, np.nan), unit),
        "EXPOSURE": (source.map.exposure, "s"),
        "NOISE": (source.map.noise, unit),
        "S/N": (np.where(known, source.map.significance, np.nan), ""),
    }
    planes: dict[str, Plane] = {
        name: make_plane(np.ascontiguousarray(value), text, freeze(frame)) for name, (value, text) in values.items()
    }
    return make_product(header, planes)


def _list_cards(grid: MapGrid, center: SkyCenter) -> list[Card]:
    """World coordinates: columns of the model run to the west, as right ascension falls."""
    z, y, x = grid.start
    size = grid.pixel.spatial
    if not center.on_sky:
        names, units, values = ("X", "Y"), ("arcsec", "arcsec"), (0.0, 0.0)
        steps, offset = (size, size), (-x / size + 1, -y / size + 1)
    else:
        names, units, values = ("RA---TAN", "DEC--TAN"), ("deg", "deg"), (center.ra, center.dec)
        steps, offset = (-size / ARCSEC_PER_DEGREE, size / ARCSEC_PER_DEGREE), (-x / size + 1, -y / size + 1)
    cards: list[Card] = [("EQUINOX", 2000.0, "Coordinate equinox")]
    for n, (name, unit, value, step, pixel) in enumerate(
        zip((*names, "WAVE"), (*units, "um"), (*values, z), (*steps, grid.pixel.spectral), (*offset, 1.0), strict=True),
        1,
    ):
        cards += [
            (f"CTYPE{n}", name, f"Axis {n} type and projection"),
            (f"CUNIT{n}", unit, f"Axis {n} units"),
            (f"CRVAL{n}", float(value), f"Axis {n} value at CRPIX{n}"),
            (f"CDELT{n}", float(step), f"Axis {n} pixel scale"),
            (f"CRPIX{n}", float(pixel), f"Axis {n} reference pixel"),
        ]
    return cards


def _describe(reduced: Reduced, scans: Sequence[Product]) -> list[Card]:
    """Cards of the reduction."""
    last = reduced.reports[-1]
    numbers = join_range(str(product.header.get("FILENUM", "")) for product in scans)
    return [
        ("FILENUM", numbers, "Raw file number"),
        ("SCANS", len(reduced.scans), "Number of scans in the map"),
        ("SCNROUND", last.number, "Rounds of the scan reduction"),
        ("SCNCHAN", last.channels, "Channels in the map, over all scans"),
        ("SCNSPIKE", last.spikes, "Samples flagged as spikes"),
        ("SMTHSPAT", reduced.source.smoothing.spatial, "Smoothing of the map (arcsec)"),
        ("SMTHSPEC", reduced.source.smoothing.spectral, "Smoothing of the map (um)"),
    ]
