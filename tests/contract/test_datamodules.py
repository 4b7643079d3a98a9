"""What every data set promises; none is named here. All run on their embedded data."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch.utils.data import DataLoader

from benchmark.plan import catalogue
from datamodules.base import LAYER_SCENES, MIXTURE_SCENES, LayerDataModule
from datamodules.types import LayerBatch, UnmixedBatch, UnpairedBatch

ENTRIES = list(catalogue.datasets().values())
Stream = dict[str, tuple[torch.Tensor, torch.Tensor]]


@pytest.fixture(scope="module", params=ENTRIES, ids=lambda entry: entry.name)
def make(request: pytest.FixtureRequest) -> type[LayerDataModule]:
    found: type[LayerDataModule] = request.param.load()
    return found


@pytest.fixture(scope="module")
def data(make: type[LayerDataModule]) -> LayerDataModule:
    made = make(images=16, batch_size=8, selections=1)  # type: ignore[call-arg]
    made.setup()
    return made


def small(make: type[LayerDataModule], **options: object) -> LayerDataModule:
    """Data of small pictures, where the class lets one choose; two batches to train on."""
    if "size" in inspect.signature(make).parameters:
        options["size"] = 32
    made = make(**{"images": 8, "batch_size": 4, "selections": 1, **options})  # type: ignore[arg-type,call-arg]
    made.setup()
    return made


def loaders(data: LayerDataModule) -> dict[str, DataLoader[LayerBatch]]:
    return {"select": data.val_dataloader(), "test": data.test_dataloader()}


def check(batch: LayerBatch, data: LayerDataModule) -> None:
    spec = data.spec
    count, layers, channels, height, width = batch.layers.shape
    assert layers == len(spec["layers"])
    assert channels == spec["channels"]
    assert batch.mixture.shape == (count, channels, height // spec["scale"], width // spec["scale"])
    assert batch.mask.shape == (count, 1, height, width)
    assert batch.mask.dtype == torch.bool
    assert batch.mixture.dtype == batch.layers.dtype == torch.float32
    assert torch.isfinite(batch.mixture).all()
    assert float(batch.layers.min()) >= 0
    assert float(batch.layers.max()) <= 1
    assert len(batch.ids) == count


def test_spec_holds_plain_values_and_a_prefix_of_the_layers(data: LayerDataModule) -> None:
    spec = data.spec
    assert all(type(value) in (str, int, float, bool, list) for value in spec.values())
    assert spec["layers"][: len(spec["scored"])] == spec["scored"]
    assert len(set(spec["layers"])) == len(spec["layers"]) >= 2
    assert spec["target"]
    assert [layer for layer in spec["scored"] if layer in spec["target"]] == spec["target"]
    assert set(spec["derived"]) <= set(spec["layers"]) - set(spec["target"])
    assert spec["citation"]
    assert spec["licence"]


def test_spec_needs_no_data(make: type[LayerDataModule]) -> None:
    assert make().spec["layers"]  # type: ignore[call-arg]


def test_training_yields_layers_that_mix_on_the_device(data: LayerDataModule) -> None:
    batch = next(iter(data.train_dataloader()))
    assert isinstance(batch, UnmixedBatch)
    mixed = data.on_after_batch_transfer(batch, 0)
    check(mixed, data)
    assert torch.equal(data.on_after_batch_transfer(mixed, 0).mixture, mixed.mixture)


@pytest.mark.parametrize("role", ["select", "test"])
def test_evaluation_yields_whole_batches_with_unique_ids(data: LayerDataModule, role: str) -> None:
    names = []
    for batch in loaders(data)[role]:
        check(batch, data)
        names += batch.ids
    assert len(names) == len(set(names)) == data.count(role)  # type: ignore[arg-type]
    assert names == sorted(names)


@pytest.mark.parametrize("role", ["select", "test"])
def test_evaluation_is_the_same_each_time(make: type[LayerDataModule], role: str) -> None:
    first, other = small(make, test_images=6), small(make, batch_size=2, seed=9, num_workers=1, test_images=6)
    for one, two in zip(loaders(first)[role], loaders(other)[role], strict=True):
        assert one.ids == two.ids
        assert torch.equal(one.mixture, two.mixture)
        assert torch.equal(one.layers, two.layers)


def test_test_images_limits_what_is_scored(make: type[LayerDataModule]) -> None:
    few = make(test_images=3)  # type: ignore[call-arg]
    few.setup()
    assert [name for batch in few.test_dataloader() for name in batch.ids] == sorted(
        name for batch in few.test_dataloader() for name in batch.ids
    )
    assert sum(len(batch.ids) for batch in few.test_dataloader()) == few.test_count == 3


def stream(data: LayerDataModule) -> Stream:
    """Everything that a run learns from, by id."""
    seen: Stream = {}
    for batch in data.train_dataloader():
        mixed = data.on_after_batch_transfer(batch, 0)
        for i, name in enumerate(mixed.ids):
            assert name not in seen, "a sample repeats"
            seen[name] = (mixed.mixture[i], mixed.layers[i])
    return seen


def same(
    one: dict[str, tuple[torch.Tensor, torch.Tensor]], other: dict[str, tuple[torch.Tensor, torch.Tensor]]
) -> None:
    assert one.keys() == other.keys()
    for name, tensors in one.items():
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(tensors, other[name], strict=True)), name


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker")
@pytest.mark.parametrize("pairing", ["paired", "unpaired"])
def test_training_is_the_same_for_any_workers_ranks_and_after_a_resume(
    make: type[LayerDataModule], pairing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(**options: object) -> LayerDataModule:
        return small(make, pairing=pairing, **options)

    expected = stream(opened())
    assert len(expected) == 8
    same(expected, stream(opened(num_workers=3)))
    shared = {}
    for rank in range(2):
        ranked = opened()
        monkeypatch.setattr(ranked, "_place", lambda rank=rank: (rank, 2))
        shared |= stream(ranked)
    same(expected, shared)
    resumed = opened()
    resumed.load_state_dict({"images_seen": 4})
    same({name: expected[name] for name in list(expected)[4:]}, stream(resumed))
    other = stream(opened(seed=1))
    assert all(not torch.equal(a[0], b[0]) for a, b in zip(expected.values(), other.values(), strict=True))


def test_unpaired_mixtures_and_layers_share_no_scene(make: type[LayerDataModule]) -> None:
    data = make(pairing="unpaired", images=64, batch_size=8, selections=1)  # type: ignore[call-arg]
    data.setup()
    assert data.spec["pairing"] == "unpaired"
    scenes: list[set[str]] = [set(), set()]
    for half, part in enumerate((MIXTURE_SCENES, LAYER_SCENES)):
        for k in range(40):
            name = data.draw("train", k, torch.Generator().manual_seed(k), part).name
            scenes[half] |= set(name.partition("-")[2].split("+"))
    generated = {"leaves", "shoe", "handbag"}  # of these each is a new one
    assert not (scenes[0] & scenes[1]) - generated
    batch = next(iter(data.train_dataloader()))
    mixed = data.on_after_batch_transfer(batch, 0)
    check(mixed, data)
    own = data.on_after_batch_transfer(batch[0], 0).layers
    distance = (own[:, None] - mixed.layers[None]).abs().flatten(3).mean(3)
    assert float(distance.min()) > 1e-4, "a layer of the batch belongs to one of its mixtures"


@pytest.mark.parametrize("layers", [2, 3])
def test_no_unpaired_batch_of_shapes_holds_a_triplet_however_few_the_scenes(layers: int) -> None:
    from datamodules.shapes import Shapes

    data = Shapes(layers=layers, size=32, scenes=6, pairing="unpaired", images=64, batch_size=8, selections=1)
    data.setup()
    for mixtures, foreign in data.train_dataloader():
        own = {name.partition("-")[2] for name in mixtures.ids}
        drawn = [{name.partition("-")[2] for name in sample.ids} for sample in foreign]
        assert len(foreign) == layers
        assert all(not own & others for others in drawn)
        mixed = data.on_after_batch_transfer(UnpairedBatch(mixtures, foreign), 0)
        truth = data.on_after_batch_transfer(mixtures, 0)
        distance = (truth.layers[:, None] - mixed.layers[None]).abs().flatten(3).mean(3)
        assert float(distance.min()) > 1e-5
        assert torch.equal(mixed.mixture, truth.mixture)


def test_the_files_that_data_come_from_exist(data: LayerDataModule) -> None:
    assert all(path.is_file() for path in data.files())


def test_different_samples_differ(data: LayerDataModule) -> None:
    mixtures = [data.on_after_batch_transfer(batch, 0).mixture for batch in data.train_dataloader()]
    flat = torch.cat(mixtures).flatten(1)
    distances = torch.cdist(flat, flat) + torch.eye(len(flat)) * 1e6
    assert float(distances.min()) > 1e-3
