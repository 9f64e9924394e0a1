"""Stack Chops/Nods: the planes of a raw file combined to one image of the sky."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from astropy.io import fits

from sofia_engine.errors import HeaderError, InputError, StepError
from sofia_engine.header.cards import Card
from sofia_engine.instruments.forcast.configuration import configure
from sofia_engine.instruments.forcast.mode import find_sky_mode, read_text
from sofia_engine.instruments.forcast.section import PixelPair, parse_pair, section_center, section_size
from sofia_engine.instruments.forcast.stacking import (
    Frames,
    StackRule,
    combine_planes,
    find_rule,
    scale_factors,
    sum_repeats,
)
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.numerics.filtering import (
    measure_pattern_without_source,
    remove_row_pattern,
    remove_row_pattern_by_median,
)
from sofia_engine.numerics.statistics import find_most_frequent_value, median_of_section, select_section
from sofia_engine.pipeline.cutout import Cutout
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = ["StackParameters", "measure_background", "stack"]

TO_MEGA = 1e-6

_SUBTRACTING = {"add_frames": False}
_MEASURING = (
    {"add_frames": False, "subtract_background": True},
    {"add_frames": False, "scale_background": True},
)
"""With which a level of the background is measured."""


class StackParameters(SavedOutput):
    """Parameters of Stack Chops/Nods."""

    add_frames: bool = parameter(
        False,
        label="Add all frames instead of subtracting",
        help="Take the median of all planes instead of differences of chops and nods; the result holds the background.",
    )
    clean_jailbars: bool = parameter(
        True,
        key="jbclean",
        label="Apply 'jailbar' correction",
        help="Remove the pattern of vertical stripes with a period of 16 pixels that readout channels leave.",
    )
    scale_background: bool = parameter(
        False,
        key="bgscale",
        label="Scale frames to common level",
        group="Background",
        help="Scale planes to the same background level before they are subtracted from each other.",
        applies_when=_SUBTRACTING,
    )
    subtract_background: bool = parameter(
        True,
        key="bgsub",
        label="Subtract residual background",
        group="Background",
        help="Subtract the level that is left in the stacked image.",
        applies_when=_SUBTRACTING,
    )
    center: PixelPair = section_center("Background", applies_when=_MEASURING)
    size: PixelPair = section_size("Background", applies_when=_MEASURING)
    statistic: Literal["median", "mode"] = parameter(
        "median",
        key="bgstat",
        label="Residual background statistic",
        group="Background",
        help="How the residual background is measured: median of the section, or its most frequent value.",
        applies_when={"add_frames": False, "subtract_background": True},
    )
    jailbar_baseline: Literal["Running mean", "Running median", "Dark rows"] = parameter(
        "Running mean",
        label="Baseline below the stripes",
        level="expert",
        help="What is taken for sky and source below the stripes: a running mean over one period removes stripes of "
        "any strength, the running median of earlier reductions leaves part of them; both row by row. Dark rows: the "
        "stripes of rows without source are taken off all rows, which leaves spectra alone.",
        applies_when={"clean_jailbars": True},
    )


def _refuse_part(_header: fits.Header, p: StackParameters) -> str:
    if not p.add_frames and (p.subtract_background or p.scale_background):
        return "it measures the background in a section of the whole detector"
    if p.clean_jailbars and p.jailbar_baseline == "Dark rows":
        return "it measures stripes in rows of the whole detector"
    return ""


@step(
    "stack",
    label="Stack Chops/Nods",
    code="STK",
    product_type="stacked",
    level="LEVEL_2",
    cutout=Cutout(whole_rows=True, refuse=_refuse_part),
)
def stack(image: Product, p: StackParameters, run: Run) -> Product:
    """Subtract chop and nod positions from each other, remove readout stripes, and convert counts to Me/s."""
    mode = "STARE" if p.add_frames else find_sky_mode(image.header, planes=len(image["FLUX"]))
    rule = find_rule(mode)
    if rule is None:
        raise StepError(
            f"{image.name}: the chop and nod mode {mode or '(none)'} cannot be stacked; "
            "correct INSTMODE and SKYMODE, or set stack.add_frames."
        )
    frames = _combine(image, rule, p, run)
    frames = _orient(frames, image, rule, run)
    if p.clean_jailbars:
        frames = Frames(_remove_stripes(frames.flux, p.jailbar_baseline, run), frames.variance)
    frames, unit = _convert_to_electrons(frames, image, run)
    subtract = p.subtract_background and not p.add_frames
    if subtract:
        frames = _subtract_background(frames, p, unit, run)
    scaled = p.scale_background and not p.add_frames
    cards: list[Card] = [
        ("BGSCALE", scaled, "background scale"),
        configure(image.header).card("CHOPTSAC"),
        ("BGSUB", subtract, "residual background subtracted after stack"),
        *_exposure_cards(image, mode, run),
    ]
    if p.add_frames:
        cards += [("INSTMODE", "STARE", ""), ("SKYMODE", "STARE", "")]
    planes = {"FLUX": frames.flux, "ERROR": np.sqrt(frames.variance)}
    return image.with_cards(*cards).replace(units=dict.fromkeys(planes, unit), **planes)


def _remove_stripes(flux: FloatArray, baseline: str, run: Run) -> FloatArray:
    if baseline != "Dark rows":
        run.history(f"Stack: readout stripes removed above a {baseline.lower()}")
        return (remove_row_pattern if baseline == "Running mean" else remove_row_pattern_by_median)(flux)
    pattern = measure_pattern_without_source(flux)
    if pattern is None:
        run.history("Stack: readout stripes stay, all rows are equally bright")
        return flux
    run.history(f"Stack: readout stripes of rows without source removed, rms {pattern.std():.4g} ct")
    return flux - pattern.astype(flux.dtype)


def measure_background(image: FloatArray, p: StackParameters) -> float:
    """Return the level of the section of an image, by the statistic of the parameters; NaN if it is empty."""
    center, size = parse_pair(p.center), parse_pair(p.size)
    if p.statistic == "mode":
        return find_most_frequent_value(image[select_section(image.shape, center, size)])
    return median_of_section(image, center, size)


def _combine(image: Product, rule: StackRule, p: StackParameters, run: Run) -> Frames:
    frames = Frames(image["FLUX"], image["ERROR"] ** 2)
    if frames.flux.ndim != 3:
        raise InputError(f"{image.name}: FLUX must be a stack of images, not an array of shape {frames.flux.shape}.")
    repeats = _find_repeats(image)
    if repeats > 1:
        if len(frames.flux) % repeats:
            run.warn(
                f"{image.name}: {len(frames.flux)} planes are no multiple of OTSTACKS = {repeats}; the rest is dropped."
            )
        frames = sum_repeats(frames, repeats)
        run.history(f"Stack: each {repeats} consecutive planes summed (OTSTACKS)")
    levels = None
    if p.scale_background and not p.add_frames:
        levels = scale_factors(frames.flux, parse_pair(p.center), parse_pair(p.size))
        run.history(
            f"Stack: planes scaled to a common level; levels {', '.join(f'{level:.3f}' for level in levels)} ct"
        )
    try:
        stacked = combine_planes(frames, rule, levels)
    except ValueError as error:
        raise InputError(f"{image.name}: {error}; check INSTMODE and SKYMODE.") from None
    if not np.isfinite(stacked.flux).any():
        raise InputError(
            f"{image.name}: no pixel has a valid value in all planes that are combined; leave the file out."
        )
    return stacked


def _find_repeats(image: Product) -> int:
    sampling = read_text(image.header, "OTMODE")
    repeats = image.header.get("OTSTACKS")
    if sampling != "AD":
        raise HeaderError(
            f"{image.name}: OTMODE is {sampling or 'missing'}; only data taken with OTMODE = AD can be stacked."
        )
    if isinstance(repeats, bool) or not isinstance(repeats, int | float) or repeats < 1:
        raise HeaderError(
            f"{image.name}: OTSTACKS is {repeats}; the number of repeats of each plane is needed to stack."
        )
    return int(repeats)


def _orient(frames: Frames, image: Product, rule: StackRule, run: Run) -> Frames:
    """Make the source positive: nod beam and the convention of the chopper decide its sign."""
    sign = 1
    if rule in ("map", "nod") and read_text(image.header, "NODBEAM") == "B":
        sign = -sign
        run.history("Stack: sign turned, the first planes are of nod beam B")
    convention = configure(image.header).chop_convention
    if rule not in ("stare", "nod") and abs(convention) == 1:
        sign *= -convention
        run.history(f"Stack: chop convention is {convention}")
    return frames if sign == 1 else frames.scaled(sign)


def _convert_to_electrons(frames: Frames, image: Product, run: Run) -> tuple[Frames, str]:
    rate, gain = image.header.get("FRMRATE"), image.header.get("EPERADU")
    if not all(isinstance(value, int | float) and value > 0 for value in (rate, gain)):
        run.warn(f"{image.name}: FRMRATE or EPERADU is missing or not positive; the image stays in counts.")
        return frames, image.plane("FLUX").unit
    run.history(f"Stack: counts converted to Me/s with {rate} frames/s and {gain} e/ct")
    return frames.scaled(TO_MEGA * float(rate) * float(gain)), "Me/s"


def _subtract_background(frames: Frames, p: StackParameters, unit: str, run: Run) -> Frames:
    level = measure_background(frames.flux, p)
    if math.isnan(level):
        run.warn("The background section holds no valid pixels; no residual background is subtracted.")
        return frames
    run.history(f"Stack: residual background of {level:.8g} {unit} ({p.statistic} of the section) subtracted")
    run.quality["subtracted_background"] = level
    return Frames(frames.flux - frames.flux.dtype.type(level), frames.variance)


def _exposure_cards(image: Product, mode: str, run: Run) -> list[Card]:
    exposures = 2 if "NMC" in mode else 1
    duration = image.header.get("DETITIME")
    if isinstance(duration, bool) or not isinstance(duration, int | float):
        run.warn(f"{image.name}: DETITIME is missing; the exposure time is set to 0.")
        duration = 0.0
    return [
        ("NEXP", exposures, "Approximate number of exposures"),
        ("EXPTIME", exposures * float(duration) / 2, "Nominal on-source integration time [s]"),
    ]
