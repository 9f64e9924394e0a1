"""Options of a run as a whole: where its files go, what they are called, how far it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sofia_engine.errors import ParameterError
from sofia_engine.pipeline.documents import Document, Entry, Problems
from sofia_engine.pipeline.parameters import suggest

__all__ = ["FileLevel", "RunOptions", "read_run_options"]

FileLevel = Literal["debug", "info", "warning", "error"]

_IGNORED = ("config_file_name", "display_intermediate", "log_format", "update_display")
_SWITCHES = ("mode", "slitcorr", "spatcal", "wavecal")
_FALSE = ("", "0", "0.0", "false", "no", "none", "off")
_TRUE = ("1", "1.0", "on", "true", "yes")


@dataclass(frozen=True)
class RunOptions:
    """Where the files of a run go; relative names are relative to the output directory, empty ones are not written.

    Parameters
    ----------
    output_directory : Path
        Made if missing.
    input_manifest, output_manifest : str
        Lists of the files that were reduced, and of the FITS files that were written.
    parameter_file : str
        Parameters as run; the suffix ``.cfg`` gives the old form.
    log_file : str
        Template of `time.strftime`.
    log_level : {"debug", "info", "warning", "error"}
        From which level on lines go to the log file.
    absolute_paths : bool
        Paths in lists are absolute rather than relative to the list.
    step_to : str
        The recipe ends after this step.
    steps : tuple of str
        Steps of the recipe to do, in order; empty for all.
    recipe_switches : tuple of (str, str)
        Options of old files that choose another recipe, with their values.
    """

    output_directory: Path = Path()
    input_manifest: str = "sofia_desk_infiles.txt"
    output_manifest: str = "outfiles.txt"
    parameter_file: str = "sofia_desk_parameters.toml"
    log_file: str = "sofia_desk_%Y%m%d_%H%M%S.log"
    log_level: FileLevel = "debug"
    absolute_paths: bool = False
    step_to: str = ""
    steps: tuple[str, ...] = ()
    recipe_switches: tuple[tuple[str, str], ...] = ()

    @property
    def folder(self) -> Path:
        """The output directory, absolute."""
        return self.output_directory.expanduser().resolve()

    def locate(self, name: str) -> Path | None:
        """Return the path of a file of the run; None if its name is empty."""
        return self.folder / Path(name).expanduser() if name.strip() else None


def read_run_options(document: Document, options: RunOptions | None = None) -> RunOptions:
    """Take over what a parameter file says of the run as a whole.

    Parameters
    ----------
    document : Document
        The file.
    options : RunOptions, optional
        What holds where the file says nothing.

    Raises
    ------
    ParameterError
        Names every unknown key and every value that is not allowed.
    """
    problems = Problems()
    values: dict[str, Any] = {}
    switches: list[tuple[str, str]] = []
    for entry in document.top:
        if entry.key in _IGNORED:
            continue
        if entry.key in _SWITCHES:
            switches += _read_switch(entry)
            continue
        try:
            values |= _read_option(entry)
        except ParameterError as error:
            problems.add(f"{error} [{document.where(entry.line)}].")
    problems.raise_any()
    return replace(options or RunOptions(), **values, recipe_switches=tuple(switches))


def _read_switch(entry: Entry) -> Iterable[tuple[str, str]]:
    text = _as_text(entry)
    return [] if text.lower() in _FALSE else [(entry.key, text)]


def _read_option(entry: Entry) -> Mapping[str, Any]:
    if entry.key not in _READERS:
        raise ParameterError(f"{entry.key}: there is no such option of a run{suggest(entry.key, _READERS)}")
    name, read = _READERS[entry.key]
    return {name: read(entry)}


def _as_text(entry: Entry) -> str:
    if isinstance(entry.value, list):
        raise ParameterError(f"{entry.key} = {entry.value!r} is not allowed: it must be one text")
    return "" if entry.value is None else str(entry.value).strip()


def _as_file_name(entry: Entry) -> str:
    """An old file says False for a file that is not wanted."""
    text = _as_text(entry)
    return "" if text.lower() in ("false", "none") else text


def _as_folder(entry: Entry) -> Path:
    return Path(_as_file_name(entry) or ".")


def _as_switch(entry: Entry) -> bool:
    word = _as_text(entry).lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ParameterError(f"{entry.key} = {entry.value!r} is not allowed: it must be True or False")


def _as_level(entry: Entry) -> str:
    word = _as_text(entry).lower()
    word = {"critical": "error", "warn": "warning"}.get(word, word)
    if word not in ("debug", "info", "warning", "error"):
        raise ParameterError(
            f"{entry.key} = {entry.value!r} is not allowed: it must be one of 'debug', 'info', 'warning', 'error'"
        )
    return word


def _as_steps(entry: Entry) -> tuple[str, ...]:
    items = entry.value if isinstance(entry.value, list) else _as_text(entry).split(",")
    return tuple(str(item).strip() for item in items if str(item).strip())


_READERS: Mapping[str, tuple[str, Callable[[Entry], Any]]] = {
    "output_directory": ("output_directory", _as_folder),
    "input_manifest": ("input_manifest", _as_file_name),
    "output_manifest": ("output_manifest", _as_file_name),
    "parameter_file": ("parameter_file", _as_file_name),
    "log_file": ("log_file", _as_file_name),
    "log_level": ("log_level", _as_level),
    "absolute_paths": ("absolute_paths", _as_switch),
    "recipe": ("steps", _as_steps),
    "step_to": ("step_to", _as_file_name),
}
