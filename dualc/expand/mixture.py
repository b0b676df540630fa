"""Gauss rules of the Kolmogorov distribution: a logistic function as a finite mean of normal ones.

kappa has the density p(kappa) = 8 kappa sum_j (-1)^(j-1) j^2 exp(-2 j^2 kappa^2), in its theta form
below 0.8; rules are Gauss's in log kappa, from the trapezoid rule (exponentially accurate: p and
all its derivatives vanish at both ends), Stieltjes' recurrence and the Jacobi matrix, in 60 digits.
Their nodes leave as slopes 1/(2 kappa). Measured: 6 nodes give dual and dual_dot to 1e-7 or better
on the whole domain, 16 to 1e-16, for every function that is linear in logistic ones.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_UP, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from flint import arb, ctx
from mpmath import mp, mpf

from dualc.expand.hermite import expansion
from dualc.expand.panels import Pieces, pieces
from dualc.ir import Activation, Bound, Mixture, Rule

_CANDIDATES = {"float32": (5, 6, 7, 8, 9), "float64": (12, 13, 14, 15, 16, 17, 18)}
# Half an eps, and an eighth: gradients in a variance are differences that are smaller than k, up to
# ten times, and 16 nodes left a hundred eps of them where they left one of k.
_WANTED = {"float32": 2.0**-24, "float64": 2.0**-55}
_VARIANCES = (1e-6, 1e-4, 1e-2, 0.1, 0.4, 1.0, 2.5, 10.0, 100.0, 1e4)
_CERTIFIED = ("1/100", "1", "100", "10000")  # variances at which bounds are stated
_CANCELS = 60.0  # natural log of phi over phi_rule - phi, where that is smallest, and more
_HERMITE = 60  # degrees whose coefficients are compared one by one in a bound


def mixture(activation: Activation, mixed: str) -> Mixture:
    """The shortest rules that give the dual and dual_dot to half an eps of each dtype, or less.

    `mixed` is the function of x and `slope` whose mean phi is.
    """
    with ctx.workdps(50):
        grid = _Grid(activation, mixed)
        rules = []
        for dtype, candidates in _CANDIDATES.items():
            count = next((m for m in candidates if grid.error(m) <= _WANTED[dtype]), candidates[-1])
            rules.append(Rule(dtype, *_texts(count)))
    bounds = [b for rule in rules for b in _bounds(activation, mixed, rule)]
    return Mixture(tuple(rules), tuple(bounds))


@lru_cache(maxsize=32)
def rule(count: int) -> tuple[tuple[Any, Any], ...]:
    """(slope, weight) of the rule with that many nodes, ascending in the slope."""
    with mp.workdps(60):
        points, weights = _distribution()
        diagonal, beside = _recurrence(points, weights, count)
        matrix = mp.matrix(count, count)
        for i in range(count):
            matrix[i, i] = diagonal[i]
            if i:
                matrix[i, i - 1] = matrix[i - 1, i] = mp.sqrt(beside[i])
        values, vectors = mp.eigsy(matrix)
        rows = [(1 / (2 * mp.exp(values[i])), vectors[0, i] ** 2 * beside[0]) for i in range(count)]
        return tuple(sorted(rows))


@lru_cache(maxsize=1)
def _distribution() -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The trapezoid rule of the distribution in log kappa."""
    steps = 400  # total weight 1 to 60 digits
    low, high = mp.log(mpf(8) / 100), mp.log(mpf(9))
    width = (high - low) / steps
    points = tuple(low + width * i for i in range(steps + 1))
    return points, tuple(_density(mp.exp(t)) * mp.exp(t) * width for t in points)


def _density(kappa: Any) -> Any:
    """p(kappa), by the series that converges faster."""
    total, smallest = mpf(0), mpf(10) ** -75
    if kappa < mpf(4) / 5:
        for j in range(1, 100, 2):
            square = (j * mp.pi / kappa) ** 2
            term = mp.exp(-square / 8)
            total += term * (square / 4 - 1) / kappa**2
            if term < smallest:
                break
        return mp.sqrt(2 * mp.pi) * total
    for j in range(1, 100):
        term = mp.exp(-2 * (j * kappa) ** 2)
        total += (-1) ** (j - 1) * j * j * term
        if term < smallest:
            break
    return 8 * kappa * total


def _recurrence(
    points: Sequence[Any], weights: Sequence[Any], count: int
) -> tuple[list[Any], list[Any]]:
    """The coefficients of the orthogonal polynomials' recurrence, by Stieltjes' procedure."""
    before, here = [mpf(0)] * len(points), [mpf(1)] * len(points)
    diagonal: list[Any] = []
    beside: list[Any] = []
    norm = mpf(1)
    for k in range(count):
        square = sum(w * h * h for w, h in zip(weights, here, strict=True))
        diagonal.append(
            sum(w * x * h * h for w, x, h in zip(weights, points, here, strict=True)) / square
        )
        beside.append(square / norm)
        norm, shift = square, (beside[k] if k else 0)
        after = [
            (x - diagonal[k]) * h - shift * b for x, h, b in zip(points, here, before, strict=True)
        ]
        before, here = here, after
    return diagonal, beside


