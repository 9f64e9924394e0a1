"""Names of files in lists: cut at their beginning, because those of one observation differ at the end."""

from __future__ import annotations

from typing import Any

from sofia_viewers.qt import Qt, QtCore, QtWidgets

__all__ = ["NameDelegate"]


class NameDelegate(QtWidgets.QStyledItemDelegate):
    """Draws a column of names of files; headings of groups, which have lines below them, are cut at their end."""

    def initStyleOption(self, option: Any, index: Any) -> None:  # noqa: N802
        """Choose where the text of a line is cut if it is too long."""
        super().initStyleOption(option, index)
        model = index.model()
        is_flat = isinstance(model, QtCore.QAbstractTableModel | QtCore.QAbstractListModel)  # these cannot be asked
        is_heading = not is_flat and model.hasChildren(index)
        option.textElideMode = Qt.TextElideMode.ElideRight if is_heading else Qt.TextElideMode.ElideLeft
