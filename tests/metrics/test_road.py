"""ROAD: the imputation against a dense solver, the scores against the definition written again."""

from __future__ import annotations

import numpy as np
import pytest

from attribeval.errors import AttribevalError
from attribeval.metrics.faithfulness.imputation import gather, impute, spread
from attribeval.metrics.faithfulness.road import Road, RoadLerf, RoadMorf, road
from attribeval.metrics.faithfulness.road_curves import _noise, imputed, road_curves
from attribeval.metrics.subject import Explained, Subject

RNG = np.random.default_rng(5)
IMAGES = RNG.uniform(0, 255, (2, 9, 8, 3)).astype(np.float32)
MAPS = RNG.normal(size=(2, 9, 8))
TARGETS = np.array([1, 2])
SEEDS = RNG.integers(-(2**31), 2**31, (2, 2), dtype=np.int32)
WEIGHTS = RNG.normal(size=(9 * 8 * 3, 4))


def logits(images):
    return np.tanh(images.reshape(len(images), -1) / 255 @ WEIGHTS / 3)


def softmax(images):
    powers = np.exp(logits(images))
    return powers / powers.sum(1, keepdims=True)


def dense(image, removed):
    """Rong et al. 2022 as described: one equation per removed pixel, solved by np.linalg.solve."""
    height, width, channels = image.shape
    places = [tuple(place) for place in np.argwhere(removed)]
    index = {place: i for i, place in enumerate(places)}
    matrix, right = np.zeros((len(places), len(places))), np.zeros((len(places), channels))
    for i, (y, x) in enumerate(places):
        weights = {}
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                if (dy, dx) != (0, 0) and 0 <= y + dy < height and 0 <= x + dx < width:
                    weights[y + dy, x + dx] = 1 / 6 if 0 in (dy, dx) else 1 / 12
        matrix[i, i] = sum(weights.values())
        for place, weight in weights.items():
            if place in index:
                matrix[i, index[place]] -= weight
            else:
                right[i] += weight * image[place]
    out = image.astype(np.float64)
    out[removed] = np.linalg.solve(matrix, right)
    return out


def masks(height, width):
    for share in (0.1, 0.5, 0.9):
        yield RNG.random((height, width)) < share
    blob = np.ones((height, width), bool)
    blob[-1, -1] = False
    yield blob  # one pixel is known
    hole = np.zeros((height, width), bool)
    hole[: max(1, height - 2), : max(1, width - 2)] = True
    hole[-1, -1] = False
    yield hole
    stripes = np.zeros((height, width), bool)
    stripes[::2] = True
    stripes[-1, -1] = False
    yield stripes


@pytest.mark.parametrize("size", [(1, 5), (2, 2), (7, 9), (13, 10), (16, 16), (3, 31)])
@pytest.mark.parametrize("channels", [1, 3])
def test_imputation_against_a_dense_solver(size, channels):
    image = RNG.uniform(-20, 235, (*size, channels)).astype(np.float32)
    for removed in masks(*size):
        removed[0, -1] = removed[0, -1] and not removed.all()
        found = impute(image, removed)
        assert np.abs(found - dense(image, removed)).max() < 1e-4 * 255
        np.testing.assert_array_equal(found[~removed], image[~removed])
        assert found.dtype == np.float32


def test_imputation_of_a_labyrinth_and_of_wide_holes():
    # Coarse grids see the corridors of a labyrinth as one: the solver needs more iterations and is as exact.
    labyrinth = np.ones((25, 25), bool)
    labyrinth[2::4, :-2] = labyrinth[4::4, 2:] = False
    image = RNG.uniform(size=(25, 25, 2)).astype(np.float32)
    assert np.abs(impute(image, labyrinth) - dense(image, labyrinth)).max() < 1e-4
    hole = np.ones((40, 33), bool)
    hole[0], hole[-1, 5] = False, False
    image = RNG.uniform(size=(40, 33, 1)).astype(np.float32)
    assert np.abs(impute(image, hole) - dense(image, hole)).max() < 1e-4


def test_a_start_changes_nothing_but_the_time():
    removed = RNG.random((12, 11)) < 0.7
    image = RNG.uniform(0, 255, (12, 11, 3)).astype(np.float32)
    found = impute(image, removed, RNG.uniform(-1000, 1000, image.shape))
    assert np.abs(found - dense(image, removed)).max() < 1e-4 * 255
    changed = image.copy()
    changed[removed] = 77  # what removed pixels held does not matter
    assert np.abs(impute(changed, removed) - found).max() < 2e-4 * 255


def test_a_slope_is_continued_exactly():
    y, x = np.mgrid[:15, :12]
    image = (3.0 * y - 2.0 * x)[..., None].astype(np.float64)
    removed = np.zeros((15, 12), bool)
    removed[2:13, 3:10] = True
    np.testing.assert_allclose(impute(image, removed), image, atol=1e-4 * np.ptp(image))


