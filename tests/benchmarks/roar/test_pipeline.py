"""The pipeline: what comes out against NumPy on the maps themselves; what comes when; who takes what."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import gaussian_filter

from attribeval import AttribevalError
from attribeval.benchmarks.roar import order
from attribeval.benchmarks.roar.fills import channel_mean, impute
from attribeval.benchmarks.roar.pipeline import MaskedImages
from attribeval.benchmarks.roar.ranks import decode, levels, mask_rule, pack
from attribeval.benchmarks.roar.records import CorruptRecords, Records
from attribeval.metrics.faithfulness.ranking import counts
from attribeval.training.augment import Augment

N, SHAPE = 37, (12, 10, 3)
FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)


class Data:
    """Images, maps and their records; masks by sorting, image by image."""

    def __init__(self, folder, dtype=np.uint8, shard_records=8):
        rng = np.random.default_rng(0)
        smooth = gaussian_filter(rng.normal(size=(N, *SHAPE)), (0, 2, 2, 0))
        self.images = (128 + 300 * smooth).clip(0, 255).astype(dtype)
        self.labels = rng.integers(0, 5, N)
        self.maps = rng.normal(size=(N, *SHAPE)).astype(np.float32)
        seeds = rng.integers(0, 99, (N, 2)).astype(np.int32)
        self.records = self.store(folder, "images", self.images, shard_records)
        self.ranks = {}
        for per in ("value", "pixel"):
            packed = pack(levels(self.maps, FRACTIONS, seeds, per), len(FRACTIONS))
            self.ranks[per] = self.store(folder, per, packed, 11)  # shards of ranks need not be those of images
        self.mean = self.images.astype(np.float64).mean((0, 1, 2)).astype(np.float32)

    @staticmethod
    def store(folder, name, array, shard_records):
        records = Records.create(folder, name, len(array), array.shape[1:], array.dtype, shard_records)
        for k in range(records.shards):
            records.write_shard(k, array[slice(*records.span(k))])
        return records

    def masks(self, per, index, mode):
        """bool (N, H, W, C), True where replaced, straight from the maps."""
        masks = np.zeros(self.maps.shape, bool)
        for mask, scores in zip(masks, self.maps, strict=True):
            ranked = scores.ravel() if per == "value" else scores.astype(np.float64).sum(-1).ravel()
            (k,) = counts([FRACTIONS[index]], len(ranked))
            top = np.zeros(len(ranked), bool)
            top[np.argsort(-ranked)[:k]] = True
            mask[:] = top.reshape(SHAPE) if per == "value" else top.reshape(*SHAPE[:2], 1)
        return masks if mode == "remove" else ~masks

    def dataset(self, per="value", index=2, mode="remove", ranks=True, **options):
        options = {"size": 10, "seed": 0, "training": False, "channel_mean": self.mean} | options
        if ranks:
            options |= {"ranks": self.ranks[per], "rule": mask_rule(len(FRACTIONS), index, mode), "per": per}
        return batches_of(images=self.records, labels=self.labels, **options)


def batches_of(**options):
    """Both steps at once; `steps` of an endless stream."""
    steps = options.pop("steps", None)
    stream = {name: options.pop(name) for name in ("size", "seed", "training", "augment", "shard") if name in options}
    batches = MaskedImages(**options).batches(**stream)
    return batches if steps is None else batches.take(steps)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return Data(tmp_path_factory.mktemp("uint8"))


def drawn(dataset):
    batches = list(dataset.as_numpy_iterator())
    return np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])


def which(images, data):
    """The number of each image of a stream; the images are all different."""
    by_bytes = {image.astype(np.float32).tobytes(): i for i, image in enumerate(data.images)}
    return np.array([by_bytes[image.tobytes()] for image in images])


# ----------------------------------------------------------------------------------------------------- the modification


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("fill", ["mean", 7, (1.5, 250.25, -3.0)])
@pytest.mark.parametrize("mode", ["remove", "keep"])
@pytest.mark.parametrize("per", ["value", "pixel"])
def test_colours_fill_exactly_the_mask(tmp_path, per, mode, fill, dtype):
    data = Data(tmp_path, dtype)
    colour = data.mean if fill == "mean" else np.broadcast_to(np.float32(fill), 3)
    for index in (0, 2, 4):
        x, y = drawn(data.dataset(per, index, mode, fill=fill))
        assert x.dtype == np.float32 and y.dtype == np.int32
        np.testing.assert_array_equal(x, np.where(data.masks(per, index, mode), colour, data.images.astype(np.float32)))
        np.testing.assert_array_equal(y, data.labels)


@pytest.mark.parametrize("m", range(1, 16))
def test_masks_of_every_grid_are_those_of_the_table(data, tmp_path, m):
    values = int(np.prod(SHAPE))
    packed = pack(np.random.default_rng(m).integers(0, m + 1, (N, values), np.uint8), m)
    ranks = data.store(tmp_path, "ranks", packed, 37)
    for index, mode in ((0, "remove"), (m // 2, "keep"), (m - 1, "remove")):
        rule = mask_rule(m, index, mode)
        images = MaskedImages(data.records, data.labels, ranks, rule=rule, content="mask")
        x, _ = drawn(images.batches(N, training=False))
        np.testing.assert_array_equal(x.reshape(N, values) == 255, decode(packed, rule.table(), values))


def test_without_ranks_images_are_themselves(data):
    x, y = drawn(data.dataset(ranks=False, channel_mean=None))
    np.testing.assert_array_equal(x, data.images.astype(np.float32))
    np.testing.assert_array_equal(y, data.labels)


@pytest.mark.parametrize("per", ["value", "pixel"])
def test_blur_is_scipys_gaussian_of_the_image(data, per):
    x, _ = drawn(data.dataset(per, fill="blur", channel_mean=None))
    blurred = gaussian_filter(data.images.astype(np.float64), (0, 1.0, 1.0, 0), mode="reflect")  # a tenth of 10
    mask = data.masks(per, 2, "remove")
    np.testing.assert_array_equal(x[~mask], data.images.astype(np.float32)[~mask])
    np.testing.assert_allclose(x[mask], blurred[mask], rtol=1e-5, atol=1e-3)


def dense_imputation(image, mask):
    """ROAD's system for one channel, one equation at a time."""
    height, width = image.shape
    system, right = np.zeros((height * width, height * width)), np.zeros(height * width)
    for y in range(height):
        for x in range(width):
            row = y * width + x
            if not mask[y, x]:
                system[row, row], right[row] = 1, image[y, x]
                continue
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    if (dy or dx) and 0 <= y + dy < height and 0 <= x + dx < width:
                        weight = 1 / 6 if dy == 0 or dx == 0 else 1 / 12
                        system[row, (y + dy) * width + x + dx] -= weight
                        system[row, row] += weight
    return np.linalg.solve(system, right).reshape(height, width)


