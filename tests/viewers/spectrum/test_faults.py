"""Faults that a robot found in the window, one by one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sofia_engine.errors import ParameterError
from sofia_viewers.qt import QtCore, QtWidgets
from sofia_viewers.spectrum.derivation import Derivation
from sofia_viewers.spectrum.expression import evaluate
from sofia_viewers.spectrum.sections import LimitEdit, format_limit
from sofia_viewers.spectrum.ties import parse_tie
from sofia_viewers.spectrum.viewer import SpectrumViewer
from sofia_viewers.standalone import wait_until_ready


def type_text(edit: LimitEdit, text: str) -> None:
    edit.setText(text)
    edit.setModified(True)
    edit.editingFinished.emit()


def write_spectrum(path: Path, height: float = 3.0) -> Path:
    wave = np.linspace(5.0, 8.0, 60)
    path.write_text("\n".join(f"{w:.4f} {2 + height * np.exp(-((w - 6.5) ** 2) / 0.05):.4f} 0.1" for w in wave))
    return path


# -- limits ----------------------------------------------------------------------------------------------------------


def test_that_numbers_no_limit_can_be_are_not_taken(viewer: Any) -> None:
    panel, before = viewer.axis_panel, viewer.area.current.limits
    for text in ("1e400", "inf", "nan", "-inf", "1e300", "1e-300", "abc", "%s"):
        for edit in (panel.x_low, panel.x_high, panel.y_low, panel.y_high, panel.rest):
            shown = edit.text()
            type_text(edit, text)
            assert edit.text() == shown, text
    assert viewer.area.current.limits == before
    assert viewer.session.pane.rest is None


def test_that_the_limit_that_is_not_typed_keeps_all_its_digits(viewer: Any) -> None:
    panel, view = viewer.axis_panel, viewer.area.current
    view.set_limits((10.50001, 10.50019))
    assert (panel.x_low.text(), panel.x_high.text()) == ("10.5000100", "10.5001900")
    type_text(panel.x_low, "10.5001")
    np.testing.assert_allclose(view.limits[0], (10.5001, 10.50019), rtol=1e-12)


def test_that_limits_are_written_with_digits_enough_for_their_range() -> None:
    assert format_limit(10.2, 0.01) == "10.200"
    assert format_limit(157.74093, 1e-5) == "157.740930"
    assert format_limit(3.2e-16, 1e-19) == "3.2e-16"
    assert format_limit(0.0, 1e-5) == "0.000"


def test_that_a_logarithmic_axis_takes_no_negative_limit(viewer: Any) -> None:
    panel = viewer.axis_panel
    viewer.session.change_pane(x_scale="log")
    type_text(panel.x_low, "-1")
    assert viewer.session.pane.x_limits is None
    assert "positive" in viewer.status.text()


def test_that_a_logarithmic_axis_can_be_zoomed_out_to_its_end(viewer: Any) -> None:
    viewer.session.change_pane(x_scale="log")
    viewer.session.change_axis("primary", scale="log")
    view = viewer.area.current
    view.box.setXRange(-1e6, 1e6)
    view.box.setYRange(-1e6, 1e6)
    assert np.isfinite(view.limits).all()
    assert np.isfinite(view.from_plot(1e6, -1e6)).all()


def test_that_zooms_of_one_unit_are_not_taken_back_in_another(viewer: Any) -> None:
    view = viewer.area.current
    view.set_limits(y=(2.0, 3.0))
    view._remember.timeout.emit()
    view.history.push(*view.limits)
    viewer.session.change_axis("primary", unit="mJy", limits=None)
    view.step_zoom(back=True)
    assert view.limits[1][1] > 6000.0


def test_that_an_empty_pane_has_no_limits_of_its_own(viewer: Any, qtbot: Any) -> None:
    viewer.session.remove_file("a")
    viewer.resize(900, 500)
    viewer.grab()
    qtbot.wait(50)
    assert viewer.session.pane.x_limits is None
    assert viewer.session.pane.primary.limits is None


# -- formulas and ties -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["(-8) ** 0.5", "median(f, 3)", "maximum(f, f, g)", "abs(1, f)", "max()", "f + g", "9 ** 9 ** 9 ** 9", "f.T",
     "f if 1 else 0", "'a'", "1 / 0"],
)  # fmt: skip
def test_that_formulas_without_a_value_are_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ParameterError) as found:
        evaluate(text, {"f": np.ones(3), "g": np.ones(4)})
    assert len(str(found.value)) < 200


def test_that_a_summary_of_nothing_is_nothing() -> None:
    assert np.isnan(evaluate("mean(f)", {"f": np.full(3, np.nan)}))
    assert evaluate("mean(f)", {"f": np.array([1.0, np.nan, 3.0])}) == 2.0


def test_that_what_is_no_formula_is_refused_when_it_is_typed(viewer: Any) -> None:
    viewer.axis_panel.formula.setText("spectral_flux if 1 else 0")
    viewer.axis_panel.formula.returnPressed.emit()
    assert viewer.session.formulas == {}
    assert "not allowed in formulas" in viewer.status.text()


@pytest.mark.parametrize("text", ["1+..", "..*1", "1e400*1", "٣", "1*", "0"])
def test_that_ties_of_nonsense_are_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ParameterError, match="is no tie"):
        parse_tie(text, "mean")


# -- tables ----------------------------------------------------------------------------------------------------------


def test_that_the_table_of_the_cursor_is_filled_again_without_complaint(viewer: Any) -> None:
    messages: list[str] = []
    before = QtCore.qInstallMessageHandler(lambda _kind, _context, text: messages.append(text))
    try:
        viewer.overlays.pop_out()
        for x in (10.2, 10.4):
            viewer.area.current.cursor_moved.emit(viewer.area.current.name, x, 3.0)
            viewer.overlays._read_cursor()
    finally:
        QtCore.qInstallMessageHandler(before)
    assert [text for text in messages if "QTableWidget" in text] == []
    assert viewer.overlays.cursor_table.item(0, 6).text() == "10.4"


def test_that_a_fit_of_nothing_is_refused(viewer: Any) -> None:
    viewer.annotations.choice = type(viewer.annotations.choice)(shape=None, degree=None)
    viewer.fit(viewer.session.pane.id, (10.3, 10.7))
    assert viewer.annotations.fits == []
    assert "choose a feature or a baseline" in viewer.status.text()


def test_that_first_values_can_be_cleared_before_anything_is_fitted(viewer: Any) -> None:
    viewer.annotations.choice = type(viewer.annotations.choice)(guess_first=True)
    viewer.fit(viewer.session.pane.id, (10.3, 10.7))
    assert viewer.fit_window.clear_button.isEnabled()
    viewer.fit_window.clear_button.click()
    assert viewer.annotations.fits == []


def test_that_an_atmosphere_that_comes_too_late_is_not_drawn(viewer: Any) -> None:
    from sofia_viewers.spectrum.transmission import Atmosphere

    name = viewer.session.pane.id
    viewer.session.change_pane(transmission=True)
    viewer.session.remove_file("a")
    viewer.overlays._show_atmosphere(name, Atmosphere(np.linspace(5, 6, 9), np.ones(9), "late"))
    assert viewer.overlays.layers(name).atmosphere.item is None


def test_that_velocities_of_no_line_have_no_wavelengths(viewer: Any, tmp_path: Path) -> None:
    from astropy.io import fits

    cards = {"CRVAL1": -300.0, "CDELT1": 10.0, "CRPIX1": 1.0, "CUNIT1": "km/s", "BUNIT": "K"}
    fits.PrimaryHDU(np.ones(60), fits.Header(cards)).writeto(tmp_path / "v.fits")
    viewer.session.remove_file("a")
    viewer.open_files([tmp_path / "v.fits"])
    assert wait_until_ready(viewer)
    viewer.session.change_pane(transmission=True)
    assert not viewer.shows_wavelengths(5.0, 9.0)
    viewer.mark_range(5.0, 9.0)
    assert "does not show wavelengths" in viewer.status.text()
    viewer.session.change_pane(rest=6.5)
    assert viewer.shows_wavelengths(6.4999, 6.5001)


# -- sessions --------------------------------------------------------------------------------------------------------


def open_saved(viewer: Any, path: Path) -> SpectrumViewer:
    viewer.save_session(path)
    other = SpectrumViewer()
    other.open_session(path)
    assert wait_until_ready(other)
    return other


def describe(viewer: Any) -> list[tuple[Any, ...]]:
    curves = viewer.session.content(0).curves
    return [(curve.key, curve.color, curve.marker, curve.y.tobytes()) for curve in curves]


def test_that_colours_and_order_of_files_are_those_of_the_saved_session(viewer: Any, tmp_path: Path) -> None:
    viewer.session.remove_file("a")
    for name in "abc":
        viewer.open_files([write_spectrum(tmp_path / f"{name}.txt")])
        assert wait_until_ready(viewer)
        viewer.session.add_derived(Derivation("rebin", (str(tmp_path / f"{name}.txt"),), (("factor", 2),)))
    viewer.session.remove_file(str(tmp_path / "a.txt"))
    other = open_saved(viewer, tmp_path / "s.json")
    assert describe(other) == describe(viewer)
    assert list(other.session.names().values()) == list(viewer.session.names().values())
    other.close()


def test_that_a_file_made_of_one_that_was_closed_is_in_the_saved_session(viewer: Any, tmp_path: Path) -> None:
    viewer.session.remove_file("a")
    viewer.open_files([write_spectrum(tmp_path / "a.txt")])
    assert wait_until_ready(viewer)
    first = viewer.session.add_derived(Derivation("rebin", (str(tmp_path / "a.txt"),), (("factor", 2),)))
    viewer.session.add_derived(Derivation("rebin", (first,), (("factor", 2),)))
    viewer.session.remove_file(str(tmp_path / "a.txt"))
    viewer.session.remove_file(first)
    other = open_saved(viewer, tmp_path / "s.json")
    assert describe(other) == describe(viewer)
    assert len(describe(other)) == 1
    other.close()


def test_that_the_name_of_a_closed_file_is_not_given_to_another(viewer: Any) -> None:
    """Else what was made of the first would be made anew of the second."""
    session = viewer.session
    first = session.add_derived(Derivation("rebin", ("a",), (("factor", 2),)))
    second = session.add_derived(Derivation("rebin", (first,), (("factor", 2),)))
    before = len(session.files[second].spectra[0])
    session.remove_file(first)
    third = session.add_derived(Derivation("rebin", ("a",), (("factor", 10),)))
    assert third != first
    session.add_files([session.files["a"]])
    assert len(session.files[second].spectra[0]) == before


def test_that_damaged_sessions_are_refused_in_a_sentence(viewer: Any, tmp_path: Path) -> None:
    contents = (b"", b"[]", b"{}", b'{"files": 3}', b'{"files": [], "derivations": []}', b"\xff\xfe", b"[" * 50_000,
                b'{"files": [{"key": 1, "path": 7}]}')  # fmt: skip
    for content in contents:
        (tmp_path / "s.json").write_bytes(content)
        viewer.say("")
        viewer.open_session(tmp_path / "s.json")
        assert wait_until_ready(viewer)
        assert viewer.status.text().endswith("."), content[:40]
        assert "Traceback" not in viewer.status.text()
        assert len(viewer.area.current.content.curves) == 1


def test_that_a_session_with_a_wrong_value_leaves_the_view_as_it_was(viewer: Any, tmp_path: Path) -> None:
    wrong: list[tuple[tuple[Any, ...], Any]] = [
        (("panes", 0, "x_scale"), 7), (("panes", 0, "x_limits"), [1]), (("panes", 0, "primary"), None),
        (("current",), "x"), (("style", "plot_type"), "Bars"), (("panes",), None),
        (("annotations", "choice", "shape"), "round"), (("annotations", "choice", "degree"), 99),
        (("annotations", "fits"), [{}]), (("annotations", "shift"), {"redshift": "fast"}),
    ]  # fmt: skip
    before = json.dumps(viewer.view_state())
    for place, value in wrong:
        plain = target = json.loads(before)
        for key in place[:-1]:
            target = target[key]
        target[place[-1]] = value
        (tmp_path / "s.json").write_text(json.dumps(plain))
        viewer.say("")
        viewer.open_session(tmp_path / "s.json")
        assert wait_until_ready(viewer)
        assert "session" in viewer.status.text(), place
        assert json.dumps(viewer.view_state()) == before, place


# -- saving ----------------------------------------------------------------------------------------------------------


def test_that_a_picture_that_cannot_replace_another_is_told(qapp: Any, tmp_path: Path) -> None:
    from sofia_engine.errors import InputError
    from sofia_viewers.export import paint_picture

    (tmp_path / "p.png").write_bytes(b"old")
    with pytest.raises(InputError, match="cannot be written"):
        paint_picture(tmp_path / "p.png", (0, 0), lambda _painter, _rect: None)
    assert (tmp_path / "p.png").read_bytes() == b"old"


def test_that_a_spectrum_that_cannot_be_saved_is_not_told_as_written(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sofia_viewers.export import export_events

    written: list[str] = []
    export_events().written.connect(written.append)
    monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "nowhere" / "a.fits"), ""))
    viewer.ask_and_save_spectrum()
    export_events().written.disconnect(written.append)
    assert written == []
    assert "cannot be written" in viewer.status.text()


def test_that_numbers_of_fields_named_like_other_columns_are_saved(viewer: Any, tmp_path: Path) -> None:
    from astropy.table import Table

    viewer.session.set_formula("error", "spectral_flux * 2")
    viewer.session.change_axis("primary", field="error")
    viewer.save_numbers(tmp_path / "n.ecsv")
    table = Table.read(tmp_path / "n.ecsv", format="ascii.ecsv")
    curve = viewer.area.current.content.curves[0]
    np.testing.assert_allclose(table["error"], curve.y)
    np.testing.assert_allclose(table["error_2"], curve.error)
