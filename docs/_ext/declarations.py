"""Sphinx directives that make tables from the declarations of the engine.

``recipe-steps`` lists the steps of a recipe, ``step-parameters`` the parameters of one of its steps; both are made of
the same declarations as forms, parameter files and the command line, so the manual cannot disagree with the program.
"""

from __future__ import annotations

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

from sofia_engine.instruments import find_recipe
from sofia_engine.pipeline.parameters import ParameterInfo


class RecipeSteps(Directive):
    """``.. recipe-steps:: NAME``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        recipe = find_recipe(self.arguments[0])
        rows = [
            [f"{n}", f"``{s.key}``", s.label, f"``{s.product_type}``" if s.makes_products else "–", s.code or "–",
             "yes" if s.makes_products and s.saved else "no"]
            for n, s in enumerate(recipe.steps, 1)
        ]  # fmt: skip
        return _table(self, ["", "Key", "Step", "Product type", "Code", "Saved by default"], rows)


class StepParameters(Directive):
    """``.. step-parameters:: RECIPE STEP``."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        recipe = find_recipe(self.arguments[0])
        step = recipe.steps[recipe.index(self.arguments[1])]
        shown = [info for info in step.parameters.infos() if info.level != "hidden"]
        if not shown:
            return [nodes.paragraph(text="This step has no parameters.")]
        return _table(self, ["Key", "Name", "Default", "Allowed", "What it does"], [_row(info) for info in shown])


def _row(info: ParameterInfo) -> list[str]:
    unit = f" {info.unit}" if info.unit else ""
    expert = " (expert)" if info.level == "expert" else ""
    default = ", ".join(map(str, info.default)) if isinstance(info.default, tuple | list) else str(info.default)
    shown = f"``{default}``{unit}" if default else "empty"
    return [f"``{info.key}``", info.label + expert, shown, info.allowed, info.help]


def _table(directive: Directive, head: list[str], rows: list[list[str]]) -> list[nodes.Node]:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [head, *rows]:
        for position, cell in enumerate(row):
            lines.append(f"   {'* -' if position == 0 else '  -'} {cell}")
    lines.append("")
    container = nodes.container()
    directive.state.nested_parse(StringList(lines, source="declarations"), directive.content_offset, container)
    return container.children


def setup(app):
    """Register the directives."""
    app.add_directive("recipe-steps", RecipeSteps)
    app.add_directive("step-parameters", StepParameters)
    return {"parallel_read_safe": True}
