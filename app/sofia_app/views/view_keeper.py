"""Keeps the views of a reduction in its session folder, and brings them back when the session is opened again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from sofia_app.models.products import OpenedState, open_state
from sofia_app.models.saved_views import Place, SavedPage, SavedViews
from sofia_app.models.viewer_kinds import VIEWERS
from sofia_app.views.quality_page import QualityPage
from sofia_app.views.viewer_page import ViewerPage
from sofia_viewers.qt import QtCore

if TYPE_CHECKING:
    from sofia_app.window import MainWindow

__all__ = ["ViewKeeper"]

_INTERVAL = 5000
"""Milliseconds between two looks at whether something has changed."""


class ViewKeeper(QtCore.QObject):
    """Writes ``views.json`` when views have changed; reads it when a session is opened.

    Parameters
    ----------
    window : MainWindow
        Whose views.
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._session = ""
        self._written: SavedViews | None = None
        self._timer = QtCore.QTimer(self, interval=_INTERVAL)
        self._timer.timeout.connect(self.keep)

    def begin(self, session: str) -> None:
        """Keep the views of another session from now on; bring back those it had."""
        self._session, self._written = "", None
        self._timer.stop()
        if session:
            self._window.desk.tasks.submit(
                "views", lambda: SavedViews.read(Path(session)), lambda saved: self._start(session, saved)
            )

    def keep(self) -> None:
        """Write the views if they have changed; where that cannot be done, nothing is lost but the views."""
        snapshot = self._window.desk.reduction.snapshot
        if snapshot is None or snapshot.session != self._session or not Path(self._session).is_dir():
            return
        views = self.describe()
        if views == self._written:
            return
        try:
            views.write(Path(self._session))
        except OSError as error:
            self._window.desk.log_line("warning", f"The views cannot be kept: {error}.")
            self._timer.stop()
        self._written = views

    def describe(self) -> SavedViews:
        """Return the views as they are."""
        window = self._window
        seen: set[str] = set()
        pages: list[SavedPage] = []
        for page in (page for page in window.pages if page.is_kept):
            name = page.kind.name
            state = page.shown.key if page.pinned else ""
            place = cast("Place", window.tabs.place_of(page))
            pages.append(SavedPage(name, place, page.pinned, state, page.view_state(), name in seen))
            seen.add(name)
        front = window.tabs.currentWidget()
        title = window.tabs.title_of(front) if front is not None else ""
        return SavedViews(tuple(pages), title, window.desk.selection["step"])

    # --- bringing back ---

    def _start(self, session: str, saved: SavedViews | None) -> None:
        snapshot = self._window.desk.reduction.snapshot
        if snapshot is None or snapshot.session != session:
            return
        if saved is not None:
            self._restore(saved)
        self._session = session
        self._timer.start()

    def _restore(self, saved: SavedViews) -> None:
        window = self._window
        known = {kind.name: kind for kind in VIEWERS}
        for stored in saved.pages:
            page: ViewerPage | None
            if stored.is_clone and stored.kind in known:
                page = window.add_clone(known[stored.kind])
            else:
                page = next((page for page in window.pages if page.kind.name == stored.kind), None)
            if page is not None:
                self._restore_page(page, stored)
        for view in window.tabs.views():
            if window.tabs.title_of(view) == saved.front:
                window.tabs.bring_up(view)
        if 0 <= saved.step < len(window.desk.reduction.steps):
            window.pipeline.select_step(saved.step)

    def _restore_page(self, page: ViewerPage, stored: SavedPage) -> None:
        self._window.tabs.move(page, stored.place)
        if isinstance(page, QualityPage):
            return
        page.restore_view(stored.view)
        snapshot = self._window.desk.reduction.snapshot
        if not stored.pinned or not stored.state or snapshot is None:
            page.show_state(page.shown if page.shown.key else self._window.shown)
            return
        key = stored.state

        def show(opened: OpenedState) -> None:
            page.show_state(opened)
            page.set_pinned(True)

        record = self._window.desk.reduction.states.get(key)
        label = record.label if record is not None else "Inputs"
        self._window.desk.tasks.submit(
            f"restore {id(page)}",
            lambda: open_state(snapshot.session, snapshot.recipe, key, snapshot.inputs, label),
            show,
            lambda _reason: None,  # the state is gone: the view follows the reduction
        )
