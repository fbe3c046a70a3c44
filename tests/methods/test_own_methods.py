"""Functions, objects and ready maps of the user in every study: the numbers of the method whose maps they give."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import attribeval
from attribeval import Attributer, Attributions, Evaluator
from attribeval.common.code import code_of
from attribeval.datasets import Samples
from attribeval.errors import AttribevalError
from attribeval.importable import function_in_file
from attribeval.methods import given
from attribeval.methods.function import function_method
from attribeval.methods.registry import build_method, written

SIZE, N = 12, 40  # more images than any study takes at a time


@pytest.fixture(scope="module")
def attributer():
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.Conv2D(4, 3, padding="same", activation="tanh", name="conv"),
            keras.layers.GlobalAveragePooling2D(name="gap"),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=9, seed=4), name="dense"),
        ],
        name="tiny",
    )
    model.layers[-1].bias.assign(-model(_images()).numpy().mean(0))  # so that every class is predicted
    return Attributer(model)


def _images(n=N):
    rng = np.random.default_rng(0)
    return (rng.uniform(0, 1, (n, SIZE, SIZE, 3)) * rng.uniform(0.1, 1, (n, 1, 1, 3))).astype(np.float32)


@pytest.fixture(scope="module")
def samples():
    boxes = [np.array([[0.2, 0.2, 0.6, 0.8]])] * N
    boxes[3] = np.zeros((0, 4))  # which wsol leaves out
    return Samples(_images(), np.arange(N) % 3, boxes=boxes, ids=[f"photo{i}" for i in range(N)])


@pytest.fixture(scope="module")
def of_images(attributer):
    """f(images, targets) that knows the model."""
    return lambda images, targets: attributer.explain(images, "gradient", targets, progress=False)


def of_model(model, images, targets, seed):
    """f(model, images, targets, seed) that calls ours."""
    return Attributer(model).explain(images, "gradient", targets, progress=False).values


def by_tape(model, images, targets, seed):
    """The gradient, written again."""
    x = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = tf.gather(model(x), targets, axis=1, batch_dims=1)
    return tape.gradient(score, x)


@attribeval.method(family="control", signed=False)
def brightness(images, targets):
    return images.mean(-1)


def _saved(maps, folder, ids, ending):
    for i, name in enumerate(ids):
        if ending == ".npz":
            maps[i].save(folder / name)
        else:
            folder.mkdir(exist_ok=True)
            np.save(folder / f"{name}.npy", maps.values[i])
    return folder


# ----------------------------------------------------------------------------------------------------- explain


def test_all_kinds_mixed_give_the_maps_of_the_method(attributer, samples, of_images, tmp_path):
    maps = attributer.explain(samples, "gradient", progress=False)
    everything = {
        "name": "gradient", "object": build_method("gradient"), "function": of_images, "with model": of_model,
        "place": f"{__file__}:of_model", "array": maps.values, "tensor": tf.constant(maps.values), "maps": maps,
        "file": maps.save(tmp_path / "maps.npz"), "text": str(maps.save(tmp_path / "maps.npy")),
        "folder": _saved(maps, tmp_path / "npy", samples.ids, ".npy"),
        "folder of npz": str(_saved(maps, tmp_path / "npz", samples.ids, ".npz")),
    }  # fmt: skip
    found = attributer.explain_many(samples, everything, batch_size=7, progress=False)
    assert list(found) == list(everything)
    for label, one in found.items():
        np.testing.assert_array_equal(one.values, maps.values, err_msg=label)
        np.testing.assert_array_equal(one.targets, maps.targets)
        assert one.method == label
    tape = attributer.explain(samples, by_tape, progress=False)
    assert tape.method == "by_tape"
    np.testing.assert_allclose(tape.values, maps.values, rtol=1e-4, atol=1e-6)
    grey = attributer.explain(samples[:5], brightness, progress=False)
    np.testing.assert_allclose(grey.values, samples.images[:5].mean(-1, keepdims=True), rtol=1e-6)
    assert attributer.explain(samples[:2], {"mine": "gradient"}, progress=False).method == "mine"
    several = attributer.explain(samples[:4], of_images, targets=[[0, 1], [1, 2], [2, 0], [0, 2]], progress=False)
    ours = attributer.explain(samples[:4], "gradient", targets=[[0, 1], [1, 2], [2, 0], [0, 2]], progress=False)
    np.testing.assert_array_equal(several.values, ours.values)


def test_labels_in_a_list(attributer, samples):
    maps = attributer.explain(samples[:3], "gradient", progress=False)
    smooth = build_method("smoothgrad(gradient)", {"samples": 3})
    labels = list(given.labelled([of_model, "gradcam", "gradcam", smooth, maps[:3].values, "a/b.npz", "own.py:f"]))
    assert labels == ["of_model", "gradcam", "smoothgrad(gradient, samples=3)", "maps", "b", "f"]
    assert list(given.labelled([build_method("SG-SQ-IG"), maps])) == [
        "smoothgrad_squared(integrated_gradients)", "gradient",
    ]  # fmt: skip
    for one in ("smoothgrad(integrated_gradients(steps=7), samples=3)", "gradcam", "vargrad(gradient, relative=False)"):
        assert build_method(written(build_method(one))) == build_method(one)
    assert list(given.methods_of(of_model)) == ["of_model"] and list(given.methods_of("gradcam")) == ["gradcam"]
    with pytest.raises(AttribevalError, match="'function' twice: pass a mapping"):
        given.methods_of([lambda images, targets: images, lambda images, targets: images])


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (3, "'mine' to be the name of a method, a method object, a function .*Received: int"),
        (type(build_method("gradient")), "Received a class: make one, Gradient()"),
        (lambda images: images, r"'mine' as f\(images, targets\) or f\(model.*\(images\): wrap it"),
        (lambda model, images, targets: images, r"parameters \(model, images, targets\)"),
        (lambda images, targets, *, sigma: images, r"targets, sigma\): wrap it"),
        ("nowhere/at/all", "'mine' to be a folder of map files.*not there"),
        ("maps.npz", "a .npz or .npy file.*not there"),
        ("none.py:f", "Python file with the function f"),
        (np.array(["a"]), "the maps 'mine' as real numbers"),
        (lambda images, targets: images[:-1], r"from the function 'mine'. Received: \(4, .*There are 5 images"),
        (lambda images, targets: images[:, ::2], r"Received: \(5, 6, 12, 3\). Resize them: tf.image.resize"),
        (lambda images, targets: np.moveaxis(images, -1, 1), r"Channels come last: np.moveaxis\(maps, 1, -1\)"),
        (lambda images, targets: images[..., :2], "Channels are the images', or one"),
        (lambda images, targets: images[0, :, :, 0], r"\(12, 12\). One map per image"),
        (lambda images, targets: None, r"from the function 'mine'. Received: NoneType"),
        (lambda images, targets: "maps", "Received: <U4"),
        (lambda images, targets: images / (images - images[2:3]), "function 'mine'.*NaN or infinity for image 2"),
        (lambda images, targets: 1 / 0, "'mine' failed for images 0 to 4: ZeroDivisionError: division by zero"),
    ],
)  # fmt: skip
def test_what_is_wrong_names_the_method(attributer, samples, method, said):
    with pytest.raises(AttribevalError, match=said), np.errstate(all="ignore"):
        attributer.explain_many(samples[:5], {"gradient": "gradient", "mine": method}, progress=False)


def test_images_are_named_by_their_number_in_the_call(attributer, samples):
    def breaks(images, targets):
        maps = np.ones(images.shape[:3])
        maps[(images == samples.images[9]).all((1, 2, 3))] = np.nan
        return maps

    with pytest.raises(AttribevalError, match=r"the function 'breaks'. Received NaN or infinity for image 9"):
        attributer.explain(samples, breaks, batch_size=4, progress=False)


def test_a_function_may_write_into_what_it_gets(attributer, samples):
    def greedy(model, images, targets, seed):
        maps = of_model(model, images, targets, seed)
        images[:] = targets[:] = 0
        return maps

    before = samples.images.copy()
    mine, ours = (attributer.explain(samples, one, batch_size=9, progress=False) for one in (greedy, "gradient"))
    np.testing.assert_array_equal(mine.values, ours.values)
    np.testing.assert_array_equal(samples.images, before)


def test_the_model_form_sees_what_the_model_sees():
    """Preprocessing reverses the channels; the maps come back in the order of the images."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 3), keras.layers.GlobalAveragePooling2D()])
    caffe = Attributer(model, preprocess="caffe")
    images = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 3)).astype(np.float32)
    ours = caffe.explain(images, "gradient", progress=False)
    mine = caffe.explain(images, by_tape, progress=False)
    np.testing.assert_allclose(mine.values, ours.values, rtol=1e-5, atol=1e-8)
    assert not np.allclose(mine.values[..., 0], mine.values[..., 2])
    seen = caffe.explain(images, lambda model, images, targets, seed: images, progress=False).values[..., ::-1]
    np.testing.assert_allclose(seen, caffe.classifier.prepare(images), rtol=1e-6)


