"""Myrtle-5's NTK on CIFAR-10 by random features and ridge: accuracy, and images per second.

    python benchmarks/cifar.py --data DIR [--minutes 10] [--train 50000] [--test 1000]
        [--features 1024] [--activation normalised_gaussian] [--batch 50]

DIR/cifar10_jpeg.tar.xz holds train|test/CLASS/NNNN.jpg, 32 x 32 RGB. These are JPEG files with
chroma subsampling: accuracies are not strictly comparable with published ones, which are of the
lossless images. Needs Pillow. The first images of every class are taken, in a fixed random order,
as many as the minutes allow; channels are standardised, lambda is chosen by a tenth of the training
images. A row at every doubling of the images, as it is found. Compilation is timed apart, reading
the files and testing are not timed; the minutes are those of training features.
"""

from __future__ import annotations

import argparse
import io
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from printed import Table

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


def standardised(
    read: dict[str, tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images in a fixed random order, with labels, and test images with theirs."""
    (x, y), (x_test, y_test) = read["train"], read["test"]
    mean, deviation = x.mean((0, 1, 2)), x.std((0, 1, 2))
    order = np.random.RandomState(0).permutation(len(x))
    return ((x - mean) / deviation)[order], y[order], (x_test - mean) / deviation, y_test


def in_batches(
    features: Callable[[Any], Any], x: np.ndarray, batch: int, seconds: float
) -> Iterator[tuple[np.ndarray, float]]:
    """The features of one batch after the other, and the time since the first, until it is up."""
    start = time.perf_counter()
    for i in range(0, len(x) - batch + 1, batch):
        yield np.asarray(features(jnp.asarray(x[i : i + batch])).ntk), time.perf_counter() - start
        if time.perf_counter() - start > seconds:
            return


def ridge(
    z: np.ndarray, y: np.ndarray, z_test: np.ndarray, y_test: np.ndarray
) -> dict[str, float | int]:
    """Accuracy on the test images of the ridge on features z, its lambda, and its seconds."""
    start = time.perf_counter()
    lambdas = [10.0**k for k in range(-6, 3)]
    model = stream_ridge(
        None, (z, y), lambdas=lambdas, labels=True, classes=sorted(set(y)), progress=False
    )
    seconds = time.perf_counter() - start
    accuracy = model.accuracy([(z_test, y_test)])
    return {"accuracy": accuracy, "lambda": model.chosen_lambda, "ridge_s": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--train", type=int, default=50_000)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--features", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--activation", default="normalised_gaussian")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    wanted = {"train": options.train, "test": options.test}
    x, y, x_test, y_test = standardised(images(options.data / "cifar10_jpeg.tar.xz", wanted))
    net, p, batch = nn.myrtle(5, options.activation), options.features, options.batch
    features = net.features(jax.random.key(0), p, method="direct", get="ntk")
    start = time.perf_counter()
    jax.block_until_ready(features(jnp.asarray(x[:batch])))
    compiled = time.perf_counter() - start
    z_test = np.concatenate([z for z, _ in in_batches(features, x_test, batch, np.inf)])
    columns = {
        "images": "{images}", "accuracy": "{accuracy:.1%}", "features, s": "{features_s:.0f}",
        "ridge, s": "{ridge_s:.1f}", "images/s, both": "{per_s:.1f}", "lambda": "{lambda:g}",
    }  # fmt: skip
    title = (
        f"Myrtle-5 NTK, {options.activation}, p = {p}, {len(z_test)} test images (JPEG), "
        f"compiled in {compiled:.0f} s"
    )
    table, parts, next_row = Table(title, columns, as_json=options.json), [], 1000
    for part, seconds in in_batches(features, x, batch, 60 * options.minutes):
        parts.append(part)
        count = len(parts) * batch
        is_last = count + batch > len(x) or seconds > 60 * options.minutes
        if count >= next_row or is_last:
            next_row = 2 * count
            found = ridge(np.concatenate(parts), y[:count], z_test, y_test[: len(z_test)])
            per_s = count / (seconds + found["ridge_s"])
            table.show({"images": count, "features_s": seconds, "per_s": per_s} | found)


if __name__ == "__main__":
    main()
