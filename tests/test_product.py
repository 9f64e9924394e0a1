"""Product: a value that FITS files hold without loss."""

import errno
import os
import resource
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sofia_engine.errors import InputError
from sofia_engine.header.cards import freeze, is_structural, is_wcs, round_as_stored, same_cards
from sofia_engine.product import Plane, Product, Table, write_atomically

REAL = sorted((Path(__file__).resolve().parents[1] / "../shared/data/real").glob("*.fits*"))
DTYPES = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


@pytest.fixture
def product():
    header = fits.Header([("OBJECT", "M 42", "target"), ("CRVAL1", 83.8, "deg"), ("CTYPE1", "RA---TAN", "")])
    flux = np.arange(12.0).reshape(3, 4)
    return Product.of(header, {"FLUX": flux, "ERROR": np.sqrt(flux)}, {"FLUX": "Jy", "ERROR": "Jy"})


# --- strategies ---

keywords = st.from_regex(r"[A-Z][A-Z0-9_-]{0,7}", fullmatch=True).filter(
    lambda k: (
        not is_structural(k)
        and not is_wcs(k)
        and k
        not in (
            "END",
            "COMMENT",
            "HISTORY",
            "CONTINUE",
            "EXTNAME",
            "BUNIT",
            "EXTVER",
            "EXTLEVEL",
            "HIERARCH",
            "XTENSION",
        )
    )
)
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=150).map(str.rstrip)
values = (
    st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False, width=32).map(float)
    | printable
)
# astropy reads a quote in the comment of an empty text as part of the text
comments = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="'"), max_size=20).map(
    str.strip
)
history = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=160)


@st.composite
def headers(draw):
    header = fits.Header()
    for keyword in draw(st.lists(keywords, unique=True, max_size=8)):
        value = draw(values)
        short = isinstance(value, str) and len(value) > 40
        header[keyword] = (value, "" if short else draw(comments))
    for line in draw(st.lists(history, max_size=3)):
        header.add_history(line)
    for line in draw(st.lists(history, max_size=2)):
        header.add_comment(line)
    round_as_stored(header)
    return header


@st.composite
def planes(draw):
    dtype = draw(st.sampled_from(DTYPES)) if draw(st.booleans()) else draw(st.sampled_from(("f4", "f8")))
    order = draw(st.sampled_from("<>")) if dtype[-1] != "1" else "|"
    shape = draw(arrays.array_shapes(min_dims=1, max_dims=4, max_side=4))
    data = draw(arrays.arrays(np.dtype(order + dtype), shape))
    return Plane.of(data, draw(st.sampled_from(["", "Jy", "ct/s", "erg/s/cm^2/um"])))


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 4))
    columns = [
        fits.Column("NUMBER", "J", array=draw(arrays.arrays("i4", rows))),
        fits.Column("VECTOR", "3D", unit="um", array=draw(arrays.arrays("f8", (rows, 3)))),
        fits.Column("CUBE", "4E", dim="(2,2)", array=draw(arrays.arrays("f4", (rows, 2, 2)))),
        fits.Column("WORD", "5A", array=np.array(["abc", "de", "", "x y"][:rows], dtype="U5")),
        fits.Column("SWITCH", "L", array=draw(arrays.arrays(bool, rows))),
    ]
    chosen = draw(st.lists(st.sampled_from(columns), min_size=1, unique_by=lambda c: c.name))
    return Table.of(fits.BinTableHDU.from_columns(chosen, draw(headers()), name="LIST"))


@st.composite
def products(draw):
    names = draw(st.lists(st.sampled_from(["FLUX", "ERROR", "EXPOSURE", "MASK", "WAVEPOS"]), unique=True))
    extensions = {name: draw(planes()) for name in names}
    product = Product.of(draw(headers()), extensions)
    if draw(st.booleans()):
        product = product.replace(LIST=draw(tables()))
    return product