def test_wrappers_of_a_function_and_of_ready_maps(attributer, samples):
    few = samples[:5]
    for text in ("smoothgrad(gradient, samples=4)", "vargrad(gradient, samples=4)", "squared(gradient)"):
        wrapper = build_method(text)
        mine = type(wrapper)(**(vars(wrapper) | {"base": function_method(of_model)}))
        ours, theirs = (attributer.explain(few, one, seed=5, progress=False) for one in (wrapper, mine))
        np.testing.assert_allclose(theirs.values, ours.values, rtol=1e-5, atol=1e-7)
    maps = attributer.explain(few, "gradient", progress=False)
    ready = given.method_of(maps, "ready")
    squared = attributer.explain(few, type(build_method("SQ-GRAD"))(base=ready), batch_size=2, progress=False)
    np.testing.assert_array_equal(squared.values, maps.values**2)
    with pytest.raises(AttribevalError, match=r"other images. Received 'ready', ready maps: give a"):
        attributer.explain(few, type(build_method("SG-GRAD"))(base=ready, samples=2), progress=False)
    with pytest.raises(AttribevalError, match="works on raw images and cannot be wrapped"):
        base = function_method(lambda images, targets: images)
        attributer.explain(few, type(build_method("SG-GRAD"))(base=base, samples=2), progress=False)


