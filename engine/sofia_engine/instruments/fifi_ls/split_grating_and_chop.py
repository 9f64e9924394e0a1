"""Split Grating/Chop: the readouts of each chop position in a product of its own, by grating position."""

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.header.cards import Card
from sofia_engine.instruments.fifi_ls.chopping import (
    GratingPositions,
    find_complete,
    read_gratings,
    read_sequencing,
    split_readouts,
)
from sofia_engine.instruments.fifi_ls.gratings import SCAN_POSITIONS, make_cards, make_plane, replace_planes
from sofia_engine.instruments.fifi_ls.mode import is_otf, read_number
from sofia_engine.instruments.fifi_ls.raw import Readouts, read_raw
from sofia_engine.instruments.fifi_ls.scanning import ScanPath, make_table, trace_scan
from sofia_engine.numerics.arrays import IndexArray
from sofia_engine.pipeline.parameters import SavedOutput
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product, Table

__all__ = ["SplitParameters", "split_grating_and_chop"]


class SplitParameters(SavedOutput):
    """Parameters of Split Grating/Chop."""

    retired = ("parallel",)


@step(
    "split_grating_and_chop",
    label="Split Grating/Chop",
    code="CP",
    product_type="grating_chop_split",
    level="LEVEL_2",
)
def split_grating_and_chop(file: Product, p: SplitParameters, run: Run) -> tuple[Product, ...]:  # noqa: ARG001
    """Share the readouts of a file among the positions of chopper and grating.

    Incomplete ramps and chops at begin and end are dropped. Each chop position becomes a product of its own, each
    grating position an extension of it. Grating positions on the way down are not reduced.
    """
    sequencing, gratings = read_sequencing(file.header), read_gratings(file.header)
    readouts = read_raw(file)
    path, cards = _trace(file, readouts, sequencing.ramp_length, run)
    try:
        complete = find_complete(readouts, sequencing)
        kept = readouts.cut(complete)
        shares = split_readouts(kept.ramp, sequencing, len(gratings.own) + gratings.down)
    except StepError as error:
        raise StepError(f"{file.name}: {error} Leave the file out.") from None
    if gratings.down:
        run.warn(f"{gratings.down} grating positions on the way down are not reduced.")
    if path is not None and len(gratings.own) > 1:
        raise StepError(f"{file.name}: a scan on the fly has one grating position, not {len(gratings.own)}.")
    run.history("Chops split into separate filenames", "Grating scans split into separate extensions")
    made = []
    for chop, members in enumerate(shares):
        planes = _make_planes(kept, members, gratings, chop)
        if path is not None:
            planes[f"{SCAN_POSITIONS}_G0"] = make_table(path.take(complete).take(members[0]))
        split = file.with_cards(
            *cards,
            ("NGRATING", len(gratings.own), "Number of grating positions"),
            ("CHOPNUM", chop, "Chop number"),
        )
        made.append(replace_planes(split, planes))
    return tuple(made)


def _trace(file: Product, readouts: Readouts, ramp_length: int, run: Run) -> tuple[ScanPath | None, list[Card]]:
    """Return the path of a scan, and the cards of the time spent on it; none for a staring telescope."""
    if not is_otf(file.header):
        return None, []
    path, warnings = trace_scan(file.header, len(readouts), ramp_length)
    for warning in warnings:
        run.warn(f"{file.name}: {warning}")
    if not path.good.any():
        raise StepError(f"{file.name}: none of the readouts was taken during the scan; leave the file out.")
    lost = float(file.header["ALPHA"]) * int(np.count_nonzero(~path.good))
    exposure = (read_number(file.header, "EXPTIME") or 0.0) - lost
    return path, [("EXPTIME", exposure, ""), ("XPOSURE", exposure, "Exposure time [s]")]


def _make_planes(
    readouts: Readouts, members: list[IndexArray], gratings: GratingPositions, chop: int
) -> dict[str, Plane | Table]:
    planes: dict[str, Plane | Table] = {}
    for number, (own, primary) in enumerate(zip(gratings.own, gratings.primary, strict=True)):
        cards = make_cards(
            None,
            ("INDPOS", own, "Inductosyn position"),
            ("INDPOS_P", primary, "Inductosyn position of the primary array"),
            ("CHOPNUM", chop, "Chop number"),
            ("NODPOS", 0, "Nod position"),
        )
        planes[f"FLUX_G{number}"] = make_plane(readouts.data[members[number]], "adu", cards)
    return planes
