"""What `shap` needs from us: a seed for the global generator that it draws from, and our model as one it can read."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.fills import PLAIN_FILLS, Fill, check_fill, filled
from attribeval.common.options import FrozenArray, frozen
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.models.classifier import Classifier

Reference = Fill | np.ndarray | FrozenArray
_scorers: weakref.WeakKeyDictionary[Classifier, Any] = weakref.WeakKeyDictionary()


_thread = threading.RLock()


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread at a time, those of other devices wait: shap's random numbers, rules and our target are the process's.

    Also a decorator.
    """
    with _thread:
        yield


@contextmanager
def global_seed(seed: np.ndarray) -> Iterator[None]:
    """Seed NumPy's global generator, from which `shap` draws, with one row of `batch.seeds`; put it back afterwards."""
    with one_thread():
        kept = np.random.get_state()  # noqa: NPY002
        np.random.seed(np.asarray(seed, dtype=np.int32).view(np.uint32))  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(kept)  # noqa: NPY002


class Ends:
    """A game that keeps its first two values: shap asks for the empty coalition first, then for the full one.

    It goes from coalitions, bool (M, players), to values, float64 (M,).
    """

    def __init__(self, game: Callable[[np.ndarray], np.ndarray]):
        self._game = game
        self._ends: list[float] = []

    def __call__(self, shown: np.ndarray) -> np.ndarray:
        values = self._game(shown.reshape(len(shown), -1) > 0.5)
        if len(self._ends) < 2:
            self._ends.append(float(values[0]))
        return values

    def gap(self, values: np.ndarray) -> float:
        """Σ values − (game(all) − game(none))."""
        return float(values.sum() - (self._ends[1] - self._ends[0]))


@contextmanager
def intact_gradients() -> Iterator[None]:
    """Put TensorFlow's tape back after `shap.DeepExplainer`, which leaves it broken for the process when it fails."""
    from tensorflow.python.eager import execute

    kept = execute.record_gradient
    try:
        yield
    except Exception as error:
        last = (str(error).strip().splitlines() or [""])[-1].strip()
        raise AttribevalError(
            f"shap.DeepExplainer could not explain this model: {type(error).__name__}: {last} Use "
            "method='kernel_shap', which needs the model's answers only."
        ) from error
    finally:
        execute.record_gradient = kept


class Scorer:
    """A classifier as the pair (input, output) that shap's explainers of networks take: one output, the target's score.

    The target is a variable of the model, so that shap's graph is traced once for all classes. `inputs` (batch, H, W,
    C) and `output` (batch, 1) are symbolic.
    """

    def __init__(self, classifier: Classifier):
        self.classes = classifier.classes
        self.target = tf.Variable(tf.zeros([classifier.classes, 1], classifier.dtype), trainable=False)
        self.inputs = tf.keras.Input(classifier.input_shape, dtype=classifier.dtype)
        self.output = _make_layer(weakref.ref(classifier), self.target)(self.inputs)
        self.explainers: dict[str, Any] = {}

    def choose(self, target: int) -> None:
        """Explain this class from now on."""
        self.target.assign(np.eye(self.classes)[:, target, None])


def scorer(classifier: Classifier) -> Scorer:
    """The scorer of a classifier, made once and kept as long as the classifier lives."""
    if classifier not in _scorers:
        _scorers[classifier] = Scorer(classifier)
    return _scorers[classifier]


def _make_layer(classifier: weakref.ref, target: Any) -> Any:
    """The layer that scores a batch; it holds the user's model by way of a weak reference, so it cannot change it."""

    class Score(tf.keras.layers.Layer):
        def call(self, x):
            model = classifier()
            # Behind a cast to integers only the compiled function has a derivative: Keras would call the cast, too.
            compiled = tf.executing_eagerly() or model.cast_from is not None
            scores = model.forward(x)[0] if compiled else model.trace(x, by_keras=True)[1]
            return tf.matmul(scores, target)

        def compute_output_spec(self, x):
            return tf.keras.KerasTensor((x.shape[0], 1), dtype=self.dtype)

    return Score(dtype=target.dtype.name, autocast=False)


def read_reference(reference: Any) -> Fill | FrozenArray:
    """The option `reference`, checked and hashable: a plain fill, or raw images (H, W, C) or (R, H, W, C)."""
    if not isinstance(reference, (np.ndarray, FrozenArray)):
        check_fill(reference, "reference", PLAIN_FILLS)
        return reference
    images = frozen(reference, "reference")
    if images.values.ndim not in (3, 4) or not len(images.values):
        raise AttribevalError(
            f"Expected reference images (H, W, C) or (R, H, W, C). Received: shape {images.values.shape}."
        )
    return images


def references(batch: Batch, reference: Any) -> list[Any]:
    """The references of each image (see `read_reference`), as model inputs: one tensor (R, H, W, C) per image."""
    shape = tuple(batch.x.shape[1:])
    if isinstance(reference, str) and reference != "black":
        prepared = batch.classifier.prepare(filled(batch.raw, reference))
        return [prepared[i : i + 1] for i in range(len(batch))]
    if isinstance(reference, FrozenArray):
        given = reference.values.reshape(-1, *reference.values.shape[-3:])
    else:
        given = filled(np.zeros((1, *shape), np.float32), reference)
    if given.shape[1:] != shape:
        raise AttribevalError(
            f"Expected reference images of shape {shape}, like the images. Received: {given.shape[1:]}."
        )
    return [batch.classifier.prepare(given)] * len(batch)


def score_differences(batch: Batch, given: list[Any]) -> np.ndarray:
    """Score of each image minus the mean score of its references, float64 (B,)."""
    targets = np.asarray(batch.targets)
    forward = batch.classifier.forward
    own = forward(batch.x)[0].numpy()[np.arange(len(batch)), targets]
    theirs = []
    for refs, target in zip(given, targets, strict=True):
        parts = [forward(refs[s : s + batch.capacity])[0][:, target] for s in range(0, len(refs), batch.capacity)]
        theirs.append(np.concatenate(parts).mean(dtype=np.float64))
    return own.astype(np.float64) - np.array(theirs)