@pytest.mark.parametrize("per", ["value", "pixel"])
@pytest.mark.parametrize("mode", ["remove", "keep"])
def test_linear_imputation_is_the_dense_solution_and_noise(data, per, mode):
    x, _ = drawn(data.dataset(per, 3, mode, fill="linear"))
    mask = data.masks(per, 3, mode)
    np.testing.assert_array_equal(x[~mask], data.images.astype(np.float32)[~mask])
    noise = np.zeros(x.shape)
    for i in range(N):
        for c in range(3):
            noise[i, :, :, c] = x[i, :, :, c] - dense_imputation(
                data.images[i, :, :, c].astype(float), mask[i, :, :, c]
            )
    noise = noise[mask] / 2.55
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size) and abs(noise.std() - 1) < 4 / np.sqrt(2 * noise.size)
    assert np.abs(noise).max() < 6
    again, _ = drawn(data.dataset(per, 3, mode, fill="linear", size=3, seed=5))
    np.testing.assert_array_equal(again, x)  # the noise is the image's: no batch, order or repeat changes it


def test_linear_imputation_where_nothing_or_everything_is_removed():
    images = np.random.default_rng(0).uniform(0, 255, (2, 6, 6, 3)).astype(np.float32)
    masks = np.zeros((2, 6, 6, 1), bool)
    masks[1] = True
    out = impute(images, masks, np.zeros((2, 2), np.int32), np.array([0.0, 0.0]), np.float32([1, 2, 3]))
    np.testing.assert_array_equal(out[0], images[0])
    np.testing.assert_array_equal(out[1], np.broadcast_to(np.float32([1, 2, 3]), (6, 6, 3)))


