"""Collections of frames: order, locks, slices, difference and ratio."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_engine.product import Product
from sofia_viewers.image.display import DisplayState, LimitsRule
from sofia_viewers.image.frame import Frame, ImageFile
from sofia_viewers.image.frames import FrameEntry, FrameSet, combine_frames, frames_of, resample_image
from sofia_viewers.image.geometry import Affine
from sofia_viewers.image.loading import Request, load, measure_entry

from .conftest import SHAPE, STAR, make_header, make_product, make_star


def frame_of(rotation: float = 0.0, **planes: np.ndarray) -> Frame:
    return Frame.of(ImageFile.of(make_product(make_header(rotation), **planes)))


@pytest.fixture
def three() -> FrameSet:
    return FrameSet(tuple(FrameEntry(str(i), frame_of(20.0 * i)) for i in range(3)))


def test_that_stepping_goes_round(three):
    assert [three.stepped(n).entry.key for n in (0, 1, 3, -1)] == ["0", "1", "0", "2"]


def test_that_removing_a_frame_keeps_the_current_one(three):
    assert three.selected("2").without("0").entry.key == "2"
    assert three.selected("2").without("2").entry.key == "1"
    assert FrameSet().entry is None


def test_that_locked_limits_change_all_frames_and_others_only_the_current(three):
    display = DisplayState(limits=(1.0, 2.0))
    assert [e.display.limits for e in three.with_display(display).entries] == [(1, 2), (0, 1), (0, 1)]
    from dataclasses import replace

    locked = replace(three, lock_limits=True).with_display(display)
    assert all(e.display == display for e in locked.entries)


def test_that_placements_follow_the_lock(three):
    from dataclasses import replace

    wcs = three.placements()
    assert wcs["0"] == Affine()
    assert wcs["1"] != Affine()
    assert all(p == Affine() for p in replace(three, lock="image").placements().values())


def test_that_locked_cubes_step_by_number_or_by_wavelength():
    def cube(first: float) -> Frame:
        cards = {"CTYPE3": "WAVE", "CUNIT3": "um", "CRVAL3": first, "CDELT3": 1.0, "CRPIX3": 1.0}
        return Frame.of(ImageFile.of(Product.of(make_header(**cards), {"FLUX": np.ones((10, 4, 4))})))

    frames = FrameSet((FrameEntry("a", cube(50.0)), FrameEntry("b", cube(53.0))))
    for lock, expected in (("image", 7), ("wcs", 4), ("none", 5)):
        moved = frames.slice_of(frames.entries[0], 7, lock)
        assert [e.frame.slice_number for e in moved.entries] == [7, expected]


def test_that_the_difference_of_a_frame_with_itself_is_zero(star_frame):
    difference = combine_frames(star_frame, star_frame, "difference")
    assert np.all(difference.image == 0)
    assert difference.plane.unit == "Jy"


def test_that_the_ratio_has_no_unit_and_is_blank_where_it_is_infinite(star_frame):
    flux = make_star()
    flux[3, 3] = 0.0
    ratio = combine_frames(star_frame, frame_of(FLUX=flux), "ratio")
    assert ratio.plane.unit == ""
    assert np.isnan(ratio.image[3, 3])
    assert np.nanmedian(ratio.image) == pytest.approx(1.0, abs=0.01)


def test_that_a_turned_image_is_brought_to_the_grid_before_the_difference():
    first = frame_of(0.0, FLUX=make_star(noise=0.0))
    header = make_header(90.0)
    wcs = Frame.of(ImageFile.of(make_product(header))).wcs
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    px, py = first.wcs.world_to_pixel(wcs.pixel_to_world(x, y))
    turned = 3.0 + 100.0 * np.exp(-4 * np.log(2) * ((px - STAR[0]) ** 2 + (py - STAR[1]) ** 2) / 25.0)
    second = Frame.of(ImageFile.of(make_product(header, FLUX=turned)))
    difference = combine_frames(first, second, "difference").image
    assert np.nanmax(np.abs(difference)) < 1e-3
    assert 0.1 < np.isnan(difference).mean() < 0.5


def test_that_blank_pixels_stay_blank_when_resampled():
    flux = make_star()
    flux[40, 50] = np.nan
    header = make_header()
    header["CRPIX1"] += 0.5
    shifted = Frame.of(ImageFile.of(make_product(header, FLUX=flux)))
    assert np.isnan(resample_image(shifted, frame_of())[40, 49:51]).any()


def test_that_images_without_a_common_grid_are_refused():
    a, b = (Frame.of(ImageFile.of(Product.of(fits.Header(), {"FLUX": np.ones((n, 4))}))) for n in (4, 5))
    with pytest.raises(InputError, match="differ in size"):
        combine_frames(a, b, "difference")


@pytest.mark.parametrize(
    ("extension", "names"),
    [
        ("first", ["FLUX"]),
        ("all", ["FLUX", "ERROR", "EXPOSURE", "BADMASK"]),
        ("cube", ["ALL"]),
        ("S/N", ["S/N"]),
        ("2", ["EXPOSURE"]),
        ("exposure", ["EXPOSURE"]),
    ],
)
def test_that_the_extension_setting_chooses_the_frames(star_product, extension, names):
    frames, problems = frames_of([ImageFile.of(star_product)], extension)
    assert [frame.plane.name for frame in frames] == names
    assert problems == []


def test_that_a_file_that_cannot_be_opened_is_named_and_the_others_shown(write_image, tmp_path):
    bad = tmp_path / "bad.fits"
    bad.write_text("x")
    loaded = load(Request(paths=(bad, write_image())))
    assert len(loaded.entries) == 1
    assert "bad.fits" in loaded.problems[0]


def test_that_limits_set_by_hand_survive_data_of_the_same_kind_only(star_product):
    manual = DisplayState().with_limits(5.0, 9.0)
    old = measure_entry(FrameEntry("0", Frame.of(ImageFile.of(star_product)), manual))

    def limits(product: Product) -> tuple[float, float]:
        return load(Request(products=((product, "n"),), previous={"0": old})).entries[0].display.limits

    assert limits(make_product(FLUX=make_star(seed=5))) == (5.0, 9.0)
    other_unit = Product.of(make_header(BUNIT="ct"), {"FLUX": make_star()}, {"FLUX": "ct"})
    assert limits(other_unit) != (5.0, 9.0)


def test_that_a_rule_finds_new_limits_for_new_data(star_product):
    old = measure_entry(FrameEntry("0", Frame.of(ImageFile.of(star_product)), DisplayState(LimitsRule("minmax"))))
    request = Request(products=((make_product(FLUX=10 * make_star()), "n"),), previous={"0": old})
    assert load(request).entries[0].display.limits[1] > 5 * old.display.limits[1]
