"""Pictures of views as PNG, PDF or SVG, and the numbers behind them as ECSV, VOTable or CSV."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sofia_engine.errors import InputError
from sofia_viewers.qt import Qt, QtCore, QtGui, QtSvg, QtWidgets, Signal

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = [
    "PICTURE_SUFFIXES",
    "export_events",
    "export_widget",
    "make_table",
    "paint_picture",
    "tell_written",
    "write_table",
]

PICTURE_SUFFIXES = (".png", ".pdf", ".svg")
_TABLE_FORMATS = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".vot": "votable"}
TABLE_SUFFIXES = tuple(_TABLE_FORMATS)

_DOTS_PER_INCH = 96


class _ExportEvents(QtCore.QObject):
    """Tells of files that the user had written."""

    written = Signal(str)


@lru_cache(maxsize=1)
def export_events() -> Any:
    """Return the object whose signal ``written`` carries the path of each file that was exported from a view."""
    return _ExportEvents()


def tell_written(path: str | Path) -> None:
    """Tell that a file was exported from a view; pictures and tables of this module tell it themselves."""
    export_events().written.emit(str(path))


def paint_picture(
    path: str | Path, size: tuple[int, int], paint: Callable[[QtGui.QPainter, QtCore.QRect], None]
) -> Path:
    """Write what a function paints to a file.

    Parameters
    ----------
    path : path
        Ends with ``.png``, ``.pdf`` or ``.svg``.
    size : (int, int)
        Width and height, pixels of 1/96 inch.
    paint : callable
        Gets the painter and the rectangle to fill.

    Raises
    ------
    InputError
        If the suffix is none of these, or the file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        raise InputError(f"{target} cannot be written: pictures end with {', '.join(PICTURE_SUFFIXES)}.")
    if not target.parent.is_dir():
        raise InputError(f"{target} cannot be written: the folder {target.parent} does not exist.")
    done = {".png": _write_png, ".pdf": _write_pdf, ".svg": _write_svg}[suffix](target, size, paint)
    if not done or not target.is_file() or target.stat().st_size == 0:
        raise InputError(f"{target} cannot be written: permission denied or no space left.")
    tell_written(target)
    return target


def export_widget(widget: QtWidgets.QWidget, path: str | Path, size: tuple[int, int] | None = None) -> Path:
    """Write a widget as it is drawn to a file; vectors stay vectors in PDF and SVG.

    Raises
    ------
    InputError
        See `paint_picture`.
    """
    own = (widget.width(), widget.height())

    def paint(painter: QtGui.QPainter, rect: QtCore.QRect) -> None:
        if isinstance(widget, QtWidgets.QGraphicsView):
            painter.fillRect(rect, widget.backgroundBrush())
            widget.render(painter, QtCore.QRectF(rect), widget.viewport().rect())
            return
        painter.fillRect(rect, widget.palette().window())
        factor = min(rect.width() / own[0], rect.height() / own[1])
        painter.scale(factor, factor)
        widget.render(painter, QtCore.QPoint(0, 0))

    return paint_picture(path, size or own, paint)


def make_table(rows: Sequence[Mapping[str, Any]], meta: Mapping[str, Any] | None = None) -> Table:
    """Return rows as an astropy table; columns in the order they first appear, missing values masked.

    Parameters
    ----------
    rows : sequence of mapping
        One per row, by column name.
    meta : mapping, optional
        Kept in the header of ECSV files.
    """
    from astropy.table import MaskedColumn, Table

    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(meta=dict(meta or {}))
    for name in names:
        values = [row.get(name) for row in rows]
        missing = [value is None for value in values]
        filler: Any = next((type(v)() for v in values if v is not None), "")
        table[name] = MaskedColumn([filler if v is None else v for v in values], mask=missing)
    return table


def write_table(table: Table, path: str | Path) -> Path:
    """Write a table as ECSV or VOTable (with units and types) or plain CSV, by the suffix.

    Raises
    ------
    InputError
        If the suffix is none of these, or the file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise InputError(f"{target} cannot be written: tables end with {', '.join(TABLE_SUFFIXES)}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # VOTable knows no feet and no per cent; the units are written all the same
            table.write(target, format=_TABLE_FORMATS[suffix], overwrite=True)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}.") from error
    tell_written(target)
    return target


def _write_png(path: Path, size: tuple[int, int], paint: Callable[[QtGui.QPainter, QtCore.QRect], None]) -> bool:
    image = QtGui.QImage(size[0], size[1], QtGui.QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    return _paint(image, size, paint) and image.save(str(path))


def _write_pdf(path: Path, size: tuple[int, int], paint: Callable[[QtGui.QPainter, QtCore.QRect], None]) -> bool:
    writer = QtGui.QPdfWriter(str(path))
    writer.setResolution(_DOTS_PER_INCH)
    points = QtCore.QSizeF(*size) * 72 / _DOTS_PER_INCH
    writer.setPageSize(
        QtGui.QPageSize(points, QtGui.QPageSize.Unit.Point, "", QtGui.QPageSize.SizeMatchPolicy.ExactMatch)
    )
    writer.setPageMargins(QtCore.QMarginsF(0, 0, 0, 0))
    writer.setCreator("SOFIA Desk")
    return _paint(writer, size, paint)


def _write_svg(path: Path, size: tuple[int, int], paint: Callable[[QtGui.QPainter, QtCore.QRect], None]) -> bool:
    generator = QtSvg.QSvgGenerator()
    generator.setFileName(str(path))
    generator.setSize(QtCore.QSize(*size))
    generator.setViewBox(QtCore.QRect(0, 0, *size))
    generator.setTitle("SOFIA Desk")
    return _paint(generator, size, paint)


def _paint(
    device: QtGui.QPaintDevice, size: tuple[int, int], paint: Callable[[QtGui.QPainter, QtCore.QRect], None]
) -> bool:
    """Paint on a device; False if it cannot be painted on."""
    painter = QtGui.QPainter()
    if not painter.begin(device):
        return False
    paint(painter, QtCore.QRect(0, 0, *size))
    return painter.end()
