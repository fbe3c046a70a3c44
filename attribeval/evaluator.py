"""One call per benchmark: names → benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Literal

from attribeval.attributer import Attributer
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError
from attribeval.methods.card import Method
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
                f"Expected Samples (datasets.imagenet(...), digit_scenes().test.samples(), or Samples(images, labels, "
                f"boxes=...)). Received: {type(dataset).__name__}."
            )
        self.attributer = attributer
        self.dataset = dataset

    def wsol(
        self,
        methods: Sequence[str] | Mapping[str, Method] = ("gradcam", "gradient"),
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
