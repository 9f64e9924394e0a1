"""Cubes, maps, cuts and their tables as files."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_engine.header.cards import is_structural
from sofia_engine.product import write_atomically
from sofia_viewers.cube.cube import Cube
from sofia_viewers.cube.entries import MapImage, as_float32, map_header
from sofia_viewers.cube.position_velocity import PathCut
from sofia_viewers.cube.samples import find_block_length
from sofia_viewers.export import write_table

__all__ = ["make_cut_table", "make_map_table", "save_contours", "save_cube", "save_cut", "save_maps", "save_table"]

FloatArray = NDArray[np.float64]

_FITS_BLOCK = 2880


def save_maps(path: str | Path, cube: Cube, maps: Mapping[str, MapImage]) -> Path:
    """Write maps, each followed by its error, as extensions of a FITS file.

    Raises
    ------
    InputError
        If there is none, or the file cannot be written.
    """
    if not maps:
        raise InputError("There is no map to save: compute one first.")
    hdus = fits.HDUList([fits.PrimaryHDU(header=_clean(cube.header))])
    for made in maps.values():
        header = _clean(map_header(cube))
        header["BUNIT"] = made.unit
        for keyword, value in made.notes.items():
            header[keyword] = value
        hdus.append(fits.ImageHDU(as_float32(made.values), header, _plain(made.name)))
        if made.error is not None:
            hdus.append(fits.ImageHDU(as_float32(made.error), header, f"{_plain(made.name)} ERROR"))
    return _write(path, hdus.writeto)


def save_contours(path: str | Path, lines: Sequence[tuple[float, FloatArray]], wcs: Any, unit: str = "") -> Path:
    """Write contours: as JSON with their levels, or as DS9 reads them (``.con``, positions alone).

    Parameters
    ----------
    path : str or Path
        The file.
    lines : sequence of (float, ndarray)
        Level and (n, 2) points of each, pixels from 0.
    wcs : WCS or None
        Celestial coordinates; without them points are in pixels from 1.
    unit : str
        Unit of the levels.

    Raises
    ------
    InputError
        If there is none, or the file cannot be written.
    """
    if not lines:
        raise InputError("There are no contours between the limits of this image: change them, or the levels.")
    shown = [
        (level, points + 1.0 if wcs is None else np.asarray(wcs.wcs_pix2world(points, 0))) for level, points in lines
    ]
    if Path(path).suffix.lower() == ".json":
        axes = ["x", "y"] if wcs is None else [str(kind).partition("-")[0] for kind in list(wcs.wcs.ctype)[:2]]
        plain = {"unit": unit, "axes": axes, "contours": [
            {"level": float(level), "points": np.round(points, 8).tolist()} for level, points in shown
        ]}  # fmt: skip
        text = json.dumps(plain, indent=1)
    else:
        text = "\n".join("".join(f"{x:.8f} {y:.8f}\n" for x, y in points) for _, points in shown)
    return _write(path, lambda stream: stream.write(text.encode()))


def save_cut(path: str | Path, cut: PathCut, header: fits.Header | None = None) -> Path:
    """Write a cut as an image with linear axes, with a table of its positions on the sky.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    hdus = fits.HDUList([fits.PrimaryHDU(header=_clean(header) if header is not None else None)])
    axes = fits.Header()
    step = float(np.mean(np.diff(cut.wave))) if len(cut.wave) > 1 else 1.0
    spacing = float(cut.offset[1] - cut.offset[0]) if len(cut.offset) > 1 else 1.0
    for keyword, value in (
        ("CTYPE1", "OFFSET"), ("CRPIX1", 1.0), ("CRVAL1", float(cut.offset[0])), ("CDELT1", spacing),
        ("CUNIT1", cut.offset_unit), ("CTYPE2", "WAVE"), ("CRPIX2", 1.0), ("CRVAL2", float(cut.wave[0])),
        ("CDELT2", step), ("CUNIT2", cut.wave_unit), ("BUNIT", cut.unit),
    ):  # fmt: skip
        axes[keyword] = value
    hdus.append(fits.ImageHDU(as_float32(cut.values), axes, "CUT"))
    if cut.error is not None:
        hdus.append(fits.ImageHDU(as_float32(cut.error), axes, "CUT ERROR"))
    hdus.append(fits.ImageHDU(cut.wave, name="WAVELENGTH"))
    columns = [fits.Column("OFFSET", "D", cut.offset_unit, array=cut.offset)]
    if cut.sky is not None:
        columns += [fits.Column(n, "D", "deg", array=cut.sky[:, i]) for i, n in enumerate(("LON", "LAT"))]
    hdus.append(fits.BinTableHDU.from_columns(columns, name="PATH"))
    return _write(path, hdus.writeto)


