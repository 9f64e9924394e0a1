"""Scan maps: timestreams of detectors that sweep the sky become maps and cubes, freed of drifts and correlated noise.

The package knows no instrument and no file. A reader makes a `timestream.Scan` of a table of channels, a table of
frames and an array of samples (positions in arcsec, times in s, flux in any unit); `reduction.reduce_scans` takes out,
round by round, what is not source, with maximum-likelihood estimates of signals, and keeps account of the degrees of
freedom. The method is that of CRUSH: Kovács, A. 2008, Proc. SPIE 7020, 70201S; his thesis (Caltech 2006), chapters 2-4.

Nothing here is imported before a scan is reduced.
"""

from __future__ import annotations
