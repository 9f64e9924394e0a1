"""Run: what a step may ask of the framework while it works on one input."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sofia_engine.errors import CancelledError, ReferenceDataError
from sofia_engine.pipeline.events import InputSkipped, Log, LogLevel, Progress, Sink, ignore
from sofia_engine.product import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable

    from sofia_engine.product import Product
    from sofia_engine.reference import ReferenceRequest, ReferenceStore

__all__ = ["Attachment", "Cancel", "Companion", "ReferenceUse", "Run", "Wanted"]


class Cancel:
    """A flag that is raised to stop a reduction; any thread may raise it."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask to stop."""
        self._event.set()

    def clear(self) -> None:
        """Forget the wish."""
        self._event.clear()

    def is_set(self) -> bool:
        """Tell whether somebody asked to stop."""
        return self._event.is_set()


@dataclass(frozen=True)
class ReferenceUse:
    """A reference file that a step has used."""

    role: str
    name: str
    """As written to headers: relative to the folder of calibration data."""
    path: Path
    sha256: str


@dataclass(frozen=True)
class Wanted:
    """A reference file that a step needs: what the catalogue is asked, and what the user said instead.

    Parameters
    ----------
    request : ReferenceRequest
        Asks the catalogue for the file of this observation.
    choice : str
        Value of the step's file parameter: empty for the file of the catalogue; ``{caldata}/NAME`` for a certain file
        of the catalogue; else a path. A path of which only the file's name is in the catalogue (parameter files
        written on other machines) means that file.
    optional : bool
        The step can do without: that it is not at hand is no reason not to begin.
    """

    request: ReferenceRequest
    choice: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Attachment:
    """An auxiliary file (plot, region file) made beside the products."""

    name: str
    content: bytes

    @property
    def is_product(self) -> bool:
        """Whether it holds data as FITS (rather than a plot or regions)."""
        return self.name.endswith(".fits")

    def write(self, path: Path) -> None:
        """Write the file: beside its final name first, then renamed."""
        write_atomically(path, lambda stream: stream.write(self.content))


@dataclass(frozen=True)
class Companion:
    """A further product of a step: a file beside the step's own, which no later step gets.

    Parameters
    ----------
    product : Product
        Its data and header.
    code, product_type : str
        As of a step: three letters in the file's name, and PRODTYPE.
    level : str
        PROCSTAT; empty for that of the header.
    """

    product: Product
    code: str
    product_type: str
    level: str = ""


@dataclass
class Run:
    """Hands a step its surroundings and collects what it says.

    One run serves one call of a step's function; calls for several inputs may go on side by side.

    Parameters
    ----------
    step, file : str
        For log lines: key of the step, name of the input.
    wanted : mapping of str to Wanted
        Reference files the step has declared, by role.
    store : ReferenceStore, optional
        Where reference files come from.
    """

    step: str = ""
    file: str = ""
    position: int = 0
    """Position of the input among those of the step, from 0."""
    count: int = 1
    """Number of inputs of the step."""
    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    store: ReferenceStore | None = None
    sink: Sink = ignore
    cancel: Cancel = field(default_factory=Cancel)
    history_lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    references: list[ReferenceUse] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    companions: list[Companion] = field(default_factory=list)
    kind: tuple[str, str, str] | None = None
    """Code, type and level of the outputs, if they are not those of the step."""
    sources: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """Names of the inputs that went into an output, by its position; for steps that combine some of their inputs."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Inputs that the step has set aside, each with the reason."""
    quality: dict[str, float] = field(default_factory=dict)
    """Numbers that tell the quality of the result, by name (noise, fwhm, ...)."""
    storage: Callable[[Product], Product] | None = None
    """Where results are kept that are to leave memory."""

    def log(self, message: str, level: LogLevel = "info") -> None:
        """Write a line to the log."""
        self.sink(Log(level, message, self.step, self.file))

    def debug(self, message: str) -> None:
        """Write a detail to the log file."""
        self.log(message, "debug")

    def warn(self, message: str) -> None:
        """Write a warning to the log; it stays with the state."""
        self.warnings.append(message)
        self.log(message, "warning")

    def set_aside(self, file: str, reason: str) -> None:
        """Tell that one of several inputs is not used, and why; the step goes on with the others."""
        skipped = InputSkipped(self.step, file, reason)
        self.skipped.append((skipped.file, skipped.reason))
        self.sink(skipped)

    def history(self, *lines: str) -> None:
        """Add lines to the HISTORY of the output."""
        self.history_lines.extend(lines)

    def progress(self, done: float, total: float, what: str = "") -> None:
        """Tell how far the work is, and stop here if the user asked to."""
        self.check_cancelled()
        self.sink(Progress(self.step, done, total, what))

    def check_cancelled(self) -> None:
        """Stop here if the user asked to.

        Raises
        ------
        CancelledError
            If so.
        """
        if self.cancel.is_set():
            raise CancelledError("Stopped by the user.")

    def attach(self, name: str, content: bytes) -> None:
        """Hand over an auxiliary file to be saved beside the products."""
        self.attachments.append(Attachment(name, content))

    def accompany(self, companion: Companion) -> None:
        """Hand over a further product; it is named, stamped and saved like those of steps."""
        self.companions.append(companion)

    def produce(self, code: str = "", product_type: str = "", level: str = "") -> None:
        """Tell that the outputs are of another kind than the step's usual ones; an empty word keeps what is there."""
        self.kind = (code, product_type, level)

    def made_of(self, position: int, names: Sequence[str]) -> None:
        """Tell which inputs went into an output, if not all did; its file name says so then."""
        self.sources[position] = tuple(names)

    def release(self, product: Product) -> Product:
        """Let a finished result leave memory if memory is short; for steps that make several, one after the other.

        Returns
        -------
        Product
            The same content; its planes may be mapped from disk now.
        """
        return product if self.storage is None else self.storage(product)

    def want(self, role: str, wanted: Wanted) -> None:
        """Ask for a reference file that could not be declared, because which one depends on the data."""
        self.wanted = {**self.wanted, role: wanted}

    def reference(self, role: str) -> ReferenceUse:
        """Return a reference file.

        Raises
        ------
        ReferenceDataError
            If there is none for this observation, or it is not at hand.
        """
        found = self.find_reference(role)
        if found is None:
            label = self.wanted[role].request.label if role in self.wanted else ""
            raise ReferenceDataError(
                f"{self.file}: there is no {label or role.replace('_', ' ')} for this observation; give your own."
            )
        return found

    def find_reference(self, role: str) -> ReferenceUse | None:
        """Return a reference file, or None if there is none for this observation.

        Raises
        ------
        ReferenceDataError
            If there should be one, but it is not at hand.
        """
        for used in self.references:
            if used.role == role:
                return used
        wanted = self.wanted.get(role)
        if wanted is None or self.store is None:
            return None
        from sofia_engine.pipeline.references import locate

        use = locate(role, wanted, self.store)
        if use is not None:
            self.references.append(use)
            self.debug(f"{role.replace('_', ' ')}: {use.name} ({use.path})")
        return use
