"""One call for every attribution method: names → methods, images → micro-batches, seeds, targets, progress."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from attribeval import __version__, progress
from attribeval import _tf as tf
from attribeval.attributions import Attributions
from attribeval.collected import Asked, Collected
from attribeval.common.options import options_of
from attribeval.datasets.photographs import Photographs
from attribeval.datasets.source import ImageSource, Repeated
from attribeval.errors import AttribevalError
from attribeval.methods.abilities import needs_one_device, of_images
from attribeval.methods.batch import Batch
from attribeval.methods.card import Method
from attribeval.methods.given import Given, labelled, method_of, methods_of
from attribeval.methods.registry import build_method, names
from attribeval.micro_batches import Images, capacity_for, in_order
from attribeval.models.classifier import Classifier
from attribeval.models.devices import Copies, devices_of
from attribeval.models.extra_inputs import Work
from attribeval.models.preprocessing import preprocessing_name
from attribeval.models.run_options import Precision, tf32
from attribeval.models.sharing import SharedOut, share_out
from attribeval.models.task import ScoreName, TaskName
from attribeval.models.zoo import load_classifier


class Attributer:
    """Explains the decisions of one image classifier.

    Args:
        model: A Keras 3 model; or "vgg16", "inception_v3", "resnet50" (ImageNet weights, preprocessing, target layer
            and class names known), or "digit_objects", "digit_scenes" (the small nets that come with the package); or
            the path of a `.keras` or `.h5` file, loaded in safe mode.
        preprocess: How raw images become the model's input: a name ("caffe", "tf", "mobilenet", …), a function of a
            float32 array (N, H, W, C), or None if images are the model's own input. Named networks know theirs.
        target_layer: Name or path of the layer for class activation maps, or of a tensor
            (`layer:Operation`); None finds the last picture that all of the score goes through.
        class_names: Names by class index: a sequence, or a dictionary {index: name} or {name: index}.
        score: "logit" (softmax or sigmoid stripped); "output" (the model's output as it is; of one unit 1 − p and p);
            or a function, written in TensorFlow or keras.ops, from the model's outputs (all of them, as the model
            returns them) to what is explained, (batch,) or (batch, K): for segmentation, detection, similarity.
        task: "multiclass" (one class of many), "multilabel" (each class by itself), "binary" (one unit that says one of
            two classes: targets 0 and 1, scores −z and z, probabilities 1 − p and p) or "regression" (quantities: the
            outputs themselves are the scores). "auto" reads it off the graph; where that cannot tell, several units
            are the logits of a softmax, and one unit is the logit of two classes. `repr` says what was found.
        output: Name or number of the output to explain, where the model has several.
        inputs: Name or number of the image input, where the model has several; the others are given per call, `extra=`.
        precision: "float32" (true float32, whatever the process allows), "tf32", "bfloat16" or "float16": how exactly
            convolutions and matrix products are computed; see `attribeval.models.run_options.check_precision`.
        weights: For named networks: "imagenet", None (random), or the path of a weights file.
        batch_size: Images that the model takes at a time; None chooses by their size. Never changes a result.
        strategy: "auto" shares the micro-batches out over all GPUs, if there are several; "mirrored" over all GPUs,
            or all logical CPUs where there is none; a `tf.distribute.Strategy` of this process over its devices. Each
            gets a copy of the weights; maps are the same up to rounding. None: TensorFlow's own choice of a device.
            Other libraries (`backend=`) have one device in any case.

    Raises:
        AttribevalError: If the model is no image classifier, its logits cannot be found, or files or weights cannot
            be read; the message says what to do; or if a strategy's devices are not there or do not hold the model.
    """

    def __init__(
        self,
        model: Any,
        *,
        preprocess: str | Callable | None = None,
        target_layer: str | None = None,
        class_names: Any = None,
        score: ScoreName | Callable = "logit",
        task: TaskName = "auto",
        output: str | int | None = None,
        inputs: str | int | None = None,
        precision: Precision = "float32",
        weights: str | PathLike | None = "imagenet",
        batch_size: int | None = None,
        strategy: Any = None,
    ):
        options: dict[str, Any] = {"target_layer": target_layer, "score": score, "precision": precision, "task": task}
        options |= {"output": output, "inputs": inputs}
        if isinstance(model, (str, PathLike)):
            self.classifier = load_classifier(model, weights=weights, preprocess=preprocess, **options)
        elif isinstance(model, Classifier):
            self.classifier = model
        else:
            self.classifier = Classifier(model, preprocess=preprocess, **options)
        if class_names is not None:
            self.classifier.class_names = class_names
        if batch_size is not None and batch_size < 1:
            raise AttribevalError(f"Expected a batch_size of 1 or more. Received: {batch_size}.")
        self.batch_size = batch_size
        several = devices_of(strategy)
        self._copies = Copies(self.classifier.model, several) if several else None
        if self._copies is not None:
            self.classifier.use_several_devices()

    def __repr__(self) -> str:
        grid = self.classifier.target_grid
        tokens = f" (tokens as {grid[0]} × {grid[1]} places)" if grid else ""
        one = self.classifier
        image = f"input {one.image_input!r} beside {', '.join(map(repr, one.extra.names))}, " if one.extra else ""
        return (
            f"Attributer({one.name!r}, {image}{_counted(one)}, {one.task}, target layer {one.target_layer!r}{tokens}, "
            f"preprocessing {preprocessing_name(one.preprocess)})"
        )

    def _repr_html_(self) -> str:
        from attribeval.report.notebook import attributer_html

        return attributer_html(self)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]  # what a user completes

    # ------------------------------------------------------------------------------------------------- public

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of all methods, which `explain` takes; `attribeval methods` says what each is."""
        return tuple(names())

    def explain(
        self,
        images: Any,
        method: Given = "gradcam",
        targets: Any = None,
        *,
        extra: Mapping[str, Any] | None = None,
        seed: int | np.ndarray = 0,
        batch_size: int | None = None,
        progress: bool | None = None,
        backend: str | None = None,
        **options: Any,
    ) -> Attributions:
        """Explain the model's decision on each image by itself.

        Args:
            images: Array or tensor (N, H, W, C) or one image (H, W, C), of the size that the model takes; or a path,
                PIL image or list of them, which are resized; or `Samples`; or a `tf.data.Dataset` or Keras `PyDataset`
                that ends, batched or not, which is read once, in the order of that pass, its labels unused. Raw pixels
                if the model has preprocessing.
            method: Name of a method (`attribeval methods` lists them); or a method of your own: an object, a function
                `f(images, targets)` or `f(model, images, targets, seed)`, or ready maps; see
                `attribeval.methods.given.methods_of`.
            targets: Class to explain, by index or name: one for all images, or N, or one-hot (N, classes); or several
                for each image, (N, T): then there are N · T maps, image after image, and
                `values.reshape(N, T, *values.shape[1:])` has them by image and class. None: the predicted class.
            extra: Of a model with several inputs the others, by name: values (N, ...), or one value (...) for all
                images. They are held fixed: whatever a method makes of an image (noise, points on a path, painted
                images, references) the model sees beside the image's own values. Neighbours with the same values are
                explained together, others one by one: sorted by them, images are explained sooner.
            seed: Seed of everything random; the same seed gives an image the same map in any batch or order. Or one
                seed for each image, int32 (N, 2), as `image_seeds` makes them: other pixels can then be explained
                with the random numbers of the image that they were made from.
            batch_size: Images at a time; None takes the Attributer's.
            progress: Show a progress bar; None shows it on a terminal or in a notebook.
            backend: A library that computes the same method ("tf_keras_vis", …); None: our own engine.
            **options: Options of the method; an unknown one is an error that lists the valid ones.

        Returns:
            The maps. A RuntimeWarning says how many of them are 0 everywhere, which is no statement about places.

        Raises:
            AttribevalError: For bad images, targets, method or options, naming the item and the remedy.

        Example:
            >>> from attribeval.datasets import digit_scenes
            >>> images = digit_scenes(n_train=1, n_test=2).test.images
            >>> attributer = Attributer("digit_objects")
            >>> maps = attributer.explain(images, "integrated_gradients", steps=10, progress=False)
            >>> maps.values.shape, maps.options["steps"]
            ((2, 64, 64, 3), 10)
            >>> attributer.explain(images, "smoothgrad(gradient)", targets=[3, 3], samples=5, progress=False).targets
            array([3, 3], dtype=int32)
        """
        built = self._build(method, backend, options)
        one = backend is not None
        run = self._run(images, built, targets, extra, seed, batch_size, progress, one_device=one)
        (attributions,) = run.values()
        return attributions

    def explain_many(
        self,
        images: Any,
        methods: Sequence[Given] | Mapping[str, Given],
        targets: Any = None,
        *,
        extra: Mapping[str, Any] | None = None,
        seed: int | np.ndarray = 0,
        batch_size: int | None = None,
        progress: bool | None = None,
        remarks: bool = True,
    ) -> dict[str, Attributions]:
        """Explain each image by several methods; what they share is computed once per batch.

        Args:
            methods: Names, objects, functions and ready maps, all kinds mixed, in a list or in a mapping from labels:
                see `attribeval.methods.given.methods_of`.
            images, targets, extra, seed, batch_size, progress: As in `explain`.
            remarks: Warn of maps that are 0 everywhere or have kept next to nothing of their score, once per method.

        Returns:
            The maps by name or label, in the order given.
        """
        return self._run(images, methods_of(methods), targets, extra, seed, batch_size, progress, remarks=remarks)

    def predict(
        self,
        images: Any,
        *,
        extra: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> np.ndarray:
        """The model's output (usually probabilities) on the images, float32 (N, classes).

        As it is, but for one unit, which is read as two classes: 1 − p and p of a sigmoid, −z and z of a logit.
        `extra` as in `explain`.
        """
        source = ImageSource(images, self.classifier.input_shape)
        rows = self.classifier.extra.read(extra, len(source))
        parts: dict[int, np.ndarray] = {}

        def work(raw: np.ndarray, x: Any, start: int, capacity: int) -> None:
            parts[start] = self.classifier.forward(x)[1].numpy()

        self._in_batches(source, batch_size, "predict", progress, rows.in_order(work))
        return _in_order(parts)

    def answer(
        self, images: Any, *, extra: Mapping[str, Any] | None = None, batch_size: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores and probabilities of raw images, from one pass of the model over each.

        Args:
            images, extra, batch_size: As in `explain`.

        Returns:
            The scores that are explained (logits, unless the Attributer was made with `score="output"`), and the
            probabilities: the model's output, or what softmax or sigmoid make of its logits; of a regression the scores
            again. float32 (N, classes) each.
        """
        source = ImageSource(images, self.classifier.input_shape)
        rows = self.classifier.extra.read(extra, len(source))
        scores: dict[int, np.ndarray] = {}
        outputs: dict[int, np.ndarray] = {}

        def work(raw: np.ndarray, x: Any, start: int, capacity: int) -> None:
            score, output = self.classifier.forward(x)
            scores[start] = score.numpy().astype(np.float32)
            outputs[start] = self.classifier.task.probabilities(score, output).numpy().astype(np.float32)

        self._in_batches(source, batch_size, "answer", False, rows.in_order(work))
        return _in_order(scores), _in_order(outputs)

    def capacity(self, images: Any, batch_size: int | None = None) -> int | None:
        """How many images the model takes at a time; None where several devices share them out.

        Args:
            images, batch_size: As in `explain`.
        """
        if self._copies is not None:
            return None
        return self._capacity(ImageSource(images, self.classifier.input_shape), batch_size)

    def read(self, images: Any) -> np.ndarray:
        """The raw images as `explain` sees them: read, resized, checked; float32 (N, H, W, C)."""
        source = ImageSource(images, self.classifier.input_shape)
        return np.array(source.load(0, len(source)))

    # ------------------------------------------------------------------------------------------------ private

    def _build(self, given: Given, backend: str | None, options: dict[str, Any]) -> dict[str, Method]:
        """One method by its label."""
        found = labelled(given)
        if len(found) > 1:
            raise AttribevalError(f"Expected one method. Received {len(found)}: explain_many takes several.")
        ((label, one),) = found.items()
        if backend is not None:
            if self.classifier.extra:
                raise AttribevalError(
                    f"Expected a model with one input for backend={backend!r}. Received one that takes "
                    f"{', '.join(map(repr, self.classifier.extra.names))} beside the image: leave backend out."
                )
            from attribeval.backends.registry import build_backend

            return {label: build_backend(backend, one, options)}
        if not options:
            return {label: method_of(one, label)}
        if not isinstance(one, str):
            raise AttribevalError(
                f"Expected no options beside {label!r}, which is not given by its name. Received: {', '.join(options)}."
            )
        return {label: build_method(one, options)}

    def _capacity(self, source: Images, batch_size: int | None) -> int:
        return capacity_for(source.shape, batch_size if batch_size is not None else self.batch_size)

    def _in_batches(
        self,
        source: Images,
        batch_size: int | None,
        what: str,
        show: bool | None,
        work: Work,
        finish: Callable[[], None] = lambda: None,
        prepare: Callable[[np.ndarray, int], Any] | None = None,
        one_device: bool = False,
    ) -> None:
        """Call `work` for every micro-batch (see `micro_batches.in_order`), and `finish()` at the end.

        With several devices (unless `one_device`) both are called by a thread of each.
        """
        capacity = self._capacity(source, batch_size)
        prepare = prepare or (lambda raw, start: self.classifier.prepare(raw))
        with progress.bar(len(source), what, show) as bar, tf32(self.classifier.precision == "tf32"):
            if self._copies is None or one_device:
                in_order(source, capacity, prepare, work, bar.update, one_reader=not self.classifier.going_in.by_graph)
                finish()
                return
            self._copies.update()
            batches = SharedOut(len(source), capacity, source.load, ahead=len(self._copies.devices))

            def there(raw: np.ndarray, start: int, capacity: int) -> None:
                work(raw, prepare(raw, start), start, capacity)

            share_out(self._copies, batches, there, finish, bar.update)

    def _run(
        self,
        images: Any,
        methods: Mapping[str, Method],
        targets: Any,
        extra: Any,
        seed: int | np.ndarray,
        batch_size: int | None,
        show: bool | None,
        one_device: bool = False,
        remarks: bool = True,
    ) -> dict[str, Attributions]:
        source: Images
        source = read = ImageSource(images, self.classifier.input_shape)
        seeds = _read_seeds(seed, len(source))
        rows = self.classifier.extra.read(extra, len(source))
        given = self.classifier.read_targets(targets, len(source))
        if given is not None and given.ndim == 2:  # several classes of each image: it is explained for each
            source, rows = Repeated(read, given.shape[1]), rows.repeated(given.shape[1])
            seeds = np.repeat(seeds, given.shape[1], axis=0) if isinstance(seeds, np.ndarray) else seeds
            given = given.ravel()
        methods = of_images(methods, images, len(source))
        one_device = one_device or any(map(needs_one_device, methods.values()))
        results = Collected(len(source), list(methods), self.classifier)
        what = next(iter(methods)) if len(methods) == 1 else f"{len(methods)} methods"

        def chosen(raw: np.ndarray, start: int) -> np.ndarray | None:
            return None if given is None else given[start : start + len(raw)]

        def prepare(raw: np.ndarray, start: int) -> tuple[Any, Any]:
            return self.classifier.prepare(raw), self.classifier.going_in.asked(chosen(raw, start), len(raw))

        def work(raw: np.ndarray, prepared: tuple[Any, Any], start: int, capacity: int) -> None:
            (x, asked), targets = prepared, chosen(raw, start)
            targets = None if targets is None else tf.constant(targets)
            own = seeds[start : start + len(raw)] if isinstance(seeds, np.ndarray) else lambda: image_seeds(raw, seeds)
            batch = Batch(self.classifier, x, raw, targets, own, capacity, start, asked)
            _explain_some(batch, methods, results)

        try:
            self._in_batches(source, batch_size, what, show, rows.apart(work), results.settle, prepare, one_device)
        finally:
            results.close()
        for remark in results.remarks(methods) if remarks else ():
            warnings.warn(remark, RuntimeWarning, stacklevel=3)
        one_seed = None if isinstance(seeds, np.ndarray) else seeds
        return {label: self._told(label, method, one_seed, source, results) for label, method in methods.items()}

    def _told(self, label: str, method: Method, seed: int | None, source: Images, results: Collected) -> Attributions:
        """The maps of a method with all that is known of them."""
        (ids, paths), one = source.names, self.classifier
        return Attributions(
            values=results.values[label],
            targets=results.targets.copy(),
            method=label,
            options=options_of(method),
            seconds=results.seconds[label],
            model=one.name,
            seed=seed,
            completeness_gap=results.gaps.get(label),
            class_names=one.class_names,
            task=one.task.name,
            image_input=one.image_input,
            versions=versions(),
            photographs=Photographs.of(source),
            ids=ids,
            paths=paths,
            probabilities=results.probabilities,
            preprocessing=preprocessing_name(one.preprocess),
            target_layer=one.target_layer,
        )


def _explain_some(batch: Batch, methods: Mapping[str, Method], results: Collected) -> None:
    """Ask for the maps of a micro-batch by every method, and hand them on, computed or not."""
    for label, method in methods.items():
        begun = time.perf_counter()
        batch.completeness_gap = None
        maps = method.attribute(batch)
        batch.targets  # noqa: B018  the model may have other values beside other images when these maps come back
        results.add(Asked(batch, label, method, maps, batch.completeness_gap, begun))


def image_seeds(raw: np.ndarray, seed: int) -> np.ndarray:
    """One seed per image, from its pixels and the user's seed: the same in any batch, order or part of a data set.

    Args:
        raw: Images, float32 (B, H, W, C).
        seed: The user's seed, any int.

    Returns:
        int32 (B, 2), as TensorFlow's stateless random functions take them.
    """
    key = int(seed).to_bytes(16, "little", signed=True)
    digests = [hashlib.blake2b(np.ascontiguousarray(image), digest_size=8, key=key).digest() for image in raw]
    return np.frombuffer(b"".join(digests), dtype="<i4").reshape(-1, 2).astype(np.int32)


def _counted(classifier: Classifier) -> str:
    """How many columns the scores have, and what they are."""
    kind = {"regression": "quantit", "score": "score"}.get(classifier.task.name, "class")
    ending = {"quantit": ("y", "ies"), "score": ("", "s"), "class": ("", "es")}[kind][classifier.classes != 1]
    return f"{classifier.classes} {kind}{ending}"


def _in_order(parts: dict[int, np.ndarray]) -> np.ndarray:
    """Parts by the number of their first image, put together."""
    return np.concatenate([parts[start] for start in sorted(parts)])


def versions() -> dict[str, str]:
    """Versions of what computed a result."""
    return {"attribeval": __version__, "tensorflow": tf.version.VERSION, "keras": tf.keras.__version__}


def _read_seeds(seed: int | np.ndarray, n: int) -> int | np.ndarray:
    """The user's seed as an int, or one seed per image as int32 (n, 2)."""
    if np.ndim(seed) == 0:
        return int(seed)
    array = np.asarray(seed)
    if array.shape != (n, 2) or array.dtype != np.int32:
        raise AttribevalError(
            f"Expected seed as one int, or int32 ({n}, 2), a seed per image. Received: {array.dtype} {array.shape}."
        )
    return array
