"""Data sets in two parts: NumPy files and folders by class; and the small net that is trained on them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from attribeval.datasets import TrainTest, folders, npz
from attribeval.errors import AttribevalError
from attribeval.models.small_net import small_net


def arrays(**changes):
    rng = np.random.default_rng(0)
    made = {
        "x_train": rng.integers(0, 255, (5, 6, 7, 3), dtype=np.uint8),
        "y_train": np.array([0, 1, 2, 0, 1]),
        "x_test": rng.integers(0, 255, (2, 6, 7, 3), dtype=np.uint8),
        "y_test": np.array([2, 0]),
    } | changes
    return {name: value for name, value in made.items() if value is not None}


def test_npz_is_what_was_saved(tmp_path):
    given = arrays(classes=np.array(["cat", "dog", "owl"]))
    np.savez_compressed(tmp_path / "pets.npz", **given)
    read = npz(tmp_path / "pets.npz")
    assert isinstance(read, TrainTest) and (read.train.name, read.test.name) == ("pets_train", "pets_test")
    np.testing.assert_array_equal(read.train.images, given["x_train"])
    np.testing.assert_array_equal(read.test.labels, [2, 0])
    assert read.train.images.dtype == np.uint8 and read.test.class_names == ["cat", "dog", "owl"]


def test_npz_as_keras_has_it(tmp_path):
    """Grey images without a channel axis (MNIST), labels in a column (CIFAR)."""
    given = arrays(x_train=np.ones((5, 6, 7), np.float32), y_train=np.arange(5)[:, None])
    np.savez(tmp_path / "set.npz", **given)
    read = npz(tmp_path / "set.npz")
    assert read.train.images.shape == (5, 6, 7, 1) and read.train.labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x_test": None, "y_test": None}, "without x_test, y_test; it has x_train, y_train"),
        ({"x_train": np.ones((5, 6))}, r"x_train as images .*\(5, 6\)"),
        ({"y_train": np.arange(4)}, "labels per image"),
        ({"y_train": np.ones((5, 3))}, "class indices"),
        ({"y_test": np.array([-1, 0])}, "labels from 0"),
        ({"classes": np.array(["cat", "dog"])}, "below 2, the number of class_names"),
        ({"y_train": np.array([0, "a", None, 1, 2], dtype=object)}, r"\.npz file.*[Pp]ickle|allow_pickle"),
    ],
)
def test_npz_that_does_not_fit(tmp_path, changes, said):
    np.savez(tmp_path / "set.npz", **arrays(**changes))
    with pytest.raises(AttribevalError, match=said):
        npz(tmp_path / "set.npz")


def test_files_that_are_no_npz(tmp_path):
    np.savez(tmp_path / "whole.npz", **arrays())
    whole = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:-200])
    (tmp_path / "changed.npz").write_bytes(whole[:300] + b"xxxx" + whole[304:])
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "single.npy", np.ones(3))
    for name in ("cut.npz", "changed.npz", "empty.npz", "single.npy", "none.npz"):
        with pytest.raises(AttribevalError, match=f"{name}"):
            npz(tmp_path / name)


def tree(root, names=("b", "a"), parts=("train", "test")):
    for part in parts:
        for name in names:
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in range(2):
                Image.fromarray(np.full((4, 5, 3), 40 * i + ord(name[0]), np.uint8)).save(folder / f"{i}.png")
    return root


def test_folders_number_classes_by_name(tmp_path):
    root = tree(tmp_path / "birds")
    (root / "train" / "a" / "notes.txt").write_text("no image")
    (root / "train" / "a" / "._0.png").write_text("of macOS")
    (root / "train" / ".ipynb_checkpoints").mkdir()
    read = folders(root)
    assert read.train.class_names == ["a", "b"] and read.train.labels.tolist() == [0, 0, 1, 1]
    assert read.train.ids == ["a/0.png", "a/1.png", "b/0.png", "b/1.png"]
    assert (read.train.name, read.test.name) == ("birds_train", "birds_test")
    np.testing.assert_array_equal(read.train.load()[3], np.full((4, 5, 3), 40 + ord("b"), np.float32))


def test_folders_may_say_val(tmp_path):
    assert folders(tree(tmp_path, parts=("train", "val"))).test.name.endswith("_val")


def test_folders_that_do_not_fit(tmp_path):
    with pytest.raises(AttribevalError, match=r"train and test \(or val\).*\[\]"):
        folders(tmp_path / "none")
    with pytest.raises(AttribevalError, match=r"train and test.*\['train'\]"):
        folders(tree(tmp_path / "one", parts=("train",)))
    root = tree(tmp_path / "two")
    (root / "test" / "c").mkdir()
    with pytest.raises(AttribevalError, match=r"same class folders.*\['c'\] in one"):
        folders(root)
    (root / "train" / "c").mkdir()
    with pytest.raises(AttribevalError, match=r"Expected images in .*c\. Received none"):
        folders(root)
    (tmp_path / "flat" / "train").mkdir(parents=True)
    (tmp_path / "flat" / "test").mkdir()
    with pytest.raises(AttribevalError, match="a folder for each class"):
        folders(tmp_path / "flat")


def test_small_net_sees_raw_pixels_and_gives_probabilities():
    model = small_net((16, 24, 1), 5)
    assert model.output_shape == (None, 5) and not model.compiled
    images = np.random.default_rng(0).integers(0, 255, (3, 16, 24, 1)).astype(np.float32)
    output = np.asarray(model(images))
    np.testing.assert_allclose(output.sum(1), 1, rtol=1e-5)
    assert np.ptp(output, axis=0).max() > 0
    kernels = [16 * 9 * 1, 32 * 9 * 16, 48 * 9 * 32, 64 * 9 * 48]
    assert model.count_params() == sum(kernels) + 4 * (16 + 32 + 48 + 64) + 64 * 5 + 5


def test_small_net_refuses_images_that_cannot_be_halved():
    with pytest.raises(AttribevalError, match=r"8 pixels a side or more for 4 stages.*\(16, 7, 3\)"):
        small_net((16, 7, 3), 5)
    assert small_net((8, 8, 3), 5).output_shape == (None, 5)
