"""What the framework writes to the header of every product."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine._version import PIPELINE
from sofia_engine.pipeline.stamping import parameter_lines, stamp
from sofia_engine.product import Product


@pytest.fixture
def product():
    return Product.of(fits.Header([("PROCSTAT", "LEVEL_1"), ("FILENAME", "a.fits")]), {"FLUX": np.zeros(2)})


def test_that_a_product_carries_type_level_name_and_pipeline(bench, product):
    step = bench.steps[1]
    header = stamp(product, step, step.parameters(), history=[], name="b.fits").header
    assert (header["PRODTYPE"], header["PROCSTAT"], header["FILENAME"]) == ("added", "LEVEL_2", "b.fits")
    assert header["PIPELINE"] == PIPELINE
    assert header["DATE"].startswith("20")


def test_that_history_holds_step_parameters_and_what_the_step_said(bench, product):
    step = bench.steps[1]
    history = list(stamp(product, step, step.parameters(amount=2.5), history=["said"], name="b.fits").header["HISTORY"])
    assert history[:3] == ["said", "-- Pipeline step: Add Amount", "Parameters:"]
    assert "  addamount = 2.5" in history


def test_that_a_step_without_products_keeps_name_and_type(bench, product):
    step = bench.steps[0]
    header = stamp(product, step, step.parameters(), history=[]).header
    assert header["FILENAME"] == "a.fits"
    assert "PRODTYPE" not in header
    assert "-- Pipeline step: Check Inputs" in list(header["HISTORY"])


def test_that_the_highest_level_is_never_lowered(bench, product):
    step = bench.steps[1]
    mosaic = product.with_cards(("PROCSTAT", "LEVEL_4", ""))
    assert stamp(mosaic, step, step.parameters(), history=[], name="b.fits").header["PROCSTAT"] == "LEVEL_4"


def test_that_the_given_product_stays_as_it_is(bench, product):
    stamp(product, bench.steps[1], bench.steps[1].parameters(), history=["x"], name="b.fits")
    assert "HISTORY" not in product.header


def test_that_lists_are_written_with_commas():
    assert parameter_lines({"scale": [1.0, 2.0], "text": "a"}) == ["  scale = 1.0, 2.0", "  text = a"]


def test_that_text_fits_cannot_hold_does_not_stop_the_pipeline(bench, product, tmp_path):
    made = stamp(
        product, bench.steps[1], bench.steps[1].parameters(), history=["Größe\n2 µm", "x" * 300], name="b.fits"
    )
    history = list(Product.read(made.write(tmp_path / "b.fits")).header["HISTORY"])
    assert history[0] == "Gr??e 2 ?m"
    assert "".join(line.strip() for line in history[1:6]).startswith("x" * 300)
