"""(library, method) → the class that computes the method with that library."""

from __future__ import annotations

from typing import Any

from attribeval.backends import tf_keras_vis
from attribeval.errors import unknown
from attribeval.methods.card import Method
from attribeval.methods.registry import METHODS, make

BACKENDS: dict[str, dict[str, type]] = {
    "tf_keras_vis": {"gradient": tf_keras_vis.Gradient, "gradcam": tf_keras_vis.GradCAM},
}


def build_backend(backend: str, method: str, options: dict[str, Any]) -> Method:
    """Make the method that computes `method` with a library.

    Args:
        backend: A name of `BACKENDS`.
        method: A method that this library has.
        options: Values for the fields of the class.

    Raises:
        AttribevalError: If the backend, the method or an option is unknown (nearest names listed).
    """
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if method not in BACKENDS[backend]:
        raise unknown(f"method of backend {backend}", method, BACKENDS[backend])
    return make(BACKENDS[backend][method], method, options)
