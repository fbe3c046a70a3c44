"""ROAR from end to end on a set so small that a training takes a second: what it finds, and what interrupts it."""

from __future__ import annotations

import errno
import importlib.util
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers import forks
from scipy.ndimage import maximum_filter

from attribeval import Attributer, Evaluator
from attribeval.benchmarks.roar import procedure
from attribeval.benchmarks.roar.estimators import method_of
from attribeval.benchmarks.roar.example import modified
from attribeval.benchmarks.roar.executors import local
from attribeval.benchmarks.roar.executors.local import Local
from attribeval.benchmarks.roar.ranks import unpack
from attribeval.benchmarks.roar.records import Records
from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.benchmarks.roar.status import status
from attribeval.benchmarks.roar.tasks import Setup, is_maps, record_death, run_task
from attribeval.datasets import Samples, TrainTest
from attribeval.errors import AttribevalError
from attribeval.methods.registry import build_method
from attribeval.results.numbers import share
from attribeval.training.recipe import Recipe

SIZE, CLASSES, VALUES = 16, 3, 16 * 16 * 3
RECIPE = Recipe(epochs=8, batch_size=16, learning_rate=0.05)


def stripes(n, seed):
    """A bar on noise: its place and its channel tell the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    images = rng.integers(0, 120, (n, SIZE, SIZE, 3))
    for image, label in zip(images, labels, strict=True):
        image[3:13, 1 + 5 * label : 5 + 5 * label, label] += 130
    return Samples(images.astype(np.uint8), labels, name="stripes")


def net():
    """Smooth, so that hardly two values of a gradient are the same, and a sort is an oracle."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(6, 3, activation="tanh"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


DATA = TrainTest(stripes(60, 1), stripes(30, 2))


@pytest.fixture(scope="module", autouse=True)
def workers_start_at_once():
    """`test_executors` and the tests of the command line have workers that import TensorFlow."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(local, "subprocess", forks)
        yield


def roar(run_dir, methods=("GRAD", "random"), **options):
    given = {"fractions": [0.4, 0.8], "modes": ["remove"], "repeats": 1, "recipe": RECIPE, "progress": False}
    return Evaluator.roar(net, DATA, methods, run_dir=run_dir, **(given | options))


FULL = {"modes": ["remove", "keep"], "controls": ["leakage", "max_filter", "recursive"]}


def here(**options):
    """In this process, which saves the start of another."""
    import tensorflow as tf

    return {"strategy": tf.distribute.get_strategy(), "fractions": [0.4], **options}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("roar") / "run"
    result = roar(run_dir, jobs=2, **FULL)
    return RunDir(run_dir), result


@pytest.fixture
def copied(finished, tmp_path):
    shutil.copytree(finished[0].path, tmp_path / "run")
    return RunDir(tmp_path / "run")


@pytest.fixture(scope="module")
def unmodified(finished):
    model = net()
    model.load_weights(finished[0].path / "models" / "unmodified_r0.weights.h5")
    return model


def records(run_dir):
    return {record["name"]: record for record in run_dir.records()}


def numbers(record):
    """What a training found out, without what it cost."""
    kept = {key: value for key, value in record.items() if key not in ("seconds", "training_seconds", "hardware")}
    return kept | {"history": {key: value for key, value in kept["history"].items() if key != "seconds"}}


def named(run_dir, kind, fraction, mode="remove", estimator=None):
    (found,) = [
        record
        for record in run_dir.records()
        if (record["kind"], record["fraction"], record["mode"]) == (kind, fraction, mode)
        and estimator in (None, record["estimator"])
    ]
    return found


# ------------------------------------------------------------------------------------------------- slow and by hand


def top(maps, fraction):
    """bool (N, V): the greatest values of each image, by a sort; they must not be tied at the edge."""
    flat = np.asarray(maps, np.float64).reshape(len(maps), -1)
    k = int(fraction * flat.shape[1])
    order = np.argsort(-flat, axis=1, kind="stable")
    rows = np.arange(len(flat))
    assert (flat[rows, order[:, k - 1]] > flat[rows, order[:, k]]).all()
    mask = np.zeros(flat.shape, bool)
    np.put_along_axis(mask, order[:, :k], True, axis=1)
    return mask


def painted(images, mask):
    """Masked values (bool (N, V)) replaced by the training set's channel mean."""
    mean = DATA.train.images.astype(np.float64).mean(axis=(0, 1, 2)).astype(np.float32)
    return np.where(mask.reshape(images.shape), mean, images.astype(np.float32)).astype(np.float32)


