"""Bad input to ROAR: refused before anything is trained or written, with the item and the remedy."""

from __future__ import annotations

import re
import warnings

import keras
import numpy as np
import pytest

from attribeval import Evaluator
from attribeval.benchmarks.roar.executors.choose import check_executor, make_executor, portable
from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.benchmarks.roar.source import Source, read_source
from attribeval.benchmarks.roar.tasks import Setup
from attribeval.datasets import Samples, TrainTest
from attribeval.errors import AttribevalError
from attribeval.importable import function_in_file
from attribeval.training.builder import build, describe
from attribeval.training.recipe import Recipe

layers = keras.layers


def net(*inner, shape=(8, 8, 3), classes=3, head=()):
    """A small classifier around some layers."""
    first = [keras.Input(shape), layers.Conv2D(4, 3)]
    return keras.Sequential([*first, *inner, layers.GlobalAveragePooling2D(), layers.Dense(classes), *head])


def samples(n=6, shape=(8, 8, 3), dtype=np.uint8, labels=None):
    images = np.random.default_rng(0).integers(0, 255, (n, *shape)).astype(dtype)
    return Samples(images, np.arange(n) % 3 if labels is None else labels)


DATA = TrainTest(samples(), samples())
MAPS = np.ones((6, 8, 8)), np.ones((6, 8, 8))
SEES = lambda model, images, targets, seed: images  # noqa: E731


def refused(run_dir, said, builder=net, dataset=DATA, methods=("GRAD", "random"), **options):
    """The call raises before the folder is made."""
    with pytest.raises(AttribevalError, match=said):
        Evaluator.roar(builder, dataset, methods, run_dir=run_dir / "run", **options)
    assert not (run_dir / "run").exists()


# ------------------------------------------------------------------------------------------------------------ options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fractions": [0.3, 1.2]}, r"between 0 and 1.*1\.2 as number 1"),
        ({"fractions": [-0.1]}, r"between 0 and 1.*-0\.1"),
        ({"fractions": [30]}, "0.3 for 30 %"),
        ({"fractions": [0.0, 0.5]}, "Leave it out"),
        ({"fractions": [0.5, 0.3]}, "sort them"),
        ({"fractions": []}, "1 to 15 fractions"),
        ({"fractions": 0.5}, "fractions to be a list, each a finite number"),
        ({"fractions": [float("nan")]}, "each a finite number"),
        ({"methods": []}, "at least one"),
        ({"methods": ["gradcan"]}, "'gradcam'"),
        ({"methods": ["SG-SQ-GX"]}, "Unknown method"),
        (
            {"methods": [lambda images, model, split: images]},
            r"'function' as f\(images, targets\) or .*split",
        ),
        ({"methods": [lambda images, targets: images]}, "the model that roar trains.*as checkpoint="),
        ({"methods": [SEES], "controls": ["recursive"]}, "'function': other processes.*at the top of a .py file"),
        ({"methods": {"mine": MAPS}, "controls": ["recursive"]}, "'mine': ready maps are of one model"),
        ({"methods": {"mine": MAPS[0]}}, r"'mine' as one: give a pair, \(maps of train, maps of test\)"),
        ({"methods": {"mine": (*MAPS, MAPS[0])}}, "'mine' as a pair.*Received: 3"),
        ({"methods": {"mine": 3}}, "'mine' to be the name of a method, a method object, a function .* ready maps"),
        ({"methods": {"": "GRAD"}}, "a name for each"),
        ({"methods": {"mine": (np.ones((6, 8, 8)), np.ones((5, 8, 8)))}}, r"test maps of mine.*\(5, 8, 8\)"),
        ({"methods": {"mine": (np.ones((6, 8, 8, 2)), np.ones((6, 8, 8)))}}, r"train maps of mine.*\(6, 8, 8, 2\)"),
        ({"modes": "keep"}, "modes to be a list, each one of remove, keep"),
        ({"modes": ["destroy"]}, "keep, remove"),
        ({"controls": "leakage"}, "controls to be a list"),
        ({"controls": ["leaks"]}, "leakage, max_filter, recursive"),
        ({"repeats": 0}, "repeats to be an int of 1"),
        ({"seed": "7"}, "seed to be an int"),
        ({"recipe": "smal"}, "'small'"),
        ({"preprocess": lambda x: x}, "as a layer"),
        ({"preprocess": "mobilnet"}, "'mobilenet'"),
        ({"per": "image"}, "pixel, value"),
        ({"targets": "true"}, "label, predicted"),
        ({"fill": "means"}, "mean, blur, linear"),
        ({"fill": (1.0, 2.0)}, "one number or 3"),
        ({"fill": float("inf")}, "fill to be a finite number"),
        ({"strategy": "miror"}, "'mirrored'"),
        ({"strategy": 3}, r"tf\.distribute\.Strategy"),
        ({"executor": "locally"}, "'local'"),
        ({"executor": None}, "executor to be a text"),
        ({"jobs": 0}, "jobs"),
        ({"executor": "ray", "jobs": 2}, "executor='local' only"),
        ({"executor_options": {"num_gpus": 1}}, "'ray' and 'slurm' only"),
        ({"callbacks": keras.callbacks.TerminateOnNaN()}, "callbacks as a list"),
        ({"callbacks": [keras.callbacks.TerminateOnNaN()], "jobs": 2}, "cannot leave this process"),
        ({"checkpoint": 3}, "Keras 3 model"),
    ],
)
def test_options(tmp_path, options, said):
    refused(tmp_path, said, **options)


