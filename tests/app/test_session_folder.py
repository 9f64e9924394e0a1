"""What the views leave in the folder of a session: regions and apertures as DS9 files, a list of exported files."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

pytest.importorskip("PySide6")

from sofia_app.models.exports import ExportRecord, append_record, read_records
from sofia_app.models.kept_regions import RegionSet, name_region_file, read_region_files, write_region_files
from sofia_viewers.image.regions import Region, parse_regions
from sofia_viewers.qt import QtWidgets
from window_driver import Driver, make_window, open_window

SKY = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 60.0, "CRPIX2": 50.0, "CRVAL1": 83.8, "CRVAL2": -5.4,
       "CDELT1": -2e-4, "CDELT2": 2e-4}  # fmt: skip
STAR = (70.0, 40.0)
CIRCLE = Region("circle", ((30.0, 80.0),), (6.5,), name="blob", color="magenta")
BOX = Region("box", ((90.0, 30.0),), (12.0, 8.0), 25.0)


def write_star(path: Path, **cards: object) -> Path:
    y, x = np.indices((128, 128))
    data = 100 * np.exp(-((x - STAR[0]) ** 2 + (y - STAR[1]) ** 2) / (2 * 2.0**2))
    data += np.random.default_rng(1).normal(0, 1, data.shape)
    header = fits.Header({"INSTRUME": "LAB", "OBJECT": "STAR", "EXPTIME": 3.0} | cards)
    fits.PrimaryHDU(data.astype(np.float32), header).writeto(path)
    return path


@pytest.fixture
def driver(qtbot, lab: Path, tmp_path: Path, request) -> Iterator[Driver]:
    window = open_window(qtbot, lab, tmp_path)
    driver = next(window)
    cards = getattr(request, "param", SKY)
    driver.open([write_star(tmp_path / "raw_0001.fits", **cards)])
    driver.wait(lambda: driver.window.image.viewer is not None and driver.window.image.is_ready)
    driver.has_sky = bool(cards)
    yield driver
    next(window, None)


def session_of(driver: Driver) -> Path:
    return Path(driver.desk.reduction.snapshot.session)


def measure_star(driver: Driver) -> None:
    viewer = driver.window.image.viewer
    viewer.press_key("a", "0", *STAR)
    driver.wait(lambda: bool(viewer.examiner.sources.get("0")))


class TestRegions:
    @pytest.mark.parametrize("driver", [SKY, {}], ids=["sky", "pixels"], indirect=True)
    def test_that_regions_and_apertures_come_back_with_the_session(
        self, driver: Driver, qtbot, lab: Path, tmp_path: Path
    ) -> None:
        viewer = driver.window.image.viewer
        viewer.regions.add(CIRCLE, "0")
        viewer.regions.add(BOX, "0")
        measure_star(driver)
        source = viewer.examiner.sources["0"][0]
        session = session_of(driver)
        driver.wait(lambda: driver.window.keeper._session != "")
        driver.window.close()
        text = (session / "regions" / "image.reg").read_text()
        assert text.splitlines()[:2] == ["# Region file format: DS9", "icrs" if driver.has_sky else "image"]
        assert text.count("tag={photometry}") == 2
        assert not json.loads((session / "views.json").read_text())["pages"][0]["view"].get("regions")

        window = make_window(lab, tmp_path)
        again = Driver(window, qtbot)
        try:
            window.desk.resume(session)
            again.wait(lambda: window.image.viewer is not None and bool(window.image.viewer.examiner.sources.get("0")))
            store = window.image.viewer.regions
            found = {region.shape: region for region in store.items()}
            assert set(found) == {"circle", "box"}
            assert found["circle"].center == pytest.approx(CIRCLE.center, abs=1e-3)
            assert found["circle"].sizes == pytest.approx(CIRCLE.sizes, abs=1e-3)
            assert (found["circle"].name, found["circle"].color) == ("blob", "magenta")
            assert found["box"].sizes == pytest.approx(BOX.sizes, abs=1e-3)
            assert found["box"].angle == pytest.approx(25.0, abs=1e-3)
            back = window.image.viewer.examiner.sources["0"][0]
            assert (back.x, back.y, back.aperture) == pytest.approx((source.x, source.y, source.aperture), abs=1e-3)
            assert len(window.image.viewer.results.photometry.rows) == 1
        finally:
            window.close()
            window.deleteLater()

    def test_that_regions_are_written_while_the_program_runs(self, driver: Driver) -> None:
        driver.wait(lambda: driver.window.keeper._session != "")
        path = session_of(driver) / "regions" / "image.reg"
        name = driver.window.image.viewer.regions.add(CIRCLE, "0")
        driver.window.keeper.keep()
        driver.wait(path.exists)
        before = path.stat().st_mtime_ns
        driver.window.keeper.keep()
        driver.wait(lambda: driver.desk.tasks.is_idle)
        assert path.stat().st_mtime_ns == before, "what has not changed is not written again"
        driver.window.image.viewer.regions.remove(name)
        driver.window.keeper.keep()
        driver.wait(lambda: not path.exists())

    def test_that_a_region_file_that_was_edited_elsewhere_is_taken(
        self, driver: Driver, qtbot, lab: Path, tmp_path: Path
    ) -> None:
        driver.window.image.viewer.regions.add(CIRCLE, "0")
        session = session_of(driver)
        driver.wait(lambda: driver.window.keeper._session != "")
        driver.window.close()
        (session / "regions" / "image.reg").write_text("image\npoint(11,21)\ncircle(31,41,5)\n")
        window = make_window(lab, tmp_path)
        try:
            window.desk.resume(session)
            again = Driver(window, qtbot)
            again.wait(lambda: window.image.viewer is not None and len(window.image.viewer.regions.items()) == 2)
            assert {region.center for region in window.image.viewer.regions.items()} == {(10.0, 20.0), (30.0, 40.0)}
        finally:
            window.close()
            window.deleteLater()


class TestRegionFiles:
    def test_that_each_view_has_a_file_and_none_without_regions(self, tmp_path: Path) -> None:
        names = [name_region_file("image", 1), name_region_file("image", 2), name_region_file("cube", 1)]
        assert names == ["image.reg", "image-2.reg", "cube.reg"]
        write_region_files(tmp_path, [RegionSet(name, (CIRCLE,)) for name in names])
        write_region_files(tmp_path, [RegionSet("image-2.reg")])
        texts = read_region_files(tmp_path)
        assert sorted(texts) == ["cube.reg", "image.reg"]
        assert parse_regions(texts["image.reg"]).regions == (CIRCLE,)

    def test_that_a_session_without_regions_has_no_folder(self, tmp_path: Path) -> None:
        write_region_files(tmp_path, [RegionSet("image.reg")])
        assert not (tmp_path / "regions").exists()
        assert read_region_files(tmp_path) == {}


class TestExports:
    def test_that_exported_figures_and_tables_are_listed(self, driver: Driver, tmp_path: Path) -> None:
        viewer = driver.window.image.viewer
        measure_star(driver)
        folder = tmp_path / "figures"
        folder.mkdir()
        viewer.export(folder / "star.png")
        viewer.results.photometry.save(folder / "star.ecsv")
        viewer.regions.add(CIRCLE, "0")
        viewer.regions.save(folder / "star.reg", "image")
        viewer.save_fits(folder / "star.fits")
        driver.window.provenance.show()
        driver.wait(lambda: len(driver.window.exports.records) == 4)
        lines = (session_of(driver) / "exports" / "exports.jsonl").read_text().splitlines()
        assert [Path(json.loads(line)["path"]).name for line in lines] == [
            "star.png",
            "star.ecsv",
            "star.reg",
            "star.fits",
        ]
        first = json.loads(lines[0])
        assert first["size"] == (folder / "star.png").stat().st_size
        assert first["state"] == driver.desk.reduction.snapshot.current
        driver.window.bring_up("provenance")
        driver.wait(lambda: "star.png" in json.dumps(driver.window.provenance._describe()))

    def test_that_the_list_goes_on_when_the_session_is_opened_again(
        self, driver: Driver, qtbot, lab: Path, tmp_path: Path
    ) -> None:
        driver.window.image.viewer.export(tmp_path / "one.png")
        session = session_of(driver)
        driver.window.close()
        window = make_window(lab, tmp_path)
        try:
            window.desk.resume(session)
            Driver(window, qtbot).wait(lambda: len(window.exports.records) == 1)
            assert Path(window.exports.records[0].path).name == "one.png"
        finally:
            window.close()
            window.deleteLater()

    def test_that_half_a_line_is_passed_over(self, tmp_path: Path) -> None:
        append_record(tmp_path, ExportRecord("/a.png", "key", "Stack", 1.0, 5))
        with (tmp_path / "exports" / "exports.jsonl").open("a") as stream:
            stream.write('{"path": "/b')
        assert [record.path for record in read_records(tmp_path)] == ["/a.png"]
        assert "Stack" in read_records(tmp_path)[0].text
        assert read_records(tmp_path / "nowhere") == ()

    def test_that_nothing_is_listed_without_a_session(self, qtbot, lab: Path, tmp_path: Path) -> None:
        from sofia_viewers.export import paint_picture

        window = open_window(qtbot, lab, tmp_path)
        driver = next(window)
        paint_picture(tmp_path / "a.png", (20, 20), lambda _painter, _rect: None)
        QtWidgets.QApplication.processEvents()
        assert driver.window.exports.records == ()
        next(window, None)
