"""One frame on the screen: the picture, what is drawn over it, and the mouse and keys that work on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sofia_viewers.colormaps import bend_table, make_color_table
from sofia_viewers.image.display import DisplayState, index_colors, make_stretch_table
from sofia_viewers.image.drawing import Drawing, Label, Mark, draw_regions
from sofia_viewers.image.frame import Frame, fetch_block
from sofia_viewers.image.geometry import Affine, BlockPlan, ViewState, plan_block
from sofia_viewers.image.regions import Region, Shape, make_region
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.tasks import Tasks
from sofia_viewers.theme import current_theme

__all__ = ["FrameView", "Tool", "paint_drawings", "thin_path"]

Tool = Literal["pan", "lasso"] | Shape
Point = tuple[float, float]

_WHEEL_STEP = 120.0
_ZOOM_STEP = 1.25
_GRIP = 7.0
_CONTRAST_SPAN = 4.0
_LASSO_STEP = 6.0
"""Screen pixels between corners of a shape that is drawn by hand."""

_PENS = {"solid": Qt.PenStyle.SolidLine, "dashed": Qt.PenStyle.DashLine, "dotted": Qt.PenStyle.DotLine}


@dataclass(frozen=True, eq=False)
class _Palette:
    """What turns values into colours: the table of levels, and the colours of the levels."""

    display: DisplayState
    table: NDArray[np.uint8]
    colors: list[int]

    @classmethod
    def of(cls, display: DisplayState, sample: NDArray[np.float32] | None = None) -> _Palette:
        table = bend_table(
            make_color_table(display.color_map, invert=display.invert), display.contrast, display.bias
        ).astype(np.uint32)
        opaque = 0xFF000000 | (table[:, 0] << 16) | (table[:, 1] << 8) | table[:, 2]
        return cls(display, make_stretch_table(display.stretch, sample, display.limits), [0, *opaque.tolist()])

    @property
    def key(self) -> tuple[Any, ...]:
        """What the indices depend on; the colours can change without computing them anew."""
        return self.display.limits, self.display.stretch


@dataclass
class _Picture:
    """Pixels in view, their colour indices, and the image Qt draws."""

    plan: BlockPlan
    block: NDArray[np.float32]
    indices: NDArray[np.uint8] | None = None
    image: QtGui.QImage | None = None
    palette: _Palette | None = None


@dataclass
class _Drag:
    """What the mouse is doing while a button is held."""

    kind: str
    start: QtCore.QPointF
    view: ViewState
    display: DisplayState
    region: tuple[str, Region] | None = None
    handle: int = -1
    path: list[Point] = field(default_factory=list)


class FrameView(QtWidgets.QWidget):
    """Shows one frame.

    The state comes in through the ``set_...`` methods; what the user does goes out through signals.

    Parameters
    ----------
    tasks : Tasks
        Reads pixels of memory-mapped files off the GUI thread.
    parent : QWidget, optional
        Owner.
    """

    cursor_moved = Signal(float, float)
    cursor_left = Signal()
    view_changed = Signal(object)
    contrast_changed = Signal(float, float)
    activated = Signal()
    key_pressed = Signal(str, float, float)
    region_drawn = Signal(object)
    region_edited = Signal(str, object, bool)
    region_selected = Signal(str)
    swipe_moved = Signal(float)

    def __init__(self, tasks: Tasks, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._key = f"block {id(self)}"
        self.frame: Frame | None = None
        self.display = DisplayState()
        self.placement = Affine()
        self.view = ViewState()
        self.tool: Tool = "pan"
        self.region_color = "#00c853"
        self.cursor_pixel: Point | None = None
        self.crosshair: Point | None = None
        self._palette = _Palette.of(self.display)
        self._pictures: dict[int, _Picture] = {}
        self._awaited: dict[int, BlockPlan] = {}
        self._second: tuple[Frame, _Palette, Affine, float] | None = None
        self._layers: dict[str, tuple[Drawing, ...]] = {}
        self._corners: dict[str, Callable[[QtGui.QPainter, Affine, QtCore.QRect], None]] = {}
        self._regions: dict[str, Region] = {}
        self._selected = ""
        self._drawn: Region | None = None
        self._drag: _Drag | None = None
        self._message = ""
        self._flags: tuple[NDArray[np.uint8], QtGui.QImage] | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(120, 90)
        self.setAccessibleName("Image")
        self.setCursor(Qt.CursorShape.CrossCursor)

    # -- state ------------------------------------------------------------------------------------------------------

    @property
    def pixel_to_screen(self) -> Affine:
        """Map from pixels of the frame to this widget."""
        return self._to_screen(self.size(), self.placement)

    @property
    def is_drawn(self) -> bool:
        """Whether no pixels are being read."""
        return not self._awaited

    @property
    def shown_drawings(self) -> Mapping[str, tuple[Drawing, ...]]:
        """What is drawn over the image, by layer."""
        return dict(self._layers)

    @property
    def shown_regions(self) -> Mapping[str, Region]:
        """The regions, by their identifier."""
        return dict(self._regions)

    def set_frame(self, frame: Frame | None, message: str = "") -> None:
        """Show a frame, or a message in its place."""
        if frame is not self.frame:
            self._pictures.clear()
            self._awaited.clear()
        self.frame = frame
        self._message = message
        self.setAccessibleDescription(frame.title if frame else message)
        self.update()

    def set_display(self, display: DisplayState, sample: NDArray[np.float32] | None = None) -> None:
        """Set limits, stretch and colours; `sample` is needed for the stretch by histogram."""
        palette = _Palette.of(display, sample)
        if palette.key != self._palette.key or display.stretch == "histeq":
            for picture in self._pictures.values():
                picture.indices = None
        self._palette = palette
        self.display = display
        self.update()

    def set_view(self, view: ViewState) -> None:
        """Set the part of the display plane that is shown."""
        self.view = view
        self.update()

    def set_placement(self, placement: Affine) -> None:
        """Set where the pixels of the frame lie in the display plane."""
        self.placement = placement
        self.update()

    def set_layer(self, name: str, drawings: Sequence[Drawing]) -> None:
        """Set what a named layer draws over the image; nothing removes it."""
        if drawings:
            self._layers[name] = tuple(drawings)
        else:
            self._layers.pop(name, None)
        self.update()

    def set_flags(self, categories: NDArray[np.uint8] | None, colors: Sequence[str] = ()) -> None:
        """Paint the pixels of category 1, 2, ... in these colours; None removes them."""
        self._flags = None
        if categories is not None:
            rows, columns = categories.shape
            padded = np.zeros((rows, -(-columns // 4) * 4), dtype=np.uint8)
            padded[:, :columns] = categories
            image = _wrap_padded(padded[:, :columns])
            image.setColorTable([0, *(QtGui.QColor(color).rgba() for color in colors)])
            self._flags = (padded, image)
        self.update()

    @property
    def shows_flags(self) -> bool:
        """Whether flagged pixels are painted."""
        return self._flags is not None

    def set_corner(self, name: str, paint: Callable[[QtGui.QPainter, Affine, QtCore.QRect], None] | None) -> None:
        """Set a function that paints something fixed to the view (compass, scale bar, beam, legend), or remove it."""
        if paint is None:
            self._corners.pop(name, None)
        else:
            self._corners[name] = paint
        self.update()

    @property
    def shown_corners(self) -> tuple[str, ...]:
        """Names of what is painted fixed to the view."""
        return tuple(self._corners)

    def set_regions(self, regions: Mapping[str, Region], selected: str = "") -> None:
        """Set the regions, by identifier, and which one is selected."""
        self._regions = dict(regions)
        self._selected = selected
        self.update()

    def set_second(self, frame: Frame | None, display: DisplayState, placement: Affine, split: float = 0.5) -> None:
        """Show another frame right of a line at the fraction `split` of the width (swipe); None to stop."""
        if self._second is None or self._second[0] is not frame or self._second[1].display != display:
            self._pictures.pop(1, None)
        self._second = None if frame is None else (frame, _Palette.of(display), placement, split)
        self.update()

    def set_crosshair(self, pixel: Point | None) -> None:
        """Show the place of the cursor of another, locked frame."""
        if pixel != self.crosshair:
            self.crosshair = pixel
            self.update()

    def fit(self) -> ViewState:
        """Return the view that shows the whole frame."""
        if self.frame is None:
            return self.view
        rows, columns = self.frame.shape
        corners = [(x, y) for x in (-0.5, columns - 0.5) for y in (-0.5, rows - 0.5)]
        return ViewState.fit(self.placement(corners), (self.width(), self.height()))

    def pixel_at(self, position: QtCore.QPointF) -> Point:
        """Return the pixel under a point of the widget."""
        return self.pixel_to_screen.inverse().map(position.x(), position.y())

    # -- painting ---------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name and signature
        """Paint the view."""
        painter = QtGui.QPainter(self)
        self.paint(painter, self.rect())
        if self.hasFocus():
            painter.setPen(QtGui.QColor(current_theme().accent))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def paint(self, painter: QtGui.QPainter, rect: QtCore.QRect, *, wait: bool = False) -> None:
        """Paint the view into a rectangle of any device.

        Parameters
        ----------
        painter : QPainter
            Of a widget, an image, or a page.
        rect : QRect
            Where; the part of the sky shown is that of the widget, scaled to fit.
        wait : bool
            Read pixels at once even if they are on disk.
        """
        painter.save()
        painter.setClipRect(rect)
        painter.fillRect(rect, QtGui.QColor(current_theme().canvas))
        if self.frame is None:
            self._paint_message(painter, rect)
        else:
            self._paint_frame(painter, rect, wait)
        painter.restore()

    def _paint_frame(self, painter: QtGui.QPainter, rect: QtCore.QRect, wait: bool) -> None:
        factor = min(rect.width() / max(self.width(), 1), rect.height() / max(self.height(), 1))
        shown = replace(self.view, zoom=self.view.zoom * factor)
        to_screen = shown.to_screen((rect.width(), rect.height())).after(self.placement)
        painter.translate(rect.topLeft())
        inner = QtCore.QRect(QtCore.QPoint(0, 0), rect.size())
        self._paint_picture(painter, 0, self.frame, to_screen, inner, wait)
        if self._flags is not None:
            _paint_image(painter, self._flags[1], to_screen)
        if self._second is not None:
            self._paint_second(painter, shown, inner, wait)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        for drawings in (*self._layers.values(), self._draw_regions()):
            paint_drawings(painter, drawings, to_screen)
        for paint in self._corners.values():
            painter.save()
            paint(painter, to_screen, inner)
            painter.restore()

    def _draw_regions(self) -> list[Drawing]:
        selected = [region for key, region in self._regions.items() if key == self._selected]
        drawings = draw_regions(self._regions.values(), selected)
        if self._drawn is not None:
            drawings += draw_regions([self._drawn], [self._drawn])
        drawings += [_draw_handles(region) for region in selected]
        if self.crosshair is not None:
            drawings.append(Drawing(current_theme().accent, marks=(Mark(self.crosshair, "cross", 18),)))
        return drawings

    def _paint_second(self, painter: QtGui.QPainter, shown: ViewState, rect: QtCore.QRect, wait: bool) -> None:
        assert self._second is not None
        frame, _, placement, split = self._second
        edge = round(split * rect.width())
        painter.save()
        painter.setClipRect(rect.adjusted(edge, 0, 0, 0), Qt.ClipOperation.IntersectClip)
        painter.fillRect(rect, QtGui.QColor(current_theme().canvas))
        to_screen = shown.to_screen((rect.width(), rect.height())).after(placement)
        self._paint_picture(painter, 1, frame, to_screen, rect, wait)
        painter.restore()
        painter.setPen(QtGui.QPen(QtGui.QColor(current_theme().accent), 2))
        painter.drawLine(edge, 0, edge, rect.height())

    def _paint_message(self, painter: QtGui.QPainter, rect: QtCore.QRect) -> None:
        painter.setPen(QtGui.QColor(current_theme().muted))
        area = rect.adjusted(16, 16, -16, -16)
        painter.drawText(area, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWrapAnywhere, self._message)

    def _paint_picture(
        self, painter: QtGui.QPainter, slot: int, frame: Frame | None, to_screen: Affine, rect: QtCore.QRect, wait: bool
    ) -> None:
        assert frame is not None
        size = (rect.width(), rect.height())
        needed = plan_block(frame.shape, to_screen, size, margin=0.0)
        if needed.is_empty:
            return
        picture = self._pictures.get(slot)
        awaited = self._awaited.get(slot)
        missing = picture is None or not picture.plan.covers(needed)
        if missing and (wait or awaited is None or not awaited.covers(needed)):
            self._fetch(slot, frame, plan_block(frame.shape, to_screen, size), wait)
        picture = self._pictures.get(slot)
        if picture is None:
            return
        place = Affine(picture.plan.step, 0, 0, picture.plan.step, *_first_pixel(picture.plan))
        palette = self._second[1] if slot and self._second is not None else self._palette
        _paint_image(painter, self._color(picture, palette), to_screen.after(place))

    def _fetch(self, slot: int, frame: Frame, plan: BlockPlan, wait: bool) -> None:
        def work() -> _Picture:
            return _Picture(plan, fetch_block(frame, (plan.rows, plan.columns), plan.step))

        def done(picture: _Picture) -> None:
            self._awaited.pop(slot, None)
            if slot or frame is self.frame:
                self._pictures[slot] = picture
                self.update()

        def failed(message: str) -> None:
            self._awaited.pop(slot, None)
            self._tasks.failed.emit(message)

        if wait or not frame.plane.is_mapped:
            self._pictures[slot] = work()
        else:
            self._awaited[slot] = plan
            self._tasks.submit(f"{self._key} {slot}", work, done, failed)

    def drop_requests(self) -> None:
        """Wait for no pixels any more; call it before the view is deleted."""
        for slot in (0, 1):
            self._tasks.drop(f"{self._key} {slot}")
        self._awaited.clear()

    def _color(self, picture: _Picture, palette: _Palette) -> QtGui.QImage:
        if picture.indices is None:
            picture.indices = index_colors(picture.block, palette.display.limits, palette.table)
            picture.image = _wrap_padded(picture.indices)
            picture.palette = None
        assert picture.image is not None
        if picture.palette is not palette:
            picture.image.setColorTable(palette.colors)
            picture.palette = palette
        return picture.image

    def _to_screen(self, size: QtCore.QSize, placement: Affine) -> Affine:
        return self.view.to_screen((size.width(), size.height())).after(placement)

    # -- mouse ------------------------------------------------------------------------------------------------------

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:  # noqa: N802
        """Zoom at the cursor."""
        turn = event.angleDelta().y() / _WHEEL_STEP
        point = self._plane_point(event.position())
        self._change_view(self.view.zoomed_at(point, _ZOOM_STEP**turn))
        event.accept()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:  # noqa: N802
        """Begin to pan, draw, edit, or change the contrast; the middle button centres."""
        self.setFocus()
        self.activated.emit()
        if self.frame is None:
            return
        button = event.button()
        if button == Qt.MouseButton.MiddleButton:
            self._change_view(replace(self.view, center=self._plane_point(event.position())))
        elif button == Qt.MouseButton.RightButton:
            self._drag = _Drag("contrast", event.position(), self.view, self.display)
        elif button == Qt.MouseButton.LeftButton:
            self._drag = self._begin_drag(event.position())

    def _begin_drag(self, position: QtCore.QPointF) -> _Drag:
        drag = _Drag("pan", position, self.view, self.display)
        if self._second is not None and abs(position.x() - self._second[3] * self.width()) < _GRIP:
            return replace(drag, kind="swipe")
        if self.tool != "pan":
            return replace(drag, kind="draw")
        key, handle = self._hit(position)
        if key:
            self.region_selected.emit(key)
            return replace(drag, kind="edit", region=(key, self._regions[key]), handle=handle)
        if self._selected:
            self.region_selected.emit("")
        return drag

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:  # noqa: N802
        """Follow the cursor."""
        if self.frame is None:
            return
        position = event.position()
        self.cursor_pixel = self.pixel_at(position)
        self.cursor_moved.emit(*self.cursor_pixel)
        if self._drag is not None:
            self._continue_drag(self._drag, position)

    def _continue_drag(self, drag: _Drag, position: QtCore.QPointF) -> None:
        dx, dy = position.x() - drag.start.x(), position.y() - drag.start.y()
        if drag.kind == "pan":
            self._change_view(drag.view.panned(dx, dy))
        elif drag.kind == "contrast":
            contrast = drag.display.contrast * math.exp(-_CONTRAST_SPAN * dy / max(self.height(), 1))
            bias = drag.display.bias + dx / max(self.width(), 1)
            self.contrast_changed.emit(min(max(contrast, 0.05), 20.0), min(max(bias, 0.0), 1.0))
        elif drag.kind == "swipe" and self._second is not None:
            self.swipe_moved.emit(min(max(position.x() / max(self.width(), 1), 0.02), 0.98))
        elif drag.kind == "draw":
            self._drawn = self._draw_region(drag, position)
            self.update()
        elif drag.region is not None:
            self.region_edited.emit(drag.region[0], self._edit_region(drag, position), False)

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:  # noqa: N802
        """End what the button began."""
        drag, self._drag = self._drag, None
        if drag is None:
            return
        moved = (event.position() - drag.start).manhattanLength() > 2
        if drag.kind == "draw":
            self._drawn = None
            if moved or self.tool == "point":
                self.region_drawn.emit(self._draw_region(drag, event.position()))
            self.update()
        elif drag.kind == "edit" and drag.region is not None and moved:
            self.region_edited.emit(drag.region[0], self._edit_region(drag, event.position()), True)

    def mouseDoubleClickEvent(self, event: QtGui.QMouseEvent) -> None:  # noqa: N802
        """Add a corner to a polygon."""
        key, handle = self._hit(event.position())
        if key and handle < 0 and self._regions[key].shape == "polygon":
            self.region_edited.emit(key, self._regions[key].with_corner(self.pixel_at(event.position())), True)

    def leaveEvent(self, event: QtCore.QEvent) -> None:  # noqa: N802, ARG002
        """Forget the cursor."""
        self.cursor_pixel = None
        self.cursor_left.emit()

    def _draw_region(self, drag: _Drag, position: QtCore.QPointF) -> Region:
        assert self.tool != "pan"
        if self.tool == "lasso":
            drag.path.append(self.pixel_at(position))
            corners = thin_path((self.pixel_at(drag.start), *drag.path), _LASSO_STEP / self.pixel_to_screen.scale)
            return Region("polygon", corners, color=self.region_color)
        return make_region(self.tool, self.pixel_at(drag.start), self.pixel_at(position), color=self.region_color)

    def _edit_region(self, drag: _Drag, position: QtCore.QPointF) -> Region:
        assert drag.region is not None
        region = drag.region[1]
        to = self.pixel_at(position)
        if drag.handle >= 0:
            return region.with_handle(drag.handle, to)
        start = self.pixel_at(drag.start)
        return region.moved(to[0] - start[0], to[1] - start[1])

    def _hit(self, position: QtCore.QPointF) -> tuple[str, int]:
        """Return the region under a point, and its handle if the point is on one."""
        to_screen = self.pixel_to_screen
        selected = self._regions.get(self._selected)
        for index, handle in enumerate(selected.handles() if selected else ()):
            x, y = to_screen.map(*handle)
            if math.hypot(x - position.x(), y - position.y()) <= _GRIP:
                return self._selected, index
        pixel = self.pixel_at(position)
        for key, region in reversed(list(self._regions.items())):
            near = region.distance(*pixel) * to_screen.scale <= _GRIP
            if near or (key == self._selected and bool(region.contains(*pixel))):
                return key, -1
        return "", -1

    def _plane_point(self, position: QtCore.QPointF) -> Point:
        return self.view.to_screen((self.width(), self.height())).inverse().map(position.x(), position.y())

    def _change_view(self, view: ViewState) -> None:
        self.set_view(view)
        self.view_changed.emit(view)

    # -- keys -------------------------------------------------------------------------------------------------------

    def event(self, event: QtCore.QEvent) -> bool:
        """Take Tab before Qt moves the focus with it: it steps through the frames."""
        pressed = isinstance(event, QtGui.QKeyEvent) and event.type() == QtCore.QEvent.Type.KeyPress
        if isinstance(event, QtGui.QKeyEvent) and pressed and event.key() in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
            self._emit_key("backtab" if event.key() == Qt.Key.Key_Backtab else "tab")
            return True
        return super().event(event)

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: N802
        """Move the cursor with the arrows; hand other keys to the viewer."""
        arrows = {
            Qt.Key.Key_Left: (-1, 0),
            Qt.Key.Key_Right: (1, 0),
            Qt.Key.Key_Up: (0, 1),
            Qt.Key.Key_Down: (0, -1),
        }
        named = {
            Qt.Key.Key_Delete: "delete",
            Qt.Key.Key_Backspace: "delete",
            Qt.Key.Key_Escape: "escape",
            Qt.Key.Key_Plus: "+",
            Qt.Key.Key_Equal: "+",
            Qt.Key.Key_Minus: "-",
        }
        key = Qt.Key(event.key())
        modified = event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier)
        if key in arrows and self.frame is not None:
            self._move_cursor(*arrows[key])
        elif key in named:
            self._emit_key(named[key])
        elif not modified and event.text().strip():
            self._emit_key(event.text())
        else:
            super().keyPressEvent(event)

    def _emit_key(self, key: str) -> None:
        x, y = self.cursor_pixel or self._middle()
        self.key_pressed.emit(key, x, y)

    def _move_cursor(self, right: int, up: int) -> None:
        """Move by one pixel in the direction of the screen that is nearest to an axis of the image."""
        affine = self.pixel_to_screen
        horizontal = abs(affine.xx) >= abs(affine.xy)
        x_sign = np.sign(affine.xx if horizontal else affine.xy)
        y_sign = -np.sign(affine.yy if horizontal else affine.yx)
        step = (right * x_sign, up * y_sign) if horizontal else (up * y_sign, right * x_sign)
        x, y = self.cursor_pixel or self._middle()
        self.cursor_pixel = (round(x) + float(step[0]), round(y) + float(step[1]))
        QtGui.QCursor.setPos(self.mapToGlobal(QtCore.QPointF(*affine.map(*self.cursor_pixel)).toPoint()))
        self.crosshair = self.cursor_pixel
        self.cursor_moved.emit(*self.cursor_pixel)
        self.update()

    def _middle(self) -> Point:
        return self.pixel_at(QtCore.QPointF(self.width() / 2, self.height() / 2))


def thin_path(path: Sequence[Point], distance: float) -> tuple[Point, ...]:
    """Return the points of a path that are so far apart, with its last one; three at least."""
    kept = [path[0]]
    for point in path[1:]:
        if math.dist(point, kept[-1]) >= distance:
            kept.append(point)
    if kept[-1] != path[-1]:
        kept.append(path[-1])
    while len(kept) < 3:
        kept.append(kept[-1])
    return tuple(kept)


def paint_drawings(painter: QtGui.QPainter, drawings: Sequence[Drawing], to_screen: Affine) -> None:
    """Paint lines, symbols and texts; `to_screen` maps pixels to the painter's coordinates."""
    for drawing in drawings:
        color = QtGui.QColor(drawing.color)
        painter.setPen(QtGui.QPen(color, drawing.width, _PENS[drawing.style]))
        painter.setBrush(QtGui.QColor(drawing.fill) if drawing.fill else Qt.BrushStyle.NoBrush)
        for line in drawing.lines:
            polygon = QtGui.QPolygonF([QtCore.QPointF(x, y) for x, y in to_screen(line)])
            (painter.drawPolygon if drawing.fill else painter.drawPolyline)(polygon)
        if drawing.segments is not None and len(drawing.segments):
            ends = to_screen(drawing.segments).reshape(-1, 4)
            painter.drawLines([QtCore.QLineF(*end) for end in ends.tolist()])
        painter.setPen(QtGui.QPen(color, drawing.width))
        for mark in drawing.marks:
            _paint_mark(painter, mark, to_screen)
        for label in drawing.labels:
            _paint_label(painter, label, to_screen, color)