class TestRoundTrip:
    @given(product=products(), suffix=st.sampled_from([".fits", ".fits.gz"]))
    @settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_that_any_product_is_read_as_it_was_written(self, tmp_path_factory, product, suffix):
        path = tmp_path_factory.getbasetemp() / f"round{suffix}"
        product.write(path)
        again = Product.read(path, layout="extensions")
        assert again.same(product)
        assert product.same(again)
        again.write(path)
        assert Product.read(path, layout="extensions").same(again)

    @given(header=headers())
    @settings(max_examples=80, deadline=None)
    def test_that_comments_of_cards_survive(self, tmp_path_factory, header):
        path = tmp_path_factory.getbasetemp() / "comments.fits"
        product = Product.of(header, {"FLUX": np.zeros(2, "f4")})
        read = Product.read(product.write(path), layout="extensions").header
        assert [read.comments[k] for k in header if k] == [header.comments[k] for k in header if k]

    def test_that_long_text_is_continued_over_several_cards(self, product, tmp_path):
        text = "'quotes' and " * 20
        path = product.with_cards(("LONGTEXT", text.strip(), "a comment")).write(tmp_path / "a.fits")
        assert b"CONTINUE" in path.read_bytes()
        assert Product.read(path).header["LONGTEXT"] == text.strip()

    def test_that_extensions_of_the_same_name_are_told_apart_and_written_with_their_name(self, tmp_path):
        images = [fits.ImageHDU(np.full((2, 2), n, "f4"), name="ORDER") for n in range(3)]
        fits.HDUList([fits.PrimaryHDU(), *images]).writeto(tmp_path / "a.fits")
        product = Product.read(tmp_path / "a.fits")
        assert list(product.planes) == ["ORDER", "ORDER#2", "ORDER#3"]
        product.write(tmp_path / "b.fits")
        with fits.open(tmp_path / "b.fits") as hdus:
            assert [hdu.name for hdu in hdus] == ["PRIMARY", "ORDER", "ORDER", "ORDER"]
        assert Product.read(tmp_path / "b.fits").same(product)

    def test_that_an_empty_primary_stays_empty(self, tmp_path):
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((2, 2)), name="FLUX")]).writeto(tmp_path / "a.fits")
        product = Product.read(tmp_path / "a.fits")
        assert product.empty_primary
        product.write(tmp_path / "b.fits")
        assert fits.getheader(tmp_path / "b.fits", 0)["NAXIS"] == 0
        assert Product.read(tmp_path / "b.fits").same(product)

    def test_that_extensions_without_a_name_get_none_in_the_file(self, tmp_path):
        fits.HDUList([fits.PrimaryHDU(np.ones(3)), fits.ImageHDU(np.ones(2))]).writeto(tmp_path / "a.fits")
        Product.read(tmp_path / "a.fits").write(tmp_path / "b.fits")
        assert "EXTNAME" not in fits.getheader(tmp_path / "b.fits", 0)
        assert "EXTNAME" not in fits.getheader(tmp_path / "b.fits", 1)

    def test_that_names_in_small_letters_stay_in_the_file(self, tmp_path):
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones(2), name="x")]).writeto(tmp_path / "a.fits")
        with fits.open(tmp_path / "a.fits", mode="update") as hdus:
            hdus[1].header["EXTNAME"] = "flux"
        product = Product.read(tmp_path / "a.fits")
        (name,) = product.planes
        product.write(tmp_path / "b.fits")
        assert fits.getheader(tmp_path / "b.fits", 1)["EXTNAME"] == name == "flux"

    def test_that_integers_with_blank_values_and_scale_become_numbers_with_nan(self, tmp_path):
        hdu = fits.PrimaryHDU(np.array([1, 2, -999], "i2"))
        hdu.header["BLANK"] = -999
        hdu.header["BSCALE"] = 0.5
        hdu.writeto(tmp_path / "a.fits")
        product = Product.read(tmp_path / "a.fits")
        np.testing.assert_array_equal(product["PRIMARY"], [0.5, 1.0, np.nan])
        assert Product.read(product.write(tmp_path / "b.fits")).same(product)

    def test_that_tables_with_columns_of_variable_length_survive(self, tmp_path):
        rows = np.array([np.arange(3.0), np.arange(5.0)], dtype=object)
        table = fits.BinTableHDU.from_columns([fits.Column("V", "PD()", array=rows)], name="VAR")
        product = Product.of(fits.Header(), {"FLUX": np.zeros(2)}).replace(VAR=Table.of(table))
        again = Product.read(product.write(tmp_path / "a.fits"))
        assert [list(row) for row in again.tables["VAR"].data["V"]] == [list(row) for row in rows]
        assert again.same(product)

    def test_that_text_tables_stay_text_tables(self, tmp_path):
        table = fits.TableHDU.from_columns([fits.Column("A", "F8.3", array=np.array([1.5, 2.25]))], name="TXT")
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "a.fits")
        product = Product.read(tmp_path / "a.fits")
        product.write(tmp_path / "b.fits")
        assert fits.getheader(tmp_path / "b.fits", 1)["XTENSION"].strip() == "TABLE"
        assert Product.read(tmp_path / "b.fits").same(product)

    def test_that_arrays_of_big_endian_files_are_native_and_in_order_of_rows(self, product, tmp_path):
        read = Product.read(product.write(tmp_path / "a.fits"))
        for plane in read.planes.values():
            assert plane.data.dtype.isnative
            assert plane.data.flags.c_contiguous

    def test_that_planes_share_the_world_coordinates_of_the_header(self, product, tmp_path):
        product.write(tmp_path / "a.fits")
        assert fits.getheader(tmp_path / "a.fits", "ERROR")["CRVAL1"] == 83.8
        moved = Product.read(tmp_path / "a.fits").with_cards(("CRVAL1", 84.0, ""))
        moved.write(tmp_path / "b.fits")
        assert fits.getheader(tmp_path / "b.fits", "ERROR")["CRVAL1"] == 84.0

    def test_that_units_and_names_stand_in_the_header_of_the_product_itself(self, product):
        assert product.header["BUNIT"] == "Jy"
        assert product.header["EXTNAME"] == "FLUX"
        assert product.replace(units={"FLUX": "ct"}).header["BUNIT"] == "ct"

    def test_that_a_bool_plane_is_written_as_bytes(self, tmp_path):
        product = Product.of(fits.Header(), {"MASK": np.array([True, False])})
        np.testing.assert_array_equal(Product.read(product.write(tmp_path / "a.fits"))["MASK"], [1, 0])

    @pytest.mark.parametrize("dtype", ["c8", "O", "U3", "f2", "M8[s]"])
    def test_that_arrays_fits_cannot_hold_are_refused(self, dtype):
        with pytest.raises(InputError, match="numbers that FITS can hold"):
            Plane.of(np.zeros(2, dtype))


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="no published products at hand")
@pytest.mark.parametrize("path", REAL, ids=lambda p: p.name)
class TestPublishedProducts:
    def test_that_data_and_cards_are_read_bit_for_bit_and_written_so(self, path, tmp_path):
        product = Product.read(path, layout="extensions")
        written = product.write(tmp_path / "again.fits")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path) as old, fits.open(written) as new:
                assert len(old) == len(new)
                for mine, other in zip(old, new, strict=True):
                    assert same_cards(mine.header, other.header)
                    assert (mine.data is None) == (other.data is None)
                    if mine.data is not None:
                        assert np.asarray(mine.data).tobytes() == np.asarray(other.data).tobytes()
        assert Product.read(written, layout="extensions").same(product)

    def test_that_the_named_planes_survive_writing(self, path, tmp_path):
        product = Product.read(path)
        assert Product.read(product.write(tmp_path / "again.fits")).same(product)


