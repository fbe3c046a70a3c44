"""The command line, called as people call it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from helpers import forks
from PIL import Image

from attribeval import Attributions
from attribeval.cli import main
from attribeval.cli.options import parse_options
from attribeval.methods.registry import METHODS


def attribeval(*words, run=subprocess.run):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-m", "attribeval", *map(str, words)]
    return run(command, capture_output=True, text=True, env=environment)


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(path)
    return path


def test_help_and_version_name_every_command():
    done = attribeval("--help")
    assert done.returncode == 0
    for command in ("demo", "explain", "wsol", "methods"):
        assert command in done.stdout
        assert attribeval(command, "--help").returncode == 0
    assert attribeval("--version").stdout.startswith("attribeval 0.")


def test_methods_lists_every_card_without_tensorflow(capsys):
    assert main(["methods"]) == 0
    text = capsys.readouterr().out
    for name, cls in METHODS.items():
        (line,) = [line for line in text.splitlines() if line.split()[0] == name]
        assert cls.card.paper in line and cls.card.passes in line and cls.card.family in line
    code = "import sys; from attribeval.cli import main; main(['methods']); assert 'tensorflow' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_explain_writes_maps_and_a_picture(model_file, photograph, tmp_path):
    output = tmp_path / "out"
    done = attribeval("explain", photograph, "--model", model_file, "--method", "gradcam", "sobel", "-o", output)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # quiet in a pipe: no progress bar, no notes of TensorFlow
    count, *written = done.stdout.splitlines()
    assert count == "1 of 1 images explained"
    assert written == [str(output / name) for name in ("gradcam", "sobel", "pictures", "table.csv")]
    from attribeval import Attributer

    expected = Attributer(model_file).explain(photograph, "gradcam").values
    np.testing.assert_allclose(Attributions.load(output / "gradcam/photo.png.npz").values, expected, atol=1e-6)
    assert Image.open(output / "pictures/photo.png.png").size[0] > 300


def test_explain_with_an_option_and_a_target(model_file, photograph, tmp_path):
    words = ["explain", photograph, "--model", model_file, "--method", "gradcam", "--option", "layer=conv1"]
    done = attribeval(*words, "--target", 3, "-o", tmp_path, run=forks.run)
    assert done.returncode == 0, done.stderr
    maps = Attributions.load(tmp_path / "gradcam/photo.png.npz")
    assert maps.options == {"layer": "conv1", "align": False} and maps.targets[0] == 3


def test_explain_takes_task_output_and_a_class_by_name(photograph, tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, name="conv")(inputs))
    outputs = [keras.layers.Dense(units, name=f"head{units}")(x) for units in (1, 3)]
    keras.Model(inputs, outputs).save(tmp_path / "heads.keras")
    (tmp_path / "names.txt").write_text("normal\npneumonia\n")
    words = ["explain", photograph, "--model", tmp_path / "heads.keras", "--method", "gradient", "-o"]
    done = attribeval(*words, tmp_path, run=forks.run)
    assert done.returncode != 0 and "'head1' (None, 1), 'head3' (None, 3)" in done.stderr
    names = ["--class-names", tmp_path / "names.txt", "--target", "normal"]
    done = attribeval(*words, tmp_path / "head1", "--model-output", "head1", *names, run=forks.run)
    assert done.returncode == 0, done.stderr
    normal = Attributions.load(tmp_path / "head1/gradient/photo.png.npz")
    assert normal.targets[0] == 0 and normal.task == "binary"
    done = attribeval(*words, tmp_path / "head0", "--model-output", "0", "--task", "regression", run=forks.run)
    assert done.returncode == 0, done.stderr
    quantity = Attributions.load(tmp_path / "head0/gradient/photo.png.npz")
    assert quantity.task == "regression"
    np.testing.assert_allclose(normal.values, -quantity.values, atol=1e-6)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A grey net with one sigmoid unit, two class folders of scans, their boxes in a table, and names in a file."""
    import keras

    root = tmp_path_factory.mktemp("scans")
    keras.utils.set_random_seed(0)
    inputs = keras.Input((32, 32, 1))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x)).save(root / "net.keras")
    draw = np.random.default_rng(0)
    rows = ["image,x0,y0,x1,y1,label"]
    for label, name in enumerate(("normal", "pneumonia")):
        (root / name).mkdir()
        for i in range(3):
            Image.fromarray(draw.integers(0, 256, (32, 32), np.uint8)).save(root / name / f"{name}{i}.png")
            rows.append(f"{name}/{name}{i}.png," + ("4,4,20,20,1" if label else ",,,,0"))
    (root / "boxes.csv").write_text("\n".join(rows))
    (root / "names.txt").write_text("normal\npneumonia\n")
    return root