def accuracy(model, images, labels):
    return float((np.asarray(model(images)).argmax(1) == labels).mean())


def stored_mask(run_dir, folder, split, m, index):
    packed = Records.open(folder, split)
    return unpack(packed[:], m, VALUES) <= index


# --------------------------------------------------------------------------------------------------- a finished run


def test_a_record_has_score_seed_cost_and_history(finished):
    run_dir, _ = finished
    found = records(run_dir)
    # unmodified; 2 rankings × 2 fractions × 2 modes; masks of 2 and max3, recursive of GRAD, × 2 fractions
    assert len(found) == 1 + 8 + 4 + 2 + 2 and {r["status"] for r in found.values()} == {"done"}
    assert len({record["seed"] for record in found.values()}) == 1  # one repeat
    for record in found.values():
        assert record["versions"].keys() == {"attribeval", "tensorflow", "keras"}
        assert record["hardware"]["host"] and record["hardware"]["cores"] >= 1 and record["hardware"]["threads"] >= 1
        assert 0 < record["training_seconds"] <= record["seconds"]
        assert record["images"] == len(DATA.test)
        counts = np.bincount(DATA.test.labels)
        by_class = np.array(record["per_class_accuracy"])
        assert record["accuracy"] == pytest.approx((by_class * counts).sum() / counts.sum(), abs=1e-12)
        assert record["loss"] > 0 and len(record["history"]["loss"]) == RECIPE.epochs
        retrained = record["kind"] not in ("unmodified", "leakage")
        assert (record["without_retraining"] is not None) == retrained
    assert found["unmodified_r0"]["accuracy"] > 0.6  # there is something to lose
    assert not list((run_dir.path / "logs").iterdir()) and not list((run_dir.path / "failures").iterdir())
    assert not [path for path in run_dir.path.rglob("*") if "tmp" in path.name]


def test_accuracy_of_the_unmodified_model_is_that_of_its_weights(finished, unmodified):
    images, labels = DATA.test.images.astype(np.float32), DATA.test.labels
    record = records(finished[0])["unmodified_r0"]
    assert record["accuracy"] == accuracy(unmodified, images, labels)
    probabilities = np.asarray(unmodified(images), np.float64)
    assert record["loss"] == pytest.approx(-np.log(probabilities[np.arange(len(labels)), labels]).mean(), rel=1e-4)


@pytest.mark.parametrize("mode", ["remove", "keep"])
@pytest.mark.parametrize("fraction", [0.4, 0.8])
@pytest.mark.parametrize("method", ["GRAD", "random"])
def test_without_retraining_is_the_model_on_images_masked_by_hand(finished, unmodified, method, fraction, mode):
    run_dir, _ = finished
    images, labels = DATA.test.images, DATA.test.labels
    maps = Attributer(unmodified).explain(images, method, seed=0).values
    mask = top(np.broadcast_to(maps, images.shape), fraction)
    shown = painted(images, mask if mode == "remove" else ~mask)
    index = [0.4, 0.8].index(fraction)
    np.testing.assert_array_equal(stored_mask(run_dir, run_dir.ranks_folder(method), "test", 2, index), mask)
    record = named(run_dir, "control" if method == "random" else "method", fraction, mode)
    assert record["without_retraining"] == accuracy(unmodified, shown, labels)


def test_ranks_of_the_training_images_are_those_of_their_maps(finished, unmodified):
    run_dir, _ = finished
    mask = top(Attributer(unmodified).explain(DATA.train.images, "GRAD").values, 0.4)
    np.testing.assert_array_equal(stored_mask(run_dir, run_dir.ranks_folder("GRAD"), "train", 2, 0), mask)


def test_max_filter_ranks_the_maximum_of_neighbours(finished, unmodified):
    run_dir, _ = finished
    maps = Attributer(unmodified).explain(DATA.test.images, "GRAD").values
    for i, image in enumerate(maps):
        filtered = np.stack([maximum_filter(image[..., c], 3, mode="nearest") for c in range(3)], axis=-1).ravel()
        for index, fraction in enumerate([0.4, 0.8]):
            mask = stored_mask(run_dir, run_dir.ranks_folder("max3(GRAD)"), "test", 2, index)[i]
            assert mask.sum() == int(fraction * VALUES)
            assert filtered[mask].min() >= filtered[~mask].max()  # maxima are tied: any of the equal ones may be in


