"""`dualc catalog`: what is found, what is shown and whether it is true, what is named as stale."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from dualc import cli
from dualc.cli import catalog as catalog_module
from dualc.cli.listing import list_lines
from dualc.describe import PROPERTIES, degree, made_of, properties, worst_error
from dualc.ir import Activation
from dualc.paths import DERIVED, PACKAGED, project
from dualc.plots.outline import function_of
from dualc.record import data_of, read_record

RECORDS = tuple(read_record(path) for path in sorted(DERIVED.glob("*.json")))
BY_NAME = {record.name: record for record in RECORDS}
SHELF = ("gelu", "mish", "normalised_gaussian", "relu", "sign", "tanh")


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a few compiled entries, and an empty packaged catalog elsewhere."""
    folder = tmp_path / "work"
    place = project(folder)
    for path in (place.entries, place.records, place.modules):
        path.mkdir(parents=True)
    for name in SHELF:
        shutil.copy(PACKAGED.entry(name), place.entries)
        shutil.copy(PACKAGED.record(name), place.records)
        shutil.copy(PACKAGED.module(name), place.modules)
    shutil.copy(PACKAGED.support, place.modules)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(catalog_module, "PACKAGED", project(tmp_path / "packaged"))
    return folder


def listed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> list[str]:
    """The names that a list has."""
    capsys.readouterr()
    assert cli.run(["catalog", *arguments, "--json"]) == code
    return [row["name"] for row in json.loads(capsys.readouterr().out)]


# ---- the list ----


def test_search_looks_at_names_aliases_formulas_summaries_and_sources(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listed(capsys, "--search", "ELU") == ["gelu", "relu"]
    assert listed(capsys, "--search", "gelu_exact") == ["gelu"]  # an alias
    assert listed(capsys, "--search", "arc-cosine degree") == ["relu"]  # every word, summary
    assert listed(capsys, "--search", "hendrycks") == ["gelu"]  # a source
    assert listed(capsys, "--search", "normal_cdf(") == ["gelu"]  # the formula
    assert listed(capsys, "--search", "quark", code=1) == []


def test_filters_by_tier_and_property_narrow_each_other(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listed(capsys, "--tier", "series") == ["mish"]
    assert listed(capsys, "--property", "kinks") == ["relu", "sign"]
    assert listed(capsys, "--property", "kinks", "--property", "jumps") == ["sign"]
    assert listed(capsys, "--property", "parameters", "--tier", "closed") == [
        "gelu", "normalised_gaussian",
    ]  # fmt: skip
    assert listed(capsys, "--property", "smooth", "--search", "linear unit") == ["gelu"]


@pytest.mark.parametrize(
    "arguments", [["--tier", "open"], ["--property", "round"], ["relu", "--tier", "closed"]]
)
def test_wrong_filters_are_wrong_usage(
    shelf: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["catalog", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_rows_have_the_documented_keys(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["catalog", "--help"]) == 0
    told = capsys.readouterr().out.partition("array of objects:")[2].partition("--json of NAME")[0]
    named = re.findall(r"^    ((?:\w+, )*\w+)  ", told, re.MULTILINE)
    assert cli.run(["catalog", "--json"]) == 0
    for row in json.loads(capsys.readouterr().out):
        assert sorted(row) == sorted(", ".join(named).split(", "))


def test_a_line_for_each_whatever_the_width() -> None:
    for width in (40, 80, 120, 400, None):
        lines = list_lines(RECORDS, width)
        assert [line.split()[0] for line in lines] == ["name", *BY_NAME]
        most = max(map(len, lines))
        assert width is None or most <= width
        wide = width is None or width >= 200
        assert ("dual made of" in lines[0], "phi(x)" in lines[0]) == (width != 40, wide)
        assert any(line.endswith(BY_NAME["arcsinh"].activation.typed) for line in lines) == wide
    assert max(map(len, list_lines(RECORDS, 5))) == 5  # names at least, as far as they go


_NEITHER = """
import sys
from dualc.cli import run
assert run(["catalog"]) == 0
print([name for name in ("sympy", "mpmath", "jax", "numpy", "rich") if name in sys.modules])
"""


def test_the_list_loads_no_computer_algebra_no_jax_and_no_tables(shelf: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _NEITHER], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


# ---- what follows from records ----


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("relu", "arctan, sqrt"), ("asu", "cosh, exp, sinh"), ("cubic", "polynomial"),
        ("tanh", "mean of arctan, sqrt"), ("mish", "Hermite series"), ("gaussian", "sqrt"),
        ("relu6", "bivariate normal cdf"), ("elu", "bivariate normal cdf, exp"),
        ("squared_relu", "arctan, sqrt"),
    ],
)  # fmt: skip
def test_what_duals_are_made_of(name: str, wanted: str) -> None:
    assert made_of(BY_NAME[name]) == wanted


def test_every_property_is_had_by_some_and_lacked_by_others() -> None:
    for word in PROPERTIES:
        held = [word in properties(record) for record in RECORDS]
        assert any(held)
        assert not all(held)


def test_homogeneous_ones_scale_and_the_others_do_not() -> None:
    for record in RECORDS:
        phi = function_of(record.activation)
        if phi is None:
            continue
        found = degree(record.activation)
        pairs = [(phi(x), phi(3 * x)) for x in (-1.7, -0.6, -0.2, 0.2, 0.3, 1.1, 2.3)]
        ratios = [tripled / once if once else math.inf for once, tripled in pairs
                  if once or tripled]  # fmt: skip
        if found is not None:
            assert ratios == pytest.approx([3.0**found] * len(ratios)), record.name
        elif not record.activation.parameters:  # a x**2 + b x happens to scale where b = 0
            assert not 0 < min(ratios) > max(ratios) - 1e-3, record.name


def activation(expression: str | None, dual: str | None = None) -> Activation:
    return Activation("f", expression, dual, typed="")


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("x*abs(x)/sqrt(x**2)", 1), ("max(x, 0)**(5/2)", Fraction(5, 2)),
        ("sign(x - 1)", None), ("heaviside(-x)*x**3", 3), ("where(x > 0, x, 2*x)", 1),
        ("where(x > 1, x, 2*x)", None), ("where(x > 0, x, x**2)", None), ("exp(x)", None),
        ("x**2/(1 + x**2)", None), ("max(x, -x**2)", None), ("sin(1)*x", 1),
        ("2**x", None), ("x*2**(1/2)", 1),
        ("(x**2)**abs(-1/2)", None), ("x - x**3", None),
    ],
)  # fmt: skip
def test_the_degree_is_read_off_the_expression(expression: str, wanted: Fraction | None) -> None:
    assert degree(activation(expression)) == wanted


