"""Tables of numbers in files."""

import pytest
from astropy.table import Table

from sofia_engine.errors import InputError
from sofia_viewers.quality.metrics import Metrics, measure_product
from sofia_viewers.quality.tables import format_csv, make_metrics_table, write_metrics

from .conftest import make_product


@pytest.fixture
def rows():
    return [measure_product(make_product(), "a.fits"), Metrics({"file": "bad.fits"}, problem="it is damaged")]


@pytest.mark.parametrize("suffix", [".ecsv", ".csv", ".vot"])
def test_that_a_table_is_read_back_as_it_was(rows, suffix, tmp_path):
    path = write_metrics(rows, tmp_path / f"table{suffix}", outliers={0: {"noise": 7.0}})
    kind = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".vot": "votable"}[suffix]
    read = Table.read(path, format=kind)
    assert float(read["noise"][0]) == pytest.approx(rows[0].number("noise"))
    assert str(read["file"][1]) == "bad.fits"
    assert read["noise"].mask[1]
    assert str(read["outlier"][0]) == "noise"
    assert str(read["date"][0]) == "2018-09-01 05:10:00"


def test_that_units_and_descriptions_are_kept(rows):
    table = make_metrics_table(rows)
    assert (str(table["zenith_angle"].unit), str(table["fwhm"].unit)) == ("deg", "arcsec")
    assert table["noise"].unit is None
    assert "deviation" in table["noise"].description


def test_that_chosen_columns_are_written(rows, tmp_path):
    table = make_metrics_table(rows, ["file", "noise"])
    assert table.colnames == ["file", "noise", "problem"]


def test_that_the_clipboard_gets_labels_and_texts(rows):
    assert format_csv(rows, ["file", "zenith_angle"]).splitlines() == ["File\tZenith angle", "a.fits\t45", "bad.fits\t"]


def test_that_other_suffixes_and_missing_folders_are_refused(rows, tmp_path):
    with pytest.raises(InputError, match="tables end with"):
        write_metrics(rows, tmp_path / "table.xlsx")
    with pytest.raises(InputError, match="cannot be written"):
        write_metrics(rows, tmp_path / "none" / "table.csv")
