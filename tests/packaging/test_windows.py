"""The Windows installer: what its script says, and, where Inno Setup can be run, what it does.

SOFIA_DESK_WINE names a command that runs Windows programs, SOFIA_DESK_ISCC the compiler ISCC.exe of Inno Setup 6,
SOFIA_DESK_WINE_FOLDER a folder that both sides see at the same path. The installers' program is a small one there: the
script is tested, not the program.
"""

import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from sofia_engine.cli import _VIEWERS

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "packaging/windows/sofia-desk.iss"
WINE, COMPILER = os.environ.get("SOFIA_DESK_WINE", ""), os.environ.get("SOFIA_DESK_ISCC", "")
ENTRIES = {"SOFIA Desk": "", "Image viewer": "image", "Spectrum viewer": "spectrum", "Cube explorer": "cube",
           "Quality analysis": "quality"}  # fmt: skip


def read_sections():
    """Return the lines of each section of the script, without comments and lines of the preprocessor."""
    sections, current = {}, []
    for line in SCRIPT.read_text(encoding="utf-8").splitlines():
        head = re.fullmatch(r"\[(\w+)\]", line.strip())
        if head:
            current = sections.setdefault(head.group(1), [])
        elif line.strip() and not line.startswith((";", "#")):
            current.append(line)
    return sections


def read_entries(section):
    """Return the entries of a section as dictionaries."""
    return [
        {name: value.strip('"') for name, value in re.findall(r'(\w+): ("(?:[^"]|"")*"|[^;]+)', line)}
        for line in read_sections()[section]
    ]


def test_that_the_script_has_the_sections_of_an_installer():
    sections = read_sections()
    assert {"Setup", "Tasks", "InstallDelete", "Files", "Icons", "Registry", "Run", "Code"} <= sections.keys()
    setup = dict(line.split("=", 1) for line in sections["Setup"])
    assert {"AppId", "AppName", "AppVersion", "DefaultDirName", "OutputDir", "LicenseFile"} <= setup.keys()
    assert setup["ChangesAssociations"] == "yes"
    assert setup["LicenseFile"].removeprefix("{#Folder}\\_internal\\") == "LICENSE"
    assert '(str(ROOT / "LICENSE"), ".")' in (ROOT / "packaging/sofia-desk.spec").read_text()
    assert setup["PrivilegesRequired"] == "lowest"


def test_that_the_start_menu_has_the_program_and_every_viewer():
    group = [entry for entry in read_entries("Icons") if entry["Name"].startswith("{group}")]
    commands = {
        entry["Name"].split("\\")[1].replace("{#Name}", "SOFIA Desk"): entry.get("Parameters", "") for entry in group
    }
    assert commands == ENTRIES
    assert set(commands.values()) - {""} == set(_VIEWERS)
    assert {entry["Filename"] for entry in group} == {"{app}\\SOFIA Desk.exe"}
    assert '"SOFIA Desk"' in (ROOT / "packaging/sofia-desk.spec").read_text()


def test_that_tasks_named_anywhere_are_declared():
    declared = {entry["Name"] for entry in read_entries("Tasks")}
    used = set(re.findall(r"Tasks: (\w+)", SCRIPT.read_text()))
    assert used == declared


def test_that_nothing_of_the_user_is_deleted():
    deleted = [entry["Name"] for entry in read_entries("InstallDelete")]
    assert deleted == ["{app}\\_internal"]
    assert "UninstallDelete" not in read_sections()


@pytest.fixture(scope="module")
def windows():
    """Folder in which Windows programs run, seen by both sides."""
    if not (WINE and COMPILER):
        pytest.skip("needs SOFIA_DESK_WINE and SOFIA_DESK_ISCC")
    folder = Path(os.environ["SOFIA_DESK_WINE_FOLDER"]) / f"try-{os.getpid()}"
    (folder / "prefix").mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def call(windows):
    def run(*words):
        environment = os.environ | {"WINEPREFIX": str(windows / "prefix")}
        done = subprocess.run(
            [*shlex.split(WINE), *words], env=environment, cwd=windows, capture_output=True, timeout=280, check=False
        )
        assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
        return done

    return run


