#!/usr/bin/env python3
"""Build the program that needs no Python, and the installers of this platform: ``python3 packaging/build.py``.

Everything is made below ``build/package`` (an environment with PyInstaller, the folder of the program) and
``dist`` (installers, checksums). Only the standard library is used here; the same command serves Linux, macOS and
Windows.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import os
import py_compile
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).resolve().parent))

import installers  # noqa: E402 - beside this file
import licences  # noqa: E402

WORK = ROOT / "build" / "package"
KERNELS = ("sofia_engine.numerics.resampling", "sofia_viewers.cube", "sofia_viewers.image")
"""Packages whose sources are in the bundle, because numba finds compiled kernels by them; as in sofia-desk.spec."""
READERS = "specutils.io.default_loaders"
"""Package whose sources are in the bundle, because specutils lists them to find its readers; as in sofia-desk.spec."""


@dataclass(frozen=True)
class Bundle:
    """The folder of the program as PyInstaller makes it."""

    folder: Path

    @property
    def executable(self) -> Path:
        """The program itself."""
        if sys.platform == "darwin":
            return self.folder / "Contents" / "MacOS" / "sofia-desk"
        return self.folder / ("sofia-desk.exe" if os.name == "nt" else "sofia-desk")

    @property
    def content(self) -> Path:
        """Folder of all that the program brings with it."""
        return self.folder / ("Contents/Frameworks" if sys.platform == "darwin" else "_internal")


def main() -> int:
    """Build what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without-data", action="store_true", help="leave the calibration files out")
    parser.add_argument("--folder-only", action="store_true", help="make no installers")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder of the installers (default: dist)")
    parser.add_argument("--python", type=Path, help="Python of an environment with PyInstaller and all needs")
    arguments = parser.parse_args()

    version = read_version()
    python = arguments.python or make_environment(WORK / "environment")
    bundle = freeze(python, version)
    if not arguments.without_data:
        add_reference_files(python, bundle)
    compile_sources(bundle)
    prepare_first_start(bundle)
    licences.collect(python, bundle.content, bundle.content / "LICENSES.txt")
    print(f"The program is {bundle.executable}, {measure(bundle.folder) / 1e6:.0f} MB", flush=True)
    if arguments.folder_only:
        return 0
    made = installers.make(bundle.folder, version, arguments.output, ROOT)
    write_checksums(made, arguments.output)
    return 0


def read_version() -> str:
    """Version of the project."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def make_environment(folder: Path) -> Path:
    """Make an environment with PyInstaller and what the program needs; return its Python."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        run(sys.executable, "-m", "venv", folder)
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{ROOT}[gui,package]")
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "sofia-desk")  # the bundle takes it from the checkout
    return python


def freeze(python: Path, version: str) -> Bundle:
    """Run PyInstaller."""
    surroundings = {
        **os.environ,
        "SOFIA_DESK_ROOT": str(ROOT),
        "SOFIA_DESK_VERSION": version,
        "SOFIA_DESK_ICON": str(draw_icon(python)),
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("engine", "viewers", "app")),
    }
    command = ["-m", "PyInstaller", "--noconfirm", "--log-level", "WARN", "--distpath", WORK / "dist"]
    run(python, *command, "--workpath", WORK / "work", ROOT / "packaging" / "sofia-desk.spec", env=surroundings)
    return Bundle(WORK / "dist" / ("SOFIA Desk.app" if sys.platform == "darwin" else "sofia-desk"))


def draw_icon(python: Path) -> Path:
    """Draw the icon of the program as this platform wants it."""
    target = WORK / f"sofia-desk{'.icns' if sys.platform == 'darwin' else '.ico'}"
    run(python, ROOT / "packaging" / "icons.py", ROOT / "resources" / "icons" / "sofia-desk.svg", target)
    return target


def add_reference_files(python: Path, bundle: Bundle) -> None:
    """Fetch the calibration files of all instruments that can be reduced, and put them into the bundle."""
    target = bundle.content / "sofia_engine" / "_resources" / "reference_files"
    store = WORK / "reference"
    surroundings = {
        **os.environ,
        "SOFIA_DESK_DATA": str(store),
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("engine", "viewers", "app")),
    }
    run(python, "-m", "sofia_engine", "data", "fetch", env=surroundings)
    shutil.copytree(store, target, ignore=shutil.ignore_patterns(".*"), dirs_exist_ok=True)


def compile_sources(bundle: Bundle) -> None:
    """Compile the sources in the bundle, so that they are not compiled at each start where they cannot be written."""
    for package in (*KERNELS, READERS):
        folder = bundle.content.joinpath(*package.split("."))
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(folder, quiet=1, invalidation_mode=mode, force=True)


def prepare_first_start(bundle: Bundle) -> None:
    """Let the program compile its kernels and look for fonts once, and keep the result in the bundle."""
    seed = bundle.content / "seed"
    shutil.rmtree(seed, ignore_errors=True)
    surroundings = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(seed / "kernels"),
        "MPLCONFIGDIR": str(seed / "matplotlib"),
        "QT_QPA_PLATFORM": "offscreen",
    }
    run(bundle.executable, "prepare-kernels", env=surroundings)
    for package in KERNELS:
        place = bundle.content.joinpath(*package.split("."))
        named = seed / "kernels" / f"{place.name}_{hashlib.sha1(str(place).encode()).hexdigest()}"
        named.rename(named.with_name(package))
    left = [path.name for path in (seed / "kernels").iterdir() if path.name not in KERNELS]
    if not list((seed / "matplotlib").glob("fontlist*")):
        raise SystemExit("The program made no list of fonts; its users would wait for one at their first plot.")
    if left:
        raise SystemExit(f"Kernels lie in packages that are not named in build.py: {', '.join(left)}")


def write_checksums(files: list[Path], folder: Path) -> None:
    """Write the SHA-256 of the installers beside them."""
    lines = []
    for file in files:
        with file.open("rb") as stream:
            lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {file.name}\n")
        print(f"{file}  {file.stat().st_size / 1e6:.0f} MB", flush=True)
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="ascii")


def measure(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    """Run a command; end with its exit code if it fails."""
    words = [str(word) for word in command]
    code = subprocess.run(words, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, check=False).returncode
    if code:
        raise SystemExit(f"'{' '.join(words[:4])} ...' failed with exit code {code}; the lines above say why.")


if __name__ == "__main__":
    sys.exit(main())
