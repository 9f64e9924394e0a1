"""The truth of a simulated FORCAST grism observation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sofia_engine.simulate.forcast_truth import ExposureTruth, ForcastTruth

__all__ = ["SPECTRUM_FILE", "ApertureTruth", "ForcastGrismTruth", "GrismFileTruth", "LineTruth", "write_spectrum"]

FloatArray = NDArray[np.float64]
SPECTRUM_FILE = "truth.ecsv"


@dataclass(frozen=True)
class LineTruth:
    """
    A line of the source.

    Parameters
    ----------
    name
        For the reader.
    wavelength_um
        Centre.
    flux_w_m2
        Flux above the atmosphere, W/m2; negative for absorption.
    fwhm_um
        Full width at half maximum on the detector, broadened by the instrument.
    x
        Raw column (0-based) where the line crosses the trace of the undithered source.
    """

    name: str
    wavelength_um: float
    flux_w_m2: float
    fwhm_um: float
    x: float


@dataclass(frozen=True)
class ApertureTruth:
    """
    A trace in the stacked image of a file.

    Parameters
    ----------
    position_arcsec
        Slit position in the middle of the coverage.
    sign
        1 or -1.
    weight
        Number of planes that add to it.
    throughput
        Share of the light of a point source that passes the slit, relative to one centred on it.
    """

    position_arcsec: float
    sign: int
    weight: int
    throughput: float


@dataclass(frozen=True)
class GrismFileTruth(ExposureTruth):
    """
    The truth of one raw file of spectra.

    Parameters
    ----------
    apertures
        The traces of the point source, brightest first.
    """

    apertures: tuple[ApertureTruth, ...]


@dataclass(frozen=True, kw_only=True)
class ForcastGrismTruth(ForcastTruth):
    """
    The truth of a simulated FORCAST grism observation; the spectrum itself is in `SPECTRUM_FILE`.

    Parameters
    ----------
    flux_jy
        Continuum of the point source at ``center_um``.
    extended_flux_jy
        The same of the whole extended source; what falls through the slit is its brightness over the slit.
    center_um
        Middle of the coverage.
    resolution
        Resolving power.
    column_um, row_arcsec
        Size of a pixel of rectified spectra; the response refers to its width.
    slit_width_arcsec
        Width of the slit.
    boresight_arcsec
        Slit position of the boresight.
    psf_fwhm_arcsec
        Width of the point-spread function along the slit.
    lines
        Lines of the point source (of the extended source if there is no other).
    observed
        One entry per raw file.
    """

    flux_jy: float
    extended_flux_jy: float
    center_um: float
    resolution: float
    column_um: float
    row_arcsec: float
    slit_width_arcsec: float
    boresight_arcsec: float
    psf_fwhm_arcsec: float
    lines: tuple[LineTruth, ...]
    observed: tuple[GrismFileTruth, ...]

    def read_spectrum(self) -> dict[str, FloatArray]:
        """
        Read the spectrum from the file beside the raw files.

        Returns
        -------
        dict
            ``wavelength`` (um); ``flux`` (Jy) at the resolution of the instrument and ``flux_intrinsic`` before;
            ``extended_flux`` (Jy) at the resolution; ``transmission`` at the resolution; ``response`` (Me/s/Jy);
            ``trace`` (arcsec), slit position of the undithered source; ``error`` (Jy), 1-sigma error per rectified
            column of the optimally extracted brightest trace of the first file, were columns independent: rectification
            lowers the scatter of a column to about 0.82 of it and makes neighbours alike.
        """
        from astropy.table import Table

        table = Table.read(self.directory / SPECTRUM_FILE, format="ascii.ecsv")
        return {name: np.asarray(table[name], dtype=float) for name in table.colnames}


def write_spectrum(path: Path, columns: dict[str, tuple[FloatArray, str]]) -> None:
    """
    Write columns as ECSV.

    Parameters
    ----------
    path
        File to write.
    columns
        Values and unit by name.
    """
    from astropy.table import Column, Table

    table = Table([Column(values, name=name, unit=unit or None) for name, (values, unit) in columns.items()])
    table.write(path, format="ascii.ecsv", overwrite=True)
