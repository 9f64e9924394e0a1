"""Provenance: all that is needed to make a product again, carried in its own header."""

from __future__ import annotations

import base64
import io
import json
import sys
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from astropy.io import fits

from sofia_engine._version import PIPELINE, __version__
from sofia_engine.errors import InputError
from sofia_engine.header.cards import quiet_fits
from sofia_engine.pipeline.state import InputRecord, State

__all__ = ["add_provenance", "describe_run", "provenance_lines", "read_provenance"]

_PREFIX = "Provenance: "
_WIDTH = 60


def describe_run(recipe: str, inputs: Sequence[InputRecord], states: Sequence[State]) -> dict[str, Any]:
    """Return inputs, versions, and each step with its parameters and reference files, as plain values."""
    return {
        "program": PIPELINE,
        "version": __version__,
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "libraries": {name: _version_of(name) for name in ("numpy", "scipy", "astropy")},
        "recipe": recipe,
        "inputs": [asdict(record) for record in inputs],
        "steps": [
            {
                "step": state.step,
                "parameters": state.parameters,
                "references": [asdict(record) for record in state.references],
            }
            for state in states
        ],
    }


def provenance_lines(provenance: dict[str, Any]) -> list[str]:
    """Return HISTORY lines that hold a provenance (JSON, zlib, base64)."""
    packed = base64.b64encode(zlib.compress(json.dumps(provenance, default=str).encode(), 9)).decode()
    return [_PREFIX + packed[i : i + _WIDTH] for i in range(0, len(packed), _WIDTH)]


def add_provenance(content: bytes, lines: Sequence[str]) -> bytes:
    """Return the content of a FITS file with lines of HISTORY added to its primary header."""
    stream = io.BytesIO()
    with quiet_fits(), fits.open(io.BytesIO(content), memmap=False, lazy_load_hdus=False) as hdus:
        for line in lines:
            hdus[0].header.add_history(line)
        hdus.writeto(stream)
    return stream.getvalue()


def read_provenance(header: fits.Header, file: str = "") -> dict[str, Any]:
    """Return the provenance in a header.

    Raises
    ------
    InputError
        If there is none, or it is damaged.
    """
    history = [str(line) for line in header.get("HISTORY", [])]
    last_block: list[str] = []
    for previous, line in zip(["", *history], history, strict=False):
        if line.startswith(_PREFIX):
            last_block = last_block if previous.startswith(_PREFIX) else []
            last_block.append(line.removeprefix(_PREFIX).strip())
    if not last_block:
        raise InputError(f"{file or 'The product'} carries no provenance: it was not made by SOFIA Desk.")
    try:
        provenance: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode("".join(last_block), validate=True)))
    except (ValueError, zlib.error) as error:
        raise InputError(f"The provenance in {file or 'the product'} is damaged ({error}).") from error
    return provenance


def _version_of(name: str) -> str:
    module = sys.modules.get(name)
    return str(getattr(module, "__version__", ""))
