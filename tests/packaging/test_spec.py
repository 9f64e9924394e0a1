"""The description of the bundle, carried out with stand-ins for PyInstaller as on each platform."""

import plistlib
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "packaging/sofia-desk.spec"


class Recorder:
    """Stands for the classes of PyInstaller: keeps what each was called with."""

    def __init__(self):
        self.calls = {}

    def of(self, name, **parts):
        def call(*words, **values):
            self.calls.setdefault(name, []).append((words, values))
            return SimpleNamespace(**parts)

        return call


@pytest.fixture
def carry_out(monkeypatch, tmp_path):
    library = tmp_path / "libneeded.so"
    library.write_bytes(b"")
    binaries = [
        ("PySide6/Qt/lib/libQt6Core.so.6", str(library), "BINARY"),
        ("libQt6Core.so.6", "PySide6/Qt/lib/libQt6Core.so.6", "SYMLINK"),
        ("PySide6/Qt/plugins/platformthemes/libqgtk3.so", str(tmp_path / "gtk.so"), "BINARY"),
        ("libQt6Quick.so.6", str(tmp_path / "quick.so"), "BINARY"),
        ("libwanted.so.1", "/usr/lib/x86_64-linux-gnu/libwanted-by-test.so.1", "BINARY"),
        ("libgtk.so.1", "/usr/lib/x86_64-linux-gnu/libunwanted-by-test.so.1", "BINARY"),
    ]
    needs = {str(library): [("libwanted.so.1", "/usr/lib/x86_64-linux-gnu/libwanted-by-test.so.1")]}
    hooks = types.ModuleType("PyInstaller.utils.hooks")
    hooks.collect_data_files = lambda package, **_: [(f"/{package}/data.txt", package)]
    hooks.collect_submodules = lambda package, **_: [package]
    hooks.copy_metadata = lambda name: [(f"/{name}.dist-info", f"{name}.dist-info")]
    depend = types.ModuleType("PyInstaller.depend.bindepend")
    depend.get_imports = lambda path: needs.get(path, [])
    for name in ("PyInstaller", "PyInstaller.utils", "PyInstaller.depend"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, hooks.__name__, hooks)
    monkeypatch.setitem(sys.modules, depend.__name__, depend)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for key, value in {"ROOT": str(ROOT), "VERSION": "1.2.3", "ICON": "/icon"}.items():
        monkeypatch.setenv(f"SOFIA_DESK_{key}", value)

    def run(platform):
        monkeypatch.setattr(sys, "platform", platform)
        recorder = Recorder()
        analysis = {
            "binaries": list(binaries),
            "datas": [],
            "pure": [],
            "scripts": [("program", "", ""), ("pyi_rth_mplconfig", "", "")],
        }
        names = {name: recorder.of(name) for name in ("PYZ", "EXE", "COLLECT", "BUNDLE")}
        names["Analysis"] = recorder.of("Analysis", **analysis)
        exec(compile(SPEC.read_text(encoding="utf-8"), str(SPEC), "exec"), names)
        return recorder.calls, names

    return run


def test_that_windows_gets_a_second_program_without_console_for_the_start_menu(carry_out):
    calls, _ = carry_out("win32")
    programs = {values["name"]: values["console"] for _, values in calls["EXE"]}
    assert programs == {"sofia-desk": True, "SOFIA Desk": False}
    assert {values["icon"] for _, values in calls["EXE"]} == {"/icon"}
    assert "BUNDLE" not in calls


def test_that_macos_gets_a_bundle_that_opens_fits_files(carry_out):
    calls, _ = carry_out("darwin")
    ((_, values),) = calls["BUNDLE"]
    assert (values["name"], values["version"], values["icon"]) == ("SOFIA Desk.app", "1.2.3", "/icon")
    information = plistlib.loads(plistlib.dumps(values["info_plist"]))
    (kind,) = information["CFBundleDocumentTypes"]
    assert set(kind["CFBundleTypeExtensions"]) == {"fits", "fit", "fts"}
    assert kind["CFBundleTypeRole"] == "Viewer"
    ((_, program),) = calls["EXE"]
    assert program["console"] is False


def test_that_linux_gets_one_program_and_only_libraries_that_are_needed(carry_out):
    calls, names = carry_out("linux")
    ((_, values),) = calls["EXE"]
    assert (values["name"], values["console"], values["icon"]) == ("sofia-desk", True, None)
    kept = {entry[0] for entry in names["analysis"].binaries}
    assert kept == {"PySide6/Qt/lib/libQt6Core.so.6", "libQt6Core.so.6", "libwanted.so.1"}


@pytest.mark.parametrize("platform", ["linux", "win32", "darwin"])
def test_that_what_glue_is_found_by_is_in_the_bundle(carry_out, platform):
    calls, names = carry_out(platform)
    ((_, values),) = calls["Analysis"]
    assert {"glue-core.dist-info", "glue-qt.dist-info", "echo.dist-info"} <= {target for _, target in values["datas"]}
    assert {"glue", "glue_qt", "echo"} <= set(values["hiddenimports"])
    assert (ROOT / "packaging/glue_hook.py").samefile(values["runtime_hooks"][0])
    assert not {"IPython", "ipykernel", "qtconsole", "pandas", "shapely"} & set(values["excludes"])
    assert [entry[0] for entry in names["analysis"].scripts] == ["program"]
    places = {Path(source).name: target for source, target in values["datas"]}
    assert places["install.md"] == str(Path("sofia_engine/_manual"))
    assert places["LICENSE"] == "."


def test_that_what_specutils_and_asdf_are_found_by_is_in_the_bundle(carry_out):
    calls, names = carry_out("linux")
    ((_, values),) = calls["Analysis"]
    targets = {target for _, target in values["datas"]}
    parts = ("specutils", "gwcs", "ndcube", "asdf", "asdf-astropy", "asdf-standard", "asdf-transform-schemas")
    assert {f"{part}.dist-info" for part in parts} <= targets
    assert {part.replace("-", "_") for part in parts} <= targets & set(values["hiddenimports"])
    assert values["module_collection_mode"]["specutils.io.default_loaders"] == "py"
    assert names["is_used"]("asdf.extension")
    assert not any(
        names["is_used"](name) for name in ("specutils.tests.spectral_examples", "asdf._tests", "ndcube.conftest")
    )


def test_that_readers_of_specutils_are_compiled_where_they_are_listed(load, tmp_path):
    import specutils.io.default_loaders as readers

    build = load("build")
    bundle = build.Bundle(tmp_path)
    for package in (*build.KERNELS, build.READERS):
        bundle.content.joinpath(*package.split(".")).mkdir(parents=True)
    place = bundle.content.joinpath(*build.READERS.split("."))
    (place / "apogee.py").write_text("ready = True\n")
    build.compile_sources(bundle)
    assert list((place / "__pycache__").glob("apogee.*.pyc"))
    # its package must still look for them so, else the sources are in the bundle for nothing
    assert "apogee" in readers.__all__
