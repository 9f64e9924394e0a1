"""Write the page of all actions and their keys from their declarations: ``python docs/make_shortcuts.py``."""

from pathlib import Path

from sofia_app.actions import format_shortcuts

HEAD = """\
# Shortcuts

All actions of the desktop program, by menu. `docs/make_shortcuts.py` writes this page from their declarations.

"""


def make_page() -> str:
    """Return the page."""
    return HEAD + format_shortcuts().rstrip() + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "shortcuts.md").write_text(make_page(), encoding="utf-8")
