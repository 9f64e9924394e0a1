"""What the documentation tells users to type works: every Python block is run, every command line is understood."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
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


TRANSCRIPTS = (
    pytest.param("docs/forcast/spectroscopy-tutorial.md", "# ", ""),
    pytest.param("docs/fifi_ls/tutorial.md", "# ", "## Atmosphere and water vapour"),  # needs models of the atmosphere
    pytest.param("docs/getting-started.md", "# ", "", marks=pytest.mark.slow),
    pytest.param("docs/fifi_ls/cubes.md", "# ", "", marks=pytest.mark.slow),
    pytest.param("docs/fifi_ls/scan-reduction.md", "To try it", "## What is done", marks=pytest.mark.slow),
)
"""Pages whose commands and scripts are run and what they print compared, with where that begins and ends."""
TOLD = [parameter.values[0] for parameter in TRANSCRIPTS if not parameter.marks]
VIEWERS = ("image", "spectrum", "cube", "quality")
"""Commands that need windows; they have tests of their own."""
PYTHON = [page for page in PAGES if find_blocks(page, "python") and page not in TOLD]
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
    names = {"__name__": "__main__", "sofia": sofia, "files": sorted((folder / "raw").glob("*.fits"))}
    for block in find_blocks(page, "python"):
        if not block.startswith(SKETCHES.get(page, "no sketch")):
            try:
                exec(compile(block, page, "exec"), names)
            except ReferenceDataError as error:
                pytest.skip(f"the calibration files are not on this computer: {error}")
    if page == "docs/resampling.md":
        check_figures_of_resampling(names)


def check_figures_of_resampling(names):
    """Compare what the page says of its examples with what they gave."""
    fit, axis, missing = names["fit"], names["axis"], np.isnan(names["holed"])
    deviation = fit.values - names["surface"](*np.meshgrid(axis, axis))
    assert np.nanstd(deviation) == pytest.approx(0.09, abs=0.005)
    assert np.nanstd(deviation / fit.errors) == pytest.approx(1.04, abs=0.01)
    assert np.nanmedian(fit.reduced_chi2) == pytest.approx(1.9, abs=0.05)
    rebuilt = (names["rebuilt"] - names["image"])[missing].std() / np.ptp(names["image"])
    assert (missing.mean(), rebuilt) == (pytest.approx(0.7, abs=0.01), pytest.approx(0.0012, abs=0.00005))
    peaks = [np.nanmax(names["maps"][algorithm]) for algorithm in ("static", "scaled", "shaped")]
    assert peaks == pytest.approx([4.0, 4.7, 6.6], abs=0.06)


def test_that_the_page_on_resampling_names_all_that_can_be_chosen():
    from dataclasses import fields

    from sofia_engine.numerics.resampling import AdaptiveSmoothing, LocalRegression

    text = (ROOT / "docs/resampling.md").read_text(encoding="utf-8").partition("## What can be chosen")[2]
    names = [field.name for rule in (LocalRegression, AdaptiveSmoothing) for field in fields(rule)]
    assert [name for name in names if not re.search(rf"[`( ]{name}[`,)]", text)] == []


@pytest.mark.parametrize("line", COMMANDS)
def test_that_a_command_line_is_understood(line):
    from sofia_engine.cli import _make_parser

    _, *words = shlex.split(line)
    parser = _make_parser(next((word for word in words if not word.startswith("-")), ""))
    try:
        parser.parse_args(words)
    except SystemExit as ending:
        assert ending.code == 0, line  # noqa: PT017


@pytest.mark.parametrize(("page", "start", "end"), TRANSCRIPTS)
def test_that_a_page_tells_what_its_commands_print(page, start, end, reference_store, tmp_path, monkeypatch, capfd):
    from sofia_engine.simulate import simulate

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOFIA_DESK_OFFLINE", "1")
    simulate("forcast-imaging-nmc", "rawdata", seed=1)
    text = (ROOT / page).read_text(encoding="utf-8").partition(start)[2]
    blocks = re.findall(
        r"^```(sh|python|text)\n(.*?)^```", text.partition(end)[0] if end else text, re.DOTALL | re.MULTILINE
    )
    names, printed = {"__name__": "__main__"}, ""
    assert any(language == "sh" for language, _ in blocks)
    for language, block in blocks:
        if language == "text":
            missing = [line for line in block.splitlines() if line.strip() and not is_printed(line, printed)]
            assert not missing, f"{page} tells otherwise than the program:\n{printed}"
            continue
        capfd.readouterr()
        if language == "python":
            exec(compile(block, page, "exec"), names)
        else:
            run_commands(block)
        printed = "".join(capfd.readouterr()).replace(f"{tmp_path}/", "") or printed


def run_commands(block):
    from sofia_engine.cli import main

    for line in block.splitlines():
        program, *words = shlex.split(line, comments=True)
        if program != "sofia-desk" or words[0] in VIEWERS:
            continue
        files = [sorted(map(str, Path().glob(word))) if "*" in word and "=" not in word else [word] for word in words]
        assert all(files), f"no file for {line}"
        assert main([word for found in files for word in found]) == 0, line


NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+(?:e[-+]?\d+)?|e[-+]?\d+)(?![\w])")
"""Numbers that computers may round otherwise; not those of names."""


def is_printed(line, printed):
    """Tell whether a line of a page was printed; last digits of numbers may differ by one, times in any way."""
    wanted = re.split(r"\s{5,}", line.strip())[0].removesuffix("...").rstrip()
    texts, numbers = NUMBER.split(wanted), NUMBER.findall(wanted)
    pattern = re.compile(f"({NUMBER.pattern})".join(map(re.escape, texts)))
    found = (pattern.search(one) for one in printed.splitlines())
    return any(match is not None and agree(numbers, match.groups(), wanted) for match in found)


def agree(numbers, others, line):
    from decimal import Decimal

    if re.match(r"Done in [\d.]+ s", line):
        return True
    steps = (10.0 ** Decimal(number).as_tuple().exponent for number in numbers)
    return all(abs(float(a) - float(b)) <= 1.01 * s for a, b, s in zip(numbers, others, steps, strict=True))


@pytest.mark.parametrize(
    ("line", "printed", "same"),
    [
        ("a 1.25 b", "log: a 1.26 b", True),
        ("a 1.25 b", "a 1.27 b", False),
        ("a -1.2e-14 b", "a -1.1e-14 b", True),
        ("a 1.2 b", "a 1.2 c", False),
        ("F_0001.fits      and more", "wrote F_0001.fits", True),
        ("F_0001.fits", "wrote F_0002.fits", False),
        ("flux 160 Me/s, ...", "flux 160 Me/s, and so on", True),
        ("Done in 0.9 s: 14 products", "Done in 7.7 s: 14 products in out", True),
        ("Done in 0.9 s: 14 products", "Done in 0.9 s: 9 products in out", False),
    ],
)
def test_that_lines_of_pages_are_compared_as_meant(line, printed, same):
    assert is_printed(line, printed) is same


def test_that_pages_were_found():
    assert len(PYTHON) >= 4
    assert len(COMMANDS) >= 20
