"""The tools of the explorer, through their controls: maps, fits, cuts, new cubes, links, sessions."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from sofia_viewers.cube import glue_session, link_tools
from sofia_viewers.cube.cube import open_cube
from sofia_viewers.cube.links import read_description
from sofia_viewers.cube.session import read_session, write_session
from sofia_viewers.image.regions import Region
from sofia_viewers.qt import Qt, QtCore, QtWidgets

from .conftest import REST, make_header, settle, simulate, write_cube


@pytest.fixture
def explorer(qtbot, make_explorer, galaxy_path):
    """Give an explorer with a galaxy, the spectrum of its core, and the line selected."""
    viewer = make_explorer(galaxy_path)
    viewer.images.regions.add(Region("circle", ((13.5, 11.5),), (4.0,), name="core"), "cube 0")
    settle(qtbot, viewer)
    viewer.spectra_tools.set_rest(REST)
    viewer.map_tools.select_range(REST - 0.25, REST + 0.25)
    settle(qtbot, viewer)
    return viewer


def keys(viewer):
    return [entry.key for entry in viewer.images.frames.entries]


def frame_of(viewer, key):
    return next(entry.frame for entry in viewer.images.frames.entries if entry.key == key)


def test_that_a_selected_range_is_shown_as_an_image_and_follows(qtbot, explorer, galaxy):
    waves = galaxy.find_slices(REST - 0.25, REST + 0.25)
    np.testing.assert_allclose(frame_of(explorer, "map range").image, galaxy.samples()[waves].mean(axis=0), rtol=1e-5)
    explorer.map_tools.panel.how.setCurrentText("sum")
    explorer.map_tools.select_range(REST - 0.05, REST + 0.05)
    settle(qtbot, explorer)
    explorer.map_tools.panel.how.activated.emit(1)
    settle(qtbot, explorer)
    waves = galaxy.find_slices(REST - 0.05, REST + 0.05)
    np.testing.assert_allclose(frame_of(explorer, "map range").image, galaxy.samples()[waves].sum(axis=0), rtol=1e-5)
    explorer.map_tools.panel.live.setChecked(False)
    settle(qtbot, explorer)
    assert "map range" not in keys(explorer)


def test_that_the_button_computes_moments_with_velocities(qtbot, explorer, truth, tmp_path):
    explorer.map_tools.panel.moments.click()
    settle(qtbot, explorer)
    frame = frame_of(explorer, "map Moment 1 cube 0")
    bright = truth.flux > 0.1
    assert np.nanmedian(np.abs(frame.image - truth.velocity)[bright]) < 5.0
    assert frame.plane.unit == "km/s"
    assert frame.title.startswith("Moment 1 · galaxy.fits")
    assert frame.companion_image("error").shape == (24, 28)
    explorer.map_tools.save(tmp_path / "maps.fits")
    settle(qtbot, explorer)
    with fits.open(tmp_path / "maps.fits") as hdus:
        assert "MOMENT 4 ERROR" in [hdu.name for hdu in hdus]
    explorer.map_tools.panel.clear.click()
    assert keys(explorer) == ["cube 0"]


def test_that_all_pixels_are_fitted_inside_the_mask(qtbot, explorer, truth):
    explorer.map_tools.panel.mask_choice.setCurrentText("Inside the region")
    explorer.map_tools.fit_panel.fit.click()
    settle(qtbot, explorer)
    velocity = frame_of(explorer, "map Velocity cube 0").image
    y, x = np.mgrid[:24, :28]
    inside = np.hypot(x - 13.5, y - 11.5) <= 4.0
    assert np.array_equal(np.isfinite(velocity), inside)
    assert np.abs(velocity - truth.velocity)[inside].max() < 40.0


def test_that_masks_by_level_compare_with_the_current_image(explorer):
    explorer.map_tools.panel.mask_choice.setCurrentText("Above the level")
    explorer.map_tools.fit_panel.fit.click()
    assert "level" in explorer.images.status.text()
    explorer.map_tools.panel.level.setText("0.8")
    frame = explorer.images.frames.entry.frame
    assert np.array_equal(explorer.map_tools.find_mask(), frame.image > 0.8)
    assert np.array_equal(explorer.map_tools.find_mask("Below the level"), frame.image < 0.8)


def test_that_work_without_a_range_says_what_to_do(qtbot, make_explorer, galaxy_path):
    viewer = make_explorer(galaxy_path)
    for button in (viewer.map_tools.panel.moments, viewer.map_tools.fit_panel.fit, viewer.edit_tools.panel.subtract):
        viewer.say("")
        button.click()
        assert "Select the range of the line" in viewer.images.status.text()
    viewer.cut_tools.panel.cut.click()
    assert "Draw a line" in viewer.images.status.text()


def test_that_tools_wait_for_a_cube(qtbot, make_explorer, galaxy_path):
    viewer = make_explorer()
    panels = [viewer.tools.widget(number) for number in range(viewer.tools.count())]
    assert [panel.isEnabled() for panel in panels] == [False] * 5 + [True]
    viewer.open_files([galaxy_path])
    settle(qtbot, viewer)
    assert all(panel.isEnabled() for panel in panels)
    viewer.close_cube("cube 0")
    assert not viewer.map_tools.panel.isEnabled()


def test_that_a_cube_without_transmission_says_so(qtbot, make_explorer, tmp_path, truth):
    viewer = make_explorer(write_cube(tmp_path / "plain.fits", simulate(truth), make_header()))
    viewer.spectra_tools.panel.transmission.click()
    assert "carries no transmission" in viewer.images.status.text()
    assert not viewer.spectra_tools.panel.transmission.isChecked()


def test_that_channel_maps_share_their_limits(qtbot, explorer):
    explorer.map_tools.panel.count.setValue(5)
    explorer.map_tools.panel.channels.click()
    settle(qtbot, explorer)
    shown = [entry for entry in explorer.images.frames.entries if "channel" in entry.key]
    assert len(shown) == 5
    assert len({entry.display.limits for entry in shown}) == 1
    titles = [entry.frame.title.partition(" · ")[0] for entry in shown]
    assert titles == ["-380 km/s", "-190 km/s", "+0 km/s", "+190 km/s", "+380 km/s"]
    explorer.spectra_tools.set_rest(0.0)
    explorer.map_tools.panel.channels.click()
    settle(qtbot, explorer)
    shown = [entry for entry in explorer.images.frames.entries if "channel" in entry.key]
    assert shown[0].frame.title.startswith("157.541 μm · ")


def test_that_cells_and_the_last_fit_give_first_values(qtbot, explorer):
    explorer.map_tools.fit_panel.cells.click()
    settle(qtbot, explorer)
    assert len(explorer.map_tools.guesses) > 5
    assert f"{len(explorer.map_tools.guesses)} places" in explorer.map_tools.fit_panel.state.text()
    explorer.spectra.fit(explorer.spectra.area.current.name, (REST - 0.3, REST + 0.3))
    explorer.map_tools.fit_panel.adopt.click()
    (guess,) = explorer.map_tools.guesses
    assert guess.centers[0] == pytest.approx(REST, abs=0.02)


def test_that_the_range_keeps_its_wavelengths_when_spectra_are_shown_over_velocity(qtbot, explorer):
    before = explorer.map_tools.range
    explorer.spectra_tools.panel.velocity.setChecked(True)
    settle(qtbot, explorer)
    assert explorer.spectra.area.current.content.x_unit == "km/s"
    assert explorer.map_tools.range == pytest.approx(before, rel=1e-9)
    low, high = explorer.spectra.overlays.region[1:]
    assert (low, high) == pytest.approx((-475.1, 475.1), abs=0.2)
    assert "km/s" in explorer.slices.label.text()
    explorer.spectra_tools.panel.velocity.setChecked(False)
    settle(qtbot, explorer)
    assert explorer.map_tools.range == pytest.approx(before, rel=1e-9)


def test_that_a_dragged_line_is_cut_live(qtbot, explorer, galaxy):
    name = explorer.images.regions.add(Region("line", ((3.0, 11.0), (20.0, 11.0))), "cube 0")
    settle(qtbot, explorer)
    np.testing.assert_allclose(explorer.cut_tools.view.cut.values, galaxy.samples()[:, 11, 3:21], rtol=1e-5)
    explorer.images.regions.edit(name, Region("line", ((3.0, 5.0), (20.0, 5.0))), "cube 0")
    settle(qtbot, explorer)
    np.testing.assert_allclose(explorer.cut_tools.view.cut.values, galaxy.samples()[:, 5, 3:21], rtol=1e-5)


def test_that_crop_mask_and_subtraction_add_cubes(qtbot, explorer, galaxy, tmp_path):
    explorer.edit_tools.panel.crop.click()
    settle(qtbot, explorer)
    assert explorer.cube.shape == (50, 8, 8)
    explorer.edit_tools.save(tmp_path / "part.fits")
    settle(qtbot, explorer)
    assert open_cube(tmp_path / "part.fits").shape == (50, 8, 8)
    explorer.images.select("cube 0")
    explorer.edit_tools.panel.subtract.click()
    settle(qtbot, explorer)
    assert explorer.cube.name == "galaxy.fits · continuum subtracted"
    explorer.edit_tools.panel.correct.click()
    settle(qtbot, explorer)
    assert "reference transmission" in explorer.cube.name
    assert len(explorer.cubes) == 4
    explorer.edit_tools.panel.operator.setCurrentText("-")
    explorer.edit_tools.combine("-", "cube 0")
    settle(qtbot, explorer)
    assert "−" in explorer.cube.name
    explorer.edit_tools.panel.close_button.click()
    settle(qtbot, explorer)
    assert len(explorer.cubes) == 4


def test_that_the_spectrum_under_the_cursor_is_shown(qtbot, explorer, galaxy):
    explorer.spectra_tools.panel.kernel.activated.emit(3)
    explorer.live.follow_cursor("cube 0", 6.2, 7.1)
    settle(qtbot, explorer)
    file = explorer.spectra.session.files["cursor:cube 0"]
    np.testing.assert_allclose(file.spectra[0].flux, galaxy.samples()[:, 6:9, 5:8].mean(axis=(1, 2)), rtol=1e-5)
    explorer.spectra_tools.panel.kernel.activated.emit(0)
    assert "cursor:cube 0" not in explorer.spectra.session.files


def test_that_a_lasso_is_drawn_by_hand(qtbot, explorer):
    explorer.spectra_tools.panel.shapes["lasso"].click()
    view = explorer.images.area.views["cube 0"]
    corners = [(5.0, 5.0), (12.0, 5.0), (12.0, 12.0), (5.0, 12.0)]
    places = [QtCore.QPointF(*view.pixel_to_screen.map(*corner)).toPoint() for corner in corners]
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=places[0])
    for place in places[1:]:
        qtbot.mouseMove(view, place)
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=places[-1])
    settle(qtbot, explorer)
    region = list(explorer.images.regions.named().values())[-1]
    assert region.shape == "polygon"
    assert len(region.points) >= 4
    assert bool(region.contains(8.0, 8.0))
    assert not bool(region.contains(15.0, 8.0))
    assert explorer.images.commands.tool == "pan"


def test_that_transmission_and_further_planes_are_shown(qtbot, make_explorer, tmp_path, truth):
    data = simulate(truth)
    path = write_cube(
        tmp_path / "c.fits", data, make_header(), TRANSMISSION=np.full(80, 0.8), UNCORRECTED_FLUX=data * 0.8
    )
    fits.setval(path, "BUNIT", value="Jy/pixel", extname="UNCORRECTED_FLUX")
    viewer = make_explorer(path)
    viewer.images.regions.add(Region("point", ((10.0, 10.0),)), "cube 0")
    viewer.spectra_tools.panel.plane_boxes["UNCORRECTED_FLUX"].setChecked(True)
    viewer.spectra_tools.panel.transmission.setChecked(True)
    settle(qtbot, viewer)
    file, other = viewer.spectra.session.files.values()
    np.testing.assert_allclose(file.spectra[0]["uncorrected_flux"], 0.8 * file.spectra[0].flux, rtol=1e-5)
    curve = viewer.spectra.area.current.content.overplot[0]
    assert curve.y == pytest.approx(np.full(80, 0.8))
    assert viewer.spectra_tools.panel.planes.isVisible()
    drawn = viewer.spectra.area.current.content.curves
    assert [np.nanmean(each.y) for each in drawn] == pytest.approx(
        [data[:, 10, 10].mean(), 0.8 * data[:, 10, 10].mean()]
    )
    assert other.name == "region 1 · UNCORRECTED_FLUX"
    assert not viewer.spectra.problems()
    viewer.images.regions.edit("region 1", Region("point", ((12.0, 9.0),)), "cube 0")
    settle(qtbot, viewer)
    np.testing.assert_allclose(
        list(viewer.spectra.session.files.values())[1].spectra[0].flux, 0.8 * data[:, 9, 12], rtol=1e-5
    )
    viewer.spectra_tools.panel.plane_boxes["UNCORRECTED_FLUX"].setChecked(False)
    settle(qtbot, viewer)
    assert len(viewer.spectra.session.files) == 1


def test_that_exposure_is_drawn_on_the_right_axis_with_the_flux(qtbot, make_explorer, tmp_path, truth):
    data, exposure = simulate(truth), np.full((80, 24, 28), 30.0)
    path = write_cube(tmp_path / "c.fits", data, make_header(), EXPOSURE_MAP=exposure, TRANSMISSION=np.full(80, 0.8))
    viewer = make_explorer(path)
    viewer.images.regions.add(Region("circle", ((10.0, 10.0),), (3.0,)), "cube 0")
    viewer.spectra_tools.panel.transmission.setChecked(True)
    box = viewer.spectra_tools.panel.plane_boxes["EXPOSURE_MAP"]
    box.setChecked(True)
    settle(qtbot, viewer)
    (curve,) = viewer.spectra.area.current.content.overplot
    assert curve.y == pytest.approx(np.full(80, 30.0))
    assert not viewer.spectra_tools.panel.transmission.isChecked()
    assert len(viewer.spectra.session.files) == 1
    box.setChecked(False)
    settle(qtbot, viewer)
    assert not viewer.spectra.area.current.content.overplot


def test_that_each_cube_brings_its_rest_wavelength_and_range(qtbot, make_explorer, tmp_path, truth):
    data = simulate(truth)
    first = write_cube(tmp_path / "red.fits", data, make_header(RESTWAV=157.7409), WAVELENGTH=truth.wave)
    second = write_cube(tmp_path / "blue.fits", data, make_header(RESTWAV=88.356e-6), WAVELENGTH=truth.wave - 69.3849)
    viewer = make_explorer(first, second)
    pane = viewer.spectra.session.pane
    assert pane.rest == pytest.approx(157.7409)
    brightest = np.unravel_index(data.argmax(), data.shape)[0]
    assert abs(viewer.slices.slider.value() - brightest) < 12
    assert pane.x_limits == pytest.approx((truth.wave[0], truth.wave[-1]))
    assert "km/s" in viewer.slices.label.text()
    viewer.images.select("cube 1")
    settle(qtbot, viewer)
    pane = viewer.spectra.session.pane
    assert pane.rest == pytest.approx(88.356)
    assert pane.x_limits == pytest.approx((truth.wave[0] - 69.3849, truth.wave[-1] - 69.3849))
    assert float(viewer.spectra_tools.panel.rest.text()) == pytest.approx(88.356)


def test_that_contours_are_saved_with_their_levels_and_places_on_the_sky(qtbot, explorer, galaxy, tmp_path):
    explorer.map_tools.panel.moments.click()
    settle(qtbot, explorer)
    explorer.images.select("map Moment 0 cube 0")
    explorer.map_tools.save_contours(tmp_path / "contours.json")
    explorer.map_tools.save_contours(tmp_path / "contours.con")
    settle(qtbot, explorer)
    plain = json.loads((tmp_path / "contours.json").read_text())
    low, high = explorer.images.frames.entry.display.limits
    levels = sorted({line["level"] for line in plain["contours"]})
    assert plain["unit"] == "W/m2/pixel"
    assert plain["axes"] == ["RA", "DEC"]
    assert levels == pytest.approx(low + np.arange(1, 7) / 7 * (high - low), rel=1e-6)
    widest = max((line["points"] for line in plain["contours"] if line["level"] == levels[2]), key=len)
    center = np.mean(galaxy.wcs.wcs_world2pix(widest, 0), axis=0)
    assert center == pytest.approx((13.5, 11.5), abs=0.5)
    text = (tmp_path / "contours.con").read_text()
    assert len(text.strip().split("\n\n")) == len(plain["contours"])
    assert [float(word) for word in text.split()[:2]] == pytest.approx(plain["contours"][0]["points"][0])


def test_that_images_and_catalogues_are_linked_and_selected_everywhere(qtbot, explorer, galaxy, tmp_path):
    header = make_header((60, 60), pixel=3.0)
    for key in [k for k in header if k.endswith("3") and k != "CD3_3"] + ["CD3_3"]:
        del header[key]
    fits.PrimaryHDU(np.random.default_rng(1).random((60, 60)).astype("f4"), header).writeto(tmp_path / "image.fits")
    table = tmp_path / "stars.csv"
    positions = galaxy.wcs.wcs_pix2world([[13.5, 11.5], [25.0, 2.0]], 0)
    table.write_text("name,ra,dec\n" + "".join(f"s{i},{a},{d}\n" for i, (a, d) in enumerate(positions)))
    explorer.link_tools.add_image(tmp_path / "image.fits")
    explorer.link_tools.add_catalog(table)
    settle(qtbot, explorer)
    counts = explorer.link_tools.counts
    assert counts["core"]["image 0"] == pytest.approx(np.pi * 64, rel=0.06)
    assert counts["core"]["catalog 0"] == 1
    assert counts["wavelengths"] == {"cube 0": 50}
    assert explorer.link_tools.members["catalog 0"] == (0,)
    assert [index.row() for index in explorer.link_tools.panel.rows.selectionModel().selectedRows()] == [0]
    explorer.link_tools.panel.rows.selectRow(1)
    settle(qtbot, explorer)
    assert explorer.link_tools.counts["catalog rows"] == {"catalog 0": 1}
    for view in explorer.images.area.views.values():
        assert len(view.shown_drawings["linked catalogs"]) >= 2
    explorer.link_tools.remove("image 0")
    settle(qtbot, explorer)
    assert "image 0" not in keys(explorer)
    assert "image 0" not in explorer.link_tools.counts["core"]


def test_that_contours_of_an_image_are_drawn_on_the_cube(qtbot, explorer):
    explorer.map_tools.panel.moments.click()
    settle(qtbot, explorer)
    explorer.images.overlays.change(contours=True, contour_source="map Moment 0 cube 0")
    explorer.images.apply_overlays()
    settle(qtbot, explorer)
    assert explorer.images.area.views["cube 0"].shown_drawings["contours"]


def test_that_missing_glue_is_named_in_one_sentence(qtbot, explorer, monkeypatch):
    monkeypatch.setattr(link_tools, "has_glue", lambda: False)
    told = []
    explorer.failed.connect(told.append)
    explorer.commands.by_name["glue"].trigger()
    assert told == [link_tools.INSTALL_GLUE]
    assert explorer.images.status.text() == link_tools.INSTALL_GLUE


def test_that_glue_gets_files_of_cubes_that_are_only_in_memory(qtbot, explorer, monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(link_tools, "has_glue", lambda: True)
    monkeypatch.setattr(link_tools, "start_glue", lambda plain: started.append(plain))
    explorer.edit_tools.panel.crop.click()
    settle(qtbot, explorer)
    explorer.link_tools.open_in_glue()
    settle(qtbot, explorer)
    (plain,) = started
    assert [entry["kind"] for entry in plain["data"]] == ["cube", "cube"]
    assert open_cube(plain["data"][1]["path"]).shape == (50, 8, 8)
    assert set(plain["selections"]) == {"core", "wavelengths"}
    monkeypatch.setattr(glue_session, "has_glue", lambda: False)
    glue_session.main([str(glue_session.write_description(plain, tmp_path))])
    assert not Path(plain["temporary"]).exists()


def test_that_glue_gets_the_values_of_scaled_integers(qtbot, make_explorer, monkeypatch, tmp_path, truth):
    started, path = [], tmp_path / "scaled.fits"
    hdu = fits.ImageHDU(simulate(truth).astype("f4"), make_header())
    hdu.scale("int16", bscale=0.001, bzero=1.0)
    hdu.writeto(path)
    monkeypatch.setattr(link_tools, "has_glue", lambda: True)
    monkeypatch.setattr(link_tools, "start_glue", lambda plain: started.append(plain))
    viewer = make_explorer(path)
    viewer.link_tools.open_in_glue()
    settle(qtbot, viewer)
    linked = read_description(json.dumps(started[0]))
    (data,) = linked.data.values()
    np.testing.assert_allclose(data[data.main_components[0]], simulate(truth), atol=1e-3)
    shutil.rmtree(started[0]["temporary"])


def test_that_images_and_catalogues_asked_for_together_are_all_linked(qtbot, explorer, tmp_path):
    header = make_header((60, 60), pixel=3.0)
    for key in [k for k in header if k.endswith("3")]:
        del header[key]
    for number in range(3):
        fits.PrimaryHDU(np.ones((60, 60), "f4"), header).writeto(tmp_path / f"image{number}.fits")
        (tmp_path / f"stars{number}.csv").write_text(f"name,ra,dec\nstar,83.80{number},-5.4\n")
    for number in range(3):
        explorer.link_tools.add_image(tmp_path / f"image{number}.fits")
        explorer.link_tools.add_catalog(tmp_path / f"stars{number}.csv")
    settle(qtbot, explorer)
    assert sorted(key for key in keys(explorer) if key.startswith("image")) == ["image 0", "image 1", "image 2"]
    assert sorted(explorer.link_tools.catalogs) == ["catalog 0", "catalog 1", "catalog 2"]
    assert len(explorer.link_tools.linked.data) == 7
    path = write_session(explorer, tmp_path / "session.json")
    read_session(explorer, path)
    settle(qtbot, explorer)
    assert len(explorer.link_tools.linked.data) == 7


def test_that_a_session_is_shown_again(qtbot, explorer, make_explorer, tmp_path):
    explorer.choose_slice(33)
    explorer.spectra.overlays.add_window((157.36, 157.45))
    settle(qtbot, explorer)
    path = write_session(explorer, tmp_path / "session.json")
    again = make_explorer()
    read_session(again, path)
    settle(qtbot, again)
    assert again.slices.slider.value() == 33
    assert again.map_tools.range == pytest.approx(explorer.map_tools.range)
    assert again.map_tools.windows()[0] == pytest.approx(explorer.map_tools.windows()[0])
    (region,) = again.images.regions.named().values()
    assert region.name == "core"
    assert again.spectra.session.pane.rest == pytest.approx(REST)
    assert json.loads(path.read_text())["cubes"] == [str(explorer.cube.path)]


def test_that_a_session_keeps_settings_and_the_place_of_regions_on_another_cube(
    qtbot, explorer, make_explorer, tmp_path, truth
):
    other = write_cube(tmp_path / "b.fits", simulate(truth), make_header(rotation=70.0, pixel=4.0))
    explorer.open_files([other], add=True)
    settle(qtbot, explorer)
    explorer.images.regions.clear()
    explorer.images.regions.add(Region("circle", ((20.0, 4.0),), (3.0,), name="far"), "cube 1")
    explorer.edit_tools.panel.crop.click()
    settle(qtbot, explorer)
    explorer.images.select("cube 1")
    explorer.choose_slice(12)
    panel = explorer.map_tools.panel
    panel.degree.setCurrentIndex(3)
    panel.least.setValue(5.5)
    explorer.spectra_tools.choose_kernel(5)
    path = write_session(explorer, tmp_path / "session.json")
    again = make_explorer()
    read_session(again, path)
    settle(qtbot, again)
    assert again.cube_key == "cube 1"
    assert again.slices.slider.value() == 12
    assert again.images.regions.on_frame("cube 1")["region 1"].center == pytest.approx((20.0, 4.0), abs=1e-6)
    assert again.map_tools.panel.chosen_degree == 2
    assert again.map_tools.panel.least.value() == 5.5
    assert again.live.kernel == 5
    explorer.images.select(explorer.images.frames.entries[-1].key)
    assert json.loads(write_session(explorer, path).read_text())["current"] == 0


def test_that_a_damaged_session_is_named_in_one_sentence(qtbot, explorer, tmp_path):
    path, told = tmp_path / "session.json", []
    plain = json.loads(write_session(explorer, path).read_text())
    explorer.failed.connect(told.append)
    for change, words in (
        ({"windows": [[1]]}, "damaged"), ({"range": "wide"}, "damaged"), ({"pane": 3}, "damaged"),
        ({"cubes": []}, "no file"), ({"current": "x"}, "damaged"), ({"maps": {"least": "many"}}, "damaged"),
        ({"cursor": 4}, "damaged"),
    ):  # fmt: skip
        path.write_text(json.dumps({**plain, **change}))
        explorer.attempt(lambda: read_session(explorer, path))
        qtbot.waitUntil(lambda: bool(told), timeout=60_000)
        assert len(told) == 1
        assert words in told.pop()
    settle(qtbot, explorer)
    assert not told


def test_that_a_region_outside_the_cube_is_named_by_all_tools(qtbot, explorer):
    explorer.images.regions.add(Region("circle", ((200.0, 200.0),), (3.0,)), "cube 0")
    settle(qtbot, explorer)
    explorer.map_tools.panel.mask_choice.setCurrentText("Inside the region")
    edit, maps, fits = explorer.edit_tools.panel, explorer.map_tools.panel, explorer.map_tools.fit_panel
    for button in (edit.crop, edit.mask_button, maps.moments, fits.fit, fits.cells):
        explorer.say("")
        button.click()
        assert "outside the cube" in explorer.images.status.text()
    assert explorer.is_ready()
    assert list(explorer.cubes) == ["cube 0"]


def test_that_maps_of_a_cube_that_was_closed_meanwhile_are_not_shown(qtbot, explorer):
    explorer.map_tools.panel.moments.click()
    explorer.close_cube("cube 0")
    settle(qtbot, explorer)
    assert not explorer.map_tools.maps
    assert not explorer.images.frames.entries
    assert not explorer.jobs.is_busy


def test_that_channel_maps_stay_while_other_work_is_done(qtbot, explorer):
    explorer.map_tools.panel.channels.click()
    settle(qtbot, explorer)
    known = keys(explorer)
    explorer.map_tools.panel.moments.click()
    explorer.map_tools.panel.channels.click()
    assert "Wait for the end" in explorer.images.status.text()
    settle(qtbot, explorer)
    assert set(known) < set(keys(explorer))


def test_that_long_work_can_be_stopped(qtbot, explorer):
    explorer.jobs.run("Wait", lambda progress: [progress(0.5) or QtCore.QThread.msleep(5) for _ in range(5000)], print)
    assert explorer.jobs.is_busy
    assert not explorer.jobs.run("More", lambda _: None, print)
    explorer.jobs.cancel.click()
    qtbot.waitUntil(lambda: not explorer.jobs.is_busy, timeout=60_000)
    assert explorer.images.status.text() == "Stopped."


def test_that_products_replace_cubes_and_keep_slice_and_regions(qtbot, explorer, galaxy):
    from sofia_engine.product import Product

    explorer.choose_slice(17)
    product = Product.of(
        make_header(FILENAME="new.fits"), {"FLUX": np.full((80, 24, 28), 2.0, np.float32), "WAVELENGTH": galaxy.wave}
    )
    explorer.show_products([product, Product.of(make_header(), {"FLUX": np.ones((4, 4))})])
    settle(qtbot, explorer)
    assert [cube.name for cube in explorer.cubes.values()] == ["new.fits"]
    assert explorer.slices.slider.value() == 17
    (file,) = (f for key, f in explorer.spectra.session.files.items() if key.startswith("aperture"))
    assert file.spectra[0].flux == pytest.approx(np.full(80, 104.0), rel=0.1)
    explorer.pin_action.setChecked(True)
    explorer.show_products([product], ["again.fits"])
    settle(qtbot, explorer)
    assert [cube.name for cube in explorer.cubes.values()] == ["new.fits"]


def test_that_the_view_of_products_is_restored(qtbot, explorer, make_explorer, galaxy):
    from sofia_engine.product import Product

    explorer.choose_slice(12)
    state = json.loads(json.dumps(explorer.view_state()))
    again = make_explorer()
    again.restore_view(state)
    planes = {"FLUX": np.full((80, 24, 28), 2.0, np.float32), "WAVELENGTH": galaxy.wave}
    again.show_products([Product.of(make_header(FILENAME="new.fits"), planes)])
    settle(qtbot, again)
    assert again.slices.slider.value() == 12
    assert [region.name for region in again.images.regions.named().values()] == ["core"]
    assert again.map_tools.range == pytest.approx(explorer.map_tools.range)


def test_that_all_controls_have_names_and_nothing_is_cut_off(explorer):
    for panel in [explorer.tools.widget(i) for i in range(explorer.tools.count())]:
        for kind in (QtWidgets.QComboBox, QtWidgets.QLineEdit, QtWidgets.QPushButton):
            for widget in panel.findChildren(kind):
                assert widget.accessibleName() or widget.toolTip() or getattr(widget, "text", str)(), widget
        assert panel.widget().minimumSizeHint().width() <= panel.viewport().width() + 2


def test_that_no_thread_is_left_when_the_window_is_closed(qtbot, explorer):
    explorer.slices.play.setChecked(True)
    explorer.map_tools.panel.moments.click()
    explorer.close()
    assert not explorer.slices.is_playing
    assert explorer.tasks._pool.activeThreadCount() == 0
    assert explorer.images.tasks._pool.activeThreadCount() == 0
