"""An expectation under construction: coefficients gathered by what they are multiples of."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, NamedTuple

from dualc.derive.field import Element, Field, Polynomial


class Angle(NamedTuple):
    """What a pair of half-line links turns on: psi = atan2(sqrt(w delta), -c) and 1/sqrt(w).

    product = w delta + c**2, as a product of two variances.
    """

    w: Element
    delta: Element
    c: Element
    product: Element


class Anchored(NamedTuple):
    """E[f] E[g] plus what of a form is left when its value at q12 = 0 is taken off.

    Each mean is a sum of coefficient * exp(exponent), whose constants add up to 0 on one side at
    least.
    """

    left: tuple[tuple[Element, Element], ...]
    right: tuple[tuple[Element, Element], ...]
    rest: Form


@dataclass
class Form:
    """An expectation, gathered: dictionaries map what a coefficient multiplies to the coefficient.

    plain     radicand: several summands value / sqrt(radicand)
    odd       (w, c, radicand): atan2(c, sqrt(w)) / sqrt(radicand)
    tilted    (even, odd, imaginary, radicand): exp(even + odd + i imaginary) / sqrt(radicand)
    wedges    an angle: psi / sqrt(delta)
    orthants  (i, j, sign): E[max(u, 0)**i max(v, 0)**j], the covariance sign * q12
    powers    rows (m, left, right): q12**m left(q11) right(q22)
    centres   (even, odd): the means of u and v under that tilt, times delta and over b1, b2
    pulled    a tilt (a1, a2): a form in its tilted covariance
    """

    field: Field
    plain: dict[Polynomial, list[Element]] = dataclass_field(default_factory=dict)
    odd: dict[tuple[Element, Element, Polynomial], Element] = dataclass_field(default_factory=dict)
    tilted: dict[tuple[Element, Element, Element, Polynomial], Element] = dataclass_field(
        default_factory=dict
    )
    wedges: dict[Angle, Element] = dataclass_field(default_factory=dict)
    orthants: dict[tuple[int, int, int], Element] = dataclass_field(default_factory=dict)
    powers: list[tuple[int, Element, Element]] = dataclass_field(default_factory=list)
    centres: dict[tuple[Element, Element], tuple[Element, Element]] = dataclass_field(
        default_factory=dict
    )
    anchored: list[Anchored] = dataclass_field(default_factory=list)
    pulled: dict[tuple[Any, Any], Form] = dataclass_field(default_factory=dict)

    def add(self, under: Element, value: Element) -> None:
        """Add value / sqrt(under)."""
        if value != 0:
            outside, radicand = self.field.inverse_root(under)
            self.add_plain(radicand, value * outside)

    def add_plain(self, radicand: Polynomial, value: Element) -> None:
        """Add value / sqrt(radicand): over one denominator while the numerator stays short."""
        parts = self.plain.setdefault(radicand, [])
        if parts and self.field.is_short(parts[-1], value):
            together = self.field.normal(parts[-1] + value)
            if together == 0 or self.field.is_short(together):
                parts[-1] = together
                return
        parts.append(value)

    def add_odd(self, w: Element, c: Element, under: Element, value: Element) -> None:
        """Add value / sqrt(under) * atan2(c, sqrt(w))."""
        if value != 0:
            outside, radicand = self.field.inverse_root(under)
            increase(self.odd, (w, c, radicand), value * outside)

    def add_tilted(self, exponent: tuple[Element, ...], under: Element, value: Element) -> None:
        """Add value / sqrt(under) * exp(even + odd + i imaginary), as plain if that is 1."""
        if value != 0:
            outside, radicand = self.field.inverse_root(under)
            even, odd, imaginary = exponent
            if even == odd == imaginary == 0:
                self.add_plain(radicand, value * outside)
            else:
                increase(self.tilted, (even, odd, imaginary, radicand), value * outside)

    def add_wedge(self, angle: Angle, of_psi: Element, of_root: Element) -> None:
        """Add of_psi / sqrt(delta) * psi + of_root / sqrt(w)."""
        increase(self.wedges, angle, of_psi)
        self.add(angle.w, of_root)

    def join(self, other: Form) -> None:
        """Add another form of plain, tilted and power entries to this one."""
        for radicand, values in other.plain.items():
            for value in values:
                self.add_plain(radicand, value)
        for key, value in other.tilted.items():
            increase(self.tilted, key, value)
        self.powers += other.powers
        self.centres |= other.centres


def increase(table: dict[Any, Element], key: Any, value: Element) -> None:
    """Add a value to that of a key, which may be new."""
    table[key] = table[key] + value if key in table else value
