"""Provenance: a product tells how it was made, well enough to make it again."""

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import InputError
from sofia_engine.pipeline.provenance import provenance_lines, read_provenance
from sofia_engine.product import Product

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_that_any_provenance_survives_a_header(provenance):
    header = fits.Header()
    header.add_history("before")
    for line in provenance_lines(provenance):
        assert len(line) <= 72
        header.add_history(line)
    header.add_history("after")
    assert read_provenance(fits.Header.fromstring(header.tostring())) == provenance


def test_that_the_latest_of_several_is_read():
    header = fits.Header()
    for number in range(3):
        for line in ("a step", *provenance_lines({"number": number, "filling": list(range(200))})):
            header.add_history(line)
    assert read_provenance(header)["number"] == 2


def test_that_a_product_can_be_made_again_from_what_it_says(reduction, open_reduction, tmp_path):
    reduction.set("add", amount=0.1 + 0.2)
    reduction.set("combine", weight=2)
    reduction.reduce()
    product = Product.read(tmp_path / "output" / "BENCH_FIN_0001-0003.fits")
    told = read_provenance(product.header)
    assert told["recipe"] == "bench"
    assert [step["step"] for step in told["steps"]] == ["check", "add", "scale", "pair", "combine", "finish"]
    again = open_reduction([record["path"] for record in told["inputs"]])
    for step in told["steps"]:
        again.set(step["step"], **step["parameters"])
    again.reduce()
    assert again.current.key == reduction.current.key
    assert again.products[0]["FLUX"].tobytes() == np.asarray(product["FLUX"]).tobytes()


def test_that_inputs_are_told_with_their_hashes(reduction, raw_files):
    import hashlib

    reduction.step()
    records = reduction.provenance()["inputs"]
    assert [r["sha256"] for r in records] == [hashlib.sha256(p.read_bytes()).hexdigest() for p in raw_files]


def test_that_a_product_without_provenance_is_named():
    with pytest.raises(InputError, match=r"a\.fits carries no provenance: it was not made by SOFIA Desk"):
        read_provenance(fits.Header(), "a.fits")


@pytest.mark.parametrize("damage", [lambda t: t[:-4], lambda t: t[:20] + "!!" + t[22:], lambda t: "AAAA" + t[4:]])
def test_that_a_damaged_provenance_is_one_sentence(damage):
    header = fits.Header()
    (line,) = provenance_lines({})
    header.add_history("Provenance: " + damage(line.removeprefix("Provenance: ")))
    with pytest.raises(InputError, match="is damaged") as caught:
        read_provenance(header, "a.fits")
    assert "\n" not in str(caught.value)
