"""The slit correction: how the light that reaches the detector changes along an evenly lit slit."""

from typing import Literal

import numpy as np

from sofia_engine.errors import ParameterError
from sofia_engine.instruments.forcast.grism_frame import (
    accompany_spectrum,
    make_spectral_plane,
    require_planes,
    square_error,
)
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product
from sofia_engine.spectroscopy.aperture_keywords import read_apertures
from sofia_engine.spectroscopy.apertures import slit_index
from sofia_engine.spectroscopy.extraction import extract_medians
from sofia_engine.spectroscopy.surfaces import (
    fit_slit_correction,
    fit_slit_correction_by_column,
    list_surface_cards,
    normalize_by_middle,
)

__all__ = ["MedianParameters", "SlitCorrectionParameters", "extract_median_spectra", "make_slitcorr", "normalize"]


class MedianParameters(SavedOutput):
    """Parameters of Extract Median Spectra."""

    save_1d: bool = parameter(
        False, label="Save extracted 1D spectra", help="Also write the spectra as rows of one array, code MSP."
    )


class NormalizationParameters(SavedOutput):
    """Parameters of Normalize Response."""

    save_1d: bool = parameter(
        False, label="Save normalized 1D spectra", help="Also write the spectra as rows of one array, code NMS."
    )


_SURFACE, _BY_COLUMN = {"method": "2D"}, {"method": "1D"}


class SlitCorrectionParameters(SavedOutput):
    """Parameters of Make Slit Correction."""

    method: Literal["1D", "2D"] = parameter(
        "2D",
        label="Fit method",
        help="Fit one surface in wavelength and slit position, or a polynomial along the slit in each column.",
    )
    weighted: bool = parameter(
        True, label="Weight by spectral error", help="Weight the surface by inverse variances.", applies_when=_SURFACE
    )
    x_fit_order: int = parameter(
        3,
        label="Fit order for X",
        ge=0,
        le=6,
        help="Highest power of the wavelength in the surface.",
        applies_when=_SURFACE,
    )
    y_fit_order: int = parameter(
        2, label="Fit order for Y", ge=0, le=6, help="Highest power of the row in the surface.", applies_when=_SURFACE
    )
    y_fit_order_1d: int = parameter(
        2,
        label="Fit order for Y (1D)",
        ge=0,
        le=6,
        help="Degree of the polynomials of single columns.",
        applies_when=_BY_COLUMN,
    )
    x_width: int = parameter(
        10,
        label="Smoothing width for X (1D)",
        unit="pix",
        ge=1,
        le=256,
        help="Columns over which the polynomials of single columns are averaged.",
        applies_when=_BY_COLUMN,
    )


@step(
    "extract_median_spectra",
    label="Extract Median Spectra",
    code="MSM",
    product_type="median_spectra",
    level="LEVEL_2",
)
def extract_median_spectra(image: Product, p: MedianParameters, run: Run) -> Product:
    """Take the median of some rows around each aperture; apertures do not overlap."""
    require_planes(image, "SLITPOS", "WAVEPOS")
    rows = slit_index(image["SLITPOS"], [aperture.position for aperture in read_apertures(image.header)])
    radius = image["SLITPOS"].size // rows.size // 2
    if radius < 1:
        raise ParameterError(
            f"locate_apertures.num_aps = {rows.size} is too many for a slit of {image['SLITPOS'].size} rows; give less."
        )
    mask = np.zeros(image["FLUX"].shape)
    for number, row in enumerate(np.rint(rows).astype(int), start=1):
        mask[max(row - radius, 0) : row + radius] = number
    flux, error = extract_medians(image["FLUX"], square_error(image), mask, rows.size)
    unit, header = image.plane("FLUX").unit, image.header
    product = image.replace(
        APERTURE_MASK=mask,
        SPECTRAL_FLUX=make_spectral_plane(flux, unit, header),
        SPECTRAL_ERROR=make_spectral_plane(error, unit, header),
    )
    run.log(f"{rows.size} median spectra of {2 * radius} rows")
    if p.save_1d:
        run.accompany(accompany_spectrum(product, "MSP", "median_spectra_1d"))
    return product


@step(
    "normalize",
    label="Normalize Response",
    code="NIM",
    product_type="normalized_image",
    level="LEVEL_2",
    saved=True,
)
def normalize(image: Product, p: NormalizationParameters, run: Run) -> Product:
    """Divide image and spectra by the spectrum of the middle of the slit."""
    require_planes(image, "SPECTRAL_FLUX", "SPECTRAL_ERROR")
    middle = image["SPECTRAL_FLUX"][len(image["SPECTRAL_FLUX"]) // 2]
    middle = np.where(middle != 0, middle, np.nan)
    flux, error = normalize_by_middle(image["SPECTRAL_FLUX"], image["SPECTRAL_ERROR"])
    header = image.header
    product = image.replace(
        units={"FLUX": "", "ERROR": ""},
        FLUX=image["FLUX"] / middle,
        ERROR=image["ERROR"] / np.abs(middle),
        SPECTRAL_FLUX=make_spectral_plane(flux, "", header),
        SPECTRAL_ERROR=make_spectral_plane(error, "", header),
    )
    if p.save_1d:
        run.accompany(accompany_spectrum(product, "NMS", "normalized_spectra_1d"))
    return product


@step(
    "make_slitcorr",
    label="Make Slit Correction",
    code="SCR",
    product_type="slit_correction",
    level="LEVEL_2",
    saved=True,
)
def make_slitcorr(image: Product, p: SlitCorrectionParameters, run: Run) -> Product:
    """Fit the normalized spectra along slit and wavelength; the result is the image by which others are divided."""
    require_planes(image, "SPECTRAL_FLUX", "SPECTRAL_ERROR", "SLITPOS", "WAVEPOS")
    rows = slit_index(image["SLITPOS"], [aperture.position for aperture in read_apertures(image.header)])
    ratios = image["SPECTRAL_FLUX"]
    count, columns = image["FLUX"].shape
    if p.method == "1D":
        correction = fit_slit_correction_by_column(
            rows, ratios, p.y_fit_order_1d, p.x_width, np.arange(count, dtype=np.float64)
        )
        product = image
    else:
        x = np.arange(columns, dtype=np.float64)
        error = image["SPECTRAL_ERROR"] if p.weighted else None
        surface = fit_slit_correction(x, rows, ratios, (p.x_fit_order, p.y_fit_order), error)
        correction = surface.on_pixels((count, columns))
        product = image.with_cards(*list_surface_cards(surface, "SC"))
    run.quality["range"] = float(np.nanmax(correction) - np.nanmin(correction))
    run.history(f"Slit correction: {p.method} fit, from {np.nanmin(correction):.4f} to {np.nanmax(correction):.4f}")
    return Product.of(product.header, {"FLUX": Plane.of(correction)})
