"""The description for the service that builds all installers: as far as it can be tested without it."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
yaml = pytest.importorskip("yaml")


@pytest.fixture(scope="module")
def job():
    plain = yaml.safe_load((ROOT / ".github/workflows/installers.yml").read_text(encoding="utf-8"))
    assert plain["name"] == "installers"
    events = plain[True]  # YAML 1.1 reads the word on as true
    assert events["push"]["tags"] == ["v*"]
    assert "workflow_dispatch" in events
    (only,) = plain["jobs"].values()
    return only


def test_that_all_platforms_build_from_one_command(job):
    systems = job["strategy"]["matrix"]["system"]
    assert {name.split("-")[0] for name in systems} == {"ubuntu", "windows", "macos"}
    builds = [step for step in job["steps"] if "make.py package" in step.get("run", "")]
    assert len(builds) == 1
    assert "if" not in builds[0]
    assert {"SOFIA_DESK_SIGN", "SOFIA_DESK_NOTARY"} <= builds[0]["env"].keys()


def test_that_steps_are_whole(job):
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
        assert step.keys() <= {"name", "if", "env", "run", "uses", "with", "shell"}
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])
        if "if" in step:
            assert re.fullmatch(r"runner\.os [!=]= '(Linux|Windows|macOS)'", step["if"])


def test_that_scripts_of_steps_are_sound(job):
    for step in job["steps"]:
        if "run" in step:
            subprocess.run(["sh", "-n"], input=step["run"], text=True, check=True, timeout=30)


def test_that_commands_of_steps_are_known(job):
    known = subprocess.run(
        [sys.executable, "make.py", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    named = [
        shlex.split(line) for step in job["steps"] for line in step.get("run", "").splitlines() if "make.py" in line
    ]
    assert named
    for words in named:
        assert re.search(rf"^    {words[words.index('make.py') + 1]} ", known, re.MULTILINE)


def test_that_the_packages_that_the_commands_ask_for_are_installed_before(job, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    import make

    (installed,) = [step["run"].split() for step in job["steps"] if "apt-get install" in step.get("run", "")]
    assert {*make.SCREEN, *make.PRESSING, *make.BUILDING} <= set(installed)


def test_that_what_is_kept_is_what_the_build_writes(job):
    (kept,) = [step["with"] for step in job["steps"] if step.get("uses", "").startswith("actions/upload-artifact")]
    assert kept["path"] == "dist/*"
    assert kept["if-no-files-found"] == "error"
    build = (ROOT / "packaging/build.py").read_text(encoding="utf-8")
    assert 'default=ROOT / "dist"' in build
