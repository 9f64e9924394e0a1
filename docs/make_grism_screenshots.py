"""Make the pictures of grism spectroscopy for the manual: ``python docs/make_grism_screenshots.py [FOLDER]``.

A simulated grism observation is reduced in the desktop program, without a display, in both looks.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from make_screenshots import Photographer, open_window

LOCATE, SIZES, EXTRACT = "locate_apertures", "set_apertures", "extract_spectra"


def shoot_slit(photographer: Photographer, raw: Path) -> None:
    """Take the pictures from the spatial profile to a spectrum extracted where the user wants it."""
    window, desk = photographer.window, photographer.desk
    desk.open_paths([raw])
    photographer.wait(lambda: desk.reduction.is_open)
    photographer.settle()
    steps = [step.key for step in desk.reduction.steps]
    desk.run_to(steps.index(EXTRACT))
    photographer.wait(lambda: desk.is_busy)
    photographer.settle()
    page = next(page for page in window.pages if page.kind.name == "slit")
    photographer.wait(lambda: page.viewer is not None and page.viewer.current is not None and page.is_ready)
    window.pipeline.select_step(steps.index(EXTRACT))
    photographer.shoot("slit")
    slit = page.viewer
    slit.zoom_to_apertures()
    aperture = slit.view.marks.apertures[0]
    for kind, value in (("psf radii", aperture.position + 0.6 * aperture.psf_radius),):
        slit.view._drag_line(0, kind, value)
        slit.view._let_go(kind)
    photographer.pause(0.3)
    photographer.shoot("slit-edited")
    slit.run_again()
    photographer.wait(lambda: desk.is_busy)
    photographer.settle()
    photographer.shoot("slit-rerun")
    desk.reduce()
    photographer.wait(lambda: desk.is_busy)
    photographer.settle()
    photographer.shoot("grism-spectrum")


def main() -> None:
    """Take all pictures in both looks."""
    from sofia_engine.simulate import simulate

    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "_static"
    target.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.gettempdir()) / "sofia-desk-grism-pictures"
    shutil.rmtree(folder, ignore_errors=True)
    os.environ["SOFIA_DESK_SESSIONS"] = str(folder / "sessions")
    os.environ["SOFIA_DESK_CONFIG"] = str(folder / "config")
    raw = folder / "raw"
    raw.mkdir(parents=True)
    simulate("forcast-grism-nmc", raw)
    for look in ("light", "dark"):
        shutil.rmtree(folder / "config", ignore_errors=True)
        with open_window(look, folder) as window:
            photographer = Photographer(window, target, look)
            photographer.pause(0.5)
            shoot_slit(photographer, raw)


if __name__ == "__main__":
    main()