@pytest.mark.parametrize("per", ["value", "pixel"])
def test_the_mask_itself_as_an_image(data, per):
    x, y = drawn(data.dataset(per, 1, "keep", content="mask", channel_mean=None))
    np.testing.assert_array_equal(x, 255.0 * data.masks(per, 1, "keep"))
    np.testing.assert_array_equal(y, data.labels)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_channel_mean(tmp_path, dtype):
    data = Data(tmp_path, dtype)
    expected = data.images.astype(np.float64).mean((0, 1, 2))
    np.testing.assert_allclose(channel_mean(data.records), expected, rtol=1e-7)
    if dtype == np.float32:
        data.images[9, 3, 3, 1] = np.nan
        bad = data.store(tmp_path, "bad", data.images, 8)
        with pytest.raises(AttribevalError, match="bad-00001"):
            channel_mean(bad)


# ------------------------------------------------------------------------------------------------------ what comes when


@pytest.mark.parametrize("batch_size, buffer", [(8, None), (37, None), (50, None), (8, 9), (8, 1)])
def test_every_image_equally_often_in_full_batches(data, batch_size, buffer, monkeypatch):
    if buffer is not None:
        monkeypatch.setattr(order, "_WINDOW_BYTES", buffer * data.records.record_bytes)
    epochs = 2 * batch_size  # so that whole batches end where an epoch does
    steps = N * epochs // batch_size
    stream = data.dataset(ranks=False, training=True, size=batch_size, steps=steps)
    batches = list(stream.as_numpy_iterator())
    assert len(batches) == steps and {len(x) for x, _ in batches} == {batch_size}
    items = which(np.concatenate([x for x, _ in batches]), data)
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), data.labels[items])
    by_epoch = items.reshape(epochs, N)
    np.testing.assert_array_equal(np.sort(by_epoch, axis=1), np.tile(np.arange(N), (epochs, 1)))
    assert len({tuple(order) for order in by_epoch.tolist()}) == epochs  # each epoch in an order of its own


def test_the_stream_does_not_end_and_a_pass_does(data):
    assert data.dataset(training=True).cardinality() == tf.data.INFINITE_CARDINALITY
    assert data.dataset().cardinality() == 4  # the last partial batch counts
    assert [len(x) for x, _ in data.dataset().as_numpy_iterator()] == [10, 10, 10, 7]
    assert data.dataset(training=True).element_spec[0].shape == (10, *SHAPE)
    assert data.dataset().element_spec[0].shape.as_list() == [None, *SHAPE]


def test_a_buffer_mixes_shards_and_keeps_to_a_window(data, monkeypatch):
    monkeypatch.setattr(order, "_WINDOW_BYTES", 16 * data.records.record_bytes)
    items = which(drawn(data.dataset(ranks=False, training=True, size=N, steps=6))[0], data)
    for of_epoch in items.reshape(6, N):
        shards = of_epoch // 8
        for start in range(0, N, 16):  # two shards of eight at a time, or three where the short one is among them
            assert len(set(shards[start : start + 16].tolist())) <= 3
        assert (np.diff(shards) != 0).sum() > 10  # and not shard after shard


def test_the_seed_alone_decides(data):
    def run(**options):
        augment = Augment(flip=True, shift=2, crop=(0.5, 1.0))
        return drawn(data.dataset(training=True, augment=augment, **({"steps": 12, "seed": 3} | options)))

    x, y = run()
    tf.random.set_seed(1)
    np.random.seed(1)  # noqa: NPY002
    for other in (run(), run(size=5, steps=24)):  # neither global seeds nor the batch size
        np.testing.assert_array_equal(other[0], x)
        np.testing.assert_array_equal(other[1], y)
    assert (run(seed=4)[1] != y).any() and (run(seed=-1)[1] != y).any()


