"""Perturbation methods against plain loops, closed forms, and functions whose sensitivity indices are known."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import gaussian_filter
from scipy.special import softmax
from skimage.transform import resize

from attribeval import Attributer
from attribeval.attributer import image_seeds
from attribeval.common.seeds import generators
from attribeval.errors import AttribevalError
from attribeval.methods.extremal_perturbation import area_loss, smooth_mask
from attribeval.methods.hsic import HSIC, draw_cells, hsic, kernel_width
from attribeval.methods.meaningful_perturbation import MeaningfulPerturbation, penalty
from attribeval.methods.occlusion import Occlusion, starts
from attribeval.methods.rise import RISE, draw_masks
from attribeval.methods.sobol import Design, Sobol, total_indices


def linear(weights: np.ndarray, bias: float = 0.0) -> keras.Model:
    """Two logits, 0 and Σ weights · x + bias."""
    model = keras.Sequential([keras.Input(weights.shape), keras.layers.Flatten(), keras.layers.Dense(2)])
    kernel = np.stack([np.zeros(weights.size), weights.ravel()], axis=1)
    model.set_weights([kernel.astype(np.float32), np.array([0, bias], np.float32)])
    return model


@pytest.fixture(scope="module")
def attributer(small_model):
    return Attributer(small_model)


@pytest.fixture(scope="module")
def logits(small_model):
    """The small model's logits, written with its last layer's weights."""
    head = small_model.get_layer("predictions")
    body = keras.Model(small_model.inputs, small_model.get_layer("gap").output)
    return lambda x: np.asarray(body(x.astype(np.float32))) @ np.asarray(head.kernel) + np.asarray(head.bias)


@pytest.fixture(scope="module")
def textures():
    """Three images that a blur makes flat: rows of ±1 in turn over 32 × 32 pixels, with noise."""
    sign = 1 - 2 * (np.indices((32, 32))[0] % 2)
    noise = np.random.default_rng(2).normal(0, 0.05, (3, 32, 32, 1))
    return (sign[..., None] + noise).astype(np.float32)


SQUARE = np.s_[16:28, 10:22]  # where the model below looks: 14 % of the image, its own mirror image
FAR = np.ones((32, 32), bool)
FAR[10:, 4:28] = False


@pytest.fixture(scope="module")
def looks_at_square():
    """The probability of class 1 is high while the pattern is seen in SQUARE, and nothing else matters."""
    weights = np.zeros((32, 32, 1))
    weights[SQUARE] = (1 - 2 * (np.indices((32, 32))[0] % 2))[SQUARE][..., None]
    return Attributer(linear(weights * 12 / 144, bias=-6.0))


# ------------------------------------------------------------------------------------------------------- occlusion


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_occlusion_is_a_plain_loop(attributer, logits, images, score):
    fill, window, stride = (0.3, -0.1, 0.2), 10, 7
    raw = images[:2]
    maps = attributer.explain(raw, "occlusion", [1, 4], window=window, stride=stride, fill=fill, score=score).values
    answer = logits if score == "logit" else lambda x: softmax(logits(x), axis=1)
    for image, target, values in zip(raw, [1, 4], maps, strict=True):
        total, count = np.zeros((32, 32)), np.zeros((32, 32))
        for r in (0, 7, 14, 21, 22):
            for c in (0, 7, 14, 21, 22):
                hidden = image.copy()
                hidden[r : r + window, c : c + window] = fill
                total[r : r + window, c : c + window] += (answer(image[None]) - answer(hidden[None]))[0, target]
                count[r : r + window, c : c + window] += 1
        np.testing.assert_allclose(values[..., 0], total / count, atol=2e-6)


def test_occlusion_of_a_linear_model():
    rng = np.random.default_rng(0)
    weights, image = rng.normal(size=(6, 9, 3)), rng.normal(size=(6, 9, 3)).astype(np.float32)
    black = Attributer(linear(weights)).explain(image, "occlusion", 1, window=1, fill="black").values[0, ..., 0]
    np.testing.assert_allclose(black, (weights * image).sum(-1), atol=1e-5)
    pairs = Attributer(linear(weights)).explain(image, "occlusion", 1, window=2, stride=1, fill="mean")
    pairs = pairs.values[0, ..., 0]
    parts = (weights * (image - image.mean((0, 1)))).sum(-1)
    np.testing.assert_allclose(pairs[0, 0], parts[:2, :2].sum(), atol=1e-5)  # in the corner there is one window
    windows = [parts[r : r + 2, c : c + 2].sum() for r in (2, 3) for c in (4, 5)]
    np.testing.assert_allclose(pairs[3, 5], np.mean(windows), atol=1e-5)


def test_every_pixel_is_covered_and_the_last_window_ends_at_the_border():
    assert starts(224, 32, 16) == list(range(0, 193, 16))
    assert starts(10, 4, 4) == [0, 4, 6]
    assert starts(7, 7, 3) == [0]


# ------------------------------------------------------------------------------------------------------------ rise


def slow_masks(numbers: np.ndarray, grid: int, p: float, size: tuple[int, int]) -> np.ndarray:
    """The authors' loop (resize, crop at a random shift), from numbers in [0, 1)."""
    masks = []
    for row in numbers:
        cell = [int(np.ceil(side / grid)) for side in size]
        cells = (row[2:].reshape(grid, grid) < p).astype(float)
        big = resize(cells, [(grid + 1) * c for c in cell], order=1, mode="edge", anti_aliasing=False)
        y, x = (int(n * c) for n, c in zip(row[:2], cell, strict=True))
        masks.append(big[y : y + size[0], x : x + size[1]])
    return np.stack(masks)


