"""Which pictures the page takes in, and what it says of images without one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.files import write_json
from benchmark.reports.page import gallery, pictures, tasks
from benchmark.results import collection, records, samples, statistics
from benchmark.speed import made


def placed(root: Path, dataset: str, method: str, images: int, level: float, **note: object) -> records.Record:
    psnr = np.linspace(level, level + 4, 30)[:, None].repeat(2, 1)
    config = {"model": {"class_path": "a.B"}, "data": {"class_path": f"datamodules.{dataset}.C", "init_args": {}}}
    one = made.record(method, 0, psnr, ["rgb@1"], target=made.LAYERS[:1], dataset=dataset, config=config)
    path = root / "quick/records" / dataset / method / "seed0.json"
    records.write(path, one)
    for place in range(images):
        where = samples.folder(path)
        where.mkdir(parents=True, exist_ok=True)
        files = {}
        for k, what in enumerate(("mixture", "truth-0", "truth-1", "estimate-0", "estimate-1")):
            seed = [*dataset.encode(), place, k, *(method.encode() if k > 2 else b"")]
            noise = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            files[what] = f"{place}-{what}.png"
            Image.fromarray(noise).save(where / files[what])
        write_json(where / f"{place}.json", {"id": one.ids[place], "layers": list(made.LAYERS), "files": files, **note})
    return one


def shown(root: Path, dataset: str) -> pictures.Shown:
    found = [one for one in collection.collect([root / "quick"]) if one.record.dataset == dataset]
    table = statistics.table([(one.record,) for one in found])
    return pictures.collect(table, {(one.record.dataset, one.record.method, 0): one for one in found})


def test_a_full_page_has_of_every_set_the_best_methods_picture_first(tmp_path: Path) -> None:
    for dataset in ("rain", "haze"):
        for method, level in (("aaa", 20.0), ("bbb", 30.0)):
            placed(tmp_path, dataset, method, 2, level)
    every = [shown(tmp_path, dataset) for dataset in ("rain", "haze")]
    one = len(Path(tmp_path, "quick/samples/rain/aaa/seed0/0-mixture.png").read_bytes()) * 4 // 3 + 150
    taken = pictures.take_in(every, 7 * one)
    assert len(taken) >= 6
    for of_set in every:
        image = of_set.text()["images"][0]
        assert image["mixture"] in taken
        assert image["truth"][0] in taken
        best = next(row for row, line in enumerate(of_set.table) if line.first.method == "bbb")
        assert image["rows"][best][0] in taken
        assert of_set.text()["images"][1]["mixture"] is None, "no second image before every first one"
    assert len(pictures.take_in(every, 10**7)) == 2 * 2 * (3 + 2 * 2)


def test_a_page_is_never_larger_than_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for method, level in (("aaa", 20.0), ("bbb", 30.0)):
        placed(tmp_path, "rain", method, 20, level)
    found = collection.collect([tmp_path / "quick"])
    whole = len(gallery.render(found).encode())
    for share in (0.7, 0.9):
        monkeypatch.setattr(gallery, "LARGEST", int(share * whole))
        text = gallery.render(found).encode()
        assert len(text) <= share * whole
        assert len(text) > 0.9 * share * whole, "it is filled"


def test_an_embedded_picture_has_its_own_score_and_says_what_it_stands_for(tmp_path: Path) -> None:
    placed(tmp_path, "rain", "aaa", 1, 20.0, psnr=[99.0, 98.0])
    placed(tmp_path, "haze", "aaa", 1, 20.0, psnr=[33.0, 32.0], stands_for="f" * 64, **{"from": "photographs"})
    stranger, stand_in = (shown(tmp_path, dataset).text()["images"][0] for dataset in ("rain", "haze"))
    assert stranger["psnr"] == {}, "without a picture taken in there is nothing to say"
    both = [shown(tmp_path, dataset) for dataset in ("rain", "haze")]
    pictures.take_in(both, 10**7)
    stranger, stand_in = (one.text()["images"][0] for one in both)
    assert stranger["psnr"] == {0: [20.0, 20.0]}, "a test image's score is the record's"
    assert (stranger["from"], stand_in["from"]) == ("", "photographs")
    assert stand_in["psnr"] == {0: [33.0, 32.0]}


def test_extremes_are_of_every_ranked_method(tmp_path: Path) -> None:
    placed(tmp_path, "rain", "aaa", 0, 20.0)
    one = placed(tmp_path, "rain", "bbb", 0, 30.0)
    ids, psnr = pictures.extremes(shown(tmp_path, "rain").table)
    assert sorted(ids) == sorted([*one.ids[:10], *one.ids[-10:]])
    assert [min(own) for own in psnr] == [30.0, 20.0]
    assert [max(own) for own in psnr] == [34.0, 24.0]


def test_pictures_are_passed_on_up_to_a_number(tmp_path: Path) -> None:
    placed(tmp_path, "rain", "aaa", 20, 20.0)
    here = tmp_path / "quick/samples/rain/aaa/seed0"
    samples.pass_on(here, tmp_path / "there")
    assert len(list((tmp_path / "there").glob("*.json"))) == samples.PUBLISHED
    assert len(list((tmp_path / "there").glob("*.png"))) == 5 * samples.PUBLISHED
    samples.pass_on(tmp_path / "nowhere", tmp_path / "else")
    assert not (tmp_path / "else").exists()


def test_a_task_of_an_outside_class_stands_last_under_its_own_name() -> None:
    one = made.record(config={"model": {}, "data": {"class_path": "datamodules.rain.Rain", "init_args": {}}})
    assert tasks.of(one).title == "Rain"
    other = dataclasses.replace(one, config={"model": {}, "data": {"class_path": "mine.my_task.Data", "init_args": {}}})
    assert tasks.of(other) == tasks.Task("my_task", "my task", "")
    assert sorted([tasks.of(other), tasks.of(one)], key=tasks.place)[0].title == "Rain"
