"""Modules of the folder packaging, which is no package."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def load(monkeypatch):
    """Load a module of the folder packaging by its name."""
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))

    def run(name):
        spec = importlib.util.spec_from_file_location(f"packaged_{name}", ROOT / "packaging" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return run


@pytest.fixture
def small_program(tmp_path):
    """Folder that is like that of the program, but small."""
    folder = tmp_path / "sofia-desk"
    (folder / "_internal").mkdir(parents=True)
    (folder / "_internal/LICENSES.txt").write_text("licences")
    (folder / "_internal/of-old-version.txt").write_text("old")
    program = folder / "sofia-desk"
    program.write_text("#!/bin/sh\necho started with $# files\n")
    program.chmod(0o755)
    return folder
