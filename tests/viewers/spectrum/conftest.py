"""Spectra with a known truth, and the viewer on a screen that is not there."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest


def make_spectrum(order: int = 1, aperture: int = 1, **fields: Any) -> Any:
    """A Gaussian of height 5 Jy at 10.5 um, sigma 0.05, on 2 Jy, with errors of 0.1 Jy but no noise."""
    from sofia_viewers.spectrum.spectrum import Spectrum

    wave = np.linspace(10.0, 11.0, 201)
    given = {
        "wavepos": wave,
        "spectral_flux": 2.0 + 5.0 * np.exp(-0.5 * ((wave - 10.5) / 0.05) ** 2),
        "spectral_error": np.full(201, 0.1),
        "transmission": np.full(201, 0.8),
        **fields,
    }
    return Spectrum(given, {"wavepos": "um", "spectral_flux": "Jy", "spectral_error": "Jy"}, order, aperture)


@pytest.fixture
def make_file() -> Callable[..., Any]:
    """Give a function that makes a file of spectra: key, orders, apertures."""
    from sofia_viewers.spectrum.spectrum import SpectrumFile

    def make(key: str = "a", orders: int = 1, apertures: int = 1, **fields: Any) -> SpectrumFile:
        spectra = tuple(
            make_spectrum(order, aperture, **fields)
            for order in range(1, orders + 1)
            for aperture in range(1, apertures + 1)
        )
        return SpectrumFile(key, f"{key}.fits", spectra, {"OBJECT": "TEST"})

    return make


@pytest.fixture
def viewer(qtbot: Any, make_file: Callable[..., Any]) -> Iterator[Any]:
    """The viewer with one file."""
    from sofia_viewers.spectrum.viewer import SpectrumViewer

    widget = SpectrumViewer()
    widget.resize(1100, 800)
    qtbot.addWidget(widget)
    widget.show()
    widget.session.add_files([make_file()])
    yield widget
    widget.close()
