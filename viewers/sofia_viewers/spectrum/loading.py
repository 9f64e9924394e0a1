"""From files and products to spectra: all layouts of SOFIA, generic FITS, tables and text."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_engine.product import Plane, Product, Table
from sofia_viewers.spectrum.columns import Column, make_spectrum
from sofia_viewers.spectrum.cubes import take_sum_and_peak
from sofia_viewers.spectrum.damage import describe_dropped, drop_unreadable_cards
from sofia_viewers.spectrum.foreign import read_foreign_file
from sofia_viewers.spectrum.recognition import is_of_sofia, is_plain
from sofia_viewers.spectrum.spectrum import Spectrum, SpectrumFile
from sofia_viewers.spectrum.text import read_text_columns

__all__ = ["SPECTRUM_FILTER", "make_spectrum_file", "read_spectrum_file"]

SPECTRUM_FILTER = (
    "Spectra (*.fits *.fits.gz *.fit *.ecsv *.csv *.txt *.dat *.asc *.tbl *.vot *.xml *.asdf);;All files (*)"
)

_FITS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz")
_ASTROPY_TABLES = {".vot": "votable", ".xml": "votable", ".ecsv": "ascii.ecsv"}
_ORDER = re.compile(r"^(?P<name>.+?)_ORDER_(?P<order>\d+)$", re.IGNORECASE)
_SPECTRAL = (
    "WAVEPOS",
    "SPECTRAL_FLUX",
    "SPECTRAL_ERROR",
    "TRANSMISSION",
    "RESPONSE",
    "RESPONSE_ERROR",
    "STANDARD_MODEL",
)
_PROFILES = ("SLITPOS", "SPATIAL_PROFILE")
_MOST_ROWS = 6
_BESIDE_PIXEL = re.compile(r"\s*/\s*pix\w*$", re.IGNORECASE)
_MOST_NUMBER = 1e6
"""No order or aperture has such a number."""
_FIFI_NAMES = {
    "FLUX": "spectral_flux", "STDDEV": "spectral_error", "ERROR": "spectral_error", "LAMBDA": "wavepos",
    "ATRAN": "transmission", "UNCORRECTED_FLUX": "uncorrected_flux", "UNCORRECTED_STDDEV": "uncorrected_error",
    "RESPONSE": "response", "RELATIVE_RESPONSE_ERROR": "response_error",
}  # fmt: skip

Array = NDArray[Any]


def read_spectrum_file(path: str | Path) -> SpectrumFile:
    """Read the spectra of a file.

    Parameters
    ----------
    path : path
        FITS (any layout of SOFIA, FITS tables, one-dimensional and row images, cubes), ECSV, CSV, VOTable, text, and
        whatever specutils reads: it is asked where we cannot read a file, or would have to guess what is in it.

    Returns
    -------
    SpectrumFile
        Its key is the absolute path.

    Raises
    ------
    InputError
        If the file does not exist, cannot be read, or holds no spectrum.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(f"{source} does not exist, or is no file.")
    key, suffixes = str(source.absolute()), "".join(source.suffixes[-2:]).lower()
    product: Product | None = None
    dropped: tuple[str, ...] = ()
    try:
        if suffixes.endswith(_FITS) or _begins_as_fits(source):
            product, dropped = drop_unreadable_cards(Product.read(source, layout="extensions"))
        found = make_spectrum_file(product, key, source.name) if product is not None else _read_table(source, key)
    except InputError:
        ours = _begins_as_fits(source) if product is None else is_of_sofia(product)  # damaged, or known to be of SOFIA
        foreign = None if ours else read_foreign_file(source, key)
        if foreign is None:
            raise
        found = foreign
    else:
        if product is not None and not is_plain(product):
            found = read_foreign_file(source, key) or found
    spectra = tuple(_in_microns(spectrum) for spectrum in found.spectra)
    notes = (*found.notes, *describe_dropped(source.name, dropped), *_note_missing(source.name, spectra))
    return SpectrumFile(key, source.name, spectra, found.header, source, found.pixel_area, notes)


