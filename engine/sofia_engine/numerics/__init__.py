"""Numerical building blocks on plain arrays: statistics, filters, interpolation, registration, combination.

Nothing here knows an instrument, a header or a pipeline. Rules that hold everywhere: NaN is a missing value; variance
is the square of the 1-sigma error; images are indexed ``[y, x]`` with pixel centres at whole numbers from 0; the input
is never changed; float32 stays float32.
"""
