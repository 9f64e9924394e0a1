"""The whole way with real recipes: simulate, reduce, compare with the truth, make again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sofia_engine.product import Product
from sofia_engine.reference import ReferenceStore

GOLDEN = Path(__file__).resolve().parents[2] / "../shared/golden"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work without network; skip where the calibration files are not at hand."""
    monkeypatch.setenv("SOFIA_DESK_OFFLINE", "1")
    rows = ReferenceStore().status()
    if any(row.state in ("missing", "damaged") for row in rows if row.file.instrument == "FORCAST"):
        pytest.skip("the calibration files are not here")


def test_that_the_demonstration_finds_the_flux_and_its_product_can_be_made_again(
    desk: Callable[..., Any], tmp_path: Path
) -> None:
    answer = desk("demo", "d", "-l", "error")
    assert answer.code == 0, answer.err
    assert "Truth:      flux 160 Me/s" in answer.out
    (product,) = (tmp_path / "d" / "reduced").glob("*_CAL_*.fits")
    assert Product.read(product).header["STAPFLX"] == pytest.approx(160, rel=0.02)
    assert product.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    again = desk("rerun", product, "-l", "error")
    assert again.code == 0
    assert "identical, bit for bit" in again.out


@pytest.mark.golden
def test_that_parameters_of_the_reference_pipeline_reduce_its_raw_files(
    desk: Callable[..., Any], tmp_path: Path
) -> None:
    folder = GOLDEN / "forcast_img_c2nc2"
    if not folder.exists():
        pytest.skip("the golden sets are not here")
    answer = desk("reduce", folder / "raw", "-c", folder / "expected" / "parameters.cfg", "-l", "error", "--json")
    assert answer.code == 0, answer.err
    summary = json.loads(answer.out)
    used = [reference["name"] for step in summary["steps"] for reference in step["references"]]
    assert any("swc_badpix_OC6J.fits" in name for name in used)
    names = {Path(path).name for path in summary["products"]}
    expected = {path.name.removesuffix(".gz") for path in (folder / "expected").glob("*.fits.gz")}
    assert expected <= names


def test_that_models_for_the_conditions_of_a_flight_are_asked_for_and_may_be_missing(
    desk: Callable[..., Any], tmp_path: Path
) -> None:
    assert desk("simulate", "fifi-ls-symmetric", "raw", "--set", "n_dither=1").code == 0
    (tmp_path / "raw" / "atran.fits").unlink()
    status = desk("data", "status", "raw")
    assert {"atran", "water vapour", "response"} <= {line[11:43].strip() for line in status.out.splitlines()}
    answer = desk("data", "fetch", "raw")
    assert answer.code == 0, answer.err
    assert "files fetched" in answer.out
    if "missing" in status.out:
        assert "to bring them: sofia-desk data fetch raw" in status.out
        assert "To supply it, run 'sofia-desk data fetch' with the observations" in answer.err
