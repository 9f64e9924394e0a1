"""Forward model of FORCAST imaging: a star, and a blob if wanted, chopped, nodded and dithered over the detector."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError
from sofia_engine.simulate.distortion import PIXEL_SCALE, Distortion
from sofia_engine.simulate.forcast_detector import DETECTOR_SHAPE, BadPixels, shift_readout
from sofia_engine.simulate.forcast_header import Exposure, build_header, chop_sign, name_raw_file
from sofia_engine.simulate.forcast_modes import PAIR_BEAMS, SkyMode
from sofia_engine.simulate.forcast_options import ForcastImaging
from sofia_engine.simulate.forcast_readout import read_out, write_raw
from sofia_engine.simulate.forcast_reference import ForcastReference, load_reference
from sofia_engine.simulate.forcast_truth import BeamTruth, FileTruth, ForcastImagingTruth
from sofia_engine.simulate.options import compact_date
from sofia_engine.simulate.projection import ARCSEC_PER_DEGREE, find_pointing, rotation_angle, sky_matrix
from sofia_engine.simulate.registry import Simulation, register_kind
from sofia_engine.simulate.sources import PointSource, render_source

__all__ = ["ForcastImaging", "ForcastImagingTruth", "simulate_forcast_imaging"]

FloatArray = NDArray[np.float64]


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
        read_out(level + _collect_light(scene, position), options, scene.bad, random).counts
        for level, position in zip(levels, positions, strict=True)
    ]
    if options.readout_shift:
        planes = [shift_readout(plane) for plane in planes]
    header = build_header(options, scene.mode, exposure, n_files)
    name = name_raw_file(options, exposure.number)
    write_raw(simulation.directory / name, np.stack(planes).astype(np.float32), header)
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


def _describe_beam(scene: _Scene, plane: int, sign: int, position: FloatArray) -> BeamTruth:
    """Say where the source of a beam falls on the detector."""
    distortion = scene.reference.distortion
    x, y = (float(value) for value in distortion.to_pixel(position))
    inside = -0.5 <= x <= DETECTOR_SHAPE[1] - 0.5 and -0.5 <= y <= DETECTOR_SHAPE[0] - 0.5
    mean_area = distortion.scale[0] * distortion.scale[1]
    area = float(distortion.to_offset(np.array([x, y]))[1]) if inside else mean_area
    return BeamTruth(plane, sign, x, y, inside, area / mean_area)


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
