"""BAM's metrics: section 4 of the article written again slowly, known answers, and the patch that is not noticed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from attribeval.benchmarks.bam.idr import depends, ties
from attribeval.benchmarks.bam.iir import changes, unchanged
from attribeval.benchmarks.bam.insignificant_patch import insignificant_patches
from attribeval.benchmarks.bam.mcs import contrast, correlation
from attribeval.benchmarks.bam.region import heat, random_masks, region_average
from attribeval.benchmarks.bam.spread import deviation_of_trials
from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier


@pytest.fixture(scope="module")
def maps() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(7, 12, 10, 3))


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    masks = np.random.default_rng(1).random((7, 12, 10)) < 0.3
    masks[:, 0, 0] = True
    return masks


def _slow_heat(map_: np.ndarray, mean_first: bool = False) -> np.ndarray:
    """One map: positive parts summed over channels, cut at the 99th percentile, to 0..1."""
    out = np.empty(map_.shape[:2])
    for y in range(map_.shape[0]):
        for x in range(map_.shape[1]):
            values = map_[y, x].tolist()
            out[y, x] = max(sum(values) / len(values), 0) if mean_first else sum(max(v, 0) for v in values)
    ordered = sorted(out.ravel().tolist())
    place = 0.99 * (len(ordered) - 1)
    top = ordered[int(place)] + (place - int(place)) * (
        ordered[min(int(place) + 1, len(ordered) - 1)] - ordered[int(place)]
    )
    low = ordered[0]
    return (np.minimum(out, top) - low) / (top - low)


@pytest.mark.parametrize("protocol", ["fixed", "reference", "paper"])
def test_heat_and_region_average_against_the_formulas(maps, masks, protocol):
    found = heat(maps, protocol)
    slow = np.stack([_slow_heat(one, mean_first=protocol == "paper") for one in maps])
    np.testing.assert_allclose(found, slow, atol=1e-12)
    assert found.min() == 0 and found.max() == 1
    slow_g = []
    for e, c in zip(slow, masks, strict=True):
        total = count = 0
        for y in range(12):
            for x in range(10):
                if c[y, x]:
                    total, count = total + e[y, x], count + 1
        slow_g.append(total / count)
    np.testing.assert_allclose(region_average(found, masks), slow_g, atol=1e-12)


def test_maps_that_point_nowhere_and_maps_of_single_pixels():
    flat, spot = np.ones((1, 20, 20, 3)), np.zeros((1, 20, 20, 1))
    spot[0, 3, 4] = 5.0
    negative = -np.abs(np.random.default_rng(0).normal(size=(1, 20, 20, 3)))
    assert (heat(flat) == 0).all() and (heat(negative) == 0).all()
    assert np.isnan(heat(flat, "reference")).all() and np.isnan(heat(negative, "paper")).all()
    assert heat(spot)[0, 3, 4] == 1 and heat(spot).sum() == 1  # below 1 % of the places: the maximum, not 0 / 0
    assert np.isnan(heat(spot, "reference")).any()


def test_an_attribution_that_is_the_mask_has_average_1_inside_and_0_outside(masks):
    e = heat(masks.astype(float))
    assert (region_average(e, masks) == 1).all() and (region_average(e, ~masks) == 0).all()


def test_metrics_against_the_formulas_of_section_4():
    rng = np.random.default_rng(3)
    a, b, correct = rng.random(50), rng.random(50), rng.random(50) < 0.7
    counted = [i for i in range(50) if correct[i]]
    mcs = sum(a[i] for i in counted) / len(counted) - sum(b[i] for i in counted) / len(counted)
    assert contrast(a, b, correct).mean() == pytest.approx(mcs)
    assert depends(a, b, correct).mean() == sum(1 for i in counted if a[i] < b[i]) / len(counted)
    for t in (0.1, 0.5):
        iir = sum(1 for i in counted if abs(a[i] - b[i]) / b[i] < t) / len(counted)
        assert unchanged(a, b, correct, t).mean() == iir == unchanged(a, b, correct, t, "reference").mean()
    alternative = sum(abs((a[i] - b[i]) / b[i]) for i in counted) / len(counted)
    assert changes(a, b, correct).mean() == pytest.approx(alternative)


def test_known_answers(maps, masks):
    g = region_average(heat(maps), masks)
    assert contrast(g, g).mean() == 0  # a model against itself
    assert unchanged(g, g).all() and (changes(g, g) == 0).all()  # a map that ignores its input
    assert not depends(g, g).any() and ties(g, g) == 1  # … and cannot be below itself
    constant = region_average(heat(np.ones_like(maps)), masks)
    assert contrast(constant, constant).mean() == 0 and unchanged(constant, constant).all()
    assert not unchanged(constant, constant, protocol="reference").any()  # 0 < .1 · 0 is false
    perfect, nothing = np.ones(7), np.zeros(7)
    assert contrast(perfect, nothing).mean() == 1  # f_o: the mask itself; f_s: its complement
    assert depends(nothing, perfect).all() and not unchanged(perfect, nothing).any()
    assert np.isinf(changes(perfect, nothing)).all()


def test_idr_of_random_maps_is_half():
    rng = np.random.default_rng(0)
    n = 1500
    mask = np.zeros((n, 16, 16), bool)
    mask[:, 4:10, 5:12] = True
    with_feature, without = (region_average(heat(rng.random((n, 16, 16, 3))), mask) for _ in range(2))
    rate = depends(with_feature, without).mean()
    assert abs(rate - 0.5) < 3.5 * 0.5 / np.sqrt(n)


def test_correlation_is_pearsons_and_the_spread_is_that_of_trials():
    rng = np.random.default_rng(0)
    scores, drops = rng.normal(size=10), rng.normal(size=10)
    assert correlation(scores, drops) == pytest.approx(np.corrcoef(scores, drops)[0, 1])
    assert np.isnan(correlation(np.ones(4), drops[:4]))
    values = (rng.random(20_000) < 0.3).astype(float)
    expected = np.sqrt(0.3 * 0.7 / 100)  # of 100 draws; ten trials know it to about a quarter
    assert np.mean([deviation_of_trials(values, seed=s) for s in range(40)]) == pytest.approx(expected, rel=0.12)
    assert np.mean([deviation_of_trials(values[:100], seed=s) for s in range(40)]) == pytest.approx(
        values[:100].std() / 10, rel=0.12
    )  # of few images too: they are drawn with replacement
    assert np.isnan(deviation_of_trials(values[:99]))


def test_random_regions_have_the_size_of_the_mask_and_depend_on_the_number_alone(masks):
    drawn = random_masks(masks, seed=5)
    assert np.array_equal(drawn.sum((1, 2)), masks.sum((1, 2))) and (drawn != masks).any((1, 2)).all()
    assert np.array_equal(random_masks(masks[[4, 2]], seed=5, numbers=[4, 2]), drawn[[4, 2]])


def test_bad_input_of_the_metrics(maps, masks):
    with pytest.raises(AttribevalError, match="protocol 'fixed'"):
        heat(maps, "article")
    broken = maps.copy()
    broken[3, 0, 0, 0] = np.nan
    with pytest.raises(AttribevalError, match="NaN or infinity for image 3"):
        heat(broken)
    with pytest.raises(AttribevalError, match="empty mask for image 1"):
        region_average(heat(maps), masks & (np.arange(7) != 1)[:, None, None])
    with pytest.raises(AttribevalError, match="masks of the same shape"):
        region_average(heat(maps), masks[:, :5])
    with pytest.raises(AttribevalError, match=r"classified correctly\. Received none"):
        contrast(np.ones(3), np.ones(3), np.zeros(3, bool))
    with pytest.raises(AttribevalError, match="average"):
        depends(np.ones(3), np.ones(4))
    with pytest.raises(AttribevalError, match="threshold above 0"):
        unchanged(np.ones(3), np.ones(3), threshold=0)
    with pytest.raises(AttribevalError, match="at least three k"):
        correlation(np.ones(2), np.ones(2))


# -- the patch ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scenes(small_model):
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 1, (5, 32, 32, 3)).astype(np.float32)
    masks = np.zeros((5, 32, 32), bool)
    masks[:, 8:20, 6:22] = True
    pasted = np.where(masks[..., None], np.float32(0.9), x)
    return Classifier(small_model), x, pasted, masks


def test_the_optimisation_really_optimises(scenes):
    classifier, x, pasted, masks = scenes
    found = insignificant_patches(classifier, x, pasted, masks, bounds=(0, 1), steps=150, radius=0.5)

    def logits(images):
        return classifier.forward(images)[0].numpy().astype(float)

    np.testing.assert_allclose(found.change, np.linalg.norm(logits(found.images) - logits(x), axis=1), atol=1e-4)
    np.testing.assert_allclose(found.before, np.linalg.norm(logits(pasted) - logits(x), axis=1), atol=1e-4)
    np.testing.assert_allclose(found.scale, np.linalg.norm(logits(x), axis=1), rtol=1e-4)
    assert (found.change < 0.05 * found.before).all()
    assert np.array_equal(found.images[~masks], x[~masks])
    assert found.images.min() >= -1e-6 and found.images.max() <= 1 + 1e-6
    start, delta = (pasted - x).reshape(5, -1), (found.images - x).reshape(5, -1)
    assert (np.linalg.norm(delta - start, axis=1) <= 0.5001 * np.linalg.norm(start, axis=1)).all()
    np.testing.assert_allclose(found.size, np.linalg.norm(delta, axis=1), rtol=1e-4)
    assert (found.size > 0.4 * np.linalg.norm(start, axis=1)).all()  # δ is still there


def test_more_steps_are_never_worse_and_images_do_not_depend_on_each_other(scenes):
    classifier, x, pasted, masks = scenes
    few, more = (
        insignificant_patches(
            classifier, x[:2], pasted[:2], masks[:2], bounds=(0, 1), steps=n, optimiser="descent", rate=0.5
        )
        for n in (3, 30)
    )
    assert (more.change <= few.change + 1e-6).all() and (few.change <= few.before + 1e-6).all()
    alone = insignificant_patches(classifier, x[1:2], pasted[1:2], masks[1:2], bounds=(0, 1), steps=20)
    together = insignificant_patches(classifier, x, pasted, masks, bounds=(0, 1), steps=20)
    np.testing.assert_allclose(alone.images[0], together.images[1], atol=1e-4)


def test_one_step_of_descent_by_hand():
    """A linear model: the gradient of ‖W δ‖ − η₁‖δ‖ is known."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    w = model.layers[-1].get_weights()[0].astype(float)
    x, pasted = np.zeros((1, 2, 2, 1), np.float32), np.full((1, 2, 2, 1), 0.5, np.float32)
    mask = np.ones((1, 2, 2), bool)
    found = insignificant_patches(
        Classifier(model), x, pasted, mask, bounds=(-9, 9), steps=1, rate=0.1, eta1=0.3, optimiser="descent", radius=9
    )
    delta = pasted.reshape(-1).astype(float)
    through = w.T @ delta
    slope = w @ through / np.linalg.norm(through) - 0.3 * delta / np.linalg.norm(delta)
    after = delta - 0.1 * slope
    best = min([delta, after], key=lambda d: np.linalg.norm(w.T @ d))
    np.testing.assert_allclose(found.images.reshape(-1), best, atol=1e-5)
    np.testing.assert_allclose(found.change[0], np.linalg.norm(w.T @ best), atol=1e-5)