def test_masked_and_unmodified_streams_have_the_same_order(data):
    masked = drawn(data.dataset(training=True, steps=8))
    plain = drawn(data.dataset(ranks=False, training=True, steps=8))
    items = which(plain[0], data)
    np.testing.assert_array_equal(masked[1], plain[1])
    mask = data.masks("value", 2, "remove")[items]
    np.testing.assert_array_equal(masked[0], np.where(mask, data.mean, plain[0]))


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_share_the_batches_of_one(data, workers):
    whole = drawn(data.dataset(ranks=False, training=True, size=6 * workers, steps=9))[0]
    parts = [
        drawn(data.dataset(ranks=False, training=True, size=6, steps=9, shard=(w, workers)))[0] for w in range(workers)
    ]
    together = np.stack([part.reshape(9, 6, *SHAPE) for part in parts], axis=1)
    np.testing.assert_array_equal(together.reshape(whole.shape), whole)
    evaluated = [drawn(data.dataset(shard=(w, workers)))[1] for w in range(workers)]
    np.testing.assert_array_equal(np.concatenate(evaluated), data.labels)
    assert np.ptp([len(part) for part in evaluated]) <= 1


# --------------------------------------------------------------------------------------------------------- augmentation


def moved(image, flip, down, right, pad):
    """Pad, mirror, cut: as one does it by hand."""
    by = 4
    padded = np.empty((SHAPE[0] + 2 * by, SHAPE[1] + 2 * by, 3), np.float32)
    padded[:] = pad
    padded[by:-by, by:-by] = image[:, ::-1] if flip else image
    return padded[by + down : by + down + SHAPE[0], by + right : by + right + SHAPE[1]]


@pytest.mark.parametrize("content", ["image", "mask"])
@pytest.mark.parametrize("augment", [Augment(flip=True), Augment(shift=3), Augment(flip=True, shift=3)])
def test_augmentation_moves_the_filled_image(data, augment, content):
    """Every image of the stream is the filled one, moved in one of the ways allowed, each about equally often."""
    x, _ = drawn(data.dataset(training=True, augment=augment, content=content, size=N, steps=30))
    order = drawn(data.dataset(ranks=False, training=True, size=N, steps=30))[0]
    mask = data.masks("value", 2, "remove")
    filled = 255.0 * mask if content == "mask" else np.where(mask, data.mean, data.images.astype(np.float32))
    pad = 255.0 if content == "mask" else data.mean
    shifts = range(-augment.shift, augment.shift + 1)
    ways = [(f, d, r) for f in ((False, True) if augment.flip else (False,)) for d in shifts for r in shifts]
    used = dict.fromkeys(ways, 0)
    for image, item in zip(x, which(order, data), strict=True):
        found = [way for way in ways if np.array_equal(image, moved(filled[item].astype(np.float32), *way, pad))]
        assert found
        used[found[0]] += 1
    expected = len(x) / len(ways)
    assert sum((seen - expected) ** 2 / expected for seen in used.values()) < len(ways) + 5 * np.sqrt(2 * len(ways))


def test_a_crop_is_of_the_filled_image_by_bilinear_sampling(data):
    augment = Augment(crop=(0.3, 0.8))
    options = {"training": True, "size": N, "steps": 3}
    x, _ = drawn(data.dataset(augment=augment, seed=2, **options))
    filled, _ = drawn(data.dataset(seed=2, **options))
    items = which(drawn(data.dataset(ranks=False, seed=2, **options))[0], data)
    boxes = augment.draw_boxes(2, np.repeat(np.arange(3), N), items, SHAPE[:2])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / (SHAPE[0] * SHAPE[1])
    assert areas.min() > 0.2 and areas.max() < 0.9 and areas.std() > 0.1
    for image, source, (y0, x0, y1, x1) in zip(x, filled, boxes, strict=True):
        rows, columns = np.linspace(y0, y1 - 1, SHAPE[0]), np.linspace(x0, x1 - 1, SHAPE[1])
        top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
        below, beside = np.minimum(top + 1, SHAPE[0] - 1), np.minimum(left + 1, SHAPE[1] - 1)
        v, h = (rows - top)[:, None, None], (columns - left)[None, :, None]
        upper = source[top][:, left] * (1 - h) + source[top][:, beside] * h
        lower = source[below][:, left] * (1 - h) + source[below][:, beside] * h
        np.testing.assert_allclose(image, upper * (1 - v) + lower * v, atol=0.01)


