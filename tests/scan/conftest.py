"""Scans made by hand: 25 channels in a square, a telescope that sweeps across."""

import numpy as np
import pytest

from sofia_engine.scan.timestream import ChannelTable, FrameTable, Scan

STEP = 0.1
SPACING = 10.0


@pytest.fixture
def make_scan():
    """Give a function that makes a scan of samples (n_frame, n_channel); channels are 5 x 5 places times planes."""

    def make(samples, *, speed=5.0, y=0.0, z=(0.0,), step=STEP, weight=1.0, name="scan"):
        samples = np.asarray(samples, dtype=float)
        frames, channels = samples.shape
        places = np.arange(channels) % 25
        table = ChannelTable(
            SPACING * (places % 5 - 2.0),
            SPACING * (places // 5 - 2.0),
            np.asarray(z, dtype=float)[np.minimum(np.arange(channels) // 25, len(z) - 1)],
            np.full(channels, float(weight)),
            {"rows": places // 5, "cols": places % 5},
        )
        path = speed * step * (np.arange(frames) - (frames - 1) / 2)
        return Scan.of(name, step, table, FrameTable(path, np.full(frames, float(y))), samples)

    return make


@pytest.fixture
def random():
    return np.random.default_rng(20)
