"""Combine Nods: the source without the background that the other nod beam has seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.io import fits

from sofia_engine.errors import HeaderError, InputError, StepError
from sofia_engine.header.cards import Card
from sofia_engine.instruments.fifi_ls.apply_static_flat import want_flats
from sofia_engine.instruments.fifi_ls.atmosphere import find_resolved
from sofia_engine.instruments.fifi_ls.atmosphere_files import (
    AtmosphereChoice,
    find_resolution,
    find_sky,
    want_resolution,
)
from sofia_engine.instruments.fifi_ls.flats import interpolate_flat, read_spectral_flat
from sofia_engine.instruments.fifi_ls.gratings import (
    copy_positions,
    count_gratings,
    grating_header,
    make_cards,
    make_plane,
    replace_planes,
)
from sofia_engine.instruments.fifi_ls.headers import merge_observations
from sofia_engine.instruments.fifi_ls.lambda_calibrate import calibrate_grating, want_coefficients
from sofia_engine.instruments.fifi_ls.mode import find_date, is_asymmetric, is_otf, is_symmetric, is_total_power
from sofia_engine.instruments.fifi_ls.nods import (
    Background,
    NodBeam,
    NodMethod,
    Signal,
    choose_neighbours,
    describe_beam,
    estimate_background,
    find_candidates,
    subtract_background,
)
from sofia_engine.instruments.fifi_ls.tables import read_spatial_flat
from sofia_engine.instruments.fifi_ls.telluric_scaling import scale_emission
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product, Table

__all__ = ["CombineNodsParameters", "combine_nods"]

_SWAPPED = (("DLAM_MAP", "DLAM_OFF"), ("DBET_MAP", "DBET_OFF"))


class CombineNodsParameters(SavedOutput):
    """Parameters of Combine Nods."""

    b_nod_method: NodMethod = parameter(
        "nearest",
        label="Method for combining off-beam images",
        help="Background of nods on empty sky: the nearest in time, the mean of those before and after, or "
        "interpolated in time between them.",
    )
    offbeam: bool = parameter(
        False,
        label="Propagate off-beam image instead of on-beam",
        help="Take nod B for the source and nod A for the background.",
    )
    bg_scaling: bool = parameter(
        False,
        label="Scale flux with backgrounds (OTF and TP)",
        help="Without chopping: scale nod B to the background level of nod A before it is subtracted.",
    )
    telluric_scaling_on: bool = parameter(
        False,
        label="Perform telluric scaling (OTF and TP)",
        help="In scans: scale the emission of the atmosphere in nod B to its transmission at the time of nod A; and "
        "level both nods.",
    )
    atran_dir: str = parameter(
        "",
        label="ATRAN directory for telluric scaling",
        pick="directory",
        level="expert",
        help="Folder in which models of the atmosphere are looked for first.",
        applies_when={"telluric_scaling_on": True},
    )
    atran_file: str = parameter(
        "",
        label="ATRAN file for telluric scaling",
        pick="file",
        level="expert",
        help="Model of the atmosphere for both nods; empty chooses by conditions.",
        applies_when={"telluric_scaling_on": True},
    )


@dataclass(frozen=True)
class _Match:
    """The backgrounds of all grating positions of a beam."""

    beam: NodBeam
    backgrounds: tuple[tuple[Background, ...], ...]

    @property
    def others(self) -> list[Product]:
        """The files of the other nod, each once."""
        files = {id(b.beam.product): b.beam.product for of_grating in self.backgrounds for b in of_grating}
        return list(files.values())


def _list_references(header: fits.Header, p: CombineNodsParameters) -> Mapping[str, Wanted]:
    if not p.telluric_scaling_on:
        return {}
    return {
        "coefficients": want_coefficients(header),
        "resolution": want_resolution(header),
        **want_flats(header),
    }


@step(
    "combine_nods",
    label="Combine Nods",
    code="NCM",
    product_type="nod_combined",
    level="LEVEL_2",
    references=_list_references,
)
def combine_nods(products: Sequence[Product], p: CombineNodsParameters, run: Run) -> tuple[Product, ...]:
    """Combine each file of nod A with those of nod B at the same grating position.

    Nods that match the chop both contain the source: they are averaged. Nods on empty sky are subtracted. Without any
    nod B the files are passed on.
    """
    if p.offbeam and any(is_otf(product.header) for product in products):
        raise StepError(
            "Combine Nods: scans on the fly have no off-beam image to propagate; set combine_nods.offbeam = False."
        )
    beams = _describe_beams(products, p, run)
    sources = sorted((beam for beam in beams if beam.on_source), key=lambda beam: beam.time)
    others = sorted((beam for beam in beams if not beam.on_source), key=lambda beam: beam.time)
    if not sources:
        raise StepError(f"Combine Nods: there is no file of nod {'B' if p.offbeam else 'A'}, so nothing on the source.")
    if not others:
        run.log("There is no second nod; nothing is combined.")
        return tuple(beam.product for beam in sources)
    matches = _match(sources, others, p, run)
    if not matches:
        raise StepError(
            "Combine Nods: no file of nod A has one of nod B at the same grating position (and map position, if nods "
            "match the chop)."
        )
    run.history("Nods combined")
    return tuple(_combine(match, p, run) for match in matches)


def _describe_beams(products: Sequence[Product], p: CombineNodsParameters, run: Run) -> list[NodBeam]:
    beams = []
    for product in products:
        try:
            beams.append(describe_beam(product, offbeam=p.offbeam))
        except InputError as error:
            run.set_aside(product.name, str(error))
    return beams


def _match(sources: Sequence[NodBeam], others: Sequence[NodBeam], p: CombineNodsParameters, run: Run) -> list[_Match]:
    matches: list[_Match] = []
    used: set[tuple[int, int]] = set()
    for beam in sources:
        found: list[tuple[Background, ...]] = []
        try:
            for g in range(count_gratings(beam.product)):
                candidates = find_candidates(beam, g, others, used)
                found.append(tuple(choose_neighbours(beam, candidates, p.b_nod_method)) if candidates else ())
        except HeaderError as error:
            run.set_aside(beam.product.name, str(error))
            continue
        if not all(found):
            run.set_aside(beam.product.name, "no file of the other nod matches it.")
            continue
        used |= {background.key for of_grating in found for background in of_grating}
        matches.append(_Match(beam, tuple(found)))
    return matches


def _combine(match: _Match, p: CombineNodsParameters, run: Run) -> Product:
    product = match.beam.product
    planes: dict[str, Plane | Table] = {}
    for g, backgrounds in enumerate(match.backgrounds):
        signal, level = _subtract(match.beam, g, backgrounds, p, run)
        level_cards: list[Card] = [("BGLEVL_B", level, "BG level nod B (ADU/s)")] if np.isfinite(level) else []
        cards = make_cards(grating_header(product, g), *level_cards)
        planes[f"FLUX_G{g}"] = make_plane(signal.flux, "adu/s", cards)
        planes[f"STDDEV_G{g}"] = make_plane(signal.error, "adu/s", cards)
    planes |= copy_positions(product)
    headers = [_orient(file, offbeam=p.offbeam) for file in (product, *match.others)]
    merged = merge_observations(headers)
    for warning in merged.warnings:
        run.warn(warning)
    return replace_planes(product.replace(header=merged.header), planes)


def _orient(product: Product, *, offbeam: bool) -> fits.Header:
    """Header with the roles of the nods exchanged, if nod B is the source."""
    header = product.header
    if not offbeam:
        return header
    swapped = header.copy()
    for first, second in _SWAPPED:
        swapped[first], swapped[second] = header[second], header[first]
    swapped["NODBEAM"] = "B" if header["NODBEAM"] == "A" else "A"
    return swapped


def _subtract(
    beam: NodBeam, grating: int, backgrounds: Sequence[Background], p: CombineNodsParameters, run: Run
) -> tuple[Signal, float]:
    """Signal without background, and the level of that."""
    header = beam.product.header
    signals = [other.beam.signal(other.grating) for other in backgrounds]
    scanned = is_otf(header)
    if p.telluric_scaling_on and scanned and len(signals) == 2:
        signals = [
            signal.scale(_scale_to(beam, grating, other, p, run))
            for signal, other in zip(signals, backgrounds, strict=True)
        ]
    moments = [other.beam.times(other.grating) for other in backgrounds]
    background = estimate_background(beam.times(grating), signals, moments, p.b_nod_method)
    combined = subtract_background(
        beam.signal(grating),
        background,
        symmetric=is_symmetric(header),
        scale_levels=p.bg_scaling and is_asymmetric(header) and is_total_power(header),
        match_medians=p.telluric_scaling_on and is_asymmetric(header),
    )
    return combined, background.level


def _scale_to(beam: NodBeam, grating: int, background: Background, p: CombineNodsParameters, run: Run) -> FloatArray:
    """Factors by which the emission of the atmosphere differs between the times of two beams."""
    product, header = beam.product, beam.product.header
    wavelength = calibrate_grating(product, grating, run.reference("coefficients").path).wavelength
    resolution = find_resolution(header, run.reference("resolution").path).spectral
    choice = AtmosphereChoice(p.atran_file, p.atran_dir)
    transmissions = []
    for observed in (background.beam.product.header, header):
        if choice.override:
            run.want("atran", _want_override(observed, choice))
        transmissions.append(find_resolved(find_sky(observed, choice, run).transmission, resolution, wavelength))
    spatial = read_spatial_flat(run.reference("spatial_flat").path, find_date(header))[0]
    flat = interpolate_flat(read_spectral_flat(run.reference("spectral_flat").path), wavelength, spatial).value
    signal = background.beam.signal(background.grating)
    return scale_emission(signal.flux / flat, signal.error / flat, wavelength, *transmissions)


def _want_override(header: fits.Header, choice: AtmosphereChoice) -> Wanted:
    from sofia_engine.instruments.fifi_ls.atmosphere_files import want_atmosphere

    return want_atmosphere(header, choice)["atran"]
