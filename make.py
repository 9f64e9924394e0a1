#!/usr/bin/env python3
"""Everything one does with a checkout, from nothing but Python: ``python3 make.py demo``, ``python3 make.py test``, ...

Each command makes what it needs first: a virtual environment in ``.venv`` with the project installed in it.
Only the standard library is used here.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = Path(os.environ.get("SOFIA_DESK_VENV", ROOT / ".venv"))
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
SOURCES = ("engine", "viewers", "app", "tests", "tools", "packaging", "docs", "make.py")
VERSIONS = ((3, 11), (3, 14))
ALL = "gui,test,docs"
TEST_LIMIT = 75 * 60.0
"""Seconds for all tests; single ones that hang are ended by ``tests/plugins/hang_guard.py`` long before."""
SCREEN = (
    "libgl1", "libegl1", "libxkbcommon0", "libfontconfig1", "libdbus-1-3", "libglib2.0-0", "libxcb-cursor0",
    "libxcb-icccm4", "libxcb-keysyms1", "libxcb-shape0", "libxkbcommon-x11-0", "xvfb", "xauth",
)  # fmt: skip
"""Debian packages that the windows, and tests of them on a virtual screen, need."""
PRESSING = ("xdotool", "imagemagick")
"""Those that press keys in windows of the frozen program and take pictures of them."""
BUILDING = ("binutils", "makeself")
"""Those that build it and its installers."""


def main() -> int:
    """Run the command that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {
        "demo": (demo, "simulate and reduce a demonstration observation"),
        "test": (test, "run the tests (further words go to pytest)"),
        "check": (check, "run linters, type check and import rules, and build the documentation"),
        "docs": (docs, "build the documentation into docs/_build/html"),
        "bench": (bench, "measure speed and memory; see tests/benchmarks/README.md"),
        "setup": (setup, "make the virtual environment only"),
        "package": (
            package,
            "build the program that needs no Python, and its installers",
        ),
        "smoke": (smoke, "test the program that 'package' built, in an empty home and without network"),
    }
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, text) in commands.items():
        subparsers.add_parser(name, help=text, add_help=False)
    arguments, rest = parser.parse_known_args()
    return commands[arguments.command][0](rest)


def demo(rest: list[str]) -> int:
    """Simulate and reduce a demonstration observation."""
    prepare("")
    return run(BIN / "sofia-desk", "demo", *(rest or ["demo"]))


def test(rest: list[str]) -> int:
    """Run the tests."""
    prepare(ALL)
    prepare_system()
    if run(BIN / "sofia-desk", "data", "fetch"):
        print("Calibration files cannot be fetched: tests that need them are skipped.", flush=True)
    alone = any(word.startswith(("-n", "-p", "--pdb")) for word in rest)
    workers = [] if alone else ["-n", str(min(os.cpu_count() or 1, 4))]
    # some tests measure times, or drive real windows: one that fails is run once more, and is reported as such
    again = ["--reruns", "1", "-rfER"]
    return run(BIN / "python", "-m", "pytest", "-m", "not slow", *again, *workers, *rest, limit=TEST_LIMIT)


def check(_rest: list[str]) -> int:
    """Run linters, type check, import rules; build the documentation."""
    prepare(ALL)
    present = [name for name in SOURCES if (ROOT / name).exists()]
    failed = [
        run(BIN / "ruff", "check", "--output-format=concise", *present),
        run(BIN / "ruff", "format", "--check", *present),
        run(BIN / "mypy"),
        run(BIN / "lint-imports"),
        docs([]),
    ]
    return int(any(failed))


def docs(_rest: list[str]) -> int:
    """Build the documentation; a warning is an error."""
    prepare(ALL)
    return run(BIN / "sphinx-build", "-q", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


def bench(rest: list[str]) -> int:
    """Measure speed and memory."""
    prepare(ALL)
    return run(BIN / "python", "tests/benchmarks/measure.py", *rest)


def smoke(rest: list[str]) -> int:
    """Test the frozen program."""
    prepare(ALL)
    prepare_system(SCREEN + PRESSING)
    return run(BIN / "python", "-m", "pytest", "-m", "frozen", "-rs", "tests/packaging", *rest)


def package(rest: list[str]) -> int:
    """Build the frozen program and the installers of this platform."""
    library = f"libpython{sys.version_info[0]}.{sys.version_info[1]}"
    prepare_system(SCREEN + BUILDING + ((library,) if sys.executable.startswith("/usr/bin/") else ()))
    return run(sys.executable, "packaging/build.py", *rest)


def setup(_rest: list[str]) -> int:
    """Make the virtual environment."""
    prepare(ALL)
    print(f"Ready: {BIN / 'sofia-desk'}")
    return 0


def prepare(extras: str) -> None:
    """Make the virtual environment and install the project in it, unless that was done for this pyproject.toml."""
    version = sys.version_info[:2]
    if not VERSIONS[0] <= version < VERSIONS[1]:
        sys.exit(f"SOFIA Desk needs Python 3.11, 3.12 or 3.13; this is {version[0]}.{version[1]}.")
    stamp = ENVIRONMENT / f".ready-{extras.replace(',', '-') or 'base'}"
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    make_environment()
    print("Installing the project (some minutes the first time) ...", flush=True)
    target = f"{ROOT}[{extras}]" if extras else str(ROOT)
    if run(BIN / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", target):
        sys.exit("The installation failed; the lines above say why.")
    if "gui" in extras:
        print("Compiling the kernels (half a minute, once) ...", flush=True)
        run(BIN / "sofia-desk", "prepare-kernels")
    stamp.write_text(wanted)


def make_environment() -> None:
    """Make the virtual environment; on Debian the package that this needs is installed where that is allowed."""
    if (BIN / "python").exists() or (BIN / "python.exe").exists():
        return
    if subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode:
        install_packages(["python3-venv"], "Python's venv module is missing")
    if run(sys.executable, "-m", "venv", str(ENVIRONMENT)):
        sys.exit(f"The virtual environment {ENVIRONMENT} cannot be made; the lines above say why.")


def prepare_system(wanted: tuple[str, ...] = SCREEN) -> None:
    """Install the packages that windows, or other work, need on Debian; other systems bring them."""
    if not shutil.which("dpkg-query"):
        return
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n", *wanted],
        capture_output=True,
        text=True,
        check=False,
    )
    present = {line.split()[0] for line in asked.stdout.splitlines() if line.endswith(" installed")}
    missing = [name for name in wanted if name not in present]
    if missing:
        install_packages(missing, "Packages that are needed for this are missing")


def install_packages(names: list[str], why: str) -> None:
    """Install Debian packages, or say how."""
    command = f"apt-get install --yes --no-install-recommends {' '.join(names)}"
    if os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get"):
        if run("apt-get", "update", "-qq") == 0 and run(*command.split()) == 0:
            return
        sys.exit(f"'{command}' failed; the lines above say why.")
    sys.exit(f"{why}. Type this, then run the command again:\n  sudo {command}")


def run(*command: str | Path, limit: float | None = None) -> int:
    """Run a command in the root of the checkout, for so many seconds at most; return its exit code."""
    words = [str(word) for word in command]
    try:
        return subprocess.run(words, cwd=ROOT, check=False, timeout=limit).returncode
    except subprocess.TimeoutExpired:
        print(f"Ended: {' '.join(words)} took more than {(limit or 0) / 60:.0f} minutes.", flush=True)
        return 124
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
