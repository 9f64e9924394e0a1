"""The Qt-free models: selections, formulas, operations, lines, atmosphere, sessions."""

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import InputError, ParameterError, ReferenceDataError
from sofia_engine.spectroscopy.telluric import smooth_to_resolution
from sofia_viewers.spectrum.annotations import Annotations
from sofia_viewers.spectrum.colors import COLOR_CYCLES, choose_color, choose_opacity
from sofia_viewers.spectrum.decimation import clip_to_view, decimate, find_columns, make_steps
from sofia_viewers.spectrum.derivation import Derivation
from sofia_viewers.spectrum.expression import evaluate
from sofia_viewers.spectrum.lines import Shift, builtin_lists, merge_labels, parse_line_list, search_lines
from sofia_viewers.spectrum.operations import (
    combine,
    fit_continuum,
    measure_region,
    normalize,
    rebin,
    smooth,
    subtract_continuum,
)
from sofia_viewers.spectrum.pane import PaneState, ZoomHistory
from sofia_viewers.spectrum.pane_rows import find_place, lay_out_panes, move_pane
from sofia_viewers.spectrum.selection import format_numbers, parse_numbers
from sofia_viewers.spectrum.session import SpectrumSession
from sofia_viewers.spectrum.spectrum import Spectrum
from sofia_viewers.spectrum.transmission import Sky, load_transmission, read_sky


def plain(flux, error=None, wave=None):
    flux = np.asarray(flux, dtype=float)
    fields = {"wavepos": np.arange(len(flux)) + 10.0 if wave is None else wave, "spectral_flux": flux}
    if error is not None:
        fields["spectral_error"] = np.broadcast_to(error, flux.shape)
    return Spectrum(fields, {"wavepos": "um", "spectral_flux": "Jy", "spectral_error": "Jy"})


# -- selections and formulas -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1,3-5", {1, 3, 4, 5}), ("*", {1, 2, 3, 4, 5, 6}), ("-", set()), ("", set()), ("5-3, 9", {3, 4, 5})],
)
def test_that_lists_of_orders_are_read(text, numbers):
    assert parse_numbers(text, range(1, 7)) == numbers


@given(st.sets(st.integers(1, 40)))
def test_that_lists_of_orders_survive_writing_and_reading(numbers):
    assert parse_numbers(format_numbers(numbers, range(1, 41)), range(1, 41)) == numbers


def test_that_what_is_no_list_is_refused():
    with pytest.raises(ParameterError, match="'a' is no number"):
        parse_numbers("1,a", [1, 2])


def test_that_formulas_compute_and_refuse_everything_else():
    values = {"a": np.array([1.0, 4.0]), "b": np.array([2.0, 2.0])}
    np.testing.assert_array_equal(evaluate("sqrt(a)/b**2 - -1", values), [1.25, 1.5])
    for bad in ("__import__('os')", "a.real", "a[0]", "lambda: 1", "c", "sqrt(a, b, a)", "a if b else a", "'x'", "a ="):
        with pytest.raises(ParameterError):
            evaluate(bad, values)


# -- operations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["box", "gaussian", "savgol"])
def test_that_smoothing_keeps_a_straight_line_and_shrinks_noise_as_its_errors_say(kind):
    line = plain(np.arange(60.0), 1.0)
    inner = slice(12, -12)
    np.testing.assert_allclose(smooth(line, kind, 7).flux[inner], line.flux[inner], atol=1e-9)
    rng = np.random.default_rng(0)
    noise = smooth(plain(rng.normal(size=20000), 1.0), kind, 7)
    assert noise.flux[20:-20].std() == pytest.approx(np.median(noise.error), rel=0.03)
    assert np.median(noise.error) < 0.7


def test_that_a_box_is_a_mean_and_nan_stays_where_it_was():
    flux = np.array([1.0, 2.0, np.nan, 4.0, 5.0, 6.0])
    smoothed = smooth(plain(flux), "box", 3)
    np.testing.assert_allclose(smoothed.flux, [1.5, 1.5, np.nan, 4.5, 5.0, 5.5])
    assert np.isnan(flux[2])


def test_that_impossible_widths_are_refused():
    for kind, width in (("box", 0), ("gaussian", -1), ("savgol", 1)):
        with pytest.raises(ParameterError):
            smooth(plain(np.ones(9)), kind, width)
    for factor in (0, 99):
        with pytest.raises(ParameterError):
            rebin(plain(np.ones(9)), factor)


