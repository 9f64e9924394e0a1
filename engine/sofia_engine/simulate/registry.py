"""The kinds of observations that can be simulated, and the one function that simulates them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sofia_engine.errors import InputError, ParameterError
from sofia_engine.simulate.options import Observation, build_options, suggest
from sofia_engine.simulate.truth import Truth, write_truth

__all__ = ["KINDS", "Simulation", "find_options", "register_kind", "simulate"]


@dataclass(frozen=True)
class Simulation:
    """
    One call of `simulate`: what a forward model gets.

    Parameters
    ----------
    kind
        Name of the kind.
    options
        The options, of the class the kind is registered with.
    directory
        Folder to write to; exists.
    seed
        Seed of all random numbers.
    """

    kind: str
    options: Any
    directory: Path
    seed: int


ForwardModel = Callable[[Simulation], Truth]


@dataclass(frozen=True)
class _Kind:
    description: str
    options: type[Observation]
    defaults: Mapping[str, Any]
    model: ForwardModel


class _Descriptions(Mapping[str, str]):
    """Names of the registered kinds with their one-line descriptions, read-only."""

    def __getitem__(self, name: str) -> str:
        return _REGISTRY[name].description

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(_REGISTRY))

    def __len__(self) -> int:
        return len(_REGISTRY)


_REGISTRY: dict[str, _Kind] = {}
KINDS: Mapping[str, str] = _Descriptions()


def register_kind(
    name: str, description: str, options: type[Observation], **defaults: Any
) -> Callable[[ForwardModel], ForwardModel]:
    """
    Register a forward model as a kind of observation; one model may serve several kinds.

    Parameters
    ----------
    name
        Name of the kind, e.g. ``forcast-imaging-nmc``.
    description
        One line for users.
    options
        Class of its options.
    defaults
        Defaults of this kind that differ from those of the class.

    Returns
    -------
    callable
        Decorator that returns the model unchanged.
    """

    def register(model: ForwardModel) -> ForwardModel:
        _REGISTRY[name] = _Kind(description, options, defaults, model)
        return model

    return register


def simulate(kind: str, directory: Path | str, *, seed: int = 0, **options: Any) -> Truth:
    """
    Write the raw files of a simulated observation, and its truth as ``truth.json``.

    Parameters
    ----------
    kind
        One of `KINDS`.
    directory
        Folder to write to; made if it does not exist. Files of the same names are replaced.
    seed
        Seed of all random numbers; equal seeds and options give equal files.
    options
        Options of the kind, see the class of its options.

    Returns
    -------
    Truth
        What is known about the observation.

    Raises
    ------
    ParameterError
        If the kind or an option is unknown, or a value is not allowed.
    InputError
        If the folder cannot be written.
    ReferenceDataError
        If a reference file is missing or unusable.
    """
    options_class, defaults = find_options(kind)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ParameterError(f"The seed of the simulation is {seed!r}; give a whole number of at least 0.")
    values = build_options(options_class, defaults, options)
    truth = _REGISTRY[kind].model(Simulation(kind, values, _make_folder(Path(directory)), seed))
    write_truth(truth)
    return truth


def find_options(kind: str) -> tuple[type[Observation], Mapping[str, Any]]:
    """
    Return the class of the options of a kind, and the defaults of the kind that differ from those of the class.

    Raises
    ------
    ParameterError
        If the kind is unknown.
    """
    if kind not in _REGISTRY:
        raise ParameterError(f"Unknown kind of simulation {kind!r}{suggest(kind, _REGISTRY)}.")
    return _REGISTRY[kind].options, _REGISTRY[kind].defaults


def _make_folder(directory: Path) -> Path:
    """Make the output folder."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {directory} cannot be made ({error.strerror}); choose another one.") from error
    return directory
