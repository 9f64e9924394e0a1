"""The errors a user can cause or cure; each message is one sentence that says what, where, and what to do."""

from __future__ import annotations

__all__ = [
    "CancelledError",
    "HeaderError",
    "InputError",
    "NotEnoughMemoryError",
    "ParameterError",
    "ReferenceDataError",
    "SessionError",
    "SofiaDeskError",
    "StepError",
]


class SofiaDeskError(Exception):
    """Base of all errors that are shown to the user as one sentence, without a traceback."""


class InputError(SofiaDeskError):
    """A file or an array cannot be used: not FITS, truncated, wrong shape, wrong instrument, empty."""


class HeaderError(InputError):
    """A header keyword is missing or has a value that cannot be used."""


class ParameterError(SofiaDeskError):
    """A parameter is unknown, or its value is not allowed."""


class ReferenceDataError(SofiaDeskError):
    """A reference (calibration) file is missing, unreadable, or has the wrong content."""


class StepError(SofiaDeskError):
    """A step cannot do its work on otherwise valid data (nothing found, fit did not converge)."""


class NotEnoughMemoryError(StepError):
    """A step would need more memory than there is; it was not begun."""


class SessionError(SofiaDeskError):
    """A session folder cannot be written, read, or does not hold what is asked."""


class CancelledError(SofiaDeskError):
    """The user asked to stop."""
