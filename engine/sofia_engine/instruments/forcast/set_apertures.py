"""Set Apertures: how far the sources reach along the slit, and where the background is."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from sofia_engine.errors import ParameterError
from sofia_engine.instruments.forcast.aperture_texts import Radii, Regions, Signs
from sofia_engine.instruments.forcast.grism_frame import require_planes
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product
from sofia_engine.spectroscopy.aperture_keywords import read_apertures
from sofia_engine.spectroscopy.aperture_mask import make_aperture_mask
from sofia_engine.spectroscopy.apertures import (
    ApertureSizes,
    ApertureWishes,
    list_aperture_cards,
    list_size_cards,
    make_full_slit_aperture,
    parse_lists,
    parse_regions,
    set_radii,
)

__all__ = ["ApertureParameters", "set_apertures"]

_OWN = {"full_slit": False}
"""With which radii and regions count at all."""
_LISTS = "commas separate apertures, semicolons files; empty chooses it from the profile."


class ApertureParameters(SavedOutput):
    """Parameters of Set Apertures."""

    full_slit: bool = parameter(
        False, label="Extract the full slit", help="One aperture over the whole slit and no background regions."
    )
    refit: bool = parameter(
        True,
        label="Refit apertures for FWHM",
        help="Fit the width of the sources again; otherwise that of Locate Apertures is taken.",
        applies_when=_OWN,
    )
    signs: Signs = parameter(
        "",
        key="apsign",
        label="Aperture sign",
        pick="aperture signs",
        picked_with=_OWN,
        help=f"1 for positive, -1 for negative sources; {_LISTS}",
        applies_when=_OWN,
    )
    radii: Radii = parameter(
        "",
        key="aprad",
        label="Aperture radius",
        unit="arcsec",
        pick="aperture radii",
        picked_with=_OWN,
        help=f"Half width of the part of a source that optimal extraction uses; {_LISTS}",
        applies_when=_OWN,
    )
    psf_radii: Radii = parameter(
        "",
        key="psfrad",
        label="PSF radius",
        unit="arcsec",
        pick="psf radii",
        picked_with=_OWN,
        help=f"Half width of all of a source; {_LISTS}",
        applies_when=_OWN,
    )
    regions: Regions = parameter(
        "",
        key="bgr",
        label="Background regions",
        unit="arcsec",
        pick="background regions",
        picked_with=_OWN,
        help="Parts of the slit without source as start-stop, such as 0-10,45-60; commas separate regions, semicolons "
        "files; empty chooses them from the profile.",
        applies_when=_OWN,
    )
    edge_rule: Literal["coverage", "lower"] = parameter(
        "coverage",
        label="Edges of apertures",
        level="expert",
        help="Coverage: rows at the edge count by the share of them that lies inside. Lower: as in earlier reductions, "
        "which made apertures wider by up to a row.",
    )


@step("set_apertures", label="Set Apertures", code="APS", product_type="apertures_set", level="LEVEL_2")
def set_apertures(image: Product, p: ApertureParameters, run: Run) -> Product:
    """Choose the radii of the apertures and the background regions, and mark them in a mask."""
    require_planes(image, "SLITPOS", "SPATIAL_PROFILE", "APERTURE_TRACE")
    sizes = _size_full_slit(image) if p.full_slit else _size(image, p, run)
    for warning in sizes.warnings:
        run.warn(f"{image.name}: {warning}")
    for aperture in sizes.apertures:
        run.log(
            f"Aperture at {aperture.position:.3f}: radius {aperture.radius:.3f}, "
            f"PSF radius {aperture.psf_radius:.3f} arcsec"
        )
    regions = ", ".join(f"{start:.3f}-{stop:.3f}" for start, stop in sizes.background) or "none"
    run.log(f"Background regions: {regions}")
    traces = image["APERTURE_TRACE"][: len(sizes.apertures)]
    mask = make_aperture_mask(image["SLITPOS"], traces, sizes.apertures, sizes.background, edges=p.edge_rule)
    # of several apertures the full slit keeps one: their cards must agree
    cards = [*list_aperture_cards(sizes.apertures), *list_size_cards(sizes)] if p.full_slit else list_size_cards(sizes)
    return image.with_cards(*cards).replace(
        APERTURE_MASK=mask, APERTURE_TRACE=_keep_traces(image, len(sizes.apertures))
    )


def _keep_traces(image: Product, count: int) -> Plane:
    plane = image.plane("APERTURE_TRACE")
    return plane if len(plane.data) == count else replace(plane, data=plane.data[:count])


def _size_full_slit(image: Product) -> ApertureSizes:
    aperture = read_apertures(image.header)[0]
    return ApertureSizes((make_full_slit_aperture(image["SLITPOS"], aperture),))


def _size(image: Product, p: ApertureParameters, run: Run) -> ApertureSizes:
    def own(text: str, key: str) -> tuple[float, ...] | None:
        return parse_lists(text, f"set_apertures.{key}", run.count)[run.position] or None

    wishes = ApertureWishes(own(p.signs, "apsign"), own(p.radii, "aprad"), own(p.psf_radii, "psfrad"), p.refit)
    sizes = set_radii(image["SLITPOS"], image["SPATIAL_PROFILE"], read_apertures(image.header), wishes)
    if not p.regions.strip():
        return sizes
    regions = parse_regions(p.regions, "set_apertures.bgr", run.count)[run.position]
    _require_in_slit(image, regions)
    return replace(sizes, background=regions)


def _require_in_slit(image: Product, regions: Sequence[tuple[float, float]]) -> None:
    first, last = float(image["SLITPOS"][0]), float(image["SLITPOS"][-1])
    outside = [f"{start:g}-{stop:g}" for start, stop in regions if start > last or stop < first]
    if outside:
        raise ParameterError(
            f"set_apertures.bgr: {', '.join(outside)} of {image.name} lies outside the slit, which reaches from "
            f"{first:.1f} to {last:.1f} arcsec; give other regions."
        )
