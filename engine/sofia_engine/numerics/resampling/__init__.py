"""Values anywhere from scattered samples: local polynomial regression and convolution with a kernel.

Samples at positions of any number of dimensions, with errors, onto a grid, a list of points, or one point::

    from sofia_engine.numerics.resampling import AdaptiveSmoothing, LocalRegression, Resampler

    rule = LocalRegression(window=(10, 10, 4), order=(2, 2, 2), smoothing=(3.3, 3.3, 2), edge_threshold=(0.7, 0.7, 0.5))
    resampler = Resampler([x, y, w], flux, error, rule, mask=good, robust=5, negthresh=5)
    cube = resampler(np.arange(nx), np.arange(ny), np.arange(nw), progress=run.progress)
    cube.values, cube.errors, cube.distance_weights    # (nw, ny, nx)

Data sets that share the coordinates, ``flux`` and ``error`` of shape (S, N), give results with a first axis S.
Adaptive smoothing: ``LocalRegression(..., smoothing=fwhm / 2.3548, adaptive=AdaptiveSmoothing("shaped", (1, 1, 0)))``;
the kernels are made in the first call (or by ``resampler.adapt()``) and serve any further grid, also in another
resampler with the same coordinates: ``Resampler(..., kernels=resampler.kernels)``.

Rows of one dimension, each with its own positions, as the means of spectra::

    means = resample_rows(wave, flux, new_wave, LocalRegression(window=w, order=0, smoothing=s), error)   # (R, M)

Missing pixels of an image: ``fill_image(image, mask)``. Convolution with a given kernel: `KernelResampler`.
"""

from sofia_engine.numerics.resampling.adaptive import AdaptiveKernels
from sofia_engine.numerics.resampling.convolution import ConvolutionKernel, ConvolutionRule, KernelResampler
from sofia_engine.numerics.resampling.images import fill_image
from sofia_engine.numerics.resampling.resampler import Resampler, resample_onto_grid, resample_points
from sofia_engine.numerics.resampling.results import Resampled
from sofia_engine.numerics.resampling.rows import resample_rows
from sofia_engine.numerics.resampling.rules import AdaptiveSmoothing, LocalRegression, WindowEstimate
from sofia_engine.numerics.resampling.splines import SplineRule
from sofia_engine.numerics.resampling.windows import estimate_window

__all__ = [
    "AdaptiveKernels",
    "AdaptiveSmoothing",
    "ConvolutionKernel",
    "ConvolutionRule",
    "KernelResampler",
    "LocalRegression",
    "Resampled",
    "Resampler",
    "SplineRule",
    "WindowEstimate",
    "estimate_window",
    "fill_image",
    "resample_onto_grid",
    "resample_points",
    "resample_rows",
]
