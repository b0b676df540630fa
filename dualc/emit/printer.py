"""The text of a generated module: a header of facts, private bodies, public functions."""

from __future__ import annotations

import ast
import dataclasses
import math
import operator
import textwrap
from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from typing import Any

from dualc import ir
from dualc.emit.layout import ARGUMENTS, WIDTH, joined, tuple_of, weakly, wrapped
from dualc.emit.links import LinksPrinter
from dualc.emit.pieces import PiecesPrinter
from dualc.emit.source import piece, python
from dualc.ir import (
    INTERFACE,
    Atom,
    EmittedModule,
    PlannedFunction,
    Record,
    SeriesTable,
    fingerprint,
    of_unit_slope,
    substituted,
)

_GAP = "gap(q12, q11, q22)"


def emit(record: Record, standalone: bool = False, support: str = "") -> EmittedModule:
    """The module of a record; `support` is the support file's text, inlined if `standalone`."""
    return _Printer(record, standalone, support).module()


class _Printer:
    """One module: the record, and the prefix under which support code is called."""

    def __init__(self, record: Record, standalone: bool, support: str):
        self.record, self.standalone, self.support = record, standalone, support
        self.activation, self.plan = record.activation, record.plan
        self.prefix = "" if standalone else "s."
        self.is_series = record.form.tier == "series"
        kept = () if self.is_series else self.activation.parameters  # a table is of one function
        self.kept = kept
        self.parameters = tuple(p.name for p in kept)
        own = _top_level(support) if standalone else frozenset()  # no parameter may hide these
        self.spelled = {name: f"{name}_" if name in own else name for name in self.parameters}
        self.d = "d_" if "d" in self.spelled else "d"  # the argument of bodies that is D
        self.pieces = PiecesPrinter(
            record.form.pieces, self.spelled, self.prefix, self.d, record.form.scale
        )
        is_mixture = record.mixture is not None
        self.links = LinksPrinter(record.form.links, self.spelled, self.prefix, self.d, is_mixture)

    def module(self) -> EmittedModule:
        """The finished text."""
        data = dataclasses.asdict(self.record)
        self.fingerprint = fingerprint(data, self.support)
        body = [self._facts(), *self._phi(), *self._bodies(), *self._public()]
        code = "\n\n\n".join(part for part in body if part)
        text = f"{self._docstring()}\n\n{self._imports(code)}\n\n{code}\n"
        name = self.activation.name
        return EmittedModule(f"{name}.py", text, self.fingerprint)

    # -- header

    def _docstring(self) -> str:
        what = self.activation.expression or self.activation.dual
        head = f"{self.activation.name}: {what}"
        lines = [head, ""]
        if self.activation.summary:
            lines += [*textwrap.wrap(self.activation.summary, WIDTH), ""]
        lines += [
            f"Tier {self.record.form.tier}. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), "
            "D = q11 q22 - q12^2.",
            "",
        ]
        for function, formula in self.record.form.readable:
            lines += textwrap.wrap(
                f"{function} = {formula}",
                WIDTH - 4,
                initial_indent="    ",
                subsequent_indent="        ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        if self.record.form.gave_up:
            lines += ["", f"No closed form: {self.record.form.gave_up}."]
        lines += ["", f"Emitted by dualc from {self.activation.name}.json; not meant to be edited."]
        text = "\n".join(line.rstrip() for line in lines)
        # The summary is a stranger's: nothing in it may end the docstring and become code.
        text = text.replace("\\", r"\\").replace('"""', r"\"\"\"")
        return f'"""{text}\n"""'

    def _imports(self, code: str) -> str:
        if self.standalone:
            _, _, rest = self.support.split('"""', 2)
            rest = rest.replace("from __future__ import annotations\n", "").strip()
            return f"from __future__ import annotations\n\n{rest}\n"
        uses = {"math.": "import math", "jax.": "import jax", "jnp.": "import jax.numpy as jnp"}
        plain = "\n".join(line for use, line in uses.items() if use in code)
        return f"{plain}\n\nfrom . import _support as s\n".lstrip()

    def _facts(self) -> str:
        """The module's constants, DESIGN.md section 3."""
        record, activation = self.record, self.activation
        defaults = ", ".join(f'("{p.name}", {_decimal(p.default)})' for p in self.kept)
        if len(self.kept) == 1:
            defaults += ","
        jumps = "".join(f'"{place}", ' for place in record.form.jumps)
        coefficients = [repr(float(c.midpoint)) for c in record.hermite.coefficients]
        rows = textwrap.wrap(", ".join(coefficients) + ",", WIDTH - 4)
        hermite = "\n".join(f"    {row}" for row in rows)
        what = f"normalised coefficients a_0..a_{record.order} at variance 1"
        expression = activation.expression or activation.dual
        return "\n".join(
            (
                f'NAME = "{activation.name}"',
                f'EXPRESSION = "{expression}"',
                f'TIER = "{record.form.tier}"',
                f"ORDER = {record.order}",
                f"DOMAIN = (0.0, {_decimal(self.plan.domain_high)})",
                f"INTERFACE = {INTERFACE}",
                f'FINGERPRINT = "{self.fingerprint}"',
                f"PARAMETERS = ({defaults})",
                f"JUMPS = ({jumps.rstrip()})  # where phi itself does: an NNGP kernel only",
                f"HERMITE = (  # {what}\n{hermite}\n)",
                f"TAIL = {float(record.hermite.tail.midpoint)!r}  # E[phi^2] - sum of a_n^2",
            )
        )

    # -- private bodies

    def _phi(self) -> list[str]:
        """The body of phi, at the defaults of parameters that are not kept."""
        if self.activation.expression is None:
            return ["phi = phi_dot = None  # given by its dual: an activation is not known"]
        names = {"x": "x", **self.spelled}
        values = {p.name: p.default for p in self.activation.parameters if p not in self.kept}
        body = self._value(substituted(self.activation.expression, values), names, "x")
        return [f"def _phi({', '.join(names.values())}):\n    return {body}"]

    def _bodies(self) -> list[str]:
        if self.record.table is not None:
            return [self._table(self.record.table)]
        if self.pieces.pieces:
            return self.pieces.bodies()
        if self.links.links:
            return [*self.links.bodies(), self.links.hermite(), *self._mixed()]
        out = [self._function(f) for f in self.plan.functions if f.name != "hermite"]
        return [*out, self._hermite_body(), *self._mixed()]

    def _mixed(self) -> list[str]:
        """The rules of a mixture, and the means of the bodies of one slope or pair."""
        if self.record.mixture is None:
            return []
        p, rules = self.prefix, []
        scale, _ = of_unit_slope(self.record.form.mixed or "")
        for rule in self.record.mixture.rules:
            slopes = [repr(float(scale * Fraction(slope))) for slope in rule.slopes]
            rows = zip(slopes, rule.weights, strict=True)
            inner = "".join(f"        ({slope}, {weight}),\n" for slope, weight in rows)
            rules.append(f"    (  # {rule.dtype}\n{inner}    ),\n")
        head = "# (slope, weight): phi is the mean of a function of a random slope.\n"
        table = f"{head}_RULES = {p}Rules(\n{''.join(rules)})"
        names = self._names()
        full = {n: f"{n}_full" if n in ("dual", "dual_dot") else n for n in names}
        means = [f"_{full[n]} = {p}mixture_pairs(_{n}_pair, _RULES)" for n in names]
        means.append(f"_coefficients = {p}mixture_mean(_coefficients_node, _RULES)")
        means.append(weakly(p, f"{p}degrees_first(_coefficients)"))
        signature = ", ".join(("q", *self.spelled.values()))
        hermite = f"def _hermite({signature}):\n    return _coefficients(ORDER, {signature})"
        return [table, "\n".join(means), hermite]

    def _names(self) -> tuple[str, ...]:
        """The functions whose bodies are of one pair of slopes."""
        if self.links.links:
            return self.links.names()
        return tuple(f.name for f in self.plan.functions)

    def _slopes(self, *names: str) -> dict[str, str]:
        """The slopes a body of a mixture takes beside the parameters."""
        return {} if self.record.mixture is None else {name: name for name in names}

    def _table(self, table: SeriesTable) -> str:
        """The table of a series, and the three functions that read it."""
        p = self.prefix
        rows = "".join(f"        ({joined(row)}),\n" for row in table.rows)
        kinks = "".join(f"        ({joined(kink)}),\n" for kink in table.kinks)
        facts = f"{table.order}, {table.powers}"
        law = ", ".join((table.scale, str(table.degree), table.rate, table.limit, table.q_high))
        tail = f"(\n{kinks}    )" if kinks else "()"
        return (
            "# Order, powers, Chebyshev rows of a_n(q), and how they are read: "
            "see Series in the support code.\n"
            f"_TABLE = {p}Series(\n    {facts},\n    (\n{rows}    ),\n    {law},\n    {tail},\n"
            f"    {table.whole}, {table.turn},\n)\n{self._series(table)}"
            f"_hermite = {p}series_coefficients(_TABLE)"
        )

    def _series(self, table: SeriesTable) -> str:
        """The dual and dual_dot of a series, and what serves near rho = +-1."""
        p = self.prefix
        if table.polar is None:
            return (
                f"_dual = {p}without_gap({p}series_moment(_TABLE))\n"
                f"_dual_dot = {p}without_gap({p}series_moment(_TABLE, 1, 1, 1))\n"
            )
        rules = []
        for rule in table.polar.rules:
            parts = [
                "".join(f"            ({', '.join(row)}),\n" for row in rows)
                for rows in (rule.radii, rule.angles)
            ]
            inner = "".join(f"        (\n{part}        ),\n" for part in parts)
            first = f"    {p}PolarRules(  # {rule.dtype}\n        {rule.start},\n"
            rules.append(f"{first}{inner}    ),\n")
        polar = table.polar
        facts = f"{polar.end}, {tuple_of(polar.kinks)}, {polar.is_flat}"
        return (
            "\n# Quadrature near rho = +-1: up to which variance; distances of kinks from 0, if\n"
            "# phi is 0 within; for each dtype from which variance on, (radius, weight) and\n"
            "# (angle, weight).\n"
            f"_POLAR = {p}Polar(\n    {facts},\n{''.join(rules)})\n"
            f"_dual = {p}near_diagonal(_TABLE, _POLAR, _phi)\n"
            f"_dual_dot = {p}near_diagonal(_TABLE, _POLAR, _phi, 1)\n"
        )

    def _function(self, function: PlannedFunction) -> str:
        """One planned body."""
        slopes = self._slopes("slope1", "slope2")
        names = {name: name for name in ARGUMENTS} | self.spelled | slopes
        lines = []
        for assignment in function.assignments:
            if assignment.expression == _GAP:
                names[assignment.name] = self.d
                continue
            lines.append(self._statement(f"{assignment.name} = ", assignment.expression, names))
            names[assignment.name] = assignment.name
        value = self._value(function.result, names, "q12")
        lines.append(wrapped("return ", value))
        signature = ", ".join((*ARGUMENTS, self.d, *self.spelled.values(), *slopes))
        suffix = "_pair" if slopes else ""
        return f"def _{function.name}{suffix}({signature}):\n" + "\n".join(lines)

    def _statement(self, head: str, text: str, names: Mapping[str, str]) -> str:
        return wrapped(head, python(text, names, self.prefix))

    def _value(self, text: str, names: Mapping[str, str], like: str) -> str:
        """The source of an expression, a number spread over the array called `like`."""
        result = piece(text, names, self.prefix)
        return f"jnp.full_like({like}, {result.text})" if result.is_number else result.text

    def _hermite_body(self) -> str:
        """The body of hermite: planned coefficients (given by a dual), else a sum over atoms."""
        slopes = self._slopes("slope")
        signature = ", ".join(("q", *self.spelled.values(), *slopes))
        if self.activation.dual is not None:
            found = next(f for f in self.plan.functions if f.name == "hermite")
            names = {"q": "q", **self.spelled}
            rows = [python(a.expression, names, self.prefix) for a in found.assignments]
            inner = "".join(f"        {row},\n" for row in rows)
            stack = "jnp.stack(jnp.broadcast_arrays(*coefficients), axis=-1)"
            body = f"    coefficients = (\n{inner}    )\n    return {stack}"
            return f"def _hermite({signature}):\n{body}"
        atoms = [self._atom(atom) for atom in self.record.form.atoms]
        inner = "".join(f"        {atom},\n" for atom in atoms)
        if slopes:
            name, order, signature = "_coefficients_node", "order", f"order, {signature}"
        else:
            name, order = "_hermite", "ORDER"
        call = f"{self.prefix}hermite_atoms({order}, q, atoms)"
        return f"def {name}({signature}):\n    atoms = (\n{inner}    )\n    return {call}"

    def _atom(self, atom: Atom) -> str:
        """An atom as `hermite_atoms` of the support code takes it."""
        names = self.spelled | self._slopes("slope")
        source = partial(python, names=names, prefix=self.prefix)
        coefficient = source(atom.coefficient_real)
        if atom.coefficient_imag != "0":
            coefficient = f"{self.prefix}complex_of({coefficient}, {source(atom.coefficient_imag)})"
        kappa = "None" if atom.kappa is None else source(atom.kappa)
        parts = (coefficient, str(atom.power), source(atom.a), source(atom.b_real))
        return f"({', '.join((*parts, source(atom.b_imag), kappa, str(atom.zeta)))})"

    # -- public functions

    def _public(self) -> list[str]:
        """The public functions, and the kernels they call."""
        rates = ["_dual_dot", "_dual_dq11", *(f"_dual_d{name}" for name in self.parameters)]
        domain = self._domain()
        given = "" if self.is_series else f"({', '.join(rates)}), "
        is_dear = self.record.mixture is not None or self.pieces.has_short_series()
        full = "_full" if is_dear else ""  # correlation 1 is not weak
        dual, dual_dot = f"_dual{full}", f"_dual_dot{full}"
        slope_given = ""
        if self.pieces.has_slope_rates() or self.links.slope_rates():
            names = ("q12", "q11", *self.parameters)
            slope_given = f"({', '.join(f'_dual_dot_d{name}' for name in names)}), "
        p = self.prefix
        diagonals = [f"{p}diagonal({name})" for name in (dual, dual_dot)]
        twice = chained = ""
        if self.pieces.has_slope_rates():
            chained = ", is_chained=True"
        if self.pieces.pieces:
            diagonals, twice = ["_dual_diag", "_dual_dot_diag"], ", is_dear=True"
        kernels = [
            f"_dual_kernel = {p}kernel(_dual, {given}{domain}{twice})",
            f"_dual_dot_kernel = {p}kernel(_dual_dot, {slope_given}{domain}{twice}{chained})",
            f"_deficit_kernel = {p}deficit({dual}, {dual_dot}, {domain})",
            f"_dual_diag_kernel = {p}pointwise({diagonals[0]}, {domain})",
            f"_dual_dot_diag_kernel = {p}pointwise({diagonals[1]}, {domain})",
            f"_hermite_kernel = {p}pointwise(_hermite, {domain})",
        ]
        has_phi = self.activation.expression is not None
        if has_phi:
            sets = self._sets()
            kernels.insert(0, f"_phi_kernel = {p}pointwise(_phi{sets})")
            kernels.insert(1, f"_phi_dot_kernel = {p}pointwise({p}slope(_phi){sets})")
        functions = [self._wrapper(*row) for row in _PUBLIC if has_phi or row[1] != "x"]
        return ["\n".join(kernels), *functions]

    def _sets(self) -> str:
        """The keyword arguments that say which parameters are positive or nonnegative."""
        out = ""
        for kind in ("positive", "nonnegative"):
            where = [i for i, q in enumerate(self.kept) if q.domain == kind]
            if where:
                out += f", {kind}=({', '.join(map(str, where))},)"
        return out

    def _domain(self) -> str:
        return f"domain=DOMAIN{self._sets()}"

    def _wrapper(self, name: str, arguments: str, what: str) -> str:
        """One public function, its parameters by keyword."""
        keywords = [f"{p.name}={_decimal(p.default)}" for p in self.kept]
        delta = "delta_" if "delta" in self.parameters else "delta"
        arguments = arguments.replace("delta", delta)
        given = [arguments, *self.parameters]
        if arguments == _PAIR:
            keywords, given = [*keywords, f"{delta}=None"], [*given, f"delta={delta}"]
        signature = ", ".join((arguments, "*", *keywords)) if keywords else arguments
        call = f"_{name}_kernel({', '.join(given)})"
        return f'def {name}({signature}):\n    """{what}"""\n    return {call}'


_PAIR = ", ".join(ARGUMENTS)
_PUBLIC = (
    ("phi", "x", "The activation, elementwise."),
    ("phi_dot", "x", "Its almost-everywhere derivative."),
    ("dual", _PAIR, "E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."),
    ("dual_dot", _PAIR, "E[phi'(u) phi'(v)]. delta: 1 - rho."),
    ("deficit", "q11, q22, delta", "1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."),
    ("dual_diag", "q", "E[phi(u)^2] at variance q."),
    ("dual_dot_diag", "q", "E[phi'(u)^2] at variance q."),
    ("hermite", "q", "Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."),
)


_EXACT: dict[str, Any] = {
    **ir.RATIONAL,
    "pow": operator.pow,
} | {name: getattr(math, name) for name in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos")}


def _decimal(text: str) -> str:
    """A canonical constant as a Python float: rationals exactly rounded."""
    return repr(float(ir.fold(text, _EXACT, {"pi": math.pi})))


def _top_level(source: str) -> frozenset[str]:
    """The names that a module's text defines."""
    body = ast.parse(source).body
    return frozenset(n.name for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef))
