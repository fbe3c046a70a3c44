"""SmoothGrad, its square, VarGrad, and the paper's grid against plain loops; shared work counted."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from attribeval import AttribevalError, Attributer, Attributions
from attribeval.common.seeds import fold, image_seeds, normal
from attribeval.methods import drawing
from attribeval.methods.moments import Moments
from attribeval.methods.registry import build_method
from attribeval.models import fields

GRID = [prefix + base for base in ("GRAD", "IG", "GB") for prefix in ("", "SG-", "SG-SQ-", "VAR-", "SQ-")]


@pytest.fixture(scope="module")
def attributer(small_model):
    return Attributer(small_model)


@pytest.fixture(scope="module")
def logits_of(small_model):
    """The small model up to its logits, for an eager gradient of our own."""
    head = small_model.get_layer("predictions")
    body = keras.Model(small_model.inputs, small_model.get_layer("gap").output)

    def gradient(image, target):
        with tf.GradientTape() as tape:
            x = tf.constant(image[None])
            tape.watch(x)
            score = (tf.matmul(body(x, training=False), head.kernel) + head.bias)[0, target]
        return tape.gradient(score, x)[0].numpy()

    return gradient


@pytest.fixture
def points(monkeypatch):
    """How many points each call of the compiled gradient gets, by rule."""
    seen = []
    plain = fields.gradient_and_scores

    def counted(classifier, x, targets, rule="plain"):
        seen.append((rule, int(x.shape[0])))
        return plain(classifier, x, targets, rule=rule)

    monkeypatch.setattr(fields, "gradient_and_scores", counted)
    return seen


def mixed(word):
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        word = ((word ^ (word >> shift)) * factor) % 2**32
    return word ^ (word >> 16)


def words_of(seed, count):
    """Random words of one seed (two int32), word by word in Python's own integers."""
    first, second = (int(half) % 2**32 for half in seed)
    first = mixed(first)
    odd = mixed(second ^ first) | 1
    return [mixed((mixed(j * 0x9E3779B9 % 2**32) ^ first) * odd % 2**32) for j in range(count)]


