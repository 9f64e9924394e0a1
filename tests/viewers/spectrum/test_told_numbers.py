"""The numbers that the viewer tells, computed again with numpy, scipy and astropy alone."""

from typing import Any

import numpy as np
import pytest
from astropy import constants, units
from astropy.io import fits
from astropy.table import Table
from scipy import integrate, signal, special

from sofia_viewers.spectrum.annotations import FitChoice, fit_curve
from sofia_viewers.spectrum.cursor_panel import read_curves
from sofia_viewers.spectrum.curves import Curve, CurveRequest, make_curve
from sofia_viewers.spectrum.fit_table import FitRecord, find_velocity, line_flux
from sofia_viewers.spectrum.operations import combine, measure_region, rebin, smooth
from sofia_viewers.spectrum.saving import save_spectrum
from sofia_viewers.spectrum.spectrum import Spectrum, SpectrumFile
from sofia_viewers.spectrum.units import WaveAxis

_WAVE = np.linspace(5.0, 8.0, 31)


def make_spectrum(unit: str, flux: Any = None, wave: Any = _WAVE, wave_unit: str = "um") -> Spectrum:
    values = np.linspace(1.0, 4.0, len(wave)) if flux is None else flux
    kinds = {"wavepos": wave_unit, "spectral_flux": unit, "spectral_error": unit}
    return Spectrum({"wavepos": wave, "spectral_flux": values, "spectral_error": 0.1 * values}, kinds)


# -- units -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("native", ["Jy", "W / (m2 um)", "W / (m2 Hz)", "erg / (s cm2 Angstrom)", "mJy"])
@pytest.mark.parametrize("wanted", ["Jy", "mJy", "W / m2", "W / (m2 Hz)", "W / (m2 um)", "erg / (s cm2)",
                                    "erg / (s cm2 Angstrom)", "erg / (s cm2 Hz)"])  # fmt: skip
def test_that_fluxes_and_errors_are_those_of_astropy_in_all_units(native: str, wanted: str) -> None:
    _, flux, error = make_curve(make_spectrum(native), CurveRequest(y_unit=wanted))
    values = np.linspace(1.0, 4.0, 31) * units.Unit(native)
    expected = values.to_value(units.Unit(wanted), units.spectral_density(_WAVE * units.um))
    np.testing.assert_allclose(flux, expected, rtol=1e-12)
    np.testing.assert_allclose(error, 0.1 * expected, rtol=1e-12)


def test_that_brightness_and_fluxes_per_pixel_and_wavenumber_agree_with_their_definitions() -> None:
    solid = (2.0 * units.arcsec) ** 2
    _, kelvin, _ = make_curve(make_spectrum("Jy/pixel"), CurveRequest(y_unit="K", pixel_area=4.0))
    frequency = constants.c / (_WAVE * units.um)
    intensity = np.linspace(1.0, 4.0, 31) * units.Jy / solid.to(units.sr)
    expected = (intensity * units.sr * constants.c**2 / (2 * constants.k_B * frequency**2)).to_value(units.K)
    np.testing.assert_allclose(kelvin, expected, rtol=1e-9)
    own = "erg s-1 cm-2 sr-1 (cm-1)-1"
    _, per_micron, _ = make_curve(make_spectrum(own), CurveRequest(y_unit="W / (m2 sr um)"))
    per_wavenumber = np.linspace(1.0, 4.0, 31) * units.erg / units.s / units.cm**2 * units.cm
    steps = 1.0 / (_WAVE * units.um) ** 2  # |dσ/dλ|
    expected = (per_wavenumber * steps).to_value(units.W / units.m**2 / units.um)
    np.testing.assert_allclose(per_micron, expected, rtol=1e-12)


@pytest.mark.parametrize("unit", ["nm", "Angstrom", "cm-1", "GHz", "THz", "eV"])
def test_that_axes_are_those_of_astropy(unit: str) -> None:
    x, _, _ = make_curve(make_spectrum("Jy"), CurveRequest(axis=WaveAxis(unit)))
    np.testing.assert_allclose(x, (_WAVE * units.um).to_value(units.Unit(unit), units.spectral()), rtol=1e-12)


