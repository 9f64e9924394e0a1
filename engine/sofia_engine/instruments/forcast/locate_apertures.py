"""Locate Apertures: where on the slit the sources are."""

from typing import Literal

from sofia_engine.errors import ParameterError
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
    input_position: str = parameter(
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
    if method == "fix to input":
        if not given:
            raise ParameterError("locate_apertures.input_position is empty; give positions, or choose another method.")
        return place_apertures(slit, profile, given, p.fwhm)
    if method == "auto":
        return find_apertures(slit, profile, max(p.num_aps, len(given)), p.fwhm, given)
    return space_apertures(slit, profile, p.num_aps if method == "step up slit" else 1, p.fwhm)
