"""Products that the observatory published continue through the rest of a recipe, or are refused with a sentence."""

import math

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.cli import main
from sofia_engine.header.celestial import read_tangent_plane
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.product import Product

pytestmark = pytest.mark.real

MERGED = "F0435_FO_IMA_05000851_FORF197_MRG_0074.fits"
"""Part of W51A at 19.7 um, asymmetric chop, both cameras; one cube of flux, variance and exposure."""


@pytest.fixture(scope="module")
def merged(real_products):
    return Product.read(real_products / MERGED)


@pytest.fixture(scope="module")
def steps(real_products, reference_store, tmp_path_factory):
    """Products after each step that is left, and the folder of files."""
    folder = tmp_path_factory.mktemp("real")
    with Reduction.open(
        [real_products / MERGED], output=folder, session=folder / "session", references=reference_store
    ) as reduction:
        products = {}
        while reduction.next_step is not None:
            step = reduction.next_step
            reduction.step()
            products[step.key] = reduction.products[0]
    return products, folder


@pytest.fixture(scope="module")
def calibrated(steps):
    return steps[0]["fluxcal"]


def separation(first, second):
    """Arcsec between two positions (ra, dec) in degrees."""
    return 3600 * math.hypot((first[0] - second[0]) * math.cos(math.radians(first[1])), first[1] - second[1])


def measure_flux(image, place, radius, ring):
    """Aperture photometry by photutils, without any code of the project."""
    from photutils.aperture import ApertureStats, CircularAnnulus, CircularAperture, aperture_photometry

    missing = ~np.isfinite(image)
    total = aperture_photometry(image, CircularAperture(place, radius), mask=missing)["aperture_sum"][0]
    return total - ApertureStats(image, CircularAnnulus(place, *ring), mask=missing).mean * np.pi * radius**2


def test_that_the_reduction_goes_on_where_the_product_stands(steps):
    products, folder = steps
    assert list(products) == ["register", "tellcor", "coadd", "fluxcal", "imgmap"]
    stem = MERGED.replace("MRG", "{}").removesuffix(".fits")
    assert {path.name for path in folder.glob("F0435*")} == {
        *(f"{stem.format(code)}.fits" for code in ("TEL", "COA", "CAL")),
        f"{stem.format('CAL')}.png",
    }


def test_that_the_old_cube_becomes_flux_error_and_exposure(merged, real_products):
    cube = fits.getdata(real_products / MERGED)
    good = np.isfinite(cube[0])
    np.testing.assert_allclose(merged["FLUX"], cube[0])
    np.testing.assert_allclose(merged["ERROR"][good], np.sqrt(cube[1][good]), rtol=1e-6)
    np.testing.assert_allclose(merged["EXPOSURE"][good], cube[2][good], rtol=1e-6)


def test_that_the_header_of_the_map_holds_up(calibrated, merged):
    header = calibrated.header
    expected = {
        "PRODTYPE": "calibrated", "PROCSTAT": "LEVEL_3", "BUNIT": "Jy/pixel", "OBJECT": "W51A Point 11",
        "DATE-OBS": "2017-09-28T04:51:15.343", "SPECTEL1": "FOR_F197", "DETCHAN": "SW", "NEXP": 1,
        "REFCALF1": "forcast/response/rfit_am_dual_20160127.txt", "REFCALZA": 45.0, "REFCALAW": 41.0,
        "REFCALF3": "forcast/ref_calfctr/refcalfac_20230601.txt", "FILENAME": MERGED.replace("MRG", "CAL"),
    }  # fmt: skip
    assert {key: header[key] for key in expected} == expected
    assert header["TELCORR"] == pytest.approx(1.00204, abs=1e-5)
    assert (header["CALFCTR"], header["ERRCALF"]) == (0.596449, 0.013404)
    assert header["EXPTIME"] == pytest.approx(merged.header["EXPTIME"], rel=1e-6)
    assert header["LAMREF"] == pytest.approx(19.7, abs=0.01)
    assert header["BMAJ"] == pytest.approx(5 * 0.768 / 3600, rel=1e-6)
    lost = set(merged.header) - set(header)
    assert lost <= {"NAXIS3", "BSCALE", "BZERO"}
    assert {calibrated.plane(name).unit for name in ("FLUX", "ERROR")} == {"Jy/pixel"}


