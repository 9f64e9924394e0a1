"""Telluric Correct: the absorption by the atmosphere taken out."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits

from sofia_engine.errors import HeaderError, ReferenceDataError
from sofia_engine.instruments.fifi_ls.atmosphere import Transmission, find_resolved
from sofia_engine.instruments.fifi_ls.atmosphere_files import (
    AtmosphereChoice,
    Sky,
    find_resolution,
    find_sky,
    want_atmosphere,
    want_resolution,
)
from sofia_engine.instruments.fifi_ls.gratings import make_plane, replace_planes
from sofia_engine.instruments.fifi_ls.mode import find_channel, read_number
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product, Table

__all__ = ["HISTORY", "TelluricParameters", "correct_absorption", "telluric_correct"]

HISTORY = "Telluric corrected"
"""What the history of corrected products says; Correct Wave Shift looks for it."""
CLEAR_STEP = 0.001
"""Steps of a spectrum of full transmission, um."""
BLUE_LIMIT, RED_LIMIT = 130.0, 90.0
"""Wavelengths, um, up to and from which the model is kept with the product."""

_LINE_GIVEN = {"skip_tell": False, "narrow": True, "hdr_ovr": True}


class TelluricParameters(SavedOutput):
    """Parameters of Telluric Correct."""

    retired = ("parallel",)
    skip_tell: bool = parameter(
        False,
        label="Skip telluric correction",
        help="Leave the flux as it is; the transmission is kept with the data all the same, if it is at hand.",
    )
    atran_dir: str = parameter(
        "",
        label="ATRAN or ATRAN_SDC directory",
        pick="directory",
        help="Folder in which models of the atmosphere are looked for first, and its folders named by altitude (41K).",
    )
    cutoff: float = parameter(
        0.6,
        label="Cutoff value",
        ge=0,
        le=1,
        help="Where less than this share of the light comes through, flux is bad.",
        applies_when={"skip_tell": False},
    )
    use_ecmwf: bool = parameter(
        True,
        label="Use ECMWF WV values",
        help="Take the water vapour of weather models, and that in the header (WVZ_OBS) only if there is none; else "
        "the other way round.",
    )
    ecmwf_dir: str = parameter(
        "", label="ECMWF directory", pick="directory", help="Folder of the water vapour of weather models by flight."
    )
    narrow: bool = parameter(
        False,
        label="Narrow Line Mode (NLM)",
        help="Divide all the spectrum by the unsmoothed transmission at the wavelength of one narrow line.",
        applies_when={"skip_tell": False},
    )
    hdr_ovr: bool = parameter(
        False,
        label="(NLM) Redshift and rest wavelength override",
        help="Take rest wavelength and redshift of the line from here instead of the header (RESTWAV, REDSHIFT).",
        applies_when={"skip_tell": False, "narrow": True},
    )
    restwav: float = parameter(
        0.0,
        label="(NLM) Rest wavelength",
        unit="um",
        ge=0,
        help="Rest wavelength of the narrow line.",
        applies_when=_LINE_GIVEN,
    )
    redshift: float = parameter(
        0.0, label="(NLM) Redshift (z)", gt=-1, help="Redshift of the narrow line.", applies_when=_LINE_GIVEN
    )
    atran_file: str = parameter(
        "",
        label="ATRAN file override",
        pick="file",
        help="Model of the atmosphere to use; empty chooses by conditions.",
    )
    interpolated: bool = parameter(
        True,
        label="Interpolate between ATRAN_SDC files",
        help="Interpolate between models in zenith angle and water vapour; else take the nearest.",
    )

    @property
    def atmosphere(self) -> AtmosphereChoice:
        """What is said about the model."""
        return AtmosphereChoice(
            self.atran_file, self.atran_dir, self.use_ecmwf, self.ecmwf_dir, self.interpolated, not self.skip_tell
        )


def _list_references(header: fits.Header, p: TelluricParameters) -> Mapping[str, Wanted]:
    return {"resolution": want_resolution(header), **want_atmosphere(header, p.atmosphere)}


@step(
    "telluric_correct",
    label="Telluric Correct",
    code="TEL",
    product_type="telluric_corrected",
    level="LEVEL_2",
    references=_list_references,
)
def telluric_correct(product: Product, p: TelluricParameters, run: Run) -> Product:
    """Divide by the transmission of the atmosphere at the resolution of the spectrometer.

    The model is that of altitude, zenith angle and water vapour of the observation. Uncorrected flux is kept too.
    """
    header = product.header
    table = run.reference("resolution")
    resolution = find_resolution(header, table.path).spectral
    sky = _find_sky(product, p, run)
    wavelength = product["LAMBDA"]
    smooth = find_resolved(sky.transmission, resolution, wavelength)
    planes: dict[str, Plane | Table] = {name: product.plane(name) for name in ("FLUX", "STDDEV")}
    if not p.skip_tell:
        divisor = _find_narrow(product, p, sky.transmission) if p.narrow else smooth
        flux, error = correct_absorption(product["FLUX"], product["STDDEV"], divisor, p.cutoff)
        if np.isfinite(product["FLUX"]).any() and not np.isfinite(flux).any():
            run.warn(
                f"{product.name}: {_explain_loss(divisor)}, telluric_correct.cutoff is {p.cutoff:g}: no flux is left."
            )
        planes = {
            "FLUX": make_plane(flux, product.plane("FLUX").unit),
            "STDDEV": make_plane(error, product.plane("STDDEV").unit),
            "UNCORRECTED_FLUX": product.plane("FLUX"),
            "UNCORRECTED_STDDEV": product.plane("STDDEV"),
        }
    planes |= {name: product.plane(name) for name in ("LAMBDA", "XS", "YS", "RA", "DEC")}
    planes["ATRAN"] = make_plane(smooth)
    planes["UNSMOOTHED_ATRAN"] = make_plane(_keep_model(sky.transmission, find_channel(header)))
    run.history("Telluric spectrum attached" if p.skip_tell else HISTORY)
    cards = [*sky.cards, ("RESFILE", Path(table.name).name, "Spectral resolution file name")]
    return replace_planes(product.with_cards(*cards), planes)


def _find_sky(product: Product, p: TelluricParameters, run: Run) -> Sky:
    try:
        return find_sky(product.header, p.atmosphere, run)
    except ReferenceDataError as error:
        if not p.skip_tell:
            raise
        run.warn(f"{product.name}: there is no model of the atmosphere; full transmission is noted. {error}")
    wavelength = product["LAMBDA"]
    fine = np.arange(np.nanmin(wavelength) - 1.0, np.nanmax(wavelength) + 1.0, CLEAR_STEP)
    return Sky(Transmission(fine, np.ones_like(fine)), [])


def correct_absorption(
    flux: FloatArray, error: FloatArray, transmission: FloatArray | float, cutoff: float
) -> tuple[FloatArray, FloatArray]:
    """Return flux and error divided by a transmission; NaN where it is below a cutoff, or not known."""
    clear = np.asarray(transmission) >= cutoff
    divisor = np.where(clear & (np.asarray(transmission) > 0), transmission, np.nan)
    return flux / divisor, error / divisor


def _explain_loss(transmission: FloatArray | float) -> str:
    """Why no pixel could be corrected."""
    if not np.isfinite(transmission).any():
        return "the model of the atmosphere does not reach the wavelengths of the data"
    return f"at most {np.nanmax(transmission):.3f} of the light comes through"


def _find_narrow(product: Product, p: TelluricParameters, model: Transmission) -> float:
    """Transmission at the wavelength of a line much narrower than the resolution."""
    if p.hdr_ovr:
        rest, redshift = p.restwav, p.redshift
    else:
        found = [read_number(product.header, keyword) for keyword in ("RESTWAV", "REDSHIFT")]
        if found[0] is None or found[1] is None:
            raise HeaderError(
                f"{product.name}: RESTWAV or REDSHIFT is missing; give the line with telluric_correct.hdr_ovr."
            )
        rest, redshift = found[0], found[1]
    line = rest * (1 + redshift)
    if not model.wavelength[0] <= line <= model.wavelength[-1]:
        raise HeaderError(f"{product.name}: the model of the atmosphere does not reach the line at {line:g} um.")
    return float(model.value[int(np.argmin(np.abs(model.wavelength - line)))])


def _keep_model(model: Transmission, channel: str) -> FloatArray:
    kept = model.wavelength < BLUE_LIMIT if channel == "BLUE" else model.wavelength > RED_LIMIT
    return np.stack([model.wavelength[kept], model.value[kept]]).astype(np.float32)
