"""Fits in other units than those they were made in."""

import math
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u

pytest.importorskip("PySide6")

from sofia_viewers.spectrum.fit_table import FitRecord, convert_point, line_flux, make_rows
from sofia_viewers.spectrum.fit_units import convert_fit
from sofia_viewers.spectrum.fitting import FitModel, estimate_lines, fit_lines
from sofia_viewers.spectrum.units import WaveAxis

X = np.linspace(10.40, 10.60, 101)
CENTER, SIGMA = 10.51, 0.01
Y = 2.0 + 0.5 * (X - 10.5) + 5.0 * np.exp(-0.5 * ((X - CENTER) / SIGMA) ** 2)
ERROR = np.full(X.size, 0.05)


def record_of(x, y, error, x_unit, y_unit, **changes):
    result = fit_lines(x, y, error, FitModel(estimate_lines(x, y), 1))
    given = ("pane1", "a", "a.fits", 1, 1, "wavepos", "spectral_flux", x_unit, y_unit, result, (55.0,))
    return FitRecord(*given, **changes)


@pytest.fixture
def record():
    return record_of(X, Y, ERROR, "um", "Jy")


def test_that_a_fit_in_its_own_units_is_left_alone(record):
    assert convert_fit(record, WaveAxis("um"), "Jy") is record
    assert convert_fit(record, WaveAxis(""), "") is record


def test_that_multiples_of_units_give_what_a_fit_in_them_gives(record):
    found = make_rows(convert_fit(record, WaveAxis("nm"), "mJy"))[0]
    expected = make_rows(record_of(X * 1e3, Y * 1e3, ERROR * 1e3, "nm", "mJy"))[0]
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, float) and name not in ("chi2", "chi2r"):
            assert found[name] == pytest.approx(value, rel=1e-5, nan_ok=True), name
    assert (found["x_field"], found["y_field"]) == ("wavepos [nm]", "spectral_flux [mJy]")


@pytest.mark.parametrize(
    ("x_unit", "y_unit"),
    [("cm-1", "Jy"), ("GHz", "W / (m2 um)"), ("um", "W / (m2 Hz)"), ("eV", "erg / (s cm2 Angstrom)")],
)
def test_that_other_axes_give_what_a_fit_on_them_gives_for_narrow_lines(record, x_unit, y_unit):
    wave = X * u.um
    x = wave.to_value(u.Unit(x_unit), u.spectral())
    factor = (np.ones(X.size) * u.Jy).to_value(u.Unit(y_unit), u.spectral_density(wave))
    expected = make_rows(record_of(x, Y * factor, ERROR * factor, x_unit, y_unit))[0]
    found = make_rows(convert_fit(record, WaveAxis(x_unit), y_unit))[0]
    for name in ("mid_point", "fwhm", "amplitude", "flux", "flux_w_m2", "ew", "baseline"):
        assert found[name] == pytest.approx(expected[name], rel=4e-3), name
    for name in ("mid_point_err", "fwhm_err", "amplitude_err", "flux_err"):
        assert found[name] == pytest.approx(expected[name], rel=0.02), name
    assert found["lower_limit"] < found["upper_limit"]


def test_that_the_flux_of_a_line_is_the_same_in_all_units(record):
    there = convert_fit(record, WaveAxis("cm-1"), "W / (m2 um)")
    before, after = (line_flux(r, r.result.lines[0]) for r in (record, there))
    assert after.value == pytest.approx(before.value, rel=1e-6)
    assert after.error == pytest.approx(before.error, rel=1e-6)


def test_that_there_and_back_is_what_it_was(record):
    there = convert_fit(record, WaveAxis("km/s", 10.51), "W / (m2 um)")
    back = convert_fit(there, WaveAxis("um"), "Jy")
    old, new = record.result.lines[0], back.result.lines[0]
    for name in ("center", "fwhm", "amplitude", "flux", "equivalent_width"):
        assert getattr(new, name).value == pytest.approx(getattr(old, name).value, rel=1e-5), name
        assert getattr(new, name).error == pytest.approx(getattr(old, name).error, rel=1e-4), name
    assert back.result.limits == pytest.approx(record.result.limits)


