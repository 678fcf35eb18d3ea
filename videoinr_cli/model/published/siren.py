"""SIREN, the network that the decoder evaluates at every point (Sitzmann et al., NeurIPS 2020).

It is evaluated in two parts: the first layer is linear in features, which can be projected before they are
sampled, so the caller sums that layer up and `finish` computes the rest.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

from torch import Tensor, nn

from videoinr_cli.model.convolution import dense


@dataclasses.dataclass(frozen=True)
class FoldedSiren:
    """A network's weights with the frequency multiplied in, so that a hidden layer is sin(Wx + b)."""

    first: Tensor  # (hidden, inputs)
    bias: Tensor  # (hidden,)
    rest: tuple[tuple[Tensor, Tensor], ...]  # weights (outputs, inputs) and biases of the other layers

    def finish(self, first_sum: Tensor) -> Tensor:
        """Apply everything after the first layer's sum.

        Args:
            first_sum: (B, h, w, hidden) float32, the first layer's Wx + b; overwritten.

        Returns:
            (B, h, w, outputs) float32.
        """
        x = first_sum
        for weight, bias in self.rest:
            x = dense(x.sin_(), weight, bias)
        return x


class Siren(nn.Module):
    """Fully connected layers with sines between them: sin(frequency (Wx + b))."""

    def __init__(self, inputs: int, hidden: list[int], outputs: int, frequency: float) -> None:
        super().__init__()
        self.frequency = frequency
        widths = [inputs, *hidden, outputs]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(widths))
        for number, layer in enumerate(self.layers):  # Sitzmann et al., section 3.2
            bound = 1 / widths[number] if number == 0 else math.sqrt(6 / widths[number]) / frequency
            nn.init.uniform_(layer.weight, -bound, bound)  # type: ignore[arg-type]

    def folded(self) -> FoldedSiren:
        """Multiply the frequency into the hidden layers' weights; cheap, so it is done for every pair."""
        *hidden, last = [(layer.weight, layer.bias) for layer in self.layers]
        scaled = [(weight * self.frequency, bias * self.frequency) for weight, bias in hidden]  # type: ignore[operator]
        (first, bias), *rest = scaled
        return FoldedSiren(first, bias, (*rest, last))  # type: ignore[arg-type]
