"""Kernels and activations inside other libraries: one module for each, imported only when asked.

dualc.adapters.sklearn           DualKernelRidge, NeuralKernelFeatures, DualKernel
dualc.adapters.tinygp            DualKernel
dualc.adapters.gpjax             DualKernel
dualc.adapters.neural_tangents   elementwise
dualc.adapters.equinox           Activation
dualc.adapters.flax              Activation

Each is an extra of the package: pip install 'dualc[sklearn]'.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dualc.errors import MissingLibrary


@contextmanager
def needed(extra: str) -> Iterator[None]:
    """Around the imports of a library: MissingLibrary where a module is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "a module").split(".")[0]
        message = f"{library} is not installed.  Run: pip install 'dualc[{extra}]'"
        raise MissingLibrary(message, name=library) from None