def test_rise_masks_are_those_of_the_authors_loop():
    size, grid, p = (20, 31), 5, 0.3
    numbers = np.random.default_rng(7).random((40, grid * grid + 2))
    masks = draw_masks(np.random.default_rng(7), 40, grid, p, size)
    np.testing.assert_allclose(masks, slow_masks(numbers, grid, p, size), atol=1e-6)
    generator = np.random.default_rng(7)
    by_parts = np.concatenate([draw_masks(generator, n, grid, p, size) for n in (1, 30, 9)])
    np.testing.assert_array_equal(by_parts, masks)


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_rise_is_a_plain_loop(attributer, logits, images, score):
    raw, n = images[:2], 50
    maps = attributer.explain(raw, "rise", 3, seed=5, samples=n, grid_size=4, p=0.4, score=score, batch_size=16).values
    for image, generator, values in zip(raw, generators(image_seeds(raw, 5)), maps, strict=True):
        masks = slow_masks(generator.random((n, 18)), 4, 0.4, (32, 32))
        total = np.zeros((32, 32))
        for mask in masks:
            answer = logits((image * mask[..., None])[None])
            total += mask * (answer if score == "logit" else softmax(answer, axis=1))[0, 3]
        np.testing.assert_allclose(values[..., 0], total / (n * 0.4), atol=2e-6)


def test_rise_of_a_model_that_ends_in_logits_still_uses_probabilities(small_model, attributer, images):
    features = small_model.get_layer("gap").output
    dense = keras.layers.Dense(7)
    bare = keras.Model(small_model.inputs, dense(features))
    dense.set_weights(small_model.get_layer("predictions").get_weights())
    ours = Attributer(bare).explain(images[:2], "rise", 3, samples=20).values
    np.testing.assert_allclose(ours, attributer.explain(images[:2], "rise", 3, samples=20).values, atol=1e-6)


