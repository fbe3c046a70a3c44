"""Embeddings: how similar an image is to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from attribeval import _tf as tf
from attribeval.common.options import check_choice
from attribeval.errors import AttribevalError
from attribeval.scores.outputs import pick, reference

_SMALLEST = 1e-12  # of a squared length: below it a direction is noise


def similarity(
    references: Any, kind: Literal["cosine", "dot"] = "cosine", *, output: str | int | None = None
) -> Callable[[Any], Any]:
    """Similarity of an image's embedding z to references r: z · r / (|z| |r|), or z · r.

    Its gradient in z is r / (|z| |r|) − cos(z, r) z / |z|², or r. What it explains is what the image shares with the
    reference, not what is in the image.

    Args:
        references: Embeddings, (M, D) or (D,): of reference images `model.predict(images)`.
        kind: "cosine", from −1 to 1 (0 of an embedding shorter than 1e-6), or "dot".
        output: Which of several outputs is the embedding: key of a dictionary, number in a list.

    Returns:
        A function for `Attributer(score=...)`: outputs → scores, (batch, M), of which `targets=` chooses one for each
        image.

    Raises:
        AttribevalError: If references are not finite, or of length 0 for "cosine"; by the function, if the output is no
            embedding (batch, D).

    Example:
        >>> from attribeval import Attributer
        >>> import keras
        >>> layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
        >>> one, other = np.random.default_rng(0).random((2, 1, 8, 8, 3))
        >>> net = keras.Sequential(layers)
        >>> to_other = Attributer(net, score=similarity(net.predict(other, verbose=0)))
        >>> to_other.explain(one, "gradient", 0, progress=False).values.shape
        (1, 8, 8, 3)
    """
    check_choice("kind", kind, ("cosine", "dot"))
    wanted = reference(references, 2, "(M, D)")
    if kind == "cosine":
        lengths = np.linalg.norm(wanted, axis=1, keepdims=True)
        if not lengths.all():
            raise AttribevalError("Expected references with a direction. Received one that is 0 throughout.")
        wanted = wanted / lengths

    def score(outputs: Any) -> Any:
        z = pick(outputs, output, 2, "(batch, D)")
        if z.shape[1] != wanted.shape[1]:
            raise AttribevalError(
                f"Expected references of {z.shape[1]} numbers, as the model's embedding. Received: {wanted.shape[1]}."
            )
        z = tf.math.l2_normalize(z, axis=1, epsilon=_SMALLEST) if kind == "cosine" else z
        return tf.matmul(z, tf.cast(tf.constant(wanted.T), z.dtype))

    return score
