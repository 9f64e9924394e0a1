"""Headers of FIFI-LS raw files: every keyword the requirement table names, and those that reduction steps read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sofia_engine.simulate.fifi_ls_atmosphere import LATITUDE, LONGITUDE
from sofia_engine.simulate.fifi_ls_geometry import PLATE_SCALE
from sofia_engine.simulate.fifi_ls_schedule import CHOP_READOUTS, RAMP_READOUTS, READOUT_S, scan_duration

if TYPE_CHECKING:
    from sofia_engine.simulate.fifi_ls_options import FifiLs
    from sofia_engine.simulate.fifi_ls_schedule import Exposure, Mode

__all__ = ["GratingPlan", "build_header", "name_raw_file", "start_time"]

Cards = dict[str, Any]
_FLIGHT = 855
_AOR = "90_0001_01"
_START = "06:00:00"
_SUFFIX = {"RED": "lw", "BLUE": "sw"}


@dataclass(frozen=True)
class GratingPlan:
    """
    Positions of a channel's grating.

    Parameters
    ----------
    start, step
        Inductosyn units.
    count
        Number of positions.
    wavelength
        In the middle, micrometres.
    """

    start: int
    step: int
    count: int
    wavelength: float

    @property
    def positions(self) -> tuple[int, ...]:
        """All positions."""
        return tuple(self.start + index * self.step for index in range(self.count))


def start_time(options: FifiLs, exposure: Exposure) -> datetime:
    """Give the time a file starts, UTC."""
    start = datetime.fromisoformat(f"{options.date}T{_START}").replace(tzinfo=UTC)
    return start + timedelta(seconds=exposure.start_s)


def name_raw_file(options: FifiLs, channel: str, exposure: Exposure) -> str:
    """
    Name a raw file as the instrument does.

    Parameters
    ----------
    options
        Options of the simulation.
    channel
        ``RED`` or ``BLUE``.
    exposure
        The file.
    """
    time = start_time(options, exposure).strftime("%H%M%S")
    ending = ".fits.gz" if options.gzip else ".fits"
    number = f"{exposure.number:05d}"
    return f"{number}_{time}_{number}_SIM_{exposure.nod_beam}_{_SUFFIX[channel]}{ending}"


def build_header(
    options: FifiLs, mode: Mode, channel: str, exposure: Exposure, gratings: dict[str, GratingPlan]
) -> Cards:
    """
    Build the primary header of a raw file.

    Parameters
    ----------
    options
        Options of the simulation.
    mode
        Observing mode.
    channel
        ``RED`` or ``BLUE``.
    exposure
        The file.
    gratings
        Positions of the gratings of both channels.

    Returns
    -------
    dict
        Keywords and values in order.
    """
    return {
        **_identify(options, mode, channel, exposure),
        **_describe_instrument(options, channel),
        **_describe_chop_nod(options, mode, exposure),
        **_describe_flight(options),
        **_describe_pointing(options, mode, exposure),
        **_describe_timing(options, mode, exposure),
        **_describe_gratings(options, channel, gratings),
        **(_describe_scan(options, exposure) if exposure.moving else {}),
    }


def _identify(options: FifiLs, mode: Mode, channel: str, exposure: Exposure) -> Cards:
    mission = f"{options.date}_FI_F{_FLIGHT}"
    return {
        "DATE-OBS": start_time(options, exposure).strftime("%Y-%m-%dT%H:%M:%S"),
        "TELESCOP": "SOFIA",
        "INSTRUME": "FIFI-LS",
        "MISSN-ID": mission,
        "INSTCFG": "DUAL_CHANNEL",
        "INSTMODE": mode.instmode,
        "DATASRC": "ASTRO",
        "OBSTYPE": "OBJECT",
        "DATATYPE": "SPECTRAL",
        "SRCTYPE": "POINT_SOURCE" if options.extended is None else "EXTENDED_SOURCE",
        "OBJECT": options.object,
        "OBJ_NAME": options.object,
        "AOR_ID": _AOR,
        "PLANID": _AOR[:7],
        "FILEGPID": f"{_AOR}_{channel}",
        "OBS_ID": f"{mission}{channel[0]}{exposure.number:05d}",
        "FILENAME": name_raw_file(options, channel, exposure),
        "PROCSTAT": "LEVEL_1",
        "HEADSTAT": "ORIGINAL",
    }


def _describe_instrument(options: FifiLs, channel: str) -> Cards:
    return {
        "DETCHAN": channel,
        "CHANNEL": channel,
        "SPECTEL1": "FIF_BLUE",
        "SPECTEL2": "FIF_RED",
        "PRIMARAY": options.primary,
        "DICHROIC": options.dichroic,
        "G_ORD_B": options.order_blue,
        "G_FLT_B": options.filter_blue or options.order_blue,
        "PLATSCAL": PLATE_SCALE,
        "DET_ANGL": float(options.detector_angle),
        "ALPHA": READOUT_S,
    }


def _describe_chop_nod(options: FifiLs, mode: Mode, exposure: Exposure) -> Cards:
    off = (0.0, 0.0) if mode.symmetric else options.off_offset_arcsec
    return {
        "NODDING": True,
        "NODBEAM": exposure.nod_beam,
        "NODPATT": options.nod_pattern or mode.pattern,
        "NODSTYLE": mode.nodstyle,
        "CHOPPING": mode.chopped,
        "CHPFREQ": 1 / (2 * CHOP_READOUTS * READOUT_S),
        "C_SCHEME": "2POINT",
        "C_CHOPLN": CHOP_READOUTS,
        "C_AMP": options.chop_throw_arcsec / 2 if mode.chopped else 0.0,
        "RAMPLN_B": RAMP_READOUTS,
        "RAMPLN_R": RAMP_READOUTS,
        "C_CYC_B": options.chop_cycles,
        "C_CYC_R": options.chop_cycles,
        "DLAM_OFF": float(off[0]),
        "DBET_OFF": float(off[1]),
    }


def _describe_flight(options: FifiLs) -> Cards:
    return {
        "ALTI_STA": float(options.altitude_ft),
        "ALTI_END": float(options.altitude_ft),
        "ZA_START": float(options.zenith_angle),
        "ZA_END": float(options.zenith_angle),
        "LAT_STA": LATITUDE,
        "LAT_END": LATITUDE,
        "LON_STA": LONGITUDE,
        "LON_END": LONGITUDE,
        "WVZ_OBS": float(options.water_vapour),
    }


def _describe_pointing(options: FifiLs, mode: Mode, exposure: Exposure) -> Cards:
    return {
        "DLAM_MAP": exposure.map_offset[0],
        "DBET_MAP": exposure.map_offset[1],
        "OBSLAM": float(options.ra),
        "OBSBET": float(options.dec),
        "OBSRA": options.ra / 15,
        "OBSDEC": float(options.dec),
        "TELRA": options.ra / 15,
        "TELDEC": float(options.dec),
        "EQUINOX": 2000.0,
        "SCANNING": mode.scanned,
    }


def _describe_timing(options: FifiLs, mode: Mode, exposure: Exposure) -> Cards:
    start = start_time(options, exposure)
    end = start + timedelta(seconds=exposure.duration_s)
    return {
        "UTCSTART": start.strftime("%H:%M:%S"),
        "UTCEND": end.strftime("%H:%M:%S"),
        "EXPTIME": exposure.duration_s / (2 if mode.chopped else 1),
        "NEXP": 1,
        "UNIXSTRT": start.timestamp(),
    }


def _describe_gratings(options: FifiLs, channel: str, gratings: dict[str, GratingPlan]) -> Cards:
    cards: Cards = {"RESTWAV": options.line_um(channel), "REDSHIFT": options.velocity_km_s / 299792.458}
    for letter, plan in (("R", gratings["RED"]), ("B", gratings["BLUE"])):
        values = {"STRT": plan.start, "PSUP": plan.count, "SZUP": plan.step, "PSDN": 0, "SZDN": 0, "CYC": 1}
        cards |= {f"G_{name}_{letter}": value for name, value in values.items()}
        cards[f"G_WAVE_{letter}"] = plan.wavelength
    return cards


def _describe_scan(options: FifiLs, exposure: Exposure) -> Cards:
    return {
        "OTFSTART": start_time(options, exposure).timestamp() + exposure.scan_start_s,
        "TRK_DRTN": scan_duration(options),
        "OBSLAMV": exposure.speed[0],
        "OBSBETV": exposure.speed[1],
    }
