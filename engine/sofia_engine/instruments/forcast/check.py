"""Check Headers: what the headers lack, said at once for all files; then the raw data are made ready."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from sofia_engine.errors import InputError
from sofia_engine.header.requirements import Violation, check_header
from sofia_engine.instruments.forcast.configuration import configure, find_requirements
from sofia_engine.instruments.forcast.loading import is_loaded, load_raw, needs_pairing, pair_nod_beams
from sofia_engine.instruments.forcast.mode import find_sky_mode, read_text
from sofia_engine.instruments.forcast.stacking import PLANES_NEEDED, find_rule
from sofia_engine.instruments.header_check import CheckParameters, leave_out_invalid
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = ["CheckParameters", "checkhead", "find_violations"]


_CUBE = 3
SAME_OBSERVATION = ("OBJECT", "OBSTYPE", "INSTCFG", "SKYMODE", "BORESITE", "DICHROIC")
"""Keywords in which the files of one observation agree."""


@step("checkhead", label="Check Headers")
def checkhead(images: Sequence[Product], p: CheckParameters, run: Run) -> tuple[Product, ...]:
    """Check the headers of the raw files against the requirements of their date, and load the data.

    Loading converts the counts to floating point, adds their errors and the keywords of processed data, corrects the
    pointing for the deflection by the filter in observations before 8 July 2015, and joins the nod beams of old C2NC2
    observations.
    """
    loaded = _load(leave_out_invalid(images, p, run, find_violations), run)
    _compare_observations(loaded, run)
    single_beams = [image for image in loaded if needs_pairing(image)]
    if not single_beams:
        return loaded
    pairs = pair_nod_beams(single_beams)
    run.log(f"Joined {len(single_beams)} files of one nod beam to {len(pairs)} pairs.")
    return (*pairs, *(image for image in loaded if not any(image is beam for beam in single_beams)))


def find_violations(image: Product) -> list[Violation]:
    """Return everything in the header of a raw file, or a later product, that the reduction cannot work with."""
    header = image.header
    shape = next(iter(image.planes.values())).shape if image.planes else ()
    sizes = dict(zip(("NAXIS1", "NAXIS2"), reversed(shape), strict=False))
    found = list(check_header(header, find_requirements(header), image.name, {**configure(header).values, **sizes}))
    if read_text(header, "OTMODE") == "SUR":
        found.append(Violation(image.name, "OTMODE", "is 'SUR': data sampled up the ramp cannot be reduced"))
    if isinstance(header.get("DATE-OBS"), str) and not _begins_with_day(header["DATE-OBS"]):
        found.append(Violation(image.name, "DATE-OBS", f"is {header['DATE-OBS']!r}, must begin with a day YYYY-MM-DD"))
    return [*found, *_check_planes(image, shape)]


def _check_planes(image: Product, shape: tuple[int, ...]) -> Iterator[Violation]:
    """Warn of planes that make no whole number of chop and nod cycles; without differences any number will do."""
    planes = shape[0] if len(shape) == _CUBE else 1
    mode = find_sky_mode(image.header, planes)
    rule = find_rule(mode)
    repeats = image.header.get("OTSTACKS", 1)
    group = PLANES_NEEDED[rule] if rule in ("map", "c2nc2", "nod") else 1
    group *= int(repeats) if isinstance(repeats, int | float) and repeats >= 1 else 1
    if planes and planes % group:
        lost = "too few to be subtracted" if planes < group else f"the last {planes % group} will not be used"
        yield Violation(image.name, "NAXIS3", f"is {planes}, {mode} needs a multiple of {group}: {lost}", "warning")


def _begins_with_day(text: str) -> bool:
    try:
        date.fromisoformat(text.strip()[:10])
    except ValueError:
        return False
    return True


def _load(images: Sequence[Product], run: Run) -> tuple[Product, ...]:
    """Return the files ready for the next steps; one that cannot be is set aside unless it is the last."""
    loaded: list[Product] = []
    failures: list[tuple[str, str]] = []
    for image in images:
        try:
            loaded.append(image if is_loaded(image) else run.release(_load_one(image, run)))
        except InputError as error:
            failures.append((image.name, str(error)))
    if not loaded:
        raise InputError("\n".join(reason for _, reason in failures))
    for name, reason in failures:
        run.set_aside(name, reason)
    return tuple(loaded)


def _load_one(image: Product, run: Run) -> Product:
    needed = [keyword for keyword in ("DETITIME", "FRMRATE") if keyword not in image.header]
    if needed:
        run.log(f"{image.name}: {' and '.join(needed)} missing, so the errors are not known.", "error")
    return load_raw(image)


def _compare_observations(images: Sequence[Product], run: Run) -> None:
    """Warn if files are of different targets or setups: they are reduced together all the same."""
    for keyword in SAME_OBSERVATION:
        values = sorted({read_text(image.header, keyword) for image in images})
        if len(values) > 1:
            run.warn(f"The files have different {keyword} ({', '.join(values)}), but are reduced together.")
