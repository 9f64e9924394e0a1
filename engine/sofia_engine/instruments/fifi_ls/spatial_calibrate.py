"""Spatial Calibrate: positions of all spaxels on the sky."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from astropy.io import fits

from sofia_engine.errors import HeaderError
from sofia_engine.instruments.fifi_ls.gratings import (
    count_gratings,
    grating_header,
    grating_plane,
    make_cards,
    make_plane,
    read_card,
    replace_planes,
    scan_positions,
)
from sofia_engine.instruments.fifi_ls.mode import (
    channel_letter,
    find_channel,
    find_date,
    find_dichroic,
    read_number,
    read_text,
    request_reference,
    require_number,
)
from sofia_engine.instruments.fifi_ls.positions import FieldGeometry, compute_offsets, find_array_offset, to_sky
from sofia_engine.instruments.fifi_ls.scanning import read_table
from sofia_engine.instruments.fifi_ls.tables import read_delta_vector, read_spaxel_positions
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product, Table

__all__ = ["SpatialCalibrateParameters", "spatial_calibrate"]

FLIPPED_BEFORE = 20150501
"""Day from which on offsets have the signs of today."""
LABORATORY = "TELSIM"
"""Object name of the source in the laboratory."""


class SpatialCalibrateParameters(SavedOutput):
    """Parameters of Spatial Calibrate."""

    retired = ("parallel",)
    rotate: bool = parameter(
        True,
        label="Rotate by detector angle",
        help="Turn positions so that north is up; else they stay in the frame of the detector.",
    )
    flipsign: Literal["flip", "no flip", "default"] = parameter(
        "default",
        label="Flip RA/DEC sign convention",
        help="Signs of the map offsets in the header: turned, as they are, or by the date (turned before May 2015).",
    )


def _list_references(header: fits.Header, p: SpatialCalibrateParameters) -> Mapping[str, Wanted]:  # noqa: ARG001
    letter = channel_letter(header).lower()
    return {
        "positions": Wanted(request_reference(header, "spaxel_positions", "table of spaxel positions", channel=letter)),
        "delta_vectors": Wanted(request_reference(header, "delta_vectors", "table of array offsets")),
    }


@step(
    "spatial_calibrate",
    label="Spatial Calibrate",
    code="XYC",
    product_type="spatial_calibrated",
    level="LEVEL_2",
    references=_list_references,
)
def spatial_calibrate(product: Product, p: SpatialCalibrateParameters, run: Run) -> Product:
    """Compute where on the sky each spaxel looks, from the geometry of the field and the offsets of the telescope."""
    header = product.header
    table = run.reference("positions")
    spaxels = read_spaxel_positions(table.path)
    in_laboratory = LABORATORY in (read_text(header, "OBJECT"), read_text(header, "OBJ_NAME"))
    sky_angle = 0.0 if p.rotate or in_laboratory else require_number(header, "DET_ANGL")
    base = require_number(header, "OBSLAM"), require_number(header, "OBSBET")
    planes: dict[str, Plane | Table] = {}
    for g in range(count_gratings(product)):
        x, y = _measure_in_laboratory(product, spaxels) if in_laboratory else _locate(product, g, spaxels, p, run)
        ra, dec = to_sky(x, y, sky_angle, base)
        cards = make_cards(grating_header(product, g))
        for name, unit in (("FLUX", "adu/(Hz s)"), ("STDDEV", "adu/(Hz s)"), ("LAMBDA", "um")):
            planes[f"{name}_G{g}"] = make_plane(grating_plane(product, name, g), unit, cards)
        length = "mm" if in_laboratory else "arcsec"
        for name, values, unit in (
            ("XS", x, length),
            ("YS", y, length),
            ("RA", ra, "hourangle"),
            ("DEC", dec, "degree"),
        ):
            planes[f"{name}_G{g}"] = make_plane(values, unit, cards)
    run.history("XY offsets added")
    calibrated = product.with_cards(
        ("SPATFILE", Path(table.name).name, "Spatial calibration file"),
        ("SKY_ANGL", sky_angle, "Sky angle after calibration (deg)"),
    )
    return replace_planes(calibrated, planes)


def _measure_in_laboratory(product: Product, spaxels: FloatArray) -> tuple[FloatArray, FloatArray]:
    x, y = (require_number(product.header, keyword) for keyword in ("DLAM_MAP", "DBET_MAP"))
    return x - spaxels[:, 1], y - spaxels[:, 0]


def _locate(
    product: Product, grating: int, spaxels: FloatArray, p: SpatialCalibrateParameters, run: Run
) -> tuple[FloatArray, FloatArray]:
    header = product.header
    flip = p.flipsign == "flip" or (p.flipsign == "default" and find_date(header) < FLIPPED_BEFORE)
    angle = require_number(header, "DET_ANGL")
    geometry = FieldGeometry(require_number(header, "PLATSCAL"), angle, p.rotate, flip)
    array = _find_array(product, grating, run.reference("delta_vectors").path)
    x, y = compute_offsets(spaxels, array, _find_telescope(product), geometry)
    if x.ndim == 2:
        return x[:, np.newaxis], y[:, np.newaxis]
    return x, y


def _find_array(product: Product, grating: int, path: Path) -> tuple[float, float]:
    header = product.header
    date, dichroic = find_date(header), find_dichroic(header)
    primary = "RED" if read_text(header, "PRIMARAY") == "RED" else "BLUE"
    if not read_text(header, "PRIMARAY"):
        raise HeaderError(f"{product.name}: PRIMARAY is missing; write into the header which array was pointed with.")
    channel = find_channel(header)
    vectors = {name: read_delta_vector(path, date, name[0].lower(), dichroic) for name in (primary, channel)}
    own = None if channel == primary else vectors[channel]
    at_primary, at_own = read_card(product, "INDPOS_P", grating), read_card(product, "INDPOS", grating)
    return find_array_offset(vectors[primary], own, at_primary, at_own)


def _find_telescope(product: Product) -> tuple[Any, Any]:
    """Offsets of the telescope, arcsec: of the header, or (n, 1) of the ramps of a scan."""
    table = scan_positions(product)
    if table is not None:
        path = read_table(table)
        return path.longitude[:, np.newaxis], path.latitude[:, np.newaxis]
    offsets = [read_number(product.header, keyword) for keyword in ("DLAM_MAP", "DBET_MAP")]
    if None in offsets:
        raise HeaderError(f"{product.name}: DLAM_MAP or DBET_MAP is missing; the position on the sky is not known.")
    return offsets[0], offsets[1]
