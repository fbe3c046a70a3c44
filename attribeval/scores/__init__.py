"""What to explain of models that are no classifiers: functions for `Attributer(model, score=...)`.

Each returns a function from the model's outputs to scores (batch, K). The columns are what `targets=` chooses from: one
per class, or one per reference (a mask, a box, an embedding) that was given; with a reference for each of N images,
`targets=range(N)` asks each image about its own.
"""

from attribeval.scores.detection import Detections, detection, most_certain
from attribeval.scores.drise import drise
from attribeval.scores.segmentation import segmentation
from attribeval.scores.similarity import similarity

__all__ = ["Detections", "detection", "drise", "most_certain", "segmentation", "similarity"]
