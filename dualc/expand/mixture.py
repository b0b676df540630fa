"""Gauss rules of the laws of a random slope: phi as a finite mean of in-class functions.

Kolmogorov's distribution, of kappa = 1/(2 slope), has the density
p(kappa) = 8 kappa sum_j (-1)^(j-1) j^2 exp(-2 j^2 kappa^2), in its theta form below 0.8; rules are
Gauss's in log kappa. A half-normal slope |Z|/sqrt(2) has the density 2/sqrt(pi) exp(-s^2); what
is averaged changes at any s down to 1/|x|, x up to 700, and is analytic at 0: rules are Gauss's in
log(s + 0.005). Both from the trapezoid rule, exponentially accurate: densities and all their
derivatives vanish at both ends of its variable. Measured, dual and dual_dot on the whole domain:
Kolmogorov, for every function that is linear in logistic ones, 6 nodes 1e-7 or better, 16 nodes
1e-16; half-normal, for 1/(1 + x^2), atan, asinh and x/sqrt(1 + x^2), 18 nodes 1e-9 to 2e-6, 40
nodes 4e-18 to 5e-14.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_UP, Context, Decimal
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

from flint import arb, ctx

from dualc.expand.gauss import gauss, shortest, trapezoid
from dualc.expand.grid import expansions
from dualc.expand.panels import Pieces, exact, pieces
from dualc.ir import Activation, Bound, Mixture, Rule, substituted

_CANDIDATES = {  # numbers of nodes
    "kolmogorov": {"float32": range(5, 10), "float64": range(12, 21)},
    "half-normal": {"float32": range(12, 33, 2), "float64": range(28, 73, 4)},
}
# Half an eps, and an eighth: gradients in a variance are differences that are smaller than k, up to
# ten times, and 16 nodes left a hundred eps of them where they left one of k.
_WANTED = {"float32": 2.0**-24, "float64": 2.0**-55}
_RATES = {"float32": 8.0, "float64": 64.0}  # the same for parameters: 4 and 8 eps over _WANTED
_VARIANCES = (1e-6, 1e-4, 1e-2, 0.1, 0.4, 1.0, 2.5, 10.0, 100.0, 1e4)
_CERTIFIED = ("1/100", "1", "100", "10000")  # variances at which bounds are stated
_CANCELS = 60.0  # natural log of phi over phi_rule - phi, where that is smallest, and more
_HERMITE = 60  # degrees whose coefficients are compared one by one in a bound
_STEP = Fraction(1, 10**20)  # in a parameter, for its rate
_LEAST = Fraction(1, 200)  # the shift of a half-normal slope


def mixture(activation: Activation, mixed: str, law: str) -> Mixture:
    """The shortest rules that give the dual and dual_dot to half an eps of each dtype, or less.

    And the dual's derivatives in parameters to half of what is promised of them.

    `mixed` is the function of x and `slope` whose mean phi is.
    """
    with ctx.workdps(50):
        grid = _Grid(activation, mixed, law)
        rules = []
        for dtype, counts in _CANDIDATES[law].items():
            count, _ = shortest(counts, partial(grid.error, share=_RATES[dtype]), _WANTED[dtype])
            rules.append(Rule(dtype, *_texts(law, count)))
    bounds = [b for rule in rules for b in _bounds(activation, mixed, rule)]
    return Mixture(tuple(rules), tuple(bounds))


@lru_cache(maxsize=32)
def rule(law: str, count: int) -> tuple[tuple[arb, arb], ...]:
    """(slope, weight) of the rule with that many nodes, ascending in the slope."""
    with ctx.workdps(60):
        rows = [
            ((1 / (2 * x.exp()) if law == "kolmogorov" else x.exp() - exact(_LEAST)).mid(), weight)
            for x, weight in gauss(*_LAWS[law](), count)
        ]
        return tuple(rows[::-1] if law == "kolmogorov" else rows)


def _kolmogorov() -> tuple[list[arb], list[arb]]:
    """Log kappa and weights, of total 1 to 60 digits."""
    low, high = arb("0.08").log(), arb(9).log()

    def node(t: arb) -> tuple[arb, arb]:
        place = low + (high - low) * t
        return place, _density(place.exp()) * place.exp() * (high - low)

    return trapezoid("0", "1", 400, node)


def _half_normal() -> tuple[list[arb], list[arb]]:
    """Log(s + shift) and weights, of total 1, at s = exp(t - exp(-t))."""

    def node(t: arb) -> tuple[arb, arb]:
        s = (t - (-t).exp()).exp()
        rate = s * (1 + (-t).exp())
        return (s + exact(_LEAST)).log(), 2 / arb.pi().sqrt() * (-s * s).exp() * rate

    return trapezoid("-4.9", "2.45", 800, node)


_LAWS = {"kolmogorov": _kolmogorov, "half-normal": _half_normal}


def _density(kappa: arb) -> arb:
    """The density of Kolmogorov's distribution, by the series that converges faster."""
    total, smallest = arb(0), arb(10) ** -75
    if kappa < arb("0.8"):
        for j in range(1, 100, 2):
            square = (j * arb.pi() / kappa) ** 2
            term = (-square / 8).exp()
            total += term * (square / 4 - 1) / kappa**2
            if term < smallest:
                break
        return (2 * arb.pi()).sqrt() * total
    for j in range(1, 100):
        term = (-2 * (j * kappa) ** 2).exp()
        total += (-1) ** (j - 1) * j * j * term
        if term < smallest:
            break
    return 8 * kappa * total


