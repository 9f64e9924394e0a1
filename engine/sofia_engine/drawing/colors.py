"""Colours and colour tables by name: the usual ones without the plotting library, all others from it."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    ColorTable = NDArray[np.uint8]

__all__ = ["BLACK", "GRAY", "WHITE", "Color", "ColorTable", "find_color", "find_color_table", "has_color_table"]

Color = tuple[int, int, int]
"""Red, green, blue from 0 to 255."""

BLACK, GRAY, WHITE = (0, 0, 0), (128, 128, 128), (255, 255, 255)
_PLASMA = (
    "4G4!22Z$2~i53Tn83v3S28|sCjvxk)A_kBo29YKOkthX{Dg~1)1(YrYl`jRBF$I@11(!7hm^TEOI0TwH1e!bqn?3}bKLngX1f4?zo<swlMgyNn1D",
    "{C)pi2XxOah@!0-{g?qEP~)Qv#z^0;E;}q*wu@SplV60i|34rd|Q2U;(CK0H<RBr(^)9W&o#W0H|pIsA>SHYyhZk0H|*OsBr+OasjAx0jPBWsCNO",
    "Vcmb$-0;qcesC@&degmk01gL=or-KEjgaxOD2BwDxricipiV3BQ3Z;z;rH%}wj}4@e4x^F}qm&S$l@Xzq6QP(CpqUk)niij&7oMFMot_z;pc<T^8",
    "=ImXnxh_?r5~B5Aeg5im#89^sw0)FB$TWsl&vR|t|*eQDUq=%kg_X}vn-CZE{(M>jJ7a~w=s&iGKsn~h`Th1yfuftH-^4Ag}*t3z&eA$JA%SIfx|",
    "t3#6Ew;Kz_zSeaAw4$U}R{M0(0addo(6%tv_4Nq5akcFs$6&rEdCO>@ysa?($6(@}BMQgGE%Z`D+8)>UoSR&3Z;YuQ+8+FEMbTWQ-|Xxv?A-Ckzi",
    "UuE85WZz<A;A3OqWMblFVd7?B<7i*xX<p@OUFB<C=4@Q&Zd>PXTIg_D>2X-;a#!kfSL=0F>vmP_cU0|pQ|)?E?t4-1d{OUyQ1E|G@PJP7flcv)O!",
    "9<F^My<Ehf4H_N%V<G^@~UKj7Ij2MfQ(G_mD*Qkwf>BLim(H_?1BUmp}QKKKYtH`kOuaoILuTJNutH`=L4eqB#7cIQ*qI{H8Yis5ShlH2teH{j4+",
    "nt}^|vG5xVH{jx9pv@iX&F8;SI{<tjux-9;?EB?JI{=O>yz$yL0DgDDJ{lzE!#wY#AC;iGM{mUl&%_aQKCH&AO{L&@+(<J-VB>UGS`q(7;+9dhhB",
    ">CMX_}?Y?;U)LtCHLed_U0z`=qB~)CiUwl^zA3}?kDr`C-U+q@$@F~^(FB4B=Gqm",
)
"""The default table (S. van der Walt, N. Smith and E. Firing, in the public domain), as bytes in base 85."""


def find_color(name: str) -> Color:
    """Return a colour.

    Parameters
    ----------
    name : str
        As in style sheets (``gray``, ``#8080ff``), or any other that Matplotlib knows.

    Raises
    ------
    ValueError
        If there is no such colour.
    """
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(name)[:3]
    except ValueError:
        from matplotlib.colors import to_rgb

        red, green, blue = (round(255 * part) for part in to_rgb(name))
    return red, green, blue


def has_color_table(name: str) -> bool:
    """Tell whether there is a colour table of that name."""
    if name in ("plasma", "gray"):
        return True
    from matplotlib import colormaps

    return name in colormaps


@lru_cache(8)
def find_color_table(name: str) -> ColorTable:
    """Return a colour table (256, 3).

    Parameters
    ----------
    name : str
        Name of a colour map of Matplotlib.

    Raises
    ------
    ParameterError
        If there is no such map.
    """
    if name == "plasma":
        table = np.frombuffer(base64.b85decode("".join(_PLASMA)), np.uint8).reshape(256, 3)
    elif name == "gray":
        table = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 3, axis=1)
    elif has_color_table(name):
        from matplotlib import colormaps

        table = (colormaps[name](np.arange(256) / 255.0)[:, :3] * 255).round().astype(np.uint8)
    else:
        from matplotlib import colormaps

        from sofia_engine.pipeline.parameters import suggest

        raise ParameterError(f"There is no color map '{name}'{suggest(name, list(colormaps))}.")
    table.flags.writeable = False
    return table
