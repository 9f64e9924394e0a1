"""Forward models that write raw files of a known truth; they share no code with the reduction."""

from sofia_engine.simulate import fifi_ls as _fifi_ls  # noqa: F401  (registers its kinds)
from sofia_engine.simulate import forcast_grism as _forcast_grism  # noqa: F401  (registers its kinds)
from sofia_engine.simulate import forcast_imaging as _forcast_imaging  # noqa: F401  (registers its kinds)
from sofia_engine.simulate.fifi_ls_sources import ExtendedLineSource
from sofia_engine.simulate.registry import KINDS, simulate
from sofia_engine.simulate.slit_spectrum import SpectralLine
from sofia_engine.simulate.sources import ExtendedSource
from sofia_engine.simulate.truth import Truth

__all__ = ["KINDS", "ExtendedLineSource", "ExtendedSource", "SpectralLine", "Truth", "simulate"]
