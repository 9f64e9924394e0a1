"""Whole reductions of the golden grism sets beside what the published pipeline makes of them.

Each set is reduced with defaults and with the expert parameters that follow earlier reductions. How far the defaults
may differ, and why they are nearer to the truth, is in the decision records 20 to 25 and 30 to 37.
"""

import gzip
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import median_filter

from sofia_engine.numerics.filtering import median_by_residue, remove_row_pattern_by_median
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.product import Product
from sofia_engine.reference import ReferenceRequest

pytestmark = pytest.mark.golden

WAYS = {
    "default": {},
    "as published": {
        "stack": {"jailbar_baseline": "Running median"},
        "combine_spectra": {"response_error": "independent"},
        "make_profiles": {"error_rule": "area", "profile_rows": "all"},
        "set_apertures": {"edge_rule": "lower"},
        "extract_spectra": {"profile_error": 0.0},
    },
    "stripes left": {"stack": {"jbclean": False}},
    "summed": {"stack": {"jbclean": False}, "extract_spectra": {"method": "standard", "fix_bad": False}},
}
TOLERANCES = {"STK": 1e-3, "RIM": 1e-3, "MGM": 1e-3, "CRM": 1e-3, "spectra": 1e-2}
"""What the golden sets ask; CRM images are not named there, and are held to the same."""
SETS = ("forcast_gri_g063", "forcast_gri_std", "forcast_gri_scan")
OUR_OWN = {"BGORDER", "PCOUNT", "GCOUNT"}


@dataclass(frozen=True)
class Reduced:
    """Products of a whole reduction, and those expected."""

    name: str
    compatible: bool
    folder: Path
    expected: Path

    def pairs(self):
        return [(self.folder / path.name.removesuffix(".gz"), path) for path in sorted(self.expected.glob("*.fits.gz"))]

    def pair(self, code):
        return next(pair for pair in self.pairs() if f"_{code}" in pair[0].name)


@pytest.fixture(scope="session")
def reduce_set(golden, reference_store, tmp_path_factory):
    """Give a function that reduces a set from its raw files to the last product, each way once."""

    @cache
    def reduce(name, way):
        folder = tmp_path_factory.mktemp(name)
        raw = sorted((golden / name / "raw").glob("*RAW*.fits.gz"))
        with Reduction.open(raw, output=folder, session=folder / "session", references=reference_store) as reduction:
            for step, values in WAYS[way].items():
                if any(made.key == step for made in reduction.recipe.steps):
                    reduction.set(step, **values)
            if name == "forcast_gri_std":
                model = folder / "alphaboo_model.fits"
                model.write_bytes(gzip.decompress((golden / name / "raw/alphaboo_model.fits.gz").read_bytes()))
                reduction.set("make_response", model_file=str(model))
            reduction.reduce()
        return folder

    return reduce


@pytest.fixture(
    scope="session",
    params=[(name, way) for name in SETS for way in ("as published", "default")],
    ids=lambda chosen: "-".join(chosen),
)
def reduced(request, golden, reduce_set):
    """A set reduced with the published choices, or with ours."""
    name, way = request.param
    return Reduced(name, way == "as published", reduce_set(name, way), golden / name / "expected")


def difference(ours, theirs, percent=99.5):
    """Largest difference of so many percent of the values, over the level of the expected ones."""
    both = np.isfinite(ours) & np.isfinite(theirs)
    assert both.sum() > 0.99 * (np.isfinite(ours) | np.isfinite(theirs)).sum()
    level = np.nanpercentile(np.abs(theirs), 99.9)
    return np.percentile(np.abs(ours - theirs)[both], percent) / level


def median_ratio(ours, theirs):
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = ours / theirs
    return np.median(ratio[np.isfinite(ratio)])


def needs(reduced, name):
    if reduced.name != name:
        pytest.skip(f"the comparison is for {name}")


