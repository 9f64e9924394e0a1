"""Product: a header, named planes and tables as one value; FITS in and out."""

from __future__ import annotations

import gzip
import io
import os
import re
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from dataclasses import replace as replace_fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike, NDArray

from sofia_engine.errors import InputError
from sofia_engine.fits_images import encode_images
from sofia_engine.header.cards import (
    Card,
    FrozenHeader,
    add_cards,
    freeze,
    is_structural,
    is_wcs,
    quiet_fits,
    same_cards,
    seal,
    wcs_cards,
    without_cards,
)

__all__ = ["Plane", "Product", "Table", "rename_patiently", "write_atomically"]

_GZIP = b"\x1f\x8b"
_EMPTY = freeze(fits.Header())
_STORABLE = frozenset(
    ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
)
_HISTORY_WIDTH = 72
"""Characters in a card of HISTORY."""
_DAMAGED = (
    OSError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError,
    zlib.error, fits.VerifyError, UserWarning,
)  # fmt: skip
"""What damaged files make astropy raise."""
_MOST_COLUMNS = 999
"""Columns that a table of FITS can have; astropy makes room for as many as a damaged header names."""
_PATIENCE = (0.05, 0.2, 0.8)
"""Seconds between attempts to rename a file that another program (virus scanner, viewer) holds open."""


@dataclass(frozen=True, eq=False)
class Plane:
    """One array of a product.

    Parameters
    ----------
    data : ndarray
        Native-endian, C-ordered, read-only; NaN is bad. Last axis is x.
    unit : str
        Unit as in BUNIT; empty if the plane has none.
    cards : FrozenHeader
        Cards of the extension beyond unit and name; the first plane has none, its cards are the product's header.
    inherits_wcs : bool
        The world coordinates are those of the product's header (written to the extension as well).
    """

    data: NDArray[Any]
    unit: str = ""
    cards: FrozenHeader = field(default_factory=lambda: _EMPTY, repr=False)
    inherits_wcs: bool = True

    @classmethod
    def of(cls, data: ArrayLike, unit: str = "") -> Plane:
        """Make a plane of any array; the array is taken over without a copy where its form allows.

        Raises
        ------
        InputError
            If FITS has no such numbers (complex, text, objects, half or extended precision).
        """
        return cls(_as_plane_array(data), unit)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return tuple(self.data.shape)

    def same(self, other: Plane) -> bool:
        """Tell whether two planes are equal: bits, dtype, unit, cards."""
        return (
            self.unit == other.unit
            and self.data.dtype == other.data.dtype
            and self.data.shape == other.data.shape
            and np.array_equal(self.data, other.data, equal_nan=self.data.dtype.kind in "fc")
            and (self.inherits_wcs or other.inherits_wcs or same_cards(self.cards, other.cards, ("EXTNAME", "BUNIT")))
        )


