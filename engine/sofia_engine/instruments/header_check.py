"""What Check Headers does with every instrument's files: those that cannot be used are told and left out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from sofia_engine.errors import HeaderError
from sofia_engine.header.requirements import Violation, list_violations
from sofia_engine.pipeline.parameters import Parameters, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.product import Product

__all__ = ["CheckParameters", "leave_out_invalid"]


class CheckParameters(Parameters):
    """Parameters of Check Headers."""

    abort: bool = parameter(
        True,
        label="Abort reduction for invalid headers",
        help="Leave out files in which a keyword is missing or has a value that is not allowed, and stop if no file is "
        "left; otherwise only warn and use them all the same.",
    )


def leave_out_invalid(
    files: Sequence[Product], p: CheckParameters, run: Run, find_violations: Callable[[Product], list[Violation]]
) -> Sequence[Product]:
    """Return the files that may be used; say what is wrong with all others.

    Parameters
    ----------
    files : sequence of Product
        Files to look at.
    p : CheckParameters
        Whether invalid files are left out.
    run : Run
        Is told what is wrong.
    find_violations : callable
        Gives everything in the header of a file that the reduction of its instrument cannot work with.

    Raises
    ------
    HeaderError
        If no file is left.
    """
    found = [find_violations(file) for file in files]
    errors = [[violation for violation in violations if violation.severity == "error"] for violations in found]
    minor = [violation for violations in found for violation in violations if violation.severity == "warning"]
    if minor:
        run.warn(f"Headers that may make trouble later:\n{list_violations(minor)}")
    if not any(errors):
        return files
    table = f"Invalid headers:\n{list_violations(itertools.chain(*errors))}"
    if not p.abort:
        run.warn(table)
        return files
    if all(errors):
        raise HeaderError(f"{table}\nCorrect the files, or go on at your own risk with checkhead.abort = False.")
    for file, violations in zip(files, errors, strict=True):
        if violations:
            problems = "; ".join(f"{violation.keyword} {violation.problem}" for violation in violations)
            run.set_aside(file.name, f"its header is invalid: {problems}")
    return [file for file, violations in zip(files, errors, strict=True) if not violations]
