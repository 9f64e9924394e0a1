"""Whole reductions of the golden FIFI-LS ramps beside what the published pipeline makes of them.

All steps up to the shift of wavelengths agree to rounding, but for the smoothing of the model of the atmosphere; cubes
agree within the rules at the edges of local fits, and the error of the calibration, which is not negative here where
the flux is (record 40).
"""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.product import Product

pytestmark = pytest.mark.golden

STEPS = (
    "split_grating_and_chop", "fit_ramps", "subtract_chops", "combine_nods", "lambda_calibrate", "spatial_calibrate",
    "apply_static_flat", "telluric_correct", "correct_wave_shift",
)  # fmt: skip
"""Steps whose products are not saved by default."""
TO_ROUNDING = ("CP0", "CP1", "RP0", "RP1", "CSB", "NCM", "WAV", "XYC", "FLF", "SCM")
NUMBERS = (
    "EXPTIME", "XPOSURE", "NEXP", "TELAPSE", "CALERR", "BARYSHFT", "LSRSHFT", "SKY_ANGL", "NGRATING", "CHOPNUM",
    "PIXSCAL", "RESOLUN", "SPEXLWID", "CRVAL1", "CRVAL2", "CRVAL3", "CDELT1", "CDELT2", "CDELT3", "CRPIX1",
    "CRPIX2", "CRPIX3", "CROTA2", "BMAJ", "BMIN", "BPA", "TELRA", "TELDEC", "EQUINOX", "BGLEVL_A", "BGLEVL_B",
)  # fmt: skip
TEXTS = (
    "PRODTYPE", "PROCSTAT", "FILENAME", "FILENUM", "OBS_ID", "ASSC_OBS", "ASSC_AOR", "ASSC_MSN", "NODBEAM", "CHANNEL",
    "BDPXFILE", "WAVEFILE", "SPATFILE", "FLATFILE", "RESFILE", "RSPNFILE", "ATRNFILE", "BUNIT", "RAWUNITS", "DATE-BEG",
    "DATE-END", "UTCEND", "XYFITORD", "XYFITWD", "XYFITWTS", "XYRSMPAL", "CTYPE1", "CTYPE2", "CTYPE3", "SPECSYS",
)  # fmt: skip


@dataclass(frozen=True)
class Reduced:
    """Products of a whole reduction, and those expected."""

    folder: Path
    expected: Path

    def pairs(self, *codes):
        for path in sorted(self.expected.glob("*.fits.gz")):
            name = path.name.removesuffix(".gz")
            if not codes or name.split("_")[5] in codes:
                yield self.folder / name, path


@pytest.fixture(scope="module", params=["fifi_sym_red", "fifi_sym_blue"])
def reduced(request, golden, reference_store, tmp_path_factory):
    """Reduce a set from its raw files to the picture of the cube."""
    folder, source = tmp_path_factory.mktemp(request.param), golden / request.param
    atran = folder / "atran.fits"
    atran.write_bytes(gzip.decompress((source / "raw/atran.fits.gz").read_bytes()))
    raw = sorted((source / "raw").glob("0*.fits.gz"))
    with Reduction.open(raw, output=folder, session=folder / "session", references=reference_store) as reduction:
        for step in STEPS:
            reduction.set(step, save=True)
        reduction.set("telluric_correct", use_ecmwf=False, atran_file=str(atran))
        reduction.set("resample", fit_errors="reference")  # by default errors are the scatter of pixels
        reduction.set("resample", fit_errors="reference")  # by default errors are the scatter: record 41
        reduction.reduce()
    return Reduced(folder, source / "expected")


def test_that_planes_of_all_steps_before_the_atmosphere_agree_to_rounding(reduced, compare_planes):
    for ours, theirs in reduced.pairs(*TO_ROUNDING):
        compare_planes(Product.read(ours), Product.read(theirs), 1e-9)


def test_that_calibrated_planes_agree(reduced, compare_planes):
    for ours, theirs in reduced.pairs("TEL", "CAL", "WSH"):
        compare_planes(Product.read(ours), Product.read(theirs), 2e-4)


