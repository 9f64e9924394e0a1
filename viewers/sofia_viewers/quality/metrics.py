"""Numbers of products: what the header says of the observation and what the pixels say of the quality."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from sofia_engine.product import Product
from sofia_engine.quality import find_signal, measure_quality

__all__ = ["COLUMNS", "Column", "Metrics", "ReductionRow", "collect_columns", "measure_file", "measure_product",
           "merge_reduction_rows"]  # fmt: skip

_WORST = -9998.0
"""Header values at or below mean that nothing was measured."""
_NAMES = {"fwhm": "profile_fwhm", "standard_flux": "flux"}
"""Keys of numbers that steps give by other names."""
_BOX = 16
_MIN_PEAK = 10.0
"""Least height of a source over the noise for its width to be measured."""


@dataclass(frozen=True)
class Column:
    """A number or word known of products.

    Parameters
    ----------
    key, label, unit : str
        Name in tables, title, unit ("" for none; ``plane`` for that of the plane).
    help : str
        What it is.
    is_text : bool
        Words rather than numbers.
    is_quality : bool
        Tells of the quality of the data, so that outliers are looked for.
    """

    key: str
    label: str
    unit: str = ""
    help: str = ""
    is_text: bool = False
    is_quality: bool = False


COLUMNS: dict[str, Column] = {
    column.key: column
    for column in (
        Column("file", "File", help="Name of the file or product", is_text=True),
        Column("run", "Run", help="Folder it lies in", is_text=True),
        Column("order", "Step number", help="Position of the step in the recipe"),
        Column("step", "Step", help="Step that made it", is_text=True),
        Column("product_type", "Product type", help="PRODTYPE", is_text=True),
        Column("object", "Object", help="OBJECT", is_text=True),
        Column("filter", "Filter", help="Filter or grism in the light path", is_text=True),
        Column("instrument", "Instrument", help="INSTRUME", is_text=True),
        Column("mission", "Mission", help="MISSN-ID", is_text=True),
        Column("aor", "AOR", help="AOR_ID", is_text=True),
        Column("unit", "Unit", help="Unit of the signal", is_text=True),
        Column("time", "Time", "s", "Start of the observation, seconds since 1970-01-01, UTC"),
        Column("altitude", "Altitude", "ft", "Mean of ALTI_STA and ALTI_END"),
        Column("zenith_angle", "Zenith angle", "deg", "Mean of ZA_START and ZA_END"),
        Column("pwv", "Water vapour", "um", "Mean of WVZ_STA and WVZ_END: precipitable water above the aircraft"),
        Column("exposure", "Exposure", "s", "EXPTIME"),
        Column("background", "Background", "plane", "Median of the signal", is_quality=True),
        Column("noise", "Noise", "plane", "Scatter of the signal, from the median absolute deviation", is_quality=True),
        Column("median_error", "Error", "plane", "Median of the error plane", is_quality=True),
        Column("error_ratio", "Noise/error", "", "Measured scatter over the error of the data", is_quality=True),
        Column("missing", "Missing", "%", "Pixels without a value", is_quality=True),
        Column("rejected", "Rejected", "%", "Values clipped as outliers when frames were combined", is_quality=True),
        Column("fwhm", "FWHM", "arcsec", "Width of the brightest source: Gaussian, mean of both axes", is_quality=True),
        Column("ellipticity", "Ellipticity", "", "1 - minor/major axis of the brightest source", is_quality=True),
        Column("peak_snr", "Peak S/N", "", "Height of the brightest pixel over the background in units of the noise"),
        Column("profile_fwhm", "Profile FWHM", "pixel", "Width found by the photometry, STFWHMX/Y", is_quality=True),
        Column("flux", "Flux", "", "Flux of the standard in the aperture, STAPFLX", is_quality=True),
        Column("flux_error", "Flux error", "", "STAPFLXE"),
        Column("model_flux", "Model flux", "Jy", "Flux of the standard's model, MODLFLX"),
        Column("calibration_factor", "Calibration factor", "", "CALFCTR", is_quality=True),
        Column("calibration_error", "Calibration error", "", "ERRCALF"),
    )
}
"""What tables know of products, in the order of the columns; steps may give further numbers."""


@dataclass(frozen=True)
class Metrics:
    """All that is known of one product.

    Parameters
    ----------
    values : mapping of str to float or str
        By key of `COLUMNS`; what is not known is left out.
    path : Path, optional
        Its file.
    state_key : str
        State of a reduction it belongs to.
    problem : str
        Why it could not be measured; empty if it could.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    state_key: str = ""
    problem: str = ""

    def number(self, key: str) -> float:
        """Return a number; NaN if it is not known or a word."""
        value = self.values.get(key)
        return float(value) if isinstance(value, int | float) else math.nan

    def text(self, key: str) -> str:
        """Return a value for people."""
        value = self.values.get(key)
        if value is None:
            return ""
        if key == "time":
            return datetime.fromtimestamp(float(value), UTC).strftime("%Y-%m-%d %H:%M:%S")
        return f"{value:.5g}" if isinstance(value, float) else str(value)

    def unit_of(self, key: str) -> str:
        """Return the unit of a value."""
        unit = COLUMNS[key].unit if key in COLUMNS else ""
        return str(self.values.get("unit", "")) if unit == "plane" else unit


