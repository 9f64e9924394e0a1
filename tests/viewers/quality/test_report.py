"""Records of runs, and the report made of them."""

import base64
import html.parser
import json
import re

import pytest

from sofia_engine.errors import InputError
from sofia_viewers.quality.metrics import measure_file
from sofia_viewers.quality.report import format_report, make_report, write_report
from sofia_viewers.quality.report_view import print_report
from sofia_viewers.quality.run_record import list_step_rows, merge_steps, read_run


class Checker(html.parser.HTMLParser):
    """Checks that tags are closed in order, and collects text and addresses."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.sources = [], [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.sources += [values[k] for k in ("src", "href") if k in values]
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def report(output):
    record = read_run(output)
    return make_report(record, merge_steps([measure_file(path) for path in record.files], record), "Seen & <signed>")


def test_that_the_summary_of_a_run_is_read(output):
    record = read_run(output)
    assert [step.label for step in record.steps] == ["Stack Chops/Nods", "Correct Distortion", "Flux Calibrate"]
    assert [path.name for path in record.files] == ["A_UND_0001.fits", "A_CAL_0001.fits"]
    assert record.warnings == [("Flux Calibrate", "no PWV")]
    assert record.skipped == (("raw_0002.fits", "it is truncated"),)
    assert (record.status, record.seconds) == ("finished", 2.5)


def test_that_measured_files_learn_their_step_and_its_numbers(output):
    record = read_run(output)
    rows = merge_steps([measure_file(path) for path in record.files], record)
    assert [(row.values["step"], row.values["order"]) for row in rows] == [
        ("Correct Distortion", 2), ("Flux Calibrate", 3)
    ]  # fmt: skip
    assert rows[1].values["rejected"] == 0.25
    assert rows[1].number("noise") == pytest.approx(0.5, rel=0.05)  # measured, not what the step said
    assert len(list_step_rows(record)) == 3


def test_that_a_folder_without_products_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no products"):
        read_run(tmp_path)


def test_that_a_damaged_summary_leaves_the_files(output):
    (output / "outfiles.json").write_text("[")
    record = read_run(output)
    assert len(record.files) == 2
    assert record.steps == ()


def test_that_the_report_is_one_well_formed_file_with_everything_in_it(report, tmp_path):
    path = write_report(report, tmp_path / "report.html")
    checker = Checker()
    checker.feed(path.read_text())
    assert checker.open == []
    assert all(source.startswith("data:image/png;base64,") for source in checker.sources)
    assert len(checker.sources) >= 2
    for source in checker.sources:
        assert base64.b64decode(source.split(",")[1])[1:4] == b"PNG"
    text = " ".join(checker.text)
    for word in (
        "forcast-imaging", "finished", "no PWV", "it is truncated", "the <sky> is bright", "Seen & <signed>",
        "A_CAL_0001.fits", "Stack Chops/Nods", "filter.txt", "abab", "/data/raw_0001.fits",
    ):  # fmt: skip
        assert word in text, word


def test_that_markup_in_texts_is_escaped(report):
    assert "<signed>" not in format_report(report)


def test_that_wide_tables_are_broken_for_print(report):
    rows = re.findall("<tr>.*?</tr>", format_report(report, for_print=True))
    assert max(row.count("<th>") for row in rows) == 7
    wide = re.findall("<tr>.*?</tr>", format_report(report))
    assert max(row.count("<th>") for row in wide) > 8


def test_that_a_report_cannot_be_written_where_there_is_no_folder(report, tmp_path, qapp):
    for write in (write_report, print_report):
        with pytest.raises(InputError, match="cannot be written"):
            write(report, tmp_path / "none" / "report.html")


def test_that_the_report_prints_to_pdf(report, tmp_path, qapp):
    path = print_report(report, tmp_path / "report.pdf")
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") >= 2


def test_that_a_session_is_reported_like_its_output(open_reduction, raw_files, tmp_path):
    reduction = open_reduction(raw_files, output=tmp_path / "products")
    reduction.reduce()
    folder = reduction.session.folder
    record = read_run(folder)
    assert [step.key for step in record.steps] == [step.key for step in reduction.recipe.steps]
    assert any("mean" in row.numbers for row in list_step_rows(record))
    assert len(record.inputs) == 3
    assert "parameters" in json.dumps(format_report(make_report(record))).lower()
