"""Detection: what the given files are, and which of them belong together."""

from __future__ import annotations

import gzip
import warnings
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_engine.header.cards import quiet_fits
from sofia_engine.instruments import recipe_for
from sofia_engine.pipeline.recipe import Recipe

__all__ = ["Group", "InputFile", "Inspection", "inspect_files", "read_header"]

_SUFFIXES = (".fits", ".fits.gz", ".fit", ".fit.gz", ".fts", ".fts.gz")


@dataclass(frozen=True)
class InputFile:
    """A readable input: its path and primary header."""

    path: Path
    header: fits.Header


@dataclass(frozen=True)
class Group:
    """Inputs that can be reduced together, and the recipe for them."""

    recipe: Recipe
    files: tuple[InputFile, ...]
    key: tuple[str, ...]

    @property
    def label(self) -> str:
        """What the group is, in a few words."""
        header = self.files[0].header
        words = [self.recipe.instrument, self.recipe.mode, str(header.get("OBJECT", "")).strip()]
        return ", ".join(word for word in [*words, f"{len(self.files)} files"] if word)


@dataclass(frozen=True)
class Inspection:
    """What was found among the given files."""

    groups: tuple[Group, ...]
    rejected: tuple[tuple[Path, str], ...]
    """Files that cannot be reduced, each with the reason."""

    def single_group(self) -> Group:
        """Return the only group.

        Raises
        ------
        InputError
            If there is none, or more than one; says which files make which group.
        """
        if not self.groups:
            reasons = "\n".join(f"  {path}: {reason}" for path, reason in self.rejected)
            raise InputError(
                f"There is nothing to reduce.\n{reasons}"
                if reasons
                else "There is nothing to reduce: no files were given."
            )
        if len(self.groups) > 1:
            lists = "\n".join(
                f"  {number}. {group.label} ({', '.join(group.key)}): {', '.join(f.path.name for f in group.files)}"
                for number, group in enumerate(self.groups, 1)
            )
            raise InputError(f"These files cannot be reduced together; reduce each group by itself:\n{lists}")
        return self.groups[0]


def read_header(path: Path) -> fits.Header:
    """Return the primary header of a FITS file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the FITS files in it.")
    if not path.name.lower().endswith(_SUFFIXES):
        raise InputError(f"{path} has not the suffix of a FITS file (.fits or .fits.gz).")
    try:
        with quiet_fits(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a file cut short is refused when its data are read
            return _read_first_block(path) or fits.getheader(path)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; name the FITS files in it.") from None
    except PermissionError:
        raise InputError(f"{path} cannot be read: permission denied.") from None
    except (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, fits.VerifyError) as error:
        reason = "the file is empty" if path.stat().st_size == 0 else "it is not a FITS file, or damaged"
        raise InputError(f"{path} cannot be read: {reason}.") from error


def _read_first_block(path: Path) -> fits.Header | None:
    """Read the primary header alone; astropy goes on to the next HDU, and unpacks the data of a packed file for that.

    Returns None for whatever is not plainly a FITS header; astropy tells what is wrong with it.
    """
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as stream:
            header = fits.Header.fromfile(stream)
    except (OSError, EOFError, ValueError, zlib.error, fits.VerifyError):
        return None
    return header if next(iter(header), "") == "SIMPLE" else None


def inspect_files(paths: Iterable[Path | str]) -> Inspection:
    """Read the headers of files and sort them into groups that can be reduced together.

    Parameters
    ----------
    paths : iterable of path
        Files; what cannot be used is set aside with its reason.
    """
    rejected: list[tuple[Path, str]] = []
    grouped: dict[tuple[str, ...], list[InputFile]] = {}
    recipes: dict[tuple[str, ...], Recipe] = {}
    for path in map(Path, paths):
        try:
            header = read_header(path)
            recipe = recipe_for(header)
            key = (recipe.name, *recipe.group(header), *_stage(recipe, header))
        except InputError as error:
            rejected.append((path, str(error).removeprefix(str(path)).lstrip(": ")))
            continue
        recipes[key] = recipe
        grouped.setdefault(key, []).append(InputFile(path, header))
    groups = [Group(recipes[key], tuple(_without_repeats(files)), key[1:]) for key, files in grouped.items()]
    return Inspection(tuple(groups), tuple(rejected))


def _stage(recipe: Recipe, header: fits.Header) -> tuple[str, ...]:
    """Keep raw data and intermediate products apart: they start at different steps."""
    return (str(header["PRODTYPE"]).strip().lower(),) if recipe.first_step(header) else ()


def _without_repeats(files: Sequence[InputFile]) -> Iterable[InputFile]:
    return {file.path.resolve(): file for file in files}.values()
