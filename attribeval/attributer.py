"""One call for every attribution method: names → methods, images → maps."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from attribeval.attributions import Attributions
from attribeval.errors import AttribevalError
from attribeval.explaining import explain_all
from attribeval.methods.card import Method
from attribeval.methods.given import Given, labelled, method_of, methods_of
from attribeval.methods.registry import build_method, names
from attribeval.models.classifier import Classifier
from attribeval.models.reading import Reading
from attribeval.models.run_options import Precision
from attribeval.models.task import ScoreName, TaskName
from attribeval.models.zoo import load_classifier
from attribeval.predictor import Predictor
from attribeval.question import Question


class Attributer(Predictor):
    """Explains the decisions of one image classifier.

    Args:
        model: A Keras 3 model; or "vgg16", "inception_v3", "resnet50" (ImageNet weights, preprocessing, target layer
            and class names known), or "digit_objects", "digit_scenes" (the small nets that come with the package), or
            "digit_segmenter", "digit_detector" (with `score=`); or the path of a `.keras` or `.h5` file, loaded in safe
            mode.
        preprocess: How raw images become the model's input: a name ("caffe", "tf", "mobilenet", …), a function of a
            float32 array (N, H, W, C), or None if images are the model's own input. Named networks know theirs.
        target_layer: Name or path of the layer for class activation maps, or of a tensor
            (`layer:Operation`); None finds the last picture that all of the score goes through.
        class_names: Names by class index: a sequence, or a dictionary {index: name} or {name: index}.
        score: "logit" (softmax or sigmoid stripped); "output" (the model's output as it is; of one unit 1 − p and p);
            or a function, written in TensorFlow or keras.ops, from the model's outputs (all of them, as the model
            returns them) to what is explained, (batch,) or (batch, K): `attribeval.scores` has some for segmentation,
            detection and similarity.
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
        self, model: Any, *,
        preprocess: str | Callable | None = None, target_layer: str | None = None, class_names: Any = None,
        score: ScoreName | Callable = "logit", task: TaskName = "auto", output: str | int | None = None,
        inputs: str | int | None = None, precision: Precision = "float32", weights: str | PathLike | None = "imagenet",
        batch_size: int | None = None, strategy: Any = None,
    ):  # fmt: skip
        reading = Reading(score, task, output, inputs, precision)
        options: dict[str, Any] = {"preprocess": preprocess, "target_layer": target_layer, "reading": reading}
        if isinstance(model, (str, PathLike)):
            classifier = load_classifier(model, weights=weights, **options)
        elif isinstance(model, Classifier):
            classifier = model
        else:
            classifier = Classifier(model, **options)
        if class_names is not None:
            classifier.class_names = class_names
        super().__init__(classifier, batch_size, strategy)

    def _repr_html_(self) -> str:
        from attribeval.report.notebook import attributer_html

        return attributer_html(self)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]  # what a user completes

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of all methods, which `explain` takes; `attribeval methods` says what each is."""
        return tuple(names())

    def explain(
        self, images: Any, method: Given = "gradcam", targets: Any = None, *,
        extra: Mapping[str, Any] | None = None, seed: int | np.ndarray = 0, batch_size: int | None = None,
        progress: bool | None = None, backend: str | None = None, **options: Any,
    ) -> Attributions:  # fmt: skip
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
        question = Question.read(self.classifier, images, targets, extra, seed)
        found, told = explain_all(
            self.classifier, self._in_batches, question, built, batch_size, progress, one_device=backend is not None
        )
        for remark in told:
            warnings.warn(remark, RuntimeWarning, stacklevel=2)
        (attributions,) = found.values()
        return attributions

    def explain_many(
        self, images: Any, methods: Sequence[Given] | Mapping[str, Given], targets: Any = None, *,
        extra: Mapping[str, Any] | None = None, seed: int | np.ndarray = 0, batch_size: int | None = None,
        progress: bool | None = None, remarks: bool = True,
    ) -> dict[str, Attributions]:  # fmt: skip
        """Explain each image by several methods; what they share is computed once per batch.

        Args:
            methods: Names, objects, functions and ready maps, all kinds mixed, in a list or in a mapping from labels:
                see `attribeval.methods.given.methods_of`.
            images, targets, extra, seed, batch_size, progress: As in `explain`.
            remarks: Warn of maps that are 0 everywhere or have kept next to nothing of their score, once per method.

        Returns:
            The maps by name or label, in the order given.
        """
        built = methods_of(methods)
        question = Question.read(self.classifier, images, targets, extra, seed)
        found, told = explain_all(self.classifier, self._in_batches, question, built, batch_size, progress)
        for remark in told if remarks else ():
            warnings.warn(remark, RuntimeWarning, stacklevel=2)
        return found

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
