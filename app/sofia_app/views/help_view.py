"""Help on a step: what the manual says of it, and what its parameters mean; and all pages of the manual, offline."""

from __future__ import annotations

import html
import inspect

from sofia_app.models.manual import find_section, list_pages, read_page
from sofia_app.models.parameters import format_value
from sofia_app.views.buttons import make_button
from sofia_engine.pipeline.parameters import ParameterInfo
from sofia_engine.pipeline.step import Step
from sofia_viewers.qt import QtCore, QtGui, QtWidgets

__all__ = ["HelpView", "format_help"]


class HelpView(QtWidgets.QWidget):
    """Shows the help on one step, and the pages of the manual that it leads to."""

    def __init__(self) -> None:
        super().__init__()
        self._past: list[tuple[str, Step | None, str]] = []
        self._shown: tuple[str, Step | None, str] = ("step", None, "")
        self.text = QtWidgets.QTextBrowser()
        self.text.setAccessibleName("Help")
        self.text.setOpenLinks(False)
        self.text.anchorClicked.connect(self._follow)
        self.search = QtWidgets.QLineEdit(placeholderText="Find in the text")
        self.search.setClearButtonEnabled(True)
        self.search.returnPressed.connect(self._find)
        self.back = make_button("Back", self.go_back)
        contents = make_button("Contents of the manual", self.show_contents)
        row = QtWidgets.QHBoxLayout()
        for widget in (self.back, contents):
            row.addWidget(widget)
        row.addStretch()
        row.addWidget(self.search)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row)
        layout.addWidget(self.text)
        self.setFocusProxy(self.text)
        self.show_step(None)

    def toPlainText(self) -> str:  # noqa: N802 - the name it has in Qt's own text views
        """Return the text that is shown."""
        return self.text.toPlainText()

    def show_step(self, step: Step | None, recipe: str = "") -> None:
        """Show the help on a step."""
        self._past.clear()
        self._show("step", step, recipe)

    def show_page(self, page: str) -> None:
        """Show a page of the manual; one that is not there leaves everything as it was."""
        if read_page(page):
            self._past.append(self._shown)
            self._show("page", None, page)

    def show_contents(self) -> None:
        """List all pages of the manual."""
        self._past.append(self._shown)
        self._show("contents", None, "")

    def go_back(self) -> None:
        """Show what was shown before."""
        if self._past:
            self._show(*self._past.pop())

    def _show(self, what: str, step: Step | None, name: str) -> None:
        self._shown = (what, step, name)
        if what == "page":
            self.text.setMarkdown(read_page(name))
        elif what == "contents":
            self.text.setMarkdown(_list_contents())
        else:
            empty = "<p>Select a step and press F1.</p>"
            self.text.setHtml(format_help(step, name) if step is not None else empty)
        self.text.moveCursor(QtGui.QTextCursor.MoveOperation.Start)
        self.back.setEnabled(bool(self._past))

    def _follow(self, url: QtCore.QUrl) -> None:
        if url.scheme() == "manual":
            self.show_page(url.path())
        else:
            QtGui.QDesktopServices.openUrl(url)

    def _find(self) -> None:
        words = self.search.text()
        if words and not self.text.find(words):
            self.text.moveCursor(QtGui.QTextCursor.MoveOperation.Start)
            self.text.find(words)


def _list_contents() -> str:
    lines = ["# Manual", ""]
    for page in list_pages():
        title = next((line.lstrip("# ") for line in read_page(page).splitlines() if line.startswith("#")), page)
        lines.append(f"- [{title}](manual:{page})")
    return "\n".join(lines)


def format_help(step: Step, recipe: str = "") -> str:
    """Return the help on a step as HTML: the manual's section on it, or what its code says, and its parameters.

    Parameters
    ----------
    step : Step
        The step.
    recipe : str
        Name of the recipe it stands in.
    """
    section = find_section(step, recipe)
    about = _to_html(section.text) if section is not None else _describe(step)
    more = f'<p><a href="manual:{section.page}">The whole page of the manual</a></p>' if section is not None else ""
    product = (
        f"<p>Its products have the code {step.code} and the type {step.product_type}.</p>" if step.product_type else ""
    )
    shown = [info for info in step.parameters.infos() if info.level != "hidden"]
    items = "".join(_format_parameter(info) for info in shown)
    parameters = f"<h3>Parameters</h3><dl>{items}</dl>" if items else "<p>It has no parameters.</p>"
    return f"<h2>{html.escape(step.label)}</h2>{about}{product}{parameters}{more}"


def _to_html(markdown: str) -> str:
    document = QtGui.QTextDocument()
    document.setMarkdown(markdown)
    return document.toHtml()


def _describe(step: Step) -> str:
    """Return what the code says of a step, for steps without a section in the manual."""
    text = inspect.getdoc(step.function) or ""
    module = inspect.getmodule(step.function)
    about = (inspect.getdoc(module) or "").partition("\n\n")[2] if module is not None else ""
    parts = [*text.split("\n\n"), *about.split("\n\n")]
    return "".join(f"<p>{html.escape(part).replace(chr(10), ' ')}</p>" for part in parts if part)


def _format_parameter(info: ParameterInfo) -> str:
    unit = f" {info.unit}" if info.unit else ""
    facts = f"{info.allowed}{unit and f' ({info.unit})'}; default {format_value(info.default) or 'empty'}{unit}"
    expert = ", expert" if info.level == "expert" else ""
    return (
        f"<dt><b>{html.escape(info.label)}</b> <code>{html.escape(info.key)}</code>{expert}</dt>"
        f"<dd>{html.escape(info.help)}<br><i>{html.escape(facts)}</i></dd>"
    )
