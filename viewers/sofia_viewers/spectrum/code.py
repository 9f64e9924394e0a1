"""The present view as a Python script."""

from __future__ import annotations

from sofia_viewers.spectrum.curves import SIGNAL_TO_NOISE
from sofia_viewers.spectrum.session import SpectrumSession

__all__ = ["make_code"]


def make_code(session: SpectrumSession) -> str:
    """Return a script that reads the files of the current pane and plots what it shows with matplotlib."""
    state, content = session.pane, session.content(session.current)
    paths = [
        str(session.files[p.key].path) for p in state.files if p.key in session.files and session.files[p.key].path
    ]
    y = state.primary.field
    value = "spectrum.flux / spectrum.error" if y == SIGNAL_TO_NOISE else f"spectrum[{y!r}]"
    if y in session.formulas:
        value = f"evaluate({session.formulas[y]!r}, spectrum.fields)"
    lines = [
        "import matplotlib.pyplot as plt",
        "",
        "from sofia_viewers.spectrum.curves import CurveRequest, make_curve",
        "from sofia_viewers.spectrum.loading import read_spectrum_file",
        "from sofia_viewers.spectrum.units import WaveAxis",
        "",
        f"request = CurveRequest({state.x_field!r}, {y!r},",
        f"    axis=WaveAxis({content.x_unit!r}, rest={state.rest!r}, convention={state.convention!r}),",
        f"    y_unit={content.y_unit!r}, formulas={tuple(session.formulas.items())!r})",
        f"for path in {paths!r}:",
        "    for spectrum in read_spectrum_file(path).spectra:",
        f"        x, y, error = make_curve(spectrum, request)  # {value}",
        "        plt.step(x, y, where='mid')",
        f"plt.xlabel({content.x_label!r})",
        f"plt.ylabel({content.y_label!r})",
    ]
    if state.x_limits:
        lines.append(f"plt.xlim{state.x_limits!r}")
    if state.primary.limits:
        lines.append(f"plt.ylim{state.primary.limits!r}")
    return "\n".join([*lines, "plt.show()", ""])
