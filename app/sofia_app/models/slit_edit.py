"""Apertures and background regions as parameters: what is dragged in a spatial profile becomes their text, and back.

Which parameters these are is told by the steps themselves, by the ``pick`` of a parameter; no instrument is known here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sofia_app.models.notifier import Notifier
from sofia_app.models.parameters import ParameterForm
from sofia_engine.errors import ParameterError
from sofia_engine.pipeline.parameters import ParameterInfo
from sofia_engine.spectroscopy.apertures import parse_lists, parse_regions
from sofia_viewers.spectrum.slit import ApertureMark, Region, SlitMarks

__all__ = ["Pickable", "SlitEditor", "find_pickable", "format_lists", "format_region_lists"]

POSITIONS, RADII, PSF_RADII, SIGNS, REGIONS = (
    "aperture positions", "aperture radii", "psf radii", "aperture signs", "background regions",
)  # fmt: skip
_ATTRIBUTES = {POSITIONS: "position", RADII: "radius", PSF_RADII: "psf_radius", SIGNS: "sign"}


@dataclass(frozen=True)
class Pickable:
    """A parameter whose value can be dragged: position of its step, form, and declaration."""

    index: int
    form: ParameterForm
    info: ParameterInfo

    @property
    def text(self) -> str:
        """The value as it would be used, edits included."""
        return str(self.form.field(self.info.name).value or "").strip()

    @property
    def values(self) -> dict[str, Any]:
        """The value and those it depends on, by name."""
        return {name: self.form.field(name).value for name in (self.info.name, *self.info.picked_with)}

    @property
    def is_in_force(self) -> bool:
        """Whether the value is given, and the others are such that it holds."""
        return bool(self.text) and all(
            self.form.field(name).value == value for name, value in self.info.picked_with.items()
        )


def find_pickable(forms: Sequence[ParameterForm]) -> dict[str, Pickable]:
    """Return the parameters that can be dragged, by what they are; of several the first in the recipe."""
    found: dict[str, Pickable] = {}
    for index, form in enumerate(forms):
        for info in form.step.parameters.infos():
            if info.pick in (*_ATTRIBUTES, REGIONS):
                found.setdefault(info.pick, Pickable(index, form, info))
    return found


def format_lists(lists: Sequence[Sequence[float]]) -> str:
    """Write numbers of several files: commas between apertures, semicolons between files; equal lists once."""
    return _join_files([",".join(f"{value:.3f}".rstrip("0").rstrip(".") for value in values) for values in lists])


def format_region_lists(lists: Sequence[Sequence[Region]]) -> str:
    """Write background regions of several files as start-stop pairs; ``,`` stands for a file without any."""
    texts = [",".join(f"{max(a, 0.0):.3f}-{max(b, 0.0):.3f}" for a, b in regions) for regions in lists]
    joined = _join_files(texts)
    return joined or ","


def _join_files(texts: Sequence[str]) -> str:
    return texts[0] if len(set(texts)) == 1 else ";".join(texts)


class SlitEditor:
    """Joins the marks of the files of a state with the parameters that make them, and remembers edits to undo them.

    `changed` is told when other marks are to be shown.
    """

    def __init__(self) -> None:
        self.changed = Notifier()
        self._pickable: dict[str, Pickable] = {}
        self._measured: tuple[SlitMarks, ...] = ()
        self._done: Mapping[int, Mapping[str, Any]] = {}
        self._problem = ""
        self._undo: list[list[tuple[ParameterForm, str, Any, Any]]] = []
        self._redo: list[list[tuple[ParameterForm, str, Any, Any]]] = []

    # -- what there is -----------------------------------------------------------------------------------------------

    def use(
        self,
        forms: Sequence[ParameterForm],
        measured: Sequence[SlitMarks],
        done: Mapping[int, Mapping[str, Any]],
        counts: Mapping[int, int] | None = None,
        problem: str = "",
    ) -> None:
        """Take over what is shown.

        Parameters
        ----------
        forms : sequence of ParameterForm
            Of all steps of the recipe.
        measured : sequence of SlitMarks
            Of each file, from its product.
        done : mapping of int to mapping
            Values by key with which the steps before the shown state were done, by position of the step.
        counts : mapping of int to int
            Number of files each step works on, by its position, where it is known.
        problem : str
            Why nothing can be dragged, if that is so.
        """
        kept = {id(p.form) for p in self._pickable.values()}
        self._pickable = find_pickable(forms)
        if kept != {id(p.form) for p in self._pickable.values()}:
            self._undo, self._redo = [], []
        self._measured, self._done = tuple(measured), done
        wrong = [
            n for p in self._pickable.values() if (n := (counts or {}).get(p.index, len(measured))) != len(measured)
        ]
        is_partial = f"The step works on {wrong[0]} files, of which {len(measured)} shown here: " if wrong else ""
        self._problem = problem or (f"{is_partial}give the apertures of all in the form." if wrong else "")
        self.changed.emit()

    @property
    def editable(self) -> frozenset[str]:
        """What can be dragged now."""
        return frozenset() if self._problem else frozenset(self._pickable)

    @property
    def problem(self) -> str:
        """Why nothing can be dragged; empty if it can."""
        return self._problem

    def step_of(self, what: str) -> int:
        """Return the position of the step whose parameter something is; -1 if there is none."""
        return self._pickable[what].index if what in self._pickable else -1

    @property
    def first_step(self) -> int:
        """Position of the first step that is to be done anew for what was changed; -1 if nothing was."""
        pending = [p.index for p in self._pickable.values() if self._is_pending(p)]
        return min(pending, default=-1)

    @property
    def last_step(self) -> int:
        """Position of the last step with something that was changed; -1 if nothing was."""
        return max((p.index for p in self._pickable.values() if self._is_pending(p)), default=-1)

    def marks(self, file: int) -> SlitMarks:
        """Return what is to be drawn for a file: as measured, but for what parameters say by now."""
        if not 0 <= file < len(self._measured):
            return SlitMarks()
        marks = self._measured[file]
        positions = self._given(POSITIONS, file)
        if positions:
            marks = replace(marks, apertures=_put_positions(marks.apertures, sorted(positions)))
        for what in (RADII, PSF_RADII, SIGNS):
            values = self._given(what, file)
            if values:
                marks = replace(marks, apertures=_put_values(marks.apertures, _ATTRIBUTES[what], values))
        regions = self._given_regions(file)
        return marks if regions is None else replace(marks, background=regions)

    def _is_pending(self, pickable: Pickable) -> bool:
        """Tell whether the step would be done with another value than it was."""
        done = self._done.get(pickable.index)
        if done is None:
            return pickable.is_in_force
        info = pickable.form.step.parameters.info
        return any(done.get(info(name).key, value) != value for name, value in pickable.values.items())

    def _given(self, what: str, file: int) -> tuple[float, ...]:
        pickable = self._pickable.get(what)
        if pickable is None or not pickable.is_in_force or not self._is_pending(pickable):
            return ()
        try:
            return parse_lists(pickable.text, pickable.info.key, len(self._measured))[file]
        except ParameterError:
            return ()  # the form says what is wrong with it

    def _given_regions(self, file: int) -> tuple[Region, ...] | None:
        pickable = self._pickable.get(REGIONS)
        if pickable is None or not pickable.is_in_force or not self._is_pending(pickable):
            return None
        try:
            return parse_regions(pickable.text, pickable.info.key, len(self._measured))[file]
        except ParameterError:
            return None

    # -- edits -------------------------------------------------------------------------------------------------------

    def edit(self, file: int, marks: SlitMarks, what: str) -> None:
        """Make marks that were dragged the values of parameters.

        Parameters
        ----------
        file : int
            Which file; the others keep theirs.
        marks : SlitMarks
            All marks of the file.
        what : str
            Which parameter was meant; with another number of apertures, the lists that are given follow.
        """
        if what not in self.editable:
            return
        old = [self.marks(number) for number in range(len(self._measured))]
        new = [marks if number == file else each for number, each in enumerate(old)]
        wanted = [what]
        if len(marks.apertures) != len(old[file].apertures):
            wanted += [w for w in (RADII, PSF_RADII, SIGNS) if w in self._pickable and self._pickable[w].text]
        self._set({w: _format(w, new, file) for w in wanted})

    def set_automatic(self) -> None:
        """Put the defaults back: apertures and regions are found in the profile again."""
        self._apply([(p.form, name, p.form.field(name).default) for p in self._pickable.values() for name in p.values])

    def _set(self, texts: Mapping[str, str]) -> None:
        changes = []
        for what, text in texts.items():
            pickable = self._pickable[what]
            changes.append((pickable.form, pickable.info.name, text))
            changes += [(pickable.form, name, value) for name, value in pickable.info.picked_with.items()]
        self._apply(changes)

    def _apply(self, changes: Sequence[tuple[ParameterForm, str, Any]]) -> None:
        entry = [
            (form, name, before, value) for form, name, value in changes if (before := form.field(name).value) != value
        ]
        if not entry:
            return
        for form, name, _, value in entry:
            form.edit(name, value)
        self._undo.append(entry)
        self._redo.clear()
        self.changed.emit()

    @property
    def can_undo(self) -> bool:
        """Whether an edit can be taken back."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether an edit that was taken back can be made again."""
        return bool(self._redo)

    def undo(self) -> None:
        """Take the last edit back: the parameters get the values they had before it."""
        if self._undo:
            entry = self._undo.pop()
            for form, name, before, _ in reversed(entry):
                form.edit(name, before)
            self._redo.append(entry)
            self.changed.emit()

    def redo(self) -> None:
        """Make the edit again that was taken back last."""
        if self._redo:
            entry = self._redo.pop()
            for form, name, _, after in entry:
                form.edit(name, after)
            self._undo.append(entry)
            self.changed.emit()


