"""Views beside the image: which viewer a product goes to, pins and clones, what is kept, help, numbers copied."""

import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

pytest.importorskip("PySide6")

from sofia_app.models.manual import find_section, format_formula, list_pages, read_page, read_sections
from sofia_app.models.reduction import StepRow
from sofia_app.models.saved_views import SavedPage, SavedViews
from sofia_app.models.sparkline import DURATION, make_sparkline
from sofia_app.models.table_text import format_table, write_rows
from sofia_app.models.viewer_kinds import VIEWERS, choose_viewer
from sofia_app.views.view_tabs import ViewTabs
from sofia_engine.instruments import all_recipes, find_recipe
from sofia_engine.product import Product
from sofia_engine.resources import manual_path
from sofia_viewers.qt import QtWidgets

ROOT = Path(__file__).resolve().parents[2]


def make_product(shape: tuple[int, ...], name: str = "FLUX", **keywords: object) -> Product:
    header = fits.Header()
    header["FILENAME"] = "made.fits"
    header.update(keywords)
    return Product.of(header, {name: np.arange(np.prod(shape), dtype=float).reshape(shape)})


SPECTRUM = {"XUNITS": "um", "YUNITS": "Jy", "INSTRUME": "FORCAST"}


@pytest.mark.parametrize(
    ("product", "best"),
    [
        (make_product((64, 64)), "image"),
        (make_product((4, 64, 64)), "image"),
        (make_product((5, 240), **SPECTRUM), "spectrum"),
        (make_product((240,), "SPECTRAL_FLUX"), "spectrum"),
        (make_product((12, 20, 20), CTYPE3="WAVE"), "cube"),
    ],
    ids=["image", "raw planes", "rows", "extension", "cube"],
)
def test_that_a_product_goes_to_the_viewer_that_suits_it(product: Product, best: str) -> None:
    if best not in [kind.name for kind in VIEWERS]:
        pytest.skip(f"the {best} viewer is not installed")
    assert choose_viewer([product]).name == best


def test_that_products_without_data_suit_no_viewer() -> None:
    assert choose_viewer([Product(fits.Header(), {})]) is None
    assert choose_viewer([]) is None


def test_that_every_viewer_of_the_registry_can_be_loaded() -> None:
    for kind in VIEWERS:
        assert callable(kind.load()), kind.name
        assert kind.is_loaded


class TestSparkline:
    def row(self, *values: float, seconds: float = 1.0) -> StepRow:
        return StepRow(0, "a", "A", "done", seconds, quality=tuple({"noise": v} for v in values), state_key="k")

    def test_that_a_line_goes_through_all_products_from_its_lowest_to_its_highest(self) -> None:
        drawing = make_sparkline(self.row(1.0, 3.0, 2.0), "noise", 1.0)
        assert drawing.points == ((0.0, 0.0), (0.5, 1.0), (1.0, 0.5))
        assert drawing.text == "noise of 3 products: 1 to 3, mean 2"

    def test_that_small_differences_are_not_blown_up(self) -> None:
        heights = [y for _, y in make_sparkline(self.row(100.0, 101.0), "noise", 1.0).points]
        assert heights == pytest.approx([0.45, 0.55], rel=1e-2)

    def test_that_missing_numbers_leave_a_gap_and_a_single_one_is_a_point(self) -> None:
        assert make_sparkline(self.row(float("nan")), "noise", 1.0).points == ()
        assert make_sparkline(self.row(7.0), "noise", 1.0).points == ((0.5, 0.5),)
        assert [x for x, _ in make_sparkline(self.row(1.0, float("nan"), 2.0), "noise", 1.0).points] == [0.0, 1.0]

    def test_that_time_is_a_bar_relative_to_the_longest_step(self) -> None:
        assert make_sparkline(self.row(seconds=2.0), DURATION, 8.0).bar == 0.25
        assert make_sparkline(StepRow(0, "a", "A", "ready"), DURATION, 8.0).text == ""


