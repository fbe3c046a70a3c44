"""Images painted where the model is: masks travel as a few numbers, scores come back, and no painted image moves."""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.methods.descriptions import Masks
from attribeval.models.classifier import Classifier
from attribeval.models.preprocessing import Preprocessing

Describe = Callable[[int, np.ndarray], tuple[np.ndarray, ...]]
_traceable: weakref.WeakKeyDictionary[Classifier, bool] = weakref.WeakKeyDictionary()
_trying = threading.Lock()


class Painter:
    """Scores of the images of a batch under masks, mask · image + (1 − mask) · hidden image.

    One compiled call draws masks, paints, preprocesses, asks the model and reads the answer, `capacity` painted images
    at a time. Where preprocessing scales and shifts each value by itself, images and hidden images go through it once
    and what is painted is the model's input, which is the same up to rounding. Any other function becomes part of the
    graph, if TensorFlow can trace it; if not, painted images leave the graph for it, and a warning says so once.

    Args:
        batch: The images.
        hidden: The same with everything hidden, raw, float32 (B, H, W, C).
        masks: How masks are written down.
        given: What the masks need once (`masks.given`), arrays.
    """

    def __init__(self, batch: Batch, hidden: np.ndarray, masks: Masks, *given: Any):
        self._batch, self._masks = batch, masks
        classifier = batch.classifier
        self._inside = classifier.preprocess is None or isinstance(classifier.preprocess, Preprocessing)
        self._traced = not self._inside and _is_traceable(batch)
        pair = (batch.x, classifier.prepare(hidden)) if self._inside else (batch.raw, hidden)
        self._pair = tuple(map(tf.convert_to_tensor, pair))
        self._given = tuple(tf.constant(one, spec.dtype) for one, spec in zip(given, masks.given, strict=True))

    def ask(self, answer: str, owners: np.ndarray, *rows: np.ndarray) -> tuple[Any, Any]:
        """Paint and ask about at most `capacity` images at once.

        Args:
            answer: "logit" (the score that is explained) or "probability" (the model's output; of logits, what softmax
                or sigmoid make of them) of the owner's target; "both" of them; "is_target": 1 where its score is the
                highest, else 0.
            owners: Which image of the batch is painted, ints (M,).
            rows: What describes each of the M masks (`masks.rows`).

        Returns:
            Tensors, in the dtype of the model's input: answers (M,), for "both" (M, 2), and the masks.
        """
        classifier, targets = self._batch.classifier, self._batch.targets
        kinds = (spec.dtype.as_numpy_dtype for spec in self._masks.rows)
        described = (*self._given, *map(np.asarray, rows, kinds))
        # One image is spread over its masks, which saves copies of it.
        colours = tf.constant(owners[:1] if (owners == owners[0]).all() else owners, tf.int32)
        owners = tf.constant(owners, tf.int32)
        if self._inside or self._traced:
            return self._compiled(answer)(owners, colours, *self._pair, targets, *described)
        painted, masks = self._compiled(None)(owners, colours, *self._pair, targets, *described)
        inputs = classifier.prepare(painted.numpy())
        specs = classifier.input_spec, tf.TensorSpec([None], tf.int32)
        read = classifier.compiled(
            ("answer", answer), lambda x, targets: _answer(classifier, answer, x, targets), *specs
        )
        return read(inputs, tf.gather(targets, owners)), masks

    def walk(self, answer: str, counts: Mapping[int, int], describe: Describe) -> Iterator[tuple[Any, Any, Any]]:
        """Ask about masks of several images, one image after the other: owners (M,), answers and masks of each call.

        Calls fill the capacity. `counts` says how many masks each image of the batch has, by its number; `describe`
        goes from the number of an image and those of some of its masks (m,) to the rows of these, and is asked in
        order, for each mask once.
        """
        images = np.repeat(np.array([*counts], np.int32), [*counts.values()])
        numbers = np.concatenate([np.arange(0), *map(np.arange, counts.values())])
        for start in range(0, len(images), self._batch.capacity):
            some = slice(start, start + self._batch.capacity)
            owners, indices = images[some], numbers[some]
            rows = (describe(i, indices[owners == i]) for i in dict.fromkeys(owners.tolist()))
            yield owners, *self.ask(answer, owners, *map(np.concatenate, zip(*rows, strict=True)))

    def answers(self, answer: str, counts: Mapping[int, int], describe: Describe) -> dict[int, np.ndarray]:
        """What `walk` is told, float64 (number of masks,) by image; read when all has been asked."""
        found = [answers for _, answers, _ in self.walk(answer, counts, describe)]
        together = tf.concat(found, 0).numpy().astype(np.float64) if found else np.zeros(0)
        ends = np.cumsum([*counts.values()])[:-1]
        return dict(zip(counts, np.split(together, ends), strict=True))

    def _compiled(self, answer: str | None) -> Callable:
        """Draws masks and paints; also preprocesses, asks and reads the answer, unless there is nothing to answer."""
        classifier, masks, traced = self._batch.classifier, self._masks, self._traced

        def build(owners, colours, images, hidden, targets, *described):
            shown = self._drawn(owners, images, described)
            x = self._blended(images, hidden, colours, shown)
            if answer is None:
                return x, shown
            x = _preprocessed(classifier, x) if traced else x
            return _answer(classifier, answer, x, tf.gather(targets, owners)), shown

        ints = tf.TensorSpec([None], tf.int32)
        specs = ints, ints, self._spec, self._spec, ints, *masks.given, *masks.rows
        return classifier.compiled(("painted", masks.name, answer), build, *specs)

    def _drawn(self, owners: Any, images: Any, described: tuple[Any, ...]) -> Any:
        shown = self._masks.draw(owners, tf.shape(images)[1:3], images.dtype, *described)
        by_value = self._inside and shown.shape.rank == 4  # the model may take its channels in another order
        return self._batch.classifier.restore_channels(shown) if by_value else shown

    def _blended(self, images: Any, hidden: Any, colours: Any, shown: Any) -> Any:
        if self._masks.binary:
            return _looked_up(images, hidden, colours, shown)
        shown = shown[..., None] if shown.shape.rank == 3 else shown
        return shown * tf.gather(images, colours) + (1 - shown) * tf.gather(hidden, colours)

    @property
    def _spec(self) -> Any:
        return tf.TensorSpec([None, *self._batch.classifier.input_shape], self._pair[0].dtype)


