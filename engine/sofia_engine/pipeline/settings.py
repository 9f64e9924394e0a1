"""Settings of a reduction: who gave each parameter its value, in order of precedence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sofia_engine.errors import ParameterError
from sofia_engine.pipeline.parameters import ParameterInfo, Parameters, Setting
from sofia_engine.pipeline.recipe import Recipe

__all__ = ["Origin", "Settings"]

Origin = Literal["built-in", "data", "file", "user"]
_ORDER: tuple[Origin, ...] = ("data", "file", "user")


class Settings:
    """The values of all parameters of a recipe.

    Precedence: built-in default < default that depends on the data < file < command line or form.

    Parameters
    ----------
    recipe : Recipe
        Whose steps' parameters these are.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._layers: dict[str, list[dict[str, Setting]]] = {origin: [{} for _ in recipe.steps] for origin in _ORDER}
        for index, step in enumerate(recipe.steps):
            if "save" in {info.name for info in step.parameters.infos()}:
                self._layers["data"][index]["save"] = Setting(step.saved, "data", "recipe")

    def set_defaults(self, defaults: Mapping[str, Mapping[str, Any]]) -> None:
        """Take over the defaults that depend on the data."""
        for step, values in defaults.items():
            for index, candidate in enumerate(self.recipe.steps):
                if candidate.key == step:
                    for key, value in values.items():
                        name = candidate.parameters.info(key).name
                        self._layers["data"][index][name] = Setting(value, "data", "header")

    def set(self, step: str | int, values: Mapping[str, Setting]) -> None:
        """Set parameters of a step, by key or name.

        Raises
        ------
        ParameterError
            If one is unknown or its value is not allowed; nothing is changed then.
        """
        index = self.recipe.index(step)
        model = self.recipe.steps[index].parameters
        model.make({**self._merged(index), **values}, step=self.recipe.steps[index].key)
        for key, setting in values.items():
            self._layers[setting.origin][index][model.info(key).name] = setting

    def unset(self, step: str | int, key: str | None = None, *, origin: Origin = "user") -> None:
        """Forget what the user (or a file) set: one parameter of a step, or all of them."""
        index = self.recipe.index(step)
        layer = self._layers[origin][index]
        if key is None:
            layer.clear()
        else:
            layer.pop(self.recipe.steps[index].parameters.info(key).name, None)

    def parameters(self, step: str | int) -> Parameters:
        """Return the parameters a step will be run with."""
        index = self.recipe.index(step)
        return self.recipe.steps[index].parameters.make(self._merged(index), step=self.recipe.steps[index].key)

    def defaults(self, step: str | int) -> Parameters:
        """Return the parameters without anything set by a file or the user."""
        index = self.recipe.index(step)
        return self.recipe.steps[index].parameters.make(dict(self._layers["data"][index]))

    def origin(self, step: str | int, key: str) -> Origin:
        """Tell where the value of a parameter comes from."""
        index = self.recipe.index(step)
        name = self.recipe.steps[index].parameters.info(key).name
        for origin in reversed(_ORDER):
            if name in self._layers[origin][index]:
                setting = self._layers[origin][index][name]
                return "built-in" if setting.source == "recipe" else origin
        return "built-in"

    def infos(self, step: str | int) -> tuple[ParameterInfo, ...]:
        """Describe the parameters of a step."""
        return self.recipe.steps[self.recipe.index(step)].parameters.infos()

    def as_dict(self) -> dict[str, list[dict[str, Any]]]:
        """Return what files and the user set, as plain values."""
        return {
            origin: [{k: [s.value, s.source] for k, s in layer.items()} for layer in self._layers[origin]]
            for origin in ("file", "user")
        }

    def restore(self, stored: Mapping[str, list[dict[str, Any]]]) -> list[str]:
        """Take over what `as_dict` returned; return what is wrong with values that are no longer allowed."""
        problems: list[str] = []
        for origin in ("file", "user"):
            for index, layer in enumerate(stored.get(origin, [])):
                for key, (value, source) in layer.items():
                    try:
                        self.set(index, {key: Setting(value, origin, source)})
                    except ParameterError as error:
                        problems.append(str(error))
        return problems

    def check(self) -> None:
        """Validate all parameters of all steps.

        Raises
        ------
        ParameterError
            Lists all problems.
        """
        problems = []
        for index in range(len(self.recipe.steps)):
            try:
                self.parameters(index)
            except ParameterError as error:
                problems.append(str(error))
        if problems:
            raise ParameterError("\n".join(problems))

    def _merged(self, index: int) -> dict[str, Setting]:
        merged: dict[str, Setting] = {}
        for origin in _ORDER:
            merged |= self._layers[origin][index]
        return merged
