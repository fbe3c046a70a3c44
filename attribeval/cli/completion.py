"""`attribeval completion`: a script that lets a shell complete commands, options and names of methods.

It is made from the parser itself and is static: pressing Tab starts no Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_METHODS = ("--method", "--methods")
_HELP = """\
bash:  attribeval completion bash > ~/.local/share/bash-completion/completions/attribeval
zsh:   attribeval completion zsh > DIR/_attribeval, where DIR is in $fpath before compinit runs
fish:  attribeval completion fish > ~/.config/fish/completions/attribeval.fish
"""


@dataclass(frozen=True)
class Place:
    """What may follow some words of the command line.

    Attributes:
        path: The words after `attribeval`, such as ("bam", "run").
        commands: Name → help of the commands below; and positional values, without help, where only some are valid.
        options: Option string → help.
        values: Option string, if it takes a value → which; none are named for a file or free text.
    """

    path: tuple[str, ...]
    commands: dict[str, str]
    options: dict[str, str]
    values: dict[str, tuple[str, ...]]


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "completion",
        help="print a script that completes commands in your shell",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("shell", choices=sorted(_SCRIPTS), help="whose script")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the script."""
    from attribeval.cli import parser
    from attribeval.methods.registry import METHODS

    print(_SCRIPTS[args.shell](list(places(parser(), tuple(sorted(METHODS))))), end="")


def places(parser: argparse.ArgumentParser, methods: tuple[str, ...], path: tuple[str, ...] = ()) -> Iterator[Place]:
    """The place of a parser that the words of `path` lead to, then those of its commands."""
    below: dict[str, argparse.ArgumentParser] = {}
    commands: dict[str, str] = {}
    options: dict[str, str] = {}
    values: dict[str, tuple[str, ...]] = {}
    for action in parser._actions:  # argparse has no public way to ask; these names are as old as the module
        if isinstance(action, argparse._SubParsersAction):
            below |= action.choices
            commands |= {choice.dest: choice.help or "" for choice in action._choices_actions}
        elif action.option_strings:
            for name in action.option_strings:
                options[name] = " ".join((action.help or "").split()).replace("%%", "%")
                if action.nargs != 0:
                    known = methods if name in _METHODS else ()
                    values[name] = tuple(map(str, action.choices or known))
        elif action.choices:
            commands |= dict.fromkeys(map(str, action.choices), "")
    yield Place(path, commands, options, values)
    for name, inner in below.items():
        yield from places(inner, methods, (*path, name))


# What bash and zsh do alike: follow the words to a place, and take what may stand there.
_WALK = """\
        case "$word" in -*) option="$word"; continue ;; esac
        case "$place/$word" in
@DESCENTS@
        esac
    done
    case "$place" in
@PLACES@
    esac
    case "$place $option" in
@VALUES@
    esac"""


# -- bash --------------------------------------------------------------------------------------------------------------

_BASH = """\
# attribeval: completion for bash; made by `attribeval completion bash`
_attribeval() {
    local current="${COMP_WORDS[COMP_CWORD]}" place="" option="" commands="" options="" values="" word i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
@WALK@
    COMPREPLY=()
    case "$current" in
        -*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;
        *) COMPREPLY=($(compgen -W "$commands $values" -- "$current")) ;;
    esac
}
complete -o default -F _attribeval attribeval
"""


def _bash(found: list[Place]) -> str:
    def listed(names: Iterable[str]) -> str:
        return f'"{" ".join(names)}"'

    return _filled(_BASH, found, listed, listed)


# -- zsh ---------------------------------------------------------------------------------------------------------------

_ZSH = """\
#compdef attribeval
# attribeval: completion for zsh; made by `attribeval completion zsh`
_attribeval() {
    local place="" option="" word
    local -a commands options values
    for word in "${(@)words[2,CURRENT-1]}"; do
@WALK@
    if [[ "${words[CURRENT]}" == -* ]]; then
        _describe -o option options
        return
    fi
    (( $#commands )) && _describe command commands
    (( $#values )) && compadd -a values
    (( $#commands + $#values )) || _files
}
if [[ "${funcstack[1]}" == _attribeval ]]; then
    _attribeval "$@"
else
    compdef _attribeval attribeval
fi
"""


def _zsh(found: list[Place]) -> str:
    def described(items: dict[str, str]) -> str:
        return listed(f"{name.replace(':', chr(92) + ':')}:{text}" for name, text in items.items())

    def listed(names: Iterable[str]) -> str:
        return f"({' '.join(map(_quoted, names))})"

    return _filled(_ZSH, found, described, listed)


# -- fish --------------------------------------------------------------------------------------------------------------

_FISH = """\
# attribeval: completion for fish; made by `attribeval completion fish`
function __attribeval_place
    set -l place ""
    for word in (commandline -opc)[2..-1]
        switch "$place/$word"
            case @KNOWN@
                set place "$place/$word"
        end
    end
    test "$place" = "$argv[1]"
end
@LINES@
"""


def _fish(found: list[Place]) -> str:
    lines = []
    for p in found:
        start = f"complete -c attribeval -n '__attribeval_place \"{_slashes(p)}\"'"
        for name, text in p.commands.items():
            lines.append(f"{start} -f -a {name} -d {_fish_quoted(text)}")
        for name, text in p.options.items():
            form = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
            takes = " -r" if name in p.values else ""
            if p.values.get(name):
                takes = f" -x -a {_fish_quoted(' '.join(p.values[name]))}"
            lines.append(f"{start} {form}{takes} -d {_fish_quoted(text)}")
    known = " ".join(_fish_quoted(_slashes(p)) for p in found if p.path)
    return _FISH.replace("@KNOWN@", known).replace("@LINES@", "\n".join(lines))


def _slashes(place: Place) -> str:
    return "".join(f"/{word}" for word in place.path)


def _filled(script: str, found: list[Place], described: Callable[[dict], str], listed: Callable[[Any], str]) -> str:
    """A script of bash or zsh, whose cases differ in how names are written, with their help and without."""
    descents, places, values, script = [], [], [], script.replace("@WALK@", _WALK)
    for p in found:
        place = _slashes(p)
        if p.path:
            descents.append(f'            "{place}") place="{place}"; option="" ;;')
        places.append(f'        "{place}") commands={described(p.commands)}; options={described(p.options)} ;;')
        values += [f'        "{place} {name}") values={listed(these)} ;;' for name, these in p.values.items() if these]
    for name, lines in (("DESCENTS", descents), ("PLACES", places), ("VALUES", values)):
        script = script.replace(f"@{name}@", "\n".join(lines))
    return script


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SCRIPTS: dict[str, Callable[[list[Place]], str]] = {"bash": _bash, "fish": _fish, "zsh": _zsh}
