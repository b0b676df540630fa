"""Formulas as a person writes them, and the named steps by which they were found."""

from __future__ import annotations

import ast
import re

from dualc.ir import Formula, Term

_SHAPES = {
    "odd_angle": "atan2({1}, sqrt({0}))",
    "cosh": "exp({0})*cosh({1})",
    "sinh": "exp({0})*sinh({1})",
    "cos": "exp({0})*cos({1})",
    "sin": "exp({0})*sin({1})",
    "pair": "exp({0})*(({3})*cosh({1}) + ({4})*sinh({1}))",
    "coshm1": "exp({0})*(cosh({1}) - 1)",
    "expm1": "exp({0})*(exp({1}) - 1)",
    "given": "{0}",
}
_STEPS = (  # what was done, and the shapes of terms that only this leads to
    ("polynomials by Hermite degree", {"power"}),
    ("Gaussian tilt of the covariance", {"cosh", "sinh", "exp", "grow", "pair"}),
    ("Stein recursion over links at 0", {"wedge", "odd_angle", "radical"}),
    ("angle of two half planes, Euler's series taken out near rho = -1", {"wedge"}),
    ("odd links by parity", {"odd_angle"}),
    ("one-sided powers as an angular integral with a positive integrand", {"orthant"}),
    ("anchored at q12 = 0, where the summands cancel", {"product"}),
)
_TIDIED = (  # what is matched, and what is written instead
    (r" ?(\*\*|\*|/) ?", r"\1"),
    (r"\+ -", "- "),
    (r"(?<![\w.*/])1\*(?!\*)", ""),
)
_READABLE = 2000  # characters; nobody reads more


def formula(found: Formula) -> str:
    """One line: the sum of the terms; branches that only serve rounding are left out."""
    text = " + ".join(_term(term) for term in found.terms) or "0"
    if len(text) > _READABLE:
        return f"a sum of {len(found.terms)} terms, {len(text)} characters long"
    plain = ast.unparse(ast.parse(text, mode="eval"))
    for pattern, short in _TIDIED:
        plain = re.sub(pattern, short, plain)
    return plain


def steps(formulas: tuple[Formula, ...]) -> tuple[str, ...]:
    """What the derivation used, by name."""
    used = {term.shape for found in formulas for term in (*found.terms, *found.near)}
    if any(term.radicand for found in formulas for term in found.terms):
        used.add("radical")
    first = "read as a sum of atoms p(x) exp(a x^2 + b x) link(kappa x)"
    if "given" in used:
        first = "dual given; derivatives by the chain rule"
    return (first, *(text for text, shapes in _STEPS if shapes & used))


def _term(term: Term) -> str:
    parts = [] if term.coefficient == "1" else [_wrap(term.coefficient)]
    if term.root:
        parts.append(f"sqrt({term.root})")
    shape = _shape(term)
    if shape:
        parts.append(shape)
    if term.tilt:
        parts.append(f"tilted({', '.join(term.tilt)})")
    text = "*".join(parts) or "1"
    text = f"{text}/sqrt({term.radicand})" if term.radicand else text
    if term.shape == "wedge" and term.arguments[3] != "0":
        coefficient, root, radicand = term.arguments[3:6]
        text += f" + {_term(Term(coefficient, root, radicand, 'one', ()))}"
    return text


def _shape(term: Term) -> str:
    a = term.arguments
    if term.shape == "one":
        return ""
    if term.shape == "wedge":
        return f"atan2(sqrt({a[0]}), {_minus(a[1])})"
    if term.shape in ("exp", "grow"):
        return f"exp({a[0]} + {a[1]})" if a[1] != "0" else f"exp({a[0]})"
    if term.shape == "power":
        power = {"0": "", "1": "q12*"}.get(a[0], f"q12**{a[0]}*")
        return f"{power}({a[1]})*({a[2]})"
    if term.shape == "orthant":
        sign = "" if a[2] == "1" else "-"
        return f"E[max(u, 0)**{a[0]}*max({sign}v, 0)**{a[1]}]"
    if term.shape == "product":
        return "*".join(f"({_mean(text)})" for text in a)
    return _SHAPES[term.shape].format(*a)


def _mean(text: str) -> str:
    """Rows "shape;coefficient;exponent" as a sum."""
    parts = text.split(";")
    rows = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return " + ".join(f"{c}*{s}({e})" if s else c for s, c, e in rows)


def _minus(text: str) -> str:
    return text[1:] if re.fullmatch(r"-\w+", text) else f"-{_wrap(text)}"


def _wrap(text: str) -> str:
    return text if re.fullmatch(r"[\w.]+|\([^()]*\)", text) else f"({text})"
