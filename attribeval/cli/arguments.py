"""Flags made from the fields of a study's options, and options made from what was typed."""

from __future__ import annotations

import argparse
import dataclasses
import re
import typing
from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from typing import Any

from attribeval.cli import options as shared
from attribeval.common.arguments import choices, described, either, hints

_ALSO = {"targets": "--target"}  # in either number
_PROGRESS = "progress"  # --quiet says it


def add(
    command: argparse._ActionsContainer,
    options: type,
    *,
    names: Mapping[str, str] | None = None,
    without: Collection[str] = (),
    only: Collection[str] | None = None,
) -> None:
    """Add a flag for each field of a dataclass: its words from the docstring, how it is read from its type.

    `names` says how a field's flag is called, where that differs; fields of `without` have flags already.
    """
    said, kinds = described(options), hints(options)
    for field in dataclasses.fields(options):
        if field.name in {_PROGRESS, *without} or (only is not None and field.name not in only):
            continue
        default = None if field.default is dataclasses.MISSING else field.default
        default = list(default) if isinstance(default, tuple) else default
        about: dict[str, Any] = {"default": default, "help": _help(said[field.name], default)}
        name = (names or {}).get(field.name, field.name)
        if name == "methods":
            shared.add_methods(command, **about)
        elif name == "run_dir":
            shared.add_run_dir(command, about["help"], required=field.default is dataclasses.MISSING)
        else:
            flags = [f"--{name.replace('_', '-')}", *([_ALSO[name]] if name in _ALSO else [])]
            command.add_argument(*flags, **about, **_reading(kinds[field.name]))


def given(
    args: argparse.Namespace, options: type, *, names: Mapping[str, str] | None = None, without: Collection[str] = ()
) -> dict[str, Any]:
    """Fields of a study's options that the command line has, by name, as `add` reads them."""
    found = {}
    for field, kind in hints(options).items():
        name = (names or {}).get(field, field)
        if hasattr(args, name) and field not in without:
            found[field] = _value(getattr(args, name), either(kind))
    return found


def read(
    args: argparse.Namespace, options: type, *, names: Mapping[str, str] | None = None, without: Collection[str] = ()
) -> dict[str, Any]:
    """As `given`, after the options have checked it."""
    found = given(args, options, names=names, without=without)
    options(**found)
    return found


def _help(said: str, default: Any) -> str:
    """The first sentence, and the default: as it is typed, or what the docstring says that None means."""
    first = re.split(r"\.(?: |$)", said)[0].replace("`", "")
    first = first if first[1:2].isupper() else first[:1].lower() + first[1:]
    none = re.search(r"None: (.*?)\.(?: |$)", said)
    if default is None:
        shown = none[1] if none else ""
    else:
        shown = " ".join(map(str, default)) if isinstance(default, list) else str(default)
    shown = "" if isinstance(default, bool) else shown.replace("`", "")
    return (f"{first} (default: {shown})" if shown else first).replace("%", "%%")


def _reading(kind: Any) -> dict[str, Any]:
    """What argparse is told of a type."""
    kinds = either(kind)
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    commas = {str, float} <= {*kinds}
    several = [one for one in kinds if typing.get_origin(one) is Sequence and not commas]
    told: dict[str, Any] = {"nargs": "+"} if several else {}
    words = choices(kind)
    if words:
        return told | {"choices": words}
    if Mapping in [typing.get_origin(one) for one in kinds] and not several:
        return {"nargs": "+", "metavar": "NAME=VALUE"}
    kinds = typing.get_args(several[0]) if several else kinds
    if PathLike in kinds:
        return told | {"metavar": "DIR"}
    if str in kinds or Any in kinds:
        return told | {"metavar": "NAME"}
    if float in kinds:
        return told | {"type": _number if int in kinds else float, "metavar": "X"}
    return told | {"type": int, "metavar": "N"}


def _number(word: str) -> Any:
    """An int, a float, several with commas between them, or the word itself, which the options may refuse."""
    if "," in word:
        return [_number(one) for one in word.split(",")]
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    return word


def _value(value: Any, kinds: Sequence[Any]) -> Any:
    """What was typed as the field takes it."""
    if Any in kinds or value is None:
        return value
    if any(typing.get_origin(one) is Mapping for one in kinds):
        return shared.parse_options(value)
    if int in kinds and isinstance(value, list) and len(value) == 1 and str(value[0]).isdecimal():
        return int(value[0])  # so many, or names
    if float in kinds and isinstance(value, str):
        return _number(value)
    return value
