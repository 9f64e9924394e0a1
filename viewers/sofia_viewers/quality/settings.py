"""Settings of the quality viewer, kept between sessions beside those of the image viewer."""

from __future__ import annotations

from sofia_engine.pipeline.parameters import Parameters, parameter
from sofia_viewers.image.settings import SettingsStore

__all__ = ["QualitySettings", "load_settings", "save_settings"]

_SECTION = "quality"


class QualitySettings(Parameters):
    """What the browser and the table show."""

    folder: str = parameter("", label="Folder", help="Folder that was open last.")
    file_filter: str = parameter("*.fits", label="File filter", help="Wildcards, separated by commas; empty for all.")
    header_columns: str = parameter(
        "OBJECT, PRODTYPE, DATE-OBS", label="Header columns", help="Keywords that the browser shows as columns."
    )
    thumbnails: bool = parameter(True, label="Thumbnails", help="Show small pictures of FITS files in the browser.")
    hidden_columns: str = parameter(
        "instrument, mission, aor, run, unit, flux_error, calibration_error",
        label="Hidden columns",
        help="Columns that the table of numbers leaves out.",
    )
    outlier_limit: float = parameter(
        5.0, label="Outlier limit", help="Robust standard deviations from the median of like products.", gt=0
    )
    x_column: str = parameter("time", label="Horizontal axis", help="Column plotted along x.")
    y_column: str = parameter("noise", label="Vertical axis", help="Column plotted along y.")
    group_column: str = parameter("product_type", label="Colour by", help="Column that decides the colour of points.")


def load_settings(store: SettingsStore) -> QualitySettings:
    """Return the settings that were saved, or the defaults."""
    settings: QualitySettings = store.load(_SECTION, QualitySettings)
    return settings


def save_settings(store: SettingsStore, settings: QualitySettings) -> None:
    """Save the settings.

    Raises
    ------
    OSError
        If the folder of the settings cannot be written.
    """
    store.save(_SECTION, settings)
