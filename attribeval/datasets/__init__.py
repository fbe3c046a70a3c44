"""Images, labels, boxes and masks. `digit_scenes` needs no download; the others read the user's own files."""

from attribeval.datasets.birdsnap import birdsnap
from attribeval.datasets.box_table import box_table
from attribeval.datasets.cifar10 import cifar10
from attribeval.datasets.class_labels import read_class_index, to_classes
from attribeval.datasets.coco import coco
from attribeval.datasets.cub import cub
from attribeval.datasets.digit_pairs import DigitPairs, digit_pairs
from attribeval.datasets.digit_scenes import digit_scenes
from attribeval.datasets.folders import folder, folders
from attribeval.datasets.food101 import food101
from attribeval.datasets.imagenet import imagenet
from attribeval.datasets.official import official
from attribeval.datasets.samples import Samples
from attribeval.datasets.tfds import tfds
from attribeval.datasets.train_test import TrainTest, npz
from attribeval.datasets.wsol_layout import wsol_maps, wsol_metadata

__all__ = [
    "DigitPairs",
    "Samples",
    "TrainTest",
    "birdsnap",
    "box_table",
    "cifar10",
    "coco",
    "cub",
    "digit_pairs",
    "digit_scenes",
    "folder",
    "folders",
    "food101",
    "imagenet",
    "npz",
    "official",
    "read_class_index",
    "tfds",
    "to_classes",
    "wsol_maps",
    "wsol_metadata",
]


def __dir__() -> list[str]:
    return sorted(__all__)  # what a user completes
