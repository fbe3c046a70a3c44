"""What a plan times, and what it says of it."""

import numpy as np
import pytest
import tensorflow as tf

from attribeval.benchmarks.roar import plan
from attribeval.benchmarks.roar.plan import make_plan
from attribeval.benchmarks.roar.request import make_request
from attribeval.datasets import Samples, TrainTest
from attribeval.errors import AttribevalError
from attribeval.training.loop import steps_per_call
from attribeval.training.recipe import Recipe

images = np.random.default_rng(0).integers(0, 256, (48, 8, 8, 3), np.uint8)
DATA = TrainTest(Samples(images[:32], np.arange(32) % 2), Samples(images[32:], np.arange(16) % 2))


def net():
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [tf.keras.Input((8, 8, 3)), layers.Conv2D(2, 3, activation="relu"), layers.Flatten(), layers.Dense(2)]
    )


@pytest.fixture(scope="module")
def request_of():
    return lambda **recipe: make_request(
        net, DATA, ["sobel", "random"], fractions=[0.5], modes=["remove"], repeats=1, controls=[],
        recipe=Recipe(epochs=1, batch_size=4, **recipe), preprocess=None, geometry="resized", per="value", fill="mean",
        targets="predicted", checkpoint=None, seed=0,
    )  # fmt: skip


def test_a_plan_says_what_it_timed(request_of, monkeypatch):
    monkeypatch.setattr(plan, "_SECONDS", 0.2)
    trained = []
    real = plan.train
    monkeypatch.setattr(
        plan, "train", lambda model, batches, images, recipe, strategy, callbacks: trained.append(
            (recipe.precision, recipe.steps_per_execution, type(strategy), model.layers[0].compute_dtype)
        ) or real(model, batches, images, recipe, strategy, callbacks),
    )  # fmt: skip
    one = make_plan(request_of(), "one_device")
    default = type(tf.distribute.get_strategy())
    # 32 images in batches of 4 are 8 steps an epoch, all in one call: their net takes microseconds.
    assert trained == [("float32", 1, default, "float32"), ("float32", 8, default, "float32")]
    assert one.timed_on.startswith("CPU, ") and one.timed_on.endswith(" cores, float32, 8 steps per call")
    assert one.timed_on in one.text()
    trained.clear()
    shared = make_plan(request_of(precision="bfloat16", steps_per_execution=1), "mirrored")
    assert trained == [("bfloat16", 1, tf.distribute.MirroredStrategy, "bfloat16")]
    replicas = len(tf.config.list_logical_devices("CPU"))
    assert shared.timed_on.startswith(f"{replicas} × CPU, " if replicas > 1 else "CPU, ")
    assert shared.timed_on.endswith("cores, bfloat16, 1 step per call")
    assert shared.train_rate > 0 and shared.evaluate_rate > 0 and shared.start_seconds > 0


def test_a_plan_times_one_process(request_of, monkeypatch):
    with pytest.raises(AttribevalError, match=r"of one process for a plan.* Received 'multi_worker' with 1"):
        make_plan(request_of(), "multi_worker")
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}')
    with pytest.raises(AttribevalError, match="Received 'auto' with 2 workers"):
        make_plan(request_of())


@pytest.mark.parametrize(("seconds", "steps"), [(1.0, 1), (0.25, 1), (0.1, 2), (0.001, 250), (1e-9, 256)])
def test_a_call_takes_about_a_quarter_second(seconds, steps):
    assert steps_per_call(seconds) == steps


def test_a_gpu_is_called_by_its_name(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["GPU 0"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"device_name": "NVIDIA H100"})
    assert plan._devices(tf.distribute.get_strategy()) == "NVIDIA H100"
