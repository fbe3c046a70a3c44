"""What LXT and zennit answer on small nets of drawn weights: the known answers of `tests/methods/test_field_lrp.py`.

    pip install lxt zennit torch torchvision
    python benchmarks/attribution/field_lrp.py tests/methods/field_lrp.npz

LXT ("LRP eXplains Transformers", of AttnLRP's authors) has a rule for each operation of a transformer, and a second
form of them, gradient × input with some gradients halved or held; zennit has the rules of LRP for convolutional nets.
The nets are written in PyTorch here and in Keras in the test. All in float64.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

SIZE, PATCH, WIDTH, HEADS, HIDDEN, CLASSES = 12, 4, 8, 2, 12, 4
TARGETS = (0, 2)  # one of each image
RULES = ("epsilon", "gamma", "alpha_beta", "z_plus", "composite")
CNN = [(3, 3, 3, 6), (6,), (3, 3, 6, 8), (8,), (72, 10), (10,), (10, CLASSES), (CLASSES,)]


def vit_shapes(extra: int, blocks: int = 2) -> list[tuple[int, ...]]:
    """Shapes of all weights in Keras' order: kernels before biases, heads on an axis of their own."""
    heads, d = HEADS, WIDTH // HEADS
    norm: list[tuple[int, ...]] = [(WIDTH,), (WIDTH,)]
    attention = [*[(WIDTH, heads, d), (heads, d)] * 3, (heads, d, WIDTH), (WIDTH,)]
    block = [*norm, *attention, *norm, (WIDTH, HIDDEN), (HIDDEN,), (HIDDEN, WIDTH), (WIDTH,)]
    tokens = [(1, extra, WIDTH), (1, 9 + extra, WIDTH)]
    return [(PATCH, PATCH, 3, WIDTH), (WIDTH,), *tokens, *block * blocks, *norm, (WIDTH, CLASSES), (CLASSES,)]


def drawn(shapes: list[tuple[int, ...]], seed: int, scale: float) -> list[np.ndarray]:
    """Weights by NumPy's legacy generator, whose numbers never change."""
    rng = np.random.RandomState(seed)
    return [rng.normal(0, scale, shape).astype("f4") for shape in shapes]


def images() -> np.ndarray:
    """(2, 12, 12, 3)."""
    return np.random.RandomState(0).normal(size=(2, SIZE, SIZE, 3)).astype("f4")


class Explicit:
    """LXT's explicit rules, with one ε for all."""

    def __init__(self, epsilon: float):
        import torch
        from lxt.explicit import functional, rules

        self.torch, self.f, self.rules, self.epsilon = torch, functional, rules, epsilon

    def linear(self, x: Any, weight: Any, bias: Any) -> Any:
        return self.f.linear_epsilon(x, weight.T, bias, self.epsilon)

    def norm(self, x: Any, gamma: Any, beta: Any) -> Any:
        return self.f.layer_norm_grad_fn.apply(x, gamma, beta, 1e-3, self.epsilon)

    def add(self, a: Any, b: Any) -> Any:
        return self.f.add2(a, b, False, self.epsilon)

    def scores(self, q: Any, k: Any) -> Any:
        return self.f.mul2(self.f.matmul(q, k.transpose(-1, -2), False, self.epsilon), q.shape[-1] ** -0.5)

    def weighed(self, scores: Any, v: Any) -> Any:
        return self.f.matmul(self.f.softmax(scores, -1), v, False, self.epsilon)

    def gelu(self, x: Any) -> Any:
        return self.rules.identity(self.torch.nn.functional.gelu, x)

    def mean(self, x: Any) -> Any:
        return self.f.mean(x, 0, False, self.epsilon)

    def relevance(self, x: Any, score: Any) -> Any:
        return self.torch.autograd.grad(score, x, score.detach())[0]


class Efficient:
    """LXT's rules as gradient × input: attention's factors share gradients, gates and divisors have none."""

    def __init__(self, rules: ModuleType):
        import torch

        self.torch, self.rules = torch, rules

    def linear(self, x: Any, weight: Any, bias: Any) -> Any:
        return x @ weight + bias

    def norm(self, x: Any, gamma: Any, beta: Any) -> Any:
        centred = x - x.mean(-1, keepdim=True)
        scale = ((centred**2).mean(-1, keepdim=True) + 1e-3).sqrt()
        return centred / self.rules.stop_gradient(scale) * gamma + beta

    def add(self, a: Any, b: Any) -> Any:
        return a + b

    def scores(self, q: Any, k: Any) -> Any:
        q, k = (self.rules.divide_gradient(one, 4) for one in (q, k))  # two products, one behind the other
        return q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5

    def weighed(self, scores: Any, v: Any) -> Any:
        return self.torch.softmax(scores, -1) @ self.rules.divide_gradient(v, 2)

    def gelu(self, x: Any) -> Any:
        return self.rules.identity_rule_implicit(self.torch.nn.functional.gelu, x)

    def mean(self, x: Any) -> Any:
        return x.mean(0)

    def relevance(self, x: Any, score: Any) -> Any:
        return self.torch.autograd.grad(score, x)[0] * x


class Conservative(Efficient):
    """CP-LRP, what LXT does on vision transformers by default: attention's weights are constants (Ali et al. 2022)."""

    def weighed(self, scores: Any, v: Any) -> Any:
        return self.rules.stop_gradient(self.torch.softmax(scores, -1)) @ v