def test_the_whole_image_cropped_is_the_image(data):
    x, _ = drawn(data.dataset(training=True, steps=2, augment=Augment(crop=(1.0, 1.0))))
    boxes = Augment(crop=(1.0, 1.0)).draw_boxes(0, np.zeros(200, int), np.arange(200), (12, 10))
    assert (boxes[:, 2:] <= (12, 10)).all() and (boxes[:, :2] >= 0).all() and (boxes[:, 2:] > boxes[:, :2]).all()
    assert x.shape == (20, *SHAPE) and np.isfinite(x).all()


def test_augmentation_is_the_items_own_in_each_epoch():
    augment = Augment(flip=True, shift=5)
    items = np.arange(3000)
    flips, shifts = augment.draw_moves(7, np.zeros(3000, int), items)
    one = augment.draw_moves(7, np.array([0]), np.array([1234]))
    assert one[0][0] == flips[1234] and (one[1][0] == shifts[1234]).all()
    assert abs(flips.mean() - 0.5) < 0.05 and set(np.unique(shifts)) == set(range(-5, 6))
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.1 and abs(np.corrcoef(flips, shifts[:, 0])[0, 1]) < 0.1
    for seed, epoch in ((7, 1), (8, 0)):
        assert 0.4 < (augment.draw_moves(seed, np.full(3000, epoch), items)[0] == flips).mean() < 0.6


# ------------------------------------------------------------------------------------------------------------ elsewhere


def test_it_trains_a_model_and_is_shared_by_devices(data):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(5)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(data.dataset(training=True), steps_per_epoch=3, epochs=2, verbose=0)
    assert model.predict(data.dataset(), verbose=0).shape == (N, 5)
    strategy = tf.distribute.MirroredStrategy(["cpu:0"])
    shared = [(x.numpy(), y.numpy()) for x, y in strategy.experimental_distribute_dataset(data.dataset())]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in shared]), drawn(data.dataset())[0])


def test_a_broken_shard_is_named_before_anything_runs(tmp_path):
    data = Data(tmp_path)
    path = data.ranks["value"].files[1]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CorruptRecords, match=r"value-00001\.bin") as caught:
        data.dataset()
    assert caught.value.shard == 1
    data.records.files[2].unlink()
    with pytest.raises(CorruptRecords, match=r"images-00002\.bin"):
        data.dataset(ranks=False)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"fill": "median"}, "fill to be one of mean, blur, linear"),
        ({"fill": (1, 2)}, "one number or 3"),
        ({"channel_mean": None}, "channel_mean for fill='mean'"),
        ({"size": 0}, "batch of 1 image or more"),
        ({"augment": Augment(flip=True)}, "for training only"),
        ({"shard": (2, 2)}, "0 ≤ index < count"),
        ({"rule": None}, "ranks and rule together"),
        ({"ranks": None, "rule": None, "content": "mask"}, "there is no mask"),
        ({"per": "pixel"}, "levels per pixel for this rule"),
        ({"per": "pixels"}, "Did you mean 'pixel'"),
        ({"content": "masks"}, "Unknown content"),
        ({"rule": mask_rule(15, 0, "keep")}, "records of 180 bytes"),
        ({"labels": np.zeros(N)}, "37 int labels"),
        ({"labels": np.zeros(N - 1, int)}, "37 int labels"),
    ],
)
def test_bad_input(data, options, words):
    given = {
        "images": data.records,
        "labels": data.labels,
        "ranks": data.ranks["value"],
        "rule": mask_rule(5, 2, "remove"),
        "channel_mean": data.mean,
        "size": 4,
        "training": False,
    }
    with pytest.raises(AttribevalError, match=words):
        batches_of(**given | options)


@pytest.mark.parametrize("options", [{"shift": -1}, {"shift": 1.5}, {"crop": (0.0, 1.0)}, {"crop": (0.5, 0.2)}])
def test_bad_augmentation(options):
    with pytest.raises(AttribevalError, match=f"Expected {next(iter(options))}"):
        Augment(**options)
