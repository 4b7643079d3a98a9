"""The training stream: the same samples for any workers, any ranks, and after a resume."""

import pickle

import pytest
import torch

from datamodules.base import RankSampler, sample_generator
from datamodules.digits import Digits
from datamodules.superimposed import Superimposed
from datamodules.types import UserError


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize("start", [0, 1, 7])
def test_ranks_share_the_samples_without_overlap(world: int, start: int) -> None:
    samplers = [RankSampler(23, rank, world, start) for rank in range(world)]
    taken = [list(sampler) for sampler in samplers]
    assert sorted(k for part in taken for k in part) == list(range(start, 23))
    for rank, part in enumerate(taken):
        assert all(k % world == rank for k in part)
        assert part == sorted(part)
    assert sum(len(sampler) for sampler in samplers) == 23


def test_generators_of_neighbours_seeds_and_roles_differ() -> None:
    draws = {
        tuple(torch.rand(4, generator=sample_generator(seed, role, k)).tolist())
        for seed in (0, 1)
        for role in ("train", "select", "test")
        for k in range(50)
    }
    assert len(draws) == 300


def stream(data: Digits | Superimposed) -> dict[str, list[torch.Tensor]]:
    seen = {}
    for batch in data.train_dataloader():
        mixed = data.on_after_batch_transfer(batch, 0)
        for i, name in enumerate(mixed.ids):
            assert name not in seen
            seen[name] = [mixed.mixture[i], mixed.layers[i]]
    return seen


def make(kind: str, **options: int) -> Digits | Superimposed:
    budget = {"images": 24, "batch_size": 6, "selections": 2, **options}
    return Digits(**budget) if kind == "digits" else Superimposed(size=24, **budget)


@pytest.mark.parametrize("kind", ["digits", "superimposed"])
def test_two_workers_draw_what_none_draws(kind: str) -> None:
    alone, helped = make(kind), make(kind, num_workers=2)
    alone.setup()
    helped.setup()
    expected, found = stream(alone), stream(helped)
    assert list(expected) == list(found)
    assert len(expected) == 24
    for name, tensors in expected.items():
        for one, other in zip(tensors, found[name], strict=True):
            assert torch.equal(one, other)

    def __init__(self, rank: int, world: int) -> None:
        self.global_rank, self.world_size = rank, world


@pytest.mark.parametrize("kind", ["digits", "superimposed"])
def test_two_ranks_together_draw_what_one_draws(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = make(kind)
    alone.setup()
    expected = stream(alone)
    found = {}
    for rank in range(2):
        data = make(kind)
        data.setup()
        monkeypatch.setattr(data, "_place", lambda rank=rank: (rank, 2))
        assert data.train_dataloader().batch_size == 3
        found |= stream(data)
    assert found.keys() == expected.keys()
    for name, tensors in expected.items():
        assert all(torch.equal(one, other) for one, other in zip(tensors, found[name], strict=True))


def test_a_resumed_stream_goes_on_with_the_next_sample() -> None:
    whole, resumed = make("digits"), make("digits")
    whole.setup()
    resumed.setup()
    resumed.load_state_dict({"images_seen": 12})
    rest = stream(resumed)
    everything = stream(whole)
    assert list(rest) == list(everything)[12:]
    assert len(resumed.train_dataloader()) == len(whole.train_dataloader())


def test_seed_changes_training_but_not_what_is_scored() -> None:
    one, other = make("digits", seed=1), make("digits", seed=2)
    one.setup()
    other.setup()
    assert not stream(one).keys() & stream(other).keys()
    for first, second in zip(one.test_dataloader(), other.test_dataloader(), strict=True):
        assert first.ids == second.ids
        assert torch.equal(first.mixture, second.mixture)


def test_a_batch_that_ranks_cannot_share_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = make("digits", batch_size=5)
    data.setup()
    monkeypatch.setattr(data, "_place", lambda: (0, 2))
    with pytest.raises(UserError, match="batch_size 5 cannot be shared evenly by 2"):
        data.train_dataloader()


@pytest.mark.parametrize("options", [{"images": 5}, {"batch_size": 0}, {"selections": 0}, {"test_images": 0}])
def test_an_impossible_budget_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(UserError, match="at least"):
        make("digits", **options)


def test_the_budget_is_whole_batches_between_looks_at_the_select_role() -> None:
    data = make("digits", images=1000, batch_size=7, selections=4)
    assert data.images <= 1000
    assert data.images % (7 * data.select_every) == 0
    assert data.images > 1000 - 7 * (data.select_every + 1)


def test_a_data_set_goes_to_other_processes_without_its_trainer() -> None:
    """A trainer holds the method, which may hold what cannot be pickled."""
    data = Digits(batch_size=4)
    data.trainer = lambda: None  # type: ignore[assignment]
    sent = pickle.loads(pickle.dumps(data))
    assert sent.trainer is None
    assert data.trainer is not None
    assert sent.batch_size == 4