def test_that_cubes_agree(reduced):
    for ours, theirs in reduced.pairs("WXY"):
        product, expected = Product.read(ours), Product.read(theirs)
        for name in expected.planes:
            plane, other = np.asarray(product[name], float), np.asarray(expected[name], float)
            assert plane.shape == other.shape, name
            both, either = np.isfinite(plane) & np.isfinite(other), np.isfinite(plane) | np.isfinite(other)
            assert both.sum() >= 0.998 * either.sum(), name
            if "CAL_ERROR" in name:
                other = np.abs(other)
            difference = np.abs(plane - other)[both] / np.nanpercentile(np.abs(other), 99.9)
            if name == "EXPOSURE_MAP":
                assert np.mean(difference > 0) < 0.02  # pixels whose centre lies on the border of a field
            else:
                assert np.percentile(difference, 99.5) < 5e-3, name


def test_that_the_line_core_of_cubes_agrees_within_a_percent(reduced):
    for ours, theirs in reduced.pairs("WXY"):
        product, expected = Product.read(ours)["FLUX"], np.asarray(Product.read(theirs)["FLUX"], float)
        core = expected > 0.3 * np.nanmax(expected)
        assert core.sum() > 300
        assert np.nanmax(np.abs(product[core] / expected[core] - 1)) < 0.01


def test_that_names_extensions_and_units_are_equal(reduced):
    for ours, theirs in reduced.pairs():
        with fits.open(ours) as product, fits.open(theirs) as expected:
            assert [hdu.name for hdu in product] == [hdu.name for hdu in expected]
            for hdu, other in zip(product, expected, strict=True):
                if hdu.name == "RELATIVE_RESPONSE_ERROR":
                    continue  # a fraction has no unit: record 40
                unit, wanted = hdu.header.get("BUNIT"), other.header.get("BUNIT")
                same = {"adu/(Hz s Jy)", "adu/(s Hz Jy)"}
                assert (unit or "") == (wanted or "") or {unit, wanted} == same, (ours.name, hdu.name)
    for drawing in reduced.expected.glob("*.png"):
        assert (reduced.folder / drawing.name).read_bytes()[:4] == b"\x89PNG"


def test_that_keywords_agree(reduced):
    for ours, theirs in reduced.pairs():
        product, expected = fits.getheader(ours), fits.getheader(theirs)
        for key in (key for key in NUMBERS if key in expected):
            assert product[key] == pytest.approx(expected[key], rel=2e-6, abs=1e-12), (ours.name, key)
        for key in (key for key in TEXTS if key in expected):
            assert product[key].upper() == expected[key].upper(), (ours.name, key)  # names keep their case here
        assert set(expected) - set(product) <= {"COMMENT"}


def test_that_keywords_of_grating_positions_agree(reduced):
    for ours, theirs in reduced.pairs(*TO_ROUNDING[:-1]):
        with fits.open(ours) as product, fits.open(theirs) as expected:
            for hdu, other in zip(product[1:], expected[1:], strict=True):
                for key in ("INDPOS", "INDPOS_P", "CHOPNUM", "NODPOS", "BGLEVL_A", "BGLEVL_B", "MSTDDEV"):
                    if key in other.header:
                        wanted = pytest.approx(other.header[key], rel=1e-9)
                        assert hdu.header[key] == wanted, (ours.name, hdu.name, key)


def test_that_the_history_names_all_steps(reduced):
    for ours, theirs in reduced.pairs("WXY"):
        lines = [
            [line for line in str(fits.getheader(path)["HISTORY"]).splitlines() if line.startswith("-- Pipeline step")]
            for path in (ours, theirs)
        ]
        assert lines[0][-len(lines[1]) :] == lines[1]


def test_that_a_reduction_goes_on_from_any_of_its_products(reduced, reference_store, tmp_path):
    """From the published products too: the cube is the same as in one go."""
    for _, theirs in reduced.pairs("CAL"):
        files = [theirs, *sorted(reduced.folder.glob("*_CAL_*"))[1:]]
        with Reduction.open(files, output=tmp_path, session=tmp_path / "s", references=reference_store) as reduction:
            assert reduction.next_step.key == "correct_wave_shift"
            reduction.run_to("resample")
        made = Product.read(next(tmp_path.glob("*_WXY_*")))
        whole = Product.read(reduced.folder / next(reduced.expected.glob("*_WXY_*.fits.gz")).name.removesuffix(".gz"))
        level = np.nanmax(np.abs(whole["FLUX"]))
        assert np.nanmax(np.abs(made["FLUX"] - whole["FLUX"])) < 1e-4 * level
        assert made.name == whole.name
