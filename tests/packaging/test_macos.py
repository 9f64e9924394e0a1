"""The disk image for macOS, made by its script with tools that only write down how they are called."""

import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "packaging/macos"
TOOLS = ("codesign", "hdiutil", "xcrun")


@pytest.fixture
def make_image(tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "{tmp_path}/calls"\nexit ${{FAILURE:-0}}\n')
        (tools / name).chmod(0o755)
    application = tmp_path / "SOFIA Desk.app"
    (application / "Contents").mkdir(parents=True)

    def run(**names):
        surroundings = {"PATH": f"{tools}:/usr/bin:/bin", **names}
        words = ["sh", str(FOLDER / "make_disk_image.sh"), str(application), str(tmp_path / "one.dmg")]
        code = subprocess.run(words, env=surroundings, timeout=60, capture_output=True, check=False).returncode
        calls = tmp_path / "calls"
        return code, calls.read_text().splitlines() if calls.exists() else []

    return run


def test_that_without_names_the_image_is_made_unsigned(make_image):
    code, calls = make_image()
    assert code == 0
    assert [line.split()[:2] for line in calls] == [["hdiutil", "create"]]


def test_that_the_program_is_signed_before_and_the_image_notarised_after(make_image):
    code, calls = make_image(SOFIA_DESK_SIGN="Developer ID", SOFIA_DESK_NOTARY="profile")
    assert code == 0
    assert [line.split()[0] for line in calls] == ["codesign", "codesign", "hdiutil", "xcrun", "xcrun"]
    assert "--options runtime" in calls[0]
    assert f"--entitlements {FOLDER}/entitlements.plist" in calls[0]
    assert "notarytool submit" in calls[3]
    assert "--keychain-profile profile --wait" in calls[3]
    assert "stapler staple" in calls[4]


def test_that_a_signature_that_fails_makes_no_image(make_image):
    code, calls = make_image(SOFIA_DESK_SIGN="Developer ID", FAILURE="1")
    assert code != 0
    assert len(calls) == 1


def test_that_the_signed_program_may_compile_kernels():
    allowed = plistlib.loads((FOLDER / "entitlements.plist").read_bytes())
    assert all(value is True for value in allowed.values())
    assert {key.rpartition(".")[2] for key in allowed} == {
        "allow-jit", "allow-unsigned-executable-memory", "disable-library-validation",
    }  # fmt: skip


def test_that_icons_can_be_read_by_others(load, tmp_path):
    from PIL import Image

    icons = load("icons")
    source = FOLDER.parents[1] / "resources/icons/sofia-desk.svg"
    for name in ("one.ico", "one.icns"):
        icons.main(source, tmp_path / name)
        with Image.open(tmp_path / name) as image:
            image.load()
            assert max(image.size) >= 256
            assert len(image.convert("RGB").getcolors(1_000_000)) > 10


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("path", sorted(FOLDER.parent.rglob("*.sh")), ids=lambda path: path.name)
def test_that_shell_scripts_are_sound(path):
    checked = subprocess.run(["shellcheck", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout
