"""Faults that a robot found, each by itself."""

import numpy as np
import pytest

from sofia_viewers.cube.apertures import find_aperture
from sofia_viewers.cube.extraction import extract_spectrum
from sofia_viewers.image.analysis import measure_encircled_energy
from sofia_viewers.image.contours import trace_contours
from sofia_viewers.image.display import compute_histogram
from sofia_viewers.image.frame import open_image
from sofia_viewers.image.regions import Region
from sofia_viewers.image.saving import read_saved_regions, save_frame

from .conftest import REST, make_header, make_truth, settle, simulate, write_cube
from .varied_cubes import make_velocities


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (1, 1)])
def test_that_images_of_one_row_have_no_contours(shape):
    assert trace_contours(np.ones(shape), np.array([0.5, 1.0]), 1.0) == []


def test_that_spectra_follow_regions_that_move_when_frames_are_unlocked(qtbot, make_explorer, galaxy_path, tmp_path):
    header = make_header(rotation=90.0)
    other = write_cube(tmp_path / "b.fits", simulate(make_truth()), header)
    viewer = make_explorer(galaxy_path, other)
    name = viewer.images.regions.add(Region("circle", ((5.0, 6.0),), (2.5,)), "cube 0")
    settle(qtbot, viewer)
    for lock in ("none", "wcs"):
        viewer.images.set_lock(lock)
        settle(qtbot, viewer)
        aperture = find_aperture(viewer.images.regions.on_frame("cube 1")[name], (24, 28))
        expected, _ = extract_spectrum(viewer.cubes["cube 1"].samples(), aperture)
        shown = viewer.spectra.session.files[f"aperture:{name}:cube 1"].spectra[0].flux
        np.testing.assert_allclose(shown, expected, rtol=1e-6)


def test_that_photometry_of_a_frame_that_was_closed_meanwhile_is_dropped(qtbot, make_explorer, galaxy_path):
    viewer = make_explorer(galaxy_path)
    viewer.images.commands.by_name["photometry"].trigger()
    viewer.close_cube("cube 0")
    settle(qtbot, viewer)
    assert not viewer.images.frames.entries


def test_that_histograms_reach_beyond_single_precision():
    counts, edges = compute_histogram(np.array([-3e38, 0.0, 3e38] * 9, dtype=np.float32))
    assert counts.sum() == 27
    assert edges[0] < -3e38


def test_that_infinite_pixels_do_not_count_in_the_encircled_energy():
    y, x = np.mgrid[:21, :21]
    image = np.exp(-0.5 * ((x - 10) ** 2 + (y - 10) ** 2) / 4.0)
    expected = measure_encircled_energy(image, 10.0, 10.0, 6.0).fraction
    image[9, 16], image[16, 9] = np.inf, -np.inf
    np.testing.assert_allclose(measure_encircled_energy(image, 10.0, 10.0, 6.0).fraction, expected, atol=0.01)


def test_that_signal_to_noise_of_a_cube_is_computed_slice_by_slice(galaxy):
    frame = galaxy.frame("", 12).with_plane("S/N")
    assert frame.slice_number == 12
    np.testing.assert_allclose(frame.image, galaxy.samples()[12] / galaxy.samples("ERROR")[12], rtol=1e-6)


def test_that_names_of_regions_in_any_writing_are_saved_with_an_image(galaxy, tmp_path):
    region = Region("circle", ((3.0, 4.0),), (2.0,), name="Kern ä μ")
    path = save_frame(galaxy.frame("", 3), [region], tmp_path / "image.fits")
    (found,) = read_saved_regions(open_image(path))
    assert found.name == region.name


def test_that_late_answers_find_that_their_view_is_gone(qtbot, make_explorer, galaxy_path):
    viewer = make_explorer(galaxy_path)
    view = viewer.images.area.views["cube 0"]
    assert view.frame is not None
    viewer.close_cube("cube 0")
    assert view.frame is None


def test_that_a_range_of_velocities_without_a_line_is_measured(qtbot, make_explorer, tmp_path):
    viewer = make_explorer(make_velocities(tmp_path))
    assert viewer.cube.wave_unit == "km/s"
    told = []
    viewer.spectra.range_selected.connect(lambda *limits: told.append(limits))
    low, high = viewer.cube.limits
    viewer.map_tools.select_range(low, 0.5 * (low + high))
    settle(qtbot, viewer)
    assert not told
    assert viewer.map_tools.range == pytest.approx((low, 0.5 * (low + high)))
    viewer.map_tools.panel.moments.click()
    settle(qtbot, viewer)
    assert viewer.map_tools.maps["map Moment 1 cube 0"][1].unit == "km/s"


def test_that_the_velocity_axis_ends_with_the_rest_wavelength(qtbot, make_explorer, galaxy_path):
    viewer = make_explorer(galaxy_path)
    viewer.spectra_tools.set_rest(REST)
    viewer.spectra_tools.panel.velocity.setChecked(True)
    settle(qtbot, viewer)
    viewer.spectra_tools.panel.rest.committed.emit(float("nan"))
    settle(qtbot, viewer)
    assert viewer.spectra.area.current.content.x_unit == "um"
    assert not viewer.spectra_tools.panel.velocity.isChecked()
    assert not viewer.spectra.problems()
