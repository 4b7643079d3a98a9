"""AttentiveGAN: its size, its attention, its critic at any size, and each term of its losses."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, UserError
from methods.attentive_gan import AttentiveGAN
from methods.networks.attentive import AttentiveDiscriminator


def small(**options: Any) -> AttentiveGAN:
    method = AttentiveGAN(**{"width": 8, "blocks": 1, "grid": 2, "perceptual": 0.0, **options}).eval()
    method.log = method.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]  # no trainer here
    return method


def count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_it_has_the_authors_parameters() -> None:
    with torch.device("meta"):
        method = AttentiveGAN(features="random")
    assert count(method.attention) + count(method.autoencoder) == 6_244_362
    assert method.discriminator is not None
    assert count(method.discriminator) == pytest.approx(7.74e6, rel=1e-3)


def test_attention_goes_on_from_the_map_before() -> None:
    network, image = small().attention, torch.rand(1, 3, 16, 16)
    maps = network(image)
    assert len(maps) == 4
    assert all(not torch.allclose(one, other) for one, other in itertools.pairwise(maps))
    seen: list[Tensor] = []
    network.first.register_forward_pre_hook(lambda _, given: seen.append(given[0][:, 3:]))
    network(image)
    assert torch.equal(seen[0], torch.full_like(seen[0], 0.5))
    assert all(torch.equal(one, other) for one, other in zip(seen[1:], maps, strict=False))


def test_at_its_own_size_a_critic_has_one_judgement_that_a_matrix_could_make() -> None:
    critic = AttentiveDiscriminator(3, 8, grid=4)
    image = torch.rand(2, 3, 64, 64)
    judged, where = critic(image)
    assert judged.shape == (2, 1, 1, 1)
    low = critic.shrink(critic.features(image) * where).flatten(1)
    hidden = F.linear(low, critic.judge[0].weight.flatten(1), critic.judge[0].bias).relu()
    expected = F.linear(hidden, critic.judge[2].weight.flatten(1), critic.judge[2].bias)
    assert torch.allclose(judged.flatten(1), expected, atol=1e-5)
    assert critic(torch.rand(1, 3, 96, 80))[0].shape == (1, 1, 3, 2)
    assert critic(torch.rand(1, 3, 28, 28))[0].shape == (1, 1, 1, 1)


def test_each_network_is_taught_by_its_own_losses() -> None:
    generator = torch.Generator().manual_seed(0)
    clear = 0.5 * torch.rand(2, 3, 32, 32, generator=generator)
    drops = torch.rand(2, 1, 32, 32, generator=generator) > 0.8
    mixture = clear + 0.3 * drops + 0.05
    batch = LayerBatch(mixture, clear[:, None], torch.ones(2, 1, 32, 32, dtype=torch.bool), ["a", "b"])
    method = small(perceptual=0.5, adversarial=0.2, where=0.3, features="random")
    told = method.training_step(batch, 0)
    maps, images = method.generate(mixture)
    expected = sum(0.8 ** (3 - t) * F.mse_loss(maps[t], drops.float()) for t in range(4))
    for weight, image, side in zip((0.6, 0.8, 1.0), images, (8, 16, 32), strict=True):
        expected = expected + weight * F.mse_loss(image, F.interpolate(clear, (side, side), mode="area"))
    assert method.vgg is not None
    assert method.discriminator is not None
    pairs = zip(method.vgg(images[-1]), method.vgg(clear), strict=True)
    expected = expected + 0.5 * sum(F.l1_loss(ours, theirs) for ours, theirs in pairs)
    (on_drawn, seen), (on_clear, nothing) = method.discriminator(images[-1]), method.discriminator(clear)
    expected = expected - 0.2 * on_drawn.sigmoid().log().mean()
    assert torch.allclose(told["generator"], expected, rtol=1e-4)
    judged = -(1 - on_drawn.sigmoid()).log().mean() - on_clear.sigmoid().log().mean()
    mapped = F.mse_loss(seen, maps[-1]) + nothing.square().mean()
    assert torch.allclose(told["discriminator"], judged + 0.3 * mapped, rtol=1e-4)
    told["loss"].backward()
    both = {name: weight.grad.clone() for name, weight in method.named_parameters() if weight.grad is not None}
    fresh = small(perceptual=0.5, adversarial=0.2, where=0.0, features="random")
    fresh.load_state_dict(method.state_dict())
    fresh.training_step(batch, 0)["loss"].backward()
    ours = [weight.grad for name, weight in fresh.named_parameters() if name.startswith(("attention", "autoencoder"))]
    theirs = [grad for name, grad in both.items() if name.startswith(("attention", "autoencoder"))]
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(ours, theirs, strict=True)), (
        "what the critic learns moves no weight of the generator"
    )


def test_without_a_critic_there_is_one_network_and_a_correcting_one_starts_from_the_mixture() -> None:
    method, mixture = small(adversarial=0.0, residual=True), torch.rand(1, 3, 18, 21)
    assert method.discriminator is None
    assert torch.allclose(method(mixture)[:, 0], mixture, atol=1e-6)


@pytest.mark.parametrize("options", [{"width": 1}, {"steps": 0}, {"grid": 0}, {"threshold": -0.1}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="the width must be at least 2"):
        AttentiveGAN(**options)
