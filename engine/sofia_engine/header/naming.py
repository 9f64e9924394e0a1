"""File names of products: flight, instrument, kind of data, observation, filter, product code, file numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from astropy.io import fits

__all__ = ["UNKNOWN", "ProductNaming", "find_file_number", "find_flight", "join_file_numbers"]

UNKNOWN = "UNKNOWN"
_SUFFIX = re.compile(r"(\.(fits|fit|fts|gz|reg|png))+$", re.IGNORECASE)
_NUMBER = re.compile(r"^(\d+)(?:-(\d+))?$")
_FLIGHT = re.compile(r"^F?(\d+)$", re.IGNORECASE)


@dataclass(frozen=True)
class ProductNaming:
    """How the products of an instrument are named.

    Parameters
    ----------
    instrument : str
        Two letters: FO, FI, FC, HA, EX.
    kind : str
        Three letters for the kind of data: IMA, GRI, IFS, POL, SPE.
    digits : int
        Digits of file numbers.
    """

    instrument: str
    kind: str
    digits: int = 4

    def name(self, header: fits.Header, inputs: Sequence[str], element: str, code: str) -> str:
        """Return the file name of a product: ``F0501_FO_IMA_90000101_FORF197_CAL_0001-0004.fits``.

        Parameters
        ----------
        header : Header
            Header of the product; MISSN-ID and AOR_ID are used.
        inputs : sequence of str
            Names of the files it is made of; their numbers are taken over.
        element : str
            Filter, grating, or channel.
        code : str
            Three letters that name the step that made it.
        """
        numbers = join_file_numbers([find_file_number(name, self.digits) for name in inputs])
        observation = str(header.get("AOR_ID", "")).replace("_", "").strip() or UNKNOWN
        parts = [find_flight(header), self.instrument, self.kind, observation, element.replace("_", "") or UNKNOWN]
        stem = "_".join([*parts, code, numbers]).upper()
        return re.sub(r"[^\w.+-]", "", stem) + ".fits"


def find_flight(header: fits.Header) -> str:
    """Return the flight of a header as ``F0501``, from the last part of MISSN-ID; UNKNOWN if there is none."""
    match = _FLIGHT.match(str(header.get("MISSN-ID", "")).strip().rpartition("_")[2])
    return f"F{int(match[1]):04d}" if match else UNKNOWN


def find_file_number(name: str, digits: int = 4) -> str:
    """Return the file number, or range of numbers, at the end of a file name; UNKNOWN if there is none.

    Parameters
    ----------
    name : str
        Name of a file, with or without extension.
    digits : int
        Numbers are filled with zeros to this many digits.
    """
    last = re.split(r"[_.]", _SUFFIX.sub("", name))[-1]
    match = _NUMBER.match(last)
    if not match:
        return UNKNOWN
    return "-".join(f"{int(number):0{digits}d}" for number in match.groups() if number is not None)


def join_file_numbers(numbers: Sequence[str]) -> str:
    """Return the first and last of several file numbers (or ranges) as a range; those unknown do not count."""
    known = [number for number in numbers if number != UNKNOWN]
    if not known:
        return UNKNOWN
    first = min((number.partition("-")[0] for number in known), key=int)
    last = max((number.rpartition("-")[2] for number in known), key=int)
    return first if first == last else f"{first}-{last}"
