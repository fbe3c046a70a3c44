"""Images, labels, boxes and masks. `digit_scenes` needs no download; `imagenet` reads the user's own copy."""

from attribeval.datasets.digit_scenes import digit_scenes
from attribeval.datasets.imagenet import imagenet
from attribeval.datasets.samples import Samples

__all__ = ["Samples", "digit_scenes", "imagenet"]
