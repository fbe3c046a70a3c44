"""Finished runs in, one table out: which score ranks methods as retraining does, or as a known answer does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.agreement.correlation import LEAST, correlate
from attribeval.benchmarks.agreement.options import AgreementOptions
from attribeval.benchmarks.agreement.sentences import TRAINED, sentences
from attribeval.benchmarks.registry import part
from attribeval.common.arguments import fields
from attribeval.errors import AttribevalError
from attribeval.methods.registry import build_method, written
from attribeval.results.comparisons import holm
from attribeval.results.find import find_results
from attribeval.results.judgement import Judgement
from attribeval.results.means import known_mean
from attribeval.results.result import Result
from attribeval.runs.failures import COLUMN

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["score", "study", "run", "judge", "value", "low", "high", "p", "p_holm", "partial", "partial_low",
           "partial_high", "methods", "families", "units", "judge_units", COLUMN]  # fmt: skip


def run_agreement(options: AgreementOptions) -> Result:
    """Correlate every cheap score with every judge, over the methods that both know.

    Judges are ROAR and KAR (accuracy after retraining on images without, or with nothing but, what a method calls
    important) and BAM's metrics (of models of which it is known what is important). Judged are all other scores of the
    runs, and BAM's metrics by ROAR and KAR.

    Returns:
        `table`: a row per score and judge, the best agreement with the first judge first. Columns: score; study; run
        (its folder); judge; value (Spearman's ρ over methods, −1 to 1; both read so that higher is better), low, high
        (interval: bootstrap over methods, images and repeats); p (permutations), p_holm (corrected for all scores of a
        judge, Holm 1979); partial, partial_low, partial_high (ρ within families of methods); methods; families; units
        and judge_units (images or repeats behind a method's score); error. `arrays`: "<score>|<run>|<judge>", float64
        (methods, 2), both scores, higher is better. `settings`: methods of each array, runs and what they were made of.

    Raises:
        AttribevalError: If a folder holds no result, or there is no judge or nothing to be judged.
    """
    runs = _runs(options.results)
    known = {run: _judgements(result) for run, result in runs.items()}
    pairs = [
        (run, one, judging, judge)
        for judging, judges in known.items()
        for judge in judges
        if judge.kind != "cheap"
        for run, scores in known.items()
        for one in scores
        if one.kind == "cheap" or (one.kind, judge.kind) == ("known answer", "retrained")
    ]
    if not pairs:
        raise AttribevalError(
            "Expected a finished run of ROAR or BAM, which judge, and one of another study (attribeval bench, wsol or "
            f"sanity, each with -o FOLDER), which is judged. Received: {_received(runs)}."
        )
    rows, arrays, methods = [], {}, {}
    for run, one, judging, judge in pairs:
        key = f"{one.name}|{run}|{_judge_name(judge, judging, known)}"
        row, shared, names = _row(one, judge, options)
        rows.append(
            {"score": one.name, "study": runs[run].benchmark, "run": run, "judge": key.rpartition("|")[2]} | row
        )
        arrays[key], methods[key] = shared, names
    settings = {name: value for name, value in fields(options).items() if name != "results"}
    settings |= {"runs": {run: _made_of(result) for run, result in runs.items()}, "methods": methods}
    table = _sorted(rows)
    return Result("agreement", table, settings, sentences(table, settings), arrays)


def _runs(given: Sequence[Any]) -> dict[str, Result]:
    """Results by name: of a folder its path, of a result its study."""
    runs: dict[str, Result] = {}
    for one in [given] if isinstance(given, str | os.PathLike | Result) else given:
        if isinstance(one, Result):
            runs[_free(one.benchmark, runs)] = one
        elif isinstance(one, str | os.PathLike):
            runs |= {str(folder): Result.load(folder) for folder in find_results([one])}
        else:
            raise AttribevalError(f"Expected results, or folders with results. Received: {type(one).__name__}.")
    return runs


def _free(name: str, taken: Mapping[str, Any]) -> str:
    return next(one for one in (name, *(f"{name} {k}" for k in range(2, 10_000))) if one not in taken)


def _judgements(result: Result) -> list[Judgement]:
    """What a study says, methods under one name in all runs."""
    module = part(result.benchmark, "judgements")
    given = [] if module is None else module.judgements(result)
    return [replace(one, methods=[_called(label)[0] for label in one.methods]) for one in given]


@cache
def _called(label: str) -> tuple[str, str]:
    """The name that a method has in all runs (SG-SQ-GRAD is smoothgrad_squared(gradient)), and its family.

    The user's own method, which has the same label in all runs or is not shared, is a family of its own.
    """
    try:
        method = build_method(label)
    except AttribevalError:
        return label, label
    return written(method) or label, method.card.family


def _judge_name(judge: Judgement, run: str, known: Mapping[str, Sequence[Judgement]]) -> str:
    """ROAR, and its run where several have one."""
    several = sum(one.name == judge.name for of_run in known.values() for one in of_run) > 1
    return f"{judge.name} of {run}" if several else judge.name


def _row(one: Judgement, judge: Judgement, options: AgreementOptions) -> tuple[dict[str, Any], np.ndarray, list[str]]:
    """A row of numbers, both scores of the shared methods, and their names."""
    mine, theirs = (_places(judgement, options.controls) for judgement in (one, judge))
    names = [name for name in mine if name in theirs]
    of_one, of_judge = _of(one, names, mine), _of(judge, names, theirs)
    families = [_called(name)[1] for name in names]
    about: dict[str, Any] = {"methods": len(names), "families": len(set(families)), COLUMN: ""}
    about |= {"units": f"{one.values.shape[1]} {one.units}", "judge_units": f"{judge.values.shape[1]} {judge.units}"}
    both = np.stack([known_mean(part.goodness(), 1) for part in (of_one, of_judge)], 1)
    if len(names) < LEAST:
        said = f"{len(names)} methods are in both runs, {LEAST} are needed"
        return about | {COLUMN: said}, both, names
    numbers = correlate(of_one, of_judge, families, options.resamples, options.level, options.seed)
    return about | fields(numbers), both, names


def _of(judgement: Judgement, names: list[str], places: Mapping[str, int]) -> Judgement:
    """The rows of these methods."""
    rows = np.array([places[name] for name in names], int)
    return replace(judgement, methods=names, controls=judgement.controls[rows], values=judgement.values[rows])


def _places(judgement: Judgement, controls: bool) -> dict[str, int]:
    """Rows by method, of those that have a score; of two that are the same method, the first."""
    scored = np.isfinite(judgement.values).any(1) & (controls | ~judgement.controls)
    places: dict[str, int] = {}
    for i, name in enumerate(judgement.methods):
        if scored[i]:
            places.setdefault(name, i)
    return places


def _sorted(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """By judge in the order of the runs; scores by their agreement with the first judge, those without one last."""
    import pandas as pd

    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    for _, of_judge in table.groupby("judge", sort=False):
        table.loc[of_judge.index, "p_holm"] = holm(of_judge["p"].to_numpy(float))
    judges = list(dict.fromkeys(table["judge"]))
    places = np.lexsort((-table["value"].to_numpy(float), [judges.index(judge) for judge in table["judge"]]))
    return table.iloc[places].reset_index(drop=True)


def _made_of(result: Result) -> dict[str, Any]:
    """What a run says of its model, data and cost."""
    known = result.settings
    data, model = known.get("data", known.get("dataset")), known.get("model")
    return {
        "study": result.benchmark,
        "model": model if isinstance(model, str) else TRAINED,
        "weights": known.get("weights"),
        "data": data.get("name") if isinstance(data, dict) else data,
        "images": known.get("images"),
        "seconds": _seconds(known.get("cost")),
    }


def _seconds(cost: Any) -> float | None:
    """Of all that a run computed, in seconds; None where it does not say."""
    parts = [value for name, value in (cost or {}).items() if "seconds" in name and isinstance(value, int | float)]
    return round(float(sum(parts)), 1) if parts else None


def _received(runs: Mapping[str, Result]) -> str:
    counted = [result.benchmark for result in runs.values()]
    return ", ".join(f"{counted.count(name)} of {name}" for name in sorted(set(counted))) or "no result"
