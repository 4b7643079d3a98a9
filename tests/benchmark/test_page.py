"""The page: what is in it, and how it behaves in a browser."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from benchmark.files import write_json
from benchmark.reports import leaderboard
from benchmark.reports.page import gallery
from benchmark.results import collection, records, samples
from benchmark.speed import made as speed_made

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">'\"&{{7*7}}"


def record(method: str, seed: int = 0, layers: int = 2, images: int = 12, **changes: Any) -> records.Record:
    generator = np.random.default_rng([sum(map(ord, method)), seed])
    level = float(generator.uniform(10, 30))
    made = speed_made.record(
        method, seed, generator.normal(level, 2, (images, layers)), ["rgb@1", "rgb-uniform@1", "y@1"],
        target=["scene"], dataset="rain",
        spec={"layers": ["scene", "rain"], "scored": ["scene", "rain"], "target": ["scene"], "ordered": True,
              "mixing": "sum", "citation": "C", "licence": "L"},
        config={"model": {"class_path": f"methods.{method}.M"}, "data": {"class_path": "datamodules.rain.Rain"}},
        training={"images_seen": 640, "seconds": 3.2, "curve": [[0, 8.0], [320, level - 2], [640, level]]},
        cost={"parameters": int(generator.integers(0, 9)) * 100_000, "flops": None,
              "latency_s": float(generator.uniform(1e-4, 1)), "latency_threads": 1, "peak_memory_mib": 5.0},
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def place(root: Path, one: records.Record, *, pictures: bool = False) -> Path:
    path = root / one.suite / "records" / one.dataset / one.method / f"seed{one.seed}.json"
    records.write(path, one)
    log = root / one.suite / "cells" / one.dataset / one.method / f"seed{one.seed}" / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_text("first line\n" + HOSTILE + "\nthe end of it\n")
    if pictures:
        where = samples.folder(path)
        where.mkdir(parents=True)
        files = {}
        for k, what in enumerate(("mixture", "truth-0", "truth-1", "estimate-0", "estimate-1")):
            colour = (40 * k, 200 - 30 * k, len(one.method) * 9)
            Image.new("RGB", (24, 16), colour).save(where / f"0-{what}.png")
            files[what] = f"0-{what}.png"
        write_json(where / "0.json", {"id": "000000", "layers": ["scene", "rain"], "files": files})
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("page")
    for method in ("aaa", "bbb", "ccc"):
        for seed in (0, 1):
            place(root, record(method, seed), pictures=seed == 0)
        place(root, record(method, dataset="haze"))
    place(root, record("evil", title=HOSTILE, variant=f"2{HOSTILE}", spec={**record("x").spec, "citation": HOSTILE}))
    place(root, record("part", layers=1))
    only_own = record("plain")
    only_own = dataclasses.replace(only_own, scores=only_own.scores._replace(protocols=("rgb@1",)))
    place(root, only_own)
    return gallery.build(collection.collect([root / "quick"]), root)


def test_building_twice_changes_no_byte(page: Path) -> None:
    before = page.read_bytes()
    assert gallery.build(collection.collect([page.parent / "quick"]), page.parent).read_bytes() == before


def test_nothing_is_loaded_from_elsewhere_and_nothing_hostile_is_left(page: Path) -> None:
    text = page.read_text()
    links = re.findall(
        r"""(?:src|href|data)="([^"]+)"|url\(([^)]+)\)|@import (\S+)""", text.partition("application/json")[0]
    )
    assert links
    links = [link for found in links for link in found if link]
    assert all(link.startswith(("#", "data:")) for link in links), links
    assert "default-src 'none'" in text
    assert "<img src=x" not in text
    assert text.count("</script>") == 2
    data = json.loads(re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)[0])
    assert any(HOSTILE in line["title"] for line in data["lines"])
    assert all("the end of it" in seed["log"] for line in data["lines"] for seed in line["seeds"])


def test_pictures_are_kept_once_and_strangers_notes_are_not_followed(tmp_path: Path) -> None:
    paths = [place(tmp_path, record(method), pictures=True) for method in ("aaa", "bbb")]
    note = samples.folder(paths[1]) / "0.json"
    (tmp_path / "secret.png").write_bytes((samples.folder(paths[0]) / "0-mixture.png").read_bytes() + b"secret")
    for files in ({"mixture": "../../../../../../secret.png"}, {"mixture": "/etc/passwd"}, {"else": "0-mixture.png"}):
        write_json(note, {"id": "000000", "layers": ["scene", "rain"], "files": files})
        text = gallery.render(collection.collect([tmp_path / "quick"]))
        assert text.count("data:image/png") == 5
    assert samples.folder(paths[0]) == tmp_path / "quick/samples/rain/aaa/seed0"


