"""What fails in a study is a row with its reason, in every study alike; strict raises; the next run tries again."""

from __future__ import annotations

import dataclasses
import errno
import html
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from attribeval import AttribevalError
from attribeval.methods.registry import build_method
from attribeval.report.views import terminal_text
from attribeval.results.result import Result
from attribeval.runs import failures

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "runs"))
import tiny

STUDIES = tiny.STUDIES
PLAIN = {"gradient": "gradient", "random": "random", "sobel": "sobel"}


@dataclasses.dataclass(frozen=True)
class Broken:
    """The gradient, unless told to raise: always, or for chunks with an image that is brighter than `above`."""

    above: float = -1.0
    card = dataclasses.replace(build_method("gradient").card, name="broken")
    mended = False

    def attribute(self, batch):
        if not Broken.mended and batch.raw.mean((1, 2, 3)).max() > self.above:
            raise RuntimeError("no such layer")
        return batch.gradient()


@pytest.fixture(autouse=True)
def broken(monkeypatch):
    monkeypatch.setattr(Broken, "mended", False)
    return monkeypatch


def methods_of(study, broken):
    own = {"gradient": "GRAD" if study == "roar" else "gradient", "broken": broken}
    return own | ({"random": "random", "sobel": "sobel"} if study == "roar" else {})


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """Of a study: a run in which a method always raises, once, and a function that copies its folder."""
    known = {}

    def of(study):
        if study not in known:
            folder = tmp_path_factory.mktemp(study) / "run"
            known[study] = STUDIES[study](folder, methods_of(study, Broken())), folder
        result, folder = known[study]
        return result, lambda where: Path(shutil.copytree(folder, where))

    return of


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Of a study: the same run if nothing fails, once."""
    known = {}

    def of(study):
        if study not in known:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(Broken, "mended", True)
                known[study] = STUDIES[study](tmp_path_factory.mktemp(study) / "run", methods_of(study, Broken()))
        return known[study]

    return of


@pytest.mark.parametrize("study", STUDIES)
def test_a_method_that_always_raises(study, tmp_path, broken, failed, undisturbed):
    """Its rows say why, the others have their numbers; strict raises; mended, all is as in an undisturbed run."""
    run = STUDIES[study]
    result, copy = failed(study)
    rows = result.table[result.table["method"] == "broken"]
    assert len(rows) and rows["value"].isna().all()
    assert rows["error"].str.contains("RuntimeError: no such layer").all()
    assert rows["error"].str.endswith(failures.AGAIN).all()
    others = result.table[result.table["method"] != "broken"]
    assert (others["error"] == "").all()
    (said,) = [sentence for sentence in result.summary if sentence.startswith("Failed: ")]
    assert f"{len(rows)} of {len(result.table)} rows" in said and "broken (" in said and "no such layer" in said
    assert failures.exit_code(result) == 1
    page = html.unescape(result.report(tmp_path / "page.html").read_text())
    assert said in page and said in Result.load(result.save(tmp_path / "result")).summary
    assert "failed" in terminal_text(result) or study in ("sanity", "roar")  # where numbers stand, not cells
    with pytest.raises(AttribevalError, match=r"no such layer.*strict|strict.*no such layer"):
        run(copy(tmp_path / "strict"), methods_of(study, Broken()), strict=True)
    broken.setattr(Broken, "mended", True)
    again, fresh = run(copy(tmp_path / "run"), methods_of(study, Broken())), undisturbed(study)
    assert tiny.outcome(again) == tiny.outcome(fresh) and failures.exit_code(again) == 0
    healthy = fresh.table[fresh.table["method"] != "broken"].set_index(keys_of(fresh.table))["value"]
    found = others.set_index(keys_of(fresh.table))["value"]
    assert found.sort_index().equals(healthy.sort_index())  # of what went well, nothing was lost or changed


def keys_of(table):
    return [name for name in ("method", "metric", "benchmark", "mode", "layer", "fraction") if name in table]


@pytest.mark.parametrize("study", ["wsol", "compare", "sanity", "bam"])
def test_a_method_that_raises_for_some_images(study, tmp_path, broken, failed, undisturbed):
    """It has scores of the images of the other chunks, and the row says which it lacks."""
    run = STUDIES[study]
    limit = threshold(study)
    failed(study)[1](tmp_path / "run")  # the other methods are done
    result = run(tmp_path / "run", methods_of(study, Broken(limit)))
    rows = result.table[result.table["method"] == "broken"]
    some = rows[rows["value"].notna() & (rows["error"] != "")]
    assert len(some) and some["error"].str.contains(r"images? \S+.*no such layer").all()
    broken.setattr(Broken, "mended", True)
    again, fresh = run(tmp_path / "run", methods_of(study, Broken(limit))), undisturbed(study)
    assert tiny.outcome(again) == tiny.outcome(fresh)
    key = keys_of(fresh.table)
    whole, part = fresh.table.set_index(key), some.set_index(key)
    assert (part["images"] < whole.loc[part.index, "images"]).all() and (part["images"] > 0).all()


def threshold(study):
    """So bright is the brightest image of the first chunk that the last chunk, which is short, has none above."""
    if study == "bam":
        from attribeval.benchmarks.bam.stimuli import of_part

        data = tiny._objects_on_scenes().test
        means = of_part(data, "composite", "object", np.arange(70)).load(np.arange(70))[0].mean((1, 2, 3))
        return float(means[64:].max()) + 1e-3
    n, chunk = (10, 4) if study == "compare" else (70, 32)
    means = tiny.samples(n).images.mean((1, 2, 3))
    last = means[(n - 1) // chunk * chunk :]
    assert means.max() > last.max()
    return float(last.max()) + 1e-3


def raises(*_, **__):
    raise ValueError("cannot score")


def test_a_metric_that_raises_in_wsol(tmp_path, monkeypatch):
    from attribeval.benchmarks.wsol import measure

    with monkeypatch.context() as patched:
        patched.setattr(measure, "energy_inside", raises)
        result = tiny.wsol(tmp_path / "run", strict=False)
        with pytest.raises(AttribevalError, match="cannot score"):
            tiny.wsol(tmp_path / "strict", strict=True)
    fails_alone(result, "metric", {"EnergyInBox"})
    again, fresh = tiny.wsol(tmp_path / "run"), tiny.wsol(tmp_path / "fresh")
    assert tiny.outcome(again) == tiny.outcome(fresh)


def test_a_metric_that_raises_in_compare(tmp_path, monkeypatch):
    from attribeval.metrics.complexity.sparseness import Sparseness

    with monkeypatch.context() as patched:
        patched.setattr(Sparseness, "score", raises)
        result = tiny.compare(tmp_path / "run")
        with pytest.raises(AttribevalError, match="cannot score"):
            tiny.compare(tmp_path / "strict", strict=True)
    fails_alone(result, "benchmark", {"sparseness"})
    assert tiny.outcome(tiny.compare(tmp_path / "run")) == tiny.outcome(tiny.compare(tmp_path / "fresh"))


def test_a_metric_that_raises_in_sanity(tmp_path, monkeypatch):
    from attribeval.metrics.sanity.similarity import SIMILARITIES

    one = SIMILARITIES["ssim"]
    with monkeypatch.context() as patched:
        patched.setitem(SIMILARITIES, "ssim", dataclasses.replace(one, compare=raises))
        result = tiny.sanity(tmp_path / "run")
        with pytest.raises(AttribevalError, match="cannot score"):
            tiny.sanity(tmp_path / "strict", strict=True)
    fails_alone(result, "metric", {"ssim"})
    assert tiny.outcome(tiny.sanity(tmp_path / "run")) == tiny.outcome(tiny.sanity(tmp_path / "fresh"))


def test_a_metric_that_raises_in_bam(tmp_path, monkeypatch, broken, undisturbed):
    from attribeval.benchmarks.bam import gather, summary

    broken.setattr(Broken, "mended", True)
    methods = methods_of("bam", Broken())
    with monkeypatch.context() as patched:
        patched.setattr(summary, "depends", raises)
        patched.setattr(gather, "score_concept", raises)
        result = tiny.bam(tmp_path / "run", methods)
        shutil.copytree(tmp_path / "run", tmp_path / "strict")  # with the nets
        with pytest.raises(AttribevalError, match="cannot score"):
            tiny.bam(tmp_path / "strict", methods, strict=True)
    table = result.table
    assert set(table["metric"][(table["error"] != "") & (table["method"] != "tcav")]) == {
        "IDR",
        "IDRMoved",
        "IDRSmaller",
    }
    assert set(table["metric"][(table["error"] != "") & (table["method"] == "tcav")]) == {"MCS"}
    assert table[table["error"] != ""]["error"].str.contains("ValueError: cannot score").all()
    healthy = table[(table["error"] == "") & (table["metric"] != "MCSCorrelation")]  # of which two k say nothing
    assert healthy["value"].notna().all()
    assert tiny.outcome(tiny.bam(tmp_path / "run", methods)) == tiny.outcome(undisturbed("bam"))


def fails_alone(result, column, names):
    table = result.table
    assert set(table[column][table["error"] != ""]) == names
    bad = table[table[column].isin(names)]
    assert bad["value"].isna().all() and bad["error"].str.contains("ValueError: cannot score").all()
    assert any(s.startswith("Failed: ") and f"every method by {', '.join(names)}" in s for s in result.summary)


# ------------------------------------------------------------------------------------------------ what is never caught


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_full_disk_and_ctrl_c_end_the_run(study, error, tmp_path, monkeypatch, failed):
    """A run in which all but one method is done."""
    folder = failed(study)[1](tmp_path / "run")

    def attribute(self, batch):
        raise error

    monkeypatch.setattr(Broken, "attribute", attribute)
    with pytest.raises((type(error), AttribevalError)) as caught:
        STUDIES[study](folder, methods_of(study, Broken()))
    assert caught.value is error or failures.is_disk_full(caught.value)


def test_a_mistake_of_the_user_ends_the_run_before_anything_is_computed(tmp_path):
    for study, run in STUDIES.items():
        with pytest.raises(AttribevalError, match="Unknown"):
            run(tmp_path / study, ["gradcan"])
        assert not list((tmp_path / study).rglob("*.npz"))


def test_cam_on_a_net_with_flatten_is_a_row(tmp_path):
    """Its head has no weights for the maps' places, which is no reason to end a run of other methods."""
    import keras

    from attribeval import Attributer, Evaluator

    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((12, 12, 3)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(3)]
    )
    evaluator = Evaluator(Attributer(model), tiny.samples(5))
    result = evaluator.wsol(["gradient", "cam"], progress=False)
    rows = result.table.set_index("method")
    assert rows.loc["cam", "value"].isna().all() and rows.loc["cam", "error"].str.contains("no maps: ").all()
    assert rows.loc["gradient", "value"].notna().all() and not any("directory" in s for s in result.summary)


