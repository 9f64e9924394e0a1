"""Spectra of several files: where their slits are on the sky, what errors they share, their curves combined."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from astropy.io import fits

from sofia_engine.instruments.forcast.coadd import find_target_offsets
from sofia_engine.instruments.forcast.grism_frame import make_spectral_plane
from sofia_engine.instruments.forcast.register import read_dither
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.pipeline.run import Run
from sofia_engine.product import Plane, Product
from sofia_engine.spectroscopy.calibration import Response, separate_response_error
from sofia_engine.spectroscopy.combination import combine_curves, separate_apertures
from sofia_engine.spectroscopy.slit_cube import SlitImage
from sofia_engine.spectroscopy.slit_place import move_plane, read_slit_plane

__all__ = ["Registration", "combine_plane_curves", "find_response_share", "place_slits", "read_exposure_time"]

Registration = Literal["Use WCS as is", "Correct to target position", "Use header offsets"]
_CURVES = ("TRANSMISSION", "RESPONSE")


def read_exposure_time(image: Product) -> float:
    """Return the integration time on the source, s; 0 if it is not known."""
    return float(image.header.get("EXPTIME", 0.0))


def find_response_share(images: Sequence[Product], *, common: bool = True) -> FloatArray:
    """Return the relative error (nw) of the response that all files share; 0 if it is not common or not known."""
    known = [image for image in images if "RESPONSE" in image and "RESPONSE_ERROR" in image]
    if not common or len(known) < len(images):
        return np.zeros(images[0]["WAVEPOS"].size)
    shares = [Response(image["RESPONSE"], image["RESPONSE_ERROR"]).relative_error for image in known]
    mean: FloatArray = np.nan_to_num(np.mean(separate_apertures(shares), axis=0))
    return mean


def combine_plane_curves(
    images: Sequence[Product],
    header: fits.Header,
    method: Literal["mean", "median"],
    columns: slice = slice(None),
    *,
    combine_apertures: bool = False,
) -> dict[str, Plane]:
    """Return transmission and response, as far as all files have them; of several apertures too if they are rows.

    Parameters
    ----------
    images : sequence of Product
        All files.
    header : Header
        With the wavelength coordinates of the result.
    method : {"mean", "median"}
        Statistic; without weights or rejection.
    columns : slice
        Columns to keep.
    combine_apertures : bool
        Combine the curves of all apertures too.
    """
    names = [name for name in _CURVES if all(name in image for image in images)]
    curves = {name: [image[name] for image in images] for name in names}
    if combine_apertures:
        curves = {name: separate_apertures(rows) for name, rows in curves.items()}
    return {
        name: make_spectral_plane(combine_curves(rows, method)[..., columns], images[0].plane(name).unit, header)
        for name, rows in curves.items()
    }


def place_slits(images: Sequence[Product], registration: Registration, share: FloatArray, run: Run) -> list[SlitImage]:
    """Return the images with their noise and places on the sky; offsets in pixels across and along the first slit.

    Parameters
    ----------
    images : sequence of Product
        Calibrated.
    registration : str
        How the places are found.
    share : (nw,) ndarray
        Relative error of the response, which is taken out of the errors.
    run : Run
        Takes messages.

    Raises
    ------
    HeaderError
        If a header says too little.
    """
    planes = [read_slit_plane(image.header) for image in images]
    offsets = [(0.0, 0.0)] * len(images)
    if registration == "Correct to target position":
        found = find_target_offsets([image.header for image in images], planes[0])
        if found is None:
            run.log("TGTRA or TGTDEC missing: the images are combined by their coordinates.")
        offsets = found or offsets
    elif registration == "Use header offsets":
        dithers = [read_dither(image, north_up=False) for image in images]
        # from the place of the first alone: coordinates that follow the dithers would count them twice
        planes = [
            move_plane(replace(plane, pixel=planes[0].pixel, sky=planes[0].sky), dithers[0][0] - x, dithers[0][1] - y)
            for plane, (x, y) in zip(planes, dithers, strict=True)
        ]
    return [
        SlitImage(
            image["FLUX"],
            separate_response_error(image["FLUX"], image["ERROR"], share),
            plane,
            float(image.header.get("SLTW_PIX", 1.0)) or 1.0,
            read_exposure_time(image),
            offset,
        )
        for image, plane, offset in zip(images, planes, offsets, strict=True)
    ]
