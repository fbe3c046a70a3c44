"""Random subsets, cells, correlations and asking: counts, uniformity, nesting, sharing, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attribeval.common.seeds import image_seeds
from attribeval.errors import AttribevalError
from attribeval.metrics.correlation import pearson, spearman
from attribeval.metrics.faithfulness.cells import cell_sums, grid_cells
from attribeval.metrics.faithfulness.scoring import clean_scores, scored, subject_of
from attribeval.metrics.faithfulness.subsets import shared_drops, subset_sums, subsets
from attribeval.metrics.subject import Subject

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(3, 6, 5, 2)).astype(np.float32)
WEIGHTS = RNG.normal(size=(60, 4))
TARGETS = np.array([1, 3, 0])


def predict(images):
    return np.tanh(images.reshape(len(images), -1) @ WEIGHTS * 0.3)


def subject():
    return Subject(IMAGES, TARGETS, lambda x: (predict(x), predict(x)), image_seeds(IMAGES, 5))


@pytest.mark.parametrize("per", ["pixel", "value"])
def test_sums_and_drops_are_those_of_the_same_random_subsets(per):
    seeds, sizes, draws = image_seeds(IMAGES, 1), [1, 4, 11, 24], 3
    maps = RNG.normal(size=IMAGES.shape if per == "value" else IMAGES.shape[:3])
    sums = subset_sums(maps, sizes, draws, seeds)
    drops = shared_drops(subject_of(IMAGES, predict, TARGETS, seeds, batch_size=5), sizes, draws, 0.7, per)
    features = 60 if per == "value" else 30
    for draw in range(draws):
        for i, chosen in enumerate(subsets(seeds, draw, features, np.array(sizes))):
            for k, size in enumerate(sizes):
                assert len(set(chosen[k])) == size and set(chosen[k]) <= set(chosen[-1])
                (alone,) = list(subsets(seeds, draw, features, np.array([size])))[i]
                assert set(alone) == set(chosen[k])  # whatever other sizes are asked for
                changed, total = IMAGES[i].copy(), 0.0
                for feature in chosen[k]:
                    total += maps[i].ravel()[feature]
                    if per == "value":
                        changed.reshape(-1)[feature] = 0.7
                    else:
                        changed[feature // 5, feature % 5] = 0.7
                drop = predict(IMAGES[i : i + 1])[0, TARGETS[i]] - predict(changed[None])[0, TARGETS[i]]
                assert sums[i, draw, k] == pytest.approx(total)
                assert drops[i, draw, k] == pytest.approx(drop)


def test_every_feature_is_as_likely_and_images_and_draws_differ():
    seeds = image_seeds(np.repeat(IMAGES[:1], 2, 0) + np.array([0, 1], np.float32)[:, None, None, None], 0)
    times = np.zeros((2, 30))
    for draw in range(600):
        for i, (chosen,) in enumerate(subsets(seeds, draw, 30, np.array([6]))):
            times[i, chosen] += 1
    assert stats.chisquare(times[0]).pvalue > 1e-3 and stats.chisquare(times[1]).pvalue > 1e-3
    assert np.abs(times[0] - times[1]).max() > 0
    drawn = [set(chosen) for draw in (0, 1) for (chosen,) in subsets(seeds, draw, 30, np.array([6]))]
    assert all(drawn[a] != drawn[b] for a in range(4) for b in range(a))


def test_an_image_has_the_same_numbers_alone_and_in_any_batch():
    seeds, together = image_seeds(IMAGES, 2), {}
    for size in (1, 7, 64):
        subject = subject_of(IMAGES, predict, TARGETS, seeds, batch_size=size)
        together[size] = shared_drops(subject, [2, 9], 4, "black", "pixel")
    alone = shared_drops(subject_of(IMAGES[1:2], predict, TARGETS[1:2], seeds[1:2]), [2, 9], 4, "black", "pixel")
    np.testing.assert_allclose(together[1], together[64], atol=1e-12)
    np.testing.assert_allclose(together[7], together[64], atol=1e-12)
    np.testing.assert_allclose(alone[0], together[64][1], atol=1e-12)


def test_shared_drops_ask_for_nothing_twice():
    one, two = subject(), subject()
    many = shared_drops(one, [1, 6, 24], 5, "black", "pixel")
    assert one.passes == 3 + 3 * 5 * 3
    more = shared_drops(one, [6], 8, "black", "pixel")
    assert one.passes == 3 + 3 * 5 * 3 + 3 * 3
    np.testing.assert_allclose(more[:, :5, 0], many[:, :, 1])
    first = shared_drops(two, [6], 8, "black", "pixel")  # the other way round
    then = shared_drops(two, [1, 6, 24], 5, "black", "pixel")
    assert two.passes == one.passes
    np.testing.assert_allclose(first, more)
    np.testing.assert_allclose(then, many)
    assert shared_drops(one, [6], 8, "mean", "pixel").shape == (3, 8, 1)  # another fill is another question
    assert one.passes == two.passes + 24


def test_correlations_are_scipys_and_constants_have_none():
    a, b = RNG.normal(size=(4, 9)), RNG.integers(0, 3, size=(4, 9)).astype(float)
    np.testing.assert_allclose(pearson(a, b), [stats.pearsonr(x, y)[0] for x, y in zip(a, b, strict=True)])
    np.testing.assert_allclose(spearman(a, b), [stats.spearmanr(x, y)[0] for x, y in zip(a, b, strict=True)])
    for correlation in (pearson, spearman):
        assert correlation(a[0], 2 * a[0] + 1) == pytest.approx(1)
        assert correlation(a[0], -a[0]) == pytest.approx(-1)
        assert np.isnan(correlation(a[0], np.full(9, 0.1)))
        assert np.isnan(correlation(np.zeros(9), a[0]))
        assert np.isnan(correlation(a[0], 0.1 + 1e-17 * np.arange(9)))  # constant but for rounding


def test_cells_are_a_partition_of_even_rectangles():
    cells = grid_cells((7, 10), 3)
    assert cells.shape == (7, 10) and sorted(np.unique(cells)) == list(range(9))
    for cell in range(9):
        rows, columns = np.nonzero(cells == cell)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == height * width and height in (2, 3) and width in (3, 4)
    maps = RNG.normal(size=(2, 7, 10))
    slow = [[maps[i][cells == cell].sum() for cell in range(9)] for i in range(2)]
    np.testing.assert_allclose(cell_sums(maps, cells), slow)
    with pytest.raises(AttribevalError, match="at most 7"):
        grid_cells((7, 10), 8)


def test_asking_keeps_batches_small_and_names_what_is_wrong():
    sizes = []

    def counted(images):
        sizes.append(len(images))
        return predict(images)

    subject = subject_of(IMAGES, counted, TARGETS, batch_size=2)
    scores = scored(subject, ((i, IMAGES[i]) for i in (2, 0, 0, 1, 2)))
    np.testing.assert_allclose(scores[:, 0], [predict(IMAGES[i : i + 1])[0, TARGETS[i]] for i in (2, 0, 0, 1, 2)])
    assert sizes == [2, 2, 1]

    def broken(images):
        return np.where((images == IMAGES[1]).all((1, 2, 3))[:, None], np.nan, predict(images))

    with pytest.raises(AttribevalError, match="for image 1, or a modified copy"):
        scored(subject_of(IMAGES, broken, TARGETS), enumerate(IMAGES))
    with pytest.raises(AttribevalError, match="classes"):
        scored(subject_of(IMAGES, lambda x: x, TARGETS), enumerate(IMAGES))
    with pytest.raises(AttribevalError, match="targets below 4"):
        clean_scores(subject_of(IMAGES, predict, TARGETS + 1))
    with pytest.raises(AttribevalError, match="clean scores"):
        subject_of(IMAGES, predict, TARGETS, clean=np.zeros(2))
    for sizes in ([0, 3], [3, 3], [2, 99], [], [1.5]):
        with pytest.raises(AttribevalError, match="subsets"):
            subset_sums(IMAGES[..., 0], sizes, 2, image_seeds(IMAGES, 0))
