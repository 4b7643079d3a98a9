"""Scores of a test set: the assignment, several protocols at once, what is gathered, and means."""

from __future__ import annotations

import ast
import math
import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark import metrics
from benchmark.errors import UserError
from benchmark.metrics import functional
from benchmark.metrics.layer_scores import LayerScores, score_layers
from benchmark.metrics.protocols import PROTOCOLS, protocol

ROOT = Path(__file__).resolve().parents[3]
EVERYWHERE = torch.ones(1, 1, 30, 34, dtype=torch.bool)


def pictures(count: int, layers: int, channels: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Estimates and layers (count, layers, channels, 30, 34); the estimates are shuffled and noisy."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(count, layers, channels, 30, 34, generator=generator)
    noise = torch.rand(count, layers, 1, 1, 1, generator=generator) * torch.randn(truth.shape, generator=generator)
    shuffled = [one[torch.randperm(layers, generator=generator)] for one in truth]
    return torch.stack(shuffled) + noise, truth


def gathered(expected: int | None, *indices: list[int]) -> metrics.Scores:
    """Scores of random images with these indices, a list for each batch."""
    scores = LayerScores(["rgb"], ordered=True, expected=expected)
    for batch in indices:
        estimates, layers = pictures(len(batch), 2)
        scores.update(estimates, layers, EVERYWHERE.expand(len(batch), -1, -1, -1), torch.tensor(batch))
    return scores.compute()


@pytest.mark.parametrize("layers", [2, 3, 4])
@pytest.mark.parametrize("name", ["rgb", "rgb-uniform", "y", "intrinsic"])
def test_the_assignment_has_the_best_mean_psnr_of_all_permutations(layers: int, name: str) -> None:
    estimates, truth = pictures(6, layers, seed=layers)
    mask = EVERYWHERE.expand(6, -1, -1, -1)
    order, _ = score_layers(estimates, truth, mask, [protocol(name)], ordered=False)
    assert len({tuple(row) for row in order.tolist()}) > 1
    for b in range(6):
        means = {}
        for places in permutations(range(layers)):
            shuffled = estimates[b : b + 1, list(places)]
            _, values = score_layers(shuffled, truth[b : b + 1], mask[:1], [protocol(name)], ordered=True)
            means[places] = float(values[0, 0, 0].mean())
        assert means[tuple(order[b].tolist())] == max(means.values())


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_equal_estimates_keep_their_places(layers: int) -> None:
    _, truth = pictures(5, layers)
    estimates = truth.mean(1, keepdim=True).expand_as(truth)
    order, _ = score_layers(estimates, truth, EVERYWHERE.expand(5, -1, -1, -1), [protocol("rgb")], ordered=False)
    assert order.tolist() == [list(range(layers))] * 5


@pytest.mark.parametrize("own", ["rgb", "rgb-uniform", "y"])
def test_protocols_together_give_what_each_gives_alone(own: str) -> None:
    estimates, truth = pictures(3, 2)
    mask = torch.rand(3, 1, 30, 34, generator=torch.Generator().manual_seed(1)) < 0.8
    names = metrics.stored_for(own, 3)
    order, together = score_layers(estimates, truth, mask, [protocol(name) for name in names], ordered=False)
    own_order, _ = score_layers(estimates, truth, mask, [protocol(own)], ordered=False)
    assert torch.equal(order, own_order)
    assigned = estimates.gather(1, order.view(3, 2, 1, 1, 1).expand_as(truth))
    for p, name in enumerate(names):
        _, alone = score_layers(assigned, truth, mask, [protocol(name)], ordered=True)
        assert torch.equal(together[:, p], alone[:, 0])


def test_uniform_windows_change_only_what_they_should() -> None:
    estimates, truth = pictures(2, 1)
    names = ["rgb", "rgb-uniform", "y", "y-uniform"]
    protocols = [protocol(name) for name in names]
    _, values = score_layers(estimates, truth, EVERYWHERE.expand(2, -1, -1, -1), protocols, ordered=True)
    rgb, uniform, luma, luma_uniform = (
        dict(zip(metrics.METRICS, row.unbind(1), strict=True)) for row in values.unbind(1)
    )
    for metric in ("lmse", "mse"):
        assert torch.equal(rgb[metric], uniform[metric])
        assert torch.equal(luma[metric], luma_uniform[metric])
        assert (rgb[metric] != luma[metric]).all()
    assert torch.equal(luma["psnr"], luma_uniform["psnr"])
    assert (rgb["psnr"] != uniform["psnr"]).all()
    expected = functional.ssim(
        *(functional.luma(image[:, 0]) for image in (estimates.clamp(0, 1), truth)), None, "uniform"
    )
    assert torch.equal(luma_uniform["ssim"][:, 0], expected)


def test_what_is_stored_for_a_task() -> None:
    assert metrics.stored_for("rgb", 3) == ("rgb@1", "rgb-uniform@1", "y@1", "y-uniform@1")
    assert metrics.stored_for("y@1", 3) == ("y@1", "rgb@1", "rgb-uniform@1", "y-uniform@1")
    assert metrics.stored_for("rgb", 1) == ("rgb@1", "rgb-uniform@1")
    assert metrics.stored_for("intrinsic", 3) == ("intrinsic@1",)
    with pytest.raises(UserError, match="unknown protocol 'rgb@7': there are rgb@1, "):
        metrics.stored_for("rgb@7", 3)


def test_every_metric_and_protocol_is_told() -> None:
    assert metrics.METRICS == ("psnr", "ssim", "lmse", "mse")
    assert [name for name, scale in metrics.SCALES.items() if scale.higher_is_better] == ["psnr", "ssim"]
    assert metrics.SCALES["psnr"].heading == "PSNR (dB)"
    for name, how in PROTOCOLS.items():
        assert how.name == name
        assert protocol(name) is protocol(name.partition("@")[0]) is how
        assert how.meaning.endswith(".")


def test_scores_are_sorted_by_index() -> None:
    sorted_ones, others = gathered(5, [0, 1], [2, 3, 4]), gathered(None, [7, 8], [1, 30, 2])
    order = [2, 4, 0, 1, 3]  # of the second one's rows: indices 1, 2, 7, 8, 30
    for metric in metrics.METRICS:
        assert sorted_ones.of(metric).dtype == np.float32
        assert np.array_equal(others.of(metric), sorted_ones.of(metric)[order])
    assert sorted_ones.assignment.tolist() == [[0, 1]] * 5
    assert sorted_ones.assignment.dtype == np.int8


@pytest.mark.parametrize(
    ("expected", "indices", "message"),
    [
        (4, [[0, 1], [2]], "4 images, but 3 rows for 3 of them: each needs one row; 0 are there again, 1 are missing"),
        (3, [[0, 1], [1, 2]], "3 images, but 4 rows for 3 of them: each needs one row; 1 are there again, 0 are"),
        (None, [[5], [5]], "1 images, but 2 rows for 1"),
        (3, [[0, 1, 3]], "3 images, but 3 rows for 3 of them: each needs one row; 0 are there again, 1 are missing"),
    ],
)
def test_a_row_twice_or_missing_is_an_error(expected: int | None, indices: list[list[int]], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        gathered(expected, *indices)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_row_at_all_is_an_error_and_a_reset_forgets() -> None:
    scores = LayerScores(["rgb"], ordered=True)
    with pytest.raises(RuntimeError, match="0 images"):
        scores.compute()
    estimates, layers = pictures(2, 2)
    mask = EVERYWHERE.expand(2, -1, -1, -1)
    scores.update(estimates, layers, mask, torch.arange(2))
    first = scores.compute()
    scores.reset()
    scores.update(estimates.flip(0), layers.flip(0), mask, torch.tensor([1, 0]))
    assert np.array_equal(scores.compute().of("psnr"), first.of("psnr"))
    with pytest.raises(ValueError, match="2 images with indices"):
        scores.update(estimates, layers, mask, torch.arange(3))


def test_means_and_the_pooled_error() -> None:
    scores = LayerScores(metrics.stored_for("rgb", 3), ordered=True)
    estimates, layers = pictures(6, 3)
    scores.update(estimates[:, :2], layers, EVERYWHERE.expand(6, -1, -1, -1), torch.arange(6))
    found = scores.compute()
    assert found.protocols == ("rgb@1", "rgb-uniform@1", "y@1", "y-uniform@1")
    error = (estimates[:, :2].clamp(0, 1) - layers[:, :2]).double() ** 2
    psnr = -10 * error.mean((2, 3, 4)).log10()
    assert found.mean("psnr") == pytest.approx(float(psnr.mean()), abs=1e-5)
    assert found.mean("psnr", "rgb", [1]) == pytest.approx(float(psnr[:, 1].mean()), abs=1e-5)
    assert found.layer_means("psnr") == pytest.approx(psnr.mean(0).tolist(), abs=1e-5)
    pooled = -10 * error.mean((0, 2, 3, 4)).log10()
    assert found.pooled_psnr() == pytest.approx(float(pooled.mean()), abs=1e-5)
    assert found.pooled_psnr("rgb@1", [0]) == pytest.approx(float(pooled[0]), abs=1e-5)
    assert found.pooled_psnr() < found.mean("psnr") - 0.5
    luma = [functional.luma(image.flatten(0, 1)) for image in (estimates[:, :2].clamp(0, 1), layers[:, :2])]
    error = ((luma[0] - luma[1]).double() ** 2).view(6, 2, -1)
    assert found.pooled_psnr("y") == pytest.approx(float((-10 * error.mean((0, 2)).log10()).mean()), abs=1e-4)
    with pytest.raises(KeyError, match="intrinsic"):
        found.mean("psnr", "intrinsic")


def test_the_pooled_error_of_perfect_images_is_capped() -> None:
    scores = LayerScores(["rgb"], ordered=True)
    _, layers = pictures(2, 1)
    scores.update(layers, layers, EVERYWHERE.expand(2, -1, -1, -1), torch.arange(2))
    assert scores.compute().pooled_psnr() == scores.compute().mean("psnr") == 100
    assert math.isfinite(scores.compute().mean("lmse"))


@pytest.mark.slow("test_scores_are_sorted_by_index")
def test_one_two_and_three_processes_give_the_same_bytes(tmp_path: Path) -> None:
    """Of an odd number of images, and of so few that a process has none."""
    script = Path(__file__).with_name("gather.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([sys.executable, str(script), str(rank), str(tmp_path)], env=environment) for rank in range(3)
    ]
    assert [process.wait(timeout=400) for process in processes] == [0, 0, 0]
    for case, count in (("seven", 7), ("grey", 9), ("two", 2)):
        files = sorted(tmp_path.glob(f"{case}-*.npz"))
        assert len(files) == 6
        first, *others = (dict(np.load(file)) for file in files)
        assert all(len(array) == count for array in first.values())
        assert len(np.unique(first["rgb@1-psnr"])) == 2 * count
        for other in others:
            assert first.keys() == other.keys()
            assert all(first[name].tobytes() == other[name].tobytes() for name in first)


def test_names_need_no_torch() -> None:
    code = (
        "import sys, benchmark.metrics, benchmark.metrics.scores; "
        "assert not {'torch', 'torchmetrics', 'lightning', 'scipy', 'skimage'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_metrics_know_neither_methods_nor_data() -> None:
    for path in sorted((ROOT / "benchmark/metrics").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            ours = {name for name in names if name.partition(".")[0] in ("benchmark", "methods", "datamodules")}
            assert all(name == "benchmark.errors" or name.startswith("benchmark.metrics") for name in ours), path
