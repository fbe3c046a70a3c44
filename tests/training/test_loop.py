"""The training loop of ROAR: against Keras' own, by hand, on two devices and in two processes."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import forks

from attribeval.errors import AttribevalError
from attribeval.sealed import read_json
from attribeval.training.augment import Augment
from attribeval.training.evaluation import evaluate, score
from attribeval.training.loop import train
from attribeval.training.recipe import RECIPES, Recipe, find_recipe

ROOT = Path(__file__).resolve().parents[2]
N, CLASSES, BATCH = 48, 3, 8


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """Images whose brightness tells their class, and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, N)
    return (rng.normal(size=(N, 8, 8, 3)) + labels[:, None, None, None]).astype(np.float32), labels.astype(np.int32)


def _model(norm: bool = False, softmax: bool = True, l2: float = 0.0, seed: int = 0):
    import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    decay = {name: keras.regularizers.L2(l2) for name in ("kernel_regularizer", "bias_regularizer")} if l2 else {}
    middle = [layers.BatchNormalization()] if norm else []
    last = "softmax" if softmax else None
    return keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3, **decay), *middle, layers.ReLU(),
         layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, activation=last, **decay)]
    )  # fmt: skip


def _stream(data):
    """Every batch of the data in order, for ever, whatever part is asked for (there is one)."""
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(data).repeat()
    return lambda size, part: dataset.batch(size, drop_remainder=True)


def _train(model, data, recipe, callbacks=(), stream=None):
    import tensorflow as tf

    return train(model, stream or _stream(data), N, recipe, tf.distribute.get_strategy(), callbacks)


_PLAIN = Recipe(epochs=3, batch_size=BATCH, optimizer="sgd", learning_rate=0.1, schedule="constant", warmup_epochs=0)


def _with(**changes) -> Recipe:
    import dataclasses

    return dataclasses.replace(_PLAIN, **{"weight_decay": 0.0} | changes)


@pytest.mark.parametrize("softmax", [True, False])
def test_the_loop_does_what_fit_does(data, softmax):
    """Momentum, smoothing, L2 on kernels and biases, from probabilities or logits: the same weights as from Keras."""
    import keras

    ours, theirs = _model(softmax=softmax), _model(softmax=softmax, l2=0.01 / 2)
    history = _train(ours, data, _with(weight_decay=0.01, label_smoothing=0.1))
    loss = keras.losses.CategoricalCrossentropy(from_logits=not softmax, label_smoothing=0.1)
    theirs.compile(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), loss, metrics=["accuracy"])
    x, y = data
    theirs.fit(x, np.eye(CLASSES, dtype=np.float32)[y], batch_size=BATCH, epochs=3, shuffle=False, verbose=0)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
    assert len(history.loss) == len(history.accuracy) == len(history.seconds) == 3


@pytest.mark.parametrize("sigmoid", [True, False])
def test_one_unit_is_trained_as_fit_trains_it(data, sigmoid):
    """Two classes from one sigmoid unit or its logit: the weights that Keras' binary cross-entropy gives."""
    import keras

    x, y = data[0], (data[1] > 0).astype(np.int32)
    nets = []
    for _ in range(2):
        many = _model()
        head = keras.layers.Dense(1, activation="sigmoid" if sigmoid else None)
        nets.append(keras.Sequential([keras.Input((8, 8, 3)), *many.layers[:-1], head]))
    ours, theirs = nets
    history = _train(ours, (x, y), _with(label_smoothing=0.1))
    loss = keras.losses.BinaryCrossentropy(from_logits=not sigmoid, label_smoothing=0.1)
    theirs.compile(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), loss)
    kept = theirs.fit(x, y, batch_size=BATCH, epochs=3, shuffle=False, verbose=0).history["loss"]
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
    np.testing.assert_allclose(history.loss, kept, atol=1e-4)
    import tensorflow as tf

    found = evaluate(ours, tf.data.Dataset.from_tensor_slices((x, y)).batch(7), 2)
    output = ours.predict(x, verbose=0)[:, 0]
    p = output if sigmoid else 1 / (1 + np.exp(-output))
    assert found.accuracy == np.mean((p > 0.5) == y)
    np.testing.assert_allclose(found.loss, -np.mean(np.log(np.where(y, p, 1 - p))), atol=1e-5)


