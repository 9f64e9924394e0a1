"""What the documentation tells users to type works: every Python block is run, every command line is understood."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    if "_build" not in path.parts
)
PUBLISHED = "F0435_FO_IMA_05000851_FORF197_MRG_0074.fits"
"""The published image the guide opens; here, a merged image of a simulated observation has its name."""
SKETCHES = {"docs/developer/add-a-step.md": ("IMAGING = Recipe(",)}
"""Blocks that show a shape and leave names out, by their first words."""


def find_blocks(page, language):
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


PYTHON = [page for page in PAGES if find_blocks(page, "python")]
COMMANDS = [
    pytest.param(line, id=f"{page}: {line}")
    for page in PAGES
    for block in find_blocks(page, "sh")
    for line in (text.split("#")[0].strip() for text in block.splitlines())
    if re.match(r"(\.venv/bin/)?sofia-desk ", line)
]


@pytest.fixture(scope="module")
def observed(tmp_path_factory, reference_store):
    """Make a folder with raw files (raw/, archive/) and a merged image of them."""
    import sofia_engine as sofia
    from sofia_engine.simulate import simulate

    folder = tmp_path_factory.mktemp("observed")
    truth = simulate("forcast-imaging-c2nc2", folder / "raw", seed=1)
    shutil.copytree(folder / "raw", folder / "archive")
    session = folder / "session"
    with sofia.Reduction.open(truth.paths, session=session, references=reference_store) as reduction:
        reduction.run_to("merge")
        reduction.products[0].write(folder / PUBLISHED)
    shutil.rmtree(session)
    return folder


@pytest.mark.parametrize("page", PYTHON)
def test_that_the_python_of_a_page_runs(page, observed, tmp_path, monkeypatch):
    import sofia_engine as sofia
    from sofia_engine.errors import ReferenceDataError

    folder = tmp_path / "work"
    shutil.copytree(observed, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SOFIA_DESK_OFFLINE", "1")
    names = {"__name__": "documentation", "sofia": sofia, "files": sorted((folder / "raw").glob("*.fits"))}
    for block in find_blocks(page, "python"):
        if not block.startswith(SKETCHES.get(page, "no sketch")):
            try:
                exec(compile(block, page, "exec"), names)
            except ReferenceDataError as error:
                pytest.skip(f"the calibration files are not on this computer: {error}")


@pytest.mark.parametrize("line", COMMANDS)
def test_that_a_command_line_is_understood(line):
    from sofia_engine.cli import _make_parser

    _, *words = shlex.split(line)
    parser = _make_parser(next((word for word in words if not word.startswith("-")), ""))
    try:
        parser.parse_args(words)
    except SystemExit as ending:
        assert ending.code == 0, line  # noqa: PT017


def test_that_pages_were_found():
    assert len(PYTHON) >= 4
    assert len(COMMANDS) >= 20
