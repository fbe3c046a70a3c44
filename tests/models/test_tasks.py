"""What a model's outputs mean: one unit beside its twin of two, labels, quantities, several outputs, other scores."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from helpers.contract import NAMES

from attribeval import AttribevalError, Attributer, Attributions, Evaluator
from attribeval.common.seeds import image_seeds
from attribeval.datasets import Samples, TrainTest
from attribeval.models.classifier import Classifier
from attribeval.models.reading import Reading
from attribeval.models.task import TASKS
from attribeval.training.recipe import Recipe

X = np.random.default_rng(4).normal(size=(3, 16, 16, 3)).astype(np.float32) * 2
layers = keras.layers


def body():
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(5, 3, padding="same", activation="relu", bias_initializer="normal")(inputs)
    x = layers.Conv2D(6, 3, activation="relu", bias_initializer="normal", name="last")(layers.MaxPooling2D()(x))
    return inputs, layers.GlobalAveragePooling2D()(x)


def net(units, activation=None, wrap=lambda x: x):
    keras.utils.set_random_seed(7)
    inputs, x = body()
    dense = layers.Dense(units, activation=activation, bias_initializer="normal", name="head")
    return keras.Model(inputs, wrap(dense(x)))


@pytest.fixture(scope="module")
def twins():
    """A net of one sigmoid unit, the same with its logit, and the net of two units with weights −w and w."""
    sigmoid, logit, two = net(1, "sigmoid"), net(1), net(2, "sigmoid")
    logit.set_weights(sigmoid.get_weights())
    *before, kernel, bias = sigmoid.get_weights()
    two.set_weights([*before, np.concatenate([-kernel, kernel], 1), np.concatenate([-bias, bias])])
    return Attributer(sigmoid), Attributer(logit), Attributer(two)


# ------------------------------------------------------------------------------------------------------ one unit


@pytest.mark.parametrize("name", NAMES)
def test_one_unit_is_explained_as_its_twin_of_two_units(name, twins):
    sigmoid, logit, two = (one.explain(X, name, [0, 1, 1], seed=3, progress=False).values for one in twins)
    if name.split("(")[0] != "anchors":
        assert np.abs(two).max() > 0
    np.testing.assert_allclose(sigmoid, two, atol=1e-5 * max(np.abs(two).max(), 1e-30))
    np.testing.assert_allclose(logit, two, atol=1e-5 * max(np.abs(two).max(), 1e-30))


@pytest.mark.parametrize("batch_size", [1, 2, None])
def test_several_classes_of_each_image_are_a_map_each(batch_size, tmp_path):
    one = Attributer(net(4), class_names=["cat", "dog", "owl", "jay"])
    several = [[0, 3], [2, 1], [1, 1]]
    maps = one.explain(X, "smoothgrad(gradient)", several, seed=5, batch_size=batch_size)
    np.testing.assert_array_equal(maps.targets, np.ravel(several))
    by_image = maps.values.reshape(3, 2, *maps.values.shape[1:])
    for k in range(2):
        alone = one.explain(X, "smoothgrad(gradient)", [row[k] for row in several], seed=5)
        np.testing.assert_allclose(by_image[:, k], alone.values, atol=1e-6)
    np.testing.assert_array_equal(maps.photographs.load(), np.repeat(X, 2, axis=0))
    seeds = image_seeds(X, 5)
    given = one.explain(X, "smoothgrad(gradient)", several, seed=seeds, batch_size=batch_size)
    np.testing.assert_array_equal(given.values, maps.values)
    assert one.explain(X[0], "gradient", [["dog", "jay"]]).targets.tolist() == [1, 3]


@pytest.mark.parametrize(("backend", "method"), [("tf_keras_vis", "gradcam"), ("deeplift", "deeplift")])
def test_libraries_that_read_columns_refuse_one_unit(backend, method, twins):
    with pytest.raises(AttribevalError, match="task 'binary': use our own engine"):
        twins[0].explain(X, method, 1, backend=backend)


@pytest.mark.parametrize(("backend", "method"), [("shap", "kernel_shap"), ("lime", "lime")])
def test_libraries_that_ask_for_scores_explain_one_unit_as_its_twin(backend, method, twins):
    sigmoid, _, two = twins
    ours, theirs = (one.explain(X[:2], method, [0, 1], backend=backend, samples=60).values for one in (sigmoid, two))
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())
    assert np.abs(theirs).max() > 0


def test_scores_and_probabilities_of_one_unit(twins):
    sigmoid, logit, _ = twins
    z = logit.classifier.model(X).numpy().astype(np.float64)
    p = 1 / (1 + np.exp(-z))
    for one in (sigmoid, logit):
        scores, probabilities = one.answer(X)
        np.testing.assert_allclose(scores, np.concatenate([-z, z], 1), atol=1e-5)
        np.testing.assert_allclose(probabilities, np.concatenate([1 - p, p], 1), atol=1e-6)
        assert one.classifier.classes == 2 and one.classifier.task.name == "binary"
    np.testing.assert_allclose(sigmoid.predict(X), np.concatenate([1 - p, p], 1), atol=1e-6)
    np.testing.assert_allclose(logit.predict(X), np.concatenate([-z, z], 1), atol=1e-5)


def test_the_predicted_class_is_the_one_that_the_sign_says():
    model = net(1)
    z = model(X).numpy()
    *before, kernel, bias = model.get_weights()
    model.set_weights([*before, kernel, bias - (z.min() + z.max()) / 2])
    wanted = (model(X).numpy()[:, 0] > 0).astype(int)
    assert set(wanted) == {0, 1}
    np.testing.assert_array_equal(Attributer(model).explain(X, "gradient").targets, wanted)


def test_gradient_of_one_unit_is_that_of_a_tape(twins):
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z = twins[1].classifier.model(x)
    slope = tape.gradient(z, x).numpy()
    signs = np.array([-1, 1, -1], np.float32)[:, None, None, None]
    for one in twins[:2]:
        np.testing.assert_allclose(one.explain(X, "gradient", [0, 1, 0]).values, signs * slope, atol=1e-6)


@pytest.mark.parametrize("target", [0, 1])
def test_score_output_of_one_unit_is_the_probability(target):
    model = net(1, "sigmoid")
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        p = model(x)
    one = Attributer(model, score="output")
    np.testing.assert_allclose(one.answer(X)[0], np.concatenate([1 - p, p], 1), atol=1e-6)
    sign = 1 if target else -1
    wanted = sign * tape.gradient(p, x).numpy()
    np.testing.assert_allclose(one.explain(X, "gradient", target).values, wanted, atol=1e-7)


def test_a_logit_from_a_convolution_has_both_signs_too():
    keras.utils.set_random_seed(7)
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(5, 3, activation="relu")(inputs)
    z = layers.Flatten()(layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(1, 1)(x)))
    model = keras.Model(inputs, layers.Activation("sigmoid")(z))
    truth = keras.Model(inputs, z)(X).numpy()
    one = Attributer(model)
    np.testing.assert_allclose(one.answer(X)[0], np.concatenate([-truth, truth], 1), atol=1e-6)
    for method in ("gradient_x_input", "deeplift", "lrp"):
        against, for_ = (one.explain(X, method, target).values for target in (0, 1))
        np.testing.assert_allclose(against, -for_, atol=1e-4 * np.abs(for_).max(), err_msg=method)
        assert np.abs(for_).max() > 0


def test_names_targets_and_saved_maps_of_one_unit(tmp_path):
    one = Attributer(net(1, "sigmoid"), class_names=["normal", "pneumonia"])
    maps = one.explain(X, "gradient", ["normal", "pneumonia", "normal"])
    np.testing.assert_array_equal(maps.targets, [0, 1, 0])
    assert Attributions.load(maps.save(tmp_path / "maps")).task == maps.task == "binary"
    assert "2 classes, binary, one sigmoid unit" in repr(one) and "target layer 'last'" in repr(one)
    with pytest.raises(AttribevalError, match="2 class names: the first for label 0"):
        Attributer(net(1, "sigmoid"), class_names=["pneumonia"])


# --------------------------------------------------------------------------------------- studies of one unit


@pytest.fixture(scope="module")
def labelled():
    """Images with a box and the label that the net of one unit gives to most of them."""
    model = net(1, "sigmoid")
    images = np.random.default_rng(2).normal(size=(6, 16, 16, 3)).astype(np.float32) * 2
    z = np.asarray(keras.Model(model.inputs, model.get_layer("head").output)(images))
    logit = -np.log(1 / z - 1)
    *before, kernel, bias = model.get_weights()
    model.set_weights([*before, kernel, bias - np.median(logit)])
    labels = (model(images).numpy()[:, 0] > 0.5).astype(int)
    *before, kernel, bias = model.get_weights()
    two = net(2, "sigmoid")
    two.set_weights([*before, np.concatenate([-kernel, kernel], 1), np.concatenate([-bias, bias])])
    samples = Samples(images, labels, boxes=[[(0.1, 0.1, 0.6, 0.7)]] * 6, name="boxed")
    assert set(labels) == {0, 1}
    return Evaluator(Attributer(model), samples), Evaluator(Attributer(two), samples)


def same_table(ours, theirs, leave_out):
    ours, theirs = (table.drop(columns=[c for c in table if c.startswith(leave_out)]) for table in (ours, theirs))
    pd.testing.assert_frame_equal(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("targets", ["label", "predicted"])
def test_wsol_of_one_unit_is_that_of_its_twin(labelled, targets):
    one, two = (
        evaluator.wsol(["gradcam", "gradient"], targets=targets, held_out=2, progress=False) for evaluator in labelled
    )
    assert one.settings["top1_accuracy"] == 1 and one.settings["task"] == "binary"
    same_table(one.table, two.table, "seconds")


def test_compare_of_one_unit_is_that_of_its_twin(labelled):
    asked = {"targets": "label", "progress": False}
    one, two = (e.compare(["gradcam", "gradient"], ["deletion", "average_drop", "road"], **asked) for e in labelled)
    assert one.settings["top1_accuracy"] == 1 and not one.table["error"].astype(bool).any()
    assert one.table["value"].notna().all()
    same_table(one.table, two.table, ("seconds", "scoring", "peak"))


def test_sanity_of_one_unit_is_run_on_its_own_classes(labelled):
    one, _ = (evaluator.sanity(["gradient"], layers=2, progress=False) for evaluator in labelled)
    changed = one.table[one.table["method"] == "gradient"]
    assert len(changed) and changed["value"].notna().all() and one.settings["task"] == "binary"


def test_a_regression_has_no_scores_of_probabilities_where_they_make_no_sense():
    evaluator = Evaluator(Attributer(net(1, "softplus")), Samples(X, np.zeros(3, int)))
    table = evaluator.compare(["gradient"], ["average_drop", "deletion"], progress=False).table
    drop, deletion = (table[table["benchmark"] == name] for name in ("average_drop", "deletion"))
    assert drop["error"].str.contains("task is 'regression'").all() and drop["value"].isna().all()
    assert deletion["value"].notna().all()


def test_roar_trains_one_unit_on_two_classes(tmp_path):
    def build():
        inputs = keras.Input((16, 16, 3))
        x = layers.Conv2D(4, 3, activation="tanh")(layers.Rescaling(1 / 127.5, offset=-1)(inputs))
        return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.GlobalAveragePooling2D()(x)))

    def bright(n, seed):
        rng, labels = np.random.default_rng(seed), np.arange(n) % 2
        images = rng.integers(0, 120, (n, 16, 16, 3)) + 100 * labels[:, None, None, None]
        return Samples(images.astype(np.uint8), labels, name="bright")

    recipe = Recipe(epochs=6, batch_size=16, learning_rate=0.1)
    result = Evaluator.roar(
        build, TrainTest(bright(48, 1), bright(24, 2)), ["GRAD", "random"], run_dir=tmp_path, fractions=[0.5],
        modes=["remove"], repeats=1, recipe=recipe, progress=False,
    )  # fmt: skip
    accuracy = result.table[(result.table["metric"] == "accuracy") & (result.table["method"] == "random")]
    assert accuracy["value"].max() > 0.9  # half of a bright image is still bright


# ----------------------------------------------------------------------------------------------- other tasks


def sigmoid_of(z):
    return 1 / (1 + np.exp(-np.asarray(z, np.float64)))


def test_logits_are_of_one_class_of_many_or_of_each_by_itself():
    model = net(3)
    z = model(X).numpy()
    powers = np.exp(z - z.max(1, keepdims=True))
    many, each = Attributer(model), Attributer(model, task="multilabel")
    np.testing.assert_allclose(many.answer(X)[1], powers / powers.sum(1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(each.answer(X)[1], sigmoid_of(z), atol=1e-6)
    np.testing.assert_allclose(each.answer(X)[0], z, atol=1e-6)
    assert "task='multilabel'" in repr(many) and "multilabel" in repr(each)


@pytest.mark.parametrize("method", ["scorecam", "rise(samples=40)", "meaningful_perturbation(iterations=8)"])
def test_methods_of_probabilities_see_those_of_the_task(method):
    """Logits with task="multilabel" are the net that ends in sigmoids; as one class of many, the softmax."""
    logits, sigmoids, softmax = net(3), net(3, "sigmoid"), net(3, "softmax")
    for other in (sigmoids, softmax):
        other.set_weights(logits.get_weights())
    options = {"targets": [0, 1, 2], "progress": False}
    if method.startswith("rise"):
        options["score"] = "probability"
    each, by_itself = (
        one.explain(X, method, **options).values
        for one in (Attributer(logits, task="multilabel"), Attributer(sigmoids))
    )
    many, of_many = (one.explain(X, method, **options).values for one in (Attributer(logits), Attributer(softmax)))
    np.testing.assert_allclose(each, by_itself, atol=1e-3 * np.abs(by_itself).max())
    np.testing.assert_allclose(many, of_many, atol=1e-3 * np.abs(of_many).max())
    assert np.abs(each - many).max() > 1e-2 * np.abs(many).max()


def test_a_regression_explains_its_output_and_has_no_probabilities():
    model = net(2, "softplus")
    one = Attributer(model, task="regression")
    scores, instead = one.answer(X)
    np.testing.assert_allclose(scores, model(X), atol=1e-6)
    np.testing.assert_array_equal(scores, instead)
    with pytest.raises(AttribevalError, match="targets= for a regression with 2 outputs"):
        one.explain(X, "gradient")
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        second = model(x)[:, 1]
    np.testing.assert_allclose(one.explain(X, "gradient", 1).values, tape.gradient(second, x), atol=1e-6)
    assert "2 quantities, regression" in repr(one)


def test_a_sigmoid_may_be_a_quantity():
    model = net(1, "sigmoid")
    one = Attributer(model, task="regression")
    np.testing.assert_allclose(one.answer(X)[0], model(X), atol=1e-6)
    np.testing.assert_array_equal(one.explain(X, "gradient").targets, 0)


@pytest.mark.parametrize(
    ("units", "activation", "name"),
    [
        (1, "sigmoid", "binary"),
        (1, None, "binary"),
        (1, "softplus", "regression"),
        (1, "relu", "regression"),
        (1, "tanh", "regression"),
        (3, "softmax", "multiclass"),
        (3, "sigmoid", "multilabel"),
        (3, None, "multiclass"),
    ],
)
def test_what_auto_reads_off_the_graph(units, activation, name):
    assert Classifier(net(units, activation)).task.name == name


@pytest.mark.parametrize(
    ("units", "activation", "task", "message"),
    [
        (2, None, "binary", "one output unit for task='binary'. Received 2"),
        (1, None, "multiclass", "several output units"),
        (3, "softmax", "multilabel", "ends in a softmax"),
        (3, "softmax", "regression", "ends in a softmax"),
        (1, "softmax", "auto", "a single unit, which is 1 whatever the image"),
        (3, "softmax", "multi", ", ".join(TASKS)),
    ],
)
def test_a_task_that_does_not_fit_is_refused(units, activation, task, message):
    with pytest.raises(AttribevalError, match=message):
        Classifier(net(units, activation), reading=Reading(task=task))


@pytest.mark.parametrize("units", [1, 3])
def test_sigmoids_behind_a_clip_are_named(units):
    model = net(units, "sigmoid", lambda p: keras.ops.clip(p, 1e-7, 1 - 1e-7))
    with pytest.raises(AttribevalError, match=r"seem to be probabilities.*score='output'.*task='regression'"):
        Classifier(model)
    if units == 3:
        with pytest.raises(AttribevalError, match="seem to be probabilities"):
            Classifier(model, reading=Reading(task="multilabel"))
    output = Attributer(model, score="output")
    p = model(X).numpy()
    wanted = np.concatenate([1 - p, p], 1) if units == 1 else p
    for part in output.answer(X):
        np.testing.assert_allclose(part, wanted, atol=1e-6)
    np.testing.assert_allclose(Attributer(model, task="regression").answer(X)[0], p, atol=1e-6)


def test_small_logits_are_no_probabilities():
    model = net(1)
    *before, kernel, bias = model.get_weights()
    model.set_weights([*before, np.abs(kernel) * 1e-6, bias * 0 + 0.5])
    assert Classifier(model).task.name == "binary"


def test_a_logit_is_no_probability():
    with pytest.raises(AttribevalError, match="within 0 and 1 for score='output'"):
        Classifier(net(1), reading=Reading(score="output"))


# ------------------------------------------------------------------------------------ outputs, scores of one's own


def two_heads(as_dict=False):
    keras.utils.set_random_seed(7)
    inputs, x = body()
    sex, age = (
        layers.Dense(1, activation="sigmoid", name="sex")(x),
        layers.Dense(4, activation="softmax", name="age")(x),
    )
    return keras.Model(inputs, {"sex": sex, "age": age} if as_dict else [sex, age])


@pytest.mark.parametrize("as_dict", [False, True])
def test_one_of_several_outputs(as_dict):
    model = two_heads(as_dict)
    outputs = model(X)
    alone = keras.Model(model.inputs, model.get_layer("age").output)
    for name in ("age", 0 if as_dict and next(iter(outputs)) == "age" else 1):
        one = Attributer(model, output=name)
        np.testing.assert_allclose(one.predict(X), alone(X), atol=1e-6)
        for method in ("gradient", "gradcam", "deeplift", "lrp"):
            np.testing.assert_allclose(
                one.explain(X, method, 2).values, Attributer(alone).explain(X, method, 2).values, atol=1e-6
            )
    assert Attributer(model, output="sex").classifier.task.name == "binary"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"one output, or output=.*'sex' \(None, 1\), 'age' \(None, 4\)"),
        ({"output": "agee"}, "name one of.*Received: 'agee'"),
        ({"output": 2}, "from 0 to 1"),
        ({"output": "age", "score": lambda outputs: outputs[0]}, "no output beside a function"),
        ({"score": lambda outputs: outputs[0] > 1}, None),
        ({"score": lambda outputs: 3}, "Received: int"),
        ({"score": lambda outputs: outputs[0][:, :, None]}, r"\(None, 1, 1\)"),
        ({"score": lambda outputs: outputs[0], "task": "binary"}, "no task beside a function"),
    ],
)
def test_outputs_that_cannot_be_explained(options, message):
    if message is None:
        with pytest.raises(AttribevalError, match="no derivative"):
            Attributer(two_heads(), **options).explain(X, "gradient")
        return
    with pytest.raises(AttribevalError, match=message):
        Attributer(two_heads(), **options)


def test_a_dictionary_of_one_output_is_that_output():
    model = net(3, "softmax")
    wrapped = keras.Model(model.inputs, {"animal": model.output})
    np.testing.assert_array_equal(
        Attributer(wrapped).explain(X, "gradcam").values, Attributer(model).explain(X, "gradcam").values
    )


def test_a_score_of_ones_own_is_explained_as_a_tape_says():
    keras.utils.set_random_seed(7)
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="last")(inputs)
    model = keras.Model(inputs, layers.Conv2D(2, 3, padding="same", name="mask")(x))  # a segmentation
    one = Attributer(model, score=lambda mask: tf.reduce_sum(mask[:, 4:8, 4:8], axis=(1, 2)))
    tensor = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        second = tf.reduce_sum(model(tensor)[:, 4:8, 4:8, 1])
    np.testing.assert_allclose(one.explain(X, "gradient", 1).values, tape.gradient(second, tensor), atol=1e-5)
    maps = one.explain(X, "integrated_gradients", 1, steps=50)
    sums = maps.values.sum(axis=(1, 2, 3))
    wanted = one.answer(X)[0][:, 1] - one.answer(np.zeros_like(X))[0][:, 1]
    np.testing.assert_allclose(sums, wanted, rtol=0.05)
    assert maps.task == "score" and "2 scores, score" in repr(one)
    whole = Attributer(model, score=lambda mask: tf.reduce_sum(mask, axis=(1, 2, 3)))
    assert whole.classifier.score_key() != one.classifier.score_key()
    again = Attributer(model, score=lambda mask: tf.reduce_sum(mask, axis=(1, 2, 3)))
    assert whole.classifier.score_key() == again.classifier.score_key()
    assert np.isfinite(whole.explain(X, "gradcam").values).all()


# ------------------------------------------------------------------------------------------------------ inputs


def test_channels_first_is_refused_with_the_remedy():
    inputs = keras.Input((3, 16, 16))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D(data_format="channels_first")(inputs)))
    with pytest.raises(AttribevalError, match=r"channels first: .*Permute\(\(3, 1, 2\)\)") as error:
        Classifier(model)
    assert "\n" not in str(error.value)
    turned = keras.Sequential([keras.Input((16, 16, 3)), layers.Permute((3, 1, 2)), model])
    np.testing.assert_allclose(Attributer(turned).predict(X), model(X.transpose(0, 3, 1, 2)), atol=1e-6)


@pytest.mark.parametrize("kind", ["uint8", "int32"])
def test_whole_numbers_are_explained_behind_their_cast(kind):
    keras.utils.set_random_seed(7)
    rest = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(5, 3, activation="relu", name="c")])
    rest.add(layers.GlobalAveragePooling2D())
    rest.add(layers.Dense(3, activation="softmax"))
    inputs = keras.Input((16, 16, 3), dtype=kind)
    model = keras.Model(inputs, rest(layers.Rescaling(1 / 255)(inputs)))
    pixels = np.random.default_rng(0).integers(0, 256, size=(2, 16, 16, 3), dtype=np.uint8)
    whole, scaled = Attributer(model), Attributer(rest, preprocess="unit")
    np.testing.assert_allclose(whole.predict(pixels), model(pixels), atol=1e-6)
    np.testing.assert_allclose(whole.explain(pixels, "gradient", 1).values * 255,
                               scaled.explain(pixels, "gradient", 1).values, atol=1e-5)  # fmt: skip
    ig, reference = (one.explain(pixels, "integrated_gradients", 1, steps=20) for one in (whole, scaled))
    np.testing.assert_allclose(ig.values, reference.values, atol=1e-5)
    for method in ("gradcam", "deeplift", "gradient_shap(samples=8)", "kernel_shap(samples=60)"):
        ours, theirs = (one.explain(pixels, method, 1, progress=False).values for one in (whole, scaled))
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max(), err_msg=method)
    assert np.abs(whole.explain(pixels, "smoothgrad(gradient)").values).max() > 0
    with pytest.raises(AttribevalError, match=f"input is {kind}.*'deeplift'.*'kernel_shap'"):
        whole.explain(pixels, "deep_shap", 1)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({0: "cat", 1: "dog", 3: "owl"}, "none for class 2"),
        ({0: "cat", 1: "dog", 2: "owl", 3: "jay"}, "Received: 4"),
        ({"cat": "a", "dog": "b", "owl": "c"}, "neither"),
        (["cat", "dog"], "3 class names. Received: 2"),
        ("cat", "one string"),
    ],
)
def test_class_names_that_do_not_fit(names, message):
    with pytest.raises(AttribevalError, match=message):
        Attributer(net(3), class_names=names)


def test_a_quantity_has_one_name():
    with pytest.raises(AttribevalError, match=r"Expected 1 class name\. Received: 2"):
        Attributer(net(1), class_names=["low", "high"], task="regression")


@pytest.mark.parametrize(
    "names",
    [
        ["cat", "dog", "owl"],
        np.array(["cat", "dog", "owl"]),
        {2: "owl", 0: "cat", 1: "dog"},
        {"owl": 2, "cat": 0, "dog": 1},
        {"2": "owl", "0": "cat", "1": "dog"},
    ],
)
def test_class_names_in_every_form(names, tmp_path):
    one = Attributer(net(3), class_names=names)
    assert one.classifier.class_names == ["cat", "dog", "owl"]
    maps = one.explain(X[:1], "gradient", "dog")
    assert maps.targets.tolist() == [1]
    assert Attributions.load(maps.save(tmp_path / "maps")).class_names == ["cat", "dog", "owl"]
