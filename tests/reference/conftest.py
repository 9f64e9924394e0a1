"""A small published distribution, the catalogue that describes it, and a clean environment."""

import base64
import hashlib
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sofia_engine.reference import Catalogue, ReferenceFile, Rule
from sofia_engine.reference.catalogue import Selection

PACKAGE, VERSION = "sofia_redux", "9.9.9"
WHEEL_NAME = f"{PACKAGE}-{VERSION}-py3-none-any.whl"
CONTENTS = {
    "forcast/badpix/swc.fits": b"short wavelength camera " * 500,
    "forcast/badpix/lwc.fits": b"long wavelength camera " * 500,
    "forcast/pinhole/holes.txt": b"xid yid xpos ypos\n",
}
KINDS = {"badpix": "bad_pixel_mask", "pinhole": "pinhole_locations"}


def find_member(key: str) -> str:
    """Return the path inside the distribution of the file with a key."""
    folder, _, name = key.partition("/")
    return f"{PACKAGE}/instruments/{folder}/data/{name}"


def describe(key: str, content: bytes, *sources: Mapping[str, str]) -> ReferenceFile:
    """Describe a file with given content, published in the distribution unless other sources are given."""
    published = {"type": "distribution", "package": PACKAGE, "version": VERSION, "member": find_member(key)}
    return ReferenceFile(
        name=key.partition("/")[2],
        key=key,
        instrument="FORCAST",
        kind=KINDS.get(key.split("/")[1], "other"),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        sources=sources or (published,),
    )


def write_wheel(folder: Path, contents: Mapping[str, bytes]) -> Path:
    """Write a wheel that pip accepts."""
    info = f"{PACKAGE}-{VERSION}.dist-info"
    members = {find_member(key): content for key, content in contents.items()} | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {VERSION}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_encode(data)},{len(data)}\n" for name, data in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    with zipfile.ZipFile(folder / WHEEL_NAME, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return folder / WHEEL_NAME


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@pytest.fixture
def files() -> dict[str, ReferenceFile]:
    """The published files by key."""
    return {key: describe(key, content) for key, content in CONTENTS.items()}


@pytest.fixture
def catalogue(files: dict[str, ReferenceFile]) -> Catalogue:
    """A catalogue with a mask per camera, none for the short one after 2020, and one file without rules."""
    rules = (
        (Rule(20201231, {"mode": "IMG_SWC"}), "forcast/badpix/swc.fits"),
        (Rule(None, {"mode": "IMG_SWC"}), None),
        (Rule(None, {"mode": "IMG_LWC"}), "forcast/badpix/lwc.fits"),
    )
    return Catalogue(files.values(), {("FORCAST", "bad_pixel_mask"): Selection(rules)})


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Keep settings of the machine out; pip sees no index, except where a test is marked to need the network."""
    for name in ("SOFIA_DESK_DATA", "SOFIA_DESK_MIRROR", "SOFIA_DESK_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    if request.node.get_closest_marker("network") is None:
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Mapping[str, bytes]], Path]:
    """Return a function that publishes a wheel with given contents where pip looks for it."""

    def publish_wheel(contents: Mapping[str, bytes]) -> Path:
        folder = tmp_path / "index"
        folder.mkdir(exist_ok=True)
        monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
        return write_wheel(folder, contents)

    return publish_wheel
