"""Deletion, insertion and region perturbation: by hand, against slow rewrites, and against all rankings there are."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from attribeval.errors import AttribevalError
from attribeval.metrics.faithfulness.deletion import Deletion, deletion
from attribeval.metrics.faithfulness.fills import filled
from attribeval.metrics.faithfulness.insertion import Insertion, insertion
from attribeval.metrics.faithfulness.pixel_flipping import Abpc, Lerf, Morf, aopc
from attribeval.metrics.faithfulness.ranking import ranks, region_ranks
from attribeval.metrics.faithfulness.removal import evenly, filled_scores, path_scores, removal_curve
from attribeval.metrics.faithfulness.scoring import clean_scores, explained_by, subject_of
from attribeval.metrics.subject import Subject

RNG = np.random.default_rng(3)
WEIGHTS = RNG.normal(size=(6 * 7 * 3, 4))
IMAGES = RNG.uniform(0, 255, (3, 6, 7, 3)).astype(np.float32)
MAPS = RNG.normal(size=(3, 6, 7))
TARGETS = np.array([2, 0, 3])
SEEDS = RNG.integers(-(2**31), 2**31, (3, 2), dtype=np.int32)


def logits(images):
    return np.tanh(images.reshape(len(images), -1) / 255 @ WEIGHTS / 3)


def softmax(images):
    powers = np.exp(logits(images))
    return powers / powers.sum(1, keepdims=True)


class Counting:
    """A predict that remembers what it was asked."""

    def __init__(self, predict):
        self.predict, self.asked = predict, []

    def __call__(self, images):
        self.asked.append(images.copy())
        return self.predict(images)

    @property
    def sizes(self):
        return [len(images) for images in self.asked]


def two_outputs(images, targets, seeds, log):
    def answer(batch):
        log.extend(image.tobytes() for image in batch)
        return logits(batch), softmax(batch)

    return Subject(images, targets, answer, seeds)


def linear(contributions):
    """A model whose output for class 0 is the sum of the pixels times the contributions."""
    return lambda images: (images.sum(-1) * contributions).sum((1, 2))[:, None]


# --- the order of pixels ---------------------------------------------------------------------------------------------


def test_ranks_say_how_many_values_are_greater():
    ranked = ranks(MAPS, SEEDS)
    for one, values in zip(ranked, MAPS, strict=True):
        np.testing.assert_array_equal(one, [[(values > v).sum() for v in row] for row in values])
    assert ranked.dtype == np.int32


def test_ties_are_broken_by_the_seed_and_any_order_has_the_same_chance():
    values = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 1.0]])
    n = 3000
    seeds = np.random.default_rng(0).integers(-(2**31), 2**31, (n, 2), dtype=np.int32)
    ranked = ranks(np.tile(values, (n, 1, 1)), seeds)
    assert (ranked[:, 1, 1] == 0).all()
    assert {tuple(sorted(r)) for r in ranked[:, [0, 1], [0, 2]].tolist()} == {(1, 2)}
    zeros = ranked[:, [0, 0, 1], [1, 2, 0]]
    orders, times = np.unique(zeros, axis=0, return_counts=True)
    assert len(orders) == 6 and abs(times / n - 1 / 6).max() < 0.03
    np.testing.assert_array_equal(ranked[7:8], ranks(values[None], seeds[7:8]))  # whatever else is in the batch


def test_a_constant_map_is_a_random_order():
    many = np.random.default_rng(1).integers(-(2**31), 2**31, (2000, 2), dtype=np.int32)
    ranked = ranks(np.zeros((2000, 3, 3)), many)
    assert (np.sort(ranked.reshape(2000, -1)) == np.arange(9)).all()
    assert abs(ranked.mean(0) - 4).max() < 0.3


def test_regions_are_ranked_by_their_sums():
    ranked = region_ranks(MAPS, 4, SEEDS)  # 6 × 7 pixels: 2 × 2 regions, the lower and right ones cut
    for one, values in zip(ranked, MAPS, strict=True):
        parts = [(slice(a, a + 4), slice(b, b + 4)) for a in (0, 4) for b in (0, 4)]
        order = sorted(parts, key=lambda part: -values[part].sum())
        for rank, part in enumerate(order):
            assert (one[part] == rank).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_that_is_not_finite_is_named(value):
    maps = MAPS.copy()
    maps[1, 2, 2] = value
    for metric in (deletion, insertion, aopc):
        with pytest.raises(AttribevalError, match="map 1"):
            metric(maps, IMAGES, softmax, TARGETS, SEEDS)


# --- fills -----------------------------------------------------------------------------------------------------------


def test_fills():
    np.testing.assert_allclose(filled(IMAGES, "mean", SEEDS)[1, 3, 3], IMAGES[1].mean((0, 1)), rtol=1e-5)
    assert (filled(IMAGES, "black", SEEDS) == 0).all()
    assert (filled(IMAGES, (1.0, 2.0, 3.0), SEEDS) == [1, 2, 3]).all()
    noise = filled(IMAGES, "noise", SEEDS)
    np.testing.assert_array_equal(noise[2:], filled(IMAGES[2:], "noise", SEEDS[2:]))
    big = np.zeros((1, 100, 100, 3), np.float32)
    big[0, 0, 0] = [-10, 5, 30]
    values = filled(big, "noise", SEEDS[:1])
    assert values.min() >= -10 and values.max() <= 30
    np.testing.assert_allclose([values.mean(), values.std()], [10, 40 / np.sqrt(12)], rtol=0.02)
    with pytest.raises(AttribevalError, match="fill"):
        filled(IMAGES, "segment_mean", SEEDS)


def test_blur_is_rises_kernel_over_a_mirrored_image():
    image = RNG.uniform(size=(1, 13, 12, 2)).astype(np.float32)
    # A Gaussian of σ 5 in the middle of 11 pixels, mirrored at the window's edges as far as it reaches (20 pixels).
    line = np.exp(-0.5 * (np.arange(-20, 21) / 5) ** 2)
    window = np.zeros(11)
    for offset, weight in zip(range(-20, 21), line / line.sum(), strict=True):
        place = (offset + 5) % 22
        window[place if place < 11 else 21 - place] += weight
    kernel = np.outer(window, window)
    mirrored = np.pad(image, ((0, 0), (5, 5), (5, 5), (0, 0)), mode="symmetric")
    slow = np.empty(image.shape)
    for y in range(13):
        for x in range(12):
            slow[0, y, x] = (kernel[..., None] * mirrored[0, y : y + 11, x : x + 11]).sum((0, 1))
    np.testing.assert_allclose(filled(image, "blur", SEEDS[:1]), slow, atol=1e-5)


# --- deletion and insertion ------------------------------------------------------------------------------------------


def test_deletion_and_insertion_of_a_linear_model_by_hand():
    image = np.ones((1, 2, 2, 1), np.float32)
    contributions = np.array([[3.0, 1.0], [4.0, 2.0]])
    given = contributions[None], image, linear(contributions), np.array([0]), SEEDS[:1]
    # removed: 10, 6, 3, 1, 0, in four steps; inserted: 0, 4, 7, 9, 10
    assert deletion(*given, steps=4, fill="black") == pytest.approx((10 / 2 + 6 + 3 + 1 + 0 / 2) / 4)
    assert insertion(*given, steps=4, fill="black") == pytest.approx((0 / 2 + 4 + 7 + 9 + 10 / 2) / 4)
    # the worst order: 10, 9, 7, 4, 0
    worst = deletion(-contributions[None], *given[1:], steps=4, fill="black")
    assert worst == pytest.approx((5 + 9 + 7 + 4) / 4)
    # two steps: 10, 3, 0
    assert deletion(*given, steps=2, fill="black") == pytest.approx((5 + 3) / 2)


def test_the_exact_ranking_is_the_best_of_all_rankings():
    contributions = np.array([[0.5, 3.0, 1.0], [2.0, 0.1, 4.0]])
    orders = np.array(list(permutations(range(6))), np.float64).reshape(-1, 2, 3)
    n = len(orders)
    given = np.ones((n, 2, 3, 1), np.float32), linear(contributions), np.zeros(n, int), np.zeros((n, 2), np.int32)
    deleted = deletion(orders, *given, steps=6, fill="black")
    inserted = insertion(orders, *given, steps=6, fill="black")
    exact = np.flatnonzero((orders == contributions.ravel().argsort().argsort().reshape(2, 3)).all((1, 2)))
    assert deleted.argmin() == exact and inserted.argmax() == exact
    assert (np.sort(deleted)[1] - deleted[exact]) > 1e-6 and (inserted[exact] - np.sort(inserted)[-2]) > 1e-6


def slow_curve(heat, start, end, predict, target, steps, order=None):
    """The definition, pixel by pixel, for one image with its own order."""
    height, width = heat.shape
    order = np.argsort(-heat.ravel()) if order is None else order
    image, out, done = start.astype(np.float64), [], 0
    for step in range(steps + 1):
        until = round(step * height * width / steps)
        for pixel in order[done:until]:
            image[pixel // width, pixel % width] = end[pixel // width, pixel % width]
        done = until
        out.append(predict(image[None].astype(np.float32))[0, target])
    return np.array(out)


@pytest.mark.parametrize("fill", ["mean", "blur", "noise", (123.0, 117.0, 104.0)])
def test_against_the_definition_written_again(fill):
    ends = filled(IMAGES, fill, SEEDS)
    counts = evenly(42, 5) / 42
    for metric, forward in ((deletion, True), (insertion, False)):
        slow = []
        for i in range(3):
            pair = (IMAGES[i], ends[i]) if forward else (ends[i], IMAGES[i])
            curve = slow_curve(MAPS[i], *pair, softmax, TARGETS[i], 5)
            slow.append(
                sum((b - a) * (f + g) / 2 for a, b, f, g in zip(counts, counts[1:], curve, curve[1:], strict=False))
            )
        for batch_size in (1, 4, 64):
            found = metric(MAPS, IMAGES, softmax, TARGETS, SEEDS, steps=5, fill=fill, batch_size=batch_size)
            np.testing.assert_allclose(found, slow, rtol=1e-6)
            assert found.dtype == np.float64


def test_whole_curves_and_not_their_areas_alone():
    # An area does not tell whether the two ends are swapped: both count half.
    end = filled(IMAGES, "blur", SEEDS)
    counts = evenly(42, 5)
    subject, explained = subject_of(IMAGES, softmax, TARGETS, SEEDS), explained_by(MAPS)
    removed = path_scores(subject, explained, counts, "blur")[..., 0]
    inserted = path_scores(subject, explained, counts, "blur", insert=True)[..., 0]
    for i in range(3):
        np.testing.assert_allclose(removed[i], slow_curve(MAPS[i], IMAGES[i], end[i], softmax, TARGETS[i], 5))
        np.testing.assert_allclose(inserted[i], slow_curve(MAPS[i], end[i], IMAGES[i], softmax, TARGETS[i], 5))


def test_ties_follow_the_seed_in_deletion():
    flat = np.zeros_like(MAPS)
    found = deletion(flat, IMAGES, softmax, TARGETS, SEEDS, steps=6)
    again = deletion(flat, IMAGES, softmax, TARGETS, SEEDS, steps=6, batch_size=5)
    np.testing.assert_allclose(found, again, rtol=1e-12)
    order = np.argsort(ranks(flat, SEEDS)[1].ravel())
    curve = slow_curve(flat[1], IMAGES[1], filled(IMAGES, "mean", SEEDS)[1], softmax, TARGETS[1], 6, order)
    assert found[1] == pytest.approx((curve.sum() - (curve[0] + curve[-1]) / 2) / 6)
    assert (found != deletion(flat, IMAGES, softmax, TARGETS, SEEDS[::-1].copy(), steps=6)).any()


def test_one_image_one_channel_and_float64():
    grey = IMAGES[:1, :, :, :1].astype(np.float64)

    def predict(images):
        return np.stack([images.mean((1, 2, 3)), images.max((1, 2, 3))], 1)

    before = grey.copy()
    found = deletion(MAPS[:1], grey, predict, TARGETS[1:2], SEEDS[:1], steps=3, fill="black")
    curve = slow_curve(MAPS[0], grey[0], 0 * grey[0], predict, 0, 3)
    assert found == pytest.approx((curve.sum() - (curve[0] + curve[-1]) / 2) / 3, rel=1e-6)
    np.testing.assert_array_equal(grey, before)


def test_rises_224_pixels_a_step():
    assert (np.diff(evenly(224 * 224, 224)) == 224).all()


def test_no_pass_is_wasted_and_batches_are_full():
    predict = Counting(softmax)
    deletion(MAPS, IMAGES, predict, TARGETS, SEEDS, steps=8, batch_size=4)
    assert sum(predict.sizes) == 3 * (1 + 1 + 7)  # clean, filled, between
    assert predict.sizes == [3, 3, 4, 4, 4, 4, 4, 1]
    asked = np.concatenate(predict.asked)
    assert len(np.unique(asked.reshape(len(asked), -1), axis=0)) == len(asked)
    predict = Counting(softmax)
    deletion(MAPS, IMAGES, predict, TARGETS, SEEDS, steps=100)  # more steps than pixels: no image twice
    assert sum(predict.sizes) == 3 * 43
    predict = Counting(softmax)
    aopc(MAPS, IMAGES, predict, TARGETS, SEEDS, order="abpc", region=2, steps=3, per_step=2)
    assert sum(predict.sizes) == 3 * (1 + 3 + 3)  # the fully removed image is on neither path


def test_the_engine_with_steps_that_change_nothing():
    ranked = np.array([[[0, 1], [2, 2]]])
    start, end = np.zeros((2, 2, 1)), np.array([[[1], [2]], [[4], [8]]])
    predict = Counting(linear(np.ones((2, 2))))
    subject = subject_of(start[None], predict, np.array([0]))
    known = np.array([[0.0, 0.0]]), np.array([[15.0, 15.0]])
    curve = removal_curve(subject, ranked, np.array([0, 0, 1, 1, 2, 3, 9]), lambda i: (start, end), known)
    assert (curve[..., 0] == curve[..., 1]).all() and curve[..., 0].tolist() == [[0, 0, 1, 1, 3, 15, 15]]
    assert predict.sizes == [2]


def test_bad_input_is_named():
    def ruined(images):
        out = softmax(images)
        out[(images == 0).all(-1).any((1, 2))] = np.nan
        return out

    with pytest.raises(AttribevalError, match="image 0"):
        deletion(MAPS, IMAGES, ruined, TARGETS, SEEDS, fill="black")
    with pytest.raises(AttribevalError, match=r"image 2"):
        deletion(MAPS, IMAGES, softmax, np.array([0, 1, 4]), SEEDS)
    with pytest.raises(AttribevalError, match="one map per image"):
        deletion(MAPS[:2], IMAGES, softmax, TARGETS, SEEDS)
    with pytest.raises(AttribevalError, match="predict"):
        deletion(MAPS, IMAGES, lambda images: images.sum((1, 2, 3)), TARGETS, SEEDS)
    with pytest.raises(AttribevalError, match="seed per map"):
        deletion(MAPS, IMAGES, softmax, TARGETS, SEEDS[:2])
    for bad in ({"steps": 0}, {"fill": "pink"}, {"output": "score"}):
        with pytest.raises(AttribevalError, match=next(iter(bad))):
            Deletion(**bad)


# --- region perturbation ---------------------------------------------------------------------------------------------


def test_aopc_of_a_linear_model_by_hand():
    image = np.ones((1, 2, 4, 1), np.float32)
    contributions = np.array([[1.0, 1.0, 4.0, 0.0], [1.0, 1.0, 0.0, 4.0]])  # regions of 2 × 2 hold 4 and 8
    given = contributions[None], image, linear(contributions), np.array([0]), SEEDS[:1]
    options = {"region": 2, "steps": 2, "per_step": 1, "fill": "black"}
    assert aopc(*given, order="morf", **options) == pytest.approx((0 + 8 + 12) / 3)
    assert aopc(*given, order="lerf", **options) == pytest.approx((0 + 4 + 12) / 3)
    assert aopc(*given, order="abpc", **options) == pytest.approx(4 / 3)
    # more steps than regions: the curve ends with the last region
    assert aopc(*given, order="morf", **(options | {"steps": 50})) == pytest.approx((0 + 8 + 12) / 3)


@pytest.mark.parametrize(("region", "per_step", "steps"), [(1, 1, 20), (2, 1, 5), (3, 2, 2), (2, 3, 40)])
def test_aopc_against_equation_12_written_again(region, per_step, steps):
    end = filled(IMAGES, "noise", SEEDS)
    found = {
        order: aopc(MAPS, IMAGES, logits, TARGETS, SEEDS, order=order, region=region, per_step=per_step, steps=steps)
        for order in ("morf", "lerf", "abpc")
    }
    for i in range(3):
        cells = [(a, b) for a in range(0, 6, region) for b in range(0, 7, region)]
        heat = {(a, b): MAPS[i, a : a + region, b : b + region].sum() for a, b in cells}
        for order, sign in (("morf", -1), ("lerf", 1)):
            waiting = sorted(cells, key=lambda cell, heat=heat, sign=sign: sign * heat[cell])
            image, drops = IMAGES[i].copy(), [0.0]
            clean = logits(image[None])[0, TARGETS[i]]
            for _ in range(steps):
                if not waiting:
                    break
                for a, b in waiting[:per_step]:
                    image[a : a + region, b : b + region] = end[i, a : a + region, b : b + region]
                waiting = waiting[per_step:]
                drops.append(clean - logits(image[None])[0, TARGETS[i]])
            assert found[order][i] == pytest.approx(np.mean(drops))
    np.testing.assert_allclose(found["abpc"], found["morf"] - found["lerf"])


def test_morf_and_lerf_are_each_others_mirror_image():
    given = IMAGES, softmax, TARGETS, SEEDS
    options = {"region": 2, "steps": 4, "per_step": 2}
    lerf = aopc(MAPS, *given, order="lerf", **options)
    np.testing.assert_allclose(lerf, aopc(-MAPS, *given, order="morf", **options), rtol=1e-12)
    both = aopc(MAPS, *given, order="abpc", **options), aopc(-MAPS, *given, order="abpc", **options)
    np.testing.assert_allclose(both[0], -both[1], rtol=1e-12)


# --- as benchmarks ---------------------------------------------------------------------------------------------------


def test_benchmarks_equal_the_functions_and_share_their_passes():
    log = []
    subject = two_outputs(IMAGES, TARGETS, SEEDS, log)
    explained = explained_by(MAPS.astype(np.float32))
    heat = explained.heat
    benchmarks = [Deletion(steps=4), Deletion(steps=4, output="logit"), Insertion(steps=4)]
    benchmarks += [cls(region=2, per_step=2, steps=2) for cls in (Morf, Lerf, Abpc)]
    found = [one.score(subject, one.prepare(subject), explained) for one in benchmarks]
    options = {"region": 2, "steps": 2, "per_step": 2}
    wanted = [
        deletion(heat, IMAGES, softmax, TARGETS, SEEDS, steps=4),
        deletion(heat, IMAGES, logits, TARGETS, SEEDS, steps=4),
        insertion(heat, IMAGES, softmax, TARGETS, SEEDS, steps=4),
        *(aopc(heat, IMAGES, softmax, TARGETS, SEEDS, order=o, **options) for o in ("morf", "lerf", "abpc")),
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    # clean 1, filled with the mean 1, blurred 1, deleted 3, inserted 3, two orders of two steps
    assert subject.passes == 3 * (1 + 1 + 1 + 3 + 3 + 2 * 2)
    assert len(set(log)) == len(log)
    before = subject.passes
    Deletion(steps=4).score(
        subject, None, explained_by(-MAPS.astype(np.float32))
    )  # another method: only what depends on its map
    assert subject.passes - before == 3 * 3


def test_ends_are_those_of_clean_and_filled_images():
    subject = two_outputs(IMAGES, TARGETS, SEEDS, [])
    for found, images in (
        (clean_scores(subject), IMAGES),
        (filled_scores(subject, "mean"), filled(IMAGES, "mean", SEEDS)),
    ):
        wanted = [answers(images)[np.arange(3), TARGETS] for answers in (logits, softmax)]
        np.testing.assert_allclose(found, np.stack(wanted, -1))
