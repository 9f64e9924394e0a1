"""
Write the catalogue of reference files from a published distribution of the reference pipeline.

Only data files are read: the tables that say which file applies when, and the files themselves for size and SHA-256.
The output depends on the distribution alone. For a new release, run this with its version and commit the result::

    python tools/make_reference_catalogue.py --version 1.5.2
    python tools/make_reference_catalogue.py path/to/sofia_redux-1.5.2-py3-none-any.whl
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "sofia_redux"
VERSION = "1.5.2"
NONE = "."
LAST_DAY = 99999999
FORMAT = 1
OUTPUT = Path(__file__).resolve().parents[1] / "resources" / "reference"


@dataclass(frozen=True)
class Table:
    """
    A published table that says which file applies when.

    Parameters
    ----------
    member
        Path of the table in the distribution; the files it names are relative to its folder.
    match
        Column number of each match word. The date is in column 0.
    kinds
        Column number of each kind of file.
    contains
        Match words that need only be contained in the value asked for.
    by_date
        True if the earliest line that reaches the date counts, False if the first such line of the table does.
    """

    member: str
    match: dict[str, int]
    kinds: dict[str, int]
    contains: tuple[str, ...] = ()
    by_date: bool = False


@dataclass(frozen=True)
class Folder:
    """
    A folder of the distribution with files of one kind, and their name and place in the cache.

    Parameters
    ----------
    path
        Folder inside the distribution.
    kind
        Kind of the files in it that no table names.
    suffixes
        File name endings that are data.
    name_root, key_root
        Leading folder that the name in headers leaves out, and that the key replaces by ``key_prefix``.
    key_prefix
        First folder of the key.
    single
        True if the one file of the folder applies to all observations, without a table.
    """

    path: str
    kind: str
    suffixes: tuple[str, ...]
    name_root: str
    key_root: str
    key_prefix: str
    single: bool = False


@dataclass(frozen=True)
class Instrument:
    """An instrument with the tables and folders that describe its reference files."""

    name: str
    tables: tuple[Table, ...]
    folders: tuple[Folder, ...]

    @property
    def file_name(self) -> str:
        """Name of the catalogue file."""
        return f"{self.name.lower()}.json"


def describe_calibration(name: str) -> Instrument:
    """Describe the imaging flux calibration of an instrument, which has the same layout for all of them."""
    root = f"{PACKAGE}/calibration/data"
    folder = f"{root}/{name.lower()}"
    tables = (
        Table(
            f"{folder}/caldefault.txt",
            {"altcfg1": 1},
            {
                "filter_definition": 2,
                "standard_flux_error": 3,
                "flux_calibration": 4,
                "average_flux_calibration": 5,
                "response_airmass": 6,
                "response_altitude": 7,
                "response_pwv": 8,
            },
        ),
        Table(f"{folder}/stddefault.txt", {"altcfg1": 1, "object": 2}, {"standard_flux": 3}, contains=("object",)),
    )
    endings = {
        "filter_def/filter_def_": ("filter_definition", ".txt"),
        "ref_calfctr/": ("flux_calibration", ".txt"),
        "response/rfit_am_": ("response_airmass", ".txt"),
        "response/rfit_alt_": ("response_altitude", ".txt"),
        "response/rfit_pwv_": ("response_pwv", ".txt"),
        "standard_flux/model_err_": ("standard_flux_error", ".txt"),
        "standard_flux/": ("standard_flux", ".out"),
    }
    folders = tuple(
        Folder(f"{folder}/{start}", kind, (ending,), root, root, "calibration")
        for start, (kind, ending) in endings.items()
    )
    return Instrument(name, tables, folders)


def describe_forcast() -> Instrument:
    """Describe the files of FORCAST: detector, distortion and grism files, and the imaging flux calibration."""
    root = f"{PACKAGE}/instruments/forcast/data"
    detector = Table(f"{root}/caldefault.txt", {"mode": 1}, {"bad_pixel_mask": 4, "pinhole_locations": 5}, by_date=True)
    grism = Table(
        f"{root}/grism/caldefault.txt",
        {"spectel": 1, "slit": 2},
        {"order_mask": 3, "wave_cal": 4, "response": 6, "slit_function": 7, "line_list": 8},
        by_date=True,
    )
    starts = {
        "badpix/": ("bad_pixel_mask", ".fits"),
        "pinhole/": ("pinhole_locations", ".txt"),
        "grism/order_mask/": ("order_mask", ".fits"),
        "grism/wave_cal/": ("wave_cal", ".fits"),
        "grism/response/": ("response", ".fits"),
        "grism/slit_function/": ("slit_function", ".fits"),
        "grism/line_lists/": ("line_list", ".txt"),
    }
    folders = [
        Folder(f"{root}/{start}", kind, (ending,), root, root, "forcast") for start, (kind, ending) in starts.items()
    ]
    # Headers name the transmission model without its folder.
    atran = f"{root}/grism/atran"
    folders.append(Folder(f"{atran}/", "atran", (".fits",), atran, root, "forcast", single=True))
    calibration = describe_calibration("FORCAST")
    return Instrument("FORCAST", (detector, grism, *calibration.tables), (*folders, *calibration.folders))


INSTRUMENTS = (describe_forcast(), describe_calibration("FLITECAM"), describe_calibration("HAWC_PLUS"))


class Distribution:
    """The data files of a published wheel."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)
        self.version = path.name.split("-")[1]
        self.members = frozenset(self._archive.namelist())

    def read(self, member: str) -> bytes:
        """Return the content of a file."""
        return self._archive.read(member)

    def list_folder(self, folder: Folder) -> list[str]:
        """List the data files whose path begins as the folder's, sorted; a version history is no data file."""
        return sorted(
            member
            for member in self.members
            if member.startswith(folder.path)
            and member.endswith(folder.suffixes)
            and PurePosixPath(member).name not in {"version.txt", "README.txt"}
        )

    def read_rows(self, table: Table) -> list[list[str]]:
        """Read the lines of a table, split at blanks; comments and empty lines are left out."""
        lines = self.read(table.member).decode("utf-8").splitlines()
        rows = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        return sorted(rows, key=lambda row: int(row[0])) if table.by_date else rows


