"""Products in a folder of a session: few files, so that storing small ones takes little time.

``products.json`` describes all products of the folder: header, planes, tables. Arrays of up to 64 kB lie one after the
other in ``small.bin``; each larger one has a file of its own in numpy's format, ``0000-01.npy`` for the second plane of
the first product, and each table a FITS file. A large array or a table that a step left as it was is linked, not
written again. (With a file for each array, a reduction of eight small raw files made 650 files, and spent a fifth of
the processor time of its main process on them.)
"""

from __future__ import annotations

import io
import json
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from sofia_engine.fits_images import encode_table
from sofia_engine.header.cards import FrozenHeader, freeze, header_text, seal
from sofia_engine.pipeline.memory_guard import find_map
from sofia_engine.product import Plane, Product, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["StoredParts", "map_products", "read_products", "write_products"]

_DESCRIPTION, _SMALL_ARRAYS = "products.json", "small.bin"
_SMALL = 1 << 16
"""Bytes of arrays that share a file, and are left in memory after they have been stored."""
_ALIGNMENT = 64


class StoredParts:
    """Which files hold the arrays and tables mapped from them: what a step leaves as it is, is not written again."""

    def __init__(self) -> None:
        self._files: dict[int, tuple[weakref.ref[NDArray[Any] | Table], Path]] = {}

    def remember(self, part: NDArray[Any] | Table, path: Path) -> None:
        """Note the file of an array or a table."""
        key = id(part)
        self._files[key] = (weakref.ref(part, lambda _gone: self._files.pop(key, None)), path)

    def link(self, part: NDArray[Any] | Table, path: Path) -> bool:
        """Give the file of a part one more name; False if there is none, or the file system has no links."""
        known, file = self._files.get(id(part), (None, None))
        if file is None or known is None or known() is not part:
            return False
        try:
            os.link(file, path)
        except OSError:
            return False
        return True


def write_products(products: Sequence[Product], folder: Path, stored: StoredParts) -> None:
    """Write products into an empty folder.

    Raises
    ------
    OSError
        As the file system says.
    """
    small = _SmallArrays()
    described = [_write_product(product, folder, f"{n:04d}", small, stored) for n, product in enumerate(products)]
    if small.parts:
        _write_file(folder / _SMALL_ARRAYS, small.parts)
    _write_file(folder / _DESCRIPTION, [json.dumps(described).encode()])


@dataclass
class _SmallArrays:
    """Arrays that share a file, with what lies between them, and the size of all."""

    parts: list[bytes | NDArray[Any]] = field(default_factory=list)
    size: int = 0

    def append(self, array: NDArray[Any]) -> dict[str, Any]:
        """Add an array; return where it is."""
        place = {"start": self.size, "type": array.dtype.str, "shape": array.shape}
        gap = _ALIGNMENT - array.nbytes % _ALIGNMENT
        self.parts += [array, bytes(gap)]
        self.size += array.nbytes + gap
        return place


def _write_product(
    product: Product, folder: Path, name: str, small: _SmallArrays, stored: StoredParts
) -> dict[str, Any]:
    """Write large arrays and tables of a product, gather its small ones, and describe it."""
    planes: list[dict[str, Any]] = []
    for number, (key, extension) in enumerate(product.extensions.items()):
        file = f"{name}-{number:02d}"
        if isinstance(extension, Table):
            _write_table(folder / f"{file}.fits", extension, stored)
            planes.append({"name": key, "file": f"{file}.fits"})
            continue
        place: dict[str, Any]
        if extension.data.nbytes <= _SMALL:
            place = small.append(extension.data)
        else:
            place = {"file": f"{file}.npy"}
            if not stored.link(extension.data, folder / f"{file}.npy"):
                _write_array(folder / f"{file}.npy", extension.data)
        cards: dict[str, Any] = {
            "unit": extension.unit,
            "cards": header_text(extension.cards),
            "inherits": extension.inherits_wcs,
        }
        planes.append({"name": key, **place, **cards})
    return {
        "header": header_text(product.header),
        "planes": planes,
        "empty_primary": product.empty_primary,
        "layout": product.layout,
    }


def _write_table(path: Path, table: Table, stored: StoredParts) -> None:
    if stored.link(table, path):
        return
    parts = encode_table(table.cards, table.data)
    if parts is None:
        table.to_hdu().writeto(path)
    else:
        _write_file(path, parts)


def _write_array(path: Path, array: NDArray[Any]) -> None:
    _write_file(path, [_describe_array(array.shape, array.dtype), array])


def _write_file(path: Path, parts: Sequence[bytes | NDArray[Any]]) -> None:
    with path.open("wb") as stream:
        for part in parts:
            stream.write(part if isinstance(part, bytes) else part.data if part.size else b"")  # planes are C-ordered


