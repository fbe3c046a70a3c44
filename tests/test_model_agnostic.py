"""Methods on superpixels and those that `shap` computes: exact enumeration, closed forms, slow loops."""

from __future__ import annotations

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import gaussian_filter

from attribeval import AttribevalError, Attributer
from attribeval.attributer import image_seeds
from attribeval.common.fills import filled
from attribeval.methods.anchor_search import Search, answered, kl_bounds
from attribeval.methods.anchors import Anchors
from attribeval.methods.batch import Batch
from attribeval.methods.kernel_shap import kernel_values
from attribeval.methods.lime import draw_masks, fit
from attribeval.methods.registry import build_method
from attribeval.methods.segments import Regions, Segmentation
from attribeval.methods.shapley_sampling import sampled_values
from attribeval.models.classifier import Classifier

SEED = np.array([3, -4], np.int32)


@pytest.fixture(scope="module")
def attributer(small_model):
    return Attributer(small_model)


def batch_of(attributer: Attributer, raw: np.ndarray, targets: list[int], capacity: int = 64) -> Batch:
    classifier = attributer.classifier
    return Batch(classifier, classifier.prepare(raw), raw, tf.constant(targets), image_seeds(raw, 0), capacity)


def exact_shapley(game, players: int) -> np.ndarray:
    """The definition: every coalition, every player (Shapley 1953)."""
    value = {
        members: float(game(np.isin(np.arange(players), members)[None])[0])
        for size in range(players + 1)
        for members in itertools.combinations(range(players), size)
    }
    phi = np.zeros(players)
    for player in range(players):
        for members, before in value.items():
            if player not in members:
                after = value[tuple(sorted((*members, player)))]
                weight = math.factorial(len(members)) * math.factorial(players - len(members) - 1)
                phi[player] += weight / math.factorial(players) * (after - before)
    return phi


def random_game(players: int, seed: int = 0):
    """A value for each of the 2^players coalitions, drawn independently: as far from additive as can be."""
    table = np.random.default_rng(seed).normal(size=2**players)
    return lambda shown: table[shown @ (1 << np.arange(players))]


# ------------------------------------------------------------------------------------------------ segments, fills


def test_grid_is_hand_worked():
    labels = Segmentation("grid", 6).labels(np.zeros((4, 6, 1), np.float32))
    np.testing.assert_array_equal(
        labels, [[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5], [3, 3, 4, 4, 5, 5]]
    )
    finest = Segmentation("grid", 24).labels(np.zeros((4, 6, 1), np.float32))
    np.testing.assert_array_equal(finest, np.arange(24).reshape(4, 6))


@pytest.mark.parametrize("algorithm", ["slic", "quickshift"])
def test_superpixels_are_scikit_images_on_the_image_scaled_to_one(algorithm):
    from skimage import data, segmentation

    photograph = data.astronaut()[40:140, 170:280].astype(np.float32)
    labels = Segmentation(algorithm).labels(photograph)
    unit = (photograph - photograph.min()) / np.ptp(photograph)
    if algorithm == "slic":
        expected = segmentation.slic(unit.astype(np.float64), n_segments=50, compactness=10, start_label=0)
    else:
        expected = segmentation.quickshift(unit.astype(np.float64), kernel_size=4, max_dist=200, ratio=0.2, rng=0)
    pairs = {(int(a), int(b)) for a, b in zip(labels.ravel(), expected.ravel(), strict=True)}
    assert len(pairs) == len(np.unique(labels)) == len(np.unique(expected)) > 5  # the same cut, perhaps other numbers
    np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))
    np.testing.assert_array_equal(labels, Segmentation(algorithm).labels(photograph / 255))  # the range does not matter


@pytest.mark.parametrize("algorithm", ["slic", "quickshift", "grid"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_image_can_be_cut(algorithm, channels):
    for image in (np.full((20, 30, channels), 0.5), np.random.default_rng(0).normal(size=(20, 30, channels))):
        labels = Segmentation(algorithm).labels(image.astype(np.float32))
        assert labels.shape == (20, 30)
        np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))


