"""Layers, each read in three ways: exact kernels, random features, finite networks.

from dualc import layers as nn
net = nn.serial(nn.Dense(W_std=1.5, b_std=0.1), nn.Activation("gelu"), nn.Dense())
net.kernel(x1, x2)                 # .nngp .ntk, exact
net.features(key, p)(x)            # .nngp .ntk, p columns each
params = net.init(key, x.shape[1:], width); net.apply(params, x)
"""

from dualc.layers.activation import Activation
from dualc.layers.combine import FanInSum, FanOut, Parallel, Serial, parallel, serial
from dualc.layers.conv import Conv
from dualc.layers.dense import Dense
from dualc.layers.exact import Kernels
from dualc.layers.flatten import Flatten, Identity
from dualc.layers.layer import Layer
from dualc.layers.norm import LayerNorm
from dualc.layers.pool import AvgPool, GlobalAvgPool, SumPool
from dualc.layers.presets import fully_connected, myrtle, wide_resnet
from dualc.layers.sketch import Features

__all__ = [
    "Activation", "AvgPool", "Conv", "Dense", "FanInSum", "FanOut", "Features", "Flatten",
    "GlobalAvgPool", "Identity", "Kernels", "Layer", "LayerNorm", "Parallel", "Serial", "SumPool",
    "fully_connected", "myrtle", "parallel", "serial", "wide_resnet",
]  # fmt: skip
