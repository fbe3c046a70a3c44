"""Micro-batches on several devices: two logical CPUs, in a process of their own, give the maps that one gives."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import forks

from attribeval import AttribevalError, Attributer
from attribeval.benchmarks.roar.importance import images_at_once
from attribeval.models.devices import devices_of
from attribeval.training.strategies import strategy_of_maps

SEEN = """
import argparse, json, os, signal, sys, tempfile, threading, warnings
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
tf.config.threading.set_intra_op_parallelism_threads(1)
import keras
from attribeval import AttribevalError, Attributer
from attribeval.cli.options import add_model, make_attributer
from attribeval.methods.registry import build_method
from attribeval.models import fields

layers, seen = keras.layers, {}
rng = np.random.default_rng(0)
X = rng.normal(size=(23, 16, 16, 3)).astype(np.float32)

def model():
    keras.utils.set_random_seed(1)
    body = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(6, 3, padding="same"), layers.LeakyReLU(0.3),
                             layers.BatchNormalization()])
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(5, 3, strides=2, activation="relu", name="last")(body(x))
    net = keras.Model(inputs, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
    net.set_weights([w + rng.uniform(0.1, 0.5, w.shape) for w in net.get_weights()])
    return net

def apart(a, b):
    return float(np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(np.asarray(b)).max())

def lanes():
    return [t.name for t in threading.enumerate() if t.name.startswith("attribeval-device")]

two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
net = model()
one = Attributer(net, batch_size=3)
both = Attributer(net, batch_size=3, strategy=two)  # its graphs are built by the threads

ran = set()
plain = fields.gradient_and_scores
def spied(classifier, *arguments):
    out = plain(classifier, *arguments)
    ran.add((threading.current_thread().name, out[0].device[-5:]))
    return out
fields.gradient_and_scores = spied
methods = ["gradient", "guided_backprop", "integrated_gradients", "SG-GRAD", "VAR-GRAD", "gradcam", "deeplift", "lrp",
           "scorecam", "sobel"]
seen["maps"] = {m: apart(both.explain(X, m, progress=False).values, one.explain(X, m, progress=False).values)
                for m in methods}
seen["ran"] = sorted(r for r in ran if r[0].startswith("attribeval"))
few = {"rise": {"samples": 20}, "occlusion": {}, "lime": {"samples": 30}, "kernel_shap": {"samples": 60},
       "gradient_shap": {"samples": 6}, "guided_ig": {"steps": 4, "side_by_side": True}}
for name, options in few.items():
    seen["maps"][name] = apart(both.explain(X, name, progress=False, **options).values,
                               one.explain(X, name, progress=False, **options).values)
many, alone = (a.explain_many(X, ["gradient", "SG-GRAD"], progress=False) for a in (both, one))
seen["many"] = [apart(many[m].values, alone[m].values) for m in alone]
seen["gap"] = float(np.abs(both.explain(X, "integrated_gradients", progress=False).completeness_gap
                           - one.explain(X, "integrated_gradients", progress=False).completeness_gap).max())
seen["predict"], seen["answer"] = apart(both.predict(X), one.predict(X)), apart(both.answer(X)[0], one.answer(X)[0])
other = {"progress": False, "backend": "tf_keras_vis"}
seen["backend"] = apart(*(a.explain(X[:4], "gradient", **other).values for a in (both, one)))
seen["targets"] = (both.explain(X, "gradient", progress=False).targets == one.predict(X).argmax(1)).all().item()

before = one.predict(X)
both._copies._copies[1][0].assign_add(both._copies._copies[1][0] + 1.0)
update, both._copies.update = both._copies.update, lambda: None
seen["a device has weights of its own"] = apart(both.predict(X), before)
both._copies.update = update
net.set_weights([w * 1.3 for w in net.get_weights()])
seen["trained since"] = [apart(both.predict(X), one.predict(X)), apart(one.predict(X), before)]

bad = X.copy(); bad[17, 3, 3, 0] = np.nan
try:
    both.explain(bad, "gradient", progress=False)
except AttribevalError as error:
    seen["bad image"] = str(error)
forward, calls = both.classifier.forward, []
def small(x):
    calls.append(len(x))
    if len(x) > 2:
        raise tf.errors.ResourceExhaustedError(None, None, "too large")
    return forward(x)
both.classifier.forward = small
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    seen["out of memory"] = apart(both.predict(X, batch_size=9), one.predict(X))
seen["warned"], seen["largest"] = [str(w.message) for w in caught], calls[-5:]

signal.signal(signal.SIGINT, signal.default_int_handler)
started = threading.Event()
def slow(x):
    started.set(); threading.Event().wait(0.3)
    return forward(x)
both.classifier.forward = slow
threading.Thread(target=lambda: (started.wait(), os.kill(os.getpid(), signal.SIGINT))).start()
try:
    both.predict(X, batch_size=1)
except KeyboardInterrupt:
    seen["interrupted"], seen["left"] = True, lanes()
both.classifier.forward = forward
seen["after"] = apart(both.predict(X), one.predict(X))

with two.scope():
    mirrored = model()
shared, alone = (Attributer(mirrored, batch_size=3, strategy=strategy) for strategy in (two, None))
seen["made in scope"] = apart(*(a.explain(X, "SG-GRAD", progress=False).values for a in (shared, alone)))
seen["named"] = apart(Attributer(net, batch_size=3, strategy="mirrored").predict(X), one.predict(X))
with tempfile.TemporaryDirectory() as folder:
    net.save(folder + "/net.keras")
    asked = argparse.ArgumentParser()
    add_model(asked)
    said = asked.parse_args(["--model", folder + "/net.keras", "--strategy", "mirrored", "--batch-size", "3"])
    command = make_attributer(said)
seen["by the command line"] = [apart(command.predict(X), one.predict(X)), command._copies.devices]
try:
    Attributer(net, strategy=tf.distribute.OneDeviceStrategy("CPU:1"))
except AttribevalError as error:
    seen["not held"] = str(error)
json.dump(seen, sys.stdout)
"""


@pytest.fixture(scope="module")
def seen():
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", SEEN]
    done = forks.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(root)})
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_maps_are_those_of_one_device(seen):
    assert len(seen["maps"]) == 16
    assert max(seen["maps"].values()) <= 1e-6, seen["maps"]
    assert max(seen["many"]) <= 1e-6 and seen["gap"] <= 1e-5
    assert max(seen["made in scope"], seen["backend"]) <= 1e-6


def test_the_command_line_shares_out_too(seen):
    apart, devices = seen["by the command line"]
    assert apart <= 1e-6 and devices == ["CPU:0", "CPU:1"]


def test_each_device_has_a_thread_which_computes_on_it(seen):
    assert seen["ran"] == [["attribeval-device_0", "CPU:0"], ["attribeval-device_1", "CPU:1"]]


def test_order_is_kept(seen):
    assert max(seen["predict"], seen["answer"], seen["named"]) <= 1e-6 and seen["targets"]


def test_a_device_reads_its_own_copy_of_the_weights_which_follow_the_model(seen):
    assert seen["a device has weights of its own"] > 1e-3
    same, changed = seen["trained since"]
    assert same <= 1e-6 < 1e-3 < changed


def test_errors_come_back(seen):
    assert "image 17" in seen["bad image"]
    assert "on CPU:0. Received one of CPU:1" in seen["not held"]


def test_out_of_memory_halves_until_it_fits(seen):
    assert seen["out of memory"] <= 1e-6 and max(seen["largest"]) <= 2
    assert [message[:35] for message in seen["warned"]] == [
        "Out of memory: going on with 4 imag",
        "Out of memory: going on with 2 imag",
    ]


def test_an_interruption_stops_all_threads(seen):
    assert seen["interrupted"] and seen["left"] == []
    assert seen["after"] <= 1e-6


@pytest.mark.parametrize(
    "strategy, message",
    [
        ("all", "Unknown strategy: 'all'"),
        (2, "Expected strategy as None"),
    ],
)
def test_what_is_no_strategy_is_refused(strategy, message):
    with pytest.raises(AttribevalError, match=message):
        devices_of(strategy)


def test_one_device_is_nothing_to_share():
    cpus = [device.name[-5:] for device in tf.config.list_logical_devices("CPU")]
    if not tf.config.list_logical_devices("GPU"):
        assert devices_of(None) == devices_of("auto") == []
        assert devices_of("mirrored") == cpus


def test_one_device_of_a_strategy_gives_the_same_maps():
    images = np.random.default_rng(0).uniform(0, 255, (3, 64, 64, 3)).astype(np.float32)
    here = tf.config.list_logical_devices()[-1].name
    one = Attributer("digit_objects", strategy=tf.distribute.OneDeviceStrategy(here))
    values = one.explain(images, "SG-GRAD", progress=False).values
    np.testing.assert_allclose(values, Attributer("digit_objects").explain(images, "SG-GRAD", progress=False).values)


def test_roar_shares_its_maps_out_where_it_shares_its_trainings(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    names = ("auto", "mirrored", "one_device", "multi_worker", tf.distribute.get_strategy())
    assert [strategy_of_maps(strategy) for strategy in names] == ["auto", "mirrored", None, None, None]
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": ["a:1", "b:1"]}}))
    assert strategy_of_maps("auto") is None


def test_roar_explains_as_many_pixels_at_once_whatever_the_size():
    assert [images_at_once((side, side, 3)) for side in (224, 32, 4000)] == [64, 64 * 49, 1]
