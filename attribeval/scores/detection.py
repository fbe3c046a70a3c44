"""Detection: the class of one box."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.propagation.ops import chosen
from attribeval.scores.outputs import check_classes, class_indices, logits_of, reference


class Detections(NamedTuple):
    """What a detector says of its A boxes (anchors, cells, proposals).

    Attributes:
        boxes: x0, y0, x1, y1 in one unit (pixels, or shares of the image), (batch, A, 4).
        classes: Scores of the classes, (batch, A, K).
        objectness: How likely the box holds any object, (batch, A); None: the detector does not say.
    """

    boxes: Any
    classes: Any
    objectness: Any = None


def detection(boxes: Any = None, classes: Any = None, *, read: Callable | None = None) -> Callable[[Any], Any]:
    """Class score of a detector's box that fits a reference best, or of its most certain box of each class.

    A softmax or sigmoid that ends the class output is left out, as for classifiers. The box is chosen anew on each
    image that the model sees, painted ones and points on a path among them.

    Args:
        boxes: References, x0, y0, x1, y1 in the detector's unit, (M, 4) or (4,): score m is that of class `classes[m]`
            of the box with the highest IoU with reference m, the first of equals; 0 (with no slope) where no box
            overlaps it. None: score c is that of class c of the box whose classes[c] · objectness is highest.
        classes: The class of each reference, ints (M,), or one for all. Only with `boxes`.
        read: How to read the outputs: a function to `Detections`, or to a tuple in its order. None: a dictionary with
            these names ("objectness" may lack), or a list in this order.

    Returns:
        A function for `Attributer(score=...)`: outputs → scores, (batch, M) or (batch, K), of which `targets=` chooses
        one for each image.

    Raises:
        AttribevalError: If boxes and classes do not fit each other; by the function, if outputs cannot be read.

    Example:
        >>> from attribeval import Attributer
        >>> from attribeval.datasets import digit_pairs, digit_scenes
        >>> pair = digit_pairs(digit_scenes(n_train=1, n_test=2).test)
        >>> left = pair.boxes[0, 0] / [128, 64, 128, 64]
        >>> detector = Attributer("digit_detector", score=detection(left, pair.objects[0, 0]))
        >>> detector.explain(pair.images, "gradient", 0, progress=False).values.shape
        (1, 64, 128, 3)
    """
    if boxes is None:
        if classes is not None:
            raise AttribevalError(
                f"Expected classes= only with boxes=; otherwise targets= chooses the class. Received: {classes!r}."
            )
        return lambda outputs: _of_most_certain(read_detections(outputs, read))
    wanted = read_boxes(boxes)
    asked = class_indices(classes, len(wanted))

    def score(outputs: Any) -> Any:
        found = read_detections(outputs, read)
        z, _ = logits_of(found.classes)
        check_classes(asked, z.shape[-1])
        overlaps = iou(found.boxes, wanted)  # (batch, A, M)
        best = tf.one_hot(tf.argmax(overlaps, 1), overlaps.shape[1], axis=1, dtype=z.dtype)
        best = best * tf.cast(overlaps > 0, z.dtype)
        return tf.reduce_sum(tf.gather(z, asked, axis=2) * chosen(best), 1)

    return score


def _of_most_certain(found: Detections) -> Any:
    z, _ = logits_of(found.classes)
    sure = found.classes if found.objectness is None else found.classes * found.objectness[..., None]
    best = tf.one_hot(tf.argmax(sure, 1), sure.shape[1], axis=1, dtype=z.dtype)  # (batch, A, K)
    return tf.reduce_sum(z * chosen(best), 1)


def read_detections(outputs: Any, read: Callable | None = None) -> Detections:
    """A detector's outputs, tensors or arrays, as `Detections`; see `detection`.

    Raises:
        AttribevalError: If they cannot be read, or the shapes are others.
    """
    found = outputs if read is None else read(outputs)
    if isinstance(found, dict):
        known = {name: found[name] for name in Detections._fields if name in found}
    else:
        known = dict(zip(Detections._fields, found if isinstance(found, (list, tuple)) else [found], strict=False))
    shapes = {name: tuple(getattr(one, "shape", ())) for name, one in known.items() if one is not None}
    boxes, classes, objectness = (shapes.get(name, ()) for name in Detections._fields)
    right = len(boxes) == len(classes) == 3 and boxes[2] == 4 and boxes[1] == classes[1]
    if not right or ("objectness" in shapes and objectness[1:] != boxes[1:2]):
        received = shapes or type(found).__name__
        names = f" named {', '.join(map(str, found))}" if isinstance(found, dict) else ""
        raise AttribevalError(
            "Expected detections as boxes (batch, A, 4), classes (batch, A, K) and, if known, objectness (batch, A): a "
            "dictionary with these names or a list in this order. Received: outputs"
            f"{names}, read as {received}: say with read=function how they are to be read."
        )
    return Detections(**known)


def read_boxes(boxes: Any) -> np.ndarray:
    """References as float32 (M, 4).

    Raises:
        AttribevalError: If they are no boxes, or one is empty.
    """
    array = reference(boxes, 2, "(M, 4): x0, y0, x1, y1")
    empty = np.flatnonzero((array[:, 2:] <= array[:, :2]).any(1)) if array.shape[1] == 4 else [0]
    if len(empty):
        raise AttribevalError(
            f"Expected boxes x0, y0, x1, y1 with x0 < x1 and y0 < y1. Received: {array[empty[0]].tolist()} (box "
            f"{empty[0]})."
        )
    return array


def iou(boxes: Any, wanted: np.ndarray) -> Any:
    """Intersection over union of boxes (batch, A, 4) with references (M, 4), (batch, A, M); an empty box has 0."""
    a, b = boxes[:, :, None], tf.cast(tf.constant(wanted), boxes.dtype)
    both = tf.reduce_prod(tf.maximum(tf.minimum(a[..., 2:], b[:, 2:]) - tf.maximum(a[..., :2], b[:, :2]), 0), -1)
    areas = [tf.reduce_prod(tf.maximum(one[..., 2:] - one[..., :2], 0), -1) for one in (a, b)]
    return tf.math.divide_no_nan(both, areas[0] + areas[1] - both)


def most_certain(outputs: Any, classes: Any, *, read: Callable | None = None) -> Detections:
    """Of each image the box that a detector is most certain holds a class: references for `detection` and `drise`.

    Args:
        outputs: Of `model.predict(images)`, N images.
        classes: Which class is meant, ints (N,), or one for all.
        read: As in `detection`.

    Returns:
        Arrays: boxes (N, 4), classes (N, K), objectness (N,) or None, of the box with the highest class · objectness.

    Raises:
        AttribevalError: If outputs cannot be read or classes are no classes.
    """
    found = read_detections(outputs, read)
    boxes, scores = np.asarray(found.boxes), np.asarray(found.classes)
    objectness = None if found.objectness is None else np.asarray(found.objectness)
    images = np.arange(len(boxes))
    asked = class_indices(classes, len(boxes))
    check_classes(asked, scores.shape[2])
    best = (scores[images, :, asked] * (1 if objectness is None else objectness)).argmax(1)
    return Detections(
        boxes[images, best], scores[images, best], None if objectness is None else objectness[images, best]
    )
