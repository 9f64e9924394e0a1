"""Laws of the history of a reduction, tried on random sequences of everything a user can do."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sofia_engine.errors import StepError
from sofia_engine.pipeline.reduction import Reduction

STEPS = ("check", "add", "scale", "pair", "combine", "finish")
VALUES = {"add": "amount", "scale": "factor", "finish": "offset"}


class History(RuleBasedStateMachine):
    """A reduction beside a simple model: a set of paths of (step, value), the current path, and where redo leads.

    The value of a pixel follows from a path by hand.
    """

    raw: Path
    calls: dict[str, int]

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(dir=self.raw.parent))
        self.reduction = Reduction.open([self.raw], session=self.folder / "session")
        self.values = {"add": 1.0, "scale": 2.0, "finish": 0.0}
        self.path = ()
        self.known = {()}
        self.redo_to = {}
        self.keys = {(): self.reduction.root.key}

    def teardown(self):
        if hasattr(self, "reduction"):
            self.reduction.close()
            shutil.rmtree(self.folder)

    # --- what the model expects ---

    def next_path(self, path):
        step = STEPS[len(path)]
        return (*path, (step, self.values.get(step)))

    def compute(self, path):
        value = 10.0
        for step, number in path:
            if step in ("add", "finish"):
                value += number
            elif step == "scale":
                value *= number
            elif step == "pair":  # the mean of one image is itself
                value = 0.0
        return value

    def moved_to(self, path):
        for length in range(len(path)):
            self.redo_to[path[:length]] = path[: length + 1]
        self.path = path

    def expect_step(self, do):
        target = self.next_path(self.path)
        before = dict(self.calls)
        state = do()
        done = {key: number - before.get(key, 0) for key, number in self.calls.items() if number != before.get(key, 0)}
        assert done == ({} if target in self.known else {target[-1][0]: 1})
        self.known.add(target)
        self.keys.setdefault(target, state.key)
        self.moved_to(target)

    # --- what a user can do ---

    @precondition(lambda self: len(self.path) < len(STEPS))
    @rule()
    def step(self):
        self.expect_step(self.reduction.step)

    @rule(step=st.sampled_from(sorted(VALUES)), value=st.sampled_from([1.0, 2.0, 3.0]))
    def set(self, step, value):
        self.reduction.set(step, **{VALUES[step]: value})
        self.values[step] = value

    @rule()
    def undo(self):
        if not self.path:
            with pytest.raises(StepError):
                self.reduction.undo()
            return
        self.reduction.undo()
        self.moved_to(self.path[:-1])

    @rule()
    def redo(self):
        target = self.redo_to.get(self.path)
        if target is None:
            with pytest.raises(StepError):
                self.reduction.redo()
            return
        self.reduction.redo()
        self.moved_to(target)

    @precondition(lambda self: self.path in self.redo_to)
    @rule()
    def redo_then_undo_changes_nothing(self):
        before = self.reduction.current
        target = self.redo_to[self.path]
        self.reduction.redo()
        assert self.reduction.undo() == before
        self.redo_to[self.path] = target

    @precondition(lambda self: self.path)
    @rule()
    def undo_then_redo_changes_nothing(self):
        before = self.reduction.current
        self.reduction.undo()
        assert self.reduction.redo() == before

    @rule()
    def reset(self):
        states = self.reduction.states
        self.reduction.reset()
        assert self.reduction.states == states
        self.moved_to(())

    @rule(data=st.data())
    def go(self, data):
        target = data.draw(st.sampled_from(sorted(self.known, key=repr)))
        self.reduction.go(self.reduction.states[self.keys[target]])
        self.moved_to(target)

    @rule(index=st.integers(0, len(STEPS) - 1))
    def run_to(self, index):
        before = dict(self.calls)
        state = self.reduction.run_to(STEPS[index])
        wanted = ()
        fresh = set()
        kept = self._valid_part(index)
        while len(wanted) <= index:
            wanted = self.next_path(wanted)
            if wanted not in self.known:
                fresh.add(wanted[-1][0])
            self.known.add(wanted)
        assert {key for key in self.calls if self.calls[key] != before.get(key, 0)} == fresh
        for reached in self.reduction.path_to(state):
            self.keys.setdefault(wanted[: reached.index + 1], reached.key)
        if kept != self.path:
            self.moved_to(kept)
        self.moved_to(wanted)

    def _valid_part(self, index):
        part = ()
        while len(part) <= index and len(part) < len(self.path) and self.next_path(part) == self.path[: len(part) + 1]:
            part = self.next_path(part)
        return part

    @rule()
    def reduce(self):
        while len(self.path) < len(STEPS):
            self.expect_step(self.reduction.step)
        assert self.reduction.reduce() == self.reduction.current

    @rule()
    def close_and_resume(self):
        before = self.reduction.current, self.reduction.states, [p["FLUX"].copy() for p in self.reduction.products]
        self.reduction.close()
        self.reduction = Reduction.resume(self.folder / "session")
        assert (self.reduction.current, self.reduction.states) == before[:2]
        np.testing.assert_array_equal([p["FLUX"] for p in self.reduction.products], before[2])

    # --- what is always so ---

    @invariant()
    def current_state_and_value_are_those_of_the_model(self):
        if not hasattr(self, "reduction"):
            return
        assert self.reduction.current.key == self.keys[self.path]
        assert [s.step for s in self.reduction.path_to(self.reduction.current)][1:] == [step for step, _ in self.path]
        assert self.reduction.products[0]["FLUX"][0, 0] == self.compute(self.path)

    @invariant()
    def every_branch_is_kept(self):
        if hasattr(self, "reduction"):
            assert set(self.reduction.states) == set(self.keys.values())
            assert len(self.keys) == len(self.known) == len(set(self.keys.values()))


def test_that_the_laws_of_history_hold_for_any_sequence_of_actions(bench, calls, tmp_path):
    History.raw = tmp_path / "raw_0001.fits"
    History.calls = calls
    header = fits.Header([("INSTRUME", "BENCH"), ("OBJECT", "X")])
    fits.PrimaryHDU(np.full((8, 8), 10.0), header).writeto(History.raw)
    run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=80, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
