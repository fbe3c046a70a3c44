"""A leaderboard in words: first what may be concluded, then what may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result

_NAMED = 4  # names in a row before "and n more"
_ALPHA = 0.05


def sentences(result: Result) -> list[str]:
    """The outcome; a difference is claimed only where its corrected p-value is below .05."""
    table = result.table
    methods = table[(table["kind"] == "method") & table["rank"].notna()]
    said = []
    if len(methods):
        said += [_first_places(methods), *_against_random(table, methods)]
    said += _controls(table)
    said += [*_unranked(table), *_failures(table)]
    said += _agreement(result)
    ranks = [row for row in result.settings["average_ranks"] if row["family"] == "all" and row["value"] is not None]
    ranks = [row for row in ranks if row["kind"] == "method"]
    if ranks and result.table["benchmark"].nunique() > 1:
        best = ranks[0]
        said.append(
            f"On average over {_count(len(set(result.settings['families'].values())), 'family', 'families')} of "
            f"benchmarks {best['method']} ranks first (mean rank {best['value']:.1f}, 95 % interval {best['low']:.1f} "
            f"to {best['high']:.1f}). That is a summary of opinions: which questions were asked decides it, and so "
            "does which methods took part."
        )
    images = result.settings["images"]
    few = " With so few images intervals are too narrow and few differences can show." if images < 20 else ""
    said.append(
        f"Intervals and tests are over these {images} images of one model: they say nothing of other models or other "
        f"kinds of images. A shared letter means that no difference was shown, not that there is none.{few}"
    )
    return said


def _first_places(methods: pd.DataFrame) -> str:
    """Who leads, and whether anybody can be told from the leader."""
    benchmarks = list(dict.fromkeys(methods["benchmark"]))
    alone, led = 0, {}
    for benchmark in benchmarks:
        rows = methods[methods["benchmark"] == benchmark]
        leader = rows.iloc[0]
        led.setdefault(leader["method"], []).append(benchmark)
        alone += not any(_letters(leader["group"]) & _letters(other) for other in rows["group"].iloc[1:])
    leaders = sorted(led, key=lambda name: -len(led[name]))
    some = [f"{name} ({_names(led[name])})" for name in leaders[:_NAMED]]
    more = f", and {len(leaders) - _NAMED} more" if len(leaders) > _NAMED else ""
    return (
        f"Best value of a method by benchmark: {'; '.join(some)}{more}. In {alone} of {len(benchmarks)} benchmarks the "
        "best method can be told apart from all other methods."
    )


def _letters(group: str) -> set[str]:
    """The groups that a method is in: letters, or numbers with blanks between them where letters do not suffice."""
    return set(group.split() if any(mark.isdigit() for mark in group) else group)


def _against_random(table: pd.DataFrame, methods: pd.DataFrame) -> list[str]:
    """Who is better than noise, and who is not."""
    said = []
    rank_of_random = table[table["method"] == "random"].set_index("benchmark")["rank"]
    ahead = methods["rank"] - methods["benchmark"].map(rank_of_random)
    clear = methods["p_random"] < _ALPHA
    better = methods.assign(beats=clear & (ahead < 0), loses=clear & (ahead > 0))
    tested = better[better["p_random"].notna()]
    if tested.empty:
        return []
    wins = tested.groupby("method", sort=False)["beats"].agg(["sum", "count"])
    everywhere = [name for name, row in wins.iterrows() if row["sum"] == row["count"]]
    nowhere = [name for name, row in wins.iterrows() if row["sum"] == 0]
    if everywhere:
        said.append(f"Better than random maps in every benchmark that scored them: {_names(everywhere)}.")
    if nowhere:
        said.append(f"Better than random maps in no benchmark: {_names(nowhere)}.")
    worse = tested[tested["loses"]]
    if len(worse):
        pairs = [f"{row.method} ({row.benchmark})" for row in worse.itertuples()]
        said.append(f"Worse than random maps: {_names(pairs)}.")
    if not everywhere and not nowhere:
        low, high = int(wins["sum"].min()), int(wins["sum"].max())
        said.append(f"Methods are better than random maps in {low} to {high} of {int(wins['count'].max())} benchmarks.")
    return said


def _controls(table: pd.DataFrame) -> list[str]:
    """Where edges, which know nothing of the model, do as well as half of the methods."""
    fooled = []
    for benchmark, rows in table[table["value"].notna()].groupby("benchmark", sort=False):
        edges = rows[rows["method"] == "sobel"]
        methods = rows[rows["kind"] == "method"]
        if len(edges) and len(methods) and (methods["rank"] > edges["rank"].iloc[0]).mean() >= 0.5:
            fooled.append(str(benchmark))
    if not fooled:
        return []
    return [
        f"Sobel edges, which know nothing of the model, do better than half of the methods in {_names(fooled)}: there "
        "a good value is no evidence of an explanation."
    ]


def _unranked(table: pd.DataFrame) -> list[str]:
    few = table[table["value"].notna() & table["rank"].isna()]
    if few.empty:
        return []
    cells = [f"{row.method} ({row.benchmark}, {row.images} images)" for row in few.itertuples()]
    return [f"Not ranked, because most images have no score, such as those with constant maps: {_names(cells)}."]


def _failures(table: pd.DataFrame) -> list[str]:
    failed = table[table["error"] != ""]
    if failed.empty:
        return []
    first = failed.iloc[0]
    return [
        f"{_count(len(failed), 'cell')} of {len(table)} lack scores, such as {first['method']} by {first['benchmark']} "
        f"({_short(first['error'])}); they are tried again when the run is started again."
    ]


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
        f"Kendall's τ between the benchmarks' orders of the methods has the median {middle:.2f} over "
        f"{_count(pairs.size, 'pair')} (from {pairs.min():.2f} to {pairs.max():.2f}): {verdict}."
    ]


def _names(names: list[Any]) -> str:
    names = [str(name) for name in names]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _short(text: str) -> str:
    return text if len(text) <= 160 else text[:159] + "…"