def make_spectrum_file(product: Product, key: str, name: str = "") -> SpectrumFile:
    """Take the spectra of a product.

    Parameters
    ----------
    product : Product
        Any product; old layouts are recognised.
    key : str
        Identity of the file in a session.
    name : str
        What users read; FILENAME by default.

    Raises
    ------
    InputError
        If the product holds no spectrum.
    """
    from sofia_engine.layouts import unpack

    unpacked = unpack(product)
    readers: tuple[Callable[[Product], list[Spectrum]], ...] = (
        _take_extensions, _take_fifi, _take_tables, _take_rows, _take_cube, _take_photometry,
    )  # fmt: skip
    for reader in readers:
        with np.errstate(invalid="ignore"):  # of a damaged file, NaN may be such as raise warnings when they are copied
            spectra = [_in_microns(spectrum) for spectrum in reader(unpacked) if len(spectrum)]
        if spectra:
            header = dict(unpacked.header)
            return SpectrumFile(
                key, name or unpacked.name, tuple(spectra), header, None, _find_pixel_area(header), _note(reader)
            )
    raise InputError(
        f"{name or unpacked.name} holds no spectrum: there is no extension SPECTRAL_FLUX, no table with fluxes, and no "
        "one-dimensional data; open it in the image viewer, or choose another file."
    )


def _note_missing(name: str, spectra: Sequence[Spectrum]) -> tuple[str, ...]:
    """What to say of a file in which nothing can be drawn."""
    fluxes = [spectrum["spectral_flux"] for spectrum in spectra if "spectral_flux" in spectrum.fields]
    if fluxes and not any(np.isfinite(flux).any() for flux in fluxes):
        return (f"{name} has no fluxes: all of them are missing (NaN).",)
    return ()


def _note(reader: Callable[[Product], list[Spectrum]]) -> tuple[str, ...]:
    if reader is _take_cube:
        return ("Cube: aperture 1 is the sum over the field, aperture 2 the brightest pixel.",)
    if reader is _take_photometry:
        return ("Image: one point, the flux of the source in its header.",)
    return ()


# -- layouts of SOFIA ------------------------------------------------------------------------------------------------


def _take_extensions(product: Product) -> list[Spectrum]:
    """Named planes, of one order or, with a suffix _ORDER_nn, of several; not what accompanies a cube."""
    if "SPECTRAL_FLUX" not in product.planes and any(plane.data.ndim == 3 for plane in product.planes.values()):
        return []
    orders = _group_orders(product)
    spectra: list[Spectrum] = []
    for order, planes in sorted(orders.items()):
        spectra += _split_apertures(planes, order, product, stacked=len(orders) == 1)
    return spectra


def _group_orders(product: Product) -> dict[int, dict[str, Plane]]:
    orders: dict[int, dict[str, Plane]] = {}
    shared: dict[str, Plane] = {}
    for name, plane in product.planes.items():
        found = _ORDER.match(name)
        plain = (found["name"] if found else name).upper()
        if plain not in (*_SPECTRAL, *_PROFILES, "FLUX", "ERROR", "BADMASK"):
            continue
        if found:
            orders.setdefault(int(found["order"]), {})[plain] = plane
        else:
            shared[plain] = plane
    if orders:
        return {number: _as_spectral(planes) for number, planes in orders.items()}
    return {1: _as_spectral(shared)}


def _as_spectral(planes: dict[str, Plane]) -> dict[str, Plane]:
    """Take one-dimensional FLUX and ERROR as spectra where there is no SPECTRAL_FLUX."""
    spectral = {name: plane for name, plane in planes.items() if name in (*_SPECTRAL, *_PROFILES)}
    for plain, name in (("FLUX", "SPECTRAL_FLUX"), ("ERROR", "SPECTRAL_ERROR"), ("BADMASK", "BADMASK")):
        plane = planes.get(plain)
        if plane is not None and name not in spectral and "WAVEPOS" in planes and plane.data.ndim == 1:
            spectral[name] = plane
    return spectral


