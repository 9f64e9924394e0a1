"""Execution of one step: bad inputs set aside, names, order, cancellation."""

import threading
import time

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import CancelledError, StepError
from sofia_engine.pipeline.events import InputSkipped, Log, Progress
from sofia_engine.pipeline.execution import Surroundings, execute
from sofia_engine.pipeline.run import Cancel
from sofia_engine.product import Product


@pytest.fixture
def events():
    return []


@pytest.fixture
def around(tmp_path, events):
    from sofia_engine.reference import ReferenceStore

    return Surroundings(ReferenceStore(tmp_path / "cache", offline=True), events.append)


def make_inputs(count=4, **cards):
    header = fits.Header([("INSTRUME", "BENCH"), ("OBJECT", "X")])
    header.update(cards)
    return tuple(
        Product.of(header, {"FLUX": np.full((8, 8), float(n))}).with_cards(("FILENAME", f"raw_{n:04d}.fits", ""))
        for n in range(1, count + 1)
    )


def spoil(product, how):
    return product.with_cards(("FAIL", how, ""))


@pytest.fixture
def run(bench, around):
    def run_step(key, products, surroundings=around, **values):
        step = bench.steps[bench.index(key)]
        return execute(step, bench, products, step.parameters(**values), surroundings)

    return run_step


class TestBadInputs:
    def test_that_a_bad_file_is_skipped_and_named_and_the_others_go_on(self, run, events):
        inputs = make_inputs()
        outcome = run("add", (inputs[0], spoil(inputs[1], "data"), *inputs[2:]))
        assert [p.name for p in outcome.products] == [f"BENCH_ADD_{n:04d}.fits" for n in (1, 3, 4)]
        assert outcome.skipped == (("raw_0002.fits", "this image is bad."),)
        (event,) = [e for e in events if isinstance(e, InputSkipped)]
        assert (event.step, event.file) == ("add", "raw_0002.fits")

    def test_that_a_step_fails_with_all_reasons_when_all_inputs_are_bad(self, run):
        with pytest.raises(StepError) as caught:
            run("add", [spoil(product, "data") for product in make_inputs(3)])
        assert str(caught.value).splitlines() == [f"raw_{n:04d}.fits: this image is bad." for n in (1, 2, 3)]

    def test_that_an_unforeseen_error_is_one_sentence_and_its_traceback_a_detail_of_the_log(self, run, events):
        with pytest.raises(StepError) as caught:
            run("add", [spoil(make_inputs(1)[0], "bug")])
        message = str(caught.value)
        assert "Add Amount failed on raw_0001.fits" in message
        assert "ZeroDivisionError: a mistake of the program" in message
        assert "\n" not in message
        assert "Traceback" not in message
        details = [e for e in events if isinstance(e, Log) and "Traceback" in e.message]
        assert [e.level for e in details] == ["debug"]
        assert not any("Traceback" in e.message for e in events if isinstance(e, Log) and e.level != "debug")

    def test_that_an_unforeseen_error_in_one_input_spares_the_others(self, run):
        inputs = make_inputs(3)
        outcome = run("add", [spoil(inputs[0], "bug"), *inputs[1:]])
        assert len(outcome.products) == 2
        assert outcome.skipped[0][0] == "raw_0001.fits"

    def test_that_no_input_at_all_is_said_so(self, run):
        with pytest.raises(StepError, match="Add Amount: there is no input to process"):
            run("add", ())

    @pytest.mark.parametrize(
        ("error", "words"),
        [(MemoryError(), "not enough memory for raw_0001.fits"), (KeyError("EXPTIME"), "KeyError: 'EXPTIME'")],
    )
    def test_that_errors_of_a_step_become_sentences(self, bench, around, error, words):
        from dataclasses import replace

        def fail(*_args):
            raise error

        step = replace(bench.steps[1], function=fail)
        with pytest.raises(StepError, match=words) as caught:
            execute(step, bench, make_inputs(1), step.parameters(), around)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("made", [None, [1], "text", ["text"]])
    def test_that_a_step_that_returns_no_products_is_a_mistake_told_in_one_sentence(self, bench, around, made):
        from dataclasses import replace

        step = replace(bench.steps[1], function=lambda *_: made)
        with pytest.raises(StepError, match=r"failed on raw_0001\.fits for a reason nobody foresaw"):
            execute(step, bench, make_inputs(1), step.parameters(), around)

    def test_that_a_step_that_leaves_nothing_says_so(self, bench, around):
        from dataclasses import replace

        step = replace(bench.steps[3], function=lambda *_: ())
        with pytest.raises(StepError, match="Subtract Pairs: nothing usable is left"):
            execute(step, bench, make_inputs(2), step.parameters(), around)

    def test_that_names_that_cannot_be_made_are_told_in_one_sentence(self, bench, around):
        from dataclasses import replace

        def fail(header, _sources, _code):
            return header["MISSN-ID"]

        with pytest.raises(StepError, match="MISSN-ID"):
            execute(
                bench.steps[1], replace(bench, output_name=fail), make_inputs(1), bench.steps[1].parameters(), around
            )

    def test_that_reference_files_that_cannot_be_chosen_spare_the_other_inputs(self, bench, around):
        from dataclasses import replace

        step = replace(bench.steps[1], references=lambda header, _p: dict.fromkeys([] * header["GOOD"]))
        inputs = make_inputs(2)
        outcome = execute(step, bench, (inputs[0], inputs[1].with_cards(("GOOD", 1, ""))), step.parameters(), around)
        assert [name for name, _ in outcome.skipped] == ["raw_0001.fits"]


