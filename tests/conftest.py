"""Fixtures for all tests: the toy instrument, files for it, and folders of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TOY_FOLDER = Path(__file__).parent / "toy_instruments"


@pytest.fixture
def toy_instrument() -> Iterator[None]:
    """Make the toy instrument known for a test."""
    import sofia_engine.instruments as instruments

    def forget() -> None:
        instruments.known_instruments.cache_clear()
        instruments.recipes_of.cache_clear()

    instruments.__path__.append(str(TOY_FOLDER))
    forget()
    yield
    instruments.__path__.remove(str(TOY_FOLDER))
    forget()


@pytest.fixture
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the sessions of a test in a folder of its own."""
    folder = tmp_path / "sessions"
    monkeypatch.setenv("SOFIA_DESK_SESSIONS", str(folder))
    return folder


@pytest.fixture
def make_raw() -> Callable[..., Path]:
    """Give a function that writes a raw file of the toy instrument: path, value of all pixels, further keywords."""
    import numpy as np
    from astropy.io import fits

    def write(path: Path, value: float = 1.0, **keywords: object) -> Path:
        header = fits.Header()
        header["INSTRUME"], header["OBJECT"], header["EXPTIME"] = "TOY", "STAR", 3.0
        header.update(keywords)
        path.parent.mkdir(parents=True, exist_ok=True)
        fits.PrimaryHDU(np.full((4, 5), value, dtype=np.float32), header).writeto(path)
        return path

    return write
