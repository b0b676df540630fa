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
def needed(library: str, extra: str) -> Iterator[None]:
    """Around the imports of an adapter: MissingLibrary where the library is not installed.

    Anything else that goes wrong in an import is the library's own, and stays as it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != library:
            raise
        message = f"dualc.adapters.{library} needs {library}.  Run: pip install 'dualc[{extra}]'"
        raise MissingLibrary(message, name=library) from None
