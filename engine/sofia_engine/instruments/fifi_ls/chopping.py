"""How readouts are shared among chop and grating positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import HeaderError, StepError
from sofia_engine.instruments.fifi_ls.mode import channel_letter, is_total_power, read_text, require_integer

if TYPE_CHECKING:
    from astropy.io import fits

    from sofia_engine.instruments.fifi_ls.raw import Readouts
    from sofia_engine.numerics.arrays import IndexArray

__all__ = ["GratingPositions", "Sequencing", "find_complete", "read_gratings", "read_sequencing", "split_readouts"]


@dataclass(frozen=True)
class Sequencing:
    """How an observation was chopped and read out.

    Attributes
    ----------
    ramp_length : int
        Readouts of a ramp.
    ramps_per_chop : int
        Ramps in one position of the chopper.
    chopped : bool
        Whether the chopper moved.
    """

    ramp_length: int
    ramps_per_chop: int
    chopped: bool

    @property
    def chops(self) -> int:
        """Number of chop positions."""
        return 2 if self.chopped else 1


@dataclass(frozen=True)
class GratingPositions:
    """Positions of the grating, inductosyn units, on the way up.

    Attributes
    ----------
    own, primary : tuple of int
        Of the channel, and of the primary channel at the same time.
    down : int
        Number of positions on the way down, which are not reduced.
    """

    own: tuple[int, ...]
    primary: tuple[int, ...]
    down: int


def read_sequencing(header: fits.Header) -> Sequencing:
    """Return how an observation was chopped.

    Raises
    ------
    HeaderError
        If a keyword is missing, or ramps and chops do not fit into each other.
    """
    letter = channel_letter(header)
    name = header.get("FILENAME", "The file")
    if read_text(header, "C_SCHEME") != "2POINT":
        raise HeaderError(f"{name}: C_SCHEME is {header.get('C_SCHEME')!r}; only 2POINT can be reduced.")
    ramp, chop = require_integer(header, f"RAMPLN_{letter}"), require_integer(header, "C_CHOPLN")
    if ramp < 1 or chop < 1:
        raise HeaderError(f"{name}: RAMPLN_{letter} is {ramp} and C_CHOPLN {chop}; both must be at least 1.")
    if is_total_power(header):
        return Sequencing(ramp, 1, chopped=False)
    if chop % ramp or chop == ramp:
        raise HeaderError(
            f"{name}: C_CHOPLN is {chop} and RAMPLN_{letter} {ramp}; a chop must be two or more whole ramps."
        )
    return Sequencing(ramp, chop // ramp, chopped=True)


def read_gratings(header: fits.Header) -> GratingPositions:
    """Return the grating positions of an observation.

    Raises
    ------
    HeaderError
        If a keyword is missing, or there is no position.
    """
    letter, primary = channel_letter(header), "R" if read_text(header, "PRIMARAY") == "RED" else "B"
    own, others = _list_positions(header, letter), _list_positions(header, primary)
    if not own or not others:
        name = header.get("FILENAME", "The file")
        raise HeaderError(f"{name}: G_PSUP_{letter} and G_PSUP_{primary} must be at least 1.")
    others += (others[-1],) * (len(own) - len(others))
    return GratingPositions(own, others[: len(own)], require_integer(header, f"G_PSDN_{letter}"))


def _list_positions(header: fits.Header, letter: str) -> tuple[int, ...]:
    start, count, size = (require_integer(header, f"G_{word}_{letter}") for word in ("STRT", "PSUP", "SZUP"))
    return tuple(start + number * size for number in range(count))


def find_complete(readouts: Readouts, sequencing: Sequencing) -> slice:
    """Return the readouts from the first whole ramp of the first chop position to the last of the last.

    Raises
    ------
    StepError
        If there is no whole chop.
    """
    starts = np.flatnonzero(readouts.sample == 0)
    if not starts.size:
        raise StepError("there is no beginning of a ramp among the readouts.")
    first, end = int(starts[0]), len(readouts)
    if readouts.sample[-1] != sequencing.ramp_length - 1:
        end = first + int(np.argmax(readouts.ramp[first:] >= readouts.ramp[-1]))
    phase = _find_phase(readouts.ramp[first:end], sequencing.ramps_per_chop)
    if not phase.size or not (phase == 0).any():
        raise StepError("there is no complete chop among the readouts.")
    begin, last = int(np.argmax(phase == 0)), int(np.flatnonzero(phase == phase.max())[-1])
    if last < begin:
        raise StepError("there is no complete chop among the readouts.")
    return slice(first + begin, first + last + 1)


def _find_phase(ramp: IndexArray, per_chop: int) -> IndexArray:
    phase: IndexArray = (ramp // per_chop) % 2
    return phase


def split_readouts(ramp: IndexArray, sequencing: Sequencing, positions: int) -> list[list[IndexArray]]:
    """Share readouts among chop and grating positions.

    Parameters
    ----------
    ramp : (n,) ndarray of int
        Number of the ramp of each readout.
    sequencing : Sequencing
        How it was chopped.
    positions : int
        Grating positions up and down; each chop spends equal times in them, one after the other.

    Returns
    -------
    list of list of ndarray of int
        By chop and grating position, the numbers of the readouts.

    Raises
    ------
    StepError
        If there are fewer readouts than positions.
    """
    phase = _find_phase(ramp, sequencing.ramps_per_chop) if sequencing.chopped else np.zeros_like(ramp)
    shared = []
    for chop in range(sequencing.chops):
        members = np.flatnonzero(phase == chop)
        size = members.size // positions
        if not size:
            raise StepError(f"chop {chop} has {members.size} readouts for {positions} grating positions.")
        shared.append([members[number * size : (number + 1) * size] for number in range(positions)])
    return shared
