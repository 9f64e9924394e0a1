"""The atmosphere over cubes: where its lines are drawn, and corrections for another amount of water."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import ReferenceDataError, StepError
from sofia_viewers.cube.atmosphere import APPLIED, correct_again, model_transmission, read_water
from sofia_viewers.cube.cube import open_cube
from sofia_viewers.cube.saving import save_cube
from sofia_viewers.image.regions import Region
from sofia_viewers.spectrum.transmission import Sky, smooth_to_resolution

from .conftest import GOLDEN, LIGHT_SPEED, REST, make_header, settle, simulate, write_cube

LINE = 157.68
"""Observed wavelength of a line of the air, um."""
SHIFT = -9.0e-5
SOUNDING = {
    "ALTI_STA": 40600.0,
    "ALTI_END": 41200.0,
    "ZA_START": 44.0,
    "ZA_END": 46.0,
    "WVZ_OBS": 7.0,
    "RESOLUN": 1200.0,
}
MODEL_WAVE = np.linspace(156.5, 159.0, 5001)


def through_air(wave: np.ndarray, water: float) -> np.ndarray:
    """Return the transmission of air with a line of water, unsmoothed."""
    return np.exp(-0.05 - 0.04 * water / (1.0 + ((wave - LINE) / 0.02) ** 2))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    for water in (3, 7, 12):
        rows = np.stack([MODEL_WAVE, through_air(MODEL_WAVE, water)]).astype(np.float32)
        fits.PrimaryHDU(rows).writeto(folder / f"atran_41K_45deg_{water}pwv_40-300mum.fits")
    return folder


@pytest.fixture
def observed(tmp_path, truth) -> Path:
    """Write a cube seen through 12 um of water, corrected for 7, with wavelengths shifted to the barycentre."""
    seen = truth.wave / (1.0 + SHIFT)
    right, taken = (smooth_to_resolution(MODEL_WAVE, through_air(MODEL_WAVE, w), 1200.0, seen) for w in (12, 7))
    at_rest = smooth_to_resolution(MODEL_WAVE, through_air(MODEL_WAVE, 7), 1200.0, truth.wave)
    data = simulate(truth, None) * (right / taken)[:, None, None]
    path = write_cube(tmp_path / "wet.fits", data, make_header(), WAVELENGTH=truth.wave, TRANSMISSION=at_rest)
    with fits.open(path, "update") as hdus:
        hdus[0].header.update({**SOUNDING, "BARYSHFT": SHIFT})
    return path


def test_that_a_correction_for_the_right_water_gives_the_true_flux(observed, models, truth):
    cube = open_cube(observed)
    transmission, sentence = model_transmission(cube, 12.0, models)
    made = correct_again(cube, "water", "d", transmission=transmission)
    expected = simulate(truth, None)
    before = np.abs(cube.samples()[:] / expected - 1.0).max()
    assert before > 0.05
    assert np.abs(made.samples()[:] / expected - 1.0).max() < 0.02 * before
    assert "atran_41K_45deg_12pwv" in sentence
    assert "40.9 kft, 45.0°" in sentence
    assert "Not in the header" not in sentence
    assert read_water(cube) == 7.0


def test_that_corrections_follow_each_other_and_are_saved_with_the_cube(observed, models, tmp_path):
    cube = open_cube(observed)
    plain = correct_again(cube, "none", "a")
    np.testing.assert_allclose(
        plain.samples()[:], cube.samples()[:] * cube.transmission[:, None, None].astype("f4"), rtol=1e-5
    )
    wet, _ = model_transmission(cube, 12.0, models)
    direct = correct_again(cube, "water", "b", transmission=wet)
    saved = open_cube(save_cube(tmp_path / "plain.fits", correct_again(plain, "median", "c")))
    assert saved.curves[APPLIED].values == pytest.approx(np.full(80, np.median(cube.transmission)))
    again = correct_again(saved, "water", "d", transmission=wet)
    np.testing.assert_allclose(again.samples()[:], direct.samples()[:], rtol=1e-5)


def test_that_water_no_model_has_is_refused_with_what_is_at_hand(observed, models, tmp_path):
    with pytest.raises(StepError, match="No model for 30 μm of water is at hand, the nearest is for 12 μm"):
        model_transmission(open_cube(observed), 30.0, models)
    dry = tmp_path / "dry"
    dry.mkdir()
    (models / "atran_41K_45deg_7pwv_40-300mum.fits").rename(dry / "atran_41K_45deg_40-300mum.fits")
    with pytest.raises(StepError, match="do not say for how much water"):
        model_transmission(open_cube(observed), 7.0, dry)
    with pytest.raises(ReferenceDataError, match="no model of the atmosphere"):
        model_transmission(open_cube(observed), 7.0, tmp_path / "nowhere")


def test_that_missing_keywords_are_named(observed, models):
    with fits.open(observed, "update") as hdus:
        for key in ("ALTI_STA", "ALTI_END", "WVZ_OBS"):
            del hdus[0].header[key]
    cube = open_cube(observed)
    _, sentence = model_transmission(cube, 12.0, models)
    assert sentence.endswith("Not in the header: altitude; usual values were taken.")
    assert read_water(cube) is None


def drawn_line(viewer) -> float:
    """Return where the transmission that is drawn is deepest, in the unit of the plot."""
    (curve,) = viewer.spectra.area.current.content.overplot
    around = np.argsort(curve.y)[:5]
    x, y = curve.x[around], curve.y[around]
    order = np.argsort(x)
    a, b, _ = np.polyfit((x[order] - x.mean()) / np.ptp(x), y[order], 2)
    return float(x.mean() - b / (2 * a) * np.ptp(x))


def test_that_lines_of_the_air_are_drawn_where_they_were_observed_in_all_units(qtbot, make_explorer, observed):
    viewer = make_explorer(observed)
    viewer.images.regions.add(Region("point", ((10.0, 10.0),)), "cube 0")
    viewer.spectra_tools.panel.transmission.setChecked(True)
    settle(qtbot, viewer)
    shifted = LINE * (1.0 + SHIFT)
    assert drawn_line(viewer) == pytest.approx(shifted, abs=2e-3)
    assert abs(drawn_line(viewer) - LINE) > 0.01
    viewer.spectra_tools.set_rest(REST)
    viewer.spectra_tools.panel.velocity.setChecked(True)
    settle(qtbot, viewer)
    assert drawn_line(viewer) == pytest.approx(LIGHT_SPEED * (shifted / REST - 1.0), abs=4.0)
    viewer.spectra_tools.panel.velocity.setChecked(False)
    viewer.spectra.session.change_pane(x_unit="THz")
    settle(qtbot, viewer)
    assert drawn_line(viewer) == pytest.approx(LIGHT_SPEED / shifted * 1e-3, rel=2e-5)


def test_that_the_panel_takes_the_water_of_the_header_and_says_which_model_was_used(
    qtbot, make_explorer, observed, models
):
    viewer = make_explorer(observed)
    panel, failures = viewer.edit_tools.panel, []
    viewer.failed.connect(failures.append)
    assert panel.water.value() == 7.0
    panel.water.setValue(12.0)
    viewer.spectra.annotations.set_sky(Sky(source=models))
    panel.wet.click()
    settle(qtbot, viewer)
    assert len(viewer.cubes) == 2
    assert "atran_41K_45deg_12pwv" in viewer.images.status.text()
    assert panel.water.value() == 7.0
    viewer.spectra.annotations.set_sky(Sky(source=models / "nothing"))
    panel.wet.click()
    settle(qtbot, viewer)
    assert len(viewer.cubes) == 2
    assert "no model of the atmosphere" in failures[0]
    assert viewer.images.status.text() == failures[0]


@pytest.mark.golden
@pytest.mark.skipif(not GOLDEN.exists(), reason="needs the golden sets")
@pytest.mark.parametrize("channel", ["red", "blue"])
def test_that_the_reference_lists_the_transmission_of_the_air_at_rest(channel):
    (path,) = (GOLDEN / f"fifi_sym_{channel}" / "expected").glob("*WXY*.fits.gz")
    (model,) = (GOLDEN / f"fifi_sym_{channel}" / "raw").glob("atran*")
    cube = open_cube(path)
    assert cube.header["BARYSHFT"] == pytest.approx(-8.853e-5, rel=1e-3)
    wave, values = (row.astype(float) for row in fits.getdata(model)[:2])
    near = (wave > cube.wave.min() - 2) & (wave < cube.wave.max() + 2)
    resolution = float(cube.header["RESOLUN"])
    at_rest, seen = (
        smooth_to_resolution(wave[near], values[near], resolution, each) for each in (cube.wave, cube.observed_wave)
    )
    assert cube.curves["TRANSMISSION"].values == pytest.approx(at_rest, abs=4e-3)
    inner = slice(2, -2)
    assert np.abs(cube.transmission - seen)[inner].max() < 0.3 * np.abs(at_rest - seen)[inner].max() + 1e-3
    assert read_water(cube) == 5.0