def test_that_rebinning_averages_and_leaves_nan_out():
    binned = rebin(plain([1.0, 3.0, 5.0, np.nan, 7.0], 0.2), 2)
    np.testing.assert_allclose(binned.flux, [2.0, 5.0])
    np.testing.assert_allclose(binned.error, [0.2 / math.sqrt(2), 0.2])
    np.testing.assert_allclose(binned.wave, [10.5, 12.5])


@pytest.mark.parametrize(
    ("operator", "value", "error"), [("+", 6.0, 0.5), ("-", 2.0, 0.5), ("*", 8.0, 2.0), ("/", 2.0, 0.5)]
)
def test_that_arithmetic_propagates_errors(operator, value, error):
    result = combine(plain([4.0, 4.0], 0.3 if operator in "+-" else 0.6), plain([2.0, 2.0], 0.4), operator)
    expected = {"+": 0.5, "-": 0.5, "*": math.hypot(2 * 0.6, 4 * 0.4), "/": math.hypot(0.6 / 2, 2 * 0.4 / 2)}[operator]
    np.testing.assert_allclose(result.flux, value)
    np.testing.assert_allclose(result.error, expected)
    assert result.unit("spectral_flux") == {"/": "", "*": "Jy2"}.get(operator, "Jy")


def test_that_the_second_spectrum_is_brought_to_unit_and_grid_of_the_first():
    second = Spectrum(
        {"wavepos": np.array([1000.0, 500.0]), "spectral_flux": np.array([1000.0, 2000.0])},
        {"wavepos": "cm-1", "spectral_flux": "mJy"},
    )
    result = combine(plain([5.0, 5.0, 5.0], wave=np.array([10.0, 15.0, 30.0])), second, "-")
    np.testing.assert_allclose(result.flux, [4.0, 3.5, np.nan])


def test_that_a_continuum_is_found_in_its_windows_alone():
    x = np.linspace(0, 10, 101)
    y = 3.0 + 0.5 * x + np.where((x > 4) & (x < 6), 50.0, 0.0)
    continuum = fit_continuum(x, y, [(0, 3.5), (6.5, 10)], 1)
    np.testing.assert_allclose(continuum, 3.0 + 0.5 * x, atol=1e-10)
    spectrum = plain(y, 0.1, x)
    np.testing.assert_allclose(subtract_continuum(spectrum, [(0, 3.5), (6.5, 10)], 1).flux[:30], 0.0, atol=1e-9)
    flat = normalize(spectrum, [(0, 3.5), (6.5, 10)], 1)
    np.testing.assert_allclose(flat.flux[:30], 1.0)
    np.testing.assert_allclose(flat.error[:30], 0.1 / continuum[:30])
    assert flat.unit("spectral_flux") == ""
    with pytest.raises(ParameterError, match="too few"):
        fit_continuum(x, y, [(20, 30)], 1)


def test_that_statistics_of_a_range_are_the_textbook_ones():
    found = measure_region(np.arange(5.0), np.array([1.0, 2.0, 3.0, 4.0, 100.0]), np.full(5, 0.5), (3.5, -1))
    assert (found.count, found.mean, found.median, found.total) == (4, 2.5, 2.5, 10.0)
    assert found.std == pytest.approx(np.std([1, 2, 3, 4], ddof=1))
    assert found.integral == pytest.approx(7.5)
    assert found.integral_error == pytest.approx(0.5 * math.sqrt(0.25 + 1 + 1 + 0.25))
    assert found.signal_to_noise == pytest.approx(5.0)
    assert measure_region(np.arange(3.0), np.ones(3), None, (7, 9)).count == 0


# -- lines -----------------------------------------------------------------------------------------------------------


def test_that_line_lists_of_all_forms_are_read():
    text = "wavelength label\n# comment\n12.8135, [Ne II]\n7.5\n15.5551\t[Ne III]\n9.66|H2 S(3)\n33.48 [S III] strong\n"
    lines = {line.wavelength: line.label for line in parse_line_list(text, "list").lines}
    assert lines == {12.8135: "[Ne II]", 7.5: "7.5 um", 15.5551: "[Ne III]", 9.66: "H2 S(3)", 33.48: "[S III] strong"}
    with pytest.raises(InputError, match="line 2"):
        parse_line_list("5.0 a\noops b\n", "list")
    with pytest.raises(InputError, match="no line"):
        parse_line_list("# nothing\n", "list")