def test_random_functions_get_a_seed_of_each_image(attributer, samples):
    @attribeval.method(one_by_one=True)
    def noise(model, images, targets, seed):
        assert len(images) == 1 and isinstance(seed, int) and 0 <= seed < 2**31
        return np.random.default_rng(seed).normal(size=images.shape)

    one, other = (attributer.explain(samples, noise, batch_size=size, progress=False).values for size in (3, 40))
    np.testing.assert_array_equal(one, other)
    turned = attributer.explain(samples.images[::-1], noise, progress=False).values
    np.testing.assert_array_equal(turned[::-1], one)
    assert len(np.unique(one[:, 0, 0, 0])) == N
    assert not np.array_equal(attributer.explain(samples, noise, seed=1, progress=False).values, one)


# -------------------------------------------------------------------------------------------------- ready maps


def test_ready_maps_are_counted_and_measured(attributer, samples, tmp_path):
    maps = attributer.explain(samples, "gradient", progress=False)
    for mine, said in [
        (maps[:39], "Expected 40 maps in 'mine', one for each image.*Received: 39"),
        (maps.values[:, :6], r"from the ready maps 'mine'. Received: \(16, 6, 12, 3\).*Resize"),
        (np.where(np.arange(N)[:, None, None, None] == 17, np.nan, maps.values), "NaN or infinity for image 17"),
        (attributer.explain(samples, "gradient", 1, progress=False), "whose map of image .* is of class 1, not"),
    ]:
        with pytest.raises(AttribevalError, match=said):
            attributer.explain_many(samples, {"mine": mine}, progress=False, batch_size=16)
    folder = _saved(maps[:38], tmp_path / "some", samples.ids[:38], ".npy")
    with pytest.raises(AttribevalError, match=r"<image id>\.npy or \.npz for each image.*photo38, photo39"):
        attributer.explain(samples, folder, progress=False)
    with pytest.raises(AttribevalError, match="images with names, by which the files of 'some' are found"):
        attributer.explain(samples.images, folder, progress=False)
    np.testing.assert_array_equal(attributer.explain(samples[:38], folder, progress=False).values, maps[:38].values)
    with pytest.raises(AttribevalError, match=r"no options beside 'some'.*steps"):
        attributer.explain(samples, folder, steps=3, progress=False)
    with pytest.raises(AttribevalError, match=r"Expected one method. Received 2: explain_many"):
        attributer.explain(samples, ["gradient", of_model], progress=False)


def test_files_beside_photographs_are_found_by_the_photographs_names(tmp_path):
    from PIL import Image

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 3), keras.layers.GlobalAveragePooling2D()])
    images = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 3), np.uint8)
    paths = [tmp_path / f"{name}.png" for name in "cab"]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    attributer = Attributer(model)
    maps = attributer.explain(paths, "gradient", progress=False)
    folder = _saved(maps, tmp_path / "maps", "cab", ".npy")
    again = attributer.explain([paths[2], paths[0]], folder, progress=False)
    np.testing.assert_array_equal(again.values, maps.values[[2, 0]])
    folder = _saved(maps, tmp_path / "as the command writes them", ["c.png.npz", "a.png.npz", "b.png.npz"], ".npz")
    for images in (paths, Samples(paths, [0, 1, 2], ids=["x", "y", "z"])):
        np.testing.assert_array_equal(attributer.explain(images, folder, progress=False).values, maps.values)


