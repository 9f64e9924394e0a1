"""The tab of slit spectra; what is in it is imported when there is something to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sofia_app.desk import Desk
from sofia_app.models.viewer_kinds import find_viewer
from sofia_app.views.viewer_page import ViewerPage
from sofia_engine.product import Product
from sofia_viewers.qt import Signal

__all__ = ["SlitPage"]


class SlitPage(ViewerPage):
    """As the pages of other viewers, but what it shows is tied to the steps that made it.

    Parameters
    ----------
    desk : Desk
        Holds the forms, and runs steps.

    Notes
    -----
    Signals: ``step_edited`` (position of the step whose parameters were set).
    """

    step_edited = Signal(int)

    def __init__(self, desk: Desk) -> None:
        super().__init__(find_viewer("slit"), desk.tasks)
        self._desk = desk

    def _make_viewer(self) -> Any:
        viewer = self.kind.load()(self._desk)
        viewer.step_edited.connect(self.step_edited)
        self.viewer = viewer
        self.addWidget(viewer)
        self.viewer_made.emit(viewer)
        return viewer

    def _hand_over(self, viewer: Any, products: Sequence[Product], names: Sequence[str]) -> None:  # noqa: ARG002 - it takes the whole state
        viewer.show_state(self.shown)
        self.setCurrentWidget(viewer)
