"""Fixtures of the desktop program: an instrument with good and bad manners, and folders of one's own."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

INSTRUMENTS = Path(__file__).parent / "instruments"


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep sessions and preferences of a test in folders of its own, and the network out."""
    monkeypatch.setenv("SOFIA_DESK_SESSIONS", str(tmp_path / "sessions"))
    monkeypatch.setenv("SOFIA_DESK_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("SOFIA_DESK_OFFLINE", "1")


@pytest.fixture(autouse=True)
def no_window_left() -> Iterator[None]:
    """Delete the windows that a test has closed: it would take later tests longer to change the look of all widgets."""
    yield
    module = sys.modules.get("sofia_app.window")
    if module is None:
        return
    from sofia_viewers.qt import QtWidgets

    for widget in QtWidgets.QApplication.topLevelWidgets() if QtWidgets.QApplication.instance() else ():
        if isinstance(widget, module.MainWindow):
            widget.close()
            widget.deleteLater()


@pytest.fixture
def lab() -> Iterator[Path]:
    """Make the test instrument known in this process; its folder is for the engine's process."""
    import sofia_engine.instruments as instruments

    def forget() -> None:
        instruments.known_instruments.cache_clear()
        instruments.recipes_of.cache_clear()

    instruments.__path__.append(str(INSTRUMENTS))
    forget()
    yield INSTRUMENTS
    instruments.__path__.remove(str(INSTRUMENTS))
    forget()


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes a raw file: name, value, further keywords."""
    import numpy as np
    from astropy.io import fits

    def write(name: str = "raw_0001.fits", value: float = 1.0, **keywords: object) -> Path:
        header = fits.Header()
        header["INSTRUME"], header["OBJECT"], header["EXPTIME"] = "LAB", "STAR", 3.0
        header.update(keywords)
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(int(value * 10)).normal(size=(64, 64))
        fits.PrimaryHDU((value + noise).astype(np.float32), header).writeto(path, overwrite=True)
        return path

    return write


@pytest.fixture
def files(make_file: Callable[..., Path]) -> list[Path]:
    """Two raw files that belong together."""
    return [make_file("raw_0001.fits", 1.0), make_file("raw_0002.fits", 2.0)]
