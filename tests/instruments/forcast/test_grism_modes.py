"""Grism reductions of images with a known spectrum, in all chop and nod modes."""

import numpy as np
import pytest
from astropy.io import fits
from tests.instruments.forcast.grism_data import SlitData, spectrum

from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.product import Product


@pytest.fixture
def reduce(tmp_path, reference_store):
    """Reduce files up to a step, with some parameters; returns the products."""
    opened = []

    def call(files, until, output=None, **parameters):
        reduction = Reduction.open(
            files, session=tmp_path / f"session{len(opened)}", output=output, references=reference_store
        )
        opened.append(reduction)
        for step, values in parameters.items():
            reduction.set(step, **values)
        reduction.run_to(until)
        return reduction

    yield call
    for reduction in opened:
        reduction.close()


def compare_with_truth(product, factor=1.0, tolerance=0.012):
    inner = slice(12, -12)
    ratio = product["SPECTRAL_FLUX"][inner] / (factor * spectrum(product["WAVEPOS"][inner]))
    assert np.nanmedian(ratio) == pytest.approx(1, abs=tolerance)
    assert np.nanstd(ratio) < 0.02


@pytest.mark.parametrize(
    ("mode", "factor", "exposure"),
    [({"INSTMODE": "C2N", "SKYMODE": "NMC"}, 0.5, 40.0), ({"INSTMODE": "NXCAC", "SKYMODE": "NXCAC"}, 1.0, 40.0),
     ({"INSTMODE": "C2N", "SKYMODE": "NPCCAS"}, 1.0, 40.0)],
    ids=lambda value: str(value.get("SKYMODE")) if isinstance(value, dict) else str(value),
)  # fmt: skip
@pytest.mark.parametrize("method", ["optimal", "standard"])
def test_that_the_spectrum_of_a_source_is_found(tmp_path, reference_store, make_header, reduce, mode, factor, exposure,
                                                method):  # fmt: skip
    path = SlitData(reference_store).write(tmp_path, make_header(), [(97.0, 1.0)], **mode)
    product = reduce([path], "merge_apertures", extract_spectra={"method": method}).products[0]
    assert float(product.header["APPOSO01"]) == pytest.approx(97.0, abs=0.4)
    assert float(product.header["APFWHM01"]) == pytest.approx(3.6, abs=0.15)
    assert product.header["EXPTIME"] == exposure
    compare_with_truth(product, factor)


def test_that_a_nod_along_the_slit_gives_two_apertures_that_are_merged(tmp_path, reference_store, make_header, reduce):
    data = SlitData(reference_store)
    mode = {"INSTMODE": "C2N", "SKYMODE": "NPCNAS", "NEXP": 1, "EXPTIME": 20.0}
    path = data.write(tmp_path, make_header(), [(60.0, 1.0), (130.0, -0.8)], **mode)
    product = reduce([path], "merge_apertures", locate_apertures={"num_aps": 2}).products[0]
    assert product.header["APSGNO01"] == "1,-1"
    assert product.header["EXPTIME"] == 40.0
    assert product.header["NEXP"] == 2
    compare_with_truth(product)
    rows = np.abs(product["SLITPOS"] - 130) < 2
    assert np.nanmedian(product["FLUX"][rows]) > 0, "the negative image of the source is turned positive"


def test_that_extended_sources_are_extracted_over_the_whole_slit(tmp_path, reference_store, make_header, reduce):
    data = SlitData(reference_store, fwhm=0.0)
    path = data.write(tmp_path, make_header(), [(0.0, 0.01)], INSTMODE="NXCAC", SKYMODE="NXCAC",
                      SRCTYPE="EXTENDED_SOURCE")  # fmt: skip
    product = reduce([path], "merge_apertures").products[0]
    assert product.header["BGR"] == ""
    length = product["SLITPOS"][-1] - product["SLITPOS"][0] + np.mean(np.diff(product["SLITPOS"]))
    compare_with_truth(product, 0.01 * length)


