"""Fixtures for all tests: the toy instrument, files for it, and folders of their own."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sofia_engine.pipeline.recipe import Recipe
    from sofia_engine.pipeline.reduction import Reduction

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


@pytest.fixture(autouse=True)
def _sessions_of_tests(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the sessions of all tests away from those of the user."""
    monkeypatch.setenv("SOFIA_DESK_SESSIONS", str(tmp_path_factory.getbasetemp() / "sessions"))


@pytest.fixture
def calls(toy_instrument: None) -> dict[str, int]:
    """How often each step of the bench recipe was called."""
    from sofia_engine.instruments.bench.steps import CALLS

    CALLS.clear()
    return CALLS


@pytest.fixture
def bench(calls: dict[str, int]) -> "Recipe":
    """A recipe of six steps; see toy_instruments/bench/steps.py."""
    from sofia_engine.instruments import find_recipe

    return find_recipe("bench")


def _write_bench_file(path: Path, data: Any = None, cards: Mapping[str, Any] | None = None, **keywords: Any) -> Path:
    import numpy as np
    from astropy.io import fits

    header = fits.Header()
    instrument = keywords.pop("instrument", "BENCH")
    if instrument is not None:
        header["INSTRUME"] = (instrument, "Instrument")
    header["OBJECT"] = ("NGC 7027", "Object")
    header["BUNIT"] = ("ct", "Data units")
    header.update(cards or {})
    if data is None:
        data = np.random.default_rng(sum(path.name.encode())).normal(10, 1, (8, 8))
    fits.PrimaryHDU(np.asarray(data), header).writeto(path, overwrite=True)
    return path


@pytest.fixture
def write_raw() -> Callable[..., Path]:
    """Give the function that writes a raw file of the bench instrument: path, 8 x 8 numbers, further cards."""
    return _write_bench_file


@pytest.fixture
def raw_files(tmp_path: Path) -> list[Path]:
    """Three raw files of the bench instrument."""
    (tmp_path / "raw").mkdir()
    return [_write_bench_file(tmp_path / "raw" / f"raw_{number:04d}.fits") for number in range(1, 4)]


@pytest.fixture
def open_reduction(bench: "Recipe", tmp_path: Path) -> Iterator[Callable[..., "Reduction"]]:
    """Open a reduction with its session in the folder of the test; it is closed at the end."""
    from sofia_engine.pipeline.reduction import Reduction

    opened: list[Reduction] = []

    def open_one(files: Any, **options: Any) -> Reduction:
        options.setdefault("session", tmp_path / f"session{len(opened)}")
        opened.append(Reduction.open(files, **options))
        return opened[-1]

    yield open_one
    for reduction in opened:
        reduction.close()


@pytest.fixture
def reduction(open_reduction: Callable[..., "Reduction"], raw_files: list[Path], tmp_path: Path) -> "Reduction":
    """A reduction of three raw files at its start, with an output folder."""
    return open_reduction(raw_files, output=tmp_path / "output")
