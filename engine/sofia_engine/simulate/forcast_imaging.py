"""Forward model of FORCAST imaging: a star, and a blob if wanted, chopped, nodded and dithered over the detector."""

from __future__ import annotations

import gzip
import io
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError, ParameterError
from sofia_engine.simulate.distortion import PIXEL_SCALE, Distortion
from sofia_engine.simulate.forcast_detector import (
    CAPACITANCES,
    DETECTOR_SHAPE,
    BadPixels,
    NoiseModel,
    add_jailbars,
    apply_droop,
    apply_nonlinearity,
    draw_noise,
    find_nonlinearity,
    shift_readout,
    spoil_pixels,
)
from sofia_engine.simulate.forcast_filters import normalise_filter
from sofia_engine.simulate.forcast_header import Exposure, build_header, chop_sign, name_raw_file
from sofia_engine.simulate.forcast_modes import PAIR_BEAMS, SkyMode
from sofia_engine.simulate.forcast_reference import ForcastReference, load_reference
from sofia_engine.simulate.options import Observation, check_choice, check_number, check_pair, compact_date
from sofia_engine.simulate.projection import ARCSEC_PER_DEGREE, find_pointing, rotation_angle, sky_matrix
from sofia_engine.simulate.registry import Simulation, register_kind
from sofia_engine.simulate.sources import ExtendedSource, PointSource, render_source
from sofia_engine.simulate.truth import Truth

__all__ = ["BeamTruth", "FileTruth", "ForcastImaging", "ForcastImagingTruth", "simulate_forcast_imaging"]

FloatArray = NDArray[np.float64]
_GOLDEN_ANGLE = np.radians(137.50776)
_DITHER_RADIUS_ARCSEC = 9.0
_LARGEST_COUNT = 65535.0
_LIMITS = {
    "n_dither": (1, 99),
    "sky_angle": (-360, 360),
    "flux": (0, 1e9),
    "psf_fwhm_arcsec": (0.5, 30),
    "sky_level": (0, 60000),
    "sky_drift": (-10000, 10000),
    "jailbar_amplitude": (0, 1000),
    "droop_fraction": (0, 0.05),
    "detitime": (0.01, 10000),
    "frame_rate": (0.1, 10000),
}
_OPTIONAL_LIMITS = {
    "chop_throw_arcsec": (0.1, 10000),
    "chop_angle": (-360, 360),
    "nod_throw_arcsec": (0.1, 10000),
    "nod_angle": (-360, 360),
    "calibration_factor": (1e-9, 1e9),
    "telluric_factor": (1e-3, 1e3),
}
_CHOICES = {
    "camera": ("SW", "LW"),
    "chop_frame": ("SIRF", "ERF"),
    "flux_unit": ("Me/s", "Jy"),
    "psf_profile": ("gaussian", "moffat"),
    "capacitance": ("lo", "hi"),
    "calibration": ("reference", "none"),
}