def test_that_the_built_in_lists_agree_with_laboratory_frequencies():
    known = {
        "[C II]": 1900.5369, "[O I]": 4744.77749, "[N II]": 1461.1338, "CO 14-13": 1611.793518, "CO 22-21": 2528.172060,
        "CO 4-3": 461.0407682, "o-H2O 2_12-1_01": 1669.904775, "p-H2O 1_11-0_00": 1113.342964, "HD R(0)": 2674.986,
    }  # fmt: skip
    lists = builtin_lists()
    for label, gigahertz in known.items():
        waves = [line.wavelength for line in search_lines(lists, label) if line.label == label]
        assert min(abs(299792.458 / w - gigahertz) / gigahertz for w in waves) < 1e-5, label
    assert all(line.wavelength > 0 and line.label for each in lists for line in each.lines)
    assert all(not each.shown for each in lists)


def test_that_hydrogen_lines_obey_the_rydberg_formula():
    hydrogen = next(each for each in builtin_lists() if "Hydrogen recombination" in each.name)
    for line in hydrogen.lines:
        upper, lower = (int(n) for n in line.label.split()[-1].split("-"))
        assert line.wavelength == pytest.approx(1e4 / (109677.5834 * (1 / lower**2 - 1 / upper**2)), abs=1e-5)


def test_that_lines_are_found_by_label_wavelength_and_range():
    lists = builtin_lists()
    assert {line.label for line in search_lines(lists, "[oI]")} == {"[O I]"}
    assert search_lines(lists, "157.7")[0].label == "[C II]"
    assert all(50 <= line.wavelength <= 60 for line in search_lines(lists, "60-50"))
    assert search_lines(lists, "unobtainium") == []


def test_that_lines_move_with_redshift_and_frame_and_can_be_dragged():
    assert Shift(0.01).factor == pytest.approx(1.01)
    moving = Shift(0.0, "lsr", 8e-5, 2e-5)
    assert moving.factor == pytest.approx(1 / (1 + 1e-4))
    dragged = moving.with_line_at(157.7409, 160.0)
    assert 157.7409 * dragged.factor == pytest.approx(160.0, rel=1e-12)
    assert Shift().with_velocity(299.792458).redshift == pytest.approx(1e-3)


@given(st.lists(st.floats(0, 1000), max_size=40), st.floats(1, 50))
def test_that_labels_never_overlap_and_lose_no_line(places, height):
    merged = merge_labels(places, [f"l{i}" for i in range(len(places))], height)
    gaps = np.diff([label.place for label in merged])
    assert (gaps >= height).all()
    assert sum(label.count for label in merged) == len(places)
    assert all(len(label.text) <= 30 for label in merged)


# -- atmosphere ------------------------------------------------------------------------------------------------------


@pytest.fixture
def models(tmp_path):
    wave = np.linspace(8.0, 14.0, 6001)
    for altitude, zenith, depth in ((38, 40, 0.5), (41, 45, 0.3), (43, 60, 0.1)):
        transmission = 1.0 - depth * np.exp(-0.5 * ((wave - 10.0) / 0.001) ** 2)
        fits.PrimaryHDU(np.stack([wave, transmission])).writeto(
            tmp_path / f"atran_{altitude}K_{zenith}deg_8-14mum.fits"
        )
    return tmp_path


def test_that_the_nearest_model_is_taken_and_named(models):
    found = load_transmission(Sky(40.6, 46.0, 0.0, 0.0, models), (9.0, 11.0))
    assert "atran_41K_45deg_8-14mum.fits" in found.description
    assert found.transmission.min() == pytest.approx(0.7, abs=1e-6)
    single = load_transmission(Sky(40.6, 46.0, 0.0, 0.0, models / "atran_43K_60deg_8-14mum.fits"), (9.0, 11.0))
    assert single.transmission.min() == pytest.approx(0.9, abs=1e-6)


def test_that_smoothing_to_a_resolution_keeps_the_area_of_a_line(models):
    sharp = load_transmission(Sky(41, 45, 0.0, 0.0, models), (9.0, 11.0))
    smooth_ = load_transmission(Sky(41, 45, 0.0, 300.0, models), (9.0, 11.0))
    areas = [np.trapezoid(1 - a.transmission, a.wavelength) for a in (sharp, smooth_)]
    assert areas[1] == pytest.approx(areas[0], rel=0.02)
    assert smooth_.transmission.min() > 0.95


