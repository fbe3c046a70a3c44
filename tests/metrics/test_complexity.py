"""Sparseness, entropy and effective complexity: closed forms and the published definitions written again slowly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attribeval.errors import AttribevalError
from attribeval.metrics.complexity.effective_complexity import EffectiveComplexity, effective_complexity
from attribeval.metrics.complexity.entropy import Entropy, entropy
from attribeval.metrics.complexity.sparseness import Sparseness, sparseness
from attribeval.metrics.subject import Explained, Subject

METRICS = [sparseness, entropy, effective_complexity]


def maps(n=4, size=(5, 6), seed=0):
    return np.random.default_rng(seed).normal(size=(n, *size)) ** 3


def one_hot(value=-3.0):
    heat = np.zeros((1, 5, 6))
    heat[0, 2, 3] = value
    return heat


def test_closed_forms():
    constant = np.full((1, 5, 6), -2.5)
    assert sparseness(constant)[0] == pytest.approx(0, abs=1e-15)
    assert sparseness(one_hot())[0] == pytest.approx(29 / 30, abs=1e-15)
    assert entropy(constant)[0] == pytest.approx(math.log(30), abs=1e-14)
    assert entropy(one_hot())[0] == 0
    assert effective_complexity(constant)[0] == 30
    assert effective_complexity(one_hot())[0] == 1
    half = np.zeros((1, 4, 4))
    half[0, :2] = 7  # k of n pixels alike: Gini 1 − k/n, entropy ln k
    assert sparseness(half)[0] == pytest.approx(0.5)
    assert entropy(half)[0] == pytest.approx(math.log(8))


def test_slow_rewrites():
    for heat, gini, nats, count in zip(
        maps(), sparseness(maps()), entropy(maps()), effective_complexity(maps(), 0.1), strict=True
    ):
        values = sorted(abs(v) for v in heat.ravel())
        n, total = len(values), sum(values)
        # Chalasani's form: 1 − 2 Σ v₍ₖ₎ / ‖v‖₁ · (d − k + ½) / d.
        assert gini == pytest.approx(1 - 2 * sum(v / total * (n - k + 0.5) / n for k, v in enumerate(values, 1)))
        # The mean absolute difference of all pairs over twice the mean, the economists' definition.
        pairs = sum(abs(a - b) for a in values for b in values)
        assert gini == pytest.approx(pairs / (2 * n * total))
        assert nats == pytest.approx(-sum(v / total * math.log(v / total) for v in values))
        assert count == sum(v > 0.1 * values[-1] for v in values)


def test_quantus_numbers_are_ours_where_the_definitions_agree():
    from scipy.stats import entropy as scipy_entropy

    heat = np.abs(maps(1))
    normal = np.sort(heat.ravel() / heat.max()) + 1e-7
    n = normal.size
    quantus = np.sum((2 * np.arange(1, n + 1) - n - 1) * normal) / (n * normal.sum())
    assert sparseness(heat)[0] == pytest.approx(quantus, abs=1e-5)
    assert entropy(heat)[0] == pytest.approx(scipy_entropy(heat.ravel() / heat.sum()))
    assert effective_complexity(heat, 1e-5)[0] == (heat / heat.max() > 1e-5).sum()


@pytest.mark.parametrize("metric", METRICS)
def test_scale_sign_and_places_do_not_matter(metric):
    heat = maps()
    shuffled = np.random.default_rng(1).permuted(heat.reshape(4, -1), axis=1).reshape(heat.shape)
    for other in (-heat, heat * 1e-300, heat * 1e300, shuffled):
        np.testing.assert_allclose(metric(other), metric(heat), rtol=1e-12)
    np.testing.assert_allclose(metric(heat.astype(np.float32)), metric(heat), rtol=1e-5)
    assert metric(heat).dtype == np.float64
    assert metric(heat[:1]) == metric(heat)[:1]


@pytest.mark.parametrize("metric", METRICS)
def test_zeros_are_nan_and_nan_is_an_error(metric):
    heat = maps()
    heat[1] = 0
    assert np.isnan(metric(heat)).tolist() == [False, True, False, False]
    heat[2, 0, 0] = np.nan
    with pytest.raises(AttribevalError, match="map 2"):
        metric(heat)
    with pytest.raises(AttribevalError, match=r"\(N, H, W\)"):
        metric(np.zeros((1, 2, 2, 3)))


def test_thresholds():
    heat = np.array([[[0, 0.5, 1.0, 2.0]]])
    assert [effective_complexity(heat, e)[0] for e in (0, 0.24, 0.25, 0.5, 0.99)] == [3, 3, 2, 1, 1]
    for wrong in (-0.1, 1, np.nan, True, "1"):
        with pytest.raises(AttribevalError, match="epsilon"):
            EffectiveComplexity(epsilon=wrong)


@pytest.mark.parametrize("cls, metric", [(Sparseness, sparseness), (Entropy, entropy)])
def test_benchmarks_score_what_ranks_the_pixels(cls, metric):
    values = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    explained = Explained(values, np.abs(values).sum(-1), explain=None)
    subject = Subject(values, np.zeros(2, int), answer=None, seeds=np.zeros((2, 2), np.int32))
    benchmark = cls()
    scores = benchmark.score(subject, benchmark.prepare(subject), explained)
    np.testing.assert_array_equal(scores, metric(explained.heat))
    assert not np.allclose(scores, metric(explained.attribution))
    assert subject.passes == 0
