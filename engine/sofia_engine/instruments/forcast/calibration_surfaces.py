"""Calibrations of wavelength and slit position: surfaces through lines and traces, written as calibration files."""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.io import fits

from sofia_engine.errors import ReferenceDataError, StepError
from sofia_engine.header.cards import Card, is_wcs
from sofia_engine.instruments.forcast.calibration_spectra import read_numbers
from sofia_engine.instruments.forcast.grism_files import load_maps, load_orders, request_grism_file
from sofia_engine.instruments.forcast.grism_frame import name_grism_product, require_planes
from sofia_engine.instruments.forcast.rejection import merge_product_headers
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.painter import draw
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Companion, Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.plots import Curve, CurvePlot, render_plot
from sofia_engine.product import Plane, Product
from sofia_engine.spectroscopy.aperture_keywords import read_apertures
from sofia_engine.spectroscopy.calibration_maps import CalibrationMaps, pack_maps, simulate_slit_map
from sofia_engine.spectroscopy.line_matching import find_supported_degree
from sofia_engine.spectroscopy.orders import OrderSet
from sofia_engine.spectroscopy.region_files import format_fit_lines, format_points, join_regions
from sofia_engine.spectroscopy.surfaces import (
    Surface,
    expect_slit_positions,
    fit_surface,
    fit_surface_near,
    list_surface_cards,
)

__all__ = ["LineSurfaceParameters", "TraceSurfaceParameters", "fit_lines", "fit_traces"]

_LARGEST_RMS = 0.5
"""Pixels; beyond that lines or traces were mistaken."""


class SurfaceParameters(SavedOutput):
    """Parameters of both surfaces."""

    x_fit_order: int = parameter(
        2, label="Fit order for X", ge=0, le=6, help="Highest power of the column in the surface."
    )
    y_fit_order: int = parameter(
        2, label="Fit order for Y", ge=0, le=6, help="Highest power of the row in the surface."
    )
    weighted: bool = parameter(
        True, label="Weight by line height", help="Give bright lines, or bright parts of a trace, more weight."
    )


class LineSurfaceParameters(SurfaceParameters):
    """Parameters of Fit Lines."""

    spatial_file: str = parameter(
        "",
        key="spatfile",
        label="Spatial calibration file",
        pick="file",
        help="Calibration whose slit positions are taken over; empty for that of the date.",
    )
    rotation: int = parameter(
        0, label="Rotation angle", level="hidden", ge=0, le=7, help="Rotation code of the calibration file."
    )


class TraceSurfaceParameters(SurfaceParameters):
    """Parameters of Fit Trace Positions."""

    weighted: bool = parameter(
        True, label="Weight by spatial profile", help="Give the bright parts of a trace more weight."
    )
    wavelength_file: str = parameter(
        "",
        key="wavefile",
        label="Wavelength calibration file",
        pick="file",
        help="Calibration whose wavelengths are taken over; empty for that of the date.",
    )
    rotation: int = parameter(
        0, label="Rotation angle", level="hidden", ge=0, le=7, help="Rotation code of the calibration file."
    )


def _want_files(header: fits.Header, choice: str) -> Mapping[str, Wanted]:
    return {
        "order_mask": Wanted(request_grism_file(header, "order_mask", "order mask")),
        "wave_cal": Wanted(request_grism_file(header, "wave_cal", "wavelength calibration"), choice),
    }


def _want_for_lines(header: fits.Header, p: LineSurfaceParameters) -> Mapping[str, Wanted]:
    return _want_files(header, p.spatial_file)


def _want_for_traces(header: fits.Header, p: TraceSurfaceParameters) -> Mapping[str, Wanted]:
    return _want_files(header, p.wavelength_file)


@step(
    "fit_lines",
    label="Fit Lines",
    code="LFT",
    product_type="lines_fit",
    level="LEVEL_2",
    saved=True,
    references=_want_for_lines,
)
def fit_lines(images: Sequence[Product], p: LineSurfaceParameters, run: Run) -> tuple[Product, ...]:
    """Fit wavelength as a surface over the detector to the lines of all files, and write the calibration file."""
    x, y, wavelength, height = (np.concatenate(part) for part in zip(*map(_list_lines, images), strict=True))
    error = _weigh(height) if p.weighted else None
    shape = images[0]["FLUX"].shape
    expected = np.mean([image["WAVEPOS"] for image in images], axis=0)
    degree = _choose_degree(x, wavelength, shape[1], p.x_fit_order, run)
    surface = _fit_near((x, y, wavelength), images[0], expected, degree, error, p)
    orders = load_orders(run, images[0].header)
    slit = _find_slit_map(images[0], orders, shape, run)
    maps = CalibrationMaps(np.where(np.isfinite(slit), surface.on_pixels(shape), np.nan), slit)
    dispersion = float(np.nanmean(np.abs(np.diff(maps.wavelength, axis=1))))
    _report(surface, dispersion, "pixels", run)
    name = name_grism_product(images[0].header, [image.name for image in images], "RSD")
    run.attach(name.replace(".fits", ".png"), _draw_residuals(x, y, surface.residual / dispersion))
    _attach_regions(images, surface, run)
    run.accompany(
        _make_calibration(images, maps, list_surface_cards(surface, "W"), ("WCL", "wavecal"), p.rotation, run)
    )
    return tuple(_attach_maps(image, maps) for image in images)