# ------------------------------------------------------------------------------------------------------ studies


def _rows(result, label, leave=("method", "seconds_per_image", "peak_memory_mib", "scoring_seconds_per_image")):
    """What a table says of a method, without its name and its costs."""
    rows = result.table[result.table["method"] == label]
    columns = [column for column in rows if column not in (*leave, "rank", "group", "p_next", "step")]
    keys = [column for column in ("metric", "benchmark", "mode", "layer") if column in columns]
    return rows[columns].sort_values(keys).astype(str).to_numpy().tolist()


def test_wsol(attributer, samples, of_images, tmp_path):
    maps = attributer.explain(samples, "gradient", samples.labels, progress=False)
    methods = {
        "name": "gradient", "object": build_method("gradient"), "function": of_images, "with model": of_model,
        "array": maps.values, "maps": maps, "folder": _saved(maps, tmp_path / "maps", samples.ids, ".npy"),
    }  # fmt: skip
    evaluator = Evaluator(attributer, samples)
    result = evaluator.wsol(methods, run_dir=tmp_path / "run", progress=False)
    assert result.settings["images"] == N - 1
    one, *others = (_rows(result, label) for label in methods)
    assert others == [one] * 6 and len(one) > 3
    again = evaluator.wsol(methods, run_dir=tmp_path / "run", progress=False)
    assert _rows(again, "folder") == one
    changed = {"name": "gradient", "array": maps.values * 2}
    renewed = evaluator.wsol(changed, run_dir=tmp_path / "run", progress=False)
    assert _rows(renewed, "array") == _rows(renewed, "name")  # another scale is nothing to heat maps
    changed["array"] = np.square(maps.values)
    renewed = evaluator.wsol(changed, run_dir=tmp_path / "run", progress=False)
    assert _rows(renewed, "array") == _rows(evaluator.wsol(changed, progress=False), "array") != one
    with pytest.raises(AttribevalError, match=r"'maps': changed images are explained.*a function f"):
        evaluator.wsol({"maps": maps}, geometry="cropped", strict=True, progress=False)
    other = evaluator.wsol({"maps": maps}, targets="predicted", progress=False).table
    assert other["error"][other["method"] == "maps"].str.contains("is of class .*explain these classes").all()
    with pytest.raises(AttribevalError, match="Expected 40 maps in 'maps'"):
        evaluator.wsol({"maps": maps[:12]}, progress=False)
    with pytest.raises(AttribevalError, match="label 'sobel' to be the control's"):
        evaluator.wsol({"sobel": of_images}, progress=False)


OWN_FORM = ["deletion(steps=4)", "sparseness", "max_sensitivity(images=6, samples=2)", "randomisation(images=6)",
            "input_invariance(images=6)"]  # fmt: skip


def test_compare(attributer, samples, of_images, tmp_path):
    maps = attributer.explain(samples, "gradient", progress=False)
    methods = {"name": "gradient", "object": build_method("gradient"), "function": of_images, "with model": of_model,
               "maps": maps, "array": maps.values}  # fmt: skip
    options = {"run_dir": tmp_path, "chunk": 16, "progress": False}
    result = Evaluator(attributer, samples).compare(methods, OWN_FORM, **options)
    rows = {label: {row[1]: row for row in _rows(result, label)} for label in methods}
    assert rows["object"] == rows["name"] == rows["with model"] and len(rows["name"]) == 5
    for label in ("function", "maps", "array"):
        same = {name for name, row in rows[label].items() if row == rows["name"][name]}
        assert same == {"deletion(steps=4)", "sparseness"} | ({OWN_FORM[2]} if label == "function" else set())
    errors = result.table.set_index(["method", "benchmark"])["error"]
    assert "does not get the model: give one f(model, images, targets, seed)" in errors["function", OWN_FORM[3]]
    assert (
        "ready maps are of one model and its images: give a function f(images, targets)" in errors["maps", OWN_FORM[2]]
    )
    assert not (tmp_path / "maps").is_dir() or not list((tmp_path / "maps").glob("array*"))
    calls = []

    def counted(model, images, targets, seed):
        calls.append(len(images))
        return of_model(model, images, targets, seed)

    for expected in (N, N):  # what is done is not asked for again
        Evaluator(attributer, samples).compare({"counted": counted}, OWN_FORM[:2], **options)
        assert sum(calls) == expected