def test_checkpoints_that_do_not_fit(tmp_path):
    refused(tmp_path, r"takes images of \(8, 8, 3\)", checkpoint=net(shape=(9, 9, 3)))
    refused(tmp_path, "3 classes, as build_model has. Received: 4", checkpoint=net(classes=4))
    refused(tmp_path, "no such file|[Nn]ot find|Expected", checkpoint=str(tmp_path / "none.keras"))


def test_a_run_dir_that_is_a_file_or_holds_no_grid(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AttribevalError, match="a folder to write to as run_dir"):
        Evaluator.roar(net, DATA, ["GRAD"], run_dir=tmp_path / "file")
    with pytest.raises(AttribevalError, match=r"with a grid\.json.*which has none"):
        RunDir.existing(tmp_path)


def test_options_of_executors():
    with pytest.raises(AttribevalError, match=r"executor_options that ray knows.*gpus"):
        make_executor(Setup(), "ray", 1, None, {"gpus": 1})
    with pytest.raises(AttribevalError, match="4 GPUs for 2 jobs"):
        make_executor(Setup(), "local", 2, 2, None)
    assert check_executor(Setup(callbacks=(keras.callbacks.TerminateOnNaN(),)), "local", 1, None, None)
    assert not check_executor(Setup(callbacks=portable(net)), "local", 2, None, None)  # found by file and name
    assert check_executor(Setup(callbacks=portable(lambda cell: [])), "local", 1, None, None)


# --------------------------------------------------------------------------------------------------------------- data


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        (samples(), r"\.train and \.test, or a pair"),
        (((np.ones((6, 8, 8, 3)), np.arange(6)),) * 2, r"train images as Samples.*Samples\(images, labels\)"),
        (TrainTest(samples(), samples(0)), "at least one test image"),
        (TrainTest(samples(labels=[0, 1, 2, 3, 0, 1]), samples()), "below 3.*Received 3 for train image '3'"),
        (TrainTest(samples(shape=(8, 8, 1)), samples()), "train images of 3 channels.*Received: 1"),
        (TrainTest(samples(), samples(shape=(8, 8, 4))), "test images of 3 channels.*Received: 4"),
    ],
)
def test_data_sets(tmp_path, dataset, said):
    refused(tmp_path, said, dataset=dataset)


