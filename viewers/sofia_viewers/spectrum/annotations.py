"""What is drawn over spectra: reference lines, fits, the atmosphere. No Qt: views listen to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sofia_engine.errors import ParameterError, SofiaDeskError
from sofia_viewers.spectrum.curves import Curve
from sofia_viewers.spectrum.fit_table import GUESS, FitRecord
from sofia_viewers.spectrum.fit_units import convert_fit, lines_of
from sofia_viewers.spectrum.fitting import FitModel, Line, Tie, estimate_lines, fit_lines
from sofia_viewers.spectrum.lines import LineList, Shift, builtin_lists, parse_line_list
from sofia_viewers.spectrum.pane import PaneState
from sofia_viewers.spectrum.profiles import PROFILES
from sofia_viewers.spectrum.saved import check_saved
from sofia_viewers.spectrum.session import PaneContent, SpectrumSession
from sofia_viewers.spectrum.transmission import Sky
from sofia_viewers.spectrum.units import WaveAxis, convert_range, convert_wave

__all__ = ["Annotations", "FitChoice", "fit_curve", "read_annotations"]

_MOST_DEGREE = 3
"""Of baselines that can be chosen."""


@dataclass(frozen=True)
class FitChoice:
    """How to fit.

    Parameters
    ----------
    shape : str or None
        Shape of the lines; None for the baseline alone.
    count : int
        Number of lines.
    degree : int or None
        Of the baseline; None for none.
    sign : int
        1 emission, -1 absorption, 0 either.
    weighted : bool
        Use the errors of the data.
    same_width : bool
        Tie the widths of all lines to the first.
    fixed_width : float or None
        Fix the FWHM of all lines, unit of x.
    guess_first : bool
        Show first values to be dragged, and fit when asked to.
    """

    shape: str | None = "gaussian"
    count: int = 1
    degree: int | None = 1
    sign: int = 0
    weighted: bool = True
    same_width: bool = False
    fixed_width: float | None = None
    guess_first: bool = False


def guess_curve(
    curve: Curve, limits: tuple[float, float], choice: FitChoice, lines: Sequence[Line] | None = None
) -> tuple[Any, tuple[float, ...], str]:
    """Return first values in the form of a fit: given or estimated lines, held, on a baseline fitted beside them.

    Parameters and results are those of `fit_curve`, but that the status of a success is ``guess``.
    """
    held = replace(choice, same_width=False, fixed_width=None, guess_first=False)
    if lines is None:
        use = _select(curve, limits)
        if not use.any():
            return None, (), "empty"
        lines = _guess(curve.x[use], curve.y[use], held)
    fixed = [replace(line, fixed=frozenset(PROFILES[line.shape].names), ties={}) for line in lines]
    result, columns, status = fit_curve(curve, limits, held, fixed)
    return result, columns, GUESS if result is not None else status


def _select(curve: Curve, limits: tuple[float, float]) -> Any:
    low, high = sorted(limits)
    return np.isfinite(curve.x) & np.isfinite(curve.y) & (curve.x >= low) & (curve.x <= high)


def fit_curve(
    curve: Curve, limits: tuple[float, float], choice: FitChoice, guess: Sequence[Line] | None = None
) -> tuple[Any, tuple[float, ...], str]:
    """Fit a curve between two values of x.

    Parameters
    ----------
    curve : Curve
        Data.
    limits : (float, float)
        Range of x.
    choice : FitChoice
        What to fit.
    guess : sequence of Line, optional
        First values, in place of those estimated from the data.

    Returns
    -------
    result : FitResult or None
        None if it failed.
    columns : tuple of float
        Column of the spectrum at each line.
    status : str
        ``pass``, or why it failed.
    """
    use = _select(curve, limits)
    if not use.any():
        return None, (), "empty"
    if choice.shape is None and choice.degree is None and not guess:
        return None, (), "failed: choose a feature or a baseline to fit"
    x, y = curve.x[use], curve.y[use]
    error = curve.error[use] if curve.error is not None and choice.weighted else None
    if error is not None and not (np.isfinite(error) & (error > 0)).any():
        error = None
    try:
        lines = tuple(guess) if guess is not None else _guess(x, y, choice)
        result = fit_lines(x, y, error, FitModel(lines, choice.degree))
    except (SofiaDeskError, np.linalg.LinAlgError) as problem:
        return None, (), f"failed: {problem}"
    if not np.isfinite(result.parameters).all() or not result.converged:
        return None, (), "failed: the fit does not converge; choose another range or feature"
    order = np.argsort(curve.x[np.isfinite(curve.x)])
    known = np.flatnonzero(np.isfinite(curve.x))[order]
    columns = tuple(float(np.interp(line.center.value, curve.x[known], known)) for line in result.lines)
    return result, columns, "pass"


def _guess(x: Any, y: Any, choice: FitChoice) -> tuple[Line, ...]:
    if choice.shape is None:
        return ()
    lines = estimate_lines(x, y, shape=choice.shape, count=choice.count, degree=choice.degree, sign=choice.sign)
    return constrain(lines, choice)


def constrain(lines: Sequence[Line], choice: FitChoice) -> tuple[Line, ...]:
    """Return lines with their widths fixed or tied as chosen."""
    made = []
    for number, line in enumerate(lines):
        profile = PROFILES[line.shape]
        widths = [name for name, kind in zip(profile.names, profile.kinds, strict=True) if kind == "width"]
        if choice.fixed_width:
            values = profile.start(line.values[0], line.values[1], choice.fixed_width)
            made.append(replace(line, values=values, fixed=line.fixed | set(widths)))
        elif choice.same_width and number:
            made.append(replace(line, ties={**line.ties, **{name: Tie(0, name) for name in widths}}))
        else:
            made.append(line)
    return tuple(made)


class Annotations:
    """Lines, fits and atmosphere of a session; listeners get ``lines``, ``fits`` or ``sky``."""

    def __init__(self, session: SpectrumSession) -> None:
        self.session = session
        self.lists: list[LineList] = list(builtin_lists())
        self.show_lines = True
        self.show_labels = True
        self.shift = Shift()
        self.fits: list[FitRecord] = []
        self.choice = FitChoice()
        self.sky = Sky()
        self.distance: float | None = None
        self.windows: list[tuple[float, float]] = []
        self.window_axis = WaveAxis("um")
        self._listeners: list[Callable[[str], None]] = []

    def subscribe(self, listener: Callable[[str], None]) -> None:
        """Call a function with the name of each change."""
        self._listeners.append(listener)

    def tell(self, what: str) -> None:
        """Tell listeners of a change."""
        for listener in list(self._listeners):
            listener(what)

    # -- reference lines ---------------------------------------------------------------------------------------------

    def add_list(self, lines: LineList) -> None:
        """Add a list; one of the same name is replaced."""
        self.lists = [each for each in self.lists if each.name != lines.name] + [lines]
        self.tell("lines")

    def switch_list(self, name: str, **changes: bool) -> None:
        """Show or hide a list, or its labels."""
        self.lists = [each.switched(**changes) if each.name == name else each for each in self.lists]
        self.tell("lines")

    def clear_lists(self) -> None:
        """Forget users' lists and hide the built-in ones."""
        self.lists = list(builtin_lists())
        self.tell("lines")

    def set_lines(self, *, shown: bool | None = None, labelled: bool | None = None) -> None:
        """Draw lines, and labels, at all."""
        self.show_lines = self.show_lines if shown is None else shown
        self.show_labels = self.show_labels if labelled is None else labelled
        self.tell("lines")

    def set_shift(self, shift: Shift) -> None:
        """Move the lines."""
        self.shift = shift
        self.tell("lines")

    def lines_in(self, state: PaneState, x_unit: str, limits: tuple[float, float]) -> list[tuple[float, str, float]]:
        """Return the lines in view: x, label (empty where labels are off) and rest wavelength."""
        if not self.show_lines or state.x_field != "wavepos" or x_unit in ("pixel", ""):
            return []
        lines = [(line, each.labelled) for each in self.lists if each.shown for line in each.lines]
        if not lines:
            return []
        waves = np.array([line.wavelength for line, _ in lines]) * self.shift.factor
        try:
            places = convert_wave(waves, "um", WaveAxis(x_unit, state.rest, state.convention))
        except ParameterError:
            return []
        low, high = sorted(limits)
        return [
            (float(x), line.label if labelled and self.show_labels else "", line.wavelength)
            for x, (line, labelled) in zip(places, lines, strict=True)
            if low <= x <= high
        ]

    def nearest_line(self, wave: float) -> float | None:
        """Return the rest wavelength of the shown line nearest to an observed wavelength (μm), within 1 per cent."""
        rest = [line.wavelength for each in self.lists if each.shown for line in each.lines]
        near = [w for w in rest if abs(w * self.shift.factor - wave) <= 0.01 * wave]
        return min(near, key=lambda w: abs(w * self.shift.factor - wave)) if near else None

    # -- fits --------------------------------------------------------------------------------------------------------

    def fit_range(self, pane: int, limits: tuple[float, float], guess: Sequence[Line] | None = None) -> list[FitRecord]:
        """Fit every curve of a pane between two values of x.

        Successful fits are kept. Of those that fail, and of all if first values are asked for, first values are kept,
        to be dragged.

        Returns
        -------
        list of FitRecord
            One for each curve, failures included.
        """
        records, kept = [], []
        content = self.session.content(pane)
        for curve in content.curves:
            found = (guess_curve if self.choice.guess_first else fit_curve)(curve, limits, self.choice, guess)
            records.append(self._compare(self._make_record(pane, content, curve, found)))
            if records[-1].result is None and self.choice.shape is not None and found[2] != "empty":
                kept.append(self._make_record(pane, content, curve, guess_curve(curve, limits, self.choice, guess)))
            else:
                kept.append(records[-1])
        self.fits = [*self.fits, *(record for record in kept if record.result is not None)]
        self.tell("fits")
        return records

    def _make_record(
        self, pane: int, content: PaneContent, curve: Curve, found: tuple[Any, tuple[float, ...], str]
    ) -> FitRecord:
        state = self.session.panes[pane]
        return FitRecord(
            state.id, curve.file, curve.name, curve.order, curve.aperture, state.x_field, state.primary.field,
            content.x_unit, content.y_unit, *found, state.rest if content.x_unit == "km/s" else None,
            pixel_area=self.session.files[curve.file].pixel_area, convention=state.convention,
        )  # fmt: skip

    def move_guess(self, number: int, lines: Sequence[Line]) -> bool:
        """Take other first values for a guess; False if they cannot be drawn."""
        return self._fit_again(number, lines, guess_curve) is not None

    def fit_guesses(self, pane: str) -> list[str]:
        """Fit all first values of a pane; return why those that failed did."""
        problems = []
        for number, record in enumerate(self.fits):
            if record.is_guess and record.pane == pane:
                lines = constrain(lines_of(self.as_shown(record)), self.choice)
                if self.refit(number, lines) is None:
                    problems.append(f"{record.name}: the fit does not converge from these values")
        return problems

    def _compare(self, record: FitRecord) -> FitRecord:
        """Name the rest wavelength a fit is compared with: of the velocity axis, else the nearest line shown."""
        from sofia_viewers.spectrum.fit_table import wavelength_at

        if record.rest is not None or record.result is None or not record.result.lines:
            return record
        strongest = max(record.result.lines, key=lambda line: abs(line.amplitude.value))
        wave = wavelength_at(record, strongest.center.value)
        return replace(record, rest=self.nearest_line(wave) if np.isfinite(wave) else None)

    def replace_fit(self, number: int, record: FitRecord) -> None:
        """Put another fit in place of one."""
        self.fits = [record if i == number else old for i, old in enumerate(self.fits)]
        self.tell("fits")

    def as_shown(self, record: FitRecord) -> FitRecord:
        """Return a fit in the units its pane has now; as it is if the pane is gone or shows something else."""
        pane = self.session.find_pane(record.pane)
        if pane < 0:
            return record
        state = self.session.panes[pane]
        if (state.x_field, state.primary.field) != (record.x_field, record.y_field):
            return record
        x_unit, y_unit = self.session.shown_units(pane)
        return convert_fit(record, replace(state.axis, unit=x_unit), y_unit)

    def refit(self, number: int, guess: Sequence[Line]) -> FitRecord | None:
        """Fit again from other first values, in the units shown now; the fit is replaced if it succeeds."""
        return self._fit_again(number, guess, fit_curve)

    def _fit_again(self, number: int, guess: Sequence[Line], fit: Callable[..., Any]) -> FitRecord | None:
        old = self.as_shown(self.fits[number])
        pane = self.session.find_pane(old.pane)
        content = self.session.content(pane) if pane >= 0 else None
        curves = content.curves if content is not None else ()
        curve = next((c for c in curves if c.key == (old.file, old.order, old.aperture)), None)
        if curve is None or content is None or old.result is None:
            return None
        if (content.x_unit, content.y_unit) != (old.x_unit, old.y_unit):
            return None  # the fit cannot be converted to what is shown
        choice = replace(self.choice, degree=old.result.degree, weighted=old.result.weighted)
        result, columns, status = fit(curve, old.result.limits, choice, guess)
        if result is None:
            return None
        record = self._compare(replace(old, result=result, columns=columns, status=status))
        self.replace_fit(number, record)
        return record

    def clear_fits(self) -> None:
        """Forget all fits."""
        self.fits = []
        self.tell("fits")

    def hide_fits(self, pane: str) -> None:
        """Hide the fits of a pane."""
        self.fits = [replace(record, shown=False) if record.pane == pane else record for record in self.fits]
        self.tell("fits")

    # -- windows of the continuum ------------------------------------------------------------------------------------

    def add_window(self, limits: tuple[float, float], axis: WaveAxis) -> None:
        """Add a window of the continuum, in the units of an axis; those that this axis cannot show go."""
        self.windows = [*self.windows_on(axis), limits]
        self.window_axis = axis
        self.tell("windows")

    def move_window(self, number: int, limits: tuple[float, float], axis: WaveAxis) -> None:
        """Take other limits for a window, in the units of an axis; nothing is drawn anew."""
        moved = convert_range(limits, axis, self.window_axis)
        if number < len(self.windows) and moved is not None:
            self.windows[number] = moved

    def clear_windows(self) -> None:
        """Forget the windows."""
        self.windows = []
        self.tell("windows")

    def windows_on(self, axis: WaveAxis) -> list[tuple[float, float]]:
        """Return the windows in the units of an axis; none where it cannot show them."""
        ranges = [convert_range(window, self.window_axis, axis) for window in self.windows]
        return [limits for limits in ranges if limits is not None]

    # -- the atmosphere ----------------------------------------------------------------------------------------------

    def set_sky(self, sky: Sky) -> None:
        """Choose another atmosphere."""
        self.sky = sky
        self.tell("sky")

    # -- saving ------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        builtin = {each.name for each in builtin_lists()}
        return {
            "lists": [
                {"name": each.name, "shown": each.shown, "labelled": each.labelled,
                 "text": None if each.name in builtin else each.text}
                for each in self.lists
            ],
            "show_lines": self.show_lines,
            "show_labels": self.show_labels,
            "shift": asdict(self.shift),
            "sky": {**asdict(self.sky), "source": str(self.sky.source) if self.sky.source else None},
            "fits": [record.to_json() for record in self.fits],
            "choice": asdict(self.choice),
            "distance": self.distance,
            "windows": [list(window) for window in self.windows],
            "window_axis": asdict(self.window_axis),
        }  # fmt: skip

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take over what `to_json` gave.

        Raises
        ------
        ParameterError
            If it is damaged.
        """
        for name, value in read_annotations(plain).items():
            setattr(self, name, value)
        for what in ("lines", "fits", "sky", "windows"):
            self.tell(what)


def read_annotations(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `Annotations.to_json` gave as values, by the name of the attribute.

    Raises
    ------
    ParameterError
        If it is damaged.
    """
    try:
        known = {each.name: each for each in builtin_lists()}
        lists = [
            replace(
                known[each["name"]] if each["text"] is None else parse_line_list(each["text"], each["name"]),
                shown=bool(each["shown"]), labelled=bool(each["labelled"]),
            )
            for each in plain["lists"]
        ]  # fmt: skip
        source, choice = plain["sky"]["source"], check_saved(FitChoice(**plain["choice"]))
        if choice.shape not in (None, *PROFILES) or choice.degree not in (None, *range(_MOST_DEGREE + 1)):
            raise ValueError("choice")
        return {
            "lists": lists,
            "show_lines": bool(plain["show_lines"]),
            "show_labels": bool(plain["show_labels"]),
            "shift": check_saved(Shift(**plain["shift"])),
            "sky": check_saved(Sky(**{**plain["sky"], "source": Path(source) if source else None})),
            "fits": [FitRecord.from_json(record) for record in plain["fits"]],
            "choice": choice,
            "distance": None if plain["distance"] is None else float(plain["distance"]),
            "windows": [(float(low), float(high)) for low, high in plain.get("windows", [])],
            "window_axis": check_saved(WaveAxis(**plain.get("window_axis", {"unit": "um"}))),
        }
    except (LookupError, TypeError, ValueError, AttributeError) as problem:
        raise ParameterError(f"The session cannot be restored: {problem} is missing or damaged.") from None