def _paint_mark(painter: QtGui.QPainter, mark: Mark, to_screen: Affine) -> None:
    x, y = to_screen.map(*mark.at)
    half = mark.size / 2
    line = QtCore.QLineF
    if mark.symbol == "cross":
        painter.drawLines([line(x - half, y, x + half, y), line(x, y - half, x, y + half)])
    elif mark.symbol == "x":
        painter.drawLines([line(x - half, y - half, x + half, y + half), line(x - half, y + half, x + half, y - half)])
    elif mark.symbol == "circle":
        painter.drawEllipse(QtCore.QPointF(x, y), half, half)
    elif mark.symbol == "diamond":
        corners = [(x, y - half), (x + half, y), (x, y + half), (x - half, y)]
        painter.drawPolygon(QtGui.QPolygonF([QtCore.QPointF(*c) for c in corners]))
    else:
        painter.drawRect(QtCore.QRectF(x - half, y - half, 2 * half, 2 * half))


def _paint_label(painter: QtGui.QPainter, label: Label, to_screen: Affine, color: QtGui.QColor) -> None:
    x, y = to_screen.map(*label.at)
    metrics = QtGui.QFontMetricsF(painter.font(), painter.device())
    width, height = metrics.horizontalAdvance(label.text), metrics.height()
    left = x + label.offset[0] - label.anchor[0] * width
    top = y + label.offset[1] - label.anchor[1] * height
    theme = current_theme()
    painter.setPen(QtGui.QColor(theme.canvas))
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        painter.drawText(QtCore.QPointF(left + dx, top + dy + metrics.ascent()), label.text)
    painter.setPen(color)
    painter.drawText(QtCore.QPointF(left, top + metrics.ascent()), label.text)


