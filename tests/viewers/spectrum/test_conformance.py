"""The page on what the spectral viewer does is true as far as names go: tests and modules that it names exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/developer/spectral-viewer-conformance.md"
FOLDERS = (ROOT / "viewers/sofia_viewers/spectrum", ROOT / "viewers/sofia_viewers", ROOT / "app/sofia_app/views")


def read_rows():
    """Return the cells of all rows of the tables of requirements: what, state, where, test."""
    lines = PAGE.read_text(encoding="utf-8").split("\n## Formats")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in rows if row[0] not in ("Row", "Of V5", "Of V6")]


def list_tests():
    """Return the names of all tests of viewers and program, without the words that all begin with."""
    files = [*ROOT.glob("tests/viewers/**/test_*.py"), *ROOT.glob("tests/app/test_*.py")]
    return {name for file in files for name in re.findall(r"def test_that_(\w+)", file.read_text(encoding="utf-8"))}


def test_that_every_test_that_is_named_exists():
    rows, known = read_rows(), list_tests()
    assert len(rows) >= 30
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row[-1]) if not name.startswith("test_")]
    assert len(named) >= 50
    assert [name for name in named if name not in known] == []


def test_that_every_module_that_is_named_exists():
    names = {name for row in read_rows() for name in re.findall(r"`([\w/]+)(?:\.py)?`", row[2])}
    missing = [n for n in names if not any((place / f"{n}.py").exists() for place in (*FOLDERS, ROOT))]
    assert missing == []
