"""The iteration: models of drifts, of correlated noise, of weights and of the source, in turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.scan import flags
from sofia_engine.scan.averages import divide, find_block_length
from sofia_engine.scan.despiking import SpikeRule, flag_spikes
from sofia_engine.scan.drifts import remove_drifts
from sofia_engine.scan.filters import MotionRule, filter_motion, kill_bands
from sofia_engine.scan.jumps import level_jumps
from sofia_engine.scan.map_grid import Beam, lay_map_grid
from sofia_engine.scan.modes import COMMON, GainRule, make_modes, update_gains, update_signal
from sofia_engine.scan.motion import clip_speeds, count_mapped, stands_still
from sofia_engine.scan.option_table import CORRELATED, GroupOptions, ScanOptions
from sofia_engine.scan.options import ScanPlan
from sofia_engine.scan.preparation import prepare_channels, prepare_samples, reverse_for_null_test
from sofia_engine.scan.responses import remove_response
from sofia_engine.scan.source import SourceModel, is_mappable, look_up
from sofia_engine.scan.weights import weigh_channels, weigh_frames
from sofia_engine.scan.whitening import WhiteningRule, whiten

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.scan.timestream import Scan

__all__ = ["CleanedScan", "Reduced", "RoundReport", "clean_samples", "prepare_scan", "reduce_scans"]

Progress = Callable[[float, float, str], None]
SPIKE_LAG, DIFFERENCE_LAG = 0.2, 10.0
"""Distance of samples that are compared, in times a point source takes to pass: for spikes, for noise."""
MODEL_TOLERANCE = 0.5
"""Share of the model by which samples in its pixels may differ."""
_DEFAULT_PIXEL = 3.0
"""Pixels of the model in a width of the beam."""
WAVELENGTHS = "spexels"
"""Grouping of channels by wavelength."""
_SIGMA = 1.0 / math.sqrt(8 * math.log(2))


@dataclass(frozen=True)
class RoundReport:
    """What came of a round.

    Attributes
    ----------
    number : int
        From 1.
    channels : int
        Channels that went into the map, over all scans.
    spikes : int
        Flagged samples.
    change : float
        Change of the source model, in standard deviations (root mean square).
    response : float
        Share of a point source that the spectral filter lets pass; 1 without.
    """

    number: int
    channels: int
    spikes: int
    change: float
    response: float = 1.0

    def __str__(self) -> str:
        text = f"round {self.number}: {self.channels} channels, {self.spikes} spikes, "
        text += f"model changed by {self.change:.2g} sigma"
        return f"{text}, filter passes {self.response:.2f}" if self.response < 1 else text


@dataclass(frozen=True, eq=False)
class CleanedScan:
    """Samples of a scan without the noise that was found.

    Attributes
    ----------
    flux, error : (n_frame, n_channel) ndarray
        Flux of the source as if all gains were 1, and its standard deviation; NaN where a sample is not useful.
    """

    name: str
    flux: FloatArray
    error: FloatArray


@dataclass(frozen=True, eq=False)
class Reduced:
    """What a reduction gives.

    Attributes
    ----------
    source : SourceModel
        The model of the last round.
    scans : sequence of Scan
        The scans, with all that was found in them.
    reports : sequence of RoundReport
        One per round.
    rejected : sequence of (str, str)
        Names of scans that were left out, and why.
    """

    source: SourceModel
    scans: Sequence[Scan]
    reports: Sequence[RoundReport]
    rejected: Sequence[tuple[str, str]] = field(default_factory=tuple)


def prepare_scan(scan: Scan, options: ScanOptions, beam: Beam) -> str:
    """Leave out frames taken at other speeds; return why the scan cannot be used, or an empty text.

    Parameters
    ----------
    scan : Scan
        Changed in place.
    options : ScanOptions
        Of the first round.
    beam : Beam
        Resolution of the instrument.
    """
    prepare_channels(scan, options)
    prepare_samples(scan, options)
    clip_speeds(scan, options, beam)
    if stands_still(scan):
        return "the telescope did not move"
    frames, channels = count_mapped(scan), int(np.count_nonzero((scan.channels.flag & flags.DEAD) == 0))
    if not channels:
        return "no channel has data"
    if frames * scan.step < options.shortest or frames < 2:
        return f"only {frames * scan.step:.1f} s of it were taken while the telescope scanned at a useful speed"
    return ""


def reduce_scans(scans: Sequence[Scan], plan: ScanPlan, beam: Beam, progress: Progress | None = None) -> Reduced:
    """Take out of scans what is not source.

    Parameters
    ----------
    scans : sequence of Scan
        Changed in place. Scans that cannot be used are left out.
    plan : ScanPlan
        Options of all rounds.
    beam : Beam
        Resolution of the instrument.
    progress : callable, optional
        Called with the work done, the work to do, and what it is; may raise to stop the reduction.

    Raises
    ------
    StepError
        If no scan can be used.

    Notes
    -----
    The order of the work is fixed, so that the result depends on nothing but the input.
    """
    first = plan.at(1)
    reasons = [(scan.name, prepare_scan(scan, first, beam)) for scan in scans]
    kept = [scan for scan, (_, why) in zip(scans, reasons, strict=True) if not why]
    rejected = [(name, why) for name, why in reasons if why]
    if not kept:
        raise StepError("None of the scans can be reduced: " + "; ".join(f"{n}: {why}" for n, why in rejected) + ".")
    reverse_for_null_test(kept, first)
    source = SourceModel(lay_map_grid(kept, _choose_pixel(first, beam), first.map_size), beam)
    for scan in kept:
        scan.index = source.grid.find_pixels(scan)
        scan.overlaps = find_overlaps(scan, beam, (first.overlap_spatial, first.overlap_spectral))
    reports = []
    rounds, tell = plan.base.rounds, progress or _ignore
    for number in range(1, rounds + 1):
        options, spikes, responses = plan.at(number), 0, []
        for n, scan in enumerate(kept):
            tell((number - 1) * (len(kept) + 1) + n, rounds * (len(kept) + 1), f"scan reduction, round {number}")
            found, response = _model_noise(scan, options, beam, source.smoothing)
            spikes += found
            responses.append(response)
        tell(number * (len(kept) + 1) - 1, rounds * (len(kept) + 1), f"source model, round {number}")
        if options.source:
            source.update(kept, options)
        channels = sum(int(s.mapping.sum()) for s in kept if is_mappable(s, options))
        reports.append(RoundReport(number, channels, spikes, source.change, float(np.mean(responses))))
    if options.source and options.despike:
        spikes = sum(_flag_bright_spikes(scan, source, options) for scan in kept)
        reports[-1] = replace(reports[-1], spikes=spikes)
    if options.source and not options.extended:
        source.map.reweight()
    source.finish(plan.last)
    return Reduced(source, kept, reports, rejected)


def _ignore(done: float, total: float, what: str) -> None:
    """Progress that nobody looks at."""


def _choose_pixel(options: ScanOptions, beam: Beam) -> Beam:
    if options.grid is None:
        return beam.scale(1.0 / _DEFAULT_PIXEL)
    spectral = options.grid[1] if len(options.grid) > 1 else beam.spectral / _DEFAULT_PIXEL
    return Beam(options.grid[0], spectral if beam.spectral > 0 else 0.0)


def find_overlaps(scan: Scan, beam: Beam, reach: tuple[float, float] = (2.0, 2.0)) -> FloatArray:
    """Return how much channels see of a point source in the middle of another, (n_channel, n_channel), 1 for itself."""
    table = scan.channels
    away = np.hypot(table.x[:, np.newaxis] - table.x, table.y[:, np.newaxis] - table.y) / beam.spatial
    made = np.where(away < reach[0], np.exp(-0.5 * (away / _SIGMA) ** 2), 0.0)
    if beam.spectral > 0:
        apart = np.abs(table.z[:, np.newaxis] - table.z) / beam.spectral
        made *= np.where(apart < reach[1], np.exp(-0.5 * (apart / _SIGMA) ** 2), 0.0)
    blind = (table.flag & (flags.DEAD | flags.BLIND)) != 0
    made[blind] = 0.0
    made[:, blind] = 0.0
    return made


def _model_noise(scan: Scan, options: ScanOptions, beam: Beam, smoothing: Beam) -> tuple[int, float]:
    """One round of all models of noise of a scan; return the number of spikes, and the response of the filter."""
    if options.dejump:
        level_jumps(scan, options.dejump_level, options.dejump_length, options.dejump_resolution)
    seconds = options.stability if options.drifts is None else options.drifts
    remove_drifts(scan, seconds, robust=options.robust)
    for name in CORRELATED:
        if options.correlated[name].on:
            _update_modality(scan, name, options, options.correlated[name])
    for name, on in options.responses.items():
        if on:
            remove_response(scan, name)
    passing = float(divide(np.array(beam.join(smoothing).spatial), np.array(scan.speed)))
    response = _filter(scan, options, passing)
    if options.weighting:
        _weigh(scan, options, passing)
    if not options.despike:
        return 0, response
    return flag_spikes(scan, _make_spike_rule(scan, options, passing)), response


def _filter(scan: Scan, options: ScanOptions, passing: float) -> float:
    """Apply the spectral filters; return the share of a point source that they let pass."""
    response = 1.0
    if options.motion:
        stability = options.stability if options.motion_stability is None else options.motion_stability
        rule = MotionRule(
            options.motion_significance, options.motion_above, options.motion_band, stability,
            options.motion_harmonics, options.motion_odd,
        )  # fmt: skip
        response *= filter_motion(scan, rule, passing)
    if options.kill:
        response *= kill_bands(scan, options.kill_bands, passing)
    if options.whiten:
        rule_of_whitening = WhiteningRule(options.whiten_level, passing, options.whiten_bins, options.whiten_probe)
        response *= whiten(scan, rule_of_whitening)
    return response


def _make_spike_rule(scan: Scan, options: ScanOptions, passing: float) -> SpikeRule:
    drift = find_block_length(scan.time_scale, scan.step, scan.frames.count)
    method = options.despike_method
    assert method in ("neighbours", "absolute", "gradual", "multires")
    return SpikeRule(
        options.despike_level, max(round(SPIKE_LAG * passing / scan.step), 1), options.flag_fraction,
        options.flag_count, options.frame_spikes, method, max(drift // 2, 1),  # type: ignore[arg-type]
        drift if options.despike_blocks else 0,
    )  # fmt: skip


def _flag_bright_spikes(scan: Scan, source: SourceModel, options: ScanOptions) -> int:
    """Look for spikes once more when the model is final: until then bright samples are not looked at."""
    passing = float(divide(np.array(source.beam.join(source.smoothing).spatial), np.array(scan.speed)))
    model = np.abs(look_up(source.base, scan) * scan.frames.gain[:, np.newaxis] * scan.synced_gain)
    scan.bad &= np.uint8(255 - flags.BLANK)
    return flag_spikes(scan, _make_spike_rule(scan, options, passing), MODEL_TOLERANCE * model)


def _update_modality(scan: Scan, name: str, options: ScanOptions, group: GroupOptions) -> None:
    if name not in scan.modes:
        scan.modes[name] = make_modes(scan, name)
    scatter = math.inf if options.gain_scatter is None else options.gain_scatter
    rule = GainRule(*(group.gain_range or (0.0, math.inf)), signed=group.signed, scatter=scatter)
    for mode in scan.modes[name]:
        if group.signals:
            update_signal(scan, mode, seconds=group.resolution, robust=options.robust)
        if options.gains and group.gains:
            update_gains(scan, mode, rule, robust=options.robust_gains)
    if name == COMMON and not options.spectral_gains:
        scan.channels.separate_spectrum(WAVELENGTHS)


def _weigh(scan: Scan, options: ScanOptions, passing: float) -> None:
    lag = max(round(min(DIFFERENCE_LAG * passing, scan.time_scale / 2) / scan.step), 1)
    method = options.weighting_method
    assert method in ("rms", "robust", "differential")
    weigh_channels(scan, options.noise_range, method, lag=lag)  # type: ignore[arg-type]
    if options.frame_weighting:
        seconds = options.stability if options.frame_resolution is None else options.frame_resolution
        weigh_frames(scan, seconds, options.frame_range)


def clean_samples(scan: Scan, source: SourceModel, options: ScanOptions) -> CleanedScan:
    """Return the samples of a scan without the noise that was found, in units of the source.

    Parameters
    ----------
    scan : Scan
        After the last round.
    source : SourceModel
        Its model of the source, which is put back.
    options : ScanOptions
        Of the last round.

    Notes
    -----
    Errors are those of the scatter of channels over the weights of frames. Spikes, frames and channels that were
    flagged have no value.
    """
    table, frames = scan.channels, scan.frames
    gain = np.where(scan.frames.valid, frames.gain, np.nan)[:, np.newaxis] * (
        table.coupling if options.fixed_gains else table.source_gain
    )
    flux = scan.residual + look_up(source.base, scan) * frames.gain[:, np.newaxis] * scan.synced_gain
    if not options.insert_source and scan.rejected is not None:
        flux = flux + scan.rejected
    useful = ((scan.bad & (flags.SPIKE | flags.SKIP)) == 0) & frames.usable[:, np.newaxis] & scan.mapping
    useful &= np.isfinite(gain) & (gain != 0) & (table.variance > 0) & (frames.weight > 0)[:, np.newaxis]
    safe = np.where(useful, gain, 1.0)
    error = np.sqrt(
        table.variance / max(scan.weight, 1e-30) / np.where(frames.weight > 0, frames.weight, 1.0)[:, np.newaxis]
    ) / np.abs(safe)
    return CleanedScan(scan.name, np.where(useful, flux / safe, np.nan), np.where(useful, error, np.nan))
