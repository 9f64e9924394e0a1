from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import ReferenceDataError
from sofia_engine.reference import ReferenceRequest, ReferenceStore
from sofia_engine.simulate.distortion import Distortion, PinholeTable, fit_distortion, make_pinholes, read_pinholes

SYNTHETIC = fit_distortion(make_pinholes(), (127.0, 127.0))
ON_DETECTOR = st.floats(0, 255)


@given(ON_DETECTOR, ON_DETECTOR)
def test_that_pixel_to_offset_inverts_offset_to_pixel(x, y):
    offset, _ = SYNTHETIC.to_offset(np.array([x, y]))
    assert SYNTHETIC.to_pixel(offset) == pytest.approx([x, y], abs=1e-8)


@given(ON_DETECTOR, ON_DETECTOR)
def test_that_pixel_area_is_the_jacobian_of_the_map(x, y):
    step = 1e-3
    _, area = SYNTHETIC.to_offset(np.array([x, y]))
    right = SYNTHETIC.to_offset(np.array([x + step, y]))[0] - SYNTHETIC.to_offset(np.array([x - step, y]))[0]
    up = SYNTHETIC.to_offset(np.array([x, y + step]))[0] - SYNTHETIC.to_offset(np.array([x, y - step]))[0]
    assert area == pytest.approx((right[0] * up[1] - right[1] * up[0]) / (2 * step) ** 2, rel=1e-6)


def test_that_boresight_is_at_offset_zero():
    assert SYNTHETIC.to_pixel(np.zeros(2)) == pytest.approx([127.0, 127.0], abs=1e-9)


def test_that_synthetic_distortion_is_felt_and_fitted_to_a_tenth_of_a_pixel():
    corner, _ = SYNTHETIC.to_offset(np.array([240.0, 240.0]))
    linear = (240.0 - 127.0) * np.array(SYNTHETIC.scale)
    assert np.hypot(*(corner - linear)) / 0.768 > 0.5
    assert SYNTHETIC.residual < 0.1


def test_that_no_distortion_leaves_square_pixels():
    plain = Distortion(None, (0.768, 0.768), (127.0, 127.0))
    offset, area = plain.to_offset(np.array([[127.0, 128.0], [127.0, 125.0]]))
    assert offset == pytest.approx(np.array([[0, 0.768], [0, -1.536]]))
    assert area == pytest.approx(np.full(2, 0.768**2))


@pytest.mark.parametrize("angle", [0.0, 2.0, -1.5])
def test_that_turned_regular_grid_of_pinholes_has_no_distortion(angle):
    column, row = (index.ravel() for index in np.meshgrid(np.arange(11), np.arange(11), indexing="ij"))
    x, y = 20.0 * column - 100, 20.0 * row - 100
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    measured = np.stack([x * cosine + y * sine, -x * sine + y * cosine], axis=1) + 128.5
    distortion = fit_distortion(PinholeTable(np.stack([column, row], axis=1), measured), (127.0, 127.0))
    assert distortion.residual < 1e-9
    assert distortion.scale == pytest.approx((0.768, 0.768))
    offset, area = distortion.to_offset(np.array([227.0, 127.0]))
    assert offset == pytest.approx([76.8, 0], abs=1e-6)
    assert area == pytest.approx(0.768**2)


@pytest.mark.parametrize(
    ("date", "camera", "spacing"),
    [
        (20180901, "SWC", (20.53837, 21.66085)),
        (20200901, "SWC", (20.42719, 21.67925)),
        (20200901, "LWC", (20.51099, 21.56092)),
    ],
)
def test_that_pixel_scales_follow_from_published_pinhole_spacings(date, camera, spacing):
    request = ReferenceRequest("FORCAST", "pinhole_locations", date, {"mode": f"IMG_{camera}"})
    try:
        path = ReferenceStore(offline=True).get(request)
    except ReferenceDataError:
        pytest.skip("the published pinhole table is not on this computer")
    distortion = fit_distortion(read_pinholes(path), (127.0, 127.0))
    assert distortion.scale[0] / distortion.scale[1] == pytest.approx(spacing[1] / spacing[0], rel=1e-6)
    assert distortion.scale[0] * distortion.scale[1] == pytest.approx(0.768**2)


def test_that_unmeasured_pinholes_are_left_out(tmp_path):
    table = make_pinholes()
    rows = [f"{c} {r} {x} {y}" for (c, r), (x, y) in zip(table.grid, table.measured, strict=True)]
    path = tmp_path / "pinholes.txt"
    path.write_text("\n".join(["xid yid xpos ypos", *rows, "12 12 nan nan"]))
    assert np.array_equal(read_pinholes(path).measured, table.measured)


@pytest.mark.parametrize("content", ["", "xid yid xpos ypos\n1 2 3 4\n", "xid yid xpos ypos\na b c d\n"])
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_that_unusable_pinhole_table_is_named(tmp_path, content):
    path = tmp_path / "pinholes.txt"
    path.write_text(content)
    with pytest.raises(ReferenceDataError, match=r"pinholes\.txt"):
        read_pinholes(path)
