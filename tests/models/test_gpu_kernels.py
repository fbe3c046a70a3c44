"""What gradients are computed with stays on a GPU: whatever goes back to the host waits for all that came before.

No GPU is needed to see that: TensorFlow says of each operation's kernel for GPUs which of its values are the host's.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels, op_def_registry

from attribeval import Attributer

METHODS = [
    "gradient", "guided_backprop", "integrated_gradients(steps=3)", "smoothgrad(gradient, samples=3)",
    "vargrad(guided_backprop, samples=3)", "gradcam", "gradcam_plus_plus", "layercam",
    "expected_gradients(references=[0.0, 1.0], samples=3)",
]  # fmt: skip


def kernel_of(op):
    """The kernel for GPUs that TensorFlow has for the types of this operation, or None."""
    found = None
    for kernel in kernels.get_registered_kernels_for_op(op.type).kernel:
        wanted = {constraint.name: set(constraint.allowed_values.list.type) for constraint in kernel.constraint}
        given = {name: op.get_attr(name) for name in wanted if wanted[name]}  # others choose by a string
        types = {name: of if isinstance(of, list) else [of] for name, of in given.items()}
        fits = all(t.as_datatype_enum in wanted[name] for name, of in types.items() for t in of)
        if fits and (kernel.device_type == "GPU" or (kernel.device_type == "DEFAULT" and found is None)):
            found = kernel
    return found


def on_host(op, side, number):
    """Whether the input or output of an operation is in the host's memory."""
    if op.type == "Placeholder":
        return op.outputs[0].dtype in (tf.int32, tf.resource)
    kernel = kernel_of(op)
    if kernel is None:
        return True
    names = []
    for argument in getattr(op_def_registry.get(op.type), f"{side}_arg"):
        several = argument.number_attr or argument.type_list_attr
        count = op.get_attr(several) if several else 1
        names += [argument.name] * (count if isinstance(count, int) else len(count))
    return names[number] in kernel.host_memory_arg


def trips(graph):
    """Values that go from one memory to the other on their way."""
    found = []
    for op in graph.get_operations():
        for number, tensor in enumerate(op.inputs):
            there = on_host(tensor.op, "output", tensor.value_index)
            if op.type != "NoOp" and tensor.dtype != tf.resource and there != on_host(op, "input", number):
                found.append((tensor.op.type, "to the device" if there else "to the host", op.type))
    return found


def graph_of(function, *specs):
    return tf.function(function).get_concrete_function(*specs).graph


@pytest.fixture(scope="module", autouse=True)
def kernels_for_gpus():
    relu = graph_of(tf.nn.relu, tf.TensorSpec([1])).get_operations()[1]
    if kernel_of(relu) is None:
        pytest.skip("this TensorFlow was built without kernels for GPUs")


def test_the_check_finds_trips():
    """The derivative of a gather, as it was before targets became a mask; a sum alone makes none."""
    scores, targets = tf.TensorSpec([None, 10]), tf.TensorSpec([None], tf.int64)

    def gathered(scores, targets):
        return tf.gradients(tf.gather(scores, targets, axis=1, batch_dims=1), scores)

    assert ("Prod", "to the host", "Mul") in trips(graph_of(gathered, scores, targets))
    assert trips(graph_of(lambda scores: tf.square(scores) + 1, scores)) == []


@pytest.mark.parametrize("capacity", [1, 16])
@pytest.mark.parametrize("method", METHODS)
def test_maps_stay_on_the_device(small_model, method, capacity):
    """With room for one and for many samples at a time, which are different graphs. Targets go there once."""
    attributer = Attributer(small_model, preprocess="tf")
    known = set(attributer.classifier._functions)
    images = np.zeros((1, *attributer.classifier.input_shape), np.float32)
    attributer.explain(images, method, batch_size=capacity, progress=False)
    made = {str(key): f.graph for key, f in attributer.classifier._functions.items() if key not in known}
    assert trips(made.pop("asked")) == [("Placeholder", "to the device", "Cast")]
    assert made and {key: trips(graph) for key, graph in made.items()} == {key: [] for key in made}


@pytest.mark.parametrize("name", ["ResNet50", "MobileNetV2"])
def test_gradients_of_architectures_stay_on_the_device(name):
    attributer = Attributer(getattr(keras.applications, name)(weights=None))
    attributer.explain(np.zeros((1, 224, 224, 3)), "gradient", 0, progress=False)
    assert trips(attributer.classifier._functions["gradient", "plain"].graph) == []


@pytest.mark.parametrize("axes", [(1, 2), (2,), (0, 1, 2, 3), (-1,)])
def test_the_derivative_of_a_mean_is_tensorflows(axes):
    """Means over sides that are known have a rule of ours, others TensorFlow's own: both are the same derivative."""
    x = keras.Input((4, 6, 3))
    spatial = keras.layers.Conv2D(3, 3, padding="same", activation="tanh")(x)
    mean = keras.layers.Lambda(lambda a: keras.ops.sin(keras.ops.mean(a, axis=axes, keepdims=True)) + a)(spatial)
    model = keras.Model(x, keras.layers.Dense(3)(keras.layers.Flatten()(mean)))
    images = np.random.default_rng(0).normal(size=(1, 4, 6, 3)).astype(np.float32)
    got = Attributer(model).explain(images, "gradient", 1, progress=False).values
    variable = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        score = model(variable)[:, 1]
    np.testing.assert_allclose(got, tape.gradient(score, variable), rtol=1e-5, atol=1e-6)
