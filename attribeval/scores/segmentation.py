"""Segmentation: a class's logits, summed over a region."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from attribeval import _tf as tf
from attribeval.common.options import check_choice
from attribeval.errors import AttribevalError
from attribeval.models.propagation.ops import chosen
from attribeval.scores.outputs import check_classes, class_indices, logits_of, pick


def segmentation(
    masks: Any = None, classes: Any = None, *, reduce: Literal["sum", "mean"] = "sum", output: str | int | None = None
) -> Callable[[Any], Any]:
    """Logits of a class over a region of the map that a segmenter gives.

    Vinogradova et al. 2020 ("Towards Interpretable Semantic Segmentation via Gradient-weighted Class Activation
    Mapping"): y^c of Grad-CAM becomes Σ y^c[u, v] over the pixels (u, v) of a region M; with method "gradcam" that is
    Seg-Grad-CAM. A softmax or sigmoid at the end of the model is left out, as for classifiers. One channel is read as
    two classes, logits −z and z.

    Args:
        masks: The region. None: the pixels that the model itself gives the class on the image that it sees (largest of
            a softmax; above ½ of sigmoids); of a painted image, or a point on a path, that is another region than the
            image's. Bool (rows, columns): one region for every image. Bool (M, rows, columns): M questions, with
            `classes`, each as large in memory as one class of the map; to hold the predicted region of each image
            fixed, give `model.predict(images).argmax(-1) == c`.
        classes: The class of each of the M masks, ints (M,), or one for all. Only with M masks.
        reduce: "sum", or "mean" over the pixels of the region; that of an empty region is 0.
        output: Which of several outputs is the map: key of a dictionary, number in a list.

    Returns:
        A function for `Attributer(score=...)`: outputs → scores, (batch, classes), or (batch, M) for M masks, of which
        `targets=` chooses one for each image.

    Raises:
        AttribevalError: If masks or classes do not fit each other; by the function, if the output is no map
            (batch, rows, columns, classes) or the masks are of another size.

    Example:
        >>> from attribeval import Attributer
        >>> from attribeval.datasets import digit_pairs, digit_scenes
        >>> pair = digit_pairs(digit_scenes(n_train=1, n_test=2).test)
        >>> segmenter = Attributer("digit_segmenter", score=segmentation())
        >>> segmenter.explain(pair.images, "gradcam", pair.objects[:, 0], progress=False).values.shape
        (1, 64, 128, 1)
    """
    check_choice("reduce", reduce, ("sum", "mean"))
    regions, asked = _read(masks, classes)

    def score(outputs: Any) -> Any:
        given = pick(outputs, output, 4, "(batch, rows, columns, classes)")
        z, link = logits_of(given)
        z = tf.concat([-z, z], -1) if z.shape[-1] == 1 else z
        if regions is not None:
            return _over(regions, asked, z, reduce)
        own = _predicted(z, each_by_itself=link == "sigmoid" and given.shape[-1] != 1)
        if reduce == "mean":
            own = tf.math.divide_no_nan(own, tf.reduce_sum(own, (1, 2), keepdims=True))
        return tf.reduce_sum(chosen(own) * z, (1, 2))

    return score


def _read(masks: Any, classes: Any) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Masks (M, rows, columns) and a class for each; of one region for all classes no classes; or neither."""
    if masks is None or np.ndim(masks) == 2:
        if classes is not None:
            raise AttribevalError(
                f"Expected classes= only with masks (M, rows, columns); otherwise targets= chooses the class. "
                f"Received: {classes!r}."
            )
        if masks is None:
            return None, None
    array = np.asarray(masks)
    if array.dtype != bool or array.ndim not in (2, 3) or not array.size:
        raise AttribevalError(
            f"Expected masks as bool (rows, columns) or (M, rows, columns). Received: {array.dtype} {array.shape}."
        )
    return (array[None], None) if array.ndim == 2 else (array, class_indices(classes, len(array)))


def _predicted(z: Any, each_by_itself: bool) -> Any:
    """1 where the model gives a pixel the class, else 0, (batch, rows, columns, classes)."""
    own = z > 0 if each_by_itself else tf.one_hot(tf.argmax(z, -1), z.shape[-1], on_value=True, off_value=False)
    return tf.cast(own, z.dtype)


def _over(regions: np.ndarray, asked: np.ndarray | None, z: Any, reduce: str) -> Any:
    """Sums or means over regions, (batch, classes) or (batch, M)."""
    rows, columns, known = z.shape[1:]
    if regions.shape[1:] != (rows, columns):
        raise AttribevalError(
            f"Expected masks of the size of the model's map, {rows} × {columns}. Received: {regions.shape[1]} × "
            f"{regions.shape[2]}: resize them."
        )
    weights = regions.transpose(1, 2, 0).astype(z.dtype.as_numpy_dtype)
    weights = weights / np.maximum(weights.sum((0, 1)), 1) if reduce == "mean" else weights
    # Products and sums alone: propagation rules would take an einsum for a layer of the model.
    if asked is not None:
        check_classes(asked, known)
        z = tf.gather(z, asked, axis=3)
    return tf.reduce_sum(z * weights, (1, 2))
