"""The command line ``sofia-desk``. Nothing heavy is imported before a command is known."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from sofia_engine._version import __version__
from sofia_engine.cli.exit_codes import BAD_CONFIGURATION, INTERRUPTED, OK, exit_code_of
from sofia_engine.errors import ParameterError, SofiaDeskError

__all__ = ["main"]

_COMMANDS = {
    "reduce": "reduce files, folders or a list of files to calibrated products",
    "info": "say what files are, which of them belong together, and what would be done with them",
    "parameters": "write or explain the parameters of a reduction",
    "data": "show, fetch or locate the calibration files",
    "simulate": "write raw files of a simulated observation with a known truth",
    "demo": "simulate an observation, reduce it, and tell the truth beside the result",
    "rerun": "make a product again from what its header says, and compare",
    "sessions": "list, go on with, or remove reductions that were not finished",
}

_VIEWERS = {
    "image": "show images, or write a picture of them without a window",
    "spectrum": "show spectra, or write a picture of them without a window",
    "cube": "explore cubes: slices, spectra and maps, or write a picture of them without a window",
    "quality": "show the quality of many products, or write its plots and tables",
}
"""Commands of the windows: ``sofia_viewers.<command>.main``, there only with the extra ``gui``."""

_SERVANTS = {
    "draw-maps": "sofia_engine.painter:serve",
    "run-tasks": "sofia_engine.helper_process:serve_in_background",
    "prepare-kernels": "sofia_engine.kernels:prepare_kernels",
}
"""Commands for the program itself and for installers, not for users."""

_PROGRAMS = {"show-in-glue": "sofia_viewers.cube.glue_session:main"}
"""Programs with options of their own that the windows start beside themselves, in the installed program too."""

_INSTALL_WINDOWS = "to install them, type in the folder of the project: python -m pip install '.[gui]'"

_DRAWING = frozenset({"demo", "reduce", "rerun"})
_NOT_DRAWING = frozenset({"--all-groups", "--dry-run", "--help", "-h"})
_SHORTEST = 2

_DESCRIPTION = "Calibrated images, spectra and cubes from the raw data of the airborne observatory SOFIA."
_EPILOG = """\
exit codes: 0 done; 1 a step failed; 2 no usable input; 3 bad parameters, options or calibration files;
4 done, but some inputs were skipped; 130 interrupted.  'sofia-desk COMMAND --help' explains a command."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end."""
        self.exit(BAD_CONFIGURATION, f"ERROR: {message}\nType '{self.prog} --help' for the options.\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Write; argparse itself keeps quiet about an output that cannot be written."""
        if message:
            (file or sys.stderr).write(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        Words of the command line after the name of the program; those of this process by default.

    Returns
    -------
    int
        Exit code.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        with _own_process(words) if argv is None else contextlib.nullcontext():
            return _run(words)
    except SystemExit as ending:  # argparse has said what there is to say
        return ending.code if isinstance(ending.code, int) else OK
    except BrokenPipeError:  # the reader of the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        _say("Interrupted.")
        return INTERRUPTED
    except SofiaDeskError as error:
        _say(f"ERROR: {error}")
        return exit_code_of(error)
    except OSError as error:
        _say(f"ERROR: {error.filename or 'The output'} cannot be used: {error.strerror or error}.")
        return exit_code_of(error)
    except Exception as error:  # noqa: BLE001 - a user never gets a traceback
        _say(_report_unforeseen(error))
        return exit_code_of(error)


def _run(argv: list[str]) -> int:
    if len(argv) == 1 and argv[0] in _SERVANTS:
        return int(_find_function(_SERVANTS[argv[0]])())
    if argv and argv[0] in _PROGRAMS and _has_windows():
        return int(_find_function(_PROGRAMS[argv[0]])(argv[1:]))
    chosen = _find_command(argv)
    if _are_files(argv):
        return _start_desktop(_make_parser(""), argv)
    if chosen in _VIEWERS and not _has_windows():
        raise ParameterError(f"The command {chosen} needs the windows, which are not installed; {_INSTALL_WINDOWS}")
    parser = _make_parser(chosen)
    try:
        arguments = parser.parse_args(argv)
    except SystemExit:
        sys.stdout.flush()  # help and version are no good if they cannot be written
        raise
    if not hasattr(arguments, "run"):
        return _start_desktop(parser)
    code: int = arguments.run(arguments)
    sys.stdout.flush()
    return code


def _find_function(place: str) -> Callable[..., int]:
    module, _, function = place.partition(":")
    found: Callable[..., int] = getattr(importlib.import_module(module), function)
    return found


def _are_files(argv: Sequence[str]) -> bool:
    """Tell whether the words name files rather than a command, as when a file manager starts the program."""
    known = _COMMANDS.keys() | _VIEWERS.keys()
    return bool(argv) and all(word not in known and os.path.exists(word) for word in argv)  # noqa: PTH110 - quicker


def _find_command(argv: Sequence[str]) -> str:
    return next((word for word in argv if not word.startswith("-")), "")


def _make_parser(chosen: str) -> argparse.ArgumentParser:
    """Make the parser; only the chosen command gets its options, because they cost imports."""
    parser = _Parser(
        prog="sofia-desk",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"SOFIA Desk {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, text in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == chosen:
            _give_options(command, f"{__name__}.{name}")
    if _has_windows():
        for name, text in _VIEWERS.items():
            command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
            if name == chosen:
                _give_options(command, f"sofia_viewers.{name}.main")
    return parser


def _give_options(command: argparse.ArgumentParser, module_name: str) -> None:
    module = importlib.import_module(module_name)
    module.add_arguments(command)
    command.set_defaults(run=module.run)


def _has_windows() -> bool:
    from importlib.util import find_spec

    return find_spec("PySide6") is not None and find_spec("sofia_viewers") is not None


def _start_desktop(parser: argparse.ArgumentParser, files: Sequence[str] = ()) -> int:
    """Start the desktop program where it is installed, and open files in it; else say what can be typed."""
    from importlib.util import find_spec

    if find_spec("sofia_app") is None or find_spec("PySide6") is None or find_spec("sofia_app.main") is None:
        parser.print_help()
        sys.stdout.write(f"\nThe windows of the desktop program are not installed; {_INSTALL_WINDOWS}\n")
        return OK
    code: int | None = importlib.import_module("sofia_app.main").main(list(files))
    return code or OK


@contextlib.contextmanager
def _own_process(argv: list[str]) -> Iterator[None]:
    """Make start and end quick, and libraries quiet, where the process is all ours."""
    import gc

    # Imports make many objects that live for ever; looking at them again and again costs a third of a short run.
    gc.set_threshold(300_000, 50, 50)
    if not sys.warnoptions:  # the interpreter was not told to show warnings
        import warnings

        warnings.simplefilter("ignore")
    try:
        with _drawing_process(argv):
            yield
    finally:
        gc.freeze()  # what is left ends with the process; to look for garbage among it would take 0.2 s


def _drawing_process(argv: list[str]) -> contextlib.AbstractContextManager[None]:
    """Begin the process that draws quick-look maps, before all else, for commands that will need it."""
    if _find_command(argv) not in _DRAWING or len(argv) < _SHORTEST or not _NOT_DRAWING.isdisjoint(argv):
        return contextlib.nullcontext()
    from sofia_engine.painter import started

    return started()


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _report_unforeseen(error: Exception) -> str:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="sofia_desk_error_", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        traceback.print_exception(error, file=file)
    return (
        f"ERROR: something went wrong that nobody foresaw ({type(error).__name__}: {error}); "
        f"please report it with the file {file.name}."
    )
