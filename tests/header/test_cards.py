"""The text of headers, as sessions store it."""

from astropy.io import fits

from sofia_engine.header.cards import freeze, header_text


def test_that_the_text_is_that_of_the_library_whatever_was_done_to_the_header():
    header = fits.Header([("OBJECT", "M 42", "target"), ("LONG", "x" * 100), ("NUMBER", 1 / 3), ("FLAG", True)])
    header.add_history("made by hand")
    header = fits.Header.fromstring(header.tostring())
    for change in (lambda: None, lambda: header.set("NUMBER", 2.5), lambda: header.set("NEW", "x", "comment")):
        change()
        copied = freeze(header).copy()
        expected = header.tostring(padding=False)
        assert header_text(copied) == expected
        assert header_text(copied) == expected  # what was looked up is remembered
        assert fits.Header.fromstring(header_text(copied)).tostring() == header.tostring()
