"""What is known of an image and drawn over it: header marks, sky grid, compass, beam, flags, vectors, catalogues."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_viewers.image.drawing import Drawing, Label, Mark
from sofia_viewers.image.geometry import sky_directions
from sofia_viewers.image.readout import find_sky_frame
from sofia_viewers.image.regions import Region

if TYPE_CHECKING:
    from sofia_viewers.image.frame import Frame, ImageFile

__all__ = [
    "Beam",
    "Catalog",
    "FlagOverlay",
    "PolarizationVectors",
    "ScaleBar",
    "VectorCuts",
    "VectorStyle",
    "choose_scale_bar",
    "draw_catalog",
    "draw_grid",
    "draw_header_marks",
    "draw_vectors",
    "map_flags",
    "read_beam",
    "read_catalog",
    "read_vectors",
]

FloatArray = NDArray[np.float64]

BLUE, CYAN, GREEN, RED = "#3d7eff", "#00c8d7", "#00c853", "#ff5252"

_GRID_STEPS = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 18000, 36000, 108000,
)  # fmt: skip
"""Arcsec in declination; a fifteenth of them are seconds of right ascension."""
_FLAG_COLORS = ("#D55E00", "#56B4E9", "#F0E442", "#CC79A7", "#009E73", "#E69F00", "#0072B2", "#999999")
_MOST_FLAGS = 8


# -- header marks ----------------------------------------------------------------------------------------------------


def draw_header_marks(header: Mapping[str, Any], shape: tuple[int, int]) -> list[Drawing]:
    """Return the marks that the header asks for.

    Parameters
    ----------
    header : mapping
        SRCPOSX/Y (source position), STCENTX/Y, PHOTAPER, PHOTSKAP, STAPFLX, STAPSKY (photometry); APPOSO01, APRADO01,
        PSFRAD01, BGR (apertures of spectral images, in units of the second axis). Pixels from 0.
    shape : (int, int)
        Rows and columns of the image.
    """
    return [*_draw_source(header), *_draw_photometry(header), *_draw_apertures(header, shape)]


def _number(header: Mapping[str, Any], key: str) -> float | None:
    try:
        value = float(header[key])
    except (KeyError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) and value != -9999 else None


def _position(header: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    x, y = _number(header, f"{name}X"), _number(header, f"{name}Y")
    return None if x is None or y is None else (x, y)


def _draw_source(header: Mapping[str, Any]) -> list[Drawing]:
    at = _position(header, "SRCPOS")
    return [] if at is None else [Drawing(BLUE, marks=(Mark(at, "x", 12),), labels=(Label(at, "SRCPOS", (8, -4)),))]


def _draw_photometry(header: Mapping[str, Any]) -> list[Drawing]:
    at = _position(header, "STCENT")
    if at is None:
        return []
    rings = [r for r in [_number(header, "PHOTAPER")] if r]
    rings += [float(r) for r in str(header.get("PHOTSKAP", "")).split(",") if _is_number(r)]
    lines = tuple(Region("circle", (at,), (radius,)).outlines()[0] for radius in rings if radius > 0)
    labels = [Label(at, "STCENT", (8, 12))]
    flux, sky = _number(header, "STAPFLX"), _number(header, "STAPSKY")
    if flux is not None and sky is not None:
        labels.append(Label((at[0], at[1] - 40.0), f"Flux={flux:.2f}, Sky={sky:.2f}", (0, 0), (0.5, 0.5)))
    return [Drawing(CYAN, lines, marks=(Mark(at, "x", 12),), labels=tuple(labels))]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _draw_apertures(header: Mapping[str, Any], shape: tuple[int, int]) -> list[Drawing]:
    centers = _numbers(header, "APPOSO01")
    if not centers:
        return []
    radii, psf = _numbers(header, "APRADO01"), _numbers(header, "PSFRAD01")
    drawings = [_horizontal(header, shape, centers, CYAN)]
    drawings.append(
        _horizontal(header, shape, [c + s * r for c, r in zip(centers, radii, strict=False) for s in (-1, 1)], GREEN)
    )
    drawings.append(
        _horizontal(header, shape, [c + s * r for c, r in zip(centers, psf, strict=False) for s in (-1, 1)], BLUE)
    )
    ranges = str(header.get("BGR", header.get("BGR_O01", "")))
    edges = [float(e) for part in ranges.split(",") for e in part.replace("-", " ").split() if _is_number(e)]
    drawings.append(_horizontal(header, shape, edges, RED))
    return [d for d in drawings if d.lines]


def _numbers(header: Mapping[str, Any], key: str) -> list[float]:
    return [float(p) for p in str(header.get(key, "")).split(",") if _is_number(p)]


def _horizontal(header: Mapping[str, Any], shape: tuple[int, int], positions: Sequence[float], color: str) -> Drawing:
    step = _number(header, "CDELT2") or 1.0
    first = _number(header, "CRVAL2") or 0.0
    pixel = (_number(header, "CRPIX2") or 1.0) - 1.0
    rows = [(p - first) / step + pixel for p in positions]
    return Drawing(color, tuple(np.array([(-0.5, r), (shape[1] - 0.5, r)]) for r in rows))


# -- sky -------------------------------------------------------------------------------------------------------------


def draw_grid(
    wcs: Any, bounds: tuple[float, float, float, float], system: str = "icrs", n_lines: int = 5, color: str = "#7f8c9b"
) -> list[Drawing]:
    """Return lines of equal longitude and latitude with their labels.

    Parameters
    ----------
    wcs : WCS
        Celestial coordinates of the image.
    bounds : (float, float, float, float)
        Pixels x0, x1, y0, y1 between which the grid is wanted.
    system : {"icrs", "fk5", "galactic"}
        Sky coordinates.
    n_lines : int
        About how many lines in each direction.
    color : str
        Colour of lines and labels.
    """
    x, y = np.meshgrid(np.linspace(*bounds[:2], 9), np.linspace(*bounds[2:], 9))
    lon, lat = _to_sky(wcs, x, y, system)
    good = np.isfinite(lon + lat)
    if not good.any():
        return []
    middle = float(lon[good][0])
    offset = (lon[good] - middle + 180.0) % 360.0 - 180.0
    low, high = float(lat[good].min()), float(lat[good].max())
    hours = system != "galactic"
    latitudes = _round_values(low, high, _choose_step((high - low) / n_lines * 3600.0))
    unit = 15.0 if hours else 1.0
    step = _choose_step(float(np.ptp(offset)) / n_lines * 3600.0 / unit) * unit
    longitudes = _round_values(middle + float(offset.min()), middle + float(offset.max()), step)
    span = (low - 0.1 * (high - low), high + 0.1 * (high - low))
    lon_span = (middle + float(offset.min()), middle + float(offset.max()))
    lines: list[FloatArray] = []
    labels: list[Label] = []
    for value in longitudes:
        line = _to_pixels(wcs, np.full(60, value), np.linspace(*span, 60), system)
        lines.append(line)
        labels += _label_line(line, bounds, _format_longitude(value, hours, step), bottom=True)
    for value in latitudes:
        line = _to_pixels(wcs, np.linspace(*lon_span, 60), np.full(60, value), system)
        lines.append(line)
        labels += _label_line(line, bounds, _format_latitude(value), bottom=False)
    return [Drawing(color, tuple(lines), labels=tuple(labels), width=1.0)]


def _choose_step(arcsec: float) -> float:
    return float(next((s for s in _GRID_STEPS if s >= arcsec), _GRID_STEPS[-1]))


def _round_values(low: float, high: float, step_arcsec: float) -> FloatArray:
    step = step_arcsec / 3600.0
    return np.arange(math.ceil(low / step), math.floor(high / step) + 1, dtype=float) * step


def _to_sky(wcs: Any, x: FloatArray, y: FloatArray, system: str) -> tuple[FloatArray, FloatArray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sky = wcs.pixel_to_world(x, y).frame.transform_to(find_sky_frame(system))
    return np.asarray(sky.spherical.lon.deg), np.asarray(sky.spherical.lat.deg)


def _to_pixels(wcs: Any, lon: FloatArray, lat: FloatArray, system: str) -> FloatArray:
    from astropy.coordinates import SkyCoord

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x, y = wcs.world_to_pixel(SkyCoord(lon % 360.0, np.clip(lat, -90, 90), unit="deg", frame=system))
    line: FloatArray = np.column_stack([x, y]).astype(float)
    return line[np.isfinite(line).all(axis=1)]


def _label_line(line: FloatArray, bounds: tuple[float, float, float, float], text: str, *, bottom: bool) -> list[Label]:
    """Put the label where the line enters: at the lower edge for longitudes, at the left for latitudes, if it does."""
    for axis in (1, 0) if bottom else (0, 1):
        at = _find_crossing(line, bounds, axis)
        if at is not None:
            return [Label(at, text, (3.0, -3.0))]
    return []


def _find_crossing(
    line: FloatArray, bounds: tuple[float, float, float, float], axis: int
) -> tuple[float, float] | None:
    """Return where a line crosses the level just above the lower end of an axis, not too near a corner; else None."""
    low, high = bounds[2 * axis : 2 * axis + 2]
    level = low + 0.02 * (high - low)
    order = np.argsort(line[:, axis])
    along, across = line[order, axis], line[order, 1 - axis]
    if len(order) == 0 or not along[0] <= level <= along[-1]:
        return None
    at = float(np.interp(level, along, across))
    first, last = bounds[2 - 2 * axis : 4 - 2 * axis]
    if not first + 0.01 * (last - first) <= at <= last - 0.12 * (last - first):
        return None
    return (level, at) if axis == 0 else (at, level)


def _format_longitude(lon: float, hours: bool, step: float) -> str:
    if not hours:
        return f"{lon % 360.0:.4f}".rstrip("0").rstrip(".") + "°"
    seconds = round(lon % 360.0 * 240.0 * 100) / 100
    decimals = 2 if step / 15.0 < 1 else 0
    whole = f"{seconds % 60:0{5 if decimals else 2}.{decimals}f}"
    return f"{int(seconds // 3600) % 24:02d}h{int(seconds // 60) % 60:02d}m{whole}s"


def _format_latitude(lat: float) -> str:
    tenths = round(abs(lat) * 36000)
    seconds = f"{tenths % 600 / 10:04.1f}".removesuffix(".0")
    return f"{'-' if lat < 0 else '+'}{tenths // 36000:02d}°{tenths // 600 % 60:02d}′{seconds}″"


@dataclass(frozen=True)
class ScaleBar:
    """A bar of round length: pixels of the image, and its label."""

    length: float
    text: str


def choose_scale_bar(pixel_scale: float, longest: float) -> ScaleBar:
    """Return the longest bar of 1, 2 or 5 units (arcsec, arcmin, degrees) that fits.

    Parameters
    ----------
    pixel_scale : float
        Arcsec per pixel.
    longest : float
        Pixels there are.
    """
    for unit, sign in ((3600.0, "°"), (60.0, "′"), (1.0, "″"), (1e-3, " mas")):
        available = longest * pixel_scale / unit
        if available >= 1 or unit < 1:
            decade = 10.0 ** math.floor(math.log10(available))
            value = max(n * decade for n in (1, 2, 5) if n * decade <= available * (1 + 1e-9))
            return ScaleBar(value * unit / pixel_scale, f"{value:g}{sign}")
    raise AssertionError


@dataclass(frozen=True)
class Beam:
    """Resolution of an image: semi-axes in pixels, position angle in degrees counter-clockwise from +x."""

    semi_major: float
    semi_minor: float
    angle: float


def read_beam(frame: Frame) -> Beam | None:
    """Read BMAJ, BMIN (degrees) and BPA (degrees from north to east); None if there is no BMAJ or no sky."""
    header = frame.plane.header if "BMAJ" in frame.plane.header else frame.file.header
    major = _number(header, "BMAJ")
    if major is None or major <= 0 or frame.wcs is None:
        return None
    minor = _number(header, "BMIN") or major
    rows, columns = frame.shape
    east, north = sky_directions(frame.wcs, ((columns - 1) / 2, (rows - 1) / 2))
    turn = math.radians(_number(header, "BPA") or 0.0)
    dx, dy = (n * math.cos(turn) + e * math.sin(turn) for n, e in zip(north, east, strict=True))
    to_pixels = 3600.0 / frame.pixel_scale / 2
    return Beam(major * to_pixels, minor * to_pixels, math.degrees(math.atan2(dy, dx)))


# -- flags -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FlagOverlay:
    """Flagged pixels as an image of categories.

    Parameters
    ----------
    categories : ndarray
        (n_y, n_x) uint8; 0 is not flagged.
    legend : tuple of (str, str, int)
        Name, colour and number of pixels of category 1, 2, ...
    """

    categories: NDArray[np.uint8]
    legend: tuple[tuple[str, str, int], ...]


def map_flags(image: NDArray[Any], mask: NDArray[Any] | None = None, *, good_value: float | None = None) -> FlagOverlay:
    """Sort the pixels of an image into blank ones and those that a mask flags.

    Parameters
    ----------
    image : ndarray
        (n_y, n_x); NaN is blank.
    mask : ndarray, optional
        (n_y, n_x); bits of integer masks are categories; of other masks each value is one.
    good_value : float, optional
        Value of the mask that means good: 0 unless most of the image would be flagged then and 1 is frequent.
    """
    categories = np.zeros(image.shape, dtype=np.uint8)
    legend: list[tuple[str, str, int]] = []

    def add(name: str, where: NDArray[np.bool_]) -> None:
        if where.any() and len(legend) < _MOST_FLAGS:
            legend.append((name, _FLAG_COLORS[len(legend)], int(np.count_nonzero(where))))
            categories[where] = len(legend)

    if image.dtype.kind == "f":
        add("blank", np.isnan(image))
    if mask is not None and mask.shape == image.shape:
        for name, where in _flag_categories(np.asarray(mask), good_value):
            add(name, where)
    return FlagOverlay(categories, tuple(legend))


def _flag_categories(mask: NDArray[Any], good_value: float | None) -> list[tuple[str, NDArray[np.bool_]]]:
    finite = np.nan_to_num(mask, nan=0.0)
    values = np.unique(finite)
    if good_value is None:
        ones = set(values.tolist()) <= {0.0, 1.0} and np.mean(finite == 1) > 0.5
        good_value = 1.0 if ones else 0.0
    if mask.dtype.kind in "iu" and good_value == 0 and values.size > 2:
        bits = [b for b in range(31) if np.any(finite.astype(np.int64) >> b & 1)]
        return [(f"bit {b} ({1 << b})", (finite.astype(np.int64) >> b & 1).astype(bool)) for b in bits]
    return [(f"mask {value:g}", finite == value) for value in values if value != good_value][:_MOST_FLAGS]


# -- polarization ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VectorCuts:
    """Which vectors are shown.

    Parameters
    ----------
    min_p_over_error : float
        Least degree of polarization over its error.
    min_p, max_p : float
        Range of the degree of polarization, per cent.
    min_i_over_error : float
        Least intensity over its error.
    min_i : float
        Least intensity over the largest.
    sampling : int
        Every how-manieth pixel in x and y.
    debiased : bool
        Take the degree of polarization corrected for its positive bias.
    """

    min_p_over_error: float = 3.0
    min_p: float = 0.0
    max_p: float = 50.0
    min_i_over_error: float = 200.0
    min_i: float = 0.0
    sampling: int = 2
    debiased: bool = True

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> VectorCuts:
        """Take the cuts that the pipeline made: CUTPSIGP, CUTMINP, CUTMAXP, CUTISIGI, CUTMINI."""
        keys = {
            "min_p_over_error": "CUTPSIGP",
            "min_p": "CUTMINP",
            "max_p": "CUTMAXP",
            "min_i_over_error": "CUTISIGI",
            "min_i": "CUTMINI",
        }
        found = {name: _number(header, key) for name, key in keys.items()}
        return cls(**{name: value for name, value in found.items() if value is not None})  # type: ignore[arg-type]


@dataclass(frozen=True)
class VectorStyle:
    """How vectors are drawn.

    Parameters
    ----------
    scale : float
        Length on the sky, degrees per per cent of polarization.
    proportional : bool
        Whether the length shows the degree of polarization; else all are as long as 5 per cent.
    field : bool
        Show the direction of the magnetic field (B, turned by 90 degrees) instead of the electric field (E).
    color : str
        Colour.
    """

    scale: float = 0.0005
    proportional: bool = True
    field: bool = True
    color: str = "#32cd32"


@dataclass(frozen=True, eq=False)
class PolarizationVectors:
    """Vectors of a polarization product, one per pixel.

    Parameters
    ----------
    pixels : ndarray
        (n, 2) x, y from 0.
    p, p_debiased, p_error : ndarray
        (n,) degree of polarization and its 1-sigma error, per cent.
    angle, angle_rotated : ndarray
        (n,) direction of E and of B, degrees from north to east.
    i_over_error, i_relative : ndarray
        (n,) intensity over its error, and over the largest intensity.
    cuts : VectorCuts
        Those of the header.
    """

    pixels: FloatArray
    p: FloatArray
    p_debiased: FloatArray
    p_error: FloatArray
    angle: FloatArray
    angle_rotated: FloatArray
    i_over_error: FloatArray
    i_relative: FloatArray
    cuts: VectorCuts

    def degree(self, debiased: bool) -> FloatArray:
        """Return the degree of polarization, per cent."""
        return self.p_debiased if debiased else self.p

    def select(self, cuts: VectorCuts) -> NDArray[np.intp]:
        """Return the indices of the vectors that pass the cuts."""
        p = self.degree(cuts.debiased)
        with np.errstate(invalid="ignore", divide="ignore"):
            good = (p / self.p_error >= cuts.min_p_over_error) & (p >= cuts.min_p) & (p <= cuts.max_p)
        good &= (self.i_over_error >= cuts.min_i_over_error) & (self.i_relative >= cuts.min_i)
        step = max(1, cuts.sampling)
        good &= (np.round(self.pixels) % step == 0).all(axis=1)
        return np.flatnonzero(good)


def read_vectors(file: ImageFile) -> PolarizationVectors | None:
    """Read the vectors of a polarization product: table POL DATA with STOKES I and ERROR I; None if it has none."""
    table = file.tables.get("POL DATA")
    if table is None or "STOKES I" not in file.planes or "ERROR I" not in file.planes:
        return None
    data = table.data
    pixels = np.column_stack([data["Pixel X"], data["Pixel Y"]]).astype(float) - 1.0
    columns, rows = pixels.astype(int).T
    intensity = file.planes["STOKES I"].array[rows, columns].astype(float)
    error = file.planes["ERROR I"].array[rows, columns].astype(float)

    def column(name: str) -> FloatArray:
        return np.asarray(data[name], dtype=float)

    with np.errstate(invalid="ignore", divide="ignore"):
        return PolarizationVectors(
            pixels,
            column("Percent Pol"),
            column("Debiased Percent Pol"),
            column("Err. Percent Pol"),
            column("Theta"),
            column("Rotated Theta"),
            np.nan_to_num(intensity / error, nan=-np.inf),
            np.nan_to_num(intensity / np.nanmax(file.planes["STOKES I"].array), nan=-np.inf),
            VectorCuts.from_header(file.header),
        )


def draw_vectors(
    vectors: PolarizationVectors, frame: Frame, cuts: VectorCuts, style: VectorStyle | None = None
) -> list[Drawing]:
    """Return the vectors that pass the cuts, as lines centred on their pixels.

    Raises
    ------
    InputError
        If the image has no celestial coordinates, which give the direction of north.
    """
    style = style or VectorStyle()
    if frame.wcs is None:
        raise InputError(f"{frame.file.name}: polarization vectors need celestial coordinates in the header.")
    chosen = vectors.select(cuts)
    pixels = vectors.pixels[chosen]
    angle = np.radians((vectors.angle_rotated if style.field else vectors.angle)[chosen])
    east, north = _directions_at(frame.wcs, pixels)
    direction = north * np.cos(angle)[:, None] + east * np.sin(angle)[:, None]
    percent = vectors.degree(cuts.debiased)[chosen] if style.proportional else np.full(len(chosen), 5.0)
    half = 0.5 * percent * style.scale * 3600.0 / frame.pixel_scale
    offset = direction / np.hypot(*direction.T)[:, None] * half[:, None]
    segments = np.stack([pixels - offset, pixels + offset], axis=1)
    return [Drawing(style.color, segments=segments, width=1.5)]


def _directions_at(wcs: Any, pixels: FloatArray) -> tuple[FloatArray, FloatArray]:
    step = 1e-3 * math.sqrt(abs(float(np.linalg.det(wcs.pixel_scale_matrix))))
    lon, lat = wcs.wcs_pix2world(pixels, 0).T
    east = np.column_stack(wcs.wcs_world2pix(lon + step / np.cos(np.radians(lat)), lat, 0)) - pixels
    north = np.column_stack(wcs.wcs_world2pix(lon, lat + step, 0)) - pixels
    return east / np.hypot(*east.T)[:, None], north / np.hypot(*north.T)[:, None]


# -- catalogues ------------------------------------------------------------------------------------------------------

_LONGITUDES = ("ra", "raj2000", "ra_icrs", "_ra", "ra_j2000", "right ascension", "ra_deg", "radeg", "alpha")
_LATITUDES = ("dec", "dej2000", "decj2000", "de_icrs", "_de", "dec_j2000", "declination", "dec_deg", "decdeg", "delta")
_NAMES = ("name", "id", "source", "main_id", "object", "designation", "source_id")


@dataclass(frozen=True, eq=False)
class Catalog:
    """Positions of a table.

    Parameters
    ----------
    name : str
        File name.
    sky : ndarray
        (n, 2) right ascension and declination, ICRS degrees.
    labels : tuple of str
        Names, empty if the table has none.
    """

    name: str
    sky: FloatArray
    labels: tuple[str, ...] = ()


def read_catalog(path: str | Path) -> Catalog:
    """Read positions from a table (FITS, VOTable, ECSV, CSV, text) with columns of right ascension and declination.

    Raises
    ------
    InputError
        If the file is no table, or has no such columns.
    """
    from astropy.table import Table

    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = (
                Table.read(path) if path.suffix.lower() not in (".txt", ".dat") else Table.read(path, format="ascii")
            )
    except Exception as error:
        raise InputError(f"{path} cannot be read as a table: {' '.join(str(error).split())[:200]}") from error
    lon, lat = (_find_column(table, names) for names in (_LONGITUDES, _LATITUDES))
    if lon is None or lat is None:
        raise InputError(f"{path} has no columns of right ascension and declination; name them ra and dec.")
    name = _find_column(table, _NAMES)
    labels = tuple(str(v) for v in table[name]) if name else ()
    return Catalog(path.name, _read_positions(table[lon], table[lat]), labels)


def _find_column(table: Any, names: Sequence[str]) -> str | None:
    by_name = {column.lower(): column for column in table.colnames}
    return next((by_name[name] for name in names if name in by_name), None)


def _read_positions(lon: Any, lat: Any) -> FloatArray:
    from astropy.coordinates import SkyCoord

    unit = str(getattr(lon, "unit", "") or "")
    hours = unit.startswith("hour") or (lon.dtype.kind in "US" and ":" in str(lon[0]))
    degrees: Any = getattr(lon, "value", lon), getattr(lat, "value", lat)
    sky = SkyCoord(*(np.asarray(v) for v in degrees), unit=("hourangle" if hours else "deg", "deg"))
    return np.column_stack([sky.ra.deg, sky.dec.deg])


def draw_catalog(catalog: Catalog, frame: Frame, color: str = "#E69F00", names: bool = True) -> list[Drawing]:
    """Return circles at the positions that lie on the image, with their names."""
    if frame.wcs is None or not len(catalog.sky):
        return []
    pixels = _to_pixels_keeping(frame.wcs, catalog.sky)
    rows, columns = frame.shape
    inside = (pixels > -0.5).all(axis=1) & (pixels[:, 0] < columns - 0.5) & (pixels[:, 1] < rows - 0.5)
    marks = tuple(Mark((float(x), float(y)), "circle", 14) for x, y in pixels[inside])
    labels: list[Label] = []
    if names and catalog.labels:
        labels = [
            Label(m.at, catalog.labels[i], (9, 0), (0, 0.5)) for m, i in zip(marks, np.flatnonzero(inside), strict=True)
        ]
    return [Drawing(color, marks=marks, labels=tuple(labels))] if marks else []


def _to_pixels_keeping(wcs: Any, sky: FloatArray) -> FloatArray:
    from astropy.coordinates import SkyCoord

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x, y = wcs.world_to_pixel(SkyCoord(sky[:, 0], sky[:, 1], unit="deg", frame="icrs"))
    pixels: FloatArray = np.nan_to_num(np.column_stack([x, y]).astype(float), nan=-1e9)
    return pixels
