"""The script that writes the catalogue."""

import importlib.util
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from sofia_engine.reference import Catalogue, ReferenceRequest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    specification = importlib.util.spec_from_file_location(
        "make_reference_catalogue", ROOT / "tools/make_reference_catalogue.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["make_reference_catalogue"] = module
    specification.loader.exec_module(module)
    return module


DATA = "sofia_redux/calibration/data/flitecam"
MEMBERS = {
    f"{DATA}/caldefault.txt": "# date altcfg1 ...\n"
    "20200101 0 filter_def/filter_def_1.txt . ref_calfctr/b.txt ref_calfctr/b.txt . . .\n"
    "20100101 0 filter_def/filter_def_1.txt . ref_calfctr/a.txt ref_calfctr/b.txt . . .\n"
    "99999999 . . . ref_calfctr/gone.txt ref_calfctr/b.txt . . .\n",
    f"{DATA}/stddefault.txt": "#comment\r99999999 . VEGA standard_flux/vega.out\r",
    f"{DATA}/filter_def/filter_def_1.txt": "f",
    f"{DATA}/ref_calfctr/a.txt": "a",
    f"{DATA}/ref_calfctr/b.txt": "b",
    f"{DATA}/ref_calfctr/unused.txt": "u",
    f"{DATA}/standard_flux/vega.out": "v",
    f"{DATA}/standard_flux/code.py": "never read",
}


@pytest.fixture
def catalogue(script: ModuleType, tmp_path: Path) -> Catalogue:
    wheel = tmp_path / "sofia_redux-2.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in MEMBERS.items():
            archive.writestr(name, text)
    made = script.make_catalogue(script.Distribution(wheel), script.describe_calibration("FLITECAM"))
    path = tmp_path / "flitecam.json"
    path.write_text(script.format_catalogue(made))
    return Catalogue.read(path)


def name_of(catalogue: Catalogue, kind: str, date: int, **match: str) -> str | None:
    file = catalogue.select(ReferenceRequest("FLITECAM", kind, date, match))
    return None if file is None else file.name.rpartition("/")[2]


def test_that_first_line_in_file_order_counts_for_calibration(catalogue: Catalogue) -> None:
    assert name_of(catalogue, "flux_calibration", 20090101, altcfg1="0") == "b.txt"


def test_that_dot_and_absent_file_select_none(catalogue: Catalogue) -> None:
    assert name_of(catalogue, "filter_definition", 20200102, altcfg1="0") is None
    assert name_of(catalogue, "flux_calibration", 20200102, altcfg1="0") is None


def test_that_dot_in_a_match_column_means_any(catalogue: Catalogue) -> None:
    assert name_of(catalogue, "average_flux_calibration", 20200102, altcfg1="1") == "b.txt"
    assert name_of(catalogue, "standard_flux", 20200102, altcfg1="1", object="VEGA1") == "vega.out"


def test_that_only_data_files_are_listed_with_size_hash_and_place(catalogue: Catalogue) -> None:
    listed = {file.key.rpartition("/")[2]: file for file in catalogue.files}
    assert sorted(listed) == ["a.txt", "b.txt", "filter_def_1.txt", "unused.txt", "vega.out"]
    file = listed["a.txt"]
    assert file.size == 1
    assert file.sha256 == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"  # of "a"
    assert file.sources == (
        {"type": "distribution", "package": "sofia_redux", "version": "2.0.0", "member": f"{DATA}/ref_calfctr/a.txt"},
    )
    assert listed["unused.txt"].rules == ()


def test_that_earliest_line_counts_for_a_table_ordered_by_date(script: ModuleType, tmp_path: Path) -> None:
    wheel = tmp_path / "sofia_redux-2.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("d/table.txt", "20200101 M b.txt\n20100101 M a.txt\n20100101 M c.txt\n")
    table = script.Table("d/table.txt", {"mode": 1}, {"kind": 2}, by_date=True)
    assert [row[2] for row in script.Distribution(wheel).read_rows(table)] == ["a.txt", "c.txt", "b.txt"]


@pytest.mark.network
def test_that_committed_catalogue_is_what_the_published_distribution_gives(script: ModuleType, tmp_path: Path) -> None:
    try:
        wheel, older = (script.download_wheel(version, tmp_path) for version in (script.VERSION, script.OLDER))
    except script.subprocess.CalledProcessError:
        pytest.skip("the package index cannot be reached")
    first, second = list(script.make_all(wheel, older)), list(script.make_all(wheel, older))
    assert first == second
    for name, text in first:
        assert (ROOT / "resources/reference" / name).read_text(encoding="utf-8") == text, name