@dataclass(frozen=True, kw_only=True)
class ForcastImaging(Observation):
    """
    Options of a simulated FORCAST imaging observation.

    Parameters
    ----------
    camera
        ``SW`` or ``LW``.
    filter
        ``FOR_F197``, ``F315``, ...; None for 19.7 um in the SW and 31.5 um in the LW camera.
    dual
        Both cameras observe at once (through the dichroic); only the files of ``camera`` are written.
    standard
        The target is a flux standard (OBSTYPE STANDARD_FLUX).
    n_dither
        Number of positions on source: of files, but for two-plane C2NC2, where B files are added.
    dithers_arcsec
        Offsets (x, y) of the source on the undistorted detector, one per position; None for a spiral of 9 arcsec.
    chop_throw_arcsec, chop_angle, nod_throw_arcsec, nod_angle
        Full throws and their directions on the detector (degrees from +y to +x); None for what fits the mode. The
        nod of NMC follows from the chop.
    chop_frame
        Coordinate system of the angles in the header: ``SIRF`` (detector) or ``ERF`` (sky).
    source_offset_arcsec
        Place (x, y) of the source from the boresight before dithering, on the undistorted detector.
    boresight
        Raw pixel x, y (0-based) of the boresight; None for the centre, but for NPC for where all four copies of a
        source at the boresight are on the detector.
    sky_angle
        SKY_ANGL, degrees.
    flux, flux_unit
        Detected flux of the point source in Me/s, or flux above the atmosphere in Jy.
    extended
        Extended source (`ExtendedSource` or a dict of its fields) in the same unit; None for none.
    psf_fwhm_arcsec, psf_profile
        Point-spread function, ``gaussian`` or ``moffat``.
    sky_level, sky_drift
        Linear background of the first plane and its change from plane to plane, ADU.
    droop, droop_fraction, nonlinearity, jailbars, jailbar_amplitude, bad_pixels, distortion
        Effects of the detector, to be switched off one by one; amplitude in ADU.
    readout_shift
        Move all planes by 16 pixels, as a readout error does.
    capacitance
        ``lo`` or ``hi``.
    detitime, frame_rate
        DETITIME (s, both nod beams) and FRMRATE (Hz).
    bad_pixel_mask, pinhole_locations
        ``reference`` (published file), a path, ``synthetic`` (made, and written beside the raw files) or ``none``.
    calibration
        ``reference`` to compute flux in Jy with the published tables, ``none`` to leave it unknown.
    calibration_factor, telluric_factor
        Values to use instead of the published ones: Me/s per Jy, and correction of detected counts.
    """

    camera: str = "SW"
    filter: str | None = None
    dual: bool = False
    standard: bool = False
    n_dither: int = 1
    dithers_arcsec: tuple[tuple[float, float], ...] | None = None
    chop_throw_arcsec: float | None = None
    chop_angle: float | None = None
    nod_throw_arcsec: float | None = None
    nod_angle: float | None = None
    chop_frame: str = "SIRF"
    source_offset_arcsec: tuple[float, float] = (0.0, 0.0)
    boresight: tuple[float, float] | None = None
    sky_angle: float = 150.0
    flux: float = 160.0
    flux_unit: str = "Me/s"
    extended: ExtendedSource | None = None
    psf_fwhm_arcsec: float = 3.3
    psf_profile: str = "gaussian"
    sky_level: float = 5000.0
    sky_drift: float = 4.0
    droop: bool = True
    droop_fraction: float = 0.0035
    nonlinearity: bool = True
    jailbars: bool = True
    jailbar_amplitude: float = 2.0
    bad_pixels: bool = True
    distortion: bool = True
    readout_shift: bool = False
    capacitance: str = "lo"
    detitime: float = 40.0
    frame_rate: float = 24.2203
    bad_pixel_mask: Path | str = "reference"
    pinhole_locations: Path | str = "reference"
    calibration: str = "reference"
    calibration_factor: float | None = None
    telluric_factor: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, (low, high) in _LIMITS.items():
            check_number(name, getattr(self, name), low, high)
        for name, (low, high) in _OPTIONAL_LIMITS.items():
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), low, high)
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        self._check_positions()
        self._convert_extended()
        normalise_filter(self.spectel, self.camera, compact_date(self.date))

    @property
    def spectel(self) -> str:
        """Name of the filter as in the header."""
        default = {"SW": "F197", "LW": "F315"}[self.camera]
        return normalise_filter(self.filter or default, self.camera, compact_date(self.date))

    @cached_property
    def dithers(self) -> FloatArray:
        """Offsets of the source, shape (n_dither, 2), arcsec on the undistorted detector."""
        if self.dithers_arcsec is not None:
            return np.array(self.dithers_arcsec, dtype=float)
        turns = np.arange(self.n_dither)
        radius = _DITHER_RADIUS_ARCSEC * np.sqrt(turns / max(self.n_dither - 1, 1))
        spiral: FloatArray = radius * np.array([np.cos(turns * _GOLDEN_ANGLE), np.sin(turns * _GOLDEN_ANGLE)])
        return spiral.T.round(3)

    @property
    def noise_model(self) -> NoiseModel:
        """Noise of the raw planes."""
        setting = CAPACITANCES[self.capacitance]
        return NoiseModel(self.frame_rate, self.detitime / 2, setting.electrons_per_adu, setting.read_noise)

    @property
    def counts_per_flux(self) -> float:
        """ADU per frame of one Me/s."""
        return 1e6 / (self.frame_rate * CAPACITANCES[self.capacitance].electrons_per_adu)

    def _check_positions(self) -> None:
        """Check all options that are positions."""
        check_pair("source_offset_arcsec", self.source_offset_arcsec)
        if self.boresight is not None:
            check_pair("boresight", self.boresight)
        if not isinstance(self.n_dither, int):
            raise ParameterError(f"Option 'n_dither' of the simulation is {self.n_dither!r}; give a whole number.")
        if self.dithers_arcsec is not None:
            for pair in self.dithers_arcsec:
                check_pair("dithers_arcsec", pair)
            object.__setattr__(self, "n_dither", len(self.dithers_arcsec))
            check_number("number of dithers_arcsec", self.n_dither, *_LIMITS["n_dither"])

    def _convert_extended(self) -> None:
        """Accept a dict, as parameter files give it, for the extended source."""
        if isinstance(self.extended, dict):
            try:
                object.__setattr__(self, "extended", ExtendedSource(**self.extended))
            except TypeError as error:
                message = f"Option 'extended' of the simulation cannot be used ({error}); give flux, FWHM, offset."
                raise ParameterError(message) from error
        if self.extended is not None and not isinstance(self.extended, ExtendedSource):
            raise ParameterError(f"Option 'extended' of the simulation is {self.extended!r}; give an ExtendedSource.")