@pytest.mark.parametrize("convention", ["optical", "radio", "relativistic"])
def test_that_velocities_are_those_of_astropy_in_all_conventions_and_lead_back(convention: Any) -> None:
    x, _, _ = make_curve(make_spectrum("Jy"), CurveRequest(axis=WaveAxis("km/s", 6.5, convention)))
    rule = getattr(units, f"doppler_{convention}")(6.5 * units.um)
    np.testing.assert_allclose(x, (_WAVE * units.um).to_value(units.km / units.s, rule), rtol=1e-10, atol=1e-6)
    back, _, _ = make_curve(
        make_spectrum("Jy", wave=x, wave_unit="km/s"), CurveRequest(axis=WaveAxis("GHz", 6.5, convention))
    )
    np.testing.assert_allclose(back, (_WAVE * units.um).to_value(units.GHz, units.spectral()), rtol=1e-10)


def test_that_velocities_no_light_can_have_have_no_wavelength() -> None:
    fast = make_spectrum("Jy", wave=np.array([-4e5, 0.0, 4e5]), wave_unit="km/s")
    for convention, known in (("optical", 2), ("radio", 2), ("relativistic", 1)):
        x, _, _ = make_curve(fast, CurveRequest(axis=WaveAxis("um", 6.5, convention)))  # type: ignore[arg-type]
        assert np.isfinite(x).sum() == known


# -- fits ------------------------------------------------------------------------------------------------------------

_X = np.linspace(-10.0, 10.0, 201)
_TRUTH = {
    "gaussian": (5.0, 0.3, 1.1),
    "lorentzian": (5.0, 0.3, 0.9),
    "moffat": (5.0, 0.3, 2.2, 2.5),
    "voigt": (5.0, 0.3, 0.9, 0.7),
}
_BASELINES = {0: (4.0,), 1: (4.0, 0.05), 2: (4.0, 0.05, 0.01)}


def shape_of(kind: str, x: Any, p: Any) -> Any:
    if kind == "gaussian":
        return p[0] * np.exp(-0.5 * ((x - p[1]) / p[2]) ** 2)
    if kind == "lorentzian":
        return p[0] / (1 + ((x - p[1]) / p[2]) ** 2)
    if kind == "moffat":
        return p[0] * (1 + ((x - p[1]) / p[2]) ** 2) ** -p[3]
    return p[0] * special.voigt_profile(x - p[1], p[2], p[3]) / special.voigt_profile(0.0, p[2], p[3])


def truths_of(kind: str, degree: int) -> dict[str, float]:
    """Width, flux and equivalent width by root finding and quadrature."""
    from scipy.optimize import brentq

    p = _TRUTH[kind]
    half = brentq(lambda x: shape_of(kind, x, p) - p[0] / 2, p[1], p[1] + 20.0)
    flux = integrate.quad(lambda x: shape_of(kind, x, p), -np.inf, np.inf, limit=500)[0]
    level = np.polynomial.polynomial.polyval(p[1], _BASELINES[degree])
    return {"center": p[1], "fwhm": 2 * (half - p[1]), "flux": flux, "equivalent_width": -flux / level}


def measure_pulls(kind: str, degree: int, count: int) -> dict[str, Any]:
    """Return pulls of fits to so many noises, and to their opposites: in the mean, what is linear cancels."""
    truth, rng = truths_of(kind, degree), np.random.default_rng(42)
    model = shape_of(kind, _X, _TRUTH[kind]) + np.polynomial.polynomial.polyval(_X, _BASELINES[degree])
    sigma = np.full(len(_X), 0.05)
    pulls: dict[str, list[float]] = {name: [] for name in truth}
    for noise in rng.normal(0.0, sigma, (count, len(_X))):
        for sign in (1.0, -1.0):
            curve = Curve("", "", 1, 1, _X, model + sign * noise, sigma)
            result, _, status = fit_curve(curve, (-10.0, 10.0), FitChoice(kind, degree=degree))
            assert status == "pass"
            for name, value in truth.items():
                measured = getattr(result.lines[0], name)
                pulls[name].append((measured.value - value) / measured.error)
    return {name: np.array(found) for name, found in pulls.items()}


@pytest.mark.parametrize(("kind", "degree"), [("gaussian", 2), ("lorentzian", 1), ("moffat", 0), ("voigt", 1)])
def test_that_pulls_of_fits_are_those_of_honest_errors(kind: str, degree: int) -> None:
    for name, found in measure_pulls(kind, degree, 50).items():
        assert abs(found.mean()) < 0.1, name
        assert found.std() == pytest.approx(1.0, abs=0.3), name  # three times the scatter of so few


