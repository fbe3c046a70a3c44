"""Metrics of the user beside ours, what other packages register, and both on the command line."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import attribeval
from attribeval import Attributer, Evaluator
from attribeval.cli import main
from attribeval.datasets import digit_scenes
from attribeval.errors import AttribevalError
from attribeval.methods.given import labelled
from attribeval.metrics.localisation.energy_in_box import EnergyInBox


@pytest.fixture(scope="module")
def evaluator():
    return Evaluator(Attributer("digit_objects"), digit_scenes(n_train=1, n_test=5).test.samples())


@attribeval.metric(better="low", family="faithfulness")
def middle_left(maps, images, targets, predict):
    """Probability left when the middle is grey."""
    painted = images.copy()
    painted[:, 24:40, 24:40] = 127
    return predict(painted)[np.arange(len(images)), targets]


# ------------------------------------------------------------------------------------------------------ metrics


def test_metrics_of_the_user_have_the_numbers_that_they_return(evaluator):
    samples = evaluator.dataset
    boxes = samples.boxes_at((64, 64))

    def inside(maps, images, targets):
        """Energy in the box, written again."""
        shares = []
        for heat, image in zip(maps, images, strict=True):
            (item,) = np.flatnonzero((samples.images == image).all((1, 2, 3)))
            mask = np.zeros((64, 64), bool)
            for x0, y0, x1, y1 in boxes[item]:
                centres = np.arange(64) + 0.5
                mask |= ((centres >= y0) & (centres < y1))[:, None] & ((centres >= x0) & (centres < x1))[None]
            shares.append(heat[mask].sum() / heat.sum())
        return shares

    benchmarks = {"theirs": "energy_in_box", "object": EnergyInBox(), "mine": inside, "middle": middle_left}
    result = evaluator.compare(["gradient", "gradcam"], benchmarks, progress=False)
    scores = dict(zip(benchmarks, result.arrays["scores"].transpose(1, 0, 2), strict=True))
    np.testing.assert_array_equal(scores["theirs"], scores["object"])
    np.testing.assert_allclose(scores["mine"][:2], scores["theirs"][:2], rtol=1e-5)
    painted = samples.images.astype(np.float32)
    painted[:, 24:40, 24:40] = 127
    targets = evaluator.attributer.predict(samples).argmax(1)
    expected = evaluator.attributer.predict(painted)[np.arange(5), targets]
    np.testing.assert_allclose(scores["middle"], np.broadcast_to(expected, (4, 5)), rtol=1e-5)
    table = result.table.set_index("benchmark")
    assert set(table.loc["middle", "better"]) == {"low"} and set(table.loc["mine", "better"]) == {"high"}
    assert set(table.loc["middle", "family"]) == {"faithfulness"} and set(table.loc["mine", "family"]) == {"own"}
    assert list(labelled([middle_left, EnergyInBox(), "deletion(steps=4)"], "benchmark")) == [
        "middle_left", "energy_in_box", "deletion(steps=4)",
    ]  # fmt: skip
    named = attribeval.metric(name="area")(lambda maps, images, targets: maps.mean((1, 2)))
    assert list(labelled([named], "benchmark")) == ["area"], "what the decorator was told"


def test_a_metric_gets_maps_as_the_card_of_the_method_reads_them(evaluator):
    seen = {}

    def keep(maps, images, targets):
        seen[len(seen)] = maps.copy()
        maps[:] = images[:] = targets[:] = 0  # they are its own
        return np.full(len(images), np.nan)

    result = evaluator.compare(["gradient", "gradient_x_input"], {"keep": keep, "entropy": "entropy"}, progress=False)
    explained = evaluator.attributer.explain_many(evaluator.dataset, ["gradient", "gradient_x_input"], progress=False)
    np.testing.assert_allclose(seen[0], np.abs(explained["gradient"].values).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(seen[1], explained["gradient_x_input"].values.sum(-1), rtol=1e-4, atol=1e-6)
    alone = evaluator.compare(["gradient", "gradient_x_input"], ["entropy"], progress=False)
    np.testing.assert_array_equal(result.arrays["scores"][:, 1], alone.arrays["scores"][:, 0])
    assert result.table.set_index("benchmark").loc["keep", "value"].isna().all()


def test_what_is_wrong_with_a_metric(evaluator):
    for benchmarks, said in [
        ({"mine": lambda maps: 0}, r"the metric 'mine' as f\(maps, images, targets\) or f.*\(maps\): wrap it"),
        ({"mine": 3}, "'mine' to be the name of a benchmark, a benchmark object, or a function.*Received: int"),
        ({"mine": EnergyInBox}, "Received: EnergyInBox"),
        ([], "at least one benchmark"),
        ([lambda maps, images, targets: 0, lambda maps, images, targets: 1], "benchmarks with names of their own"),
    ]:
        with pytest.raises(AttribevalError, match=said):
            evaluator.compare(["gradient"], benchmarks, progress=False)
    with pytest.raises(AttribevalError, match=r"better as 'high' or 'low'. Received: 'more'"):
        attribeval.metric(better="more")
    wrong = {
        "few": lambda maps, images, targets: np.zeros(2), "text": lambda maps, images, targets: ["a"] * len(maps),
        "breaks": lambda maps, images, targets: {}["key"],
        "infinite": lambda maps, images, targets: [np.inf] * len(maps),
    }  # fmt: skip
    errors = evaluator.compare(["gradient"], wrong, progress=False).table.groupby("benchmark")["error"].first()
    assert "Expected 5 real numbers from the metric 'few', one for each image. Received: float64 (2,)" in errors["few"]
    assert "from the metric 'text'" in errors["text"] and "KeyError: 'key'" in errors["breaks"]
    assert "Received infinity for image 0" in errors["infinite"]


# ------------------------------------------------------------------------------------------------------ plugins

PACKAGE = '''
import attribeval
from dataclasses import dataclass
from typing import Any, ClassVar
from attribeval.methods.card import Card

print("imported", __name__)


@dataclass(frozen=True)
class Doubled:
    """Twice the gradient.

    Attributes:
        times: How often.
    """

    times: int = 2
    card: ClassVar[Card] = Card("doubled", "gradient", "twice", "gradients", "1 + 1", "", "", "", True)

    def attribute(self, batch: Any) -> Any:
        return self.times * batch.gradient()


@attribeval.method(signed=False)
def brightness(images, targets):
    return images.mean(-1)


@attribeval.metric(better="low")
def size(maps, images, targets):
    return abs(maps).mean((1, 2))


nonsense = 3
'''
POINTS = """
[attribeval.methods]
Their-Doubled = their_methods:Doubled
brightness = their_methods:brightness
absent = no_such_package:Thing
nonsense = their_methods:nonsense
gradient = their_methods:Doubled

