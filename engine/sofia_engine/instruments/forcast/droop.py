"""Correct Droop: the signal that each pixel loses to the others read out at the same time."""

from __future__ import annotations

import numpy as np

from sofia_engine.errors import InputError
from sofia_engine.instruments.forcast.configuration import configure
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.pipeline.cutout import Cutout
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = ["DroopParameters", "droop", "restore_droop"]


class DroopParameters(SavedOutput):
    """Parameters of Correct Droop."""

    fraction: float = parameter(
        0.0035,
        key="fracdroop",
        label="Droop fraction",
        ge=0,
        le=0.1,
        help="Share of the summed signal of the 16 pixels read out together by which each of them is too low.",
    )


@step(
    "droop",
    label="Correct Droop",
    code="DRP",
    product_type="drooped",
    level="LEVEL_2",
    cutout=Cutout(whole_rows=True),
)
def droop(image: Product, p: DroopParameters, run: Run) -> Product:
    """Add to each pixel the fraction of the signal of its readout group by which it is too low."""
    configuration = configure(image.header)
    channels = configuration.droop_channels
    if image["FLUX"].shape[-1] % channels:
        raise InputError(
            f"{image.name}: rows of {image['FLUX'].shape[-1]} pixels cannot be divided into groups of {channels}."
        )
    flux = restore_droop(image["FLUX"], p.fraction, channels=channels, limits=configuration.droop_limits)
    run.history(f"Droop: {p.fraction:g} of the signal of {channels} pixels read out together added to each of them")
    cards = [configuration.card(keyword) for keyword in ("MINDROOP", "MAXDROOP", "NRODROOP")]
    return image.with_cards(*cards).replace(FLUX=flux)


def restore_droop(
    counts: FloatArray, fraction: float, *, channels: int = 16, limits: tuple[float, float] = (0.0, 65535.0)
) -> FloatArray:
    """Return counts with a fraction of the sum of each group of neighbours in a row added to its pixels.

    Parameters
    ----------
    counts : (..., nx) ndarray
        Counts; NaN is missing, and counts as 0 in sums. `nx` must be a multiple of `channels`.
    fraction : float
        Share of the sum.
    channels : int
        Pixels of a group.
    limits : (float, float)
        Counts that the result does not leave.

    Returns
    -------
    ndarray
        Same shape and dtype.
    """
    groups = counts.reshape(*counts.shape[:-1], -1, channels)
    sums = np.nansum(groups, axis=-1, keepdims=True, dtype=counts.dtype)
    restored = groups + counts.dtype.type(fraction) * sums
    return np.clip(restored, *limits, out=restored).reshape(counts.shape)