def test_that_images_agree(reduced, reduce_set):
    """Published images have stripes taken off that raw files do not have; ours are within the tolerance of the true.

    The true ones are those from which no stripes are taken at all: record 37.
    """
    if not reduced.compatible:
        true = reduce_set(reduced.name, "stripes left")
    for ours, theirs in reduced.pairs():
        code = ours.name.split("_")[5]
        if code not in {"STK", "RIM", "MGM", "CRM"}:
            continue
        product, expected = Product.read(ours), Product.read(theirs)
        if reduced.compatible:  # median filters near bad pixels: record 32
            limit = {"STK": 2e-3, "RIM": 1e-3, "MGM": 1.5e-3, "CRM": 3.5e-3}[code]
            assert difference(product["FLUX"], expected["FLUX"]) < limit, ours.name
        else:
            striped = Product.read(true / ours.name)["FLUX"]
            off, published_off = (difference(image["FLUX"], striped) for image in (product, expected))
            assert off < (1.3e-3 if reduced.name == "forcast_gri_scan" else TOLERANCES[code] / 3), ours.name
            assert off < 0.2 * published_off, ours.name
        ratio = median_ratio(product["ERROR"], expected["ERROR"])
        low, high = (0.97, 1.03) if reduced.compatible or code == "STK" else (0.69, 0.85)  # record 20
        assert low < ratio < high, ours.name


@pytest.mark.parametrize("name", SETS)
def test_that_the_raw_files_have_no_stripes(golden, name):
    """The 16 readout channels of the double differences scatter by no more than the noise of their medians."""
    for path in sorted((golden / name / "raw").glob("*RAW*.fits.gz")):
        planes = fits.getdata(path).astype(float)
        image = planes[0] - planes[1] - planes[2] + planes[3]
        image -= np.median(image, axis=1, keepdims=True)
        channels = np.array([np.median(image[:, channel::16]) for channel in range(16)])
        noise = 1.4826 * np.median(np.abs(image)) * np.sqrt(np.pi / 2 / (256 * 16))
        assert channels.std() < 1.3 * noise, path.name


def test_that_images_made_from_the_published_stack_agree_as_the_golden_sets_ask(golden, reference_store, tmp_path):
    expected = golden / "forcast_gri_g063/expected"
    published = next(expected.glob("*_STK_0001*"))
    path = tmp_path / published.name.removesuffix(".gz")
    path.write_bytes(gzip.decompress(published.read_bytes()))
    with Reduction.open([path], output=tmp_path, session=tmp_path / "session", references=reference_store) as reduction:
        reduction.run_to("flux_calibrate")
    for code in ("RIM", "MGM", "CRM"):
        ours = Product.read(next(tmp_path.glob(f"*_{code}_0001.fits")))["FLUX"]
        theirs = Product.read(next(expected.glob(f"*_{code}_0001*")))["FLUX"]
        assert difference(ours, theirs) < TOLERANCES[code] / 2, code


def test_that_wavelengths_traces_and_curves_agree(reduced):
    for ours, theirs in reduced.pairs():
        product, expected = Product.read(ours), Product.read(theirs)
        if "WAVEPOS" not in expected.planes:
            continue
        names = {"WAVEPOS": 1e-12, "SLITPOS": 1e-12, "APERTURE_TRACE": 1e-4, "TRANSMISSION": 3e-4, "RESPONSE": 1e-9}
        for name, limit in names.items():
            given = name != "RESPONSE" or "SPECTRAL_FLUX" in expected.planes  # a made one is compared by itself
            if given and name in expected.planes:
                assert difference(product[name], expected[name]) < limit, (ours.name, name)


def read_spectrum(path):
    """The flux or response of a product, or None."""
    with fits.open(path) as hdus:
        name = next((name for name in ("SPECTRAL_FLUX", "RESPONSE") if name in hdus), None)
        if name is not None:
            return np.squeeze(hdus[name].data).astype(float)
        flat = path.name.split("_")[5] in {"CMB", "RSP", "IRS"}
        return hdus[0].data[1].astype(float) if flat else None


def test_that_spectra_agree(reduced):
    """Within the tolerance, but for those whose difference the next tests show to be nearer to the truth."""
    nearer = {"forcast_gri_g063": {"MGM", "CRM"}, "forcast_gri_std": {"MGM", "RSP", "IRS"}, "forcast_gri_scan": set()}
    for ours, theirs in reduced.pairs():
        product, expected = read_spectrum(ours), read_spectrum(theirs)
        code = ours.name.split("_")[5]
        if expected is None or code == "RIM":
            continue
        limit = TOLERANCES["spectra"]
        if reduced.compatible:  # the median of all rows multiplies what is left of stripes: record 37
            limit = 1.8e-2 if code == "RSP" else 4e-3 if reduced.name != "forcast_gri_std" else 1e-2
        elif code in nearer[reduced.name]:
            assert np.count_nonzero(find_different(product, expected)) <= 30, ours.name
            continue
        assert difference(product, expected) < limit, ours.name
        assert median_ratio(product, expected) == pytest.approx(1, abs=2e-3), ours.name


