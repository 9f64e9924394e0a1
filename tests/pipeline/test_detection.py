"""Detection: what given files are, which belong together, and why others cannot be used."""

import gzip

import numpy as np
import pytest

from sofia_engine.errors import InputError
from sofia_engine.pipeline.detection import inspect_files, read_header


def reason_for(path):
    inspection = inspect_files([path])
    assert inspection.groups == ()
    ((rejected, reason),) = inspection.rejected
    assert rejected == path
    assert "\n" not in reason
    return reason


class TestRejection:
    def test_that_an_empty_file_is_rejected(self, bench, tmp_path):
        (tmp_path / "a.fits").touch()
        assert "the file is empty" in reason_for(tmp_path / "a.fits")

    def test_that_a_text_file_is_rejected(self, bench, tmp_path):
        (tmp_path / "a.fits").write_text("This is no FITS file.\n" * 1000)
        assert "not a FITS file" in reason_for(tmp_path / "a.fits")

    def test_that_a_broken_archive_is_rejected(self, bench, tmp_path):
        (tmp_path / "a.fits.gz").write_bytes(gzip.compress(b"x" * 10_000)[:20])
        assert "not a FITS file, or damaged" in reason_for(tmp_path / "a.fits.gz")

    @pytest.mark.parametrize("name", ["a.txt", "a", "a.fits.txt", "a.gz"])
    def test_that_another_suffix_is_rejected(self, bench, write_raw, tmp_path, name):
        assert "has not the suffix of a FITS file" in reason_for(write_raw(tmp_path / "x.fits").rename(tmp_path / name))

    @pytest.mark.parametrize("name", ["a.FITS", "a.fit", "a.fts", "a.Fits"])
    def test_that_suffixes_in_any_case_are_taken(self, bench, write_raw, tmp_path, name):
        path = write_raw(tmp_path / "x.fits").rename(tmp_path / name)
        assert inspect_files([path]).rejected == ()

    @pytest.mark.parametrize("name", ["folder", "folder.fits"])
    def test_that_a_folder_is_rejected(self, bench, tmp_path, name):
        (tmp_path / name).mkdir()
        assert "is a folder" in reason_for(tmp_path / name)

    def test_that_a_missing_file_is_rejected(self, bench, tmp_path):
        assert "there is no such file" in reason_for(tmp_path / "a.fits")

    def test_that_another_instrument_is_rejected_with_those_there_are(self, bench, write_raw, tmp_path):
        reason = reason_for(write_raw(tmp_path / "a.fits", instrument="HIPO"))
        assert "the instrument HIPO is not supported" in reason
        assert "BENCH" in reason

    def test_that_a_header_without_instrument_is_rejected(self, bench, write_raw, tmp_path):
        assert "no INSTRUME keyword" in reason_for(write_raw(tmp_path / "a.fits", instrument=None))

    def test_that_another_mode_is_rejected(self, bench, write_raw, tmp_path):
        assert "not supported yet" in reason_for(write_raw(tmp_path / "a.fits", cards={"INSTMODE": "ODD"}))

    def test_that_a_final_product_is_rejected(self, bench, write_raw, tmp_path):
        assert "nothing to do" in reason_for(write_raw(tmp_path / "a.fits", cards={"PRODTYPE": "finished"}))

    @pytest.mark.parametrize("end", [1, 79, 80, 1000, 2879])
    def test_that_a_file_cut_in_its_header_is_rejected(self, bench, write_raw, tmp_path, end):
        path = write_raw(tmp_path / "a.fits")
        path.write_bytes(path.read_bytes()[:end])
        assert "not a FITS file, or damaged" in reason_for(path)


class TestGroups:
    def test_that_files_are_grouped_by_what_must_agree(self, bench, write_raw, tmp_path):
        paths = [write_raw(tmp_path / f"a{n}.fits", cards={"FILTER": "AB"[n % 2]}) for n in range(4)]
        groups = inspect_files(paths).groups
        assert [[file.path for file in group.files] for group in groups] == [paths[::2], paths[1::2]]

    def test_that_raw_data_and_intermediate_products_are_kept_apart(self, bench, write_raw, tmp_path):
        raw = write_raw(tmp_path / "a.fits")
        added = write_raw(tmp_path / "b.fits", cards={"PRODTYPE": "added"})
        with pytest.raises(InputError, match=r"(?s)cannot be reduced together.*a\.fits.*added.*b\.fits"):
            inspect_files([raw, added]).single_group()

    def test_that_a_file_given_twice_counts_once(self, bench, write_raw, tmp_path):
        path = write_raw(tmp_path / "a.fits")
        (group,) = inspect_files([path, tmp_path / "." / "a.fits"]).groups
        assert len(group.files) == 1

    def test_that_good_files_are_used_and_bad_ones_named(self, bench, write_raw, tmp_path):
        good = write_raw(tmp_path / "a.fits")
        inspection = inspect_files([tmp_path / "none.fits", good])
        assert [file.path for file in inspection.single_group().files] == [good]
        assert len(inspection.rejected) == 1

    def test_that_nothing_at_all_is_said_so(self, bench):
        with pytest.raises(InputError, match="no files were given"):
            inspect_files([]).single_group()

    def test_that_the_reason_of_each_file_is_listed_when_none_is_left(self, bench, tmp_path):
        with pytest.raises(InputError) as caught:
            inspect_files([tmp_path / "a.fits", tmp_path / "b.txt"]).single_group()
        assert "a.fits: there is no such file" in str(caught.value)
        assert "b.txt: has not the suffix" in str(caught.value)

    def test_that_the_label_says_what_it_is(self, bench, write_raw, tmp_path):
        (group,) = inspect_files([write_raw(tmp_path / "a.fits")]).groups
        assert group.label == "BENCH, Chain, NGC 7027, 1 files"


def test_that_headers_of_compressed_files_are_read(bench, write_raw, tmp_path):
    path = write_raw(tmp_path / "a.fits")
    packed = tmp_path / "a.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_header(packed)["OBJECT"] == "NGC 7027"


def test_that_a_header_is_read_though_the_data_are_cut(bench, write_raw, tmp_path):
    path = write_raw(tmp_path / "a.fits", np.zeros((100, 100)))
    path.write_bytes(path.read_bytes()[:5000])
    assert read_header(path)["NAXIS1"] == 100
