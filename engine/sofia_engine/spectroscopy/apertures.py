"""Apertures: where the sources are along the slit, how wide they are, and where the background is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from sofia_engine.errors import ParameterError, StepError
from sofia_engine.numerics.fitting import FWHM_TO_SIGMA
from sofia_engine.numerics.gaussian_rows import GaussianLimits, find_row_peaks, fit_gaussian_rows
from sofia_engine.numerics.statistics import clip_outliers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.header.cards import Card
    from sofia_engine.numerics.arrays import BoolArray, FloatArray

__all__ = [
    "Aperture",
    "ApertureSizes",
    "ApertureWishes",
    "find_apertures",
    "find_background_regions",
    "list_aperture_cards",
    "list_size_cards",
    "make_full_slit_aperture",
    "parse_lists",
    "parse_regions",
    "place_apertures",
    "set_radii",
    "slit_index",
    "space_apertures",
]

APERTURE_FACTOR, PSF_FACTOR = 0.7, 2.15
"""Aperture and PSF radius in units of the FWHM: inside 0.7 FWHM the signal-to-noise ratio of a Gaussian is nearly the
best, inside 2.15 FWHM lies all but 4e-7 of its flux."""

SHORTEST_REGION = 3

_Values = TypeVar("_Values")


@dataclass(frozen=True)
class Aperture:
    """One source along the slit.

    Attributes
    ----------
    position : float
        Arcsec.
    sign : int
        +1, or -1 for a negative image of the source.
    fwhm : float
        Full width at half maximum, arcsec.
    radius, psf_radius : float
        Half widths of the part that is extracted with weights and of the part that holds all flux, arcsec; NaN until
        they are set.
    """

    position: float
    sign: int = 1
    fwhm: float = 3.0
    radius: float = math.nan
    psf_radius: float = math.nan


def slit_index(slit: ArrayLike, position: ArrayLike) -> FloatArray:
    """Fractional row of slit positions: linear between rows and limited to the first and last one; NaN gives NaN."""
    points = np.asarray(slit, dtype=np.float64)
    rows: FloatArray = np.interp(np.asarray(position, dtype=np.float64), points, np.arange(points.size))
    return rows


def place_apertures(
    slit: ArrayLike, profile: ArrayLike, positions: Sequence[float], fwhm: float
) -> tuple[Aperture, ...]:
    """Apertures at given positions, with signs from the profile, in rising order."""
    values = np.asarray(profile, dtype=np.float64)
    rows = np.trunc(slit_index(slit, positions)).astype(np.intp)
    signs = np.where(values[rows] > 0, 1, -1)
    made = [Aperture(float(p), int(s), fwhm) for p, s in zip(positions, signs, strict=True)]
    return tuple(sorted(made, key=lambda aperture: aperture.position))


def space_apertures(slit: ArrayLike, profile: ArrayLike, count: int, fwhm: float) -> tuple[Aperture, ...]:
    """Apertures at equal distances along the slit; a single one lies at its centre."""
    points = np.asarray(slit, dtype=np.float64)
    rows = [round(k * points.size / (count + 1)) for k in range(1, count + 1)]
    return place_apertures(points, profile, [float(points[row]) for row in rows], fwhm)


def find_apertures(
    slit: ArrayLike, profile: ArrayLike, count: int, fwhm: float, guesses: Sequence[float] = ()
) -> tuple[Aperture, ...]:
    """Find the brightest sources of either sign in a spatial profile.

    Parameters
    ----------
    slit, profile : (ns,) array_like
        Positions, arcsec, and profile; NaN is missing.
    count : int
        Number of sources.
    fwhm : float
        Expected full width at half maximum, arcsec; where the search starts.
    guesses : sequence of float
        Positions near which to look first.

    Raises
    ------
    StepError
        If the profile has fewer than 5 good points, or no fit converges.
    """
    try:
        found = find_row_peaks(slit, profile, count, fwhm * FWHM_TO_SIGMA, guesses)
    except ValueError as error:
        raise StepError(f"No aperture can be located: {error}; give the aperture position.") from None
    if not found.converged[0]:
        raise StepError("No aperture can be located: the fit to the profile fails; give the aperture position.")
    widths = found.sigma[0] / FWHM_TO_SIGMA
    placed = {float(p): float(w) for p, w in zip(found.center[0], widths, strict=True)}
    return tuple(replace(aperture, fwhm=placed[aperture.position])
                 for aperture in place_apertures(slit, profile, list(placed), fwhm))  # fmt: skip


@dataclass(frozen=True)
class ApertureWishes:
    """What the user fixed; None for what is to be measured. Lists that are too short repeat their last value."""

    signs: Sequence[float] | None = None
    radii: Sequence[float] | None = None
    psf_radii: Sequence[float] | None = None
    refit: bool = True


@dataclass(frozen=True)
class ApertureSizes:
    """Apertures with radii, background regions (start, stop) in arcsec, and what had to be changed."""

    apertures: tuple[Aperture, ...]
    background: tuple[tuple[float, float], ...] = ()
    warnings: tuple[str, ...] = ()


def set_radii(
    slit: ArrayLike, profile: ArrayLike, apertures: Sequence[Aperture], wishes: ApertureWishes | None = None
) -> ApertureSizes:
    """Choose aperture and PSF radii and the background regions.

    Parameters
    ----------
    slit, profile : (ns,) array_like
        Positions, arcsec, and spatial profile.
    apertures : sequence of Aperture
        In rising order.
    wishes : ApertureWishes, optional
        What the user fixed.

    Returns
    -------
    ApertureSizes
        Radii are 0.7 and 2.15 times the fitted FWHM; PSF radii end at the ends of the slit and before the next one.

    Raises
    ------
    StepError
        If a PSF holds no pixel, or apertures overlap whatever is done.
    """
    wishes = wishes or ApertureWishes()
    points, values = np.asarray(slit, dtype=np.float64), np.asarray(profile, dtype=np.float64)
    level, noise = _measure_level(values)
    warnings: list[str] = []
    done: list[Aperture] = []
    for index, aperture in enumerate(apertures):
        others = [*apertures[:index], *apertures[index + 1 :]]
        wish = _Wish.of(wishes, index)
        sized = _size_aperture(_Profile(points, values - level), aperture, others, wish, warnings)
        sized = _limit_to_slit(points, sized, warnings)
        if done:
            done[-1], sized = _separate(points, done[-1], sized, warnings)
        done.append(sized)
    regions = find_background_regions(points, values, done, level, noise)
    return ApertureSizes(tuple(done), regions, tuple(warnings))


@dataclass(frozen=True, eq=False)
class _Profile:
    """Positions and values (ns) of a spatial profile without its level."""

    slit: FloatArray
    values: FloatArray


@dataclass(frozen=True)
class _Wish:
    """What the user fixed for one aperture."""

    sign: float | None
    radius: float | None
    psf_radius: float | None
    refit: bool

    @classmethod
    def of(cls, wishes: ApertureWishes, index: int) -> _Wish:
        sign, radius, psf_radius = (
            values[min(index, len(values) - 1)] if values else None
            for values in (wishes.signs, wishes.radii, wishes.psf_radii)
        )
        return cls(sign, radius, psf_radius, wishes.refit)


def _measure_level(profile: FloatArray) -> tuple[float, float]:
    """Median and standard deviation of the profile without its peaks (3-sigma clipped)."""
    kept = profile[clip_outliers(profile, 3.0)]
    return (float(np.median(kept)), float(np.std(kept))) if kept.size else (0.0, 0.0)


def _size_aperture(
    profile: _Profile, aperture: Aperture, others: Sequence[Aperture], wish: _Wish, warnings: list[str]
) -> Aperture:
    sign = aperture.sign if wish.sign is None else (1 if wish.sign > 0 else -1)
    if sign != aperture.sign:
        warnings.append(
            f"The sign {sign} given for the aperture at {aperture.position:.3f} is not that of the profile there."
        )
    fwhm = aperture.fwhm
    if wish.refit and (wish.radius is None or wish.psf_radius is None):
        fwhm = _refit_width(profile, aperture, others, warnings)
    radius = APERTURE_FACTOR * fwhm if wish.radius is None else wish.radius
    psf_radius = PSF_FACTOR * fwhm if wish.psf_radius is None else wish.psf_radius
    return replace(aperture, sign=sign, fwhm=fwhm, radius=radius, psf_radius=psf_radius)


def _refit_width(profile: _Profile, aperture: Aperture, others: Sequence[Aperture], warnings: list[str]) -> float:
    """Width of a source, fitted together with its neighbours: their wings would make it too narrow or too wide."""
    reach = 8 * aperture.fwhm
    neighbours = [other for other in others if abs(other.position - aperture.position) <= reach]
    for together in ([aperture, *neighbours], [aperture]) if neighbours else ([aperture],):
        width = _fit_width(profile, together, reach)
        if width is not None:
            return width
    warnings.append(
        f"The width of the aperture at {aperture.position:.3f} could not be fitted; {aperture.fwhm:.3f} is used."
    )
    return aperture.fwhm


def _fit_width(profile: _Profile, sources: Sequence[Aperture], reach: float) -> float | None:
    """Width of the first of some sources; None if the fit fails."""
    near = np.abs(profile.slit - sources[0].position) <= reach
    step = float(np.mean(np.diff(profile.slit)))
    centers = np.array([source.position for source in sources])
    limits = GaussianLimits((centers - step, centers + step), (FWHM_TO_SIGMA, reach * FWHM_TO_SIGMA))
    fit = fit_gaussian_rows(profile.slit[near], profile.values[near][np.newaxis], centers,
                            [source.fwhm * FWHM_TO_SIGMA for source in sources], limits=limits)  # fmt: skip
    return float(fit.sigma[0, 0] / FWHM_TO_SIGMA) if fit.converged[0] else None


def _limit_to_slit(slit: FloatArray, aperture: Aperture, warnings: list[str]) -> Aperture:
    room = min(aperture.position, slit[-1] - aperture.position)
    name = f"aperture at {aperture.position:.3f}"
    psf_radius, radius = aperture.psf_radius, aperture.radius
    if psf_radius > room:
        warnings.append(f"The PSF radius of the {name} reaches beyond the slit; it is reduced to {room:.3f}.")
        psf_radius = float(room)
    if radius > psf_radius:
        warnings.append(f"The radius of the {name} is larger than its PSF radius; it is reduced to {psf_radius:.3f}.")
        radius = psf_radius
    sized = replace(aperture, radius=radius, psf_radius=psf_radius)
    if not _psf_mask(slit, sized).any():
        raise StepError(f"The PSF radius {psf_radius:.3f} of the {name} holds no pixel; give a larger one.")
    return sized


def _psf_mask(slit: FloatArray, aperture: Aperture) -> BoolArray:
    inside: BoolArray = np.abs(slit - aperture.position) < aperture.psf_radius
    return inside


def _separate(slit: FloatArray, first: Aperture, second: Aperture, warnings: list[str]) -> tuple[Aperture, Aperture]:
    """Reduce the radii of two neighbours until they have no row in common, not even in part."""
    step = float(np.mean(np.diff(slit)))
    common = np.count_nonzero(_psf_mask(slit, first) & _psf_mask(slit, second))
    gap = (second.position - second.psf_radius) - (first.position + first.psf_radius)
    if common == 0 and gap >= step:
        return first, second
    cut = (math.ceil(common / 2) + 1.5) * step
    pair = [
        replace(a, psf_radius=a.psf_radius - cut, radius=min(a.radius, a.psf_radius - cut)) for a in (first, second)
    ]
    if min(a.psf_radius for a in pair) <= 0 or (_psf_mask(slit, pair[0]) & _psf_mask(slit, pair[1])).any():
        raise StepError("The extraction apertures overlap. Please lower the aperture radii.")
    warnings.append(
        f"The PSF radii of the apertures at {first.position:.3f} and {second.position:.3f} are reduced to "
        f"{pair[0].psf_radius:.3f} and {pair[1].psf_radius:.3f}, for they overlap; light beyond is lost."
    )
    return pair[0], pair[1]


def find_background_regions(
    slit: ArrayLike, profile: ArrayLike, apertures: Sequence[Aperture], level: float, noise: float
) -> tuple[tuple[float, float], ...]:
    """Runs of 5 rows or more outside every PSF, within 3 PSF radii of a source, where the profile is flat (3 sigma)."""
    points, values = np.asarray(slit, dtype=np.float64), np.asarray(profile, dtype=np.float64)
    outside, near = np.ones(points.size, dtype=bool), np.zeros(points.size, dtype=bool)
    for aperture in apertures:
        outside &= ~_psf_mask(points, aperture)
        near |= np.abs(points - aperture.position) <= 3 * aperture.psf_radius
    usable = outside & near & (np.abs(values - level) <= 3 * noise)
    if np.count_nonzero(usable) <= SHORTEST_REGION:
        return ()
    change = np.flatnonzero(np.diff(np.concatenate([[False], usable, [False]]).astype(int)))
    runs = [(first, last - 1) for first, last in zip(change[::2], change[1::2], strict=True)]
    return tuple((float(points[a]), float(points[b])) for a, b in runs if b - a > SHORTEST_REGION)


def make_full_slit_aperture(slit: ArrayLike, aperture: Aperture) -> Aperture:
    """The aperture widened to the whole slit, positive, for extended sources."""
    points = np.asarray(slit, dtype=np.float64)
    reach = max((points[-1] - points[0]) / 2, aperture.position - points[0], points[-1] - aperture.position)
    return replace(aperture, sign=1, radius=float(reach), psf_radius=float(reach))


def parse_lists(text: str, name: str, count: int = 1) -> tuple[tuple[float, ...], ...]:
    """Read numbers for several files: commas separate apertures, semicolons files.

    Parameters
    ----------
    text : str
        E.g. ``"3,8;2,7"``; empty for nothing given.
    name : str
        Parameter, for messages.
    count : int
        Number of files; one list serves all.

    Returns
    -------
    tuple of tuple of float
        One per file; empty ones if the text is empty.

    Raises
    ------
    ParameterError
        If a word is no finite number, or the number of lists is neither 1 nor `count`.
    """
    syntax = "numbers separated by commas, files by semicolons, such as 3,8;2,7"
    try:
        lists = [tuple(_parse_number(word) for word in part.split(",") if word.strip()) for part in text.split(";")]
    except ValueError:
        raise ParameterError(f"{name} is '{text}'; expected {syntax}.") from None
    return _repeat(lists, name, text, count)


def _parse_number(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(word)
    return number


def parse_regions(text: str, name: str, count: int = 1) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Read background regions for several files, e.g. ``"0-1,8-10;2-3"``; see `parse_lists`.

    Raises
    ------
    ParameterError
        If the text has another form.
    """
    try:
        lists = [tuple(_parse_region(word) for word in part.split(",") if word.strip()) for part in text.split(";")]
    except ValueError:
        raise ParameterError(f"{name} is '{text}'; expected start-stop pairs such as 0-1,8-10;2-3.") from None
    return _repeat(lists, name, text, count)


