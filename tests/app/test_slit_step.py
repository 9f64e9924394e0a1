"""The slit tab of the window: real widgets, real mouse, and the engine's process with a spectrograph of its own."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

pytest.importorskip("PySide6")

from sofia_app.desk import Desk
from sofia_app.models.preferences import Preferences
from sofia_app.views.postponed import Postponed
from sofia_app.views.slit_step import SlitStep
from sofia_app.window import MainWindow
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from sofia_viewers.spectrum.slit_view import POSITIONS, PSF_RADII

PROFILE, PLACE, SIZE, SUM = range(4)
SOURCE = 10.0
"""Where the bright source is, arcsec; a fainter one is at 5."""


PATIENCE = 60_000


class Driver:
    """Does what a user does, and waits for what follows."""

    def __init__(self, window: MainWindow, qtbot) -> None:
        self.window, self.desk, self.form = window, window.desk, window.parameters
        self.wait = lambda condition: qtbot.waitUntil(condition, timeout=PATIENCE)

    def refresh(self) -> None:
        """Wait until all panels show what there is."""
        self.wait(lambda: not any(postponed.is_due for postponed in self.window.findChildren(Postponed)))

    def settle(self) -> None:
        """Wait until nothing runs and the current state is shown."""
        self.wait(lambda: not self.desk.is_busy and self.desk.tasks.is_idle)
        self.wait(lambda: self.window.shown.key == self.desk.reduction.snapshot.current)
        self.refresh()

    def open(self, files: list[Path]) -> None:
        self.desk.open_paths(files)
        self.wait(lambda: self.desk.reduction.is_open)
        self.settle()

    def do(self, name: str) -> None:
        self.refresh()
        assert self.window.qactions[name].isEnabled()
        self.window.qactions[name].trigger()


@pytest.fixture
def empty(qtbot, lab: Path, tmp_path: Path) -> Iterator[Driver]:
    """The window without data."""
    preferences = Preferences.load()
    preferences.output_rule, preferences.output_folder = "fixed", str(tmp_path / "out")
    window = MainWindow(Desk(preferences=preferences, instrument_folders=[lab]))
    window.show()
    window.desk.start()
    qtbot.waitExposed(window)
    yield Driver(window, qtbot)
    window.close()
    window.deleteLater()
    QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


@pytest.fixture
def raw(tmp_path: Path) -> list[Path]:
    """Two images of a slit with a bright and a faint source."""
    rows, paths = np.arange(40) * 0.5, []
    shape = np.exp(-0.5 * (rows - SOURCE) ** 2) + 0.3 * np.exp(-0.5 * (rows - 5.0) ** 2)
    for number in (1, 2):
        header = fits.Header({"INSTRUME": "SLITLAB", "OBJECT": "STAR"})
        path = tmp_path / "raw" / f"slit_{number:04d}.fits"
        path.parent.mkdir(exist_ok=True)
        fits.PrimaryHDU(np.repeat(shape[:, None], 60, axis=1) * number, header).writeto(path)
        paths.append(path)
    return paths


@pytest.fixture
def driver(empty: Driver, raw: list[Path]) -> Driver:
    empty.open(raw[:1])
    return empty


def slit_of(driver: Driver) -> SlitStep:
    """Return the slit tab, when it has drawn what is shown."""
    page = next(page for page in driver.window.pages if page.kind.name == "slit")
    driver.wait(lambda: page.viewer is not None and page.is_ready and page.viewer.current is not None)
    return page.viewer


def slit(driver: Driver) -> SlitStep:
    """Return the slit tab, when it has drawn the current state."""
    step = slit_of(driver)
    driver.settle()
    return step


def run_to(driver: Driver, index: int) -> SlitStep:
    driver.window.pipeline.select_step(index)
    driver.do("run_to_selected")
    driver.wait(lambda: driver.desk.reduction.next_index == index + 1)
    driver.settle()
    return slit(driver)


def send(step: SlitStep, events: list[tuple]) -> None:
    """Send mouse events to the profile: kind, slit position, button, buttons held."""
    plot = step.view.profile_plot
    viewport, box = plot.viewport(), plot.getPlotItem().getViewBox()
    x = sum(box.viewRange()[0]) / 2
    for kind, value, button, buttons in events:
        point = QtCore.QPointF(plot.mapFromScene(box.mapViewToScene(QtCore.QPointF(x, value))))
        where = viewport.mapToGlobal(point)
        event = QtGui.QMouseEvent(kind, point, where, button, buttons, Qt.KeyboardModifier.NoModifier)
        QtWidgets.QApplication.sendEvent(viewport, event)
        QtWidgets.QApplication.processEvents()
        time.sleep(0.012)  # moves that follow each other faster are left out


LEFT, NONE, KINDS = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton, QtCore.QEvent.Type


def drag(step: SlitStep, start: float, stop: float) -> None:
    """Drag with the left button from one slit position to another."""
    moves = [(KINDS.MouseMove, start + (stop - start) * n / 4, NONE, LEFT) for n in range(1, 5)]
    press = [(KINDS.MouseMove, start, NONE, NONE), (KINDS.MouseButtonPress, start, LEFT, LEFT)]
    send(step, [*press, *moves, (KINDS.MouseButtonRelease, stop, LEFT, NONE)])


def double_click(step: SlitStep, place: float) -> None:
    """Click twice."""
    press, release = (KINDS.MouseButtonPress, place, LEFT, LEFT), (KINDS.MouseButtonRelease, place, LEFT, NONE)
    send(step, [press, release, (KINDS.MouseButtonDblClick, place, LEFT, LEFT), release])


def test_that_steps_of_slit_spectra_come_to_the_front_with_all_their_plots(driver: Driver) -> None:
    step = run_to(driver, SUM)
    assert driver.window.page_in_front.viewer is step
    assert step.current.image.shape == (40, 60)
    assert [a.position for a in step.view.marks.apertures] == [SOURCE]
    assert len(step.view.spectrum_plot.getPlotItem().listDataItems()) == 1
    assert step.table.item(0, 1).text() == "10.00"
    assert step.table.item(1, 0).text() == "Bg. 1"
    assert not step.run.isEnabled()
    driver.do("show_header")
    driver.do("show_slit")
    assert driver.window.page_in_front.viewer is step


def test_that_a_dragged_aperture_is_shown_in_the_form_and_used_by_the_next_run(driver: Driver) -> None:
    step = run_to(driver, SUM)
    before = np.array(step.current.flux)
    drag(step, SOURCE, 5.0)
    driver.refresh()
    assert driver.desk.selection["step"] == PLACE
    row = driver.form.rows["places"]
    typed = float(row.editor.line.text())
    assert typed == pytest.approx(5.0, abs=0.3)
    assert row.mark.text() == "✎"
    assert driver.form.rows["how"].editor.box.currentText() == "given"
    assert driver.desk.reduction.rows[SUM].state == "done"
    assert step.run.isEnabled()
    assert step.run.text() == "Run to Add Up"
    step.run.click()
    driver.wait(lambda: driver.desk.is_busy)
    driver.settle()
    step = slit(driver)
    placed = float(driver.window.shown.products[0].header["APPOSO01"])
    assert placed == pytest.approx(typed)
    assert step.current.flux.sum() < 0.6 * before.sum()
    assert len([state for state in driver.desk.reduction.states.values() if state.index == SUM]) == 2
    assert not step.run.isEnabled()


def test_that_undo_takes_the_drag_back_and_then_is_that_of_steps_again(driver: Driver, qtbot) -> None:
    step = run_to(driver, SIZE)
    driver.window.activateWindow()
    drag(step, SOURCE, 7.0)
    drag(step, 10.0, 9.0)  # the upper edge of the aperture, now at 7 + 3
    driver.refresh()
    assert driver.desk.forms[SIZE].is_edited
    assert step.view.marks.apertures[0].psf_radius == pytest.approx(2.0, abs=0.3)
    step.view.profile_plot.setFocus()
    qtbot.keyClick(step.view.profile_plot, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    driver.refresh()
    assert not driver.desk.forms[SIZE].is_edited
    assert driver.desk.forms[PLACE].is_edited
    qtbot.keyClick(step.view.profile_plot, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    driver.refresh()
    assert not driver.desk.forms[PLACE].is_edited
    assert step.view.marks.apertures[0].position == SOURCE
    assert driver.desk.reduction.next_index == SIZE + 1
    step.buttons["redo"].click()
    driver.refresh()
    assert driver.desk.forms[PLACE].is_edited


def test_that_revert_in_the_form_moves_the_lines_back(driver: Driver) -> None:
    step = run_to(driver, PLACE)
    drag(step, SOURCE, 7.0)
    driver.refresh()
    assert step.view.marks.apertures[0].position < 9.0
    driver.do("revert_parameters")
    driver.refresh()
    assert step.view.marks.apertures[0].position == SOURCE
    driver.form.form.edit("places", "12.5")
    driver.form.form.edit("how", "given")
    driver.refresh()
    assert step.view.lines[0, POSITIONS, 0].value() == 12.5


def test_that_apertures_and_regions_are_added_and_removed(driver: Driver) -> None:
    step = run_to(driver, SIZE)
    step.buttons["add aperture"].click()
    driver.refresh()
    assert [round(a.position) for a in step.view.marks.apertures] == [5, 10]
    assert driver.desk.forms[PLACE].changes()["places"] == "5,10"
    step.table.cellClicked.emit(1, 0)
    step.setFocus()
    step.buttons["remove"].click()
    driver.refresh()
    assert driver.desk.forms[PLACE].changes()["places"] == "5"
    step.table.cellClicked.emit(0, 0)
    step.buttons["remove"].click()
    driver.refresh()
    assert driver.desk.forms[PLACE].changes()["places"] == "5"
    assert "only aperture" in driver.window.statusBar().currentMessage()
    step.buttons["add region"].click()
    driver.refresh()
    assert len(step.view.marks.background) == 2
    for _ in range(2):
        step.table.cellClicked.emit(1, 0)
        step.buttons["remove"].click()
        driver.refresh()
    assert driver.desk.forms[SIZE].changes()["sky"] == ","
    step.buttons["automatic"].click()
    driver.refresh()
    assert not any(form.is_edited for form in driver.desk.forms)
    assert [a.position for a in step.view.marks.apertures] == [SOURCE]


def test_that_a_double_click_adds_an_aperture(driver: Driver) -> None:
    step = run_to(driver, PLACE)
    double_click(step, 15.0)
    driver.refresh()
    assert [a.position for a in step.view.marks.apertures] == pytest.approx([10.0, 15.0], abs=0.3)


def test_that_each_file_has_its_own_apertures(empty: Driver, raw: list[Path]) -> None:
    empty.open(raw)
    step = run_to(empty, SIZE)
    assert step.file.count() == 2
    step.file.setCurrentIndex(1)
    step.file.activated.emit(1)
    drag(step, SOURCE, 7.0)
    empty.refresh()
    first, second = (float(v) for v in empty.desk.forms[PLACE].changes()["places"].split(";"))
    assert (first, second) == pytest.approx((10.0, 7.0), abs=0.3)
    step.file.setCurrentIndex(0)
    step.file.activated.emit(0)
    assert step.view.marks.apertures[0].position == SOURCE
    step.run.click()
    empty.wait(lambda: empty.desk.is_busy)
    empty.settle()
    places = [float(product.header["APPOSO01"]) for product in empty.window.shown.products]
    assert places == pytest.approx([first, second])


def test_that_a_preview_takes_what_was_dragged(driver: Driver) -> None:
    step = run_to(driver, SIZE)
    drag(step, 13.0, 12.0)
    driver.refresh()
    assert driver.form.form is driver.desk.forms[SIZE]
    assert step.view.lines[0, PSF_RADII, 1].value() == pytest.approx(12.0, abs=0.3)
    driver.do("preview_step")
    driver.wait(lambda: driver.window.shown.key == "preview")
    assert float(driver.window.shown.products[0].header["PSFRAD01"]) == pytest.approx(2.0, abs=0.3)
    step = slit_of(driver)
    drag(step, 12.0, 11.5)
    driver.refresh()
    assert float(driver.desk.forms[SIZE].changes()["sizes"]) == pytest.approx(1.5, abs=0.3)
    assert step.run.isEnabled()


def test_that_nothing_is_dragged_on_files_that_are_not_of_the_reduction(driver: Driver, tmp_path: Path) -> None:
    run_to(driver, SIZE)
    driver.window.shown.products[0].write(tmp_path / "other.fits")
    driver.window.data.activated.emit([tmp_path / "other.fits"])
    driver.wait(lambda: driver.window.shown.key == "file")
    step = slit_of(driver)
    driver.refresh()
    drag(step, SOURCE, 7.0)
    driver.refresh()
    assert not any(form.is_edited for form in driver.desk.forms)
    assert "not those of the reduction" in step.note.text()