def test_rise_of_a_model_that_looks_at_one_pixel_has_the_known_expectation():
    """E[M(r) M(u)] / p = p + (1 − p) · mean over shifts of Σ_cells w(r) w(u), w the weights of the enlargement."""
    size, grid, p, at = (16, 16), 4, 0.5, (5, 9)
    weights = np.zeros((*size, 1))
    weights[at] = 1
    found = Attributer(linear(weights)).explain(
        np.ones((*size, 1), np.float32), "rise", 1, samples=8000, grid_size=grid, p=p, score="logit"
    )
    expected = np.zeros(size)
    for y, x in itertools.product(range(4), repeat=2):
        for cell in range(grid * grid):
            unit = np.eye(grid * grid)[cell].reshape(grid, grid)
            w = resize(unit, (20, 20), order=1, mode="edge", anti_aliasing=False)[y : y + 16, x : x + 16]
            expected += w * w[at] / 16
    expected = p + (1 - p) * expected
    assert np.ptp(expected) > 0.2
    np.testing.assert_allclose(found.values[0, ..., 0], expected, atol=5 * 0.5 / np.sqrt(8000))


# ----------------------------------------------------------------------------------------------------------- sobol


def estimate(function, variables: int, designs: int) -> np.ndarray:
    design = Design(variables, designs, np.random.default_rng(0))
    return total_indices(function(design.rows(np.arange(len(design)))), variables)


def test_total_indices_of_the_ishigami_function():
    def ishigami(u):
        x = np.pi * (2 * u - 1)
        return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])

    np.testing.assert_allclose(estimate(ishigami, 3, 8192), [0.5576, 0.4424, 0.2437], atol=0.01)


def test_total_indices_of_the_g_function():
    a = np.array([0, 1, 4.5, 9])
    ratio = 1 / (3 * (1 + a) ** 2)
    variance = np.prod(1 + ratio) - 1
    expected = [ratio[i] * np.prod(1 + np.delete(ratio, i)) / variance for i in range(4)]
    found = estimate(lambda u: np.prod((np.abs(4 * u - 2) + a) / (1 + a), axis=1), 4, 8192)
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_total_indices_of_an_additive_and_of_a_constant_function():
    slopes = np.array([3.0, 1, 0, 2])
    found = estimate(lambda u: u @ slopes, 4, 4096)
    np.testing.assert_allclose(found, slopes**2 / (slopes**2).sum(), atol=0.005)
    assert found[2] == 0
    noise = np.random.default_rng(1).normal(0, 1e-8, 2048 * 5).reshape(-1)
    assert (total_indices(3.0 + noise, 4) == 0).all()


def test_jansen_estimator_and_design_by_the_definition():
    design = Design(3, 8, np.random.default_rng(0))
    points = design.rows(np.arange(len(design)))
    a, b = points[:8], design.b
    for k in range(3):
        expected = a.copy()
        expected[:, k] = b[:, k]
        np.testing.assert_array_equal(points[8 * (k + 1) : 8 * (k + 2)], expected)
    assert (a != b).all()
    np.testing.assert_array_equal(design.rows(np.array([25, 3])), points[[25, 3]])
    y = np.random.default_rng(1).normal(size=32)
    mean = sum(y[:8]) / 8
    variance = sum((v - mean) ** 2 for v in y[:8]) / 7
    expected = [sum((y[j] - y[8 * (k + 1) + j]) ** 2 for j in range(8)) / (2 * 8 * variance) for k in range(3)]
    np.testing.assert_allclose(total_indices(y, 3), expected)


def test_sobol_map_of_a_linear_model():
    """Each pixel a cell of its own: the score is a sum, so the indices are squared weights over their sum."""
    weights = np.random.default_rng(3).normal(size=(4, 4, 1))
    image = np.ones((4, 4, 1), np.float32)
    maps = Attributer(linear(weights)).explain(image, "sobol", 1, grid_size=4, designs=1024).values[0]
    np.testing.assert_allclose(maps, weights**2 / (weights**2).sum(), atol=0.02)
    # Faded to the image itself nothing changes, whatever the mask.
    assert (Attributer(linear(weights)).explain(image, "sobol", 1, grid_size=4, fill=1.0).values == 0).all()


# ------------------------------------------------------------------------------------------------------------ hsic


