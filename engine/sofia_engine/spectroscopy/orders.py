"""Spectral orders on the detector: edges from order mask files, masks, image orientation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.errors import ReferenceDataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sofia_engine.numerics.arrays import FloatArray, IndexArray

__all__ = ["Order", "OrderSet", "SlitSize", "make_order_mask", "read_orders", "rotate_image", "unrotate_image"]


@dataclass(frozen=True)
class Order:
    """One order.

    Attributes
    ----------
    number : int
        Order number, also its value in the mask.
    bottom, top : tuple of float
        Coefficients of the edges y(x), constant first, pixels.
    columns : (int, int)
        First and last usable column, inclusive.
    """

    number: int
    bottom: tuple[float, ...]
    top: tuple[float, ...]
    columns: tuple[int, int]

    def edges(self, x: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Bottom and top edge y at columns x."""
        points = np.asarray(x, dtype=np.float64)
        return tuple(np.polynomial.polynomial.polyval(points, edge) for edge in (self.bottom, self.top))  # type: ignore[return-value]


@dataclass(frozen=True)
class SlitSize:
    """Size of the slit, pixels and arcsec; zero if not known."""

    height_pixels: float = 0.0
    height_arcsec: float = 0.0
    width_pixels: float = 0.0
    width_arcsec: float = 0.0

    @property
    def scale(self) -> float:
        """Arcsec per row of a rectified image; 1 if the height in pixels is not known."""
        return self.height_arcsec / self.height_pixels if self.height_pixels > 0 else 1.0


@dataclass(frozen=True)
class OrderSet:
    """All orders of a spectrograph setting.

    Attributes
    ----------
    orders : tuple of Order
        In the order of the file.
    slit : SlitSize
        Slit height and width.
    rotation : int
        Rotation code, see `rotate_image`, that brings raw images to the frame of the edges.
    plate_scale, resolving_power : float
        Informative; zero if not given.
    warnings : tuple of str
        What was missing in the file.
    """

    orders: tuple[Order, ...]
    slit: SlitSize = SlitSize()
    rotation: int = 0
    plate_scale: float = 0.0
    resolving_power: float = 0.0
    warnings: tuple[str, ...] = field(default=())

    def order(self, number: int) -> Order:
        """The order of a number.

        Raises
        ------
        ReferenceDataError
            If there is none.
        """
        for order in self.orders:
            if order.number == number:
                return order
        raise ReferenceDataError(f"The order mask has no order {number}; it has {[o.number for o in self.orders]}.")


def rotate_image(image: ArrayLike, code: int) -> NDArray[Any]:
    """Turn the last two axes of an array by a rotation code, 0 to 7 (that of IDL's ROTATE).

    From code 4 on they are exchanged first; then they turn anticlockwise, as seen with y upwards, by 90 deg times the
    code modulo 4. Code 1 is ``x_new = ny - 1 - y, y_new = x``.
    """
    array = np.asarray(image)
    array = np.swapaxes(array, -2, -1) if code % 8 >= 4 else array
    return np.ascontiguousarray(np.rot90(array, -(code % 4), axes=(-2, -1)))


def unrotate_image(image: ArrayLike, code: int) -> NDArray[Any]:
    """Undo `rotate_image`."""
    array = np.rot90(np.asarray(image), code % 4, axes=(-2, -1))
    return np.ascontiguousarray(np.swapaxes(array, -2, -1) if code % 8 >= 4 else array)


def read_orders(header: Mapping[str, Any], *, name: str = "The order mask") -> OrderSet:
    """Read order edges from the header of an order mask file (Spextool flat).

    Parameters
    ----------
    header : mapping
        With NORDERS, ORDERS, EDGEDEG, and per order ODRnn_B1.., ODRnn_T1.., ODRnn_XR (or ORnnn_.. as iSHELL has it).
    name : str
        What the file is called in messages.

    Raises
    ------
    ReferenceDataError
        If no order can be read.

    References
    ----------
    Cushing, M. C., et al. 2004, PASP, 116, 362, section 3.
    """
    reader = _Reader(header, name)
    numbers = _read_integers(str(header.get("ORDERS", "1")), f"{name}: ORDERS")
    degree = int(reader.number("EDGEDEG"))
    orders = tuple(_read_order(reader, number, degree) for number in numbers)
    if not orders:
        raise ReferenceDataError(f"{name} defines no order; choose another file.")
    slit = SlitSize(*(reader.number(key) for key in ("SLTH_PIX", "SLTH_ARC", "SLTW_PIX", "SLTW_ARC")))
    if slit.height_pixels == 0:
        reader.warnings.append(f"{name} gives no slit height in pixels; rows are taken to be 1 arcsec.")
    return OrderSet(orders, slit, int(reader.number("ROTATION")), reader.number("PLTSCALE"), reader.number("RP"),
                    tuple(reader.warnings))  # fmt: skip


@dataclass(frozen=True)
class _Reader:
    """Reads numbers, and notes those that are missing."""

    header: Mapping[str, Any]
    name: str
    warnings: list[str] = field(default_factory=list)

    def number(self, key: str) -> float:
        try:
            return float(self.header[key])
        except (KeyError, TypeError, ValueError):
            self.warnings.append(f"{self.name} has no usable {key}; it is taken to be 0.")
            return 0.0


def _read_order(reader: _Reader, number: int, degree: int) -> Order:
    prefix = f"ODR{number:02d}" if f"ODR{number:02d}_B1" in reader.header else f"OR{number:03d}"
    bottom, top = (tuple(reader.number(f"{prefix}_{edge}{k}") for k in range(1, degree + 2)) for edge in ("B", "T"))
    text = str(reader.header.get(f"{prefix}_XR", "")).replace("-", ",")
    columns = _read_integers(text, f"{reader.name}: {prefix}_XR")
    if len(columns) != 2:
        raise ReferenceDataError(f"{reader.name} gives no column range {prefix}_XR; choose another file.")
    return Order(number, bottom, top, (columns[0], columns[1]))


def _read_integers(text: str, what: str) -> list[int]:
    try:
        return [int(float(word)) for word in text.split(",") if word.strip()]
    except ValueError:
        raise ReferenceDataError(f"{what} is '{text}', not a list of whole numbers; choose another file.") from None


def make_order_mask(orders: OrderSet, shape: tuple[int, int]) -> IndexArray:
    """Image of order numbers, zero between the orders.

    Parameters
    ----------
    orders : OrderSet
        In the frame of the image.
    shape : (int, int)
        Rows and columns.

    Returns
    -------
    (ny, nx) ndarray of int
        In each column of an order's range where both edges lie on the image (within half a pixel), the rows from that
        of the bottom edge to that of the top edge.
    """
    mask = np.zeros(shape, dtype=np.intp)
    rows = np.arange(shape[0])[:, np.newaxis]
    for order in orders.orders:
        columns = np.arange(max(order.columns[0], 0), min(order.columns[1], shape[1] - 1) + 1)
        bottom, top = order.edges(columns)
        whole = (bottom >= -0.5) & (top <= shape[0] - 0.5)
        inside = (rows >= np.trunc(bottom)) & (rows <= np.trunc(top)) & whole
        mask[:, columns] = np.where(inside, order.number, mask[:, columns])
    return mask