def vit_relevance(weights: list[np.ndarray], extra: int, image: np.ndarray, target: int, by: Any) -> np.ndarray:
    """(12, 12, 3): relevance of the target's logit; a class token is read, or the mean if there is none."""
    import torch

    left = iter([torch.tensor(w, dtype=torch.float64) for w in weights])
    pixels = torch.tensor(image, dtype=torch.float64, requires_grad=True)
    patches = pixels.reshape(3, PATCH, 3, PATCH, 3).permute(0, 2, 1, 3, 4).reshape(9, -1)
    x = by.linear(patches, next(left).reshape(-1, WIDTH), next(left))
    token, places = next(left)[0], next(left)[0]
    x = by.add(torch.cat([token, x]), places)
    for _ in range((len(weights) - 8) // 16):
        h = by.norm(x, next(left), next(left))
        heads = [by.linear(h, next(left).reshape(WIDTH, WIDTH), next(left).reshape(WIDTH)) for _ in range(3)]
        q, k, v = (one.reshape(len(x), HEADS, -1).transpose(0, 1) for one in heads)
        mixed = by.weighed(by.scores(q, k), v).transpose(0, 1).reshape(len(x), WIDTH)
        x = by.add(x, by.linear(mixed, next(left).reshape(WIDTH, WIDTH), next(left)))
        h = by.norm(x, next(left), next(left))
        h = by.gelu(by.linear(h, next(left), next(left)))
        x = by.add(x, by.linear(h, next(left), next(left)))
    x = by.norm(x, next(left), next(left))
    logits = by.linear(x[0] if extra else by.mean(x), next(left), next(left))
    return by.relevance(pixels, logits[target]).detach().numpy()


def cnn(weights: list[np.ndarray]) -> Any:
    """Two convolutions, a maximum between them, two dense layers."""
    import torch
    from torch import nn

    class Rows(nn.Module):  # Keras flattens with channels last
        def forward(self, x: Any) -> Any:
            return x.permute(0, 2, 3, 1).flatten(1)

    layers = [nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3), nn.Linear(72, 10), nn.Linear(10, CLASSES)]
    for layer, kernel, bias in zip(layers, weights[::2], weights[1::2], strict=True):
        layer.weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T)
        layer.bias.data = torch.tensor(bias)
    first, second, hidden, last = layers
    parts = [first, nn.ReLU(), nn.MaxPool2d(2), second, nn.ReLU(), Rows(), hidden, nn.ReLU(), last]
    return nn.Sequential(*parts).double()


def zennit_maps(rule: str, weights: list[np.ndarray]) -> np.ndarray:
    """(2, 12, 12, 3), each image's target by one of `RULES`; ε = 0.25 of the root mean square, γ = 0.25, α = 2."""
    import torch
    from zennit.attribution import Gradient
    from zennit.composites import NameMapComposite
    from zennit.core import Stabilizer
    from zennit.rules import AlphaBeta, Epsilon, Gamma, Pass, ZBox, ZPlus

    exact = Stabilizer(1e-12)
    epsilon = Epsilon(Stabilizer(0.25, norm_scale=True))
    gamma, none = Gamma(0.25, exact), Epsilon(Stabilizer(1e-6, norm_scale=True))
    rules: dict[str, Callable[[Any], list]] = {
        "epsilon": lambda x: [epsilon] * 4,
        "gamma": lambda x: [gamma] * 4,
        "alpha_beta": lambda x: [AlphaBeta(2.0, 1.0, exact)] * 4,
        "z_plus": lambda x: [ZPlus(exact)] * 4,
        "composite": lambda x: [ZBox(float(x.min()), float(x.max()), exact), epsilon, none, none],
    }
    maps = []
    for image, target in zip(images(), TARGETS, strict=True):
        x = torch.tensor(image.transpose(2, 0, 1)[None], dtype=torch.float64)
        names = [*zip("0368", rules[rule](x), strict=True), *((name, Pass()) for name in "147")]
        composite = NameMapComposite([([name], each) for name, each in names])
        with Gradient(cnn(weights), composite) as attributor:
            _, relevance = attributor(x, lambda scores, k=target: scores * torch.eye(CLASSES)[[k]])
        maps.append(relevance[0].permute(1, 2, 0).numpy())
    return np.stack(maps)


def _efficient_rules() -> ModuleType:
    """LXT's file of them alone: its package would load the language models that it patches."""
    found = importlib.util.find_spec("lxt")
    assert found is not None and found.submodule_search_locations
    path = Path(found.submodule_search_locations[0]) / "efficient" / "rules.py"
    spec = importlib.util.spec_from_file_location("lxt_efficient_rules", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", help="the answers, .npz")
    answers = {}
    efficient, conservative = (way(_efficient_rules()) for way in (Efficient, Conservative))
    for extra, kind in ((1, "class token"), (0, "average")):
        weights = drawn(vit_shapes(extra), 1, 0.6)
        ways = {"exact": Explicit(1e-14), "gradient × input": efficient, "ε = 1e-6": Explicit(1e-6)}
        ways["CP-LRP"] = conservative
        maps = {
            name: np.stack([vit_relevance(weights, extra, *each, by) for each in zip(images(), TARGETS, strict=True)])
            for name, by in ways.items()
        }
        for name in list(maps)[1:]:
            off = np.abs(maps[name] - maps["exact"]).max() / np.abs(maps["exact"]).max()
            print(f"{kind}: LXT's explicit rules with ε → 0 against {name}: {off:.1e} of the largest value")
        answers |= {kind: maps["exact"]} | ({"conservative": maps["CP-LRP"]} if extra else {})
    for rule in RULES:
        answers[rule] = zennit_maps(rule, drawn(CNN, 2, 0.4))
    np.savez_compressed(parser.parse_args().output, **{name: maps.astype("f4") for name, maps in answers.items()})


if __name__ == "__main__":
    main()
