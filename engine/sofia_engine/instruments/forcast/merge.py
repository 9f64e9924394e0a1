"""Merge Chops/Nods: add up the positive and negative images of a source, and turn north up."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from astropy.io import fits

from sofia_engine.errors import StepError
from sofia_engine.header.cards import Card
from sofia_engine.header.celestial import linear_cards
from sofia_engine.instruments.forcast.configuration import configure
from sofia_engine.instruments.forcast.frame import (
    read_integration_time,
    read_reference_pixel,
    read_source_position,
    reference_pixel_cards,
    source_position_cards,
)
from sofia_engine.instruments.forcast.mode import find_sky_mode, slit_is_in
from sofia_engine.instruments.forcast.throws import PATTERNS, Copy, Throws, match_pattern, read_throws
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.numerics.coadd import shift_and_add
from sofia_engine.numerics.geometry import (
    AffineGeometry,
    Canvas,
    crop_geometry,
    find_finite_box,
    fit_canvas,
    place_image,
    rotate_about,
)
from sofia_engine.numerics.interpolation import Interpolation, interpolate_image, interpolate_planes
from sofia_engine.numerics.peaks import Peak, PeakSearch, find_peaks
from sofia_engine.numerics.registration import Registration, measure_shift
from sofia_engine.pipeline.cutout import Cutout
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product

__all__ = [
    "UNSHIFTED",
    "MergeParameters",
    "MergeRule",
    "MergedImage",
    "find_pattern",
    "measure_throws",
    "merge",
    "merge_copies",
    "rotate_merged",
]

Method = Literal["Header shifts", "Centroid", "Cross-correlation", "No shift"]

KEYWORDS = {"Header shifts": "HEADER", "Centroid": "CENTROID", "Cross-correlation": "XCOR", "No shift": "NOSHIFT"}
SEARCH_MARGIN = 10
"""Pixels inside the border in which no source is looked for."""
_PUBLISHED_THRESHOLD = 20.0
"""Written as in published products; there, too, the threshold follows from the number of sources wanted."""
CANDIDATES = 40
"""Peaks among which the expected pattern is looked for."""
TOLERANCE = 8.0
"""Largest deviation of a source from where chop and nod put it, pixels; the optical distortion explains some."""
UNSHIFTED = ("C2NC4", "STARE")
"""Modes without images in other positions: the reference beam is empty sky, or nothing was subtracted."""
WINDOW = 16.0
"""Largest deviation of a shift found by cross-correlation from the one in the header, pixels."""
_TURNED_FLUX = Interpolation(order=1, edge="missing", minimum_weight=1e-3)
_TURNED_NEAREST = Interpolation(order=0, edge="missing")


class MergeParameters(SavedOutput):
    """Parameters of Merge Chops/Nods."""

    method: Method = parameter(
        "No shift",
        key="cormerge",
        label="Merging algorithm",
        help="How the images in the chop and nod positions are brought together: by the throws in the header, by the "
        "measured positions of the source (NMC and NPC), by cross-correlation starting from the header, or not at all.",
    )
    skip_rotation: bool = parameter(
        False, label="Skip rotation", help="Keep the orientation of the detector; otherwise north is turned up."
    )
    exact_norm: bool = parameter(
        False,
        label="Count beams exactly",
        level="expert",
        help="For matched chop and nod, divide by the number of beams that really overlap also outside the image that "
        "holds two of them. Earlier reductions count one too many there, so that sources look half as bright.",
        applies_when={"method": ("Header shifts", "Centroid", "Cross-correlation")},
    )


@dataclass(frozen=True, eq=False)
class MergedImage:
    """Sum of the copies of an image, divided by their number.

    Attributes
    ----------
    flux, error : (my, mx) ndarray
        Flux per pixel and 1-sigma error; NaN where no copy has a value.
    norm : (my, mx) ndarray
        Number of beams that took part, 0 where none.
    origin : (int, int)
        To be added to positions (x, y) of the input.
    """

    flux: FloatArray
    error: FloatArray
    norm: FloatArray
    origin: tuple[int, int]


@dataclass(frozen=True)
class MergeRule:
    """How copies are averaged.

    Attributes
    ----------
    doubled : bool
        The image that is not shifted holds two beams (matched chop and nod).
    exact : bool
        Count the beams of each pixel exactly. Otherwise the published rule holds for matched chop and nod: one beam
        more than the number of images, also where the one with two beams has no value. Inside that image the flux
        is divided by the true number all the same, so that its bad pixels do not dim a source.
    crop : bool
        Cut edges without any value.
    order : int
        Interpolation of the flux; the error is that of the nearest pixel.
    """

    doubled: bool
    exact: bool = False
    crop: bool = False
    order: int = 1


def merge_copies(flux: FloatArray, error: FloatArray, copies: Sequence[Copy], rule: MergeRule) -> MergedImage:
    """Shift copies of an image on top of each other and average them.

    Parameters
    ----------
    flux, error : (ny, nx) ndarray
        NaN is bad and does not take part.
    copies : sequence of (float, float, int)
        Shift x, shift y, sign.
    rule : MergeRule
        How they are averaged.
    """
    canvas = fit_canvas((flux.shape[0], flux.shape[1]), [copy[:2] for copy in copies])
    variance = np.where(np.isfinite(flux), error, np.nan).astype(np.float64) ** 2
    total = shift_and_add(flux, variance, copies, canvas, order=rule.order)
    norm, divisor = _count_beams(flux, total.norm, canvas, rule) if rule.doubled else (total.norm, total.norm)
    mean, spread = total.normalize(divisor)
    merged = MergedImage(mean, np.sqrt(spread), norm, canvas.origin)
    return _crop(merged, find_finite_box(mean)) if rule.crop else merged


def _count_beams(
    flux: FloatArray, images: FloatArray, canvas: Canvas, rule: MergeRule
) -> tuple[FloatArray, FloatArray]:
    """Number of beams for the exposure map and as divisor of the flux, from the number of images."""
    good = np.isfinite(flux)
    exact = images + place_image(good.astype(images.dtype), canvas, order=0)
    if rule.exact:
        return exact, exact
    published = images + (images > 0)
    inside = np.zeros(flux.shape)
    inside[find_finite_box(flux)] = 1.0
    return published, np.where(place_image(inside, canvas, order=0) > 0, exact, published)


def _crop(merged: MergedImage, box: tuple[slice, slice]) -> MergedImage:
    origin = merged.origin[0] - box[1].start, merged.origin[1] - box[0].start
    return MergedImage(merged.flux[box], merged.error[box], merged.norm[box], origin)


def find_pattern(flux: FloatArray, mode: str, throws: Throws, search: PeakSearch) -> tuple[Peak, ...]:
    """Find the positive and negative images of the source.

    The brightest peaks are taken if their number, signs and symmetry are those of the mode. Otherwise the pattern that
    the header describes is looked for among fainter peaks too.

    Parameters
    ----------
    flux : (ny, nx) ndarray
        NaN is bad.
    mode : str
        NMC (one positive, two negative images) or NPC (two of each).
    throws : Throws
        Expected shifts.
    search : PeakSearch
        Width of the source and border.

    Raises
    ------
    StepError
        If the mode has no such pattern, or it is not found.
    """
    if mode not in PATTERNS:
        raise StepError(f"the images of mode {mode} cannot be told apart by their positions")
    positive, negative = PATTERNS[mode]
    brightest = find_peaks(flux, replace(search, count=positive + negative))
    signs_agree = sorted(peak.sign for peak in brightest) == [-1] * negative + [1] * positive
    if signs_agree and _is_symmetric(brightest, positive):
        return brightest
    candidates = find_peaks(flux, replace(search, count=CANDIDATES))
    pattern = match_pattern(candidates, throws, matched=mode == "NMC", tolerance=TOLERANCE)
    if pattern is None:
        signs = "".join("+" if peak.sign > 0 else "-" for peak in brightest) or "none"
        raise StepError(
            f"{positive} positive and {negative} negative images in the pattern of the throws are needed, but the "
            f"brightest are {signs}"
        )
    return pattern


def _is_symmetric(peaks: Sequence[Peak], positive: int) -> bool:
    """Tell whether positive and negative images have the same middle, as chop and nod of any throw make it."""
    middles = [
        (float(np.mean([peak.x for peak in group])), float(np.mean([peak.y for peak in group])))
        for group in ([p for p in peaks if p.sign > 0], [p for p in peaks if p.sign < 0])
    ]
    (x, y), (other_x, other_y) = middles
    return max(abs(x - other_x), abs(y - other_y)) <= TOLERANCE / positive


def align_peaks(peaks: Sequence[Peak], target: tuple[float, float]) -> list[Copy]:
    """Shifts that bring all peaks onto the one nearest to a position (x, y)."""
    reference = min(peaks, key=lambda peak: math.hypot(peak.x - target[0], peak.y - target[1]))
    return [(reference.x - peak.x, reference.y - peak.y, peak.sign) for peak in peaks]


def measure_throws(flux: FloatArray, expected: Throws, border: int) -> Throws:
    """Measure chop and nod throw by cross-correlation of an image with its negative, starting from the expected ones.

    Raises
    ------
    StepError
        If the image has no finite pixel.
    """

    def measure(start: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if start is None else measure_shift(-flux, flux, Registration(start, WINDOW, border=border))

    try:
        return Throws(measure(expected.chop), measure(expected.nod))
    except ValueError as error:
        raise StepError(f"the shifts cannot be measured: {error}") from None


def rotate_merged(merged: MergedImage, angle: float, center: tuple[float, float]) -> tuple[MergedImage, AffineGeometry]:
    """Turn an image clockwise about a pixel and cut edges without any value.

    Parameters
    ----------
    merged : MergedImage
        Image, error and norm.
    angle : float
        Degrees.
    center : (float, float)
        Pixel (x, y), from 0, in the merged image.

    Returns
    -------
    MergedImage, AffineGeometry
        The turned image, and where its pixels lie in the one before.
    """
    geometry = rotate_about((merged.flux.shape[0], merged.flux.shape[1]), angle, center)
    coordinates = geometry.coordinates()
    flux = interpolate_image(merged.flux, coordinates, _TURNED_FLUX)
    box = find_finite_box(flux)
    inside = coordinates[:, box[0], box[1]]
    error, norm = interpolate_planes((merged.error, merged.norm), inside, _TURNED_NEAREST)
    return MergedImage(flux[box], error, np.nan_to_num(norm), merged.origin), crop_geometry(geometry, box)


def _refuse_part(header: fits.Header, p: MergeParameters) -> str:
    if p.method != "No shift" and _shifts_images(header, find_sky_mode(header)):
        return "it adds images of the source from other places"
    if not p.skip_rotation and _angle_to_north(header) % 90:
        return "it turns north up, which gives a part pixels of its own (with 'Skip rotation' it would not)"
    return ""


@step(
    "merge",
    label="Merge Chops/Nods",
    code="MRG",
    product_type="merged",
    level="LEVEL_2",
    saved=True,
    cutout=Cutout(refuse=_refuse_part),
)
def merge(image: Product, p: MergeParameters, run: Run) -> Product:
    """Add up the images of a source in the chop and nod positions, turn north up, and make the exposure map.

    The negative images are subtracted from the positive one after they were shifted onto it, and the sum is divided
    by the number of beams. Where the throws are too large for that, or it is not wanted, the flux is only divided by
    the number of beams in the positive image.
    """
    time = read_integration_time(image)
    mode = find_sky_mode(image.header)
    plan = plan_merge(image, p.method, mode, run)
    rule = MergeRule(mode == "NMC", p.exact_norm, plan.method == "Centroid", configure(image.header).shift_order)
    merged = merge_copies(image["FLUX"], image["ERROR"], plan.copies, rule)
    return _finish(image, merged, plan, p, run, time)


@dataclass(frozen=True)
class MergePlan:
    """How the images are brought together.

    Attributes
    ----------
    method : str
        The method that was used in the end.
    copies : tuple of Copy
        Shifts and signs.
    cards : tuple of Card
        What headers tell of it.
    """

    method: Method
    copies: tuple[Copy, ...]
    cards: tuple[Card, ...]


def plan_merge(image: Product, method: Method, mode: str, run: Run) -> MergePlan:
    """Find the shifts of the copies; if a measurement fails, those of the header, with a warning."""
    header = image.header
    if method != "No shift" and not _shifts_images(header, mode):
        run.log(
            f"Images are not shifted in mode {mode}." if mode in UNSHIFTED else "Images through a slit are not shifted."
        )
        method = "No shift"
    if method == "No shift":
        return _describe_plan(method, [(0.0, 0.0, 1)], ())
    throws = read_throws(header, configure(header))
    try:
        if method == "Centroid":
            return _plan_centroid(image, mode, throws, run)
        if method == "Cross-correlation":
            throws = measure_throws(image["FLUX"], throws, int(header.get("BORDER", 0)))
    except StepError as error:
        run.warn(f"Merging with {method.lower()} failed: {error}; the shifts of the header are used.")
        method = "Header shifts"
    return _describe_plan(method, throws.copies(matched=mode == "NMC"), (throws.chop, throws.nod))


def _shifts_images(header: fits.Header, mode: str) -> bool:
    return mode not in UNSHIFTED and not slit_is_in(header)


def _angle_to_north(header: fits.Header) -> float:
    """Degrees by which an image is to be turned clockwise so that north is up."""
    return 180.0 - float(header.get("SKY_ANGL", 180.0))


def _plan_centroid(image: Product, mode: str, throws: Throws, run: Run) -> MergePlan:
    configuration = configure(image.header)
    border = int(image.header.get("BORDER", 0)) + SEARCH_MARGIN
    search = PeakSearch(fwhm=configuration.centroid_fwhm, border=border)
    peaks = sorted(find_pattern(image["FLUX"], mode, throws, search), key=lambda peak: peak.y)
    target = read_source_position(image.header) or read_reference_pixel(image, run)
    copies = align_peaks(peaks, target)
    cards: list[Card] = [
        configuration.card("MFWHM"),
        ("MTHRESH", _PUBLISHED_THRESHOLD, "threshold for peakfind at merge (not used)"),
        ("BORDER", 0, "additional border pixels"),
    ]
    for index, peak in enumerate(peaks):
        run.history(f"Merge: {'positive' if peak.sign > 0 else 'negative'} source at [{peak.x:.3f},{peak.y:.3f}]")
        cards += [
            (f"MRGX{index}", peak.x, "X coordinates during merge"),
            (f"MRGY{index}", peak.y, "Y coordinates during merge"),
        ]
    return _describe_plan("Centroid", copies, [copy[:2] for copy in copies], cards)


def _describe_plan(
    method: Method, copies: Sequence[Copy], shifts: Sequence[tuple[float, float] | None], cards: Sequence[Card] = ()
) -> MergePlan:
    described: list[Card] = [("CORMERGE", KEYWORDS[method], "merging algorithm"), *cards]
    for index, shift in enumerate(shifts):
        if shift is not None:
            described += [
                (f"MRGDX{index}", shift[0], "X shift during merge"),
                (f"MRGDY{index}", shift[1], "Y shift during merge"),
            ]
    return MergePlan(method, tuple(copies), tuple(described))


def _finish(image: Product, merged: MergedImage, plan: MergePlan, p: MergeParameters, run: Run, time: float) -> Product:
    """Turn the merged image and write what was done to its header."""
    start, source = read_reference_pixel(image, run), read_source_position(image.header)
    reference = _move(start, merged.origin)
    source = None if source is None else _move(source, merged.origin)
    header = image.header.copy()
    run.history(f"Merge: method {plan.method}", *(_describe_copy(copy) for copy in plan.copies))
    if not p.skip_rotation:
        angle = _angle_to_north(header)
        merged, geometry = rotate_merged(merged, angle, reference)
        reference = _place(geometry, reference)
        source = None if source is None else _place(geometry, source)
        for keyword in linear_cards(header):
            del header[keyword]
        header["CROTA2"] = 0.0
        run.history(f"Rotate: image turned by {angle:g} degrees clockwise, north is up")
    beams = float(merged.norm.max(initial=0.0))
    run.history(f"Merge: {beams:g} beams of {time:g} s overlap at most")
    cards: list[Card] = [
        *plan.cards,
        *([] if plan.method == "No shift" else [configure(header).card("SHIFTORD")]),
        *reference_pixel_cards(header, start, reference),
        *source_position_cards(source),
        ("NEXP", beams, "Approximate number of exposures"),
        ("EXPTIME", beams * time, "Nominal on-source integration time [s]"),
    ]
    for keyword, value, comment in cards:
        header[keyword] = (value, comment) if comment else value
    exposure = Plane.of(merged.norm * time, "s")
    return image.replace(header=header, FLUX=merged.flux, ERROR=merged.error, EXPOSURE=exposure)


def _move(position: tuple[float, float], origin: tuple[int, int]) -> tuple[float, float]:
    return position[0] + origin[0], position[1] + origin[1]


def _place(geometry: AffineGeometry, position: tuple[float, float]) -> tuple[float, float]:
    x, y = geometry.to_output(*position)
    return float(x), float(y)


def _describe_copy(copy: Copy) -> str:
    return f"Shift: {'added' if copy[2] > 0 else 'subtracted'} the image shifted by [{copy[0]:.3f},{copy[1]:.3f}]"