def _looked_up(images: Any, hidden: Any, colours: Any, shown: Any) -> Any:
    """Each place looked up in a table of its two colours, which takes half the time of mixing them."""
    sides = tf.shape(images)
    table = tf.reshape(tf.stack([hidden, images], axis=3), [-1, sides[3]])
    first = 2 * tf.reshape(tf.range(tf.reduce_prod(sides[:3])), sides[:3])
    return tf.gather(table, tf.gather(first, colours) + tf.cast(shown, tf.int32))


def _answer(classifier: Classifier, answer: str, x: Any, targets: Any) -> Any:
    """What is asked of model inputs (M, H, W, C), inside a graph; see `Painter.ask`."""
    trace, scores = classifier.trace(x)
    if answer == "is_target":
        return tf.cast(tf.argmax(scores, 1, tf.int32) == targets, scores.dtype)
    kinds = {"logit": [scores], "probability": [], "both": [scores]}[answer]
    kinds += [] if answer == "logit" else [classifier.probabilities(trace, scores)]
    found = [tf.gather(kind, targets, axis=1, batch_dims=1) for kind in kinds]
    return tf.stack(found, axis=1) if answer == "both" else found[0]


def _preprocessed(classifier: Classifier, raw: Any) -> Any:
    """A user's preprocessing inside a graph."""
    x = raw if classifier.preprocess is None else classifier.preprocess(raw)
    x = tf.cast(tf.convert_to_tensor(x), classifier.dtype)
    return tf.ensure_shape(x, [None, *classifier.input_shape])


def _is_traceable(batch: Batch) -> bool:
    """Whether the preprocessing, inside a graph, makes of the images what it makes of them outside."""
    classifier = batch.classifier
    with _trying:
        if classifier not in _traceable:
            reason = _refusal(batch)
            _traceable[classifier] = reason is None
            if reason is not None:
                warnings.warn(
                    f"The preprocess function stays outside TensorFlow's graph, so that every painted image is copied "
                    f"to it and back: {reason}. Written with TensorFlow, keras.ops or plain arithmetic, or as one of "
                    "the named conventions, it runs where the model is.",
                    RuntimeWarning,
                    stacklevel=2,
                )
        return _traceable[classifier]


def _refusal(batch: Batch) -> str | None:
    """Why the preprocessing cannot be traced, or None."""
    classifier = batch.classifier
    spec = tf.TensorSpec([None, *classifier.input_shape], tf.float32)
    try:
        trace = classifier.compiled("traced preprocessing", lambda raw: _preprocessed(classifier, raw), spec)
        found, wanted = trace(batch.raw).numpy(), batch.x.numpy()
    except Exception as error:  # it is the user's function, which may raise anything
        return f"{type(error).__name__} when it was traced"
    off = np.abs(found - wanted).max(initial=0) <= 1e-5 * np.abs(wanted).max(initial=0)
    return None if off else "traced, it gives other values"