def test_that_published_errors_are_met_by_the_published_rule(reduced):
    if not reduced.compatible:
        pytest.skip("errors differ by intent; see the records 20 to 22")
    for ours, theirs in reduced.pairs():
        product, expected = Product.read(ours), Product.read(theirs)
        if "SPECTRAL_ERROR" in expected.planes:
            ratio = median_ratio(product["SPECTRAL_ERROR"], expected["SPECTRAL_ERROR"])
            assert ratio == pytest.approx(1, abs=0.08), ours.name  # the covariance of the background: record 21


def test_that_the_coadded_image_is_the_mean_of_the_files(reduced):
    """The published weights fall with the brightness, by the error of the response: sources are a fifth too faint."""
    needs(reduced, "forcast_gri_g063")
    ours, theirs = (Product.read(path)["FLUX"] for path in reduced.pair("COA"))
    published = theirs[:, : ours.shape[1]]  # one column more, by rounding: record 31
    assert np.isnan(theirs[:, ours.shape[1] :]).all()
    if reduced.compatible:
        assert difference(ours, published) < 5e-3
    else:
        files = [Product.read(path)["FLUX"] for path in sorted(reduced.folder.glob("*_CRM_*.fits"))]
        with np.errstate(invalid="ignore"):
            mean = sum(np.nan_to_num(file) for file in files) / sum(np.isfinite(file) for file in files)
        assert difference(ours, mean) < 5e-3
        assert difference(published, mean) > 0.2


def test_that_combined_spectra_agree_as_the_golden_sets_ask(reduced):
    """The tolerance of the sets is for the whole array of a one-dimensional file, and for the spectrum in it."""
    needs(reduced, "forcast_gri_g063")
    ours, theirs = (fits.getdata(path) for path in reduced.pair("CMB"))
    assert ours.shape == theirs.shape
    assert difference(ours, theirs) < 1e-2
    for row in (0, 1, 3, 4):
        assert difference(ours[row], theirs[row]) < 1e-2


def test_that_the_combined_spectrum_is_the_true_one(reduced, golden):
    needs(reduced, "forcast_gri_g063")
    spectrum = Product.read(reduced.pair("COA")[0])
    wavelength, flux = np.loadtxt(golden / reduced.name / "truth.csv").T
    ratio = spectrum["SPECTRAL_FLUX"] / np.interp(spectrum["WAVEPOS"], wavelength, flux)
    clear = spectrum["TRANSMISSION"] > 0.6
    assert np.nanmedian(ratio[clear]) == pytest.approx(1, abs=2.5e-3)
    assert np.nanstd(ratio[clear]) < 8e-3


def test_that_the_quoted_error_of_the_combined_spectrum_covers_the_difference_from_the_truth(reduced, golden):
    """The error of the response, which all files share, stays in the combined spectrum: record 33."""
    needs(reduced, "forcast_gri_g063")
    spectrum = Product.read(reduced.pair("COA")[0])
    wavelength, flux = np.loadtxt(golden / reduced.name / "truth.csv").T
    true = np.interp(spectrum["WAVEPOS"], wavelength, flux)
    clear = (spectrum["TRANSMISSION"] > 0.6) & (np.abs(spectrum["WAVEPOS"] - 6.985) > 0.1)
    pull = ((spectrum["SPECTRAL_FLUX"] - true) / spectrum["SPECTRAL_ERROR"])[clear][5:-5]
    scatter = 1.4826 * np.median(np.abs(pull - np.median(pull)))
    # the truth was made with the very response whose error is quoted, so the scatter may be less than the error
    assert (scatter > 1.2) if reduced.compatible else (0.6 < scatter < 1.1)


def test_that_the_response_agrees(reduced):
    needs(reduced, "forcast_gri_std")
    for ours, theirs in (pair for pair in reduced.pairs() if "_RSP_" in pair[0].name or "_IRS_" in pair[0].name):
        product, expected = fits.getdata(ours), fits.getdata(theirs)
        assert product.shape == expected.shape
        assert difference(product, expected) < 1e-2
        assert np.array_equal(np.isfinite(product[1]), np.isfinite(expected[1]))