def save_cube(path: str | Path, cube: Cube) -> Path:
    """Write a cube with all its planes and curves, block by block: it is never in memory as a whole.

    Raises
    ------
    InputError
        If the file cannot be written.
    """

    def fill(stream: Any) -> None:
        primary = fits.PrimaryHDU(header=_clean(cube.header)).header
        primary["EXTEND"] = True
        stream.write(primary.tostring().encode("ascii"))
        for name in cube.planes:
            _stream_plane(stream, cube, name)
        curves = {"WAVELENGTH": (cube.wave, cube.wave_unit)}
        curves |= {name: (curve.values, curve.unit) for name, curve in cube.curves.items()}
        for name, (values, unit) in curves.items():
            hdu = fits.ImageHDU(np.asarray(values, dtype=np.float64), name=name)
            hdu.header["BUNIT"] = unit
            _stream_array(stream, hdu.header, [np.asarray(values, dtype=">f8")])

    return _write(path, fill)


def _stream_plane(stream: Any, cube: Cube, name: str) -> None:
    plane, samples = cube.planes[name], cube.samples(name)
    header = fits.Header([("XTENSION", "IMAGE"), ("BITPIX", -32), ("NAXIS", 3)])
    for axis, length in enumerate(samples.shape[::-1], start=1):
        header[f"NAXIS{axis}"] = length
    header["PCOUNT"], header["GCOUNT"] = 0, 1
    header.extend(_clean(plane.header).cards, update=True)
    header["EXTNAME"], header["BUNIT"] = name, plane.unit
    length = find_block_length(4 * samples.shape[1] * samples.shape[2])

    def blocks() -> Iterable[Any]:
        for first in range(0, samples.shape[0], length):
            yield samples[first : first + length].astype(">f4")
            samples.release()

    _stream_array(stream, header, blocks())


def _stream_array(stream: Any, header: fits.Header, blocks: Iterable[Any]) -> None:
    stream.write(header.tostring().encode("ascii"))
    total = 0
    for block in blocks:
        stream.write(block.tobytes())
        total += block.nbytes
    stream.write(b"\0" * (-total % _FITS_BLOCK))


def _clean(header: fits.Header) -> fits.Header:
    """Return a header without the cards that describe how it is stored."""
    cleaned = header.copy(strip=True)
    for keyword in [k for k in cleaned if k and is_structural(k)]:
        del cleaned[keyword]
    for keyword in ("BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM", "EXTNAME"):
        cleaned.remove(keyword, ignore_missing=True, remove_all=True)
    return cleaned


def make_map_table(cube: Cube, maps: Mapping[str, MapImage]) -> Any:
    """Return maps as a table: a row for each pixel that has a value in any of them."""
    from astropy.table import Table

    known = np.any([np.isfinite(made.values) for made in maps.values()], axis=0)
    rows, columns = np.nonzero(known)
    table = Table({"x": columns + 1, "y": rows + 1})
    if cube.wcs is not None:
        sky = cube.wcs.wcs_pix2world(np.column_stack([columns, rows]), 0)
        table["lon"], table["lat"] = sky[:, 0], sky[:, 1]
        table["lon"].unit = table["lat"].unit = "deg"
    for made in maps.values():
        name = made.name.lower().replace(" ", "_")
        table[name] = np.asarray(made.values)[known]
        if made.error is not None:
            table[f"{name}_error"] = np.asarray(made.error)[known]
        for column in (name, f"{name}_error"):
            if column in table.colnames:
                table[column].unit = _find_unit(made.unit)
        table.meta[name] = made.unit
    table.meta["cube"] = cube.name
    return table


def _find_unit(text: str) -> Any:
    """Return a unit as astropy knows it; None for those it does not know."""
    from astropy import units as u

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return u.Unit(text) if text else None
    except (ValueError, TypeError):
        return None


def make_cut_table(cut: PathCut) -> Any:
    """Return a cut as a table: a row for each position and wavelength."""
    from astropy.table import Table

    wave, offset = np.meshgrid(cut.wave, cut.offset, indexing="ij")
    table = Table({"offset": offset.ravel(), "wavelength": wave.ravel(), "value": cut.values.ravel()})
    if cut.error is not None:
        table["error"] = cut.error.ravel()
    table.meta["units"] = {"offset": cut.offset_unit, "wavelength": cut.wave_unit, "value": cut.unit}
    return table


def save_table(path: str | Path, table: Any) -> Path:
    """Write a table as ECSV, CSV or VOTable, by the suffix."""
    return write_table(table, path)


def _plain(text: str) -> str:
    """Return a name in capitals and in the characters that FITS headers can hold."""
    return text.replace("–", "-").replace("μ", "u").encode("ascii", "replace").decode().upper()


def _write(path: str | Path, fill: Any) -> Path:
    target = Path(path)
    try:
        write_atomically(target, fill)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}.") from error
    return target