def test_an_unpublished_method_is_drawn_beside_the_published_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed, console = tmp_path / "leaderboards", Console()
    monkeypatch.setattr(collection, "COMMITTED", committed)
    place(committed, record("aaa"))
    place(committed, record("else", suite="other"))
    place(tmp_path / "runs", record("mine"))
    leaderboard.build(tmp_path / "runs/quick", console)
    page = (tmp_path / "runs/quick/index.html").read_text()
    assert all(name in page for name in ("AAA", "MINE"))
    assert "ELSE" not in page
    assert page.count('<small class="badge">not published</small>') == 1
    assert not (committed / "index.html").exists()
    leaderboard.build(None, console)
    page = (committed / "index.html").read_text()
    assert all(name in page for name in ("AAA", "ELSE"))
    assert "MINE" not in page
    assert (committed / "quick/README.md").is_file()


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("chromium is not installed: `apt-get install chromium`, or name it in $CHROMIUM")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def tab(browser: Any, page: Path) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1200, "height": 800})
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on(
        "request", lambda request: said.append(request.url) if not request.url.startswith(("file:", "data:")) else None
    )
    opened.goto(page.as_uri())
    yield opened
    assert said == []
    opened.close()


def column(tab: Any, place: int, table: int = 0) -> list[str]:
    shown = f"section.page:not([hidden]) table.data >> nth={table}"
    cells = tab.locator(f"{shown} >> tbody tr:visible > :nth-child({place})")
    return [text.strip() for text in cells.all_inner_texts()]


def test_sorting_by_pointer_and_keyboard(tab: Any) -> None:
    tab.select_option("#view", "quick/rain")
    # The second table has the layers; one method gives the first of them alone.
    head = tab.locator("section.page:not([hidden]) table.data >> nth=1 >> th .sort").nth(6)
    head.click()
    falling = [float(text.split()[0]) for text in column(tab, 7, 1) if text]
    assert falling == sorted(falling, reverse=True)
    assert len(falling) == 5
    head.focus()
    tab.keyboard.press("Enter")
    rising = column(tab, 7, 1)
    assert [float(text.split()[0]) for text in rising[:5]] == falling[::-1]
    assert rising[5] == "", "what has no value stands last either way"
    assert tab.locator('section.page:not([hidden]) th[aria-sort="ascending"]').count() == 1


def test_filter_and_views(tab: Any) -> None:
    assert tab.locator("section.page:visible").count() == 1
    tab.locator(".card", has_text="rain").click()
    assert tab.evaluate("location.hash") == "#quick/rain"
    assert len(column(tab, 1)) == 6
    tab.fill("#filter", "bb")
    assert column(tab, 1) == ["BBB"]
    tab.fill("#filter", "")
    assert len(column(tab, 1)) == 6
    tab.go_back()
    tab.wait_for_function("!document.getElementById('overview').hidden")
    tab.select_option("#view", "papers")
    assert "Table II" in tab.locator("#papers").inner_text()


def scores(tab: Any, name: str) -> list[str]:
    """What the first table shows of a method: rank, PSNR, its interval, pooled PSNR, SSIM, LMSE, MSE."""
    row = tab.locator("section.page:not([hidden]) table.data >> nth=0 >> tbody tr", has_text=name)
    return [text.strip() for text in row.locator("td.score").all_inner_texts()]


def test_another_protocol_changes_scores_ranks_and_order(tab: Any, page: Path) -> None:
    tab.select_option("#view", "quick/rain")
    heads = tab.locator("section.page:not([hidden]) table.data >> nth=0 >> th").all_inner_texts()
    assert [head.removesuffix(" ↕").strip() for head in heads[1:8]] == [
        "Rank", "PSNR (dB)", "95 %", "pooled PSNR (dB)", "SSIM", "LMSE", "MSE"
    ]  # fmt: skip
    chosen = tab.locator("section.page:not([hidden]) select[data-protocols]")
    names = chosen.locator("option").all_inner_texts()
    assert names == ["rgb@1 (the task's own)", "rgb-uniform@1", "y@1"]
    own = {name: scores(tab, name) for name in ("AAA", "PLAIN")}
    order = column(tab, 1)
    assert own["PLAIN"][1]
    chosen.select_option(label="y@1")
    there = scores(tab, "AAA")
    # A made-up record has a dB more under each further protocol.
    assert float(there[1].split()[0]) == pytest.approx(float(own["AAA"][1].split()[0]) + 2, abs=0.011)
    assert float(there[3].split()[0]) == pytest.approx(float(own["AAA"][3].split()[0]) + 2, abs=0.011)
    assert scores(tab, "PLAIN") == ["–", *[""] * 6], "it is not stored under this one"
    assert column(tab, 1)[-1] == "PLAIN"
    assert "luma" in tab.locator("section.page:not([hidden]) .meaning").inner_text()
    layers = tab.locator("section.page:not([hidden]) table.data >> nth=1 >> tbody tr", has_text="AAA")
    assert layers.locator("td").first.inner_text() == there[1], "the layer that the task is for"
    best = tab.locator("section.page:not([hidden]) table.data >> nth=0 >> td.best")
    assert best.count() == 5, "of PSNR, pooled PSNR, SSIM, LMSE and MSE"
    tab.locator("section.page:not([hidden]) table.data >> nth=0 >> th .sort").nth(2).click()
    falling = column(tab, 3)
    chosen.select_option(index=0)
    assert {name: scores(tab, name) for name in own} == own
    assert sorted(column(tab, 1)) == sorted(order)
    numbers = [float(text.split()[0]) for text in column(tab, 3)]
    assert numbers == sorted(numbers, reverse=True), "it stays sorted as it was"
    assert len(falling) == len(numbers)