@pytest.mark.parametrize("code", ["RSP_0001", "IRS_0001-0002"])
def test_that_responses_are_nearer_to_the_truth_where_they_differ_from_the_published(reduced, reference_store, code):
    """A blob of bad pixels on the trace; the published spectra are off by over a per cent there, ours by noise."""
    needs(reduced, "forcast_gri_std")
    if reduced.compatible:
        pytest.skip("the published treatment of bad pixels is not repeated")
    true = fits.getdata(reference_store.get(ReferenceRequest(
        "FORCAST", "response", 20210705, {"spectel": "FOR_G111", "slit": "FOR_LS24"}
    )))  # fmt: skip
    ours, theirs = (fits.getdata(path) for path in reduced.pair(code))
    ratios = [product[1] / np.interp(product[0], true[0], true[1]) for product in (ours, theirs)]
    trend = median_filter(np.nan_to_num(np.mean(ratios, axis=0), nan=1.0), 61)
    off = (ours[3] > 0.6) & (np.abs(ours[1] - theirs[1]) > 1e-2 * np.nanpercentile(theirs[1], 99.9))
    assert 10 <= np.count_nonzero(off) <= 25
    rms = [float(np.sqrt(np.mean((ratio / trend - 1)[off] ** 2))) for ratio in ratios]
    assert rms[0] < 0.008  # the noise of a column is 0.3 per cent
    assert rms[1] > 0.011


def test_that_spectra_are_nearer_to_the_truth_where_they_differ_from_the_published(reduced, golden):
    """The same blob in G063, and the profile that follows the blur of rectification: records 33 and 35."""
    needs(reduced, "forcast_gri_g063")
    if reduced.compatible:
        pytest.skip("the published profile is used")
    wavelength, flux = np.loadtxt(golden / reduced.name / "truth.csv").T
    ours, theirs = (Product.read(path) for path in reduced.pair("CRM_0001"))
    spectra = [product["SPECTRAL_FLUX"] for product in (ours, theirs)]
    ratios = [spectrum / np.interp(ours["WAVEPOS"], wavelength, flux) for spectrum in spectra]
    clear = (ours["TRANSMISSION"] > 0.6) & np.isfinite(spectra).all(axis=0)
    clear &= np.abs(ours["WAVEPOS"] - 6.985) > 0.1  # the line is sharper in the table of the truth
    clear[:6] = clear[-6:] = False
    off = clear & (np.abs(spectra[0] - spectra[1]) > 1e-2 * np.nanpercentile(spectra[1], 99.9))
    assert 5 <= np.count_nonzero(off) <= 15
    for columns, factor in ((off, 0.5), (clear, 0.75)):
        rms = [np.sqrt(np.mean((ratio / np.nanmedian(ratios[0]) - 1)[columns] ** 2)) for ratio in ratios]
        assert rms[0] < factor * rms[1]


DIFFERENT = [
    ("forcast_gri_g063", "MGM_0001", (1,)), ("forcast_gri_g063", "CRM_0001", (1,)),
    ("forcast_gri_std", "MGM_0001", (1,)), ("forcast_gri_std", "RSP_0001", (1,)),
    ("forcast_gri_std", "RSP_0002", (2,)), ("forcast_gri_std", "IRS_0001-0002", (1, 2)),
]  # fmt: skip
"""Spectra with columns that differ from the published ones by more than the tolerance, and the files they are of."""


@pytest.mark.parametrize(("name", "code", "files"), DIFFERENT)
def test_that_spectra_that_differ_are_nearer_to_the_light_in_the_rows(golden, reduce_set, name, code, files):
    """Where the aperture has no bad pixel the plain sum of its rows, which needs no profile, is the truth."""
    folder, summed = reduce_set(name, "default"), reduce_set(name, "summed")
    theirs = next((golden / name / "expected").glob(f"*_{code}.fits.gz"))
    ours = theirs.name.removesuffix(".gz")
    mine, published, true = (read_spectrum(path) for path in (folder / ours, theirs, summed / ours))
    clean = ~find_bad_columns(folder, files) & np.isfinite(true)
    off = clean & find_different(mine, published)
    assert relative_rms(mine / true, off) < 0.6 * relative_rms(published / true, off)
    assert np.median((mine / true)[clean]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("name", "code", "files"), DIFFERENT)
