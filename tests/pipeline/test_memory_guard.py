"""The memory guard: a set that is big for the memory gives the same result, with memory that does not grow with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine import memory
from sofia_engine.errors import NotEnoughMemoryError, ParameterError
from sofia_engine.memory import format_size, parse_size
from sofia_engine.pipeline import memory_guard
from sofia_engine.pipeline.memory_guard import MemoryNeed, find_map, plan_inputs, plan_step, size_of
from sofia_engine.product import Product, Table

TOYS = Path(__file__).parents[1] / "toy_instruments"
SIZE = 724
MB = 1e6
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory that Linux tells")

REDUCE = """
import json, resource, sys, threading
import numpy as np
import sofia_engine.instruments as instruments
instruments.__path__.append(sys.argv[1])
from sofia_engine.pipeline.reduction import Reduction
import sofia_engine.quality, concurrent.futures

def read(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith(name))

room = float(sys.argv[2])
warm = np.random.default_rng(1).normal(size=100).mean()
if room:
    resource.setrlimit(resource.RLIMIT_DATA, (int(read("VmData") + room),) * 2)
before, peak, done = (read("RssAnon"), read("VmRSS")), [0.0, 0.0], threading.Event()
def sample():
    while not done.wait(0.002):
        peak[:] = max(peak[0], read("RssAnon")), max(peak[1], read("VmRSS"))
threading.stack_size(2**18)
watch = threading.Thread(target=sample)
watch.start()
notes = []
try:
    sink = lambda event: notes.append(str(getattr(event, "message", "")))
    with Reduction.open(sys.argv[4:], session=sys.argv[3], sink=sink) as reduction:
        reduction.run_to("add")
    error = ""
except Exception as problem:
    error = f"{type(problem).__name__}: {problem}"
