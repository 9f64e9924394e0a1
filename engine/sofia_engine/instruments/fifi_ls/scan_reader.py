"""Timestreams of FIFI-LS scans on the fly: 400 channels, a frame per ramp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.errors import InputError, StepError
from sofia_engine.instruments.fifi_ls.cube_samples import gather_exposures
from sofia_engine.instruments.fifi_ls.mode import channel_letter, require_number
from sofia_engine.instruments.fifi_ls.positions import ARCSEC_PER_DEGREE
from sofia_engine.scan.averages import find_typical_gain
from sofia_engine.scan.timestream import ChannelTable, FrameTable, Scan

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.product import Product

__all__ = ["SkyCenter", "find_center", "is_scan", "read_scans"]

SPAXELS, SPEXELS, SIDE = 25, 16, 5
CENTRAL_SPAXEL = 12
Kind = Literal["corrected", "uncorrected"]


@dataclass(frozen=True)
class SkyCenter:
    """Where offsets are counted from: right ascension and declination, degrees; None for the field."""

    ra: float
    dec: float
    on_sky: bool = True


def is_scan(product: Product) -> bool:
    """Tell whether a product has a frame per ramp, and not one for all."""
    return "FLUX" in product.planes and product["FLUX"].ndim == 3


def find_center(products: Sequence[Product], *, on_sky: bool) -> SkyCenter:
    """Return the middle of the positions of some products, also across 0 h."""
    if not on_sky:
        return SkyCenter(0.0, 0.0, on_sky=False)
    ra = np.concatenate([np.asarray(product["RA"]).ravel() * 15.0 for product in products])
    dec = np.concatenate([np.asarray(product["DEC"]).ravel() for product in products])
    known = np.isfinite(ra) & np.isfinite(dec)
    if not known.any():
        raise StepError(f"{products[0].name}: none of the samples has a position; scans cannot be reduced.")
    first = float(ra[known][0])
    away = (ra[known] - first + 180.0) % 360.0 - 180.0
    return SkyCenter(
        (first + float(away.min() + away.max()) / 2) % 360.0, float(dec[known].min() + dec[known].max()) / 2
    )


def read_scans(products: Sequence[Product], center: SkyCenter, kind: Kind = "corrected") -> list[Scan]:
    """Return the timestreams of some scans.

    Parameters
    ----------
    products : sequence of Product
        Scans after Combine Scans or any later step.
    center : SkyCenter
        Where offsets are counted from.
    kind : {"corrected", "uncorrected"}
        Which flux and wavelengths.

    Raises
    ------
    InputError
        If planes are missing or have other shapes than they should.
    HeaderError
        If ALPHA or the length of ramps is missing.
    """
    return [_read_scan(product, products[0], center, kind) for product in products]


def _read_scan(product: Product, first: Product, center: SkyCenter, kind: Kind) -> Scan:
    letter = channel_letter(product.header)
    step = require_number(product.header, "ALPHA") * require_number(product.header, f"RAMPLN_{letter}")
    prefix = "" if kind == "corrected" else "UNCORRECTED_"
    flux, error = (np.asarray(product[f"{prefix}{name}"], dtype=np.float64) for name in ("FLUX", "STDDEV"))
    if flux.shape[1:] != (SPEXELS, SPAXELS) or error.shape != flux.shape:
        raise InputError(
            f"{product.name}: a scan has {SPEXELS} x {SPAXELS} pixels, this file {flux.shape[1:]}; make the file again."
        )
    wave = product[f"{prefix}LAMBDA" if f"{prefix}LAMBDA" in product.planes else "LAMBDA"]
    x, y = _find_offsets(product, first, center)
    flat = flux.reshape(len(flux), -1)
    frames, places = _split_positions(x, y)
    channels = ChannelTable(
        *places, np.asarray(wave, dtype=np.float64).ravel().copy(), np.ones(flat.shape[1]), _groups()
    )
    _set_weights(channels, frames, error.reshape(flat.shape))
    return Scan.of(product.name, step, channels, frames, np.where(error.reshape(flat.shape) > 0, flat, np.nan))


def _groups() -> dict[str, np.ndarray]:
    number = np.arange(SPEXELS * SPAXELS)
    spaxel = number % SPAXELS
    return {"spexels": number // SPAXELS, "spaxels": spaxel, "rows": spaxel % SIDE, "cols": spaxel // SIDE}


def _find_offsets(product: Product, first: Product, center: SkyCenter) -> tuple[FloatArray, FloatArray]:
    """Offsets (n_frame, 400) to the west and north, or in the field, arcsec."""
    pair = [first] if product is first else [first, product]
    exposures = gather_exposures(pair, on_sky=center.on_sky)[-1]
    x, y = (np.stack([getattr(e, name).ravel() for e in exposures]) for name in ("x", "y"))
    if not center.on_sky:
        return x, y
    west = -((x - center.ra + 180.0) % 360.0 - 180.0) * np.cos(np.radians(center.dec)) * ARCSEC_PER_DEGREE
    return west, (y - center.dec) * ARCSEC_PER_DEGREE


def _split_positions(x: FloatArray, y: FloatArray) -> tuple[FrameTable, tuple[FloatArray, FloatArray]]:
    """The path of the telescope, and where the channels are in the field."""
    middle = np.flatnonzero(np.arange(x.shape[1]) % SPAXELS == CENTRAL_SPAXEL)[0]
    places = []
    for place in (x, y):
        away = place - place[:, middle, np.newaxis]
        known = np.isfinite(away).all(axis=1)
        places.append(away[known].mean(axis=0) if known.any() else np.full(away.shape[1], np.nan))
    return FrameTable(x[:, middle].copy(), y[:, middle].copy()), (places[0], places[1])


def _set_weights(channels: ChannelTable, frames: FrameTable, error: FloatArray) -> None:
    """Start with the errors of the samples: those of channels, and how frames differ."""
    variance = np.where(error > 0, error**2, np.nan)
    of_channels = np.array([find_typical_gain(column) for column in variance.T])
    of_frames = np.array([find_typical_gain(row) for row in variance])
    channels.variance = of_channels
    channels.weight = 1.0 / of_channels
    frames.weight = np.median(of_frames) / of_frames
    frames.valid = frames.valid & np.isfinite(variance).any(axis=1)
