"""What tells one function of the user from another, and from the same one edited."""

from __future__ import annotations

import functools
import hashlib
import inspect
import types
from typing import Any

import numpy as np

_PLAIN = (str, bytes, bool, int, float, complex, type(None), type(Ellipsis))


def code_of(function: Any) -> str:
    """A short hash of what a function does, as far as it can be seen: the same in every process of one Python.

    Seen are its instructions and constants, its defaults, and those plain values, tuples, arrays and functions of the
    same file that it closes over or finds under the names that it uses. Of everything else (a model, an explainer of a
    library, a list that grows) the type is: whoever changes one of these gives the method another name.
    """
    code = _Code(getattr(function, "__module__", None) or type(function).__module__)
    code.add(function)
    return code.digest.hexdigest()


class _Code:
    """A hash that grows by values.

    Args:
        module: Where the function is from; it has another name in the processes that run its file again.
    """

    def __init__(self, module: str):
        self.digest = hashlib.blake2b(digest_size=8)
        self._module = module
        self._seen: set[int] = set()  # functions may call themselves, and each other

    def add(self, value: Any) -> None:
        if isinstance(value, _PLAIN):
            self._write(f"{type(value).__name__} {value!r}")
        elif isinstance(value, (np.ndarray, np.generic)) and value.dtype != object:
            self._write(f"array {value.dtype} {value.shape}")
            self.digest.update(np.ascontiguousarray(value).tobytes())
        elif isinstance(value, tuple):
            self._several(value)
        elif isinstance(value, frozenset):
            self._several(sorted(value, key=repr))
        elif isinstance(value, types.FunctionType) and value.__module__ == self._module:
            self._function(value)
        elif isinstance(value, types.CodeType):
            self._instructions(value)
        elif isinstance(value, functools.partial):
            self._several([value.func, *value.args, *_flat(value.keywords)])
        elif isinstance(value, types.MethodType):
            self._several([value.__func__, type(value.__self__)])
        else:
            self._by_name(value)

    def _write(self, text: str) -> None:
        self.digest.update(f"{text};".encode())

    def _several(self, values: Any) -> None:
        self._write(f"{len(values)} values")
        for one in values:
            self.add(one)

    def _function(self, function: types.FunctionType) -> None:
        if id(function) in self._seen:
            return
        self._seen.add(id(function))
        code = function.__code__
        self._instructions(code)
        self.add(function.__defaults__)
        self._several(_flat(function.__kwdefaults__ or {}))
        for cell in function.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:  # a variable without a value yet
                self._write("empty")
        for name in code.co_names:
            if name in function.__globals__:
                self.add(function.__globals__[name])

    def _instructions(self, code: types.CodeType) -> None:
        self.digest.update(code.co_code)
        self._write(repr((code.co_names, code.co_varnames, code.co_freevars)))
        for constant in code.co_consts:
            self.add(constant)

    def _by_name(self, value: Any) -> None:
        of = value if hasattr(value, "__name__") else type(value)
        module = getattr(of, "__module__", None)
        self._write(f"{'' if module == self._module else module} {getattr(of, '__qualname__', of.__name__)}")
        call = inspect.getattr_static(of, "__call__", None) if of is not value else None
        if isinstance(call, types.FunctionType) and call.__module__ == self._module:
            self._function(call)


def _flat(named: dict[str, Any]) -> list[Any]:
    return [one for pair in sorted(named.items()) for one in pair]
