"""DDN: its size, what it sees of an image, and how its learning rate falls."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from kornia.filters import guided_blur

from datamodules.types import LayerBatch, UserError
from methods.ddn import DDN, guided_smoothing


def test_it_has_the_authors_parameters() -> None:
    with torch.device("meta"):
        method = DDN()
    assert sum(weight.numel() for weight in method.parameters()) == 57_369


def test_the_guided_filter_is_that_of_an_independent_implementation_inside() -> None:
    image = torch.rand(2, 3, 40, 44, generator=torch.Generator().manual_seed(0))
    planes = image.flatten(0, 1).unsqueeze(1)
    for epsilon in (0.01, 1.0):
        expected = guided_blur(planes, planes, 7, epsilon).view_as(image)
        inside = (..., slice(8, -8), slice(8, -8))
        assert torch.allclose(guided_smoothing(image, 3, epsilon)[inside], expected[inside], atol=1e-5)


def test_the_network_sees_the_detail_alone() -> None:
    method = DDN(width=4, blocks=1).eval()
    for weight in method.parameters():
        torch.nn.init.normal_(weight, std=0.3, generator=torch.Generator().manual_seed(1))
    mixture = 0.5 * torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    background = method(mixture)
    assert not torch.allclose(background[:, 0], mixture, atol=1e-3)
    assert torch.allclose(method(mixture + 0.25), background + 0.25, atol=1e-5), "brightness is no detail"


def test_what_is_scored_does_not_depend_on_the_test_images_statistics() -> None:
    method = DDN(width=4, blocks=1)
    torch.nn.init.ones_(method.network.last[-1].weight)
    with torch.no_grad():
        method(torch.rand(4, 3, 20, 20))
        method.eval()
        image = torch.rand(1, 3, 20, 80)
        left = method(image)[..., :20]
        image[..., 60:] = 0
        assert torch.allclose(method(image)[..., :20], left, atol=1e-6)


def test_the_learning_rate_falls_where_the_authors_let_it() -> None:
    method = DDN(width=4, blocks=1)
    method.trainer = SimpleNamespace(estimated_stepping_batches=60)  # type: ignore[assignment]
    configured = method.configure_optimizers()
    rates = []
    for _ in range(60):
        rates.append(configured["optimizer"].param_groups[0]["lr"])
        configured["optimizer"].step()
        configured["lr_scheduler"]["scheduler"].step()
    assert rates == pytest.approx([0.1] * 20 + [0.01] * 20 + [0.001] * 20)
    assert configured["optimizer"].param_groups[0]["momentum"] == 0.9
    rates = [DDN(cosine=True, warm_up=0.1).factor_of(60)(step) for step in (0, 2, 6, 33, 60)]
    assert rates == pytest.approx([1 / 7, 3 / 7, 1, 0.5, 0])
    adam = DDN(momentum=None, lr=1e-3, milestones=[], warm_up=0.5)
    adam.trainer = SimpleNamespace(estimated_stepping_batches=10)  # type: ignore[assignment]
    assert isinstance(adam.configure_optimizers()["optimizer"], torch.optim.AdamW)


def test_the_loss_is_the_backgrounds_squared_error_whatever_else_is_known() -> None:
    layers = torch.rand(2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    method = DDN(width=4, blocks=1)
    method.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]  # there is no trainer here
    mask = torch.ones(2, 1, 16, 16, dtype=torch.bool)
    for count in (1, 2):
        loss = method.training_step(LayerBatch(layers.sum(1), layers[:, :count], mask, ["a", "b"]), 0)
        assert torch.allclose(loss, layers[:, 1].square().mean()), "it starts from the mixture"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width and radius must be at least 1"),
        ({"epsilon": 0.0}, "epsilon positive"),
        ({"momentum": 1.0}, "momentum 1: it must be"),
        ({"milestones": [1.5]}, "shares of the run"),
        ({"fall": 0.0}, "a factor above 0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        DDN(**options)
