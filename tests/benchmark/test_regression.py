"""The regression gate: a score that moves is seen, and a broken metric moves one."""

from __future__ import annotations

import dataclasses
import types
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmark.errors import UserError
from benchmark.files import read_json
from benchmark.metrics import layer_scores
from benchmark.plan import suite
from benchmark.plan.execution import Execution
from benchmark.results.records import Record
from benchmark.scoring import score
from benchmark.speed import made
from benchmark.training.fit import arguments
from benchmark.training.lightning_cli import UnblendCLI
from benchmark.workflows import bless, regression

pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args parameter")


def record(value: float = 20.0, seed: int = 0) -> Record:
    level = np.array([[value, value + 1]])
    fixed = {"ssim": [[0.5, 0.6]], "lmse": [[0.1, 0.1]], "mse": [[0.01, 0.02]]}
    metrics = {"psnr": level, **{metric: np.array(of) for metric, of in fixed.items()}}
    values = {"rgb@1": {metric: of.astype(np.float32) for metric, of in metrics.items()}}
    scores = made.scores(level)._replace(values=values)
    return dataclasses.replace(made.record(seed=seed, suite="smoke"), scores=scores, ids=("0",))


KEY = "digits/unet/seed0"


def test_bands_are_the_seeds_spread_and_never_narrower_than_hardware() -> None:
    blessed = bless.goldens([record(20, 0), record(21, 1), record(22, 2)], {})
    assert blessed[KEY]["psnr"] == [
        [20, pytest.approx(4.3 * 2**0.5, rel=1e-4)],
        [21, pytest.approx(4.3 * 2**0.5, rel=1e-4)],
    ]
    assert blessed[KEY]["ssim"][0] == [0.5, pytest.approx(0.001 + 0.005 * 0.5)]
    assert list(blessed) == [KEY]


def test_a_score_outside_its_band_is_named() -> None:
    goldens = bless.goldens([record(20, seed) for seed in (0, 1, 2)], {})
    assert regression.check([record()], goldens, [KEY]) == []
    (one, other) = regression.check([record(20.2)], goldens, [KEY])
    assert one == f"{KEY}: psnr of background is 20.2, golden 20 ± 0.12"
    assert "psnr of reflection is 21.2" in other
    bad = dataclasses.replace(record(), scores=made.scores([[float("nan")] * 2]))
    assert regression.check([bad], goldens, [KEY])


def test_what_is_missing_fails() -> None:
    goldens = bless.goldens([record(20, seed) for seed in (0, 1, 2)], {})
    assert regression.check([record()], {}, [KEY]) == [f"{KEY}: no golden value"]
    assert regression.check([], goldens, [KEY]) == [f"{KEY}: no record"]
    assert regression.check([], goldens, []) == [f"{KEY}: a golden value, but no such cell in the suite"]
    one_layer = dataclasses.replace(record(), scores=made.scores([[20.0]]))
    assert "psnr of 1 layers, golden values of 2" in regression.check([one_layer], goldens, [KEY])[0]


def test_kept_bands_need_to_be_there(tmp_path: Path) -> None:
    goldens = bless.goldens([record(20, 0), record(21, 1), record(22, 2)], {})
    moved = bless.goldens([record(25)], goldens)
    assert moved[KEY]["psnr"] == [[25, goldens[KEY]["psnr"][0][1]], [26, goldens[KEY]["psnr"][1][1]]]
    with pytest.raises(UserError, match="1 of 3 seeds"):
        bless.goldens([record(25)], {})
    with pytest.raises(UserError, match="say in a few words"):
        bless.bless("because", tmp_path, None, Console())
    with pytest.raises(UserError, match="no golden values"):
        regression.read(tmp_path / "none.json")
    for reason in ("the first ones", "a better window"):
        bless.save(moved, reason, tmp_path / "goldens.json")
    held = read_json(tmp_path / "goldens.json")
    assert [entry["reason"] for entry in held["log"]] == ["the first ones", "a better window"]
    assert held["cells"] == moved


