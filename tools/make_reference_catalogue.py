"""
Write the catalogue of reference files from a published distribution of the reference pipeline.

Only data files are read: the tables that say which file applies when, and the files themselves for size and SHA-256.
The output depends on the distribution alone. For a new release, run this with its version and commit the result::

    python tools/make_reference_catalogue.py --version 1.5.2
    python tools/make_reference_catalogue.py path/to/sofia_redux-1.5.2-py3-none-any.whl

Some files were published with an older release only; its wheel is downloaded too, unless given with ``--older``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "sofia_redux"
VERSION = "1.5.2"
OLDER = "1.4.3"
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
        Path of the table in the distribution.
    match
        Column number of each match word. The date is in column 0.
    kinds
        Column number of each kind of file.
    contains
        Match words that need only be contained in the value asked for.
    by_date
        True if the earliest line that reaches the date counts, False if the first such line of the table does.
    root
        Folder that the files it names are relative to; empty for its own.
    """

    member: str
    match: dict[str, int]
    kinds: dict[str, int]
    contains: tuple[str, ...] = ()
    by_date: bool = False
    root: str = ""

    def locate(self, name: str) -> str:
        """Path in the distribution of a file the table names."""
        return f"{self.root or PurePosixPath(self.member).parent}/{name}"


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
    pattern
        Regular expression of the names whose files apply without a table; its groups are match words. Empty for none.
    """

    path: str
    kind: str
    suffixes: tuple[str, ...]
    name_root: str
    key_root: str
    key_prefix: str
    single: bool = False
    pattern: str = ""


@dataclass(frozen=True)
class Instrument:
    """
    An instrument with the tables and folders that describe its reference files.

    Parameters
    ----------
    name
        Value of INSTRUME.
    tables, folders
        Of the distribution.
    older
        Folders of files that only the older distribution holds.
    series
        Families of files elsewhere that are too many to be listed; as `sofia_engine.reference.catalogue.Series`.
    """

    name: str
    tables: tuple[Table, ...]
    folders: tuple[Folder, ...]
    older: tuple[Folder, ...] = ()
    series: tuple[dict[str, Any], ...] = field(default=(), hash=False)

    @property
    def file_name(self) -> str:
        """Name of the catalogue file."""
        return f"{self.name.lower().replace('-', '_')}.json"


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


def describe_fifi_ls() -> Instrument:
    """Describe the files of FIFI-LS: detector, wavelengths, positions, flats, response, atmosphere."""
    root = f"{PACKAGE}/instruments/fifi_ls/data"
    tables = (
        Table(
            f"{root}/badpix_files/badpix_default.txt", {"channel": 1}, {"bad_pixel_list": 2}, by_date=True, root=root
        ),
        Table(
            f"{root}/spatial_cal/poscal_default.txt", {"channel": 1}, {"spaxel_positions": 2}, by_date=True, root=root
        ),
        Table(
            f"{root}/response_files/response_default.txt",
            {"channel": 1, "dichroic": 2},
            {"response": 3},
            by_date=True,
            root=root,
        ),
    )

    def folder(start: str, kind: str, *endings: str, single: bool = False, pattern: str = "") -> Folder:
        return Folder(f"{root}/{start}", kind, endings, root, root, "fifi_ls", single, pattern)

    folders = (
        folder("badpix_files/badpixels_", "bad_pixel_list", ".txt"),
        folder("wave_cal/FIFI_LS_WaveCal_Coeffs", "wavelength_coefficients", ".txt", single=True),
        folder("spatial_cal/pixel_pos_", "spaxel_positions", "_20150828.txt"),
        folder("spatial_cal/poscal_20", "spaxel_positions", ".txt"),
        folder("spatial_cal/FIFI_LS_DeltaVector_Coeffs", "delta_vectors", ".txt", single=True),
        folder(
            "flat_files/spatial", "spatial_flat", ".txt", pattern=r"spatialFlat(?P<order>R|B\d)D(?P<dichroic>\d+)\."
        ),
        folder("flat_files/spectral", "spectral_flat", ".fits", pattern=r"Flats(?P<order>[RB]\d+)D(?P<dichroic>\d+)\."),
        folder("resolution/", "resolution", ".txt", single=True),
        folder("response_files/v1_filters/", "response", ".fits"),
        folder("response_files/v2_filters/", "response", ".fits"),
        folder("line_lists/", "line_list", ".txt", single=True),
    )
    older = (folder("atran_files/", "atran", ".fits"),)
    return Instrument("FIFI-LS", tables, folders, older, (describe_atran_grid(), describe_water_vapour()))


def describe_atran_grid() -> dict[str, Any]:
    """Describe the grid of atmosphere models in the data repository, one dataset per altitude."""
    pwv = (*range(1, 19), 20, 22, 25, 30, 32, 35, 37, 40, 45, 50)
    name = "atran_sdc_{altitude}K_{zenith}deg_{pwv}pwv_39deg_2nlayer_40-300mum_bt.fits"
    datasets = {35: 5705, **{altitude: 5671 + altitude for altitude in range(36, 46)}}
    return {
        "kind": "atran",
        "name": f"atran_files/{name}",
        "key": f"fifi_ls/atran_files/{name}",
        "values": {
            "altitude": [str(altitude) for altitude in datasets],
            "zenith": [str(zenith) for zenith in range(30, 71, 5)],
            "pwv": [str(value) for value in pwv],
        },
        "sources": [
            {
                "type": "darus",
                "file": name,
                "doi": {"word": "altitude", **{str(k): f"10.18419/DARUS-{n}" for k, n in datasets.items()}},
            }
        ],
    }


def describe_water_vapour() -> dict[str, Any]:
    """Describe the files of water vapour along the flights, from weather models, in the data repository."""
    name = "{flight}_FI_{date}_pwv.fits"
    return {
        "kind": "water_vapour",
        "name": f"pwv_files/{name}",
        "key": f"fifi_ls/pwv_files/{name}",
        "values": {"flight": [], "date": []},
        "sources": [{"type": "darus", "file": name, "doi": "10.18419/DARUS-5728"}],
    }


INSTRUMENTS = (
    describe_forcast(),
    describe_calibration("FLITECAM"),
    describe_calibration("HAWC_PLUS"),
    describe_fifi_ls(),
)


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


def locate_files(distribution: Distribution, folders: tuple[Folder, ...]) -> dict[str, Folder]:
    """Map each data file to the first folder that holds it."""
    located: dict[str, Folder] = {}
    for folder in folders:
        for member in distribution.list_folder(folder):
            located.setdefault(member, folder)
    return located


def make_key(member: str, folder: Folder) -> str:
    """Make the unique key of a file."""
    return f"{folder.key_prefix}/{PurePosixPath(member).relative_to(folder.key_root)}"


def make_rule(row: list[str], table: Table, column: int, located: dict[str, Folder]) -> dict[str, Any]:
    """Make the rule a line of a table states for one kind of file; a file the distribution lacks counts as none."""
    day = int(row[0])
    member = table.locate(row[column])
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
        found = re.search(folder.pattern, member) if folder.pattern else None
        if folder.single or found:
            match = found.groupdict() if found else {}
            rule: dict[str, Any] = {"until": None, "match": match, "file": make_key(member, folder)}
            selections.setdefault(folder.kind, {"contains": [], "rules": []})["rules"].append(rule)
    return selections


def assign_kinds(located: dict[str, Folder], selections: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Give each file, by key, one kind: the first whose table names it, else that of its folder."""
    kinds: dict[str, str] = {}
    for kind, selection in selections.items():
        for rule in selection["rules"]:
            if rule["file"] is not None:
                kinds.setdefault(rule["file"], kind)
    return {key: kinds.get(key, folder.kind) for key, folder in ((make_key(m, f), f) for m, f in located.items())}


