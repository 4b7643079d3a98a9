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
from benchmark.reports.claims.reading import Claim, Greater
from benchmark.reports.claims.verdicts import Finding, Verdict
from benchmark.reports.page import gallery
from benchmark.results import collection, records, samples
from benchmark.speed import made as speed_made

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">'\"&{{7*7}}"


def record(method: str, seed: int = 0, layers: int = 2, images: int = 12, **changes: Any) -> records.Record:
    generator = np.random.default_rng([sum(map(ord, method)), seed])
    level = float(generator.uniform(10, 30))
    task = str(changes.get("dataset", "rain"))
    made = speed_made.record(
        method, seed, generator.normal(level, 2, (images, layers)), ["rgb@1", "rgb-uniform@1", "y@1"],
        target=["scene"], dataset="rain",
        spec={"layers": ["scene", "rain"], "scored": ["scene", "rain"], "target": ["scene"], "ordered": True,
              "mixing": "sum", "citation": "C", "licence": "L"},
        config={"model": {"class_path": f"methods.{method}.M"},
                "data": {"class_path": f"datamodules.{task}.{task.title()}", "init_args": {}}},
        training={"images_seen": 640, "seconds": 3.2, "curve": [[0, 8.0], [320, level - 2], [640, level]]},
        cost={"parameters": int(generator.integers(0, 9)) * 100_000, "flops": None,
              "latency_s": float(generator.uniform(1e-4, 1)), "latency_threads": 1, "peak_memory_mib": 5.0},
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def place(root: Path, one: records.Record, *, pictures: int = 0, **note: Any) -> Path:
    path = root / one.suite / "records" / one.dataset / one.method / f"seed{one.seed}.json"
    records.write(path, one)
    log = root / one.suite / "cells" / one.dataset / one.method / f"seed{one.seed}" / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_text("first line\n" + HOSTILE + "\nthe end of it\n")
    where = samples.folder(path)
    for image in range(pictures):
        where.mkdir(parents=True, exist_ok=True)
        files = {}
        for k, what in enumerate(("mixture", "truth-0", "truth-1", "estimate-0", "estimate-1")):
            colour = (40 * k, 200 - 30 * k, len(one.method) * 9 + 50 * image)
            Image.new("RGB", (24, 16), colour).save(where / f"{image}-{what}.png")
            files[what] = f"{image}-{what}.png"
        write_json(where / f"{image}.json", {"id": f"{image:06}", "layers": ["scene", "rain"], "files": files, **note})
    return path


TEST = Greater("aaa", ("bbb",))
SAID = (
    Verdict(
        Claim("one", "dmgn", "Table V", "dmgn-5", f"It is so{HOSTILE}.", "quick", "rain", "psnr", None, TEST),
        (Finding("bbb", "undecided", ("zero is in the interval",), 1.0, -1.0, 3.0),),
        {"aaa": 2, "bbb": 2},
        {},
        "rgb@1",
    ),
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("page")
    for method in ("aaa", "bbb", "ccc"):
        for seed in (0, 1):
            place(root, record(method, seed), pictures=0 if seed else 2)
        place(root, record(method, dataset="haze"))
    place(root, record("evil", title=HOSTILE, variant=f"2{HOSTILE}", spec={**record("x").spec, "citation": HOSTILE}))
    place(root, record("part", layers=1))
    only_own = record("plain")
    only_own = dataclasses.replace(only_own, scores=only_own.scores._replace(protocols=("rgb@1",)))
    place(root, only_own)
    return gallery.build(collection.collect([root / "quick"]), root, SAID)


def test_building_twice_changes_no_byte(page: Path) -> None:
    before = page.read_bytes()
    assert gallery.build(collection.collect([page.parent / "quick"]), page.parent, SAID).read_bytes() == before


def data_of(text: str) -> Any:
    return json.loads(re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)[0])


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
    data = data_of(text)
    assert any(HOSTILE in line["title"] for line in data["lines"])
    assert all("the end of it" in {**line["shared"], **seed}["log"] for line in data["lines"] for seed in line["seeds"])


def test_pictures_are_kept_once_and_strangers_notes_are_not_followed(tmp_path: Path) -> None:
    paths = [place(tmp_path, record(method), pictures=1) for method in ("aaa", "bbb")]
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
    view = data_of(page)["views"]["quick/rain"]
    published = dict(zip([row[0] for row in view["rows"]], view["published"], strict=True))
    assert published == {"AAA": True, "MINE": False}
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
    tab.locator(".card h2 a", has_text="Rain").click()
    assert tab.evaluate("location.hash") == "#quick/rain"
    assert len(column(tab, 1)) == 6
    tab.fill("#filter", "bb")
    assert column(tab, 1) == ["BBB"]
    assert tab.locator(".pick:visible b").all_inner_texts() == ["Mixture", "Truth", "BBB"]
    tab.fill("#filter", "")
    assert len(column(tab, 1)) == 6
    tab.go_back()
    tab.wait_for_function("!document.getElementById('page-overview').hidden")
    tab.select_option("#view", "papers")
    assert "Table II" in tab.locator("#page-papers").inner_text()


def test_a_data_set_shows_what_papers_claim_of_it(tab: Any) -> None:
    tab.select_option("#view", "quick/rain")
    (row,) = tab.locator("table.claims tbody tr").all()
    cells = [text.strip() for text in row.locator("th, td").all_inner_texts()]
    assert cells[0] == f"It is so{HOSTILE}. (Table V)"
    assert cells[1:] == ["undecided: zero is in the interval", "+1.00 dB (-1.00 … +3.00) against bbb"]
    row.locator("a").click()
    assert "Table V" in tab.locator("#paper-dmgn-5").inner_text()
    tab.select_option("#view", "quick/haze")
    assert tab.locator("table.claims").count() == 0


def scores(tab: Any, name: str) -> list[str]:
    """What the first table shows of a method: rank, PSNR, its interval, pooled PSNR, SSIM, LMSE, MSE."""
    row = tab.locator("section.page:not([hidden]) table.main tbody tr", has_text=name)
    return [text.strip() for text in row.locator("td").all_inner_texts()[:7]]


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
    assert scores(tab, "PLAIN") == [""] * 7, "it is not stored under this one"
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


def test_the_page_tells_what_it_goes_by(tab: Any) -> None:
    assert tab.title() == "Unblend leaderboard"
    tab.select_option("#view", "quick/rain")
    text = tab.locator("section.page:visible").inner_text()
    assert "judged by the scene; image formation: sum; protocol: rgb@1." in text
    assert "Plots are of the scene, under rgb@1." in text


def test_tasks_stand_in_a_fixed_order_and_every_link_leads_somewhere(tab: Any, page: Path) -> None:
    assert tab.locator(".card h2").all_inner_texts() == ["Rain", "Haze"]
    assert tab.locator(".matrix .groups th").all_inner_texts() == ["Rain", "Haze"]
    assert "Reflection, Clouds" in tab.locator("#page-overview").inner_text(), "what is not measured is named"
    known = set(data_of(page.read_text())["views"]) | {"main", "overview"}
    wanted = tab.locator("a[href^='#']").evaluate_all("all => all.map(one => one.hash.slice(1))")
    assert set(wanted) <= known
    tab.select_option("#view", "quick/rain")
    for link in tab.locator("section.page:visible a[href^='#']").all():
        name = str(link.get_attribute("href"))[1:]
        assert name in known or name.startswith("paper-") or tab.locator(f"[id='{name}']").count() == 1


def test_the_overview_opens_with_pictures_under_a_slider(tab: Any) -> None:
    card = tab.locator(".card", has_text="Rain").first
    names = card.locator(".strip button").all_inner_texts()
    assert [name.strip() for name in names] == ["mixture", "true scene", "true rain", "scene", "rain"]
    assert card.locator(".tag.l").inner_text() == "Mixture"
    rows = [row[0] for row in data_of(tab.content())["views"]["quick/rain"]["rows"]]
    pictured = next(name for name in rows if name in ("AAA", "BBB", "CCC"))
    assert card.locator(".tag.r").inner_text().startswith(f"{pictured}: scene, "), "the best that has pictures"
    card.locator(".strip button", has_text="true rain").click()
    assert card.locator(".tag.r").inner_text() == "Truth: rain"
    assert f"best of 6: {rows[0]}" in card.inner_text()


def test_the_matrix_switches_metric_and_protocol(tab: Any) -> None:
    own = dict(zip(column(tab, 1), column(tab, 2), strict=True))
    other = dict(zip(column(tab, 1), column(tab, 3), strict=True))
    assert own["PLAIN"]
    assert other["PLAIN"] == ""
    metric, protocol = (tab.locator("#matrix select").nth(i) for i in (0, 1))
    protocol.select_option(label="y@1")
    under = dict(zip(column(tab, 1), column(tab, 2), strict=True))
    assert float(under["AAA"].split()[0]) == pytest.approx(float(own["AAA"].split()[0]) + 2, abs=0.011)
    assert under["PLAIN"] == "", "it is not stored under this one"
    metric.select_option(label="LMSE")
    tab.locator(".matrix .sort").nth(1).click()
    errors = [float(text.split()[0]) for text in column(tab, 2) if text]
    assert errors == sorted(errors), "the smallest error first"


def test_all_methods_stand_side_by_side_on_one_image(tab: Any) -> None:
    tab.select_option("#view", "quick/rain")
    look = tab.locator(".look")
    names = look.locator(".pick b").all_inner_texts()
    assert names[:2] == ["Mixture", "Truth"]
    assert sorted(names[2:]) == ["AAA", "BBB", "CCC"], "those that have pictures"
    scored = dict(zip(names, look.locator(".pick span").all_inner_texts(), strict=True))
    assert scored["BBB"].endswith(" dB")
    before = look.locator(".pick img").nth(2).get_attribute("src")
    look.locator("select").nth(0).select_option(label="000001")
    assert look.locator(".pick img").nth(2).get_attribute("src") != before
    look.locator("select").nth(1).select_option(label="rain")
    assert "rain" in look.locator(".pick span").nth(1).inner_text()
    look.locator(".pick", has_text="BBB").click()
    assert look.locator(".tag.r").inner_text().startswith("BBB: rain, ")


def test_ten_worst_and_ten_best_are_one_click_away(tab: Any) -> None:
    tab.select_option("#view", "quick/rain")
    tens = tab.locator(".look .tens")
    worst, best = (
        [float(text.split()[0]) for text in tens.locator(".strip").nth(i).locator("button").all_inner_texts()]
        for i in (0, 1)
    )
    assert len(worst) == len(best) == 10
    assert worst == sorted(worst)
    assert best == sorted(best, reverse=True)
    tab.locator(".extremes select").select_option(label="CCC")
    assert tens.locator("button").all_inner_texts() != [f"{value:.2f} dB" for value in [*worst, *best]]
    tens.locator("button:not(:has(img))").first.click()
    assert "no picture is kept" in tab.locator(".look").inner_text()
    assert tab.locator(".look .bar").count() == 6, "every ranked method's score of it"
    tens.locator("button:has(img)").first.click()
    assert tab.locator(".look .pick").count() == 5


def test_columns_are_hidden_and_shown(tab: Any) -> None:
    tab.select_option("#view", "quick/rain")
    head = tab.locator("table.main th", has_text="pooled PSNR")
    assert not head.is_visible()
    tab.locator("details.columns summary").first.click()
    tab.locator("details.columns label", has_text="pooled PSNR").first.click()
    assert head.is_visible()
    assert all(column(tab, 5)[:3])
    tab.locator("details.columns label", has_text="SSIM").first.click()
    assert not tab.locator("table.main th", has_text="SSIM").is_visible()


def test_a_link_leads_to_a_row(browser: Any, page: Path) -> None:
    opened = browser.new_page(viewport={"width": 1200, "height": 500}, reduced_motion="reduce")
    opened.goto(page.as_uri() + "#quick/rain/bbb")
    named = opened.locator("tr.named")
    assert named.locator("th").inner_text().startswith("BBB")
    box = named.bounding_box()
    assert 0 < box["y"] < 500
    opened.locator("tr a.here").first.click()
    assert opened.locator("tr.named").count() == 1
    assert opened.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto", "nothing moves"
    opened.close()


def test_the_slider_compares_two_pictures(tab: Any) -> None:
    tab.select_option("#view", "quick/rain")
    look = tab.locator(".look .pair")
    names = look.locator("select").nth(0).locator("option").all_inner_texts()
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
    look.locator("select").nth(1).select_option(label=next(name for name in names if name.startswith("BBB: rain")))
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


def test_axe_core_finds_nothing(browser: Any, page: Path) -> None:
    look_with_axe_core(browser, page, "light")


@pytest.mark.slow("test_axe_core_finds_nothing")
@pytest.mark.parametrize("kind", ["dark", "phone"])
def test_axe_core_finds_nothing_in_the_dark_and_on_a_phone(browser: Any, page: Path, kind: str) -> None:
    look_with_axe_core(browser, page, kind)


def look_with_axe_core(browser: Any, page: Path, kind: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    size = {"width": 390, "height": 844} if kind == "phone" else {"width": 1280, "height": 900}
    opened = browser.new_page(viewport=size, color_scheme="dark" if kind == "dark" else "light")
    for view in ("overview", "quick/rain", "papers"):
        opened.goto(page.as_uri() + f"#{view}")
        opened.evaluate("for (const one of document.querySelectorAll('section.page details')) one.open = true")
        assert_accessible(axe.Axe().run(opened).response, view)
    opened.goto(page.as_uri() + "#quick/haze")
    opened.locator("button.who").first.click()
    assert_accessible(axe.Axe().run(opened).response, "origin of a row")
    opened.close()


def assert_accessible(response: Any, view: str) -> None:
    said = [
        f"{found['id']}: {found['help']}: {node['html'][:120]}"
        for found in response["violations"]
        for node in found["nodes"][:3]
    ]
    assert not said, f"{view}: " + "; ".join(said)
    assert response["passes"], "it has looked"


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