@pytest.mark.slow
@pytest.mark.parametrize("degree", [0, 1, 2])
@pytest.mark.parametrize("kind", list(_TRUTH))
def test_that_pulls_of_many_fits_are_those_of_honest_errors(kind: str, degree: int) -> None:
    for name, found in measure_pulls(kind, degree, 900).items():
        assert abs(found.mean()) < 0.1, name
        assert found.std() == pytest.approx(1.0, abs=0.1), name


@pytest.mark.parametrize(
    ("unit", "x_unit"), [("Jy", "um"), ("Jy", "GHz"), ("W / (m2 um)", "km/s"), ("W / (m2 Hz)", "cm-1")]
)
@pytest.mark.parametrize("convention", ["optical", "radio", "relativistic"])
def test_that_the_flux_and_velocity_of_a_line_are_the_same_on_all_axes(unit: str, x_unit: str, convention: Any) -> None:
    """A line of 1e-16 W/m2 at 157.8 um, of 30 km/s, made per wavelength and shown in other units."""
    rest, center, width = 157.7409, 157.8, 0.015
    wave = np.linspace(157.6, 158.0, 801)
    density = 1e-16 / (width * np.sqrt(2 * np.pi)) * np.exp(-0.5 * ((wave - center) / width) ** 2)
    flux = (density * units.Unit("W / (m2 um)")).to_value(units.Unit(unit), units.spectral_density(wave * units.um))
    x, y, _ = make_curve(make_spectrum(unit, flux, wave), CurveRequest(axis=WaveAxis(x_unit, rest, convention)))
    curve = Curve("", "", 1, 1, x, y)
    result, _, _ = fit_curve(curve, (float(x.min()), float(x.max())), FitChoice(degree=0))
    record = FitRecord(
        "p", "", "", 1, 1, "wavepos", "spectral_flux", x_unit, unit, result, rest=rest, convention=convention
    )
    assert line_flux(record, result.lines[0]).value == pytest.approx(1e-16, rel=2e-3)
    velocity, redshift = find_velocity(record, result.lines[0])
    expected = (center * units.um).to_value(units.km / units.s, units.doppler_optical(rest * units.um))
    assert velocity.value == pytest.approx(expected, rel=1e-3)
    assert redshift.value == pytest.approx(center / rest - 1, rel=1e-3)


# -- ranges, smoothing, arithmetic -----------------------------------------------------------------------------------


def test_that_statistics_of_a_range_are_those_of_numpy() -> None:
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(5.0, 8.0, 200))
    y, error = rng.normal(3.0, 1.0, 200), rng.uniform(0.5, 1.5, 200)
    y[::17] = np.nan
    found = measure_region(x, y, error, (7.5, 5.5))
    use = (x >= 5.5) & (x <= 7.5) & np.isfinite(y)
    at, flux, sigma = x[use], y[use], error[use]
    told = (found.count, found.mean, found.median, found.std, found.rms, found.minimum, found.maximum, found.total)
    expected = (use.sum(), flux.mean(), np.median(flux), flux.std(ddof=1), np.sqrt(np.mean(flux**2)), flux.min(),
                flux.max(), flux.sum())  # fmt: skip
    np.testing.assert_allclose(told, expected, rtol=1e-12)
    assert found.integral == pytest.approx(integrate.trapezoid(flux, at), rel=1e-12)
    assert found.centroid == pytest.approx((at * flux).sum() / flux.sum(), rel=1e-12)
    assert found.signal_to_noise == pytest.approx(np.median(flux / sigma), rel=1e-12)
    noisy = integrate.trapezoid(flux + rng.normal(0.0, sigma, (20_000, use.sum())), at, axis=1)
    assert found.integral_error == pytest.approx(noisy.std(), rel=0.02)
    down = measure_region(x[::-1], y[::-1], error[::-1], (5.5, 7.5))
    assert (down.integral, down.integral_error) == pytest.approx((found.integral, found.integral_error), rel=1e-12)


def test_that_an_integral_has_no_error_where_a_point_has_none() -> None:
    x, y = np.arange(5.0), np.ones(5)
    assert np.isnan(measure_region(x, y, np.full(5, np.nan), (0, 4)).integral_error)
    assert np.isnan(measure_region(x, y, np.array([1, 1, np.nan, 1, 1.0]), (0, 4)).integral_error)
    assert measure_region(x, y, np.ones(5), (0, 4)).integral_error == pytest.approx(np.sqrt(3.5))


