"""BAM as its authors' script leaves it: a tiny copy written here, read; faults are one line."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from attribeval.datasets.bam_layout import read_bam
from attribeval.errors import AttribevalError

OBJECTS, SCENES = ["dog", "kite"], ["bamboo_forest", "track"]
NUMBERS = {"train": [0, 1, 2], "val": [900, 901]}
SIDE = 16


def shape_of(o, i):
    """The mask of object number i as it was cut out: an L of its own size."""
    mask = np.zeros((6 + o, 4 + i % 2), np.uint8)
    mask[:, 0] = mask[-1] = 1
    return mask


def box_of(o, s, i):
    """Twice as large in the scene, at a place of its own."""
    height, width = (2 * side for side in shape_of(o, i).shape)
    top, left = (o + s) % 2, (s + i) % 3
    return top, left, top + height, left + width


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    root = tmp_path_factory.mktemp("bam") / "data"
    rng = np.random.default_rng(0)
    pixels, lists = {}, {kind: ([], [], []) for kind in ("obj", "scene", "scene_only")}
    for part, numbers in NUMBERS.items():
        for o, thing in enumerate(OBJECTS):
            for s, scene in enumerate(SCENES):
                for i in numbers:
                    name = f"{thing}-{scene}-{i:04d}.jpg"
                    only = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
                    pasted = only.copy()
                    top, left, bottom, right = box_of(o, s, i)
                    pasted[top:bottom, left:right] = 255 * o
                    for kind, image, label, folder in (
                        ("obj", pasted, o, thing), ("scene", pasted, s, scene), ("scene_only", only, s, scene),
                    ):  # fmt: skip
                        path = root / kind / part / ("" if part == "val" else folder) / name
                        path.parent.mkdir(parents=True, exist_ok=True)
                        Image.fromarray(image).save(path, quality=95)
                        where = f"{name} {top},{left},{bottom},{right}"
                        labels, at, everywhere = lists[kind]
                        everywhere.append(where)
                        if part == "val":
                            labels.append(f"{name} {label}")
                            at.append(where)
                    pixels[name] = (root / "scene" / part, pasted)
    masks = np.empty(len(OBJECTS) * 2, object)
    masks[:] = [shape_of(o, i) for o in range(2) for i in NUMBERS["val"]]
    for kind, (labels, at, everywhere) in lists.items():
        (root / kind / "val.txt").write_text("\n".join(sorted(labels)) + "\n")
        (root / kind / "val_loc.txt").write_text("\n".join(sorted(at)) + "\n")
        (root / kind / "loc.txt").write_text("\n".join(sorted(everywhere)))
        with open(root / kind / "val_mask", "wb") as file:
            np.save(file, masks)
    return root


@pytest.fixture
def released(original, tmp_path):
    shutil.copytree(original, tmp_path / "data")
    return tmp_path / "data"


def test_released_folders_are_read(released):
    data = read_bam(released)
    assert (len(data.train), len(data.test)) == (12, 8)
    assert data.test.object_names == tuple(OBJECTS) and data.test.scene_names == tuple(SCENES)
    for part, name in ((data.train, "train"), (data.test, "val")):
        seen = set()
        for k in range(len(part)):
            o, s = int(part.objects[k]), int(part.scenes[k])
            matches = []
            for i in NUMBERS[name]:
                file = f"{OBJECTS[o]}-{SCENES[s]}-{i:04d}.jpg"
                folder = "" if name == "val" else SCENES[s]
                image = np.asarray(Image.open(released / "scene" / name / folder / file))
                if np.array_equal(part.images[k], image):
                    matches.append(i)
                    only = np.asarray(Image.open(released / "scene_only" / name / folder / file))
                    np.testing.assert_array_equal(part.scene_only[k], only)
                    wanted = np.zeros((SIDE, SIDE), bool)
                    top, left, bottom, right = box_of(o, s, i)
                    doubled = np.kron(shape_of(o, i), np.ones((2, 2))) == 1
                    wanted[top:bottom, left:right] = doubled if name == "val" else True
                    np.testing.assert_array_equal(part.masks[k], wanted)
            (number,) = matches
            seen.add((o, s, number))
        assert len(seen) == len(part)
    again = read_bam(released)  # from the arrays
    assert again.test.fingerprint() == data.test.fingerprint()


def test_without_masks_the_boxes_stand_for_them(released):
    for kind in ("obj", "scene", "scene_only"):
        (released / kind / "val_mask").unlink()
        (released / kind / "loc.txt").unlink()
    data = read_bam(released)
    top, left, bottom, right = box_of(0, 0, 900)
    assert data.test.masks[0].sum() == (bottom - top) * (right - left)
    assert not data.train.masks.any()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("scene/val_loc.txt", "dog-track-0900.jpg 1,2,3\n", r"line 1 of .*val_loc.txt. Received"),
        ("scene/val_loc.txt", "dog-track-0900.jpg 3,2,3,9\n", "an empty box"),
        ("scene/val_loc.txt", "dog-track-0900.jpg 1,2,3,4\n", "line for every image in .*val_loc.txt"),
        ("obj/val.txt", "dog-track-0900.jpg 7\n", r"a class below 2 in line 1 of .*obj.val.txt"),
        ("obj/val.txt", "dog-track-0900.jpg 0\n", r"dog-bamboo_forest-0900.jpg of class 'dog' .*no such line"),
        ("scene/val/cat-track-0900.jpg", "", r"<object>-<scene>-<number>.jpg .* Received: 'cat-track-0900.jpg'"),
        (
            "scene/val/dog-track-0905.jpg",
            "",
            r"images of .*scene/val in .*\. Received a folder without 1 of them: obj/val/dog-track-0905.jpg",
        ),
        ("scene/val_mask", "cos\nsystem\n(S'true'\ntR.", "Expected an array of NumPy in .*val_mask"),
    ],
)
def test_what_is_wrong_is_one_line(released, file, text, said):
    (released / file).write_text(text)
    with pytest.raises(AttribevalError, match=said):
        read_bam(released)


def test_a_mask_file_that_asks_for_code_is_refused(released, tmp_path):
    class Bomb:
        def __reduce__(self):
            return print, ("boom",)

    masks = np.empty(4, object)
    masks[:] = [Bomb()] * 4
    with open(released / "scene" / "val_mask", "wb") as file:
        np.save(file, masks)
    with pytest.raises(AttribevalError, match=r"it asks for (builtins|__builtin__).print, which no data set needs"):
        read_bam(released)


def test_masks_of_another_number_are_refused(released):
    with open(released / "scene" / "val_mask", "wb") as file:
        np.save(file, np.ones((3, 4, 4), np.uint8))
    with pytest.raises(AttribevalError, match=r"a mask for each of 2 objects and 2 numbers in .*, 4. Received: 3"):
        read_bam(released)
    with pytest.raises(AttribevalError, match="or the released script, with obj"):
        read_bam(released / "obj")
