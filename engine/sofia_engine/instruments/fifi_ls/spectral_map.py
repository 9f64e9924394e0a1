"""Make Spectral Map: a quick-look picture of a slice of the cube and of a spectrum."""

from pathlib import PurePath
from typing import Literal

import numpy as np

from sofia_engine.errors import HeaderError, ParameterError
from sofia_engine.header.celestial import read_tangent_plane
from sofia_engine.instruments.fifi_ls.mode import channel_letter, find_channel, read_number
from sofia_engine.instruments.fifi_ls.positions import DEGREES_PER_HOUR
from sofia_engine.map_figure import Beam, ImageMap, LinearAxes
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.numerics.sky_ticks import label_angle
from sofia_engine.numerics.tangent_plane import TangentPlane
from sofia_engine.pipeline.parameters import parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product
from sofia_engine.spectral_quicklook import (
    SpectralMap,
    SpectralMapParameters,
    SpectrumCurve,
    draw_spectral_map,
    parse_point,
)

__all__ = ["CubeMapParameters", "describe_cube_map", "find_peak", "specmap"]

SMOOTHING, REACH = 2.0, 2.0
"""Standard deviation, pixels, with which a cube is smoothed to find its peak; and where its kernel ends."""

_MADE = {"skip_preview": False}


class CubeMapParameters(SpectralMapParameters):
    """Parameters of Make Spectral Map."""

    skip_preview: bool = parameter(False, label="Skip making the preview image", help="Make no picture.")
    extension: str = parameter(
        "FLUX",
        label="Extension to map",
        help="Plane of the cube to show: FLUX, or UNCORRECTED_FLUX for the flux as it came through the atmosphere.",
        applies_when=_MADE,
    )
    slice_method: Literal["reference", "peak"] = parameter(
        "reference",
        label="Method for selecting spectral slice",
        help="Show the slice at the wavelength the grating was set to, or at the peak of the spectrum.",
        applies_when={"skip_preview": False, "override_slice": False},
    )
    point_method: Literal["reference", "peak"] = parameter(
        "peak",
        label="Method for selecting spatial point",
        help="Show the spectrum at the position of the target, or where the signal is best.",
        applies_when={"skip_preview": False, "override_point": False},
    )
    ignore_outer: float = parameter(
        0.2,
        label="Fraction of outer wavelengths to ignore",
        ge=0,
        lt=0.5,
        help="Share of the slices at each end that are not searched for the peak.",
        applies_when=_MADE,
    )
    beam: bool = parameter(
        False, label="Beam marker", help="Show the beam in the lower left corner.", applies_when=_MADE
    )

    @property
    def look(self) -> SpectralMapParameters:
        """How the figure is shown; all of the spectrum is."""
        names = SpectralMapParameters.model_fields
        return SpectralMapParameters(**{name: getattr(self, name) for name in names} | {"ignore_outer": 0.0})

    @property
    def prefix(self) -> str:
        """What the names of the planes to show begin with.

        Raises
        ------
        ParameterError
            If there are no such planes.
        """
        wanted = self.extension.strip().upper()
        if "UNCOR" in wanted:
            return "UNCORRECTED_"
        if wanted == "FLUX":
            return ""
        raise ParameterError(f"specmap.extension = {self.extension!r} must be FLUX or UNCORRECTED_FLUX.")


@step("specmap", label="Make Spectral Map", code="SMP")
def specmap(cube: Product, p: CubeMapParameters, run: Run) -> Product:
    """Draw a slice of the cube and a spectrum, as a PNG with the name of the cube; the data are not changed."""
    if p.skip_preview:
        return cube
    if not np.isfinite(cube[f"{p.prefix}FLUX"]).any():
        run.warn(f"{cube.name}: the cube has no value; no picture is made.")
        return cube
    content = describe_cube_map(cube, p)
    name = PurePath(cube.name.removesuffix(".gz")).with_suffix(".png").name
    run.attach(name, draw_spectral_map(content, p.look))
    run.log(f"Made the map {name}")
    return cube


def describe_cube_map(cube: Product, p: CubeMapParameters) -> SpectralMap:
    """Take from a cube what a figure of it needs.

    Raises
    ------
    ParameterError
        If the slice or the point to show lies outside, or there is no such plane.
    """
    flux, error, wave = cube[f"{p.prefix}FLUX"], cube[f"{p.prefix}ERROR"], cube["WAVELENGTH"]
    plane = _read_plane(cube)
    peak = find_peak(flux, error, p.ignore_outer)
    number = _choose_slice(cube, flux, wave, peak, p)
    x, y = _choose_point(cube, flux, number, plane, peak, p)
    unit = cube.plane(f"{p.prefix}FLUX").unit
    through = cube["TRANSMISSION"] if "TRANSMISSION" in cube.planes else None
    return SpectralMap(
        (SpectrumCurve(wave, flux[:, y, x], error[:, y, x], through),),
        f"Object: {cube.header.get('OBJECT', 'unknown')}, Channel: {find_channel(cube.header)}",
        _name_point(plane, x, y),
        "Wavelength (um)",
        f"Spectral flux ({unit})",
        _describe_slice(cube, flux[number], float(wave[number]), plane, (x, y), unit, p),
        float(wave[number]),
    )


