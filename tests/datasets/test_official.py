"""Official data sets: tiny copies of their layouts, written here, read with their own split; faults are one line."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
from PIL import Image

from attribeval.benchmarks.roar.paper import TREATMENTS, short_side
from attribeval.benchmarks.roar.source import read_source
from attribeval.datasets.birdsnap import birdsnap
from attribeval.datasets.cifar10 import cifar10
from attribeval.datasets.cub import cub
from attribeval.datasets.food101 import food101
from attribeval.datasets.geometry import load_crops
from attribeval.datasets.official import READERS, official, official_name
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError


def picture(path, size=(12, 10), seed=0):
    """A photograph of (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def food(tmp_path):
    root = tmp_path / "food-101"
    lists = {"train": ["waffles/3", "apple_pie/11", "waffles/1"], "test": ["apple_pie/2", "waffles/20"]}
    for line in [line for lines in lists.values() for line in lines]:
        picture(root / "images" / f"{line}.jpg")
    (root / "meta").mkdir()
    (root / "meta" / "classes.txt").write_text("apple_pie\nwaffles\n")
    (root / "meta" / "labels.txt").write_text("Apple pie\nWaffles\n")
    for part, lines in lists.items():
        (root / "meta" / f"{part}.txt").write_text("\n".join(lines) + "\n")
    return root


def test_food101(food):
    parts = food101(food)
    assert parts.train.ids == ["waffles/3", "apple_pie/11", "waffles/1"] and parts.train.labels.tolist() == [1, 0, 1]
    assert parts.test.ids == ["apple_pie/2", "waffles/20"] and parts.test.labels.tolist() == [0, 1]
    assert parts.train.class_names == ["apple_pie", "waffles"]
    assert food101(food.parent).test.images == [food / "images/apple_pie/2.jpg", food / "images/waffles/20.jpg"]
    assert parts.test.load().shape == (2, 10, 12, 3)


def test_food101_says_what_is_wrong(food):
    with pytest.raises(AttribevalError, match=r"a folder with meta/train.txt. Received .*: no such folder"):
        food101(food / "nowhere")
    with pytest.raises(AttribevalError, match=r"it has no meta/train.txt"):
        food101(food / "images")
    (food / "images/waffles/1.jpg").rename(food / "images/waffles/99.jpg")
    with pytest.raises(
        AttribevalError, match=r"5 images of train.txt and test.txt .* without 1 of them: waffles/1.jpg"
    ):
        food101(food)
    (food / "meta/train.txt").write_text("waffles/3\napple_pie/11\n")
    with pytest.warns(UserWarning, match=r"1 images of .* are in none of train.txt and test.txt.*: waffles/99.jpg"):
        assert len(food101(food).train) == 2
    (food / "meta/test.txt").write_text("apple_pie/2\nwaffles/3\n")
    with pytest.raises(AttribevalError, match=r"once in train.txt and test.txt. Received 'waffles/3.jpg' twice"):
        food101(food)
    (food / "meta/test.txt").write_text("apple_pie/2\npizza/7\n")
    with pytest.raises(
        AttribevalError, match=r"such as 'apple_pie/1005649', in line 2 of .*test.txt. Received 'pizza/7'"
    ):
        food101(food)
    (food / "meta/test.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(AttribevalError, match=r"Expected a list, .*test.txt. Received: UnicodeDecodeError"):
        food101(food)
    (food / "meta/test.txt").write_text("")
    with pytest.raises(AttribevalError, match=r"Expected lines in .*test.txt. Received an empty file"):
        food101(food)


@pytest.fixture
def birds(tmp_path):
    root = tmp_path / "CUB_200_2011"
    paths = ["001.Albatross/A_1.jpg", "001.Albatross/A_2.jpg", "002.Crow/C_1.jpg", "002.Crow/C_2.jpg"]
    for seed, path in enumerate(paths):
        picture(root / "images" / path, (20, 10), seed)
    files = {
        "images.txt": [f"{k} {path}" for k, path in enumerate(paths, 1)],
        "classes.txt": ["1 001.Albatross", "2 002.Crow"],
        "image_class_labels.txt": ["1 1", "2 1", "3 2", "4 2"],
        "train_test_split.txt": ["1 0", "2 1", "3 1", "4 0"],
        "bounding_boxes.txt": ["1 5.0 2.0 10.0 4.0", "2 0.0 0.0 20.0 10.0", "3 1.0 1.0 2.0 2.0", "4 2.0 2.0 4.0 8.0"],
    }
    for name, lines in files.items():
        (root / name).write_text("\n".join(lines) + "\n")
    return root


def test_cub(birds):
    parts = cub(birds, boxes=True)
    assert parts.train.ids == ["001.Albatross/A_2", "002.Crow/C_1"] and parts.train.labels.tolist() == [0, 1]
    assert parts.test.ids == ["001.Albatross/A_1", "002.Crow/C_2"] and parts.test.labels.tolist() == [0, 1]
    assert parts.train.class_names == ["001.Albatross", "002.Crow"]
    np.testing.assert_allclose(parts.test.boxes[0], [[0.25, 0.2, 0.75, 0.6]])
    assert cub(birds.parent).train.boxes is None


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("image_class_labels.txt", "1 1\n2 1\n3 2\n", "image numbers in images.txt and image_class_labels.txt .*4"),
        ("image_class_labels.txt", "1 1\n2 1\n3 2\n4 7\n", "classes of classes.txt in .* 7 for image 4"),
        ("image_class_labels.txt", "1 1\n2\n3 2\n4 2\n", "line 2 of .*image_class_labels.txt. Received '2': 0 values"),
        ("train_test_split.txt", "1 0\n2 1\n3 1\n4 2\n", "1 .train. and 0 .test. in .* 2 for image 4"),
        ("train_test_split.txt", "1 1\n2 1\n3 1\n4 1\n", "images of one part only"),
        ("train_test_split.txt", "1 0\n1 1\n3 1\n4 0\n", "line 2 of .*number 1 for the second time"),
        (
            "bounding_boxes.txt",
            "1 5 2 10 4\n2 0 0 90 10\n3 1 1 2 2\n4 2 2 4 8\n",
            r"inside its image of 20 × 10 \(width × height\). Received .* for image 2",
        ),
        ("bounding_boxes.txt", "1 5 2 10 4\n2 0 x 90 10\n3 1 1 2 2\n4 2 2 4 8\n", "number and 4 values in line 2"),
        ("images.txt", "1 001.Albatross/A_1.jpg\n2 001.Albatross/A_2.jpg\n3 002.Crow/C_1.jpg\n4 002.Crow/C_9.jpg\n",
         "without 1 of them: 002.Crow/C_9.jpg"),
    ],
)  # fmt: skip
def test_cub_says_what_is_wrong(birds, file, text, said):
    (birds / file).write_text(text)
    with pytest.raises(AttribevalError, match=said):
        cub(birds, boxes=True)


