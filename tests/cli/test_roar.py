"""`attribeval roar`, called as people call it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import forks

from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.cli import main

ROOT = Path(__file__).resolve().parents[2]


def attribeval(*words, popen=subprocess.Popen, **options):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-m", "attribeval", "roar", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return popen(command, text=True, env=environment, **pipes, **options)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    rng = np.random.default_rng(0)
    arrays = {
        f"x_{part}": rng.integers(0, 255, (n, 8, 8, 3), dtype=np.uint8) for part, n in (("train", 40), ("test", 9))
    }
    np.savez(path, y_train=np.arange(40) % 3, y_test=np.arange(9) % 3, **arrays)
    return path


def grid(data, *more):
    words = ["--data", data, "--methods", "sobel", "random", "--fractions", 0.5, "--modes", "remove", "--repeats", 1]
    return [str(word) for word in (*words, "--epochs", 1, *more)]


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["plan", "--help"], ["status", "nowhere"]])
def test_help_and_status_load_no_tensorflow(words):
    code = f"import sys; from attribeval.cli import main\ntry: main(['roar', *{words}])\nexcept SystemExit: pass\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "print([m for m in ('tensorflow', 'keras') if m in sys.modules])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


def _is_gone(group: int) -> bool:
    """Whether no process of a group is left, a few seconds after it was told to end."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_from_the_plan_to_the_report(data, tmp_path, capsys):
    """Plan, an interrupted run, status, the rest of it, the report: one grid."""
    run_dir = tmp_path / "run"
    assert main(["roar", "plan", *grid(data)]) == 0
    text = capsys.readouterr().out
    assert "3" in text.splitlines()[0] and "hours" in text and not run_dir.exists()

    # A shell that starts the tests in the background has them, and what they start, ignore Ctrl-C.
    heard = {"start_new_session": True, "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = attribeval("run", run_dir, *grid(data), **heard)
    end = time.monotonic() + 120
    while not list(run_dir.glob("cells/unmodified*.json")) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # Ctrl-C in a terminal reaches the whole group
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == "attribeval roar: interrupted. Continue with the same command.\n"  # and nothing of its helpers
    assert _is_gone(process.pid)

    assert main(["roar", "status", str(run_dir)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("3 trainings: 1 done, 0 running, 0 failed, 2 left")

    process = attribeval("run", run_dir, popen=forks.Popen)  # the folder knows the rest
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert error == ""
    assert "sobel" in out and out.rstrip().endswith("report.html")
    assert {path.name for path in (run_dir / "report").iterdir()} >= {"report.html", "table.csv", "result.json"}
    assert main(["roar", "report", str(run_dir), "-o", str(tmp_path / "elsewhere")]) == 0
    assert (tmp_path / "elsewhere" / "table.csv").read_text() == (run_dir / "report" / "table.csv").read_text()
    for folder in (run_dir / "report", tmp_path / "elsewhere"):  # the command that made the grid, not those after it
        command = json.loads((folder / "result.json").read_text())["command"]
        assert command.startswith("attribeval roar run ") and command.endswith(shlex.join(["", *grid(data)])[3:])
        shown = (folder / "report.html").read_text().split("<pre><code>")[1].split("</code>")[0]
        assert "--data noise.npz --methods sobel random" in shown and str(tmp_path) not in shown


def test_failed_trainings_are_exit_code_1(data, tmp_path, monkeypatch, capsys):
    """The folder says that one training failed, and nothing can mend it here."""
    from attribeval.benchmarks.roar import procedure

    def pretend(build_model, dataset, run_dir, **options):
        """A run that leaves one training done and the others failed."""
        from attribeval.benchmarks.roar.cell import failed_record
        from attribeval.benchmarks.roar.request import make_request

        del options["strategy"], options["executor"], options["jobs"], options["gpus_per_job"]
        del options["executor_options"], options["strict"]
        made = make_request(build_model, dataset, **options)
        folder = RunDir(run_dir)
        folder.claim(made.grid)
        made.source.write(folder, False)
        for cell in made.grid.cells():
            record = failed_record(made.grid, cell, "it was the weather", 1.0)
            if cell.kind == "unmodified":
                score = {"accuracy": 0.5, "loss": 1.0, "per_class_accuracy": [0.5] * 3, "images": 9, "error": None}
                record |= score | {"status": "done"}
            folder.write_record(cell, record)

    monkeypatch.setattr(procedure, "run_roar", pretend)
    assert main(["roar", "run", str(tmp_path), *grid(data)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("attribeval roar: 2 of 3 trainings failed: attribeval roar status")
    assert main(["roar", "status", str(tmp_path)]) == 0
    assert "Failed: sobel_remove_0.5_r0: it was the weather" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["status", "tests"], "tests, which has none"),
        (["report", "nowhere"], "nowhere, which has none"),
        (["run", "nowhere"], "nowhere, which has none"),
        (["run", "nowhere", "--methods", "GRAD"], "--data together with --methods"),
        (["run", "nowhere", "--repeats", "3"], "--data together with --repeats"),
        (["run", "nowhere", "--data", "none.npz"], "none.npz"),
        (["run", "nowhere", "--data", "tests"], "train and test"),
        (["run", "nowhere", "--data", "DATA", "--builder", "resnet5"], "--builder small"),
        (["run", "nowhere", "--data", "DATA", "--builder", "none.py:net"], "none.py, which is none"),
        (["run", "nowhere", "--data", "DATA", "--recipe", "smal"], "'small'"),
        (["run", "nowhere", "--data", "DATA", "--fractions", "30"], "0.3 for 30 %"),
        (["run", "nowhere", "--data", "DATA", "--methods", "gradcan"], "'gradcam'"),
        (["run", "nowhere", "--data", "DATA", "--fill", "means"], "mean, blur, linear"),
        (["run", "nowhere", "--data", "DATA", "--executor", "rya"], "'ray'"),
        (["run", "nowhere", "--data", "DATA", "--executor-option", "num_gpus=1"], "'ray' and 'slurm' only"),
        (["run", "nowhere", "--data", "DATA", "--train", "0"], "--train to be an int of 1"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(data, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(ROOT)
    assert main(["roar", *(str(data) if word == "DATA" else word for word in words)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.startswith("attribeval roar: ") and "Traceback" not in error
    assert not Path("nowhere").exists()


def test_so_many_images_come_from_all_classes():
    from attribeval.benchmarks.roar.command.subject import spread
    from attribeval.datasets import Samples

    samples = Samples(np.zeros((12, 1, 1, 1)), np.repeat([0, 1, 2], 4))
    assert spread(samples, 3).labels.tolist() == [0, 1, 2] and spread(samples, 6).labels.tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
    ]
    assert len(spread(samples, None)) == len(spread(samples, 99)) == 12


def test_the_report_shows_the_test_image_asked_for(tmp_path, monkeypatch, capsys):
    from attribeval.benchmarks.roar import procedure
    from attribeval.errors import AttribevalError

    def asked(run_dir, example=0):
        raise AttribevalError(f"{run_dir.path.name}: image {example}")

    monkeypatch.setattr(procedure, "report", asked)
    (tmp_path / "grid.json").write_text("{}")
    for words, number in ((["--shown", "3"], 3), ([], 0)):
        assert main(["roar", "report", str(tmp_path), *words]) == 2
        assert f"image {number}" in capsys.readouterr().err
