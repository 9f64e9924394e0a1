"""Measuring many files: remembered, cancelled, in processes."""

import os
import signal
import sys
import threading

import psutil
import pytest

from sofia_engine import helper_process
from sofia_viewers.quality import measuring
from sofia_viewers.quality.measuring import MetricsCache, measure_files
from sofia_viewers.quality.trends import find_outliers

from .conftest import make_image, make_product


def measure(paths, **options):
    rows = {}
    count = measure_files(paths, rows.__setitem__, **options)
    assert count == len(rows)
    return [rows[place] for place in sorted(rows)]


def test_that_all_files_are_reported_at_their_places_and_the_outlier_is_found(night):
    paths = sorted(night.iterdir())
    rows = measure(paths)
    assert [row.path for row in rows] == paths
    assert {number: set(keys) & {"noise"} for number, keys in find_outliers(rows).items() if "noise" in keys} == {
        7: {"noise"}
    }


@pytest.fixture
def no_process_is_left():
    """Make sure that a test leaves no process behind, whatever others have left."""
    before = set(psutil.Process().children(recursive=True))
    yield
    assert not set(psutil.Process().children(recursive=True)) - before


@pytest.mark.usefixtures("no_process_is_left")
def test_that_processes_give_the_same_rows_as_threads(night, monkeypatch):
    paths = sorted(night.iterdir())[:4]
    threads = measure(paths, jobs=2)
    monkeypatch.setattr(measuring, "_MANY", 2)
    monkeypatch.setattr(measuring, "measure_file", None)  # of no use to the processes
    assert [row.values for row in measure(paths, jobs=2)] == [row.values for row in threads]
    assert not any(row.problem for row in threads)


@pytest.mark.parametrize("program", [["/no/such/program"], [sys.executable, "-c", ""]], ids=["none", "ends at once"])
def test_that_threads_take_over_where_processes_cannot_be_begun(night, monkeypatch, program):
    monkeypatch.setattr(measuring, "_MANY", 2)
    monkeypatch.setattr(helper_process, "program_command", lambda: program)
    assert not any(row.problem for row in measure(sorted(night.iterdir())[:3], jobs=2))


@pytest.fixture
def frozen(monkeypatch):
    """Stop the first process that measures, as one stops that reads from a disk that does not answer."""
    monkeypatch.setattr(measuring, "_MANY", 1)
    begin, begun = measuring._Crew._begin, []

    def begin_frozen(crew):
        helper = begin(crew)
        if not begun:
            os.kill(helper.process.pid, signal.SIGSTOP)
        begun.append(helper)
        return helper

    monkeypatch.setattr(measuring._Crew, "_begin", begin_frozen)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_that_a_file_that_takes_for_ever_is_named_and_the_others_are_measured(night, monkeypatch, frozen):
    monkeypatch.setattr(measuring, "_PATIENCE", 5.0)
    rows = measure(sorted(night.iterdir())[:3], jobs=1)
    assert "took too long" in rows[0].problem
    assert not any(row.problem for row in rows[1:])


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.usefixtures("no_process_is_left")
def test_that_cancelling_does_not_wait_for_a_process(night, frozen):
    cancelled = threading.Event()
    timer = threading.Timer(2.0, cancelled.set)
    timer.start()
    assert measure(sorted(night.iterdir())[:2], jobs=1, cancelled=cancelled) == []
    timer.join(10)
    assert not [thread for thread in threading.enumerate() if thread.name == "measure"]


def test_that_a_file_is_measured_again_only_when_it_has_changed(night, tmp_path, monkeypatch):
    path = min(night.iterdir())
    cache = MetricsCache(tmp_path / "cache.json")
    first = measure([path], cache=cache)[0]
    calls = []
    original = measuring.measure_file
    monkeypatch.setattr(measuring, "measure_file", lambda p: calls.append(p) or original(p))
    again = measure([path], cache=MetricsCache(tmp_path / "cache.json"))[0]
    assert (again.values, again.path) == (first.values, path)
    assert calls == []
    make_product(make_image(noise=2.0)).write(path)
    changed = measure([path], cache=MetricsCache(tmp_path / "cache.json"))[0]
    assert calls == [path]
    assert changed.number("noise") == pytest.approx(2.0, rel=0.05)


def test_that_a_damaged_cache_is_not_used(night, tmp_path, caplog):
    (tmp_path / "cache.json").write_text("{")
    assert len(measure(sorted(night.iterdir())[:1], cache=MetricsCache(tmp_path / "cache.json"))) == 1
    assert "damaged" in caplog.text


def test_that_a_file_that_cannot_be_read_has_a_problem_and_the_others_are_measured(night):
    bad = night / "bad.fits"
    bad.write_text("nothing")
    rows = measure([bad, *sorted(night.glob("F*"))[:2]])
    assert "bad.fits" in rows[0].problem
    assert not any(row.problem for row in rows[1:])


def test_that_cancelling_stops_within_a_few_files(night):
    cancelled = threading.Event()
    rows = []

    def report(_place, row):
        rows.append(row)
        cancelled.set()

    measure_files(sorted(night.iterdir()), report, cancelled=cancelled, jobs=1)
    assert 1 <= len(rows) <= 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("measure")]
