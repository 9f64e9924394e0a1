"""Parameters of one step while they are edited: drafts, what is wrong with them, where values come from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sofia_app.models.notifier import Notifier
from sofia_app.worker.protocol import StepRecord
from sofia_engine.errors import ParameterError
from sofia_engine.pipeline.parameters import ParameterInfo, Setting
from sofia_engine.pipeline.step import Step

__all__ = ["FieldState", "ParameterForm", "format_value"]

ORIGINS = {
    "built-in": "built-in default",
    "data": "default for these data",
    "file": "set by a parameter file",
    "user": "set by you",
    "edited": "edited, not applied yet",
}


def format_value(value: Any) -> str:
    """Return a value as it stands in a field: ``none``, True, numbers, lists with commas."""
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(format_value(item) for item in value)
    return str(value)


@dataclass(frozen=True)
class FieldState:
    """One field of the form.

    Parameters
    ----------
    info : ParameterInfo
        Declaration.
    value : value or str
        What the field shows; a text where it cannot be converted.
    applied : value
        What the next run would use.
    default : value
        Built-in, or that for these data.
    origin : str
        ``built-in``, ``data``, ``file``, ``user`` or ``edited``.
    error : str
        What is wrong with the draft; empty if nothing.
    """

    info: ParameterInfo
    value: Any
    applied: Any
    default: Any
    origin: str
    error: str = ""
    obstacle: str = ""
    """Why it has no effect now; empty if it has."""

    @property
    def is_changed(self) -> bool:
        """Whether it differs from the default."""
        return not _equal(self.value, self.default)

    @property
    def tooltip(self) -> str:
        """Help, allowed values, default and origin."""
        unit = f" {self.info.unit}" if self.info.unit else ""
        lines = [
            self.info.help,
            f"Allowed: {self.info.allowed}{f' ({self.info.unit})' if unit else ''}",
            f"Default: {format_value(self.default) or 'empty'}{unit}",
            f"Value: {ORIGINS[self.origin]}",
            f"In parameter files: {self.info.key}",
            self.obstacle,
        ]
        return "\n".join(line for line in lines if line)


class ParameterForm:
    """The parameters of one step, as they are being edited.

    Parameters
    ----------
    step : Step
        Declares them.
    record : StepRecord
        What holds at present.
    """

    def __init__(self, step: Step, record: StepRecord) -> None:
        self.changed = Notifier()
        self.step = step
        self._record = record
        self._drafts: dict[str, Any] = {}

    @property
    def infos(self) -> tuple[ParameterInfo, ...]:
        """Declarations of the parameters that forms show."""
        return tuple(info for info in self.step.parameters.infos() if info.level != "hidden")

    @property
    def fields(self) -> tuple[FieldState, ...]:
        """All fields, in order."""
        errors = self.errors
        return tuple(self._field(info, errors) for info in self.infos)

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, by name of the parameter; ``""`` holds what concerns several."""
        errors = {name: problem for name in self._drafts if (problem := self._check([name]))}
        if not errors and self._drafts and (problem := self._check(self._drafts)):
            errors[""] = problem
        return errors

    @property
    def is_edited(self) -> bool:
        """Whether there is something to apply."""
        return bool(self._drafts)

    @property
    def is_valid(self) -> bool:
        """Whether all of it can be applied."""
        return not self.errors

    def field(self, name: str) -> FieldState:
        """Return one field."""
        return self._field(self.step.parameters.info(name), self.errors)

    def edit(self, name: str, value: Any) -> None:
        """Change the draft of a parameter; the value it has already ends its being edited."""
        info = self.step.parameters.info(name)
        if self._means(info, value, self._record.values[info.name]):
            self._drafts.pop(info.name, None)
        else:
            self._drafts[info.name] = value
        self.changed.emit()

    def explain(self, name: str, value: Any) -> str:
        """Return why a parameter cannot have a value, perhaps a text; empty if it can."""
        try:
            self._make({self.step.parameters.info(name).name: value})
        except ParameterError as error:
            return str(error)
        return ""

    def revert(self, name: str = "") -> None:
        """Forget the draft of one parameter, or all drafts."""
        if name:
            self._drafts.pop(name, None)
        else:
            self._drafts.clear()
        self.changed.emit()

    def reset_to_default(self, name: str = "") -> None:
        """Put the defaults (for these data) into one field, or all of them, as drafts."""
        for info in self.infos if not name else [self.step.parameters.info(name)]:
            self.edit(info.name, self._record.defaults[info.name])

    def changes(self) -> dict[str, Any]:
        """Return the values to apply, by name.

        Raises
        ------
        ParameterError
            If one is not allowed.
        """
        model = self._make(self._drafts)
        return {name: getattr(model, name) for name in self._drafts}

    def update(self, record: StepRecord) -> None:
        """Take over what holds now; drafts stay, except those that say the same."""
        if record == self._record:
            return
        self._record = record
        for name, value in list(self._drafts.items()):
            if self._means(self.step.parameters.info(name), value, record.values[name]):
                del self._drafts[name]
        self.changed.emit()

    def search(self, words: str) -> tuple[str, ...]:
        """Return the names of the parameters whose label, key or help contain all words."""
        wanted = words.lower().split()
        texts = {
            info.name: f"{info.label} {info.key} {info.name} {info.help} {info.group}".lower() for info in self.infos
        }
        return tuple(name for name, text in texts.items() if all(word in text for word in wanted))

    def _field(self, info: ParameterInfo, errors: Mapping[str, str]) -> FieldState:
        applied = self._record.values[info.name]
        edited = info.name in self._drafts
        return FieldState(
            info=info,
            value=self._drafts[info.name] if edited else applied,
            applied=applied,
            default=self._record.defaults[info.name],
            origin="edited" if edited else self._record.origins[info.name],
            error=errors.get(info.name, ""),
            obstacle=self._find_obstacle(info),
        )

    def _find_obstacle(self, info: ParameterInfo) -> str:
        if info.name in self._record.obstacles:
            return f"It has no effect on these data. {self._record.obstacles[info.name]}"
        if not info.applies_when:
            return ""
        values = dict(self._record.values)
        for name, draft in self._drafts.items():
            with contextlib.suppress(ParameterError):  # a draft that is not allowed decides nothing
                values[name] = getattr(self._make({name: draft}), name)
        other = info.find_obstacle(values)
        if not other:
            return ""
        label = self.step.parameters.info(other).label
        return f"It has no effect while '{label}' is {format_value(values[other]) or 'empty'}."

    def _make(self, drafts: Mapping[str, Any]) -> Any:
        values = {**self._record.values, **drafts}
        return self.step.parameters.make({name: Setting(value) for name, value in values.items()})

    def _check(self, names: Iterable[str]) -> str:
        try:
            self._make({name: self._drafts[name] for name in names})
        except ParameterError as error:
            return str(error)
        return ""

    def _means(self, info: ParameterInfo, draft: Any, value: Any) -> bool:
        """Tell whether a draft, perhaps a text, is the value."""
        try:
            return _equal(getattr(self._make({info.name: draft}), info.name), value)
        except ParameterError:
            return False


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return list(left) == list(right)
    return type(left) is type(right) and bool(left == right)
