"""The engine's process: commands and answers, stopping, death, and going on."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from astropy.io import fits

from sofia_app.worker.client import EngineClient
from sofia_app.worker.protocol import (
    CommandFinished,
    EngineEvent,
    GoToState,
    ListReferences,
    Message,
    Move,
    OpenReduction,
    Preview,
    PreviewFinished,
    ReferencesListed,
    RunSteps,
    SetOutput,
    SetParameters,
    Snapshot,
    Sweep,
    UnsetParameters,
    WorkerLost,
    WorkerReady,
    WorkerRestarted,
    WorkerStopped,
)
from sofia_engine.pipeline.session import SessionReader
from sofia_engine.product import Product

ADD, WORK, SUM = 1, 2, 3


class Recorder:
    """Keeps what a client tells, and waits for it."""

    def __init__(self, folder: Path) -> None:
        self.messages: list[Message] = []
        self.news = threading.Condition()
        self.client = EngineClient(self, [folder])

    def __call__(self, message: Message) -> None:
        with self.news:
            self.messages.append(message)
            self.news.notify_all()

    def wait(self, wanted: Callable[[Message], bool] | type, timeout: float = 30.0) -> Message:
        """Return the first message that fits, waiting for it."""
        fits = wanted if not isinstance(wanted, type) else lambda message: isinstance(message, wanted)
        found: list[Message] = []

        def look() -> bool:
            found[:] = [message for message in self.messages if fits(message)]
            return bool(found)

        with self.news:
            assert self.news.wait_for(look, timeout), f"only {[type(m).__name__ for m in self.messages[-9:]]} came"
        return found[0]

    def do(self, command, timeout: float = 30.0) -> CommandFinished:
        """Send a command and wait for its end."""
        number = self.client.send(command)
        return self.wait(lambda m: isinstance(m, CommandFinished) and m.number == number, timeout)

    @property
    def snapshot(self) -> Snapshot:
        return next(message for message in reversed(self.messages) if isinstance(message, Snapshot))

    @property
    def current(self):
        return next(state for state in self.snapshot.states if state.key == self.snapshot.current)


@pytest.fixture
def engine(lab: Path) -> Iterator[Recorder]:
    recorder = Recorder(lab)
    recorder.client.start()
    yield recorder
    recorder.client.close()


@pytest.fixture
def opened(engine: Recorder, files: list[Path], tmp_path: Path) -> Recorder:
    assert not engine.do(OpenReduction(tuple(map(str, files)), str(tmp_path / "out"))).error
    return engine


def test_that_steps_run_in_a_process_of_their_own_and_report(opened: Recorder, tmp_path: Path) -> None:
    assert not opened.do(RunSteps("all")).error
    assert opened.wait(WorkerReady).pid != os.getpid()
    assert [state.step for state in opened.snapshot.states] == ["", "check", "add", "work", "sum"]
    kinds = {type(m.event).__name__ for m in opened.messages if isinstance(m, EngineEvent)}
    assert {"StepStarted", "StepFinished", "FileWritten", "Progress"} <= kinds
    assert (tmp_path / "out" / "LAB_SUM_0001-0002.fits").exists()


def test_that_products_are_read_from_the_session_while_the_engine_holds_it(opened: Recorder) -> None:
    opened.do(RunSteps("to", ADD))
    reader = SessionReader(Path(opened.snapshot.session))
    state = reader.states()[opened.snapshot.current]
    assert reader.read_products(state)[0]["FLUX"].mean() == pytest.approx(2.0, abs=0.1)


def test_that_an_error_comes_back_as_one_sentence_and_the_state_stays(opened: Recorder) -> None:
    opened.do(SetParameters(SUM, {"fail": "error"}))
    answer = opened.do(RunSteps("all"))
    assert (answer.kind, answer.error) == ("StepError", "LAB_WRK_0001.fits: nothing can be combined; set Fail to no.")
    assert opened.current.step == "work"


def test_that_an_invalid_parameter_is_refused_and_nothing_changes(opened: Recorder) -> None:
    answer = opened.do(SetParameters(ADD, {"amount": 500}))
    assert answer.kind == "ParameterError"
    assert "≤ 100" in answer.error
    assert opened.snapshot.steps[ADD].values["amount"] == 1.0


def test_that_a_command_without_reduction_says_what_to_do(engine: Recorder) -> None:
    assert "open files" in engine.do(RunSteps()).error


def test_that_undo_redo_and_branches_move_in_the_tree(opened: Recorder) -> None:
    opened.do(RunSteps("to", ADD))
    first = opened.snapshot.current
    opened.do(Move("undo"))
    assert opened.snapshot.redo == first
    opened.do(SetParameters(ADD, {"amount": 5.0}))
    opened.do(RunSteps())
    assert opened.snapshot.current != first
    assert [state.step for state in opened.snapshot.states].count("add") == 2
    opened.do(GoToState(first))
    assert opened.snapshot.current == first
    assert opened.do(GoToState("nowhere")).error


def test_that_unset_takes_back_what_was_set(opened: Recorder) -> None:
    opened.do(SetParameters(ADD, {"amount": 5.0, "times": 3}))
    opened.do(UnsetParameters(ADD, "amount"))
    assert opened.snapshot.steps[ADD].origins["amount"] == "built-in"
    assert opened.snapshot.steps[ADD].values["times"] == 3
    opened.do(UnsetParameters())
    assert opened.snapshot.steps[ADD].values["times"] == 1


def test_that_the_output_folder_can_be_changed(opened: Recorder, tmp_path: Path) -> None:
    opened.do(SetOutput(str(tmp_path / "elsewhere")))
    opened.do(RunSteps("to", ADD))
    assert len(list((tmp_path / "elsewhere").glob("LAB_ADD*"))) == 2


def test_that_a_polite_step_stops_within_a_second(opened: Recorder) -> None:
    opened.do(SetParameters(WORK, {"seconds": 60.0}))
    number = opened.client.send(RunSteps("all"))
    opened.wait(lambda m: isinstance(m, EngineEvent) and getattr(m.event, "what", "") == "working")
    started = time.monotonic()
    opened.client.cancel()
    answer = opened.wait(lambda m: isinstance(m, CommandFinished) and m.number == number, 1.0)
    assert time.monotonic() - started < 1.0
    assert answer.cancelled
    assert opened.current.step == "add"
    assert not [m for m in opened.messages if isinstance(m, WorkerStopped)]


@pytest.mark.parametrize("style", ["deaf", "crunch"])
def test_that_a_step_that_ignores_the_wish_is_ended_within_a_second_and_the_session_goes_on(
    opened: Recorder, style: str
) -> None:
    opened.do(SetParameters(WORK, {"seconds": 600.0, "style": style}))
    number = opened.client.send(RunSteps("all"))
    opened.wait(lambda m: isinstance(m, EngineEvent) and getattr(m.event, "step", "") == "work")
    time.sleep(0.3)  # into the step, which says nothing from then on
    started = time.monotonic()
    opened.client.cancel()
    answer = opened.wait(lambda m: isinstance(m, CommandFinished) and m.number == number, 2.0)
    assert time.monotonic() - started < 1.0
    assert answer.cancelled
    assert opened.wait(WorkerRestarted).error == ""
    assert opened.current.step == "add"
    opened.do(SetParameters(WORK, {"seconds": 0.0}))
    assert not opened.do(RunSteps("all")).error


def test_that_a_killed_engine_costs_the_running_step_only(opened: Recorder) -> None:
    opened.do(SetParameters(WORK, {"seconds": 600.0}))
    number = opened.client.send(RunSteps("all"))
    opened.wait(lambda m: isinstance(m, EngineEvent) and getattr(m.event, "what", "") == "working")
    os.kill(opened.client.pid, signal.SIGKILL)
    assert "signal 9" in opened.wait(WorkerLost).reason
    answer = opened.wait(lambda m: isinstance(m, CommandFinished) and m.number == number)
    assert answer.error
    assert not answer.cancelled
    assert opened.wait(WorkerRestarted).session == opened.snapshot.session
    assert opened.current.step == "add"
    assert opened.snapshot.steps[WORK].values["seconds"] == 600.0


def test_that_an_idle_engine_that_dies_is_replaced(engine: Recorder, files: list[Path]) -> None:
    engine.wait(WorkerReady)
    os.kill(engine.client.pid, signal.SIGKILL)
    engine.wait(WorkerRestarted)
    assert not engine.do(OpenReduction(tuple(map(str, files)))).error


def test_that_products_half_written_are_removed_after_a_death(opened: Recorder, tmp_path: Path) -> None:
    part = tmp_path / "out" / f".LAB_ADD_0001.fits.{opened.client.pid}-1.part"
    part.write_bytes(b"half")
    os.kill(opened.client.pid, signal.SIGKILL)
    opened.wait(WorkerRestarted)
    assert not part.exists()


def test_that_an_engine_that_dies_again_and_again_is_not_started_forever(engine: Recorder) -> None:
    for death in range(1, 5):
        engine.wait(lambda m, n=death: sum(isinstance(x, WorkerReady) for x in engine.messages) >= n)
        os.kill(engine.client.pid, signal.SIGKILL)
        engine.wait(lambda m, n=death: sum(isinstance(x, WorkerLost) for x in engine.messages) >= n)
    assert "again and again" in engine.wait(lambda m: isinstance(m, WorkerRestarted) and m.error).error


def test_that_a_preview_is_marked_and_leaves_no_state(opened: Recorder) -> None:
    opened.do(RunSteps("next"))
    assert not opened.do(Preview(ADD, {"addamount": 50.0})).error
    preview = opened.wait(PreviewFinished)
    product = Product.read(preview.path)
    assert product.header["PREVIEW"] is True
    assert product["FLUX"].mean() == pytest.approx(51.0, abs=0.1)
    assert [state.step for state in opened.snapshot.states] == ["", "check"]


def test_that_a_preview_of_256_by_256_pixels_takes_less_than_a_second(lab: Path, tmp_path: Path) -> None:
    from sofia_app.worker.engine import Engine

    header = fits.Header({"INSTRUME": "LAB", "OBJECT": "STAR", "EXPTIME": 3.0})
    path = tmp_path / "raw_0001.fits"
    fits.PrimaryHDU(np.ones((256, 256), np.float32), header).writeto(path)
    told: list[Message] = []
    engine = Engine(told.append)
    try:
        engine.handle(OpenReduction((str(path),)))
        engine.handle(RunSteps("next"))
        started = time.process_time()
        engine.handle(Preview(ADD, {"addamount": 5.0}))
        assert time.process_time() - started < 1.0
        assert isinstance(told[-2], PreviewFinished)
        assert not told[-1].error
    finally:
        engine.shut_down()


def test_that_a_preview_needs_the_step_before(opened: Recorder) -> None:
    assert "step before" in opened.do(Preview(SUM, {})).error


def test_that_a_sweep_makes_a_branch_for_each_value_and_restores_the_parameter(opened: Recorder) -> None:
    assert not opened.do(Sweep(ADD, "amount", (1.0, 2.0, 3.0), SUM)).error
    finals = [state for state in opened.snapshot.states if state.step == "sum"]
    assert len(finals) == 3
    assert opened.snapshot.steps[ADD].origins["amount"] == "built-in"


def test_that_references_are_listed_even_if_there_are_none(opened: Recorder) -> None:
    opened.do(ListReferences())
    assert opened.wait(ReferencesListed).rows == ()


def test_that_nothing_is_left_after_closing(lab: Path, files: list[Path]) -> None:
    before = threading.active_count()
    recorder = Recorder(lab)
    recorder.client.start()
    recorder.do(OpenReduction(tuple(map(str, files))))
    recorder.do(SetParameters(WORK, {"seconds": 600.0, "style": "deaf"}))
    recorder.client.send(RunSteps("all"))
    recorder.wait(lambda m: isinstance(m, EngineEvent) and getattr(m.event, "step", "") == "work")
    pid = recorder.client.pid
    recorder.client.close()
    assert not psutil.pid_exists(pid)
    assert threading.active_count() == before


def test_that_the_engines_process_imports_no_qt() -> None:
    import subprocess
    import sys

    code = "import sys, sofia_app.worker.engine as e; print([m for m in sys.modules if 'PySide' in m])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120).stdout.strip() == "[]"
    )
