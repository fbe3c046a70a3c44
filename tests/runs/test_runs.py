"""Run directories of the studies that share one store: what determines a number, damage, other folders, processes."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import forks
from PIL import Image

from attribeval import AttribevalError, Attributer, Evaluator, sealed
from attribeval.datasets.samples import Samples
from attribeval.results.result import Result
from attribeval.runs.store import Store

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (3, 12, 12, 3)).astype(np.float32)
BOXES = [np.array([[0.1, 0.1, 0.6, 0.7]]), np.array([[0.0, 0.3, 0.5, 1.0]]), np.array([[0.4, 0.2, 0.9, 0.8]])]
METHODS = ["gradient", "gradcam"]
COSTS = ["seconds_per_image", "peak_memory_mib", "scoring_seconds_per_image", "passes_per_image"]


def net(activation="relu"):
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation=activation, name="first"),
            keras.layers.Conv2D(4, 3, activation=activation, name="last"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, name="head"),
        ]
    )


def samples(images=IMAGES, boxes=BOXES, labels=(0, 1, 2)):
    return Samples(images, np.array(labels), boxes=boxes)


def wsol(attributer, data, run_dir, **options):
    return Evaluator(attributer, data).wsol(METHODS, run_dir=run_dir, progress=False, **options)


def board(attributer, data, run_dir, **options):
    benchmarks = options.pop("benchmarks", ["deletion", "energy_in_box", "sparseness"])
    return Evaluator(attributer, data).compare(METHODS, benchmarks, run_dir=run_dir, progress=False, **options)


def sanity(attributer, data, run_dir, **options):
    options = {"layers": 2, "similarities": ["spearman"]} | options
    return Evaluator(attributer, data).sanity(METHODS, run_dir=run_dir, progress=False, **options)


STUDIES = {"wsol": wsol, "leaderboard": board, "sanity": sanity}


def table(result):
    """What must be the same again: rows in order, without what it cost."""
    table = result.table.drop(columns=[column for column in COSTS if column in result.table])
    return table.sort_values(list(table.columns[:3]), kind="stable").reset_index(drop=True).astype(str)


@pytest.fixture(scope="module")
def attributer():
    return Attributer(net())


CHANGES = {
    "weights": lambda: {"attributer": shifted()},
    "activation": lambda: {"attributer": Attributer(net("tanh"))},
    "preprocessing": lambda: {"attributer": Attributer(net(), preprocess=lambda x: 255 - x)},
    "score": lambda: {"attributer": Attributer(keras.Sequential([net(), keras.layers.Softmax()]), score="output")},
    "images": lambda: {"data": samples(IMAGES[:, ::-1].copy())},
    "seed": lambda: {"seed": 1},
}
OF_ONE = {
    "target layer": ("wsol", "leaderboard", "sanity"),
    "boxes": ("wsol", "leaderboard"),
    "labels": ("wsol",),
}


def shifted():
    model = net()
    model.get_layer("first").kernel.assign(model.get_layer("first").kernel[::-1])
    return Attributer(model)


@pytest.mark.parametrize(
    ("study", "change"), [(s, c) for s in STUDIES for c in (*CHANGES, *OF_ONE) if s in OF_ONE.get(c, STUDIES)]
)
def test_a_changed_setting_never_gives_the_numbers_of_before(attributer, tmp_path, study, change):
    """In one folder: the numbers are those of a folder of its own, and going back the old ones are there."""
    more = {
        "target layer": lambda: {"attributer": Attributer(net(), target_layer="first")},
        "boxes": lambda: {"data": samples(boxes=BOXES[::-1])},
        "labels": lambda: {"data": samples(labels=(2, 1, 0))},
    }
    changed = (CHANGES | more)[change]()

    def run(run_dir, attributer=attributer, data=samples(), **options):  # noqa: B008
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return table(STUDIES[study](attributer, data, run_dir, **options))

    before = run(tmp_path / "run")
    after = run(tmp_path / "run", **changed)
    assert after.equals(run(tmp_path / "fresh", **changed))
    assert not after.equals(before)  # the change does change something, or this test would say nothing
    assert run(tmp_path / "run").equals(before)


def test_changed_masks_and_tolerances_never_give_the_numbers_of_before(attributer, tmp_path):
    """Other masks of the same images, and another option of a metric: numbers of a fresh folder, then the old ones."""
    masks = RNG.random((2, 3, 12, 12)) < 0.2
    one, other = (Samples(IMAGES, np.zeros(3, int), masks=drawn) for drawn in masks)
    ranks = {"wsol": {"metrics": ["RelevanceRank"]}, "leaderboard": {"benchmarks": ["relevance_rank"]}}
    for study, options in ranks.items():
        first, second = (table(STUDIES[study](attributer, data, tmp_path / study, **options)) for data in (one, other))
        assert second.equals(table(STUDIES[study](attributer, other, None, **options))) and not second.equals(first)
        assert table(STUDIES[study](attributer, one, tmp_path / study, **options)).equals(first)
    near, far = (
        table(wsol(attributer, one, tmp_path / "wsol", metrics=["PointingGame"], tolerance=of)) for of in (0, 8)
    )
    assert far.equals(table(wsol(attributer, one, None, metrics=["PointingGame"], tolerance=8))) and not far.equals(
        near
    )


@pytest.mark.parametrize("study", STUDIES)
def test_every_damaged_file_is_noticed_and_made_again(attributer, tmp_path, study):
    run = STUDIES[study]
    whole = run(attributer, samples(), tmp_path)
    files = [file for file in sorted(tmp_path.rglob("*")) if file.suffix in (".json", ".npz")]
    assert len(files) > 5
    for number, file in enumerate(files):
        data = file.read_bytes()
        flipped = bytearray(data)
        place = RNG.integers(len(data))
        flipped[place] ^= 1 << RNG.integers(8)
        for damaged in (bytes(flipped), data[: len(data) // 2], b"")[number % 2 :]:
            file.write_bytes(damaged)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                again = run(attributer, samples(), tmp_path)
            assert table(again).equals(table(whole)), (file, place)
            said = [str(w.message) for w in caught if "is damaged" in str(w.message)]
            reads_the_same = damaged == bytes(flipped) and file.suffix == ".json" and not said
            assert reads_the_same or (len(said) == 1 and str(file) in said[0]), (file, place)
            if reads_the_same:  # a space where JSON takes any
                assert sealed.read_json(damaged) == sealed.read_json(data)
                file.write_bytes(data)


@pytest.mark.parametrize("study", STUDIES)
def test_methods_and_images_are_added_to_a_run(attributer, tmp_path, monkeypatch, study):
    run = STUDIES[study]
    monkeypatch.setattr(f"{__name__}.METHODS", ["gradient"])
    run(attributer, samples(), tmp_path)
    monkeypatch.setattr(f"{__name__}.METHODS", ["gradient", "gradcam"])
    asked = []
    plain = Attributer.explain_many
    monkeypatch.setattr(
        Attributer, "explain_many", lambda self, i, m, *a, **o: asked.extend(m) or plain(self, i, m, *a, **o)
    )
    grown = run(attributer, samples(), tmp_path)
    assert set(asked) == {"gradcam"}
    assert table(grown).equals(table(run(attributer, samples(), None)))


def test_a_metric_is_added_to_a_run(attributer, tmp_path):
    for run, first, both in (
        (wsol, {"metrics": ["MaxBoxAcc"]}, {"metrics": ["MaxBoxAcc", "PointingGame"]}),
        (board, {"benchmarks": ["sparseness"]}, {"benchmarks": ["sparseness", "deletion"]}),
    ):
        folder = tmp_path / run.__name__
        run(attributer, samples(), folder, **first)
        assert table(run(attributer, samples(), folder, **both)).equals(table(run(attributer, samples(), None, **both)))


def test_a_folder_of_another_study_or_an_older_version_is_refused(attributer, tmp_path, monkeypatch):
    wsol(attributer, samples(), tmp_path / "wsol")
    with monkeypatch.context() as later:
        later.setattr("attribeval.runs.store.LAYOUT", 2)
        with pytest.raises(AttribevalError, match=r"one of wsol, as run_dir.*one of another version"):
            wsol(attributer, samples(), tmp_path / "wsol")
    with pytest.raises(AttribevalError, match=r"one of sanity, as run_dir.*one of wsol: choose another"):
        sanity(attributer, samples(), tmp_path / "wsol")
    for name in ("settings.json", "0a1b2c.npz", "grid.json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(b"{}")
        with pytest.raises(AttribevalError, match="an older version wrote"):
            Store(tmp_path / name, "wsol")
    (tmp_path / "file").write_text("")
    with pytest.raises(AttribevalError, match="a folder to write to as run_dir"):
        Store(tmp_path / "file", "wsol")


def test_what_is_sealed_is_read_to_the_last_bit():
    arrays = {"a|3x256": RNG.integers(0, 255, (2, 96), np.uint8), "b": np.array(["x", "ü"]), "c": np.float64(0.1)}
    back = sealed.read_arrays(sealed.array_bytes(arrays))
    assert set(back) == set(arrays) and all(np.array_equal(back[name], arrays[name]) for name in arrays)
    record = {"scores": [0.1, None, float("nan")], "error": "naïve", "n": 3}
    assert str(sealed.read_json(sealed.json_bytes(record))) == str(record)
    data = sealed.json_bytes({"score": 0.25})
    with pytest.raises(sealed.Damaged, match="checksum"):
        sealed.read_json(data.replace(b"0.25", b"0.75"))
    for other in (b"[]", b"{}", b"3", b"\xff", b'{"record": 1}'):
        with pytest.raises(sealed.Damaged):
            sealed.read_json(other)


_WORKER = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/.."]
from test_runs import *
table(STUDIES[sys.argv[2]](Attributer(net()), samples(), sys.argv[3])).to_csv(sys.argv[4])
"""


