"""How spectra are extracted and shown: pixels, cursor, velocities, transmission."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sofia_viewers.cube.extraction import field_of
from sofia_viewers.cube.panels import SpectraPanel
from sofia_viewers.qt import QtCore
from sofia_viewers.spectrum.pane import AxisState
from sofia_viewers.theme import icon

if TYPE_CHECKING:
    from sofia_viewers.cube.cube import Cube
    from sofia_viewers.cube.viewer import CubeViewer

__all__ = ["SpectraTools"]

_VELOCITY = "km/s"


class SpectraTools(QtCore.QObject):
    """Connects the panel with the spectra.

    Parameters
    ----------
    viewer : CubeViewer
        Whose spectra are shown.
    """

    def __init__(self, viewer: CubeViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self.panel = panel = SpectraPanel()
        self._rest, self._redshift = math.nan, 0.0
        self._shown: Cube | None = None
        self._on_right: list[str] = []
        panel.shape_chosen.connect(viewer.draw_region)
        panel.statistic_chosen.connect(viewer.live.set_statistic)
        panel.kernel_chosen.connect(viewer.live.set_kernel)
        panel.planes_chosen.connect(self.show_planes)
        panel.rest.committed.connect(self._take_rest)
        panel.redshift.committed.connect(self._take_redshift)
        panel.velocity_chosen.connect(self.show_velocity)
        panel.transmission_chosen.connect(self.show_transmission)
        viewer.cubes_changed.connect(self.refresh)
        viewer.images.frames_changed.connect(self.follow_cube)
        viewer.spectra.session.subscribe(lambda what: self._show_pane() if what.startswith("pane") else None)
        self.refresh_icons()

    def refresh(self) -> None:
        """List the planes of the current cube."""
        cube = self._viewer.cube
        if cube is None:
            self.panel.show_planes([])
            return
        errors = {cube.error_of(name) for name in cube.planes}
        self.panel.show_planes([name for name in cube.planes if name != cube.flux.name and name not in errors])
        self.follow_cube()

    def follow_cube(self) -> None:
        """Take over the rest wavelength of another cube, and go to its wavelengths if others have none of them."""
        cube = self._viewer.cube
        if cube is None or cube is self._shown:
            return
        self._shown = cube
        session, rest = self._viewer.spectra.session, cube.rest
        if rest is not None and not (session.pane.rest and cube.is_near(session.pane.rest)):
            self.set_rest(rest)
        others = [other for other in self._viewer.cubes.values() if other is not cube and other.wave_unit == "um"]
        if (
            cube.wave_unit == "um"
            and others
            and session.pane.x_field == "wavepos"
            and session.pane.x_unit in ("", "um")
        ):
            low, high = cube.limits
            apart = any(high < other.limits[0] or other.limits[1] < low for other in others)
            session.change_pane(x_limits=(low, high) if apart else None)

    def choose_kernel(self, kernel: int) -> None:
        """Show the mean of so many pixels under the cursor: 1, 5 or 9; 0 for no spectrum.

        Raises
        ------
        ValueError
            If there is no such choice.
        """
        self.panel.show_kernel(kernel)
        self._viewer.live.set_kernel(kernel)  # type: ignore[arg-type]

    def show_planes(self, planes: tuple[str, ...]) -> None:
        """Draw further planes with the flux; one of another unit on the right axis."""
        viewer, cube = self._viewer, self._viewer.cube
        known = [cube.planes[name] for name in planes if name in cube.planes] if cube is not None else []
        others = [field_of(plane.name) for plane in known if cube is not None and plane.unit != cube.flux.unit]
        pane = viewer.spectra.session.pane
        viewer.live.set_planes(planes)
        new = [field for field in others if field not in self._on_right]
        if new:
            viewer.spectra.session.change_pane(overplot=AxisState(new[-1]), overplot_enabled=True)
        elif pane.overplot_enabled and pane.overplot.field in set(self._on_right) - set(others):
            viewer.spectra.session.change_pane(overplot_enabled=False)
        self._on_right = others

    def set_rest(self, wave: float, redshift: float = 0.0) -> None:
        """Let velocities refer to a line (rest wavelength, μm) at a redshift."""
        self._rest, self._redshift = wave, redshift
        shifted = wave * (1.0 + redshift)
        session = self._viewer.spectra.session
        if not shifted > 0 and session.pane.x_unit == _VELOCITY:
            session.change_pane(x_unit="")
        session.change_pane(rest=shifted if shifted > 0 else None, x_limits=None)
        self._viewer.refresh_slice()

    def show_velocity(self, on: bool) -> None:
        """Show spectra over velocity, or over wavelength."""
        pane = self._viewer.spectra.session.pane
        if on and pane.rest is None:
            self._viewer.say("Velocities need a rest wavelength: type it in μm, or choose a line.")
            with QtCore.QSignalBlocker(self.panel.velocity):
                self.panel.velocity.setChecked(False)
            return
        self._viewer.spectra.session.change_pane(x_field="wavepos", x_unit=_VELOCITY if on else "", x_limits=None)

    def show_transmission(self, on: bool) -> None:
        """Draw the transmission that comes with the cube on the right axis."""
        if on and all(cube.transmission is None for cube in self._viewer.cubes.values()):
            self._viewer.say("The cube carries no transmission: choose a model in the panel Atmosphere of the spectra.")
            with QtCore.QSignalBlocker(self.panel.transmission):
                self.panel.transmission.setChecked(False)
            return
        limits = (0.0, 1.05) if on else None
        axis = AxisState("transmission", limits=limits)
        self._viewer.spectra.session.change_pane(overplot=axis, overplot_enabled=on)

    def _take_rest(self, value: float) -> None:
        self.set_rest(value if value > 0 else 0.0, self._redshift)

    def _take_redshift(self, value: float) -> None:
        self._redshift = value if math.isfinite(value) else 0.0
        if self._rest > 0:
            self.set_rest(self._rest, self._redshift)

    def _show_pane(self) -> None:
        pane = self._viewer.spectra.session.pane
        if not pane.rest or not math.isclose(pane.rest, self._rest * (1.0 + self._redshift), rel_tol=1e-12):
            self._rest, self._redshift = pane.rest or math.nan, 0.0
        self.panel.rest.show_value(self._rest if self._rest > 0 else None)
        self.panel.redshift.show_value(self._redshift or None)
        for box, on in (
            (self.panel.velocity, pane.x_unit == _VELOCITY),
            (self.panel.transmission, pane.overplot_enabled and pane.overplot.field == "transmission"),
        ):
            with QtCore.QSignalBlocker(box):
                box.setChecked(on)

    def refresh_icons(self) -> None:
        """Draw the icons in the colour of the look."""
        for shape, button in self.panel.shapes.items():
            button.setIcon(icon(f"region-{shape}"))
            button.setIconSize(QtCore.QSize(18, 18))
