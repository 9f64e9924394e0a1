"""An image with its regions as a FITS file, and the regions of such a file."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_engine.header.cards import is_structural
from sofia_engine.product import write_atomically
from sofia_viewers.image.frame import Frame, ImageFile
from sofia_viewers.image.regions import Region, format_regions, parse_regions

__all__ = ["REGION_TABLE", "read_saved_regions", "save_frame"]

REGION_TABLE = "REGIONS"
"""Extension with the lines of a DS9 region file, in image coordinates, column DS9."""


def save_frame(frame: Frame, regions: Sequence[Region], path: str | os.PathLike[str]) -> Path:
    """Write the image of a frame and its regions to a FITS file.

    Parameters
    ----------
    frame : Frame
        The slice that is shown is written, with the header of its plane.
    regions : sequence of Region
        In pixels of the frame.
    path : path
        Replaced if it exists.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    target = Path(path)
    image = np.asarray(frame.image)
    hdus = fits.HDUList([fits.PrimaryHDU(image.astype(image.dtype.newbyteorder("=")), _image_header(frame))])
    if regions:
        plain = format_regions(regions).encode("ascii", "xmlcharrefreplace").decode()  # FITS tables hold no more
        lines = plain.splitlines()
        column = fits.Column("DS9", f"{max(map(len, lines))}A", array=np.array(lines))
        hdus.append(fits.BinTableHDU.from_columns([column], name=REGION_TABLE))
    try:
        write_atomically(target, hdus.writeto)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}.") from error
    return target


def read_saved_regions(file: ImageFile) -> tuple[Region, ...]:
    """Return the regions that were saved with an image; none if there are none."""
    table = file.tables.get(REGION_TABLE)
    if table is None or "DS9" not in table.data.columns.names:
        return ()
    return parse_regions(html.unescape("\n".join(str(line) for line in table.data["DS9"]))).regions


def _image_header(frame: Frame) -> fits.Header:
    header = frame.file.header.copy()
    header.update(frame.plane.header.copy())
    for keyword in [keyword for keyword in header if is_structural(keyword)]:
        del header[keyword]
    if frame.plane.array.ndim > 2:
        for keyword in [
            k for k in header if k[-1:] in "34" and k[:-1] in ("CTYPE", "CRVAL", "CRPIX", "CDELT", "CUNIT")
        ]:
            del header[keyword]
        header["WCSAXES"] = 2
    header["EXTNAME"] = frame.plane.name
    header["BUNIT"] = frame.plane.unit
    return header