class TestImmutability:
    def test_that_arrays_refuse_to_be_changed(self, product, tmp_path):
        for item in (product, Product.read(product.write(tmp_path / "a.fits"))):
            with pytest.raises(ValueError, match="read-only"):
                item["FLUX"][0, 0] = 1

    def test_that_rows_of_tables_refuse_to_be_changed(self):
        table = Table.of(fits.BinTableHDU.from_columns([fits.Column("A", "D", array=np.arange(3.0))]))
        with pytest.raises(ValueError, match="read-only"):
            table["A"][0] = 5
        with pytest.raises(InputError, match="no column B; it has A"):
            table["B"]

    @pytest.mark.parametrize(
        "change",
        [
            lambda h: h.__setitem__("OBJECT", "X"),
            lambda h: h.__delitem__("OBJECT"),
            lambda h: h.set("OBJECT", "X"),
            lambda h: h.append(("A", 1)),
            lambda h: h.extend([("A", 1)]),
            lambda h: h.insert(0, ("A", 1)),
            lambda h: h.update({"A": 1}),
            lambda h: h.remove("OBJECT"),
            lambda h: h.pop("OBJECT"),
            lambda h: h.popitem(),
            lambda h: h.clear(),
            lambda h: h.setdefault("A", 1),
            lambda h: h.strip(),
            lambda h: h.rename_keyword("OBJECT", "TARGET"),
            lambda h: h.add_history("x"),
            lambda h: h.add_comment("x"),
            lambda h: h.add_blank(),
            lambda h: h.comments.__setitem__("OBJECT", "other"),
        ],
    )
    def test_that_headers_refuse_every_change(self, product, change):
        before = product.header.tostring()
        with pytest.raises(TypeError, match="never changed in place"):
            change(product.header)
        assert product.header.tostring() == before

    def test_that_a_copy_of_a_header_can_be_changed_without_touching_the_product(self, product):
        header = product.header.copy()
        header["OBJECT"] = "X"
        header.add_history("changed")
        del header["CRVAL1"]
        assert product.header["OBJECT"] == "M 42"
        assert product.header["CRVAL1"] == 83.8
        assert "HISTORY" not in product.header

    def test_that_changes_of_the_given_header_do_not_reach_the_product(self):
        header = fits.Header([("OBJECT", "A", "")])
        product = Product.of(header, {"FLUX": np.zeros(2)})
        header["OBJECT"] = "B"
        assert product.header["OBJECT"] == "A"

    def test_that_replace_shares_what_did_not_change(self, product):
        other = product.replace(FLUX=product["FLUX"] + 1)
        assert np.shares_memory(other["ERROR"], product["ERROR"])
        assert other.header is product.header
        assert not np.shares_memory(other["FLUX"], product["FLUX"])

    def test_that_mappings_of_planes_refuse_to_be_changed(self, product):
        with pytest.raises(TypeError):
            product.extensions["FLUX"] = None
        with pytest.raises(TypeError):
            product.planes["FLUX"] = None

    def test_that_writing_leaves_the_product_as_it_was(self, product, tmp_path):
        cards = product.header.tostring()
        product.write(tmp_path / "a.fits")
        assert product.header.tostring() == cards

    @given(header=headers())
    @settings(max_examples=50, deadline=None)
    def test_that_the_fast_copy_of_a_header_equals_the_slow_one(self, header):
        frozen = freeze(header)
        assert frozen.tostring() == header.tostring()
        copied = frozen.copy()
        copied["NEWKEY"] = 1
        slow = header.copy()
        slow["NEWKEY"] = 1
        assert copied.tostring() == slow.tostring()
        assert "NEWKEY" not in frozen