def _texts(count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Slopes and weights as float64, correctly rounded."""
    rows = rule(count)
    return tuple(repr(float(s)) for s, _ in rows), tuple(repr(float(w)) for _, w in rows)


class _Grid:
    """phi, phi' and their mixtures at points that serve every variance of the domain."""

    def __init__(self, activation: Activation, mixed: str):
        """Evaluate phi on the grid x = sinh(t)/2."""
        self.activation, self.mixed = activation, mixed
        times = [arb(2 * k + 1) / 20 for k in range(-90, 90)]  # 0 may be a kink
        self.points = [t.sinh() / 2 for t in times]
        self.steps = [t.cosh() / 20 for t in times]
        self.true = _jets(pieces(activation), self.points)

    def error(self, count: int) -> float:
        """The largest |k_rule - k|/k and |dual_dot_rule - dual_dot|/dual_dot at rho = +-1.

        Errors have the sign changes of a Gauss rule's: the kernel's are far below phi's.
        """
        errors = [
            tuple(m - t for m, t in zip(mean, true, strict=True))
            for mean, true in zip(self._means(count), self.true, strict=True)
        ]
        worst = 0.0
        for q in _VARIANCES:
            density = [
                (-x * x / (2 * arb(q))).exp() * s
                for x, s in zip(self.points, self.steps, strict=True)
            ]
            for part in (0, 1):
                values, wrong = [t[part] for t in self.true], [e[part] for e in errors]
                size = sum(d * v * v for d, v in zip(density, values, strict=True))
                for mirror in (1, -1):
                    rows = zip(density, values, wrong, wrong[::mirror], strict=True)
                    off = sum(d * e * (2 * v + f) for d, v, e, f in rows)
                    if float(size) > 0:
                        worst = max(worst, abs(float(off / size)))
        return worst

    def _means(self, count: int) -> list[tuple[Any, Any]]:
        total: list[tuple[Any, Any]] = [(arb(0), arb(0))] * len(self.points)
        for slope, weight in rule(count):
            node = _at(self.activation, self.mixed, mp.nstr(slope, 45))
            found = _jets(pieces(node), self.points)
            w = arb(mp.nstr(weight, 45))
            total = [(a + w * f, b + w * g) for (a, b), (f, g) in zip(total, found, strict=True)]
        return total


def _jets(cut: Pieces, points: Sequence[Any]) -> list[tuple[Any, Any]]:
    return [cut.at(x).jet(x) for x in points]


def _at(activation: Activation, mixed: str, slope: str) -> Activation:
    """The function at one slope, given as a decimal."""
    decimal = Decimal(slope)
    above, below = decimal.as_integer_ratio()
    return replace(activation, expression=_filled(mixed, f"({above}/{below})"))


def _filled(mixed: str, slope: str) -> str:
    """The text with an exact slope."""

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return ast.parse(slope, mode="eval").body if node.id == "slope" else node

    return ast.unparse(Fill().visit(ast.parse(mixed, mode="eval")))


def _bounds(activation: Activation, mixed: str, found: Rule) -> list[Bound]:
    """|k - k_rule| / sqrt(k11 k22) at equal variances and any rho, in ball arithmetic.

    With e = phi_rule - phi and its coefficients e_n it is at most sum |e_n| (2 |a_n| + |e_n|), the
    degrees that are left by Cauchy and Schwarz. The rule is the emitted one, rounding included.
    """
    summands = [f"-({activation.expression})"]
    for slope, weight in zip(found.slopes, found.weights, strict=True):
        summands.append(f"({_exact(weight)})*({_filled(mixed, _exact(slope))})")
    error = replace(activation, expression=" + ".join(summands))
    out = []
    for q in _CERTIFIED:
        variance = arb(Fraction(q).numerator) / Fraction(q).denominator
        true = expansion(activation, variance, _HERMITE, 20)
        wrong = expansion(error, variance, _HERMITE, 20, slack=_CANCELS)
        with ctx.workdps(50):
            pairs = zip(true.coefficients, wrong.coefficients, strict=True)
            bound = sum((abs(e) * (2 * abs(a) + abs(e)) for a, e in pairs), arb(0))
            left, right = (arb(abs(t.tail()).abs_upper()) for t in (true, wrong))
            bound += 2 * (left * right).sqrt() + right
            size = float((bound / true.square).abs_upper())
        text = Context(prec=3, rounding=ROUND_UP).create_decimal(Decimal(size))
        out.append(Bound("dual", q, q, "1", f"{text:.2e}", found.dtype))
    return out


def _exact(text: str) -> str:
    """A float64 as a quotient of integers."""
    above, below = float(text).as_integer_ratio()
    return f"({above}/{below})"
