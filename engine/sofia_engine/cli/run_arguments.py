"""Options of the commands that reduce: parameters, output, and what is made of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sofia_engine.errors import InputError, ParameterError
from sofia_engine.memory import parse_size
from sofia_engine.pipeline.documents import Document, Problems
from sofia_engine.pipeline.parameter_files import parse_parameters, read_parameters
from sofia_engine.pipeline.parameters import Setting
from sofia_engine.pipeline.run_options import RunOptions, read_run_options
from sofia_engine.pipeline.runner import RunRequest

__all__ = ["add_level", "add_run_arguments", "find_session", "make_request", "read_configuration"]

_LEVELS = ("debug", "info", "warning", "error", "critical")


def add_level(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how much is shown."""
    parser.add_argument(
        "-l",
        "--loglevel",
        type=str.lower,
        choices=_LEVELS,
        default="info",
        metavar="LEVEL",
        help="what the terminal shows: debug, info (default), warning, error, critical; the log file has all",
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a reduction."""
    parser.add_argument(
        "-o", "--out", metavar="DIR", help="folder for all files written, made if missing (default: current folder)"
    )
    parser.add_argument(
        "-c",
        "--configuration",
        metavar="FILE",
        help="parameter file, TOML or the old INI form; or the text of one",
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="STEP.KEY=VALUE",
        help="set one parameter; may be repeated, and wins over the file",
    )
    parser.add_argument("--until", metavar="STEP", help="stop after this step")
    parser.add_argument("--jobs", type=_count, metavar="N", help="work on N inputs side by side (default: all cores)")
    parser.add_argument(
        "--memory",
        type=_memory,
        default="",
        metavar="SIZE",
        help="most memory to use, such as 4G; 'unlimited' runs steps whatever they need (default: what is free)",
    )
    parser.add_argument("--strict", action="store_true", help="begin only if all inputs and calibration files are good")
    parser.add_argument("--offline", action="store_true", help="never use the network")
    parser.add_argument(
        "--keep-session",
        action=argparse.BooleanOptionalAction,
        help="keep all intermediate results after success (default: if steps are left to do)",
    )
    add_level(parser)


def _count(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of at least 1")
    return number


def _memory(text: str) -> str:
    try:
        parse_size(text)
    except ParameterError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def read_configuration(text: str | None) -> Document | None:
    """Read the parameter file, or the text of one, that was given on the command line.

    Raises
    ------
    ParameterError
        If it cannot be read or understood.
    """
    if text is None or text.strip().lower() in ("", "none"):
        return None
    if "=" in text and ("\n" in text or "\\n" in text or not Path(text).expanduser().is_file()):
        return parse_parameters(text.replace("\\n", "\n"), "-c")
    return read_parameters(text)


def make_request(arguments: argparse.Namespace, files: Sequence[Path], session: Path | None = None) -> RunRequest:
    """Return what the command line asks for.

    Raises
    ------
    ParameterError
        If parameters or options cannot be understood.
    """
    document = read_configuration(arguments.configuration)
    options = read_run_options(document) if document else RunOptions()
    if arguments.out:
        options = replace(options, output_directory=Path(arguments.out))
    if arguments.until:
        options = replace(options, step_to=arguments.until)
    return RunRequest(
        files=tuple(files),
        session=session,
        options=options,
        parameters=document,
        settings=_parse_settings(arguments.settings),
        jobs=arguments.jobs,
        memory=arguments.memory,
        strict=arguments.strict,
        offline=arguments.offline,
        keep_session=arguments.keep_session,
    )


def _parse_settings(words: Sequence[str]) -> tuple[tuple[str, str, Setting], ...]:
    problems = Problems()
    settings: list[tuple[str, str, Setting]] = []
    for word in words:
        path, equals, value = word.partition("=")
        step, dot, key = path.strip().partition(".")
        if not (equals and dot and step and key):
            problems.add(f"--set {word}: write it as STEP.KEY=VALUE, such as droop.fracdroop=0.004.")
        settings.append((step, key, Setting(value.strip(), "user", f"--set {path.strip()}")))
    problems.raise_any()
    return tuple(settings)


def find_session(name: str) -> Path:
    """Return the folder of a session given by path, name, or the beginning or end of its name.

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    from sofia_engine.pipeline.session import list_sessions

    if (Path(name).expanduser() / "session.json").is_file():
        return Path(name).expanduser().resolve()
    known = list_sessions()
    matching = [path for path in known if path.name.startswith(name) or path.name.endswith(name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        names = "\n".join(f"  {path.name}" for path in matching)
        raise InputError(f"'{name}' may be any of these sessions; name one:\n{names}")
    raise InputError(f"There is no session '{name}'; 'sofia-desk sessions' lists those there are.")
