"""Flags of channels, frames and samples, as bits of integers; 0 is good."""

from __future__ import annotations

__all__ = [
    "BAD_FRAME",
    "BLANK",
    "BLIND",
    "DEAD",
    "FRAME_WEIGHT",
    "GAIN",
    "GROUP_GAIN",
    "JUMP",
    "NOISY",
    "NO_FREEDOM",
    "SKIP",
    "SPIKE",
    "SPIKY",
    "UNWEIGHTED",
]

DEAD = 1
"""Channel without data."""
BLIND = 2
"""Channel that sees no sky."""
GAIN = 4
"""Channel whose gain to the common signal is out of range."""
GROUP_GAIN = 8
"""Channel whose gain to the signal of its row, column, ... is out of range."""
NOISY = 16
"""Channel whose weight is out of range."""
NO_FREEDOM = 32
"""Channel or frame: models have taken all its degrees of freedom."""
SPIKY = 64
"""Channel or frame with too many spikes."""

FRAME_WEIGHT = 1
"""Frame whose weight is out of range."""
JUMP = 128
"""Frame of a short time in which all channels are off."""
BAD_FRAME = FRAME_WEIGHT | NO_FREEDOM | SPIKY | JUMP
"""Frames that no model uses."""
UNWEIGHTED = SPIKY
"""Frames that weights of frames are not measured in."""

SPIKE = 1
"""Sample that stands out from its neighbours."""
SKIP = 2
"""Sample without a value."""
BLANK = 4
"""Sample on a bright source: for maps, not for models of noise."""