def test_bad_input_of_the_patch(scenes):
    classifier, x, pasted, masks = scenes
    with pytest.raises(AttribevalError, match="region for the patch"):
        insignificant_patches(classifier, x, pasted, np.zeros_like(masks))
    with pytest.raises(AttribevalError, match="of the same images"):
        insignificant_patches(classifier, x, pasted[:2], masks)
    with pytest.raises(AttribevalError, match="without preprocessing"):
        insignificant_patches(Classifier(classifier.model, preprocess="tf"), x, pasted, masks)
    with pytest.raises(AttribevalError, match="'adam' or 'descent'"):
        insignificant_patches(classifier, x, pasted, masks, optimiser="sgd")


def test_a_patch_is_insignificant_below_a_tenth_of_the_logits():
    from attribeval.benchmarks.bam.insignificant_patch import Patches

    four = np.array([0.0, 0.9, 1.1, 5.0])
    found = Patches(np.zeros((4, 1, 1, 1)), change=four, before=four, scale=np.full(4, 10.0), size=four)
    assert found.insignificant.tolist() == [True, True, False, False]


# -- verdicts ----------------------------------------------------------------------------------------------------------


def verdicts(values: dict[str, dict[str, np.ndarray]]) -> list[str]:
    from attribeval.benchmarks.bam.sentences import _verdicts

    rows = [(name, metric) for metric, of in values.items() for name in of]
    arrays = {f"{name}/{metric}": one for metric, of in values.items() for name, one in of.items()}
    return _verdicts(pd.DataFrame(rows, columns=["method", "metric"]), arrays)