def test_pixels_that_are_not_finite(tmp_path):
    images = np.ones((6, 8, 8, 3))
    images[4, 2, 2, 1] = np.nan
    bad = Samples(images, np.arange(6) % 3, ids=list("abcdef"))
    refused(tmp_path, "NaN or infinity in image 'e'", dataset=TrainTest(samples(dtype=np.float64), bad))


def test_grey_images_one_image_and_float64_are_fine(tmp_path):
    grey = TrainTest(samples(1, (8, 8, 1), np.float64), samples(1, (8, 8, 1), np.float64))
    source = read_source(grey, (8, 8, 1), 3)
    assert (source.shape, source.dtype) == ((8, 8, 1), "float32")
    result = Evaluator.roar(
        lambda: net(shape=(8, 8, 1)), grey, ["random"], run_dir=tmp_path, fractions=[0.5], modes=["keep"], repeats=1,
        recipe=Recipe(epochs=1), callbacks=[keras.callbacks.TerminateOnNaN()],
    )  # fmt: skip
    assert result.settings["done_cells"] == 2 and set(result.table["value"].dropna()) <= {0.0, 1.0}
    stored = RunDir(tmp_path).images("train")[0:1]
    np.testing.assert_array_equal(stored, grey.train.images.astype(np.float32))


def test_models_that_do_not_fit_files(tmp_path):
    paths = Samples(["a.png", "b.png"], [0, 1])
    with pytest.raises(AttribevalError, match="fixed input size"):
        read_source((paths, paths), (None, None, 3), 2)
    with pytest.raises(AttribevalError, match="1 or 3 channels"):
        read_source((paths, paths), (8, 8, 4), 2)
    with pytest.raises(AttribevalError, match=r"two or more.*Dense\(2\)"):
        read_source(DATA, (8, 8, 3), 1)
    assert read_source(DATA, (None, None, 3), 3).shape == (8, 8, 3)


def test_the_fingerprint_sees_pixels_and_labels():
    def fingerprint(data):
        return Source(dict(zip(("train", "test"), data, strict=True)), (8, 8, 3), 3).describe()["fingerprint"]

    other = samples()
    other.images[3, 0, 0, 0] ^= 1
    assert fingerprint(DATA) == fingerprint(TrainTest(samples(), samples()))
    assert len({fingerprint(d) for d in (DATA, (samples(), other), (samples(labels=[0] * 6), samples()))}) == 3


# ------------------------------------------------------------------------------------------------------------ builders


def compiled():
    model = net()
    model.compile("adam", "mse")
    return model


TRAINED = net()
FIXED = keras.initializers.GlorotUniform(seed=3)


def frozen_part():
    backbone = keras.Sequential([layers.Conv2D(3, 3)], name="backbone")
    backbone.build((None, 8, 8, 3))
    backbone.set_weights([np.linspace(0, 1, w.size).reshape(w.shape) for w in backbone.get_weights()])
    backbone.trainable = False
    return keras.Sequential([keras.Input((8, 8, 3)), backbone, layers.GlobalAveragePooling2D(), layers.Dense(3)])


def seeded():
    keras.utils.set_random_seed(1)
    return net()


def half_built():
    model = Subclassed()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns that this builds nothing
        model.build((None, 8, 8, 3))
    return model


def two_heads():
    image = keras.Input((8, 8, 3))
    flat = layers.Flatten()(image)
    return keras.Model(image, [layers.Dense(3)(flat), layers.Dense(3)(flat)])


def two_inputs():
    images = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    return keras.Model(images, layers.Dense(3)(layers.Flatten()(layers.Add()(images))))


