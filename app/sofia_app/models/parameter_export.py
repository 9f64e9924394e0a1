"""Parameter files written from what the window knows, without asking the engine's process."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from sofia_app.worker.protocol import Snapshot
from sofia_engine.pipeline.parameter_files import format_parameters, write_parameters
from sofia_engine.pipeline.parameters import Setting
from sofia_engine.pipeline.recipe import Recipe
from sofia_engine.pipeline.settings import Settings

__all__ = ["make_settings", "write_snapshot_parameters"]

_SET = {"data": "data", "file": "file", "user": "user"}


def make_settings(snapshot: Snapshot, recipe: Recipe) -> Settings:
    """Return the settings of a reduction, with their origins."""
    settings = Settings(recipe)
    for index, record in enumerate(snapshot.steps):
        for name, value in record.values.items():
            origin = record.origins[name]
            if origin in _SET:
                kind = cast('Literal["data", "file", "user"]', origin)
                settings.set(index, {name: Setting(value, kind)})
    return settings


def write_snapshot_parameters(path: Path, snapshot: Snapshot, recipe: Recipe) -> None:
    """Write all parameters: TOML, or the old INI form if the name ends in .cfg or .ini.

    Raises
    ------
    ParameterError
        If the file cannot be written.
    """
    old_form = path.suffix.lower() in (".cfg", ".ini")
    write_parameters(path, format_parameters(make_settings(snapshot, recipe), old_form=old_form))
