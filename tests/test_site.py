"""The site: what pages say, what bounds hold, whose files are left alone."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest
from mpmath import mp, mpf
from sites import NAMES, copied, settle

from dualc import cli
from dualc.errors import EntryError
from dualc.ir import Activation, Known, Measurement, Parameter
from dualc.paths import DERIVED, PACKAGED, Place, project
from dualc.record import read_record, text_of
from dualc.site import Entry, build, picture
from dualc.site.enclose import VARIANCES, dual, slope_dual
from dualc.site.figure import charts, thumbnails
from dualc.site.formulas import equation, formula, symbol
from dualc.site.pages import digits, eps, formulas_shown, shortened

RHOS = (-1.0, -1 + 2.0**-20, -0.5, 0.0, 0.3, 0.9, 1 - 2.0**-20, 1.0)
VOID = {"meta", "link", "input", "br", "hr", "img"}


def site(out: Path) -> dict[str, bytes]:
    found = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        settle(root, patch, NAMES)
        assert cli.run(["site", "--out", str(root / "out")]) == 0
    return {path: data.decode() for path, data in site(root / "out").items()}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return settle(tmp_path, monkeypatch, ("relu", "tanh"))


class Reader(HTMLParser):
    """Tags that are closed in order, links, identifiers and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.words = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [v for k in ("href", "src") if (v := given.get(k)) is not None]
        self.ids += [v for k, v in attrs if k == "id" and v]
        assert not any(name.startswith("on") for name in given), "a handler in the markup"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


# ---- pages ----


def test_there_is_a_page_for_every_activation_tier_and_region(pages: dict[str, str]) -> None:
    wanted = {"index.html", ".dualc-site", *(f"activation/{name}.html" for name in NAMES)}
    wanted |= {f"source/{name}.py.txt" for name in NAMES}
    wanted |= {f"tier/{tier}.html" for tier in ("closed", "mixture", "series")}
    wanted |= {f"region/{region}.html" for region in ("generic", "edge", "boundary")}
    wanted |= {f"assets/{name}" for name in ("style.css", "site.js", "explorer.js")}
    assert set(pages) == wanted


def test_links_resolve_and_nothing_comes_from_elsewhere(pages: dict[str, str]) -> None:
    read = {path: Reader(text) for path, text in pages.items() if path.endswith(".html")}
    for path, page in read.items():
        assert len(page.ids) == len(set(page.ids)), path
        for link in page.links:
            parts = urlsplit(link)
            if link == "data:,":  # no icon, and no request for one
                continue
            assert not parts.scheme, link
            assert not parts.netloc, link
            target = os.path.normpath(Path(path).parent / unquote(parts.path))
            target = path if not parts.path else target
            assert target in pages, (path, link)
            if parts.fragment:
                assert parts.fragment in read[target].ids, (path, link)


def test_drawings_and_formulas_are_well_formed(pages: dict[str, str]) -> None:
    for path, text in pages.items():
        if not path.endswith(".html"):
            continue
        found = re.findall(r"<(svg|math)\b.*?</\1>", text, re.DOTALL)
        assert ("svg" in found) == ("region" not in path)
        for match in re.finditer(r"<(svg|math)\b.*?</\1>", text, re.DOTALL):
            ElementTree.fromstring(re.sub(r"&(\w+);", "", match[0]))
        assert "nan" not in "".join(re.findall(r' d="([^"]*)"', text))


def test_a_page_says_what_the_record_says(pages: dict[str, str]) -> None:
    for name in NAMES:
        record, words = (
            read_record(PACKAGED.record(name)),
            Reader(pages[f"activation/{name}.html"]).words,
        )
        said = [*record.form.steps, *record.activation.sources, record.form.gave_up or ""]
        said += [m.note for c in record.certificates for m in c.worst]
        said += [digits(ball.midpoint) for ball in record.hermite.coefficients]
        for text in said:
            assert text in words, (name, text)
        assert pages[f"source/{name}.py.txt"] == PACKAGED.module(name).read_text()


def test_regions_show_the_worst_function_and_its_point(pages: dict[str, str]) -> None:
    for region in ("generic", "edge", "boundary"):
        words = Reader(pages[f"region/{region}.html"]).words
        for name in NAMES:
            (certificate,) = read_record(PACKAGED.record(name)).certificates
            here = [m for m in certificate.worst if m.region == region and m.dtype == "float32"]
            worst = max(here, key=lambda m: m.units)
            point = ", ".join(digits(v, 8) for v in worst.point)
            assert f"{worst.function} at ({point})" in words, (name, region)


