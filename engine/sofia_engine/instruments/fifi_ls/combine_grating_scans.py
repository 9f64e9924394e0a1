"""Combine Scans: one spectrum per spaxel from all grating positions."""

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.header.cards import Card
from sofia_engine.instruments.fifi_ls.gratings import count_gratings, grating_header, make_plane, replace_planes
from sofia_engine.instruments.fifi_ls.scans import level_spectra, sort_spectra
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = ["CombineScansParameters", "combine_grating_scans"]

UNITS = {
    "FLUX": "adu/(Hz s)",
    "STDDEV": "adu/(Hz s)",
    "LAMBDA": "um",
    "XS": "arcsec",
    "YS": "arcsec",
    "RA": "hourangle",
    "DEC": "degree",
}
"""Planes of the combined product, in order, with their units."""
_WITHOUT_SPECTRUM = ("XS", "YS", "RA", "DEC")


class CombineScansParameters(SavedOutput):
    """Parameters of Combine Scans."""

    save: bool = parameter(True, label="Save output", help="Write the products of this step to the output directory.")
    retired = ("parallel",)
    bias: bool = parameter(
        True,
        label="Correct bias offset",
        help="Shift the spectra of the grating positions to a common level in the wavelengths they have in common.",
    )


@step(
    "combine_grating_scans",
    label="Combine Scans",
    code="SCM",
    product_type="scan_combined",
    level="LEVEL_2",
    saved=True,
)
def combine_grating_scans(product: Product, p: CombineScansParameters, run: Run) -> Product:
    """Join the spectra of all grating positions, levelled in their common wavelengths and in order of wavelength."""
    count = count_gratings(product)
    gathered = {name: [product[f"{name}_G{g}"] for g in range(count)] for name in UNITS}
    scanned = gathered["FLUX"][0].ndim == 3
    if scanned and count > 1:
        raise StepError(f"{product.name}: a scan on the fly has one grating position, not {count}.")
    arrays = _take_scan(gathered) if count == 1 else _join(gathered, bias=p.bias)
    if count == 1 and not scanned:
        arrays = dict(zip(arrays, sort_spectra(list(arrays.values()), arrays["LAMBDA"]), strict=True))
    run.history("Grating scans combined into single extension")
    planes = {name: make_plane(arrays[name], _unit(product, name)) for name in UNITS}
    return replace_planes(product.with_cards(*_average_levels(product, count)), planes)


def _unit(product: Product, name: str) -> str:
    return product.plane(f"{name}_G0").unit or UNITS[name]


def _take_scan(gathered: dict[str, list[FloatArray]]) -> dict[str, FloatArray]:
    """One grating position: the positions of spaxels get a spectral axis."""
    shape = gathered["FLUX"][0].shape
    return {
        name: np.broadcast_to(arrays[0], shape) if name in _WITHOUT_SPECTRUM else arrays[0]
        for name, arrays in gathered.items()
    }


def _join(gathered: dict[str, list[FloatArray]], *, bias: bool) -> dict[str, FloatArray]:
    wavelengths = gathered["LAMBDA"]
    if bias:
        gathered = gathered | {"FLUX": level_spectra(gathered["FLUX"], wavelengths)}
    joined = {
        name: np.concatenate([np.broadcast_to(a, w.shape) for a, w in zip(arrays, wavelengths, strict=True)])
        for name, arrays in gathered.items()
    }
    return dict(zip(joined, sort_spectra(list(joined.values()), joined["LAMBDA"]), strict=True))


def _average_levels(product: Product, count: int) -> list[Card]:
    cards: list[Card] = []
    for keyword, nod in (("BGLEVL_A", "A"), ("BGLEVL_B", "B")):
        levels = [grating_header(product, g).get(keyword) for g in range(count)]
        numbers = [float(level) for level in levels if isinstance(level, int | float)]
        if numbers:
            cards.append((keyword, float(np.mean(numbers)), f"Background level nod {nod} (ADU/s/spaxel)"))
    return cards
