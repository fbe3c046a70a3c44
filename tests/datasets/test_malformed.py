"""Malformed files, drawn at random from a seed: every reader says which file, and nothing raw comes out."""

from __future__ import annotations

import io
import json
import re
import warnings

import numpy as np
import pytest
from PIL import Image

from attribeval import datasets
from attribeval.attributions import Attributions
from attribeval.cli import main
from attribeval.cli.options import read_class_names
from attribeval.errors import AttribevalError

_WORDS = ["", "dog", "3.7", "-1", "nan", "inf", "1e999", "\x00", "é", "null", '"', "9" * 400, "[]", "0x1f", "²", " "]
_VALUES = [None, "dog", -1, 3.7, [], {}, [[]], True, 1e308, float("nan"), "9" * 400, [None], 10**400]
COUNT = 40  # of each kind


def damaged(good: bytes, draw: np.random.Generator) -> bytes:
    """The bytes cut off, with some changed, of another encoding, or with a word exchanged."""
    kind = draw.integers(5)
    if kind == 0:
        return good[: draw.integers(len(good))]
    if kind == 1:
        changed = bytearray(good)
        for place in draw.integers(len(good), size=3):
            changed[place] = int(draw.integers(256))
        return bytes(changed)
    if kind == 2:
        return good.decode("latin-1").encode(str(draw.choice(["utf-16", "utf-32"])))
    words = re.split(rb"([,\s<>\"=]+)", good)
    words[2 * int(draw.integers((len(words) + 1) // 2))] = str(draw.choice(_WORDS)).encode()
    return b"".join(words)


def damaged_json(good: object, draw: np.random.Generator) -> bytes:
    """The JSON with one value exchanged or one key taken out, anywhere; now and then damaged as bytes."""
    if draw.integers(4) == 0:
        return damaged(json.dumps(good).encode(), draw)
    content = json.loads(json.dumps(good))
    nodes, holders = [content], []
    while nodes:
        node = nodes.pop()
        inner = list(node.items() if isinstance(node, dict) else enumerate(node))
        holders += [(node, key) for key, _ in inner]
        nodes += [value for _, value in inner if isinstance(value, (dict, list))]
    node, key = holders[int(draw.integers(len(holders)))]
    if draw.integers(3) == 0:
        del node[key]
    else:
        node[key] = _VALUES[int(draw.integers(len(_VALUES)))]
    return json.dumps(content).encode()


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(path)
    return path


def check(read, file, draw, make, count: int = COUNT) -> int:
    """Read many damaged files; returns how many were refused."""
    refused = 0
    for i in range(count):
        bad = make(draw)
        file.write_bytes(bad)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read()
        except AttribevalError as error:
            refused += 1
            assert file.name in str(error) or "image" in str(error), f"number {i} names no file: {error}"
        except Exception as error:
            pytest.fail(f"number {i}: {type(error).__name__}: {error}\n{bad[:300]!r}")
    return refused


CSV = b"image,x0,y0,x1,y1,label\na.png,4,4,20,18,1\na.png,5,5,10,10,1\n"
COCO = {
    "images": [{"id": 7, "file_name": "a.png", "height": 20, "width": 40}],
    "categories": [{"id": 9, "name": "stop sign"}, {"id": 3, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 9, "bbox": [10, 5, 20, 10], "segmentation": [[10, 5, 30, 5, 30, 15]]},
        {"id": 3, "image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 20], "iscrowd": 0,
         "segmentation": {"counts": [0, 20, 780], "size": [20, 40]}},
    ],
}  # fmt: skip
NAMES = {"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}


def test_tables_of_boxes(tmp_path, picture):
    file = tmp_path / "boxes.csv"
    refused = check(
        lambda: datasets.box_table(file, tmp_path), file, np.random.default_rng(0), lambda d: damaged(CSV, d)
    )
    assert refused > COUNT / 2


def test_coco_files(tmp_path, picture):
    file = tmp_path / "instances.json"

    def read():
        samples = datasets.coco(file, tmp_path)
        for i in range(len(samples)):
            samples.mask_at(i, (20, 40))

    assert check(read, file, np.random.default_rng(1), lambda d: damaged_json(COCO, d)) > COUNT / 3


def test_class_lists(tmp_path):
    for name, good in (("index.json", NAMES), ("index.json", {"dog": 2, "cat": 1}), ("index.json", ["dog", "cat"])):
        file = tmp_path / name
        for read in (datasets.read_class_index, lambda path: read_class_names(str(path))):
            check(lambda read=read, file=file: read(file), file, np.random.default_rng(2),
                  lambda d, good=good: damaged_json(good, d), 10)  # fmt: skip


def test_maps(tmp_path):
    array = io.BytesIO()
    np.save(array, np.ones((4, 4), np.float32))
    maps = Attributions(np.ones((1, 4, 4, 1), np.float32), np.array([1]), "by hand")
    saved = maps.save(tmp_path / "good.npz").read_bytes()
    one, several = tmp_path / "a.npy", tmp_path / "a.npz"
    assert check(lambda: datasets.wsol_maps(tmp_path, ["a"])[0], one, np.random.default_rng(3),
                 lambda d: damaged(array.getvalue(), d)) > COUNT / 4  # fmt: skip
    check(lambda: Attributions.load(several), several, np.random.default_rng(4), lambda d: damaged(saved, d))
    for dtype in (object, "U3", complex, "M8[s]", [("x", "f4")]):
        np.save(one, np.zeros((2, 2), dtype), allow_pickle=True)
        with pytest.raises(AttribevalError, match=r"a\.npy"):
            datasets.wsol_maps(tmp_path, ["a"])[0]


XML = b"""<?xml version="1.0" encoding="UTF-8"?><annotation><size><width>40</width><height>20</height></size>
<object><name>n01440764</name><bndbox><xmin>4</xmin><ymin>4</ymin><xmax>20</xmax><ymax>18</ymax></bndbox></object>
</annotation>"""
LOC = b"ImageId,PredictionString\na,n01440764 4 4 20 18 \nb,n01440764 4 4 20 18 n01440764 1 1 3 3 \n"
MAPPING = b"n01440764 tench, Tinca tinca\nn01443537 goldfish\n"


@pytest.fixture
def imagenet(tmp_path):
    images = tmp_path / "Data/CLS-LOC/val"
    boxes = tmp_path / "Annotations/CLS-LOC/val"
    images.mkdir(parents=True)
    boxes.mkdir(parents=True)
    for name in "ab":
        Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(images / f"{name}.JPEG")
    (tmp_path / "LOC_val_solution.csv").write_bytes(LOC)
    (tmp_path / "index.json").write_text(json.dumps(NAMES))
    (boxes / "a.xml").write_bytes(XML)
    assert len(datasets.imagenet(tmp_path, class_index=tmp_path / "index.json")) == 2
    return tmp_path


@pytest.mark.parametrize(
    ("name", "good"), [("Annotations/CLS-LOC/val/a.xml", XML), ("LOC_val_solution.csv", LOC)], ids=["xml", "loc"]
)
def test_imagenet(imagenet, name, good):
    file = imagenet / name

    def read():
        datasets.imagenet(imagenet, class_index=imagenet / "index.json")

    assert check(read, file, np.random.default_rng(5), lambda d: damaged(good, d)) > COUNT / 3
    for encoding in (b"nonsense", b"utf-7", b"UTF-16", b"cp037"):
        file.write_bytes(good.replace(b"UTF-8", encoding) + (b"" if good is XML else b"\xff\xfe"))
        with pytest.raises(AttribevalError, match=file.name):
            read()


def test_synset_mapping(imagenet):
    file = imagenet / "LOC_synset_mapping.txt"
    check(lambda: datasets.imagenet(imagenet), file, np.random.default_rng(6), lambda d: damaged(MAPPING, d), 20)


@pytest.mark.parametrize("name", ["image_ids.txt", "class_labels.txt", "image_sizes.txt", "localization.txt"])
def test_metadata(tmp_path, picture, name):
    good = {"image_ids.txt": b"a.png\n", "class_labels.txt": b"a.png,1\n", "image_sizes.txt": b"a.png,40,20\n",
            "localization.txt": b"a.png,4,4,20,18\n"}  # fmt: skip
    for other, content in good.items():
        (tmp_path / other).write_bytes(content)
    assert len(datasets.wsol_metadata(tmp_path, tmp_path)) == 1
    check(lambda: datasets.wsol_metadata(tmp_path, tmp_path), tmp_path / name, np.random.default_rng(7),
          lambda d: damaged(good[name], d), 10)  # fmt: skip


def test_arrays_of_images_and_labels(tmp_path):
    file = io.BytesIO()
    arrays = {f"x_{p}": np.zeros((2, 4, 4, 3), np.uint8) for p in ("train", "test")}
    np.savez(file, **arrays, **{f"y_{p}": np.zeros(2, int) for p in ("train", "test")})
    path = tmp_path / "set.npz"
    check(lambda: datasets.npz(path), path, np.random.default_rng(8), lambda d: damaged(file.getvalue(), d), 20)


def test_the_command_says_one_line(tmp_path, picture, capsys):
    """Map files against damaged tables, through `attribeval wsol --maps`, which needs no model."""
    np.save(tmp_path / "a.png.npy", np.random.default_rng(0).random((20, 40), np.float32))
    draw = np.random.default_rng(9)
    for option, good in (("--boxes", CSV), ("--coco", COCO)):
        for _ in range(10):
            file = tmp_path / "truth"
            file.write_bytes(damaged(good, draw) if isinstance(good, bytes) else damaged_json(good, draw))
            code = main(["wsol", "--maps", str(tmp_path), option, str(file), "--images", str(tmp_path)])
            said = capsys.readouterr().err
            assert code in (0, 2) and "Traceback" not in said
            assert code == 0 or said.splitlines()[-1].startswith("attribeval wsol: ")


def test_labels_of_a_table_are_classes(tmp_path):
    head = "image,x0,y0,x1,y1,width,height,label\na.png,1,1,4,4,9,9,0\n"
    for row, message in [
        ("b.png,1,1,4,4,9,9,dog", r"'dog' in line 3 of '.*boxes.csv'.*class_names="),
        ("b.png,1,1,4,4,9,9,", r"Received '' in line 3"),
        ("b.png,1,1,4,4,9,9,3.7", r"Received '3.7' in line 3"),
        (",1,1,4,4,9,9,0", r"name of an image.*line 3"),
        ("b.png,1,1,4,,9,9,0", r"number as y1. Received '' in line 3"),
        ("b.png,1,1,4", r"8 values.*Received 4 in line 3"),
    ]:
        (tmp_path / "boxes.csv").write_text(head + row + "\n")
        with pytest.raises(AttribevalError, match=message):
            datasets.box_table(tmp_path / "boxes.csv")
    (tmp_path / "boxes.csv").write_text(head + "b.png,1,1,4,4,9,9,Guide_dog\nc.png,1,1,4,4,9,9,2\n")
    assert datasets.box_table(tmp_path / "boxes.csv", class_names=["cat", "guide dog", "ox"]).labels.tolist() == [
        0,
        1,
        2,
    ]
    with pytest.raises(AttribevalError, match=r"line 3.*'Guide_dog'.*'guide dogs'"):
        datasets.box_table(tmp_path / "boxes.csv", class_names=["cat", "guide dogs", "ox"])