@pytest.fixture
def snaps(tmp_path):
    root = tmp_path / "birdsnap"
    rows = [("Crow/1.jpg", 10), ("Jay/2.jpg", 2), ("Crow/3.jpg", 10), ("Jay/4.jpg", 2), ("Jay/5.jpg", 2)]
    for path, _ in rows[:4]:
        picture(root / "download/images" / path)
    (root / "species.txt").write_text("id\tcommon\tscientific\tdir\n2\tBlue Jay\tC. c.\tJay\n10\tCrow\tC. b.\tCrow\n")
    lines = ["url\tmd5\tpath\tspecies_id\tbb_x1", *(f"http://x/{p}\tab\t{p}\t{n}\t1" for p, n in rows)]
    (root / "images.txt").write_text("\n".join(lines) + "\n")
    (root / "test_images.txt").write_text("path\nJay/2.jpg\nJay/5.jpg\n")
    return root


def test_birdsnap_leaves_out_and_counts_what_has_vanished(snaps):
    with pytest.warns(UserWarning, match=r"1 of the 5 images of Birdsnap are not in .*: Jay/5.jpg"):
        parts = birdsnap(snaps)
    assert parts.train.ids == ["Crow/1", "Crow/3", "Jay/4"] and parts.train.labels.tolist() == [1, 1, 0]
    assert parts.test.ids == ["Jay/2"] and parts.train.class_names == ["Blue Jay", "Crow"]  # 2 before 10
    picture(snaps / "download/images/Jay/5.jpg")
    assert birdsnap(snaps.parent).test.ids == ["Jay/2", "Jay/5"]
    (snaps / "download/images").rename(snaps / "images")
    assert birdsnap(snaps).test.images[0] == snaps / "images/Jay/2.jpg"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("test_images.txt", "path\nJay/9.jpg\n", "images of images.txt in .*test_images.txt. Received: Jay/9.jpg"),
        ("test_images.txt", "name\nJay/2.jpg\n", "columns path in the first line of .*without path"),
        (
            "images.txt",
            "path\tspecies_id\nJay/2.jpg\n",
            "separated, in line 2 of .*images.txt. Received 'Jay/2.jpg'",
        ),
        ("images.txt", "path\tspecies_id\nJay/2.jpg\t7\nJay/5.jpg\t2\n", "species of species.txt in .*'7' for"),
        ("images.txt", "path\tspecies_id\nJay/2.jpg\t2\nJay/2.jpg\t2\nJay/5.jpg\t2\n", "'Jay/2.jpg' twice"),
        ("images.txt", "path\tspecies_id\nJay/2.jpg\t2\nJay/5.jpg\t2\n", "images to train on in"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*are not in")
def test_birdsnap_says_what_is_wrong(snaps, file, text, said):
    (snaps / file).write_text(text)
    with pytest.raises(AttribevalError, match=said):
        birdsnap(snaps)


NAMES = [b"airplane", b"automobile", b"bird"]


def cifar_batches():
    """Images (N, 32, 32, 3) and labels of each batch."""
    draw = np.random.default_rng(0)
    batches = [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]
    return {name: (draw.integers(0, 256, (4, 32, 32, 3), np.uint8), draw.integers(0, 3, 4)) for name in batches}


def planes(images):
    """A record's 3,072 bytes: red, green, blue, each row by row."""
    return np.stack([np.concatenate([image[..., c].ravel() for c in range(3)]) for image in images])


def short(text):
    """SHORT_BINSTRING, as Python 2 writes text."""
    return b"U" + bytes([len(text)]) + text


def python2_pickle(data, labels):
    """{"data": array, "labels": list} as Python 2 and its NumPy pickled it, opcode by opcode."""
    n, width = data.shape
    raw = data.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n" + b"cnumpy\nndarray\n" + b"K\x00\x85" + short(b"b") + b"\x87R"
        + b"(K\x01" + b"J" + struct.pack("<i", n) + b"J" + struct.pack("<i", width) + b"\x86"
        + b"cnumpy\ndtype\n" + short(b"u1") + b"K\x00K\x01\x87R"
        + b"(K\x03" + short(b"|") + b"NNN" + b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    )  # fmt: skip
    listed = b"](" + b"".join(b"K" + bytes([int(label)]) for label in labels) + b"e"
    return b"\x80\x02}(" + short(b"data") + array + short(b"labels") + listed + b"u."