def _list_lines(image: Product) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Column, row, wavelength and height of all lines of a file."""
    require_planes(image, "LINE_TABLE", "LINE_HEIGHT", "WAVEPOS")
    table = image["LINE_TABLE"]
    rows, waves = read_numbers(image.header, "APPOSO01"), read_numbers(image.header, "LINEWAV")
    y, wavelength = (np.broadcast_to(part, table.shape).ravel() for part in (rows[:, np.newaxis], waves))
    return table.ravel(), y, wavelength, image["LINE_HEIGHT"].ravel()


def _fit_near(
    points: tuple[FloatArray, FloatArray, FloatArray],
    image: Product,
    expected: FloatArray,
    degree: int,
    error: FloatArray | None,
    p: LineSurfaceParameters,
) -> Surface:
    try:
        return fit_surface_near(points, expected, (p.x_fit_order, p.y_fit_order), degree, error)
    except StepError as problem:
        places = int(np.count_nonzero(np.isfinite(points[0])))
        raise StepError(
            f"{image.name}: {problem} Lines were found at {places} places. Lines of the sky are in the image only if "
            "planes are added instead of subtracted: set stack.add_frames for them."
        ) from None


def _weigh(height: FloatArray) -> FloatArray:
    """Relative errors of lines; blends make them equal for bright lines, which else outvoted all others."""
    typical = float(np.nanmedian(np.abs(height)))
    with np.errstate(divide="ignore"):
        return np.hypot(1.0 / np.abs(height), 1.0 / typical)


def _choose_degree(x: FloatArray, wavelength: FloatArray, width: int, wanted: int, run: Run) -> int:
    """Degree along the columns that the lines can bear; beyond it the shape of the identification is kept."""
    found = np.isfinite(x)
    lines = [float(np.median(x[found & (wavelength == line)])) for line in np.unique(wavelength[found])]
    degree = min(find_supported_degree(lines, width), wanted)
    if degree < wanted:
        run.warn(
            f"{len(lines)} lines do not bear a fit of order {wanted} along the columns: the shape of the wavelengths "
            f"from which lines were guessed is kept, and corrected to order {degree} only."
        )
    return degree


def _find_slit_map(image: Product, orders: OrderSet, shape: tuple[int, ...], run: Run) -> FloatArray:
    try:
        slit = load_maps(run, image.header, orders.rotation).slit
    except ReferenceDataError as error:
        run.warn(f"{error} Slit positions are taken to rise linearly between the edges of the order.")
        return simulate_slit_map(orders.orders[0], orders.slit, (shape[0], shape[1]))
    return slit


def _report(surface: Surface, unit: float, name: str, run: Run) -> None:
    used = surface.residual[surface.used]
    rms = float(np.sqrt(np.mean(np.square(used)))) / unit
    run.log(f"Surface through {used.size} points, rms {rms:.4f} {name}")
    run.history(f"Fit: surface through {used.size} points, rms {rms:.4f} {name}")
    run.quality["rms"] = rms
    if rms > _LARGEST_RMS:
        run.warn(
            f"The calibration misses its points by {rms:.2f} {name} (rms): lines or traces are probably mistaken for "
            "others; look at the plot of residuals and at the columns in the log, and change what is identified."
        )


def _draw_residuals(x: FloatArray, y: FloatArray, residual: FloatArray) -> bytes:
    panels = [
        CurvePlot((Curve(places, residual, style="scatter"),), "", f"{axis} (pixel)", "Residual (pixel)")
        for places, axis in ((x, "X"), (y, "Y"))
    ]
    return draw(render_plot, *panels)


def _attach_regions(images: Sequence[Product], surface: Surface, run: Run) -> None:
    """Lines, and where the surface puts them, as regions."""
    for image in images:
        table, rows = image["LINE_TABLE"], read_numbers(image.header, "APPOSO01")
        lines = format_points(table, np.broadcast_to(rows[:, np.newaxis], table.shape))
        first = 1
        up = np.arange(0, len(image["FLUX"]), 4, dtype=np.float64)
        columns = np.arange(image["FLUX"].shape[1], dtype=np.float64)
        for wavelength in read_numbers(image.header, "LINEWAV"):
            values = surface.polynomial.on_grid(columns, up)
            at = [_cross(columns, values[:, k], wavelength) for k in range(up.size)]
            segments = format_fit_lines(at, up, first)
            lines += segments
            first += len(segments)
        name = name_grism_product(image.header, [image.name], "LFT").replace(".fits", ".reg")
        run.attach(name, join_regions(lines))


def _cross(columns: FloatArray, wavelengths: FloatArray, wavelength: float) -> float:
    """Column at which a row has a wavelength; NaN if it has not."""
    order = np.argsort(wavelengths)
    return float(np.interp(wavelength, wavelengths[order], columns[order], left=np.nan, right=np.nan))


def _make_calibration(
    images: Sequence[Product],
    maps: CalibrationMaps,
    cards: list[Card],
    kind: tuple[str, str],
    rotation: int,
    run: Run,
) -> Companion:
    """The calibration file: wavelength and slit position of all pixels."""
    header = merge_product_headers(images, run)
    for keyword in [k for k in header if is_wcs(k)]:
        del header[keyword]
    header.remove("BUNIT", ignore_missing=True)
    extra: list[Card] = [
        ("WCTYPE", "2D", "Wavelength calibration type"),
        ("NORDERS", 1, "Number of orders"),
        ("ORDERS", "1", "Order numbers"),
        ("ROTATION", rotation, "Rotation code"),
    ]
    for keyword, value, comment in [*extra, *cards]:
        header[keyword] = (value, comment)
    product = Product.of(header, {"FLUX": Plane.of(pack_maps(maps, rotation))})
    return Companion(product, *kind)


def _attach_maps(image: Product, maps: CalibrationMaps) -> Product:
    return image.replace(
        WAVECAL=Plane(Plane.of(maps.wavelength).data, "um", inherits_wcs=False),
        SPATCAL=Plane(Plane.of(maps.slit).data, "arcsec", inherits_wcs=False),
    )


@step(
    "fit_traces",
    label="Fit Trace Positions",
    code="TFT",
    product_type="traces_fit",
    level="LEVEL_2",
    saved=True,
    references=_want_for_traces,
)
def fit_traces(images: Sequence[Product], p: TraceSurfaceParameters, run: Run) -> tuple[Product, ...]:
    """Fit slit position as a surface over the detector to the traces of all files, and write the calibration file."""
    orders = load_orders(run, images[0].header)
    rows, columns = images[0]["FLUX"].shape
    simulated = simulate_slit_map(orders.orders[0], orders.slit, (rows, columns))
    parts = [_list_points(image, simulated) for image in images]
    x, y, expected, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    with np.errstate(divide="ignore"):
        error = 1.0 / np.abs(weight) if p.weighted else None
    surface = fit_surface(x, y, expected, (p.x_fit_order, p.y_fit_order), error)
    positions = np.where(np.isfinite(simulated), surface.on_pixels((rows, columns)), np.nan)
    maps = CalibrationMaps(_find_wavelengths(images[0], orders, positions, run), positions)
    step_size = float(np.nanmean(np.abs(np.diff(positions, axis=0))))
    _report(surface, step_size, "pixels", run)
    name = name_grism_product(images[0].header, [image.name for image in images], "RSD")
    run.attach(name.replace(".fits", ".png"), _draw_residuals(x, y, surface.residual / step_size))
    for image, (columns_of, rows_of, _, _) in zip(images, parts, strict=True):
        regions = name_grism_product(image.header, [image.name], "TFT").replace(".fits", ".reg")
        run.attach(regions, join_regions(format_points(columns_of, rows_of)))
    run.accompany(
        _make_calibration(images, maps, list_surface_cards(surface, "S"), ("SCL", "spatcal"), p.rotation, run)
    )
    return tuple(_attach_maps(image, maps) for image in images)


def _list_points(image: Product, simulated: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Column, row, slit position and brightness of the traced points of a file."""
    require_planes(image, "APERTURE_XPOS", "APERTURE_YPOS", "SPATIAL_MAP")
    x, y = image["APERTURE_XPOS"].astype(np.float64), np.asarray(image["APERTURE_YPOS"], dtype=np.float64)
    rows = np.array([aperture.position for aperture in read_apertures(image.header)])
    weight = image["SPATIAL_MAP"][np.clip(np.rint(y).astype(int), 0, len(simulated) - 1), x.astype(int)]
    return x, y, expect_slit_positions(x, y, rows, simulated), weight


def _find_wavelengths(image: Product, orders: OrderSet, positions: FloatArray, run: Run) -> FloatArray:
    try:
        wavelength = load_maps(run, image.header, orders.rotation).wavelength
    except ReferenceDataError as error:
        run.warn(f"{error} Column numbers take the place of wavelengths.")
        wavelength = np.broadcast_to(np.arange(positions.shape[1], dtype=np.float64), positions.shape)
    return np.where(np.isfinite(positions), wavelength, np.nan)