@pytest.mark.parametrize(("kind", "width"), [("box", 5.0), ("box", 4.0), ("gaussian", 3.0), ("savgol", 7.0)])
def test_that_smoothed_errors_are_the_scatter_of_smoothed_noise_at_the_ends_and_beside_gaps_too(
    kind: Any, width: float
) -> None:
    rng = np.random.default_rng(5)
    wave, sigma = np.arange(60.0), np.linspace(0.5, 2.0, 60)
    gap = np.where((wave > 20) & (wave < 24), np.nan, 0.0)
    truth = 3.0 + 0.2 * wave
    made = []
    for _ in range(700):
        spectrum = make_spectrum("Jy", truth + gap + rng.normal(0.0, sigma), wave)
        made.append(smooth(spectrum.replace(spectral_error=sigma), kind, width))
    known = np.isfinite(gap)
    fluxes, told = np.array([each["spectral_flux"] for each in made]), made[0]["spectral_error"]
    assert (np.isfinite(fluxes) == known).all()
    np.testing.assert_allclose(fluxes[:, known].std(axis=0), told[known], rtol=0.12)
    if kind == "savgol":  # a straight line stays one, also at the ends
        np.testing.assert_allclose(fluxes[:, known].mean(axis=0), truth[known], atol=0.25)


def test_that_savitzky_golay_smoothing_is_that_of_scipy_at_the_ends_too() -> None:
    y = np.random.default_rng(6).normal(0.0, 1.0, 50)
    found = smooth(make_spectrum("Jy", y, np.arange(50.0)), "savgol", 9.0, 3)
    np.testing.assert_allclose(found["spectral_flux"], signal.savgol_filter(y, 9, 3, mode="interp"), atol=1e-12)


@pytest.mark.parametrize("operator", ["+", "-", "*", "/"])
def test_that_errors_of_arithmetic_are_the_scatter_of_noisy_spectra(operator: Any) -> None:
    rng = np.random.default_rng(7)
    at, own = np.linspace(5.0, 8.0, 40), np.linspace(4.9, 8.1, 57)
    a, b, ea, eb = 5.0 + np.sin(at), 3000.0 + 500 * np.cos(own), np.full(40, 0.05), np.full(57, 40.0)
    first = make_spectrum("Jy", a, at).replace(spectral_error=ea)
    second = make_spectrum("mJy", b, own).replace(spectral_error=eb)
    found = combine(first, second, operator)
    function = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}[operator]
    draws = [function(rng.normal(a, ea), np.interp(at, own, rng.normal(b, eb) / 1000.0)) for _ in range(3000)]
    np.testing.assert_allclose(found["spectral_flux"], function(a, np.interp(at, own, b / 1000.0)), rtol=1e-12)
    np.testing.assert_allclose(found["spectral_error"], np.std(draws, axis=0), rtol=0.09)
    unit = {"*": units.Jy**2, "/": units.dimensionless_unscaled}.get(operator, units.Jy)
    assert units.Unit(found.unit("spectral_flux")) == unit


def test_that_unknown_wavelengths_of_a_second_spectrum_do_not_move_the_others() -> None:
    wave = np.linspace(5.0, 8.0, 31)
    broken = wave.copy()
    broken[[4, 20]] = np.nan
    found = combine(make_spectrum("Jy"), make_spectrum("Jy", 2.0 * wave, broken), "-")
    np.testing.assert_allclose(found["spectral_flux"], np.linspace(1.0, 4.0, 31) - 2.0 * wave, rtol=1e-12)


def test_that_errors_of_rebinned_spectra_are_those_of_means() -> None:
    rng = np.random.default_rng(8)
    y, error = rng.normal(5.0, 1.0, 30), rng.uniform(0.5, 2.0, 30)
    y[4] = np.nan
    found = rebin(make_spectrum("Jy", y, np.arange(30.0)).replace(spectral_error=error), 3)
    good = np.isfinite(y).reshape(10, 3)
    weights = good / good.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found["spectral_flux"], np.nansum(y.reshape(10, 3) * weights, axis=1), rtol=1e-12)
    np.testing.assert_allclose(found["spectral_error"], np.sqrt((weights**2 * error.reshape(10, 3) ** 2).sum(axis=1)))


