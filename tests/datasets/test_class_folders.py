"""One folder of class folders, classes by name, lists of arrays, and the commands that take them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from attribeval import datasets
from attribeval.benchmarks.wsol.evaluate import evaluate
from attribeval.benchmarks.wsol.geometry import see
from attribeval.benchmarks.wsol.reference import drawn_mask, reference_map
from attribeval.cli import main
from attribeval.datasets.class_labels import read_class_index
from attribeval.datasets.masks import ArrayMask, FileMask, Layers, PolygonMask
from attribeval.errors import AttribevalError


@pytest.fixture
def animals(tmp_path):
    """Three cats, two dogs; a note and a hidden folder beside them."""
    draw = np.random.default_rng(0)
    for name, count in (("dog", 2), ("cat", 3)):
        (tmp_path / "animals" / name).mkdir(parents=True)
        for i in range(count):
            pixels = draw.integers(0, 256, (40, 36, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"animals/{name}/{i}.png")
    (tmp_path / "animals/cat/notes.txt").write_text("no image")
    (tmp_path / "animals/.cache").mkdir()
    return tmp_path / "animals"


def test_one_folder_of_class_folders(animals):
    samples = datasets.folder(animals)
    assert samples.ids == ["cat/0.png", "cat/1.png", "cat/2.png", "dog/0.png", "dog/1.png"]
    assert samples.labels.tolist() == [0, 0, 0, 1, 1] and samples.class_names == ["cat", "dog"]
    assert samples.name == "animals" and samples.exif
    assert datasets.folder(animals, limit=3).ids == ["cat/0.png", "cat/1.png", "dog/0.png"]
    assert datasets.folder(animals, limit=5).ids == samples.ids
    for root, message in [
        (animals / "bird", "no such folder"),
        (animals / "cat", "folder for each class.*none"),
        (animals.parent, "."),
    ]:
        if root != animals.parent:
            with pytest.raises(AttribevalError, match=message):
                datasets.folder(root)
    (animals / "ox").mkdir()
    with pytest.raises(AttribevalError, match=r"images in .*ox"):
        datasets.folder(animals)


def test_parts_are_no_classes(animals, tmp_path):
    (tmp_path / "pair").mkdir()
    animals.rename(tmp_path / "pair/test")
    with pytest.raises(AttribevalError, match=r"parts test.*datasets\.folders"):
        datasets.folder(tmp_path / "pair")


def test_labels_become_the_models_by_name(animals):
    samples = datasets.folder(animals)
    assert datasets.to_classes(samples, ["Dog", "ox", "CAT"]).labels.tolist() == [2, 2, 2, 0, 0]
    assert datasets.to_classes(samples, {"cat": 281, "dog": 207}).labels.tolist() == [281] * 3 + [207] * 2
    assert datasets.to_classes(samples[:3], ["ox", "cat"]).labels.tolist() == [1, 1, 1]  # no dog is there
    with pytest.raises(AttribevalError, match=r"Unknown class: 'dog'. Did you mean 'dogs'"):
        datasets.to_classes(samples, ["cat", "dogs"])
    with pytest.raises(AttribevalError, match=r"'cat', which several classes"):
        datasets.to_classes(samples, ["cat", "Cat", "dog"])


def test_class_index_files(tmp_path):
    file = tmp_path / "index.json"
    for content, found in [
        ({"dog": 207, "cat": 281}, {"Dog": 207, "cat": 281, "ox": None}),
        ({"0": ["n01440764", "tench"], "1": ["n01484850", "great_white_shark"]},
         {"n01484850": 1, "great white shark": 1, "tench": 0, "n09": None}),
        (["tench", "goldfish"], {"goldfish": 1}),
    ]:  # fmt: skip
        file.write_text(json.dumps(content))
        index = read_class_index(file)
        assert {name: index.find(name) for name in found} == found
    for content in ({"dog": -1}, {"dog": 1.5}, {"dog": True}, {"a": ["b"]}, 3, [1]):
        file.write_text(json.dumps(content))
        with pytest.raises(AttribevalError, match=r"index\.json"):
            read_class_index(file)


def test_samples_take_what_explain_takes():
    arrays = [np.full((4, 6, 3), i, np.uint8) for i in range(3)]
    samples = datasets.Samples(arrays, np.array([[2], [0], [1]]))
    assert samples.labels.tolist() == [2, 0, 1] and samples.images.shape == (3, 4, 6, 3)
    np.testing.assert_array_equal(samples.load()[1], arrays[1])
    assert datasets.Samples(arrays, ["dog", "cat", "dog"], class_names=["cat", "dog"]).labels.tolist() == [1, 0, 1]
    with pytest.raises(AttribevalError, match=r"images of one size"):
        datasets.Samples([arrays[0], np.zeros((5, 6, 3))], [0, 1])
    with pytest.raises(AttribevalError, match=r"class of image number 1: 'dogs'. Did you mean 'dog'"):
        datasets.Samples(arrays, ["dog", "dogs", "cat"], class_names=["cat", "dog"])
    with pytest.raises(AttribevalError, match=r"Names need class_names="):
        datasets.Samples(arrays, ["dog", "dog", "cat"])


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """Two classes; the first is the dog."""
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    root = tmp_path_factory.mktemp("net")
    keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x)).save(root / "net.keras")
    (root / "names.txt").write_text("dog\ncat\n")
    return root


def test_commands_take_folders(animals, net, tmp_path, capsys):
    model = ["--model", str(net / "net.keras"), "--methods", "gradient", "--batch-size", "5"]
    names = ["--class-names", str(net / "names.txt")]
    words = ["bench", "--folders", str(animals), *model, "--benchmarks", "deletion(steps=4)", "--targets", "label"]
    assert main([*words, *names, "-o", str(tmp_path / "bench")]) == 0
    about = json.loads((tmp_path / "bench/result.json").read_text())
    assert about["settings"]["dataset"] == "animals"
    sanity = ["sanity", "--folders", str(animals), *model, "--layers", "1", "--modes", "cascading"]
    assert main([*sanity, "--similarities", "spearman_abs"]) == 0
    table = tmp_path / "boxes.csv"
    table.write_text("image,x0,y0,x1,y1,label\ncat/0.png,4,4,20,20,cat\ndog/1.png,4,4,30,30,dog\n")
    wsol = ["wsol", "--folders", str(animals), "--boxes", str(table), *model, "--metrics", "MaxBoxAcc"]
    capsys.readouterr()
    assert main([*wsol, *names, "-o", str(tmp_path / "wsol")]) == 0
    settings = json.loads((tmp_path / "wsol/result.json").read_text())["settings"]
    assert settings["images"] == 2 and len(settings["skipped"]) == 3
    for changed, message in [
        (["wsol", "--folders", str(animals), *model, *names], "needs ground-truth boxes"),
        ([*wsol], "class names are known"),  # nothing says what the table's dog is
        (["bench", "--folders", str(animals), "--imagenet", "x", *model], "one data set"),
    ]:
        assert main(changed) == 2
        assert message in capsys.readouterr().err


def test_coco_categories_become_the_models_classes(net, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / "images/a.png")
    square = [[4, 4, 30, 4, 30, 30, 4, 30]]
    names = ["cat", "n02084071", "kite"]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 40}],
        "categories": [{"id": k, "name": name} for k, name in enumerate(names, 1)],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": k, "bbox": [4, 4, 26, 26], "segmentation": square}
            for k in (1, 2, 3)
        ],
    }
    file, index = tmp_path / "instances.json", tmp_path / "index.json"
    file.write_text(json.dumps(content))
    words = ["wsol", "--coco", str(file), "--images", str(tmp_path / "images"), "--model", str(net / "net.keras"),
             "--methods", "gradient", "--metrics", "MaxBoxAcc", "-o", str(tmp_path / "out")]  # fmt: skip
    assert main(words) == 2
    assert "--class-names or --class-index FILE" in capsys.readouterr().err
    index.write_text(json.dumps({"0": ["n02084071", "dog"], "1": ["n02121808", "cat"]}))
    assert main([*words, "--class-index", str(index)]) == 0
    said = capsys.readouterr()
    assert "1 of 3 categories are no classes of the model and left out: kite" in said.err
    assert "of 2 image–class pairs" in said.out and "2 image–class pairs of 1 image." in said.out
    samples = datasets.coco(file, tmp_path / "images", class_index=read_class_index(index))
    assert samples.ids == ["a_cat", "a_n02084071"] and samples.labels.tolist() == [1, 0]
    index.write_text('{"ox": 1}')
    assert main([*words, "--class-index", str(index)]) == 2
    assert "of which none is" in capsys.readouterr().err


@pytest.mark.parametrize("geometry", ["resized", "cropped"])
def test_an_object_too_small_for_the_models_size_is_left_out(net, geometry):
    from attribeval import Attributer, Evaluator

    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (3, 320, 320, 3), np.uint8)
    large, small = ([[40, 40], [200, 40], [200, 200]], [[41, 41], [43, 41], [43, 43], [41, 43]])
    masks = [PolygonMask([np.array(one)], (320, 320)) for one in (large, small, large)]
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.png" for i in range(3)]
        for path, image in zip(paths, images, strict=True):
            Image.fromarray(image).save(path)
        samples = datasets.Samples(paths, [0, 1, 0], masks=masks)
        attributer = Attributer(net / "net.keras")
        seen = see(attributer, samples, geometry, "fixed")
        assert seen.items == [0, 2] and len(seen.images) == len(seen.masks) == len(seen.sizes) == 2
        result = Evaluator(attributer, samples).wsol(["gradient"], geometry=geometry, progress=False)
        with pytest.raises(AttribevalError, match="none for '1' at the size scored"):
            Evaluator(attributer, samples).wsol(["gradient"], geometry=geometry, progress=False, require_truth=True)
    assert result.settings["skipped"] == ["1"] and result.settings["images"] == 2


def test_metadata_with_masks_needs_no_sizes(tmp_path):
    """OpenImages' image_sizes.txt is empty."""
    mask = np.zeros((8, 8), np.uint8)
    mask[2:5, 3:6] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    files = {"image_ids.txt": "a.png\n", "class_labels.txt": "a.png,1\n", "image_sizes.txt": "",
             "localization.txt": "a.png,m.png,\n"}  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    samples = datasets.wsol_metadata(tmp_path)
    np.testing.assert_array_equal(samples.mask_at(0, (8, 8)), mask // 255)
    (tmp_path / "localization.txt").write_text("a.png,1,1,4,4\n")
    with pytest.raises(AttribevalError, match=r"image_sizes\.txt"):
        datasets.wsol_metadata(tmp_path)


@pytest.mark.parametrize("side", [(300, 410), (100, 90), (224, 224)])
def test_the_reference_protocol_samples_masks_as_opencv_does(tmp_path, side):
    cv2 = pytest.importorskip("cv2")
    draw = np.random.default_rng(0)
    files = [tmp_path / "m0.png", tmp_path / "m1.png"]
    for file in files:
        Image.fromarray((draw.random(side) < 0.3).astype(np.uint8) * 255).save(file)
    resized = [cv2.resize(cv2.imread(str(f), 0), (224, 224), interpolation=cv2.INTER_NEAREST) > 127 for f in files]
    expected = np.where(resized[0], 1, np.where(resized[1], 255, 0))  # the object, and what is not scored
    samples = datasets.Samples([files[0]], [0], masks=[FileMask([files[0]], files[1])])
    np.testing.assert_array_equal(drawn_mask(samples, 0), expected)
    array = (draw.random(side) < 0.3).astype(np.uint8)
    samples = datasets.Samples([files[0]], [0], masks=[Layers([ArrayMask(array)])])
    drawn = drawn_mask(samples, 0)
    np.testing.assert_array_equal(drawn, cv2.resize(array, (224, 224), interpolation=cv2.INTER_NEAREST))
    maps = draw.random((1, 56, 56), np.float32)  # smaller than the mask, which is not made smaller with it
    scores = evaluate(maps, masks=[drawn], metrics=["PxAP"], protocol="reference").table
    large = evaluate([reference_map(maps[0])], masks=[drawn], metrics=["PxAP"], protocol="reference").table
    mine, theirs = (table.set_index("method").loc["maps", "value"] for table in (scores, large))
    assert abs(mine - theirs) < 1e-6


@pytest.mark.real
def test_real_coco_by_a_class_index(real_data, tmp_path, capsys):
    """Of categories that are ImageNet's classes a net of those classes knows some."""
    file = tmp_path / "index.json"
    file.write_text(json.dumps({"stop sign": 919, "zebra": 340, "banana": 954, "broccoli": 937, "laptop": 620}))
    model = real_data / "models/squeezenet_1_0_imagenet.keras"
    coco = real_data / "coco128"
    words = ["wsol", "--coco", str(coco / "annotations/instances_train2017.json"), "--images", str(coco / "train2017"),
             "--model", str(model), "--preprocess", "squeezenet", "--class-index", str(file), "--methods", "gradcam",
             "--metrics", "MaxBoxAcc", "--limit", "12", "-o", str(tmp_path)]  # fmt: skip
    assert main(words) == 0
    said = capsys.readouterr()
    settings = json.loads((tmp_path / "result.json").read_text())["settings"]
    assert settings["top1_accuracy"] > 0 and "categories are no classes of the model" in said.err
