"""Fit Ramps: the signal of each pixel from the slopes of its ramps."""

import threading
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
from astropy.io import fits

from sofia_engine.errors import StepError
from sofia_engine.header.merging import observation_time
from sofia_engine.instruments.fifi_ls.gratings import (
    SCAN_POSITIONS,
    count_gratings,
    grating_header,
    make_cards,
    make_plane,
    read_card,
    replace_planes,
    scan_positions,
)
from sofia_engine.instruments.fifi_ls.mode import (
    channel_letter,
    find_date,
    find_order,
    is_otf,
    request_reference,
    require_integer,
    require_number,
)
from sofia_engine.instruments.fifi_ls.pointing import find_astray_ramps, parse_pointing
from sofia_engine.instruments.fifi_ls.ramps import (
    OutlierRule,
    RampSampling,
    Slopes,
    average_slopes,
    drop_noisy,
    find_outliers,
    find_unstable_ramps,
    fit_ramps,
    fold_ramps,
    follow_signal,
    pool_variances,
    subtract_bias,
    widen_by_scatter,
)
from sofia_engine.instruments.fifi_ls.raw import read_grating
from sofia_engine.instruments.fifi_ls.scanning import ScanPath, average_ramps, make_table, read_table
from sofia_engine.instruments.fifi_ls.tables import read_bad_pixels, read_resolution
from sofia_engine.numerics.arrays import BoolArray, FloatArray
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product, Table

__all__ = ["FitRampsParameters", "fit_all_ramps"]

FULL_RAMP = 27
"""Samples of a ramp that did not saturate."""
DROPPED = 2
"""Ramps after a move of the grating."""
READOUTS_PER_SECOND = 250.0
LONG_RESET = range(20140102, 20150301)
"""Days on which the first three readouts of a ramp were disturbed, not two."""
_ONE_AT_A_TIME = threading.Lock()


class FitRampsParameters(SavedOutput):
    """Parameters of Fit Ramps."""

    parallel: bool = parameter(
        True, label="Use parallel processing", help="Fit the ramps of several files at the same time.", level="expert"
    )
    s2n: float = parameter(
        10.0,
        label="Signal-to-noise threshold",
        help="Slopes of ramps below so many times their error are not used; 0 or less uses all.",
    )
    thresh: float = parameter(
        5.0,
        label="Combination threshold (sigma)",
        gt=0,
        help="Slopes further from the median than so many standard deviations are left out of the mean.",
    )
    badpix_file: str = parameter(
        "", label="Bad pixel file", pick="file", help="List of bad pixels; empty takes the one of the date."
    )
    remove_first: bool = parameter(
        True,
        label="Remove 1st 2 ramps",
        help="Leave out the first two ramps at each grating position, during which it settles; not in scans.",
    )
    subtract_bias: bool = parameter(
        True, label="Subtract bias", help="Subtract the open row of the detector from all others."
    )
    indpos_sigma: float = parameter(
        3.0,
        label="Threshold for grating instability",
        help="Leave out ramps during which the grating was further from its position than so many standard deviations; "
        "0 or less uses all.",
    )
    full_ramps: bool = parameter(
        False, label="Use only full ramps", help="Leave out ramps that saturate before 27 samples, rather than 2."
    )
    pointing_discard: bool = parameter(
        False,
        label="Discard ramps with bad pointing",
        help="Leave out ramps during which the telescope pointed elsewhere; needs a file of pointing errors.",
    )
    pointing_directory: str = parameter(
        "",
        label="Pointing directory",
        pick="directory",
        help="Folder of the tables of pointing errors, named by mission (MISSN-ID) with the ending .tsv.",
        applies_when={"pointing_discard": True},
    )
    pointing_threshold_psf_frac: float = parameter(
        0.1,
        label="Relative pointing threshold",
        gt=0,
        help="Largest pointing error, as a fraction of the width of the point spread function.",
        applies_when={"pointing_discard": True},
    )
    outlier_rule: OutlierRule = parameter(
        "pixel",
        label="Compare slopes with",
        level="expert",
        help="Find outliers among the ramps of the same pixel, or (ramp) among all pixels of the same ramp, as earlier "
        "reductions did: that drops bright pixels and keeps glitches.",
    )
    ramp_errors: Literal["fit", "scatter"] = parameter(
        "fit",
        label="Errors of ramps from",
        level="expert",
        help="Weigh each ramp with the scatter of its readouts about its line (fit), or with the mean of that over the "
        "ramps of the pixel, enlarged until it explains the scatter from ramp to ramp (scatter): better where ramps "
        "collect noise, such as that of photons. Scans do the like in any case.",
    )


