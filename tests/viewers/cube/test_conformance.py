"""The table of what the explorer does is true as far as names go: its tests exist, its sums are right."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/developer/cube-viewer-conformance.md"
WORDS = ("yes", "partly", "missing")


def read_parts() -> dict[str, list[list[str]]]:
    """Return the rows of each part of the page."""
    parts: dict[str, list[list[str]]] = {}
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:1] == "|"]
        parts[part.partition("\n")[0]] = rows[2:]
    return parts


def test_that_every_row_names_a_test_that_exists():
    rows = [row for part in read_parts().values() for row in part]
    assert len(rows) >= 28
    for row in rows:
        assert len(row) == 4, row
        file, _, name = row[3].strip("`").partition("::")
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"def test_that_{name}\b", source), row[3]


def test_that_every_module_that_is_named_exists():
    folder = ROOT / "viewers/sofia_viewers"
    for part in read_parts().values():
        for row in part:
            for name in re.findall(r"`([\w.]+)`", row[2]):
                places = (folder / "cube" / f"{name}.py", folder / f"{name.replace('.', '/')}.py", ROOT / "app" / name)
                assert any(place.exists() for place in places), name


def test_that_the_sums_are_right():
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"^\| ([A-Z][^|]+) \| (\d+) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    sums = {part: numbers for part, *numbers in found}
    for part, rows in read_parts().items():
        counted = [str(sum(row[1].startswith(word) for row in rows)) for word in WORDS]
        assert sums[part] == counted
        assert sum(map(int, counted)) == len(rows)
