"""The blur of rectified pixels, followed by steps after the rectification."""

import numpy as np
import pytest
from tests.instruments.forcast.grism_data import SlitData

from sofia_engine.instruments.forcast.extract_spectra import extract
from sofia_engine.instruments.forcast.flux_calibrate import flux_calibrate
from sofia_engine.instruments.forcast.grism_grid import RIPPLE, find_grid, want_grid
from sofia_engine.instruments.forcast.make_profiles import make_spatial_profiles
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.pipeline.run import Run


@pytest.fixture
def stacked(reference_store, make_header):
    """An image of one source; the columns of G111 differ in blur."""
    return SlitData(reference_store, "FOR_G111").stacked(make_header(), [(97.0, 1.0)])


@pytest.fixture
def reduce_to(tmp_path, reference_store, make_header):
    """Reduce such an image up to a step."""
    path = SlitData(reference_store, "FOR_G111").write(tmp_path, make_header(), [(97.0, 1.0)])

    def call(step):
        with Reduction.open([path], session=tmp_path / step, references=reference_store) as reduction:
            reduction.run_to(step)
            return reduction.products[0]

    return call


def test_that_a_rectified_image_names_the_grid_it_lies_on(stacked, drive, reference_store):
    image, _ = drive(make_spatial_profiles, stacked, store=reference_store)
    wanted = want_grid(image.header)
    assert set(wanted) == {"order_mask", "wave_cal"}
    grid = find_grid(image, Run(wanted=wanted, store=reference_store))
    assert grid.blur.shape == grid.column_blur.shape == image["FLUX"].shape
    assert grid.column_blur.mean() == pytest.approx(0, abs=1e-12)
    assert grid.column_blur.std() == pytest.approx(image.header[RIPPLE])
    assert 0.05 < grid.column_blur.std() < 0.12
    assert grid.column_blur.min() > -0.26
    assert grid.column_blur.max() < 0.2


def test_that_an_image_made_the_published_way_is_not_followed(stacked, drive, reference_store):
    image, _ = drive(make_spatial_profiles, stacked, {"profile_rows": "all"}, store=reference_store)
    assert RIPPLE not in image.header
    assert want_grid(image.header) == {}
    assert find_grid(image, Run(store=reference_store)) is None


def test_that_a_grid_whose_file_has_gone_or_is_another_is_not_followed(stacked, drive, reference_store, tmp_path):
    image, _ = drive(make_spatial_profiles, stacked, store=reference_store)
    gone = image.with_cards(("WAVEFILE", str(tmp_path / "gone.fits"), ""))
    assert want_grid(gone.header) == {}
    wanted = want_grid(image.header)
    other = image.replace(WAVEPOS=image["WAVEPOS"] + 0.01)
    assert find_grid(other, Run(wanted=wanted, store=reference_store)) is None


def test_that_calibration_takes_back_the_blur_of_columns(reduce_to, drive, reference_store):
    merged = reduce_to("merge_apertures")
    given = {"auto_shift": False, "optimize_atran": False}
    followed, run = drive(flux_calibrate, merged, given, store=reference_store)
    header = merged.header.copy()
    del header[RIPPLE]
    plain, _ = drive(flux_calibrate, merged.replace(header), given, store=reference_store)
    assert any("blur of columns" in line for line in run.history_lines)
    change = np.nan_to_num(plain["SPECTRAL_FLUX"] / followed["SPECTRAL_FLUX"] - 1)
    assert 1e-3 < np.abs(change).max() < 0.0101
    through = followed["TRANSMISSION"] * followed["RESPONSE"]
    bend = np.zeros(through.shape)
    bend[1:-1] = np.diff(through, 2) / through[1:-1]
    grid = find_grid(merged, Run(wanted=want_grid(merged.header), store=reference_store))
    row = int(np.argmin(np.abs(merged["SLITPOS"] - 97.0)))
    known = np.isfinite(bend) & np.isfinite(plain["SPECTRAL_FLUX"]) & (np.abs(change) < 0.009) & (change != 0)
    assert np.corrcoef(change[known], (grid.column_blur[row] * bend)[known])[0, 1] > 0.9
    assert (followed["SPECTRAL_ERROR"] >= 0.985 * plain["SPECTRAL_ERROR"])[known].all()


def test_that_steps_started_from_a_stored_image_follow_the_blur_too(reduce_to, tmp_path, reference_store):
    image, calibrated = reduce_to("make_profiles"), reduce_to("flux_calibrate")
    path = image.write(tmp_path / image.name)
    with Reduction.open([path], session=tmp_path / "again", references=reference_store) as reduction:
        reduction.run_to("flux_calibrate")
        again = reduction.products[0]
    np.testing.assert_array_equal(again["SPECTRAL_FLUX"], calibrated["SPECTRAL_FLUX"])


def test_that_the_median_profile_is_wider_where_rectification_blurs(reduce_to, drive, reference_store):
    subtracted = reduce_to("subtract_background")
    header = subtracted.header.copy()
    del header[RIPPLE]
    fluxes = [
        drive(extract, image, {"use_profile": True}, store=reference_store)[0]["SPECTRAL_FLUX"][0]
        for image in (subtracted, subtracted.replace(header))
    ]
    true = drive(extract, subtracted, {"method": "standard"}, store=reference_store)[0]["SPECTRAL_FLUX"][0]
    followed, plain = (np.nanstd((flux / true)[5:-5]) for flux in fluxes)
    assert followed < 0.6 * plain