def test_the_picture_of_an_explanation_names_the_class(scans, tmp_path, monkeypatch):
    from attribeval import plots

    drawn, draw = [], plots.overlays
    monkeypatch.setattr(plots, "overlays", lambda *args, **kwargs: drawn.append(kwargs) or draw(*args, **kwargs))
    words = ["explain", scans / "pneumonia/pneumonia0.png", "--model", scans / "net.keras", "-o"]
    named = [tmp_path / "named", "--target", "normal", "--class-names", scans / "names.txt"]
    assert not main([str(word) for word in [*words, *named]])
    assert not main([str(word) for word in [*words, tmp_path / "numbered", "--target", "1"]])
    assert [kwargs["titles"] for kwargs in drawn] == [
        ["pneumonia0.png\nexplained: normal"],
        ["pneumonia0.png\nexplained: class 1"],
    ]


def test_the_picture_of_a_file_with_a_long_name_tells_its_end(scans, tmp_path, monkeypatch):
    from attribeval import plots

    drawn, draw = [], plots.overlays
    monkeypatch.setattr(plots, "overlays", lambda *args, **kwargs: drawn.append(kwargs) or draw(*args, **kwargs))
    files = [scans / "pneumonia/pneumonia0.png", scans / "normal/normal0.png"]
    for number, file in enumerate(files):
        (tmp_path / f"patient_with_a_long_name_{number}.png").write_bytes(file.read_bytes())
    words = ["explain", tmp_path, "--model", scans / "net.keras", "--target", "1", "-o", tmp_path / "out"]
    assert not main([str(word) for word in words])
    labels = [title.split("\n")[0] for kwargs in drawn for title in kwargs["titles"]]
    assert labels == ["…with_a_long_name_0.png", "…with_a_long_name_1.png"]


def test_wsol_on_scans_of_two_classes(scans, tmp_path, monkeypatch, capsys):
    from attribeval import plots

    drawn, draw = [], plots.box_overlays
    monkeypatch.setattr(plots, "box_overlays", lambda *args: drawn.append(args) or draw(*args))
    words = ["wsol", "--boxes", scans / "boxes.csv", "--images", scans, "--model", scans / "net.keras", "-o", tmp_path]
    names = ["--class-names", scans / "names.txt", "--methods", "gradient"]
    assert not main([str(word) for word in words + names])
    ((images, _, _, boxes, captions),) = drawn
    assert captions == ["pneumonia: gradient"] * 3  # scans without a box are left out
    assert images.shape == (3, 32, 32, 1) and [box.tolist() for box in boxes] == [[[4, 4, 20, 20]]] * 3
    said = capsys.readouterr().out
    assert said.startswith("top-1 accuracy ") and "top-5" not in said


def test_wsol_takes_the_tolerance_of_the_pointing_game(scans, tmp_path):
    """The scan's corner is 4√2 = 5.66 pixels from the box's first pixel, (4, 4)."""
    from attribeval import Result

    (tmp_path / "maps/pneumonia").mkdir(parents=True)
    (tmp_path / "maps/normal").mkdir()
    for i in range(3):
        heat = np.zeros((32, 32), np.float32)
        heat[0, 0] = 1
        for name in ("normal", "pneumonia"):
            np.save(tmp_path / f"maps/{name}/{name}{i}.png.npy", heat)
    words = ["wsol", "--boxes", scans / "boxes.csv", "--images", scans, "--maps", tmp_path / "maps"]
    for tolerance, share in ((5.6, 0), (5.7, 1)):
        assert not main([str(word) for word in [*words, "--tolerance", tolerance, "-o", tmp_path / "out"]])
        table = Result.load(tmp_path / "out").table.set_index(["method", "metric"])
        assert table.loc[("maps", "PointingGame"), "value"] == share


def test_wsol_on_a_made_up_imagenet(small_model, tmp_path):
    """Kaggle layout, seven classes, through to table, files and report."""
    root = tmp_path / "ILSVRC"
    images, notes = root / "Data/CLS-LOC/val", root / "Annotations/CLS-LOC/val"
    images.mkdir(parents=True)
    notes.mkdir(parents=True)
    wnids = [f"n{i:08d}" for i in range(1000)]
    (root / "LOC_synset_mapping.txt").write_text("".join(f"{w} thing {w}\n" for w in wnids))
    rng = np.random.default_rng(0)
    lines = ["ImageId,PredictionString"]
    for i in range(5):
        name, wnid = f"ILSVRC2012_val_{i + 1:08d}", wnids[i]
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(images / f"{name}.JPEG")
        box = "<bndbox><xmin>8</xmin><ymin>6</ymin><xmax>72</xmax><ymax>54</ymax></bndbox>"
        (notes / f"{name}.xml").write_text(
            f"<annotation><filename>{name}</filename><size><width>80</width><height>60</height><depth>3</depth></size>"
            f"<object><name>{wnid}</name>{box}</object></annotation>"
        )
        lines.append(f"{name},{wnid} 8 6 72 54")
    (root / "LOC_val_solution.csv").write_text("\n".join(lines) + "\n")
    model = tmp_path / "small.keras"
    small_model.save(model)
    output = tmp_path / "out"
    words = ["wsol", "--imagenet", root, "--model", model, "--methods", "gradcam", "random", "-o", output]
    done = attribeval(*words, run=forks.run)
    assert done.returncode == 0, done.stderr
    assert "top-1 accuracy" in done.stdout and "centred box" in done.stdout and "whole image" in done.stdout
    # The box is 80 % of each side: .64 of the image meets the whole image (.64) and holds the centred box (.5 / .64).
    table = np.genfromtxt(output / "table.csv", delimiter=",", names=True, dtype=None, encoding=None)
    values = {row["method"]: row["value"] for row in table if row["metric"] == "MaxBoxAcc"}
    assert values["whole image"] == 1.0 and values["centred box"] == 1.0
    assert json.loads((output / "result.json").read_text())["settings"]["images"] == 5
    assert (output / "report.html").is_file() and (output / "wsol.png").is_file()
    assert Image.open(output / "boxes.png").size[0] > 300