@pytest.mark.parametrize("resolution", [30.0, 150.0, 2000.0])
def test_that_a_smoothed_atmosphere_is_that_of_the_whole_model_and_quickly_there(tmp_path, resolution):
    rng = np.random.default_rng(1)
    wave = np.linspace(8.0, 14.0, 300_001)
    deep = 1.0 - 0.9 * np.exp(-0.5 * ((wave[:, None] - rng.uniform(8.5, 13.5, 20)) / 0.003) ** 2).max(axis=1)
    path = tmp_path / "atran_41K_45deg_8-14mum.fits"
    fits.PrimaryHDU(np.stack([wave, deep])).writeto(path)
    start = time.process_time()
    found = load_transmission(Sky(41, 45, 0.0, resolution, path), (9.0, 12.0))
    assert time.process_time() - start < 2.0
    some = np.sort(rng.choice(len(found.wavelength) - 1, 15, replace=False))
    middle = 0.5 * (found.wavelength[some] + found.wavelength[some + 1])
    shown = np.interp(middle, found.wavelength, found.transmission)
    np.testing.assert_allclose(shown, smooth_to_resolution(wave, deep, resolution, middle), atol=2e-3)


def test_that_missing_models_and_ranges_are_named(models, tmp_path):
    with pytest.raises(ReferenceDataError, match="holds no model"):
        load_transmission(Sky(source=tmp_path / "none"), (9, 11))
    with pytest.raises(ReferenceDataError, match="covers"):
        load_transmission(Sky(source=models), (50.0, 60.0))


def test_that_the_sky_of_an_observation_is_read():
    sky = read_sky({"ALTI_STA": 40000, "ALTI_END": 42000, "ZA_START": 40.0, "ZA_END": 50.0, "RP": 150})
    assert (sky.altitude, sky.zenith_angle, sky.resolution) == (41.0, 45.0, 150.0)


# -- drawing ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 2000), st.floats(0.01, 3.0), st.booleans())
def test_that_decimation_keeps_extremes_and_stays_small(count, step, falling):
    rng = np.random.default_rng(count)
    x, y = np.arange(count) * step, rng.normal(size=count)
    if falling:
        x = x[::-1].copy()
    starts = find_columns(x)
    if starts is not None:
        thin_x, thin_y = decimate(x, y, starts)
        assert (thin_y.min(), thin_y.max()) == (y.min(), y.max())
        assert len(thin_x) <= 4 * (math.ceil(count * step) + 1)
        assert (thin_x.min(), thin_x.max()) == (x.min(), x.max())


@pytest.mark.parametrize("order", [1, -1])
def test_that_only_what_is_in_view_is_drawn(order):
    x = np.arange(100.0)[::order]
    x.flags.writeable = False
    part = clip_to_view(x, 40.0, 50.0)
    assert set(np.arange(40.0, 51.0)) <= set(x[part])
    assert part.stop - part.start < 18
    shuffled = np.random.default_rng(0).permutation(100).astype(float)
    assert clip_to_view(shuffled, 40.0, 50.0) == slice(0, 100)


def test_that_steps_hold_each_value_about_its_point():
    x, y = make_steps(np.array([1.0, 2.0, 4.0]), np.array([5.0, 6.0, 7.0]))
    np.testing.assert_array_equal(x, [0.5, 1.5, 1.5, 3.0, 3.0, 5.0])
    np.testing.assert_array_equal(y, [5, 5, 6, 6, 7, 7])


def test_that_colours_follow_the_cycle_and_turn_with_the_aperture():
    assert choose_color(0) == COLOR_CYCLES["Accessible"][0] == choose_color(7)
    assert len({choose_color(0, aperture) for aperture in range(1, 8)}) == 7
    assert (choose_opacity(0, 5), choose_opacity(4, 5), choose_opacity(0, 1)) == (0.7, 1.0, 1.0)


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1)), (2, (2, 1)), (3, (2, 2)), (5, (3, 2)), (9, (3, 3))])
def test_that_the_grid_has_as_many_rows_as_the_root_of_the_number(count, shape):
    places = [find_place(n, count, "grid") for n in range(count)]
    assert (max(p[0] for p in places) + 1, max(p[1] for p in places) + 1) == shape


def test_that_zoom_history_goes_back_and_forth():
    history = ZoomHistory()
    history.push((1, 2), None)
    history.push((1, 1.5), None)
    assert history.back() == ((1, 2), None)
    assert history.back() == (None, None)
    assert history.forward() == ((1, 2), None)
    history.push((5, 6), None)
    assert history.forward() == ((5, 6), None)


