"""PReNet: the sizes of its four networks, its stages, and the loss against another SSIM."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.metrics.functional import ssim
from datamodules.types import LayerBatch, UserError
from methods.losses.ssim import ssim_loss
from methods.prenet import PReNet


@pytest.mark.parametrize(
    ("recurrent", "shared", "parameters"),
    [(True, False, 168_963), (True, True, 94_979), (False, False, 95_107), (False, True, 21_123)],
)
def test_the_four_networks_have_the_authors_parameters(recurrent: bool, shared: bool, parameters: int) -> None:
    with torch.device("meta"):
        method = PReNet(recurrent=recurrent, shared=shared)
    assert sum(weight.numel() for weight in method.parameters()) == parameters


def small(**options: Any) -> PReNet:
    method = PReNet(**{"width": 4, "stages": 3, "blocks": 2, **options}).eval()
    generator = torch.Generator().manual_seed(0)
    for weight in method.parameters():
        weight.data.normal_(std=0.3, generator=generator)
    method.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]  # there is no trainer here
    return method


@pytest.mark.parametrize("shared", [True, False])
def test_a_stage_sees_the_mixture_and_the_stage_before(shared: bool) -> None:
    method, mixture = small(recurrent=False, shared=shared), torch.rand(2, 3, 12, 13)
    weights = dict(method.network.named_parameters())

    def conv(x: Tensor, name: str) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)

    answer = mixture
    for stage in method.answers(mixture):
        x = conv(torch.cat([mixture, answer], 1), "first.0").relu()
        for block in (0, 0) if shared else (0, 1):
            x = (conv(conv(x, f"blocks.{block}.0").relu(), f"blocks.{block}.2").relu() + x).relu()
        answer = mixture + conv(x, "last")
        assert torch.allclose(stage, answer, atol=1e-5)
    assert torch.equal(method(mixture)[:, 0], stage)


def test_the_lstm_alone_carries_what_the_images_do_not() -> None:
    mixture = torch.rand(1, 3, 12, 13)
    for recurrent in (True, False):
        method = small(recurrent=recurrent)
        torch.nn.init.zeros_(method.network.first[0].weight)  # nothing is seen of any image
        one, other, _ = method.answers(mixture)
        assert torch.allclose(one, other) is not recurrent


def test_the_loss_is_the_last_stages_similarity() -> None:
    layers = torch.rand(2, 2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 1, 40, 40, dtype=torch.bool)
    for count in (1, 2):
        batch = LayerBatch(layers.mean(1), layers[:, :count], mask, ["a", "b"])
        for supervised, chosen in (("last", slice(2, 3)), ("all", slice(0, 3))):
            method = small(supervised=supervised)
            each = [ssim_loss(answer, layers[:, 0]) for answer in method.answers(batch.mixture)[chosen]]
            assert torch.allclose(method.training_step(batch, 0), torch.stack(each).mean(), atol=1e-6)


def test_the_similarity_is_that_of_the_scores_but_for_the_border() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(2, 3, 30, 34, generator=generator)
    estimate = truth + 0.2 * torch.randn(truth.shape, generator=generator)
    frame = (10, 10, 10, 10)
    # A wide black frame around both: the windows that touch it are all there is to the border.
    framed = [F.pad(image, frame) for image in (estimate, truth)]
    total = ssim(*framed).mean() * (40 * 44)  # of all whole windows; outside of them lies nothing
    ours = ssim_loss(*framed) * (50 * 54)
    assert torch.allclose(-ours, total + (50 * 54 - 40 * 44), rtol=1e-4), "black on black is 1"
    assert ssim_loss(truth, truth).item() == pytest.approx(-1, abs=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert ssim_loss(estimate.bfloat16(), truth).dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [({"width": 0}, "all must be at least 1"), ({"stages": 0}, "at least 1"), ({"supervised": "first"}, "last or all")],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        PReNet(**options)
