"""Installers made from the folder of the program: one function a platform."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEPENDS = "libgl1, libegl1, fontconfig-config, fonts-dejavu-core"
"""Debian packages that the bundle does not bring with it (measured on a bare system), beside the C library."""

APPIMAGE_RUNTIME = "SOFIA_DESK_APPIMAGE_RUNTIME"
"""Environment variable that names the runtime of AppImages (type 2); it is published on GitHub alone."""


def make(folder: Path, version: str, output: Path, root: Path) -> list[Path]:
    """Make the installers of this platform; return the files."""
    output.mkdir(parents=True, exist_ok=True)
    if sys.platform == "darwin":
        return [make_disk_image(folder, version, output)]
    if os.name == "nt":
        return [make_setup_program(folder, version, output)]
    made = [make_debian_package(folder, version, output, root), make_archive(folder, version, output, root)]
    runtime = os.environ.get(APPIMAGE_RUNTIME)
    return [*made, make_app_image(folder, version, output, root, Path(runtime))] if runtime else made


def make_debian_package(folder: Path, version: str, output: Path, root: Path) -> Path:
    """Make a .deb that installs the program below /usr/lib, with menu entries and file types."""
    tree = output / "deb-tree"
    shutil.rmtree(tree, ignore_errors=True)
    program = tree / "usr/lib/sofia-desk"
    shutil.copytree(folder, program, symlinks=True)  # times are kept: prepared kernels belong to them
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/sofia-desk").symlink_to("../lib/sofia-desk/sofia-desk")
    for source, target in list_desktop_files(root):
        place = tree / "usr/share" / target
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, place)
    papers = tree / "usr/share/doc/sofia-desk"
    papers.mkdir(parents=True)
    shutil.copy2(folder / "_internal" / "LICENSES.txt", papers / "copyright")
    control = tree / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(
        describe_package(version, measure_kilobytes(tree), find_c_library(program)), encoding="utf-8"
    )
    target = output / f"sofia-desk_{version}_{debian_architecture()}.deb"
    call("dpkg-deb", "--build", "--root-owner-group", "-Zzstd", "-z12", tree, target)
    shutil.rmtree(tree)
    return target


def describe_package(version: str, kilobytes: int, c_library: str) -> str:
    """Content of the control file; the C library is the oldest version that will do."""
    return f"""\
Package: sofia-desk
Version: {version}
Architecture: {debian_architecture()}
Maintainer: SOFIA Desk developers <noreply@example.org>
Installed-Size: {kilobytes}
Depends: libc6 (>= {c_library}), {DEPENDS}
Section: science
Priority: optional
Description: reduction of observations of the airborne observatory SOFIA
 Turns raw data of the far-infrared instruments of SOFIA into calibrated images,
 spectra and cubes, in a window or on the command line, and shows every step.
"""


def find_c_library(folder: Path) -> str:
    """Oldest version of the GNU C library that all programs and libraries in a folder can do with."""
    newest = 0
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and (".so" in path.name or os.access(path, os.X_OK)):
            content = path.read_bytes()
            if content.startswith(b"\x7fELF"):
                newest = max([newest, *map(int, re.findall(rb"\0GLIBC_2\.(\d+)(?=[\0.])", content))])
    return f"2.{newest}"


def list_desktop_files(root: Path) -> list[tuple[Path, str]]:
    """Menu entry, file types and icon, each with its folder below share."""
    return [
        (HERE / "linux" / "sofia-desk.desktop", "applications"),
        (HERE / "linux" / "sofia-desk-mime.xml", "mime/packages"),
        (root / "resources" / "icons" / "sofia-desk.svg", "icons/hicolor/scalable/apps"),
    ]


def debian_architecture() -> str:
    """Debian's name of this machine's architecture."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def make_archive(folder: Path, version: str, output: Path, root: Path) -> Path:
    """Make one file that unpacks and installs the program for one user, without root (makeself)."""
    tree = output / "run-tree"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(folder, tree / "sofia-desk", symlinks=True)
    for source, _ in list_desktop_files(root):
        shutil.copy2(source, tree)
    shutil.copy2(HERE / "linux" / "install.sh", tree)
    target = output / f"SOFIA-Desk-{version}-Linux-{platform.machine()}.run"
    call("makeself", "--quiet", "--gzip", "--complevel", "6", tree, target, f"SOFIA Desk {version}", "./install.sh")
    shutil.rmtree(tree)
    return target


def make_app_image(folder: Path, version: str, output: Path, root: Path, runtime: Path) -> Path:
    """Make a file that is the program, without installing: the runtime, and behind it a file system with the folder."""
    tree = output / "appimage-tree"
    shutil.rmtree(tree, ignore_errors=True)
    program = tree / "usr/lib/sofia-desk"
    shutil.copytree(folder, program, symlinks=True)
    (tree / "AppRun").symlink_to("usr/lib/sofia-desk/sofia-desk")
    for source, _ in list_desktop_files(root):
        shutil.copy2(source, tree)
    (tree / ".DirIcon").symlink_to("sofia-desk.svg")
    packed = output / "appimage.squashfs"
    packed.unlink(missing_ok=True)
    call("mksquashfs", tree, packed, "-comp", "zstd", "-root-owned", "-noappend", "-quiet", "-no-progress")
    target = output / f"SOFIA-Desk-{version}-{platform.machine()}.AppImage"
    with target.open("wb") as whole:
        for part in (runtime, packed):
            with part.open("rb") as stream:
                shutil.copyfileobj(stream, whole)
    target.chmod(0o755)
    shutil.rmtree(tree)
    packed.unlink()
    return target


def make_setup_program(folder: Path, version: str, output: Path) -> Path:
    """Make a Windows installer (Inno Setup)."""
    compiler = shutil.which("iscc") or r"C:\Program Files (x86)\Inno Setup 6\ISCC.exe"
    script = HERE / "windows" / "sofia-desk.iss"
    call(compiler, f"/DVersion={version}", f"/DFolder={folder}", f"/DOutput={output}", script)
    return output / f"SOFIA-Desk-{version}-Windows.exe"


def make_disk_image(folder: Path, version: str, output: Path) -> Path:
    """Make a macOS disk image; signed and notarised where the environment holds the names to do it with."""
    target = output / f"SOFIA-Desk-{version}-macOS-{platform.machine()}.dmg"
    call("sh", HERE / "macos" / "make_disk_image.sh", folder, target)
    return target


def measure_kilobytes(folder: Path) -> int:
    """Size of a folder as Debian counts it."""
    return sum(-(-path.lstat().st_size // 1024) for path in folder.rglob("*") if not path.is_dir())


def call(*command: str | Path) -> None:
    """Run a tool; say which is missing, or which failed."""
    words = [str(word) for word in command]
    if shutil.which(words[0]) is None:
        raise SystemExit(f"'{words[0]}' is not installed; it makes the installer. Or build with --folder-only.")
    code = subprocess.run(words, check=False).returncode
    if code:
        raise SystemExit(f"'{words[0]}' failed with exit code {code}; the lines above say why.")
