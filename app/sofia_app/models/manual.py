"""The manual's sections on steps, read from its own pages: what the program shows as help is what the manual says."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sofia_engine.errors import SofiaDeskError
from sofia_engine.instruments import find_recipe
from sofia_engine.pipeline.step import Step
from sofia_engine.resources import manual_path

__all__ = ["Section", "find_section", "format_formula", "list_pages", "read_page", "read_sections", "simplify"]

_DIRECTIVE = re.compile(r"\.\. step-parameters:: *(\S+) +(\S+)")
_BLOCK = re.compile(r"^```\{.*?^```\n?", re.MULTILINE | re.DOTALL)
_IMAGE = re.compile(r"^!\[[^\]]*\]\([^)]*\)\n?", re.MULTILINE)
_BARE_LINK = re.compile(r"\[\]\(([^)#]+)(#[^)]*)?\)")
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.DOTALL)
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)]+)\)")


@dataclass(frozen=True)
class Section:
    """A section of the manual that is about one step.

    Parameters
    ----------
    page : str
        File of the manual, relative to its folder.
    title : str
        Its heading.
    text : str
        Markdown under the heading, with formulas, without tables made from declarations.
    recipe, step : str
        Names of the recipe and the step that its table of parameters is of.
    """

    page: str
    title: str
    text: str
    recipe: str
    step: str


def list_pages() -> list[str]:
    """Return the pages of the manual, relative to its folder; empty if it was not installed."""
    root = manual_path()
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*.md")
        if not any(part.startswith("_") for part in path.relative_to(root).parts)
    )


def read_page(page: str) -> str:
    """Return a page as plain Markdown; empty if there is no such page."""
    root = manual_path()
    path = (root / page).resolve()
    if not path.is_file() or not path.is_relative_to(root.resolve()):
        return ""
    return simplify(path.read_text(encoding="utf-8"), page)


def find_section(step: Step, recipe: str = "") -> Section | None:
    """Return what the manual says of a step: in this recipe, or in another that does the same; None if nothing."""
    same = [section for section in read_sections() if section.step == step.key]
    exact = [section for section in same if section.recipe == recipe]
    return next(iter([*exact, *(section for section in same if _is_same(section, step))]), None)


def _is_same(section: Section, step: Step) -> bool:
    try:
        recipe = find_recipe(section.recipe)
        return recipe.steps[recipe.index(section.step)].function is step.function
    except (SofiaDeskError, KeyError, ValueError, IndexError):
        return False


@lru_cache(maxsize=1)
def read_sections() -> tuple[Section, ...]:
    """Return all sections with a table of the parameters of a step."""
    return tuple(section for page in list_pages() for section in _split(page))


def _split(page: str) -> list[Section]:
    text = (manual_path() / page).read_text(encoding="utf-8")
    found = []
    for part in re.split(r"^## +", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        for recipe, step in _DIRECTIVE.findall(body):
            found.append(Section(page, title.strip(), simplify(body, page), recipe, step))
    return found


def simplify(text: str, page: str) -> str:
    """Return Markdown that Qt can show: no directives and pictures, links with a text, formulas in HTML."""
    plain = _IMAGE.sub("", _BLOCK.sub("", text))
    folder = Path(page).parent
    plain = _BARE_LINK.sub(lambda m: f"[{_title_of(folder / m[1])}]({m[1]}{m[2] or ''})", plain)
    plain = _LINK.sub(lambda m: f"](manual:{_normalise(folder / m[1])})", plain)
    return _FORMULA.sub(_replace_formula, plain).strip()


def _replace_formula(found: re.Match[str]) -> str:
    shown = f"*{format_formula(found[1] or found[2])}*"
    return f"\n\n{shown}\n\n" if found[1] else shown


def _normalise(path: Path) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _title_of(path: Path) -> str:
    place = manual_path() / _normalise(path)
    try:
        first = place.read_text(encoding="utf-8").partition("\n")[0]
    except OSError:
        return path.stem.replace("-", " ")
    return first.lstrip("# ").strip()


# --- formulas ---

_SYMBOLS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "theta": "θ", "lambda": "λ", "mu": "μ",
    "nu": "ν", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "Delta": "Δ", "Sigma": "Σ", "Omega": "Ω", "Phi": "Φ", "sum": "∑", "int": "∫", "prod": "∏", "times": "×",
    "cdot": "·", "pm": "±", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠", "approx": "≈", "infty": "∞",
    "partial": "∂", "circ": "°", "prime": "′", "ldots": "…", "dots": "…", "to": "→", "in": "∈", "propto": "∝",
    "left": "", "right": "", "quad": " ", ",": " ", ";": " ", "!": "", " ": " ", "%": "%", "_": "_", "{": "{",
    "}": "}", "|": "‖", "\\": " ", "hat": "^", "bar": "¯", "displaystyle": "",
}  # fmt: skip
_WRAPPERS = {"mathrm", "text", "mathbf", "mathit", "operatorname", "rm", "textrm"}
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}^_]|[^\\{}^_]+", re.DOTALL)


def format_formula(tex: str) -> str:
    """Return a formula as HTML: letters, sub- and superscripts; fractions stand in one line."""
    tokens: list[str] = _TOKEN.findall(tex.replace("\n", " "))
    shown, _ = _read_group(tokens, 0)
    return re.sub(r" {2,}", " ", shown).strip()


def _read_group(tokens: list[str], place: int) -> tuple[str, int]:
    """Return the HTML up to the brace that closes the group, and the place after it."""
    parts: list[str] = []
    while place < len(tokens) and tokens[place] != "}":
        shown, place = _read_item(tokens, place)
        parts.append(shown)
    return "".join(parts), place + 1


def _read_item(tokens: list[str], place: int) -> tuple[str, int]:
    word = tokens[place]
    if word == "{":
        return _read_group(tokens, place + 1)
    if word in "^_":
        argument, place = _read_argument(tokens, place + 1)
        tag = "sup" if word == "^" else "sub"
        return f"<{tag}>{argument}</{tag}>", place
    if not word.startswith("\\"):
        return html.escape(word, quote=False), place + 1
    name = word[1:]
    if name in ("frac", "dfrac", "tfrac"):
        above, place = _read_argument(tokens, place + 1)
        below, place = _read_argument(tokens, place)
        return f"{_bracket(above)}/{_bracket(below)}", place
    if name == "sqrt":
        argument, place = _read_argument(tokens, place + 1)
        return f"√{_bracket(argument)}", place
    if name in _WRAPPERS:
        return _read_argument(tokens, place + 1)
    return _SYMBOLS.get(name, name), place + 1


def _read_argument(tokens: list[str], place: int) -> tuple[str, int]:
    """Return what a command or a script applies to: a group, a command, or one letter."""
    if place >= len(tokens):
        return "", place
    word = tokens[place]
    if word in "{^_" or word.startswith("\\"):
        return _read_item(tokens, place)
    text = word.lstrip()
    if len(text) > 1:
        tokens[place] = text[1:]
        return html.escape(text[0], quote=False), place
    return html.escape(text, quote=False), place + 1


def _bracket(text: str) -> str:
    bare = re.sub(r"<[^>]+>", "", text)
    return text if len(bare.strip()) <= 1 or bare.strip().isalnum() else f"({text.strip()})"