@dataclass(frozen=True)
class BeamTruth:
    """
    The source in one plane of a raw file.

    Parameters
    ----------
    plane
        Index of the plane.
    sign
        Sign of the plane in the stacked image.
    x, y
        Raw pixel (0-based) of the source, before any readout shift.
    on_detector
        Whether that is inside the detector.
    area_ratio
        Area of sky a raw pixel sees there over that of a mean pixel. Resampling to equal pixels without regard to
        area, as the distortion correction does, gives this multiple of the flux.
    """

    plane: int
    sign: int
    x: float
    y: float
    on_detector: bool
    area_ratio: float


@dataclass(frozen=True)
class FileTruth:
    """
    The truth of one raw file.

    Parameters
    ----------
    name
        File name.
    nod_beam
        Nod beam, or that of the first half.
    ra, dec
        Position of the boresight, degrees.
    dither_arcsec
        Dither offset (x, y) of the source on the undistorted detector.
    sky_levels
        Linear background of each plane, ADU.
    beams
        The source in each plane.
    """

    name: str
    nod_beam: str
    ra: float
    dec: float
    dither_arcsec: tuple[float, float]
    sky_levels: tuple[float, ...]
    beams: tuple[BeamTruth, ...]


@dataclass(frozen=True, kw_only=True)
class ForcastImagingTruth(Truth):
    """
    The truth of a simulated FORCAST imaging observation.

    Parameters
    ----------
    ra, dec
        Position of the point source, degrees.
    flux_me_s
        Detected flux of the point source, Me/s.
    flux_jy
        Its flux above the atmosphere, Jy; None if the calibration is not known.
    extended_flux_me_s, extended_flux_jy
        The same of the extended source.
    calibration_factor
        Me/s per Jy, or None.
    telluric_factor
        Multiplies detected flux to give that at the reference altitude and zenith angle.
    calibration_origin
        Where the two factors come from.
    noise
        Parameters of the noise model; None for no noise.
    pixel_scale_arcsec
        Mean arcsec per raw pixel in x and y.
    distortion_residual
        Root mean square of the fit to the pinholes, pixels.
    reference_files
        Bad-pixel mask and pinhole table used.
    observed
        One entry per raw file.
    """

    ra: float
    dec: float
    flux_me_s: float
    flux_jy: float | None
    extended_flux_me_s: float
    extended_flux_jy: float | None
    calibration_factor: float | None
    telluric_factor: float
    calibration_origin: dict[str, str]
    noise: NoiseModel | None
    pixel_scale_arcsec: tuple[float, float]
    distortion_residual: float
    reference_files: dict[str, str]
    observed: tuple[FileTruth, ...]


