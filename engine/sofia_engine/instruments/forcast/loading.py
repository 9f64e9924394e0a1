"""Raw files as products: floating-point counts with their errors, complete headers, pairs of old C2NC2 files."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_engine.header.association import associate_raw
from sofia_engine.header.cards import Card
from sofia_engine.header.merging import merge_headers
from sofia_engine.instruments.forcast.configuration import (
    Configuration,
    configure,
    find_filter_shift,
    merging_rules,
)
from sofia_engine.instruments.forcast.mode import find_camera, find_sky_mode, is_grism, read_text
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.product import Product

__all__ = ["RawNoise", "find_raw_noise", "is_loaded", "load_raw", "needs_pairing", "pair_nod_beams", "raw_variance"]

NOD_B_INDICES = (2, 5, 8)
"""DTHINDEX of the files of nod beam B in the pattern ABAABAAB."""
PROJECTION = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
"""Coordinates of all images; some headers do not name them."""


@dataclass(frozen=True)
class RawNoise:
    """What the noise of raw counts depends on.

    Parameters
    ----------
    gain : float
        Electrons per count (EPERADU).
    frame_rate : float
        Frames per second; NaN if unknown.
    integration_time : float
        Seconds in one chop position; NaN if unknown.
    read_noise : float
        Electrons per frame.
    excess : float
        Factor of the photon noise.
    """

    gain: float
    frame_rate: float
    integration_time: float
    read_noise: float
    excess: float = 1.0


def raw_variance(counts: FloatArray, noise: RawNoise) -> FloatArray:
    """Return the variance of raw counts: photon noise and read noise of the coadded frames.

    Parameters
    ----------
    counts : ndarray
        Counts per frame; values below 0 have no photon noise.
    noise : RawNoise
        Gain g, frame rate F, integration time t, read noise R, excess noise factor b.

    Returns
    -------
    ndarray
        ``N b / (F t g) + (R/g)^2 / (F t)`` in counts squared, same dtype; NaN if rate or time is unknown.

    References
    ----------
    Herter et al. 2013, PASP 125, 1393; FORCAST data handbook, section on uncertainties.
    """
    frames = noise.frame_rate * noise.integration_time
    if not frames > 0 or not noise.gain > 0:
        return np.full_like(counts, np.nan)
    photons = np.maximum(counts, counts.dtype.type(0)) * counts.dtype.type(noise.excess / (frames * noise.gain))
    return photons + counts.dtype.type((noise.read_noise / noise.gain) ** 2 / frames)


def find_raw_noise(header: fits.Header, configuration: Configuration) -> RawNoise:
    """Return the noise settings of an observation; time and rate are NaN where the header lacks them."""
    low_capacitance = bool(header.get("ILOWCAP", True))
    return RawNoise(
        gain=_number(header, "EPERADU", 136.0),
        frame_rate=_number(header, "FRMRATE"),
        integration_time=_number(header, "DETITIME") / 2,
        read_noise=configuration.read_noise_low if low_capacitance else configuration.read_noise_high,
        excess=configuration.excess_noise,
    )


def is_loaded(product: Product) -> bool:
    """Tell whether a product has passed `load_raw`, or is a later product."""
    return "FLUX" in product and "ERROR" in product


def load_raw(raw: Product) -> Product:
    """Return a raw file as a product with planes FLUX and ERROR, in counts, and a complete header.

    Raises
    ------
    InputError
        If it holds no image, or one that is not 2- or 3-dimensional.
    """
    counts = _read_counts(raw)
    configuration = configure(raw.header)
    noise = find_raw_noise(raw.header, configuration)
    error = np.sqrt(raw_variance(counts, noise))
    header = raw.header.copy()
    for keyword, value, comment in _loading_cards(header, configuration, planes=len(counts)):
        header[keyword] = (value, comment) if comment else value
    for line in _describe_noise(header, noise):
        header.add_history(line)
    return Product.of(header, {"FLUX": counts, "ERROR": error}, units={"FLUX": "ct", "ERROR": "ct"})


def pair_nod_beams(products: Sequence[Product]) -> tuple[Product, ...]:
    """Join neighbouring files of different nod beam, as old C2NC2 observations have one beam per file.

    Parameters
    ----------
    products : sequence of Product
        Loaded files of two planes each, in the order they were taken; DTHINDEX tells the beam.

    Returns
    -------
    tuple of Product
        One product of four planes for each two consecutive files of different beam. A file can be in two of them:
        ABAABAAB gives AB, BA, AB, BA, AB.

    Raises
    ------
    InputError
        If no two files make a pair.
    """
    pairs = [
        _join(first, second)
        for first, second in itertools.pairwise(products)
        if _beam(first) != _beam(second) and abs(_dither_index(first) - _dither_index(second)) == 1
    ]
    if not pairs:
        raise InputError(
            "C2NC2 files of two planes are reduced in pairs of nod beams A and B, but none of "
            f"{', '.join(product.name for product in products)} makes a pair; add the files of the other beam."
        )
    return tuple(pairs)


def _read_counts(raw: Product) -> FloatArray:
    plane = next(iter(raw.planes.values()), None)
    data: Any = np.zeros(0) if plane is None else plane.data
    if data.ndim not in (2, 3) or data.size == 0:
        raise InputError(
            f"{raw.name}: a raw file holds an image or a stack of images, not an array of shape {data.shape}."
        )
    if data.dtype.kind not in "fiu":
        raise InputError(f"{raw.name}: a raw file holds numbers, not {data.dtype}.")
    if data.dtype.kind != "f":
        data = data.astype(np.float32 if data.dtype.itemsize <= 2 else np.float64)
    counts: FloatArray = data[np.newaxis] if data.ndim == 2 else data
    return counts


def _loading_cards(header: fits.Header, configuration: Configuration, planes: int) -> list[Card]:
    cards: list[Card] = [(key, value, "") for key, value in _pointing(header).items()]
    cards += [(key, value, "") for key, value in PROJECTION.items() if not str(header.get(key) or "").strip()]
    cards.append(("DETCHAN", find_camera(header), ""))
    if not is_grism(header) and find_sky_mode(header, planes) == "C2NC4":
        cards.append(("SKYMODE", "C2NC4", ""))
    cards.append(("BUNIT", "ct", "Data units"))
    cards.append(("AAAAAAAA", "Keyword reference", "Header reference keyword"))
    cards += [configuration.card(keyword) for keyword in ("RN_HIGH", "RN_LOW", "BETA_G", "CONFFILE")]
    cards += associate_raw(header)
    return [*cards, ("BBBBBBBB", "History reference", "Header reference keyword")]


def _pointing(header: fits.Header) -> dict[str, float]:
    """Return the reference pixel with the shift by the filter."""
    if is_grism(header):
        return {}
    shift = dict(zip(("CRPIX1", "CRPIX2"), find_filter_shift(header), strict=True))
    return {key: float(header[key]) + by for key, by in shift.items() if by and not math.isnan(_number(header, key))}


def _describe_noise(header: fits.Header, noise: RawNoise) -> list[str]:
    if math.isnan(noise.frame_rate * noise.integration_time):
        return ["Error: not known, because DETITIME or FRMRATE is missing"]
    lines = [
        f"Error: read noise {noise.read_noise} e, gain {noise.gain} e/ct, excess noise factor {noise.excess}",
        f"Error: {noise.integration_time} s in each chop position at {noise.frame_rate} frames/s",
        "Error: photon noise and read noise of all frames, added in quadrature",
    ]
    if _number(header, "NODTIME", -9999.0) == -9999.0:
        lines.append("Error: NODTIME is not known; the time may be overestimated")
    return lines


def _number(header: fits.Header, keyword: str, default: float = math.nan) -> float:
    value = header.get(keyword)
    valid = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if valid and value is not None else default


def _dither_index(product: Product) -> int:
    index = product.header.get("DTHINDEX")
    if not isinstance(index, int | float) or not float(index).is_integer():
        raise InputError(f"{product.name}: DTHINDEX, which tells the nod beam of a C2NC2 file, is missing.")
    return int(index)


def _beam(product: Product) -> str:
    return "B" if _dither_index(product) in NOD_B_INDICES else "A"


def _join(first: Product, second: Product) -> Product:
    if first["FLUX"].shape != second["FLUX"].shape:
        raise InputError(f"{second.name}: its planes have another shape than those of {first.name}; check the files.")
    in_beam_a = first if _beam(first) == "A" else second
    header = merge_headers([first.header, second.header], merging_rules(), in_beam_a.header).header
    header["NODBEAM"] = _beam(first)
    header["SKYMODE"] = "C2NC4"
    header["FILENAME"] = _pair_name(first.name, second.name)
    header["NAXIS3"] = 2 * len(first["FLUX"])
    planes = {name: np.concatenate([first[name], second[name]]) for name in ("FLUX", "ERROR")}
    return Product.of(header, planes, units={"FLUX": "ct", "ERROR": "ct"})


def _pair_name(first: str, second: str) -> str:
    from sofia_engine.header.naming import find_file_number, join_file_numbers

    numbers = join_file_numbers([find_file_number(first), find_file_number(second)])
    return f"{first.rpartition('_')[0]}_{numbers}.fits"


def needs_pairing(product: Product) -> bool:
    """Tell whether a loaded image is one nod beam of an old C2NC2 observation."""
    return (
        not is_grism(product.header)
        and find_sky_mode(product.header, planes=len(product["FLUX"])) == "C2NC2"
        and len(product["FLUX"]) == 2
        and read_text(product.header, "PRODTYPE") in ("", "UNKNOWN", "RAW")
    )