def test_batch_norm_statistics_move_and_its_variables_do_not_decay(data):
    """With a zero rate for everything but the decay there is no change; so one step by hand shows what decays."""
    import tensorflow as tf

    recipe = _with(steps=1, epochs=None, weight_decay=0.5, momentum=0.0)
    model, before = _model(norm=True), _model(norm=True).get_weights()
    x, y = data[0][:BATCH], data[1][:BATCH]
    twin = _model(norm=True)
    with tf.GradientTape() as tape:
        probabilities = twin(x, training=True)
        picked = tf.gather(probabilities, y, axis=1, batch_dims=1)
        loss = -tf.reduce_mean(tf.math.log(picked))
    gradients = dict(
        zip([v.path for v in twin.trainable_variables], tape.gradient(loss, twin.trainable_variables), strict=True)
    )
    _train(model, data, recipe)
    names = [v.path.split("/")[-1] for v in model.weights]
    assert {"gamma", "beta", "kernel", "bias"} <= set(names)
    for new, old, mine, other in zip(model.get_weights(), before, model.weights, twin.weights, strict=True):
        name = mine.path.split("/")[-1]
        if name in ("moving_mean", "moving_variance"):
            assert not np.array_equal(new, old)
            continue
        decay = 0.0 if name in ("gamma", "beta") else 0.5
        np.testing.assert_allclose(new, old - 0.1 * (gradients[other.path].numpy() + decay * old), atol=1e-5)


def test_adamw_decays_the_same_variables(data):
    """A loss without gradient leaves the decoupled decay alone: w · (1 − rate · λ) per step, BatchNorm untouched."""
    model = _model(norm=True)
    before = model.get_weights()
    frozen = [v for v in model.weights if v.path.endswith("kernel")]
    blank = np.zeros_like(data[0]), data[1]
    _train(model, blank, _with(optimizer="adamw", learning_rate=0.01, weight_decay=0.5, steps=1, epochs=None))
    gamma = next(i for i, v in enumerate(model.weights) if v.path.endswith("gamma"))
    first = next(i for i, v in enumerate(model.weights) if v is frozen[0])
    # Blank images have no gradient in the first kernel, nor in gamma.
    np.testing.assert_allclose(model.get_weights()[first], before[first] * (1 - 0.01 * 0.5), rtol=1e-5)
    np.testing.assert_array_equal(model.get_weights()[gamma], before[gamma])


def test_rates():
    """Warm-up, drops and cosine at a few steps, by hand; 100 images in batches of 10 make epochs of 10 steps."""
    drops = Recipe(epochs=10, batch_size=10, learning_rate=2.0, schedule="drops", warmup_epochs=1, drops=(3, 6)).rate(
        100
    )
    assert [float(drops(s)) for s in (9, 29, 30, 59, 60)] == pytest.approx([2 * 10 / 11, 2, 0.2, 0.2, 0.02])
    assert float(drops(0)) == pytest.approx(2 / 11)
    cosine = Recipe(epochs=10, batch_size=10, learning_rate=2.0, schedule="cosine", warmup_epochs=0).rate(100)
    assert [float(cosine(s)) for s in (0, 25, 50, 100)] == pytest.approx([2, 1 + np.cos(np.pi / 4), 1, 0], abs=1e-6)
    constant = Recipe(steps=5, batch_size=10, learning_rate=2.0, schedule="constant", warmup_epochs=0).rate(100)
    assert float(constant(4)) == 2


def test_presets_are_the_papers():
    """Hooker et al. 2019, table 1: steps and rates; the reference code: rate · batch / 256, drops, L2, smoothing."""
    wanted = {
        "imagenet": (32_000, 4096, 0.1 * 4096 / 256),
        "birdsnap": (20_000, 256, 1.0),
        "food101": (20_000, 256, 0.7),
    }
    for name, (steps, batch, rate) in wanted.items():
        recipe = RECIPES[name]
        assert (recipe.total_steps(1), recipe.batch_size) == (steps, batch)
        assert recipe.learning_rate == pytest.approx(rate)
        assert recipe.drops == (30, 60, 80) and recipe.warmup_epochs == 5
        assert (recipe.optimizer, recipe.momentum, recipe.nesterov) == ("sgd", 0.9, True)
        assert (recipe.weight_decay, recipe.label_smoothing) == (1e-4, 0.1)
    assert RECIPES["imagenet"].total_steps(1_281_167) * 4096 / 1_281_167 == pytest.approx(102, abs=0.5)  # epochs


