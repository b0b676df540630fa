"""The packaged kernels: `from dualc.generated import gelu`."""

from dualc.paths import GENERATED

__path__ = [str(GENERATED)]