def locate_files(distribution: Distribution, instrument: Instrument) -> dict[str, Folder]:
    """Map each data file of an instrument to the first folder that holds it."""
    located: dict[str, Folder] = {}
    for folder in instrument.folders:
        for member in distribution.list_folder(folder):
            located.setdefault(member, folder)
    return located


def make_key(member: str, folder: Folder) -> str:
    """Make the unique key of a file."""
    return f"{folder.key_prefix}/{PurePosixPath(member).relative_to(folder.key_root)}"


def make_rule(row: list[str], table: Table, column: int, located: dict[str, Folder]) -> dict[str, Any]:
    """Make the rule a line of a table states for one kind of file; a file the distribution lacks counts as none."""
    day = int(row[0])
    member = f"{PurePosixPath(table.member).parent}/{row[column]}"
    rule: dict[str, Any] = {
        "until": None if day >= LAST_DAY else day,
        "match": {word: row[at] for word, at in table.match.items() if row[at] != NONE},
        "file": make_key(member, located[member]) if member in located else None,
    }
    if row[column] != NONE and rule["file"] is None:
        print(f"{table.member} names {row[column]}, which the distribution lacks: no file from that line")
    return rule


def make_selections(
    distribution: Distribution, instrument: Instrument, located: dict[str, Folder]
) -> dict[str, dict[str, Any]]:
    """Make the rules of all kinds of an instrument."""
    selections: dict[str, dict[str, Any]] = {}
    for table in instrument.tables:
        rows = distribution.read_rows(table)
        for kind, column in table.kinds.items():
            rules = [make_rule(row, table, column, located) for row in rows]
            selections[kind] = {"contains": list(table.contains), "rules": rules}
    for member, folder in located.items():
        if folder.single:
            rule: dict[str, Any] = {"until": None, "match": {}, "file": make_key(member, folder)}
            selections[folder.kind] = {"contains": [], "rules": [rule]}
    return selections


def assign_kinds(located: dict[str, Folder], selections: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Give each file, by key, one kind: the first whose table names it, else that of its folder."""
    kinds: dict[str, str] = {}
    for kind, selection in selections.items():
        for rule in selection["rules"]:
            if rule["file"] is not None:
                kinds.setdefault(rule["file"], kind)
    return {key: kinds.get(key, folder.kind) for key, folder in ((make_key(m, f), f) for m, f in located.items())}


def make_catalogue(distribution: Distribution, instrument: Instrument) -> dict[str, Any]:
    """Make the catalogue of one instrument."""
    located = locate_files(distribution, instrument)
    selections = make_selections(distribution, instrument, located)
    kinds = assign_kinds(located, selections)
    return {
        "format": FORMAT,
        "instrument": instrument.name,
        "distribution": {"package": PACKAGE, "version": distribution.version},
        "files": [
            make_entry(distribution, member, folder, kinds[make_key(member, folder)])
            for member, folder in sorted(located.items())
        ],
        "selections": selections,
    }


def make_entry(distribution: Distribution, member: str, folder: Folder, kind: str) -> dict[str, Any]:
    """Make the catalogue entry of one file."""
    content = distribution.read(member)
    return {
        "key": make_key(member, folder),
        "name": str(PurePosixPath(member).relative_to(folder.name_root)),
        "kind": kind,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "sources": [{"type": "distribution", "member": member}],
    }


def format_catalogue(catalogue: dict[str, Any]) -> str:
    """Write a catalogue as JSON with one file or rule per line, so that differences between releases can be read."""
    head = [f'  "{word}": {json.dumps(catalogue[word])},' for word in ("format", "instrument", "distribution")]
    selections = ",\n".join(
        f'    "{kind}": {{\n      "contains": {json.dumps(selection["contains"])},\n'
        f'      "rules": [\n{_join_lines(selection["rules"], 8)}\n      ]\n    }}'
        for kind, selection in catalogue["selections"].items()
    )
    files = f'  "files": [\n{_join_lines(catalogue["files"], 4)}\n  ],'
    return "\n".join(["{", *head, files, f'  "selections": {{\n{selections}\n  }}', "}"]) + "\n"


def _join_lines(entries: list[dict[str, Any]], indent: int) -> str:
    return ",\n".join(" " * indent + json.dumps(entry) for entry in entries)


def make_all(wheel: Path) -> Iterator[tuple[str, str]]:
    """Make the name and content of each catalogue file from a wheel."""
    distribution = Distribution(wheel)
    for instrument in INSTRUMENTS:
        yield instrument.file_name, format_catalogue(make_catalogue(distribution, instrument))


def download_wheel(version: str, folder: Path) -> Path:
    """Download the distribution, through the settings of pip."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), f"{PACKAGE}=={version}"]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def main() -> None:
    """Write the catalogue files."""
    parser = argparse.ArgumentParser(description="Write the catalogue of reference files.")
    parser.add_argument("wheel", nargs="?", type=Path, help="the distribution; left out: downloaded")
    parser.add_argument("--version", default=VERSION, help="version to download (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder to write to (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = options.wheel or download_wheel(options.version, Path(folder))
        for name, text in make_all(wheel):
            (options.output / name).write_text(text, encoding="utf-8", newline="\n")
            print(f"{options.output / name}: {text.count(chr(10))} lines")


if __name__ == "__main__":
    main()
