"""ACE: planted squares are found, superpixels and filters as worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from attribeval import concepts
from attribeval.attributer import Attributer
from attribeval.concepts.discovery.ace import is_frequent
from attribeval.concepts.discovery.pieces import slic_labels, superpixels
from attribeval.errors import AttribevalError

SIDE = 24


def _noise(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 0.4, (count, SIDE, SIDE, 3)).astype(np.float32)


def _squares(count: int, seed: int, channel: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a square of one colour, 10 pixels a side; and where it is, bool (N, S, S)."""
    images, rng = _noise(count, seed), np.random.default_rng(seed)
    where = np.zeros(images.shape[:3], bool)
    for mask, (y, x) in zip(where, rng.integers(0, SIDE - 10, (count, 2)), strict=True):
        mask[y : y + 10, x : x + 10] = True
    images[where] = 0
    images[where, channel] = 1
    return images, where


@pytest.fixture(scope="module")
def attributer():
    """Scores are sums of a ReLU of colour channels: red; blue; and nothing that depends on the image."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Conv2D(3, 1, use_bias=False, activation="relu", name="colours"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, use_bias=False),
        ]
    )
    model.layers[0].set_weights([np.eye(3, dtype=np.float32)[None, None]])
    model.layers[-1].set_weights([np.array([[1, -1, 0], [0, 0, 0], [0, 2, 0]], np.float32)])
    return Attributer(model, class_names=["red", "blue", "none"])


@pytest.fixture(scope="module")
def planted():
    return _squares(30, 0)


@pytest.fixture(scope="module")
def found(attributer, planted):
    options = {"segments": (6, 15), "clusters": 4, "most": 20, "random_sets": 20, "progress": False}
    return concepts.ace(attributer, planted[0], "red", _noise(30, 1), **options)


def test_planted_squares_are_the_first_concept(found, planted):
    where = planted[1]
    first = found.examples[0]
    inside = [
        where[item, y0:y1, x0:x1][mask].mean()
        for item, (x0, y0, x1, y1), mask in zip(first.items, first.boxes, first.masks, strict=True)
    ]
    assert np.mean(inside) > 0.9 > 3 * where.mean()  # what chance would be
    table = found.table()
    assert table["significant"][0] and table["tcav"][0] == 1 and table["accuracy"][0] > 0.95
    # The score is the mean of red: a red square has about 0.98 of it and noise 0.2, nearly all of it along the vector.
    assert table["images"][0] > 15 and table["gain"][0] == pytest.approx(0.78, abs=0.1)


def test_the_same_squares_speak_against_the_other_class_and_say_nothing_of_the_third(attributer, planted):
    options = {"segments": (6, 15), "clusters": 4, "most": 20, "random_sets": 20, "progress": False}
    against = concepts.ace(attributer, planted[0], "blue", _noise(30, 1), **options).table()
    assert against["tcav"].min() < 0.1 and against["gain"].min() < -0.7
    nothing = concepts.ace(attributer, planted[0], "none", _noise(30, 1), **options).table()
    assert (nothing["tcav"] == 0.5).all() and not nothing["significant"].any()


def test_clusters_are_of_the_nearest_centre_and_examples_of_the_nearest_first(found):
    assert len(found.clusters) == len(found.segments) == len(found.activations)
    for concept, pieces in enumerate(found.examples):
        members = found.activations[found.clusters == concept]
        assert len(members) == len(pieces) == found.columns["segments"][concept]
        assert len(set(pieces.items)) == found.columns["images"][concept]
        centre = members.mean(0)
        raw = pieces.cut(found.images).mean((1, 2))  # the layer passes colours on, so their means are its activations
        away = np.linalg.norm(raw - centre, axis=1)
        assert (np.diff(away) > -1e-5).all()


def test_superpixels_are_cut_out_and_duplicates_are_left_out(planted):
    images = planted[0][:2]
    pieces = superpixels(images, (4, 12))
    ground = images.mean((0, 1, 2))
    np.testing.assert_allclose(pieces.ground, ground, rtol=1e-5)
    wanted = []
    for item, image in enumerate(images):
        coarse, fine = (slic_labels(image, count) for count in (4, 12))
        masks = [coarse == k for k in range(coarse.max() + 1)]
        coarse_masks = list(masks)
        for k in range(fine.max() + 1):
            overlaps = [((fine == k) & m).sum() / ((fine == k) | m).sum() for m in coarse_masks]
            masks += [fine == k] if max(overlaps) <= 0.5 else []
        wanted += [(item, mask) for mask in masks]
    assert len(pieces) == len(wanted)
    for k, (item, mask) in enumerate(wanted):
        x0, y0, x1, y1 = pieces.boxes[k]
        assert pieces.items[k] == item and mask.sum() == pieces.masks[k].sum()
        assert np.array_equal(mask[y0:y1, x0:x1], pieces.masks[k])
    whole = pieces[[0]]
    shown = whole.cut(images)[0]
    assert shown.shape == images.shape[1:] and not np.allclose(shown, images[0])


def test_filters_of_the_article():
    assert is_frequent(segments=26, seen_in=26, images=50)  # of more than half of the images
    assert not is_frequent(segments=50, seen_in=25, images=50)
    assert is_frequent(segments=51, seen_in=13, images=50)  # of more than a quarter, and more than there are images
    assert not is_frequent(segments=100, seen_in=12, images=50)
    assert is_frequent(segments=101, seen_in=1, images=50)  # more than twice as many


def test_what_people_see_and_bad_input(attributer, found, planted):
    page = found._repr_html_()
    assert page.count("<img") == 1 and "tcav" in page and f"{len(found.segments)}, " in page
    assert repr(found).startswith(f"Ace({len(found)} concepts of 'red' in layer 'colours'")
    cases = (
        ({"clusters": 1}, "clusters to be an int of 2"),
        ({"most": 5}, "most to be an int of 6"),
        ({"clusters": 9999}, "as many superpixels as clusters"),
        ({"most": 200, "clusters": 2}, "at least 400 superpixels of other images"),
    )
    for options, words in cases:
        with pytest.raises(AttribevalError, match=words):
            concepts.ace(attributer, planted[0][:3], 0, _noise(3, 1), segments=(4,), progress=False, **options)
