"""Makes previews of the selected step: when values or the chosen part change, of the file or part that is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sofia_app.models.parameters import ParameterForm
from sofia_app.models.preview_part import make_part
from sofia_app.models.products import OpenedState
from sofia_app.worker.protocol import Part, Preview, PreviewFinished
from sofia_viewers.qt import QtCore

if TYPE_CHECKING:
    from sofia_app.window import MainWindow

__all__ = ["Previewer"]

_NO_IMAGE = "There is no image to choose a part of; the preview shows the whole file."
_DELAY = 300
"""Milliseconds without an edit before the preview is renewed."""


class Previewer(QtCore.QObject):
    """Asks for previews and shows them.

    Parameters
    ----------
    window : MainWindow
        Whose selected step is previewed, in whose image viewer parts are chosen.
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window, self._desk = window, window.desk
        self._product = 0
        self._part: Part | None = None
        self._form: ParameterForm | None = None
        self._corner: tuple[int, int] | None = None
        self._instead = ""
        self._watched: Any = None
        self._timer = QtCore.QTimer(self, singleShot=True, interval=_DELAY)
        self._timer.timeout.connect(self._preview_if_valid)
        self.bar = window.parameters.preview_bar
        self.bar.chosen.connect(self._take_choice)
        window.qactions["toggle_live_preview"].toggled.connect(self._take_switch)
        window.parameters.edited.connect(self._renew)
        self._desk.preview_finished.connect(self._show)
        self._desk.reduction_opened.connect(self._forget)

    @property
    def is_shown(self) -> bool:
        """Whether a preview is what the viewers show."""
        return self._window.shown.kind == "preview"

    def preview(self) -> None:
        """Try the edited values of the selected step."""
        form, index = self._window.parameters.form, self._desk.selection["step"]
        if form is None:
            return
        if not form.is_valid:
            self._desk.status.emit("A value is not allowed; there is nothing to preview.")
            return
        part, shows_image = self._find_part(), self._shows_image()
        if part is None and shows_image and self._desk.preferences.preview_of == "rectangle":
            self._ask_for_rectangle()
            return
        self._instead = "" if shows_image else _NO_IMAGE
        self._product, self._part, self._form = self._find_product(index), part, form
        changes = {form.step.parameters.info(name).key: value for name, value in form.changes().items()}
        self._desk.preview(index, changes, self._product, part)

    # --- what it is made of ---

    def _find_part(self) -> Part | None:
        """Return the part that is chosen; None for whole files, or if none is drawn."""
        choice = self._desk.preferences.preview_of
        viewer = self._window.image.viewer
        if choice == "file" or viewer is None or viewer.frames.entry is None:
            return None
        frame = viewer.frames.entry.frame
        if choice == "rectangle":
            self._watch(viewer)
            return make_part(frame, viewer.outline_rectangle())
        if self.is_shown and viewer.is_fitted and self._part is not None:
            return self._part  # nothing but the last preview is in view
        return make_part(frame, viewer.outline_view())

    def _shows_image(self) -> bool:
        """Tell whether the products shown have images, of which a part can be chosen."""
        image = self._window.image
        return image.viewer is not None and any(image.kind.suits(product) for product in self._window.shown.products)

    def _find_product(self, step: int) -> int:
        """Return the position of the input that is in view, or the one before, or the first."""
        shown, viewer = self._window.shown, self._window.image.viewer
        if self.is_shown:
            return self._product
        before = next((state for state in self._desk.reduction.path if state.index == step - 1), None)
        if before is None or viewer is None or viewer.frames.entry is None:
            return 0
        names = [product.name for product in shown.products]
        name = viewer.frames.entry.frame.file.name
        return names.index(name) if name in names and len(names) == len(before.products) else 0

    def _ask_for_rectangle(self) -> None:
        """Give the user the tool to draw one; the preview follows when it is drawn."""
        window = self._window
        self.bar.say("Draw a rectangle in the image; the preview shows what is in it.")
        if window.image.viewer is None:
            return
        window.bring_up("image")
        self._watch(window.image.viewer)
        window.image.viewer.commands.set_tool("box")

    def _watch(self, viewer: Any) -> None:
        if self._watched is not viewer:
            self._watched = viewer
            viewer.regions_changed.connect(self._follow_rectangle)

    def _follow_rectangle(self, _regions: Any) -> None:
        """Renew the preview when the rectangle was drawn, moved or resized."""
        preferences, form = self._desk.preferences, self._window.parameters.form
        if preferences.preview_of != "rectangle" or not preferences.live_preview or form is None:
            return
        part = self._find_part()
        if part is not None and not _is_same(part, self._part):
            self._timer.start()

    # --- when it is made ---

    def _take_choice(self) -> None:
        self._window.qactions["toggle_live_preview"].setChecked(self._desk.preferences.live_preview)
        if self._desk.preferences.live_preview:
            self._timer.start()

    def _take_switch(self, on: bool) -> None:
        self._desk.preferences.live_preview = on
        self.bar.refresh()
        if not on:
            self._timer.stop()
            self.bar.say("")
            if self.is_shown:
                self._desk.show_state(self._desk.shown_state)

    def _renew(self) -> None:
        form = self._window.parameters.form
        if not self._desk.preferences.live_preview or form is None:
            return
        is_taken_back = self.is_shown and form is self._form  # the value that is applied was entered again
        if form.is_edited or is_taken_back:
            self._timer.start()

    def _preview_if_valid(self) -> None:
        form, held = self._window.parameters.form, self._desk.conditions()
        idle = all(isinstance(command, Preview) for command in self._desk.pending_commands)
        if form is not None and form.is_valid and idle and "selected step" in held:
            self.preview()

    def _forget(self) -> None:
        self._product, self._part, self._form, self._corner = 0, None, None, None
        self.bar.say("")

    # --- showing ---

    def _show(self, message: PreviewFinished) -> None:
        instead = self._instead if self._desk.preferences.preview_of != "file" else ""
        self.bar.say(f"PREVIEW. {message.note or instead or f'All of {message.name}.'}")
        path, name, corner = Path(message.path), message.name, message.corner

        def done(opened: OpenedState) -> None:
            viewer = self._window.image.viewer
            if viewer is not None and corner != self._corner:
                viewer.fit()
            self._corner = corner
            self._window.show_state(opened)

        self._desk.tasks.submit("preview", lambda: _open(path, name), done)


def _open(path: Path, name: str) -> OpenedState:
    from sofia_engine.product import Product

    return OpenedState("preview", f"PREVIEW of {name}", (Product.read(path),), "preview")


def _is_same(part: Part, other: Part | None) -> bool:
    """Tell whether two parts are the same but for rounding."""
    if other is None or len(part.pixels) != len(other.pixels):
        return False
    pairs = zip(part.pixels, other.pixels, strict=True)
    return all(abs(a - b) < 1e-3 for mine, others in pairs for a, b in zip(mine, others, strict=True))