@pytest.fixture(params=["bin", "py"])
def cifar(request, tmp_path):
    root = tmp_path / f"cifar-10-batches-{request.param}"
    root.mkdir()
    for name, (images, labels) in cifar_batches().items():
        if request.param == "bin":
            records = np.concatenate([labels[:, None].astype(np.uint8), planes(images)], axis=1)
            (root / f"{name}.bin").write_bytes(records.tobytes())
        else:
            (root / name).write_bytes(python2_pickle(planes(images), labels))
    if request.param == "bin":
        (root / "batches.meta.txt").write_bytes(b"\n".join(NAMES) + b"\n\n")
    else:
        listed = b"](" + b"".join(map(short, NAMES)) + b"e"
        (root / "batches.meta").write_bytes(b"\x80\x02}(" + short(b"label_names") + listed + b"u.")
    return root


def test_cifar10_of_both_versions(cifar):
    parts, batches = cifar10(cifar), cifar_batches()
    assert parts.train.images.shape == (20, 32, 32, 3) and parts.train.images.dtype == np.uint8
    for k in range(5):
        images, labels = batches[f"data_batch_{k + 1}"]
        np.testing.assert_array_equal(parts.train.images[4 * k : 4 * k + 4], images)
        np.testing.assert_array_equal(parts.train.labels[4 * k : 4 * k + 4], labels)
    np.testing.assert_array_equal(cifar10(cifar.parent).test.images, batches["test_batch"][0])
    assert parts.test.class_names == ["airplane", "automobile", "bird"]


