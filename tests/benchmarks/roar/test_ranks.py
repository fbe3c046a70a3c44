"""Rank levels: exact counts, ties, packing; every mask from the packed bytes against a plain sort per image."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from attribeval import AttribevalError
from attribeval.benchmarks.roar.ranks import (
    check_fractions,
    decode,
    levels,
    mask_rule,
    pack,
    packed_bytes,
    unpack,
    values_per_byte,
)
from attribeval.metrics.faithfulness.ranking import counts

FIVE = (0.1, 0.3, 0.5, 0.7, 0.9)
GRIDS = {m: tuple(np.linspace(0.05, 0.95, m).round(3).tolist()) if m > 1 else (0.4,) for m in range(1, 16)}


def seeds_for(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(2**31), 2**31, (n, 2)).astype(np.int32)


def test_the_reference_codes_counts_at_imagenets_size():
    assert counts(FIVE, 224 * 224 * 3).tolist() == [15052, 45158, 75264, 105369, 135475]


def test_counts_are_those_of_exact_arithmetic():
    assert int(0.29 * 100) == 28  # what binary rounding would do
    for n in (1, 7, 100, 3072, 150528):
        for hundredths in range(1, 101):
            assert counts([hundredths / 100], n)[0] == int(Fraction(hundredths, 100) * n)
    for n in range(1, 200):
        assert all(counts([k / n], n)[0] == k for k in range(1, n + 1))


@pytest.mark.parametrize("per", ["value", "pixel"])
@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 6, 10, 15])
def test_masks_of_every_fraction_and_mode_equal_a_plain_sort(m, per):
    fractions, shape = GRIDS[m], (6, 9, 11, 3)
    maps = np.random.default_rng(m).normal(size=shape).astype(np.float32)
    packed = pack(levels(maps, fractions, seeds_for(6), per), m)
    for index, fraction in enumerate(fractions):
        for mode in ("remove", "keep"):
            masks = decode(packed, mask_rule(m, index, mode).table(), 9 * 11 * (3 if per == "value" else 1))
            for mask, one in zip(masks, maps, strict=True):
                scores = one.ravel() if per == "value" else one.astype(np.float64).sum(-1).ravel()
                top = np.argsort(-scores)[: int(fraction * len(scores) + 1e-9)]
                expected = np.full(len(scores), mode == "keep")
                expected[top] = mode == "remove"
                np.testing.assert_array_equal(mask, expected)


def test_ties_are_cut_at_exact_k_by_noise_that_is_the_images_own():
    rng = np.random.default_rng(0)
    maps = np.stack(
        [np.zeros((16, 16, 3)), np.maximum(rng.normal(size=(16, 16, 3)), 0), rng.integers(0, 3, (16, 16, 3))]
    )
    seeds = seeds_for(3)
    found = levels(maps, FIVE, seeds)
    for index, k in enumerate(counts(FIVE, 768)):
        assert (found <= index).sum(1).tolist() == [k] * 3
        for one, level in zip(maps, found, strict=True):
            inside, outside = one.ravel()[level <= index], one.ravel()[level > index]
            assert inside.min() >= outside.max()
    for i in range(3):  # by itself, as in any batch
        np.testing.assert_array_equal(levels(maps[i : i + 1], FIVE, seeds[i : i + 1])[0], found[i])
    other = levels(maps, FIVE, seeds_for(3, seed=1))
    assert 0.1 < (other[0] != found[0]).mean() < 0.95 and (other[1] == found[1])[maps[1].ravel() > 0.6].all()
    # Where nothing is known, every value is as likely: the mean level of many images is the same everywhere.
    many = levels(np.zeros((4000, 4, 4, 1)), (0.25, 0.5), seeds_for(4000))
    assert np.abs(many.mean(0) - 1.25).max() < 5 * many.std() / np.sqrt(4000)


def test_signs_count_and_pixels_are_ranked_by_their_signed_sum():
    maps = np.array([[[[5.0, -9.0], [1.0, 1.0]], [[-1.0, 0.5], [0.0, 0.25]]]])  # sums −4, 2, −.5, .25
    assert levels(maps, (0.25, 0.5, 0.75), seeds_for(1), per="pixel").tolist() == [[3, 0, 2, 1]]
    unique = np.array([[[[5.0, -9.0], [1.0, 1.5]], [[-1.0, 0.5], [0.0, 0.25]]]])
    assert levels(unique, (0.25, 0.5), seeds_for(1)).tolist() == [[0, 2, 1, 0, 2, 1, 2, 2]]


def test_whole_and_empty_top_sets():
    maps = np.random.default_rng(0).normal(size=(2, 2, 2, 1))
    assert levels(maps, (0.1, 1.0), seeds_for(2)).tolist() == [[1] * 4] * 2  # 0.4 of a value is none; 1 is all


@pytest.mark.parametrize("m", range(1, 16))
def test_packing_loses_nothing_and_takes_four_bits_at_most(m):
    rng = np.random.default_rng(m)
    for values in (1, 2, 23, 24, 1000):
        found = rng.integers(0, m + 1, (5, values), np.uint8)
        packed = pack(found, m)
        assert packed.shape == (5, packed_bytes(m, values)) and packed.dtype == np.uint8
        np.testing.assert_array_equal(unpack(packed, m, values), found)
    assert 8 / values_per_byte(m) <= 4
    assert (m + 1) ** values_per_byte(m) <= 256 < (m + 1) ** (values_per_byte(m) + 1)


def test_a_twelfth_of_the_references_bytes():
    assert packed_bytes(5, 224 * 224 * 3) == 50176
    assert 12 * packed_bytes(5, 224 * 224 * 3) == 602112  # float32 maps


def test_levels_do_not_depend_on_the_maps_type():
    maps = np.random.default_rng(0).integers(-9, 9, (3, 5, 5, 3))
    wanted = levels(maps, FIVE, seeds_for(3))
    for dtype in (np.int8, np.float16, np.float32, np.float64):
        np.testing.assert_array_equal(levels(maps.astype(dtype), FIVE, seeds_for(3)), wanted)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_map_that_is_not_finite_is_named(value):
    maps = np.zeros((4, 3, 3, 3), np.float32)
    maps[2, 1, 1, 0] = value
    for per in ("value", "pixel"):
        with pytest.raises(AttribevalError, match=r"NaN or infinity in the map of item 2 \(1 of 4"):
            levels(maps, FIVE, seeds_for(4), per)


@pytest.mark.parametrize(
    "fractions, words",
    [
        ([0, 0.5], "unmodified model is in every grid"),
        ([0.5, 1.2], "between 0 and 1.*1.2 as number 1"),
        ([30, 60], "such as 0.3 for 30 %"),
        ([-0.1], "between 0 and 1"),
        ([float("nan")], "between 0 and 1"),
        ([0.5, 0.3], "increase.*0.3 after 0.5"),
        ([0.5, 0.5], "increase"),
        ([], "1 to 15 fractions. Received 0"),
        (np.linspace(0.01, 1, 16), "1 to 15 fractions. Received 16"),
        (["a"], "as numbers"),
        (0.5, "as numbers"),
    ],
)
def test_fractions_that_make_no_grid(fractions, words):
    with pytest.raises(AttribevalError, match=words):
        check_fractions(fractions)


def test_other_bad_input():
    maps = np.zeros((2, 3, 3, 1))
    with pytest.raises(AttribevalError, match="Did you mean 'pixel'"):
        levels(maps, FIVE, seeds_for(2), per="pixels")
    with pytest.raises(AttribevalError, match="seed per map"):
        levels(maps, FIVE, seeds_for(3))
    with pytest.raises(AttribevalError, match=r"\(N, H, W, C\)"):
        levels(maps[0], FIVE, seeds_for(3))
    with pytest.raises(AttribevalError, match=r"0 to 4\. Received: 5"):
        mask_rule(5, 5, "remove")
    with pytest.raises(AttribevalError, match="Unknown mode"):
        mask_rule(5, 0, "drop")
    with pytest.raises(AttribevalError, match="levels from 0 to 2"):
        pack(np.full((1, 4), 3, np.uint8), 2)
