"""The history: states as a tree, labelled by what tells branches apart.

States that follow each other without a branch stand one below the other, so that a long recipe does not run out of the
window; where branches begin, each stands under the state they share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sofia_app.models.parameters import format_value
from sofia_app.worker.protocol import StateRecord

__all__ = ["HistoryNode", "build_history", "describe_difference"]


@dataclass(frozen=True)
class HistoryNode:
    """A state in the tree."""

    state: StateRecord
    label: str
    is_current: bool
    on_path: bool
    """Whether it lies between the inputs and the current state."""
    children: tuple[HistoryNode, ...] = ()

    def __len__(self) -> int:
        """Return the number of states from here on."""
        return 1 + sum(len(child) for child in self.children)


def build_history(states: Mapping[str, StateRecord], root: str, path: Sequence[StateRecord]) -> HistoryNode | None:
    """Make the tree.

    Parameters
    ----------
    states : mapping of str to StateRecord
        All states by key.
    root : str
        Key of the first.
    path : sequence of StateRecord
        From the root to the current state.
    """
    if root not in states:
        return None
    children: dict[str, list[StateRecord]] = {}
    for state in sorted(states.values(), key=lambda state: state.started):
        children.setdefault(state.parent, []).append(state)
    keys = {state.key for state in path}
    current = path[-1].key if path else root

    def build(state: StateRecord, siblings: Sequence[StateRecord], nodes: tuple[HistoryNode, ...]) -> HistoryNode:
        return HistoryNode(state, _label(state, siblings), state.key == current, state.key in keys, nodes)

    def follow(state: StateRecord, siblings: Sequence[StateRecord]) -> HistoryNode:
        """Make the node of a state; the states that follow it one by one stand under it, not under each other."""
        below = children.get(state.key, [])
        if len(below) > 1:
            return build(state, siblings, tuple(follow(child, below) for child in below))
        chain: list[HistoryNode] = []
        while len(below) == 1:
            link, below = below[0], children.get(below[0].key, [])
            fork = tuple(follow(child, below) for child in below) if len(below) > 1 else ()
            chain.append(build(link, [], fork))
        return build(state, siblings, tuple(chain))

    return follow(states[root], [])


def _label(state: StateRecord, siblings: Sequence[StateRecord]) -> str:
    if len(siblings) <= 1:
        return state.label
    different = [
        key
        for key, value in state.parameters.items()
        if key != "save" and any(other.parameters.get(key) != value for other in siblings)
    ]
    words = ", ".join(f"{key} = {format_value(state.parameters[key])}" for key in different)
    return f"{state.label}: {words}" if words else state.label


def describe_difference(
    left: Sequence[StateRecord], right: Sequence[StateRecord]
) -> tuple[tuple[str, str, Any, Any], ...]:
    """Return the parameters in which two ways of reducing differ.

    Parameters
    ----------
    left, right : sequence of StateRecord
        From the inputs to each of the two states.

    Returns
    -------
    tuple of (label of the step, key, value left, value right)
        None stands for a step that was not done.
    """
    steps = {state.index: state.label for state in (*left, *right) if state.step}
    of_left = {state.index: state.parameters for state in left}
    of_right = {state.index: state.parameters for state in right}
    found: list[tuple[str, str, Any, Any]] = []
    for index, label in sorted(steps.items()):
        if index not in of_left or index not in of_right:
            found.append((label, "", "done" if index in of_left else None, "done" if index in of_right else None))
            continue
        for key in dict.fromkeys([*of_left[index], *of_right[index]]):
            values = of_left[index].get(key), of_right[index].get(key)
            if values[0] != values[1] and key != "save":
                found.append((label, key, *values))
    return tuple(found)