def test_every_formula_of_the_catalog_becomes_mathml() -> None:
    for path in sorted(DERIVED.glob("*.json")):
        activation = json.loads(path.read_text())["activation"]
        for text in (activation["expression"], activation["dual"]):
            if text is not None:
                found = formula(text)
                assert found is not None, text
                assert "<mo />" not in found
                ElementTree.fromstring(re.sub(r"&#?\w+;", "_", found))


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("a - (b - c)", "a−(b−c)"),
        ("-a - -b", "−a−(−b)"),
        ("atan2(x, y)", "atan2(x,y)"),
        ("slope1*lambda2", "s1λ2"),
        ("expm1(x) + log1p(x)", "ex−1+log(1+x)"),
        (" + ".join(["x*sigmoid(x)"] * 9), "+".join(["xsigmoid(x)"] * 9)),
    ],
)
def test_mathml_reads_as_the_formula(text: str, letters: str) -> None:
    found = formula(text)
    assert found is not None
    shown = "".join(ElementTree.fromstring(found).itertext())
    assert re.sub(r"\s", "", shown) == letters


@pytest.mark.parametrize(
    "text",
    ["no formula", "<b>", "'<b>'", "x\x00", "(" * 300 + "x" + ")" * 300, "-" * 3000 + "x",
     "x" * 5000, "𝑥<y", "a[0]", "lambda: x", "x == 1", ""],
)  # fmt: skip
def test_what_is_no_formula_stays_text(text: str) -> None:
    assert formula(text) is None
    assert symbol(text) is None


def test_long_tables_of_a_source_are_cut_and_say_so() -> None:
    source = "ROWS = (\n" + "    1.5, -2e-05,\n" * 40 + ")\n" + 'x = "' + "1" * 500 + '"\n'
    lines = shortened(source).splitlines()
    assert lines[7:9] == ["    # ... 35 more lines of numbers", 'x = "' + "1" * 101 + " ..."]
    plain = PACKAGED.module("relu").read_text()
    assert shortened(plain) == plain


def test_markup_inside_latex_is_not_let_through() -> None:
    for body in (r"\text{<b>x</b>}", r"\text{<mi onclick=x>x</mi>}", r"\text{<mi href='x'>x</mi>}"):
        assert equation(body) is None
    assert equation(r"\dot{k} = \sum_{n \ge 0} \text{otherwise}") is not None


def test_every_equation_of_the_catalog_is_set() -> None:
    for path in sorted(DERIVED.glob("*.json")):
        for line, shown in formulas_shown(read_record(path)):
            assert shown is not None, (path.stem, line)


def test_a_long_sum_has_as_many_lines_as_it_needs() -> None:
    short, long = (
        "T(1, 0, 1, 0, q12)",
        "(" + " + ".join(f"a{n}*q11**{n}" for n in range(9)) + ")**2",
    )
    for text, lines in (
        (short, 1),
        (" + ".join([short] * 8), 3),
        (f"{short} + {long} - {short}", 3),
    ):
        found = formula(text, "k")
        assert found is not None
        assert max(1, found.count("<mtr>")) == lines


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1"),
        ("0.10e-45", "1.0e−46"),
        (-2.5e-6, "−2.5e−6"),
        (1024.0, "1024"),
        (65536.0, "6.554e4"),
        (math.inf, "inf"),
        ("0.00000175251", "1.753e−6"),
        ("-0.0500000", "−0.05000"),
        ("0E-20", "0"),
        (1e-5, "1e−5"),
        (2.0**160, "1.462e48"),
    ],
)
def test_numbers_are_short(number: object, text: str) -> None:
    assert digits(number, 4) == text


def test_errors_are_powers_of_two() -> None:
    shown = [eps(units) for units in (1.0, 8192.0, 16384.0, 2.0**160, math.inf, None)]
    assert shown == ["1", "8192", "2¹⁴", "2¹⁶⁰", "inf", "–"]


def test_bounds_are_rounded_up() -> None:
    assert digits("1.2341e-20", 4, up=True) == "1.235e−20"
    assert digits("-1.2341", 4, up=True) == "−1.235"
    assert digits("1.234", 4, up=True) == "1.234"


