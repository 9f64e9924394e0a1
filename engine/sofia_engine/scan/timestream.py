"""Timestreams: what is known of channels and frames, and the samples, while a scan is being reduced.

The objects here are working state: models change them in place, round by round. They belong to one reduction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.scan import flags
from sofia_engine.scan.averages import divide, find_typical_gain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sofia_engine.numerics.arrays import BoolArray, FloatArray, IndexArray
    from sofia_engine.scan.modes import Mode

_FEW = 4
"""Below one in so many channels a signal is taken out of these alone, which is faster then."""

__all__ = ["ChannelTable", "Dependents", "FrameTable", "Scan"]


@dataclass(eq=False)
class ChannelTable:
    """Channels, all columns (n_channel,).

    Attributes
    ----------
    x, y : ndarray
        Place in the field, arcsec.
    z : ndarray
        Place on the third axis of the map (wavelength, um); 0 where maps are flat.
    weight, variance : ndarray
        Inverse noise variance (in the unit of the samples squared) that models use, and the measured variance.
    gain, coupling : ndarray
        Response to the signal all channels share, and that to the sky relative to it.
    spectrum : ndarray
        What the sky's own spectrum adds to the gain: a source of flux 1 gives ``gain * coupling / spectrum``.
    flag : ndarray of int
        Bits of `flags`.
    freedom : ndarray
        Share of degrees of freedom that models have left.
    kept_by_filters, kept : ndarray
        Share of the flux of a point source that passes the spectral filter alone, and all models.
    groups : mapping of str to ndarray of int
        Number of the group (row, column, ...) each channel belongs to.
    group_gains : dict of str to ndarray
        Response to the signals of groups, by the name of the grouping.
    """

    x: FloatArray
    y: FloatArray
    z: FloatArray
    weight: FloatArray
    groups: Mapping[str, IndexArray] = field(default_factory=dict)
    gain: FloatArray = field(default_factory=lambda: np.empty(0))
    coupling: FloatArray = field(default_factory=lambda: np.empty(0))
    spectrum: FloatArray = field(default_factory=lambda: np.empty(0))
    variance: FloatArray = field(default_factory=lambda: np.empty(0))
    freedom: FloatArray = field(default_factory=lambda: np.empty(0))
    kept_by_filters: FloatArray = field(default_factory=lambda: np.empty(0))
    kept: FloatArray = field(default_factory=lambda: np.empty(0))
    flag: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    group_gains: dict[str, FloatArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = self.x.size
        for name in ("gain", "coupling", "spectrum", "variance", "freedom", "kept_by_filters", "kept"):
            if getattr(self, name).size != n:
                setattr(self, name, np.ones(n))
        if self.flag.size != n:
            self.flag = np.zeros(n, dtype=np.int32)
        for name in self.groups:
            self.group_gains.setdefault(name, np.ones(n))

    @property
    def count(self) -> int:
        """Number of channels."""
        return self.x.size

    @property
    def sky_gain(self) -> FloatArray:
        """Response to the sky."""
        return self.gain * self.coupling

    @property
    def source_gain(self) -> FloatArray:
        """Response to a source."""
        return self.sky_gain / self.spectrum

    def separate_spectrum(self, grouping: str) -> None:
        """Take the typical gain of each group of channels (of one wavelength) for the spectrum of the sky."""
        for number in np.unique(self.groups.get(grouping, ())):
            group = self.groups[grouping] == number
            self.spectrum[group] = find_typical_gain(self.gain[group & (self.flag == 0)])


@dataclass(eq=False)
class FrameTable:
    """Frames, all columns (n_frame,).

    Attributes
    ----------
    x, y : ndarray
        Where the telescope points, arcsec; NaN is not known.
    gain : ndarray
        Response of all channels in the frame (transmission, sign).
    weight : ndarray
        Relative weight.
    valid : ndarray of bool
        Frames that count; others keep what they hold.
    freedom : ndarray
        Share of degrees of freedom that models have left.
    flag : ndarray of int
        Bits of `flags`.
    """

    x: FloatArray
    y: FloatArray
    gain: FloatArray = field(default_factory=lambda: np.empty(0))
    weight: FloatArray = field(default_factory=lambda: np.empty(0))
    valid: BoolArray = field(default_factory=lambda: np.empty(0, dtype=bool))
    freedom: FloatArray = field(default_factory=lambda: np.empty(0))
    flag: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))

    def __post_init__(self) -> None:
        n = self.x.size
        for name in ("gain", "weight", "freedom"):
            if getattr(self, name).size != n:
                setattr(self, name, np.ones(n))
        if self.valid.size != n:
            self.valid = np.isfinite(self.x) & np.isfinite(self.y)
        if self.flag.size != n:
            self.flag = np.zeros(n, dtype=np.int32)

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.x.size

    @property
    def usable(self) -> BoolArray:
        """Frames that models are fitted to."""
        made: BoolArray = self.valid & ((self.flag & flags.BAD_FRAME) == 0)
        return made

    @property
    def mapped(self) -> BoolArray:
        """Frames that go into maps."""
        made: BoolArray = self.usable & (self.gain != 0) & (self.weight > 0)
        return made


@dataclass(eq=False)
class Dependents:
    """Degrees of freedom that models have taken from frames and channels, by model.

    Attributes
    ----------
    frames, channels : ndarray
        (n_frame,) and (n_channel,) sums over all models.
    """

    frames: FloatArray
    channels: FloatArray
    _parts: dict[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)

    def remove(self, model: str) -> None:
        """Give back what a model has taken."""
        frames, channels = self._parts.pop(model, (0.0, 0.0))
        self.frames -= frames
        self.channels -= channels

    def put(self, model: str, frames: FloatArray, channels: FloatArray) -> None:
        """Note what a model takes now, in place of what it took before."""
        self.remove(model)
        self._parts[model] = (frames, channels)
        self.frames += frames
        self.channels += channels


@dataclass(eq=False)
class Scan:
    """One file's timestream and all that models have found in it.

    Attributes
    ----------
    name : str
        For messages.
    step : float
        Time between frames, s.
    channels, frames : ChannelTable, FrameTable
        The tables.
    residual : (n_frame, n_channel) ndarray
        Samples without what has been modelled so far; never NaN (bad samples are 0 and flagged).
    bad : (n_frame, n_channel) ndarray of uint8
        Bits of `flags` of samples.
    rotation : (n_frame,) ndarray or float
        By which the field is turned against the map, rad.
    index : (n_frame, n_channel) ndarray of int32
        Pixel of the map of each sample; -1 for none. Set by the source model.
    time_scale : float
        Longest time, s, over which signals are kept.
    speed : float
        Mean speed, arcsec/s.
    weight : float
        Weight among the scans of a map.
    modes : dict of str to list of Mode
        Correlated signals by kind.
    synced_gain : (n_channel,) ndarray
        Gains with which the source model was taken out.
    whitening : ndarray or None
        (n_bin, n_channel) damping of the spectral filter so far.
    responses : dict of str to (n_channel,) ndarray
        Share of a point source's peak that each spectral filter lets pass.
    overlaps : (n_channel, n_channel) ndarray or None
        How much channels see of a point source in the middle of another.
    signals, signal_gains : dict of str to ndarray
        Known signals that channels respond to, (n_frame,), and by how much, (n_channel,).
    rejected : (n_frame, n_channel) ndarray or None
        What the spectral filter has taken out so far.
    dependents : Dependents
        Degrees of freedom that models have taken.
    """

    name: str
    step: float
    channels: ChannelTable
    frames: FrameTable
    residual: FloatArray
    bad: NDArray[np.uint8]
    rotation: FloatArray | float = 0.0
    index: NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 0), dtype=np.int32))
    time_scale: float = math.inf
    speed: float = math.nan
    weight: float = 1.0
    modes: dict[str, list[Mode]] = field(default_factory=dict)
    synced_gain: FloatArray = field(default_factory=lambda: np.empty(0))
    whitening: FloatArray | None = None
    responses: dict[str, FloatArray] = field(default_factory=dict)
    overlaps: FloatArray | None = None
    signals: dict[str, FloatArray] = field(default_factory=dict)
    signal_gains: dict[str, FloatArray] = field(default_factory=dict)
    rejected: FloatArray | None = None
    dependents: Dependents = field(init=False)

    def __post_init__(self) -> None:
        self.dependents = Dependents(np.zeros(self.frames.count), np.zeros(self.channels.count))
        self.synced_gain = np.zeros(self.channels.count)

    @classmethod
    def of(
        cls, name: str, step: float, channels: ChannelTable, frames: FrameTable, samples: FloatArray,
        rotation: FloatArray | float = 0.0,
    ) -> Scan:  # fmt: skip
        """Make a scan of samples (n_frame, n_channel), NaN where there is none; the samples are copied."""
        residual = np.array(samples, dtype=np.float64)
        missing = ~np.isfinite(residual)
        residual[missing] = 0.0
        bad = np.where(missing, flags.SKIP, 0).astype(np.uint8)
        dead = missing[frames.valid].all(axis=0) | (residual == 0).all(axis=0)
        channels.flag[dead] |= flags.DEAD
        return cls(name, step, channels, frames, residual, bad, rotation)

    @property
    def good(self) -> BoolArray:
        """(n_frame, n_channel) samples that models are fitted to."""
        made: BoolArray = (self.bad == 0) & self.frames.usable[:, np.newaxis]
        return made

    @property
    def mapping(self) -> BoolArray:
        """(n_channel,) channels that go into maps."""
        made: BoolArray = (self.channels.flag == 0) & (self.channels.weight > 0)
        return made

    @property
    def positions(self) -> tuple[FloatArray, FloatArray]:
        """Positions (x, y) of all samples, (n_frame, n_channel) arcsec."""
        turn = np.broadcast_to(np.asarray(self.rotation), self.frames.x.shape)[:, np.newaxis]
        c, s = np.cos(turn), np.sin(turn)
        x, y = self.channels.x, self.channels.y
        return (
            self.frames.x[:, np.newaxis] + c * x - s * y,
            self.frames.y[:, np.newaxis] + s * x + c * y,
        )

    def note_response(self, name: str, response: FloatArray) -> None:
        """Correct the response to point sources for what a spectral filter lets pass of them."""
        before = self.responses.get(name, np.ones(self.channels.count))
        ratio = divide(response, before)
        self.channels.kept *= ratio
        self.channels.kept_by_filters *= ratio
        self.responses[name] = response

    def subtract(self, signal: FloatArray, gain: FloatArray, channels: IndexArray | BoolArray | slice) -> None:
        """Take a signal (n_frame,) out of channels with these gains, in the frames that count."""
        signal = np.where(self.frames.valid, signal, 0.0)
        every = np.zeros(self.channels.count)
        every[channels] = gain
        if _FEW * np.count_nonzero(every) > every.size:
            self.residual -= np.outer(signal, every)
        else:
            self.residual[:, channels] -= signal[:, np.newaxis] * gain
