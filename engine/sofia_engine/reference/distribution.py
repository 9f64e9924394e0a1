"""Fetch reference files out of the distribution that is published on the package index, by means of pip."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sofia_engine.errors import ReferenceDataError
from sofia_engine.reference.mirror import extract_member

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sofia_engine.reference.cache import Cache
    from sofia_engine.reference.catalogue import ReferenceFile

__all__ = ["download_distribution", "fetch_from_distribution"]

_PATIENCE = 3600.0
"""Seconds a download may take; pip itself gives up sooner where nothing arrives."""


def fetch_from_distribution(
    files: Sequence[ReferenceFile], requirement: str, cache: Cache
) -> Iterator[tuple[ReferenceFile, Path]]:
    """
    Download a distribution once and take files out of it.

    Parameters
    ----------
    files
        Files published in that distribution.
    requirement
        Package and version, as ``package==version``.
    cache
        Where to put them. The distribution itself is removed.

    Yields
    ------
    file, path
        Each file as it is stored.

    Raises
    ------
    ReferenceDataError
        If the download fails, or a file's content is not what the catalogue records.
    """
    import zipfile

    with cache.open_workspace() as workspace:
        wheel = download_distribution(requirement, workspace)
        with zipfile.ZipFile(wheel) as archive:
            for file in files:
                yield file, extract_member(archive, file, cache)


def download_distribution(requirement: str, folder: Path) -> Path:
    """
    Download a wheel through pip, so that the user's index, proxy and certificate settings hold.

    Parameters
    ----------
    requirement
        Package and version, as ``package==version``.
    folder
        Empty folder to download into.

    Returns
    -------
    Path
        The wheel.

    Raises
    ------
    ReferenceDataError
        If pip is not there or fails; the message ends with its own last words.
    """
    import subprocess

    if getattr(sys, "frozen", False):
        raise ReferenceDataError(f"{requirement} cannot be downloaded: this build of the program comes without pip")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--dest", str(folder), requirement]
    try:
        done = subprocess.run(  # noqa: S603 - own words
            command, capture_output=True, text=True, errors="replace", check=False, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise ReferenceDataError(
            f"pip did not download {requirement} within {_PATIENCE / 60:.0f} minutes: the network is slow or does not "
            "answer; try again later"
        ) from None
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        raise ReferenceDataError(f"pip cannot download {requirement}: {_find_reason(done.stderr)}")
    return wheels[0]


def _find_reason(messages: str) -> str:
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines
    return errors[-1].removeprefix("ERROR:").strip().rstrip(".") if errors else "it gave no reason"
