"""Settings of display, photometry and plots: declared once, kept between sessions, old ``~/.qad`` files read."""

from __future__ import annotations

import ast
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from sofia_engine.errors import ParameterError
from sofia_engine.pipeline.parameters import Parameters, Setting, parameter

__all__ = [
    "DisplaySettings",
    "PhotometrySettings",
    "PlotSettings",
    "SettingsStore",
    "read_pair",
    "read_radius",
]

_LOG = logging.getLogger(__name__)

Units = Literal["pixels", "arcsec"]


class DisplaySettings(Parameters):
    """How images are shown."""

    viewer_pipeline: bool = parameter(
        True, key="ds9_viewer_pipeline", label="Show images of the pipeline", help="Show products after each step."
    )
    viewer_quality: bool = parameter(
        True, key="ds9_viewer_qad", label="Show images in the quality viewer", help="Show images that are opened there."
    )
    spectra: bool = parameter(True, key="eye_viewer", label="Show spectra", help="Open spectra in the spectrum viewer.")
    overplots: bool = parameter(
        True, label="Header overlays", help="Draw source positions and apertures noted in the header."
    )
    extension: str = parameter(
        "first",
        label="Extension to display",
        help="first, all (in separate frames), cube (all in one), S/N, or the name or number of an extension.",
    )
    lock_image: Literal["wcs", "image", "none"] = parameter(
        "wcs", label="Lock frames to", help="Frames are aligned, moved and zoomed together by sky or pixel coordinates."
    )
    lock_slice: Literal["wcs", "image", "none"] = parameter(
        "image", label="Lock slice to", help="Cubes step together by wavelength or by number of the slice."
    )
    scale: Literal["zscale", "minmax", "zmax", "none"] = parameter(
        "zscale", label="Scale", help="How the intensity limits are found; none leaves them as they are."
    )
    cmap: str = parameter("sls", label="Color map", help="Name of a colour map; none leaves it as it is.")
    zoom_fit: bool = parameter(True, label="Zoom to fit", help="Show the whole image when it is loaded.")
    tile: bool = parameter(True, label="Tile images", help="Show all frames side by side, else one at a time.")
    s2n_range: str = parameter("", label="S/N range", help="min,max: pixels with S/N outside are blank; empty for all.")


class PhotometrySettings(Parameters):
    """How the source under the cursor is measured."""

    model: Literal["moffat", "gaussian"] = parameter("moffat", label="Model type", help="Profile that is fitted.")
    window: float = parameter(50.0, label="Window size", help="Side of the square the profile is fitted in.", gt=0)
    window_units: Units = parameter("pixels", label="Window units", help="Unit of the window size.")
    fwhm: float = parameter(3.0, label="Starting FWHM", help="Expected width of the source.", gt=0)
    fwhm_units: Units = parameter("arcsec", label="FWHM units", help="Unit of the starting width.")
    psf_radius: str = parameter(
        "12", label="Aperture radius", help="Radius of the aperture; anything but a number is automatic: 2.15 FWHM."
    )
    aperture_units: Units = parameter("pixels", label="Aperture units", help="Unit of all radii.")
    bg_inner: str = parameter(
        "15",
        label="Background inner radius",
        help="Inner radius of the sky ring; none for no background; otherwise automatic: aperture + 0.2 FWHM.",
    )
    bg_width: str = parameter(
        "10",
        label="Background width",
        help="Width of the sky ring; none for no background; otherwise automatic: 2 FWHM.",
    )
    show_plots: bool = parameter(False, label="Show radial plots", help="Plot flux against distance from the source.")


class PlotSettings(Parameters):
    """How analyses are plotted."""

    window: float | None = parameter(
        50.0, label="Analysis window size", help="Side of the square about the cursor; empty for the whole image.", gt=0
    )
    window_units: Units = parameter("pixels", label="Window units", help="Unit of the window size.")
    color: str = parameter("tab10", label="Plot color cycle", help="Colour map the colours of plots are taken from.")
    share_axes: Literal["none", "x", "y", "both"] = parameter(
        "none", label="Share axes", help="Axes that plots have in common."
    )
    separate_plots: bool = parameter(
        True, label="Separate plots", help="One plot for each analysis; off adds new data to the last plot."
    )
    bin: str = parameter(
        "fd",
        label="Histogram binning",
        help="Number of bins, or a rule: auto, fd, doane, scott, stone, rice, sturges, sqrt.",
    )
    hist_limits: str = parameter("", label="Histogram range", help="min,max of the histogram; empty for all values.")
    summary_stat: Literal["mean", "median", "clipped mean", "clipped median"] = parameter(
        "clipped median", label="Summary statistic", help="Value marked in histograms."
    )
    p2p_reference: int = parameter(
        1, label="P2P reference", help="Number of the frame that others are compared with, pixel by pixel.", ge=1
    )


