"""Where panes are: rows of names, from a rule or as the user moved them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

__all__ = ["Direction", "Rows", "find_place", "lay_out_panes", "move_pane"]

Rows = tuple[tuple[str, ...], ...]
Direction = Literal["left", "right", "up", "down"]


def find_place(number: int, count: int, layout: str) -> tuple[int, int]:
    """Return row and column of a pane: a grid with as many rows as the root of their count, or one row or column."""
    if layout == "rows":
        return number, 0
    if layout == "columns":
        return 0, number
    columns = math.ceil(count / math.ceil(math.sqrt(count)))
    return divmod(number, columns)


def lay_out_panes(names: Sequence[str], layout: str, rows: Rows = ()) -> Rows:
    """Return the rows of panes.

    Parameters
    ----------
    names : sequence of str
        All panes.
    layout : str
        ``grid``, ``rows``, ``columns``, or ``free``.
    rows : tuple of tuple of str
        Where they are if free; names that are not there go to the end of the last row, others are passed over.
    """
    if layout != "free":
        made: dict[int, list[str]] = {}
        for number, name in enumerate(names):
            made.setdefault(find_place(number, len(names), layout)[0], []).append(name)
        return tuple(tuple(row) for row in made.values())
    kept = [[name for name in row if name in names] for row in rows]
    kept = [row for row in kept if row] or [[]]
    placed = {name for row in kept for name in row}
    kept[-1] += [name for name in names if name not in placed]
    return tuple(tuple(row) for row in kept)


def move_pane(rows: Rows, name: str, direction: Direction) -> Rows:
    """Move a pane: along its row, or into the row above or below; beyond the last one it gets a row of its own."""
    work = [list(row) for row in rows]
    here = next(number for number, row in enumerate(work) if name in row)
    place = work[here].index(name)
    if direction in ("left", "right"):
        other = place + (1 if direction == "right" else -1)
        if 0 <= other < len(work[here]):
            work[here][place], work[here][other] = work[here][other], work[here][place]
    else:
        work[here].remove(name)
        there = here + (1 if direction == "down" else -1)
        if 0 <= there < len(work):
            work[there].insert(min(place, len(work[there])), name)
        else:
            work.insert(max(there, 0), [name])
    return tuple(tuple(row) for row in work if row)