@lru_cache(256)
def _describe_array(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """Head of a file in numpy's format."""
    stream = io.BytesIO()
    description = {"shape": shape, "fortran_order": False, "descr": np.lib.format.dtype_to_descr(dtype)}
    np.lib.format.write_array_header_1_0(stream, description)
    return stream.getvalue()


def map_products(
    products: Sequence[Product], folder: Path, stored: StoredParts, *, everything: bool = False
) -> tuple[Product, ...]:
    """Return products that were written just now with their arrays mapped from disk.

    Parameters
    ----------
    products : sequence of Product
        As they were given to `write_products`.
    folder : Path
        Where they are now.
    stored : StoredParts
        Learns what was mapped.
    everything : bool
        Map small arrays and tables too; otherwise they and the headers stay in memory.

    Raises
    ------
    OSError, ValueError
        If files are missing or damaged.
    """
    if everything:
        _, places = _read_description(folder)
    return tuple(
        _map_product(product, folder, f"{n:04d}", stored, places[n] if everything else None)
        for n, product in enumerate(products)
    )


def _map_product(
    product: Product, folder: Path, name: str, stored: StoredParts, small: dict[str, NDArray[Any]] | None
) -> Product:
    mapped: dict[str, Plane | Table] = {}
    for number, (key, extension) in enumerate(product.extensions.items()):
        file = folder / f"{name}-{number:02d}"
        if isinstance(extension, Table):
            mapped[key] = _map_table(file.with_suffix(".fits"), extension, stored, wanted=small is not None)
            continue
        array = extension.data
        if array.nbytes > _SMALL:
            head = len(_describe_array(array.shape, array.dtype))
            array = np.memmap(file.with_suffix(".npy"), array.dtype, "r", head, array.shape)
            stored.remember(array, file.with_suffix(".npy"))
        elif small is not None:
            array = small[key]
        elif not _owns_little(array):
            array = array.copy()  # or else all that it is a view of would stay in memory
            array.flags.writeable = False
        mapped[key] = extension if array is extension.data else replace(extension, data=array)
    return replace(product, extensions=MappingProxyType(mapped))


def _owns_little(array: NDArray[Any]) -> bool:
    """Tell whether an array, and what it is a view of, is small and lies in memory."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return owner.base is None and owner.nbytes <= _SMALL


def _map_table(path: Path, table: Table, stored: StoredParts, *, wanted: bool) -> Table:
    """Return a table with its rows mapped from disk, if that is wanted and possible; remember its file."""
    if wanted and find_map(table.data) is None:
        binary = table.cards.get("XTENSION") == "BINTABLE"
        if binary and not any(set("PQ") & set(str(form)) for form in table.data.columns.formats):
            with fits.open(path, memmap=True) as hdus:
                table = replace(table, data=hdus[1].data)
    stored.remember(table, path)
    return table


def read_products(folder: Path, count: int) -> tuple[Product, ...]:
    """Return the products in a folder; arrays are mapped from disk, not loaded.

    Raises
    ------
    OSError, ValueError, TypeError, KeyError, IndexError, AttributeError
        If files are missing or damaged, or there are not as many products.
    """
    described, small = _read_description(folder)
    if len(described) != count:
        raise ValueError(f"there are {len(described)} products instead of {count}")
    return tuple(_read_product(folder, *parts) for parts in zip(described, small, strict=True))


def _read_description(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, NDArray[Any]]]]:
    """Return what is said of each product, and the small arrays of each by name."""
    described = json.loads((folder / _DESCRIPTION).read_bytes())
    pages: Any = b""
    if any("start" in entry for product in described for entry in product["planes"]):
        pages = np.memmap(folder / _SMALL_ARRAYS, np.uint8, "r")
    arrays = [
        {
            entry["name"]: np.ndarray(tuple(entry["shape"]), np.dtype(entry["type"]), pages, entry["start"])
            for entry in product["planes"]
            if "start" in entry
        }
        for product in described
    ]
    return described, arrays


def _read_product(folder: Path, content: dict[str, Any], small: dict[str, NDArray[Any]]) -> Product:
    extensions: dict[str, Plane | Table] = {}
    for entry in content["planes"]:
        name = entry["name"]
        if "unit" in entry:
            data = small[name] if name in small else _read_array(folder / entry["file"])
            extensions[name] = Plane(data, entry["unit"], _header(entry["cards"]), entry["inherits"])
        else:
            with fits.open(folder / entry["file"], memmap=False) as hdus:
                extensions[name] = Table(hdus[1].data, freeze(hdus[1].header))
    return Product(
        _header(content["header"]), MappingProxyType(extensions), content["empty_primary"], content["layout"]
    )


def _read_array(path: Path) -> NDArray[Any]:
    with path.open("rb") as stream:
        np.lib.format.read_magic(stream)
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        return np.memmap(stream, dtype, "r", stream.tell(), shape)


def _header(text: str) -> FrozenHeader:
    return seal(fits.Header.fromstring(text))