@pytest.mark.parametrize("study", ["wsol", "sanity"])
def test_processes_share_a_folder(attributer, tmp_path, study):
    command = [sys.executable, "-c", _WORKER, str(Path(__file__).parent), study, str(tmp_path / "run")]
    jobs = [forks.Popen([*command, str(tmp_path / name)], stderr=subprocess.PIPE) for name in ("a.csv", "b.csv")]
    errors = [job.communicate(timeout=300)[1].decode() for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], errors
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    table(STUDIES[study](attributer, samples(), None)).to_csv(tmp_path / "alone.csv")
    assert (tmp_path / "alone.csv").read_text() == (tmp_path / "a.csv").read_text()


# ------------------------------------------------------------------------------------------------- the command line


def test_a_full_disk_is_one_line_and_an_exit_code_of_its_own(tmp_path, attributer, monkeypatch, capsys):
    import errno

    from attribeval import cli, files

    attributer.classifier.model.save(tmp_path / "net.keras")
    photograph = tmp_path / "photo.png"
    Image.fromarray(IMAGES[0].astype(np.uint8)).save(photograph)
    words = ["explain", photograph, "--model", tmp_path / "net.keras", "--method", "gradient", "-o", tmp_path / "out"]
    words = [str(word) for word in words]

    class Full:
        """A file that takes ten bytes."""

        def __init__(self, path):
            self.file = open(path, "wb")  # noqa: SIM115

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, data):
            self.file.write(bytes(data)[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name):
            return getattr(self.file, name)

    monkeypatch.setattr(files, "open", lambda path, mode: Full(path), raising=False)
    assert cli.main(words) == 3
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "No space left on device" in said[0]
    left = [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert left == [".lock"]  # nothing half-written
    monkeypatch.undo()
    assert cli.main(words) == 0


def test_sigterm_ends_as_ctrl_c_does(tmp_path):
    code = """
import argparse, os, signal, sys, time
from attribeval.cli import main

def run(args):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(20)

plain = argparse.ArgumentParser.parse_args
argparse.ArgumentParser.parse_args = lambda *a, **o: argparse.Namespace(**vars(plain(*a, **o)) | {"run": run})
sys.exit(main(["explain", "x.png", "--model", "vgg16"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=25)
    assert done.returncode == 130 and "attribeval explain: interrupted." in done.stderr


def test_a_changed_result_is_refused_by_name(attributer, tmp_path):
    folder = wsol(attributer, samples(), None).save(tmp_path / "result")
    back = Result.load(folder)
    assert table(back).shape[0] > 5
    for name in ("table.csv", "result.json", "arrays.npz"):
        data = (folder / name).read_bytes()
        for damaged in (data[: len(data) // 2], b"", data.replace(b"0", b"1", 1)):
            (folder / name).write_bytes(damaged)
            with pytest.raises(AttribevalError, match=r"written by Result\.save"):
                Result.load(folder)
        (folder / name).write_bytes(data)
    assert table(Result.load(folder)).equals(table(back))
