"""Whole reductions of the golden raw images beside what the published pipeline makes of them.

Each set is reduced once with defaults and once with the expert parameters that follow earlier reductions. Agreement
of single steps is tested beside the steps.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.header.celestial import read_tangent_plane
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.product import Product

pytestmark = pytest.mark.golden

AS_PUBLISHED = {
    "stack": {"jailbar_baseline": "Running median"},
    "undistort": {"pinhole_fit": "Total least squares", "round_crpix": True},
    "coadd": {"large_sample_errors": True},
}
FILES = {"forcast_img_nmc": 4, "forcast_img_npc": 2, "forcast_img_c2nc2": 2}
MEDIAN_ERROR = {4: math.sqrt(1.1928 / (math.pi / 2)), 2: math.sqrt(1 / (math.pi / 2))}
"""Error of the median of so many images, over the one of very many that was published."""
PHOTOMETRY = (
    "STAPFLX", "STPRFLX", "STPEAK", "STBKG", "STFWHMX", "STFWHMY", "STPWLAW", "STANGLE", "STCENTX", "STCENTY",
    "SRCPOSX", "SRCPOSY", "MODLFLX", "MODLFLXE", "AVGCALFC", "AVGCALER", "REFCALFC", "REFCALER", "LAMREF", "LAMPIVOT",
    "COLRCORR", "PHOTIMSZ", "PHOTAPER",
)  # fmt: skip
NUMBERS = (
    "CALFCTR", "ERRCALF", "TELCORR", "REFCALZA", "REFCALAW", "LAMREF", "LAMPIVOT", "COLRCORR", "EXPTIME", "NEXP",
    "BMAJ", "BMIN", "CDELT1", "CDELT2", "CROTA2", "EQUINOX", "CRVAL1", "CRVAL2", "NLINC0", "BORDER",
)  # fmt: skip
TEXTS = (
    "PRODTYPE", "PROCSTAT", "FILENAME", "BUNIT", "OBJECT", "OBS_ID", "ASSC_OBS", "ASSC_AOR", "SKYMODE", "CTYPE1",
    "CTYPE2", "CORMERGE", "CORCOADD", "PINFILE", "BDPXFILE", "REFCALF1", "REFCALF2", "REFCALF3", "PHOTPROF",
    "PHOTSKAP", "REFSTD1", "REFSTD2", "AVCLFILE", "RUNITS",
)  # fmt: skip


@dataclass(frozen=True)
class Reduced:
    """Products of a whole reduction, and those expected."""

    name: str
    compatible: bool
    folder: Path
    expected: Path

    def pairs(self):
        return [(self.folder / path.name.removesuffix(".gz"), path) for path in sorted(self.expected.glob("*.fits.gz"))]

    @property
    def error_ratio(self):
        return 1.0 if self.compatible else MEDIAN_ERROR[FILES[self.name]]


@pytest.fixture(
    scope="session",
    params=[(name, compatible) for name in FILES for compatible in (True, False)],
    ids=lambda chosen: f"{chosen[0]}-{'as published' if chosen[1] else 'default'}",
)
def reduced(request, golden, reference_store, tmp_path_factory):
    """Reduce a set from its raw files to the map."""
    name, compatible = request.param
    folder = tmp_path_factory.mktemp(name)
    raw = sorted((golden / name / "raw").glob("*.fits.gz"))
    with Reduction.open(raw, output=folder, session=folder / "session", references=reference_store) as reduction:
        for step, values in AS_PUBLISHED.items() if compatible else ():
            reduction.set(step, **values)
        reduction.reduce()
    return Reduced(name, compatible, folder, golden / name / "expected")


def cut_to(product, shape):
    """The published frame of one set has a row and a column more, by rounding: see record 1."""
    rows, columns = shape
    beyond = [product[name][rows:] for name in product.planes if name != "EXPOSURE"]
    assert all(np.isnan(part).all() for part in beyond)
    return product.replace(**{name: product[name][:rows, :columns] for name in product.planes})


def test_that_planes_agree(reduced, compare_planes):
    for ours, theirs in reduced.pairs():
        product, expected = Product.read(ours), Product.read(theirs)
        if reduced.name == "forcast_img_c2nc2":
            expected = cut_to(expected, product["FLUX"].shape)
        combined = "_COA_" in ours.name or "_CAL_" in ours.name
        compare_planes(product, expected, 5e-3, error_ratio=reduced.error_ratio if combined else 1.0)
        if "EXPOSURE" in expected.planes:
            # nearest pixels of positions that are half-way but for rounding differ
            assert np.mean(product["EXPOSURE"] == expected["EXPOSURE"]) > 0.997


def test_that_names_extensions_and_units_are_equal(reduced):
    for ours, theirs in reduced.pairs():
        with fits.open(ours) as product, fits.open(theirs) as expected:
            assert [hdu.name for hdu in product] == [hdu.name for hdu in expected]
            assert [hdu.header.get("BUNIT") for hdu in product] == [hdu.header.get("BUNIT") for hdu in expected]
    for drawing in reduced.expected.glob("*.png"):
        assert (reduced.folder / drawing.name).read_bytes()[:4] == b"\x89PNG"
    codes = {path.name.split("_")[5] for path in reduced.folder.glob("F0501_FO_*")}
    assert codes == {"UND", "MRG", "TEL", "COA", "CAL"}


def test_that_keywords_agree(reduced):
    for ours, theirs in reduced.pairs():
        product, expected = fits.getheader(ours), fits.getheader(theirs)
        for key in (key for key in NUMBERS if key in expected):
            assert product[key] == pytest.approx(expected[key], rel=5e-3), (ours.name, key)
        for key in (key for key in TEXTS if key in expected):
            assert product[key] == expected[key], (ours.name, key)


def test_that_no_keyword_is_lost(reduced):
    for ours, theirs in reduced.pairs():
        assert set(fits.getheader(theirs)) - set(fits.getheader(ours)) <= {"COMMENT"}


def test_that_photometry_of_the_standard_agrees(reduced):
    if reduced.name != "forcast_img_nmc":
        pytest.skip("the other targets are no flux standards")
    for code in ("COA", "CAL"):
        ours, theirs = next(pair for pair in reduced.pairs() if f"_{code}_" in pair[0].name)
        product, expected = fits.getheader(ours), fits.getheader(theirs)
        for key in PHOTOMETRY:
            assert product[key] == pytest.approx(expected[key], rel=5e-3), key
        for key in ("STAPFLXE", "STCENTXE", "STCENTYE", "STPEAKE"):
            assert product[key] == pytest.approx(expected[key] * reduced.error_ratio, rel=0.02), key
        assert abs(product["STAPSKY"] - expected["STAPSKY"]) < 4 * product["STAPSKYE"]  # there is no sky left


def find_source(product, find_star):
    image = np.nan_to_num(product["FLUX"])
    rows, columns = image.shape
    image[(np.indices(image.shape).T < 40).any(-1).T] = 0
    y, x = np.unravel_index(image[: rows - 40, : columns - 40].argmax(), (rows - 40, columns - 40))
    place = find_star(product["FLUX"], x, y)
    ra, dec = read_tangent_plane(product.header).to_sky(*place)
    return float(ra), float(dec)


def separation(first, second):
    """Arcsec."""
    return 3600 * math.hypot((first[0] - second[0]) * math.cos(math.radians(first[1])), first[1] - second[1])


def test_that_the_source_is_at_its_place_on_the_sky(reduced, find_star):
    """Within 0.1 arcsec of the truth by default; rounded reference pixels, as published, are off by more at times.

    The source of forcast_img_npc was put on the detector without the distortion, so that its place cannot decide
    (record 1); there the published position is the measure, to the 0.38 arcsec by which rounding may move it.
    """
    words = (reduced.expected.parent / "truth.txt").read_text().split()
    truth = float(words[words.index("ra") + 1]), float(words[words.index("dec") + 1])
    ours, theirs = next(pair for pair in reduced.pairs() if "_CAL_" in pair[0].name)
    found, published = find_source(Product.read(ours), find_star), find_source(Product.read(theirs), find_star)
    if reduced.compatible or reduced.name == "forcast_img_npc":
        assert separation(found, published) < (0.02 if reduced.compatible else 0.1)
    else:
        assert separation(found, truth) < 0.1