def _split_apertures(planes: dict[str, Plane], order: int, product: Product, *, stacked: bool) -> list[Spectrum]:
    """Take rows apart: apertures, or (`stacked`) orders as NORDERS says, each with its apertures."""
    wave = planes.get("WAVEPOS")
    values = [plane for name, plane in planes.items() if name in _SPECTRAL[1:]]
    if not values or (wave is None and "SPECTRAL_FLUX" not in planes):
        return []
    length = (wave or values[0]).shape[-1]
    if length == 0:
        return []
    rows = max((plane.data.size // length for plane in values if plane.shape[-1] == length), default=0)
    several_orders = int(_number(product.header.get("NORDERS"), 1)) if stacked else 1
    n_apertures = _count_apertures(product, rows, several_orders)
    spectra = []
    for row in range(rows):
        fields = {
            name.lower(): np.asarray(plane.data, dtype=float).reshape(-1, length)[
                row if plane.data.size > length else 0
            ]
            for name, plane in planes.items()
            if plane.shape[-1] == length and plane.data.size in (length, rows * length) and name not in _PROFILES
        }
        fields |= _profile_of(planes, row)
        place = (order, row + 1) if several_orders == 1 else divmod(row, n_apertures)
        number, aperture = place if several_orders == 1 else (place[0] + 1, place[1] + 1)
        spectra.append(_trim(Spectrum(fields, _units_of(planes, product.header), number, aperture)))
    return spectra


def _count_apertures(product: Product, rows: int, orders: int) -> int:
    if orders > 1 and rows % orders == 0:
        return rows // orders
    stated = int(_number(product.header.get("NAPS"), 0))
    if stated > 0 and rows % stated == 0:
        return stated
    listed = len([part for part in str(product.header.get("APPOSO01", "")).split(",") if part.strip()])
    return listed if listed and rows % listed == 0 else max(1, rows)


def _profile_of(planes: dict[str, Plane], row: int) -> dict[str, Array]:
    """Return slit position and spatial profile: fields of another length than the spectrum."""
    if not all(name in planes for name in _PROFILES):
        return {}
    length = planes["SLITPOS"].shape[-1]
    taken = {}
    for name in _PROFILES:
        stack = np.asarray(planes[name].data, dtype=float)
        if stack.shape[-1] != length:
            return {}
        stack = stack.reshape(-1, length)
        taken[name.lower()] = stack[min(row, len(stack) - 1)]
    return taken


def _units_of(planes: Mapping[str, Plane], header: Mapping[str, Any]) -> dict[str, str]:
    units = {name.lower(): plane.unit.strip() for name, plane in planes.items()}
    if "response" in units and not units["response"] and "spectral_flux" in units:
        raw, flux = str(header.get("RAWUNITS", "")).strip(), units["spectral_flux"]
        units["response"] = f"{raw}/{flux}" if raw and raw != flux else ("" if raw else "Me / s / Jy")
    return units


def _trim(spectrum: Spectrum) -> Spectrum:
    """Leave out the padding at the end of orders: pixels without wavelength."""
    wave = spectrum.wave
    if wave is None or not np.isnan(wave).any():
        return spectrum
    known = np.flatnonzero(np.isfinite(wave))
    last = int(known[-1]) + 1 if known.size else 0
    fields = {name: values[:last] if len(values) == len(wave) else values for name, values in spectrum.fields.items()}
    return Spectrum(fields, spectrum.units, spectrum.order, spectrum.aperture)


def _take_fifi(product: Product) -> list[Spectrum]:
    """Spaxels of FIFI-LS before resampling, each as an aperture."""
    if "LAMBDA" not in product.planes or "FLUX" not in product.planes:
        return []
    wave = np.atleast_2d(product["LAMBDA"])
    flux = product["FLUX"]
    if flux.shape[-2:] != wave.shape[-2:]:
        return []
    units = {name: product.plane(plane).unit for plane, name in _FIFI_NAMES.items() if plane in product.planes}
    spectra = []
    for aperture in range(wave.shape[-1]):
        fields = {}
        for plane, name in _FIFI_NAMES.items():
            if plane in product.planes and product[plane].shape[-2:] == wave.shape[-2:]:
                stack = product[plane][..., aperture].astype(float)
                fields[name] = stack if stack.ndim == 1 else _mean(stack.reshape(-1, stack.shape[-1]), 0)
        spectra.append(Spectrum(fields, units, 1, aperture + 1))
    return spectra


def _take_cube(product: Product) -> list[Spectrum]:
    """Cubes: the sum over the field and the brightest pixel."""
    cube = next((plane for plane in product.planes.values() if plane.data.ndim == 3), None)
    if cube is None:
        return []
    wave = _find_cube_axis(product, len(cube.data))
    if wave is None:
        return []
    data = cube.data.astype(float)
    pair = take_sum_and_peak(data, _cube_error(product, cube))
    unit = re.sub(r"\s*/\s*pix(el)?\b", "", cube.unit)
    units = {"wavepos": wave[1], "spectral_flux": unit, "spectral_error": unit}
    extra = {
        name.lower(): plane.data.astype(float)
        for name, plane in product.planes.items()
        if name in ("TRANSMISSION", "RESPONSE") and plane.shape == (len(data),)
    }
    units |= {name: product.plane(name.upper()).unit for name in extra}
    spectra = []
    for aperture, (flux, spread) in enumerate(pair, start=1):
        fields = {"wavepos": wave[0], "spectral_flux": flux, "spectral_error": spread, **extra}
        spectra.append(Spectrum(fields, units, 1, aperture))
    return spectra


def _cube_error(product: Product, cube: Plane) -> Array:
    for name in ("ERROR", "STDDEV"):
        if name in product.planes and product[name].shape == cube.shape:
            return product[name].astype(float)
    return np.full(cube.shape, np.nan)


def _mean(stack: Array, axis: int) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(stack, axis=axis))


def _find_cube_axis(product: Product, count: int) -> tuple[Array, str] | None:
    for name in ("WAVELENGTH", "WAVEPOS", "WAVE"):
        if name in product.planes and product[name].shape == (count,):
            return product[name].astype(float), product.plane(name).unit or "um"
        if name in product.tables and len(product.tables[name].data) == count:
            first = next(iter(_table_columns(product.tables[name])), None)
            return None if first is None else (first.values, "um")
    return _linear_axis(product.header, 3, count)


def _linear_axis(header: Mapping[str, Any], axis: int, count: int) -> tuple[Array, str] | None:
    start = _number(header.get(f"CRVAL{axis}"), math.nan)
    step = _number(header.get(f"CDELT{axis}", header.get(f"CD{axis}_{axis}")), math.nan)
    if not math.isfinite(start + step) or _is_on_sky(header, axis):
        return None
    with np.errstate(over="ignore"):
        values = start + (np.arange(count) + 1 - _number(header.get(f"CRPIX{axis}"), 1.0)) * step
    if "LOG" in str(header.get(f"CTYPE{axis}", "")).upper() and int(_number(header.get("DC-FLAG"), 0)) == 1:
        with np.errstate(over="ignore"):
            values = 10.0**values
    unit = str(header.get(f"CUNIT{axis}", header.get("XUNITS", header.get("XUNIT", "")))).strip()
    if unit == "m":
        return values * 1e6, "um"
    return values, unit or "um"


def _take_photometry(product: Product) -> list[Spectrum]:
    """One point of a spectral energy distribution: the flux of the source that photometry wrote into the header."""
    header = product.header
    wave = next((v for v in (_number(header.get(k), -1.0) for k in ("LAMREF", "WAVECENT", "LAMMEAN")) if v > 0), None)
    key = next((k for k in ("SRCFLUX", "STAPFLX", "STPFLUX") if _number(header.get(k), 0.0)), None)
    if wave is None or key is None:
        return []
    error_key = next((k for k in ("SRCFLUXE", "STAPFLXE", "STPFLXE") if _number(header.get(k), 0.0)), "")
    unit, scale = _find_photometry_unit(header, key)
    values = {
        "wavepos": wave,
        "spectral_flux": scale * _number(header[key], math.nan),
        "spectral_error": scale * _number(header.get(error_key), math.nan),
    }
    fields = {name: np.array([value]) for name, value in values.items()}
    return [Spectrum(fields, {"wavepos": "um", "spectral_flux": unit, "spectral_error": unit})]


def _find_photometry_unit(header: Any, key: str) -> tuple[str, float]:
    """Return the unit of a flux in a header, and what to multiply it with.

    Fluxes of standards stay in the unit of the instrument, which their comment names, when the image is calibrated; the
    calibration factor makes them Jy.
    """
    units = [re.search(r"\(([^()]+)\)\s*$", header.comments[k]) for k in (key, "CALFCTR") if k in header]
    own = units[0].group(1) if units[0] else _BESIDE_PIXEL.sub("", str(header.get("BUNIT", "Jy"))).strip() or "Jy"
    factor = _number(header.get("CALFCTR"), 0.0)
    if factor > 0 and units[-1] and units[-1].group(1) == f"{own}/Jy":
        return "Jy", 1.0 / factor
    return own, 1.0


# -- generic FITS ----------------------------------------------------------------------------------------------------


def _take_tables(product: Product) -> list[Spectrum]:
    spectra: list[Spectrum] = []
    if any(plane.data.ndim > 1 for plane in product.planes.values()):
        return spectra
    for order, (name, table) in enumerate(product.tables.items(), start=1):
        columns = list(_table_columns(table))
        if not columns:
            continue
        try:
            spectrum = make_spectrum(columns, f"The table {name} of {product.name}", ("um", "Jy"))
        except InputError:
            continue
        if any(column.name for column in columns) and "wavepos" in spectrum:
            spectra.append(Spectrum(spectrum.fields, spectrum.units, order, 1))
    return spectra


def _table_columns(table: Table) -> Iterable[Column]:
    """Yield columns of numbers: one in each row, or all in a single row; rows of arrays are more than one spectrum."""
    if len(table.data) > 1 and any(table.data[column.name].ndim > 1 for column in table.data.columns):
        return
    for column in table.data.columns:
        values = np.asarray(table.data[column.name])
        if values.dtype.kind not in "fiu":
            continue
        flat = values[0] if values.ndim == 2 and len(values) == 1 else values
        if flat.ndim == 1:
            yield Column(column.name, flat.astype(float), (column.unit or "").strip())


def _take_rows(product: Product) -> list[Spectrum]:
    """Images of one row with a linear axis, and images whose rows are wavelength, flux, error and so on."""
    plane = next(iter(product.planes.values()), None)
    if plane is None or (product.empty_primary and plane.data.ndim != 1):
        return []
    header = {**product.header, **plane.cards}
    array = np.atleast_1d(np.squeeze(plane.data)).astype(float)
    declared = "XUNITS" in header or "XUNIT" in header
    if declared and plane.data.ndim == 2 and len(plane.data) > 1:
        array = plane.data.astype(float)  # one point is a spectrum, too, not a row
    if array.ndim == 1:
        return _take_single_row(product, array, plane.unit, header)
    rows, length = array.shape[-2:]
    if array.ndim > 3 or not 2 <= rows < _MOST_ROWS:
        return []
    if not declared and (length <= _MOST_ROWS or "CTYPE1" in header):
        return []
    wave, flux = _row_units(header)
    names = ("wavepos", "spectral_flux", "spectral_error", "transmission", "response")[:rows]
    units = {"wavepos": wave, "spectral_flux": flux, "spectral_error": flux}
    stack = array.reshape(-1, rows, array.shape[-1])
    return [
        _trim(Spectrum(dict(zip(names, part, strict=True)), units, number if len(stack) > 1 else 1, 1))
        for number, part in enumerate(stack, start=1)
    ]


def _take_single_row(product: Product, flux: Array, unit: str, header: Mapping[str, Any]) -> list[Spectrum]:
    axis = _linear_axis(header, 1, len(flux)) or (np.arange(len(flux), dtype=float), "pixel")
    shown = unit or _row_units(header)[1]
    fields: dict[str, Array] = {"wavepos": axis[0], "spectral_flux": flux}
    for name in ("ERROR", "STDDEV", "UNCERT", "NOISE", "SIGMA"):
        if name in product.planes and product[name].shape == flux.shape:
            fields["spectral_error"] = product[name].astype(float)
    return [Spectrum(fields, {"wavepos": axis[1], "spectral_flux": shown, "spectral_error": shown})]


def _row_units(header: Mapping[str, Any]) -> tuple[str, str]:
    wave = str(header.get("XUNITS", header.get("XUNIT", ""))).strip()
    flux = str(header.get("YUNITS", header.get("YUNIT", header.get("BUNIT", "")))).strip()
    return wave or "um", flux or "Jy"


# -- tables and text -------------------------------------------------------------------------------------------------


def _read_table(path: Path, key: str) -> SpectrumFile:
    text = _read_text(path)
    form = _ASTROPY_TABLES.get(path.suffix.lower())
    if text.startswith("# %ECSV"):
        form = "ascii.ecsv"
    elif text.startswith("\\") and "\n|" in text:
        form = "ascii.ipac"
    if form is None:
        return _make_table_file(read_text_columns(text, path.name), path, key, {})
    return _read_astropy_table(path, key, form)


def _read_astropy_table(path: Path, key: str, form: str) -> SpectrumFile:
    from astropy.table import Table as AstropyTable

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            table = AstropyTable.read(path, format=form)
        except Exception as problem:
            raise InputError(f"{path.name} cannot be read as a table: {str(problem).splitlines()[0]}.") from problem
    columns = [
        Column(name, _as_values(table[name]), str(table[name].unit or ""))
        for name in table.colnames
        if table[name].dtype.kind in "fiu" and table[name].ndim == 1
    ]
    if not columns:
        raise InputError(f"{path.name} has no column of numbers.")
    return _make_table_file(columns, path, key, dict(table.meta))


def _make_table_file(columns: list[Column], path: Path, key: str, meta: dict[str, Any]) -> SpectrumFile:
    """Make spectra of a table; columns of order and aperture, as the viewer itself saves them, split its rows."""
    length = len(columns[0].values)
    numbers = {c.name.lower(): c.values for c in columns if c.name.lower() in ("order", "aperture")}
    others = [c for c in columns if c.name.lower() not in numbers]
    if not others or length == 0:
        reason = "there is no flux in it" if length else "it has no rows"
        raise InputError(f"{path.name} holds no spectrum: {reason}; give columns of wavelength and flux.")
    spectrum = make_spectrum(others, path.name, ("um", "Jy"))
    order, aperture = (_as_numbers(numbers.get(name, np.ones(length))) for name in ("order", "aperture"))
    spectra = []
    for first, second in sorted(set(zip(order.tolist(), aperture.tolist(), strict=True))):
        rows = (order == first) & (aperture == second)
        fields = {name: values[rows] for name, values in spectrum.fields.items()}
        spectra.append(Spectrum(fields, spectrum.units, first, second))
    return SpectrumFile(key, path.name, tuple(spectra), meta)


def _as_numbers(values: Array) -> Array:
    """Return numbers of orders or apertures; 1 where there is none that can be."""
    return np.where((values >= 1) & (values < _MOST_NUMBER), values, 1).astype(int)


def _as_values(column: Any) -> Array:
    values = np.ma.filled(np.ma.asarray(column).astype(float), np.nan)
    return np.asarray(values)


def _read_text(path: Path) -> str:
    content = path.read_bytes()
    if b"\0" in content[:4096]:
        raise InputError(f"{path.name} is neither FITS nor text; save the spectrum as FITS, ECSV, CSV or text.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


# -- small things ----------------------------------------------------------------------------------------------------


def _in_microns(spectrum: Spectrum) -> Spectrum:
    """Return a spectrum over metres or metres per second, as FITS wants it, over micrometres or km/s."""
    factor, unit = {"m": (1e6, "um"), "m/s": (1e-3, "km/s"), "m s-1": (1e-3, "km/s")}.get(
        spectrum.unit("wavepos"), (1.0, "")
    )
    if spectrum.wave is None or not unit:
        return spectrum
    return spectrum.replace({"wavepos": unit}, wavepos=spectrum.wave * factor)


def _begins_as_fits(path: Path) -> bool:
    with path.open("rb") as stream:
        start = stream.read(9)
    return start == b"SIMPLE  =" or start[:2] == b"\x1f\x8b"


def _number(value: Any, default: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return default
    return number if math.isfinite(number) else default


def _is_on_sky(header: Mapping[str, Any], axis: int) -> bool:
    return any(word in str(header.get(f"CTYPE{axis}", "")) for word in ("RA-", "DEC-", "LON", "LAT"))


def _find_pixel_area(header: Mapping[str, Any]) -> float | None:
    """Return the solid angle of a pixel, arcsec2: from the world coordinates of the sky, else the pixel scale."""
    axes = [axis for axis in (1, 2) if _is_on_sky(header, axis)]
    steps = [abs(_number(header.get(f"CDELT{axis}"), 0.0)) * 3600.0 for axis in axes]
    if len(steps) == 2 and all(steps):
        return steps[0] * steps[1]
    scale = _number(header.get("PIXSCAL"), 0.0)
    return scale**2 if scale > 0 else None
