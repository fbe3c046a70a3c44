"""How much of the class the shape of the masks tells, and what remains of the gains without it.

Rong et al. 2022: what a retrained model can know of the class from a modified image x′ is what values tell beyond the
mask M, and what the mask tells by itself: I(x′; C) = I(x′; C | M) + I(M; C) − I(M; C | x′). Where the fill shows which
values are gone, the last term is 0, and what the mask tells is taken off to have the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.roar.grid import MASK_OF
from attribeval.benchmarks.roar.sentences import TITLES
from attribeval.benchmarks.roar.verdict import BETTER, CHANCE, UNMEASURED, UNTESTED, areas_of
from attribeval.metrics.correlation import spearman
from attribeval.results.numbers import gain_text, number, p_words, points_text, share

if TYPE_CHECKING:
    import pandas as pd

LEAKAGE, DEBIASED = "leakage", "debiased area vs random"
LEAK, NO_LEAK = "leaks", "no leak found"
_CELL = ["estimator", "fraction", "repeat"]


def leaks(cells: pd.DataFrame, level: float = 0.95, entropy: float | None = None) -> pd.DataFrame:
    """How much better than chance a model tells the class from the masks alone.

    Args:
        cells: Of `cells.cells_table`.
        level: Of the intervals, and 1 − α of the verdicts.
        entropy: Of the class of a test image, in bits; None: not known.

    Returns:
        One row per estimator whose masks were asked, random left out, the largest leak first; of one mode only, as what
        is removed and what is kept have the same outline. Columns: estimator; mode; leakage, low, high, repeats, p,
        p_holm: as the area of `verdict.areas`, of the accuracy of a model of masks above that of a model of random's
        masks, or above one in as many as there are classes where random has none; verdict ("leaks", "no leak found",
        "not tested", "not measured"); fraction, accuracy, chance: where masks tell most above chance, mean over
        repeats; bits: I(M; C) is at least this, by Fano's inequality at that accuracy; NaN without `entropy`.
    """
    import pandas as pd

    masks = _masks(cells)
    if CHANCE not in set(masks["estimator"]):
        masks = pd.concat([masks, _guesses(masks)], ignore_index=True)
    found = areas_of(masks, level)
    done = masks[masks["status"] == "done"].copy()
    chance = done[done["estimator"] == CHANCE].set_index(["fraction", "repeat"])["accuracy"]
    done["chance"] = chance.reindex(pd.MultiIndex.from_frame(done[["fraction", "repeat"]])).to_numpy()
    rows = []
    for row in found[found["estimator"] != CHANCE].to_dict("records"):
        mine = done[(done["estimator"] == row["estimator"]) & done["chance"].notna()]
        by_fraction = mine.groupby("fraction")[["accuracy", "chance", "classes"]].mean()
        row |= {"fraction": np.nan, "accuracy": np.nan, "chance": np.nan, "bits": np.nan}
        if len(by_fraction):
            fraction = (by_fraction["accuracy"] - by_fraction["chance"]).idxmax()
            accuracy, guessed, classes = by_fraction.loc[fraction]
            row |= {"fraction": fraction, "accuracy": accuracy, "chance": guessed}
            row |= {} if entropy is None else {"bits": fano(accuracy, int(classes), entropy)}
        told = {BETTER: LEAK, UNTESTED: UNTESTED, UNMEASURED: UNMEASURED}.get(row["verdict"], NO_LEAK)
        rows.append(row | {"verdict": told, "mode": cells["mode"][cells["kind"] == "leakage"].iloc[0]})
    names = ["estimator", "mode", "leakage", "low", "high", "repeats", "p", "p_holm", "verdict"]
    table = pd.DataFrame(rows, columns=[*names, "area", "fraction", "accuracy", "chance", "bits"])
    return table.assign(leakage=table.pop("area"))


def debiased(cells: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """`verdict.areas` of accuracies less what the masks alone tell: of methods and controls whose masks were asked.

    Accuracy after retraining − accuracy of the model of the same masks, for the method and for random. A repeat counts
    if all of these are there. Debiased gains of "remove" are the gain plus the leakage, those of "keep" the gain minus
    the leakage: a mask that tells the class hides, in ROAR, what its values would have told, and shows off in KAR.
    """
    masks = _masks(cells)
    ranked = cells[cells["kind"].isin(("method", "control")) & cells["estimator"].isin(set(masks["estimator"]))]
    told = masks[masks["status"] == "done"].set_index(_CELL)["accuracy"]
    mine = ranked.join(told.rename("told"), on=_CELL)
    status = mine["status"].where(mine["told"].notna(), "no mask")
    return areas_of(mine.assign(accuracy=mine["accuracy"] - mine["told"], status=status), level)


def fano(accuracy: float, classes: int, entropy: float) -> float:
    """The least mutual information of a class and of what a guess with this accuracy was made from, in bits.

    H(C) − h(e) − e log₂(K − 1), with e = 1 − accuracy and h the entropy of a coin (Fano 1961); not below 0.
    """
    if classes < 2 or accuracy <= 1 / classes:
        return 0.0
    wrong = 1 - accuracy
    coin = -sum(share * np.log2(share) for share in (accuracy, wrong) if share > 0)
    return max(0.0, float(entropy - coin - wrong * np.log2(classes - 1)))


def entropy_of(labels: np.ndarray) -> float:
    """The entropy of the classes of images, in bits."""
    shares = np.bincount(labels) / len(labels)
    return float(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum())


def leakage_sentences(leaking: pd.DataFrame, without: pd.DataFrame, plain: pd.DataFrame, settings: Any) -> list[str]:
    """What masks tell of the class, and what remains of each mode's ranking without it.

    `leaking` and `without` are of `leaks` and `debiased`, `plain` of `verdict.areas`.
    """
    if leaking.empty:
        return []
    said = [
        "Class leakage: a model trained on nothing but the shape of the masks is right, over all fractions, on so many "
        "points of the test images more than one of the masks of random, or than chance without these: "
        f"{'; '.join(_leak(row, settings) for row in leaking.itertuples())}. A retrained model can use what leaks."
    ]
    for mode, title in TITLES.items():
        of_mode = without[(without["mode"] == mode) & (without["estimator"] != CHANCE) & (without["repeats"] > 0)]
        both = of_mode.merge(plain[plain["mode"] == mode], on=["kind", "estimator"], suffixes=("", "_plain"))
        if len(both) < 2:
            continue
        gains = ", ".join(f"{row.estimator} {gain_text(row.area)}" for row in both.itertuples())
        rho = float(spearman(both["area"].to_numpy(), both["area_plain"].to_numpy()))
        order = "all alike" if rho != rho else "in the same order" if rho > 1 - 1e-9 else "in another order"
        changed = [
            f"{row.estimator} from {row.verdict_plain} to {row.verdict}"
            for row in both.itertuples()
            if row.verdict != row.verdict_plain
        ]
        said.append(
            f"{title}, debiased, less what the masks alone tell: {gains}; {order} as with it (ρ = {number(rho)}). "
            f"{'Verdicts that change: ' + '; '.join(changed) if changed else 'No verdict changes'}."
        )
    return said


def _leak(row: Any, settings: Any) -> str:
    """One estimator: over all fractions, and the fraction that tells most."""
    text = f"{MASK_OF}{row.estimator} {gain_text(row.leakage) if row.repeats else 'not measured'}"
    if np.isfinite(row.p_holm):
        level = share(settings["level"], 0)
        text += f" ({level} interval {points_text(row.low, row.high)}, {row.verdict}, {p_words(row.p_holm)})"
    elif row.repeats:
        text += " (not tested)"
    if np.isfinite(row.accuracy):
        text += f", most at {share(row.fraction, 0)}: {share(row.accuracy)} against {share(row.chance)}"
    if row.verdict == LEAK and np.isfinite(row.bits):
        text += f", at least {row.bits:.2f} of the {settings['class_entropy']:.2f} bits of the class"
    return text


def _masks(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of masks as if they were those of a method that keeps: the more is known, the better."""
    masks = cells[cells["kind"] == "leakage"].drop_duplicates(_CELL)
    return masks.assign(estimator=masks["estimator"].str.removeprefix(MASK_OF), kind="method", mode="keep")


def _guesses(masks: pd.DataFrame) -> pd.DataFrame:
    """Guessing among as many as there are classes, in the place of random's masks."""
    done = masks[masks["status"] == "done"].drop_duplicates(["fraction", "repeat"])
    return done.assign(estimator=CHANCE, accuracy=1 / done["classes"].clip(lower=1))