@pytest.mark.parametrize(
    ("formula", "function"),
    [("spectral_flux / transmission", lambda f, t: f / t), ("spectral_flux ** 2", lambda f, _: f**2),
     ("log10(spectral_flux) - 1", lambda f, _: np.log10(f) - 1)],
)  # fmt: skip
def test_that_errors_of_formulas_are_the_scatter_of_noisy_fluxes(formula: str, function: Any) -> None:
    rng = np.random.default_rng(9)
    flux, error, transmission = np.linspace(5.0, 9.0, 20), np.full(20, 0.05), np.linspace(0.3, 1.0, 20)
    spectrum = make_spectrum("Jy", flux, np.linspace(5, 8, 20)).replace(spectral_error=error, transmission=transmission)
    _, y, told = make_curve(spectrum, CurveRequest(y_field="f", formulas=(("f", formula),)))
    np.testing.assert_allclose(y, function(flux, transmission), rtol=1e-12)
    draws = function(rng.normal(flux, error, (4000, 20)), transmission)
    np.testing.assert_allclose(told, draws.std(axis=0), rtol=0.06)


# -- read-out and files ----------------------------------------------------------------------------------------------


def test_that_the_cursor_tells_the_nearest_point() -> None:
    x = np.array([8.0, 7.1, np.nan, 5.2, 5.0])
    curve = Curve("", "", 1, 1, x, np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    for at in (5.09, 5.12, 6.5, 7.9):
        (reading,) = read_curves([curve], at)
        nearest = int(np.nanargmin(np.abs(x - at)))
        assert (reading.x, reading.y, reading.column) == (x[nearest], nearest + 1.0, nearest)


def test_that_the_cursor_is_told_with_digits_enough(viewer: Any) -> None:
    panel = viewer.overlays.cursor
    for x, y, shown in ((7.123456, 3.2e-16, ("7.12346", "3.2e-16")), (1234.5678, 0.01234, ("1234.57", "0.01234")),
                        (0.0, 5e7, ("0.00", "5e+07"))):  # fmt: skip
        panel.show_reading(x, y, [])
        assert (panel.values["X Cursor"].text(), panel.values["Y Cursor"].text()) == shown


@pytest.mark.parametrize("suffix", [".fits", ".ecsv", ".csv", ".vot"])
def test_that_saved_spectra_are_read_by_astropy_alone(tmp_path: Any, suffix: str) -> None:
    spectrum = make_spectrum("W / (m2 um)", np.linspace(1e-16, 4e-16, 31))
    path = save_spectrum(SpectrumFile("a", "a", (spectrum,)), tmp_path / f"saved{suffix}")
    if suffix == ".fits":
        with fits.open(path) as hdus:
            for name, unit in (("WAVEPOS", "um"), ("SPECTRAL_FLUX", "W / (m2 um)")):
                np.testing.assert_array_equal(hdus[name].data, spectrum[name.lower()])
                assert units.Unit(hdus[name].header["BUNIT"]) == units.Unit(unit)
        return
    form = {".vot": "votable", ".ecsv": "ascii.ecsv", ".csv": "ascii.csv"}[suffix]
    table = Table.read(path, format=form)
    for name in ("wavepos", "spectral_flux", "spectral_error"):
        np.testing.assert_allclose(np.asarray(table[name]), spectrum[name], rtol=1e-15)
    if suffix != ".csv":
        assert (table["wavepos"].unit, table["spectral_flux"].unit) == (units.um, units.Unit("W / (m2 um)"))


def test_that_metadata_fits_cannot_hold_do_not_keep_a_spectrum_from_being_saved(tmp_path: Any) -> None:
    header = {
        "OBJECT": "Fräulein",
        "NAN": np.nan,
        "long name of it": 1,
        "ä": 2,
        "GOOD": 3.5,
        "BIG": 10**30,
        "NL": "a\nb",
    }
    save_spectrum(SpectrumFile("a", "a", (make_spectrum("Jy"),), header), tmp_path / "saved.fits")
    assert fits.getheader(tmp_path / "saved.fits")["GOOD"] == 3.5


def test_that_saving_units_votable_does_not_know_works(tmp_path: Any) -> None:
    path = save_spectrum(SpectrumFile("a", "a", (make_spectrum("Me / (Jy s)"),)), tmp_path / "saved.vot")
    assert path.stat().st_size > 0