def test_fills_are_hand_worked():
    images = np.arange(2 * 2 * 3 * 2, dtype=np.float32).reshape(2, 2, 3, 2)
    kept = images.copy()
    labels = [np.array([[0, 0, 1], [0, 2, 1]])] * 2
    first = images[0]
    np.testing.assert_allclose(filled(images, "mean")[0], np.broadcast_to([5, 6], first.shape))
    np.testing.assert_allclose(filled(images, "mean")[1], np.broadcast_to([17, 18], first.shape))
    np.testing.assert_array_equal(filled(images, "black"), np.zeros_like(images))
    np.testing.assert_allclose(filled(images, "grey")[0], np.full_like(first, 5.5))
    np.testing.assert_allclose(filled(images, 0.25), np.full_like(images, 0.25))
    np.testing.assert_allclose(filled(images, (1, 2))[0, 1, 1], [1, 2])
    means = filled(images, "segment_mean", labels)[0]
    np.testing.assert_allclose(means[0, 0], (first[0, 0] + first[0, 1] + first[1, 0]) / 3)
    np.testing.assert_allclose(means[1, 2], (first[0, 2] + first[1, 2]) / 2)
    np.testing.assert_allclose(means[1, 1], first[1, 1])
    image = np.random.default_rng(0).normal(size=(1, 20, 30, 1)).astype(np.float32)
    np.testing.assert_allclose(filled(image, "blur")[0, ..., 0], gaussian_filter(image[0, ..., 0], 2), atol=1e-6)
    np.testing.assert_array_equal(images, kept)


