"""Options of scan reductions: one table of names, kinds, defaults, limits and meanings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

__all__ = [
    "CORRELATED",
    "OPTION_KEYS",
    "RESPONSES",
    "GroupOptions",
    "ScanOptions",
    "assign_option",
    "find_limits",
    "option_help",
]

CORRELATED = ("obs-channels", "sky", "gradients", "spexels", "spaxels", "rows", "cols")
"""Kinds of correlated signals, in the order in which they are taken out."""
RESPONSES: Mapping[str, str] = {
    "nonlinearity": "the square of the signal all share",
    "telescope-x": "the position of the telescope in x", "telescope-y": "the position of the telescope in y",
    "accel-x": "acceleration in x", "accel-y": "acceleration in y", "accel-x^2": "the square of acceleration in x",
    "accel-y^2": "the square of acceleration in y", "accel-abs-x": "the size of acceleration in x",
    "accel-abs-y": "the size of acceleration in y", "accel-mag": "the size of acceleration",
    "accel-norm": "the square of acceleration",
}  # fmt: skip
"""Known signals that channels may respond to, in the order in which they are taken out."""


def _option(default: Any, key: str, kind: str, text: str, low: float = -math.inf, high: float = math.inf) -> Any:
    return field(default=default, metadata={"key": key, "kind": kind, "help": text, "low": low, "high": high})


def _correlated(name: str, part: str) -> str:
    return f"correlated.{name}.{part}" if part else f"correlated.{name}"


@dataclass(frozen=True)
class GroupOptions:
    """Options of one kind of correlated signal."""

    on: bool = False
    resolution: float = 0.0
    gains: bool = True
    gain_range: tuple[float, float] | None = (0.3, 3.0)
    signed: bool = True
    signals: bool = True


@dataclass(frozen=True)
class ScanOptions:
    """What is done in a round.

    Kinds: ``bool``; ``number``; ``whole``; ``range`` (``low:high``, ``*`` for open); ``speeds`` (such a range, ``off``,
    or ``auto``: None); ``seconds`` (``auto`` is None, ``max`` infinite); ``level`` (a number, or ``off``: None);
    ``smoothing`` (a name, arcsec, or none: 0); ``pair`` (one to three numbers); ``auto`` (a number, or ``auto``: None);
    ``numbers`` and ``wholes`` (lists, whole ones also as ``3-7``); ``bands`` (a list of ranges); ``frames`` (a range of
    whole numbers, negative ones from the end); or a list of words, separated by ``|``.
    """

    rounds: int = _option(20, "rounds", "whole", "Rounds of the iteration.", 1, 100)
    extended: bool = _option(
        False, "extended", "bool", "Find emission of the size of the field and larger, which has to be positive: 60 "
        "rounds, drifts=300, source.sign=+.",
    )  # fmt: skip
    bright: bool = _option(
        False, "bright", "bool", "Find sources far above the noise of the sky: nothing of them is clipped, blanked, "
        "smoothed or taken for spikes; medians in the first round.",
    )  # fmt: skip
    faint: bool = _option(
        False, "faint", "bool", "Find sources below the noise of single samples: despike.level=10 at once, "
        "filter.motion, the model smoothed to the end.",
    )  # fmt: skip
    deep: bool = _option(
        False, "deep", "bool", "Find the faintest sources: as faint, with no model of the source before the last "
        "round, weighting.scans, source.filter. Bright sources lose flux.",
    )  # fmt: skip
    estimator: str = _option(
        "maximum-likelihood", "estimator", "maximum-likelihood|median", "How signals, gains and drifts are estimated."
    )
    source_size: float = _option(
        0.0, "sourcesize", "number", "Expected size (FWHM) of the source, arcsec.", 0.0, 3600.0
    )
    stability: float = _option(
        120.0, "stability", "number", "Time over which the instrument is stable, s.", 0.1, math.inf
    )
    drifts: float | None = _option(
        120.0, "drifts", "seconds", "Means of channels are taken out over so many seconds; max for whole scans, auto "
        "by stability.", 0.0,
    )  # fmt: skip
    gains: bool = _option(True, "gains", "bool", "Fit the gains of channels to correlated signals.")
    gain_estimator: str = _option(
        "auto", "gains.estimator", "auto|maximum-likelihood|median", "How gains are fitted; auto for that of signals."
    )
    correlated: Mapping[str, GroupOptions] = field(
        default_factory=lambda: {
            "obs-channels": GroupOptions(True), "sky": GroupOptions(True, gains=False, gain_range=None),
            "gradients": GroupOptions(True, gains=False, gain_range=None),
            "spexels": GroupOptions(), "spaxels": GroupOptions(), "rows": GroupOptions(), "cols": GroupOptions(),
        }
    )  # fmt: skip
    responses: Mapping[str, bool] = field(default_factory=lambda: dict.fromkeys(RESPONSES, False))
    gain_scatter: float | None = _option(
        0.3,
        "gains.scatter",
        "level",
        "Expected scatter of gains: where a signal is too weak to measure them they stay at the typical gain; off for "
        "gains from the samples alone.",
        0.001,
    )
    weighting: bool = _option(True, "weighting", "bool", "Measure the noise of channels.")
    weighting_method: str = _option("rms", "weighting.method", "rms|robust|differential", "How that is done.")
    noise_range: tuple[float, float] = _option(
        (0.3, 3.0), "weighting.noiserange", "range", "Noise of useful channels, relative to the typical one.", 0.0
    )
    frame_weighting: bool = _option(False, "weighting.frames", "bool", "Measure the noise of frames.")
    frame_resolution: float | None = _option(
        None, "weighting.frames.resolution", "seconds", "In blocks of so many seconds; auto for those of drifts.", 0.0
    )
    frame_range: tuple[float, float] = _option(
        (0.3, 3.0), "weighting.frames.noiserange", "range", "Weights of useful frames.", 0.0
    )
    scan_weighting: bool = _option(
        False, "weighting.scans", "bool", "Weigh scans by the scatter of their maps beside what is expected."
    )
    scan_weighting_method: str = _option("robust", "weighting.scans.method", "robust|rms", "How that is done.")
    despike: bool = _option(True, "despike", "bool", "Flag samples that differ from their neighbours in time.")
    despike_level: float = _option(100.0, "despike.level", "number", "By so many standard deviations.", 0.1, math.inf)
    flag_fraction: float = _option(
        3e-3, "despike.flagfraction", "number", "Share of frames with spikes above which a channel is flagged.",
        0.0, 1.0,
    )  # fmt: skip
    flag_count: float = _option(
        10.0, "despike.flagcount", "number", "Number of spikes above which a channel is flagged.", 0.0
    )
    frame_spikes: float = _option(
        3.0, "despike.framespikes", "number", "Frames in which more channels have spikes are flagged.", 0.0
    )
    despike_method: str = _option(
        "neighbours", "despike.method", "neighbours|absolute|gradual|multires", "What is a spike: samples above or "
        "below those before and after; large ones; large ones that are not small beside the largest of their frame; "
        "stretches of 1, 2, 4, ... frames whose means differ from those before and after.",
    )  # fmt: skip
    despike_blocks: bool = _option(
        False, "despike.blocks", "bool", "Flag whole blocks of drifts that have a spike, channel by channel."
    )
    dejump: bool = _option(
        False, "dejump", "bool", "Level times in which all channels are off, channel by channel; leave out short ones."
    )
    dejump_level: float = _option(
        2.0, "dejump.level", "number", "Frames are off if their scatter is so many times that of others.", 1.0
    )
    dejump_length: float = _option(5.0, "dejump.minlength", "number", "Times that are levelled, at least, s.", 0.0)
    dejump_resolution: float = _option(
        0.0, "dejump.resolution", "number", "The scatter of frames is measured in blocks of so many seconds.", 0.0
    )
    motion: bool = _option(
        False, "filter.motion", "bool", "Take out the frequencies at which the telescope moves to and fro."
    )
    motion_significance: float = _option(
        6.0, "filter.motion.s2n", "number", "Those with amplitudes of so many times their scatter.", 0.0
    )
    motion_above: float = _option(
        0.3, "filter.motion.above", "number", "And above this share of the largest amplitude.", 0.0, 1.0
    )
    motion_band: tuple[float, float] = _option(
        (0.01, 1.0), "filter.motion.range", "range", "Only between these frequencies, Hz.", 0.0
    )
    motion_stability: float | None = _option(
        math.inf, "filter.motion.stability", "seconds", "Time over which the frequency of the motion is stable: "
        "shorter times make the filter wider; auto is stability.", 1e-3,
    )  # fmt: skip
    motion_harmonics: int = _option(
        1, "filter.motion.harmonics", "whole", "Multiples that are taken out too, up to this one.", 1, 100
    )
    motion_odd: bool = _option(False, "filter.motion.odd", "bool", "Odd multiples only.")
    kill: bool = _option(False, "filter.kill", "bool", "Take out bands of frequencies.")
    kill_bands: tuple[tuple[float, float], ...] = _option(
        (), "filter.kill.bands", "bands", "The bands, Hz, such as 0.1:0.2,1:1.2.", 0.0
    )
    whiten: bool = _option(False, "filter.whiten", "bool", "Damp excess noise in the spectra of channels.")
    whiten_level: float = _option(1.5, "filter.whiten.level", "number", "Above so many times the white power.", 1.0)
    whiten_bins: int = _option(
        16, "filter.whiten.minchannels", "whole", "Frequencies in which white noise is measured, at least.", 1, 10000
    )
    whiten_probe: tuple[float, float] | None = _option(
        None, "filter.whiten.proberange", "speeds", "Frequencies in which white noise is measured, Hz; auto for those "
        "at which point sources are seen.", 0.0,
    )  # fmt: skip
    notch: bool = _option(
        False, "notch", "bool", "Take lines of frequencies out of the samples before the first round."
    )
    notch_frequencies: tuple[float, ...] = _option((), "notch.frequencies", "numbers", "The lines, Hz.", 0.0)
    notch_width: float = _option(0.1, "notch.width", "number", "Width of the lines, Hz.", 0.0)
    notch_harmonics: int = _option(
        1, "notch.harmonics", "whole", "Multiples of the lines that are taken out too, up to this one.", 1, 1000
    )
    notch_bands: tuple[tuple[float, float], ...] = _option(
        (), "notch.bands", "bands", "Further bands, Hz, such as 0.1:0.2,1:1.2.", 0.0
    )
    source: bool = _option(True, "source", "bool", "Model the source, so that it is not taken for noise.")
    sign: str = _option("0", "source.sign", "+|-|0", "Sign of the source; 0 for both.")
    fixed_gains: bool = _option(False, "source.fixedgains", "bool", "The fitted gains are not those of sources.")
    momentum: bool = _option(
        True, "source.momentum", "bool", "Go on in the direction in which the model changed: large sources are found "
        "in fewer rounds.",
    )  # fmt: skip
    spectral_gains: bool = _option(
        False, "source.spectralgains", "bool", "Fitted gains are those of sources from wavelength to wavelength too; "
        "else only within one, since the sky has a spectrum of its own.",
    )  # fmt: skip
    redundancy: float = _option(2.0, "source.redundancy", "number", "Samples a pixel of the model needs.", 0.0)
    source_despike: bool = _option(
        False, "source.despike", "bool", "Leave out pixels of the map of a scan that stand out from their neighbours."
    )
    source_despike_level: float = _option(
        10.0, "source.despike.level", "number", "By so many standard deviations.", 0.1
    )
    source_filter: bool = _option(
        False, "source.filter", "bool", "Take large structure out of the model: extended emission is lost."
    )
    source_filter_width: float | None = _option(
        None, "source.filter.fwhm", "auto", "Larger than this, arcsec; auto for five times the source.", 0.1
    )
    source_filter_blank: float | None = _option(
        None, "source.filter.blank", "level", "Pixels above this signal-to-noise are no part of large structure.", 0.0
    )
    mem: bool = _option(
        False, "source.mem", "bool", "Pull faint pixels of the model to zero, by the rule of largest entropy."
    )
    mem_strength: float = _option(0.1, "source.mem.lambda", "number", "How much, in standard deviations.", 0.0, 10.0)
    nosync: bool = _option(
        False, "source.nosync", "bool", "Make the model without taking it out of the samples; noise models see the "
        "source.",
    )  # fmt: skip
    fit_coupling: bool = _option(
        False, "source.coupling", "bool", "Fit the response of channels to the model of the source."
    )
    coupling_significance: tuple[float, float] = _option(
        (5.0, math.inf), "source.coupling.s2n", "range", "In pixels of this signal-to-noise.", 0.0
    )
    coupling_range: tuple[float, float] = _option(
        (0.3, 3.0), "source.coupling.range", "range", "Useful responses, relative to the typical one.", 0.0
    )
    clip: float | None = _option(None, "clip", "level", "Pixels of the model below this signal-to-noise are 0.", 0.0)
    blank: float | None = _option(
        None, "blank", "level", "Samples on pixels above this signal-to-noise are not used for models of noise.", 0.0
    )
    exposure_clip: float | None = _option(
        None, "exposureclip", "level", "Pixels with less exposure than this share of the best are left out.", 0.0, 1.0
    )
    noise_clip: float | None = _option(
        None, "noiseclip", "level", "Pixels with more noise than so many times the best are left out.", 1.0
    )
    smooth: float | str = _option(
        "2/3beam", "smooth", "smoothing", "Smoothing of the model: minimal, halfbeam, 2/3beam, beam, none, or arcsec."
    )
    final_smooth: float | str = _option(
        0.0, "smooth.final", "smoothing", "Smoothing of the model when all is done; the cube is not smoothed by it."
    )
    grid: tuple[float, ...] | None = _option(
        None, "grid", "pair", "Pixels of the model: arcsec, um; a third of the resolution if not given.", 1e-6
    )
    map_size: tuple[float, ...] | None = _option(
        None, "map.size", "pair", "Size of the model: arcsec in x and y, um; all samples if not given.", 1e-3
    )
    mapping_pixels: int = _option(2, "mappingpixels", "whole", "Channels a scan needs to go into the model.", 1, 100000)
    mapping_fraction: float = _option(
        0.5, "mappingfraction", "number", "The same as a share of the channels with data.", 0.0, 1.0
    )
    speed_range: tuple[float, float] | None = _option(
        None, "vclip", "speeds", "Speeds of the telescope that are used, arcsec/s; auto for those at which the source "
        "is well sampled and faster than drifts.", 0.0,
    )  # fmt: skip
    strict_speed: bool = _option(
        True, "vclip.strict", "bool", "Frames at other speeds are left out; else models of noise still see them."
    )
    fastest_turn: float | None = _option(
        None, "aclip", "level", "Leave out frames with a larger acceleration, arcsec/s2.", 0.0
    )
    speed_sigma: float | None = _option(
        None, "sigmaclip", "level", "Leave out frames whose speed is so many standard deviations off.", 0.1
    )
    position_smoothing: float = _option(
        0.1, "positions.smooth", "number", "Positions are averaged over so many seconds for speeds.", 0.0, 1000.0
    )
    shortest: float = _option(5.0, "subscan.minlength", "number", "Scans shorter than this, s, are left out.", 0.0)
    frames: tuple[int, int] | None = _option(
        None, "frames", "frames", "First and last frame that is used, from 0; negative ones count from the end."
    )
    shift: float = _option(0.0, "shift", "number", "Move samples by so many seconds against positions.", -1e4, 1e4)
    sample_range: tuple[float, float] | None = _option(
        None, "range", "speeds", "Samples outside are left out; off for none.", -math.inf
    )
    range_fraction: float = _option(
        0.05, "range.flagfraction", "number", "Share of such samples above which a channel is left out.", 0.0, 1.0
    )
    flagged: tuple[int, ...] = _option((), "flag", "wholes", "Channels that are left out, 25 spexel + spaxel, from 0.")
    flag_spexels: tuple[int, ...] = _option((), "flag.spexels", "wholes", "Spexels that are left out, from 0.")
    flag_spaxels: tuple[int, ...] = _option((), "flag.spaxels", "wholes", "Spaxels that are left out, from 0.")
    flag_rows: tuple[int, ...] = _option((), "flag.rows", "wholes", "Rows of spaxels that are left out, from 0.")
    flag_cols: tuple[int, ...] = _option((), "flag.cols", "wholes", "Columns of spaxels that are left out, from 0.")
    blind: tuple[int, ...] = _option((), "blind", "wholes", "Channels that see no sky.")
    uniform: bool = _option(False, "uniform", "bool", "Start with equal gains.")
    flat_weights: bool = _option(False, "flatweights", "bool", "Start with equal weights.")
    gain_noise: float = _option(
        0.0, "gainnoise", "number", "Start with gains that scatter by this share, for tests.", 0.0, 1.0
    )
    jackknife: str = _option(
        "off", "jackknife", "off|scans|alternate|frames|channels", "Null test: turn the sign of half of the scans by "
        "chance, of every second scan, of half of the frames or channels, so that no source is left.",
    )  # fmt: skip
    scramble: bool = _option(False, "scramble", "bool", "Null test: mix up the places of channels.")
    overlap_spatial: float = _option(
        2.0, "overlaps.radius.spatial", "number", "Channels see the same source up to so many beams away.", 0.0
    )
    overlap_spectral: float = _option(
        2.0, "overlaps.radius.spectral", "number", "And up to so many spectral resolution elements.", 0.0
    )
    insert_source: bool = _option(
        True, "fifi_ls.insert_source", "bool", "Give samples as model plus what is left; else as they were, without "
        "the noise that was found.",
    )  # fmt: skip

    @property
    def robust(self) -> bool:
        """Whether medians are taken."""
        return self.estimator == "median"

    @property
    def robust_gains(self) -> bool:
        """Whether medians are taken for gains."""
        return self.robust if self.gain_estimator == "auto" else self.gain_estimator == "median"

    @property
    def flagged_groups(self) -> Mapping[str, tuple[int, ...]]:
        """Groups of channels that are left out, by the name of the grouping."""
        return {
            "spexels": self.flag_spexels, "spaxels": self.flag_spaxels, "rows": self.flag_rows, "cols": self.flag_cols
        }  # fmt: skip


_FIELDS = {f.metadata["key"]: f for f in fields(ScanOptions) if f.metadata}
_PARTS: Mapping[str, tuple[str, str, str, str]] = {
    "": ("on", "bool", "Take out {}.", ""),
    "resolution": ("resolution", "seconds", "Time over which {} are constant.", ""),
    "nogains": ("gains", "bool", "Do not fit gains of {}.", "not"),
    "gainrange": ("gain_range", "range", "Useful gains to {}, relative to the typical one.", ""),
    "nosignals": ("signals", "bool", "Keep the signals as they are; fit gains of {} only.", "not"),
    "signed": ("signed", "bool", "Gains to {} have the same sign.", ""),
}
_SIGNALS = {
    "obs-channels": "signals that all channels share", "sky": "signals of the sky, with the gains of the channels",
    "gradients": "signals that grow across the field", "spexels": "signals of spexels",
    "spaxels": "signals of spaxels", "rows": "signals of rows of spaxels", "cols": "signals of columns of spaxels",
}  # fmt: skip
OPTION_KEYS: tuple[str, ...] = (
    *_FIELDS,
    *(
        _correlated(name, part)
        for name in CORRELATED
        for part in _PARTS
        if part in ("", "resolution", "nosignals") or name not in ("sky", "gradients")
    ),
    *(_correlated(name, "") for name in RESPONSES),
)
"""Names of all options."""


def option_help(key: str) -> tuple[str, Any, str]:
    """Return kind, default and meaning of an option."""
    if key in _FIELDS:
        f = _FIELDS[key]
        return f.metadata["kind"], getattr(ScanOptions(), f.name), f.metadata["help"]
    name, part = _split_correlated(key)
    if name in RESPONSES:
        return "bool", False, f"Take out responses of channels to {RESPONSES[name]}."
    attribute, kind, text, negated = _PARTS[part]
    default = getattr(ScanOptions().correlated[name], attribute)
    return kind, (not default) if negated else default, text.format(_SIGNALS[name])


def find_limits(key: str) -> tuple[float, float]:
    """Return the least and the largest value of an option."""
    if key not in _FIELDS:
        return 0.0, math.inf
    metadata = _FIELDS[key].metadata
    return metadata["low"], metadata["high"]


def _split_correlated(key: str) -> tuple[str, str]:
    name, _, part = key.removeprefix("correlated.").partition(".")
    return name, part


def assign_option(options: ScanOptions, key: str, value: Any) -> ScanOptions:
    """Return options with another value of one."""
    if key in _FIELDS:
        return replace(options, **{_FIELDS[key].name: value})
    name, part = _split_correlated(key)
    if name in RESPONSES:
        return replace(options, responses={**options.responses, name: value})
    attribute, _, _, negated = _PARTS[part]
    part_value: Any = (not value) if negated else value
    group: GroupOptions = replace(options.correlated[name], **{attribute: part_value})
    return replace(options, correlated={**options.correlated, name: group})
