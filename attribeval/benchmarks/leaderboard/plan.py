"""Which methods meet which benchmarks: names → objects, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError
from attribeval.methods import given
from attribeval.methods.card import Method
from attribeval.methods.given import Given
from attribeval.metrics import registry
from attribeval.metrics.card import Benchmark
from attribeval.metrics.function import function_metric

# Every family of methods that needs at most some 50 model evaluations an image.
DEFAULT_METHODS = (
    "gradient", "gradient_x_input", "integrated_gradients", "smoothgrad(gradient)", "smoothgrad_squared(gradient)",
    "vargrad(gradient)", "guided_backprop", "deconvnet", "gradcam", "gradcam++", "layercam", "guided_gradcam",
    "deeplift", "lrp",
)  # fmt: skip
_FROM_DATA = ("boxes", "masks")  # what a benchmark may need of the data set
_BY_HAND = ("fine-tuned",)  # what only the user can give, as an option of the benchmark


def choose_methods(methods: Given | Sequence[Given] | Mapping[str, Given] | None) -> dict[str, Method]:
    """Methods by label, the controls among them; None: `DEFAULT_METHODS`."""
    return given.with_controls(given.methods_of(DEFAULT_METHODS if methods is None else methods))


def choose_benchmarks(
    benchmarks: Any | Sequence[Any] | Mapping[str, Any] | None, dataset: Samples | None
) -> dict[str, Benchmark]:
    """Benchmarks by label.

    Args:
        benchmarks: Names as `registry.build_benchmark` reads them, benchmark objects, and functions
            `f(maps, images, targets)` or `f(maps, images, targets, predict)` (see `function.metric`), also as
            "file.py:function"; all kinds mixed, in a list or in a mapping from labels. None: all of this package for
            which the data have what they need, and which run without an option that must be given.
        dataset: Of the run; None if there are images alone.

    Raises:
        AttribevalError: If there is none, a name is unknown (nearest listed), or the data lack what one needs.
    """
    have = {need for need in _FROM_DATA if dataset is not None and getattr(dataset, need) is not None}
    if benchmarks is None:
        cards = [cls.card for cls in registry.BENCHMARKS.values()]
        benchmarks = [card.name for card in cards if not lacking(card, have) and not set(card.needs) & set(_BY_HAND)]
    built = {label: benchmark_of(one, label) for label, one in given.labelled(benchmarks, "benchmark").items()}
    for label, benchmark in built.items():
        lacks = lacking(benchmark.card, have)
        if lacks:
            raise AttribevalError(
                f"Expected a data set with {' or '.join(lacks)} for the benchmark {label!r}. Received one without: "
                "read it with annotations, or leave the benchmark out."
            )
    return built


def benchmark_of(one: Any, label: str) -> Benchmark:
    """One benchmark of what was passed; see `choose_benchmarks`."""
    if isinstance(one, str):
        function = given.placed(one)
        return registry.build_benchmark(one) if function is None else function_metric(function, label)
    if hasattr(one, "card") and hasattr(one, "score") and not isinstance(one, type):
        return one
    return function_metric(one, label)


def lacking(card: Any, have: set[str]) -> list[str]:
    """What a benchmark needs of the data and they do not have; of boxes and masks either one will do."""
    needs = [need for need in card.needs if need in _FROM_DATA]
    return [] if not needs or have & set(needs) else needs
