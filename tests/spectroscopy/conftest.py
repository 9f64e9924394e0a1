"""A small spectrograph with known wavelengths, slit positions and fluxes, and the published products at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from sofia_engine.errors import ReferenceDataError
from sofia_engine.reference import ReferenceRequest, ReferenceStore
from sofia_engine.spectroscopy.calibration_maps import CalibrationMaps
from sofia_engine.spectroscopy.orders import Order, OrderSet, SlitSize, make_order_mask
from sofia_engine.spectroscopy.rectification import RectificationRule, Rectifier, plan_rectification

SHARED = Path(__file__).resolve().parents[2] / "../shared"


@dataclass(frozen=True)
class Spectrograph:
    """Wavelengths fall across tilted, curved slit images; the order edges are parabolas."""

    shape: tuple[int, int] = (90, 110)
    tilt: float = 0.03
    bend: float = 2e-4
    dispersion: float = 0.0117
    scale: float = 0.768
    order: Order = field(default=Order(1, (4.0, 0.02, 1e-4), (84.0, 0.02, 1e-4), (0, 109)))

    @property
    def orders(self) -> OrderSet:
        return OrderSet((self.order,), SlitSize(80.0, 80.0 * self.scale, 3.0, 2.4))

    @property
    def mask(self):
        return make_order_mask(self.orders, self.shape)

    @property
    def maps(self) -> CalibrationMaps:
        y, x = np.indices(self.shape, dtype=float)
        return CalibrationMaps(*self.coordinates(x, y))

    def coordinates(self, x, y):
        """Wavelength and slit position of points on the detector."""
        wave = 5.0 + self.dispersion * (x + self.tilt * y + self.bend * (y - 45) ** 2)
        return wave, self.scale * (y - self.order.edges(x)[0])

    def rectifier(self, **rule) -> Rectifier:
        return plan_rectification(self.mask, self.maps, RectificationRule(self.scale, **rule))

    def expose(self, spectrum: Callable, profile: Callable, fine: int = 5):
        """Image, flux per pixel, of spectrum(wave) * profile(slit), integrated over pixels."""
        offsets = (np.arange(fine) + 0.5) / fine - 0.5
        y, x = np.indices(self.shape, dtype=float)
        image = np.zeros(self.shape)
        for dy in offsets:
            for dx in offsets:
                wave, slit = self.coordinates(x + dx, y + dy)
                image += spectrum(wave) * profile(slit)
        return image / fine**2


@pytest.fixture(scope="session")
def spectrograph() -> Spectrograph:
    """The spectrograph."""
    return Spectrograph()


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden sets."""
    if not (SHARED / "golden").is_dir():
        pytest.skip("the golden sets are not on this computer")
    return SHARED / "golden"


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of published products."""
    if not (SHARED / "data/real").is_dir():
        pytest.skip("the published products are not on this computer")
    return SHARED / "data/real"


@pytest.fixture(scope="session")
def get_reference() -> Callable[..., Path]:
    """Bring a FORCAST reference file to the disk by kind, date, grism and slit; skip where there is none."""
    store = ReferenceStore(offline=True)

    def get(kind: str, date: int = 20210705, spectel: str = "FOR_G063", slit: str = "FOR_LS24") -> Path:
        try:
            return store.get(ReferenceRequest("FORCAST", kind, date, {"spectel": spectel, "slit": slit}))
        except ReferenceDataError:
            pytest.skip("the reference files are not on this computer")

    return get
