"""Make the figure of the grism manual: ``python docs/make_grism_figures.py FOLDER_OF_PUBLISHED_PRODUCTS [OUTPUT]``.

The rectified image of NGC 7009 that the observatory published is reduced with the aperture and background of the
published spectrum, as `tests/instruments/forcast/test_grism_real.py` does; figures are printed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.product import Product

STEM = "F0428_FO_GRI_0500637_FORG111_{}_0177-0196.fits"
CHOICES = {
    "locate_apertures": {"method": "fix to input", "input_position": "120.0"},
    "trace_continuum": {"method": "fix to aperture position"},
    "set_apertures": {
        "aprad": "20", "psfrad": "20", "apsign": "1", "bgr": "40.303637-99.439637,140.91164-193.90364",
    },
    "flux_calibrate": {"auto_shift": False, "respfile": "grism/response/v5.1.0/G111_LS47_DB175_RSP.fits"},
}  # fmt: skip


def extract(folder: Path) -> Product:
    """Spectrum from the published image."""
    with (
        tempfile.TemporaryDirectory() as session,
        Reduction.open([folder / STEM.format("RIM")], session=Path(session) / "session") as reduction,
    ):
        for step, values in CHOICES.items():
            reduction.set(step, **values)
        reduction.run_to("flux_calibrate")
        return reduction.products[0]


def draw(wave: np.ndarray, ours: np.ndarray, published: np.ndarray, error: np.ndarray, path: Path) -> None:
    """Both spectra, and their difference in units of the error."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.3))
    above.plot(wave, published, color="0.6", linewidth=3, label="published in 2017")
    above.plot(wave, ours, color="C0", linewidth=1, label="SOFIA Desk, from the published image")
    above.set_ylabel("Flux (Jy)")
    above.legend(frameon=False)
    below.axhspan(-1, 1, color="0.92")
    below.plot(wave, (ours - published) / error, color="C0", linewidth=0.8)
    below.set_ylim(-3, 3)
    below.set_xlabel("Wavelength (µm)")
    below.set_ylabel("Difference\n(quoted errors)")
    figure.savefig(path)


def main() -> None:
    """Reduce, compare, draw."""
    folder = Path(sys.argv[1])
    output = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent / "_static"
    product, reference = extract(folder), Product.read(folder / STEM.format("CAL"))
    wave, published, error = (reference[name] for name in ("WAVEPOS", "SPECTRAL_FLUX", "SPECTRAL_ERROR"))
    step = product["WAVEPOS"][1] - product["WAVEPOS"][0]
    columns = np.rint((wave - product["WAVEPOS"][0]) / step).astype(int)
    ours = product["SPECTRAL_FLUX"][columns]
    both = np.isfinite(ours) & np.isfinite(published)
    line = both & (wave > 10.4) & (wave < 10.6)
    print(f"columns {both.sum()}, ratio of the sums {ours[both].sum() / published[both].sum():.4f}")
    print(f"correlation {np.corrcoef(ours[both], published[both])[0, 1]:.5f}")
    print(f"median difference {np.median(np.abs(ours - published)[both] / error[both]):.3f} of the error")
    print(f"errors {np.median((product['SPECTRAL_ERROR'][columns] / error)[both]):.3f} of the published")
    print(f"[S IV] {ours[line].sum():.1f} Jy, published {published[line].sum():.1f} Jy")
    draw(wave, ours, published, error, output / "grism-ngc7009.png")


if __name__ == "__main__":
    main()
