"""The process that draws quick-look maps."""

import math
import os
import signal
import sys
import time
from functools import partial

import numpy as np
import pytest

from sofia_engine import helper_process, painter
from sofia_engine.errors import CancelledError, InputError
from sofia_engine.map_figure import ImageMap
from sofia_engine.quicklook import MapParameters, draw_map, render_map

IMAGE = ImageMap(np.random.default_rng(1).normal(size=(20, 30)), title="a title", unit="Jy/pixel")
LOOK = MapParameters()


def test_that_the_process_draws_what_is_drawn_here_and_keeps_the_look() -> None:
    look = MapParameters(colormap="gray", n_contour=3)
    with painter.started():
        pictures = [draw_map(IMAGE, LOOK), draw_map(IMAGE, look)]
    assert pictures == [render_map(IMAGE), render_map(IMAGE, look)]


def test_that_without_a_process_maps_are_drawn_here() -> None:
    assert draw_map(IMAGE, LOOK) == render_map(IMAGE)


def test_that_an_error_of_the_map_is_raised_and_the_process_draws_on() -> None:
    with painter.started():
        with pytest.raises(InputError, match="no finite pixel"):
            draw_map(ImageMap(np.full((3, 3), np.nan)), LOOK)
        assert draw_map(IMAGE, LOOK).startswith(b"\x89PNG")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_that_a_process_that_was_killed_is_done_without() -> None:
    with painter.started():
        assert painter._process is not None
        os.kill(painter._process.process.pid, signal.SIGKILL)
        assert draw_map(IMAGE, LOOK) == render_map(IMAGE)
        assert draw_map(IMAGE, LOOK).startswith(b"\x89PNG")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_that_ctrl_c_does_not_end_the_process_and_nothing_is_left_of_it_at_the_end() -> None:
    with painter.started():
        draw_map(IMAGE, LOOK)
        assert painter._process is not None
        process = painter._process.process
        process.send_signal(signal.SIGINT)
        assert draw_map(IMAGE, LOOK).startswith(b"\x89PNG")
    assert process.returncode is not None
    assert painter._process is None


def test_that_where_no_process_can_be_begun_maps_are_drawn_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper_process, "program_command", lambda: ["/no/such/program"])
    with painter.started():
        assert painter._process is None
        assert draw_map(IMAGE, LOOK).startswith(b"\x89PNG")


def test_that_a_process_that_hangs_is_ended_and_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    program = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(helper_process, "program_command", lambda: program)
    monkeypatch.setattr(painter, "_PATIENCE", 0.3)
    with painter.started():
        assert draw_map(IMAGE, LOOK).startswith(b"\x89PNG")
        assert painter._process is None


def test_that_the_process_works_out_what_it_is_given_while_it_waits_for_maps() -> None:
    looks: list[int] = []
    with painter.started():
        painter.prepare(math.factorial)  # a task that fails: nobody waits for it
        painter.prepare(partial(math.factorial, 3))
        assert painter.work_out(partial(math.fsum, (1.0, 2.0)), lambda: looks.append(1)) == 3.0
        assert draw_map(IMAGE, LOOK) == render_map(IMAGE)
    assert looks


def test_that_what_fails_there_or_has_no_process_is_left_to_this_one() -> None:
    assert painter.work_out(partial(math.fsum, (1.0,)), lambda: None) is None
    painter.prepare(math.factorial)
    with painter.started():
        assert painter.work_out(partial(math.sqrt, -1.0), lambda: None) is None
        assert painter.work_out(partial(math.fsum, (1.0,)), lambda: None) == 1.0


def test_that_a_wish_to_stop_ends_the_process_at_once() -> None:
    looks: list[int] = []

    def stop() -> None:
        looks.append(1)
        if len(looks) > 2:
            raise CancelledError("Stopped by the user.")

    with painter.started():
        assert painter._process is not None
        process = painter._process.process
        with pytest.raises(CancelledError):
            painter.work_out(partial(time.sleep, 600), stop)
        assert process.wait(20) != 0
        assert painter._process is None
        assert draw_map(IMAGE, LOOK).startswith(b"\x89PNG")


def test_that_a_fit_is_the_same_there_and_here() -> None:
    from sofia_engine.kernels import load_resampling
    from sofia_engine.numerics.resampling import LocalRegression, resample_points

    rng = np.random.default_rng(3)
    places, points = rng.uniform(0, 5, (3, 800)), rng.uniform(1, 4, (3, 60))
    rule = LocalRegression(window=1.5, order=2, smoothing=0.5, error_mode="sandwich")
    fit = partial(resample_points, places, rng.normal(size=800), points, rule, rng.uniform(0.1, 0.2, 800), robust=5.0)
    with painter.started():
        painter.prepare(load_resampling)
        there = painter.work_out(fit, lambda: None)
    here = fit()
    assert there is not None
    assert np.isfinite(here.values).all()
    assert np.array_equal(there.values, here.values)
    assert np.array_equal(there.errors, here.errors)
