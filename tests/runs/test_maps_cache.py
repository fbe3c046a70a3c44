"""Maps on disk: found by what made them and by nothing else, whole or made again."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from attribeval import AttribevalError, Attributer
from attribeval.common.seeds import image_seeds
from attribeval.methods.registry import build_method
from attribeval.models.classifier import Classifier
from attribeval.models.reading import Reading
from attribeval.runs.keys import image_keys
from attribeval.runs.maps_cache import Maps, MapsCache


def net(name="net", activation="relu", stddev=1.0):
    first = keras.initializers.RandomNormal(stddev=stddev, seed=1)
    return keras.Sequential(
        [
            keras.Input((6, 5, 3)),
            keras.layers.Conv2D(2, 3, activation=activation, kernel_initializer=first, name="conv"),
            keras.layers.GlobalAveragePooling2D(name="gap"),
            keras.layers.Dense(2, kernel_initializer="ones", name="dense"),
        ],
        name=name,
    )


@pytest.fixture(scope="module")
def classifier():
    return Classifier(net())


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(0, 1, (3, 6, 5, 3)).astype(np.float32)


def keys_of(classifier, images, targets=(0, 1, 0), seed=0):
    return image_keys(classifier, images, np.array(targets), image_seeds(images, seed))


def maps_of(n=3):
    values = np.random.default_rng(1).normal(size=(n, 6, 5, 1)).astype(np.float32)
    return Maps(values, np.array([0.1, 0.2, 0.3])[:n], np.array([1.5, np.nan, 3.0])[:n])


GRADIENT = build_method("gradient")


def test_what_goes_in_comes_out(classifier, images, tmp_path):
    cache = MapsCache(tmp_path / "maps", classifier)
    keys = keys_of(classifier, images)
    assert cache.load(GRADIENT, keys) is None and cache.bytes() == 0
    maps = maps_of()
    cache.save(GRADIENT, keys, maps)
    found = MapsCache(tmp_path / "maps", Classifier(net())).load(GRADIENT, keys[::-1])  # another process, another order
    np.testing.assert_array_equal(found.values, maps.values[::-1])
    np.testing.assert_array_equal(found.seconds, maps.seconds[::-1])
    np.testing.assert_array_equal(found.peak_mib, maps.peak_mib[::-1])
    files = sorted((tmp_path / "maps").glob("gradient-*/*.npy"))
    assert [file.stem for file in files] == sorted(keys)
    np.testing.assert_array_equal(np.load(tmp_path / files[0]), maps.values[keys.index(files[0].stem)])  # plain .npy
    assert cache.bytes() == sum(file.stat().st_size for file in files) > 3 * 6 * 5 * 4


def test_every_part_of_the_key_tells(classifier, images, tmp_path):
    cache = MapsCache(tmp_path, classifier)
    keys = keys_of(classifier, images)
    cache.save(GRADIENT, keys, maps_of())
    changed = images.copy()
    changed[0, 0, 0, 0] += 1e-3
    assert keys_of(classifier, changed)[0] != keys[0] and keys_of(classifier, changed)[1:] == keys[1:]
    assert set(keys_of(classifier, images, targets=(1, 0, 1))).isdisjoint(keys)
    assert set(keys_of(classifier, images, seed=1)).isdisjoint(keys)
    assert set(keys_of(Classifier(net(), preprocess=lambda x: 1 - x), images)).isdisjoint(keys)
    for other in ("gradient_x_input", "integrated_gradients(steps=3)", "smoothgrad(gradient)"):
        assert cache.load(build_method(other), keys) is None, other
    cache.save(build_method("integrated_gradients(steps=3)"), keys, maps_of())
    assert cache.load(build_method("integrated_gradients(steps=4)"), keys) is None
    cache.save(build_method("smoothgrad(gradient)"), keys, maps_of())
    assert cache.load(build_method("smoothgrad(guided_backprop)"), keys) is None
    for model in (
        Classifier(net(stddev=2.0)),
        Classifier(net(activation="tanh")),  # the same weights
        Classifier(net(), reading=Reading(score="output")),
        Classifier(keras.Sequential([net(), keras.layers.Softmax()])),
    ):
        assert MapsCache(tmp_path, model).load(GRADIENT, keys) is None
    assert MapsCache(tmp_path, Classifier(net())).load(GRADIENT, keys) is not None


def test_another_version_of_the_package_makes_its_own(classifier, images, tmp_path, monkeypatch):
    keys = keys_of(classifier, images)
    cache = MapsCache(tmp_path, classifier)
    cache.save(GRADIENT, keys, maps_of())
    monkeypatch.setattr(
        "attribeval.runs.maps_cache.versions",
        lambda: {"attribeval": "99", "tensorflow": "", "keras": ""},
    )
    assert cache.load(GRADIENT, keys) is None


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "foreign", "cost"])
def test_a_damaged_file_is_made_again_with_a_warning(classifier, images, tmp_path, damage):
    cache = MapsCache(tmp_path, classifier)
    keys = keys_of(classifier, images)
    cache.save(GRADIENT, keys, maps_of())
    (file,) = tmp_path.glob(f"*/{keys[1]}.npy")
    data = bytearray(file.read_bytes())
    if damage == "bit":
        data[200] ^= 1
    elif damage == "cost":
        data[-20] ^= 1
    elif damage == "foreign":
        np.save(file, np.zeros((6, 5, 1), np.float32))
        data = bytearray(file.read_bytes())
    file.write_bytes(b"" if damage == "empty" else data[:-7] if damage == "cut" else data)
    with pytest.warns(UserWarning, match=f"{keys[1]}.npy is damaged .*made again"):
        assert cache.load(GRADIENT, keys) is None
    cache.save(GRADIENT, keys, maps_of())
    np.testing.assert_array_equal(cache.load(GRADIENT, keys).values, maps_of().values)


def test_a_damaged_file_in_a_run(tmp_path, images):
    """The run makes the map again, and the table is as before."""
    from helpers.leaderboard import InMiddle

    from attribeval.benchmarks.leaderboard.procedure import run_leaderboard

    def run():
        return run_leaderboard(
            Attributer(net()), images, ["gradient"], {"in_middle": InMiddle()}, cache=tmp_path, progress=False
        ).table.drop(columns=["seconds_per_image", "peak_memory_mib", "scoring_seconds_per_image"])

    before = run()
    file = next(tmp_path.glob("gradient-*/*.npy"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.warns(UserWarning, match="damaged"):
        after = run()
    assert after.equals(before)
    assert file.read_bytes()[:-49] == whole[:-49]  # the map; its cost is another
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert run().equals(before)


def test_many_writers_and_readers_never_see_half_a_file(classifier, images, tmp_path):
    keys = keys_of(classifier, images)
    maps = maps_of()

    def work(i):
        cache = MapsCache(tmp_path, classifier)
        if i % 2:
            cache.save(GRADIENT, keys, maps)
            return True
        found = cache.load(GRADIENT, keys)
        return found is None or np.array_equal(found.values, maps.values)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(work, range(60)))
    assert not list(tmp_path.glob("*/.*"))


def test_a_folder_that_cannot_be_is_an_error(classifier, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AttribevalError, match="Expected a folder to write maps to"):
        MapsCache(tmp_path / "file" / "maps", classifier)