class TestNamesAndOrder:
    @pytest.mark.parametrize("jobs", [1, 2, 8])
    def test_that_the_order_of_inputs_is_kept_however_long_each_takes(self, bench, around, jobs):
        from dataclasses import replace

        def slow_first(image, _p, _run):
            time.sleep(0.05 if image.name == "raw_0001.fits" else 0)
            return image.replace(FLUX=image["FLUX"] + 1)

        step = replace(bench.steps[1], function=slow_first)
        outcome = execute(step, bench, make_inputs(6), step.parameters(), replace(around, jobs=jobs))
        assert [p["FLUX"][0, 0] for p in outcome.products] == [2, 3, 4, 5, 6, 7]

    def test_that_many_to_many_keeps_each_name(self, run):
        assert [p.name for p in run("pair", make_inputs(3)).products] == [f"BENCH_PAR_{n:04d}.fits" for n in (1, 2, 3)]

    def test_that_many_to_one_is_named_after_all(self, run):
        (product,) = run("combine", make_inputs(4)).products
        assert product.name == "BENCH_CMB_0001-0004.fits"

    def test_that_no_two_products_get_the_same_name(self, run):
        inputs = [product.with_cards(("FILENAME", "odd.fits", "")) for product in make_inputs(3)]
        names = [product.name for product in run("add", inputs).products]
        assert names == ["BENCH_ADD_odd.fits", "BENCH_ADD_odd_2.fits", "BENCH_ADD_odd_3.fits"]

    def test_that_the_very_same_product_is_passed_on_unstamped(self, run):
        inputs = make_inputs(2)
        outcome = run("scale", inputs, factor=1.0)
        assert all(mine is given for mine, given in zip(outcome.products, inputs, strict=True))
        assert outcome.made == (False, False)

    def test_that_a_check_makes_no_products(self, run):
        assert run("check", make_inputs(2)).made == (False, False)

    def test_that_inputs_are_never_changed(self, run):
        inputs = make_inputs(2)
        before = [(p.header.tostring(), p["FLUX"].copy()) for p in inputs]
        run("add", inputs)
        run("pair", inputs)
        for (header, flux), product in zip(before, inputs, strict=True):
            assert product.header.tostring() == header
            np.testing.assert_array_equal(product["FLUX"], flux)


class TestReports:
    def test_that_attachments_quality_and_history_are_collected(self, run):
        outcome = run("combine", make_inputs(2))
        assert [(a.name, a.content) for a in outcome.attachments] == [("weights.txt", b"1 2")]
        outcome = run("add", make_inputs(2))
        assert [numbers["mean"] for numbers in outcome.quality] == [1.0, 2.0]
        assert all(type(number["mean"]) is float for number in outcome.quality)
        assert "Add: 1.0 added" in list(outcome.products[0].header["HISTORY"])

    def test_that_progress_counts_the_inputs_while_they_are_done(self, bench, around, events):
        from dataclasses import replace

        seen = []

        def note(image, _p, _run):
            seen.append(sum(isinstance(e, Progress) for e in events))
            return image

        step = replace(bench.steps[1], function=note)
        execute(step, bench, make_inputs(4), step.parameters(), replace(around, jobs=1))
        assert [e.done for e in events if isinstance(e, Progress)] == [1, 2, 3, 4]
        assert seen == [0, 1, 2, 3]

    def test_that_progress_is_told_before_the_slowest_input_is_done(self, bench, around, events):
        from dataclasses import replace

        heard = []

        def slow_last(image, _p, _run):
            if image.name == "raw_0003.fits":
                end = time.monotonic() + 5
                while not any(isinstance(e, Progress) for e in events) and time.monotonic() < end:
                    time.sleep(0.005)
                heard.append(sum(isinstance(e, Progress) for e in events))
            return image

        step = replace(bench.steps[1], function=slow_last)
        execute(step, bench, make_inputs(3), step.parameters(), replace(around, jobs=2))
        assert heard[0] >= 1


class TestCancellation:
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_that_another_thread_stops_a_running_step_within_a_second(self, bench, around, jobs):
        from dataclasses import replace

        cancel = Cancel()
        surroundings = replace(around, cancel=cancel, jobs=jobs)
        timer = threading.Timer(0.1, cancel.set)
        timer.start()
        started = time.monotonic()
        with pytest.raises(CancelledError, match="Stopped by the user"):
            execute(bench.steps[1], bench, make_inputs(6), bench.steps[1].parameters(seconds=30), surroundings)
        assert time.monotonic() - started < 1.0
        timer.join()
        assert not [t for t in threading.enumerate() if t.name.startswith("step")]

    def test_that_a_cancelled_step_does_not_begin(self, bench, around, calls):
        from dataclasses import replace

        cancel = Cancel()
        cancel.set()
        for step in (bench.steps[1], bench.steps[3]):
            with pytest.raises(CancelledError):
                execute(step, bench, make_inputs(2), step.parameters(), replace(around, cancel=cancel))
        assert not calls
