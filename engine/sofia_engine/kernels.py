"""What takes long when it is first used, made ready beforehand: compiled kernels, and fonts for plots."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

__all__ = ["COMMAND", "load_resampling", "prepare_kernels"]

COMMAND = "prepare-kernels"
"""Word of the command line that installers use; not for users."""


def prepare_kernels() -> int:
    """Compile the kernels that are not in numba's cache yet, and have Matplotlib look for fonts; return 0.

    Notes
    -----
    The cache belongs to the processor, to the versions of numba and of the source file, and to the folder in which the
    program lies. It is used as long as none of them changes.
    """
    from sofia_engine.plots import CurvePlot, render_plot

    load_resampling()
    render_plot(CurvePlot(()))
    if find_spec("sofia_viewers") is not None:
        for module in (
            "sofia_viewers.image._display_kernel",
            "sofia_viewers.cube._spectra_kernel",
            "sofia_viewers.cube._maps_kernel",
        ):
            importlib.import_module(module)  # their types are declared: importing them compiles them
    return 0


def load_resampling() -> None:
    """Load the compiled code of the resampler, and run each part of it once."""
    import numpy as np

    from sofia_engine.numerics.resampling import AdaptiveSmoothing, LocalRegression, Resampler, resample_rows

    axis = np.linspace(0.0, 1.0, 12)
    x, y = (positions.ravel() for positions in np.meshgrid(axis, axis))
    rule = LocalRegression(window=0.5, order=1, smoothing=0.2, adaptive=AdaptiveSmoothing("shaped", (1.0, 1.0)))
    Resampler([x, y], x + y, np.full(x.size, 0.1), rule)(axis[3:9], axis[3:9])
    resample_rows(axis[np.newaxis], axis[np.newaxis], axis, LocalRegression(window=0.5, order=0), np.full((1, 12), 0.1))
