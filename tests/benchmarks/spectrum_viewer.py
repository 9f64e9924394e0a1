"""How fast the spectrum viewer pans and fits: run it with a display (for example under Xvfb) or without.

Prints frames per second while an EXES spectrum of 68 orders and more than 50,000 points is panned and zoomed, and
milliseconds per fit. The goals are 30 frames/s and 100 ms.
"""

import json
import os
import sys
import time

import numpy as np

if not os.environ.get("DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

N_ORDERS, N_POINTS = 68, 800
N_FRAMES = 60
SIZE = (1400, 900)


def make_orders():
    """Make orders like those of EXES in its high-low mode: noisy, with absorption lines and error."""
    from sofia_viewers.spectrum.spectrum import Spectrum, SpectrumFile

    rng = np.random.default_rng(1)
    spectra = []
    for order in range(N_ORDERS):
        wave = np.linspace(1312.0 + 0.68 * order, 1312.8 + 0.68 * order, N_POINTS)
        flux = 110.0 + rng.normal(0.0, 6.0, N_POINTS) - 80.0 * np.exp(-0.5 * ((wave - wave.mean()) / 0.02) ** 2)
        fields = {"wavepos": wave, "spectral_flux": flux, "spectral_error": np.full(N_POINTS, 6.0)}
        units = {"wavepos": "cm-1", "spectral_flux": "Jy", "spectral_error": "Jy"}
        spectra.append(Spectrum(fields, units, order + 1, 1))
    return SpectrumFile("exes", "EXES, 68 orders", tuple(spectra))


def count_frames(view, application, move):
    """Return frames per second, and per second of processor time, while `move(n)` changes the view."""
    painted = []
    box = view.plot.paintEvent

    def count(event):
        painted.append(1)
        box(event)

    view.plot.paintEvent = count
    start, work = time.perf_counter(), time.process_time()
    for number in range(N_FRAMES):
        move(number)
        application.processEvents()
    seconds, work = time.perf_counter() - start, time.process_time() - work
    view.plot.paintEvent = box
    return [round(len(painted) / seconds, 1), round(len(painted) / work, 1)]


def measure():
    """Return the figures by name."""
    from sofia_viewers.qt import start_application
    from sofia_viewers.spectrum.viewer import SpectrumViewer
    from sofia_viewers.theme import apply_theme

    application = start_application()
    apply_theme(application, "light")
    viewer = SpectrumViewer()
    viewer.resize(*SIZE)
    viewer.show()
    viewer.session.add_files([make_orders()])
    for _ in range(10):
        application.processEvents()
    view = viewer.area.current
    (low, high), _ = view.limits
    span = high - low
    found = {
        "points": N_ORDERS * N_POINTS,
        "pan all orders [frames/s, frames per CPU second]": count_frames(
            view, application, lambda n: view.set_limits(x=(low + 0.002 * n * span, high + 0.002 * n * span))
        ),
        "pan five orders [frames/s, frames per CPU second]": count_frames(
            view, application, lambda n: view.set_limits(x=(low + 0.01 * n * span, low + (0.01 * n + 0.08) * span))
        ),
        "zoom [frames/s, frames per CPU second]": count_frames(
            view, application, lambda n: view.set_limits(x=(low + 0.008 * n * span, high - 0.008 * n * span))
        ),
    }
    middle = 1312.4
    start = time.perf_counter()
    viewer.session.set_numbers("1", enabled=True)
    viewer.fit(view.name, (middle - 0.2, middle + 0.2))
    application.processEvents()
    found["one Gaussian fit, drawn [ms]"] = 1e3 * (time.perf_counter() - start)
    viewer.close()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(), indent=1) + "\n")
