"""The grid of rectified grism images: how it is laid, and how sharp its pixels are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from sofia_engine.instruments.forcast.grism_files import load_maps, load_orders, locked, request_grism_file
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.spectroscopy.orders import OrderSet, make_order_mask
from sofia_engine.spectroscopy.rectification import ErrorRule, RectificationRule, Rectifier, plan_rectification

if TYPE_CHECKING:
    from sofia_engine.product import Product
    from sofia_engine.spectroscopy.calibration_maps import CalibrationMaps

__all__ = ["RIPPLE", "find_grid", "plan_grid", "want_grid"]

RIPPLE = "BLURVAR"
"""Keyword of images whose profile and calibration follow the blur of rectification: its spread along the wavelength."""
_KEYWORDS = {"order_mask": "ORDRFILE", "wave_cal": "WAVEFILE"}
_LABELS = {"order_mask": "order mask", "wave_cal": "wavelength calibration"}


def plan_grid(orders: OrderSet, maps: CalibrationMaps, shape: tuple[int, int], error: ErrorRule) -> Rectifier:
    """Return the rectifier of a setting; it is made once."""
    return locked(_plan)(orders, maps, shape, error)


@lru_cache(maxsize=2)
def _plan(orders: OrderSet, maps: CalibrationMaps, shape: tuple[int, int], error: ErrorRule) -> Rectifier:
    mask = make_order_mask(orders, shape)
    rule = RectificationRule(slit_step=orders.slit.scale, error=error)
    return plan_rectification(mask, maps, rule, orders.orders[0].number)


def want_grid(header: fits.Header) -> Mapping[str, Wanted]:
    """Name the files that a rectified image was laid out with; none for other images, or if a file has gone."""
    names = {role: str(header.get(keyword, "")).strip() for role, keyword in _KEYWORDS.items()}
    gone = [name for name in names.values() if not name or (Path(name).is_absolute() and not Path(name).is_file())]
    if RIPPLE not in header or gone:
        return {}
    return {
        role: Wanted(request_grism_file(header, role, _LABELS[role]), name, optional=True)
        for role, name in names.items()
    }


def find_grid(image: Product, run: Run, error: ErrorRule = "column") -> Rectifier | None:
    """Return the rectifier that an image was made with; None if it is not to be followed, or not known."""
    if any(role not in run.wanted or run.find_reference(role) is None for role in _KEYWORDS):
        return None
    orders = load_orders(run, image.header)
    maps = load_maps(run, image.header, orders.rotation)
    rectifier = plan_grid(orders, maps, (maps.wavelength.shape[0], maps.wavelength.shape[1]), error)
    same = rectifier.blur.shape == image["FLUX"].shape
    return rectifier if same and np.allclose(rectifier.wavelength, image["WAVEPOS"], rtol=1e-9) else None
