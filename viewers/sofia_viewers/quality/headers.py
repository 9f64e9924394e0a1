"""Headers of many files: as text with search and filter, and as a table of keywords."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astropy.io import fits

from sofia_engine.errors import InputError, ParameterError
from sofia_engine.header.cards import quiet_fits
from sofia_engine.product import Plane, Product, Table

__all__ = [
    "ExtensionHeader", "choose_extensions",
    "choose_viewers", "describe_product", "filter_lines", "find_text", "format_headers",
    "parse_keywords", "read_headers", "tabulate_headers",
]  # fmt: skip

_RULE = "-" * 60
_MOST_ROWS = 5


@dataclass(frozen=True, eq=False)
class ExtensionHeader:
    """The header of one extension of a file.

    Parameters
    ----------
    file : str
        Base name of the file.
    number : int
        Number of the HDU.
    name : str
        EXTNAME; empty if it has none.
    header : Header
        Its cards.
    path : Path, optional
        The file.
    """

    file: str
    number: int
    name: str
    header: fits.Header = field(repr=False)
    path: Path | None = None

    @property
    def label(self) -> str:
        """Name of the extension, or its number."""
        return self.name or str(self.number)

    @property
    def title(self) -> str:
        """File and extension."""
        return f"{self.file} [{self.label}]"


def read_headers(path: Path) -> tuple[ExtensionHeader, ...]:
    """Read the headers of all extensions of a FITS file; data are not read.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with warnings.catch_warnings(), quiet_fits(), fits.open(path, memmap=True, lazy_load_hdus=False) as hdus:
            warnings.simplefilter("ignore")
            found = tuple(
                ExtensionHeader(path.name, number, hdu.name if hdu.name != "PRIMARY" else "", hdu.header.copy(), path)
                for number, hdu in enumerate(hdus)
            )
    except OSError as error:
        raise InputError(f"{path} cannot be read: {_explain(path, error)}.") from error
    except (ValueError, TypeError, KeyError, IndexError, fits.VerifyError) as error:
        raise InputError(f"{path} cannot be read: it is not a FITS file, or damaged.") from error
    return found


def choose_viewers(headers: Sequence[ExtensionHeader]) -> tuple[str, ...]:
    """Return which viewers a file is opened in: ``image``, ``spectrum``, or both.

    Files with an extension SPECTRAL_FLUX are shown in both if they hold an image, too; of others, those whose first
    array has fewer than six rows (old layouts: wavelength, flux, error, ...) are spectra.
    """
    has_image = any(h.header.get("NAXIS", 0) >= 2 and h.header.get("NAXIS2", 0) > _MOST_ROWS for h in headers)
    if any("SPECTRAL_FLUX" in header.name.upper() for header in headers):
        return ("spectrum", "image") if has_image else ("spectrum",)
    first = headers[0].header
    return ("spectrum",) if first.get("NAXIS1", 0) > 0 and first.get("NAXIS2", 0) <= _MOST_ROWS else ("image",)


def describe_product(product: Product, name: str = "") -> tuple[ExtensionHeader, ...]:
    """Return the headers of a product in memory as those of a file."""
    name = name or product.name
    headers = [ExtensionHeader(name, 0, str(product.header.get("EXTNAME", "")), product.header)]
    skipped = 0 if product.empty_primary else 1
    for number, (key, extension) in enumerate(list(product.extensions.items())[skipped:], start=1):
        headers.append(ExtensionHeader(name, number, key, _cards_of(extension)))
    return tuple(headers)


def choose_extensions(headers: Sequence[ExtensionHeader], wanted: str) -> tuple[ExtensionHeader, ...]:
    """Return the headers of one file that the display setting asks for.

    Parameters
    ----------
    headers : sequence of ExtensionHeader
        All of one file.
    wanted : str
        ``first``: the primary one; ``all`` or ``cube``: all; else a name or number, or all if there is no such
        extension.
    """
    word = wanted.strip().upper()
    if word in ("", "FIRST"):
        return tuple(headers[:1])
    matching = tuple(h for h in headers if word in (h.name.upper(), str(h.number)))
    return matching or tuple(headers)


def format_headers(headers: Iterable[ExtensionHeader]) -> str:
    """Return headers as text: file name between rules, extension underlined, cards."""
    lines: list[str] = []
    file: Any = None
    for header in headers:
        if (header.path, header.file) != file:
            file = (header.path, header.file)
            lines += [_RULE, header.file, _RULE, ""]
        title = f"Extension: {header.label}"
        lines += [title, "-" * len(title), *_card_lines(header.header), ""]
    return "\n".join(lines)


def filter_lines(text: str, words: str) -> str:
    """Keep the lines with any of some words (separated by commas), and the titles of files and extensions."""
    wanted = [word.strip().lower() for word in words.split(",") if word.strip()]
    if not wanted:
        return text
    lines = text.splitlines()
    titles = {number + step for number, line in enumerate(lines) if line.startswith("Extension: ") for step in (0, 1)}
    titles |= {number + 1 for number, line in enumerate(lines[:-2]) if line == _RULE == lines[number + 2]}
    kept = [n for n, line in enumerate(lines) if n in titles or any(word in line.lower() for word in wanted)]
    return "\n".join(lines[number] for number in kept)


def find_text(text: str, wanted: str, after: int = -1) -> int:
    """Return where a text is found next, in capitals or not, from the start again at the end; -1 if nowhere."""
    body, word = text.lower(), wanted.lower()
    if not word:
        return -1
    place = body.find(word, after + 1)
    return place if place >= 0 else body.find(word)


def parse_keywords(text: str) -> tuple[str, ...]:
    """Return keywords that are separated by commas or blanks, in capitals.

    Raises
    ------
    ParameterError
        If there is none.
    """
    keywords = tuple(dict.fromkeys(text.replace(",", " ").upper().split()))
    if not keywords:
        raise ParameterError("Name keywords for the table, separated by commas: OBJECT, EXPTIME, ZA_START.")
    return keywords


def tabulate_headers(headers: Iterable[ExtensionHeader], keywords: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row for each file and extension: ``File name`` and the values of keywords, None where missing."""
    return [{"File name": header.title} | {key: _value(header.header, key) for key in keywords} for header in headers]


def _value(header: fits.Header, keyword: str) -> Any:
    value = header.get(keyword)
    if isinstance(value, fits.card.Undefined):
        return None
    return value.strip() if isinstance(value, str) else value if isinstance(value, int | float | None) else str(value)


def _card_lines(header: fits.Header) -> list[str]:
    with warnings.catch_warnings(), quiet_fits():
        warnings.simplefilter("ignore")
        return [str(card).rstrip() for card in header.cards]


def _cards_of(extension: Plane | Table) -> fits.Header:
    return extension.cards


def _explain(path: Path, error: OSError) -> str:
    if not path.exists():
        return "there is no such file"
    if error.strerror:
        return error.strerror.lower()
    return "the file is empty" if path.stat().st_size == 0 else "it is not a FITS file, or damaged"
