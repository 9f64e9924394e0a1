"""Lambda Calibrate: wavelengths of all pixels, and flux per frequency."""

from collections.abc import Mapping
from pathlib import Path

from astropy.io import fits

from sofia_engine.errors import HeaderError
from sofia_engine.instruments.fifi_ls.gratings import (
    copy_positions,
    count_gratings,
    grating_header,
    grating_plane,
    make_cards,
    make_plane,
    read_card,
    replace_planes,
)
from sofia_engine.instruments.fifi_ls.mode import (
    find_channel,
    find_date,
    find_dichroic,
    find_order,
    request_reference,
)
from sofia_engine.instruments.fifi_ls.tables import read_wavelength_coefficients
from sofia_engine.instruments.fifi_ls.wavelengths import Wavelengths, compute_bandwidth, compute_wavelengths
from sofia_engine.pipeline.parameters import SavedOutput
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product, Table
from sofia_engine.reference.catalogue import UNKNOWN_DATE

__all__ = ["LambdaCalibrateParameters", "calibrate_grating", "lambda_calibrate", "want_coefficients"]


class LambdaCalibrateParameters(SavedOutput):
    """Parameters of Lambda Calibrate."""

    retired = ("parallel",)


def want_coefficients(header: fits.Header) -> Wanted:
    """Ask for the table of wavelength coefficients."""
    return Wanted(request_reference(header, "wavelength_coefficients", "wavelength calibration"))


def _list_references(header: fits.Header, p: LambdaCalibrateParameters) -> Mapping[str, Wanted]:  # noqa: ARG001
    return {"coefficients": want_coefficients(header)}


@step(
    "lambda_calibrate",
    label="Lambda Calibrate",
    code="WAV",
    product_type="wavelength_calibrated",
    level="LEVEL_2",
    references=_list_references,
)
def lambda_calibrate(product: Product, p: LambdaCalibrateParameters, run: Run) -> Product:  # noqa: ARG001
    """Compute the wavelength of each pixel, and divide the flux by the frequency range that the pixel covers."""
    used = run.reference("coefficients")
    planes: dict[str, Plane | Table] = {}
    for g in range(count_gratings(product)):
        wavelengths = calibrate_grating(product, g, used.path)
        bandwidth = compute_bandwidth(wavelengths)
        cards = make_cards(grating_header(product, g))
        for name in ("FLUX", "STDDEV"):
            planes[f"{name}_G{g}"] = make_plane(grating_plane(product, name, g) / bandwidth, "adu/(Hz s)", cards)
        planes[f"LAMBDA_G{g}"] = make_plane(wavelengths.wavelength, "um", cards)
    planes |= copy_positions(product)
    run.history("Wavelength calibrated")
    calibrated = product.with_cards(("WAVEFILE", Path(used.name).name, "Wavelength calibration file"))
    return replace_planes(calibrated, planes)


def calibrate_grating(product: Product, grating: int, table: Path) -> Wavelengths:
    """Return the wavelengths of a grating position.

    Raises
    ------
    HeaderError
        If the header lacks date, channel, order or dichroic, or the position is negative.
    """
    header = product.header
    channel, order, date = find_channel(header), find_order(header), find_date(header)
    if date == UNKNOWN_DATE:
        raise HeaderError(f"{product.name}: DATE-OBS is {header.get('DATE-OBS')!r}; the wavelengths depend on the day.")
    position = read_card(product, "INDPOS", grating)
    if position < 0:
        raise HeaderError(f"{product.name}: INDPOS of grating position {grating} is {position:g}, must be positive.")
    configuration = f"R{find_dichroic(header)}" if channel == "RED" else f"B{order}"
    coefficients = read_wavelength_coefficients(table, date, configuration)
    return compute_wavelengths(coefficients, position, channel, order)
