"""TensorFlow and Keras, imported at first use.

`from attribeval import _tf as tf` costs nothing until `tf.something` is read, so that the tables of methods and
the command line's help never wait for TensorFlow.
"""

from __future__ import annotations

import importlib


def __getattr__(name: str):
    if name.startswith("__"):
        raise AttributeError(name)
    if name == "keras":
        return importlib.import_module("keras")
    return getattr(importlib.import_module("tensorflow"), name)
