"""The self-test: passes on right models, and every check fails when what it checks is broken."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from attribeval import Attributer, selftest
from attribeval.cli import main
from attribeval.collected import Collected
from attribeval.metrics.card import Card
from attribeval.selftest import by_hand, of_model

NAMES = [check.__name__ for check in (*selftest.KNOWN, *selftest.OF_MODEL)]


@pytest.fixture(scope="module")
def attributer():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    return Attributer(model)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(-3, 3, (3, 12, 12, 3)).astype(np.float32)


def test_all_pass_on_a_model(attributer, images):
    checks = list(selftest.selftest(attributer, images))
    assert len(checks) == len(NAMES)
    assert [check for check in checks if not check.passed] == []
    assert len({check.name for check in checks}) == len(checks)


def test_a_model_that_ends_in_logits_and_one_with_sigmoids(images):
    for activation in (None, "sigmoid"):
        model = keras.Sequential(
            [keras.Input((12, 12, 3)), keras.layers.Flatten(), keras.layers.Dense(2, activation=activation)]
        )
        asked = of_model.Asked(Attributer(model), images)
        assert of_model.logits_and_probabilities(asked).passed and of_model.gradient_is_slope(asked).passed


def scaled_maps(monkeypatch, factor=1.25):
    """Every map is a quarter too large."""
    real = Attributer.explain

    def explain(self, *given, **options):
        attributions = real(self, *given, **options)
        attributions.values[:] *= factor
        return attributions

    monkeypatch.setattr(Attributer, "explain", explain)


def seedless(monkeypatch):
    """The seed is taken from a counter."""
    real, calls = Attributer.explain, []

    def explain(self, *given, **options):
        calls.append(1)
        return real(self, *given, **(options | {"seed": len(calls)}))

    monkeypatch.setattr(Attributer, "explain", explain)


def deaf_to_seeds(monkeypatch):
    real = Attributer.explain
    monkeypatch.setattr(Attributer, "explain", lambda self, *given, **o: real(self, *given, **(o | {"seed": 0})))


def depends_on_the_batch(monkeypatch):
    """What a batch normalisation in training mode, or noise by place in the batch, would do."""
    real = Collected.add

    def add(self, batch, label, method, maps, begun):
        maps = np.asarray(maps)
        real(self, batch, label, method, maps * np.arange(1, len(maps) + 1).reshape(-1, 1, 1, 1), begun)

    monkeypatch.setattr(Collected, "add", add)


def temperature(monkeypatch):
    """Logits that are not those of the output."""
    from attribeval.models.classifier import Classifier

    real = Classifier.forward
    monkeypatch.setattr(Classifier, "forward", lambda self, x: (1.1 * real(self, x)[0], real(self, x)[1]))


def replaced(name, by):
    return lambda monkeypatch: monkeypatch.setattr(by_hand, name, by)


BREAKS = {
    "linear_model_by_hand": scaled_maps,
    "guided_backprop_by_hand": scaled_maps,
    "idr_by_hand": replaced("depends", lambda a, b: a <= b),  # ties count
    "box_by_hand": replaced("hits", lambda heat, boxes: np.ones((2, 256), bool)),
    "energy_by_hand": replaced("energy_inside", lambda heat, region: heat[region].sum() / heat.sum()),
    "logits_and_probabilities": temperature,
    "gradient_is_slope": scaled_maps,
    "integrated_gradients_are_complete": scaled_maps,
    "deeplift_is_complete": scaled_maps,
    "same_seed_same_bits": seedless,
    "batch_size_does_not_matter": depends_on_the_batch,
    "neighbours_do_not_matter": depends_on_the_batch,
    "sensitivity_n_of_linear_model": scaled_maps,
    "deletion_by_hand": scaled_maps,
}


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name not in ("sensitivity_n_of_linear_model", "deletion_by_hand")]
)
def test_every_check_fails_when_what_it_checks_is_broken(name, attributer, images, monkeypatch):
    asked = () if name in {check.__name__ for check in selftest.KNOWN} else (of_model.Asked(attributer, images),)
    check = getattr(of_model if asked else by_hand, name)
    assert check(*asked).passed is True
    BREAKS[name](monkeypatch)
    assert check(*asked).passed is False, name


def test_a_map_that_ignores_the_seed_fails_too(attributer, images, monkeypatch):
    asked = of_model.Asked(attributer, images)
    deaf_to_seeds(monkeypatch)
    assert of_model.same_seed_same_bits(asked).passed is False


def test_guided_gradients_are_no_slope(attributer, images, monkeypatch):
    asked = of_model.Asked(attributer, images)
    real = Attributer.explain
    monkeypatch.setattr(
        Attributer, "explain", lambda self, i, method, *r, **o: real(self, i, "guided_backprop", *r, **o)
    )
    assert of_model.gradient_is_slope(asked).passed is False


def wrong_benchmark(score):
    card = Card("wrong", "faithfulness", "", "high", "", "", "", "")
    body = {
        "card": card,
        "prepare": lambda self, subject: None,
        "score": lambda self, subject, p, explained: score(subject),
    }
    return lambda text: type("Wrong", (), body)()


@pytest.mark.parametrize("check", [by_hand.sensitivity_n_of_linear_model, by_hand.deletion_by_hand])
def test_checks_of_benchmarks_fail_if_they_are_wrong(check, monkeypatch):
    assert check().passed
    monkeypatch.setattr(by_hand, "build_benchmark", wrong_benchmark(lambda subject: np.full(len(subject), 0.3)))
    assert check().passed is False


def test_an_error_is_a_failed_check_that_says_so(attributer, images, monkeypatch):
    monkeypatch.setattr(selftest, "KNOWN", [])

    def breaks(asked):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(selftest, "OF_MODEL", [breaks])
    (check,) = selftest.selftest(attributer, images)
    assert check.passed is False and check.received == "RuntimeError: out of luck" and check.name == "breaks"


def test_a_model_that_a_method_cannot_explain_is_neither_right_nor_wrong(images):
    @keras.saving.register_keras_serializable("test_selftest")
    class Sort(keras.layers.Layer):
        def call(self, x):
            return keras.ops.sort(x, axis=-1)

    model = keras.Sequential([keras.Input((12, 12, 3)), keras.layers.Flatten(), Sort(), keras.layers.Dense(2)])
    check = of_model.deeplift_is_complete(of_model.Asked(Attributer(model), images))
    assert check.passed is None and "rule" in check.received


def test_the_command_prints_a_line_per_check_and_its_exit_code_tells(monkeypatch, capsys, tmp_path, attributer):
    from PIL import Image

    path = tmp_path / "model.keras"
    attributer.classifier.model.save(path)
    files = []
    for i in range(2):
        files.append(str(tmp_path / f"{i}.png"))
        pixels = np.random.default_rng(i).integers(0, 255, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(files[-1])
    words = ["selftest", "--model", str(path), "--preprocess", "tf", "--images", *files]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:4] for line in lines[:-2]] == ["pass"] * len(NAMES)
    assert lines[-1].startswith(f"{len(NAMES)} of {len(NAMES)} checks passed on model in ")
    monkeypatch.setattr(by_hand, "depends", lambda a, b: np.ones(3))
    assert main(words) == 1
    out = capsys.readouterr().out
    assert "FAIL  BAM: input dependence rate: expected 0.3333, received 1\n" in out
    assert main([*words[:-1]]) == 2  # one image
