"""Reference lines: built-in lists, users' lists, search, and where they are seen at a redshift."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from sofia_engine.errors import InputError
from sofia_engine.resources import resource_path

__all__ = ["Frame", "Label", "LineList", "ReferenceLine", "Shift", "builtin_lists", "merge_labels", "parse_line_list"]

Frame = Literal["observer", "barycentric", "lsr"]

_LIGHT_SPEED = 299792.458
_LONGEST_LABEL = 30
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")


@dataclass(frozen=True)
class ReferenceLine:
    """A line: vacuum wavelength at rest, μm, label and what is known of it."""

    wavelength: float
    label: str
    note: str = ""


@dataclass(frozen=True)
class LineList:
    """A list of lines.

    Parameters
    ----------
    name : str
        What users read.
    lines : tuple of ReferenceLine
        Rising wavelengths.
    text : str
        Content of the file.
    shown, labelled : bool
        Whether its lines, and their labels, are drawn.
    path : Path, optional
        Where it was read.
    """

    name: str
    lines: tuple[ReferenceLine, ...]
    text: str = ""
    shown: bool = False
    labelled: bool = True
    path: Path | None = None

    def switched(self, **changes: bool) -> LineList:
        """Return the list with ``shown`` or ``labelled`` changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


def parse_line_list(text: str, name: str, path: Path | None = None) -> LineList:
    """Read a list of lines.

    Parameters
    ----------
    text : str
        One line each: wavelength in μm, and perhaps label and note, separated by comma, tab or bar, or by blanks after
        the number (the rest is the label). ``#`` begins a comment. Lines above the first number are taken as headings.
    name : str
        Name of the list.
    path : Path, optional
        Where it was read.

    Raises
    ------
    InputError
        If there is no line in it, or something else than a wavelength below the first one.
    """
    found: list[ReferenceLine] = []
    for number, raw in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        cells = [cell.strip() for cell in re.split(r"[,\t|]", line)]
        if len(cells) == 1:
            cells = line.split(maxsplit=1)
        if not _NUMBER.match(cells[0]) or float(cells[0]) <= 0:
            if found:
                raise InputError(f"{name}: line {number} begins with '{cells[0][:30]}', which is no wavelength in μm.")
            continue
        wave = float(cells[0])
        found.append(
            ReferenceLine(wave, cells[1] if len(cells) > 1 and cells[1] else f"{wave:.5g} um", "; ".join(cells[2:]))
        )
    if not found:
        raise InputError(f"{name} holds no line: give a wavelength in μm and a label on each line.")
    return LineList(name, tuple(sorted(found, key=lambda line: line.wavelength)), text, True, path=path)


