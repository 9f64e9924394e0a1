"""Make Spectral Map: a quick-look picture of image and spectrum, or of a slice and a spectrum of a cube."""

from pathlib import PurePath

import numpy as np

from sofia_engine.errors import HeaderError, ParameterError
from sofia_engine.header.celestial import read_tangent_plane
from sofia_engine.instruments.forcast.mode import find_spectral_element
from sofia_engine.layouts import unpack
from sofia_engine.map_figure import ImageMap, LinearAxes
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.numerics.sky_ticks import label_angle
from sofia_engine.numerics.tangent_plane import TangentPlane
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

__all__ = ["describe_spectral_map", "specmap"]

SMOOTHING = 2.0
"""Standard deviation, pixels, with which a cube is smoothed to find its peak."""


@step("specmap", label="Make Spectral Map", code="SMP")
def specmap(image: Product, p: SpectralMapParameters, run: Run) -> Product:
    """Draw image and spectrum, as a PNG with the name of the product; the data are not changed."""
    content = describe_spectral_map(image, p)
    name = PurePath(image.name.removesuffix(".gz")).with_suffix(".png").name
    run.attach(name, draw_spectral_map(content, p))
    run.log(f"Made the map {name}")
    return image


def describe_spectral_map(product: Product, p: SpectralMapParameters) -> SpectralMap:
    """Take from a product what a spectral figure needs: a cube, an image with its spectrum, or a spectrum alone."""
    source = unpack(product)
    title = f"Object: {source.header.get('OBJECT', 'unknown')}, Grism: {find_spectral_element(source.header)}"
    if "FLUX" in source and source["FLUX"].ndim == 3:
        return _describe_cube(source, title, p)
    return _describe_spectrum(source, title)


def _describe_spectrum(product: Product, title: str) -> SpectralMap:
    name = "SPECTRAL_FLUX" if "SPECTRAL_FLUX" in product else "RESPONSE"
    flux = np.atleast_2d(product[name])
    error = f"{'SPECTRAL_ERROR' if name == 'SPECTRAL_FLUX' else 'RESPONSE_ERROR'}"
    errors = np.atleast_2d(product[error]) if error in product else [None] * len(flux)
    wave = product["WAVEPOS"]
    waves = np.broadcast_to(wave, flux.shape)
    through = np.broadcast_to(product["TRANSMISSION"], flux.shape) if "TRANSMISSION" in product else None
    curves = tuple(
        SpectrumCurve(waves[k], flux[k], errors[k], None if through is None else through[k], f"Aperture {k + 1}")
        for k in range(len(flux))
    )
    unit = product.plane(name).unit or str(product.header.get("YUNITS", ""))
    has_image = "FLUX" in product
    word = "Spectral flux" if name == "SPECTRAL_FLUX" else "Response"
    return SpectralMap(
        curves,
        title,
        "" if has_image else f"Filename: {product.name}",
        f"Wavelength ({product.plane('WAVEPOS').unit or 'um'})",
        f"{word} ({unit})",
        _describe_image(product) if has_image else None,
    )


def _describe_image(product: Product) -> ImageMap:
    header, plane = product.header, product.plane("FLUX")
    start = tuple(
        float(header.get(f"CRVAL{n}", 0.0))
        + (1 - float(header.get(f"CRPIX{n}", 1.0))) * float(header.get(f"CDELT{n}", 1.0))
        for n in (1, 2)
    )
    step_size = (float(header.get("CDELT1", 1.0)), float(header.get("CDELT2", 1.0)))
    labels = (
        f"Wavelength ({header.get('CUNIT1', 'pixel')})",
        f"Slit position ({header.get('CUNIT2', 'pixel')})",
    )
    return ImageMap(
        plane.data,
        subtitle=f"Filename: {product.name}",
        unit=plane.unit,
        axes=LinearAxes((start[0], start[1]), step_size, labels),
    )


def _describe_cube(product: Product, title: str, p: SpectralMapParameters) -> SpectralMap:
    flux, error, wave = product["FLUX"], product["ERROR"], product["WAVEPOS"]
    x, y = _find_point(flux, error, p)
    spectrum = flux[:, y, x]
    number = _find_slice(spectrum, p)
    unit = product.plane("WAVEPOS").unit or "um"
    try:
        plane = read_tangent_plane(product.header)
    except HeaderError:
        plane = None
    image = ImageMap(
        flux[number],
        plane,
        "",
        f"Filename: {product.name}\nWavelength slice at {wave[number]:.2f} {unit}",
        product.plane("FLUX").unit,
        _read_equinox(product),
        mark=(float(x), float(y)),
    )
    through = product["TRANSMISSION"] if "TRANSMISSION" in product.planes else None
    return SpectralMap(
        (SpectrumCurve(wave, spectrum, error[:, y, x], through),),
        title,
        _name_point(plane, x, y),
        f"Wavelength ({unit})",
        f"Spectral flux ({product.plane('FLUX').unit})",
        image,
        float(wave[number]),
    )


def _read_equinox(product: Product) -> float | None:
    value = product.header.get("EQUINOX")
    return float(value) if isinstance(value, int | float) else None


def _name_point(plane: TangentPlane | None, x: int, y: int) -> str:
    if plane is None:
        return f"Spectrum at x={x}, y={y}"
    longitude, latitude = plane.to_sky(x, y)
    right_ascension = label_angle(float(longitude), "hours", 0.1 / 240)
    declination = label_angle(float(latitude), "degrees", 1 / 3600)
    return f"Spectrum at RA={right_ascension}, Dec={declination}"


def _inner(count: int, p: SpectralMapParameters) -> slice:
    lost = int(p.ignore_outer * count)
    return slice(lost, count - lost)


def _find_point(flux: FloatArray, error: FloatArray, p: SpectralMapParameters) -> tuple[int, int]:
    """The pixel the user wants, or that with the best signal-to-noise ratio in the smoothed cube."""
    given = parse_point(p.override_point)
    if given is not None:
        if given[0] >= flux.shape[2] or given[1] >= flux.shape[1]:
            raise ParameterError(
                f"specmap.override_point = {p.override_point!r} lies outside the cube of {flux.shape[2]} x "
                f"{flux.shape[1]} pixels."
            )
        return given
    from scipy.ndimage import gaussian_filter

    inner = _inner(len(flux), p)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nansum(flux[inner], axis=0) / np.sqrt(np.nansum(np.square(error[inner]), axis=0))
    ratio = np.where(np.isfinite(ratio), ratio, 0.0)
    smooth = np.where(ratio != 0, gaussian_filter(ratio, SMOOTHING), -np.inf)
    y, x = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
    return int(x), int(y)


def _find_slice(spectrum: FloatArray, p: SpectralMapParameters) -> int:
    if p.override_slice.strip():
        number = int(p.override_slice)
        if number >= spectrum.size:
            raise ParameterError(f"specmap.override_slice = {number} is beyond the {spectrum.size} slices of the cube.")
        return number
    inner = _inner(spectrum.size, p)
    values = spectrum[inner]
    peak = int(np.nanargmax(values)) if np.isfinite(values).any() else 0
    return int(inner.start) + peak
