"""The licences of everything that is shipped, collected into one file."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

_LIST = """
import importlib.metadata as metadata, json, sys
found = []
for distribution in metadata.distributions():
    name = distribution.metadata["Name"]
    files = [str(distribution.locate_file(f)) for f in distribution.files or ()
             if any(word in f.name.upper() for word in ("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT"))
             and f.suffix.lower() in ("", ".txt", ".md", ".rst")]
    tops = sorted({f.parts[0].removesuffix(".py") for f in distribution.files or () if f.parts[0] != ".."})
    expression = distribution.metadata.get("License-Expression") or distribution.metadata.get("License") or ""
    classes = distribution.metadata.get_all("Classifier", ())
    kinds = [c.split("::")[-1].strip() for c in classes if c.startswith("License")]
    found.append({"name": name, "version": distribution.version, "files": files, "tops": tops,
                  "licence": expression.splitlines()[0] if expression else ", ".join(kinds)})
json.dump(found, sys.stdout)
"""


def collect(python: Path, content: Path, target: Path) -> None:
    """Write the licences of all packages whose modules or libraries are in the bundle.

    Parameters
    ----------
    python : Path
        Python of the environment the bundle was made from.
    content : Path
        Folder of all that the program brings with it.
    target : Path
        File to write.

    Raises
    ------
    SystemExit
        If a package in the bundle says nothing of its licence.
    """
    listed = subprocess.run([str(python), "-c", _LIST], capture_output=True, text=True, check=True).stdout
    shipped = find_shipped(json.loads(listed), content)
    silent = [package["name"] for package in shipped if not package["files"] and not package["licence"]]
    if silent:
        raise SystemExit(f"These packages say nothing of their licence: {', '.join(silent)}")
    parts = [_describe(package) for package in sorted(shipped, key=lambda package: package["name"].lower())]
    parts.insert(0, _read_own(python))
    target.write_text(("\n" + "=" * 100 + "\n").join(parts), encoding="utf-8")


def find_shipped(packages: list[dict], content: Path) -> list[dict]:
    """Choose the packages that have a module in the bundle: as files, or in the archive of the program."""
    present = {path.name.split(".")[0] for path in content.iterdir()}
    present |= archived_modules(content.parent)
    return [package for package in packages if present.intersection(top.split(".")[0] for top in package["tops"])]


def archived_modules(folder: Path) -> set[str]:
    """Names of the packages in the archives that PyInstaller lists beside its work."""
    listing = next((folder.parents[1] / "work").rglob("PYZ-00.toc"), None)
    if listing is None:
        return set()
    import ast

    entries = ast.literal_eval(listing.read_text(encoding="utf-8"))[1]
    return {entry[0].split(".")[0] for entry in entries}


def _describe(package: dict) -> str:
    head = f"{package['name']} {package['version']}\n{package['licence'] or 'see below'}\n"
    texts = [Path(file).read_text(encoding="utf-8", errors="replace") for file in dict.fromkeys(package["files"])]
    return "\n".join([head, *texts])


def _read_own(python: Path) -> str:
    root = Path(__file__).resolve().parents[1]
    own = (root / "LICENSE").read_text(encoding="utf-8")
    asked = "import sys, pathlib, os; print(pathlib.Path(os.__file__).with_name('LICENSE.txt')); print(sys.version)"
    path, version = subprocess.run(
        [str(python), "-c", asked], capture_output=True, text=True, check=True
    ).stdout.splitlines()[:2]
    known = Path(path).exists()
    text = Path(path).read_text(encoding="utf-8") if known else "PSF-2.0, https://docs.python.org/3/license.html"
    introduction = "It brings the following with it, each under its own licence."
    return f"SOFIA Desk\n\n{own}\n\n{introduction}\n\nPython {version}\n\n{text}"
