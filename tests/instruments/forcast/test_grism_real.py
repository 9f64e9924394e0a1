"""Reduction of a rectified image that the observatory published in 2017, beside the spectrum it made of it.

NGC 7009, G111 with the wide slit, 20 files; the image is of pipeline version 1.3 (one cube, the two nod positions not
yet averaged). Aperture, background and response are those of the published spectrum. What differs: the model of the
atmosphere (published: 39 kft, 50 deg; here 40 kft, 45 deg, 0.2 % in the median), the edges of the aperture (record
22), and the weights, which follow from the profile (record 23).
"""

import numpy as np
import pytest

from sofia_engine.errors import ReferenceDataError
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.product import Product

IMAGE = "F0428_FO_GRI_0500637_FORG111_RIM_0177-0196.fits"
SPECTRUM = "F0428_FO_GRI_0500637_FORG111_CAL_0177-0196.fits"
CHOICES = {
    "locate_apertures": {"method": "fix to input", "input_position": "120.0"},
    "trace_continuum": {"method": "fix to aperture position"},
    "set_apertures": {"aprad": "20", "psfrad": "20", "apsign": "1",
                      "bgr": "40.303637-99.439637,140.91164-193.90364"},
    "flux_calibrate": {"auto_shift": False, "respfile": "grism/response/v5.1.0/G111_LS47_DB175_RSP.fits"},
}  # fmt: skip


@pytest.fixture(scope="module")
def compared(real_products, reference_store, tmp_path_factory):
    """Our spectrum and the published one, on the same wavelengths."""
    session = tmp_path_factory.mktemp("real") / "session"
    with Reduction.open([real_products / IMAGE], session=session, references=reference_store) as reduction:
        for step, values in CHOICES.items():
            reduction.set(step, **values)
        try:
            reduction.run_to("flux_calibrate")
        except ReferenceDataError as error:
            pytest.skip(str(error))
        (ours,) = reduction.products
    published = Product.read(real_products / SPECTRUM)
    step = ours["WAVEPOS"][1] - ours["WAVEPOS"][0]
    columns = np.rint((published["WAVEPOS"] - ours["WAVEPOS"][0]) / step).astype(int)
    assert np.abs(ours["WAVEPOS"][columns] - published["WAVEPOS"]).max() < 1e-5
    return ours, published, columns


def test_that_an_old_rectified_image_starts_at_its_apertures(real_products, reference_store, tmp_path):
    with Reduction.open([real_products / IMAGE], session=tmp_path / "session", references=reference_store) as reduction:
        assert reduction.recipe.steps[reduction.next_index].key == "locate_apertures"
        (image,) = reduction.products
    old = Product.read(real_products / IMAGE)
    assert np.allclose(image["FLUX"], old["FLUX"] / 2)
    assert np.allclose(image["ERROR"], old["ERROR"] / 2)
    assert image["SPATIAL_MAP"].shape == image["FLUX"].shape
    header = image.header
    assert header["CRVAL1"] == pytest.approx(image["WAVEPOS"][int(header["CRPIX1"]) - 1])


def test_that_the_spectrum_is_the_published_one(compared):
    ours, published, columns = compared
    flux, expected, error = ours["SPECTRAL_FLUX"][columns], published["SPECTRAL_FLUX"], published["SPECTRAL_ERROR"]
    both = np.isfinite(flux) & np.isfinite(expected)
    assert both.sum() >= 230
    assert np.corrcoef(flux[both], expected[both])[0, 1] > 0.9995
    assert flux[both].sum() / expected[both].sum() == pytest.approx(1, abs=0.01)
    assert np.median(np.abs(flux - expected)[both] / error[both]) < 0.15


def test_that_the_line_of_sulphur_has_the_published_flux(compared):
    ours, published, columns = compared
    line = (published["WAVEPOS"] > 10.4) & (published["WAVEPOS"] < 10.6)
    total = ours["SPECTRAL_FLUX"][columns][line].sum()
    assert total == pytest.approx(published["SPECTRAL_FLUX"][line].sum(), rel=0.03)


def test_that_the_published_line_lies_between_weights_and_sums(compared, real_products, reference_store, tmp_path):
    """The line lies 4 arcsec off the continuum along the slit, and is half as wide: weights miss some of its light."""
    ours, published, columns = compared
    line = (published["WAVEPOS"] > 10.4) & (published["WAVEPOS"] < 10.6)
    with Reduction.open([real_products / IMAGE], session=tmp_path / "session", references=reference_store) as reduction:
        for step, values in CHOICES.items():
            reduction.set(step, **values)
        reduction.set("extract_spectra", method="standard")
        reduction.run_to("flux_calibrate")
        (summed,) = reduction.products
    totals = [product["SPECTRAL_FLUX"][columns][line].sum() for product in (ours, summed)]
    expected = published["SPECTRAL_FLUX"][line].sum()
    assert totals[0] < expected < totals[1]
    assert totals == pytest.approx([0.976 * expected, 1.024 * expected], rel=5e-3)


def test_that_errors_and_keywords_are_close_to_the_published_ones(compared):
    ours, published, columns = compared
    ratio = ours["SPECTRAL_ERROR"][columns] / published["SPECTRAL_ERROR"]
    assert np.nanmedian(ratio) == pytest.approx(1.1, abs=0.1)  # with the covariance of the background: record 21
    assert ours.header["CALERR"] == pytest.approx(published.header["CALERR"], rel=5e-3)
    assert ours.header["EXPTIME"] == published.header["EXPTIME"]
    assert ours.header["NEXP"] == published.header["NEXP"]
    assert ours.header["RP"] == published.header["RP"]
