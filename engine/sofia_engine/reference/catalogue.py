"""
The catalogue of published reference files: names, sizes, hashes, sources, and the rules that say when each applies.

One JSON file per instrument lies in ``resources/reference``; `tools/make_reference_catalogue.py` writes it. Its keys:

``format``, ``instrument``
    1, and the value of INSTRUME.
``distribution``
    ``package`` and ``version`` of the published package that holds the files with a ``distribution`` source.
``files``
    One object per file: ``key``, ``name``, ``kind``, ``size``, ``sha256``, ``sources``.
``selections``
    Per kind the ``rules`` (objects with ``until``, ``match`` and ``file``: a key or null), tried from the first to
    the last, and in ``contains`` the match words whose value need only be contained in the requested one.
``series``
    Optional: families of files, too many to be listed, whose names follow from the request; see `Series`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sofia_engine.errors import ReferenceDataError
from sofia_engine.resources import resource_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["UNKNOWN_DATE", "Catalogue", "ReferenceFile", "ReferenceRequest", "Rule", "Selection", "Series"]

UNKNOWN_DATE = 99999999
_FORMAT = 1
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Rule:
    """
    When a file applies: observations up to a day, with given settings.

    Parameters
    ----------
    until
        Last day of observation (YYYYMMDD) the rule covers; None for no end.
    match
        Values the request must have, by word, e.g. ``{"mode": "IMG_SWC"}``; a word that is absent may have any value.
    """

    until: int | None
    match: Mapping[str, str]

    def covers(self, request: ReferenceRequest, contains: frozenset[str] = frozenset()) -> bool:
        """
        Say whether the rule applies to a request.

        Parameters
        ----------
        request
            What is asked for.
        contains
            Words whose value in the rule need only be contained in the value of the request.
        """
        if self.until is not None and request.date > self.until:
            return False
        for word, value in self.match.items():
            asked = request.match.get(word)
            if asked is None or not (value in asked if word in contains else value == asked):
                return False
        return True


@dataclass(frozen=True)
class ReferenceFile:
    """
    One published reference file.

    Parameters
    ----------
    name
        Name as product headers give it, relative to the data folder of the instrument or of the calibration,
        e.g. ``badpix/swc_badpix_OC6J.fits``.
    key
        Unique identifier, and path inside the cache, e.g. ``forcast/badpix/swc_badpix_OC6J.fits``.
    instrument
        Value of INSTRUME.
    kind
        What it is, e.g. ``bad_pixel_mask``.
    size
        Bytes; 0 if not known (a user's own file, a file of a series).
    sha256
        Hexadecimal SHA-256 of the content; empty if not known (a user's own file, a file of a series).
    sources
        Where it is published, best first. Each has a ``type``: ``distribution`` (with ``package``, ``version``,
        ``member``), ``darus`` (``doi``, ``file``), ``url`` (``url``) or, for a user's own
        file, ``override`` (``path``).
    rules
        When it applies, in the order of the published table; empty for a file that is published but not in use.
    """

    name: str
    key: str
    instrument: str
    kind: str
    size: int
    sha256: str
    sources: tuple[Mapping[str, str], ...] = field(default=(), compare=False)
    rules: tuple[Rule, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class ReferenceRequest:
    """
    A question to the catalogue: which file of a kind applies to an observation?

    Parameters
    ----------
    instrument
        Value of INSTRUME.
    kind
        Kind of the file wanted.
    date
        Day of the observation, YYYYMMDD; 99999999 if unknown.
    match
        Settings of the observation by word, e.g. ``{"mode": "IMG_SWC"}``.
    label
        What the file is wanted for, used in messages, e.g. a raw file's name.
    """

    instrument: str
    kind: str
    date: int = UNKNOWN_DATE
    match: Mapping[str, str] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True)
class Selection:
    """
    The ordered rules that choose a file of one kind.

    Parameters
    ----------
    rules
        Rules with the key of the file each one gives, None for "there is no such file"; the first that covers wins.
    contains
        Words whose value in a rule need only be contained in the value of the request.
    """

    rules: tuple[tuple[Rule, str | None], ...]
    contains: frozenset[str] = frozenset()

    def choose(self, request: ReferenceRequest) -> str | None:
        """Return the key of the first rule that covers the request; None if it names no file or none covers."""
        return next((key for rule, key in self.rules if rule.covers(request, self.contains)), None)

    def rules_by_key(self) -> dict[str, tuple[Rule, ...]]:
        """Return, for each file named, the rules that give it."""
        grouped: dict[str, list[Rule]] = defaultdict(list)
        for rule, key in self.rules:
            if key is not None:
                grouped[key].append(rule)
        return {key: tuple(rules) for key, rules in grouped.items()}


@dataclass(frozen=True)
class Series:
    """
    A family of published files whose names follow from the settings; they are not listed, and have no known hash.

    Parameters
    ----------
    instrument, kind
        As of the files.
    name, key
        As of the files, with the match words in braces: ``atran_{altitude}K_{zenith}deg.fits``.
    values
        The values there are of each word; empty for any.
    sources
        As of the files. A value may hold words in braces, or be an object that gives it by the value of one ``word``.
    """

    instrument: str
    kind: str
    name: str
    key: str
    values: Mapping[str, tuple[str, ...]]
    sources: tuple[Mapping[str, Any], ...]

    def choose(self, match: Mapping[str, str]) -> ReferenceFile | None:
        """Return the file with these settings; None if there is none."""
        for word, allowed in self.values.items():
            if word not in match or (allowed and match[word] not in allowed):
                return None
        sources = tuple({k: _fill(value, match) for k, value in source.items()} for source in self.sources)
        name, key = self.name.format_map(match), self.key.format_map(match)
        return ReferenceFile(name, key, self.instrument, self.kind, 0, "", sources)


def _fill(value: Any, match: Mapping[str, str]) -> str:
    chosen = value if isinstance(value, str) else value[match[value["word"]]]
    return str(chosen).format_map(match)


class Catalogue:
    """
    Reference files of one or several instruments, with the rules of selection.

    Parameters
    ----------
    files
        The files; their ``rules`` need not be set, they are taken from ``selections``.
    selections
        By instrument and kind, the rules that choose among the files.
    series
        Families of files that are not listed.
    """

    def __init__(
        self,
        files: Iterable[ReferenceFile],
        selections: Mapping[tuple[str, str], Selection] | None = None,
        series: Iterable[Series] = (),
    ) -> None:
        self._series = {(family.instrument, family.kind): family for family in series}
        self._selections = dict(selections or {})
        self._rules = {name: selection.rules_by_key() for name, selection in self._selections.items()}
        self._by_key = {file.key: self._with_rules(file) for file in files}

    @classmethod
    def load(cls, instrument: str | None = None) -> Catalogue:
        """
        Load the catalogue that comes with the program.

        Parameters
        ----------
        instrument
            Value of INSTRUME; None for all instruments.

        Returns
        -------
        Catalogue
            The same object at each call.

        Raises
        ------
        ReferenceDataError
            If there is no catalogue for the instrument, or it cannot be read.
        """
        return _load_shipped(instrument)

    @classmethod
    def read(cls, *paths: Path) -> Catalogue:
        """
        Read catalogue files.

        Parameters
        ----------
        *paths
            JSON files, one per instrument.

        Raises
        ------
        ReferenceDataError
            If a file cannot be read or is not a catalogue of this format.
        """
        files: list[ReferenceFile] = []
        selections: dict[tuple[str, str], Selection] = {}
        series: list[Series] = []
        for path in paths:
            content = _read_json(path)
            files.extend(_parse_files(content))
            selections.update(_parse_selections(content))
            series.extend(_parse_series(content))
        return cls(files, selections, series)

    @property
    def files(self) -> tuple[ReferenceFile, ...]:
        """All files that are listed, each once, in the order of the catalogue."""
        return tuple(self._by_key.values())

    @property
    def instruments(self) -> tuple[str, ...]:
        """Instruments with at least one file."""
        return tuple(dict.fromkeys(file.instrument for file in self._by_key.values()))

    def kinds(self, instrument: str) -> tuple[str, ...]:
        """List the kinds of file that can be selected for an instrument."""
        return tuple(kind for name, kind in [*self._selections, *self._series] if name == instrument)

    def find(self, name: str) -> ReferenceFile | None:
        """Return the file with a key or, if only one has it, a name as in product headers; None if there is none."""
        if name in self._by_key:
            return self._by_key[name]
        named = [file for file in self._by_key.values() if file.name == name]
        return named[0] if len(named) == 1 else None

    def select(self, request: ReferenceRequest) -> ReferenceFile | None:
        """
        Choose the file that applies to an observation.

        Parameters
        ----------
        request
            Instrument, kind, date and settings.

        Returns
        -------
        ReferenceFile or None
            None if the published table names no file for that date and those settings, or has no line for them.

        Raises
        ------
        ReferenceDataError
            If the catalogue knows no such kind for the instrument.
        """
        series = self._series.get((request.instrument, request.kind))
        if series is not None:
            return series.choose(request.match)
        selection = self._selections.get((request.instrument, request.kind))
        if selection is None:
            raise ReferenceDataError(self._describe_unknown(request))
        key = selection.choose(request)
        if key is None:
            return None
        file = self._by_key[key]
        return file if file.kind == request.kind else self._with_rules(replace(file, kind=request.kind))

    def _with_rules(self, file: ReferenceFile) -> ReferenceFile:
        rules = self._rules.get((file.instrument, file.kind), {})
        return replace(file, rules=rules.get(file.key, ()))

    def _describe_unknown(self, request: ReferenceRequest) -> str:
        kinds = self.kinds(request.instrument)
        if not kinds:
            known = ", ".join(self.instruments) or "none"
            return f"There is no reference catalogue for instrument {request.instrument!r}; there is one for: {known}."
        return (
            f"The reference catalogue of {request.instrument} has no files of kind {request.kind!r}; "
            f"its kinds are: {', '.join(kinds)}."
        )


@lru_cache(maxsize=16)
def _load_shipped(instrument: str | None) -> Catalogue:
    folder = resource_path("reference")
    if instrument is None:
        return Catalogue.read(*sorted(folder.glob("*.json")))
    path = folder / f"{instrument.lower().replace('-', '_')}.json"
    if not path.is_file():
        known = ", ".join(other.stem.upper() for other in sorted(folder.glob("*.json"))) or "none"
        raise ReferenceDataError(
            f"There is no reference catalogue for instrument {instrument!r}; there is one for: {known}."
        )
    return Catalogue.read(path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReferenceDataError(
            f"The reference catalogue {path} cannot be read ({error}); install the program again."
        ) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ReferenceDataError(f"{path} is not a reference catalogue of format {_FORMAT}; install the program again.")
    return content


def _parse_files(content: dict[str, Any]) -> list[ReferenceFile]:
    distribution = content.get("distribution", {})
    return [
        ReferenceFile(
            name=entry["name"],
            key=entry["key"],
            instrument=content["instrument"],
            kind=entry["kind"],
            size=entry["size"],
            sha256=entry["sha256"],
            sources=tuple(_complete_source(source, distribution) for source in entry["sources"]),
        )
        for entry in content["files"]
    ]


def _complete_source(source: dict[str, str], distribution: dict[str, str]) -> Mapping[str, str]:
    return distribution | source if source["type"] == "distribution" else source


def _parse_selections(content: dict[str, Any]) -> dict[tuple[str, str], Selection]:
    return {
        (content["instrument"], kind): Selection(
            tuple((Rule(rule["until"], rule.get("match", _NOTHING)), rule["file"]) for rule in selection["rules"]),
            frozenset(selection.get("contains", ())),
        )
        for kind, selection in content["selections"].items()
    }


def _parse_series(content: dict[str, Any]) -> list[Series]:
    return [
        Series(
            instrument=content["instrument"],
            kind=entry["kind"],
            name=entry["name"],
            key=entry["key"],
            values={word: tuple(values) for word, values in entry["values"].items()},
            sources=tuple(entry["sources"]),
        )
        for entry in content.get("series", ())
    ]
