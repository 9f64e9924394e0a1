"""FORCAST filters: camera, mean wavelength, allowed dates, and the image shift of old pointing models."""

from __future__ import annotations

from sofia_engine.errors import ParameterError
from sofia_engine.simulate.options import suggest

__all__ = ["filter_shift", "filter_wavelength", "list_filters", "normalise_filter"]

_WAVELENGTHS = {
    "F054": 5.356,
    "F056": 5.610,
    "F064": 6.348,
    "F066": 6.613,
    "F077": 7.702,
    "F086": 8.605,
    "F088": 8.803,
    "F111": 11.089,
    "F112": 11.237,
    "F113": 11.343,
    "F118": 11.730,
    "F197": 19.699,
    "F242": 24.920,
    "F253": 25.241,
    "F254": 25.409,
    "F315": 31.397,
    "F336": 33.430,
    "F348": 34.677,
    "F371": 37.124,
}
_SHORT_SINCE_2016 = ["F054", "F056", "F064", "F066", "F077", "F088", "F111", "F112", "F197", "F253"]
_LONG_SINCE_2014 = ["F086", "F113", "F118", "F242", "F315", "F336", "F348", "F371"]
_ALLOWED = (
    (
        20131231,
        {
            "SW": ["F064", "F066", "F077", "F111", "F113", "F197", "F242", "F253"],
            "LW": ["F118", "F254", "F315", "F336", "F348", "F371"],
        },
    ),
    (20151231, {"SW": ["F054", "F064", "F066", "F077", "F111", "F197", "F253"], "LW": _LONG_SINCE_2014}),
    (
        99999999,
        {
            "SW": ["F054", "F056", "F064", "F066", "F077", "F088", "F111", "F112", "F197", "F253"],
            "LW": _LONG_SINCE_2014,
        },
    ),
)
_SHIFT_END = 20150708
_SINGLE_SHIFT = {
    "F054": (1.70, 2.07),
    "F064": (1.38, 4.26),
    "F066": (2.13, 3.32),
    "F077": (1.08, 0.92),
    "F086": (-0.66, 3.45),
    "F113": (1.29, 4.78),
    "F118": (-0.26, 4.17),
    "F197": (4.99, 2.36),
    "F242": (0.70, 4.07),
    "F253": (0.92, 2.28),
    "F315": (-0.79, 4.20),
    "F336": (0.81, 4.34),
    "F348": (0.70, 4.21),
    "F371": (0.98, 3.56),
}
_DUAL_SHIFT = {
    "F064": (2.11, 4.73),
    "F066": (2.57, 3.43),
    "F077": (1.68, 1.35),
    "F111": (0.85, 0.55),
    "F197": (5.47, 2.29),
    "F253": (1.66, 2.73),
    "F315": (-6.43, 0.95),
    "F336": (-4.94, 1.10),
    "F348": (-5.11, 0.81),
    "F371": (-4.66, 0.34),
}


def list_filters(camera: str, date: int) -> list[str]:
    """
    List the filters of a camera.

    Parameters
    ----------
    camera
        ``SW`` or ``LW``.
    date
        YYYYMMDD; the filters were changed between flight series.

    Returns
    -------
    list of str
        Names such as ``FOR_F197``.
    """
    allowed = next(cameras for until, cameras in _ALLOWED if date <= until)[camera]
    return [f"FOR_{name}" for name in allowed]


def normalise_filter(name: str, camera: str, date: int) -> str:
    """
    Check the name of a filter.

    Parameters
    ----------
    name
        ``FOR_F197`` or ``F197``.
    camera
        ``SW`` or ``LW``.
    date
        YYYYMMDD.

    Returns
    -------
    str
        The name with the prefix ``FOR_``.

    Raises
    ------
    ParameterError
        If the camera had no such filter.
    """
    spectel = f"FOR_{str(name).upper().removeprefix('FOR_')}"
    allowed = list_filters(camera, date)
    if spectel not in allowed:
        raise ParameterError(f"Filter {name!r} is not in the {camera} camera at this date{suggest(spectel, allowed)}.")
    return spectel


def filter_wavelength(spectel: str) -> float:
    """Give the mean wavelength of a filter such as ``FOR_F197``, micrometres."""
    return _WAVELENGTHS[spectel.removeprefix("FOR_")]


def filter_shift(spectel: str, date: int, *, dual: bool) -> tuple[float, float]:
    """
    Give what must be added to the reference pixel of raw files of a filter to make their sky positions right.

    Parameters
    ----------
    spectel
        Filter such as ``FOR_F197``.
    date
        YYYYMMDD; from 2015-07-08 on raw files contain the shift.
    dual
        Whether both cameras observe at once.

    Returns
    -------
    tuple of float
        Shift in x and y, pixels.
    """
    if date >= _SHIFT_END:
        return 0.0, 0.0
    return (_DUAL_SHIFT if dual else _SINGLE_SHIFT).get(spectel.removeprefix("FOR_"), (0.0, 0.0))
