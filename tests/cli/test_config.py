"""Options from a file, and commands that only say what they would do."""

from __future__ import annotations

import argparse

import pytest
import yaml

from attribeval import AttribevalError
from attribeval.cli import config, main, parser


def write(tmp_path, text: str) -> str:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    return str(file)


def parsed(words: list[str]) -> argparse.Namespace:
    root = parser()
    return root.parse_args(config.with_config(root, words))


def test_a_file_and_words_give_the_same_options(tmp_path):
    file = write(
        tmp_path, "model: digit_objects\nmethods: [gradcam, 'vargrad(gradient, samples=6)']\nlimit: 7\nno-cache: true\n"
    )
    words = ["bench", "--model", "digit_objects", "--methods", "gradcam", "vargrad(gradient, samples=6)", "--limit",
             "7", "--no-cache"]  # fmt: skip
    a, b = vars(parsed(["bench", "--config", file])), vars(parsed(words))
    assert {k: v for k, v in a.items() if k != "config"} == {k: v for k, v in b.items() if k != "config"}
    assert vars(parsed(["bench", f"--config={file}"]))["limit"] == 7


def test_words_go_before_the_file(tmp_path):
    file = write(tmp_path, "limit: 7\nseed: 3\noutput: there\n")
    args = parsed(["bench", "--limit", "2", "-o", "here", "--config", file])
    assert (args.limit, args.seed, args.output) == (2, 3, "here")


def test_abbreviated_words_go_before_the_file_too(tmp_path, capsys):
    file = write(tmp_path, "limit: 7\noutput: there\n")
    args = parsed(["bench", "--lim", "2", "-ohere", "--config", file])
    assert (args.limit, args.output) == (2, "here")
    assert main(["bench", "--confi", file]) == 2
    assert "written in full" in capsys.readouterr().err


def test_parts_of_commands_and_what_is_required(tmp_path):
    file = write(tmp_path, "data: digits\nfractions: [0.3, 0.9]\nrepeats: 2\n")
    args = parsed(["roar", "plan", "--config", file])
    assert (args.data, args.fractions, args.repeats) == ("digits", [0.3, 0.9], 2)
    assert parsed(["crosscheck", "--config", write(tmp_path, "model: vgg16")]).model == "vgg16"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("methid: gradcam", "Did you mean 'method"),
        ("- gradcam", "'option: value'"),
        ("limit: {a: 1}", "value or a list"),
        ("limit: [1, 2]", "one value of --limit"),
        ("no-cache: 3", "true or false"),
        ("limit: [", "YAML file"),
    ],
)
def test_a_bad_file_is_one_line_and_exit_code_2(tmp_path, capsys, text, message):
    assert main(["bench", "--config", write(tmp_path, text)]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    with pytest.raises(AttribevalError, match="YAML file"):
        parsed(["bench", "--config", str(tmp_path / "none.yaml")])


def test_a_dry_run_does_nothing_and_prints_what_config_reads(tmp_path, capsys):
    words = ["bench", "--model", "digit_objects", "--limit", "3", "--methods", "gradcam", "--benchmarks",
             "deletion(steps=8)", "--run-dir", str(tmp_path / "run"), "-o", str(tmp_path / "out")]  # fmt: skip
    assert main([*words, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert yaml.safe_load(printed)["benchmarks"] == ["deletion(steps=8)"]
    again = parsed(["bench", "--config", write(tmp_path, printed)])
    plain = parsed(words)
    assert {k: v for k, v in vars(again).items() if k != "config"} == {
        k: v for k, v in vars(plain).items() if k != "config"
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "gradcan"], "Did you mean 'gradcam'"),
        (["--benchmarks", "deletoin"], "Did you mean 'deletion'"),
        (["--benchmarks", "deletion(step=3)"], "Did you mean 'steps'"),
        (["--imagenet", "no/such/folder"], "no/such/folder"),
        (["--model", "missing.keras"], "missing.keras"),
    ],
)
def test_a_dry_run_finds_what_is_wrong(capsys, words, message):
    assert main(["bench", "--dry-run", *words]) == 2
    assert message in capsys.readouterr().err


def test_every_command_has_both_options_and_none_needs_tensorflow_for_them():
    assert len(list(config.leaves(parser()))) >= 16
    for leaf in config.leaves(parser()):
        assert {"--config", "--dry-run"} <= set(leaf._option_string_actions)