# -- session ---------------------------------------------------------------------------------------------------------


def test_that_files_of_one_name_in_two_folders_are_both_loaded_and_told_apart(make_file):
    from dataclasses import replace

    session = SpectrumSession()
    session.add_files([replace(make_file(str(n)), name="a.fits", path=Path(f"/data/{n}/a.fits")) for n in (1, 2)])
    assert sorted(session.names().values()) == ["1/a.fits", "2/a.fits"]
    assert len(session.content(0).curves) == 2


def test_that_orders_and_apertures_are_hidden_and_shown_by_lists(make_file):
    session = SpectrumSession()
    session.add_files([make_file("a", orders=5), make_file("b", apertures=3)])
    session.set_numbers("1,3-4", enabled=True, keys=["a"])
    assert [c.order for c in session.content(0).curves if c.file == "a"] == [1, 3, 4]
    session.set_numbers("2", enabled=False, keys=["b"])
    assert [c.aperture for c in session.content(0).curves if c.file == "b"] == [1, 3]
    session.set_numbers("*", enabled=True)
    assert len(session.content(0).curves) == 8


def test_that_signal_to_noise_and_formulas_are_fields_with_units_and_errors(make_file):
    session = SpectrumSession()
    session.add_files([make_file("a")])
    session.change_axis("primary", field="s/n")
    assert session.content(0).curves[0].y.max() == pytest.approx(70.0)
    session.set_formula("corrected", "spectral_flux / transmission")
    session.change_axis("primary", field="corrected")
    content = session.content(0)
    assert content.curves[0].y.max() == pytest.approx(7.0 / 0.8)
    assert content.curves[0].error[0] == pytest.approx(0.1 / 0.8)
    assert "Jy" in content.y_label
    with pytest.raises(ParameterError, match="no field 'nothing'"):
        session.set_formula("bad", "nothing + 1")
    with pytest.raises(ParameterError, match="another name"):
        session.set_formula("spectral_flux", "transmission")


def test_that_a_file_that_does_not_fit_is_named_and_the_others_stay(make_file):
    session = SpectrumSession()
    odd = make_file("odd")
    odd = type(odd)(
        "odd", "odd.fits", tuple(Spectrum(s.fields, {**s.units, "spectral_flux": "Me/s"}) for s in odd.spectra)
    )
    session.add_files([make_file("a"), odd])
    content = session.content(0)
    assert [curve.file for curve in content.curves] == ["a"]
    assert "odd.fits is not shown" in content.problems[0]


def test_that_refreshed_products_keep_limits_units_orders_and_derived_files(make_file):
    session = SpectrumSession()
    session.replace_group("product:", [make_file("product:0", orders=3)])
    session.change_pane(x_unit="cm-1", x_limits=(900.0, 950.0))
    session.set_numbers("2", enabled=False)
    derived = session.add_derived(Derivation("rebin", ("product:0",), (("factor", 3),)))
    session.replace_group(
        "product:", [make_file("product:0", orders=3, transmission=np.full(201, 0.5)), make_file("product:1")]
    )
    state = session.pane
    assert (state.x_unit, state.x_limits) == ("cm-1", (900.0, 950.0))
    assert state.file("product:0").hidden_orders == {2}
    assert state.file("product:1") is not None
    assert session.files[derived].spectra[0].transmission[0] == 0.5


def test_that_removing_products_leaves_other_files(make_file):
    session = SpectrumSession()
    session.replace_group("product:", [make_file("product:0"), make_file("product:1")])
    session.add_files([make_file("mine")])
    session.replace_group("product:", [make_file("product:0")])
    assert set(session.files) == {"product:0", "mine"}


def test_that_a_session_survives_json(make_file):
    session = SpectrumSession()
    session.add_files([make_file("a", orders=2)])
    session.set_formula("double", "2 * spectral_flux")
    session.add_derived(Derivation("smooth", ("a",), (("kind", "box"), ("width", 3.0))))
    session.add_pane()
    session.change_pane(0, x_unit="GHz", x_limits=(1.0, 2.0), overplot_enabled=True)
    session.set_style(plot_type="Line", grid=True)
    notes = Annotations(session)
    notes.switch_list("PAH features", shown=True)
    notes.set_shift(Shift(0.1))
    notes.fit_range(0, (27000.0, 30000.0))
    text = json.dumps({**session.to_json(), "annotations": notes.to_json()})
    again = SpectrumSession()
    again.add_files([make_file("a", orders=2)])
    again.restore(json.loads(text))
    more = Annotations(again)
    more.restore(json.loads(text)["annotations"])
    assert again.panes == session.panes
    assert (again.style, again.formulas, set(again.files)) == (session.style, session.formulas, set(session.files))
    assert (more.shift, len(more.fits), more.lists) == (notes.shift, len(notes.fits), notes.lists)
    assert len(notes.fits) > 0
    with pytest.raises(ParameterError, match="restored"):
        again.restore({"format": 1})
    with pytest.raises(ParameterError, match="newer version"):
        again.restore({"format": 99})


