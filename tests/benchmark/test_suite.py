"""Suites become cells; keys follow the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.errors import UserError
from benchmark.plan import catalogue, names, suite


def write(path: Path, **value: Any) -> str:
    path.write_text(yaml.safe_dump({"datasets": ["Digits"], "methods": ["UNet"], **value}))
    return str(path)


@pytest.mark.parametrize("name", list(catalogue.suites()))
def test_every_suite_of_the_project_is_valid(name: str) -> None:
    cells = suite.load(name)
    assert cells
    assert len({cell.path for cell in cells}) == len(cells)
    methods = {cell.method for cell in cells}
    assert "identity" in methods, "every table has the trivial row"
    # The share is an answer only where all layers are alike.
    alike = {"Digits", "Superimposed", "Shapes", "ShoesHandbags"}
    classes = {cell.config["data"]["class_path"].rpartition(".")[2] for cell in cells}
    assert "half_mixture" in methods or not classes & alike


def test_a_suite_is_not_called_like_the_store(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a suite cannot be called store: that is the folder of all cells"):
        suite.load(write(tmp_path / "store.yaml"))


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
        ({"methods": ["UNet", "UNet"]}, "stands twice; give one of them another variant"),
        (
            {"methods": [{"name": "UNet", "variant": "Two, wide"}, {"name": "UNet", "variant": "two wide"}]},
            "digits × unet-two-wide × seed 0 stands twice",
        ),
        (
            {"methods": [{"name": "UNet", "only": ["digit"]}]},
            "only of UNet: unknown data set 'digit': did you mean digits",
        ),
        ({"methods": []}, "names no methods"),
        ({"methods": [{"variant": "x"}]}, "has no name"),
        ({"methods": [{"name": "UNet", "variant": "../.."}]}, r"method UNet: variant '../..' cannot name a folder"),
        ({"datasets": [{"name": "Digits", "variant": "日本"}]}, "variant '日本' cannot name a folder"),
        (
            {"datasets": [{"name": "Digits", "variant": 2}]},
            "dataset Digits: variant 2: give a text of at most 100 signs",
        ),
        ({"datasets": [{"name": "Digits", "variant": "a\nb"}]}, "give a text of at most 100 signs in one line"),
        ({"seeds": ["../0"]}, "seed '../0' is not a whole number"),
        ({"seeds": []}, r"seeds \[\]: give a list"),
        ({"methods": [{"name": "UNet", "seeds": 1}]}, "method UNet: seeds 1: give a list"),
        ({"datasets": [{"name": "Digits", "seeds": [0]}]}, "dataset: unknown key 'seeds'"),
    ],
)
def test_what_is_wrong_with_a_suite_is_said(tmp_path: Path, value: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        suite.load(write(tmp_path / "s.yaml", **value))


def test_a_key_that_stands_twice_is_refused_but_for_what_is_merged(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("seeds: [0]\ndatasets: [Digits]\nmethods: [UNet]\nseeds: [1]\n")
    with pytest.raises(UserError, match=r"s\.yaml: not valid YAML: seeds stands twice .*line 4"):
        suite.load(path)
    rows = "[&first {name: UNet, seeds: [1]}, &second {<<: *first, seeds: [2], variant: b}, {<<: *second, variant: c}]"
    path.write_text(f"seeds: [0]\ndatasets: [Digits]\nmethods: {rows}\n")
    assert [str(cell.path) for cell in suite.load(path)] == [
        "digits/unet/seed1", "digits/unet-b/seed2", "digits/unet-c/seed2",
    ]  # fmt: skip


def test_folders_are_slugs_and_titles_carry_what_they_were_given(tmp_path: Path) -> None:
    path = write(
        tmp_path / "s.yaml",
        datasets=[{"name": "Digits", "variant": "Set5 × Set14, SIR²"}],
        methods=[{"name": "UNet", "variant": "../../Wide (1.5), bf16", "only": ["digits-set5-set14-sir2"]}],
    )
    (cell,) = suite.load(path)
    assert str(cell.path) == "digits-set5-set14-sir2/unet-wide-1.5-bf16/seed0"
    assert (cell.data_variant, cell.variant) == ("Set5 × Set14, SIR²", "../../Wide (1.5), bf16")
    entry = catalogue.Entry("Blur", "MyNets.Blur", "MyNets", "")
    assert suite.folder({"name": "MyNets.Blur", "variant": "Wide"}, entry) == "mynets-wide"


def test_cross_task_is_a_view_of_the_tasks_own_suites() -> None:
    own = {(str(cell.path), cell.key()) for name in ("reflection", "rain", "haze") for cell in suite.load(name)}
    assert {(str(cell.path), cell.key()) for cell in suite.load("cross_task")} <= own


@pytest.mark.parametrize("name", list(catalogue.suites()))
def test_every_folder_of_the_projects_suites_is_a_slug(name: str) -> None:
    for cell in suite.load(name):
        names.check_slug(name, "data set", cell.dataset)
        names.check_slug(name, "method", cell.method)


def test_unknown_suites_and_broken_yaml(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown suite 'smok': did you mean smoke"):
        suite.load("smok")
    (tmp_path / "broken.yaml").write_text("methods: [UNet\n")
    with pytest.raises(UserError, match="not valid YAML"):
        suite.load(str(tmp_path / "broken.yaml"))


def test_keys_cover_the_configuration_but_not_the_place(tmp_path: Path) -> None:
    def key_of(**value: Any) -> str:
        return suite.load(write(tmp_path / "s.yaml", **value))[0].key()

    assert key_of() == key_of()
    different = {
        key_of(),
        key_of(seeds=[1]),
        key_of(precision="bf16-mixed"),
        key_of(budget={"images": 64}),
        key_of(budget={"batch_size": 64}),
        key_of(methods=[{"name": "UNet", "init_args": {"width": 8}}]),
        key_of(datasets=[{"name": "Digits", "init_args": {"source": "mnist"}}]),
    }
    assert len(different) == 7
    first = suite.load(write(tmp_path / "s.yaml"))[0]
    assert first.score_key("one") != first.score_key("two")
    assert first.key() == suite.load(write(tmp_path / "other.yaml"))[0].key()