done.set(); watch.join()
print(json.dumps({"heap": peak[0] - before[0], "all": peak[1] - before[1], "error": error, "notes": notes}))
"""


@pytest.fixture
def many_files(tmp_path):
    """Give a function that writes raw files of the toy instrument, 2 MB each."""

    def write(count):
        made = []
        for number in range(1, count + 1):
            header = fits.Header([("INSTRUME", "TOY"), ("OBJECT", "STAR"), ("EXPTIME", 3.0)])
            data = np.random.default_rng(number).normal(number, 1, (SIZE, SIZE)).astype(np.float32)
            made.append(tmp_path / "raw" / f"raw_{number:04d}.fits")
            made[-1].parent.mkdir(exist_ok=True)
            fits.PrimaryHDU(data, header).writeto(made[-1], overwrite=True)
        return made

    return write


@pytest.fixture
def reduce(tmp_path):
    """Give a function that reduces files in a process of its own: limit of the guard, room in its data segment."""

    def run(files, session, limit="", room=0.0):
        command = [sys.executable, "-W", "ignore", "-c", REDUCE, str(TOYS), str(room), str(tmp_path / session)]
        # arrays go back to the system at once, so that the heap is what is in use
        environment = os.environ | {
            "SOFIA_DESK_MEMORY": limit,
            "MALLOC_MMAP_THRESHOLD_": "65536",
            "MALLOC_ARENA_MAX": "1",
        }
        environment |= {"OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, *map(str, files)], env=environment, capture_output=True, text=True, timeout=120, check=True
        )
        return json.loads(done.stdout)

    return run


def load_states(session, step):
    """Return the planes of the products of a step by file name."""
    for path in Path(session).glob("nodes/*/node.json"):
        node = json.loads(path.read_text())
        if node["step"] == step:
            return {name: np.load(path.parent / f"{number:04d}-00.npy") for number, name in enumerate(node["products"])}
    raise AssertionError(f"{step} was not done")


@linux
def test_that_sixty_files_in_a_limited_process_give_the_same_result_as_without_limit(many_files, reduce, tmp_path):
    files = many_files(60)
    free = reduce(files, "free", limit="unlimited")
    small = reduce(files, "small", room=100 * MB)
    assert (free["error"], small["error"]) == ("", "")
    assert any("memory is short" in note for note in small["notes"])
    expected, found = load_states(tmp_path / "free", "add"), load_states(tmp_path / "small", "add")
    assert list(found) == list(expected)
    assert len(found) == 60
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert not (tmp_path / "small" / "released").exists()


@linux
def test_that_the_same_process_without_guard_has_not_enough_memory(many_files, reduce):
    told = reduce(many_files(60), "free", limit="unlimited", room=100 * MB)
    assert told["error"].startswith("NotEnoughMemoryError: There is not enough memory to load")


@linux
def test_that_memory_does_not_grow_with_the_number_of_inputs(many_files, reduce):
    files = many_files(60)
    few, many = (reduce(files[:count], f"of{count}", limit="220M") for count in (15, 60))
    assert (few["error"], many["error"]) == ("", "")
    assert many["heap"] - few["heap"] < 12 * MB  # 45 more files of 2 MB, and as much of results
    assert many["all"] - few["all"] < 25 * MB  # pages of mapped files count here, too


@linux
def test_that_limits_of_the_process_and_the_user_are_seen():
    code = (
        "import resource; from sofia_engine.memory import available_memory as a;"
        "f = a(); resource.setrlimit(resource.RLIMIT_DATA, (2**31, 2**31)); print(f, a(), a(1e9))"
    )
    free, limited, of_user = map(
        float,
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        ).stdout.split(),
    )
    assert 0 < limited < 2**31
    assert limited <= free
    assert 0.7e9 < of_user < 1e9 or of_user < limited


def test_that_control_groups_leave_what_they_say(tmp_path):
    group = tmp_path / "user.slice"
    group.mkdir()
    (group / "memory.max").write_text("1000000\n")
    (group / "memory.current").write_text("700000\n")
    (group / "memory.stat").write_text("anon 1\ninactive_file 200000\nactive_file 50000\n")
    names = ("memory.max", "memory.current")
    assert list(memory._left_in(tmp_path, "/user.slice", *names)) == [550000.0]
    (group / "memory.max").write_text("max\n")
    assert list(memory._left_in(tmp_path, "/user.slice", *names)) == []


@pytest.mark.parametrize(
    ("text", "size"),
    [("4G", 4e9), ("500 MB", 5e8), ("1.5g", 1.5e9), ("2GiB", 2e9), ("1000", 1e3), ("auto", None), ("", None),
     ("unlimited", float("inf"))],
)  # fmt: skip
def test_that_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["much", "-4G", "0", "4 parsecs"])
def test_that_other_words_are_refused_with_what_is_allowed(text):
    with pytest.raises(ParameterError, match="a number such as 4G"):
        parse_size(text)


def test_that_sizes_are_told_in_words():
    assert (format_size(3.21e9), format_size(7.5e8), format_size(-1.0)) == ("3.2 GB", "750 MB", "0 MB")


@pytest.fixture
def steps(toy_instrument):
    from sofia_engine.instruments import find_recipe

    return {step.key: step for step in find_recipe("toy-imaging").steps}


@pytest.fixture
def images():
    """Eight products of 8 MB."""
    plane = np.ones((1000, 1000))
    return [Product.of(fits.Header(), {"FLUX": plane}) for _ in range(8)]


def set_free(monkeypatch, free):
    monkeypatch.setattr(memory_guard, "available_memory", lambda _limit: free)


@pytest.mark.parametrize(
    ("free", "jobs", "on_disk"), [(1e9, 4, False), (300e6, 4, True), (140e6, 2, True), (97e6, 1, True)]
)
def test_that_less_memory_means_fewer_inputs_at_a_time(steps, images, monkeypatch, free, jobs, on_disk):
    set_free(monkeypatch, free)
    plan = plan_step(steps["add"], MemoryNeed(4), images, 4, None)
    assert (plan.jobs, plan.on_disk) == (jobs, on_disk)


def test_that_a_step_that_cannot_fit_says_what_it_needs_what_there_is_and_what_to_do(steps, images, monkeypatch):
    set_free(monkeypatch, 95e6)
    with pytest.raises(
        NotEnoughMemoryError,
        match=r"Add Amount needs about 96 MB of memory for an input of 8 MB, and 95 MB is free: close .*--memory unlim",
    ):
        plan_step(steps["add"], MemoryNeed(4), images, 4, None)
    with pytest.raises(NotEnoughMemoryError, match="95 MB is left of the limit of 120 MB: raise the limit, or run"):
        plan_step(steps["add"], MemoryNeed(4), images, 4, 120e6)
    with pytest.raises(NotEnoughMemoryError, match="Combine needs about 320 MB of memory for its 8 inputs of 64 MB"):
        plan_step(steps["sum"], MemoryNeed(4), images, 4, None)
    set_free(monkeypatch, 97e6)
    assert plan_step(steps["sum"], MemoryNeed(4, one_by_one=True), images, 4, None).on_disk


def test_that_unlimited_switches_the_guard_off_and_small_sets_are_not_looked_at(steps, images, monkeypatch):
    set_free(monkeypatch, 0.0)
    assert plan_step(steps["add"], MemoryNeed(4), images, 4, float("inf")).jobs == 4
    assert plan_inputs(float("inf")) == float("inf")
    assert plan_step(steps["add"], MemoryNeed(4), images[:2], 4, None).jobs == 4


def test_that_a_step_is_refused_before_it_begins_and_done_once_it_is_allowed(
    open_reduction, raw_files, monkeypatch, calls
):
    reduction = open_reduction(raw_files)
    step = reduction.next_step.key
    monkeypatch.setenv("SOFIA_DESK_MEMORY", "1M")
    with pytest.raises(NotEnoughMemoryError, match="is left of the limit of 1 MB"):
        reduction.step()
    assert reduction.current is reduction.root
    monkeypatch.setenv("SOFIA_DESK_MEMORY", "unlimited")
    assert reduction.step().step == step


def test_that_a_released_product_is_mapped_and_the_same_and_its_state_shares_the_files(open_reduction, raw_files):
    session = open_reduction(raw_files).session
    columns = [fits.Column("X", "E", array=np.arange(9.0)), fits.Column("N", "8A", array=["a"] * 9)]
    table = Table.of(fits.BinTableHDU.from_columns(columns))
    made = Product.of(fits.Header(), {"FLUX": np.ones((5, 6)), "LIST": table})
    released = session.release(made)
    assert released.same(made)
    assert all(find_map(extension.data) is not None for extension in released.extensions.values())
    assert session.release(released) is released
    assert size_of(released) == size_of(made)
    memory_guard.forget_pages(released)
    assert released.same(made)  # read again from disk
    session.discard_released()
    assert released.same(made)


def test_that_rows_of_varying_length_stay_in_memory(open_reduction, raw_files):
    session = open_reduction(raw_files).session
    rows = np.empty(2, dtype=object)
    rows[:] = [np.arange(3.0), np.arange(5.0)]
    table = Table.of(fits.BinTableHDU.from_columns([fits.Column("V", "PD()", array=rows)]))
    released = session.release(Product.of(fits.Header(), {"LIST": table}))
    assert released.tables["LIST"].same(table)


def test_that_a_full_disk_stops_the_step_instead_of_setting_inputs_aside(open_reduction, raw_files, monkeypatch):
    from sofia_engine.errors import SessionError
    from sofia_engine.pipeline import reduction as module
    from sofia_engine.pipeline.memory_guard import MemoryPlan

    reduction = open_reduction(raw_files)
    reduction.step()
    monkeypatch.setattr(module, "plan_step", lambda *_: MemoryPlan(2, on_disk=True))

    def refuse(_product):
        raise SessionError("there is no room")

    monkeypatch.setattr(reduction.session, "release", refuse)
    with pytest.raises(SessionError, match="no room"):
        reduction.step()