[attribeval.metrics]
size = their_methods:size
gone = their_methods:gone
"""
ASK = """
import sys, warnings
import attribeval
assert not {"tensorflow", "their_methods", "numpy"} & set(sys.modules)
warnings.simplefilter("always")
from attribeval.methods.registry import build_method, cards, names
assert "their_methods" not in sys.modules
with warnings.catch_warnings(record=True) as first:
    assert names()[-4:] == ["absent", "brightness", "nonsense", "their_doubled"], names()[-4:]
assert "their_methods" not in sys.modules
with warnings.catch_warnings(record=True) as told:
    listed, again = cards(), cards()
assert [card.name for card in listed][-2:] == ["brightness", "doubled"] and listed == again
said = [str(one.message) for one in (*first, *told)]
assert len(said) == 3, said
for part in ("attribeval.methods 'gradient' of their-methods 1.5 (their_methods:Doubled) is left out: the name is one",
             "'absent' of their-methods 1.5 (no_such_package:Thing) is left out: ModuleNotFoundError: No module named",
             "'nonsense' of their-methods 1.5 (their_methods:nonsense) is left out: Attribeval"):
    assert sum(part in one for one in said) == 1, (part, said)
assert "tensorflow" not in sys.modules
import numpy as np
from attribeval import Attributer, Evaluator
from attribeval.datasets import digit_scenes
samples = digit_scenes(n_train=1, n_test=2).test.samples()
attributer = Attributer("digit_objects")
assert {"their_doubled", "absent"} <= set(attributer.methods)
maps = attributer.explain_many(samples, ["gradient", "their_doubled(times=3)", "their-doubled", "brightness",
                                         "squared(their_doubled)"], progress=False)
ours = maps["gradient"].values
assert (maps["their_doubled(times=3)"].values == 3 * ours).all() and (maps["their-doubled"].values == 2 * ours).all()
assert (maps["squared(their_doubled)"].values == (2 * ours) ** 2).all()
assert np.allclose(maps["brightness"].values[..., 0], samples.images.mean(-1))
for wrong, told in [("absent", "No module named"), ("brightness(a=1)", "without options"),
                    ("their_doubled(time=1)", "Did you mean 'times'")]:
    try:
        build_method(wrong)
    except attribeval.AttribevalError as error:
        assert told in str(error), error
    else:
        raise SystemExit(wrong)
