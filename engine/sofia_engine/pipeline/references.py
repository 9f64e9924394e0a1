"""Reference files of a step: which it will need, which are at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sofia_engine.errors import ReferenceDataError
from sofia_engine.pipeline.run import ReferenceUse, Wanted

if TYPE_CHECKING:
    from astropy.io import fits

    from sofia_engine.pipeline.parameters import Parameters
    from sofia_engine.pipeline.step import Step
    from sofia_engine.reference import ReferenceFile, ReferenceStore

__all__ = ["CALDATA", "fingerprint", "locate", "requested_files", "select", "wanted_by"]

CALDATA = "{caldata}/"
"""Token in parameter files that stands for the folder of calibration data."""


def wanted_by(step: Step, header: fits.Header, parameters: Parameters) -> Mapping[str, Wanted]:
    """Return what reference files a step needs for an observation, by role."""
    return step.references(header, parameters) if step.references else {}


def select(wanted: Wanted, store: ReferenceStore) -> ReferenceFile | Path | None:
    """Return the file of the catalogue, or the user's own, that is meant; None if there is none.

    Raises
    ------
    ReferenceDataError
        If the user named a file that exists neither on disk nor in the catalogue.
    """
    choice = wanted.choice.strip()
    if choice.lower() in ("", "auto"):
        return store.find(wanted.request)
    if not choice.startswith(CALDATA) and Path(choice).expanduser().is_file():
        return Path(choice).expanduser().resolve()
    name = choice.removeprefix(CALDATA)
    published = store.catalogue_for(wanted.request.instrument).files
    for file in (file for file in published if file.kind == wanted.request.kind):
        if file.name == name or Path(file.name).name == Path(name.replace("\\", "/")).name:
            return file
    kind = wanted.request.kind.replace("_", " ")
    raise ReferenceDataError(f"The {kind} {choice} does not exist; give the path of a file, or leave it empty.")


def locate(role: str, wanted: Wanted, store: ReferenceStore) -> ReferenceUse | None:
    """Return a reference file ready for use, fetched if need be; None if there is none for the observation."""
    found = select(wanted, store)
    if found is None:
        return None
    if isinstance(found, Path):
        return ReferenceUse(role, str(found), found, _hash_file(found))
    return ReferenceUse(role, found.name, store.get(found), store.compute_sha256(found))


def fingerprint(wanted: Mapping[str, Wanted], store: ReferenceStore) -> dict[str, str]:
    """Return the hashes of the files a step will use, by role; part of the key of its result."""
    hashes: dict[str, str] = {}
    for role, want in sorted(wanted.items()):
        found = select(want, store)
        if found is not None:
            hashes[role] = _hash_file(found) if isinstance(found, Path) else store.compute_sha256(found)
    return hashes


def requested_files(wanted: Iterable[Wanted], store: ReferenceStore, *, optional: bool = False) -> list[ReferenceFile]:
    """Return the files of the catalogue among those wanted: those steps need, or those they can do without."""
    found: dict[str, ReferenceFile] = {}
    for want in (want for want in wanted if want.optional is optional):
        file = select(want, store)
        if file is not None and not isinstance(file, Path):
            found[file.key] = file
    return list(found.values())


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ReferenceDataError(f"The reference file {path} cannot be read: {error.strerror or error}.") from error
