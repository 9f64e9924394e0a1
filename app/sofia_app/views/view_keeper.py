"""Keeps the views of a reduction in its session folder, and brings them back when the session is opened again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sofia_app.models.kept_regions import RegionSet, name_region_file, read_region_files, write_region_files
from sofia_app.models.products import OpenedState, open_state
from sofia_app.models.saved_views import Place, SavedPage, SavedViews
from sofia_app.models.viewer_kinds import VIEWERS
from sofia_app.views.quality_page import QualityPage
from sofia_app.views.viewer_page import ViewerPage
from sofia_viewers.qt import QtCore

if TYPE_CHECKING:
    from sofia_app.window import MainWindow

__all__ = ["ViewKeeper"]

_WITH_REGIONS = ("image", "cube")
"""Kinds of viewers on which regions are drawn."""
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
        self._written_regions: dict[str, RegionSet] = {}
        self._timer = QtCore.QTimer(self, interval=_INTERVAL)
        self._timer.timeout.connect(self.keep)

    def begin(self, session: str) -> None:
        """Keep the views of another session from now on; bring back those it had."""
        self._session, self._written, self._written_regions = "", None, {}
        self._timer.stop()
        if session:
            folder = Path(session)
            self._window.desk.tasks.submit(
                "views",
                lambda: (SavedViews.read(folder), read_region_files(folder)),
                lambda read: self._start(session, *read),
            )

    def keep(self, *, at_once: bool = False) -> None:
        """Write views and regions if they have changed; where that cannot be done, nothing is lost but they.

        Parameters
        ----------
        at_once : bool
            Write regions here and now, as the session or the program ends; else that is done in a thread.
        """
        snapshot = self._window.desk.reduction.snapshot
        if snapshot is None or snapshot.session != self._session or not Path(self._session).is_dir():
            return
        self._keep_regions(at_once=at_once)
        views = self.describe()
        if views == self._written:
            return
        try:
            views.write(Path(self._session))
        except OSError as error:
            self._window.desk.log_line("warning", f"The views cannot be kept: {error}.")
            self._timer.stop()
        self._written = views

    def _keep_regions(self, *, at_once: bool) -> None:
        changed = [found for found in self.list_regions() if found != self._written_regions.get(found.name)]
        if not changed:
            return
        self._written_regions |= {found.name: found for found in changed}
        folder, desk = Path(self._session), self._window.desk

        def fail(reason: str) -> None:
            desk.log_line("warning", f"The regions cannot be kept: {reason}.")

        if not at_once:
            desk.tasks.submit("regions", lambda: write_region_files(folder, changed), lambda _nothing: None, fail)
            return
        try:
            write_region_files(folder, changed)
        except OSError as error:
            fail(str(error))

    def list_regions(self) -> list[RegionSet]:
        """Return the regions of the views as they are; views of which that is not known yet are left out."""
        found = []
        for page, name in self._name_pages():
            described = _describe_regions(page)
            if described is not None:
                found.append(RegionSet(name, *described))
        return found

    def _name_pages(self) -> list[tuple[ViewerPage, str]]:
        """Return the pages whose views have regions, with the names of their files."""
        pages = [page for page in self._window.pages if page.is_kept and page.kind.name in _WITH_REGIONS]
        kinds = [page.kind.name for page in pages]
        return [
            (page, name_region_file(k, kinds[: n + 1].count(k)))
            for n, (page, k) in enumerate(zip(pages, kinds, strict=True))
        ]

    def describe(self) -> SavedViews:
        """Return the views as they are."""
        window = self._window
        seen: set[str] = set()
        pages: list[SavedPage] = []
        files = {id(page): name for page, name in self._name_pages()}
        for page in (page for page in window.pages if page.is_kept):
            name = page.kind.name
            state = page.shown.key if page.pinned else ""
            place = cast("Place", window.tabs.place_of(page))
            view = {key: value for key, value in page.view_state().items() if key != "regions" or name != "image"}
            regions = files.get(id(page), "")
            pages.append(SavedPage(name, place, page.pinned, state, view, name in seen, regions))
            seen.add(name)
        front = window.tabs.currentWidget()
        title = window.tabs.title_of(front) if front is not None else ""
        return SavedViews(tuple(pages), title, window.desk.selection["step"])

    # --- bringing back ---

    def _start(self, session: str, saved: SavedViews | None, regions: Mapping[str, str]) -> None:
        snapshot = self._window.desk.reduction.snapshot
        if snapshot is None or snapshot.session != session:
            return
        if saved is not None:
            self._restore(saved, regions)
        self._session = session
        self._timer.start()

    def _restore(self, saved: SavedViews, regions: Mapping[str, str]) -> None:
        window = self._window
        known = {kind.name: kind for kind in VIEWERS}
        for stored in saved.pages:
            page: ViewerPage | None
            if stored.is_clone and stored.kind in known:
                page = window.add_clone(known[stored.kind])
            else:
                page = next((page for page in window.pages if page.kind.name == stored.kind), None)
            if page is not None:
                self._restore_page(page, stored, regions.get(stored.regions))
        for view in window.tabs.views():
            if window.tabs.title_of(view) == saved.front:
                window.tabs.bring_up(view)
        if 0 <= saved.step < len(window.desk.reduction.steps):
            window.pipeline.select_step(saved.step)

    def _restore_page(self, page: ViewerPage, stored: SavedPage, regions: str | None) -> None:
        self._window.tabs.move(page, stored.place)
        if isinstance(page, QualityPage):
            return
        page.restore_view(stored.view, regions)
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


def _describe_regions(page: ViewerPage) -> tuple[Any, Any] | None:
    """Return the regions of a page and their coordinates; None if that is not known."""
    images = getattr(page.viewer, "images", page.viewer)  # those of a cube lie on its images
    if images is None or page.is_restoring:
        return None
    described: tuple[Any, Any] | None = images.describe_regions()
    return described
