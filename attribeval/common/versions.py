"""Versions of what computed a result."""

from __future__ import annotations

from attribeval import __version__
from attribeval import _tf as tf


def versions() -> dict[str, str]:
    """By package."""
    return {"attribeval": __version__, "tensorflow": tf.version.VERSION, "keras": tf.keras.__version__}
