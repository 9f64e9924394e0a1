"""Spectra for calibrations: rows of the detector summed, lines identified and found again up the slit."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from astropy.io import fits

from sofia_engine.errors import ParameterError, ReferenceDataError
from sofia_engine.header.cards import Card
from sofia_engine.instruments.forcast.grism_files import load_maps, request_grism_file
from sofia_engine.instruments.forcast.grism_frame import (
    accompany_spectrum,
    make_spectral_plane,
    name_auxiliary,
    require_planes,
    square_error,
)
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product
from sofia_engine.spectroscopy.apertures import (
    Aperture,
    find_apertures,
    list_aperture_cards,
    parse_lists,
    place_apertures,
    space_apertures,
)
from sofia_engine.spectroscopy.line_matching import LineMatch
from sofia_engine.spectroscopy.lines import (
    LineList,
    LineSearch,
    expect_from_pairs,
    find_lines,
    fit_dispersion,
    guess_from_map,
    guess_from_pairs,
    read_line_list,
    remeasure_lines,
    remove_trend,
    step_rows,
    sum_rows,
)
from sofia_engine.spectroscopy.region_files import format_points, join_regions

__all__ = [
    "IdentificationParameters",
    "ReidentificationParameters",
    "SummedParameters",
    "extract_summed_spectrum",
    "identify_lines",
    "reidentify_lines",
]

_LINE_KINDS: Mapping[str, Literal["absorption", "either"]] = {"absorption": "absorption", "either": "either"}
_FEWEST_LINES = 4
"""Fewer lines cannot be told from chance."""
FWHM = 5.0
"""Pixels: where the search for sources begins."""


def _trend_degree() -> Any:
    return parameter(
        None,
        label="Detrend order",
        ge=0,
        le=10,
        help="Degree of a polynomial along the spectrum that is subtracted; empty subtracts none.",
    )


def _fit_window() -> Any:
    return parameter(
        10.0,
        label="Fit window (pixel)",
        unit="pix",
        gt=2,
        le=256,
        help="Lines are looked for up to half of this from where they are expected, and fitted in parts as wide.",
    )


_NEAR_GIVEN = {"method": ("auto", "fix to input")}
"""With which positions count: they are taken, or the search for sources starts there."""


class SummedParameters(SavedOutput):
    """Parameters of Extract First Spectrum."""

    save_1d: bool = parameter(
        True, label="Save extracted 1D spectra", help="Also write pixel, flux, error as rows of one array, code SSP."
    )
    method: Literal["auto", "fix to input", "fix to center"] = parameter(
        "fix to center",
        label="Aperture location method",
        help="Take the brightest source, the position given, or the middle of the slit.",
    )
    position: str = parameter(
        "",
        key="appos",
        label="Aperture position (pixel)",
        unit="pix",
        help="Row of the detector, from 0; semicolons separate files.",
        applies_when=_NEAR_GIVEN,
    )
    radius: float = parameter(
        40.0,
        key="aprad",
        label="Aperture radius (pixel)",
        unit="pix",
        gt=0,
        le=256,
        help="Rows to each side that are summed.",
    )
    detrend_order: int | None = _trend_degree()


class IdentificationParameters(SavedOutput):
    """Parameters of Identify Lines."""

    wavelength_file: str = parameter(
        "",
        key="wavefile",
        label="Wave/space calibration file",
        pick="file",
        help="Calibration from which the places of the lines are guessed; empty for that of the date.",
        applies_when={"guess_lines": False, "guess_positions": False},
    )
    line_file: str = parameter(
        "",
        key="linefile",
        label="Line list",
        pick="file",
        help="Text file with one wavelength (um) in each line; those after # are shown only; empty for that of the "
        "grism.",
    )
    line_type: Literal["emission", "absorption", "either"] = parameter(
        "emission", label="Line type", help="Sign of the lines."
    )
    window: float = _fit_window()
    sigma: float = parameter(
        3.0, label="Expected line width (pixel)", unit="pix", gt=0, le=100, help="Where the fit of the width begins."
    )
    guess_lines: tuple[float, ...] = parameter(
        (), label="Wavelengths for guess positions", unit="um", help="Wavelengths of lines whose places you know."
    )
    guess_positions: tuple[float, ...] = parameter(
        (), label="Guess line positions", unit="pix", help="Columns of these lines, from 0; as many as wavelengths."
    )


class ReidentificationParameters(SavedOutput):
    """Parameters of Reidentify Lines."""

    save_1d: bool = parameter(
        True, label="Save extracted 1D spectra", help="Also write the spectra as rows of one array, code LRS."
    )
    method: Literal["auto", "fix to input", "step up slit"] = parameter(
        "step up slit",
        label="Aperture location method",
        help="Take the brightest sources, the positions given, or steps along the slit.",
    )
    num_aps: int = parameter(
        3,
        label="Number of auto apertures",
        ge=1,
        le=256,
        help="Sources for the method auto.",
        applies_when={"method": "auto"},
    )
    position: str = parameter(
        "",
        key="appos",
        label="Aperture position (pixel)",
        unit="pix",
        help="Rows of the detector, from 0; commas separate apertures, semicolons files.",
        applies_when=_NEAR_GIVEN,
    )
    step_size: int = parameter(
        16,
        key="step",
        label="Step size (pixel)",
        unit="pix",
        ge=1,
        le=256,
        help="Rows from one spectrum to the next.",
        applies_when={"method": "step up slit"},
    )
    radius: float = parameter(
        8.0, label="Aperture radius (pixel)", unit="pix", gt=0, le=256, help="Rows to each side that are summed."
    )
    detrend_order: int | None = _trend_degree()
    window: float = _fit_window()
    signal_to_noise: float = parameter(
        2.0,
        key="s2n",
        label="Signal-to-noise requirement",
        ge=0,
        le=1000,
        help="Lines in parts of the spectrum with less are not fitted; 0 fits all.",
    )


@step(
    "extract_summed_spectrum",
    label="Extract First Spectrum",
    code="SSM",
    product_type="summed_spectrum",
    level="LEVEL_2",
    saved=True,
)
def extract_summed_spectrum(image: Product, p: SummedParameters, run: Run) -> Product:
    """Sum rows of the image on the grid of the detector to a spectrum in which lines can be identified."""
    require_planes(image, "SLITPOS", "SPATIAL_PROFILE")
    apertures = _locate(image, p, 1, "extract_summed_spectrum", run)[:1] or space_apertures(
        image["SLITPOS"], image["SPATIAL_PROFILE"], 1, FWHM
    )
    product = _extract(image, apertures, p.radius, p.detrend_order)
    run.log(f"Spectrum of rows {apertures[0].position:.1f} +/- {p.radius:g}")
    if p.save_1d:
        run.accompany(accompany_spectrum(product, "SSP", "summed_spectrum_1d"))
    return product


def _locate(
    image: Product, p: SummedParameters | ReidentificationParameters, count: int, key: str, run: Run
) -> tuple[Aperture, ...]:
    """Apertures of the methods that look for sources or are told where they are; none for others."""
    slit, profile = image["SLITPOS"], image["SPATIAL_PROFILE"]
    given = parse_lists(p.position, f"{key}.appos", run.count)[run.position]
    if p.method == "auto":
        return find_apertures(slit, profile, max(count, len(given)), FWHM, given)
    if p.method != "fix to input":
        return ()
    if not given:
        raise ParameterError(f"{key}.appos is empty; give positions, or choose another method.")
    return place_apertures(slit, profile, given, FWHM)


def _extract(image: Product, apertures: tuple[Aperture, ...], radius: float, degree: int | None) -> Product:
    rows = [aperture.position for aperture in apertures]
    flux, error, _ = sum_rows(image["FLUX"], square_error(image), rows, radius)
    if degree is not None:
        flux = np.stack([remove_trend(spectrum, degree) for spectrum in flux])
    unit, header = image.plane("FLUX").unit, image.header
    radii = ",".join(f"{radius:.3f}" for _ in apertures)
    cards = [*list_aperture_cards(apertures), ("APRADO01", radii, "Aperture radii [pixel]")]
    return image.with_cards(*cards).replace(
        SPECTRAL_FLUX=make_spectral_plane(flux, unit, header),
        SPECTRAL_ERROR=make_spectral_plane(error, unit, header),
    )


def _want_line_files(header: fits.Header, p: IdentificationParameters) -> Mapping[str, Wanted]:
    return {
        "line_list": Wanted(request_grism_file(header, "line_list", "line list"), p.line_file),
        "wave_cal": Wanted(request_grism_file(header, "wave_cal", "wavelength calibration"), p.wavelength_file),
    }


@step(
    "identify_lines",
    label="Identify Lines",
    code="LID",
    product_type="lines_identified",
    level="LEVEL_2",
    saved=True,
    references=_want_line_files,
)
def identify_lines(image: Product, p: IdentificationParameters, run: Run) -> Product:
    """Fit the lines of the list in the spectrum, starting where an earlier calibration or the user expects them."""
    require_planes(image, "SPECTRAL_FLUX", "SPECTRAL_ERROR")
    lines = _read_lines(run)
    flux = image["SPECTRAL_FLUX"][0]
    expected = _expect_wavelengths(image, flux.size, p, run)
    match = find_lines(flux, image["SPECTRAL_ERROR"][0], _guess(lines.fitted, expected, p), _describe_search(p))
    found = match.found
    wavelength = fit_dispersion(match.position, lines.fitted, expected)
    _report_lines(lines.fitted, match, run)
    shown = _guess(lines.shown, expected, p) if lines.shown.size else np.empty(0)
    cards: list[Card] = [
        ("LINEWAV", _join(lines.fitted[found]), "Wavelengths of the lines [um]"),
        ("LINEPOS", _join(match.position[found]), "Columns of the lines"),
        ("LINETYPE", p.line_type, "Type of the lines"),
        ("LINEWID", p.sigma, "Expected width of the lines [pixel]"),
        ("DISPWAV", _join(lines.shown[np.isfinite(shown)]), "Wavelengths of lines to be shown [um]"),
        ("DISPPOS", _join(shown[np.isfinite(shown)]), "Columns of lines to be shown"),
    ]
    return image.with_cards(*cards).replace(WAVEPOS=Plane.of(wavelength, "um"))


def _join(values: FloatArray) -> str:
    return ",".join(f"{value:.6f}" for value in values)


def _read_lines(run: Run) -> LineList:
    used = run.reference("line_list")
    try:
        text = used.path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReferenceDataError(f"The line list {used.path} cannot be read ({error}); give another file.") from None
    return read_line_list(text, f"The line list {used.name}")


def _describe_search(p: IdentificationParameters) -> LineSearch:
    return LineSearch(p.line_type, p.window, p.sigma)


def _report_lines(wavelengths: FloatArray, match: LineMatch, run: Run) -> None:
    """Say which lines were found where, and which were left out and why."""
    for wavelength, position in zip(wavelengths[match.found], match.position[match.found], strict=True):
        run.log(f"Line {wavelength:.4f} um at column {position:.2f}")
    for index in np.flatnonzero(~match.found):
        reason = "does not fit the other lines" if match.rejected[index] else "not found"
        run.log(f"Line {wavelengths[index]:.4f} um left out: {reason}")
    count = int(np.count_nonzero(match.found))
    run.quality["lines"] = float(count)
    run.history(f"Identify: {count} of {wavelengths.size} lines")
    if count < _FEWEST_LINES or 2 * count < wavelengths.size:
        run.warn(
            f"Only {count} of {wavelengths.size} lines were identified; compare their columns in the log with the "
            "spectrum, and give guess_lines and guess_positions, or another line list, if they are wrong."
        )


def _expect_wavelengths(image: Product, width: int, p: IdentificationParameters, run: Run) -> FloatArray:
    """Wavelengths of the columns before lines are known; those of a map in its middle row."""
    if p.guess_lines or p.guess_positions:
        return expect_from_pairs(p.guess_lines, p.guess_positions, width)
    maps = load_maps(run, image.header, 0)
    row: FloatArray = maps.wavelength[len(maps.wavelength) // 2]
    return row


def _guess(wavelengths: FloatArray, expected: FloatArray, p: IdentificationParameters) -> FloatArray:
    if p.guess_lines or p.guess_positions:
        return guess_from_pairs(wavelengths, p.guess_lines, p.guess_positions)
    return guess_from_map(wavelengths, expected)


@step(
    "reidentify_lines",
    label="Reidentify Lines",
    code="LRD",
    product_type="lines_reidentified",
    level="LEVEL_2",
    saved=True,
)
def reidentify_lines(image: Product, p: ReidentificationParameters, run: Run) -> Product:
    """Find the identified lines again in spectra of other parts of the slit."""
    require_planes(image, "SLITPOS", "SPATIAL_PROFILE", "WAVEPOS")
    product = _extract(image, _place(image, p, run), p.radius, p.detrend_order)
    positions = read_numbers(image.header, "LINEPOS")
    kind = str(image.header.get("LINETYPE", "emission")).strip()
    line_kind: Literal["emission", "absorption", "either"] = _LINE_KINDS.get(kind, "emission")
    search = LineSearch(line_kind, p.window, float(image.header.get("LINEWID", 3.0)), p.signal_to_noise)
    rows = read_numbers(product.header, "APPOSO01")
    start = int(np.argmin(np.abs(rows - read_numbers(image.header, "APPOSO01")[0])))
    table, heights = remeasure_lines(product["SPECTRAL_FLUX"], product["SPECTRAL_ERROR"], positions, search, start)
    run.log(f"{np.count_nonzero(np.isfinite(table))} of {table.size} lines found in {len(table)} spectra")
    run.quality["lines"] = float(np.count_nonzero(np.isfinite(table)))
    regions = join_regions(format_points(table, np.broadcast_to(rows[:, np.newaxis], table.shape)))
    run.attach(name_auxiliary(image, "LRD", ".reg"), regions)
    if p.save_1d:
        run.accompany(accompany_spectrum(product, "LRS", "lines_reidentified_1d"))
    return product.replace(
        LINE_TABLE=Plane(Plane.of(table).data, "", inherits_wcs=False),
        LINE_HEIGHT=Plane(Plane.of(heights).data, "", inherits_wcs=False),
    )


def _place(image: Product, p: ReidentificationParameters, run: Run) -> tuple[Aperture, ...]:
    slit, profile = image["SLITPOS"], image["SPATIAL_PROFILE"]
    if p.method != "step up slit":
        return _locate(image, p, p.num_aps, "reidentify_lines", run)
    rows = step_rows(slit.size, p.step_size)
    _, _, usable = sum_rows(image["FLUX"], square_error(image), rows, p.radius)
    if not usable.any():
        raise ParameterError(
            f"{image.name}: no part of the slit has a complete spectrum; change reidentify_lines.step and radius."
        )
    return place_apertures(slit, np.nan_to_num(profile), list(rows[usable]), FWHM)


def read_numbers(header: fits.Header, keyword: str) -> FloatArray:
    """Return the numbers of a keyword that are separated by commas; none if it is missing."""
    return np.array([float(word) for word in str(header.get(keyword, "")).split(",") if word.strip()])
