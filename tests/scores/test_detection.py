"""Scores of detectors: boxes found by loops, gradients in closed form, and D-RISE written again slowly."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.perturbation import masks_of_authors
from keras import layers
from scipy.special import softmax

from attribeval import Attributer, scores
from attribeval.common.seeds import generators, image_seeds
from attribeval.errors import AttribevalError

SIDE, A, K = 8, 6, 3
IMAGES = np.random.default_rng(0).random((2, SIDE, SIDE, 1)).astype(np.float32)
NAMES = ("boxes", "classes", "objectness")


def detector(kind: type = dict, activations: bool = True) -> keras.Model:
    """Boxes in pixels around 6 places, moved by the image; class scores and objectness linear in the pixels."""
    keras.utils.set_random_seed(2)
    inputs = keras.Input((SIDE, SIDE, 1))
    flat = layers.Flatten(name="pixels")(inputs)
    raw = layers.Reshape((A, 4))(layers.Dense(4 * A, activation="sigmoid", name="box_dense")(flat))
    move = layers.EinsumDense("nac,ac->nac", (A, 4), bias_axes="ac", name="edges")
    boxes = move(raw)
    places = [[x, y, x + 2.5, y + 2.5] for y in (0, 4) for x in (0, 2, 4)]
    move.set_weights([np.ones((A, 4)), np.array(places)])
    classes = layers.Reshape((A, K))(layers.Dense(A * K, name="class_dense")(flat))
    sure = layers.Dense(A, name="object_dense")(flat)
    if activations:
        classes, sure = layers.Softmax()(classes), layers.Activation("sigmoid")(sure)
    outputs = (boxes, classes, sure)
    return keras.Model(inputs, dict(zip(NAMES, outputs, strict=True)) if kind is dict else list(outputs))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return detector()


def slow_iou(a: np.ndarray, b: np.ndarray) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def said(model: keras.Model, images: np.ndarray) -> tuple[np.ndarray, ...]:
    outputs = model(images)
    return tuple(outputs[name].numpy().astype(np.float64) for name in NAMES)


def class_rows(model: keras.Model, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class logits (N, A, K), and their derivatives by the pixels (SIDE, SIDE, 1, A, K), from the dense layer."""
    weights, bias = model.get_layer("class_dense").get_weights()
    logits = images.reshape(len(images), -1) @ weights + bias
    return logits.reshape(-1, A, K), weights.reshape(SIDE, SIDE, 1, A, K)


def test_a_reference_takes_the_class_logit_of_the_box_that_fits_best(model):
    references, classes = np.array([[0, 0, 3, 3], [4, 4, 7.5, 8], [1, 1, 8, 7]], float), [2, 0, 1]
    one = Attributer(model, score=scores.detection(references, classes))
    boxes, (logits, slopes) = said(model, IMAGES)[0], class_rows(model, IMAGES)
    chosen = np.array([[np.argmax([slow_iou(box, r) for box in of]) for r in references] for of in boxes])
    assert len(set(chosen.ravel().tolist())) >= 3
    found = one.answer(IMAGES)[0]
    for i, m in np.ndindex(2, 3):
        np.testing.assert_allclose(found[i, m], logits[i, chosen[i, m], classes[m]], rtol=1e-5)
        gradient = one.explain(IMAGES[i], "gradient", m).values[0]
        np.testing.assert_allclose(gradient, slopes[..., chosen[i, m], classes[m]], atol=1e-6)


