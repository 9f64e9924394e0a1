"""Options of scan reductions: one table of names, kinds, defaults and limits; and what is said as ``key=value``."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from sofia_engine.errors import ParameterError

__all__ = ["OPTION_KEYS", "ScanOptions", "ScanPlan", "option_help", "read_scan_options"]

OFF = ("off", "no", "none", "f", "false", "0")
ON = ("on", "yes", "t", "true", "1")
ALIASES = {
    "sky": "correlated.sky", "gradients": "correlated.gradients", "obs-channels": "correlated.obs-channels",
    "array": "correlated.obs-channels", "spexels": "correlated.spexels", "spaxels": "correlated.spaxels",
    "rows": "correlated.rows", "cols": "correlated.cols", "whiten": "filter.whiten", "filter": "filter.whiten",
    "size": "map.size",
}  # fmt: skip
"""Other spellings of first parts of names."""
SMOOTHING = {"minimal": 0.3, "halfbeam": 0.5, "2/3beam": 2.0 / 3.0, "beam": 1.0}
"""Names of smoothing lengths, in beams."""
CORRELATED = ("obs-channels", "sky", "gradients", "spexels", "spaxels", "rows", "cols")
"""Kinds of correlated signals, in the order in which they are taken out."""


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


@dataclass(frozen=True)
class ScanOptions:
    """What is done in a round.

    Kinds: ``bool``; ``number``; ``whole``; ``range`` (``low:high``, ``*`` for open); ``speeds`` (such a range, ``off``,
    or ``auto``: None); ``seconds`` (``auto`` is None, ``max`` infinite); ``level`` (a number, or ``off``: None);
    ``smoothing`` (a name, arcsec, or none: 0); ``pair`` (one or two numbers); or a list of words, separated by ``|``.
    """

    rounds: int = _option(20, "rounds", "whole", "Rounds of the iteration.", 1, 100)
    extended: bool = _option(
        False, "extended", "bool", "Find emission of the size of the field and larger, which has to be positive: 60 "
        "rounds, drifts=300, source.sign=+.",
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
    correlated: Mapping[str, GroupOptions] = field(
        default_factory=lambda: {
            "obs-channels": GroupOptions(True), "sky": GroupOptions(True, gains=False, gain_range=None),
            "gradients": GroupOptions(True, gains=False, gain_range=None),
            "spexels": GroupOptions(), "spaxels": GroupOptions(), "rows": GroupOptions(), "cols": GroupOptions(),
        }
    )  # fmt: skip
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
    whiten: bool = _option(False, "filter.whiten", "bool", "Damp excess noise in the spectra of channels.")
    whiten_level: float = _option(1.5, "filter.whiten.level", "number", "Above so many times the white power.", 1.0)
    whiten_bins: int = _option(
        16, "filter.whiten.minchannels", "whole", "Frequencies in which white noise is measured, at least.", 1, 10000
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
    grid: tuple[float, ...] | None = _option(
        None, "grid", "pair", "Pixels of the model: arcsec, um; a third of the resolution if not given.", 1e-6
    )
    map_size: tuple[float, ...] | None = _option(
        None, "map.size", "pair", "Size of the model: arcsec in x and y; all samples if not given.", 1e-3
    )
    mapping_pixels: int = _option(2, "mappingpixels", "whole", "Channels a scan needs to go into the model.", 1, 100000)
    mapping_fraction: float = _option(
        0.5, "mappingfraction", "number", "The same as a share of the channels with data.", 0.0, 1.0
    )
    speed_range: tuple[float, float] | None = _option(
        None, "vclip", "speeds", "Speeds of the telescope that are used, arcsec/s; auto for those at which the source "
        "is well sampled and faster than drifts.", 0.0,
    )  # fmt: skip
    speed_sigma: float | None = _option(
        None, "sigmaclip", "level", "Leave out frames whose speed is so many standard deviations off.", 0.1
    )
    position_smoothing: float = _option(
        0.1, "positions.smooth", "number", "Positions are averaged over so many seconds for speeds.", 0.0, 1000.0
    )
    shortest: float = _option(5.0, "subscan.minlength", "number", "Scans shorter than this, s, are left out.", 0.0)
    insert_source: bool = _option(
        True, "fifi_ls.insert_source", "bool", "Give samples as model plus what is left; else as they were, without "
        "the noise that was found.",
    )  # fmt: skip

    @property
    def robust(self) -> bool:
        """Whether medians are taken."""
        return self.estimator == "median"


_FIELDS = {f.metadata["key"]: f for f in fields(ScanOptions) if f.metadata}
_PARTS: Mapping[str, tuple[str, str, str, str]] = {
    "": ("on", "bool", "Take out {}.", ""),
    "resolution": ("resolution", "seconds", "Time over which {} are constant.", ""),
    "nogains": ("gains", "bool", "Do not fit gains of {}.", "not"),
    "gainrange": ("gain_range", "range", "Useful gains to {}, relative to the typical one.", ""),
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
        if part in ("", "resolution") or name not in ("sky", "gradients")
    ),
)
"""Names of all options."""


def option_help(key: str) -> tuple[str, Any, str]:
    """Return kind, default and meaning of an option."""
    if key in _FIELDS:
        f = _FIELDS[key]
        return f.metadata["kind"], getattr(ScanOptions(), f.name), f.metadata["help"]
    name, part = _split_correlated(key)
    attribute, kind, text, negated = _PARTS[part]
    default = getattr(ScanOptions().correlated[name], attribute)
    return kind, (not default) if negated else default, text.format(_SIGNALS[name])


@dataclass(frozen=True)
class ScanPlan:
    """Options of all rounds.

    Attributes
    ----------
    base : ScanOptions
        Of rounds nothing else is said of.
    changes : mapping of int to mapping of str to object
        Values from a round on, by name; rounds count from 1, from the last backwards with -1, -2, ....
    """

    base: ScanOptions
    changes: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    def at(self, number: int) -> ScanOptions:
        """Options of a round, from 1; changes stay for the later rounds."""
        options = self.base
        rounds = self.base.rounds
        when = {(n if n > 0 else rounds + 1 + n): n for n in sorted(self.changes, key=lambda n: (n < 0, n))}
        for start in sorted(when):
            if start <= number:
                for n in (start, start - rounds - 1):
                    for key, value in self.changes.get(n, {}).items():
                        options = _assign(options, key, value)
        return options

    @property
    def last(self) -> ScanOptions:
        """Options of the last round."""
        return self.at(self.base.rounds)


DEFAULT_SCHEDULE: Mapping[int, Mapping[str, Any]] = {
    1: {"despike.level": 30.0, "clip": 30.0, "blank": 30.0, "gains": False},
    2: {"despike.level": 10.0, "clip": 10.0, "blank": 10.0},
    3: {"despike.level": 8.0, "clip": 4.0},
    4: {"despike.level": 6.0, "clip": 3.0},
    6: {"gains": True},  # the source is known by now, and is not taken for a gain
    -2: {"filter.whiten": True},
    -1: {"clip": None, "blank": None, "exposureclip": 0.04, "smooth": 0.0},
}
"""What changes from round to round, unless it is given."""
_EXTENDED: Mapping[str, Any] = {"rounds": 60, "drifts": 300.0, "source.sign": "+"}


def read_scan_options(text: str, base: Mapping[str, Any] | None = None) -> ScanPlan:
    """Return the options of a reduction from what the user says.

    Parameters
    ----------
    text : str
        ``key=value``, separated by blanks. ``key@3=value`` holds from round 3 on, ``key@-1=value`` in the last;
        ``iteration.3.key=value`` and ``last.key=value`` are older spellings. A word without a value turns an option on,
        ``forget=key`` or ``blacklist=key`` turns it off.
    base : mapping of str to object, optional
        Values of the instrument.

    Returns
    -------
    ScanPlan
        A value that is given for all rounds replaces the usual schedule of that option.

    Raises
    ------
    ParameterError
        If an option is not known or a value cannot be used.
    """
    given: dict[int, dict[str, Any]] = {}
    for word in text.split():
        round_number, key, value = _read_word(word)
        given.setdefault(round_number, {})[key] = value
    fixed = given.pop(0, {})
    extended = bool(fixed.get("extended", (base or {}).get("extended", False)))
    values = {**(base or {}), **(_EXTENDED if extended else {}), **fixed}
    options = ScanOptions()
    for key, value in values.items():
        options = _assign(options, key, value)
    changes: dict[int, dict[str, Any]] = {}
    for source, kept in ((DEFAULT_SCHEDULE, fixed), (given, {})):
        for number, part in source.items():
            changes.setdefault(number, {}).update({k: v for k, v in part.items() if k not in kept})
    _check_rounds(given, options.rounds)
    return ScanPlan(options, changes)


def _check_rounds(given: Mapping[int, Any], rounds: int) -> None:
    for number in given:
        if not 1 <= abs(number) <= rounds:
            raise ParameterError(
                f"scan_options: there is no round {number}, there are {rounds}; set rounds too, or another round."
            )


def _read_word(word: str) -> tuple[int, str, Any]:
    """Round (0 for all), name and value."""
    name, equals, value = word.partition("=")
    if equals and name in ("forget", "blacklist"):
        key = _find_key(value)
        return 0, key, _switch_off(key)
    number, name = _split_round(name.lower())
    key = _find_key(name)
    return number, key, _read_value(key, value if equals else "true")


def _split_round(name: str) -> tuple[int, str]:
    """The round a name is for, and the name."""
    number: str | int = 0
    if "@" in name:
        name, number = name.split("@", 1)
    elif name.startswith("iteration."):
        number, _, name = name.removeprefix("iteration.").partition(".")
    elif name.startswith(("last.", "final.")):
        number, name = -1, name.partition(".")[2]
    number = {"last": -1, "final": -1, "first": 1}.get(str(number), number)
    try:
        return int(number), name
    except ValueError:
        raise ParameterError(
            f"scan_options: {number!r} is no round; give a number such as 3, or -1 for the last round."
        ) from None


def _find_key(name: str) -> str:
    name = name.lower()
    for alias, full in ALIASES.items():
        if name == alias or name.startswith(f"{alias}."):
            candidate = full + name[len(alias) :]
            if candidate in OPTION_KEYS:
                return candidate
    if name in OPTION_KEYS:
        return name
    close = difflib.get_close_matches(name, OPTION_KEYS, 1)
    hint = f"did you mean {close[0]}?" if close else "the manual of the Resample step lists all."
    raise ParameterError(f"scan_options: there is no option {name!r}; {hint}")


def _switch_off(key: str) -> Any:
    kind, _, _ = option_help(key)
    if kind == "bool":
        return False
    if kind == "level":
        return None
    raise ParameterError(f"scan_options: {key} cannot be turned off; give it a value.")


def _read_value(key: str, text: str) -> Any:
    kind, _, _ = option_help(key)
    try:
        value = _convert(kind, text.strip())
    except ValueError:
        raise ParameterError(f"scan_options: {key}={text} cannot be used; {_describe_kind(kind)}.") from None
    _check_limits(key, value)
    return value


def _convert(kind: str, text: str) -> Any:
    readers: Mapping[str, Callable[[str], Any]] = {
        "bool": _switch,
        "whole": int,
        "number": _number,
        "level": lambda t: None if t.lower() in OFF[:-1] else _number(t),
        "seconds": lambda t: {"auto": None, "max": math.inf}[t] if t in ("auto", "max") else _number(t),
        "range": _range,
        "speeds": _speeds,
        "pair": lambda t: tuple(_number(part) for part in t.replace("x", ",").split(",")),
        "smoothing": lambda t: t if t in SMOOTHING else 0.0 if t == "none" else _number(t),
    }
    if kind in readers:
        return readers[kind](text)
    if text not in kind.split("|"):
        raise ValueError
    return text


def _switch(text: str) -> bool:
    if text.lower() not in (*ON, *OFF):
        raise ValueError
    return text.lower() in ON


def _speeds(text: str) -> tuple[float, float] | None:
    if text == "auto":
        return None
    return (0.0, math.inf) if text in OFF[:-1] else _range(text)


def _number(text: str) -> float:
    value = float(text)
    if math.isnan(value):
        raise ValueError
    return value


def _range(text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    if not colon:
        raise ValueError
    made = 0.0 if low == "*" else _number(low), math.inf if high == "*" else _number(high)
    if made[0] > made[1]:
        raise ValueError
    return made


def _describe_kind(kind: str) -> str:
    words = {
        "bool": "give true or false", "whole": "give a whole number", "number": "give a number",
        "level": "give a number, or off", "seconds": "give seconds, auto or max",
        "range": "give two numbers such as 0.3:3", "speeds": "give two numbers such as 0.3:3, auto, or off",
        "pair": "give one or two numbers such as 4,0.05",
        "smoothing": f"give arcsec, none, or one of {', '.join(SMOOTHING)}",
    }  # fmt: skip
    return words.get(kind, f"give one of {', '.join(kind.split('|'))}")


def _check_limits(key: str, value: Any) -> None:
    low, high = (_FIELDS[key].metadata[k] for k in ("low", "high")) if key in _FIELDS else (0.0, math.inf)
    parts: Sequence[Any] = value if isinstance(value, tuple) else (value,)
    for part in parts:
        if isinstance(part, (int, float)) and not isinstance(part, bool) and not low <= part <= high:
            raise ParameterError(f"scan_options: {key} = {part:g} is out of range; give {low:g} to {high:g}.")
    if key in ("grid", "map.size") and value is not None and not 1 <= len(parts) <= 2:
        raise ParameterError(f"scan_options: {key} has {len(parts)} numbers; give one or two.")


def _split_correlated(key: str) -> tuple[str, str]:
    name, _, part = key.removeprefix("correlated.").partition(".")
    return name, part


def _assign(options: ScanOptions, key: str, value: Any) -> ScanOptions:
    if key in _FIELDS:
        return replace(options, **{_FIELDS[key].name: value})
    name, part = _split_correlated(key)
    attribute, _, _, negated = _PARTS[part]
    part_value: Any = (not value) if negated else value
    group: GroupOptions = replace(options.correlated[name], **{attribute: part_value})
    return replace(options, correlated={**options.correlated, name: group})
