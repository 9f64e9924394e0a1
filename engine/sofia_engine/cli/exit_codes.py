"""Exit codes of the command line."""

from __future__ import annotations

from sofia_engine.errors import CancelledError, InputError, ParameterError, ReferenceDataError, SofiaDeskError

__all__ = ["BAD_CONFIGURATION", "FAILED", "INTERRUPTED", "NO_INPUT", "OK", "SKIPPED", "exit_code_of"]

OK = 0
FAILED = 1
NO_INPUT = 2
BAD_CONFIGURATION = 3
SKIPPED = 4
INTERRUPTED = 130

_CODES: tuple[tuple[type[SofiaDeskError], int], ...] = (
    (CancelledError, INTERRUPTED),
    (InputError, NO_INPUT),
    (ParameterError, BAD_CONFIGURATION),
    (ReferenceDataError, BAD_CONFIGURATION),
)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code for an error that ended a command."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