def test_bands_take_in_what_another_processor_gives_and_golden_scores_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goldens = bless.goldens([record(20, seed) for seed in (0, 1, 2)], {})
    before = {metric: [list(pair) for pair in pairs] for metric, pairs in goldens[KEY].items()}
    assert bless.widened_by([record(20.1)], goldens) == []
    assert goldens[KEY] == before
    named = [f"{KEY} psnr of background", f"{KEY} psnr of reflection"]
    assert bless.widened_by([record(20.5)], goldens) == named
    assert goldens[KEY]["psnr"] == [
        [20, pytest.approx(0.5 * 2**0.5, rel=1e-4)],
        [21, pytest.approx(0.5 * 2**0.5, rel=1e-4)],
    ]
    assert goldens[KEY]["ssim"] == before["ssim"]
    assert regression.check([record(20.5)], goldens, [KEY]) == []
    monkeypatch.setattr(regression, "GOLDENS", tmp_path / "goldens.json")
    monkeypatch.setattr(regression, "measure", lambda *_, **__: [record(22)])
    bless.save(goldens, "the first ones")
    bless.widen("another processor", tmp_path, None, Console())
    held = read_json(tmp_path / "goldens.json")
    assert held["log"][-1]["reason"] == f"another processor; wider: {', '.join(named)}"
    assert held["cells"][KEY]["psnr"][0] == [20, pytest.approx(2 * 2**0.5, rel=1e-4)]
    with pytest.raises(UserError, match="say in a few words"):
        bless.widen("because", tmp_path, None, Console())


def test_every_cell_of_the_suite_has_golden_values() -> None:
    assert set(regression.read()) == {str(cell.path) for cell in suite.load(regression.SUITE)}


# Breaking a metric on purpose, on the rows that need no training


TRIVIAL = [cell for cell in suite.load(regression.SUITE) if cell.method in ("identity", "half_mixture")]


@pytest.fixture(autouse=True)
def unmeasured_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are what matters here, not how long they take."""
    monkeypatch.setattr("benchmark.scoring.cost.measure", lambda method, mixture: {})


def scored(cells: list[suite.Cell], folder: Path) -> list[Record]:
    """Records of cells without training, by the one way to a score."""
    found = []
    for cell in cells:
        execution = Execution(accelerator="cpu")
        cli = UnblendCLI(args=arguments(cell.config, execution, folder, "32-true"), run=False)
        result = score.score_images(cli.model, cli.datamodule, seed=cell.seed, folder=folder, accelerator="cpu")
        assert result is not None
        plain = made.record(cell.method, dataset=cell.dataset, spec=dict(cli.datamodule.spec))
        found.append(dataclasses.replace(plain, scores=result.scores, ids=result.ids))
    return found


def gate(cells: list[suite.Cell], folder: Path) -> list[str]:
    goldens = {str(cell.path): regression.read()[str(cell.path)] for cell in cells}
    return regression.check(scored(cells, folder), goldens, list(goldens))


def test_untouched_metrics_pass(tmp_path: Path) -> None:
    assert {cell.dataset for cell in TRIVIAL} == {"digits", "superimposed", "rain", "reflection", "intrinsic"}
    assert gate(TRIVIAL, tmp_path) == []


BREAKS = {
    "layers swapped": ("layer_scores", "layers = layers[:, : estimates.shape[1]]",
                       "layers = layers[:, : estimates.shape[1]].flip(1)"),
    "range of 255": ("functional", "data_range=1.0", "data_range=255.0"),
    "halved SSIM window": ("functional", 'sizes = {"gaussian": 11, "uniform": 7}',
                           'sizes = {"gaussian": 5, "uniform": 3}'),
    "pooled luma": ("functional", "weights = torch.tensor([65.481, 128.553, 24.966]",
                    "weights = torch.tensor([85.0, 85.0, 85.0]"),
    "no clipping": ("layer_scores", "estimate = estimate.clamp(0, ceiling)", "estimate = estimate + 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_metric_fails_the_gate(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, right, wrong = BREAKS[name]
    path = Path(str(layer_scores.__file__)).with_name(f"{module}.py")
    source = path.read_text()
    assert source.count(right) == 1, "the line that is broken here has moved"
    broken = types.ModuleType(f"benchmark.metrics.{module}")
    exec(compile(source.replace(right, wrong), "broken", "exec"), broken.__dict__)
    if module == "functional":
        monkeypatch.setattr(layer_scores, "functional", broken)
    else:
        monkeypatch.setattr(layer_scores, "score_layers", broken.score_layers)
    failures = gate([cell for cell in TRIVIAL if cell.dataset not in ("superimposed", "intrinsic")], tmp_path)
    assert failures, f"{name} went unseen"
