"""A leaderboard in words: first what may be concluded, then what may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attribeval.benchmarks.leaderboard.fills import fill_sentences
from attribeval.benchmarks.leaderboard.first import behind_in
from attribeval.benchmarks.leaderboard.scores import CENTRE, oriented
from attribeval.results.comparisons import holm, letters
from attribeval.results.numbers import listed, number, rank_text, share
from attribeval.results.over_images import FEW, sign_flip_test
from attribeval.runs import failures

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result

_NAMED = 4  # names in a row before "and n more"
_ALPHA = 0.05
_CONTROLS = {"random": "random maps", "sobel": "Sobel edges"}


def sentences(result: Result) -> list[str]:
    """The outcome; a difference is claimed only where its corrected p-value is below .05."""
    table = result.table
    methods = table[(table["kind"] == "method") & table["rank"].notna()]
    images = result.settings["images"]
    said = _outcome(result, methods) if images > 1 else ["One image shows no difference: nothing is tested or ranked."]
    said += [*_empty(table), *_unranked(table), *_left_out(table), *failures.sentences(table, "benchmark")]
    said += [*_agreement(result), *fill_sentences(result)] if images > 1 else []
    few = " With so few images intervals of skewed scores, ranks and τ are too narrow, and few differences can show."
    few = few if images < FEW else ""
    over = "this image" if images == 1 else f"these {images} images"
    said.append(
        f"Intervals and tests are over {over} of one model: they say nothing of other models or other "
        f"kinds of images. A shared letter means that no difference was shown, not that there is none.{few}"
    )
    return said


def _outcome(result: Result, methods: pd.DataFrame) -> list[str]:
    """Who is first, and who is better than what knows nothing of the model."""
    said = _on_average(result)
    if len(methods):
        said += _first_places(methods)
        for control, called in _CONTROLS.items():
            said += _against(result, methods, control, called)
        said += _controls(result, methods)
        said += _centre(result, methods)
    return said


def _on_average(result: Result) -> list[str]:
    """Who ranks first over all families of benchmarks, whether it is told from the others, and what that is worth."""
    ranks = [row for row in result.settings["average_ranks"] if (row["family"], row["kind"]) == ("all", "method")]
    ranks = [row for row in ranks if row["value"] is not None]
    if not ranks or result.table["benchmark"].nunique() < 2:
        return []
    best = ranks[0]
    first = [row["method"] for row in ranks if np.isclose(row["value"], best["value"], rtol=1e-9)]
    others = [row["method"] for row in ranks if row["method"] not in first]
    behind = behind_in(result, first[0]) if len(first) == 1 else []
    alike = [name for name in others if name not in behind]
    if len(first) > 1:
        verb, told = "rank equally, first", ""
    elif others and not alike:
        verb, told = "ranks first", ", told from every other method by ranks image by image"
    elif others:
        verb, told = "has the best mean rank", f", but cannot be told from {listed(alike)} by ranks image by image"
    else:
        verb, told = "is alone", ""
    return [
        f"On average over {_count(len(set(result.settings['families'].values())), 'family', 'families')} of "
        f"benchmarks {listed(first)} {verb} (mean rank {rank_text(best['value'])}, 95 % interval "
        f"{rank_text(best['low'])} to {rank_text(best['high'])}){told}.",
        "A mean rank is a summary of opinions: which questions were asked decides it, and so does which methods took "
        "part.",
    ]


def _first_places(methods: pd.DataFrame) -> list[str]:
    """Who leads, where several are equal, and whether anybody can be told from a leader."""
    led: dict[str, list[str]] = {}
    alone, contested, tied = 0, 0, []
    for benchmark, rows in methods.groupby("benchmark", sort=False):
        first = list(rows["method"][rows["rank"] == rows["rank"].min()])
        contested += len(rows) > 1
        if len(first) > 1:
            tied.append(f"{benchmark} ({'all' if len(first) == len(rows) else listed(first)})")
            continue
        led.setdefault(first[0], []).append(benchmark)
        groups = {row.method: letters(row.group) for row in rows.itertuples()}
        leading = groups.pop(first[0])
        alone += bool(groups) and not any(leading & other for other in groups.values())
    leaders = sorted(led, key=lambda name: -len(led[name]))
    some = [f"{name} ({listed(led[name])})" for name in leaders[:_NAMED]]
    some += [f"and {len(leaders) - _NAMED} more"] if len(leaders) > _NAMED else []
    said = [f"Best value of a method by benchmark: {'; '.join(some)}."] if some else []
    said += [f"Several methods are equal and best in {listed(tied)}."] if tied else []
    if contested:
        said.append(
            f"In {alone} of {_count(contested, 'benchmark')} the best method can be told apart from all other methods."
        )
    return said


def _against(result: Result, methods: pd.DataFrame, control: str, called: str) -> list[str]:
    """Who is better than what knows nothing of the model, and who is not, by the differences that the tests are of."""
    tested = _tested(result, methods, control).dropna()
    if tested.empty:
        return []
    clear = tested["p"] < _ALPHA
    tested = tested.assign(beats=clear & (tested["gain"] > 0), loses=clear & (tested["gain"] < 0))
    said = []
    wins = tested.groupby("method", sort=False)["beats"].agg(["sum", "count"])
    everywhere = [name for name, row in wins.iterrows() if row["sum"] == row["count"]]
    nowhere = [name for name, row in wins.iterrows() if row["sum"] == 0]
    if everywhere:
        said.append(f"Better than {called} in every benchmark that scored them: {listed(everywhere)}.")
    if nowhere:
        said.append(f"Better than {called} in no benchmark: {listed(nowhere)}.")
    worse = tested[tested["loses"]]
    if len(worse):
        pairs = [f"{row.method} ({row.benchmark})" for row in worse.itertuples()]
        said.append(f"Worse than {called}: {listed(pairs)}.")
    if not everywhere and not nowhere:
        low, high = int(wins["sum"].min()), int(wins["sum"].max())
        span = f"{low}" if low == high else f"{low} to {high}"
        said.append(f"Methods are better than {called} in {span} of {int(wins['count'].max())} benchmarks.")
    return said


def _tested(result: Result, methods: pd.DataFrame, control: str) -> pd.DataFrame:
    """Per ranked method and benchmark: gain, the mean over the images that both have of how much better it is than the
    control, and p, corrected over the methods of the benchmark; NaN where it was not tested."""
    import pandas

    scores, rows = oriented(result), []
    for benchmark, ranked in methods.groupby("benchmark", sort=False):
        if (control, benchmark) not in scores:
            continue
        others = scores[control, benchmark]
        mine = [scores[name, benchmark] for name in ranked["method"]]
        if control == "random":
            p_values = ranked["p_random"].to_numpy(np.float64)
        else:
            p_values = holm(np.array([sign_flip_test(one, others) for one in mine]))
        for name, one, p in zip(ranked["method"], mine, p_values, strict=True):
            rows.append((name, benchmark, np.nanmean(one - others) if np.isfinite(p) else np.nan, p))
    return pandas.DataFrame(rows, columns=["method", "benchmark", "gain", "p"])


def _controls(result: Result, methods: pd.DataFrame) -> list[str]:
    """Where half of the methods are not shown to be better than edges, which know nothing of the model."""
    tested = _tested(result, methods, "sobel").dropna()
    better = ((tested["p"] < _ALPHA) & (tested["gain"] > 0)).groupby(tested["benchmark"], sort=False).mean()
    fooled = [str(benchmark) for benchmark, part in better.items() if part <= 0.5]
    if not fooled:
        return []
    return [
        f"Half of the methods or more are not shown to be better than Sobel edges, which know nothing of the model, in "
        f"{listed(fooled)}: there a good value is no evidence of an explanation."
    ]


def _centre(result: Result, methods: pd.DataFrame) -> list[str]:
    """Who does not find the object better than the centre pixel; corrected over the methods (Holm)."""
    said = []
    for benchmark, rows in _tested(result, methods, CENTRE).groupby("benchmark", sort=False):
        told = list(rows["method"][(rows["p"] < _ALPHA) & (rows["gain"] > 0)])
        centre = np.nanmean(result.arrays[f"{CENTRE}/{benchmark}"])
        said.append(
            f"The centre pixel, which looks at nothing, scores {share(centre)} in {benchmark}; shown to be better: "
            f"{listed(told) if told else 'no method'}."
        )
    return said


def _empty(table: pd.DataFrame) -> list[str]:
    """Benchmarks in which no image has a score, though nothing failed."""
    empty = [str(name) for name, rows in table.groupby("benchmark", sort=False) if (rows["images"] == 0).all()]
    empty = [name for name in empty if (table.loc[table["benchmark"] == name, "error"] == "").all()]
    return [f"No image has a score in {listed(empty)}, such as where none has a box."] if empty else []


def _unranked(table: pd.DataFrame) -> list[str]:
    few = table[table["value"].notna() & table["rank"].isna() & (table["kind"] != "baseline")]
    if few.empty:
        return []
    cells = [f"{row.method} ({row.benchmark}, {row.images} images)" for row in few.itertuples()]
    return [f"Not ranked, because most images have no score, such as those with constant maps: {listed(cells)}."]


def _left_out(table: pd.DataFrame) -> list[str]:
    """Ranked cells that lack the scores of some images that the benchmark judged for others."""
    judged = table["benchmark"].map(table.groupby("benchmark")["images"].max())
    some = table[table["rank"].notna() & (table["images"] < judged) & (table["error"] == "")]
    if some.empty:
        return []
    cells = [f"{row.method} ({row.benchmark}, {judged[row.Index] - row.images} images)" for row in some.itertuples()]
    return [f"Images without a score are left out of means and tests: {listed(cells)}."]


def _agreement(result: Result) -> list[str]:
    tau = result.arrays["tau"]
    pairs = tau[np.triu_indices(len(tau), 1)]
    pairs = pairs[np.isfinite(pairs)]
    if not pairs.size:
        return []
    middle = float(np.median(pairs))
    if middle < 0.3:
        verdict = "there is no one order of methods on which the benchmarks agree, so choose by the question you have"
    elif middle < 0.6:
        verdict = "the benchmarks agree in part"
    else:
        verdict = "the benchmarks agree largely, which shows that they measure the same, not that it is the right thing"
    return [
        f"Kendall's τ between the benchmarks' orders of the methods has the median {number(middle)} over "
        f"{_count(pairs.size, 'pair')} (from {number(pairs.min())} to {number(pairs.max())}): {verdict}."
    ]


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
