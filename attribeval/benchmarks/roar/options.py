"""The arguments of ROAR and KAR: what the grid is, how it is worked off, and both together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from attribeval.common.arguments import check_types
from attribeval.errors import AttribevalError

if TYPE_CHECKING:
    from attribeval.methods.given import Given
    from attribeval.training.recipe import Recipe


@dataclass(frozen=True)
class GridOptions:
    """What is trained, and how often.

    Attributes:
        methods: Estimators. None: the paper's 15, random and sobel. Names, objects, functions
            `f(model, images, targets, seed)`, with `checkpoint` also `f(images, targets)`, and ready maps, which are a
            pair: those of the training images and those of the test images; all kinds mixed, in a list or in a mapping
            from labels, see `methods.given.methods_of`. Functions at the top of an imported `.py` file are called by
            any process; all others, and objects that are not of the package, by this one, before the other maps.
        fractions: Shares of the values that are removed, or kept, rising, in (0, 1].
        modes: What happens to them: remove (ROAR) and keep (KAR).
        repeats: Trainings per estimator, mode and fraction, 1 or more.
        controls: Further rows: leakage, max_filter, recursive. "leakage" is a classifier trained on the masks alone,
            "max_filter" each method's map through a 3-pixel maximum filter, "recursive" ranks again on the model
            retrained one fraction before.
        recipe: How models are trained: small, cifar10, imagenet, birdsnap or food101. Or a `Recipe`.
        preprocess: Preprocessing between raw images and the model's input, by name. None: the model takes raw images.
        geometry: How image files become squares: resized (squashed whole), or cropped (the centre). "cropped" is the
            paper's, the short side resized to 8/7 of the model's (256 for 224) and the centred square cut out. Arrays
            are taken as they are.
        per: What is ranked. "value" ranks each channel of each pixel by itself (as the reference code), "pixel" the
            channels' sum.
        fill: What removed values become: mean, blur, linear, or a number for all channels or for each. "mean" is the
            training set's, by channel; "linear" is ROAD's noisy linear imputation, which makes the run ROAD-retrained.
        targets: Classes to explain. "predicted" (as the paper) or "label".
        checkpoint: Trained .keras model to explain. None: trained here. That is the unmodified model of repeat 0; in
            Python a Keras model, too.
        seed: Seed of everything random.
    """

    methods: Given | Sequence[Given] | Mapping[str, Given] | None = None
    _: KW_ONLY
    fractions: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9)
    modes: Sequence[Literal["remove", "keep"]] = ("remove", "keep")
    repeats: int = 5
    controls: Sequence[Literal["leakage", "max_filter", "recursive"]] = ()
    recipe: str | Recipe = "small"
    preprocess: str | None = None
    geometry: Literal["resized", "cropped"] = "resized"
    per: Literal["value", "pixel"] = "value"
    fill: float | str | Sequence[float] = "mean"
    targets: Literal["predicted", "label"] = "predicted"
    checkpoint: Any = None
    seed: int = 0

    def __post_init__(self) -> None:
        import numpy as np

        from attribeval.benchmarks.roar.fills import FILLS
        from attribeval.benchmarks.roar.ranks import check_fractions
        from attribeval.common.fills import check_fill
        from attribeval.models.preprocessing import find_preprocessing
        from attribeval.training.recipe import find_recipe

        if callable(self.preprocess):
            raise AttribevalError(
                "Expected preprocess to be a name, which other processes can have, too. Received a function: put it "
                "into the model, as a layer."
            )
        check_types(self, repeats=1)
        check_fractions(self.fractions)
        find_recipe(self.recipe)
        find_preprocessing(self.preprocess)
        fill = self.fill if isinstance(self.fill, str) else tuple(np.ravel(self.fill).tolist())
        check_fill(fill, allowed=FILLS)


@dataclass(frozen=True, kw_only=True)
class WorkOptions:
    """Who works, and with what.

    Attributes:
        strategy: Devices of a training: auto, one_device, mirrored or multi_worker. "auto" takes all GPUs of this
            machine (several machines as TF_CONFIG says); or a `tf.distribute.Strategy`, with which all cells run in
            this process.
        callbacks: Keras callbacks, which keep all cells in this process. Or a function of the cell's name that returns
            some, at the top of a `.py` file.
        executor: Who does the work: local (a fresh process per cell), ray or slurm.
        jobs: Cells at a time on this machine, 1 or more. With "local".
        gpus_per_job: GPUs of each. None: all. With "local".
        executor_options: Options of ray or slurm. They are the arguments of `executors.ray.Ray` or
            `executors.slurm.Slurm`.
        strict: A method or training that fails is an error. Otherwise it is a row that says why, and the others go on.
        progress: Whether to show progress bars. None: on a terminal or in a notebook.
    """

    strategy: Any = "auto"
    callbacks: Any = ()
    executor: str = "local"
    jobs: int = 1
    gpus_per_job: int | None = None
    executor_options: Mapping[str, Any] | None = None
    strict: bool = False
    progress: bool | None = None

    def __post_init__(self) -> None:
        from attribeval.benchmarks.roar.executors.choose import check_executor, portable
        from attribeval.benchmarks.roar.tasks import Setup
        from attribeval.training.strategies import check_strategy

        check_types(self)
        check_strategy(self.strategy)
        setup = Setup(self.strategy, portable(self.callbacks))
        check_executor(setup, self.executor, self.jobs, self.gpus_per_job, self.executor_options)


@dataclass(frozen=True)
class RoarOptions(WorkOptions, GridOptions):
    """What `Evaluator.roar` is asked to do: a grid, the work, and where.

    Attributes:
        run_dir: The folder that holds everything; the same call goes on there after an interruption. More methods,
            modes, repeats or controls extend it.
    """

    _: KW_ONLY
    run_dir: str | PathLike

    def __post_init__(self) -> None:
        GridOptions.__post_init__(self)
        WorkOptions.__post_init__(self)
