"""Run: what a step may ask for and say."""

import threading
import time

import pytest

from sofia_engine.errors import CancelledError, ReferenceDataError
from sofia_engine.pipeline.events import Log, Progress, one_at_a_time
from sofia_engine.pipeline.run import Attachment, Cancel, Run


@pytest.fixture
def events():
    return []


@pytest.fixture
def run(events):
    return Run(step="droop", file="a.fits", sink=events.append)


def test_that_lines_of_the_log_name_step_and_file(run, events):
    run.log("hello")
    assert (events[0].message, events[0].step, events[0].file, events[0].level) == ("hello", "droop", "a.fits", "info")


def test_that_warnings_are_logged_and_kept(run, events):
    run.warn("careful")
    assert run.warnings == ["careful"]
    assert events[0].level == "warning"


def test_that_an_input_can_be_set_aside_with_its_reason(run, events):
    run.set_aside("b.fits", "b.fits: the header is empty.")
    assert run.skipped == [("b.fits", "the header is empty.")]
    assert (events[0].step, events[0].file, events[0].reason) == ("droop", "b.fits", "the header is empty.")


def test_that_progress_is_told(run, events):
    run.progress(1, 4, "row")
    assert isinstance(events[0], Progress)
    assert (events[0].done, events[0].total, events[0].what) == (1, 4, "row")


def test_that_progress_stops_a_cancelled_step(run, events):
    run.cancel.set()
    with pytest.raises(CancelledError, match=r"^Stopped by the user\.$"):
        run.progress(1, 2)
    assert events == []


def test_that_a_cancelled_flag_can_be_cleared():
    cancel = Cancel()
    cancel.set()
    cancel.clear()
    assert not cancel.is_set()


def test_that_a_missing_reference_file_is_named_in_words(run):
    with pytest.raises(ReferenceDataError, match=r"a\.fits: there is no bad pixel mask for this observation"):
        run.reference("bad_pixel_mask")
    assert run.find_reference("bad_pixel_mask") is None


def test_that_an_attachment_is_written_whole(tmp_path):
    Attachment("a.txt", b"abc").write(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == b"abc"
    assert len(list(tmp_path.iterdir())) == 1


def test_that_events_become_plain_values(events, run):
    run.log("hello")
    values = events[0].as_dict()
    assert values["event"] == "Log"
    assert values["message"] == "hello"


def test_that_a_listener_hears_one_event_at_a_time():
    inside, overlaps = threading.Lock(), []

    def listen(event):
        overlaps.append(not inside.acquire(blocking=False))
        time.sleep(0.001)
        inside.release()

    sink = one_at_a_time(listen)
    threads = [threading.Thread(target=lambda: [sink(Log("info", "x")) for _ in range(20)]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(overlaps) == 120
    assert not any(overlaps)


def test_that_a_listener_may_tell_something_itself():
    heard = []

    def listen(event):
        heard.append(event)
        if len(heard) < 3:
            sink(event)

    sink = one_at_a_time(listen)
    sink(Log("info", "x"))
    assert len(heard) == 3
