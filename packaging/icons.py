"""The icon of the program in the forms that Windows and macOS want, drawn from the SVG: ``icons.py SVG TARGET``.

Run with the Python of the environment that the program is made from, which has Qt and Pillow.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

SIZE = 1024


def main(source: Path, target: Path) -> None:
    """Write an .ico or .icns file."""
    from PIL import Image

    image = Image.open(io.BytesIO(draw(source)))
    sizes = {"sizes": [(size, size) for size in (16, 24, 32, 48, 64, 128, 256)]} if target.suffix == ".ico" else {}
    target.parent.mkdir(parents=True, exist_ok=True)
    image.save(target, **sizes)


def draw(source: Path) -> bytes:
    """Return the picture as PNG."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6 import QtCore, QtGui, QtSvg

    picture = QtGui.QImage(SIZE, SIZE, QtGui.QImage.Format.Format_ARGB32)
    picture.fill(0)
    painter = QtGui.QPainter(picture)
    QtSvg.QSvgRenderer(str(source)).render(painter)
    painter.end()
    buffer = QtCore.QBuffer()
    buffer.open(QtCore.QIODevice.OpenModeFlag.WriteOnly)
    picture.save(buffer, "PNG")
    return bytes(buffer.data().data())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
