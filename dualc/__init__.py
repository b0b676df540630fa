"""dualc: a compiler from activation functions to certified JAX dual kernels.

    k = dualc.load("gelu")                                       # a packaged kernel, or a path
    k = dualc.compile_activation("x*tanh(log(1+exp(x)))", name="mymish", order=32)
    k.dual(q12, q11, q22), k.dual_dot(q12, q11, q22)

Importing the package costs nothing: what a name needs is imported when the name is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualc.compiler import Compiled as Compiled
    from dualc.compiler import compile_activation as compile_activation
    from dualc.errors import DualcError as DualcError
    from dualc.runtime.kernel import Kernel as Kernel
    from dualc.runtime.kernel import load as load

__version__ = "0.1.0"

_HOME = {
    "Compiled": "dualc.compiler",
    "DualcError": "dualc.errors",
    "Kernel": "dualc.runtime.kernel",
    "compile_activation": "dualc.compiler",
    "load": "dualc.runtime.kernel",
}

__all__ = ["Compiled", "DualcError", "Kernel", "compile_activation", "load"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'dualc' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
