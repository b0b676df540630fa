"""The text of functions with links anywhere: their terms as data, and the moments of their pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from dualc.emit.layout import ARGUMENTS, wrapped
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

    def names(self) -> tuple[str, ...]:
        """The functions that `bodies` defines, dual and its derivatives first."""
        dual = ("dual", "dual_dot", "dual_dq11", *(f"dual_d{name}" for name in self.spelled))
        return (*dual, *(f"dual_dot_d{name}" for name in self.slope_rates()))

    def slope_rates(self) -> tuple[str, ...]:
        """The arguments of dual_dot in which its derivatives are moments too, all or none."""
        has_third = any(item.name == "third" for item in self.links)
        return ("q12", "q11", *self.spelled) if has_third else ()

    def bodies(self) -> list[str]:
        """The terms as data, and the moments of their pairs."""
        pairs = {
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
        terms = [self._terms(item) for item in self.links]
        return [*terms, *(self._body(n, pairs[n], n in half) for n in self.names())]

    def hermite(self) -> str:
        """The body of hermite, of one slope if it is a mixture."""
        given = ", ".join(self.spelled.values())
        if self.is_mixture:
            name, order, given = "_coefficients_node", "order", f"{given}, slope".lstrip(", ")
            signature = f"order, q, {given}"
        else:
            name, order, signature = "_hermite", "ORDER", f"q, {given}".rstrip(", ")
        call = f"{self.prefix}links_hermite({order}, q, _phi_terms({given}))"
        return f"def {name}({signature}):\n    return {call}"

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
            link = f'"{t.kind}", {source(t.kappa)}, {source(t.tau)}, {t.zeta}'
            rows.append(
                f"        ({source(t.coefficient)}, {t.power}, {source(t.a)}, {source(t.b)}, {link}),\n"
            )
        signature = ", ".join(names.values())
        head = f"def _{item.name}_terms({signature}):"
        body = f"    return (\n{''.join(rows)}    )" if rows else "    return ()"
        return f"{head}\n{body}"
