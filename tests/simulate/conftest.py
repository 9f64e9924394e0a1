"""Simulations that need no calibration file of the observatory."""

from __future__ import annotations

import pytest

from sofia_engine.simulate import simulate

SYNTHETIC = {"bad_pixel_mask": "synthetic", "pinhole_locations": "synthetic", "calibration": "none"}
IDEAL_DETECTOR = {
    "noise": False,
    "droop": False,
    "nonlinearity": False,
    "jailbars": False,
    "bad_pixels": False,
    "calibration": "none",
}


@pytest.fixture
def run(tmp_path):
    """Simulate into a fresh folder with synthetic calibration files unless told otherwise."""

    def call(kind="forcast-imaging-nmc", *, seed=1, folder="raw", **options):
        return simulate(kind, tmp_path / folder, seed=seed, **{**SYNTHETIC, **options})

    return call


@pytest.fixture
def run_ideal(run):
    """Simulate with a detector that does nothing but collect light."""

    def call(kind="forcast-imaging-nmc", **options):
        return run(kind, **{**IDEAL_DETECTOR, **options})

    return call
