"""How fast the cube explorer is on a cube of 300 x 300 x 1000, and how much memory it takes.

Run it with a display (for example under Xvfb) or without: ``python tests/benchmarks/cube_viewer.py``. It writes a cube
with errors (720 MB) to a temporary folder. The goals are 50 ms for another slice, and for the spectrum of an aperture
that is dragged. Times are wall times from the request until all is drawn, and processor times of all threads.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits

if not os.environ.get("DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

SHAPE = (1000, 300, 300)
COUNT = 40
LARGEST_WAIT = 5000
RADII = (1.0, 8.0, 20.0, 60.0, 120.0)
PAUSES = 5


def write_cube(path):
    """Write a rotating source with noise and errors, a slice at a time."""
    header = fits.Header()
    for key, value in {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CTYPE3": "WAVE", "CUNIT1": "deg", "CUNIT2": "deg", "CUNIT3": "um",
        "CRVAL1": 83.8, "CRVAL2": -5.4, "CRVAL3": 157.74, "CRPIX1": 150.5, "CRPIX2": 150.5, "CRPIX3": 500.5,
        "CDELT1": -1 / 3600, "CDELT2": 1 / 3600, "CDELT3": 1e-3, "BUNIT": "Jy/pixel",
    }.items():  # fmt: skip
        header[key] = value
    rng = np.random.default_rng(1)
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    flux = np.exp(-0.5 * ((x - 150) ** 2 + (y - 150) ** 2) / 40.0**2)
    with path.open("wb") as stream:
        stream.write(fits.PrimaryHDU().header.tostring().encode())
        for name in ("FLUX", "ERROR"):
            made = fits.ImageHDU(np.zeros((1, *SHAPE[1:]), np.float32), header, name).header
            made["NAXIS3"] = SHAPE[0]
            stream.write(made.tostring().encode())
            for number in range(SHAPE[0]):
                offset = (number - 499.5) * 1e-3 - 5e-4 * (x - 150)
                image = flux * np.exp(-0.5 * (offset / 0.06) ** 2) + rng.normal(0, 0.05, SHAPE[1:])
                stream.write((image if name == "FLUX" else np.full(SHAPE[1:], 0.05)).astype(">f4").tobytes())
            stream.write(b"\0" * (-4 * int(np.prod(SHAPE)) % 2880))
    return path


def read_memory():
    """Return private and resident memory, MB; zero where the system does not say."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    except OSError:
        return (0, 0)
    return tuple(round(int(lines[key].split()[0]) / 1024) for key in ("RssAnon", "VmRSS"))


def repeat(work, count=COUNT, before=lambda: None):
    """Return median and largest wall time and median processor time, ms; what comes before is not counted."""
    walls, busy = [], []
    for number in range(count):
        before()
        start, spent = time.perf_counter(), time.process_time()
        work(number)
        walls.append(1e3 * (time.perf_counter() - start))
        busy.append(1e3 * (time.process_time() - spent))
    return [round(float(value), 1) for value in (np.median(walls), max(walls), np.median(busy))]


def measure(path):
    """Return the figures by name."""
    from sofia_viewers.cube.derived import crop_cube
    from sofia_viewers.cube.line_maps import FitSettings, fit_line_maps
    from sofia_viewers.cube.moments import LineRange, compute_moment_maps
    from sofia_viewers.cube.viewer import CubeViewer
    from sofia_viewers.image.regions import Region
    from sofia_viewers.qt import QtCore, start_application
    from sofia_viewers.standalone import wait_until_ready
    from sofia_viewers.theme import apply_theme

    application = start_application()
    apply_theme(application, "light")
    viewer = CubeViewer()
    viewer.resize(1400, 900)
    viewer.show()
    start = time.perf_counter()
    viewer.open_files([path])
    wait_until_ready(viewer)
    found = {"open and draw [ms]": round(1e3 * (time.perf_counter() - start)), "size of the file [MB]": 720}
    loop = QtCore.QEventLoop()

    def wait_for(signal):
        signal.connect(loop.quit)
        QtCore.QTimer.singleShot(LARGEST_WAIT, loop.quit)
        loop.exec()
        signal.disconnect(loop.quit)

    view = viewer.images.area.views["cube 0"]
    memory = {"after opening": read_memory()}

    def show_slice(number):
        viewer.choose_slice(300 + 7 * number)
        while not view.is_drawn or not viewer.images.tasks.is_idle:
            application.processEvents(QtCore.QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 5)
        view.repaint()

    found["another slice [wall median, largest; processor, ms]"] = repeat(show_slice)
    memory["after slices"] = read_memory()
    for radius in RADII:
        name = viewer.images.regions.add(Region("circle", ((130.0, 150.0),), (radius,)), "cube 0")
        wait_until_ready(viewer)

        def drag(_, name=name):
            region = viewer.images.regions.named()[name]
            viewer.images.regions.edit(name, region.moved(1.0, 0.0), "cube 0")
            wait_for(viewer.live.updated)
            viewer.spectra.area.current.plot.repaint()

        def pause():
            viewer.live.pause.setInterval(100)
            viewer.live.pause.start()
            while viewer.live.pause.isActive():
                application.processEvents(QtCore.QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 5)
            viewer.live.pause.setInterval(5000)
            view.cursor_moved.emit(10.0, 10.0)  # as a pointer does that comes to drag
            wait_until_ready(viewer)

        found[f"aperture of radius {radius:g} dragged by a pixel [wall median, largest; processor, ms]"] = repeat(drag)
        words = f"aperture of radius {radius:g}, first step after a pause [wall median, largest; processor, ms]"
        found[words] = repeat(drag, PAUSES, pause)
        viewer.images.regions.remove(name)
    memory["after dragging"] = read_memory()
    cube = viewer.cube
    line = LineRange(157.54, 157.94, rest=157.74)
    part = crop_cube(cube, slice(None), slice(100, 200), slice(100, 200), "part", "part")
    windows = ((157.5, 157.54), (157.94, 157.98))
    settings = FitSettings(LineRange(157.54, 157.94, windows, rest=157.74))
    for name, work in (
        ("moments of all pixels [s]", lambda: compute_moment_maps(cube, line)),
        ("Gaussian fits of 100 x 100 pixels, 480 slices each [s]", lambda: fit_line_maps(part, settings)),
    ):
        start = time.perf_counter()
        work()
        found[name] = round(time.perf_counter() - start, 1)
    cube.release()
    memory["after maps"] = read_memory()
    found["memory: private, resident [MB]"] = memory
    viewer.close()
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        given = Path(sys.argv[1]) if len(sys.argv) > 1 else write_cube(Path(folder) / "cube.fits")
        sys.stdout.write(json.dumps(measure(given), indent=1) + "\n")
