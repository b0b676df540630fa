"""What is known of the values between two layers before a number is computed: `Signal`."""

from __future__ import annotations

from dataclasses import dataclass

from dualc.errors import NetworkError


@dataclass(frozen=True)
class Signal:
    """The shape of the values that pass between two layers, and what their law is known to be.

    `shape` is spatial: () for vectors, (h, w) for images. `channels` is None where the network's
    width decides. `is_gaussian`: a centred Gaussian process in the limit of infinite width, which
    is what an activation needs. `is_fresh`: weights of its own were met since the last FanOut, so
    that it is uncorrelated with the other branches. `after` names the layer before, for errors.
    """

    shape: tuple[int, ...]
    channels: int | None
    is_gaussian: bool = False
    is_fresh: bool = False
    after: str = "the input"

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Signal:
        """The signal of inputs of that shape, channels last, samples not counted."""
        if not shape:
            raise NetworkError(
                "inputs need a last axis of channels, (n, d) or (n, h, w, c); got one number per "
                "sample.  Give x[:, None]"
            )
        if min(shape) < 1:
            raise NetworkError(f"an input of shape {shape} holds no number.")
        return cls(tuple(shape[:-1]), shape[-1])


Signals = Signal | tuple[Signal, ...]  # a tuple between FanOut and FanInSum


def one(signal: Signals, layer: str) -> Signal:
    """The signal itself; NetworkError where it is the branches of a FanOut."""
    if isinstance(signal, tuple):
        raise NetworkError(
            f"{layer} got the {len(signal)} branches of a FanOut.  Give each branch its layers by "
            "parallel(...) and join them with FanInSum()"
        )
    return signal


def branches(signal: Signals, layer: str) -> tuple[Signal, ...]:
    """The signals of the branches; NetworkError where there is only one."""
    if isinstance(signal, Signal):
        raise NetworkError(
            f"{layer} needs branches, after {signal.after} there is one: add FanOut(n)"
        )
    return signal


def standard_needs_width(layer: object, signal: Signal) -> str:
    """Why the NTK of a standard parametrisation cannot be had."""
    return (
        f'{type(layer).__name__}(parameterization="standard"): the NTK grows with the number of '
        f"channels that come in from {signal.after}.  Give the Dense or Conv before it a width="
    )