@dataclass(frozen=True)
class _Scene:
    """All that is the same in every file."""

    options: ForcastImaging
    mode: SkyMode
    reference: ForcastReference
    bad: BadPixels

    @cached_property
    def rotation(self) -> FloatArray:
        """Matrix between detector and sky offsets."""
        return sky_matrix(rotation_angle(self.options.sky_angle))

    @cached_property
    def source_offset(self) -> FloatArray:
        """Place of the undithered source from the boresight, arcsec."""
        return np.array(self.options.source_offset_arcsec, dtype=float)

    def detected(self, flux: float) -> float:
        """Turn a flux in the unit of the options into detected Me/s."""
        calibration = self.reference.calibration
        if self.options.flux_unit == "Jy" and calibration.factor is not None:
            return flux * calibration.factor / calibration.telluric_factor
        return flux


@register_kind(
    "forcast-imaging-nmc",
    "FORCAST image of the flux standard Alpha Boo, nod matched to chop, 4 dithers",
    ForcastImaging,
    standard=True,
    object="Alpha Boo",
    n_dither=4,
)
@register_kind(
    "forcast-imaging-npc",
    "FORCAST image of a star, nod perpendicular to chop, 2 dithers",
    ForcastImaging,
    n_dither=2,
    flux=60.0,
)
@register_kind(
    "forcast-imaging-c2nc2",
    "FORCAST image of a star, asymmetric chop and nod to empty sky, files of four planes, 2 dithers",
    ForcastImaging,
    n_dither=2,
    flux=60.0,
)
@register_kind(
    "forcast-imaging-c2nc2-pairs",
    "FORCAST image of a star, asymmetric chop, old files of two planes in the order ABAABAAB",
    ForcastImaging,
    n_dither=5,
    flux=60.0,
)
def simulate_forcast_imaging(simulation: Simulation) -> ForcastImagingTruth:
    """
    Write the raw files of a FORCAST imaging observation.

    Parameters
    ----------
    simulation
        Kind, options (`ForcastImaging`), folder and seed.

    Returns
    -------
    ForcastImagingTruth
        Truth of the observation.
    """
    options: ForcastImaging = simulation.options
    random = np.random.default_rng([simulation.seed, 0])
    mode = _choose_mode(simulation.kind, options)
    reference = load_reference(options, simulation.directory, random)
    reference = replace(reference, distortion=_place_boresight(reference.distortion, options, mode))
    scene = _Scene(options, mode, reference, BadPixels.draw(reference.mask, random))
    exposures = _plan_exposures(scene)
    observed = tuple(_observe(scene, exposure, simulation, len(exposures)) for exposure in exposures)
    return _summarise(simulation, scene, observed)