@dataclass(frozen=True, eq=False)
class Table:
    """A binary table of a product.

    Parameters
    ----------
    data : FITS_rec
        Rows as astropy reads them, for writing. ``table["NAME"]`` gives a column as a read-only array.
    cards : FrozenHeader
        Header of the table.
    """

    data: fits.FITS_rec
    cards: FrozenHeader = field(repr=False)

    @classmethod
    def of(cls, hdu: fits.BinTableHDU) -> Table:
        """Make a table of an HDU; its rows are copied."""
        stream = io.BytesIO()
        with quiet_fits():
            fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream)
            stream.seek(0)
            with fits.open(stream, memmap=False, lazy_load_hdus=False) as hdus:
                return _read_table(hdus[1])

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column, read-only and native-endian; the first axis is the row.

        Raises
        ------
        InputError
            If the table has no such column.
        """
        if name not in self.data.names:
            raise InputError(
                f"The table {self.cards.get('EXTNAME', '')} has no column {name}; it has {', '.join(self.data.names)}."
            )
        column = np.asarray(self.data[name])
        return _read_only(column if column.dtype.isnative else column.astype(column.dtype.newbyteorder("=")))

    def to_hdu(self) -> Any:
        """Return the table as an HDU of its own (rows are shared, the header is a copy)."""
        if self.cards.get("XTENSION") == "TABLE":
            return fits.TableHDU(self.data, self.cards.copy())
        hdu = fits.BinTableHDU.__new__(fits.BinTableHDU)
        # its own __init__ imports astropy.table, 0.2 s and 10 MB, to see whether the rows are one; these never are
        super(fits.BinTableHDU, hdu).__init__(self.data, self.cards.copy())  # type: ignore[call-arg]
        return hdu

    def same(self, other: Table) -> bool:
        """Tell whether two tables are equal: columns, bits and cards."""
        mine, others = self.data.columns, other.data.columns
        if (mine.names, mine.formats, mine.units) != (others.names, others.formats, others.units):
            return False
        columns_agree = all(_same_column(self.data[name], other.data[name]) for name in mine.names)
        return columns_agree and same_cards(self.cards, other.cards)


@dataclass(frozen=True, eq=False)
class Product:
    """Header, planes and tables: one input, intermediate or final result of a reduction.

    A product is a value. It is never changed in place; `replace` and `with_cards` make new ones that share all that
    did not change.

    Parameters
    ----------
    header : FrozenHeader
        Primary header without structural keywords' meaning: they follow from the planes when written.
    extensions : mapping of str to Plane or Table
        In the order of the file. The first plane stands in the primary HDU unless ``empty_primary``.
    empty_primary : bool
        The primary HDU holds no data.
    layout : str
        Name of the file layout it was read from; see `sofia_engine.layouts`.
    """

    header: FrozenHeader = field(repr=False)
    extensions: Mapping[str, Plane | Table]
    empty_primary: bool = False
    layout: str = "extensions"

    @classmethod
    def of(
        cls,
        header: fits.Header,
        planes: Mapping[str, ArrayLike | Plane | Table],
        units: Mapping[str, str] | None = None,
        *,
        empty_primary: bool = False,
    ) -> Product:
        """Make a product of a header and arrays.

        Parameters
        ----------
        header : Header
            Copied; later changes of it do not reach the product.
        planes : mapping of str to array, Plane or Table
            In the order they are written.
        units : mapping of str to str, optional
            Units by plane name; BUNIT of the header is the unit of the first plane if not given.
        empty_primary : bool
            Leave the primary HDU without data.
        """
        units = units or {}
        first = next(iter(planes), "")
        made: dict[str, Plane | Table] = {}
        for name, data in planes.items():
            default = str(header.get("BUNIT", "")) if name == first else ""
            made[name] = data if isinstance(data, Plane | Table) else Plane.of(data, units.get(name, default))
        named = _naming_first(freeze(header), made, empty_primary=empty_primary)
        return cls(named, MappingProxyType(made), empty_primary=empty_primary)

    @property
    def planes(self) -> Mapping[str, Plane]:
        """The planes by name, in the order of the file."""
        return MappingProxyType({k: v for k, v in self.extensions.items() if isinstance(v, Plane)})

    @property
    def tables(self) -> Mapping[str, Table]:
        """The tables by name, in the order of the file."""
        return MappingProxyType({k: v for k, v in self.extensions.items() if isinstance(v, Table)})

    @property
    def name(self) -> str:
        """File name of the product: its FILENAME keyword."""
        return str(self.header.get("FILENAME", "unnamed.fits"))

    def __contains__(self, name: str) -> bool:
        return name in self.extensions

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return the array of a plane."""
        return self.plane(name).data

    def plane(self, name: str) -> Plane:
        """Return a plane.

        Raises
        ------
        InputError
            If the product has no such plane.
        """
        found = self.extensions.get(name)
        if not isinstance(found, Plane):
            names = ", ".join(self.planes) or "none"
            raise InputError(f"{self.name}: there is no plane {name}; the file holds {names}.")
        return found

    def replace(
        self,
        header: fits.Header | None = None,
        units: Mapping[str, str] | None = None,
        **planes: ArrayLike | Plane | Table,
    ) -> Product:
        """Return a product in which some planes or tables, or the header, are others; the rest is shared.

        Parameters
        ----------
        header : Header, optional
            New primary header. If it changes the world coordinates, planes that had their own follow.
        units : mapping of str to str, optional
            New units of planes.
        **planes : array, Plane or Table
            New or replaced planes and tables; a replaced plane keeps its unit.
        """
        changed: dict[str, Plane | Table] = dict(self.extensions)
        for name, data in planes.items():
            changed[name] = data if isinstance(data, Plane | Table) else Plane.of(data, self._unit_of(name))
        for name, unit in (units or {}).items():
            plane = changed[name]
            if isinstance(plane, Plane):
                changed[name] = replace_fields(plane, unit=unit)
        if header is None:
            header = self.header
        elif header is not self.header and list(wcs_cards(header)) != list(wcs_cards(self.header)):
            changed = {k: _inheriting(v) for k, v in changed.items()}
        settled = _naming_first(freeze(header), changed, empty_primary=self.empty_primary)
        return replace_fields(self, header=settled, extensions=MappingProxyType(changed))

    def without(self, *names: str) -> Product:
        """Return a product without some planes or tables."""
        kept = {k: v for k, v in self.extensions.items() if k not in names}
        return replace_fields(self, extensions=MappingProxyType(kept))

    def with_cards(self, *cards: Card, history: Iterable[str] = ()) -> Product:
        """Return a product with some keywords set and lines of HISTORY added.

        Parameters
        ----------
        *cards : (keyword, value, comment)
            An empty comment keeps the one that is there.
        history : iterable of str
            Lines of HISTORY, in order; long ones are broken between words.

        Notes
        -----
        What FITS cannot hold in texts (accents, line breaks) is replaced.
        """
        stored = [
            (keyword, _printable(value) if isinstance(value, str) else value, comment)
            for keyword, value, comment in cards
        ]
        header = add_cards(self.header, stored, (part for line in history for part in _wrap(_printable(line))))
        if any(map(is_wcs, (keyword for keyword, _, _ in stored))):
            return self.replace(header=header)
        return replace_fields(self, header=_naming_first(header, self.extensions, empty_primary=self.empty_primary))

    def same(self, other: Product, ignore: Iterable[str] = ()) -> bool:
        """Tell whether two products are equal in cards (those in ``ignore`` apart), planes and tables."""
        return (
            list(self.extensions) == list(other.extensions)
            and same_cards(self.header, other.header, ignore)
            and all(
                type(mine) is type(other.extensions[name]) and mine.same(other.extensions[name])  # type: ignore[arg-type]
                for name, mine in self.extensions.items()
            )
        )

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, layout: str | None = None) -> Product:
        """Read a FITS file, plain or gzipped.

        Parameters
        ----------
        path : path
            File to read.
        layout : str, optional
            ``"extensions"`` takes the file as it is; by default old layouts (cubes of planes or rows in one HDU) are
            recognised and taken apart into named planes.

        Raises
        ------
        InputError
            If the file does not exist, is not FITS, or is truncated.
        """
        product = _read_extensions(cls, Path(path))
        if layout == "extensions":
            return product
        from sofia_engine.layouts import unpack

        return unpack(product)

    def write(self, path: str | os.PathLike[str], *, layout: str = "extensions") -> Path:
        """Write a FITS file: beside its final name first, then renamed, so that a partial file is never seen.

        Parameters
        ----------
        path : path
            Final name; ``.gz`` compresses.
        layout : str
            ``"extensions"``, or the name of an old layout to write that one.

        Raises
        ------
        OSError
            As the file system says (no space, no permission); nothing is left behind then.
        """
        product = self
        if layout != "extensions":
            from sofia_engine.layouts import pack

            product = pack(self, layout)
        target = Path(path)

        def fill(stream: Any) -> None:
            with quiet_fits():
                if target.suffix == ".gz":
                    with gzip.GzipFile("", "wb", compresslevel=4, fileobj=stream, mtime=0) as packed:
                        product._write_to(packed)
                else:
                    product._write_to(stream)

        write_atomically(target, fill)
        return target

    def encode(self) -> bytes:
        """Return the content of the file that `write` would write."""
        stream = io.BytesIO()
        with quiet_fits():
            self._write_to(stream)
        return stream.getvalue()

    def to_hdus(self) -> fits.HDUList:
        """Return the product as a list of HDUs of its own (data are shared, headers are copies)."""
        hdus = fits.HDUList()
        for number, (cards, data) in enumerate(self._list_hdus()):
            if isinstance(data, Table):
                hdus.append(data.to_hdu())
            else:
                hdus.append((fits.ImageHDU if number else fits.PrimaryHDU)(data, cards.copy()))
        return hdus

    def _list_hdus(self) -> Iterator[tuple[FrozenHeader, NDArray[Any] | Table | None]]:
        """Yield the HDUs of the file: cards without those of the layout, and data; the cards of tables are theirs."""
        primary = None if self.empty_primary else next(iter(self.planes), None)
        yield (
            without_cards(self.header, is_structural),
            None if primary is None else _as_stored(self.planes[primary].data),
        )
        shape = self._first_shape()
        for name, extension in self.extensions.items():
            if isinstance(extension, Table):
                yield extension.cards, extension
            elif name != primary:
                yield _extension_cards(name, extension, self.header, shape), _as_stored(extension.data)

    def _write_to(self, stream: Any) -> None:
        """Write the content of a file."""
        hdus = list(self._list_hdus())
        parts = encode_images([(cards, data) for cards, data in hdus if not isinstance(data, Table)])
        if parts is None or self.tables:
            self.to_hdus().writeto(stream)
            return
        for part in parts:
            stream.write(part)

    def _unit_of(self, name: str) -> str:
        existing = self.extensions.get(name)
        return existing.unit if isinstance(existing, Plane) else ""

    def _first_shape(self) -> tuple[int, ...]:
        return next((plane.shape for plane in self.planes.values()), ())


