"""Reduction: a tree of states to move in."""

import json
import threading
import time

import numpy as np
import pytest

from sofia_engine.errors import CancelledError, InputError, ParameterError, SessionError, StepError
from sofia_engine.pipeline.events import FileWritten, InputSkipped, StepFailed, StepFinished, StepStarted
from sofia_engine.pipeline.memory_guard import find_map
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.product import Product


def fluxes(reduction):
    return [product["FLUX"].copy() for product in reduction.products]


class TestStepping:
    def test_that_all_steps_are_done_in_order(self, reduction):
        last = reduction.reduce()
        assert [s.step for s in reduction.path_to(last)] == ["", "check", "add", "scale", "pair", "combine", "finish"]
        assert reduction.next_step is None

    def test_that_the_result_is_the_one_computed_by_hand(self, reduction, raw_files):
        reduction.set("combine", weight=0)
        reduction.set("finish", offset=7.5)
        reduction.reduce()
        raw = np.array([Product.read(path)["PRIMARY"] for path in raw_files])
        paired = (raw + 1) * 2
        expected = (paired - paired.mean(axis=0)).mean(axis=0) + 7.5
        np.testing.assert_allclose(reduction.products[0]["FLUX"], expected, rtol=1e-12)

    def test_that_the_same_reduction_gives_the_same_bits(self, open_reduction, raw_files):
        results = []
        for jobs in (1, 4):
            reduction = open_reduction(raw_files, jobs=jobs)
            reduction.reduce()
            results.append(reduction.products[0])
        assert results[0].same(results[1], ignore=["DATE"])

    def test_that_products_are_saved_where_the_recipe_says(self, reduction, tmp_path):
        reduction.reduce()
        names = sorted(path.name for path in (tmp_path / "output").iterdir())
        assert names == [
            *(f"BENCH_ADD_{n:04d}.fits" for n in (1, 2, 3)),
            "BENCH_CMB_0001-0003.fits",
            "BENCH_FIN_0001-0003.fits",
            "weights.txt",
        ]

    def test_that_saved_products_are_those_of_the_state(self, reduction, tmp_path):
        reduction.reduce()
        saved = Product.read(tmp_path / "output" / "BENCH_FIN_0001-0003.fits")
        assert saved.same(reduction.products[0], ignore=["HISTORY"])

    def test_that_nothing_is_written_without_an_output_folder(self, open_reduction, raw_files, tmp_path):
        reduction = open_reduction(raw_files)
        reduction.reduce()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["raw", "session0"]

    def test_that_a_step_beyond_the_last_is_refused(self, reduction):
        reduction.reduce()
        with pytest.raises(StepError, match="All steps are done"):
            reduction.step()

    def test_that_events_tell_what_happens(self, open_reduction, raw_files, tmp_path):
        events = []
        reduction = open_reduction(raw_files, output=tmp_path / "output", sink=events.append)
        reduction.run_to("add")
        kinds = [type(e) for e in events]
        assert kinds.count(StepStarted) == kinds.count(StepFinished) == 2
        assert kinds.count(FileWritten) == 3
        started = next(e for e in events if isinstance(e, StepStarted) and e.step == "add")
        assert (started.index, started.total_steps, started.inputs) == (1, 6, 3)
        assert started.parameters["addamount"] == 1.0

    def test_that_the_listener_of_a_reduction_hears_one_event_at_a_time(self, open_reduction, raw_files):
        inside, overlaps = threading.Lock(), []

        def listen(_event):
            overlaps.append(not inside.acquire(blocking=False))
            time.sleep(0.01)
            if not overlaps[-1]:
                inside.release()

        open_reduction(raw_files, sink=listen, jobs=3).run_to("add")
        assert len(overlaps) > 10
        assert not any(overlaps)

    def test_that_defaults_follow_the_header_and_may_be_overruled(self, open_reduction, write_raw, tmp_path):
        path = write_raw(tmp_path / "raw_0001.fits", cards={"OBJECT": "BRIGHT"})
        reduction = open_reduction([path])
        assert reduction.parameters("finish").offset == 5.0
        reduction.set("finish", offset=1)
        assert reduction.parameters("finish").offset == 1.0
        reduction.unset("finish", "offset")
        assert reduction.parameters("finish").offset == 5.0

    def test_that_a_bad_parameter_changes_nothing(self, reduction):
        with pytest.raises(ParameterError, match=r"combine\.weight = 9 is not allowed"):
            reduction.set("combine", weight=9)
        assert reduction.parameters("combine").weight == 1