class ReductionRow(Protocol):
    """Numbers of one product of one step of a reduction, as the desktop program keeps them."""

    @property
    def index(self) -> int:
        """Position of the step in the recipe."""
        ...

    @property
    def step(self) -> str:
        """Label of the step."""
        ...

    @property
    def product(self) -> str:
        """Name of the product."""
        ...

    @property
    def numbers(self) -> Mapping[str, float]:
        """Numbers by name."""
        ...

    @property
    def state_key(self) -> str:
        """State of the reduction."""
        ...


def measure_file(path: Path) -> Metrics:
    """Read a file and measure it.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    product = Product.read(path)
    found = measure_product(product, path.name)
    return Metrics({**found.values, "run": path.resolve().parent.name}, path)


def measure_product(product: Product, name: str = "") -> Metrics:
    """Collect what a header says and measure background, noise, error, missing pixels, and the brightest source.

    Parameters
    ----------
    product : Product
        Image, cube, spectrum or raw file.
    name : str
        What to call it; FILENAME of its header if left out.
    """
    values: dict[str, Any] = {"file": name or product.name} | _describe_observation(product.header)
    signal, _ = find_signal(product)
    if signal:
        values["unit"] = product.plane(signal).unit
    values |= measure_quality(product)
    if values.get("median_error"):
        values["error_ratio"] = values["noise"] / values["median_error"]
    values |= _describe_photometry(product.header)
    scale = _pixel_scale(product.header)
    if signal and math.isfinite(scale) and _is_map(product[signal]) and values.get("noise"):
        values |= _measure_source(product[signal], values["background"], values["noise"], scale)
    return Metrics({key: value for key, value in values.items() if value not in (None, "")})


def merge_reduction_rows(rows: Sequence[ReductionRow], measured: Mapping[str, Metrics] | None = None) -> list[Metrics]:
    """Return rows of a reduction as metrics; what else is known of products of the same name is added."""
    known = measured or {}
    merged = []
    for row in rows:
        values: dict[str, Any] = {"file": row.product, "step": row.step, "order": row.index + 1}
        values |= {_NAMES.get(key, key): value for key, value in row.numbers.items() if math.isfinite(value)}
        other = known.get(row.product)
        more = dict(other.values) if other is not None else {}
        merged.append(Metrics(more | values, other.path if other is not None else None, row.state_key))
    return merged


def collect_columns(rows: Sequence[Metrics]) -> tuple[str, ...]:
    """Return the keys that any row knows: those of `COLUMNS` in their order, then others."""
    present = dict.fromkeys(key for row in rows for key in row.values)
    return tuple(key for key in COLUMNS if key in present) + tuple(key for key in present if key not in COLUMNS)


# -- header ----------------------------------------------------------------------------------------------------------


def _describe_observation(header: fits.Header) -> dict[str, Any]:
    return {
        "product_type": _word(header, "PRODTYPE"),
        "object": _word(header, "OBJECT"),
        "filter": _find_filter(header),
        "instrument": _word(header, "INSTRUME"),
        "mission": _word(header, "MISSN-ID"),
        "aor": _word(header, "AOR_ID"),
        "time": _read_time(_word(header, "DATE-OBS")),
        "altitude": _mean(header, "ALTI_STA", "ALTI_END"),
        "zenith_angle": _mean(header, "ZA_START", "ZA_END"),
        "pwv": _mean(header, "WVZ_STA", "WVZ_END"),
        "exposure": _number(header, "EXPTIME"),
    }


def _describe_photometry(header: fits.Header) -> dict[str, Any]:
    widths = [width for width in (_number(header, "STFWHMX"), _number(header, "STFWHMY")) if width and width > 0]
    found: dict[str, Any] = {
        "flux": _number(header, "STAPFLX"),
        "flux_error": _number(header, "STAPFLXE"),
        "model_flux": _number(header, "MODLFLX"),
        "calibration_factor": _number(header, "CALFCTR"),
        "calibration_error": _number(header, "ERRCALF"),
    }
    if len(widths) == 2:
        found["profile_fwhm"] = sum(widths) / 2
    return {key: value for key, value in found.items() if value is not None}


def _find_filter(header: fits.Header) -> str:
    """Return the spectral element in use; FORCAST names two, one for each camera."""
    long_wave = _word(header, "DETCHAN").upper() in ("LW", "1")
    first, second = _word(header, "SPECTEL1"), _word(header, "SPECTEL2")
    return (second or first) if long_wave and _word(header, "INSTRUME").upper() == "FORCAST" else (first or second)


def _read_time(text: str) -> float | None:
    """Return seconds since 1970 of a date as in DATE-OBS, or None."""
    match = re.match(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(\.\d*)?)?", text)
    if match is None:
        return None
    whole = [int(part) for part in match.groups("0")[:6]]
    try:
        return datetime(*whole, tzinfo=UTC).timestamp() + float(match[7] or 0.0)  # type: ignore[misc,arg-type]
    except ValueError:
        return None


def _mean(header: fits.Header, *keywords: str) -> float | None:
    values = [value for key in keywords if (value := _number(header, key)) is not None]
    return sum(values) / len(values) if values else None


def _number(header: fits.Header, keyword: str) -> float | None:
    value = header.get(keyword)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value > _WORST else None


def _word(header: fits.Header, keyword: str) -> str:
    value = header.get(keyword)
    text = "" if value is None or isinstance(value, fits.card.Undefined) else str(value).strip()
    return "" if text.upper() in ("UNKNOWN", "NONE") else text


def _pixel_scale(header: fits.Header) -> float:
    """Return the geometric mean of the pixel scales, arcsec; NaN if the axes are no directions on the sky."""
    if not all(re.match(r"RA|DEC|.LON|.LAT", _word(header, f"CTYPE{axis}").upper()) for axis in (1, 2)):
        return math.nan
    steps = [_number(header, f"CDELT{axis}") for axis in (1, 2)]
    if all(steps):
        return math.sqrt(abs(steps[0] * steps[1])) * 3600.0  # type: ignore[operator]
    matrix = [_number(header, f"CD{i}_{j}") or 0.0 for i in (1, 2) for j in (1, 2)]
    area = abs(matrix[0] * matrix[3] - matrix[1] * matrix[2])
    return math.sqrt(area) * 3600.0 if area else math.nan


# -- pixels ----------------------------------------------------------------------------------------------------------


def _measure_source(image: NDArray[Any], background: float, noise: float, scale: float) -> dict[str, float]:
    """Width, shape and height of the brightest source of an image, if it stands out."""
    from sofia_engine.numerics.fitting import fit_gaussian

    smooth = _smooth(np.nan_to_num(np.asarray(image, dtype=np.float64) - background))
    row, column = (int(place) for place in np.unravel_index(np.argmax(smooth), smooth.shape))
    top, left = max(row - _BOX, 0), max(column - _BOX, 0)
    box = np.asarray(image[top : row + _BOX + 1, left : column + _BOX + 1], dtype=np.float64)
    around = box[max(row - top - 2, 0) : row - top + 3, max(column - left - 2, 0) : column - left + 3]
    peak = float(np.nanmax(around)) - background if np.isfinite(around).any() else math.nan
    if not peak > 0:
        return {}
    found = {"peak_snr": peak / noise}
    if peak / noise < _MIN_PEAK:
        return found
    fit = fit_gaussian(box, column - left, row - top, 4.0)
    plausible = fit.converged and fit.height > 0 and 1.0 < fit.fwhm_minor <= fit.fwhm_major < 1.5 * _BOX
    if not plausible or math.hypot(fit.x - (column - left), fit.y - (row - top)) > 0.5 * _BOX:
        return found
    found["ellipticity"] = 1.0 - fit.fwhm_minor / fit.fwhm_major
    found["fwhm"] = math.sqrt(fit.fwhm_major * fit.fwhm_minor) * scale
    return found


def _is_map(image: NDArray[Any]) -> bool:
    return image.ndim == 2 and min(image.shape) > 2 * _BOX


def _smooth(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums over 3 x 3 pixels, so that single bad pixels do not pass for sources."""
    rows = image.copy()
    rows[1:] += image[:-1]
    rows[:-1] += image[1:]
    both = rows.copy()
    both[:, 1:] += rows[:, :-1]
    both[:, :-1] += rows[:, 1:]
    return both
