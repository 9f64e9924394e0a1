"""What can be done with the viewer: each action declared once, for tool bars, keys and menus."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sofia_engine.errors import SofiaDeskError
from sofia_viewers.export import PICTURE_SUFFIXES
from sofia_viewers.image.frames import Arrangement, FrameSet
from sofia_viewers.image.regions import SHAPES
from sofia_viewers.image.widget import Tool
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from sofia_viewers.theme import icon

if TYPE_CHECKING:
    from sofia_viewers.image.viewer import ImageViewer

__all__ = ["ViewerActions"]

_ZOOM_STEP = 1.25
_FITS = "FITS (*.fits *.fits.gz)"
_NEED_IMAGE = (
    "copy", "copy picture", "code",
    "error", "exposure", "mask", "s/n", "photometry", "statistics", "profile", "cuts", "pixels", "clear", "save fits",
)  # fmt: skip


@dataclass(frozen=True)
class _Action:
    """Name, text, icon, key over an image, and what it does; ``on`` makes it a switch."""

    name: str
    text: str
    icon: str
    key: str
    run: Callable[..., Any]
    on: bool | None = None


class ViewerActions:
    """The actions of a viewer, by name.

    Parameters
    ----------
    viewer : ImageViewer
        What they act on.
    """

    def __init__(self, viewer: ImageViewer) -> None:
        self._viewer = viewer
        self.tool: Tool = "pan"
        self._keys: dict[str, QtGui.QAction] = {}
        self._icons: dict[str, str] = {}
        self.by_name: dict[str, QtGui.QAction] = {}
        self._groups: list[list[str]] = []
        for declarations in self._declare():
            self._groups.append([self._make(action) for action in declarations])
        self._tools = QtGui.QActionGroup(viewer)
        for name in ("pan", *SHAPES, "lasso"):
            self._tools.addAction(self._make_tool(name))
        self._add_keys()

    def press(self, key: str) -> bool:
        """Do what a key over an image stands for; False if it is none of these actions."""
        action = self._keys.get(key)
        if action is not None:
            action.trigger()
            return True
        other: dict[str, Callable[[], Any]] = {
            "backtab": lambda: self._viewer.step(-1),
            "delete": lambda: self._viewer.regions.remove(self._viewer.regions.selected),
            "escape": self._escape,
        }
        if key in other:
            other[key]()
        return key in other

    def describe_keys(self) -> list[tuple[str, str]]:
        """Return the keys over an image and what they do."""
        return [(key, action.iconText()) for key, action in self._keys.items()]

    def add_tool_bars(self, window: QtWidgets.QMainWindow) -> None:
        """Put the actions on tool bars: the view at the top, region tools at the left."""
        top = QtWidgets.QToolBar("View", window)
        top.setObjectName("image view tools")
        top.setIconSize(QtCore.QSize(20, 20))
        for names in self._groups:
            for name in names:
                top.addAction(self.by_name[name])
            top.addSeparator()
        window.addToolBar(Qt.ToolBarArea.TopToolBarArea, top)
        left = QtWidgets.QToolBar("Regions", window)
        left.setObjectName("image region tools")
        left.setIconSize(QtCore.QSize(20, 20))
        left.addActions(self._tools.actions())
        window.addToolBar(Qt.ToolBarArea.LeftToolBarArea, left)

    def show_frames(self, frames: FrameSet) -> None:
        """Make what applies to the frames available."""
        several = len(frames.entries) > 1
        for name in ("tile", "single", "blink", "previous", "next", "lock limits", "compare"):
            self.by_name[name].setEnabled(several)
        for name in ("fit", "zoom one", "zoom in", "zoom out", "export", "rotate", *_NEED_IMAGE):
            self.by_name[name].setEnabled(bool(frames.entries))
        on_sky = frames.entry is not None and frames.entry.frame.wcs is not None
        self.by_name["north up"].setEnabled(on_sky)
        self.show_arrangement(frames.arrangement)
        self._check("lock limits", frames.lock_limits)
        self._check("lock", frames.lock != "none")
        self._check("north up", frames.north_up)

    def show_arrangement(self, arrangement: Arrangement) -> None:
        """Mark how frames are shown."""
        for name in ("tile", "single", "blink"):
            self._check(name, name == arrangement)

    def show_side_panel(self, on: bool) -> None:
        """Mark whether the side panel is shown."""
        self._check("panel", on)

    def refresh_icons(self) -> None:
        """Draw the icons in the colour of the look."""
        for name, symbol in self._icons.items():
            self.by_name[name].setIcon(icon(symbol))

    def _declare(self) -> Iterable[Iterable[_Action]]:
        viewer = self._viewer
        panel = _Action(
            "panel",
            "Side panel: display, overlays, regions",
            "settings",
            "D",
            viewer.show_side_panel,
            on=True,
        )
        files = (
            panel,
            _Action("open", "Open files … (Ctrl+O)", "open", "", self._open),
            _Action("export", "Export picture … (Ctrl+E)", "export", "", self._export),
            _Action("save fits", "Save image and regions as FITS … (Ctrl+S)", "save", "", self._save_fits),
        )
        view = (
            _Action("fit", "Zoom to fit", "fit", "f", viewer.fit),
            _Action("zoom one", "One screen pixel per pixel", "zoom-one", "1", lambda: viewer.zoom_to(1.0)),
            _Action("zoom in", "Zoom in", "zoom-in", "+", lambda: viewer.zoom(_ZOOM_STEP)),
            _Action("zoom out", "Zoom out", "zoom-out", "-", lambda: viewer.zoom(1 / _ZOOM_STEP)),
            _Action("north up", "North up, east left", "north-up", "u", viewer.set_north_up, on=False),
            _Action("rotate", "Rotate by 90°", "rotate", "R", lambda: viewer.rotate(90.0)),
        )
        arrangement = (
            _Action("tile", "Tile frames", "tile", "t", lambda: viewer.arrange("tile"), on=True),
            _Action("single", "One frame at a time", "single", "1f", lambda: viewer.arrange("single"), on=False),
            _Action("blink", "Blink frames", "blink", "b", self._toggle_blink, on=False),
            _Action("previous", "Previous frame (Shift+Tab)", "previous", "", lambda: viewer.step(-1)),
            _Action("next", "Next frame", "next", "tab", lambda: viewer.step(1)),
            _Action("lock", "Lock frames by sky coordinates", "lock", "L", self._toggle_lock, on=True),
            _Action(
                "lock limits", "Same limits and colors in all frames", "histogram", "", viewer.set_lock_limits, on=False
            ),
            _Action("compare", "Compare with the next frame", "compare", "", self._compare),
        )
        planes = (
            _Action("error", "Error plane", "E", "e", lambda: viewer.show_companion("error")),
            _Action("exposure", "Exposure plane", "X", "x", lambda: viewer.show_companion("exposure")),
            _Action("mask", "Mask plane", "M", "m", lambda: viewer.show_companion("mask")),
            _Action("s/n", "Signal-to-noise", "N", "n", lambda: viewer.show_companion("s/n")),
        )
        examine = tuple(
            _Action(name, text, symbol, "", lambda key=key: self._examine(key))
            for name, text, symbol, key in (
                ("photometry", "Photometry at the cursor [a]", "photometry", "a"),
                ("statistics", "Statistics and histogram [s]", "histogram", "s"),
                ("profile", "Radial profile, encircled energy [r]", "profile", "r"),
                ("cuts", "Cuts along x and y [k]", "cut", "k"),
                ("pixels", "Pixel-to-pixel comparison [p]", "spectrum", "p"),
                ("clear", "Clear results and marks [c]", "reset", "c"),
            )
        )
        pin = (
            _Action("copy", "Copy what the read-out says", "copy", "C", viewer.copy_readout),
            _Action("copy picture", "Copy the picture", "image", "", viewer.copy_picture),
            _Action("code", "Show the code that draws this frame", "file", "", viewer.show_code),
            _Action("pin", "Keep these frames: do not replace them", "pin", "", self._pin, on=False),
        )
        return files, view, arrangement, planes, examine, pin

    def _make(self, declared: _Action) -> str:
        key = f" [{declared.key}]" if len(declared.key) == 1 else " [Tab]" if declared.key == "tab" else ""
        action = QtGui.QAction(declared.text + key, self._viewer)
        action.setIconText(declared.text)
        if len(declared.icon) > 1:
            action.setIcon(icon(declared.icon))
            self._icons[declared.name] = declared.icon
        else:
            action.setIconText(declared.icon)
        if declared.on is not None:
            action.setCheckable(True)
            action.setChecked(declared.on)
        switch = declared.on is not None and _takes_switch(declared.run)
        action.triggered.connect(lambda on: declared.run(on) if switch else declared.run())
        if len(declared.key) == 1 or declared.key == "tab":
            self._keys[declared.key] = action
        self.by_name[declared.name] = action
        return declared.name

    def _make_tool(self, name: str) -> QtGui.QAction:
        text = "Pan; choose and change regions" if name == "pan" else f"Draw a region: {name}"
        symbol = "pan" if name == "pan" else f"region-{name}"
        action = QtGui.QAction(icon(symbol), text, self._viewer)
        action.setCheckable(True)
        action.setChecked(name == "pan")
        action.triggered.connect(lambda: self.set_tool(name))  # type: ignore[arg-type]
        self.by_name[f"tool {name}"] = action
        self._icons[f"tool {name}"] = symbol
        return action

    def set_tool(self, tool: Tool) -> None:
        """Choose what dragging with the left button does."""
        self.tool = tool
        self.by_name[f"tool {tool}"].setChecked(True)
        for view in self._viewer.area.views.values():
            view.tool = tool

    def _add_keys(self) -> None:
        for name, key in (("open", "Ctrl+O"), ("export", "Ctrl+E"), ("save fits", "Ctrl+S")):
            self.by_name[name].setShortcut(key)
            self.by_name[name].setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            self._viewer.addAction(self.by_name[name])

    def _check(self, name: str, on: bool) -> None:
        with QtCore.QSignalBlocker(self.by_name[name]):
            self.by_name[name].setChecked(on)
        self.by_name[name].changed.emit()

    def _escape(self) -> None:
        self.set_tool("pan")
        self._viewer.regions.select("")

    def _toggle_blink(self) -> None:
        blinking = self._viewer.frames.arrangement == "blink"
        self._viewer.arrange("tile" if blinking else "blink")

    def _toggle_lock(self) -> None:
        preferred = self._viewer.display_settings.lock_image
        locked = self._viewer.frames.lock != "none"
        self._viewer.set_lock("none" if locked else preferred if preferred != "none" else "wcs")

    def _pin(self, on: bool) -> None:
        self._viewer.pinned = on

    def _examine(self, key: str) -> None:
        viewer = self._viewer
        entry = viewer.frames.entry
        if entry is not None:
            view = viewer.area.views[entry.key]
            x, y = view.cursor_pixel or view.pixel_at(QtCore.QPointF(view.width() / 2, view.height() / 2))
            viewer.examiner.press(key, entry.key, x, y)

    def _compare(self) -> None:
        menu = QtWidgets.QMenu(self._viewer)
        frames = self._viewer.frames
        first = frames.entry
        second = frames.stepped(1).entry
        if first is None or second is None:
            return
        for mode in ("side", "blink", "swipe", "difference", "ratio"):
            action = menu.addAction(mode.capitalize())
            action.triggered.connect(lambda _=False, m=mode: self._viewer.compare(first.key, second.key, m))
        menu.exec(QtGui.QCursor.pos())

    def _open(self) -> None:
        paths, _ = QtWidgets.QFileDialog.getOpenFileNames(
            self._viewer,
            "Open images",
            "",
            "FITS and regions (*.fits *.fits.gz *.fit *.fz *.FITS *.reg);;All files (*)",
        )
        if paths:
            self._viewer.open_files(paths)

    def _save_fits(self) -> None:
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self._viewer, "Save image and regions", "image.fits", _FITS)
        if path:
            self._viewer.save_fits(path)

    def _export(self) -> None:
        patterns = ";;".join(f"{suffix[1:].upper()} (*{suffix})" for suffix in PICTURE_SUFFIXES)
        path, chosen = QtWidgets.QFileDialog.getSaveFileName(self._viewer, "Export picture", "image.png", patterns)
        if not path:
            return
        if not Path(path).suffix:
            path += f".{chosen[:3].lower()}"
        try:
            self._viewer.export(path)
        except SofiaDeskError as error:
            self._viewer.say(str(error))


def _takes_switch(run: Callable[..., Any]) -> bool:
    """Tell whether an action wants to know if it was switched on."""
    code = getattr(run, "__code__", None)
    return code is not None and code.co_argcount - hasattr(run, "__self__") == 1
