"""Random logit and repeatability: closed forms, and the similarities written again slowly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from attribeval.common.seeds import uniform
from attribeval.errors import AttribevalError
from attribeval.metrics.class_sensitivity.random_logit import RandomLogit, other_classes, random_logit
from attribeval.metrics.class_sensitivity.repeatability import Repeatability, repeatability
from attribeval.metrics.class_sensitivity.similarity import SIMILARITIES, similarity
from attribeval.metrics.subject import Explained, Subject

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(4, 12, 12, 2)).astype(np.float32)  # a linear model's, by class
CALLS = []


def class_blind(images, targets, seeds):
    return np.abs(images)


def gradient(images, targets, seeds):
    CALLS.append((len(images), np.asarray(targets).tolist()))
    return WEIGHTS[targets]


def noise(images, targets, seeds):
    return uniform(seeds, images.shape[1:])


def subject(n=5):
    images = np.random.default_rng(1).normal(size=(n, 12, 12, 2)).astype(np.float32)
    seeds = np.arange(2 * n, dtype=np.int32).reshape(n, 2)
    answer = lambda x: (np.tensordot(x, WEIGHTS, ([1, 2, 3], [1, 2, 3])),) * 2  # noqa: E731
    return Subject(images, np.arange(n) % 4, answer, seeds)


def explained(explain, of):
    values = explain(of.images, of.targets, of.seeds)
    return Explained(values, np.abs(values).sum(-1), explain)


def run(benchmark, explain, of=None):
    of = of or subject()
    return benchmark.score(of, benchmark.prepare(of), explained(explain, of))


def test_similarities_written_again_slowly():
    a, b = np.round(RNG.normal(size=(2, 3, 4, 5, 2)), 1)  # with ties
    for x, y, rank, cosine in zip(a, b, similarity(a, b), similarity(a, b, "cosine"), strict=True):
        assert rank == pytest.approx(spearmanr(x.ravel(), y.ravel()).statistic)
        assert cosine == pytest.approx(x.ravel() @ y.ravel() / np.sqrt((x**2).sum() * (y**2).sum()))


def test_ssim_written_again_slowly():
    a, b = RNG.normal(size=(2, 1, 12, 13))
    x, y = ((v[0] - v.min()) / np.ptp(v) for v in (a, b))
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(taps, taps) / taps.sum() ** 2
    scores = []
    for i in range(5, 7):  # windows that lie inside the map
        for j in range(5, 8):
            p, q = x[i - 5 : i + 6, j - 5 : j + 6], y[i - 5 : i + 6, j - 5 : j + 6]
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * p**2).sum() - mp**2, (window * q**2).sum() - mq**2
            cov = (window * p * q).sum() - mp * mq
            c1, c2 = 0.01**2, 0.03**2
            scores.append((2 * mp * mq + c1) * (2 * cov + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    assert similarity(a, b, "ssim")[0] == pytest.approx(np.mean(scores))
    with pytest.raises(AttribevalError, match="11 pixels a side"):
        similarity(a[:, :10], b[:, :10], "ssim")


@pytest.mark.parametrize("kind", SIMILARITIES)
def test_equal_maps_constants_and_scale(kind):
    a, b = RNG.normal(size=(2, 3, 12, 12, 1))
    np.testing.assert_allclose(similarity(a, a, kind), 1)
    np.testing.assert_allclose(similarity(1e200 * a, 1e-200 * b, kind), similarity(a, b, kind), rtol=1e-9)
    np.testing.assert_allclose(similarity(a.astype(np.float32), b, kind), similarity(a, b, kind), rtol=1e-4)
    assert similarity(a[:1], b[:1], kind) == pytest.approx(similarity(a, b, kind)[:1])
    a[1] = 0
    assert np.isnan(similarity(a, b, kind)).tolist() == [False, True, False]
    a[1] = 0.1  # constant: it has a direction, but no ranks and no picture
    assert np.isnan(similarity(a, b, kind))[1] == (kind != "cosine")
    b[2, 0, 0] = np.nan
    for metric in (random_logit, repeatability):
        with pytest.raises(AttribevalError, match="map 2"):
            metric(a, b)
        with pytest.raises(AttribevalError, match="two maps"):
            metric(a, b[:2])


def test_random_logit_is_one_for_a_class_blind_map_and_the_weights_similarity_for_a_linear_model():
    np.testing.assert_allclose(run(RandomLogit(), class_blind), 1)
    of = subject()
    CALLS.clear()
    scores = run(RandomLogit(images=3), gradient, of)
    others = RandomLogit(images=3).prepare(of)
    assert CALLS[1:] == [(3, others.tolist())]  # one call, after the clean maps
    for i in range(3):
        expected = spearmanr(WEIGHTS[of.targets[i]].ravel(), WEIGHTS[others[i]].ravel()).statistic
        assert scores[i] == pytest.approx(expected)
    assert np.isnan(scores[3:]).all() and len(scores) == 5
    assert of.passes == 5  # the clean images' logits alone


def test_two_classes_of_opposite_evidence():
    a = RNG.normal(size=(2, 4, 4))
    np.testing.assert_allclose(random_logit(a, -a), -1)


def test_other_classes_are_uniform_and_never_the_target():
    n = 6000
    seeds = RNG.integers(-(2**31), 2**31, (n, 2)).astype(np.int32)
    targets = np.full(n, 2)
    others = other_classes(targets, seeds, 4)
    counts = np.bincount(others, minlength=4)
    assert counts[2] == 0
    assert np.abs(counts[[0, 1, 3]] - n / 3).max() < 5 * np.sqrt(n * 2 / 9)
    np.testing.assert_array_equal(other_classes(targets[5:], seeds[5:], 4), others[5:])  # by image, not by place
    assert other_classes(np.array([0, 1]), seeds[:2], 2).tolist() == [1, 0]
    with pytest.raises(AttribevalError, match="2 classes"):
        other_classes(targets, seeds, 1)


def test_repeatability():
    np.testing.assert_allclose(run(Repeatability(), gradient), 1)
    scores = run(Repeatability(), noise)
    assert np.abs(scores).max() < 5 / np.sqrt(288)  # 12 · 12 · 2 independent values: σ = 1 / √287
    assert np.isnan(run(Repeatability(images=2), noise)).tolist() == [False, False, True, True, True]
    # Half of the variance in common: Spearman's ρ of a bivariate normal is 6/π · asin(r/2).
    common, one, two = RNG.normal(size=(3, 1, 200, 200))
    assert repeatability(common + one, common + two)[0] == pytest.approx(6 / np.pi * np.arcsin(0.25), abs=0.02)


def test_options_are_checked():
    for wrong in (lambda: RandomLogit(similarity="hog"), lambda: RandomLogit(images=0), lambda: Repeatability(2.5)):
        with pytest.raises(AttribevalError, match="Expected"):
            wrong()
