"""Images by every route, maps out and in: the same pixels give the same bits."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from attribeval import AttribevalError, Attributer, Attributions, Evaluator
from attribeval.datasets import Samples, digit_scenes, tfds
from attribeval.datasets.images import read_image
from attribeval.datasets.streams import is_dataset, read_dataset

N = 5
LABELS = [1, 0, 2, 2, 1]


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return digit_scenes(n_test=N, n_train=1, size=64).test.samples(label="object").images


@pytest.fixture(scope="module")
def attributer() -> Attributer:
    return Attributer("digit_objects")


@pytest.fixture(scope="module")
def maps(attributer, pixels) -> Attributions:
    return attributer.explain(pixels, "smoothgrad(gradient)", seed=3, samples=2)


@pytest.fixture(scope="module")
def folder(pixels, tmp_path_factory) -> Path:
    """The images as PNG files, in a folder per class."""
    root = tmp_path_factory.mktemp("files")
    for i, (image, label) in enumerate(zip(pixels, LABELS, strict=True)):
        (root / "abc"[label]).mkdir(exist_ok=True)
        Image.fromarray(image).save(root / "abc"[label] / f"{i}.png")
    return root


class Batches(keras.utils.PyDataset):
    def __init__(self, images, labels, size):
        super().__init__()
        self.images, self.labels, self.size = images, labels, size

    def __len__(self):
        return -(-len(self.images) // self.size)

    def __getitem__(self, i):
        part = slice(i * self.size, (i + 1) * self.size)
        return self.images[part], np.array(self.labels)[part]


def slices(pixels, labels=LABELS):
    return tf.data.Dataset.from_tensor_slices((pixels, labels))


ROUTES = {
    "array": lambda x, files: x,
    "float64": lambda x, files: x.astype(np.float64),
    "list of arrays": lambda x, files: list(x),
    "tensor": lambda x, files: tf.constant(x),
    "paths": lambda x, files: files,
    "strings": lambda x, files: list(map(str, files)),
    "PIL": lambda x, files: [Image.fromarray(image) for image in x],
    "Samples": lambda x, files: Samples(x, LABELS),
    "Samples of paths": lambda x, files: Samples(files, LABELS),
    "tf.data": lambda x, files: tf.data.Dataset.from_tensor_slices(x),
    "tf.data, batched": lambda x, files: tf.data.Dataset.from_tensor_slices(x).batch(2),
    "tf.data, labels": lambda x, files: slices(x),
    "tf.data, labels, batched": lambda x, files: slices(x).batch(3).prefetch(1),
    "tf.data, weights": lambda x, files: tf.data.Dataset.from_tensor_slices((x, LABELS, np.ones(N))).batch(2),
    "tf.data, one part": lambda x, files: tf.data.Dataset.from_tensor_slices((x,)),
    "tf.data, float32": lambda x, files: slices(x.astype(np.float32)).batch(4),
    "tf.data, dictionary": lambda x, files: tf.data.Dataset.from_tensor_slices({"image": x, "label": LABELS}),
    "tf.data, generator": lambda x, files: tf.data.Dataset.from_generator(
        lambda: iter(x), output_signature=tf.TensorSpec((None, None, 3), tf.uint8)
    ),
    "tf.data, filtered": lambda x, files: slices(x).filter(lambda image, label: label >= 0).batch(2),
    "PyDataset": lambda x, files: Batches(x, LABELS, 2),
}  # fmt: skip


@pytest.mark.parametrize("route", list(ROUTES))
def test_every_route_gives_the_same_maps(route, attributer, maps, pixels, folder):
    files = [folder / "abc"[label] / f"{i}.png" for i, label in enumerate(LABELS)]
    given = ROUTES[route](pixels, files)
    again = attributer.explain(given, "smoothgrad(gradient)", seed=3, samples=2)
    np.testing.assert_array_equal(again.values, maps.values)
    np.testing.assert_array_equal(again.targets, maps.targets)


def test_one_pass_is_made(attributer, pixels):
    """What shuffles anew, or ends after one pass, is not read twice; nothing of it is asked for before its turn."""
    passes = []

    def images():
        passes.append(1)
        yield from pixels

    dataset = tf.data.Dataset.from_generator(images, output_signature=tf.TensorSpec(pixels.shape[1:], tf.uint8))
    attributer.explain_many(dataset.batch(2), ["gradient", "gradcam"], batch_size=2)
    assert len(passes) == 1
    assert attributer.predict(dataset).shape == (N, 10) and attributer.read(dataset).shape == pixels.shape
    assert len(passes) == 3  # one each


def test_a_shuffled_data_set_is_kept_in_the_order_it_was_read(attributer, pixels):
    shuffled = slices(pixels).shuffle(N, reshuffle_each_iteration=True).batch(2)
    samples = Samples.from_dataset(shuffled)
    maps = attributer.explain(samples, "gradient", samples.labels)
    for image, label, values in zip(samples.images, samples.labels, maps.values, strict=True):
        (i,) = [i for i in range(N) if np.array_equal(image, pixels[i])]
        assert label == LABELS[i]
        np.testing.assert_array_equal(values, attributer.explain(pixels[i], "gradient", int(label)).values[0])


# -- Samples -----------------------------------------------------------------------------------------------------------


def test_image_dataset_from_directory(folder, pixels, attributer, maps):
    options = {"image_size": (64, 64), "batch_size": 2, "shuffle": False, "verbose": False}
    order = sorted(range(N), key=lambda i: ("abc"[LABELS[i]], i))
    for mode in ("int", "categorical"):
        dataset = keras.utils.image_dataset_from_directory(folder, label_mode=mode, **options)
        samples = Samples.from_dataset(dataset)
        assert samples.class_names == ["a", "b", "c"] and len(samples) == N
        assert samples.labels.tolist() == [LABELS[i] for i in order]
        np.testing.assert_array_equal(samples.images, pixels[order])
        assert samples.images.dtype == np.float32
        again = attributer.explain(dataset, "smoothgrad(gradient)", seed=3, samples=2)
        np.testing.assert_array_equal(again.values, maps.values[order])
    two = folder.parent / "two"
    for name in "ab":
        (two / name).mkdir(parents=True)
        Image.fromarray(pixels[0]).save(two / name / "x.png")
    binary = Samples.from_dataset(keras.utils.image_dataset_from_directory(two, label_mode="binary", **options))
    assert binary.labels.tolist() == [0, 1] and binary.labels.dtype == np.int64
    unlabelled = keras.utils.image_dataset_from_directory(folder, labels=None, **options)
    with pytest.raises(AttribevalError, match="images alone: pass labels="):
        Samples.from_dataset(unlabelled)
    assert Samples.from_dataset(unlabelled, [0, 1, 2, 0, 1], name="mine").labels.tolist() == [0, 1, 2, 0, 1]


@pytest.mark.parametrize(
    "make",
    [
        lambda x, y: Batches(x, y, 2),
        lambda x, y: zip(x, y, strict=True),  # any iterable, also one that is used up
        lambda x, y: [(x[:2], y[:2]), (x[2:], y[2:])],
        lambda x, y: ({"image": image, "label": label} for image, label in zip(x, y, strict=True)),
        lambda x, y: slices(x, y),
        lambda x, y: slices(x, np.eye(3)[y]),
        lambda x, y: slices(x, np.eye(3, dtype=np.float32)[y]).batch(2),
        lambda x, y: slices(x, np.array(y, np.float32)[:, None]).batch(2),
        lambda x, y: slices(x, np.array(y, np.uint8)).batch(4, drop_remainder=False),
    ],
)
def test_samples_from_data_sets(make, pixels):
    samples = Samples.from_dataset(make(pixels, LABELS), name="mine", class_names=["x", "y", "z"])
    assert samples.images.dtype == np.uint8 and samples.name == "mine" and samples.class_names == ["x", "y", "z"]
    np.testing.assert_array_equal(samples.images, pixels)
    assert samples.labels.tolist() == LABELS


def test_an_evaluator_takes_them(attributer, pixels):
    samples = Samples.from_dataset(slices(pixels).batch(2))
    assert Evaluator(attributer, samples).dataset is samples
    with pytest.raises(AttribevalError, match=r"Samples\.from_dataset\(dataset\)"):
        Evaluator(attributer, slices(pixels))


def test_sizes_are_made_one_as_with_files(tmp_path):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((20, 30), (17, 11), (8, 8))]
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for picture, path in zip(pictures, paths, strict=True):
        Image.fromarray(picture).save(path)
    mixed = [(picture, i) for i, picture in enumerate(pictures)]
    samples = Samples.from_dataset(mixed, size=(8, 8))
    np.testing.assert_array_equal(samples.images, np.stack([read_image(path, size=(8, 8)) for path in paths]))
    assert samples.images.dtype == np.uint8
    grey = Samples.from_dataset([(picture[..., :1], 0) for picture in pictures], size=(8, 8))
    wanted = [np.asarray(Image.fromarray(p[..., 0]).resize((8, 8), Image.Resampling.BILINEAR)) for p in pictures]
    np.testing.assert_array_equal(grey.images[..., 0], np.stack(wanted))
    floats = Samples.from_dataset([(picture / 255.0, 0) for picture in pictures], size=(8, 8))
    assert floats.images.dtype == np.float32 and floats.images.max() <= 1
    with pytest.raises(AttribevalError, match=r"images of one size.*\(17, 11, 3\).*size=\(height, width\)"):
        Samples.from_dataset(mixed)


def test_limit_ends_what_has_no_end(pixels):
    endless = slices(pixels).repeat().batch(4)
    assert Samples.from_dataset(endless, limit=7).labels.tolist() == (LABELS * 2)[:7]
    with pytest.raises(AttribevalError, match="1 or more"):
        Samples.from_dataset(endless, limit=0)

    class Endless(Batches):
        num_batches = None

    with pytest.raises(AttribevalError, match="num_batches is None"):
        Samples.from_dataset(Endless(pixels, LABELS, 2))
    assert len(Samples.from_dataset(Endless(pixels, LABELS, 2), limit=3)) == 3


# -- bad input ---------------------------------------------------------------------------------------------------------


def test_an_endless_data_set_is_refused(attributer, pixels):
    with pytest.raises(AttribevalError, match=r"infinite cardinality: remove \.repeat\(\)"):
        attributer.explain(slices(pixels).repeat(), "gradient")


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ([], "empty one"),
        ([{"picture": 0}], 'keys "image" and "label".*\'picture\'.*element 0'),
        ([(np.zeros((4, 4, 3)), 0), (np.zeros((4, 4)), 0)], r"\(4, 4\) in element 1"),
        ([(np.zeros((4, 4, 3)), "cat")], "label of element 0.*str"),
        ([({"a": 0}, 0)], "image of element 0. Received: dict"),
        ([(np.zeros((4, 4, 3)), 0.5)], "label of element 0.*float64"),
        ([(np.zeros((2, 4, 4, 3)), [[0.5, 0.5], [0, 1]])], "one-hot labels.*element 0"),
        ([(np.zeros((2, 4, 4, 3)), np.array([[0.5, 0.5], [0, 1]]))], "one-hot labels.*element 0"),
        ([(np.zeros((2, 4, 4, 3)), np.array([0, 1, 2]))], "2 class indices.*element 0"),
        ([np.zeros((4, 4, 3)), (np.zeros((4, 4, 3)), 1)], "1 for 2"),
        ([(1, 2, 3, 4)], "4 parts in element 0"),
        ([(np.zeros((2, 4, 4, 3)), [[1, 0], [1]])], "label of element 0"),
        (7, "Expected a data set.*int"),
        ("abc", "Expected a data set.*str"),
    ],
)
def test_bad_elements_are_named(elements, message):
    with pytest.raises(AttribevalError, match=message):
        Samples.from_dataset(elements)


def test_ragged_images_and_wrong_sizes_are_refused(attributer, pixels):
    ragged = tf.data.Dataset.from_tensors(tf.ragged.constant([[[1.0], [2.0]], [[3.0]]]))
    with pytest.raises(AttribevalError, match=r"image of element 0\. Received: RaggedTensor"):
        read_dataset(ragged)
    with pytest.raises(AttribevalError, match=r"Received: \(5, 60, 60, 3\).*Samples\.from_dataset"):
        attributer.explain(slices(pixels[:, :60, :60]).batch(2), "gradient")
    bad = pixels.astype(np.float32)
    bad[3, 0, 0, 0] = np.nan
    with pytest.raises(AttribevalError, match="infinity in image 3"):
        attributer.explain(slices(bad).batch(2), "gradient", batch_size=2)


def test_what_is_a_data_set():
    assert is_dataset(tf.data.Dataset.range(3)) and is_dataset(Batches(np.zeros((2, 1, 1, 1)), [0, 1], 1))
    assert not any(map(is_dataset, (np.zeros(3), [1], "a", iter([]), tf.zeros(3))))


# -- TensorFlow Datasets -----------------------------------------------------------------------------------------------


class FakeTfds:
    """`tensorflow_datasets` as far as the reader knows it."""

    def __init__(self, images, labels, names):
        self.images, self.labels, self.names, self.asked = images, labels, names, None

    def load(self, name, **options):
        self.asked = {"name": name, **options}
        if name == "lost":
            raise AssertionError("Dataset lost: could not find data in /nowhere.\nMore lines.")
        label = type("ClassLabel", (), {"names": self.names})()
        features = {"image": None, "file_name": None} | ({} if name == "detection" else {"label": label})
        info = type("Info", (), {"features": features})()
        return tf.data.Dataset.from_tensor_slices({"image": self.images, "label": self.labels}), info


def test_tfds_reads_by_name(monkeypatch, pixels):
    fake = FakeTfds(pixels, LABELS, ["a", "b", "c"])
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", fake)
    samples = tfds("food101", "validation", Path("there"), limit=4)
    assert fake.asked == {
        "name": "food101", "split": "validation", "data_dir": "there", "download": False, "shuffle_files": False,
        "with_info": True,
    }  # fmt: skip
    assert samples.class_names == ["a", "b", "c"] and samples.wnids is None and samples.name == "food101"
    assert samples.labels.tolist() == LABELS[:4]
    np.testing.assert_array_equal(samples.images, pixels[:4])
    fake.names = ["n01440764", "n01443537", "n01484850"]
    samples = tfds("imagenet2012", "validation", size=(8, 8))
    assert samples.wnids == fake.names and samples.class_names is None and samples.images.shape == (N, 8, 8, 3)
    with pytest.raises(AttribevalError, match=r"could not find data in /nowhere\. Pass data_dir=, or download=True"):
        tfds("lost")
    with pytest.raises(AttribevalError, match="'detection' with \\['file_name', 'image'\\]"):
        tfds("detection")


def test_without_tfds_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **named):
        if name == "tensorflow_datasets":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(AttribevalError, match=r"pip install 'attribeval\[tfds\]'"):
        tfds("food101")


def test_tfds_itself(tmp_path, pixels, attributer, maps):
    """A set that TensorFlow Datasets itself prepared, read back by name."""
    real = pytest.importorskip("tensorflow_datasets", reason="tensorflow_datasets is not installed (extra `tfds`)")
    features = real.features.FeaturesDict(
        {"image": real.features.Image(shape=(64, 64, 3)), "label": real.features.ClassLabel(names=["a", "b", "c"])}
    )
    real.dataset_builders.store_as_tfds_dataset(
        name="small", version="1.0.0", features=features, data_dir=tmp_path,
        split_datasets={"test": tf.data.Dataset.from_tensor_slices({"image": pixels, "label": LABELS})},
    )  # fmt: skip
    samples = tfds("small", "test", tmp_path)
    assert samples.class_names == ["a", "b", "c"] and sorted(samples.labels.tolist()) == sorted(LABELS)
    again = attributer.explain(samples, "smoothgrad(gradient)", seed=3, samples=2)
    for image, label, values in zip(samples.images, samples.labels, again.values, strict=True):
        (i,) = [i for i in range(N) if np.array_equal(image, pixels[i])]
        assert label == LABELS[i]
        np.testing.assert_array_equal(values, maps.values[i])
    assert len(tfds("small", "test[:2]", tmp_path)) == 2
    for name, split in (("smal", "test"), ("small", "train")):
        with pytest.raises(AttribevalError, match="Expected a data set of TensorFlow Datasets"):
            tfds(name, split, tmp_path)


# -- maps out and in ---------------------------------------------------------------------------------------------------


def test_maps_as_a_bare_array(maps, tmp_path):
    path = maps.save(tmp_path / "new" / "maps.npy")
    assert path == tmp_path / "new" / "maps.npy"
    values = np.load(path, allow_pickle=False)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, maps.values)
    with pytest.raises(AttribevalError, match=r"Attributions\.from_array\(np\.load\(path\), targets"):
        Attributions.load(path)
    again = Attributions.from_array(values, maps.targets, method=maps.method)
    np.testing.assert_array_equal(again.heatmap(), maps.heatmap())
    saved = Attributions.load(again.save(tmp_path / "again"))
    np.testing.assert_array_equal(saved.values, maps.values)
    assert (saved.method, saved.seed) == (maps.method, None) and saved.targets.dtype == np.int32


def test_maps_of_others_by_hand():
    flat = np.arange(24.0).reshape(2, 3, 4) - 12
    maps = Attributions.from_array(flat, 7, model="theirs", options={"steps": 3}, class_names=("a",) * 8)
    assert maps.values.shape == (2, 3, 4, 1) and maps.values.dtype == np.float32 and maps.targets.tolist() == [7, 7]
    assert (maps.method, maps.model, maps.options, maps.class_names) == ("external", "theirs", {"steps": 3}, ["a"] * 8)
    np.testing.assert_array_equal(maps.values[..., 0], flat)
    flat[:] = 0
    assert maps.values.any()  # a copy
    np.testing.assert_array_equal(Attributions.from_array(tf.ones((2, 3, 4, 3)), [0, 1]).values, np.ones((2, 3, 4, 3)))


@pytest.mark.parametrize(
    ("values", "targets", "message"),
    [
        (np.zeros((3, 4)), 0, r"Received: float64, \(3, 4\)"),
        (np.zeros((0, 4, 4)), [], "Expected maps as real numbers"),
        (np.zeros((2, 4, 4), complex), 0, "complex128"),
        (np.zeros((2, 3, 8, 8)), 0, r"np\.moveaxis\(values, 1, -1\)"),
        (np.array([[[0.0]], [[np.nan]]]), 0, "in map 1"),
        (np.array([[[1e300]]]), 0, "within float32.*in map 0"),
        (np.zeros((2, 4, 4)), [1], "one class index, or 2"),
        (np.zeros((2, 4, 4)), [0.0, 1.0], "float64"),
        (np.zeros((2, 4, 4)), [0, -1], "some negative"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_maps_of_others_that_do_not_fit(values, targets, message):
    with pytest.raises(AttribevalError, match=message):
        Attributions.from_array(values, targets)