def _list_references(header: fits.Header, p: FitRampsParameters) -> Mapping[str, Wanted]:
    letter = channel_letter(header).lower()
    wanted = {
        "bad_pixels": Wanted(
            request_reference(header, "bad_pixel_list", "bad pixel list", channel=letter), p.badpix_file
        )
    }
    if p.pointing_discard:
        wanted["resolution"] = Wanted(request_reference(header, "resolution", "resolution table"))
    return wanted


@step(
    "fit_ramps",
    label="Fit Ramps",
    code="RP",
    product_type="ramps_fit",
    level="LEVEL_2",
    references=_list_references,
)
def fit_all_ramps(chop: Product, p: FitRampsParameters, run: Run) -> Product:
    """Fit straight lines to the ramps of each pixel, and average their slopes.

    Ramps are cut where the detector saturates, and left out where they are noisy, outliers, or the grating or the
    telescope was astray. In scans on the fly each ramp keeps its own value and position.
    """
    with nullcontext() if p.parallel else _ONE_AT_A_TIME:
        return _fit_chop(chop, p, run)


def _fit_chop(chop: Product, p: FitRampsParameters, run: Run) -> Product:
    used = run.find_reference("bad_pixels")
    bad = None if used is None else read_bad_pixels(used.path)
    if bad is None:
        run.warn(f"{chop.name}: there is no list of bad pixels for the day of the observation.")
    sampling = _choose_sampling(chop.header, p)
    scanned = is_otf(chop.header)
    planes: dict[str, Plane | Table] = {}
    for grating in range(count_gratings(chop)):
        slopes = _fit_grating(chop, grating, sampling, p, run)
        # a bright source that a scan sweeps over is no outlier: ramps are compared with their neighbours
        swept = follow_signal(slopes.slope) if scanned and p.outlier_rule == "pixel" else 0.0
        outliers = find_outliers(slopes.slope - swept, p.thresh, p.outlier_rule)
        path = _average_path(chop, sampling.length) if scanned else None
        if p.ramp_errors == "scatter" and path is None:
            slopes = pool_variances(slopes, outliers)
        flux, error = _combine(slopes, outliers, path)
        if bad is not None:
            flux[..., bad] = error[..., bad] = np.nan
        if not np.isfinite(flux).any():
            run.warn(
                f"{chop.name}: no ramp of FLUX_G{grating} is left, so that none of its pixels has a value; see s2n "
                f"({p.s2n:g}), thresh ({p.thresh:g}), indpos_sigma ({p.indpos_sigma:g}) and full_ramps of fit_ramps."
            )
        cards = _describe(chop, grating, flux, error, path)
        planes[f"FLUX_G{grating}"] = make_plane(flux, "adu/s", cards)
        planes[f"STDDEV_G{grating}"] = make_plane(error, "adu/s", cards)
        if path is not None:
            planes[f"{SCAN_POSITIONS}_G{grating}"] = make_table(path.take(path.good), readouts=False)
        run.check_cancelled()
    run.history("Ramps fit; bad pixels flagged with NaN")
    if p.remove_first and not scanned:
        run.history(f"Ramps fit; removed first {DROPPED} ramps")
    first, last = sampling.part.indices(sampling.length)[:2]
    run.history(f"Ramps fit; fitting on readouts [{first + 1}: {last}]")
    name = Path(used.name).name if used is not None else "UNKNOWN"
    return replace_planes(chop.with_cards(("BDPXFILE", name, "Bad pixel file name")), planes)


def _choose_sampling(header: fits.Header, p: FitRampsParameters) -> RampSampling:
    length = require_integer(header, f"RAMPLN_{channel_letter(header)}")
    skipped = 3 if find_date(header) in LONG_RESET else 2
    return RampSampling(length, skipped, FULL_RAMP if p.full_ramps else 2)


