"""Importing TensorFlow without the notes that its C++ part prints on standard error before it can be told not to."""

from __future__ import annotations

import importlib
import os
import sys


def load_tensorflow(*modules: str) -> None:
    """Import TensorFlow, and then `modules`, quietly; for processes that are ours alone."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            for name in ("tensorflow", *modules):
                importlib.import_module(name)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