def as_windows(path):
    return "Z:" + str(path).replace("/", "\\")


@pytest.fixture(scope="module")
def make_installer(windows, call):
    def make(version, files):
        folder = windows / f"program-{version}"
        (folder / "_internal").mkdir(parents=True)
        for name in ("SOFIA Desk.exe", "sofia-desk.exe"):
            shutil.copy(Path(COMPILER).with_name("islzma32.exe"), folder / name)
        shutil.copy(ROOT / "LICENSE", folder / "_internal")
        shutil.copy(SCRIPT, windows)
        for name in files:
            (folder / "_internal" / name).write_text(version)
        values = {"Version": version, "Folder": as_windows(folder), "Output": as_windows(windows), "Architectures": ""}
        call(as_windows(COMPILER), "/Q", *(f"/D{key}={value}" for key, value in values.items()),
             as_windows(windows / SCRIPT.name))  # fmt: skip
        return windows / f"SOFIA-Desk-{version}-Windows.exe"

    return make


def wait_until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_that_install_upgrade_and_removal_keep_what_is_the_users(windows, call, make_installer):
    # wine has no folder for programs of one user, so that the installer puts it into that of all
    quiet = ("/VERYSILENT", "/ALLUSERS", "/SUPPRESSMSGBOXES", "/NORESTART", "/TASKS=associate,path,desktopicon")
    drive = windows / "prefix/drive_c"

    def read_registry():
        return "".join((windows / f"prefix/{name}.reg").read_text(errors="replace") for name in ("system", "user"))

    call(as_windows(make_installer("1.0.0", ["old.dll", "both.dll"])), *quiet)
    wait_until(lambda: list(drive.rglob("SOFIA Desk.exe")))
    (program,) = (path.parent for path in drive.rglob("SOFIA Desk.exe"))
    links = {path.stem: path for path in drive.rglob("Start Menu/Programs/SOFIA Desk/*.lnk")}
    assert ENTRIES.keys() <= links.keys()
    for name, word in ENTRIES.items():
        assert word.encode("utf-16-le") in links[name].read_bytes()
    assert [path for path in drive.rglob("SOFIA Desk.lnk") if path.parent.name in {"Desktop", "Public"}]
    wait_until(lambda: "SofiaDesk.fits" in read_registry())
    keys = read_registry()
    for suffix in ("fits", "fit", "fts"):
        assert rf"[Software\\Classes\\.{suffix}\\OpenWithProgids]" in keys
    assert r'SOFIA Desk.exe\" \"%1\""' in keys
    data = next(drive.glob("users/*/AppData/Local")) / "sofia-desk/sessions/one"
    data.mkdir(parents=True)
    (data / "session.json").write_text("{}")
    call(as_windows(make_installer("2.0.0", ["new.dll", "both.dll"])), *quiet)
    wait_until(lambda: (program / "_internal/new.dll").exists())
    assert {path.name for path in (program / "_internal").iterdir()} == {"LICENSE", "new.dll", "both.dll"}
    assert (program / "_internal/both.dll").read_text() == "2.0.0"
    paths = next(line for line in read_registry().splitlines() if line.startswith('"Path"=') and "SOFIA" in line)
    assert paths.count("SOFIA Desk") == 1
    assert (data / "session.json").exists()
    call(as_windows(program / "unins000.exe"), "/VERYSILENT", "/SUPPRESSMSGBOXES", "/NORESTART")
    wait_until(lambda: not program.exists() or not list(program.rglob("*.exe")))
    assert not list(drive.rglob("Start Menu/Programs/SOFIA Desk/*.lnk"))
    wait_until(lambda: "SofiaDesk.fits" not in read_registry())
    assert (data / "session.json").exists()
