"""Make the pictures of the tutorial on FIFI-LS cubes by running its script: ``make_fifi_ls_figures.py [FOLDER]``."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

PAGE = Path(__file__).parent / "fifi_ls" / "tutorial.md"
WIDTH = 900
TITLES = ("default\n(smoothing 1.0 FWHM)", "xy_smoothing = 0.6", "adaptive_algorithm = shaped")


def run_page() -> tuple[list[Any], Any]:
    """Run the script of the page; return its cubes and the truth."""
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    cubes: list[Any] = []
    names: dict[str, Any] = {"__name__": "page", "keep": cubes.append}
    kept = block.replace("    (cube,) = reduction.products\n", "    (cube,) = reduction.products\n    keep(cube)\n")
    exec(compile(kept, PAGE, "exec"), names)  # noqa: S102
    return cubes, names["truth"]


def draw_line(cubes: list[Any], truth: Any, path: Path) -> None:
    """Images of the line with each smoothing, on one scale, with a contour at half the peak."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    for ax, cube, title in zip(axes, cubes, TITLES, strict=True):
        image = np.array(cube["FLUX"][np.argmin(np.abs(cube["WAVELENGTH"] - 157.804))])
        east = 3600 * (np.array(cube["RA---TAN"]) - truth.ra) * np.cos(np.radians(truth.dec))
        north = 3600 * (np.array(cube["DEC--TAN"]) - truth.dec)
        picture = ax.pcolormesh(east, north, image, vmin=0, vmax=13, cmap="plasma", shading="nearest")
        ax.contour(east, north, image, [np.nanmax(image) / 2], colors="white", linewidths=1)
        ax.set(title=title, xlabel="east (arcsec)", xlim=(39, -42), ylim=(-42, 45), aspect="equal")
        ax.title.set_fontsize(10)
    axes[0].set_ylabel("north (arcsec)")
    figure.colorbar(picture, ax=axes, label="Jy/pixel at the line", shrink=0.9)
    figure.savefig(path, dpi=100)


def draw_map(path: Path) -> None:
    """Make the quick-look picture of the reduction with the defaults."""
    import sofia_engine as sofia
    from sofia_engine.simulate import simulate

    truth = simulate("fifi-ls-symmetric", "raw", seed=1, line_flux_w_m2=1e-14, velocity_km_s=120.0)
    with sofia.Reduction.open(truth.paths, output="reduced", session="session") as reduction:
        for step, values in truth.parameters.items():
            reduction.set(step, **values)
        reduction.reduce()
    (found,) = Path("reduced").glob("*_WXY_*.png")
    with Image.open(found) as picture:
        size = (WIDTH, round(WIDTH * picture.height / picture.width))
        picture.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(path, optimize=True)


def main() -> None:
    """Draw all."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else PAGE.parents[1] / "_static").resolve()
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        draw_line(*run_page(), folder / "fifi-ls-smoothing.png")
        draw_map(folder / "fifi-ls-map.png")
        os.chdir(folder)


if __name__ == "__main__":
    main()