def test_bounds_stand_in_columns_by_correlation(pages: dict[str, str]) -> None:
    record = read_record(PACKAGED.record("bent_identity"))
    assert record.table is not None
    table = (
        pages["activation/bent_identity.html"]
        .partition('aria-label="Bounds"')[2]
        .partition("</table>")
    )
    rows = re.findall(r"<tr>(.*?)</tr>", table[0], re.DOTALL)
    assert len(rows) - 1 == len(record.table.bounds) / 3
    heads = re.findall(r"\|ρ\| ≤ ([\d/]+)", rows[0])
    assert heads == ["1/2", "9/10", "1"]
    first = re.findall(r'class="number">([^<]*)</td>', rows[1])
    for rho, shown in zip(heads, first, strict=True):
        (bound,) = (b for b in record.table.bounds[:6] if b.rho == rho and b.function == "dual"
                    and b.q_low == "0")  # fmt: skip
        assert shown == digits(bound.bound, 3)


# ---- what is drawn ----


def kappa1(rho: mpf) -> mpf:
    return (mp.sqrt(1 - rho**2) + (mp.pi - mp.acos(rho)) * rho) / mp.pi


DUALS = {  # by hand: the dual at q11 = q22 = q, and q dual_dot
    "relu": (lambda q, r: q * kappa1(r) / 2, lambda q, r: q * (mp.pi - mp.acos(r)) / (2 * mp.pi)),
    "step": (lambda q, r: mpf(1) / 4 + mp.asin(r) / (2 * mp.pi), None),
    "erf": (
        lambda q, r: 2 / mp.pi * mp.asin(2 * q * r / (1 + 2 * q)),
        lambda q, r: 4 * q / mp.pi / mp.sqrt((1 + 2 * q) ** 2 - 4 * (q * r) ** 2),
    ),
    "exp": (lambda q, r: mp.exp(q * (1 + r)), lambda q, r: q * mp.exp(q * (1 + r))),
    "siren": (
        lambda q, r: mp.exp(-900 * q) * mp.sinh(900 * q * r),
        lambda q, r: 900 * q * mp.exp(-900 * q) * mp.cosh(900 * q * r),
    ),
}


@pytest.mark.parametrize("name", sorted(DUALS))
def test_enclosures_hold_the_kernel(name: str) -> None:
    value, slope = DUALS[name]
    found = picture(read_record(PACKAGED.record(name))).enclosures
    assert [e.q for e in found] == list(VARIANCES)
    with mp.workdps(40):
        for e in found:
            for rho in RHOS:
                low, high = dual(e, rho)
                assert low <= value(mpf(e.q), mpf(rho)) <= high
                between = slope_dual(e, rho)
                assert (between is None) == (slope is None)
                if between and slope:
                    assert between[0] <= slope(mpf(e.q), mpf(rho)) <= between[1]


def test_bounds_are_narrow_where_the_series_converges() -> None:
    (one,) = (e for e in picture(read_record(PACKAGED.record("erf"))).enclosures if e.q == 1)
    for rho in RHOS:
        low, high = dual(one, rho)
        assert 0 < high - low < 2e-11
    low, high = dual(one, 0.5)
    assert high - low < 3e-12


def test_unequal_variances_are_enclosed_as_the_explorer_says() -> None:
    first, *_, last = picture(read_record(PACKAGED.record("relu"))).enclosures
    terms = [a * b for a, b in zip(first.coefficients, last.coefficients, strict=True)]
    size = math.sqrt(first.square * last.square)
    for rho in RHOS:
        kept = math.fsum(c * rho**n for n, c in enumerate(terms))
        rest = math.sqrt(first.tail * last.tail) * abs(rho) ** len(terms) + 1e-12 * size
        with mp.workdps(30):
            true = mp.sqrt(mpf(first.q) * mpf(last.q)) * kappa1(mpf(rho)) / 2
            assert abs(kept - true) <= rest


def test_phi_is_drawn_from_kink_to_kink() -> None:
    left, right = picture(read_record(PACKAGED.record("step"))).phi
    assert (left[0], left[-1], right[0], right[-1]) == ((-5, 0), (0, 0), (0, 1), (5, 1))
    (whole,) = picture(read_record(PACKAGED.record("tanh"))).phi
    assert max(abs(y - math.tanh(x)) for x, y in whole) < 1e-15