def _describe_slice(
    cube: Product,
    image: FloatArray,
    wavelength: float,
    plane: TangentPlane | None,
    point: tuple[int, int],
    unit: str,
    p: CubeMapParameters,
) -> ImageMap:
    header = cube.header
    size = read_number(header, "BMAJ")
    axes = None
    if plane is None:
        x, y = cube["XS"], cube["YS"]
        axes = LinearAxes(
            (float(x[0]), float(y[0])), (float(x[1] - x[0]), float(y[1] - y[0])), ("x (arcsec)", "y (arcsec)")
        )
    return ImageMap(
        image,
        plane,
        "",
        f"Filename: {cube.name}\nWavelength slice at {wavelength:.2f} um",
        unit,
        read_number(header, "EQUINOX"),
        Beam(size, size) if p.beam and size else None,
        axes,
        mark=(float(point[0]), float(point[1])),
    )


def _read_plane(cube: Product) -> TangentPlane | None:
    if "XS" in cube.planes:
        return None
    try:
        return read_tangent_plane(cube.header)
    except HeaderError:
        return None


def find_peak(flux: FloatArray, error: FloatArray, ignored: float) -> tuple[int, int, int]:
    """Return slice, row and column of the peak of a cube.

    Parameters
    ----------
    flux, error : (nw, ny, nx) ndarray
        NaN is missing.
    ignored : float
        Share of the slices at each end that are not searched.

    Returns
    -------
    (int, int, int)
        The position with the best signal-to-noise ratio in the smoothed cube, and the slice of the largest flux there.
    """
    lost = int(ignored * len(flux))
    inner = slice(lost, len(flux) - lost)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: FloatArray = (_smooth(flux) / _smooth(error))[inner]
    if not np.isfinite(ratio).any():  # too small a map for the kernel
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (flux / error)[inner]
    if not np.isfinite(ratio).any():
        inner, ratio = slice(0, len(flux)), flux
    _, y, x = np.unravel_index(int(np.nanargmax(np.where(np.isfinite(ratio), ratio, np.nan))), ratio.shape)
    spectrum = flux[inner, y, x]
    number = int(np.nanargmax(spectrum)) if np.isfinite(spectrum).any() else 0
    return int(inner.start) + number, int(y), int(x)


def _smooth(cube: FloatArray) -> FloatArray:
    """Cube smoothed with a Gaussian along all axes; NaN wherever its kernel meets NaN or the border."""
    reach = int(REACH * SMOOTHING)
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * np.square(offsets / SMOOTHING))
    kernel /= kernel.sum()
    smooth: FloatArray = np.asarray(cube, dtype=np.float64)
    for axis in range(cube.ndim):
        lines = np.moveaxis(smooth, axis, 0)
        made = np.full(lines.shape, np.nan)
        inner = len(lines) - 2 * reach
        if inner > 0:
            made[reach : reach + inner] = sum(w * lines[k : k + inner] for k, w in enumerate(kernel))
        smooth = np.moveaxis(made, 0, axis)
    return smooth


def _choose_slice(
    cube: Product, flux: FloatArray, wave: FloatArray, peak: tuple[int, int, int], p: CubeMapParameters
) -> int:
    if p.override_slice.strip():
        number = int(p.override_slice)
        if number >= len(flux):
            raise ParameterError(f"specmap.override_slice = {number} is beyond the {len(flux)} slices of the cube.")
        return number
    if p.slice_method == "reference":
        aim = read_number(cube.header, f"G_WAVE_{channel_letter(cube.header)}")
        if aim is not None and wave[0] <= aim <= wave[-1]:
            number = int(np.argmin(np.abs(wave - aim)))
            if np.isfinite(flux[number]).any():
                return number
    return peak[0]


def _choose_point(
    cube: Product,
    spectra: FloatArray,
    number: int,
    plane: TangentPlane | None,
    peak: tuple[int, int, int],
    p: CubeMapParameters,
) -> tuple[int, int]:
    image = spectra[number]
    rows, columns = image.shape
    given = parse_point(p.override_point)
    if given is not None:
        if given[0] >= columns or given[1] >= rows:
            raise ParameterError(
                f"specmap.override_point = {p.override_point!r} lies outside the cube of {columns} x {rows} pixels."
            )
        if not np.isfinite(spectra[:, given[1], given[0]]).any():
            raise ParameterError(f"specmap.override_point = {p.override_point!r}: the cube has no value there.")
        return given
    if p.point_method == "peak":
        return peak[2], peak[1]
    ra, dec = read_number(cube.header, "OBSRA"), read_number(cube.header, "OBSDEC")
    if plane is not None and ra is not None and dec is not None:
        place = [float(value) for value in plane.to_pixel(ra * DEGREES_PER_HOUR, dec)]
        if np.isfinite(place).all() and -0.5 <= place[0] < columns - 0.5 and -0.5 <= place[1] < rows - 0.5:
            return round(place[0]), round(place[1])
    y, x = np.unravel_index(int(np.nanargmax(image)) if np.isfinite(image).any() else 0, image.shape)
    return int(x), int(y)


def _name_point(plane: TangentPlane | None, x: int, y: int) -> str:
    if plane is None:
        return f"Spectrum at x={x}, y={y}"
    longitude, latitude = plane.to_sky(x, y)
    right_ascension = label_angle(float(longitude), "hours", 0.1 / 240)
    declination = label_angle(float(latitude), "degrees", 1 / 3600)
    return f"Spectrum at RA={right_ascension}, Dec={declination}"
