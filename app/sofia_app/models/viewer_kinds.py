"""The viewers of the program, and which of them suits a product; nothing is imported before it is needed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sofia_engine.product import Product

__all__ = [
    "VIEWERS",
    "ViewerKind",
    "choose_viewer",
    "find_viewer",
    "has_cube",
    "has_image",
    "has_slit",
    "has_spectrum",
]

_MOST_ROWS = 5
"""Arrays of more rows are images; of fewer, spectra in the old layout (wavelength, flux, error, ...)."""
_SPECTRAL_AXES = ("WAVE", "AWAV", "FREQ", "WAVN", "ENER", "VELO", "VRAD", "VOPT", "VELOCITY")


def has_image(product: Product) -> bool:
    """Tell whether a product holds an image or a stack of images."""
    return any(len(p.shape) >= 2 and p.shape[-2] > _MOST_ROWS and p.shape[-1] > 0 for p in product.planes.values())


def has_spectrum(product: Product) -> bool:
    """Tell whether a product holds spectra: an extension SPECTRAL_FLUX, or an array of a few rows."""
    if any("SPECTRAL_FLUX" in name.upper() for name in product.extensions):
        return True
    first = next(iter(product.planes.values()), None)
    if first is None or not first.shape:
        return any(_has_spectral_columns(table) for table in product.tables.values())
    return first.shape[-1] > _MOST_ROWS and (len(first.shape) == 1 or first.shape[-2] <= _MOST_ROWS)


def _has_spectral_columns(table: Any) -> bool:
    names = [str(name).lower() for name in table.data.columns.names]
    return any("wave" in name for name in names) and any("flux" in name for name in names)


def has_slit(product: Product) -> bool:
    """Tell whether a product holds images on a grid of wavelength and slit position, with their spatial profile."""
    return any(name.startswith("SPATIAL_PROFILE") for name in product.planes) and any(
        name.startswith("SLITPOS") for name in product.planes
    )


def has_cube(product: Product) -> bool:
    """Tell whether a product holds a cube whose third axis is spectral."""
    axis = str(product.header.get("CTYPE3", "")).upper()
    is_spectral = axis.startswith(_SPECTRAL_AXES)
    return is_spectral and any(
        len(p.shape) == 3 and p.shape[0] > 1 and p.shape[1] > _MOST_ROWS for p in product.planes.values()
    )


@dataclass(frozen=True)
class ViewerKind:
    """A kind of viewer.

    Parameters
    ----------
    name : str
        Short name, for actions and saved layouts.
    title : str
        On its tab.
    place : str
        Module and class, with a colon between them. The class has ``show_products(products, names)`` and ``is_ready``;
        ``view_state``, ``restore_view`` and ``shut_down`` are used where it has them.
    suits : callable
        Tells whether a product can be shown in it.
    icon : str
        Name of its icon.
    """

    name: str
    title: str
    place: str
    suits: Callable[[Product], bool]
    icon: str

    @property
    def module(self) -> str:
        """Name of its module."""
        return self.place.partition(":")[0]

    @property
    def is_loaded(self) -> bool:
        """Whether its module is imported."""
        return self.module in sys.modules

    def load(self) -> Callable[..., Any]:
        """Import it and return its class; in the thread of the windows only, as it makes types of Qt."""
        made: Callable[..., Any] = getattr(importlib.import_module(self.module), self.place.partition(":")[2])
        return made


_ALL = (
    ViewerKind("image", "Image", "sofia_viewers.image.viewer:ImageViewer", has_image, "image"),
    ViewerKind("spectrum", "Spectrum", "sofia_viewers.spectrum.viewer:SpectrumViewer", has_spectrum, "spectrum"),
    ViewerKind("slit", "Slit", "sofia_app.views.slit_step:SlitStep", has_slit, "profile"),
    ViewerKind("cube", "Cube", "sofia_viewers.cube.viewer:CubeViewer", has_cube, "cube"),
)
"""All kinds, the most special last: a product goes to the last one that suits it."""


@lru_cache(maxsize=1)
def _installed() -> tuple[ViewerKind, ...]:
    return tuple(kind for kind in _ALL if _is_installed(kind))


def _is_installed(kind: ViewerKind) -> bool:
    try:
        return importlib.util.find_spec(kind.module) is not None
    except ModuleNotFoundError:  # its package is not there
        return False


VIEWERS = _installed()
"""The kinds that are installed, in the order of their tabs."""


def find_viewer(name: str) -> ViewerKind:
    """Return the kind of that name.

    Raises
    ------
    KeyError
        If there is none.
    """
    return {kind.name: kind for kind in VIEWERS}[name]


def choose_viewer(products: Sequence[Product], kinds: Iterable[ViewerKind] = VIEWERS) -> ViewerKind | None:
    """Return the kind that suits products best; None if none of them can be shown."""
    suiting = [kind for kind in kinds if any(kind.suits(product) for product in products)]
    return suiting[-1] if suiting else None
