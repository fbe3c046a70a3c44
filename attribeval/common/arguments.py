"""Arguments as the fields of a frozen dataclass: listed, described and checked in one place, taken one by one."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import numbers
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from types import NoneType, UnionType
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, Union, overload

from attribeval.errors import AttribevalError, unknown

P = ParamSpec("P")
O = TypeVar("O")  # noqa: E741
R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")

_ITEM = re.compile(r"^    (\w+): (.*(?:\n     +.*)*)", re.M)
_ANYTHING = dict.fromkeys(("Given", "Net", "Bam", "Recipe"), Any)  # names that are imported for type checkers alone
_WORDS = {
    bool: "True or False",
    int: "an int",
    float: "a finite number",
    str: "a text",
    PathLike: "a path",
    NoneType: "None",
}


class takes(Generic[P, O]):
    """Decorate a function of `(…, options)`: callers give the fields of a dataclass one by one.

    The signature, also for type checkers and editors, has the fields in its place, the docstring what the dataclass
    says of them, and an unknown name is an error that says which there are.

    Args:
        options: The dataclass, whose docstring describes its fields under Attributes.
    """

    def __init__(self, options: Callable[P, O]):
        self._options: Callable[..., O] = options

    @overload
    def __call__(self, run: Callable[[O], R]) -> Callable[P, R]: ...
    @overload
    def __call__(self, run: Callable[[A, O], R]) -> Callable[Concatenate[A, P], R]: ...
    @overload
    def __call__(self, run: Callable[[A, B, O], R]) -> Callable[Concatenate[A, B, P], R]: ...
    def __call__(self, run: Callable[..., R]) -> Callable[..., R]:
        """The function as callers see it."""
        plain = inspect.signature(run)
        first = list(plain.parameters.values())[:-1]
        signature = plain.replace(parameters=[*first, *inspect.signature(self._options).parameters.values()])
        names = [name for name in signature.parameters if name != "self"]

        @functools.wraps(run)
        def call(*args: Any, **keywords: Any) -> R:
            for name in keywords:
                if name not in names:
                    raise unknown(f"argument of {run.__qualname__}", name, names)
            try:
                given = signature.bind(*args, **keywords).arguments
            except TypeError as error:
                raise AttribevalError(f"Expected {run.__qualname__}({', '.join(names)}). Received: {error}.") from None
            return run(*[given.pop(one.name) for one in first], self._options(**given))

        call.__signature__ = signature  # type: ignore[attr-defined]
        call.__doc__ = _joined(run, self._options)
        return call


def described(options: Any) -> dict[str, str]:
    """What the docstring of a dataclass says of each of its fields, each on one line."""
    return {name: " ".join(text.split()) for name, text in _ITEM.findall(_attributes(options))}


def hints(options: Any) -> dict[str, Any]:
    """The types of a dataclass' fields; of those that are known to type checkers alone, `Any`."""
    found = typing.get_type_hints(options, localns=_ANYTHING)
    return {field.name: found[field.name] for field in dataclasses.fields(options)}


def fields(options: Any) -> dict[str, Any]:
    """The values of a dataclass by name, as they are."""
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}


def either(hint: Any) -> tuple[Any, ...]:
    """The types that a type allows: those of a union, or itself."""
    return typing.get_args(hint) if typing.get_origin(hint) in (Union, UnionType) else (hint,)


def check_types(options: Any, **least: int) -> None:
    """Refuse a field whose value is not of its type, none of the words that it may be, or an int below its `least`."""
    from attribeval.common.options import check_count  # loads NumPy, which --help does not need

    for name, hint in hints(type(options)).items():
        value = getattr(options, name)
        if any(_is(value, one) for one in either(hint)):
            if name in least and isinstance(value, numbers.Integral):
                check_count(name, value, least[name])
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            known = choices(hint)
            if known and isinstance(one, str) and one not in known:
                raise unknown(name, one, known)
        words = " or ".join(_words(one) for one in either(hint))
        raise AttribevalError(f"Expected {name} to be {words}. Received: {value!r}.")


def choices(hint: Any) -> tuple[str, ...]:
    """The words that a type allows, alone or in a list; none, if any will do."""
    for one in either(hint):
        one = typing.get_args(one)[0] if typing.get_origin(one) is Sequence else one
        if typing.get_origin(one) is Literal:
            return typing.get_args(one)
    return ()


def _is(value: Any, hint: Any) -> bool:
    kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Any:
        return True
    if kind is Literal:
        return isinstance(value, str) and value in inner
    if kind is Sequence:
        several = not isinstance(value, str | Mapping) and hasattr(value, "__len__") and hasattr(value, "__getitem__")
        return several and all(_is(one, inner[0]) for one in value)
    if kind in (int, float):
        of = numbers.Integral if kind is int else numbers.Real
        return isinstance(value, of) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind)


def _words(hint: Any) -> str:
    kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Literal:
        return f"one of {', '.join(inner)}"
    if kind is Sequence:
        return f"a list, each {_words(inner[0])}"
    return _WORDS.get(kind, "a mapping")


def _attributes(options: Any) -> str:
    """What stands below Attributes in the docstring of a dataclass, and before it of those that it is made of."""
    docs = [inspect.cleandoc(one.__doc__ or "") for one in reversed(options.__mro__) if dataclasses.is_dataclass(one)]
    parts = [doc.partition("\nAttributes:\n")[2].partition("\n\n")[0] for doc in docs]
    return "\n".join(part for part in parts if part)


def _joined(run: Any, options: Any) -> str:
    """The docstring of a function, with the fields after its own Args."""
    head, *rest = re.split(r"(?=\n\n(?:Returns|Raises):)", inspect.cleandoc(run.__doc__ or ""), maxsplit=1)
    heading = "" if "\n\nArgs:\n" in head else "\n\nArgs:"
    return f"{head}{heading}\n{_attributes(options)}{''.join(rest)}"
