"""What BAM may claim: ties, neighbours of the best, edges, few images, images without a score."""

from __future__ import annotations

import numpy as np
import pandas as pd

from attribeval.benchmarks.bam.sentences import _against_edges, _best, _counted
from attribeval.benchmarks.bam.summary import _row
from attribeval.results.over_images import mean_interval, sign_flip_test


def table(values: dict[str, np.ndarray], metric: str) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    rows = [{"method": name, "kind": "method"} | _row(metric, one, 0.5) for name, one in values.items()]
    arrays = {f"{name}/{metric}": np.asarray(one, np.float64) for name, one in values.items()}
    frame = pd.DataFrame(rows).sort_values("value", ascending=False, kind="stable")
    return frame, arrays


def best(values, metric="MCS"):
    return _best(*table(values, metric), metric)


def test_equal_methods_are_all_best():
    said = best({"a": np.ones(30), "b": np.ones(30), "c": np.ones(30)}, "IDR")
    assert said == "best a, b, c (100.0 %)"


def test_best_is_tested_against_its_neighbours():
    rng = np.random.default_rng(0)
    shared = rng.normal(0.3, 0.1, 40)
    values = {"first": shared + 0.02, "near": shared + rng.normal(0, 0.05, 40), "far": shared - 0.3}
    assert best(values).endswith("not told from it by these images: near")
    assert best({name: values[name] for name in ("first", "far")}).endswith("told from every other method")
    assert sign_flip_test(values["first"], values["far"]) < 1e-4
    assert "near" in best({name: one[:2] for name, one in values.items()})  # two images tell nothing, either
    assert best({name: one[:1] for name, one in values.items()}).startswith("not tested, and none is called best")


def test_no_better_than_edges_is_said_of_random_and_edges_alike():
    rng = np.random.default_rng(0)
    values = {"good": rng.random(60) < 0.95, "edgy": rng.random(60) < 0.5, "sobel": rng.random(60) < 0.5}
    frame, arrays = table(values, "IDR")
    (said,) = _against_edges(frame[frame["method"] != "sobel"], arrays)
    assert "IDR: edgy." in said and "good" not in said


def test_few_images_and_images_without_a_score_are_counted():
    values = {"whole": np.linspace(0, 1, 9), "some": np.array([np.nan, *np.linspace(0.2, 0.8, 8)])}
    frame, arrays = table(values, "MCS")
    few, lacking = _counted(frame, arrays)
    assert "9 images count" in few and lacking.endswith("some (MCS, 1).")
    row = frame.set_index("method").loc["some"]
    assert row["images"] == 8 and row["value"] == 0.5
    assert (row["low"], row["high"]) == mean_interval(values["some"][1:])
    assert _row("IIRChange", np.array([0.1, np.inf]), 0.0)["value"] == np.inf  # by definition; without an interval
