"""What the app and the engine's process say to each other: frozen values that can be pickled, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sofia_engine.pipeline.events import Event

__all__ = [
    "ApplyFile",
    "CancelRunning",
    "CloseReduction",
    "Command",
    "CommandFinished",
    "EngineEvent",
    "FetchReferences",
    "GoToState",
    "ListReferences",
    "Message",
    "Move",
    "OpenReduction",
    "Part",
    "Preview",
    "PreviewFinished",
    "ReferenceRow",
    "ReferencesListed",
    "ResumeReduction",
    "RunSteps",
    "SetMemory",
    "SetOutput",
    "SetParameters",
    "Shutdown",
    "Snapshot",
    "StateRecord",
    "StepRecord",
    "Sweep",
    "UnsetParameters",
    "WorkerLost",
    "WorkerReady",
    "WorkerRestarted",
    "WorkerStopped",
]


# --- commands: from the app to the engine ---


@dataclass(frozen=True)
class Command:
    """Base of all commands."""

    number: int = field(default=0, kw_only=True)
    """Given by the client; the answer carries it."""


@dataclass(frozen=True)
class OpenReduction(Command):
    """Start a reduction of files that belong together; an open one is closed first."""

    files: tuple[str, ...]
    output: str = ""
    """Folder for products; empty for none."""
    jobs: int = 0
    """Inputs worked on side by side; 0 for as many as there are processors."""


@dataclass(frozen=True)
class ResumeReduction(Command):
    """Open a session again."""

    folder: str
    jobs: int = 0


@dataclass(frozen=True)
class SetMemory(Command):
    """Set the most memory that steps may take: a size, ``auto`` for what is free, or ``unlimited``."""

    limit: str


@dataclass(frozen=True)
class CloseReduction(Command):
    """Let go of the session."""


@dataclass(frozen=True)
class RunSteps(Command):
    """Do the next step, all up to one, or all that remain."""

    what: Literal["next", "to", "all"] = "next"
    step: int = -1
    """Position of the last step to do, for ``to``; it is done anew if it is done already."""


@dataclass(frozen=True)
class Move(Command):
    """Go one state back or forward, or back to the inputs."""

    where: Literal["undo", "redo", "reset"]


@dataclass(frozen=True)
class GoToState(Command):
    """Go to any state of the history."""

    state: str


@dataclass(frozen=True)
class SetParameters(Command):
    """Give parameters of a step values, by name."""

    step: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class UnsetParameters(Command):
    """Take back what the user or a file set: one parameter, all of a step, or (step -1) all."""

    step: int = -1
    name: str = ""
    origins: tuple[Literal["user", "file"], ...] = ("user", "file")


@dataclass(frozen=True)
class ApplyFile(Command):
    """Take parameters from a parameter file."""

    path: str


@dataclass(frozen=True)
class SetOutput(Command):
    """Write products of the following steps to another folder; empty for none."""

    folder: str


@dataclass(frozen=True)
class ListReferences(Command):
    """Say which reference files the steps need and where they are."""


@dataclass(frozen=True)
class FetchReferences(Command):
    """Fetch the reference files that the remaining steps need and that are not at hand."""


@dataclass(frozen=True)
class Part:
    """A part of an image: what lies between its corners.

    Parameters
    ----------
    pixels : tuple of (float, float)
        Corners x, y in the whole image, from 0.
    sky : tuple of (float, float)
        Longitude and latitude of the same corners in the coordinates of the image, degrees; empty if it has none.
    """

    pixels: tuple[tuple[float, float], ...]
    sky: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Preview(Command):
    """Do one step on one input, or a part of it, with other values; nothing is kept."""

    step: int
    values: Mapping[str, Any]
    product: int = 0
    """Position of the input."""
    part: Part | None = None
    """Part of the input; None for all of it."""


@dataclass(frozen=True)
class Sweep(Command):
    """Run a step with one value after the other, each a branch, and go on to a last step."""

    step: int
    name: str
    values: tuple[Any, ...]
    last: int


@dataclass(frozen=True)
class CancelRunning(Command):
    """Stop what is running; handled at once, while it runs."""

    target: int
    """Number of the command that is to end."""


@dataclass(frozen=True)
class Shutdown(Command):
    """Close the session and end the process."""


# --- messages: from the engine to the app ---


@dataclass(frozen=True)
class Message:
    """Base of all messages."""


@dataclass(frozen=True)
class WorkerReady(Message):
    """The process has started and takes commands."""

    pid: int


@dataclass(frozen=True)
class EngineEvent(Message):
    """An event of the running reduction."""

    event: Event


@dataclass(frozen=True)
class StepRecord:
    """Settings of one step: values, origins and defaults of its parameters by name."""

    key: str
    values: Mapping[str, Any]
    origins: Mapping[str, str]
    defaults: Mapping[str, Any]
    obstacles: Mapping[str, str] = field(default_factory=dict)
    """Why parameters have no effect on these data, by name."""


@dataclass(frozen=True)
class StateRecord:
    """One state of the history."""

    key: str
    parent: str
    index: int
    step: str
    label: str
    parameters: Mapping[str, Any]
    references: tuple[tuple[str, str, str], ...]
    """Role, name and SHA-256 of each reference file used."""
    warnings: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    quality: tuple[Mapping[str, float], ...]
    products: tuple[str, ...]
    made: tuple[bool, ...]
    attachments: tuple[str, ...]
    started: float
    seconds: float


@dataclass(frozen=True)
class Snapshot(Message):
    """All the app shows of a reduction; sent whenever something of it has changed."""

    session: str
    recipe: str
    inputs: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]
    output: str
    start: int
    """Position of the first step for these inputs."""
    root: str
    current: str
    redo: str
    """Key of the state that redo goes to; empty if there is none."""
    states: tuple[StateRecord, ...]
    steps: tuple[StepRecord, ...]
    notes: tuple[str, ...] = ()
    """What the command that led here has to say (values of a session or file that were passed over)."""


@dataclass(frozen=True)
class ReferenceRow:
    """A reference file that a step needs, and where it is."""

    step: int
    role: str
    name: str
    kind: str
    state: str
    """``cached``, ``mirror``, ``override``, ``own`` (the user's), ``missing``, ``damaged``, or ``none`` exists."""
    size: int = 0
    path: str = ""
    chosen_by: str = ""
    """Why this file: what of the observation selects it."""


@dataclass(frozen=True)
class ReferencesListed(Message):
    """Answer to `ListReferences`, and sent after a fetch."""

    rows: tuple[ReferenceRow, ...]


@dataclass(frozen=True)
class PreviewFinished(Message):
    """A preview is written."""

    step: int
    path: str
    name: str
    quality: Mapping[str, float]
    warnings: tuple[str, ...]
    number: int
    note: str = ""
    """Which part is shown, or why the whole is."""
    corner: tuple[int, int] | None = None
    """First pixel (x, y) of the part in the whole image; None if the whole is shown."""


@dataclass(frozen=True)
class CommandFinished(Message):
    """A command has ended; the process takes the next one."""

    number: int
    command: str
    error: str = ""
    kind: str = ""
    """Class of the error."""
    details: str = ""
    """Traceback of an error that nobody foresaw."""
    cancelled: bool = False


# --- messages the client makes itself ---


@dataclass(frozen=True)
class WorkerLost(Message):
    """The process ended by itself, or was killed from outside; only what it was doing is lost."""

    reason: str
    running: str = ""
    """What it was doing."""
    number: int = 0


@dataclass(frozen=True)
class WorkerStopped(Message):
    """The process did not answer the wish to stop, and was ended."""

    running: str
    number: int


@dataclass(frozen=True)
class WorkerRestarted(Message):
    """A new process has taken over, at the last finished state of the session if there is one."""

    session: str
    error: str = ""
    """Why the session could not be opened again; empty if it could."""
