"""Cut-outs: parts of images on which some steps do what they do on the whole, so that a preview of the part is true."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.header.cards import Card
from sofia_engine.pipeline.parameters import Parameters
from sofia_engine.product import Product

if TYPE_CHECKING:
    from astropy.io import fits
    from numpy.typing import ArrayLike

    from sofia_engine.pipeline.step import Step

__all__ = ["Box", "Cutout", "cut_product", "explain_refusal", "find_image_shape"]

Refusal = Callable[["fits.Header", Any], str]
"""Function of header and parameters that says why a part would come out otherwise than in the whole; empty if not."""

_ROUNDING = 1e-6
"""Pixels by which coordinates may miss a whole number."""


def _never(_header: fits.Header, _p: Parameters) -> str:
    return ""


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels.

    Parameters
    ----------
    x, y : int
        First column and row, from 0.
    nx, ny : int
        Columns and rows.
    """

    x: int
    y: int
    nx: int
    ny: int

    @classmethod
    def around(cls, x: ArrayLike, y: ArrayLike, shape: tuple[int, int]) -> Box | None:
        """Return the pixels of an image whose centres lie among points; None if there are none.

        Parameters
        ----------
        x, y : array_like
            Pixel positions of the points, from 0.
        shape : (int, int)
            Rows and columns of the image.
        """
        limits = []
        for values, size in ((np.asarray(x, dtype=float), shape[1]), (np.asarray(y, dtype=float), shape[0])):
            if not values.size or not np.isfinite(values).all():
                return None
            low = max(math.ceil(float(values.min()) - _ROUNDING), 0)
            limits.append((low, min(math.floor(float(values.max()) + _ROUNDING) + 1, size) - low))
        (x0, nx), (y0, ny) = limits
        return cls(x0, y0, nx, ny) if nx > 0 and ny > 0 else None

    def within(self, outer: Box) -> Box:
        """Return the same pixels, counted from the first of another box."""
        return Box(self.x - outer.x, self.y - outer.y, self.nx, self.ny)


@dataclass(frozen=True)
class Cutout:
    """What a step needs around a part of an image to do the same on it as on the whole.

    Parameters
    ----------
    whole_rows : bool
        Each pixel depends on others of its row.
    refuse : callable
        Tells from the header of an input and the parameters why it cannot be done on a part; empty if it can.

    Notes
    -----
    The preview enlarges the part accordingly, does the step, and cuts the enlargement off again.
    """

    whole_rows: bool = False
    refuse: Refusal = _never

    def enlarge(self, box: Box, shape: tuple[int, int]) -> Box:
        """Return the box with all that the step needs around it."""
        return Box(0, box.y, shape[1], box.ny) if self.whole_rows else box


def find_image_shape(product: Product) -> tuple[int, int] | None:
    """Return rows and columns of the image of a product, or of each plane of a stack; None if it holds no image."""
    plane = product.planes.get("FLUX")
    if plane is None or len(plane.shape) not in (2, 3) or min(plane.shape[-2:]) < 2:
        return None
    return plane.shape[-2], plane.shape[-1]


def explain_refusal(step: Step, products: Sequence[Product], parameters: Parameters) -> str:
    """Return the reason, a clause, why a step cannot be done on a part of its inputs; empty if it can.

    Parameters
    ----------
    step : Step
        The step; `Step.cutout` says what it can.
    products : sequence of Product
        Inputs.
    parameters : Parameters
        Of the step.
    """
    if step.cutout is None:
        return "it works on whole files"
    if isinstance(step.cutout, str):
        return step.cutout
    shapes = {find_image_shape(product) for product in products}
    if None in shapes:
        return "its inputs are no images"
    if len(shapes) > 1:
        return "its inputs differ in size"
    reasons = (step.cutout.refuse(product.header, parameters) for product in products)
    return next((reason for reason in reasons if reason), "")


def cut_product(product: Product, box: Box) -> Product:
    """Return a part of a product: of all planes that are as large as its image, with the same place on the sky.

    Parameters
    ----------
    product : Product
        With a plane FLUX.
    box : Box
        The part.

    Returns
    -------
    Product
        CRPIXn and the position of the source follow; LTVn say where the part lay (IRAF: pixel in the part = pixel in
        the whole + LTVn).
    """
    shape = find_image_shape(product)
    rows, columns = slice(box.y, box.y + box.ny), slice(box.x, box.x + box.nx)
    cut: dict[str, Any] = {
        name: plane.data[..., rows, columns] for name, plane in product.planes.items() if plane.shape[-2:] == shape
    }
    cards: list[Card] = []
    for axis, start in ((1, box.x), (2, box.y)):
        cards.append((f"LTV{axis}", float(product.header.get(f"LTV{axis}", 0.0)) - start, "Place of the part"))
        for keyword in (f"CRPIX{axis}", f"SRCPOS{'XY'[axis - 1]}"):
            value = product.header.get(keyword)
            if isinstance(value, int | float) and not isinstance(value, bool):
                cards.append((keyword, value - start, ""))
    return product.replace(**cut).with_cards(*cards)
