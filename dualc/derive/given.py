"""Kernels given by their dual k(rho, q11, q22): its derivatives, by the chain rule."""

from __future__ import annotations

import sympy as sp

from dualc.derive import algebra
from dualc.ir import Activation, Formula, Term


def formulas(activation: Activation) -> tuple[Formula, ...]:
    """The dual k and its derivatives in q12, q11 and every parameter.

    dk/dq12 = k_rho / sqrt(q11 q22) and dk/dq11 = k_q11 - rho k_rho / (2 q11).
    """
    assert activation.dual is not None
    rho = sp.Symbol("rho", real=True)
    q11, q22 = sp.symbols("q11 q22", positive=True)
    symbols = {p.name: algebra.symbol(p.name, p.domain) for p in activation.parameters}
    k = algebra.value(activation.dual, {"rho": rho, "q11": q11, "q22": q22, **symbols})
    k_rho = sp.diff(k, rho)
    found = {
        "dual": k,
        "dual_dot": k_rho / sp.sqrt(q11 * q22),
        "dual_dq11": sp.diff(k, q11) - rho * k_rho / (2 * q11),
    }
    found |= {f"dual_d{name}": sp.diff(k, symbol) for name, symbol in symbols.items()}
    return tuple(
        Formula(name, (Term("1", "", "", "given", (algebra.text(sp.powsimp(sp.factor(x))),)),))
        for name, x in found.items()
    )
