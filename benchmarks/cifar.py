"""Myrtle-5's NTK on CIFAR-10 by random features and ridge: accuracy, and images per second.

    python benchmarks/cifar.py --data DIR [--train 2000] [--test 1000] [--features 1024]
                               [--activation normalised_gaussian] [--batch 50]

DIR/cifar10_jpeg.tar.xz holds train|test/CLASS/NNNN.jpg, 32 x 32 RGB. These are JPEG files with
chroma subsampling: accuracies are not strictly comparable with published ones, which are of the
lossless images. Needs Pillow. The first images of every class are taken, channels are standardised,
lambda is chosen by a tenth of the training images. Compilation is timed apart.
"""

from __future__ import annotations

import argparse
import io
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from rich.console import Console

from dualc import layers as nn
from dualc.regression import stream_ridge


def images(archive: Path, wanted: dict[str, int]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The first images of every class, pixels between 0 and 1, and their labels, by split."""
    found: dict[str, list[np.ndarray]] = {split: [] for split in wanted}
    labels: dict[str, list[str]] = {split: [] for split in wanted}
    counts: Counter[tuple[str, str]] = Counter()
    with tarfile.open(archive, "r|xz") as tar:
        for member in tar:
            parts = Path(member.name).parts[-3:]
            if not member.isfile() or len(parts) < 3 or parts[0] not in wanted:
                continue
            split, label = parts[0], parts[1]
            if counts[split, label] >= wanted[split] // 10:
                continue
            counts[split, label] += 1
            data = tar.extractfile(member)
            assert data is not None
            found[split].append(np.asarray(Image.open(io.BytesIO(data.read())), np.float32) / 255)
            labels[split].append(label)
            if all(len(found[split]) >= wanted[split] // 10 * 10 for split in wanted):
                break
    return {split: (np.stack(found[split]), np.array(labels[split])) for split in wanted}


def shuffled(x: np.ndarray, y: np.ndarray, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of a fixed permutation."""
    order = np.random.RandomState(0).permutation(len(x))
    for i in range(0, len(x), batch):
        yield x[order[i : i + batch]], y[order[i : i + batch]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--features", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--activation", default="normalised_gaussian")
    options = parser.parse_args()
    console = Console()
    read = images(
        options.data / "cifar10_jpeg.tar.xz", {"train": options.train, "test": options.test}
    )
    x, y = read["train"]
    mean, deviation = x.mean((0, 1, 2)), x.std((0, 1, 2))
    x, x_test = (x - mean) / deviation, (read["test"][0] - mean) / deviation
    net = nn.myrtle(5, options.activation)
    features = net.features(jax.random.key(0), options.features, method="direct", get="ntk")
    start = time.perf_counter()
    jax.block_until_ready(features(jnp.asarray(x[: options.batch])))
    compiled = time.perf_counter() - start
    start = time.perf_counter()
    model = stream_ridge(
        features,
        shuffled(x, y, options.batch),
        kernel="ntk",
        lambdas=[10.0**k for k in range(-6, 3)],
        labels=True,
        classes=sorted(set(y)),
        block=options.batch,
    )
    seconds = time.perf_counter() - start
    accuracy = model.accuracy([(x_test, read["test"][1])])
    console.print(
        f"Myrtle-5 NTK, {options.activation}, p = {options.features}, {len(x)} training and "
        f"{len(x_test)} test images (JPEG): accuracy {accuracy:.1%}, {len(x) / seconds:.1f} images "
        f"per second with ridge, lambda {model.chosen_lambda:g}, compiled in {compiled:.0f} s"
    )


if __name__ == "__main__":
    main()
