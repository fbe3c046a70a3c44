"""A strip of maps: what is drawn is read back from the figure and compared with numbers worked out here."""

from __future__ import annotations

import numpy as np
import pytest

from attribeval import plots
from attribeval.attributions import Attributions
from attribeval.errors import AttribevalError

VALUES = np.random.default_rng(0).normal(size=(3, 12, 16, 2)).astype(np.float32)


def maps(values=VALUES) -> Attributions:
    return Attributions(
        values, np.array([1, 0, 2]), "m", class_names=["cat", "dog", "a name that is far too long for it"]
    )


@pytest.mark.parametrize("clip", [90, 100, None])
def test_it_draws_the_clipped_sums_of_each_map_in_a_row(clip):
    figure = plots.strip(None, maps(), clip=clip)
    assert len(figure.axes) == 3
    for ax, values in zip(figure.axes, VALUES, strict=True):
        heat = values[..., 0] + values[..., 1]
        limit = np.percentile(np.abs(heat), clip or 100)
        np.testing.assert_allclose(ax.images[1].get_array(), np.clip(heat, -limit, limit) / limit, atol=1e-6)
        assert ax.images[1].norm.vmin == -1  # signed
    said = [ax.texts[0].get_text() for ax in figure.axes]
    assert said[:2] == ["dog", "cat"] and said[2].startswith("a name that") and len(said[2]) == 24


def test_photographs_lie_beneath_and_only_the_first_are_drawn():
    photographs = np.random.default_rng(1).integers(0, 256, (3, 12, 16, 3), dtype=np.uint8)
    figure = plots.strip(photographs, maps(np.abs(VALUES)), max_images=2)
    assert len(figure.axes) == 2
    luma = (photographs / 255 @ [0.299, 0.587, 0.114])[1]
    np.testing.assert_allclose(figure.axes[1].images[0].get_array()[..., 0], 0.34 * luma, atol=1e-6)  # dimmed
    assert figure.axes[1].images[1].norm.vmin == 0


def test_bad_input_is_named():
    with pytest.raises(AttribevalError, match="Expected 3 images of the maps' size"):
        plots.strip(np.zeros((3, 8, 8, 3)), maps())
    with pytest.raises(AttribevalError, match="max_images to be an int of 1 or more"):
        plots.strip(None, maps(), max_images=0)
    broken = VALUES.copy()
    broken[2, 0, 0, 0] = np.nan
    with pytest.raises(AttribevalError, match="item 2"):
        plots.strip(None, maps(broken))