def test_a_recipe_survives_json():
    recipe = Recipe(epochs=2, augment=Augment(flip=True, crop=(0.5, 1.0)), drops=(1.5,), schedule="drops")
    again = Recipe(**json.loads(json.dumps(recipe.to_json())))
    assert again.to_json() == recipe.to_json()
    assert again.augment.flip and tuple(again.augment.crop) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either epochs or steps"),
        ({"epochs": 1, "steps": 1}, "either epochs or steps"),
        ({"epochs": 0}, "epochs"),
        ({"steps": 0}, "steps"),
        ({"epochs": 1, "optimizer": "lion"}, "sgd, adam, adamw"),
        ({"epochs": 1, "schedule": "drops"}, "drops="),
        ({"epochs": 1, "label_smoothing": 1.0}, "label_smoothing"),
        ({"epochs": 1, "precision": "half"}, "float16"),
        ({"epochs": 1, "steps_per_execution": 0}, "steps_per_execution"),
    ],
)
def test_bad_recipes_are_refused(options, message):
    with pytest.raises(AttribevalError, match=message):
        Recipe(**options)


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(AttribevalError, match="Did you mean 'food101'"):
        find_recipe("food")


def test_every_test_image_counts(data):
    """A last batch of three: the numbers are those of all 48 images at once, and per class."""
    import tensorflow as tf

    model, (x, y) = _model(), data
    found = evaluate(model, tf.data.Dataset.from_tensor_slices(data).batch(15), CLASSES)
    probabilities = np.asarray(model(x, training=False), np.float64)
    right = probabilities.argmax(1) == y
    assert found.images == N
    assert found.accuracy == right.mean()
    assert found.loss == pytest.approx(-np.log(probabilities[np.arange(N), y]).mean(), rel=1e-5)
    assert found.per_class_accuracy == pytest.approx([right[y == k].mean() for k in range(CLASSES)])


def test_a_class_without_images_has_no_accuracy():
    found = score(np.array([0, 1, 1]), np.array([0.1, 0.2, 0.3]), np.array([0, 0, 1]), 3)
    assert found.per_class_accuracy[:2] == [0.5, 1.0] and np.isnan(found.per_class_accuracy[2])


def test_a_loss_that_explodes_is_an_error(data):
    huge = data[0] * 1e30, data[1]
    with pytest.raises(AttribevalError, match=r"finite loss.*learning_rate"):
        _train(_model(), huge, _with(learning_rate=1e30))