def test_wsol_scores_map_files_without_a_model(tmp_path, capsys):
    """wsolevaluation's layout: metadata and <id>.npy; TensorFlow is not needed for it."""
    metadata, maps = tmp_path / "val", tmp_path / "cams"
    metadata.mkdir()
    maps.mkdir()
    ids = [f"{i}.JPEG" for i in range(12)]
    (metadata / "image_ids.txt").write_text("\n".join(ids))
    (metadata / "class_labels.txt").write_text("".join(f"{name},0\n" for name in ids))
    (metadata / "image_sizes.txt").write_text("".join(f"{name},448,448\n" for name in ids))
    (metadata / "localization.txt").write_text("".join(f"{name},100,60,300,260\n" for name in ids))
    heat = np.zeros((224, 224), np.float32)
    heat[30:130, 50:150] = 0.5
    for name in ids[1:]:
        np.save(maps / f"{name}.npy", heat)
    words = ["wsol", "--metadata", metadata, "--maps", maps, "--protocol", "reference", "-o", tmp_path / "out"]
    assert main([str(word) for word in words]) == 2
    assert "none for 1 of 12: 0.JPEG.npy" in capsys.readouterr().err
    np.save(maps / "0.JPEG.npy", heat)
    done = attribeval(*words)
    assert done.returncode == 0, done.stderr
    assert re.search(r"cams +method +100.0 %", done.stdout) and "centred Gaussian" in done.stdout
    assert "oneDNN" not in done.stderr  # TensorFlow was not loaded
    assert (tmp_path / "out/report.html").is_file()
    table = np.genfromtxt(tmp_path / "out/table.csv", delimiter=",", names=True, dtype=None, encoding=None)
    assert {"MaxBoxAccV2", "EnergyInBox"} <= set(table["metric"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["explain", "nothing.jpg", "--model", "MODEL"], "no such file"),
        (["explain", "README.md", "--model", "MODEL"], "no image format"),
        (["explain", "x.jpg", "--model", "vgg17"], "'vgg16'"),
        (["explain", "x.jpg", "--model", "MODEL", "--method", "gradcan"], "'gradcam'"),
        (["explain", "x.jpg", "--model", "MODEL", "--option", "layer"], "name=value"),
        (["explain", "x", "--model", "MODEL", "--method", "gradcam", "sobel", "--option", "a=1"], "single --method"),
        (["explain", "x.jpg", "--model", "MODEL", "--preprocess", "mobilnet"], "'mobilenet'"),
        (["explain", "x.jpg", "--model", "MODEL", "--class-names", "README.rst"], "name per line"),
        (["wsol", "--model", "MODEL"], "--imagenet DIR"),
        (["wsol", "--imagenet", "tests"], "--model, whose maps are scored, or --maps"),
        (
            ["wsol", "--model", "MODEL", "--imagenet", "a", "--coco", "b"],
            "one data set. Received --imagenet and --coco",
        ),
        (["wsol", "--maps", "m", "--geometry", "full", "--boxes", "b.csv"], "belong to a model's maps"),
        (["wsol", "--maps", "m", "--boxes", "none.csv"], "CSV file"),
        (["wsol", "--model", "MODEL", "--imagenet", "tests"], "[Ii]mage"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(model_file, capsys, words, message):
    code = main([str(model_file) if word == "MODEL" else word for word in words])
    error = capsys.readouterr().err
    assert code == 2
    assert re.search(message, error) and error.startswith(f"attribeval {words[0]}: ") and "Traceback" not in error


def test_interruption_is_exit_code_130_and_says_how_to_go_on(model_file, monkeypatch, capsys):
    from attribeval.benchmarks.wsol import command

    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupted)
    assert main(["wsol", "--model", str(model_file), "--run-dir", "runs/here"]) == 130
    assert "interrupted. Continue with the same command." in capsys.readouterr().err


def test_an_interrupted_explain_says_that_the_same_command_goes_on(model_file, monkeypatch, capsys):
    from attribeval.cli import explain

    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(explain, "run", interrupted)
    assert main(["explain", "scans", "--model", str(model_file)]) == 130
    assert "Continue with the same command." in capsys.readouterr().err


def test_options_are_read_as_python_literals():
    assert parse_options(["samples=5", "sigma=0.1", "layer=conv1", "on=True", "name=a=b"]) == {
        "samples": 5, "sigma": 0.1, "layer": "conv1", "on": True, "name": "a=b",
    }  # fmt: skip