def _draw_handles(region: Region) -> Drawing:
    theme = current_theme()
    marks = tuple(Mark(handle, "box", _GRIP) for handle in region.handles())
    return Drawing(region.color, marks=marks, width=1.0, fill=theme.canvas)


def _wrap_padded(indices: NDArray[np.uint8]) -> QtGui.QImage:
    rows, columns = indices.shape
    whole: Any = indices.base if indices.base is not None else indices
    return QtGui.QImage(whole.data, columns, rows, indices.strides[0], QtGui.QImage.Format.Format_Indexed8)


def _first_pixel(plan: BlockPlan) -> Point:
    """Return the centre of the first averaged pixel of a block."""
    shift = (plan.step - 1) / 2
    return plan.columns.start + shift, plan.rows.start + shift


def _paint_image(painter: QtGui.QPainter, image: QtGui.QImage, to_screen: Affine) -> None:
    painter.save()
    painter.setTransform(_to_transform(to_screen), combine=True)
    painter.drawImage(QtCore.QRectF(-0.5, -0.5, image.width(), image.height()), image)
    painter.restore()


def _to_transform(affine: Affine) -> QtGui.QTransform:
    return QtGui.QTransform(affine.xx, affine.yx, affine.xy, affine.yy, affine.x0, affine.y0)
