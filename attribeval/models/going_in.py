"""What goes to the device: images as the model takes them, the classes asked about, baselines, each once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    from attribeval.models.classifier import Classifier


class GoingIn:
    """Copies to the device, which on a GPU wait for all that it was asked for before: as few as can be.

    Args:
        classifier: The model.
    """

    def __init__(self, classifier: Classifier):
        self._classifier = classifier
        self._own = threading.local()

    @property
    def by_graph(self) -> bool:
        """Whether preprocessing is one of ours, a graph on the device, or none; not a function of the user's."""
        return self._classifier.preprocess is None or isinstance(self._classifier.preprocess, Preprocessing)

    def prepare(self, raw: np.ndarray) -> Any:
        """See `Classifier.prepare`."""
        preprocess, dtype = self._classifier.preprocess, self._classifier.dtype
        if preprocess is None or self.by_graph:
            spec = tf.TensorSpec([None, *self._classifier.input_shape], tf.float32)
            with tf.device("CPU:0"):  # to the device in the call: a copy by itself keeps other threads waiting
                there = tf.convert_to_tensor(raw)
            return self._classifier.compiled("prepare", self._prepared, spec)(there)
        x = preprocess(np.array(raw, dtype=np.float32))
        x = tf.cast(x if tf.is_tensor(x) else tf.convert_to_tensor(np.asarray(x)), dtype)
        if tuple(x.shape) != tuple(raw.shape):
            raise AttribevalError(
                f"Expected preprocess to keep the shape {tuple(raw.shape)}. Received: {tuple(x.shape)}."
            )
        return x

    def asked(self, targets: Any, n: int) -> Any:
        """Targets of n images on the device, int64 (n,), as `fields` takes them; None: −1, the predicted class.

        Of 64 bits, because TensorFlow keeps integers of 32 in the host's memory.
        """
        known = np.full(n, -1, np.int32) if targets is None else targets
        spec = tf.TensorSpec([None], tf.int32)
        wide = self._classifier.compiled("asked", lambda t: tf.identity(tf.cast(t, tf.int64)), spec)
        return wide(tf.cast(known, tf.int32))

    def kept(self, key: Any, make: Callable[[], Any]) -> Any:
        """`make()`, kept per `key` for what this thread, and so this device, explains: a baseline, for example."""
        if not hasattr(self._own, "kept"):
            self._own.kept = {}
        if key not in self._own.kept:
            self._own.kept[key] = make()
        return self._own.kept[key]

    def _prepared(self, raw: Any) -> Any:
        preprocess = self._classifier.preprocess
        x = raw if preprocess is None else preprocess(raw)  # a pure function that keeps the shape
        return tf.identity(tf.cast(x, self._classifier.dtype))