def test_that_spectra_that_differ_are_nearer_to_the_truth_at_bad_pixels(
    golden, reduce_set, true_curves, name, code, files
):
    """The level there is that of the sums of the 40 columns around, over the spectrum or response simulated."""
    folder, summed = reduce_set(name, "default"), reduce_set(name, "summed")
    theirs = next((golden / name / "expected").glob(f"*_{code}.fits.gz"))
    ours = theirs.name.removesuffix(".gz")
    true = np.interp(read_columns(folder), *true_curves[name])
    if code.startswith("MGM"):  # not yet calibrated; the factor is the same in all
        calibrated = "CRM_0001" if name == "forcast_gri_g063" else "RSP_0001"
        true = true * read_spectrum(theirs) / read_spectrum(next(theirs.parent.glob(f"*_{calibrated}.fits.gz")))
    ratios = [read_spectrum(path) / true for path in (folder / ours, theirs, summed / ours)]
    bad = find_bad_columns(folder, files)
    ratios[2][bad] = np.nan
    level = [np.nanmedian(ratios[2][max(column - 20, 0) : column + 21]) for column in range(bad.size)]
    off = bad & find_different(ratios[0] * true, ratios[1] * true)
    mine, published = (relative_rms(ratio / level, off) for ratio in ratios[:2])
    assert mine < 0.5 * published
    assert mine < 0.008  # the quoted errors there are 0.6 per cent


@pytest.fixture(scope="module")
def true_curves(golden, reference_store):
    """Spectrum of the G063 star, and response of G111 from which the standard has been made: wavelengths and values."""
    response = fits.getdata(reference_store.get(ReferenceRequest(
        "FORCAST", "response", 20210705, {"spectel": "FOR_G111", "slit": "FOR_LS24"}
    )))  # fmt: skip
    return {
        "forcast_gri_g063": np.loadtxt(golden / "forcast_gri_g063/truth.csv").T,
        "forcast_gri_std": response[:2].astype(float),
    }


def find_bad_columns(folder, files):
    """Columns with a bad pixel inside the aperture in one of the files."""
    products = [Product.read(next(folder.glob(f"*_MGM_{number:04d}.fits"))) for number in files]
    return np.any(
        [((p["BADMASK"] > 0) & (np.nan_to_num(p["APERTURE_MASK"]) != 0)).any(axis=0) for p in products], axis=0
    )


def find_different(ours, theirs):
    return np.abs(ours - theirs) > TOLERANCES["spectra"] * np.nanpercentile(theirs, 99.9)


def relative_rms(ratio, columns):
    return float(np.sqrt(np.mean((ratio - 1)[columns] ** 2)))


def read_columns(folder):
    return fits.getdata(next(folder.glob("*_MGM_0001.fits")), "WAVEPOS").astype(float)


def test_that_the_published_stack_has_a_median_filter_that_knows_no_missing_pixels(golden, reference_store, tmp_path):
    """With such a filter our stack is the published one within the tolerance of the sets: record 32."""
    folder = golden / "forcast_gri_g063"
    raw = sorted((folder / "raw").glob("*RAW*0001*.fits.gz"))
    with Reduction.open(raw, output=tmp_path, session=tmp_path / "session", references=reference_store) as reduction:
        reduction.set("stack", jbclean=False)
        reduction.run_to("stack")
        image = np.asarray(reduction.products[0]["FLUX"], dtype=float)
    expected = Product.read(next((folder / "expected").glob("*_STK_0001*")))["FLUX"]
    above = image - median_filter(image, size=(1, 21), mode="wrap")
    pattern = np.nan_to_num(median_by_residue(above, 16))
    assert difference(image - pattern, expected) < 1e-3
    assert difference(remove_row_pattern_by_median(image), expected) > 1e-3


def test_that_the_cube_agrees_with_its_summary(reduced):
    needs(reduced, "forcast_gri_scan")
    summary = json.loads((reduced.expected / "SCB_summary.json").read_text())
    cube = Product.read(next(reduced.folder.glob("*_SCB_0001-0005.fits")))
    header = cube.header
    assert list(cube.planes) == ["FLUX", "ERROR", "EXPOSURE", "WAVEPOS", "TRANSMISSION", "RESPONSE"]
    waves, *shape = cube["FLUX"].shape
    assert shape == summary["FLUX"]["shape"][1:]
    assert 0 <= summary["FLUX"]["shape"][0] - waves <= 2  # the published one has empty margins: record 31
    assert cube["EXPOSURE"].max() == summary["EXPOSURE"]["nanmax"]
    per_wavelength = summary["FLUX"]["nfinite"] / summary["FLUX"]["shape"][0]
    assert np.isfinite(cube["FLUX"]).sum() / waves == pytest.approx(per_wavelength, rel=5e-3)
    assert np.nanmax(cube["FLUX"]) == pytest.approx(summary["FLUX"]["nanmax"], rel=2e-2)
    assert np.nansum(cube["FLUX"]) == pytest.approx(summary["FLUX"]["nansum"] * waves / 247, rel=2e-2)
    total = np.nansum(cube["FLUX"], axis=(1, 2))
    first = round(summary["wcs"]["CRPIX3"] - header["CRPIX3"])
    for number, expected in enumerate(summary["spectrum_total_every_20"][1:], start=1):
        assert total[20 * number - first] == pytest.approx(expected, rel=2e-2)
    for key, expected in summary["wcs"].items():
        if key != "CRPIX3":
            assert header[key] == (expected if isinstance(expected, str) else pytest.approx(expected, rel=1e-9))