def _choose_mode(kind: str, options: ForcastImaging) -> SkyMode:
    """Complete the throws of the mode that a kind stands for."""

    def either(value: float | None, default: float) -> float:
        return float(default if value is None else value)

    pairs = kind.endswith("pairs")
    if pairs and options.n_dither > PAIR_BEAMS.count("A"):
        raise ParameterError(f"Two-plane C2NC2 has at most 5 positions on source; {options.n_dither} are asked for.")
    if kind.endswith("nmc"):
        if options.nod_throw_arcsec is not None or options.nod_angle is not None:
            raise ParameterError("The nod of NMC follows from the chop; leave out 'nod_throw_arcsec' and 'nod_angle'.")
        throw, angle = either(options.chop_throw_arcsec, 60), either(options.chop_angle, 30)
        return SkyMode("C2N", "NMC", 4, throw, angle, throw, angle + 180)
    if kind.endswith("npc"):
        throw, angle = either(options.chop_throw_arcsec, 50), either(options.chop_angle, 0)
        nod = either(options.nod_throw_arcsec, 50), either(options.nod_angle, angle + 90)
        return SkyMode("C2N", "NPC", 4, throw, angle, *nod)
    throw, angle = either(options.chop_throw_arcsec, 420), either(options.chop_angle, 330)
    nod = either(options.nod_throw_arcsec, 600), either(options.nod_angle, 150)
    return SkyMode("C2NC2", "C2NC2", 2 if pairs else 4, throw, angle, *nod)


def _place_boresight(distortion: Distortion, options: ForcastImaging, mode: SkyMode) -> Distortion:
    """Put the boresight on its pixel: the centre, or for NPC the corner of a chop-nod square around the centre."""
    if options.boresight is not None:
        return replace(distortion, boresight=options.boresight)
    if mode.skymode != "NPC":
        return distortion
    x, y = distortion.to_pixel(-(mode.chop + mode.nod) / 2).round(2)
    return replace(distortion, boresight=(float(x), float(y)))


def _plan_exposures(scene: _Scene) -> list[Exposure]:
    """List the files with their pointings."""
    options, dithers = scene.options, iter(scene.options.dithers)
    exposures, dither = [], np.zeros(2)
    for number, beam in enumerate(scene.mode.list_beams(options.n_dither), start=1):
        if beam == "A":
            dither = next(dithers)
        away = scene.mode.nod if beam == "B" else np.zeros(2)
        on_sky = scene.rotation @ (scene.source_offset + dither + away) / ARCSEC_PER_DEGREE
        pixels = dither / PIXEL_SCALE
        exposure = Exposure(
            number=number,
            nod_beam=beam,
            dither=(float(pixels[0]), float(pixels[1])),
            pointing=find_pointing((options.ra, options.dec), on_sky),
            boresight=scene.reference.distortion.boresight,
            scale=scene.reference.distortion.scale,
        )
        exposures.append(exposure)
    return exposures


def _observe(scene: _Scene, exposure: Exposure, simulation: Simulation, n_files: int) -> FileTruth:
    """Write one raw file."""
    options = scene.options
    random = np.random.default_rng([simulation.seed, exposure.number])
    sign = chop_sign(compact_date(options.date))
    dither = np.array(exposure.dither) * PIXEL_SCALE
    positions = [scene.source_offset + dither + offset for offset in scene.mode.list_offsets(exposure.nod_beam, sign)]
    levels = tuple(options.sky_level + options.sky_drift * index for index in range(len(positions)))
    planes = [
        _read_out(scene, level + _collect_light(scene, position), random)
        for level, position in zip(levels, positions, strict=True)
    ]
    header = build_header(options, scene.mode, exposure, n_files)
    name = name_raw_file(options, exposure.number)
    _write_raw(simulation.directory / name, np.stack(planes).astype(np.float32), header)
    signs = scene.mode.list_signs(exposure.nod_beam, sign)
    beams = tuple(_describe_beam(scene, plane, *beam) for plane, beam in enumerate(zip(signs, positions, strict=True)))
    return FileTruth(name, exposure.nod_beam, *exposure.pointing, (float(dither[0]), float(dither[1])), levels, beams)


