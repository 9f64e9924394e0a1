from __future__ import annotations

import pytest

from sofia_engine.errors import ReferenceDataError
from sofia_engine.reference import ReferenceRequest, ReferenceStore
from sofia_engine.simulate.forcast_calibration import (
    FluxCalibration,
    compute_telluric_factor,
    read_calibration_factor,
)

RESPONSE = "# ALTMIN=35.0 ALTMAX=45.0 ALTREF=41.0\n# ZAMIN=30 ZAMAX=70 ZAREF=60.0\n19.7 FOR_F197 99.0 1.0 {slope}\n"


def write_tables(folder, airmass_slope=-0.1, altitude_slope=0.02):
    paths = folder / "airmass.txt", folder / "altitude.txt"
    for path, slope in zip(paths, (airmass_slope, altitude_slope), strict=True):
        path.write_text(RESPONSE.format(slope=slope))
    return paths


def test_that_telluric_factor_is_reference_over_observed_response(tmp_path):
    factor = compute_telluric_factor(*write_tables(tmp_path), "FOR_F197", 0.0, 40.0)
    assert factor == pytest.approx(1 / ((1 + 0.1) * (1 - 0.02)))  # sec z is 1 instead of 2, altitude 1 kft lower


def test_that_telluric_factor_at_the_reference_is_one(tmp_path):
    assert compute_telluric_factor(*write_tables(tmp_path), "FOR_F197", 60.0, 41.0) == pytest.approx(1)


def test_that_unknown_filter_and_damaged_table_are_named(tmp_path):
    tables = write_tables(tmp_path)
    with pytest.raises(ReferenceDataError, match="FOR_F315"):
        compute_telluric_factor(*tables, "FOR_F315", 45.0, 41.0)
    tables[0].write_text("nothing\n")
    with pytest.raises(ReferenceDataError, match="ZAREF"):
        compute_telluric_factor(*tables, "FOR_F197", 45.0, 41.0)
    with pytest.raises(ReferenceDataError, match="absent"):
        read_calibration_factor(tmp_path / "absent.txt", "FOR_F197", 0)


def test_that_calibration_factor_is_that_of_filter_and_dichroic(tmp_path):
    path = tmp_path / "factors.txt"
    path.write_text("# SPECTEL DICHROIC REFCALFC REFCALER\nFOR_F197 0 0.83 0.01\nFOR_F197 1 0.62 0.01\n")
    assert read_calibration_factor(path, "FOR_F197", 0) == 0.83
    assert read_calibration_factor(path, "FOR_F197", 1) == 0.62
    assert read_calibration_factor(path, "FOR_F056", 0) is None


def test_that_flux_in_jansky_is_corrected_counts_over_factor():
    assert FluxCalibration(0.8, 1.1, {}).to_jansky(100.0) == pytest.approx(137.5)
    assert FluxCalibration(None, 1.1, {}).to_jansky(100.0) is None


@pytest.mark.parametrize(
    ("zenith_angle", "altitude", "published"), [(44.25, 40.0025, 1.0014656064665575), (45, 40, 1.0016295391193264)]
)
def test_that_published_telluric_factors_are_met(zenith_angle, altitude, published):
    store = ReferenceStore(offline=True)
    kinds = ("response_airmass", "response_altitude")
    try:
        tables = [store.get(ReferenceRequest("FORCAST", kind, 20180901, {"altcfg1": "0"})) for kind in kinds]
    except ReferenceDataError:
        pytest.skip("the published response tables are not on this computer")
    assert compute_telluric_factor(*tables, "FOR_F197", zenith_angle, altitude) == pytest.approx(published, rel=1e-12)