def test_that_names_extensions_and_units_are_equal(reduced):
    for ours, theirs in reduced.pairs():
        with fits.open(ours) as product, fits.open(theirs) as expected:
            assert [hdu.name for hdu in product] == [hdu.name for hdu in expected]
            units = [[hdu.header.get("BUNIT") or "" for hdu in hdus] for hdus in (product, expected)]
            assert units[0] == units[1], ours.name
    for drawing in reduced.expected.glob("*.png"):
        assert (reduced.folder / drawing.name).read_bytes()[:4] == b"\x89PNG"
    known = {
        "forcast_gri_g063": {"STK", "RIM", "TRC", "MGM", "CRM", "COA", "CMB"},
        "forcast_gri_std": {"STK", "RIM", "TRC", "MGM", "RSP", "IRS"},
        "forcast_gri_scan": {"STK", "RIM", "TRC", "MGM", "CRM", "SCB"},
    }
    assert {path.name.split("_")[5] for path in reduced.folder.glob("F0501_FO_*")} == known[reduced.name]


def test_that_keywords_agree(reduced):
    numbers = ("EXPTIME", "NEXP", "RP", "WAVSHIFT", "SLTH_ARC", "SLTW_PIX", "CRVAL1", "CRVAL2", "CDELT1", "CDELT2",
               "CRPIX1A", "CRPIX2A", "CRVAL2A", "CRVAL3A", "CDELT3A", "PC2_3A", "BARYSHFT", "LSRSHFT", "NORDERS",
               "NAPS", "DISPO01", "TOTINT")  # fmt: skip
    texts = ("PRODTYPE", "PROCSTAT", "FILENAME", "OBS_ID", "ASSC_OBS", "ORDRFILE", "WAVEFILE", "SLITFILE", "RSPNFILE",
             "ATRNFILE", "MODLFILE", "RAWUNITS", "CTYPE1", "CTYPE1A", "CUNIT2", "XUNITS", "YUNITS",
             "APSGNO01")  # fmt: skip
    for ours, theirs in reduced.pairs():
        product, expected = fits.getheader(ours), fits.getheader(theirs)
        for key in (key for key in numbers if key in expected):
            assert product[key] == pytest.approx(expected[key], rel=5e-3, abs=1e-8), (ours.name, key)
        for key in (key for key in texts if key in expected):
            assert product[key] == expected[key], (ours.name, key)
        for key in (key for key in ("APPOSO01", "APFWHM01") if key in expected and "," not in str(expected[key])):
            assert float(product[key]) == pytest.approx(float(expected[key]), rel=1e-2), (ours.name, key)


def test_that_no_keyword_is_lost(reduced):
    for ours, theirs in reduced.pairs():
        assert set(fits.getheader(theirs)) - set(fits.getheader(ours)) <= {"COMMENT"}, ours.name


def test_that_regions_of_the_trace_agree(reduced):
    needs(reduced, "forcast_gri_g063")

    def read(path):
        lines = path.read_text().splitlines()
        points = [line.split("(")[1].split(")")[0].split() for line in lines if "point(" in line]
        return len(lines), np.array(points, dtype=float)

    name = "F0501_FO_GRI_90000101_FORG063_TRC_0001.reg"
    (count, ours), (expected_count, theirs) = read(reduced.folder / name), read(reduced.expected / name)
    assert abs(count - expected_count) <= 3
    common = np.isin(ours[:, 0], theirs[:, 0])
    fitted = np.interp(ours[common, 0], *theirs.T)
    assert np.median(np.abs(ours[common, 1] - fitted)) < 0.01
