"""Calibration tables for a step: which it wants, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sofia_engine.errors import HeaderError
from sofia_engine.photometry.calibration import ImagingCalibration, load_calibration
from sofia_engine.photometry.configuration import determine_setup, reference_requests
from sofia_engine.pipeline.run import Run, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astropy.io import fits

__all__ = ["load_tables", "want_tables"]


def want_tables(header: fits.Header) -> Mapping[str, Wanted]:
    """Name the calibration tables for an observation, by kind; none if its header does not say which."""
    try:
        setup = determine_setup(header)
    except HeaderError:
        return {}
    return {kind: Wanted(request) for kind, request in reference_requests(setup).items()}


def load_tables(header: fits.Header, run: Run) -> ImagingCalibration:
    """Read the calibration of an observation from the tables a step has wanted, with warnings to the log.

    Raises
    ------
    HeaderError
        If the header does not say which tables apply.
    ReferenceDataError
        If a table is not at hand or cannot be read.
    """
    calibration = load_calibration(determine_setup(header), lambda request: run.find_reference(request.kind))
    for warning in calibration.warnings:
        run.warn(warning)
    return calibration
