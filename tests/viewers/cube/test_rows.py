"""What users of cube viewers expect, through the controls of the explorer: one test for each thing."""

import numpy as np
import pytest

from sofia_viewers.image.regions import Region, parse_regions
from sofia_viewers.qt import QtWidgets

from .conftest import REST, make_header, settle, write_cube

POLYGON = Region("polygon", ((8.2, 6.3), (19.1, 6.7), (17.4, 16.2), (9.3, 17.1)))


@pytest.fixture
def explorer(qtbot, make_explorer, galaxy_path):
    viewer = make_explorer(galaxy_path)
    viewer.images.regions.add(POLYGON, "cube 0")
    settle(qtbot, viewer)
    return viewer


def inside() -> np.ndarray:
    y, x = np.mgrid[:24, :28]
    return POLYGON.contains(x.astype(float), y.astype(float))


@pytest.mark.parametrize("statistic", ["mean", "median", "sum"])
def test_that_pixels_of_a_polygon_are_combined_as_chosen(qtbot, explorer, galaxy, statistic):
    if statistic == "sum":
        explorer.spectra_tools.panel.statistic.textActivated.emit("mean")
        settle(qtbot, explorer)
    explorer.spectra_tools.panel.statistic.textActivated.emit(statistic)
    settle(qtbot, explorer)
    (file,) = explorer.spectra.session.files.values()
    expected = getattr(np, statistic)(galaxy.samples()[:][:, inside()].astype(float), axis=1)
    np.testing.assert_allclose(file.spectra[0].flux, expected, rtol=1e-5)
    count = int(inside().sum())
    factor = {"sum": count**0.5, "mean": count**-0.5, "median": (np.pi / 2 / count) ** 0.5}[statistic]
    np.testing.assert_allclose(file.spectra[0].error, 0.02 * factor, rtol=1e-4)


@pytest.mark.parametrize("choice", ["Inside the region", "Outside the region"])
def test_that_cubes_are_masked_inside_and_outside_a_polygon(qtbot, explorer, choice):
    explorer.map_tools.panel.mask_choice.setCurrentText(choice)
    explorer.edit_tools.panel.mask_button.click()
    settle(qtbot, explorer)
    kept = np.isfinite(explorer.cube.samples()[40])
    assert np.array_equal(kept, inside() if choice.startswith("Inside") else ~inside())


def test_that_the_width_of_a_source_is_compared_with_that_expected(qtbot, make_explorer, tmp_path):
    y, x = np.mgrid[:24, :28]
    source = np.exp(-0.5 * ((x - 13.2) ** 2 + (y - 11.7) ** 2) / 2.5**2) + 0.1
    data = np.broadcast_to(source, (20, 24, 28)) + np.random.default_rng(1).normal(0, 0.003, (20, 24, 28))
    viewer = make_explorer(write_cube(tmp_path / "star.fits", data, make_header(n_wave=20)))
    viewer.edit_tools.panel.psf.click()
    assert "Select a region around the source" in viewer.images.status.text()
    name = viewer.images.regions.add(Region("circle", ((13.0, 12.0),), (9.0,)), "cube 0")
    viewer.images.regions.select(name)
    settle(qtbot, viewer)
    viewer.edit_tools.panel.psf.click()
    settle(qtbot, viewer)
    text = viewer.images.status.text()
    assert float(text.split()[1]) == pytest.approx(2.5 * 2.3548 * 6.0, rel=0.03)
    assert "times the diffraction limit, 13.40 arcsec" in text


def test_that_first_values_of_cells_are_saved_and_opened_again(qtbot, explorer, monkeypatch, tmp_path):
    path = str(tmp_path / "guesses.json")
    monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_: (path, ""))
    monkeypatch.setattr(QtWidgets.QFileDialog, "getOpenFileName", lambda *_: (path, ""))
    explorer.map_tools.select_range(REST - 0.25, REST + 0.25)
    settle(qtbot, explorer)
    panel = explorer.map_tools.fit_panel
    panel.cells.click()
    settle(qtbot, explorer)
    guesses = explorer.map_tools.guesses
    panel.save_requested.emit()
    panel.clear_requested.emit()
    assert not explorer.map_tools.guesses
    panel.open_requested.emit()
    assert explorer.map_tools.guesses == guesses


def test_that_apertures_are_saved_and_opened_as_regions_of_ds9(qtbot, explorer, make_explorer, galaxy_path, tmp_path):
    frame = explorer.images.frames.entry.frame
    from sofia_viewers.image.regions import format_regions

    path = tmp_path / "apertures.reg"
    path.write_text(format_regions(explorer.images.regions.on_frame("cube 0").values(), "icrs", frame.wcs))
    assert parse_regions(path.read_text(), frame.wcs).regions
    again = make_explorer(galaxy_path)
    again.images.open_regions(path)
    settle(qtbot, again)
    one, other = (next(iter(v.spectra.session.files.values())).spectra[0].flux for v in (explorer, again))
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_that_maps_of_velocities_show_the_colours_of_good_pixels(qtbot, explorer):
    explorer.spectra_tools.set_rest(REST)
    explorer.map_tools.select_range(REST - 0.25, REST + 0.25)
    settle(qtbot, explorer)
    explorer.map_tools.panel.least.setValue(1.0)
    explorer.map_tools.panel.moments.click()
    settle(qtbot, explorer)
    entry = next(each for each in explorer.images.frames.entries if "Moment 4" in each.key)
    low, high = entry.display.limits
    values = entry.frame.image[np.isfinite(entry.frame.image)]
    assert values.min() < low < np.median(values) < high < values.max()