def test_verdicts_are_corrected_over_the_methods():
    """Of methods that guess, some intervals leave out 50 %: none of them is called wrong for that."""
    rng = np.random.default_rng(6)
    guesses = {f"g{i}": rng.random(40) < 0.5 for i in range(60)}
    below = [
        name for name, one in guesses.items() if one.mean() < 0.5 and stats.binomtest(int(one.sum()), 40).pvalue < 0.05
    ]
    assert len(below) >= 2  # one by one, there would be claims
    (said,) = verdicts({"IDR": guesses | {"backwards": np.arange(40) < 3}})
    assert said.startswith("Call the object more important than what it covers")
    assert said.endswith("p corrected for 61 methods): backwards.")


def test_models_are_told_apart_by_a_test_and_one_image_is_none():
    rng = np.random.default_rng(1)
    mcs = {"tells": rng.normal(0.3, 0.1, 30), "blind": rng.normal(0, 0.1, 30), "reversed": rng.normal(-0.3, 0.1, 30),
           "same": np.zeros(30)}  # fmt: skip
    alike, reverse = verdicts({"MCS": mcs})
    assert (
        alike
        == "Are not shown to tell f_o from f_s by the object (MCS against 0, p corrected for 4 methods): blind, same."
    )
    assert reverse.startswith("Attribute the object more for f_s") and reverse.endswith(": reversed.")
    assert verdicts({"MCS": {"one": np.array([0.4])}}) == ["Not tested, with fewer than 2 images: one."]
    # Two images cannot show it, however large it is.
    assert "not shown" in verdicts({"MCS": {"two": np.array([0.9, 0.8])}})[0]
