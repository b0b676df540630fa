"""LaTeX of formulas."""

from __future__ import annotations

import pytest

from dualc.latex import latex


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("-x**2/2", r"-\frac{{x}^{2}}{2}"),
        ("exp(-(a + b)*x/2)", r"e^{-\frac{\left(a + b\right) \, x}{2}}"),
        ("(-a + b)/2", r"\frac{-a + b}{2}"),
        ("a - (-b)/c", r"a - \left(-\frac{b}{c}\right)"),
        ("omega*T(1, s)", r"\omega \, T\left(1, s\right)"),
        ("slope2*heaviside(-x)", r"s_{2} \, \mathbf{1}\left[x < 0\right]"),
        ("heaviside(-x - 1)", r"\mathbf{1}\left[-x - 1 > 0\right]"),
        ("a - (b - c)", r"a - \left(b - c\right)"),
        ("a*(-b)", r"a \, \left(-b\right)"),
        ("2*3", r"2 \cdot 3"),
        ("a/(b + 1)/c", r"\frac{a}{\left(b + 1\right) \, c}"),
        ("sqrt(q11*q22)*exp(gamma*(rho - 1))",
         r"\sqrt{q_{11} \, q_{22}} \, e^{\gamma \, \left(\rho - 1\right)}"),
        ("where(x > 0, x, alpha*x)",
         r"\begin{cases} x & x > 0 \\ \alpha \, x & \text{otherwise} \end{cases}"),
        ("where(x > 1, 1, where(x > 0, x, 0))",
         r"\begin{cases} 1 & x > 1 \\ x & x > 0 \\ 0 & \text{otherwise} \end{cases}"),
        ("2*expm1(x) - log1p(x)", r"2 \, \left(e^{x} - 1\right) - \log\left(1 + x\right)"),
        ("lambda1*x", r"\lambda_{1} \, x"),
        ("x == 1", r"\text{x == 1}"),
        ("E[max(u, 0)**2]", r"\mathbb{E}\left[{\max\left(u, 0\right)}^{2}\right]"),
        ("no formula", r"\text{no formula}"),
        ("50% of {a_1^2}", r"\text{50\% of \{a\_1\textasciicircum{}2\}}"),
    ],
)  # fmt: skip
def test_latex_keeps_the_structure(text: str, wanted: str) -> None:
    assert latex(text) == wanted
