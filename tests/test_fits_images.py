"""Files of images that are written without astropy, compared with those that it writes."""

import io

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.fits_images import encode_images, encode_table
from sofia_engine.header.cards import freeze, header_text
from sofia_engine.product import Product

CARDS = [("OBJECT", "M 42", "target"), ("NUMBER", 1 / 3, "a number"), ("LONG", "x" * 100, "text"), ("FLAG", True)]


def encode_with_astropy(images):
    hdus = fits.HDUList(
        [(fits.ImageHDU if number else fits.PrimaryHDU)(data, cards) for number, (cards, data) in enumerate(images)]
    )
    stream = io.BytesIO()
    hdus.writeto(stream)
    return stream.getvalue()


def join(parts):
    return b"".join(bytes(memoryview(part).cast("B") if isinstance(part, np.ndarray) else part) for part in parts)


def make_cards():
    header = fits.Header(CARDS)
    header.add_history("made by hand")
    return header


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 400)])
def test_that_files_are_those_of_astropy(kind, shape):
    data = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    for images in (
        [(make_cards(), data)],
        [(make_cards(), None), (fits.Header([("EXTNAME", "ERROR")]), data)],
        [(make_cards(), data), (fits.Header(), data[::-1]), (make_cards(), data.astype("f8"))],
    ):
        assert join(encode_images(images)) == encode_with_astropy(images)
    assert data.dtype.isnative


def test_that_values_that_are_not_finite_are_stored():
    data = np.array([np.nan, np.inf, -np.inf, -0.0])
    stored = fits.getdata(io.BytesIO(join(encode_images([(fits.Header(), data)]))))
    assert np.array_equal(stored, data, equal_nan=True)
    assert np.signbit(stored[3])


@pytest.mark.parametrize("kind", ["uint16", "uint32", "uint64"])
def test_that_numbers_fits_has_to_shift_are_left_to_astropy(kind):
    data = np.arange(4, dtype=kind)
    assert encode_images([(fits.Header(), data)]) is None
    written = Product.of(fits.Header(), {"PRIMARY": data}).encode()
    assert np.array_equal(fits.getdata(io.BytesIO(written)), data)


def test_that_cards_nobody_has_checked_are_left_to_astropy():
    image = (fits.Header.fromstring("OBJECT  = 'M 42'".ljust(80)), np.ones(3))
    assert encode_images([image]) is None
    header_text(image[0])
    assert encode_images([image]) is not None


def test_that_a_card_that_is_not_fits_is_refused_as_astropy_does():
    damaged = fits.Header.fromstring("OBJECT  = M 42 \xb5".ljust(80))
    with pytest.raises(fits.VerifyError):
        Product.of(damaged, {"PRIMARY": np.ones(3)}).encode()


def test_that_products_with_tables_and_images_keep_their_order():
    table = fits.BinTableHDU.from_columns([fits.Column("A", "D", array=np.arange(3.0))], name="ROWS")
    product = Product.of(freeze(make_cards()), {"FLUX": np.ones((2, 2)), "ROWS": table_of(table), "ERROR": np.ones(2)})
    with fits.open(io.BytesIO(product.encode())) as hdus:
        assert [hdu.name for hdu in hdus] == ["FLUX", "ROWS", "ERROR"]


def test_that_files_of_tables_are_those_of_astropy():
    columns = [
        fits.Column("A", "3D", array=np.arange(6.0).reshape(2, 3), unit="Jy"),
        fits.Column("B", "10A", array=["a", "bc"]),
        fits.Column("C", "L", array=[True, False]),
        fits.Column("D", "I", array=[1, 2]),
    ]
    table = table_of(fits.BinTableHDU.from_columns(columns, name="ROWS"))
    assert list(table["C"]) == [True, False]  # read and converted: what is stored is still as it was
    stream = io.BytesIO()
    table.to_hdu().writeto(stream)
    assert join(encode_table(table.cards, table.data)) == stream.getvalue()


def test_that_tables_with_rows_of_varying_length_or_text_are_left_to_astropy():
    varying = fits.Column("A", "PD()", array=np.array([np.arange(2.0), np.arange(3.0)], dtype=object))
    table = table_of(fits.BinTableHDU.from_columns([varying], name="ROWS"))
    assert encode_table(table.cards, table.data) is None
    text = table_of(fits.TableHDU.from_columns([fits.Column("A", "I4", array=[1, 2])]))
    assert encode_table(text.cards, text.data) is None


def table_of(hdu):
    from sofia_engine.product import Table

    return Table.of(hdu)
