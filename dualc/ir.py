"""What passes between the stages: frozen dataclasses and one fold over canonical expressions.

Expressions travel as canonical text, a subset of Python's syntax that `parse` alone produces:

    expr     := integer | name | -expr | expr (+ - * / **) expr | function(expr, ...)
                | expr (< <= > >=) expr, but only as the first argument of `where`
    name     := x, a kept parameter, pi         (for a kernel given by its dual: rho, q11, q22)
    function := where abs sign min max heaviside exp expm1 log log1p sqrt sin cos tan sinh cosh tanh
                sigmoid softplus erf erfc normal_cdf normal_pdf atan asinh sinc

Everything else of the grammar (decimals, relu, clip, he, sum, aliases, list and integer parameters)
is gone by then: rationals are quotients of integers, `relu(x)` is `max(x, 0)`, `e` is `exp(1)`.
`heaviside(0)` is 1/2 and `sign(0)` is 0. `sinc(x)` is sin(x)/x with sinc(0) = 1: a removable
singularity that a quotient cannot express. `min` and `max` have two arguments; an exponent holds
neither x nor a kept parameter unless the base is free of x.
"""

from __future__ import annotations

import ast
import hashlib
import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")

FUNCTIONS = (
    "where", "abs", "sign", "min", "max", "heaviside", "exp", "expm1", "log", "log1p", "sqrt",
    "sin", "cos", "tan", "sinh", "cosh", "tanh", "sigmoid", "softplus", "erf", "erfc",
    "normal_cdf", "normal_pdf", "atan", "asinh", "sinc",
)  # fmt: skip

_BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
_COMPARE = {ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}


