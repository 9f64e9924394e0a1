"""``sofia-desk simulate``: raw files of an observation whose truth is known."""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from typing import Any

from sofia_engine.cli.exit_codes import OK
from sofia_engine.simulate.options import Observation

__all__ = ["add_arguments", "parse_option_words", "run"]

_SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; those of a kind of observation are its own."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("kind", nargs="?", metavar="KIND", help="kind of observation; none lists them")
    parser.add_argument("folder", nargs="?", metavar="DIR", help="folder for the files, made if missing")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all random numbers (default 0)")
    parser.add_argument("--options", action="store_true", help="list the options of the kind")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="set an option of the kind, such as flux=80 or source_offset_arcsec=3,5; may be repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    from sofia_engine.simulate import KINDS, simulate

    if not arguments.kind:
        sys.stdout.write("".join(f"{name:32} {text}\n" for name, text in KINDS.items()))
        return OK
    if arguments.options or not arguments.folder:
        sys.stdout.write("\n".join(_describe_kind(arguments.kind)) + "\n")
        return OK
    truth = simulate(
        arguments.kind, arguments.folder, seed=arguments.seed, **parse_option_words(arguments.kind, arguments.settings)
    )
    sys.stdout.write("".join(f"{path}\n" for path in truth.paths))
    sys.stderr.write(f"The truth is in {truth.directory / 'truth.json'}\n")
    return OK


def parse_option_words(kind: str, words: Sequence[str]) -> dict[str, Any]:
    """Return the options given as ``option=value``.

    Raises
    ------
    ParameterError
        If one is not written so.
    """
    from sofia_engine.errors import ParameterError
    from sofia_engine.simulate.registry import find_options

    types = {field.name: str(field.type) for field in fields(find_options(kind)[0])}
    options: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise ParameterError(f"--set {word}: write it as OPTION=VALUE, such as flux=80.")
        options[name] = _parse_value(text.strip(), types.get(name, ""))
    return options


def _parse_value(text: str, type_name: str) -> Any:
    word = text.lower()
    if word == "none" and "None" in type_name:
        return None
    if "str" in type_name:
        return text.strip("'\"")
    if word in _SWITCHES:
        return _SWITCHES[word]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _describe_kind(kind: str) -> Iterator[str]:
    from sofia_engine.simulate.registry import KINDS, find_options

    options, defaults = find_options(kind)
    texts = dict(_read_documentation(options))
    yield f"{kind}: {KINDS[kind]}"
    for field in fields(options):
        default = defaults.get(field.name, None if field.default is MISSING else field.default)
        yield f"  {field.name} = {default}"
        if field.name in texts:
            yield f"      {texts[field.name]}"


def _read_documentation(options: type[Observation]) -> Iterator[tuple[str, str]]:
    """Yield names and texts of the section Parameters of the documentation of a class and its bases."""
    for base in options.__mro__:
        section = (base.__doc__ or "").partition("Parameters\n")[2]
        for names, text in re.findall(r"^    (\w[\w, ]*)\n((?:        .*\n?)+)", section, re.MULTILINE):
            for name in names.split(", "):
                yield name, " ".join(text.split())
