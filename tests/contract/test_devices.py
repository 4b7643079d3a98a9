"""Devices without a device: every method and mixing model on CUDA tensors that have a shape and a place, but no values.

Such tensors run on a machine without a GPU. They show where a tensor stays on the host, and where the host would wait
for a value of the device: there is none to be had. The backward pass cannot run; torch's own is trusted.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from test_methods import ENTRIES, FIRST, SEED, accepted, build, class_of, mixtures, training_batch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import DataDependentOutputException

from benchmark.plan import catalogue
from datamodules import mixing as formation
from datamodules.base import sample_generator
from datamodules.mixing import Mean, Mixing
from datamodules.types import LayerBatch, UserError
from methods.base import SeparationMethod
from methods.bits_net import Optimisation
from methods.losses.adversarial import CollapseGuard

CLASSES = [class_of(entry) for entry in ENTRIES]
TRAINED = [found for found in CLASSES if found.card.trains]


@pytest.fixture(autouse=True)
def without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch needs to be told where there is no GPU."""
    # torch.nn.TransformerEncoder copies its layer deeply, and with each weight the mode that it was made in.
    monkeypatch.setattr(FakeTensorMode, "__deepcopy__", lambda self, memo: self, raising=False)
    # Module.to puts what it made in a weight's place, which such weights do not allow; they are there already.
    monkeypatch.setattr(torch.utils, "swap_tensors", same_place)
    monkeypatch.setattr(torch, "Generator", OfTheDevice)
    # Penalties on slopes: the shapes are the images'.
    monkeypatch.setattr(torch.autograd, "grad", lambda of, to, **_: (torch.zeros_like(to),))
    monkeypatch.setattr(torch.autograd, "backward", lambda *_: None)


class OfTheDevice(torch.Generator):
    """A generator that says it is of a device which is not there; no number is drawn."""

    device = torch.device("cuda")  # type: ignore[assignment]

    def __new__(cls, device: Any = None) -> OfTheDevice:
        return super().__new__(cls)


def same_place(one: Tensor, other: Tensor) -> None:
    assert (one.device, one.dtype) == (other.device, other.dtype)


@contextmanager
def on_the_device(precision: str) -> Iterator[None]:
    """Fake tensors, made on the device, with or without automatic mixed precision."""
    with FakeTensorMode(), torch.device("cuda"):
        # torch.autocast would switch itself off where no GPU is found.
        torch.set_autocast_enabled("cuda", precision == "bf16-mixed")
        torch.set_autocast_dtype("cuda", torch.bfloat16)
        try:
            yield
        finally:
            torch.set_autocast_enabled("cuda", False)


def moved(value: Tensor) -> Tensor:
    """Like a tensor, where ``on_the_device`` makes them."""
    return torch.empty(value.shape, dtype=value.dtype)


def quiet(method: SeparationMethod) -> SeparationMethod:
    method.log = method.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    return method


every_method = pytest.mark.parametrize("method_class", CLASSES, ids=lambda found: found.__name__)
every_trained_method = pytest.mark.parametrize("method_class", TRAINED, ids=lambda found: found.__name__)


@every_method
def test_a_method_works_where_its_mixture_is(method_class: type[SeparationMethod]) -> None:
    works_where_its_mixture_is(method_class, "bf16-mixed")


@pytest.mark.slow("test_a_method_works_where_its_mixture_is")
@every_method
def test_a_method_works_there_in_full_precision(method_class: type[SeparationMethod]) -> None:
    works_where_its_mixture_is(method_class, "32-true")


def works_where_its_mixture_is(method_class: type[SeparationMethod], precision: str) -> None:
    if method_class.card.host:
        pytest.skip(f"computes on the host: {method_class.card.host}")
    for spec in accepted(method_class.card):
        size = mixtures(spec, (17, 32)).shape
        with on_the_device(precision), torch.no_grad():
            method = build(method_class, spec)
            if method_class.card.supervision == "single-image":
                # It looks at the remix, on the host, now and then: never in a step.
                run = Optimisation(method, method.pad(torch.rand(size)), [0, 1])  # type: ignore[arg-type]
                for _ in range(3):
                    run.step()
                layers = run.layers()
            else:
                layers = method(torch.rand(size), [0, 1])
            assert layers.device.type == "cuda"
            assert layers.dtype == torch.float32
            assert {value.device.type for value in [*method.parameters(), *method.buffers()]} <= {"cuda"}


@every_trained_method
def test_a_training_step_waits_for_no_value(method_class: type[SeparationMethod]) -> None:
    training_step_waits_for_no_value(method_class, "bf16-mixed")