class TestHistory:
    def test_that_undo_and_redo_do_no_work(self, reduction, calls):
        state = reduction.run_to("scale")
        done = dict(calls)
        before = fluxes(reduction)
        reduction.undo()
        reduction.undo()
        reduction.redo()
        assert reduction.redo() == state
        assert dict(calls) == done
        np.testing.assert_array_equal(fluxes(reduction), before)

    def test_that_the_ends_are_told(self, reduction):
        with pytest.raises(StepError, match="nothing to undo"):
            reduction.undo()
        with pytest.raises(StepError, match="nothing to redo"):
            reduction.redo()

    def test_that_other_parameters_start_a_branch_and_the_old_one_stays(self, reduction, calls):
        old = reduction.run_to("combine")
        old_products = reduction.products
        reduction.go(reduction.path_to(old)[2])
        reduction.set("scale", factor=3.0)
        new = reduction.run_to("combine")
        assert new.key != old.key
        assert calls["add"] == 3
        assert calls["scale"] == 6
        assert len(reduction.children(reduction.path_to(old)[2])) == 2
        assert reduction.go(old) == old
        assert reduction.products[0].same(old_products[0])

    def test_that_equal_parameters_are_not_computed_again(self, reduction, calls):
        state = reduction.run_to("scale")
        reduction.reset()
        reduction.set("add", amount=5)
        reduction.run_to("scale")
        reduction.reset()
        reduction.set("add", amount=1)
        done = dict(calls)
        assert reduction.run_to("scale").key == state.key
        assert dict(calls) == done

    def test_that_saving_or_not_is_no_other_result(self, reduction, calls, tmp_path):
        first = reduction.run_to("scale")
        reduction.undo()
        reduction.set("scale", save=True)
        assert reduction.step().key == first.key
        assert calls["scale"] == 3
        assert (tmp_path / "output" / "BENCH_SCL_0001.fits").exists()

    def test_that_redo_follows_the_branch_left_last(self, reduction):
        reduction.run_to("add")
        old = reduction.step()
        reduction.undo()
        reduction.set("scale", factor=4.0)
        new = reduction.step()
        reduction.undo()
        assert reduction.redo() == new
        reduction.go(old)
        reduction.undo()
        assert reduction.redo() == old

    def test_that_reset_loses_nothing(self, reduction):
        last = reduction.reduce()
        states = reduction.states
        assert reduction.reset() == reduction.root
        assert reduction.states == states
        assert reduction.go(last) == last

    def test_that_a_state_of_another_reduction_is_refused(self, reduction, open_reduction, raw_files):
        other = open_reduction(raw_files[:2]).step()
        with pytest.raises(StepError, match="no such state"):
            reduction.go(other)

    def test_that_changing_a_step_in_the_middle_recomputes_only_from_there(self, reduction, calls):
        reduction.reduce()
        calls.clear()
        reduction.set("pair", swap=True)
        assert reduction.is_stale(reduction.current)
        reduction.run_to("finish")
        assert dict(calls) == {"pair": 1, "combine": 1, "finish": 1}
        assert not reduction.is_stale(reduction.current)


class TestRunTo:
    def test_that_a_step_that_is_done_is_gone_back_to(self, reduction, calls):
        reduction.reduce()
        done = dict(calls)
        assert reduction.run_to("add").step == "add"
        assert dict(calls) == done

    def test_that_it_stops_after_the_step(self, reduction):
        assert reduction.run_to("pair").index == 3
        assert reduction.next_step.key == "combine"

    def test_that_it_starts_where_intermediate_products_start(self, open_reduction, raw_files, tmp_path, calls):
        first = open_reduction(raw_files, output=tmp_path / "output")
        first.run_to("add")
        calls.clear()
        second = open_reduction(sorted((tmp_path / "output").glob("*ADD*.fits")))
        assert second.root.index == 1
        assert second.next_step.key == "scale"
        assert second.run_to("pair").index == 3
        assert second.run_to("scale").index == 2
        assert second.run_to("pair").index == 3
        assert dict(calls) == {"scale": 3, "pair": 1}

    def test_that_a_step_before_the_inputs_is_refused(self, open_reduction, write_raw, tmp_path):
        reduction = open_reduction([write_raw(tmp_path / "a_0001.fits", cards={"PRODTYPE": "scaled"})])
        with pytest.raises(StepError, match="Add Amount was done to the inputs already; start with the raw files"):
            reduction.run_to("add")

    def test_that_the_whole_and_the_two_halves_give_the_same(self, open_reduction, raw_files, tmp_path):
        whole = open_reduction(raw_files)
        whole.reduce()
        half = open_reduction(raw_files, output=tmp_path / "output")
        half.run_to("add")
        rest = open_reduction(sorted((tmp_path / "output").glob("*ADD*.fits")))
        rest.reduce()
        np.testing.assert_array_equal(rest.products[0]["FLUX"], whole.products[0]["FLUX"])
        assert rest.products[0].name == whole.products[0].name