def test_an_edited_function_is_another_method(attributer, samples, tmp_path):
    scale = 1.0

    def mine(images, targets):
        return images.mean(-1) * scale + images[..., 0] ** 2

    evaluator = Evaluator(attributer, samples[:5])
    options = {"run_dir": tmp_path, "progress": False}
    before = _rows(evaluator.compare({"mine": mine}, ["entropy"], **options), "mine")
    scale = -40.0
    after = _rows(evaluator.compare({"mine": mine}, ["entropy"], **options), "mine")
    assert before != after == _rows(evaluator.compare({"mine": mine}, ["entropy"], progress=False), "mine")


def test_the_decorator_says_how_places_are_ranked(attributer, samples):
    def shares(images, targets):
        return attributer.explain(images, "gradient_x_input", targets, progress=False)

    maps = attributer.explain(samples, "gradient_x_input", progress=False)
    methods = {
        "name": "gradient_x_input", "decorated": attribeval.method(shares=True)(shares), "maps": maps,
        "plain": lambda images, targets: shares(images, targets), "array": maps.values,
    }  # fmt: skip
    table = Evaluator(attributer, samples).compare(methods, ["deletion(steps=4)"], progress=False).table
    values = table.set_index("method")["value"]
    assert values["name"] == values["decorated"] == values["maps"]
    assert values["plain"] == values["array"] != values["name"]
    assert function_method(methods["decorated"]).card.shares


def test_sanity(attributer, samples, of_images):
    methods = {"name": "gradient", "mine": of_model, "object": build_method("gradient"), "brightness": brightness}
    options = {"similarities": ["spearman_abs"], "modes": ["cascading"], "progress": False}
    result = Evaluator(attributer, samples[:6]).sanity(methods, **options)
    assert _rows(result, "name") == _rows(result, "mine") == _rows(result, "object")
    assert (result.table[result.table["method"] == "brightness"]["value"] == 1).all()
    assert set(result.table[result.table["method"] == "brightness"]["kind"]) == {"control"}
    for label, mine in (
        ("of_images", of_images),
        ("maps", attributer.explain(samples[:6], "gradient", progress=False)),
    ):
        with pytest.raises(AttribevalError, match=rf"sanity checks can use. Received '{label}'.*f\(model, images, t"):
            Evaluator(attributer, samples[:6]).sanity({label: mine}, **options)

    def fails(model, images, targets, seed):
        raise KeyError("cause")

    result = Evaluator(attributer, samples[:6]).sanity({"name": "gradient", "fails": fails}, **options)
    assert "function 'fails' failed" in result.table[result.table["method"] == "fails"]["error"].iloc[0]


# ---------------------------------------------------------------------------------- what tells functions apart


def test_the_code_of_functions(tmp_path):
    file = tmp_path / "own.py"
    text = (
        "import numpy as np\n"
        "SIGMA = 2.0\n"
        "LOG = []\n\n"
        "def helper(x):\n    return x * SIGMA\n\n"
        "def mine(images, targets, power=2):\n    LOG.append(1)\n    return helper(np.abs(images) ** power)\n"
    )
    codes = []
    changes = (("2.0", "2.0"), ("2.0", "3.0"), ("x * ", "x / "), ("power=2", "power=3"), ("np.abs", "np.sign"))
    for old, new in changes:
        file.write_text(text.replace(old, new))
        mine = function_in_file(str(file), "mine")
        codes.append(code_of(mine))
        mine(np.ones(3), None)
        assert code_of(mine) == codes[-1]  # what it did is no part of it
    file.write_text("\n\n" + text)
    assert len(set(codes)) == len(changes) and code_of(function_in_file(str(file), "mine")) == codes[0]

    def made(array):
        return lambda images, targets: images * array

    assert code_of(made(np.ones(3))) == code_of(made(np.ones(3))) != code_of(made(np.zeros(3)))
    assert code_of(functools.partial(made, array=1)) != code_of(functools.partial(made, array=2))

    def again(images, targets):
        return again if images is None else images

    assert code_of(again) == code_of(again)


def test_attributions_stay_what_they_are(attributer, samples):
    """`Attributions` that another program made are ready maps, too; the package's face has the decorator."""
    maps = Attributions.from_array(_images(4), 0, method="theirs")
    found = attributer.explain_many(samples[:4], [maps], targets=0, progress=False)
    np.testing.assert_array_equal(found["theirs"].values, _images(4))
    assert attribeval.method.__module__ == "attribeval.methods.function" and "method" in dir(attribeval)