def test_without_a_reference_each_class_has_its_most_certain_box(model):
    one = Attributer(model, score=scores.detection())
    _, classes, sure = said(model, IMAGES)
    logits, slopes = class_rows(model, IMAGES)
    chosen = (classes * sure[..., None]).argmax(1)
    for i, c in np.ndindex(2, K):
        np.testing.assert_allclose(one.answer(IMAGES)[0][i, c], logits[i, chosen[i, c], c], rtol=1e-5)
        np.testing.assert_allclose(
            one.explain(IMAGES[i], "gradient", c).values[0], slopes[..., chosen[i, c], c], atol=1e-6
        )
    best = scores.most_certain(model.predict(IMAGES, verbose=0), [1, 2])
    boxes = said(model, IMAGES)[0]
    for i, c in enumerate([1, 2]):
        j = chosen[i, c]
        for name, wanted in zip(NAMES, (boxes[i, j], classes[i, j], sure[i, j]), strict=True):
            np.testing.assert_allclose(getattr(best, name)[i], wanted, rtol=1e-5)
    # A detector that does not say how sure it is: the box of the highest class alone.
    bare = Attributer(model, score=scores.detection(read=lambda outputs: (outputs["boxes"], outputs["classes"])))
    wanted = np.take_along_axis(logits, classes.argmax(1)[:, None], 1)[:, 0]
    np.testing.assert_allclose(bare.answer(IMAGES)[0], wanted, rtol=1e-5)


def test_where_no_box_overlaps_there_is_no_score(model):
    one = Attributer(model, score=scores.detection([20, 20, 30, 30], 1))
    assert not one.answer(IMAGES)[0].any()
    with pytest.warns(RuntimeWarning, match="0 everywhere"):
        one.explain(IMAGES, "gradient", 0)