def test_that_velocities_about_another_line_are_converted(record):
    there = convert_fit(record, WaveAxis("km/s", 10.51), "")
    assert there.result.lines[0].center.value == pytest.approx(0.0, abs=1.0)
    shifted = WaveAxis("km/s", 10.50)
    other = convert_fit(there, shifted, "")
    assert other.result.lines[0].center.value == pytest.approx(299792.458 * (CENTER / 10.50 - 1), rel=1e-3)
    assert convert_point(there, 0.0, 1.0, shifted, "")[0] == pytest.approx(299792.458 * (10.51 / 10.50 - 1), rel=1e-9)
    radio = WaveAxis("km/s", 10.50, "radio")
    assert convert_fit(there, radio, "").result.lines[0].center.value == pytest.approx(
        299792.458 * (1 - 10.50 / CENTER), rel=1e-3
    )
    assert make_rows(other)[0]["velocity"] == pytest.approx(other.result.lines[0].center.value, rel=1e-9)


def test_that_what_cannot_be_converted_stays_as_it_is(record):
    assert convert_fit(record, WaveAxis("pixel"), "") is record
    assert convert_fit(record, WaveAxis("km/s"), "") is record  # velocity about no line
    assert math.isnan(convert_point(record, 10.5, 1.0, WaveAxis("pixel"), "")[0])
    failed = replace(record, result=None)
    assert convert_fit(failed, WaveAxis("nm"), "") is failed


def test_that_baselines_become_their_tangents(record):
    there = convert_fit(record, WaveAxis("cm-1"), "")
    intercept, slope = (c.value for c in there.result.coefficients)
    center = there.result.lines[0].center.value
    assert intercept + slope * center == pytest.approx(record.result.lines[0].baseline.value, rel=1e-6)
    assert slope == pytest.approx(-0.5 * 1e4 / center**2, rel=1e-2)
    assert math.isnan(there.result.coefficients[0].error)


def test_that_a_record_says_what_velocities_meant_when_it_was_saved(record):
    there = convert_fit(record, WaveAxis("km/s", 10.5, "radio"), "")
    again = FitRecord.from_json(there.to_json())
    assert again.convention == "radio"
    plain = record.to_json()
    del plain["convention"]  # saved by an older version
    assert FitRecord.from_json(plain).convention == "optical"


class TestWindow:
    """The window of the viewer."""

    @pytest.fixture
    def fitted(self, viewer):
        viewer.fit(viewer.area.current.name, (10.3, 10.7))
        viewer.show_fits()
        return viewer

    def columns(self, viewer):
        window = viewer.fit_window
        titles = [window.table.horizontalHeaderItem(i).text() for i in range(window.table.columnCount())]
        return {title: window.table.item(0, i).text() for i, title in enumerate(titles)}

    def number(self, viewer, title):
        return float(self.columns(viewer)[title].split(" ")[0])

    def test_that_the_table_follows_the_units_of_the_pane(self, fitted):
        assert self.number(fitted, "Mid Point") == pytest.approx(10.5)
        assert self.columns(fitted)["X Field"] == "wavepos [um]"
        fitted.session.change_pane(x_unit="cm-1")
        assert self.columns(fitted)["X Field"] == "wavepos [cm-1]"
        assert self.number(fitted, "Mid Point") == pytest.approx(1e4 / 10.5, rel=1e-5)
        fitted.session.change_axis("primary", unit="mJy")
        assert self.number(fitted, "Amplitude") == pytest.approx(5000.0, rel=1e-3)
        fitted.session.change_pane(x_unit="um")
        fitted.session.change_axis("primary", unit="Jy")
        assert self.number(fitted, "Mid Point") == pytest.approx(10.5)

    def test_that_the_saved_table_has_the_units_shown(self, fitted, tmp_path):
        fitted.session.change_pane(x_unit="nm")
        text = fitted.fit_window.save(tmp_path / "fits.csv").read_text()
        assert "wavepos [nm]" in text
        assert float(text.splitlines()[1].split(",")[9]) == pytest.approx(10500.0)

    def test_that_data_and_residuals_are_drawn_in_the_units_shown(self, fitted):
        fitted.session.change_pane(x_unit="cm-1")
        items = fitted.fit_window.residuals.getPlotItem().listDataItems()
        assert items[0].xData.size > 50
        assert np.abs(items[0].yData).max() < 1e-3
        assert items[0].xData.min() > 900

    def test_that_a_refit_after_a_change_of_units_is_made_in_them(self, fitted):
        fitted.session.change_pane(x_unit="cm-1")
        fitted.fit_window.refit()
        record = fitted.annotations.fits[0]
        assert record.x_unit == "cm-1"
        assert record.result.lines[0].center.value == pytest.approx(1e4 / 10.5, rel=1e-4)

    def test_that_handles_stay_on_the_line(self, fitted):
        fitted.overlays.select_fit(0)
        fitted.session.change_pane(x_unit="nm")
        layers = fitted.overlays.layers(fitted.area.current.name)
        assert len(layers.fits.handles) == 2
        assert layers.fits.handles[0].pos().x() == pytest.approx(10500.0)
