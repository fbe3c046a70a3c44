"""Images, labels, boxes and masks. `digit_scenes` needs no download; `imagenet` reads the user's own copy."""

from attribeval.datasets.digit_scenes import digit_scenes
from attribeval.datasets.folders import folders
from attribeval.datasets.imagenet import imagenet
from attribeval.datasets.samples import Samples
from attribeval.datasets.train_test import TrainTest, npz

__all__ = ["Samples", "TrainTest", "digit_scenes", "folders", "imagenet", "npz"]
