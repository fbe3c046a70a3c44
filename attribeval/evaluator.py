"""One call per benchmark: names → benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attribeval.attributer import Attributer
from attribeval.benchmarks.agreement.options import AgreementOptions
from attribeval.benchmarks.bam.options import BamOptions
from attribeval.benchmarks.leaderboard.options import CompareOptions
from attribeval.benchmarks.roar.options import RoarOptions
from attribeval.benchmarks.sanity.options import SanityOptions
from attribeval.benchmarks.wsol.options import WsolOptions
from attribeval.common.arguments import fields, takes
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError
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

    @takes(WsolOptions)
    def wsol(self, options: WsolOptions) -> Result:
        """Weakly supervised object localisation: every score that boxes and masks allow, with controls and baselines.

        Returns:
            See `attribeval.benchmarks.wsol.procedure.run_wsol`.
        """
        from attribeval.benchmarks.wsol.procedure import run_wsol

        return run_wsol(self.attributer, self.dataset, **fields(options))

    @takes(CompareOptions)
    def compare(self, options: CompareOptions) -> Result:
        """The leaderboard: every method against every benchmark, with intervals, tests, groups, agreement and cost.

        Returns:
            See `attribeval.benchmarks.leaderboard.procedure.run_leaderboard`.
        """
        from attribeval.benchmarks.leaderboard.procedure import run_leaderboard

        return run_leaderboard(self.attributer, self.dataset, **fields(options))

    @takes(SanityOptions)
    def sanity(self, options: SanityOptions) -> Result:
        """Model parameter randomisation: do the maps change when the model's layers are made random?

        `attribeval.benchmarks.sanity.data_randomisation` has the test with permuted labels.

        Returns:
            See `attribeval.benchmarks.sanity.procedure.run_sanity`.
        """
        from attribeval.benchmarks.sanity.procedure import run_sanity

        return run_sanity(self.attributer, self.dataset, **fields(options))

    @staticmethod
    @takes(AgreementOptions)
    def agreement(options: AgreementOptions) -> Result:
        """Which cheap scores rank methods as retraining, or a known answer, does: from finished runs of other studies.

        It needs no Attributer: nothing is explained.

        Returns:
            See `attribeval.benchmarks.agreement.procedure.run_agreement`.
        """
        from attribeval.benchmarks.agreement.procedure import run_agreement

        return run_agreement(options)

    @staticmethod
    @takes(BamOptions)
    def bam(options: BamOptions) -> Result:
        """Relative feature importance: MCS, IDR, IIR and TCAV, on models that are trained here.

        It needs no Attributer.

        Returns:
            See `attribeval.benchmarks.bam.procedure.run_bam`.
        """
        from attribeval.benchmarks.bam.procedure import run_bam

        return run_bam(**fields(options))

    @staticmethod
    @takes(RoarOptions)
    def roar(build_model: Callable[[], Any], dataset: Any, options: RoarOptions) -> Result:
        """Remove or keep, and retrain: ROAR and KAR on real trainings, resumable, on one or many machines.

        It needs no Attributer: the model that is explained is trained here, or given as `checkpoint=`.

        Args:
            build_model: A function that returns an untrained Keras classifier.
            dataset: Anything with `.train` and `.test`, or a pair of `Samples`.

        Returns:
            See `attribeval.benchmarks.roar.procedure.run_roar`.
        """
        from attribeval.benchmarks.roar.procedure import run_roar

        return run_roar(build_model, dataset, **fields(options))
