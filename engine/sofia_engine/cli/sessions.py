"""``sofia-desk sessions``: reductions that can be gone on with."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from sofia_engine.cli.exit_codes import OK
from sofia_engine.cli.run_arguments import add_level, find_session
from sofia_engine.errors import ParameterError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", nargs="?", choices=("list", "resume", "remove"), default="list")
    parser.add_argument("session", nargs="*", metavar="SESSION", help="name of a session, or the beginning of it")
    parser.add_argument("--json", action="store_true", help="with list: as JSON")
    parser.add_argument("--all", action="store_true", help="with remove: all finished ones")
    add_level(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    if arguments.action == "list":
        return _list(as_json=arguments.json)
    if arguments.action == "remove":
        return _remove(arguments)
    if len(arguments.session) != 1:
        raise ParameterError("Name the session to go on with; 'sofia-desk sessions' lists them.")
    from sofia_engine.cli import main

    return main(["reduce", "--resume", arguments.session[0], "-l", arguments.loglevel])


def _list(*, as_json: bool) -> int:
    from sofia_engine.pipeline.session import list_sessions

    described = [_describe(folder) for folder in list_sessions()]
    if as_json:
        sys.stdout.write(json.dumps(described, indent=1) + "\n")
        return OK
    for entry in described:
        sys.stdout.write(f"{entry['name']}  {entry['recipe']}  {entry['state']}  {entry['changed']}\n")
    if not described:
        sys.stdout.write("There are no sessions.\n")
    return OK


def _describe(folder: Path) -> dict[str, Any]:
    path = folder / "session.json"
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stored = {}
    state = "finished" if stored.get("finished") else "unfinished"
    return {
        "name": folder.name,
        "folder": str(folder),
        "recipe": stored.get("recipe", ""),
        "state": state if stored else "damaged",
        "inputs": [record.get("path") for record in stored.get("inputs", [])],
        "output": stored.get("output", ""),
        "changed": time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime)),
    }


def _remove(arguments: argparse.Namespace) -> int:
    from sofia_engine.pipeline.session import Session, list_sessions

    if arguments.all:
        folders = [folder for folder in list_sessions() if _describe(folder)["state"] != "unfinished"]
    elif arguments.session:
        folders = [find_session(name) for name in arguments.session]
    else:
        raise ParameterError("Name the sessions to remove, or give --all for all finished ones.")
    for folder in folders:
        Session(folder).delete()
        sys.stdout.write(f"Removed {folder.name}\n")
    return OK
