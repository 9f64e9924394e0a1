"""Settings: keys and defaults of the specification, files of ours and of the former program."""

import logging
import math

import pytest

from sofia_engine.errors import ParameterError
from sofia_viewers.image.settings import (
    DisplaySettings,
    PhotometrySettings,
    PlotSettings,
    SettingsStore,
    read_pair,
    read_radius,
)


def test_that_keys_and_defaults_are_those_of_the_specification():
    assert DisplaySettings().by_key() == {
        "ds9_viewer_pipeline": True, "ds9_viewer_qad": True, "eye_viewer": True, "overplots": True,
        "extension": "first", "lock_image": "wcs", "lock_slice": "image", "scale": "zscale", "cmap": "sls",
        "zoom_fit": True, "tile": True, "s2n_range": "",
    }  # fmt: skip
    assert PhotometrySettings().by_key() == {
        "model": "moffat", "window": 50.0, "window_units": "pixels", "fwhm": 3.0, "fwhm_units": "arcsec",
        "psf_radius": "12", "aperture_units": "pixels", "bg_inner": "15", "bg_width": "10", "show_plots": False,
    }  # fmt: skip
    assert PlotSettings().by_key() == {
        "window": 50.0, "window_units": "pixels", "color": "tab10", "share_axes": "none", "separate_plots": True,
        "bin": "fd", "hist_limits": "", "summary_stat": "clipped median", "p2p_reference": 1,
    }  # fmt: skip


@pytest.fixture
def store(tmp_path):
    return SettingsStore(tmp_path / "ours", tmp_path / "old")


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("display", DisplaySettings(extension="S/N", s2n_range="3,100", tile=False)),
        ("photometry", PhotometrySettings(psf_radius="auto", bg_inner="none")),
        ("plot", PlotSettings(window=None, bin="20", summary_stat="mean")),
    ],
)
def test_that_saved_settings_are_read_back(store, section, settings):
    store.save(section, settings)
    assert store.load(section) == settings


def test_that_nothing_saved_means_defaults(store):
    assert store.load("display") == DisplaySettings()


def test_that_files_of_the_former_program_are_read(store):
    store.old_folder.mkdir()
    (store.old_folder / "display.cfg").write_text(
        "ds9_viewer_pipeline = False\nextension = 'all'\nlock_image = 'image'\nscale = 'minmax'\ncmap = 'heat'\n"
        "s2n_range = [3.0, 50.0]\ntile = False\n"
    )
    (store.old_folder / "photometry.cfg").write_text("model = gaussian\nbg_inner = None\nwindow = 40\nfwhm = 5.0\n")
    (store.old_folder / "plot.cfg").write_text("# old\nwindow = None\nbin = 15\nhist_limits = None\n")
    display, photometry, plot = (store.load(s) for s in ("display", "photometry", "plot"))
    assert (display.extension, display.lock_image, display.scale, display.tile) == ("all", "image", "minmax", False)
    assert not display.viewer_pipeline
    assert read_pair(display.s2n_range) == (3.0, 50.0)
    assert (photometry.model, photometry.bg_inner, photometry.window) == ("gaussian", "none", 40.0)
    assert (plot.window, plot.bin, plot.hist_limits) == (None, "15", "")


def test_that_ours_win_over_those_of_the_former_program(store):
    store.old_folder.mkdir()
    (store.old_folder / "display.cfg").write_text("cmap = 'heat'\n")
    store.save("display", DisplaySettings(cmap="grey"))
    assert store.load("display").cmap == "grey"


def test_that_a_wrong_value_is_reported_and_replaced_by_its_default(store, caplog):
    store.folder.mkdir()
    (store.folder / "display.cfg").write_text("scale = 'enormous'\ncmap = 'b'\n")
    with caplog.at_level(logging.WARNING):
        settings = store.load("display")
    assert (settings.scale, settings.cmap) == ("zscale", "b")
    assert "enormous" in caplog.text


@pytest.mark.parametrize(("text", "radius"), [("12", 12.0), ("6.5", 6.5), ("auto", None), ("", None)])
def test_that_radii_are_numbers_or_automatic(text, radius):
    assert read_radius(text) == radius


def test_that_none_is_no_radius():
    assert math.isnan(read_radius("none"))


@pytest.mark.parametrize(("text", "pair"), [("", None), ("none", None), ("1,2", (1.0, 2.0)), ("[3.0, 4]", (3.0, 4.0))])
def test_that_ranges_are_two_numbers_or_nothing(text, pair):
    assert read_pair(text) == pair


def test_that_a_wrong_range_is_refused():
    with pytest.raises(ParameterError, match="min,max"):
        read_pair("wide")