SECTIONS: dict[str, type[Parameters]] = {
    "display": DisplaySettings,
    "photometry": PhotometrySettings,
    "plot": PlotSettings,
}


class SettingsStore:
    """Keeps the three groups of settings in a folder of the user's.

    Parameters
    ----------
    folder : Path, optional
        Where they are written as ``display.cfg``, ``photometry.cfg``, ``plot.cfg``; the user's configuration folder
        if left out.
    old_folder : Path, optional
        Where files of the former program lie, read if there are none of ours; ``~/.qad`` if left out.
    """

    def __init__(self, folder: Path | None = None, old_folder: Path | None = None) -> None:
        self.folder = folder or _user_folder()
        self.old_folder = old_folder or Path.home() / ".qad"

    def load(self, section: str, model: type[Parameters] | None = None) -> Any:
        """Return the saved settings of a section: ours, else the former program's, else the defaults.

        Parameters
        ----------
        section : str
            Name of the file without suffix.
        model : type of Parameters, optional
            Its settings; needed for sections of other viewers.
        """
        model = model or SECTIONS[section]
        for folder in (self.folder, self.old_folder):
            path = folder / f"{section}.cfg"
            try:
                values = read_config(path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError):
                continue
            return _accept(model, values, str(path))
        return model()

    def save(self, section: str, settings: Parameters) -> Path:
        """Write the settings of a section.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{section}.cfg"
        lines = [f"{key} = {value!r}" for key, value in settings.by_key().items()]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


def read_config(text: str) -> dict[str, Any]:
    """Read lines ``key = value`` with values as Python literals or bare words; sections and comments are skipped."""
    values: dict[str, Any] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if not equals or line.lstrip().startswith(("#", "[")):
            continue
        try:
            values[key.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            values[key.strip()] = value.strip().strip("'\"")
    return values


def read_radius(text: str, scale: float = 1.0) -> float | None:
    """Return a radius in pixels; None for automatic, NaN for ``none``.

    Parameters
    ----------
    text : str
        A number, ``none``, or anything else.
    scale : float
        Size of a pixel in the unit of the number.
    """
    word = text.strip().lower()
    if word == "none":
        return math.nan
    try:
        return float(word) / scale
    except ValueError:
        return None


def read_pair(text: str) -> tuple[float, float] | None:
    """Return two numbers written ``min,max``; None if the text is empty or ``none``.

    Raises
    ------
    ParameterError
        If it is anything else.
    """
    word = text.strip().strip("[]()")
    if word.lower() in ("", "none"):
        return None
    try:
        low, high = (float(part) for part in word.split(","))
    except ValueError:
        raise ParameterError(f"'{text}' is not a range: give two numbers, min,max, or nothing.") from None
    return low, high


def _user_folder() -> Path:
    from platformdirs import user_config_path

    return Path(user_config_path("sofia-desk", appauthor=False)) / "image"


def _accept(model: type[Parameters], values: Mapping[str, Any], source: str) -> Any:
    """Take the values that are allowed; say which are not and use their defaults."""
    settings: dict[str, Setting] = {}
    for info in model.infos():
        if info.key not in values:
            continue
        setting = Setting(_convert(info.kind, values[info.key], info.default), "file", source)
        try:
            model.make({info.key: setting})
        except ParameterError as error:
            _LOG.warning("%s", error)
            continue
        settings[info.key] = setting
    return model.make(settings)


def _convert(kind: str, value: Any, default: Any) -> Any:
    """Bring a value of the former program into our type: lists as text, None as empty."""
    if kind == "text":
        if value is None:
            return "" if default == "" else "none"
        return ",".join(str(v) for v in value) if isinstance(value, list | tuple) else str(value)
    if kind == "choice":
        return str(value).lower() if value is not None else "none"
    if isinstance(value, bool) and kind in ("int", "float"):
        return str(value)
    return None if value in ("", "none") and default is not None and kind == "float" else value
