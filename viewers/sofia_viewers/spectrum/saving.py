"""Spectra as files: FITS, ECSV, CSV, VOTable."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sofia_engine.errors import InputError
from sofia_viewers.spectrum.curves import Curve
from sofia_viewers.spectrum.spectrum import SpectrumFile

__all__ = ["SAVE_FILTER", "make_curve_table", "save_spectrum"]

SAVE_FILTER = "FITS (*.fits);;ECSV (*.ecsv);;CSV (*.csv);;VOTable (*.vot)"

_FORMATS = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".vot": "votable", ".xml": "votable"}


def save_spectrum(file: SpectrumFile, path: str | Path) -> Path:
    """Write all spectra of a file with all their fields, in the units they have.

    Parameters
    ----------
    file : SpectrumFile
        What to write.
    path : path
        Ends with ``.fits``, ``.ecsv``, ``.csv`` or ``.vot``. FITS gets one extension per field (with the suffix
        ``_ORDER_nn`` if there are several orders), as the products of the pipeline have; tables get columns ``order``
        and
        ``aperture``.

    Raises
    ------
    InputError
        If the suffix is none of these, or the file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in (".fits", *_FORMATS):
        raise InputError(f"{target} cannot be written: spectra end with .fits, .ecsv, .csv or .vot.")
    try:
        if suffix == ".fits":
            _write_fits(file, target)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # VOTable does not know all units; they are written all the same
                _make_table(file).write(target, format=_FORMATS[suffix], overwrite=True)
    except OSError as problem:
        raise InputError(f"{target} cannot be written: {problem.strerror or problem}.") from None
    return target


def _write_fits(file: SpectrumFile, target: Path) -> None:
    from astropy.io import fits

    from sofia_engine.product import Plane, Product

    header = fits.Header()
    for keyword, value in file.header.items():
        if keyword not in _STRUCTURE and _fits_in_card(keyword, value):
            header[keyword] = value
    header["FILENAME"] = target.name
    header["NORDERS"], header["NAPS"] = len(file.orders), len(file.apertures)
    planes: dict[str, Plane] = {}
    for order in file.orders:
        spectra = [spectrum for spectrum in file.spectra if spectrum.order == order]
        suffix = f"_ORDER_{order:02d}" if len(file.orders) > 1 else ""
        for name in spectra[0].fields:
            rows = [s[name] for s in spectra if name in s and len(s[name]) == len(spectra[0][name])]
            shared = len(rows) == 1 or (
                name == "wavepos" and all(np.array_equal(r, rows[0], equal_nan=True) for r in rows)
            )
            planes[f"{name.upper()}{suffix}"] = Plane.of(rows[0] if shared else np.stack(rows), spectra[0].unit(name))
    Product(Product.of(header, {}).header, planes, empty_primary=True).write(target)


def _fits_in_card(keyword: str, value: Any) -> bool:
    """Tell whether FITS can hold a card: metadata of tables may be anything."""
    if not isinstance(value, str | int | float | bool) or not _KEYWORD.match(keyword):
        return False
    if isinstance(value, str):
        return value.isascii() and value.isprintable()
    return abs(value) < 2**63 if isinstance(value, int) else bool(np.isfinite(value))


_KEYWORD = re.compile(r"^[A-Za-z0-9_-]{1,8}$")
_STRUCTURE = frozenset(("SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "EXTEND", "BUNIT",
                        "XUNITS", "YUNITS",
                        "EXTNAME", "COMMENT", "HISTORY", "", "NORDERS", "NAPS", "FILENAME"))  # fmt: skip


def _make_table(file: SpectrumFile) -> Any:
    from astropy.table import Table, vstack

    from sofia_viewers.spectrum.units import parse_unit

    parts = []
    for spectrum in file.spectra:
        fields = {name: values for name, values in spectrum.fields.items() if len(values) == len(spectrum)}
        part = Table(
            {"order": np.full(len(spectrum), spectrum.order), "aperture": np.full(len(spectrum), spectrum.aperture)}
        )
        for name, values in fields.items():
            part[name] = values
            if spectrum.unit(name) and parse_unit(spectrum.unit(name)) is not None:
                part[name].unit = parse_unit(spectrum.unit(name))
        parts.append(part)
    return vstack(parts, metadata_conflicts="silent") if len(parts) > 1 else parts[0]


def make_curve_table(curves: Sequence[Curve], x_name: str, y_name: str, units: tuple[str, str]) -> Any:
    """Return the numbers behind a plot as a table: file, order, aperture, x, y, error; no name stands for two."""
    from astropy.table import Table

    from sofia_viewers.spectrum.units import parse_unit

    table = Table()
    table["file"] = np.concatenate([np.full(len(c.x), c.name) for c in curves]) if curves else []
    table["order"] = np.concatenate([np.full(len(c.x), c.order) for c in curves]) if curves else []
    table["aperture"] = np.concatenate([np.full(len(c.x), c.aperture) for c in curves]) if curves else []
    names = list(table.colnames)
    for name in (x_name, y_name, "error"):
        names.append(
            name if name not in names else f"{name}_{2 + sum(other.startswith(f'{name}_') for other in names)}"
        )
    x_column, y_column, error_column = names[3:]
    table[x_column] = np.concatenate([c.x for c in curves]) if curves else []
    table[y_column] = np.concatenate([c.y for c in curves]) if curves else []
    table[error_column] = (
        np.concatenate([c.error if c.error is not None else np.full(len(c.x), np.nan) for c in curves])
        if curves
        else []
    )
    for name, unit in ((x_column, units[0]), (y_column, units[1]), (error_column, units[1])):
        parsed = parse_unit(unit) if unit else None
        if parsed is not None:
            table[name].unit = parsed
    table.meta["units"] = {x_column: units[0], y_column: units[1]}
    return table