def drawn(seed, shape):
    """Standard normal numbers of one seed: Box and Muller's formulas in float64."""
    count = int(np.prod(shape))
    words = words_of(seed, (count + 1) // 2)
    radii = np.sqrt(-2 * np.log([((word >> 16) + 0.5) / 2**16 for word in words]))
    z = radii * np.exp(2j * np.pi * np.array([word % 2**16 for word in words]) / 2**16)
    return np.concatenate([z.real, z.imag])[:count].reshape(shape)


def noisy_copies(image, seed, samples, sigma, relative=True):
    """The copies one by one, from the seeds that the documentation names."""
    own = image_seeds(image[None], seed)
    spread = sigma * (float(image.max()) - float(image.min())) if relative else sigma
    for sample in range(samples):
        stream = fold(fold(own, sample), 2**32)[0]
        yield (image + spread * drawn(stream, image.shape)).astype(np.float32)


# ---------------------------------------------------------------------------------------- against a plain loop


@pytest.mark.parametrize(("sigma", "relative"), [(0.15, True), (0.4, False)])
def test_smoothgrad_its_square_and_vargrad_against_a_plain_loop(attributer, logits_of, images, sigma, relative):
    images, targets = images[:3], [4, 0, 2]
    options = {"samples": 11, "sigma": sigma, "relative": relative}
    names = ("smoothgrad", "smoothgrad_squared", "vargrad")
    maps = {n: attributer.explain(images, f"{n}(gradient)", targets, seed=3, batch_size=4, **options) for n in names}
    for i, target in enumerate(targets):
        copies = list(noisy_copies(images[i], 3, 11, sigma, relative))
        every = np.stack([logits_of(copy, target) for copy in copies]).astype(np.float64)
        mean = sum(every) / 11
        for name, expected in {
            "smoothgrad": mean,
            "smoothgrad_squared": sum(e**2 for e in every) / 11,
            "vargrad": sum((e - mean) ** 2 for e in every) / 11,
        }.items():
            np.testing.assert_allclose(maps[name].values[i], expected, atol=2e-5 * np.abs(expected).max())


def test_noise_is_gaussian_and_relative_to_the_range_of_each_image(attributer, images):
    """Seen through a base whose map is its own input."""
    from dataclasses import dataclass

    from attribeval.methods.smoothgrad import SmoothGrad
    from attribeval.methods.vargrad import VarGrad

    @dataclass(frozen=True)
    class Input:
        def attribute(self, batch):
            return batch.x

    scaled = images[:2] * np.float32([[[[1]]], [[[100]]]])
    maps = attributer.explain_many(scaled, {"sg": SmoothGrad(Input(), samples=400), "var": VarGrad(Input(), 400)}, 0)
    for i in range(2):
        sigma = 0.15 * np.ptp(scaled[i])
        deviation = np.sqrt(maps["var"].values[i].mean())
        assert abs(deviation / sigma - 1) < 0.01  # 400 × 3072 values: standard error .0006
        error = (maps["sg"].values[i] - scaled[i]) / (sigma / 20)
        assert abs(error.mean()) < 0.1 and abs(error.std() - 1) < 0.1
        assert (np.abs(error) > 3).mean() < 0.006


def test_absolute_and_squared(attributer, images):
    plain = attributer.explain(images, "gradient").values
    np.testing.assert_array_equal(attributer.explain(images, "absolute(gradient)").values, np.abs(plain))
    np.testing.assert_allclose(attributer.explain(images, "SQ-GRAD").values, plain.astype(np.float64) ** 2, rtol=1e-6)
    sobel = attributer.explain(images, "sobel").values  # a wrapper that adds no points may wrap what needs raw images
    np.testing.assert_allclose(attributer.explain(images, "squared(sobel)").values, sobel**2, rtol=1e-6)


@pytest.mark.parametrize("method", ["sobel", "gradient"])
def test_channels_come_back_in_the_order_of_the_image(small_model, method):
    """A network that takes blue, green, red; maps of the model and maps of the raw image."""
    raw = np.random.default_rng(0).uniform(0, 255, size=(2, 32, 32, 3)).astype("float32")
    attributer = Attributer(small_model, preprocess="caffe")
    plain = attributer.explain(raw, method, 0).values
    np.testing.assert_array_equal(attributer.explain(raw, f"absolute({method})", 0).values, np.abs(plain))
    assert np.abs(plain - plain[..., ::-1]).max() > 0


def test_wrappers_compose(attributer, images):
    images = images[:3]
    direct = attributer.explain(images, "smoothgrad_squared(guided_backprop)", 1, samples=5).values
    np.testing.assert_allclose(
        attributer.explain(images, "smoothgrad(squared(guided_backprop))", 1, samples=5).values,
        direct, atol=1e-5 * direct.max(),
    )  # fmt: skip
    mean = attributer.explain(images, "smoothgrad(guided_backprop)", 1, samples=5).values
    variance = attributer.explain(images, "vargrad(guided_backprop)", 1, samples=5).values
    np.testing.assert_allclose(mean.astype(np.float64) ** 2 + variance, direct, atol=1e-5 * direct.max())
    signless = attributer.explain(images, "smoothgrad(absolute(guided_backprop))", 1, samples=5).values
    assert (signless >= np.abs(mean) - 1e-6).all() and np.abs(signless - np.abs(mean)).max() > 1e-4


def test_a_wrapper_inside_a_wrapper_has_noise_of_its_own(attributer, logits_of, images):
    got = attributer.explain(images[:1], "vargrad(smoothgrad(gradient, samples=3), samples=4)", 5).values[0]
    own = image_seeds(images[:1], 0)
    outer = []
    for i in range(4):
        copy = list(noisy_copies(images[0], 0, 4, 0.15))[i]
        inner = []
        for j in range(3):
            stream = fold(fold(fold(own, i), j), 2**32)[0]
            noisy = copy + 0.15 * np.ptp(copy) * drawn(stream, copy.shape)
            inner.append(logits_of(noisy.astype(np.float32), 5))
        outer.append(np.mean(inner, axis=0, dtype=np.float64))
    expected = np.var(outer, axis=0)
    np.testing.assert_allclose(got, expected, atol=5e-5 * expected.max())


# --------------------------------------------------------------------------------------------------------- moments


@pytest.mark.parametrize("groups", [[1] * 37, [5, 1, 30, 1], [37]])
def test_moments_in_groups_against_two_passes_in_float64(attributer, groups):
    """A spread of 1 around 3,000: E[x²] − E[x]² in float32 loses it, counting the differences does not."""
    values = np.random.default_rng(0).normal(3000, 1, size=(37, 2, 4, 4, 3)).astype(np.float32)
    found = Moments(attributer.classifier.compiled, groups)
    for maps in np.split(values, np.cumsum(groups)[:-1]):
        found.add(maps.reshape(-1, 4, 4, 3))
    exact = values.astype(np.float64)
    assert found.n == 37
    np.testing.assert_allclose(found.mean, exact.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found.variance, exact.var(0), rtol=1e-3)
    np.testing.assert_allclose(found.mean_square, (exact**2).mean(0), rtol=1e-6)
    naive = np.mean(values**2, axis=0) - np.mean(values, axis=0) ** 2
    assert np.abs(naive / exact.var(0) - 1).max() > 0.2


def on_the_host(seeds):
    """`seeds.normal` around other centres than 0 and 1, standardised again."""
    centres, spreads = np.zeros((2, 25, 667), np.float64), np.array([1.0, 3.0])
    centres[1] = 5
    turns = np.arange(len(seeds)) % 2
    return (normal(seeds, centres, spreads) - centres[turns]) / spreads[turns, None, None]


def on_the_device(seeds):
    return drawing.normal(seeds, (25, 667)).numpy().astype(np.float64)


# Seeds as they come: of neighbouring images and samples, with a half in common, and small numbers.
SEEDS = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [2, 3], [-1, 7]], np.int32)


