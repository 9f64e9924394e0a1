"""
Chop-nod modes of FORCAST: where the copies of a source lie, and which files and planes hold them.

Chop and nod vectors are throws on the undistorted detector; their angle is counted from +y to +x. The header
convention is that moving an image by the vector brings its negative copy onto the source, so a copy lies at the
source position minus the vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PAIR_BEAMS", "SkyMode"]

FloatArray = NDArray[np.float64]
PAIR_BEAMS = "ABAABAAB"
"""Nod beams of old C2NC2 files; the B files have the dither indices 2, 5, 8 and serve both neighbours."""


@dataclass(frozen=True)
class SkyMode:
    """
    A chop-nod mode with its throws.

    Parameters
    ----------
    instmode, skymode
        Keywords.
    planes_per_file
        4 (A-chop1, A-chop2, B-chop1, B-chop2), or 2 (one nod beam per file).
    chop_throw_arcsec, nod_throw_arcsec
        Full throws.
    chop_angle, nod_angle
        Directions on the detector, degrees from +y to +x.
    """

    instmode: str
    skymode: str
    planes_per_file: int
    chop_throw_arcsec: float
    chop_angle: float
    nod_throw_arcsec: float
    nod_angle: float

    @property
    def chop(self) -> FloatArray:
        """Offset of the copy made by chopping, arcsec."""
        return -_vector(self.chop_throw_arcsec, self.chop_angle)

    @property
    def nod(self) -> FloatArray:
        """Offset of the copy made by nodding, arcsec."""
        return -_vector(self.nod_throw_arcsec, self.nod_angle)

    def list_beams(self, n_dither: int) -> str:
        """
        List the nod beams of the files, one letter per file, for a number of dither positions on source.

        Parameters
        ----------
        n_dither
            Number of files whose header belongs to nod beam A.
        """
        if self.planes_per_file == 4:
            return "A" * n_dither
        ends = [i + 1 for i, beam in enumerate(PAIR_BEAMS) if beam == "A"]
        last = ends[n_dither - 1]
        return PAIR_BEAMS[: last + (PAIR_BEAMS[last : last + 1] == "B")]

    def list_offsets(self, nod_beam: str, chop_sign: int) -> list[FloatArray]:
        """
        List where the source lies in each plane of a file, from its place in the on-source beam.

        Parameters
        ----------
        nod_beam
            Nod beam of the file; a file of four planes holds the other one after it.
        chop_sign
            -1 if the first chop position is the one on source, 1 if the second is.

        Returns
        -------
        list of ndarray
            One (x, y) per plane, arcsec on the undistorted detector.
        """
        chops = [np.zeros(2), self.chop][::-chop_sign]
        nods = {"A": np.zeros(2), "B": self.nod}
        beams = self._order_beams(nod_beam)
        return [nods[beam] + chop for beam in beams for chop in chops]

    def list_signs(self, nod_beam: str, chop_sign: int) -> list[int]:
        """
        List the sign each plane of a file gets when its planes are stacked.

        Parameters
        ----------
        nod_beam, chop_sign
            As in `list_offsets`.
        """
        beams = self._order_beams(nod_beam)
        return [nod * chop * -chop_sign for nod in ({"A": 1, "B": -1}[beam] for beam in beams) for chop in (1, -1)]

    def _order_beams(self, nod_beam: str) -> str:
        """List the nod beams of the pairs of planes in a file."""
        if self.planes_per_file == 2:
            return nod_beam
        return "AB" if nod_beam == "A" else "BA"


def _vector(length: float, angle: float) -> FloatArray:
    return length * np.array([np.sin(np.radians(angle)), np.cos(np.radians(angle))])
