"""One list of arguments per study: signature, flags, help, --config and --dry-run follow from its dataclass."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import typing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attribeval import AttribevalError, Attributer, Evaluator
from attribeval.benchmarks.agreement.options import AgreementOptions
from attribeval.benchmarks.bam.options import BamOptions
from attribeval.benchmarks.leaderboard.options import CompareOptions
from attribeval.benchmarks.roar.options import GridOptions, RoarOptions, WorkOptions
from attribeval.benchmarks.sanity.options import SanityOptions
from attribeval.benchmarks.wsol.options import WsolOptions
from attribeval.cli import config, main, parser
from attribeval.cli.arguments import add, given
from attribeval.common.arguments import described, takes
from attribeval.metrics.localisation.pointing_game import TOLERANCE
from attribeval.models.run_options import Precision
from attribeval.models.task import TaskName

LEAVES = {leaf.prog.removeprefix("attribeval "): leaf for leaf in config.leaves(parser())}
STUDIES = {
    "wsol": (Evaluator.wsol, WsolOptions, "wsol"),
    "sanity": (Evaluator.sanity, SanityOptions, "sanity"),
    "compare": (Evaluator.compare, CompareOptions, "bench"),
    "bam": (Evaluator.bam, BamOptions, "bam run"),
    "roar": (Evaluator.roar, RoarOptions, "roar run"),
    "agreement": (Evaluator.agreement, AgreementOptions, "agreement"),
}
# Fields whose flag is called otherwise, or that have none, and why.
RENAMED = {
    ("bam", "images"): "limit",  # --images are paths, in every command
    ("roar", "executor_options"): "executor-option",  # one name=value after the other
    **{(study, "progress"): "quiet" for study in STUDIES},  # says the opposite
}
NO_FLAG = {("roar", "callbacks"), ("agreement", "results")}  # Python objects or functions; typed without a flag
WITH_MODEL = ("explain", "concepts", "wsol", "sanity", "bench", "crosscheck", "selftest")
MODEL_RENAMED = {"output": "model-output"}  # --output is where files go, in every command


def flags(leaf: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {
        option.lstrip("-"): action for action in leaf._actions for option in action.option_strings if option[:2] == "--"
    }


# -- the facade --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("study", STUDIES)
def test_the_facade_has_the_fields_as_its_arguments(study):
    function, options, _ = STUDIES[study]
    shown = [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "build_model")]
    shown = [p for p in shown if (study, p.name) != ("roar", "dataset")]
    fields = {field.name: field for field in dataclasses.fields(options)}
    assert [p.name for p in shown] == list(inspect.signature(options).parameters) and {*fields} == {
        p.name for p in shown
    }
    for p in shown:
        missing = fields[p.name].default is dataclasses.MISSING
        assert p.default == (inspect.Parameter.empty if missing else fields[p.name].default)
        assert p.annotation == fields[p.name].type
        positional = p.name in ("methods", "benchmarks", "data", "results")
        assert p.kind == (p.POSITIONAL_OR_KEYWORD if positional else p.KEYWORD_ONLY)
    doc = inspect.getdoc(function)
    for name, said in described(options).items():
        assert f"\n    {name}: {said[:30]}" in doc, name
    assert doc.index("Args:") < doc.index("Returns:")


@pytest.mark.parametrize("study", STUDIES)
def test_every_field_is_described_and_the_first_sentence_is_short(study):
    options = STUDIES[study][1]
    said = described(options)
    assert set(said) == {field.name for field in dataclasses.fields(options)}
    for name, text in said.items():
        assert text[0].isupper() and text.endswith("."), name
        assert len(re.split(r"\.(?: |$)", text)[0]) <= 110, name


def test_an_unknown_argument_is_named_with_the_nearest():
    with pytest.raises(AttribevalError, match=r"argument of Evaluator\.roar: 'fraction'\. Did you mean 'fractions'"):
        Evaluator.roar(None, None, run_dir="x", fraction=[0.5])
    with pytest.raises(AttribevalError, match=r"argument of Evaluator\.bam: 'series_image'\. Did you mean"):
        Evaluator.bam(run_dir="x", series_image=3)
    bare = Evaluator.__new__(Evaluator)
    for call, word in ((bare.wsol, "iuo"), (bare.sanity, "layer"), (bare.compare, "chunks")):
        with pytest.raises(AttribevalError, match=rf"Unknown argument of Evaluator\.\w+: '{word}'\. Did you mean"):
            call(**{word: 1})
    with pytest.raises(AttribevalError, match="'run_dir'"):
        Evaluator.bam()
    with pytest.raises(AttribevalError, match="too many positional arguments"):
        bare.wsol(["gradient"], ["PxAP"])


@pytest.mark.parametrize(
    ("options", "change", "said"),
    [
        (WsolOptions, {"iou": 1.5}, "iou"),
        (WsolOptions, {"iou": "half"}, "Expected iou to be a finite number. Received: 'half'"),
        (WsolOptions, {"tolerance": -1}, "tolerance"),
        (WsolOptions, {"tolerance": float("nan")}, "tolerance to be a finite number"),
        (WsolOptions, {"held_out": 1}, "held_out"),
        (WsolOptions, {"protocol": "referense"}, "Unknown protocol: 'referense'. Did you mean 'reference'"),
        (WsolOptions, {"strict": 1}, "strict to be True or False"),
        (WsolOptions, {"metrics": ["PxA"]}, "'PxAP'"),
        (WsolOptions, {"metrics": "PxAP"}, "metrics to be a list, each a text or None"),
        (WsolOptions, {"batch_size": 0}, "batch_size"),
        (WsolOptions, {"seed": True}, "seed to be an int"),
        (WsolOptions, {"run_dir": 3}, "run_dir to be a text or a path or None"),
        (SanityOptions, {"modes": []}, "each once"),
        (SanityOptions, {"modes": ["independent", "independent"]}, "each once"),
        (SanityOptions, {"layers": 0}, "layers"),
        (SanityOptions, {"similarities": ["sim"]}, "Did you mean 'ssim'"),
        (CompareOptions, {"chunk": 0}, "chunk"),
        (CompareOptions, {"cache": True}, "cache"),
        (BamOptions, {"run_dir": "x", "ks": [0.5]}, "end with 1"),
        (BamOptions, {"run_dir": "x", "ks": ["half", 1]}, "ks to be a list, each a finite number"),
        (BamOptions, {"run_dir": "x", "random_sets": 1}, "random_sets to be an int of 2 or more"),
        (BamOptions, {"run_dir": "x", "strategy": "mirored"}, "Did you mean 'mirrored'"),
        (BamOptions, {"run_dir": "x", "net": "vgg"}, "Unknown net"),
        (GridOptions, {"modes": "keep"}, "modes to be a list, each one of remove, keep"),
        (GridOptions, {"controls": ["leak"]}, "Did you mean 'leakage'"),
        (GridOptions, {"fill": "means"}, "mean, blur, linear"),
        (GridOptions, {"fill": []}, "mean, blur, linear"),
        (GridOptions, {"recipe": "smal"}, "Did you mean 'small'"),
        (GridOptions, {"preprocess": "cafe"}, "Did you mean 'caffe'"),
        (GridOptions, {"fractions": [0.5, 0.3]}, "sort them"),
        (GridOptions, {"repeats": 0}, "repeats"),
        (WorkOptions, {"executor": "rya"}, "Did you mean 'ray'"),
        (WorkOptions, {"jobs": 0}, "jobs"),
        (WorkOptions, {"executor": "slurm", "jobs": 2}, "'local' only"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(options, change, said):
    with pytest.raises(AttribevalError, match=re.escape(said)):
        options(**change)


def test_numbers_of_numpy_are_numbers():
    assert WsolOptions(iou=np.float32(0.5), seed=np.int64(3), held_out=np.int32(4)).seed == 3
    assert SanityOptions(layers=np.int64(2)).layers == 2
    assert GridOptions(fill=np.array([1, 2, 3], np.float32), fractions=np.array([0.5, 1.0])).repeats == 5
    assert WsolOptions().tolerance == TOLERANCE


def test_arguments_come_as_they_were_given():
    @takes(WsolOptions)
    def run(first, options):
        """Do it."""
        return first, options

    @takes(WsolOptions)
    def refuse(first, options):
        """Do it.

        Args:
            first: The first.

        Raises:
            AttribevalError: Always.
        """

    assert "\n    first: The first.\n    methods: Methods to score." in refuse.__doc__
    assert refuse.__doc__.index("progress: ") < refuse.__doc__.index("\n\nRaises:\n    AttribevalError: Always.")
    assert run(1, ["lime"], iou=0.3) == (1, WsolOptions(["lime"], iou=0.3))
    assert run(first=1, methods="lime") == (1, WsolOptions("lime"))
    with pytest.raises(AttribevalError, match="missing a required argument: 'first'"):
        run(iou=0.3)


# -- flags -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("study", STUDIES)
def test_the_command_line_reaches_every_field(study):
    _, options, command = STUDIES[study]
    there = flags(LEAVES[command])
    for field in dataclasses.fields(options):
        flag = RENAMED.get((study, field.name), field.name.replace("_", "-"))
        assert (flag in there) != ((study, field.name) in NO_FLAG), field.name
    typed = {
        name for name in STUDIES for field in dataclasses.fields(STUDIES[name][1]) if (name, field.name) in NO_FLAG
    }
    assert typed == {"roar", "agreement"}


@pytest.mark.parametrize("command", WITH_MODEL)
def test_the_command_line_reaches_every_argument_of_attributer(command):
    there = flags(LEAVES[command])
    kinds = {"precision": typing.get_args(Precision), "task": typing.get_args(TaskName)}
    for name, parameter in inspect.signature(Attributer).parameters.items():
        action = there[MODEL_RENAMED.get(name, name.replace("_", "-"))]
        if name != "model":
            assert action.default == parameter.default, name
        if name in kinds:
            assert tuple(action.choices) == kinds[name]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (WsolOptions, {}),
        (SanityOptions, {}),
        (CompareOptions, {}),
        (BamOptions, {"images": "limit"}),
        (GridOptions, {}),
        (WorkOptions, {"executor_options": "executor_option"}),
    ],
)
def test_no_flag_is_every_default(options, names):
    command = argparse.ArgumentParser()
    add(command, options, names=names)
    words = ["runs/x"] if "run_dir" in inspect.signature(options).parameters and _needed(options) else []
    made = options(**given(command.parse_args(words), options, names=names))
    expected = options(**({"run_dir": "runs/x"} if words else {}))
    for field in dataclasses.fields(options):
        one, other = getattr(made, field.name), getattr(expected, field.name)
        assert (list(one) if isinstance(one, list) else one) == (list(other) if isinstance(other, tuple) and one else
                                                                 other if one != [] else []), field.name  # fmt: skip


def _needed(options) -> bool:
    return any(f.name == "run_dir" and f.default is dataclasses.MISSING for f in dataclasses.fields(options))


@pytest.mark.parametrize(
    ("options", "words", "expected"),
    [
        (WsolOptions, ["--held-out", "4"], {"held_out": 4}),
        (WsolOptions, ["--held-out", "0.25", "--strict"], {"held_out": 0.25, "strict": True}),
        (WsolOptions, ["--require-truth"], {"strict": False, "require_truth": True}),
        (WsolOptions, ["--no-strict", "--metrics", "PxAP", "MaxBoxAcc"], {"metrics": ["PxAP", "MaxBoxAcc"]}),
        (SanityOptions, ["--layers", "3"], {"layers": 3}),
        (SanityOptions, ["--layers", "a", "b", "--modes", "independent"], {"layers": ["a", "b"],
                                                                            "modes": ["independent"]}),
        (SanityOptions, ["--similarities", "ssim"], {"similarities": ["ssim"]}),
        (GridOptions, ["--fill", "7.5"], {"fill": 7.5}),
        (GridOptions, ["--fill", "1,2,3.5"], {"fill": [1, 2, 3.5]}),
        (GridOptions, ["--fill", "blur", "--fractions", ".5", "1"], {"fill": "blur", "fractions": [0.5, 1.0]}),
        (GridOptions, ["--targets", "label", "--controls", "leakage"], {"targets": "label", "controls": ["leakage"]}),
        (BamOptions, ["runs/x", "--order", "2", "0", "1", "--ks", ".5", "1"], {"run_dir": "runs/x", "order": [2, 0, 1],
                                                                             "ks": [0.5, 1.0]}),
        (WorkOptions, ["--executor", "ray", "--executor-options", "num_gpus=1", "a=b"],
         {"executor": "ray", "executor_options": {"num_gpus": 1, "a": "b"}}),
    ],
)  # fmt: skip
def test_words_are_read_as_the_field_takes_them(options, words, expected):
    command = argparse.ArgumentParser()
    add(command, options)
    found = given(command.parse_args(words), options)
    plain = options(**{name: expected[name] for name in expected})
    for name in expected:
        assert found[name] == expected[name] == getattr(plain, name), name


def test_help_says_the_first_sentence_and_the_default():
    text = " ".join(LEAVES["wsol"].format_help().split())
    assert "--iou X overlap at which a box is right, in (0, 1] (default: 0.5)" in text
    assert "--metrics NAME [NAME ...] scores, by name (default: all that the data allow)" in text
    assert "--strict, --no-strict a method or metric that fails is an error" in text
    assert "--require-truth, --no-require-truth an image without a box" in text
    for leaf in LEAVES.values():
        assert "(default: None)" not in leaf.format_help() and "`" not in leaf.format_help().replace("`bam build`", "")


# -- dry runs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with what the commands below read."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("a.png")
    Path("classes").mkdir()
    Path("data.npz").write_bytes(b"")
    Path("objects.json").write_text("{}")
    Path("builder.py").write_text(
        "def net():\n    return None\n\n\ndef score(outputs):\n    return outputs * outputs\n"
    )
    for folder in ("done/report", "others"):
        (tmp_path / folder).mkdir(parents=True)
        for name in ("result.json", "table.csv", "arrays.npz"):
            (tmp_path / folder / name).write_text("")
    return tmp_path


MODEL = ["--model", "digit_objects", "--score", "builder.py:score", "--precision", "bfloat16", "--task", "multiclass",
         "--batch-size", "4", "--strategy", "mirrored", "--target-layer", "conv", "--preprocess", "unit"]  # fmt: skip
DRY = {
    "demo": ["--limit", "3", "-o", "out"],
    "selftest": [*MODEL, "--seed", "1"],
    "explain": ["a.png", *MODEL, "--method", "lime", "--option", "samples=50", "--target", "3", "-o", "out"],
    "concepts": ["a.png", *MODEL, "--target", "3", "--by", "ace", "--others", "a.png", "--option", "clusters=4"],
    "bench": [*MODEL, "--methods", "gradcam", "lime(samples=9)", "--benchmarks", "deletion(steps=8)", "--chunk", "3",
              "--targets", "label", "--no-cache", "--run-dir", "run", "-o", "out"],
    "sanity": [*MODEL, "--layers", "3", "--modes", "cascading", "--similarities", "ssim", "--statistics"],
    "wsol": [*MODEL, "--held-out", "0.3", "--metrics", "PxAP", "--tolerance", "3", "--iou", ".4", "--strict",
             "--geometry", "full", "--protocol", "reference", "--targets", "predicted", "--run-dir", "run"],
    "roar plan": ["--data", "data.npz", "--devices", "1", "4", "--methods", "GRAD", "random"],
    "roar run": ["run", "--data", "digits", "--builder", "builder.py:net", "--fill", "1,2,3", "--executor", "ray",
                 "--executor-option", "num_gpus=1", "--controls", "leakage", "--recipe", "cifar10", "-o", "out",
                 "--precision", "tf32", "--epochs", "2"],
    "bam build": ["made", "--coco", "objects.json", "--images", "classes", "--scenes", "classes", "--jobs", "2"],
    "bam run": ["run", "--data", "classes", "--order", "1", "0", "--feature", "dog", "--ks", ".5", "1", "--limit", "9",
                "--methods", "all", "-o", "out"],
    "bam report": ["done"],
    "agreement": ["done", "others", "--resamples", "300", "--controls", "--level", ".9", "-o", "out"],
    "report": ["done", "others", "--title", "a title", "--table", "t.csv", "--columns", "method", "value"],
    "crosscheck": [*MODEL, "--image", "a.png", "--targets", "3"],
    "methods": ["--json"],
    "completion": ["bash"],
}  # fmt: skip


@pytest.mark.parametrize("command", [name for name in LEAVES if name not in ("roar status", "roar report")])
def test_what_a_dry_run_prints_is_read_back(command, place, capsys):
    words = [*command.split(), *DRY[command]]
    before = sorted(place.rglob("*"))
    assert main([*words, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert [path for path in sorted(place.rglob("*")) if "__pycache__" not in str(path)] == before
    Path("again.yaml").write_text(printed)
    assert main([*command.split(), "--config", "again.yaml", "--dry-run"]) == 0
    assert capsys.readouterr().out == printed
    root = parser()
    read = vars(root.parse_args(config.with_config(root, [*command.split(), "--config", "again.yaml"])))
    plain = vars(parser().parse_args(words))
    assert {k: v for k, v in read.items() if k != "config"} == {k: v for k, v in plain.items() if k != "config"}


def test_a_dry_run_about_a_grid_that_is_not_there(place, capsys):
    for part in ("status", "report"):
        assert main(["roar", part, "nowhere", "--dry-run"]) == 2
        assert "which has none" in capsys.readouterr().err


WRONG = [
    *[(f"{command} {words}", said) for command in ("wsol", "bench", "sanity", "explain a.png") for words, said in (
        ("--model digit_objects --preprocess foo", "Unknown preprocessing: 'foo'"),
        ("--model digit_objects --preprocess cafe", "Did you mean 'caffe'"),
        ("--model digit_objects --batch-size -1", "--batch-size"),
        ("--model digit_object", "Did you mean 'digit_objects'"),
        ("--model none.keras", "none.keras"),
        ("--model digit_objects --methods gradcan", "Did you mean 'gradcam'"),
        ("--model digit_objects --methods lime(sample=3)", "Did you mean 'samples'"),
        ("--model digit_objects --methods none.py:mine", "none.py"),
        ("--model digit_objects --score logits", "Unknown score"),
        ("--model digit_objects --score none.py:score", "none.py"),
        ("--model digit_objects --precision float8", "float8"),
        ("--model digit_objects --task multi", "multi"),
        ("--model digit_objects --strategy mirror", "mirror"),
        ("--model vgg16 --weights none.h5", "--weights"),
        ("--model digit_objects --class-names none.txt", "none.txt"),
        ("--model digit_objects -o a.png/out", "--output"),
    )],
    ("explain none.png --model digit_objects", "none.png"),
    ("explain a.png --model digit_objects --method lime --option sample=3", "Did you mean 'samples'"),
    ("explain a.png --model digit_objects --backend tf_keras_viz", "Did you mean 'tf_keras_vis'"),
    ("explain a.png --model digit_objects --extra none.npz", "none.npz"),
    ("explain a.png --model digit_objects --methods lime gradcam --option samples=3", "single --method"),
    ("explain --model digit_objects", "Received none"),
    ("wsol --model digit_objects --iou 2", "iou"),
    ("wsol --model digit_objects --held-out 1", "held_out"),
    ("wsol --model digit_objects --metrics PxA", "Did you mean 'PxAP'"),
    ("wsol --model digit_objects --imagenet none", "--imagenet"),
    ("wsol --model digit_objects --limit 0", "--limit"),
    ("wsol --maps none --boxes objects.json", "--maps"),
    ("wsol --model vgg16", "--imagenet DIR"),
    ("wsol --model digit_objects --run-dir a.png/run", "--run-dir"),
    ("bench --model digit_objects --benchmarks deletoin", "Did you mean 'deletion'"),
    ("bench --model digit_objects --benchmarks deletion(step=1)", "Did you mean 'steps'"),
    ("bench --model digit_objects --chunk 0", "chunk"),
    ("bench --model digit_objects --cache a.png/maps", "--cache"),
    ("bench --model digit_objects --cache c --no-cache", "Received both"),
    ("bench", "--model"),
    ("sanity --model digit_objects --layers 0", "layers"),
    ("sanity --model digit_objects --images none.png", "none.png"),
    ("sanity --model digit_objects --similarities sim", "Did you mean 'ssim'"),
    ("sanity --model digit_objects --permuted none.keras", "none.keras"),
    ("sanity --model digit_objects --permuted digit_objects --layers 2", "random weights"),
    ("roar run run --data digits --builder nonsense", "--builder"),
    ("roar run run --data digits --builder none.py:net", "none.py"),
    ("roar run run --data digits --recipe foo", "Unknown recipe"),
    ("roar run run --data digits --preprocess foo", "Unknown preprocessing"),
    ("roar run run --data digits --fractions 30", "0.3 for 30 %"),
    ("roar run run --data digits --fill means", "mean, blur, linear"),
    ("roar run run --data digits --executor rya", "Did you mean 'ray'"),
    ("roar run run --data digits --strategy mirored", "Did you mean 'mirrored'"),
    ("roar run run --data digits --jobs 0", "jobs"),
    ("roar run run --data digits --checkpoint none.keras", "none.keras"),
    ("roar run run --data digits --methods gradcan", "Did you mean 'gradcam'"),
    ("roar run run --data none.npz", "none.npz"),
    ("roar run run --data food102:classes", "Did you mean 'food101'"),
    ("roar run run --data cub:none", "none"),
    ("roar run run --data digits --learning-rate -1", "learning_rate"),
    ("roar run run --repeats 3", "--data together with --repeats"),
    ("roar run run", "which has none"),
    ("roar run a.png/run --data digits", "--run-dir"),
    ("roar plan --data digits --repeats 0", "repeats"),
    ("roar plan --data digits --epochs 0", "epochs"),
    ("bam run run --data none", "--data"),
    ("bam run run --ks .5", "end with 1"),
    ("bam run run --net vgg", "Unknown net"),
    ("bam run run --limit 0", "--limit"),
    ("bam run run --steps 0", "--steps"),
    ("bam run run --batch-size -1", "--batch-size"),
    ("bam run run --methods gradcan", "Did you mean 'gradcam'"),
    ("bam run run --weights none.h5", "--weights"),
    ("bam report classes", "no report"),
    ("bam build made --coco none.json --images classes --scenes classes", "--coco"),
    ("bam build made --coco objects.json --images classes --scenes none", "--scenes"),
    ("bam build made --coco objects.json --images classes --scenes classes --test-share 2", "--test-share"),
    ("bam build a.png/made --coco objects.json --images classes --scenes classes", "FOLDER"),
    ("report none", "none"),
    ("report done -o a.png/page.html", "--output"),
    ("demo --limit 0", "--limit"),
    ("crosscheck --model digit_objects --targets label", "no labels"),
    ("concepts --model digit_objects --target 3", "Received none"),
    ("concepts a.png --model digit_objects --target 3 --by ace", "--others"),
    ("concepts a.png --model digit_objects --target 3 --others a.png", "--others"),
    ("concepts a.png --model digit_objects --target 3 --option concept=3", "Did you mean 'concepts'"),
    ("concepts a.png --model digit_objects --target 3 --option layer=x", "--target-layer"),
    ("concepts a.png --model digit_objects --target predicted", "one class"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[words for words, _ in WRONG])
def test_a_dry_run_finds_what_is_wrong_in_one_line(words, said, place, capsys):
    before = sorted(place.rglob("*"))
    try:
        code = main([*words.split(), "--dry-run"])
    except SystemExit as ended:  # by argparse
        code = ended.code
    error = capsys.readouterr().err
    assert code == 2 and said in error
    assert error.startswith("attribeval ") and error.count("\n") == 1
    assert sorted(place.rglob("*")) == before


# -- what flags do -----------------------------------------------------------------------------------------------------


def test_the_score_is_what_is_explained_and_maps_of_another_are_not_taken_for_it(place, capsys):
    from attribeval import Attributions

    words = ["explain", "a.png", "--model", "digit_objects", "--method", "gradient", "--no-pictures"]
    for word, score in (
        ("output", "output"),
        ("builder.py:score", lambda outputs: outputs * outputs),
        ("logit", "logit"),
    ):
        folder = f"maps-{word.replace(':', '-')}"
        assert main([*words, "--score", word, "-o", folder]) == 0
        expected = Attributer("digit_objects", score=score).explain("a.png", "gradient").values
        np.testing.assert_allclose(Attributions.load(f"{folder}/gradient/a.png.npz").values, expected, atol=1e-6)
        assert np.abs(expected).max() > 0
    assert main([*words, "--score", "output", "-o", "maps-logit"]) == 2
    assert "score" in capsys.readouterr().err
