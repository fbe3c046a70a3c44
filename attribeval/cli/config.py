"""`--config FILE`, `--dry-run` and `--quiet`, which every command has: options from a YAML file, and what it would do.

What `--dry-run` prints is a file that `--config` reads.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from attribeval.cli.checks import check
from attribeval.errors import AttribevalError, unknown

_OURS = ("config", "dry_run", "quiet", "help")  # no options of a command
_NOT_SAID = {"run", "check", "command", "config", "dry_run", "quiet", "part", "needs_run_dir", "grid_defaults",
             "sets_of_methods"}  # fmt: skip


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of all commands that run: `bench`, `bam build`, `bam run`, …."""
    below = _below(parser)
    if not below:
        yield parser
    for choice in dict.fromkeys(below.values()):
        yield from leaves(choice)


def add(root: argparse.ArgumentParser) -> None:
    """Give every command these options."""
    for leaf in leaves(root):
        group = leaf.add_argument_group("any command")
        group.add_argument("--config", metavar="FILE", help="options from a YAML file; words given here go before it")
        group.add_argument("--dry-run", action="store_true", help="check and print the options, and do nothing")
        group.add_argument("-q", "--quiet", action="store_true", help="no progress on standard error, errors alone")


def with_config(root: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """The words of a command line and, after them, those options of its `--config` file that they do not give."""
    words = list(words)
    given = [word.partition("=")[0] for word in words]
    if "--config" not in given:
        return words
    place = given.index("--config")
    file = words[place].partition("=")[2] or (words[place + 1] if place + 1 < len(words) else "")
    leaf = root
    for word in words:
        if word in _below(leaf):
            leaf = _below(leaf)[word]
    known = {}
    for action in sorted(leaf._actions, key=lambda one: bool(one.option_strings)):  # a flag goes before a place
        if action.dest not in _OURS:
            for name in action.option_strings or [action.dest]:
                known[name.replace("_", "-").lstrip("-")] = name, action
    for name, value in _read(file).items():
        typed = str(name).replace("_", "-").lstrip("-")
        if typed not in known:
            raise unknown(f"option of {leaf.prog} in {file}", str(name), known)
        option, action = known[typed]
        if not action.option_strings:
            action.nargs, action.default, action.required = "?" if action.nargs is None else "*", value, False
        elif not any(_is_typed(one, given) for one in action.option_strings):
            words += _words(option, action, value, file)
    return words


def check_commands(root: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Refuse a command that is none with the nearest names, which argparse does not say."""
    for word in words:
        below = _below(root)
        if not below or word.startswith("-"):
            return
        if word not in below:
            raise unknown(f"command of {root.prog}", word, below)
        root = below[word]


def check_config(args: argparse.Namespace, words: Sequence[str]) -> None:
    """Refuse an abbreviated `--config`, which argparse understands and `with_config` does not look for."""
    if args.config and "--config" not in [word.partition("=")[0] for word in words]:
        raise AttribevalError("Expected --config written in full. Received it abbreviated.")


def dry_run(args: argparse.Namespace) -> None:
    """Check what can be checked without computing, and print the options as YAML, which `with_config` reads."""
    import yaml

    check(args)
    options = {name: value for name, value in vars(args).items() if name not in _NOT_SAID and value not in (None, [])}
    print(f"# attribeval {args.command}, not run (--dry-run)")
    print(yaml.safe_dump(options, sort_keys=False, allow_unicode=True), end="")


def _below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    inner = (action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return next(inner, {})


def _is_typed(option: str, given: Sequence[str]) -> bool:
    """Whether an option stands among the words: as it is, abbreviated as argparse allows, or -x with its value."""
    if option.startswith("--"):
        return any(len(word) > 2 and option.startswith(word) for word in given if word.startswith("--"))
    return any(word.startswith(option) for word in given if not word.startswith("--"))


def _read(file: str) -> dict[str, Any]:
    import yaml

    try:
        with open(file, encoding="utf-8") as stream:
            read = yaml.safe_load(stream)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AttribevalError(f"Expected --config to name a YAML file. Received {file!r}: {error}.") from error
    if read is None:
        return {}
    if not isinstance(read, dict):
        raise AttribevalError(f"Expected {file} to hold a line 'option: value' each. Received: {type(read).__name__}.")
    return read


def _words(name: str, action: argparse.Action, value: Any, file: str) -> list[str]:
    """An option and its value as they would be typed."""
    if action.nargs == 0:  # a switch
        if not isinstance(value, bool):
            raise AttribevalError(f"Expected {name} in {file} to be true or false. Received: {value!r}.")
        opposite = name.replace("--no-", "--") if name.startswith("--no-") else f"--no-{name[2:]}"
        off = [opposite] if opposite in action.option_strings else []
        return [name] if value else off
    values = value if isinstance(value, list) else [value]
    if any(isinstance(one, dict | list) or one is None for one in values):
        raise AttribevalError(f"Expected {name} in {file} to be a value or a list of values. Received: {value!r}.")
    if action.nargs is None:
        if len(values) != 1:
            raise AttribevalError(f"Expected one value of {name} in {file}. Received: {value!r}.")
        return [f"{name}={values[0]}"]
    return [name, *map(str, values)]