def test_the_command_line_says_what_failed_and_ends_with_1(tmp_path, capsys):
    """Each of the commands ends with `failures.exit_code`; here one from end to end, strict and not."""
    import keras
    from PIL import Image

    from attribeval.cli import main

    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((12, 12, 3)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(3)]
    )
    model.save(tmp_path / "net.keras")
    Image.fromarray(tiny.pictures(1, 0)[0][0]).save(tmp_path / "x.png")
    words = [
        "sanity",
        "--model",
        tmp_path / "net.keras",
        "--methods",
        "gradient",
        "cam",
        "--images",
        tmp_path / "x.png",
    ]
    words = [str(word) for word in [*words, "--run-dir", tmp_path / "run"]]
    assert main(words) == 1
    said = capsys.readouterr()
    (line,) = [line for line in said.out.splitlines() if line.startswith("Failed: ")]
    assert "cam (the trained model: " in line and line.endswith("The next run of this directory tries them again.")
    assert main([*words, "--strict"]) == 2
    said = capsys.readouterr()
    assert len(said.err.strip().splitlines()) == 1 and "strict" in said.err
    assert main([word for word in words if word != "cam"]) == 0


# ------------------------------------------------------------------------------------------------------------- one word


def test_each_takes_no_other_down():
    asked = []

    def work(some):
        asked.append(sorted(some))
        if "b" in some:
            raise OSError("b is ill")
        return {label: value * 2 for label, value in some.items()}

    assert failures.each(work, {"a": 1, "b": 2, "c": 3}) == ({"a": 2, "c": 6}, {"b": "OSError: b is ill"})
    assert asked == [["a", "b", "c"], ["a"], ["b"], ["c"]]
    assert failures.each(work, {}) == ({}, {})
    with pytest.raises(AttribevalError, match=r"OSError: b is ill.*strict"):
        failures.each(work, {"b": 1}, strict=True)


def test_what_a_row_says():
    assert failures.row_text([], 3) == ""
    assert failures.row_text(["why."], 1) == "why."
    assert failures.row_text(["why.", "else"], 3) == "why. (2 of 3 chunks)"
    assert failures.row_text(["why."], 1, kept=True) == f"why. {failures.AGAIN}"
    assert failures.of_images(3, 3, "x") == "image 3: x" and failures.of_images("a", "b", "x") == "images a to b: x"
