"""The same grid by every executor gives the same numbers; each is skipped where its library is not installed."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from helpers import forks

from attribeval import Evaluator
from attribeval.benchmarks.roar.executors.slurm import Slurm
from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.benchmarks.roar.tasks import Setup
from attribeval.datasets import Samples, TrainTest
from attribeval.errors import AttribevalError
from attribeval.training.recipe import Recipe


def net():
    import keras

    layers = keras.layers
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.GlobalMaxPooling2D(), layers.Dense(3)])


def noise(n):
    images = np.random.default_rng(n).integers(0, 255, (n, 8, 8, 3), dtype=np.uint8)
    return Samples(images, np.arange(n) % 3)


def roar(run_dir, **options):
    """The unmodified model, the maps of two splits and one retrained model: four tasks."""
    Evaluator.roar(
        net, TrainTest(noise(40), noise(9)), ["random"], run_dir=run_dir, fractions=[0.5], modes=["remove"], repeats=1,
        recipe=Recipe(epochs=1, batch_size=8), progress=False, **options,
    )  # fmt: skip
    records = RunDir(run_dir).records()
    assert [record["status"] for record in records] == ["done", "done"], records
    return [(record["accuracy"], record["loss"], record["without_retraining"]) for record in records]


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """In processes with one thread each."""
    import os

    return roar(tmp_path_factory.mktemp("local"), jobs=os.cpu_count())


def test_ray(local, tmp_path):
    ray = pytest.importorskip("ray")
    assert roar(tmp_path, executor="ray", executor_options={"num_cpus": 1}) == local
    assert not ray.is_initialized()  # what was started here was ended here


def test_slurm_through_its_local_stand_in(local, tmp_path, monkeypatch):
    """Its jobs are forks; the one that dies, below, is a Python of its own."""
    pytest.importorskip("submitit")
    monkeypatch.setattr(subprocess, "Popen", forks.Popen)
    options = {"cluster": "local", "timeout_min": 5, "cpus_per_task": 1}
    assert roar(tmp_path, executor="slurm", executor_options=options) == local
    assert list((tmp_path / "logs" / "slurm").iterdir())


def test_a_slurm_job_that_dies_is_recorded(tmp_path, monkeypatch):
    """A job that cannot even read the grid: its error goes where the deaths of trainings are written down."""
    pytest.importorskip("submitit")
    deaths = []
    where = "attribeval.benchmarks.roar.executors.slurm.record_death"
    monkeypatch.setattr(where, lambda run_dir, grid, task, how: deaths.append((task, how)) or "failed")
    monkeypatch.setattr(RunDir, "grid", lambda self: None)  # in this process alone
    (tmp_path / "grid.json").write_text("{}")
    executor = Slurm(Setup(), cluster="local", timeout_min=5)
    assert list(executor.run(RunDir(tmp_path), ["random_remove_0.5_r0"])) == [("random_remove_0.5_r0", "failed")]
    ((task, how),) = deaths
    assert task == "random_remove_0.5_r0" and "as a run of ROAR wrote it" in how


def test_slurm_refuses_what_submitit_refuses(tmp_path):
    pytest.importorskip("submitit")
    executor = Slurm(Setup(), cluster="local", tiemout_min=5)
    with pytest.raises(AttribevalError, match="submitit refuses"):
        next(executor.run(RunDir(tmp_path), ["x"]))