def test_hsic_is_the_double_sum():
    """(1/n²) Σ K L + (1/n⁴) ΣK ΣL − (2/n³) Σ_i (Σ_j K)(Σ_j L) (Gretton et al. 2005), over more than one block."""
    rng = np.random.default_rng(0)
    n = 300
    shown, y = rng.random((n, 3)) < 0.4, rng.normal(size=n)
    y[shown[:, 1]] += 1
    pairs = [abs(y[i] - y[j]) for i in range(n) for j in range(i)]
    width = kernel_width(y)
    assert width == pytest.approx(np.median(pairs))
    outputs = np.exp(-((y[:, None] - y) ** 2) / (2 * width**2))
    for k, found in enumerate(hsic(shown, y, width)):
        inputs = (shown[:, None, k] == shown[:, k]).astype(float)
        expected = (inputs * outputs).sum() / n**2 + inputs.sum() * outputs.sum() / n**4
        expected -= 2 * (inputs.sum(1) * outputs.sum(1)).sum() / n**3
        assert found == pytest.approx(expected, rel=1e-9)


def test_hsic_knows_which_cell_matters():
    shown = draw_cells(np.random.default_rng(0), 2000, 9)
    assert (shown.mean(0) == 0.5).all()  # a Latin hypercube
    y = 3.0 * shown[:, 4]
    found = hsic(shown, y, kernel_width(y))
    assert found[4] == pytest.approx((1 - np.exp(-0.5)) / 4)  # two outputs, as far apart as the kernel is wide
    assert np.delete(found, 4).max() < 5 / 2000
    noise = np.random.default_rng(1).normal(size=2000)
    assert hsic(shown, noise, kernel_width(noise)).max() < 5 / 2000
    spread = noise * (1 + 3 * shown[:, 2])  # the same mean, another variance: no correlation, but dependence
    found = hsic(shown, spread, kernel_width(spread))
    assert found.argmax() == 2 and found[2] > 5 * np.delete(found, 2).max()
    assert (hsic(shown, np.full(2000, 7.0), kernel_width(np.full(2000, 7.0))) == 0).all()


def test_hsic_map_of_a_model_that_looks_at_one_cell():
    weights = np.zeros((8, 8, 1))
    weights[2:4, 4:6] = 1
    maps = Attributer(linear(weights)).explain(np.ones((8, 8, 1), np.float32), "hsic", 1, grid_size=4).values[0, ..., 0]
    inside = maps[2:4, 4:6].min()  # enlarged bilinearly, a quarter of a cell from its centre: 9/16 of the top
    assert inside == pytest.approx((1 - np.exp(-0.5)) / 4 * 9 / 16, rel=0.05)
    assert maps[:, :3].max() < 0.01 and maps[5:].max() < 0.01


# ----------------------------------------------------------------------------------------- meaningful perturbation


def slow_penalty(mask, l1, tv, beta):
    total = 0.0
    for i, j in itertools.product(*map(range, mask.shape)):
        down = mask[i + 1, j] - mask[i, j] if i + 1 < mask.shape[0] else 0
        right = mask[i, j + 1] - mask[i, j] if j + 1 < mask.shape[1] else 0
        total += l1 * abs(1 - mask[i, j]) + tv * np.sqrt(down**2 + right**2) ** beta
    return total


def slow_probability(logits, image, mask, target):
    """8 × 8 cells over 32 × 32 pixels, the mask blurred by 5/8 of a cell, the deleted part by σ = 10/224."""
    shown = np.kron(mask, np.ones((4, 4)))
    shown = gaussian_filter(shown, 5 / 8 * 4, mode="nearest")[..., None]
    sigma = 10 / 224 * 32
    blurred = gaussian_filter(image, (sigma, sigma, 0), mode="reflect")
    return softmax(logits((shown * image + (1 - shown) * blurred)[None]), axis=1)[0, target]


def slow_objective(logits, image, mask, target):
    """Equation 4 without jitter."""
    return slow_probability(logits, image, mask, target) + slow_penalty(mask, 1e-2, 1e-1, 3.0)


OPTIONS = {"mask_size": 8, "jitter": 0, "l1": 1e-2, "tv": 1e-1, "start": "image"}


