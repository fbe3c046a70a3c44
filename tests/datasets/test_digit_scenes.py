"""The embedded data set against the photographs and digits it is made of, and the two nets that ship for it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image
from sklearn.datasets import load_digits

from attribeval.datasets import digit_pictures
from attribeval.datasets.digit_scenes import OBJECTS, SCENES, DigitScenes, SceneSplit, digit_scenes
from attribeval.errors import AttribevalError

NETS = Path(__file__).resolve().parents[2] / "attribeval" / "models" / "digit_nets"
PHOTOS = {  # written down again: which file of scikit-image is which scene
    "brick": "brick.png", "cat": "chelsea.png", "coffee": "coffee.png", "coins": "coins.png",
    "galaxies": "hubble_deep_field.jpg", "garage": "motorcycle_left.png", "grass": "grass.png", "gravel": "gravel.png",
    "moon": "moon.png", "tissue": "ihc.png",
}  # fmt: skip
# Of every array of digit_scenes(size=40, n_train=120, n_test=30, seed=7); changes only if the data set is meant to.
DIGEST = "fce50f0e36a3596f1e1958b25d7ac1852338998257a83e9d0434b53ede2c6da8"
PRINT_DIGEST = """
import hashlib
from attribeval.datasets.digit_scenes import digit_scenes
data, digest = digit_scenes(size=40, n_train=120, n_test=30, seed=7), hashlib.sha256()
for split in (data.train, data.test):
    for name in ("images", "objects", "scenes", "masks", "boxes", "scene_only", "object_only", "digit_index", "crops"):
        array = getattr(split, name)
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
print(digest.hexdigest())
"""


@pytest.fixture(scope="module")
def data() -> DigitScenes:
    return digit_scenes(n_train=1000, n_test=1000)


@pytest.fixture(scope="module", params=["train", "test"])
def split(request, data) -> SceneSplit:
    return getattr(data, request.param)


@pytest.fixture(scope="module")
def photos() -> dict[str, np.ndarray]:
    folder = Path(skimage.__file__).parent / "data"
    return {name: np.asarray(Image.open(folder / file).convert("RGB")) for name, file in PHOTOS.items()}


def test_triples_are_exact(split, photos):
    assert split.images.dtype == split.scene_only.dtype == split.object_only.dtype == np.uint8
    assert split.masks.dtype == bool
    np.testing.assert_array_equal(split.images[~split.masks], split.scene_only[~split.masks])
    np.testing.assert_array_equal(split.images[split.masks], split.object_only[split.masks])
    assert (split.object_only[~split.masks] == 128).all()
    for i, (x0, y0, x1, y1) in enumerate(split.crops):  # the scene is the photograph's own pixels
        assert (x1 - x0, y1 - y0) == (64, 64)
        np.testing.assert_array_equal(split.scene_only[i], photos[SCENES[split.scenes[i]]][y0:y1, x0:x1])


def test_labels_are_those_of_the_digit_and_its_shape_is_kept(split):
    digits = load_digits()
    np.testing.assert_array_equal(split.objects, digits.target[split.digit_index])
    upright, mirrored, upside_down = [], [], []
    for i in range(0, len(split), 5):
        # Oracle: the mask, averaged back to the cells of the digit's own ink box, follows the 8 x 8 ink.
        ink = digits.images[split.digit_index[i]]
        ys, xs = np.flatnonzero((ink > 3).any(1)), np.flatnonzero((ink > 3).any(0))
        ink = ink[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
        x0, y0, x1, y1 = split.boxes[i].astype(int)
        small = Image.fromarray(split.masks[i, y0:y1, x0:x1]).convert("L").resize(ink.shape[::-1], Image.Resampling.BOX)
        for values, variant in [(upright, ink), (mirrored, ink[:, ::-1]), (upside_down, ink[::-1])]:
            values.append(np.corrcoef(np.asarray(small, float).ravel(), variant.ravel())[0, 1])
    assert np.mean(upright) > 0.9 and np.min(upright) > 0.5
    assert np.mean(mirrored) < 0.5 and np.mean(upside_down) < 0.5


def test_boxes_are_tight(split):
    for box, mask in zip(split.boxes, split.masks, strict=True):
        points = [(x, y) for y in range(64) for x in range(64) if mask[y, x]]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        assert box.tolist() == [min(xs), min(ys), max(xs) + 1, max(ys) + 1]


def test_objects_vary_in_size_and_place(split):
    x0, y0, x1, y1 = split.boxes.T
    share = (x1 - x0) * (y1 - y0) / 64**2
    assert share.min() > 0.18 and share.max() < 0.53
    assert np.quantile(share, 0.1) < 0.25 and np.quantile(share, 0.9) > 0.43
    for low, high in [(x0, x1), (y0, y1)]:  # both borders are reached
        assert low.min() == 0 and high.max() == 64
    assert ((x1 - x0) / (y1 - y0)).std() > 0.05


def test_objects_contrast_with_their_place(split):
    luma = lambda pixels: (pixels.reshape(-1, 3) @ [0.299, 0.587, 0.114]).mean()  # noqa: E731
    for i, (x0, y0, x1, y1) in enumerate(split.boxes.astype(int)):
        place, ink = split.scene_only[i, y0:y1, x0:x1], split.images[i][split.masks[i]]
        assert abs(luma(place) - luma(ink)) > 45, i
        assert abs(128 - luma(ink)) > 15, i


def test_train_and_test_share_no_digit_and_no_pixel_of_a_photograph(photos):
    data = digit_scenes(n_train=6000, n_test=3000, seed=1)
    other = digit_scenes(n_train=1000, n_test=1000, seed=2)  # the split of the pools does not hang on the seed
    assert not set(data.train.digit_index) & set(data.test.digit_index)
    assert not set(other.train.digit_index) & set(data.test.digit_index)
    used = {}
    for part in (data.train, data.test, other.train, other.test):
        seen = {name: np.zeros(photo.shape[:2], bool) for name, photo in photos.items()}
        for scene, (x0, y0, x1, y1) in zip(part.scenes, part.crops, strict=True):
            seen[SCENES[scene]][y0:y1, x0:x1] = True
        used.setdefault(part.name, []).append(seen)
    for name in SCENES:
        for train in used["train"]:
            for test in used["test"]:
                assert not (train[name] & test[name]).any()
        assert used["train"][0][name].mean() > 0.5 and used["test"][0][name].mean() > 0.15


def test_pairs_are_balanced():
    data = digit_scenes(size=24, n_train=250, n_test=101)
    for part in (data.train, data.test):
        counts = np.zeros((10, 10), int)
        for pair in zip(part.objects, part.scenes, strict=True):
            counts[pair] += 1
        assert counts.max() - counts.min() == 1 and counts.sum() == len(part)
    first = data.train.objects[:100] * 10 + data.train.scenes[:100]
    assert sorted(first) == list(range(100)) and list(first) != sorted(first)


def assert_same(a: SceneSplit, b: SceneSplit) -> None:
    for name in ("images", "objects", "scenes", "masks", "boxes", "scene_only", "digit_index", "crops"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_same_seed_same_bits_and_no_split_depends_on_the_others_size():
    small, large = digit_scenes(n_train=30, n_test=120, seed=3), digit_scenes(n_train=130, n_test=20, seed=3)
    assert_same(small.train, digit_scenes(n_train=30, n_test=120, seed=3).train)
    fields = ("images", "objects", "scenes", "masks", "boxes", "scene_only", "digit_index", "crops")
    cut = lambda part, n: SceneSplit(part.name, *(getattr(part, f)[:n] for f in fields))  # noqa: E731
    assert_same(small.train, cut(large.train, 30))
    assert_same(large.test, cut(small.test, 20))
    assert (small.train.images != digit_scenes(n_train=30, n_test=1, seed=4).train.images).any(axis=(1, 2, 3)).all()


def test_bits_are_those_of_the_stored_digest_in_a_fresh_process():
    done = subprocess.run([sys.executable, "-c", PRINT_DIGEST], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == DIGEST


def test_other_sizes_hold_the_same_content():
    full = digit_scenes(n_train=50, n_test=1)
    for size in (32, 128):
        other = digit_scenes(size=size, n_train=50, n_test=1).train
        np.testing.assert_array_equal(other.crops, full.train.crops)
        np.testing.assert_allclose(other.boxes / size, full.train.boxes / 64, atol=3 / 32)
        np.testing.assert_array_equal(other.images[~other.masks], other.scene_only[~other.masks])
        # Oracle: PIL's antialiased bilinear.
        for small, scene in zip(other.scene_only, full.train.scene_only, strict=True):
            expected = np.asarray(Image.fromarray(scene).resize((size, size), Image.Resampling.BILINEAR), np.int16)
            assert np.abs(small - expected).max() <= 1


def test_repr_is_short(data):
    assert repr(data.test) == "SceneSplit('test', 1000 images of 64 x 64)"


def test_samples_carry_labels_boxes_masks_and_names(split):
    for label, labels, names in [("object", split.objects, OBJECTS), ("scene", split.scenes, SCENES)]:
        samples = split.samples(label)
        np.testing.assert_array_equal(samples.labels, labels)
        np.testing.assert_array_equal(samples.images, split.images)
        np.testing.assert_array_equal(samples.masks, split.masks)
        assert samples.class_names == list(names) and len(set(samples.ids)) == len(split)
        np.testing.assert_array_equal(np.concatenate(samples.boxes_at((64, 64))), split.boxes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 23}, r"Expected size to be an int >= 24 .*Received: 23"),
        ({"size": 64.0}, r"Expected size to be an int >= 24 .*Received: 64\.0"),
        ({"n_train": 0}, r"Expected n_train to be an int >= 1\. Received: 0"),
        ({"n_test": -5}, r"Expected n_test to be an int >= 1\. Received: -5"),
        ({"seed": None}, r"Expected seed to be an int >= 0\. Received: None"),
    ],
)
def test_bad_arguments_say_what_was_expected(arguments, message):
    with pytest.raises(AttribevalError, match=message):
        digit_scenes(**arguments)


def test_unknown_label_lists_the_labels(data):
    with pytest.raises(AttribevalError, match=r"Unknown label of digit_scenes: 'objects'.*'object'.*object, scene"):
        data.train.samples("objects")


def test_missing_photographs_name_the_remedy(monkeypatch):
    monkeypatch.setitem(digit_pictures._FILES, "cat", "no_such_photograph.png")
    with pytest.raises(AttribevalError, match=r"no_such_photograph\.png.*pip install"):
        digit_scenes(n_train=1, n_test=1)


def test_shipped_nets_are_small():
    sizes = [(NETS / name).stat().st_size for name in ("digit_objects.keras", "digit_scenes.keras")]
    assert sum(sizes) < 1_000_000


@pytest.mark.parametrize("name", ["digit_objects.keras", "digit_scenes.keras"])
def test_shipped_nets_say_nothing_that_keras_3_10_refuses(name):
    with zipfile.ZipFile(NETS / name) as archive:
        config = archive.read("config.json").decode()
    assert '"Conv2D"' in config
    for key in ("input_axes", "output_axes", "renorm", "quantization_config"):
        assert key not in config


@pytest.mark.parametrize("label", ["object", "scene"])
def test_shipped_nets_reach_95_percent_on_test_and_read_only_their_own_part(data, label):
    import keras

    file, labels, own, other = {
        "object": ("digit_objects.keras", data.test.objects, data.test.object_only, data.test.scene_only),
        "scene": ("digit_scenes.keras", data.test.scenes, data.test.scene_only, data.test.object_only),
    }[label]
    model = keras.models.load_model(NETS / file, compile=False, safe_mode=True)
    assert model.input_shape == (None, 64, 64, 3) and model.layers[-1].name == "predictions"
    conv = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][-1]
    assert min(conv.output.shape[1:3]) >= 8

    def accuracy(images: np.ndarray) -> float:
        probabilities = model.predict(images, batch_size=250, verbose=0)
        np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
        return float((probabilities.argmax(1) == labels).mean())

    assert accuracy(data.test.images) >= 0.95
    assert accuracy(own) >= 0.8  # the part that holds its label is enough (BAM's table 1) …
    assert accuracy(other) <= 0.2  # … and the other part alone says nothing
