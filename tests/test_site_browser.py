"""The site in a real Chromium, from disk: nothing fails, everything works, by keyboard too."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sites import NAMES, settle

from dualc import cli

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium here (Debian: apt-get install chromium)"),
]
# Elements that reach beyond the window, unless something around them scrolls.
BEYOND = """() => [...document.querySelectorAll("body *")].filter(e => {
    if (e.closest(".skip") || e.getBoundingClientRect().right <= innerWidth + 1) return false;
    for (let p = e; p !== document.body; p = p.parentElement)
        if (getComputedStyle(p).overflowX !== "visible") return false;
    return true;
}).map(e => e.outerHTML.slice(0, 80))"""


# Cells of a list whose content lies over the next one.
WIDER = """() => [...document.querySelectorAll(".list td, .list th")]
    .filter(e => e.scrollWidth > e.clientWidth + 1 && !e.matches(".unseen, thead *"))
    .map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        settle(root, patch, NAMES)
        assert cli.run(["site", "--out", str(root / "out")]) == 0
    return root / "out"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@contextmanager
def opened(browser: Browser, **context: Any) -> Iterator[Page]:
    """A page that must have no error, no message on the console and no failed request."""
    context.setdefault("viewport", {"width": 1180, "height": 900})
    with browser.new_context(**context) as inside:
        page = inside.new_page()
        troubles: list[str] = []
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("requestfailed", lambda request: troubles.append(request.url))
        yield page
        assert troubles == []


def visit(page: Page, site: Path, path: str = "index.html") -> None:
    page.goto((site / path).as_uri())


def shown(page: Page) -> list[str]:
    return page.locator("table.list tbody tr:visible th > a").all_inner_texts()


def check_page(page: Page) -> None:
    """Every formula has a size, and nothing makes the page scroll sideways."""
    sizes = page.evaluate(
        "[...document.querySelectorAll('math')].filter(m => !m.closest('details:not([open])'))"
        ".map(m => [m.getBoundingClientRect().width, m.getBoundingClientRect().height])"
    )
    assert all(width > 0 and height > 0 for width, height in sizes)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(BEYOND) == []
    assert page.evaluate(WIDER) == []


def test_every_page_loads_and_its_formulas_have_a_size(browser: Browser, site: Path) -> None:
    with opened(browser) as page:
        for path in sorted(site.rglob("*.html")):
            visit(page, site, str(path.relative_to(site)))
            page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
            check_page(page)
            assert page.locator("h1").count() == 1


def test_on_a_phone_nothing_scrolls_sideways(browser: Browser, site: Path) -> None:
    with opened(browser, viewport={"width": 360, "height": 740}, is_mobile=True) as page:
        for path in sorted(site.rglob("*.html")):
            visit(page, site, str(path.relative_to(site)))
            page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
            check_page(page)


def test_without_javascript_everything_can_be_read(browser: Browser, site: Path) -> None:
    with opened(browser, java_script_enabled=False) as page:
        visit(page, site)
        assert shown(page) == sorted(NAMES)
        assert not page.locator("form.search").is_visible()
        page.get_by_role("link", name="tanh", exact=True).click()
        assert page.locator("h1").inner_text() == "tanh"
        assert page.locator("figure > svg").count() == 4
        assert not page.locator("[data-explorer]").is_visible()
        page.locator("summary", has_text="tanh.py").click()
        assert page.get_by_text("def dual(q12, q11, q22", exact=False).last.is_visible()


def test_search_narrows_the_list_and_says_so(browser: Browser, site: Path) -> None:
    with opened(browser) as page:
        visit(page, site)
        search = page.get_by_role("searchbox")
        search.fill("RELU")
        assert shown(page) == ["bounded_relu", "relu"]
        assert page.locator("form.search output").inner_text() == f"2 of {len(NAMES)}"
        search.fill("tsuchida gelu")  # words of a source, not on the page
        assert shown(page) == ["gelu"]
        search.fill("no such thing")
        assert shown(page) == []
        search.fill("")
        assert shown(page) == sorted(NAMES)