def _texts(law: str, count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Slopes and weights as float64, correctly rounded."""
    rows = rule(law, count)
    return tuple(repr(float(s)) for s, _ in rows), tuple(repr(float(w)) for _, w in rows)


class _Grid:
    """phi, phi', phi's rates in parameters, and their mixtures, for every variance."""

    def __init__(self, activation: Activation, mixed: str, law: str):
        """Evaluate phi on the grid x = sinh(t)/2."""
        self.activation, self.mixed, self.law = activation, mixed, law
        times = [arb(2 * k + 1) / 20 for k in range(-90, 90)]  # 0 may be a kink
        self.points = [t.sinh() / 2 for t in times]
        self.steps = [t.cosh() / 20 for t in times]
        self.true = _values(activation, self.points)

    def error(self, count: int, share: float = 1.0) -> float:
        """The largest |k_rule - k|/k, that of dual_dot, and rates' over `share`, at rho = +-1.

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
            worst = max(worst, self._rates_error(density, errors) / share)
        return worst

    def _rates_error(self, density: list[Any], errors: list[tuple[Any, ...]]) -> float:
        """The largest error of 2 E[rate(u) phi(v)] over it, or over k/100 if that is more."""
        worst = 0.0
        size = float(sum(d * t[0] * t[0] for d, t in zip(density, self.true, strict=True)))
        for part in range(2, len(self.true[0])):
            for mirror in (1, -1):
                k, off = arb(0), arb(0)
                others = zip(self.true[::mirror], errors[::mirror], strict=True)
                here = zip(density, self.true, errors, strict=True)
                for (d, true, wrong), (true_v, wrong_v) in zip(here, others, strict=True):
                    k += 2 * d * true[part] * true_v[0]
                    off += (
                        2 * d * (wrong[part] * (true_v[0] + wrong_v[0]) + true[part] * wrong_v[0])
                    )
                worst = max(worst, abs(float(off)) / max(abs(float(k)), size / 100, 1e-300))
        return worst

    def _means(self, count: int) -> list[tuple[Any, ...]]:
        total: list[tuple[Any, ...]] = [(arb(0),) * len(self.true[0])] * len(self.points)
        for slope, w in rule(self.law, count):
            node = _at(self.activation, self.mixed, slope.str(45, radius=False))
            found = _values(node, self.points)
            total = [
                tuple(a + w * f for a, f in zip(row, new, strict=True))
                for row, new in zip(total, found, strict=True)
            ]
        return total


def _values(activation: Activation, points: Sequence[Any]) -> list[tuple[Any, ...]]:
    """phi, phi' and phi's rate in every parameter, a difference over 10^-20."""
    rows = [tuple(jet) for jet in _jets(pieces(activation), points)]
    for i, p in enumerate(activation.parameters):
        moved = replace(p, default=f"({p.default}) + {_STEP}")
        others = (*activation.parameters[:i], moved, *activation.parameters[i + 1 :])
        cut = pieces(replace(activation, parameters=others))
        rates = [
            (cut.value(x) - row[0]) / exact(_STEP) for x, row in zip(points, rows, strict=True)
        ]
        rows = [(*row, rate) for row, rate in zip(rows, rates, strict=True)]
    return rows


def _jets(cut: Pieces, points: Sequence[Any]) -> list[tuple[Any, Any]]:
    return [cut.at(x).jet(x) for x in points]


def _at(activation: Activation, mixed: str, slope: str) -> Activation:
    """The function at one slope, given as a decimal."""
    decimal = Decimal(slope)
    above, below = decimal.as_integer_ratio()
    filled = substituted(mixed, {"slope": f"({above}/{below})"})
    return replace(activation, expression=filled)


def _bounds(activation: Activation, mixed: str, found: Rule) -> list[Bound]:
    """|k - k_rule| / sqrt(k11 k22) at equal variances and any rho, in ball arithmetic.

    With e = phi_rule - phi and its coefficients e_n it is at most sum |e_n| (2 |a_n| + |e_n|), the
    degrees that are left by Cauchy and Schwarz. The rule is the emitted one, rounding included.
    """
    summands = [f"-({activation.expression})"]
    for slope, weight in zip(found.slopes, found.weights, strict=True):
        filled = substituted(mixed, {"slope": _exact(slope)})
        summands.append(f"({_exact(weight)})*({filled})")
    error = replace(activation, expression=" + ".join(summands))
    out = []
    with ctx.workdps(50):
        variances = [exact(Fraction(q)) for q in _CERTIFIED]
    truths = expansions(activation, variances, _HERMITE, 20).entries
    errors = expansions(error, variances, _HERMITE, 20, slack=_CANCELS).entries
    for q, true, wrong in zip(_CERTIFIED, truths, errors, strict=True):
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
