"""The gradient family against closed forms, finite differences, and the papers' equations written slowly."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import gaussian_filter

from attribeval import AttribevalError, Attributer
from attribeval.attributer import image_seeds
from attribeval.methods.expected_gradients import draw
from attribeval.methods.registry import build_method
from attribeval.models import fields

RULES = ["left", "right", "midpoint", "trapezoid", "gauss_legendre"]
SHAPE = (5, 4, 3)
CLASSES = 3
FAMILY = ["gradient", "gradient_x_input", "guided_backprop", "deconvnet", "IG", "blur_ig", "guided_ig"]


class Polynomial(keras.layers.Layer):
    """score_k(x) = Σ_i a_ki x_i³ + (Σ_i w_ki x_i)²: every integral along a straight path is known."""

    def __init__(self, cubic, linear, **kwargs):
        super().__init__(**kwargs)
        self.cubic, self.linear = cubic, linear

    def call(self, x):
        flat = keras.ops.reshape(x, (-1, self.cubic.shape[1]))
        cubic = keras.ops.matmul(flat**3, keras.ops.convert_to_tensor(self.cubic.T, x.dtype))
        return cubic + keras.ops.matmul(flat, keras.ops.convert_to_tensor(self.linear.T, x.dtype)) ** 2


class Known:
    """The same in NumPy, float64, with its gradient."""

    def __init__(self):
        rng = np.random.default_rng(0)
        size = int(np.prod(SHAPE))
        self.cubic, self.linear = rng.normal(size=(CLASSES, size)), rng.normal(size=(CLASSES, size))
        self.model = keras.Sequential([keras.Input(SHAPE), Polynomial(self.cubic, self.linear)])

    def score(self, x, k):
        flat = np.asarray(x, np.float64).ravel()
        return self.cubic[k] @ flat**3 + (self.linear[k] @ flat) ** 2

    def gradient(self, x, k):
        flat = np.asarray(x, np.float64).ravel()
        return (3 * self.cubic[k] * flat**2 + 2 * self.linear[k] * (self.linear[k] @ flat)).reshape(SHAPE)

    def integrated(self, x, start, k):
        """Exact: the cubic terms are separable; the gradient of the square is linear along the path."""
        flat, begin = (np.asarray(v, np.float64).ravel() for v in (x, start))
        cubic = self.cubic[k] * (flat**3 - begin**3)
        square = (flat - begin) * self.linear[k] * (self.linear[k] @ (flat + begin))
        return (cubic + square).reshape(SHAPE)


@pytest.fixture(scope="module")
def known():
    return Known()


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).normal(size=(4, *SHAPE)).astype("float32")


def close(got, expected, tolerance=1e-5):
    np.testing.assert_allclose(got, expected, atol=tolerance * np.abs(expected).max())


# --------------------------------------------------------------------------------------------- gradient, one point


def test_gradient_x_input_by_central_differences_in_float64():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((5, 5, 2), dtype="float64"),
            layers.Conv2D(3, 3, activation="softplus", dtype="float64"),
            layers.Flatten(dtype="float64"),
            layers.Dense(4, dtype="float64"),
        ]
    )
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 2)).astype("float32")
    got = Attributer(model).explain(x, "gradient_x_input", [3, 1]).values
    expected = np.zeros(x.shape)
    for place in np.ndindex(x.shape[1:]):
        step = np.zeros(x.shape)
        step[(slice(None), *place)] = 1e-5
        up, down = (model(x.astype("float64") + sign * step).numpy()[[0, 1], [3, 1]] for sign in (1, -1))
        expected[(slice(None), *place)] = (up - down) / 2e-5 * x[(slice(None), *place)]
    close(got, expected, 1e-6)


# ---------------------------------------------------------------------------------------------- integrated gradients


def sum_by_rule(function, rule, n):
    """The rule as printed in a textbook, one point after another."""
    if rule == "left":
        return sum(function(k / n) for k in range(n)) / n
    if rule == "right":
        return sum(function(k / n) for k in range(1, n + 1)) / n
    if rule == "midpoint":
        return sum(function((2 * k + 1) / (2 * n)) for k in range(n)) / n
    if rule == "trapezoid":
        return sum((function(k / (n - 1)) + function((k + 1) / (n - 1))) / 2 for k in range(n - 1)) / (n - 1)
    raise NotImplementedError(rule)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", [2, 5, 25])
def test_integrated_gradients_against_the_known_integral(known, x, rule, steps):
    start = np.random.default_rng(2).normal(size=SHAPE).astype("float32")
    maps = Attributer(known.model, batch_size=3).explain(
        x, "integrated_gradients", 1, steps=steps, rule=rule, baseline=start
    )
    for i, image in enumerate(x):
        exact = known.integrated(image, start, 1)
        if rule == "gauss_legendre":  # two points are exact for a gradient of degree 2
            close(maps.values[i], exact)
        else:
            mean = sum_by_rule(lambda a, image=image: known.gradient(start + a * (image - start), 1), rule, steps)
            close(maps.values[i], mean * (image - start))
            way = (image - start).astype(np.float64)
            curvature = way * 6 * known.cubic[1].reshape(SHAPE) * way**2  # second derivative of the integrand
            if rule == "midpoint":
                close(maps.values[i] - exact, -curvature / (24 * steps**2), 1e-4 * steps)
            if rule == "trapezoid":
                close(maps.values[i] - exact, curvature / (12 * (steps - 1) ** 2), 1e-4 * steps)
        difference = known.score(image, 1) - known.score(start, 1)
        expected_gap = maps.values[i].astype(np.float64).sum() - difference
        assert abs(maps.completeness_gap[i] - expected_gap) < 1e-5 * max(1, abs(difference))
        assert abs(exact.sum() - difference) < 1e-9 * max(1, abs(difference))
    if rule == "gauss_legendre":
        assert np.abs(maps.completeness_gap).max() < 1e-5 * np.abs(maps.values).sum((1, 2, 3)).max()


def test_more_steps_close_the_gap_on_a_relu_network(small_model, images):
    attributer = Attributer(small_model)
    gaps = {n: np.abs(attributer.explain(images, "IG", steps=n).completeness_gap).mean() for n in (5, 50, 500)}
    assert gaps[500] < gaps[50] < gaps[5]
    scores = attributer.classifier.forward(images)[0].numpy()
    assert gaps[500] < 1e-3 * np.abs(scores - attributer.classifier.forward(0 * images)[0].numpy()).max(1).mean()


# ------------------------------------------------------------------------------------------------------- baselines


def ig_from(known, image, start, k=2):
    return known.integrated(image, start, k)


def explain_ig(attributer, x, baseline):
    return attributer.explain(x, "IG", 2, baseline=baseline, rule="gauss_legendre", steps=3)


def test_baselines_without_preprocessing(known, x):
    attributer = Attributer(known.model)
    for i, image in enumerate(x):
        colour = image.astype(np.float64).mean((0, 1))
        for name, start in {
            "black": np.zeros(SHAPE),
            "mean": np.broadcast_to(colour, SHAPE),
            "blur": gaussian_filter(image.astype(np.float64), (0.4, 0.4, 0), mode="reflect"),
            0.5: np.full(SHAPE, 0.5),
            (0.1, 0.2, 0.3): np.broadcast_to([0.1, 0.2, 0.3], SHAPE),
        }.items():
            close(explain_ig(attributer, x, name).values[i], ig_from(known, image, start), 1e-4)


@pytest.mark.parametrize("convention", ["caffe", "tf", "torch"])
def test_black_is_black_in_raw_pixels_whatever_the_convention(known, convention):
    from attribeval.models.preprocessing import NAMES

    raw = np.random.default_rng(3).uniform(0, 255, size=(2, *SHAPE)).astype("float32")
    prepare = NAMES[convention]
    attributer = Attributer(known.model, preprocess=convention)
    grey = np.full(SHAPE, 100, np.float32)
    for baseline, start in (
        ("black", np.zeros(SHAPE)),
        (grey, grey),
        ("mean", np.broadcast_to(raw[0].mean((0, 1)), SHAPE)),
        ("blur", gaussian_filter(raw[0].astype(np.float64), (0.4, 0.4, 0), mode="reflect")),
    ):
        expected = ig_from(known, prepare(raw[0]), prepare(start.astype(np.float32)))
        expected = expected[..., ::-1] if convention == "caffe" else expected  # back to RGB, as the image came
        close(explain_ig(attributer, raw, baseline).values[0], expected, 1e-4)


def test_random_baseline_is_drawn_within_the_image_per_image_and_seed(known, x):
    from attribeval.methods.baselines import baseline_input
    from attribeval.methods.batch import Batch
    from attribeval.models.classifier import Classifier

    classifier = Classifier(known.model)
    batch = Batch(classifier, tf.constant(x), x, tf.zeros(4, tf.int32), image_seeds(x, 0), 8)
    start = baseline_input(batch, "random").numpy()
    least, greatest = x.min((1, 2), keepdims=True), x.max((1, 2), keepdims=True)
    assert (start >= least).all() and (start < greatest).all()
    assert len(np.unique((start - least) / (greatest - least))) == start.size
    attributer = Attributer(known.model)
    maps = explain_ig(attributer, x, "random")
    for i in range(4):
        close(maps.values[i], ig_from(known, x[i], start[i]), 1e-4)
    again = attributer.explain(x[2:], "IG", 2, baseline="random", rule="gauss_legendre", steps=3, seed=1).values
    assert np.abs(again - maps.values[2:]).max() > 0.1


# ---------------------------------------------------------------------------------------------- expected gradients


def test_expected_gradients_against_a_plain_loop(known, x):
    references = np.random.default_rng(4).normal(size=(3, *SHAPE)).astype("float32")
    maps = Attributer(known.model, batch_size=3).explain(
        x, "expected_gradients", 1, references=references, samples=7, seed=5
    )
    seeds = image_seeds(x, 5)
    for i, image in enumerate(x):
        which, places = draw(seeds[i : i + 1], 7, 3)
        assert sorted(np.bincount(which)) == [2, 2, 3]  # every reference as often as every other
        assert sorted((places * 7).astype(int)) == list(range(7))  # one place per seventh of the way
        total, starts = np.zeros(SHAPE), 0.0
        for k in range(7):
            start = references[which[k]].astype(np.float64)
            total += (image - start) * known.gradient(start + places[k] * (image - start), 1) / 7
            starts += known.score(start, 1) / 7
        close(maps.values[i], total)
        gap = total.sum() - (known.score(image, 1) - starts)
        assert abs(maps.completeness_gap[i] - gap) < 1e-3


def test_greys_as_references(known, x):
    attributer = Attributer(known.model)
    greys = np.stack([np.full(SHAPE, g, np.float32) for g in (0, 0.5, 1)])
    np.testing.assert_array_equal(
        attributer.explain(x, "expected_gradients(references=[0, 0.5, 1], samples=6)").values,
        attributer.explain(x, "expected_gradients", references=greys, samples=6).values,
    )


def test_expected_gradients_tend_to_the_mean_of_integrated_gradients(known, x):
    references = np.random.default_rng(4).normal(size=(4, *SHAPE)).astype("float32")
    attributer = Attributer(known.model, batch_size=64)
    maps = attributer.explain(x[:1], "expected_gradients", 1, references=references, samples=4000)
    expected = np.mean([known.integrated(x[0], start, 1) for start in references], axis=0)
    close(maps.values[0], expected, 0.02)


# ------------------------------------------------------------------------------------------------------- blur IG


def test_blur_ig_against_the_steps_written_slowly(known, x):
    maps = Attributer(known.model, batch_size=3).explain(x, "blur_ig", 1, max_sigma=2.0, steps=4)
    for i, image in enumerate(x):

        def blurred(sigma, image=image):
            return gaussian_filter(image.astype(np.float64), (sigma, sigma, 0), mode="reflect")

        expected = np.zeros(SHAPE)
        for sharp, soft in ((0.0, 0.5), (0.5, 1.0), (1.0, 1.5), (1.5, 2.0)):
            expected += known.gradient(blurred((sharp + soft) / 2), 1) * (blurred(sharp) - blurred(soft))
        close(maps.values[i], expected)
        gap = expected.sum() - (known.score(image, 1) - known.score(blurred(2.0), 1))
        assert abs(maps.completeness_gap[i] - gap) < 1e-3


def test_blur_ig_tends_to_the_integral_of_the_paper(known, x):
    """Equation 4: the gradient at each scale times dL/d(scale), here by a numerical derivative and 2,000 scales."""
    image = x[0].astype(np.float64)
    got = Attributer(known.model, batch_size=64).explain(x[:1], "blur_ig", 1, max_sigma=2.0, steps=200)
    # scipy cuts its kernel at whole pixels, 4 σ wide, so L(σ) is smooth only between multiples of 1/8
    expected = np.zeros(SHAPE)
    h, count = 1e-6, 2000
    for k in range(count):
        sigma = (k + 0.5) * 2.0 / count
        up, down = (gaussian_filter(image, (s, s, 0), mode="reflect") for s in (sigma + h, sigma - h))
        middle = gaussian_filter(image, (sigma, sigma, 0), mode="reflect")
        expected -= known.gradient(middle, 1) * (up - down) / (2 * h) * 2.0 / count
    close(got.values[0], expected, 0.02)
    assert abs(got.completeness_gap[0]) < 0.01 * np.abs(got.values[0]).sum()


# ------------------------------------------------------------------------------------------------------- guided IG


def guided_ig_slowly(image, start, gradient_of, steps, fraction, distance):
    """Kapishnikov et al. 2021, algorithm 1, value by value in plain Python."""
    end, x = [float(v) for v in image.ravel()], [float(v) for v in start.ravel()]
    begin, n = list(x), image.size
    total = sum(abs(e - b) for e, b in zip(end, begin, strict=True))
    out = [0.0] * n
    for step in range(1, steps + 1):
        g = gradient_of(np.array(x).reshape(image.shape)).ravel()
        alpha = step / steps
        low, high = max(alpha - distance, 0), min(alpha + distance, 1)
        lowest = [b + low * (e - b) for e, b in zip(end, begin, strict=True)]
        highest = [b + high * (e - b) for e, b in zip(end, begin, strict=True)]
        target = total * (1 - alpha)
        old = list(x)
        for i in range(n):  # behind the corridor
            if abs(x[i] - begin[i]) < abs(lowest[i] - begin[i]):
                x[i] = lowest[i]
        movable = {i for i in range(n) if abs(highest[i] - x[i]) > 1e-12}
        while movable:
            left = sum(abs(e - v) for e, v in zip(end, x, strict=True)) - target
            if left <= 1e-9 * total:
                break
            in_order = sorted(abs(g[i]) for i in movable)
            rank = int(np.floor(fraction * (n - 1)))  # the lower quantile over all n values, the immovable being last
            limit = in_order[rank] if rank < len(in_order) else np.inf
            chosen = [i for i in movable if abs(g[i]) <= limit]
            room = sum(abs(highest[i] - x[i]) for i in chosen)
            share = min(1.0, left / room)
            for i in chosen:
                x[i] = highest[i] if share == 1 else x[i] + share * (highest[i] - x[i])
            if share < 1:
                break
            movable -= set(chosen)
        for i in range(n):
            out[i] += (x[i] - old[i]) * g[i]
    return np.array(out).reshape(image.shape)


@pytest.mark.parametrize(("fraction", "distance"), [(0.25, 0.02), (0.25, 0.3), (0.1, 1.0), (1.0, 0.2), (0.5, 0.0)])
def test_guided_ig_against_the_algorithm_of_the_paper(known, x, fraction, distance):
    start = np.zeros(SHAPE)
    start[0, 0] = x[1, 0, 0]  # three values with no way to go
    maps = Attributer(known.model).explain(
        x[:2], "guided_ig", 1, steps=7, fraction=fraction, max_distance=distance, baseline=start
    )
    for i, image in enumerate(x[:2]):
        begin = start.astype(np.float32).astype(np.float64)
        expected = guided_ig_slowly(
            image.astype(np.float64), begin, lambda p: known.gradient(p, 1), 7, fraction, distance
        )
        close(maps.values[i], expected, 1e-4)
        gap = expected.sum() - (known.score(image, 1) - known.score(begin, 1))
        assert abs(maps.completeness_gap[i] - gap) < 1e-2


def test_guided_ig_without_room_is_integrated_gradients(small_model, images):
    attributer = Attributer(small_model)
    guided = attributer.explain(images[:3], "guided_ig", max_distance=0, steps=20).values
    straight = attributer.explain(images[:3], "IG", rule="left", steps=20).values
    close(guided, straight, 1e-4)


# ------------------------------------------------------------------------------------- batches, memory, odd images


@pytest.mark.parametrize("method", FAMILY)
def test_batch_size_does_not_change_a_map(small_model, images, method):
    attributer = Attributer(small_model)
    options = {"steps": 6} if "steps" in vars(build_method(method)) else {}
    kept = images.copy()
    maps = {size: attributer.explain(images, method, batch_size=size, **options).values for size in (1, 4, 9)}
    for size in (4, 9):
        scale = np.abs(maps[1]).max(axis=(1, 2, 3), keepdims=True)
        assert (np.abs(maps[size] - maps[1]) <= 1e-5 * scale).all()
    np.testing.assert_array_equal(images, kept)


@pytest.mark.parametrize("method", ["integrated_gradients", "blur_ig", "guided_ig", "expected_gradients"])
def test_live_points_are_bounded_and_nothing_is_traced_twice(small_model, images, method, monkeypatch):
    seen = []
    plain = fields.gradient_and_scores

    def counted(classifier, x, *args, **kwargs):
        seen.append(int(x.shape[0]))
        return plain(classifier, x, *args, **kwargs)

    monkeypatch.setattr(fields, "gradient_and_scores", counted)
    attributer = Attributer(small_model, batch_size=4)
    traces = []
    trace = attributer.classifier.trace
    monkeypatch.setattr(attributer.classifier, "trace", lambda x: traces.append(x) or trace(x))
    options = {"samples": 30, "references": images[:2]} if method == "expected_gradients" else {"steps": 30}
    attributer.explain(images, method, **options)
    assert max(seen) <= 4 and sum(seen) == 30 * len(images)
    attributer.explain(images[:5], method, 3, batch_size=3, **options)
    assert len(traces) == 1


@pytest.mark.parametrize("method", FAMILY)
def test_a_grey_image_gives_finite_maps(small_model, method):
    grey = np.full((1, 32, 32, 3), 0.5, np.float32)
    attributer = Attributer(small_model)
    has_baseline = "baseline" in vars(build_method(method))
    for options in [{"baseline": name} for name in ("mean", "random", "blur")] if has_baseline else [{}]:
        maps = attributer.explain(grey, method, **options).values
        assert np.isfinite(maps).all()
        assert np.abs(maps).max() < 1e-6 or not options  # grey is its own mean and blur


# ------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("IG", {"steps": 0}, "steps to be an int of 1 or more"),
        ("IG", {"steps": 2.5}, "steps"),
        ("IG", {"steps": 1, "rule": "trapezoid"}, "2 or more"),
        ("IG", {"rule": "simpson"}, "gauss_legendre"),
        ("IG", {"baseline": "white"}, "Unknown baseline: 'white'"),
        ("IG", {"baseline": np.zeros((4, 4, 3))}, r"baseline of shape \(32, 32, 3\).*Received: \(4, 4, 3\)"),
        ("IG", {"baseline": float("nan")}, "finite"),
        ("IG", {"baseline": object()}, "array of numbers"),
        ("blur_ig", {"max_sigma": 0}, "max_sigma"),
        ("blur_ig", {"steps": 0}, "steps"),
        ("guided_ig", {"fraction": 0}, "fraction above 0"),
        ("guided_ig", {"max_distance": 1.5}, "max_distance from 0 to 1"),
        ("expected_gradients", {}, "Received none: write explain"),
        ("expected_gradients", {"references": np.zeros((32, 32, 3))}, "references"),
        ("expected_gradients", {"references": np.zeros((2, 8, 8, 3))}, "references of shape"),
        ("expected_gradients", {"references": np.zeros((2, 32, 32, 3)), "samples": 0}, "samples"),
    ],
)
def test_bad_options(small_model, images, method, options, message):
    with pytest.raises(AttribevalError, match=message):
        Attributer(small_model).explain(images, method, **options)


def test_arrays_as_options_are_copied_compared_by_value_and_written_down(small_model, images):
    array = np.zeros((32, 32, 3), np.float32)
    one, two = build_method("IG", {"baseline": array}), build_method("IG", {"baseline": array + 1})
    assert one == build_method("IG", {"baseline": array.copy()}) and hash(one) == hash(one) and one != two
    array[:] = 7
    assert (one.baseline.values == 0).all()
    maps = Attributer(small_model).explain_many(images, {"one": one, "two": two, "black": build_method("IG")})
    np.testing.assert_array_equal(maps["one"].values, maps["black"].values)
    assert np.abs(maps["one"].values - maps["two"].values).max() > 0
    written = maps["one"].options
    assert written["baseline"]["shape"] == [32, 32, 3] and len(written["baseline"]["hash"]) == 16
    assert written["baseline"] != maps["two"].options["baseline"]


@pytest.mark.parametrize("size", [(24, 16), (15, 22)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_convolutions_that_step_over_pixels_against_loops(size, padding):
    """As between ResNet's stages: places that no 1 × 1 kernel of stride 2 reads have a derivative of 0."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    step = [
        layers.Conv2D(4, 1, strides=2, padding=padding, activation="relu", bias_initializer="normal") for _ in range(2)
    ]
    model = keras.Sequential([keras.Input((*size, 2)), *step, layers.Flatten(), layers.Dense(3)])
    images = np.random.default_rng(0).normal(size=(2, *size, 2)).astype(np.float32)
    (one, first), (two, second), (dense, _) = (
        [w.astype(float) for w in one.get_weights()] for one in model.layers if one.weights
    )
    rows, columns = (-(-side // 4) for side in size)
    weight = dense[:, 1].reshape(rows, columns, 4)
    expected = np.zeros(images.shape)
    for n, i, j in np.ndindex(2, rows, columns):
        a = one[0, 0].T @ images[n, 4 * i, 4 * j] + first
        b = two[0, 0].T @ np.maximum(a, 0) + second
        expected[n, 4 * i, 4 * j] = one[0, 0] @ ((two[0, 0] @ (weight[i, j] * (b > 0))) * (a > 0))
    found = Attributer(model).explain(images, "gradient", 1, progress=False).values
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
