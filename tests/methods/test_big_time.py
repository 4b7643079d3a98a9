"""BigTime: the authors' size, sequences of one scene, and losses that look at pictures alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from datamodules.types import LayerBatch, UserError
from methods.big_time import GAMMA, BigTime, rough


def small(**options: Any) -> Any:
    torch.manual_seed(0)
    method: Any = BigTime(**({"width": 4, "depth": 3, "lights": 3} | options))
    method.log = lambda *_, **__: None  # there is no trainer here
    return method


def scene(lights: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Logarithms of one albedo and of several grey, constant shadings, of light."""
    albedo, light = torch.rand(2, 1, 3, 3, 16, 16, generator=torch.Generator().manual_seed(0)).unbind()
    steady = light[:, :, :1, :1, :1].expand(1, 3, 3, 16, 16)
    return albedo[:, :1].expand(1, lights, 3, 16, 16) - 1, steady - 0.5


def test_it_has_the_authors_parameters() -> None:
    with torch.device("meta"):
        method = BigTime()
    assert sum(weight.numel() for weight in method.parameters()) / 1e6 == pytest.approx(69.50, rel=1e-3)


@pytest.mark.parametrize(("count", "scenes", "lights"), [(6, 2, 3), (7, 2, 3), (2, 1, 2)])
def test_a_sequence_is_one_albedo_in_several_lights(count: int, scenes: int, lights: int) -> None:
    layers = torch.rand(count, 2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.1
    pictures = small().sequences(layers)
    assert pictures.shape == (scenes, lights, 3, 8, 8)
    for s in range(scenes):
        for m in range(lights):
            assert torch.allclose(pictures[s, m] / layers[s, 0], layers[s * lights + m, 1], atol=1e-6)


def test_the_truth_of_a_sequence_has_the_least_loss() -> None:
    albedo, shading = scene()
    pictures = (GAMMA * (albedo + shading)).exp()
    method = small(brightness=0.0)
    truth = method.loss(pictures, albedo, shading)
    assert truth < 1e-8
    light = torch.rand(1, 3, 1, 1, 1, generator=torch.Generator().manual_seed(1))
    wrong = [(albedo + light, shading - light), (albedo, shading + 0.1), (albedo + shading, 0 * shading)]
    texture = 0.3 * torch.rand(1, 1, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    wrong.append((albedo - texture, shading + texture))
    assert all(method.loss(pictures, *given) > 1e-3 for given in wrong)


def test_consistency_and_relighting_are_of_all_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    pictures, albedo, shading = torch.rand(3, 2, 3, 3, 8, 8, generator=generator).unbind()
    pictures = pictures + 0.1
    light = pictures.mean(2, keepdim=True) ** 0.125
    same, relit = torch.zeros(()), torch.zeros(())
    for i in range(3):
        for j in range(3):
            same = same + ((albedo[:, i] - albedo[:, j]) ** 2).mean() / 9
            error = pictures[:, i].log() / GAMMA - shading[:, i] - albedo[:, j]
            relit = relit + (light[:, i] * error**2).mean() / 9
    for which, expected in (("consistency", same), ("relighting", relit)):
        weights = dict.fromkeys(("consistency", "relighting", "smoothness", "brightness"), 0.0) | {which: 2.0}
        assert torch.allclose(small(**weights).loss(pictures, albedo, shading), 2 * expected, rtol=1e-4)


def test_steps_of_the_shading_are_excused_where_the_median_has_them() -> None:
    flat, step = torch.zeros(1, 1, 6, 6), torch.zeros(1, 1, 6, 6)
    step[..., 3:] = 1.0
    assert rough(flat, flat, 10.0) == 0
    assert rough(step, step, 10.0) < rough(step, flat, 10.0) / 1000
    # Of six rows, the step is met by each pair along the row, by two diagonals of five rows, and by none downwards.
    assert torch.allclose(rough(step, flat, 10.0), torch.tensor((6 / 30 + 0 + 5 / 25 + 5 / 25) / 4))


def test_the_mixture_and_its_layers_are_no_pair() -> None:
    layers = torch.rand(3, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(3, 1, 16, 16, dtype=torch.bool)
    losses = [small().training_step(LayerBatch(m, layers, mask, list("abc")), 0) for m in (layers[:, 0], layers[:, 1])]
    assert torch.equal(*losses)


def test_a_correction_begins_with_the_mixture_as_albedo() -> None:
    mixture = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) + 0.1
    assert torch.allclose(small(residual=True).eval().draw(mixture)[0].exp(), mixture)
    assert not torch.allclose(small().eval().draw(mixture)[0].exp(), mixture, atol=0.1)


@pytest.mark.parametrize("options", [{"width": 0}, {"depth": 1}, {"lights": 1}, {"relighting": -1}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="depth and lights at least 2"):
        small(**options)


def test_a_separated_shading_is_at_most_1_almost_everywhere_and_the_product_stays() -> None:
    method, mixture = small().eval(), torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    torch.nn.init.constant_(method.network.colour[-1].bias, 9.0)
    with torch.no_grad():
        albedo, shading = method(mixture).unbind(1)
        drawn = torch.stack(method.draw(mixture)).sum(0).exp()
    assert torch.allclose(albedo * shading, drawn, rtol=1e-4)
    share = (shading.mean(1) <= 1 + 1e-6).float().mean((1, 2))
    assert torch.all((share > 0.98) & (share < 1)), "without a factor all of it would be above"