def test_lines_have_as_many_points_as_they_need() -> None:
    for name, phi, most in (
        ("relu", lambda x: max(x, 0.0), 4),
        ("mexican_hat", lambda x: 2 / math.sqrt(3 * math.sqrt(math.pi)) * (1 - x * x)
         * math.exp(-x * x / 2), 200),
        ("siren", lambda x: math.sin(30 * x), 6000),
    ):  # fmt: skip
        drawn = picture(read_record(PACKAGED.record(name))).phi
        points = [point for line in drawn for point in line]
        assert len(points) <= most
        height = max(y for _, y in points) - min(y for _, y in points)
        for line in drawn:
            for (x0, y0), (x1, y1) in pairwise(line):
                for share in (0.25, 0.5, 0.75):
                    x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
                    assert abs(y - phi(x)) < 0.003 * height, (name, x)


def test_a_kernel_without_phi_is_drawn_from_its_record() -> None:
    record = read_record(PACKAGED.record("normalised_gaussian"))
    drawn = picture(record)
    (one,) = drawn.enclosures
    for rho in RHOS:
        low, high = dual(one, rho)
        assert low <= math.exp(rho - 1) <= high
    assert [c.name for c in charts(drawn)] == ["dual", "decay"]
    assert thumbnails(drawn)[0] is None


def test_curves_are_where_the_axes_say() -> None:
    record = read_record(PACKAGED.record("relu"))
    chart = next(c for c in charts(picture(record)) if c.name == "dual")
    y = {tick.label: tick.at for tick in chart.y_ticks}
    x = {tick.label: tick.at for tick in chart.x_ticks}
    for line in chart.lines:
        points = [tuple(map(float, p.split())) for p in line.path[1:].split("L")]
        at_0 = min(points, key=lambda p: abs(p[0] - x["0"]))
        shown = (y["0"] - at_0[1]) / (y["0"] - y["1"])
        assert abs(shown - 1 / math.pi) < 0.002  # kappa1(0)
        assert abs(points[-1][1] - y["1"]) < 0.15
    assert [label for _, label in chart.legend] == ["q = 0.25", "q = 1", "q = 4"]


def test_an_activation_that_grows_too_fast_is_drawn_as_far_as_it_goes() -> None:
    record = read_record(PACKAGED.record("exp"))
    fast = Activation("fast", "exp(x**2/20)", None, "exp(x**2/20)")
    plan = dataclasses.replace(record.plan, domain_high="10")
    found = picture(dataclasses.replace(record, activation=fast, plan=plan)).enclosures
    assert max(e.q for e in found) <= 10
    for e in found:  # E[phi^2] = 1/sqrt(1 - q/5), until it is infinite at q = 5
        assert e.q < 5
        assert abs(e.square * math.sqrt(1 - e.q / 5) - 1) < 1e-12
    assert len(found) > 8


# ---- strangers ----

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7919*7907 }}"


def test_nothing_a_stranger_writes_becomes_markup() -> None:
    record = read_record(PACKAGED.record("tanh"))
    activation = dataclasses.replace(
        record.activation,
        name=f"a{EVIL}?#%/b".replace("/", ""),
        typed=EVIL,
        summary=EVIL,
        aliases=(EVIL,),
        sources=(EVIL,),
        parameters=(Parameter(EVIL, EVIL, EVIL),),
        fixed=((EVIL, EVIL),),
        kinks=(EVIL,),
        known=(Known(EVIL, EVIL, EVIL),),
    )
    form = dataclasses.replace(
        record.form,
        steps=(EVIL,),
        gave_up=EVIL,
        mixed=EVIL,
        readable=((EVIL, EVIL),),
        jumps=(EVIL,),
    )
    measured = Measurement(EVIL, "float32", "generic", 2.0, (1.0, 1.0, 1.0), EVIL)
    certificate = dataclasses.replace(
        record.certificates[0], backend=EVIL, grid=EVIL, worst=(measured,)
    )
    hermite = dataclasses.replace(record.hermite, symbolic=(EVIL,))
    hostile = dataclasses.replace(
        record, activation=activation, form=form, certificates=(certificate,), hermite=hermite
    )
    files = build(
        [Entry(hostile, EVIL, picture(record)), Entry(record, "x = 1\n", picture(record))]
    )
    for path, text in files.items():
        if not path.endswith(".html"):
            continue
        page = Reader(text)
        assert "<img" not in text
        assert "62615533" not in page.words
        scripts = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
        plain = [body for body in scripts if body.strip()]
        assert all(json.loads(body)["name"] in (activation.name, "tanh") for body in plain), path
    assert EVIL in Reader(files[f"activation/{activation.name}.html"]).words
    for link in Reader(files["index.html"]).links:
        if link not in ("data:,", "#main"):
            assert unquote(urlsplit(link).path) in files


