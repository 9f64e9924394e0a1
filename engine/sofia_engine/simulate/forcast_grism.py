"""Forward model of FORCAST grism spectra: sources behind a slit, dispersed along the rows of the detector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError
from sofia_engine.simulate.curves import Curve
from sofia_engine.simulate.forcast_detector import BadPixels
from sofia_engine.simulate.forcast_grism_files import GrismReference, load_grism_reference
from sofia_engine.simulate.forcast_grism_options import ForcastGrism
from sofia_engine.simulate.forcast_grism_truth import (
    SPECTRUM_FILE,
    ApertureTruth,
    ForcastGrismTruth,
    GrismFileTruth,
    LineTruth,
    write_spectrum,
)
from sofia_engine.simulate.forcast_header import Exposure, build_header, chop_sign, name_raw_file
from sofia_engine.simulate.forcast_modes import SkyMode
from sofia_engine.simulate.forcast_readout import read_out, write_raw
from sofia_engine.simulate.forcast_reference import load_bad_pixel_mask
from sofia_engine.simulate.options import compact_date
from sofia_engine.simulate.projection import ARCSEC_PER_DEGREE, find_pointing, rotation_angle, sky_matrix
from sofia_engine.simulate.registry import Simulation, register_kind
from sofia_engine.simulate.slit_light import SlitProfile, collect_profile, disperse
from sofia_engine.simulate.slit_spectrum import (
    broaden,
    check_sampling,
    draw_spectrum,
    find_line_width,
    line_flux,
    undo_pixels,
)
from sofia_engine.simulate.sources import ExtendedSource, PointSource

__all__ = ["ForcastGrism", "ForcastGrismTruth", "simulate_forcast_grism"]

FloatArray = NDArray[np.float64]
_CENTER = (127.0, 127.0)
_SAMPLES_PER_COLUMN = 20
_MARGIN_COLUMNS = 5
_LEAST_THROUGHPUT = 1e-3
_SAME_PLACE_ARCSEC = 0.01


@dataclass(frozen=True)
class _Light:
    """
    Spectra on the way to the detector.

    Parameters
    ----------
    wavelength
        Micrometres, fine steps.
    intrinsic, spectrum
        F_nu relative to the continuum in the middle, before broadening and as a rectified spectrum shows it.
    transmission
        Of the atmosphere, at the resolution of a rectified spectrum.
    detected
        Me/s per rectified column for a continuum of 1 Jy, before the pixels broaden it.
    continuum_detected
        The same without lines and slope.
    """

    wavelength: FloatArray
    intrinsic: FloatArray
    spectrum: FloatArray
    transmission: FloatArray
    detected: Curve
    continuum_detected: Curve


@dataclass(frozen=True)
class _Scene:
    """All that is the same in every file."""

    options: ForcastGrism
    mode: SkyMode
    reference: GrismReference
    bad: BadPixels
    light: _Light

    @cached_property
    def boresight(self) -> tuple[float, float]:
        """Raw pixel of the boresight."""
        return self.options.boresight or _CENTER

    @cached_property
    def boresight_arcsec(self) -> float:
        """Slit position of the boresight."""
        column, row = round(self.boresight[0]), self.boresight[1]
        positions = self.reference.geometry.position[:, column]
        known = np.isfinite(positions)
        return float(np.interp(row, np.flatnonzero(known), positions[known]))

    @cached_property
    def middle_arcsec(self) -> float:
        """Slit position of the undithered source in the middle of the coverage."""
        return self.boresight_arcsec + self.options.source_offset_arcsec[1]

    @cached_property
    def rotation(self) -> FloatArray:
        """Matrix between detector and sky offsets."""
        return sky_matrix(rotation_angle(self.options.sky_angle))

    @cached_property
    def center_um(self) -> float:
        """Middle of the coverage."""
        return sum(self.reference.geometry.coverage_um) / 2

    @cached_property
    def centered(self) -> SlitProfile:
        """A point source centred on the slit."""
        return self.point_profile(0.0)

    def point_profile(self, across: float) -> SlitProfile:
        """Profile along the slit of a point source of unit flux that is off centre by so many arcsec."""
        source = PointSource(self.options.psf_fwhm_arcsec, self.options.psf_profile).seen()
        return collect_profile(source, across, self.reference.geometry.width_arcsec)

    def bend(self, wavelength: FloatArray) -> FloatArray:
        """Slit position of a trace relative to its middle."""
        low, high = self.reference.geometry.coverage_um
        u = (2 * wavelength - low - high) / (high - low)
        return self.options.trace_tilt_arcsec * u + self.options.trace_curvature_arcsec * (u**2 - 1 / 3)


@register_kind(
    "forcast-grism-nmc",
    "FORCAST grism spectrum of a star, nod matched to chop, 3 dithers along the slit",
    ForcastGrism,
    n_dither=3,
)
@register_kind(
    "forcast-grism-standard",
    "FORCAST grism spectrum of the telluric standard Alpha Boo with its model, nod matched to chop, 2 dithers",
    ForcastGrism,
    n_dither=2,
    standard=True,
    object="Alpha Boo",
    slope=-2.0,
)
@register_kind(
    "forcast-grism-npcnas",
    "FORCAST grism spectrum of a star, nodded along the slit: a positive and a negative trace",
    ForcastGrism,
    n_dither=2,
)
@register_kind(
    "forcast-grism-nxcac",
    "FORCAST grism spectrum of a star, asymmetric chop and nod to empty sky in the order ABBA",
    ForcastGrism,
    n_dither=4,
)
@register_kind(
    "forcast-grism-slitscan",
    "FORCAST grism spectra of an extended source at 5 positions of the slit, for a spectral cube",
    ForcastGrism,
    n_dither=5,
    flux=0.0,
    grism="G111",
    extended=ExtendedSource(4000.0, 20.0, 10.0, 40.0),
)
def simulate_forcast_grism(simulation: Simulation) -> ForcastGrismTruth:
    """
    Write the raw files of a FORCAST grism observation, its spectrum as ECSV, and the model of a standard.

    Parameters
    ----------
    simulation
        Kind, options (`ForcastGrism`), folder and seed.

    Returns
    -------
    ForcastGrismTruth
        Truth of the observation.
    """
    options: ForcastGrism = simulation.options
    random = np.random.default_rng([simulation.seed, 0])
    mask, mask_name = load_bad_pixel_mask(options, simulation.directory, random)
    reference = load_grism_reference(options, simulation.directory)
    reference.files["bad_pixel_mask"] = mask_name
    mode = _choose_mode(simulation.kind, options)
    scene = _Scene(options, mode, reference, BadPixels.draw(mask, random), _shine(options, reference))
    exposures = _plan_exposures(scene, simulation.kind)
    observed = [_observe(scene, exposure, simulation, len(exposures)) for exposure in exposures]
    _write_spectra(scene, simulation, observed[0][1])
    return _summarise(simulation, scene, tuple(file for file, _ in observed))


def _choose_mode(kind: str, options: ForcastGrism) -> SkyMode:
    """Complete the throws of the mode that a kind stands for; chops go across the slit unless told otherwise."""

    def either(value: float | None, default: float) -> float:
        return float(default if value is None else value)

    scan = kind.endswith("slitscan")
    name = options.scan_mode if scan else kind.rpartition("-")[2].upper().replace("STANDARD", "NMC")
    skymode = f"SLITSCAN_{name}" if scan else name
    angle = either(options.chop_angle, 90)
    if name == "NMC":
        if options.nod_throw_arcsec is not None or options.nod_angle is not None:
            raise ParameterError("The nod of NMC follows from the chop; leave out 'nod_throw_arcsec' and 'nod_angle'.")
        throw = either(options.chop_throw_arcsec, 60)
        return SkyMode("C2N", skymode, 4, throw, angle, throw, angle + 180)
    if name == "NPCNAS":
        throw, nod = either(options.chop_throw_arcsec, 60), either(options.nod_throw_arcsec, 40)
        return SkyMode("C2N", skymode, 4, throw, angle, nod, either(options.nod_angle, 0))
    throw, nod = either(options.chop_throw_arcsec, 150), either(options.nod_throw_arcsec, 400)
    return SkyMode("NXCAC", skymode, 4, throw, angle, nod, either(options.nod_angle, 240))


def _shine(options: ForcastGrism, reference: GrismReference) -> _Light:
    """Compute all spectra."""
    low, high = reference.geometry.coverage_um
    column, resolution = reference.geometry.column_um, options.seen_resolution
    margin = _MARGIN_COLUMNS * column
    grid = np.arange(low - margin, high + margin, column / _SAMPLES_PER_COLUMN)
    check_sampling(grid, resolution, column)

    def source(wave: FloatArray) -> FloatArray:
        return draw_spectrum(wave, (low + high) / 2, options.slope, options.seen_lines)

    def air(wave: FloatArray) -> FloatArray:
        return np.ones_like(wave) if reference.transmission is None else reference.transmission.at(wave)

    def seen(draw: Callable[[FloatArray], FloatArray]) -> FloatArray:
        return broaden(draw, lambda wave: find_line_width(wave, resolution), grid)

    spectrum, transmission = seen(source), seen(air)
    passed = seen(lambda wave: source(wave) * air(wave)) if options.absorption == "resolved" else None
    standard = _draw_standard(grid, transmission, reference)
    relative = spectrum if passed is None else _divide(passed, transmission, spectrum)
    return _Light(
        wavelength=grid,
        intrinsic=source(grid),
        spectrum=spectrum,
        transmission=transmission,
        detected=Curve(grid, undo_pixels(relative * standard, _SAMPLES_PER_COLUMN)),
        continuum_detected=Curve(grid, undo_pixels(standard, _SAMPLES_PER_COLUMN)),
    )


def _draw_standard(light: FloatArray, transmission: FloatArray, reference: GrismReference) -> FloatArray:
    """Draw the rectified spectrum of a flat source of 1 Jy: response times transmission, as a response is measured.

    A published response belongs to the columns of rectified spectra: the spectrum of a standard star over its model
    and the transmission. In bands of ozone it swings by a factor of 2 from column to column, and only times
    transmission it is smooth; so the product in the columns is what is interpolated.
    """
    from scipy.interpolate import CubicSpline

    low, high = reference.geometry.coverage_um
    columns = np.arange(low + reference.geometry.column_um / 2, high, reference.geometry.column_um)
    product = reference.response.at(columns) * np.interp(columns, light, transmission)
    return np.asarray(CubicSpline(columns, product)(np.clip(light, columns[0], columns[-1])))


def _divide(values: FloatArray, divisor: FloatArray, otherwise: FloatArray) -> FloatArray:
    """Divide where that is possible."""
    usable = divisor > _LEAST_THROUGHPUT * divisor.max()
    return np.where(usable, values / np.where(usable, divisor, 1.0), otherwise)


def _plan_exposures(scene: _Scene, kind: str) -> list[Exposure]:
    """List the files with their pointings."""
    options, scale = scene.options, scene.reference.geometry.row_arcsec
    scan = kind.endswith("slitscan")
    beams = "ABBA" if "NXCAC" in scene.mode.skymode and not scan else "A"
    source = np.array(options.source_offset_arcsec, dtype=float)
    exposures = []
    for index, dither in enumerate(options.list_dithers(across=scan)):
        on_sky = scene.rotation @ (source + dither) / ARCSEC_PER_DEGREE
        exposure = Exposure(
            number=index + 1,
            nod_beam=beams[index % len(beams)],
            dither=(float(dither[0]) / scale, float(dither[1]) / scale),
            pointing=find_pointing((options.ra, options.dec), on_sky),
            boresight=scene.boresight,
            scale=(scale, scale),
        )
        exposures.append(exposure)
    return exposures


def _observe(
    scene: _Scene, exposure: Exposure, simulation: Simulation, n_files: int
) -> tuple[GrismFileTruth, FloatArray]:
    """Write one raw file; give its truth and the variance of its stacked image, (Me/s)**2."""
    options = scene.options
    random = np.random.default_rng([simulation.seed, exposure.number])
    sign = chop_sign(compact_date(options.date))
    dither = np.array(exposure.dither) * scene.reference.geometry.row_arcsec
    start = np.array(options.source_offset_arcsec, dtype=float) + dither
    offsets = [start + offset for offset in scene.mode.list_offsets(exposure.nod_beam, sign)]
    levels = tuple(options.sky_level + options.sky_drift * index for index in range(len(offsets)))
    planes = [
        read_out(_draw_sky(scene, level) + _draw_sources(scene, offset), options, scene.bad, random)
        for level, offset in zip(levels, offsets, strict=True)
    ]
    name = name_raw_file(options, exposure.number)
    header = build_header(options, scene.mode, exposure, n_files)
    write_raw(simulation.directory / name, np.stack([p.counts for p in planes]).astype(np.float32), header)
    signs = scene.mode.list_signs(exposure.nod_beam, sign)
    apertures = _find_apertures(scene, offsets, signs)
    truth = GrismFileTruth(
        name, exposure.nod_beam, *exposure.pointing, (float(dither[0]), float(dither[1])), levels, apertures
    )
    variance: FloatArray = np.sum([p.linear_variance for p in planes], axis=0) / options.counts_per_flux**2
    return truth, variance


def _draw_sky(scene: _Scene, level: float) -> FloatArray:
    """Draw the background: a level everywhere, and the emission of the atmosphere through the slit, ADU."""
    geometry, options, light = scene.reference.geometry, scene.options, scene.light
    through = geometry.lit & np.isfinite(geometry.wavelength)
    opaque = 1 - np.interp(geometry.wavelength, light.wavelength, light.transmission)
    emission = np.where(through, opaque, 0.0) * options.sky_emission
    relative = level / options.sky_level if options.sky_level else 1.0
    return np.asarray(level + emission * relative)


def _draw_sources(scene: _Scene, offset: FloatArray) -> FloatArray:
    """Draw all sources of one beam, ADU."""
    options, light = scene.options, np.zeros(scene.reference.geometry.lit.shape)
    point = scene.point_profile(float(offset[0]))
    if options.flux > 0 and point.total > _LEAST_THROUGHPUT * scene.centered.total:
        light += options.flux * _trace(scene, point, float(offset[1])) / scene.centered.total
    if options.extended is not None:
        seen = options.extended.seen(options.psf_fwhm_arcsec, scene.rotation)
        center = offset + scene.rotation @ np.array(options.extended.offset_arcsec)
        profile = collect_profile(seen, float(center[0]), scene.reference.geometry.width_arcsec)
        light += options.extended.flux * _trace(scene, profile, float(center[1]))
    return np.asarray(light * options.counts_per_flux)


def _trace(scene: _Scene, profile: SlitProfile, along: float) -> FloatArray:
    """Disperse a source whose profile along the slit is known."""
    middle = scene.boresight_arcsec + along
    return disperse(scene.reference.geometry, scene.light.detected, profile, lambda wave: middle + scene.bend(wave))


def _find_apertures(scene: _Scene, offsets: list[FloatArray], signs: list[int]) -> tuple[ApertureTruth, ...]:
    """Gather the traces of the point source that are left when the planes are stacked, brightest first."""
    if scene.options.flux <= 0:
        return ()
    found: list[ApertureTruth] = []
    for offset, sign in zip(offsets, signs, strict=True):
        throughput = scene.point_profile(float(offset[0])).total / scene.centered.total
        position = scene.boresight_arcsec + float(offset[1])
        if throughput <= _LEAST_THROUGHPUT:
            continue
        here = [i for i, a in enumerate(found) if abs(a.position_arcsec - position) < _SAME_PLACE_ARCSEC]
        if here and found[here[0]].sign == sign:
            old = found[here[0]]
            found[here[0]] = ApertureTruth(old.position_arcsec, sign, old.weight + 1, old.throughput)
        else:
            found.append(ApertureTruth(position, sign, 1, throughput))
    return tuple(sorted(found, key=lambda aperture: -aperture.weight * aperture.throughput))


def _write_spectra(scene: _Scene, simulation: Simulation, variance: FloatArray) -> None:
    """Write the spectrum of the source beside the raw files, and for a standard its model."""
    options, light = scene.options, scene.light
    low, high = scene.reference.geometry.coverage_um
    inside = (light.wavelength >= low) & (light.wavelength <= high)
    extended = options.extended.flux if options.extended is not None else 0.0
    wavelength = light.wavelength[inside]
    columns = {
        "wavelength": (wavelength, "um"),
        "flux": (options.flux * light.spectrum[inside], "Jy"),
        "flux_intrinsic": (options.flux * light.intrinsic[inside], "Jy"),
        "extended_flux": (extended * light.spectrum[inside], "Jy"),
        "transmission": (light.transmission[inside], ""),
        "response": (scene.reference.response.at(wavelength), "Jy-1"),
        "trace": (scene.middle_arcsec + scene.bend(wavelength), "arcsec"),
        "error": (_predict_error(scene, variance, wavelength), "Jy"),
    }
    write_spectrum(simulation.directory / SPECTRUM_FILE, columns)
    if options.standard:
        _write_model(scene, simulation)


def _predict_error(scene: _Scene, variance: FloatArray, wavelength: FloatArray) -> FloatArray:
    """Predict the error of optimal extraction of the brightest trace of the first file, Jy per rectified column."""
    options, geometry = scene.options, scene.reference.geometry
    middle = scene.middle_arcsec + float(options.list_dithers(across=False)[0, 1])
    weight = 2 if "NMC" in scene.mode.skymode else 1
    template = disperse(
        geometry, scene.light.continuum_detected, scene.centered, lambda wave: middle + scene.bend(wave)
    )
    template *= weight / scene.centered.total
    good = scene.bad.good
    information = np.sum(np.where(good, template**2 / variance, 0.0), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        center = np.nansum(geometry.wavelength * template**2, axis=0) / np.nansum(template**2, axis=0)
        per_column = np.gradient(center) / geometry.column_um
        error = np.sqrt(per_column / information)
    known = np.isfinite(center) & np.isfinite(error)
    return np.asarray(np.interp(wavelength, center[known], error[known]))


def _write_model(scene: _Scene, simulation: Simulation) -> None:
    """Write the model of a standard as the reduction expects it: rows wavelength (um) and flux (Jy)."""
    from astropy.io import fits

    light, options = scene.light, scene.options
    name = "".join(letter for letter in options.object.lower() if letter.isalnum())
    rows = np.stack([light.wavelength, options.flux * light.intrinsic])
    fits.PrimaryHDU(rows).writeto(simulation.directory / f"{name}_model.fits", overwrite=True)


def _describe_lines(scene: _Scene) -> tuple[LineTruth, ...]:
    """Say where the lines are and how strong."""
    options, geometry = scene.options, scene.reference.geometry
    flux = options.flux or (options.extended.flux if options.extended else 0.0)
    waves = _follow_trace(scene)
    described = []
    for line in options.seen_lines:
        continuum = flux * (line.wavelength_um / scene.center_um) ** options.slope
        width = line.wavelength_um * float(np.hypot(1 / options.seen_resolution, line.fwhm_km_s / 299792.458))
        x = float(np.interp(line.wavelength_um, waves, np.arange(waves.size), left=np.nan, right=np.nan))
        described.append(LineTruth(line.name, line.wavelength_um, line_flux(line, continuum), width, x))
    low, high = geometry.coverage_um
    return tuple(line for line in described if low <= line.wavelength_um <= high)


def _follow_trace(scene: _Scene) -> FloatArray:
    """Give the wavelength in each column on the trace of the undithered source."""
    geometry = scene.reference.geometry
    waves = np.full(geometry.wavelength.shape[1], np.nan)
    for column in range(waves.size):
        known = np.isfinite(geometry.wavelength[:, column]) & np.isfinite(geometry.position[:, column])
        if known.any():
            wave, position = geometry.wavelength[known, column], geometry.position[known, column]
            off = position - scene.middle_arcsec - scene.bend(wave)
            waves[column] = np.interp(0.0, off, wave)
    return waves


def _summarise(simulation: Simulation, scene: _Scene, observed: tuple[GrismFileTruth, ...]) -> ForcastGrismTruth:
    """Put the truth together."""
    options, geometry = scene.options, scene.reference.geometry
    return ForcastGrismTruth(
        kind=simulation.kind,
        seed=simulation.seed,
        directory=simulation.directory,
        files=tuple(file.name for file in observed),
        options=asdict(options),
        ra=options.ra,
        dec=options.dec,
        flux_jy=options.flux,
        extended_flux_jy=options.extended.flux if options.extended else 0.0,
        center_um=scene.center_um,
        resolution=options.seen_resolution,
        column_um=geometry.column_um,
        row_arcsec=geometry.row_arcsec,
        slit_width_arcsec=geometry.width_arcsec,
        boresight_arcsec=scene.boresight_arcsec,
        psf_fwhm_arcsec=options.psf_fwhm_arcsec,
        lines=_describe_lines(scene),
        noise=options.noise_model if options.noise else None,
        reference_files=scene.reference.files,
        observed=observed,
    )
