"""Trace Continuum: the slit position of each source along the spectrum."""

from typing import Any, Literal

import numpy as np
from astropy.io import fits

from sofia_engine.header.cards import freeze
from sofia_engine.instruments.forcast.grism_frame import name_auxiliary, require_planes
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product
from sofia_engine.spectroscopy.aperture_keywords import read_apertures
from sofia_engine.spectroscopy.region_files import format_fit_lines, format_points, join_regions
from sofia_engine.spectroscopy.tracing import Trace, TraceRule, fix_traces, trace_apertures

__all__ = ["TraceParameters", "trace_continuum"]

_FITTED = {"method": "fit to continuum"}


class TraceParameters(SavedOutput):
    """Parameters of Trace Continuum."""

    method: Literal["fix to aperture position", "fit to continuum"] = parameter(
        "fit to continuum",
        label="Trace method",
        help="Follow the source along the spectrum, or take the position of the aperture everywhere.",
    )
    fit_order: int = parameter(
        2,
        label="Trace fit order",
        ge=0,
        le=10,
        help="Degree in wavelength of the polynomial through the positions.",
        applies_when=_FITTED,
    )
    fit_thresh: float = parameter(
        4.0,
        label="Trace fit threshold",
        unit="sigma",
        gt=0,
        le=1000,
        help="Positions further than this from the polynomial are left out.",
        applies_when=_FITTED,
    )
    step_size: int = parameter(
        3,
        label="Fit position step size (pixels)",
        unit="pix",
        ge=1,
        le=100,
        help="Columns that are averaged for each position of the source.",
        applies_when=_FITTED,
    )
    attach_points: bool = parameter(
        False,
        key="attach_trace_xy",
        label="Attach the positions of the trace",
        level="hidden",
        help="Keep the fitted positions in the product, for a spatial calibration.",
    )


@step("trace_continuum", label="Trace Continuum", code="TRC", product_type="continuum_traced", level="LEVEL_2")
def trace_continuum(image: Product, p: TraceParameters, run: Run) -> Product:
    """Follow the continuum of each source along the spectrum with a polynomial."""
    require_planes(image, "WAVEPOS", "SLITPOS")
    apertures = read_apertures(image.header)
    fitted = p.method == "fit to continuum"
    if fitted:
        rule = TraceRule(p.fit_order, p.fit_thresh, p.step_size)
        traces = trace_apertures(image["FLUX"], image["WAVEPOS"], image["SLITPOS"], apertures, rule)
    else:
        traces = fix_traces(apertures, image["WAVEPOS"].size)
    run.attach(name_auxiliary(image, "TRC", ".reg"), _draw_regions(image, traces))
    planes: dict[str, Any] = {"APERTURE_TRACE": _make_trace_plane(traces, image.plane("SLITPOS").unit, fitted=fitted)}
    if p.attach_points:
        planes["APERTURE_XPOS"] = Plane.of(np.concatenate([trace.x for trace in traces]).astype(np.int64), "pixel")
        planes["APERTURE_YPOS"] = Plane.of(np.concatenate([trace.y for trace in traces]), "pixel")
    return image.replace(**planes)


def _make_trace_plane(traces: tuple[Trace, ...], unit: str, *, fitted: bool) -> Plane:
    cards = fits.Header()
    cards["FITTRACE"] = (fitted, "Trace from continuum fits")
    plane = Plane.of(np.stack([trace.positions for trace in traces]), unit)
    return Plane(plane.data, unit, freeze(cards), inherits_wcs=False)


def _draw_regions(image: Product, traces: tuple[Trace, ...]) -> bytes:
    """Fitted points and traces as regions of the viewers; segments are numbered through all traces."""
    lines: list[str] = []
    for trace in traces:
        lines += format_points(trace.x, trace.y)
    first = 1
    for trace in traces:
        segments = format_fit_lines(image["WAVEPOS"], trace.positions, first)
        lines += segments
        first += len(segments)
    return join_regions(lines)