with warnings.catch_warnings(record=True) as told:
    table = Evaluator(attributer, samples).compare(["gradient", "their_doubled"], ["size"], progress=False).table
assert not [one for one in told if "their" in str(one.message)]
values = table.set_index("method")["value"]
assert np.isclose(values["their_doubled"], 2 * values["gradient"]) and set(table["better"]) == {"low"}
from attribeval.cli import main
assert main(["bench", "--list"]) == 0 and main(["methods"]) == 0 and main(["methods", "--json"]) == 0
"""


def test_other_packages_register_methods_and_metrics(tmp_path):
    """Nothing is imported before it is asked for; one that is broken is one warning, and the others go on."""
    (tmp_path / "their_methods.py").write_text(PACKAGE)
    about = tmp_path / "their_methods-1.5.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-methods\nVersion: 1.5\n")
    (about / "entry_points.txt").write_text(POINTS)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{ASK}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("imported their_methods") == 1
    assert "brightness" in done.stdout and '"name": "doubled"' in done.stdout and "size" in done.stdout


# ----------------------------------------------------------------------------------------------------- commands

OWN = """
import attribeval
from attribeval import Attributer


def gradient(model, images, targets, seed):
    return Attributer(model).explain(images, "gradient", targets, progress=False).values


def peak(maps, images, targets):
    return maps.max((1, 2))
"""


def test_commands_take_functions_of_files_and_maps(tmp_path, capsys):
    from PIL import Image

    file = tmp_path / "own.py"
    file.write_text(OWN)
    samples = digit_scenes(n_train=1, n_test=3).test.samples()
    photographs = [str(tmp_path / f"{i}.png") for i in range(3)]
    for image, path in zip(samples.images, photographs, strict=True):
        Image.fromarray(image).save(path)
    model = ["--model", "digit_objects"]
    out = tmp_path / "out"
    assert main(["explain", *photographs, "--method", f"mine={file}:gradient", "gradient", *model, "-o", str(out)]) == 0
    for i in range(3):
        mine, ours = (attribeval.Attributions.load(out / name / f"{i}.png.npz") for name in ("mine", "gradient"))
        np.testing.assert_array_equal(mine.values, ours.values)
    assert main(["explain", *photographs, "--method", f"{file}:gradient", *model, "-o", str(out / "one")]) == 0
    assert (out / "one" / "gradient" / "2.png.npz").is_file()
    file.write_text(OWN.replace(".values", ".values * 2"))
    assert main(["explain", *photographs, "--method", f"mine={file}:gradient", *model, "-o", str(out)]) == 2
    assert "options of mine was" in capsys.readouterr().err  # an edited function is another method
    file.write_text(OWN)
    methods = ["--methods", f"mine={file}:gradient", "gradient"]
    words = ["bench", "--limit", "3"]
    maps = Attributer("digit_objects").explain(samples, "gradient", progress=False).save(tmp_path / "maps.npz")
    ready = [f"ready={maps}"]
    benchmarks = ["--benchmarks", "sparseness", f"peak={file}:peak"]
    assert main([*words, *model, *methods, *ready, *benchmarks, "-o", str(tmp_path / "bench")]) == 0
    table = _table(tmp_path / "bench")
    for _, rows in table.groupby("benchmark"):
        values = rows.set_index("method")["value"]
        assert values["mine"] == values["gradient"] == values["ready"]
    assert set(table["benchmark"]) == {"sparseness", "peak"}
    assert main(["wsol", *words[1:], *model, *methods, "-o", str(tmp_path / "wsol")]) == 0
    for _, rows in _table(tmp_path / "wsol").groupby("metric"):
        values = rows.set_index("method")["value"]
        assert values["mine"] == values["gradient"] or np.isnan(values["gradient"])
    capsys.readouterr()
    assert main(["sanity", *model, "--limit", "2", "--methods", *ready]) == 2
    assert "give a function f(model, images, targets, seed)" in capsys.readouterr().err
    assert main(["sanity", *model, "--limit", "2", "--layers", "1", "--modes", "cascading", *methods]) == 0
    dry = ["bench", *model, *methods, *ready, *benchmarks, "--dry-run"]
    assert main(dry) == 0 and main([*dry, "--methods", "gone=own_gone.py:f"]) == 2


def _table(folder):
    import pandas as pd

    return pd.read_csv(next(folder.glob("*.csv")))
