"""Merge Apertures: one spectrum of those of all images of the source in the slit."""

from typing import Literal

from sofia_engine.header.cards import Card
from sofia_engine.instruments.forcast.grism_frame import accompany_spectrum, make_spectral_plane, require_planes
from sofia_engine.instruments.forcast.mode import find_sky_mode
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product
from sofia_engine.spectroscopy.combination import merge_apertures as merge_spectra

__all__ = ["MergingParameters", "merge_apertures"]


class MergingParameters(SavedOutput):
    """Parameters of Merge Apertures."""

    save_1d: bool = parameter(
        False,
        label="Save uncalibrated 1D spectra",
        help="Also write the spectrum as rows of one array (wavelength, flux, error, transmission), code MRG.",
    )
    method: Literal["mean", "median"] = parameter(
        "mean", label="Combination method", help="Statistic of the spectra of all apertures."
    )
    weighted: bool = parameter(
        True, label="Use weighted mean", help="Weight a mean by inverse variances.", applies_when={"method": "mean"}
    )


@step(
    "merge_apertures",
    label="Merge Apertures",
    code="MGM",
    product_type="merged_spectrum",
    level="LEVEL_2",
    saved=True,
)
def merge_apertures(image: Product, p: MergingParameters, run: Run) -> Product:
    """Scale the spectra of all apertures to the brightest, and combine them."""
    require_planes(image, "SPECTRAL_FLUX", "SPECTRAL_ERROR", "TRANSMISSION")
    count = len(image["SPECTRAL_FLUX"])
    merged = merge_spectra(image["SPECTRAL_FLUX"], image["SPECTRAL_ERROR"], p.method, weighted=p.weighted)
    if count > 1:
        factors = ", ".join(f"{scale:.4f}" for scale in merged.scales)
        run.log(f"Merged {count} apertures, scaled by {factors}")
        run.history(f"Merge: {p.method} of {count} apertures, scaled by {factors}")
    unit, header = image.plane("SPECTRAL_FLUX").unit, image.header
    product = image.with_cards(*_count_exposures(image, count)).replace(
        SPECTRAL_FLUX=make_spectral_plane(merged.flux, unit, header),
        SPECTRAL_ERROR=make_spectral_plane(merged.error, unit, header),
        TRANSMISSION=make_spectral_plane(image["TRANSMISSION"][0], "", header),
    )
    if p.save_1d:
        run.accompany(accompany_spectrum(product, "MRG", "merged_spectrum_1d"))
    return product


def _count_exposures(image: Product, count: int) -> list[Card]:
    """Number of exposures and integration time on the source: each aperture shows it once more."""
    if count == 1:
        return []
    mode, header = find_sky_mode(image.header), image.header
    factor = 1 + (count - 1) / 2 if "NMC" in mode or "SCAN" in mode else float(count)
    return [
        ("NEXP", int(float(header.get("NEXP", 1)) * factor), ""),
        ("EXPTIME", float(header.get("EXPTIME", 0.0)) * factor, ""),
    ]