def test_words_and_uniform_numbers_of_the_device():
    """Word by word in Python's integers; uniform; every bit of the seed changes about half of the bits of a row."""
    from scipy.stats import kstest

    words = drawing.bits(SEEDS, 50).numpy()
    assert words.tolist() == [words_of(seed, 50) for seed in SEEDS]
    numbers = drawing.uniform(SEEDS, (100, 133)).numpy()
    assert numbers.shape == (6, 100, 133) and numbers.min() >= 0 and numbers.max() < 1
    for row in numbers.reshape(6, -1):
        assert kstest(row, "uniform").pvalue > 1e-3
    seed = np.array([[123456789, -987654321]], np.int32)
    own = np.unpackbits(drawing.bits(seed, 400).numpy().view(np.uint8))
    for half in (0, 1):
        for bit in range(32):
            other = seed.copy().view(np.uint32)
            other[0, half] ^= np.uint32(1 << bit)
            changed = np.mean(own != np.unpackbits(drawing.bits(other.view(np.int32), 400).numpy().view(np.uint8)))
            assert 0.45 < changed < 0.55


@pytest.mark.parametrize("draw", [on_the_host, on_the_device])
def test_normal_numbers_are_normal_independent_and_belong_to_their_seed(draw):
    from scipy.stats import kstest, norm

    seeds = SEEDS if draw is on_the_device else np.arange(12, dtype=np.int32).reshape(6, 2)
    rows = draw(seeds)
    assert rows.shape == (6, 25, 667)  # an odd count of values
    standard = rows.reshape(6, -1)
    for row in standard:
        assert kstest(row, norm.cdf).pvalue > 1e-3
    n = standard.size
    assert abs(np.mean(standard**4) - 3) < 5 * np.sqrt(96 / n)  # the variance of z⁴ is 96
    share = 2 * norm.sf(3.5)
    assert abs((np.abs(standard) > 3.5).mean() - share) < 5 * np.sqrt(share / n)
    half = standard.shape[1] // 2
    both = np.concatenate([standard[:, :half], standard[:, -half:]])  # cosines and sines of the same pairs
    for values in (both, both**2):
        correlations = np.corrcoef(values) - np.eye(len(both))
        assert np.abs(correlations).max() < 5 / np.sqrt(half)
    for lag in (1, 2, 3, 64, 667):  # places of one row
        for values in (standard, standard**2):
            found = np.corrcoef(values[:, lag:].ravel(), values[:, :-lag].ravel())[0, 1]
            assert abs(found) < 5 / np.sqrt(standard.size)
    np.testing.assert_array_equal(draw(seeds[4:5]), rows[4:5])


# ------------------------------------------------------------------------------------------------------ the planner


def test_one_pass_of_samples_serves_smoothgrad_its_square_and_vargrad(attributer, images, points):
    attributer.explain_many(images, ["VAR-GB", "SG-GB", "GB", "SG-SQ-GB", "SQ-GB"], 0, batch_size=9)
    assert sum(n for _, n in points) == 9 * (15 + 1) and {rule for rule, _ in points} == {"guided"}


def test_other_options_are_other_passes(attributer, images, points):
    attributer.explain_many(images, ["SG-GRAD", "VAR-GRAD(samples=3)", "vargrad(gradient, sigma=.3)", "GRAD"], 0)
    assert sum(n for _, n in points) == 9 * (15 + 3 + 15 + 1)


def test_the_grid_of_the_paper_equals_separate_calls(attributer, images, points):
    images = images[:2]
    together = attributer.explain_many(images, GRID, batch_size=2)
    shared = sum(n for _, n in points)
    assert shared == 2 * 16 * (1 + 25 + 1) and max(n for _, n in points) <= 2
    points.clear()
    for name in GRID:
        alone = attributer.explain(images, name, batch_size=2)
        np.testing.assert_array_equal(together[name].values, alone.values)
        assert together[name].method == name
        gaps = together[name].completeness_gap, alone.completeness_gap
        assert (gaps[0] is None) == (gaps[1] is None) == (name != "IG")  # squares and means sum to nothing known
    assert sum(n for _, n in points) / shared > 2.5


