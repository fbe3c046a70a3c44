"""`--config FILE`, `--dry-run` and `--quiet`, which every command has: options from a YAML file, and what it would do.

What `--dry-run` prints is a file that `--config` reads.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from attribeval.errors import AttribevalError, unknown

_OURS = ("config", "dry_run", "quiet", "help")  # no options of a command
_NAMES = ("methods", "benchmarks")  # options that name what the registries know


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
    """The words of a command line and, after them, those options of its `--config` file that they do not give.

    Args:
        root: The whole command line's parser.
        words: After `attribeval`.

    Raises:
        AttribevalError: If the file cannot be read, is no mapping, or has an option that the command has not.
    """
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
    actions = {
        option.lstrip("-").replace("-", "_"): action
        for action in leaf._actions
        if action.dest not in _OURS
        for option in action.option_strings
        if option.startswith("--")
    }
    for name, value in _read(file).items():
        action = actions.get(str(name).replace("-", "_").lstrip("_"))
        if action is None:
            raise unknown(f"option of {leaf.prog} in {file}", str(name), [one.replace("_", "-") for one in actions])
        if not any(_is_typed(option, given) for option in action.option_strings):
            words += _words(action, value, file)
    return words


def check_commands(root: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Refuse a command that is none with the nearest names, which argparse does not say.

    Raises:
        AttribevalError: If there is one.
    """
    for word in words:
        below = _below(root)
        if not below or word.startswith("-"):
            return
        if word not in below:
            raise unknown(f"command of {root.prog}", word, below)
        root = below[word]


def check_config(args: argparse.Namespace, words: Sequence[str]) -> None:
    """Refuse an abbreviated `--config`, which argparse understands and `with_config` does not look for.

    Raises:
        AttribevalError: If there is one.
    """
    if args.config and "--config" not in [word.partition("=")[0] for word in words]:
        raise AttribevalError("Expected --config written in full. Received it abbreviated.")


def dry_run(args: argparse.Namespace) -> None:
    """Print the options as YAML; names of methods and benchmarks are checked first.

    Raises:
        AttribevalError: If a method or benchmark is unknown, or a file or folder to be read is not there.
    """
    import yaml

    for option in _NAMES:
        value = getattr(args, option, None)
        for name in [value] if isinstance(value, str) else value or []:
            _check_name(option, name)
    for option in ("imagenet", "coco", "metadata", "boxes", "maps"):
        _check_path(option, getattr(args, option, None))
    if str(getattr(args, "model", None)).endswith((".keras", ".h5")):
        _check_path("model", args.model)
    ours = {"run", "command", "config", "dry_run", "quiet", "part", "needs_run_dir", "grid_defaults"}
    options = {name: value for name, value in vars(args).items() if name not in ours and value not in (None, [])}
    print(f"# attribeval {args.command}, not run (--dry-run)")
    print(yaml.safe_dump(options, sort_keys=False, allow_unicode=True), end="")


def _check_name(option: str, name: str) -> None:
    from attribeval.benchmarks.leaderboard.plan import benchmark_of
    from attribeval.common.grammar import parse
    from attribeval.methods.given import is_name, labelled, method_of

    ((label, given),) = labelled(name).items()
    if option == "benchmarks":
        benchmark_of(given, label)
    elif given != "all" and not (is_name(given) and parse(given).name == "expected_gradients"):  # needs references, too
        method_of(given, label)


def _check_path(option: str, path: Any) -> None:
    from pathlib import Path

    if path and not Path(path).exists():
        raise AttribevalError(f"Expected --{option} to be there. Received a path that is not: {path}.")


def _below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


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


def _words(action: argparse.Action, value: Any, file: str) -> list[str]:
    """An option and its value as they would be typed."""
    name = max(action.option_strings, key=len)
    if action.nargs == 0:  # a switch
        if not isinstance(value, bool):
            raise AttribevalError(f"Expected {name} in {file} to be true or false. Received: {value!r}.")
        return [name] if value else []
    values = value if isinstance(value, list) else [value]
    if any(isinstance(one, dict | list) or one is None for one in values):
        raise AttribevalError(f"Expected {name} in {file} to be a value or a list of values. Received: {value!r}.")
    if action.nargs is None:
        if len(values) != 1:
            raise AttribevalError(f"Expected one value of {name} in {file}. Received: {value!r}.")
        return [f"{name}={values[0]}"]
    return [name, *map(str, values)]
