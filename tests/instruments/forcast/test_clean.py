"""Clean Images."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import InputError, ParameterError, ReferenceDataError
from sofia_engine.instruments.forcast.clean import (
    CleanParameters,
    clean,
    fill_bad_pixels,
    is_shifted,
    mask_bad_pixels,
    parse_image_numbers,
)
from sofia_engine.pipeline.parameters import Setting
from sofia_engine.reference import ReferenceStore


@pytest.fixture
def noise():
    return np.random.default_rng(5).normal(5000, 20, (4, 256, 256)).astype(np.float32)


@pytest.fixture
def uneven(noise):
    """Counts in which the conspicuous pixels of the short-wave camera are where they belong."""
    noise[:, 36:75, 0:2] = 5000 + 10 * (noise[:, 36:75, 0:2] - 5000)
    return noise


@pytest.fixture
def write_mask(tmp_path):
    def write(mask, name="mask.fits"):
        fits.PrimaryHDU(mask).writeto(tmp_path / name)
        return str(tmp_path / name)

    return write


@pytest.fixture
def store(tmp_path):
    return ReferenceStore(tmp_path / "cache", offline=True)


@pytest.mark.parametrize(
    ("text", "numbers"), [("all", None), (" ALL ", None), ("1;3", (1, 3)), ("2", (2,)), ("1; 4;", (1, 4)), ("", ())]
)
def test_that_image_numbers_are_read(text, numbers):
    assert parse_image_numbers(text) == numbers


@pytest.mark.parametrize("text", ["1,3", "0", "-1", "one", "1.5", "²"])
def test_that_bad_image_numbers_are_refused_with_an_example(text):
    with pytest.raises(ParameterError, match=r"shiftfile.*such as 1;3"):
        CleanParameters.make({"shiftfile": Setting(text)})


def test_that_a_displaced_readout_is_found_and_moved_back(make_loaded, drive, uneven):
    displaced = np.roll(uneven, 16, axis=-1)
    cleaned, run = drive(clean, make_loaded(displaced))
    np.testing.assert_array_equal(cleaned["FLUX"][:, :-1], uneven[:, :-1])
    assert any("moved by -16 pixels" in line for line in run.history_lines)
    kept, quiet = drive(clean, make_loaded(displaced), {"autoshift": False})
    np.testing.assert_array_equal(kept["FLUX"][:, :-1], displaced[:, :-1])
    assert not any("moved" in line for line in quiet.history_lines)


def test_that_an_image_in_place_is_not_moved(make_loaded, drive, uneven):
    cleaned, _ = drive(clean, make_loaded(uneven))
    np.testing.assert_array_equal(cleaned["FLUX"][:, :-1], uneven[:, :-1])


@pytest.mark.parametrize(
    ("rows", "columns", "camera"), [(slice(36, 75), slice(16, 18), "SW"), (slice(178, 189), slice(63, 77), "LW")]
)
def test_that_each_camera_has_its_own_conspicuous_pixels(rows, columns, camera):
    plane = np.random.default_rng(1).normal(0, 1, (256, 256))
    assert not is_shifted(plane, camera)
    plane[rows, columns] *= 10
    assert is_shifted(plane, camera)
    assert not is_shifted(plane, "LW" if camera == "SW" else "SW")


def test_that_missing_pixels_tell_nothing():
    plane = np.random.default_rng(1).normal(0, 1, (256, 256))
    plane[36:75, 0:2] = np.nan
    assert not is_shifted(plane, "SW")
    assert not is_shifted(np.ones((20, 20)), "SW")


def test_that_images_through_the_slit_are_never_moved_automatically(make_loaded, drive, uneven):
    displaced = np.roll(uneven, 16, axis=-1)
    cleaned, _ = drive(clean, make_loaded(displaced, SLIT="FOR_LS24"))
    np.testing.assert_array_equal(cleaned["FLUX"][:, :-1], displaced[:, :-1])


@pytest.mark.parametrize(
    ("text", "position", "moved"), [("all", 0, True), ("all", 2, True), ("1;3", 0, True), ("1;3", 1, False)]
)
def test_that_the_user_can_name_displaced_images(make_loaded, drive, noise, text, position, moved):
    cleaned, _ = drive(clean, make_loaded(noise), {"shiftfile": text}, position=position, count=3)
    expected = np.roll(noise, -16, axis=-1) if moved else noise
    np.testing.assert_array_equal(cleaned["FLUX"][:, :-1], expected[:, :-1])


def test_that_a_number_beyond_the_last_image_is_an_error(make_loaded, drive, noise):
    with pytest.raises(ParameterError, match="there are only 2 images"):
        drive(clean, make_loaded(noise), {"shiftfile": "3"}, count=2)


def test_that_bad_pixels_become_missing_in_flux_and_error(make_loaded, drive, noise, write_mask, store):
    mask = np.zeros((256, 256), dtype=np.uint8)
    mask[10, 20] = mask[30, 40] = 1
    loaded = make_loaded(noise)
    path = write_mask(mask)
    cleaned, run = drive(clean, loaded, {"badfile": path, "autoshift": False}, store=store)
    bad = mask > 0
    bad[-1] = True
    for name in ("FLUX", "ERROR"):
        assert (np.isnan(cleaned[name]) == bad).all()
        np.testing.assert_array_equal(cleaned[name][:, ~bad], loaded[name][:, ~bad])
        assert cleaned[name].dtype == np.float32
    assert cleaned.header["BDPXFILE"] == path
    assert cleaned.header["JBCLEAN"] == "median"
    assert run.warnings == []
    assert np.isfinite(loaded["FLUX"]).all()


def test_that_a_missing_mask_is_a_warning(make_loaded, drive, noise):
    cleaned, run = drive(clean, make_loaded(noise))
    assert run.warnings == ["There is no bad pixel map for this observation; no pixels are masked."]
    assert np.isfinite(cleaned["FLUX"][:, :-1]).all()
    assert "BDPXFILE" not in cleaned.header


def test_that_a_mask_of_another_shape_is_not_used(make_loaded, drive, noise, write_mask, store):
    path = write_mask(np.ones((128, 128), dtype=np.uint8))
    cleaned, run = drive(clean, make_loaded(noise), {"badfile": path}, store=store)
    assert "has the shape (128, 128), not (256, 256)" in run.warnings[0]
    assert np.isfinite(cleaned["FLUX"][:, :-1]).all()


def test_that_a_mask_that_is_no_image_is_an_error(make_loaded, drive, noise, tmp_path, store):
    (tmp_path / "text.fits").write_text("no FITS file")
    with pytest.raises(ReferenceDataError, match="cannot be read"):
        drive(clean, make_loaded(noise), {"badfile": str(tmp_path / "text.fits")}, store=store)
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(ReferenceDataError, match="holds no image"):
        drive(clean, make_loaded(noise), {"badfile": str(tmp_path / "empty.fits")}, store=store)


def test_that_interpolation_restores_a_smooth_image(make_loaded, drive, write_mask, store):
    y, x = np.mgrid[0:256, 0:256]
    surface = 5000 + 0.5 * x - 0.2 * y + 1e-3 * x * y
    mask = np.random.default_rng(2).random((256, 256)) < 0.01
    flux = np.repeat(surface[np.newaxis], 2, axis=0)
    flux[:, mask] = 1e9
    cleaned, _ = drive(
        clean, make_loaded(flux, 3.0), {"badfile": write_mask(mask.astype("u1")), "interpolate": True}, store=store
    )
    np.testing.assert_allclose(cleaned["FLUX"][:, :-1], np.repeat(surface[np.newaxis, :-1], 2, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(cleaned["FLUX"][:, -1], cleaned["FLUX"][:, -2])
    np.testing.assert_allclose(cleaned["ERROR"], 3.0)


def test_that_filling_leaves_good_pixels_alone(noise):
    masked = mask_bad_pixels(noise, np.random.default_rng(2).random((256, 256)) < 0.01)
    flux, error = fill_bad_pixels(masked, np.where(np.isnan(masked), np.nan, np.float32(2)))
    good = np.isfinite(masked)
    good[:, -1] = False
    np.testing.assert_array_equal(flux[good], noise[good])
    np.testing.assert_allclose(error[good], 2.0, rtol=1e-6)


def test_that_an_image_that_is_not_a_stack_is_refused(make_loaded, drive):
    with pytest.raises(InputError, match="must be a stack of images"):
        drive(clean, make_loaded(np.ones((256, 256))))