def test_the_degree_of_a_kernel_is_that_of_its_features() -> None:
    assert degree(activation(None, "sqrt(q11*q22)*exp(rho - 1)")) == 1
    assert degree(activation(None, "exp(rho - 1)")) == 0
    assert degree(activation(None, "exp(rho*q11)")) is None


# ---- one activation ----


def test_one_activation_is_shown_with_all_that_is_known(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["catalog", "rectifier"]) == 0  # an alias
    shown = capsys.readouterr().out
    for part in (
        "kinks        at x = 0",
        "homogeneous  of degree 1",
        "tier         closed: arctan, sqrt",
        "import       import dualc; relu = dualc.load('generated/relu.py')",
        "phi(x)    max(x, 0)",
        "dual      q12/(2*pi)*atan2(sqrt(D), -q12) + sqrt(D)/(2*pi)",
        "Stein recursion over links at 0",
        "0.398942280401433    9.9e-46  sqrt(2)/(2*sqrt(pi))",
        "dual over rho at q = 1",
        "Cho and Saul",
    ):
        assert part in shown
    assert max(ord(c) for c in shown if c > "⠀") < 0x2900  # Braille


def test_the_line_that_imports_a_packaged_kernel_works() -> None:
    line = catalog_module.importing("relu", PACKAGED)
    names: dict[str, object] = {}
    exec(line, names)
    assert getattr(names["relu"], "NAME", "") == "relu"


