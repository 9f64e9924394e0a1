"""The Python that makes a plot or table of the viewer again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["write_code"]


def write_code(paths: Sequence[Path], x: str, y: str, group: str = "") -> str:
    """Return a script that measures files and plots one number against another.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    x, y, group : str
        Columns, as of `sofia_viewers.quality.trends.make_series`.
    """
    listed = "\n".join(f"    Path({str(path)!r})," for path in paths)
    return f'''"""Plot {y} against {x}."""

from pathlib import Path

import matplotlib.pyplot as plt

from sofia_viewers.quality.metrics import measure_file
from sofia_viewers.quality.tables import write_metrics
from sofia_viewers.quality.trends import find_outliers, make_series

FILES = [
{listed}
]

rows = [measure_file(path) for path in FILES]
write_metrics(rows, "quality.ecsv", outliers=find_outliers(rows))
series, words = make_series(rows, {x!r}, {y!r}, {group!r})
figure, axes = plt.subplots()
for points in series:
    axes.plot(points.x, points.y, "o", label=points.name)
axes.set_xlabel({x!r})
axes.set_ylabel({y!r})
if {x!r} in words:
    axes.set_xticks(range(len(words[{x!r}])), words[{x!r}], rotation=45, ha="right")
axes.legend()
figure.savefig("quality.png")
'''
