"""Spectra that follow the regions on the cubes, and the cursor: extracted in threads, one at a time for each of them.

While one is extracted the newest request waits, and is begun when that is done. So a region that is dragged without a
stop shows as many spectra as can be extracted; if the newest made those that run void, it would show none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from sofia_viewers.cube.apertures import Aperture, find_aperture
from sofia_viewers.cube.cube import Cube
from sofia_viewers.cube.extraction import Statistic, make_spectrum_file, select_plane, spectra_of
from sofia_viewers.cube.kept_pages import KeptPages
from sofia_viewers.cube.pixel_sums import KeptSums
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
"""How long pages of cubes stay in memory after the last spectrum, or after the pointer left the images."""
_WARM = "pages:"

Kernel = Literal[0, 1, 5, 9]

_OFFSETS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((0, 0),),
    5: ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)),
    9: tuple((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)),
}


@dataclass(frozen=True)
class _Kept:
    """What is kept from one spectrum of an aperture to the next: pages of the cube, and sums if they are of use."""

    pages: KeptPages
    sums: KeptSums | None


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
        self._running: set[str] = set()
        self._waiting: dict[str, Callable[[], list[SpectrumFile]]] = {}
        self._sums: dict[str, KeptSums] = {}
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
        self._ask_anew()

    def set_statistic(self, statistic: Statistic) -> None:
        """Combine pixels in another way."""
        self.statistic = statistic
        self._ask_anew()

    def set_planes(self, planes: tuple[str, ...]) -> None:
        """Extract further planes beside the flux."""
        self.planes = planes
        self._ask_anew()

    def set_kernel(self, kernel: Kernel) -> None:
        """Show the spectrum under the cursor: the mean of so many pixels; 0 for none."""
        self.kernel = kernel
        if not kernel:
            self._forget([key for key in self.session.files if key.startswith(CURSOR)])

    def _ask_anew(self) -> None:
        """Extract all again; what runs is of no use any more."""
        for key in self._running:
            self.tasks.drop(key)
        for known in (self._running, self._waiting, self._sums, self._asked):
            known.clear()
        self.refresh()

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
        for known in (self._asked, self._waiting, self._sums):
            for key in [key for key in known if key.startswith(APERTURE) and key not in wanted]:
                del known[key]
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
        self._begin(key, partial(_extract, cube, region, key, title, self.statistic, self.planes, self._kept(key)))

    def _ask_brightest(self, frame_key: str, cube: Cube) -> str:
        """Show the spectrum of the brightest pixel of a cube as long as there is no region."""
        key = f"{APERTURE}{_BRIGHTEST}:{frame_key}"
        number = next((e.frame.slice_number for e in self.images.frames.entries if e.key == frame_key), 0)
        if key not in self._asked:
            self._asked[key] = (cube, self.planes)
            title = self._title(_BRIGHTEST, cube)
            self._begin(key, partial(_extract_brightest, cube, number, key, title, self.planes, self._kept(key)))
        return key

    def _kept(self, key: str) -> _Kept:
        return _Kept(self._pages, self._sums.setdefault(key, KeptSums()))

    def _begin(self, key: str, work: Callable[[], list[SpectrumFile]]) -> None:
        """Extract a spectrum, now or when the one that runs is done."""
        if key in self._running:
            self._waiting[key] = work
            return
        self._running.add(key)
        self.tasks.submit(key, work, partial(self._take, key), partial(self._miss, key))

    def _begin_next(self, key: str) -> None:
        self._running.discard(key)
        work = self._waiting.pop(key, None)
        if work is not None:
            self._begin(key, work)

    def _title(self, name: str, cube: Cube) -> str:
        return f"{name} · {cube.name}" if len(self._cubes) > 1 else name

    def _take(self, key: str, files: list[SpectrumFile]) -> None:
        self._begin_next(key)
        if key not in self._asked and not key.startswith(CURSOR):
            return
        self.pause.start()
        self.session.add_files([each for each in files if self._is_wanted(each.key, (key,))])
        if key.startswith(APERTURE):
            self.images.regions.recolor(key.split(":")[1], self.session.color_of(key))
        self.updated.emit(key)

    def _miss(self, key: str, message: str) -> None:
        self._begin_next(key)
        if key.startswith(CURSOR):
            return
        self._forget([key] if key in self.session.files else [])
        self.images.say(message)

    # -- the cursor --------------------------------------------------------------------------------------------------

    def _follow_view(self, frame_key: str, view: QtCore.QObject) -> None:
        view.cursor_moved.connect(lambda x, y: self.follow_cursor(frame_key, x, y))  # type: ignore[attr-defined]
        view.cursor_moved.connect(lambda *_: self._come_near(frame_key))  # type: ignore[attr-defined]

    def _come_near(self, frame_key: str) -> None:
        """Keep the pages of apertures while the pointer is over their image; after a pause, map them before a drag."""
        was_kept = self.pause.isActive()
        self.pause.start()
        cube = self._cubes.get(frame_key)
        if was_kept or cube is None:
            return
        for name, region in self.images.regions.on_frame(frame_key).items():
            key = f"{APERTURE}{name}:{frame_key}"
            if key in self._asked and key not in self._running:
                work = partial(_map_pages, cube, region, self.statistic, self.planes, self._kept(key))
                self.tasks.submit(f"{_WARM}{key}", work, lambda _: None, lambda _: None)

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
            spectrum = _read_spectrum(cube, aperture, "mean", (), _Kept(self._pages, None))
            return [make_spectrum_file(cube, key, self._title("cursor", cube), spectrum)]

        self._begin(key, work)


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
    cube: Cube, number: int, key: str, title: str, planes: tuple[str, ...], kept: _Kept
) -> list[SpectrumFile]:
    import numpy as np

    image = np.nan_to_num(cube.samples()[number], nan=-np.inf, posinf=-np.inf)
    row, column = divmod(int(image.argmax()), image.shape[1])
    return _extract(cube, Region("point", ((float(column), float(row)),)), key, title, "mean", planes, kept)


def _extract(
    cube: Cube,
    region: Region,
    key: str,
    title: str,
    statistic: Statistic,
    planes: tuple[str, ...],
    kept: _Kept,
) -> list[SpectrumFile]:
    """Return the spectrum of a region, followed by those of further planes in the same unit, as curves of their own."""
    known = _select_known(cube, planes)
    spectrum = _read_spectrum(cube, find_aperture(region, cube.shape[1:]), statistic, known, kept)
    files = [make_spectrum_file(cube, key, title, spectrum)]
    for plane in known:
        other = select_plane(spectrum, plane)
        if other is not None:
            files.append(make_spectrum_file(cube, f"{key}{PLANE}{plane}", f"{title} · {plane}", other))
    return files


def _select_known(cube: Cube, planes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(plane for plane in planes if plane in cube.planes)


def _read_spectrum(
    cube: Cube, aperture: Aperture, statistic: Statistic, planes: tuple[str, ...], kept: _Kept
) -> Spectrum:
    """Extract a spectrum; what it was read from stays in memory if it is not too much."""
    keep = _keep_pages(cube, aperture, planes, kept.pages)
    return spectra_of(cube, aperture, statistic, planes, kept.sums, keep_pages=keep)


def _keep_pages(cube: Cube, aperture: Aperture, planes: tuple[str, ...], pages: KeptPages) -> bool:
    names = (cube.flux.name, *planes)
    errors = (cube.error_of(name) for name in names)
    read = dict.fromkeys((*names, *(error for error in errors if error)))
    return pages.keep(cube, aperture.rows, tuple(read))


def _map_pages(cube: Cube, region: Region, statistic: Statistic, planes: tuple[str, ...], kept: _Kept) -> None:
    """Read all of an aperture again, which maps its pages and frees its sums of what they lost by rounding."""
    aperture, known = find_aperture(region, cube.shape[1:]), _select_known(cube, planes)
    if _keep_pages(cube, aperture, known, kept.pages):
        if kept.sums is not None:
            kept.sums.forget()
        spectra_of(cube, aperture, statistic, known, kept.sums, keep_pages=True)
