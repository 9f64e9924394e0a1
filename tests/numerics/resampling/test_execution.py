import threading
import tracemalloc
from concurrent.futures import CancelledError

import numpy as np
import pytest

from sofia_engine.numerics.resampling import AdaptiveSmoothing, LocalRegression, Resampler
from sofia_engine.numerics.resampling.execution import run_blocks
from sofia_engine.numerics.resampling.rules import count_workers


def make(count=20000, jobs=2, **keywords):
    p = np.random.default_rng(3).uniform(0, 100, (2, count))
    return Resampler(p, p[0], 0.1, LocalRegression(2.5, 1, smoothing=1.0, jobs=jobs, **keywords))


AXES = np.linspace(0, 100, 150), np.linspace(0, 100, 150)


@pytest.mark.parametrize("jobs", [1, 2])
def test_that_progress_rises_to_the_number_of_points(jobs):
    calls = []
    make(jobs=jobs)(*AXES, progress=lambda done, total: calls.append((done, total)))
    assert len(calls) >= 8
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert calls[-1] == (150 * 150, 150 * 150)


@pytest.mark.parametrize("jobs", [1, 2])
def test_that_an_exception_in_progress_ends_the_work_and_is_passed_on(jobs):
    calls = []

    def stop(done, total):
        calls.append(done)
        raise KeyError("enough")

    threads = threading.active_count()
    with pytest.raises(KeyError, match="enough"):
        make(jobs=jobs)(*AXES, progress=stop)
    assert len(calls) == 1
    assert threading.active_count() == threads


@pytest.mark.parametrize("adaptive", [None, AdaptiveSmoothing()], ids=["static", "adaptive"])
def test_that_work_can_be_cancelled(adaptive):
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(CancelledError, match="cancelled"):
        make(adaptive=adaptive)(*AXES, cancelled=cancelled)
    assert len(asked) == 4


def test_that_an_error_in_a_thread_reaches_the_caller():
    def fail(start, stop):
        raise OSError(f"block {start}")

    with pytest.raises(OSError, match="block"):
        run_blocks(fail, 100, 10, threads=3)


def test_that_blocks_cover_everything_once():
    seen = np.zeros(1003, dtype=int)

    def count(start, stop):
        seen[start:stop] += 1

    run_blocks(count, 1003, 10, threads=4)
    np.testing.assert_array_equal(seen, 1)
    run_blocks(count, 0, 10)


def test_that_jobs_are_counted_as_the_table_says(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert [count_workers(jobs) for jobs in (None, 0, 1, 3, -1, -2, -20, 0.5, 0.01)] == [8, 1, 1, 3, 8, 7, 1, 4, 1]


def test_that_results_do_not_depend_on_threads_or_blocks():
    one, many = make(jobs=1)(*AXES, details=True), make(jobs=5)(*AXES, details=True)
    for name, plane in vars(one).items():
        np.testing.assert_array_equal(getattr(many, name), plane, err_msg=name)


def test_that_memory_beside_samples_and_results_stays_flat():
    """Ten times the samples in each window; what compiled code takes is measured by the benchmark."""
    extra = []
    for count in (20_000, 200_000):
        resampler = make(count, jobs=1)
        resampler(50.0, 50.0)
        tracemalloc.start()
        result = resampler(*AXES)
        extra.append(
            tracemalloc.get_traced_memory()[1]
            - sum(plane.nbytes for plane in vars(result).values() if plane is not None)
        )
        tracemalloc.stop()
    assert max(extra) < 3e6
    assert extra[1] < extra[0] + 1e6


def test_that_all_uses_share_one_compiled_kernel():
    """Another type of an argument would cost users half a minute of compilation at an unexpected moment."""
    from sofia_engine.numerics.resampling import ConvolutionKernel, KernelResampler
    from sofia_engine.numerics.resampling._kernel import regress

    rng = np.random.default_rng(1)
    for dimensions in (1, 2, 3, 4):
        p = rng.uniform(0, 1, (dimensions, 400))
        p.setflags(write=False)
        data = rng.normal(size=(2, 400)).astype(np.float32)
        for rule in (
            LocalRegression(1.0, 1, adaptive=AdaptiveSmoothing("shaped"), edge_threshold=0.1),
            LocalRegression((1,) * dimensions, (1,) * dimensions, relative_smooth=True, smoothing=0.3, jobs=1),
            LocalRegression(order=0, fit_threshold=1, local_robust=3, error_mode="sandwich", is_covar=True),
        ):
            Resampler(p, data, [1, 2], rule)(np.full((dimensions, 3), 0.5), details=True)
            Resampler(p.astype(">f8"), data[0], 1, rule, mask=np.arange(400) > 3)(*[0.5] * dimensions)
        kernel = ConvolutionKernel.of_grid(np.ones((4,) * dimensions, dtype=int), 1)
        KernelResampler(p, data[1], kernel)(*[np.array([0, 1])] * dimensions)
    assert len(regress.signatures) == 1
