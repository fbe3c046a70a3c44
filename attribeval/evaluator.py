"""One call per benchmark: names → benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal

from attribeval.attributer import Attributer
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError
from attribeval.methods.given import Given
from attribeval.results.result import Result


class Evaluator:
    """Scores attribution methods against evidence.

    Args:
        attributer: The explained model.
        dataset: Images with labels, and what the benchmark needs (boxes or masks for `wsol`).
    """

    def __init__(self, attributer: Attributer, dataset: Samples):
        if not isinstance(attributer, Attributer):
            raise AttribevalError(
                f"Expected an Attributer. Received: {type(attributer).__name__}: wrap the model, Attributer(model)."
            )
        if not isinstance(dataset, Samples):
            raise AttribevalError(
                f"Expected Samples (datasets.imagenet(...), digit_scenes().test.samples(), Samples(images, labels, "
                f"boxes=...), or Samples.from_dataset(dataset)). Received: {type(dataset).__name__}."
            )
        self.attributer = attributer
        self.dataset = dataset

    def __repr__(self) -> str:
        return f"Evaluator({self.attributer!r}, {self.dataset!r})"

    def _repr_html_(self) -> str:
        from attribeval.report.notebook import evaluator_html

        return evaluator_html(self)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]  # what a user completes

    def wsol(
        self,
        methods: Given | Sequence[Given] | Mapping[str, Given] = ("gradcam", "gradient"),
        *,
        metrics: Sequence[str] | None = None,
        iou: float = 0.5,
        targets: str = "label",
        protocol: Literal["fixed", "reference"] = "fixed",
        geometry: Literal["resized", "cropped", "full"] = "resized",
        tolerance: float = 15.0,
        held_out: int | float = 5,
        strict: bool = False,
        seed: int = 0,
        batch_size: int | None = None,
        run_dir: str | PathLike | None = None,
        progress: bool | None = None,
    ) -> Result:
        """Weakly supervised object localisation: every score that boxes and masks allow, with controls and baselines.

        See `attribeval.benchmarks.wsol.procedure.run_wsol` for arguments and columns.
        """
        from attribeval.benchmarks.wsol.procedure import run_wsol

        return run_wsol(
            self.attributer,
            self.dataset,
            methods,
            metrics=metrics,
            iou=iou,
            targets=targets,
            protocol=protocol,
            geometry=geometry,
            tolerance=tolerance,
            held_out=held_out,
            strict=strict,
            seed=seed,
            batch_size=batch_size,
            run_dir=run_dir,
            progress=progress,
        )

    def compare(
        self,
        methods: Given | Sequence[Given] | Mapping[str, Given] | None = None,
        benchmarks: Any | Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        targets: Literal["predicted", "label"] = "predicted",
        seed: int = 0,
        batch_size: int | None = None,
        chunk: int = 25,
        run_dir: str | PathLike | None = None,
        cache: str | PathLike | bool | None = None,
        progress: bool | None = None,
    ) -> Result:
        """The leaderboard: every method against every benchmark, with intervals, tests, groups, agreement and cost.

        `methods=None` takes a dozen quick ones, `benchmarks=None` all that the data allow. See
        `attribeval.benchmarks.leaderboard.procedure.run_leaderboard` for arguments and columns.
        """
        from attribeval.benchmarks.leaderboard.procedure import run_leaderboard

        return run_leaderboard(
            self.attributer,
            self.dataset,
            methods,
            benchmarks,
            targets=targets,
            seed=seed,
            batch_size=batch_size,
            chunk=chunk,
            run_dir=run_dir,
            cache=cache,
            progress=progress,
        )

    def sanity(
        self,
        methods: Given | Sequence[Given] | Mapping[str, Given] = ("gradient", "gradcam", "guided_backprop"),
        *,
        modes: Sequence[str] = ("cascading", "independent"),
        similarities: Sequence[str] | None = None,
        layers: int | Sequence[str] | None = None,
        statistics: bool = False,
        seed: int = 0,
        batch_size: int | None = None,
        run_dir: str | PathLike | None = None,
        progress: bool | None = None,
    ) -> Result:
        """Model parameter randomisation: do the maps change when the model's layers are made random?

        See `attribeval.benchmarks.sanity.procedure.run_sanity` for arguments and columns; and
        `attribeval.benchmarks.sanity.data_randomisation` for the test with permuted labels.
        """
        from attribeval.benchmarks.sanity.procedure import run_sanity

        return run_sanity(
            self.attributer,
            self.dataset,
            methods,
            modes=modes,
            similarities=similarities,
            layers=layers,
            statistics=statistics,
            seed=seed,
            batch_size=batch_size,
            run_dir=run_dir,
            progress=progress,
        )

    @staticmethod
    def bam(
        data: Any = "digits",
        methods: Given | Sequence[Given] | Mapping[str, Given] | None = None,
        *,
        run_dir: str | PathLike,
        net: Any = "small",
        feature: int = 0,
        order: Sequence[int] | None = None,
        ks: Sequence[float] | None = None,
        series_scenes: Literal["all", "first"] = "all",
        series_images: int = 50,
        images: int = 200,
        robust_images: int = 100,
        patch_images: int = 150,
        slow_images: int = 10,
        random_sets: int = 20,
        protocol: Literal["fixed", "paper", "reference"] = "fixed",
        strategy: Any = "auto",
        seed: int = 0,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> Result:
        """Relative feature importance: MCS, IDR, IIR and TCAV, on models that are trained here.

        It needs no Attributer. `methods=None` takes the article's. All other arguments, and the columns:
        `attribeval.benchmarks.bam.procedure.run_bam`.
        """
        from attribeval.benchmarks.bam.plan import KS, PAPER_METHODS
        from attribeval.benchmarks.bam.procedure import run_bam

        return run_bam(
            data,
            PAPER_METHODS if methods is None else methods,
            run_dir=run_dir,
            net=net,
            feature=feature,
            order=order,
            ks=KS if ks is None else ks,
            series_scenes=series_scenes,
            series_images=series_images,
            images=images,
            robust_images=robust_images,
            patch_images=patch_images,
            slow_images=slow_images,
            random_sets=random_sets,
            protocol=protocol,
            strategy=strategy,
            seed=seed,
            batch_size=batch_size,
            progress=progress,
        )

    @staticmethod
    def roar(
        build_model: Callable[[], Any],
        dataset: Any,
        methods: Given | Sequence[Given] | Mapping[str, Given] | None = None,
        *,
        run_dir: str | PathLike,
        fractions: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
        modes: Sequence[str] = ("remove", "keep"),
        repeats: int = 5,
        controls: Sequence[str] = (),
        recipe: Any = "small",
        preprocess: str | None = None,
        geometry: str = "resized",
        per: str = "value",
        fill: Any = "mean",
        targets: str = "predicted",
        checkpoint: Any = None,
        strategy: Any = "auto",
        callbacks: Any = (),
        executor: str = "local",
        jobs: int = 1,
        gpus_per_job: int | None = None,
        executor_options: Mapping[str, Any] | None = None,
        seed: int = 0,
        progress: bool | None = None,
    ) -> Result:
        """Remove or keep, and retrain: ROAR and KAR on real trainings, resumable, on one or many machines.

        It needs no Attributer: the model that is explained is trained here, or given as `checkpoint=`. `methods=None`
        takes the paper's fifteen estimators and its two controls. All other arguments, and the columns:
        `attribeval.benchmarks.roar.procedure.run_roar`.
        """
        from attribeval.benchmarks.roar.procedure import PAPER_CONTROLS, PAPER_ESTIMATORS, run_roar

        return run_roar(
            build_model,
            dataset,
            (*PAPER_ESTIMATORS, *PAPER_CONTROLS) if methods is None else methods,
            run_dir=run_dir,
            fractions=fractions,
            modes=modes,
            repeats=repeats,
            controls=controls,
            recipe=recipe,
            preprocess=preprocess,
            geometry=geometry,
            per=per,
            fill=fill,
            targets=targets,
            checkpoint=checkpoint,
            strategy=strategy,
            callbacks=callbacks,
            executor=executor,
            jobs=jobs,
            gpus_per_job=gpus_per_job,
            executor_options=executor_options,
            seed=seed,
            progress=progress,
        )
