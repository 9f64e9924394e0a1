"""The session of glue that the explorer starts, seen from outside: its process, its window, what it reports."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from sofia_viewers.cube import glue_session, link_tools
from sofia_viewers.image.regions import Region

from .conftest import REST, make_header, make_truth, settle, simulate, write_cube

pytestmark = [
    pytest.mark.screen,
    pytest.mark.skipif(not glue_session.has_glue(), reason="glue-qt is not installed"),
    pytest.mark.skipif(not shutil.which("Xvfb"), reason="needs Xvfb"),
]
HAS_TOOLS = all(map(shutil.which, ("xdotool", "import", "convert")))
needs_tools = pytest.mark.skipif(not HAS_TOOLS, reason="needs xdotool and imagemagick")
PATIENCE = 90_000
FEW_COLORS = 200
PICTURES = os.environ.get("SOFIA_DESK_TEST_PICTURES", "")


@pytest.fixture
def surroundings(display, tmp_path, monkeypatch):
    """Let glue show its window on a display of its own, and write its settings to a folder of the test."""
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    monkeypatch.setenv("HOME", str(tmp_path))
    return {**os.environ}


@pytest.fixture
def linked_explorer(qtbot, make_explorer, galaxy, galaxy_path, tmp_path):
    """Give an explorer with two cubes, an image, a catalog, and a region and a range selected."""
    truth = make_truth((30, 32), 160, 0.005)
    header = make_header((30, 32), 160, 0.005, pixel=4.0, rotation=30.0)
    other = write_cube(tmp_path / "fine.fits", simulate(truth), header, WAVELENGTH=truth.wave)
    flat = make_header((60, 60), pixel=3.0)
    for key in [key for key in flat if key.endswith("3")]:
        del flat[key]
    fits.PrimaryHDU(np.random.default_rng(1).random((60, 60)).astype("f4"), flat).writeto(tmp_path / "image.fits")
    positions = galaxy.wcs.wcs_pix2world([[13.5, 11.5], [14.5, 12.0], [25.0, 2.0]], 0)
    rows = "".join(f"s{number},{ra},{dec}\n" for number, (ra, dec) in enumerate(positions))
    (tmp_path / "stars.csv").write_text("name,ra,dec\n" + rows)
    viewer = make_explorer(galaxy_path, other)
    viewer.images.regions.add(Region("circle", ((13.5, 11.5),), (4.0,), name="core"), "cube 0")
    settle(qtbot, viewer)
    viewer.map_tools.select_range(REST - 0.1, REST + 0.1)
    viewer.link_tools.add_image(tmp_path / "image.fits")
    viewer.link_tools.add_catalog(tmp_path / "stars.csv")
    settle(qtbot, viewer)
    yield viewer
    for each in viewer.link_tools.processes:
        each.process.kill()
        each.process.wait(10)
        each.end()


def start(qtbot, viewer, monkeypatch, *words):
    """Press the button, with further words for the process; give the process."""
    real = glue_session.start_glue
    monkeypatch.setattr(link_tools, "start_glue", lambda plain: real(plain, [str(word) for word in words]))
    viewer.commands.by_name["glue"].trigger()
    qtbot.waitUntil(lambda: bool(viewer.link_tools.processes), timeout=PATIENCE)
    return viewer.link_tools.processes[0].process


def find_window(environment) -> str:
    words = ["xdotool", "search", "--onlyvisible", "--name", "glue"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30)
    return done.stdout.partition("\n")[0].strip()


def take_picture(environment, name: str, folder: Path) -> np.ndarray:
    path = folder / "screen.png"
    subprocess.run(["import", "-window", "root", str(path)], env=environment, check=True, timeout=30)
    if PICTURES:
        shutil.copy(path, Path(PICTURES) / name)
    raw = subprocess.run(["convert", str(path), "-depth", "8", "rgb:-"], capture_output=True, check=True, timeout=30)
    return np.frombuffer(raw.stdout, np.uint8).reshape(-1, 3)


def wait_for_picture(qtbot, process, environment, folder: Path) -> np.ndarray:
    """Take pictures until the window is drawn or closed; return the colours of the last one."""
    while True:
        colors = np.unique(take_picture(environment, "glue.png", folder), axis=0)
        if len(colors) > FEW_COLORS or process.poll() is not None:
            return colors
        qtbot.wait(300)


def test_that_glue_shows_the_data_links_and_selections_of_the_explorer(
    qtbot, linked_explorer, surroundings, monkeypatch, tmp_path
):
    viewer, report, session = linked_explorer, tmp_path / "report.json", tmp_path / "saved.glu"
    viewer.images.select("cube 0")
    viewer.edit_tools.panel.crop.click()
    settle(qtbot, viewer)
    failures = []
    viewer.failed.connect(failures.append)
    process = start(qtbot, viewer, monkeypatch, "--report", report, "--save-session", session, "--close-after", "3")
    colors = wait_for_picture(qtbot, process, surroundings, tmp_path) if HAS_TOOLS else None
    qtbot.waitUntil(lambda: process.poll() is not None, timeout=PATIENCE)
    qtbot.waitUntil(lambda: not viewer.link_tools.processes, timeout=PATIENCE)
    assert not failures
    assert colors is None or len(colors) > FEW_COLORS
    shown, linked = json.loads(report.read_text()), viewer.link_tools.linked
    assert shown["data"] == [data.label for data in linked.collection]
    assert len(shown["data"]) == 5
    assert shown["links"] == len(linked.collection.external_links) == 10
    assert set(shown["selections"]) == {"core", "wavelengths"} == set(viewer.link_tools.counts)
    for name, counts in viewer.link_tools.counts.items():
        for key, count in counts.items():
            data = linked.data[key]
            depth = 1 if data.ndim < 3 else data.shape[0] if name == "core" else data.shape[1] * data.shape[2]
            assert shown["selections"][name][data.label] == count * depth
    assert all({"core", "wavelengths"} <= set(layers) for layers in shown["viewers"])
    assert len(shown["viewers"]) == 7
    saved = json.loads(session.read_text())
    assert {"core", "wavelengths"} <= {part.get("label") for part in saved.values() if isinstance(part, dict)}


@pytest.mark.slow
@needs_tools
def test_that_glue_is_closed_by_its_window_and_the_explorer_stays(qtbot, linked_explorer, surroundings, monkeypatch):
    failures = []
    linked_explorer.failed.connect(failures.append)
    process = start(qtbot, linked_explorer, monkeypatch)
    qtbot.waitUntil(lambda: bool(find_window(surroundings)) or bool(failures), timeout=PATIENCE)
    assert not failures
    qtbot.wait(1500)
    for words in (["windowfocus", "--sync", find_window(surroundings)], ["key", "alt+f"], ["key", "q"]):
        subprocess.run(["xdotool", *words], env=surroundings, check=True, timeout=30)
        qtbot.wait(300)
    qtbot.waitUntil(lambda: not linked_explorer.link_tools.processes, timeout=PATIENCE)
    assert process.returncode == 0
    assert not failures
    linked_explorer.choose_slice(7)
    settle(qtbot, linked_explorer)
    assert linked_explorer.images.frames.entries[0].frame.slice_number == 7


@pytest.mark.slow
@needs_tools
def test_that_a_file_that_vanished_is_named_in_the_explorer(
    qtbot, linked_explorer, surroundings, monkeypatch, tmp_path
):
    failures = []
    linked_explorer.failed.connect(failures.append)
    (tmp_path / "image.fits").unlink()
    process = start(qtbot, linked_explorer, monkeypatch)
    qtbot.waitUntil(lambda: bool(failures), timeout=PATIENCE)
    assert process.returncode == 1
    assert len(failures) == 1
    assert "image.fits" in failures[0]
    assert linked_explorer.images.status.text() == failures[0]
