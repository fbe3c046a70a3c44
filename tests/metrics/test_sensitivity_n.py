"""Metrics over random subsets: closed forms on linear models, published definitions as loops, and hostile maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from attribeval.common.seeds import image_seeds
from attribeval.errors import AttribevalError
from attribeval.metrics.faithfulness.cells import grid_cells
from attribeval.metrics.faithfulness.faithfulness_correlation import (
    FaithfulnessCorrelation,
    faithfulness_correlation,
)
from attribeval.metrics.faithfulness.idsds import IDSDS, single_deletion
from attribeval.metrics.faithfulness.infidelity import Infidelity, infidelity
from attribeval.metrics.faithfulness.mu_fidelity import MuFidelity, mu_fidelity
from attribeval.metrics.faithfulness.sensitivity_n import SensitivityN, sensitivity_n, subset_sizes
from attribeval.metrics.faithfulness.subsets import shared_drops, subsets
from attribeval.metrics.subject import Explained, Subject
from attribeval.results.means import known_mean

RNG = np.random.default_rng(3)
N, SHAPE, CLASSES = 4, (9, 10, 3), 5
IMAGES = RNG.uniform(10, 200, size=(N, *SHAPE)).astype(np.float32)
TARGETS = np.array([4, 0, 2, 2])
WEIGHTS = RNG.normal(size=(270, CLASSES))
EXACT = (IMAGES.reshape(N, -1) * WEIGHTS.T[TARGETS]).reshape(IMAGES.shape).astype(np.float64)


def linear(images):
    return np.asarray(images, np.float64).reshape(len(images), -1) @ WEIGHTS


def curved(images):
    return np.sin(linear(images) / 3000) * 7


def made(predict, images=IMAGES):
    return Subject(images, TARGETS[: len(images)], lambda x: (predict(x), predict(x)), image_seeds(images, 1))


def explained(values):
    return Explained(values.astype(np.float32), values.sum(-1).astype(np.float32), lambda *_: values)


METRICS = {
    "sensitivity_n": lambda maps, *rest, **more: known_mean(sensitivity_n(maps, *rest, **more), 1),
    "faithfulness_correlation": faithfulness_correlation,
    "mu_fidelity": lambda *rest, **more: mu_fidelity(*rest, grid=4, **more),
    "single_deletion": single_deletion,
}
BENCHMARKS = {
    "sensitivity_n": SensitivityN(),
    "faithfulness_correlation": FaithfulnessCorrelation(),
    "mu_fidelity": MuFidelity(grid=4),
    "single_deletion": IDSDS(),
}


# ------------------------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("per", ["pixel", "value"])
def test_sensitivity_n_of_exact_attributions_of_a_linear_model_is_1_at_every_n(per):
    maps = EXACT if per == "value" else EXACT.sum(-1)
    curve = sensitivity_n(maps, IMAGES, linear, TARGETS, per=per)
    sizes = subset_sizes(270 if per == "value" else 90)
    assert curve.shape == (N, len(sizes)) and sizes[0] == 1
    np.testing.assert_allclose(curve, 1, atol=1e-6)
    np.testing.assert_allclose(sensitivity_n(-5 * maps, IMAGES, linear, TARGETS, per=per), -1, atol=1e-6)


def test_with_another_baseline_the_exact_attributions_are_those_of_that_baseline():
    fill = (50.0, 20.0, 90.0)
    shifted = ((IMAGES - np.float32(fill)).reshape(N, -1) * WEIGHTS.T[TARGETS]).reshape(IMAGES.shape).sum(-1)
    np.testing.assert_allclose(sensitivity_n(shifted, IMAGES, linear, TARGETS, fill=fill), 1, atol=1e-6)
    assert sensitivity_n(EXACT.sum(-1), IMAGES, linear, TARGETS, fill=fill).max() < 0.999


@pytest.mark.parametrize("name", METRICS)
def test_exact_attributions_of_a_linear_model_have_1_everywhere(name):
    np.testing.assert_allclose(METRICS[name](EXACT.sum(-1), IMAGES, linear, TARGETS), 1, atol=1e-6)
    np.testing.assert_allclose(METRICS[name](-EXACT.sum(-1), IMAGES, linear, TARGETS), -1, atol=1e-6)


def test_infidelity_of_exact_attributions_is_0_and_of_zeros_the_mean_square():
    maps, scale = EXACT.sum(-1), (linear(IMAGES) ** 2).max()
    for scaled in (True, False):
        assert infidelity(maps, IMAGES, linear, TARGETS, scaled=scaled).max() < 1e-9 * scale
        slopes = WEIGHTS.T[TARGETS].reshape(IMAGES.shape)
        noise = infidelity(slopes, IMAGES, linear, TARGETS, perturbation="noise", samples=9, scaled=scaled)
        assert noise.max() < 1e-9 * scale
    assert infidelity(-7 * maps, IMAGES, linear, TARGETS).max() < 1e-9 * scale  # scaled: units and sign do not matter
    assert infidelity(-7 * maps, IMAGES, linear, TARGETS, scaled=False).min() > 1e-3 * scale / 1e3
    zeros = np.zeros(maps.shape)
    np.testing.assert_allclose(infidelity(zeros, IMAGES, linear, TARGETS, relative=True), 1)
    assert (infidelity(RNG.normal(size=maps.shape), IMAGES, linear, TARGETS, relative=True) < 1).all()


def test_sizes_are_log_spaced_from_one_feature_to_80_percent():
    assert subset_sizes(50176) == [1, 2, 10, 39, 157, 627, 2509, 10035, 40141]
    assert subset_sizes(2) == [1, 2]
    assert subset_sizes(1000, ratio=10) == [1, 8, 80, 800]
    for features, ratio in ((100, 1.0), (1, 4.0)):
        with pytest.raises(AttribevalError):
            subset_sizes(features, ratio)


# ------------------------------------------------------------------------------- definitions, written again slowly


def test_sensitivity_n_and_faithfulness_correlation_as_loops():
    seeds, maps = image_seeds(IMAGES, 4), RNG.normal(size=IMAGES.shape[:3])
    sizes = [2, 18]
    curve = sensitivity_n(maps, IMAGES, curved, TARGETS, sizes=sizes, subsets=6, fill="mean", seeds=seeds)
    point = faithfulness_correlation(maps, IMAGES, curved, TARGETS, subsets=6, fill="mean", seeds=seeds)
    ranks = faithfulness_correlation(
        maps, IMAGES, curved, TARGETS, subsets=6, fill="mean", seeds=seeds, correlation="spearman"
    )
    for i in range(N):
        for k, size in enumerate(sizes):
            sums, drops = [], []
            for draw in range(6):
                (chosen,) = list(subsets(seeds, draw, 90, np.array([size])))[i]
                changed = IMAGES[i].reshape(90, 3).copy()
                changed[chosen] = IMAGES[i].reshape(90, 3).mean(0)
                sums.append(sum(maps[i].ravel()[j] for j in chosen))
                after = curved(changed.reshape(1, *SHAPE))[0, TARGETS[i]]
                drops.append(curved(IMAGES[i : i + 1])[0, TARGETS[i]] - after)
            assert curve[i, k] == pytest.approx(stats.pearsonr(sums, drops)[0], abs=1e-5)
        assert point[i] == pytest.approx(curve[i, 1])  # a fifth of 90 pixels
        assert ranks[i] == pytest.approx(stats.spearmanr(sums, drops)[0])


def test_what_quantus_computes_is_not_1_for_a_linear_model():
    """Its procedure: steps down the ranking, removal adds up, attributions do not, r over images at each step."""
    maps = EXACT / np.abs(EXACT).reshape(N, -1).max(1)[:, None, None, None]
    sums, drops = np.zeros((N, 27)), np.zeros((N, 27))
    for i in range(N):
        order, x = np.argsort(-maps[i].ravel()), IMAGES[i].copy().reshape(-1)
        for step in range(27):
            chosen = order[step * 10 : step * 10 + 10]
            x[chosen] = 0
            sums[i, step] = maps[i].ravel()[chosen].sum()
            drops[i, step] = linear(IMAGES[i : i + 1])[0, TARGETS[i]] - linear(x.reshape(1, *SHAPE))[0, TARGETS[i]]
    r = [stats.pearsonr(sums[:, step], drops[:, step])[0] for step in range(int(0.8 * 27))]
    assert np.mean(r) < 0.9


def test_mu_fidelity_as_loops():
    maps, seeds = RNG.normal(size=IMAGES.shape[:3]), image_seeds(IMAGES, 2)
    asked = []

    def recorded(images):
        asked.extend(images.copy())
        return curved(images)

    clean = curved(IMAGES)[np.arange(N), TARGETS]
    rho = mu_fidelity(
        maps, IMAGES, recorded, TARGETS, grid=3, share=0.4, subsets=7, fill=-9.0, seeds=seeds, clean=clean
    )
    r = mu_fidelity(maps, IMAGES, curved, TARGETS, grid=3, share=0.4, subsets=7, fill=-9.0, seeds=seeds,
                    correlation="pearson")  # fmt: skip
    cells = grid_cells(SHAPE[:2], 3)
    assert len(asked) == N * 7
    for i in range(N):
        sums, drops = [], []
        for image in asked[i * 7 : i * 7 + 7]:
            hidden = (image == -9).all(-1)
            whole = [hidden[cells == cell].all() for cell in range(9)]
            assert hidden.sum() == sum((cells == cell).sum() for cell in range(9) if whole[cell])
            assert sum(whole) == round(0.4 * 9)
            np.testing.assert_array_equal(image[~hidden], IMAGES[i][~hidden])
            sums.append(maps[i][hidden].sum())
            drops.append(clean[i] - curved(image[None])[0, TARGETS[i]])
        assert rho[i] == pytest.approx(stats.spearmanr(sums, drops)[0])
        assert r[i] == pytest.approx(stats.pearsonr(sums, drops)[0])


def test_single_deletion_as_loops():
    maps = RNG.normal(size=IMAGES.shape[:3])
    rho = single_deletion(maps, IMAGES, curved, TARGETS, grid=3, fill="mean")
    for i in range(N):
        sums, drops = [], []
        for rows in (slice(0, 3), slice(3, 6), slice(6, 9)):
            for columns in (slice(0, 4), slice(4, 7), slice(7, 10)):  # floor(column · 3 / 10)
                changed = IMAGES[i].copy()
                changed[rows, columns] = IMAGES[i].mean((0, 1))
                sums.append(maps[i][rows, columns].sum())
                drops.append(curved(IMAGES[i : i + 1])[0, TARGETS[i]] - curved(changed[None])[0, TARGETS[i]])
        assert rho[i] == pytest.approx(stats.spearmanr(sums, drops)[0])


@pytest.mark.parametrize("perturbation", ["square", "noise"])
@pytest.mark.parametrize("scaled", [True, False])
def test_infidelity_as_loops(perturbation, scaled):
    """Over the perturbed images that the model was really asked about."""
    maps = RNG.normal(size=IMAGES.shape[:3] if perturbation == "square" else IMAGES.shape)
    asked, clean = [], curved(IMAGES)[np.arange(N), TARGETS]

    def recorded(images):
        asked.extend(images.copy())
        return curved(images)

    options = {"perturbation": perturbation, "scaled": scaled, "samples": 8, "fill": -9.0}
    values = infidelity(maps, IMAGES, recorded, TARGETS, clean=clean, **options)
    relative = infidelity(maps, IMAGES, curved, TARGETS, clean=clean, relative=True, **options)
    sides = set()
    for i in range(N):
        products, drops = [], []
        for image in asked[i * 8 : i * 8 + 8]:
            if perturbation == "square":
                gone = (image == -9).all(-1)
                rows, columns = np.nonzero(gone)
                side = np.ptp(rows) + 1
                assert side == np.ptp(columns) + 1 and gone.sum() == side**2 and side <= 3  # 10 / 28 of 9
                sides.add(side)
                products.append(maps[i][gone].sum())
            else:
                assert image.min() >= -9 and image.max() <= IMAGES[i].max()
                products.append(((IMAGES[i].astype(np.float64) - image) * maps[i]).sum())
            drops.append(clean[i] - curved(image[None])[0, TARGETS[i]])
        products, drops = np.array(products), np.array(drops)
        factor = (drops * products).mean() / (products * products).mean() if scaled else 1
        error = np.mean((drops - factor * products) ** 2)
        assert values[i] == pytest.approx(error, rel=1e-5)
        assert relative[i] == pytest.approx(error / np.mean(drops**2), rel=1e-5)
    assert perturbation == "noise" or len(sides) > 1


def test_squares_are_drawn_as_from_the_list_of_all_squares():
    image, seen = IMAGES[:1, :6, :6], {}

    def recorded(images):
        for one in images:
            rows, columns = np.nonzero((one == -9).all(-1))
            key = rows[0], columns[0], np.ptp(rows) + 1
            seen[key] = seen.get(key, 0) + 1
        return linear(np.zeros((len(images), *SHAPE)))

    infidelity(np.zeros((1, 6, 6)), image, recorded, TARGETS[:1], samples=2000, fill=-9.0, clean=np.zeros(1))
    assert len(seen) == 36 + 25  # sides 1 and 2, which is 10 / 28 of 6
    assert stats.chisquare(list(seen.values())).pvalue > 1e-3


# --------------------------------------------------------------------------- benchmarks, and what is asked of the model


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmark_gives_what_the_function_gives_and_asks_in_prepare_alone(name):
    subject, benchmark = made(curved), BENCHMARKS[name]
    prepared = benchmark.prepare(subject)
    passes = subject.passes
    values = RNG.normal(size=IMAGES.shape)
    got = benchmark.score(subject, prepared, explained(values))
    assert subject.passes == passes
    shared = int(benchmark.card.passes.split()[0]) if name != "sensitivity_n" else 16 * len(subset_sizes(90))
    assert passes == N * (1 + shared)
    rest = {"seeds": subject.seeds} if name != "single_deletion" else {}
    maps = explained(values).heat
    np.testing.assert_allclose(got, METRICS[name](maps, IMAGES, curved, TARGETS, **rest), atol=1e-6)


@pytest.mark.parametrize("perturbation", ["square", "noise"])
def test_infidelity_benchmark_gives_what_the_function_gives(perturbation):
    subject, benchmark = made(curved), Infidelity(perturbation=perturbation, samples=7)
    prepared, values = benchmark.prepare(subject), RNG.normal(size=IMAGES.shape)
    assert subject.passes == N * 8
    maps = explained(values).heat if perturbation == "square" else values
    got = benchmark.score(subject, prepared, explained(values))
    want = infidelity(maps, IMAGES, curved, TARGETS, perturbation=perturbation, samples=7, seeds=subject.seeds)
    np.testing.assert_allclose(got, want, rtol=1e-4)
    assert subject.passes == N * 8


def test_sensitivity_n_and_faithfulness_correlation_see_the_same_subsets():
    subject = made(curved)
    sensitivity, correlation = SensitivityN(subsets=6), FaithfulnessCorrelation(subsets=6)
    sizes = sensitivity.prepare(subject)
    passes = subject.passes
    same = correlation.prepare(subject)
    drops = shared_drops(subject, sizes, 6, "black", "pixel")
    assert subject.passes == passes
    np.testing.assert_allclose(same, drops[:, :, sizes.index(18)])
    FaithfulnessCorrelation(subsets=9).prepare(subject)
    assert subject.passes == passes + 3 * N


def test_per_value_needs_a_value_for_every_channel():
    subject, benchmark = made(linear), SensitivityN(per="value", subsets=5)
    prepared = benchmark.prepare(subject)
    np.testing.assert_allclose(benchmark.score(subject, prepared, explained(EXACT)), 1, atol=1e-4)
    with pytest.raises(AttribevalError, match="per='pixel'"):
        benchmark.score(subject, prepared, explained(EXACT[..., :1]))
    with pytest.raises(AttribevalError, match="per='pixel'"):
        sensitivity_n(EXACT.sum(-1)[..., None], IMAGES, linear, TARGETS, per="value")


# ------------------------------------------------------------------------------------------------------ hostile maps


@pytest.mark.parametrize("name", METRICS)
def test_constant_map_constant_model_ties_nan_one_image_one_channel_float64(name):
    metric, random = METRICS[name], RNG.normal(size=IMAGES.shape[:3])
    even, targets = np.zeros((2, 8, 8, 1), np.float64), TARGETS[:2]  # cells of one size; one channel
    even += RNG.normal(size=even.shape)
    weights = RNG.normal(size=(64, CLASSES))

    def small(images):
        return images.reshape(len(images), -1) @ weights

    assert np.isnan(metric(np.full((2, 8, 8), 0.1), even, small, targets)).all()
    assert np.isnan(metric(random, IMAGES, lambda x: np.full((len(x), CLASSES), 0.1), TARGETS)).all()
    exact = (even.reshape(2, -1) * weights.T[targets]).reshape(2, 8, 8)
    np.testing.assert_allclose(metric(exact, even, small, targets), 1, atol=1e-5)
    ties = metric(np.round(random), IMAGES, curved, TARGETS)
    assert np.isfinite(ties).all() and (np.abs(ties) <= 1).all()
    np.testing.assert_array_equal(ties, metric(np.round(random), IMAGES, curved, TARGETS))  # the same seed
    alone = metric(random[2:3], IMAGES[2:3], curved, TARGETS[2:3])
    np.testing.assert_allclose(alone, metric(random, IMAGES, curved, TARGETS)[2:3], atol=1e-9)
    random[1, 3, 3] = np.nan
    with pytest.raises(AttribevalError, match="map 1"):
        metric(random, IMAGES, curved, TARGETS)
    with pytest.raises(AttribevalError, match="size"):
        metric(random[:, 1:], IMAGES, curved, TARGETS)
    with pytest.raises(AttribevalError, match="class index"):
        metric(exact, even, small, np.array([0.5, 1]))


def test_infidelity_with_a_constant_model_and_a_broken_map():
    maps = np.ones(IMAGES.shape[:3])

    def flat(images):
        return np.ones((len(images), CLASSES))

    np.testing.assert_allclose(infidelity(maps, IMAGES, flat, TARGETS), 0)
    assert np.isnan(infidelity(maps, IMAGES, flat, TARGETS, relative=True)).all()
    np.testing.assert_allclose(
        infidelity(maps[..., None], IMAGES, curved, TARGETS), infidelity(maps, IMAGES, curved, TARGETS)
    )
    maps[2, 0, 0] = np.inf
    with pytest.raises(AttribevalError, match="map 2"):
        infidelity(maps, IMAGES, flat, TARGETS)


def test_the_mean_over_sizes_leaves_undefined_sizes_out():
    curve = np.array([[1.0, np.nan, 0.5], [np.nan, np.nan, np.nan]])
    np.testing.assert_allclose(known_mean(curve, 1), [0.75, np.nan])


@pytest.mark.parametrize(
    "benchmark, bad",
    [
        (SensitivityN(), {"ratio": 1}),
        (SensitivityN(), {"ratio": "4"}),
        (SensitivityN(), {"subsets": 1}),
        (SensitivityN(), {"fill": "segment_mean"}),
        (SensitivityN(), {"per": "channel"}),
        (FaithfulnessCorrelation(), {"share": 1.0}),
        (FaithfulnessCorrelation(), {"correlation": "kendall"}),
        (MuFidelity(), {"grid": 1}),
        (MuFidelity(), {"share": float("nan")}),
        (Infidelity(), {"perturbation": "circle"}),
        (Infidelity(), {"sigma": 0}),
        (IDSDS(), {"grid": 1}),
    ],
)
def test_bad_options_are_refused_at_once(benchmark, bad):
    with pytest.raises(AttribevalError, match="Expected"):
        replace(benchmark, **bad)
