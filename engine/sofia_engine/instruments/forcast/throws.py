"""Chop and nod throws: where the copies of a source lie in a chopped and nodded image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sofia_engine.errors import HeaderError

if TYPE_CHECKING:
    from astropy.io import fits

    from sofia_engine.instruments.forcast.configuration import Configuration
    from sofia_engine.numerics.peaks import Peak

__all__ = ["PATTERNS", "Copy", "Throws", "match_pattern", "read_throws", "scale_of_pixels"]

Shift = tuple[float, float]
Copy = tuple[float, float, int]
"""Shift x, shift y in pixels that brings a copy onto the reference, and the sign of the copy."""

DEFAULT_SCALE = 0.768
PATTERNS = {"NMC": (1, 2), "NPC": (2, 2)}
"""Number of positive and of negative images by mode, for the modes in which they are told apart by their positions."""


@dataclass(frozen=True)
class Throws:
    """Shifts (x, y) in pixels that bring a negative image onto the positive one; None if there is no such motion."""

    chop: Shift | None
    nod: Shift | None
    largest: float = 120.0
    """Throws beyond this, pixels, put the other images off the detector."""

    def copies(self, *, matched: bool) -> list[Copy]:
        """Copies that add up to one positive image.

        Parameters
        ----------
        matched : bool
            The nod throw is opposite to the chop throw: the positive images coincide (NMC). Otherwise chop and nod
            make two positive and two negative images.

        Returns
        -------
        list of Copy
            The first is the image as it is. No other if the chop throw is too large; no nod if its throw is.
        """
        chop, nod = self._usable(self.chop), self._usable(self.nod)
        copies: list[Copy] = [(0.0, 0.0, 1)]
        if chop is None:
            return copies
        copies.append((*chop, -1))
        if nod is None:
            return copies
        copies.append((*nod, -1))
        return copies if matched else [*copies, (chop[0] + nod[0], chop[1] + nod[1], 1)]

    def _usable(self, throw: Shift | None) -> Shift | None:
        return None if throw is None or not 0 < math.hypot(*throw) <= self.largest else throw


def scale_of_pixels(header: fits.Header) -> float:
    """Arcsec per pixel: PLTSCALE (degrees), or the scale of corrected images."""
    scale = header.get("PLTSCALE")
    return float(scale) * 3600 if isinstance(scale, (int, float)) and scale > 0 else DEFAULT_SCALE


def read_throws(header: fits.Header, configuration: Configuration) -> Throws:
    """Read the chop and nod throws from a header.

    Parameters
    ----------
    header : Header
        With CHPAMP1 (half the throw, arcsec) and CHPANGLE if CHOPPING, NODAMP (the throw) and NODANGLE if NODDING.
        Throws in sky coordinates (ERF) are turned by SKY_ANGL.
    configuration : Configuration
        Says which way the angles count, and which throws are too large.

    Raises
    ------
    HeaderError
        If one of these keywords is missing.
    """
    scale = scale_of_pixels(header)
    sense = -1 if configuration.angle_convention == "negative" else 1
    chop = nod = None
    if header.get("CHOPPING"):
        chop = _read_vector(header, 2 * _number(header, "CHPAMP1") / scale, "CHPANGLE", ("CHPCRSYS", "CHPCOORD"), sense)
    if header.get("NODDING"):
        nod = _read_vector(header, _number(header, "NODAMP") / scale, "NODANGLE", ("NODCRSYS", "NODCOORD"), sense)
    return Throws(chop, nod, configuration.largest_shift)


def _read_vector(header: fits.Header, length: float, angle: str, system: tuple[str, str], sense: int) -> Shift:
    direction = math.radians(sense * _number(header, angle))
    x, y = length * math.sin(direction), length * math.cos(direction)
    on_sky = str(header[system[0]]).strip().upper() == "ERF" if system[0] in header else header.get(system[1]) == 2
    if not on_sky:
        return x, y
    turn = math.radians(_number(header, "SKY_ANGL"))
    return x * math.cos(turn) + y * math.sin(turn), -x * math.sin(turn) + y * math.cos(turn)


def _number(header: fits.Header, keyword: str) -> float:
    value = header.get(keyword)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        name = header.get("FILENAME", "unnamed.fits")
        raise HeaderError(
            f"{name}: {keyword} is {value!r}, so the chop and nod throws are not known; correct the header."
        )
    return float(value)


def match_pattern(peaks: Sequence[Peak], throws: Throws, *, matched: bool, tolerance: float) -> tuple[Peak, ...] | None:
    """Find among many peaks those that lie as chop and nod say.

    Parameters
    ----------
    peaks : sequence of Peak
        Brightest first; may contain other sources and noise.
    throws : Throws
        Expected shifts.
    matched : bool
        As in `Throws.copies`.
    tolerance : float
        Largest distance of a peak from where it is expected, pixels in x and in y.

    Returns
    -------
    tuple of Peak or None
        The complete pattern with the largest sum of heights, brightest first; None if there is none.
    """
    copies = throws.copies(matched=matched)
    if len(copies) != (3 if matched else 4):
        return None
    complete = []
    for anchor in (peak for peak in peaks if peak.sign > 0):
        near = [next((p for p in peaks if _agrees(p, anchor, copy, tolerance)), None) for copy in copies[1:]]
        others = [peak for peak in near if peak is not None]
        if len(others) == len(near):
            complete.append((anchor, *others))
    if not complete:
        return None
    best = max(complete, key=lambda pattern: sum(peak.height for peak in pattern))
    return tuple(sorted(best, key=lambda peak: -peak.height))


def _agrees(peak: Peak, anchor: Peak, copy: Copy, tolerance: float) -> bool:
    """Tell whether a peak is where the copy of the anchor is expected: the shift moves it onto the anchor."""
    distance = max(abs(anchor.x - peak.x - copy[0]), abs(anchor.y - peak.y - copy[1]))
    return peak.sign == copy[2] and peak is not anchor and distance <= tolerance
