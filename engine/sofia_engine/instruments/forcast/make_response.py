"""Make Response: what the instrument measures of a standard star, over what the star sends."""

from collections.abc import Mapping

import numpy as np
from astropy.io import fits

from sofia_engine.errors import StepError
from sofia_engine.instruments.forcast.grism_files import find_resolution, require_resolution
from sofia_engine.instruments.forcast.grism_frame import pack_spectrum, require_planes
from sofia_engine.instruments.forcast.standard_models import load_model, want_model
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product
from sofia_engine.spectroscopy.calibration import Response
from sofia_engine.spectroscopy.combination import make_response as divide_by_model

__all__ = ["ResponseParameters", "make_response"]


class ResponseParameters(SavedOutput):
    """Parameters of Make Response."""

    model_file: str = parameter(
        "",
        label="Standard model file",
        pick="file",
        help="FITS file with rows wavelength (um) and flux (Jy) of the standard, or a folder of such files in which "
        "the one for OBJECT and date is looked for; empty takes the published model or photometry of the star.",
    )


def _want_model(header: fits.Header, p: ResponseParameters) -> Mapping[str, Wanted]:
    return want_model(header, p.model_file)


@step(
    "make_response",
    label="Make Response",
    code="RSP",
    product_type="response_spectrum",
    level="LEVEL_3",
    saved=True,
    references=_want_model,
)
def make_response(image: Product, _p: ResponseParameters, run: Run) -> Product:
    """Divide the spectrum of a standard star, as it was before flux calibration, by the model of the star."""
    require_planes(image, "WAVEPOS", "SPECTRAL_FLUX", "SPECTRAL_ERROR")
    if "RESPONSE" not in image:
        raise StepError(
            f"{image.name}: the flux was not calibrated, and a response needs the transmission and the earlier "
            "response that it was divided by; switch flux_calibrate.skip_cal off."
        )
    stored = image.header.get("RP")
    resolution = float(stored) if isinstance(stored, int | float) else find_resolution(image.header)
    wavelength = image["WAVEPOS"]
    model, name = load_model(run, image.header, require_resolution(resolution, image.header), wavelength)
    previous = Response(np.asarray(image["RESPONSE"]), np.asarray(image["RESPONSE_ERROR"]))
    response, error = divide_by_model(image["SPECTRAL_FLUX"], image["SPECTRAL_ERROR"], previous, model)
    unit = f"{image.header.get('RAWUNITS', 'Me/s')}/Jy"
    curves = Product.of(
        image.header,
        {
            "WAVEPOS": Plane.of(wavelength, image.plane("WAVEPOS").unit),
            "RESPONSE": Plane.of(response, unit),
            "RESPONSE_ERROR": Plane.of(error, unit),
            "TRANSMISSION": Plane.of(image["TRANSMISSION"]),
            "STANDARD_MODEL": Plane.of(model, "Jy"),
        },
    )
    run.quality["response"] = float(np.nanmedian(response))
    run.history(f"Response: spectrum over the model {name} at a resolution of {resolution:g}")
    return pack_spectrum(curves, "response").with_cards(("MODLFILE", name, "Model of the standard"))
