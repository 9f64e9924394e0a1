"""Headers of FORCAST raw files: every keyword the requirement tables name, and those that reduction steps read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sofia_engine.simulate.forcast_filters import filter_shift
from sofia_engine.simulate.options import compact_date
from sofia_engine.simulate.projection import ARCSEC_PER_DEGREE, rotation_angle

if TYPE_CHECKING:
    from sofia_engine.simulate.forcast_modes import SkyMode
    from sofia_engine.simulate.forcast_options import ForcastObservation

__all__ = ["ANGLE_CONVENTION_CHANGE", "CHOP_SIGN_CHANGE", "Exposure", "build_header", "chop_sign", "name_raw_file"]

Cards = dict[str, Any]
ANGLE_CONVENTION_CHANGE = 20130501
"""Last day on which chop and nod angles count positive."""
CHOP_SIGN_CHANGE = 20130801
"""Last day on which the first chop position was the one off source."""
_OLD_KEYWORDS_END = 20140701
_FLIGHT = 501
_AOR = "90_0001_01"
_OVERHEAD = timedelta(seconds=10)
_DETECTORS = {"SW": ("As-010", 1.75), "LW": ("Sb-083", 1.20)}


@dataclass(frozen=True)
class Exposure:
    """
    One raw file of an observation.

    Parameters
    ----------
    number
        1 for the first file.
    nod_beam
        ``A`` or ``B``.
    dither
        Offset of the source on the undistorted detector, pixels.
    pointing
        Right ascension and declination of the boresight, degrees.
    boresight
        Raw pixel x, y (0-based) of the boresight.
    scale
        Arcsec per raw pixel in x and y.
    """

    number: int
    nod_beam: str
    dither: tuple[float, float]
    pointing: tuple[float, float]
    boresight: tuple[float, float]
    scale: tuple[float, float]


def chop_sign(date: int) -> int:
    """Give the keyword CHOPTSAC: -1 if the source is in the first chop position of nod A, 1 if in the second."""
    return 1 if date <= CHOP_SIGN_CHANGE else -1


def name_raw_file(options: ForcastObservation, number: int) -> str:
    """
    Name a raw file as the archive does.

    Parameters
    ----------
    options
        Options of the simulation.
    number
        1 for the first file.
    """
    setup = options.setup
    aor, spectel = _AOR.replace("_", ""), setup.spectel.replace("_", "")
    ending = ".fits.gz" if options.gzip else ".fits"
    return f"F{_FLIGHT:04d}_FO_{setup.archive_code}_{aor}_{spectel}_RAW_{number:04d}{ending}"


def build_header(options: ForcastObservation, mode: SkyMode, exposure: Exposure, n_files: int) -> Cards:
    """
    Build the header of a raw file.

    Parameters
    ----------
    options
        Options of the simulation.
    mode
        Chop-nod mode.
    exposure
        The file.
    n_files
        Number of files of the observation.

    Returns
    -------
    dict
        Keywords and values in order.
    """
    return {
        **_identify(options, mode, exposure),
        **_describe_instrument(options, mode),
        **_describe_flight(options),
        **_describe_timing(options),
        **_describe_sky(options, exposure),
        **_describe_chop_nod(options, mode, exposure),
        **_describe_dither(exposure, n_files),
        **(_old_keywords(options) if compact_date(options.date) <= _OLD_KEYWORDS_END else {}),
    }


def _identify(options: ForcastObservation, mode: SkyMode, exposure: Exposure) -> Cards:
    duration = timedelta(seconds=options.detitime) + _OVERHEAD
    start = datetime.fromisoformat(f"{options.date}T05:10:00") + (exposure.number - 1) * duration
    end = start + timedelta(seconds=options.detitime)
    return {
        "TELESCOP": "SOFIA",
        "INSTRUME": "FORCAST",
        "OBJECT": options.object,
        "OBSTYPE": options.setup.obstype,
        "SRCTYPE": "POINT_SOURCE" if options.extended is None else "EXTENDED_SOURCE",
        "DATASRC": "ASTRO",
        "AOR_ID": _AOR,
        "PLANID": _AOR[:7],
        "MISSN-ID": f"{options.date}_FO_F{_FLIGHT}",
        "OBS_ID": f"{options.date}_FO_F{_FLIGHT}{exposure.nod_beam}{exposure.number:04d}",
        "DATE-OBS": start.isoformat(timespec="milliseconds"),
        "UTCSTART": start.time().isoformat(timespec="milliseconds"),
        "UTCEND": end.time().isoformat(timespec="milliseconds"),
        "FILENAME": name_raw_file(options, exposure.number),
        "INSTMODE": mode.instmode,
        "SKYMODE": mode.skymode,
    }


def _describe_instrument(options: ForcastObservation, mode: SkyMode) -> Cards:
    setup = options.setup
    detector, bias = _DETECTORS[setup.camera]
    mirror = {"SW": "Mirror (swc)", "LW": "Open (lwc)"}[setup.camera]
    return {
        "INSTCFG": setup.instcfg,
        "SPECTEL1": setup.elements["SW"],
        "SPECTEL2": setup.elements["LW"],
        "DETCHAN": setup.camera,
        "DETECTOR": detector,
        "DETBIAS": bias,
        "SLIT": setup.slit,
        "DICHROIC": "Barr 2" if setup.dual else mirror,
        "BORESITE": "CENTER",
        "WAVELNTH": setup.wavelength,
        "ILOWCAP": options.capacitance == "lo",
        "EPERADU": options.noise_model.electrons_per_adu,
        "OTMODE": "AD",
        "OTSTACKS": 1,
        "OTNBUFS": mode.planes_per_file // 2 if mode.planes_per_file > 2 else 1,
    }


def _describe_flight(options: ForcastObservation) -> Cards:
    both_ends = {
        "ALTI": float(options.altitude_ft),
        "ZA": float(options.zenith_angle),
        "WVZ": float(options.water_vapour),
        "LAT": 40.0,
        "LON": -120.0,
    }
    old_style = {"ZA": ("ZA_START", "ZA_END")}
    cards: Cards = {"WVZ_OBS": float(options.water_vapour)}
    for name, value in both_ends.items():
        for key in old_style.get(name, (f"{name}_STA", f"{name}_END")):
            cards[key] = value
    return cards


def _describe_timing(options: ForcastObservation) -> Cards:
    return {
        "DETITIME": float(options.detitime),
        "INTTIME": float(options.detitime),
        "EXPTIME": float(options.detitime) / 2,
        "TOTINT": float(options.detitime),
        "FRMRATE": float(options.frame_rate),
        "NODTIME": float(options.detitime) / 4,
    }


def _describe_sky(options: ForcastObservation, exposure: Exposure) -> Cards:
    shift = filter_shift(options.setup.spectel, compact_date(options.date), dual=options.setup.dual)
    return {
        "TELRA": exposure.pointing[0] / 15,
        "TELDEC": exposure.pointing[1],
        "OBSRA": options.ra / 15,
        "OBSDEC": options.dec,
        "TGTRA": options.ra / 15,
        "TGTDEC": options.dec,
        "EQUINOX": 2000.0,
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CUNIT1": "deg",
        "CUNIT2": "deg",
        "CRPIX1": exposure.boresight[0] + 1 - shift[0],
        "CRPIX2": exposure.boresight[1] + 1 - shift[1],
        "CRVAL1": exposure.pointing[0],
        "CRVAL2": exposure.pointing[1],
        "CDELT1": -exposure.scale[0] / ARCSEC_PER_DEGREE,
        "CDELT2": exposure.scale[1] / ARCSEC_PER_DEGREE,
        "CROTA2": rotation_angle(options.sky_angle),
        "SKY_ANGL": float(options.sky_angle),
    }


def _describe_chop_nod(options: ForcastObservation, mode: SkyMode, exposure: Exposure) -> Cards:
    date = compact_date(options.date)
    sign = 1 if date <= ANGLE_CONVENTION_CHANGE else -1
    turn = options.sky_angle if options.chop_frame == "ERF" else 0.0
    chop, nod = mode.chop_angle, mode.nod_angle
    return {
        "CHOPPING": True,
        "CHPNPOS": 2,
        "CHPAMP1": mode.chop_throw_arcsec / 2,
        "CHPANGLE": _wrap(sign * (chop - turn)),
        "CHPANGLR": _wrap(chop),
        "CHPCRSYS": options.chop_frame,
        "NODDING": True,
        "NODAMP": float(mode.nod_throw_arcsec),
        "NODANGLE": _wrap(sign * (nod - turn)),
        "NODANGLR": _wrap(nod),
        "NODCRSYS": options.chop_frame,
        "NODBEAM": exposure.nod_beam,
        "ANGLCONV": "positive" if sign > 0 else "negative",
        "CHOPTSAC": chop_sign(date),
    }


def _describe_dither(exposure: Exposure, n_files: int) -> Cards:
    return {
        "DITHER": n_files > 1,
        "DTHINDEX": exposure.number,
        "DTHNPOS": n_files,
        "DITHERX": -exposure.dither[0],
        "DITHERY": -exposure.dither[1],
        "DTHCRSYS": "SIRF",
    }


def _old_keywords(options: ForcastObservation) -> Cards:
    """Give the keywords of before July 2014, where the coordinate systems are numbers (2 is that of the sky)."""
    frame = 2 if options.chop_frame == "ERF" else 0
    return {"CHPCOORD": frame, "NODCOORD": frame, "DITHERCS": 0}


def _wrap(angle: float) -> float:
    """Bring an angle into [0, 360)."""
    return angle % 360.0
