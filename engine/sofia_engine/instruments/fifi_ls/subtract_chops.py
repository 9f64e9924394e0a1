"""Subtract Chops: the difference of the two chop positions of each observation."""

from collections.abc import Sequence

import numpy as np

from sofia_engine.errors import HeaderError, StepError
from sofia_engine.instruments.fifi_ls.gratings import (
    count_gratings,
    grating_header,
    make_cards,
    make_plane,
    read_card,
    replace_planes,
)
from sofia_engine.instruments.fifi_ls.mode import is_nod_a, is_symmetric, is_total_power, read_text
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product, Table

__all__ = ["SubtractChopsParameters", "combine_chops", "subtract_chops"]


class SubtractChopsParameters(SavedOutput):
    """Parameters of Subtract Chops."""

    retired = ("parallel",)
    add_only: bool = parameter(
        False,
        label="Chop addition only",
        help="Add the two chop positions instead of subtracting them: for flats, and for scans of telluric lines.",
    )


@step("subtract_chops", label="Subtract Chops", code="CSB", product_type="chop_subtracted", level="LEVEL_2")
def subtract_chops(chops: Sequence[Product], p: SubtractChopsParameters, run: Run) -> tuple[Product, ...]:
    """Subtract the second from the first chop position of each observation.

    In nods that match the chop the sign is turned in nod B, so that the source is positive in both. Observations
    without chopping are passed on.
    """
    made: list[Product] = []
    for members in _group_by_observation(chops).values():
        try:
            made.append(_combine_observation(members, p, run))
        except (HeaderError, StepError) as error:
            run.set_aside(members[0].name, str(error))
    if not made:
        raise StepError("There is no observation with two chop positions that fit together.")
    if any(all(product is not chop for chop in chops) for product in made):
        run.history("Chops added" if p.add_only else "Chops subtracted")
    return tuple(made)


def _group_by_observation(chops: Sequence[Product]) -> dict[str, list[Product]]:
    groups: dict[str, list[Product]] = {}
    for chop in chops:
        groups.setdefault(str(chop.header.get("OBS_ID") or chop.name), []).append(chop)
    return groups


def _combine_observation(members: Sequence[Product], p: SubtractChopsParameters, run: Run) -> Product:
    by_number = {int(member.header.get("CHOPNUM", 0)): member for member in members}
    first = by_number.get(0, members[0])
    if is_total_power(first.header):
        return first
    if set(by_number) != {0, 1}:
        raise StepError(f"there is only chop position {' '.join(map(str, by_number))} of this observation")
    if not read_text(first.header, "NODBEAM"):
        run.warn(f"{first.name}: NODBEAM is missing; nod A is assumed.")
    return combine_chops(first, by_number[1], add_only=p.add_only)


def combine_chops(first: Product, second: Product, *, add_only: bool = False) -> Product:
    """Return the difference (or sum) of two chop positions of an observation.

    Parameters
    ----------
    first, second : Product
        Chop position 0 and 1, with planes FLUX and STDDEV per grating position.
    add_only : bool
        Add instead of subtracting.

    Raises
    ------
    StepError
        If they have other grating positions.
    """
    count = count_gratings(first)
    positions = [[read_card(chop, "INDPOS", g) for g in range(count_gratings(chop))] for chop in (first, second)]
    if positions[0] != positions[1]:
        raise StepError(f"the chop positions have different grating positions {positions[0]} and {positions[1]}")
    turned = is_symmetric(first.header) and not (is_nod_a(first.header) or not read_text(first.header, "NODBEAM"))
    sign = -1.0 if turned else 1.0
    planes: dict[str, Plane | Table] = {}
    for g in range(count):
        fluxes, errors = ([chop[f"{name}_G{g}"] for chop in (first, second)] for name in ("FLUX", "STDDEV"))
        flux = fluxes[0] + fluxes[1] if add_only else sign * (fluxes[0] - fluxes[1])
        level = np.mean([read_card(chop, "BGLEVL_A", g) for chop in (first, second)])
        cards = make_cards(grating_header(first, g), ("BGLEVL_A", float(level), ""))
        planes[f"FLUX_G{g}"] = make_plane(flux, "adu/s", cards)
        planes[f"STDDEV_G{g}"] = make_plane(np.hypot(*errors), "adu/s", cards)
    return replace_planes(first, planes)
