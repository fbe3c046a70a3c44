"""BAM from data to table: train, verify, explain, patch, test concepts. Everything is kept in the run directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attribeval.benchmarks.bam.examples import panels
from attribeval.benchmarks.bam.gather import Gathering
from attribeval.benchmarks.bam.models import Trained
from attribeval.benchmarks.bam.options import BamOptions
from attribeval.benchmarks.bam.plan import Plan, make_plan
from attribeval.benchmarks.bam.relative_importance import relative_importance
from attribeval.benchmarks.bam.summary import Evidence, summarise
from attribeval.common.arguments import takes
from attribeval.common.options import options_of
from attribeval.common.versions import versions
from attribeval.methods.given import kind_of
from attribeval.results.result import Result
from attribeval.runs.failures import failed_rows


@takes(BamOptions)
def run_bam(options: BamOptions) -> Result:
    """Benchmark attribution methods by relative feature importance: MCS, IDR, IIR, and TCAV.

    Returns:
        `table` with one row per method and metric, and columns: method; kind ("method", "control", "concept"); metric
        ("MCS", "MCSMoved", "MCSSmaller", "MCSCorrelation", "IDR", "IDRMoved", "IDRSmaller", "IIR", "IIRChange"); value;
        low, high (95 % interval over images, see `over_images.mean_interval`); deviation (of 10 trials of 100 images;
        empty for fewer than 100); baseline (the same with random regions, for TCAV with random concepts); images;
        seconds_per_image; error (why numbers of all or of some images are missing, see `runs.failures`).
        `settings["accuracy"]` is figure 2. `arrays` holds the series over k and the example panels.

    Raises:
        AttribevalError: If an argument is out of range, the data have too few images, or a model fits them not.
    """
    plan = make_plan(options)
    gathered = Gathering(plan, options)
    models, where = gathered.models, (options.feature, options.order, options.series_scenes)
    importance = relative_importance(models, plan.data.test, plan.ks, *where)
    evidence = Evidence(importance, kinds={name: kind_of(method) for name, method in plan.methods.items()})
    gathered.fill(evidence)
    counts = {"images": gathered.items, "robust_images": gathered.again, "patch_images": gathered.having}
    settings = _settings(plan, options, models) | {name: len(items) for name, items in counts.items()}
    result = summarise(evidence, settings, options.strict)
    left_out = {*plan.slow, *failed_rows(result.table)["method"]}
    drawn = {name: method for name, method in plan.methods.items() if name not in left_out}
    result.arrays |= panels(gathered, drawn, evidence)
    return result


def _settings(plan: Plan, options: BamOptions, models: Mapping[str, Trained]) -> dict[str, Any]:
    """What a result says of the run that made it."""
    test = plan.data.test
    return {
        "data": {"train": len(plan.data.train), "test": len(test), "size": list(test.images.shape[1:])},
        "objects": list(test.object_names),
        "scenes": list(test.scene_names),
        "feature": test.object_names[options.feature],
        "series_on": "scenes with the feature" if options.series_scenes == "all" else "the first scene",
        "series_images": options.series_images,
        "recipe": plan.net.recipe.to_json(),
        "series_recipe": (plan.net.series_recipe or plan.net.recipe).to_json(),
        "preprocess": plan.net.preprocess,
        "methods": list(plan.methods),
        "options": {name: o for name, method in plan.methods.items() if (o := options_of(method))},
        "slow_methods": plan.slow,
        "slow_images": options.slow_images,
        "protocol": options.protocol,
        "training_seconds": {name: round(m.record["total_seconds"], 1) for name, m in models.items()},
        "seed": options.seed,
        "versions": versions(),
    }
