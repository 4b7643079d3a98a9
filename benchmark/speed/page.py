"""How long a large page takes: 60 methods on 20 data sets with 3 seeds, generated records of 100 images, and pictures.

``python -m benchmark.speed.page [FOLDER]``; sorting is measured in Chromium, where playwright and it are installed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.files import write_json
from benchmark.metrics.protocols import stored_for
from benchmark.reports import leaderboard
from benchmark.reports.page import gallery
from benchmark.results import collection, records, samples
from benchmark.results.collection import Found
from benchmark.speed import made
from benchmark.speed.rows import Row, number, row, show

METHODS, DATASETS, SEEDS, IMAGES = 60, 20, 3, 100

PICTURES, SIDE = 2, 96
"""Sample images beside each first seed, and their pixels: more than the page has room for."""


def record(method: int, dataset: int, seed: int) -> records.Record:
    """A made-up record with scores of two layers under all protocols of colour images."""
    generator = np.random.default_rng([method, dataset, seed])
    level = 12 + 0.3 * method + generator.normal(0, 0.5)
    return made.record(
        f"method_{method:02}", seed, generator.normal(level, 3, (IMAGES, 2)), stored_for("rgb", 3),
        target=made.LAYERS[:1], suite="large", dataset=f"dataset_{dataset:02}", title=f"Method {method}",
        variant="generated" if method % 2 else "", data_digest=f"{dataset:064}", checkpoint_sha256="c" * 64,
        config={"model": {"class_path": "made_up.Method", "init_args": {f"option_{i}": i for i in range(20)}},
                "data": {"class_path": f"made_up_{dataset % 9}.Data", "init_args": {"images": 20000}}},
        training={"images_seen": 20000, "seconds": 100.0, "curve": [[2000 * k, level - 5 + k / 2] for k in range(10)]},
        cost={"parameters": 10_000 * (method + 1), "flops": 1e9, "latency_s": 0.001 * (method + 1),
              "latency_threads": 1, "peak_memory_mib": 50.0},
    )  # fmt: skip


def pictures(path: Path, method: int, dataset: int) -> None:
    """Lay sample pictures beside a record: noise, which no format makes smaller.

    Args:
        path: of the record.
        method: its number.
        dataset: its number.
    """
    where = samples.folder(path)
    where.mkdir(parents=True)
    for place in range(PICTURES):
        files = {}
        for k, what in enumerate(("mixture", "truth-0", "truth-1", "estimate-0", "estimate-1")):
            seed = [dataset, place, k] if k < 3 else [dataset, place, k, method]
            noise = np.random.default_rng(seed).integers(0, 256, (SIDE // 4, SIDE // 4, 3), dtype=np.uint8)
            files[what] = f"{place}-{what}.webp"
            Image.fromarray(noise).resize((SIDE, SIDE)).save(where / files[what], quality=70)
        write_json(where / f"{place}.json", {"id": f"{place:06}", "layers": list(made.LAYERS), "files": files})


def main(folder: str | None = None) -> list[Row]:
    """Write the records, build the page from the files as a user does, and sort its largest tables."""
    with tempfile.TemporaryDirectory() as temporary:
        suite = Path(folder or temporary) / "large"
        for method in range(METHODS):
            for dataset in range(DATASETS):
                for seed in range(SEEDS):
                    one = record(method, dataset, seed)
                    path = suite / "records" / one.dataset / one.method / f"seed{seed}.json"
                    records.write(path, one)
                    if seed == 0:
                        pictures(path, method, dataset)
        started = time.perf_counter()
        found: list[Found] = collection.collect([suite])
        read = time.perf_counter()
        page = gallery.build(found, suite)
        built = time.perf_counter()
        leaderboard.write(suite, [one.record for one in found])
        written = time.perf_counter()
        protocols = len(found[0].record.scores.protocols)
        return [
            Row(f"{len(found)} records read, {protocols} protocols", read - started, "s", at_most=2),
            Row("page built from them", built - read, "s", at_most=30),
            Row("page's size", page.stat().st_size / 1e6, "MB", at_most=gallery.LARGEST / 1e6),
            Row("tables written", written - built, "s"),
            *_sorted(page),
        ]


def _sorted(page: Path) -> list[Row]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        print("sorting was not measured: it needs playwright and chromium")
        return []
    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1366, "height": 900})
        started = time.perf_counter()
        tab.goto(page.as_uri())
        rows.append(Row("page opened", time.perf_counter() - started, "s", at_most=1))
        for view in ("overview", "large/dataset_00"):
            started = time.perf_counter()
            tab.select_option("#view", view)
            tab.wait_for_selector("section.page:not([hidden]) table.data")
            rows.append(Row(f"{view} drawn", time.perf_counter() - started, "s", at_most=1))
            times = tab.evaluate(
                """async () => {
                  const heads = document.querySelectorAll("section.page:not([hidden]) table.data .sort");
                  const times = [];
                  for (const head of [...heads].slice(0, 8)) {
                    const begin = performance.now();
                    head.click();
                    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
                    times.push(performance.now() - begin);
                  }
                  return times;
                }"""
            )
            note = f"slowest {number(max(times))} ms"
            rows.append(row(f"{view} sorted and drawn", times, "ms", note=note, at_most=100))
        browser.close()
    return rows


if __name__ == "__main__":
    show(main(*sys.argv[1:2]))
