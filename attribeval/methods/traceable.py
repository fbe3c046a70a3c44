"""Where preprocessing takes place when images are painted: before, inside the graph, or outside it."""

from __future__ import annotations

import threading
import warnings
import weakref
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.models.classifier import Classifier
from attribeval.models.preprocessing import Preprocessing

_traceable: weakref.WeakKeyDictionary[Classifier, bool] = weakref.WeakKeyDictionary()
_trying = threading.Lock()


def paints_inputs(classifier: Classifier) -> bool:
    """Whether painting before or after preprocessing is the same."""
    return classifier.preprocess is None or isinstance(classifier.preprocess, Preprocessing)


def preprocessed(classifier: Classifier, raw: Any) -> Any:
    """A user's preprocessing inside a graph."""
    x = raw if classifier.preprocess is None else classifier.preprocess(raw)
    x = tf.cast(tf.convert_to_tensor(x), classifier.dtype)
    return tf.ensure_shape(x, [None, *classifier.input_shape])


def is_traceable(batch: Batch) -> bool:
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
        trace = classifier.compiled("traced preprocessing", lambda raw: preprocessed(classifier, raw), spec)
        found, wanted = trace(batch.raw).numpy(), batch.x.numpy()
    except Exception as error:  # it is the user's function, which may raise anything
        return f"{type(error).__name__} when it was traced"
    off = np.abs(found - wanted).max(initial=0) <= 1e-5 * np.abs(wanted).max(initial=0)
    return None if off else "traced, it gives other values"