class TestManual:
    def test_that_formulas_become_letters_without_commands(self) -> None:
        assert format_formula(r"\frac{N \beta_g}{F t}") == "(N β<sub>g</sub>)/(F t)"
        assert format_formula(r"\mathrm{TELCORR} = \frac{R(z)}{R_\mathrm{ref}}") == "TELCORR = (R(z))/R<sub>ref</sub>"
        assert format_formula(r"x^{2} \pm \sqrt{y}") == "x<sup>2</sup> ± √y"
        assert format_formula("a < b") == "a &lt; b"

    def test_that_no_page_shows_commands_of_formulas_or_directives(self) -> None:
        assert len(list_pages()) > 10
        for page in list_pages():
            text = re.sub(r"```.*?```|`[^`]*`", "", read_page(page), flags=re.DOTALL)
            assert "eval-rst" not in text, page
            assert not re.search(r"\\(frac|sum|mathrm|sqrt|times|pm|alpha|beta|sigma)", text), page

    def test_that_links_lead_to_pages_that_exist(self) -> None:
        for page in list_pages():
            for target in re.findall(r"\]\(manual:([^)#]+)", read_page(page)):
                if target.endswith(".md") and not target.startswith(("developer", "changelog")):
                    assert manual_path(target).is_file(), f"{page} leads to {target}"

    def test_that_pages_outside_the_manual_are_not_read(self) -> None:
        assert read_page("../pyproject.toml") == ""
        assert read_page("nonsense.md") == ""

    @pytest.mark.parametrize("name", [recipe.name for recipe in all_recipes()])
    def test_that_every_step_of_a_recipe_has_its_section(self, name: str) -> None:
        recipe = find_recipe(name)
        for step in recipe.steps:
            section = find_section(step, name)
            assert section is not None, step.key
            assert section.text, step.key
            assert section.step == step.key

    def test_that_the_folders_of_the_manual_are_in_the_wheel(self) -> None:
        import tomllib

        included = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
        shipped = {name.removeprefix("docs/") for name in included["force-include"] if name.startswith("docs/")}
        needed = {section.page.partition("/")[0] for section in read_sections()}
        assert needed <= shipped


class TestTables:
    def test_that_text_for_spreadsheets_quotes_what_must_be(self) -> None:
        assert format_table(["a", "b"], [["1", "x\ty"]]) == 'a\tb\n1\t"x\ty"\n'

    def test_that_numbers_are_numbers_in_ecsv(self, tmp_path: Path) -> None:
        from astropy.table import Table

        path = write_rows(tmp_path / "t.ecsv", ["step", "noise"], [["one", "1.5"], ["two", ""]])
        table = Table.read(path, format="ascii.ecsv")
        assert table["noise"][0] == 1.5
        assert np.isnan(table["noise"][1])
        assert list(table["step"]) == ["one", "two"]
        assert write_rows(tmp_path / "t.csv", ["a"], [["b"]]).read_text() == "a\nb\n"


class TestSavedViews:
    def test_that_views_survive_writing_and_reading(self, tmp_path: Path) -> None:
        pages = (SavedPage("image", "right", True, "key", {"rotation": 90.0}, True),)
        views = SavedViews(pages, "Image", 3)
        views.write(tmp_path)
        assert SavedViews.read(tmp_path) == views

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", '{"format": 99, "pages": [], "front": "", "step": 0}', '{"format": 1, "pages": [1]}']
    )
    def test_that_damaged_files_are_passed_over(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "views.json").write_text(text)
        assert SavedViews.read(tmp_path) is None


class TestViewTabs:
    @pytest.fixture
    def tabs(self, qtbot) -> ViewTabs:
        tabs = ViewTabs()
        qtbot.addWidget(tabs)
        for name in ("one", "two", "three"):
            tabs.add(QtWidgets.QLabel(name), name, closable=name == "three")
        tabs.resize(600, 400)
        tabs.show()
        return tabs

    def test_that_views_move_to_the_other_side_and_back(self, tabs: ViewTabs) -> None:
        one, two, _ = tabs.views()
        assert not tabs.groups[1].isVisible()
        tabs.move(two, "right")
        assert tabs.groups[1].isVisible()
        assert tabs.place_of(two) == "right"
        assert tabs.currentWidget() is two
        assert set(tabs.in_front()) == {one, two}
        tabs.move(two, "left")
        assert not tabs.groups[1].isVisible()
        assert [tabs.groups[0].tabText(place) for place in range(3)] == ["one", "two", "three"]

    def test_that_a_view_in_a_window_of_its_own_comes_back_when_that_is_closed(self, tabs: ViewTabs, qtbot) -> None:
        two = list(tabs.views())[1]
        tabs.move(two, "window")
        window = two.window()
        assert window is not tabs
        assert two.isVisible()
        window.close()
        assert tabs.place_of(two) == "left"
        assert two.window() is tabs

    def test_that_the_last_view_stays(self, tabs: ViewTabs) -> None:
        views = list(tabs.views())
        for view in views:
            tabs.move(view, "window")
        assert tabs.groups[0].count() == 1
        for view in views[:2]:
            view.window().close()

    def test_that_closing_is_asked_for_by_the_button_on_the_tab(self, tabs: ViewTabs, qtbot) -> None:
        asked: list[object] = []
        tabs.close_asked.connect(asked.append)
        bar = tabs.groups[0].tabBar()
        bar.tabButton(2, QtWidgets.QTabBar.ButtonPosition.RightSide).click()
        assert asked == [list(tabs.views())[2]]
        tabs.remove(asked[0])
        assert len(list(tabs.views())) == 2
