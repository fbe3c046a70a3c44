"""One small member of each family of architectures: random weights, and statistics of normalisation near the data's."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from scipy.ndimage import gaussian_filter

CLASSES = 10

# Family → (function of keras.applications, side of the image).
APPLICATIONS = {
    "ConvNeXt": ("ConvNeXtTiny", 64),
    "DenseNet": ("DenseNet121", 64),
    "EfficientNet": ("EfficientNetB0", 64),
    "EfficientNetV2": ("EfficientNetV2B0", 64),
    "Inception-ResNet": ("InceptionResNetV2", 75),
    "Inception": ("InceptionV3", 75),
    "MobileNet": ("MobileNet", 64),
    "MobileNetV2": ("MobileNetV2", 64),
    "MobileNetV3": ("MobileNetV3Small", 64),
    "NASNet": ("NASNetMobile", 64),
    "ResNet": ("ResNet50", 64),
    "ResNetV2": ("ResNet50V2", 64),
    "VGG16": ("VGG16", 64),
    "VGG19": ("VGG19", 64),
    "Xception": ("Xception", 71),
}

_ADDED = ("bias", "beta", "moving_mean", "embedding", "token")  # names of weights that are added to something
RAW = {"ConvNeXt", "EfficientNet", "EfficientNetV2", "MobileNetV3"}  # these begin with a rescaling of 0 … 255

# Backbone of KerasHub → its arguments, the smallest that have all of its parts.
HUB = {
    "ViT": ("ViTBackbone", {"patch_size": 16, "num_layers": 3, "num_heads": 4, "hidden_dim": 64, "mlp_dim": 128}),
    "DeiT": (
        "DeiTBackbone",
        {"patch_size": 16, "num_layers": 3, "num_heads": 4, "hidden_dim": 64, "intermediate_dim": 128},
    ),
    "Swin": ("SwinTransformerBackbone", {"embed_dim": 32, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}),
    "MiT": (
        "MiTBackbone",
        {"layerwise_depths": [1, 1, 1, 1], "num_layers": 4, "layerwise_num_heads": [1, 2, 4, 8],
         "layerwise_sr_ratios": [8, 4, 2, 1], "max_drop_path_rate": 0.1, "layerwise_patch_sizes": [7, 3, 3, 3],
         "layerwise_strides": [4, 2, 2, 2], "hidden_dims": [16, 32, 64, 64]},
    ),
    "ResNet": (
        "ResNetBackbone",
        {"input_conv_filters": [16], "input_conv_kernel_sizes": [7], "stackwise_num_filters": [64, 64, 64],
         "stackwise_num_blocks": [2, 2, 2], "stackwise_num_strides": [1, 2, 2], "block_type": "bottleneck_block"},
    ),
    "EfficientNet": (
        "EfficientNetBackbone",
        {"stackwise_kernel_sizes": [3, 3, 5], "stackwise_num_repeats": [1, 2, 2],
         "stackwise_input_filters": [32, 16, 24], "stackwise_output_filters": [16, 24, 40],
         "stackwise_expansion_ratios": [1, 6, 6], "stackwise_squeeze_and_excite_ratios": [0.25, 0.25, 0.25],
         "stackwise_strides": [1, 2, 2], "stackwise_block_types": ["v1", "v1", "v1"],
         "stackwise_width_coefficients": [1.0, 1.0, 1.0], "stackwise_depth_coefficients": [1.0, 1.0, 1.0],
         "stackwise_force_input_filters": [0, 0, 0], "stackwise_nores_option": [False, False, False]},
    ),
    "MobileNet": (
        "MobileNetBackbone",
        {"stackwise_expansion": [[40, 56], [64, 144, 144]], "stackwise_num_blocks": [2, 3],
         "stackwise_num_filters": [[16, 16], [24, 24, 24]], "stackwise_kernel_size": [[3, 3], [5, 5, 5]],
         "stackwise_num_strides": [[2, 1], [2, 1, 1]], "stackwise_se_ratio": [[None, None], [0.25, 0.25, 0.25]],
         "stackwise_activation": [["relu", "relu"], ["hard_swish", "hard_swish", "hard_swish"]],
         "stackwise_padding": [[1, 1], [2, 2, 2]], "output_num_filters": 128, "depthwise_filters": 8,
         "depthwise_stride": 2, "depthwise_residual": False, "last_layer_filter": 64},
    ),
    "CSPNet": (
        "CSPNetBackbone",
        {"stem_filters": 16, "stem_kernel_size": 3, "stem_strides": 1, "stackwise_depth": [1, 2, 2],
         "stackwise_strides": [2, 2, 2], "stackwise_num_filters": [32, 64, 64], "block_type": "bottleneck_block",
         "groups": 4, "stage_type": "csp", "bottle_ratio": [0.5], "expand_ratio": [2.0], "block_ratio": [1.0],
         "cross_linear": True},
    ),
}  # fmt: skip


def builders(hub: bool) -> dict[str, tuple[Callable[[], keras.Model], int, float]]:
    """Name → (function that builds the model, side of its image, its brightest value).

    Args:
        hub: Whether KerasHub is there.
    """
    made = {}
    for family, (name, side) in APPLICATIONS.items():
        brightest = 255.0 if family in RAW else 1.0
        made[f"{family} ({name})"] = _application(name, side, brightest), side, brightest
    if hub:
        made |= {f"{family} (KerasHub)": (_backbone(*spec, 64), 64, 1.0) for family, spec in HUB.items()}
    return made


def _application(name: str, side: int, brightest: float) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        make = getattr(keras.applications, name)
        model = make(weights=None, input_shape=(side, side, 3), classes=CLASSES, classifier_activation=None)
        return randomised(model, brightest)

    return build


def _backbone(name: str, options: dict, side: int) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        import keras_hub

        inputs = keras.Input((side, side, 3))
        kind = "input_shape" if name == "EfficientNetBackbone" else "image_shape"
        features = getattr(keras_hub.models, name)(**{kind: (side, side, 3)}, **options)(inputs)
        tokens = len(features.shape) == 3
        pool = keras.layers.GlobalAveragePooling1D() if tokens else keras.layers.GlobalAveragePooling2D()
        return randomised(keras.Model(inputs, keras.layers.Dense(CLASSES)(pool(features))), 1.0)

    return build


def randomised(model: keras.Model, brightest: float) -> keras.Model:
    """Random biases, scales and shifts of every layer; statistics near those of other pictures, but not the same.

    With statistics of 0 and 1 a fault in them can hide, and with others at random the signal dies on its way up.
    Without biases, layer normalisation of a black image divides nothing by nothing.
    """
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        if weight.path.rsplit("/", 1)[-1] in ("bias", "beta"):
            weight.assign(rng.normal(0, 0.2, weight.shape))
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in layers:
        if layer.scale:
            layer.gamma.assign(rng.uniform(0.5, 1.5, layer.gamma.shape))
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0  # one pass sets the statistics
    model(pictures(16, model.input_shape[1], brightest, seed=1), training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        spread = np.sqrt(layer.moving_variance.numpy())
        layer.moving_mean.assign_add(rng.normal(0, 0.2, spread.shape) * spread)
        layer.moving_variance.assign(spread**2 * rng.uniform(0.7, 1.4, spread.shape))
    return model


def pictures(n: int, side: int, brightest: float, seed: int) -> np.ndarray:
    """Clouds of colour from 0 to `brightest`, float32 (n, side, side, 3)."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(n, side, side, 3)), (0, side / 16, side / 16, 0))
    low, high = (pick(noise, axis=(1, 2, 3), keepdims=True) for pick in (np.min, np.max))
    return (brightest * (noise - low) / (high - low)).astype(np.float32)


def without_biases(model: keras.Model) -> keras.Model:
    """The same model, changed in place: nothing is added anywhere."""
    for weight in model.weights:
        if any(
            word in weight.path.rsplit("/", 2)[-1] for word in ("bias", "beta", "moving_mean", "embedding", "token")
        ):
            weight.assign(np.zeros(weight.shape))
    return model
