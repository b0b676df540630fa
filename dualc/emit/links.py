"""The text of functions with links anywhere: their terms as data, the moments of their pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from dualc.emit.layout import ARGUMENTS, tuple_of, wrapped
from dualc.emit.source import python
from dualc.ir import Linked


@dataclass(frozen=True)
class LinksPrinter:
    """The functions of an entry, its parameters and their spelling, and what bodies call D.

    The functions of a mixture take a slope besides, and bodies are those of a pair of slopes.
    """

    links: tuple[Linked, ...]
    spelled: Mapping[str, str]
    prefix: str
    d: str
    is_mixture: bool

    def integrals(self) -> int:
        """How often the moments of products of links are integrated over the covariance."""
        return sum(any(t.kind == "both" for t in item.terms) for item in self.links)

    def names(self) -> tuple[str, ...]:
        """The functions that `bodies` defines, dual and its derivatives first."""
        dual = ("dual", "dual_dot", "dual_dq11", *(f"dual_d{name}" for name in self.spelled))
        return (*dual, *(f"dual_dot_d{name}" for name in self.slope_rates()))

    def slope_rates(self) -> tuple[str, ...]:
        """The arguments of dual_dot in which its derivatives are moments too, all or none."""
        has_third = any(item.name == "third" for item in self.links) or self.integrals() > 0
        return ("q12", "q11", *self.spelled) if has_third else ()

    def bodies(self) -> list[str]:
        """The terms as data, and the moments of their pairs."""
        terms = [self._terms(item) for item in self.links]
        if self.integrals():
            return [*terms, *self._integral_bodies()]
        pairs: dict[str, tuple[tuple[str, str], ...]] = {
            "dual": (("phi", "phi"),),
            "dual_dot": (("slope", "slope"),),
            "dual_dq11": (("second", "phi"),),
            "dual_dot_dq12": (("second", "second"),),
            "dual_dot_dq11": (("third", "slope"),),
        }
        for name in self.spelled:
            pairs[f"dual_d{name}"] = ((f"d{name}", "phi"), ("phi", f"d{name}"))
            of_slope = f"slope_d{name}"
            pairs[f"dual_dot_d{name}"] = ((of_slope, "slope"), ("slope", of_slope))
        half = {"dual_dq11", "dual_dot_dq11"}
        return [*terms, *(self._body(n, pairs[n], n in half) for n in self.names())]

    def hermite(self) -> str:
        """The body of hermite, of one slope if it is a mixture."""
        given = ", ".join(self.spelled.values())
        if self.is_mixture:
            name, order, given = "_coefficients_node", "order", f"{given}, slope".lstrip(", ")
            signature = f"order, q, {given}"
        else:
            name, order, signature = "_hermite", "ORDER", f"q, {given}".rstrip(", ")
        used = self.links[: self.integrals() + 1]
        data = tuple_of([f"_{item.name}_terms({given})" for item in used])
        call = f"{self.prefix}links_hermite({order}, q, {data})"
        return f"def {name}({signature}):\n    return {call}"

    def _integral_bodies(self) -> list[str]:
        """Moments of products of links: of derivatives, from those of these orders on."""
        orders = {
            "dual": (0, 0),
            "dual_dot": (1, 1),
            "dual_dq11": (2, 0),
            "dual_dot_dq12": (2, 2),
            "dual_dot_dq11": (3, 1),
        }
        out = [self._integral(name, *first) for name, first in orders.items()]
        for index, name in enumerate(self.spelled):
            for function in ("dual", "dual_dot"):
                rate = f"{self.prefix}in_parameter(_{function}, {index})"
                out.append(f"_{function}_d{name} = {rate}")
        return out

    def _integral(self, name: str, left: int, right: int) -> str:
        parameters = ", ".join(self.spelled.values())
        integrals = max(self.integrals() - min(left, right), 0)
        data = [
            tuple_of(
                [f"_{item.name}_terms({parameters})" for item in self.links[k:][: integrals + 1]]
            )
            for k in (left, right)
        ]
        given = ", ".join((*ARGUMENTS, self.d))
        call = f"{self.prefix}links_integral({', '.join(data)}, {given})"
        call += "/2" if left != right else ""
        signature = ", ".join((given, *self.spelled.values()))
        return f"def _{name}({signature}):\n" + wrapped("return ", call)

    def _body(self, name: str, pairs: tuple[tuple[str, str], ...], is_half: bool) -> str:
        slopes = ("slope1", "slope2") if self.is_mixture else ()
        given = ", ".join((*ARGUMENTS, self.d))
        calls = []
        for pair in pairs:
            data = [
                f"_{function}_terms({', '.join((*self.spelled.values(), *slopes[i : i + 1]))})"
                for i, function in enumerate(pair)
            ]
            calls.append(f"{self.prefix}links_moment({', '.join(data)}, {given})")
        value = " + ".join(calls) + ("/2" if is_half else "")
        signature = ", ".join((given, *self.spelled.values(), *slopes))
        suffix = "_pair" if self.is_mixture else ""
        return f"def _{name}{suffix}({signature}):\n" + wrapped("return ", value)

    def _terms(self, item: Linked) -> str:
        """One function of x as data."""
        slopes = ("slope",) if self.is_mixture else ()
        names = dict(self.spelled) | {name: name for name in slopes}
        source = partial(python, names=names, prefix=self.prefix)
        rows = []
        for t in item.terms:
            own = f"{source(t.coefficient)}, {t.power}, {source(t.a)}, {source(t.b)}"
            link = f'"{t.kind}", {source(t.kappa)}, {source(t.tau)}, {t.zeta}'
            if t.kind == "both":
                link += f", {source(t.kappa2)}, {source(t.tau2)}"
            rows.append(f"        ({own}, {link}),\n")
        signature = ", ".join(names.values())
        head = f"def _{item.name}_terms({signature}):"
        body = f"    return (\n{''.join(rows)}    )" if rows else "    return ()"
        return f"{head}\n{body}"
