"""Small hand-written calibration tables, the published ones where they are at hand, and drawn sources."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sofia_engine.errors import ReferenceDataError
from sofia_engine.photometry.calibration import ImagingCalibration, LocatedFile, load_calibration
from sofia_engine.photometry.configuration import CalibrationSetup, determine_setup
from sofia_engine.photometry.profile import evaluate_profile

GOLDEN = Path(__file__).resolve().parents[2] / "../shared/golden"

TABLES = {
    "filter_definition": (
        "# SPECTEL altcfg1 LAMMEAN LAMPIVOT COLOR_CORR APRAD BGIN BGOUT FWHM FITSIZE\n"
        "FOR_F111 0 11.0888 11.0852 1.00 12.0 15.0 25.0 5.0 138\n"
        "FOR_F197 1 30.0 29.0 1.00 9.0 10.0 11.0 4.0 100\n"
        "For_F197 0 20.0 19.0 1.25 12.0 15.0 25.0 5.0 138\n"
    ),
    "flux_calibration": "# comment\nFOR_F197 1 0.5 0.01\nFOR_F197 0 0.8 0.02\n",
    "average_flux_calibration": "FOR_F197 . 0.7 0.1\n",
    "response_airmass": (
        "# ALTMIN=35.0 ALTMAX=45.0 ALTREF=41.0\n# ZAMIN=30.0 ZAMAX=70.0 ZAREF=45.0\n# filter\n"
        "19.7 FOR_F197 100.0 1.0 -0.1\n"
    ),
    "response_altitude": (
        "# ALTMIN=35.0 ALTMAX=45.0 ALTREF=41.0\r# ZAMIN=30.0 ZAMAX=70.0 ZAREF=45.0\r"
        "19.7 FOR_F197 100.0 1.0 0.02 0.001\r"
    ),
    "response_pwv": (
        "# WVOMIN=1.8 WVOMAX=182.1 WVOREF=7.3\n# ZAMIN=30.0 ZAMAX=70.0 ZAREF=45.0\n19.7 FOR_F197 100.0 1.0 -0.05\n"
    ),
    "standard_flux_error": "# object %error scale\nCERES 20 1.0\nALPHABOO 5 1.1\n",
    "standard_flux": "1\n2\n3\n4\n5\n6\n19.5 30.00 0 0 0 0 0 0 0 0 150.0 1\n19.5 20.005 0 0 0 0 0 0 0 0 200.0 1\n",
}


@dataclass(frozen=True)
class Located:
    """A file with its name in headers."""

    name: str
    path: Path


@pytest.fixture
def header() -> dict[str, object]:
    """Keywords of an observation of a standard."""
    return {
        "INSTRUME": "FORCAST",
        "SPECTEL1": "FOR_F197",
        "SPECTEL2": "NONE",
        "INSTCFG": "IMAGING_SWC",
        "OBJECT": "Alpha Boo",
        "DETCHAN": "SW",
        "DATE-OBS": "2018-09-01T05:10:00.000",
        "ZA_START": 45.0,
        "ZA_END": 45.0,
        "ALTI_STA": 40000.0,
        "ALTI_END": 40000.0,
        "WVZ_OBS": 7.0,
    }


@pytest.fixture
def setup(header: dict[str, object]) -> CalibrationSetup:
    return determine_setup(header)


@pytest.fixture
def locate(tmp_path: Path) -> Callable[..., LocatedFile | None]:
    """Find the small tables; a test may delete or rewrite them."""
    for kind, text in TABLES.items():
        (tmp_path / f"{kind}.txt").write_bytes(text.encode())

    def find(request: object) -> LocatedFile | None:
        path = tmp_path / f"{request.kind}.txt"
        return Located(f"forcast/{path.name}", path) if path.exists() else None

    return find


@pytest.fixture
def calibration(setup: CalibrationSetup, locate: Callable[..., LocatedFile | None]) -> ImagingCalibration:
    """The calibration the small tables give."""
    return load_calibration(setup, locate)


@pytest.fixture(scope="session")
def locate_published() -> Callable[..., LocatedFile | None]:
    """Find the published tables; tests are skipped where they are not on the computer."""
    from sofia_engine.reference import ReferenceRequest, ReferenceStore

    store = ReferenceStore(offline=True)
    try:
        store.get(ReferenceRequest("FORCAST", "filter_definition", 20180901, {"altcfg1": "0"}))
    except ReferenceDataError:
        pytest.skip("the published calibration tables are not on this computer")

    def find(request: ReferenceRequest) -> LocatedFile | None:
        file = store.find(request)
        return None if file is None else Located(file.name, store.get(file))

    return find


@pytest.fixture(scope="session")
def golden() -> Path:
    if not GOLDEN.is_dir():
        pytest.skip("the golden sets are not on this computer")
    return GOLDEN


def draw_profile(profile: str, parameters: tuple[float, ...], shape: tuple[int, int] = (120, 120)) -> np.ndarray:
    """Draw a profile; parameters are background, peak, x, y, a, b, angle (rad), power law."""
    y, x = np.indices(shape, dtype=float)
    return evaluate_profile(profile, np.array(parameters), x, y)


@pytest.fixture(scope="session")
def draw() -> Callable[..., np.ndarray]:
    return draw_profile
