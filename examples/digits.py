"""Features of a convolutional NTK on scikit-learn's digits, and ridge regression on them.

    python examples/digits.py [--columns 512] [--images 1500]

The network: two convolutions with normalised-Gaussian activations, pooling, and a dense readout; as
random features, since an exact entry of such a kernel costs as much as many features.
"""

from __future__ import annotations

import argparse
import time

import jax
import numpy as np
from sklearn.datasets import load_digits

from dualc import layers as nn
from dualc.regression import stream_ridge


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--columns", type=int, default=512)
    parser.add_argument("--images", type=int, default=1500)
    args = parser.parse_args()

    images, labels = load_digits(return_X_y=True)
    x = (images.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(x))
    x, labels = x[order], labels[order]
    train, test = slice(0, args.images), slice(1500, None)

    phi = nn.Activation("normalised_gaussian")
    net = nn.serial(
        nn.Conv((3, 3)), phi, nn.AvgPool((2, 2), (2, 2)),
        nn.Conv((3, 3)), phi, nn.GlobalAvgPool(), nn.Dense(),
    )  # fmt: skip
    features = net.features(jax.random.key(0), args.columns)
    start = time.perf_counter()
    path = stream_ridge(features, (x[train], labels[train]), kernel="ntk", labels=True)
    print(f"{args.images} images, {args.columns} columns: {time.perf_counter() - start:.1f} s")
    print(f"lambda {path.chosen_lambda:.2g}, chosen on held-out images")
    print(f"accuracy on {len(x[test])} others: {path.accuracy((x[test], labels[test])):.3f}")


if __name__ == "__main__":
    main()
