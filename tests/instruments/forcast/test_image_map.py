"""Make Image Map: name, title and beam of the picture; the data pass on unchanged."""

import io

import numpy as np
import pytest
from PIL import Image

from sofia_engine.errors import InputError
from sofia_engine.instruments.forcast.image_map import imgmap


@pytest.fixture
def image(make_stacked, draw_stars):
    return make_stacked(draw_stars((60, 70), (30.0, 30.0, 10.0)) + 0.1, FILENAME="F0501_FO_IMA_X_FORF197_CAL_0001.fits")


def test_that_a_picture_with_the_name_of_the_image_is_made_and_the_image_passed_on(drive, image):
    passed, run = drive(imgmap, image)
    assert passed is image
    (attachment,) = run.attachments
    assert attachment.name == "F0501_FO_IMA_X_FORF197_CAL_0001.png"
    assert Image.open(io.BytesIO(attachment.content)).size == (2400, 2400)
    assert not run.warnings


def test_that_the_step_makes_no_products():
    assert not imgmap.makes_products
    assert (imgmap.key, imgmap.label) == ("imgmap", "Make Image Map")


def test_that_a_header_without_scale_gives_a_map_without_beam_and_a_warning(drive, image):
    header = image.header.copy()
    del header["CDELT1"]
    _, run = drive(imgmap, image.replace(header=header))
    assert len(run.attachments) == 1
    assert any("beam" in warning for warning in run.warnings)


def test_that_the_beam_of_the_header_has_precedence(drive, image):
    small, large = (drive(imgmap, image.with_cards(("BMAJ", s, ""), ("BMIN", s, "")))[1] for s in (5e-4, 3e-3))
    assert small.attachments[0].content != large.attachments[0].content


def test_that_an_empty_image_is_refused(drive, image):
    with pytest.raises(InputError, match="no finite pixel"):
        drive(imgmap, image.replace(FLUX=np.full((60, 70), np.nan)))
