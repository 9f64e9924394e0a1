"""Check Headers: what the headers lack, said at once for all files; then they are made complete."""

from collections.abc import Sequence
from datetime import datetime

from astropy.io import fits

from sofia_engine.errors import HeaderError, InputError
from sofia_engine.header.cards import Card
from sofia_engine.header.requirements import Violation, check_header, list_violations
from sofia_engine.instruments.fifi_ls.headers import complete_header, find_requirements
from sofia_engine.instruments.fifi_ls.mode import read_number, read_text
from sofia_engine.instruments.fifi_ls.raw import is_raw, read_channel_bit
from sofia_engine.pipeline.parameters import Parameters, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = ["CheckParameters", "checkhead", "find_violations"]

EPOCH = "1970-01-01"
"""Day that a glitch of the clock has written to some files."""


class CheckParameters(Parameters):
    """Parameters of Check Headers."""

    abort: bool = parameter(
        True,
        label="Abort reduction for invalid headers",
        help="Leave out files in which a keyword is missing or has a value that is not allowed, and stop if no file is "
        "left; otherwise only warn and use them all the same.",
    )


@step("checkhead", label="Check Headers")
def checkhead(files: Sequence[Product], p: CheckParameters, run: Run) -> tuple[Product, ...]:
    """Check the headers of the raw files against the requirements, and make them complete.

    All keywords that are wrong are told for all files at once. Missing keywords of processed data are added, and the
    channel is found from the first readout where the header does not say.
    """
    usable = _leave_out_invalid(files, p, run)
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


def _leave_out_invalid(files: Sequence[Product], p: CheckParameters, run: Run) -> list[Product]:
    """Return the files that may be used; say what is wrong with all others."""
    found = [find_violations(file) for file in files]
    errors = [[violation for violation in violations if violation.severity == "error"] for violations in found]
    minor = [violation for violations in found for violation in violations if violation.severity == "warning"]
    if minor:
        run.warn(f"Keywords that may be needed later:\n{list_violations(minor)}")
    if any(errors):
        table = f"Invalid headers:\n{list_violations(violation for violations in errors for violation in violations)}"
        if not p.abort:
            run.warn(table)
            return list(files)
        if all(errors):
            raise HeaderError(f"{table}\nCorrect the files, or go on at your own risk with checkhead.abort = False.")
    for file, violations in zip(files, errors, strict=True):
        if violations:
            problems = "; ".join(f"{violation.keyword} {violation.problem}" for violation in violations)
            run.set_aside(file.name, f"its header is invalid: {problems}")
    return [file for file, violations in zip(files, errors, strict=True) if not violations]


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
