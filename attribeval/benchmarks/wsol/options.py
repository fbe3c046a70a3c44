"""The arguments of WSOL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from os import PathLike
from typing import TYPE_CHECKING, Literal

from attribeval.common.arguments import check_types

if TYPE_CHECKING:
    from attribeval.methods.given import Given


@dataclass(frozen=True)
class WsolOptions:
    """What `Evaluator.wsol` is asked to do.

    Attributes:
        methods: Methods to score. Names, objects, functions and ready maps, all kinds mixed, in a list or in a mapping
            from labels: see `methods.given.methods_of`. Ready maps are of the whole data set, images without a box
            included; with geometry "cropped", which explains other images than the data set's, they are refused.
        metrics: Scores, by name. None: all that the data allow. ColourModel and SaliencyMetric cost more and must be
            named.
        iou: Overlap at which a box is right, in (0, 1].
        targets: Classes to explain. "label" explains the true class of each image (GT-known localisation), "predicted"
            the model's.
        protocol: Whose conventions. "fixed", or "reference": as the code of Choe et al. 2020 scores, see `evaluate`.
        geometry: Where maps meet the truth. "resized" (the image squashed to the model's size), "cropped" (short side
            resized, centre square) or "full" (maps resized to the image's own size), see `geometry.see`.
        require_truth: An image without a box, or with a mask of which no pixel of the object is seen, is an error.
            Otherwise it is left out and counted.
        tolerance: How far beside the object the pointing game's peak may lie, in pixels of the scored map.
        held_out: Folds (an int), or the share of images that choose thresholds (in (0, 1)). For the scores whose
            threshold is chosen on other images.
        strict: A method or metric that fails is an error. Otherwise it is a row that says why.
        seed: Seed of everything random.
        batch_size: Images that the model takes at a time. None: the Attributer's.
        run_dir: A folder for what is measured; the same call continues there. Methods, metrics and images may be added;
            whatever changes a number is measured anew, beside the old; damaged files are measured again; several
            processes may work on one folder.
        progress: Whether to show a progress bar. None: on a terminal or in a notebook.
    """

    methods: Given | Sequence[Given] | Mapping[str, Given] = ("gradcam", "gradient")
    _: KW_ONLY
    metrics: Sequence[str] | None = None
    iou: float = 0.5
    targets: Literal["label", "predicted"] = "label"
    protocol: Literal["fixed", "reference"] = "fixed"
    geometry: Literal["resized", "cropped", "full"] = "resized"
    require_truth: bool = False
    tolerance: float = 15.0
    held_out: int | float = 5
    strict: bool = False
    seed: int = 0
    batch_size: int | None = None
    run_dir: str | PathLike | None = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        from attribeval.benchmarks.wsol.evaluate import check_options
        from attribeval.benchmarks.wsol.metrics import check_names

        check_types(self, batch_size=1)
        check_names(self.metrics or ())
        check_options(self.protocol, self.iou, self.held_out, self.tolerance)