def learned(attributer, images, targets, **options):
    """Masks and objectives of `MeaningfulPerturbation.optimise`."""
    found = []

    class Spy(MeaningfulPerturbation):
        def optimise(self, batch):
            found.append(super().optimise(batch))
            return found[-1]

    attributer.explain_many(images, {"spy": Spy(**options)}, targets)
    return found[0]


def test_penalty_is_the_formula():
    mask = np.random.default_rng(0).random((2, 5, 7))
    expected = [slow_penalty(one, 0.3, 0.7, 3.0) for one in mask]
    np.testing.assert_allclose(penalty(tf.constant(mask), 0.3, 0.7, 3.0), expected, rtol=1e-6)


def test_meaningful_perturbation_descends_the_papers_objective(attributer, logits, images):
    raw, targets = images[:2], [2, 5]
    masks, _ = learned(attributer, raw, targets, iterations=4, **OPTIONS)
    again, objective = learned(attributer, raw, targets, iterations=5, **OPTIONS)
    assert objective.shape == (5, 2) and again.shape == (2, 8, 8)
    for i in range(2):
        assert objective[4, i] == pytest.approx(slow_objective(logits, raw[i], masks[i], targets[i]), rel=2e-5)


def test_first_step_of_adam_follows_the_slope(attributer, logits, images):
    """Adam's first step is the learning rate against the slope, by finite differences; at 1 the penalty has none."""
    masks, _ = learned(attributer, images[:1], [2], iterations=1, **OPTIONS)
    slopes = np.zeros((8, 8))
    for at in itertools.product(range(8), repeat=2):
        step = np.zeros((8, 8))
        step[at] = 0.05
        ends = [slow_probability(logits, images[0], mask, 2) for mask in (1 - step, 1 + step)]
        slopes[at] = ends[1] - ends[0]
    clear = np.abs(slopes) > 0.1 * np.abs(slopes).max()
    assert clear.sum() > 20
    down = np.isclose(masks[0], 0.9, atol=1e-4)
    np.testing.assert_array_equal(down[clear], slopes[clear] > 0)


@pytest.mark.parametrize("start", ["circle", "image"])
def test_learned_mask_deletes_what_the_model_looks_at(looks_at_square, textures, start):
    _, objective = learned(looks_at_square, textures[:1], 1, tv=1e-3, start=start)
    maps = looks_at_square.explain(textures[:1], "meaningful_perturbation", 1, tv=1e-3, start=start).values[0, ..., 0]
    assert objective[-20:].mean() < 0.05  # nothing deleted, the probability is 1
    # The disc that the paper starts from is nearly as good as the learned mask; from the image the way is longer.
    assert np.diff(objective[::50, 0]).max() < 0.01
    assert objective[-1] < (0.6 if start == "circle" else 0.5) * objective[0]
    assert maps[SQUARE].mean() > 0.3 and maps[FAR].max() < 0.1
    assert maps.min() >= 0 and maps.max() <= 1


# ------------------------------------------------------------------------------------------- extremal perturbation


def test_smooth_mask_is_the_slow_formula():
    parameters = np.random.default_rng(0).random((2, 6, 9)).astype(np.float32)
    expected = np.zeros_like(parameters)
    for p, i, j in itertools.product(range(2), range(6), range(9)):
        values = []
        for di, dj in itertools.product(range(-4, 5), repeat=2):
            inside = 0 <= i + di < 6 and 0 <= j + dj < 9
            kernel = np.exp(-2 * max(0.0, np.sqrt(di**2 + dj**2) / 3 - 0.5) ** 2)
            values.append(kernel * parameters[p, i + di, j + dj] if inside else 0.0)
        expected[p, i, j] = np.dot(values, softmax(20 * np.array(values)))
    np.testing.assert_allclose(smooth_mask(tf.constant(parameters)), expected, atol=1e-6)


