"""Room on small screens: the view alone, names of files that can be told apart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("PySide6")

from sofia_app.models.log import LogEntry
from sofia_app.models.preferences import Preferences
from sofia_viewers.qt import QtCore, QtWidgets
from window_driver import Driver, open_window


@pytest.fixture
def driver(qtbot, lab: Path, tmp_path: Path, files: list[Path]) -> Iterator[Driver]:
    for made in open_window(qtbot, lab, tmp_path):
        made.open(files)
        yield made


def visible(driver: Driver) -> set[str]:
    return {name for name, dock in driver.window.docks.items() if dock.isVisible()}


def test_that_the_view_stands_alone_and_the_panels_come_back_as_they_were(driver: Driver) -> None:
    before, width = visible(driver), driver.window.tabs.width()
    driver.do("toggle_panels")
    driver.wait(lambda: not visible(driver))
    driver.wait(lambda: driver.window.tabs.width() > width + 200)
    driver.do("show_log")  # a panel that is asked for comes all the same
    assert visible(driver) == {"log"}
    driver.do("toggle_panels")
    driver.wait(lambda: visible(driver) == before)


def test_that_a_program_closed_with_the_view_alone_has_its_panels_at_the_next_start(driver: Driver, qtbot) -> None:
    before = visible(driver)
    driver.do("toggle_panels")
    driver.window.close()
    assert Preferences.load().layout
    state = QtCore.QByteArray.fromBase64(Preferences.load().layout.encode())
    assert driver.window.restoreState(state, 1)
    driver.window.show()
    driver.wait(lambda: visible(driver) == before)
    driver.window.close()


def test_that_names_are_cut_at_their_beginning_and_headings_at_their_end(driver: Driver) -> None:
    tree = driver.window.data.tree
    option = QtWidgets.QStyleOptionViewItem()
    delegate = tree.itemDelegateForColumn(0)
    heading = tree.model().index(0, 0)
    delegate.initStyleOption(option, heading)
    assert option.textElideMode == QtCore.Qt.TextElideMode.ElideRight
    delegate.initStyleOption(option, tree.model().index(0, 0, heading))
    assert option.textElideMode == QtCore.Qt.TextElideMode.ElideLeft


def test_that_the_problems_are_drawn_with_their_files_cut_in_the_same_way(driver: Driver) -> None:
    driver.desk.log.append([LogEntry("warning", "It looks odd.", "add", "a_long_name_of_a_file_0001.fits")])
    driver.do("show_problems")
    table = driver.window.problems.table
    driver.wait(lambda: table.model().rowCount() == 1)
    option = QtWidgets.QStyleOptionViewItem()
    table.itemDelegateForColumn(2).initStyleOption(option, table.model().index(0, 2))
    assert option.textElideMode == QtCore.Qt.TextElideMode.ElideLeft
    assert option.text == "a_long_name_of_a_file_0001.fits"
    assert not table.grab().isNull()