def test_painting_and_scoring_agree_with_a_slow_loop(attributer, images):
    raw = images[:2]
    regions = Regions(batch_of(attributer, raw, [4, 0], capacity=3), "slic", 9, "mean")
    shown = np.random.default_rng(0).random((7, regions.count(1))) < 0.5
    painted = np.repeat(raw[1:2], 7, axis=0)
    for image, mask in zip(painted, shown, strict=True):
        for segment in np.flatnonzero(~mask):
            image[regions.labels[1] == segment] = raw[1].mean(axis=(0, 1))
    np.testing.assert_allclose(regions.paint(1, shown), painted, atol=1e-6)
    scores = attributer.classifier.forward(tf.constant(painted))[0].numpy()
    np.testing.assert_allclose(regions.scores(1, shown), scores[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(regions.is_target(1, shown), scores.argmax(1) == 0)


@pytest.mark.parametrize("preprocess", ["caffe", lambda x: x[..., ::-1] - np.float32([103.939, 116.779, 123.68])])
def test_painting_before_or_after_preprocessing_is_the_same(small_model, images, preprocess):
    """A function may mix pixels, so it sees painted images; a convention does not, so its input is painted."""
    attributer = Attributer(small_model, preprocess=preprocess)
    regions = Regions(batch_of(attributer, images[:1], [4], capacity=4), "slic", 9, "black")
    shown = np.random.default_rng(0).random((7, regions.count(0))) < 0.5
    painted = np.where(shown[:, regions.labels[0]][..., None], images[0], 0)[..., ::-1]
    scores = small_model.layers[-1]
    features = keras.Model(small_model.inputs, small_model.get_layer("gap").output)
    expected = features(painted - np.float32([103.939, 116.779, 123.68])).numpy() @ scores.kernel.numpy()
    np.testing.assert_allclose(regions.scores(0, shown), (expected + scores.bias.numpy())[:, 4], rtol=1e-4)


def test_lime_and_shap_share_segments(attributer, images, monkeypatch):
    cuts = []
    cut = Segmentation.labels
    monkeypatch.setattr(Segmentation, "labels", lambda self, image: cuts.append(1) or cut(self, image))
    methods = {n: build_method(n, {"segments": 5, "samples": 20}) for n in ("lime", "kernel_shap")}
    attributer.explain_many(images[:3], methods)
    assert len(cuts) == 3


def test_no_more_than_a_capacity_of_painted_images_exists_at_a_time(attributer, images, monkeypatch):
    sizes = []
    compiled = Classifier.compiled

    def counted(self, key, build, *specs):
        function = compiled(self, key, build, *specs)
        return lambda *tensors: sizes.append(int(tensors[0].shape[0])) or function(*tensors)

    monkeypatch.setattr(Classifier, "compiled", counted)
    few = {"segments": 4, "samples": 20}
    attributer.explain(images[:1], "lime", batch_size=5, **few)
    attributer.explain(images[:1], "kernel_shap", batch_size=5, **few)
    attributer.explain(images[:1], "anchors", batch_size=5, **few)
    attributer.explain(images[:1], "shapley_sampling", batch_size=5, segments=4, permutations=5)
    attributer.explain(images[:1], "partition_shap", batch_size=5, samples=20)
    assert max(sizes) == 5


# -------------------------------------------------------------------------------------------------- Shapley values


def test_kernel_shap_is_exact_on_eight_players():
    game = random_game(8)
    phi, gap = kernel_values(game, 8, 254, SEED)
    np.testing.assert_allclose(phi, exact_shapley(game, 8), atol=1e-10)
    assert abs(gap) < 1e-12


@pytest.mark.parametrize("players", [1, 2, 3])
def test_kernel_shap_of_few_players_is_exact(players):
    game = random_game(players)
    np.testing.assert_allclose(kernel_values(game, players, 100, SEED)[0], exact_shapley(game, players), atol=1e-10)


def test_kernel_shap_is_efficient_and_seeded_when_it_samples():
    game = random_game(12)
    phi, gap = kernel_values(game, 12, 60, SEED)
    np.testing.assert_allclose(phi.sum(), game(np.ones((1, 12), bool)) - game(np.zeros((1, 12), bool)), atol=1e-10)
    assert abs(gap) < 1e-10
    np.testing.assert_array_equal(phi, kernel_values(game, 12, 60, SEED)[0])
    assert (phi != kernel_values(game, 12, 60, SEED + 1)[0]).any()


def test_kernel_shap_of_an_image_is_the_exact_value_of_its_segments(attributer, images):
    raw, target = images[:1], 3
    regions = Regions(batch_of(attributer, raw, [target]), "grid", 8, "mean")
    assert regions.count(0) in (8, 9)
    exact = exact_shapley(lambda shown: regions.scores(0, shown), regions.count(0))
    maps = attributer.explain(raw, "kernel_shap", target, segments=8, segmentation="grid", samples=600)
    np.testing.assert_allclose(maps.values[0, ..., 0], exact[regions.labels[0]], atol=1e-5 * np.abs(exact).max())
    assert abs(maps.completeness_gap[0]) < 1e-6


def test_shapley_sampling_is_exact_for_an_additive_game_with_one_order():
    worth = np.array([3.0, -1.0, 0.5, 7.0, 0.0])
    phi, gap = sampled_values(lambda shown: shown @ worth + 2, 5, 1, np.random.default_rng(0))
    np.testing.assert_allclose(phi, worth, atol=1e-12)
    assert abs(gap) < 1e-12


def test_shapley_sampling_converges_to_the_exact_values():
    game = random_game(8)
    exact = exact_shapley(game, 8)
    few, many = (sampled_values(game, 8, n, np.random.default_rng(1))[0] for n in (100, 10_000))
    spread = np.sqrt(2.0)  # standard deviation of a difference of two values of the game
    assert np.abs(many - exact).max() < 5 * spread / np.sqrt(10_000)
    assert np.abs(many - exact).max() < np.abs(few - exact).max()


def test_partition_shap_agrees_with_owen_values_written_slowly():
    """A 2 × 4 image of single pixels: enough samples to reach every leaf, so the tree decides everything."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((2, 4, 1))
    x = layers.Dense(16, activation="tanh")(layers.Flatten()(inputs))
    attributer = Attributer(keras.Model(inputs, layers.Dense(3)(x)))
    raw = np.random.default_rng(0).normal(size=(1, 2, 4, 1)).astype(np.float32) * 2

    def score(shown: np.ndarray) -> float:
        image = np.where(shown[None, ..., None], raw, raw.mean())
        return float(attributer.classifier.forward(tf.constant(image, tf.float32))[0][0, 1])

    owen = np.zeros((2, 4))

    def descend(context: np.ndarray, rows: slice, columns: slice, weight: float) -> None:
        """Credit of a rectangle, given what else is shown; halves are credited alone and beside each other."""
        inside = np.zeros((2, 4), bool)
        inside[rows, columns] = True
        if inside.sum() == 1:
            owen[inside] += weight * (score(context | inside) - score(context))
            return
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if height >= width:
            middle = rows.start + height // 2
            halves = [(slice(rows.start, middle), columns), (slice(middle, rows.stop), columns)]
        else:
            middle = columns.start + width // 2
            halves = [(rows, slice(columns.start, middle)), (rows, slice(middle, columns.stop))]
        for (r, c), (other_r, other_c) in (halves, halves[::-1]):
            beside = context.copy()
            beside[other_r, other_c] = True
            descend(context, r, c, weight / 2)
            descend(beside, r, c, weight / 2)

    descend(np.zeros((2, 4), bool), slice(0, 2), slice(0, 4), 1.0)
    maps = attributer.explain(raw, "partition_shap", 1, samples=10_000)
    np.testing.assert_allclose(maps.values[0, ..., 0], owen, atol=1e-5)
    assert abs(maps.completeness_gap[0]) < 1e-5


def test_partition_shap_is_efficient_when_its_samples_run_out(attributer, images):
    maps = attributer.explain(images[:3], "partition_shap", samples=37, fill="blur")
    full = attributer.classifier.forward(tf.constant(images[:3]))[0].numpy()
    none = attributer.classifier.forward(tf.constant(filled(images[:3], "blur")))[0].numpy()
    expected = (full - none)[np.arange(3), maps.targets]
    np.testing.assert_allclose(maps.values.sum(axis=(1, 2, 3)), expected, atol=1e-5)
    np.testing.assert_allclose(maps.completeness_gap, 0, atol=1e-5)


@pytest.mark.parametrize("name", ["kernel_shap", "partition_shap", "gradient_shap"])
def test_the_users_random_numbers_are_left_alone(attributer, images, name):
    np.random.seed(7)  # noqa: NPY002
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    attributer.explain(images[:1], name, samples=60)
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002


# ------------------------------------------------------------------------------------------------------------ LIME


def test_lime_fit_is_weighted_least_squares_with_a_penalty():
    generator = np.random.default_rng(0)
    shown = draw_masks(generator, 60, 7)
    assert shown[0].all()
    scores = generator.normal(size=60)
    data = shown.astype(float)
    cosine = 1 - data @ np.ones(7) / np.maximum(np.linalg.norm(data, axis=1) * np.sqrt(7), 1e-300)
    weights = np.exp(-((cosine / 0.3) ** 2) / 2)
    design = np.column_stack([np.ones(60), data])
    penalty = np.diag([0.0] + [2.0] * 7)  # the intercept is free
    solution = np.linalg.solve(design.T * weights @ design + penalty, design.T * weights @ scores)
    np.testing.assert_allclose(fit(shown, scores, 0.3, 2.0, "cosine"), solution[1:], atol=1e-8)


def test_lime_of_an_additive_model_finds_each_segments_worth(images):
    """The score is a sum over pixels, so the right coefficient is what a segment adds over its fill."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    attributer = Attributer(model)
    maps = attributer.explain(images[:1], "lime", 2, fill="black", alpha=1e-9, samples=300)
    labels = Segmentation().labels(images[0])
    worth = (model.layers[-1].kernel.numpy()[:, 2].reshape(32, 32, 3) * images[0]).sum(-1)
    expected = np.bincount(labels.ravel(), weights=worth.ravel())[labels]
    np.testing.assert_allclose(maps.values[0, ..., 0], expected, atol=1e-4 * np.abs(expected).max())


def test_lime_of_an_image_of_8_by_8_finds_what_the_score_reads():
    """The score is the mean of the lower right quarter, of a picture that is a slope: segments there get it all."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2, use_bias=False)])
    corner = np.zeros((8, 8))
    corner[4:, 4:] = 1 / 16
    model.set_weights([np.stack([0 * corner.ravel(), corner.ravel()], 1)])
    image = np.add.outer(np.arange(8.0), np.arange(8.0)).astype("f4")[None, ..., None] ** 2
    labels = Segmentation().labels(image[0])
    assert 4 <= labels.max() + 1 <= 12
    found = Attributer(model).explain(image, "lime", 1, alpha=1e-9).values[0, ..., 0]
    shift = np.array([image[0, ..., 0][labels == s].mean() for s in range(labels.max() + 1)])[labels]
    worth = np.bincount(labels.ravel(), weights=(corner * (image[0, ..., 0] - shift)).ravel())[labels]
    assert np.abs(worth).max() > 0.1
    np.testing.assert_allclose(found, worth, atol=1e-4 * np.abs(worth).max())


def test_segments_of_one_pixel_cannot_be_hidden_by_their_own_mean(attributer, images):
    with pytest.raises(AttribevalError, match=r"more than one pixel.*1024 segments for the 1024 pixels.*fill='mean'"):
        attributer.explain(images[:1], "lime", segments=1024, segmentation="grid", samples=10)
    assert attributer.explain(
        images[:1], "lime", segments=1024, segmentation="grid", samples=10, fill="mean"
    ).values.any()


# --------------------------------------------------------------------------------------------------------- anchors


def net_that_looks_at(labels: np.ndarray, segments: list[int]) -> keras.Model:
    """Class 1 if the mean of every one of these segments is above ½, else class 0 (black and white pictures)."""
    model = keras.Sequential(
        [
            keras.Input((*labels.shape, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(len(segments), activation="relu"),
            keras.layers.Dense(2),
        ]
    )
    kernel = np.stack([(labels.ravel() == s) / (labels == s).sum() for s in segments], axis=1)
    model.layers[1].set_weights([kernel, np.full(len(segments), -0.5)])
    model.layers[2].set_weights([np.array([[0.0, 1.0]] * len(segments)), np.array([0.0, 0.4 - len(segments) / 2])])
    return model


@pytest.mark.parametrize("segments", [[6], [1, 11], [2, 5, 9]])
def test_anchors_find_the_segments_that_decide(segments):
    image = np.ones((1, 24, 24, 1), np.float32)
    labels = Segmentation("grid", 16).labels(image[0])
    attributer = Attributer(net_that_looks_at(labels, segments))
    maps = attributer.explain(image, "anchors", segments=16, segmentation="grid", fill="black").values[0, ..., 0]
    assert maps.max() == 1.0  # the precision
    np.testing.assert_array_equal(maps > 0, np.isin(labels, segments))


def test_an_anchor_needs_nothing_where_nothing_matters_and_is_none_for_another_class():
    image = np.ones((1, 24, 24, 1), np.float32)
    labels = Segmentation("grid", 16).labels(image[0])
    attributer = Attributer(net_that_looks_at(labels, [6]))
    assert not attributer.explain(image, "anchors", 0, segments=16, segmentation="grid", fill="black").values.any()
    assert not attributer.explain(image, "anchors", 1, segments=16, segmentation="grid", fill=1.0).values.any()


def test_anchor_precision_is_the_share_of_perturbed_images_that_keep_the_prediction():
    """Two of three segments must be shown; no single one reaches .95, any pair does."""
    search = Search(lambda shown: shown.sum(1) >= 2, 3, np.random.default_rng(0), Anchors(beam=1))
    anchor = search.run()
    assert len(anchor.kept) == 2 and anchor.precision == 1.0
    best = Search(lambda shown: shown.sum(1) >= 2, 3, np.random.default_rng(0), Anchors(max_size=1, samples=4000)).run()
    assert len(best.kept) == 1
    np.testing.assert_allclose(best.precision, 0.75, atol=5 * np.sqrt(0.75 * 0.25 / best.n))


def test_searches_side_by_side_find_what_each_finds_alone():
    """Three games of different lengths, one of which ends with its first question."""
    rules = [lambda shown: shown.sum(1) >= 2, lambda shown: shown[:, 1], lambda shown: np.zeros(len(shown), bool)]
    players = [4, 3, 5]

    def search(k):
        return Search(rules[k], players[k], np.random.default_rng(k), Anchors(beam=1))

    rounds = []

    def holds(asked):
        rounds.append(sorted(asked))
        return {k: rules[k](shown) for k, shown in asked.items()}

    together = answered({k: search(k).steps() for k in range(3)}, holds)
    for k in range(3):
        assert together[k] == search(k).run()
    assert rounds[0] == [0, 1, 2] and rounds[1] == [0, 1] and len(rounds[-1]) == 1


@pytest.mark.parametrize(("mean", "n", "level"), [(0.7, 40, 3.0), (0.02, 10, 0.5), (0.5, 1000, 8.0)])
def test_kl_bounds_are_where_the_divergence_reaches_the_level(mean, n, level):
    for bound in kl_bounds(mean, n, level):
        divergence = mean * math.log(mean / bound) + (1 - mean) * math.log((1 - mean) / (1 - bound))
        assert bound < 1e-6 or abs(n * divergence - level) < 1e-3
    assert kl_bounds(1.0, 30, 3.0)[0] == pytest.approx(math.exp(-0.1), abs=1e-6)  # closed form
    assert kl_bounds(0.0, 30, 3.0)[1] == pytest.approx(1 - math.exp(-0.1), abs=1e-6)


# ------------------------------------------------------------------------------------------- deep and gradient SHAP


@pytest.mark.parametrize("name", ["deep_shap", "gradient_shap"])
@pytest.mark.parametrize("several", [False, True])
def test_linear_models_have_a_closed_form(name, several, images):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(4, activation="softmax")]
    )
    x = images[:2]
    reference = images[5:8] if several else "mean"
    maps = Attributer(model).explain(x, name, [1, 3], reference=reference)
    kernel = model.layers[-1].kernel.numpy().reshape(32, 32, 3, 4)
    if not several:
        mean = x.mean(axis=(1, 2), keepdims=True)
        expected = np.stack([kernel[..., t] * (x[i] - mean[i]) for i, t in enumerate([1, 3])])
        np.testing.assert_allclose(maps.values, expected, atol=1e-6)
        np.testing.assert_allclose(maps.completeness_gap, 0, atol=1e-5)
    elif name == "deep_shap":
        expected = np.stack([kernel[..., t] * (x[i] - reference.mean(0)) for i, t in enumerate([1, 3])])
        np.testing.assert_allclose(maps.values, expected, atol=1e-6)
    else:  # the share of each reference is random, so every value lies between those of the references
        all_three = np.stack([[kernel[..., t] * (x[i] - r) for r in reference] for i, t in enumerate([1, 3])])
        assert (maps.values >= all_three.min(1) - 1e-6).all() and (maps.values <= all_three.max(1) + 1e-6).all()


def test_gradient_shap_completes_as_samples_grow(images):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    net = [keras.Input((32, 32, 3)), layers.Conv2D(4, 3, activation="tanh"), layers.Flatten(), layers.Dense(3)]
    attributer = Attributer(keras.Sequential(net))
    few, many = (
        np.abs(attributer.explain(images[:4], "gradient_shap", 0, samples=n).completeness_gap).mean() for n in (4, 400)
    )
    assert many < few / 3


def test_deep_shap_is_rescale_by_hand():
    """relu(a) − relu(b) has two ReLUs whose multipliers are Δout / Δin (Shrikumar et al. 2017, equation 10)."""
    model = keras.Sequential([keras.Input((1, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2, activation="relu")])
    model.add(keras.layers.Dense(1))
    model.layers[1].set_weights([np.array([[1.0, 2.0], [-3.0, 1.0]]), np.array([0.5, -1.0])])
    model.layers[2].set_weights([np.array([[1.0], [-1.0]]), np.zeros(1)])
    x, reference = np.array([[[[2.0], [0.4]]]], np.float32), np.array([[[-1.0], [1.0]]], np.float32)
    # Inputs of the ReLUs: (2 − 1.2 + .5, 4 + .4 − 1) = (1.3, 3.4); at the reference (−3.5, −2).
    first, second = (1.3 - 0) / (1.3 + 3.5), -(3.4 - 0) / (3.4 + 2)
    expected = np.array([3 * (first * 1 + second * 2), -0.6 * (first * -3 + second * 1)])
    maps = Attributer(model, task="regression").explain(x, "deep_shap", 0, reference=reference)
    np.testing.assert_allclose(maps.values.ravel(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "operation"),
    [
        (lambda: keras.layers.ReLU(6.0), "Relu6"),
        (lambda: keras.layers.LeakyReLU(), "LeakyRelu"),
        (lambda: keras.layers.Activation("silu"), "IdentityN"),
        (lambda: keras.layers.DepthwiseConv2D(3), "DepthwiseConv2dNative"),
    ],
)
def test_deep_shap_refuses_what_shap_gets_wrong(layer, operation, images):
    net = [keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3), layer(), keras.layers.Flatten(), keras.layers.Dense(3)]
    with pytest.raises(AttribevalError, match=f"no right rule for operations of this model: .*{operation}"):
        Attributer(keras.Sequential(net)).explain(images[:1], "deep_shap")


def test_tensorflow_still_differentiates_after_shap_failed(small_model, images, monkeypatch):
    from attribeval.methods import deep_shap

    monkeypatch.setattr(deep_shap, "operations_without_rule", lambda classifier: [])
    net = [keras.Input((32, 32, 3)), keras.layers.DepthwiseConv2D(3), keras.layers.Flatten(), keras.layers.Dense(3)]
    with pytest.raises(AttribevalError, match=r"could not explain this model: .*Use method='kernel_shap'"):
        Attributer(keras.Sequential(net)).explain(images[:1], "deep_shap")
    x = tf.constant([2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(x[:1] ** 2)
    np.testing.assert_allclose(tape.gradient(y, x), [4.0, 0.0])


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lime", {"segmentation": "felzenszwalb"}, "Expected segmentation to be one of slic, quickshift, grid"),
        ("lime", {"segmentation": "quickshift", "segments": 9}, "which finds its own. Received: segments=9"),
        ("lime", {"segments": 0}, "Expected segments to be an int of 1 or more. Received: 0"),
        ("lime", {"samples": 1}, "Expected samples to be an int of 2 or more"),
        ("lime", {"fill": "gray"}, "Expected fill to be one of mean, .*Received: 'gray'"),
        ("lime", {"fill": (1.0, float("nan"), 2.0)}, "Expected fill to be one of mean"),
        ("lime", {"kernel_width": 0}, "Expected kernel_width to be a number above 0"),
        ("lime", {"alpha": -1.0}, "Expected alpha to be a number above 0"),
        ("lime", {"distance": "cos"}, "Expected distance to be one of cosine"),
        ("kernel_shap", {"samples": 2.5}, "Expected samples to be an int of 1 or more. Received: 2.5"),
        ("shapley_sampling", {"permutations": 0}, "Expected permutations to be an int of 1"),
        ("partition_shap", {"fill": "segment_mean"}, "Expected fill to be one of mean, black, grey, blur"),
        ("anchors", {"threshold": 1.0}, "Expected threshold between 0 and 1. Received: 1.0"),
        ("anchors", {"beam": 0}, "Expected beam to be an int of 1"),
        ("deep_shap", {"reference": "white"}, "Expected reference to be one of mean, black, grey, blur"),
        ("deep_shap", {"reference": np.zeros((4, 4))}, r"Expected reference images \(H, W, C\) or \(R, H, W, C\)"),
        ("gradient_shap", {"reference": np.full((4, 4, 3), np.nan)}, "Expected reference to be finite"),
        ("gradient_shap", {"samples": 0}, "Expected samples to be an int of 1"),
    ],
)
def test_bad_options_say_what_is_expected(name, options, message):
    with pytest.raises(AttribevalError, match=message):
        build_method(name, options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("kernel_shap", {"samples": 10}, "at least as many samples as segments. Received: 10 samples for"),
        ("lime", {"fill": (1.0, 2.0)}, "Expected fill to have one number or 3"),
        ("deep_shap", {"reference": np.zeros((8, 8, 3))}, r"reference images of shape \(32, 32, 3\)"),
    ],
)
def test_what_does_not_fit_the_images_says_so(attributer, images, name, options, message):
    with pytest.raises(AttribevalError, match=message):
        attributer.explain(images[:1], name, **options)


@pytest.mark.parametrize("name", ["lime", "kernel_shap", "partition_shap", "shapley_sampling", "anchors"])
def test_what_paints_on_images_cannot_be_wrapped(attributer, images, name):
    with pytest.raises(AttribevalError, match="cannot be wrapped"):
        attributer.explain(images[:1], f"smoothgrad({name})")