def test_area_loss_is_zero_for_a_binary_mask_of_the_area_only():
    mask = np.zeros((3, 4, 5), np.float32)
    mask[0, 1, :4] = 1  # 4 of 20 cells
    mask[1, 1:3, :4] = 1  # 8
    mask[2] = 0.5
    found = np.asarray(area_loss(tf.constant(mask), tf.constant([0.2] * 3), 0.05))
    # Eight ones where four are wanted: each of them should be a half; and the constant mask should be 0.2.
    np.testing.assert_allclose(found, [0, 8 / 20 / 4, 0.3**2], atol=1e-7)
    values = np.random.default_rng(0).random((1, 4, 5))
    paper = np.mean((np.sort(values.ravel()) - np.repeat([0, 1], [16, 4])) ** 2)
    found = area_loss(tf.constant(values, tf.float32), tf.constant([0.2]), 0.0)
    np.testing.assert_allclose(found, [paper], rtol=1e-5)


def test_extremal_masks_have_their_area_and_hold_the_square(looks_at_square, textures):
    # 32 pixels, one parameter per pixel: masks are smooth over 3 pixels, so a little more than the square is needed.
    maps = {
        area: looks_at_square.explain(textures[:1], "extremal_perturbation", 1, areas=(area,), iterations=500).values
        for area in (0.1, 0.2)
    }
    for area, found in maps.items():
        assert found.mean() == pytest.approx(area, abs=0.03)
    large, small = maps[0.2][0, ..., 0], maps[0.1][0, ..., 0]
    assert large[SQUARE].mean() > 0.9 and small[SQUARE].mean() > 5 * small.mean()
    assert large[FAR].mean() < 0.05
    assert small[SQUARE].sum() > 0.8 * small.sum()
    both = looks_at_square.explain(textures[:1], "extremal_perturbation", 1, areas=(0.1, 0.2), iterations=500).values
    np.testing.assert_allclose(both, maps[0.1] + maps[0.2], atol=1e-4)


# ------------------------------------------------------------------------------------------------------- all of them

CHEAP = {
    "occlusion": {"window": 12, "stride": 6},
    "rise": {"samples": 30},
    "sobol": {"grid_size": 3, "designs": 4},
    "hsic": {"grid_size": 3, "samples": 30},
    "meaningful_perturbation": {"iterations": 40, "mask_size": 8},
    "extremal_perturbation": {"iterations": 40, "areas": (0.1, 0.3)},
}


@pytest.mark.parametrize("name", CHEAP)
def test_batch_size_and_neighbours_do_not_change_a_map(attributer, images, name):
    full = attributer.explain(images[:5], name, 2, seed=1, **CHEAP[name]).values
    scale = np.abs(full).max(axis=(1, 2, 3), keepdims=True)
    for size in (1, 3):
        other = attributer.explain(images[:5], name, 2, seed=1, batch_size=size, **CHEAP[name]).values
        assert (np.abs(other - full) / scale).max() <= 1e-5
    np.testing.assert_array_equal(attributer.explain(images[:5], name, 2, seed=1, **CHEAP[name]).values, full)


@pytest.mark.parametrize("name", ["rise", "sobol", "hsic"])
def test_the_seed_matters(attributer, images, name):
    maps = [attributer.explain(images[:1], name, 2, seed=seed, **CHEAP[name]).values for seed in (1, 2)]
    assert np.abs(maps[0] - maps[1]).max() > 0


@pytest.mark.parametrize("name", CHEAP)
def test_the_model_never_sees_more_than_the_capacity(small_model, images, name, monkeypatch):
    attributer = Attributer(small_model)
    classifier, seen = attributer.classifier, []
    forward, compiled = classifier.forward, classifier.compiled

    def counted(key, build, *specs):
        function = compiled(key, build, *specs)
        return lambda *tensors: seen.append(int(tensors[0].shape[0])) or function(*tensors)

    monkeypatch.setattr(classifier, "forward", lambda x: seen.append(len(x)) or forward(x))
    monkeypatch.setattr(classifier, "compiled", counted)
    attributer.explain(images[:3], name, 2, batch_size=4, **CHEAP[name])
    assert max(seen) <= 4 and len(seen) > 10
    assert max(seen) == 2 or name != "extremal_perturbation"  # one image per area


