#!/usr/bin/env python3
"""Measure whole processes: wall time and memory of reductions, start-up, and the first run after an installation.

    python3 make.py bench [--reference PATH_TO_REDUX_PIPE] [--runs 5] [--first-run]

The golden sets beside the project are reduced, or simulated ones where they are absent. With ``--reference`` the
published pipeline reduces the same files in turn with ours, in alternating order. Every run has fresh folders for
products and sessions; caches are warm. Memory is the largest sum over the process and its children, shared pages
counted in parts (Linux only). Only the standard library is used here. Exit status 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "../shared/golden"
ATRAN = "atran.fits"
"""Model of the atmosphere among the raw files of a set."""
TARGETS = {"memory": 0.5, "import": 0.3, "help": 0.4, "first run": 1.5}
_KILOBYTE = 1024
_SAMPLING = 0.02


@dataclass(frozen=True)
class Set:
    """A golden set, the simulation that takes its place, and how much faster we are to be."""

    name: str
    simulation: str
    speed: float = 4.0


SETS = {
    "nmc": Set("forcast_img_nmc", "forcast-imaging-nmc"),
    "npc": Set("forcast_img_npc", "forcast-imaging-npc"),
    "c2nc2": Set("forcast_img_c2nc2", "forcast-imaging-c2nc2"),
    "grism": Set("forcast_gri_g063", "forcast-grism-nmc"),
    "slit scan": Set("forcast_gri_scan", "forcast-grism-slitscan", 8.0),
    "fifi red": Set("fifi_sym_red", "fifi-ls-symmetric", 5.0),
    "fifi blue": Set("fifi_sym_blue", "fifi-ls-symmetric", 5.0),
}


@dataclass(frozen=True)
class Inputs:
    """Raw files, and a parameter file (in the old form, which both programs read) if they need one."""

    files: tuple[Path, ...]
    configuration: Path | None = None


@dataclass(frozen=True)
class Program:
    """A command line that takes raw files and an output folder."""

    name: str
    words: tuple[str, ...]

    def command(self, inputs: Inputs, output: Path) -> list[str]:
        """Words of the command line for some files."""
        options = ["-c", str(inputs.configuration)] if inputs.configuration else []
        return [*self.words, *map(str, inputs.files), *options, "-o", str(output)]


@dataclass
class Figures:
    """Runs of one program on one set."""

    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median wall time, s."""
        return statistics.median(self.seconds)

    @property
    def peak(self) -> float:
        """Median of the largest memory, MB; NaN where it cannot be measured."""
        return statistics.median(self.megabytes) if self.megabytes else float("nan")

    def __str__(self) -> str:
        spread = f"{min(self.seconds):.2f} to {max(self.seconds):.2f}"
        processor = statistics.median(self.processor)
        return f"{self.median:6.2f} s ({spread}), processor {processor:5.2f} s, {self.peak:5.0f} MB"


