"""Cubes made of cubes: cropped, masked, scaled, combined; computed where they are looked at, never as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError, StepError
from sofia_viewers.cube.continuum import choose_windows, fit_continuum
from sofia_viewers.cube.cube import Cube, Curve
from sofia_viewers.cube.moments import LineRange, Progress, read_pixels
from sofia_viewers.cube.samples import Samples
from sofia_viewers.image.frame import PlaneSource

__all__ = [
    "OPERATORS",
    "DerivedSamples",
    "Operator",
    "combine_cubes",
    "crop_cube",
    "divide_planes",
    "mask_cube",
    "scale_slices",
    "subtract_continuum",
]

FloatArray = NDArray[np.float64]
Key = tuple[slice, slice, slice]
Operator = Literal["+", "-", "*", "/"]
OPERATORS: tuple[Operator, ...] = get_args(Operator)


@dataclass(frozen=True, eq=False)
class DerivedSamples(Samples):
    """A cube of numbers that are computed from those of others when they are read.

    Parameters
    ----------
    sources : tuple of Samples
        What it is made of, all of one shape; `raw` is that of the first.
    compute : callable
        From the part that is read (three slices) and that part of each source to its values.
    """

    sources: tuple[Samples, ...] = ()
    compute: Callable[..., NDArray[Any]] = field(default=lambda _key, first: first, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Wavelengths, rows and columns."""
        return self.sources[0].shape

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    @property
    def is_plain(self) -> bool:
        """Never: the numbers are not stored, those of `raw` are other ones."""
        return False

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Compute part of the cube."""
        given = key if isinstance(key, tuple) else (key,)
        given = (*given, *(slice(None),) * (3 - len(given)))
        box = tuple(_as_slice(part) for part in given)
        values = self.compute(box, *(source[box] for source in self.sources))
        dropped = tuple(0 if not isinstance(part, slice) else slice(None) for part in given)
        return np.asarray(values[dropped], dtype=np.float32)

    def release(self) -> None:
        """Give the pages of mapped files back to the system."""
        for source in self.sources:
            source.release()


def _as_slice(part: Any) -> slice:
    if isinstance(part, slice):
        return part
    index = int(part)
    return slice(index, index + 1 if index != -1 else None)


def _derive(sources: tuple[Samples, ...], compute: Callable[..., NDArray[Any]]) -> DerivedSamples:
    return DerivedSamples(sources[0].raw, sources=sources, compute=compute)


def _rename(cube: Cube, key: str, name: str, planes: Mapping[str, PlaneSource], **changes: Any) -> Cube:
    return replace(cube, key=key, name=name, planes=planes, path=None, **changes)


def crop_cube(cube: Cube, waves: slice, rows: slice, columns: slice, key: str, name: str) -> Cube:
    """Return a part of a cube; nothing is copied.

    Raises
    ------
    StepError
        If nothing is left.
    """
    shape = tuple(len(range(*part.indices(n))) for part, n in zip((waves, rows, columns), cube.shape, strict=True))
    if 0 in shape:
        raise StepError("Nothing of the cube is left: choose a larger part.")
    starts = [part.indices(n)[0] for part, n in zip((columns, rows, waves), cube.shape[::-1], strict=True)]
    planes = {}
    for plane_name, plane in cube.planes.items():
        samples = cube.samples(plane_name)
        part: Any
        if isinstance(samples, DerivedSamples):
            part = _CroppedSamples(samples.raw, sources=samples.sources, whole=samples, start=tuple(starts[::-1]),
                                   extent=shape)  # fmt: skip
        else:
            part = replace(samples, raw=samples.raw[waves, rows, columns])
        planes[plane_name] = replace(plane, array=part, header=_shift_header(plane.header, starts))
    curves = {label: Curve(curve.values[waves], curve.unit) for label, curve in cube.curves.items()}
    return _rename(
        cube, key, name, planes, wave=cube.wave[waves], curves=curves, header=_shift_header(cube.header, starts)
    )


@dataclass(frozen=True, eq=False)
class _CroppedSamples(DerivedSamples):
    """Part of a computed cube."""

    whole: DerivedSamples | None = None
    start: tuple[int, ...] = (0, 0, 0)
    extent: tuple[int, ...] = (0, 0, 0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Wavelengths, rows and columns."""
        return self.extent[0], self.extent[1], self.extent[2]

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Compute part of it."""
        assert self.whole is not None
        given = key if isinstance(key, tuple) else (key,)
        given = (*given, *(slice(None),) * (3 - len(given)))
        moved: list[slice | int] = []
        for part, start, length in zip(given, self.start, self.extent, strict=True):
            if isinstance(part, slice):
                first, stop, step = part.indices(length)
                moved.append(slice(first + start, stop + start, step))
            else:
                moved.append(int(part) % length + start)
        return self.whole[tuple(moved)]


def _shift_header(header: fits.Header, starts: list[int]) -> fits.Header:
    shifted = header.copy()
    for axis, start in enumerate(starts, start=1):
        for keyword in {f"CRPIX{axis}", *shifted[f"CRPIX{axis}?"]}:  # those of other coordinates, too
            if keyword in shifted or f"CTYPE{axis}" in shifted:
                shifted[keyword] = float(shifted.get(keyword, 0.0)) - start
    return shifted


def mask_cube(cube: Cube, keep: NDArray[np.bool_], key: str, name: str) -> Cube:
    """Return a cube with pixels blanked.

    Parameters
    ----------
    keep : (n_y, n_x) or (n_wave,) bool ndarray
        Which pixels, or which slices, stay.
    """

    def blank(box: Key, values: NDArray[Any]) -> NDArray[Any]:
        kept = keep[box[0]][:, None, None] if keep.ndim == 1 else keep[box[1], box[2]]
        return np.where(kept, values, np.nan)

    planes = {n: replace(p, array=_derive((cube.samples(n),), blank)) for n, p in cube.planes.items()}  # type: ignore[arg-type]
    return _rename(cube, key, name, planes)


def scale_slices(cube: Cube, factor: FloatArray, key: str, name: str, planes: tuple[str, ...] = ()) -> Cube:
    """Return a cube with each slice multiplied by a factor, (n_wave,): flux and its error, or the planes named."""

    def scale(box: Key, values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(values * factor[box[0]][:, None, None])

    chosen = planes or tuple(n for n in (cube.flux.name, cube.error_of()) if n)
    made = {
        n: replace(p, array=_derive((cube.samples(n),), scale)) if n in chosen else p  # type: ignore[arg-type]
        for n, p in cube.planes.items()
    }
    return _rename(cube, key, name, made)


def divide_planes(cube: Cube, divisor: str) -> DerivedSamples:
    """Return the flux of a cube over another of its planes, slice by slice; NaN where that is zero."""

    def compute(_box: Key, values: NDArray[Any], divisors: NDArray[Any]) -> NDArray[Any]:
        return _operate(values, divisors, "/")

    return _derive((cube.samples(), cube.samples(divisor)), compute)


def combine_cubes(first: Cube, second: Cube, operator: Operator, key: str, name: str) -> Cube:
    """Combine two cubes; the second is interpolated on the grid of the first, linearly in wavelength and on the sky.

    Errors are propagated as independent, where both have some.

    Raises
    ------
    ParameterError
        If the operator is not known.
    StepError
        If the cubes have no wavelength in common, or differ in shape and have no coordinates.
    """
    if operator not in OPERATORS:
        raise ParameterError(f"operator = '{operator}' is not known: choose one of {' '.join(OPERATORS)}.")
    grid = _find_grid(first, second)
    names = {first.flux.name: second.flux.name}
    planes = {}
    a, b = first.samples(), _regrid(first, second, second.flux.name, grid)

    def compute(_box: Key, mine: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
        return _operate(mine, others, operator)

    planes[first.flux.name] = replace(first.flux, array=_derive((a, b), compute))  # type: ignore[arg-type]
    errors = first.error_of(), second.error_of()
    if errors[0] and errors[1]:
        da, db = first.samples(errors[0]), _regrid(first, second, errors[1], grid)

        def spread(_box: Key, x: NDArray[Any], y: NDArray[Any], dx: NDArray[Any], dy: NDArray[Any]) -> NDArray[Any]:
            if operator in "+-":
                return np.asarray(np.hypot(dx, dy))
            if operator == "*":
                return np.asarray(np.hypot(y * dx, x * dy))
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.asarray(np.hypot(dx / y, x * dy / (y * y)))

        planes[errors[0]] = replace(first.planes[errors[0]], array=_derive((a, b, da, db), spread))  # type: ignore[arg-type]
    assert names
    return _rename(first, key, name, planes)


def _operate(a: NDArray[Any], b: NDArray[Any], operator: Operator) -> NDArray[Any]:
    with np.errstate(divide="ignore", invalid="ignore"):
        result = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}[operator](a, b)
    return np.where(np.isfinite(result), result, np.nan)


@dataclass(frozen=True, eq=False)
class _Grid:
    """Where the slices and pixels of one cube lie in another: None where they are the same."""

    waves: FloatArray | None
    pixels: FloatArray | None


def _find_grid(first: Cube, second: Cube) -> _Grid:
    from sofia_viewers.image.geometry import map_pixels

    same_waves = first.shape[0] == second.shape[0] and np.allclose(first.wave, second.wave, rtol=1e-9)
    if not same_waves and (first.wave_unit != second.wave_unit or not any(second.covers(w) for w in first.wave)):
        raise StepError(f"{first.name} and {second.name} have no wavelength in common.")
    order = np.argsort(second.wave)
    waves = None if same_waves else np.interp(first.wave, second.wave[order], order.astype(float), np.nan, np.nan)
    if first.wcs is None or second.wcs is None:
        if first.shape[1:] != second.shape[1:]:
            raise StepError(f"{first.name} and {second.name} differ in shape and have no coordinates on the sky.")
        return _Grid(waves, None)
    y, x = np.mgrid[: first.shape[1], : first.shape[2]]
    pixels = map_pixels(np.column_stack([x.ravel(), y.ravel()]), first.wcs, second.wcs)
    own = np.column_stack([x.ravel(), y.ravel()])
    if first.shape[1:] == second.shape[1:] and np.nanmax(np.abs(pixels - own)) < 1e-4:
        return _Grid(waves, None)
    return _Grid(waves, pixels.reshape(*first.shape[1:], 2))


@dataclass(frozen=True, eq=False)
class _Regridded(DerivedSamples):
    """A cube interpolated on the grid of another."""

    grid: _Grid = field(default_factory=lambda: _Grid(None, None))
    extent: tuple[int, int, int] = (0, 0, 0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the other cube."""
        return self.extent

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Interpolate part of it, slice by slice."""
        box = [range(n)[_as_slice(k)] for k, n in zip(key, self.extent, strict=True)]
        result = np.empty([len(part) for part in box], dtype=np.float32)
        for number, wave in enumerate(box[0]):
            image = self._slice_at(wave)
            result[number] = image[key[1], key[2]] if self.grid.pixels is None else self._place(image, key)
        return result

    def _slice_at(self, wave: int) -> NDArray[np.float32]:
        source = self.sources[0]
        if self.grid.waves is None:
            return source[wave]
        place = self.grid.waves[wave]
        if not np.isfinite(place):
            return np.full(source.shape[1:], np.nan, dtype=np.float32)
        low = int(place)
        part = np.float32(place - low)
        if part == 0:
            return source[low]
        return source[low] * (1 - part) + source[min(low + 1, source.shape[0] - 1)] * part

    def _place(self, image: NDArray[np.float32], key: Key) -> NDArray[np.float32]:
        from scipy.ndimage import map_coordinates

        assert self.grid.pixels is not None
        pixels = np.nan_to_num(self.grid.pixels[key[1], key[2]], nan=-1e9)
        values: NDArray[np.float32] = map_coordinates(
            image, [pixels[..., 1], pixels[..., 0]], order=1, cval=np.nan, prefilter=False
        )
        return values


def _regrid(first: Cube, second: Cube, plane: str, grid: _Grid) -> Samples:
    samples = second.samples(plane)
    if grid.waves is None and grid.pixels is None:
        return samples
    return _Regridded(samples.raw, sources=(samples,), grid=grid, extent=first.shape)


def subtract_continuum(cube: Cube, line: LineRange, key: str, name: str, progress: Progress = lambda _: None) -> Cube:
    """Return a cube without its continuum: a polynomial for each pixel, fitted beside the line.

    Raises
    ------
    StepError
        If the windows hold too few slices.
    """
    degree = line.degree or 0
    use = choose_windows(cube.wave, line.windows)
    use[cube.find_slices(line.low, line.high)] = False
    coefficients = np.full((degree + 1, *cube.shape[1:]), np.nan, dtype=np.float32)
    middle, half = 0.0, 1.0
    for rows, flux, error in read_pixels(cube, None, progress):
        fit = fit_continuum(cube.wave[use], flux[use], error[use], degree)
        coefficients[:, rows] = fit.coefficients.reshape(degree + 1, -1, cube.shape[2])
        middle, half = fit.middle, fit.half
    t = (cube.wave - middle) / half

    def subtract(box: Key, values: NDArray[Any]) -> NDArray[Any]:
        here = t[box[0]][:, None, None]
        return np.asarray(values - sum(c[box[1], box[2]] * here**k for k, c in enumerate(coefficients)))

    made = {**cube.planes, cube.flux.name: replace(cube.flux, array=_derive((cube.samples(),), subtract))}  # type: ignore[arg-type]
    return _rename(cube, key, name, made)