@pytest.mark.slow("test_a_training_step_waits_for_no_value")
@every_trained_method
def test_a_training_step_in_full_precision_waits_for_none_either(method_class: type[SeparationMethod]) -> None:
    training_step_waits_for_no_value(method_class, "32-true")


def training_step_waits_for_no_value(method_class: type[SeparationMethod], precision: str) -> None:
    for spec in accepted(method_class.card):
        batch = training_batch(spec)
        with on_the_device(precision):
            method = quiet(build(method_class, spec).train())
            told: Any = method.training_step(LayerBatch(*map(moved, batch[:3]), batch.ids), 1)
            for name, loss in told.items() if isinstance(told, dict) else [("loss", told)]:
                assert loss.device.type == "cuda", name
                assert loss.dtype == torch.float32, name
                assert loss.shape == (), name


def test_only_the_guard_reads_a_value_and_only_now_and_then() -> None:
    with on_the_device("32-true"):
        guard = CollapseGuard(every=25)
        loss = {"discriminator": torch.rand(())}
        for step in range(24):
            guard.watch(step, loss)
        with pytest.raises(DataDependentOutputException):
            guard.watch(24, loss)


MODELS = [
    found for _, found in inspect.getmembers(formation, inspect.isclass)
    if issubclass(found, Mixing) and not inspect.isabstract(found)
]  # fmt: skip


@pytest.mark.parametrize("model", MODELS, ids=lambda found: found.__name__)
def test_mixtures_are_made_where_the_layers_are(model: type[Mixing], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # parameters are drawn on the host, for real
    needed = {
        name: Mean() if name == "mixing" else 0.5
        for name, parameter in inspect.signature(model).parameters.items() if parameter.default is parameter.empty
    }  # fmt: skip
    mixing = model(**needed)
    generator = sample_generator(SEED, "train", 0)
    for sources in (2, 1, 3):
        try:
            drawn = mixing.draw(generator, torch.Size((sources, 3, 32, 32)))
        except UserError:
            continue  # as many as it needs
        break
    with on_the_device("32-true"):
        parameters = {name: torch.empty((2, *value.shape), dtype=value.dtype) for name, value in drawn.items()}
        layers = mixing.render(torch.rand(2, sources, 3, 32, 32), parameters)
        mixture = mixing.forward(layers, parameters)
    assert layers.device.type == mixture.device.type == "cuda"
    assert layers.dtype == mixture.dtype == torch.float32


def called(method: SeparationMethod, batch: LayerBatch) -> list[tuple[nn.Module, tuple[Any, ...]]]:
    """The outermost networks that a training step calls, one of each class, with what it was first given."""
    found: dict[int, tuple[nn.Module, tuple[Any, ...]]] = {}
    inside: list[nn.Module] = []

    def enter(module: nn.Module, given: tuple[Any, ...]) -> None:
        if not inside and (list(module.parameters()) or list(module.buffers())):  # a pool of images is no network
            found.setdefault(id(module), (module, given))
        inside.append(module)

    hooks = []
    for module in method.modules():
        if module is not method:
            hooks.append(module.register_forward_pre_hook(enter))
            hooks.append(module.register_forward_hook(lambda *_: inside.pop() and None))
    method.training_step(batch, 1)
    for hook in hooks:
        hook.remove()
    kinds: dict[Any, tuple[nn.Module, tuple[Any, ...]]] = {}
    for module, given in found.values():  # one of each class; sequences may hold anything
        kinds.setdefault(module if isinstance(module, nn.Sequential) else type(module), (module, given))
    return list(kinds.values())


@pytest.mark.slow("test_the_first_networks_compile_without_a_break")
@every_trained_method
def test_networks_compile_without_a_break(method_class: type[SeparationMethod], monkeypatch: Any) -> None:
    """As one graph; that gradients flow through such graphs, too, the first networks show for all."""
    monkeypatch.undo()
    compiles_without_a_break(method_class, "eager")


@pytest.mark.parametrize("name", FIRST)
def test_the_first_networks_compile_without_a_break(name: str, monkeypatch: Any) -> None:
    monkeypatch.undo()
    compiles_without_a_break(catalogue.methods()[name].load(), "aot_eager")


def compiles_without_a_break(method_class: type[SeparationMethod], backend: str) -> None:
    spec = accepted(method_class.card)[-1]
    method = quiet(build(method_class, spec).train())
    networks = called(method, training_batch(spec))
    assert networks
    for network, given in networks:
        torch.compiler.reset()
        compiled = torch.compile(network, backend=backend, fullgraph=True)
        detached = [value.detach() if isinstance(value, Tensor) else value for value in given]
        assert compiled(*detached) is not None
