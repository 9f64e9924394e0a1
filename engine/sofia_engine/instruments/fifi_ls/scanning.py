"""Where the telescope pointed during a scan on the fly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from sofia_engine.instruments.fifi_ls.gratings import SCAN_POSITIONS
from sofia_engine.instruments.fifi_ls.mode import require_number
from sofia_engine.product import Table

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import BoolArray, FloatArray, IndexArray

__all__ = ["ScanPath", "average_ramps", "make_table", "read_table", "trace_scan"]

SLOWEST = 1e-8
"""Speeds below this, arcsec/s, are zero but for rounding."""


@dataclass(frozen=True, eq=False)
class ScanPath:
    """Offsets of the telescope from the base position.

    Attributes
    ----------
    longitude, latitude : (n,) ndarray
        DLAM_MAP and DBET_MAP, arcsec, of each readout or ramp.
    good : (n,) ndarray of bool
        Taken while the telescope scanned.
    time : (n,) ndarray
        Unix time, s.
    """

    longitude: FloatArray
    latitude: FloatArray
    good: BoolArray
    time: FloatArray

    def take(self, part: slice | IndexArray | BoolArray) -> ScanPath:
        """Return the path of some readouts."""
        return ScanPath(self.longitude[part], self.latitude[part], self.good[part], self.time[part])


def trace_scan(header: fits.Header, readouts: int, ramp_length: int) -> tuple[ScanPath, tuple[str, ...]]:
    """Return where the telescope pointed in each readout of a scan.

    Parameters
    ----------
    header : Header
        UNIXSTRT, OTFSTART, ALPHA (s per readout), TRK_DRTN (s), OBSLAMV and OBSBETV (arcsec/s), DLAM_MAP, DBET_MAP.
    readouts, ramp_length : int
        Number of readouts of the file, and of a ramp.

    Returns
    -------
    ScanPath
        Offsets are those of the ends of the scan before and after it.
    tuple of str
        What is odd.

    Raises
    ------
    HeaderError
        If a keyword is missing.
    """
    start, begin, length, duration = (require_number(header, k) for k in ("UNIXSTRT", "OTFSTART", "ALPHA", "TRK_DRTN"))
    first = math.ceil((begin - start) / length)
    last = math.floor(first + duration / length)
    low, high = first - first % ramp_length, last + ramp_length - last % ramp_length - 1
    warnings = ["The scan began before the file."] if low < 0 else []
    warnings += ["The scan went on after the file."] if high >= readouts else []
    low, high = max(low, 0), min(high, readouts - 1)
    number = np.arange(readouts)
    steps = np.clip(number, low, high) - first
    offsets = []
    for place, speed in (("DLAM_MAP", "OBSLAMV"), ("DBET_MAP", "OBSBETV")):
        rate = require_number(header, speed)
        offsets.append(require_number(header, place) + (rate if abs(rate) > SLOWEST else 0.0) * length * steps)
    good = (number >= low) & (number <= high)
    return ScanPath(offsets[0], offsets[1], good, start + (number + 0.5) * length), tuple(warnings)


def average_ramps(path: ScanPath, ramp_length: int) -> ScanPath:
    """Return the mean offsets and time of each ramp; it is good if all its readouts are."""
    whole = len(path.good) // ramp_length * ramp_length
    shape = (-1, ramp_length)
    columns = (path.longitude, path.latitude, path.time)
    longitude, latitude, time = (values[:whole].reshape(shape).mean(axis=1) for values in columns)
    good: BoolArray = np.min(path.good[:whole].reshape(shape), axis=1)
    return ScanPath(longitude, latitude, good, time)


def make_table(path: ScanPath, *, readouts: bool = True) -> Table:
    """Return a path as the table of a product: of readouts with flag and time, of ramps with the offsets alone."""
    columns = [
        fits.Column("DLAM_MAP", "D", "arcsec", array=path.longitude),
        fits.Column("DBET_MAP", "D", "arcsec", array=path.latitude),
    ]
    if readouts:
        columns += [fits.Column("FLAG", "L", array=path.good), fits.Column("UNIXTIME", "D", "s", array=path.time)]
    return Table.of(fits.BinTableHDU.from_columns(columns, name=f"{SCAN_POSITIONS}_G0"))


def read_table(table: Table) -> ScanPath:
    """Return the path in a table of a product; times and flags are NaN and true where it holds the offsets alone."""
    longitude, latitude = (np.asarray(table[name], dtype=np.float64) for name in ("DLAM_MAP", "DBET_MAP"))
    whole = "FLAG" in table.data.names
    good = np.asarray(table["FLAG"], dtype=bool) if whole else np.ones(longitude.shape, dtype=bool)
    time = np.asarray(table["UNIXTIME"], dtype=np.float64) if whole else np.full(longitude.shape, np.nan)
    return ScanPath(longitude, latitude, good, time)
