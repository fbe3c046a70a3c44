"""How a linear layer hands the relevance of its outputs to its inputs: one small class per rule of the LRP family.

All are written in contributions c_ij = a_i w_ij of input i to output j, so they hold for inputs of either sign; for
non-negative inputs they are the formulas of the papers, where the sign of w decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from attribeval import _tf as tf
from attribeval.models.propagation.graph import pullback, replay

Part = Literal["all", "+", "-"]
TINY = 1e-20


@dataclass(frozen=True)
class Linear:
    """A layer y = Σ_i a_i w_i + bias, on which a rule works.

    Attributes:
        op: Its operation.
        inputs: All inputs of the operation, float32 or float64.
        data: Positions of the data a.
        weights: Position of the weights, or None if all weights are positive constants (sums, averages).
        bias: What is added, (1, …, channels), or None.
        output: y, with its bias.
        non_negative: Whether no value of a can be negative.
        rectified: Whether only ReLUs read y, so that negative outputs carry no relevance.
        rms: The root mean square of each image's y, in a shape that goes with it.
    """

    op: Any
    inputs: tuple[Any, ...]
    data: tuple[int, ...]
    weights: int | None
    bias: Any
    output: Any
    non_negative: bool
    rectified: bool
    rms: Any

    @property
    def values(self) -> list[Any]:
        return [self.inputs[k] for k in self.data]

    def _with(self, values: Sequence[Any], part: Part) -> list[Any]:
        inputs = list(self.inputs)
        for k, value in zip(self.data, values, strict=True):
            inputs[k] = value
        if self.weights is not None and part != "all":
            clip = tf.maximum if part == "+" else tf.minimum
            inputs[self.weights] = clip(inputs[self.weights], 0.0)
        return inputs

    def apply(self, values: Sequence[Any], part: Part = "all") -> Any:
        """Σ_i values_i w_i with all weights, the positive ones or the negative ones; without bias."""
        if self.weights is None and part == "-":
            return tf.zeros_like(self.output)
        return replay(self.op, self._with(values, part))[0]

    def pull(self, share: Any, part: Part = "all") -> list[Any]:
        """Σ_j w_ij share_j for every input, with all weights, the positive ones or the negative ones."""
        if self.weights is None and part == "-":
            return [tf.zeros_like(value) for value in self.values]
        return pullback(self.op, self._with(self.values, part), self.data, [share])

    def _halves(self, sign: Part) -> list[tuple[list[Any], Part]]:
        """Inputs and weights whose products have this sign."""
        other: Part = "-" if sign == "+" else "+"
        if self.non_negative:
            return [(self.values, sign)]
        positive = [tf.maximum(value, 0.0) for value in self.values]
        negative = [tf.minimum(value, 0.0) for value in self.values]
        return [(positive, sign), (negative, other)]

    def signed(self, sign: Part) -> Any:
        """z⁺ or z⁻: the sum of the contributions of one sign, without bias."""
        return _sum(self.apply(values, part) for values, part in self._halves(sign))

    def give(self, share: Any, sign: Part) -> list[Any]:
        """Σ_j (c_ij of one sign) share_j for every input."""
        given = [
            [value * p for value, p in zip(values, self.pull(share, part), strict=True)]
            for values, part in self._halves(sign)
        ]
        return [_sum(parts) for parts in zip(*given, strict=True)]

    def bias_part(self, clip: Callable) -> Any:
        return 0.0 if self.bias is None else clip(self.bias, 0.0)


def _sum(parts: Any) -> Any:
    total, *rest = parts
    for part in rest:
        total = total + part
    return total


def ratio(relevance: Any, z: Any) -> Any:
    """R / z; 0 where z is 0: an output without contributions has nobody to give relevance to."""
    defined = tf.abs(z) > TINY
    return tf.where(defined, relevance / tf.where(defined, z, tf.ones_like(z)), tf.zeros_like(z))


@dataclass(frozen=True)
class Epsilon:
    """R_i = Σ_j c_ij R_j / (z_j + ε sign z_j) (Bach et al. 2015, equation 58).

    Attributes:
        epsilon: ε as a fraction of each image's root mean square of z (Montavon et al. 2019, section 10.3: 0.25).
    """

    epsilon: float

    def __call__(self, layer: Linear, relevance: Any) -> list[Any]:
        z = layer.output
        sign = tf.where(z >= 0, tf.ones_like(z), -tf.ones_like(z))
        pulled = layer.pull(ratio(relevance, z + self.epsilon * layer.rms * sign))
        return [value * p for value, p in zip(layer.values, pulled, strict=True)]


@dataclass(frozen=True)
class Gamma:
    """R_i = Σ_j (c_ij + γ c⁺_ij) R_j / Σ_i (c_ij + γ c⁺_ij) (Montavon et al. 2019, section 10.2.3); c⁻ where z_j < 0.

    Favouring the contributions that have the sign of the output keeps the denominator at least as large as |z_j|.
    """

    gamma: float

    def __call__(self, layer: Linear, relevance: Any) -> list[Any]:
        z = layer.output
        positive = layer.signed("+") + layer.bias_part(tf.maximum)
        up = tf.where(z >= 0, ratio(relevance, z + self.gamma * positive), tf.zeros_like(z))
        if layer.rectified:
            pulled, favoured = layer.pull(up), [layer.give(up, "+")]
        else:
            down = ratio(relevance, z + self.gamma * (z - positive))
            down = tf.where(z < 0, down, tf.zeros_like(z))
            pulled, favoured = layer.pull(up + down), [layer.give(up, "+"), layer.give(down, "-")]
        return [
            value * p + self.gamma * _sum(extra)
            for value, p, *extra in zip(layer.values, pulled, *favoured, strict=True)
        ]


@dataclass(frozen=True)
class AlphaBeta:
    """R_i = Σ_j (α c⁺_ij / z⁺_j − β c⁻_ij / z⁻_j) R_j with α − β = 1 (Bach et al. 2015, equation 60).

    An output whose contributions all have one sign gives all its relevance to them, so that no sum, average or layer
    without inhibition multiplies relevance by α. With α = 1 and no bias it is the z⁺ rule of deep Taylor decomposition
    (Montavon et al. 2017, equation 14), where outputs without positive contributions lose their relevance.

    Attributes:
        alpha, beta: Weights of the positive and negative contributions.
        bias: Whether the bias takes its share, which is then lost.
    """

    alpha: float
    beta: float
    bias: bool = True

    def __call__(self, layer: Linear, relevance: Any) -> list[Any]:
        up = self._total(layer, "+", tf.maximum)
        if not self.beta:
            return layer.give(self.alpha * ratio(relevance, up), "+")
        down = self._total(layer, "-", tf.minimum)
        only_up, only_down = tf.abs(down) <= TINY, tf.abs(up) <= TINY
        share_up = relevance * tf.where(only_up, tf.ones_like(up), self.alpha * tf.ones_like(up))
        share_down = relevance * tf.where(only_down, tf.ones_like(up), -self.beta * tf.ones_like(up))
        given = zip(layer.give(ratio(share_up, up), "+"), layer.give(ratio(share_down, down), "-"), strict=True)
        return [a + b for a, b in given]

    def _total(self, layer: Linear, sign: Part, clip: Callable) -> Any:
        return layer.signed(sign) + (layer.bias_part(clip) if self.bias else 0.0)


@dataclass(frozen=True)
class Excitation:
    """Marginal winning probability: P_i = Σ_j a⁺_i w⁺_ij P_j / Σ_i a⁺_i w⁺_ij (Zhang et al. 2016, equations 1 to 4).

    Attributes:
        inhibitory: With the weights negated: the probability that i wins for "not j" (section 3.3, dual units).
    """

    inhibitory: bool = False

    def __call__(self, layer: Linear, relevance: Any) -> list[Any]:
        part: Part = "-" if self.inhibitory else "+"
        excited = [tf.maximum(value, 0.0) for value in layer.values]
        pulled = layer.pull(ratio(relevance, layer.apply(excited, part)), part)  # the two minus signs cancel
        return [value * p for value, p in zip(excited, pulled, strict=True)]


@dataclass(frozen=True)
class Contrast:
    """Excitation minus inhibition of the same output (Zhang et al. 2016, section 3.3, contrastive)."""

    def __call__(self, layer: Linear, relevance: Any) -> list[Any]:
        pairs = zip(Excitation()(layer, relevance), Excitation(inhibitory=True)(layer, relevance), strict=True)
        return [excited - inhibited for excited, inhibited in pairs]


@dataclass(frozen=True)
class Bounded:
    """z^B: R_i = Σ_j (c_ij − l_i w⁺_ij − h_i w⁻_ij) R_j / Σ_i (…) (Montavon et al. 2017, equation 16), for pixels.

    Attributes:
        low, high: The smallest and largest value that each input can have, in the shape of the layer's input.
    """

    low: Any
    high: Any

    def __call__(self, layer: Linear, relevance: Any) -> list[Any]:
        (value,) = layer.values
        ends: list[tuple[Any, Part, float]] = [(value, "all", 1.0), (self.low, "+", -1.0), (self.high, "-", -1.0)]
        share = ratio(relevance, _sum(sign * layer.apply([end], part) for end, part, sign in ends))
        return [_sum(sign * end * layer.pull(share, part)[0] for end, part, sign in ends)]


Rule = Epsilon | Gamma | AlphaBeta | Excitation | Contrast | Bounded
