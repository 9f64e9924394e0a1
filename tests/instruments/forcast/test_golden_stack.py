"""The chain from raw data to stacked images beside the products of the published pipeline."""

import time

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.instruments.forcast.check import checkhead
from sofia_engine.instruments.forcast.clean import clean
from sofia_engine.instruments.forcast.droop import droop
from sofia_engine.instruments.forcast.imaging import find_imaging_defaults
from sofia_engine.instruments.forcast.nonlinearity import nonlin
from sofia_engine.instruments.forcast.stack import stack
from sofia_engine.product import Product

pytestmark = pytest.mark.golden

STEPS = (clean, droop, nonlin, stack)
SAME_KEYWORDS = (
    "ASSC_AOR", "ASSC_OBS", "ASSC_MSN", "OBS_ID", "SKYMODE", "BDPXFILE", "JBCLEAN", "CONFFILE", "RN_LOW", "RN_HIGH",
    "BETA_G", "MINDROOP", "MAXDROOP", "NRODROOP", "NLINC0", "NLINC5", "NLRSWCLO", "NLSSWCLO", "LIMSWCLO", "CHOPTSAC",
    "BGSUB", "BGSCALE", "PROCSTAT", "DETCHAN",
)  # fmt: skip


def reduce_to_stack(path, drive, store, **stack_parameters):
    (product,), _ = drive(checkhead, (Product.read(path),))
    stack_parameters = stack_parameters or dict(find_imaging_defaults(product.header)["stack"])
    for step in STEPS:
        product, _ = drive(step, product, stack_parameters if step is stack else {}, store=store)
    return product


@pytest.mark.parametrize(
    ("folder", "raw", "expected", "nod_pairs"),
    [
        ("forcast_img_nmc", "FORF197_RAW_0001", "FORF197_UND_0001", 2),
        ("forcast_img_npc", "FORF197_RAW_0001", "FORF197_MRG_0001", None),
        ("forcast_img_c2nc2", "FORF197_RAW_0001", "FORF197_CAL_0001-0002", None),
    ],
)
def test_that_keywords_agree_with_the_published_pipeline(
    golden, drive, reference_store, folder, raw, expected, nod_pairs
):
    stacked = reduce_to_stack(golden / folder / "raw" / f"F0501_FO_IMA_90000101_{raw}.fits.gz", drive, reference_store)
    theirs = fits.getheader(golden / folder / "expected" / f"F0501_FO_IMA_90000101_{expected}.fits.gz")
    ours = stacked.header
    merged = {"ASSC_OBS", "PROCSTAT"} if "CAL" in expected else set()
    assert {k: ours[k] for k in SAME_KEYWORDS if k not in merged} == {
        k: theirs[k] for k in SAME_KEYWORDS if k not in merged
    }
    levels = [np.array(header["NLINSLEV"].strip("[]").split(","), dtype=float) for header in (ours, theirs)]
    np.testing.assert_allclose(*levels, rtol=2e-6)
    if nod_pairs is not None:
        assert (ours["NEXP"], ours["EXPTIME"]) == (theirs["NEXP"], theirs["EXPTIME"]) == (2, 40.0)


@pytest.mark.parametrize("number", [1])
def test_that_a_stacked_spectrum_agrees_with_the_published_pipeline(golden, drive, reference_store, number):
    folder = golden / "forcast_gri_g063"
    stacked = reduce_to_stack(
        folder / "raw" / f"F0501_FO_GRI_90000101_FORG063_RAW_{number:04d}.fits.gz",
        drive,
        reference_store,
        bgsub=False,
        jailbar_baseline="Running median",
    )
    with fits.open(folder / "expected" / f"F0501_FO_GRI_90000101_FORG063_STK_{number:04d}.fits.gz") as theirs:
        for name in ("FLUX", "ERROR"):
            ours, expected = stacked[name], theirs[name].data
            # where the difference is exactly zero, the published pipeline has no value
            both = np.isfinite(ours) & np.isfinite(expected)
            assert np.isfinite(expected)[~np.isfinite(ours)].sum() == 0
            assert np.isfinite(ours)[~np.isfinite(expected)].sum() < 60
            # readout stripes are estimated without bad pixels here, with them there: see the decision record on stripes
            difference, scale = np.abs(ours - expected)[both], np.percentile(np.abs(expected[both]), 99.9)
            assert np.percentile(difference, 99.5) < 2e-3 * scale
            assert np.percentile(difference / stacked["ERROR"][both], 99.5) < 0.5
            assert np.percentile(difference, 50) < 1e-5 * scale
        assert stacked.header["NEXP"] == theirs[0].header["NEXP"]
        assert stacked.header["EXPTIME"] == theirs[0].header["EXPTIME"]
        assert stacked.plane("FLUX").unit == theirs[0].header["BUNIT"]


def test_that_a_file_is_stacked_within_a_tenth_of_a_second(golden, drive, reference_store):
    path = golden / "forcast_img_nmc" / "raw" / "F0501_FO_IMA_90000101_FORF197_RAW_0001.fits.gz"
    (loaded,), _ = drive(checkhead, (Product.read(path),))
    times = []
    for _ in range(4):
        start = time.perf_counter()
        product = loaded
        for step in STEPS:
            product, _ = drive(step, product, store=reference_store)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1