def test_recursive_keeps_removed_what_was_removed_and_asks_the_retrained_model(finished):
    run_dir, _ = finished
    first, second = (named(run_dir, "recursive", fraction) for fraction in (0.4, 0.8))
    # The first step is plain ROAR: the same ranking, the same seed, so the same training.
    plain = named(run_dir, "method", 0.4)
    assert [first[key] for key in ("accuracy", "loss")] == [plain[key] for key in ("accuracy", "loss")]
    retrained = net()
    for split, samples in (("train", DATA.train), ("test", DATA.test)):
        gone = stored_mask(run_dir, run_dir.path / "maps" / first["name"], split, 1, 0)
        mask = stored_mask(run_dir, run_dir.path / "maps" / second["name"], split, 1, 0)
        assert mask[gone].all() and (mask.sum(axis=1) == int(0.8 * VALUES)).all()
        retrained.load_weights(run_dir.path / "models" / f"{first['name']}.weights.h5")
        maps = Attributer(retrained).explain(painted(samples.images, gone), "GRAD").values
        flat = np.where(gone, np.inf, maps.reshape(gone.shape))
        flat[gone] = 1e9 + np.arange(gone.sum())  # apart from each other, before all others
        np.testing.assert_array_equal(mask, top(flat.reshape(samples.images.shape), 0.8))
    retrained.load_weights(run_dir.path / "models" / f"{second['name']}.weights.h5")
    assert second["accuracy"] == accuracy(retrained, painted(DATA.test.images, mask), DATA.test.labels)
    assert first["accuracy"] != second["accuracy"] or first["loss"] != second["loss"]


def test_the_result_has_every_row(finished):
    _, result = finished
    table = result.table
    assert {"GRAD", "random", "max3(GRAD)", "recursive(GRAD)", "mask of GRAD"} <= set(table["method"])
    assert result.settings["expected_cells"] == result.settings["done_cells"] == 17
    row = table[(table["method"] == "GRAD") & (table["fraction"] == 0.8) & (table["mode"] == "keep")].iloc[0]
    assert row["value"] == named(finished[0], "method", 0.8, "keep")["accuracy"]


# ------------------------------------------------------------------------------------- going on, extending, repairing


def times(run_dir):
    return {path.name: path.stat().st_mtime_ns for path in (run_dir.path / "cells").iterdir()}


def test_the_result_holds_the_first_test_image_as_it_was_trained_on(finished):
    run_dir, result = finished
    image = DATA.test.images[0]
    np.testing.assert_array_equal(result.arrays["example/image"], image)
    mask = stored_mask(run_dir, run_dir.ranks_folder("GRAD"), "test", 2, 0)[:1]
    found = modified(result.arrays, result.settings, "GRAD", 0.4, "remove")
    np.testing.assert_array_equal(found, painted(image[None], mask)[0])
    assert {ax.get_title() for ax in result.figure(7).axes} > {"unmodified\n" + share(_whole(result))}


def _whole(result):
    return float(result.table["value"][result.table["kind"] == "unmodified"].iloc[0])


def test_a_second_call_trains_nothing(finished, monkeypatch):
    run_dir, result = finished
    before = times(run_dir)
    monkeypatch.setattr(Local, "_start", lambda self, run_dir: pytest.fail("a process was started"))
    again = roar(run_dir.path, jobs=2, **(FULL | {"modes": ["keep", "remove"]}))  # the order does not matter
    assert times(run_dir) == before
    assert again.table.equals(result.table) and again.summary == result.summary


def test_what_is_deleted_is_done_again_to_the_same_bits(copied):
    """A record, and the shard of a ranking with it; nothing else is touched."""
    deleted = named(copied, "method", 0.8, "keep")
    (copied.path / "cells" / f"{deleted['name']}.json").unlink()
    shard = Records.open(copied.ranks_folder("GRAD"), "train").files[0]
    bits, before = shard.read_bytes(), times(copied)
    shard.write_bytes(bits[:-7] + bytes(7 * [255]))
    with pytest.warns(UserWarning, match=r"train-00000\.bin as it was written.*It is made again"):
        procedure.continue_roar(copied.path, jobs=2, progress=False)
    assert shard.read_bytes() == bits
    after = times(copied)
    assert {name: after[name] for name in before} == before
    assert numbers(named(copied, "method", 0.8, "keep")) == numbers(deleted)


