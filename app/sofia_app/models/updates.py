"""Whether there is a newer version of the program. Nothing is asked unless the user wants it, and nothing is told."""

from __future__ import annotations

import json
import os
import re
from urllib.error import URLError
from urllib.request import urlopen

from sofia_engine import __version__
from sofia_engine.errors import InputError

__all__ = ["ADDRESS", "describe_update", "find_latest", "is_newer"]

ADDRESS = "https://pypi.org/pypi/sofia-desk/json"
"""Where the versions are published; SOFIA_DESK_UPDATES names another place."""

_SECONDS = 8.0


def find_latest(address: str = "") -> str:
    """Ask for the latest version that is published.

    Raises
    ------
    InputError
        If it cannot be found out; one sentence that says why.
    """
    if os.environ.get("SOFIA_DESK_OFFLINE", "") not in {"", "0"}:
        raise InputError("The program is set to work offline; it does not look for a new version.")
    place = address or os.environ.get("SOFIA_DESK_UPDATES", ADDRESS)
    if not place.startswith(("https://", "http://", "file://")):
        raise InputError(f"{place} is no address at which versions could be published.")
    try:
        with urlopen(place, timeout=_SECONDS) as answer:  # noqa: S310 - the scheme is checked above
            return str(json.load(answer)["info"]["version"])
    except (URLError, OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", error)
        raise InputError(f"Whether there is a new version cannot be found out: {reason}. Try again later.") from error


def is_newer(version: str, than: str = __version__) -> bool:
    """Tell whether a version follows another; a final version follows its candidates."""
    return _order(version) > _order(than)


def _order(version: str) -> tuple[tuple[int, ...], bool]:
    numbers = re.match(r"\d+(\.\d+)*", version)
    text = numbers.group() if numbers else "0"
    parts = [int(part) for part in text.split(".")]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts), len(text) == len(version)


def describe_update(latest: str) -> str:
    """Say what the answer means."""
    if is_newer(latest):
        return (
            f"SOFIA Desk {latest} is published; this is {__version__}. Sessions and settings stay when you install it."
        )
    return f"This is the latest version, {__version__}."
