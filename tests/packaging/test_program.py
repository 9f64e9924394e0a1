"""The entrance of the frozen program: what it prepares before anything else."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def program(load):
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


def test_that_kernels_are_named_alike_in_all_places(load):
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


def test_that_the_control_file_names_version_and_needs(load):
    control = load("installers").describe_package("1.2.3", 1000, "2.36")
    fields = dict(line.split(": ", 1) for line in control.splitlines() if not line.startswith(" "))
    assert fields["Version"] == "1.2.3"
    assert fields["Installed-Size"] == "1000"
    assert fields["Depends"].startswith("libc6 (>= 2.36), ")
    assert "libegl1" in fields["Depends"]


def test_that_without_a_console_words_go_nowhere(program, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    program.give_streams()
    streams = sys.stdout, sys.stderr
    for stream in streams:
        stream.write("said")
        stream.close()


def test_that_certificates_of_the_system_are_used_unless_others_are_named(program, tmp_path, monkeypatch):
    known = tmp_path / "certificates"
    known.write_text("")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(program, "CERTIFICATES", (str(tmp_path / "absent"), str(known)))
    monkeypatch.setenv("SSL_CERT_FILE", "mine")
    program.find_certificates()
    assert os.environ["SSL_CERT_FILE"] == "mine"
    monkeypatch.delenv("SSL_CERT_FILE")
    program.find_certificates()
    assert os.environ["SSL_CERT_FILE"] == str(known)


def test_that_a_licence_without_text_ends_the_build(load):
    licences = load("licences")
    known = {"name": "PySide6_Essentials", "version": "6", "licence": "LGPL-3.0-only OR GPL-2.0-only", "files": []}
    text = licences._describe(known)
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in text
    assert "can be replaced" in text
    assert licences._find_texts(known | {"licence": "Apache-2.0"}) == []