def read_line_list(path: str | Path) -> LineList:
    """Read a list of lines from a text file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    source = Path(path)
    try:
        text = source.read_text(encoding="utf-8", errors="strict")
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"{source} cannot be read as a list of lines: {problem}.") from None
    return parse_line_list(text, source.name, source)


@lru_cache(maxsize=1)
def builtin_lists() -> tuple[LineList, ...]:
    """Return the lists that come with the program, hidden: atoms and ions, hydrogen, H2, CO, OH, H2O, PAH."""
    lists = []
    for path in sorted(resource_path("lines").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        title = next((line[1:].strip() for line in text.splitlines() if line.startswith("#")), path.stem)
        lists.append(replace(parse_line_list(text, title), shown=False))
    return tuple(lists)


def search_lines(lists: Iterable[LineList], text: str) -> list[ReferenceLine]:
    """Return the lines that a text names.

    Parameters
    ----------
    lists : iterable of LineList
        Where to look.
    text : str
        Part of a label or note (blanks do not matter, nor brackets unless given), a wavelength (lines within 1 per
        cent, nearest
        first), or a range ``50-60``.
    """
    lines = list(dict.fromkeys(line for each in lists for line in each.lines))
    clean = text.strip()
    span = re.match(r"^(\d+\.?\d*)\s*-\s*(\d+\.?\d*)$", clean)
    if span:
        low, high = sorted((float(span[1]), float(span[2])))
        return sorted((line for line in lines if low <= line.wavelength <= high), key=lambda line: line.wavelength)
    if _NUMBER.match(clean):
        wave = float(clean)
        near = [line for line in lines if abs(line.wavelength - wave) <= 0.01 * wave]
        return sorted(near, key=lambda line: abs(line.wavelength - wave))
    wanted = _plain(clean)
    if "[" in clean:
        exact = re.sub(r"\s", "", clean).lower()
        return sorted(
            (n for n in lines if exact in re.sub(r"\s", "", n.label).lower()), key=lambda line: line.wavelength
        )
    return sorted(
        (line for line in lines if wanted and wanted in _plain(f"{line.label} {line.note}")),
        key=lambda line: line.wavelength,
    )


def _plain(text: str) -> str:
    return re.sub(r"[\s\[\]()_]", "", text).lower()


@dataclass(frozen=True)
class Shift:
    """Where lines are seen.

    Parameters
    ----------
    redshift : float
        Of the source, in the frame.
    frame : {"observer", "barycentric", "lsr"}
        What the redshift refers to.
    barycentric, local_standard : float
        Relative shifts of the observation, dλ/λ, positive where the motion of the observer shifts light to the blue;
        the
        second is what the motion of the Sun in the local standard of rest adds.
    """

    redshift: float = 0.0
    frame: Frame = "observer"
    barycentric: float = 0.0
    local_standard: float = 0.0

    @property
    def velocity(self) -> float:
        """Velocity, km/s, optical convention."""
        return _LIGHT_SPEED * self.redshift

    def with_velocity(self, velocity: float) -> Shift:
        """Return the shift for a velocity, km/s, optical convention."""
        return replace(self, redshift=velocity / _LIGHT_SPEED)

    @property
    def factor(self) -> float:
        """Observed over rest wavelength."""
        motion = {"observer": 0.0, "barycentric": self.barycentric, "lsr": self.barycentric + self.local_standard}
        return (1.0 + self.redshift) / (1.0 + motion[self.frame])

    def with_line_at(self, rest: float, observed: float) -> Shift:
        """Return the shift that moves a line to where it was dragged."""
        return replace(self, redshift=observed / rest * (1.0 + self.redshift) / self.factor - 1.0)


def read_motion(header: Mapping[str, Any]) -> tuple[float, float, str]:
    """Return the barycentric shift of an observation, what the local standard of rest adds, and where they come from.

    Parameters
    ----------
    header : mapping
        With BARYSHFT and LSRSHFT, or with what `sofia_engine.spectroscopy.velocity` needs.
    """
    from sofia_engine.errors import HeaderError
    from sofia_engine.spectroscopy.velocity import compute_velocity_shifts, read_pointing

    try:
        if "BARYSHFT" in header:
            return float(header["BARYSHFT"]), float(header.get("LSRSHFT", 0.0)), "BARYSHFT and LSRSHFT of the header"
        shifts = compute_velocity_shifts(read_pointing(header))
    except (HeaderError, TypeError, ValueError):
        return 0.0, 0.0, "the header says too little of time and place: no correction"
    return shifts.barycentric, shifts.local_standard, "time and place in the header"


@dataclass(frozen=True)
class Label:
    """A label of one or several lines at a place along x (pixels)."""

    place: float
    text: str
    count: int = 1


def merge_labels(places: Sequence[float], texts: Sequence[str], height: float) -> list[Label]:
    """Merge labels that would overlap.

    Parameters
    ----------
    places : sequence of float
        Where the lines are, pixels.
    texts : sequence of str
        Their labels.
    height : float
        Room a vertical label takes, pixels.

    Returns
    -------
    list of Label
        From left to right, at least `height` apart; merged ones read ``a,b``, cut at thirty characters.
    """
    groups: list[list[tuple[float, str]]] = []
    for place, text in sorted(zip(places, texts, strict=True)):
        if not math.isfinite(place):
            continue
        if groups and place - groups[-1][0][0] < height:
            groups[-1].append((place, text))
        else:
            groups.append([(place, text)])
    return [Label(group[0][0], _join([text for _, text in group]), len(group)) for group in groups]


def _join(texts: Sequence[str]) -> str:
    joined = ",".join(dict.fromkeys(texts))
    return joined if len(joined) <= _LONGEST_LABEL else joined[: _LONGEST_LABEL - 1] + "…"
