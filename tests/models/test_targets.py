"""Targets in every form that says which class is meant; class names in every form that gives them."""

from __future__ import annotations

import numpy as np
import pytest

from attribeval import AttribevalError
from attribeval.models.targets import read_targets

NAMES = ["cat", "dog", "grey wolf", "wolf"]


@pytest.mark.parametrize(
    "targets",
    [
        [2, 0, 1],
        np.array([2, 0, 1], np.uint8),
        [[2], [0], [1]],
        ["grey wolf", "cat", "dog"],
        np.array(["grey wolf", "cat", "dog"]),
        np.array(["grey wolf", 0, "dog"], object),
        [[b"grey wolf"], [b"cat"], [b"dog"]],
        np.eye(4)[[2, 0, 1]],
        np.eye(4, dtype=bool)[[2, 0, 1]],
        np.eye(4, dtype=int)[[2, 0, 1]].tolist(),
    ],
)
def test_every_form_says_the_same(targets):
    read = read_targets(targets, 3, 4, NAMES)
    assert read.dtype == np.int32
    np.testing.assert_array_equal(read, [2, 0, 1])


@pytest.mark.parametrize("target", [3, "wolf", np.int64(3), np.str_("wolf")])
def test_one_for_all(target):
    np.testing.assert_array_equal(read_targets(target, 2, 4, NAMES), [3, 3])


def test_a_column_of_one_class_is_indices_and_a_square_of_rows_is_one_hot():
    np.testing.assert_array_equal(read_targets([[0]], 1, 1), [0])
    np.testing.assert_array_equal(read_targets([[0.0, 1.0], [1.0, 0.0]], 2, 2), [1, 0])


def test_several_for_each_image():
    for several in ([[2, 0], [1, 3]], [["grey wolf", "cat"], ["dog", "wolf"]]):
        np.testing.assert_array_equal(read_targets(several, 2, 4, NAMES), [[2, 0], [1, 3]])
    np.testing.assert_array_equal(read_targets([[0, 1, 2], [2, 1, 0]], 2, 3), [[0, 1, 2], [2, 1, 0]])
    with pytest.raises(AttribevalError, match="one-hot rows or both classes"):
        read_targets([[0, 1], [0, 1]], 2, 2)
    with pytest.raises(AttribevalError, match="Received: 4 for image 1"):
        read_targets([[0, 1], [2, 4]], 2, 4)


@pytest.mark.parametrize(
    ("targets", "names", "message"),
    [
        (["cat", "dgo"], NAMES, "'dgo' for image 1. Nearest: dog"),
        (["cat", "zebra"], NAMES, "4 names begin: cat, dog"),
        (["cat", "dog"], None, "class names are not known.*'cat' for image 0.*--class-names FILE"),
        (["crane", "crane"], ["crane", "crane", "owl", "jay"], r"classes \[0, 1\] have"),
        ([0, 4], NAMES, "from 0 to 3. Received: 4 for image 1"),
        ([[0, 1, 0, 0], [0, 1, 1, 0]], NAMES, "single 1 per row.*image 1"),
        ([0.0, 1.0], NAMES, "Expected targets"),
        ([0, 1, 2], NAMES, "Expected targets"),
        ([[0, 1], [2]], NAMES, "different lengths"),
        (np.array([0, None], object), NAMES, "None for image 1"),
    ],
)
def test_what_says_nothing_is_refused_with_the_image(targets, names, message):
    with pytest.raises(AttribevalError, match=message):
        read_targets(targets, 2, 4, names)
