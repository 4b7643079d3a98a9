"""DID-MDN: its size, what its streams show, and that no other image moves what is given for one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from datamodules.types import LayerBatch, UserError
from methods.didmdn import DIDMDN, STREAMS, DenseStream

NEVER_CALLED = 3 * 73 + 2 * (9 * 11 * 20 + 20) + 2 * (9 * 24 * 3 + 3) + 3 * (2 * 20 + 2)
"""Parameters of the authors' network that take no part: of each stream a sixth map, of two a fusion, and norms."""


def small(**options: Any) -> DIDMDN:
    method = DIDMDN(**{"width": 0.25, "perceptual": 0.0, **options}).eval()
    method.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]  # there is no trainer here
    return method


def test_it_has_the_authors_parameters() -> None:
    with torch.device("meta"):
        method = DIDMDN(features="random")
    assert sum(weight.numel() for weight in method.parameters()) + NEVER_CALLED == 372_839
    assert method.network.fuse.in_channels == 47


@pytest.mark.parametrize("size", list(STREAMS))
def test_a_stream_shows_all_of_its_blocks(size: int) -> None:
    stream, image = DenseStream(size, *STREAMS[size], 1.0, "instance"), torch.rand(1, 3, 32, 32)
    shown = stream(image)
    assert shown.shape[1] == 12
    assert torch.equal(shown[:, -3:], image)
    maps = shown[0, 4:9].flatten(1)
    assert all(not torch.allclose(maps[i], maps[j]) for i in range(5) for j in range(i)), "no two are the same"
    lowest = {3: 2, 5: 4, 7: 8}[size]
    third = shown[0, 6]
    assert torch.equal(third, third[::lowest, ::lowest].repeat_interleave(lowest, 0).repeat_interleave(lowest, 1))


def test_normalisation_by_single_images_is_the_authors_in_testing() -> None:
    instance, batch = small(), small(norm="batch")
    batch.load_state_dict(instance.state_dict(), strict=False)
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = torch.cat([batch.train()(one[None]) for one in image])  # they test in training mode, one by one
        assert torch.allclose(instance(image), theirs, atol=1e-5)
        assert not torch.allclose(batch(image), theirs, atol=1e-3), "a batch of two would be another matter"


def test_the_density_is_told() -> None:
    image = torch.rand(1, 3, 32, 32)
    one, other = small(density=1), small(density=2)
    other.load_state_dict(one.state_dict())
    assert not torch.allclose(one(image), other(image), atol=1e-5)


def test_a_correcting_network_starts_from_the_mixture() -> None:
    image = torch.rand(1, 3, 40, 33)
    assert torch.allclose(small(residual=True)(image)[:, 0], image, atol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 1.8])
def test_the_loss_is_of_pixels_and_of_features(weight: float) -> None:
    layers = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    method = small(perceptual=weight, features="random")
    batch = LayerBatch(layers.mean(1), layers[:, :1], torch.ones(2, 1, 32, 32, dtype=torch.bool), ["a", "b"])
    found = method(batch.mixture)[:, 0]
    expected = 2 * (found - layers[:, 0]).abs().mean()
    if weight:
        for ours, theirs in zip(method.vgg(found), method.vgg(layers[:, 0]), strict=True):
            expected = expected + weight * (ours - theirs).abs().mean()
    assert torch.allclose(method.training_step(batch, 0), expected, rtol=1e-4)


@pytest.mark.parametrize("options", [{"width": 0.0}, {"density": 4}, {"perceptual": -1.0}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="the density 0, 1, 2 or 3"):
        DIDMDN(**options)