def test_columns_are_sorted_both_ways(browser: Browser, site: Path) -> None:
    with opened(browser) as page:
        visit(page, site)
        head = page.locator("table.list thead th", has_text="name")
        for direction, wanted in (
            ("ascending", sorted(NAMES)),
            ("descending", sorted(NAMES)[::-1]),
        ):
            head.get_by_role("button").click()
            assert head.get_attribute("aria-sort") == direction
            assert shown(page) == wanted
        page.locator("table.list thead th", has_text="float32").get_by_role("button").click()
        cells = page.locator("table.list tbody tr td[data-label=float32]").all()
        units = [float(cell.get_attribute("data-value") or "inf") for cell in cells]
        assert units == sorted(units)
        assert head.get_attribute("aria-sort") is None


def test_the_keyboard_reaches_everything_in_order(browser: Browser, site: Path) -> None:
    with opened(browser) as page:
        visit(page, site)
        visited = []
        for _ in range(13):
            page.keyboard.press("Tab")
            visited.append(page.evaluate("document.activeElement.textContent.trim()"))
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        header = ["dualc", "closed", "mixture", "series", "generic", "edge", "boundary"]
        assert visited[:8] == ["Skip to the content", *header]
        assert visited[8:12] == ["closed", "mixture", "series", ""]  # the last: the search field
        assert visited[12] == "name"
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        assert shown(page) == sorted(NAMES)[::-1]
        visit(page, site)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.url.endswith("#main")


def contrast(one: str, other: str) -> float:
    """WCAG's contrast of two colours, rgb(r, g, b)."""

    def luminance(text: str) -> float:
        parts = [int(p) / 255 for p in text.removeprefix("rgb(").removesuffix(")").split(",")]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_and_lines_stand_out_in_light_and_dark(browser: Browser, site: Path) -> None:
    paper = []
    for scheme in ("light", "dark"):
        with opened(browser, color_scheme=scheme) as page:
            visit(page, site, "activation/tanh.html")
            page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
            style = "(e, name) => getComputedStyle(e)[name]"
            back = page.locator("body").evaluate(style, "background-color")
            paper.append(back)
            for selector in (
                "p.lead",
                ".aside",
                "figcaption",
                "main a",
                ".source span",
                "dt",
                "summary",
            ):
                colours = page.locator(selector).evaluate_all(
                    "es => es.map(e => getComputedStyle(e).color)"
                )
                assert min(contrast(colour, back) for colour in colours) >= 4.5, (scheme, selector)
            for selector in (".line.s0", ".line.s1", ".line.s2"):
                colour = page.locator(selector).first.evaluate(style, "stroke")
                assert contrast(colour, back) >= 3
            visit(page, site)
            field, hint = page.get_by_role("searchbox").evaluate(
                "e => [getComputedStyle(e).backgroundColor, "
                "getComputedStyle(e, '::placeholder').color]"
            )
            assert contrast(hint, field) >= 4.5, scheme
    assert paper[0] != paper[1]


def test_pictures_and_tables_have_names_for_screen_readers(browser: Browser, site: Path) -> None:
    with opened(browser) as page:
        visit(page, site, "activation/relu.html")
        for picture in page.get_by_role("img").all():
            label = picture.evaluate(
                "e => e.ariaLabel || document.getElementById(e.getAttribute('aria-labelledby'))"
                "?.textContent || e.querySelector('title').textContent"
            )
            assert len(label) > 10
        for name in ("q₁₁", "q₂₂", "ρ", "depth"):
            assert page.get_by_role("slider", name=name).count() == 1
        visit(page, site)
        assert page.get_by_role("img", name="φ runs from 0 to 5").count() >= 1
        assert page.get_by_role("row").count() == len(NAMES) + 1