def test_json_of_one_is_its_record_and_of_latex_its_equations(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["catalog", "tanh", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(data_of(BY_NAME["tanh"])))
    assert cli.run(["catalog", "tanh", "--latex", "--json"]) == 0
    equations = json.loads(capsys.readouterr().out)["tanh"]
    assert equations["phi(x)"] == r"\phi(x) &= \tanh\left(x\right)"
    assert set(equations) == {
        "phi(x)", "phi(x), again", "dual", "pair", "dual_dot", "pair_dot", "slope", "D"
    }  # fmt: skip
    assert cli.run(["catalog", "--latex"]) == 0
    # One is given by its dual, and one is a mixture besides.
    assert capsys.readouterr().out.count(r"\phi(x) &=") == 6


def test_a_terminal_without_braille_gets_everything_else(shelf: Path) -> None:
    command = [sys.executable, "-m", "dualc", "catalog", "sign"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, encoding="latin-1", check=True
    )
    assert "2/pi*atan2(q12, sqrt(D))" in done.stdout
    assert "over rho" not in done.stdout


def test_the_worst_error_is_over_all_functions_and_backends() -> None:
    hidden = 0
    for record in RECORDS:
        found = [m for c in record.certificates for m in c.worst if m.dtype == "float32"]
        worst = worst_error(record, "float32")
        assert worst == max(m.units for m in found)
        hidden += worst > max(m.units for m in found if m.function == "dual")
    assert hidden  # some derivative is worse than the dual it is of


# ---- bad input ----


def failing(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert cli.run(["catalog", *arguments]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1, line
    return line


def test_an_unknown_name_is_told_the_nearest_names_and_aliases(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Did you mean 'gelu_exact' or" in failing(capsys, "gelu_exakt")
    assert "'tanh'" in failing(capsys, "tahn")
    assert "'tanh'" in failing(capsys, "TANH")
    for name in ("qqqq", "", "../gelu", "$(ls)"):
        line = failing(capsys, name)
        assert "Did you mean" not in line or name == "../gelu"
        assert line.endswith("Run: dualc catalog\n")


def test_an_entry_without_a_record_is_told_what_compiles_it(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(PACKAGED.entry("abs"), shelf / "catalog")
    assert failing(capsys, "abs") == "abs is not compiled.  Run: dualc compile abs\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('expression = "x*normal_cdf(x/sigma)"', 'expression = "x*normal_cdf(x)*sigma"'),
        ("default = 1", "default = 1.5"),
        ("[parameters.sigma]", "[parameters.tau]"),
        ('aliases = ["gelu_exact"]', 'aliases = ["gelu_best"]'),
    ],
)
def test_a_record_behind_its_entry_is_named_with_what_mends_it(
    shelf: Path, old: str, new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = shelf / "catalog" / "gelu.toml"
    entry.write_text(entry.read_text().replace(old, new))
    for arguments in ([], ["gelu"], ["--search", "nothing"]):
        line = failing(capsys, *arguments)
        assert "catalog/derived/gelu.json is not of catalog/gelu.toml as it stands" in line
        assert line.endswith("Run: dualc compile gelu\n")
    assert cli.run(["catalog", "relu"]) == 0


def test_spelling_a_number_otherwise_makes_nothing_stale(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = shelf / "catalog" / "gelu.toml"
    entry.write_text(entry.read_text().replace("default = 1\n", 'default = "2/2"\n'))
    assert cli.run(["catalog", "gelu"]) == 0


def test_a_module_of_another_record_is_named(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = shelf / "generated" / "relu.py"
    module.write_text(re.sub('FINGERPRINT = "[0-9a-f]+"', 'FINGERPRINT = "0"', module.read_text()))
    assert "is not what dualc emits" in failing(capsys, "relu")
    module.unlink()
    assert "generated/relu.py cannot be read" in failing(capsys, "relu")


def test_damaged_records_are_named_and_the_rest_is_listed(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shelf / "catalog" / "derived" / "mish.json").write_text("{")
    data = json.loads((shelf / "catalog" / "derived" / "tanh.json").read_text())
    del data["hermite"]
    (shelf / "catalog" / "derived" / "tanh.json").write_text(json.dumps(data))
    capsys.readouterr()
    assert cli.run(["catalog", "--json"]) == 2
    captured = capsys.readouterr()
    names = [row["name"] for row in json.loads(captured.out)]
    assert names == ["gelu", "normalised_gaussian", "relu", "sign"]
    first, second = captured.err.splitlines()
    assert "mish.json, line 1: not JSON" in first
    assert "tanh.json, hermite: missing.  Run: dualc compile tanh" in second