def test_that_a_slit_scan_becomes_a_cube_with_the_surface_brightness(tmp_path, reference_store, make_header, reduce):
    data = SlitData(reference_store, fwhm=0.0)
    header = make_header()
    files = []
    for number in range(1, 4):
        away = (number - 2) * 2.4 / 3600
        sky = {"CRVAL1": 213.9 + away * np.cos(np.radians(30)) / np.cos(np.radians(19.2)),
               "CRVAL2": 19.2 + away * np.sin(np.radians(30))}  # fmt: skip
        files.append(
            data.write(tmp_path, header, [(0.0, 0.01)], number, INSTMODE="SLITSCAN", SKYMODE="SLITSCAN_NXCAC", **sky)
        )
    output = tmp_path / "output"
    reduction = reduce(files, "specmap", output)
    (cube,) = reduction.products
    assert cube.header["PRODTYPE"] == "spectral_cube"
    assert cube.header["PROCSTAT"] == "LEVEL_4"
    assert cube.name.endswith("_SCB_0001-0003.fits")
    assert {path.name for path in output.glob("*SCB*")} == {cube.name, cube.name.replace(".fits", ".png")}
    single = Product.read(next(output.glob("*_CRM_0002.fits")))
    width = single.header["SLTW_PIX"]
    middle = single["FLUX"][120, 60:190] / width
    y, x = (int(v) // 2 for v in cube["FLUX"].shape[1:])
    waves = np.searchsorted(cube["WAVEPOS"], single["WAVEPOS"][60:190])
    ratio = cube["FLUX"][waves, y, x] / middle
    assert np.nanmedian(ratio) == pytest.approx(1, abs=0.01)
    assert cube["EXPOSURE"].max() == pytest.approx(40.0)
    assert cube.header["CDELT2"] == pytest.approx(0.768 / 3600, rel=1e-3)


def test_that_the_dithers_of_one_place_are_stacked_and_single_ones_kept(tmp_path, reference_store, make_header, reduce):
    data = SlitData(reference_store)
    files = [data.write(tmp_path, make_header(), [(97.0, 1.0)], n) for n in (1, 2, 3)]
    for path, index in zip(files, (4, 4, 5), strict=True):
        fits.setval(path, "DTHINDEX", value=index)
    reduction = reduce(files, "stack_dithers", stack_dithers={"skip_stack": False})
    names = [product.name.split("_")[5:] for product in reduction.products]
    assert names == [["SKD", "0001-0002.fits"], ["STK", "0003.fits"]]
    flux, single = (product["FLUX"] for product in reduction.products)
    assert np.std(flux[3:40, 3:100]) < 0.8 * np.std(single[3:40, 3:100])
    assert reduction.products[0].header["EXPTIME"] == 80.0


def test_that_one_dimensional_files_are_written_on_demand(tmp_path, reference_store, make_header, reduce):
    path = SlitData(reference_store).write(tmp_path, make_header(), [(97.0, 1.0)])
    output = tmp_path / "output"
    wanted = {step: {"save_1d": True} for step in ("extract_spectra", "merge_apertures", "flux_calibrate")}
    reduce([path], "combine_spectra", output, **wanted)
    rows = {"SPC": 4, "MRG": 4, "CAL": 5, "CMB": 5}
    kinds = {
        "SPC": "spectra_1d", "MRG": "merged_spectrum_1d", "CAL": "calibrated_spectrum_1d", "CMB": "combined_spectrum",
    }  # fmt: skip
    for code, count in rows.items():
        with fits.open(next(output.glob(f"*_{code}_0001.fits"))) as hdus:
            assert len(hdus) == 1
            header, data = hdus[0].header, hdus[0].data
        assert data.shape[0] == count
        assert header["PRODTYPE"] == kinds[code]
        assert header["FILENAME"].split("_")[5] == code
        assert (header["XUNITS"], header["NAPS"], header["NORDERS"]) == ("um", 1, 1)
        assert header["YUNITS"] == ("Jy" if count == 5 else "Me/s")
        assert "BUNIT" not in header
        assert any(str(line).startswith("Provenance: ") for line in header["HISTORY"])


def test_that_a_shift_against_the_atmosphere_is_applied_when_asked_for(tmp_path, reference_store, make_header, reduce):
    path = SlitData(reference_store).write(tmp_path, make_header(), [(97.0, 1.0)])
    still, moved = (
        reduce(
            [path],
            "flux_calibrate",
            make_profiles={"profile_rows": "all"},  # else the blur of columns is taken out, which stays in its column
            flux_calibrate={"auto_shift": False, "waveshift": shift},
        ).products[0]
        for shift in (0.0, 1.0)
    )
    assert moved.header["WAVSHIFT"] == 1.0
    raw = [product["SPECTRAL_FLUX"] * product["TRANSMISSION"] * product["RESPONSE"] for product in (still, moved)]
    assert np.allclose(raw[1][20:-20], raw[0][19:-21], rtol=1e-9)


def test_that_an_uncalibrated_spectrum_is_passed_on_when_asked_for(tmp_path, reference_store, make_header, reduce):
    path = SlitData(reference_store).write(tmp_path, make_header(), [(97.0, 1.0)])
    reduction = reduce([path], "combine_spectra", flux_calibrate={"skip_cal": True})
    (product,) = reduction.products
    assert product.plane("SPECTRAL_FLUX").unit == "Me/s"
    compare_with_truth(product, 0.5)