def test_simple_cases_of_imputation():
    image = RNG.uniform(size=(5, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(impute(image, np.zeros((5, 5), bool)), image)
    flat = np.full((5, 5, 3), 7, np.float32)
    np.testing.assert_allclose(impute(flat, RNG.random((5, 5)) < 0.5), 7)
    one = np.zeros((5, 5), bool)
    one[2, 2] = True
    direct = image[[1, 3, 2, 2], [2, 2, 1, 3]].sum(0) / 6
    diagonal = image[[1, 1, 3, 3], [1, 3, 1, 3]].sum(0) / 12
    np.testing.assert_allclose(impute(image, one)[2, 2], direct + diagonal, atol=1e-4)
    corner = np.zeros((5, 5), bool)
    corner[0, 0] = True
    wanted = (2 * image[0, 1] + 2 * image[1, 0] + image[1, 1]) / 5  # border-adjusted
    np.testing.assert_allclose(impute(image, corner)[0, 0], wanted, atol=1e-4)
    with pytest.raises(AttribevalError, match="at least one that is known"):
        impute(image, np.ones((5, 5), bool))


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (1, 4), (9, 1)])
def test_the_grids_interpolation_and_its_transpose(size):
    half = tuple(-(-side // 2) for side in size)
    fine = RNG.normal(size=(2, *size)).astype(np.float32)
    coarse = RNG.normal(size=(2, *half)).astype(np.float32)
    up = np.zeros_like(fine)
    spread(coarse, np.ones(size, np.float32), up)
    down = gather(fine)
    assert np.vdot(up, fine) == pytest.approx(np.vdot(coarse, down), rel=1e-4, abs=1e-4)
    constant = np.zeros_like(fine)
    spread(np.ones_like(coarse), np.ones(size, np.float32), constant)
    np.testing.assert_allclose(constant, 1, rtol=1e-6)


def slow_curves(percentages, predict, noise):
    out = np.empty((2, 2, len(percentages)))
    for i in range(2):
        field = _noise(IMAGES[i], SEEDS[i : i + 1], noise)
        for which, sign in enumerate((-1, 1)):
            order = np.argsort(sign * MAPS[i].ravel())
            for p, percentage in enumerate(percentages):
                removed = np.zeros(72, bool)
                removed[order[: int(percentage * 72)]] = True
                removed = removed.reshape(9, 8)
                image = dense(IMAGES[i], removed) + removed[..., None] * field
                out[i, which, p] = predict(image[None])[0, TARGETS[i]]
    return out


def test_road_against_the_definition_written_again():
    percentages = (0.1, 0.5, 0.9)
    slow = slow_curves(percentages, softmax, 0.01)
    for batch_size in (2, 64):
        found = road_curves(MAPS, IMAGES, softmax, TARGETS, SEEDS, percentages=percentages, batch_size=batch_size)
        np.testing.assert_allclose(found, slow, atol=1e-4)
    found = road(MAPS, IMAGES.astype(np.float64), softmax, TARGETS, SEEDS, percentages=percentages)
    np.testing.assert_allclose(found, (slow[:, 1] - slow[:, 0]).mean(1), atol=1e-4)
    assert found.dtype == np.float64
    reverse = road(-MAPS, IMAGES, softmax, TARGETS, SEEDS, percentages=percentages)
    np.testing.assert_allclose(found, -reverse, atol=1e-4)


def test_the_noise_is_the_images_own_and_has_the_size_that_is_asked():
    image = np.full((80, 90, 3), 100, np.float32)
    image[0, 0] = 0
    field = _noise(image, SEEDS[:1], 0.01)
    assert field.std() == pytest.approx(1.0, rel=0.03) and abs(field.mean()) < 0.05
    np.testing.assert_array_equal(field, _noise(image, SEEDS[:1], 0.01))
    order = RNG.permutation(7200).reshape(80, 90)
    first, second = imputed(order, image, [100, 5000], field)
    clean, _ = imputed(order, image, [100, 5000], 0 * field)
    np.testing.assert_allclose(first - clean, (order < 100)[..., None] * field, atol=1e-4)
    np.testing.assert_array_equal(second[order >= 5000], image[order >= 5000])


def test_a_random_order_has_no_preference():
    seeds = np.random.default_rng(2).integers(-(2**31), 2**31, (200, 2), dtype=np.int32)
    images = np.repeat(IMAGES[:1], 200, axis=0)
    found = road(np.zeros((200, 9, 8)), images, softmax, np.full(200, 1), seeds, percentages=(0.3,), noise=0.0)
    assert abs(found.mean()) < 4 * found.std() / np.sqrt(200)


def test_a_percentage_that_takes_no_pixel_leaves_the_clean_image():
    found = road_curves(MAPS, IMAGES, softmax, TARGETS, SEEDS, percentages=(0.01, 0.5))
    clean = softmax(IMAGES)[[0, 1], TARGETS]
    np.testing.assert_allclose(found[:, :, 0], clean[:, None].repeat(2, 1))
    np.testing.assert_allclose(road(MAPS, IMAGES, softmax, TARGETS, SEEDS, percentages=(0.01,)), 0)


def test_benchmarks_share_their_passes():
    def answer(images):
        return logits(images), softmax(images)

    subject = Subject(IMAGES, TARGETS, answer, SEEDS)
    heat = MAPS.astype(np.float32)
    explained = Explained(heat[..., None], heat, explain=None)
    both, morf, lerf, logit = (
        one.score(subject, one.prepare(subject), explained)
        for one in (Road(), RoadMorf(), RoadLerf(), Road(output="logit"))
    )
    assert subject.passes == 2 * (1 + 14)
    np.testing.assert_allclose(both, lerf - morf, atol=1e-12)
    np.testing.assert_allclose(both, road(heat, IMAGES, softmax, TARGETS, SEEDS), atol=1e-9)
    np.testing.assert_allclose(logit, road(heat, IMAGES, logits, TARGETS, SEEDS), atol=1e-9)


def test_bad_input_is_named():
    maps = MAPS.copy()
    maps[1, 0, 0] = np.nan
    with pytest.raises(AttribevalError, match="map 1"):
        road(maps, IMAGES, softmax, TARGETS, SEEDS)
    for bad in ((), (0.5, 0.2), (0.0, 0.5), (0.5, 1.0), "half", 0.5):
        with pytest.raises(AttribevalError, match="percentages"):
            Road(percentages=bad)
    with pytest.raises(AttribevalError, match="noise"):
        Road(noise=-1)
