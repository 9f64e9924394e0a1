"""Fixtures for all tests: the toy instrument, files for it, and folders of their own."""

import gc
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import numpy as np

    from sofia_engine.pipeline.recipe import Recipe
    from sofia_engine.pipeline.reduction import Reduction
    from sofia_engine.product import Product
    from sofia_engine.reference import ReferenceStore

SHARED = Path(__file__).resolve().parents[1] / "../shared"
"""Golden sets and published products, beside the project where it is developed."""
TOY_FOLDER = Path(__file__).parent / "toy_instruments"
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # before Qt is imported
pytest_plugins = ["hang_guard"]  # in tests/plugins


@pytest.fixture(scope="session")
def qapp(qapp: Any) -> Any:
    """The application of pytest-qt; as in our programs, no other thread may search for garbage from now on."""
    from sofia_viewers.garbage import search_in_window_thread

    search_in_window_thread(qapp)
    return qapp


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Delete what was closed, and search for garbage, between tests where the thread of the windows does that."""
    yield
    if not gc.isenabled():
        from sofia_viewers.garbage import GarbageSearch
        from sofia_viewers.qt import QtCore

        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
        gc.unfreeze()  # the program takes what is there at its start out of the search: here, what other tests left
        GarbageSearch().run_if_due()


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


@pytest.fixture(scope="session")
def reference_store() -> "ReferenceStore":
    """The reference files on this computer; tests that need one that is not here are skipped."""
    from sofia_engine.errors import ReferenceDataError
    from sofia_engine.reference import ReferenceRequest, ReferenceStore

    store = ReferenceStore(offline=True)

    try:
        store.get(ReferenceRequest("FORCAST", "bad_pixel_mask", 20180901, {"mode": "IMG_SWC"}))
    except ReferenceDataError:
        pytest.skip("the reference files are not on this computer")
    return store


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden sets."""
    if not (SHARED / "golden").is_dir():
        pytest.skip("the golden sets are not on this computer")
    return SHARED / "golden"


@pytest.fixture(scope="session")
def compare_planes() -> Callable[..., None]:
    """Check that the planes of two products agree as the golden sets ask: 99.5 % of FLUX, the median of ERROR.

    The errors may differ by a known ratio.
    """
    import numpy as np

    def compare(product: "Product", expected: "Product", tolerance: float, *, error_ratio: float = 1.0) -> None:
        for name in expected.planes:
            ours, theirs = np.asarray(product[name], float), np.asarray(expected[name], float)
            assert ours.shape == theirs.shape, name
            both, either = np.isfinite(ours) & np.isfinite(theirs), np.isfinite(ours) | np.isfinite(theirs)
            assert both.sum() >= 0.99 * either.sum(), name
            if name == "ERROR":
                assert np.median(ours[both] / theirs[both]) == pytest.approx(error_ratio, rel=0.05)
            else:
                level = np.nanpercentile(np.abs(theirs), 99.9)
                assert np.percentile(np.abs(ours - theirs)[both] / level, 99.5) < tolerance, name

    return compare


@pytest.fixture(scope="session")
def real_products() -> Path:
    """The folder of products that the observatory published."""
    if not (SHARED / "data/real").is_dir():
        pytest.skip("the published products are not on this computer")
    return SHARED / "data/real"


@pytest.fixture(scope="session")
def find_star() -> Callable[..., tuple[float, float]]:
    """Find the centre of a star near a position, as the centre of mass without a flat background."""
    import numpy as np

    def find(image: "np.ndarray", x: float, y: float, reach: int = 9) -> tuple[float, float]:
        column, row = round(x), round(y)
        box = np.nan_to_num(image[row - reach : row + reach + 1, column - reach : column + reach + 1])
        box = box - np.median(box)
        offsets = np.arange(-reach, reach + 1)
        return column + (box.sum(0) @ offsets) / box.sum(), row + (box.sum(1) @ offsets) / box.sum()

    return find
