"""Steps that say they can be previewed on a part of an image do on it exactly what they do on the whole."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sofia_app.worker.engine import Engine
from sofia_app.worker.protocol import Message, OpenReduction, Part, Preview, PreviewFinished, RunSteps, SetParameters
from sofia_engine.header.celestial import read_tangent_plane
from sofia_engine.instruments import all_recipes, find_recipe
from sofia_engine.pipeline.cutout import Cutout
from sofia_engine.product import Product
from sofia_engine.simulate import simulate

IMAGING = {
    "droop": {},
    "stack": {"bgsub": False},
    "merge": {"cormerge": "No shift", "skip_rotation": True},
    "tellcor": {},
    "fluxcal": {},
}
GRISM = {"stack_dithers": {"skip_stack": False}}
"""Values with which the steps can be done on a part."""
REFUSED = {
    "clean": ({}, "bad pixel map"),
    "nonlin": ({}, "background"),
    "stack": ({"bgsub": True}, "background"),
    "undistort": ({}, "straightens"),
    "merge": ({"cormerge": "Centroid"}, "other places"),
    "register": ({}, "no pixels"),
    "coadd": ({}, "outermost"),
    "imgmap": ({}, "whole images"),
}
BOX = (121, 100, 150, 137)
"""First column and row, last column and row."""
PART = Part(tuple((float(x), float(y)) for x in BOX[::2] for y in BOX[1::2]))


class Bench:
    """The engine of the program, in this process."""

    def __init__(self, files: list[Path], recipe: str, last: str, settings: dict) -> None:
        self.told: list[Message] = []
        self.engine = Engine(self.told.append)
        self.recipe = find_recipe(recipe)
        self.do(OpenReduction(tuple(map(str, files))))
        for key, values in settings.items():
            step = self.recipe.index(key)
            infos = self.recipe.steps[step].parameters.info
            self.do(SetParameters(step, {infos(name).name: value for name, value in values.items()}))
        self.do(RunSteps("to", self.recipe.index(last)))

    def do(self, command) -> None:
        self.engine.handle(command)
        assert not self.told[-1].error, self.told[-1].error

    def preview(
        self, step: str, values: dict, part: Part | None = None, product: int = 0
    ) -> tuple[PreviewFinished, Product]:
        self.do(Preview(self.recipe.index(step), values, product, part))
        told = next(message for message in reversed(self.told) if isinstance(message, PreviewFinished))
        return told, Product.read(told.path)


@pytest.fixture(scope="module")
def own_sessions(tmp_path_factory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cutouts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFIA_DESK_SESSIONS", str(folder / "sessions"))
        patch.setenv("SOFIA_DESK_OFFLINE", "1")
        yield folder


@pytest.fixture(scope="module")
def imaging(own_sessions: Path, reference_store) -> Iterator[Bench]:
    """Two dithers of a source that is no standard, up to the last step but one."""
    files = simulate("forcast-imaging-nmc", own_sessions / "imaging", seed=3, n_dither=2, standard=False).paths
    bench = Bench(files, "forcast-imaging", "fluxcal", IMAGING)
    yield bench
    bench.engine.shut_down()


@pytest.fixture(scope="module")
def grism(own_sessions: Path, reference_store) -> Iterator[Bench]:
    """Two grism files, stacked."""
    files = simulate("forcast-grism-npcnas", own_sessions / "grism", seed=3, n_dither=2).paths
    bench = Bench(files, "forcast-grism", "stack", {})
    yield bench
    bench.engine.shut_down()


def check_part(bench: Bench, step: str, values: dict) -> None:
    """Check that the preview of a part is that part of the preview of all."""
    _, whole = bench.preview(step, values)
    told, part = bench.preview(step, values, PART)
    assert told.note.startswith("Part of 30 × 38 of"), told.note
    assert told.corner == BOX[:2]
    rows, columns = slice(100, 138), slice(121, 151)
    assert set(part.planes) == set(whole.planes)
    for name in part.planes:
        assert np.array_equal(part[name], whole[name][..., rows, columns], equal_nan=True), name
    assert np.isfinite(part["FLUX"]).mean() > 0.9
    assert np.isfinite(part["ERROR"]).mean() > 0.9
    there = read_tangent_plane(whole.header).to_sky(121 + 4.0, 100 + 9.0)
    assert np.allclose(read_tangent_plane(part.header).to_sky(4.0, 9.0), there, rtol=0, atol=1e-9)
    assert part.header["PREVIEW"] is True


@pytest.mark.parametrize("step", IMAGING)
def test_that_the_part_of_an_image_is_the_same_by_itself_and_in_the_whole(imaging: Bench, step: str) -> None:
    check_part(imaging, step, IMAGING[step])


@pytest.mark.parametrize("step", GRISM)
def test_that_a_part_of_all_files_together_is_the_same_by_itself(grism: Bench, step: str) -> None:
    check_part(grism, step, GRISM[step])


def test_that_every_step_that_can_be_done_on_a_part_is_checked() -> None:
    declared = {step.key for recipe in all_recipes() for step in recipe.steps if isinstance(step.cutout, Cutout)}
    assert declared == set(IMAGING) | set(GRISM)


@pytest.mark.parametrize("step", REFUSED)
def test_that_a_step_that_needs_the_whole_says_so_and_shows_it(imaging: Bench, step: str) -> None:
    values, reason = REFUSED[step]
    told, shown = imaging.preview(step, values, PART)
    assert reason in told.note
    assert told.note.startswith(imaging.recipe.steps[imaging.recipe.index(step)].label)
    assert told.note.endswith("the preview shows the whole file.")
    assert told.corner is None
    assert min(shown["FLUX"].shape[-2:]) > 200


def test_that_stripes_of_dark_rows_and_north_need_the_whole(imaging: Bench) -> None:
    told, _ = imaging.preview("stack", {"bgsub": False, "jailbar_baseline": "Dark rows"}, PART)
    assert "stripes" in told.note
    told, _ = imaging.preview("merge", {"cormerge": "No shift", "skip_rotation": False}, PART)
    assert "north" in told.note


def test_that_a_part_is_found_by_the_sky_on_an_image_of_another_step(imaging: Bench) -> None:
    """A rectangle around the source in the calibrated image shows the source in the stacked one."""
    _, calibrated = imaging.preview("fluxcal", {})
    plane = read_tangent_plane(calibrated.header)
    x, y = plane.to_pixel(*plane.sky)
    corners = [(float(x) + dx, float(y) + dy) for dx in (-8, 8) for dy in (-8, 8)]
    sky = [tuple(float(v) for v in plane.to_sky(*corner)) for corner in corners]
    _, part = imaging.preview("stack", IMAGING["stack"], Part(tuple(corners), tuple(sky)))
    _, whole = imaging.preview("stack", IMAGING["stack"])
    there = read_tangent_plane(whole.header).pixel
    assert -part.header["LTV1"] == pytest.approx(there[0] - part["FLUX"].shape[1] / 2, abs=3)
    assert -part.header["LTV2"] == pytest.approx(there[1] - part["FLUX"].shape[0] / 2, abs=3)


def test_that_a_part_beside_the_image_is_told(imaging: Bench) -> None:
    told, shown = imaging.preview("droop", {}, Part(((900.0, 5.0), (950.0, 50.0))))
    assert "outside" in told.note
    assert shown["FLUX"].shape[-2:] == (256, 256)


def test_that_the_second_file_is_previewed_as_the_second(imaging: Bench) -> None:
    first, _ = imaging.preview("clean", {"shiftfile": "2"}, product=0)
    second, shown = imaging.preview("clean", {"shiftfile": "2"}, product=1)
    assert first.name != second.name
    assert any("moved by -16" in line for line in shown.header["HISTORY"])


def test_that_previews_of_image_steps_take_less_than_a_second(imaging: Bench) -> None:
    """Frames of the detector have 256 x 256 pixels; processor time, as other programs may run."""
    for step in ("clean", "droop", "nonlin", "stack", "undistort", "merge", "tellcor", "fluxcal"):
        for part in (None, PART):
            values = IMAGING.get(step, {})
            imaging.preview(step, values, part)
            started = time.process_time()
            imaging.preview(step, values, part)
            assert time.process_time() - started < 1.0, step
