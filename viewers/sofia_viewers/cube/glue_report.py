"""What a session of glue shows and can do, as plain values: by it tests see into the process of glue."""

from __future__ import annotations

from typing import Any

__all__ = ["describe_session"]


def describe_session(window: Any) -> dict[str, Any]:
    """Return what a window of glue shows, and what of glue is there.

    Parameters
    ----------
    window : GlueApplication
        The window.

    Returns
    -------
    dict
        ``data``: labels of the data sets; ``links``: their number; ``selections``: members in each data set, by the
        names of selections and labels of data sets; ``viewers``: labels of the layers of each viewer; ``passed``:
        members in each data set of a selection of the left half of the first one; ``plugins`` and ``kinds``: plugins
        that were loaded and viewers that can be opened; ``console``: whether there is one.
    """
    from glue.config import qt_client
    from glue.main import list_loaded_plugins

    collection = window.data_collection
    return {
        "data": [data.label for data in collection],
        "links": len(collection.external_links),
        "selections": {group.label: _count(collection, group.subset_state) for group in collection.subset_groups},
        "viewers": [[layer.layer.label for layer in viewer.layers] for tab in window.viewers for viewer in tab],
        "passed": _pass_selection(collection),
        "plugins": list_loaded_plugins(),
        "kinds": sorted(kind.__name__ for kind in qt_client),
        "console": window.has_terminal(),
    }


def _count(collection: Any, state: Any) -> dict[str, int]:
    """Return how many elements of each data set are selected, for those the selection says something about."""
    from glue.core.exceptions import IncompatibleAttribute

    found = {}
    for data in collection:
        try:
            found[data.label] = int(data.get_mask(state).sum())
        except IncompatibleAttribute:
            continue
    return found


def _pass_selection(collection: Any) -> dict[str, int]:
    from glue.core.roi import RectangularROI
    from glue.core.subset import RoiSubsetState

    first = next((data for data in collection if data.ndim > 1), None)
    if first is None:
        return {}
    *_, height, width = first.shape
    y, x = first.pixel_component_ids[-2:]
    return _count(collection, RoiSubsetState(x, y, RectangularROI(-1, width / 2, -1, height + 1)))