def make_environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables of a run: those of this process, but modules are compiled once, as they are after an installation."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | dict(changes or {})


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sofia-desk-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def time_run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[float, float]:
    """Run a command to its end; return wall and processor seconds, children included."""
    before = os.times()
    start = time.perf_counter()
    finished = subprocess.run(command, env=make_environment(environment), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    after = os.times()
    if finished.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{finished.stdout[-2000:]}\n{finished.stderr[-2000:]}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, used


def measure_memory(command: Sequence[str], environment: Mapping[str, str] | None = None) -> float | None:
    """Run a command; return the largest memory of it and its children in MB, or None where that cannot be seen."""
    if not Path("/proc/self/smaps_rollup").exists():
        return None
    process = subprocess.Popen(
        command, env=make_environment(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    largest = 0.0
    ended = threading.Event()
    threading.Thread(target=lambda: (process.wait(), ended.set()), daemon=True).start()
    while not ended.wait(_SAMPLING):
        largest = max(largest, sum(map(read_memory, list_family(process.pid))))
    return largest


def list_family(root: int) -> list[int]:
    """A process and all its descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(words[1])
    family = [root]
    for member in family:
        family += [pid for pid, parent in parents.items() if parent == member]
    return family


def read_memory(pid: int) -> float:
    """Memory of a process in MB, each shared page divided by the number of its users."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / _KILOBYTE


def find_sets(folder: Path, ours: Program, keys: Sequence[str]) -> dict[str, Inputs]:
    """Raw files of each set, unpacked; simulated where there are no golden ones."""
    found = {}
    for key in keys:
        raw = folder / f"raw_{key.replace(' ', '_')}"
        raw.mkdir()
        packed = sorted((GOLDEN / SETS[key].name / "raw").glob("*.fits.gz"))
        for path in packed:
            (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        if not packed:
            time_run([ours.words[0], "simulate", SETS[key].simulation, str(raw)])
        files = tuple(path for path in sorted(raw.glob("*.fits*")) if path.name != ATRAN)
        found[key] = Inputs(files, write_configuration(raw) if (raw / ATRAN).exists() else None)
    return found


def write_configuration(raw: Path) -> Path:
    """A parameter file that names the model of the atmosphere of a set."""
    path = raw / "parameters.cfg"
    path.write_text(f"[telluric_correct]\nuse_ecmwf = False\natran_file = {raw / ATRAN}\n")
    return path


def run_once(program: Program, inputs: Inputs, figures: Figures, *, memory: bool = False) -> None:
    """Reduce some files with fresh folders, and note time or memory."""
    with scratch() as folder:
        command = program.command(inputs, folder / "products")
        environment = {"SOFIA_DESK_SESSIONS": str(folder / "sessions")}
        if memory:
            peak = measure_memory(command, environment)
            figures.megabytes += [] if peak is None else [peak]
        else:
            seconds, used = time_run(command, environment)
            figures.seconds.append(seconds)
            figures.processor.append(used)


def compare(programs: Sequence[Program], inputs: Inputs, runs: int) -> dict[str, Figures]:
    """Run the programs in turn, the first one changing, after one run of each that is not counted."""
    figures = {program.name: Figures() for program in programs}
    for program in programs:
        run_once(program, inputs, Figures())
    for turn in range(runs):
        for program in programs if turn % 2 else reversed(programs):
            run_once(program, inputs, figures[program.name])
    for _ in range(2):
        for program in programs:
            run_once(program, inputs, figures[program.name], memory=True)
    return figures


def measure_start(runs: int) -> dict[str, float]:
    """Seconds to import the engine, beyond those of a bare interpreter, and to show the help."""
    times: dict[str, list[float]] = {"bare": [], "import": [], "help": []}
    commands = {
        "bare": [sys.executable, "-c", "pass"],
        "import": [sys.executable, "-c", "import sofia_engine"],
        "help": [find_program("sofia-desk"), "--help"],
    }
    for _ in range(2 * runs + 1):
        for name, command in commands.items():
            times[name].append(time_run(command)[0])
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {"import": medians["import"] - medians["bare"], "help": medians["help"]}


def find_program(name: str) -> str:
    """A program of the environment this runs in."""
    beside = Path(sys.executable).with_name(name)
    return str(beside if beside.exists() else shutil.which(name) or name)


def measure_first_run(inputs: Inputs, runs: int) -> dict[str, Figures]:
    """Install the project afresh; compare runs with empty caches and with warm ones.

    The reference files stay, as they do for a user who has fetched them; all other caches of the user are empty.
    """
    figures = {"first": Figures(), "warm": Figures()}
    with scratch() as folder:
        environment = folder / "venv"
        time_run([sys.executable, "-m", "venv", str(environment)])
        time_run([str(environment / "bin/pip"), "install", "--quiet", str(ROOT)])
        program = Program("installed", (str(environment / "bin/sofia-desk"), "reduce"))
        data = find_data_folder()
        for _ in range(runs):
            with scratch() as home:
                caches = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "SOFIA_DESK_DATA": data}
                for kind in ("first", "warm"):
                    command = program.command(inputs, home / kind)
                    seconds, used = time_run(command, caches | {"SOFIA_DESK_SESSIONS": str(home / f"sessions-{kind}")})
                    figures[kind].seconds.append(seconds)
                    figures[kind].processor.append(used)
    return figures


def find_data_folder() -> str:
    """Where the reference files are."""
    asked = subprocess.run([find_program("sofia-desk"), "data", "path"], capture_output=True, text=True, check=True)
    return asked.stdout.strip().splitlines()[-1]


def judge(what: str, value: float, target: float, *, at_least: bool = False) -> bool:
    """Say how a figure compares with its target."""
    good = value >= target if at_least else value <= target
    limit = f"{'at least' if at_least else 'at most'} {target:g}"
    print(f"  {what}: {value:.2f} (target {limit}) {'ok' if good else 'MISSED'}")
    return good


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", metavar="PATH", help="command of the published pipeline, redux_pipe")
    parser.add_argument("--runs", type=int, default=5, help="runs of each program on each set")
    parser.add_argument("--set", action="append", choices=tuple(SETS), help="only this set; may be repeated")
    parser.add_argument(
        "--first-run", action="store_true", help="also install the project afresh and time its first run"
    )
    arguments = parser.parse_args()
    ours = Program("ours", (find_program("sofia-desk"), "reduce"))
    programs = [ours] + ([Program("reference", (arguments.reference,))] if arguments.reference else [])
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the start")
    with scratch() as folder:
        sets = find_sets(folder, ours, arguments.set or tuple(SETS))
        good = [report_set(key, compare(programs, inputs, arguments.runs)) for key, inputs in sets.items()]
        start = measure_start(arguments.runs)
        print("start")
        good.append(judge("seconds of import sofia_engine", start["import"], TARGETS["import"]))
        good.append(judge("seconds of sofia-desk --help", start["help"], TARGETS["help"]))
        if arguments.first_run:
            found = measure_first_run(next(iter(sets.values())), max(arguments.runs // 2, 2))
            print(f"first run after installation\n  first {found['first']}\n  warm  {found['warm']}")
            good.append(judge("first over warm", found["first"].median / found["warm"].median, TARGETS["first run"]))
    return int(not all(good))


def report_set(key: str, figures: Mapping[str, Figures]) -> bool:
    """Print the figures of a set; tell whether the targets are reached."""
    print(key)
    for name, found in figures.items():
        print(f"  {name:9s} {found}")
    if "reference" not in figures:
        return True
    ours, reference = figures["ours"], figures["reference"]
    good = judge("times faster", reference.median / ours.median, SETS[key].speed, at_least=True)
    if ours.megabytes:
        good &= judge("share of memory", ours.peak / reference.peak, TARGETS["memory"])
    return good


if __name__ == "__main__":
    sys.exit(main())
