"""The state of the viewer: files, panes, style, formulas. No Qt: views listen to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sofia_engine.errors import ParameterError
from sofia_viewers.spectrum.colors import choose_color, choose_marker, choose_opacity
from sofia_viewers.spectrum.curves import SIGNAL_TO_NOISE, Curve, CurveRequest, make_curve, make_label, native_unit
from sofia_viewers.spectrum.derivation import Derivation, derive
from sofia_viewers.spectrum.expression import evaluate, list_names
from sofia_viewers.spectrum.pane import AxisState, PaneFile, PaneState, PlotStyle
from sofia_viewers.spectrum.pane_rows import Direction, Rows, lay_out_panes, move_pane
from sofia_viewers.spectrum.saved import check_saved
from sofia_viewers.spectrum.selection import parse_numbers
from sofia_viewers.spectrum.spectrum import SpectrumFile
from sofia_viewers.spectrum.units import PIXEL, list_flux_units, list_wave_units
from sofia_viewers.unit_names import show_unit

__all__ = ["PaneContent", "SpectrumSession", "shorten_names"]

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class PaneContent:
    """What a pane draws.

    Parameters
    ----------
    curves, overplot : tuple of Curve
        On the left and on the right axis.
    x_label, y_label, y2_label : str
        Labels of the axes.
    x_unit, y_unit, y2_unit : str
        Units they are shown in.
    problems : tuple of str
        Why something is not drawn.
    """

    curves: tuple[Curve, ...] = ()
    overplot: tuple[Curve, ...] = ()
    x_label: str = ""
    y_label: str = ""
    y2_label: str = ""
    x_unit: str = ""
    y_unit: str = ""
    y2_unit: str = ""
    problems: tuple[str, ...] = ()


class SpectrumSession:
    """Files and panes, and what the user chose; tells its listeners what changed.

    Listeners get one word: ``files``, ``panes`` (their number, or which is current), ``pane:ID`` (one pane's state),
    ``style``, ``formulas``.
    """

    def __init__(self) -> None:
        self.files: dict[str, SpectrumFile] = {}
        self.panes: list[PaneState] = [PaneState("pane1")]
        self.current = 0
        self.style = PlotStyle()
        self.formulas: dict[str, str] = {}
        self.derivations: dict[str, Derivation] = {}
        self.dark = False
        self._order: dict[str, int] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._count = 1

    def subscribe(self, listener: Callable[[str], None]) -> None:
        """Call a function with the name of each change."""
        self._listeners.append(listener)

    def _tell(self, what: str) -> None:
        for listener in list(self._listeners):
            listener(what)

    # -- files -------------------------------------------------------------------------------------------------------

    def add_files(self, files: Iterable[SpectrumFile], *, pane: int | None = None) -> list[str]:
        """Take files in and show them in a pane (the current one); those with a known key are replaced.

        Returns
        -------
        list of str
            Keys of all of them.
        """
        given = list(files)
        for file in given:
            self._order.setdefault(file.key, _first_free(self._order.values()))
            self.files[file.key] = file
        given += self._derive_again({file.key for file in given})
        self._tell("files")
        new = [file.key for file in given if not any(p.file(file.key) for p in self.panes)]
        if new:
            self.show_in_pane(new, pane)
        for number, state in enumerate(self.panes):
            if any(state.file(file.key) for file in given):
                self._settle(number)
                self._tell(f"pane:{state.id}")
        return [file.key for file in given]

    def add_derived(self, derivation: Derivation, *, pane: int | None = None) -> str:
        """Make a file of others and show it in a pane.

        Returns
        -------
        str
            Its key.

        Raises
        ------
        ParameterError
            If it cannot be made.
        """
        used = {*self.files, *self.derivations, *(key for each in self.derivations.values() for key in each.sources)}
        number = 1
        while f"derived:{number}" in used:  # not that of one that was closed: others were made of it
            number += 1
        key = f"derived:{number}"
        file = derive(derivation, self.files, key)
        self.derivations[key] = derivation
        self.add_files([file], pane=pane)
        return key

    def is_derived(self, key: str) -> bool:
        """Tell whether a file was made of others."""
        return key in self.derivations

    def _derive_again(self, changed: set[str]) -> list[SpectrumFile]:
        """Make anew what was made of files that changed; what cannot be made any more stays as it was."""
        made = []
        for key, derivation in self.derivations.items():
            if key in changed or key not in self.files or not changed.intersection(derivation.sources):
                continue
            try:
                self.files[key] = derive(derivation, self.files, key)
            except ParameterError:
                continue
            changed.add(key)
            self._order.setdefault(key, _first_free(self._order.values()))
            made.append(self.files[key])
        return made

    def replace_group(self, prefix: str, files: Sequence[SpectrumFile]) -> None:
        """Replace all files whose keys begin with a prefix: what the pipeline shows after a step.

        Panes keep their limits, units and orders; files beyond the former number are added to the first pane that
        holds files of the group, or to the current one.
        """
        keys = {file.key for file in files}
        gone = [key for key in self.files if key.startswith(prefix) and key not in keys]
        home = next((i for i, p in enumerate(self.panes) if any(f.key.startswith(prefix) for f in p.files)), None)
        for key in gone:
            self._forget(key)
        self.add_files(files, pane=home)
        if gone:
            self._tell("files")
            for state in self.panes:
                self._tell(f"pane:{state.id}")

    def remove_file(self, key: str) -> None:
        """Close a file: it disappears from all panes."""
        affected = [state.id for state in self.panes if state.file(key)]
        self._forget(key)
        self._tell("files")
        for name in affected:
            self._tell(f"pane:{name}")

    def _forget(self, key: str) -> None:
        self.files.pop(key, None)
        self._order.pop(key, None)
        self._forget_derivations()
        self.panes = [state.without_file(key) for state in self.panes]

    def _forget_derivations(self) -> None:
        """Forget how files were made that are closed, unless others were made of them."""
        needed = set(self.files)
        for key, derivation in reversed(self.derivations.items()):
            if key in needed:
                needed.update(derivation.sources)
        self.derivations = {key: each for key, each in self.derivations.items() if key in needed}

    def show_in_pane(self, keys: Iterable[str], pane: int | None = None) -> None:
        """Show files in a pane; the current one by default."""
        number = self.current if pane is None else pane
        state = self.panes[number]
        for key in keys:
            if state.file(key) is None:
                state = state.with_file(PaneFile(key))
        self.panes[number] = state
        self._settle(number)
        self._tell(f"pane:{state.id}")

    def assign_files(self, keys: Sequence[str], where: Literal["split", "first", "last"] | Sequence[int]) -> None:
        """Spread files over the panes, in place of what they show.

        Parameters
        ----------
        keys : sequence of str
            Files.
        where : {"split", "first", "last"} or sequence of int
            In equal parts over all panes, all in the first or last pane, or the number of the pane (from 0) of each.

        Raises
        ------
        ParameterError
            If there is no such pane, or not one number for each file.
        """
        places = _choose_places(len(keys), where, len(self.panes))
        if len(places) != len(keys) or not all(0 <= place < len(self.panes) for place in places):
            raise ParameterError(f"Give for each of {len(keys)} files a pane from 0 to {len(self.panes) - 1}.")
        for number in sorted(set(places)):
            self.panes[number] = replace(self.panes[number], files=())
            self.show_in_pane([key for key, place in zip(keys, places, strict=True) if place == number], number)

    def remove_from_pane(self, keys: Iterable[str], pane: int | None = None) -> None:
        """Take files out of a pane; they stay loaded."""
        state = self.panes[self.current if pane is None else pane]
        for key in keys:
            state = state.without_file(key)
        self.set_pane(state)

    def names(self) -> dict[str, str]:
        """Return the names of the files by key, told apart by their folders where they are the same."""
        return shorten_names(self.files.values())

    # -- panes -------------------------------------------------------------------------------------------------------

    @property
    def pane(self) -> PaneState:
        """The current pane."""
        return self.panes[self.current]

    def add_pane(self) -> PaneState:
        """Add an empty pane and make it current; it takes over fields and units of the current one."""
        self._count += 1
        while any(state.id == f"pane{self._count}" for state in self.panes):
            self._count += 1
        new = replace(
            self.pane, id=f"pane{self._count}", files=(), x_limits=None, primary=AxisState(), overplot_enabled=False
        )
        self.panes.append(new)
        self.current = len(self.panes) - 1
        self._tell("panes")
        return new

    def remove_pane(self, number: int | None = None) -> None:
        """Remove a pane; the last one is emptied instead."""
        index = self.current if number is None else number
        if len(self.panes) == 1:
            self.panes = [PaneState(self.panes[0].id)]
            self._tell(f"pane:{self.panes[0].id}")
        else:
            del self.panes[index]
            self.current = max(0, min(self.current if index > self.current else self.current - 1, len(self.panes) - 1))
        self._tell("panes")

    @property
    def rows(self) -> Rows:
        """Where the panes are: rows of their names."""
        return lay_out_panes([state.id for state in self.panes], self.style.layout, self.style.rows)

    def move_pane(self, direction: Direction, number: int | None = None) -> None:
        """Move a pane, the current one by default; the layout becomes a free one."""
        name = self.panes[self.current if number is None else number].id
        self.set_style(layout="free", rows=move_pane(self.rows, name, direction))

    def select_pane(self, number: int) -> None:
        """Make a pane current."""
        if number != self.current and 0 <= number < len(self.panes):
            self.current = number
            self._tell("panes")

    def find_pane(self, name: str) -> int:
        """Return the number of a pane by its identity; -1 if there is none."""
        return next((i for i, state in enumerate(self.panes) if state.id == name), -1)

    def set_pane(self, state: PaneState) -> None:
        """Give a pane another state."""
        number = self.find_pane(state.id)
        if number >= 0 and self.panes[number] != state:
            self.panes[number] = state
            self._tell(f"pane:{state.id}")

    def note_limits(self, state: PaneState) -> None:
        """Take over limits that a view shows already; nobody is told."""
        number = self.find_pane(state.id)
        if number >= 0:
            self.panes[number] = state

    def change_pane(self, number: int | None = None, **changes: Any) -> None:
        """Change some of the state of a pane; the current one by default."""
        self.set_pane(replace(self.panes[self.current if number is None else number], **changes))

    def change_axis(self, which: str, number: int | None = None, **changes: Any) -> None:
        """Change a y axis: ``primary`` or ``overplot``."""
        state = self.panes[self.current if number is None else number]
        self.set_pane(replace(state, **{which: replace(getattr(state, which), **changes)}))

    def set_numbers(
        self, text: str, *, enabled: bool, keys: Iterable[str] | None = None, pane: int | None = None
    ) -> None:
        """Show or hide orders (apertures, where a file has several of them and one order).

        Parameters
        ----------
        text : str
            List as in `parse_numbers`.
        enabled : bool
            The list names what is shown; else what is hidden.
        keys : iterable of str, optional
            Files it is meant for; all of the pane by default.

        Raises
        ------
        ParameterError
            If the list cannot be read.
        """
        state = self.panes[self.current if pane is None else pane]
        wanted = set(keys) if keys is not None else {file.key for file in state.files}
        for part in state.files:
            if part.key in wanted and part.key in self.files:
                state = state.with_file(_hide(part, self.files[part.key], text, enabled=enabled))
        self.set_pane(state)

    def set_style(self, **changes: Any) -> None:
        """Change how all panes are drawn."""
        style = replace(self.style, **changes)
        if style != self.style:
            self.style = style
            self._tell("style")

    def set_dark(self, dark: bool) -> None:
        """Choose colours for a dark or a light ground."""
        if dark != self.dark:
            self.dark = dark
            self._tell("style")

    def set_formula(self, name: str, text: str) -> None:
        """Define a field by a formula; an empty text removes it.

        Raises
        ------
        ParameterError
            If it is no formula, its name is that of a field, or it names fields that no file has.
        """
        if not text.strip():
            self.formulas.pop(name, None)
        else:
            known = {field for file in self.files.values() for field in file.fields}
            if name in known or name == SIGNAL_TO_NOISE or not name.strip():
                raise ParameterError(f"A formula cannot be called '{name}': choose another name.")
            names = list_names(text)
            unknown = sorted(names - known) if known else []
            if unknown:
                raise ParameterError(f"There is no field '{unknown[0]}'; there are {', '.join(sorted(known))}.")
            evaluate(text, dict.fromkeys(names, np.ones(1)))  # what is no formula is refused now, not when it is drawn
            self.formulas[name] = text
        self._tell("formulas")

    # -- what there is to choose from --------------------------------------------------------------------------------

    def list_fields(self, pane: int | None = None) -> list[str]:
        """Return the fields the files of a pane have, with S/N and the formulas."""
        state = self.panes[self.current if pane is None else pane]
        names = dict.fromkeys(n for part in state.files if part.key in self.files for n in self.files[part.key].fields)
        found = list(names) or ["wavepos", "spectral_flux"]
        if {"spectral_flux", "spectral_error"} <= names.keys():
            found.append(SIGNAL_TO_NOISE)
        return found + list(self.formulas)

    def list_units(self, axis: str, pane: int | None = None) -> list[str]:
        """Return the units an axis (``x``, ``primary`` or ``overplot``) can have."""
        state = self.panes[self.current if pane is None else pane]
        file = next((self.files[p.key] for p in state.files if p.key in self.files), None)
        if file is None:
            return [""]
        if axis == "x":
            native = native_unit(file, state.x_field, self.formulas)
            units = list_wave_units(native)
            return list(units if state.x_field == "wavepos" else dict.fromkeys((native, *units)))
        native = native_unit(file, getattr(state, axis).field, self.formulas)
        return list(list_flux_units(native, file.pixel_area))

    # -- what is drawn -----------------------------------------------------------------------------------------------

    def content(self, number: int) -> PaneContent:
        """Compute what a pane draws."""
        state = self.panes[number]
        curves, problems = self._make_curves(state, state.primary)
        overplot, more = self._make_curves(state, state.overplot) if state.overplot_enabled else ((), ())
        x_unit = state.x_unit or self._native(state, state.x_field)
        y_unit = state.primary.unit or self._native(state, state.primary.field)
        y2_unit = state.overplot.unit or self._native(state, state.overplot.field)
        return PaneContent(
            curves, overplot, self._x_label(state, x_unit), make_label(state.primary.field, y_unit),
            make_label(state.overplot.field, y2_unit), x_unit, y_unit, y2_unit, (*problems, *more),
        )  # fmt: skip

    def shown_units(self, number: int) -> tuple[str, str]:
        """Return the units of x and y that a pane is shown in; native ones where none was chosen."""
        state = self.panes[number]
        x_unit = state.x_unit or self._native(state, state.x_field)
        return x_unit, state.primary.unit or self._native(state, state.primary.field)

    def _x_label(self, state: PaneState, unit: str) -> str:
        if state.x_field == "wavepos":
            kinds = {"km/s": "Velocity", PIXEL: "Column", "GHz": "Frequency", "THz": "Frequency", "cm-1": "Wavenumber",
                     "eV": "Energy", "Hz": "Frequency"}  # fmt: skip
            return f"{kinds.get(unit, 'Wavelength')} [{show_unit(unit)}]" if unit else "Wavelength"
        return make_label(state.x_field, unit)

    def _native(self, state: PaneState, name: str) -> str:
        keys = (part.key for part in state.files if part.key in self.files)
        return next((native_unit(self.files[key], name, self.formulas) for key in keys if self._has(key, name)), "")

    def _has(self, key: str, name: str) -> bool:
        return name in self.files[key].fields or name in self.formulas

    def _make_curves(self, state: PaneState, axis: AxisState) -> tuple[tuple[Curve, ...], tuple[str, ...]]:
        curves: list[Curve] = []
        problems: list[str] = []
        unit = axis.unit or self._native(state, axis.field)
        x_unit = state.x_unit or self._native(state, state.x_field)
        names = self.names()
        for part in state.files:
            file = self.files.get(part.key)
            if file is None or not part.shown:
                continue
            request = CurveRequest(
                state.x_field,
                axis.field,
                replace(state.axis, unit=x_unit),
                unit,
                tuple(self.formulas.items()),
                file.pixel_area,
            )
            try:
                curves += self._curves_of(file, part, request, names[file.key])
            except ParameterError as problem:
                reason = str(problem).rstrip(".")
                advice = "choose another unit, or show it in a pane of its own"
                problems.append(f"{names[file.key]} is not shown: {reason}; {advice}.")
        return tuple(curves), tuple(problems)

    def _curves_of(self, file: SpectrumFile, part: PaneFile, request: CurveRequest, name: str) -> list[Curve]:
        number, orders = self._order.get(file.key, 0), file.orders
        made = []
        for spectrum in file.spectra:
            if spectrum.order in part.hidden_orders or spectrum.aperture in part.hidden_apertures:
                continue
            x, y, error = make_curve(spectrum, request)
            flags = spectrum.fields.get("badmask")
            color = choose_color(number, spectrum.aperture, self.style.cycle, dark=self.dark)
            opacity = choose_opacity(orders.index(spectrum.order), len(orders))
            shown_flags = None if flags is None or len(flags) != len(y) else np.asarray(flags != 0)
            place = (file.key, name, spectrum.order, spectrum.aperture)
            made.append(Curve(*place, x, y, error, shown_flags, color, choose_marker(number), opacity))
        return made

    def color_of(self, key: str, aperture: int = 1) -> str:
        """Return the colour of a file."""
        return choose_color(self._order.get(key, 0), aperture, self.style.cycle, dark=self.dark)

    def marker_of(self, key: str) -> str:
        """Return the symbol of a file."""
        return choose_marker(self._order.get(key, 0))

    def _settle(self, number: int) -> None:
        """Choose a field that the files have where the chosen one is missing in all of them."""
        state = self.panes[number]
        present = [self.files[part.key] for part in state.files if part.key in self.files]
        known = {name for file in present for name in file.fields} | set(self.formulas) | {SIGNAL_TO_NOISE}
        if not present:
            return
        if state.primary.field not in known:
            usual = (n for n in ("spectral_flux", "response", "spatial_profile") if n in known)
            state = replace(state, primary=AxisState(next(usual, next(iter(present[0].fields), "spectral_flux"))))
        if state.x_field not in known and state.x_field != PIXEL:
            state = replace(state, x_field=PIXEL, x_unit="")
        units = list_wave_units(native_unit(present[0], "wavepos"))
        if state.x_field == "wavepos" and state.x_unit and state.x_unit not in units:
            state = replace(state, x_unit="", x_limits=None)
        self.panes[number] = state

    # -- saving ------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return the session as plain values; files by their paths."""
        return {
            "format": _FORMAT,
            "files": [
                {"key": key, "path": str(f.path) if f.path else None, "number": self._order.get(key, 0)}
                for key, f in self.files.items()
            ],
            "panes": [state.to_json() for state in self.panes],
            "current": self.current,
            "style": asdict(self.style),
            "formulas": dict(self.formulas),
            "derivations": {key: derivation.to_json() for key, derivation in self.derivations.items()},
        }

    def restore(self, plain: Mapping[str, Any], sources: Iterable[SpectrumFile] = ()) -> None:
        """Take over panes, style and formulas of what `to_json` gave; files must have been added before.

        Parameters
        ----------
        plain : mapping
            What was saved.
        sources : iterable of SpectrumFile
            Files that were closed, but of which others were made.

        Raises
        ------
        ParameterError
            If it is not what `to_json` gives.
        """
        panes, style, formulas, current, derivations, order = self.check(plain)
        self._derive_all(derivations, {file.key: file for file in sources}, set(order))
        self._take_order(order)
        self.panes = [replace(p, files=tuple(f for f in p.files if f.key in self.files)) for p in panes] or [
            PaneState("pane1")
        ]
        self.current = min(max(current, 0), len(self.panes) - 1)
        self.style, self.formulas = style, formulas
        for what in ("files", "formulas", "style", "panes"):
            self._tell(what)

    @staticmethod
    def check(plain: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return what was saved as values: panes, style, formulas, current pane, derivations, numbers of files.

        Raises
        ------
        ParameterError
            If it is not what `to_json` gives.
        """
        try:
            if plain["format"] != _FORMAT:
                raise ParameterError(
                    "The session was saved by a newer version of the program; update it to open the session."
                )
            panes = [check_saved(PaneState.from_json(state)) for state in plain["panes"]]
            known = {f.name for f in fields(PlotStyle)}
            style = PlotStyle(**{name: value for name, value in plain["style"].items() if name in known})
            style = check_saved(replace(style, rows=tuple(tuple(str(name) for name in row) for row in style.rows)))
            formulas = {str(name): str(text) for name, text in plain["formulas"].items()}
            current = int(plain["current"])
            derivations = {key: Derivation.from_json(value) for key, value in plain.get("derivations", {}).items()}
            order = {str(each["key"]): int(each.get("number", n)) for n, each in enumerate(plain["files"])}
            formulas = {name: text for name, text in formulas.items() if _is_formula(text)}
        except (LookupError, TypeError, ValueError, AttributeError) as problem:
            raise ParameterError(f"The session cannot be restored: {problem} is missing or damaged.") from None
        return panes, style, formulas, current, derivations, order

    def _derive_all(
        self, derivations: Mapping[str, Derivation], closed: Mapping[str, SpectrumFile], wanted: set[str]
    ) -> None:
        """Make files of others as they were made; those that are not wanted serve to make others."""
        known = {**closed, **self.files}
        for key, derivation in derivations.items():
            if all(source in known for source in derivation.sources):
                try:
                    known[key] = derive(derivation, known, key)
                except ParameterError:
                    continue
                self.derivations[key] = derivation
                if key in wanted:
                    self.files[key] = known[key]

    def _take_order(self, order: Mapping[str, int]) -> None:
        """List and colour the files as they were; those that were not there follow."""
        old = self.files
        self.files = {key: old[key] for key in (*(k for k in order if k in old), *(k for k in old if k not in order))}
        self._order = {key: order[key] for key in self.files if key in order}
        for key in self.files:
            self._order.setdefault(key, _first_free(self._order.values()))


def _is_formula(text: str) -> bool:
    try:
        list_names(text)
    except ParameterError:
        return False
    return True


def _hide(part: PaneFile, file: SpectrumFile, text: str, *, enabled: bool) -> PaneFile:
    by_aperture = file.groups == "Apertures"
    known = file.apertures if by_aperture else file.orders
    named = parse_numbers(text, known)
    hidden = frozenset(known) - named if enabled else named
    return replace(part, hidden_apertures=hidden) if by_aperture else replace(part, hidden_orders=hidden)


def shorten_names(files: Iterable[SpectrumFile]) -> dict[str, str]:
    """Return names by key; files of the same name get the folders that tell them apart."""
    given = list(files)
    names = {file.key: file.name for file in given}
    for file in given:
        twins = [other for other in given if other.name == file.name]
        if len(twins) > 1 and file.path is not None:
            names[file.key] = _with_folders(file.path, [t.path for t in twins if t.path is not None and t is not file])
    return names


def _with_folders(path: Path, others: Sequence[Path]) -> str:
    for depth in range(2, len(path.parts) + 1):
        tail = path.parts[-depth:]
        if all(other.parts[-depth:] != tail for other in others):
            return "/".join(tail)
    return str(path)


def _choose_places(count: int, where: str | Sequence[int], panes: int) -> list[int]:
    if not isinstance(where, str):
        return list(where)
    if where == "split":
        return [number * panes // max(count, 1) for number in range(count)]
    return [0 if where == "first" else panes - 1] * count


def _first_free(numbers: Iterable[int]) -> int:
    taken = set(numbers)
    return next(n for n in range(len(taken) + 1) if n not in taken)


def data_range(curves: Iterable[Curve], axis: str) -> tuple[float, float] | None:
    """Return the range of finite values of curves along ``x`` or ``y``; None if there are none."""
    low, high = math.inf, -math.inf
    for curve in curves:
        values = getattr(curve, axis)
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low <= high else None
