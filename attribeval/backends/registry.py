"""(library, method) → the class that computes the method with that library."""

from __future__ import annotations

from typing import Any

from attribeval.backends import deeplift, lime, shap, tf_keras_vis
from attribeval.errors import AttribevalError, unknown
from attribeval.methods.card import Method
from attribeval.methods.registry import METHODS, make
from attribeval.methods.short_names import parse

BACKENDS: dict[str, dict[str, type[Any]]] = {
    "tf_keras_vis": {
        "gradient": tf_keras_vis.Gradient,
        "smoothgrad(gradient)": tf_keras_vis.SmoothGrad,
        "gradcam": tf_keras_vis.GradCAM,
        "gradcam++": tf_keras_vis.GradCAMPlusPlus,
        "layercam": tf_keras_vis.LayerCAM,
        "scorecam": tf_keras_vis.ScoreCAM,
    },
    "deeplift": {"deeplift": deeplift.DeepLIFT},
    "shap": {"kernel_shap": shap.KernelSHAP, "partition_shap": shap.PartitionSHAP, "deeplift": shap.DeepLIFT},
    "lime": {"lime": lime.LIME},
}

for _methods in BACKENDS.values():
    for _name, _class in _methods.items():
        _class.card = METHODS[_name.partition("(")[0]].card  # whoever computes it, it is the same method


def build_backend(backend: str, method: str, options: dict[str, Any]) -> Method:
    """Make the method that computes `method`, as users type it, with a library; `options` beside those in the text."""
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    typed = parse(method)
    if typed.name not in METHODS:
        raise unknown("method", typed.name, METHODS)
    name = typed.name if typed.base is None else f"{typed.name}({typed.base.name})"
    if name not in BACKENDS[backend] or (typed.base is not None and typed.base.options):
        raise unknown(f"method of backend {backend}", method, BACKENDS[backend])
    twice = set(typed.options) & set(options)
    if twice:
        raise AttribevalError(f"Expected option {min(twice)} of {name} once. Received it in the text and beside it.")
    return make(BACKENDS[backend][name], name, typed.options | options)
