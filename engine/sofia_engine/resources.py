"""Where the program's own data files lie: inside the installed package, or beside it in a source checkout."""

from __future__ import annotations

from pathlib import Path

__all__ = ["manual_path", "resource_path"]

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "_resources"
_CHECKOUT = _PACKAGE.parents[1] / "resources"


def resource_path(*parts: str) -> Path:
    """
    Find a resource of the program by the parts of its path.

    Parameters
    ----------
    *parts
        Folder and file names below the resource folder, e.g. ``("reference", "forcast.json")``; none gives the folder.

    Returns
    -------
    Path
        Where the resource lies or, should it be absent, would lie.
    """
    return (_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT).joinpath(*parts)


def manual_path(*parts: str) -> Path:
    """
    Find a page of the manual, which the installed program carries with it.

    Parameters
    ----------
    *parts
        Folder and file names below the folder of the manual, e.g. ``("forcast", "imaging.md")``; none gives the folder.

    Returns
    -------
    Path
        Where the page lies or, should it be absent, would lie.
    """
    installed = _PACKAGE / "_manual"
    return (installed if installed.is_dir() else _PACKAGE.parents[1] / "docs").joinpath(*parts)
