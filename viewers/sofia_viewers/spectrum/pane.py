"""State of one pane: its files, orders, axes, units and limits. A value; changes make a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from sofia_viewers.spectrum.pane_rows import Rows
from sofia_viewers.spectrum.units import Convention, WaveAxis

__all__ = ["AxisState", "PaneFile", "PaneState", "PlotStyle", "ZoomHistory"]

Scale = Literal["linear", "log"]
Limits = tuple[float, float] | None


@dataclass(frozen=True)
class PaneFile:
    """A file in a pane.

    Parameters
    ----------
    key : str
        Which file.
    hidden_orders, hidden_apertures : frozenset of int
        What of it is not drawn.
    shown : bool
        False hides all of it.
    """

    key: str
    hidden_orders: frozenset[int] = frozenset()
    hidden_apertures: frozenset[int] = frozenset()
    shown: bool = True


@dataclass(frozen=True)
class AxisState:
    """One y axis: field, unit (empty: native), limits (None: automatic) and scale."""

    field: str = "spectral_flux"
    unit: str = ""
    limits: Limits = None
    scale: Scale = "linear"


@dataclass(frozen=True)
class PaneState:
    """State of a pane.

    Parameters
    ----------
    id : str
        Identity in the session.
    files : tuple of PaneFile
        In the order they are drawn.
    x_field, x_unit, x_limits, x_scale
        The x axis; an empty unit is the native one, no limits are automatic ones.
    primary, overplot : AxisState
        The left and the right y axis.
    overplot_enabled : bool
        Draw the right one.
    rest, convention
        Line (μm) and formula of velocities.
    transmission : bool
        Draw the model of the atmosphere.
    """

    id: str
    files: tuple[PaneFile, ...] = ()
    x_field: str = "wavepos"
    x_unit: str = ""
    x_limits: Limits = None
    x_scale: Scale = "linear"
    primary: AxisState = AxisState()
    overplot: AxisState = AxisState("transmission")
    overplot_enabled: bool = False
    rest: float | None = None
    convention: Convention = "optical"
    transmission: bool = False

    @property
    def axis(self) -> WaveAxis:
        """How the x axis is shown."""
        return WaveAxis(self.x_unit, self.rest, self.convention)

    def file(self, key: str) -> PaneFile | None:
        """Return what the pane knows of a file, or None."""
        return next((file for file in self.files if file.key == key), None)

    def with_file(self, file: PaneFile) -> PaneState:
        """Return the pane with a file added, or replaced if it is there."""
        if self.file(file.key) is None:
            return replace(self, files=(*self.files, file))
        return replace(self, files=tuple(file if old.key == file.key else old for old in self.files))

    def without_file(self, key: str) -> PaneState:
        """Return the pane without a file."""
        return replace(self, files=tuple(file for file in self.files if file.key != key))

    def to_json(self) -> dict[str, Any]:
        """Return the state as plain values."""
        plain = asdict(self)
        for file in plain["files"]:
            file["hidden_orders"] = sorted(file["hidden_orders"])
            file["hidden_apertures"] = sorted(file["hidden_apertures"])
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> PaneState:
        """Make a state of what `to_json` gave; what it does not know is left out."""
        known = {f.name for f in fields(cls)}
        values = {name: value for name, value in plain.items() if name in known}
        values["files"] = tuple(
            PaneFile(f["key"], frozenset(f["hidden_orders"]), frozenset(f["hidden_apertures"]), bool(f["shown"]))
            for f in plain.get("files", ())
        )
        for name in ("primary", "overplot"):
            axis = dict(plain.get(name, {}))
            values[name] = AxisState(**{**axis, "limits": _as_limits(axis.get("limits"))})
        values["x_limits"] = _as_limits(plain.get("x_limits"))
        return cls(**values)


def _as_limits(values: Any) -> Limits:
    return None if values is None else (float(values[0]), float(values[1]))


@dataclass(frozen=True)
class PlotStyle:
    """How all panes are drawn."""

    plot_type: Literal["Step", "Line", "Scatter"] = "Step"
    cycle: str = "Accessible"
    markers: bool = False
    errors: Literal["band", "bars", "off"] = "band"
    flags: bool = True
    grid: bool = False
    width: float = 1.5
    linked: bool = True
    layout: Literal["grid", "rows", "columns", "free"] = "grid"
    rows: Rows = ()
    """Where the panes are if the layout is free."""
    legend: bool = True


@dataclass
class ZoomHistory:
    """Limits a pane has had: back and forth as in a browser."""

    past: list[tuple[Limits, Limits]] = field(default_factory=lambda: [(None, None)])
    position: int = 0

    def push(self, x: Limits, y: Limits) -> None:
        """Remember limits; those ahead of the present ones are forgotten."""
        if self.past[self.position] == (x, y):
            return
        self.past = [*self.past[: self.position + 1], (x, y)][-100:]
        self.position = len(self.past) - 1

    def back(self) -> tuple[Limits, Limits]:
        """Return the limits before the present ones."""
        self.position = max(0, self.position - 1)
        return self.past[self.position]

    def forward(self) -> tuple[Limits, Limits]:
        """Return the limits after the present ones."""
        self.position = min(len(self.past) - 1, self.position + 1)
        return self.past[self.position]