@pytest.mark.parametrize(
    ("builder", "said"),
    [
        (TRAINED, "to be a function.*build_model=lambda"),
        (compiled, r"not compiled.*recipe=Recipe"),
        (lambda: TRAINED, "trained model or part"),
        (seeded, "or sets seeds"),
        (lambda: net(layers.Conv2D(2, 3, kernel_initializer=FIXED)), "or sets seeds"),
        (frozen_part, "trained model or part.*checkpoint="),
        (lambda: keras.Sequential([layers.Flatten(), layers.Dense(3)]), "built model.*an Input"),
        (half_built, "call a subclassed model once"),
        (lambda: "resnet50", "Received: str"),
        (lambda: layers.Dense(3), "Keras model.*Dense"),
        (two_heads, "one output, or output="),
        (two_inputs, "one input"),
        (lambda: keras.Sequential([keras.Input((8,)), layers.Dense(3)]), "image input"),
        (lambda: keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(3, 1)]), "of shape .batch, classes."),
        (lambda: net(layers.Lambda(lambda x: x * 2)), r"top of a \.py file"),
    ],
)
def test_builders(tmp_path, builder, said):
    refused(tmp_path, said, builder=builder)


@keras.saving.register_keras_serializable("attribeval_tests")
class Doubled(layers.Layer):
    """Registered here, but in no other process."""

    def call(self, x):
        return x * 2


def with_custom_layer():
    return net(Doubled())


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.pool, self.dense = layers.GlobalAveragePooling2D(), layers.Dense(3)

    def call(self, x):
        return self.dense(self.pool(x))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 8, 8, 3)))
    return model


@pytest.mark.parametrize("builder", [with_custom_layer, subclassed])
def test_models_that_are_not_keras_own_are_kept_as_a_place(builder):
    spec = describe(builder)
    assert "architecture" not in spec and spec["builder"]["name"] == builder.__name__
    assert (spec["input_shape"], spec["classes"]) == ([8, 8, 3], 3)
    one, other = build(spec, 0), build(spec, 0)
    assert [w.shape for w in one.weights] == [w.shape for w in builder().weights]
    np.testing.assert_array_equal(one.get_weights()[0], other.get_weights()[0])
    with pytest.raises(AttribevalError, match=r"top of a \.py file"):
        describe(lambda: builder())


def test_the_same_architecture_is_the_same_whatever_keras_calls_its_layers():
    """Names count on (conv2d_7): a second call in one session must find its own run directory."""
    first, second = describe(net), describe(net)
    assert first["architecture"] != second["architecture"] and first["hash"] == second["hash"]
    assert describe(lambda: net(layers.ReLU()))["hash"] != first["hash"]
    assert describe(lambda: net(head=[layers.Softmax()]))["hash"] != first["hash"]


def test_weights_of_a_built_model_come_from_its_seed():
    spec = describe(net)
    weights = [build(spec, seed).get_weights()[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_that_name\n", "to run. Received: ModuleNotFoundError"),
        ("def other():\n    pass\n", "a function net in"),
        ("def net(:\n", "SyntaxError"),
    ],
)
def test_files_of_builders(tmp_path, text, said):
    (tmp_path / "nets.py").write_text(text)
    with pytest.raises(AttribevalError, match=said):
        function_in_file(str(tmp_path / "nets.py"), "net")
    with pytest.raises(AttribevalError, match="which is none"):
        function_in_file(str(tmp_path / "none.py"), "net")


def test_a_script_that_starts_roar_when_it_is_imported_is_told_so(tmp_path):
    """Processes that look for its builder would start the grid again, and wait for themselves."""
    script = tmp_path / "script.py"
    script.write_text(
        "from attribeval import Evaluator\n\n\n"
        "def net():\n    pass\n\n\n"
        f"Evaluator.roar(net, None, ['GRAD'], run_dir={str(tmp_path / 'run')!r})\n"
    )
    with pytest.raises(AttribevalError, match=re.escape('put it under `if __name__ == "__main__":`')):
        function_in_file(str(script), "net")
    assert not (tmp_path / "run").exists()