def slow_similarity(outputs: tuple[np.ndarray, ...], box: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The paper's similarity of each image's nearest detection, in loops."""
    best = []
    for boxes, classes, sure in zip(*outputs, strict=True):
        each = []
        for j in range(len(boxes)):
            cosine = classes[j] @ probabilities / (np.linalg.norm(classes[j]) * np.linalg.norm(probabilities))
            each.append(slow_iou(boxes[j], box) * cosine * sure[j])
        best.append(max(each))
    return np.array(best)


def test_rise_of_the_similarity_is_d_rise_written_again_slowly(model):
    """Masks, masked images, detections, similarities, weighted sum: all in plain loops."""
    own = scores.most_certain(model.predict(IMAGES, verbose=0), [1, 2])
    one = Attributer(model, score=scores.drise(own.boxes, own.classes))
    np.testing.assert_allclose(
        one.answer(IMAGES)[0],
        np.stack([slow_similarity(said(model, IMAGES), *pair) for pair in zip(own.boxes, own.classes, strict=True)], 1),
        rtol=1e-5,
    )
    n, p, grid = 30, 0.5, 4
    maps = one.explain(IMAGES, "rise", [0, 1], seed=3, samples=n, grid_size=grid, p=p).values[..., 0]
    for i, generator in enumerate(generators(image_seeds(IMAGES, 3))):
        total = np.zeros((SIDE, SIDE))
        for mask in masks_of_authors(generator.random((n, grid**2 + 2)), grid, p, (SIDE, SIDE)):
            masked = IMAGES[i] * mask[..., None]
            weight = slow_similarity(said(model, masked[None]), own.boxes[i], own.classes[i])[0]
            total += weight * mask
        np.testing.assert_allclose(maps[i], total / (n * p), rtol=1e-4)


def test_d_rise_of_a_true_box_and_without_objectness(model):
    box, truth = np.array([1, 1, 5, 6], float), np.array([0, 1, 0], float)
    boxes, classes, sure = said(model, IMAGES)
    for read, objectness in ((None, sure), (lambda o: (o["boxes"], o["classes"]), np.ones_like(sure))):
        one = Attributer(model, score=scores.drise(box, truth, read=read))
        wanted = slow_similarity((boxes, classes, objectness), box, truth)
        np.testing.assert_allclose(one.answer(IMAGES)[0][:, 0], wanted, rtol=1e-5)
    same = Attributer(model, score=scores.drise(box, 5 * truth)).answer(IMAGES)[0]
    np.testing.assert_allclose(same, Attributer(model, score=scores.drise(box, truth)).answer(IMAGES)[0], rtol=1e-6)


def test_lists_and_logits_are_read_by_a_function(model):
    import tensorflow as tf

    plain = detector(list, activations=False)
    wanted = Attributer(model, score=scores.drise([1, 1, 5, 6], [0, 1, 0])).answer(IMAGES)[0]

    def read(outputs):
        boxes, classes, sure = outputs
        return scores.Detections(boxes, tf.nn.softmax(classes), tf.sigmoid(sure))

    found = Attributer(plain, score=scores.drise([1, 1, 5, 6], [0, 1, 0], read=read)).answer(IMAGES)[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    logits = class_rows(model, IMAGES)[0]
    np.testing.assert_allclose(softmax(logits, -1), said(model, IMAGES)[1], rtol=1e-5)
    best = Attributer(plain, score=scores.detection([1, 1, 5, 6], 2)).answer(IMAGES)[0]
    np.testing.assert_allclose(best, Attributer(model, score=scores.detection([1, 1, 5, 6], 2)).answer(IMAGES)[0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: scores.detection([0, 0, 1, 1]), "classes= as an index"),
        (lambda: scores.detection(classes=1), "classes= only with boxes="),
        (lambda: scores.detection([3, 0, 1, 1], 0), r"x0 < x1.*Received: \[3.0, 0.0, 1.0, 1.0\]"),
        (lambda: scores.detection([0, 1], 0), "Expected boxes"),
        (lambda: scores.detection([0, 0, np.nan, 1], 0), "not finite"),
        (lambda: scores.detection([0, 0, 1, 1], 3), "from 0 to 2. Received: 3"),
        (lambda: scores.drise([0, 0, 1, 1], [1, 0]), "3 probabilities, the detector's classes. Received: 2"),
        (lambda: scores.drise([0, 0, 1, 1], [0, 0, 0]), "not all 0"),
        (lambda: scores.drise([[0, 0, 1, 1]] * 2, [0, 1, 0]), "each of 2 boxes"),
        (lambda: scores.detection(read=lambda outputs: outputs["boxes"]), r"boxes \(batch, A, 4\).*read=function"),
        (lambda: scores.detection(read=lambda outputs: {"box": outputs["boxes"]}), "named box"),
    ],
)
def test_errors(model, make, words):
    with pytest.raises(AttribevalError, match=words):
        Attributer(model, score=make())


def convolutional() -> keras.Model:
    """A detector with ReLUs whose boxes and classes come from the same features."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input((SIDE, SIDE, 1))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", use_bias=False)(inputs)
    alive = keras.initializers.RandomUniform(0.1, 0.5, seed=1)
    x = layers.Conv2D(3, 4, strides=4, activation="relu", use_bias=False, kernel_initializer=alive)(x)
    x = layers.Flatten()(x)
    heads = [layers.Reshape((4, units))(layers.Dense(4 * units, use_bias=False)(x)) for units in (4, K)]
    boxes = layers.Concatenate()([heads[0][..., :2], heads[0][..., :2] + keras.ops.abs(heads[0][..., 2:]) + 0.5])
    return keras.Model(inputs, [boxes, heads[1]])


def test_what_a_score_chooses_by_is_no_path_to_the_image():
    """Propagation rules and rules for ReLUs give what they give for the logit of the box that is chosen, a constant."""
    model = convolutional()
    own = scores.most_certain(model.predict(IMAGES, verbose=0), 1)
    boxes = model(IMAGES)[0].numpy()
    box = [int(np.argmax((boxes[i] == own.boxes[i]).all(1))) for i in range(2)]
    plain = Attributer(model, score=lambda outputs: outputs[1][:, :, 1])
    fits, surest = (Attributer(model, score=ask) for ask in (scores.detection(own.boxes, 1), scores.detection()))
    for method in ("lrp", "guided_backprop"):
        wanted = plain.explain(IMAGES, method, box).values
        assert np.abs(wanted).max((1, 2, 3)).all()
        for found in (fits.explain(IMAGES, method, [0, 1]), surest.explain(IMAGES, method, 1)):
            np.testing.assert_allclose(found.values, wanted, atol=2e-5 * np.abs(wanted).max(), err_msg=method)