def _parse_region(word: str) -> tuple[float, float]:
    start, stop = (_parse_number(number) for number in word.split("-"))
    if stop < start:
        raise ValueError(word)
    return start, stop


def _repeat(lists: list[_Values], name: str, text: str, count: int) -> tuple[_Values, ...]:
    if len(lists) == 1:
        return tuple(lists * count)
    if len(lists) != count:
        raise ParameterError(
            f"{name} is '{text}', with {len(lists)} lists for {count} files; give one list or one per file."
        )
    return tuple(lists)


def list_aperture_cards(apertures: Sequence[Aperture], order: int = 1) -> list[Card]:
    """Header cards of located apertures: APPOSOnn, APSGNOnn, APFWHMnn."""
    return [
        (f"APPOSO{order:02d}", _join(a.position for a in apertures), "Aperture positions [arcsec]"),
        (f"APSGNO{order:02d}", ",".join(str(a.sign) for a in apertures), "Aperture signs"),
        (f"APFWHM{order:02d}", _join(a.fwhm for a in apertures), "Fit aperture FWHM [arcsec]"),
    ]


def list_size_cards(sizes: ApertureSizes, order: int = 1) -> list[Card]:
    """Header cards of set apertures: APSGNOnn, APRADOnn, PSFRADnn, BGR."""
    regions = ",".join(f"{start:.3f}-{stop:.3f}" for start, stop in sizes.background)
    return [
        list_aperture_cards(sizes.apertures, order)[1],
        (f"APRADO{order:02d}", _join(a.radius for a in sizes.apertures), "Aperture radii [arcsec]"),
        (f"PSFRAD{order:02d}", _join(a.psf_radius for a in sizes.apertures), "Aperture PSF radii [arcsec]"),
        ("BGR", regions, "Aperture background regions [arcsec]"),
    ]


def _join(values: Iterable[float]) -> str:
    return ",".join(f"{value:.3f}" for value in values)