def _format(what: str, marks: Sequence[SlitMarks], file: int) -> str:
    """Write a quantity of all files; where another file has none, that of the edited one serves all."""
    if what == REGIONS:
        return format_region_lists([each.background for each in marks])
    lists = [_list_values(each.apertures, _ATTRIBUTES[what]) for each in marks]
    if not all(lists):
        lists = [lists[file]]
    return format_lists(lists)


def _list_values(apertures: Sequence[ApertureMark], attribute: str) -> list[float]:
    values = [float(getattr(aperture, attribute)) for aperture in apertures]
    known = [value for value in values if math.isfinite(value)]
    return [value if math.isfinite(value) else known[-1] for value in values] if known else []


def _put_positions(apertures: tuple[ApertureMark, ...], positions: Sequence[float]) -> tuple[ApertureMark, ...]:
    if len(apertures) == len(positions):
        return tuple(replace(a, position=p) for a, p in zip(apertures, positions, strict=True))
    if not apertures:
        return tuple(ApertureMark(p) for p in positions)
    nearest = [min(apertures, key=lambda a, p=p: abs(a.position - p)) for p in positions]  # type: ignore[misc]
    return tuple(replace(a, position=p) for a, p in zip(nearest, positions, strict=True))


def _put_values(
    apertures: tuple[ApertureMark, ...], attribute: str, values: Sequence[float]
) -> tuple[ApertureMark, ...]:
    """Give apertures values; a list that is too short repeats its last one."""
    last = len(values) - 1
    return tuple(replace(a, **{attribute: values[min(i, last)]}) for i, a in enumerate(apertures))  # type: ignore[arg-type]
