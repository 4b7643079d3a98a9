"""How functions become commands, what the commands were called before, and what `doctor` names."""

from __future__ import annotations

import re
import tomllib
from argparse import ArgumentError
from pathlib import Path
from typing import Any, Literal

import pytest

from benchmark.commands import bench, doctor, lightning, maintain, new, parser, results
from benchmark.commands import main as cli
from benchmark.commands.old_names import OLD, translated
from benchmark.errors import unknown
from benchmark.plan import catalogue, precision
from benchmark.plan.execution import Execution
from benchmark.running.machine import Machine
from benchmark.running.slurm import Slurm

ROOT = Path(__file__).resolve().parents[2]

Called = list[dict[str, Any]]


def calls_of(monkeypatch: pytest.MonkeyPatch, name: str) -> Called:
    """What a function, which is not run, is called with."""
    found: Called = []

    def note(*arguments: Any, **named: Any) -> bool:
        found.append({**dict(enumerate(arguments)), **named})
        return True

    monkeypatch.setattr(name, note)
    return found


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a wrong call ends in."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    return next(line for line in capsys.readouterr().err.splitlines() if line.startswith("unblend: error: "))


# Help


@pytest.mark.parametrize("command", [*cli.COMMANDS, *OLD])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: ")
    assert "--help" in text


