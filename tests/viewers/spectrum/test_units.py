"""Conversions of the spectrum viewer against astropy and published numbers."""

import numpy as np
import pytest
from astropy import units as u

from sofia_engine.errors import ParameterError
from sofia_viewers.spectrum.units import (
    FLUX_UNITS,
    WaveAxis,
    convert_wave,
    find_flux_factor,
    list_flux_units,
    list_wave_units,
    parse_unit,
)

WAVE = np.array([5.0, 10.0, 157.741])


@pytest.mark.parametrize("unit", ["nm", "Angstrom", "cm-1", "GHz", "THz", "eV"])
def test_that_wavelengths_convert_as_astropy_does(unit):
    shown = convert_wave(WAVE, "um", WaveAxis(unit))
    np.testing.assert_allclose(shown, (WAVE * u.um).to_value(u.Unit(unit), u.spectral()), rtol=1e-12)
    np.testing.assert_allclose(convert_wave(shown, unit, WaveAxis("um")), WAVE, rtol=1e-12)


def test_that_the_carbon_line_lies_at_its_laboratory_frequency():
    assert convert_wave(np.array([157.7409]), "um", WaveAxis("GHz"))[0] == pytest.approx(1900.537, abs=0.002)


@pytest.mark.parametrize(
    ("convention", "equivalency"),
    [("optical", u.doppler_optical), ("radio", u.doppler_radio), ("relativistic", u.doppler_relativistic)],
)
def test_that_velocities_follow_their_convention_and_return(convention, equivalency):
    rest, waves = 157.7409, np.array([157.0, 157.7409, 170.0])
    shown = convert_wave(waves, "um", WaveAxis("km/s", rest, convention))
    np.testing.assert_allclose(shown, (waves * u.um).to_value("km/s", equivalency(rest * u.um)), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(convert_wave(shown, "km/s", WaveAxis("um", rest, convention)), waves, rtol=1e-12)


def test_that_velocities_without_a_line_are_refused():
    with pytest.raises(ParameterError, match="rest wavelength"):
        convert_wave(WAVE, "um", WaveAxis("km/s"))


def test_that_pixels_count_from_zero_and_unknown_axes_offer_nothing_else():
    np.testing.assert_array_equal(convert_wave(WAVE, "um", WaveAxis("pixel")), [0, 1, 2])
    assert list_wave_units("pixel") == ("pixel",)
    assert list_wave_units("Jy") == ("Jy", "pixel")
    assert list_wave_units("arcsec") == ("arcsec", "arcmin", "deg", "pixel")
    with pytest.raises(ParameterError, match="cannot be shown"):
        convert_wave(WAVE, "arcsec", WaveAxis("um"))


@pytest.mark.parametrize(
    "unit",
    [unit for unit in FLUX_UNITS if "sr" not in unit and "pix" not in unit and "arcsec" not in unit and unit != "K"],
)
def test_that_flux_densities_convert_as_astropy_does(unit):
    factor = find_flux_factor("Jy", unit, WAVE)
    expected = (np.ones(3) * u.Jy).to_value(u.Unit(unit), u.spectral_density(WAVE * u.um))
    np.testing.assert_allclose(factor, expected, rtol=1e-12)
    np.testing.assert_allclose(find_flux_factor(unit, "Jy", WAVE) * factor, 1.0, rtol=1e-12)


def test_that_brightness_temperatures_obey_the_rayleigh_jeans_law():
    factor = find_flux_factor("Jy / arcsec2", "K", WAVE)
    intensity = (1 * u.Jy / u.arcsec**2).to_value("W / (m2 Hz sr)")
    expected = intensity * (WAVE * 1e-6) ** 2 / (2 * 1.380649e-23)
    np.testing.assert_allclose(factor, expected, rtol=1e-9)


def test_that_fluxes_per_pixel_need_the_size_of_a_pixel():
    assert find_flux_factor("Jy/pixel", "Jy / arcsec2", WAVE, 4.0) == pytest.approx([0.25] * 3)
    with pytest.raises(ParameterError, match="cannot be converted"):
        find_flux_factor("Jy/pixel", "Jy / arcsec2", WAVE)


def test_that_the_unit_of_exes_converts_to_flux_per_frequency():
    native = "erg s-1 cm-2 sr-1 (cm-1)-1"
    assert find_flux_factor(native, "MJy / sr", WAVE) == pytest.approx([1e17 / 2.99792458e10] * 3)
    assert list_flux_units(native)[0] == native
    assert "K" in list_flux_units(native)


@pytest.mark.parametrize("native", ["Me/s", "Me / s / Jy", "ct/s", "adu/(Hz s)"])
def test_that_units_outside_the_list_offer_only_themselves(native):
    assert list_flux_units(native) == (native,)
    assert parse_unit(native) is not None


def test_that_input_is_not_changed():
    values = np.array([5.0, np.nan])
    converted = convert_wave(values, "um", WaveAxis("cm-1"))
    assert np.isnan(converted[1])
    np.testing.assert_array_equal(values, [5.0, np.nan])


def test_that_units_that_do_not_fit_are_told_each_time():
    for _ in range(2):
        with pytest.raises(ParameterError, match="Me/s cannot be converted to Jy"):
            find_flux_factor("Me/s", "Jy", np.array([10.0]))
