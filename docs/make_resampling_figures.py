"""Make the pictures of the page on resampling by running its code: ``make_resampling_figures.py [FOLDER]``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

PAGE = Path(__file__).with_name("resampling.md")


def run_page() -> dict[str, Any]:
    """Run the Python blocks of the page; return the names that those with a picture leave."""
    names: dict[str, Any] = {"__name__": "page"}
    steps = []
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        exec(compile(block, PAGE, "exec"), names)  # noqa: S102
        steps.append(dict(names))
    return {"noisy": steps[0], "missing": steps[1], "adaptive": steps[2]}


def show(ax, image, title: str, extent=None, **options) -> None:
    picture = ax.imshow(image, origin="lower", extent=extent, **options)
    ax.set_title(title, fontsize=9)
    ax.figure.colorbar(picture, ax=ax, shrink=0.75)


def draw_noisy(names: dict[str, Any], path: Path) -> None:
    """Samples, fit, deviation over error."""
    figure = Figure(figsize=(11, 3.3), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    shades = {"vmin": -1.5, "vmax": 2.5}
    points = left.scatter(names["x"], names["y"], c=names["flux"], s=3, **shades)
    left.set_title("samples", fontsize=9)
    left.set_aspect("equal")
    figure.colorbar(points, ax=left, shrink=0.75)
    fit, extent = names["fit"], (0, 10, 0, 10)
    show(middle, fit.values, "fit", extent, **shades)
    truth = names["surface"](*np.meshgrid(names["axis"], names["axis"]))
    pulls = (fit.values - truth) / fit.errors
    show(right, pulls, "(fit - truth) / error", extent, vmin=-4, vmax=4, cmap="RdBu")
    figure.savefig(path, dpi=110)
    scatter = np.std(names["flux"] - names["surface"](names["x"], names["y"]))
    plain = names["Resampler"](
        [names["x"], names["y"]], names["flux"], names["error"], names["LocalRegression"](1.2, 2, smoothing=0.5)
    )(names["axis"], names["axis"])
    print(f"samples {scatter:.2f}, fit {np.nanstd(fit.values - truth):.3f}, pulls {np.nanstd(pulls):.2f}", end=", ")
    print(f"reference {np.nanstd((plain.values - truth) / plain.errors):.2f}")


def draw_missing(names: dict[str, Any], path: Path) -> None:
    """Image, what is left, rebuilt, difference."""
    figure = Figure(figsize=(12, 2.9), layout="constrained")
    image, holed, rebuilt = names["image"], names["holed"], names["rebuilt"]
    shades = {"vmin": np.min(image), "vmax": np.max(image)}
    lost = np.isnan(holed)
    planes = {"image": image, "70 % missing": holed, "rebuilt": rebuilt}
    axes = figure.subplots(1, 4)
    for ax, (title, plane) in zip(axes, planes.items(), strict=False):
        show(ax, plane, title, **shades)
    show(axes[3], rebuilt - image, "rebuilt - image", vmin=-0.1, vmax=0.1, cmap="RdBu")
    figure.savefig(path, dpi=110)
    off = (rebuilt - image)[lost]
    print(f"missing {lost.mean():.3f}, deviation {np.nanstd(off) / np.ptp(image):.4f} of the range,", end=" ")
    print(f"unfilled {np.isnan(rebuilt).sum()}")


def draw_adaptive(names: dict[str, Any], path: Path) -> None:
    """Maps and a cut."""
    figure = Figure(figsize=(13, 2.9), layout="constrained")
    axis, maps, extent = names["axis"], names["maps"], (0, 10, 0, 10)
    truth = names["sky"](*np.meshgrid(axis, axis))
    axes = figure.subplots(1, 5)
    for ax, (title, plane) in zip(axes, {"sky": truth, **maps}.items(), strict=False):
        show(ax, plane, title, extent, norm=PowerNorm(0.5, vmin=0, vmax=10), cmap="inferno")
    row = 30
    for title, plane in {"sky": truth, **maps}.items():
        axes[4].plot(axis, plane[row], label=title, lw=1, color="gray" if title == "sky" else None)
    axes[4].set_title(f"cut at y = {axis[row]:g}", fontsize=9)
    axes[4].legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=110)
    print(", ".join(f"{title}: peak {plane[row, row]:.2f}" for title, plane in maps.items()))


def main() -> None:
    """Draw all."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE.with_name("_static")
    names = run_page()
    draw_noisy(names["noisy"], folder / "resampling-noisy.png")
    draw_missing(names["missing"], folder / "resampling-missing.png")
    draw_adaptive(names["adaptive"], folder / "resampling-adaptive.png")


if __name__ == "__main__":
    main()
