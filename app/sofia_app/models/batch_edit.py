"""One edit of a parameter that several steps have: what it would change, doing it, and taking it back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sofia_app.models.parameters import ParameterForm, format_value
from sofia_engine.pipeline.parameters import ParameterInfo

__all__ = ["BatchEdits", "SharedKey", "Target", "describe_edit", "list_shared_keys", "plan_edit"]


@dataclass(frozen=True)
class SharedKey:
    """A key of parameter files that several steps have.

    Parameters
    ----------
    key : str
        The key.
    info : ParameterInfo
        Declaration in the first of these steps.
    steps : tuple of int
        Positions of the steps.
    """

    key: str
    info: ParameterInfo
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Target:
    """What an edit would do to one step.

    Parameters
    ----------
    step : int
        Position of the step.
    label : str
        Its name.
    name : str
        Attribute of the parameter.
    value : value
        What its form shows now.
    problem : str
        Why the step cannot have the new value; empty if it can.
    """

    step: int
    label: str
    name: str
    value: Any
    problem: str = ""


def list_shared_keys(forms: Sequence[ParameterForm]) -> tuple[SharedKey, ...]:
    """Return the keys that at least two forms show, in the order of the steps."""
    found: dict[str, list[tuple[int, ParameterInfo]]] = {}
    for index, form in enumerate(forms):
        for info in form.infos:
            found.setdefault(info.key, []).append((index, info))
    return tuple(
        SharedKey(key, places[0][1], tuple(index for index, _ in places))
        for key, places in found.items()
        if len(places) > 1
    )


def plan_edit(forms: Sequence[ParameterForm], key: str, value: Any) -> tuple[Target, ...]:
    """Return what setting a key would do to each step that has it."""
    targets = []
    for index, form in enumerate(forms):
        for info in (info for info in form.infos if info.key == key):
            shown = form.field(info.name).value
            targets.append(Target(index, form.step.label, info.name, shown, form.explain(info.name, value)))
    return tuple(targets)


class BatchEdits:
    """Does edits of several forms at once, and takes them back, the last one first."""

    def __init__(self) -> None:
        self._done: list[tuple[Target, ...]] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is one to take back."""
        return bool(self._done)

    def forget(self) -> None:
        """Forget all: the forms are others now."""
        self._done.clear()

    def do(self, forms: Sequence[ParameterForm], key: str, value: Any, steps: Iterable[int]) -> tuple[Target, ...]:
        """Put a value into the forms of some steps, as one edit.

        Returns
        -------
        tuple of Target
            The steps that were changed, with the values they had.
        """
        wanted = set(steps)
        targets = tuple(
            target for target in plan_edit(forms, key, value) if target.step in wanted and not target.problem
        )
        for target in targets:
            forms[target.step].edit(target.name, value)
        changed = tuple(target for target in targets if forms[target.step].field(target.name).value != target.value)
        if changed:
            self._done.append(changed)
        return changed

    def undo(self, forms: Sequence[ParameterForm]) -> tuple[Target, ...]:
        """Put the values back that the last edit replaced; return the steps that have them again."""
        targets = self._done.pop() if self._done else ()
        for target in targets:
            forms[target.step].edit(target.name, target.value)
        return targets


def describe_edit(key: str, value: Any, targets: Sequence[Target]) -> str:
    """Return an edit in words: ``save = True in 3 steps: Clean Images, …``."""
    steps = "step" if len(targets) == 1 else "steps"
    return f"{key} = {format_value(value)} in {len(targets)} {steps}: {', '.join(t.label for t in targets)}."
