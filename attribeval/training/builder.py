"""The user's `build_model` as data, so that any process on any machine can make the same untrained model again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.importable import function_in_file, place_of, running
from attribeval.models.architecture import without_names
from attribeval.models.classifier import Classifier


def describe(build_model: Callable[[], Any]) -> dict[str, Any]:
    """Write a builder down as JSON values.

    Functional and sequential models of Keras' own layers are kept as their architecture. Other models (subclassed,
    with custom layers) are kept as the place of the builder, which must then be a function of a module or file.

    Returns:
        {"architecture": Keras' JSON} or {"builder": {"file", "name"}}; both with "input_shape" (H, W, C), "classes",
        "parameters" and "hash", which does not depend on the names that Keras gives to layers.
    """
    if not callable(build_model) or isinstance(build_model, tf.keras.Model):
        raise AttribevalError(
            f"Expected build_model to be a function that returns an untrained Keras model. Received: "
            f"{type(build_model).__name__}: write build_model=lambda: …."
        )
    model = _checked(build_model())
    _refuse_trained(model, _checked(build_model()))
    classifier = Classifier(model)
    about = {
        "input_shape": list(classifier.input_shape),
        "classes": classifier.classes,
        "parameters": int(model.count_params()),
    }
    text = _architecture(model)
    place = {"architecture": text} if text is not None else _place(build_model)
    identity = without_names(json.loads(text)) if text is not None else [place, [list(v.shape) for v in model.weights]]
    digest = hashlib.blake2b(json.dumps([identity, about]).encode(), digest_size=8).hexdigest()
    return place | about | {"hash": digest}


def build(spec: dict[str, Any], seed: int, policy: str | None = None) -> Any:
    """Make the model anew, with weights drawn from `seed`; in the scope of a strategy if it is to be distributed."""
    tf.keras.utils.set_random_seed(seed)
    if "architecture" in spec:
        config = json.loads(spec["architecture"])
        if policy is not None:
            config = _with_policy(config, policy)
        return tf.keras.models.model_from_json(json.dumps(config))
    before = tf.keras.mixed_precision.dtype_policy()
    try:
        if policy is not None:
            tf.keras.mixed_precision.set_dtype_policy(policy)
        return function_in_file(spec["builder"]["file"], spec["builder"]["name"])()
    finally:
        tf.keras.mixed_precision.set_dtype_policy(before)


def _checked(model: Any) -> Any:
    if not isinstance(model, tf.keras.Model):
        raise AttribevalError(f"Expected build_model to return a Keras model. Received: {type(model).__name__}.")
    if getattr(model, "compiled", False):
        raise AttribevalError(
            "Expected build_model to return a model that is not compiled. Received a compiled one, whose optimizer and "
            "loss would be ignored: leave compile() out and say how to train with recipe=Recipe(…)."
        )
    if not model.built or not model.weights:
        raise AttribevalError(
            "Expected build_model to return a built model. Received one without weights: give it an Input, or call a "
            "subclassed model once on an image before it is returned."
        )
    return model


def _refuse_trained(model: Any, again: Any) -> None:
    """ROAR trains from random initialisation: two calls must not give the same weights, unless they are constant."""
    if len(model.weights) != len(again.weights):
        raise AttribevalError(
            f"Expected build_model to return the same model at each call. Received one with {len(model.weights)} "
            f"weights, then one with {len(again.weights)}."
        )
    for one, other in zip(model.weights, again.weights, strict=True):
        a, b = one.numpy(), other.numpy()
        if a.size and a.min() < a.max() and np.array_equal(a, b):
            raise AttribevalError(
                f"Expected build_model to draw new random weights at each call. Received the same {one.path!r} "
                "twice: it returns a trained model or part, or sets seeds. ROAR retrains from random initialisation: "
                "weights=None, no seeds; constants belong into a layer's arguments (Normalization(mean=…, "
                "variance=…)), and a trained model that is to be explained into checkpoint=."
            )


def _architecture(model: Any) -> str | None:
    """Keras' JSON of the model, if that is enough to make it again in any process; else None."""
    try:
        text = model.to_json()
        made = tf.keras.models.model_from_json(text)
    except Exception:  # Keras raises many types here, for subclassed models, custom layers and Lambdas
        return None
    same = [v.shape for v in made.weights] == [v.shape for v in model.weights]
    return text if same and _of_keras(json.loads(text)) else None


def _of_keras(config: Any) -> bool:
    """Whether all classes and functions are Keras' own, not registered by the user in this process alone."""
    if isinstance(config, list):
        return all(map(_of_keras, config))
    if not isinstance(config, dict):
        return True
    module = config.get("module") or ("" if "registered_name" in config else "keras")
    return module.split(".")[0] == "keras" and all(map(_of_keras, config.values()))


def _place(function: Callable) -> dict[str, Any]:
    """Where other processes find the builder."""
    place = place_of(function)
    if place is None:
        raise AttribevalError(
            "Expected a model of Keras' own layers, or a build_model that another process can import. Received a local "
            "function, a lambda or one of a prompt, that returns a subclassed model or custom layers: define "
            "build_model at the top of a .py file."
        )
    return {"builder": place}


def refuse_start_within_file() -> None:
    """Other processes run the builder's file to find the builder; a grid that starts there would wait for itself."""
    if running:
        raise AttribevalError(
            f"Expected {running[-1]} to define functions only when other processes import it. Received a call of "
            'roar there: put it under `if __name__ == "__main__":`.'
        )


def _with_policy(config: Any, policy: str) -> Any:
    """The architecture with every layer's dtype policy replaced; the last layer's output stays float32 enough: the
    loss casts the logits.
    """
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return config | {"config": {"name": policy}}
        return {key: _with_policy(value, policy) for key, value in config.items()}
    return [_with_policy(value, policy) for value in config] if isinstance(config, list) else config
