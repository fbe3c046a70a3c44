"""Relevance of attention's weights: what the products around a softmax and the softmax itself hand on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.models.propagation.rules import Epsilon


def expanded(scores: Any, weights: Any, relevance: Any) -> Any:
    """R_i = x_i (R_i − s_i Σ_j R_j): the softmax expanded at its input, whose rest is kept (Achtibat et al. 2024).

    Args:
        scores: x, what the softmax is taken of, keys on the last axis.
        weights: s, the softmax of it.
        relevance: R, of the weights.

    Returns:
        Relevance of the scores; 0 where one is masked, so that nothing is to be had from it.
    """
    given = scores * (relevance - weights * tf.reduce_sum(relevance, axis=-1, keepdims=True))
    return tf.where(weights > 0, given, tf.zeros_like(given))


def passed_on(scores: Any, weights: Any, relevance: Any) -> Any:
    """The relevance of the weights, as activations pass it on (Chefer et al. 2021)."""
    return relevance


@dataclass(frozen=True)
class Shared:
    """Attention whose weights get relevance, too.

    Attributes:
        rule: By which each factor of a product of feature maps gets its half, and sums share out.
        softmax: From scores, weights and the relevance of the weights to that of the scores.
    """

    rule: Epsilon
    softmax: Callable[[Any, Any, Any], Any] = expanded
