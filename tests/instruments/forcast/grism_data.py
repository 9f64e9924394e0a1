"""Slit images with a known spectrum, put on the detector with the published calibration maps."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from sofia_engine.product import Product
from sofia_engine.reference import ReferenceRequest, ReferenceStore

CARDS = {
    "INSTCFG": "GRISM_SWC", "SPECTEL1": "FOR_G063", "SPECTEL2": "NONE", "SLIT": "FOR_LS24", "DETBIAS": 1.745,
    "PRODTYPE": "stacked", "PROCSTAT": "LEVEL_2", "DATE-OBS": "2021-07-05T05:10:00.000", "EXPTIME": 40.0, "NEXP": 2,
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg", "CROTA2": 30.0, "EQUINOX": 2000.0,
    "TELRA": 14.26, "TELDEC": 19.18, "LAT_STA": 40.0, "LON_STA": -120.0, "WVZ_OBS": 7.0,
}  # fmt: skip
DATE = 20210705


def spectrum(wavelength: Any) -> np.ndarray:
    """The true spectrum, Me/s per column: a slope with a wave."""
    x = np.asarray(wavelength)
    return 2.0 + 0.3 * (x - 6.5) + 0.2 * np.sin(4 * x)


@dataclass(frozen=True)
class SlitData:
    """Maps of the detector, and what is put on it.

    ``sources`` are (position, flux factor) along the slit in arcsec; a width of 0 fills the slit evenly.
    """

    store: ReferenceStore
    spectel: str = "FOR_G063"
    slit: str = "FOR_LS24"
    fwhm: float = 3.6
    noise: float = 2e-4
    cards: dict[str, Any] = field(default_factory=dict)

    def maps(self) -> np.ndarray:
        match = {"spectel": self.spectel, "slit": self.slit}
        path = self.store.get(ReferenceRequest("FORCAST", "wave_cal", DATE, match))
        with fits.open(path) as hdus:
            return np.asarray(hdus[0].data, dtype=float)

    def image(self, sources: Any, seed: int = 1) -> np.ndarray:
        """Sums along the slit of the rectified image are the spectrum times the factors."""
        wavelength, slit = self.maps()
        (wave_y, wave_x), (slit_y, slit_x) = np.gradient(wavelength), np.gradient(slit)
        step = np.nanmax(wavelength) - np.nanmin(wavelength)
        step /= np.ptp(np.nonzero(np.isfinite(wavelength))[1])
        area = np.abs(wave_x * slit_y - wave_y * slit_x) / step
        sigma = self.fwhm / 2.3548
        light = np.zeros_like(slit)
        for position, factor in sources:
            if self.fwhm:
                light += factor * np.exp(-0.5 * ((slit - position) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
            else:
                light += factor
        image = np.nan_to_num(spectrum(wavelength) * light * area)
        return image + np.random.default_rng(seed).normal(0, self.noise, image.shape)

    def stacked(self, header: fits.Header, sources: Any, **cards: Any) -> Product:
        """A product as Stack leaves it."""
        header = header.copy()
        header.update(CARDS | {"SPECTEL1": self.spectel, "SLIT": self.slit} | self.cards | cards)
        image = self.image(sources, seed=int(header.get("DTHINDEX", 1)))
        planes = {"FLUX": image, "ERROR": np.full(image.shape, self.noise)}
        return Product.of(header, planes, units={"FLUX": "Me/s", "ERROR": "Me/s"})

    def write(self, folder: Path, header: fits.Header, sources: Any, number: int = 1, **cards: Any) -> Path:
        """Write such a product to a file."""
        name = f"F0501_FO_GRI_90000101_{self.spectel.replace('_', '')}_STK_{number:04d}.fits"
        product = self.stacked(header, sources, FILENAME=name, DTHINDEX=number, **cards)
        return product.write(folder / name)
