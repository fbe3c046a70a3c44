"""Real behaviour: two ImageNet-trained nets on 300 photographs. Skipped without the real data set."""

from __future__ import annotations

import numpy as np
import pytest

from attribeval import Attributer, Evaluator
from attribeval.datasets import imagenet
from attribeval.metrics.localisation.boxes import box_error, centred_box, whole_image_box

pytestmark = pytest.mark.real
NETS = {"mobilenet_075_imagenet": ("mobilenet", 0.753), "squeezenet_1_0_imagenet": ("squeezenet", 0.717)}


@pytest.fixture(scope="module", params=NETS)
def attributer(request, real_data):
    preprocess, request.module.accuracy = NETS[request.param]
    return Attributer(real_data / "models" / f"{request.param}.keras", preprocess=preprocess)


def test_wsol_finds_the_known_accuracy_and_gradcam_beats_random(attributer, real_data):
    evaluator = Evaluator(attributer, imagenet(real_data / "ILSVRC"))
    result = evaluator.wsol(["gradcam", "random"], metrics=["MaxBoxAcc"])
    assert result.settings["top1_accuracy"] == pytest.approx(accuracy, abs=0.01)  # noqa: F821 - set by the fixture
    rows = result.table[result.table["metric"] == "MaxBoxAcc"].set_index("method")
    assert rows.loc["gradcam", "low"] > rows.loc["random", "value"]
    # What the boxes alone give: error .503 and .363 of these 300.
    for name, box in [("whole image", whole_image_box), ("centred box", centred_box)]:
        assert rows.loc[name, "value"] == pytest.approx(1 - box_error(box((1, 1)), evaluator.dataset.boxes))


@pytest.mark.parametrize("method", ["gradient", "gradcam"])
def test_agreement_with_tf_keras_vis(attributer, real_data, method):
    images = imagenet(real_data / "ILSVRC")[:4]
    ours = attributer.explain(images, method).values
    theirs = attributer.explain(images, method, backend="tf_keras_vis").values
    assert np.abs(ours - theirs).max() <= 1e-4 * np.ptp(ours)


@pytest.mark.parametrize("method", ["gradient", "gradcam", "random", "sobel"])
def test_batch_size_does_not_change_a_map(attributer, real_data, method):
    images = attributer.read(imagenet(real_data / "ILSVRC")[:65])
    maps = {size: attributer.explain(images, method, batch_size=size).values for size in (1, 7, 64)}
    for size in (7, 64):
        error = np.linalg.norm((maps[size] - maps[1]).reshape(65, -1), axis=1)
        error /= np.linalg.norm(maps[1].reshape(65, -1), axis=1)
        assert error.max() <= 1e-5, (size, error.max())
