"""New cubes of the current one, and what is measured on its image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.errors import InputError, SofiaDeskError, StepError
from sofia_viewers.cube.apertures import find_aperture
from sofia_viewers.cube.atmosphere import correct_again, model_transmission, read_water
from sofia_viewers.cube.cube import Cube
from sofia_viewers.cube.derived import combine_cubes, crop_cube, mask_cube, subtract_continuum
from sofia_viewers.cube.footprints import Footprints, draw_footprints, read_footprints
from sofia_viewers.cube.moments import Progress
from sofia_viewers.cube.panels import EditPanel
from sofia_viewers.cube.point_source import expected_fwhm, measure_width
from sofia_viewers.cube.saving import save_cube
from sofia_viewers.qt import QtCore, QtWidgets

if TYPE_CHECKING:
    from sofia_viewers.cube.viewer import CubeViewer

__all__ = ["EditTools"]

_FITS = "FITS (*.fits)"
_FOOTPRINTS = "FIFI-LS products (*.fits *.fits.gz)"


class EditTools(QtCore.QObject):
    """Makes cubes of cubes.

    Parameters
    ----------
    viewer : CubeViewer
        Has the cubes.
    """

    def __init__(self, viewer: CubeViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self._count = 0
        self._shown = ""
        self.panel = EditPanel()
        self.footprints: list[Footprints] = []
        panel = self.panel
        panel.crop_requested.connect(self.crop)
        panel.mask_requested.connect(self.mask)
        panel.subtract_requested.connect(self.subtract_continuum)
        panel.combine_requested.connect(self.combine)
        panel.telluric_requested.connect(self.correct)
        panel.psf_requested.connect(self.measure_source)
        panel.footprints_requested.connect(self._ask_and_draw_footprints)
        panel.save_requested.connect(self._ask_and_save)
        panel.close_requested.connect(lambda: viewer.close_cube(viewer.cube_key))
        viewer.cubes_changed.connect(self.refresh)
        viewer.images.frames_changed.connect(self.refresh)
        viewer.images.area.view_added.connect(lambda *_: QtCore.QTimer.singleShot(0, self, self.draw_footprints))
        self.refresh()

    def refresh(self) -> None:
        """List the cubes that there are beside the current one."""
        here = self._viewer.cube_key
        self.panel.show_others([(cube.name, key) for key, cube in self._viewer.cubes.items() if key != here])
        water = read_water(self._viewer.cube) if self._viewer.cube is not None and here != self._shown else None
        self._shown = here
        if water is not None:
            self.panel.water.setValue(water)

    def _next_key(self) -> str:
        self._count += 1
        return f"derived:{self._count}"

    def _make(self, title: str, make: Callable[[Cube, str, Progress], Cube], told: Sequence[str] = ()) -> None:
        """Make a cube in a thread and show it beside the others, and what was told about it meanwhile."""
        cube, key = self._viewer.cube, self._next_key()

        def show(made: Cube) -> None:
            self._viewer.add_cube(made, then=lambda: self._viewer.say(" ".join(told)))

        if cube is not None:
            self._viewer.jobs.run(title, lambda progress: make(cube, key, progress), show)

    def crop(self) -> None:
        """Cut out the selected range of wavelengths, and the box around the selected region."""
        cube, region = self._viewer.cube, self._viewer.selected_region()
        chosen = self._viewer.map_tools.range
        if cube is None:
            return
        if chosen is None and (region is None or not region.has_area):
            self._viewer.say("Select a range in the spectrum, or a region on the image: the cube is cropped to it.")
            return
        waves = cube.find_slices(*chosen) if chosen else slice(0, cube.shape[0])
        rows, columns = slice(0, cube.shape[1]), slice(0, cube.shape[2])
        if region is not None and region.has_area:
            try:
                aperture = find_aperture(region, cube.shape[1:])
            except InputError as error:
                self._viewer.say(str(error))
                return
            rows, columns = aperture.rows, aperture.columns
        self._make("Crop", lambda c, key, _: crop_cube(c, waves, rows, columns, key, f"{c.name} · cropped"))

    def mask(self) -> None:
        """Blank what the mask leaves out."""
        try:
            keep = self._viewer.map_tools.find_mask()
        except SofiaDeskError as error:
            self._viewer.say(str(error))
            return
        if keep is None:
            self._viewer.say("Choose a mask in the tab Maps: inside or outside a region, above or below a level.")
            return
        self._make("Mask", lambda c, key, _: mask_cube(c, keep, key, f"{c.name} · masked"))

    def subtract_continuum(self) -> None:
        """Subtract the continuum of each pixel."""
        try:
            line = self._viewer.map_tools.line_range()
        except StepError as error:
            self._viewer.say(str(error))
            return
        self._make("Subtract continuum", lambda c, key, progress: subtract_continuum(
            c, line, key, f"{c.name} · continuum subtracted", progress))  # fmt: skip

    def combine(self, operator: str, other: str) -> None:
        """Combine the current cube with another."""
        second = self._viewer.cubes.get(other)
        if second is None:
            self._viewer.say("Open another cube to combine this one with.")
            return
        signs = {"-": "−", "*": "×"}
        self._make("Combine", lambda c, key, _: combine_cubes(
            c, second, operator, key, f"{c.name} {signs.get(operator, operator)} {second.name}"))  # type: ignore[arg-type]  # fmt: skip

    def correct(self, how: str) -> None:
        """Correct for the atmosphere in another way: ``reference``, ``median``, ``none`` or ``water``."""
        water, source = self.panel.water.value(), self._viewer.spectra.annotations.sky.source
        told: list[str] = []

        def make(cube: Cube, key: str, _: Progress) -> Cube:
            transmission = None
            if how == "water":
                transmission, sentence = model_transmission(cube, water, source)
                told.append(sentence)
            return correct_again(cube, how, key, transmission=transmission)  # type: ignore[arg-type]

        self._make("Correct", make, told)

    def measure_source(self) -> None:
        """Fit the source in the selected region of the current image, and compare with the diffraction limit."""
        entry, region = self._viewer.images.frames.entry, self._viewer.images.regions.selected
        here = self._viewer.images.regions.on_frame(entry.key).get(region) if entry else None
        if entry is None or here is None or not here.has_area:
            self._viewer.say("Select a region around the source on the current image.")
            return
        frame, cube = entry.frame, self._viewer.cube
        wave = float(cube.wave[frame.slice_number]) if cube is not None and cube.wave_unit == "um" else None
        if cube is not None and frame.plane.n_slices == 1 and wave is not None:
            wave = float(np.median(cube.wave))

        def work() -> str:
            found = measure_width(frame.image, find_aperture(here, frame.shape))
            scale = frame.pixel_scale
            text = f"FWHM {found.major * scale:.2f} × {found.minor * scale:.2f} arcsec (± {found.error * scale:.2f})"
            if wave is None or frame.wcs is None:
                return text
            expected = expected_fwhm(wave)
            ratio = found.mean * scale / expected
            return f"{text}: {ratio:.2f} times the diffraction limit, {expected:.2f} arcsec at {wave:.5g} μm"

        self._viewer.tasks.submit("psf", work, self._viewer.say)

    # -- footprints --------------------------------------------------------------------------------------------------

    def open_footprints(self, paths: list[str]) -> None:
        """Draw the spatial pixels of FIFI-LS files on all images; none removes them."""

        def work() -> list[Footprints]:
            return [found for path in paths for found in read_footprints(path)]

        self._viewer.tasks.submit("footprints", work, self._take_footprints)

    def _take_footprints(self, found: list[Footprints]) -> None:
        self.footprints = found
        self.draw_footprints()

    def draw_footprints(self) -> None:
        """Draw the spatial pixels on all images."""
        for view in self._viewer.images.area.views.values():
            self._draw_on(view)

    def _draw_on(self, view: Any) -> None:
        if view.frame is not None:
            view.set_layer("footprints", draw_footprints(self.footprints, view.frame.wcs))

    def _ask_and_draw_footprints(self) -> None:
        paths, _ = QtWidgets.QFileDialog.getOpenFileNames(self._viewer, "Open FIFI-LS products", "", _FOOTPRINTS)
        if paths:
            self.open_footprints(paths)

    # -- saving ------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the current cube, in a thread."""
        cube = self._viewer.cube
        if cube is not None:
            self._viewer.save_in_thread(lambda: save_cube(path, cube))

    def _ask_and_save(self) -> None:
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self._viewer, "Save cube", "cube.fits", _FITS)
        if path:
            self.save(path)
