"""Locate Apertures: where on the slit the sources are."""

from collections.abc import Sequence
from typing import Literal

from sofia_engine.errors import ParameterError
from sofia_engine.instruments.forcast.aperture_texts import Positions
from sofia_engine.instruments.forcast.grism_frame import require_planes
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product
from sofia_engine.spectroscopy.apertures import (
    Aperture,
    find_apertures,
    list_aperture_cards,
    parse_lists,
    place_apertures,
    space_apertures,
)

__all__ = ["LocationParameters", "SteppedLocationParameters", "locate_apertures"]

LEAST_ROWS = 5
"""Of a source that is to be told from its neighbours."""
Method = Literal["auto", "fix to input", "fix to center", "step up slit"]
_METHOD_HELP = "Find the brightest sources in the spatial profile, take the positions given, or the middle of the slit."


class LocationParameters(SavedOutput):
    """Parameters of Locate Apertures."""

    method: Literal["auto", "fix to input", "fix to center"] = parameter(
        "auto", label="Aperture location method", help=_METHOD_HELP
    )
    num_aps: int = parameter(
        1,
        label="Number of auto apertures",
        ge=1,
        le=1000,
        help="Sources to be found, or apertures to be placed, if their positions are not given.",
        applies_when={"method": "auto"},
    )
    input_position: Positions = parameter(
        "",
        label="Aperture position",
        unit="arcsec",
        pick="aperture positions",
        picked_with={"method": "fix to input"},
        help="Positions up the slit; commas separate apertures, semicolons files (3,8;2,7); one list serves all files. "
        "With auto they are where the search starts.",
        applies_when={"method": ("auto", "fix to input")},
    )
    fwhm: float = parameter(
        3.0,
        label="Expected aperture FWHM (arcsec)",
        unit="arcsec",
        gt=0,
        le=200,
        help="Width of a source: where fits start, and what is taken for sources at given positions.",
    )


class SteppedLocationParameters(LocationParameters):
    """The same with apertures all along the slit, for the correction of the slit."""

    method: Method = parameter(  # type: ignore[assignment]
        "step up slit", label="Aperture location method", level="hidden", help=_METHOD_HELP
    )
    num_aps: int = parameter(
        100,
        label="Number of auto apertures",
        ge=1,
        le=1000,
        help="Apertures to be placed along the slit at equal distances.",
    )


@step("locate_apertures", label="Locate Apertures", code="LOC", product_type="apertures_located", level="LEVEL_2")
def locate_apertures(image: Product, p: LocationParameters, run: Run) -> Product:
    """Find the sources along the slit, or place apertures where the parameters say."""
    require_planes(image, "SLITPOS", "SPATIAL_PROFILE")
    apertures = _locate(image, p, run)
    for number, aperture in enumerate(apertures, start=1):
        run.log(
            f"Aperture {number} at {aperture.position:.3f} arcsec, {'positive' if aperture.sign > 0 else 'negative'}, "
            f"FWHM {aperture.fwhm:.3f} arcsec"
        )
        run.quality[f"fwhm {number}" if len(apertures) > 1 else "fwhm"] = aperture.fwhm
    return image.with_cards(*list_aperture_cards(apertures))


def _locate(image: Product, p: LocationParameters, run: Run) -> tuple[Aperture, ...]:
    slit, profile, method = image["SLITPOS"], image["SPATIAL_PROFILE"], str(p.method)
    given = parse_lists(p.input_position, "locate_apertures.input_position", run.count)[run.position]
    if method != "fix to center":
        _require_in_slit(image, given)
    if method == "fix to input":
        if not given:
            raise ParameterError("locate_apertures.input_position is empty; give positions, or choose another method.")
        return place_apertures(slit, profile, given, p.fwhm)
    if method == "auto":
        _require_room(image, max(p.num_aps, len(given)))
        return find_apertures(slit, profile, max(p.num_aps, len(given)), p.fwhm, given)
    return space_apertures(slit, profile, p.num_aps if method == "step up slit" else 1, p.fwhm)


def _require_in_slit(image: Product, positions: Sequence[float]) -> None:
    first, last = float(image["SLITPOS"][0]), float(image["SLITPOS"][-1])
    outside = [f"{position:g}" for position in positions if not first <= position <= last]
    if outside:
        raise ParameterError(
            f"locate_apertures.input_position: {', '.join(outside)} lies outside the slit of {image.name}, which "
            f"reaches from {first:.1f} to {last:.1f} arcsec; give other positions."
        )


def _require_room(image: Product, count: int) -> None:
    rows = image["SLITPOS"].size
    if count * LEAST_ROWS > rows:
        raise ParameterError(
            f"locate_apertures.num_aps = {count} is too many for a slit of {rows} rows; give {rows // LEAST_ROWS} or "
            "less."
        )