def test_corrupted_images_are_written_again_where_the_data_set_is(copied):
    shard = copied.images("test").files[0]
    bits = shard.read_bytes()
    shard.write_bytes(bits[:-1] + b"\0\0")
    with pytest.raises(AttribevalError, match=r"test-00000\.bin.*needs the data set"):
        procedure.continue_roar(copied.path)
    with pytest.warns(UserWarning, match=r"test-00000\.bin as it was written"):
        roar(copied.path, **FULL)
    assert shard.read_bytes() == bits


def test_damaged_records_weights_and_means_are_made_again(copied, finished):
    """A digit of a record, a byte of kept weights, the fill's mean: noticed, said, and the table is as before."""
    record = copied.path / "cells" / "GRAD_remove_0.8_r0.json"
    text = record.read_text()
    record.write_text(text.replace('"accuracy": 0.', '"accuracy": 1.', 1))
    assert record.read_text() != text
    weights = copied.path / "models" / "unmodified_r0.weights.h5"
    bits = bytearray(weights.read_bytes())
    bits[len(bits) // 2] ^= 16
    weights.write_bytes(bits)
    mean = copied.path / "images" / "mean.npz"
    mean.write_bytes(mean.read_bytes()[:40])
    with pytest.warns(UserWarning) as caught:
        again = procedure.continue_roar(copied.path, progress=False)
    said = " ".join(str(warning.message) for warning in caught)
    assert "GRAD_remove_0.8_r0.json is damaged (its checksum does not fit): its work is done again" in said
    assert "unmodified_r0.weights.h5 is missing or damaged: it is trained again" in said
    columns = [column for column in again.table if "seconds" not in column]
    assert again.table[columns].equals(finished[1].table[columns])


def test_damaged_labels_need_the_data_set(copied):
    file = copied.path / "labels.npz"
    bits = bytearray(file.read_bytes())
    bits[len(bits) // 2] ^= 1
    file.write_bytes(bits)
    with pytest.raises(AttribevalError, match=r"labels\.npz as it was written.*checksum.*needs the data set"):
        procedure.continue_roar(copied.path)
    assert copied.missing_images()
    roar(copied.path, **FULL)
    assert not copied.missing_images()


def test_a_folder_of_another_study_is_refused(copied, tmp_path):
    from attribeval.runs.store import Store

    with pytest.raises(AttribevalError, match=r"one of wsol, as run_dir.*one of roar: choose another"):
        Store(copied.path, "wsol")
    Store(tmp_path / "other", "bam")
    with pytest.raises(AttribevalError, match=r"one of roar, as run_dir.*one of bam: choose another"):
        roar(tmp_path / "other")


def test_more_methods_and_repeats_extend_a_run(tmp_path):
    roar(tmp_path, ["random"], **here())
    run_dir = RunDir(tmp_path)
    before = times(run_dir)
    assert before.keys() == {"unmodified_r0.json", "random_remove_0.4_r0.json"}
    result = roar(tmp_path, ["sobel"], **here(repeats=2))
    after = times(run_dir)
    assert {name: after[name] for name in before} == before
    # Two rankings, two repeats: what was there stays in the table.
    assert len(after) == 2 + 2 * 2 and result.settings["done_cells"] == 6
    assert set(result.table["method"]) >= {"random", "sobel"}
    assert not [path for path in (tmp_path / "maps" / "random").iterdir() if path.stat().st_mtime_ns > min(
        path.stat().st_mtime_ns for path in (tmp_path / "maps" / "sobel").iterdir())]  # fmt: skip


def watcher(folder):
    """`Watcher` of benchmarks/roar/kill.py: counts how often each training was completed."""
    path = Path(__file__).resolve().parents[3] / "benchmarks" / "roar" / "kill.py"
    spec = importlib.util.spec_from_file_location("roar_kill", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Watcher(folder)


def test_two_runs_at_once_do_every_training_once(finished, copied):
    """Both with worker processes of their own, on a grid of which half is missing, maps too."""
    expected = {name: numbers(record) for name, record in records(copied).items()}
    gone = [record["name"] for record in copied.records() if record["fraction"] == 0.8]
    for name in gone:
        (copied.path / "cells" / f"{name}.json").unlink()
    shutil.rmtree(copied.ranks_folder("GRAD"))
    watch = watcher(copied.path / "cells")
    watch.look()
    watch.completions.clear()
    results, failures = [], []

    def run():
        try:
            # As many jobs as the whole run had, so as many threads each: the same bits.
            results.append(procedure.continue_roar(copied.path, jobs=2, progress=False))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        watch.look()
        threads[0].join(0.01)
        threads[1].join(0.01)
    watch.look()
    assert not failures
    assert watch.completions == dict.fromkeys(gone, 1) and not watch.failures
    found = {name: numbers(record) for name, record in records(copied).items()}
    assert found == expected
    assert len(results) == 2 and results[0].table.equals(results[1].table)


# ------------------------------------------------------------------------------------------------------ what goes wrong


def test_a_method_that_fails_on_one_image_fails_alone(tmp_path, monkeypatch, capsys):
    """GRAD gives NaN for test image 7 and sobel raises for train image 5: both are named, random is done."""
    from attribeval.cli import main
    from attribeval.methods.registry import METHODS

    def broken(cls, image, how):
        attribute = cls.attribute

        def attribute_or_fail(self, batch):
            maps = np.array(attribute(self, batch))
            bad = (batch.raw == image).all(axis=(1, 2, 3))
            if bad.any():
                if how == "raise":
                    raise RuntimeError("no edge here")
                maps[bad] = np.nan
            return maps

        monkeypatch.setattr(cls, "attribute", attribute_or_fail)

    broken(METHODS["gradient"], DATA.test.images[7].astype(np.float32), "nan")
    broken(METHODS["sobel"], DATA.train.images[5].astype(np.float32), "raise")
    result = roar(tmp_path, ["GRAD", "sobel", "random"], **here())
    found = records(RunDir(tmp_path))
    assert {name: record["status"] for name, record in found.items()} == {
        "unmodified_r0": "done", "random_remove_0.4_r0": "done",
        "GRAD_remove_0.4_r0": "failed", "sobel_remove_0.4_r0": "failed",
    }  # fmt: skip
    assert re.search(r"No maps of GRAD: test image 7:.*not finite", found["GRAD_remove_0.4_r0"]["error"])
    assert "train image 5: RuntimeError: no edge here" in found["sobel_remove_0.4_r0"]["error"]
    assert any("GRAD" in line and "test image 7" in line for line in result.summary)
    assert main(["roar", "status", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "2 done, 0 running, 2 failed, 0 left" in text and "No maps of sobel: train image 5" in text
    # Mended, the same call does just these.
    before = times(RunDir(tmp_path))
    monkeypatch.undo()
    roar(tmp_path, ["GRAD", "sobel", "random"], **here())
    after = times(RunDir(tmp_path))
    assert {r["status"] for r in RunDir(tmp_path).records()} == {"done"}
    assert {name for name in before if after[name] != before[name]} == {
        "GRAD_remove_0.4_r0.json", "sobel_remove_0.4_r0.json",
    }  # fmt: skip
    assert not list((tmp_path / "failures").iterdir())


def gradient_here(model, images, targets, seed):
    """At the top of a file, where other processes find it."""
    return Attributer(model).explain(images, "GRAD", targets).values


def test_the_users_own_methods(tmp_path):
    """Arrays, objects and functions that give our maps get our own numbers, per pixel; bad ones fail alone, named."""
    explained = []

    def function(model, images, targets, seed):
        explained.append(len(images))
        return Attributer(model).explain(images, "GRAD", targets).values

    def of_images(images, targets):
        return Attributer(model).explain(images, "GRAD", targets).values

    def raises(images, targets):
        raise KeyError("the cause")

    def fails_late(images, targets):
        maps = np.ones(images.shape[:3], np.float32)
        maps[(images == DATA.test.images[3]).all((1, 2, 3))] = np.inf
        return maps

    options = {"fractions": [0.4], "per": "pixel", "controls": ["max_filter"], "jobs": 2}
    # The maps of arrays must come from the model that will be explained: give one.
    model = net()
    pair = [Attributer(model).explain(samples.images, "GRAD") for samples in DATA]
    same_as_ours = {
        "maps": [one.values for one in pair], "attributions": pair, "function": function, "of images": of_images,
        "object": build_method("GRAD"), "elsewhere": gradient_here,
    }  # fmt: skip
    methods = {"GRAD": "GRAD", **same_as_ours, "raises": raises, "late": fails_late}
    with pytest.raises(AttribevalError, match=r"Expected test maps of maps of shape \(30, 16, 16, 3\)"):
        roar(tmp_path, methods | {"maps": (pair[0].values, pair[1].values[:, :8])}, checkpoint=model, **options)
    roar(tmp_path, methods, checkpoint=model, **options)
    run_dir = RunDir(tmp_path)
    for split in ("train", "test"):
        one, *others = (
            Records.open(run_dir.ranks_folder(label), split).files[0].read_bytes() for label in ("GRAD", *same_as_ours)
        )
        assert others == [one] * 6
    assert sum(explained) == 60 + 30  # once for itself and its max filter
    by_hand = top(pair[1].values.sum(axis=-1, keepdims=True), 0.4)
    packed = Records.open(run_dir.ranks_folder("GRAD"), "test")
    np.testing.assert_array_equal(unpack(packed[:], 1, SIZE * SIZE) == 0, by_hand)
    for form in ("{}", "max3({})"):
        same = [named(run_dir, "method" if form == "{}" else "max_filter", 0.4, estimator=form.format(label))
                for label in ("GRAD", *same_as_ours)]  # fmt: skip
        assert len({(r["accuracy"], r["loss"], r["without_retraining"]) for r in same}) == 1
    errors = {r["estimator"]: r["error"] for r in run_dir.records() if r["status"] == "failed"}
    assert errors.keys() == {"raises", "max3(raises)", "late", "max3(late)"}
    assert re.search("train image 0: The function 'raises' failed.*KeyError: 'the cause'", errors["raises"])
    assert re.search("test image 3: Expected finite maps from the function 'late'", errors["max3(late)"])
    sources = {e.label: e.source for e in run_dir.grid().estimators}
    assert sources == {"GRAD": "method", "object": "method", "elsewhere": "function"} | dict.fromkeys(
        ("maps", "attributions", "function", "of images", "raises", "late"), "maps"
    )


def test_a_function_of_a_file_is_ranked_again_and_must_stay_as_it_was(tmp_path):
    """Recursive ROAR by a function that calls what GRAD calls: the same trainings; edited, it is another method."""
    file = tmp_path / "own_gradient.py"
    file.write_text(
        "from attribeval import Attributer\n\n\n"
        "def gradient(model, images, targets, seed):\n"
        "    return Attributer(model).explain(images, 'GRAD', targets).values\n"
    )
    options = {"fractions": [0.3, 0.6], "modes": ["remove"], "controls": ["recursive"]}
    roar(tmp_path / "run", {"GRAD": "GRAD", "mine": f"{file}:gradient"}, **options)
    run_dir = RunDir(tmp_path / "run")
    for fraction in (0.3, 0.6):
        for kind, form in (("method", "{}"), ("recursive", "recursive({})")):
            ours, theirs = (named(run_dir, kind, fraction, estimator=form.format(one)) for one in ("GRAD", "mine"))
            assert (ours["accuracy"], ours["loss"]) == (theirs["accuracy"], theirs["loss"])
    mine = next(e for e in run_dir.grid().estimators if e.label == "mine")
    assert method_of(mine).name == "mine"
    file.write_text(file.read_text().replace(".values", ".values * 2"))
    with pytest.raises(AttribevalError, match=r"gradient of .*own_gradient\.py as it was when the run began"):
        method_of(mine)


def test_a_training_that_is_killed_is_recorded_and_done_again(tmp_path):
    """SIGKILL, as when memory runs out: the grid goes on, and the next call does what is missing."""
    (tmp_path / "callbacks.py").write_text(
        "import os, pathlib, signal\n"
        "import keras\n\n\n"
        "class Kill(keras.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None):\n"
        "        if not pathlib.Path(__file__).with_name('mended').exists():\n"
        "            print('last words', flush=True)\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n\n\n"
        "def callbacks(cell):\n"
        "    return [Kill()] if cell.startswith('random') else []\n"
    )
    from attribeval.importable import function_in_file

    callbacks = function_in_file(str(tmp_path / "callbacks.py"), "callbacks")
    options = {"fractions": [0.4], "jobs": 2, "callbacks": callbacks}
    run_dir = RunDir(tmp_path / "run")
    roar(run_dir.path, ["random", "sobel"], **options)
    killed, other = (
        named(run_dir, "control", 0.4, estimator="random"),
        named(run_dir, "control", 0.4, estimator="sobel"),
    )
    assert killed["status"] == "failed" and other["status"] == "done"
    assert "killed by SIGKILL (out of memory? Then lower" in killed["error"] and "last words" in killed["error"]
    (log,) = (run_dir.path / "logs").iterdir()
    assert log.name.startswith("random_remove_0.4_r0.")
    (tmp_path / "mended").touch()
    before = times(run_dir)
    roar(run_dir.path, ["random", "sobel"], **options)
    assert named(run_dir, "control", 0.4, estimator="random")["status"] == "done"
    assert [name for name, when in times(run_dir).items() if when != before[name]] == ["random_remove_0.4_r0.json"]
    assert not list((run_dir.path / "logs").iterdir())


def test_a_death_does_not_undo_what_another_process_did(finished, copied):
    grid = copied.grid()
    done = named(copied, "method", 0.8)
    assert record_death(copied, grid, done["name"], "killed") == "done"
    assert record_death(copied, grid, "maps_train_00000", "killed") == "done"
    (copied.path / "cells" / f"{done['name']}.json").unlink()
    with copied.try_lock(done["name"]) as free:
        assert free and record_death(copied, grid, done["name"], "killed") == "busy"
        assert run_task(copied, grid, done["name"], Setup()) == "busy" and copied.is_locked(done["name"])
    assert copied.record(grid.cells()[0]) and not (copied.path / "cells" / f"{done['name']}.json").exists()
    assert not copied.is_locked(done["name"])
    assert record_death(copied, grid, done["name"], "killed") == "failed"
    assert named(copied, "method", 0.8)["error"] == "killed" and status(copied).failed == [done["name"]]


def test_a_worker_that_is_killed_ends_the_call_with_a_message(copied):
    import os
    import signal

    (copied.path / "cells" / "GRAD_remove_0.8_r0.json").unlink()
    executor = Local(Setup(), jobs=1)
    outcomes = executor.run(copied, ["GRAD_remove_0.8_r0"])
    os.kill(executor._start(copied).pid, signal.SIGKILL)
    with pytest.raises(AttribevalError, match=r"ended by itself \(code -9"):
        next(outcomes)
    executor.close()
    with pytest.raises(StopIteration):
        next(outcomes)


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    """Records, then rank levels, then labels cannot be written: an error each time, and in the end the same run."""
    import builtins

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *args):
            self.file.close()

        def write(self, data):
            self.file.write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

    def fill(part):
        def limited(path, mode="r", *args, **kwargs):
            file = builtins.open(path, mode, *args, **kwargs)  # noqa: SIM115
            return Full(file) if part in str(path) and "w" in mode else file

        monkeypatch.setattr("attribeval.files.open", limited, raising=False)

    for part in ("images", "cells", "maps", "random_remove"):
        fill(part)
        with pytest.raises(AttribevalError, match=r"Received a full disk \([\d,]+ bytes free\)"):
            roar(tmp_path, ["random"], **here())
        monkeypatch.undo()
        assert not [path for path in tmp_path.rglob("*") if "tmp" in path.name]
        assert not list((tmp_path / "cells").glob("random*")) and not list((tmp_path / "failures").iterdir())
    assert status(RunDir(tmp_path)).left == ["random_remove_0.4_r0"]
    roar(tmp_path, ["random"], **here())
    assert {record["status"] for record in RunDir(tmp_path).records()} == {"done"}


def test_an_unmodified_model_that_cannot_be_trained_ends_the_call(tmp_path):
    with pytest.raises(AttribevalError, match=r"unmodified model.*could not be trained: Expected a finite loss"):
        roar(tmp_path, ["GRAD"], **here(recipe=Recipe(epochs=1, batch_size=16, learning_rate=1e30, optimizer="sgd")))
    with pytest.raises(AttribevalError, match="Expected finished cells"):
        procedure.report(RunDir(tmp_path))


def test_an_estimator_may_be_called_maps():
    assert is_maps("maps_train_00000") and is_maps("maps_test_12345")
    assert not is_maps("maps_remove_0.4_r0") and not is_maps("GRAD_keep_0.4_r0")


def test_evaluator_has_roar_too(finished, unmodified):
    run_dir, result = finished
    evaluator = Evaluator(Attributer(unmodified), DATA.test)
    options = {"fractions": [0.4, 0.8], "repeats": 1, "recipe": RECIPE, **FULL}
    again = evaluator.roar(net, DATA, ["GRAD", "random"], run_dir=run_dir.path, **options)
    assert again.table.equals(result.table)
    assert run_dir.grid().estimators[0].label == "GRAD"
