"""F-Fidelity, a second model, and fine-tuning with random deletion."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attribeval.common.seeds import image_seeds
from attribeval.errors import AttribevalError
from attribeval.metrics.faithfulness.cells import grid_cells
from attribeval.metrics.faithfulness.f_fidelity import FFidelity, f_fidelity, removed_count
from attribeval.metrics.faithfulness.fine_tuning import RECIPES, fine_tune, patch_holes, pixel_holes
from attribeval.metrics.faithfulness.idsds import IDSDS, single_deletion
from attribeval.metrics.subject import Explained, Subject
from attribeval.training.recipe import Recipe

RNG = np.random.default_rng(8)
IMAGES = RNG.uniform(1, 9, size=(3, 10, 8, 2)).astype(np.float32)
TARGETS = np.array([0, 1, 0])
MAPS = RNG.normal(size=(3, 10, 8))
WEIGHTS = RNG.normal(size=(160, 2))


def predict(images):
    logits = np.asarray(images, np.float64).reshape(len(images), -1) @ WEIGHTS * 0.1
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


# ----------------------------------------------------------------------------------------------------- F-Fidelity


@pytest.mark.parametrize("score", ["accuracy", "probability"])
def test_f_fidelity_as_loops_over_what_was_removed(score):
    asked = []

    def recorded(images):
        asked.extend(images.copy())
        return predict(images)

    options = {"sizes": (0.1, 0.5), "samples": 4, "alpha": 0.5, "beta": 0.15, "fill": -9.0, "score": score}
    plus, minus = f_fidelity(MAPS, IMAGES, recorded, TARGETS, **options)

    def read(image, target):
        answer = predict(image[None])[0]
        return float(answer.argmax() == target) if score == "accuracy" else answer[target]

    removals = np.array(asked[3:]).reshape(3, 2, 2, 4, 10, 8, 2)
    sets = set()
    for i in range(3):
        clean, order = read(IMAGES[i], TARGETS[i]), np.argsort(-MAPS[i].ravel())
        lost = np.zeros((2, 2, 4))
        for side in range(2):
            for k, pixels in enumerate((8, 40)):
                allowed = set(order[:pixels] if side == 0 else order[pixels:])
                for sample in range(4):
                    image = removals[i, side, k, sample]
                    gone = set(np.flatnonzero((image == -9).all(-1)))
                    assert gone <= allowed
                    assert len(gone) == min(round(0.5 * len(allowed)), 12)  # 12 pixels are 15 % of 80
                    assert ((image == IMAGES[i]) | (image == -9)).all()
                    sets.add((i, side, k, tuple(sorted(gone))))
                    lost[side, k, sample] = clean - read(image, TARGETS[i])
        assert plus[i] == pytest.approx(lost[0].mean())
        assert minus[i] == pytest.approx(lost[1].mean())
    assert len(sets) == 48  # every removal is another


def test_known_answers_of_f_fidelity():
    """The class is kept as long as a half of the top-left block is there."""
    block = np.zeros((10, 8), bool)
    block[:2, :4] = True  # a tenth of the pixels

    def one(images):
        kept = images[:, block].min(-1) > 0
        return np.stack([kept.mean(1) > 0.6, kept.mean(1) <= 0.6], 1).astype(float)

    maps, targets = block[None].astype(float), np.array([0])
    plus, minus = f_fidelity(maps, IMAGES[:1], one, targets, sizes=(0.1,), alpha=0.5)
    assert (plus, minus) == ([1], [0])
    plus, minus = f_fidelity(1 - maps, IMAGES[:1], one, targets, sizes=(0.9,), alpha=0.5)
    assert (plus, minus) == ([0], [1])
    plus, minus = f_fidelity(maps, IMAGES[:1], one, targets, sizes=(0.1,), alpha=0.25)
    assert (plus, minus) == ([0], [0])  # a quarter of the block is too little


def test_ties_are_broken_by_the_seed_and_not_by_place():
    flat, seeds = np.zeros((1, 10, 8)), image_seeds(IMAGES[:1], 0)
    asked = []

    def recorded(images):
        asked.extend(images.copy())
        return predict(images)

    for seed in range(200):
        seeds = np.array([[seed, 1]], np.int32)
        f_fidelity(flat, IMAGES[:1], recorded, TARGETS[:1], sizes=(0.1,), samples=1, fill=-9.0, clean=np.ones(1),
                   seeds=seeds)  # fmt: skip
    gone = (np.array(asked)[::2] == -9).all(-1).sum(0)  # of important pixels
    assert stats.chisquare(gone.ravel()).pvalue > 1e-3
    again = [f_fidelity(flat, IMAGES[:1], predict, TARGETS[:1], score="probability", seeds=seeds) for _ in range(2)]
    np.testing.assert_array_equal(*again)


def test_what_f_fidelity_refuses_and_how_much_is_removed():
    assert removed_count(10, 100, 0.5, 0.1) == 5 and removed_count(60, 100, 0.5, 0.1) == 10
    with pytest.raises(AttribevalError, match="at least one pixel"):
        removed_count(1, 100, 0.1, 0.1)
    bad = MAPS.copy()
    bad[2, 0, 0] = np.nan
    with pytest.raises(AttribevalError, match="map 2"):
        f_fidelity(bad, IMAGES, predict, TARGETS)
    for options in ({"sizes": ()}, {"sizes": (1.0,)}, {"alpha": 0}, {"beta": 2}, {"samples": 0}, {"score_by": "loss"}):
        with pytest.raises(AttribevalError):
            FFidelity(**options)


def test_benchmark_is_the_difference_and_asks_for_modified_images_alone():
    subject = Subject(IMAGES, TARGETS, lambda x: (np.log(predict(x)), predict(x)), image_seeds(IMAGES, 3))
    benchmark = FFidelity(samples=2, score_by="probability")
    assert benchmark.prepare(subject) is None
    got = benchmark.score(subject, None, Explained(MAPS[..., None], MAPS, lambda *_: MAPS))
    assert subject.passes == 3 * 2 * 5 * 2
    plus, minus = f_fidelity(MAPS, IMAGES, predict, TARGETS, samples=2, score="probability", seeds=subject.seeds)
    np.testing.assert_allclose(got, plus - minus)


# ----------------------------------------------------------------------------------------------------- fine-tuning


def test_holes_are_one_patch_in_half_of_the_images_or_up_to_a_share_of_the_pixels():
    rng, cells = np.random.default_rng(0), grid_cells((8, 8), 4)
    holes = patch_holes(4000, cells, 0.5, rng)
    sizes = holes.sum((1, 2))
    assert set(sizes) == {0, 4} and abs((sizes > 0).mean() - 0.5) < 0.04
    which = np.array([cells[hole][0] for hole in holes if hole.any()])
    assert all(len(set(cells[hole])) == 1 for hole in holes if hole.any())
    assert stats.chisquare(np.bincount(which, minlength=16)).pvalue > 1e-3
    holes = pixel_holes((4000, 8, 8), 0.1, rng)
    counts = np.bincount(holes.sum((1, 2)), minlength=7)
    assert len(counts) == 7 and stats.chisquare(counts).pvalue > 1e-3  # 0 to 6 of 64
    assert stats.chisquare(holes.sum(0).ravel()).pvalue > 1e-3


@pytest.fixture(scope="module")
def trained():
    """A model that looks at the corner alone, although the class is written everywhere, and its data."""
    import keras

    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 512)
    images = (100 + 40 * (2 * labels - 1)[:, None, None, None] + rng.normal(0, 10, (512, 8, 8, 1))).astype(np.float32)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 50, offset=-2)(inputs)
    outputs = keras.layers.Dense(2, activation="softmax", name="head")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    kernel = np.zeros((64, 2), np.float32)
    kernel[[0, 1, 8, 9], 1] = 1.0
    model.get_layer("head").set_weights([kernel, np.zeros(2, np.float32)])
    return model, images, labels


@pytest.mark.parametrize("deletion", ["patch", "pixels"])
def test_fine_tuning_makes_holes_harmless_and_leaves_the_model_alone(trained, deletion):
    model, images, labels = trained
    weights = [w.copy() for w in model.get_weights()]
    recipe = Recipe(epochs=15, batch_size=64, optimizer="adam", learning_rate=0.02, schedule="constant")
    options = {"deletion": deletion, "recipe": recipe, "fill": "black"}
    tuned = fine_tune(model, images, labels, **options)
    again = fine_tune(model, images, labels, **options)
    other = fine_tune(model, images, labels, seed=1, **options)
    for before, after, one, two, three in zip(
        weights, model.get_weights(), tuned.get_weights(), again.get_weights(), other.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(before, after)
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
        assert np.abs(one - three).max() > 1e-5
    holes = images.copy()
    holes[:, :2, :2] = 0  # black says "class 0" to the untuned model

    def accuracy(net, x):
        return (net.predict(x, verbose=0).argmax(1) == labels).mean()

    assert accuracy(model, images) > 0.99 and accuracy(model, holes) < 0.6
    assert accuracy(tuned, images) > 0.99 and accuracy(tuned, holes) > 0.9


def test_fine_tuning_refuses_what_it_cannot_do(trained):
    model, images, labels = trained
    with pytest.raises(AttribevalError, match="Keras"):
        fine_tune(lambda x: x, images, labels)
    with pytest.raises(AttribevalError, match="class index"):
        fine_tune(model, images, labels[:-1])
    with pytest.raises(AttribevalError, match="deletion"):
        fine_tune(model, images, labels, deletion="rows")
    assert RECIPES["patch"].epochs == 30 and RECIPES["pixels"].learning_rate == 1e-4


def test_a_second_model_answers_for_idsds(trained, tmp_path):
    from attribeval.models.classifier import Classifier

    model, images, labels = trained
    images, targets = images[:3], labels[:3]
    classifier, maps = Classifier(model), RNG.normal(size=(3, 8, 8))

    def answer(x):
        logits, output = classifier.forward(classifier.prepare(x))
        return logits.numpy(), output.numpy()

    second = fine_tune(model, images, targets, recipe=Recipe(steps=3, batch_size=2))
    second.save(tmp_path / "second.keras")
    explained = Explained(maps[..., None], maps, lambda *_: maps)

    def logits(x):
        return Classifier(second).forward(x)[0].numpy()

    want = single_deletion(maps, images, logits, targets)
    for given in (second, tmp_path / "second.keras"):
        subject = Subject(images, targets, answer, image_seeds(images, 0), classifier=classifier)
        benchmark = IDSDS(model=given)
        prepared = benchmark.prepare(subject)
        passes = subject.passes
        np.testing.assert_allclose(benchmark.score(subject, prepared, explained), want, atol=1e-6)
        assert subject.passes == passes == 3 * (1 + 1 + 16)  # both models see the images themselves
    small = Subject(images, targets, lambda x: (np.zeros((len(x), 3)),) * 2, subject.seeds, classifier=classifier)
    with pytest.raises(AttribevalError, match="classes"):
        IDSDS(model=second).prepare(small)
