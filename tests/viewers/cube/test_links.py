"""Links and selections of cubes, images and catalogues through glue data sets."""

import json

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import InputError, StepError
from sofia_viewers.cube import glue_session
from sofia_viewers.cube.cube import open_cube
from sofia_viewers.cube.links import LinkedData, read_description
from sofia_viewers.image.frame import Frame, open_image
from sofia_viewers.image.regions import Region

from .conftest import REST, make_header, make_truth, simulate, write_cube

CORE = Region("circle", ((13.5, 11.5),), (4.0,))


@pytest.fixture
def other_path(tmp_path):
    truth = make_truth((36, 40), 160, 0.005)
    header = make_header((36, 40), 160, 0.005, pixel=4.0, rotation=30.0)
    return write_cube(tmp_path / "other.fits", simulate(truth), header, WAVELENGTH=truth.wave)


def distance_to(wcs, shape, center):
    """Return the distance, arcsec, of all pixels from a place on the sky."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    lon, lat = wcs.wcs_pix2world(x.ravel(), y.ravel(), 0)
    east = ((lon - center[0] + 180) % 360 - 180) * np.cos(np.radians(center[1]))
    return np.hypot(east, lat - center[1]).reshape(shape) * 3600.0


def test_that_a_region_selects_the_same_sky_in_a_cube_of_another_grid(galaxy, other_path):
    linked = LinkedData()
    other = open_cube(other_path)
    linked.add_cube("a", galaxy)
    linked.add_cube("b", other)
    linked.select_region("core", CORE, galaxy.wcs)
    distance = distance_to(other.wcs, other.shape[1:], (83.8, -5.4))
    members = linked.find_members("core", "b")
    sure = np.abs(distance - 24.0) > 0.4
    assert np.array_equal(members[sure], (distance < 24.0)[sure])
    assert linked.count_members("core")["a"] == pytest.approx(np.pi * 16, abs=6)


def test_that_a_range_selects_the_same_wavelengths_in_all_cubes(galaxy, other_path):
    linked = LinkedData()
    linked.add_cube("a", galaxy)
    linked.add_cube("b", open_cube(other_path))
    linked.select_range("line", REST - 0.1, REST + 0.1)
    assert linked.count_members("line") == {"a": 20, "b": 40}
    linked.select_range("line", REST - 0.05, REST + 0.05)
    assert linked.count_members("line") == {"a": 10, "b": 20}
    linked.deselect("line")
    assert linked.selections == ()


@pytest.mark.parametrize("center", [(83.8, -5.4), (0.001, 60.0)], ids=["Orion", "across 0 h"])
def test_that_images_and_catalogues_of_other_instruments_are_selected_on_the_sky(tmp_path, truth, center):
    from astropy.coordinates import SkyCoord

    cube = open_cube(write_cube(tmp_path / "c.fits", simulate(truth), make_header(center=center)))
    sky = SkyCoord(*center, unit="deg").galactic
    header = make_header((50, 50), pixel=3.0, center=(sky.l.deg, sky.b.deg), CTYPE1="GLON-TAN", CTYPE2="GLAT-TAN")
    for key in [k for k in header if k.endswith("3") or k == "CD3_3"]:
        del header[key]
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(np.zeros((50, 50), np.float32), header).writeto(path)
    image = Frame.of(open_image(path))
    positions = cube.wcs.wcs_pix2world([[13.5, 11.5], [14.5, 12.0], [20.0, 11.5]], 0)
    linked = LinkedData()
    linked.add_cube("cube", cube)
    linked.add_image("image", image)
    linked.add_catalog("stars", "stars", positions)
    linked.select_region("core", CORE, cube.wcs)
    assert linked.find_members("core", "stars").tolist() == [True, True, False]
    assert linked.find_members("core", "cube")[11, 13]
    members = linked.find_members("core", "image")
    assert members.sum() == pytest.approx(np.pi * (4.0 * 6.0 / 3.0) ** 2, rel=0.05)
    rows, columns = np.nonzero(members)
    assert (columns.mean(), rows.mean()) == pytest.approx((24.5, 24.5), abs=0.1)


def test_that_rows_of_a_catalogue_are_a_selection_that_says_nothing_about_pixels(galaxy):
    linked = LinkedData()
    linked.add_cube("cube", galaxy)
    linked.add_catalog("stars", "stars", galaxy.wcs.wcs_pix2world([[3, 3], [5, 5]], 0))
    linked.select_rows("rows", "stars", [1])
    assert linked.find_members("rows", "stars").tolist() == [False, True]
    assert linked.find_members("rows", "cube") is None


def test_that_numbers_of_a_cube_are_not_copied_for_glue(galaxy):
    linked = LinkedData()
    linked.add_cube("cube", galaxy)
    data = linked.data["cube"]
    assert np.shares_memory(data.get_component(data.id["FLUX"]).data, galaxy.samples().raw)


def test_that_a_removed_data_set_leaves_the_others_linked(galaxy, other_path):
    linked = LinkedData()
    for key, cube in (("a", galaxy), ("b", open_cube(other_path)), ("c", galaxy)):
        linked.add_cube(key, cube)
    linked.remove("b")
    linked.select_region("core", CORE, galaxy.wcs)
    found = linked.count_members("core")
    assert found.keys() == {"a", "c"}
    assert found["a"] == found["c"]


def test_that_a_description_opens_the_same_data_links_and_selections(galaxy, other_path, tmp_path):
    linked = LinkedData()
    linked.add_cube("a", galaxy)
    linked.add_cube("b", open_cube(other_path))
    path = tmp_path / "stars.csv"
    path.write_text("name,ra,dec\nx,83.8,-5.4\ny,83.0,-5.0\n")
    linked.add_catalog("stars", "stars", np.array([[83.8, -5.4], [83.0, -5.0]]), str(path))
    linked.select_region("core", CORE, galaxy.wcs)
    linked.select_range("line", REST - 0.1, REST + 0.1)
    again = read_description(json.dumps(linked.describe()))
    assert list(again.data) == ["a", "b", "stars"]
    assert len(again.collection.external_links) == len(linked.collection.external_links)
    for name in ("core", "line"):
        assert again.count_members(name) == linked.count_members(name)


def test_that_a_bad_description_is_refused():
    with pytest.raises(InputError, match="cannot be read"):
        read_description('{"data": [{}], "selections": {}}')


def test_that_without_glue_one_sentence_says_how_to_install_it(monkeypatch, capsys, tmp_path, galaxy):
    monkeypatch.setattr(glue_session, "has_glue", lambda: False)
    with pytest.raises(StepError, match="python -m pip install glue-qt"):
        glue_session.start_glue({"data": [{}], "selections": {}})
    linked = LinkedData()
    linked.add_cube("a", galaxy)
    path = glue_session.write_description(linked.describe(), tmp_path)
    assert glue_session.main([str(path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not path.exists()


def test_that_coordinates_are_the_same_in_a_saved_session_of_glue(galaxy):
    from glue.core.state import GlueSerializer, GlueUnSerializer

    linked = LinkedData()
    linked.add_cube("a", galaxy)
    before = linked.data["a"].coords
    after = GlueUnSerializer.loads(GlueSerializer(before).dumps()).object("__main__")
    pixels = np.array([0.0, 13.5, 27.0]), np.array([0.0, 11.5, 23.0]), np.array([0.0, 40.0, 79.0])
    assert np.allclose(after.pixel_to_world_values(*pixels), before.pixel_to_world_values(*pixels), rtol=0, atol=1e-10)
    assert (after.world_axis_names, after.world_axis_units) == (before.world_axis_names, before.world_axis_units)


def test_that_the_command_for_glue_has_words_of_its_own(monkeypatch, capsys):
    from sofia_engine.cli import main

    monkeypatch.setattr(glue_session, "has_glue", lambda: True)
    assert main([glue_session.COMMAND, "no-such-file.fits"]) == 1
    assert "no-such-file.fits does not exist" in capsys.readouterr().err
    assert main([glue_session.COMMAND]) == 2


@pytest.mark.slow
@pytest.mark.skipif(not glue_session.has_glue(), reason="glue-qt is not installed")
def test_that_glue_shows_the_same_data_links_and_selections_also_from_its_own_session(galaxy, other_path, tmp_path):
    import os
    import subprocess
    import sys

    linked = LinkedData()
    linked.add_cube("a", galaxy)
    linked.add_cube("b", open_cube(other_path))
    linked.select_region("core", CORE, galaxy.wcs)
    session, environment = tmp_path / "saved.glu", {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path)}

    def show(*words):
        report = tmp_path / "report.json"
        command = [sys.executable, "-m", "sofia_engine", glue_session.COMMAND, *words, "--close-after", "4"]
        command += ["--report", report, "--save-session", session]
        subprocess.run([str(word) for word in command], check=True, timeout=150, env=environment)
        return json.loads(report.read_text())

    shown = show(glue_session.write_description(linked.describe(), tmp_path))
    assert shown["links"] == 3
    members = linked.count_members("core")
    assert shown["selections"]["core"] == {
        data.label: members[key] * data.shape[0] for key, data in linked.data.items()
    }
    assert all("core" in layers for layers in shown["viewers"])
    assert show(session) == shown


def test_that_others_stay_linked_and_selected_when_a_data_set_is_removed(tmp_path, truth):
    data = simulate(truth)
    linked = LinkedData()
    for number, key in enumerate("abc"):
        path = write_cube(tmp_path / f"{key}.fits", data, make_header(rotation=20.0 * number), WAVELENGTH=truth.wave)
        linked.add_cube(key, open_cube(path))
    region, wcs = Region("circle", ((13.0, 11.0),), (4.0,)), linked.data["a"].coords.celestial
    linked.select_region("core", region, wcs)
    linked.select_range("line", REST - 0.1, REST + 0.1)
    before = {name: linked.count_members(name) for name in linked.selections}
    assert set(before["core"]) == set("abc")
    linked.remove("a")
    assert len(linked.collection.external_links) == 3
    for name, counts in before.items():
        del counts["a"]
        assert linked.count_members(name) == counts


def test_that_slices_without_wavelengths_are_not_linked_with_wavelengths(tmp_path, truth, galaxy):
    header = make_header()
    for key in ("CTYPE3", "CRVAL3", "CRPIX3", "CUNIT3", "CD3_3"):
        del header[key]
    plain = open_cube(write_cube(tmp_path / "plain.fits", simulate(truth), header))
    linked = LinkedData()
    linked.add_cube("galaxy", galaxy)
    linked.add_cube("plain", plain)
    linked.select_range("line", REST - 0.1, REST + 0.1, "um", "galaxy")
    assert linked.count_members("line") == {"galaxy": 20}
    linked.select_range("line", 10.0, 20.0, "pixel", "plain")
    assert linked.count_members("line") == {"plain": 11}