def test_callbacks_hear_what_fit_tells_and_may_stop(data):
    import keras

    heard = []

    class Listener(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            heard.append("begin")

        def on_train_batch_end(self, batch, logs=None):
            heard.append(("batch", batch, float(logs["loss"]) > 0))

        def on_epoch_end(self, epoch, logs=None):
            heard.append(("epoch", epoch, sorted(logs)))
            self.model.stop_training = epoch == 1

        def on_train_end(self, logs=None):
            heard.append("end")

    history = _train(_model(), data, _PLAIN, [Listener()])
    steps = N // BATCH
    epochs = [[*(("batch", k, True) for k in range(steps)), ("epoch", e, ["accuracy", "loss"])] for e in range(2)]
    assert heard == ["begin", *epochs[0], *epochs[1], "end"]
    assert len(history.loss) == 2


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_many_steps_in_one_call_are_the_same_steps(data, optimizer, monkeypatch):
    """Bit for bit, with BatchNorm, over epochs that no number of steps divides; the step is traced once."""
    from attribeval.training import loop as training

    traced, plain = [], training.logits_of
    monkeypatch.setattr(training, "logits_of", lambda *a, **k: traced.append(1) or plain(*a, **k))
    results = {}
    for steps in (1, 4, 100, None):
        model = _model(norm=True)
        recipe = _with(optimizer=optimizer, weight_decay=0.01, steps=16, epochs=None, steps_per_execution=steps)
        history = _train(model, data, recipe)
        results[steps] = model.get_weights(), history.accuracy, history.loss
        assert len(traced) == 1
        traced.clear()
    for steps in (4, 100, None):
        for ours, theirs in zip(results[steps][0], results[1][0], strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert results[steps][1] == results[1][1] and len(results[steps][1]) == 3  # epochs of 6, 6 and 4 steps
        np.testing.assert_allclose(results[steps][2], results[1][2], rtol=1e-6)


def test_the_number_of_steps_in_a_call(data, monkeypatch):
    """As given, up to the end of the epoch; else as many as take a quarter second, by the fastest of four."""
    import tensorflow as tf

    from attribeval.training import loop as training

    calls, clock = [], iter(np.cumsum([0, 9.0, 0, 0.02, 0, 0.01, 0, 0.03] + [0] * 20).tolist())
    monkeypatch.setattr(training.time, "perf_counter", lambda: next(clock))

    def loop(stream, count):
        calls.append(int(count))
        return tf.constant(0.0), tf.constant(0.0)

    pace = training._Pace(None)
    for left in (200, 199, 198, 197, 196, 171, 3):
        pace.run(loop, None, left)
    assert calls == [1, 1, 1, 1, 25, 25, 3]
    calls.clear()
    pace = training._Pace(7)
    for left in (20, 13, 6):
        pace.run(loop, None, left)
    assert calls == [7, 7, 6] and pace.steps == 6


def test_callbacks_hear_each_batch_unless_the_recipe_has_calls_of_several(data):
    import keras

    heard = []

    class Listener(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            heard.append((batch, float(logs["loss"])))

    _train(_model(), data, _with(epochs=2), [Listener()])
    each = heard.copy()
    assert [batch for batch, _ in each] == [0, 1, 2, 3, 4, 5] * 2
    heard.clear()
    _train(_model(), data, _with(epochs=2, steps_per_execution=4), [Listener()])
    assert [batch for batch, _ in heard] == [3, 5] * 2  # the mean loss of four, and of two
    losses = np.array([loss for _, loss in each]).reshape(2, 6)
    means = np.stack([losses[:, :4].mean(1), losses[:, 4:].mean(1)], 1).ravel()
    np.testing.assert_allclose([loss for _, loss in heard], means, rtol=1e-5)


def test_xla_compiles_the_same_step(data):
    plain, compiled = _model(norm=True), _model(norm=True)
    _train(plain, data, _with(epochs=2))
    _train(compiled, data, _with(epochs=2, jit_compile=True))
    for ours, theirs in zip(compiled.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)

    class Two:
        num_replicas_in_sync = 2

    with pytest.raises(AttribevalError, match="one device for jit_compile"):
        train(_model(), _stream(data), N, _with(jit_compile=True), Two())


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_tf32_is_on_where_the_recipe_says_so_and_as_before_afterwards(data, precision):
    import keras
    import tensorflow as tf

    enabled, seen = tf.config.experimental.tensor_float_32_execution_enabled, []

    class Listener(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(enabled())

    for before in (True, False):
        tf.config.experimental.enable_tensor_float_32_execution(before)
        try:
            _train(_model(), data, _with(epochs=1, precision=precision), [Listener()])
            assert enabled() == before
        finally:
            tf.config.experimental.enable_tensor_float_32_execution(True)
    assert set(seen) == {precision == "tf32"}


@pytest.mark.parametrize(("gpus", "chosen"), [(0, "RING"), (2, "NCCL")])
def test_machines_talk_by_nccl_where_they_have_gpus(gpus, chosen, monkeypatch):
    import tensorflow as tf

    from attribeval.training.strategies import make_strategy

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["gpu"] * gpus)
    monkeypatch.setattr(
        tf.distribute, "MultiWorkerMirroredStrategy", lambda communication_options: communication_options
    )
    assert make_strategy("multi_worker").implementation.name == chosen


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_computes_low_and_keeps_high(data, policy):
    """The model made anew computes in 16 bits, its variables are float32, and it still learns."""
    from attribeval.training.builder import build, describe

    seeds = iter(range(9))
    model = build(describe(lambda: _model(seed=next(seeds))), 0, policy)
    assert {layer.compute_dtype for layer in model.layers} == {policy.removeprefix("mixed_")}
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    history = _train(model, data, _with(epochs=8, precision=policy.removeprefix("mixed_")))
    assert history.loss[-1] < 0.9 * history.loss[0]


_TWO_DEVICES = """
import json, sys
import numpy as np
import tensorflow as tf
if sys.argv[1] == "mirrored":
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
sys.path.insert(0, sys.argv[2])
from test_loop import *
from test_loop import _model
from attribeval.benchmarks.roar.pipeline import MaskedImages
from attribeval.benchmarks.roar.records import Records
from attribeval.training.strategies import make_strategy
rng = np.random.default_rng(0)
labels = rng.integers(0, CLASSES, N)
images = (rng.normal(size=(N, 8, 8, 3)) + labels[:, None, None, None]).astype(np.float32)
records = Records.create(sys.argv[3], "images", N, (8, 8, 3), "float32")
records.write_shard(0, images)
strategy = make_strategy(sys.argv[1])
def batches(size, part):
    flip = Augment(flip=True)
    return MaskedImages(records, labels).batches(size, seed=0, training=True, augment=flip, shard=part)
told = {"replicas": strategy.num_replicas_in_sync}
for norm, seed in [(False, 0), (True, 0), (True, 1), (True, 2)]:
    with strategy.scope():
        model = _model(norm=norm, seed=seed)
    recipe = Recipe(epochs=6, batch_size=16, optimizer="sgd", learning_rate=0.1, weight_decay=1e-2)
    history = train(model, batches, N, recipe, strategy)
    loss = evaluate(model, MaskedImages(records, labels).batches(20, training=False), CLASSES).loss
    told[f"{norm}{seed}"] = [*history.loss, loss]
print(json.dumps(told))
"""


def _run(script: str, *arguments: str, **environment: str) -> forks.Popen:
    settings = (
        os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "TF_CPP_MIN_LOG_LEVEL": "3"} | environment
    )
    return forks.Popen(
        [sys.executable, "-c", script, *arguments], stdout=forks.PIPE, stderr=forks.PIPE, text=True, env=settings
    )


def _answer(process: forks.Popen) -> dict:
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error[-3000:]
    return json.loads(out.splitlines()[-1])


def test_two_devices_reach_what_one_does(tmp_path):
    """Without BatchNorm to rounding; with it (whose statistics are each device's) within the spread of seeds."""
    here = str(Path(__file__).parent)
    one, two = (_answer(_run(_TWO_DEVICES, name, here, str(tmp_path / name))) for name in ("one_device", "mirrored"))
    assert (one["replicas"], two["replicas"]) == (1, 2)
    np.testing.assert_allclose(two["False0"], one["False0"], rtol=1e-5)
    ends = {name: [told[f"True{seed}"][-1] for seed in range(3)] for name, told in (("one", one), ("two", two))}
    spread = np.ptp(ends["one"])
    assert abs(np.mean(ends["two"]) - np.mean(ends["one"])) < spread


_CELLS = """
import json, sys
import numpy as np
from attribeval import Evaluator
from attribeval.training.recipe import Recipe
from attribeval.datasets import Samples, TrainTest
def build():
    import keras
    layers = keras.layers
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu"),
                             layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")])
rng = np.random.default_rng(0)
labels = rng.integers(0, 3, 64)
images = (rng.normal(size=(64, 8, 8, 3)) + labels[:, None, None, None]).astype(np.float32)
data = TrainTest(Samples(images[:40], labels[:40]), Samples(images[40:], labels[40:]))
recipe = Recipe(epochs=2, batch_size=8, optimizer="sgd", learning_rate=0.1)
result = Evaluator.roar(build, data, ["GRAD", "random"], run_dir=sys.argv[1], fractions=[0.5], modes=["remove"],
                        repeats=1, recipe=recipe, strategy=sys.argv[2], progress=False)
accuracy = result.table[result.table["metric"] == "accuracy"]
print(json.dumps(dict(zip(accuracy["method"], accuracy["value"]))))
"""


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("localhost", 0))
        return s.getsockname()[1]


def test_two_processes_train_every_cell_together(tmp_path):
    """A grid under TF_CONFIG in two processes: the records are those of one process, to rounding."""
    cluster = {"worker": [f"localhost:{_free_port()}" for _ in range(2)]}
    configs = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}}) for i in range(2)]
    together = [_run(_CELLS, str(tmp_path / "two"), "auto", TF_CONFIG=config) for config in configs]
    tables = [_answer(process) for process in together]
    alone = _answer(_run(_CELLS, str(tmp_path / "one"), "one_device"))
    assert tables[0] == tables[1] == alone
    names = sorted(path.name for path in (tmp_path / "one" / "cells").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "two" / "cells").iterdir())
    for name in names:
        one, two = (read_json((tmp_path / run / "cells" / name).read_bytes()) for run in ("one", "two"))
        assert (one["hardware"]["replicas"], two["hardware"]["replicas"]) == (1, 2)
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
        np.testing.assert_allclose(two["history"]["loss"], one["history"]["loss"], rtol=1e-5)


def test_a_batch_that_replicas_cannot_share_is_refused(data):
    class Three:
        num_replicas_in_sync = 3

    with pytest.raises(AttribevalError, match="3 replicas can share evenly"):
        train(_model(), _stream(data), N, _PLAIN, Three())