@given(st.sets(st.integers(1, 9)), st.floats(0.1, 10), st.sampled_from(["linear", "log"]))
def test_that_panes_survive_json(hidden, limit, scale):
    from sofia_viewers.spectrum.pane import PaneFile

    state = PaneState("p", (PaneFile("a", frozenset(hidden)),), x_limits=(limit, limit + 1), x_scale=scale)
    assert PaneState.from_json(json.loads(json.dumps(state.to_json()))) == state


@pytest.mark.parametrize(("where", "places"), [("split", "aab"), ("first", "aaa"), ("last", "bbb"), ((1, 0, 1), "bab")])
def test_that_files_are_spread_over_panes(make_file, where, places):
    session = SpectrumSession()
    keys = session.add_files([make_file(name) for name in "xyz"])
    session.add_pane()
    session.assign_files(keys, where)
    found = {part.key: pane for pane, state in zip("ab", session.panes, strict=True) for part in state.files}
    if where == "last":
        session.remove_from_pane(keys, 0)
    assert [pane for _, pane in sorted(found.items())] == list(places)
    with pytest.raises(ParameterError, match="a pane from 0 to 1"):
        session.assign_files(keys, (0, 2, 1))


def test_that_slit_positions_can_be_shown_in_all_units_of_angles(make_file):
    session = SpectrumSession()
    profile = {"slitpos": np.linspace(0.0, 60.0, 201), "spatial_profile": np.ones(201)}
    file = make_file(**profile)
    session.add_files([replace(file, spectra=tuple(s.replace({"slitpos": "arcsec"}) for s in file.spectra))])
    session.change_pane(x_field="slitpos")
    session.change_axis("primary", field="spatial_profile")
    assert session.list_units("x") == ["arcsec", "arcmin", "deg", "pixel"]
    session.change_pane(x_unit="arcmin")
    assert session.content(0).curves[0].x[-1] == pytest.approx(1.0)
    session.change_pane(x_field="wavepos", x_unit="")
    session.change_axis("primary", field="slitpos", unit="deg")
    assert session.content(0).curves[0].y[-1] == pytest.approx(1.0 / 60.0)
    session.change_pane(x_field="spatial_profile", x_unit="")
    assert session.list_units("x") == ["", "pixel"]


def test_that_panes_are_moved_along_and_between_rows():
    rows = lay_out_panes("abcd", "grid")
    assert rows == (("a", "b"), ("c", "d"))
    assert move_pane(rows, "a", "right") == (("b", "a"), ("c", "d"))
    assert move_pane(rows, "a", "left") == rows
    assert move_pane(rows, "a", "down") == (("b",), ("a", "c", "d"))
    assert move_pane(rows, "d", "up") == (("a", "d", "b"), ("c",))
    assert move_pane(rows, "a", "up") == (("a",), ("b",), ("c", "d"))
    assert move_pane((("a",), ("b",)), "b", "down") == (("a",), ("b",))


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["left", "right", "up", "down"])), max_size=30))
def test_that_no_pane_is_lost_or_doubled_by_moving(moves):
    rows = lay_out_panes("abcde", "grid")
    for name, way in moves:
        rows = move_pane(rows, name, way)
        assert sorted(name for row in rows for name in row) == list("abcde")
        assert all(rows)


def test_that_free_layouts_take_new_panes_and_forget_removed_ones():
    assert lay_out_panes("acx", "free", (("a", "b"), ("c",))) == (("a",), ("c", "x"))
    assert lay_out_panes("a", "free", ()) == (("a",),)


def test_that_a_free_layout_is_saved_with_the_session(make_file):
    session = SpectrumSession()
    session.add_pane()
    session.move_pane("down")
    again = SpectrumSession()
    again.restore(json.loads(json.dumps(session.to_json())))
    assert again.rows == session.rows == (("pane1",), ("pane2",))
