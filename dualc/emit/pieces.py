"""The text of functions with kinks off 0: the functions as data, and the moments of their pairs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from dualc.emit.layout import ARGUMENTS, tuple_of, weakly, wrapped
from dualc.emit.source import python
from dualc.ir import Piecewise, Scale


@dataclass(frozen=True)
class PiecesPrinter:
    """The pieces of an entry, its parameters and their spelling, what bodies call D, its scale."""

    pieces: tuple[Piecewise, ...]
    spelled: Mapping[str, str]
    prefix: str
    d: str
    scale: Scale | None = None

    def bodies(self) -> list[str]:
        """Functions with kinks off 0 as data, and the moments of their pairs."""
        p, spelled = self.prefix, ", ".join(self.spelled.values())
        slope_rates = self.has_slope_rates()
        used = [f for f in self.pieces if slope_rates or not f.name.startswith("slope_")]
        if self._has_free_rates():
            used = used[:3]
        given = ", ".join((*ARGUMENTS, self.d))
        arguments = ", ".join((given, *self.spelled.values()))

        def body(name: str, lost: int, function: str, *names: str, last: str = "") -> str:
            """One function; `lost`: of what degree in a length it is less than phi(u) phi(v)."""
            data = ", ".join(f"_{n}_pieces({spelled})" for n in names)
            call = wrapped("return ", f"{p}{function}({data}, {given}{last})")
            more = ", is_chained=True" if last else ""
            return f"{self._at_unit(lost, more)}def _{name}({arguments}{last}):\n{call}"

        jumps = any(item.dipoles for item in self.pieces[:3])
        rate = "piecewise_jump_rate" if jumps else "piecewise_rate"
        full = "_full" if self.has_short_series() else ""
        out = [
            body(f"dual{full}", 0, "piecewise_moment", "phi", "phi"),
            body(f"dual_dot{full}", 2, "piecewise_dot", "half_second", "slope", "phi"),
        ]
        if full:
            out += self._short_series(spelled)
        out.append(body("dual_dq11", 2, rate, "half_second", "phi", "slope"))
        if slope_rates:
            out.append(body("dual_dot_dq12", 4, "piecewise_curvature", "half_second"))
            pair = "half_second", "slope"
            out.append(body("dual_dot_dq11", 4, "piecewise_bend", *pair, last=", curvature"))
        for index, name in enumerate(self.spelled):
            if self._has_free_rates():
                out.append(f"_dual_d{name} = {p}in_parameter(_dual{full}, {index})")
                if slope_rates:
                    rate = f"{p}in_parameter(_dual_dot{full}, {index})"
                    out.append(f"_dual_dot_d{name} = {rate}")
                continue
            lost = 1 if self.scale and self.scale.parameter == name else 0
            out.append(body(f"dual_d{name}", lost, "piecewise_both", f"d{name}", "phi"))
            if slope_rates:
                pair = f"slope_d{name}", "slope"
                out.append(body(f"dual_dot_d{name}", lost + 2, "piecewise_both", *pair))
        signature = ", ".join(("q", *self.spelled.values()))
        call = f"{p}piecewise_hermite(ORDER, _phi_pieces({spelled}), q)"
        out.append(f"def _hermite({signature}):\n    return {call}")
        for name, f, lost in (("dual", "phi", 0), ("dual_dot", "slope", 2)):
            call = f"{p}piecewise_square(_{f}_pieces({spelled}), q)"
            head = self._at_unit(lost, ", (2,)")
            out.append(f"{head}def _{name}_diag({signature}):\n    return {call}")
        return [*(self._pieces(item) for item in used), *out]

    def _at_unit(self, lost: int, more: str) -> str:
        """The decorator of a function that is computed where the scale is 1; "" without one."""
        if self.scale is None:
            return ""
        index = list(self.spelled).index(self.scale.parameter)
        return f"@{self.prefix}at_unit_scale({2 * self.scale.degree - lost}, {index}{more})\n"

    def has_slope_rates(self) -> bool:
        """Whether dual_dot's derivatives are moments of pieces too.

        No jumps, no high powers.
        """
        pieces = {item.name: item for item in self.pieces}
        if not pieces or pieces["slope"].masses or any(f.dipoles for f in pieces.values()):
            return False
        rows = [row for item in pieces.values() for tail in item.tails for row in tail.rows]
        return all(power < 3 for _, power, _ in rows)

    def _has_free_rates(self) -> bool:
        """Whether an exponential's rate depends on a parameter that is no scale (hexpo).

        Then it is not known which rows of a parameter's derivative cancel, and moments that allow
        for everything compile for minutes; JAX's own derivative does not.
        """
        tails = [tail for item in self.pieces for tail in item.tails]
        texts = [rate for tail in tails for _, _, rate in tail.rows]
        names = {
            n.id for text in texts for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)
        }
        fixed = {self.scale.parameter} if self.scale else set()
        return bool(names & (set(self.spelled) - fixed))

    def has_short_series(self) -> bool:
        """Whether a Hermite series is cheaper than the kernel, and its coefficients are cheap."""
        tails = self.pieces[0].tails if self.pieces else ()
        return bool(self.pieces) and (
            all(tail.place == "0" for tail in tails) or self._is_one_place()
        )

    def _is_one_place(self) -> bool:
        """Whether phi is a polynomial and one tail of polynomials."""
        tails = self.pieces[0].tails
        return len(tails) == 1 and all(rate == "0" for _, _, rate in tails[0].rows)

    def _short_series(self, spelled: str) -> list[str]:
        """The coefficients of pieces, and the functions that use them."""
        p, phi = self.prefix, f"_phi_pieces({spelled})"
        order, q = (", ".join((head, *self.spelled.values())) for head in ("order, q", "q"))
        if not self.pieces[0].tails or self._is_one_place():
            pieces = "one_place" if self.pieces[0].tails else "pieces"
            call = f"{p}pieces_coefficients(order, {phi}.{pieces}(), q)"
            return [
                f"def _coefficients({order}):\n    return {call}",
                weakly(p, "_coefficients"),
            ]
        call = f"{p}tails_coefficients(order, {phi}, q)"
        return [
            f"def _coefficients({order}):\n    return {call}",
            f"def _size({q}):\n    return {p}tails_size({phi}, q)",
            weakly(p, "_coefficients", "_size"),
        ]

    def _pieces(self, item: Piecewise) -> str:
        """One function of x as data: places, polynomials, tails, masses."""
        source = partial(python, names=self.spelled, prefix=self.prefix)

        def row(texts: Iterable[str]) -> str:
            return tuple_of([source(text) for text in texts])

        tails = [
            f"({t.side}, {source(t.place)}, "
            + tuple_of([f"({source(c)}, {power}, {source(rate)})" for c, power, rate in t.rows])
            + ")"
            for t in item.tails
        ]
        parts = [
            ("places", row(item.places)),
            ("polynomials", tuple_of([row(p) for p in item.polynomials])),
            ("tails: side, place, rows (coefficient, power, rate)", tuple_of(tails)),
            ("masses", tuple_of([row(m) for m in item.masses])),
            ("dipoles", tuple_of([row(m) for m in item.dipoles])),
        ]
        while parts[-1][1] == "()":
            parts.pop()
        if item.places:
            parts.append(("orders of the derivatives that jump", f"orders={item.orders}"))
            parts.append(("1 even, -1 odd", f"parity={item.parity}"))
        inner = "".join(f"        # {what}\n        {text},\n" for what, text in parts)
        signature = ", ".join(self.spelled.values())
        head = f"def _{item.name}_pieces({signature}):\n    return {self.prefix}Piecewise(\n"
        return f"{head}{inner}    )"
