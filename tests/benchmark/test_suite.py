"""Suites become cells; hashes follow what a result depends on, and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark import catalogue, digests, suite
from benchmark.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def write(path: Path, **value: Any) -> str:
    path.write_text(yaml.safe_dump({"datasets": ["Digits"], "methods": ["UNet"], **value}))
    return str(path)


@pytest.mark.parametrize("name", list(catalogue.suites()))
def test_every_suite_of_the_project_is_valid(name: str) -> None:
    cells = suite.load(name)
    assert cells
    assert len({cell.path for cell in cells}) == len(cells)
    assert {"identity", "half_mixture"} <= {cell.method for cell in cells}, "every table has the trivial rows"


def test_a_row_that_needs_no_seeds_has_one(tmp_path: Path) -> None:
    path = write(tmp_path / "some.yaml", seeds=[0, 1], methods=["UNet", {"name": "Identity", "seeds": [0]}])
    assert [str(cell.path) for cell in suite.load(path)] == [
        "digits/unet/seed0", "digits/unet/seed1", "digits/identity/seed0",
    ]  # fmt: skip


def test_a_suite_is_methods_times_datasets_times_seeds(tmp_path: Path) -> None:
    path = write(
        tmp_path / "s.yaml",
        seeds=[0, 5],
        budget={"images": 640, "batch_size": 8},
        datasets=["Digits", {"name": "Superimposed", "variant": "small", "init_args": {"size": 32}}],
        methods=[{"name": "UNet", "budget": {"images": 1280}}, {"name": "LiGT", "only": ["digits"]}],
    )
    cells = {str(cell.path): cell for cell in suite.load(path)}
    assert set(cells) == {
        f"{row}/seed{seed}" for row in ("digits/unet", "superimposed-small/unet", "digits/ligt") for seed in (0, 5)
    }
    config = cells["superimposed-small/unet/seed5"].config
    assert config["seed_everything"] == 5
    assert config["model"] == {"class_path": "methods.unet.UNet", "init_args": {}}
    assert config["data"]["init_args"] == {"size": 32, "images": 1280, "batch_size": 8}
    assert cells["digits/ligt/seed0"].config["data"]["init_args"]["images"] == 640


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"methods": ["Unet2"]}, "unknown method 'Unet2': did you mean UNet"),
        ({"datasets": ["digit"]}, "unknown dataset 'digit': did you mean Digits"),
        ({"methods": ["nowhere.Method"]}, "there is no module nowhere"),
        ({"method": ["UNet"]}, "unknown key 'method': did you mean methods"),
        ({"methods": [{"name": "UNet", "varient": "x"}]}, "unknown key 'varient': did you mean variant"),
        ({"budget": {"image": 3}, "methods": [{"name": "UNet", "budget": {"image": 3}}]}, "did you mean images"),
        ({"methods": ["UNet", "UNet"]}, "stands twice; give one of them a variant"),
        ({"methods": []}, "names no methods"),
        ({"methods": [{"variant": "x"}]}, "has no name"),
        ({"methods": [{"name": "UNet", "variant": "../../x"}]}, "variant '../../x' cannot name a folder"),
        ({"datasets": [{"name": "Digits", "variant": "/etc"}]}, "variant '/etc' cannot name a folder"),
        ({"seeds": ["../0"]}, "seed '../0' is not a whole number"),
        ({"seeds": []}, r"seeds \[\]: give a list"),
        ({"methods": [{"name": "UNet", "seeds": 1}]}, "method UNet: seeds 1: give a list"),
        ({"datasets": [{"name": "Digits", "seeds": [0]}]}, "dataset: unknown key 'seeds'"),
    ],
)
def test_what_is_wrong_with_a_suite_is_said(tmp_path: Path, value: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        suite.load(write(tmp_path / "s.yaml", **value))


def test_unknown_suites_and_broken_yaml(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown suite 'smok': did you mean smoke"):
        suite.load("smok")
    (tmp_path / "broken.yaml").write_text("methods: [UNet\n")
    with pytest.raises(UserError, match="not valid YAML"):
        suite.load(str(tmp_path / "broken.yaml"))


def copy(folder: Path) -> Path:
    for package in ("benchmark", "methods", "datamodules"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def hashes(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Training and scoring hashes of the smoke suite's cells, in a process that reads the copy."""
    code = (
        "import json, sys; from benchmark import suite; cells = suite.load('smoke');"
        "assert not {'torch', 'lightning', 'sklearn', 'kornia', 'skimage'} & set(sys.modules), 'heavy imports';"
        "print(json.dumps([{c.name: c.fit_hash() for c in cells}, {c.name: c.score_hash('x') for c in cells}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    fit, score = json.loads(done.stdout)
    return fit, score


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name.split(" × ")[1] for name in before if before[name] != after[name]}


def test_one_byte_retrains_or_rescores_what_it_must(tmp_path: Path) -> None:
    folder = copy(tmp_path)
    fit, score = hashes(folder)
    everything = changed(fit, dict.fromkeys(fit, ""))
    for file, retrained, rescored in (
        ("methods/ligt.py", {"ligt"}, {"ligt"}),
        ("methods/networks/patches.py", {"nmf", "fast_ica"}, {"nmf", "fast_ica"}),
        ("methods/networks/unet.py", {"unet"}, {"unet"}),
        ("benchmark/metrics.py", set(), everything),
        ("benchmark/score.py", set(), everything),
        ("benchmark/leaderboard.py", set(), set()),
        ("benchmark/fit.py", everything, everything),
        ("methods/base.py", everything, everything),
        ("datamodules/mixing/rain.py", everything, everything),
    ):
        path = folder / file
        original = path.read_bytes()
        path.write_bytes(original + b"#")
        new_fit, new_score = hashes(folder)
        assert changed(fit, new_fit) == retrained, file
        assert changed(score, new_score) == rescored, file
        path.write_bytes(original)


def test_hashes_cover_the_configuration_but_not_the_place(tmp_path: Path) -> None:
    def hash_of(**value: Any) -> str:
        return suite.load(write(tmp_path / "s.yaml", **value))[0].fit_hash()

    assert hash_of() == hash_of()
    different = {
        hash_of(),
        hash_of(seeds=[1]),
        hash_of(precision="bf16-mixed"),
        hash_of(budget={"images": 64}),
        hash_of(budget={"batch_size": 64}),
        hash_of(methods=[{"name": "UNet", "init_args": {"width": 8}}]),
        hash_of(datasets=[{"name": "Digits", "init_args": {"source": "mnist"}}]),
    }
    assert len(different) == 7
    first = suite.load(write(tmp_path / "s.yaml"))[0]
    assert first.score_hash("one") != first.score_hash("two")
    assert first.fit_hash() == suite.load(write(tmp_path / "other.yaml"))[0].fit_hash()


def test_data_are_known_by_content(tmp_path: Path) -> None:
    file, note = tmp_path / "images.bin", tmp_path / "data.json"
    file.write_bytes(b"abc")
    digest = digests.write_data_digest(note, [file])
    assert digests.read_data_digest(note) == digest
    file.write_bytes(b"abc")  # touched, not changed
    assert digests.read_data_digest(note) == digest
    file.write_bytes(b"abd")
    assert digests.read_data_digest(note) is None
    assert digests.write_data_digest(note, [file]) != digest
    file.unlink()
    assert digests.read_data_digest(note) is None
    assert digests.read_data_digest(tmp_path / "nothing.json") is None
