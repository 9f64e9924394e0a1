"""Check Headers: what the headers lack, said at once for all files; then they are made complete."""

from collections.abc import Sequence
from datetime import datetime

from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_engine.header.cards import Card
from sofia_engine.header.requirements import Violation, check_header
from sofia_engine.instruments.fifi_ls.headers import complete_header, find_requirements
from sofia_engine.instruments.fifi_ls.mode import read_number, read_text
from sofia_engine.instruments.fifi_ls.raw import is_raw, read_channel_bit
from sofia_engine.instruments.header_check import CheckParameters, leave_out_invalid
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = ["CheckParameters", "checkhead", "find_violations"]

EPOCH = "1970-01-01"
"""Day that a glitch of the clock has written to some files."""


@step("checkhead", label="Check Headers")
def checkhead(files: Sequence[Product], p: CheckParameters, run: Run) -> tuple[Product, ...]:
    """Check the headers of the raw files against the requirements, and make them complete.

    All keywords that are wrong are told for all files at once. Missing keywords of processed data are added, and the
    channel is found from the first readout where the header does not say.
    """
    usable = leave_out_invalid(files, p, run, find_violations)
    return tuple(_complete(file, run) for file in usable)


def find_violations(file: Product) -> list[Violation]:
    """Return everything in the header of a raw file that the reduction cannot work with."""
    found = list(check_header(file.header, find_requirements(), file.name))
    date = str(file.header.get("DATE-OBS", "")).strip()
    if date and not _is_date(date):
        found.append(Violation(file.name, "DATE-OBS", f"is {date!r}, must be a date and time YYYY-MM-DDThh:mm:ss"))
    elif date.startswith(EPOCH):
        found.append(Violation(file.name, "DATE-OBS", f"is {date!r}: the clock of the instrument was not set"))
    if not is_raw(file):
        found.append(Violation(file.name, "FIFILS_RAWDATA", "is missing: the file holds no table of readouts"))
    return found


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _complete(file: Product, run: Run) -> Product:
    cards = complete_header(file.header)
    cards.append(("CHANNEL", _find_channel(file), "Detector channel"))
    cards += _find_filter(file.header, run)
    return file.with_cards(*cards)


def _find_channel(file: Product) -> str:
    channel = read_text(file.header, "CHANNEL")
    channel = {"1": "BLUE", "0": "RED"}.get(channel, channel)
    if channel in ("RED", "BLUE"):
        return channel
    try:
        return "RED" if read_channel_bit(file) == 0 else "BLUE"
    except InputError:
        return read_text(file.header, "DETCHAN")


def _find_filter(header: fits.Header, run: Run) -> list[Card]:
    """The card of the order-sorting filter, for headers that do not have it; before October 2019 none did."""
    order = read_number(header, "G_ORD_B")
    if read_number(header, "G_FLT_B") in (1, 2) or order is None:
        return []
    run.log(f"{header.get('FILENAME', '')}: G_FLT_B is missing; the filter is taken to be that of order {order:.0f}.")
    return [("G_FLT_B", int(order), "Order of the blue filter")]
