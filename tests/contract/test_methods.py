"""What every method promises; none is named here."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmark.plan import catalogue
from datamodules.mixing import Camera, Mean, Mixing, Ratio, Sum
from datamodules.types import LayerBatch, LayerSpec
from methods.base import MethodCard, SeparationMethod

ENTRIES = list(catalogue.methods().values())
SEED = 3
FIRST = ("UNet", "NAFNet", "ConvSep", "CycleGAN")
"""Methods, one of each kind, that `make test` trains and compiles; `make test-all` takes all of them."""

Built = Callable[[LayerSpec], SeparationMethod]
"""Builds a class for a kind of data."""


def spec_of(layers: int, channels: int, scale: int, ordered: bool, pairing: str = "paired") -> LayerSpec:
    names = [f"layer_{k}" for k in range(layers)]
    return LayerSpec(
        layers=names, scored=names, target=names, derived=[], ordered=ordered, channels=channels, scale=scale,
        mixing="sum", gain=1.0, fusion="sum", gamma=1.0, pairing=pairing, protocol="rgb", citation="", licence="",
    )  # fmt: skip


def class_of(entry: catalogue.Entry) -> type[SeparationMethod]:
    found: type[SeparationMethod] = entry.load()
    return found


def accepted(card: MethodCard) -> list[LayerSpec]:
    pairing = "unpaired" if card.supervision == "unpaired" else "paired"
    specs = [
        spec_of(layers, channels, scale, ordered, pairing)
        for layers, channels, scale, ordered in ((2, 1, 2, False), (2, 3, 1, False), (3, 1, 1, True), (2, 3, 1, True))
    ]
    return [spec for spec in specs if card.accepts(spec) is None]


@pytest.fixture(scope="module", params=ENTRIES, ids=lambda entry: entry.name)
def method_class(request: pytest.FixtureRequest) -> type[SeparationMethod]:
    return class_of(request.param)


@pytest.fixture(scope="module")
def built(method_class: type[SeparationMethod]) -> Built:
    """``build`` of the class, once for each kind of data: for tests that only separate."""
    kept: list[tuple[LayerSpec, SeparationMethod]] = []

    def of(spec: LayerSpec) -> SeparationMethod:
        found = next((method for known, method in kept if known == spec), None)
        if found is None:
            kept.append((spec, found := build(method_class, spec)))
        return found

    return of


def build(method_class: type[SeparationMethod], spec: LayerSpec) -> SeparationMethod:
    torch.manual_seed(SEED)
    options: dict[str, Any] = {"spec": dict(spec)}
    given = inspect.signature(method_class).parameters
    if "features" in given:
        options["features"] = "random"  # trained ones would have to be downloaded
        if "levels" in given:
            options["levels"] = 2
    if "depth" in given:
        options["depth"] = 4  # a paper's full depth pads small images to hundreds of pixels
    if "width" in given and isinstance(given["width"].default, int):
        options["width"] = 8  # tests of what every method promises need no paper's size
    if "widths" in given:
        options |= {"widths": [8, 16], "skips": [0, 4]}
    if "encoder" in given:
        options |= {"encoder": [1, 2], "decoder": [1, 1], "middle": 1}
    method = method_class(**options).eval()
    method.iterations = min(method.iterations, 3)  # of those that optimise for each image
    return method


def mixtures(spec: LayerSpec, size: tuple[int, int], batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, spec["channels"], *size, generator=torch.Generator().manual_seed(SEED))


def call(method: SeparationMethod, mixture: torch.Tensor, seeds: list[int] | None = None) -> torch.Tensor:
    with torch.no_grad():
        return method(mixture, seeds or list(range(len(mixture))))


def test_card_says_what_it_is(method_class: type[SeparationMethod]) -> None:
    card = method_class.card
    assert card.title
    assert card.paper
    assert 1950 < card.year < 2100
    assert card.supervision in ("none", "single-image", "unpaired", "paired")
    assert accepted(card), "a method that accepts none of the common data cannot be tested"
    entry = next(entry for entry in ENTRIES if entry.name == method_class.__name__)
    assert entry.card["title"] == card.title, "the card must be literal, so that it can be listed without importing"


@pytest.mark.parametrize("size", [(13, 15), (14, 14), (17, 32)])
def test_any_size_gives_finite_float32_layers(
    method_class: type[SeparationMethod], built: Built, size: tuple[int, int]
) -> None:
    for spec in accepted(method_class.card):
        layers = call(built(spec), mixtures(spec, size))
        height, width = (side * spec["scale"] for side in size)
        assert layers.shape[0] == 2
        assert 1 <= layers.shape[1] <= len(spec["layers"])
        assert layers.shape[2:] == (spec["channels"], height, width)
        assert layers.dtype == torch.float32
        assert layers.device.type == "cpu"
        assert torch.isfinite(layers).all()


def test_a_constant_image_gives_finite_layers(method_class: type[SeparationMethod], built: Built) -> None:
    spec = accepted(method_class.card)[0]
    for value in (0.0, 0.5, 1.0):
        assert torch.isfinite(call(built(spec), torch.full((1, spec["channels"], 14, 14), value))).all()


def test_clean_in_clean_out_before_training(method_class: type[SeparationMethod], built: Built) -> None:
    """A network that corrects its mixture starts from it: no restoration begins below the trivial answer."""
    if not method_class.card.residual:
        pytest.skip("it does not start from its mixture")
    for channels in method_class.card.channels or (1, 3):
        spec = spec_of(2, channels, 1, ordered=True)
        assert method_class.card.accepts(spec) is None, "restoration is what such a network is for"
        mixture = mixtures(spec, (33, 46))
        layers = call(built(spec), mixture)
        assert torch.allclose(layers[:, 0], mixture, atol=1e-6)


def test_same_seed_same_layers(method_class: type[SeparationMethod], built: Built) -> None:
    spec = accepted(method_class.card)[0]
    mixture = mixtures(spec, (14, 14))
    first = call(build(method_class, spec), mixture)
    torch.rand(7)  # the global generator must not matter, nor what a method has separated before
    assert torch.equal(first, call(built(spec), mixture))
    assert torch.equal(first, call(built(spec), mixture))


def test_an_image_does_not_depend_on_its_batch(method_class: type[SeparationMethod], built: Built) -> None:
    spec = accepted(method_class.card)[0]
    method, mixture = built(spec), mixtures(spec, (14, 14), batch=3)
    if method.iterations > 1:  # an optimiser makes much of the last digit
        mixture = mixture.double()
    together = call(method, mixture, [5, 6, 7])
    for i in range(3):
        alone = call(method, mixture[i : i + 1], [5 + i])
        assert torch.allclose(alone[0], together[i], atol=1e-5)


def test_the_mixture_is_left_alone(method_class: type[SeparationMethod], built: Built) -> None:
    spec = accepted(method_class.card)[0]
    mixture = mixtures(spec, (13, 14))
    before = mixture.clone()
    call(built(spec), mixture)
    assert torch.equal(mixture, before)


def test_hyper_parameters_are_saved_as_plain_values(
    method_class: type[SeparationMethod], built: Built, tmp_path: Any
) -> None:
    spec = accepted(method_class.card)[0]
    method = built(spec)
    path = tmp_path / "weights.ckpt"
    torch.save(
        {
            "state_dict": method.state_dict(),
            "hyper_parameters": dict(method.hparams),
            "pytorch-lightning_version": "2.6.0",
        },
        path,
    )
    loaded = method_class.load_from_checkpoint(path, weights_only=True).eval()
    loaded.iterations = method.iterations
    mixture = mixtures(spec, (14, 14))
    assert torch.equal(call(method, mixture), call(loaded, mixture))


def training_batch(spec: LayerSpec) -> LayerBatch:
    generator = torch.Generator().manual_seed(SEED)
    layers = torch.rand(4, len(spec["layers"]), spec["channels"], 28, 28, generator=generator)
    blend: Mixing = Mean() if not spec["ordered"] else (Ratio(0.7) if len(spec["layers"]) == 2 else Sum())
    mixing = blend if spec["scale"] == 1 else Camera(blend, scale=spec["scale"])
    drawn = [mixing.draw(generator, layers.shape[1:]) for _ in range(4)]
    parameters = {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}
    mixture = mixing.forward(layers, parameters)
    if spec["pairing"] == "unpaired":
        layers = layers.roll(1, 0)
    return LayerBatch(mixture, layers, torch.ones(4, 1, 28, 28, dtype=torch.bool), list("abcd"))


@pytest.mark.slow("test_the_first_trained_methods_learn_from_a_batch")
def test_trained_methods_learn_from_a_batch(method_class: type[SeparationMethod]) -> None:
    learns_from_a_batch(method_class)


@pytest.mark.parametrize("name", FIRST)
def test_the_first_trained_methods_learn_from_a_batch(name: str) -> None:
    learns_from_a_batch(catalogue.methods()[name].load())


def learns_from_a_batch(method_class: type[SeparationMethod]) -> None:
    if not method_class.card.trains:
        assert not list(build(method_class, accepted(method_class.card)[0]).parameters())
        return
    for spec in accepted(method_class.card):
        method = build(method_class, spec).train()
        method.trainer = SimpleNamespace(estimated_stepping_batches=12)  # type: ignore[assignment]
        optimizer = method.configure_optimizers()
        optimizer = optimizer["optimizer"] if isinstance(optimizer, dict) else optimizer
        if isinstance(optimizer, tuple):
            optimizer = optimizer[0][0]
        batch = training_batch(spec)
        method.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]  # there is no trainer here
        method.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]
        before = copy.deepcopy(method.state_dict())
        losses = []
        for _ in range(12):
            optimizer.zero_grad()
            told = method.training_step(batch, 0)
            loss = told["loss"] if isinstance(told, dict) else told
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert min(losses[6:]) < losses[0]
        unmoved = [name for name, value in method.named_parameters() if torch.equal(value, before[name])]
        assert not unmoved, f"parameters that never receive a gradient: {unmoved}"
