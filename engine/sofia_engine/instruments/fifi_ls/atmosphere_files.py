"""Which model of the atmosphere an observation gets, and from where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sofia_engine.errors import ReferenceDataError
from sofia_engine.instruments.fifi_ls.atmosphere import (
    GridPoint,
    Transmission,
    choose_models,
    interpolate_models,
    read_model,
)
from sofia_engine.instruments.fifi_ls.mode import (
    channel_letter,
    find_channel,
    find_order,
    read_number,
    request_reference,
)
from sofia_engine.instruments.fifi_ls.tables import Resolution, read_resolution
from sofia_engine.instruments.fifi_ls.water_vapour import (
    WaterVapour,
    choose_water_vapour,
    find_flight,
    look_up_water_vapour,
)
from sofia_engine.pipeline.references import CALDATA
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.reference.catalogue import Catalogue
from sofia_engine.spectroscopy.telluric import parse_atmosphere_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astropy.io import fits

    from sofia_engine.header.cards import Card

__all__ = ["AtmosphereChoice", "Sky", "find_resolution", "find_sky", "want_atmosphere", "want_resolution"]

FEET_PER_KILOFOOT = 1000.0
_OWN_MODELS = "A model of your own is named by the parameter atran_file, a folder of models by atran_dir."


@dataclass(frozen=True)
class AtmosphereChoice:
    """What the user says about models of the atmosphere.

    Attributes
    ----------
    file : str
        A certain model; empty for that of the conditions.
    folder : str
        Where models are looked for first.
    use_ecmwf : bool
        Prefer the water vapour of weather models to that in the header.
    ecmwf_folder : str
        Where files of weather models are looked for first.
    interpolated : bool
        Interpolate between models.
    required : bool
        The reduction cannot do without.
    """

    file: str = ""
    folder: str = ""
    use_ecmwf: bool = True
    ecmwf_folder: str = ""
    interpolated: bool = True
    required: bool = True

    @property
    def override(self) -> str:
        """The model to use in any case; empty if there is none, or it does not exist."""
        name = self.file.strip()
        if not name or Path(name).expanduser().is_file():
            return name
        published = {Path(file.name).name for file in Catalogue.load("FIFI-LS").files if file.kind == "atran"}
        return name if Path(name.removeprefix(CALDATA)).name in published else ""


@dataclass(frozen=True, eq=False)
class Sky:
    """The atmosphere above an observation.

    Attributes
    ----------
    transmission : Transmission
        Unsmoothed.
    cards : list of card
        What the header says of it.
    """

    transmission: Transmission
    cards: list[Card]


def want_resolution(header: fits.Header) -> Wanted:
    """Ask for the table of resolutions."""
    return Wanted(request_reference(header, "resolution", "resolution table"))


def want_atmosphere(header: fits.Header, choice: AtmosphereChoice) -> dict[str, Wanted]:
    """Ask for the models of an observation, as far as they are known before the water vapour is."""
    if choice.override:
        request = request_reference(header, "atran", "model of the atmosphere")
        return {"atran": Wanted(request, choice.override, optional=not choice.required)}
    wanted = _want_water_vapour(header, choice)
    certain = choice.required and not wanted
    water = choose_water_vapour(header, None, "", model_first=choice.use_ecmwf)
    return wanted | _want_models(header, _choose(header, water.value, choice)[0], choice.folder, optional=not certain)


def _want_water_vapour(header: fits.Header, choice: AtmosphereChoice) -> dict[str, Wanted]:
    flight = find_flight(header)
    needed = choice.use_ecmwf or not (read_number(header, "WVZ_OBS") or 0) > 0
    if not flight or not needed:
        return {}
    name = f"{flight['flight']}_FI_{flight['date']}_pwv.fits"
    local = _find_local(choice.ecmwf_folder, [name])
    request = request_reference(header, "water_vapour", "water vapour of the flight", **flight)
    return {"water_vapour": Wanted(request, local, optional=True)}


def _want_models(
    header: fits.Header, points: Iterable[GridPoint], folder: str, *, optional: bool = False
) -> dict[str, Wanted]:
    wanted = {}
    for point in points:
        local = _find_local(folder, [point.name, f"{point.altitude}K/{point.name}"])
        request = request_reference(
            header, "atran", "model of the atmosphere", altitude=point.altitude, zenith=point.zenith, pwv=point.pwv
        )
        wanted[f"atran {point.name}"] = Wanted(request, local, optional=optional)
    return wanted


def _find_local(folder: str, names: Iterable[str]) -> str:
    if not folder.strip():
        return ""
    paths = (Path(folder).expanduser() / name for name in names)
    return next((str(path) for path in paths if path.is_file()), "")


def _choose(header: fits.Header, pwv: float, choice: AtmosphereChoice) -> tuple[tuple[GridPoint, ...], tuple[str, ...]]:
    altitude = _average(header, "ALTI_STA", "ALTI_END") / FEET_PER_KILOFOOT
    return choose_models(altitude, _average(header, "ZA_START", "ZA_END"), pwv, interpolated=choice.interpolated)


def _average(header: fits.Header, *keywords: str) -> float:
    """Mean of the positive ones of the values at start and end."""
    values = [
        value for value in (read_number(header, keyword) for keyword in keywords) if value is not None and value > 0
    ]
    return sum(values) / len(values) if values else 0.0


def find_sky(header: fits.Header, choice: AtmosphereChoice, run: Run) -> Sky:
    """Return the atmosphere above an observation.

    Raises
    ------
    ReferenceDataError
        If a model is not at hand and cannot be fetched.
    """
    if choice.override:
        used = run.reference("atran")
        name = Path(used.name).name
        _compare_altitude(header, name, run)
        return Sky(read_model(used.path), [("ATRNFILE", name, "ATRAN file name")])
    if choice.file.strip():
        run.warn(f"The ATRAN file {choice.file} does not exist; the model is chosen by the conditions.")
    for key, folder in (("atran_dir", choice.folder), ("ecmwf_dir", choice.ecmwf_folder)):
        if folder.strip() and not Path(folder).expanduser().is_dir():
            run.warn(f"The folder {folder} ({key}) does not exist; published files are taken.")
    water = _find_water_vapour(header, choice, run)
    points, warnings = _choose(header, water.value, choice)
    for warning in warnings:
        run.warn(warning)
    paths = []
    for role, wanted in _want_models(header, points, choice.folder).items():
        run.want(role, wanted)
        try:
            paths.append(run.reference(role).path)
        except ReferenceDataError as error:
            raise ReferenceDataError(f"{error} {_OWN_MODELS}") from error
    transmission = interpolate_models([read_model(path) for path in paths], [point.weight for point in points])
    names = ",".join(point.name for point in points)
    return Sky(transmission, [("ATRNFILE", names, "ATRAN file name"), *water.cards()])


def _compare_altitude(header: fits.Header, name: str, run: Run) -> None:
    model = parse_atmosphere_name(name)
    altitude = _average(header, "ALTI_STA", "ALTI_END") / FEET_PER_KILOFOOT
    if model is not None and altitude and abs(model.altitude - altitude) > 1:
        run.warn(f"The model {name} is for {model.altitude:g} kft; the observation was at {altitude:.1f} kft.")


def _find_water_vapour(header: fits.Header, choice: AtmosphereChoice, run: Run) -> WaterVapour:
    modelled, file = None, ""
    wanted = _want_water_vapour(header, choice)
    for role, want in wanted.items():
        run.want(role, want)
        try:
            used = run.find_reference(role)
        except ReferenceDataError as error:
            run.warn("No file of weather models is at hand for this flight: the water vapour is not taken from there.")
            run.debug(str(error))
            continue
        if used is not None:
            modelled, file = look_up_water_vapour(used.path, header), Path(used.name).name
            if modelled is None:
                run.warn(f"{file} has no water vapour for the time of the observation.")
    water = choose_water_vapour(header, modelled, file, model_first=choice.use_ecmwf)
    if water.source == "FALLBACK":
        run.warn(f"The water vapour of the observation is not known; {water.value:g} um is taken.")
    return water


def find_resolution(header: fits.Header, table: Path, wavelength: float | None = None) -> Resolution:
    """Return the resolution of an observation at a wavelength (um; that of the grating if not given)."""
    channel = "r" if find_channel(header) == "RED" else f"b{find_order(header)}"
    if wavelength is None:
        wavelength = read_number(header, f"G_WAVE_{channel_letter(header)}") or 0.0
    return read_resolution(table, channel, wavelength)
