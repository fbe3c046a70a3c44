"""`attribeval explain` over folders: resumed with identical files, in flat memory, whatever else lies there."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import forks
from PIL import Image

from attribeval import AttribevalError, Attributer, Attributions
from attribeval.cli import main
from attribeval.datasets.listing import list_images


@pytest.fixture
def photographs(tmp_path):
    """Ten images in two folders, two of them with one stem, and things that are none."""
    folder = tmp_path / "cxr"
    draw = np.random.default_rng(0)
    for name in ["a/0.png", "a/0.jpg", *(f"b/{i}.png" for i in range(8))]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (40, 36, 3), np.uint8)).save(path)
    (folder / "notes.csv").write_text("no image")
    (folder / ".hidden.png").write_text("no image")
    return folder


def explain(*words) -> int:
    return main(["explain", *map(str, words)])


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_image_has_its_map_that_knows_it(model_file, photographs, tmp_path):
    out = tmp_path / "out"
    names = tmp_path / "names.txt"
    attributer = Attributer(model_file)
    names.write_text("\n".join(f"name {k}" for k in range(attributer.classifier.classes)))
    words = [
        photographs,
        "--model",
        model_file,
        "--method",
        "gradient",
        "-o",
        out,
        "--no-pictures",
        "--class-names",
        names,
    ]
    assert explain(*words, "--batch-size", 4, "--target", 1) == 0
    ids = sorted(path.relative_to(photographs).as_posix() for path in photographs.rglob("[0-9].*"))
    assert sorted(path.relative_to(out / "gradient").as_posix() for path in out.rglob("*.npz")) == [
        f"{one}.npz" for one in ids
    ]
    paths = [photographs / one for one in ids]
    expected = attributer.explain(paths, "gradient", 1, progress=False).values
    said = attributer.predict(paths, progress=False)
    with open(out / "table.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ids
    for one, path, values, output, row in zip(ids, paths, expected, said, rows, strict=True):
        maps = Attributions.load(out / "gradient" / f"{one}.npz")
        np.testing.assert_allclose(maps.values[0], values, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(maps.probabilities[0], output, atol=1e-6)
        assert maps.ids == [one] and maps.paths == [str(path)] and maps.preprocessing == "none"
        assert maps.target_layer == attributer.classifier.target_layer
        order = np.argsort(-output)
        assert row["explained"] == "name 1" and abs(float(row["probability"]) - output[1]) < 1e-6
        assert [row["class 1"], row["class 2"]] == [f"name {order[0]}", f"name {order[1]}"]
        assert abs(float(row["probability 1"]) - output.max()) < 1e-6
    assert not (out / "pictures").exists()


def test_broken_images_are_listed_at_the_end_and_the_others_are_explained(model_file, photographs, tmp_path, capsys):
    whole = (photographs / "b/3.png").read_bytes()
    (photographs / "b/3.png").write_bytes(whole[: len(whole) // 2])
    (photographs / "b/text.png").write_text("no image")
    out = tmp_path / "out"
    words = [photographs, "--model", model_file, "-o", out, "--no-pictures"]
    assert explain(*words) == 1
    said = capsys.readouterr()
    assert "9 of 11 images explained" in said.out and len(list(out.rglob("*.npz"))) == 9
    assert [line.split(":")[1].strip() for line in said.err.splitlines()] == ["b/3.png", "b/text.png"]
    before = contents(out)
    (photographs / "b/3.png").write_bytes(whole)
    (photographs / "b/text.png").unlink()
    assert explain(*words) == 0
    assert "10 of 10 images explained (9 of them before)" in capsys.readouterr().out
    after = contents(out)
    assert {name: after[name] for name in before if name != "table.csv"} == {
        name: digest for name, digest in before.items() if name != "table.csv"
    }
    lone = photographs / "b/alone.png"
    lone.write_text("no image")
    assert explain(lone, "--model", model_file, "-o", tmp_path / "none") == 2  # nothing could be explained


def test_a_changed_image_is_explained_anew_and_a_damaged_map_made_again(model_file, photographs, tmp_path):
    out = tmp_path / "out"
    words = [photographs, "--model", model_file, "-o", out]
    assert explain(*words) == 0
    first = contents(out)
    damaged, changed = "gradcam/b/5.png.npz", "b/6.png"
    (out / damaged).write_bytes((out / damaged).read_bytes()[:100])
    (out / "pictures/b/4.png.png").unlink()
    pixels = np.random.default_rng(9).integers(0, 256, (40, 36, 3), np.uint8)
    Image.fromarray(pixels).save(photographs / changed)
    assert explain(*words) == 0
    second = contents(out)
    assert {name for name in first if first[name] != second[name]} == {
        f"gradcam/{changed}.npz", f"pictures/{changed}.png", "table.csv",
    }  # fmt: skip
    again = Attributer(model_file).explain(photographs / changed, "gradcam", progress=False).values
    np.testing.assert_allclose(Attributions.load(out / f"gradcam/{changed}.npz").values, again, atol=1e-6)


def test_other_settings_in_the_same_folder_are_refused_by_name(model_file, photographs, tmp_path, capsys):
    out = tmp_path / "out"
    words = [photographs / "a", "--model", model_file, "-o", out, "--no-pictures"]
    assert explain(*words, "--method", "smoothgrad(gradient)", "--option", "sample=2") == 2  # and leaves no settings
    assert explain(*words, "--method", "smoothgrad(gradient)", "--option", "samples=2") == 0
    before = contents(out)
    for changed, message in [
        (["--method", "smoothgrad(gradient)", "--option", "samples=2", "--seed", 1], "seed was 0, is 1"),
        (["--method", "smoothgrad(gradient)", "--option", "samples=2", "--target", 2], "targets was None, is .'2'."),
        (
            ["--method", "smoothgrad(gradient)", "--option", "samples=2", "--preprocess", "unit"],
            "preprocessing was 'none', is 'un",
        ),
        (
            ["--method", "smoothgrad(gradient)", "--option", "samples=3"],
            r"options of smoothgrad\(gradient\) was .*2.*, is .*3",
        ),
    ]:
        capsys.readouterr()
        assert explain(*words, *changed) == 2
        assert re.search(message, capsys.readouterr().err)
    assert contents(out) == before
    assert explain(*words, "--method", "gradient") == 0  # another method has files of its own
    after = contents(out)
    assert {name: after[name] for name in before if name.endswith("npz")} == {
        name: digest for name, digest in before.items() if name.endswith("npz")
    }
    assert set(json.loads((out / "settings.json").read_text())["methods"]) == {"smoothgrad(gradient)", "gradient"}


def test_what_is_given_is_listed_once_and_its_ids_are_paths_below_the_folder(photographs, tmp_path):
    assert list(list_images([photographs / "a"])) == ["0.jpg", "0.png"]
    by_pattern = list_images([str(photographs / "**/*.png"), photographs / "b"])
    assert list(by_pattern) == ["a/0.png", *(f"b/{i}.png" for i in range(8))]
    assert by_pattern["a/0.png"] == photographs / "a/0.png"
    assert list(list_images([photographs], leave_out=[photographs / "b"])) == ["a/0.jpg", "a/0.png"]
    for given, message in [
        (tmp_path / "none", "no such file or folder"),
        (str(tmp_path / "*.gif"), "Received none"),
        (tmp_path / "empty", "Received none"),
    ]:
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(AttribevalError, match=message):
            list_images([given])


def test_a_run_that_is_killed_three_times_ends_with_identical_files(model_file, tmp_path):
    draw = np.random.default_rng(1)
    for i in range(60):
        path = tmp_path / f"in/{i:03d}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (40, 40, 3), np.uint8)).save(path)

    def command(out):
        words = ["explain", tmp_path / "in", "--model", model_file, "-o", out, "--batch-size", 3, "--no-pictures"]
        words += ["--method", "smoothgrad(gradient)", "gradcam"]
        return [sys.executable, "-m", "attribeval", *map(str, words)]

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    killed = tmp_path / "killed"
    for wanted in (5, 40, 75):
        process = forks.Popen(command(killed), **quiet)
        until = time.monotonic() + 120
        while len(list(killed.rglob("*.npz"))) < wanted and time.monotonic() < until and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
        assert not (killed / "table.csv").exists()
    (killed / "gradcam/.001.jpg.npz.0.tmp").write_bytes(b"half")  # as a killed process leaves it
    assert forks.run(command(killed), **quiet).returncode == 0
    assert forks.run(command(tmp_path / "whole"), **quiet).returncode == 0
    whole = contents(tmp_path / "whole")
    assert len(whole) == 2 * 60 + 2 and contents(killed) == whole


def test_the_table_of_maps_says_what_the_model_says(model_file, photographs):
    attributer = Attributer(model_file)
    paths = sorted(photographs.glob("b/*.png"))
    maps = attributer.explain(paths, "gradient", progress=False)
    said = attributer.predict(paths, progress=False)
    np.testing.assert_allclose(maps.probabilities, said, atol=1e-6)
    table = maps[2:5].table(top=2)
    assert list(table["image"]) == ["2.png", "3.png", "4.png"] and list(table["path"]) == [str(p) for p in paths[2:5]]
    assert list(table["explained"]) == [f"class {k}" for k in said[2:5].argmax(1)] == list(table["class 1"])
    np.testing.assert_allclose(table["probability 2"], np.sort(said[2:5])[:, -2], atol=1e-6)
    bare = attributer.explain(attributer.read(paths), "gradient", 0, progress=False)
    assert bare.ids is None and bare.probabilities is None and list(bare.table()) == ["image", "explained"]