def _collect_light(scene: _Scene, position: FloatArray) -> FloatArray:
    """Draw all sources of one beam, ADU."""
    options, distortion = scene.options, scene.reference.distortion
    point = PointSource(options.psf_fwhm_arcsec, options.psf_profile).seen()
    light = scene.detected(options.flux) * render_source(point, position, distortion, DETECTOR_SHAPE)
    if options.extended is not None:
        blob = options.extended.seen(options.psf_fwhm_arcsec, scene.rotation)
        center = position + scene.rotation @ np.array(options.extended.offset_arcsec)
        light += scene.detected(options.extended.flux) * render_source(blob, center, distortion, DETECTOR_SHAPE)
    return light * options.counts_per_flux


def _read_out(scene: _Scene, light: FloatArray, random: np.random.Generator) -> FloatArray:
    """Turn the light on the detector (linear ADU) into a raw plane."""
    options, good = scene.options, scene.bad.good
    plane = light
    if options.nonlinearity:
        curve = find_nonlinearity(compact_date(options.date), options.camera, options.capacitance)
        plane = apply_nonlinearity(plane, good, curve)
    if options.droop:
        plane = apply_droop(plane, good, options.droop_fraction)
    if plane.max() > _LARGEST_COUNT:
        raise ParameterError(
            f"The simulated source reaches {plane.max():.0f} ADU, above the 65535 of the detector; lower 'flux'."
        )
    if options.noise:
        plane = draw_noise(plane, options.noise_model, random)
    if options.jailbars:
        plane = add_jailbars(plane, options.jailbar_amplitude, random)
    plane = spoil_pixels(plane, scene.bad, random)
    return shift_readout(plane) if options.readout_shift else plane


def _describe_beam(scene: _Scene, plane: int, sign: int, position: FloatArray) -> BeamTruth:
    """Say where the source of a beam falls on the detector."""
    distortion = scene.reference.distortion
    x, y = (float(value) for value in distortion.to_pixel(position))
    inside = -0.5 <= x <= DETECTOR_SHAPE[1] - 0.5 and -0.5 <= y <= DETECTOR_SHAPE[0] - 0.5
    mean_area = distortion.scale[0] * distortion.scale[1]
    area = float(distortion.to_offset(np.array([x, y]))[1]) if inside else mean_area
    return BeamTruth(plane, sign, x, y, inside, area / mean_area)


def _write_raw(path: Path, planes: NDArray[np.float32], header: dict[str, Any]) -> None:
    """Write a raw file; compressed ones carry no time, so that equal simulations give equal files."""
    from astropy.io import fits

    hdu = fits.PrimaryHDU(planes)
    hdu.header.update(header)
    buffer = io.BytesIO()
    hdu.writeto(buffer)
    content = buffer.getvalue()
    try:
        path.write_bytes(gzip.compress(content, compresslevel=4, mtime=0) if path.suffix == ".gz" else content)
    except OSError as error:
        raise InputError(f"The raw file {path} cannot be written ({error.strerror}); choose another folder.") from error


def _summarise(simulation: Simulation, scene: _Scene, observed: tuple[FileTruth, ...]) -> ForcastImagingTruth:
    """Put the truth together."""
    options, calibration = scene.options, scene.reference.calibration
    point = scene.detected(options.flux)
    extended = scene.detected(options.extended.flux) if options.extended else 0.0
    return ForcastImagingTruth(
        kind=simulation.kind,
        seed=simulation.seed,
        directory=simulation.directory,
        files=tuple(file.name for file in observed),
        options=asdict(options),
        ra=options.ra,
        dec=options.dec,
        flux_me_s=point,
        flux_jy=calibration.to_jansky(point),
        extended_flux_me_s=extended,
        extended_flux_jy=calibration.to_jansky(extended),
        calibration_factor=calibration.factor,
        telluric_factor=calibration.telluric_factor,
        calibration_origin=calibration.origin,
        noise=options.noise_model if options.noise else None,
        pixel_scale_arcsec=scene.reference.distortion.scale,
        distortion_residual=scene.reference.distortion.residual,
        reference_files=scene.reference.files,
        observed=observed,
    )
