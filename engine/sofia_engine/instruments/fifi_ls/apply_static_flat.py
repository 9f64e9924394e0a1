"""Apply Flat: the different response of the pixels taken out."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits

from sofia_engine.errors import HeaderError
from sofia_engine.instruments.fifi_ls.flats import Flat, interpolate_flat, read_spectral_flat
from sofia_engine.instruments.fifi_ls.gratings import (
    count_gratings,
    grating_header,
    grating_plane,
    make_cards,
    make_plane,
    replace_planes,
)
from sofia_engine.instruments.fifi_ls.mode import (
    find_channel,
    find_date,
    find_dichroic,
    find_filter,
    find_order,
    request_reference,
)
from sofia_engine.instruments.fifi_ls.tables import read_spatial_flat
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product, Table

__all__ = ["ApplyFlatParameters", "apply_static_flat", "divide_by_flat", "want_flats"]

FIRST_DATE = 20000101


class ApplyFlatParameters(SavedOutput):
    """Parameters of Apply Flat."""

    retired = ("parallel",)
    skip_flat: bool = parameter(False, label="Skip flat correction", help="Leave the data as they are.")
    skip_err: bool = parameter(
        True,
        label="Skip flat error propagation",
        help="Leave the error of the flat out of the errors: it is the same in all files, so that it does not average "
        "out. The error of the flux calibration contains it.",
        applies_when={"skip_flat": False},
    )


def want_flats(header: fits.Header) -> dict[str, Wanted]:
    """Ask for the spatial and the spectral flat of an observation."""
    channel, dichroic, order = find_channel(header), find_dichroic(header), find_order(header)
    passed = find_filter(header) if channel == "BLUE" else order
    spatial = "R" if channel == "RED" else f"B{order}"
    spectral = f"{channel[0]}{order}" if order == passed else f"{channel[0]}{order}{passed}"
    return {
        "spatial_flat": Wanted(
            request_reference(header, "spatial_flat", "spatial flat", order=spatial, dichroic=dichroic)
        ),
        "spectral_flat": Wanted(
            request_reference(header, "spectral_flat", "spectral flat", order=spectral, dichroic=dichroic)
        ),
    }


def _list_references(header: fits.Header, p: ApplyFlatParameters) -> Mapping[str, Wanted]:
    return {} if p.skip_flat else want_flats(header)


@step(
    "apply_static_flat",
    label="Apply Flat",
    code="FLF",
    product_type="flat_fielded",
    level="LEVEL_2",
    references=_list_references,
)
def apply_static_flat(product: Product, p: ApplyFlatParameters, run: Run) -> Product:
    """Divide by the relative response of each pixel at its wavelength, and of its spaxel at the date."""
    if p.skip_flat:
        run.log(f"{product.name}: no flat correction.")
        return product
    if find_date(product.header) < FIRST_DATE:
        raise HeaderError(f"{product.name}: DATE-OBS is {product.header['DATE-OBS']!r}; the flats depend on the day.")
    spatial_file, spectral_file = run.reference("spatial_flat"), run.reference("spectral_flat")
    spatial, until = read_spatial_flat(spatial_file.path, find_date(product.header))
    table = read_spectral_flat(spectral_file.path)
    planes: dict[str, Plane | Table] = {}
    for g in range(count_gratings(product)):
        flat = interpolate_flat(table, grating_plane(product, "LAMBDA", g), spatial)
        flux, error = (grating_plane(product, name, g) for name in ("FLUX", "STDDEV"))
        flux, error = divide_by_flat(flux, error, flat, with_error=not p.skip_err)
        cards = make_cards(grating_header(product, g))
        planes[f"FLUX_G{g}"] = make_plane(flux, "adu/(Hz s)", cards)
        planes[f"STDDEV_G{g}"] = make_plane(error, "adu/(Hz s)", cards)
        for name in ("LAMBDA", "XS", "YS", "RA", "DEC"):
            planes[f"{name}_G{g}"] = product.plane(f"{name}_G{g}")
        planes[f"FLAT_G{g}"] = make_plane(flat.value, "", cards)
        planes[f"FLATERR_G{g}"] = make_plane(flat.error, "", cards)
    run.history("Flat-field corrected")
    names = [f"flat_files/{Path(use.name).name}" for use in (spatial_file, spectral_file)]
    return replace_planes(product.with_cards(("FLATFILE", f"{names[0]}[{until}],{names[1]}", "Flat file name")), planes)


def divide_by_flat(
    flux: FloatArray, error: FloatArray, flat: Flat, *, with_error: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Return flux and error divided by a flat, with the error of the flat if wanted; NaN where there is no flat."""
    divided, spread = flux / flat.value, error / flat.value
    if with_error:
        spread = np.hypot(spread, flat.error * flux / np.square(flat.value))
    return divided, spread
