"""From the signal of the pixels to the raw file: ramps with their faults, and words of the electronics."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_engine.simulate.fifi_ls_schedule import CHOP_READOUTS, RAMP_READOUTS

if TYPE_CHECKING:
    from sofia_engine.simulate.fifi_ls_options import FifiLs

__all__ = ["FrameCounters", "draw_frames", "write_raw"]

FloatArray = NDArray[np.float64]
ShortArray = NDArray[np.int16]
_ROWS, _COLUMNS = 18, 26
_GRATING_COLUMN = 25
_START_ADU = -15000.0
_BIAS_ADU = -32668.0
_EMPTY_ADU = -32768
_PIXEL_OFFSET_ADU = 200.0
_RESET_ADU = (-120.0, -30.0)
"""What the first readouts after a reset lack."""
_LAST_ADU = -40.0
"""The reset begins before the last readout has ended."""
_GLITCH_ADU = 600.0
_GRATING_NOISE = 2.0
_SETTLING_STEPS = 30.0
"""Distance of the grating from its place in the first two ramps after a move, inductosyn units."""
_LOW_ROWS, _HIGH_ROWS = (2, 6, 10, 14), (3, 7, 11, 15)
_START_MARK, _END_MARK = -32768, 32767
_FIRST_FRAME = 28160


@dataclass(frozen=True)
class FrameCounters:
    """
    What the electronics write beside the frames.

    Parameters
    ----------
    blue
        Whether it is the blue detector.
    chop
        (n_ramp,) 0 or 1.
    lead
        Readouts of an incomplete chop before the first whole ramp.
    """

    blue: bool
    chop: NDArray[np.int64]
    lead: int

    def build(self) -> ShortArray:
        """Make the eight words of each frame."""
        n_frame = self.chop.size * RAMP_READOUTS
        clock = np.arange(-self.lead, n_frame)
        ramp = clock // RAMP_READOUTS
        # an incomplete chop before the first whole one belongs to the second chop position
        before = 2 * (CHOP_READOUTS // RAMP_READOUTS) if self.lead else 0
        words = np.zeros((clock.size, 8), dtype=np.int64)
        words[:, 0], words[:, 7] = _START_MARK, _END_MARK
        count = _FIRST_FRAME + clock + self.lead
        words[:, 1], words[:, 2] = count & 0xFFFF, count >> 16
        words[:, 3] = np.where(ramp < 0, 1, self.chop[np.maximum(ramp, 0)]) | (2 if self.blue else 0)
        words[:, 4] = clock % RAMP_READOUTS
        words[:, 5] = ramp + before
        words[:, 6] = 1
        return words.astype(np.uint16).view(np.int16)


def draw_frames(
    slopes: FloatArray, grating: FloatArray, settling: NDArray[np.bool_], options: FifiLs, random: np.random.Generator
) -> ShortArray:
    """
    Draw the readouts of a file.

    Parameters
    ----------
    slopes
        (n_ramp, 16, 25) signal, ADU per readout.
    grating
        (n_ramp,) position of the grating, inductosyn units.
    settling
        (n_ramp,) bool, the grating is still on its way.
    options
        Which faults the detector has.
    random
        Source of random numbers.

    Returns
    -------
    ndarray
        (n_ramp * 32, 18, 26) int16.
    """
    n_frame = len(slopes) * RAMP_READOUTS
    frames = np.full((n_frame, _ROWS, _COLUMNS), _START_ADU)
    frames[:, 1:17, :_GRATING_COLUMN] = _draw_ramps(slopes, options, random)
    drift = _draw_drift(n_frame, options, random)
    noise = options.read_noise_adu if options.noise else 0.0
    frames[:, 1:18, :_GRATING_COLUMN] += random.normal(0, 1, (n_frame, 17, _GRATING_COLUMN)) * noise
    frames[:, 1:17, :_GRATING_COLUMN] = np.minimum(frames[:, 1:17, :_GRATING_COLUMN], options.saturation_adu)
    # the drift shows in the row of resistors too, from where the reduction knows it
    frames[:, 0, :] = _BIAS_ADU
    frames[:, :, :_GRATING_COLUMN] += np.rint(drift)[:, None, :]
    counts: ShortArray = np.clip(np.rint(frames), -32768, 32767).astype(np.int16)
    counts[:, 0, _GRATING_COLUMN] = _EMPTY_ADU
    _write_grating(counts, grating, settling, random)
    return counts


def write_raw(path: Path, words: ShortArray, frames: ShortArray, header: dict[str, Any]) -> None:
    """
    Write a raw file; compressed ones carry no time, so that equal simulations give equal files.

    Parameters
    ----------
    path
        File to write; compressed if it ends with ``.gz``.
    words
        (n, 8) of the electronics.
    frames
        (n, 18, 26) readouts.
    header
        Keywords and values of the primary header.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    from astropy.io import fits

    columns = [
        fits.Column("HEADER", "8I", dim="(8)", array=words),
        fits.Column("DATA", "468I", dim="(26,18)", array=frames),
    ]
    primary = fits.PrimaryHDU()
    primary.header.update(header)
    table = fits.BinTableHDU.from_columns(columns, name="FIFILS_rawdata")
    buffer = io.BytesIO()
    fits.HDUList([primary, table]).writeto(buffer)
    content = buffer.getvalue()
    try:
        path.write_bytes(gzip.compress(content, compresslevel=4, mtime=0) if path.suffix == ".gz" else content)
    except OSError as error:
        raise InputError(f"The raw file {path} cannot be written ({error.strerror}); choose another folder.") from error


