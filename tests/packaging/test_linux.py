"""The installers for Linux, made of a small program: package, archive, AppImage, menu entry, file types."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINUX = ROOT / "packaging/linux"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="for Linux")


def run(*words, **options):
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=120, check=False, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
def test_that_the_package_has_program_menu_entry_types_icon_and_licences(load, small_program, tmp_path):
    made = load("installers").make_debian_package(small_program, "1.2.3", tmp_path / "out", ROOT)
    run("dpkg-deb", "--extract", made, tmp_path / "tree")
    usr = tmp_path / "tree/usr"
    assert (usr / "bin/sofia-desk").resolve() == (usr / "lib/sofia-desk/sofia-desk").resolve()
    assert run(usr / "bin/sofia-desk", "a", "b") == "started with 2 files\n"
    for name in ("applications/sofia-desk.desktop", "mime/packages/sofia-desk-mime.xml",
                 "icons/hicolor/scalable/apps/sofia-desk.svg", "doc/sofia-desk/copyright"):  # fmt: skip
        assert (usr / "share" / name).stat().st_size > 0
    control = run("dpkg-deb", "--field", made)
    assert "Version: 1.2.3" in control
    assert not [
        line for line in run("dpkg-deb", "--ctrl-tarfile", made, encoding="latin-1").splitlines() if "rm " in line
    ]


def test_that_the_c_library_is_that_of_the_newest_symbol(load, tmp_path):
    installers = load("installers")
    (tmp_path / "a.so").write_bytes(b"\x7fELF..\0GLIBC_2.17\0GLIBC_2.34\0puts\0")
    (tmp_path / "b.so.1").write_bytes(b"\x7fELF..\0GLIBC_2.2.5\0GLIBC_2.35\0")
    (tmp_path / "c.so.1").write_bytes(b"text\0GLIBC_2.99\0")
    assert installers.find_c_library(tmp_path) == "2.35"


@pytest.mark.skipif(shutil.which("makeself") is None, reason="makeself is not installed")
def test_that_the_archive_installs_upgrades_and_removes_without_root(load, small_program, tmp_path):
    installers = load("installers")
    home, prefix = tmp_path / "home", tmp_path / "home/.local"
    session = home / ".local/share/sofia-desk/sessions/one/session.json"
    session.parent.mkdir(parents=True)
    session.write_text("{}")
    surroundings = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    first = installers.make_archive(small_program, "1.0", tmp_path / "out", ROOT)
    run("sh", first, "--quiet", env=surroundings, cwd=tmp_path)
    assert run(prefix / "bin/sofia-desk") == "started with 0 files\n"
    entry = (prefix / "share/applications/sofia-desk.desktop").read_text()
    assert f'Exec="{prefix}/lib/sofia-desk/sofia-desk" %F' in entry
    (small_program / "_internal/of-old-version.txt").unlink()
    second = installers.make_archive(small_program, "2.0", tmp_path / "out", ROOT)
    run("sh", second, "--quiet", env=surroundings, cwd=tmp_path)
    assert not (prefix / "lib/sofia-desk/_internal/of-old-version.txt").exists()
    assert run(prefix / "bin/sofia-desk") == "started with 0 files\n"
    run("sh", second, "--quiet", "--", "--uninstall", env=surroundings, cwd=tmp_path)
    left = {
        str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir() and "mime" not in path.parts
    }
    assert left - {"share/applications/mimeinfo.cache"} == {"share/sofia-desk/sessions/one/session.json"}


@pytest.mark.skipif(shutil.which("mksquashfs") is None, reason="mksquashfs is not installed")
def test_that_an_appimage_is_the_runtime_with_the_program_behind_it(load, small_program, tmp_path):
    runtime = tmp_path / "runtime"
    runtime.write_bytes(b"\x7fELF\x02\x01\x01\x00AI\x02" + bytes(5000))
    made = load("installers").make_app_image(small_program, "1.2.3", tmp_path / "out", ROOT, runtime)
    assert made.read_bytes()[:5011] == runtime.read_bytes()
    assert made.stat().st_mode & 0o111
    run("unsquashfs", "-o", runtime.stat().st_size, "-d", tmp_path / "tree", made)
    assert run(tmp_path / "tree/AppRun", "a") == "started with 1 files\n"
    assert (tmp_path / "tree/sofia-desk.desktop").exists()
    assert (tmp_path / "tree/.DirIcon").read_text().lstrip().startswith("<")


def read_desktop_entry():
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str
    parser.read(LINUX / "sofia-desk.desktop", encoding="utf-8")
    return parser


def test_that_the_menu_entry_offers_all_viewers_and_takes_fits_files():
    from sofia_engine.cli import _VIEWERS

    entry = read_desktop_entry()
    main = entry["Desktop Entry"]
    actions = {entry[f"Desktop Action {name}"]["Exec"] for name in main["Actions"].strip(";").split(";")}
    assert actions == {f"sofia-desk {name} %F" for name in _VIEWERS}
    types = ET.parse(LINUX / "sofia-desk-mime.xml").getroot()
    space = {"m": "http://www.freedesktop.org/standards/shared-mime-info"}
    (kind,) = types.findall("m:mime-type", space)
    assert kind.get("type") in main["MimeType"].split(";")
    globs = {item.get("pattern") for item in kind.findall("m:glob", space)}
    assert globs == {"*.fits", "*.fit", "*.fts", "*.fits.gz"}


@pytest.mark.skipif(shutil.which("desktop-file-validate") is None, reason="desktop-file-utils is not installed")
def test_that_the_menu_entry_is_valid():
    assert "error" not in run("desktop-file-validate", LINUX / "sofia-desk.desktop")


def test_that_licences_of_system_libraries_are_found_with_the_texts_they_name(load, tmp_path):
    if shutil.which("dpkg-query") is None:
        pytest.skip("needs dpkg")
    libraries = load("system_libraries")
    known = next(Path("/usr/lib").glob("*/libz.so.1"), None)
    if known is None or not Path("/usr/share/doc/zlib1g/copyright").exists():
        pytest.skip("zlib is not installed with its papers")
    listing = tmp_path / "sofia-desk/COLLECT-00.toc"
    listing.parent.mkdir()
    entries = [("libz.so.1", str(known), "BINARY"), ("x.so", "/opt/environment/x.so", "BINARY")]
    listing.write_text(repr((entries,)))
    (found,) = libraries.find_system_libraries(tmp_path)
    packages = libraries.find_packages([found])
    assert packages == {"zlib1g": [found.name]}
    assert "Jean-loup Gailly" in libraries.describe_packages(packages)[0]
