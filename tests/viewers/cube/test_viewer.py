"""The explorer: slices, spectra of regions, the marker of the wavelength, faults; real widgets."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_viewers.cube.wave_marker import wave_in_pane
from sofia_viewers.image.regions import Region

from .conftest import make_header, settle, simulate, write_cube


def test_that_a_region_shows_its_spectrum_and_follows_a_drag(qtbot, make_explorer, galaxy_path, galaxy):
    viewer = make_explorer(galaxy_path)
    name = viewer.images.regions.add(Region("box", ((13.0, 12.0),), (2.9, 2.9)), "cube 0")
    settle(qtbot, viewer)
    (file,) = viewer.spectra.session.files.values()
    np.testing.assert_allclose(file.spectra[0].flux, galaxy.samples()[:, 11:14, 12:15].sum(axis=(1, 2)), rtol=1e-5)
    viewer.images.regions.edit(name, Region("box", ((5.0, 6.0),), (2.9, 2.9)), "cube 0")
    settle(qtbot, viewer)
    (file,) = viewer.spectra.session.files.values()
    np.testing.assert_allclose(file.spectra[0].flux, galaxy.samples()[:, 5:8, 4:7].sum(axis=(1, 2)), rtol=1e-5)
    assert viewer.images.regions.named()[name].color == viewer.spectra.session.color_of(file.key)
    viewer.images.regions.remove(name)
    settle(qtbot, viewer)
    assert list(viewer.spectra.session.files) == ["aperture:brightest pixel:cube 0"]


def test_that_the_brightest_pixel_is_shown_until_there_is_a_region(qtbot, make_explorer, galaxy_path, galaxy):
    viewer = make_explorer(galaxy_path)
    (file,) = viewer.spectra.session.files.values()
    image = galaxy.samples()[viewer.slices.slider.value()]
    row, column = np.unravel_index(image.argmax(), image.shape)
    np.testing.assert_allclose(file.spectra[0].flux, galaxy.samples()[:, row, column], rtol=1e-6)
    viewer.images.regions.add(Region("point", ((5.0, 5.0),)), "cube 0")
    settle(qtbot, viewer)
    assert [file.name for file in viewer.spectra.session.files.values()] == ["region 1"]


def test_that_slider_marker_and_image_show_the_same_slice(qtbot, make_explorer, galaxy_path, galaxy):
    viewer = make_explorer(galaxy_path)
    viewer.images.regions.add(Region("circle", ((13.0, 12.0),), (3.0,)), "cube 0")
    settle(qtbot, viewer)
    viewer.slices.slider.setValue(20)
    settle(qtbot, viewer)
    assert viewer.images.frames.entry.frame.slice_number == 20
    assert viewer.marker.wave == pytest.approx(galaxy.wave[20])
    view = viewer.spectra.area.current
    viewer.marker._lines[view.name][1].setPos(float(galaxy.wave[31]) + 0.002)
    settle(qtbot, viewer)
    assert viewer.slices.slider.value() == 31
    assert "157.65" in viewer.slices.label.text()


def test_that_playing_goes_round(qtbot, make_explorer, galaxy_path):
    viewer = make_explorer(galaxy_path)
    viewer.slices.slider.setValue(79)
    viewer.slices.play.setChecked(True)
    qtbot.waitUntil(lambda: viewer.slices.slider.value() < 20, timeout=60_000)
    viewer.slices.play.setChecked(False)
    assert not viewer.slices.is_playing


@pytest.mark.parametrize("kind", ["image", "text", "absent"])
def test_that_a_file_without_a_cube_is_named_in_place_of_the_image(make_explorer, tmp_path, kind):
    path = tmp_path / "bad.fits"
    if kind == "image":
        fits.PrimaryHDU(np.ones((5, 5))).writeto(path)
    elif kind == "text":
        path.write_text("nothing")
    viewer = make_explorer(path)
    assert not viewer.cubes
    assert "bad.fits" in viewer.problems()[0]
    assert not viewer.slices.slider.isEnabled()


def test_that_cubes_without_values_or_coordinates_are_shown_empty(qtbot, make_explorer, tmp_path):
    empty = write_cube(tmp_path / "nan.fits", np.full((7, 6, 5), np.nan), make_header((6, 5), 7))
    plain = write_cube(tmp_path / "plain.fits", np.ones((7, 6, 5)), fits.Header(), None)
    viewer = make_explorer(empty, plain)
    assert not viewer.problems()
    viewer.images.regions.add(Region("circle", ((2.0, 2.0),), (1.5,)), "cube 1")
    settle(qtbot, viewer)
    assert not viewer.problems()
    assert any(np.isfinite(file.spectra[0].flux).all() for file in viewer.spectra.session.files.values())


def test_that_two_cubes_show_the_same_wavelength_and_region(qtbot, make_explorer, galaxy_path, tmp_path, truth):
    from .conftest import make_truth

    finer = make_truth((30, 30), 160, 0.005)
    other = write_cube(
        tmp_path / "other.fits", simulate(finer), make_header((30, 30), 160, 0.005, pixel=4.0, rotation=30.0)
    )
    viewer = make_explorer(galaxy_path, other)
    viewer.choose_slice(25)
    viewer.images.regions.add(Region("circle", ((13.5, 11.5),), (2.0,)), "cube 0")
    settle(qtbot, viewer)
    first, second = (entry.frame for entry in viewer.images.frames.entries)
    assert first.wavelengths[0][25] == pytest.approx(second.wavelengths[0][second.slice_number], abs=0.0051)
    on_other = next(iter(viewer.images.regions.on_frame("cube 1").values()))
    assert on_other.sizes[0] == pytest.approx(3.0, rel=1e-3)
    assert on_other.center == pytest.approx((14.5, 14.5), abs=0.01)
    assert len(viewer.spectra.session.files) == 2


def test_that_the_slice_is_marked_in_spectra_without_wavelengths(qtbot, make_explorer, tmp_path, truth):
    header = make_header(CTYPE3="", CRVAL3=0.0, CD3_3=0.0)
    viewer = make_explorer(write_cube(tmp_path / "plain.fits", simulate(truth), header))
    assert viewer.cube.wave_unit == "pixel"
    viewer.choose_slice(33)
    settle(qtbot, viewer)
    view = next(iter(viewer.spectra.area.views.values()))
    assert wave_in_pane(view, 33.0, "pixel") == 33.0
    assert np.isnan(wave_in_pane(view, 157.0, "um"))