class TestCards:
    def test_that_with_cards_keeps_comments_when_none_is_given(self, product):
        assert product.with_cards(("OBJECT", "M 43", "")).header.comments["OBJECT"] == "target"

    def test_that_texts_may_hold_accents(self, product, tmp_path):
        path = product.with_cards(("PINFILE", "/data/Büro/pins.txt", "")).write(tmp_path / "a.fits")
        assert Product.read(path).header["PINFILE"] == "/data/B?ro/pins.txt"

    def test_that_long_lines_of_history_are_broken_between_words(self, product):
        words = [f"number-{n}" for n in range(30)]
        lines = list(product.with_cards(history=["short", " ".join(words)]).header["HISTORY"])
        assert lines[0] == "short"
        assert all(len(line) <= 72 for line in lines)
        assert " ".join(lines[1:]).split() == words

    def test_that_history_may_hold_accents_and_line_breaks(self, product, tmp_path):
        changed = product.with_cards(history=["5 µm: naïve\nfit"])
        assert list(changed.header["HISTORY"]) == ["5 ?m: na?ve fit"]
        changed.write(tmp_path / "a.fits")

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_that_rounded_numbers_are_those_a_file_holds(self, number):
        header = fits.Header([("CDELT1", number, "")])
        round_as_stored(header)
        assert fits.Header.fromstring(header.tostring())["CDELT1"] == header["CDELT1"]

    def test_that_numbers_set_by_with_cards_are_those_a_file_holds(self, product, tmp_path):
        made = product.with_cards(("CDELT1", -1 / 3600 / 7, "deg"))
        assert len(str(-1 / 3600 / 7)) > 20
        assert Product.read(made.write(tmp_path / "a.fits")).header["CDELT1"] == made.header["CDELT1"]

    def test_that_a_missing_plane_is_named_with_those_there_are(self, product):
        with pytest.raises(InputError, match="no plane EXPOSURE; the file holds FLUX, ERROR"):
            product["EXPOSURE"]


def _broken(tmp_path: Path, kind: str, product: Product) -> Path:
    whole = product.write(tmp_path / "whole.fits").read_bytes()
    path = tmp_path / "broken.fits"
    if kind == "missing":
        return path
    if kind == "folder":
        path.mkdir()
        return path
    path.write_bytes(
        {"empty": b"", "text": b"not a FITS file at all", "zeros": bytes(8000), "noise": whole[::-1]}[kind]
    )
    return path