def write_atomically(path: Path, fill: Any) -> None:
    """Write a file under a temporary name in the same folder and rename it when complete.

    Parameters
    ----------
    path : Path
        Final name.
    fill : callable
        Called with the open binary stream.

    Raises
    ------
    OSError
        As the file system says (no space, no permission); nothing is left behind then.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with temporary.open("wb") as stream:
            fill(stream)
        rename_patiently(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def rename_patiently(source: Path, target: Path) -> None:
    """Rename a file over another, or a folder; try again if some other program holds it for a moment (Windows)."""
    for pause in _PATIENCE:
        try:
            source.replace(target)
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(pause)
        else:
            return
    source.replace(target)


def _as_plane_array(data: ArrayLike) -> NDArray[Any]:
    array = np.asarray(data)
    if array.dtype.name not in _STORABLE:
        raise InputError(f"A plane must be an array of numbers that FITS can hold, not of {array.dtype.name}.")
    if array.dtype == np.int8:  # FITS bytes have no sign
        array = array.astype(np.int16)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    return _read_only(array)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _wrap(line: str) -> list[str]:
    if len(line) <= _HISTORY_WIDTH:
        return [line]
    import textwrap

    return textwrap.wrap(line, _HISTORY_WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _printable(line: str) -> str:
    if line.isascii() and line.isprintable():
        return line
    return re.sub(r"[^ -~]", "?", line.replace("\n", " "))


def _inheriting(extension: Plane | Table) -> Plane | Table:
    if isinstance(extension, Plane) and not extension.inherits_wcs:
        return replace_fields(extension, inherits_wcs=True)
    return extension


def _same_column(first: Any, second: Any) -> bool:
    first, second = np.asarray(first), np.asarray(second)
    if first.dtype.kind == "O":  # rows of different length
        return len(first) == len(second) and all(map(_same_column, first, second))
    numeric = first.dtype.kind in "fc" and second.dtype.kind in "fc"
    return bool(np.array_equal(first, second, equal_nan=numeric))


def _naming_first(
    header: FrozenHeader, extensions: Mapping[str, Plane | Table], *, empty_primary: bool
) -> FrozenHeader:
    """Return the header with name and unit of the first plane, as it will stand in the file."""
    first = next(((name, e) for name, e in extensions.items() if isinstance(e, Plane)), None)
    if empty_primary or first is None:
        return header
    cards = list(_identity(*first, header))
    if all(keyword in header and header[keyword] == value for keyword, value, _ in cards):
        return header
    changed = header.copy()
    for keyword, value, comment in cards:
        changed[keyword] = (value, changed.comments[keyword] if keyword in changed else comment)
    return seal(changed)


def _identity(name: str, plane: Plane, header: fits.Header) -> Iterator[Card]:
    """Yield name and unit of a plane as far as they differ from what a header says."""
    recorded = str(header.get("EXTNAME", ""))
    if not _means(recorded, name):
        yield "EXTNAME", name, "extension name"
    if str(header.get("BUNIT", "")).strip() != plane.unit:
        yield "BUNIT", plane.unit, "Data units"


def _means(recorded: str, name: str) -> bool:
    """Tell whether a plane gets its name when an extension is read whose EXTNAME is that."""
    if not recorded:
        return bool(_NAMELESS.match(name))
    return re.fullmatch(re.escape(recorded.strip().upper()) + r"(#\d+)?", name) is not None


_NAMELESS = re.compile(r"(PRIMARY|EXTENSION\d+)(#\d+)?$")


def _extension_cards(name: str, plane: Plane, header: FrozenHeader, shape: tuple[int, ...]) -> FrozenHeader:
    """Cards of a plane as an extension, without those of its layout."""
    cards = without_cards(plane.cards, is_structural)
    if plane.inherits_wcs and plane.shape[-2:] == shape[-2:]:
        cards = add_cards(without_cards(cards, is_wcs), wcs_cards(header))
    return add_cards(cards, _identity(name, plane, cards))


def _as_stored(data: NDArray[Any]) -> NDArray[Any]:
    return data.astype(np.uint8) if data.dtype == np.bool_ else data


def _read_extensions(cls: type[Product], path: Path) -> Product:
    try:
        with quiet_fits("truncated", "Error validating header"), _open_fits(path) as hdus:
            extensions = dict(_named_extensions(hdus))
            return cls(freeze(hdus[0].header), MappingProxyType(extensions), empty_primary=hdus[0].data is None)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; name the FITS files in it.") from None
    except PermissionError:
        raise InputError(f"{path} cannot be read: permission denied.") from None
    except _DAMAGED as error:
        raise InputError(f"{path} cannot be read: {_why_unreadable(path, error)}") from error


@contextmanager
def _open_fits(path: Path) -> Iterator[Any]:
    if path.stat().st_size == 0:
        raise InputError(f"{path} cannot be read: the file is empty.")
    with path.open("rb") as stream:
        packed = stream.read(2) == _GZIP
        stream.seek(0)
        # a packed file is read at once: that it was cut short may show at its very end only
        source = io.BytesIO(gzip.decompress(stream.read())) if packed else stream
        with fits.open(source, memmap=False, lazy_load_hdus=False) as hdus:
            yield hdus


def _why_unreadable(path: Path, error: Exception) -> str:
    text = " ".join(str(error).split())
    with path.open("rb") as stream:
        start = stream.read(10)
    if start[:2] != _GZIP and not start.startswith(b"SIMPLE"):
        return "it is not a FITS file."
    if any(
        word in text.lower()
        for word in ("truncat", "buffer", "end-of-stream", "mmap", "reshape", "size", "missing end card")
    ) or isinstance(error, EOFError):
        return "it is truncated; fetch it again from the archive."
    return f"it is damaged ({text or type(error).__name__})."


def _named_extensions(hdus: fits.HDUList) -> Iterator[tuple[str, Plane | Table]]:
    taken: set[str] = set()
    for index, hdu in enumerate(hdus):
        if index == 0 and hdu.data is None:
            continue
        name = _unique(hdu.name or ("PRIMARY" if index == 0 else f"EXTENSION{index}"), taken)
        if isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
            yield name, _read_table(hdu)
        else:
            yield name, _read_plane(hdu, primary=index == 0)


def _unique(name: str, taken: set[str]) -> str:
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name}#{number}"
    taken.add(unique)
    return unique


def _read_table(hdu: Any) -> Table:
    count = hdu.header.get("TFIELDS", 0)
    if not isinstance(count, int) or not 0 <= count <= _MOST_COLUMNS:
        raise ValueError(f"TFIELDS is {count}, and a table has at most {_MOST_COLUMNS} columns")
    rows = hdu.data  # reading them may change the header
    return Table(rows, freeze(hdu.header))


def _read_plane(hdu: Any, *, primary: bool) -> Plane:
    header = hdu.header
    data = hdu.data if hdu.data is not None else np.zeros(0, dtype=np.float32)
    unit = str(header.get("BUNIT", "")).strip()
    if primary:
        return Plane(_as_plane_array(data), unit)
    return Plane(_as_plane_array(data), unit, freeze(header), inherits_wcs=False)
