"""Spectra that follow the regions on the cubes, and the cursor: extracted in threads, the newest request counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

from sofia_viewers.cube.cube import Cube
from sofia_viewers.cube.extraction import (
    Aperture,
    Statistic,
    find_aperture,
    make_spectrum_file,
    select_plane,
    spectra_of,
)
from sofia_viewers.cube.kept_pages import KeptPages
from sofia_viewers.image.regions import Region
from sofia_viewers.image.viewer import ImageViewer
from sofia_viewers.qt import QtCore, Signal
from sofia_viewers.spectrum.session import SpectrumSession
from sofia_viewers.spectrum.spectrum import Spectrum, SpectrumFile
from sofia_viewers.tasks import Tasks

__all__ = ["APERTURE", "CURSOR", "PLANE", "LiveSpectra"]

APERTURE = "aperture:"
CURSOR = "cursor:"
PLANE = "#"
"""Between the key of a spectrum and the name of another plane in the same aperture."""
_BRIGHTEST = "brightest pixel"
_SECONDS_KEPT = 5.0
"""How long pages of cubes stay in memory after the last spectrum."""

Kernel = Literal[0, 1, 5, 9]

_OFFSETS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((0, 0),),
    5: ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)),
    9: tuple((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)),
}


class LiveSpectra(QtCore.QObject):
    """Keeps a spectrum for each region on each cube.

    Parameters
    ----------
    images : ImageViewer
        Has the regions and the cursor.
    session : SpectrumSession
        Gets the spectra, with keys ``aperture:REGION:CUBE`` and ``cursor:CUBE``.
    tasks : Tasks
        Threads.
    """

    updated = Signal(str)

    def __init__(self, images: ImageViewer, session: SpectrumSession, tasks: Tasks) -> None:
        super().__init__(images)
        self.images, self.session, self.tasks = images, session, tasks
        self.statistic: Statistic = "sum"
        self.kernel: Kernel = 0
        self.planes: tuple[str, ...] = ()
        self._cubes: Mapping[str, Cube] = {}
        self._asked: dict[str, tuple[object, ...]] = {}
        self._last_cursor: tuple[str, float, float] | None = None
        self._pages = KeptPages()
        self.pause = QtCore.QTimer(self)
        self.pause.setSingleShot(True)
        self.pause.setInterval(round(1000 * _SECONDS_KEPT))
        self.pause.timeout.connect(self._pages.release)
        images.regions.changed.connect(self.refresh)
        images.area.view_added.connect(self._follow_view)

    def set_cubes(self, cubes: Mapping[str, Cube]) -> None:
        """Take other cubes, by the keys of their frames."""
        self._cubes = dict(cubes)
        self._pages.release()
        self._asked.clear()
        self.refresh()

    def set_statistic(self, statistic: Statistic) -> None:
        """Combine pixels in another way."""
        self.statistic = statistic
        self._asked.clear()
        self.refresh()

    def set_planes(self, planes: tuple[str, ...]) -> None:
        """Extract further planes beside the flux."""
        self.planes = planes
        self._asked.clear()
        self.refresh()

    def set_kernel(self, kernel: Kernel) -> None:
        """Show the spectrum under the cursor: the mean of so many pixels; 0 for none."""
        self.kernel = kernel
        if not kernel:
            self._forget([key for key in self.session.files if key.startswith(CURSOR)])

    def refresh(self) -> None:
        """Extract the spectra of regions that changed; forget those of regions that are gone."""
        wanted: set[str] = set()
        for frame_key, cube in self._cubes.items():
            for name, region in self.images.regions.on_frame(frame_key).items():
                if region.has_area or region.shape == "point":
                    key = f"{APERTURE}{name}:{frame_key}"
                    wanted.add(key)
                    self._ask(key, cube, name, region)
        for frame_key, cube in self._cubes.items() if not wanted else ():
            wanted.add(self._ask_brightest(frame_key, cube))
        gone = [key for key in self.session.files if key.startswith(APERTURE) and not self._is_wanted(key, wanted)]
        self._asked = {key: value for key, value in self._asked.items() if key in wanted}
        self._forget(gone)

    def _is_wanted(self, key: str, wanted: Collection[str]) -> bool:
        base, _, plane = key.partition(PLANE)
        return base in wanted and (not plane or plane in self.planes)

    def _forget(self, keys: list[str]) -> None:
        for key in keys:
            self.session.remove_file(key)

    def _ask(self, key: str, cube: Cube, name: str, region: Region) -> None:
        what = (cube, replace(region, color="", width=1.0), self.statistic, self.planes)
        if self._asked.get(key) == what:
            return
        self._asked[key] = what
        title = self._title(region.name or name, cube)
        work = partial(_extract, cube, region, key, title, self.statistic, self.planes, self._pages)
        self.tasks.submit(key, work, self._take, self._miss(key))

    def _ask_brightest(self, frame_key: str, cube: Cube) -> str:
        """Show the spectrum of the brightest pixel of a cube as long as there is no region."""
        key = f"{APERTURE}{_BRIGHTEST}:{frame_key}"
        number = next((e.frame.slice_number for e in self.images.frames.entries if e.key == frame_key), 0)
        if key not in self._asked:
            self._asked[key] = (cube, self.planes)
            title = self._title(_BRIGHTEST, cube)
            work = partial(_extract_brightest, cube, number, key, title, self.planes, self._pages)
            self.tasks.submit(key, work, self._take, self._miss(key))
        return key

    def _title(self, name: str, cube: Cube) -> str:
        return f"{name} · {cube.name}" if len(self._cubes) > 1 else name

    def _take(self, files: list[SpectrumFile]) -> None:
        file = files[0]
        if file.key not in self._asked and not file.key.startswith(CURSOR):
            return
        self.pause.start()
        self.session.add_files([each for each in files if self._is_wanted(each.key, (file.key,))])
        if file.key.startswith(APERTURE):
            self.images.regions.recolor(file.key.split(":")[1], self.session.color_of(file.key))
        self.updated.emit(file.key)

    def _miss(self, key: str):  # type: ignore[no-untyped-def]
        def report(message: str) -> None:
            self._forget([key] if key in self.session.files else [])
            self.images.say(message)

        return report

    # -- the cursor --------------------------------------------------------------------------------------------------

    def _follow_view(self, frame_key: str, view: QtCore.QObject) -> None:
        view.cursor_moved.connect(lambda x, y: self.follow_cursor(frame_key, x, y))  # type: ignore[attr-defined]

    def follow_cursor(self, frame_key: str, x: float, y: float) -> None:
        """Extract the spectrum at a pixel of a frame that shows a cube."""
        cube = self._cubes.get(frame_key)
        if cube is None or not self.kernel:
            return
        aperture = find_kernel(self.kernel, x, y, cube.shape[1:])
        if aperture is None:
            return
        key = f"{CURSOR}{frame_key}"

        def work() -> list[SpectrumFile]:
            spectrum = _read_spectrum(cube, aperture, "mean", (), self._pages)
            return [make_spectrum_file(cube, key, self._title("cursor", cube), spectrum)]

        self.tasks.submit(key, work, self._take, lambda _: None)


def find_kernel(kernel: int, x: float, y: float, shape: tuple[int, int]) -> Aperture | None:
    """Return the pixel under a place, with its 4 or 8 neighbours for kernels of 5 or 9; None outside the image."""
    import numpy as np

    column, row = round(x), round(y)
    if not (0 <= column < shape[1] and 0 <= row < shape[0]):
        return None
    mask = np.zeros((3, 3), dtype=bool)
    for dx, dy in _OFFSETS[kernel]:
        mask[1 + dy, 1 + dx] = True
    low_row, low_column = max(row - 1, 0), max(column - 1, 0)
    rows, columns = slice(low_row, min(row + 2, shape[0])), slice(low_column, min(column + 2, shape[1]))
    cut = mask[low_row - row + 1 : rows.stop - row + 1, low_column - column + 1 : columns.stop - column + 1]
    return Aperture(rows, columns, cut)


def _extract_brightest(
    cube: Cube, number: int, key: str, title: str, planes: tuple[str, ...], pages: KeptPages
) -> list[SpectrumFile]:
    import numpy as np

    image = np.nan_to_num(cube.samples()[number], nan=-np.inf, posinf=-np.inf)
    row, column = divmod(int(image.argmax()), image.shape[1])
    return _extract(cube, Region("point", ((float(column), float(row)),)), key, title, "mean", planes, pages)


def _extract(
    cube: Cube,
    region: Region,
    key: str,
    title: str,
    statistic: Statistic,
    planes: tuple[str, ...],
    pages: KeptPages,
) -> list[SpectrumFile]:
    """Return the spectrum of a region, followed by those of further planes in the same unit, as curves of their own."""
    known = tuple(plane for plane in planes if plane in cube.planes)
    spectrum = _read_spectrum(cube, find_aperture(region, cube.shape[1:]), statistic, known, pages)
    files = [make_spectrum_file(cube, key, title, spectrum)]
    for plane in known:
        other = select_plane(spectrum, plane)
        if other is not None:
            files.append(make_spectrum_file(cube, f"{key}{PLANE}{plane}", f"{title} · {plane}", other))
    return files


def _read_spectrum(
    cube: Cube, aperture: Aperture, statistic: Statistic, planes: tuple[str, ...], pages: KeptPages
) -> Spectrum:
    """Extract a spectrum; what it was read from stays in memory if it is not too much."""
    names = (cube.flux.name, *planes)
    errors = (cube.error_of(name) for name in names)
    read = dict.fromkeys((*names, *(error for error in errors if error)))
    keep = pages.keep(cube, aperture.rows, tuple(read))
    return spectra_of(cube, aperture, statistic, planes, keep_pages=keep)