def test_cifar10_says_what_is_wrong(cifar):
    name = "data_batch_3.bin" if cifar.name.endswith("bin") else "data_batch_3"
    whole = (cifar / name).read_bytes()
    (cifar / name).write_bytes(whole[: len(whole) // 2 + 5])
    with pytest.raises(AttribevalError, match=rf"{name}.*[Uu]npack the archive again"):
        cifar10(cifar)
    (cifar / name).unlink()
    with pytest.raises(AttribevalError, match=rf"Expected {name} of CIFAR-10 in .*FileNotFoundError"):
        cifar10(cifar)
    with pytest.raises(AttribevalError, match="Expected CIFAR-10 as it is unpacked"):
        cifar10(cifar / "nowhere")
    (cifar / name).write_bytes(whole)
    meta = next(cifar.glob("batches.meta*"))
    two = b"\x80\x02}(" + short(b"label_names") + b"](" + short(b"a") + short(b"b") + b"eu."
    meta.write_bytes(b"a\nb\n" if meta.suffix == ".txt" else two)
    with pytest.raises(AttribevalError, match=r"Expected labels below 2 in .*data_batch_1. Received: 2"):
        cifar10(cifar)


@pytest.mark.parametrize(
    "bomb", [b"cos\nsystem\n(S'true'\ntR.", b"cbuiltins\neval\n(S'1'\ntR.", b"cnumpy\nload\n(S'x'\ntR."]
)
def test_a_pickle_that_asks_for_anything_else_is_refused(tmp_path, bomb):
    root = tmp_path / "cifar-10-batches-py"
    root.mkdir()
    for name in ("data_batch_1", "batches.meta"):
        (root / name).write_bytes(bomb)
    with pytest.raises(
        AttribevalError, match=r"it asks for (os.system|builtins.eval|numpy.load), which no data set needs"
    ):
        cifar10(root)


def test_imagenet_by_its_name(tmp_path):
    """As Kaggle unpacks it: synset folders to train on, flat files and a solution to test on."""
    root = tmp_path / "ILSVRC"
    for part, files in (("train", ["n01440764/n01440764_1.JPEG", "n01443537/n01443537_1.JPEG"]),
                        ("val", ["ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000002.JPEG"])):  # fmt: skip
        for file in files:
            picture(root / "Data/CLS-LOC" / part / file)
    (tmp_path / "LOC_synset_mapping.txt").write_text(
        "\n".join([f"n{1440764 + k:08d} thing {k}" for k in range(1000)]) + "\n"
    )
    rows = [
        "ImageId,PredictionString",
        "ILSVRC2012_val_00000001,n01440765 1 1 5 5",
        "ILSVRC2012_val_00000002,n01440764 1 1 5 5",
    ]
    (tmp_path / "LOC_val_solution.csv").write_text("\n".join(rows) + "\n")
    (root / "Data/CLS-LOC/train/n01443537").rename(root / "Data/CLS-LOC/train/n01440766")
    parts = official(f"imagenet:{tmp_path}")
    assert parts.train.labels.tolist() == [0, 2] and parts.test.labels.tolist() == [1, 0]
    assert parts.train.boxes is None and parts.test.ids[0] == "ILSVRC2012_val_00000001"


def test_names_of_official_sets(food):
    assert set(READERS) == set(TREATMENTS)
    assert official(f"food101:{food}").train.ids[0] == "waffles/3"
    assert official_name("digits") is None and official_name(str(food)) is None and official_name("C:\\data") is None
    with pytest.raises(AttribevalError, match=r"Unknown official data set: 'food'.*food101"):
        official_name(f"food:{food}")
    with pytest.raises(AttribevalError, match=r"food101:FOLDER, the folder .* Received: 'food101:'"):
        official_name("food101:")
    with pytest.raises(AttribevalError, match=re.escape("as NAME:FOLDER with a NAME of birdsnap, cifar10, cub")):
        official("digits")


def test_crops_are_pils_short_side_and_centre(tmp_path):
    """Against PIL, called by hand: 256 for 224."""
    picture(tmp_path / "wide.png", (60, 40), 1)
    picture(tmp_path / "high.png", (30, 50), 2)
    samples = Samples([tmp_path / "wide.png", tmp_path / "high.png"], [0, 1])
    assert short_side(224) == 256 and short_side(28) == 32
    found = load_crops(samples, 28, 32)
    wide = Image.open(tmp_path / "wide.png").resize((48, 32), Image.Resampling.BILINEAR).crop((10, 2, 38, 30))
    high = Image.open(tmp_path / "high.png").resize((32, 53), Image.Resampling.BILINEAR).crop((2, 12, 30, 40))
    np.testing.assert_array_equal(found, np.stack([wide, high]).astype(np.float32))

    source = read_source((samples, samples), (28, 28, 3), 2, "cropped")
    assert source.dtype == "uint8" and source.describe()["geometry"] == "cropped"
    np.testing.assert_array_equal(source.load(samples), found.astype(np.uint8))
    squashed = read_source((samples, samples), (28, 28, 3), 2)
    assert "geometry" not in squashed.describe()
    assert squashed.describe()["fingerprint"] != source.describe()["fingerprint"]
    with pytest.raises(AttribevalError, match=r"square images for geometry='cropped'\. Received one of 28×24"):
        read_source((samples, samples), (28, 24, 3), 2, "cropped")
    with pytest.raises(AttribevalError, match="Unknown geometry of roar: 'squashed'"):
        read_source((samples, samples), (28, 28, 3), 2, "squashed")


def test_the_command_takes_the_papers_treatment(food, monkeypatch):
    """Recipe, network, preprocessing and crop come from the data; options replace them one by one."""
    import argparse

    from attribeval.benchmarks.roar.command import _add_grid, _builder_and_data, _check

    def arguments(*words):
        parser = argparse.ArgumentParser()
        _add_grid(parser)
        args = parser.parse_args(["--data", f"food101:{food}", *words])
        options = _check(args)
        build_model, dataset = _builder_and_data(args, options)
        return options | {"build_model": build_model, "dataset": dataset}

    usual = arguments()
    recipe = usual["recipe"]
    assert (recipe.steps, recipe.batch_size, recipe.learning_rate, recipe.drops) == (20_000, 256, 0.7, (30, 60, 80))
    assert usual["preprocess"] == "torch" and usual["geometry"] == "cropped"
    other = arguments("--builder", "small", "--geometry", "resized", "--learning-rate", "0.2", "--batch-size", "8",
                      "--epochs", "2", "--precision", "bfloat16", "--preprocess", "unit", "--train", "2")  # fmt: skip
    recipe = other["recipe"]
    assert (recipe.epochs, recipe.steps, recipe.batch_size, recipe.learning_rate) == (2, None, 8, 0.2)
    assert recipe.precision == "bfloat16" and recipe.weight_decay == 1e-4 and recipe.label_smoothing == 0.1
    assert other["preprocess"] == "unit" and other["geometry"] == "resized" and len(other["dataset"].train) == 2
    assert other["build_model"]().input_shape == (None, 48, 48, 3)
