"""Several trainings on one device: memory is taken as needed, and who lacks it is told the number and the remedy."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import forks

from attribeval.benchmarks.roar.executors import local
from attribeval.benchmarks.roar.procedure import run_roar
from attribeval.datasets import Samples, TrainTest
from attribeval.errors import AttribevalError
from attribeval.training.memory import grow_memory, lack_of_memory
from attribeval.training.recipe import Recipe

OOM = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[256,56,56,64]\nHint: …")
images = np.random.default_rng(0).integers(0, 256, (48, 8, 8, 3), np.uint8)
DATA = TrainTest(Samples(images[:32], np.arange(32) % 2), Samples(images[32:], np.arange(16) % 2))


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs, and what is asked of them."""
    asked = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["GPU 0", "GPU 1"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, on: asked.append((gpu, on)))
    return asked


def test_memory_grows_on_all_gpus(gpus, recwarn):
    assert grow_memory() and gpus == [("GPU 0", True), ("GPU 1", True)] and not recwarn


def test_memory_that_is_taken_already_is_told(gpus, monkeypatch):
    def refuse(gpu, on):
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refuse)
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    with pytest.warns(UserWarning, match="before TensorFlow's first operation"):
        assert not grow_memory()
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # the process grows its memory by itself
    assert grow_memory()


def test_a_worker_lets_memory_grow_before_anything_else(gpus, monkeypatch):
    from attribeval.benchmarks.roar.tasks import Setup, prepare_process

    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: gpus.append("determinism"))
    prepare_process(Setup())
    assert gpus == [("GPU 0", True), ("GPU 1", True), "determinism"]


def test_out_of_memory_names_the_number_and_the_remedy():
    assert lack_of_memory(OOM, 4) == (
        "Out of memory: lower jobs (--jobs), as 4 tasks at a time share the memory, or the recipe's batch_size. "
        "Received: OOM when allocating tensor with shape[256,56,56,64]"
    )
    assert lack_of_memory(OOM) == (
        "Out of memory: lower the recipe's batch_size, or let fewer processes share the memory. "
        "Received: OOM when allocating tensor with shape[256,56,56,64]"
    )
    assert "Received: MemoryError" in lack_of_memory(MemoryError())


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.InternalError(None, None, "cudaSetDevice() on GPU:0 failed. Status: out of memory"),
        tf.errors.InternalError(None, None, "Failed call to cuDeviceGet: CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
        RuntimeError("cuDNN: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_the_drivers_ways_to_say_it_count_too(error):
    assert lack_of_memory(error, 3).startswith("Out of memory: lower jobs (--jobs), as 3 tasks")


def test_other_errors_are_no_lack_of_memory():
    for error in (ZeroDivisionError("out of memory"), tf.errors.InternalError(None, None, "no algorithm worked")):
        assert lack_of_memory(error, 4) is None


def test_more_jobs_than_memory_end_with_the_number(tmp_path, monkeypatch):
    """Processes that find no memory, as a builder in them that raises what a GPU raises."""
    file = tmp_path / "hungry.py"
    file.write_text(
        "import os\nimport tensorflow as tf\n\n\n"
        "class Mine(tf.keras.layers.Layer):\n"
        "    def call(self, x):\n        return x\n\n\n"
        "def hungry():\n"
        f"    if os.getpid() != {__import__('os').getpid()}:\n"
        "        raise tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating tensor with shape[9]')\n"
        "    layers = tf.keras.layers\n"
        "    return tf.keras.Sequential([tf.keras.Input((8, 8, 3)), Mine(), layers.Flatten(), layers.Dense(2)])\n"
    )
    from attribeval.importable import function_in_file

    monkeypatch.setattr(local, "subprocess", forks)  # a worker that starts at once
    hungry = function_in_file(str(file), "hungry")
    with pytest.raises(AttribevalError, match=r"lower jobs \(--jobs\), as 2 tasks at a time .* shape\[9\]"):
        run_roar(
            hungry, DATA, ["sobel", "random"], run_dir=tmp_path / "run", fractions=[0.5], modes=["remove"], repeats=2,
            recipe=Recipe(epochs=1, batch_size=16), jobs=2, progress=False,
        )  # fmt: skip
