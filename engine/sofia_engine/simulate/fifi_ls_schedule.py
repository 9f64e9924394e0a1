"""What FIFI-LS does when: observing modes, files, and where the telescope points in each of their ramps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sofia_engine.simulate.fifi_ls_options import FifiLs

__all__ = [
    "CHOP_READOUTS",
    "MODES",
    "RAMP_READOUTS",
    "READOUT_S",
    "Exposure",
    "Mode",
    "Ramps",
    "plan_exposures",
    "plan_ramps",
    "scan_duration",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Pair = tuple[float, float]
READOUT_S = 0.004
RAMP_READOUTS = 32
CHOP_READOUTS = 64
_RAMP_S = READOUT_S * RAMP_READOUTS
_RAMPS_PER_CHOP = CHOP_READOUTS // RAMP_READOUTS
_SETTLING_RAMPS = 2
_SCAN_LEAD_S = 1.002
"""Half a readout more than a second: nobody has to round a limit."""
_SCAN_TRAIL_S = 0.5
_OVERHEAD_S = 8.0


@dataclass(frozen=True)
class Mode:
    """
    An observing mode.

    Parameters
    ----------
    instmode, nodstyle
        The keywords.
    chopped
        Whether the secondary mirror chops.
    pattern
        Nod beams, repeated.
    scanned
        Whether the telescope moves in beam A.
    """

    instmode: str
    nodstyle: str
    chopped: bool
    pattern: str
    scanned: bool = False

    @property
    def symmetric(self) -> bool:
        """Whether both nod beams see the source."""
        return self.nodstyle == "NMC"


MODES = {
    "symmetric": Mode("SYMMETRIC_CHOP", "NMC", True, "ABBA"),
    "asymmetric": Mode("ASYMMETRIC_CHOP", "C2NC2", True, "AAB"),
    "bright": Mode("BRIGHT_OBJECT", "C2NC2", True, "AAAAB"),
    "spectral-scan": Mode("SPECTRAL_SCAN", "NMC", True, "AB"),
    "total-power": Mode("TOTAL_POWER", "C2NC2", False, "AB"),
    "otf": Mode("OTF_TP", "C2NC2", False, "BAAB", scanned=True),
}


@dataclass(frozen=True)
class Exposure:
    """
    One file per channel.

    Parameters
    ----------
    number
        1 for the first.
    nod_beam
        ``A`` or ``B``.
    map_offset
        DLAM_MAP and DBET_MAP, arcsec: where the telescope points in A, at the start if it moves.
    speed
        (east, north) arcsec/s; 0 for a telescope at rest.
    start_s
        Since the start of the observation.
    n_ramp
        Number of whole ramps.
    """

    number: int
    nod_beam: str
    map_offset: tuple[float, float]
    speed: tuple[float, float]
    start_s: float
    n_ramp: int

    @property
    def moving(self) -> bool:
        """Whether the telescope moves."""
        return any(self.speed)

    @property
    def duration_s(self) -> float:
        """Length of the whole ramps."""
        return self.n_ramp * _RAMP_S

    @property
    def scan_start_s(self) -> float:
        """Start of a scan, since the start of the file."""
        return _SCAN_LEAD_S


@dataclass(frozen=True)
class Ramps:
    """
    The ramps of a file.

    Parameters
    ----------
    chop
        (n,) 0 or 1.
    grating
        (n,) index of the position of the grating.
    settling
        (n,) bool, in the first two ramps after a move of the grating.
    pointing
        (n, 2) east and north of the target, arcsec.
    """

    chop: IntArray
    grating: IntArray
    settling: NDArray[np.bool_]
    pointing: FloatArray


def plan_exposures(options: FifiLs, mode: Mode) -> list[Exposure]:
    """
    List the files of an observation.

    Parameters
    ----------
    options
        Options of the simulation.
    mode
        Observing mode.
    """
    exposures: list[Exposure] = []
    time = 0.0
    for beam, offset, speed in _list_pointings(options, mode):
        n_ramp = _count_ramps(options, mode, scanned=any(speed))
        exposures.append(Exposure(len(exposures) + 1, beam, offset, speed, time, n_ramp))
        time += round(exposures[-1].duration_s + _OVERHEAD_S)
    return exposures


def plan_ramps(options: FifiLs, mode: Mode, exposure: Exposure) -> Ramps:
    """
    Say where the telescope points in each ramp of a file, and where grating and chopper stand.

    Parameters
    ----------
    options
        Options of the simulation.
    mode
        Observing mode.
    exposure
        The file.
    """
    ramp = np.arange(exposure.n_ramp)
    n_grating = 1 if mode.scanned else options.n_grating
    per_grating = exposure.n_ramp // n_grating
    phase = (ramp // _RAMPS_PER_CHOP) % 2
    chop = phase if mode.chopped else np.zeros_like(ramp)
    settling = (ramp % per_grating < _SETTLING_RAMPS) & (not mode.scanned)
    pointing = _find_pointing(options, mode, exposure)[chop] + _move(options, exposure, ramp)
    return Ramps(chop, ramp // per_grating, settling, pointing)


def _list_pointings(options: FifiLs, mode: Mode) -> Iterator[tuple[str, Pair, Pair]]:
    """Yield beams, map offsets and speeds; beam B is that of its own beam A if symmetric, else of the one before."""
    positions = list(_list_positions(options, mode))
    beams = _list_beams(options.nod_pattern or mode.pattern, len(positions), paired=mode.symmetric)
    for index, beam in enumerate(beams):
        before = beams[: index + 1]
        if beam == "A":
            yield beam, *positions[before.count("A") - 1]
        else:
            partner = before.count("B") if mode.symmetric else max(before.count("A"), 1)
            yield beam, positions[partner - 1][0], (0.0, 0.0)


def _list_beams(pattern: str, n_position: int, *, paired: bool) -> str:
    """Repeat a pattern until all positions are observed; leave out beams nobody needs."""
    repeats = -(-n_position // pattern.count("A"))
    limits = {"A": n_position, "B": n_position if paired else repeats * len(pattern)}
    beams = ""
    for beam in pattern * repeats:
        if beams.count(beam) < limits[beam]:
            beams += beam
    return beams


def _list_positions(options: FifiLs, mode: Mode) -> Iterator[tuple[Pair, Pair]]:
    if not mode.scanned:
        for east, north in options.dithers:
            yield (float(east), float(north)), (0.0, 0.0)
        return
    middle = (options.n_dither - 1) / 2
    for line in range(options.n_dither):
        direction = 1 if line % 2 == 0 else -1
        north = (line - middle) * options.scan_step_arcsec
        yield (-direction * options.scan_length_arcsec / 2, north), (direction * options.scan_speed_arcsec_s, 0.0)


def _count_ramps(options: FifiLs, mode: Mode, *, scanned: bool) -> int:
    if scanned:
        seconds = _SCAN_LEAD_S + scan_duration(options) + _SCAN_TRAIL_S
        return 2 * int(np.ceil(seconds / _RAMP_S / 2))
    n_grating = 1 if mode.scanned else options.n_grating
    return n_grating * options.chop_cycles * 2 * _RAMPS_PER_CHOP


def scan_duration(options: FifiLs) -> float:
    """
    Give the length of a scan, s.

    Parameters
    ----------
    options
        Options of the simulation.
    """
    return options.scan_length_arcsec / options.scan_speed_arcsec_s


def _find_pointing(options: FifiLs, mode: Mode, exposure: Exposure) -> FloatArray:
    """Give the positions of both chops, (2, 2)."""
    angle = np.radians(options.chop_angle)
    throw = options.chop_throw_arcsec * np.array([np.sin(angle), np.cos(angle)])
    base = np.array(exposure.map_offset)
    if exposure.nod_beam == "B":
        base = base - throw if mode.symmetric else base + np.array(options.off_offset_arcsec)
    return np.stack([base, base + throw])


def _move(options: FifiLs, exposure: Exposure, ramp: IntArray) -> FloatArray:
    """Give the way of the telescope in the middle of each ramp; it runs a ramp's time before and after the scan."""
    time = (ramp + 0.5) * _RAMP_S - exposure.scan_start_s
    moving = np.clip(time, -_RAMP_S, scan_duration(options) + _RAMP_S)
    return np.asarray(moving[:, None] * np.array(exposure.speed))
