"""Nod beams: which belong together, and the flux of one without the background seen in the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.errors import HeaderError
from sofia_engine.header.merging import NO_DATE, observation_time
from sofia_engine.instruments.fifi_ls.gratings import count_gratings, grating_header, read_card
from sofia_engine.instruments.fifi_ls.mode import (
    channel_letter,
    find_channel,
    is_nod_a,
    is_symmetric,
    read_number,
    read_text,
    require_number,
)

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.product import Product

__all__ = [
    "Background",
    "NodBeam",
    "NodMethod",
    "Signal",
    "describe_beam",
    "estimate_background",
    "find_candidates",
    "subtract_background",
]

NodMethod = Literal["nearest", "average", "interpolate"]

TOO_LONG = 180.0
"""Seconds after which the background is another."""
READOUTS_PER_SECOND = 250.0
_NEEDED = ("NODSTYLE", "DETCHAN", "CHANNEL", "NODBEAM", "DLAM_MAP", "DBET_MAP", "DLAM_OFF", "DBET_OFF", "DATE-OBS")


@dataclass(frozen=True, eq=False)
class Signal:
    """Flux and error (16, 25) or (n_ramp, 16, 25), with the level of the background."""

    flux: FloatArray
    error: FloatArray
    level: float = float("nan")

    def scale(self, factor: FloatArray | float) -> Signal:
        """Return the signal times a factor."""
        return Signal(self.flux * factor, self.error * np.abs(factor), self.level)


@dataclass(frozen=True, eq=False)
class NodBeam:
    """One file of a nod beam.

    Attributes
    ----------
    product : Product
        Planes FLUX and STDDEV per grating position.
    on_source : bool
        Whether it is of nod A (or counts as such).
    time : float
        Unix time of its start, s.
    """

    product: Product
    on_source: bool
    time: float

    def signal(self, grating: int) -> Signal:
        """Return flux and error of a grating position."""
        level = grating_header(self.product, grating).get("BGLEVL_A")
        return Signal(
            self.product[f"FLUX_G{grating}"],
            self.product[f"STDDEV_G{grating}"],
            float(level) if isinstance(level, int | float) else float("nan"),
        )

    def find_grating(self, position: float) -> int | None:
        """Return the number of the grating position with an INDPOS; None if there is none."""
        numbers = range(count_gratings(self.product))
        return next((g for g in numbers if read_card(self.product, "INDPOS", g) == position), None)

    def times(self, grating: int) -> FloatArray:
        """Unix time of the middle of a grating position: (1, 1, 1), or (n_ramp, 1, 1) of a scan."""
        cards = grating_header(self.product, grating)
        if self.product[f"FLUX_G{grating}"].ndim == 3 and "RAMPSTRT" in cards and "RAMPEND" in cards:
            count = len(self.product[f"FLUX_G{grating}"])
            times = np.linspace(float(cards["RAMPSTRT"]), float(cards["RAMPEND"]), count)
        else:
            header = self.product.header
            cycles = read_number(header, f"C_CYC_{channel_letter(header)}") or 0.0
            spent = 2 * (read_number(header, "C_CHOPLN") or 0.0) / READOUTS_PER_SECOND * cycles
            times = np.array([self.time + (grating + 0.5) * spent])
        return times.reshape(-1, 1, 1)


@dataclass(frozen=True)
class Background:
    """A file of the other nod that matches a grating position."""

    beam: NodBeam = field(compare=False)
    grating: int
    key: tuple[int, int]
    """Number of the file and of the grating position."""


def describe_beam(product: Product, *, offbeam: bool = False) -> NodBeam:
    """Return a file as nod beam.

    Parameters
    ----------
    product : Product
        After Subtract Chops.
    offbeam : bool
        Let nod B be the source.

    Raises
    ------
    HeaderError
        If a keyword is missing or has no usable value.
    """
    header = product.header
    missing = [keyword for keyword in _NEEDED if keyword not in header]
    if missing:
        raise HeaderError(f"{product.name}: {', '.join(missing)} missing in the header; nods cannot be combined.")
    time = observation_time(header)
    if time == NO_DATE:
        raise HeaderError(f"{product.name}: DATE-OBS is {header['DATE-OBS']!r}, no date and time; nods need it.")
    if read_text(header, "NODBEAM") not in ("A", "B"):
        raise HeaderError(f"{product.name}: NODBEAM is {header['NODBEAM']!r}, must be A or B.")
    return NodBeam(product, is_nod_a(header) != offbeam, time.timestamp())


def find_candidates(
    beam: NodBeam, grating: int, others: Sequence[NodBeam], used: Iterable[tuple[int, int]]
) -> list[Background]:
    """Return the files of the other nod that match a grating position of a beam, in order of time.

    Parameters
    ----------
    beam : NodBeam
        Nod A.
    grating : int
        Grating position of it.
    others : sequence of NodBeam
        Nod B, in order of time.
    used : iterable of (int, int)
        Keys of those that are taken; nods that match the chop are used once.
    """
    header, position, taken = beam.product.header, read_card(beam.product, "INDPOS", grating), set(used)
    symmetric = is_symmetric(header)
    found = []
    for number, other in enumerate(others):
        theirs = other.product.header
        if find_channel(theirs) != find_channel(header) or is_symmetric(theirs) != symmetric:
            continue
        if symmetric and not _same_place(header, theirs):
            continue
        match = other.find_grating(position)
        if match is not None and not (symmetric and (number, match) in taken):
            found.append(Background(other, match, (number, match)))
    return found


def _same_place(first: Mapping[str, object], second: Mapping[str, object]) -> bool:
    return all(
        require_number(first, keyword) == require_number(second, keyword) for keyword in ("DLAM_MAP", "DBET_MAP")
    )


def choose_neighbours(beam: NodBeam, candidates: Sequence[Background], method: NodMethod) -> list[Background]:
    """Return the nearest in time (the later of two), or (average, interpolate) the nearest before and after."""
    nearest = min(candidates, key=lambda other: (abs(other.beam.time - beam.time), -other.beam.time))
    if method == "nearest" or is_symmetric(beam.product.header):
        return [nearest]
    before = [other for other in candidates if other.beam.time <= beam.time]
    after = [other for other in candidates if other.beam.time > beam.time]
    return [*before[-1:], *after[:1]]


def estimate_background(
    times: FloatArray, signals: Sequence[Signal], moments: Sequence[FloatArray], method: NodMethod
) -> Signal:
    """Return the background at the time of a beam.

    Parameters
    ----------
    times : (n, 1, 1) ndarray
        Unix times, s, at which it is wanted.
    signals : sequence of Signal
        One background, or one before and one after.
    moments : sequence of (1, 1, 1) ndarray
        Their times.
    method : {"nearest", "average", "interpolate"}
        Of two: their mean, or linear in time; for times more than 180 s from one of them the other alone.
    """
    if len(signals) == 1:
        return signals[0]
    first, second = signals
    if method == "average":
        spread = np.hypot(first.error, second.error) / 2
        return Signal((first.flux + second.flux) / 2, spread, (first.level + second.level) / 2)
    start, end = float(moments[0].item()), float(moments[1].item())
    share: FloatArray = np.clip((times - start) / (end - start), 0.0, 1.0)
    share[end - times > TOO_LONG] = 0.0
    share[times - start > TOO_LONG] = 1.0
    if share.size == 1:
        share = share[0]
    flux, error = (_blend(a, b, share) for a, b in ((first.flux, second.flux), (first.error, second.error)))
    weight = float(share.mean())
    return Signal(flux, error, first.level * (1 - weight) + second.level * weight)


def _blend(first: FloatArray, second: FloatArray, share: FloatArray) -> FloatArray:
    """Linear between two arrays; one of which nothing is wanted does not spoil the other with its NaN."""
    blended = np.where(share <= 0, first, np.where(share >= 1, second, first * (1 - share) + second * share))
    return np.asarray(blended)


def subtract_background(
    source: Signal, background: Signal, *, symmetric: bool, scale_levels: bool = False, match_medians: bool = False
) -> Signal:
    """Return the signal of a beam without the background.

    Parameters
    ----------
    source, background : Signal
        Of nod A and B; the background may lack the axis of ramps.
    symmetric : bool
        Both contain the source, with the same sign: their mean is taken.
    scale_levels : bool
        Scale the background with the levels of both.
    match_medians : bool
        Subtract the difference of the medians as well.
    """
    if symmetric:
        return Signal((source.flux + background.flux) / 2, np.hypot(source.error, background.error) / 2, source.level)
    if scale_levels and background.level:
        background = background.scale(source.level / background.level)
    flux = source.flux - background.flux
    if match_medians and np.isfinite(background.flux).any() and np.isfinite(source.flux).any():
        flux = flux - (np.nanmedian(source.flux) - np.nanmedian(background.flux))
    error = np.hypot(source.error, np.broadcast_to(background.error, source.error.shape))
    return Signal(flux, error, source.level)