@pytest.mark.parametrize("name", ["tanh", "normalised_gaussian", "bounded_relu"])
@pytest.mark.parametrize("text", [EVIL, "spam(x)", "__import__('os')", "x" * 9000])
def test_a_record_whose_formula_is_none_is_an_error(name: str, text: str) -> None:
    record = read_record(PACKAGED.record(name))
    given = record.activation.expression is None
    changed = {"dual": text} if given else {"expression": text}
    activation = dataclasses.replace(record.activation, **changed)
    with pytest.raises(EntryError, match=f"Run: dualc compile {name}$"):
        picture(dataclasses.replace(record, activation=activation))
    if record.form.pieces:
        form = dataclasses.replace(record.form, pieces=record.form.pieces[:1])
        with pytest.raises(EntryError, match="damaged"):
            picture(dataclasses.replace(record, form=form))


# ---- the command ----


def test_a_kernel_without_phi_has_equations_of_its_own(pages: dict[str, str]) -> None:
    words = Reader(pages["activation/normalised_gaussian.html"]).words
    assert "k(q12,q11,q22)=q11q22eγ(ρ−1)" in re.sub(r"\s", "", words)
    assert "there is no φ" in words


def test_the_same_catalog_gives_the_same_bytes(place: Place, tmp_path: Path) -> None:
    assert cli.run(["site", "--out", str(tmp_path / "one")]) == 0
    code = (
        "import sys; from pathlib import Path\n"
        "from dualc.cli import catalog, site, run\n"
        "from dualc.paths import project\n"
        "catalog.PACKAGED = site.PACKAGED = project(Path(sys.argv[1]))\n"
        "assert run(['site', '--out', sys.argv[2]]) == 0\n"
        "print([m for m in ('jax',) if m in sys.modules])\n"
    )
    arguments = [str(place.modules.parent), str(tmp_path / "two")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONHASHSEED": "7", "LANG": "C", "TZ": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("[]\n")  # no jax
    assert site(tmp_path / "one") == site(tmp_path / "two")


def test_a_second_run_changes_nothing(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for count in (15, 0):
        assert cli.run(["site", "--out", "deep/er"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("deep/er/index.html: 2 activations, 15 files of ")
        assert out.endswith(f" {count} changed\n")


def test_activations_of_the_working_folder_are_shown(place: Place) -> None:
    own = project(Path())
    copied(Path(), ("gelu",))
    assert own.record("gelu").is_file()
    assert cli.run(["site", "--out", "out"]) == 0
    assert Path("out/activation/relu.html").is_file()
    page = Path("out/activation/gelu.html").read_text()
    assert 'dualc.load("generated/gelu.py")' in page
    assert "dualc.generated" not in page
    assert "nn.Activation(k)" in page


def test_pages_of_activations_that_went_are_removed_and_other_files_stay(place: Place) -> None:
    assert cli.run(["site", "--out", "out"]) == 0
    for path in ("notes.txt", "activation/mine.html"):
        (Path("out") / path).write_text("mine")
    outside = Path("precious.html")
    outside.write_text("mine")
    with Path("out/.dualc-site").open("a") as file:
        file.write("../precious.html\n/etc/hostname\n\n.\n")
    for path in (place.record("tanh"), place.module("tanh"), place.entry("tanh")):
        path.unlink()
    assert cli.run(["site", "--out", "out"]) == 0
    left = set(site(Path("out")))
    assert {"notes.txt", "activation/mine.html", "activation/relu.html"} <= left
    assert not {"activation/tanh.html", "source/tanh.py.txt"} & left
    assert outside.read_text() == "mine"


def edited_module(place: Place) -> str:
    text = place.module("tanh").read_text()
    place.module("tanh").write_text(re.sub(r'FINGERPRINT = "..', 'FINGERPRINT = "00', text))
    return "is not what dualc emits"


def missing_module(place: Place) -> str:
    place.module("tanh").unlink()
    return "cannot be read"


def other_entry(place: Place) -> str:
    text = place.entry("tanh").read_text()
    place.entry("tanh").write_text(text.replace("tanh(x)", "tanh(x)/2"))
    return "is not of"


def cut_record(place: Place) -> str:
    path = place.record("tanh")
    path.write_text(path.read_text()[:5000])
    return "not JSON"


def odd_number(place: Place) -> str:
    """Of the right shape, and fitting its module, but no number."""
    from dualc.ir import Ball, fingerprint
    from dualc.record import data_of

    record = read_record(place.record("tanh"))
    balls = (Ball("much", "0"), *record.hermite.coefficients[1:])
    odd = dataclasses.replace(
        record, hermite=dataclasses.replace(record.hermite, coefficients=balls)
    )
    place.record("tanh").write_text(text_of(odd))
    print_ = fingerprint(data_of(odd), place.support.read_text())
    text = place.module("tanh").read_text()
    place.module("tanh").write_text(re.sub(r'(FINGERPRINT = )"\w+"', rf'\1"{print_}"', text))
    return "the record of tanh is damaged"


@pytest.mark.parametrize(
    "damage", [edited_module, missing_module, other_entry, cut_record, odd_number]
)
def test_a_stale_or_damaged_record_is_named_and_the_others_are_shown(
    damage: object, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    says = damage(place)  # type: ignore[operator]
    assert cli.run(["site", "--out", "out"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert says in captured.err
    assert captured.err.endswith("Run: dualc compile tanh\n")
    assert "1 activations" in captured.out
    assert Path("out/activation/relu.html").is_file()
    assert not Path("out/activation/tanh.html").exists()


def test_a_folder_that_is_no_site_is_left_alone(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("thesis").mkdir()
    Path("thesis/index.html").write_text("mine")
    for mine in ({"index.html": b"mine"}, {"index.html": b"mine", ".dualc-site": b"\xff\x00"}):
        for name, data in mine.items():
            (Path("thesis") / name).write_bytes(data)
        assert cli.run(["site", "--out", "thesis"]) == 2
        assert "thesis: holds other things than a site" in capsys.readouterr().err
        assert site(Path("thesis")) == mine


def test_a_file_in_the_place_of_the_folder_is_an_error(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("thesis").write_text("mine")
    for out in ("thesis", "thesis/site"):
        assert cli.run(["site", "--out", out]) == 2
        err = capsys.readouterr().err
        assert err.startswith("thesis")
        assert "--out" in err
        assert err.count("\n") == 1
    assert Path("thesis").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_said_before_any_work(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("work was done before the fault was said")

    def read_only(*_: object) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "fsync", read_only)
    monkeypatch.setattr("dualc.site.picture", refuse)
    assert cli.run(["site", "--out", "deep/er"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("deep/er: cannot be written (Read-only file system)")
    assert "Make the folder writable" in line
    assert not Path("deep").exists()


def test_a_full_disk_leaves_the_site_as_it_was(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["site", "--out", "out"]) == 0
    before = site(Path("out"))
    place.record("tanh").unlink()
    seen: list[int] = []

    def full(handle: int) -> None:
        seen.append(handle)
        if len(seen) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    capsys.readouterr()
    assert cli.run(["site", "--out", "out"]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert site(Path("out")) == before


@pytest.mark.parametrize("package", ["jinja2", "latex2mathml", "pygments"])
def test_a_missing_package_is_named(
    package: str, place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert cli.run(["site", "--out", "out"]) == 2
    assert (
        capsys.readouterr().err == f"dualc site needs {package}.  Run: pip install 'dualc[site]'\n"
    )
    assert not Path("out").exists()


def test_pages_are_made_without_jax_and_computer_algebra() -> None:
    code = "import sys, dualc.site; print([m for m in ('jax', 'sympy') if m in sys.modules])"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.slow
def test_the_whole_catalog_becomes_a_site(tmp_path: Path) -> None:
    assert cli.run(["site", "--out", str(tmp_path / "out")]) == 0
    names = {path.stem for path in DERIVED.glob("*.json")}
    assert {path.stem for path in (tmp_path / "out" / "activation").iterdir()} == names
    for path in (tmp_path / "out").rglob("*.html"):
        Reader(path.read_text())
