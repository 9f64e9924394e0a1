"""The table of what the program has is true as far as names go: its tests exist, its sums are right."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "developer" / "desktop-conformance.md"


def read_parts() -> dict[str, list[list[str]]]:
    """Return the rows of each part of the page that has a column of tests."""
    parts: dict[str, list[list[str]]] = {}
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:1] == "|"]
        parts[part.partition("\n")[0]] = [row for row in rows[2:] if len(row) == 4]
    return parts


def test_that_every_test_that_is_named_exists() -> None:
    rows = [row for part in read_parts().values() for row in part]
    assert len(rows) > 70
    for row in rows:
        file, _, name = row[3].strip("`").partition("::")
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"def test_that_{name}\b", source), row[3]


def test_that_the_sums_are_right() -> None:
    sums = re.findall(
        r"^\| ([A-Z][^|]+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    counted = {
        part: tuple(sum(row[1].startswith(word) for row in rows) for word in ("yes", "partly", "missing"))
        for part, rows in read_parts().items()
    }
    assert {part: tuple(map(int, numbers)) for part, *numbers in sums} == counted
    for part, rows in read_parts().items():
        assert sum(counted[part]) == len(rows), part
