"""The licences of everything that is shipped, collected into one file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import system_libraries  # beside this file

TEXTS = Path(__file__).resolve().parent / "texts"
_WITHOUT_TEXT = {"LGPL-3.0": ("LGPL-3.0.txt", "GPL-3.0.txt")}
"""Licences of packages that bring no text with them: Qt for Python."""

_QT = """\
The libraries of Qt are used under the LGPL 3. They lie in the folder PySide6 of the program as files of their own, so
that they can be replaced; their sources are at https://download.qt.io, and what they contain of others is listed at
https://doc.qt.io/qt-6/licenses-used-in-qt.html
"""

_LIST = """
import importlib.metadata as metadata, json, sys
found = []
for distribution in metadata.distributions():
    name = distribution.metadata["Name"]
    files = [str(distribution.locate_file(f)) for f in distribution.files or ()
             if any(word in f.name.upper() for word in ("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT"))
             and f.suffix.lower() not in (".py", ".pyc", ".pyi", ".html", ".png")]
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
        If the text of the licence of a package in the bundle is not known.
    """
    listed = subprocess.run([str(python), "-c", _LIST], capture_output=True, text=True, check=True).stdout
    shipped = find_shipped(json.loads(listed), content)
    silent = [package["name"] for package in shipped if not package["files"] and not _find_texts(package)]
    if silent:
        raise SystemExit(f"The texts of the licences of these packages are not known: {', '.join(silent)}")
    parts = [_describe(package) for package in sorted(shipped, key=lambda package: package["name"].lower())]
    parts.insert(0, _read_own(python))
    if sys.platform == "linux":
        libraries = system_libraries.find_system_libraries(content.parents[2] / "work")
        parts += system_libraries.describe_packages(system_libraries.find_packages(libraries))
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
    texts += [path.read_text(encoding="utf-8") for path in ([] if texts else _find_texts(package))]
    return "\n".join([head, *([_QT] if package["name"].startswith("PySide6") else []), *texts])


def _find_texts(package: dict) -> list[Path]:
    names = next((names for licence, names in _WITHOUT_TEXT.items() if licence in package["licence"]), ())
    return [TEXTS / name for name in names]


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
