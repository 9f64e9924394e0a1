"""Libraries of the system of the build that are in the bundle: from which packages they come, and their licences."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

_COMMON = Path("/usr/share/common-licenses")
_OF_SYSTEM = ("/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/")


def find_system_libraries(work: Path) -> list[Path]:
    """Return the files of the system that PyInstaller lists beside its work."""
    listing = next(work.rglob("COLLECT-00.toc"))
    entries = [entry for part in ast.literal_eval(listing.read_text(encoding="utf-8")) for entry in part]
    sources = {Path(entry[1]).resolve() for entry in entries if entry[2] in {"BINARY", "EXTENSION"}}
    return sorted(path for path in sources if str(path).startswith(_OF_SYSTEM) and "/python3" not in str(path))


def find_packages(libraries: list[Path]) -> dict[str, list[str]]:
    """Return the names of the libraries of each Debian package.

    Raises
    ------
    SystemExit
        If a library belongs to none.
    """
    if libraries and shutil.which("dpkg-query") is None:
        raise SystemExit("The licences of the system's libraries are found through dpkg; build on Debian or Ubuntu.")
    packages: dict[str, list[str]] = {}
    for library in libraries:
        asked = subprocess.run(
            ["dpkg-query", "-S", f"*/{library.name}"], capture_output=True, text=True, check=False
        ).stdout
        owners = [line.split(":")[0] for line in asked.splitlines() if line.endswith(f"/{library.name}")]
        if not owners:
            raise SystemExit(f"{library} belongs to no package, so that its licence is not known.")
        packages.setdefault(owners[0], []).append(library.name)
    return packages


def describe_packages(packages: dict[str, list[str]]) -> list[str]:
    """Return the licences of the packages, and the texts that these refer to."""
    parts = []
    for name, libraries in sorted(packages.items()):
        text = Path("/usr/share/doc", name, "copyright").read_text(encoding="utf-8", errors="replace")
        parts.append(f"{', '.join(libraries)}\nof the Debian package {name}\n\n{text}")
    named = {Path(found).name.rstrip(".") for part in parts for found in re.findall(rf"{_COMMON}/[\w.+-]+", part)}
    return parts + [
        f"{name}, to which licences above refer\n\n{(_COMMON / name).read_text(encoding='utf-8')}"
        for name in sorted(named)
        if (_COMMON / name).is_file()
    ]
