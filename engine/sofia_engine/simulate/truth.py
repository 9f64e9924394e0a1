"""What is known about a simulated observation, as values and as the JSON file beside the raw files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["TRUTH_FILE", "Truth", "write_truth"]

TRUTH_FILE = "truth.json"


@dataclass(frozen=True, kw_only=True)
class Truth:
    """
    Truth common to all simulated observations; each kind adds its own values in a subclass.

    Parameters
    ----------
    kind
        Name of the kind of observation, one of `KINDS`.
    seed
        Seed of all random numbers.
    directory
        Folder of the raw files.
    files
        Names of the raw files in the order of observation, relative to ``directory``.
    options
        Every option of the simulation, defaults included.
    """

    kind: str
    seed: int
    directory: Path
    files: tuple[str, ...]
    options: dict[str, Any]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Paths of the raw files in the order of observation."""
        return tuple(self.directory / name for name in self.files)

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """Parameters, by step and key, that a reduction needs to use what lies beside the raw files."""
        return {}


def write_truth(truth: Truth) -> Path:
    """
    Write the truth as JSON beside the raw files.

    The folder itself is left out, so that equal simulations give equal files.

    Parameters
    ----------
    truth
        What to write; paths in the options become strings.

    Returns
    -------
    Path
        The file written, ``truth.json``.
    """
    content = {key: value for key, value in asdict(truth).items() if key != "directory"}
    path = truth.directory / TRUTH_FILE
    path.write_text(json.dumps(content, indent=2, default=_plain) + "\n", encoding="utf-8")
    return path


def _plain(value: Any) -> Any:
    """Turn a path or a number of numpy into something JSON knows."""
    return value.name if isinstance(value, Path) else value.item()
