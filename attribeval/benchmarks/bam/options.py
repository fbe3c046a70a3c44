"""The arguments of BAM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from attribeval.common.arguments import check_types
from attribeval.errors import AttribevalError

if TYPE_CHECKING:
    from attribeval.benchmarks.bam.nets import Net
    from attribeval.datasets.bam import Bam
    from attribeval.methods.given import Given

KS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_AT_LEAST = {"feature": 0, "series_images": 1, "images": 1, "robust_images": 0, "patch_images": 1, "slow_images": 1,
             "random_sets": 2, "batch_size": 1}  # fmt: skip


@dataclass(frozen=True)
class BamOptions:
    """What `Evaluator.bam` is asked to do.

    Attributes:
        data: Embedded digits ("digits"), or a folder of `bam build`. In Python, of a folder what
            `datasets.bam_layout.read_bam` returns, or `Bam` (of `datasets.bam.digits` or `build_bam`). The embedded
            data are 20,000 training and 10,000 test images of 48 × 48.
        methods: Methods to measure. None: the article's. Names, objects and functions
            `f(model, images, targets, seed)`, in a list or in a mapping from labels: see `methods.given.methods_of`.
            "random" and "sobel" are added as controls.
        run_dir: Where models, averages, patches and concepts are kept; the same call goes on there. A call with other
            methods computes theirs alone; a damaged file is noticed and made again.
        net: Network that is trained: small, or resnet50. In Python also a `nets.Net`; resnet50 is the article's, from
            ImageNet weights.
        feature: Object class that is the common feature, of the f_k, the concept of TCAV and the patch of IIR.
        order: Scene classes by number, those that have the feature first. None: by label.
        ks: Commonalities, rising. The last must be 1, to which all are compared.
        series_scenes: On which scenes f_k is measured. "all" that have the feature for it, or the "first", as the
            article, see `relative_importance.feature_items`.
        series_images: Test images for MCS of each f_k, 1 or more.
        images: Only the first test images, for MCS and IDR, 1 or more.
        robust_images: How many of them are measured again with objects at other places. And at 0.7 of their size;
            0: none.
        patch_images: Test images with the feature, for IIR, 1 or more.
        slow_images: How many of all these methods of hundreds of passes get. (Families perturbation, model-agnostic and
            region, Score-CAM and guided IG.) They have no robustness rows and no series over k.
        random_sets: Sets of 100 random examples for TCAV, 2 or more.
        protocol: Whose conventions. "fixed", "paper" or "reference", see `region.heat` and `iir.unchanged`. The paper's
            also finds patches by its update (appendix A), plain descent with λ = 500 and η₁ = .01, in place of
            Adam.
        strategy: Devices for the trainings: auto, one_device, mirrored or multi_worker. Or a `tf.distribute.Strategy`,
            see `training.strategies.make_strategy`.
        strict: A method or metric that fails is an error. Otherwise it is a row that says why, and the others go on.
        seed: Seed of everything random.
        batch_size: Images that a model explains at a time. None: by their size.
        progress: Whether to show progress bars. None: on a terminal or in a notebook.
    """

    data: Bam | str = "digits"
    methods: Given | Sequence[Given] | Mapping[str, Given] | None = None
    _: KW_ONLY
    run_dir: str | PathLike
    net: str | Net = "small"
    feature: int = 0
    order: Sequence[int] | None = None
    ks: Sequence[float] = KS
    series_scenes: Literal["all", "first"] = "all"
    series_images: int = 50
    images: int = 200
    robust_images: int = 100
    patch_images: int = 150
    slow_images: int = 10
    random_sets: int = 20
    protocol: Literal["fixed", "paper", "reference"] = "fixed"
    strategy: Any = "auto"
    strict: bool = False
    seed: int = 0
    batch_size: int | None = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        from attribeval.benchmarks.bam.nets import find_net
        from attribeval.training.strategies import check_strategy

        check_types(self, **_AT_LEAST)
        ks = list(self.ks)
        if len(ks) < 1 or ks != sorted(set(ks)) or abs(ks[-1] - 1) > 1e-9:
            raise AttribevalError(
                f"Expected rising commonalities that end with 1, to which all are compared. Received: {ks}."
            )
        find_net(self.net)
        check_strategy(self.strategy)
