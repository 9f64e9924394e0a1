"""The explorer in a real window, driven by mouse and keys."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

pytestmark = [
    pytest.mark.screen,
    pytest.mark.skipif(
        not all(map(shutil.which, ("Xvfb", "xdotool", "import"))), reason="needs Xvfb, xdotool and imagemagick"
    ),
]
PATIENCE = 60.0


@pytest.fixture
def program(display, galaxy_path, tmp_path):
    """Start the explorer on the display."""
    environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "sofia_engine", "cube", str(galaxy_path)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    yield process, environment
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=10)


def call(environment, *words):
    done = subprocess.run(["xdotool", *words], env=environment, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()


def take_picture(environment, path):
    subprocess.run(["import", "-window", "root", "-depth", "8", f"rgb:{path}"], env=environment, check=True, timeout=30)
    return np.frombuffer(path.read_bytes(), np.uint8).reshape(950, 1500, 3)


def test_that_keys_over_the_image_change_the_slice_and_closing_ends_the_program(program, tmp_path):
    process, environment = program
    end = time.monotonic() + PATIENCE
    window = ""
    while not window and time.monotonic() < end:
        assert process.poll() is None, process.stderr.read()
        window = call(environment, "search", "--onlyvisible", "--name", "Cubes").partition("\n")[0]
        time.sleep(0.1)
    assert window, "the window did not come"

    def colors() -> int:
        picture = take_picture(environment, tmp_path / "screen.rgb")
        return len(np.unique(picture[120:500, 60:700].reshape(-1, 3), axis=0))

    while colors() < 60 and time.monotonic() < end:
        time.sleep(0.1)
    assert colors() >= 60, "the cube was not drawn"
    call(environment, "mousemove", "--sync", "330", "280")
    call(environment, "windowfocus", "--sync", window)
    call(environment, "click", "1")
    time.sleep(0.5)
    before = take_picture(environment, tmp_path / "before.rgb").copy()
    changed = 0
    while changed < 500 and time.monotonic() < end:
        call(environment, "key", "period", "period", "period")
        time.sleep(0.2)
        after = take_picture(environment, tmp_path / "after.rgb")
        changed = int((before != after).any(axis=2).sum())
    assert changed >= 500, "the slice did not change"
    call(environment, "key", "ctrl+q")
    assert process.wait(PATIENCE) == 0
