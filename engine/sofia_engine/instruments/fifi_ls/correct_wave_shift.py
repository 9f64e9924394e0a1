"""Correct Wave Shift: wavelengths as seen from the barycentre of the solar system."""

from sofia_engine.errors import HeaderError
from sofia_engine.instruments.fifi_ls.gratings import make_plane, replace_planes
from sofia_engine.instruments.fifi_ls.telluric_correct import HISTORY
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product, Table
from sofia_engine.spectroscopy.velocity import compute_velocity_shifts, read_pointing

__all__ = ["CorrectWaveShiftParameters", "correct_wave_shift", "is_telluric_corrected"]


class CorrectWaveShiftParameters(SavedOutput):
    """Parameters of Correct Wave Shift."""

    retired = ("parallel",)
    skip_shift: bool = parameter(
        False, label="Skip wavelength shift correction", help="Leave the wavelengths as seen from the aircraft."
    )


def is_telluric_corrected(product: Product) -> bool:
    """Tell whether the history of a product says that the atmosphere was taken out."""
    lines = product.header.get("HISTORY", ())
    return any(HISTORY.lower() in str(line).lower() for line in lines)


@step("correct_wave_shift", label="Correct Wave Shift", code="WSH", product_type="wavelength_shifted", level="LEVEL_3")
def correct_wave_shift(product: Product, p: CorrectWaveShiftParameters, run: Run) -> Product:
    """Correct the wavelengths for the motion of the aircraft and the Earth relative to the barycentre.

    Only once the lines of the atmosphere, which do not move, are taken out. The further shift to the local standard of
    rest is noted in the header, not applied.
    """
    if p.skip_shift:
        run.log(f"{product.name}: no wavelength shift.")
        return product
    if not is_telluric_corrected(product):
        run.warn(f"{product.name}: not corrected for the atmosphere; the wavelengths are left as they are.")
        return product
    try:
        shifts = compute_velocity_shifts(read_pointing(product.header))
    except HeaderError as error:
        raise HeaderError(f"{product.name}: {error} Or set correct_wave_shift.skip_shift = True.") from None
    planes: dict[str, Plane | Table] = {}
    for name, plane in product.extensions.items():
        planes[name] = plane
        if name == "LAMBDA":
            wavelength = product["LAMBDA"]
            planes["LAMBDA"] = make_plane(wavelength * (1 + shifts.barycentric), "um")
            planes["UNCORRECTED_LAMBDA"] = make_plane(wavelength, "um")
    run.history("Barycentric wavelength shift removed")
    shifted = product.with_cards(
        ("BARYSHFT", shifts.barycentric, "Barycentric motion dl/l shift (applied)"),
        ("LSRSHFT", shifts.local_standard, "Additional dl/l shift to LSR (unapplied)"),
    )
    return replace_planes(shifted, planes)
