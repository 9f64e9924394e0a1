"""Recipes that make calibrations, on images with known lines, traces and illumination."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from tests.instruments.forcast.grism_data import CARDS, SlitData

from sofia_engine.errors import ParameterError, StepError
from sofia_engine.instruments import find_recipe
from sofia_engine.instruments.forcast.calibration_spectra import identify_lines
from sofia_engine.instruments.forcast.calibration_surfaces import _report
from sofia_engine.instruments.forcast.slit_correction import extract_median_spectra
from sofia_engine.pipeline.parameter_files import parse_parameters
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.pipeline.run_options import read_run_options
from sofia_engine.pipeline.runner import _choose_recipe
from sofia_engine.product import Product
from sofia_engine.spectroscopy.surfaces import fit_surface

LINES = (5.5, 5.8, 6.1, 6.4, 6.7, 7.0, 7.3, 7.6)
NOISE = 1e-4


@pytest.fixture
def reduce(tmp_path, reference_store):
    """Reduce files with a calibration recipe; gives the output folder."""
    from sofia_engine.pipeline.detection import inspect_files

    def call(name, files, **parameters):
        from dataclasses import replace

        inspection = inspect_files(files)
        group = replace(inspection.single_group(), recipe=find_recipe(name))
        output = tmp_path / name
        with Reduction.of_group(
            group, inspection, output=output, session=tmp_path / f"session-{name}", references=reference_store
        ) as reduction:
            for step, values in parameters.items():
                reduction.set(step, **values)
            reduction.reduce()
        return output

    return call


def write(folder, header, image, number=1):
    header = header.copy()
    name = f"F0501_FO_GRI_90000101_FORG063_STK_{number:04d}.fits"
    header.update(CARDS | {"FILENAME": name, "DTHINDEX": number})
    image = image + np.random.default_rng(number).normal(0, NOISE, image.shape)
    planes = {"FLUX": image, "ERROR": np.full(image.shape, NOISE)}
    return Product.of(header, planes, units={"FLUX": "Me/s", "ERROR": "Me/s"}).write(folder / name)


@pytest.mark.parametrize(("switch", "recipe"), [("wavecal", "forcast-wavecal"), ("spatcal", "forcast-spatcal"),
                                                ("slitcorr", "forcast-slitcorr")])  # fmt: skip
def test_that_an_option_of_the_parameter_file_chooses_the_recipe(switch, recipe):
    given = find_recipe("forcast-grism")
    for value, name in (("True", recipe), ("False", "forcast-grism")):
        options = read_run_options(parse_parameters(f"{switch} = {value}\n", "run.cfg"))
        assert _choose_recipe(given, options).name == name


def test_that_wavelengths_are_found_again_from_lines_of_the_sky(tmp_path, reference_store, make_header, reduce):
    wavelength, _ = SlitData(reference_store).maps()
    image = sum(np.exp(-0.5 * ((np.nan_to_num(wavelength) - line) / 0.025) ** 2) for line in LINES) * 0.1
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(f"{line}" for line in LINES) + "\n#6.25\n")
    path = write(tmp_path, make_header(), image)
    output = reduce("forcast-wavecal", [path], identify_lines={"linefile": str(lines)})
    codes = {path.name.split("_")[5] for path in output.glob("F0501*")}
    assert codes == {"SSM", "SSP", "LID", "LRD", "LRS", "LFT", "RSD", "WCL", "RIM"}
    with fits.open(next(output.glob("*_WCL_*.fits"))) as hdus:
        found, header = hdus[0].data, hdus[0].header
    assert header["PRODTYPE"] == "wavecal"
    assert (header["WCTYPE"], header["WXDEG"], header["WYDEG"]) == ("2D", 2, 2)
    inside = np.isfinite(found[0]) & np.isfinite(wavelength)
    step = np.nanmedian(np.abs(np.diff(wavelength, axis=1)))
    assert np.median(np.abs(found[0] - wavelength)[inside]) < 0.1 * step
    assert np.percentile(np.abs(found[0] - wavelength)[inside], 95) < 0.3 * step
    identified = fits.getheader(next(output.glob("*_LID_*.fits")))
    assert len(identified["LINEWAV"].split(",")) == len(LINES)
    assert identified["DISPWAV"] == "6.250000"
    verified = Product.read(next(output.glob("*_RIM_*.fits")))
    row = verified["FLUX"][120]
    for line in LINES[1:-1]:
        near = np.abs(verified["WAVEPOS"] - line) < 0.08
        center = np.average(verified["WAVEPOS"][near], weights=np.clip(row[near], 0, None))
        assert center == pytest.approx(line, abs=0.25 * step)


def test_that_slit_positions_are_found_again_from_traces(tmp_path, reference_store, make_header, reduce):
    data = SlitData(reference_store, noise=NOISE)
    files = [data.write(tmp_path, make_header(), [(at, 1.0)], n) for n, at in enumerate((30, 60, 95, 130, 165), 1)]
    output = reduce("forcast-spatcal", files)
    assert len(list(output.glob("*_TRC_*.fits"))) == len(list(output.glob("*_TRC_*.reg"))) == 5
    with fits.open(next(output.glob("*_SCL_0001-0005.fits"))) as hdus:
        found, header = hdus[0].data, hdus[0].header
    assert header["PRODTYPE"] == "spatcal"
    assert (header["SXDEG"], header["SYDEG"]) == (2, 2)
    _, slit = data.maps()
    inside = np.isfinite(found[1]) & np.isfinite(slit)
    # zero point and scale come from the order mask, which lies by 0.14 arcsec off the map in the middle column
    assert np.median((found[1] - slit)[inside]) == pytest.approx(0.14, abs=0.03)
    assert np.std((found[1] - slit)[inside]) < 0.1


def test_that_an_uneven_slit_gives_its_correction(tmp_path, reference_store, make_header, reduce):
    data = SlitData(reference_store, fwhm=0.0, noise=NOISE)
    _, slit = data.maps()
    uneven = 1 + 0.15 * (np.nan_to_num(slit) - 97) / 97
    image = data.image([(0.0, 0.01)]) * uneven
    output = reduce("forcast-slitcorr", [write(tmp_path, make_header(), image)])
    with fits.open(next(output.glob("*_SCR_*.fits"))) as hdus:
        assert len(hdus) == 1
        correction, header = hdus[0].data, hdus[0].header
    assert header["PRODTYPE"] == "slit_correction"
    assert "SCCOEFF" in header
    rows = Product.read(next(output.glob("*_NIM_*.fits")))["SLITPOS"]
    expected = 1 + 0.15 * (rows - 97) / 97
    measured = np.median(correction, axis=1)
    assert np.abs(measured / measured[125] - expected / expected[125])[10:-10].max() < 0.01


def test_that_too_few_lines_are_no_calibration(tmp_path, reference_store, make_header, reduce):
    wavelength, _ = SlitData(reference_store).maps()
    lines = tmp_path / "lines.txt"
    lines.write_text("9.5\n")
    path = write(tmp_path, make_header(), np.zeros_like(wavelength))
    with pytest.raises(StepError, match="No lines found"):
        reduce("forcast-wavecal", [path], identify_lines={"linefile": str(lines)})


def test_that_lines_in_too_few_rows_say_how_there_would_be_more(tmp_path, reference_store, make_header, reduce):
    wavelength, _ = SlitData(reference_store).maps()
    image = sum(np.exp(-0.5 * ((np.nan_to_num(wavelength) - line) / 0.025) ** 2) for line in LINES) * 0.1
    image[:119] = image[121:] = 0.0
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(f"{line}" for line in LINES))
    path = write(tmp_path, make_header(), image)
    with pytest.raises(StepError, match=r"FORG063.* lower the fit orders.* set stack\.add_frames"):
        reduce("forcast-wavecal", [path], identify_lines={"linefile": str(lines)})


@pytest.mark.parametrize(("shift", "warned"), [(0.0, False), (0.05, True)])
def test_that_mistaken_lines_are_warned_of(shift, warned):
    columns = np.arange(20.0, 240.0, 30.0)
    x, y = np.tile(columns, 10), np.repeat(np.arange(10.0, 210.0, 20.0), len(columns))
    wavelength = 5.0 + 0.012 * x + np.where(x == columns[3], shift, 0.0)
    said = []
    run = SimpleNamespace(
        log=said.append, history=said.append, warn=lambda text: said.append("WARNING " + text), quality={}
    )
    _report(fit_surface(x, y, wavelength, (2, 2), None), 0.012, "pixels", run)
    assert any(text.startswith("WARNING The calibration misses its points by") for text in said) == warned


def test_that_unpaired_guesses_are_refused(tmp_path, reference_store, make_header, reduce):
    wavelength, _ = SlitData(reference_store).maps()
    path = write(tmp_path, make_header(), np.nan_to_num(wavelength))
    with pytest.raises((ParameterError, StepError), match="guess_positions"):
        reduce("forcast-wavecal", [path], identify_lines={"guess_lines": (6.0, 7.0), "guess_positions": (100.0,)})
    assert "guess_positions" in [info.key for info in identify_lines.parameters.infos()]


def test_that_more_apertures_than_rows_are_refused(make_stacked, drive):
    positions = ",".join(f"{n}.000" for n in range(30))
    image = make_stacked(np.ones((40, 50)), APPOSO01=positions, APSGNO01=",".join(["1"] * 30),
                         APFWHM01=",".join(["3.0"] * 30))  # fmt: skip
    image = image.replace(SLITPOS=np.arange(40.0), WAVEPOS=np.arange(50.0))
    with pytest.raises(ParameterError, match="num_aps = 30 is too many for a slit of 40 rows"):
        drive(extract_median_spectra, image)
