"""What is selected in one view is shown in the others: the real window, real viewers, real mouse clicks on tables."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

pytest.importorskip("PySide6")

from sofia_app.desk import Desk
from sofia_app.models.preferences import Preferences
from sofia_app.models.products import OpenedState
from sofia_app.window import MainWindow
from sofia_engine.product import Plane, Product
from sofia_viewers.image.geometry import map_pixels
from sofia_viewers.image.places import find_sky, place_on
from sofia_viewers.image.regions import Region
from sofia_viewers.qt import QtCore, QtWidgets
from sofia_viewers.spectrum.slit_sky import read_slit_sky

PATIENCE = 60_000
RA, DEC = 83.8, -5.4


def sky_header(shape, pixel, rotation=0.0, center=(RA, DEC), **cards):
    """Return the header of an image: tangent projection turned by degrees, north up at 0."""
    c, s, scale = np.cos(np.radians(rotation)), np.sin(np.radians(rotation)), pixel / 3600.0
    header = fits.Header()
    header.update({
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": center[0], "CRVAL2": center[1],
        "CRPIX1": (shape[1] + 1) / 2, "CRPIX2": (shape[0] + 1) / 2, "CD1_1": -scale * c, "CD1_2": scale * s,
        "CD2_1": scale * s, "CD2_2": scale * c, "FILENAME": "image.fits", **cards,
    })  # fmt: skip
    return header


def make_image(rotation=0.0, center=(RA, DEC)):
    y, x = np.indices((60, 70))
    star = 100 * np.exp(-0.5 * ((x - 40) ** 2 + (y - 25) ** 2) / 4.0)
    noise = np.random.default_rng(0).normal(0, 0.1, star.shape)
    return Product.of(sky_header(star.shape, 1.5, rotation, center, BUNIT="Jy"), {"FLUX": star + noise})


def make_cube():
    wave = 157.74 + 0.01 * (np.arange(30) - 15)
    y, x = np.indices((24, 28))
    flux = (
        np.exp(-0.5 * ((x - 14) ** 2 + (y - 12) ** 2) / 16)
        * (1 + np.exp(-0.5 * ((wave - 157.74) / 0.03) ** 2))[:, None, None]
    )
    cards = {"CTYPE3": "WAVE", "CUNIT3": "um", "CRVAL3": wave[0], "CRPIX3": 1.0, "CD3_3": 0.01, "BUNIT": "Jy/pixel"}
    header = sky_header((24, 28), 5.0, 30.0, **cards)
    header["FILENAME"] = "cube.fits"
    return Product.of(header, {"FLUX": flux})


def make_slit():
    """A slit along declination, turned by 20 degrees, through the middle of the image; columns from 157.6 um."""
    theta, step = np.radians(20.0), 0.768
    header = fits.Header()
    header.update({
        "FILENAME": "slit.fits", "CTYPE1A": "WAVE", "CTYPE2A": "DEC--TAN", "CTYPE3A": "RA---TAN", "CUNIT1A": "um",
        "CUNIT2A": "deg", "CUNIT3A": "deg", "CRPIX1A": 31.0, "CRPIX2A": 21.0, "CRPIX3A": 1.0, "CRVAL1A": 157.75,
        "CRVAL2A": DEC, "CRVAL3A": RA, "CDELT1A": 0.005, "CDELT2A": step / 3600, "CDELT3A": -step / 3600,
        "PC2_2A": np.cos(theta), "PC2_3A": -np.sin(theta), "PC3_2A": np.sin(theta), "PC3_3A": np.cos(theta),
        "RADESYSA": "FK5", "EQUINOXA": 2000.0, "APPOSO01": "15.36", "APSGNO01": "1", "APFWHM01": "3.0",
    })  # fmt: skip
    rows, wave = step * np.arange(40), 157.6 + 0.005 * np.arange(60)
    profile = np.exp(-0.5 * ((rows - 15.36) / 1.5) ** 2)
    planes = {
        "FLUX": Plane.of(np.repeat(profile[:, None], 60, axis=1), "Jy"), "WAVEPOS": Plane.of(wave, "um"),
        "SLITPOS": Plane.of(rows, "arcsec"), "SPATIAL_PROFILE": Plane.of(profile / profile.sum()),
        "SPECTRAL_FLUX": Plane.of(np.ones(60), "Jy"), "SPECTRAL_ERROR": Plane.of(np.full(60, 0.1), "Jy"),
    }  # fmt: skip
    return Product.of(header, planes)


class Views:
    """The window with products in its viewers, without a reduction."""

    def __init__(self, window, qtbot):
        self.window = window
        self.wait = lambda condition: qtbot.waitUntil(condition, timeout=PATIENCE)

    def show(self, kind, *products):
        page = next(page for page in self.window.pages if page.kind.name == kind)
        page.show_state(OpenedState("a", "a", products))
        self.wait(lambda: page.viewer is not None and page.is_ready)
        return page.viewer


@pytest.fixture
def views(qtbot, lab: Path, tmp_path: Path) -> Iterator[Views]:
    preferences = Preferences.load()
    preferences.output_rule, preferences.output_folder = "fixed", str(tmp_path / "out")
    window = MainWindow(Desk(preferences=preferences, instrument_folders=[lab]))
    window.show()
    window.desk.start()
    qtbot.waitExposed(window)
    yield Views(window, qtbot)
    window.close()
    window.deleteLater()
    QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


def circle(x, y, radius=4.0, **more):
    return Region("circle", ((x, y),), (radius,), **more)


def sky_of(images):
    """Where the regions of a viewer are, by their names."""
    regions = images.regions
    return {r.name: find_sky(regions.frame_of(key), [r.center])[0] for key, r in regions.named().items()}


def test_that_a_region_on_an_image_is_one_in_the_cube_and_back(views):
    image, cube = views.show("image", make_image()), views.show("cube", make_cube())
    images = cube.images
    key = image.frames.entry.key
    name = image.regions.add(circle(40, 25, name="star"), key)
    assert len(images.regions.items()) == 1
    # the cube has pixels of 5 arcsec, turned by 30 degrees
    np.testing.assert_allclose(sky_of(images)["star"], sky_of(image)["star"], atol=0.01 / 3600)
    assert images.regions.items()[0].sizes[0] == pytest.approx(4 * 1.5 / 5.0, rel=1e-3)
    views.wait(lambda: any("star" in curve.title for curve in cube.spectra.area.current.content.curves))
    image.regions.edit(name, circle(30, 35, name="star"), key)
    np.testing.assert_allclose(sky_of(images)["star"], sky_of(image)["star"], atol=0.01 / 3600)
    (twin,) = images.regions.named()
    moved = images.regions.named()[twin].moved(2.0, 1.0)
    images.regions.edit(twin, moved, images.frames.entry.key)
    np.testing.assert_allclose(sky_of(images)["star"], sky_of(image)["star"], atol=0.01 / 3600)
    assert len(image.regions.items()) == 1
    images.regions.remove(twin)
    assert image.regions.items() == ()


def test_that_regions_wait_for_views_that_are_opened_later(views):
    image = views.show("image", make_image())
    image.regions.add(circle(40, 25, name="star"), image.frames.entry.key)
    images = views.show("cube", make_cube()).images
    views.wait(lambda: len(images.regions.items()) == 1)
    np.testing.assert_allclose(sky_of(images)["star"], sky_of(image)["star"], atol=0.01 / 3600)


def test_that_regions_of_another_field_are_not_taken_over(views):
    image, cube = views.show("image", make_image(center=(120.0, 30.0))), views.show("cube", make_cube())
    image.regions.add(circle(40, 25), image.frames.entry.key)
    assert cube.images.regions.items() == ()
    assert len(image.regions.items()) == 1


def test_that_a_choice_of_region_is_followed(views):
    image, cube = views.show("image", make_image()), views.show("cube", make_cube())
    key = image.frames.entry.key
    names = [image.regions.add(circle(x, 25, name=str(x)), key) for x in (30, 40)]
    image.regions.select(names[0])
    chosen = cube.images.regions.named()[cube.images.regions.selected]
    assert chosen.name == "30"


def test_that_a_row_of_photometry_marks_its_source_in_all_views(views):
    image, cube = views.show("image", make_image()), views.show("cube", make_cube())
    key = image.frames.entry.key
    image.examiner.press("a", key, 40, 25)
    views.wait(lambda: image.tasks.is_idle and image.results.photometry.table.rowCount() == 1)
    image.results.photometry.table.selectRow(0)
    (place,) = image.place_marks.places["selected sources"]
    frame = image.frames.entry.frame
    np.testing.assert_allclose(place_on(frame, place.sky)[0], (40, 25), atol=0.05)
    (linked,) = cube.images.place_marks.places["linked sources"]
    other = cube.images.frames.entry.frame
    expected = map_pixels(np.array([[40.0, 25.0]]), frame.wcs, other.wcs)[0]
    np.testing.assert_allclose(place_on(other, linked.sky)[0], expected, atol=0.05)
    image.results.photometry.table.clearSelection()
    assert cube.images.place_marks.places["linked sources"] == ()


def test_that_a_source_without_coordinates_is_marked_on_its_own_image(views):
    product = make_image()
    plain = fits.Header({"FILENAME": "plain.fits", "BUNIT": "Jy"})
    image = views.show("image", Product.of(plain, {"FLUX": product["FLUX"]}))
    image.examiner.press("a", image.frames.entry.key, 40, 25)
    views.wait(lambda: image.tasks.is_idle and image.results.photometry.table.rowCount() == 1)
    image.results.photometry.table.selectRow(0)
    assert image.place_marks.places.get("selected sources", ()) == ()
    (view,) = image.area.views.values()
    (drawing,) = view._layers["selected pixels"]
    np.testing.assert_allclose(drawing.marks[0].at, (40, 25), atol=0.05)


def test_that_a_region_chooses_the_rows_of_its_sources(views):
    image = views.show("image", make_image())
    key = image.frames.entry.key
    image.examiner.press("a", key, 40, 25)
    views.wait(lambda: image.tasks.is_idle and image.results.photometry.table.rowCount() == 1)
    image.regions.add(circle(40, 25), key)
    assert image.results.photometry.selected == [0]
    image.regions.add(circle(10, 50), key)
    assert image.results.photometry.selected == []


def test_that_slit_and_apertures_are_marked_on_images_and_regions_in_the_slit(views):
    image, step = views.show("image", make_image()), views.show("slit", make_slit())
    views.wait(lambda: step.current is not None and "slit" in image.place_marks.places)
    line, aperture = image.place_marks.places["slit"]
    assert len(line.sky) == 2
    # row 20 of the slit is the reference point; its apertures lie at arcsec 15.36 = row 20
    np.testing.assert_allclose(aperture.sky[0], (RA, DEC), atol=1e-7)
    on_slit = read_slit_sky(make_slit().header).find_sky([28.0])
    x, y = place_on(image.frames.entry.frame, on_slit)[0]
    image.regions.add(circle(x, y, name="knot"), image.frames.entry.key)
    assert step.view.places == [("knot", pytest.approx(28 * 0.768, abs=1e-3))]
    image.regions.change_selected(name="{a name} with braces that is long")
    assert [name for name, _ in step.view.places] == ["{a name} with braces th…"]
    image.regions.edit(image.regions.selected, circle(x + 20, y + 20, name="knot"), image.frames.entry.key)
    assert step.view.places == []  # beside the slit


def test_that_a_range_of_wavelengths_is_marked_in_spectra_cube_and_slit(views):
    cube, step = views.show("cube", make_cube()), views.show("slit", make_slit())
    cube.images.regions.add(circle(14, 12), cube.images.frames.entry.key)
    spectrum = views.show("spectrum", make_slit())
    views.wait(lambda: all(len(each.area.current.content.curves) for each in (spectrum, cube.spectra)))
    spectrum.overlays.measure(spectrum.area.current.name, (157.7, 157.8))
    assert cube.spectra.overlays.region[1:] == pytest.approx((157.7, 157.8))
    assert step.view._ranges[0].getRegion() == pytest.approx((157.7, 157.8))
    cube.spectra.mark_range(157.68, 157.72)
    assert spectrum.overlays.region[1:] == pytest.approx((157.68, 157.72))
    spectrum.mark_range(10.0, 11.0)  # the cube has nothing there
    assert cube.spectra.overlays.region[1:] == pytest.approx((157.68, 157.72))


def test_that_positions_survive_the_way_to_the_sky_and_back():
    slit = read_slit_sky(make_slit().header)
    rows = slit.find_rows(slit.find_sky([0.0, 20.0, 39.0]))
    np.testing.assert_allclose(rows, [[0, 0], [20, 0], [39, 0]], atol=1e-6)
    # one row across the slit, to the east of a slit along declination turned by 20 degrees
    (sky,) = slit.find_sky([20.0])
    np.testing.assert_allclose(sky, (RA, DEC), atol=1e-9)
    assert read_slit_sky(fits.Header({"CTYPE1A": "WAVE"})) is None
    broken = make_slit().header.copy()
    broken["CDELT2A"] = "?"
    assert read_slit_sky(broken) is None
