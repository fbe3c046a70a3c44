"""The same word means the same in every command: --images, --methods, --targets, --run-dir, in either number."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
from PIL import Image

from attribeval.cli import config, main, parser
from attribeval.cli.options import read_classes
from attribeval.errors import AttribevalError

LEAVES = {leaf.prog.removeprefix("attribeval "): leaf for leaf in config.leaves(parser())}
PAIRS = {"images": "image", "methods": "method", "targets": "target"}


def test_every_command_knows_both_numbers_of_a_word_and_no_word_means_two_things():
    found = {name: [] for name in PAIRS}
    for command, leaf in LEAVES.items():
        for action in leaf._actions:
            names = {option.lstrip("-") for option in action.option_strings}
            for plural, singular in PAIRS.items():
                if names & {plural, singular}:
                    assert names == {plural, singular} and action.dest == plural, command
                    found[plural].append(command)
                    assert action.type is None  # paths, names and classes: a number of images is --limit
            if "limit" in names:
                assert action.type is int, command
            if action.dest == "run_dir" and names:
                assert names == {"run-dir"}, command
    assert set(found["images"]) == {
        "explain", "concepts", "bench", "wsol", "sanity", "selftest", "crosscheck", "bam build"
    }  # fmt: skip
    assert set(found["methods"]) == {"explain", "bench", "wsol", "sanity", "roar plan", "roar run", "bam run"}
    assert set(found["targets"]) == {"explain", "concepts", "bench", "wsol", "crosscheck", "roar plan", "roar run"}


def test_every_command_about_a_run_takes_run_dir():
    with_run = {command for command, leaf in LEAVES.items() if any(a.dest == "run_dir" for a in leaf._actions)}
    assert {"bench", "wsol", "sanity", "roar run", "roar status", "roar report", "bam run", "bam report"} == with_run
    for command in with_run:
        assert "--run-dir" in LEAVES[command]._option_string_actions, command


def options(*words: str) -> dict[str, object]:
    given = vars(parser().parse_args(words))
    return {name: value for name, value in given.items() if name not in ("run", "grid_defaults")}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["explain", "a.png", "b.png", "--model", "m"], ["explain", "--images", "a.png", "b.png", "--model", "m"]),
        (["explain", "--model", "m", "a.png"], ["explain", "--model", "m", "--image", "a.png"]),
        (["explain", "a", "--model", "m", "--method", "x"], ["explain", "a", "--model", "m", "--methods", "x"]),
        (["explain", "a", "--model", "m", "--target", "3"], ["explain", "a", "--model", "m", "--targets", "3"]),
        (["bench", "--method", "x", "--target", "label"], ["bench", "--methods", "x", "--targets", "label"]),
        (["roar", "run", "runs/x", "--data", "digits"], ["roar", "run", "--data", "digits", "--run-dir", "runs/x"]),
        (["roar", "run", "--data", "digits", "runs/x"], ["roar", "run", "--run-dir", "runs/x", "--data", "digits"]),
        (["roar", "status", "runs/x"], ["roar", "status", "--run-dir", "runs/x"]),
        (["roar", "report", "runs/x", "-o", "o"], ["roar", "report", "--run-dir", "runs/x", "-o", "o"]),
        (["bam", "run", "runs/x", "--limit", "9"], ["bam", "run", "--limit", "9", "--run-dir", "runs/x"]),
        (["bam", "report", "runs/x"], ["bam", "report", "--run-dir", "runs/x"]),
    ],
)  # fmt: skip
def test_two_ways_of_saying_one_thing(one, other):
    assert options(*one) == options(*other)


def test_a_command_about_a_run_without_its_folder_says_how_to_give_it(capsys):
    for words in (["roar", "run", "--data", "digits"], ["roar", "status"], ["roar", "report"], ["bam", "report"]):
        assert main(words) == 2
        assert "Expected the folder of the run: --run-dir DIR" in capsys.readouterr().err
    assert main(["explain", "--model", "digit_objects"]) == 2
    assert "Expected image files, folders or patterns. Received none." in capsys.readouterr().err


def test_a_config_file_knows_both_numbers_too(tmp_path):
    file = tmp_path / "options.yaml"
    file.write_text("method: [gradcam]\nimages: [a.png]\nmodel: m\ntarget: 3\n")
    root = parser()
    args = root.parse_args(config.with_config(root, ["explain", "--config", str(file)]))
    assert (args.methods, args.images, args.model, args.targets) == (["gradcam"], ["a.png"], "m", ["3"])


def test_a_dry_run_of_a_run_is_read_back(tmp_path, capsys):
    words = ["roar", "run", "runs/x", "--data", "digits", "--repeats", "2"]
    assert main([*words, "--dry-run"]) == 0
    file = tmp_path / "options.yaml"
    file.write_text(capsys.readouterr().out)
    root = parser()
    again = vars(root.parse_args(config.with_config(root, ["roar", "run", "--config", str(file)])))
    plain = vars(root.parse_args(words))
    assert {k: v for k, v in again.items() if k != "config"} == {k: v for k, v in plain.items() if k != "config"}


def test_classes_are_indices_names_or_predicted():
    assert read_classes(None) is None and read_classes(["predicted"]) is None
    assert read_classes(["3"]) == 3 and read_classes(["dog"]) == "dog"
    assert read_classes(["3", "dog"]) == [3, "dog"]
    for words in (["label"], ["3", "predicted"]):
        with pytest.raises(AttribevalError, match="photographs have no labels"):
            read_classes(words)


def test_images_are_one_folder_where_a_file_names_them():
    from attribeval.cli.data import read_data

    empty = dict.fromkeys(("imagenet", "folders", "metadata", "coco", "boxes", "limit", "masks"))
    for given in ({"boxes": "b.csv", "images": ["a", "b"]}, {"imagenet": "x", "images": ["a"]}, {"images": ["a.png"]}):
        with pytest.raises(AttribevalError, match="one folder"):
            read_data(argparse.Namespace(**{**empty, **given}))
    alone = argparse.Namespace(**{**empty, "images": ["a.png", "b.png", "c.png"], "limit": 2})
    assert read_data(alone, plain=True) == ["a.png", "b.png"]


def test_bench_of_image_files_alone_is_the_board_of_their_pixels(tmp_path, capsys):
    import pandas as pd

    from attribeval import Attributer, datasets
    from attribeval.benchmarks.leaderboard.procedure import run_leaderboard

    pixels = datasets.digit_scenes(n_train=1, n_test=3).test.samples(label="object").load()
    files = [str(tmp_path / f"{i}.png") for i in range(3)]
    for file, image in zip(files, pixels, strict=True):
        Image.fromarray(image.astype(np.uint8)).save(file)
    words = ["bench", "--image", *files, "--model", "digit_objects", "--method", "gradient", "--benchmarks", "entropy"]
    assert main([*words, "--targets", "predicted", "-o", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    found = pd.read_csv(tmp_path / "out/table.csv").set_index("method")["value"]
    images = pixels.astype(np.uint8)
    asked = run_leaderboard(Attributer("digit_objects"), images, ["gradient"], ["entropy"], progress=False)
    expected = asked.table.set_index("method")["value"]
    np.testing.assert_allclose(found[expected.index], expected, rtol=1e-5)