def _fit_grating(chop: Product, grating: int, sampling: RampSampling, p: FitRampsParameters, run: Run) -> Slopes:
    data = np.asarray(chop[f"FLUX_G{grating}"])
    try:
        ramps = fold_ramps(subtract_bias(data) if p.subtract_bias else data, sampling.length)
    except (StepError, IndexError, ValueError) as error:
        raise StepError(f"{chop.name}: FLUX_G{grating} cannot be fitted: {error}; leave the file out.") from None
    positions = read_grating(data).reshape(-1, sampling.length)
    kept = slice(DROPPED if p.remove_first and not is_otf(chop.header) and len(ramps) > DROPPED else 0, None)
    unstable = find_unstable_ramps(positions[kept], read_card(chop, "INDPOS", grating), p.indpos_sigma)
    astray = _find_astray(chop, grating, len(ramps), p, run)[kept]
    for what, lost in (("the grating was not in position", unstable), ("the pointing was off", astray)):
        if lost.any():
            run.log(f"{chop.name}: {np.count_nonzero(lost)} of {lost.size} ramps are left out: {what}.")
    return drop_noisy(fit_ramps(ramps[kept], sampling, unstable | astray), p.s2n)


def _find_astray(chop: Product, grating: int, count: int, p: FitRampsParameters, run: Run) -> BoolArray:
    """Tell during which ramps the telescope pointed elsewhere; none if nobody asks."""
    header = chop.header
    if not p.pointing_discard or is_otf(header):
        return np.zeros(count, dtype=bool)
    path = Path(p.pointing_directory).expanduser() / f"{header.get('MISSN-ID', '')}.tsv"
    if not path.is_file():
        run.warn(f"{chop.name}: there is no table of pointing errors {path}; no ramps are left out.")
        return np.zeros(count, dtype=bool)
    letter = channel_letter(header)
    length, chop_length = require_integer(header, f"RAMPLN_{letter}"), require_integer(header, "C_CHOPLN")
    per_cycle = max(chop_length // length, 1)
    of_grating = 2 * per_cycle * require_integer(header, f"C_CYC_{letter}")
    number = np.arange(count)
    # the ramps of one chop position, each cycle of the chopper after those of the other
    ramp = (number // per_cycle) * 2 * per_cycle + number % per_cycle + int(header.get("CHOPNUM", 0)) * per_cycle
    start = observation_time(header).timestamp()
    times = start + ((ramp + 0.5) + grating * of_grating) * length / READOUTS_PER_SECOND
    channel = "r" if letter == "R" else f"b{find_order(header)}"
    wavelength = require_number(header, f"G_WAVE_{letter}")
    width = read_resolution(run.reference("resolution").path, channel, wavelength).spatial
    return find_astray_ramps(times, per_cycle, parse_pointing(path), p.pointing_threshold_psf_frac * width)


def _average_path(chop: Product, length: int) -> ScanPath:
    table = scan_positions(chop)
    if table is None:
        raise StepError(f"{chop.name}: the table of positions of the scan is missing; split the raw file again.")
    path = average_ramps(read_table(table), length)
    if not path.good.any():
        raise StepError(f"{chop.name}: no whole ramp was taken during the scan; leave the file out.")
    return path


def _combine(slopes: Slopes, outliers: BoolArray, path: ScanPath | None) -> tuple[FloatArray, FloatArray]:
    if path is None:
        return average_slopes(slopes, outliers)
    flux = np.where(outliers, np.nan, slopes.slope)[path.good]
    return flux, widen_by_scatter(slopes, outliers)[path.good]


def _describe(chop: Product, grating: int, flux: FloatArray, error: FloatArray, path: ScanPath | None) -> Any:
    level, noise = (float(np.nanmean(v)) if np.isfinite(v).any() else 0.0 for v in (flux, error))
    cards: list[Any] = [
        ("BGLEVL_A", level, "BG level nod A (ADU/s)"),
        ("MSTDDEV", noise, "Mean STDDEV (ADU/s)"),
    ]
    if path is not None:
        times = path.time[path.good]
        cards += [("RAMPSTRT", times[0], "Time of first ramp [s]"), ("RAMPEND", times[-1], "Time of last ramp [s]")]
    return make_cards(grating_header(chop, grating), *cards)