def make_catalogue(
    distribution: Distribution, instrument: Instrument, older: Distribution | None = None
) -> dict[str, Any]:
    """Make the catalogue of one instrument."""
    located = locate_files(distribution, instrument.folders)
    selections = make_selections(distribution, instrument, located)
    kinds = assign_kinds(located, selections)
    files = [
        make_entry(distribution, member, folder, kinds[make_key(member, folder)])
        for member, folder in sorted(located.items(), key=lambda item: item[0])
    ]
    catalogue: dict[str, Any] = {
        "format": FORMAT,
        "instrument": instrument.name,
        "distribution": {"package": PACKAGE, "version": distribution.version},
        "files": [*files, *(make_older_entries(older, instrument) if older else ())],
        "selections": selections,
    }
    return catalogue | ({"series": list(instrument.series)} if instrument.series else {})


def make_older_entries(older: Distribution, instrument: Instrument) -> Iterator[dict[str, Any]]:
    """Make the entries of files that only the older distribution holds; no rule chooses them."""
    for member, folder in sorted(locate_files(older, instrument.older).items(), key=lambda item: item[0]):
        entry = make_entry(older, member, folder, folder.kind)
        entry["sources"][0]["version"] = older.version
        yield entry


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
    series = catalogue.get("series", [])
    tail = f',\n  "series": [\n{_join_lines(series, 4)}\n  ]' if series else ""
    return "\n".join(["{", *head, files, f'  "selections": {{\n{selections}\n  }}{tail}', "}"]) + "\n"


def _join_lines(entries: list[dict[str, Any]], indent: int) -> str:
    return ",\n".join(" " * indent + json.dumps(entry) for entry in entries)


def make_all(wheel: Path, older: Path) -> Iterator[tuple[str, str]]:
    """Make the name and content of each catalogue file from the wheels of the present and of the older release."""
    distribution, previous = Distribution(wheel), Distribution(older)
    for instrument in INSTRUMENTS:
        yield instrument.file_name, format_catalogue(make_catalogue(distribution, instrument, previous))


def download_wheel(version: str, folder: Path) -> Path:
    """Download the distribution, through the settings of pip."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), f"{PACKAGE}=={version}"]
    subprocess.run(command, check=True)
    return next(folder.glob(f"*-{version}-*.whl"))


def main() -> None:
    """Write the catalogue files."""
    parser = argparse.ArgumentParser(description="Write the catalogue of reference files.")
    parser.add_argument("wheel", nargs="?", type=Path, help="the distribution; left out: downloaded")
    parser.add_argument("--older", type=Path, help=f"the wheel of release {OLDER}; left out: downloaded")
    parser.add_argument("--version", default=VERSION, help="version to download (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder to write to (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = options.wheel or download_wheel(options.version, Path(folder))
        older = options.older or download_wheel(OLDER, Path(folder))
        for name, text in make_all(wheel, older):
            (options.output / name).write_text(text, encoding="utf-8", newline="\n")
            print(f"{options.output / name}: {text.count(chr(10))} lines")


if __name__ == "__main__":
    main()