def test_the_page_tells_what_it_goes_by(page: Path) -> None:
    text = page.read_text()
    assert "judged by the scene; image formation: sum; protocol: rgb@1." in text
    assert "Plots are of the scene, under rgb@1." in text
    assert "<title>Unblend leaderboard</title>" in text
    assert ">rain: scene</button>" in text


def test_every_link_of_the_overview_leads_to_a_view(page: Path) -> None:
    text = page.read_text()
    wanted = set(re.findall(r'href="#([^"]+)"', text)) - {"main"}
    assert wanted
    assert wanted <= set(re.findall(r'<section class="page" id="([^"]+)"', text))


def test_the_slider_compares_two_pictures(tab: Any) -> None:
    tab.select_option("#view", "quick/rain")
    look = tab.locator("section.page:not([hidden]) .look")
    names = look.locator("select").nth(1).locator("option").all_inner_texts()
    assert names[:3] == ["Mixture", "Truth: scene", "Truth: rain"]
    assert any(name.startswith("BBB: rain, ") and name.endswith(" dB") for name in names)
    stage = look.locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 20)
    tab.mouse.up()
    assert float(stage.evaluate("e => parseFloat(e.style.getPropertyValue('--cut'))")) == pytest.approx(20, abs=1.5)
    look.locator(".cut").focus()
    tab.keyboard.press("End")
    assert stage.evaluate("e => e.style.getPropertyValue('--cut')") == "100%"
    before = look.locator("img").nth(1).get_attribute("src")
    look.locator("select").nth(2).select_option(label=next(name for name in names if name.startswith("BBB: rain")))
    assert look.locator("img").nth(1).get_attribute("src") != before
    assert look.locator(".tag.r").inner_text().startswith("BBB: rain")
    look.locator("input[type=range]").nth(0).fill("4")
    assert stage.evaluate("e => getComputedStyle(e.querySelector('img')).transform").startswith("matrix(4")


def test_a_hostile_name_is_text(tab: Any) -> None:
    tab.select_option("#view", "quick/rain")
    assert any(HOSTILE in text for text in column(tab, 1))
    tab.locator("button.who", has_text="onerror").first.click()
    assert tab.locator("#origin-title").inner_text() == f"{HOSTILE}, 2{HOSTILE}"
    assert "commit" in tab.locator("#origin-body").inner_text()
    tab.locator("#origin-body summary").first.click()
    assert HOSTILE in tab.locator("#origin-body pre").first.inner_text()
    tab.keyboard.press("Escape")
    assert not tab.locator("#origin").is_visible()
    assert tab.title() != "owned"
    assert tab.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("width", [320, 375, 1200])
def test_no_page_is_wider_than_the_window(tab: Any, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 700})
    for view in tab.locator("#view option").evaluate_all("all => all.map(one => one.value)"):
        tab.select_option("#view", view)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, view


def test_text_stands_out_from_its_ground_in_light_and_dark(browser: Any, page: Path) -> None:
    for scheme in ("light", "dark"):
        opened = browser.new_page(color_scheme=scheme)
        opened.goto(page.as_uri() + "#quick/rain")
        values = opened.evaluate(
            "['--ink','--soft','--mark','--warn','--ground','--panel','--tint','--shade'].map("
            "name => getComputedStyle(document.documentElement).getPropertyValue(name).trim())"
        )
        for text in values[:4]:
            for ground in values[4:]:
                assert contrast(text, ground) >= 4.5, (scheme, text, ground)
        opened.locator("#theme").click()
        assert opened.evaluate("getComputedStyle(document.documentElement).colorScheme") != scheme
        opened.close()


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