@lru_cache(maxsize=1024)
def _tree(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def fold(text: str, algebra: Mapping[str, Callable[..., Any]], names: Mapping[str, Any]) -> Any:
    """The value of a canonical expression in an algebra: one entry per operation.

    `algebra` has "number" (an int to a value), "neg", "add", "sub", "mul", "div", "pow" (the
    exponent is a value of the algebra too), "lt", "le", "gt", "ge" and the names in FUNCTIONS;
    `names` gives x, pi and the parameters. sympy, mpmath, balls, jets and JAX source are five such
    algebras.
    """

    def walk(node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return algebra["number"](node.value)
        if isinstance(node, ast.Name):
            return names[node.id]
        if isinstance(node, ast.UnaryOp):
            return algebra["neg"](walk(node.operand))
        if isinstance(node, ast.BinOp):
            return algebra[_BINARY[type(node.op)]](walk(node.left), walk(node.right))
        if isinstance(node, ast.Compare):
            return algebra[_COMPARE[type(node.ops[0])]](walk(node.left), walk(node.comparators[0]))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return algebra[node.func.id](*(walk(argument) for argument in node.args))
        raise TypeError(f"not a canonical expression: {text!r}")

    return walk(_tree(text))


def substituted(text: str, values: Mapping[str, str]) -> str:
    """A canonical expression with expressions in the place of names."""

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            found = values.get(node.id)
            return node if found is None else ast.parse(found, mode="eval").body

    return ast.unparse(Fill().visit(ast.parse(text, mode="eval")))


def of_unit_slope(mixed: str) -> tuple[Fraction, str]:
    """(c, f(x, slope/c)) of a function of x and a random slope: x meets c times the slope in f.

    c is the number in the first normal CDF's argument, 1 if that is 1, 2 or holds a parameter.
    Formulas of a pair of slopes are simplest, and most accurate, if the slopes are all of it.
    """
    try:
        tree = _tree(mixed)
    except SyntaxError:  # a stranger's record
        return Fraction(1), mixed
    calls = (n for n in ast.walk(tree) if isinstance(n, ast.Call) and n.args)
    links = [n for n in calls if isinstance(n.func, ast.Name) and n.func.id == "normal_cdf"]
    inside = links[0].args[0] if links else ast.Constant(1)
    if {n.id for n in ast.walk(inside) if isinstance(n, ast.Name)} != {"slope", "x"}:
        return Fraction(1), mixed
    c = abs(fold(ast.unparse(inside), RATIONAL, {"slope": Fraction(1), "x": Fraction(1)}))
    if c in (1, 2):
        return Fraction(1), mixed
    return c, substituted(mixed, {"slope": f"slope/({c})"})


RATIONAL: Mapping[str, Callable[..., Any]] = {  # the algebra of exact numbers, for `fold`
    "number": Fraction, "neg": operator.neg, "add": operator.add, "sub": operator.sub,
    "mul": operator.mul, "div": operator.truediv,
}  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """A parameter that stays symbolic: an exact default and the set it lives in."""

    name: str
    default: str  # canonical constant, "1/100"
    domain: str = "real"  # "real" | "positive" | "nonnegative"


@dataclass(frozen=True)
class Known:
    """A formula from the literature for a function of an entry, with its source."""

    function: str  # "dual" | "dual_dot" | "hermite"
    claim: str  # canonical expression in q12, q11, q22, rho and the parameters
    source: str


@dataclass(frozen=True)
class Activation:
    """An entry after parsing. Exactly one of `expression` and `dual` is given."""

    name: str
    expression: str | None  # canonical, in x and the kept parameters
    dual: str | None  # canonical, in rho, q11, q22 and the kept parameters
    typed: str  # the expression as the person wrote it
    parameters: tuple[Parameter, ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()  # integer and list parameters, compiled in
    kinks: tuple[str, ...] = ()  # ascending constants (parameters too) where phi is not smooth
    summary: str = ""
    aliases: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    known: tuple[Known, ...] = ()


@dataclass(frozen=True)
class Term:
    """One summand of an exact form: coefficient * sqrt(root) / sqrt(radicand) * shape(arguments).

    With a tilt (a1, a2) the whole is divided by sqrt(delta), and q11, q12, q22, D stand for the
    tilted covariance: (q11 - 2 a2 D, q12, q22 - 2 a1 D, D) / delta,
    delta = 1 - 2 a1 q11 - 2 a2 q22 + 4 a1 a2 D.

    Shapes, with D = q11 q22 - q12**2:
        one                             1
        odd_angle (w, c)                atan2(c, sqrt(w))
        wedge     (w, c, n, *above, *below)
                                        psi, and `above` is added, where c >= 0;
                                        T_n, and `below` is added, where c < 0
        cosh, sinh, cos, sin  (a, c)    exp(a) cosh(c), exp(a) sinh(c), exp(a) cos(c), exp(a) sin(c)
        exp, grow  (a, c)               exp(a + c); grow: the exponent may be large and positive
        pair      (a, c, start, x, y, *up, *down)
                                        exp(a) (x cosh(c) + y sinh(c)), up exp(a + c) + down
                                        exp(a - c) of the same value; see derive/regroup.py
        coshm1, expm1  (a, c)           exp(a) (cosh(c) - 1), exp(a) (exp(c) - 1)
        product   (left, right)         the product of two sums of coefficient * shape(exponent),
                                        rows "shape;coefficient;exponent", shape exp, expm1, root
                                        or none
        orthant   (i, j, sign)          E[max(u, 0)**i max(v, 0)**j], the covariance sign * q12
        excess    (i, j, sign)          the same less its value at q12 = 0; |rho| <= 1/4
        power     (m, left, right)      q12**m left(q11) right(q22)
        given     (x,)                  x, in rho, q11 and q22 (an entry given by its dual)
    In a wedge psi = atan2(sqrt(w), -c) lies in [0, pi], T_n is atan(sqrt(w)/|c|) less n terms of
    Euler's series, and `above`, `below` are summands (coefficient, root, radicand) of shape one:
    both branches are equal, the second does not cancel at psi -> 0.
    Texts are canonical expressions in q12, q11, q22, D, pi and the parameters; numerators of
    coefficients hold no product q11 q22 (it is D + q12**2), which makes them unique. Empty text
    stands for 1.
    """

    coefficient: str
    root: str
    radicand: str
    shape: str
    arguments: tuple[str, ...]
    tilt: tuple[str, ...] = ()


@dataclass(frozen=True)
class Formula:
    """An exact function of (q12, q11, q22): the sum of its terms.

    `near`, where given, is the same function as a sum that does not cancel for |switch| < 1, where
    the switch may hold rho.
    """

    name: str  # "dual" | "dual_dot" | "dual_dq11" | "dual_dPARAMETER"
    terms: tuple[Term, ...]
    near: tuple[Term, ...] = ()
    switch: str = ""


@dataclass(frozen=True)
class Atom:
    """One summand of phi, coefficient * x**power * exp(a x**2 + b x) * link, for hermite(q).

    The link is 1, 1[x > 0] or Phi(kappa x).
    """

    coefficient_real: str
    coefficient_imag: str
    power: int
    a: str
    b_real: str
    b_imag: str
    kappa: str | None  # None: no link
    zeta: int  # 0: step, 1: normal CDF


@dataclass(frozen=True)
class Tail:
    """The function sum of coefficient * y**power * exp(rate*y) for y = side*(x - place) > 0.

    0 elsewhere; `rows` holds (coefficient, power, rate).
    """

    side: int  # 1 or -1
    place: str
    rows: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True)
class Piecewise:
    """A function with kinks anywhere: polynomials between places, plus tails, plus masses.

    `polynomials` holds coefficients by power, one tuple for each interval that the ascending
    `places` cut. Where there are tails there is one polynomial and no place. `masses` holds
    (place, height): height * delta(x - place); `dipoles` the same of delta'. `orders`: for every
    place the orders of the derivatives that jump there; `parity`: 1 even, -1 odd, 0 neither.
    """

    name: str  # "phi" | "slope" | "half_second" | "dPARAMETER" | "slope_dPARAMETER"
    places: tuple[str, ...]
    polynomials: tuple[tuple[str, ...], ...]
    tails: tuple[Tail, ...] = ()
    masses: tuple[tuple[str, str], ...] = ()
    dipoles: tuple[tuple[str, str], ...] = ()
    orders: tuple[tuple[int, ...], ...] = ()
    parity: int = 0


@dataclass(frozen=True)
class LinkTerm:
    """coefficient * x**power * exp(a x**2 + b x) times a link, y = kappa x + tau.

    By `kind` it is "" 1, "cdf" Phi(y), "odd" Phi(y) - 1/2; "pdf" Phi'(y), and then the power is one
    of y; "both" (Phi(y) - 1/2) (Phi(kappa2 x + tau2) - 1/2). With zeta 0 the step 1[y > 0] stands
    in the place of Phi(y).
    """

    coefficient: str
    power: int
    a: str
    b: str
    kind: str
    kappa: str
    tau: str
    zeta: int
    kappa2: str = "0"
    tau2: str = "0"


@dataclass(frozen=True)
class Linked:
    """A function as a sum of terms with links anywhere.

    Where phi has terms of kind "both" there are phi and its derivatives, to two beyond the first
    without: moments of the others are integrals of its moments over the covariance.
    """

    name: str  # "phi" | "slope" | "second" | "third" | "fourth" | "dPARAMETER" | "slope_dPARAMETER"
    terms: tuple[LinkTerm, ...]


@dataclass(frozen=True)
class Scale:
    """A parameter a that is a unit of length: phi(x; a) = a**degree phi(x/a; 1)."""

    parameter: str
    degree: int


@dataclass(frozen=True)
class DualForm:
    """What derivation found: the tier, and exact formulas and atoms or why there are none.

    The formulas of a mixture are those of one pair of slopes, slope1 and slope2.
    """

    tier: str  # "closed" | "mixture" | "series"
    formulas: tuple[Formula, ...] = ()
    atoms: tuple[Atom, ...] = ()
    steps: tuple[str, ...] = ()
    gave_up: str | None = None
    jumps: tuple[str, ...] = ()  # where phi itself jumps: an NNGP kernel only
    readable: tuple[tuple[str, str], ...] = ()  # (function, formula as a person would write it)
    hermite: tuple[str, ...] = ()  # exact a_0..a_4 at variance 1
    mixed: str | None = None  # a mixture: the function of x and slope whose mean phi is
    law: str | None = None  # of the slope: "kolmogorov" | "half-normal"
    pieces: tuple[Piecewise, ...] = ()  # in the place of formulas and atoms: kinks off 0
    links: tuple[Linked, ...] = ()  # in the same place: links off 0, kinks beside normal CDFs
    scale: Scale | None = None  # of pieces: where it is 1 their places and rates are numbers


@dataclass(frozen=True)
class Assignment:
    """name = expression, in canonical text extended by the support primitives."""

    name: str
    expression: str


@dataclass(frozen=True)
class PlannedFunction:
    """One straight-line function body: assignments, then the value."""

    name: str
    assignments: tuple[Assignment, ...]
    result: str


@dataclass(frozen=True)
class KernelPlan:
    """What the printer needs: bodies that do not cancel, the domain, points next to branches."""

    functions: tuple[PlannedFunction, ...]
    domain_high: str
    thresholds: tuple[str, ...] = ()  # variances or ratios at which emitted code switches form


@dataclass(frozen=True)
class EmittedModule:
    """The text of generated/NAME.py."""

    file_name: str
    text: str
    fingerprint: str


@dataclass(frozen=True)
class Ball:
    """A real number enclosed: decimal text of a midpoint and of a radius."""

    midpoint: str
    radius: str


@dataclass(frozen=True)
class HermiteSeries:
    """a_n = E[phi(Z) h_n(Z)], n = 0..order, and what they lack.

    At variance 1 and the default parameters.
    """

    order: int
    coefficients: tuple[Ball, ...]
    tail: Ball  # E[phi(Z)^2] - sum of a_n^2
    symbolic: tuple[str, ...] = ()  # exact a_0, a_1, ... for low n where the class gives them


@dataclass(frozen=True)
class Bound:
    """A certified bound of a truncated series in a region, in units of sqrt(k11 k22)."""

    function: str  # "dual" | "dual_dot"
    q_low: str
    q_high: str
    rho: str  # the largest |rho| the bound speaks of
    bound: str | None  # decimal text, rounded up; None: uncertified (`note` says why)
    note: str = ""


@dataclass(frozen=True)
class PolarRule:
    """Gauss rules for radius and angle, for one dtype: (node, weight) as repr of float64."""

    dtype: str  # "float32" | "float64"
    start: str  # the variance above which this dtype needs them
    radii: tuple[tuple[str, str], ...]  # of r exp(-r^2/2); with kinks on [0, 1], between cuts
    angles: tuple[tuple[str, str], ...]  # on [0, 1]


@dataclass(frozen=True)
class Polar:
    """Quadrature in polar coordinates near rho = +-1, at variances up to `end`.

    `kinks` are the distances from 0 of those off 0: there the radius is cut. If it `is_flat`, phi
    is 0 as far as the nearest.
    """

    end: str
    kinks: tuple[str, ...]
    is_flat: bool
    rules: tuple[PolarRule, ...]


@dataclass(frozen=True)
class SeriesTable:
    """Chebyshev coefficients, one row per Hermite degree, from which emitted code evaluates a_n(q).

    `order` is the highest degree kept. How the rows are read (variable, scaling, powers) is the law
    of `Series` in the support file; `powers[n]` is twice the exponent of q split off from a_n.
    """

    order: int
    nodes: int
    powers: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]  # (digits, coefficients times 10**digits as integers)
    bounds: tuple[Bound, ...]
    scale: str = "0.0625"  # from this variance on log(1 + sqrt(q/scale)) is logarithmic in q
    degree: int = 0  # a_n grows like q**(degree/2) exp(rate q)
    rate: str = "0.0"
    limit: str = "0.0"  # 1/q* where E[phi^2] becomes infinite at q*; "0.0" if nowhere
    q_high: str = "10000.0"  # upper end of the table
    kinks: tuple[tuple[str, ...], ...] = ()  # (place, jumps of phi, phi', ...), added exactly
    whole: bool = False  # phi is 0 around 0, and the kinks are all there is
    turn: str = "1.0"  # the variance at which growth passes from that at 0 to that at infinity
    polar: Polar | None = None  # what serves near rho = +-1


@dataclass(frozen=True)
class Rule:
    """A Gauss rule of the distribution of the slope, for one dtype."""

    dtype: str  # "float32" | "float64"
    slopes: tuple[str, ...]  # repr of float64, correctly rounded
    weights: tuple[str, ...]


@dataclass(frozen=True)
class Mixture:
    """phi(x) as the mean of a function of x and a random slope, by one rule for each dtype.

    `bounds`: certified, of |k - k_rule| / sqrt(k11 k22) at equal variances, in the same order.
    """

    rules: tuple[Rule, ...]
    bounds: tuple[Bound, ...]


@dataclass(frozen=True)
class Measurement:
    """The worst error of an emitted function in one dtype and region, in units, and where."""

    function: str
    dtype: str  # "float32" | "float64"
    region: str  # "generic" | "edge" (next to rho = +-1) | "boundary" (exactly rho = +-1 or q = 0)
    units: float  # rounded up to 1, 2, 4, 8, 16, ...
    point: tuple[float, float, float]
    note: str = ""


@dataclass(frozen=True)
class Certificate:
    """What was measured, on which grid and backend. Outside the fingerprint: machines differ."""

    backend: str  # "cpu" | "cuda"
    grid: str  # "hard" (about 24 points) | "full"
    points: int
    worst: tuple[Measurement, ...]


@dataclass(frozen=True)
class Record:
    """One compiled activation; its module is a function of this and of the support file."""

    activation: Activation
    order: int
    form: DualForm
    hermite: HermiteSeries
    table: SeriesTable | None
    plan: KernelPlan
    mixture: Mixture | None = None
    certificates: tuple[Certificate, ...] = ()  # one for each backend, sorted by it

    @property
    def name(self) -> str:
        """The name of the activation, and of every file about it."""
        return self.activation.name

    def certificate(self, backend: str) -> Certificate | None:
        """What was measured on that backend, if anything."""
        return next((c for c in self.certificates if c.backend == backend), None)

    def certified(self, certificate: Certificate) -> Record:
        """The record with that certificate in the place of an earlier one of the same backend."""
        others = [c for c in self.certificates if c.backend != certificate.backend]
        together = tuple(sorted([*others, certificate], key=lambda c: c.backend))
        return replace(self, certificates=together)


INTERFACE = 1  # of a generated module, DESIGN.md section 3; a change of it asks for recompilation


def fingerprint(record: Mapping[str, Any], support: str, interface: int = INTERFACE) -> str:
    """sha256 of a record's data without its certificates, the support text and the interface.

    `record` is the JSON data, or `dataclasses.asdict` of the record: both give the same bytes.
    It detects edits and interrupted writes; it is no security.
    """
    data = {key: value for key, value in record.items() if key != "certificates"}
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256("\0".join((text, support, str(interface))).encode()).hexdigest()
