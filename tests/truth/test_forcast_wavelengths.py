"""Skies simulated with another map than the published one: the wavelength calibration finds it from published lists."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.instruments import find_recipe
from sofia_engine.pipeline.detection import inspect_files
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.reference import ReferenceRequest
from sofia_engine.simulate import simulate
from sofia_engine.spectroscopy.lines import read_line_list

pytestmark = pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
"""Published files have keywords of more than eight letters."""
DATE = 20210705
GRISMS = ("G063", "G111", "G227", "G329")
SLITS = {"LS24": 0.12, "LS47": 0.22}
"""Columns, rms: lists are of maxima through the narrow slit; blends lie elsewhere through the wide one."""


@dataclass(frozen=True)
class Calibrated:
    """What the recipe makes of a sky.

    Attributes
    ----------
    off : (n,) ndarray
        Wavelengths less true ones between the first and the last identified line, columns.
    lines, listed : int
        Identified lines, and those of the list.
    words : str
        What the user is told.
    """

    off: np.ndarray
    lines: int
    listed: int
    words: str


def draw_map(published, seed, grism):
    """Shift, stretch, bend and incline a map at random, a shift only where two lines are all there is."""
    random = np.random.default_rng(seed)
    shift, stretch, curve, tilt = random.uniform(-1, 1, 4) * (3.0, 1.5, 0.5, 1.5)
    if grism == "G111":
        shift, stretch, curve = shift / 2, 0.0, 0.0
    v, u = (np.indices(published.shape[1:]) / 127.5) - 1
    column = np.nanmedian(np.diff(published[0], axis=1))
    true = published.copy()
    true[0] += column * (shift + stretch * u + curve * u**2 + tilt * v)
    return true, column


def calibrate(store, folder, grism, seed, slit="LS24"):
    """Simulate a sky with a map of its own, and calibrate it with the published map as guess."""
    match = {"spectel": f"FOR_{grism}", "slit": f"FOR_{slit}"}
    files = {kind: store.get(ReferenceRequest("FORCAST", kind, DATE, match)) for kind in ("wave_cal", "line_list")}
    true, column = draw_map(fits.getdata(files["wave_cal"]).astype(float), seed, grism)
    fits.PrimaryHDU(true).writeto(folder / "true.fits")
    truth = simulate("forcast-grism-nmc", folder / "raw", seed=seed, grism=grism, slit=slit, n_dither=1, flux=0.0,
                     date="2021-07-05", lines=(), wave_cal=str(folder / "true.fits"))  # fmt: skip
    inspection = inspect_files(truth.paths)
    group = replace(inspection.single_group(), recipe=find_recipe("forcast-wavecal"))
    said = []
    with Reduction.of_group(group, inspection, output=folder / "out", session=folder / "session", references=store,
                            sink=said.append) as reduction:  # fmt: skip
        reduction.set("stack", add_frames=True)
        reduction.reduce()
    found = fits.getdata(next((folder / "out").glob("*_WCL_*.fits")))[0]
    used = [float(word) for word in fits.getval(next((folder / "out").glob("*_LID_*.fits")), "LINEWAV").split(",")]
    judged = np.isfinite(found) & (true[0] >= min(used)) & (true[0] <= max(used))
    listed = read_line_list(files["line_list"].read_text()).fitted.size
    words = "\n".join(str(getattr(event, "message", "")) for event in said)
    return Calibrated((found - true[0])[judged] / column, len(used), listed, words)


@pytest.mark.parametrize("grism", GRISMS)
def test_that_the_published_lists_find_the_true_map(reference_store, tmp_path, grism):
    result = calibrate(reference_store, tmp_path, grism, seed=1)
    assert np.sqrt(np.mean(result.off**2)) < SLITS["LS24"]
    assert np.abs(result.off).max() < 0.3
    assert result.lines == (2 if grism == "G111" else result.listed)
    assert ("Line 9.5770 um left out: not found" in result.words) == (grism == "G111")
    assert ("2 lines do not bear a fit of order 2" in result.words) == (grism == "G111")


@pytest.mark.slow
@pytest.mark.parametrize("slit", SLITS)
@pytest.mark.parametrize("grism", GRISMS)
@pytest.mark.parametrize("seed", range(2, 7))
def test_that_the_published_lists_find_the_true_map_over_seeds(reference_store, tmp_path, grism, slit, seed):
    result = calibrate(reference_store, tmp_path, grism, seed, slit)
    assert np.sqrt(np.mean(result.off**2)) < SLITS[slit]
    assert np.abs(result.off).max() < 0.6