class TestFailure:
    def test_that_a_failed_step_leaves_the_reduction_where_it_was(self, open_reduction, write_raw, tmp_path):
        events = []
        path = write_raw(tmp_path / "raw_0001.fits", cards={"FAIL": "bug"})
        reduction = open_reduction([path], sink=events.append)
        before = reduction.step()
        with pytest.raises(StepError, match="nobody foresaw"):
            reduction.step()
        assert reduction.current == before
        (failed,) = [e for e in events if isinstance(e, StepFailed)]
        assert (failed.step, failed.index, failed.cancelled) == ("add", 1, False)
        assert len(reduction.products) == 1

    def test_that_one_bad_file_among_good_ones_is_recorded_in_the_state(
        self, open_reduction, raw_files, write_raw, tmp_path
    ):
        bad = write_raw(tmp_path / "raw_0009.fits", np.zeros((3, 3)))
        reduction = open_reduction([*raw_files, bad])
        state = reduction.step()
        assert [name for name, _ in state.skipped] == ["raw_0009.fits"]
        assert "shape (3, 3), not (8, 8)" in state.skipped[0][1]
        reduction.reduce()

    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (lambda p: p.write_bytes(p.read_bytes()[:4000]), "truncated"),
            (lambda p: p.write_bytes(p.read_bytes()[:2880]), "truncated"),
        ],
    )
    def test_that_a_file_cut_in_its_data_is_skipped_and_named(
        self, open_reduction, raw_files, write_raw, tmp_path, spoil, reason
    ):
        events = []
        bad = write_raw(tmp_path / "raw_0009.fits", np.zeros((40, 40)))
        spoil(bad)
        reduction = open_reduction([*raw_files, bad], sink=events.append)
        assert len(reduction.products) == 3
        (skipped,) = {(e.file, e.reason) for e in events if isinstance(e, InputSkipped)}
        assert skipped[0] == str(bad)
        assert reason in skipped[1]

    @pytest.mark.parametrize(
        ("data", "reason"), [(np.full((8, 8), np.nan), "all of it is NaN"), (np.zeros((0,)), "no valid value|no data")]
    )
    def test_that_data_without_a_number_are_refused(self, open_reduction, write_raw, tmp_path, data, reason):
        reduction = open_reduction([write_raw(tmp_path / "a_0001.fits", data)])
        with pytest.raises(InputError, match=reason):
            reduction.step()
        assert reduction.current == reduction.root

    def test_that_a_full_output_folder_is_one_sentence_and_can_be_gone_on_from(self, reduction, monkeypatch, calls):
        reduction.step()

        def full(*_args, **_kwargs):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Product, "write", full)
            with pytest.raises(StepError, match=r"cannot be written: No space left on device. Make room") as caught:
                reduction.step()
        assert "\n" not in str(caught.value)
        assert reduction.current.step == "check"
        assert reduction.step().step == "add"
        assert calls["add"] == 3

    def test_that_an_output_folder_that_cannot_be_made_is_refused(self, open_reduction, raw_files, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match=r"output folder .* cannot be made"):
            open_reduction(raw_files, output=tmp_path / "file" / "below")
        assert not (tmp_path / "session0").exists()

    def test_that_a_failed_opening_leaves_no_lock(self, bench, raw_files, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(Reduction, "_store_settings", lambda _self: (_ for _ in ()).throw(SessionError("full")))
            with pytest.raises(SessionError, match="full"):
                Reduction.open(raw_files, session=tmp_path / "session")
        Reduction.open(raw_files, session=tmp_path / "session").close()


class TestCancellation:
    def test_that_another_thread_stops_the_step_and_the_next_try_runs(self, reduction, calls):
        reduction.step()
        reduction.set("add", seconds=30)
        timer = threading.Timer(0.1, reduction.cancel.set)
        timer.start()
        started = time.monotonic()
        with pytest.raises(CancelledError):
            reduction.reduce()
        assert time.monotonic() - started < 1.0
        timer.join()
        assert reduction.current.step == "check"
        assert len(reduction.states) == 2
        reduction.set("add", seconds=0)
        assert reduction.step().step == "add"

    def test_that_a_wish_between_two_steps_is_heard(self, open_reduction, raw_files):
        reduction = open_reduction(
            raw_files,
            sink=lambda e: reduction.cancel.set() if isinstance(e, StepFinished) and e.step == "add" else None,
        )
        with pytest.raises(CancelledError):
            reduction.reduce()
        assert reduction.current.step == "add"


class TestResuming:
    def test_that_state_products_and_settings_are_the_same(self, reduction, open_reduction, raw_files):
        reduction.set("scale", factor=3.5)
        reduction.reduce()
        reduction.undo()
        state, products, states = reduction.current, reduction.products, reduction.states
        folder = reduction.session.folder
        reduction.close()
        with Reduction.resume(folder) as again:
            assert again.current == state
            assert again.states == states
            assert again.parameters("scale").factor == 3.5
            assert all(mine.same(other) for mine, other in zip(again.products, products, strict=True))
            assert again.redo().step == "finish"

    def test_that_a_resumed_reduction_gives_the_same_bits_as_one_in_one_go(self, open_reduction, raw_files):
        whole = open_reduction(raw_files)
        whole.reduce()
        parts = open_reduction(raw_files)
        folder = parts.session.folder
        while parts.next_step is not None:
            parts.step()
            parts.close()
            parts = Reduction.resume(folder)
        with parts:
            assert parts.products[0].same(whole.products[0], ignore=["DATE"])
            assert parts.current.key == whole.current.key

    def test_that_an_open_session_cannot_be_opened_twice(self, reduction):
        with pytest.raises(SessionError, match="open in another window"):
            Reduction.resume(reduction.session.folder)

    def test_that_a_folder_without_session_is_refused(self, bench, tmp_path):
        with pytest.raises(SessionError, match="holds no session"):
            Reduction.resume(tmp_path)

    def test_that_missing_inputs_are_named(self, reduction, raw_files):
        reduction.step()
        reduction.close()
        raw_files[1].unlink()
        with pytest.raises(SessionError, match=r"Inputs of the session .* are gone: .*raw_0002\.fits"):
            Reduction.resume(reduction.session.folder)

    def test_that_changed_inputs_are_refused(self, reduction, raw_files, write_raw):
        reduction.step()
        reduction.close()
        write_raw(raw_files[0], np.ones((8, 8)))
        with pytest.raises(SessionError, match="have changed since"):
            Reduction.resume(reduction.session.folder)

    def test_that_a_vanished_output_folder_is_made_again(self, reduction, tmp_path):
        reduction.step()
        reduction.close()
        (tmp_path / "output").rmdir()
        with Reduction.resume(reduction.session.folder) as again:
            again.reduce()
        assert (tmp_path / "output" / "BENCH_FIN_0001-0003.fits").exists()

    def test_that_an_output_folder_that_cannot_be_made_again_is_one_sentence(self, reduction, tmp_path):
        reduction.step()
        reduction.close()
        (tmp_path / "output").rmdir()
        (tmp_path / "output").touch()
        with Reduction.resume(reduction.session.folder) as again:
            with pytest.raises(StepError, match="cannot be written"):
                again.reduce()
            (tmp_path / "output").unlink()
            again.reduce()

    def test_that_a_parameter_that_is_no_longer_allowed_is_left_out_with_a_warning(self, reduction):
        reduction.set("scale", factor=3.0)
        reduction.close()
        path = reduction.session.folder / "session.json"
        stored = json.loads(path.read_text())
        stored["settings"]["user"][4] = {"weight": [99, ""]}
        path.write_text(json.dumps(stored))
        events = []
        with Reduction.resume(reduction.session.folder, sink=events.append) as again:
            assert again.parameters("scale").factor == 3.0
            assert again.parameters("combine").weight == 1
        assert any("no longer allowed" in getattr(e, "message", "") for e in events)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda s: s.update(format=99), "another version of the program"),
            (lambda s: s.update(steps=["other"]), "other steps than bench has now"),
            (lambda s: s.update(recipe="gone"), "no recipe gone"),
            (lambda s: s.pop("inputs"), "is damaged"),
            (lambda s: s.pop("recipe"), "is damaged"),
            (lambda s: s.pop("settings"), "is damaged"),
            (lambda s: s.update(settings=5), "is damaged"),
            (lambda s: s.update(inputs=[1]), "is damaged"),
        ],
    )
    def test_that_a_session_that_cannot_be_understood_is_one_sentence(self, reduction, change, words):
        from sofia_engine.errors import SofiaDeskError

        reduction.close()
        path = reduction.session.folder / "session.json"
        stored = json.loads(path.read_text())
        change(stored)
        path.write_text(json.dumps(stored))
        for _ in range(2):  # the lock is given back each time
            with pytest.raises(SofiaDeskError, match=words) as caught:
                Reduction.resume(reduction.session.folder)
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("text", ["", "{", "[]", "5", "\x00" * 100])
    def test_that_a_torn_session_file_is_one_sentence(self, reduction, text):
        reduction.close()
        (reduction.session.folder / "session.json").write_text(text)
        with pytest.raises(SessionError, match="cannot be opened again"):
            Reduction.resume(reduction.session.folder)