def test_code_is_copied(browser: Browser, site: Path) -> None:
    with opened(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        visit(page, site, "activation/gelu.html")
        page.get_by_role("button", name="Copy").first.click()
        page.get_by_role("button", name="Copied").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == "from dualc.generated import gelu"


def explored(page: Page, **settings: float) -> dict[str, tuple[float, float]]:
    """(low, high) of every kernel the explorer shows at these settings."""
    for name, value in settings.items():
        index = {
            "q11": "[data-q='0']",
            "q22": "[data-q='1']",
            "rho": "[data-rho]",
            "depth": "[data-depth]",
        }
        page.locator(index[name]).fill(str(value))
    return {
        row.locator("th").inner_text(): (
            float(row.get_attribute("data-low") or "nan"),
            float(row.get_attribute("data-high") or "nan"),
        )
        for row in page.locator(".values tbody tr").all()
    }


@pytest.mark.parametrize("name", ["relu", "gelu"])
def test_the_explorer_encloses_the_networks_it_speaks_of(
    browser: Browser, site: Path, name: str
) -> None:
    from dualc import layers as nn

    with opened(browser) as page:
        visit(page, site, f"activation/{name}.html")
        for i, j, rho, depth in (
            (8, 8, 0.5, 3),
            (4, 10, -0.3, 1),
            (12, 6, 0.9, 4),
            (0, 16, 1.0, 2),
        ):
            found = explored(page, q11=i, q22=j, rho=rho, depth=depth)
            q11, q22 = 2.0 ** ((i - 8) / 2), 2.0 ** ((j - 8) / 2)
            x1 = np.array([[math.sqrt(2 * q11), 0.0]])
            x2 = math.sqrt(2 * q22) * np.array([[rho, math.sqrt(1 - rho**2)]])
            inner = [nn.LayerNorm(), nn.Activation(name), nn.Dense()] * (depth - 1)
            net = nn.serial(nn.Dense(), nn.Activation(name), nn.Dense(), *inner, nn.LayerNorm())
            kernel = net.kernel(x1, x2)
            for label, true in (("NNGP", kernel.nngp), ("NTK", kernel.ntk)):
                low, high = found[label]
                assert low - 1e-10 <= float(true[0, 0]) <= high + 1e-10
                assert high - low < (0.2 if rho < 1 else 2)
            for row in page.locator(".values tbody tr").all():
                value, bound = (
                    float(c.replace("−", "-")) for c in row.locator("td").all_inner_texts()
                )
                low, high = found[row.locator("th").inner_text()]
                assert value - bound <= low <= high <= value + bound
                assert bound <= 2 * (high - low)


def test_sliders_move_by_keyboard_and_redraw(browser: Browser, site: Path) -> None:
    with opened(browser) as page:
        visit(page, site, "activation/gelu.html")
        lines = page.locator("[data-charts] .line.s1")
        before = lines.evaluate_all("es => es.map(e => e.getAttribute('d'))")
        depth = page.get_by_role("slider", name="depth")
        depth.focus()
        page.keyboard.press("ArrowRight")
        assert depth.get_attribute("aria-valuetext") == "4"
        after = lines.evaluate_all("es => es.map(e => e.getAttribute('d'))")
        assert len(before) == len(after) == 4
        assert before[:2] == after[:2]  # phi, and the dual of the first layer
        assert before[2] != after[2]
        assert before[3] != after[3]


def test_where_phi_jumps_or_is_unknown_the_explorer_shows_no_ntk(
    browser: Browser, site: Path
) -> None:
    with opened(browser) as page:
        visit(page, site, "activation/step.html")
        found = explored(page, rho=-0.5, depth=1)
        assert list(found) == ["dual", "NNGP"]
        low, high = found["dual"]
        assert low <= 1 / 4 + math.asin(-0.5) / (2 * math.pi) <= high
        visit(page, site, "activation/normalised_gaussian.html")
        found = explored(page, rho=0.25, depth=1)
        assert list(found) == ["dual", "NNGP"]
        assert found["dual"][0] <= math.exp(-0.75) <= found["dual"][1]
        assert page.locator("[data-q='0']").is_disabled()


@pytest.mark.slow
def test_every_page_of_the_whole_catalog_loads(browser: Browser, tmp_path: Path) -> None:
    assert cli.run(["site", "--out", str(tmp_path / "out")]) == 0
    for width in (1180, 360):
        with opened(browser, viewport={"width": width, "height": 800}) as page:
            for path in sorted((tmp_path / "out").rglob("*.html")):
                visit(page, tmp_path / "out", str(path.relative_to(tmp_path / "out")))
                check_page(page)
