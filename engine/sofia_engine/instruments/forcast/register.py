"""Register Images: make the world coordinates of several images agree."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

from sofia_engine.errors import HeaderError, ParameterError, StepError
from sofia_engine.header.celestial import read_tangent_plane
from sofia_engine.instruments.forcast.configuration import configure
from sofia_engine.instruments.forcast.throws import scale_of_pixels
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.numerics.geometry import embed_image
from sofia_engine.numerics.peaks import PeakSearch, find_peaks
from sofia_engine.numerics.registration import Registration, measure_shift
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = [
    "RegisterParameters",
    "measure_centroid_shift",
    "measure_correlation_shift",
    "parse_offsets",
    "read_dither",
    "register",
]

Shift = tuple[float, float]
SMALLEST_OFFSET = 1e-4
"""Pixels; smaller offsets given by the user count as none."""


class RegisterParameters(SavedOutput):
    """Parameters of Register Images."""

    method: Literal[
        "Header shifts", "Centroid", "Cross-correlation", "Use first WCS (no image shift)", "Use WCS as is"
    ] = parameter(
        "Use WCS as is",
        key="corcoadd",
        label="Registration algorithm",
        help="How the coordinates of the images are made to agree with the first: by the dithers in the header, by the "
        "position of the brightest source, by cross-correlation, by taking those of the first image for all, or "
        "not at all.",
        applies_when={"offsets": False},
    )
    offsets: str = parameter(
        "",
        label="Override offsets for all images",
        help="Shifts of the reference pixel, as x,y;x,y;... with one pair in pixels for each image, the first "
        "included; they replace the algorithm.",
    )
    fwhm: float = parameter(
        4.5,
        key="mfwhm",
        label="Expected FWHM for centroiding (pix)",
        unit="pix",
        gt=0,
        le=100,
        help="Expected full width at half maximum of the source, for the algorithm Centroid.",
        applies_when={"offsets": False, "method": "Centroid"},
    )
    largest_shift: float = parameter(
        40.0,
        key="xyshift",
        label="Maximum shift for cross-correlation",
        unit="pix",
        gt=0,
        le=1000,
        help="Larger shifts found by cross-correlation are not believed, and the coordinates kept as they are.",
        applies_when={"method": "Cross-correlation"},
    )


def read_dither(image: Product, *, north_up: bool = True) -> Shift:
    """Shift (x, y) in pixels that moves an image onto the undithered position; (0, 0) if it was not dithered.

    Parameters
    ----------
    image : Product
        With the dither in its header.
    north_up : bool
        Whether the image has been turned north up, as images are when they are merged; else its pixels lie as those of
        the detector, as in rectified spectral images.

    Raises
    ------
    HeaderError
        If the image was dithered but its header does not say how far.
    """
    header = image.header
    if not header.get("DITHER"):
        return 0.0, 0.0
    try:
        x, y = float(header["DITHERX"]), float(header["DITHERY"])
    except (KeyError, TypeError, ValueError):
        raise HeaderError(f"{image.name}: DITHERX or DITHERY is missing; use another registration algorithm.") from None
    system = next((header[key] for key in ("DTHCRSYS", "DTHRCS", "DITHERCS") if key in header), "SIRF")
    turn = math.radians(180.0 - float(header.get("SKY_ANGL", 180.0)))
    if str(system).strip().upper() in ("ERF", "2"):
        scale = scale_of_pixels(header)
        return (-x / scale, y / scale) if north_up else _turn((-x / scale, y / scale), -turn)
    return _turn((x, y), turn) if north_up else (x, y)


def _turn(shift: Shift, angle: float) -> Shift:
    (x, y), cosine, sine = shift, math.cos(angle), math.sin(angle)
    return x * cosine + y * sine, -x * sine + y * cosine


def measure_centroid_shift(image: FloatArray, reference: FloatArray, fwhm: float) -> Shift:
    """Shift (x, y) in pixels that moves the brightest source of an image onto that of another.

    Raises
    ------
    StepError
        If there is no source in one of them.
    """
    search = PeakSearch(count=1, fwhm=fwhm, positive=True)
    peaks = find_peaks(reference, search), find_peaks(image, search)
    if not all(peaks):
        raise StepError("there is no source in the image")
    return peaks[0][0].x - peaks[1][0].x, peaks[0][0].y - peaks[1][0].y


def measure_correlation_shift(image: FloatArray, reference: FloatArray, start: Shift, largest: float) -> Shift:
    """Shift (x, y) in pixels that moves an image onto another, by cross-correlation.

    Raises
    ------
    StepError
        If an image has no finite pixel, or the shift is larger than allowed.
    """
    shape = max(image.shape[0], reference.shape[0]), max(image.shape[1], reference.shape[1])
    moved, fixed = (embed_image(plane, shape, (0, 0)) for plane in (image, reference))
    try:
        shift = measure_shift(moved, fixed, Registration(start, largest))
    except ValueError as error:
        raise StepError(str(error)) from None
    if math.hypot(*shift) > largest:
        raise StepError(f"the shift found, {_format(shift)} px, is larger than {largest:g} px")
    return shift


def parse_offsets(text: str, count: int, largest: float) -> list[Shift]:
    """Read offsets given as ``x,y;x,y;...``; those too large or too small to be meant become 0.

    Raises
    ------
    ParameterError
        If there are not as many pairs of numbers as images.
    """
    try:
        pairs = [[float(word) for word in pair.split(",")] for pair in text.split(";") if pair.strip()]
    except ValueError:
        pairs = []
    if len(pairs) != count or any(len(pair) != 2 or not all(map(math.isfinite, pair)) for pair in pairs):
        raise ParameterError(
            f"register.offsets = {text!r} must be {count} pairs x,y of numbers, separated by semicolons."
        )
    kept = [[v if SMALLEST_OFFSET <= abs(v) <= largest else 0.0 for v in pair] for pair in pairs]
    return [(pair[0], pair[1]) for pair in kept]


@step(
    "register",
    label="Register Images",
    code="REG",
    product_type="registered",
    level="LEVEL_2",
    cutout="it changes the coordinates of whole images, no pixels",
)
def register(images: Sequence[Product], p: RegisterParameters, run: Run) -> tuple[Product, ...]:
    """Correct the world coordinates of the images so that they agree with each other; no image is moved.

    The first image is the reference.
    """
    if p.offsets.strip():
        offsets = parse_offsets(p.offsets, len(images), configure(images[0].header).largest_offset)
        run.log(f"Offsets given by the user: {';'.join(map(_format, offsets))}")
    else:
        offsets = [_find_offset(image, images[0], p, run) for image in images]
    shown = ";".join(map(_format, offsets))
    run.history(f"Register: {'given offsets' if p.offsets.strip() else p.method}", f"Register: shifts of CRPIX {shown}")
    run.log(f"Shifts of CRPIX: {shown}")
    return tuple(_apply(image, offset) for image, offset in zip(images, offsets, strict=True))


def _format(shift: Shift) -> str:
    return f"{shift[0]:.4f},{shift[1]:.4f}"


def _apply(image: Product, offset: Shift) -> Product:
    header = image.header
    if offset == (0.0, 0.0):
        return image.replace(header=header.copy())
    return image.with_cards(*((f"CRPIX{n}", float(header[f"CRPIX{n}"]) + offset[n - 1], "") for n in (1, 2)))


def _find_offset(image: Product, reference: Product, p: RegisterParameters, run: Run) -> Shift:
    """Change of the reference pixel of one image."""
    measure = _MEASURES.get(p.method)
    if measure is None or (image is reference and p.method != "Header shifts"):
        return 0.0, 0.0
    try:
        shift = measure(image, reference, p)
    except StepError as error:
        run.warn(f"{image.name} is not registered: {error}; its coordinates are kept.")
        return 0.0, 0.0
    plane, fixed = read_tangent_plane(image.header), read_tangent_plane(reference.header)
    x, y = plane.to_pixel(*fixed.sky)
    return fixed.pixel[0] - float(x) - shift[0], fixed.pixel[1] - float(y) - shift[1]


def _expect_shift(image: Product, reference: Product, dither: Shift) -> Shift:
    """Image shift that a dither means, once both images were moved inside their frames."""
    moved = [float(image.header.get(k, 0.0)) - float(reference.header.get(k, 0.0)) for k in ("DCRPIX1", "DCRPIX2")]
    return dither[0] - moved[0], dither[1] - moved[1]


def _shift_by_header(image: Product, reference: Product, _p: RegisterParameters) -> Shift:
    return _expect_shift(image, reference, read_dither(image))


def _shift_by_centroid(image: Product, reference: Product, p: RegisterParameters) -> Shift:
    return measure_centroid_shift(image["FLUX"], reference["FLUX"], p.fwhm)


def _shift_by_correlation(image: Product, reference: Product, p: RegisterParameters) -> Shift:
    mine, first = read_dither(image), read_dither(reference)
    start = _expect_shift(image, reference, (mine[0] - first[0], mine[1] - first[1]))
    return measure_correlation_shift(image["FLUX"], reference["FLUX"], start, p.largest_shift)


def _no_shift(_image: Product, _reference: Product, _p: RegisterParameters) -> Shift:
    return 0.0, 0.0


_MEASURES: dict[str, Callable[[Product, Product, RegisterParameters], Shift]] = {
    "Header shifts": _shift_by_header,
    "Centroid": _shift_by_centroid,
    "Cross-correlation": _shift_by_correlation,
    "Use first WCS (no image shift)": _no_shift,
}