def test_the_gap_of_a_base_stays_with_the_base(attributer, images):
    maps = attributer.explain_many(images[:2], ["SQ-IG", "IG", "absolute(integrated_gradients)"])
    assert maps["SQ-IG"].completeness_gap is None and maps["absolute(integrated_gradients)"].completeness_gap is None
    np.testing.assert_array_equal(maps["IG"].completeness_gap, attributer.explain(images[:2], "IG").completeness_gap)


def test_samples_of_few_images_fill_a_micro_batch_and_many_images_run_side_by_side(attributer, images, points):
    for count, sizes in ((1, [8, 7]), (3, [6] * 7 + [3]), (9, [8] * 15 + [8, 7])):
        points.clear()
        attributer.explain(images[:count], "SG-GRAD", 0, batch_size=8)
        assert [n for _, n in points] == sizes  # of nine images the ninth is alone, and like the first


@pytest.mark.parametrize("method", ["SG-GRAD", "vargrad(IG(steps=5))", "SG-SQ-GB", "vargrad(gradcam)"])
def test_live_points_are_bounded_and_batches_do_not_matter(attributer, images, method, points):
    images = images[:5]
    maps = {size: attributer.explain(images, method, batch_size=size).values for size in (1, 3, 5)}
    for size in (3, 5):
        scale = np.abs(maps[1]).max(axis=(1, 2, 3), keepdims=True)
        assert (np.abs(maps[size] - maps[1]) <= 1e-5 * scale).all()
    points.clear()
    attributer.explain(images, method, batch_size=3, samples=40)
    assert max([n for _, n in points], default=0) <= 3


def test_seeds(attributer, images):
    first = attributer.explain(images, "VAR-GRAD", seed=1).values
    np.testing.assert_array_equal(attributer.explain(images, "VAR-GRAD", seed=1).values, first)
    scale = np.abs(first).max()
    backwards = attributer.explain(images[::-1], "VAR-GRAD", seed=1).values
    np.testing.assert_allclose(backwards[::-1], first, atol=1e-5 * scale)
    assert np.abs(attributer.explain(images, "VAR-GRAD", seed=2).values - first).max() > 0.01 * scale


def test_a_grey_image_has_no_range_and_no_noise(attributer):
    grey = np.full((1, 32, 32, 3), 0.25, np.float32)
    maps = attributer.explain_many(grey, ["GRAD", "SG-GRAD", "VAR-GRAD", "VAR-IG"])
    np.testing.assert_allclose(maps["SG-GRAD"].values, maps["GRAD"].values, rtol=1e-5)
    assert (maps["VAR-GRAD"].values < 1e-10).all() and np.isfinite(maps["VAR-IG"].values).all()


# --------------------------------------------------------------------------------------------------- written down


def test_options_are_complete_plain_and_saved(attributer, images, tmp_path):
    text = "SmoothGrad(integrated_gradients(steps=3, baseline=[0.1, 0.2, 0.3]))"
    maps = attributer.explain(images[:2], text, samples=4)
    assert maps.method == text
    base = {"method": "integrated_gradients", "steps": 3, "rule": "gauss_legendre"}
    written = maps.options["base"].pop("baseline")
    assert maps.options == {"base": base, "samples": 4, "sigma": 0.15, "relative": True}
    assert written["shape"] == [3]
    maps.options["base"]["baseline"] = written
    assert json.loads(json.dumps(maps.options)) == maps.options
    assert Attributions.load(maps.save(tmp_path / "maps")).options == maps.options


@pytest.mark.parametrize("method", ["smoothgrad(sobel)", "vargrad(squared(sobel))"])
def test_what_works_on_raw_images_cannot_be_perturbed(attributer, images, method):
    with pytest.raises(AttribevalError, match="cannot be wrapped"):
        attributer.explain(images, method)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("SG-GRAD", {"samples": 0}, "samples to be an int of 1 or more"),
        ("VAR-GRAD", {"samples": 1}, "samples to be an int of 2 or more"),
        ("SG-GRAD", {"samples": True}, "samples"),
        ("SG-SQ-GRAD", {"sigma": 0}, "sigma to be a number above 0"),
        ("SG-GRAD", {"sigma": float("inf")}, "sigma"),
    ],
)
def test_bad_options(method, options, message):
    with pytest.raises(AttribevalError, match=message):
        build_method(method, options)
