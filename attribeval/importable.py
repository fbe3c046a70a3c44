"""Functions of the user's `.py` files: where another process finds one, and how it runs the file to get it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attribeval.errors import AttribevalError

running: list[str] = []  # files that are being run to find a function


def place_of(function: Callable) -> dict[str, str] | None:
    """The file and name of a function at the top of a `.py` file; None for any other."""
    name = getattr(function, "__qualname__", "<lambda>")
    file = getattr(sys.modules.get(getattr(function, "__module__", None) or ""), "__file__", None)
    if "<" in name or "." in name or file is None:
        return None
    return {"file": str(Path(file).resolve()), "name": name}


def function_in_file(path: str, name: str) -> Callable[..., Any]:
    """A function of a Python file; the file is run as a module of its own.

    Raises:
        AttribevalError: If there is no such file or function, or the file cannot be run.
    """
    spec = importlib.util.spec_from_file_location(f"attribeval_builder_{Path(path).stem}", path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise AttribevalError(f"Expected a Python file with the function {name}. Received: {path}, which is none.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    running.append(str(path))
    try:
        spec.loader.exec_module(module)
    except AttribevalError:
        raise
    except Exception as error:
        raise AttribevalError(f"Expected {path} to run. Received: {type(error).__name__}: {error}.") from error
    finally:
        running.pop()
    if not hasattr(module, name):
        raise AttribevalError(f"Expected a function {name} in {path}. Received a file without it.")
    return getattr(module, name)
