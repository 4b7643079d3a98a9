"""The floor that methods are measured against, and the front of all measurements."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.plan import catalogue
from benchmark.reports.documents import overview
from benchmark.speed.__main__ import MODULES, NAMES, main
from benchmark.speed.networks import bare, sizes
from benchmark.speed.rows import Row, by_turns, quotients, row, show

ROOT = Path(__file__).resolve().parents[2]


def flops(call: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def test_the_floor_is_every_convolution_and_product_of_a_step() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.ConvTranspose2d(4, 2, 2, 2), nn.Flatten(),
        nn.Linear(512, 5),
    )  # fmt: skip
    optimizer = torch.optim.Adam(network.parameters())
    image = torch.rand(2, 3, 8, 8)

    def step() -> None:
        optimizer.zero_grad()
        network(image).square().mean().backward()
        optimizer.step()

    run = bare.floor(step)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first, second, last = (2 * 2 * products for products in (8 * 8 * 9 * 3 * 4, 8 * 8 * 4 * 4 * 2, 512 * 5))
    assert flops(run) == 2 * first + 3 * second + 3 * last  # the image needs no gradient
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_floor_sees_through_fused_transformer_layers() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True).eval()
    tokens = torch.rand(3, 7, 16)
    with torch.no_grad():
        run = bare.floor(lambda: layer(tokens))
    assert torch.backends.mha.get_fastpath_enabled()
    linear, attention = 2 * 3 * 7 * (3 * 16 * 16 + 16 * 16 + 2 * 16 * 32), 2 * 2 * 3 * 7 * 7 * 16
    assert flops(run) == linear + attention


@pytest.mark.parametrize(
    "tensor",
    [
        torch.rand(2, 3, 5, 4).contiguous(memory_format=torch.channels_last),
        torch.rand(3, 1).expand(3, 6),
        torch.rand(6, 8)[::2, 1:5],
        torch.zeros(0, 4),
        torch.arange(3),
    ],
)
def test_a_stand_in_is_laid_out_as_the_tensor(tensor: Tensor) -> None:
    made = bare.Layout(tuple(tensor.shape), tensor.stride(), tensor.dtype).make()
    assert (made.shape, made.stride(), made.dtype) == (tensor.shape, tensor.stride(), tensor.dtype)
    assert torch.isfinite(made).all()


def test_cases_alternate_and_warm_up_does_not_count() -> None:
    called: list[str] = []
    times = by_turns({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, 4, warm_up=2)
    assert called == ["a", "b"] * 6
    assert {name: len(values) for name, values in times.items()} == {"a": 4, "b": 4}
    assert len(by_turns({"a": lambda: None}, 9, seconds=0.0)["a"]) == 3


def test_a_row_tells_whether_its_target_is_met(capsys: pytest.CaptureFixture[str]) -> None:
    made = row("ratio", quotients([2.0, 4.0, 9.0], [2.0, 2.0, 3.0]), at_most=2.5)
    assert (made.figure, made.quartiles, made.met) == (2.0, (1.5, 2.5), True)
    assert Row("times", 49.9, at_least=50).met is False
    assert Row("time", 3.0, "ms").met is None
    show({"part": [made, Row("times", 49.9, at_least=50)]})
    shown = capsys.readouterr().out
    assert "2.000 ×" in shown
    assert "≤ 2.5 ×  met" in shown
    assert "≥ 50 ×  MISSED" in shown


def test_every_name_is_a_module_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for module in MODULES:
        assert importlib.util.find_spec(f"benchmark.speed.{module}") is not None
    for name, what in NAMES.items():
        assert name in shown
        assert what in shown
    others = {"__init__", "__main__", "bare", "chart", "made", "rows", "profile", "sizes"}
    assert {path.stem for path in (ROOT / "benchmark" / "speed").rglob("*.py")} == {*NAMES, *others}


def test_an_unknown_name_is_one_clear_line() -> None:
    command = [sys.executable, "-m", "benchmark.speed", "lmze"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "benchmark.speed: error: unknown measurement 'lmze': did you mean lmse?\n"
    assert not ended.stdout


def test_what_cannot_be_measured_does_not_stop_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def apart(name: str) -> list[Row]:
        if name == "lmse":
            raise RuntimeError("no window")
        return [Row("other", 1.0)]

    monkeypatch.setattr("benchmark.speed.__main__.apart", apart)
    assert main(["lmse", "scoring"]) == 1
    shown = capsys.readouterr()
    assert "other" in shown.out
    assert "no window" in shown.err
    assert "not measured: lmse" in shown.err


STATED = overview.sizes()


@pytest.mark.parametrize("name", ["DDN", "AODNet", "PReNet", "NAFNet"])
def test_the_sizes_of_small_networks_are_what_they_have(name: str) -> None:
    found = sizes.size(catalogue.methods()[name])
    assert found is not None
    assert (STATED[name]["parameters"], STATED[name]["macs"]) == (found.parameters, found.macs)
    assert found.parameters == pytest.approx(sizes.AUTHORS[name], rel=0.01)


@pytest.mark.slow("test_the_sizes_of_small_networks_are_what_they_have")
def test_the_sizes_of_networks_are_what_they_have() -> None:
    for entry in catalogue.methods().values():
        if found := sizes.size(entry):
            assert STATED[entry.name]["parameters"] == found.parameters


def test_sizes_stand_beside_those_of_the_authors_layers() -> None:
    assert {name: held["authors"] for name, held in STATED.items() if held["authors"]} == sizes.AUTHORS
    trained = {
        name for name, entry in catalogue.methods().items() if entry.card["supervision"] in ("paired", "unpaired")
    }
    assert set(STATED) == trained


def test_only_the_table_can_be_made_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "index.md"
    page.write_text(f"before\n{overview.BEGIN}\nold\n{overview.END}\nafter\n")
    monkeypatch.setattr(overview, "PAGE", page)
    monkeypatch.setattr(sizes, "size", lambda entry: pytest.fail("nothing is to be counted"))
    sizes.main(["--table"])
    assert page.read_text().startswith(f"before\n{overview.BEGIN}\n| method |")
    assert page.read_text().endswith(f"{overview.END}\nafter\n")