class TestDamagedStates:
    def _close_after(self, reduction, step):
        reduction.run_to(step)
        reduction.close()
        return reduction.session.node(reduction.current.key)

    @pytest.mark.parametrize("name", ["node.json", "products.json", "small.bin"])
    @pytest.mark.parametrize("how", ["gone", "torn", "garbage"])
    def test_that_a_damaged_state_is_computed_again(self, reduction, calls, name, how):
        node = self._close_after(reduction, "scale")
        path = node / name
        content = path.read_bytes()
        path.unlink()
        if how != "gone":
            path.write_bytes(content[: len(content) // 2] if how == "torn" else b"garbage")
        with Reduction.resume(reduction.session.folder) as again:
            if again.current.step == "scale":
                with pytest.raises(SessionError, match=r"damaged .*; undo, and do the step again"):
                    again.step()
                again.undo()
            else:
                again.run_to("add")
            calls.clear()
            again.run_to("finish")
            assert calls["scale"] == 3
            assert calls["add"] == 0
            assert again.products[0]["FLUX"].shape == (8, 8)

    def test_that_states_made_from_a_damaged_one_are_left_out_too(self, reduction):
        reduction.reduce()
        reduction.close()
        scale = reduction.path_to(reduction.current)[3]
        (reduction.session.node(scale.key) / "node.json").write_text("{")
        with Reduction.resume(reduction.session.folder) as again:
            assert {s.step for s in again.states.values()} == {"", "check", "add"}
            assert again.current == again.root
            again.reduce()

    def test_that_a_missing_attachment_is_made_again(self, reduction, calls, tmp_path):
        reduction.run_to("combine")
        (reduction.session.node(reduction.current.key) / "files" / "weights.txt").unlink()
        reduction.undo()
        reduction.step()
        assert calls["combine"] == 2
        assert (tmp_path / "output" / "weights.txt").exists()


class TestMemory:
    @pytest.mark.parametrize(("side", "mapped"), [(360, True), (8, False)])
    def test_that_large_planes_of_a_state_are_mapped_from_disk(self, open_reduction, write_raw, tmp_path, side, mapped):
        reduction = open_reduction([write_raw(tmp_path / "a_0001.fits", np.ones((side, side)))])
        reduction.set("check", shape=side)
        reduction.run_to("add")
        flux = reduction.products[0]["FLUX"]
        assert (find_map(flux) is not None) == mapped
        assert not flux.flags.writeable
        stored = reduction.session.read_products(reduction.current)[0]["FLUX"]
        assert find_map(stored) is not None
        assert np.array_equal(stored, flux)
        reduction.close()

    def test_that_many_states_do_not_stay_in_memory(self, open_reduction, write_raw, tmp_path):
        psutil = pytest.importorskip("psutil")
        path = write_raw(tmp_path / "a_0001.fits", np.ones((360, 360)))  # 1 MB
        reduction = open_reduction([path])
        reduction.set("check", shape=360)
        reduction.run_to("check")
        process = psutil.Process()
        kept = []
        before = process.memory_info().rss - process.memory_info().shared
        for number in range(50):
            reduction.set("add", amount=number)
            reduction.step()
            kept.append(reduction.products)
            reduction.undo()
        grown = process.memory_info().rss - process.memory_info().shared - before
        assert len({id(products) for products in kept}) == 50
        assert grown < 15e6
