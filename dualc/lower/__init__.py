"""lower: a DualForm to a KernelPlan, straight-line bodies that do not cancel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

from dualc.ir import (
    Activation,
    Assignment,
    DualForm,
    Formula,
    KernelPlan,
    PlannedFunction,
    Term,
)
from dualc.lower import arrange
from dualc.lower.arrange import Expr


def lower(
    activation: Activation, form: DualForm, domain_high: str | None = None, order: int = 0
) -> KernelPlan:
    """The bodies of dual, dual_dot, dual_dq11 and the parameter derivatives of a closed form.

    Those of a mixture are of one pair of slopes, slope1 and slope2, their last parameters. A series
    has no bodies of its own: its table is evaluated by the support file. `order` is of use
    for an entry given by its dual, whose Hermite coefficients are a body too.
    """
    slopes = ("slope1", "slope2") if form.mixed is not None else ()
    functions = tuple(_Body(activation, formula, slopes).plan() for formula in form.formulas)
    if activation.dual is not None:
        functions += (_hermite_of_dual(activation, order),)
    return KernelPlan(functions, domain_high or "10000")


def _hermite_of_dual(activation: Activation, order: int) -> PlannedFunction:
    """a_n(q) of an entry given by its dual, one assignment each.

    a_n(q)^2 is the coefficient of rho^n in the dual at q11 = q22 = q.
    """
    rho, q = sp.Symbol("rho", real=True), sp.Symbol("q", positive=True)
    names = {"rho": rho, "q11": q, "q22": q}
    for p in activation.parameters:  # what is known of a sign simplifies the roots
        known = p.domain if p.domain in ("positive", "nonnegative") else "real"
        names[p.name] = sp.Symbol(p.name, **{known: True})
    k = arrange.read(activation.dual or "", names)
    out = []
    for n in range(order + 1):
        square = sp.factor_terms(sp.powsimp(k.subs(rho, 0)))
        out.append(Assignment(f"hermite_{n}", arrange.text(sp.sqrt(square))))
        k = sp.diff(k, rho) / (n + 1)
    return PlannedFunction("hermite", tuple(out), "")


class _Body:
    """One function under construction: assignments made once each, in order of need."""

    def __init__(self, activation: Activation, formula: Formula, slopes: tuple[str, ...] = ()):
        """Collect the parameters' symbols and the polynomials that recur."""
        self.formula = formula
        self.symbols = {p.name: _symbol(p.name, p.domain) for p in activation.parameters}
        self.symbols |= {name: _symbol(name, "positive") for name in slopes}
        self.assignments: dict[str, str] = {}  # expression text -> name
        self.named: dict[str, Expr] = {}  # name -> polynomial
        self.frame = {"q12": "q12", "q11": "q11", "q22": "q22", "D": "d"}  # the covariance by name
        self.taken = {"q12", "q11", "q22", "pi", "s", "math", "jnp", "jax", *self.symbols}

    def plan(self) -> PlannedFunction:
        """The finished function."""
        terms = (*self.formula.terms, *self.formula.near)
        if any("D" in _texts(term) for term in terms):
            self.frame["D"] = self._assign("gap(q12, q11, q22)", "d")
        for term in terms:  # polynomials under roots get their names first
            if not term.tilt:
                self._roots(term)
        result = self._sum_of(self.formula.terms)
        if self.formula.near:
            near = self._assign(self._sum_of(self.formula.near), "near")
            far = self._assign(result, "far")
            switch = self._switch()
            result = f"choose(abs({switch}) < 1, {near}, {far})"
        lines = tuple(Assignment(name, text) for text, name in self.assignments.items())
        return PlannedFunction(self.formula.name, lines, result)

    def _switch(self) -> str:
        """What decides by its size whether the form near independence holds."""
        if "rho" not in self.formula.switch:
            return self._quotient(self._read(self.formula.switch))
        name = self._assign("rounded_correlation(q12, q11, q22)", "rho")
        names = self.symbols | {"rho": sp.Symbol(name, real=True)}
        return arrange.text(arrange.read(self.formula.switch, names))

    def _roots(self, term: Term) -> None:
        """Name everything that a term takes the root of."""
        for text in (term.radicand, term.root, *_angle_roots(term)):
            self._root_of(text)

    def _tilted(self, term: Term) -> str:
        """A term in its tilted covariance, whose entries are named and bounded."""
        plain, named = self.frame, self.named
        a1, a2 = (self._show(self._read(text)) for text in term.tilt)
        d = self.frame["D"]
        delta = self._assign(f"1 - 2*({a1})*q11 - 2*({a2})*q22 + 4*({a1})*({a2})*{d}", "delta")
        self.frame = {
            "q12": self._assign(f"q12/{delta}", "t12"),
            "q11": self._assign(f"(q11 - 2*({a2})*{d})/{delta}", "t11"),
            "q22": self._assign(f"(q22 - 2*({a1})*{d})/{delta}", "t22"),
            "D": self._assign(f"{d}/{delta}", "t"),
        }
        self.named = {}
        bare = replace(term, tilt=())
        self._roots(bare)
        value = f"({self._term(bare)})/{self._assign(f'root({delta})', 'r')}"
        self.frame, self.named = plain, named
        return value

    def _sum_of(self, terms: tuple[Term, ...]) -> str:
        """The sum of terms, growing exponentials under one scale: none overflows alone."""
        summands = [self._term(term) for term in terms if term.shape != "grow"]
        growing = [term for term in terms if term.shape == "grow"]
        if growing:
            rows = []
            for term in growing:
                a, c = (self._read(text) for text in term.arguments)
                weight = self._product(term.coefficient, term.root, term.radicand)
                rows += [self._assign(self._quotient(a + c), "e"), weight]
            summands = [f"exp_sum({' + '.join(summands) or '0'}, {', '.join(rows)})"]
        return " + ".join(summands) if summands else "0*q12"

    # -- names

    def _assign(self, expression: str, wish: str) -> str:
        """The name of an expression, assigned once: the wish, or wish2, wish3, ... if taken."""
        if expression not in self.assignments:
            name, count = wish, 1
            while name in self.taken:
                count += 1
                name = f"{wish}{count}"
            self.taken.add(name)
            self.assignments[expression] = name
        return self.assignments[expression]

    def _root_of(self, text: str) -> str:
        """The name of sqrt(text); a polynomial of several summands gets a name of its own."""
        if not text:
            return ""
        x = self._read(text)
        inner = self._show(x)
        if x.is_Add:
            inner = self._assign(inner, "w")
            self.named[inner] = x
        return self._assign(f"root({inner})", "r")

    # -- coefficients

    def _read(self, text: str) -> Expr:
        return arrange.read(text, self.symbols)

    def _show(self, x: Expr) -> str:
        """The text of an expression with the covariance by its names."""
        symbols = (arrange.Q12, arrange.Q11, arrange.Q22, arrange.D)
        places = zip(symbols, self.frame.values(), strict=True)
        return arrange.text(x.subs({s: sp.Symbol(name, real=True) for s, name in places}))

    def _product(self, coefficient: str, root: str, radicand: str, *shapes: str) -> str:
        """The product coefficient * sqrt(root) / sqrt(radicand) * shapes, as one quotient."""
        upper, lower, above, below = arrange.split(self._read(coefficient))
        regression = ""
        if radicand == "D" and (arrange.Q12, 1) in above and (arrange.Q11, 1) in below:
            above.remove((arrange.Q12, 1))  # q12/q11 has a limit of its own
            below.remove((arrange.Q11, 1))
            regression = f"regression({self.frame['q12']}, {self._variances()})"
        top = [self._factor(base, power) for base, power in above] + [regression]
        bottom = [self._factor(base, power) for base, power in below]
        vanishes = any(arrange.vanishes(base) for base, _ in below)
        falls = any(base == arrange.D for base, _ in above)  # D^(3/2)/q11 is 0 where q11 is
        if root == "D" and (arrange.Q11, 1) in below and not falls:  # one zero: infinite, two: 0
            bottom.remove(self.frame["q11"])
            below = [item for item in below if item != (arrange.Q11, 1)]
            top.append(f"root_ratio({self._root_of(root)}, {self._variances()})")
            root = ""
            vanishes = any(arrange.vanishes(base) for base, _ in below)
        top += [s for s in (self._root_of(root), *shapes) if s]
        if radicand:
            bottom.append(self._root_of(radicand))
            vanishes = vanishes or arrange.vanishes(self._read(radicand))
        if vanishes:
            quotient = f"ratio({_times(top) or '1'}, {_times(bottom)})"
            return _scaled(upper, lower, quotient)
        numerator = _scaled(upper, sp.Integer(1), _times(top))
        if not bottom and lower == 1:
            return numerator
        lower_text = [] if lower == 1 else [arrange.text(lower)]
        return f"{numerator}/({_times([*lower_text, *bottom])})"

    def _factor(self, base: Expr, power: int) -> str:
        """A power of a factor, by name where it has one."""
        body = self._show(arrange.shorten(base, self.named))
        if base.is_Add and body not in self.taken:
            body = f"({body})"
        return body if power == 1 else f"{body}**{power}"

    # -- terms

    def _term(self, term: Term) -> str:
        """One term, by its shape; what is assigned on the way stands before it."""
        if term.tilt:
            return self._tilted(term)
        build = {
            "one": lambda: self._product(term.coefficient, term.root, term.radicand),
            "odd_angle": lambda: self._odd_angle(term),
            "wedge": lambda: self._wedge(term),
            "orthant": lambda: self._orthant(term),
            "excess": lambda: self._orthant(term),
            "power": lambda: self._power(term),
            "given": lambda: self._given(term),
            "pair": lambda: self._pair(term),
            "product": lambda: self._product(
                term.coefficient, "", "", *(f"({self._mean(text)})" for text in term.arguments)
            ),
        }
        if term.shape in build:
            return build[term.shape]()
        return self._exponential(term)

    def _exponential(self, term: Term) -> str:
        """A term with exp(a) times cosh c, sinh c, cosh c - 1, exp c, exp c - 1, cos c or sin c."""
        a, c = (self._read(text) for text in term.arguments)
        parts = (term.coefficient, term.root, term.radicand)
        if term.shape == "exp":
            return self._product(*parts, f"exp({self._quotient(a + c)})")
        if term.shape in ("cos", "sin"):
            shape = f"exp({self._quotient(a)})*{term.shape}({self._quotient(c)})"
            return self._product(*parts, shape)
        decay = self._assign(self._quotient(-a), "a")
        inside = f"{decay}, {self._assign(self._quotient(c), 'c')}"
        weight = self._read(term.coefficient)
        if term.shape in ("cosh", "sinh") and weight != 1 and not weight.has(*arrange.COVARIANCE):
            # The weight may bring back into the range what underflows without it.
            held = self._product(term.coefficient, "", "")
            weighted = f"weighted(exp_{term.shape}, {inside}, {held})"
            return self._product("1", term.root, term.radicand, weighted)
        return self._product(*parts, f"exp_{term.shape}({inside})")

    def _pair(self, term: Term) -> str:
        """exp(a) (x cosh(c) + y sinh(c)), and what it is far from c = 0."""
        a, c, start, x, y, *sides = term.arguments
        decay = self._assign(self._quotient(-self._read(a)), "a")
        angle = self._assign(self._quotient(self._read(c)), "c")
        near = [self._assign(self._quotient(self._read(text)), "k") for text in (x, y)]
        parts = sp.Add.make_args(self._read(start)) if start else ()
        first = " + ".join(map(self._quotient, parts)) or f"{near[0]} + {angle}*{near[1]}"
        near.insert(0, first)
        far = [self._about_means(*side) for side in (sides[:4], sides[4:])]
        shape = f"exp_pair({', '.join((decay, angle, *near, *far))})"
        return self._product("1", "", term.radicand, shape)

    def _about_means(self, above: str, below: str, *means: str) -> str:
        """A quotient in whose numerator q11 and q22 stand for means, where there are any."""
        lower = self._quotient(self._read(below))
        plain, named = self.frame, self.named
        if means[0]:
            names = [self._assign(self._show(self._read(text)), "m") for text in means]
            self.frame = self.frame | {"q11": names[0], "q22": names[1]}
            self.named = {}
        upper = self._quotient(self._read(above))
        self.frame, self.named = plain, named
        return upper if lower == "1" else f"({upper})/({lower})"

    def _mean(self, text: str) -> str:
        """A sum of rows "shape;coefficient;exponent", the shape exp, expm1, root or none."""
        parts = text.split(";") if text else []
        summands = []
        for shape, coefficient, exponent in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            factor = f"{shape}({self._quotient(self._read(exponent))})" if shape else ""
            summands.append(self._product(coefficient, "", "", factor))
        return " + ".join(summands) or "0"

    def _quotient(self, x: Expr) -> str:
        return self._product(arrange.text(x), "", "") if x != 0 else "0"

    def _variances(self) -> str:
        return f"{self.frame['q11']}, {self.frame['q22']}"

    def _odd_angle(self, term: Term) -> str:
        w, c = term.arguments
        inside = f"{self._quotient(self._read(c))}, {self._root_of(w)}"
        at_step = arrange.vanishes(self._read(w))
        angle = f"step_angle({inside}, {self._variances()})" if at_step else f"odd_angle({inside})"
        return self._product(term.coefficient, term.root, term.radicand, angle)

    def _given(self, term: Term) -> str:
        """An expression in rho and the variances; sqrt(q22/q11) has its limit where both vanish."""
        s1, s2 = sp.Dummy("s1", positive=True), sp.Dummy("s2", positive=True)
        positive = dict(zip(("q11", "q22"), sp.symbols("q11 q22", positive=True), strict=True))
        names = {"rho": sp.Symbol("rho", real=True), **positive, **self.symbols}
        x = arrange.read(term.arguments[0], names)
        x = x.subs({positive["q11"]: s1**2, positive["q22"]: s2**2})
        x = sp.factor_terms(sp.powsimp(x))
        shape = "rounded_correlation" if _is_plain(x, names["rho"]) else "correlation"
        self._assign(f"{shape}(q12, q11, q22)", "rho")
        above, below = sp.fraction(sp.together(x))
        parts = []
        for root, q, other in ((s1, "q11", "q22"), (s2, "q22", "q11")):
            power = int(sp.degree(below, root)) if below.has(root) else 0
            below = below / root**power
            opposite = s2 if root == s1 else s1
            if power and sp.expand(above).subs(opposite, 0) == 0:  # limit 1 at equal variances
                above, power = above / opposite, power - 1
                parts.append(f"relative_root({other}, {q})")
            parts += [f"(1/root({q}))"] * power
        for root, q in ((s1, "q11"), (s2, "q22")):
            if above.has(root):
                name = self._assign(f"root({q})", "r")
                above = above.subs(root, sp.Symbol(name, positive=True))
        parts.insert(0, arrange.text(above / below))
        return "*".join(f"({part})" for part in parts)

    def _power(self, term: Term) -> str:
        """The product q12**m left(q11) right(q22), in two halves: none of both overflows alone."""
        m, left, right = int(term.arguments[0]), *term.arguments[1:]
        halves = []
        for text, power in ((left, m - m // 2), (right, m // 2)):
            factors = [] if power == 0 else ["q12" if power == 1 else f"q12**{power}"]
            product = self._product(text, "", "")
            halves.append("*".join([*factors, *([f"({product})"] if product != "1" else [])]))
        if not halves[1]:
            return halves[0] or "1"
        return f"({halves[0]})*({halves[1]})" if halves[0] else halves[1]

    def _orthant(self, term: Term) -> str:
        i, j, sign = term.arguments
        c = self.frame["q12"] if sign == "1" else f"-{self.frame['q12']}"
        arguments = f"{i}, {j}, {c}, {self._variances()}"
        if term.shape == "excess":
            moment = f"orthant_excess({arguments})"
        else:
            moment = f"orthant_moment({arguments}, {self.frame['D']})"
        return self._product(term.coefficient, "", "", moment)

    def _wedge(self, term: Term) -> str:
        """Both branches of a wedge, joined where the covariance changes sign."""
        w, c, n, *rest = term.arguments
        root, cov = self._root_of(w), self._read(c)
        opposite = ", 1" if cov.could_extract_minus_sign() else ""
        angle = f"angle({root}, {self._quotient(-cov)}, {self._variances()}{opposite})"
        above = self._sum(term, angle, rest[:3])
        if n == "0":
            return above
        size = self._quotient(-cov if opposite else cov)
        below = self._sum(term, f"atan_tail({n}, {root}, abs({size}))", rest[3:])
        above, below = self._assign(above, "above"), self._assign(below, "below")
        compare = "<=" if opposite else ">="
        return f"where(q12 {compare} 0, {above}, {below})"

    def _sum(self, term: Term, shape: str, rest: list[str]) -> str:
        """The sum coefficient * shape + rest, rest being (coefficient, root, radicand)."""
        parts = []
        if term.coefficient != "0":
            parts.append(self._product(term.coefficient, term.root, term.radicand, shape))
        if rest[0] != "0":
            parts.append(self._product(*rest))
        return " + ".join(parts)


def _is_plain(x: Expr, rho: Expr) -> bool:
    """Whether an expression is smooth at rho = +-1, as all its parts are, and known not to be 0."""
    smooth = (sp.exp, sp.sin, sp.cos, sp.sinh, sp.cosh, sp.tanh, sp.erf)
    parts = [part for part in x.atoms(sp.Function, sp.Pow) if part.has(rho)]
    return all(x.subs(rho, end).is_nonzero for end in (1, -1)) and all(
        isinstance(part, smooth) or bool(part.is_Pow and part.exp.is_Integer and part.exp > 0)
        for part in parts
    )


def _symbol(name: str, domain: str) -> Expr:
    return sp.Symbol(name, **({"positive": True} if domain == "positive" else {"real": True}))


def _texts(term: Term) -> str:
    """All texts of a term, with D where only the code for it needs D."""
    texts = (term.coefficient, term.root, term.radicand, *term.arguments)
    return " ".join((*texts, "D") if term.shape == "orthant" or term.tilt else texts)


def _angle_roots(term: Term) -> tuple[str, ...]:
    """What the angle of a term takes roots of."""
    if term.shape == "wedge":
        return (term.arguments[0], term.arguments[4], term.arguments[5])
    return (term.arguments[0],) if term.shape == "odd_angle" else ()


def _times(factors: list[str]) -> str:
    return "*".join(f for f in factors if f)


def _scaled(upper: Any, lower: Any, body: str) -> str:
    """The product upper / lower * body, leaving out ones."""
    number = arrange.text(upper / lower)
    if not body:
        return f"({number})" if upper.is_Add else number
    if number == "1":
        return body
    return f"-{body}" if number == "-1" else f"({number})*{body}"
