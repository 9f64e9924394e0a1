"""Spectra while regions are dragged: shown without a stop of the mouse, the last one in the end."""

import time

import numpy as np
import pytest

from sofia_viewers.cube import live_spectra
from sofia_viewers.image.regions import Region

from .conftest import settle


@pytest.fixture
def explorer(make_explorer, galaxy_path):
    return make_explorer(galaxy_path)


@pytest.fixture
def slow_extraction(monkeypatch):
    """Let every spectrum take longer than the mouse takes to the next place."""
    real, begun = live_spectra.spectra_of, []

    def extract(*given, **named):
        begun.append(given[1])
        time.sleep(0.05)
        return real(*given, **named)

    monkeypatch.setattr(live_spectra, "spectra_of", extract)
    return begun


def test_that_spectra_are_shown_while_a_region_is_dragged_without_a_stop(qtbot, explorer, slow_extraction):
    name = explorer.images.regions.add(Region("circle", ((9.0, 11.0),), (3.3,)), "cube 0")
    settle(qtbot, explorer)
    slow_extraction.clear()
    shown = []
    explorer.live.updated.connect(lambda key: shown.append(key))
    for _ in range(60):
        region = explorer.images.regions.named()[name]
        explorer.images.regions.edit(name, region.moved(0.1, 0.0), "cube 0")
        qtbot.wait(10)
    assert len(shown) >= 3
    assert len(slow_extraction) < 40  # what the mouse has passed is not extracted
    settle(qtbot, explorer)
    key = f"aperture:{name}:cube 0"
    (spectrum,) = explorer.spectra.session.files[key].spectra
    y, x = np.mgrid[:24, :28]
    inside = (x - 15.0) ** 2 + (y - 11.0) ** 2 <= 3.3**2
    expected = np.nansum(explorer.cube.samples().raw[:, inside].astype(float), axis=1)
    np.testing.assert_allclose(spectrum["spectral_flux"], expected, rtol=1e-9)


def test_that_spectra_of_another_statistic_take_the_place_of_those_that_run(qtbot, explorer, slow_extraction):
    name = explorer.images.regions.add(Region("circle", ((9.0, 11.0),), (3.3,)), "cube 0")
    qtbot.wait(20)
    explorer.live.set_statistic("mean")
    settle(qtbot, explorer)
    (spectrum,) = explorer.spectra.session.files[f"aperture:{name}:cube 0"].spectra
    assert spectrum.unit("spectral_flux") == "Jy/pixel"


def test_that_a_region_removed_while_its_spectrum_runs_leaves_none(qtbot, explorer, slow_extraction):
    name = explorer.images.regions.add(Region("circle", ((9.0, 11.0),), (3.3,)), "cube 0")
    qtbot.wait(20)
    explorer.images.regions.edit(name, explorer.images.regions.named()[name].moved(1.0, 0.0), "cube 0")
    explorer.images.regions.remove(name)
    settle(qtbot, explorer)
    assert not [key for key in explorer.spectra.session.files if key.startswith(f"aperture:{name}:")]


def test_that_the_pointer_over_the_image_brings_back_what_a_pause_gave_away(qtbot, explorer, slow_extraction):
    explorer.images.regions.add(Region("circle", ((9.0, 11.0),), (3.3,)), "cube 0")
    settle(qtbot, explorer)
    explorer.live.pause.setInterval(50)
    explorer.live.pause.start()
    qtbot.waitUntil(lambda: not explorer.live.pause.isActive(), timeout=60_000)
    slow_extraction.clear()
    shown = []
    explorer.live.updated.connect(shown.append)
    explorer.live.pause.setInterval(60_000)
    view = explorer.images.area.views["cube 0"]
    for x in (3.0, 4.0, 5.0):
        view.cursor_moved.emit(x, 4.0)
    settle(qtbot, explorer)
    assert len(slow_extraction) == 1
    assert not shown
    assert explorer.live.pause.isActive()


def test_that_the_legend_is_made_anew_only_for_other_lines(qtbot, explorer):
    name = explorer.images.regions.add(Region("circle", ((9.0, 11.0),), (3.3,), name="first"), "cube 0")
    settle(qtbot, explorer)
    legend = explorer.spectra.area.current.legend
    before = [label for _, label in legend.items]
    explorer.images.regions.edit(name, explorer.images.regions.named()[name].moved(1.0, 0.0), "cube 0")
    settle(qtbot, explorer)
    assert [label for _, label in legend.items] == before
    explorer.images.regions.add(Region("circle", ((15.0, 11.0),), (3.3,), name="second"), "cube 0")
    settle(qtbot, explorer)
    assert [label.text for _, label in legend.items] == ["first", "second"]