def test_that_flux_and_error_are_those_of_the_input_times_the_factors(calibrated, merged):
    factor = calibrated.header["TELCORR"] / calibrated.header["CALFCTR"]
    for name in ("FLUX", "ERROR"):
        np.testing.assert_allclose(calibrated[name], merged[name] * factor, rtol=1e-5, atol=1e-7)
    good = np.isfinite(merged["FLUX"])
    np.testing.assert_allclose(calibrated["EXPOSURE"][good], merged["EXPOSURE"][good], rtol=1e-6)


def test_that_coordinates_are_those_of_the_input(calibrated, merged):
    ours, theirs = read_tangent_plane(calibrated.header), read_tangent_plane(merged.header)
    rows, columns = calibrated["FLUX"].shape
    for place in ((0.0, 0.0), (columns - 1.0, 0.0), (columns / 2, rows / 2), (0.0, rows - 1.0)):
        assert separation(ours.to_sky(*place), theirs.to_sky(*place)) < 1e-4
    # the middle of the image is where the observation was meant to be, but for dither and boresight
    target = 15 * merged.header["OBSRA"], merged.header["OBSDEC"]
    assert separation(ours.to_sky((columns - 1) / 2, (rows - 1) / 2), target) < 15


@pytest.mark.parametrize(("radius", "ring", "jansky"), [(6.0, (10.0, 15.0), 11.241), (12.0, (15.0, 25.0), 40.719)])
def test_that_the_brightest_source_keeps_its_flux_and_place(calibrated, merged, radius, ring, jansky):
    factor = calibrated.header["TELCORR"] / calibrated.header["CALFCTR"]
    fluxes, places = [], []
    for product in (merged, calibrated):
        image = np.asarray(product["FLUX"], dtype=float)
        y, x = np.unravel_index(np.nanargmax(image), image.shape)
        place = float(x), float(y)
        fluxes.append(measure_flux(image, place, radius, ring))
        places.append(read_tangent_plane(product.header).to_sky(*place))
    assert fluxes[1] == pytest.approx(fluxes[0] * factor, rel=1e-5)
    assert fluxes[1] == pytest.approx(jansky, rel=5e-3)
    assert separation(*places) < 0.01


def test_that_the_noise_of_dark_sky_is_that_of_resampled_images(calibrated):
    """Neighbouring pixels are correlated: they scatter by 0.44 of ERROR in simulated merged images of C2NC2."""
    from scipy import ndimage

    flux, error = (np.asarray(calibrated[name], dtype=float) for name in ("FLUX", "ERROR"))
    smooth = ndimage.median_filter(np.nan_to_num(flux), 15)
    dark = np.isfinite(flux) & (smooth < np.nanpercentile(flux, 40))
    low, high = np.percentile(((flux - smooth) / error)[dark], [15.865, 84.135])
    assert (high - low) / 2 == pytest.approx(0.45, abs=0.05)


def test_that_every_other_product_is_taken_or_refused_with_a_sentence(real_products, tmp_path, capsys):
    for path in sorted(real_products.glob("*.fits")):
        if path.name == MERGED:
            continue
        status = main(["reduce", str(path), "-o", str(tmp_path / path.stem)])
        said = "".join(capsys.readouterr())
        assert "Traceback" not in said
        if status:
            assert path.name in said
            assert "not supported" in said or "nothing to do" in said, said
        left = [item.name for item in (tmp_path / path.stem).glob("*.fits")]
        assert status == 0 or not left
