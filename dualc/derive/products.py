"""Functions with two links in a product, as Phi(x)^2: derivatives until one link is left.

E[f(u) g(v)] has the derivative E[f'(u) g'(v)] in the covariance (Price), so that the moment is a
Taylor polynomial of means and an integral of the moment of derivatives. Each derivative turns one
link of a product into a density, an exponential: after one of Phi(x)^2, after two of x Phi(x)^2,
there are single links, whose moments the support code has.
"""

from __future__ import annotations

from collections.abc import Mapping

from dualc.derive import algebra, atoms
from dualc.derive.algebra import Constant
from dualc.derive.atoms import Key, Link, Sum, add, constant, multiply
from dualc.derive.links import smooth_terms
from dualc.errors import NoClosedForm
from dualc.ir import Activation, Linked, LinkTerm

_NAMES = ("phi", "slope", "second", "third", "fourth")
_MOST = 2  # integrals
_HALF = algebra.ONE / 2


def products(activation: Activation) -> tuple[Linked, ...]:
    """The function phi and its derivatives, to two beyond the first with single links.

    Raises NoClosedForm where there are no products of links, or too many derivatives.
    """
    levels, defaults = [_read(activation)], atoms.defaults(activation)
    while any(key.second for key in levels[-1]):
        if len(levels) > _MOST:
            raise NoClosedForm("a product of two links times a power above x")
        levels.append(_derivative(levels[-1]))
    for _ in range(2):  # what the derivative in a variance asks for
        levels.append(_derivative(levels[-1]))
    named = zip(_NAMES, levels, strict=False)
    return tuple(Linked(name, tuple(_terms(level, defaults))) for name, level in named)


def _read(activation: Activation) -> Sum:
    """The atoms of a function without kinks, some of them with two links."""
    _, branches = atoms.intervals(activation)
    phi = branches[0]
    if any(branch != phi for branch in branches):
        raise NoClosedForm("a kink beside a product of links")
    if not any(key.second for key in phi):
        raise NoClosedForm("no product of links")
    if any(algebra.complex_parts(key.b)[1] != 0 for key in phi):
        raise NoClosedForm("a link beside a sine or cosine: a normal CDF of a complex argument")
    if any(key.b != 0 and key.link for key in phi):
        raise NoClosedForm("a link times an exponential")
    return phi


def _derivative(terms: Sum) -> Sum:
    """The derivative, densities as exponentials."""
    total = atoms.with_links_held(terms)
    for key, row in terms.items():
        for link, other in ((key.link, key.second), (key.second, key.link)):
            if link is not None:
                density = multiply({Key(key.a, key.b, other): dict(row)}, _density(link))
                total = add(total, density)
    return total


def _density(link: Link) -> Sum:
    """The sum kappa Phi'(kappa x + tau)."""
    kappa, tau = link.kappa, link.tau
    height = kappa * algebra.exp(-(tau**2) / 2) / algebra.sqrt(2 * algebra.PI)
    key = Key(algebra.tidy(-(kappa**2) / 2), algebra.tidy(-kappa * tau), None)
    return {key: {0: height}}


def _terms(f: Sum, defaults: Mapping[Constant, Constant]) -> list[LinkTerm]:
    """Phi1 Phi2 = (Phi1 - 1/2) (Phi2 - 1/2) + (Phi1 + Phi2)/2 - 1/4: what is odd stays so."""
    single = {key: dict(row) for key, row in f.items() if key.second is None}
    out = []
    for key, row in f.items():
        if key.link is None or key.second is None:
            continue
        bare = Key(key.a, key.b, None)
        for link in (key.link, key.second):
            single = add(single, multiply({bare: dict(row)}, atoms.step(link)), _HALF)
        single = add(single, multiply({bare: dict(row)}, constant(-(_HALF**2))))
        a, b, kappa, tau = map(algebra.text, (key.a, key.b, key.link.kappa, key.link.tau))
        second = algebra.text(key.second.kappa), algebra.text(key.second.tau)
        out += [
            LinkTerm(algebra.text(c), i, a, b, "both", kappa, tau, 1, *second)
            for i, c in row.items()
        ]
    return [*out, *smooth_terms(single, defaults)]
