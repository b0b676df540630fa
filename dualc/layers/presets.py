"""Networks that the literature compares kernels on."""

from __future__ import annotations

from typing import Any

from dualc.errors import NetworkError
from dualc.layers.activation import Activation
from dualc.layers.combine import FanInSum, FanOut, Serial, parallel, serial
from dualc.layers.conv import Conv
from dualc.layers.dense import Dense
from dualc.layers.flatten import Identity
from dualc.layers.pool import AvgPool, GlobalAvgPool
from dualc.runtime.kernel import Kernel

_MYRTLE = {5: (2, 1, 1), 7: (2, 2, 2), 10: (3, 3, 3)}  # convolutions before each pool


def fully_connected(
    activation: str | Kernel, depth: int, *, W_std: Any = 1.0, b_std: Any = None
) -> Serial:
    """`depth` times (Dense, activation), then Dense."""
    if not isinstance(depth, int) or depth < 1:
        raise NetworkError(f"fully_connected: depth is a positive integer, not {depth!r}")
    dense, phi = Dense(W_std, b_std), Activation(activation)
    return serial(*(dense, phi) * depth, dense)


def myrtle(depth: int, activation: str | Kernel, *, W_std: Any = 1.0, b_std: Any = None) -> Serial:
    """Myrtle-5, 7 or 10: 3x3 convolutions in three groups, each ended by a mean over 2x2.

    The last pool is over all positions that are left. Shankar, Fang, Guo, Fridovich-Keil, Schmidt,
    Ragan-Kelley, Recht, "Neural Kernels Without Tangents" (2020).
    """
    if depth not in _MYRTLE:
        raise NetworkError(f"myrtle: depth is one of {', '.join(map(str, _MYRTLE))}, not {depth!r}")
    conv, phi = Conv((3, 3), W_std=W_std, b_std=b_std), Activation(activation)
    first, second, third = ((conv, phi) * count for count in _MYRTLE[depth])
    pool = AvgPool((2, 2), (2, 2))
    return serial(*first, pool, *second, pool, *third, GlobalAvgPool(), Dense(W_std, b_std))


def wide_resnet(
    activation: str | Kernel, blocks: int = 1, *, W_std: Any = 1.0, b_std: Any = None
) -> Serial:
    """A small wide residual network: a convolution, three groups of `blocks`, a global mean, Dense.

    A block adds Conv(phi(Conv(phi(x)))) to x, or to a strided convolution of phi(x) where a group
    begins; the second and third group halve the image. Zagoruyko, Komodakis, "Wide Residual
    Networks" (2016), without normalisation.
    """
    if not isinstance(blocks, int) or blocks < 1:
        raise NetworkError(f"wide_resnet: blocks is a positive integer, not {blocks!r}")
    phi = Activation(activation)

    def conv(stride: int = 1) -> Conv:
        return Conv((3, 3), (stride, stride), W_std=W_std, b_std=b_std)

    def block(shortcut: Serial | Identity, stride: int = 1) -> Serial:
        branch = serial(phi, conv(stride), phi, conv())
        return serial(FanOut(2), parallel(branch, shortcut), FanInSum())

    groups = [
        part
        for stride in (1, 2, 2)
        for part in (block(serial(phi, conv(stride)), stride), *[block(Identity())] * (blocks - 1))
    ]
    return serial(conv(), *groups, phi, GlobalAvgPool(), Dense(W_std, b_std))
