"""The source model: a map that all scans contribute to, and that is taken out of their samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.scan import flags
from sofia_engine.scan.averages import MEDIAN_CHI2, divide, weighted_median
from sofia_engine.scan.options import SMOOTHING
from sofia_engine.scan.smoothing import smooth_map
from sofia_engine.scan.source_filters import drop_outliers, filter_large_scales, fit_couplings, prefer_smooth

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import BoolArray, FloatArray
    from sofia_engine.scan.map_grid import Beam, MapGrid
    from sofia_engine.scan.options import ScanOptions
    from sofia_engine.scan.timestream import Scan

__all__ = ["SkyMap", "SourceModel"]

_BEST_EXPOSURE, _BEST_NOISE = 0.95, 0.05
"""Quantiles of pixels that others are measured by."""
_LARGE = 5.0
"""Structure of so many times the size of the source is large."""


@dataclass(eq=False)
class SkyMap:
    """Flux, inverse variance and exposure (s) of each pixel (nz, ny, nx); weight 0 where nothing is known."""

    flux: FloatArray
    weight: FloatArray
    exposure: FloatArray

    @classmethod
    def empty(cls, grid: MapGrid) -> SkyMap:
        """Return a map of nothing."""
        return cls(np.zeros(grid.shape), np.zeros(grid.shape), np.zeros(grid.shape))

    @property
    def valid(self) -> BoolArray:
        """Pixels with a value."""
        made: BoolArray = (self.weight > 0) & np.isfinite(self.flux)
        return made

    @property
    def significance(self) -> FloatArray:
        """Signal over noise; 0 where nothing is known."""
        made: FloatArray = self.flux * np.sqrt(np.maximum(self.weight, 0.0))
        return made

    @property
    def noise(self) -> FloatArray:
        """Standard deviation; NaN where nothing is known."""
        unknown = np.full(self.weight.shape, np.nan)
        made: FloatArray = np.sqrt(np.divide(1.0, self.weight, out=unknown, where=self.weight > 0))
        return made

    def discard(self, where: BoolArray) -> None:
        """Forget pixels."""
        for plane in (self.flux, self.weight, self.exposure):
            plane[where] = 0.0

    def add(self, other: SkyMap, weight: float = 1.0) -> None:
        """Average with another map of the same grid."""
        total = self.weight + weight * other.weight
        self.flux = divide(self.weight * self.flux + weight * other.weight * other.flux, total)
        self.weight = total
        self.exposure = self.exposure + other.exposure

    def level(self) -> float:
        """Subtract the weighted median; return it."""
        valid = self.valid
        if not valid.any():
            return 0.0
        middle = float(weighted_median(self.flux[valid], self.weight[valid]))
        self.flux[valid] -= middle
        return middle

    def reweight(self) -> float:
        """Scale the weights so that the median squared significance is that of noise; return the factor."""
        valid = self.valid
        square = float(np.median(self.significance[valid] ** 2)) / MEDIAN_CHI2 if valid.any() else 0.0
        if square <= 0:
            return 1.0
        self.weight /= square
        return 1.0 / square


@dataclass(eq=False)
class SourceModel:
    """The source as it is known by now.

    Attributes
    ----------
    grid : MapGrid
        Pixels.
    beam : Beam
        Resolution of the instrument.
    base : ndarray
        Flux that is taken out of all scans now.
    generation : int
        How often the model has been taken out.
    smoothing : Beam
        Width the last composite was smoothed to.
    map : SkyMap
        The last composite.
    """

    grid: MapGrid
    beam: Beam
    base: FloatArray = field(init=False)
    generation: int = 0
    smoothing: Beam = field(init=False)
    map: SkyMap = field(init=False)
    change: float = math.nan
    _count: int = 0
    _found: FloatArray = field(init=False)
    _steps: int = 0
    _clip: float | None = None

    def __post_init__(self) -> None:
        self.base = np.zeros(self.grid.shape)
        self._found = self.base
        self.smoothing = self.grid.smoothing
        self.map = SkyMap.empty(self.grid)

    def update(self, scans: Sequence[Scan], options: ScanOptions) -> None:
        """Make a new composite of what scans hold, and take it out of them in place of the one before."""
        composite = SkyMap.empty(self.grid)
        for scan in scans:
            if is_mappable(scan, options):
                composite.add(self._map_scan(scan, options), scan.weight)
        self._condition(composite, options, min((scan.step for scan in scans), default=1.0))
        blanked = self._find_blank(composite, options)
        flux = self._extrapolate(composite, options)
        valid = int(composite.valid.sum())
        if options.nosync:
            self.map = composite
            return
        for scan in scans:
            if options.fit_coupling:
                self._fit_couplings(scan, composite, options)
            self._sync(scan, flux, blanked, options)
            self._note_dependents(scan, min(valid, self._count) if self.generation else valid, options)
        known = composite.valid
        noise = composite.noise[known]
        self.change = float(np.sqrt(np.mean(((flux - self.base)[known] / noise) ** 2))) if known.any() else 0.0
        self.base, self.map, self._count = flux, composite, valid
        self.generation += 1

    def _extrapolate(self, composite: SkyMap, options: ScanOptions) -> FloatArray:
        """Flux to take out: the composite, and more in the direction it went since the round before.

        Emission that fills the field is told from the sky by little, so that each round finds a little more of it.
        Going on in the same direction (Nesterov 1983) takes a fraction of the rounds. It starts anew when the clip
        changes, and when the last step went too far (O'Donoghue and Candès 2015).
        """
        found = np.where(composite.valid, composite.flux, 0.0)
        before, self._found = self._found, found
        overshot = float(((self.base - found) * (found - before)).sum()) > 0
        same = options.momentum and options.clip is not None and options.clip == self._clip
        self._steps = self._steps + 1 if same and not overshot else 0
        self._clip = options.clip
        if not self._steps:
            return found
        ahead = found + self._steps / (self._steps + 3.0) * (found - before)
        kept = composite.valid & (_sign(ahead, options.sign) > 0)
        return np.where(kept, ahead, 0.0)

    def _map_scan(self, scan: Scan, options: ScanOptions) -> SkyMap:
        made = accumulate(scan, self.grid, corrected=self.generation == 0, fixed_gains=options.fixed_gains)
        scan.weight = _weigh_map(made, options) if options.scan_weighting else 1.0
        made.flux = np.where(made.valid, made.flux + self.base, 0.0)
        if self.generation == 0:
            made.level()
        if options.source_despike:
            drop_outliers(made, options.source_despike_level)
        return made

    def _condition(self, composite: SkyMap, options: ScanOptions, step: float) -> None:
        composite.discard(composite.exposure < options.redundancy * step * (1 - 1e-9))
        target = self._find_smoothing(options).at_least(self.grid.smoothing)
        valid = composite.valid
        kernel = target.take_out(self.grid.smoothing)
        if kernel.spatial > 0 or kernel.spectral > 0:
            composite.flux, composite.weight = smooth_map(composite.flux, composite.weight, self.grid, kernel)
            composite.discard(~valid)
        self.smoothing = target
        valid = composite.valid
        if not valid.any():
            return
        if options.source_filter:
            size = math.hypot(options.source_size, self.beam.spatial)
            width = options.source_filter_width or _LARGE * size
            filter_large_scales(composite, self.grid, width, self.beam.join(target), options.source_filter_blank)
        if options.exposure_clip is not None:
            best = np.quantile(composite.exposure[valid], _BEST_EXPOSURE)
            composite.discard(composite.exposure < options.exposure_clip * best)
        if options.noise_clip is not None and composite.valid.any():
            best = np.quantile(composite.noise[composite.valid], _BEST_NOISE)
            composite.discard(composite.valid & ~(composite.noise <= options.noise_clip * best))
        if options.clip is not None:
            composite.discard(~(_sign(composite.significance, options.sign) > options.clip))
        if options.mem:
            prefer_smooth(composite, options.mem_strength)

    def _fit_couplings(self, scan: Scan, composite: SkyMap, options: ScanOptions) -> None:
        low, high = options.coupling_significance
        chosen = (composite.significance >= low) & (composite.significance <= high) & composite.valid
        gain, frame_gain = _source_gain(scan, fixed=options.fixed_gains), scan.frames.gain[:, np.newaxis]
        flux = np.where(composite.valid, composite.flux, 0.0)
        expected = frame_gain * gain * look_up(flux, scan)
        left = scan.residual + frame_gain * scan.synced_gain * look_up(self.base, scan) - expected
        fit_couplings(scan, expected, left, look_up(chosen, scan).astype(bool), options.coupling_range)

    def finish(self, options: ScanOptions) -> None:
        """Smooth the map when all is done; what was taken out of the scans stays as it is."""
        if not options.final_smooth:
            return
        target = self._find_smoothing(replace(options, smooth=options.final_smooth)).at_least(self.smoothing)
        kernel, valid = target.take_out(self.smoothing), self.map.valid
        self.map.flux, self.map.weight = smooth_map(self.map.flux, self.map.weight, self.grid, kernel)
        self.map.discard(~valid)
        self.smoothing = target

    def _find_smoothing(self, options: ScanOptions) -> Beam:
        if isinstance(options.smooth, str):
            return self.beam.scale(SMOOTHING[options.smooth])
        return self.beam.scale(options.smooth / self.beam.spatial)

    def _find_blank(self, composite: SkyMap, options: ScanOptions) -> BoolArray:
        """Pixels so bright that models of noise do not look at them, with at least one valid neighbour."""
        if options.blank is None:
            return np.zeros(self.grid.shape, dtype=bool)
        from scipy.ndimage import uniform_filter

        valid = composite.valid
        around = np.rint(27 * uniform_filter(valid.astype(float), 3, mode="constant"))
        made: BoolArray = valid & (_sign(composite.significance, options.sign) >= options.blank) & (around >= 2)
        return made

    def _sync(self, scan: Scan, flux: FloatArray, blanked: BoolArray, options: ScanOptions) -> None:
        gain = _source_gain(scan, fixed=options.fixed_gains)
        now, before = look_up(flux, scan), look_up(self.base, scan)
        frame_gain = np.where(scan.frames.valid, scan.frames.gain, 0.0)[:, np.newaxis]
        scan.residual -= frame_gain * (gain * now - scan.synced_gain * before)
        scan.synced_gain = gain
        scan.bad &= np.uint8(255 - flags.BLANK)
        scan.bad[look_up(blanked, scan)] |= flags.BLANK

    def _note_dependents(self, scan: Scan, pixels: int, options: ScanOptions) -> None:
        covered = _count_pixels(self.smoothing, self.grid)
        taken = pixels / covered
        used = scan.mapping
        share = np.where(used, divide(_source_gain(scan, fixed=options.fixed_gains) ** 2, scan.channels.variance), 0.0)
        if not share.any():
            scan.dependents.remove("source")
            return
        weight = np.where(scan.frames.mapped, scan.frames.weight * np.abs(scan.frames.gain), 0.0)
        frames = taken * divide(weight, np.full(weight.shape, weight.sum()))
        scan.dependents.put("source", frames, taken * share / share.sum())


def _weigh_map(made: SkyMap, options: ScanOptions) -> float:
    """Weight of a scan: one over the scatter of its map beside the source, squared, in units of its noise."""
    square = made.significance[made.valid] ** 2
    if not square.size:
        return 1.0
    robust = options.scan_weighting_method == "robust"
    chi2 = float(np.median(square)) / MEDIAN_CHI2 if robust else float(square.mean())
    return 1.0 / chi2 if chi2 > 0 else 1.0


def _sign(significance: FloatArray, sign: str) -> FloatArray:
    """Significance in the direction a source has."""
    return {"+": significance, "-": -significance, "0": np.abs(significance)}[sign]


def _source_gain(scan: Scan, *, fixed: bool) -> FloatArray:
    gain = scan.channels.coupling if fixed else scan.channels.source_gain
    return np.where((scan.channels.flag & (flags.DEAD | flags.BLIND)) == 0, gain, 0.0)


def _count_pixels(smoothing: Beam, grid: MapGrid) -> float:
    """Pixels that hold one independent value."""
    own = grid.smoothing
    count = (smoothing.spatial / own.spatial) ** 2
    if grid.is_cube:
        count *= smoothing.spectral / own.spectral
    return max(count, 1.0)


def is_mappable(scan: Scan, options: ScanOptions) -> bool:
    """Tell whether enough channels of a scan are good for a map."""
    working = np.count_nonzero((scan.channels.flag & (flags.DEAD | flags.BLIND)) == 0)
    used = np.count_nonzero(scan.mapping)
    return bool(used >= max(options.mapping_pixels, options.mapping_fraction * working, 1))


def look_up(plane: FloatArray | BoolArray, scan: Scan) -> FloatArray:
    """Return the value of a map at each sample; 0 outside."""
    flat: FloatArray = np.zeros(plane.size + 1, dtype=plane.dtype)  # the last is for index -1: outside
    flat[:-1] = plane.ravel()
    return flat[scan.index]


def accumulate(scan: Scan, grid: MapGrid, *, corrected: bool = False, fixed_gains: bool = False) -> SkyMap:
    """Sort the samples of a scan into the pixels of a map: means with their inverse variances.

    Parameters
    ----------
    scan : Scan
        Its residual is mapped, bright pixels included.
    grid : MapGrid
        Pixels; those of the samples are in `Scan.index`.
    corrected : bool
        Correct for what models take of a point source.
    fixed_gains : bool
        Take the coupling alone for the response to sources.
    """
    gain = _source_gain(scan, fixed=fixed_gains) * (scan.channels.kept if corrected else 1.0)
    used = scan.mapping & (scan.channels.variance > 0)
    free = (scan.bad & (flags.SPIKE | flags.SKIP)) == 0
    mapped = free & scan.frames.mapped[:, np.newaxis] & used & (scan.index >= 0)
    place = scan.index[mapped]
    response = (scan.frames.gain[:, np.newaxis] * gain)[mapped]
    precision = (scan.frames.weight[:, np.newaxis] * divide(np.ones(used.shape), scan.channels.variance))[mapped]
    count = grid.size
    planes = (
        np.bincount(place, values, count).astype(np.float64).reshape(grid.shape)
        for values in (precision * response**2, precision * response * scan.residual[mapped], None)
    )
    weight, signal, hits = planes
    return SkyMap(divide(signal, weight), weight, hits * scan.step)
