"""The methods of `device.py` as other libraries compute them: by name, functions from NumPy arrays to NumPy arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Calls = dict[str, Callable[[], Any]]


def _parts(images: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return [images[start : start + batch_size] for start in range(0, len(images), batch_size)]


def tf_keras_vis(net: str, model: Any, images: np.ndarray, batch_size: int, precision: str) -> Calls:
    """Raw gradients, without |·|, maximum and normalisation, as ours."""
    import keras
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.scores import CategoricalScore

    functional = keras.Model(model.inputs, model.outputs)
    saliency, gradcam = Saliency(functional, clone=False), Gradcam(functional, clone=False)
    raw = {"keepdims": True, "gradient_modifier": lambda gradient: gradient, "normalize_map": False}

    def each(call: Callable, **options: Any) -> Callable:
        def run() -> list[np.ndarray]:
            parts = _parts(images, batch_size)
            return [np.asarray(call(CategoricalScore([0] * len(part)), part, **options)) for part in parts]

        return run

    return {
        "gradient": each(saliency, **raw),
        "smoothgrad": each(saliency, smooth_samples=15, smooth_noise=0.15, **raw),
        "gradcam": each(gradcam, normalize_cam=False),
    }


def xplique(net: str, model: Any, images: np.ndarray, batch_size: int, precision: str) -> Calls:
    import xplique.attributions as theirs

    classes = int(model.output_shape[-1])
    targets = np.eye(classes, dtype=np.float32)[np.zeros(len(images), int)]

    def of(kind: str, **options: Any) -> Callable:
        explainer = getattr(theirs, kind)(model, batch_size=batch_size, **options)
        return lambda: np.asarray(explainer.explain(images, targets))

    return {
        "gradient": of("Saliency"),
        "guided_backprop": of("GuidedBackprop"),
        "ig": of("IntegratedGradients", steps=25),
        "smoothgrad": of("SmoothGrad", nb_samples=15),
        "vargrad": of("VarGrad", nb_samples=15),
        "gradcam": of("GradCAM"),
    }


def captum(net: str, model: Any, images: np.ndarray, batch_size: int, precision: str) -> Calls:
    import torch
    from captum import attr

    warnings.filterwarnings("ignore", module="captum")  # on hooks that it sets and removes
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    twin, layer = _twin(net)
    twin = twin.eval().to(device)
    channels_first = np.ascontiguousarray(np.moveaxis(images, -1, 1))

    def each(attribute: Callable, **options: Any) -> Callable:
        def run() -> list[np.ndarray]:
            found = []
            for part in _parts(channels_first, batch_size):
                x = torch.from_numpy(part).to(device).requires_grad_()
                found.append(attribute(x, target=0, **options).detach().cpu().numpy())
            return found

        return run

    size = images.shape[1:3]
    gradient, cam = attr.Saliency(twin), attr.LayerGradCam(twin, layer)
    noisy = {"nt_samples": 15, "nt_samples_batch_size": 1, "stdevs": 0.15, "abs": False}
    calls = {
        "gradient": each(gradient.attribute, abs=False),
        "guided_backprop": each(attr.GuidedBackprop(twin).attribute),
        "ig": each(attr.IntegratedGradients(twin).attribute, n_steps=25, internal_batch_size=batch_size),
        "smoothgrad": each(attr.NoiseTunnel(gradient).attribute, nt_type="smoothgrad", **noisy),
        "vargrad": each(attr.NoiseTunnel(gradient).attribute, nt_type="vargrad", **noisy),
        "gradcam": each(lambda x, target: attr.LayerAttribution.interpolate(cam.attribute(x, target=target), size)),
    }
    if net == "tiny":  # torchvision's ResNet uses a rectifier twice, which Captum's rules refuse
        calls |= {"deeplift": each(attr.DeepLift(twin).attribute), "lrp": each(attr.LRP(twin).attribute)}
    return calls


def _twin(net: str) -> tuple[Any, Any]:
    """A PyTorch net of the same layers, and its target layer."""
    from torch import nn

    class Tiny(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu = nn.Conv2d(3, 8, 3, stride=4), nn.ReLU()
            self.pool, self.dense = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 10)

        def forward(self, x):
            return self.dense(self.pool(self.relu(self.conv(x))).flatten(1))

    if net == "tiny":
        twin = Tiny()
        return twin, twin.relu
    if net == "resnet50":
        from torchvision.models import resnet50

        twin = resnet50(weights=None)
        for module in twin.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False  # hooks of guided backpropagation need the values
        return twin, twin.layer4
    raise ImportError(f"no PyTorch twin of {net}")


LIBRARIES = {"tf-keras-vis": tf_keras_vis, "xplique": xplique, "captum": captum}
