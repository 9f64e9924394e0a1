"""The entrance of the frozen program: what it prepares before anything else."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(name):
    path = ROOT / "packaging" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"packaged_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


@pytest.fixture
def program():
    return load("program")


@pytest.fixture
def bundle(tmp_path):
    content = tmp_path / "_internal"
    (content / "seed/kernels/sofia_engine.numerics.resampling").mkdir(parents=True)
    (content / "seed/kernels/sofia_engine.numerics.resampling/regress.nbi").write_bytes(b"index")
    (content / "seed/matplotlib").mkdir()
    (content / "seed/matplotlib/fontlist.json").write_text("{}")
    return content


def test_that_prepared_files_are_copied_once_to_where_the_libraries_look(program, bundle, tmp_path, monkeypatch):
    for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    folder = tmp_path / "user/prepared/build"
    folder.parent.mkdir(parents=True)
    program.use_prepared_files(bundle, folder)
    (kernels,) = (folder / "kernels").iterdir()
    assert kernels.name == program.name_kernel_folder(bundle, "sofia_engine.numerics.resampling")
    assert (kernels / "regress.nbi").read_bytes() == b"index"
    assert Path(os.environ["NUMBA_CACHE_DIR"]) == folder / "kernels"
    assert (Path(os.environ["MPLCONFIGDIR"]) / "fontlist.json").exists()
    (kernels / "regress.nbi").write_bytes(b"of this machine")
    program.use_prepared_files(bundle, folder)
    assert (kernels / "regress.nbi").read_bytes() == b"of this machine"
    assert [path.name for path in folder.parent.iterdir()] == ["build"]


def test_that_the_folder_of_kernels_is_the_one_numba_will_look_into(program, bundle):
    from numba.core.caching import UserProvidedCacheLocator

    source = bundle / "sofia_engine/numerics/resampling/_kernel.py"
    wanted = UserProvidedCacheLocator.get_suitable_cache_subpath(str(source))
    assert program.name_kernel_folder(bundle, "sofia_engine.numerics.resampling") == wanted


def test_that_a_user_folder_that_cannot_be_written_leaves_nothing_behind(program, bundle, tmp_path, monkeypatch):
    for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, "here")
    (tmp_path / "user").write_text("a file where a folder should be")
    with pytest.raises(OSError, match="user"):
        program.use_prepared_files(bundle, tmp_path / "user/prepared/build")


def test_that_kernels_are_named_alike_in_all_places():
    build, spec = load("build"), (ROOT / "packaging/sofia-desk.spec").read_text()
    for package in build.KERNELS:
        assert f'"{package}"' in spec
    marked = {
        ".".join(path.relative_to(ROOT / top).parent.parts)
        for top in ("engine", "viewers", "app")
        for path in (ROOT / top).rglob("*.py")
        if "cache=True" in path.read_text(encoding="utf-8")
    }
    assert marked == set(build.KERNELS)


def test_that_the_menu_entry_offers_all_viewers():
    from sofia_engine.cli import _VIEWERS

    entry = (ROOT / "packaging/linux/sofia-desk.desktop").read_text()
    assert all(f"Exec=sofia-desk {name} %F" in entry for name in _VIEWERS)


def test_that_the_control_file_names_version_and_needs():
    control = load("installers").describe_package("1.2.3", 1000)
    fields = dict(line.split(": ", 1) for line in control.splitlines() if not line.startswith(" "))
    assert fields["Version"] == "1.2.3"
    assert fields["Installed-Size"] == "1000"
    assert "libegl1" in fields["Depends"]
