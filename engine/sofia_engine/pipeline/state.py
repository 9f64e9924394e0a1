"""States: what a reduction is after a step, and how it came to be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from sofia_engine._version import __version__
from sofia_engine.errors import InputError

__all__ = ["InputRecord", "ReferenceRecord", "State", "relevant_parameters", "root_key", "state_key"]


@dataclass(frozen=True)
class InputRecord:
    """An input file of a reduction."""

    path: str
    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Describe a file.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        try:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return cls(str(path.resolve()), path.stat().st_size, digest)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


@dataclass(frozen=True)
class ReferenceRecord:
    """A reference file that a step used."""

    role: str
    name: str
    sha256: str


@dataclass(frozen=True)
class State:
    """The result of one step; the root is the state before the first.

    Parameters
    ----------
    key : str
        Hash of all that determines the result: inputs, step and its version, parameters, reference files.
    parent : str
        Key of the state before; empty for the root.
    index : int
        Position of the step in the recipe; -1 for the root.
    step, label : str
        Key and label of the step.
    parameters : dict
        All its parameters by key.
    """

    key: str
    parent: str = ""
    index: int = -1
    step: str = ""
    label: str = "Inputs"
    parameters: dict[str, Any] = field(default_factory=dict)
    references: tuple[ReferenceRecord, ...] = ()
    warnings: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    quality: tuple[dict[str, float], ...] = ()
    products: tuple[str, ...] = ()
    """File names of the products."""
    made: tuple[bool, ...] = ()
    """Which of them the step made itself; the others were passed on."""
    attachments: tuple[str, ...] = ()
    started: float = 0.0
    seconds: float = 0.0
    version: str = __version__

    def as_json(self) -> str:
        """Return the state as text."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Make a state from its text."""
        values = json.loads(text)
        values["references"] = tuple(ReferenceRecord(**r) for r in values["references"])
        for name in ("warnings", "quality", "products", "made", "attachments"):
            values[name] = tuple(values[name])
        values["skipped"] = tuple((file, reason) for file, reason in values["skipped"])
        return cls(**values)


def root_key(recipe: str, inputs: Sequence[InputRecord]) -> str:
    """Return the key of the state before the first step."""
    return _hash(["root", recipe, [record.sha256 for record in inputs]])


def state_key(
    parent: str, step: str, step_version: int, parameters: Mapping[str, Any], references: Mapping[str, str]
) -> str:
    """Return the key of the result of a step."""
    return _hash([parent, step, step_version, __version__, relevant_parameters(parameters), dict(references)])


def relevant_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that matter to the result of a step; whether it is saved does not."""
    return {name: value for name, value in parameters.items() if name != "save"}


def _hash(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