class TestBadFiles:
    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            ("missing", "there is no such file"),
            ("folder", "is a folder"),
            ("empty", "the file is empty"),
            ("text", "not a FITS file"),
            ("zeros", "not a FITS file"),
            ("noise", "not a FITS file"),
        ],
    )
    def test_that_it_is_refused_in_one_sentence_that_names_it(self, product, tmp_path, kind, reason):
        path = _broken(tmp_path, kind, product)
        with pytest.raises(InputError, match=reason) as caught:
            Product.read(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
    def test_that_a_truncated_file_is_refused_wherever_it_ends(self, product, tmp_path, suffix):
        whole = product.write(tmp_path / f"whole{suffix}").read_bytes()
        ends = {*range(1, len(whole), max(len(whole) // 60, 1)), len(whole) - 1, 80, 2879, 2880, 2881}
        boundaries = {2880 * 2} if suffix == ".fits" else set()  # a file of one HDU is a whole file
        for end in sorted(e for e in ends if e < len(whole)):
            path = tmp_path / f"cut{suffix}"
            path.write_bytes(whole[:end])
            if end in boundaries:
                continue
            with pytest.raises(InputError) as caught:
                Product.read(path)
            assert str(path) in str(caught.value)

    def test_that_a_file_that_may_not_be_read_is_refused(self, product, tmp_path, monkeypatch):
        path = product.write(tmp_path / "a.fits")

        def refuse(*_args, **_kwargs):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr(fits, "open", refuse)
        with pytest.raises(InputError, match="permission denied"):
            Product.read(path)

    def test_that_reading_in_threads_leaves_the_warning_filters_alone(self, product, tmp_path):
        path = product.write(tmp_path / "a.fits")
        before = list(warnings.filters)
        threads = [threading.Thread(target=lambda: [Product.read(path) for _ in range(20)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert list(warnings.filters) == before


class TestAtomicWriting:
    @pytest.mark.parametrize("when", ["first", "half", "rename"])
    def test_that_a_full_disk_leaves_neither_file_nor_rest(self, product, tmp_path, monkeypatch, when):
        def fill(stream):
            if when != "first":
                stream.write(b"half of it")
            if when != "rename":
                raise OSError(errno.ENOSPC, "No space left on device")

        if when == "rename":
            monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space")))
        with pytest.raises(OSError, match="No space"):
            write_atomically(tmp_path / "a.fits", fill)
        assert list(tmp_path.iterdir()) == []

    def test_that_a_failed_write_leaves_the_old_file(self, product, tmp_path, monkeypatch):
        path = product.write(tmp_path / "a.fits")
        before = path.read_bytes()

        def fail(_product, stream):
            stream.write(b"SIMPLE")
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(Product, "_write_to", fail)
        with pytest.raises(OSError, match="full"):
            product.write(path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
    @pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
    def test_that_a_limit_of_the_operating_system_leaves_nothing(self, tmp_path, suffix):
        program = f"""
import resource, sys
import numpy as np
from astropy.io import fits
from sofia_engine.product import Product
product = Product.of(fits.Header(), {{"FLUX": np.random.default_rng(1).normal(size=(300, 300))}})
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
try:
    product.write(r"{tmp_path / f"a{suffix}"}")
except OSError as error:
    print("refused:", error)
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert done.stdout.startswith("refused:"), done.stderr
        assert list(tmp_path.iterdir()) == []

    def test_that_written_files_have_the_permissions_of_the_user(self, product, tmp_path):
        mask = os.umask(0o027)
        try:
            path = product.write(tmp_path / "a.fits")
        finally:
            os.umask(mask)
        if sys.platform != "win32":
            assert path.stat().st_mode & 0o777 == 0o640

    def test_that_compressed_files_are_the_same_each_time(self, product, tmp_path):
        first = product.write(tmp_path / "a.fits.gz").read_bytes()
        assert product.write(tmp_path / "b.fits.gz").read_bytes() == first


def test_that_memory_for_a_copied_header_is_all_that_with_cards_needs(product):
    big = product.replace(FLUX=np.zeros((2000, 2000)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    many = [big.with_cards(("N", n, "")) for n in range(50)]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert len(many) == 50
    assert grown < 30_000  # kB; 50 copies of the plane would be 1.6 GB
