"""Many reductions at once."""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest

from sofia_engine.batch import GroupResult, local_executor, name_folders, reduce_groups, split_by_observation
from sofia_engine.pipeline.detection import Inspection, inspect_files
from sofia_engine.pipeline.events import Event, StepStarted
from sofia_engine.pipeline.run import Cancel
from sofia_engine.pipeline.run_options import RunOptions
from sofia_engine.pipeline.runner import RunRequest

pytestmark = pytest.mark.usefixtures("toy_instrument", "sessions")


class Client:
    """As a dask client is: no executor, but it has one."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool

    def get_executor(self) -> Executor:
        return self._pool


@pytest.fixture
def night(tmp_path: Path, make_raw: Callable[..., Path]) -> Inspection:
    """Files of three targets."""
    targets = ["STAR", "MOON", "STAR", "MARS"]
    paths = [make_raw(tmp_path / f"raw_{n}.fits", n, OBJECT=target) for n, target in enumerate(targets)]
    return inspect_files(paths)


@pytest.fixture
def request_for_all(tmp_path: Path) -> RunRequest:
    return RunRequest(options=RunOptions(output_directory=tmp_path / "out"), jobs=1)


@pytest.mark.parametrize("where", ["here", "threads", "client"])
def test_that_every_group_is_reduced_wherever_the_work_is_sent(
    night: Inspection, request_for_all: RunRequest, where: str
) -> None:
    told: list[tuple[GroupResult, int, int]] = []
    with ThreadPoolExecutor(2) as pool:
        executor = {"here": None, "threads": pool, "client": Client(pool)}[where]
        results = reduce_groups(night, request_for_all, executor=executor, tell=lambda *now: told.append(now))
    assert [result.result.status for result in results] == ["finished"] * 3
    assert [len(result.result.inputs) for result in results] == [2, 1, 1]
    assert [done for _, done, _ in told] == [1, 2, 3]
    assert all((result.folder / "outfiles.txt").exists() for result in results)


def test_that_a_group_that_fails_does_not_hold_up_the_others(
    night: Inspection, request_for_all: RunRequest, tmp_path: Path
) -> None:
    folder = tmp_path / "out" / name_folders(night.groups)[1]
    folder.parent.mkdir()
    folder.touch()  # so that it cannot be made
    results = reduce_groups(night, request_for_all)
    assert [result.result.status for result in results] == ["finished", "failed", "finished"]
    assert folder.name in results[1].result.error


def test_that_groups_not_begun_are_left_when_the_user_stops(night: Inspection, request_for_all: RunRequest) -> None:
    cancel = Cancel()

    def stop_at_second_group(event: Event) -> None:
        if isinstance(event, StepStarted) and event.step == "sum":
            cancel.set()

    results = reduce_groups(night, request_for_all, cancel=cancel, sink=stop_at_second_group)
    assert [result.result.status for result in results] == ["interrupted"] * 3
    assert "Not begun" not in results[0].result.error
    assert all("Not begun" in result.result.error for result in results[1:])


def test_that_a_process_that_dies_is_a_failure_of_its_group(night: Inspection, request_for_all: RunRequest) -> None:
    # processes of their own do not know the toy instrument: what comes back is an error, not an end of the program
    with local_executor(1) as executor:
        results = reduce_groups(night, request_for_all, executor=executor)
    assert [result.result.status for result in results] == ["failed"] * 3
    assert all("TOY is not supported" in result.result.error for result in results)


def test_that_observations_are_kept_apart_and_folders_have_different_names(
    tmp_path: Path, make_raw: Callable[..., Path]
) -> None:
    plans = [{"AOR_ID": "90_0001_1"}, {"AOR_ID": "90_0001_2"}, {"AOR_ID": "90_0001_1", "MISSN-ID": "F1"}, {}]
    paths = [make_raw(tmp_path / f"raw_{n}.fits", **plan) for n, plan in enumerate(plans)]
    inspection = inspect_files(paths)
    assert len(inspection.groups) == 1
    groups = split_by_observation(inspection).groups
    names = name_folders(groups)
    assert names == [
        "toy-imaging-STAR-STAR-raw-90_0001_1",
        "toy-imaging-STAR-STAR-raw-90_0001_2",
        "toy-imaging-STAR-STAR-raw-F1-90_0001_1",
        "toy-imaging-STAR-STAR-raw",
    ]
    assert name_folders([groups[3], groups[3], groups[3]]) == [names[3], f"{names[3]}~2", f"{names[3]}~3"]
