"""Completion scripts, asked in the shells themselves; exit codes, colour, and what help costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from attribeval.cli import main, parser
from attribeval.cli.completion import places
from attribeval.methods.registry import METHODS

BAM_RUN = "attribeval bam run"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        done = subprocess.run(
            [sys.executable, "-m", "attribeval", "completion", shell], capture_output=True, text=True, check=True
        )
        (folder / shell).write_text(done.stdout)
    return folder


def needs(shell: str):
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"no {shell} on PATH")


def run(*words, **options) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, **options).stdout


def bash(scripts, *words: str) -> list[str]:
    """What bash offers for the last word: the function of `complete -F`, called as bash calls it."""
    code = """
    source "$1"; shift
    [[ "$(complete -p attribeval)" == *"-F _attribeval attribeval" ]] || exit 3
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _attribeval
    printf '%s\\n' "${COMPREPLY[@]}"
    """
    return run("bash", "--norc", "-c", code, "bash", str(scripts / "bash"), *words).split()


def actions_of(*path: str):
    one = parser()
    for word in path:
        one = next(a for a in one._actions if a.dest in ("command", "part") and a.choices).choices[word]
    return one


@needs("bash")
def test_bash_completes_commands_options_values_and_methods(scripts):
    commands = set(actions_of()._actions[-1].choices)
    assert set(bash(scripts, "attribeval", "")) == commands >= {"demo", "report", "completion"}
    assert bash(scripts, "attribeval", "cross") == ["crosscheck"]
    assert set(bash(scripts, "attribeval", "bam", "")) == {"build", "run", "report"}
    options = {name for action in actions_of("bam", "run")._actions for name in action.option_strings}
    assert set(bash(scripts, *BAM_RUN.split(), "-")) == options
    assert bash(scripts, *BAM_RUN.split(), "folder", "--proto") == ["--protocol"]  # a positional does not lead away
    assert set(bash(scripts, *BAM_RUN.split(), "--protocol", "")) == {"fixed", "paper", "reference"}
    assert set(bash(scripts, *BAM_RUN.split(), "--methods", "lrp", "gradc")) == {"gradcam", "gradcam++"}
    assert set(bash(scripts, "attribeval", "explain", "a.png", "--method", "")) == set(METHODS)
    assert set(bash(scripts, "attribeval", "completion", "")) == {"bash", "zsh", "fish"}
    assert bash(scripts, "attribeval", "explain", "pho") == []  # then bash itself completes files: -o default
    assert "-o default" in (scripts / "bash").read_text()
    # the name of a command is a value like others behind an option of another command
    assert bash(scripts, "attribeval", "bam", "run", "report", "--net") == ["--net"]


@needs("zsh")
def test_zsh_completes(scripts):
    """The function is called with zsh's own variables set; `_describe` and `compadd` write down what they are given."""
    code = """
    script=$1; shift
    compdef() { : }; _files() { print -r -- FILES }
    _describe() { [[ $1 == -o ]] && shift; shift; print -rl -- "${(@P)1}" }
    compadd() { shift; print -rl -- "${(@P)1}" }
    source $script
    words=("$@"); CURRENT=$#; _attribeval
    """

    def zsh(*words: str) -> list[str]:
        lines = run("zsh", "-f", "-c", code, "zsh", str(scripts / "zsh"), *words).splitlines()
        return [line.split(":")[0] for line in lines]

    assert set(zsh("attribeval", "")) == set(actions_of()._actions[-1].choices)
    assert set(zsh("attribeval", "bam", "")) == {"build", "run", "report"}
    assert set(zsh(*BAM_RUN.split(), "--protocol", "")) == {"fixed", "paper", "reference"}
    assert "--series-steps" in zsh(*BAM_RUN.split(), "x", "-") and "--coco" not in zsh(*BAM_RUN.split(), "-")
    assert set(zsh("attribeval", "explain", "--method", "")) == set(METHODS)
    assert zsh("attribeval", "explain", "") == ["FILES"]


@needs("fish")
def test_fish_completes(scripts, tmp_path):
    def fish(line: str) -> list[str]:
        environment = os.environ | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
        code = 'source $argv[1]; complete -C "$argv[2]"'
        out = run("fish", "--no-config", "-c", code, str(scripts / "fish"), line, env=environment, cwd=tmp_path)
        return [text.split("\t")[0] for text in out.splitlines()]

    assert set(fish("attribeval ")) == set(actions_of()._actions[-1].choices)
    assert set(fish("attribeval bam ")) == {"build", "run", "report"}
    assert set(fish(f"{BAM_RUN} --protocol ")) == {"fixed", "paper", "reference"}
    assert set(fish(f"{BAM_RUN} x --ser")) == {"--series-steps", "--series-scenes", "--series-images"}
    assert set(fish("attribeval explain --method ")) == set(METHODS)


def test_every_command_and_option_is_in_every_script(scripts):
    found = list(places(parser(), ("gradcam",)))
    assert len({place.path for place in found}) == len(found) > 10
    for shell in ("bash", "zsh", "fish"):
        text = (scripts / shell).read_text()
        for place in found:
            for name in place.options:
                assert name.lstrip("-") in text, (shell, place.path, name)


def test_an_unknown_shell_is_bad_input(capsys):
    with pytest.raises(SystemExit) as error:
        main(["completion", "tcsh"])
    assert error.value.code == 2 and "fish" in capsys.readouterr().err


def test_help_says_what_exit_codes_mean(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    codes = text[text.index("exit codes:") :]
    assert [line.split()[0] for line in codes.splitlines()[1:6]] == ["0", "1", "2", "3", "130"]


def test_help_and_completion_load_nothing_heavy():
    heavy = ("tensorflow", "keras", "numpy", "pandas", "matplotlib", "scipy", "jinja2", "PIL")
    code = f"""
import sys
from attribeval.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print([name for name in {heavy} if name in sys.modules], file=sys.stderr)
"""
    for words in (["--help"], ["bam", "run", "--help"], ["report", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        assert done.stderr.strip() == "[]", words
    done = subprocess.run(
        [sys.executable, "-c", code, "completion", "bash"], capture_output=True, text=True, check=True
    )
    assert "tensorflow" not in done.stderr


def test_nothing_is_coloured_when_colours_are_unwanted():
    environment = os.environ | {"NO_COLOR": "1", "TERM": "xterm-256color"}
    for words in (["--help"], ["methods"], ["report", "no-such-folder"]):
        command = [sys.executable, "-m", "attribeval", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert "\x1b" not in done.stdout + done.stderr


def test_no_colour_is_made_anywhere():
    """On a terminal neither: no escape sequence is in the package's sources."""
    from pathlib import Path

    import attribeval

    for path in Path(attribeval.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "\\x1b[" not in text and "\\033[" not in text, path