def test_help_is_the_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["bench", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("usage: unblend bench SUITE [--OPTION …] Run a suite, resume it, and write its leaderboard")
    assert "failed: run again what failed, whatever the reason, and nothing else." in text
    for kind in (Machine, Execution):  # theirs are the words, too
        for name, words in re.findall(r"^        (\w+): (.+)$", str(kind.__doc__), re.M):
            if name not in Execution.DECIDED or kind is Machine:
                assert f"--{name} " in text
                assert words in text
    assert text.count("--threads ") == 1
    assert "--nodes" not in text


def test_every_sentence_of_the_help_is_whole() -> None:
    lines = [line for line in cli.help_text().splitlines() if line.startswith("  ")]
    assert len(lines) == len(cli.COMMANDS) == 21
    assert all(line.endswith((".", "?")) for line in lines)
    text = cli.help_text()
    for words in ("bench SUITE", "leaderboard [FOLDER]", "separate IMAGE…", "accept [COMPONENT…]", "new KIND NAME"):
        assert f"\n  {words} " in text


# Parsing


def example(
    name: str,
    others: list[str] | None = None,
    *,
    kind: Literal["a", "b"] = "a",
    some: list[str] | None = None,
    from_: str | None = None,
    loud: bool = False,
    options: dict[str, Any] | None = None,
    machine: Machine,
    execution: Execution,
) -> None:
    """Do it.

    Args:
        name: of 100 % of it.
    """
    seen.append(dict(locals()))


seen: list[dict[str, Any]] = []


def parsed(*arguments: str) -> dict[str, Any]:
    seen.clear()
    parser.run("example", example, list(arguments))
    return seen.pop()


def test_a_signature_is_what_a_command_takes() -> None:
    plain = parsed("x")
    assert plain["machine"] == Machine()
    assert plain["execution"] == Execution()
    assert (plain["others"], plain["kind"], plain["some"], plain["loud"]) == ([], "a", None, False)
    full = parsed(
        "x", "y", "z", "--kind=b", "--some", "--from", "p", "--loud", "--options", "{width: 8, deep: [1]}", "--jobs=2",
        "--threads=3", "--slurm.partition=gpu", "--slurm.time=9", "--compile=true", "--logger", "wandb",
    )  # fmt: skip
    assert full["others"] == ["y", "z"]
    assert (full["kind"], full["some"], full["from_"], full["loud"]) == ("b", [], "p", True)
    assert full["options"] == {"width": 8, "deep": [1]}
    assert full["machine"] == Machine(jobs=2, threads=3, slurm=Slurm(partition="gpu", time=9))
    assert full["execution"] == Execution(compile=True, logger="wandb")  # its threads are the machine's affair
    assert parsed("x", "--some", "1", "2")["some"] == ["1", "2"]
    with pytest.raises(ArgumentError, match="name"):
        parsed()
    with pytest.raises(ArgumentError, match="unrecognized arguments: --nodes"):
        parsed("x", "--nodes=2")
    with pytest.raises(ArgumentError, match="kind"):
        parsed("x", "--kind=c")


@pytest.mark.parametrize("options", ["--time_limit 5 --num_workers=2", "--time-limit 5 --num-workers=2"])
def test_hyphens_stand_for_underscores(options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = calls_of(monkeypatch, "benchmark.workflows.sweep.sweep")
    cli.main(["bench", "smoke", *options.split()])
    assert calls[0][3] == Execution(time_limit=5, num_workers=2)


def test_hyphens_stand_for_underscores_in_lightnings_options_and_stay_in_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = calls_of(monkeypatch, "benchmark.commands.lightning.UnblendCLI")
    cli.main(["fit", "--model", "UNet", "--data=Digits", "--data.batch-size=8", "--data.root", "a-b", "-h"])
    assert calls[0]["args"] == [
        "fit", "--model", "methods.unet.UNet", "--data", "datamodules.digits.Digits", "--data.batch_size=8",
        "--data.root", "a-b", "-h",
    ]  # fmt: skip


# Names that nobody knows


def test_only_what_is_near_is_suggested() -> None:
    suites = ["intrinsic", "quick", "smoke", "rain", "rain-paper"]
    for name, near in (
        ("quik", "quick"), ("smok", "smoke"), ("intrinsics", "intrinsic"), ("rainy", "rain"), ("QUICK", "quick")
    ):  # fmt: skip
        assert str(unknown("suite", name, suites)) == f"unknown suite {name!r}: did you mean {near}?"
    assert str(unknown("precision", "bf16", ["bf16-mixed", "bf16-true", "32-true"])).endswith(
        "did you mean bf16-true or bf16-mixed?"  # names that it begins are near, too
    )
    assert str(unknown("suite", "nosuch", suites)) == (
        "unknown suite 'nosuch': there are intrinsic, quick, rain, rain-paper, smoke."
    )


def test_of_many_names_ten_are_listed() -> None:
    many = [f"name{number:02}" for number in range(30)]
    assert str(unknown("name", "zzz", many)).endswith("name08, name09 and 20 more.")
    assert str(unknown("name", "zzz", many[:11])).endswith("name09, name10.")


def test_no_old_name_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(["retri"], capsys).startswith("unblend: error: unknown command 'retri': there are accept, bench")
    assert "did you mean" not in told(["bench", "nosuch"], capsys)


# Old names


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("retry quick --jobs 2", "bench quick --jobs 2 --only=failed"),
        ("join --model M --suite quick --images 9 --options {width:8}", "bench quick --model M --images 9 "
         "--options {width:8}"),
        ("join --suite=q.yaml --model=M --variant wide", "bench q.yaml --model=M --variant wide"),
        ("join --suite quick", "bench quick --model"),
        ("evaluate --config c.yaml --checkpoint b.ckpt --out r", "test --config c.yaml --checkpoint b.ckpt --out r"),
        ("paper", "leaderboard --paper"),
        ("paper dmgn-1 --runs r", "leaderboard --runs=r --paper dmgn-1"),
        ("paper --all", "leaderboard --paper all"),
        ("verify", "doctor --data"),
        ("verify --root r rain100l rain100h", "doctor --root=r --data rain100l rain100h"),
        ("verify --statistics Rain --out o", "doctor --statistics=Rain --out=o"),
        ("bless --reason=why --keep-bands --jobs 2", "regression --keep-bands --jobs 2 --update=why"),
        ("bless", "regression --update"),
        ("ship runs/q/cells/rain/unet/seed0 --as rain/unet",
         "publish runs/q --weights=runs/q/cells/rain/unet/seed0 --as=rain/unet"),
        ("ship", "publish"),
        ("new-method MyNet --folder f", "new method MyNet --folder f"),
        ("bench quick", "bench quick"),
    ],
)  # fmt: skip
def test_an_old_name_says_what_it_is_now(before: str, now: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert translated(before.split()) == now.split()
    said = capsys.readouterr().err
    if before == now:
        assert said == ""
    else:
        assert said.count("\n") == 1
        assert said.startswith(f"unblend: note: '{before.split()[0]}")
        assert f"is now '{now.split()[0]}" in said
        assert said.endswith("the old name goes with the next release\n")


def test_old_names_do_what_the_new_ones_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r/cells/rain/unet/seed0").mkdir(parents=True)
    monkeypatch.setattr("benchmark.results.collection.everything", lambda runs: [str(runs)])
    pairs = [
        ("benchmark.workflows.sweep.sweep", "retry smoke --jobs 2", "bench smoke --only failed --jobs=2"),
        ("benchmark.workflows.join.join", "join --suite quick --model UNet --images 9 --options {'width':8} --runs r",
         "bench quick --model UNet --images 9 --options {'width':8} --runs r"),
        ("benchmark.reports.published.show", "paper dmgn-1 --runs r", "leaderboard --paper dmgn-1 --runs r"),
        ("benchmark.commands.doctor.check_data", "verify rain100l --root r", "doctor --data rain100l --root r"),
        ("benchmark.commands.doctor.compare_with_the_world", "verify --statistics Rain", "doctor --statistics Rain"),
        ("benchmark.workflows.bless.bless", "bless --reason why --keep-bands", "regression --update why --keep_bands"),
        ("benchmark.commands.maintain._ship", "ship r/cells/rain/unet/seed0 --as rain/u",
         "publish r --weights rain/unet/seed0 --as rain/u"),
        ("benchmark.commands.new.write", "new-method MyNet", "new method MyNet"),
    ]  # fmt: skip
    for name, before, now in pairs:
        with monkeypatch.context() as patch:
            calls = calls_of(patch, name)
            if name.endswith("write"):
                patch.setattr(name, lambda *arguments, calls=calls: calls.append(dict(enumerate(arguments))) or [])
            cli.main(before.split())
            cli.main(now.split())
        first, second = ({key: value for key, value in call.items() if not is_console(value)} for call in calls)
        if name.endswith("sweep"):  # cells are compared by identity
            first[0], second[0] = ([cell.path for cell in call[0]] for call in (first, second))
        assert first == second
        assert first, name
        assert capsys.readouterr().err.count("unblend: note: ") == 1


def is_console(value: Any) -> bool:
    return type(value).__name__ == "Console"


def test_test_is_what_evaluate_was(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = calls_of(monkeypatch, "benchmark.commands.lightning.ScoringCLI.__init__")
    for name in ("evaluate", "test"):
        with pytest.raises(TypeError, match="should return None"):
            cli.main([name, "--model", "Identity", "--data", "Digits", "--out", "r"])
    first, second = (call["args"] for call in calls)
    assert first == second
    assert first[:4] == ["--model", "methods.identity.Identity", "--data", "datamodules.digits.Digits"]


def test_an_own_method_alone_runs_through_a_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = calls_of(monkeypatch, "benchmark.workflows.join.join")
    own = ["--model", "UNet", "--variant", "wide", "--options", "{width: 8}", "--images", "9"]
    cli.main(["bench", "quick", *own, "--jobs", "1"])
    name, row, runs, machine, execution, _ = (calls[0][place] for place in range(6))
    assert (name, runs, machine, execution) == ("quick", Path("runs"), Machine(jobs=1), Execution())
    assert row == {"name": "UNet", "init_args": {"width": 8}, "variant": "wide"}
    assert (calls[0]["images"], calls[0]["failed_only"]) == (9, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("bench quick --images 9", "--images 9: it is of your own method: name that with --model."),
        ("bench quick --variant wide", "--variant wide: it is of your own method"),
        ("publish runs/quick --weights rain/unet/seed0", "give --weights CELL and --as TASK/NAME together"),
        ("ship x --as y", "x is no folder of a cell: give one such as"),
        ("regression --keep_bands", "--keep_bands goes with --update REASON"),
        ("regression --update why --widen why", "--widen stands alone"),
        ("bless --keep-bands", "argument --update: expected one argument"),
        ("join --suite quick", "argument --model: expected one argument"),
        ("leaderboard --paper dmgn", "unknown table 'dmgn': did you mean dmgn-"),
        ("new thing MyNet", "method"),
    ],
)
def test_options_that_belong_together(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in told(arguments.split(), capsys)


def test_every_old_name_leads_to_a_command() -> None:
    assert {translate([])[0] for _, _, translate in OLD.values()} <= set(cli.COMMANDS)
    assert not OLD.keys() & cli.COMMANDS.keys()
    for module in (bench, doctor, lightning, maintain, results, new):
        assert module.__doc__


# The doctor


def test_the_doctor_names_every_dependency_and_the_units(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("methods.discover", lambda: {})
    monkeypatch.setattr(precision, "low_precision_units", lambda: ["amx_bf16", "avx512_bf16"])
    cli.main(["doctor", "--root", str(tmp_path / "none")])
    said = capsys.readouterr().out
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        name = re.split(r"[\[<>=!~ ]", requirement)[0]
        assert re.search(rf"^{re.escape(name)} +\d", said, re.M), name
    assert "low precision   amx_bf16, avx512_bf16\n" in said
    assert f"data            none: {tmp_path / 'none'} is no folder" in said
    monkeypatch.setattr(precision, "low_precision_units", list)
    monkeypatch.setattr(doctor, "_required", lambda: ["torch>=999", "no-such-package>=1"])
    with pytest.raises(SystemExit):
        cli.main(["doctor"])
    said = capsys.readouterr().out
    assert "low precision   no units for bfloat16" in said
    assert re.search(r"^torch +\d.*, wanted >=999$", said, re.M)
    assert re.search(r"^no-such-package +not installed, wanted >=1$", said, re.M)


# New files


@pytest.mark.slow("test_the_new_data_set_is_the_one_that_contributing_shows")
def test_a_new_data_set_is_written_and_keeps_its_promises(unblend: Any, tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    environment = {"PYTHONPATH": str(ROOT)}
    done = unblend("new", "data", "MyMattes", cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert "python -m pytest test_my_mattes.py" in done.stdout
    assert "unblend show my_mattes.MyMattes" in done.stdout
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_mattes.py"],
        cwd=tmp_path, env={**os.environ, **environment, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout
    shown = unblend("show", "my_mattes.MyMattes", "--rows", "1", "--size", "32", cwd=tmp_path, **environment)
    assert shown.returncode == 0, shown.stderr
    assert (tmp_path / "runs/show/my_mattes.png").is_file()


def test_the_new_data_set_is_the_one_that_contributing_shows() -> None:
    template = (ROOT / "benchmark/commands/templates/data.py.txt").read_text()
    example = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)[1]
    body = example.partition("class Mattes")[2].partition('"""')[2].partition('"""')[2]
    assert body.strip() in template


def test_names_of_new_data_sets_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert "the project has a data set of this name" in told(["new", "data", "Rain"], capsys)
    assert "Rain" in catalogue.datasets()
