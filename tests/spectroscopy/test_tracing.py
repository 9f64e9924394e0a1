from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.errors import StepError
from sofia_engine.spectroscopy.apertures import Aperture
from sofia_engine.spectroscopy.tracing import TraceRule, fix_traces, trace_apertures

WAVE = 5 + 0.0117 * np.arange(160)
SLIT = 4 + 0.768 * np.arange(100)
RISE = 40 + 1.5 * (WAVE - 6) - 0.8 * (WAVE - 6) ** 2


def source(center, height=1.0, fwhm=3.5):
    return height * np.exp(-4 * np.log(2) * ((SLIT[:, np.newaxis] - center) / fwhm) ** 2)


def test_that_a_curved_trace_is_followed():
    (trace,) = trace_apertures(source(RISE), WAVE, SLIT, [Aperture(40.0, 1, 3.0)])
    np.testing.assert_allclose(trace.positions, RISE, atol=0.01)
    assert set(trace.x) <= set(np.arange(3.0, 160.0, 3.0))
    assert trace.x.size > 40
    np.testing.assert_allclose(trace.y, (np.interp(trace.x, np.arange(160), RISE) - 4) / 0.768, atol=0.05)


def test_that_two_sources_of_opposite_sign_do_not_pull_each_other():
    image = source(RISE, 1.0) + source(RISE + 8, -0.7)
    first, second = trace_apertures(image, WAVE, SLIT, [Aperture(40.0), Aperture(48.0, -1)])
    np.testing.assert_allclose(first.positions, RISE, atol=0.02)
    np.testing.assert_allclose(second.positions, RISE + 8, atol=0.02)


def test_that_noise_leaves_the_trace_within_its_error():
    rng = np.random.default_rng(0)
    image = source(RISE) + rng.normal(0, 0.05, (100, 160))
    image[rng.random(image.shape) < 0.01] = np.nan
    (trace,) = trace_apertures(image, WAVE, SLIT, [Aperture(40.0)])
    assert np.abs(trace.positions - RISE).max() < 0.1


def test_that_columns_of_a_wrong_source_are_rejected():
    image = source(RISE)
    image[:, 60:70] = source(RISE + 4)[:, 60:70]
    (trace,) = trace_apertures(image, WAVE, SLIT, [Aperture(40.0)])
    np.testing.assert_allclose(trace.positions, RISE, atol=0.02)


def test_that_an_image_without_source_is_refused():
    with pytest.raises(StepError, match="Try fixing to aperture center"):
        trace_apertures(np.full((100, 160), np.nan), WAVE, SLIT, [Aperture(40.0)])


def test_that_too_few_columns_are_refused():
    with pytest.raises(StepError, match="Try fixing"):
        trace_apertures(source(RISE)[:, :4], WAVE[:4], SLIT, [Aperture(40.0)], TraceRule(step=9))


def test_that_fixed_traces_are_straight():
    first, second = fix_traces([Aperture(40.0), Aperture(50.0)], 7)
    np.testing.assert_array_equal(first.positions, np.full(7, 40.0))
    np.testing.assert_array_equal(second.positions, np.full(7, 50.0))
    assert first.x.size == 0
