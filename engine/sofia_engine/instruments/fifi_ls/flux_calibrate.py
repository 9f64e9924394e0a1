"""Flux Calibrate: from counts to janskys."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits

from sofia_engine.errors import StepError
from sofia_engine.header.cards import Card
from sofia_engine.instruments.fifi_ls.gratings import make_plane, replace_planes
from sofia_engine.instruments.fifi_ls.mode import find_dichroic, find_response_channel, read_number, request_reference
from sofia_engine.instruments.fifi_ls.response import Response, read_response
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product, Table

__all__ = ["FluxCalibrateParameters", "flux_calibrate"]

UNIT = "Jy/pixel"
RESPONSE_UNIT = "adu/(Hz s Jy)"


class FluxCalibrateParameters(SavedOutput):
    """Parameters of Flux Calibrate."""

    save: bool = parameter(True, label="Save output", help="Write the products of this step to the output directory.")
    retired = ("parallel",)
    skip_cal: bool = parameter(False, label="Skip flux calibration", help="Leave the flux in instrumental units.")
    response_file: str = parameter(
        "",
        label="Response file",
        pick="file",
        help="Response curve to use; empty takes the one of date and channel.",
        applies_when={"skip_cal": False},
    )


def _list_references(header: fits.Header, p: FluxCalibrateParameters) -> Mapping[str, Wanted]:
    if p.skip_cal:
        return {}
    request = request_reference(
        header, "response", "response curve", channel=find_response_channel(header), dichroic=find_dichroic(header)
    )
    return {"response": Wanted(request, p.response_file)}


@step(
    "flux_calibrate",
    label="Flux Calibrate",
    code="CAL",
    product_type="flux_calibrated",
    level="LEVEL_3",
    saved=True,
    references=_list_references,
)
def flux_calibrate(product: Product, p: FluxCalibrateParameters, run: Run) -> Product:
    """Divide by the response of the instrument at the wavelength of each pixel.

    The error of the response is the same for all files; it is kept by itself, as a fraction of the flux.
    """
    if p.skip_cal:
        run.log(f"{product.name}: no flux calibration.")
        return product
    used = run.reference("response")
    curve = read_response(used.path)
    value, relative = curve.at(product["LAMBDA"])
    if not np.isfinite(value).any():
        raise StepError(f"{product.name}: the response curve {used.name} does not reach the wavelengths of the data.")
    planes: dict[str, Plane | Table] = {}
    for name, plane in product.planes.items():
        flux = name.endswith(("FLUX", "STDDEV"))
        planes[name] = make_plane(plane.data / value, UNIT) if flux else plane
    model = planes.pop("UNSMOOTHED_ATRAN", None)
    planes["RESPONSE"] = make_plane(value, RESPONSE_UNIT)
    planes["RELATIVE_RESPONSE_ERROR"] = make_plane(relative)
    if model is not None:
        planes["UNSMOOTHED_ATRAN"] = model
    run.history("Flux calibrated")
    return replace_planes(product.with_cards(*_describe(product, curve, Path(used.name).name)), planes)


def _describe(product: Product, curve: Response, name: str) -> list[Card]:
    cards: list[Card] = [
        ("RSPNFILE", name, "Instrumental response file"),
        ("RAWUNITS", "adu/(Hz s)", "Raw data units before calibration"),
        ("BUNIT", UNIT, "Data units"),
        ("CALERR", curve.mean_relative_error, "Overall fractional flux cal error"),
    ]
    response = curve.at(np.array([np.nanmean(product["LAMBDA"])]))[0][0]
    for keyword, nod in (("BGLEVL_A", "A"), ("BGLEVL_B", "B")):
        level = read_number(product.header, keyword)
        if level is not None and np.isfinite(response):
            cards.append((keyword, level / float(response), f"Background level nod {nod} (Jy/pixel)"))
    return cards