def test_probability_is_learned_from_a_model_that_ends_in_logits(small_model, images):
    bare = keras.Sequential([keras.Input((32, 32, 3)), *small_model.layers[:-1], keras.layers.Dense(7)])
    bare.layers[-1].set_weights(small_model.layers[-1].get_weights())
    options = {"iterations": 20, "mask_size": 8, "start": "image"}
    with_link, without = (
        Attributer(model).explain(images[:1], "meaningful_perturbation", 2, **options).values
        for model in (small_model, bare)
    )
    np.testing.assert_allclose(with_link, without, atol=1e-4)


def test_a_model_without_derivative_is_refused(images):
    inputs = keras.Input((32, 32, 3))
    blind = keras.layers.Lambda(lambda x: tf.round(x), output_shape=(32, 32, 3))(inputs)
    blind = keras.layers.Lambda(lambda x: tf.stop_gradient(x), output_shape=(32, 32, 3))(blind)
    attributer = Attributer(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(blind))))
    for name in ("meaningful_perturbation", "extremal_perturbation"):
        with pytest.raises(AttribevalError, match=r"no derivative with respect to its input.*'rise'"):
            attributer.explain(images[:1], name, 0, iterations=1)
    assert np.isfinite(attributer.explain(images[:1], "rise", 0, samples=4).values).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("occlusion", {"window": 0}, "Expected window to be an int of 1 or more. Received: 0"),
        ("occlusion", {"window": 40}, "Expected a window of at most 32 pixels.*Received: 40"),
        ("occlusion", {"window": 4, "stride": 5}, "Expected a stride of at most the window, 4 pixels.*Received: 5"),
        ("occlusion", {"fill": "segment_mean"}, "Expected fill to be one of mean, black.*Received: 'segment_mean'"),
        ("occlusion", {"fill": (1.0, 2.0)}, "Expected fill to have one number or 3"),
        ("occlusion", {"score": "softmax"}, "Expected score to be one of logit, probability. Received: 'softmax'"),
        ("rise", {"samples": 2.5}, "Expected samples to be an int of 1 or more. Received: 2.5"),
        ("rise", {"p": 1}, "Expected p between 0 and 1. Received: 1"),
        ("rise", {"grid_size": 0}, "Expected grid_size"),
        ("rise", {"gridsize": 3}, "Unknown option of rise: 'gridsize'. Did you mean 'grid_size'"),
        ("sobol", {"designs": 33}, "Expected designs to be a power of 2.*Received: 33"),
        ("sobol", {"grid_size": 101}, "Expected a grid_size of at most 100. Received: 101"),
        ("hsic", {"samples": 1}, "Expected samples to be an int of 2 or more. Received: 1"),
        ("meaningful_perturbation", {"beta": 0.5}, "Expected beta to be 1 or more. Received: 0.5"),
        ("meaningful_perturbation", {"l1": -1.0}, "Expected l1 to be a number above 0. Received: -1.0"),
        ("meaningful_perturbation", {"start": "square"}, "Expected start to be one of circle, image"),
        ("extremal_perturbation", {"areas": (0.1, 1.0)}, "Expected areas as a tuple of numbers between 0 and 1"),
        ("extremal_perturbation", {"areas": 0.1}, "Expected areas as a tuple"),
        ("extremal_perturbation", {"iterations": 0}, "Expected iterations"),
    ],
)
def test_bad_options(attributer, images, name, options, message):
    with pytest.raises(AttribevalError, match=message):
        attributer.explain(images[:1], name, 0, **options)


def test_defaults_are_those_documented():
    assert (RISE().samples, RISE().grid_size, RISE().p) == (1000, 7, 0.5)
    assert Sobol().designs * (Sobol().grid_size ** 2 + 1) == 2080 and HSIC().samples == 500
    assert Occlusion()._geometry((224, 224)) == (32, 16)
    assert len(starts(224, 32, 16)) ** 2 == 169
