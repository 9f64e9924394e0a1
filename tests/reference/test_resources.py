"""Where the program finds its own data files."""

from pathlib import Path

import pytest

from sofia_engine import resources


def test_that_checkout_has_its_resources_beside_the_engine() -> None:
    assert resources.resource_path("reference", "forcast.json").is_file()


def test_that_installed_package_has_its_resources_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_INSTALLED", tmp_path)
    assert resources.resource_path("reference", "a.json") == tmp_path / "reference/a.json"
