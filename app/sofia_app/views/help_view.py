"""Help on a step: what it does, and what its parameters mean; made from the declarations."""

from __future__ import annotations

import html
import inspect

from sofia_app.models.parameters import format_value
from sofia_engine.pipeline.parameters import ParameterInfo
from sofia_engine.pipeline.step import Step
from sofia_viewers.qt import QtWidgets

__all__ = ["HelpView", "format_help"]


class HelpView(QtWidgets.QTextBrowser):
    """Shows the help on one step."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Help")
        self.setOpenExternalLinks(True)
        self.show_step(None)

    def show_step(self, step: Step | None) -> None:
        """Show the help on a step."""
        self.setHtml(format_help(step) if step is not None else "<p>Select a step and press F1.</p>")


def format_help(step: Step) -> str:
    """Return the help on a step as HTML."""
    text = inspect.getdoc(step.function) or ""
    paragraphs = [f"<p>{html.escape(part).replace(chr(10), ' ')}</p>" for part in text.split("\n\n")]
    module = inspect.getmodule(step.function)
    about = (inspect.getdoc(module) or "").partition("\n\n")[2] if module is not None else ""
    paragraphs += [f"<p>{html.escape(part).replace(chr(10), ' ')}</p>" for part in about.split("\n\n") if part]
    product = (
        f"<p>Its products have the code {step.code} and the type {step.product_type}.</p>" if step.product_type else ""
    )
    shown = [info for info in step.parameters.infos() if info.level != "hidden"]
    items = "".join(_format_parameter(info) for info in shown)
    return f"<h2>{html.escape(step.label)}</h2>{''.join(paragraphs)}{product}<h3>Parameters</h3><dl>{items}</dl>"


def _format_parameter(info: ParameterInfo) -> str:
    unit = f" {info.unit}" if info.unit else ""
    facts = f"{info.allowed}{unit and f' ({info.unit})'}; default {format_value(info.default) or 'empty'}{unit}"
    expert = ", expert" if info.level == "expert" else ""
    return (
        f"<dt><b>{html.escape(info.label)}</b> <code>{html.escape(info.key)}</code>{expert}</dt>"
        f"<dd>{html.escape(info.help)}<br><i>{html.escape(facts)}</i></dd>"
    )
