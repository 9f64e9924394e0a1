"""Forward model of FIFI-LS: sources with line and continuum, seen by spaxels through a grating, read out in ramps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sofia_engine.simulate.fifi_ls_atmosphere import find_barycentric_velocity, load_atmosphere
from sofia_engine.simulate.fifi_ls_geometry import disperse, find_grating_position, locate_spaxels, spaxel_side
from sofia_engine.simulate.fifi_ls_header import GratingPlan, build_header, name_raw_file, start_time
from sofia_engine.simulate.fifi_ls_light import GratingView, LineShape
from sofia_engine.simulate.fifi_ls_noise import draw_drifts, draw_gain_errors
from sofia_engine.simulate.fifi_ls_options import FifiLs
from sofia_engine.simulate.fifi_ls_ramps import FrameCounters, draw_frames, write_raw
from sofia_engine.simulate.fifi_ls_schedule import MODES, Exposure, Mode, Ramps, plan_exposures, plan_ramps
from sofia_engine.simulate.fifi_ls_sources import SIGMA_PER_FWHM, ExtendedLineSource, PointCloud, make_cloud
from sofia_engine.simulate.fifi_ls_tables import ChannelTables, load_tables
from sofia_engine.simulate.fifi_ls_truth import (
    SOURCES_FILE,
    ChannelTruth,
    FifiLsFileTruth,
    FifiLsTruth,
    write_sources,
)
from sofia_engine.simulate.registry import Simulation, register_kind

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FifiLs", "FifiLsTruth", "simulate_fifi_ls"]

FloatArray = NDArray[np.float64]
_LIGHT_KM_S = 299792.458
_CENTRAL_SPAXEL = 12
_ROTATING = ExtendedLineSource(
    2e-14, 40.0, 40.0, 20.0, 30.0, velocity_gradient_km_s_arcsec=6.0, velocity_limit_km_s=150
)


@dataclass(frozen=True)
class _Channel:
    """All that is the same in every file of a channel."""

    options: FifiLs
    mode: Mode
    tables: ChannelTables
    gratings: dict[str, GratingPlan]
    cloud: PointCloud
    line: LineShape

    @property
    def name(self) -> str:
        """``RED`` or ``BLUE``."""
        return self.tables.channel

    @property
    def positions(self) -> tuple[int, ...]:
        """Positions of the grating."""
        return self.gratings[self.name].positions

    @cached_property
    def views(self) -> tuple[GratingView, ...]:
        """What the pixels see, by position of the grating."""
        return tuple(self._view(position) for position in self.positions)

    def _view(self, position: int) -> GratingView:
        return GratingView(
            tables=self.tables,
            dispersion=disperse(self.tables.grating, position),
            places=locate_spaxels(self.tables, self.options.primary, position),
            detector_angle=self.options.detector_angle,
            cloud=self.cloud,
            psf_fwhm_arcsec=self.options.psf_fwhm(self.name),
            line=self.line,
        )

    @cached_property
    def working(self) -> NDArray[np.bool_]:
        """(16, 25) pixels that give a signal."""
        return ~self.tables.bad if self.options.bad_pixels else np.ones_like(self.tables.bad)


@register_kind(
    "fifi-ls-symmetric", "FIFI-LS cube of a point source, symmetric chop, nods ABBA, 4 dithers, 2 gratings", FifiLs
)
@register_kind(
    "fifi-ls-asymmetric",
    "FIFI-LS cube of a rotating extended source, asymmetric chop, nods AAB to empty sky, 8 dithers",
    FifiLs,
    n_dither=8,
    flux=0.0,
    line_flux_w_m2=0.0,
    extended=_ROTATING,
)
@register_kind(
    "fifi-ls-bright",
    "FIFI-LS cube of a bright point source, asymmetric chop, nods AAAAB, 4 dithers",
    FifiLs,
    flux=500.0,
    line_flux_w_m2=1e-13,
)
@register_kind(
    "fifi-ls-spectral-scan",
    "FIFI-LS cube of a point source over 8 positions of the grating, symmetric chop, 3 dithers",
    FifiLs,
    n_dither=3,
    n_grating=8,
    grating_step_pixels=4.0,
)
@register_kind(
    "fifi-ls-total-power", "FIFI-LS cube of a point source without chop, nods AB to empty sky, 4 dithers", FifiLs
)
@register_kind(
    "fifi-ls-otf",
    "FIFI-LS map of a rotating extended source by scans across it, without chop",
    FifiLs,
    flux=0.0,
    line_flux_w_m2=0.0,
    extended=_ROTATING,
)
def simulate_fifi_ls(simulation: Simulation) -> FifiLsTruth:
    """
    Write the raw files of a FIFI-LS observation, its sources as ECSV, and the atmosphere.

    Parameters
    ----------
    simulation
        Kind, options (`FifiLs`), folder and seed.

    Returns
    -------
    FifiLsTruth
        Truth of the observation.
    """
    options: FifiLs = simulation.options
    mode = MODES[simulation.kind.removeprefix("fifi-ls-")]
    exposures = plan_exposures(options, mode)
    transmission, atmosphere = load_atmosphere(options, simulation.directory)
    middle = start_time(options, exposures[len(exposures) // 2]).strftime("%Y-%m-%dT%H:%M:%S")
    correction = find_barycentric_velocity(options, middle)
    tables = {name: load_tables(options, name) for name in ("RED", "BLUE")}
    gratings = {name: _plan_grating(options, mode, tables[name], correction) for name in tables}
    channels = []
    for name in options.channels:
        line = LineShape(
            options.line_um(name),
            options.line_fwhm_km_s,
            correction,
            float(tables[name].resolution.at(np.array(options.line_um(name)))),
            options.slope,
            transmission,
        )
        cloud = make_cloud(options, options.psf_fwhm(name) * SIGMA_PER_FWHM)
        channels.append(_Channel(options, mode, tables[name], gratings, cloud, line))
    observed = [_observe(channel, exposure, simulation) for exposure in exposures for channel in channels]
    return _summarise(simulation, channels, tuple(observed), atmosphere)


def _plan_grating(options: FifiLs, mode: Mode, tables: ChannelTables, correction: float) -> GratingPlan:
    """Put the positions of the grating around the line."""
    velocity = options.velocity_km_s if options.extended is None else options.extended.velocity_km_s
    center_um = options.line_um(tables.channel) * (1 + (velocity - correction) / _LIGHT_KM_S)
    center = find_grating_position(tables.grating, center_um)
    pixel = float(disperse(tables.grating, center).width[7:9, _CENTRAL_SPAXEL].mean())
    there = find_grating_position(tables.grating, center_um + options.grating_step_pixels * pixel)
    count = 1 if mode.scanned else options.n_grating
    step = there - center
    return GratingPlan(round(center - (count - 1) / 2 * step), step, count, center_um)


def _observe(channel: _Channel, exposure: Exposure, simulation: Simulation) -> FifiLsFileTruth:
    """Write one raw file."""
    options = channel.options
    blue = channel.name == "BLUE"
    random = np.random.default_rng([simulation.seed, exposure.number, int(blue)])
    ramps = plan_ramps(options, channel.mode, exposure)
    positions = np.array(channel.positions, dtype=float)
    slopes = _find_slopes(channel, ramps, 1 + options.background_drift * (exposure.number - 1))
    slopes = _disturb(channel, slopes, exposure, simulation)
    frames = draw_frames(slopes, positions[ramps.grating], ramps.settling, options, random)
    words = FrameCounters(blue, ramps.chop, options.lead_readouts).build()
    name = name_raw_file(options, channel.name, exposure)
    header = build_header(options, channel.mode, channel.name, exposure, channel.gratings)
    lead = frames[frames.shape[0] - options.lead_readouts :]
    write_raw(simulation.directory / name, words, np.concatenate([lead, frames]), header)
    return FifiLsFileTruth(name, channel.name, exposure.nod_beam, exposure.map_offset, exposure.speed)


def _find_slopes(channel: _Channel, ramps: Ramps, background: float) -> FloatArray:
    """Give the signal in each ramp, (n_ramp, 16, 25) ADU per readout."""
    options = channel.options
    level = options.background_adu * background * np.where(ramps.chop == 1, 1 + options.chop_background, 1.0)
    level = level * np.where(ramps.settling, 1 + options.settling, 1.0)
    slopes = np.empty((ramps.chop.size, *channel.tables.bad.shape))
    known: dict[tuple[float, ...], FloatArray] = {}
    for ramp, (grating, pointing) in enumerate(zip(ramps.grating, ramps.pointing, strict=True)):
        view, key = channel.views[grating], (float(grating), *pointing)
        if key not in known:
            known[key] = view.collect(pointing)
        slopes[ramp] = known[key] + level[ramp] * view.flat
    return slopes * channel.working


def _disturb(channel: _Channel, slopes: FloatArray, exposure: Exposure, simulation: Simulation) -> FloatArray:
    """Add noise of the sky and drifts of pixels, and let gains differ from the published flat."""
    options, blue, view = channel.options, channel.name == "BLUE", channel.views[0]
    if options.noise and (options.sky_noise_adu or options.sky_gradient_adu or options.pixel_drift_adu):
        # numbers of their own: observations without this noise stay what they are
        random = np.random.default_rng([simulation.seed, exposure.number, int(blue), 1])
        drifts = draw_drifts(options, slopes.shape[0], view.places, random)
        slopes = slopes + drifts * view.flat * channel.working
    return slopes * draw_gain_errors(options, channel.tables.bad.shape, simulation.seed, blue=blue)


def _summarise(
    simulation: Simulation, channels: list[_Channel], observed: tuple[FifiLsFileTruth, ...], atmosphere: str
) -> FifiLsTruth:
    """Put the truth together."""
    options: FifiLs = simulation.options
    for channel in channels:
        write_sources(_sources_path(simulation, channel), channel.cloud)
    extended = options.extended
    return FifiLsTruth(
        kind=simulation.kind,
        seed=simulation.seed,
        directory=simulation.directory,
        files=tuple(file.name for file in observed),
        options=asdict(options),
        ra=options.ra + options.source_offset_arcsec[0] / 3600 / np.cos(np.radians(options.dec)),
        dec=options.dec + options.source_offset_arcsec[1] / 3600,
        line_flux_w_m2=options.line_flux_w_m2,
        extended_line_flux_w_m2=extended.line_flux_w_m2 if extended else 0.0,
        flux_jy=options.flux,
        extended_flux_jy=extended.flux if extended else 0.0,
        velocity_km_s=options.velocity_km_s,
        barycentric_correction_km_s=channels[0].line.barycentric_km_s,
        atmosphere=atmosphere,
        channels={channel.name: _describe_channel(channel) for channel in channels},
        observed=observed,
    )


def _sources_path(simulation: Simulation, channel: _Channel) -> Path:
    return simulation.directory / SOURCES_FILE.format(channel=channel.name.lower())


def _describe_channel(channel: _Channel) -> ChannelTruth:
    options, line = channel.options, channel.line
    view = channel.views[len(channel.views) // 2]
    arrived = float(line.arrive_at(np.array(options.velocity_km_s)))
    spexel = int(np.argmin(np.abs(view.dispersion.wavelength[:, _CENTRAL_SPAXEL] - arrived)))
    middle = (spexel, _CENTRAL_SPAXEL)
    widths = line.rest_um / line.resolution, line.rest_um * options.line_fwhm_km_s / _LIGHT_KM_S
    return ChannelTruth(
        channel=channel.name,
        line_um=line.rest_um,
        barycentric_um=line.rest_um * (1 + options.velocity_km_s / _LIGHT_KM_S),
        detected_um=arrived,
        line_fwhm_um=float(np.hypot(*widths)),
        resolution=line.resolution,
        psf_fwhm_arcsec=options.psf_fwhm(channel.name),
        spaxel_arcsec=spaxel_side(channel.name),
        spexel_um=float(view.dispersion.width[middle]),
        grating_positions=channel.positions,
        transmission=float(view.transmission[middle]),
        adu_per_jy=float(view.gain[middle]),
        reference_files=channel.tables.files,
    )
