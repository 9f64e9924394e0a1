from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from sofia_engine.numerics.fitting import FWHM_TO_SIGMA
from sofia_engine.numerics.peaks import PeakSearch, detect_sources, find_peaks

STARS = [(120.3, 130.6, 5.0), (81.2, 190.8, -3.0), (160.7, 70.1, -2.5), (200.5, 60.25, 2.0)]


def field(stars=STARS, noise=0.02, fwhm=4.5, seed=5, shape=(264, 264)):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = np.random.default_rng(seed).normal(0, noise, shape) if noise else np.zeros(shape)
    for x, y, height in stars:
        squares = (rows - y) ** 2 + (columns - x) ** 2
        image += height * np.exp(-squares / (2 * (fwhm * FWHM_TO_SIGMA) ** 2))
    return image


def test_that_sources_of_both_signs_are_found_brightest_first():
    peaks = find_peaks(field(), PeakSearch(4))
    assert all(peak.refined for peak in peaks)
    for peak, (x, y, height) in zip(peaks, STARS, strict=True):
        assert (peak.x, peak.y) == pytest.approx((x, y), abs=0.05)
        assert peak.sign == np.sign(height)


def test_that_negative_sources_can_be_ignored():
    peaks = find_peaks(field(), PeakSearch(2, positive=True))
    assert [peak.sign for peak in peaks] == [1, 1]
    assert (peaks[1].x, peaks[1].y) == pytest.approx(STARS[3][:2], abs=0.05)


def test_that_the_sign_of_the_image_only_turns_the_signs_of_the_peaks():
    plain, negative = find_peaks(field(), PeakSearch(3)), find_peaks(-field(), PeakSearch(3))
    np.testing.assert_allclose([(p.x, p.y, p.sign) for p in negative], [(p.x, p.y, -p.sign) for p in plain])


@settings(max_examples=15)
@given(st.floats(1e-3, 1e4))
def test_that_positions_do_not_depend_on_the_scale(scale):
    plain, scaled = find_peaks(field(), PeakSearch(3)), find_peaks(scale * field(), PeakSearch(3))
    np.testing.assert_allclose([(p.x, p.y) for p in scaled], [(p.x, p.y) for p in plain], atol=1e-4)


def test_that_missing_pixels_and_borders_do_not_hide_or_make_sources():
    image = field()
    image[:12] = np.nan
    image[130:133, 135:140] = np.nan
    image[3:6, 100:103] = 1e4
    image[200, :] = np.nan
    before = image.copy()
    peaks = find_peaks(image, PeakSearch(4, border=10))
    np.testing.assert_array_equal(image, before)
    np.testing.assert_allclose([(p.x, p.y) for p in peaks], [s[:2] for s in STARS], atol=0.05)


def test_that_sources_near_the_edge_keep_their_detected_position():
    (peak,) = find_peaks(field([(12.3, 100.4, 3.0)]), PeakSearch(1))
    assert not peak.refined
    assert (peak.x, peak.y) == pytest.approx((12.3, 100.4), abs=0.2)


def test_that_equally_bright_sources_are_all_found():
    stars = [(60.0, 60.0, 1.0), (130.0, 60.0, 1.0), (60.0, 150.0, -1.0)]
    peaks = find_peaks(field(stars, noise=0), PeakSearch(3))
    assert sorted((round(p.x), round(p.y), p.sign) for p in peaks) == [(60, 60, 1), (60, 150, -1), (130, 60, 1)]


def test_that_an_image_without_sources_gives_fewer_peaks():
    assert find_peaks(np.zeros((50, 50)), PeakSearch(3)) == ()
    assert find_peaks(np.full((50, 50), np.nan), PeakSearch(3)) == ()


def photutils_table(image, threshold, separation=None):
    from photutils.detection import DAOStarFinder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        finder = DAOStarFinder(
            threshold, 4.5, min_separation=separation, sharpness_range=(0.2, 1.0), roundness_range=(-0.75, 0.75)
        )
        return finder(image)


def inside(x, y, margin=15, size=264):
    return (np.minimum(x, y) >= margin) & (np.maximum(x, y) < size - margin)


@pytest.mark.parametrize("separation", [0, 5.0, 8.0, None])
def test_that_detections_and_their_shapes_are_those_of_photutils(separation):
    image = np.abs(ndimage.gaussian_filter(field(), 4.5 * FWHM_TO_SIGMA))
    ours = detect_sources(image, 4.5, separation=separation)
    theirs = photutils_table(image, 0.0, separation)
    # the border differs: photutils takes zeros beyond the edge
    ours = ours.select(inside(ours.column, ours.row))
    assert len(ours.x) > 80
    distance = np.abs(np.asarray(theirs["sharpness"])[:, np.newaxis] - ours.sharpness)
    match, matched = theirs[np.argmin(distance, axis=0)], distance.min(axis=0) < 1e-9
    assert matched[:20].all()
    assert matched.mean() > 0.97  # a few faint ones are lost by the one or the other fit of their centre
    np.testing.assert_allclose(match["roundness1"][matched], ours.symmetry[matched], atol=1e-9)
    np.testing.assert_allclose(match["roundness2"][matched], ours.roundness[matched], atol=1e-9)
    for index in range(len(STARS)):
        found = match["x_centroid"][index], match["y_centroid"][index]
        assert found == pytest.approx((ours.x[index], ours.y[index]), abs=0.1)
    theirs_inside = inside(theirs["x_centroid"], theirs["y_centroid"])
    assert (distance.min(axis=1)[theirs_inside] < 1e-9).mean() > 0.95


def test_that_the_brightest_are_those_a_bisected_threshold_leaves():
    image = np.abs(ndimage.gaussian_filter(field(), 4.5 * FWHM_TO_SIGMA))
    low, high = 0.0, 3 * image.max()
    table = None
    for _ in range(60):
        middle = (low + high) / 2
        table = photutils_table(image, middle)
        count = 0 if table is None else len(table)
        if count == 4:
            break
        low, high = (middle, high) if count > 4 else (low, middle)
    ours = find_peaks(field(), PeakSearch(4, refine=False))
    expected = sorted(zip(table["x_centroid"], table["y_centroid"], strict=True))
    np.testing.assert_allclose(sorted((p.x, p.y) for p in ours), expected, atol=0.1)
