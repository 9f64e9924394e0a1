"""Check Headers: what the headers lack, said at once for all files; then the raw data are made ready."""

from __future__ import annotations

from collections.abc import Sequence

from sofia_engine.errors import HeaderError
from sofia_engine.header.requirements import Violation, check_header, list_violations
from sofia_engine.instruments.forcast.configuration import configure, find_requirements
from sofia_engine.instruments.forcast.loading import is_loaded, load_raw, needs_pairing, pair_nod_beams
from sofia_engine.instruments.forcast.mode import read_text
from sofia_engine.pipeline.parameters import Parameters, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = ["CheckParameters", "checkhead", "find_violations"]


class CheckParameters(Parameters):
    """Parameters of Check Headers."""

    abort: bool = parameter(
        True,
        label="Abort reduction for invalid headers",
        help="Stop if a keyword is missing or has a value that is not allowed; otherwise only warn and go on.",
    )


@step("checkhead", label="Check Headers")
def checkhead(images: Sequence[Product], p: CheckParameters, run: Run) -> tuple[Product, ...]:
    """Check the headers of the raw files against the requirements of their date, and load the data.

    Loading converts the counts to floating point, adds their errors and the keywords of processed data, corrects the
    pointing for the deflection by the filter in observations before 8 July 2015, and joins the nod beams of old C2NC2
    observations.
    """
    violations = [violation for image in images for violation in find_violations(image)]
    _report(violations, p, run)
    loaded = tuple(image if is_loaded(image) else load_raw(image) for image in images)
    _report_unknown_errors(images, loaded, run)
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
    return found


def _report(violations: Sequence[Violation], p: CheckParameters, run: Run) -> None:
    errors = [violation for violation in violations if violation.severity == "error"]
    minor = [violation for violation in violations if violation.severity == "warning"]
    if minor:
        run.warn(f"Keywords that may be needed later:\n{list_violations(minor)}")
    if not errors:
        return
    if p.abort:
        raise HeaderError(
            f"Invalid headers:\n{list_violations(errors)}\n"
            "Correct the files, leave them out, or go on at your own risk with checkhead.abort = False."
        )
    run.warn(f"Invalid headers:\n{list_violations(errors)}")


def _report_unknown_errors(images: Sequence[Product], loaded: Sequence[Product], run: Run) -> None:
    for before, after in zip(images, loaded, strict=True):
        needed = [keyword for keyword in ("DETITIME", "FRMRATE") if keyword not in after.header]
        if before is not after and needed:
            run.log(f"{after.name}: {' and '.join(needed)} missing, so the errors are not known.", "error")
