"""Assignment of layers against brute force."""

from itertools import permutations

import pytest
import torch

from methods.losses.permutation import absolute, best_assignment, huber, pairwise, separation_loss, squared


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(5, 3, 2, 6, 7, generator=generator), torch.rand(5, 3, 2, 6, 7, generator=generator)


@pytest.mark.parametrize("distance", [squared, absolute, huber])
def test_best_assignment_equals_brute_force(pair: tuple[torch.Tensor, torch.Tensor], distance: object) -> None:
    estimates, layers = pair
    order, cost = best_assignment(pairwise(estimates, layers, distance))  # type: ignore[arg-type]
    for b in range(5):
        costs = {p: float(distance(estimates[b, list(p)], layers[b]).mean()) for p in permutations(range(3))}  # type: ignore[operator]
        assert tuple(order[b].tolist()) == min(costs, key=costs.__getitem__)
        assert float(cost[b]) == pytest.approx(min(costs.values()), rel=1e-5)


def test_order_says_which_estimate_is_which_layer(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    _, layers = pair
    order, cost = best_assignment(pairwise(layers[:, [2, 0, 1]], layers, squared))
    assert order.tolist() == [[1, 2, 0]] * 5
    assert float(cost.max()) < 1e-12


def test_equal_estimates_keep_their_places(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    _, layers = pair
    same = layers[:, :1].expand(-1, 3, -1, -1, -1)
    assert best_assignment(pairwise(same, layers, squared))[0].tolist() == [[0, 1, 2]] * 5


def test_loss_and_its_gradient(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    estimates, layers = pair
    shuffled = (layers[:, [1, 0, 2]] + 0.01).requires_grad_()
    loss = separation_loss(shuffled, layers, squared, permutation_invariant=True)
    assert float(loss) == pytest.approx(1e-4, rel=1e-3)
    loss.backward()
    assert torch.allclose(shuffled.grad, torch.full_like(shuffled, 0.02 / layers.numel()), rtol=1e-3)
    fixed = separation_loss(estimates, layers, squared, permutation_invariant=False)
    assert float(fixed) == pytest.approx(float(((estimates - layers) ** 2).mean()))


def test_huber_is_torchs() -> None:
    estimate, truth = torch.randn(100), torch.randn(100)
    for delta in (0.3, 1.0):
        expected = torch.nn.functional.huber_loss(estimate, truth, delta=delta, reduction="none")
        assert torch.allclose(huber(estimate, truth, delta), expected)
