"""Claims of the literature against the definition: what is right, wrong, or unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualc.cli import verify as command
from dualc.errors import EntryError
from dualc.ir import Activation, Certificate, Known
from dualc.parse import parse_entry
from dualc.verify.known import judge_claims

RELU = """
name = "relu"
expression = "max(x, 0)"
[[known]]
function = "{function}"
claim = "{claim}"
source = 'Nobody, "A Formula", 1999'
"""
STEP_DUAL = "(pi/2 + atan(q12/sqrt(q11*q22 - q12**2)))/(2*pi)"


def _relu(function: str, claim: str) -> Activation:
    return parse_entry(RELU.format(function=function, claim=claim), "relu.toml")


@pytest.mark.parametrize(
    ("function", "claim"),
    [
        ("dual", "(sqrt(q11*q22 - q12**2) + 2*pi*q12*(" + STEP_DUAL + "))/(2*pi)"),
        ("dual_dot", STEP_DUAL),
        ("dual_dot", "1/4 + atan(rho/sqrt(1 - rho**2))/(2*pi)"),
        ("hermite 0", "sqrt(q11/(2*pi))"),
        ("hermite 1", "sqrt(q22)/2"),
        ("hermite 2", "sqrt(q11/pi)/2"),
        ("hermite 3", "0*q11"),
        ("hermite 4", "-sqrt(q11/(3*pi))/4"),
    ],
)
def test_a_right_formula_agrees(function: str, claim: str) -> None:
    (finding,) = judge_claims(_relu(function, claim))
    assert finding.verdict == "agrees", str(finding)


@pytest.mark.parametrize(
    ("function", "claim"),
    [
        ("dual", STEP_DUAL),
        ("dual_dot", "(pi/2 - atan(q12/sqrt(q11*q22 - q12**2)))/(2*pi)"),  # the sign of the angle
        ("dual_dot", "0.25 + rho/(2*pi)"),  # right at first order
        ("dual", "1/(q11 - q11)"),  # no number at all
        ("dual", "sqrt(q12)"),  # one only where rho > 0
        ("hermite 4", "sqrt(q11/(3*pi))/4"),
    ],
)
def test_a_wrong_formula_is_reported_with_the_numbers(function: str, claim: str) -> None:
    (finding,) = judge_claims(_relu(function, claim))
    assert finding.verdict == "contradicts"
    assert finding.point is not None
    assert finding.claim.source in str(finding)
    assert finding.claimed in str(finding)
    assert finding.truth in str(finding)


def test_a_formula_with_parameters_is_judged_at_their_defaults() -> None:
    text = RELU.replace("max(x, 0)", "c*max(x, 0)") + '[parameters.c]\ndefault = "{c}"\n'
    claim = "4*" + STEP_DUAL
    for c, verdict in (("-2", "agrees"), ("3", "contradicts")):
        entry = text.format(function="dual_dot", claim=claim, c=c)
        (finding,) = judge_claims(parse_entry(entry, "relu.toml"))
        assert finding.verdict == verdict


def test_a_kernel_without_an_activation_is_judged_by_its_dual() -> None:
    text = RELU.replace('expression = "max(x, 0)"', 'dual = "sqrt(q11*q22)*exp(rho - 1)"')
    judged = {
        function: judge_claims(parse_entry(text.format(function=function, claim=claim), "r.toml"))
        for function, claim in (("dual_dot", "exp(rho - 1)"), ("hermite 1", "q11"))
    }
    assert judged["dual_dot"][0].verdict == "agrees"
    assert judged["hermite 1"][0].verdict == "not judged"
    assert "no phi" in str(judged["hermite 1"][0])


def test_points_stay_where_the_activation_is_square_integrable() -> None:
    text = RELU.replace("max(x, 0)", "exp(x**2/4)")  # its domain ends at variance 1
    claim = "1/sqrt((1 - q11/2)*(1 - q22/2) - q12**2/4)"
    entry = parse_entry(text.format(function="dual", claim=claim), "relu.toml")
    (finding,) = judge_claims(entry, 1.0)
    assert finding.verdict == "agrees"
    assert finding.point is not None
    assert max(finding.point) < 1


def test_a_claim_of_coefficients_says_which() -> None:
    (finding,) = judge_claims(_relu("hermite", "q11"))
    assert finding.verdict == "not judged"
    assert "hermite 0" in str(finding)
    with pytest.raises(EntryError, match="hermite N"):
        _relu("kernel", "q11")


def test_an_entry_without_claims_costs_nothing() -> None:
    assert judge_claims(replace(_relu("dual", "q11"), known=())) == ()


def test_the_command_shows_a_contradiction_among_many_and_agreement_of_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured = Certificate("cpu", "hard", 24, ())
    relu = replace(_relu("dual", STEP_DUAL), known=(*_relu("dual", "q12").known,))
    right = Known("dual_dot", STEP_DUAL, 'Somebody, "A Better Formula", 2000')
    relu = replace(relu, known=(*relu.known, right))
    claims = tuple(str(finding) for finding in judge_claims(relu))
    one = command.Verdict("relu", "cpu", 24, "1", "1", (), measured, claims)
    two = command.Verdict("abs", "cpu", 24, "1", "1", (), measured)
    command._print([one], [], as_json=False)
    alone = capsys.readouterr().out
    assert "Better Formula" in alone
    command._print([one, two], [], as_json=False)
    together = capsys.readouterr().out
    assert 'relu: dual contradicts: Nobody, "A Formula", 1999' in together
    assert "Better Formula" not in together