def _draw_ramps(slopes: FloatArray, options: FifiLs, random: np.random.Generator) -> FloatArray:
    """Let the signal rise in each ramp, (n_frame, 16, 25)."""
    step = np.repeat(slopes[:, None], RAMP_READOUTS, axis=1)
    if options.noise and options.electrons_per_adu is not None:
        step += random.normal(0, 1, step.shape) * np.sqrt(np.maximum(step, 0) / options.electrons_per_adu)
    step[:, 0] = 0
    ramps = np.cumsum(step, axis=1)
    ramps[:, :2] += np.array(_RESET_ADU)[:, None, None]
    ramps[:, -1] += _LAST_ADU
    if options.glitches > 0:
        ramps += _draw_glitches(ramps.shape, options.glitches, random)
    start = _START_ADU + random.normal(0, _PIXEL_OFFSET_ADU, slopes.shape[1:])
    return (ramps + start).reshape(-1, *slopes.shape[1:])


def _draw_glitches(shape: tuple[int, ...], probability: float, random: np.random.Generator) -> FloatArray:
    """Let some ramps jump."""
    hit = random.random((shape[0], 1, *shape[2:])) < probability
    when = random.integers(4, RAMP_READOUTS - 2, (shape[0], 1, *shape[2:]))
    height = random.exponential(_GLITCH_ADU, (shape[0], 1, *shape[2:]))
    after = np.arange(RAMP_READOUTS)[None, :, None, None] >= when
    return np.asarray(hit * after * height)


def _draw_drift(n_frame: int, options: FifiLs, random: np.random.Generator) -> FloatArray:
    """Draw the slow drift of each column, (n_frame, 25) ADU."""
    turns = random.uniform(0.5, 2.5, _GRATING_COLUMN) * np.linspace(0, 1, n_frame)[:, None]
    return np.asarray(options.bias_drift_adu * np.sin(2 * np.pi * (turns + random.random(_GRATING_COLUMN))))


def _write_grating(
    counts: ShortArray, grating: FloatArray, settling: NDArray[np.bool_], random: np.random.Generator
) -> None:
    """Write the position of the grating, as it is read back four times per frame, into its column."""
    place = np.repeat(grating + _SETTLING_STEPS * settling, RAMP_READOUTS)
    read = np.rint(place[:, None] + random.normal(0, _GRATING_NOISE, (place.size, 4))).astype(np.int64)
    counts[:, _LOW_ROWS, _GRATING_COLUMN] = (read & 0xFFFF).astype(np.uint16).view(np.int16)
    counts[:, _HIGH_ROWS, _GRATING_COLUMN] = (read >> 16).astype(np.int16)
